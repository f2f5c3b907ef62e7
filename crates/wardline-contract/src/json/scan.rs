//! The scanner: one byte decides what may follow, a small stack remembers what is open.

use ahash::AHashSet;

use super::text::{Step, Text};
use super::{Fault, Limit, Limits, Reason, Refusal, Seen};

/// What may come next.
#[derive(Clone, Debug)]
enum State {
    /// A value.
    Value,
    /// A value, or the end of the array that has just begun.
    FirstItem,
    /// A key, or the end of the object that has just begun.
    FirstKey,
    /// A key.
    Key,
    /// The colon after a key.
    Colon,
    /// A comma or an end; nothing where nothing is open.
    After,
    /// The rest of a key or a text.
    Text { text: Text, key: bool },
    /// The rest of a number.
    Number { part: Part, digits: u32 },
    /// The rest of `true`, `false` or `null`.
    Word { rest: &'static [u8] },
}

/// The part of a number that was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Part {
    /// Whether a number may end here.
    const fn complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::Exponent
        )
    }

    /// The part that a byte begins or goes on with; `None` where it cannot belong to the number.
    const fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }
}

/// An object or array that is open.
#[derive(Clone, Copy, Debug)]
enum Open {
    /// An array.
    Array,
    /// An object: how many keys it has, and its number among all objects of the document.
    Object { keys: u32, number: u32 },
}

/// Reads JSON in pieces and refuses it at the byte where it stops being acceptable; see
/// [the module](super).
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
    open: Vec<Open>,
    /// Fingerprints of keys, mixed with the number of their object. Bounded by `limits.nodes`,
    /// since every key is followed by a value.
    keys: AHashSet<u64>,
    objects: u32,
    nodes: u32,
    bytes: u64,
    refused: Option<Refusal>,
}

