//! Retention, in small steps between other work.
//!
//! Two walks go up through the blocks in id order, one for payloads and one for whole
//! records, each with a cursor kept in the store. A block that may not go yet, because
//! something in it is owed (or dead, for records), is noted in `kept` and looked at again in
//! every later pass; everything else is looked at once. So the cost follows what is removed,
//! not the age of the store.

use super::keyed::Keyed;
use super::mail::HIGH_MAIL;
use super::schema::{internal, set_internal};
use super::tally::InstancePlace;
use super::writer::Writer;
use crate::query::{CounterKind, PruneReport, PruneRequest};
use rusqlite::OptionalExtension;
use wardline_core::{Id, Sym, Timestamp};

/// Days for which counts per minute are kept.
const SERIES_DAYS: i64 = 31;
/// Terms looked at in one step.
const SWEEP_ROWS: usize = 2_000;
/// Pages given back to the file system in one step, where many are free.
const VACUUM_PAGES: i64 = 256;
/// Blocks looked at in one step, whatever was asked for.
const MAX_STEP: usize = 2_000;
/// Replays of one block that are followed.
const MAX_REPLAYS: usize = 100_000;

/// Advances whose history goes in one step.
const HISTORY_ROWS: usize = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Payloads = 0,
    Records = 1,
}

/// Where the passes stand that need no memory across restarts.
#[derive(Debug, Default, Clone)]
pub(super) struct PruneCursor {
    kept: [i64; 2],
    term: Option<(i64, i64, i64)>,
    before: Option<Box<PruneCursor>>,
}

impl PruneCursor {
    /// The transaction never was.
    pub(super) fn rolled_back(&mut self) {
        if let Some(before) = self.before.take() {
            *self = *before;
        }
    }
}

