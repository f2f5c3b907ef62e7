//! Which messages came before: the memory behind "a duplicate gets the first answer again".
//!
//! The keys are hashes, so one tree over all of them would cost a random page for every
//! message, read and written; after ten million messages that is most of the work there is.
//! Instead entries are appended to `inbox_recent` and held in memory, and every
//! [`RUN_ENTRIES`] of them are moved, sorted, into a run of `inbox_run`, a slice with each
//! transaction. A filter in memory, two bytes an entry, says in which runs a key may be, so
//! that a new message touches the disk once in a few hundred runs. Everything in memory can
//! be read back from the tables without a scan of the runs.

use super::filter::{Filter, Hash, Probe};
use super::schema::{internal, set_internal};
use crate::change::Dedup;
use ahash::AHashMap;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use wardline_core::Id;

/// Entries of a run.
const RUN_ENTRIES: usize = 65_536;
/// Entries moved in a transaction, beside two for each that is new in it.
const SLICE: usize = 256;
/// Rows forgotten in one step of retention.
const FORGET_ROWS: usize = 2_000;
const HORIZON: &str = "inbox_horizon";

/// A message that a key was seen with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) message: i64,
    pub(super) digest: i64,
}

/// Keys seen so far.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    recent: AHashMap<(Hash, u32), Entry>,
    moving: Option<Moving>,
    /// Oldest first.
    runs: Vec<Run>,
    /// Rows of `inbox_recent` up to this message are in runs and may go.
    clear_to: Option<i64>,
    /// Entries of messages before this are forgotten.
    horizon: i64,
    /// What the transaction at hand entered, and what stood there before.
    staged: Vec<((Hash, u32), Option<Entry>)>,
    staged_run: Option<Run>,
    staged_drop: Option<i64>,
}

/// Entries on their way into a run.
#[derive(Debug)]
struct Moving {
    run: i64,
    newest: i64,
    entries: Vec<((Hash, u32), Entry)>,
    written: usize,
    committed: usize,
}

#[derive(Debug)]
struct Run {
    /// Its number in the tables: the first message in it.
    name: i64,
    newest: i64,
    filter: Filter,
}

