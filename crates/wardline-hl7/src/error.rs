//! Why input was refused: one variant per reason, each with a stable code and a byte offset.
//!
//! No variant carries bytes of the message, so an error may be logged and sent back to a peer.

use thiserror::Error;

/// Why bytes are not an HL7 v2 message.
///
/// The parser is tolerant: it refuses only what it cannot read at all. Everything else that is
/// wrong is listed by [`Message::problems`](crate::Message::problems).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Nothing but white space, framing bytes or nothing at all.
    #[error(
        "cannot read an HL7 message: the input is empty; check that the sender wrote the file or frame completely"
    )]
    Empty,
    /// The first segment is not `MSH`.
    #[error(
        "cannot read an HL7 message: it must begin with MSH, but byte {offset} begins another text{}",
        match found_at { Some(at) => format!("; an MSH segment starts at byte {at}, so remove what stands before it"), None => String::from(" and no MSH segment follows; check that the content is HL7 v2 (not XML, JSON or a batch trailer)") }
    )]
    NoHeader {
        /// Offset of the first byte that is not white space.
        offset: usize,
        /// Where a line that begins with `MSH` is found later on, if anywhere.
        found_at: Option<usize>,
    },
    /// The input is a batch or file of messages (`FHS`/`BHS`), not one message.
    #[error(
        "cannot read one HL7 message: byte {offset} begins a batch ({kind}); split it with Batch::parse and read each message"
    )]
    IsBatch {
        /// Offset of the batch header.
        offset: usize,
        /// `FHS` or `BHS`.
        kind: &'static str,
    },
    /// A batch holds no message at all.
    #[error(
        "cannot read messages from the batch that starts at byte {offset}: it holds no MSH segment; nothing was sent in it"
    )]
    NoMessages {
        /// Offset of the batch header.
        offset: usize,
    },
    /// `MSH` is cut off before MSH-2.
    #[error(
        "cannot read the delimiters: MSH ends at byte {offset}, before its encoding characters; the message was cut off"
    )]
    HeaderCut {
        /// Offset at which the input ends.
        offset: usize,
    },
    /// The field separator is a letter, a digit, a control or a blank.
    #[error(
        "cannot read the delimiters: byte {offset} (MSH-1) cannot be a field separator; HL7 uses '|' there"
    )]
    BadFieldSeparator {
        /// Offset of MSH-1.
        offset: usize,
    },
    /// MSH-2 holds a letter, a digit or a control byte: most likely it was left out.
    #[error(
        "cannot read the delimiters: byte {offset} of MSH-2 cannot be an encoding character; check that MSH-2 (^~\\&) was not left out"
    )]
    BadEncodingCharacter {
        /// Offset of the byte.
        offset: usize,
    },
    /// Two delimiters in MSH-1/MSH-2 are the same byte.
    #[error(
        "cannot read the delimiters: byte {offset} repeats an earlier delimiter of MSH-1/MSH-2; each must differ, as in MSH|^~\\&|"
    )]
    DuplicateDelimiter {
        /// Offset of the second use.
        offset: usize,
    },
    /// More than `u32::MAX` bytes.
    #[error(
        "cannot index a message of {size} bytes: the largest supported size is 4 GiB; send large documents by reference"
    )]
    TooLarge {
        /// Size of the input in bytes.
        size: usize,
    },
    /// More segments than [`ParseOptions::max_segments`](crate::ParseOptions::max_segments).
    #[error("cannot index the message: byte {offset} begins segment {}, and {limit} is the limit; raise max_segments if this sender means it", limit + 1)]
    TooManySegments {
        /// Offset of the first segment that was not taken.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The text is UTF-32 or another form that cannot be read.
    #[error(
        "cannot read an HL7 message: the bytes are {form}, which is not supported; send it as UTF-8"
    )]
    UnsupportedForm {
        /// What the bytes look like.
        form: &'static str,
    },
}

