//! HL7 timestamps (data types DTM, TS, DT; HL7 v2.5.1 section 2.A.22) to and from RFC 3339.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};
use wardline_hl7::time::{self, Precision};

/// Why a text could not be read as a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Not `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`, or no such day or hour.
    Malformed,
    /// It has a time but neither an offset nor a zone to read it in.
    Zoneless,
}

/// How much of a timestamp to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
}

impl Wanted {
    /// Each with the name that programs give it.
    pub(crate) const ALL: [(&str, Self); 7] = [
        ("year", Self::Year),
        ("month", Self::Month),
        ("day", Self::Day),
        ("hour", Self::Hour),
        ("minute", Self::Minute),
        ("second", Self::Second),
        ("fraction", Self::Fraction),
    ];
}

/// Reads an HL7 timestamp and writes it as RFC 3339 with the precision it has: `2026`,
/// `2026-11`, `2026-11-24`, and from the hour on a full date and time with offset.
///
/// An offset in the text is kept; without one the time is read in `zone`. A local time that
/// does not exist (clocks going forward) is taken as by the offset before; one that exists
/// twice, as the earlier.
pub(crate) fn to_rfc3339(text: &str, zone: Option<&TimeZone>) -> Result<String, Unreadable> {
    let read = time::parse(text.trim()).map_err(|_| Unreadable::Malformed)?;
    let digits = match read.precision {
        Precision::Year => return Ok(format!("{:04}", read.year)),
        Precision::Month => return Ok(format!("{:04}-{:02}", read.year, read.month)),
        Precision::Day => {
            return Ok(format!(
                "{:04}-{:02}-{:02}",
                read.year, read.month, read.day
            ));
        }
        Precision::Hour | Precision::Minute | Precision::Second => 0,
        Precision::Fraction(digits) => usize::from(digits),
    };
    let moment = DateTime::new(
        i16::try_from(read.year).map_err(|_| Unreadable::Malformed)?,
        read.month as i8,
        read.day as i8,
        read.hour as i8,
        read.minute as i8,
        // A leap second, which some clocks send, is the last second of its minute.
        read.second.min(59) as i8,
        read.nanosecond as i32,
    )
    .map_err(|_| Unreadable::Malformed)?;
    let zone = match (read.offset_minutes, zone) {
        (Some(minutes), _) => Offset::from_seconds(i32::from(minutes) * 60)
            .map_err(|_| Unreadable::Malformed)?
            .to_time_zone(),
        (None, Some(zone)) => zone.clone(),
        (None, None) => return Err(Unreadable::Zoneless),
    };
    let zoned = zone
        .to_ambiguous_zoned_datetime(moment)
        .compatible()
        .map_err(|_| Unreadable::Malformed)?;
    Ok(render(&zoned, digits))
}

fn render(zoned: &ZonedDateTime, digits: usize) -> String {
    let moment = zoned.datetime().strftime("%Y-%m-%dT%H:%M:%S");
    let nanoseconds = format!(".{:09}", zoned.subsec_nanosecond());
    let fraction = if digits == 0 {
        ""
    } else {
        &nanoseconds[..=digits]
    };
    let seconds = zoned.offset().seconds();
    if seconds == 0 {
        return format!("{moment}{fraction}Z");
    }
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!(
        "{moment}{fraction}{sign}{:02}:{:02}",
        minutes / 60,
        minutes % 60
    )
}

