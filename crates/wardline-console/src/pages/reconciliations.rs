//! What was compared: a board of days and runs with what was counted and what does not tie, and
//! one of them with its hops and breaks.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use wardline_core::InstanceId;
use wardline_engine::view::{
    BreakView, HopView, ReconciliationQuery, ReconciliationView, Reconciliations,
};

use super::Page;
use super::rows::empty;
use super::shell::{Fresh, Place, Shell};
use super::values::{or_none, plain};
use super::words::{ago, count, moment, number};
use crate::api_processes::instance_id;
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;
use crate::problem::Problem;

const ROWS: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Asked {
    name: Option<String>,
    #[serde(default)]
    date: String,
    open: Option<String>,
}

/// `GET /reconciliations?name=charges&date=2026-11-24&open=yes`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let date = asked.date.trim();
    let query = ReconciliationQuery {
        name: asked.name.clone(),
        date: (!date.is_empty()).then(|| date.to_owned()),
        open: asked.open.is_some(),
        limit: ROWS,
        ..ReconciliationQuery::default()
    };
    let found = app.reconciliations_for(&visitor.who, query).await?;
    let content = html! {
        div.head {
            h1 { "Reconciliations" }
            span.muted data-say="" { (count(found.rows.len() as u64, "reconciliation", "reconciliations")) @if found.partial { " on this page" } }
        }
        @if found.names.is_empty() {
            (empty("Nothing is reconciled", "A process that compares both sides of something says `reconciliation:`.", Some("wardline schema process")))
        } @else {
            (chosen(&found, &asked))
            @if found.rows.is_empty() {
                (empty("Nothing here", "Nothing was compared that matches.", Some("wardline reconcile NAME --date DAY")))
            } @else { (board(&found.rows)) }
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Reconciliations,
        title: "Reconciliations",
        fresh: Fresh::Poll,
    };
    Ok(shell.wrap(&app, content).await?)
}

/// What is chosen: a name, a date, only what is open.
fn chosen(found: &Reconciliations, asked: &Asked) -> Markup {
    let date = asked.date.trim();
    let to = |name: Option<&str>, open: bool| {
        let open = open.then_some("yes");
        link::with(
            "/reconciliations",
            &[("name", name), ("date", Some(date)), ("open", open)],
        )
    };
    let (name, open) = (asked.name.as_deref(), asked.open.is_some());
    html! {
        nav.pills aria-label="Names" {
            a href=(to(None, open)) aria-current=[name.is_none().then_some("true")] { "All" }
            @for one in &found.names {
                a href=(to(Some(one), open)) aria-current=[(name == Some(one)).then_some("true")] { (one) }
            }
        }
        nav.pills.tabs aria-label="States" {
            a href=(to(name, false)) aria-current=[(!open).then_some("true")] { "All" }
            a href=(to(name, true)) aria-current=[open.then_some("true")] { "Not signed off" }
        }
        div.filters {
            form.find method="get" action="/reconciliations" {
                @if let Some(name) = name { input type="hidden" name="name" value=(name); }
                @if open { input type="hidden" name="open" value="yes"; }
                label for="date" { "Date" }
                input #date name="date" type="date" value=(date);
                button.button { "Filter" }
            }
        }
    }
}

fn board(rows: &[ReconciliationView]) -> Markup {
    html! {
        table.grid {
            caption.hush { "Reconciliations, newest first" }
            thead { tr {
                th scope="col" { "What" }
                th scope="col" { "State" }
                th scope="col" { "Totals" }
                th.num scope="col" { "Open breaks" }
                th.num scope="col" { "Worth" }
                th scope="col" { "Oldest" }
                th scope="col" { "Owner" }
                th scope="col" { "Signed off" }
            } }
            tbody { @for row in rows { tr data-row="" {
                th scope="row" data-label="What" {
                    a.name href={ "/reconciliations/" (row.instance) } { (row.name) " " (row.date.as_deref().unwrap_or("")) }
                    @if let Some(scope) = &row.scope { span.sub { (scope) } }
                }
                td data-label="State" { div { (row.status) @if let Some(reason) = &row.reason { span.why { (reason) } } } }
                td data-label="Totals" { (ties(row)) }
                td.num data-label="Open breaks" { (number(row.breaks_open)) @if row.breaks_total > row.breaks_open { span.sub { "of " (number(row.breaks_total)) } } }
                td.num data-label="Worth" { (or_none(row.amount_open.as_deref())) }
                td data-label="Oldest" { @match oldest(row) { Some(at) => (at), None => span.zero { "—" } } }
                td data-label="Owner" { (or_none(row.owner.as_deref())) }
                td data-label="Signed off" { (signed(row)) }
            } } }
        }
    }
}

fn ties(row: &ReconciliationView) -> Markup {
    html! {
        @if row.hops.is_empty() { span.zero { "—" } }
        @else if row.ties { "tie" }
        @else { strong { "do not tie" } }
    }
}

