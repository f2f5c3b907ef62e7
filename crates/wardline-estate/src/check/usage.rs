//! What lies idle, and who answers for what does not.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{ConnectionKind, Direction, JobWrite, Source, StoreUrl, TargetKind};
use crate::source::{FileId, Span};
use std::collections::BTreeSet;
use wardline_core::Code;

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    effects(whole, problems);
    owners(whole, problems);
    if !whole.complete("flow") || !whole.complete("system") {
        return;
    }
    // A misspelt reference is one mistake: what it meant is not also idle.
    let found = |codes: &[Code]| {
        let all = whole.found.iter().chain(problems.iter());
        all.into_iter().any(|problem| codes.contains(&problem.code))
    };
    let references = [
        codes::BAD_REFERENCE,
        codes::UNKNOWN_CONNECTION,
        codes::UNKNOWN_OPERATION,
        codes::NOT_EXACTLY_ONE,
    ];
    let check_connections = !found(&references) && !found(&[codes::UNKNOWN_KEY]);
    let check_maps = !found(&[codes::NO_FILE, codes::OUTSIDE, codes::UNKNOWN_KEY]);
    if check_connections {
        connections(whole, problems);
    }
    if check_maps {
        maps(whole, problems);
    }
}

fn effects(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for flow in whole.estate.flows.values() {
        if flow.emit.is_none() && flow.to.is_empty() {
            problems.push(
                Diagnostic::error(
                    codes::NO_EFFECT,
                    format!("the flow `{}` tells nobody anything", flow.name),
                )
                .at(flow.at)
                .help("add `emit` or `to`"),
            );
        }
    }
}

fn owners(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    let systems = estate
        .systems
        .values()
        .filter(|system| system.owner.is_none())
        .map(|system| ("system", &system.name, system.at));
    let flows = estate
        .flows
        .values()
        .filter(|flow| flow.owner.is_none())
        .map(|flow| ("flow", &flow.name, flow.at));
    let processes = estate
        .processes
        .values()
        .filter(|process| process.owner.is_none())
        .map(|process| ("process", &process.name, process.at));
    let jobs = estate
        .jobs
        .values()
        .filter(|job| job.owner.is_none())
        .map(|job| ("job", &job.name, job.at));
    for (kind, name, at) in systems.chain(flows).chain(processes).chain(jobs) {
        problems.push(
            Diagnostic::warning(
                codes::NO_OWNER,
                format!("nobody answers for the {kind} `{name}`"),
            )
            .at(at)
            .help("add `owner`"),
        );
    }
}

fn connections(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    let mut used: BTreeSet<String> = BTreeSet::new();
    for flow in estate.flows.values() {
        if let Source::Connection(reference) = &flow.source {
            used.insert(reference.value.clone());
        }
        used.extend(
            flow.to
                .iter()
                .filter(|target| matches!(target.kind, TargetKind::Send { .. }))
                .map(|target| target.kind.connection()),
        );
    }
    used.extend(estate.jobs.values().filter_map(|job| match &job.write {
        JobWrite::File(file) => Some(file.connection.value.clone()),
        JobWrite::Messages => None,
    }));
    for (_, connection) in estate.connections() {
        let Some(duties) = &connection.x12 else {
            continue;
        };
        used.extend(duties.by.iter().map(|by| by.value.clone()));
        if duties.answers.is_some() {
            used.insert(connection.reference.clone());
        }
    }
    for system in estate.systems.values() {
        used.extend(
            system
                .operations
                .values()
                .map(|operation| format!("{}.{}", system.name, operation.connection.value)),
        );
    }
    for (_, connection) in estate
        .connections()
        .filter(|(_, connection)| !used.contains(&connection.reference))
    {
        let nameless = crate::value::reference(&connection.reference).is_err();
        // What a service keeps is read, whether a flow hears of it or not.
        let read = matches!(connection.kind, ConnectionKind::FhirIn(_));
        if nameless || read || whole.learned.unclear.contains(&connection.reference) {
            continue;
        }
        let message = match connection.kind.direction() {
            Direction::In => format!(
                "no flow starts at `{}`, so what arrives there is refused",
                connection.reference
            ),
            Direction::Out => format!("no flow and no operation uses `{}`", connection.reference),
        };
        problems.push(Diagnostic::warning(codes::UNUSED_CONNECTION, message).at(connection.at));
    }
}

fn maps(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for (id, file) in whole.estate.sources.files() {
        let is_map = file
            .path
            .extension()
            .is_some_and(|extension| extension == "vrl");
        if is_map && !whole.learned.used_maps.contains(&id) {
            problems.push(
                Diagnostic::warning(
                    codes::UNUSED_MAP,
                    format!("nothing uses `{}`", file.path.display()),
                )
                .at(start_of(id)),
            );
        }
    }
}

fn start_of(file: FileId) -> Span {
    Span::new(file, 0, 0)
}

/// What this release cannot run though the estate says it rightly.
pub(crate) fn unsupported_store(store: &StoreUrl, at: Option<Span>) -> Option<Diagnostic> {
    let StoreUrl::Postgres(_) = store else {
        return None;
    };
    let problem = Diagnostic::error(
        codes::UNSUPPORTED,
        "`store` names PostgreSQL, which is not supported yet",
    )
    .help("use `store: sqlite`, the one store of this release");
    Some(match at {
        Some(at) => problem.at(at),
        None => problem,
    })
}

/// What is wrong with `WARDLINE_STORE`, if anything. Its value may hold a password, so it is
/// never quoted.
pub(crate) fn store_of_environment(text: &str) -> Option<Diagnostic> {
    let (code, what) = match text {
        "sqlite" => return None,
        _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => (
            codes::UNSUPPORTED,
            "names PostgreSQL, which is not supported yet",
        ),
        _ => (codes::BAD_URL, "is set to something that is not a store"),
    };
    Some(Diagnostic::error(code, format!("`WARDLINE_STORE` {what}")).help(
        "set `WARDLINE_STORE=sqlite`, the one store of this release, or unset it to go by `store` in `wardline.yaml`",
    ))
}
