//! Ordered walks: several ranges of indexes, each newest first, met as one list.

use super::{MAX_SCANNED, Span};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement};

/// One ordered walk: an index with its condition, and what pins it.
pub(super) struct Walk {
    from: &'static str,
    pinned: Vec<Value>,
}

impl Walk {
    /// A walk over what numbers pin.
    pub(super) fn new(from: &'static str, pinned: Vec<i64>) -> Self {
        Self {
            from,
            pinned: pinned.into_iter().map(Value::Integer).collect(),
        }
    }

    /// A walk over what a text pins.
    pub(super) fn of_text(from: &'static str, pinned: &str) -> Self {
        Self {
            from,
            pinned: vec![Value::Text(pinned.to_owned())],
        }
    }
}

/// What walks found.
pub(super) struct Met {
    /// Ids, newest first.
    pub(super) ids: Vec<i64>,
    /// Rows looked at.
    pub(super) scanned: u64,
    /// Where to go on.
    pub(super) next: Option<i64>,
}

/// Walks over the rows of a table whose first selected column is their id, until `limit` of
/// them match or enough were looked at.
pub(super) fn meet(
    conn: &Connection,
    select: &str,
    walks: &[Walk],
    span: Span,
    limit: usize,
    matches: &impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Met> {
    let budget = MAX_SCANNED / walks.len().max(1) as u64;
    let (mut ids, mut scanned) = (Vec::new(), 0);
    // Below this id at least one walk did not look.
    let mut floor: Option<i64> = None;
    for walk in walks {
        let mut statement = conn.prepare_cached(&format!(
            "{select} {} AND id < ? AND id >= ? ORDER BY id DESC",
            walk.from
        ))?;
        let stopped = run(
            &mut statement,
            walk,
            span,
            (limit, budget),
            matches,
            &mut ids,
            &mut scanned,
        )?;
        floor = floor.max(stopped);
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(floor) = floor {
        ids.retain(|id| *id >= floor);
    }
    let mut next = floor;
    if ids.len() > limit {
        ids.truncate(limit);
        next = ids.last().copied();
    }
    Ok(Met { ids, scanned, next })
}

/// Runs one walk; returns the last id it looked at when it stopped before its end.
fn run(
    statement: &mut Statement<'_>,
    walk: &Walk,
    span: Span,
    (limit, budget): (usize, u64),
    matches: &impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
    found: &mut Vec<i64>,
    scanned: &mut u64,
) -> rusqlite::Result<Option<i64>> {
    let ends = [Value::Integer(span.high), Value::Integer(span.low)];
    for (at, value) in (1..).zip(walk.pinned.iter().chain(&ends)) {
        statement.raw_bind_parameter(at, value)?;
    }
    let mut rows = statement.raw_query();
    let (mut here, mut looked, mut last) = (0, 0, None);
    loop {
        if here >= limit || looked >= budget {
            *scanned += looked;
            return Ok(last);
        }
        let Some(row) = rows.next()? else {
            *scanned += looked;
            return Ok(None);
        };
        looked += 1;
        let id = row.get(0)?;
        last = Some(id);
        if matches(row)? {
            found.push(id);
            here += 1;
        }
    }
}
