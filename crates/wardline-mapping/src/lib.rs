//! Mappings as programs that are checked before they run, and entities validated by JSON Schema.
//!
//! A map, a `when:` predicate and a `key:` expression are written in VRL (the Vector Remap
//! Language): no loops without end, no network, no clock that a test cannot set, every error
//! handled or refused at compile time. Wardline adds functions for HL7 v2, code tables, decimal numbers, time
//! and identifiers (`docs/reference/mapping-functions.md`).
//!
//! What it promises:
//! * **Checked first.** A program that compiles knows its HL7 paths, code tables and time zones;
//!   what is wrong is a [`Problem`] with a place in the source and a help line.
//! * **Lazy.** `hl7("PID-5.1")` reads that one value from the message's bytes; no tree is built.
//! * **Bounded.** A run has a budget of steps and of output ([`Limits`]); functions that could
//!   inflate, reach outside or print are withheld.
//! * **Discreet.** No [`RunError`], [`Violation`] or `Debug` output holds a value of the message.
//!
//! Start with [`Program`] (compile once, run from many threads), [`Subject`] (what it runs on) and
//! [`Environment`] (what it may refer to).
//!
//! ```
//! use std::sync::Arc;
//! use wardline_mapping::{Environment, Input, Output, Program, Runtime, Subject};
//!
//! let program = Program::compile(
//!     r#".mrn = hl7("PID-3.1")
//!        .name = upcase(hl7("PID-5.1", default: "unknown"))"#,
//!     &Environment::for_input(Input::Hl7),
//! )
//! .map_err(|problems| format!("{problems:#?}"))?;
//! let message = wardline_hl7::Message::parse("MSH|^~\\&|EHR|H1|||20260101||ADT^A01|1|P|2.5\rPID|1||77||Doe^Jane\r")?;
//! let output = program.run(&Subject::hl7(Arc::new(message)), &mut Runtime::default())?;
//! let Output::Json(value) = output else { panic!("one result") };
//! assert_eq!(wardline_mapping::to_json_bytes(&value, 1024)?, br#"{"mrn":"77","name":"DOE"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codes;
mod decimal;
mod environment;
mod excess;
mod expression;
mod functions;
mod json;
mod members;
mod problem;
mod program;
mod run_error;
mod runtime;
mod schema;
mod scope;
mod session;
mod shape;
mod subject;
mod timestamp;

pub use codes::{CodeTable, CodeTables, Otherwise, UnreadableTable};
pub use environment::{Environment, Input, UnknownZone, Zone};
pub use expression::{Expression, KeyExpression, Predicate, Template};
pub use functions::{functions, reference};
pub use json::{JsonError, from_json_bytes, to_json_bytes};
pub use problem::{Problem, Severity};
pub use program::{Output, Produces, Program};
pub use run_error::RunError;
pub use runtime::{Limits, Runtime};
pub use schema::{Schema, SchemaError, Violation};
pub use shape::Shape;
pub use subject::{Content, Metadata, Subject};

/// A value in a program: what a map reads and makes. From the crate `vrl`.
pub use vrl::value::{KeyString, ObjectMap, Value};
