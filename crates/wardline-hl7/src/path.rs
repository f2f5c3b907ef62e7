//! Addresses inside a message: `PID-5.1`, `OBX[3]-5[2].1.2`.
//!
//! A path is checked where it is written (at compile time with [`Path::new`] in a `const`) and
//! is then eight small numbers, so reading with it never parses text again.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Where a value stands: segment, its occurrence, field, repetition, component, subcomponent.
///
/// All numbers count from 1, as in the standard. What is not named:
/// * occurrence: the first segment of that name;
/// * repetition: all repetitions where nothing deeper is named, else the first;
/// * component, subcomponent: the whole of the level above.
///
/// Accepted forms: `PID-5`, `PID-5.1`, `PID-5.1.2`, `PID-5[2].1`, `OBX[3]-5`, and with round
/// brackets or other separators, as other tools write them: `OBX(3)-5(1).1`, `PID.5.1`, `PID-5-1`.
/// `PID` alone names a segment.
///
/// ```
/// use wardline_hl7::Path;
/// const FAMILY: Path = Path::new("PID-5.1");
/// assert_eq!(FAMILY.to_string(), "PID-5.1");
/// assert_eq!(Path::parse("OBX(2)-5(1).1").unwrap().to_string(), "OBX[2]-5[1].1");
/// assert!(Path::parse("PID-0").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    pub(crate) segment: [u8; 3],
    pub(crate) occurrence: u32,
    pub(crate) field: u16,
    pub(crate) repetition: u16,
    pub(crate) component: u16,
    pub(crate) subcomponent: u16,
}

/// What is wrong with a path's text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not an HL7 path: {reason} (at character {}); write it as PID-5.1, PID-5[2].1.2 or OBX[3]-5", position + 1)]
pub struct PathError {
    /// The text as given.
    pub text: String,
    /// What is wrong, in words.
    pub reason: &'static str,
    /// Byte position in `text`, from 0.
    pub position: usize,
}

/// [`PathError`] before the text is attached: `const` code cannot allocate.
struct Fault {
    reason: &'static str,
    position: usize,
}

impl Path {
    /// A path that the programmer wrote; in a `const` it is checked at compile time.
    ///
    /// # Panics
    /// Where the text is not a path. Use [`Path::parse`] for text from elsewhere.
    pub const fn new(text: &str) -> Self {
        match read(text.as_bytes()) {
            Ok(path) => path,
            Err(_) => panic!("not an HL7 path; write it as PID-5.1, PID-5[2].1.2 or OBX[3]-5"),
        }
    }

    /// Reads a path from text.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        read(text.as_bytes()).map_err(|fault| PathError {
            text: text.into(),
            reason: fault.reason,
            position: fault.position,
        })
    }

    /// Three-letter name of the segment.
    pub fn segment(&self) -> &str {
        std::str::from_utf8(&self.segment).unwrap_or("???")
    }

    /// Which segment of that name, from 1, where the path says so.
    pub fn occurrence(&self) -> Option<u32> {
        (self.occurrence != 0).then_some(self.occurrence)
    }

    /// Field number; `None` where the path names a whole segment.
    pub fn field(&self) -> Option<u16> {
        named(self.field)
    }

    /// Repetition number where the path says so.
    pub fn repetition(&self) -> Option<u16> {
        named(self.repetition)
    }

    /// Component number where the path says so.
    pub fn component(&self) -> Option<u16> {
        named(self.component)
    }

    /// Subcomponent number where the path says so.
    pub fn subcomponent(&self) -> Option<u16> {
        named(self.subcomponent)
    }

    /// The same position in the `n`-th (from 1) segment of that name.
    #[must_use]
    pub const fn in_occurrence(mut self, n: u32) -> Self {
        self.occurrence = n;
        self
    }

    /// The same position in the `n`-th (from 1) repetition of the field.
    #[must_use]
    pub const fn in_repetition(mut self, n: u16) -> Self {
        self.repetition = n;
        self
    }

    /// True for MSH-1, MSH-2 and their like in FHS and BHS, which hold delimiters.
    pub const fn is_delimiters(&self) -> bool {
        is_header(self.segment) && (self.field == 1 || self.field == 2)
    }
}

/// Segments whose field 1 is the field separator itself.
#[inline]
pub(crate) const fn is_header(segment: [u8; 3]) -> bool {
    matches!(&segment, b"MSH" | b"FHS" | b"BHS")
}

fn named(number: u16) -> Option<u16> {
    (number != 0).then_some(number)
}

