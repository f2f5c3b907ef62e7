//! Dead letters and held keys: what needs a person, grouped by what went wrong.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use wardline_core::{DeliveryState, Id};
use wardline_engine::view::{ErrorGroupView, Selection};

use super::Page;
use super::marks::{Look, chip};
use super::rows;
use super::shell::{Fresh, Place, Shell};
use super::words::{ago, count, moment, name, number};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;
use crate::problem::Problem;

const ROWS: usize = 100;
const STATES: [DeliveryState; 2] = [DeliveryState::Dead, DeliveryState::Held];

/// `GET /dead`
pub(crate) async fn groups(State(app): State<Shared>, visitor: Visitor) -> Page {
    let groups = app.desk.dead().await?;
    let touched: u64 = groups.iter().map(|group| group.dead + group.held).sum();
    let content = html! {
        div.head {
            h1 { "Dead letters" }
            span.muted {
                @if groups.is_empty() { "nothing needs a person" }
                @else { (count(touched, "delivery needs a person", "deliveries need a person")) ", in " (count(groups.len() as u64, "group", "groups")) }
            }
        }
        @if groups.is_empty() {
            (rows::empty("Nothing is dead or held",
                "A delivery that runs out of attempts, or that its destination refuses for good, waits here for a person.", None))
        } @else {
            ul.groups { @for group in &groups { li.card data-row="" { (summary(group)) } } }
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Dead,
        title: "Dead letters",
        fresh: Fresh::Poll,
    };
    Ok(shell.wrap(&app, content).await?)
}

fn summary(group: &ErrorGroupView) -> Markup {
    html! {
        div.group-text {
            h2 {
                a.name href=(link::group(&group.fingerprint, &group.destination)) { (group.text) }
            }
            p.meta {
                span.mono { (group.code) } " at " a href=(link::destination(&group.destination)) { (name(&group.destination)) }
                " · " (group.owner) " · " span.mono { (group.fingerprint) }
                @if let Some(runbook) = &group.runbook { " · runbook " code { (runbook) } }
            }
            p.meta { "first " (moment(group.first)) " · last " (ago(group.last)) }
        }
        div.group-counts {
            @if group.held > 0 { (chip(Look::Held, &format!("{} held", number(group.held)))) }
            @if group.dead > 0 { (chip(Look::Failed, &format!("{} dead", number(group.dead)))) }
        }
        div.group-acts { (act_form(group, "replay", &format!("Replay {}…", number(group.dead + group.held)), true)) }
    }
}

/// A button that opens the preview of an act on a whole group.
fn act_form(group: &ErrorGroupView, act: &str, verb: &str, primary: bool) -> Markup {
    html! {
        form method="post" action="/plans" {
            (whole(group))
            button.button.primary[primary] name="act" value=(act) data-replay=[(act == "replay").then_some("")] { (verb) }
        }
    }
}

/// The fields that mean: everything in this group.
fn whole(group: &ErrorGroupView) -> Markup {
    html! {
        input type="hidden" name="fingerprint" value=(group.fingerprint);
        input type="hidden" name="destination" value=(group.destination);
        @for state in STATES { input type="hidden" name="state" value=(state); }
    }
}

#[derive(Deserialize)]
pub(crate) struct Which {
    destination: Option<String>,
    before: Option<String>,
}

/// `GET /dead/{fingerprint}?destination=…`
pub(crate) async fn group(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(fingerprint): Path<String>,
    Query(which): Query<Which>,
) -> Page {
    let groups = app.desk.dead().await?;
    let group = groups
        .into_iter()
        .find(|group| {
            group.fingerprint == fingerprint
                && which
                    .destination
                    .as_ref()
                    .is_none_or(|at| *at == group.destination)
        })
        .ok_or_else(|| Problem::not_found("group of failures like that (any more)"))?;
    let before = match &which.before {
        Some(id) => Some(
            id.parse::<Id>()
                .map_err(|_| Problem::not_found("such page of the list"))?,
        ),
        None => None,
    };
    let select = Selection {
        fingerprint: Some(group.fingerprint.clone()),
        destination: Some(group.destination.clone()),
        states: STATES.to_vec(),
        ..Selection::default()
    };
    let page = app.desk.deliveries(select, before, ROWS).await?;
    let here = link::group(&group.fingerprint, &group.destination);
    let all = group.dead + group.held;
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/dead" { "Dead letters" } " / " span.mono { (group.fingerprint) } }
        div.head { h1 { (group.text) } }
        p.meta {
            @if group.held > 0 { (chip(Look::Held, &format!("{} held", number(group.held)))) " " }
            @if group.dead > 0 { (chip(Look::Failed, &format!("{} dead", number(group.dead)))) " " }
            span.mono { (group.code) } " at " a href=(link::destination(&group.destination)) { (name(&group.destination)) }
            " · " (group.owner) " · first " (moment(group.first)) " · last " (ago(group.last))
        }
        @if let Some(runbook) = &group.runbook { p.runbook { "Runbook: " code { (runbook) } " in the estate." } }
        div.acts {
            (act_form(&group, "replay", &format!("Replay all {}…", number(all)), true))
            @if group.held > 0 {
                (act_form(&group, "park", &format!("Park the {} held…", number(group.held)), false))
                (act_form(&group, "cancel", &format!("Cancel the {} held…", number(group.held)), false))
            }
        }
        form method="post" action="/plans" {
            input type="hidden" name="only" value="chosen";
            (rows::deliveries(&page.rows, "Deliveries of this group, newest first", rows::Listing::Choice))
            div.acts.under {
                button.button name="act" value="replay" { "Replay chosen…" }
                @if group.held > 0 { button.button name="act" value="cancel" { "Cancel chosen…" } }
            }
        }
        @if let Some(next) = page.next { p.more { a.button href={ (here) "&before=" (next) } rel="next" { "Older" } } }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Dead,
        title: "A group of dead letters",
        fresh: Fresh::Still,
    };
    Ok(shell.wrap(&app, content).await?)
}
