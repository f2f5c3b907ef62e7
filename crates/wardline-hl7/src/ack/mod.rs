//! Acknowledgements (HL7 v2.5.1 section 2.9): writing them, reading them, and knowing which are due.
//!
//! ```
//! use wardline_hl7::{Message, ack::{Ack, Code, ErrorCode, Fault}, Path};
//! let message = Message::parse("MSH|^~\\&|EHR|H1|WL|H1|20260101||ADT^A03|77|P|2.5.1\rPID|1\r")?;
//! let nak = Ack::for_message(&message)
//!     .error(Fault::new(ErrorCode::RequiredFieldMissing, "PID-3 is empty").at(Path::new("PID[1]-3")))
//!     .build();
//! let seen = wardline_hl7::ack::read(&nak)?;
//! assert_eq!((seen.code, seen.control_id.as_str()), (Code::AE, "77"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod due;
mod read;
mod write;

use crate::Path;

pub use due::{Due, Mode, Outcome};
pub use read::{AckError, AckView, read};
pub use write::Ack;

/// MSA-1 (table 0008): what became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Application accept: processed (original mode: taken).
    AA,
    /// Application error: the content is wrong; sending it again unchanged will not help.
    AE,
    /// Application reject: not for reasons of content (type, version, state); may be sent again.
    AR,
    /// Commit accept: kept safe, not yet processed.
    CA,
    /// Commit error: cannot be kept, for reasons of content.
    CE,
    /// Commit reject: cannot be kept now.
    CR,
}

impl Code {
    /// As it stands in MSA-1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// From MSA-1; `None` for anything that table 0008 does not have.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR]
            .into_iter()
            .find(|code| code.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// `AA` or `CA`.
    pub fn is_accept(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// `CA`, `CE` or `CR`: an accept acknowledgement of enhanced mode.
    pub fn is_commit(self) -> bool {
        matches!(self, Self::CA | Self::CE | Self::CR)
    }

    fn commit(self) -> Self {
        match self {
            Self::AA | Self::CA => Self::CA,
            Self::AE | Self::CE => Self::CE,
            Self::AR | Self::CR => Self::CR,
        }
    }
}

/// HL7 table 0357: what kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// 100: segments out of order or missing.
    SegmentSequence = 100,
    /// 101: a required field is empty.
    RequiredFieldMissing = 101,
    /// 102: a value is not of its data type.
    DataType = 102,
    /// 103: a value is not in its table.
    TableValueNotFound = 103,
    /// 104: a value is too long.
    ValueTooLong = 104,
    /// 200: the message type is not taken here.
    UnsupportedMessageType = 200,
    /// 201: the event is not taken here.
    UnsupportedEventCode = 201,
    /// 202: production, training or debugging messages are not taken here.
    UnsupportedProcessingId = 202,
    /// 203: the version is not taken here.
    UnsupportedVersionId = 203,
    /// 204: an identifier is not known.
    UnknownKeyIdentifier = 204,
    /// 205: an identifier is already there.
    DuplicateKeyIdentifier = 205,
    /// 206: the record is locked.
    ApplicationRecordLocked = 206,
    /// 207: anything inside the receiver.
    ApplicationInternalError = 207,
}

impl ErrorCode {
    /// The number that stands in ERR-3.1.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The text of table 0357.
    pub fn text(self) -> &'static str {
        match self {
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::ValueTooLong => "Value too long",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEventCode => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersionId => "Unsupported version id",
            Self::UnknownKeyIdentifier => "Unknown key identifier",
            Self::DuplicateKeyIdentifier => "Duplicate key identifier",
            Self::ApplicationRecordLocked => "Application record locked",
            Self::ApplicationInternalError => "Application internal error",
        }
    }
}

/// ERR-4 (table 0516): how bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Severity {
    /// `E`: the message was not taken.
    #[default]
    Error,
    /// `W`: taken, but look at this.
    Warning,
    /// `I`: taken, for information.
    Information,
    /// `F`: not taken, and the receiver itself is broken.
    Fatal,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "E",
            Self::Warning => "W",
            Self::Information => "I",
            Self::Fatal => "F",
        }
    }
}

/// One reason for not accepting; becomes one ERR segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) severity: Severity,
    pub(crate) text: String,
    pub(crate) diagnostic: Option<String>,
    pub(crate) location: Option<Path>,
}

impl Fault {
    /// A reason with a text for the person at the other end (ERR-8, MSA-3). Put no patient data in
    /// it: acknowledgements end up in logs.
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            text: text.into(),
            diagnostic: None,
            location: None,
        }
    }

    /// The position it is about (ERR-2, before version 2.5 ERR-1).
    #[must_use]
    pub fn at(mut self, location: Path) -> Self {
        self.location = Some(location);
        self
    }

    /// Technical detail for the other end's support (ERR-7).
    #[must_use]
    pub fn diagnostic(mut self, text: impl Into<String>) -> Self {
        self.diagnostic = Some(text.into());
        self
    }

    /// Another severity than error.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}
