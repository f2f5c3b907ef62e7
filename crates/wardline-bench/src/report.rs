//! The figures of one run, as JSON and as a table.

use crate::{Bench, Machine};
use serde::Serialize;
use std::fmt::Write as _;

/// What one bench measured. Serialises to the JSON that `wardline bench --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which bench.
    pub bench: Bench,
    /// Version of Wardline.
    pub version: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// The figures.
    pub rows: Vec<Row>,
}

/// One figure, with what it is to be held against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was measured (`accepted_per_s_c32`); `docs/benchmarks.md` explains each.
    pub name: String,
    /// The figure, to five significant digits.
    pub value: f64,
    /// Its unit (`messages/s`, `ms`, `MB`).
    pub unit: &'static str,
    /// What could be reached at best: measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// What another program reaches at the same: measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<f64>,
    /// Which program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_name: Option<&'static str>,
    /// `value / limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_limit: Option<f64>,
    /// `value / peer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_peer: Option<f64>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value: rounded(value),
            unit,
            limit: None,
            peer: None,
            peer_name: None,
            ratio_to_limit: None,
            ratio_to_peer: None,
        }
    }

    pub(crate) fn limit(mut self, limit: f64) -> Self {
        self.limit = Some(rounded(limit));
        self.ratio_to_limit = ratio(self.value, limit);
        self
    }

    pub(crate) fn peer(mut self, name: &'static str, peer: f64) -> Self {
        self.peer = Some(rounded(peer));
        self.peer_name = Some(name);
        self.ratio_to_peer = ratio(self.value, peer);
        self
    }
}

impl Report {
    /// The value of the row `name`.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.rows
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.value)
    }

    /// A table for people, without colour.
    pub fn to_text(&self) -> String {
        let head = [
            "",
            "value",
            "unit",
            "limit",
            "of limit",
            "peer",
            "times peer",
        ]
        .map(str::to_owned);
        let lines: Vec<[String; 7]> = std::iter::once(head)
            .chain(self.rows.iter().map(cells))
            .collect();
        let widths: [usize; 7] = std::array::from_fn(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        });
        let mut text = format!(
            "{} · wardline {} · {}\n",
            self.bench, self.version, self.machine
        );
        for line in lines {
            let mut padded = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let filler = " ".repeat(width - cell.chars().count());
                match column {
                    0 => padded.extend([cell, filler.as_str()]),
                    // Words stand left, numbers right.
                    2 => padded.extend([" ", cell, filler.as_str()]),
                    _ if width > 0 => padded.extend(["  ", filler.as_str(), cell]),
                    _ => {}
                }
            }
            // Writing to a String cannot fail.
            writeln!(text, "{}", padded.trim_end()).unwrap_or_default();
        }
        text
    }
}

fn cells(row: &Row) -> [String; 7] {
    let maybe = |value: Option<f64>| value.map(figure).unwrap_or_default();
    let peer = match (row.peer, row.peer_name) {
        (Some(peer), Some(name)) => format!("{} ({name})", figure(peer)),
        _ => String::new(),
    };
    [
        row.name.clone(),
        figure(row.value),
        row.unit.to_owned(),
        maybe(row.limit),
        maybe(row.ratio_to_limit),
        peer,
        maybe(row.ratio_to_peer),
    ]
}

/// Digits that a person reads: thousands apart from 1,000 on, decimals below 100.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        small if small >= 100.0 || small == 0.0 => 0,
        small if small >= 10.0 => 1,
        small if small >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

fn ratio(value: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| rounded(value / of))
}

/// To five significant digits: more would only be noise in a diff.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powi(4 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::{Report, Row, figure, rounded};
    use crate::{Bench, Machine};

    fn report() -> Report {
        Report {
            bench: Bench::InOut,
            version: "1.2.3",
            machine: Machine {
                cores: 2,
                memory: 25_769_803_776,
                os: "Debian".into(),
            },
            rows: vec![
                Row::new("accepted_per_s_c1", 3_120.04, "messages/s").limit(4_000.0),
                Row::new("index_12_fields_per_s", 1_500_000.0, "messages/s")
                    .limit(9e6)
                    .peer("hl7-parser", 100_000.0),
                Row::new("ack_p99_ms_c1", 0.987_654_3, "ms"),
            ],
        }
    }

    #[test]
    fn json_has_the_agreed_shape_and_leaves_out_what_is_absent() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["bench"], "in-out");
        assert_eq!(
            json["machine"],
            serde_json::json!({ "cores": 2, "memory": 25_769_803_776_u64, "os": "Debian" })
        );
        assert_eq!(
            json["rows"][0],
            serde_json::json!({
                "name": "accepted_per_s_c1", "value": 3_120.0, "unit": "messages/s", "limit": 4_000.0, "ratio_to_limit": 0.78
            })
        );
        assert_eq!(json["rows"][1]["ratio_to_peer"], 15.0);
        assert_eq!(
            json["rows"][2],
            serde_json::json!({ "name": "ack_p99_ms_c1", "value": 0.98765, "unit": "ms" })
        );
    }

    #[test]
    fn the_table_lines_up() {
        let text = report().to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(
            lines[0].starts_with("in-out · wardline 1.2.3 · 2 cores, 24.0 GiB, Debian"),
            "{text}"
        );
        let end_of_value = |line: &str| line.find(" messages/s").unwrap();
        assert_eq!(end_of_value(lines[2]), end_of_value(lines[3]), "{text}");
        assert!(
            lines[3].contains("100,000 (hl7-parser)") && lines[3].ends_with("15.0"),
            "{text}"
        );
    }

    #[test]
    fn figures_are_short_and_true() {
        let cases = [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (3.456, "3.46"),
            (45.67, "45.7"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1_500.0, "-1,500"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
        assert!((rounded(123_456.7) - 123_460.0).abs() < 1e-6);
        assert!((rounded(f64::NAN)).abs() < f64::EPSILON);
    }
}
