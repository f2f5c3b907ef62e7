//! What the business sees: purchase orders, hires, discharges, each with where it stands, since
//! when, what it is worth, and who has to do something. A board for each kind; late ones are
//! marked.

use axum::extract::{Form, Query, State};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;
use wardline_core::Timestamp;
use wardline_engine::view::{ProcessView, TransactionQuery, TransactionView};

use super::Page;
use super::process::{before, key_form, save, saved};
use super::processes::phase;
use super::rows::{empty, key};
use super::shell::{Fresh, Place, Shell};
use super::values::{due, or_none, plain, state_chip};
use super::words::{age, count, number};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;
use crate::problem::PageProblem;

const ROWS: usize = 100;
const STATES: [(&str, &str); 5] = [
    ("pending", "Pending"),
    ("retrying", "Retrying"),
    ("failed", "Failed"),
    ("completed", "Completed"),
    ("cancelled", "Cancelled"),
];

#[derive(Deserialize)]
pub(crate) struct Asked {
    kind: Option<String>,
    state: Option<String>,
    #[serde(default)]
    facility: String,
    #[serde(default)]
    owner: String,
    late: Option<String>,
    /// A saved key.
    s: Option<String>,
    before: Option<String>,
}

/// How many of a kind stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Pending or retrying.
    under_way: u64,
    retrying: u64,
    failed: u64,
    completed: u64,
    cancelled: u64,
}

impl Counts {
    fn add(&mut self, process: &ProcessView) {
        self.under_way += phase(process, "running") + phase(process, "asking");
        self.retrying += process.retrying;
        self.failed += phase(process, "stuck") + phase(process, "failed");
        self.completed += phase(process, "completed");
        self.cancelled += phase(process, "cancelled");
    }
}

/// The kinds and their counts. A kind is what a process is about, else the process itself.
fn kinds(all: &[ProcessView]) -> BTreeMap<String, Counts> {
    let mut kinds: BTreeMap<String, Counts> = BTreeMap::new();
    for process in all {
        let kind = process.entity.as_ref().unwrap_or(&process.name);
        kinds.entry(kind.clone()).or_default().add(process);
    }
    kinds
}

/// `GET /transactions?kind=…&state=…`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let kinds = kinds(&app.desk.processes().await?);
    let key = match &asked.s {
        Some(name) => Some(saved(&app, &visitor, name)?),
        None => None,
    };
    let by_key = key.is_some();
    let kind = asked
        .kind
        .clone()
        .or_else(|| kinds.keys().next().cloned().filter(|_| !by_key));
    let late = asked.late.is_some();
    let state = asked
        .state
        .as_deref()
        .or((!by_key && !late).then_some("pending"));
    let named = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let query = TransactionQuery {
        kind: kind.clone(),
        key,
        state: state.map(str::to_owned),
        facility: named(&asked.facility),
        owner: named(&asked.owner),
        overdue: late,
        before: before(asked.before.as_deref())?,
        limit: ROWS,
    };
    let found = app.desk.transactions(query).await?;
    let next = found.next.map(|next| next.to_string());
    let board = Board {
        kind: kind.as_deref(),
        state,
        asked: &asked,
    };
    let content = html! {
        div.head {
            h1 { @match &kind { Some(kind) => (title(kind)), None => "Transactions" } }
            span.muted data-say="" { (count(found.rows.len() as u64, "transaction", "transactions")) @if next.is_some() { " on this page" } @if late { ", late" } }
        }
        @if kinds.is_empty() {
            (empty("No transaction yet", "Each instance of a process is one: a purchase order, a hire, a discharge.", Some("wardline check")))
        } @else {
            nav.pills aria-label="Kinds" {
                @for name in kinds.keys() {
                    a href=(link::with("/transactions", &[("kind", Some(name))])) aria-current=[(kind.as_ref() == Some(name) && !by_key).then_some("true")] { (title(name)) }
                }
            }
            @if let Some(counts) = kind.as_ref().and_then(|kind| kinds.get(kind)).filter(|_| !by_key) {
                (board.states(*counts))
            }
            div.filters { (key_form("/transactions", "Find by key")) (board.filters()) }
            @if found.rows.is_empty() {
                (empty("Nothing here", "No transaction is in that state, or matches.", None))
            } @else { (table(&found.rows, "Transactions, newest first")) }
            @if next.is_some() { p.more { a.button href=(board.link(state, late, next.as_deref())) rel="next" { "Older" } } }
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Transactions,
        title: "Transactions",
        fresh: if asked.before.is_some() {
            Fresh::Still
        } else {
            Fresh::Poll
        },
    };
    Ok(shell.wrap(&app, content).await?)
}

