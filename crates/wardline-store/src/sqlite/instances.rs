//! Looking at one instance, or at how many there are.

use super::read::MAX_ROWS;
use super::rows::{self, DELIVERY_COLUMNS};
use crate::process::{HistoryRow, InstanceCount, InstanceRow};
use crate::query::DeliveryRow;
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{BlindIndex, InstanceId, Sealed, Sym};

/// Columns of [`rows::instance`], of `instance AS i`.
pub(super) const INSTANCE_COLUMNS: &str = "i.id, i.revision, i.process, i.definition, i.key_index, i.key_text, i.phase, \
     i.status, i.step, i.note_code, i.note_text, i.fingerprint, i.owner, i.facility, i.due, i.began, i.advanced, \
     i.since, i.ended, i.summary";
/// The most deliveries of one instance's calls in one answer.
const MAX_CALLS: usize = 10_000;

/// One instance.
pub(super) fn instance(
    conn: &Connection,
    InstanceId(id): InstanceId,
) -> rusqlite::Result<Option<InstanceRow>> {
    conn.prepare_cached(&format!(
        "SELECT {INSTANCE_COLUMNS} FROM instance AS i WHERE i.id = ?1"
    ))?
    .query_row([id.as_i64()], rows::instance)
    .optional()
}

/// Its variables and positions.
pub(super) fn state(
    conn: &Connection,
    InstanceId(id): InstanceId,
) -> rusqlite::Result<Option<Sealed>> {
    let found = conn
        .prepare_cached("SELECT sealed FROM instance_state WHERE id = ?1")?
        .query_row([id.as_i64()], |row| rows::sealed(row, 0))
        .optional()?;
    Ok(found.flatten())
}

/// Instances of a process with a key, newest first.
pub(super) fn of_key(
    conn: &Connection,
    process: Sym,
    key: BlindIndex,
    limit: usize,
) -> rusqlite::Result<Vec<InstanceRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {INSTANCE_COLUMNS} FROM instance AS i INDEXED BY instance_key
         WHERE i.key_index = ?1 AND i.process = ?2 ORDER BY i.id DESC LIMIT ?3"
    ))?;
    let limit = limit.min(MAX_ROWS) as i64;
    let found = statement.query_map((key.0, process.0, limit), rows::instance)?;
    found.collect()
}

/// How many instances stand where: what the writer counted.
pub(super) fn counts(conn: &Connection) -> rusqlite::Result<Vec<InstanceCount>> {
    let mut statement = conn.prepare_cached(
        "SELECT process, definition, phase, status, n FROM instance_gauge WHERE n > 0
         ORDER BY process, definition, phase, status",
    )?;
    let found = statement.query_map([], |row| {
        Ok(InstanceCount {
            process: Sym(row.get(0)?),
            definition: Sym(row.get(1)?),
            phase: rows::phase(row.get(2)?)?,
            status: rows::status(row.get(3)?),
            count: row.get::<_, i64>(4)?.unsigned_abs(),
        })
    })?;
    found.collect()
}

/// What happened, whole advances at a time until there are `limit` lines.
pub(super) fn history(
    conn: &Connection,
    InstanceId(id): InstanceId,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<HistoryRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT revision, at, lines FROM history WHERE instance = ?1 AND revision > ?2 ORDER BY revision",
    )?;
    let limit = limit.min(MAX_ROWS);
    let mut found = Vec::new();
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut rows = statement.query((id.as_i64(), after))?;
    while found.len() < limit {
        let Some(row) = rows.next()? else { break };
        rows::history(row, &mut found)?;
    }
    Ok(found)
}

/// Deliveries of its calls.
/// Those that run with a call that is tried again or held, newest first. As many rows are looked at as
/// deliveries are stopped.
pub(super) fn troubled(
    conn: &Connection,
    limit: usize,
) -> rusqlite::Result<Vec<(InstanceId, Sym)>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT i.id, i.process FROM delivery AS d INDEXED BY delivery_stopped
         JOIN instance AS i ON i.id = d.instance
         WHERE d.state IN (1, 2) AND d.instance IS NOT NULL AND i.phase = 0
         ORDER BY i.id DESC LIMIT ?1",
    )?;
    let found = statement.query_map([limit as i64], |row| {
        Ok((InstanceId(rows::id(row, 0)?), Sym(row.get(1)?)))
    })?;
    found.collect()
}

pub(super) fn calls(
    conn: &Connection,
    InstanceId(id): InstanceId,
) -> rusqlite::Result<Vec<(u32, DeliveryRow)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {DELIVERY_COLUMNS}, d.call FROM delivery AS d INDEXED BY delivery_call
         WHERE d.instance IS NOT NULL AND d.instance = ?1 ORDER BY d.call, d.id LIMIT ?2"
    ))?;
    let found = statement.query_map((id.as_i64(), MAX_CALLS as i64), |row| {
        Ok((row.get("call")?, rows::delivery(row)?))
    })?;
    found.collect()
}
