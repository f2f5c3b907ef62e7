//! Searching messages, deliveries, instances and tasks: newest first, a bounded number of rows a call.
//!
//! Every search walks ids downwards and can go on from where it stopped, so a page costs the
//! same at any depth. Where an index knows the answer (a term, a failure, what is owed) the
//! walk is over that index; otherwise it is over the rows themselves, at most
//! [`MAX_SCANNED`] a call. A page that is empty and has a `next` means "not here, look on".
//!
//! Times are the times in the ids: when a message was committed, to the millisecond.

mod deliveries;
mod followed;
mod instances;
mod messages;
mod tasks;
mod walk;

pub(super) use deliveries::deliveries;
pub(super) use instances::instances;
pub(super) use messages::messages;
pub(super) use tasks::tasks;

use crate::query::TimeRange;
use wardline_core::Id;

/// Rows looked at in one call.
const MAX_SCANNED: u64 = 100_000;
/// What a look-up by id costs, in rows met on a walk.
const LOOK_UP: u64 = 4;
const DEFAULT_ROWS: usize = 50;

/// Ids from `low` up to but without `high`.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: i64,
    high: i64,
    /// Where the asked time ends, wherever the last page did.
    to: i64,
}

impl Span {
    fn of(range: TimeRange, before: Option<Id>) -> Self {
        let low = range
            .from
            .map_or(0, |from| Id::from_parts(from.unix_ms(), 0, 0).as_i64());
        let to = range
            .to
            .map(|to| Id::from_parts(to.0.saturating_add(999).div_euclid(1_000), 0, 0));
        let to = to.unwrap_or(Id::MAX);
        Self {
            low,
            high: before.unwrap_or(Id::MAX).min(to).as_i64(),
            to: to.as_i64(),
        }
    }
}

/// What a search has done so far, which is what ends a call however little of it was wanted.
#[derive(Default)]
struct Effort {
    /// Rows looked at.
    rows: u64,
    /// Statements begun to find them.
    look_ups: u64,
}

impl Effort {
    const fn is_enough(&self) -> bool {
        self.rows + self.look_ups * LOOK_UP >= MAX_SCANNED
    }
}

fn rows_wanted(limit: usize, most: usize) -> usize {
    if limit == 0 {
        DEFAULT_ROWS
    } else {
        limit.min(most)
    }
}

/// Whether a failure's text has a lower-case text in it, whatever its case.
fn contains(text: Option<&str>, lowercase: &str) -> bool {
    text.is_some_and(|text| text.to_lowercase().contains(lowercase))
}
