//! Processes: what has to happen, over days, until this purchase order is paid.

use super::figure::Figure;
use super::flow::{Exhausted, MapRef, Retry};
use crate::source::{Span, Spanned};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use wardline_core::Lane;

/// One process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    #[serde(skip, default = "nowhere")]
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// Its version, for people; what runs is told apart by all that it says.
    pub version: u32,
    /// The role that answers for it.
    pub owner: Option<String>,
    /// The types of the events that start it.
    pub on: Vec<Spanned<String>>,
    /// The variable that the event's data becomes: the entity of the event, where nothing is said.
    pub start_as: String,
    /// A predicate in VRL over the variables at the start; no instance begins where it is false.
    pub when: Option<Spanned<String>>,
    /// The business key, an expression in VRL over the variables at the start.
    pub key: Spanned<String>,
    /// What the business calls the thing with the key: `purchase-order`. An entity.
    pub entity: Option<Spanned<String>>,
    /// Whether a key may start again after its instance has ended.
    pub again: bool,
    /// How long an event waits for an instance that does not wait for it yet, and is remembered
    /// so that its duplicate does nothing.
    pub keep_events: Duration,
    /// The statuses that steps may set.
    pub statuses: Vec<Spanned<String>>,
    /// What happens when an instance is not done in time.
    pub deadline: Option<Deadline>,
    /// What the business sees of an instance: expressions in VRL over the variables, by name.
    /// `value` (an amount), `title` and `due` (a time) have a meaning of their own.
    pub show: Vec<(Spanned<String>, Spanned<String>)>,
    /// The facility that an instance is about, an expression in VRL over the variables.
    pub facility: Option<Spanned<String>>,
    /// While it holds, what an instance does takes the realtime lane, whatever its steps say: a
    /// predicate in VRL over the variables.
    pub urgent: Option<Spanned<String>>,
    /// What its instances compare, where that is what they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<Reconciliation>,
    /// Figures that its owner is judged by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// The boards that show its figures and its instances, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<Spanned<String>>,
    /// What a person should do when a step fails for good.
    pub runbook: Option<PathBuf>,
    /// What has to happen.
    pub steps: Vec<Step>,
}

impl Process {
    /// More steps than people can follow.
    pub const MOST_STEPS: usize = 500;
    /// More steps within each other than people can follow, few enough for recursion to be safe.
    pub const MOST_LEVELS: usize = 32;

    /// All its steps with their paths, each before what is within it; those of the deadline come
    /// last. A path names a step in the journal, to people and in tests: its name, with those of
    /// the steps around it (`receive/match`). Before the name stands also which part of a step it
    /// is in where there are several: a branch by its number or name, or `else`
    /// (`decide/1/pay`), `on_failure`, `deadline`.
    pub fn paths(&self) -> Vec<(String, &Step)> {
        let mut found = Vec::new();
        gather(&self.steps, "", &mut found);
        if let Some(deadline) = &self.deadline {
            gather(&deadline.steps, "deadline", &mut found);
        }
        found
    }

    /// All its steps, in the order of [`paths`](Self::paths).
    pub fn all_steps(&self) -> Vec<&Step> {
        self.paths().into_iter().map(|(_, step)| step).collect()
    }

    /// The operations that it calls, to do something or to undo it.
    pub fn calls(&self) -> Vec<&Spanned<String>> {
        let steps = self.all_steps().into_iter();
        steps
            .flat_map(|step| {
                let call = match &step.kind {
                    StepKind::Call(call) => Some(&call.call),
                    _ => None,
                };
                call.into_iter()
                    .chain(step.undo.as_ref().map(|undo| &undo.call))
            })
            .collect()
    }

    /// The types of the events that its steps tell.
    pub fn emits(&self) -> Vec<&Spanned<String>> {
        let steps = self.all_steps().into_iter();
        steps
            .filter_map(|step| match &step.kind {
                StepKind::Emit { event, .. } => Some(event),
                _ => None,
            })
            .collect()
    }

    /// The types of the events that its steps wait for. Those that start it are in `on`.
    pub fn awaits(&self) -> Vec<&Spanned<String>> {
        let steps = self.all_steps().into_iter();
        steps
            .flat_map(|step| match &step.kind {
                StepKind::Wait(wait) => &wait.events[..],
                _ => &[],
            })
            .collect()
    }
}

