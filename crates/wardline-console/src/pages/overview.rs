//! The first page: is it well, what is wrong, where.

use axum::extract::State;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use wardline_engine::certs::{CertificateRole, CertificateState, CertificateView};
use wardline_engine::view::{DestinationView, FlowView, Overview, SourceView};

use super::Page;
use super::marks::{destination_chip, sparkline};
use super::shell::{Fresh, Place, Shell};
use super::words::{age, ago, moment, name, number, size, took};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::link;
use crate::live::Feed;
use crate::problem::Problem;

/// `GET /`
pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor) -> Page {
    let overview = app.desk.overview().await?;
    let callers = match &app.access {
        Some(access) => Some(super::callers::section(access.as_ref()).await?),
        None => None,
    };
    let content = html! {
        @for (id, markup) in regions(&overview) {
            section id=(id) { (markup) }
        }
        @if let Some(callers) = &callers { (callers) }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Overview,
        title: "Overview",
        fresh: Fresh::Stream,
    };
    Ok(shell.wrap(&app, content).await?)
}

/// `GET /live`: the stream that keeps the page up to date.
pub(crate) async fn live(State(app): State<Shared>, visitor: Visitor) -> Response {
    match app
        .live
        .follow(Feed::Regions, app.alive(Some(visitor.session)))
    {
        Some(stream) => Sse::new(stream)
            .keep_alive(KeepAlive::default())
            .into_response(),
        None => Problem::too_many_streams().page(),
    }
}

/// The parts of the page that change, by the id of the section they fill.
pub(crate) fn regions(overview: &Overview) -> [(&'static str, Markup); 5] {
    [
        ("headline", headline(overview)),
        ("tiles", tiles(overview)),
        ("destinations", destinations(&overview.destinations)),
        ("sources", sources(&overview.sources)),
        ("flows", flows(&overview.flows)),
    ]
}

fn headline(overview: &Overview) -> Markup {
    html! {
        h1.headline.trouble[!overview.well] {
            span.dot aria-hidden="true" {}
            span data-say="" { (overview.headline) }
        }
        @if let Some(trouble) = &overview.store.trouble {
            p.banner role="alert" {
                strong { "Nothing can be written. " } (trouble)
                " Senders get a negative acknowledgement and keep their messages."
            }
        }
        @for one in &overview.certificates {
            p.banner role="status" {
                strong { (certificate(one)) }
                " " (one.file) ", used by " (one.used_by.join(", ")) "."
            }
        }
    }
}

/// What a certificate needs, in a sentence.
fn certificate(one: &CertificateView) -> String {
    let what = match one.role {
        CertificateRole::Own => "A certificate",
        CertificateRole::Authority => "An authority's certificate",
        CertificateRole::Revocations => "A revocation list",
    };
    match (one.state, one.days_left) {
        (CertificateState::Unreadable, _) => format!("{what} cannot be read."),
        (CertificateState::NotValid, Some(left)) if left < 0 => {
            format!("{what} has ended: renew {}.", one.subject)
        }
        (CertificateState::NotValid, _) => format!("{what} is not good yet: {}.", one.subject),
        (_, left) => format!(
            "{what} ends in {} days: renew {}.",
            left.unwrap_or_default(),
            one.subject
        ),
    }
}

fn tiles(overview: &Overview) -> Markup {
    let last = |values: &[u64]| number(values.last().copied().unwrap_or(0));
    let held: u64 = overview
        .destinations
        .iter()
        .map(|destination| destination.held)
        .sum();
    let dead: u64 = overview
        .destinations
        .iter()
        .map(|destination| destination.dead)
        .sum();
    let store = &overview.store;
    html! {
        h2.hush { "At a glance" }
        div.tiles {
            a.tile href="/messages" {
                span.label { "Accepted / min" }
                span.figure { (last(&overview.accepted_per_minute)) }
                (sparkline(&overview.accepted_per_minute, "Accepted"))
                span.note { (number(overview.accepted)) " in all" }
            }
            a.tile href=(link::messages("state:delivered")) {
                span.label { "Delivered / min" }
                span.figure { (last(&overview.delivered_per_minute)) }
                (sparkline(&overview.delivered_per_minute, "Delivered"))
                span.note { "last 60 minutes" }
            }
            a.tile href=(link::messages("state:retrying")) {
                span.label { "Oldest waiting" }
                span.figure { @match overview.oldest_waiting_ms { Some(ms) => (age(ms)), None => "—" } }
                (worst(overview, |destination| destination.waiting + destination.retrying))
                span.note { @if overview.oldest_waiting_ms.is_some() { "not counting held" } @else { "nothing waits" } }
            }
            a.tile.alarm[overview.error_groups > 0] href="/dead" {
                span.label { "Needs a person" }
                span.figure { (number(overview.error_groups)) @if overview.error_groups == 1 { " group" } @else { " groups" } }
                (worst(overview, |destination| destination.held + destination.dead))
                span.note { (number(held)) " held · " (number(dead)) " dead" }
            }
        }
        p.store {
            "Store " (size(store.bytes))
            @if let Some(free) = store.disk_free_bytes { " · " (size(free)) " free" }
            " · " (number(store.commits)) " commits · " (number(store.queued)) " queued · taken " (moment(overview.at))
        }
    }
}

/// The two destinations with the most of something, named in a tile.
fn worst(overview: &Overview, of: impl Fn(&DestinationView) -> u64) -> Markup {
    let mut all: Vec<(u64, &str)> = overview
        .destinations
        .iter()
        .map(|destination| (of(destination), destination.name.as_str()))
        .collect();
    // Stable, so that equals stay in the order in which they are listed below.
    all.sort_by_key(|(value, _)| std::cmp::Reverse(*value));
    html! {
        span.worst { @for (value, at) in all.iter().filter(|(value, _)| *value > 0).take(2) {
            span.at { (at) } span.much { (number(*value)) }
        } }
    }
}

fn destinations(all: &[DestinationView]) -> Markup {
    html! {
        div.head { h2 { "Destinations" } span.muted { "those in trouble first" } }
        @if all.is_empty() {
            (super::rows::empty("No destination yet", "A flow names its destinations under `to:`.", Some("wardline check")))
        } @else {
            table.grid {
                caption.hush { "Destinations, those in trouble first" }
                thead { tr {
                    th scope="col" { "Destination" }
                    th scope="col" { "State" }
                    th.num scope="col" { "Waiting" }
                    th.num scope="col" { "Retrying" }
                    th.num scope="col" { "Held" }
                    th.num scope="col" { "Dead" }
                    th.num scope="col" { "Delivered" }
                    th.num scope="col" { "p99" }
                    th scope="col" { "Last error" }
                } }
                tbody { @for destination in all { (destination_row(destination)) } }
            }
        }
    }
}

fn destination_row(destination: &DestinationView) -> Markup {
    let address = link::destination(&destination.name);
    let figure = |label: &str, value: u64, loud: &'static str, to: &str| {
        html! {
            td.num data-label=(label) {
                @if value == 0 { span.zero { "0" } } @else { a class=(loud) href=(to) { (number(value)) } }
            }
        }
    };
    html! {
        tr data-row="" {
            th scope="row" data-label="Destination" {
                a.name href=(address) { (name(&destination.name)) }
            }
            td data-label="State" {
                (destination_chip(&destination.state))
                @if !destination.reason.is_empty() {
                    span.why { (destination.reason)
                        @if let Some(since) = destination.since { " · " (ago(since)) }
                    }
                }
            }
            (figure("Waiting", destination.waiting, "", &address))
            (figure("Retrying", destination.retrying, "retrying-text", &format!("{address}?state=retrying")))
            (figure("Held", destination.held, "held-text", &format!("{address}?state=held")))
            (figure("Dead", destination.dead, "failed-text", &format!("{address}?state=dead")))
            (figure("Delivered", destination.delivered, "quiet", &format!("{address}?state=delivered")))
            td.num data-label="p99" { @match destination.p99_us { Some(us) => (took(us)), None => span.zero { "—" } } }
            td.clip data-label="Last error" {
                @match &destination.last_error { Some(error) => span title=(error) { (error) }, None => span.zero { "—" } }
            }
        }
    }
}

