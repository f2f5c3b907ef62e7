//! HL7 v2 messages: lazy zero-copy reading, editing and writing, escapes, character sets, batches,
//! acknowledgements and MLLP framing.
//!
//! What it promises:
//! * **Nothing is lost.** An unedited message writes back byte for byte; an edit touches only the
//!   bytes it must.
//! * **Nothing is built that is not asked for.** Parsing finds segment starts; a field is cut when
//!   it is read, and reading does not allocate unless a value has escapes or another character set.
//! * **All input is hostile.** No input panics, memory is bounded by the input's size, and errors and
//!   `Debug` output carry no values.
//! * **Real senders are tolerated.** What is merely wrong is a [`Problem`]; refused is only what
//!   cannot be read.
//!
//! Start from [`Message`], [`Path`] and [`Raw`]; then [`Editor`] and [`Builder`] for writing,
//! [`Ack`](ack::Ack) for answering, [`Batch`] for files, [`mllp`] for the wire.
//!
//! ```
//! use wardline_hl7::{Message, Path};
//!
//! const FAMILY: Path = Path::new("PID-5.1"); // checked at compile time
//! let message = Message::parse("MSH|^~\\&|EHR|H1|||20260101||ADT^A01|1|P|2.5\rPID|1||77||O\\T\\DOE^JANE\r")?;
//! assert_eq!(message.value(&FAMILY).as_deref(), Some("O&DOE"));
//! # Ok::<(), wardline_hl7::ParseError>(())
//! ```

pub mod ack;
mod batch;
mod builder;
mod charset;
mod delimiters;
mod edit;
mod error;
mod escape;
mod index;
mod inspect;
mod message;
pub mod mllp;
pub mod names;
mod path;
mod problem;
mod raw;
mod scan;
mod segment;
pub mod show;
mod splice;
pub mod time;
mod walk;

pub use batch::{Batch, Entry, Envelope};
pub use builder::Builder;
pub use charset::{Charset, CharsetPolicy};
pub use delimiters::Delimiters;
pub use edit::Editor;
pub use error::{EditError, ParseError};
pub use escape::{escape, unescape};
pub use inspect::{Difference, Report, RoundtripError, inspect, roundtrip};
pub use message::{Message, ParseOptions, SegmentEnds};
pub use path::{Path, PathError};
pub use problem::Problem;
pub use raw::{Level, Parts, Raw, Value};
pub use segment::{Fields, Segment};
pub use walk::Leaves;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeExample;
