//! What is known of a job's runs, kept in the journal: sealed, because the place where a run
//! stands may be a patient's number.

use crate::accept::Acceptor;
use crate::codes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};
use wardline_core::{Sealed, Timestamp};
use wardline_store::{Change, StoreError};
use wardline_vault::{Kind, Vault};

/// Runs that are remembered.
const RUNS: usize = 20;
/// Files of a run that are remembered.
pub(super) const FILES: usize = 20;

/// All that is known of one job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    /// Newest first.
    pub(crate) runs: VecDeque<Run>,
    /// The last time of its schedule that was seen to.
    pub(crate) due: Option<Timestamp>,
    /// Where the last run that was done ended.
    pub(crate) onward: Option<Value>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It works, or waits to.
    Running,
    /// A person stopped it; a person lets it go on.
    Paused,
    /// It came to its end.
    Done,
    /// It could not go on; a person may let it try again.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) state: State,
    /// Who began it.
    pub(crate) by: String,
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    /// By which declaration.
    pub(crate) said: String,
    /// How far it came.
    pub(crate) place: Place,
    pub(crate) counts: Counts,
    /// Records in all, where the source says so.
    pub(crate) total: Option<u64>,
    /// Time in which it was at work.
    pub(crate) worked_ms: u64,
    /// The last files that it wrote.
    pub(crate) files: VecDeque<Written>,
    /// Why it failed.
    pub(crate) problem: Option<Problem>,
}

/// How far a run came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// As it is asked for; nothing at the beginning.
    pub(crate) at: Option<Value>,
    /// Records of the page that were dealt with.
    pub(crate) skip: usize,
    /// All pages were read.
    pub(crate) read: bool,
    /// The file that is being made: its number, sealed bytes and rows.
    pub(crate) part: u32,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// A place that was met before, to notice a circle: Brent's algorithm needs one.
    pub(crate) met: Option<String>,
    pub(crate) steps: u64,
    pub(crate) until: u64,
    /// Digest of the last page.
    pub(crate) page: Option<String>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) pages: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) left_out: u64,
    pub(crate) refused: u64,
    pub(crate) files: u64,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) code: String,
    pub(crate) text: String,
}

impl Place {
    /// Notes the next place; says whether it was met before.
    pub(super) fn goes_to(&mut self, at: Value, digest: String) -> bool {
        self.at = Some(at);
        if self.met.as_deref() == Some(&digest) {
            return true;
        }
        self.steps += 1;
        if self.steps >= self.until {
            self.met = Some(digest);
            self.until = (self.until * 2).max(1);
            self.steps = 0;
        }
        false
    }
}

impl Ledger {
    /// The run that is under way, paused ones included.
    pub(crate) fn open(&self) -> Option<&Run> {
        let newest = self.runs.front()?;
        matches!(newest.state, State::Running | State::Paused).then_some(newest)
    }

    /// The run that works.
    pub(crate) fn running(&self) -> Option<&Run> {
        let newest = self.runs.front()?;
        (newest.state == State::Running).then_some(newest)
    }

    /// Begins a run; `onward` is where it begins.
    pub(crate) fn begin(
        &mut self,
        id: String,
        by: &str,
        said: &str,
        at: Option<Value>,
        now: Timestamp,
    ) {
        self.runs.push_front(Run {
            id,
            state: State::Running,
            by: by.to_owned(),
            began: now,
            ended: None,
            said: said.to_owned(),
            place: Place {
                at,
                part: 1,
                ..Place::default()
            },
            counts: Counts::default(),
            total: None,
            worked_ms: 0,
            files: VecDeque::new(),
            problem: None,
        });
        self.runs.truncate(RUNS);
    }
}

fn key(job: &str) -> String {
    format!("job/{job}")
}

/// Reads what is known of a job.
pub(crate) async fn read(acceptor: &Acceptor, job: &str) -> Result<Ledger, StoreError> {
    let Some(bytes) = acceptor.store.meta(&key(job)).await? else {
        return Ok(Ledger::default());
    };
    let damaged = |reason: String| StoreError::Database {
        doing: "reading what is known of a job",
        reason,
    };
    let sealed = Sealed::from_sealed_bytes(bytes.into());
    let plain = acceptor
        .vault
        .open_sealed(Kind::Record, &sealed)
        .map_err(|error| damaged(error.to_string()))?;
    serde_json::from_slice(&plain).map_err(|_| damaged(format!("`{job}` is of a newer version")))
}

/// The change that keeps it.
pub(crate) fn keep(vault: &Vault, job: &str, ledger: &Ledger) -> Result<Change, super::Trouble> {
    let plain = serde_json::to_vec(ledger)
        .map_err(|error| super::Trouble::lasting(codes::JOB_STUCK, error.to_string()))?;
    let sealed = vault
        .seal(Kind::Record, &plain)
        .map_err(|error| super::Trouble::passing(error.code(), error.to_string()))?;
    Ok(Change::SetMeta {
        name: key(job),
        value: sealed.as_sealed_bytes().to_vec(),
    })
}

/// One job's ledger while an engine runs, shared by whoever works and whoever decides. Who changes
/// it holds it until the journal has it.
pub(crate) struct Book {
    pub(crate) ledger: Mutex<Ledger>,
    /// Something was decided.
    pub(crate) turned: Notify,
    /// For what a run waits, in words.
    pub(crate) waits: parking_lot::Mutex<Option<String>>,
}

impl Book {
    pub(crate) fn new(ledger: Ledger) -> Arc<Self> {
        Arc::new(Self {
            ledger: Mutex::new(ledger),
            turned: Notify::new(),
            waits: parking_lot::Mutex::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_is_noticed() {
        for (tail, circle) in [(0, 1), (1, 1), (5, 7), (100, 3), (3, 100)] {
            let mut place = Place::default();
            let met = (0..2_000_u64).position(|step| {
                let at = if step < tail {
                    step
                } else {
                    tail + (step - tail) % circle
                };
                place.goes_to(at.into(), at.to_string())
            });
            let met = met.unwrap() as u64;
            assert!(met <= 4 * (tail + circle) + 4, "{tail} {circle}: {met}");
        }
        let mut place = Place::default();
        assert!((0..10_000_u64).all(|at| !place.goes_to(at.into(), at.to_string())));
    }
}
