//! Timestamps (data types TS, DTM, DT): `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`
//! (HL7 v2.5.1 section 2.A.22).
//!
//! The precision is part of the value: `2026` is a year, not its first second. No time zone is
//! guessed; a caller that knows the sender's zone adds it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

/// How exact a timestamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYYMM`
    Month,
    /// `YYYYMMDD`
    Day,
    /// `YYYYMMDDHH`
    Hour,
    /// `YYYYMMDDHHMM`
    Minute,
    /// `YYYYMMDDHHMMSS`
    Second,
    /// With that many digits (1 to 9; the standard has up to 4) after the point.
    Fraction(u8),
}

/// A point in time as a sender wrote it. Parts finer than [`Timestamp::precision`] are their least
/// value (month and day 1, the rest 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp {
    /// 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31, as the month has.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59, or 60 for a leap second.
    pub second: u8,
    /// Nanoseconds of the second.
    pub nanosecond: u32,
    /// How much of it was written.
    pub precision: Precision,
    /// Minutes east of UTC, where the sender said so.
    pub offset_minutes: Option<i16>,
}

/// What is wrong with a timestamp's text. The text itself is not repeated: it may be a birth date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an HL7 timestamp: {reason} (at character {}); it is written YYYYMMDDHHMMSS.SSSS+ZZZZ and may end early", position + 1)]
pub struct TimeError {
    /// What is wrong.
    pub reason: &'static str,
    /// Byte position in the text, from 0.
    pub position: usize,
}

/// Reads a timestamp.
///
/// ```
/// use wardline_hl7::time::{self, Precision};
/// let t = time::parse("20261124104203.12-0600")?;
/// assert_eq!((t.hour, t.nanosecond, t.offset_minutes), (10, 120_000_000, Some(-360)));
/// assert_eq!(time::parse("202611")?.precision, Precision::Month);
/// assert!(time::parse("20260230").is_err());
/// # Ok::<(), time::TimeError>(())
/// ```
///
/// # Errors
/// Where the text is of another form or names a day or time that does not exist.
pub fn parse(text: &str) -> Result<Timestamp, TimeError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut t = Timestamp {
        year: 0,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        precision: Precision::Year,
        offset_minutes: None,
    };
    t.year = digits(
        bytes,
        &mut at,
        4,
        0,
        9999,
        "a year of four digits must stand here",
    )?;
    let mut steps: [(&mut u8, u16, u16, Precision, &'static str); 5] = [
        (&mut t.month, 1, 12, Precision::Month, "a month is 01 to 12"),
        (&mut t.day, 1, 31, Precision::Day, "a day is 01 to 31"),
        (&mut t.hour, 0, 23, Precision::Hour, "an hour is 00 to 23"),
        (
            &mut t.minute,
            0,
            59,
            Precision::Minute,
            "a minute is 00 to 59",
        ),
        (
            &mut t.second,
            0,
            60,
            Precision::Second,
            "a second is 00 to 60",
        ),
    ];
    let mut precision = Precision::Year;
    for (slot, low, high, step, reason) in &mut steps {
        if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
            break;
        }
        **slot = digits(bytes, &mut at, 2, *low, *high, reason)? as u8;
        precision = *step;
    }
    t.precision = precision;
    if t.day > days_in_month(t.year, t.month) {
        return Err(TimeError {
            reason: "the month has no such day",
            position: 6,
        });
    }
    if precision == Precision::Second && bytes.get(at) == Some(&b'.') {
        at += 1;
        let count = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count == 0 || count > 9 {
            return Err(TimeError {
                reason: "one to nine digits must follow the point",
                position: at,
            });
        }
        for (digit, place) in bytes[at..at + count]
            .iter()
            .zip([8, 7, 6, 5, 4, 3, 2, 1, 0])
        {
            t.nanosecond += u32::from(digit - b'0') * 10_u32.pow(place);
        }
        at += count;
        t.precision = Precision::Fraction(count as u8);
    }
    if let Some(sign @ (b'+' | b'-')) = bytes.get(at) {
        at += 1;
        let hours = digits(bytes, &mut at, 2, 0, 14, "an offset is at most 14 hours")?;
        let minutes = digits(bytes, &mut at, 2, 0, 59, "offset minutes are 00 to 59")?;
        let total = (hours * 60 + minutes) as i16;
        t.offset_minutes = Some(if *sign == b'-' { -total } else { total });
    }
    if at < bytes.len() {
        return Err(TimeError {
            reason: "nothing else may follow",
            position: at,
        });
    }
    Ok(t)
}

