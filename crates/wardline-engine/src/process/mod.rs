//! Processes: what has to happen, over days, until this purchase order is paid.
//!
//! A [`Definition`] is what the estate declares, complete in itself. Compiled it is a
//! [`plan::ProcessPlan`]; the [`machine::Machine`] interprets it for one instance, as a function of
//! its state and of what came: it asks for effects and does nothing. The runner brings what comes
//! (mail, timers, answers, people's decisions) to the machine, and commits the new state together
//! with all effects in one change, so that an instance and what it did never disagree.
//!
//! The way of an event: `accept.rs` records mail with the message → `runner.rs` finds who waits →
//! `machine.rs` decides → `commit.rs` makes one [`wardline_store::Advance`] of it.

mod act;
mod book;
mod commit;
mod compile;
mod correlate;
mod definition;
mod door;
mod effects;
pub(crate) mod figure;
mod halt;
pub(crate) mod harness;
mod machine;
pub(crate) mod plan;
pub(crate) mod reconcile;
mod runner;
mod state;
mod walk;
mod ways;

pub(crate) use act::InstanceAct;
pub(crate) use book::{Book, Loaded, Migration};
pub(crate) use commit::MAX_STATE;
pub(crate) use compile::{Found, compile as compile_definition};
pub use definition::Definition;
pub(crate) use definition::class_keys;
pub use door::{Begun, ProcessDoor, Refused};
pub(crate) use figure::SUMMARY as FIGURES;
pub(crate) use reconcile::SUMMARY as RECONCILIATION;
pub(crate) use runner::{Runner, acquaint};
