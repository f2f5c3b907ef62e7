//! The estate made ready to run: every predicate, key, map and schema compiled, every source
//! and event knowing its flows. Made by [`Plan::compile`], which reports what does not
//! compile as diagnostics with places in the files.

mod circles;
mod compile;
mod hooks;
mod jobs;
mod later;
mod past;
mod processes;
mod x12;

use compile::Compiler;
pub(crate) use compile::{backoff as backoff_of, span_in};
pub use compile::{diagnostic_in, environment};
pub(crate) use jobs::{JobPlan, JobPlans, source as job_source};
use later::LaterPlans;
use past::{Destinations, Flows};
pub(crate) use x12::{HeldGuides, Owed, ToldOf};

use crate::process::plan::{ProcessPlan, Processes};
use crate::webhook::{Audience, HookPlan, Nobody};
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_core::{Lane, Sensitivity};
use wardline_estate::Diagnostics;
use wardline_estate::model::{self, ConnectionKind, Estate, Source, TargetKind};
use wardline_mapping::{Input, KeyExpression, Predicate, Program, Schema};

/// A compiled estate.
pub struct Plan {
    /// The estate it was made from.
    pub estate: Arc<Estate>,
    pub(crate) flows: Flows,
    by_source: AHashMap<Arc<str>, Vec<usize>>,
    by_event: AHashMap<Arc<str>, Vec<usize>>,
    pub(crate) sources: AHashMap<Arc<str>, SourcePlan>,
    pub(crate) destinations: Destinations,
    /// Operations of Apis that are answered before they are carried out. Their flows stand
    /// behind those of the estate.
    pub(crate) later: LaterPlans,
    /// Who may receive events by webhooks.
    pub(crate) audience: Arc<dyn Audience>,
    /// What has to happen over days.
    pub(crate) processes: Processes,
    /// Bulk jobs.
    pub(crate) jobs: JobPlans,
    /// What makes the answers of SOAP services that are offered.
    pub(crate) soap_answers: SoapAnswers,
}

/// Maps that make answers of requests: by connection and operation.
pub(crate) type SoapAnswers = AHashMap<Arc<str>, BTreeMap<String, Arc<Program>>>;

/// What is known about an inbound connection.
pub(crate) struct SourcePlan {
    pub(crate) input: Input,
    /// How the text of its HL7 messages is encoded.
    pub(crate) charset: wardline_hl7::CharsetPolicy,
    pub(crate) facility: Option<Arc<str>>,
    /// Fields by which duplicates are recognised.
    pub(crate) duplicate: Vec<FieldPath>,
    /// Fields by which people search.
    pub(crate) keys: Vec<FieldPath>,
    /// Guides of the estate for what comes, beside those that are shipped.
    pub(crate) guides: Option<HeldGuides>,
    /// The acknowledgement that every interchange gets.
    pub(crate) acknowledge: Option<Owed>,
    /// Of whose interchanges acknowledgements come here.
    pub(crate) told_of: Option<ToldOf>,
}

/// A field of a message: an HL7 path, a header, or a dotted JSON path.
#[derive(Debug, Clone)]
pub(crate) enum FieldPath {
    Hl7(wardline_hl7::Path),
    X12(wardline_edi::x12::Path),
    Header(String),
    Json(String),
}

impl FieldPath {
    fn new(text: &str, input: Input) -> Self {
        if let Some(header) = text.strip_prefix("header:") {
            return Self::Header(header.to_ascii_lowercase());
        }
        if input == Input::X12
            && let Ok(path) = wardline_edi::x12::Path::parse(text)
        {
            return Self::X12(path);
        }
        match (input, wardline_hl7::Path::parse(text)) {
            (Input::Hl7, Ok(path)) => Self::Hl7(path),
            // The loader has checked what it is; without a dot it names a member all the same.
            _ => Self::Json(text.trim_start_matches('.').to_owned()),
        }
    }
}

/// Where deliveries go.
pub(crate) struct DestinationPlan {
    /// `system.connection` whose limits apply.
    pub(crate) connection: Arc<str>,
    pub(crate) method: Option<model::Method>,
    pub(crate) path: Option<String>,
    /// First declared runbook, for listings.
    pub(crate) runbook: Option<String>,
}