impl Inbox {
    /// Reads what is kept in memory: the filters and the recent entries.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut inbox = Self {
            horizon: internal(conn, HORIZON)?.unwrap_or(0),
            ..Self::default()
        };
        let mut filters =
            conn.prepare("SELECT run, newest, filter FROM inbox_filter ORDER BY run")?;
        let mut rows = filters.query([])?;
        while let Some(row) = rows.next()? {
            inbox.runs.push(Run {
                name: row.get(0)?,
                newest: row.get(1)?,
                filter: Filter(row.get(2)?),
            });
        }
        inbox.clear_to = inbox.runs.iter().map(|run| run.newest).max();
        let mut recent = conn.prepare(
            "SELECT id, source, hash, digest FROM inbox_recent WHERE id > ?1 ORDER BY id",
        )?;
        let mut rows = recent.query([inbox.clear_to.unwrap_or(0)])?;
        while let Some(row) = rows.next()? {
            let entry = Entry {
                message: row.get(0)?,
                digest: row.get(3)?,
            };
            inbox.recent.insert((row.get(2)?, row.get(1)?), entry);
        }
        Ok(inbox)
    }

    /// Before the first entry of a transaction: starts a move when there is enough to move.
    pub(super) fn begin(&mut self) {
        if self.recent.len() < RUN_ENTRIES || self.moving.is_some() {
            return;
        }
        let mut entries: Vec<_> = self.recent.drain().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        let messages = || entries.iter().map(|(_, entry)| entry.message);
        let (run, newest) = (messages().min().unwrap_or(0), messages().max().unwrap_or(0));
        self.moving = Some(Moving {
            run,
            newest,
            entries,
            written: 0,
            committed: 0,
        });
    }

    /// The last message seen with a key, unless it was long ago.
    pub(super) fn find(&self, conn: &Connection, dedup: &Dedup) -> rusqlite::Result<Option<Entry>> {
        let key = (dedup.hash, dedup.source.0);
        let mut found = self.recent.get(&key).copied();
        if let (None, Some(moving)) = (found, &self.moving) {
            let at = moving.entries.binary_search_by_key(&key, |(key, _)| *key);
            found = at.ok().map(|at| moving.entries[at].1);
        }
        if found.is_none() {
            let probe = Probe::of(&key);
            for run in self
                .runs
                .iter()
                .rev()
                .filter(|run| run.filter.may_hold(probe))
            {
                found = conn
                    .prepare_cached(
                        "SELECT message, digest FROM inbox_run WHERE run = ?1 AND hash = ?2 AND source = ?3",
                    )?
                    .query_row((run.name, &key.0[..], key.1), |row| {
                        Ok(Entry { message: row.get(0)?, digest: row.get(1)? })
                    })
                    .optional()?;
                if found.is_some() {
                    break;
                }
            }
        }
        Ok(found.filter(|entry| entry.message >= self.horizon))
    }

    /// The answer that was given to a message.
    pub(super) fn answer(conn: &Connection, entry: Entry) -> rusqlite::Result<Bytes> {
        let bytes: Option<Vec<u8>> = conn
            .prepare_cached("SELECT bytes FROM answer WHERE id = ?1")?
            .query_row([entry.message], |row| row.get(0))
            .optional()?;
        Ok(Bytes::from(bytes.unwrap_or_default()))
    }

    /// A message came with a key.
    pub(super) fn enter(
        &mut self,
        conn: &Connection,
        dedup: &Dedup,
        message: Id,
    ) -> rusqlite::Result<()> {
        let entry = Entry {
            message: message.as_i64(),
            digest: dedup.digest,
        };
        conn.prepare_cached(
            "INSERT INTO inbox_recent (id, source, hash, digest) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((entry.message, dedup.source.0, &dedup.hash[..], entry.digest))?;
        if !dedup.answer.is_empty() {
            conn.prepare_cached("INSERT INTO answer (id, bytes) VALUES (?1, ?2)")?
                .execute((entry.message, &dedup.answer[..]))?;
        }
        let key = (dedup.hash, dedup.source.0);
        let before = self.recent.insert(key, entry);
        self.staged.push((key, before));
        Ok(())
    }

    /// Moves a slice of what is to be moved; part of the transaction.
    pub(super) fn advance(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let slice = SLICE + 2 * self.staged.len();
        if let Some(moving) = &mut self.moving {
            // A move that a crash cut off is made again from its beginning: hence REPLACE.
            let mut insert = conn.prepare_cached(
                "INSERT OR REPLACE INTO inbox_run (run, hash, source, message, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for ((hash, source), entry) in moving.entries.iter().skip(moving.written).take(slice) {
                insert.execute((moving.run, &hash[..], source, entry.message, entry.digest))?;
            }
            moving.written = (moving.written + slice).min(moving.entries.len());
            if moving.written == moving.entries.len() {
                let filter = Filter::of(moving.entries.iter().map(|(key, _)| key));
                conn.prepare_cached(
                    "INSERT INTO inbox_filter (run, newest, filter) VALUES (?1, ?2, ?3)",
                )?
                .execute((moving.run, moving.newest, &filter.0))?;
                self.staged_run = Some(Run {
                    name: moving.run,
                    newest: moving.newest,
                    filter,
                });
            }
        } else if let Some(clear_to) = self.clear_to {
            let cleared = delete_up_to(conn, "inbox_recent", clear_to + 1, slice)?;
            if cleared < slice {
                self.clear_to = None;
            }
        }
        Ok(())
    }

    /// The transaction is durable.
    pub(super) fn committed(&mut self) {
        self.staged.clear();
        if let Some(moving) = &mut self.moving {
            moving.committed = moving.written;
        }
        if let Some(run) = self.staged_run.take() {
            self.clear_to = Some(run.newest);
            self.moving = None;
            self.runs.push(run);
        }
        if let Some(dropped) = self.staged_drop.take() {
            self.runs.retain(|run| run.name != dropped);
        }
    }

    /// The transaction never was.
    pub(super) fn rolled_back(&mut self) {
        for (key, before) in self.staged.drain(..).rev() {
            match before {
                Some(entry) => self.recent.insert(key, entry),
                None => self.recent.remove(&key),
            };
        }
        if let Some(moving) = &mut self.moving {
            moving.written = moving.committed;
        }
        (self.staged_run, self.staged_drop) = (None, None);
    }

    /// One step of forgetting entries of messages before `horizon`; true while there is more
    /// on the disk. What is forgotten is not found any more, from the first step on.
    pub(super) fn forget(&mut self, conn: &Connection, horizon: i64) -> rusqlite::Result<bool> {
        if horizon > self.horizon {
            self.horizon = horizon;
            self.recent.retain(|_, entry| entry.message >= horizon);
            set_internal(conn, HORIZON, horizon)?;
        }
        let mut more = delete_up_to(conn, "answer", horizon, FORGET_ROWS)? == FORGET_ROWS;
        more |= delete_up_to(conn, "inbox_recent", horizon, FORGET_ROWS)? == FORGET_ROWS;
        if let Some(run) = self.runs.iter().find(|run| run.newest < horizon) {
            let slice = conn
                .prepare_cached(
                    "DELETE FROM inbox_run WHERE run = ?1 AND hash <=
                         (SELECT hash FROM inbox_run WHERE run = ?1 ORDER BY hash LIMIT 1 OFFSET ?2)",
                )?
                .execute((run.name, FORGET_ROWS as i64))?;
            if slice == 0 {
                conn.prepare_cached("DELETE FROM inbox_run WHERE run = ?1")?
                    .execute([run.name])?;
                conn.prepare_cached("DELETE FROM inbox_filter WHERE run = ?1")?
                    .execute([run.name])?;
                self.staged_drop = Some(run.name);
            }
            more = true;
        }
        Ok(more)
    }
}

/// Removes at most `most` rows of a table before an id; says how many.
fn delete_up_to(
    conn: &Connection,
    table: &'static str,
    before: i64,
    most: usize,
) -> rusqlite::Result<usize> {
    conn.prepare_cached(&format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < ?1 ORDER BY id LIMIT ?2)"
    ))?
    .execute((before, most as i64))
}

