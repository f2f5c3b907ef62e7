//! Reading: a few read-only connections on blocking threads, and the short queries.
//!
//! A reader never waits for the writer, nor the writer for a reader; but a read transaction
//! that stays open keeps the log from being reused, so every one here is short and bounded.

use super::rows::{self, DELIVERY_COLUMNS, LANE_COLUMNS, MESSAGE_COLUMNS, READY_COLUMNS};
use super::runs::Runs;
use super::trouble::refused;
use super::{Shared, schema};
use crate::change::AuditRecord;
use crate::error::StoreError;
use crate::query::{DeliveryRow, LaneRow, MessageRow, Ready};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::sync::Arc;
use tokio::sync::Semaphore;
use wardline_core::{BlindIndex, DeliveryId, Id, Lane, MessageId, Sealed, Sym, Timestamp};

/// Bytes of bodies after which a window ends, so that a thousand large deliveries do not
/// meet in memory.
const WINDOW_BYTES: usize = 32 << 20;
/// The most rows of one answer.
pub(super) const MAX_ROWS: usize = 100_000;

/// The reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
    shared: Arc<Shared>,
    vfs: Option<String>,
    cache_bytes: u64,
}

impl Readers {
    /// At most `most` connections, opened when first needed.
    pub(super) fn new(
        shared: Arc<Shared>,
        vfs: Option<String>,
        most: usize,
        cache_bytes: u64,
    ) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            room: Semaphore::new(most.max(1)),
            shared,
            vfs,
            cache_bytes,
        }
    }

    /// Runs a query on a blocking thread.
    pub(super) async fn run<T, F>(
        self: &Arc<Self>,
        doing: &'static str,
        query: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let readers = Arc::clone(self);
        // Held until the answer is here, so that there are never more connections than room.
        let _room = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let work = move || {
            let idle = readers.idle.lock().pop();
            let conn = match idle {
                Some(conn) => conn,
                None => readers.open()?,
            };
            // The writer waits for it only where the log has to begin anew.
            let turn = readers.shared.turn.read();
            let answer = query(&conn);
            drop(turn);
            readers.idle.lock().push(conn);
            answer
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer.map_err(|error| refused(&self.shared.path, doing, &error)),
            Err(error) => Err(StoreError::Database {
                doing,
                reason: error.to_string(),
            }),
        }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = match &self.vfs {
            Some(vfs) => {
                Connection::open_with_flags_and_vfs(&self.shared.path, flags, vfs.as_str())?
            }
            None => Connection::open_with_flags(&self.shared.path, flags)?,
        };
        schema::prepare_reader(&conn, self.cache_bytes)?;
        Ok(conn)
    }

    /// Refuses new reads and closes what is idle.
    pub(super) fn close(&self) {
        self.room.close();
        self.idle.lock().clear();
    }
}

/// Rows until the end, the limit, or enough bytes. The queries behind it come in order of id
/// from an index and say no `LIMIT ?`: SQLite compiles a statement anew whenever a value that
/// its plan looked at is bound, and it looks at limits.
struct Bounded {
    rows: Vec<Ready>,
    bytes: usize,
    limit: usize,
}

impl Bounded {
    const fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    const fn full(&self) -> bool {
        self.rows.len() >= self.limit || self.bytes >= WINDOW_BYTES
    }

    fn take(&mut self, mut rows: rusqlite::Rows<'_>) -> rusqlite::Result<()> {
        while !self.full() {
            let Some(row) = rows.next()? else { break };
            let ready = rows::ready(row)?;
            self.bytes += ready.body.len();
            self.rows.push(ready);
        }
        Ok(())
    }
}

pub(super) fn window(
    conn: &Connection,
    destination: Sym,
    lane: Lane,
    after: Id,
    limit: usize,
) -> rusqlite::Result<Vec<Ready>> {
    let limit = limit.min(MAX_ROWS);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {READY_COLUMNS} FROM delivery AS d INDEXED BY delivery_open LEFT JOIN content AS c
             ON c.id = CASE d.own_body WHEN 1 THEN d.id ELSE d.message END
         WHERE d.state <= 2 AND d.destination = ?1 AND d.lane = ?2 AND d.id > ?3
         ORDER BY d.id"
    ))?;
    let mut found = Bounded::new(limit);
    found.take(statement.query((destination.0, lane.as_u8(), after.as_i64()))?)?;
    Ok(found.rows)
}

