//! XML byte by byte: no further than to tell markup from text.

use super::{Limits, PREDEFINED, Refusal};

/// Longest name between `&` and `;` that can be one of those that are taken (`&#x10FFFF;`).
const REFERENCE: usize = 10;

/// Watches a body of XML while it arrives. See the [module](super).
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
    /// Bytes before the next.
    at: u64,
    /// Bytes of the piece that is being read.
    piece: u32,
    depth: u32,
    nodes: u32,
    /// What follows an `&`.
    reference: Option<Reference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first `<`: a byte order mark of UTF-8 or blanks.
    Start,
    Text,
    /// After `<`.
    Open,
    /// After `<!` and so many bytes of `--` or `[CDATA[`.
    Bang(Kind, u8),
    /// In a comment; so many hyphens have just been read.
    Comment(u8),
    /// In a CDATA section; so many `]` have just been read.
    Data(u8),
    /// Between `<?` and `?>`; whether a `?` has just been read.
    Instruction(bool),
    Tag {
        closes: bool,
        /// A `/` has just been read.
        slash: bool,
        quote: Option<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Comment,
    Data,
}

#[derive(Clone, Copy, Debug)]
struct Reference {
    name: [u8; REFERENCE],
    length: usize,
}

impl Reference {
    fn is_taken(&self) -> bool {
        let name = std::str::from_utf8(&self.name[..self.length]).unwrap_or_default();
        if let Some(digits) = name.strip_prefix("#x") {
            return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        }
        if let Some(digits) = name.strip_prefix('#') {
            return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        }
        PREDEFINED.contains(&name)
    }
}

impl Scanner {
    /// A scanner for one body.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
            at: 0,
            piece: 0,
            depth: 0,
            nodes: 0,
            reference: None,
        }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// Once it is certain that the body is not taken.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        for &byte in bytes {
            if self.at >= self.limits.bytes {
                return Err(Refusal::Bytes(self.limits.bytes));
            }
            self.at += 1;
            self.byte(byte)?;
        }
        Ok(())
    }

    /// There are no more.
    ///
    /// # Errors
    /// Where the body stops in the middle.
    pub fn finish(&mut self) -> Result<(), Refusal> {
        if self.state == State::Text && self.depth == 0 && self.reference.is_none() {
            Ok(())
        } else {
            Err(Refusal::Malformed)
        }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Refusal> {
        // UTF-16 and UTF-32 write these, UTF-8 never does.
        if matches!(byte, 0 | 0xfe | 0xff) {
            return Err(Refusal::Encoding);
        }
        self.piece += 1;
        if self.piece > self.limits.string {
            return Err(Refusal::String(self.limits.string));
        }
        if let Some(reference) = &mut self.reference {
            if byte != b';' {
                let slot = reference.name.get_mut(reference.length);
                *slot.ok_or(Refusal::Entity)? = byte;
                reference.length += 1;
                return Ok(());
            }
            let taken = reference.is_taken();
            self.reference = None;
            return if taken { Ok(()) } else { Err(Refusal::Entity) };
        }
        self.state = match self.state {
            State::Start => match (byte, self.at) {
                (0xef, 1) | (0xbb, 2) | (0xbf, 3) | (b' ' | b'\t' | b'\r' | b'\n', _) => {
                    State::Start
                }
                (b'<', _) => self.enter(State::Open),
                _ => return Err(Refusal::Malformed),
            },
            State::Text => match byte {
                b'<' => self.enter(State::Open),
                b'&' => self.refer(State::Text),
                _ => State::Text,
            },
            State::Open => match byte {
                b'!' => State::Bang(Kind::Unknown, 0),
                b'?' => State::Instruction(false),
                b'/' => State::Tag {
                    closes: true,
                    slash: false,
                    quote: None,
                },
                b'>' | b'<' | b'&' | b'=' | b' ' | b'\t' | b'\r' | b'\n' => {
                    return Err(Refusal::Malformed);
                }
                _ => {
                    self.node()?;
                    State::Tag {
                        closes: false,
                        slash: false,
                        quote: None,
                    }
                }
            },
            State::Bang(kind, read) => Self::bang(kind, read, byte)?,
            State::Comment(hyphens) => match (byte, hyphens) {
                (b'>', 2..) => self.enter(State::Text),
                (b'-', _) => State::Comment(hyphens.saturating_add(1)),
                _ => State::Comment(0),
            },
            State::Data(brackets) => match (byte, brackets) {
                (b'>', 2..) => self.enter(State::Text),
                (b']', _) => State::Data(brackets.saturating_add(1)),
                _ => State::Data(0),
            },
            State::Instruction(true) if byte == b'>' => self.enter(State::Text),
            State::Instruction(_) => State::Instruction(byte == b'?'),
            State::Tag {
                closes,
                slash,
                quote,
            } => self.tag(closes, slash, quote, byte)?,
        };
        Ok(())
    }

    fn bang(kind: Kind, read: u8, byte: u8) -> Result<State, Refusal> {
        const DATA: &[u8] = b"[CDATA[";
        let kind = match (kind, byte) {
            (Kind::Unknown, b'-') => Kind::Comment,
            (Kind::Unknown, b'[') => Kind::Data,
            // `<!DOCTYPE`, `<!ENTITY`, and whatever else may be declared.
            (Kind::Unknown, _) => return Err(Refusal::DocumentType),
            (known, _) => known,
        };
        match kind {
            Kind::Comment if byte != b'-' => Err(Refusal::Malformed),
            Kind::Comment if read == 1 => Ok(State::Comment(0)),
            Kind::Data if byte != DATA[usize::from(read)] => Err(Refusal::DocumentType),
            Kind::Data if usize::from(read) + 1 == DATA.len() => Ok(State::Data(0)),
            _ => Ok(State::Bang(kind, read + 1)),
        }
    }

    fn tag(
        &mut self,
        closes: bool,
        slash: bool,
        quote: Option<u8>,
        byte: u8,
    ) -> Result<State, Refusal> {
        let stay = |slash, quote| State::Tag {
            closes,
            slash,
            quote,
        };
        Ok(match (quote, byte) {
            (Some(open), _) if byte == open => stay(false, None),
            (Some(_), b'&') => self.refer(stay(false, quote)),
            (Some(_), b'<') | (None, b'<' | b'&') => return Err(Refusal::Malformed),
            (Some(_), _) => stay(false, quote),
            (None, b'"' | b'\'') => stay(false, Some(byte)),
            (None, b'=') => {
                self.node()?;
                stay(false, None)
            }
            (None, b'/') => stay(true, None),
            (None, b'>') => {
                match (closes, slash) {
                    (true, _) => {
                        self.depth = self.depth.checked_sub(1).ok_or(Refusal::Malformed)?;
                    }
                    (false, true) if self.depth >= self.limits.depth => {
                        return Err(Refusal::Depth(self.limits.depth));
                    }
                    (false, true) => {}
                    (false, false) => {
                        self.depth += 1;
                        if self.depth > self.limits.depth {
                            return Err(Refusal::Depth(self.limits.depth));
                        }
                    }
                }
                self.enter(State::Text)
            }
            (None, _) => stay(false, None),
        })
    }

    /// Another piece begins.
    fn enter(&mut self, state: State) -> State {
        self.piece = 0;
        state
    }

    fn refer(&mut self, after: State) -> State {
        self.reference = Some(Reference {
            name: [0; REFERENCE],
            length: 0,
        });
        after
    }

    fn node(&mut self) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(Refusal::Nodes(self.limits.nodes));
        }
        Ok(())
    }
}
