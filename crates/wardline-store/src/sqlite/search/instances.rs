//! Instances: over the index that knows most of the filter, or row by row.

use super::super::instances::INSTANCE_COLUMNS;
use super::super::rows;
use super::walk::{Walk, meet};
use super::{Span, rows_wanted};
use crate::process::{InstanceFilter, InstanceRow, Phase};
use crate::query::Page;
use rusqlite::Connection;
use wardline_core::{Id, Sym};

/// The most rows of a page.
const MAX_INSTANCES: usize = 10_000;
/// Places (process, status, phase) beyond which one walk over all instances is cheaper.
const MAX_PLACES: usize = 256;
/// Instances due by a time beyond which they are so many that a walk meets them soon.
const MAX_DUE: usize = 20_000;

/// Instances that match, newest first.
pub(in crate::sqlite) fn instances(
    conn: &Connection,
    filter: &InstanceFilter,
) -> rusqlite::Result<Page<InstanceRow>> {
    let tx = conn.unchecked_transaction()?;
    let span = Span::of(filter.range, filter.before);
    let limit = rows_wanted(filter.limit, MAX_INSTANCES);
    let mut load = tx.prepare_cached(&format!(
        "SELECT {INSTANCE_COLUMNS} FROM instance AS i WHERE i.id = ?1"
    ))?;
    let (ids, scanned, next) = if let Some(mut ids) = due(&tx, filter)? {
        let scanned = ids.len() as u64;
        let mut look = tx.prepare_cached(&format!("{JUDGED} WHERE id = ?1"))?;
        ids.retain(|id| (span.low..span.high).contains(id));
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let (mut found, mut next) = (Vec::new(), None);
        for id in ids {
            if found.len() == limit {
                next = found.last().copied();
                break;
            }
            if look.query_row([id], |row| judge(filter, row))? {
                found.push(id);
            }
        }
        (found, scanned, next)
    } else {
        let walks = walks(&tx, filter)?;
        let met = meet(&tx, JUDGED, &walks, span, limit, &|row| judge(filter, row))?;
        (met.ids, met.scanned, met.next)
    };
    let rows = ids.iter().map(|id| load.query_row([id], rows::instance));
    Ok(Page {
        rows: rows.collect::<rusqlite::Result<_>>()?,
        scanned,
        next: next.map(Id::from_i64),
    })
}

/// What an instance is judged by, without its summary.
const JUDGED: &str =
    "SELECT id, process, definition, key_index, phase, status, facility, owner, due FROM instance";

fn judge(filter: &InstanceFilter, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let named = |name: Option<Sym>, at: usize| -> rusqlite::Result<bool> {
        Ok(match name {
            Some(name) => row.get::<_, Option<u32>>(at)? == Some(name.0),
            None => true,
        })
    };
    let phase = rows::phase(row.get(4)?)?;
    Ok(named(filter.process, 1)?
        && named(filter.definition, 2)?
        && match filter.key {
            Some(key) => row.get::<_, i64>(3)? == key.0,
            None => true,
        }
        && in_phase(filter, phase)
        && named(filter.status, 5)?
        && named(filter.facility, 6)?
        && named(filter.owner, 7)?
        && match filter.due_before {
            Some(before) => {
                phase.is_open()
                    && row
                        .get::<_, Option<i64>>(8)?
                        .is_some_and(|due| due < before.0)
            }
            None => true,
        })
}

fn in_phase(filter: &InstanceFilter, phase: Phase) -> bool {
    filter.phases.is_empty() || filter.phases.contains(&phase)
}

/// The open instances that are due, where there are not very many and no key knows better.
fn due(conn: &Connection, filter: &InstanceFilter) -> rusqlite::Result<Option<Vec<i64>>> {
    let Some(before) = filter.due_before.filter(|_| filter.key.is_none()) else {
        return Ok(None);
    };
    let mut statement = conn.prepare_cached(
        "SELECT id FROM instance INDEXED BY instance_due
         WHERE phase <= 2 AND due IS NOT NULL AND due < ?1",
    )?;
    let mut rows = statement.query([before.0])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        if ids.len() == MAX_DUE {
            return Ok(None);
        }
        ids.push(row.get(0)?);
    }
    Ok(Some(ids))
}

/// The cheapest walks that together meet every instance the filter can match.
fn walks(conn: &Connection, filter: &InstanceFilter) -> rusqlite::Result<Vec<Walk>> {
    if let Some(key) = filter.key {
        return match filter.process {
            Some(process) => Ok(vec![Walk::new(
                "INDEXED BY instance_key WHERE key_index = ? AND process = ?",
                vec![key.0, i64::from(process.0)],
            )]),
            // Rows of one key are few: they are sorted where they come from several processes.
            None => Ok(vec![Walk::new(
                "INDEXED BY instance_key WHERE key_index = ?",
                vec![key.0],
            )]),
        };
    }
    let open = !filter.phases.is_empty() && filter.phases.iter().all(|phase| phase.is_open());
    if let (Some(owner), true) = (filter.owner, open) {
        return Ok(vec![Walk::new(
            "INDEXED BY instance_owner WHERE phase <= 2 AND owner IS NOT NULL AND owner = ?",
            vec![i64::from(owner.0)],
        )]);
    }
    let everywhere = || Walk::new("WHERE true", Vec::new());
    if filter.process.is_none() && filter.status.is_none() && filter.phases.is_empty() {
        return Ok(vec![everywhere()]);
    }
    let places = places(conn, filter)?;
    Ok(match places.len() {
        0..=MAX_PLACES => places
            .into_iter()
            .map(|place| {
                Walk::new(
                    "INDEXED BY instance_stands WHERE process = ? AND status = ? AND phase = ?",
                    place,
                )
            })
            .collect(),
        _ => vec![everywhere()],
    })
}

/// Where instances stand that the filter can match: from the writer's counts.
fn places(conn: &Connection, filter: &InstanceFilter) -> rusqlite::Result<Vec<Vec<i64>>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT process, status, phase FROM instance_gauge
         WHERE n > 0 AND (?1 IS NULL OR process = ?1) AND (?2 IS NULL OR status = ?2)
             AND (?3 IS NULL OR definition = ?3)",
    )?;
    let mut rows = statement.query((
        filter.process.map(|process| process.0),
        filter.status.map(|status| status.0),
        filter.definition.map(|definition| definition.0),
    ))?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        if in_phase(filter, rows::phase(row.get(2)?)?) {
            places.push(vec![row.get(0)?, row.get(1)?, row.get(2)?]);
        }
    }
    Ok(places)
}
