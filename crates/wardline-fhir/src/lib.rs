//! FHIR R4 without a network: reading, checking by the official definitions, searching, and HL7 v2 to FHIR.
//!
//! What it promises:
//! * **The official definitions decide.** Names, cardinality, types, value sets and targets of
//!   references are those of the package `hl7.fhir.r4.core` 4.0.1.
//! * **No value in a problem.** A problem has a place and a reason; both may be logged.
//! * **The same message makes the same resources.** Ids are made of identifiers, so what is sent
//!   twice is stored once.
//! * **All input is hostile.** No input panics; memory is bounded by the input's size.
//!
//! Start from [`check`], [`from_hl7`](fn@from_hl7) and [`Outcome`].
//!
//! ```
//! let patient = wardline_fhir::read(br#"{"resourceType":"Patient","birthDate":"1970-02-30"}"#, 1 << 20)?;
//! let outcome = wardline_fhir::check(&patient);
//! assert_eq!(outcome.issues[0].to_string(), "Patient.birthDate: is not a date: YYYY, YYYY-MM or YYYY-MM-DD");
//! # Ok::<(), wardline_fhir::ReadError>(())
//! ```

mod capability;
mod check;
mod definitions;
mod from_hl7;
mod node;
mod outcome;
mod primitive;
mod raw;
mod read;
mod rules;
pub mod search;

pub use capability::{Offered, capability};
pub use check::{MOST_ISSUES, check};
pub use from_hl7::{Form, MapError, Mapped, Options, from_hl7};
pub use outcome::{Issue, Outcome, Severity};
pub use raw::Raw;
pub use read::{ReadError, read};

/// Names of all resources of R4.
pub fn resource_types() -> impl Iterator<Item = &'static str> {
    definitions::Definitions::r4().resources()
}

/// The name of a resource of R4 as the definitions have it, and its number in the order of names. R4 is closed, so
/// the number stays.
pub fn resource_type(name: &str) -> Option<(&'static str, u8)> {
    let mut all: Vec<&'static str> = resource_types().collect();
    all.sort_unstable();
    let at = all.binary_search(&name).ok()?;
    Some((all[at], u8::try_from(at).ok()?))
}

/// Whether resources of a type have an element of this name, as JSON spells it.
pub fn has_element(resource: &str, name: &str) -> bool {
    let r4 = definitions::Definitions::r4();
    r4.resource(resource)
        .is_some_and(|id| r4.of(id).slots.contains_key(name))
}

/// Whether R4 has a resource of this name.
pub fn is_resource(name: &str) -> bool {
    definitions::Definitions::r4().resource(name).is_some()
}
