//! Flat files: delimited and fixed-width records by a declared [`Layout`].
//!
//! [`Reader`] streams: it holds one record at a time, however long the file is, and gives each
//! with its line and byte. What is wrong is told as a [`Problem`] beside the record it is in; what
//! the file says about itself (counts and amounts in a trailer) is compared at the end, so a file
//! counts as complete only when [`End::ok`] says so. [`Writer`] makes files by the same layout and
//! adds the trailer. No problem ever quotes the file.

pub(crate) mod date;
mod layout;
mod plan;
mod problem;
mod reader;
mod rows;
mod value;
mod window;
mod writer;

pub use layout::{
    Align, Delimited, Escape, Extra, Field, Fixed, Kind, Layout, Place, RecordType, Role, Total,
    Totalled, When,
};
pub use plan::{LayoutError, Plan};
pub use problem::{Problem, What};
pub use reader::{Cell, End, Reader, Record, TotalSeen};
pub use value::Value;
pub use writer::{WriteError, Writer};
