//! Contracts: what an Api promises, as OpenAPI 3.1 and JSON Schema.
//!
//! Used by `check` before anything runs and by the gateway while it runs, so it lies below both.

mod asyncapi;
mod check;
pub mod codes;
mod description;
mod diff;
mod generate;
mod hold;
pub mod json;
pub mod lifecycle;
mod read;
mod schema;
pub mod xml;

pub use asyncapi::{ASYNCAPI, asyncapi};
pub use check::check;
pub use description::{
    ApiDescription, Entity, Method, Operation, Parameter, Place, UnknownMethod, template_names,
};
pub use diff::{Change, diff, diff_schemas, needs_major, unannounced};
pub use generate::{GenerateError, OPENAPI, generate};
pub use hold::{
    Compiled, Found, OperationId, Options, Payload, UnknownQuery, VIOLATIONS, Violation, Wrong,
};
pub use read::{
    Contract, Finding, Promise, PromisedAnswer, PromisedBody, PromisedParameter, Severity, Status,
};
