//! JSON bounded and checked while it is read (RFC 8259), before anything is built from it.
//!
//! [`Scanner`] is fed the body as it arrives, in pieces of any size, and refuses at the very byte at
//! which a limit is broken or the text stops being JSON. It builds no value: its memory is one small
//! frame for each open object or array and one number for each key of the document, both bounded by
//! [`Limits`], and its time is linear in what it is fed. A gateway can so stop reading a hostile body
//! long before a parser would have allocated for it.
//!
//! Stricter than some parsers: no byte order mark, no lone surrogates, and by default no key twice
//! in one object, because two parsers that disagree on which of the two counts are a way around
//! every check (CWE-436).
//!
//! ```
//! use wardline_contract::json::{Limit, Limits, Reason, Scanner};
//! let limits = Limits { depth: 2, ..Limits::default() };
//! let mut scanner = Scanner::new(&limits);
//! scanner.feed(br#"{"a": [1, 2"#)?;
//! let refusal = scanner.feed(b", [3]]}").unwrap_err();
//! assert_eq!(refusal.reason, Reason::Limit(Limit::Depth, 2));
//! assert_eq!(refusal.at, 13);
//! # Ok::<(), wardline_contract::json::Refusal>(())
//! ```

mod scan;
mod text;

pub use scan::Scanner;

use std::fmt;

use thiserror::Error;

/// How much JSON is taken. Every limit is the largest count that is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays open at the same time.
    pub depth: u32,
    /// Values in the whole document: objects, arrays, texts, numbers, `true`, `false`, `null`.
    pub nodes: u32,
    /// Keys of one object.
    pub keys: u32,
    /// Bytes of one text or key, as UTF-8 and after its escapes are read.
    pub string: u32,
    /// Digits of one number, those of its exponent included.
    pub number_digits: u32,
    /// Bytes of the whole document.
    pub bytes: u64,
    /// Whether an object may have the same key twice. RFC 8259 allows it and warns of it.
    pub duplicate_keys: bool,
}

impl Default for Limits {
    /// 32 levels, 100,000 values, 1,000 keys an object, 256 KiB a text, 64 digits, 1 MiB, no
    /// duplicate key.
    fn default() -> Self {
        Self {
            depth: 32,
            nodes: 100_000,
            keys: 1_000,
            string: 256 * 1024,
            number_digits: 64,
            bytes: 1024 * 1024,
            duplicate_keys: false,
        }
    }
}

/// Which limit was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::nodes`].
    Nodes,
    /// [`Limits::keys`].
    Keys,
    /// [`Limits::string`].
    String,
    /// [`Limits::number_digits`].
    NumberDigits,
    /// [`Limits::bytes`].
    Bytes,
}

impl Limit {
    /// Its name in the estate and in problems: `depth`, `nodes`, `keys`, `string`, `digits`, `bytes`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Nodes => "nodes",
            Self::Keys => "keys",
            Self::String => "string",
            Self::NumberDigits => "digits",
            Self::Bytes => "bytes",
        }
    }
}

/// What about the text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Something else stands where a value must begin.
    Value,
    /// Something else stands where a key or `}` must.
    Key,
    /// A `:` is missing after a key.
    Colon,
    /// Neither a comma nor the end of the object or array.
    Separator,
    /// `}` closes an array or `]` an object.
    Mismatch,
    /// Something follows the value.
    Trailing,
    /// A number is malformed: a leading zero, a bare sign or point, no digit after the exponent.
    Number,
    /// A word that is not `true`, `false` or `null`.
    Word,
    /// A control character inside a text that is not escaped.
    Control,
    /// A backslash followed by what is no escape.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// Bytes that are not UTF-8, or a byte order mark.
    Encoding,
    /// A key that the object already has.
    DuplicateKey,
    /// The text ends before the value does, or is empty.
    End,
}

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It breaks a limit, whose value is given.
    Limit(Limit, u64),
    /// It is not JSON.
    Syntax(Fault),
}

/// A document that is refused, and the byte at which that was clear. Holds nothing of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the JSON is refused at byte {at}: {reason}")]
pub struct Refusal {
    /// Offset of the byte, from 0; the length of the document where it ended too early.
    pub at: u64,
    /// Why.
    pub reason: Reason,
}

impl Refusal {
    /// The status that HTTP has for it: 413 where there are too many bytes, otherwise 400.
    pub fn status(&self) -> http::StatusCode {
        match self.reason {
            Reason::Limit(Limit::Bytes, _) => http::StatusCode::PAYLOAD_TOO_LARGE,
            _ => http::StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit, most) => match limit {
                Limit::Depth => write!(f, "more than {most} levels of objects and arrays"),
                Limit::Nodes => write!(f, "more than {most} values"),
                Limit::Keys => write!(f, "an object with more than {most} keys"),
                Limit::String => write!(f, "a text of more than {most} bytes"),
                Limit::NumberDigits => write!(f, "a number of more than {most} digits"),
                Limit::Bytes => write!(f, "more than {most} bytes"),
            },
            Self::Syntax(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "expected a value",
            Self::Key => "expected a key in double quotes or the end of the object",
            Self::Colon => "expected a colon after the key",
            Self::Separator => "expected a comma or the end of the object or array",
            Self::Mismatch => "an object must end with `}` and an array with `]`",
            Self::Trailing => "nothing may follow the value",
            Self::Number => "this is not a number as JSON writes them",
            Self::Word => "only the words true, false and null are values",
            Self::Control => "control characters must be escaped",
            Self::Escape => "this is not an escape",
            Self::Surrogate => "half of a surrogate pair",
            Self::Encoding => "JSON is UTF-8 without a byte order mark",
            Self::DuplicateKey => "the object already has this key",
            Self::End => "the text ends too early",
        })
    }
}

/// What a document was that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its bytes.
    pub bytes: u64,
    /// Its values.
    pub nodes: u32,
}

/// Checks a document that is at hand as a whole.
///
/// # Errors
/// Where it is not JSON or breaks a limit.
///
/// ```
/// use wardline_contract::json::{Limits, check};
/// assert_eq!(check(b"[1, 2]", &Limits::default())?.nodes, 3);
/// assert!(check(b"[01]", &Limits::default()).is_err());
/// # Ok::<(), wardline_contract::json::Refusal>(())
/// ```
pub fn check(text: &[u8], limits: &Limits) -> Result<Seen, Refusal> {
    let mut scanner = Scanner::new(limits);
    scanner.feed(text)?;
    scanner.finish()
}