fn signed(row: &ReconciliationView) -> Markup {
    html! {
        @match (&row.signed_by, row.signed_at) {
            (Some(by), Some(at)) => div { (by) " " (ago(at)) },
            _ => span.zero { "—" },
        }
    }
}

/// Since when the break is open that is open longest.
fn oldest(row: &ReconciliationView) -> Option<Markup> {
    let open = row.breaks.iter().filter(|one| one.closed.is_none());
    open.filter_map(|one| one.since).min().map(ago)
}

/// `GET /reconciliations/{instance}`
pub(crate) async fn one(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Page {
    let id: InstanceId = instance_id(&id)?;
    let query = ReconciliationQuery {
        instance: Some(id),
        limit: 1,
        ..ReconciliationQuery::default()
    };
    let found = app.reconciliations_for(&visitor.who, query).await?;
    let row = found
        .rows
        .into_iter()
        .next()
        .ok_or_else(|| Problem::not_found("reconciliation with that id"))?;
    let content = html! {
        div.head {
            h1 { (row.name) " " (row.date.as_deref().unwrap_or("")) @if let Some(scope) = &row.scope { " " (scope) } }
            span.muted { (row.status) }
        }
        p.muted {
            "Begun " (moment(row.began)) " · "
            a href={ "/instances/" (row.instance) } { "instance " (row.instance) }
            @if let (Some(by), Some(at)) = (&row.signed_by, row.signed_at) { " · signed off by " (by) " " (moment(at)) }
        }
        h2 { "Control totals" }
        @if row.hops.is_empty() { (empty("Nothing was counted yet", "Totals stand here once both sides have been asked.", None)) }
        @else { (hops(&row.hops)) }
        h2 { "Breaks" }
        @if row.breaks.is_empty() && row.breaks_total == 0 { (empty("No break", "What was counted on both sides is the same, or was not compared yet.", None)) }
        @else { (breaks(&row)) }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Reconciliations,
        title: "Reconciliation",
        fresh: if row.done { Fresh::Still } else { Fresh::Poll },
    };
    Ok(shell.wrap(&app, content).await?)
}

fn hops(rows: &[HopView]) -> Markup {
    html! {
        table.grid {
            caption.hush { "Control totals, hop by hop" }
            thead { tr {
                th scope="col" { "Hop" }
                th.num scope="col" { "Count" }
                th.num scope="col" { "Difference" }
                th.num scope="col" { "Amount" }
                th.num scope="col" { "Difference" }
            } }
            tbody { @for row in rows { tr {
                th scope="row" data-label="Hop" { (row.hop) }
                td.num data-label="Count" { @match row.count { Some(count) => (number(count)), None => span.zero { "—" } } }
                td.num data-label="Difference" { @match row.count_difference { Some(0) | None => span.zero { "—" }, Some(more) => (format!("{more:+}")) } }
                td.num data-label="Amount" { (or_none(row.amount.as_deref())) }
                td.num data-label="Difference" { (or_none(row.amount_difference.as_deref())) }
            } } }
        }
    }
}

fn breaks(row: &ReconciliationView) -> Markup {
    let all = row.breaks.len() as u64;
    html! {
        @if row.breaks_total > all { p.muted { "The first " (number(all)) " of " (number(row.breaks_total)) "." } }
        table.grid {
            caption.hush { "What does not tie" }
            thead { tr {
                th scope="col" { "Break" }
                th scope="col" { "State" }
                th scope="col" { "Owner" }
                th scope="col" { "Since" }
                th.num scope="col" { "Expected" }
                th.num scope="col" { "Found" }
                th.num scope="col" { "Difference" }
                th scope="col" { "Why" }
            } }
            tbody { @for one in &row.breaks { tr data-row="" { (break_cells(one)) } } }
        }
    }
}

fn break_cells(one: &BreakView) -> Markup {
    let detail = |name: &str| match &one.detail[name] {
        serde_json::Value::Null => html! { span.zero { "—" } },
        value => html! { (plain(value)) },
    };
    html! {
        th scope="row" data-label="Break" {
            @match one.task {
                Some(task) => a.name href={ "/tasks/" (task) } { (one.code) },
                None => span.name { (one.code) },
            }
            span.sub { (one.subject.as_deref().unwrap_or("••••")) }
        }
        td data-label="State" { div { (one.state) @if let Some(by) = &one.by { span.why { (by) } } } }
        td data-label="Owner" { (or_none(one.owner.as_deref())) }
        td data-label="Since" { @match one.since { Some(at) => (ago(at)), None => span.zero { "—" } } }
        td.num data-label="Expected" { (detail("expected")) }
        td.num data-label="Found" { (detail("found")) }
        td.num data-label="Difference" { (detail("difference")) }
        td.clip data-label="Why" { (detail("reason")) }
    }
}
