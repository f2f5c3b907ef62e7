//! Texts and keys: UTF-8, escapes, surrogate pairs, length, and the fingerprint of a key.

use super::{Fault, Limit, Reason};

/// Bytes that stand for themselves in a text: printable ASCII but `"` and `\`.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

/// Where in a text the scanner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Between characters.
    Plain,
    /// `more` continuation bytes are due; the next lies between `low` and `high`.
    Utf8 { more: u8, low: u8, high: u8 },
    /// After a backslash.
    Escape,
    /// After `\u`, with `seen` digits read.
    Hex { seen: u8, unit: u16 },
}

/// One text that is being read.
#[derive(Clone, Debug)]
pub(super) struct Text {
    at: At,
    /// The first half of a surrogate pair, whose second half must follow.
    high: Option<u16>,
    length: u32,
    most: u32,
    /// FNV-1a of the text after its escapes are read. Equal keys have equal fingerprints, however
    /// they are written; somebody who crafts unequal keys with equal fingerprints gets their own
    /// document refused and nothing else.
    fingerprint: Option<u64>,
}

/// What became of a piece.
pub(super) enum Step {
    /// All of it belongs to the text.
    Open,
    /// The text ended after this many bytes, its closing quote included.
    Closed(usize),
    /// Refused at this offset.
    Refused(usize, Reason),
}

impl Text {
    pub(super) fn new(most: u32, key: bool) -> Self {
        Self {
            at: At::Plain,
            high: None,
            length: 0,
            most,
            fingerprint: key.then_some(0xcbf2_9ce4_8422_2325),
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.unwrap_or_default()
    }

    /// Reads on, from after the opening quote.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Step {
        let mut here = 0;
        while here < piece.len() {
            if self.at == At::Plain && self.high.is_none() {
                let rest = &piece[here..];
                let run = rest
                    .iter()
                    .position(|byte| !PLAIN[usize::from(*byte)])
                    .unwrap_or(rest.len());
                // The byte that breaks the limit is the first beyond it.
                let room = (self.most - self.length) as usize;
                if run > room {
                    return Step::Refused(
                        here + room,
                        Reason::Limit(Limit::String, u64::from(self.most)),
                    );
                }
                self.length += run as u32;
                self.mark(&rest[..run]);
                here += run;
                if here == piece.len() {
                    break;
                }
                if piece[here] == b'"' {
                    return Step::Closed(here + 1);
                }
            }
            if let Err(reason) = self.byte(piece[here]) {
                return Step::Refused(here, reason);
            }
            here += 1;
        }
        Step::Open
    }

    fn byte(&mut self, byte: u8) -> Result<(), Reason> {
        if self.high.is_some() && self.at == At::Plain && byte != b'\\' {
            return Err(Reason::Syntax(Fault::Surrogate));
        }
        match self.at {
            At::Plain => match byte {
                b'\\' => self.at = At::Escape,
                0..0x20 => return Err(Reason::Syntax(Fault::Control)),
                _ => {
                    // Table 3-7 of the Unicode standard: no overlong form, no surrogate, at most U+10FFFF.
                    let (more, low, high) = match byte {
                        0xC2..=0xDF => (1, 0x80, 0xBF),
                        0xE0 => (2, 0xA0, 0xBF),
                        0xED => (2, 0x80, 0x9F),
                        0xE1..=0xEF => (2, 0x80, 0xBF),
                        0xF0 => (3, 0x90, 0xBF),
                        0xF1..=0xF3 => (3, 0x80, 0xBF),
                        0xF4 => (3, 0x80, 0x8F),
                        _ => return Err(Reason::Syntax(Fault::Encoding)),
                    };
                    self.take(&[byte])?;
                    self.at = At::Utf8 { more, low, high };
                }
            },
            At::Utf8 { more, low, high } => {
                if !(low..=high).contains(&byte) {
                    return Err(Reason::Syntax(Fault::Encoding));
                }
                self.take(&[byte])?;
                self.at = match more {
                    1 => At::Plain,
                    _ => At::Utf8 {
                        more: more - 1,
                        low: 0x80,
                        high: 0xBF,
                    },
                };
            }
            At::Escape => {
                if byte == b'u' {
                    self.at = At::Hex { seen: 0, unit: 0 };
                    return Ok(());
                }
                if self.high.is_some() {
                    return Err(Reason::Syntax(Fault::Surrogate));
                }
                let meant = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 0x08,
                    b'f' => 0x0C,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return Err(Reason::Syntax(Fault::Escape)),
                };
                self.take(&[meant])?;
                self.at = At::Plain;
            }
            At::Hex { seen, unit } => {
                let digit = char::from(byte)
                    .to_digit(16)
                    .ok_or(Reason::Syntax(Fault::Escape))?;
                let unit = (unit << 4) | digit as u16;
                if seen < 3 {
                    self.at = At::Hex {
                        seen: seen + 1,
                        unit,
                    };
                } else {
                    self.unit(unit)?;
                    self.at = At::Plain;
                }
            }
        }
        Ok(())
    }

    /// One UTF-16 unit of an escape.
    fn unit(&mut self, unit: u16) -> Result<(), Reason> {
        let lone = Reason::Syntax(Fault::Surrogate);
        let character = match (self.high.take(), unit) {
            (None, 0xD800..=0xDBFF) => {
                self.high = Some(unit);
                return Ok(());
            }
            (Some(high), 0xDC00..=0xDFFF) => {
                let high = u32::from(high) - 0xD800;
                0x1_0000 + (high << 10) + (u32::from(unit) - 0xDC00)
            }
            (Some(_), _) => return Err(lone),
            (None, _) => u32::from(unit),
        };
        let character = char::from_u32(character).ok_or(lone)?;
        self.take(character.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        if bytes.len() as u32 > self.most - self.length {
            return Err(Reason::Limit(Limit::String, u64::from(self.most)));
        }
        self.length += bytes.len() as u32;
        self.mark(bytes);
        Ok(())
    }

    fn mark(&mut self, bytes: &[u8]) {
        if let Some(fingerprint) = &mut self.fingerprint {
            for &byte in bytes {
                *fingerprint = (*fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}
