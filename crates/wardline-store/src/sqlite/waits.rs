//! What instances wait for: something that comes, or a time.

use super::read::MAX_ROWS;
use super::rows;
use crate::process::{TimerRow, WaitRow};
use rusqlite::Connection;
use wardline_core::{BlindIndex, Sym, Timestamp};

/// Who waits for a correlator and key.
pub(super) fn waiting(
    conn: &Connection,
    correlator: Sym,
    key: BlindIndex,
    limit: usize,
) -> rusqlite::Result<Vec<WaitRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT instance, number FROM wait WHERE correlator = ?1 AND key = ?2
         ORDER BY instance, number LIMIT ?3",
    )?;
    let limit = limit.min(MAX_ROWS) as i64;
    let found = statement.query_map((correlator.0, key.0, limit), rows::wait)?;
    found.collect()
}

/// Timers due by a time, after one of them.
pub(super) fn timers(
    conn: &Connection,
    until: Timestamp,
    after: Option<TimerRow>,
    limit: usize,
) -> rusqlite::Result<Vec<TimerRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT due, instance, number FROM timer WHERE (due, instance, number) > (?1, ?2, ?3) AND due <= ?4
         ORDER BY due, instance, number LIMIT ?5",
    )?;
    let (due, instance, number) = after.map_or((i64::MIN, i64::MIN, -1), |after| {
        (
            after.due.0,
            after.instance.0.as_i64(),
            i64::from(after.number),
        )
    });
    let limit = limit.min(MAX_ROWS) as i64;
    let found = statement.query_map((due, instance, number, until.0, limit), rows::timer)?;
    found.collect()
}

/// When the next timer after a time is due.
pub(super) fn next_timer(
    conn: &Connection,
    after: Option<Timestamp>,
) -> rusqlite::Result<Option<Timestamp>> {
    let next: Option<i64> = conn
        .prepare_cached("SELECT min(due) FROM timer WHERE due > ?1")?
        .query_row([after.map_or(i64::MIN, |after| after.0)], |row| row.get(0))?;
    Ok(next.map(Timestamp))
}
