//! Processes as people see them: instances, questions, and business transactions.

use super::DeliveryView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wardline_core::{Id, InstanceId, TaskId, Timestamp};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessView {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What its instances are about, where it says so: an entity.
    #[serde(default)]
    pub entity: Option<String>,
    /// Its version.
    pub version: u32,
    /// The definition that new instances run by.
    pub definition: String,
    /// Whether the estate still declares it.
    pub declared: bool,
    /// How many instances stand where, by phase.
    pub phases: BTreeMap<String, u64>,
    /// How many of those that run have a call which is tried again or held.
    #[serde(default)]
    pub retrying: u64,
    /// How many open instances have each declared status.
    pub statuses: BTreeMap<String, u64>,
    /// How many open instances run by older definitions.
    pub older: u64,
}

/// Which instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceQuery {
    /// Of this process.
    pub process: Option<String>,
    /// With this business key.
    pub key: Option<String>,
    /// In one of these phases (`running`, `asking`, `stuck`, `completed`, `failed`, `cancelled`);
    /// `open` stands for the first three.
    pub phases: Vec<String>,
    /// In this declared status.
    pub status: Option<String>,
    /// Of this facility.
    pub facility: Option<String>,
    /// For which this role answers.
    pub owner: Option<String>,
    /// Only those that are late.
    pub overdue: bool,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many.
    pub limit: usize,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// The process.
    pub process: String,
    /// The definition that it runs by.
    pub definition: String,
    /// Its business key, where its class allows.
    pub key: Option<String>,
    /// Where it stands.
    pub phase: String,
    /// Its declared status.
    pub status: Option<String>,
    /// The steps that it is at.
    pub at: Vec<String>,
    /// Why it is stuck, failed or cancelled: code and text.
    pub reason: Option<String>,
    /// Who answers for it now.
    pub owner: Option<String>,
    /// The facility.
    pub facility: Option<String>,
    /// When its next step is expected.
    pub due: Option<Timestamp>,
    /// Whether that time has passed.
    pub overdue: bool,
    /// When it began.
    pub began: Timestamp,
    /// When it last advanced.
    pub advanced: Timestamp,
    /// Since when it is in this phase.
    pub since: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What the process shows of it, by name; what its class hides is null.
    pub show: BTreeMap<String, serde_json::Value>,
    /// Names in `show` whose values are hidden.
    pub hidden: Vec<String>,
}

/// Everything about one instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceDetail {
    /// The instance.
    pub instance: InstanceView,
    /// What a person should do when it is stuck.
    pub runbook: Option<String>,
    /// What happened, oldest first.
    pub history: Vec<HistoryView>,
    /// Its calls, oldest first.
    pub calls: Vec<DeliveryView>,
    /// Its questions.
    pub tasks: Vec<TaskView>,
    /// Its variables, where somebody said why they must see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vars: Option<serde_json::Value>,
}

/// A line of an instance's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryView {
    /// When.
    pub at: Timestamp,
    /// The step; empty for the instance itself.
    pub step: String,
    /// What became of it.
    pub what: String,
    /// A few words more.
    pub text: String,
}

/// Which questions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskQuery {
    /// Asked of one of these roles; empty means any.
    pub roles: Vec<String>,
    /// Of this process.
    pub process: Option<String>,
    /// Of this instance.
    pub instance: Option<InstanceId>,
    /// Taken on by this person.
    pub claimed: Option<String>,
    /// Open ones, ended ones, or both.
    pub open: Option<bool>,
    /// Only those that are late.
    pub overdue: bool,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many.
    pub limit: usize,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// The instance that asks.
    pub instance: InstanceId,
    /// The process.
    pub process: String,
    /// The business key, where its class allows.
    pub key: Option<String>,
    /// The step that asks.
    pub step: String,
    /// Who is asked.
    pub role: String,
    /// The facility.
    pub facility: Option<String>,
    /// Who has taken it on.
    pub claimed: Option<String>,
    /// Since when it is asked.
    pub asked: Timestamp,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// Whether that time has passed.
    pub overdue: bool,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Who answered.
    pub by: Option<String>,
    /// The answer.
    pub choice: Option<String>,
    /// The question.
    pub ask: String,
    /// What may be answered.
    pub choices: Vec<String>,
    /// What else is filled in: name and label.
    pub form: BTreeMap<String, String>,
    /// What helps to decide, by name.
    pub show: serde_json::Value,
    /// The runbook.
    pub runbook: Option<String>,
    /// Whether it went to somebody else because nobody answered.
    pub escalated: bool,
}

/// An answer to a question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// One of the choices.
    pub choice: String,
    /// Why.
    #[serde(default)]
    pub note: String,
    /// What else was filled in.
    #[serde(default)]
    pub form: BTreeMap<String, String>,
}

/// What an operator does to an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase", deny_unknown_fields)]
pub enum ProcessAct {
    /// Tries what failed again.
    Retry {
        /// The step; all that failed where none is named.
        #[serde(default)]
        step: Option<String>,
    },
    /// Passes a step over.
    Skip {
        /// The step; the one that failed, or the only one, where none is named.
        #[serde(default)]
        step: Option<String>,
    },
    /// Sets variables; null removes one.
    Set {
        /// By name.
        vars: serde_json::Map<String, serde_json::Value>,
    },
    /// Ends it; deliveries that are still open are withdrawn.
    Cancel,
    /// Ends it after undoing what it did.
    Compensate,
    /// Moves it to the present definition.
    Migrate,
}

/// Which business transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransactionQuery {
    /// Of this kind: the entity that a process is about, or the process's name.
    pub kind: Option<String>,
    /// With this business key.
    pub key: Option<String>,
    /// `pending`, `retrying`, `failed`, `completed`, `cancelled`.
    pub state: Option<String>,
    /// Of this facility.
    pub facility: Option<String>,
    /// For which this role answers.
    pub owner: Option<String>,
    /// Only those that are late.
    pub overdue: bool,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many.
    pub limit: usize,
}

/// A business transaction: what the owner of a purchase order or a hire sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionView {
    /// What it is about: `purchase-order`.
    pub kind: String,
    /// Its business key, where its class allows.
    pub key: Option<String>,
    /// `pending`, `retrying`, `failed`, `completed` or `cancelled`.
    pub state: String,
    /// The process's own word.
    pub status: Option<String>,
    /// What it is worth, where the process shows a value and its class allows.
    pub value: Option<serde_json::Value>,
    /// The facility.
    pub facility: Option<String>,
    /// Who has to do something now.
    pub owner: Option<String>,
    /// Why it is not done.
    pub reason: Option<String>,
    /// What comes next.
    pub next: Vec<String>,
    /// When it began.
    pub began: Timestamp,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// When the next step is expected.
    pub due: Option<Timestamp>,
    /// Whether that time has passed.
    pub overdue: bool,
    /// Whether somebody is asked something.
    pub asked: bool,
    /// The process.
    pub process: String,
    /// The instance.
    pub instance: InstanceId,
}
