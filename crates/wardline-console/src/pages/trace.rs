//! A trace as a timeline: everything that followed from one received message, in order,
//! with what was tried, how long it took and what was in it.

use axum::extract::{Form as Posted, Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use wardline_core::{DeliveryState, Id};
use wardline_engine::view::{
    AttemptView, DeliveryView, MessageView, Part, TakenView, TraceItem, TraceNode, TraceView,
};

use super::Page;
use super::marks::{Look, chip, delivery_chip, delivery_look, outcome_chip, thousandths};
use super::payload::{self, Opened};
use super::rows;
use super::shell::{Fresh, Place, Shell};
use super::words::{ago, moment, name, size, took};
use crate::api::{kind_of, with_purpose};
use crate::app::{App, Shared};
use crate::guard::Visitor;
use crate::link;
use crate::plan::Form;
use crate::problem::Problem;

/// Deeper than this the indentation stays the same.
const DEEPEST: u32 = 12;
/// Pixels of one step of the tree, and where its lines run.
const STEP: u32 = 20;
const LINE: u32 = 9;
const ELBOW: u32 = 19;

#[derive(Deserialize)]
pub(crate) struct Asked {
    hop: Option<String>,
    part: Option<String>,
}

/// `GET /trace/{id}?hop=…&part=…`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    show(&app, &visitor, &id, &asked, None).await
}

/// Why somebody looks, and what for.
struct Reveal {
    reason: String,
    purpose: Option<String>,
}

/// `POST /trace/{id}?hop=…&part=…`: the same page with one payload unmasked. The answer to
/// the form itself rather than an address of its own, so that no link leads to it.
pub(crate) async fn reveal(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    Posted(pairs): Posted<Vec<(String, String)>>,
) -> Page {
    let form = Form(pairs);
    let reveal = Reveal {
        reason: form.reason()?,
        purpose: form.first("purpose").map(str::to_owned),
    };
    show(&app, &visitor, &id, &asked, Some(reveal)).await
}

async fn show(
    app: &App,
    visitor: &Visitor,
    id: &str,
    asked: &Asked,
    reveal: Option<Reveal>,
) -> Page {
    let gone = || Problem::not_found("message or delivery with that id");
    let id: Id = id.parse().map_err(|_| gone())?;
    let trace = app.desk.trace(id).await?.ok_or_else(gone)?;
    let hop: Id = match &asked.hop {
        Some(hop) => hop.parse().map_err(|_| gone())?,
        None => trace.root.0,
    };
    let node = trace
        .nodes
        .iter()
        .find(|node| id_of(&node.item) == hop)
        .ok_or_else(gone)?;
    let opened = Opened::of(&node.item, asked.part.as_deref(), &trace);
    let reason = match reveal {
        None => None,
        Some(Reveal { reason, purpose }) => {
            let purpose = purpose.as_deref();
            let kind = kind_of(&trace, hop).unwrap_or_default();
            app.permit_reveal(&visitor.who, kind, purpose).await?;
            Some(with_purpose(purpose, &reason))
        }
    };
    let panel = payload::panel(app, visitor, &trace, node, &opened, reason).await?;
    let standing = Standing::of(&trace);
    let fresh = if standing.open {
        Fresh::Poll
    } else {
        Fresh::Still
    };
    let root = trace.root;
    let kind = trace.nodes.iter().find_map(|node| match &node.item {
        TraceItem::Message(message) => Some(message.kind.clone()),
        TraceItem::Delivery(_) => None,
    });
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/messages" { "Messages" } " / Trace " span.mono { (root) } }
        section #trace-head {
            div.head {
                h1 { (kind.as_deref().unwrap_or("Trace")) }
                (chip(standing.look, standing.word))
                span.muted { (trace.headline) " · " (took(trace.took_us)) }
            }
        }
        div.acts {
            form method="post" action="/plans" {
                input type="hidden" name="message" value=(root);
                button.button.primary name="act" value="replay" data-replay="" { "Replay…" }
            }
            button.button type="button" hidden data-copy={ "wardline trace " (root) } { "Copy as command" }
            button.button type="button" hidden data-copy-link={ "/trace/" (root) } { "Copy link" }
        }
        section #trace-time { (timeline(&trace, hop)) }
        @if trace.truncated { p.muted { "There is more than can be shown here; " code { "wardline trace " (root) " --json" } " has the rest." } }
        (panel)
    };
    let title = format!("Trace {root}");
    let shell = Shell {
        visitor,
        place: Place::Messages,
        title: &title,
        fresh,
    };
    Ok(shell.wrap(app, content).await?)
}