impl Scanner {
    /// A scanner at the start of a document.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            state: State::Value,
            open: Vec::new(),
            keys: AHashSet::new(),
            objects: 0,
            nodes: 0,
            bytes: 0,
            refused: None,
        }
    }

    /// Bytes that were accepted so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the next piece of the document. After a refusal every call repeats it.
    ///
    /// # Errors
    /// At the byte at which the document stops being JSON or breaks a limit.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        let room = usize::try_from(self.limits.bytes - self.bytes).unwrap_or(usize::MAX);
        let within = &piece[..piece.len().min(room)];
        let outcome = match self.read(within) {
            Ok(()) if within.len() < piece.len() => {
                Err((within.len(), Reason::Limit(Limit::Bytes, self.limits.bytes)))
            }
            other => other,
        };
        match outcome {
            Ok(()) => {
                self.bytes += piece.len() as u64;
                Ok(())
            }
            Err((at, reason)) => {
                let refusal = Refusal {
                    at: self.bytes + at as u64,
                    reason,
                };
                self.refused = Some(refusal);
                Err(refusal)
            }
        }
    }

    /// The document is at its end.
    ///
    /// # Errors
    /// Where it was refused before, or ends too early.
    pub fn finish(self) -> Result<Seen, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        let ended = self.open.is_empty()
            && match self.state {
                State::After => true,
                State::Number { part, .. } => part.complete(),
                _ => false,
            };
        if ended {
            Ok(Seen {
                bytes: self.bytes,
                nodes: self.nodes,
            })
        } else {
            Err(Refusal {
                at: self.bytes,
                reason: Reason::Syntax(Fault::End),
            })
        }
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), (usize, Reason)> {
        let mut here = 0;
        while here < piece.len() {
            let byte = piece[here];
            match &mut self.state {
                State::Text { text, key } => match text.feed(&piece[here..]) {
                    Step::Open => return Ok(()),
                    Step::Refused(at, reason) => return Err((here + at, reason)),
                    Step::Closed(length) => {
                        here += length;
                        if *key {
                            let fingerprint = text.fingerprint();
                            self.state = State::Colon;
                            // The closing quote is where the key is complete.
                            self.key_ended(fingerprint)
                                .map_err(|reason| (here - 1, reason))?;
                        } else {
                            self.state = State::After;
                        }
                        continue;
                    }
                },
                State::Number { part, digits } => {
                    if let Some(next) = part.then(byte) {
                        *part = next;
                        if byte.is_ascii_digit() {
                            if *digits >= self.limits.number_digits {
                                let most = u64::from(self.limits.number_digits);
                                return Err((here, Reason::Limit(Limit::NumberDigits, most)));
                            }
                            *digits += 1;
                        }
                        here += 1;
                    } else if part.complete() && !matches!((*part, byte), (Part::Zero, b'0'..=b'9'))
                    {
                        // Not part of the number: what follows it is read as such.
                        self.state = State::After;
                    } else {
                        return Err((here, Reason::Syntax(Fault::Number)));
                    }
                    continue;
                }
                State::Word { rest } => {
                    match rest.split_first() {
                        Some((&due, after)) if due == byte => {
                            *rest = after;
                            if after.is_empty() {
                                self.state = State::After;
                            }
                        }
                        _ => return Err((here, Reason::Syntax(Fault::Word))),
                    }
                    here += 1;
                    continue;
                }
                _ => {}
            }
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                self.token(byte).map_err(|reason| (here, reason))?;
            }
            here += 1;
        }
        Ok(())
    }

    /// A byte that is not blank, outside of texts, numbers and words.
    fn token(&mut self, byte: u8) -> Result<(), Reason> {
        match (&self.state, byte) {
            (State::FirstItem, b']') | (State::FirstKey, b'}') => self.close(byte),
            (State::Value | State::FirstItem, _) => self.value(byte),
            (State::FirstKey | State::Key, b'"') => self.key_begins(),
            (State::FirstKey | State::Key, _) => Err(Reason::Syntax(Fault::Key)),
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(())
            }
            (State::Colon, _) => Err(Reason::Syntax(Fault::Colon)),
            (_, b',') => {
                self.state = match self.open.last() {
                    Some(Open::Array) => State::Value,
                    Some(Open::Object { .. }) => State::Key,
                    None => return Err(Reason::Syntax(Fault::Trailing)),
                };
                Ok(())
            }
            (_, b']' | b'}') => self.close(byte),
            _ if self.open.is_empty() => Err(Reason::Syntax(Fault::Trailing)),
            _ => Err(Reason::Syntax(Fault::Separator)),
        }
    }

    fn value(&mut self, byte: u8) -> Result<(), Reason> {
        let next = match byte {
            b'"' => State::Text {
                text: Text::new(self.limits.string, false),
                key: false,
            },
            b'{' => State::FirstKey,
            b'[' => State::FirstItem,
            b'-' | b'0'..=b'9' => State::Number {
                part: match byte {
                    b'-' => Part::Minus,
                    b'0' => Part::Zero,
                    _ => Part::Integer,
                },
                digits: u32::from(byte != b'-'),
            },
            b't' => State::Word { rest: b"rue" },
            b'f' => State::Word { rest: b"alse" },
            b'n' => State::Word { rest: b"ull" },
            0x80.. => return Err(Reason::Syntax(Fault::Encoding)),
            _ => return Err(Reason::Syntax(Fault::Value)),
        };
        if self.nodes >= self.limits.nodes {
            return Err(Reason::Limit(Limit::Nodes, u64::from(self.limits.nodes)));
        }
        self.nodes += 1;
        if matches!(next, State::Number { digits: 1, .. }) && self.limits.number_digits == 0 {
            return Err(Reason::Limit(Limit::NumberDigits, 0));
        }
        let opened = match byte {
            b'[' => Some(Open::Array),
            b'{' => {
                self.objects += 1;
                Some(Open::Object {
                    keys: 0,
                    number: self.objects,
                })
            }
            _ => None,
        };
        if let Some(opened) = opened {
            if self.open.len() >= self.limits.depth as usize {
                return Err(Reason::Limit(Limit::Depth, u64::from(self.limits.depth)));
            }
            self.open.push(opened);
        }
        self.state = next;
        Ok(())
    }

    fn key_begins(&mut self) -> Result<(), Reason> {
        if let Some(Open::Object { keys, .. }) = self.open.last_mut() {
            if *keys >= self.limits.keys {
                return Err(Reason::Limit(Limit::Keys, u64::from(self.limits.keys)));
            }
            *keys += 1;
        }
        // So that the fingerprints are bounded too, a key needs room for its value.
        if self.nodes >= self.limits.nodes {
            return Err(Reason::Limit(Limit::Nodes, u64::from(self.limits.nodes)));
        }
        self.state = State::Text {
            text: Text::new(self.limits.string, !self.limits.duplicate_keys),
            key: true,
        };
        Ok(())
    }

    fn key_ended(&mut self, fingerprint: u64) -> Result<(), Reason> {
        let Some(Open::Object { number, .. }) = self.open.last() else {
            return Ok(());
        };
        if self.limits.duplicate_keys {
            return Ok(());
        }
        let mixed = fingerprint ^ u64::from(*number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if !self.keys.insert(mixed) {
            return Err(Reason::Syntax(Fault::DuplicateKey));
        }
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<(), Reason> {
        match (self.open.pop(), byte) {
            (Some(Open::Array), b']') | (Some(Open::Object { .. }), b'}') => {
                self.state = State::After;
                Ok(())
            }
            (None, _) => Err(Reason::Syntax(Fault::Trailing)),
            _ => Err(Reason::Syntax(Fault::Mismatch)),
        }
    }
}
