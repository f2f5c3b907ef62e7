//! DICOM without a platform: data sets, files of Part 10, and both sides of an association.
//!
//! What the crate promises:
//! - Memory does not grow with an object. Values that nobody asked for are stepped over; an object
//!   that arrives is handed on in fragments as they come.
//! - No input panics, and nothing is believed: lengths are held against what holds them, nesting,
//!   counts and times have limits ([`Limits`], [`net::Terms`]).
//! - No error quotes a value of a data set.
//!
//! Start with [`DataSet`] (what was read), [`Object`] (a file and what it says of itself) and
//! [`net::serve`] (an association that others opened).

pub mod data;
mod file;
mod json;
pub mod net;
pub mod uid;
pub mod worklist;

pub use data::{DataSet, Element, Encoding, Limits, Malformed, Tag, Value, Vr};
pub use file::{FileError, Findings, Head, Object, examine, file_head, head_of};
pub use json::{FromJsonError, from_json, to_json};
