//! A day in UTC: the unit by which data keys are made and destroyed.

use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use wardline_core::Timestamp;

const MICROSECONDS: i64 = 86_400_000_000;

/// A day in UTC, counted from 1970-01-01. Written as `2026-11-24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(pub u32);

impl Day {
    /// The day a moment lies in; moments before 1970 count as its first day.
    pub const fn of(at: Timestamp) -> Self {
        let days = at.0.div_euclid(MICROSECONDS);
        Self(if days < 0 { 0 } else { days as u32 })
    }

    /// The first day of the month this day lies in.
    #[must_use]
    pub fn month(self) -> Self {
        let date = Offset::UTC.to_datetime(self.start().to_jiff()).date();
        Self(self.0 - (date.day() as u32 - 1))
    }

    /// The first moment of this day.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * MICROSECONDS)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Offset::UTC.to_datetime(self.start().to_jiff()).date();
        fmt::Display::fmt(&date, f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl FromStr for Day {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let date: jiff::civil::Date = text.parse()?;
        let at = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0))?;
        Ok(Self::of(Timestamp(at.as_microsecond())))
    }
}

impl TryFrom<String> for Day {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_turn_at_midnight_utc() {
        let last: Timestamp =
            Timestamp::try_from("2026-11-24T23:59:59.999999Z".to_owned()).unwrap();
        assert_eq!(Day::of(last).to_string(), "2026-11-24");
        assert_eq!(Day::of(Timestamp(last.0 + 1)).to_string(), "2026-11-25");
        assert_eq!(Day::of(Timestamp(-1)), Day(0));
    }

    #[test]
    fn months_begin_on_their_first() {
        for (day, month) in [
            ("1970-01-01", "1970-01-01"),
            ("2028-02-29", "2028-02-01"),
            ("2026-12-31", "2026-12-01"),
        ] {
            assert_eq!(day.parse::<Day>().unwrap().month().to_string(), month);
        }
    }

    #[test]
    fn text_round_trips() {
        let day: Day = "2028-02-29".parse().unwrap();
        assert_eq!(day.to_string(), "2028-02-29");
        assert!("2027-02-29".parse::<Day>().is_err());
    }
}
