//! References between declarations.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Api, ApiOperation, Connection, ConnectionKind, Direction, Operation, OperationKind, Source,
    Target, TargetKind, Validate,
};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use crate::value::{self, BadUrl};
use wardline_core::Code;

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let mut references = References { whole, problems };
    references.systems();
    references.facilities();
    for system in &whole.learned.default_systems {
        references.system(system);
    }
    references.entities();
    references.flows();
    references.processes();
    references.jobs();
    references.apis();
    references.bindings();
    references.routes();
    references.surface();
    references.circles();
    references.clients();
    references.tests();
    references.secrets();
}

pub(super) struct References<'a> {
    pub(super) whole: &'a Whole<'a>,
    pub(super) problems: &'a mut Vec<Diagnostic>,
}

impl References<'_> {
    fn systems(&mut self) {
        let estate = self.whole.estate;
        for system in estate.systems.values() {
            for connection in system
                .connections
                .values()
                .filter(|c| !self.whole.learned.unclear.contains(&c.reference))
            {
                self.failover(connection);
                self.health(connection);
                self.hedge(connection);
                self.duplicates(connection);
            }
            for operation in system.operations.values() {
                for entity in [&operation.accepts, &operation.returns]
                    .into_iter()
                    .flatten()
                {
                    self.entity(&entity.value, entity.at);
                }
                self.cached(operation);
                let name = &operation.connection;
                if name.value.is_empty() {
                    continue;
                }
                match system.connections.get(&name.value) {
                    Some(connection)
                        if !self.whole.learned.unclear.contains(&connection.reference) =>
                    {
                        self.protocol(operation, &connection.kind);
                    }
                    Some(_) => {}
                    None => self.missing(
                        codes::UNKNOWN_CONNECTION,
                        format!(
                            "`{}` has no connection `{}`",
                            system.name,
                            clip(&name.value)
                        ),
                        name.at,
                        did_you_mean(&name.value, system.connections.keys().map(String::as_str)),
                    ),
                }
            }
        }
    }

    fn facilities(&mut self) {
        let known = &self.whole.estate.facilities;
        let all = self
            .whole
            .learned
            .facilities
            .iter()
            .filter(|_| self.whole.complete("estate"));
        for name in all.filter(|name| !known.contains(name)) {
            self.missing(
                codes::UNKNOWN_FACILITY,
                format!("there is no facility `{}`", clip(name)),
                name.at,
                did_you_mean(name, known.iter().map(String::as_str)),
            );
        }
    }

    pub(super) fn system(&mut self, name: &Spanned<String>) {
        let known = &self.whole.estate.systems;
        if self.whole.complete("system") && !known.contains_key(&name.value) {
            self.missing(
                codes::UNKNOWN_SYSTEM,
                format!("there is no system `{}`", clip(name)),
                name.at,
                did_you_mean(name, known.keys().map(String::as_str)),
            );
        }
    }

    /// Where else a connection can be reached is written as its own address is.
    fn failover(&mut self, connection: &Connection) {
        for place in &connection.failover {
            let (code, why) = match &connection.kind {
                ConnectionKind::HttpOut(_)
                | ConnectionKind::SoapOut(_)
                | ConnectionKind::DicomWeb(_)
                | ConnectionKind::As2Out(_)
                | ConnectionKind::FhirOut(_)
                | ConnectionKind::ScimOut(_) => match value::url(place) {
                    Ok(()) => continue,
                    Err(BadUrl::Malformed(why)) => (codes::BAD_URL, why),
                    Err(BadUrl::Password) => (
                        codes::PASSWORD_IN_FILE,
                        "it holds a user or a password".to_owned(),
                    ),
                },
                ConnectionKind::MllpConnect(_) | ConnectionKind::DicomOut(_) => {
                    match value::host_port(place) {
                        Ok(()) => continue,
                        Err(why) => (codes::BAD_ADDRESS, why),
                    }
                }
                ConnectionKind::MllpListen(_)
                | ConnectionKind::HttpIn(_)
                | ConnectionKind::SoapIn(_)
                | ConnectionKind::ScimIn(_)
                | ConnectionKind::FhirIn(_)
                | ConnectionKind::FhirKept(_)
                | ConnectionKind::FilesIn(_)
                | ConnectionKind::FilesOut(_)
                | ConnectionKind::DicomIn(_)
                | ConnectionKind::As2In(_)
                | ConnectionKind::DicomEntries(_)
                | ConnectionKind::BrokerIn(_)
                | ConnectionKind::BrokerOut(_)
                | ConnectionKind::SqlIn(_)
                | ConnectionKind::SqlOut(_)
                | ConnectionKind::SmtpOut(_)
                | ConnectionKind::Null => (
                    codes::WRONG_DIRECTION,
                    "only a connection that goes out has other places to go".to_owned(),
                ),
            };
            self.problems.push(
                Diagnostic::error(code, "this cannot be a place to fail over to")
                    .at(place.at)
                    .label(why),
            );
        }
    }

    fn health(&mut self, connection: &Connection) {
        let http = matches!(connection.kind, ConnectionKind::HttpOut(_));
        if let Some(health) = connection.health.as_ref().filter(|_| !http) {
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_PROTOCOL,
                    "only an HTTP service that is called can be asked whether it is well",
                )
                .at(health.get.at),
            );
        }
    }

    fn hedge(&mut self, connection: &Connection) {
        let http = matches!(connection.kind, ConnectionKind::HttpOut(_));
        if let Some(hedge) = connection.hedge.as_ref().filter(|_| !http) {
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_PROTOCOL,
                    "only an HTTP service that is called can be asked a second time",
                )
                .at(hedge.at),
            );
        }
    }

    /// What has names of its own already needs no rule.
    fn duplicates(&mut self, connection: &Connection) {
        let (named, what, help) = match &connection.kind {
            ConnectionKind::FilesIn(_) => (
                true,
                "records of files are recognised by file and number",
                "remove `duplicate`, and set `remember` of the connection where 90 days do not do",
            ),
            ConnectionKind::DicomIn(_) => (
                true,
                "DICOM objects are recognised by name and content",
                "remove `duplicate`, and set `remember` of the connection where 90 days do not do",
            ),
            ConnectionKind::SqlIn(_) => (
                true,
                "rows of databases are recognised by their key",
                "remove `duplicate`, and set `remember` of the connection where 90 days do not do",
            ),
            ConnectionKind::BrokerIn(taken) => (
                taken.names_messages(),
                "messages of this connection have names that they are recognised by",
                "remove `duplicate`, and set `remember` where 7 days do not do; of AMQP `message_id: false` says that its names do not count",
            ),
            ConnectionKind::ScimIn(_) => (
                true,
                "changes that come by SCIM are told apart by what is kept",
                "remove `duplicate`",
            ),
            ConnectionKind::FhirIn(_) => (
                true,
                "changes that come by FHIR are told apart by what is kept",
                "remove `duplicate`",
            ),
            ConnectionKind::As2In(_) => (
                true,
                "AS2 messages are recognised by their ids",
                "remove `duplicate`, and set `remember` of the connection where 90 days do not do",
            ),
            _ => return,
        };
        let declared = connection.duplicate.as_ref().filter(|_| named);
        if let Some(first) = declared.and_then(|declared| declared.by.first()) {
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_PROTOCOL,
                    format!("{what}; `duplicate` would be a second rule"),
                )
                .at(first.at)
                .help(help),
            );
        }
    }

    fn protocol(&mut self, operation: &Operation, kind: &ConnectionKind) {
        let fits = matches!(
            (&operation.kind, kind),
            (OperationKind::Http { .. }, ConnectionKind::HttpOut(_))
                | (OperationKind::Soap { .. }, ConnectionKind::SoapOut(_))
                | (OperationKind::Sql { .. }, ConnectionKind::SqlOut(_))
                | (OperationKind::Scim { .. }, ConnectionKind::ScimOut(_))
                | (OperationKind::Fhir { .. }, ConnectionKind::FhirOut(_))
                | (OperationKind::Mllp, ConnectionKind::MllpConnect(_))
                | (OperationKind::Null, ConnectionKind::Null)
        );
        if !fits {
            let word = match operation.kind {
                OperationKind::Http { .. } => "http",
                OperationKind::Soap { .. } => "soap",
                OperationKind::Sql { .. } => "sql",
                OperationKind::Scim { .. } => "scim",
                OperationKind::Fhir { .. } => "fhir",
                OperationKind::Mllp => "mllp",
                OperationKind::Null => "null",
            };
            let way = if kind.direction() == Direction::In {
                " and receives"
            } else {
                ""
            };
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_PROTOCOL,
                    format!(
                        "an `{word}` operation cannot use `{}`, which speaks {}{way}",
                        operation.connection.value,
                        kind.word()
                    ),
                )
                .at(operation.connection.at),
            );
        }
    }

    fn entities(&mut self) {
        let estate = self.whole.estate;
        for record in estate
            .entities
            .values()
            .filter_map(|entity| entity.record.as_ref())
        {
            for system in std::iter::once(&record.master).chain(record.attributes.values()) {
                self.system(system);
            }
        }
    }

    fn flows(&mut self) {
        for flow in self.whole.estate.flows.values() {
            match &flow.source {
                Source::Connection(reference) => self.connection(reference, Direction::In),
                Source::Schedule(schedule) => {
                    if let Some(call) = &schedule.call {
                        self.operation(&call.value, call.at);
                    }
                }
                Source::Event(_) | Source::Alert(_) | Source::Job(_) => {}
            }
            self.validated(&flow.validate);
            for target in &flow.to {
                self.target(target);
                if let Some(then) = &target.then {
                    self.validated(&then.validate);
                }
            }
        }
    }

    fn target(&mut self, target: &Target) {
        let reference = target.kind.reference();
        match target.kind {
            TargetKind::Call { .. } => self.operation(&reference, target.at),
            TargetKind::Send { .. } => {
                self.connection(&Spanned::new(reference, target.at), Direction::Out);
            }
        }
    }

    fn validated(&mut self, validate: &Validate) {
        if let Validate::Entity(entity) = validate {
            self.entity(&entity.value, entity.at);
        }
    }

    pub(super) fn entity(&mut self, name: &str, at: Span) {
        let known = &self.whole.estate.entities;
        if self.whole.complete("entity") && value::name(name).is_ok() && !known.contains_key(name) {
            let near = did_you_mean(name, known.keys().map(String::as_str));
            let help =
                near.or_else(|| Some(format!("declare it in `entities/{}.yaml`", clip(name))));
            self.missing(
                codes::UNKNOWN_ENTITY,
                format!("there is no entity `{}`", clip(name)),
                at,
                help,
            );
        }
    }

    pub(super) fn connection(&mut self, reference: &Spanned<String>, wanted: Direction) {
        let estate = self.whole.estate;
        if value::reference(&reference.value).is_err()
            || self.whole.learned.unclear.contains(&reference.value)
        {
            return;
        }
        let Some((_, connection)) = estate.connection(&reference.value) else {
            if self.whole.complete("system") {
                let of_that_kind = estate.connections().map(|(_, connection)| connection);
                let names = of_that_kind
                    .filter(|c| c.kind.direction() == wanted)
                    .map(|c| c.reference.as_str());
                let near = did_you_mean(&reference.value, names);
                let help = near.or_else(|| {
                    let is_operation = estate.operation(&reference.value).is_some();
                    is_operation.then(|| "that is an operation: use `call`".to_owned())
                });
                self.missing(
                    codes::UNKNOWN_CONNECTION,
                    format!("there is no connection `{}`", clip(&reference.value)),
                    reference.at,
                    help,
                );
            }
            return;
        };
        if connection.kind.direction() != wanted {
            let (is, use_it) = match wanted {
                Direction::In => ("sends, so nothing arrives there", "`to: [{ send: … }]`"),
                Direction::Out => ("receives, so nothing can be sent to it", "`from: …`"),
            };
            self.problems.push(
                Diagnostic::error(
                    codes::WRONG_DIRECTION,
                    format!("`{}` {is}", reference.value),
                )
                .at(reference.at)
                .related(connection.at, "declared here")
                .help(format!("it belongs in {use_it}")),
            );
        }
    }

    pub(super) fn operation(&mut self, reference: &str, at: Span) {
        let estate = self.whole.estate;
        let complete = self.whole.complete("system") && self.whole.complete("api");
        let skip = value::reference(reference).is_err() || !complete;
        if skip || estate.operation(reference).is_some() {
            return;
        }
        if let Some((api, operation)) = estate.api_operation(reference) {
            self.through(api, operation, at);
            return;
        }
        let is_connection = estate.connection(reference).is_some();
        let help = is_connection.then(|| "that is a connection: use `send`".to_owned());
        self.no_operation(reference, at, help);
    }

    /// Reports a reference to an operation that neither a system nor an Api has.
    pub(super) fn no_operation(&mut self, reference: &str, at: Span, help: Option<String>) {
        let estate = self.whole.estate;
        let of_systems = estate
            .systems
            .values()
            .flat_map(|system| system.operations.values())
            .map(|operation| operation.reference.as_str());
        let of_apis = estate
            .apis
            .values()
            .flat_map(|api| api.operations.values())
            .map(|operation| operation.reference.as_str());
        let near = did_you_mean(reference, of_systems.chain(of_apis));
        self.problems.push(
            Diagnostic::error(
                codes::UNKNOWN_OPERATION,
                format!("there is no operation `{}`", clip(reference)),
            )
            .at(at)
            .help_if(near.or(help)),
        );
    }

    /// A call through an Api that is not always served by the same system. Where it is, decoding has
    /// put the system's operation in its place.
    fn through(&mut self, api: &Api, operation: &ApiOperation, at: Span) {
        // A binding that cannot serve is one mistake, at the binding.
        if api.only_binding().is_some() {
            return;
        }
        self.problems.push(
            Diagnostic::error(
                codes::UNSUPPORTED,
                format!("calls through the Api `{}` are not supported yet", api.name),
            )
            .at(at)
            .related(operation.at, "declared here")
            .help(
                "call the operation of a system, or bind the Api to one system without a condition",
            ),
        );
    }

    fn secrets(&mut self) {
        let Some(exists) = self.whole.secret_exists else {
            return;
        };
        for secret in &self.whole.learned.secrets {
            if !exists(self.whole.estate, &secret.text) {
                let name = clip(secret.name());
                let variable = name
                    .to_uppercase()
                    .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                let help = format!(
                    "put it into the secrets directory as `{name}`, or into the environment as `WARDLINE_SECRET_{variable}`"
                );
                self.missing(
                    codes::NO_SECRET,
                    format!("this machine has no secret `{name}`"),
                    secret.at,
                    Some(help),
                );
            }
        }
    }

    pub(super) fn missing(&mut self, code: Code, message: String, at: Span, help: Option<String>) {
        self.problems
            .push(Diagnostic::error(code, message).at(at).help_if(help));
    }
}
