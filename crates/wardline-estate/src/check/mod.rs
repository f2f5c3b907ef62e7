//! The estate as a whole: does every reference lead somewhere, can everything start, does anything
//! lie idle. Shapes and values were checked before; here only names and relations matter.

mod apis;
mod bindings;
mod caches;
mod clients;
mod doors;
mod dropboxes;
mod events;
mod fhir_in;
mod jobs;
mod people;
mod processes;
mod references;
mod routes;
mod scim_in;
mod smtp;
mod soap;
mod soap_in;
mod sql;
mod steps;
mod surface;
mod tests;
mod usage;
mod x12;

pub(crate) use usage::{store_of_environment, unsupported_store};

use crate::decode::Learned;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Estate;
use std::collections::BTreeSet;

/// What the checks look at.
pub(crate) struct Whole<'a> {
    pub(crate) estate: &'a Estate,
    pub(crate) learned: &'a Learned,
    /// Kinds of files of which some could not be read. Names that such a file may declare are not
    /// reported as missing: the reader would be sent looking for a mistake that is not there.
    pub(crate) incomplete: &'a BTreeSet<&'static str>,
    /// Whether a secret exists on this machine; `None` where nobody can say.
    pub(crate) secret_exists: Option<&'a crate::load::SecretExists<'a>>,
    /// What was found before.
    pub(crate) found: &'a Diagnostics,
}

impl Whole<'_> {
    fn complete(&self, kind: &str) -> bool {
        !self.incomplete.contains(kind)
    }
}

/// Everything that is wrong with the whole.
pub(crate) fn check(whole: &Whole<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    references::check(whole, &mut problems);
    doors::check(whole, &mut problems);
    dropboxes::check(whole, &mut problems);
    soap::check(whole, &mut problems);
    scim_in::check(whole, &mut problems);
    fhir_in::check(whole, &mut problems);
    x12::check(whole, &mut problems);
    smtp::check(whole, &mut problems);
    sql::check(whole, &mut problems);
    events::check(whole, &mut problems);
    jobs::check(whole, &mut problems);
    people::check(whole, &mut problems);
    usage::check(whole, &mut problems);
    problems
}