/// What the instances of a process compare: both sides of something, until they tie or somebody
/// has said why not. Expressions are in VRL over the variables.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reconciliation {
    /// What people call it: `charges`. One process has the name.
    pub name: Spanned<String>,
    /// The business date.
    pub date: Spanned<String>,
    /// What besides the date tells one from another.
    pub scope: Option<Spanned<String>>,
    /// Control totals, one for each hop, in order: an array of objects with `hop`, `count`,
    /// `amount`.
    pub hops: Spanned<String>,
    /// What does not tie: an array of objects with `code`, `subject`, `owner`.
    pub breaks: Spanned<String>,
    /// The data of the event that begins one, over `.date`, `.scope` and `.id`; without it none begins on
    /// demand.
    pub begin: Option<Spanned<String>>,
    /// The step at which somebody signs it off: the path of a task.
    pub sign_off: Option<Spanned<String>>,
}

/// What happens when an instance is not done in time. The instance goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deadline {
    /// So long after it began.
    pub by: Duration,
    /// Steps that run beside the others then.
    pub steps: Vec<Step>,
    /// Whether the instance ends then, as failed, after these steps.
    pub end: bool,
}

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique among its siblings.
    pub name: Spanned<String>,
    /// A predicate in VRL; the step is skipped where it is false.
    pub when: Option<Spanned<String>>,
    /// The status that the instance has once the step is done.
    pub status: Option<Spanned<String>>,
    /// The variable that the result becomes.
    pub save: Option<Spanned<String>>,
    /// What is done in reverse order when the instance is compensated.
    pub undo: Option<Undo>,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum StepKind {
    /// Asks a system, or an Api, for something and waits for its answer.
    Call(Box<CallStep>),
    /// Tells an event.
    Emit {
        /// Its type.
        event: Spanned<String>,
        /// Its data.
        data: Data,
    },
    /// Waits for events.
    Wait(Box<WaitStep>),
    /// Waits for a time.
    Sleep(Until),
    /// Asks a person and waits for the answer.
    Task(Box<TaskStep>),
    /// Takes the first branch whose predicate holds.
    Choose {
        /// Branches.
        branches: Vec<(Spanned<String>, Vec<Step>)>,
        /// Where none holds; `None` where the file says nothing, which is told.
        otherwise: Option<Vec<Step>>,
    },
    /// Runs branches side by side and waits for all.
    Parallel(Vec<(Spanned<String>, Vec<Step>)>),
    /// Runs steps for each of some values.
    Each {
        /// An expression in VRL: an array.
        of: Spanned<String>,
        /// The variable that holds the value: `item` where nothing is said.
        as_name: String,
        /// How many at a time.
        at_once: u32,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Runs steps again and again.
    Repeat {
        /// A predicate in VRL, looked at after each round.
        until: Spanned<String>,
        /// Most rounds; past them the step fails.
        most: u32,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Computes variables.
    Set {
        /// By name.
        values: Vec<(Spanned<String>, Data)>,
    },
    /// Computes from all variables with a map; the result is what `save` says, or, without it,
    /// all variables.
    Map(Vec<MapRef>),
    /// Steps under one name.
    Group(Vec<Step>),
    /// Sets the status only.
    Status,
    /// Runs what was registered to undo what is done, in reverse order.
    Undo,
    /// Ends the instance as failed; what is done is undone first where `undo` says so.
    Fail {
        /// Why, for people; `{{ … }}` holds an expression in VRL.
        reason: Spanned<String>,
        /// Whether it compensates.
        undo: bool,
    },
    /// Ends the instance as completed.
    End,
}

fn gather<'a>(steps: &'a [Step], above: &str, found: &mut Vec<(String, &'a Step)>) {
    for step in steps {
        let path = match above {
            "" => step.name.value.clone(),
            _ => format!("{above}/{}", step.name.value),
        };
        found.push((path.clone(), step));
        for (part, steps) in step.kind.inner() {
            match part.as_str() {
                "" => gather(steps, &path, found),
                part => gather(steps, &format!("{path}/{part}"), found),
            }
        }
    }
}

impl StepKind {
    /// The lists of steps within it, in the order of the file, each with what it is called in
    /// paths. Most have no name, because there is no other.
    pub fn inner(&self) -> Vec<(String, &[Step])> {
        let unnamed = |steps| (String::new(), steps);
        match self {
            Self::Call(call) => {
                let steps = call.on_failure.iter();
                steps
                    .map(|steps| ("on_failure".to_owned(), &steps[..]))
                    .collect()
            }
            Self::Wait(wait) => {
                let steps = wait.otherwise.iter();
                steps.map(|steps| unnamed(&steps[..])).collect()
            }
            Self::Choose {
                branches,
                otherwise,
            } => {
                let numbered = (1..).zip(branches);
                let branches = numbered.map(|(at, (_, steps))| (at.to_string(), &steps[..]));
                let otherwise = otherwise.iter();
                let otherwise = otherwise.map(|steps| ("else".to_owned(), &steps[..]));
                branches.chain(otherwise).collect()
            }
            Self::Parallel(branches) => {
                let branches = branches.iter();
                branches
                    .map(|(name, steps)| (name.value.clone(), &steps[..]))
                    .collect()
            }
            Self::Each { steps, .. } | Self::Repeat { steps, .. } | Self::Group(steps) => {
                vec![unnamed(steps)]
            }
            Self::Emit { .. }
            | Self::Sleep(_)
            | Self::Task(_)
            | Self::Set { .. }
            | Self::Map(_)
            | Self::Status
            | Self::Undo
            | Self::Fail { .. }
            | Self::End => Vec::new(),
        }
    }
}

/// A call and what becomes of its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallStep {
    /// `api.operation` or `system.operation`.
    pub call: Spanned<String>,
    /// What is sent.
    pub with: Data,
    /// A predicate in VRL over the answer; where it is false the call has failed though the
    /// other side said otherwise.
    pub expect: Option<Spanned<String>>,
    /// How urgent.
    pub lane: Lane,
    /// How failed sends are tried again.
    pub retry: Retry,
    /// What becomes of a call that exhausted its retries.
    pub on_exhausted: Exhausted,
    /// What a person should do then.
    pub runbook: Option<PathBuf>,
    /// What is done where the call failed for good, which may be nothing; the step is stuck where
    /// nothing is said.
    pub on_failure: Option<Vec<Step>>,
}

/// How a step is undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Undo {
    /// `api.operation` or `system.operation`.
    pub call: Spanned<String>,
    /// What is sent, computed when the step is done.
    pub with: Data,
    /// How urgent.
    pub lane: Lane,
    /// How failed sends are tried again.
    pub retry: Retry,
    /// What a person should do where it cannot be undone.
    pub runbook: Option<PathBuf>,
}

