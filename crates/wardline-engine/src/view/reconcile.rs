//! Reconciliations as people see them: what was counted at each hop, what does not tie, who says
//! why.

use serde::{Deserialize, Serialize};
use wardline_core::{InstanceId, TaskId, Timestamp};

/// Which reconciliations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconciliationQuery {
    /// Of this name: `charges`.
    pub name: Option<String>,
    /// Of this business date: `2026-11-24`.
    pub date: Option<String>,
    /// Of this scope.
    pub scope: Option<String>,
    /// This one only.
    pub instance: Option<InstanceId>,
    /// Only those that are not signed off.
    pub open: bool,
    /// At most this many; of each date and scope the newest.
    pub limit: usize,
}

/// What is to be compared now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// Its name: `charges`.
    pub name: String,
    /// The business date: `2026-11-24`.
    pub date: String,
    /// What besides the date tells it from others.
    #[serde(default)]
    pub scope: Option<String>,
    /// Why, for the audit log.
    pub reason: String,
}

/// Reconciliations that match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reconciliations {
    /// The names that the estate declares.
    pub names: Vec<String>,
    /// Newest first.
    pub rows: Vec<ReconciliationView>,
    /// Whether the look ended before the first one ever made.
    pub partial: bool,
}

/// One reconciliation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReconciliationView {
    /// Its name.
    pub name: String,
    /// The business date.
    pub date: Option<String>,
    /// What besides the date tells it from others.
    pub scope: Option<String>,
    /// The facility.
    pub facility: Option<String>,
    /// How far it is, as its process declares: `comparing`, `breaks`, `signed_off`.
    pub status: String,
    /// Who answers for it now.
    pub owner: Option<String>,
    /// Whether it is over.
    pub done: bool,
    /// Why it is stuck or failed.
    pub reason: Option<String>,
    /// The instance of the process.
    pub instance: InstanceId,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What was counted, in the order in which things go.
    pub hops: Vec<HopView>,
    /// Whether the same was counted at every hop.
    pub ties: bool,
    /// What does not tie.
    pub breaks: Vec<BreakView>,
    /// How many breaks there are; more than listed where they are very many.
    pub breaks_total: u64,
    /// How many of those listed nobody has explained or corrected.
    pub breaks_open: u64,
    /// What the open ones are worth, where they are in one currency.
    pub amount_open: Option<String>,
    /// Who signed it off.
    pub signed_by: Option<String>,
    /// When.
    pub signed_at: Option<Timestamp>,
}

/// What was counted at one hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopView {
    /// Where.
    pub hop: String,
    /// How many, where they are counted there.
    pub count: Option<u64>,
    /// How much, where that is known there; a decimal.
    pub amount: Option<String>,
    /// How many more or fewer than at the hop before.
    pub count_difference: Option<i64>,
    /// How much more or less than at the hop before.
    pub amount_difference: Option<String>,
}

/// Something that does not tie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakView {
    /// What kind: `LATE`, `NOT_POSTED` …
    pub code: String,
    /// What it is about; `None` where whoever looks may not see it.
    pub subject: Option<String>,
    /// The role that answers for it.
    pub owner: Option<String>,
    /// `new`, `assigned` (somebody is asked), or the answer: `explained`, `corrected`.
    pub state: String,
    /// Who has taken it on, or answered.
    pub by: Option<String>,
    /// What else is known of it: `expected`, `found`, `difference`, `reason`, `department`.
    pub detail: serde_json::Value,
    /// Since when somebody is asked.
    pub since: Option<Timestamp>,
    /// When it was answered.
    pub closed: Option<Timestamp>,
    /// The question.
    pub task: Option<TaskId>,
}
