//! Types that XML Schema itself knows, and whether a text is one of their values.

use std::cmp::Ordering;

use super::{Bound, Facets};
use crate::xml::is_space;

/// What kind of value a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text, blanks kept.
    Text,
    /// Text whose blanks do not matter: tokens, names, uris.
    Token,
    /// `true`, `false`, `1`, `0`.
    Boolean,
    /// A whole number between these.
    Integer(Option<i128>, Option<i128>),
    /// A number with an exact fraction.
    Decimal,
    /// A binary floating point number.
    Float,
    /// Bytes in base64.
    Base64,
    /// Bytes in hexadecimal.
    Hex,
    /// A name with its namespace.
    QName,
    /// `2026-11-28`.
    Date,
    /// `13:20:00`.
    Time,
    /// `2026-11-28T13:20:00Z`.
    DateTime,
    /// `P1DT2H`.
    Duration,
}

/// The kind of a type of XML Schema, and whether it is a list of it.
pub(crate) fn known(local: &str) -> Option<(Kind, bool)> {
    let whole = |low, high| (Kind::Integer(low, high), false);
    Some(match local {
        "string" | "anySimpleType" => (Kind::Text, false),
        "normalizedString" | "token" | "language" | "NMTOKEN" | "Name" | "NCName" | "ID"
        | "IDREF" | "ENTITY" | "anyURI" | "gYear" | "gYearMonth" | "gMonth" | "gMonthDay"
        | "gDay" => (Kind::Token, false),
        "NMTOKENS" | "IDREFS" | "ENTITIES" => (Kind::Token, true),
        "boolean" => (Kind::Boolean, false),
        "decimal" => (Kind::Decimal, false),
        "float" | "double" => (Kind::Float, false),
        "integer" => whole(None, None),
        "nonPositiveInteger" => whole(None, Some(0)),
        "negativeInteger" => whole(None, Some(-1)),
        "nonNegativeInteger" => whole(Some(0), None),
        "positiveInteger" => whole(Some(1), None),
        "long" => whole(Some(i64::MIN.into()), Some(i64::MAX.into())),
        "int" => whole(Some(i32::MIN.into()), Some(i32::MAX.into())),
        "short" => whole(Some(i16::MIN.into()), Some(i16::MAX.into())),
        "byte" => whole(Some(i8::MIN.into()), Some(i8::MAX.into())),
        "unsignedLong" => whole(Some(0), Some(u64::MAX.into())),
        "unsignedInt" => whole(Some(0), Some(u32::MAX.into())),
        "unsignedShort" => whole(Some(0), Some(u16::MAX.into())),
        "unsignedByte" => whole(Some(0), Some(u8::MAX.into())),
        "base64Binary" => (Kind::Base64, false),
        "hexBinary" => (Kind::Hex, false),
        "QName" | "NOTATION" => (Kind::QName, false),
        "date" => (Kind::Date, false),
        "time" => (Kind::Time, false),
        "dateTime" => (Kind::DateTime, false),
        "duration" => (Kind::Duration, false),
        _ => return None,
    })
}

/// All names that [`known`] knows.
pub(crate) const ALL: [&str; 47] = [
    "string",
    "anySimpleType",
    "normalizedString",
    "token",
    "language",
    "NMTOKEN",
    "Name",
    "NCName",
    "ID",
    "IDREF",
    "ENTITY",
    "anyURI",
    "gYear",
    "gYearMonth",
    "gMonth",
    "gMonthDay",
    "gDay",
    "NMTOKENS",
    "IDREFS",
    "ENTITIES",
    "boolean",
    "decimal",
    "float",
    "double",
    "integer",
    "nonPositiveInteger",
    "negativeInteger",
    "nonNegativeInteger",
    "positiveInteger",
    "long",
    "int",
    "short",
    "byte",
    "unsignedLong",
    "unsignedInt",
    "unsignedShort",
    "unsignedByte",
    "base64Binary",
    "hexBinary",
    "QName",
    "NOTATION",
    "date",
    "time",
    "dateTime",
    "duration",
    "anyAtomicType",
    "untypedAtomic",
];

