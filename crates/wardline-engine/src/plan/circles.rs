//! Events must not lead back to themselves. Where a predicate may end the circle, the estate's
//! own check has warned of it; one without can only go round for ever.

use ahash::{AHashMap, AHashSet};
use std::collections::VecDeque;
use wardline_estate::Diagnostic;
use wardline_estate::model::{Estate, Flow, Source};

use crate::codes;

/// Each circle once, at the first of its flows in the order of files, naming all of them.
pub(super) fn find(estate: &Estate) -> Vec<Diagnostic> {
    let mut flows: Vec<&Flow> = estate.flows.values().filter(|flow| goes_on(flow)).collect();
    flows.sort_by_key(|flow| flow.emit.as_ref().map(|emit| emit.at));
    let mut told: AHashSet<&str> = AHashSet::new();
    let mut found = Vec::new();
    for flow in flows {
        if told.contains(flow.name.as_str()) {
            continue;
        }
        if let Some(circle) = shortest(estate, flow) {
            told.extend(circle.iter().map(|flow| flow.name.as_str()));
            found.extend(report(&circle));
        }
    }
    found
}

/// Whether the flow always makes an event of an event.
const fn goes_on(flow: &Flow) -> bool {
    flow.when.is_none() && flow.emit.is_some() && matches!(flow.source, Source::Event(_))
}

fn followers<'a>(estate: &'a Estate, flow: &'a Flow) -> impl Iterator<Item = &'a Flow> {
    flow.emit
        .iter()
        .flat_map(|emit| estate.flows_on(&emit.value))
        .filter(|next| goes_on(next))
}

/// The shortest way from a flow back to itself; every flow on it once, the given one first.
fn shortest<'a>(estate: &'a Estate, start: &'a Flow) -> Option<Vec<&'a Flow>> {
    let mut came_from: AHashMap<&str, &Flow> = AHashMap::new();
    let mut todo = VecDeque::from([start]);
    while let Some(flow) = todo.pop_front() {
        for next in followers(estate, flow) {
            if next.name == start.name {
                let mut circle = vec![flow];
                while let Some(before) = circle
                    .last()
                    .filter(|flow| flow.name != start.name)
                    .and_then(|flow| came_from.get(flow.name.as_str()))
                {
                    circle.push(*before);
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(next.name.as_str()) {
                came_from.insert(&next.name, flow);
                todo.push_back(next);
            }
        }
    }
    None
}

fn report(circle: &[&Flow]) -> Option<Diagnostic> {
    let names: Vec<String> = circle
        .iter()
        .map(|flow| format!("`{}`", flow.name))
        .collect();
    // Each flow's event, and which flow hears it; the last one's is heard by the first.
    let heard_by = names.iter().cycle().skip(1);
    let mut steps = circle
        .iter()
        .filter_map(|flow| flow.emit.as_ref())
        .zip(heard_by);
    let (emit, next) = steps.next()?;
    let problem = match names.as_slice() {
        [before @ .., last] if !before.is_empty() => Diagnostic::error(
            codes::EVENT_CYCLE,
            format!(
                "flows {} and {last} make one another run for ever",
                before.join(", ")
            ),
        )
        .label(format!("flow {next} hears this")),
        _ => Diagnostic::error(
            codes::EVENT_CYCLE,
            format!(
                "flow {next} hears `{}` and makes it happen again",
                emit.value
            ),
        )
        .label("this event is the one the flow begins with"),
    };
    let problem = steps.fold(problem.at(emit.at), |problem, (emit, next)| {
        problem.related(emit.at, format!("flow {next} hears this"))
    });
    Some(problem.help("emit another event, or split this one in two"))
}
