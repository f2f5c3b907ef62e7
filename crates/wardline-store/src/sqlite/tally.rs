//! Counts kept beside the rows: gathered in memory during a transaction, written with it.
//!
//! One batch of a hundred messages to three destinations changes a thousand rows and about
//! twenty counts; a batch that is rolled back forgets its counts with its rows. Counts are
//! kept per minute; the totals of closed minutes are folded into `total` once a minute, so
//! a total is what was folded plus the open minutes.

use super::schema::{internal, set_internal};
use crate::query::CounterKind;
use ahash::AHashMap;
use rusqlite::Connection;
use wardline_core::{DeliveryState, Lane, Sym, Timestamp};

pub(super) const FOLDED: &str = "folded_minute";

/// The changes of counts in the transaction at hand.
#[derive(Debug)]
pub(super) struct Tally {
    counts: AHashMap<(u8, u32, u32), u64>,
    gauges: AHashMap<(u32, u8, u8), i64>,
    failures: AHashMap<(u32, i64, u8), i64>,
    instances: AHashMap<(u32, u32, u8, u32), i64>,
    /// Minutes before this are in `total`.
    folded: i64,
    /// As `folded`, once the transaction at hand is committed.
    folding: i64,
}

impl Tally {
    /// Continues where the file stands.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let folded = internal(conn, FOLDED)?.unwrap_or(0);
        Ok(Self {
            counts: AHashMap::new(),
            gauges: AHashMap::new(),
            failures: AHashMap::new(),
            instances: AHashMap::new(),
            folded,
            folding: folded,
        })
    }

    /// Counts `n` events of a source or flow.
    pub(super) fn count(&mut self, kind: CounterKind, name: Sym, n: u64) {
        *self.counts.entry((kind as u8, name.0, 0)).or_default() += n;
    }

    /// Counts `n` events of a destination, for one flow.
    pub(super) fn count_for(&mut self, kind: CounterKind, destination: Sym, flow: Sym, n: u64) {
        *self
            .counts
            .entry((kind as u8, destination.0, flow.0))
            .or_default() += n;
    }

    /// A delivery entered a state.
    pub(super) fn enter(&mut self, place: Place, state: DeliveryState, fingerprint: Option<i64>) {
        self.step(place, state, fingerprint, 1);
    }

    /// A delivery left a state.
    pub(super) fn leave(&mut self, place: Place, state: DeliveryState, fingerprint: Option<i64>) {
        self.step(place, state, fingerprint, -1);
    }

    /// So many more instances (fewer where negative) stand somewhere.
    pub(super) fn instances(&mut self, at: InstancePlace, by: i64) {
        *self
            .instances
            .entry((at.process.0, at.definition.0, at.phase, at.status))
            .or_default() += by;
    }

    fn step(&mut self, place: Place, state: DeliveryState, fingerprint: Option<i64>, by: i64) {
        if state.is_open() {
            *self
                .gauges
                .entry((place.destination.0, place.lane.as_u8(), state.as_u8()))
                .or_default() += by;
        }
        if matches!(state, DeliveryState::Held | DeliveryState::Dead) {
            let group = (place.destination.0, fingerprint.unwrap_or(0), state.as_u8());
            *self.failures.entry(group).or_default() += by;
        }
    }

    /// Writes everything gathered; part of the transaction.
    pub(super) fn flush(&mut self, conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let minute = now.0.div_euclid(60_000_000).max(self.folded);
        if minute > self.folded {
            conn.prepare_cached(
                "INSERT INTO total (kind, name, flow, n)
                 SELECT kind, name, flow, sum(n) FROM counter WHERE minute >= ?1 AND minute < ?2
                 GROUP BY kind, name, flow
                 ON CONFLICT (kind, name, flow) DO UPDATE SET n = n + excluded.n",
            )?
            .execute((self.folded, minute))?;
            set_internal(conn, FOLDED, minute)?;
            self.folding = minute;
        }
        if !self.counts.is_empty() {
            let mut upsert = conn.prepare_cached(
                "INSERT INTO counter (minute, kind, name, flow, n) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (minute, kind, name, flow) DO UPDATE SET n = n + excluded.n",
            )?;
            for ((kind, name, flow), n) in self.counts.drain() {
                upsert.execute((minute, kind, name, flow, n as i64))?;
            }
        }
        if !self.gauges.is_empty() {
            let mut upsert = conn.prepare_cached(
                "INSERT INTO gauge (destination, lane, state, n) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (destination, lane, state) DO UPDATE SET n = n + excluded.n",
            )?;
            for ((destination, lane, state), by) in self.gauges.drain().filter(|(_, by)| *by != 0) {
                upsert.execute((destination, lane, state, by))?;
            }
        }
        if !self.instances.is_empty() {
            self.flush_instances(conn)?;
        }
        if !self.failures.is_empty() {
            let mut upsert = conn.prepare_cached(
                "INSERT INTO failure (destination, fingerprint, state, n) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (destination, fingerprint, state) DO UPDATE SET n = n + excluded.n",
            )?;
            let mut tidy = conn.prepare_cached(
                "DELETE FROM failure WHERE destination = ?1 AND fingerprint = ?2 AND state = ?3 AND n = 0",
            )?;
            for ((destination, fingerprint, state), by) in
                self.failures.drain().filter(|(_, by)| *by != 0)
            {
                upsert.execute((destination, fingerprint, state, by))?;
                if by < 0 {
                    tidy.execute((destination, fingerprint, state))?;
                }
            }
        }
        Ok(())
    }

    fn flush_instances(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut upsert = conn.prepare_cached(
            "INSERT INTO instance_gauge (process, definition, phase, status, n) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (process, definition, phase, status) DO UPDATE SET n = n + excluded.n",
        )?;
        // Definitions come and go: what nobody stands at any more is not kept.
        let mut tidy = conn.prepare_cached(
            "DELETE FROM instance_gauge
             WHERE process = ?1 AND definition = ?2 AND phase = ?3 AND status = ?4 AND n = 0",
        )?;
        for ((process, definition, phase, status), by) in
            self.instances.drain().filter(|(_, by)| *by != 0)
        {
            upsert.execute((process, definition, phase, status, by))?;
            if by < 0 {
                tidy.execute((process, definition, phase, status))?;
            }
        }
        Ok(())
    }

    /// The transaction is durable.
    pub(super) fn committed(&mut self) {
        self.folded = self.folding;
    }

    /// The transaction never was.
    pub(super) fn rolled_back(&mut self) {
        self.counts.clear();
        self.gauges.clear();
        self.failures.clear();
        self.instances.clear();
        self.folding = self.folded;
    }
}

/// Where a delivery is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) destination: Sym,
    pub(super) lane: Lane,
}

/// Where an instance is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstancePlace {
    pub(super) process: Sym,
    pub(super) definition: Sym,
    pub(super) phase: u8,
    /// 0 for none.
    pub(super) status: u32,
}
