//! Bulk jobs as people see them.

use serde::{Deserialize, Serialize};
use wardline_core::Timestamp;

/// A bulk job, and its runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it begins by itself: five cron fields.
    pub every: Option<String>,
    /// The time zone of that.
    pub zone: String,
    /// When it begins by itself next.
    pub next: Option<Timestamp>,
    /// The operation that it reads.
    pub reads: String,
    /// Where records go, in words.
    pub writes: String,
    /// `idle` before the first run, else as the newest run stands.
    pub state: String,
    /// For what the run waits; nothing where it works.
    pub waits: Option<String>,
    /// Its runs, newest first.
    pub runs: Vec<JobRunView>,
}

/// One run of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRunView {
    /// Its id.
    pub id: String,
    /// `running`, `paused`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Who began it.
    pub by: String,
    /// When.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Pages that were dealt with.
    pub pages: u64,
    /// Records that were read.
    pub read: u64,
    /// Records that were written.
    pub written: u64,
    /// Records that the predicate or a map left out.
    pub left_out: u64,
    /// Records that cannot be used.
    pub refused: u64,
    /// Records in all, where the source says so.
    pub total: Option<u64>,
    /// Records a second, since it began.
    pub rate: f64,
    /// Seconds to its end, where the total is known.
    pub eta_s: Option<u64>,
    /// Files that it wrote.
    pub files: u64,
    /// The last of them.
    pub last_files: Vec<JobFileView>,
    /// Why it failed: a code and a text.
    pub problem: Option<String>,
}

/// A file that a job wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobFileView {
    /// Its name.
    pub name: String,
    /// Records in it.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What a person does with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobAct {
    /// Begins a run.
    Run,
    /// Stops the run where it is.
    Pause,
    /// Lets a run go on that was paused, or failed.
    Resume,
    /// Ends the run; what it wrote stays.
    Cancel,
}

impl JobAct {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
        }
    }
}
