//! Formats of business documents: X12 interchanges ([`x12`]), and delimited and fixed-width
//! records ([`flat`]). Depends on nothing else of Wardline.

pub mod flat;
pub mod x12;
