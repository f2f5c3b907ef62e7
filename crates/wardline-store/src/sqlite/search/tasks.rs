//! Tasks: those of an instance, of a role, of a person, those that are open, or row by row.

use super::super::rows;
use super::super::tasks::TASK_COLUMNS;
use super::walk::{Walk, meet};
use super::{Span, rows_wanted};
use crate::process::{TaskFilter, TaskRow};
use crate::query::{Page, TimeRange};
use rusqlite::Connection;
use wardline_core::{Id, Sym};

/// The most rows of a page.
const MAX_TASKS: usize = 10_000;
/// Roles beyond which one walk over what is open is cheaper.
const MAX_ROLES: usize = 64;

/// Tasks that match, newest first.
pub(in crate::sqlite) fn tasks(
    conn: &Connection,
    filter: &TaskFilter,
) -> rusqlite::Result<Page<TaskRow>> {
    let tx = conn.unchecked_transaction()?;
    let span = Span::of(TimeRange::default(), filter.before);
    let limit = rows_wanted(filter.limit, MAX_TASKS);
    let matches = |row: &rusqlite::Row<'_>| -> rusqlite::Result<bool> {
        let is_open = row.get_ref(6)? == rusqlite::types::ValueRef::Null;
        Ok(filter.open.is_none_or(|open| open == is_open)
            && (filter.roles.is_empty() || filter.roles.contains(&Sym(row.get(1)?)))
            && match filter.instance {
                Some(instance) => row.get::<_, i64>(2)? == instance.0.as_i64(),
                None => true,
            }
            && match filter.process {
                Some(process) => row.get::<_, u32>(3)? == process.0,
                None => true,
            }
            && match &filter.claimed {
                Some(person) => row.get_ref(4)?.as_str_or_null()? == Some(person),
                None => true,
            }
            && match filter.due_before {
                Some(before) => row
                    .get::<_, Option<i64>>(5)?
                    .is_some_and(|due| due < before.0),
                None => true,
            })
    };
    let select = "SELECT id, role, instance, process, claimed, due, ended FROM task";
    let met = meet(&tx, select, &walks(filter), span, limit, &matches)?;
    let mut load = tx.prepare_cached(&format!(
        "SELECT {TASK_COLUMNS} FROM task AS t WHERE t.id = ?1"
    ))?;
    let rows = met.ids.iter().map(|id| load.query_row([id], rows::task));
    Ok(Page {
        rows: rows.collect::<rusqlite::Result<_>>()?,
        scanned: met.scanned,
        next: met.next.map(Id::from_i64),
    })
}

/// The cheapest walks that together meet every task the filter can match.
fn walks(filter: &TaskFilter) -> Vec<Walk> {
    let open = filter.open == Some(true);
    if let Some(instance) = filter.instance {
        return vec![Walk::new(
            "INDEXED BY task_instance WHERE instance = ?",
            vec![instance.0.as_i64()],
        )];
    }
    match &filter.claimed {
        Some(person) if open => {
            return vec![Walk::of_text(
                "INDEXED BY task_claimed WHERE ended IS NULL AND claimed IS NOT NULL AND claimed = ?",
                person,
            )];
        }
        _ => {}
    }
    if open && (1..=MAX_ROLES).contains(&filter.roles.len()) {
        let mut roles = filter.roles.clone();
        roles.sort_unstable();
        roles.dedup();
        let walk = |role: Sym| {
            Walk::new(
                "INDEXED BY task_role WHERE ended IS NULL AND role = ?",
                vec![i64::from(role.0)],
            )
        };
        return roles.into_iter().map(walk).collect();
    }
    let from = if open {
        "INDEXED BY task_open WHERE ended IS NULL"
    } else {
        "WHERE true"
    };
    vec![Walk::new(from, Vec::new())]
}
