//! MLLP framing (HL7 v2.5.1 appendix C, MLLP release 1 and 2), without I/O.
//!
//! A frame is `0x0B`, the payload, `0x1C 0x0D`. [`Decoder`] is fed a growing buffer and hands out
//! events; it never looks at a byte twice, never copies a payload, and gives the same events
//! however the bytes were cut into reads. What real senders do wrong is met on purpose:
//!
//! * bytes between frames are passed over and counted ([`Decoder::skipped`]);
//! * `0x1C` followed by a new start or LF instead of CR ends the frame too;
//! * a new frame that begins before the end of the last gives [`Event::Unterminated`];
//! * a frame over the limit gives [`Event::TooLarge`] at once, is dropped as it arrives, and the
//!   decoder finds the next frame by itself.
//!
//! A lone `0x1C` or `0x0B` inside a payload (pasted text has such) stays data.

use bytes::{Buf, Bytes, BytesMut};

/// Start of a frame.
pub const START: u8 = 0x0B;
/// First byte of a frame's end.
pub const END: u8 = 0x1C;
/// Bytes that end a frame, for writing a large payload without copying it.
pub const TRAILER: [u8; 2] = [END, b'\r'];
/// Bytes of an oversized frame that are kept so that its sender can be answered: enough for MSH.
pub const HEAD: usize = 4096;
/// Room made for a read, at least.
const ROOM: usize = 4096;
/// Bytes of a payload from which on room is made for the largest that may come.
const LARGE: usize = 1 << 20;
/// Longest look past a byte that may end a frame: a start byte and a header's name.
const LOOK: usize = 4;

/// What came out of the stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole payload.
    Frame(Bytes),
    /// A payload whose end never came before the next frame began (or [`Decoder::flush`] was
    /// called). It may be cut short: answer it only where it is known to be whole.
    Unterminated(Bytes),
    /// A payload above the limit. `head` is its start, at most [`HEAD`] bytes, for the answer.
    TooLarge {
        /// First bytes of the payload.
        head: Bytes,
        /// The limit in bytes that it broke.
        limit: usize,
    },
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame(bytes) => write!(f, "Frame({} bytes)", bytes.len()),
            Self::Unterminated(bytes) => write!(f, "Unterminated({} bytes)", bytes.len()),
            Self::TooLarge { head, limit } => {
                write!(f, "TooLarge({} bytes kept, limit {limit})", head.len())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Outside a frame. `after_end`: a CR or LF that comes first still belongs to the last end.
    Between { after_end: bool },
    /// Inside a frame: the buffer starts with its payload, of which `seen` bytes hold no end.
    Inside { seen: usize },
    /// Inside a frame that was too large: the buffer is dropped as it comes.
    Dropping,
}

/// Incremental MLLP reader.
///
/// ```
/// use bytes::BytesMut;
/// use wardline_hl7::mllp::{Decoder, Event};
/// let mut decoder = Decoder::new(1 << 20);
/// let mut buffer = BytesMut::from(&b"\x0BMSH|1\r\x1C\r\x0BMS"[..]);
/// assert_eq!(decoder.decode(&mut buffer), Some(Event::Frame("MSH|1\r".into())));
/// assert_eq!(decoder.decode(&mut buffer), None); // read more, then call again
/// buffer.extend_from_slice(b"H|2\r\x1C\r");
/// assert_eq!(decoder.decode(&mut buffer), Some(Event::Frame("MSH|2\r".into())));
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    limit: usize,
    state: State,
    skipped: u64,
    dropped: u64,
    /// The buffer is what is left behind a large payload, and keeps its memory.
    behind_large: bool,
}

