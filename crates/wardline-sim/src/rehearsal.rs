//! Rehearsing: named scenarios that a person picks, and the question whether each ended as it says.
//!
//! A scenario is either a reaction (how a supplier answers an order, how a payer answers a claim) or a beginning (HR
//! hires somebody, a patient is discharged). Either way a *case* is opened with what has to be true at the end, and the books
//! of the systems, which know nothing of scenarios, are held against it.

mod case;
mod catalogue;
mod picks;
mod remote;
mod routes;
mod run;
mod scenarios;
mod stand_in;

pub(crate) use case::{Case, Cases, Check};
pub use case::{CaseReport, Ended};
pub use catalogue::{Group, Scenario};
pub(crate) use picks::{Pick, Picks};
pub use remote::Remote;
pub(crate) use routes::routes;
pub(crate) use run::Rehearser;
pub use run::{Begun, Rehearse};
pub use stand_in::{Answer, Question};

use crate::office::SentReport;
use serde::Serialize;
use std::fmt;

/// How a rehearsal stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsal {
    /// Every case, in the order in which they began.
    pub cases: Vec<CaseReport>,
    /// What the systems told Wardline by themselves.
    pub sent: SentReport,
    /// Cases, documents and counts that no longer fitted: nothing is said about them.
    pub overflowed: u64,
}

impl Rehearsal {
    /// Whether every case ended as its scenario says and nothing is still to be told.
    pub fn is_well(&self) -> bool {
        let met = |case: &CaseReport| case.ended == Ended::AsSaid;
        self.cases.iter().all(met) && self.sent.waiting == 0 && self.sent.refused == 0
    }

    /// Cases that ended in this way.
    pub fn count(&self, ended: Ended) -> usize {
        self.cases.iter().filter(|case| case.ended == ended).count()
    }

    /// The cases of one subject.
    pub fn of<'a>(&'a self, about: &'a str) -> impl Iterator<Item = &'a CaseReport> {
        self.cases.iter().filter(move |case| case.about == about)
    }
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        writeln!(
            f,
            "{} cases: {} ended as said, {} open, {} wrong; told {}, waiting {}, refused {}, called off {}",
            self.cases.len(),
            self.count(Ended::AsSaid),
            self.count(Ended::Open),
            self.count(Ended::Wrong),
            self.sent.accepted,
            self.sent.waiting,
            self.sent.refused,
            self.sent.withdrawn
        )
    }
}
