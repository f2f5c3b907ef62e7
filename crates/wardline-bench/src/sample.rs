//! The message that is sent: a discharge of about 1 KB, made anew by writing digits over a
//! template, so that making one costs next to nothing.
//!
//! Control ids say what receivers need to check the order without knowing anything else: eight
//! digits name the ordering key, nine count within it, `00000042` `000000007`.

use wardline_hl7::mllp;

/// ADT^A03 without the values that differ from message to message.
const TEMPLATE: &str = include_str!("sample/adt-a03.hl7");

/// What a template line stands for and how many digits it takes.
const CONTROL: &str = "{control}";
const KEY: &str = "{key}";

/// Digits of a key in control ids and identifiers.
pub(crate) const KEY_DIGITS: usize = 8;
/// Digits of a key's own count.
pub(crate) const COUNT_DIGITS: usize = 9;

/// Which message of which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Number of the ordering key.
    pub(crate) key: u32,
    /// Place within it, from 0.
    pub(crate) count: u32,
}

impl Mark {
    /// Digits of a mark.
    pub(crate) const DIGITS: usize = KEY_DIGITS + COUNT_DIGITS;

    /// Reads what [`Mark::write`] wrote at the start of `text`.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0_u32, |sum, byte| {
                byte.is_ascii_digit()
                    .then(|| sum.checked_mul(10)?.checked_add(u32::from(byte - b'0')))?
            })
        };
        let (key, rest) = text.split_at_checked(KEY_DIGITS)?;
        Some(Self {
            key: number(key)?,
            count: number(rest.get(..COUNT_DIGITS)?)?,
        })
    }

    /// Writes the digits over the first bytes of `place`.
    pub(crate) fn write(self, place: &mut [u8]) {
        digits(self.key, &mut place[..KEY_DIGITS]);
        digits(self.count, &mut place[KEY_DIGITS..Self::DIGITS]);
    }
}

/// Writes `number` right-aligned with leading zeros.
fn digits(mut number: u32, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The message as text, for reading it without a wire.
pub(crate) fn message() -> String {
    let mut mark = [0; Mark::DIGITS];
    Mark { key: 42, count: 7 }.write(&mut mark);
    let mark = String::from_utf8_lossy(&mark);
    TEMPLATE
        .trim_end()
        .replace('\n', "\r")
        .replace(CONTROL, &mark)
        .replace(KEY, &mark[..KEY_DIGITS])
        + "\r"
}

/// A whole MLLP frame with room for what differs.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    control: usize,
    keys: Vec<usize>,
}

impl Frame {
    /// The frame with all digits zero.
    pub(crate) fn new() -> Self {
        let mut bytes = vec![mllp::START];
        let mut keys = Vec::new();
        let mut control = 0;
        let mut rest = TEMPLATE.trim_end();
        while let Some(at) = rest.find('{') {
            bytes.extend(rest[..at].bytes().map(end_of_segment));
            rest = &rest[at..];
            let (word, digits) = if rest.starts_with(CONTROL) {
                control = bytes.len();
                (CONTROL, Mark::DIGITS)
            } else {
                keys.push(bytes.len());
                (KEY, KEY_DIGITS)
            };
            bytes.extend(std::iter::repeat_n(b'0', digits));
            rest = rest.strip_prefix(word).unwrap_or_default();
        }
        bytes.extend(rest.bytes().map(end_of_segment));
        bytes.push(b'\r');
        bytes.extend(mllp::TRAILER);
        Self {
            bytes,
            control,
            keys,
        }
    }

    /// Appends the message `mark` to `out`.
    pub(crate) fn append(&mut self, mark: Mark, out: &mut Vec<u8>) {
        mark.write(&mut self.bytes[self.control..]);
        for &place in &self.keys {
            digits(mark.key, &mut self.bytes[place..place + KEY_DIGITS]);
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Bytes of the frame.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The template has one segment a line; HL7 ends them with CR.
fn end_of_segment(byte: u8) -> u8 {
    if byte == b'\n' { b'\r' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Mark, message};
    use wardline_hl7::{Message, Path};

    #[test]
    fn a_frame_is_a_message_with_its_own_digits() {
        let mut frame = Frame::new();
        let mut out = Vec::new();
        frame.append(Mark { key: 7, count: 1 }, &mut out);
        frame.append(Mark { key: 42, count: 7 }, &mut out);
        assert_eq!(out.len(), 2 * frame.len());
        let second = &out[frame.len() + 1..out.len() - 2];
        assert_eq!(second, message().as_bytes());
        let parsed = Message::parse(second.to_vec()).unwrap();
        let read = |path: &str| {
            parsed
                .value(&path.parse::<Path>().unwrap())
                .map(std::borrow::Cow::into_owned)
        };
        assert_eq!(read("MSH-10").as_deref(), Some("00000042000000007"));
        assert_eq!(read("PV1-19.1").as_deref(), Some("V00000042"));
        assert_eq!(read("PID-18.1").as_deref(), Some("A00000042"));
        assert_eq!(read("PID-3.1").as_deref(), Some("00000042"));
    }

    #[test]
    fn marks_survive_being_written() {
        let mut place = [0; Mark::DIGITS + 3];
        for mark in [
            Mark { key: 0, count: 0 },
            Mark {
                key: 99_999_999,
                count: 999_999_999,
            },
        ] {
            mark.write(&mut place);
            assert_eq!(Mark::read(&place), Some(mark));
        }
        assert_eq!(Mark::read(b"0000000x000000001"), None);
        assert_eq!(Mark::read(b"0000000"), None);
    }
}