impl Writer<'_> {
    /// One step; part of the transaction at hand.
    pub(super) fn prune_step(&mut self, request: &PruneRequest) -> rusqlite::Result<PruneReport> {
        self.prune.before = None;
        self.prune.before = Some(Box::new(self.prune.clone()));
        let step = request.step.clamp(1, MAX_STEP);
        let mut report = PruneReport::default();
        // Ids must go on rising when the newest messages are removed.
        set_internal(self.conn, "high_id", self.last_id().as_i64())?;
        set_internal(self.conn, HIGH_MAIL, self.post.last())?;
        if let Some(before) = request.payloads_before {
            report.more |= self.walk(What::Payloads, before, step, &mut report)?;
        }
        if let Some(before) = request.records_before {
            report.more |= self.walk(What::Records, before, step, &mut report)?;
            report.more |= self.sweep_terms(before)?;
        }
        if let Some(before) = request.dedup_before {
            let horizon = Id::from_parts(before.unix_ms(), 0, 0).as_i64();
            report.more |= self.inbox.forget(self.conn, horizon)?;
        }
        if let Some(before) = request.records_before {
            report.more |= self.prune_instances(before, step, &mut report)?;
        }
        report.more |= self.forget_mail(step)? == step;
        report.more |= self.keyed.forget(self.conn, self.now, step)?;
        self.conn
            .prepare_cached("DELETE FROM counter WHERE minute < ?1")?
            .execute([self.forgettable_minute()?])?;
        self.give_back()?;
        // The first row of the primary key: no scan.
        report.oldest_content = self
            .conn
            .prepare_cached("SELECT min(id) FROM content")?
            .query_row([], |row| row.get::<_, Option<i64>>(0))?
            .map(|id| Timestamp::from_unix_ms(Id::from_i64(id).unix_ms()));
        report.oldest_instance = self
            .conn
            .prepare_cached("SELECT min(id) FROM instance")?
            .query_row([], |row| row.get::<_, Option<i64>>(0))?
            .map(|id| Timestamp::from_unix_ms(Id::from_i64(id).unix_ms()));
        // Resources are sealed as variables are.
        if let Some(changed) = super::resource::oldest(self.conn)? {
            let oldest = report.oldest_instance.map_or(changed, |at| at.min(changed));
            report.oldest_instance = Some(oldest);
        }
        // Answers to keys are content as well: they outlive neither their day's key nor it them.
        if let Some(begun) = Keyed::oldest(self.conn)? {
            let oldest = report.oldest_content.map_or(begun, |at| at.min(begun));
            report.oldest_content = Some(oldest);
        }
        Ok(report)
    }

    /// Removes instances that ended before a time, at most `step` of them; true while there are
    /// more. Those that are open stay, however old they are.
    fn prune_instances(
        &mut self,
        before: Timestamp,
        step: usize,
        report: &mut PruneReport,
    ) -> rusqlite::Result<bool> {
        let ended: Vec<(i64, InstancePlace)> = self
            .conn
            .prepare_cached(
                "SELECT id, process, definition, phase, status FROM instance INDEXED BY instance_ended
                 WHERE ended IS NOT NULL AND ended < ?1 ORDER BY ended LIMIT ?2",
            )?
            .query_map((before.0, step as i64), |row| {
                let place = InstancePlace {
                    process: Sym(row.get(1)?),
                    definition: Sym(row.get(2)?),
                    phase: row.get(3)?,
                    status: row.get(4)?,
                };
                Ok((row.get(0)?, place))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut room = HISTORY_ROWS;
        for (id, place) in &ended {
            // A long history goes in several steps, and its instance with the last of them.
            let lines = self
                .conn
                .prepare_cached(
                    "DELETE FROM history WHERE instance = ?1 AND revision IN
                         (SELECT revision FROM history WHERE instance = ?1 ORDER BY revision LIMIT ?2)",
                )?
                .execute((id, room as i64))?;
            room -= lines;
            if room == 0 {
                return Ok(true);
            }
            for sql in [
                "DELETE FROM instance WHERE id = ?1",
                "DELETE FROM instance_state WHERE id = ?1",
                "DELETE FROM task WHERE instance = ?1",
                "DELETE FROM mail WHERE state <= 1 AND instance IS NOT NULL AND instance = ?1",
            ] {
                self.conn.prepare_cached(sql)?.execute([id])?;
            }
            self.tally.instances(*place, -1);
            report.instances += 1;
        }
        Ok(ended.len() == step)
    }

    /// Minutes before this are old enough to forget, and already part of the totals.
    fn forgettable_minute(&self) -> rusqlite::Result<i64> {
        let old = self.now.0.div_euclid(60_000_000) - SERIES_DAYS * 1_440;
        let folded = internal(self.conn, super::tally::FOLDED)?.unwrap_or(0);
        Ok(old.min(folded).max(0))
    }

    /// One step of one walk; true when there is more to do now.
    fn walk(
        &mut self,
        what: What,
        before: Timestamp,
        step: usize,
        report: &mut PruneReport,
    ) -> rusqlite::Result<bool> {
        let horizon = Id::from_parts(before.unix_ms(), 0, 0).as_i64();
        let again = self.look_again(what, horizon, step, report)?;
        let name = match what {
            What::Payloads => "pruned_payloads",
            What::Records => "pruned_records",
        };
        let from = internal(self.conn, name)?.unwrap_or(0);
        let blocks = self.blocks(from, horizon, step)?;
        for (first, end) in &blocks {
            if !self.prune_block(what, *first, *end, report)? {
                self.conn
                    .prepare_cached("INSERT OR IGNORE INTO kept (what, block) VALUES (?1, ?2)")?
                    .execute((what as u8, first))?;
            }
        }
        if let Some((_, end)) = blocks.last() {
            set_internal(self.conn, name, *end)?;
        }
        Ok(again || blocks.len() == step)
    }

    /// Looks again at blocks that could not go before; true when some are left for this pass.
    fn look_again(
        &mut self,
        what: What,
        horizon: i64,
        step: usize,
        report: &mut PruneReport,
    ) -> rusqlite::Result<bool> {
        let kept: Vec<i64> = self
            .conn
            .prepare_cached("SELECT block FROM kept WHERE what = ?1 AND block > ?2 AND block < ?3 ORDER BY block LIMIT ?4")?
            .query_map((what as u8, self.prune.kept[what as usize], horizon, step as i64), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for first in &kept {
            let end: Option<i64> = self
                .conn
                .prepare_cached("SELECT id + block FROM message WHERE id = ?1")?
                .query_row([first], |row| row.get(0))
                .optional()?;
            let gone = match end {
                Some(end) => self.prune_block(what, *first, end, report)?,
                None => true,
            };
            if gone {
                self.conn
                    .prepare_cached("DELETE FROM kept WHERE what = ?1 AND block = ?2")?
                    .execute((what as u8, first))?;
            }
        }
        let more = kept.len() == step;
        self.prune.kept[what as usize] = if more {
            kept.last().copied().unwrap_or(0)
        } else {
            0
        };
        Ok(more)
    }

    /// The next blocks of messages between two ids.
    fn blocks(&self, from: i64, horizon: i64, step: usize) -> rusqlite::Result<Vec<(i64, i64)>> {
        self.conn
            .prepare_cached(
                "SELECT id, id + block FROM message WHERE id >= ?1 AND id < ?2 AND ordinal = 0 ORDER BY id LIMIT ?3",
            )?
            .query_map((from, horizon, step as i64), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// Removes what may go of one block; false when something in it must stay.
    fn prune_block(
        &mut self,
        what: What,
        first: i64,
        end: i64,
        report: &mut PruneReport,
    ) -> rusqlite::Result<bool> {
        let replays = self.replays(first, end)?;
        let must_stay = match what {
            What::Payloads => "state <= 2",
            What::Records => "state IN (0, 1, 2, 4)",
        };
        let stays = |low: i64, high: i64| -> rusqlite::Result<bool> {
            self.conn
                .prepare_cached(&format!(
                    "SELECT EXISTS (SELECT 1 FROM delivery WHERE id >= ?1 AND id < ?2 AND {must_stay})"
                ))?
                .query_row((low, high), |row| row.get(0))
        };
        if stays(first, end)? {
            return Ok(false);
        }
        for replay in &replays {
            if stays(*replay, replay + 1)? {
                return Ok(false);
            }
        }
        report.payloads += self.drop_bodies(first, end)?;
        for replay in &replays {
            report.payloads += self.drop_bodies(*replay, replay + 1)?;
        }
        if what == What::Records {
            report.messages += self.drop_records(first, end)?;
            for replay in &replays {
                self.drop_records(*replay, replay + 1)?;
            }
        }
        Ok(true)
    }

    /// Deliveries outside the block that repeat what is in it, and those that repeat them.
    fn replays(&self, first: i64, end: i64) -> rusqlite::Result<Vec<i64>> {
        let mut links = self.conn.prepare_cached(
            "SELECT target FROM link WHERE kind = 1 AND origin >= ?1 AND origin < ?2",
        )?;
        let mut found: Vec<i64> = links
            .query_map((first, end), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut at = 0;
        while at < found.len() && found.len() < MAX_REPLAYS {
            let origin = found[at];
            for target in links.query_map((origin, origin + 1), |row| row.get(0))? {
                found.push(target?);
            }
            at += 1;
        }
        Ok(found)
    }

    fn drop_bodies(&self, low: i64, high: i64) -> rusqlite::Result<u64> {
        let mut dropped = 0;
        for sql in [
            "DELETE FROM content WHERE id >= ?1 AND id < ?2",
            "DELETE FROM response WHERE id >= ?1 AND id < ?2",
        ] {
            dropped += self.conn.prepare_cached(sql)?.execute((low, high))? as u64;
        }
        Ok(dropped)
    }

    /// Removes the rows of a range and counts them; returns how many messages went.
    fn drop_records(&mut self, low: i64, high: i64) -> rusqlite::Result<u64> {
        let mut messages = 0;
        {
            let mut rows = self
                .conn
                .prepare_cached("SELECT source FROM message WHERE id >= ?1 AND id < ?2")?;
            let mut rows = rows.query((low, high))?;
            while let Some(row) = rows.next()? {
                messages += 1;
                self.tally
                    .count(CounterKind::PrunedMessages, Sym(row.get(0)?), 1);
            }
        }
        {
            let mut rows = self.conn.prepare_cached(
                "SELECT destination, flow FROM delivery WHERE id >= ?1 AND id < ?2",
            )?;
            let mut rows = rows.query((low, high))?;
            while let Some(row) = rows.next()? {
                let (destination, flow) = (Sym(row.get(0)?), Sym(row.get(1)?));
                self.tally
                    .count_for(CounterKind::PrunedDeliveries, destination, flow, 1);
            }
        }
        for sql in [
            "DELETE FROM message WHERE id >= ?1 AND id < ?2",
            "DELETE FROM delivery WHERE id >= ?1 AND id < ?2",
            "DELETE FROM attempt WHERE delivery >= ?1 AND delivery < ?2",
            "DELETE FROM link WHERE origin >= ?1 AND origin < ?2",
        ] {
            self.conn.prepare_cached(sql)?.execute((low, high))?;
        }
        Ok(messages)
    }

    /// Removes terms of messages that are gone, a slice a step; true while below the horizon
    /// some are left. Terms of messages that were kept stay with them.
    fn sweep_terms(&mut self, before: Timestamp) -> rusqlite::Result<bool> {
        let horizon = Id::from_parts(before.unix_ms(), 0, 0).as_i64();
        let swept = internal(self.conn, "swept_terms")?.unwrap_or(0);
        let from = self.prune.term.unwrap_or((swept, i64::MIN, i64::MIN));
        // A bucket is over when the next one begins before the horizon.
        let last: Option<i64> = self
            .conn
            .prepare_cached("SELECT max(bucket) FROM term WHERE bucket < ?1")?
            .query_row([horizon], |row| row.get(0))?;
        let Some(last) = last else { return Ok(false) };
        let slice: Vec<(i64, i64, i64, bool)> = self
            .conn
            .prepare_cached(
                "SELECT bucket, value, message, EXISTS (SELECT 1 FROM message WHERE id = term.message)
                 FROM term WHERE (bucket, value, message) > (?1, ?2, ?3) AND bucket < ?4
                 ORDER BY bucket, value, message LIMIT ?5",
            )?
            .query_map((from.0, from.1, from.2, last, SWEEP_ROWS as i64), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut delete = self
            .conn
            .prepare_cached("DELETE FROM term WHERE bucket = ?1 AND value = ?2 AND message = ?3")?;
        for (bucket, value, message, _) in slice.iter().filter(|(.., stays)| !stays) {
            delete.execute((bucket, value, message))?;
        }
        if slice.len() < SWEEP_ROWS {
            self.prune.term = None;
            set_internal(self.conn, "swept_terms", last)?;
            return Ok(false);
        }
        self.prune.term = slice
            .last()
            .map(|(bucket, value, message, _)| (*bucket, *value, *message));
        Ok(true)
    }

    /// Returns free pages to the file system when a good part of the file is free. Pages that
    /// stay are reused, so a store in balance neither grows nor moves pages about.
    fn give_back(&self) -> rusqlite::Result<()> {
        let pages: i64 = self
            .conn
            .query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let free: i64 = self
            .conn
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        if free > VACUUM_PAGES && free > pages / 4 {
            let mut vacuum = self
                .conn
                .prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}
