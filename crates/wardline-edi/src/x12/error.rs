//! Why input was refused: one variant for each reason, each with a stable code.
//!
//! No variant carries bytes of the input, so an error may be logged and sent back to a partner.

use thiserror::Error;

/// Why bytes are not an X12 interchange.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum X12Error {
    /// Nothing but white space, or nothing at all.
    #[error(
        "cannot read an X12 interchange: the input is empty; check that the sender wrote the file completely"
    )]
    Empty,
    /// The first segment is not ISA.
    #[error(
        "cannot read an X12 interchange: it must begin with ISA, but byte {offset} begins {}", found.says()
    )]
    NoHeader {
        /// Offset of the first byte that is not white space.
        offset: usize,
        /// What was found in its place.
        found: Found,
    },
    /// The input ends within ISA.
    #[error(
        "cannot read the delimiters: ISA ends at byte {offset}, before its sixteenth element and terminator"
    )]
    HeaderCut {
        /// Where it ends.
        offset: usize,
    },
    /// A letter, a digit or a blank stands where a delimiter must.
    #[error(
        "cannot read the delimiters: byte {offset} of ISA is a letter, a digit or a blank where a delimiter must stand; check that no element of ISA is missing"
    )]
    BadSeparator {
        /// Offset of the byte.
        offset: usize,
    },
    /// Two delimiters are the same byte.
    #[error(
        "cannot read the delimiters: two of those that ISA declares are the same (byte {offset}); each must differ"
    )]
    SameDelimiter {
        /// Offset of ISA16.
        offset: usize,
    },
    /// A segment longer than [`Limits::segment`](super::Limits::segment).
    #[error(
        "cannot read the segment at byte {offset}: it has no end within {limit} bytes; check the segment terminator, or raise the limit where the partner means it"
    )]
    SegmentTooLong {
        /// Where it begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// A set longer than [`Limits::set_segments`](super::Limits::set_segments).
    #[error(
        "cannot hold the set at byte {offset}: it has more than {limit} segments; read it as a stream"
    )]
    SetTooLong {
        /// Where it begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// There is no transaction set to be read.
    #[error("the interchange holds no transaction set; nothing was sent in it")]
    NoSets,
    /// The source could not be read.
    #[error("cannot read the interchange: {0}")]
    Io(#[from] std::io::Error),
}

/// What stands where ISA was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// UNA or UNB.
    Edifact,
    /// `<`.
    Xml,
    /// `{` or `[`.
    Json,
    /// MSH, FHS or BHS.
    Hl7,
    /// GS or ST: the envelope is missing.
    NoEnvelope,
    /// Anything else.
    Other,
}

impl Found {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let starts = |names: &[&str]| names.iter().any(|name| bytes.starts_with(name.as_bytes()));
        if starts(&["UNA", "UNB"]) {
            Self::Edifact
        } else if starts(&["<"]) {
            Self::Xml
        } else if starts(&["{", "["]) {
            Self::Json
        } else if starts(&["MSH", "FHS", "BHS"]) {
            Self::Hl7
        } else if starts(&["GS*", "ST*"]) {
            Self::NoEnvelope
        } else {
            Self::Other
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::Edifact => "an EDIFACT interchange, which is another standard",
            Self::Xml => "XML",
            Self::Json => "JSON",
            Self::Hl7 => "HL7 v2",
            Self::NoEnvelope => {
                "a group or set without an interchange around it; ask the sender for the whole interchange"
            }
            Self::Other => "other content",
        }
    }
}

impl X12Error {
    /// A stable, machine-readable code (`x12.no-header` …), for logs and `check --json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "x12.empty",
            Self::NoHeader { .. } => "x12.no-header",
            Self::HeaderCut { .. } => "x12.header-cut",
            Self::BadSeparator { .. } => "x12.separator",
            Self::SameDelimiter { .. } => "x12.same-delimiter",
            Self::SegmentTooLong { .. } => "x12.segment-too-long",
            Self::SetTooLong { .. } => "x12.set-too-long",
            Self::NoSets => "x12.no-sets",
            Self::Io(_) => "x12.unreadable",
        }
    }

    /// Where in the input, where that is known.
    pub fn offset(&self) -> usize {
        match self {
            Self::NoHeader { offset, .. }
            | Self::HeaderCut { offset }
            | Self::BadSeparator { offset }
            | Self::SameDelimiter { offset }
            | Self::SegmentTooLong { offset, .. }
            | Self::SetTooLong { offset, .. } => *offset,
            Self::Empty | Self::NoSets | Self::Io(_) => 0,
        }
    }
}