/// Writes an RFC 3339 timestamp, or a date, as HL7 wants it, at most as precise as it is: in its
/// own offset, or in `zone`.
pub(crate) fn to_hl7(
    text: &str,
    zone: Option<&TimeZone>,
    precision: Wanted,
) -> Result<String, Unreadable> {
    let text = text.trim();
    let dashed = text.bytes().enumerate().all(|(at, byte)| {
        if matches!(at, 4 | 7) {
            byte == b'-'
        } else {
            byte.is_ascii_digit()
        }
    });
    if dashed && matches!(text.len(), 4 | 7 | 10) {
        // A date of any precision: checked by filling it up.
        let filled = format!("{text}{}", &"0001-01-01"[text.len()..]);
        let date: jiff::civil::Date = filled.parse().map_err(|_| Unreadable::Malformed)?;
        let length = match precision {
            Wanted::Year => 4,
            Wanted::Month => 6,
            _ => 8,
        };
        let digits = date.strftime("%Y%m%d").to_string();
        let given = text.len() - (text.len() - 4) / 3;
        return Ok(digits[..length.min(given)].to_owned());
    }
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| Unreadable::Malformed)?;
    let instant: Timestamp = text.parse().map_err(|_| Unreadable::Zoneless)?;
    let zone = match (zone, pieces.to_numeric_offset()) {
        (Some(zone), _) => zone.clone(),
        (None, Some(offset)) => offset.to_time_zone(),
        (None, None) => TimeZone::UTC,
    };
    let zoned = instant.to_zoned_datetime(zone);
    Ok(match precision {
        Wanted::Year => zoned.strftime("%Y").to_string(),
        Wanted::Month => zoned.strftime("%Y%m").to_string(),
        Wanted::Day => zoned.strftime("%Y%m%d").to_string(),
        Wanted::Hour => zoned.strftime("%Y%m%d%H%z").to_string(),
        Wanted::Minute => zoned.strftime("%Y%m%d%H%M%z").to_string(),
        Wanted::Second => zoned.strftime("%Y%m%d%H%M%S%z").to_string(),
        Wanted::Fraction => {
            let fraction = zoned.subsec_nanosecond() / 100_000;
            format!(
                "{}.{fraction:04}{}",
                zoned.strftime("%Y%m%d%H%M%S"),
                zoned.strftime("%z")
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chicago() -> TimeZone {
        TimeZone::get("America/Chicago").unwrap()
    }

    #[test]
    fn reads_every_precision() {
        for (text, expected) in [
            ("2026", "2026"),
            ("202611", "2026-11"),
            ("20261124", "2026-11-24"),
            ("2026112410", "2026-11-24T10:00:00-06:00"),
            ("202611241042", "2026-11-24T10:42:00-06:00"),
            ("20261124104203", "2026-11-24T10:42:03-06:00"),
            ("20260724104203", "2026-07-24T10:42:03-05:00"),
            ("20261124104203.12", "2026-11-24T10:42:03.12-06:00"),
            ("20261124104203.1234+0530", "2026-11-24T10:42:03.1234+05:30"),
            ("20261124104203+0000", "2026-11-24T10:42:03Z"),
            ("20261231235960", "2026-12-31T23:59:59-06:00"),
            // The hour that does not exist, and the one that exists twice.
            ("202603080230", "2026-03-08T03:30:00-05:00"),
            ("202611010130", "2026-11-01T01:30:00-05:00"),
        ] {
            assert_eq!(
                to_rfc3339(text, Some(&chicago())).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "26",
            "20261",
            "20261324",
            "20260230",
            "2026112425",
            "20261124104203.",
            "20261124104203.12x",
            "20261124+060",
            "20261124104203+0699",
            "today",
            "2026112410é",
        ] {
            assert_eq!(
                to_rfc3339(text, Some(&chicago())),
                Err(Unreadable::Malformed),
                "{text}"
            );
        }
        assert_eq!(to_rfc3339("202611241042", None), Err(Unreadable::Zoneless));
    }

    #[test]
    fn writes_what_it_read() {
        for (text, precision, expected) in [
            (
                "2026-11-24T10:42:03-06:00",
                Wanted::Second,
                "20261124104203-0600",
            ),
            (
                "2026-11-24T10:42:03.129-06:00",
                Wanted::Fraction,
                "20261124104203.1290-0600",
            ),
            ("2026-11-24T10:42:03Z", Wanted::Minute, "202611241042+0000"),
            ("2026-11-24T10:42:03Z", Wanted::Day, "20261124"),
            ("2026-11-24", Wanted::Second, "20261124"),
            ("2026-11", Wanted::Second, "202611"),
            ("2026", Wanted::Second, "2026"),
            ("2026-11-24", Wanted::Year, "2026"),
        ] {
            assert_eq!(
                to_hl7(text, None, precision).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        assert_eq!(
            to_hl7("2026-11-24T16:42:03Z", Some(&chicago()), Wanted::Second).as_deref(),
            Ok("20261124104203-0600")
        );
        assert_eq!(
            to_hl7("2026-02-30", None, Wanted::Day),
            Err(Unreadable::Malformed)
        );
        assert_eq!(
            to_hl7("2026-11-24T10:42:03", None, Wanted::Day),
            Err(Unreadable::Zoneless)
        );
        assert_eq!(
            to_hl7("yesterday", None, Wanted::Day),
            Err(Unreadable::Malformed)
        );
    }
}