pub(super) fn key_window(
    conn: &Connection,
    destination: Sym,
    lane: Lane,
    key: Option<BlindIndex>,
    from: Id,
    limit: usize,
) -> rusqlite::Result<Vec<Ready>> {
    // One state of the journal for all its runs.
    let tx = conn.unchecked_transaction()?;
    let limit = limit.min(MAX_ROWS);
    // `IS` finds NULL as well and uses the index like `=`.
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {READY_COLUMNS} FROM delivery AS d INDEXED BY delivery_key LEFT JOIN content AS c
             ON c.id = CASE d.own_body WHEN 1 THEN d.id ELSE d.message END
         WHERE d.state <= 2 AND d.destination = ?1 AND d.lane = ?2 AND d.run = ?3 AND d.key_index IS ?4
             AND d.id >= ?5
         ORDER BY d.id"
    ))?;
    let key = key.map(|key| key.0);
    let mut runs = Runs::of(&tx, destination, lane, from)?;
    let mut found = Bounded::new(limit);
    while !found.full()
        && let Some(run) = runs.next()?
    {
        found.take(statement.query((destination.0, lane.as_u8(), run, key, from.as_i64()))?)?;
    }
    Ok(found.rows)
}

pub(super) fn stopped_keys(
    conn: &Connection,
    destination: Option<Sym>,
    after: Id,
    limit: usize,
) -> rusqlite::Result<Vec<LaneRow>> {
    let limit = limit.min(MAX_ROWS) as i64;
    let mut found = Vec::new();
    if let Some(destination) = destination {
        let mut statement = conn.prepare_cached(&format!(
            "SELECT {LANE_COLUMNS} FROM delivery AS d INDEXED BY delivery_stopped
             WHERE d.state IN (1, 2) AND d.destination = ?1 AND d.id > ?2 ORDER BY d.id LIMIT ?3"
        ))?;
        let mut rows = statement.query((destination.0, after.as_i64(), limit))?;
        while let Some(row) = rows.next()? {
            found.push(rows::lane(row)?);
        }
    } else {
        // Only what is stopped is in the index; sorting it by id costs what is stopped.
        let mut statement = conn.prepare_cached(&format!(
            "SELECT {LANE_COLUMNS} FROM delivery AS d INDEXED BY delivery_stopped
             WHERE d.state IN (1, 2) AND d.id > ?1 ORDER BY d.id LIMIT ?2"
        ))?;
        let mut rows = statement.query((after.as_i64(), limit))?;
        while let Some(row) = rows.next()? {
            found.push(rows::lane(row)?);
        }
    }
    Ok(found)
}

pub(super) fn message(conn: &Connection, id: Id) -> rusqlite::Result<Option<MessageRow>> {
    conn.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM message AS m WHERE m.id = ?1"
    ))?
    .query_row([id.as_i64()], rows::message)
    .optional()
}

pub(super) fn delivery(conn: &Connection, id: Id) -> rusqlite::Result<Option<DeliveryRow>> {
    conn.prepare_cached(&format!(
        "SELECT {DELIVERY_COLUMNS} FROM delivery AS d WHERE d.id = ?1"
    ))?
    .query_row([id.as_i64()], rows::delivery)
    .optional()
}

/// The payload of a message.
pub(super) fn payload(
    conn: &Connection,
    MessageId(id): MessageId,
) -> rusqlite::Result<Option<Sealed>> {
    one_sealed(
        conn,
        "SELECT c.sealed FROM message AS m JOIN content AS c ON c.id = m.id WHERE m.id = ?1",
        id,
    )
}

/// What is sent for a delivery.
pub(super) fn delivery_body(
    conn: &Connection,
    DeliveryId(id): DeliveryId,
) -> rusqlite::Result<Option<Sealed>> {
    one_sealed(
        conn,
        "SELECT c.sealed FROM delivery AS d JOIN content AS c
             ON c.id = CASE d.own_body WHEN 1 THEN d.id ELSE d.message END
         WHERE d.id = ?1",
        id,
    )
}

/// What the destination answered last.
pub(super) fn response(
    conn: &Connection,
    DeliveryId(id): DeliveryId,
) -> rusqlite::Result<Option<Sealed>> {
    one_sealed(conn, "SELECT sealed FROM response WHERE id = ?1", id)
}

fn one_sealed(conn: &Connection, sql: &str, id: Id) -> rusqlite::Result<Option<Sealed>> {
    let found = conn
        .prepare_cached(sql)?
        .query_row([id.as_i64()], |row| rows::sealed(row, 0))
        .optional()?;
    Ok(found.flatten())
}

/// Audit records from `from` on; the last one when `from` is `None`.
pub(super) fn audit(
    conn: &Connection,
    from: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<AuditRecord>> {
    let sql = match from {
        Some(_) => {
            "SELECT sequence, at, body, hash FROM audit WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2"
        }
        None => {
            "SELECT sequence, at, body, hash FROM audit WHERE ?1 = 0 ORDER BY sequence DESC LIMIT ?2"
        }
    };
    let mut statement = conn.prepare_cached(sql)?;
    let from = i64::try_from(from.unwrap_or(0)).unwrap_or(i64::MAX);
    let records = statement.query_map((from, limit.min(MAX_ROWS) as i64), |row| {
        Ok(AuditRecord {
            sequence: row.get::<_, i64>(0)? as u64,
            at: Timestamp(row.get(1)?),
            body: row.get(2)?,
            hash: row.get(3)?,
        })
    })?;
    records.collect()
}

pub(super) fn meta(conn: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}
