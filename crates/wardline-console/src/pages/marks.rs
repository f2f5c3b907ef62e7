//! The small drawings: icons, state chips, sparklines. A state is always a word, an icon
//! and a fill; colour comes last, because not everybody sees it.

use maud::{Markup, PreEscaped, html};
use std::fmt::Write as _;
use wardline_core::DeliveryState;

/// How a chip looks; the word is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Done,
    Running,
    Retrying,
    Held,
    Failed,
    Waiting,
    Skipped,
    /// As it should be: an icon and a word without a fill, so that the others stand out.
    Plain,
}

impl Look {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Plain => "plain",
        }
    }

    /// The icon, drawn in a square of 12.
    const fn drawing(self) -> &'static str {
        match self {
            Self::Done | Self::Plain => r#"<path d="M2.5 6.5 5 9l4.5-5.5"/>"#,
            Self::Running => r#"<path d="M4 2.6v6.8L9.4 6z"/>"#,
            Self::Retrying => r#"<path d="M9.5 6a3.5 3.5 0 1 1-1.2-2.6M9.8 1.6v2.2H7.6"/>"#,
            Self::Held => r#"<path d="M6 2.2v4.6M6 9.4v.2"/>"#,
            Self::Failed => r#"<path d="m3 3 6 6M9 3 3 9"/>"#,
            Self::Waiting => r#"<circle cx="6" cy="6" r="4.2"/><path d="M6 3.6V6l1.7 1"/>"#,
            Self::Skipped => r#"<circle cx="6" cy="6" r="4.2"/><path d="m3.2 8.8 5.6-5.6"/>"#,
        }
    }
}

/// A state: icon, word, fill.
pub(crate) fn chip(look: Look, word: &str) -> Markup {
    html! {
        span class={ "chip " (look.class()) } {
            svg viewBox="0 0 12 12" aria-hidden="true" focusable="false" { (PreEscaped(look.drawing())) }
            (word)
        }
    }
}

/// How a state of a delivery looks.
pub(crate) const fn delivery_look(state: DeliveryState) -> Look {
    match state {
        DeliveryState::Pending => Look::Waiting,
        DeliveryState::Retrying => Look::Retrying,
        DeliveryState::Held => Look::Held,
        DeliveryState::Delivered => Look::Done,
        DeliveryState::Dead => Look::Failed,
        DeliveryState::Cancelled => Look::Skipped,
    }
}

/// The chip of a delivery; a retry says which.
pub(crate) fn delivery_chip(state: DeliveryState, attempts: u32) -> Markup {
    let look = delivery_look(state);
    match state {
        DeliveryState::Retrying => chip(look, &format!("retrying · {attempts}")),
        DeliveryState::Pending => chip(look, "waiting"),
        DeliveryState::Delivered if attempts > 1 => chip(look, &format!("delivered · {attempts}")),
        _ => chip(look, state.as_str()),
    }
}

/// The chip of a destination's state.
pub(crate) fn destination_chip(state: &str) -> Markup {
    let look = match state {
        "flowing" => Look::Done,
        "slowed" => Look::Retrying,
        "blocked" => Look::Held,
        "down" => Look::Failed,
        _ => Look::Waiting,
    };
    chip(look, state)
}

/// The chip of what became of a message, or of one flow's answer to it.
pub(crate) fn outcome_chip(outcome: &str) -> Markup {
    let look = match outcome {
        "routed" | "taken" => Look::Plain,
        "filtered" => Look::Skipped,
        "failed" => Look::Failed,
        _ => Look::Waiting,
    };
    chip(look, outcome)
}

const SPARK_WIDTH: usize = 240;
const SPARK_HEIGHT: u64 = 40;

/// A line of values with the area below it. The numbers are in its label, so that a screen
/// reader gets them too.
pub(crate) fn sparkline(values: &[u64], what: &str) -> Markup {
    let peak = values.iter().copied().max().unwrap_or(0);
    let last = values.last().copied().unwrap_or(0);
    let label = format!(
        "{what}: now {last} a minute, at most {peak} in the last {} minutes",
        values.len()
    );
    let (line, area) = outline(values, peak.max(1));
    html! {
        svg.spark viewBox={ "0 0 " (SPARK_WIDTH) " " (SPARK_HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label=(label) focusable="false" {
            @if values.len() > 1 {
                path.area d=(area) {}
                path.line d=(line) {}
            }
        }
    }
}

fn outline(values: &[u64], peak: u64) -> (String, String) {
    let steps = values.len().saturating_sub(1).max(1);
    let mut line = String::new();
    for (at, value) in values.iter().enumerate() {
        let x = at * SPARK_WIDTH / steps;
        // Two units stay free at the top and one at the bottom, so that no line is cut off.
        let height = u128::from(*value) * u128::from(SPARK_HEIGHT - 3) / u128::from(peak);
        let y = u128::from(SPARK_HEIGHT - 1) - height;
        // Writing to a `String` cannot fail.
        write!(line, "{}{x} {y}", if at == 0 { 'M' } else { 'L' })
            .expect("a String takes what is written to it");
    }
    let area = format!("{line}L{SPARK_WIDTH} {SPARK_HEIGHT}L0 {SPARK_HEIGHT}Z");
    (line, area)
}

/// A part of the `total` in thousandths, for drawings that are a thousand units wide.
pub(crate) fn thousandths(part: u64, total: u64) -> u64 {
    (u128::from(part.min(total)) * 1_000 / u128::from(total.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fill_the_box_and_stay_in_it() {
        let (line, area) = outline(&[0, 5, 10], 10);
        assert_eq!(line, "M0 39L120 21L240 2");
        assert_eq!(area, "M0 39L120 21L240 2L240 40L0 40Z");
        assert_eq!(outline(&[u64::MAX, 0], u64::MAX).0, "M0 2L240 39");
        assert!(sparkline(&[], "x").into_string().contains("now 0"));
    }

    #[test]
    fn every_state_has_its_own_icon() {
        let all: Vec<_> = DeliveryState::ALL
            .into_iter()
            .map(|state| delivery_look(state).drawing())
            .collect();
        for (at, drawing) in all.iter().enumerate() {
            assert!(!all[..at].contains(drawing), "{drawing} twice");
        }
    }

    #[test]
    fn parts_never_pass_the_whole() {
        assert_eq!(thousandths(5, 10), 500);
        assert_eq!(thousandths(50, 10), 1_000);
        assert_eq!(thousandths(0, 0), 0);
        assert_eq!(thousandths(u64::MAX, u64::MAX), 1_000);
    }
}
