//! `Retry-After` (RFC 9110 section 10.2.3): seconds, or one of the three date forms that a
//! recipient must read (section 5.6.7).

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use wardline_core::Timestamp;

/// No server may put a delivery off for longer than this.
const LONGEST: Duration = Duration::from_hours(24);

/// How long to wait; `None` where the value is neither seconds nor a date.
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds are still a number of seconds.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        date(value)?.since(now)
    };
    Some(wait.min(LONGEST))
}

fn date(value: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT", // the preferred one
        "%A, %d-%b-%y %H:%M:%S GMT", // RFC 850
        "%a %b %e %H:%M:%S %Y",      // asctime
    ];
    FORMS.iter().find_map(|form| {
        let civil: DateTime = strtime::parse(form, value).ok()?.to_datetime().ok()?;
        Some(Timestamp(
            TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_all_three_dates() {
        // 1994-11-06T08:49:37Z is the moment of the RFC's examples.
        let now = Timestamp::from_unix_ms(784_111_777_000 - 90_000);
        let cases = [
            ("120", Some(120)),
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90)),
            ("Sun Nov  6 08:49:37 1994", Some(90)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (value, seconds) in cases {
            assert_eq!(
                parse(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