/// A wait for events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaitStep {
    /// The types of the events.
    pub events: Vec<Spanned<String>>,
    /// Whether one of each must come, or one of any.
    pub all: bool,
    /// A predicate in VRL: `.` is the event's data, `instance.key` and `instance.vars` what waits.
    /// One of its conjuncts must be `EVENT == INSTANCE`: by it waiting instances are found.
    pub matching: Spanned<String>,
    /// How long.
    pub until: Option<Until>,
    /// What is done when nothing came in time, which may be nothing; the step fails where nothing
    /// is said. One step without a name is called `else`.
    pub otherwise: Option<Vec<Step>>,
}

/// A time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Until {
    /// So long after the step began.
    For(Duration),
    /// An expression in VRL: RFC 3339, or a timestamp.
    At(Spanned<String>),
}

/// A question to a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskStep {
    /// The role that is asked, as text in which `{{ … }}` holds an expression in VRL.
    pub role: Spanned<String>,
    /// The question; `{{ … }}` holds an expression in VRL.
    pub ask: Spanned<String>,
    /// What may be answered.
    pub choices: Vec<Spanned<String>>,
    /// What else is filled in, by name, with what it is called.
    pub form: Vec<(Spanned<String>, String)>,
    /// When it is due.
    pub due: Option<Until>,
    /// Who is asked as well when it is overdue.
    pub escalate: Option<Escalate>,
    /// Values that whoever decides should see, by name: expressions in VRL.
    pub show: Vec<(Spanned<String>, Spanned<String>)>,
    /// A predicate in VRL over the answer (`.choice`, `.by`, `.note`, `.form`) and `.vars`: an
    /// answer for which it is false is refused (four eyes).
    pub accept: Option<Spanned<String>>,
    /// What helps to decide.
    pub runbook: Option<PathBuf>,
}

/// Who is asked as well when a task is overdue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Escalate {
    /// So long after it was due, or after it was asked where it has no time.
    pub after: Duration,
    /// The role.
    pub to: Spanned<String>,
}

/// A value that is made when it is needed: texts are expressions in VRL, everything else is as it
/// stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Data {
    /// An expression in VRL.
    Expression(Spanned<String>),
    /// Number, truth value or nothing.
    Constant(serde_json::Value),
    /// By name.
    Object(Vec<(Spanned<String>, Data)>),
    /// In order.
    Array(Vec<Data>),
    /// What maps make of it, each fed by the one before.
    Mapped(Box<Data>, Vec<MapRef>),
}

const fn nowhere() -> Span {
    Span::NOWHERE
}
