//! Control ids that carry their own order.
//!
//! A receiver can only prove that nothing overtook anything where it can read the order from what
//! arrives. So the simulated EHR numbers its messages in MSH-10 (eight base-36 digits that name the
//! run, nine decimal digits that count within it), maps copy MSH-10 into every body as `message_id`,
//! and receivers compare it per key.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const RUN_DIGITS: usize = 8;
const COUNT_DIGITS: usize = 9;
const RUN_LIMIT: u64 = 36_u64.pow(RUN_DIGITS as u32);

/// One run of an EHR: later runs compare greater, so ids of several runs sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(u64);

impl Run {
    /// A run of its own, named after the current millisecond; never given twice in one process.
    pub fn begin() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        let last = LAST
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| {
                Some(now.max(last + 1))
            })
            .unwrap_or(0);
        Self::from_number(now.max(last + 1))
    }

    /// The run with this number; for tests that must repeat themselves exactly.
    pub const fn from_number(number: u64) -> Self {
        Self(number % RUN_LIMIT)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; RUN_DIGITS];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            let value = (rest % 36) as u8;
            *digit = if value < 10 {
                b'0' + value
            } else {
                b'A' + value - 10
            };
            rest /= 36;
        }
        for digit in digits {
            fmt::Write::write_char(f, char::from(digit))?;
        }
        Ok(())
    }
}

/// The place of one message in its sender's order, as written in MSH-10.
///
/// ```
/// use wardline_sim::{Run, Sequence};
/// let first = Sequence { run: Run::from_number(1), number: 41 };
/// assert_eq!(first.to_string(), "00000001000000041");
/// assert_eq!(Sequence::read("00000001000000041"), Some(first));
/// assert_eq!(Sequence::read("MSG00001"), None); // some other sender's id: no order known
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence {
    /// Which run.
    pub run: Run,
    /// The how-manieth message of the run, below 10⁹.
    pub number: u64,
}

impl Sequence {
    /// Reads a control id written by this crate; `None` for any other text.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != RUN_DIGITS + COUNT_DIGITS {
            return None;
        }
        let (run, number) = bytes.split_at(RUN_DIGITS);
        let run = run.iter().try_fold(0_u64, |sum, byte| {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                _ => return None,
            };
            Some(sum * 36 + u64::from(digit))
        })?;
        let number = number.iter().try_fold(0_u64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u64::from(byte - b'0'))
        })?;
        Some(Self {
            run: Run(run),
            number,
        })
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:09}", self.run, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, Sequence};

    #[test]
    fn runs_are_never_given_twice_and_grow() {
        let runs: Vec<Run> = (0..100).map(|_| Run::begin()).collect();
        assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "{runs:?}");
    }

    #[test]
    fn text_order_is_number_order() {
        let run = Run::from_number(1_800_000_000_000);
        let texts: Vec<String> = [9, 10, 99, 100, 123_456_789]
            .iter()
            .map(|&number| Sequence { run, number }.to_string())
            .collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert!(
            texts
                .iter()
                .all(|text| Sequence::read(text).is_some_and(|read| read.to_string() == *text))
        );
    }

    #[test]
    fn other_texts_have_no_order() {
        for text in [
            "",
            "1",
            "MHK2ABCD00000012",
            "MHK2ABCD00000012X",
            "mhk2abcd000000123",
            "ÄHK2ABC000000123",
        ] {
            assert_eq!(Sequence::read(text), None, "{text}");
        }
    }
}
