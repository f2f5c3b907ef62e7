//! Dates as files write them: a picture such as `YYYYMMDD` or `DD.MM.YYYY hh:mm`.

use std::fmt::{self, Write as _};

/// A picture of a date, ready to read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Literal(char),
}

/// A day, and a time of it where the picture has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
    time: Option<(u8, u8, u8)>,
}

const WORDS: [(&str, Part); 7] = [
    ("YYYY", Part::Year),
    ("YY", Part::ShortYear),
    ("MM", Part::Month),
    ("DD", Part::Day),
    ("hh", Part::Hour),
    ("mm", Part::Minute),
    ("ss", Part::Second),
];

impl Picture {
    /// Reads a picture.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((word, part)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
                if parts.contains(part) {
                    return Err(format!("`{word}` stands in it twice"));
                }
                parts.push(*part);
                rest = &rest[word.len()..];
            } else if first.is_ascii_alphabetic() && first != 'T' && first != 'Z' {
                return Err("a date is written with YYYY or YY, MM, DD, hh, mm and ss".to_owned());
            } else {
                parts.push(Part::Literal(first));
                rest = &rest[first.len_utf8()..];
            }
        }
        let has = |part| parts.contains(&part);
        if !(has(Part::Year) || has(Part::ShortYear)) || !has(Part::Month) || !has(Part::Day) {
            return Err("a date needs a year, a month and a day".to_owned());
        }
        Ok(Self(parts))
    }

    /// Reads a date, which must exist in the calendar.
    pub(crate) fn read(&self, text: &str) -> Option<Date> {
        let mut date = Date::default();
        let (mut hour, mut minute, mut second, mut timed) = (0, 0, 0, false);
        let mut rest = text;
        for part in &self.0 {
            let digits = match part {
                Part::Literal(expected) => {
                    rest = rest.strip_prefix(*expected)?;
                    continue;
                }
                Part::Year => 4,
                _ => 2,
            };
            let number = rest.get(..digits)?;
            if !number.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            rest = &rest[digits..];
            let number: u16 = number.parse().ok()?;
            let small = u8::try_from(number).unwrap_or(u8::MAX);
            match part {
                Part::Year => date.year = number,
                // Two digits mean the century around the turn of the millennium.
                Part::ShortYear => date.year = number + if number < 70 { 2000 } else { 1900 },
                Part::Month => date.month = small,
                Part::Day => date.day = small,
                Part::Hour => (hour, timed) = (small, true),
                Part::Minute => (minute, timed) = (small, true),
                Part::Second => (second, timed) = (small, true),
                Part::Literal(_) => {}
            }
        }
        date.time = timed.then_some((hour, minute, second));
        (rest.is_empty() && date.exists()).then_some(date)
    }

    /// Writes a date.
    pub(crate) fn write(&self, date: Date) -> String {
        let (hour, minute, second) = date.time.unwrap_or_default();
        let mut text = String::new();
        for part in &self.0 {
            let written = match part {
                Part::Year => write!(text, "{:04}", date.year),
                Part::ShortYear => write!(text, "{:02}", date.year % 100),
                Part::Month => write!(text, "{:02}", date.month),
                Part::Day => write!(text, "{:02}", date.day),
                Part::Hour => write!(text, "{hour:02}"),
                Part::Minute => write!(text, "{minute:02}"),
                Part::Second => write!(text, "{second:02}"),
                Part::Literal(literal) => text.write_char(*literal),
            };
            debug_assert!(written.is_ok(), "a String takes everything");
        }
        text
    }
}

impl Date {
    /// Reads a date as JSON has it: `2026-11-27` or `2026-11-27T10:00:00`, whatever follows.
    pub(crate) fn from_iso(text: &str) -> Option<Self> {
        let (day, time) = text.split_at_checked(10)?;
        let pictures = [("YYYY-MM-DD", day.to_owned())];
        let mut date = Picture::parse(pictures[0].0).ok()?.read(&pictures[0].1)?;
        if let Some(time) = time.strip_prefix(['T', ' ']) {
            let mut parts = time.get(..8).or_else(|| time.get(..5))?.split(':');
            let mut next = || parts.next().map_or(Some(0), |part| part.parse::<u8>().ok());
            date.time = Some((next()?, next()?, next()?));
        }
        date.exists().then_some(date)
    }

    fn exists(self) -> bool {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return false,
        };
        let (hour, minute, second) = self.time.unwrap_or_default();
        (1..=days).contains(&self.day) && hour < 24 && minute < 60 && second < 60
    }
}

impl fmt::Display for Date {
    /// By ISO 8601; a time has no offset, as the file has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)?;
        match self.time {
            Some((hour, minute, second)) => write!(f, "T{hour:02}:{minute:02}:{second:02}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_read_and_write() {
        for (picture, text, iso) in [
            ("YYYYMMDD", "20240229", "2024-02-29"),
            ("DD.MM.YYYY", "01.12.2026", "2026-12-01"),
            ("MM/DD/YY", "07/04/69", "2069-07-04"),
            ("YYYYMMDDhhmmss", "20261127235959", "2026-11-27T23:59:59"),
            (
                "YYYY-MM-DDThh:mm",
                "2026-11-27T10:05",
                "2026-11-27T10:05:00",
            ),
        ] {
            let made = Picture::parse(picture).unwrap();
            let date = made.read(text).unwrap();
            assert_eq!(date.to_string(), iso);
            assert_eq!(made.write(date), text);
            assert_eq!(Date::from_iso(iso), Some(date));
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        let day = Picture::parse("YYYYMMDD").unwrap();
        for text in [
            "20230229",
            "20261301",
            "2026112",
            "202611270",
            "2026112x",
            "",
            "２０２６1127",
        ] {
            assert_eq!(day.read(text), None, "{text}");
        }
        for picture in ["YYYYDD", "YYYYMMDDxx", "MMDD", "YYYYMMDDMM"] {
            assert!(Picture::parse(picture).is_err(), "{picture}");
        }
    }
}
