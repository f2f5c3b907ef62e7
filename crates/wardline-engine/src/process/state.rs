//! What is kept of an instance: its variables, and where it stands in its steps.
//!
//! A [`Run`] is a sequence of steps in progress, a [`Here`] what its present step is doing; both
//! nest as the steps do. Steps are known by name besides their place, so that an instance can be
//! moved to another definition.

use serde::{Deserialize, Serialize};
use wardline_core::{Id, Timestamp};
use wardline_mapping::Value;

/// The version of this shape.
pub(crate) const VERSION: u8 = 1;

/// An instance between two advances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// See [`VERSION`].
    pub(crate) v: u8,
    /// Variables, an object.
    pub(crate) vars: Value,
    /// The business key.
    pub(crate) key: String,
    /// The facility that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) facility: Option<String>,
    /// The last number that was given to a call, wait, timer or task.
    pub(crate) last: u32,
    /// The steps.
    pub(crate) main: Run,
    /// The steps of the deadline, once they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<Run>,
    /// The timer of the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<u32>,
    /// What undoes what is done, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undo: Vec<Registered>,
    /// Set while it comes to its end by compensating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closing: Option<Closing>,
    /// The last declared status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// When it began.
    pub(crate) began: Timestamp,
    /// The message that it last heard of: what follows from it is shown there.
    pub(crate) cause: Id,
    /// The message that began it: what it began with is not what it waits for.
    pub(crate) root: Id,
    /// The correlation id of the message that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation: Option<String>,
}

/// What undoes a step that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registered {
    /// The step's path.
    pub(crate) step: String,
    /// The operation.
    pub(crate) call: String,
    /// Under which its delivery is counted.
    pub(crate) flow: String,
    /// How urgent.
    pub(crate) lane: wardline_core::Lane,
    /// What is sent.
    pub(crate) body: Value,
}

/// How an instance comes to its end by compensating.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Closing {
    /// What is being undone.
    pub(crate) here: Here,
    /// Whether an operator wanted it; else a step failed.
    pub(crate) cancelled: bool,
    /// Why.
    pub(crate) reason: String,
}

/// A sequence of steps in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The present step's place; past the last one it is done.
    pub(crate) at: usize,
    /// Its name.
    pub(crate) name: String,
    /// What it is doing.
    pub(crate) here: Here,
}

impl Run {
    /// The beginning of some steps.
    pub(crate) fn start() -> Self {
        Self {
            at: 0,
            name: String::new(),
            here: Here::Fresh,
        }
    }
}

/// What a step is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Here {
    /// Nothing yet.
    Fresh,
    /// An operator passed it over.
    Passed,
    /// A call is on its way.
    Call { n: u32 },
    /// Events are waited for.
    Wait {
        /// Numbers of the waits that are open, with the place of the event.
        open: Vec<(usize, u32)>,
        timer: Option<u32>,
        /// What came, with the place of the event.
        got: Vec<(usize, Value)>,
    },
    /// A time is waited for.
    Sleep { timer: u32 },
    /// A person is asked.
    Task { n: u32, escalate: Option<u32> },
    /// Steps within: the branch of a choice, `on_failure`, `else`.
    Inner { branch: usize, run: Box<Run> },
    /// Branches side by side; those that are done are gone.
    Branches(Vec<Option<Run>>),
    /// Steps for each value.
    Each {
        items: Vec<Value>,
        next: usize,
        running: Vec<Round>,
        /// What each round saved, where somebody wants it.
        done: Vec<(usize, Value)>,
    },
    /// Steps again and again.
    Repeat { round: u32, run: Box<Run> },
    /// What was done is being undone; the call that is on its way.
    Undoing { n: Option<u32> },
    /// The step failed; a person must decide. The call that failed may still be repeated.
    Stuck {
        n: Option<u32>,
        code: String,
        text: String,
        /// Rounds that a `repeat` had done, where its steps are done and `until` failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round: Option<u32>,
    },
}

/// One round of an `each`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// The place of the value.
    pub(crate) item: usize,
    /// Variables of this round.
    pub(crate) vars: Value,
    /// Its steps.
    pub(crate) run: Run,
}
