//! FHIR services that Wardline offers, and what flows keep there.

use super::HttpIn;
use crate::source::Spanned;

/// A path below which others read, search and change resources.
#[derive(Clone, Debug)]
pub struct FhirIn {
    /// Where it hangs, and how senders prove who they are.
    pub http: HttpIn,
    /// Its address, as answers name it.
    pub address: Option<String>,
    /// The connection whose resources are shown, where they are not its own.
    pub of: Option<Spanned<String>>,
    /// What is offered.
    pub resources: Vec<FhirResource>,
}

/// A type of resources that is offered.
#[derive(Clone, Debug)]
pub struct FhirResource {
    /// The type.
    pub kind: Spanned<String>,
    /// The interactions: `read`, `search`, `create`, `update`, `delete`.
    pub acts: Vec<Spanned<String>>,
    /// The parameters that they are searched by.
    pub search: Vec<Spanned<String>>,
    /// Elements that are never given out.
    pub hide: Vec<Spanned<String>>,
    /// The system of the identifier that no two share.
    pub unique: Option<Spanned<String>>,
}

impl FhirResource {
    /// Whether an interaction is offered.
    pub fn does(&self, act: &str) -> bool {
        self.acts.iter().any(|one| one.value == act)
    }
}

/// A destination whose payloads are kept as resources of a service of ours.
#[derive(Clone, Debug)]
pub struct FhirKept {
    /// The connection that listens.
    pub keep: Spanned<String>,
}
