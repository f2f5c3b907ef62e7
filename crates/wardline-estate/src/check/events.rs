//! Events: who tells them, who hears them, and whether one leads back to itself.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Api, Client, Estate, Flow, Given, Process, ProcessTest, SceneKind, Source, TestCase, TestKind,
    Work,
};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    let flows: Vec<&Flow> = estate.flows.values().collect();
    let processes = || estate.processes.values();
    let by_processes = through_apis(estate);
    let told: BTreeMap<&str, Span> = flows
        .iter()
        .rev()
        .flat_map(|flow| emitted(flow))
        .chain(processes().flat_map(Process::emits))
        .chain(estate.apis.values().flat_map(by_api))
        .chain(&by_processes)
        .filter(|event| crate::value::event(event).is_ok())
        .map(|event| (event.value.as_str(), event.at))
        .collect();
    let in_processes = || processes().flat_map(|process| process.on.iter().chain(process.awaits()));
    let listened: BTreeSet<&str> = flows
        .iter()
        .flat_map(|flow| heard(flow))
        .chain(estate.clients.values().flat_map(by_client))
        .chain(in_processes())
        .map(|event| event.value.as_str())
        .collect();

    let in_flows = flows.iter().flat_map(|flow| heard(flow));
    let in_clients = estate.clients.values().flat_map(by_client);
    let complete = ["flow", "process", "api", "client"];
    if complete.into_iter().all(|kind| whole.complete(kind)) {
        let in_tests = estate.tests.iter().flat_map(|test| {
            // An event that only a test tells is heard by nobody, which the test itself will show.
            let given = given(test).into_iter();
            let given = given.filter(|event| !listened.contains(event.value.as_str()));
            given.chain(expected(test))
        });
        let unheard_of = |event: &&Spanned<String>| !told.contains_key(event.value.as_str());
        for event in in_flows
            .chain(in_clients)
            .chain(in_tests)
            .filter(unheard_of)
        {
            unknown(event, &told, "", problems);
        }
        for process in processes() {
            for event in process.on.iter().filter(unheard_of) {
                unknown(event, &told, "no instance would ever begin", problems);
            }
            for event in process.awaits().into_iter().filter(unheard_of) {
                unknown(event, &told, "this would wait for ever", problems);
            }
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
                        "start a flow with `from: {{ event: {event} }}` or a process with `on: {event}`, or leave it for later"
                    )),
            );
        }
    }
    loops(estate, problems);
}

fn unknown(
    event: &Spanned<String>,
    told: &BTreeMap<&str, Span>,
    label: &str,
    problems: &mut Vec<Diagnostic>,
) {
    if crate::value::event(&event.value).is_err() {
        return;
    }
    let problem = Diagnostic::error(
        codes::UNKNOWN_EVENT,
        format!("nobody emits `{}`", clip(&event.value)),
    )
    .at(event.at)
    .help_if(did_you_mean(&event.value, told.keys().copied()));
    problems.push(if label.is_empty() {
        problem
    } else {
        problem.label(label)
    });
}

/// What Apis tell processes: what starts them, and what they are told while they run.
fn through_apis(estate: &Estate) -> Vec<Spanned<String>> {
    let operations = estate.apis.values().flat_map(|api| api.operations.values());
    operations
        .flat_map(|operation| match &operation.work {
            Work::Start { process } => {
                let started = estate.processes.get(&process.value);
                let events = started.map_or(&[][..], |process| &process.on).iter();
                events
                    .map(|event| Spanned::new(event.value.clone(), process.at))
                    .collect()
            }
            // A process that is not there is one mistake: what it would hear is not another.
            Work::Signal { process } if estate.processes.contains_key(&process.value) => {
                Vec::from_iter(operation.signal())
            }
            _ => Vec::new(),
        })
        .collect()
}

/// The events that a test tells.
fn given(test: &TestCase) -> Vec<&Spanned<String>> {
    match &test.kind {
        TestKind::Arrival {
            given: Given::Event { event, .. },
            ..
        } => vec![event],
        TestKind::Arrival { .. } | TestKind::Map(_) => Vec::new(),
        TestKind::Process(ProcessTest { script, .. }) => script
            .iter()
            .filter_map(|scene| match &scene.kind {
                SceneKind::Event { event, .. } => Some(event),
                _ => None,
            })
            .collect(),
    }
}

/// The events that a test expects.
fn expected(test: &TestCase) -> Vec<&Spanned<String>> {
    let lists = match &test.kind {
        TestKind::Arrival { expect, .. } => vec![expect.events.as_ref()],
        TestKind::Map(_) => Vec::new(),
        TestKind::Process(ProcessTest { script, .. }) => script
            .iter()
            .map(|scene| match &scene.kind {
                SceneKind::Expect(state) => state.events.as_ref(),
                _ => None,
            })
            .collect(),
    };
    let events = lists.into_iter().flatten().flatten();
    events.map(|expected| &expected.event).collect()
}

fn heard(flow: &Flow) -> &[Spanned<String>] {
    match &flow.source {
        Source::Event(events) => events,
        Source::Connection(_) | Source::Schedule(_) | Source::Alert(_) | Source::Job(_) => &[],
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
fn loops(estate: &Estate, problems: &mut Vec<Diagnostic>) {
    let mut next: BTreeMap<&str, Vec<&Spanned<String>>> = BTreeMap::new();
    for flow in estate.flows.values() {
        for event in heard(flow) {
            next.entry(&event.value).or_default().extend(emitted(flow));
        }
    }
    // A key that starts once cannot go round.
    for process in estate.processes.values().filter(|process| process.again) {
        for event in &process.on {
            next.entry(&event.value)
                .or_default()
                .extend(process.emits());
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
