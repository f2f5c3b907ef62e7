//! Values that a process shows of its instances, written for people; and how far an instance, a
//! transaction or a question is, as a chip.

use maud::{Markup, html};
use serde_json::Value;
use wardline_core::Timestamp;

use super::marks::{Look, chip};
use super::words::{ago, number};

/// Longer values are cut: a page is no dump.
const LONGEST: usize = 240;

/// A value as text: money as `120.00 USD`, texts without quotation marks, the rest as JSON.
pub(crate) fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => return "—".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(parts) => {
            let word = |name: &str| match parts.get(name) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            match (word("amount"), word("currency")) {
                (Some(amount), Some(currency)) if parts.len() == 2 => {
                    format!("{} {currency}", grouped(&amount))
                }
                _ => value.to_string(),
            }
        }
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST).collect();
    cut.push('…');
    cut
}

/// An amount with its thousands apart: `12480.00` as `12,480.00`; what is none stays as it is.
pub(crate) fn grouped(amount: &str) -> String {
    let (sign, rest) = match amount.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", amount),
    };
    let (whole, part) = match rest.split_once('.') {
        Some((whole, part)) => (whole, format!(".{part}")),
        None => (rest, String::new()),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match whole.parse() {
        Ok(whole) if digits(part.trim_start_matches('.')) => {
            format!("{sign}{}{part}", number(whole))
        }
        _ => amount.to_owned(),
    }
}

/// A value that may be hidden.
pub(crate) fn shown(value: &Value, hidden: bool) -> Markup {
    html! {
        @if hidden { span.muted title="hidden by its class: reveal the variables to see it" { "••••" } }
        @else if value.is_null() { span.zero { "—" } }
        @else { (plain(value)) }
    }
}

/// Where an instance stands.
pub(crate) fn phase_chip(phase: &str) -> Markup {
    let look = match phase {
        "running" => Look::Running,
        "stuck" => Look::Held,
        "completed" => Look::Done,
        "failed" => Look::Failed,
        "cancelled" => Look::Skipped,
        _ => Look::Waiting,
    };
    chip(look, phase)
}

/// How a business transaction stands.
pub(crate) fn state_chip(state: &str) -> Markup {
    let look = match state {
        "retrying" => Look::Retrying,
        "failed" => Look::Failed,
        "completed" => Look::Done,
        "cancelled" => Look::Skipped,
        _ => Look::Waiting,
    };
    chip(look, state)
}

/// When something is due: a mark of its own where that has passed.
pub(crate) fn due(due: Option<Timestamp>, overdue: bool) -> Markup {
    html! {
        @match due {
            None => span.zero { "—" },
            Some(at) if overdue => { (chip(Look::Held, "late")) " " span.held-text { (ago(at)) } },
            Some(at) => (ago(at)),
        }
    }
}

/// A text, or the sign for none.
pub(crate) fn or_none(text: Option<&str>) -> Markup {
    html! { @match text { Some(text) => (text), None => span.zero { "—" } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_for_people() {
        for (value, text) in [
            (json!({"amount": "120.00", "currency": "USD"}), "120.00 USD"),
            (json!({"amount": 5, "currency": "EUR"}), "5 EUR"),
            (
                json!({"amount": "1", "currency": "EUR", "x": 1}),
                r#"{"amount":"1","currency":"EUR","x":1}"#,
            ),
            (
                json!({"amount": "-12480.5", "currency": "USD"}),
                "-12,480.5 USD",
            ),
            (json!({"amount": "12e3", "currency": "USD"}), "12e3 USD"),
            (json!("late"), "late"),
            (json!(3), "3"),
            (json!(null), "—"),
        ] {
            assert_eq!(plain(&value), text);
        }
        assert_eq!(plain(&json!("é".repeat(500))).chars().count(), LONGEST + 1);
    }
}