/// A compiled flow.
pub(crate) struct FlowPlan {
    pub(crate) name: Arc<str>,
    pub(crate) owner: String,
    pub(crate) from: String,
    pub(crate) when: Option<Predicate>,
    pub(crate) when_text: Option<Arc<str>>,
    pub(crate) key: KeyPlan,
    pub(crate) maps: Vec<MapPlan>,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) enrich: Vec<MapPlan>,
    pub(crate) emit: Option<EventPlan>,
    pub(crate) lane: Lane,
    pub(crate) targets: Vec<TargetPlan>,
    /// Pseudo-destination of deliveries that died before they had one.
    pub(crate) failed: Arc<str>,
    /// Set where it is no flow of the estate but a client's webhook.
    pub(crate) hook: Option<HookPlan>,
    /// Set where it is a process that begins with events.
    pub(crate) process: Option<Arc<ProcessPlan>>,
}

/// An event that a flow emits.
#[derive(Clone)]
pub(crate) struct EventPlan {
    pub(crate) name: Arc<str>,
    /// Entity attributes by which people search: dotted paths.
    pub(crate) keys: Vec<String>,
}

/// How a key is found.
pub(crate) enum KeyPlan {
    /// As the source message has it.
    Inherit,
    /// Declared `none`: no order.
    Unordered,
    /// An expression on the flow's input.
    Expression {
        program: Box<KeyExpression>,
        sensitivity: Sensitivity,
    },
}

/// A compiled map and where it came from.
pub(crate) struct MapPlan {
    pub(crate) name: Arc<str>,
    pub(crate) program: Arc<Program>,
}

/// A compiled destination of a flow.
pub(crate) struct TargetPlan {
    pub(crate) destination: Arc<str>,
    pub(crate) when: Option<Predicate>,
    pub(crate) when_text: Option<Arc<str>>,
    pub(crate) key: KeyPlan,
    pub(crate) maps: Vec<MapPlan>,
    pub(crate) lane: Lane,
    pub(crate) backoff: crate::dispatch::backoff::Backoff,
    pub(crate) park: bool,
    pub(crate) runbook: Option<String>,
    pub(crate) then: Option<ThenPlan>,
}

/// What becomes of an answer.
pub(crate) struct ThenPlan {
    pub(crate) maps: Vec<MapPlan>,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) emit: EventPlan,
}

impl Plan {
    /// Compiles an estate. Problems of any severity are added to `diagnostics`; the plan is
    /// `None` where one is an error.
    pub fn compile(estate: Arc<Estate>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut compiler = Compiler::new(&estate);
        let flows: Vec<FlowPlan> = estate
            .flows
            .values()
            .filter_map(|flow| compiler.flow(flow))
            .collect();
        let hooks: Vec<FlowPlan> = estate
            .clients
            .values()
            .flat_map(|client| client.webhooks.iter().map(move |webhook| (client, webhook)))
            .filter_map(|(client, webhook)| compiler.hook(client, webhook))
            .collect();
        // Numbers of flows: those of the estate, of Apis, of webhooks, of processes and their calls.
        let later = later::compile(&mut compiler, &estate, flows.len());
        let processes = processes::compile(&mut compiler, &estate);
        let jobs: Vec<JobPlan> = estate
            .jobs
            .values()
            .filter_map(|job| compiler.job(job))
            .collect();
        let soap_answers = compiler.soap_answers();
        compiler.operation_maps();
        compiler.found.extend(circles::find(&estate));
        let failed = compiler
            .found
            .iter()
            .any(|d| d.severity == wardline_estate::Severity::Error);
        for diagnostic in compiler.found {
            diagnostics.push(diagnostic);
        }
        diagnostics.sort(&estate.sources);
        if failed || flows.len() != estate.flows.len() {
            return None;
        }
        let mut plan = Self::assemble(estate, flows, later?, (hooks, jobs), processes?);
        plan.soap_answers = soap_answers;
        Some(plan)
    }

    /// Who may receive events by webhooks; nobody where this is not called.
    #[must_use]
    pub fn with_audience(mut self, audience: Arc<dyn Audience>) -> Self {
        self.audience = audience;
        self
    }

