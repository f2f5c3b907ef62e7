//! Dates and times as spans: a date is a whole day, a month a whole month.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

/// From a moment on, until before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Span {
    /// Of a FHIR date, dateTime or instant. What names no zone is in UTC.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > 40 || !text.is_ascii() {
            return None;
        }
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let mut number = |digits: usize| -> Option<Option<i16>> {
            let Some(part) = parts.next() else {
                return Some(None);
            };
            let good = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            good.then(|| part.parse().ok())
        };
        let (year, month, day) = (number(4)??, number(2)?, number(2)?);
        if parts.next().is_some() {
            return None;
        }
        let small = |part: Option<i16>| i8::try_from(part.unwrap_or(1)).ok();
        let first = Date::new(year, small(month)?, small(day)?).ok()?;
        if let Some(time) = time {
            day?;
            return Self::moment(first, time);
        }
        let after = match (month, day) {
            (None, _) => first.checked_add(jiff::Span::new().years(1)),
            (_, None) => first.checked_add(jiff::Span::new().months(1)),
            _ => first.tomorrow(),
        };
        let start = |date: Date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok();
        Some(Self {
            from: start(first)?,
            until: after.ok().and_then(start).unwrap_or(Timestamp::MAX),
        })
    }

    fn moment(date: Date, time: &str) -> Option<Self> {
        let zone = time.find(['Z', '+', '-']);
        let (clock, zone) = time.split_at(zone.unwrap_or(time.len()));
        let whole = match clock.len() {
            5 => format!(
                "{date}T{clock}:00{}",
                if zone.is_empty() { "Z" } else { zone }
            ),
            _ => format!("{date}T{clock}{}", if zone.is_empty() { "Z" } else { zone }),
        };
        let from: Timestamp = whole.parse().ok()?;
        // As exactly as it is said.
        let nanoseconds = match (clock.len(), clock.split_once('.')) {
            (5, _) => 60_000_000_000,
            (_, None) => 1_000_000_000,
            (_, Some((_, fraction))) => {
                let digits = u32::try_from(fraction.len()).unwrap_or(9).clamp(1, 9);
                10_i64.pow(9 - digits)
            }
        };
        let until = from.checked_add(jiff::SignedDuration::from_nanos(nanoseconds));
        Some(Self {
            from,
            until: until.unwrap_or(Timestamp::MAX),
        })
    }

    /// Of an element: a date, a time, or a period, which may be open at both ends.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::read(text),
            Value::Object(period) => {
                let end = |name: &str| period.get(name).and_then(Value::as_str);
                if end("start").is_none() && end("end").is_none() {
                    return None;
                }
                let read = |name| end(name).map(Self::read);
                let from = match read("start") {
                    Some(start) => start?.from,
                    None => Timestamp::MIN,
                };
                let until = match read("end") {
                    Some(end) => end?.until,
                    None => Timestamp::MAX,
                };
                Some(Self { from, until })
            }
            _ => None,
        }
    }
}

/// How a date is compared (FHIR R4, 3.1.1.5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
}

impl Prefix {
    /// The comparison that a value begins with, and the rest. `None` for one that is not known.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        if text.starts_with(|one: char| one.is_ascii_digit()) {
            return Some((Self::Eq, text));
        }
        let (word, rest) = text.split_at_checked(2)?;
        let prefix = match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            _ => return None,
        };
        Some((prefix, rest))
    }

    pub(super) fn holds(self, asked: Span, there: Span) -> bool {
        let equal = there.from >= asked.from && there.until <= asked.until;
        match self {
            Self::Eq => equal,
            Self::Ne => !equal,
            Self::Gt => there.until > asked.until,
            Self::Lt => there.from < asked.from,
            Self::Ge => equal || there.until > asked.until,
            Self::Le => equal || there.from < asked.from,
            Self::Sa => there.from >= asked.until,
            Self::Eb => there.until <= asked.from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(asked: &str, there: &Value) -> bool {
        let (prefix, rest) = Prefix::split(asked).unwrap();
        prefix.holds(Span::read(rest).unwrap(), Span::of(there).unwrap())
    }

    #[test]
    fn spans_are_compared_as_the_specification_says() {
        let cases = [
            ("2026", "2026-11-28", true),
            ("2026-11", "2026-11-30T23:59:59Z", true),
            ("2026-11", "2026-12-01", false),
            ("2026-11-28", "2026-11", false),
            ("ne2026-11-28", "2026-11-28", false),
            ("gt2026-11-28", "2026-11-28T12:00:00Z", false),
            ("gt2026-11-28T11:00:00Z", "2026-11-28", true),
            ("ge2026-11-28", "2026-11-28", true),
            ("lt2026-11-28", "2026-11-27", true),
            ("le2026-11-28", "2026-11-29", false),
            ("sa2026-11-28", "2026-11-29", true),
            ("eb2026-11-28", "2026-11-28", false),
            ("2026-11-28T10:00+02:00", "2026-11-28T08:00:30Z", true),
        ];
        for (asked, there, wanted) in cases {
            assert_eq!(
                holds(asked, &Value::String(there.into())),
                wanted,
                "{asked} {there}"
            );
        }
        let open = serde_json::json!({ "start": "2026-01-01" });
        assert!(holds("gt2030-01-01", &open) && !holds("eb2030-01-01", &open));
        for bad in [
            "",
            "2026-13",
            "2026-1",
            "20",
            "2026-02-30",
            "2026-11T10:00Z",
            "é2026",
            "2026-11-28T",
        ] {
            assert!(Span::read(bad).is_none(), "{bad}");
        }
        assert!(Prefix::split("ap2026").is_none() && Prefix::split("é").is_none());
    }
}
