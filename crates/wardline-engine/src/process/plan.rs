//! A definition made ready to run.

use super::definition::Definition;
use super::figure::FigurePlan;
use super::reconcile::ReconciliationPlan;
use crate::plan::{EventPlan, MapPlan};
use ahash::AHashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wardline_core::{Lane, Sensitivity};
use wardline_mapping::{Expression, KeyExpression, Predicate, Schema, Template, Value};

/// A process as it runs.
pub(crate) struct ProcessPlan {
    pub(crate) name: Arc<str>,
    /// The name of its definition.
    pub(crate) definition_name: Arc<str>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) owner: Option<Arc<str>>,
    /// The events that start it.
    pub(crate) on: Vec<Arc<str>>,
    pub(crate) start_as: Arc<str>,
    pub(crate) when: Option<Predicate>,
    pub(crate) key: KeyExpression,
    pub(crate) key_class: Sensitivity,
    pub(crate) again: bool,
    pub(crate) keep_events: Duration,
    pub(crate) show: Vec<(Arc<str>, Expression)>,
    pub(crate) facility: Option<Expression>,
    /// Whether the calls of an instance are in a hurry now.
    pub(crate) urgent: Option<Expression>,
    pub(crate) reconciliation: Option<ReconciliationPlan>,
    pub(crate) figures: Vec<FigurePlan>,
    pub(crate) runbook: Option<Arc<str>>,
    pub(crate) deadline: Option<DeadlinePlan>,
    pub(crate) steps: Vec<StepPlan>,
    /// How its waits find their events.
    pub(crate) correlators: Vec<Arc<Correlator>>,
    /// What of its calls was declared, by the name under which their deliveries are counted.
    pub(crate) calls: Vec<CallTerms>,
}

impl ProcessPlan {
    /// The name of mail that starts it.
    pub(crate) fn start_name(process: &str) -> String {
        format!("start/{process}")
    }
}

/// What happens when an instance is not done in time.
pub(crate) struct DeadlinePlan {
    pub(crate) by: Duration,
    pub(crate) end: bool,
    pub(crate) steps: Vec<StepPlan>,
}

/// By what an event finds those that wait for it.
pub(crate) struct Correlator {
    /// Its name in the journal: one for each process, event and expression.
    pub(crate) name: Arc<str>,
    pub(crate) event: Arc<str>,
    pub(crate) expression: KeyExpression,
    pub(crate) keep: Duration,
}

/// What was declared about the deliveries of a call.
pub(crate) struct CallTerms {
    /// `procure-to-pay/publish`: stands where a flow's name stands.
    pub(crate) flow: Arc<str>,
    pub(crate) reference: Arc<str>,
    pub(crate) lane: Lane,
    pub(crate) backoff: crate::dispatch::backoff::Backoff,
    pub(crate) park: bool,
    pub(crate) runbook: Option<Arc<str>>,
}

/// A step.
pub(crate) struct StepPlan {
    pub(crate) name: Arc<str>,
    /// With the names of the steps around it: `receive/await`.
    pub(crate) path: Arc<str>,
    pub(crate) when: Option<Predicate>,
    pub(crate) status: Option<Arc<str>>,
    pub(crate) save: Option<Arc<str>>,
    pub(crate) undo: Option<UndoPlan>,
    pub(crate) kind: KindPlan,
}

/// What a step does.
pub(crate) enum KindPlan {
    Call(Box<CallPlan>),
    Emit {
        event: EventPlan,
        schema: Option<Arc<Schema>>,
        data: DataPlan,
    },
    Wait(Box<WaitPlan>),
    Sleep(UntilPlan),
    Task(Box<TaskPlan>),
    Choose {
        branches: Vec<(Predicate, Vec<StepPlan>)>,
        otherwise: Option<Vec<StepPlan>>,
    },
    Parallel(Vec<(Arc<str>, Vec<StepPlan>)>),
    Each {
        of: Expression,
        as_name: Arc<str>,
        at_once: usize,
        steps: Vec<StepPlan>,
    },
    Repeat {
        until: Predicate,
        most: u32,
        steps: Vec<StepPlan>,
    },
    Set(Vec<(Arc<str>, DataPlan)>),
    Map(Vec<MapPlan>),
    Group(Vec<StepPlan>),
    Status,
    Undo,
    Fail {
        reason: Template,
        undo: bool,
    },
    End,
}

/// A call.
pub(crate) struct CallPlan {
    pub(crate) reference: Arc<str>,
    /// Under which its deliveries are counted.
    pub(crate) flow: Arc<str>,
    pub(crate) with: DataPlan,
    pub(crate) expect: Option<Predicate>,
    pub(crate) lane: Lane,
    pub(crate) on_failure: Option<Vec<StepPlan>>,
}

/// How a step is undone.
pub(crate) struct UndoPlan {
    pub(crate) reference: Arc<str>,
    pub(crate) flow: Arc<str>,
    pub(crate) with: DataPlan,
    pub(crate) lane: Lane,
}

/// A wait for events.
pub(crate) struct WaitPlan {
    pub(crate) events: Vec<WaitEvent>,
    pub(crate) all: bool,
    /// The whole predicate, over the event with the instance in it.
    pub(crate) matching: Predicate,
    /// Whether the predicate looks at the instance's variables.
    pub(crate) looks_at_vars: bool,
    pub(crate) until: Option<UntilPlan>,
    pub(crate) otherwise: Option<Vec<StepPlan>>,
}