/// `purchase-order` as `Purchase order`.
pub(crate) fn title(kind: &str) -> String {
    let text = kind.replace(['-', '_'], " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// What is chosen on a page.
struct Board<'a> {
    kind: Option<&'a str>,
    state: Option<&'a str>,
    asked: &'a Asked,
}

impl Board<'_> {
    fn link(&self, state: Option<&str>, late: bool, before: Option<&str>) -> String {
        link::with(
            "/transactions",
            &[
                ("kind", self.kind),
                ("state", state),
                ("facility", Some(self.asked.facility.trim())),
                ("owner", Some(self.asked.owner.trim())),
                ("late", late.then_some("yes")),
                ("s", self.asked.s.as_deref()),
                ("before", before),
            ],
        )
    }

    /// The tabs. Counts are of the kind as a whole, whatever else is chosen.
    fn states(&self, counts: Counts) -> Markup {
        let late = self.asked.late.is_some();
        html! {
            nav.pills.tabs aria-label="States" {
                @for (word, title) in STATES {
                    a href=(self.link(Some(word), false, None)) aria-current=[(self.state == Some(word) && !late).then_some("true")] {
                        (title) " " span.pill-count { @match word {
                            // Those that retry are among those under way.
                            "pending" => (number(counts.under_way.saturating_sub(counts.retrying))),
                            "retrying" => (number(counts.retrying)),
                            "failed" => (number(counts.failed)),
                            "completed" => (number(counts.completed)),
                            _ => (number(counts.cancelled)),
                        } }
                    }
                }
                a href=(self.link(None, true, None)) aria-current=[late.then_some("true")] { "Late" }
            }
        }
    }

    fn filters(&self) -> Markup {
        html! {
            form.find method="get" action="/transactions" {
                @if let Some(kind) = self.kind { input type="hidden" name="kind" value=(kind); }
                @if let Some(state) = self.state { input type="hidden" name="state" value=(state); }
                @if self.asked.late.is_some() { input type="hidden" name="late" value="yes"; }
                label for="facility" { "Facility" }
                input #facility name="facility" value=(self.asked.facility) size="10" spellcheck="false" autocapitalize="off";
                label for="owner" { "Owner" }
                input #owner name="owner" value=(self.asked.owner) size="14" spellcheck="false" autocapitalize="off";
                button.button { "Filter" }
            }
        }
    }
}

pub(crate) fn table(rows: &[TransactionView], caption: &str) -> Markup {
    let now = Timestamp::now();
    let old = |row: &TransactionView| {
        let us = now.0.saturating_sub(row.began.0).max(0);
        age(us.unsigned_abs() / 1_000)
    };
    html! {
        table.grid {
            caption.hush { (caption) }
            thead { tr {
                th scope="col" { "Key" }
                th scope="col" { "State" }
                th.num scope="col" { "Age" }
                th.num scope="col" { "Value" }
                th scope="col" { "Due" }
                th scope="col" { "Owner" }
                th scope="col" { "Why" }
                th scope="col" { "Next" }
            } }
            tbody { @for row in rows { tr data-row="" data-late=[row.overdue.then_some("")] {
                th scope="row" data-label="Key" {
                    a.name href={ "/instances/" (row.instance) } { (key(row.key.as_deref().or(Some("••••")))) }
                    @if let Some(facility) = &row.facility { span.sub { (facility) } }
                }
                td data-label="State" { div { (state_chip(&row.state)) @if let Some(status) = &row.status { span.why { (status) } } } }
                td.num data-label="Age" { (old(row)) }
                td.num data-label="Value" { @match &row.value { Some(value) => (plain(value)), None => span.zero { "—" } } }
                td data-label="Due" { div { (due(row.due, row.overdue)) } }
                td data-label="Owner" { (or_none(row.owner.as_deref())) }
                td.clip data-label="Why" { (or_none(row.reason.as_deref())) }
                td data-label="Next" { @if row.next.is_empty() { span.zero { "—" } } @else { span { (row.next.join(", ")) } } }
            } } }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Typed {
    key: String,
}

/// `POST /transactions`: finds by key, whatever the kind.
pub(crate) async fn search(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Result<Redirect, PageProblem> {
    let name = save(&app, visitor, &typed.key)?;
    Ok(Redirect::to(&link::with(
        "/transactions",
        &[("s", Some(&name))],
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_what_processes_are_about() {
        let process = |name: &str, entity: Option<&str>, phase: &str| ProcessView {
            name: name.into(),
            title: None,
            owner: None,
            entity: entity.map(Into::into),
            version: 1,
            definition: name.into(),
            declared: true,
            phases: [(phase.to_owned(), 2)].into(),
            retrying: 1,
            statuses: BTreeMap::new(),
            older: 0,
        };
        let kinds = kinds(&[
            process("procure", Some("purchase-order"), "asking"),
            process("return", Some("purchase-order"), "stuck"),
            process("sweep", None, "completed"),
        ]);
        let orders = kinds["purchase-order"];
        assert_eq!(
            (orders.under_way, orders.failed, orders.completed),
            (2, 2, 0)
        );
        assert_eq!(kinds["sweep"].completed, 2);
        assert_eq!(title("purchase-order"), "Purchase order");
        assert_eq!(title(""), "");
    }
}
