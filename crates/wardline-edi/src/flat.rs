//! Flat files: delimited and fixed-width records by a declared layout.
