//! The tree around one message or delivery, without an index on causes.
//!
//! An acceptance takes one block of ids, so everything that followed from a message at
//! acceptance stands behind it in the same block: the first id is known from the message's
//! ordinal and the length is in its row. What followed later (from an answer, or by replay)
//! is found through `link`. Up goes by the cause in each row, one point look-up a step.

use super::rows::{self, ATTEMPT_COLUMNS, DELIVERY_COLUMNS, MESSAGE_COLUMNS};
use crate::query::{Link, LinkKind, Taken, Trace};
use ahash::AHashSet;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;
use wardline_core::{Id, InstanceId};

/// Steps up before a chain of causes is cut: a loop cannot arise, a very long chain can.
const MAX_STEPS: usize = 10_000;
/// Failed attempts and links in one answer.
const MAX_DETAILS: usize = 20_000;

/// Everything around `id`; `None` when there is no such message or delivery.
pub(super) fn trace(conn: &Connection, id: Id, limit: usize) -> rusqlite::Result<Option<Trace>> {
    let tx = conn.unchecked_transaction()?;
    let Some(root) = root(&tx, id)? else {
        return Ok(None);
    };
    let limit = limit.clamp(1, super::read::MAX_ROWS);
    let mut walk = Walk {
        conn: &tx,
        limit,
        known: AHashSet::new(),
        open: BTreeSet::new(),
        trace: Trace::default(),
    };
    walk.open.insert(root);
    while let Some(next) = walk.open.pop_first() {
        if !walk.visit(next)? {
            walk.trace.truncated = true;
            break;
        }
    }
    let mut trace = walk.trace;
    trace.messages.sort_by_key(|row| row.id);
    trace.deliveries.sort_by_key(|row| row.id);
    trace.links.sort_by_key(|link| (link.from, link.to));
    trace
        .taken
        .sort_by_key(|taken| (taken.event, taken.instance));
    trace.taken.dedup();
    let known = walk.known;
    trace.links.retain(|link| known.contains(&link.to));
    let mut attempts = tx.prepare_cached(&format!(
        "SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery = ?1 ORDER BY started, number"
    ))?;
    for delivery in trace
        .deliveries
        .iter()
        .filter(|delivery| delivery.attempts > 0 || delivery.note.is_some())
    {
        if trace.attempts.len() >= MAX_DETAILS {
            trace.truncated = true;
            break;
        }
        for attempt in attempts.query_map([delivery.id.0.as_i64()], rows::attempt)? {
            trace.attempts.push(attempt?);
        }
    }
    Ok(Some(trace))
}

/// The message at the top of the chain of causes, as far as it is still in the journal.
fn root(conn: &Connection, id: Id) -> rusqlite::Result<Option<Id>> {
    let mut message = conn.prepare_cached("SELECT cause FROM message WHERE id = ?1")?;
    let mut delivery = conn.prepare_cached("SELECT message FROM delivery WHERE id = ?1")?;
    let mut at = id.as_i64();
    let mut top = None;
    for _ in 0..MAX_STEPS {
        let above: Option<i64> = match message.query_row([at], |row| row.get(0)).optional()? {
            Some(cause) => cause,
            None => match delivery.query_row([at], |row| row.get(0)).optional()? {
                Some(message) => Some(message),
                // Retention has removed what is above: the highest that is left is the root.
                None => return Ok(top),
            },
        };
        top = Some(Id::from_i64(at));
        match above {
            Some(above) if above < at => at = above,
            _ => return Ok(top),
        }
    }
    Ok(top)
}

struct Walk<'a> {
    conn: &'a Connection,
    limit: usize,
    known: AHashSet<Id>,
    /// Roots of sub-trees in other blocks that are still to be visited.
    open: BTreeSet<Id>,
    trace: Trace,
}

impl Walk<'_> {
    /// Takes in the sub-tree that starts at `id` within its block; false at the limit.
    fn visit(&mut self, id: Id) -> rusqlite::Result<bool> {
        if self.known.contains(&id) {
            return Ok(true);
        }
        let mut range = self
            .conn
            .prepare_cached("SELECT id - ordinal + block FROM message WHERE id = ?1")?;
        let end: Option<i64> = range
            .query_row([id.as_i64()], |row| row.get(0))
            .optional()?;
        let Some(end) = end else {
            return self.visit_delivery(id);
        };
        // Causes stand before what follows from them, so one pass in id order is enough.
        let mut messages = self.conn.prepare_cached(&format!(
            "SELECT {MESSAGE_COLUMNS} FROM message AS m WHERE m.id >= ?1 AND m.id < ?2 ORDER BY m.id"
        ))?;
        let mut rows = messages.query((id.as_i64(), end))?;
        while let Some(row) = rows.next()? {
            let at = Id::from_i64(row.get(0)?);
            let cause = row.get::<_, Option<i64>>(5)?.map(Id::from_i64);
            if at == id || cause.is_some_and(|cause| cause >= id && self.known.contains(&cause)) {
                if self.full() {
                    return Ok(false);
                }
                self.known.insert(at);
                self.trace.messages.push(rows::message(row)?);
            }
        }
        let mut deliveries = self.conn.prepare_cached(&format!(
            "SELECT {DELIVERY_COLUMNS} FROM delivery AS d WHERE d.id >= ?1 AND d.id < ?2 ORDER BY d.id"
        ))?;
        let mut rows = deliveries.query((id.as_i64(), end))?;
        while let Some(row) = rows.next()? {
            let at = Id::from_i64(row.get(0)?);
            if self.known.contains(&Id::from_i64(row.get(1)?)) && !self.known.contains(&at) {
                if self.full() {
                    return Ok(false);
                }
                self.known.insert(at);
                self.trace.deliveries.push(rows::delivery(row)?);
            }
        }
        self.follow(id.as_i64(), end)
    }

    fn visit_delivery(&mut self, id: Id) -> rusqlite::Result<bool> {
        if self.full() {
            return Ok(false);
        }
        if let Some(row) = super::read::delivery(self.conn, id)? {
            self.known.insert(id);
            self.trace.deliveries.push(row);
            return self.follow(id.as_i64(), id.as_i64() + 1);
        }
        Ok(true)
    }

    /// Notes what leads from the known ids of a range into other blocks.
    fn follow(&mut self, from: i64, end: i64) -> rusqlite::Result<bool> {
        let mut links = self.conn.prepare_cached(
            "SELECT origin, target, kind FROM link WHERE origin >= ?1 AND origin < ?2 ORDER BY origin, target",
        )?;
        let mut rows = links.query((from, end))?;
        while let Some(row) = rows.next()? {
            let (from, to) = (Id::from_i64(row.get(0)?), Id::from_i64(row.get(1)?));
            if self.known.contains(&from) {
                if self.trace.links.len() + self.trace.taken.len() >= MAX_DETAILS {
                    return Ok(false);
                }
                let kind = match row.get::<_, u8>(2)? {
                    kind if kind == LinkKind::Taken as u8 => {
                        let instance = InstanceId(to);
                        self.trace.taken.push(Taken {
                            event: from,
                            instance,
                        });
                        continue;
                    }
                    kind if kind == LinkKind::Follow as u8 => LinkKind::Follow,
                    _ => LinkKind::Replay,
                };
                let link = Link { from, to, kind };
                self.trace.links.push(link);
                self.open.insert(link.to);
            }
        }
        Ok(true)
    }

    fn full(&self) -> bool {
        self.known.len() >= self.limit
    }
}
