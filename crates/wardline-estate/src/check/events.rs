//! Events: who tells them, who hears them, and whether one leads back to itself.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Api, Client, Flow, Given, Source, Work};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let flows: Vec<&Flow> = whole.estate.flows.values().collect();
    let told: BTreeMap<&str, Span> = flows
        .iter()
        .rev()
        .flat_map(|flow| emitted(flow))
        .chain(whole.estate.apis.values().flat_map(by_api))
        .filter(|event| crate::value::event(event).is_ok())
        .map(|event| (event.value.as_str(), event.at))
        .collect();
    let listened: BTreeSet<&str> = flows
        .iter()
        .flat_map(|flow| heard(flow))
        .chain(whole.estate.clients.values().flat_map(by_client))
        .map(|event| event.value.as_str())
        .collect();

    let in_flows = flows.iter().flat_map(|flow| heard(flow));
    let in_tests = whole.estate.tests.iter().flat_map(|test| {
        let given = match &test.given {
            Given::Event { event, .. } => Some(event),
            Given::Message { .. } => None,
        };
        // An event that only a test tells is heard by nobody, which the test itself will show.
        let given = given.filter(|event| !listened.contains(event.value.as_str()));
        given.into_iter().chain(
            test.expect
                .events
                .iter()
                .flatten()
                .map(|expected| &expected.event),
        )
    });
    let in_clients = whole.estate.clients.values().flat_map(by_client);
    if whole.complete("flow") && whole.complete("api") && whole.complete("client") {
        for event in in_flows
            .chain(in_clients)
            .chain(in_tests)
            .filter(|event| !told.contains_key(event.value.as_str()))
        {
            unknown(event, &told, problems);
        }
        // A misspelt event is one mistake: the right one is not also unheard.
        let misspelt = problems
            .iter()
            .any(|problem| problem.code == codes::UNKNOWN_EVENT);
        for (event, at) in told
            .iter()
            .filter(|(event, _)| !misspelt && !listened.contains(*event))
        {
            problems.push(
                Diagnostic::warning(codes::UNHEARD_EVENT, format!("nobody hears `{event}`"))
                    .at(*at)
                    .help(format!(
                        "start a flow with `from: {{ event: {event} }}`, or leave it for later"
                    )),
            );
        }
    }
    loops(&flows, problems);
}

fn unknown(event: &Spanned<String>, told: &BTreeMap<&str, Span>, problems: &mut Vec<Diagnostic>) {
    if crate::value::event(&event.value).is_err() {
        return;
    }
    problems.push(
        Diagnostic::error(
            codes::UNKNOWN_EVENT,
            format!("nobody emits `{}`", clip(&event.value)),
        )
        .at(event.at)
        .help_if(did_you_mean(&event.value, told.keys().copied())),
    );
}

fn heard(flow: &Flow) -> &[Spanned<String>] {
    match &flow.source {
        Source::Event(events) => events,
        Source::Connection(_) | Source::Schedule(_) => &[],
    }
}

/// What the operations of an Api tell.
fn by_api(api: &Api) -> impl Iterator<Item = &Spanned<String>> {
    api.operations
        .values()
        .filter_map(|operation| match &operation.work {
            Work::Tell { event } => Some(event),
            _ => None,
        })
}

/// What a client is told by its webhooks.
fn by_client(client: &Client) -> impl Iterator<Item = &Spanned<String>> {
    client.webhooks.iter().flat_map(|webhook| &webhook.events)
}

/// What a flow tells: its own event and those it makes of responses.
fn emitted(flow: &Flow) -> impl Iterator<Item = &Spanned<String>> {
    flow.emit.iter().chain(
        flow.to
            .iter()
            .filter_map(|target| target.then.as_ref())
            .map(|then| &then.emit),
    )
}

/// Reports each circle once, at the event that closes it in the order of names.
fn loops(flows: &[&Flow], problems: &mut Vec<Diagnostic>) {
    let mut next: BTreeMap<&str, Vec<&Spanned<String>>> = BTreeMap::new();
    for flow in flows {
        for event in heard(flow) {
            next.entry(&event.value).or_default().extend(emitted(flow));
        }
    }
    let mut done = BTreeSet::new();
    for &start in next.keys() {
        // Depth first without recursion: estates are small, but their number of events is not ours.
        let mut path = vec![(start, 0)];
        while let Some((event, index)) = path.pop() {
            let Some(follower) = next.get(event).and_then(|all| all.get(index)) else {
                done.insert(event);
                continue;
            };
            path.push((event, index + 1));
            let name = follower.value.as_str();
            if let Some(from) = path.iter().position(|(on_path, _)| *on_path == name) {
                let mut circle: Vec<_> = path[from..]
                    .iter()
                    .map(|(event, _)| format!("`{event}`"))
                    .collect();
                circle.push(format!("`{name}`"));
                problems.push(
                    Diagnostic::warning(
                        codes::EVENT_LOOP,
                        format!("`{name}` leads back to itself"),
                    )
                    .at(follower.at)
                    .with_note(circle.join(" → "))
                    .help("make sure that a `when` breaks the circle"),
                );
            } else if !done.contains(name) {
                path.push((name, 0));
            }
        }
    }
}