impl Decoder {
    /// A decoder that takes payloads of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Between { after_end: false },
            skipped: 0,
            dropped: 0,
            behind_large: false,
        }
    }

    /// Bytes seen between frames so far; not zero means that the peer sends something else too.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes of oversized payloads dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether a frame has begun and not ended: an idle timeout now cuts a message.
    pub fn in_frame(&self) -> bool {
        !matches!(self.state, State::Between { .. })
    }

    /// Makes room in `buffer` for the next read; call it before each.
    ///
    /// A buffer that doubles as it grows copies a document of 100 MB over and over and leaves as
    /// much behind. So once a payload is large, room for the largest that is taken is made at
    /// once: memory that is not written to costs nothing but addresses.
    pub fn make_room(&mut self, buffer: &mut BytesMut) {
        if std::mem::take(&mut self.behind_large) {
            *buffer = BytesMut::from(&buffer[..]);
        }
        let large = matches!(self.state, State::Inside { .. }) && buffer.len() >= LARGE;
        let room = if large {
            (self.limit + LOOK + ROOM).saturating_sub(buffer.len())
        } else {
            0
        };
        buffer.reserve(room.max(ROOM));
    }

    /// Whether `buffer` ends with a frame's `0x1C` and only its CR is missing. Some senders never
    /// send it and wait for the answer: after a short grace call [`Decoder::flush`].
    pub fn awaits_only_cr(&self, buffer: &BytesMut) -> bool {
        matches!(self.state, State::Inside { .. }) && buffer.last() == Some(&END)
    }

    /// The next event that `buffer` completes, or `None` where more bytes are needed. Bytes that
    /// are done with are taken out of the buffer; append to it and call again.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Option<Event> {
        loop {
            match self.state {
                State::Between { after_end } => {
                    if after_end && matches!(buffer.first(), Some(b'\r' | b'\n')) {
                        buffer.advance(1);
                    }
                    if buffer.is_empty() {
                        return None;
                    }
                    let start = memchr::memchr(START, buffer);
                    let skip = start.unwrap_or(buffer.len());
                    self.skipped += skip as u64;
                    buffer.advance(skip);
                    start?;
                    buffer.advance(1);
                    self.state = State::Inside { seen: 0 };
                }
                State::Inside { seen } => return self.inside(buffer, seen),
                State::Dropping => match find_end(buffer, 0) {
                    Found::End {
                        payload,
                        consumed,
                        again,
                    } => {
                        self.dropped += payload as u64;
                        buffer.advance(consumed);
                        self.state = if again {
                            State::Inside { seen: 0 }
                        } else {
                            State::Between { after_end: false }
                        };
                    }
                    Found::Not { seen } => {
                        self.dropped += seen as u64;
                        buffer.advance(seen);
                        return None;
                    }
                },
            }
        }
    }

    fn inside(&mut self, buffer: &mut BytesMut, seen: usize) -> Option<Event> {
        match find_end(buffer, seen) {
            Found::End { payload, .. } if payload > self.limit => Some(self.refuse(buffer)),
            Found::End {
                payload,
                consumed,
                again,
            } => {
                let ended = buffer.get(payload) == Some(&END);
                let bytes = buffer.split_to(payload).freeze();
                buffer.advance(consumed - payload);
                self.behind_large |= payload >= LARGE;
                self.state = if again {
                    State::Inside { seen: 0 }
                } else {
                    State::Between { after_end: false }
                };
                Some(if ended {
                    Event::Frame(bytes)
                } else {
                    Event::Unterminated(bytes)
                })
            }
            // `seen` leaves out bytes that may turn out to be the end: these do not count yet.
            Found::Not { seen } if seen > self.limit => Some(self.refuse(buffer)),
            Found::Not { seen } => {
                self.state = State::Inside { seen };
                None
            }
        }
    }

    fn refuse(&mut self, buffer: &BytesMut) -> Event {
        // A copy, so that the large buffer is not kept alive by the head.
        let head = Bytes::copy_from_slice(&buffer[..buffer.len().min(HEAD).min(self.limit)]);
        self.state = State::Dropping;
        Event::TooLarge {
            head,
            limit: self.limit,
        }
    }

    /// Takes what is left when no more bytes will come (end of stream, idle timeout). A frame that
    /// only lacks its CR is whole; anything else is [`Event::Unterminated`].
    pub fn flush(&mut self, buffer: &mut BytesMut) -> Option<Event> {
        if let Some(event) = self.decode(buffer) {
            return Some(event);
        }
        let state = std::mem::replace(&mut self.state, State::Between { after_end: true });
        match state {
            State::Between { .. } => None,
            State::Dropping => {
                self.dropped += buffer.len() as u64;
                buffer.clear();
                None
            }
            State::Inside { .. } => {
                let whole = buffer.last() == Some(&END);
                let mut bytes = buffer.split().freeze();
                if whole {
                    bytes.truncate(bytes.len() - 1);
                    return Some(Event::Frame(bytes));
                }
                (!bytes.is_empty()).then_some(Event::Unterminated(bytes))
            }
        }
    }
}

enum Found {
    /// The payload ends after `payload` bytes and `consumed` bytes are done with. `again`: those
    /// include the start byte of a next frame.
    End {
        payload: usize,
        consumed: usize,
        again: bool,
    },
    /// No end in the first `seen` bytes.
    Not { seen: usize },
}

/// Looks for the end of a payload in `buffer`, whose first `from` bytes hold none.
fn find_end(buffer: &[u8], from: usize) -> Found {
    let mut at = from;
    while let Some(found) = memchr::memchr2(END, START, &buffer[at..]) {
        at += found;
        let rest = &buffer[at..];
        match rest {
            [END] => return Found::Not { seen: at },
            [END, b'\r' | b'\n', ..] => {
                return Found::End {
                    payload: at,
                    consumed: at + 2,
                    again: false,
                };
            }
            [END, START, ..] => {
                return Found::End {
                    payload: at,
                    consumed: at + 2,
                    again: true,
                };
            }
            [START, after @ ..] => {
                let name = &after[..after.len().min(LOOK - 1)];
                let headers: [&[u8]; 3] = [b"MSH", b"FHS", b"BHS"];
                if headers.contains(&name) {
                    return Found::End {
                        payload: at,
                        consumed: at + 1,
                        again: true,
                    };
                }
                if name.len() < LOOK - 1 && headers.iter().any(|header| header.starts_with(name)) {
                    return Found::Not { seen: at };
                }
            }
            _ => {}
        }
        at += 1;
    }
    Found::Not { seen: buffer.len() }
}

