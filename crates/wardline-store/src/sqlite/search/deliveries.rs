//! Deliveries: over the index that knows most of the filter, or row by row.

use super::super::read;
use super::super::rows::{self, DELIVERY_COLUMNS};
use super::super::runs::Runs;
use super::walk::{Walk, meet};
use super::{Span, contains, rows_wanted};
use crate::query::{DeliveryFilter, DeliveryRow, Page};
use rusqlite::Connection;
use wardline_core::{DeliveryState, Id, Lane};

/// Deliveries that match, newest first.
pub(in crate::sqlite) fn deliveries(
    conn: &Connection,
    filter: &DeliveryFilter,
) -> rusqlite::Result<Page<DeliveryRow>> {
    let tx = conn.unchecked_transaction()?;
    let span = Span::of(filter.range, filter.before);
    let limit = rows_wanted(filter.limit, read::MAX_ROWS);
    let error = filter.error.as_ref().map(|text| text.to_lowercase());
    let mask = filter
        .states
        .iter()
        .fold(0u8, |mask, state| mask | 1 << state.as_u8());
    let matches = |row: &rusqlite::Row<'_>| -> rusqlite::Result<bool> {
        Ok((mask == 0 || mask >> row.get::<_, u8>(1)? & 1 == 1)
            && filter
                .destination
                .is_none_or(|name| row.get(2).is_ok_and(|raw: u32| raw == name.0))
            && filter
                .flow
                .is_none_or(|name| row.get(3).is_ok_and(|raw: u32| raw == name.0))
            && filter
                .key
                .is_none_or(|key| row.get(4).is_ok_and(|raw: Option<i64>| raw == Some(key.0)))
            && filter
                .fingerprint
                .is_none_or(|print| row.get(5).is_ok_and(|raw: Option<i64>| raw == Some(print)))
            && match &error {
                Some(text) => contains(row.get_ref(6)?.as_str_or_null()?, text),
                None => true,
            })
    };
    let walks = walks(&tx, filter, mask)?;
    let select =
        "SELECT id, state, destination, flow, key_index, fingerprint, note_text FROM delivery";
    let met = meet(&tx, select, &walks, span, limit, &matches)?;
    let mut load = tx.prepare_cached(&format!(
        "SELECT {DELIVERY_COLUMNS} FROM delivery AS d WHERE d.id = ?1"
    ))?;
    let rows = met
        .ids
        .iter()
        .map(|id| load.query_row([id], rows::delivery));
    Ok(Page {
        rows: rows.collect::<rusqlite::Result<_>>()?,
        scanned: met.scanned,
        next: met.next.map(Id::from_i64),
    })
}

/// The cheapest walks that together meet every delivery the filter can match.
fn walks(conn: &Connection, filter: &DeliveryFilter, mask: u8) -> rusqlite::Result<Vec<Walk>> {
    let within = |states: &[DeliveryState]| {
        mask != 0
            && mask
                & !states
                    .iter()
                    .fold(0u8, |mask, state| mask | 1 << state.as_u8())
                == 0
    };
    let failed = [DeliveryState::Held, DeliveryState::Dead];
    let stopped = [DeliveryState::Retrying, DeliveryState::Held];
    let open = [
        DeliveryState::Pending,
        DeliveryState::Retrying,
        DeliveryState::Held,
    ];
    Ok(match (filter.destination, filter.fingerprint, filter.key) {
        (Some(destination), Some(print), _) if within(&failed) => vec![Walk::new(
            "INDEXED BY delivery_alike WHERE state IN (2, 4) AND destination = ? AND fingerprint = ?",
            vec![i64::from(destination.0), print],
        )],
        _ if within(&failed) => failed
            .iter()
            .filter(|state| mask >> state.as_u8() & 1 == 1)
            .map(|state| {
                Walk::new(
                    "INDEXED BY delivery_failed WHERE state IN (2, 4) AND state = ?",
                    vec![i64::from(state.as_u8())],
                )
            })
            .collect(),
        (Some(destination), ..) if within(&stopped) => vec![Walk::new(
            "INDEXED BY delivery_stopped WHERE state IN (1, 2) AND destination = ?",
            vec![i64::from(destination.0)],
        )],
        (None, ..) if within(&stopped) => {
            vec![Walk::new(
                "INDEXED BY delivery_stopped WHERE state IN (1, 2)",
                Vec::new(),
            )]
        }
        (Some(destination), _, Some(key)) if within(&open) => {
            let mut walks = Vec::new();
            for lane in Lane::ALL {
                let mut runs = Runs::of(conn, destination, lane, Id::ZERO)?;
                while let Some(run) = runs.next()? {
                    walks.push(Walk::new(
                        "INDEXED BY delivery_key WHERE state <= 2 AND lane = ? AND destination = ?
                                   AND run = ? AND key_index = ?",
                        vec![
                            i64::from(lane.as_u8()),
                            i64::from(destination.0),
                            run,
                            key.0,
                        ],
                    ));
                }
            }
            walks
        }
        (Some(destination), ..) if within(&open) => lanes(
            "INDEXED BY delivery_open WHERE state <= 2 AND lane = ? AND destination = ?",
            &[i64::from(destination.0)],
        ),
        _ => vec![Walk::new("WHERE true", Vec::new())],
    })
}

/// One walk a lane: the indexes of what is owed are ordered by id within a lane.
fn lanes(from: &'static str, pinned: &[i64]) -> Vec<Walk> {
    let walk = |lane: Lane| {
        let mut all = vec![i64::from(lane.as_u8())];
        all.extend_from_slice(pinned);
        Walk::new(from, all)
    };
    Lane::ALL.into_iter().map(walk).collect()
}