fn sources(all: &[SourceView]) -> Markup {
    html! {
        div.head { h2 { "Sources" } }
        @if all.is_empty() {
            (super::rows::empty("No source yet", "A connection with `listen` receives messages.", Some("wardline check")))
        } @else {
            table.grid {
                caption.hush { "Inbound sources" }
                thead { tr {
                    th scope="col" { "Source" }
                    th scope="col" { "Listening" }
                    th.num scope="col" { "Accepted" }
                    th.num scope="col" { "Duplicates" }
                    th.num scope="col" { "Filtered" }
                    th.num scope="col" { "Unrouted" }
                    th.num scope="col" { "Ack p99" }
                } }
                tbody { @for source in all { tr data-row="" {
                    th scope="row" data-label="Source" {
                        a.name href=(link::messages(&format!("source:{}", source.name))) { (source.name) }
                    }
                    td.mono data-label="Listening" { @match &source.listening { Some(at) => (at), None => span.zero { "—" } } }
                    td.num data-label="Accepted" { (number(source.accepted)) }
                    td.num data-label="Duplicates" { (quiet(source.duplicates)) }
                    td.num data-label="Filtered" { (quiet(source.filtered)) }
                    td.num data-label="Unrouted" {
                        @if source.unrouted == 0 { span.zero { "0" } } @else {
                            a.retrying-text href=(link::messages(&format!("source:{} state:unrouted", source.name))) { (number(source.unrouted)) }
                        }
                    }
                    td.num data-label="Ack p99" { @match source.ack_p99_us { Some(us) => (took(us)), None => span.zero { "—" } } }
                } } }
            }
        }
    }
}

fn flows(all: &[FlowView]) -> Markup {
    html! {
        div.head { h2 { "Flows" } }
        @if all.is_empty() {
            (super::rows::empty("No flow yet", "A flow says what a message means and who must hear of it.", Some("wardline new flow")))
        } @else {
            table.grid {
                caption.hush { "Flows" }
                thead { tr {
                    th scope="col" { "Flow" }
                    th scope="col" { "From" }
                    th scope="col" { "Owner" }
                    th.num scope="col" { "Delivered" }
                    th.num scope="col" { "Owed" }
                    th.num scope="col" { "Dead" }
                    th.num scope="col" { "Events" }
                } }
                tbody { @for flow in all { tr data-row="" {
                    th scope="row" data-label="Flow" {
                        a.name href=(link::messages(&format!("flow:{}", flow.name))) { (flow.name) }
                    }
                    td data-label="From" { (flow.from) }
                    td data-label="Owner" { (flow.owner) }
                    td.num data-label="Delivered" { (quiet(flow.delivered)) }
                    td.num data-label="Owed" { (quiet(flow.owed)) }
                    td.num data-label="Dead" {
                        @if flow.dead == 0 { span.zero { "0" } } @else {
                            a.failed-text href=(link::messages(&format!("flow:{} state:dead", flow.name))) { (number(flow.dead)) }
                        }
                    }
                    td.num data-label="Events" { (quiet(flow.emitted)) }
                } } }
            }
        }
    }
}

fn quiet(value: u64) -> Markup {
    html! { @if value == 0 { span.zero { "0" } } @else { (number(value)) } }
}
