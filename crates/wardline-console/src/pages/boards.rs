//! Boards: what a group of people answers for, in one look: the figures they are judged by, what
//! needs somebody, how old it is and what it is worth.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;
use wardline_engine::view::{AgeBucket, BoardView, FigureView, Measured};

use super::Page;
use super::rows::empty;
use super::shell::{Fresh, Place, Shell};
use super::transactions::{table, title};
use super::values::grouped;
use super::words::{count, number, took};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;

#[derive(Deserialize)]
pub(crate) struct Asked {
    board: Option<String>,
    #[serde(default)]
    facility: String,
}

/// `GET /boards?board=accounts-payable&facility=north`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let boards = app.desk.boards().await?;
    let facility = Some(asked.facility.trim()).filter(|name| !name.is_empty());
    let chosen = asked.board.as_ref().or_else(|| boards.first());
    let board = match chosen {
        Some(name) => Some(app.board_for(&visitor.who, name, facility).await?),
        None => None,
    };
    let content = html! {
        div.head {
            h1 { @match &board { Some(board) => (title(&board.name)), None => "Boards" } }
            @if let Some(board) = &board { span.muted data-say="" { (sentence(board)) } }
        }
        @match &board {
            None => (empty("No board yet", "A process that says `board:` is on one, with its figures and its transactions.", Some("wardline schema process"))),
            Some(board) => {
                nav.pills aria-label="Boards" {
                    @for name in &boards {
                        a href=(link::with("/boards", &[("board", Some(name)), ("facility", facility)])) aria-current=[(*name == board.name).then_some("page")] { (title(name)) }
                    }
                }
                div.filters { form.find method="get" action="/boards" {
                    input type="hidden" name="board" value=(board.name);
                    label for="facility" { "Facility" }
                    input #facility name="facility" value=(asked.facility) size="10" spellcheck="false" autocapitalize="off";
                    button.button { "Filter" }
                } }
                (shown(board, facility))
            }
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Boards,
        title: "Boards",
        fresh: Fresh::Poll,
    };
    Ok(shell.wrap(&app, content).await?)
}

/// How it stands, in a sentence.
fn sentence(board: &BoardView) -> String {
    let of = |name: &str| board.states.get(name).copied().unwrap_or_default();
    let missed = board
        .figures
        .rows
        .iter()
        .filter(|row| row.met == Some(false));
    let mut parts = vec![
        format!("{} failed", number(of("failed"))),
        format!("{} late", number(of("late"))),
        format!("{} retrying", number(of("retrying"))),
    ];
    match missed.count() as u64 {
        0 => {}
        missed => parts.push(count(missed, "goal missed", "goals missed")),
    }
    parts.join(", ")
}

fn shown(board: &BoardView, facility: Option<&str>) -> Markup {
    html! {
        @if !board.figures.rows.is_empty() { section {
            h2.hush { "Figures" }
            div.tiles { @for row in &board.figures.rows { (tile(row)) } }
            p.muted {
                "Of what ended in the last 30 days; what is under way counts as it stands now."
                @if board.figures.partial { " There is more than was looked at: the newest count." }
            }
        } }
        section {
            h2 { "How old it is" }
            (ages(&board.ageing))
            @if !board.at_risk.is_empty() {
                p { "At risk (failed, late or retrying): " strong { (sums(&board.at_risk)) } }
            }
        }
        section {
            h2 { "What needs somebody" }
            @if board.rows.is_empty() {
                (empty("Nothing is under way", "What is under way, or has failed, stands here.", None))
            } @else { (table(&board.rows, "Transactions under way and failed ones, the most urgent first")) }
        }
        p.more {
            @if board.partial { span.muted { "More is under way than was looked at. " } }
            @for process in &board.processes {
                a.button href=(link::with("/transactions", &[("kind", Some(process)), ("facility", facility)])) { "All of " (title(process)) }
                " "
            }
        }
    }
}

fn tile(row: &FigureView) -> Markup {
    html! {
        div.tile.alarm[row.met == Some(false)] {
            span.label { (row.title) @if let Some(facility) = &row.facility { " · " (facility) } }
            span.figure { (value(row)) }
            span.note {
                @if let Some(goal) = &row.goal {
                    "goal " (goal)
                    @match row.met {
                        Some(true) => ", met",
                        Some(false) => { ", " strong { "missed" } },
                        None => "",
                    }
                    " · "
                }
                (count(row.n, "value", "values"))
            }
        }
    }
}

/// A figure in words: `96.4 %`, `12,300.00 USD`, `p99 4.2 s`.
fn value(row: &FigureView) -> String {
    let seconds = |time: f64| took((time * 1e6) as u64);
    match &row.measured {
        Measured::Share {
            percent: Some(percent),
        } => format!("{percent:.1} %"),
        Measured::Sum { sums: None } => "••••".to_owned(),
        Measured::Sum { sums: Some(all) } if !all.is_empty() => sums(all),
        Measured::Sum { .. } => "0".to_owned(),
        Measured::Lag { p50, p90, p99, max } => {
            // The value that the goal is about.
            let goal = row.goal.as_deref().unwrap_or("p99");
            let (word, time) = if goal.starts_with("p50") {
                ("p50", p50)
            } else if goal.starts_with("p90") {
                ("p90", p90)
            } else if goal.starts_with("max") {
                ("max", max)
            } else {
                ("p99", p99)
            };
            time.map_or_else(
                || "—".to_owned(),
                |time| format!("{word} {}", seconds(time)),
            )
        }
        Measured::Share { percent: None } => "—".to_owned(),
    }
}

fn sums(all: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = all
        .iter()
        .map(|(currency, sum)| format!("{} {currency}", grouped(sum)).trim_end().to_owned())
        .collect();
    words.join(", ")
}

fn ages(buckets: &[AgeBucket]) -> Markup {
    html! {
        dl.figures {
            @for bucket in buckets {
                div {
                    dt { (bucket.title) }
                    dd { (number(bucket.count)) @if bucket.late > 0 { span.sub { (number(bucket.late)) " late" } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(measured: Measured, goal: Option<&str>) -> FigureView {
        FigureView {
            name: "one".into(),
            title: "One".into(),
            process: "a".into(),
            owner: None,
            facility: None,
            of: "completed".into(),
            restricted: false,
            n: 3,
            measured,
            goal: goal.map(Into::into),
            met: None,
        }
    }

    #[test]
    fn figures_are_written_for_people() {
        let share = |percent| figure(Measured::Share { percent }, None);
        assert_eq!(value(&share(Some(96.44))), "96.4 %");
        assert_eq!(value(&share(None)), "—");
        let lag = Measured::Lag {
            p50: Some(2.0),
            p90: Some(3.0),
            p99: Some(70.0),
            max: Some(3_600.0),
        };
        assert_eq!(value(&figure(lag.clone(), None)), "p99 1 min 10 s");
        assert_eq!(value(&figure(lag.clone(), Some("p90 ≤ 2d"))), "p90 3.0 s");
        assert_eq!(value(&figure(lag, Some("max ≤ 1h"))), "max 1 h");
        let sum = |sums| figure(Measured::Sum { sums }, None);
        assert_eq!(value(&sum(None)), "••••");
        let dollars = [("USD".to_owned(), "12.30".to_owned())].into();
        assert_eq!(value(&sum(Some(dollars))), "12.30 USD");
    }
}
