//! What the text of a primitive must look like (FHIR R4, datatypes, "Primitive Types").

use serde_json::Value;

/// A primitive type of FHIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primitive {
    Base64,
    Boolean,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Oid,
    PositiveInt,
    Text,
    Time,
    UnsignedInt,
    Uri,
    Uuid,
    Xhtml,
}

impl Primitive {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64,
            "boolean" => Self::Boolean,
            "code" => Self::Code,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" => Self::Integer,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "string" | "markdown" => Self::Text,
            "time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uri" | "url" | "canonical" => Self::Uri,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }

    /// What is wrong with a value, without saying it.
    pub(crate) fn complaint(self, value: &Value) -> Option<&'static str> {
        match (self, value) {
            (Self::Boolean, Value::Bool(_)) | (Self::Decimal, Value::Number(_)) => None,
            (Self::Boolean, _) => Some("is not true or false"),
            (Self::Decimal, _) => Some("is not a number"),
            (Self::Integer, Value::Number(number)) => {
                within(number.as_i64(), -2_147_483_648).then_some("is not an integer of 32 bits")
            }
            (Self::UnsignedInt, Value::Number(number)) => {
                within(number.as_i64(), 0).then_some("is not an integer from 0 on")
            }
            (Self::PositiveInt, Value::Number(number)) => {
                within(number.as_i64(), 1).then_some("is not an integer from 1 on")
            }
            (Self::Integer | Self::UnsignedInt | Self::PositiveInt, _) => Some("is not an integer"),
            (_, Value::String(text)) if text.is_empty() => Some("is empty: leave it away"),
            (_, Value::String(text)) => self.of_text(text),
            _ => Some("is not a string"),
        }
    }

    fn of_text(self, text: &str) -> Option<&'static str> {
        let bytes = text.as_bytes();
        match self {
            Self::Code => (!code(bytes))
                .then_some("is not a code: it begins or ends with space, or has two in a row"),
            Self::Date => (date(bytes) != Some(bytes.len()))
                .then_some("is not a date: YYYY, YYYY-MM or YYYY-MM-DD"),
            Self::DateTime => (!date_time(bytes)).then_some(
                "is not a dateTime: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz",
            ),
            Self::Instant => {
                (!instant(bytes)).then_some("is not an instant: YYYY-MM-DDThh:mm:ss+zz:zz")
            }
            Self::Time => (time(bytes) != Some(bytes.len())).then_some("is not a time: hh:mm:ss"),
            Self::Id => (bytes.len() > 64
                || !bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')))
            .then_some("is not an id: at most 64 letters, digits, `-` and `.`"),
            Self::Oid => (!oid(text)).then_some("is not an OID: urn:oid:1.2.3"),
            Self::Uuid => (!uuid(text)).then_some("is not a UUID: urn:uuid:…"),
            Self::Uri => bytes
                .iter()
                .any(u8::is_ascii_whitespace)
                .then_some("is not a URI: it holds space"),
            Self::Base64 => (!base64(bytes)).then_some("is not base64"),
            Self::Xhtml => xhtml(text),
            Self::Text => {
                if text.trim().is_empty() {
                    Some("is empty but for space")
                } else {
                    text.chars()
                        .any(|one| one.is_control() && !matches!(one, '\n' | '\r' | '\t'))
                        .then_some("holds control characters")
                }
            }
            Self::Boolean
            | Self::Decimal
            | Self::Integer
            | Self::PositiveInt
            | Self::UnsignedInt => None,
        }
    }
}

/// Whether a number is out of bounds.
fn within(number: Option<i64>, least: i64) -> bool {
    !number.is_some_and(|number| (least..=i64::from(i32::MAX)).contains(&number))
}

/// The value of the two digits at `at`.
fn two(bytes: &[u8], at: usize) -> Option<u8> {
    let pair = bytes.get(at..at + 2)?;
    (pair[0].is_ascii_digit() && pair[1].is_ascii_digit())
        .then(|| (pair[0] - b'0') * 10 + pair[1] - b'0')
}

