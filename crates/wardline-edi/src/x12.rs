//! X12 interchanges: envelopes, sets, segments, guides, acknowledgements.
//!
//! What it promises:
//! * **Any delimiters.** They are read from each ISA; nothing is assumed of them but that they differ.
//! * **Constant memory.** [`Reader`] holds one segment at a time; [`Exam`] holds counts, a bounded list of
//!   problems and one short report for each set.
//! * **Nothing is lost.** Segments are slices of what came in; what is written from them is byte for byte that.
//! * **All input is hostile.** No input panics; errors and `Debug` carry no values.
//! * **Real senders are tolerated.** What is merely wrong is a [`Problem`]; refused is only what cannot be read.
//!
//! Start from [`Interchange`] (all of an interchange in hand) or [`Reader`] (a stream), then [`Set`] and [`Path`] for
//! values, [`Exam`] with [`Guides`] for what is wrong, [`ack`] for answers, [`Builder`] for writing.
//!
//! ```
//! use wardline_edi::x12::{Interchange, Path};
//!
//! let text = "ISA*00*          *00*          *ZZ*BUYER          *ZZ*SELLER         *260101*1200*U*00401*000000007*0*P*>~\
//!             GS*PO*BUYER*SELLER*20260101*1200*7*X*004010~ST*850*0001~BEG*00*SA*4500012**20260101~SE*3*0001~GE*1*7~IEA*1*000000007~";
//! let interchange = Interchange::parse(text)?;
//! let set = interchange.sets().next().expect("one set");
//! assert_eq!(set.id(), "850");
//! assert_eq!(set.value(&Path::parse("BEG-03")?).as_deref(), Some("4500012"));
//! assert_eq!(set.value(&Path::parse("ISA-06")?).as_deref(), Some("BUYER"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod ack;
mod build;
mod cut;
mod delimiters;
mod error;
mod exam;
pub mod guide;
mod index;
mod inspect;
mod number;
mod path;
mod reader;
mod report;
mod segment;
mod set;
mod text;

pub use build::{BuildError, Builder, Envelope, Record, functional};
pub use delimiters::Delimiters;
pub use error::{Found, X12Error};
pub use exam::Exam;
pub use guide::{Guide, Guides};
pub use index::Interchange;
pub use inspect::{Report, RoundtripError, inspect, inspect_reader, roundtrip};
pub use number::{NumberError, Numbered, control, renumber};
pub use path::{Path, PathError, Pick};
pub use reader::Reader;
pub use report::{ElementFault, GroupReport, InterchangeReport, Problem, SegmentFault, SetReport};
pub use segment::{Element, Segment};
pub use set::{Area, Set};
pub use text::text;

/// What may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one segment, binary data included.
    pub segment: usize,
    /// Segments of one set that is held in memory.
    pub set_segments: usize,
    /// A release character, where a partner has agreed one: the byte after it is data.
    pub release: Option<u8>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment: 16 << 20,
            set_segments: 2_000_000,
            release: None,
        }
    }
}
