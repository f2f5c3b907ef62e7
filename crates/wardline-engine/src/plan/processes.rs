//! The estate's processes compiled, where their calls go, and, as flows, how those are sent: so
//! that deliveries of a process are sent, held, replayed and shown like all others.

use super::compile::Compiler;
use super::{DestinationPlan, FlowPlan, KeyPlan, Plan, TargetPlan};
use crate::process::plan::{CallTerms, ProcessPlan, Processes, WayPlan};
use crate::process::{Definition, Found, compile_definition};
use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use wardline_core::Lane;
use wardline_estate::Diagnostic;
use wardline_estate::model::{Estate, Share, Work};
use wardline_mapping::Input;

/// Compiles the processes of an estate. `None` where one does not compile, which the compiler has
/// told.
pub(super) fn compile(compiler: &mut Compiler<'_>, estate: &Estate) -> Option<Processes> {
    let mut processes = Processes::default();
    let mut whole = true;
    for process in estate.processes.values() {
        let definition = Arc::new(Definition::of(estate, process));
        let (plan, found) =
            compile_definition(&definition, &super::environment(estate), &|event| {
                event_plan(estate, event)
            });
        for one in found {
            compiler.report_process(one);
        }
        match plan {
            Some(plan) => processes.add(Arc::new(plan)),
            None => whole = false,
        }
    }
    // Also without any process: instances of definitions that are no longer here call what those
    // named.
    for system in estate.systems.values() {
        for operation in system.operations.values() {
            let way = way(compiler, estate, &operation.reference);
            match way {
                Some(way) => {
                    processes
                        .ways
                        .insert(operation.reference.as_str().into(), vec![way]);
                }
                None => whole = false,
            }
        }
    }
    for api in estate.apis.values() {
        if estate.api(&api.name).is_none_or(|meant| meant.id != api.id) {
            continue;
        }
        for operation in api.operations.values() {
            if !matches!(operation.work, Work::Bound) {
                continue;
            }
            let mut ways = Vec::new();
            for binding in &api.bindings {
                let reference = binding.reference(&operation.name);
                if estate.operation(&reference).is_none() {
                    continue;
                }
                let Some(mut way) = way(compiler, estate, &reference) else {
                    whole = false;
                    continue;
                };
                if let Some(when) = &binding.when {
                    match compiler.predicate(when, Input::Json) {
                        Some(when) => way.when = Some(when),
                        None => whole = false,
                    }
                }
                way.from = binding.from.as_ref().map(|from| from.value);
                way.until = binding.until.as_ref().map(|until| until.value);
                way.share = binding
                    .share
                    .filter(|share| *share < Share::ALL)
                    .map(|share| u32::from(share.0));
                ways.push(way);
            }
            processes
                .ways
                .insert(format!("{}.{}", api.name, operation.name).into(), ways);
        }
    }
    whole.then_some(processes)
}

/// How an operation of a system is asked.
fn way(compiler: &mut Compiler<'_>, estate: &Estate, reference: &str) -> Option<WayPlan> {
    let (system, operation) = estate.operation(reference)?;
    let request: Vec<_> = operation.request.iter().cloned().collect();
    let response: Vec<_> = operation.response.iter().cloned().collect();
    let connection = system.connections.get(&operation.connection.value);
    let answer = super::compile::answer_of(connection.map(|connection| &connection.kind));
    let request = compiler.maps(&request, Input::Json);
    let response = compiler.maps(&response, answer);
    Some(WayPlan {
        destination: reference.into(),
        when: None,
        from: None,
        until: None,
        share: None,
        request: request?,
        response: response?,
    })
}

impl Plan {
    /// Adds definitions that instances still run by. One that no longer compiles is told in the
    /// log; its instances wait until they are moved to another.
    pub(crate) fn remember(&self, definitions: Vec<Arc<Definition>>) {
        let mut past = Vec::new();
        for definition in definitions {
            let name = definition.name();
            if self.processes.definition(&name).is_some() {
                continue;
            }
            let environment = super::environment(&self.estate);
            let (plan, found) = compile_definition(&definition, &environment, &|event| {
                event_plan(&self.estate, event)
            });
            if let Some(plan) = plan {
                past.push(Arc::new(plan));
            } else {
                let why = found.first().map(Found::text).unwrap_or_default();
                tracing::error!(
                    definition = name,
                    why,
                    "instances that run by this definition cannot go on: it no longer compiles"
                );
            }
        }
        self.flows.remember(self.flows_of(&past));
        if !past.is_empty() {
            self.destinations.remember(self.destinations_of_ways());
        }
        self.processes.remember(past);
    }

    /// The definitions that may begin, by name, as the journal must know them.
    pub(crate) fn definitions(&self) -> BTreeMap<String, Arc<Definition>> {
        let current = self.processes.current.values();
        current
            .map(|plan| {
                (
                    plan.definition_name.to_string(),
                    Arc::clone(&plan.definition),
                )
            })
            .collect()
    }

    /// A process as a flow that hears the events it begins with.
    pub(super) fn add_process(&mut self, process: Arc<ProcessPlan>) {
        let index = self.flows.len();
        for event in &process.on {
            self.by_event
                .entry(Arc::clone(event))
                .or_default()
                .push(index);
        }
        self.flows.push(teller(&process));
        for terms in &process.calls {
            for name in self.destinations_of(terms) {
                let known = self.destinations.own();
                add_destination(known, &self.estate, &name, terms.runbook.as_deref());
            }
            self.flows.push(self.flow_of_call(&process, terms));
        }
    }

