//! Dates and times as the hospital writes them.
//!
//! It lies six hours west of Greenwich and knows no summer time, so that a run does not depend on the time zone
//! files of the machine.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};

/// The hospital's offset.
pub(crate) const ZONE: Offset = Offset::constant(-6);

/// `2026-11-24T10:42:03-06:00`.
pub(crate) fn instant(at: Timestamp) -> String {
    format!(
        "{}-06:00",
        ZONE.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S")
    )
}

/// The day of `at`, so many days later (or earlier).
pub(crate) fn day(at: Timestamp, later: i64) -> Date {
    let today = ZONE.to_datetime(at).date();
    today.saturating_add(Span::new().days(later))
}

/// So many seconds earlier.
pub(crate) fn before(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_sub(Span::new().seconds(seconds))
        .unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::{before, day, instant};

    #[test]
    fn they_are_local() {
        let at = "2026-11-25T03:30:00Z".parse().unwrap();
        assert_eq!(instant(at), "2026-11-24T21:30:00-06:00");
        assert_eq!(day(at, 0).to_string(), "2026-11-24");
        assert_eq!(day(at, 7).to_string(), "2026-12-01");
        assert_eq!(instant(before(at, 60)), "2026-11-24T21:29:00-06:00");
    }
}