/// The id of a message or delivery.
pub(crate) fn id_of(item: &TraceItem) -> Id {
    match item {
        TraceItem::Message(message) => message.id.0,
        TraceItem::Delivery(delivery) => delivery.id.0,
    }
}

/// Where a whole trace stands: as badly as its worst part.
struct Standing {
    look: Look,
    word: &'static str,
    open: bool,
}

impl Standing {
    fn of(trace: &TraceView) -> Self {
        let states: Vec<DeliveryState> = trace
            .nodes
            .iter()
            .filter_map(|node| match &node.item {
                TraceItem::Delivery(delivery) => Some(delivery.state),
                TraceItem::Message(_) => None,
            })
            .collect();
        let has = |state| states.contains(&state);
        let open = states.iter().any(|state| state.is_open());
        let (look, word) = if has(DeliveryState::Dead) {
            (Look::Failed, "dead")
        } else if has(DeliveryState::Held) {
            (Look::Held, "held")
        } else if has(DeliveryState::Retrying) {
            (Look::Retrying, "retrying")
        } else if has(DeliveryState::Pending) {
            (Look::Waiting, "waiting")
        } else if has(DeliveryState::Delivered) {
            (Look::Done, "completed")
        } else {
            (
                Look::Skipped,
                if states.is_empty() {
                    "no deliveries"
                } else {
                    "cancelled"
                },
            )
        };
        Self { look, word, open }
    }
}

fn timeline(trace: &TraceView, hop: Id) -> Markup {
    let whole = trace
        .nodes
        .iter()
        .map(|node| node.to_us)
        .max()
        .unwrap_or(0)
        .max(trace.took_us)
        .max(1);
    let rails = rails(&trace.nodes);
    html! {
        table.grid.timeline {
            caption.hush { "Timeline, from the first receipt" }
            thead { tr {
                th scope="col" { "What" }
                th scope="col" { "State" }
                th.num scope="col" { "Took" }
                th.axis scope="col" {
                    span.hush { "When, after the first receipt" }
                    span.ticks aria-hidden="true" {
                        span { "0" } span { (took(whole / 4)) } span { (took(whole / 2)) } span { (took(whole / 4 * 3)) } span { (took(whole)) }
                    }
                }
            } }
            tbody { @for (node, rail) in trace.nodes.iter().zip(&rails) { (row(trace, node, rail, whole, hop)) } }
        }
    }
}

fn row(trace: &TraceView, node: &TraceNode, rail: &Rail, whole: u64, hop: Id) -> Markup {
    let id = id_of(&node.item);
    let part = match &node.item {
        TraceItem::Message(_) => Part::Payload,
        TraceItem::Delivery(_) => Part::Body,
    };
    let address = format!("{}#payload", link::hop(trace.root.0, id, part));
    let indent = format!("what in{}", node.depth.min(DEEPEST));
    html! {
        tr data-row="" aria-selected=[(id == hop).then_some("true")] {
            th scope="row" class=(indent) data-label="What" {
                (tree(node, rail))
                @match &node.item {
                    TraceItem::Message(message) => { (message_cell(message, &address)) (taken(&node.taken)) },
                    TraceItem::Delivery(delivery) => (delivery_cell(delivery, &node.attempts, &address)),
                }
            }
            td data-label="State" {
                @match &node.item {
                    TraceItem::Message(message) => (outcome_chip(&message.outcome)),
                    TraceItem::Delivery(delivery) => (delivery_chip(delivery.state, delivery.attempts)),
                }
            }
            td.num data-label="Took" {
                @match &node.item {
                    TraceItem::Message(message) => span.muted { (size(u64::from(message.size))) },
                    TraceItem::Delivery(_) => (took(node.to_us.saturating_sub(node.from_us))),
                }
            }
            td.lane data-label="When" { (bar(trace, node, whole)) }
        }
    }
}

