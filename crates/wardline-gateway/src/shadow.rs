//! What a second system would have answered, compared field by field.
//!
//! A difference names places, kinds and shapes, never values, so that it can be kept and shown.
//! [`Ledger`](ledger::Ledger) adds differences up, so that a week of them is a table that somebody
//! can read before a facility moves.

mod compare;
pub mod ledger;

pub use compare::{Rules, compare};

use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How a place differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Only the serving system has it.
    Missing,
    /// Only the shadow has it.
    Extra,
    /// Both have it, of different types.
    Type,
    /// Both have it, with different values.
    Value,
    /// Arrays of different lengths.
    Length,
}

/// One place that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// JSON pointer (RFC 6901) into the canonical answer.
    pub pointer: String,
    /// The attribute: dotted names, without the positions of items.
    pub field: String,
    /// How.
    pub how: How,
    /// What both are, without their values: `number ≠ string`, `99.9 ≠ 99`, `Aaaa ≠ AAAA`.
    pub shapes: String,
}

/// What came of asking the shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It said the same.
    Same,
    /// It said something else.
    Differs,
    /// It gave no usable answer.
    Failed,
    /// It was not asked: too many were being asked.
    Skipped,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The Api.
    pub api: Arc<str>,
    /// Its operation.
    pub operation: Arc<str>,
    /// The system that served.
    pub serving: Arc<str>,
    /// The system in the shadow.
    pub shadow: Arc<str>,
    /// The request's correlation id.
    pub correlation: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The status that was served, and the shadow's (0 where it failed).
    pub status: (u16, u16),
    /// How long the serving system took, and the shadow (where it answered), each from the call to
    /// the end of its answer.
    pub took: (Duration, Option<Duration>),
    /// The first places that differ.
    pub places: Vec<Place>,
    /// Whether there were more.
    pub more: bool,
}