impl Kind {
    /// The value without the blanks that do not matter.
    pub(crate) fn trim(self, text: &str) -> &str {
        match self {
            Self::Text => text,
            _ => text.trim_matches(is_space),
        }
    }

    /// What is wrong with a (trimmed) text, as `is not …`.
    pub(crate) fn check(self, text: &str) -> Result<(), &'static str> {
        let good = match self {
            Self::Text | Self::Token | Self::QName => true,
            Self::Boolean => matches!(text, "true" | "false" | "1" | "0"),
            Self::Integer(low, high) => return integer(text, low, high),
            Self::Decimal => Number::read(text).is_some(),
            Self::Float => {
                matches!(text, "INF" | "-INF" | "NaN")
                    || (text
                        .bytes()
                        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
                        && text.parse::<f64>().is_ok())
            }
            Self::Base64 => text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/= \t\r\n".contains(&b)),
            Self::Hex => {
                text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())
            }
            Self::Date => shape(zoneless(text), b"9999-99-99") && date(text),
            Self::Time => time(zoneless(text)),
            Self::DateTime => match zoneless(text).split_once('T') {
                Some((day, clock)) => shape(day, b"9999-99-99") && date(day) && time(clock),
                None => false,
            },
            Self::Duration => {
                let text = text.strip_prefix('-').unwrap_or(text);
                text.len() > 2
                    && text.starts_with('P')
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_digit() || b"PYMDTHS.".contains(&b))
            }
        };
        if good {
            return Ok(());
        }
        Err(match self {
            Self::Boolean => "is not a boolean",
            Self::Decimal => "is not a decimal number",
            Self::Float => "is not a number",
            Self::Base64 => "is not base64",
            Self::Hex => "is not hexadecimal",
            Self::Date => "is not a date such as 2026-11-28",
            Self::Time => "is not a time such as 13:20:00",
            Self::DateTime => "is not a time such as 2026-11-28T13:20:00Z",
            Self::Duration => "is not a duration such as P1DT2H",
            _ => "is not a value of its type",
        })
    }
}

fn integer(text: &str, low: Option<i128>, high: Option<i128>) -> Result<(), &'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a whole number");
    }
    let negative = text.starts_with('-');
    match text.strip_prefix('+').unwrap_or(text).parse::<i128>() {
        Ok(value) => {
            if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
                return Err("is outside the range of its type");
            }
        }
        // Beyond 38 digits: good where the type has no end on that side.
        Err(_) => {
            if (negative && low.is_some()) || (!negative && high.is_some()) {
                return Err("is outside the range of its type");
            }
        }
    }
    Ok(())
}

/// `9` stands for a digit, anything else for itself. Years of five digits are taken.
fn shape(text: &str, pattern: &[u8]) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let extra = text.len().saturating_sub(pattern.len());
    let (year, rest) = text.as_bytes().split_at(extra.min(text.len()));
    extra <= 5
        && year.iter().all(u8::is_ascii_digit)
        && rest.len() == pattern.len()
        && rest.iter().zip(pattern).all(|(byte, wanted)| match wanted {
            b'9' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn zoneless(text: &str) -> &str {
    if let Some(text) = text.strip_suffix('Z') {
        return text;
    }
    let Some(at) = text.len().checked_sub(6) else {
        return text;
    };
    match text.as_bytes()[at..] {
        [b'+' | b'-', a, b, b':', c, d]
            if [a, b, c, d].iter().all(u8::is_ascii_digit) && text.is_char_boundary(at) =>
        {
            &text[..at]
        }
        _ => text,
    }
}

fn date(text: &str) -> bool {
    let mut parts = zoneless(text).rsplitn(3, '-');
    let day = parts.next().and_then(|part| part.parse::<u8>().ok());
    let month = parts.next().and_then(|part| part.parse::<u8>().ok());
    let year = parts.next().and_then(|part| part.parse::<i64>().ok());
    let (Some(day), Some(month), Some(year)) = (day, month, year) else {
        return false;
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(leap),
        _ => return false,
    };
    (1..=last).contains(&day)
}

fn time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let within = |part: &str, most: u8| {
        part.len() == 2
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse::<u8>().is_ok_and(|value| value <= most)
    };
    parts.len() == 3
        && within(parts[0], 24)
        && within(parts[1], 59)
        && within(parts[2], 59)
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// A decimal number of any length, compared exactly.
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Number<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Some(Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let size = |a: &Self, b: &Self| {
            a.whole
                .len()
                .cmp(&b.whole.len())
                .then_with(|| a.whole.cmp(b.whole))
                .then_with(|| a.fraction.cmp(b.fraction))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self, other),
            (true, true) => size(other, self),
        }
    }
}