fn message_cell(message: &MessageView, address: &str) -> Markup {
    html! {
        a.name href=(address) { (name(&message.kind)) }
        span.sub {
            @if message.cause.is_none() { "from " (message.source) " · " (moment(message.received)) }
            @else { "event made by " (message.source) }
            @if let Some(key) = &message.key { " · " span.mono { (key) } }
        }
        @if message.routes.iter().any(|route| route.outcome != "taken") {
            span.sub {
                @for route in message.routes.iter().filter(|route| route.outcome != "taken") {
                    span.route {
                        (route.flow) @if let Some(to) = &route.destination { " → " (to) } " " (route.outcome)
                        @if let Some(predicate) = &route.predicate { ": " code { (predicate) } }
                    }
                }
            }
        }
    }
}

/// The transactions that an event began or moved on, each with a way to it.
fn taken(all: &[TakenView]) -> Markup {
    html! {
        @if !all.is_empty() {
            span.sub {
                @for one in all {
                    span.route {
                        "taken by " a href={ "/instances/" (one.id) } {
                            (name(&one.process)) @if let Some(key) = &one.key { " " span.mono { (key) } }
                        }
                        " · " (one.stands)
                    }
                }
            }
        }
    }
}

fn delivery_cell(delivery: &DeliveryView, attempts: &[AttemptView], address: &str) -> Markup {
    html! {
        a.name href=(address) { (name(&delivery.destination)) }
        span.sub {
            "by " (delivery.flow) " · " (delivery.lane)
            @if let Some(key) = &delivery.key { " · " span.mono { (key) } }
            @if let Some(status) = &delivery.status { " · answered " span.mono { (status) } }
            @if let Some(repeated) = delivery.replay_of { " · repeats " a.mono href={ "/trace/" (repeated) } { (repeated) } }
        }
        @if delivery.state != DeliveryState::Delivered && !delivery.reason.is_empty() {
            span.sub.why { (delivery.reason) @if let Some(next) = delivery.next { " · next try " (ago(next)) } }
        }
        @if !attempts.is_empty() {
            details.attempts open[delivery.state != DeliveryState::Delivered] {
                summary { (super::words::count(attempts.len() as u64, "failed attempt", "failed attempts")) }
                ol { @for attempt in attempts { (attempt_line(attempt)) } }
            }
        }
    }
}

fn attempt_line(attempt: &AttemptView) -> Markup {
    html! {
        li value=(attempt.number) {
            (moment(attempt.started)) " · "
            @if !attempt.status.is_empty() { span.mono { (attempt.status) } " · " }
            (took(attempt.took_us)) " · " (attempt.error)
        }
    }
}