#[cfg(test)]
mod tests {
    use super::super::filter::mix;
    use super::*;
    use wardline_core::Sym;

    fn dedup(n: u64, source: u32) -> Dedup {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&mix(n).to_be_bytes());
        Dedup {
            source: Sym(source),
            hash,
            digest: n as i64,
            answer: Bytes::from(n.to_string()),
            since: None,
        }
    }

    fn fresh() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        super::super::schema::migrate(&conn, 0).unwrap();
        conn
    }

    /// Enters keys in transactions of 1,000, as the writer would.
    fn enter(inbox: &mut Inbox, conn: &Connection, numbers: std::ops::Range<u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for batch in numbers.chunks(1_000) {
            let tx = conn.unchecked_transaction().unwrap();
            inbox.begin();
            for n in batch {
                assert_eq!(inbox.find(&tx, &dedup(*n, 1)).unwrap(), None);
                inbox
                    .enter(&tx, &dedup(*n, 1), Id::from_i64(*n as i64 + 1))
                    .unwrap();
            }
            inbox.advance(&tx).unwrap();
            tx.commit().unwrap();
            inbox.committed();
        }
    }

    #[test]
    fn keys_are_found_before_during_and_after_a_move_and_a_restart() {
        let conn = fresh();
        let mut inbox = Inbox::load(&conn).unwrap();
        let most = 2 * RUN_ENTRIES as u64 + 40_000;
        enter(&mut inbox, &conn, 0..most);
        assert!(inbox.runs.len() >= 2, "{} runs", inbox.runs.len());
        for round in 0..2 {
            for n in (0..most).step_by(37) {
                let entry = inbox.find(&conn, &dedup(n, 1)).unwrap();
                assert_eq!(
                    entry,
                    Some(Entry {
                        message: n as i64 + 1,
                        digest: n as i64
                    }),
                    "round {round}"
                );
                assert_eq!(Inbox::answer(&conn, entry.unwrap()).unwrap(), n.to_string());
                assert_eq!(
                    inbox.find(&conn, &dedup(n, 2)).unwrap(),
                    None,
                    "another source"
                );
            }
            inbox = Inbox::load(&conn).unwrap();
        }
        let left: i64 = conn
            .query_row("SELECT count(*) FROM inbox_recent", [], |row| row.get(0))
            .unwrap();
        assert!(
            (left as u64) < 2 * RUN_ENTRIES as u64,
            "{left} entries wait to be cleared"
        );
    }

    #[test]
    fn a_rolled_back_transaction_leaves_no_trace() {
        let conn = fresh();
        let mut inbox = Inbox::load(&conn).unwrap();
        enter(&mut inbox, &conn, 0..RUN_ENTRIES as u64);
        let changed = Dedup {
            digest: -1,
            ..dedup(5, 1)
        };
        for _ in 0..400 {
            let tx = conn.unchecked_transaction().unwrap();
            inbox.begin();
            inbox
                .enter(&tx, &dedup(9_999_999, 1), Id::from_i64(70_000))
                .unwrap();
            inbox.enter(&tx, &changed, Id::from_i64(70_001)).unwrap();
            inbox.advance(&tx).unwrap();
            tx.rollback().unwrap();
            inbox.rolled_back();
        }
        assert_eq!(inbox.find(&conn, &dedup(9_999_999, 1)).unwrap(), None);
        assert_eq!(inbox.find(&conn, &changed).unwrap().unwrap().digest, 5);
        enter(&mut inbox, &conn, 100_000..170_000);
        assert_eq!(
            inbox.runs.len(),
            1,
            "the move that was taken back was made all the same"
        );
        assert_eq!(
            inbox.find(&conn, &dedup(77, 1)).unwrap().unwrap().message,
            78
        );
    }

    #[test]
    fn forgetting_frees_the_disk() {
        let conn = fresh();
        let mut inbox = Inbox::load(&conn).unwrap();
        let most = 2 * RUN_ENTRIES as u64;
        enter(&mut inbox, &conn, 0..most + 40_000);
        let horizon = most as i64 + 1_001;
        let mut steps = 0;
        loop {
            let more = inbox.forget(&conn, horizon).unwrap();
            inbox.committed();
            assert_eq!(inbox.find(&conn, &dedup(12, 1)).unwrap(), None, "at once");
            steps += 1;
            if !more {
                break;
            }
        }
        assert!(steps > 50, "in small steps, not {steps}");
        for (table, most) in [
            ("inbox_run", 65_536),
            ("inbox_recent", 40_000),
            ("answer", 40_000),
        ] {
            let left: i64 = conn
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get(0)
                })
                .unwrap();
            assert!(left < most, "{left} rows left in {table}");
        }
        assert!(inbox.find(&conn, &dedup(most + 999, 1)).unwrap().is_none());
        assert!(
            inbox
                .find(&conn, &dedup(most + 1_000, 1))
                .unwrap()
                .is_some()
        );
    }
}