    fn assemble(
        estate: Arc<Estate>,
        mut flows: Vec<FlowPlan>,
        (later, of_apis): (LaterPlans, Vec<FlowPlan>),
        (hooks, jobs): (Vec<FlowPlan>, Vec<JobPlan>),
        processes: Processes,
    ) -> Self {
        let mut by_source: AHashMap<Arc<str>, Vec<usize>> = AHashMap::new();
        let mut by_event: AHashMap<Arc<str>, Vec<usize>> = AHashMap::new();
        for (index, flow) in estate.flows.values().enumerate() {
            match &flow.source {
                Source::Connection(reference) => {
                    by_source
                        .entry(reference.value.as_str().into())
                        .or_default()
                        .push(index);
                }
                Source::Event(events) => {
                    for event in events {
                        by_event
                            .entry(event.value.as_str().into())
                            .or_default()
                            .push(index);
                    }
                }
                Source::Schedule(_) => by_source
                    .entry(schedule_source(&flow.name))
                    .or_default()
                    .push(index),
                Source::Job(name) => by_source
                    .entry(job_source(&name.value))
                    .or_default()
                    .push(index),
                Source::Alert(_) => by_source
                    .entry(alert_source(&flow.name))
                    .or_default()
                    .push(index),
            }
        }
        // After those of Apis, see below.
        let first = flows.len() + of_apis.len() + x12::count(&estate);
        for (index, hook) in hooks.iter().enumerate() {
            for event in hook.hook.iter().flat_map(|hook| hook.events.keys()) {
                let all: &mut Vec<usize> = by_event.entry(Arc::clone(event)).or_default();
                all.push(first + index);
            }
        }
        let mut sources = AHashMap::new();
        for (system, connection) in estate.connections() {
            let Some(input) = input_of(&connection.kind) else {
                continue;
            };
            let facility = connection
                .facility
                .as_deref()
                .or(system.facility.as_deref())
                .map(Arc::from);
            sources.insert(
                Arc::from(connection.reference.as_str()),
                SourcePlan {
                    input,
                    charset: charset_of(&connection.kind),
                    facility,
                    duplicate: connection
                        .duplicate
                        .iter()
                        .flat_map(|d| &d.by)
                        .map(|path| FieldPath::new(&path.value, input))
                        .collect(),
                    keys: connection
                        .keys
                        .iter()
                        .map(|key| FieldPath::new(&key.path.value, input))
                        .collect(),
                    guides: x12::guides(connection),
                    acknowledge: None,
                    told_of: None,
                },
            );
        }
        for flow in estate.flows.values() {
            let own = match flow.source {
                Source::Schedule(_) => Some(schedule_source(&flow.name)),
                Source::Alert(_) => Some(alert_source(&flow.name)),
                Source::Connection(_) | Source::Event(_) | Source::Job(_) => None,
            };
            if let Some(own) = own {
                sources.insert(
                    own,
                    SourcePlan {
                        input: Input::Json,
                        charset: wardline_hl7::CharsetPolicy::default(),
                        facility: None,
                        duplicate: Vec::new(),
                        keys: Vec::new(),
                        guides: None,
                        acknowledge: None,
                        told_of: None,
                    },
                );
            }
        }
        let mut destinations = BTreeMap::new();
        for flow in estate.flows.values() {
            for target in &flow.to {
                let reference: Arc<str> = target.kind.reference().into();
                let runbook = target
                    .runbook
                    .as_ref()
                    .map(|path| path.display().to_string());
                let (method, path) = match &target.kind {
                    TargetKind::Call { .. } => match estate
                        .operation(&reference)
                        .map(|(_, operation)| &operation.kind)
                    {
                        Some(kind) => kind.request(),
                        None => (None, None),
                    },
                    TargetKind::Send { .. } => (None, None),
                };
                let plan = destinations
                    .entry(reference)
                    .or_insert_with(|| DestinationPlan {
                        connection: target.kind.connection().into(),
                        method,
                        path,
                        runbook: None,
                    });
                plan.runbook = plan.runbook.take().or(runbook);
            }
        }
        for target in of_apis.iter().flat_map(|flow| &flow.targets) {
            let Some((system, operation)) = estate.operation(&target.destination) else {
                continue;
            };
            let (method, path) = operation.kind.request();
            let plan = destinations
                .entry(Arc::clone(&target.destination))
                .or_insert_with(|| DestinationPlan {
                    connection: format!("{}.{}", system.name, operation.connection.value).into(),
                    method,
                    path,
                    runbook: None,
                });
            plan.runbook = plan.runbook.take().or_else(|| target.runbook.clone());
        }
        flows.extend(of_apis);
        for duty in x12::duties(&estate) {
            duty.enter(flows.len(), &mut sources, &mut destinations);
            flows.push(duty.flow);
        }
        for hook in hooks {
            destinations.extend(hooks::destination(&hook));
            flows.push(hook);
        }
        let mut known = JobPlans::new();
        for mut job in jobs {
            job.flow = flows.len();
            flows.push(jobs::flow(&job));
            sources.insert(job_source(&job.name), jobs::records());
            known.insert(Arc::clone(&job.name), Arc::new(job));
        }
        let mut plan = Self {
            estate,
            jobs: known,
            flows: Flows::new(flows),
            by_source,
            by_event,
            sources,
            destinations: Destinations::new(destinations),
            later,
            audience: Arc::new(Nobody),
            processes,
            soap_answers: SoapAnswers::default(),
        };
        let current: Vec<_> = plan.processes.current.values().cloned().collect();
        for process in current {
            plan.add_process(process);
        }
        // Instances of definitions that are no longer here call what those named.
        if !plan.processes.is_empty() {
            let ways = plan.destinations_of_ways();
            let known = plan.destinations.own();
            for (name, destination) in ways {
                known.entry(name).or_insert(destination);
            }
        }
        plan
    }

