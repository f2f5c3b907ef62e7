//! Ids of everything the journal records.
//!
//! An id is 63 bits: 41 bits of milliseconds since 2024-01-01, 6 bits of node, 16 bits of
//! sequence. It sorts in the order of acceptance, is one SQLite/PostgreSQL integer key
//! (a 128-bit key costs an extra index), and prints as 13 characters of Crockford base 32,
//! short enough to read over the telephone.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Milliseconds between the Unix epoch and 2024-01-01T00:00:00Z, where ids begin.
const EPOCH_MS: i64 = 1_704_067_200_000;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LEN: usize = 13;

/// A time-ordered 63-bit id.
///
/// ```
/// use wardline_core::Id;
/// let id = Id::from_parts(1_764_000_000_000, 3, 7);
/// assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
/// assert_eq!(id.unix_ms(), 1_764_000_000_000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id(i64);

impl Id {
    /// The id before every other.
    pub const ZERO: Self = Self(0);
    /// The id after every other.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes an id from Unix milliseconds, a node number (0–63) and a sequence number.
    /// Times before 2024 count as 2024-01-01.
    pub const fn from_parts(unix_ms: i64, node: u8, seq: u16) -> Self {
        let ms = unix_ms - EPOCH_MS;
        let ms = if ms < 0 { 0 } else { ms };
        Self(((ms & ((1 << 41) - 1)) << 22) | (((node & 63) as i64) << 16) | seq as i64)
    }

    /// The id as the integer that the store keeps.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// An id from the integer that the store keeps; negative numbers become [`Id::ZERO`].
    pub const fn from_i64(raw: i64) -> Self {
        if raw < 0 { Self(0) } else { Self(raw) }
    }

    /// When the id was made, in Unix milliseconds.
    pub const fn unix_ms(self) -> i64 {
        (self.0 >> 22) + EPOCH_MS
    }

    /// The id `n` places further in the same block.
    #[must_use]
    pub const fn offset(self, n: u32) -> Self {
        Self(self.0 + n as i64)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = [0u8; TEXT_LEN];
        for (i, slot) in out.iter_mut().enumerate() {
            let shift = 5 * (TEXT_LEN - 1 - i);
            *slot = ALPHABET[((self.0 >> shift) & 31) as usize];
        }
        f.pad(std::str::from_utf8(&out).unwrap_or("?"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an id: ids are 13 characters of Crockford base 32.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: ids are 13 letters and digits, as `wardline messages` prints them")]
pub struct IdParseError(String);

impl FromStr for Id {
    type Err = IdParseError;

    fn from_str(text: &str) -> Result<Self, IdParseError> {
        let bad = || IdParseError(text.chars().take(40).collect());
        if text.len() != TEXT_LEN {
            return Err(bad());
        }
        let mut value: u128 = 0;
        for byte in text.bytes() {
            // Crockford's rule: letters that look like digits are read as those digits.
            let c = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                c => c,
            };
            let digit = ALPHABET.iter().position(|a| *a == c).ok_or_else(bad)?;
            value = (value << 5) | digit as u128;
        }
        i64::try_from(value).map(Self).map_err(|_| bad())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

macro_rules! id_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Id);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdParseError;
            fn from_str(text: &str) -> Result<Self, IdParseError> {
                text.parse().map(Self)
            }
        }
    };
}

id_newtype!(
    /// Names one accepted message or one event derived from it.
    MessageId
);
id_newtype!(
    /// Names one delivery; also the idempotency key of all its attempts.
    DeliveryId
);
id_newtype!(
    /// Names one run of a process.
    InstanceId
);
id_newtype!(
    /// Names one question to a person.
    TaskId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_sorts_like_numbers_and_round_trips() {
        let mut ids = [
            Id::from_parts(1_764_000_000_000, 0, 1),
            Id::from_parts(1_764_000_000_000, 0, 2),
            Id::from_parts(1_764_000_000_001, 0, 0),
            Id::from_parts(1_764_000_000_001, 5, 65_535),
            Id::MAX,
            Id::ZERO,
        ];
        ids.sort_unstable();
        let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert!(texts.is_sorted());
        for (id, text) in ids.iter().zip(&texts) {
            assert_eq!(&text.parse::<Id>().unwrap(), id);
            assert_eq!(&text.to_lowercase().parse::<Id>().unwrap(), id);
        }
    }

    #[test]
    fn hostile_text_is_refused() {
        for text in [
            "",
            "short",
            "UUUUUUUUUUUUU",
            "ZZZZZZZZZZZZZ",
            "01234567890123",
            "éééééé1",
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
