//! Counts in = counts out, seen from outside: the sender's ledger against the receivers' books.

use crate::cleaning::CleaningReport;
use crate::ehr::{EhrReport, Trigger};
use crate::ledger::ServiceReport;
use serde::Serialize;
use std::fmt;

/// What all systems of a hospital received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HospitalReport {
    /// One report of each system that is sent messages, in the order of their ports.
    pub services: Vec<ServiceReport>,
    /// One report of each ERP, which only Apis ask: what they are asked is no effect of a message.
    pub erps: Vec<ServiceReport>,
    /// One report of each system of the back office. What they should have got is the [rehearsal](crate::Rehearsal)'s question.
    pub offices: Vec<ServiceReport>,
    /// What housekeeping's crew did, where it reports cleans.
    pub cleaning: Option<CleaningReport>,
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which system.
    pub system: &'static str,
    /// Which operation, or which rule (`order`, `once`).
    pub what: &'static str,
    /// The least that was expected.
    pub at_least: u64,
    /// The most that was expected; differs from `at_least` by messages whose acknowledgement never came.
    pub at_most: u64,
    /// What there was.
    pub got: u64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.system, self.what)?;
        if self.at_least == self.at_most {
            write!(f, "expected {}", self.at_least)?;
        } else {
            write!(f, "expected {} to {}", self.at_least, self.at_most)?;
        }
        write!(f, ", got {}", self.got)
    }
}

/// What the flows of the example estate make of each message: one effect per row and message.
const EFFECTS: &[(Trigger, &str, &[&str])] = &[
    (Trigger::A01, "patient-accounting", &["open-account"]),
    (Trigger::A03, "patient-accounting", &["close-account"]),
    (Trigger::A13, "patient-accounting", &["reopen-account"]),
    (Trigger::A01, "bed-board", &["occupy-bed"]),
    (Trigger::A02, "bed-board", &["occupy-bed", "release-bed"]),
    (Trigger::A03, "bed-board", &["release-bed"]),
    (Trigger::A13, "bed-board", &["occupy-bed"]),
    (Trigger::A02, "housekeeping", &["request-clean"]),
    (Trigger::A03, "housekeeping", &["request-clean"]),
    (Trigger::A13, "housekeeping", &["cancel-clean"]),
    (Trigger::A01, "staffing", &["change-census"]),
    (Trigger::A02, "staffing", &["move-census"]),
    (Trigger::A03, "staffing", &["change-census"]),
    (Trigger::A13, "staffing", &["change-census"]),
    (Trigger::A01, "research", &["receive"]),
    (Trigger::A02, "research", &["receive"]),
    (Trigger::A03, "research", &["receive"]),
    (Trigger::A08, "research", &["receive"]),
    (Trigger::A13, "research", &["receive"]),
];

impl HospitalReport {
    /// The report of one system.
    pub fn service(&self, system: &str) -> Option<&ServiceReport> {
        let mut all = self.services.iter().chain(&self.erps).chain(&self.offices);
        all.find(|report| report.system == system)
    }

    /// Effects over all systems that are sent messages, each once.
    pub fn applied(&self) -> u64 {
        self.services.iter().map(|report| report.applied).sum()
    }

    /// Whether every system received everything once and in order.
    pub fn is_orderly(&self) -> bool {
        self.services.iter().all(ServiceReport::is_orderly)
    }

    /// Everything that the estate `examples/st-brigid` should have caused for `sent` and did not, caused twice or
    /// out of order. Empty is the proof. Call it once the engine has drained; deliveries that are dead,
    /// held or cancelled show as missing.
    pub fn differences(&self, sent: &EhrReport) -> Vec<Difference> {
        let mut found = Vec::new();
        for report in &self.services {
            let mut expected: Vec<(&'static str, u64)> = Vec::new();
            for &(trigger, system, operations) in EFFECTS {
                for &operation in operations.iter().filter(|_| system == report.system) {
                    match expected.iter_mut().find(|(name, _)| *name == operation) {
                        Some((_, count)) => *count += sent.count(trigger),
                        None => expected.push((operation, sent.count(trigger))),
                    }
                }
            }
            for (operation, at_least) in expected {
                // A message without an acknowledgement may or may not have been accepted.
                let at_most = at_least + sent.unanswered;
                let got = report.operation(operation);
                if !(at_least..=at_most).contains(&got) {
                    found.push(Difference {
                        system: report.system,
                        what: operation,
                        at_least,
                        at_most,
                        got,
                    });
                }
            }
            for (what, got) in [("order", report.out_of_order), ("once", report.doubled)] {
                if got > 0 {
                    found.push(Difference {
                        system: report.system,
                        what,
                        at_least: 0,
                        at_most: 0,
                        got,
                    });
                }
            }
        }
        found
    }
}

impl fmt::Display for HospitalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20}{:>10}{:>10}{:>10}{:>9}{:>9}{:>8}{:>8}",
            "system", "requests", "applied", "repeated", "failed", "refused", "keys", "wrong"
        )?;
        // Of the back office only those that somebody asked: there are many, and a ward needs few of them.
        let asked = self.offices.iter().filter(|report| report.requests > 0);
        for report in self.services.iter().chain(&self.erps).chain(asked) {
            writeln!(
                f,
                "{:<20}{:>10}{:>10}{:>10}{:>9}{:>9}{:>8}{:>8}",
                report.system,
                report.requests,
                report.applied,
                report.repeated,
                report.failed,
                report.refused,
                report.keys,
                report.out_of_order + report.doubled
            )?;
        }
        Ok(())
    }
}