fn digits(
    bytes: &[u8],
    at: &mut usize,
    count: usize,
    low: u16,
    high: u16,
    reason: &'static str,
) -> Result<u16, TimeError> {
    let position = *at;
    let part = bytes
        .get(position..position + count)
        .filter(|part| part.iter().all(u8::is_ascii_digit));
    let part = part.ok_or(TimeError { reason, position })?;
    let value = part
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if value < low || value > high {
        return Err(TimeError { reason, position });
    }
    *at += count;
    Ok(value)
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Timestamp {
    /// This moment in UTC, to the millisecond.
    pub fn now_utc() -> Self {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut t = Self::from_unix(i64::try_from(elapsed.as_secs()).unwrap_or(0));
        t.nanosecond = elapsed.subsec_millis() * 1_000_000;
        t.precision = Precision::Fraction(3);
        t
    }

    /// Seconds since 1970-01-01T00:00:00Z, in UTC. Years outside of 0 to 9999 are held at the ends.
    pub fn from_unix(seconds: i64) -> Self {
        let seconds = seconds.clamp(-62_167_219_200, 253_402_300_799);
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days to civil date by counting from 0000-03-01, so that leap days come last in a year.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year: year as u16,
            month: month as u8,
            day: day as u8,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            nanosecond: 0,
            precision: Precision::Second,
            offset_minutes: Some(0),
        }
    }

    /// As HL7 writes it, as exact as it is.
    pub fn to_hl7(&self) -> String {
        let parts = [
            (Precision::Month, self.month),
            (Precision::Day, self.day),
            (Precision::Hour, self.hour),
            (Precision::Minute, self.minute),
            (Precision::Second, self.second),
        ];
        let mut out = format!("{:04}", self.year);
        for (_, value) in parts.iter().take_while(|(step, _)| self.precision >= *step) {
            push(&mut out, format_args!("{value:02}"));
        }
        out.push_str(&self.fraction());
        if let Some(offset) = self.offset_minutes {
            let sign = if offset < 0 { '-' } else { '+' };
            push(
                &mut out,
                format_args!("{sign}{:02}{:02}", offset.abs() / 60, offset.abs() % 60),
            );
        }
        out
    }

    /// As ISO 8601 writes it: `2026`, `2026-11`, `2026-11-24`, `2026-11-24T10:42:03.12-06:00`. With
    /// an offset and at least minutes that is RFC 3339; an hour alone is written with `:00`.
    pub fn to_iso(&self) -> String {
        let date = format!("{:04}-{:02}-{:02}", self.year, self.month, self.day);
        match self.precision {
            Precision::Year => format!("{:04}", self.year),
            Precision::Month => format!("{:04}-{:02}", self.year, self.month),
            Precision::Day => date,
            _ => {
                let seconds =
                    if self.precision >= Precision::Second || self.offset_minutes.is_some() {
                        format!(":{:02}", self.second)
                    } else {
                        String::new()
                    };
                let offset = match self.offset_minutes {
                    None => String::new(),
                    Some(0) => "Z".into(),
                    Some(offset) => {
                        let sign = if offset < 0 { '-' } else { '+' };
                        format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
                    }
                };
                format!(
                    "{date}T{:02}:{:02}{seconds}{}{offset}",
                    self.hour,
                    self.minute,
                    self.fraction()
                )
            }
        }
    }

    fn fraction(&self) -> String {
        match self.precision {
            Precision::Fraction(digits) => format!(
                ".{}",
                &format!("{:09}", self.nanosecond)[..usize::from(digits.clamp(1, 9))]
            ),
            _ => String::new(),
        }
    }
}

fn push(out: &mut String, part: fmt::Arguments<'_>) {
    // A String takes everything; the result is of the trait, not of the type.
    let written = fmt::Write::write_fmt(out, part);
    debug_assert!(written.is_ok());
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_precision() {
        for (text, iso) in [
            ("2026", "2026"),
            ("202611", "2026-11"),
            ("20261124", "2026-11-24"),
            ("2026112410", "2026-11-24T10:00"),
            ("202611241042", "2026-11-24T10:42"),
            ("202611241042-0600", "2026-11-24T10:42:00-06:00"),
            ("20261124104203", "2026-11-24T10:42:03"),
            ("20261124104203.12-0600", "2026-11-24T10:42:03.12-06:00"),
            ("20261124104203.1234+0000", "2026-11-24T10:42:03.1234Z"),
            ("20240229", "2024-02-29"),
            ("20260101+0530", "2026-01-01"),
        ] {
            let t = parse(text).unwrap();
            assert_eq!(t.to_hl7(), text);
            assert_eq!(t.to_iso(), iso);
        }
    }

    #[test]
    fn refuses_what_does_not_exist() {
        for (text, position) in [
            ("", 0),
            ("26", 0),
            ("202613", 4),
            ("20260230", 6),
            ("2026112424", 8),
            ("20261124104203.", 15),
            ("20261124104203.12x", 17),
            ("20261124T10", 8),
            ("20261124+25", 9),
            ("2026-11-24", 4 + 3),
            ("2026٣٣", 4),
        ] {
            assert_eq!(parse(text).unwrap_err().position, position, "{text}");
        }
    }

    #[test]
    fn civil_dates() {
        assert_eq!(Timestamp::from_unix(0).to_iso(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Timestamp::from_unix(1_709_164_800).to_iso(),
            "2024-02-29T00:00:00Z"
        );
        assert_eq!(Timestamp::from_unix(-1).to_iso(), "1969-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_unix(i64::MAX).year, 9999);
    }
}
