//! What an advance of an instance asks for, in the clear. Nothing of it has happened yet.

use super::plan::Correlator;
use crate::plan::EventPlan;
use serde_json::Value as Json;
use std::sync::Arc;
use wardline_core::{Lane, Timestamp};
use wardline_mapping::Value;
use wardline_store::{History, MailId, TaskEnd};

/// Everything that an advance asks for.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) calls: Vec<OutCall>,
    pub(crate) events: Vec<OutEvent>,
    pub(crate) waits: Vec<OutWait>,
    pub(crate) unwait: Vec<u32>,
    pub(crate) timers: Vec<(u32, Timestamp)>,
    pub(crate) unset: Vec<u32>,
    pub(crate) fired: Vec<u32>,
    pub(crate) tasks: Vec<OutTask>,
    pub(crate) answered: Vec<TaskEnd>,
    pub(crate) withdraw: Vec<u32>,
    pub(crate) history: Vec<History>,
}

impl Effects {
    /// Ends a wait; one that this very advance began never was.
    pub(crate) fn end_wait(&mut self, n: u32) {
        let before = self.waits.len();
        self.waits.retain(|wait| wait.n != n);
        if self.waits.len() == before {
            self.unwait.push(n);
        }
    }

    /// Takes a timer back.
    pub(crate) fn end_timer(&mut self, n: u32) {
        let before = self.timers.len();
        self.timers.retain(|(timer, _)| *timer != n);
        if self.timers.len() == before && !self.fired.contains(&n) {
            self.unset.push(n);
        }
    }

    /// Ends a task.
    pub(crate) fn end_task(&mut self, end: TaskEnd) {
        let before = self.tasks.len();
        self.tasks.retain(|task| task.n != end.number);
        if self.tasks.len() == before {
            self.answered.push(end);
        }
    }

    pub(crate) fn tell(&mut self, step: &str, what: &str, text: impl Into<String>) {
        self.history.push(History {
            step: step.to_owned(),
            what: what.to_owned(),
            text: text.into(),
        });
    }
}

/// A call that is to be made.
pub(crate) struct OutCall {
    pub(crate) n: u32,
    pub(crate) reference: Arc<str>,
    pub(crate) flow: Arc<str>,
    pub(crate) lane: Lane,
    pub(crate) body: Value,
}

/// An event that is to be told.
pub(crate) struct OutEvent {
    pub(crate) event: EventPlan,
    pub(crate) body: Value,
}

/// A wait that begins.
pub(crate) struct OutWait {
    pub(crate) n: u32,
    pub(crate) correlator: Arc<Correlator>,
    pub(crate) key: String,
    /// The last mail that it was offered and did not want.
    pub(crate) seen: MailId,
}

/// A question.
pub(crate) struct OutTask {
    pub(crate) n: u32,
    pub(crate) role: String,
    pub(crate) step: Arc<str>,
    pub(crate) due: Option<Timestamp>,
    pub(crate) body: Json,
}

/// What came for an instance.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A call ended well.
    Answer(Value),
    /// A call failed for good.
    Fault { code: String, text: String },
    /// An event that was waited for.
    Event(Value),
    /// A time has come.
    Time,
    /// A person answered.
    Decision {
        choice: String,
        by: String,
        note: String,
        form: Json,
    },
}

/// Where an instance stands after an advance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) phase: wardline_store::Phase,
    /// The paths of the steps that something is waited for at.
    pub(crate) at: Vec<Arc<str>>,
    /// Code and text where it is stuck or ended otherwise than well.
    pub(crate) trouble: Option<(String, String)>,
    /// Who is asked, where somebody is.
    pub(crate) asked: Option<String>,
    /// When what it waits for is due.
    pub(crate) due: Option<Timestamp>,
}
