//! Paths that could not be served, told with their places when the estate is checked: what
//! [`crate::snapshot`] would refuse at start, by the same functions.

use super::work::{is_later, obstacle};
use crate::error::BAD_TEMPLATE;
use crate::route::{Piece, template};
use crate::snapshot::{LACKING, joined, onward};
use wardline_estate::model::{Api, ApiOperation, Estate, OperationKind, Work};
use wardline_estate::{Diagnostic, Span};

/// Every path of an Api that is served, or that such a path leads to, which cannot be used.
pub(super) fn unusable(estate: &Estate) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for api in estate.apis.values().filter(|api| api.state.is_served()) {
        for operation in api.operations.values() {
            if obstacle(estate, api, operation).is_none() {
                unusable_of(estate, api, operation, &mut found);
            }
        }
    }
    found
}

fn unusable_of(estate: &Estate, api: &Api, operation: &ApiOperation, found: &mut Vec<Diagnostic>) {
    let path = joined(&api.base.value, &operation.path.value);
    let own: Vec<&str> = match template(&path) {
        Ok(pieces) => pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Param(name) => Some(*name),
                Piece::Literal(_) => None,
            })
            .collect(),
        Err(detail) => {
            found.push(bad(&path, detail).at(operation.path.at));
            return;
        }
    };
    if !matches!(operation.work, Work::Bound) || is_later(operation) {
        return;
    }
    let bindings = api.bindings.iter().map(|binding| {
        let named = binding.operations.get(&operation.name);
        let at = named.map_or(binding.system.at, |there| there.at);
        (binding.reference(&operation.name), at)
    });
    let shadow = api.shadow.iter().map(|shadow| {
        let reference = format!(
            "{}.{}",
            shadow.system.value,
            shadow.operation(&operation.name)
        );
        (reference, shadow.system.at)
    });
    let mut seen: Vec<(String, Span)> = Vec::new();
    for (reference, at) in bindings.chain(shadow) {
        if seen.iter().any(|(known, _)| *known == reference) {
            continue;
        }
        let Some((_, served)) = estate.operation(&reference) else {
            continue;
        };
        seen.push((reference, at));
        let OperationKind::Http { path, .. } = &served.kind else {
            continue;
        };
        match onward(&path.value, |name| own.contains(&name)) {
            Ok(_) => {}
            // Without a body the loader has told it: nothing at all fills the parameter.
            Err(LACKING) if operation.accepts.is_none() => {}
            Err(LACKING) => found.push(
                bad(&path.value, LACKING)
                    .at(at)
                    .related(operation.path.at, "the Api's path")
                    .related(path.at, "the system's path")
                    .help("name the parameter in the Api's path: while the caller waits, the body fills no path; with `async: true` it does"),
            ),
            Err(detail) => found.push(bad(&path.value, detail).at(path.at)),
        }
    }
}

fn bad(path: &str, detail: &str) -> Diagnostic {
    Diagnostic::error(
        BAD_TEMPLATE,
        format!("the path `{path}` cannot be used: {detail}"),
    )
}
