//! Where a request to an Api goes: to one operation only, and never back to where it came from.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Api, ApiCall, ApiOperation, Lifecycle, Work};
use crate::suggest::clip;
use std::collections::{BTreeMap, BTreeSet};

impl References<'_> {
    /// Reports operations of experience Apis that lead back to themselves, once each circle.
    pub(super) fn circles(&mut self) {
        let estate = self.whole.estate;
        let calls = |reference: &str| -> &[ApiCall] {
            match estate.api_operation(reference).map(|(_, it)| &it.work) {
                Some(Work::Gather { calls, .. }) => calls,
                _ => &[],
            }
        };
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let all = estate.apis.values().flat_map(|api| api.operations.values());
        for start in all {
            let mut path = vec![(start.reference.as_str(), 0)];
            while let Some((reference, index)) = path.pop() {
                let Some(call) = calls(reference).get(index) else {
                    done.insert(reference);
                    continue;
                };
                path.push((reference, index + 1));
                let name = call.call.value.as_str();
                if path.iter().any(|(on_path, _)| *on_path == name) {
                    self.problems.push(
                        Diagnostic::error(
                            codes::CALL_LOOP,
                            format!("`{}` leads back to itself", clip(name)),
                        )
                        .at(call.call.at),
                    );
                } else if !done.contains(name) {
                    path.push((name, 0));
                }
            }
        }
    }

    /// Two operations that one request could mean.
    pub(super) fn routes(&mut self) {
        let estate = self.whole.estate;
        let shown: Vec<(&Api, &ApiOperation, String)> = estate
            .apis
            .values()
            .filter(|api| api.state != Lifecycle::Retired)
            .flat_map(|api| api.operations.values().map(move |it| (api, it)))
            .filter(|(_, operation)| operation.path.starts_with('/'))
            .map(|(api, operation)| (api, operation, shape(&api.path(operation))))
            .collect();
        let mut taken: BTreeMap<(&str, &str), Vec<(&Api, &ApiOperation)>> = BTreeMap::new();
        for (api, operation, shape) in &shown {
            let others = taken
                .entry((operation.method.as_str(), shape.as_str()))
                .or_default();
            let clash = others.iter().find(|(other, _)| {
                // A header tells them apart.
                let versions =
                    other.name == api.name && other.by_header.is_some() && api.by_header.is_some();
                !versions && other.zones.iter().any(|zone| api.zones.contains(zone))
            });
            if let Some((_, first)) = clash {
                self.problems.push(
                    Diagnostic::error(
                        codes::ROUTE_CLASH,
                        format!(
                            "`{}` and `{}` are both {} {}",
                            first.reference,
                            operation.reference,
                            operation.method.as_str(),
                            clip(&api.path(operation))
                        ),
                    )
                    .at(operation.path.at)
                    .label("again here")
                    .related(first.path.at, "first here"),
                );
            }
            others.push((api, operation));
        }
    }
}

/// A path without the names of its parameters: what a request is compared with.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        shape.push_str(before);
        shape.push_str("{}");
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    shape + rest
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn names_in_braces_do_not_tell_paths_apart() {
        assert_eq!(shape("/a/{x}/b/{y}"), shape("/a/{u}/b/{v}"));
        assert_ne!(shape("/a/{x}"), shape("/a/x"));
        assert_ne!(shape("/a/{x}.json"), shape("/a/{x}"));
    }
}