/// The bar of a node on the common axis: a mark where a message came in; for a delivery its
/// whole span in pale, failed attempts in red, the last one in the colour of its state.
fn bar(trace: &TraceView, node: &TraceNode, whole: u64) -> Markup {
    let from = thousandths(node.from_us, whole);
    let to = thousandths(node.to_us, whole);
    let began = trace.nodes.iter().find_map(|first| match &first.item {
        TraceItem::Message(message) if message.id == trace.root => Some(message.received.0),
        _ => None,
    });
    let place = |start: u64, end: u64| {
        let width = end.saturating_sub(start).max(4);
        (start.min(1_000 - width.min(1_000)), width.min(1_000))
    };
    html! {
        svg.gantt viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @match &node.item {
                TraceItem::Message(_) => {
                    @let (x, width) = place(from, from);
                    rect.tick x=(x) y="2" width=(width) height="12" {}
                }
                TraceItem::Delivery(delivery) => {
                    @let class = delivery_look(delivery.state).class();
                    @let (x, width) = place(from, to);
                    rect class={ "span " (class) } x=(x) y="4" width=(width) height="8" rx="2" {}
                    @if let Some(began) = began {
                        @for attempt in &node.attempts {
                            @let start = u64::try_from(attempt.started.0.saturating_sub(began)).unwrap_or(0);
                            @let (x, width) = place(thousandths(start, whole), thousandths(start + attempt.took_us, whole));
                            rect.try x=(x) y="4" width=(width) height="8" {}
                        }
                    }
                    @if let (true, Some(us)) = (delivery.settled.is_some(), delivery.took_us) {
                        @let (x, width) = place(thousandths(node.to_us.saturating_sub(us), whole), to);
                        rect class={ "last " (class) } x=(x) y="4" width=(width) height="8" {}
                    }
                }
            }
        }
    }
}

/// Which lines of the tree pass a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rail {
    /// For each level above this node: whether that branch goes on below.
    through: Vec<bool>,
    /// The node is the last child of its parent.
    last: bool,
    /// The node has children.
    parent: bool,
}

/// Reads the nodes backwards: a branch goes on below a row when a later row is on it.
fn rails(nodes: &[TraceNode]) -> Vec<Rail> {
    let mut open: Vec<bool> = Vec::new();
    let mut all: Vec<Rail> = nodes
        .iter()
        .rev()
        .map(|node| {
            let depth = node.depth.min(DEEPEST) as usize;
            open.resize(depth + 1, false);
            let rail = Rail {
                through: open[..depth].to_vec(),
                last: !open[depth],
                parent: false,
            };
            open[depth] = true;
            rail
        })
        .collect();
    all.reverse();
    for (at, rail) in all.iter_mut().enumerate() {
        rail.parent = nodes
            .get(at + 1)
            .is_some_and(|next| next.depth > nodes[at].depth);
    }
    all
}

fn tree(node: &TraceNode, rail: &Rail) -> Markup {
    let depth = node.depth.min(DEEPEST);
    let x = |level: u32| level.saturating_sub(1) * STEP + LINE;
    let own = depth * STEP + LINE;
    html! {
        svg.tree width=((depth + 1) * STEP) aria-hidden="true" focusable="false" {
            @for (level, _) in rail.through.iter().enumerate().skip(1).filter(|(_, through)| **through) {
                line x1=(x(level as u32)) x2=(x(level as u32)) y1="0" y2="100%" {}
            }
            @if depth > 0 {
                line x1=(x(depth)) x2=(x(depth)) y1="0" y2=(if rail.last { ELBOW.to_string() } else { "100%".to_owned() }) {}
                line x1=(x(depth)) x2=(own) y1=(ELBOW) y2=(ELBOW) {}
            }
            @if rail.parent { line x1=(own) x2=(own) y1=(ELBOW) y2="100%" {} }
            @match &node.item {
                TraceItem::Message(message) if message.cause.is_none() => rect.node x=(own - 5) y=(ELBOW - 5) width="10" height="10" rx="2" {},
                TraceItem::Message(_) => path.node d={ "M" (own) " " (ELBOW - 6) "l6 6-6 6-6-6z" } {},
                TraceItem::Delivery(delivery) => circle class={ "node " (delivery_look(delivery.state).class()) } cx=(own) cy=(ELBOW) r="5" {},
            }
        }
    }
}

