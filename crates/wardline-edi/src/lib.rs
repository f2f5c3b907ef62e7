//! Formats of electronic data interchange that are not HL7: X12 ([`x12`]) and flat files ([`flat`]).
//!
//! Reading streams in constant memory; what is wrong is told as a problem with its place, never guessed away.

pub mod flat;
pub mod x12;