    /// Flows of definitions that nothing begins by any more, as far as the estate has none of
    /// their names: their instances tell events and call by them, in nobody else's name.
    fn flows_of(&self, past: &[Arc<ProcessPlan>]) -> Vec<FlowPlan> {
        let mut flows: Vec<FlowPlan> = Vec::new();
        for process in past {
            let own = process
                .calls
                .iter()
                .map(|terms| self.flow_of_call(process, terms));
            for flow in iter::once(teller(process)).chain(own) {
                let known = flows.iter().any(|other| other.name == flow.name);
                if !known && self.flow_named(&flow.name).is_none() {
                    flows.push(flow);
                }
            }
        }
        flows
    }

    /// Destinations for all that processes may call.
    pub(super) fn destinations_of_ways(&self) -> BTreeMap<Arc<str>, DestinationPlan> {
        let mut found = BTreeMap::new();
        for way in self.processes.ways.values().flatten() {
            add_destination(&mut found, &self.estate, &way.destination, None);
        }
        found
    }

    /// The flow that a process is, or was.
    pub(crate) fn flow_of_process(&self, process: &str) -> Option<usize> {
        self.flows.iter().position(|flow| {
            flow.process
                .as_ref()
                .is_some_and(|known| *known.name == *process)
        })
    }

    fn destinations_of(&self, terms: &CallTerms) -> Vec<Arc<str>> {
        let ways = self.processes.ways.get(&terms.reference);
        ways.into_iter()
            .flatten()
            .map(|way| Arc::clone(&way.destination))
            .collect()
    }

    fn flow_of_call(&self, process: &ProcessPlan, terms: &CallTerms) -> FlowPlan {
        flow(process, terms, self.destinations_of(terms))
    }
}

/// A process as a flow: in its name its instances tell events.
fn teller(process: &Arc<ProcessPlan>) -> FlowPlan {
    let events: Vec<&str> = process.on.iter().map(|event| &**event).collect();
    FlowPlan {
        name: format!("process/{}", process.name).into(),
        owner: process.owner.as_deref().unwrap_or_default().to_owned(),
        from: format!("event {}", events.join(", ")),
        failed: format!("process/{}", process.name).into(),
        process: Some(Arc::clone(process)),
        ..bare()
    }
}

fn add_destination(
    destinations: &mut BTreeMap<Arc<str>, DestinationPlan>,
    estate: &Estate,
    name: &Arc<str>,
    runbook: Option<&str>,
) {
    let Some((system, operation)) = estate.operation(name) else {
        return;
    };
    let (method, path) = operation.kind.request();
    let plan = destinations
        .entry(Arc::clone(name))
        .or_insert_with(|| DestinationPlan {
            connection: format!("{}.{}", system.name, operation.connection.value).into(),
            method,
            path,
            runbook: None,
        });
    plan.runbook = plan.runbook.take().or_else(|| runbook.map(str::to_owned));
}

fn flow(plan: &ProcessPlan, terms: &CallTerms, destinations: Vec<Arc<str>>) -> FlowPlan {
    let targets = destinations.into_iter().map(|destination| TargetPlan {
        destination,
        when: None,
        when_text: None,
        key: KeyPlan::Inherit,
        maps: Vec::new(),
        lane: terms.lane,
        backoff: terms.backoff,
        park: terms.park,
        runbook: terms.runbook.as_deref().map(str::to_owned),
        then: None,
    });
    FlowPlan {
        name: Arc::clone(&terms.flow),
        owner: plan.owner.as_deref().unwrap_or_default().to_owned(),
        from: format!("process {}", plan.name),
        targets: targets.collect(),
        failed: format!("flow/{}", terms.flow).into(),
        ..bare()
    }
}

/// A flow that does nothing yet.
fn bare() -> FlowPlan {
    FlowPlan {
        name: "".into(),
        owner: String::new(),
        from: String::new(),
        when: None,
        when_text: None,
        key: KeyPlan::Inherit,
        maps: Vec::new(),
        schema: None,
        enrich: Vec::new(),
        emit: None,
        lane: Lane::Normal,
        targets: Vec::new(),
        failed: "".into(),
        hook: None,
        process: None,
    }
}

/// An event with the attributes by which people search.
fn event_plan(estate: &Estate, name: &str) -> super::EventPlan {
    let entity = name.split('.').next().unwrap_or(name).replace('_', "-");
    let keys = estate
        .entities
        .get(&entity)
        .map(|entity| {
            let paths = entity.keys.values();
            paths
                .map(|path| path.value.trim_start_matches('.').to_owned())
                .collect()
        })
        .unwrap_or_default();
    super::EventPlan {
        name: name.into(),
        keys,
    }
}

impl Compiler<'_> {
    fn report_process(&mut self, found: Found) {
        match found {
            Found::Inline(text, problems) => self.inline(&text, problems),
            Found::InMap(map, problems) => self.in_file(map.file, problems),
            Found::Whole(text, code, message, help) => self
                .found
                .push(Diagnostic::error(code, message).at(text.at).help(help)),
        }
    }
}
