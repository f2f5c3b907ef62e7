//! A hospital's other systems, with faults on demand, over real protocols.
//!
//! Wardline runs between applications; this crate is those applications. An EHR tells admissions, transfers and
//! discharges as HL7 v2 over MLLP and keeps a ledger of what was acknowledged. Patient accounting, bed
//! board, housekeeping and staffing are HTTP services that check what they are sent, apply it once per
//! idempotency key, and know whether it came in order. A research system receives HL7 over MLLP. Two ERPs answer
//! what is asked about suppliers, and an [`ApiClient`] asks as partners do. Each can be taken down, slowed, made to fail, hang or lose its answers, from code or by `POST /_fault`.
//!
//! What it promises:
//! * **Two independent sides.** What [`EhrReport`] says was acknowledged and what [`HospitalReport`] says was received
//!   are counted by different code; [`HospitalReport::differences`] compares them.
//! * **Repeatable.** Everything left to chance comes from a seed that means the same in every release.
//! * **Bounded.** Books are capped ([`Record`]); what no longer fits is counted.
//! * **Owned.** Every task ends with [`Hospital::stop`], which waits for it.
//!
//! Start from [`Hospital`], [`EhrPlan`] and [`Fault`]. For measuring, [`NullHttp`] and [`MllpReceiver`] cost next to nothing.
//!
//! Production code must not link this crate.

mod amount;
mod cleaning;
mod client;
mod dates;
mod departments;
mod dice;
mod ehr;
mod error;
mod fault;
mod hospital;
mod ledger;
mod money;
mod null;
mod office;
mod people;
mod post;
mod receiver;
mod rehearsal;
mod report;
mod sequence;
mod service;
mod supply;

pub use cleaning::{CleanReports, CleaningReport};
pub use client::{ApiAsk, ApiClient, ApiPlan, ApiReport, ClientKeys};
pub use departments::Feeds;
pub use dice::Dice;
pub use ehr::{
    Acknowledged, Bed, Ehr, EhrPlan, EhrReport, Event, Latency, Mix, Patient, Progress, Trigger,
    run_ehr,
};
pub use error::SimError;
pub use fault::{Down, Fault};
pub use hospital::{FIRST_PORT, Hospital, Ports, Prompter, SimConfig};
pub use ledger::{Entry, Record, ServiceReport, Violation};
pub use null::{MllpReceiver, NullHttp};
pub use office::{Sent, SentReport, SentState};
pub use rehearsal::{
    Answer, Begun, CaseReport, Ended, Group, Question, Rehearsal, Rehearse, Remote, Scenario,
};
pub use report::{Difference, HospitalReport};
pub use sequence::{Run, Sequence};
pub use service::Service;