/// What can be done about one delivery.
pub(crate) fn acts(delivery: &DeliveryView) -> Markup {
    let button = |act: &str, word: &str| {
        html! {
            form method="post" action="/plans" {
                input type="hidden" name="delivery" value=(delivery.id);
                button.button.small name="act" value=(act) { (word) }
            }
        }
    };
    let edit = html! { a.button.small href={ "/resubmit/" (delivery.id) } { "Edit & resubmit…" } };
    html! {
        div.acts {
            @match delivery.state {
                DeliveryState::Pending => (button("cancel", "Cancel…")),
                DeliveryState::Retrying => { (button("release", "Try now…")) (button("cancel", "Cancel…")) }
                DeliveryState::Held => {
                    (button("release", "Try now…")) (edit) (button("park", "Park…")) (button("cancel", "Cancel…"))
                }
                DeliveryState::Dead | DeliveryState::Delivered | DeliveryState::Cancelled => { (button("replay", "Replay…")) (edit) }
            }
        }
    }
}

/// Facts about one delivery, under its payload.
pub(crate) fn facts(delivery: &DeliveryView) -> Markup {
    html! {
        dl.facts {
            dt { "Delivery" } dd.mono title="Also the idempotency key of all its attempts" { (delivery.id) }
            dt { "Flow" } dd { (delivery.flow) }
            dt { "Destination" } dd { a href=(link::destination(&delivery.destination)) { (name(&delivery.destination)) } }
            dt { "Key, lane" } dd { span.mono { (rows::key(delivery.key.as_deref())) } " · " (delivery.lane) }
            dt { "Accepted" } dd { (moment(delivery.accepted)) }
            @if let Some(settled) = delivery.settled { dt { "Settled" } dd { (moment(settled)) } }
            @if let Some(code) = &delivery.error_code { dt { "Error" } dd { span.mono { (code) } " " (delivery.error.as_deref().unwrap_or_default()) } }
            @if let Some(fingerprint) = &delivery.fingerprint {
                dt { "Alike" } dd { a.mono href=(link::group(fingerprint, &delivery.destination)) { (fingerprint) } }
            }
            @if let Some(runbook) = &delivery.runbook { dt { "Runbook" } dd { code { (runbook) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_core::{Lane, MessageId, Timestamp};

    fn at(depth: u32) -> TraceNode {
        let message = MessageView {
            id: MessageId::default(),
            received: Timestamp::default(),
            kind: String::new(),
            source: String::new(),
            content_type: String::new(),
            key: None,
            lane: Lane::Normal,
            size: 0,
            outcome: "routed".into(),
            cause: None,
            routes: Vec::new(),
            flagged: false,
            has_payload: false,
        };
        TraceNode {
            depth,
            item: TraceItem::Message(Box::new(message)),
            attempts: Vec::new(),
            taken: Vec::new(),
            from_us: 0,
            to_us: 0,
        }
    }

    /// One character a level: `|` passes, `+` branches here, `` ` `` ends here.
    fn drawn(depths: &[u32]) -> Vec<String> {
        let nodes: Vec<TraceNode> = depths.iter().map(|depth| at(*depth)).collect();
        rails(&nodes)
            .iter()
            .zip(depths)
            .map(|(rail, depth)| {
                let mut line: String = rail
                    .through
                    .iter()
                    .skip(1)
                    .map(|through| if *through { '|' } else { ' ' })
                    .collect();
                if *depth > 0 {
                    line.push(if rail.last { '`' } else { '+' });
                }
                line.push(if rail.parent { 'o' } else { '.' });
                line
            })
            .collect()
    }

    #[test]
    fn branches_go_on_only_where_something_follows() {
        assert_eq!(drawn(&[0]), ["."]);
        assert_eq!(
            drawn(&[0, 1, 2, 2, 1, 2]),
            ["o", "+o", "|+.", "|`.", "`o", " `."]
        );
        assert_eq!(drawn(&[0, 1, 2, 3, 1]), ["o", "+o", "|`o", "| `.", "`."]);
    }
}