const fn read(text: &[u8]) -> Result<Path, Fault> {
    if text.len() < 3 {
        return Err(Fault {
            reason: "a segment name has three characters",
            position: 0,
        });
    }
    let segment = [text[0], text[1], text[2]];
    if segment[0].is_ascii_lowercase() {
        return Err(Fault {
            reason: "segment names are capital letters",
            position: 0,
        });
    }
    let mut index = 0;
    while index < 3 {
        let fits =
            segment[index].is_ascii_uppercase() || (index > 0 && segment[index].is_ascii_digit());
        if !fits {
            return Err(Fault {
                reason: "a segment name is a capital letter and two capital letters or digits",
                position: index,
            });
        }
        index += 1;
    }
    let mut path = Path {
        segment,
        occurrence: 0,
        field: 0,
        repetition: 0,
        component: 0,
        subcomponent: 0,
    };
    let mut at = 3;
    (path.occurrence, at) = match bracketed(text, at, MOST_SEGMENTS) {
        Ok(read) => read,
        Err(fault) => return Err(fault),
    };
    if at == text.len() {
        return Ok(path);
    }
    (path.field, at) = match separated(text, at) {
        Ok(read) => read,
        Err(fault) => return Err(fault),
    };
    (path.repetition, at) = match bracketed(text, at, MOST) {
        Ok((value, end)) => (value as u16, end),
        Err(fault) => return Err(fault),
    };
    if at < text.len() {
        (path.component, at) = match separated(text, at) {
            Ok(read) => read,
            Err(fault) => return Err(fault),
        };
    }
    if at < text.len() {
        (path.subcomponent, at) = match separated(text, at) {
            Ok(read) => read,
            Err(fault) => return Err(fault),
        };
    }
    if at < text.len() {
        return Err(Fault {
            reason: "nothing may follow the subcomponent",
            position: at,
        });
    }
    if path.is_delimiters() && (path.component != 0 || path.repetition > 1) {
        return Err(Fault {
            reason: "MSH-1 and MSH-2 hold the delimiters themselves and have no components",
            position: 4,
        });
    }
    Ok(path)
}

/// `[3]` or `(3)` at `at`, or nothing.
const fn bracketed(text: &[u8], at: usize, most: u32) -> Result<(u32, usize), Fault> {
    if at >= text.len() || !matches!(text[at], b'[' | b'(') {
        return Ok((0, at));
    }
    let close = if text[at] == b'[' { b']' } else { b')' };
    match number(text, at + 1, most) {
        Ok((value, end)) => {
            if end < text.len() && text[end] == close {
                Ok((value, end + 1))
            } else {
                Err(Fault {
                    reason: "the bracket is not closed",
                    position: end,
                })
            }
        }
        Err(fault) => Err(fault),
    }
}

/// `-5` or `.5` at `at`.
const fn separated(text: &[u8], at: usize) -> Result<(u16, usize), Fault> {
    if matches!(text[at], b'-' | b'.') {
        match number(text, at + 1, MOST) {
            Ok((value, end)) => Ok((value as u16, end)),
            Err(fault) => Err(fault),
        }
    } else {
        Err(Fault {
            reason: "'-' or '.' must stand here",
            position: at,
        })
    }
}

/// Largest number of a field, repetition, component or subcomponent.
const MOST: u32 = 9999;
/// Largest number of a segment's occurrence: result messages with many thousand OBX exist.
const MOST_SEGMENTS: u32 = 999_999;

const fn number(text: &[u8], start: usize, most: u32) -> Result<(u32, usize), Fault> {
    let mut at = start;
    let mut value: u32 = 0;
    while at < text.len() && text[at].is_ascii_digit() {
        value = value * 10 + (text[at] - b'0') as u32;
        if value > most {
            return Err(Fault {
                reason: "the number is too large (at most 9999, a segment's 999999)",
                position: start,
            });
        }
        at += 1;
    }
    if at == start {
        return Err(Fault {
            reason: "a number must stand here",
            position: start,
        });
    }
    if value == 0 {
        return Err(Fault {
            reason: "numbers count from 1",
            position: start,
        });
    }
    Ok((value, at))
}

impl TryFrom<&str> for Path {
    type Error = PathError;
    fn try_from(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl TryFrom<&String> for Path {
    type Error = PathError;
    fn try_from(text: &String) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        *path
    }
}

impl FromStr for Path {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.segment())?;
        if let Some(n) = self.occurrence() {
            write!(f, "[{n}]")?;
        }
        if let Some(n) = self.field() {
            write!(f, "-{n}")?;
        }
        if let Some(n) = self.repetition() {
            write!(f, "[{n}]")?;
        }
        if let Some(n) = self.component() {
            write!(f, ".{n}")?;
        }
        if let Some(n) = self.subcomponent() {
            write!(f, ".{n}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, shown) in [
            ("PID", "PID"),
            ("PID-5", "PID-5"),
            ("PID-5.1", "PID-5.1"),
            ("PID.5.1", "PID-5.1"),
            ("PID-5-1-2", "PID-5.1.2"),
            ("PID-5[2].1.2", "PID-5[2].1.2"),
            ("OBX[3]-5", "OBX[3]-5"),
            ("OBX(2)-5(1).1", "OBX[2]-5[1].1"),
            ("ZX1[12]", "ZX1[12]"),
            ("MSH-2", "MSH-2"),
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn says_where_it_is_wrong() {
        for (text, position) in [
            ("", 0),
            ("PI", 0),
            ("pid-5", 0),
            ("P1d-5", 2),
            ("PID-", 4),
            ("PID-0", 4),
            ("PID5", 3),
            ("PID-5[1", 7),
            ("PID-5.1.2.3", 9),
            ("PID-99999", 4),
            ("MSH-2.1", 4),
            ("PID-5.1[2]", 7),
        ] {
            let error = Path::parse(text).unwrap_err();
            assert_eq!(error.position, position, "{error}");
        }
    }
}
