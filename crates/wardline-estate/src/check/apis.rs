//! Apis: is every promise kept by something, and is nothing open by omission.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Api, ApiCall, ApiOperation, Idempotency, Layer, Method, OperationKind, Work};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use crate::value;
use std::collections::BTreeSet;

impl<'a> References<'a> {
    pub(super) fn apis(&mut self) {
        let estate = self.whole.estate;
        for api in estate.apis.values() {
            self.about(api);
            self.fulfilled(api);
            for operation in api.operations.values() {
                self.bodies(operation);
                self.guarded(operation);
                self.parameters(operation);
                match &operation.work {
                    Work::Bound | Work::Signal { .. } | Work::Status { .. } => {}
                    Work::Start { process } => self.started(operation, process),
                    Work::Tell { event } => self.told(operation, event),
                    Work::Gather { calls, .. } => self.gathered(operation, calls),
                }
            }
        }
    }

    fn about(&mut self, api: &Api) {
        let estate = self.whole.estate;
        if let Some(system) = estate.systems.get(&api.name) {
            self.problems.push(
                Diagnostic::error(
                    codes::DUPLICATE_NAME,
                    format!("an Api and a system are both named `{}`", api.name),
                )
                .at(api.at)
                .related(system.at, "the system")
                .help("rename one of them: `call` could mean either"),
            );
        }
        if api.owner.is_none() {
            let message = format!("nobody answers for the Api `{}`", api.name);
            let problem = if api.state.is_served() {
                Diagnostic::error(codes::NO_OWNER, message)
            } else {
                Diagnostic::warning(codes::NO_OWNER, message)
            };
            self.problems.push(problem.at(api.at).help("add `owner`"));
        }
        if let (Some(since), Some(end)) = (&api.deprecated, &api.sunset)
            && since.value > end.value
        {
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_ORDER,
                    format!("`{}` would end before it is deprecated", api.name),
                )
                .at(end.at)
                .related(since.at, "deprecated only then"),
            );
        }
        if let Some(successor) = &api.successor {
            self.api_name(successor);
        }
        let shown = estate
            .listeners
            .values()
            .any(|listener| api.visible_in(listener.zone));
        if api.state.is_served() && self.whole.complete("estate") && !shown {
            let zones: Vec<_> = api.zones.iter().map(|zone| format!("`{zone}`")).collect();
            self.problems.push(
                Diagnostic::warning(
                    codes::SHOWN_NOWHERE,
                    format!("no listener shows the Api `{}`", api.name),
                )
                .at(api.at)
                .help(format!(
                    "add a listener of zone {} to `wardline.yaml`",
                    zones.join(" or ")
                )),
            );
        }
    }

    /// What fulfils the Api must be what its layer says; which keys may stand there was checked
    /// while decoding.
    fn fulfilled(&mut self, api: &Api) {
        if !api.state.is_served() {
            return;
        }
        if api.layer == Layer::System && api.bindings.is_empty() {
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_LAYER,
                    format!("no system serves the Api `{}`", api.name),
                )
                .at(api.at)
                .help("add `bindings: [{ system: … }]`"),
            );
        }
        for operation in api.operations.values() {
            if let Work::Start { process } | Work::Signal { process } | Work::Status { process } =
                &operation.work
            {
                self.process(process);
            }
        }
    }

    fn bodies(&mut self, operation: &ApiOperation) {
        for entity in [&operation.accepts, &operation.returns]
            .into_iter()
            .flatten()
        {
            self.entity(&entity.value, entity.at);
        }
        let method = operation.method.as_str();
        let problem = match (operation.method, &operation.accepts) {
            (Method::Post | Method::Put | Method::Patch, None) => Diagnostic::error(
                codes::BAD_BODY,
                format!("`{}` does not say what it accepts", operation.name),
            )
            .at(operation.at)
            .help(format!("{method} changes something: add `accepts`")),
            (Method::Get, Some(accepts)) => {
                Diagnostic::error(codes::BAD_BODY, "GET has no body to accept").at(accepts.at)
            }
            _ if operation.list && operation.returns.is_none() => Diagnostic::error(
                codes::BAD_BODY,
                format!("`{}` returns a list of nothing", operation.name),
            )
            .at(operation.at)
            .help("add `returns`"),
            _ if operation.method == Method::Get
                && (operation.asynchronous || operation.idempotent != Idempotency::No) =>
            {
                let key = if operation.asynchronous {
                    "async"
                } else {
                    "idempotent"
                };
                Diagnostic::error(
                    codes::BAD_BODY,
                    format!("`{key}` is for operations that change something"),
                )
                .at(operation.at)
            }
            _ => return,
        };
        self.problems.push(problem);
    }

    /// Nothing is open by omission, and nothing sensitive is open at all.
    fn guarded(&mut self, operation: &ApiOperation) {
        match &operation.scope {
            None if !operation.public => self.problems.push(
                Diagnostic::error(
                    codes::NO_SCOPE,
                    format!("`{}` does not say who may call it", operation.name),
                )
                .at(operation.at)
                .help("add `scope`, or say `public: true`"),
            ),
            Some(scope) if operation.public => self.problems.push(
                Diagnostic::error(
                    codes::NO_SCOPE,
                    format!(
                        "`{}` is public and asks for a scope as well",
                        operation.name
                    ),
                )
                .at(scope.at)
                .help("remove one of the two"),
            ),
            _ => {}
        }
        if !operation.public {
            return;
        }
        for name in [&operation.returns, &operation.accepts]
            .into_iter()
            .flatten()
        {
            let entity = self.whole.estate.entities.get(&name.value);
            let class = entity.and_then(|entity| Some((entity, entity.highest_class()?)));
            if let Some((entity, class)) = class.filter(|(_, class)| !class.may_be_shown()) {
                let attribute = entity
                    .sensitivity
                    .iter()
                    .find(|(_, its)| **its == class)
                    .map_or("", |(path, _)| path.as_str());
                let class = format!("{class:?}").to_lowercase();
                self.problems.push(
                    Diagnostic::error(
                        codes::OPEN_SENSITIVE,
                        format!(
                            "`{}` is open to everybody and carries `{}`",
                            operation.name,
                            clip(attribute)
                        ),
                    )
                    .at(name.at)
                    .label(format!("`{attribute}` is {class}"))
                    .help("ask for a `scope`"),
                );
            }
        }
    }

    fn parameters(&mut self, operation: &ApiOperation) {
        let mut seen = BTreeSet::new();
        for name in operation.parameters() {
            let also_query = operation.query.contains_key(name);
            if !seen.insert(name) || also_query {
                let also = if also_query { " and in the query" } else { "" };
                self.problems.push(
                    Diagnostic::error(
                        codes::BAD_PARAMETER,
                        format!("`{}` occurs twice in the path{also}", clip(name)),
                    )
                    .at(operation.path.at),
                );
            }
        }
    }

    fn told(&mut self, operation: &ApiOperation, event: &Spanned<String>) {
        let Some(accepts) = operation.accepts.as_ref() else {
            return;
        };
        let entity = value::entity_of(&event.value);
        if value::event(&event.value).is_ok() && accepts.value != entity {
            self.problems.push(
                Diagnostic::error(
                    codes::ENTITY_MISMATCH,
                    format!(
                        "`{}` carries `{entity}`, but the operation accepts `{}`",
                        clip(&event.value),
                        clip(&accepts.value)
                    ),
                )
                .at(event.at)
                .related(accepts.at, "accepted here"),
            );
        }
    }

    /// The body becomes the data of an event that starts the process.
    fn started(&mut self, operation: &ApiOperation, process: &Spanned<String>) {
        let started = self.whole.estate.processes.get(&process.value);
        let (Some(started), Some(accepts)) = (started, operation.accepts.as_ref()) else {
            return;
        };
        let fits = |event: &Spanned<String>| {
            value::event(event).is_err() || value::entity_of(event) == accepts.value
        };
        if let Some(first) = started.on.first().filter(|_| !started.on.iter().any(fits)) {
            self.problems.push(
                Diagnostic::error(
                    codes::ENTITY_MISMATCH,
                    format!(
                        "`{}` starts with `{}`, but the operation accepts `{}`",
                        started.name,
                        value::entity_of(first),
                        clip(&accepts.value)
                    ),
                )
                .at(accepts.at)
                .related(first.at, "started by this"),
            );
        }
    }

    fn gathered(&mut self, operation: &ApiOperation, calls: &[ApiCall]) {
        let own: BTreeSet<&str> = operation.parameters().collect();
        for call in calls {
            let Some(called) = self.called(&call.call) else {
                continue;
            };
            let wanted: BTreeSet<&str> = called.parameters().collect();
            for name in &wanted {
                if !call.with.contains_key(*name) && !own.contains(name) {
                    self.problems.push(
                        Diagnostic::error(
                            codes::BAD_PARAMETER,
                            format!("nothing fills `{{{}}}` of `{}`", name, call.call.value),
                        )
                        .at(call.call.at)
                        .related(called.path.at, "asked for here")
                        .help(format!("add `with: {{ {name}: … }}`")),
                    );
                }
            }
            for (name, given) in &call.with {
                let known = wanted.contains(name.as_str())
                    || called.query.contains_key(name)
                    || (name == "body" && called.accepts.is_some());
                if !known {
                    let names = wanted
                        .iter()
                        .copied()
                        .chain(called.query.keys().map(String::as_str));
                    self.problems.push(
                        Diagnostic::error(
                            codes::BAD_PARAMETER,
                            format!("`{}` has no parameter `{}`", call.call.value, clip(name)),
                        )
                        .at(given.at)
                        .related(called.path.at, "declared here")
                        .help_if(did_you_mean(name, names)),
                    );
                }
            }
        }
    }

    /// The operation that a call names, or a report that there is none.
    fn called(&mut self, reference: &Spanned<String>) -> Option<&'a ApiOperation> {
        let estate = self.whole.estate;
        if value::reference(&reference.value).is_err() || !self.whole.complete("api") {
            return None;
        }
        if let Some((_, operation)) = estate.api_operation(&reference.value) {
            return Some(operation);
        }
        let all = estate.apis.values().flat_map(|api| api.operations.values());
        let near = did_you_mean(&reference.value, all.map(|it| it.reference.as_str()));
        let help = near.or_else(|| {
            estate
                .operation(&reference.value)
                .map(|_| "that is an operation of a system: put a system Api before it".to_owned())
        });
        self.missing(
            codes::UNKNOWN_API,
            format!("no Api has an operation `{}`", clip(&reference.value)),
            reference.at,
            help,
        );
        None
    }

    pub(super) fn api_name(&mut self, name: &Spanned<String>) {
        let apis = &self.whole.estate.apis;
        let known = apis.values().any(|api| api.name == name.value);
        if self.whole.complete("api") && !known && value::name(&name.value).is_ok() {
            self.missing(
                codes::UNKNOWN_API,
                format!("there is no Api `{}`", clip(name)),
                name.at,
                did_you_mean(name, apis.values().map(|api| api.name.as_str())),
            );
        }
    }

    /// The paths of a system's operation can only be filled with what the Api is given.
    pub(super) fn fills(&mut self, operation: &ApiOperation, kind: &OperationKind, at: Span) {
        if operation.accepts.is_some() {
            return;
        }
        let own: BTreeSet<&str> = operation.parameters().collect();
        for name in kind.parameters() {
            if !own.contains(name) {
                self.problems.push(
                    Diagnostic::error(
                        codes::BAD_PARAMETER,
                        format!("nothing fills `{{{}}}` of the system's path", clip(name)),
                    )
                    .at(at)
                    .related(operation.path.at, "the Api's path")
                    .help_if(did_you_mean(name, own.iter().copied())),
                );
            }
        }
    }
}
