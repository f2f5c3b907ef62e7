//! X12 interchanges.
