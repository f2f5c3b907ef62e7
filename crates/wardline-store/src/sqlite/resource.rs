//! Resources that others read back (SCIM): each is changed by the message that changes it, in the
//! same transaction, or neither happens.
//!
//! They are kept until their senders take them away; retention does not touch them. What they are
//! found by are keyed hashes, what they say is sealed.

use super::writer::{Halt, Writer};
use crate::change::{Acceptance, ResourceChange, ResourceStanding, ResourceState};
use crate::error::StoreError;
use crate::query::{ResourceBy, ResourceRow};
use bytes::Bytes;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row};
use wardline_core::{Sealed, Sym, Timestamp};

/// Resources of one kind that a connection keeps at most.
const MOST: u64 = 1_000_000;
/// Bytes of one resource at most.
const LARGEST: usize = 64 << 20;
/// Bytes read at a time, after the first resource.
const AT_ONCE: usize = 8 << 20;

/// Refuses what could not be kept before any of it is.
pub(super) fn check(acceptance: &Acceptance) -> Result<(), Halt> {
    let Some(change) = &acceptance.resource else {
        return Ok(());
    };
    let refuse = |what: &str| Err(Halt::Refused(StoreError::Invalid(what.into())));
    if acceptance.dedup.is_some() {
        return refuse("a resource cannot be changed by a message that may be a duplicate");
    }
    if change.was.is_none() && change.now.is_none() {
        return refuse("a resource that neither was nor is");
    }
    match &change.now {
        Some(state) if state.sealed.len() > LARGEST => refuse("a resource is too large"),
        _ => Ok(()),
    }
}

impl Writer<'_> {
    /// Changes the resource of an acceptance; says why not, where it does not stand as was thought.
    pub(super) fn keep_resource(
        &self,
        acceptance: &Acceptance,
    ) -> rusqlite::Result<Option<ResourceStanding>> {
        let Some(change) = &acceptance.resource else {
            return Ok(None);
        };
        let found: Option<(i64, u64)> = self
            .conn
            .prepare_cached(
                "SELECT place, version FROM resource WHERE id = ?1 AND source = ?2 AND kind = ?3",
            )?
            .query_row((&change.id[..], change.source.0, change.kind), |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })
            .optional()?;
        match (found, change.was) {
            (None, None) => {}
            (Some((_, version)), Some(was)) if version == was => {}
            _ => return Ok(Some(ResourceStanding::Changed)),
        }
        let place = found.map(|(place, _)| place);
        if let Some(unique) = change.now.as_ref().and_then(|state| state.unique) {
            let taken = self
                .conn
                .prepare_cached(
                    "SELECT place FROM resource WHERE source = ?1 AND kind = ?2 AND uniq = ?3",
                )?
                .query_row((change.source.0, change.kind, &unique[..]), |row| {
                    row.get::<_, i64>(0)
                })
                .optional()?;
            if taken.is_some() && taken != place {
                return Ok(Some(ResourceStanding::Taken));
            }
        }
        match (place, &change.now) {
            (None, Some(state)) => {
                if count(self.conn, change.source, change.kind)? >= MOST {
                    return Ok(Some(ResourceStanding::Full));
                }
                self.conn
                    .prepare_cached(
                        "INSERT INTO resource (source, kind, uniq, known, changed, sealed, id, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
                    )?
                    .execute((
                        change.source.0,
                        change.kind,
                        hash(state.unique.as_ref()),
                        hash(state.known.as_ref()),
                        self.now.0,
                        &state.sealed.as_sealed_bytes()[..],
                        &change.id[..],
                    ))?;
                self.count_resource(change, 1)?;
            }
            (Some(place), Some(state)) => self.replace_resource(place, state)?,
            (Some(place), None) => {
                self.conn
                    .prepare_cached("DELETE FROM resource WHERE place = ?1")?
                    .execute([place])?;
                self.count_resource(change, -1)?;
            }
            (None, None) => {}
        }
        Ok(None)
    }

    fn replace_resource(&self, place: i64, state: &ResourceState) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE resource SET uniq = ?2, known = ?3, changed = ?4, sealed = ?5, version = version + 1 WHERE place = ?1",
            )?
            .execute((
                place,
                hash(state.unique.as_ref()),
                hash(state.known.as_ref()),
                self.now.0,
                &state.sealed.as_sealed_bytes()[..],
            ))?;
        Ok(())
    }

    fn count_resource(&self, change: &ResourceChange, more: i64) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO resource_count (source, kind, count) VALUES (?1, ?2, ?3)
                 ON CONFLICT (source, kind) DO UPDATE SET count = count + excluded.count",
            )?
            .execute((change.source.0, change.kind, more))?;
        Ok(())
    }
}

fn hash(hash: Option<&[u8; 16]>) -> Option<&[u8]> {
    hash.map(|hash| &hash[..])
}

fn row(row: &Row<'_>) -> rusqlite::Result<ResourceRow> {
    Ok(ResourceRow {
        place: row.get(0)?,
        id: row.get(1)?,
        version: row.get::<_, i64>(2)?.unsigned_abs(),
        sealed: Sealed::from_sealed_bytes(Bytes::from(row.get::<_, Vec<u8>>(3)?)),
    })
}

/// One resource, or two where several have that name.
pub(super) fn one(
    conn: &Connection,
    source: Sym,
    kind: u8,
    by: ResourceBy,
) -> rusqlite::Result<Vec<ResourceRow>> {
    let (sql, hash) = match by {
        ResourceBy::Id(id) => (
            "SELECT place, id, version, sealed FROM resource WHERE id = ?3 AND source = ?1 AND kind = ?2",
            id,
        ),
        ResourceBy::Unique(hash) => (
            "SELECT place, id, version, sealed FROM resource WHERE source = ?1 AND kind = ?2 AND uniq = ?3",
            hash,
        ),
        ResourceBy::Known(hash) => (
            "SELECT place, id, version, sealed FROM resource WHERE source = ?1 AND kind = ?2 AND known = ?3 ORDER BY place LIMIT 2",
            hash,
        ),
    };
    conn.prepare_cached(sql)?
        .query_map((source.0, kind, &hash[..]), row)?
        .collect()
}

/// Resources in the order of their places.
pub(super) fn some(
    conn: &Connection,
    source: Sym,
    kind: u8,
    after: i64,
    skip: u64,
    limit: usize,
) -> rusqlite::Result<Vec<ResourceRow>> {
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(
        "SELECT place, id, version, sealed FROM resource
         WHERE source = ?1 AND kind = ?2 AND place > ?3 ORDER BY place LIMIT ?4 OFFSET ?5",
    )?;
    let values: [&dyn ToSql; 5] = [&source.0, &kind, &after, &limit, &skip];
    let mut all = Vec::new();
    let mut bytes = 0;
    for found in statement.query_map(values, row)? {
        let found = found?;
        bytes += found.sealed.len();
        if bytes > AT_ONCE && !all.is_empty() {
            break;
        }
        all.push(found);
    }
    Ok(all)
}

/// How many there are.
pub(super) fn count(conn: &Connection, source: Sym, kind: u8) -> rusqlite::Result<u64> {
    let count = conn
        .prepare_cached("SELECT count FROM resource_count WHERE source = ?1 AND kind = ?2")?
        .query_row((source.0, kind), |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(count.unwrap_or_default().unsigned_abs())
}

/// When the resource that was changed longest ago was changed.
pub(super) fn oldest(conn: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    conn.prepare_cached("SELECT changed FROM resource ORDER BY changed LIMIT 1")?
        .query_row([], |row| row.get(0).map(Timestamp))
        .optional()
}
