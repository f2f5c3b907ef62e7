//! What can be wrong with a file.

use std::fmt;

/// What is wrong, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// The bytes are not text of the declared charset.
    Charset,
    /// The file is packed (gzip, zip): it is never unpacked here.
    Compressed,
    /// A NUL stands in the text.
    Nul,
    /// A quote is never closed: the file may be cut.
    OpenQuote,
    /// Something stands between a closing quote and the delimiter.
    AfterQuote,
    /// The record is longer than allowed.
    TooLong,
    /// The last line has no end: the file may be cut.
    NoFinalNewline,
    /// The record has more or fewer columns than declared.
    Columns,
    /// The header line lacks a column, or names one twice.
    Header,
    /// The record is of no declared type.
    UnknownRecord,
    /// A header or trailer stands where none may, or is missing.
    Order,
    /// A required field is empty.
    Required,
    /// A field is not what its type says.
    Type,
    /// A count or an amount does not tie.
    Total,
}

impl What {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Charset => "charset",
            Self::Compressed => "compressed",
            Self::Nul => "nul",
            Self::OpenQuote => "quote.open",
            Self::AfterQuote => "quote.after",
            Self::TooLong => "record.too-long",
            Self::NoFinalNewline => "file.cut",
            Self::Columns => "columns",
            Self::Header => "header",
            Self::UnknownRecord => "record.unknown",
            Self::Order => "record.order",
            Self::Required => "field.required",
            Self::Type => "field.type",
            Self::Total => "total",
        }
    }
}

/// Something wrong, and where. It never quotes the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub what: What,
    /// The line of the record, from 1.
    pub line: u64,
    /// The byte at which the record begins.
    pub offset: u64,
    /// The field.
    pub field: Option<String>,
    /// In words.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}
