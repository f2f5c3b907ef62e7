//! The delimiters of one message, read from MSH-1 and MSH-2 (HL7 v2.5.1 section 2.5.4).
//!
//! A delimiter that a message does not have is stored as CR: that byte ends every segment, so a
//! search for it inside one never matches and no reader needs to ask whether it exists.

use crate::ParseError;

/// Stands for "this message has no such delimiter".
const NONE: u8 = b'\r';

/// The separators and the escape byte of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiters {
    pub(crate) field: u8,
    pub(crate) component: u8,
    pub(crate) repetition: u8,
    pub(crate) escape: u8,
    pub(crate) subcomponent: u8,
    pub(crate) truncation: u8,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Delimiters {
    /// `|^~\&`, the delimiters nearly everyone uses.
    pub const STANDARD: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        subcomponent: b'&',
        truncation: NONE,
    };

    /// Delimiters chosen by hand, for a new message; `None` where two are equal or one is a
    /// letter, a digit, or a byte that ends segments or frames.
    ///
    /// ```
    /// use wardline_hl7::Delimiters;
    /// let own = Delimiters::new(b'#', *b"@*%!", None).unwrap();
    /// assert_eq!(own.field(), b'#');
    /// assert!(Delimiters::new(b'|', *b"^^\\&", None).is_none());
    /// ```
    pub fn new(field: u8, encoding: [u8; 4], truncation: Option<u8>) -> Option<Self> {
        let [component, repetition, escape, subcomponent] = encoding;
        let made = Self {
            field,
            component,
            repetition,
            escape,
            subcomponent,
            truncation: truncation.unwrap_or(NONE),
        };
        let all = [
            Some(field),
            Some(component),
            Some(repetition),
            Some(escape),
            Some(subcomponent),
            truncation,
        ];
        for (index, byte) in all.iter().enumerate() {
            let Some(byte) = byte else { continue };
            if !usable(*byte) || all[..index].contains(&Some(*byte)) {
                return None;
            }
        }
        Some(made)
    }

    /// Field separator, MSH-1.
    pub fn field(&self) -> u8 {
        self.field
    }

    /// Component separator, first byte of MSH-2.
    pub fn component(&self) -> Option<u8> {
        present(self.component)
    }

    /// Repetition separator, second byte of MSH-2.
    pub fn repetition(&self) -> Option<u8> {
        present(self.repetition)
    }

    /// Escape byte, third byte of MSH-2.
    pub fn escape(&self) -> Option<u8> {
        present(self.escape)
    }

    /// Subcomponent separator, fourth byte of MSH-2.
    pub fn subcomponent(&self) -> Option<u8> {
        present(self.subcomponent)
    }

    /// Truncation byte, fifth byte of MSH-2 (HL7 v2.7 and later).
    pub fn truncation(&self) -> Option<u8> {
        present(self.truncation)
    }

    /// MSH-2 as these delimiters write it.
    pub fn encoding_characters(&self) -> Vec<u8> {
        [
            self.component,
            self.repetition,
            self.escape,
            self.subcomponent,
            self.truncation,
        ]
        .into_iter()
        .filter(|byte| *byte != NONE)
        .collect()
    }

    /// Reads the delimiters of a header segment (`MSH`, `FHS`, `BHS`) that begins at `offset` of
    /// the input. `line` is that segment without its end.
    pub(crate) fn read(line: &[u8], offset: usize) -> Result<Read, ParseError> {
        let Some((&field, rest)) = line.get(3..).and_then(<[u8]>::split_first) else {
            return Err(ParseError::HeaderCut {
                offset: offset + line.len(),
            });
        };
        if !usable(field) || field == b' ' {
            return Err(ParseError::BadFieldSeparator { offset: offset + 3 });
        }
        let length = memchr::memchr(field, rest).unwrap_or(rest.len());
        let mut given = &rest[..length];
        let undoubled;
        let mut shape = Shape::Complete;
        while let Some((b' ', before)) = given.split_last() {
            given = before;
            shape = Shape::Long;
        }
        if given.len() > 4 && !usable(given[4]) {
            // Text where the truncation byte would be: no delimiter, and nothing after it is.
            given = &given[..4];
            shape = Shape::Long;
        }
        if let Some(at) = given.iter().position(|byte| !usable(*byte)) {
            return Err(ParseError::BadEncodingCharacter {
                offset: offset + 4 + at,
            });
        }
        if let [component, repetition, escape, again, more @ ..] = given {
            // The backslash was doubled on the way, usually by a string literal.
            if escape == again && (1..=2).contains(&more.len()) && *escape != more[0] {
                undoubled = [&[*component, *repetition, *escape], more].concat();
                given = &undoubled;
                shape = Shape::DoubledEscape;
            }
        }
        let mut made = Self {
            field,
            component: NONE,
            repetition: NONE,
            escape: NONE,
            subcomponent: NONE,
            truncation: NONE,
        };
        let mut slots: [&mut u8; 5] = [
            &mut made.component,
            &mut made.repetition,
            &mut made.escape,
            &mut made.subcomponent,
            &mut made.truncation,
        ];
        for (slot, byte) in slots.iter_mut().zip(given) {
            **slot = *byte;
        }
        if given.len() > 5 {
            shape = Shape::Long;
        } else if given == b"^~&" {
            // The backslash was eaten on the way (a string literal, usually): by position '&'
            // would be the escape byte, by custom it separates subcomponents.
            (made.escape, made.subcomponent) = (NONE, b'&');
            shape = Shape::Short;
        } else if given.len() < 4 {
            shape = Shape::Short;
        }
        let all = [
            made.field,
            made.component,
            made.repetition,
            made.escape,
            made.subcomponent,
            made.truncation,
        ];
        for (index, byte) in all.iter().enumerate().skip(1) {
            if *byte != NONE && all[..index].contains(byte) {
                return Err(ParseError::DuplicateDelimiter {
                    offset: offset + 3 + index,
                });
            }
        }
        if shape == Shape::Short {
            made.complete();
        }
        Ok(Read {
            delimiters: made,
            shape,
        })
    }

    /// Fills what a short MSH-2 left out with the customary bytes that are still free.
    fn complete(&mut self) {
        let custom = [b'^', b'~', b'\\', b'&'];
        for (index, byte) in custom.into_iter().enumerate() {
            let taken = [
                self.field,
                self.component,
                self.repetition,
                self.escape,
                self.subcomponent,
            ]
            .contains(&byte);
            let slot = match index {
                0 => &mut self.component,
                1 => &mut self.repetition,
                2 => &mut self.escape,
                _ => &mut self.subcomponent,
            };
            if *slot == NONE && !taken {
                *slot = byte;
            }
        }
    }
}

