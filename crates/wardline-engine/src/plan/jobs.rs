//! Bulk jobs, compiled. What a job refuses is a delivery of a flow of its own, so that views and
//! replays know nothing new.

use super::compile::Compiler;
use super::{FlowPlan, KeyPlan, MapPlan, SourcePlan};
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_core::Lane;
use wardline_estate::model::{self, JobWrite, OperationKind};
use wardline_estate::said;
use wardline_mapping::{Input, Predicate};
use wardline_tabular::Column;

/// Compiled jobs, by name.
pub(crate) type JobPlans = BTreeMap<Arc<str>, Arc<JobPlan>>;

/// A compiled job.
pub(crate) struct JobPlan {
    pub(crate) name: Arc<str>,
    pub(crate) declared: model::Job,
    pub(crate) when: Option<Predicate>,
    pub(crate) maps: Vec<MapPlan>,
    /// Maps of the operation that is called.
    pub(crate) request: Vec<MapPlan>,
    pub(crate) response: Vec<MapPlan>,
    /// `system.connection` that is asked.
    pub(crate) connection: String,
    pub(crate) method: Option<model::Method>,
    pub(crate) path: Option<String>,
    /// Where the records of an answer are, where nothing else is said.
    pub(crate) records_at: Option<&'static str>,
    /// Whether a page without records may have a next one.
    pub(crate) sparse: bool,
    /// Where records go and what of them.
    pub(crate) columns: Arc<[Column]>,
    /// What a run depends on: one that began by something else cannot go on.
    pub(crate) said: String,
    /// The flow under which refused records are told; its number is known when all flows are.
    pub(crate) flow: usize,
}

/// The source name of a job's records.
pub(crate) fn source(job: &str) -> Arc<str> {
    format!("job/{job}").into()
}

impl Compiler<'_> {
    /// One job; `None` where something of it does not compile.
    pub(super) fn job(&mut self, job: &model::Job) -> Option<JobPlan> {
        let estate = self.estate();
        let when = match &job.when {
            None => None,
            Some(text) => Some(self.predicate(text, Input::Json)?),
        };
        let maps = self.maps(&job.map, Input::Json)?;
        let (system, operation) = estate.operation(&job.read.call.value)?;
        let connection = system.connections.get(&operation.connection.value);
        let answer = super::compile::answer_of(connection.map(|connection| &connection.kind));
        let request: Vec<_> = operation.request.iter().cloned().collect();
        let response: Vec<_> = operation.response.iter().cloned().collect();
        let (method, path) = operation.kind.request();
        let columns: Arc<[Column]> = match &job.write {
            JobWrite::File(file) => file.columns.clone().into(),
            JobWrite::Messages => Arc::from([]),
        };
        Some(JobPlan {
            name: job.name.as_str().into(),
            when,
            maps,
            request: self.maps(&request, Input::Json)?,
            response: self.maps(&response, answer)?,
            connection: format!("{}.{}", system.name, operation.connection.value),
            method,
            path,
            records_at: match operation.kind {
                OperationKind::Sql { .. } => Some("rows"),
                OperationKind::Fhir { .. } => Some("resources"),
                _ => None,
            },
            sparse: matches!(operation.kind, OperationKind::Fhir { .. }),
            columns,
            said: said(&(&job.read, &job.write)),
            flow: 0,
            declared: job.clone(),
        })
    }
}

/// The flow of a job.
pub(super) fn flow(job: &JobPlan) -> FlowPlan {
    let name = source(&job.name);
    FlowPlan {
        owner: job.declared.owner.clone().unwrap_or_default(),
        from: format!("job {}", job.name),
        when: None,
        when_text: None,
        key: KeyPlan::Unordered,
        maps: Vec::new(),
        schema: None,
        enrich: Vec::new(),
        emit: None,
        lane: Lane::Bulk,
        targets: Vec::new(),
        failed: format!("flow/{name}").into(),
        hook: None,
        process: None,
        name,
    }
}

/// What is known of the records of a job.
pub(super) fn records() -> SourcePlan {
    SourcePlan {
        input: Input::Json,
        charset: wardline_hl7::CharsetPolicy::default(),
        facility: None,
        duplicate: Vec::new(),
        keys: Vec::new(),
        guides: None,
        acknowledge: None,
        told_of: None,
    }
}
