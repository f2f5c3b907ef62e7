//! One destination: what waits there, in which lane, and which keys are stopped and why.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use wardline_core::{DeliveryState, Id, Lane};
use wardline_engine::view::{DeliveryView, DestinationView, Selection};

use super::Page;
use super::marks::{delivery_chip, destination_chip};
use super::rows;
use super::shell::{Fresh, Place, Shell};
use super::words::{ago, number, took};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;
use crate::problem::Problem;

const ROWS: usize = 100;
const OPEN: [DeliveryState; 3] = [
    DeliveryState::Held,
    DeliveryState::Retrying,
    DeliveryState::Pending,
];

#[derive(Deserialize)]
pub(crate) struct Asked {
    state: Option<String>,
    before: Option<String>,
}

/// `GET /destinations/{name}`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    let overview = app.desk.overview().await?;
    let destination = overview
        .destinations
        .into_iter()
        .find(|destination| destination.name == name)
        .ok_or_else(|| Problem::not_found("destination of that name"))?;
    let state = asked
        .state
        .as_deref()
        .map(str::parse::<DeliveryState>)
        .transpose()
        .map_err(Problem::bad_form)?;
    let before = match &asked.before {
        Some(id) => Some(
            id.parse::<Id>()
                .map_err(|_| Problem::not_found("such page of the list"))?,
        ),
        None => None,
    };
    let of = |states: Vec<DeliveryState>| Selection {
        destination: Some(name.clone()),
        states,
        ..Selection::default()
    };
    let stopped = app
        .desk
        .deliveries(
            of(vec![DeliveryState::Held, DeliveryState::Retrying]),
            None,
            ROWS,
        )
        .await?;
    let states = state.map_or_else(|| OPEN.to_vec(), |state| vec![state]);
    let listed = app.desk.deliveries(of(states), before, ROWS).await?;
    let here = link::destination(&name);
    let here = match state {
        Some(state) => format!("{here}?state={state}&"),
        None => format!("{here}?"),
    };
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/" { "Overview" } " / Destination" }
        div.head { h1 { (destination.name) } (destination_chip(&destination.state)) }
        (standing(&destination))
        (figures(&destination))
        @if !stopped.rows.is_empty() { (stopped_keys(&stopped.rows)) }
        div.head {
            h2 { @match state { Some(state) => { "Deliveries: " (state) }, None => "Open deliveries" } }
            span.muted { (lanes(&listed.rows)) }
        }
        (tabs(&destination, state))
        @if listed.rows.is_empty() {
            (rows::empty("None", "There is no such delivery at this destination.", None))
        } @else {
            (rows::deliveries(&listed.rows, "Deliveries of this destination, newest first", rows::Listing::OneDestination))
        }
        @if let Some(next) = listed.next { p.more { a.button href={ (here) "before=" (next) } rel="next" { "Older" } } }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Elsewhere,
        title: &name,
        fresh: Fresh::Poll,
    };
    Ok(shell.wrap(&app, content).await?)
}

fn standing(destination: &DestinationView) -> Markup {
    html! {
        @if !destination.reason.is_empty() {
            p.lead { (destination.reason) @if let Some(since) = destination.since { ", since " (ago(since)) } "." }
        }
        @if let Some(error) = &destination.last_error { p.meta { "Last error: " (error) } }
        @if let Some(runbook) = &destination.runbook { p.runbook { "Runbook: " code { (runbook) } " in the estate." } }
    }
}

fn figures(destination: &DestinationView) -> Markup {
    let latency = |us: Option<u64>| us.map_or_else(|| "—".to_owned(), took);
    let all = [
        ("In flight", number(destination.in_flight)),
        ("Delivered", number(destination.delivered)),
        ("Failed attempts", number(destination.failed_attempts)),
        ("Cancelled", number(destination.cancelled)),
        ("Median", latency(destination.p50_us)),
        ("p99", latency(destination.p99_us)),
    ];
    html! { dl.figures { @for (name, value) in all { div { dt { (name) } dd { (value) } } } } }
}

fn stopped_keys(rows: &[DeliveryView]) -> Markup {
    html! {
        div.head {
            h2 { "Stopped keys" }
            span.muted { "Everything else flows past them" }
        }
        table.grid.slim {
            caption.hush { "Keys whose first delivery does not get through" }
            thead { tr {
                th scope="col" { "Key" }
                th scope="col" { "State" }
                th scope="col" { "Lane" }
                th scope="col" { "Why" }
                th scope="col" { "Head of the key" }
                th scope="col" { "Act" }
            } }
            tbody { @for row in rows { tr data-row="" {
                th.mono scope="row" data-label="Key" { (rows::key(row.key.as_deref())) }
                td data-label="State" { (delivery_chip(row.state, row.attempts)) }
                td data-label="Lane" { (row.lane) }
                td.clip data-label="Why" { (rows::why(row)) }
                td.mono data-label="Head" { a.name href={ "/trace/" (row.id) "?hop=" (row.id) "&part=body" } { (row.id) } }
                td data-label="Act" {
                    form method="post" action="/plans" {
                        input type="hidden" name="delivery" value=(row.id);
                        button.button.small name="act" value="release" { "Try now…" }
                    }
                }
            } } }
        }
    }
}

fn tabs(destination: &DestinationView, state: Option<DeliveryState>) -> Markup {
    let here = link::destination(&destination.name);
    let counts = [
        (DeliveryState::Pending, destination.waiting),
        (DeliveryState::Retrying, destination.retrying),
        (DeliveryState::Held, destination.held),
        (DeliveryState::Dead, destination.dead),
        (DeliveryState::Delivered, destination.delivered),
        (DeliveryState::Cancelled, destination.cancelled),
    ];
    html! {
        nav.pills aria-label="Deliveries by state" {
            a href=(here) aria-current=[state.is_none().then_some("true")] { "Open" }
            @for (tab, value) in counts {
                a href={ (here) "?state=" (tab) } aria-current=[(state == Some(tab)).then_some("true")] {
                    (if tab == DeliveryState::Pending { "waiting" } else { tab.as_str() }) " " span.pill-count { (number(value)) }
                }
            }
        }
    }
}

/// How the listed ones share out over the lanes, in words.
fn lanes(rows: &[DeliveryView]) -> String {
    let parts: Vec<String> = Lane::ALL
        .into_iter()
        .map(|lane| {
            (
                lane,
                rows.iter().filter(|row| row.lane == lane).count() as u64,
            )
        })
        .filter(|(_, listed)| *listed > 0)
        .map(|(lane, listed)| format!("{} {lane}", number(listed)))
        .collect();
    parts.join(" · ")
}