/// How long the date at the start is.
fn date(bytes: &[u8]) -> Option<usize> {
    let century = two(bytes, 0)?;
    let year = u16::from(century) * 100 + u16::from(two(bytes, 2)?);
    if year == 0 {
        return None;
    }
    if bytes.get(4) != Some(&b'-') {
        return Some(4);
    }
    let month = two(bytes, 5).filter(|month| (1..=12).contains(month))?;
    if bytes.get(7) != Some(&b'-') {
        return Some(7);
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let most = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    two(bytes, 8).filter(|day| (1..=most).contains(day))?;
    Some(10)
}

/// How long the time at the start is.
fn time(bytes: &[u8]) -> Option<usize> {
    two(bytes, 0).filter(|hour| *hour < 24)?;
    two(bytes, 3).filter(|minute| *minute < 60)?;
    two(bytes, 6).filter(|second| *second <= 60)?;
    if bytes.get(2) != Some(&b':') || bytes.get(5) != Some(&b':') {
        return None;
    }
    if bytes.get(8) != Some(&b'.') {
        return Some(8);
    }
    let digits = bytes[9..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (digits > 0).then_some(9 + digits)
}

fn instant(bytes: &[u8]) -> bool {
    let Some(10) = date(bytes) else { return false };
    let Some(rest) = bytes.get(11..) else {
        return false;
    };
    let Some(used) = time(rest).filter(|_| bytes[10] == b'T') else {
        return false;
    };
    match &rest[used..] {
        [b'Z'] => true,
        zone @ [b'+' | b'-', _, _, b':', _, _] => {
            two(zone, 1).is_some_and(|hours| hours <= 14)
                && two(zone, 4).is_some_and(|minutes| minutes < 60)
        }
        _ => false,
    }
}

fn date_time(bytes: &[u8]) -> bool {
    date(bytes) == Some(bytes.len()) || instant(bytes)
}

fn code(bytes: &[u8]) -> bool {
    let mut after_space = true;
    for byte in bytes {
        let space = byte.is_ascii_whitespace();
        if space && (after_space || *byte != b' ') {
            return false;
        }
        after_space = space;
    }
    !after_space
}

fn oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let number = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|byte| byte.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    let mut all = arcs.split('.');
    all.next()
        .is_some_and(|first| matches!(first, "0" | "1" | "2"))
        && arcs.contains('.')
        && all.all(number)
}

fn uuid(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(|text| {
        text.len() == 36
            && text.bytes().enumerate().all(|(n, byte)| match n {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

fn base64(bytes: &[u8]) -> bool {
    let mut count = 0_usize;
    let mut padding = 0_usize;
    for byte in bytes {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => continue,
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    padding <= 2 && count.is_multiple_of(4)
}

/// Narrative is shown by others as it is: what could act in a browser is refused. It is not parsed.
fn xhtml(text: &str) -> Option<&'static str> {
    let trimmed = text.trim();
    if !trimmed.starts_with("<div") || !(trimmed.ends_with("</div>") || trimmed.ends_with("/>")) {
        return Some("is not one <div> element");
    }
    let lower = trimmed.to_ascii_lowercase();
    let acts = [
        "<script",
        "<iframe",
        "<object",
        "<form",
        "javascript:",
        " onload=",
        " onclick=",
        " onerror=",
        "<!doctype",
        "<!entity",
    ];
    acts.iter()
        .any(|word| lower.contains(word))
        .then_some("holds what could act in a browser")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_held_against_the_specification() {
        let good = [
            (Primitive::Date, "2024-02-29"),
            (Primitive::Date, "1905"),
            (Primitive::DateTime, "2015-02-07T13:28:17.239+02:00"),
            (Primitive::DateTime, "2015-02"),
            (Primitive::Instant, "2015-02-07T13:28:17Z"),
            (Primitive::Time, "23:59:60"),
            (Primitive::Code, "a b"),
            (Primitive::Id, "a-1.B"),
            (Primitive::Oid, "urn:oid:1.2.840"),
            (Primitive::Base64, "aGk="),
            (
                Primitive::Uuid,
                "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            ),
            (Primitive::Uri, "urn:x:y"),
            (Primitive::Xhtml, "<div>x</div>"),
        ];
        for (kind, text) in good {
            assert_eq!(kind.complaint(&json!(text)), None, "{text}");
        }
        let bad = [
            (Primitive::Date, "2023-02-29"),
            (Primitive::Date, "2023-2-9"),
            (Primitive::DateTime, "2015-02-07T13:28:17"),
            (Primitive::DateTime, "2015-02-07T13:28Z"),
            (Primitive::Instant, "2015-02-07"),
            (Primitive::Time, "24:00:00"),
            (Primitive::Code, " a"),
            (Primitive::Code, "a  b"),
            (Primitive::Id, "a_b"),
            (Primitive::Oid, "1.2.840"),
            (Primitive::Base64, "aGk"),
            (Primitive::Uri, "a b"),
            (Primitive::Text, " "),
            (Primitive::Xhtml, "<div><script></div>"),
        ];
        for (kind, text) in bad {
            assert!(kind.complaint(&json!(text)).is_some(), "{text}");
        }
        assert!(Primitive::PositiveInt.complaint(&json!(0)).is_some());
        assert!(Primitive::Integer.complaint(&json!(1.5)).is_some());
        assert!(Primitive::Boolean.complaint(&json!("true")).is_some());
        assert_eq!(Primitive::Decimal.complaint(&json!(1.5)), None);
    }
}
