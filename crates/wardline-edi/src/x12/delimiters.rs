//! The delimiters of an interchange, as its ISA segment has them.

use super::error::X12Error;

/// Offsets of the sixteen element separators in an ISA of the prescribed widths.
const PLACES: [usize; 16] = [
    3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103,
];
/// Bytes of an ISA of the prescribed widths, its terminator included.
pub(super) const ISA: usize = 106;
/// An ISA whose elements are not of the prescribed widths is looked for this far.
const LONGEST: usize = 512;

/// The bytes that separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiters {
    /// Between elements, `*`.
    pub element: u8,
    /// Between components, ISA16, `:`.
    pub component: u8,
    /// After each segment, `~`.
    pub terminator: u8,
    /// Between repetitions, ISA11 from version 00402 on, `^`.
    pub repetition: Option<u8>,
    /// Makes the byte after it data, where partners have agreed one.
    pub release: Option<u8>,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            element: b'*',
            component: b':',
            terminator: b'~',
            repetition: Some(b'^'),
            release: None,
        }
    }
}

/// An ISA that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) delimiters: Delimiters,
    /// Bytes without the terminator.
    pub(super) len: usize,
    /// Its elements have the prescribed widths.
    pub(super) regular: bool,
}

/// Whether an ISA begins here.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ISA")
        && bytes
            .get(3)
            .is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// Reads the ISA at the start of `bytes`; `Ok(None)` where more bytes are needed to say.
pub(super) fn header(
    bytes: &[u8],
    offset: usize,
    release: Option<u8>,
    complete: bool,
) -> Result<Option<Header>, X12Error> {
    let Some(&element) = bytes.get(3) else {
        return if complete {
            Err(X12Error::HeaderCut {
                offset: offset + bytes.len(),
            })
        } else {
            Ok(None)
        };
    };
    if element.is_ascii_alphanumeric() || element == b' ' {
        return Err(X12Error::BadSeparator { offset: offset + 3 });
    }
    let regular = bytes.len() >= ISA && PLACES.iter().all(|&at| bytes[at] == element);
    let last = if regular {
        PLACES[15]
    } else {
        let window = &bytes[..bytes.len().min(LONGEST)];
        match memchr::memchr_iter(element, window).nth(15) {
            Some(at) => at,
            None if !complete && bytes.len() < LONGEST => return Ok(None),
            None => {
                return Err(X12Error::HeaderCut {
                    offset: offset + window.len(),
                });
            }
        }
    };
    let Some((&component, &terminator)) = bytes.get(last + 1).zip(bytes.get(last + 2)) else {
        return if complete {
            Err(X12Error::HeaderCut {
                offset: offset + bytes.len(),
            })
        } else {
            Ok(None)
        };
    };
    if component.is_ascii_alphanumeric() {
        return Err(X12Error::BadSeparator {
            offset: offset + last + 1,
        });
    }
    if terminator.is_ascii_alphanumeric() || terminator == b' ' {
        return Err(X12Error::BadSeparator {
            offset: offset + last + 2,
        });
    }
    if component == element || terminator == element || terminator == component {
        return Err(X12Error::SameDelimiter {
            offset: offset + last + 1,
        });
    }
    let isa = &bytes[..last + 2];
    let mut parts = isa.split(|&byte| byte == element);
    let eleven = parts.nth(11).unwrap_or_default();
    let version = parts.next().unwrap_or_default();
    let repetition = match eleven {
        [byte]
            if version >= b"00402".as_slice()
                && !byte.is_ascii_alphanumeric()
                && *byte != b' '
                && ![element, component, terminator].contains(byte) =>
        {
            Some(*byte)
        }
        _ => None,
    };
    Ok(Some(Header {
        delimiters: Delimiters {
            element,
            component,
            terminator,
            repetition,
            release,
        },
        len: last + 2,
        regular,
    }))
}

impl Delimiters {
    /// Whether a byte would be read as a delimiter.
    pub fn contains(self, byte: u8) -> bool {
        byte == self.element
            || byte == self.component
            || byte == self.terminator
            || self.repetition == Some(byte)
            || self.release == Some(byte)
    }

    /// Where `delimiter` stands first at or after `from`, passed over where it is released.
    pub(super) fn find(self, delimiter: u8, bytes: &[u8], from: usize) -> Option<usize> {
        let mut from = from;
        loop {
            let at = from + memchr::memchr(delimiter, bytes.get(from..)?)?;
            let released = self.release.is_some_and(|release| {
                bytes[..at]
                    .iter()
                    .rev()
                    .take_while(|&&b| b == release)
                    .count()
                    % 2
                    == 1
            });
            if !released {
                return Some(at);
            }
            from = at + 1;
        }
    }
}
