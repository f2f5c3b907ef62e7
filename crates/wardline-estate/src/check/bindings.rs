//! Bindings and shadows: can the systems do what the Api promises, and does every request reach one.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Api, ApiOperation, Binding, Layer, Operation, Shadow, System};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use std::collections::BTreeMap;
use wardline_core::Timestamp;

impl<'a> References<'a> {
    pub(super) fn bindings(&mut self) {
        let estate = self.whole.estate;
        // Another layer has none, and was told so.
        let bound = estate
            .apis
            .values()
            .filter(|api| api.layer == Layer::System);
        for api in bound {
            self.reached(api);
            for binding in &api.bindings {
                self.times(binding);
                self.mapped(api, &binding.operations);
                let Some(system) = self.serving(&binding.system) else {
                    continue;
                };
                for operation in api.operations.values() {
                    let name = binding.operation(&operation.name);
                    let at = binding
                        .operations
                        .get(&operation.name)
                        .map_or(binding.system.at, |there| there.at);
                    match system.operations.get(name) {
                        Some(served) => self.agrees(operation, served, at),
                        None => self.not_served(operation, system, name, at),
                    }
                }
            }
            self.shadow(api);
        }
    }

    /// The system of a name, or a report that there is none.
    fn serving(&mut self, name: &Spanned<String>) -> Option<&'a System> {
        let system = self.whole.estate.systems.get(&name.value);
        if system.is_none() && crate::value::name(&name.value).is_ok() {
            self.system(name);
        }
        system.filter(|_| self.whole.complete("system"))
    }

    /// Whether every binding can be reached, and every request reaches one.
    fn reached(&mut self, api: &Api) {
        let first = api.bindings.iter().position(|it| !it.is_conditional());
        let Some(first) = first else {
            if let Some(last) = api.bindings.last() {
                self.problems.push(
                    Diagnostic::warning(
                        codes::NOT_ALL_SERVED,
                        format!("some requests to `{}` are served by nobody", api.name),
                    )
                    .at(last.at)
                    .label("the last binding has a condition")
                    .help("add a binding without `when`, `share`, `from` and `until` after it"),
                );
            }
            return;
        };
        if let Some(next) = api.bindings.get(first + 1) {
            self.problems.push(
                Diagnostic::error(
                    codes::UNREACHABLE,
                    format!("no request reaches the binding of `{}`", clip(&next.system)),
                )
                .at(next.at)
                .related(api.bindings[first].at, "serves everything")
                .help("put the binding without a condition last"),
            );
        }
    }

    fn times(&mut self, binding: &Binding) {
        let Some(until) = &binding.until else {
            return;
        };
        match &binding.from {
            Some(from) if from.value >= until.value => self.problems.push(
                Diagnostic::error(codes::WRONG_ORDER, "the binding ends before it begins")
                    .at(until.at)
                    .related(from.at, "begins only then"),
            ),
            _ if until.value < Timestamp::now() => self.problems.push(
                Diagnostic::warning(codes::EXPIRED, "the binding is over")
                    .at(until.at)
                    .help("remove it"),
            ),
            _ => {}
        }
    }

    /// Names that a mapping of operations gives must be the Api's.
    fn mapped(&mut self, api: &Api, operations: &BTreeMap<String, Spanned<String>>) {
        for (name, there) in operations {
            if !api.operations.contains_key(name) {
                self.missing(
                    codes::UNKNOWN_OPERATION,
                    format!("`{}` has no operation `{}`", api.name, clip(name)),
                    there.at,
                    did_you_mean(name, api.operations.keys().map(String::as_str)),
                );
            }
        }
    }

    fn not_served(&mut self, operation: &ApiOperation, system: &System, name: &str, at: Span) {
        let near = did_you_mean(name, system.operations.keys().map(String::as_str));
        let help = near.unwrap_or_else(|| {
            format!(
                "add it to `{}`, or name the one that does it: `operations: {{ {}: … }}`",
                system.name, operation.name
            )
        });
        self.problems.push(
            Diagnostic::error(
                codes::NOT_SERVED,
                format!("`{}` has no operation `{}`", system.name, clip(name)),
            )
            .at(at)
            .related(operation.at, "promised here")
            .help(help),
        );
    }

    /// Whether an operation of a system takes and gives what the Api says.
    fn agrees(&mut self, operation: &ApiOperation, served: &Operation, at: Span) {
        self.fills(operation, &served.kind, at);
        let sides = [
            ("accepts", &operation.accepts, &served.accepts),
            ("returns", &operation.returns, &served.returns),
        ];
        for (verb, promised, kept) in sides {
            // What a system returns beyond the promise is not passed on; what it wants beyond the
            // promise would be missing.
            let fits = match (promised, kept) {
                (Some(promised), Some(kept)) => promised.value == kept.value,
                (Some(_), None) => false,
                (None, kept) => kept.is_none() || verb == "returns",
            };
            if fits {
                continue;
            }
            let say = |entity: &Option<Spanned<String>>| {
                entity.as_ref().map_or_else(
                    || format!("{verb} nothing"),
                    |entity| format!("{verb} `{}`", clip(&entity.value)),
                )
            };
            self.problems.push(
                Diagnostic::error(
                    codes::ENTITY_MISMATCH,
                    format!(
                        "`{}` {}, but `{}` {}",
                        operation.reference,
                        say(promised),
                        served.reference,
                        say(kept)
                    ),
                )
                .at(at)
                .related(
                    promised.as_ref().map_or(operation.at, |entity| entity.at),
                    "promised here",
                )
                .related(
                    kept.as_ref().map_or(served.at, |entity| entity.at),
                    "served here",
                ),
            );
        }
    }

    /// An attribute that no answer has would compare as equal for ever.
    fn compared(&mut self, api: &Api, shadow: &Shadow, system: &System) {
        let shadowed = api.operations.values().filter(|operation| {
            system
                .operations
                .contains_key(shadow.operation(&operation.name))
        });
        let names = shadowed.filter_map(|operation| operation.returns.as_ref());
        let entities: Option<Vec<_>> = names
            .map(|name| self.whole.estate.entities.get(&name.value))
            .collect();
        // An entity that cannot be read may have it.
        let Some(entities) = entities.filter(|all| !all.is_empty()) else {
            return;
        };
        let attributes = shadow.compare.iter();
        for attribute in attributes.chain(&shadow.ignore).chain(&shadow.unordered) {
            let mut near = None;
            let absent = entities.iter().all(|entity| {
                let missing = crate::attribute::missing(&entity.schema, &attribute.value);
                missing.is_some_and(|missing| {
                    near = near.take().or(missing.near);
                    true
                })
            });
            if absent {
                self.problems.push(
                    Diagnostic::error(
                        codes::UNKNOWN_ATTRIBUTE,
                        format!("no answer has an attribute `{}`", clip(attribute)),
                    )
                    .at(attribute.at)
                    .help_if(near),
                );
            }
        }
    }

    fn shadow(&mut self, api: &Api) {
        let Some(shadow) = &api.shadow else {
            return;
        };
        self.mapped(api, &shadow.operations);
        let mut bindings = api.bindings.iter();
        if !api.bindings.is_empty() && bindings.all(|it| it.system.value == shadow.system.value) {
            self.problems.push(
                Diagnostic::error(
                    codes::SHADOW_SELF,
                    format!("`{}` would shadow itself", clip(&shadow.system)),
                )
                .at(shadow.system.at)
                .related(api.bindings[0].at, "it serves all requests"),
            );
        }
        let Some(system) = self.serving(&shadow.system) else {
            return;
        };
        self.compared(api, shadow, system);
        let mut any = false;
        for operation in api.operations.values() {
            let name = shadow.operation(&operation.name);
            let named = shadow.operations.get(&operation.name).map(|it| it.at);
            match (system.operations.get(name), named) {
                (Some(served), at) => {
                    any = true;
                    self.agrees(operation, served, at.unwrap_or(shadow.system.at));
                }
                (None, Some(at)) => {
                    any = true;
                    self.not_served(operation, system, name, at);
                }
                (None, None) => {}
            }
        }
        if !any {
            self.problems.push(
                Diagnostic::error(
                    codes::NOT_SERVED,
                    format!("`{}` has none of the operations", system.name),
                )
                .at(shadow.system.at)
                .help("name those that do the same under `operations`"),
            );
        }
    }
}