/// Appends one frame to `out`.
pub fn encode(payload: &[u8], out: &mut BytesMut) {
    out.reserve(payload.len() + 3);
    out.extend_from_slice(&[START]);
    out.extend_from_slice(payload);
    out.extend_from_slice(&TRAILER);
}

/// One frame as bytes of its own.
pub fn frame(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 3);
    encode(payload, &mut out);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Event> {
        let mut buffer = BytesMut::from(bytes);
        let mut out: Vec<Event> = std::iter::from_fn(|| decoder.decode(&mut buffer)).collect();
        out.extend(decoder.flush(&mut buffer));
        out
    }

    fn one(bytes: &[u8]) -> Vec<Event> {
        events(&mut Decoder::new(1000), bytes)
    }

    fn whole(text: &'static str) -> Event {
        Event::Frame(Bytes::from(text))
    }

    fn cut(text: &'static str) -> Event {
        Event::Unterminated(Bytes::from(text))
    }

    #[test]
    fn a_large_payload_is_never_moved_and_leaves_nothing_behind() {
        let limit = 3 * LARGE;
        let mut decoder = Decoder::new(limit);
        let mut buffer = BytesMut::from(&[START][..]);
        let mut moves = 0;
        let mut place = std::ptr::null();
        let mut sent = 0;
        let block = [b'Q'; 4 * ROOM];
        while sent < limit {
            decoder.make_room(&mut buffer);
            let count = block
                .len()
                .min(limit - sent)
                .min(buffer.capacity() - buffer.len());
            buffer.extend_from_slice(&block[..count]);
            sent += count;
            assert_eq!(decoder.decode(&mut buffer), None);
            if sent > LARGE + block.len() {
                moves += usize::from(place != buffer.as_ptr());
                place = buffer.as_ptr();
            }
        }
        assert_eq!(moves, 1, "counted once when looked at first");
        decoder.make_room(&mut buffer);
        buffer.extend_from_slice(b"\x1C\r\x0BMS");
        let Some(Event::Frame(payload)) = decoder.decode(&mut buffer) else {
            panic!("whole");
        };
        assert_eq!(payload.len(), limit);
        assert_eq!(decoder.decode(&mut buffer), None);
        decoder.make_room(&mut buffer);
        assert_eq!(&buffer[..], b"MS");
        assert!(payload.is_unique(), "the buffer keeps none of it");
    }

    #[test]
    fn frames_and_what_goes_wrong() {
        assert_eq!(
            one(b"\x0BMSH|a\r\x1C\r\x0BMSH|b\r\x1C\r"),
            [whole("MSH|a\r"), whole("MSH|b\r")]
        );
        assert_eq!(
            one(b"\x0BMSH|a\x1C\x0BMSH|b\x1C\n"),
            [whole("MSH|a"), whole("MSH|b")]
        );
        assert_eq!(
            one(b"\x0BMSH|a\r\x0BMSH|b\x1C\r"),
            [cut("MSH|a\r"), whole("MSH|b")]
        );
        assert_eq!(one(b"\x0BMSH|a\x1C"), [whole("MSH|a")]);
        assert_eq!(one(b"\x0BMSH|a"), [cut("MSH|a")]);
        assert_eq!(
            one(b"\x0BMSH|a\x0Bb\x1Cc\x1C\r"),
            [whole("MSH|a\x0Bb\x1Cc")]
        );
        assert_eq!(one(b"\x0B\x1C\r"), [whole("")]);
        assert_eq!(one(b""), []);
    }

    #[test]
    fn counts_what_stands_between() {
        let mut decoder = Decoder::new(1000);
        assert_eq!(
            events(&mut decoder, b"junk\x0BMSH|a\x1C\rmore\r\n\x0BMSH|b\x1C\r"),
            [whole("MSH|a"), whole("MSH|b")]
        );
        assert_eq!(decoder.skipped(), 10);
    }

    #[test]
    fn too_large_is_said_once_and_passed_over() {
        let mut decoder = Decoder::new(8);
        let mut buffer = BytesMut::from(&b"\x0BMSH|1234"[..]);
        assert_eq!(
            decoder.decode(&mut buffer),
            None,
            "exactly the limit is allowed"
        );
        buffer.extend_from_slice(b"5");
        assert_eq!(
            decoder.decode(&mut buffer),
            Some(Event::TooLarge {
                head: "MSH|1234".into(),
                limit: 8
            })
        );
        for _ in 0..100 {
            buffer.extend_from_slice(&[b'x'; 1000]);
            assert_eq!(decoder.decode(&mut buffer), None);
            assert!(buffer.is_empty(), "an oversized payload must not pile up");
        }
        buffer.extend_from_slice(b"\x1C\r\x0BMSH|ok\x1C\r");
        assert_eq!(decoder.decode(&mut buffer), Some(whole("MSH|ok")));
        assert_eq!(decoder.dropped(), 100_009);
    }

    #[test]
    fn writes_what_it_reads() {
        assert_eq!(one(&frame(b"MSH|x\r")), [whole("MSH|x\r")]);
    }
}
