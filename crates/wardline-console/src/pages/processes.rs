//! All processes: how many of each run, ask, are stuck, and where they stand.

use axum::extract::State;
use maud::{Markup, html};
use wardline_engine::view::ProcessView;

use super::Page;
use super::rows::empty;
use super::shell::{Fresh, Place, Shell};
use super::values::or_none;
use super::words::{count, name, number};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;

/// `GET /processes`
pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor) -> Page {
    let all = app.desk.processes().await?;
    let stuck: u64 = all.iter().map(|one| phase(one, "stuck")).sum();
    let asking: u64 = all.iter().map(|one| phase(one, "asking")).sum();
    let content = html! {
        div.head {
            h1 { "Processes" }
            span.muted data-say="" {
                @if stuck > 0 { (count(stuck, "instance is stuck", "instances are stuck")) " and " @if stuck == 1 { "needs" } @else { "need" } " somebody" }
                @else { "nothing is stuck" }
                @if asking > 0 { " · " (count(asking, "waits", "wait")) " for an answer" }
            }
        }
        @if all.is_empty() {
            (empty("No process yet", "A process says what has to happen, over days, until something is done: `processes/*.yaml`.", Some("wardline check")))
        } @else { (table(&all)) }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Processes,
        title: "Processes",
        fresh: Fresh::Poll,
    };
    Ok(shell.wrap(&app, content).await?)
}

/// How many instances of a process stand in a phase.
pub(crate) fn phase(process: &ProcessView, phase: &str) -> u64 {
    process.phases.get(phase).copied().unwrap_or_default()
}

fn table(all: &[ProcessView]) -> Markup {
    html! {
        table.grid {
            caption.hush { "Processes and how many of their instances stand where" }
            thead { tr {
                th scope="col" { "Process" }
                th scope="col" { "Owner" }
                th.num scope="col" { "Running" }
                th.num scope="col" { "Asking" }
                th.num scope="col" { "Stuck" }
                th.num scope="col" { "Failed" }
                th.num scope="col" { "Completed" }
                th scope="col" { "Status of those open" }
            } }
            tbody { @for one in all { (row(one)) } }
        }
    }
}

fn row(one: &ProcessView) -> Markup {
    let here = link::process(&one.name);
    let figure = |label: &str, word: &str, loud: &'static str| {
        let value = phase(one, word);
        html! {
            td.num data-label=(label) {
                @if value == 0 { span.zero { "0" } }
                @else { a class=(loud) href=(link::with(&here, &[("phase", Some(word))])) { (number(value)) } }
            }
        }
    };
    html! {
        tr data-row="" {
            th scope="row" data-label="Process" {
                a.name href=(here) { @match &one.title { Some(title) => (title), None => (name(&one.name)) } }
                span.sub {
                    span.mono { (one.name) }
                    @if !one.declared { " · no longer declared" }
                    @if one.older > 0 { " · " (count(one.older, "runs", "run")) " by an older definition" }
                }
            }
            td data-label="Owner" { (or_none(one.owner.as_deref())) }
            (figure("Running", "running", "quiet"))
            (figure("Asking", "asking", "quiet"))
            (figure("Stuck", "stuck", "held-text"))
            (figure("Failed", "failed", "failed-text"))
            (figure("Completed", "completed", "quiet"))
            td.clip data-label="Status of those open" {
                @if one.statuses.is_empty() { span.zero { "—" } }
                @else { span { @for (at, (status, many)) in one.statuses.iter().enumerate() {
                    @if at > 0 { " · " }
                    a href=(link::with(&here, &[("status", Some(status))])) { (status) " " (number(*many)) }
                } } }
            }
        }
    }
}