    pub(crate) fn flows_of_source(&self, source: &str) -> &[usize] {
        self.by_source.get(source).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn flows_of_event(&self, event: &str) -> &[usize] {
        self.by_event.get(event).map_or(&[], Vec::as_slice)
    }

    /// How the HL7 text of a source is encoded; events and answers say it themselves.
    pub(crate) fn charset(&self, source: &str) -> wardline_hl7::CharsetPolicy {
        self.sources
            .get(source)
            .map_or_else(wardline_hl7::CharsetPolicy::default, |source| {
                source.charset
            })
    }

    pub(crate) fn flow_named(&self, name: &str) -> Option<&FlowPlan> {
        self.flows.iter().find(|flow| &*flow.name == name)
    }
}

/// The source name of a flow that hears what is wrong with systems.
pub(crate) fn alert_source(flow: &str) -> Arc<str> {
    format!("alert/{flow}").into()
}

/// The source name of a scheduled flow.
pub(crate) fn schedule_source(flow: &str) -> Arc<str> {
    format!("schedule/{flow}").into()
}

/// The character set that a connection was told to expect.
fn charset_of(kind: &ConnectionKind) -> wardline_hl7::CharsetPolicy {
    match kind {
        ConnectionKind::MllpListen(listen) => match &listen.charset {
            model::Charset::Auto => wardline_hl7::CharsetPolicy::Auto,
            model::Charset::Fixed(name) => wardline_hl7::Charset::named(name).map_or_else(
                wardline_hl7::CharsetPolicy::default,
                wardline_hl7::CharsetPolicy::Fixed,
            ),
        },
        _ => wardline_hl7::CharsetPolicy::default(),
    }
}

/// What an inbound connection brings; `None` for outbound ones.
pub(crate) fn input_of(kind: &ConnectionKind) -> Option<Input> {
    match kind {
        ConnectionKind::MllpListen(_) => Some(Input::Hl7),
        ConnectionKind::HttpIn(http) => Some(match http.content {
            model::HttpContent::Json => Input::Json,
            model::HttpContent::X12 => Input::X12,
        }),
        ConnectionKind::SoapIn(soap) => Some(if soap.hl7.is_some() {
            Input::Hl7
        } else {
            Input::Json
        }),
        ConnectionKind::FilesIn(files) => Some(match (files.records, files.content) {
            (true, _) | (false, model::FileContent::Json) => Input::Json,
            (false, model::FileContent::Hl7) => Input::Hl7,
            (false, model::FileContent::X12) => Input::X12,
            (false, _) => Input::Text,
        }),
        ConnectionKind::BrokerIn(taken) => Some(match taken.content {
            model::BrokerContent::CloudEvents
            | model::BrokerContent::As(model::FileContent::Json) => Input::Json,
            model::BrokerContent::As(model::FileContent::Hl7) => Input::Hl7,
            model::BrokerContent::As(_) => Input::Text,
        }),
        ConnectionKind::DicomIn(_)
        | ConnectionKind::FhirIn(_)
        | ConnectionKind::ScimIn(_)
        | ConnectionKind::SqlIn(_) => Some(Input::Json),
        ConnectionKind::As2In(as2) => Some(match as2.content {
            model::As2Content::X12 => Input::X12,
            model::As2Content::Json => Input::Json,
            model::As2Content::Text => Input::Text,
        }),
        ConnectionKind::MllpConnect(_)
        | ConnectionKind::SqlOut(_)
        | ConnectionKind::SmtpOut(_)
        | ConnectionKind::ScimOut(_)
        | ConnectionKind::HttpOut(_)
        | ConnectionKind::SoapOut(_)
        | ConnectionKind::FhirOut(_)
        | ConnectionKind::FhirKept(_)
        | ConnectionKind::FilesOut(_)
        | ConnectionKind::DicomOut(_)
        | ConnectionKind::As2Out(_)
        | ConnectionKind::DicomWeb(_)
        | ConnectionKind::DicomEntries(_)
        | ConnectionKind::BrokerOut(_)
        | ConnectionKind::Null => None,
    }
}