/// One of the events of a wait.
pub(crate) struct WaitEvent {
    pub(crate) event: Arc<str>,
    pub(crate) correlator: Arc<Correlator>,
    /// The waiting side.
    pub(crate) value: KeyExpression,
}

/// A time.
pub(crate) enum UntilPlan {
    For(Duration),
    At(Box<Expression>),
}

/// A question.
pub(crate) struct TaskPlan {
    pub(crate) role: Template,
    pub(crate) ask: Template,
    pub(crate) choices: Vec<Arc<str>>,
    pub(crate) form: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) due: Option<UntilPlan>,
    pub(crate) escalate: Option<(Duration, Arc<str>)>,
    pub(crate) show: Vec<(Arc<str>, Expression)>,
    pub(crate) accept: Option<Predicate>,
    pub(crate) runbook: Option<Arc<str>>,
}

/// A value that is made when it is needed.
pub(crate) enum DataPlan {
    Expression(Box<Expression>),
    Constant(Value),
    Object(Vec<(Arc<str>, DataPlan)>),
    Array(Vec<DataPlan>),
    Mapped(Box<DataPlan>, Vec<MapPlan>),
}

/// All processes of a plan: those that may begin, and those that instances still run by.
#[derive(Default)]
pub(crate) struct Processes {
    /// What begins, by process.
    pub(crate) current: AHashMap<Arc<str>, Arc<ProcessPlan>>,
    /// Where calls go, by reference.
    pub(crate) ways: AHashMap<Arc<str>, Vec<WayPlan>>,
    known: Known,
    /// What instances run by that no longer begins; known once the journal has been asked.
    past: OnceLock<Known>,
}

/// Definitions, and how events find those that wait.
#[derive(Default)]
struct Known {
    /// By the definition's name.
    all: AHashMap<Arc<str>, Arc<ProcessPlan>>,
    /// By event.
    correlators: AHashMap<Arc<str>, Vec<Arc<Correlator>>>,
}

impl Known {
    fn add(&mut self, plan: Arc<ProcessPlan>) {
        for correlator in &plan.correlators {
            let known = self
                .correlators
                .entry(Arc::clone(&correlator.event))
                .or_default();
            if !known.iter().any(|other| other.name == correlator.name) {
                known.push(Arc::clone(correlator));
            }
        }
        self.all.insert(Arc::clone(&plan.definition_name), plan);
    }
}

impl Processes {
    /// Adds a process that may begin.
    pub(crate) fn add(&mut self, plan: Arc<ProcessPlan>) {
        self.current
            .insert(Arc::clone(&plan.name), Arc::clone(&plan));
        self.known.add(plan);
    }

    /// Whether there is nothing that could begin.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// Adds what instances still run by. Only the first call counts.
    pub(crate) fn remember(&self, plans: Vec<Arc<ProcessPlan>>) {
        let mut past = Known::default();
        for plan in plans {
            past.add(plan);
        }
        // A plan is made ready once.
        drop(self.past.set(past));
    }

    /// A definition by its name.
    pub(crate) fn definition(&self, name: &str) -> Option<&Arc<ProcessPlan>> {
        let past = || self.past.get()?.all.get(name);
        self.known.all.get(name).or_else(past)
    }

    /// How an event finds those that wait for it.
    pub(crate) fn correlators(&self, event: &str) -> impl Iterator<Item = &Arc<Correlator>> {
        let current = self
            .known
            .correlators
            .get(event)
            .map_or(&[][..], Vec::as_slice);
        let past = self
            .past
            .get()
            .and_then(|past| past.correlators.get(event))
            .map_or(&[][..], Vec::as_slice);
        let more = past
            .iter()
            .filter(move |one| !current.iter().any(|known| known.name == one.name));
        current.iter().chain(more)
    }

    fn plans(&self) -> impl Iterator<Item = &Arc<ProcessPlan>> {
        let past = self
            .past
            .get()
            .into_iter()
            .flat_map(|past| past.all.values());
        self.known.all.values().chain(past)
    }

    /// Names that the journal must know before the first event.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for plan in self.plans() {
            names.push(plan.name.to_string());
            names.push(plan.definition_name.to_string());
            names.push(ProcessPlan::start_name(&plan.name));
            names.extend(plan.owner.iter().map(std::string::ToString::to_string));
            names.extend(plan.correlators.iter().map(|one| one.name.to_string()));
            names.extend(plan.calls.iter().map(|call| call.flow.to_string()));
            let emits = plan.definition.process.emits().into_iter();
            names.extend(emits.map(|event| event.value.clone()));
            let statuses = &plan.definition.process.statuses;
            names.extend(statuses.iter().map(|status| status.value.clone()));
            let emits = plan.definition.process.emits();
            names.extend(emits.into_iter().map(|event| event.value.clone()));
        }
        names
    }
}

/// One system that a call may go to.
pub(crate) struct WayPlan {
    /// `system.operation`.
    pub(crate) destination: Arc<str>,
    /// When the binding serves.
    pub(crate) when: Option<Predicate>,
    pub(crate) from: Option<wardline_core::Timestamp>,
    pub(crate) until: Option<wardline_core::Timestamp>,
    /// The share of keys that it takes, of 10,000.
    pub(crate) share: Option<u32>,
    pub(crate) request: Vec<MapPlan>,
    pub(crate) response: Vec<MapPlan>,
}
