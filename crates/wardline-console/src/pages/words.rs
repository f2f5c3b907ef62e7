//! How numbers, sizes and times are written, the same on every page.

use maud::{Markup, html};
use wardline_core::Timestamp;

/// `18203` as `18,203`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 delivery`, `2 deliveries`.
pub(crate) fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// A duration in microseconds at two digits that matter: `340 µs`, `18 ms`, `4.2 s`, `7 min 31 s`.
pub(crate) fn took(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..60_000_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => age(us / 1_000),
    }
}

/// An age in milliseconds: `9 s`, `7 min 31 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    let pair = |high: u64, high_unit: &str, low: u64, low_unit: &str| {
        if low == 0 {
            format!("{high} {high_unit}")
        } else {
            format!("{high} {high_unit} {low} {low_unit}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A size: `812 B`, `1.1 KB`, `14 MB` (powers of 1000).
pub(crate) fn size(bytes: u64) -> String {
    let scaled = |unit: f64, name: &str| {
        let value = bytes as f64 / unit;
        if value < 10.0 {
            format!("{value:.1} {name}")
        } else {
            format!("{value:.0} {name}")
        }
    };
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => scaled(1e3, "KB"),
        1_000_000..1_000_000_000 => scaled(1e6, "MB"),
        _ => scaled(1e9, "GB"),
    }
}

/// How long ago, or until: `7 min ago`, `in 12 s`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let coarse = |us: i64| {
        let seconds = us.unsigned_abs() / 1_000_000;
        match seconds {
            0..60 => format!("{seconds} s"),
            60..3_600 => format!("{} min", seconds / 60),
            3_600..172_800 => format!("{} h", seconds / 3_600),
            _ => format!("{} d", seconds / 86_400),
        }
    };
    let ahead = at.0.saturating_sub(now.0);
    if ahead > 0 {
        format!("in {}", coarse(ahead))
    } else {
        format!("{} ago", coarse(ahead))
    }
}

/// A dotted name that may break after its dots.
pub(crate) fn name(text: &str) -> Markup {
    html! { @for part in text.split_inclusive('.') { (part) wbr; } }
}

/// A moment: the exact time in sight, how long ago beside the pointer. The page's script
/// rewrites the text where another zone is chosen; without scripts it is UTC.
pub(crate) fn moment(at: Timestamp) -> Markup {
    let now = Timestamp::now();
    let utc = at.to_jiff().to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let today = now
        .to_jiff()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .date()
        == utc.date();
    let text = if today {
        utc.strftime("%H:%M:%S")
    } else {
        utc.strftime("%-d %b %H:%M:%S")
    };
    html! { time datetime=(at) title=(format!("{at} · {}", relative(at, now))) { (text) } }
}

/// A moment as how long ago; the exact time beside the pointer.
pub(crate) fn ago(at: Timestamp) -> Markup {
    html! { time.ago datetime=(at) title=(at) { (relative(at, Timestamp::now())) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(count(1, "delivery", "deliveries"), "1 delivery");
        assert_eq!(count(1_200, "delivery", "deliveries"), "1,200 deliveries");
    }

    #[test]
    fn durations_keep_two_digits_that_matter() {
        for (us, text) in [
            (0, "0 µs"),
            (340, "340 µs"),
            (3_120, "3.1 ms"),
            (18_400, "18 ms"),
            (4_210_000, "4.2 s"),
            (451_000_000, "7 min 31 s"),
            (7_500_000_000, "2 h 5 min"),
            (273_600_000_000, "3 d 4 h"),
        ] {
            assert_eq!(took(us), text);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_100, "1.1 KB"),
            (14_000_000, "14 MB"),
            (2_500_000_000, "2.5 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn relative_times_look_both_ways() {
        let now = Timestamp::from_unix_ms(1_764_000_000_000);
        let at = |seconds: i64| Timestamp(now.0 + seconds * 1_000_000);
        assert_eq!(relative(at(-451), now), "7 min ago");
        assert_eq!(relative(at(12), now), "in 12 s");
        assert_eq!(
            relative(Timestamp(i64::MIN), now),
            format!("{} d ago", i64::MAX as u64 / 86_400_000_000)
        );
    }
}
