//! Aligned columns. Widths are those of what is seen, not of colour codes.

use std::fmt::Write as _;

/// Renders rows under a head; `right` names the columns of numbers.
pub(crate) fn render(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|text| seen(text)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(seen(cell));
        }
    }
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        let mut text = String::new();
        for (i, cell) in cells.enumerate() {
            let pad = " ".repeat(
                widths
                    .get(i)
                    .copied()
                    .unwrap_or(0)
                    .saturating_sub(seen(&cell)),
            );
            if i > 0 {
                text.push_str("  ");
            }
            if right.contains(&i) {
                text.push_str(&pad);
                text.push_str(&cell);
            } else {
                text.push_str(&cell);
                text.push_str(&pad);
            }
        }
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{}", text.trim_end());
    };
    line(
        &mut head
            .iter()
            .map(|text| crate::paint::faint(&text.to_uppercase())),
    );
    for row in rows {
        line(&mut row.iter().cloned());
    }
    out
}

/// Characters that take a place on the screen.
fn seen(text: &str) -> usize {
    let mut count = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c == 'm' {
                    break;
                }
            }
        } else {
            count += 1;
        }
    }
    count
}

/// 12 345 678 → `12,345,678`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 flow`, `2 flows`.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(n as u64), if n == 1 { one } else { many })
}

/// Microseconds for people: `870 µs`, `12.3 ms`, `4.2 s`.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..120_000_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => format!("{} min", us / 60_000_000),
    }
}

/// How long ago something was: `40 s`, `7 min`, `2 h`, `3 d`.
pub(crate) fn age(since: wardline_core::Timestamp, now: wardline_core::Timestamp) -> String {
    coarse(now.0.saturating_sub(since.0))
}

/// When something is due: `in 2 h`, or `3 d late`.
pub(crate) fn due(due: wardline_core::Timestamp, now: wardline_core::Timestamp) -> String {
    let ahead = due.0.saturating_sub(now.0);
    if ahead >= 0 {
        format!("in {}", coarse(ahead))
    } else {
        format!("{} late", coarse(ahead))
    }
}

fn coarse(us: i64) -> String {
    let seconds = us.unsigned_abs() / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A value that a process shows: money as `120.00 USD`, texts without quotation marks.
pub(crate) fn value(value: &serde_json::Value) -> String {
    let text = |name: &str| match &value[name] {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(parts) if parts.len() == 2 => {
            match (text("amount"), text("currency")) {
                (Some(amount), Some(currency)) => format!("{amount} {currency}"),
                _ => value.to_string(),
            }
        }
        other => other.to_string(),
    }
}

/// Bytes for people.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_024 => format!("{n} B"),
        1_024..1_048_576 => format!("{:.1} KB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GB", n as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_is_seen() {
        let rows = vec![
            vec!["\u{1b}[31ma\u{1b}[0m".to_owned(), "1".to_owned()],
            vec!["bbb".to_owned(), "22".to_owned()],
        ];
        let text = render(&["x", "n"], &rows, &[1]);
        let plain: Vec<String> = text
            .lines()
            .map(|line| {
                let mut out = String::new();
                let mut chars = line.chars();
                while let Some(c) = chars.next() {
                    if c == '\u{1b}' {
                        chars.by_ref().find(|c| *c == 'm');
                    } else {
                        out.push(c);
                    }
                }
                out
            })
            .collect();
        assert_eq!(plain, ["X     N", "a     1", "bbb  22"]);
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(micros(12_345), "12.3 ms");
        let at = |seconds: i64| wardline_core::Timestamp(seconds * 1_000_000);
        assert_eq!(age(at(0), at(7_300)), "2 h");
        assert_eq!(due(at(90), at(0)), "in 1 min");
        assert_eq!(due(at(0), at(300_000)), "3 d late");
        assert_eq!(
            value(&serde_json::json!({"amount": "5.00", "currency": "USD"})),
            "5.00 USD"
        );
        assert_eq!(
            (counted(1, "flow", "flows"), counted(0, "flow", "flows")),
            ("1 flow".to_owned(), "0 flows".to_owned())
        );
    }
}