impl ParseError {
    /// A stable, machine-readable code (`hl7.no-header` …), for logs and `check --json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "hl7.empty",
            Self::NoHeader { .. } => "hl7.no-header",
            Self::IsBatch { .. } => "hl7.is-batch",
            Self::NoMessages { .. } => "hl7.no-messages",
            Self::HeaderCut { .. } => "hl7.header-cut",
            Self::BadFieldSeparator { .. } => "hl7.field-separator",
            Self::BadEncodingCharacter { .. } => "hl7.encoding-characters",
            Self::DuplicateDelimiter { .. } => "hl7.duplicate-delimiter",
            Self::TooLarge { .. } => "hl7.too-large",
            Self::TooManySegments { .. } => "hl7.too-many-segments",
            Self::UnsupportedForm { .. } => "hl7.unsupported-form",
        }
    }

    /// Byte offset the error is about, counted from the start of the input.
    pub fn offset(&self) -> usize {
        match self {
            Self::Empty | Self::UnsupportedForm { .. } | Self::TooLarge { .. } => 0,
            Self::NoHeader { offset, .. }
            | Self::IsBatch { offset, .. }
            | Self::NoMessages { offset }
            | Self::TooManySegments { offset, .. }
            | Self::HeaderCut { offset }
            | Self::BadFieldSeparator { offset }
            | Self::BadEncodingCharacter { offset }
            | Self::DuplicateDelimiter { offset } => *offset,
        }
    }

    /// The same error seen from a larger input in which this one starts at `base`.
    #[must_use]
    pub fn shifted(mut self, base: usize) -> Self {
        match &mut self {
            Self::Empty | Self::UnsupportedForm { .. } | Self::TooLarge { .. } => {}
            Self::NoHeader { offset, found_at } => {
                *offset += base;
                if let Some(at) = found_at {
                    *at += base;
                }
            }
            Self::IsBatch { offset, .. }
            | Self::NoMessages { offset }
            | Self::TooManySegments { offset, .. }
            | Self::HeaderCut { offset }
            | Self::BadFieldSeparator { offset }
            | Self::BadEncodingCharacter { offset }
            | Self::DuplicateDelimiter { offset } => *offset += base,
        }
        self
    }
}

/// Why an edit or a new message could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// The path's text is not a path.
    #[error(transparent)]
    Path(#[from] crate::PathError),
    /// The path names only a segment where a field is needed.
    #[error(
        "cannot write to {path}: it names a segment, not a field; name a field such as {path}-1"
    )]
    NeedsField {
        /// The path as text.
        path: String,
    },
    /// The addressed occurrence is further than one past the last one.
    #[error(
        "cannot write to {path}: the message has {present} such segment(s); add the ones before it first"
    )]
    NoSegment {
        /// The path as text.
        path: String,
        /// How many segments of that name are there.
        present: usize,
    },
    /// MSH-1 or MSH-2 were addressed.
    #[error(
        "cannot write to {path}: delimiters are fixed once a message exists; choose them with Builder::delimiters"
    )]
    Delimiters {
        /// The path as text.
        path: String,
    },
    /// MSH was to be removed or doubled.
    #[error(
        "cannot add or remove an MSH segment: a message has exactly one; build a new message instead"
    )]
    Header,
    /// Not a segment name.
    #[error(
        "cannot add a segment named {name:?}: a name is three characters, a capital letter and two capital letters or digits"
    )]
    BadSegmentName {
        /// The name as given.
        name: String,
    },
    /// The message has no separator for the addressed level.
    #[error(
        "cannot write to {path}: the message's MSH-2 has no separator for that level; write the level above it"
    )]
    NoDelimiter {
        /// The path as text.
        path: String,
    },
    /// A character cannot be written in the message's character set.
    #[error(
        "cannot write to {path}: the value has a character that {charset} lacks; set MSH-18 to UNICODE UTF-8 with Editor::set_charset"
    )]
    Unmappable {
        /// The path as text, or `message` for the whole.
        path: String,
        /// Name of the character set.
        charset: &'static str,
    },
    /// Raw bytes hold a segment end or the result would not parse.
    #[error(
        "cannot write to {path}: raw bytes may not hold a segment end (CR or LF); escape them or use set()"
    )]
    RawSegmentEnd {
        /// The path as text.
        path: String,
    },
    /// The path asks for a position that no real message has, such as field 60000.
    #[error(
        "cannot write to {path}: writing it would add {added} empty positions; the limit is {limit}"
    )]
    TooFar {
        /// The path as text.
        path: String,
        /// How many separators would be needed.
        added: usize,
        /// The largest allowed number.
        limit: usize,
    },
    /// The edited bytes are not a message any more.
    #[error("cannot finish the edit: {0}")]
    Parse(#[from] ParseError),
}

impl From<std::convert::Infallible> for EditError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
