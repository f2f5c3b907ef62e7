//! Compiling: each predicate, key, map and schema of the estate once per kind of input, and
//! every problem at its place in the files.

use super::{EventPlan, FlowPlan, KeyPlan, MapPlan, TargetPlan, ThenPlan, input_of};
use crate::codes;
use crate::dispatch::backoff::Backoff;
use ahash::{AHashMap, AHashSet};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_core::Sensitivity;
use wardline_estate::model::{
    self, ConnectionKind, Estate, Exhausted, Flow, Jitter, MapRef, Operation, OperationKind,
    Source, System, TargetKind, Validate,
};
use wardline_estate::{Diagnostic, FileId, Span, Spanned};
use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, KeyExpression, Otherwise, Predicate, Problem,
    Produces, Program, Schema, Severity, Zone,
};
use wardline_soap::source::Directory;
use wardline_soap::wsdl::Definitions;

pub(super) struct Compiler<'a> {
    estate: &'a Estate,
    codes: Arc<CodeTables>,
    zone: Option<Zone>,
    maps: BTreeMap<(FileId, u8), Option<Arc<Program>>>,
    schemas: AHashMap<String, Option<Arc<Schema>>>,
    descriptions: BTreeMap<PathBuf, Option<Arc<Definitions>>>,
    reported: AHashSet<(Span, &'static str)>,
    pub(super) found: Vec<Diagnostic>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(estate: &'a Estate) -> Self {
        let Environment { codes, zone, .. } = environment(estate);
        Self {
            estate,
            codes,
            zone,
            maps: BTreeMap::new(),
            schemas: AHashMap::new(),
            descriptions: BTreeMap::new(),
            reported: AHashSet::new(),
            found: Vec::new(),
        }
    }

    fn environment(&self, input: Input) -> Environment {
        Environment {
            codes: Arc::clone(&self.codes),
            zone: self.zone.clone(),
            xml: Some(Arc::clone(&self.estate.xml)),
            ..Environment::for_input(input)
        }
    }

    pub(super) fn flow(&mut self, flow: &Flow) -> Option<FlowPlan> {
        let input = match &flow.source {
            Source::Connection(reference) => {
                input_of(&self.estate.connection(&reference.value)?.1.kind).unwrap_or(Input::Json)
            }
            Source::Event(_) | Source::Schedule(_) | Source::Alert(_) | Source::Job(_) => {
                Input::Json
            }
        };
        let from = match &flow.source {
            Source::Connection(reference) => reference.value.clone(),
            Source::Event(events) => {
                format!(
                    "event {}",
                    events
                        .iter()
                        .map(|e| e.value.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }
            Source::Schedule(schedule) => format!(
                "every {} ({})",
                schedule.cron.value, schedule.time_zone.value
            ),
            Source::Job(name) => format!("job {}", name.value),
            Source::Alert(alert) => {
                let kinds: Vec<&str> = alert.kinds.iter().map(|kind| kind.as_str()).collect();
                format!("alert {}", kinds.join(", "))
            }
        };
        let when = flow.when.as_ref().map(|text| self.predicate(text, input));
        let key = self.key(flow.key.as_ref(), input, flow);
        let maps = self.maps(&flow.map, input);
        let output = if flow.map.is_empty() {
            input
        } else {
            output_of(maps.as_deref(), input)
        };
        let schema = match &flow.validate {
            Validate::Entity(name) => Some(self.schema(name)),
            Validate::Nothing => None,
        };
        let enrich = self.maps(&flow.enrich, output);
        let emit = flow.emit.as_ref().map(|event| self.event(&event.value));
        let targets: Vec<Option<TargetPlan>> = flow
            .to
            .iter()
            .map(|target| self.target(target, flow, output))
            .collect();
        Some(FlowPlan {
            name: flow.name.as_str().into(),
            owner: flow.owner.clone().unwrap_or_default(),
            from,
            when: match when {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            when_text: flow.when.as_ref().map(|text| text.value.as_str().into()),
            key: key?,
            maps: maps?,
            schema: match schema {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            enrich: enrich?,
            emit,
            lane: flow.lane,
            targets: targets.into_iter().collect::<Option<_>>()?,
            failed: format!("flow/{}", flow.name).into(),
            hook: None,
            process: None,
        })
    }

    fn target(&mut self, target: &model::Target, flow: &Flow, input: Input) -> Option<TargetPlan> {
        let when = target.when.as_ref().map(|text| self.predicate(text, input));
        let key = self.key(target.key.as_ref(), input, flow);
        let mut refs = target.map.clone();
        if let TargetKind::Call { .. } = &target.kind
            && let Some((_, operation)) = self.estate.operation(&target.kind.reference())
            && let Some(request) = &operation.request
        {
            refs.push(request.clone());
        }
        let maps = self.maps(&refs, input);
        if let TargetKind::Call { .. } = &target.kind
            && let Some((system, operation)) = self.estate.operation(&target.kind.reference())
            && let Some(last) = refs.last().or(flow.map.last())
        {
            self.fits_soap(system, operation, last);
        }
        let then = target.then.as_ref().map(|then| {
            let mut refs = Vec::new();
            if let Some((_, operation)) = self.estate.operation(&target.kind.reference())
                && let Some(response) = &operation.response
            {
                refs.push(response.clone());
            }
            refs.extend(then.map.iter().cloned());
            let connection = self.estate.connection(&target.kind.connection());
            let answer = answer_of(connection.map(|(_, connection)| &connection.kind));
            let maps = self.maps(&refs, answer);
            let schema = match &then.validate {
                Validate::Entity(name) => Some(self.schema(name)),
                Validate::Nothing => None,
            };
            let emit = self.event(&then.emit.value);
            Some(ThenPlan {
                maps: maps?,
                schema: match schema {
                    None => None,
                    Some(compiled) => Some(compiled?),
                },
                emit,
            })
        });
        Some(TargetPlan {
            destination: target.kind.reference().into(),
            when: match when {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            when_text: target.when.as_ref().map(|text| text.value.as_str().into()),
            key: key?,
            maps: maps?,
            lane: target.lane,
            backoff: backoff(&target.retry),
            park: target.on_exhausted == Exhausted::Park,
            runbook: target
                .runbook
                .as_ref()
                .map(|path| path.display().to_string()),
            then: match then {
                None => None,
                Some(compiled) => Some(compiled?),
            },
        })
    }

    pub(super) fn event(&self, name: &str) -> EventPlan {
        let entity = name.split('.').next().unwrap_or(name).replace('_', "-");
        let keys = self
            .estate
            .entities
            .get(&entity)
            .map(|entity| {
                entity
                    .keys
                    .values()
                    .map(|path| path.value.trim_start_matches('.').to_owned())
                    .collect()
            })
            .unwrap_or_default();
        EventPlan {
            name: name.into(),
            keys,
        }
    }

    /// The estate that is compiled.
    pub(super) const fn estate(&self) -> &'a Estate {
        self.estate
    }

    /// A key expression of a file; `None` where it does not compile, which is told.
    pub(super) fn expression(
        &mut self,
        text: &Spanned<String>,
        input: Input,
    ) -> Option<KeyExpression> {
        match KeyExpression::compile(&text.value, &self.environment(input)) {
            Ok(program) => Some(program),
            Err(problems) => {
                self.inline(text, problems);
                None
            }
        }
    }

    pub(super) fn predicate(&mut self, text: &Spanned<String>, input: Input) -> Option<Predicate> {
        match Predicate::compile(&text.value, &self.environment(input)) {
            Ok(predicate) => Some(predicate),
            Err(problems) => {
                self.inline(text, problems);
                None
            }
        }
    }

    fn key(
        &mut self,
        text: Option<&Spanned<String>>,
        input: Input,
        flow: &Flow,
    ) -> Option<KeyPlan> {
        let Some(text) = text else {
            return Some(KeyPlan::Inherit);
        };
        if text.value.trim() == "none" {
            return Some(KeyPlan::Unordered);
        }
        let sensitivity = self.key_sensitivity(&text.value, flow);
        Some(KeyPlan::Expression {
            program: Box::new(self.expression(text, input)?),
            sensitivity,
        })
    }

    /// A key may be shown only where its class is known to allow it: a plain attribute of an
    /// entity has that attribute's class; anything else has the class of the connection, or
    /// the worst class of the entity.
    fn key_sensitivity(&self, expression: &str, flow: &Flow) -> Sensitivity {
        match &flow.source {
            Source::Connection(reference) => self
                .estate
                .connection(&reference.value)
                .map_or(Sensitivity::Phi, |(_, connection)| connection.sensitivity),
            Source::Schedule(_) | Source::Alert(_) => Sensitivity::Internal,
            // Of what class the records of a system are is said by its connection.
            Source::Job(name) => self
                .estate
                .jobs
                .get(&name.value)
                .and_then(|job| {
                    let (system, operation) = self.estate.operation(&job.read.call.value)?;
                    system.connections.get(&operation.connection.value)
                })
                .map_or(Sensitivity::Phi, |connection| connection.sensitivity),
            Source::Event(events) => events
                .iter()
                .map(|event| {
                    let entity = event
                        .value
                        .split('.')
                        .next()
                        .unwrap_or_default()
                        .replace('_', "-");
                    let Some(entity) = self.estate.entities.get(&entity) else {
                        return Sensitivity::Phi;
                    };
                    let worst = entity
                        .sensitivity
                        .values()
                        .copied()
                        .max()
                        .unwrap_or_default();
                    match expression.trim().strip_prefix('.') {
                        Some(path)
                            if path
                                .chars()
                                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) =>
                        {
                            entity.sensitivity.get(path).copied().unwrap_or_default()
                        }
                        _ => worst,
                    }
                })
                .max()
                .unwrap_or(Sensitivity::Phi),
        }
    }

    pub(super) fn maps(&mut self, refs: &[MapRef], input: Input) -> Option<Vec<MapPlan>> {
        let mut input = input;
        let mut out = Vec::with_capacity(refs.len());
        let mut ok = true;
        for map in refs {
            match self.map(map, input) {
                Some(program) => {
                    input = given(&program);
                    out.push(MapPlan {
                        name: map.path.display().to_string().into(),
                        program,
                    });
                }
                None => ok = false,
            }
        }
        ok.then_some(out)
    }

    fn map(&mut self, map: &MapRef, input: Input) -> Option<Arc<Program>> {
        if let Some(known) = self.maps.get(&(map.file, input as u8)) {
            return known.clone();
        }
        let source = self.estate.sources.text(map.file);
        let compiled = match Program::compile(source, &self.environment(input)) {
            Ok(program) => {
                let warnings = program.warnings().to_vec();
                self.in_file(map.file, warnings);
                Some(Arc::new(program))
            }
            Err(problems) => {
                self.in_file(map.file, problems);
                None
            }
        };
        self.maps.insert((map.file, input as u8), compiled.clone());
        compiled
    }

    pub(super) fn schema(&mut self, entity: &str) -> Option<Arc<Schema>> {
        if let Some(known) = self.schemas.get(entity) {
            return known.clone();
        }
        // The loader has compiled it once already to check it, so this fails only where the
        // two disagree, which is worth a word.
        let compiled = self.estate.entities.get(entity).and_then(|entity| {
            match Schema::compile(&entity.schema) {
                Ok(schema) => Some(Arc::new(schema)),
                Err(error) => {
                    self.found.push(
                        Diagnostic::error(codes::INVALID_ENTITY, error.to_string()).at(entity.at),
                    );
                    None
                }
            }
        });
        self.schemas.insert(entity.to_owned(), compiled.clone());
        compiled
    }

    /// The maps that answer requests of SOAP services that are offered. What they make must be in
    /// the message that the description has.
    pub(super) fn soap_answers(&mut self) -> super::SoapAnswers {
        let estate = self.estate;
        let mut all = super::SoapAnswers::default();
        for (_, connection) in estate.connections() {
            let ConnectionKind::SoapIn(soap) = &connection.kind else {
                continue;
            };
            let definitions = self.description(&soap.wsdl.path);
            let mut compiled = BTreeMap::new();
            for (name, map) in &soap.answers {
                let Some(program) = self.map(map, Input::Json) else {
                    continue;
                };
                if let Some(definitions) = &definitions
                    && let Some(operation) = described(definitions, None, None, &name.value)
                    && let Some(output) = &operation.output
                {
                    let outline = output.outline(&definitions.schemas);
                    self.fits(map, &program, &outline, soap.wsdl.at);
                }
                compiled.insert(name.value.clone(), program);
            }
            all.insert(connection.reference.as_str().into(), compiled);
        }
        all
    }

    /// A description of a SOAP service; `None` where it cannot be read, which was told by the check
    /// of the estate.
    fn description(&mut self, path: &Path) -> Option<Arc<Definitions>> {
        if let Some(known) = self.descriptions.get(path) {
            return known.clone();
        }
        let source = Directory::new(&self.estate.root);
        let read = Definitions::read(&source, &path.to_string_lossy());
        let read = read.ok().map(Arc::new);
        self.descriptions.insert(path.to_owned(), read.clone());
        read
    }

    /// What is made for an operation of a SOAP service must be in its message.
    fn fits_soap(&mut self, system: &System, operation: &Operation, map: &MapRef) {
        let connection = system.connections.get(&operation.connection.value);
        let (OperationKind::Soap { operation: name }, Some(ConnectionKind::SoapOut(soap))) =
            (&operation.kind, connection.map(|one| &one.kind))
        else {
            return;
        };
        // By whatever it is fed with: what it makes is what counts.
        let mut inputs = [Input::Json, Input::Hl7, Input::X12, Input::Text].into_iter();
        let Some(program) =
            inputs.find_map(|input| self.maps.get(&(map.file, input as u8))?.clone())
        else {
            return;
        };
        let Some(definitions) = self.description(&soap.wsdl.path) else {
            return;
        };
        let (service, port) = (soap.service.as_ref(), soap.port.as_ref());
        if let Some(described) = described(&definitions, service, port, &name.value) {
            let outline = described.input.outline(&definitions.schemas);
            self.fits(map, &program, &outline, soap.wsdl.at);
        }
    }

    /// Tells what a map makes that a message of a description does not have.
    fn fits(&mut self, map: &MapRef, program: &Program, outline: &Value, described: Span) {
        let strangers = program.strangers(outline);
        let Some(first) = strangers.first() else {
            return;
        };
        if !self.reported.insert((map.at, codes::MAP_MISFIT.0)) {
            return;
        }
        let more = match strangers.len() {
            1 => String::new(),
            more => format!(", and {} more that it does not have", more - 1),
        };
        let known = outline.as_object().into_iter().flat_map(|all| all.keys());
        let known = known.take(20).map(String::as_str).collect::<Vec<_>>();
        self.found.push(
            Diagnostic::error(
                codes::MAP_MISFIT,
                format!("the map makes `{first}`, which the message does not have{more}"),
            )
            .at(map.at)
            .related(described, "described here")
            .help(format!("it has: {}", known.join(", "))),
        );
    }

    /// Maps of operations that no flow uses are compiled all the same, so that a mistake in
    /// them is found before the first use. What is made for a SOAP operation must be in its message.
    pub(super) fn operation_maps(&mut self) {
        let estate = self.estate;
        for system in estate.systems.values() {
            for operation in system.operations.values() {
                let connection = system.connections.get(&operation.connection.value);
                let answer = answer_of(connection.map(|connection| &connection.kind));
                let request = operation.request.iter().map(|map| (map, Input::Json));
                let response = operation.response.iter().map(|map| (map, answer));
                for (map, input) in request.chain(response) {
                    let used = [Input::Json, Input::Hl7, Input::X12, Input::Text]
                        .iter()
                        .any(|i| self.maps.contains_key(&(map.file, *i as u8)));
                    if !used {
                        self.map(map, input);
                    }
                }
                if let Some(request) = &operation.request {
                    self.fits_soap(system, operation, request);
                }
            }
        }
    }

    pub(super) fn inline(&mut self, text: &Spanned<String>, problems: Vec<Problem>) {
        for problem in problems {
            let span = text.inner(problem.start..problem.end, &self.estate.sources);
            self.report(span, problem);
        }
    }

    pub(super) fn in_file(&mut self, file: FileId, problems: Vec<Problem>) {
        for problem in problems {
            self.report(span_in(file, problem.start, problem.end), problem);
        }
    }

    fn report(&mut self, span: Span, problem: Problem) {
        if !self.reported.insert((span, problem.code.0)) {
            return;
        }
        self.found.push(diagnostic_at(span, problem));
    }
}

/// An operation of a description, of the service and port that are named.
fn described<'a>(
    definitions: &'a Definitions,
    service: Option<&Spanned<String>>,
    port: Option<&Spanned<String>>,
    name: &str,
) -> Option<&'a wardline_soap::wsdl::Operation> {
    let services = definitions.services.iter();
    services
        .filter(|one| service.is_none_or(|name| one.name == name.value))
        .flat_map(|one| &one.ports)
        .filter(|one| port.is_none_or(|name| one.name == name.value))
        .find_map(|port| port.operation(name))
}

/// How failed sends are tried again, as declared.
pub(crate) fn backoff(retry: &model::Retry) -> Backoff {
    Backoff {
        first: retry.first,
        factor: retry.factor,
        max: retry.max,
        attempts: retry.attempts,
        max_age: retry.max_age,
        jitter: retry.jitter == Jitter::Full,
        steps: None,
    }
}

/// What a connection answers with.
pub(super) fn answer_of(kind: Option<&ConnectionKind>) -> Input {
    match kind {
        Some(ConnectionKind::MllpConnect(_)) => Input::Hl7,
        _ => Input::Json,
    }
}

/// What every program of an estate may refer to.
pub fn environment(estate: &Estate) -> Environment {
    let mut tables = CodeTables::default();
    for table in estate.codes.values() {
        let otherwise = match &table.otherwise {
            model::Otherwise::Error => Otherwise::Error,
            model::Otherwise::Keep => Otherwise::Keep,
            model::Otherwise::Value(value) => Otherwise::Value(value.as_str().into()),
        };
        let entries = table
            .entries
            .iter()
            .map(|entry| (entry.from.as_str(), entry.to.as_str()));
        tables.insert(
            table.name.as_str(),
            CodeTable::from_pairs(entries).otherwise(otherwise),
        );
    }
    Environment {
        codes: Arc::new(tables),
        // The loader has checked the name.
        zone: Zone::named(&estate.time_zone).ok(),
        xml: Some(Arc::clone(&estate.xml)),
        ..Environment::default()
    }
}

/// A place in a file by byte offsets.
pub(crate) fn span_in(file: FileId, start: usize, end: usize) -> Span {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span::new(file, offset(start), offset(end))
}

/// A mapping problem as a diagnostic of the file that holds the program.
pub fn diagnostic_in(file: FileId, problem: Problem) -> Diagnostic {
    diagnostic_at(span_in(file, problem.start, problem.end), problem)
}

fn diagnostic_at(span: Span, problem: Problem) -> Diagnostic {
    let severity = match problem.severity {
        Severity::Error => wardline_estate::Severity::Error,
        Severity::Warning => wardline_estate::Severity::Warning,
    };
    let mut diagnostic = Diagnostic::new(severity, problem.code, problem.message)
        .at(span)
        .label(problem.label)
        .help_if(problem.help);
    for note in problem.notes {
        diagnostic = diagnostic.with_note(note);
    }
    diagnostic
}

/// What the last of some maps gives, or what went in where there is none.
fn output_of(maps: Option<&[MapPlan]>, input: Input) -> Input {
    match maps.and_then(<[MapPlan]>::last) {
        Some(last) => given(&last.program),
        None => input,
    }
}

/// What a program gives to the next one.
fn given(program: &Program) -> Input {
    match program.produces() {
        Produces::Hl7 => Input::Hl7,
        Produces::X12 => Input::X12,
        Produces::Xml => Input::Text,
        Produces::Data => Input::Json,
    }
}
