//! Gauges, totals, series and groups of errors: from the writer's counts, never by counting
//! deliveries.

use super::read::delivery;
use crate::change::Note;
use crate::query::{Count, CounterKind, ErrorGroup, Gauge, Series, TimeRange};
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{Id, Lane, Sym, Timestamp};

const KINDS: [CounterKind; 16] = [
    CounterKind::Accepted,
    CounterKind::Duplicate,
    CounterKind::Derived,
    CounterKind::Filtered,
    CounterKind::Unrouted,
    CounterKind::Owed,
    CounterKind::Delivered,
    CounterKind::Failed,
    CounterKind::Dead,
    CounterKind::Cancelled,
    CounterKind::Bytes,
    CounterKind::PrunedMessages,
    CounterKind::PrunedDeliveries,
    CounterKind::Resolved,
    CounterKind::MailDuplicate,
    CounterKind::MailExpired,
];

/// How many deliveries stand in each open state.
pub(super) fn gauges(conn: &Connection) -> rusqlite::Result<Vec<Gauge>> {
    let mut statement = conn.prepare_cached(
        "SELECT destination, lane, state, n FROM gauge WHERE n <> 0 ORDER BY destination, lane, state",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Gauge {
            destination: Sym(row.get(0)?),
            lane: Lane::from_u8(row.get(1)?),
            state: super::rows::state(row.get(2)?)?,
            count: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// Totals since the store began: what was folded, and the minutes that are still open.
pub(super) fn totals(conn: &Connection) -> rusqlite::Result<Vec<Count>> {
    let mut statement = conn.prepare_cached(
        "SELECT kind, name, flow, sum(n) FROM (
             SELECT kind, name, flow, n FROM total
             UNION ALL
             SELECT kind, name, flow, n FROM counter
             WHERE minute >= coalesce((SELECT value FROM internal WHERE name = 'folded_minute'), 0)
         ) GROUP BY kind, name, flow",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        // A kind that a newer version counts is not an error for this one.
        let Some(kind) = KINDS.get(usize::from(row.get::<_, u8>(0)?)) else {
            continue;
        };
        let flow: u32 = row.get(2)?;
        counts.push(Count {
            kind: *kind,
            name: Sym(row.get(1)?),
            flow: (flow != 0).then_some(Sym(flow)),
            count: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
        });
    }
    Ok(counts)
}

/// Counts per minute.
pub(super) fn series(
    conn: &Connection,
    kind: CounterKind,
    name: Option<Sym>,
    range: TimeRange,
) -> rusqlite::Result<Series> {
    let minute = |at: Timestamp| at.0.div_euclid(60_000_000);
    let from = range.from.map_or(0, minute);
    // The end is exclusive, but a minute that has begun belongs to the picture.
    let to = range
        .to
        .map_or(i64::MAX, |to| minute(Timestamp(to.0.saturating_sub(1))));
    let mut statement = conn.prepare_cached(
        "SELECT minute * 60, sum(n) FROM counter
         WHERE minute BETWEEN ?1 AND ?2 AND kind = ?3 AND (?4 IS NULL OR name = ?4)
         GROUP BY minute ORDER BY minute",
    )?;
    let points = statement.query_map((from, to, kind as u8, name.map(|name| name.0)), |row| {
        Ok((
            row.get(0)?,
            u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
        ))
    })?;
    Ok(Series {
        points: points.collect::<rusqlite::Result<_>>()?,
    })
}

/// Groups of equal failures, largest first. How many there are is counted by the writer;
/// the first, the last and the sample are looked up at the ends of an index.
pub(super) fn error_groups(conn: &Connection, limit: usize) -> rusqlite::Result<Vec<ErrorGroup>> {
    let tx = conn.unchecked_transaction()?;
    let mut statement = tx.prepare_cached(
        "SELECT destination, fingerprint, sum(CASE state WHEN 4 THEN n ELSE 0 END) AS dead,
             sum(CASE state WHEN 2 THEN n ELSE 0 END) AS held
         FROM failure GROUP BY destination, fingerprint
         HAVING dead + held > 0 ORDER BY dead + held DESC, destination, fingerprint LIMIT ?1",
    )?;
    let mut ends = [
        tx.prepare_cached(
            "SELECT d.id FROM delivery AS d INDEXED BY delivery_alike
             WHERE d.state IN (2, 4) AND d.destination = ?1 AND d.fingerprint = ?2 ORDER BY d.id LIMIT 1",
        )?,
        tx.prepare_cached(
            "SELECT d.id FROM delivery AS d INDEXED BY delivery_alike
             WHERE d.state IN (2, 4) AND d.destination = ?1 AND d.fingerprint = ?2 ORDER BY d.id DESC LIMIT 1",
        )?,
    ];
    let mut groups = Vec::new();
    let mut rows = statement.query([limit.min(super::read::MAX_ROWS) as i64])?;
    while let Some(row) = rows.next()? {
        let place: (u32, i64) = (row.get(0)?, row.get(1)?);
        let mut found = [None, None];
        for (slot, end) in found.iter_mut().zip(&mut ends) {
            let id = end
                .query_row(place, |row| row.get::<_, i64>(0))
                .optional()?;
            *slot = match id {
                Some(id) => delivery(&tx, Id::from_i64(id))?,
                None => None,
            };
        }
        let [Some(first), Some(last)] = found else {
            continue;
        };
        groups.push(ErrorGroup {
            destination: Sym(place.0),
            fingerprint: place.1,
            note: last.note.unwrap_or_else(|| Note {
                code: String::new(),
                text: String::new(),
                fingerprint: place.1,
            }),
            dead: u64::from(row.get::<_, u32>(2)?),
            held: u64::from(row.get::<_, u32>(3)?),
            first: first.settled.unwrap_or_default(),
            last: last.settled.unwrap_or_default(),
            sample: last.id,
        });
    }
    Ok(groups)
}
