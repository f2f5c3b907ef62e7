//! What callers see from outside: paths that are taken already, versions told apart by a header,
//! and bodies that nobody here can read.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Api, ApiOperation, BodyContent, Layer, Lifecycle, OperationKind, Work};
use crate::suggest::clip;
use std::collections::BTreeMap;

/// First segments of paths that Wardline serves itself at every listener that shows Apis.
const OWN: [&str; 2] = ["oauth", ".well-known"];

impl References<'_> {
    pub(super) fn surface(&mut self) {
        let estate = self.whole.estate;
        let apis = estate
            .apis
            .values()
            .filter(|api| api.state != Lifecycle::Retired);
        for api in apis {
            self.own_paths(api);
            for operation in api.operations.values() {
                self.opaque(api, operation);
            }
        }
        self.contracts();
        self.versions_by_header();
    }

    /// Paths that belong to the token endpoint and to what clients discover.
    fn own_paths(&mut self, api: &Api) {
        let first = |path: &str| {
            let first = path.split('/').nth(1).unwrap_or_default().to_owned();
            OWN.into_iter().find(|own| *own == first)
        };
        if let Some(own) = first(&api.base.value) {
            self.reserved(&format!("/{own}"), api.base.at, "paths below it are taken");
            return;
        }
        for operation in api.operations.values() {
            if let Some(own) = first(&api.path(operation)) {
                let taken = "paths below it are taken";
                self.reserved(&format!("/{own}"), operation.path.at, taken);
            }
            // The status of what was accepted (`async`) is below `/-/`.
            if operation.path.value.split('/').nth(1) == Some("-") {
                let taken = "the status of accepted requests is below it";
                self.reserved("/-", operation.path.at, taken);
            }
        }
    }

    fn reserved(&mut self, path: &str, at: crate::source::Span, why: &str) {
        self.problems.push(
            Diagnostic::error(
                codes::RESERVED_PATH,
                format!("`{path}` belongs to Wardline itself"),
            )
            .at(at)
            .label(why.to_owned())
            .help("choose another path"),
        );
    }

    /// Every Api shows its contract at `openapi.json` below its base.
    fn contracts(&mut self) {
        let estate = self.whole.estate;
        let all: Vec<&Api> = estate
            .apis
            .values()
            .filter(|api| api.state != Lifecycle::Retired)
            .collect();
        let meet = |a: &Api, b: &Api| a.zones.iter().any(|zone| b.zones.contains(zone));
        let mut homes: BTreeMap<&str, Vec<&Api>> = BTreeMap::new();
        for api in &all {
            let home = homes.entry(api.base.value.as_str()).or_default();
            let other = home.iter().find(|other| {
                let versions = other.name == api.name
                    && (other.by_header.is_some() || api.by_header.is_some());
                meet(other, api) && !versions
            });
            if let Some(other) = other {
                self.problems.push(
                    Diagnostic::error(
                        codes::ROUTE_CLASH,
                        format!(
                            "`{}` and `{}` both show their contract at {}/openapi.json",
                            other.id,
                            api.id,
                            clip(&api.base)
                        ),
                    )
                    .at(api.base.at)
                    .label("again here")
                    .related(other.base.at, "first here")
                    .help("give each its own `base`"),
                );
            }
            home.push(api);
        }
        for api in &all {
            for operation in api.operations.values() {
                let path = api.path(operation);
                let home = path.strip_suffix("/openapi.json");
                let taken = home
                    .and_then(|base| homes.get(base))
                    .is_some_and(|owners| owners.iter().any(|owner| meet(owner, api)));
                if taken && operation.method == crate::model::Method::Get {
                    self.reserved(
                        "/openapi.json",
                        operation.path.at,
                        "a contract is shown here",
                    );
                }
            }
        }
    }

    /// Versions that share a path agree on the header that tells them apart.
    fn versions_by_header(&mut self) {
        let estate = self.whole.estate;
        let mut names: Vec<&str> = estate.apis.values().map(|api| api.name.as_str()).collect();
        names.dedup();
        for name in names {
            let versions: Vec<&Api> = estate
                .versions(name)
                .into_iter()
                .filter(|api| api.state != Lifecycle::Retired)
                .collect();
            let mut chosen = versions.iter().filter_map(|api| {
                let by = api.by_header.as_ref()?;
                Some((api, by))
            });
            let Some((first, by)) = chosen.next() else {
                continue;
            };
            let mut default = by.default.then_some(by);
            for (api, other) in chosen {
                let same = other.header.value.eq_ignore_ascii_case(&by.header.value);
                if !same {
                    self.disagree(
                        format!("versions of `{name}` are told apart by different headers"),
                        other.header.at,
                        by.header.at,
                    );
                }
                if api.base.value != first.base.value {
                    self.disagree(
                        format!(
                            "versions of `{name}` that a header tells apart have different paths"
                        ),
                        api.base.at,
                        first.base.at,
                    );
                }
                match (other.default, default) {
                    (true, Some(before)) => self.disagree(
                        format!("`{name}` has two versions for requests without the header"),
                        other.header.at,
                        before.header.at,
                    ),
                    (true, None) => default = Some(other),
                    (false, _) => {}
                }
            }
        }
    }

    fn disagree(&mut self, text: String, at: crate::source::Span, first: crate::source::Span) {
        self.problems.push(
            Diagnostic::error(codes::VERSION_HEADER, text)
                .at(at)
                .related(first, "first here"),
        );
    }

    /// A body that is passed on as it is cannot be mapped, masked or looked into.
    fn opaque(&mut self, api: &Api, operation: &ApiOperation) {
        if operation.content != BodyContent::Xml {
            return;
        }
        let refuse = |text: String| {
            Diagnostic::error(codes::OPAQUE_BODY, text)
                .at(operation.at)
                .label("its bodies are XML, which is passed on as it is")
        };
        if api.layer != Layer::System || !matches!(operation.work, Work::Bound) {
            self.problems.push(
                refuse(format!(
                    "`{}` is not served by one system's answer",
                    operation.reference
                ))
                .help("only operations of system Apis can have `content: xml`"),
            );
            return;
        }
        let sensitive = operation.returns.as_ref().and_then(|name| {
            let class = self
                .whole
                .estate
                .entities
                .get(&name.value)?
                .highest_class()?;
            (!class.may_be_shown()).then_some(name)
        });
        if let Some(name) = sensitive {
            self.problems.push(
                refuse(format!(
                    "`{}` has sensitive attributes, and XML cannot be masked",
                    clip(name)
                ))
                .related(name.at, "returned here")
                .help("answer with JSON by a `response` map of the system's operation"),
            );
        }
        for binding in &api.bindings {
            for text in binding.when.iter().chain(&binding.sticky) {
                if text.value.contains(".body") {
                    self.problems.push(
                        refuse("a binding looks into a body that cannot be read".to_owned())
                            .related(text.at, "here")
                            .help("decide by `.headers` or `.params`"),
                    );
                }
            }
            let reference = binding.reference(&operation.name);
            let Some((_, served)) = self.whole.estate.operation(&reference) else {
                continue;
            };
            if let OperationKind::Soap { operation } = &served.kind {
                self.problems.push(
                    refuse(format!("`{reference}` makes its message of JSON"))
                        .related(operation.at, "asked by SOAP")
                        .help("let callers send JSON"),
                );
            }
            let map = served.request.iter().chain(&served.response).next();
            if let (OperationKind::Http { .. }, Some(map)) = (&served.kind, map) {
                self.problems.push(
                    refuse(format!("`{reference}` maps what cannot be read"))
                        .related(map.at, "mapped here")
                        .help("remove the map, or let callers send JSON"),
                );
            }
        }
    }
}