impl Facets {
    /// What is wrong with a (trimmed) text of this kind, as `is not …`. `length` is what its length
    /// counts.
    pub(crate) fn check(&self, text: &str, length: u64) -> Result<(), &'static str> {
        if !self.enumeration.is_empty() && !self.enumeration.iter().any(|one| &**one == text) {
            return Err("is not one of the values that its type lists");
        }
        if self.length.0.is_some_and(|least| length < least) {
            return Err("is shorter than its type allows");
        }
        if self.length.1.is_some_and(|most| length > most) {
            return Err("is longer than its type allows");
        }
        if self.range.0.is_none()
            && self.range.1.is_none()
            && self.digits.0.is_none()
            && self.digits.1.is_none()
        {
            return Ok(());
        }
        // Ranges of dates are not held against values.
        let Some(number) = Number::read(text) else {
            return Ok(());
        };
        let outside = |bound: &Option<Bound>, wrong: Ordering| {
            bound.as_ref().is_some_and(|(bound, exclusive)| {
                Number::read(bound).is_some_and(|bound| match number.compare(&bound) {
                    Ordering::Equal => *exclusive,
                    order => order == wrong,
                })
            })
        };
        if outside(&self.range.0, Ordering::Less) || outside(&self.range.1, Ordering::Greater) {
            return Err("is outside the range of its type");
        }
        let digits = (number.whole.len() + number.fraction.len()) as u64;
        if self.digits.0.is_some_and(|most| digits > most)
            || self
                .digits
                .1
                .is_some_and(|most| number.fraction.len() as u64 > most)
        {
            return Err("has more digits than its type allows");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_others() {
        let good = [
            ("boolean", "1"),
            ("int", "-2147483648"),
            ("unsignedLong", "18446744073709551615"),
            ("integer", "-123456789012345678901234567890123456789012345"),
            ("decimal", "+.50"),
            ("decimal", "12."),
            ("double", "1e-7"),
            ("float", "-INF"),
            ("date", "2024-02-29"),
            ("date", "2026-11-28+05:30"),
            ("dateTime", "2026-11-28T24:00:00.000Z"),
            ("time", "23:59:59"),
            ("duration", "-P1DT2H"),
            ("hexBinary", "0aFF"),
        ];
        for (name, text) in good {
            let (kind, _) = known(name).unwrap();
            assert_eq!(kind.check(text), Ok(()), "{name} {text}");
        }
        let bad = [
            ("boolean", "yes"),
            ("int", "2147483648"),
            ("unsignedLong", "-1"),
            ("integer", "1.0"),
            ("integer", ""),
            ("positiveInteger", "0"),
            ("decimal", "1e3"),
            ("decimal", "."),
            ("decimal", ""),
            ("double", "inf"),
            ("double", "nan"),
            ("date", "2026-02-29"),
            ("date", "28.11.2026"),
            ("dateTime", "2026-11-28"),
            ("dateTime", "2026-11-28T25:00:00"),
            ("hexBinary", "abc"),
            ("base64Binary", "a*b"),
            (
                "unsignedInt",
                "99999999999999999999999999999999999999999999",
            ),
        ];
        for (name, text) in bad {
            let (kind, _) = known(name).unwrap();
            assert!(kind.check(text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn numbers_are_compared_exactly() {
        let facets = Facets {
            range: (
                Some(("-0.10".into(), false)),
                Some(("100000000000000000000.01".into(), true)),
            ),
            digits: (None, Some(2)),
            ..Facets::default()
        };
        for good in ["-0.1", "0", "100000000000000000000.00", "-0.0"] {
            assert_eq!(facets.check(good, 0), Ok(()), "{good}");
        }
        for bad in ["-0.11", "100000000000000000000.01", "1.234"] {
            assert!(facets.check(bad, 0).is_err(), "{bad}");
        }
    }
}
