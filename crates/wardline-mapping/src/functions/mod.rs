//! The functions that Wardline adds to VRL, and those of VRL that it withholds.
//!
//! Reading HL7 always reads the message as it arrived; writing writes another one, which becomes
//! the program's result. So the order of reads and writes in a map never matters.

mod address;
mod building;
mod by_schema;
mod calendar;
mod clock;
mod codes;
mod decimals;
mod draft;
mod fhir;
mod finding;
mod identifiers;
mod pure;
mod reading;
mod reference;
mod sequences;
mod times;
mod withheld;
mod writing;
mod x12;
mod xml;

use std::sync::Arc;

use vrl::compiler::Function;

pub(crate) use draft::Draft;
pub use reference::reference;

use crate::session::Session;

/// Functions called for what they do; VRL would warn that their result is not used.
pub(crate) const WRITING: [&str; 5] = [
    "hl7_set",
    "hl7_delete",
    "hl7_append",
    "hl7_build",
    "x12_build",
];

/// The functions that Wardline adds, with their names, parameters, documentation and examples:
/// for a reference, an editor's completion or a language server.
///
/// ```
/// let names: Vec<_> = wardline_mapping::functions().iter().map(|function| function.identifier()).collect();
/// assert!(names.contains(&"hl7"));
/// ```
pub fn functions() -> Vec<Box<dyn Function>> {
    ours(&Arc::default())
}

fn ours(session: &Arc<Session>) -> Vec<Box<dyn Function>> {
    let mut all = special(session);
    all.extend(x12::functions(session));
    all.extend(pure::functions(&calendar::CALENDAR, session));
    all.extend(pure::functions(&decimals::DECIMALS, session));
    all.extend(pure::functions(&xml::XML, session));
    all.extend(by_schema::functions(session));
    all.extend(pure::functions(&fhir::FHIR, session));
    all
}

/// Those that read a message, or something else beside their arguments.
fn special(session: &Arc<Session>) -> Vec<Box<dyn Function>> {
    let session = || Arc::clone(session);
    vec![
        Box::new(reading::Hl7(session())),
        Box::new(reading::Required(session())),
        Box::new(reading::Exists(session())),
        Box::new(sequences::Count(session())),
        Box::new(sequences::Each(session())),
        Box::new(sequences::Repeat(session())),
        Box::new(finding::Find(session())),
        Box::new(times::Time(session())),
        Box::new(times::Stamp(session())),
        Box::new(writing::Set(session())),
        Box::new(writing::Delete(session())),
        Box::new(writing::Append(session())),
        Box::new(building::Build(session())),
        Box::new(codes::Code(session())),
        Box::new(codes::Lookup(session())),
        Box::new(identifiers::UuidV5(session())),
        Box::new(clock::Now),
    ]
}

/// Everything a program may call: ours, VRL's, and stand-ins that say why a function is withheld.
pub(crate) fn available(session: &Arc<Session>) -> Vec<Box<dyn Function>> {
    let mut all = ours(session);
    let taken: Vec<&str> = all.iter().map(|function| function.identifier()).collect();
    let standard = vrl::stdlib::all();
    all.extend(standard.into_iter().filter(|function| {
        !taken.contains(&function.identifier()) && withheld::reason(function.identifier()).is_none()
    }));
    all.extend(withheld::stand_ins(session));
    all
}