/// How MSH-2 was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Complete,
    Short,
    Long,
    DoubledEscape,
}

/// Delimiters as read from a header.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) delimiters: Delimiters,
    pub(crate) shape: Shape,
}

fn present(byte: u8) -> Option<u8> {
    (byte != NONE).then_some(byte)
}

/// Letters and digits would cut every word; CR and LF end segments, 0x0B and 0x1C frames.
fn usable(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !matches!(byte, b'\r' | b'\n' | 0 | 0x0B | 0x1C)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Delimiters {
        Delimiters::read(line, 0).unwrap().delimiters
    }

    #[test]
    fn reads_standard_own_and_five() {
        assert_eq!(read(b"MSH|^~\\&|A"), Delimiters::STANDARD);
        assert_eq!(read(b"MSH|^~\\&"), Delimiters::STANDARD);
        assert_eq!(read(b"MSH|^~\\&#|A").truncation(), Some(b'#'));
        let own = read(b"MSH*:+/!*A");
        assert_eq!(
            (
                own.field,
                own.component,
                own.repetition,
                own.escape,
                own.subcomponent
            ),
            (b'*', b':', b'+', b'/', b'!')
        );
    }

    #[test]
    fn completes_short_ones() {
        assert_eq!(read(b"MSH||A"), Delimiters::STANDARD);
        assert_eq!(read(b"MSH|^~|A"), Delimiters::STANDARD);
        assert_eq!(read(b"MSH|^~&|A"), Delimiters::STANDARD);
        assert_eq!(read(b"MSH|^~\\\\&|A"), Delimiters::STANDARD);
        assert_eq!(read(b"MSH|^~\\\\&#|A"), read(b"MSH|^~\\&#|A"));
        // '^' is taken by the field separator, so there is no component separator to assume.
        assert_eq!(read(b"MSH^").component(), None);
    }

    #[test]
    fn refuses_doubles_and_letters() {
        assert_eq!(
            Delimiters::read(b"MSH|&&&&|", 10).unwrap_err(),
            ParseError::DuplicateDelimiter { offset: 15 }
        );
        assert_eq!(
            Delimiters::read(b"MSH|EPIC|H1", 0).unwrap_err(),
            ParseError::BadEncodingCharacter { offset: 4 }
        );
        assert_eq!(read(b"MSH|^~\\& |A"), Delimiters::STANDARD);
        assert_eq!(
            Delimiters::read(b"MSHell", 0).unwrap_err().code(),
            "hl7.field-separator"
        );
        assert_eq!(
            Delimiters::read(b"MSH", 7).unwrap_err(),
            ParseError::HeaderCut { offset: 10 }
        );
    }
}
