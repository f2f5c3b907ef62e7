//! Delimited and fixed-width records.
