//! Whether something that followed from a message is as asked for: its deliveries, those of the
//! events made from it, and whatever was repeated or followed later, to any depth.
//!
//! What followed at acceptance stands behind the message in the same block of ids, newest last;
//! what followed later is found through `link`. Nothing here needs an index of its own. The
//! walk is [`trace`](super::super::trace)'s, but it ends at the first that is as asked for.

use super::{Effort, contains};
use ahash::AHashSet;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use wardline_core::DeliveryState;

/// Links followed into other blocks for one message.
const MAX_LINKS: usize = 1_000;
/// Messages above one delivery: events of events end at 16, follow-ups of follow-ups need not.
const MAX_ANCESTORS: usize = 64;

/// What a delivery is asked for.
pub(super) struct Wanted {
    /// It stands there.
    pub(super) state: Option<DeliveryState>,
    /// Its failure says this; in lower case.
    pub(super) error: Option<String>,
}

impl Wanted {
    /// Whether any message will do, even one that nothing followed from.
    pub(super) const fn is_anything(&self) -> bool {
        self.state.is_none() && self.error.is_none()
    }

    /// Of a row of [`DELIVERY`].
    fn is(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        if let Some(state) = self.state
            && row.get::<_, u8>(2)? != state.as_u8()
        {
            return Ok(false);
        }
        match &self.error {
            Some(text) => Ok(contains(row.get_ref(3)?.as_str_or_null()?, text)),
            None => Ok(true),
        }
    }
}

const DELIVERY: &str = "SELECT id, message, state, note_text FROM delivery";

/// The statements of the walk, prepared once a search.
pub(super) struct Followed<'a> {
    messages: CachedStatement<'a>,
    deliveries: CachedStatement<'a>,
    links: CachedStatement<'a>,
    delivery: CachedStatement<'a>,
    end: CachedStatement<'a>,
    cause: CachedStatement<'a>,
    carries: CachedStatement<'a>,
}

impl<'a> Followed<'a> {
    pub(super) fn new(conn: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            messages: conn.prepare_cached(
                "SELECT id, cause FROM message WHERE id > ?1 AND id < ?2 ORDER BY id",
            )?,
            deliveries: conn.prepare_cached(&format!(
                "{DELIVERY} WHERE id > ?1 AND id < ?2 ORDER BY id DESC"
            ))?,
            links: conn.prepare_cached(
                "SELECT origin, target FROM link WHERE origin >= ?1 AND origin < ?2 AND kind <= 1",
            )?,
            delivery: conn.prepare_cached(&format!("{DELIVERY} WHERE id = ?1"))?,
            end: conn.prepare_cached("SELECT id - ordinal + block FROM message WHERE id = ?1")?,
            cause: conn.prepare_cached("SELECT cause FROM message WHERE id = ?1")?,
            carries: conn.prepare_cached("SELECT message FROM delivery WHERE id = ?1")?,
        })
    }

    /// Whether a delivery with an id above `after` that followed from a message is as wanted.
    /// The message is given by its id and the end of its block.
    pub(super) fn any(
        &mut self,
        message: (i64, i64),
        wanted: &Wanted,
        after: i64,
        effort: &mut Effort,
    ) -> rusqlite::Result<bool> {
        let mut open = vec![message];
        let mut looked = 0;
        while let Some((id, end)) = open.pop() {
            effort.look_ups += 3;
            // Causes stand before what follows from them, so one pass in id order is enough.
            let mut known = AHashSet::from([id]);
            let mut messages = self.messages.query((id, end))?;
            while let Some(row) = messages.next()? {
                effort.rows += 1;
                if known.contains(&row.get::<_, Option<i64>>(1)?.unwrap_or(0)) {
                    known.insert(row.get(0)?);
                }
            }
            let mut deliveries = self.deliveries.query((id, end))?;
            while let Some(row) = deliveries.next()? {
                effort.rows += 1;
                let at: i64 = row.get(0)?;
                if known.contains(&row.get(1)?) {
                    if at > after && wanted.is(row)? {
                        return Ok(true);
                    }
                    known.insert(at);
                }
            }
            let mut origins = vec![(id, end)];
            while let Some(range) = origins.pop() {
                let mut links = self.links.query(range)?;
                while let Some(row) = links.next()? {
                    effort.rows += 1;
                    let (origin, target): (i64, i64) = (row.get(0)?, row.get(1)?);
                    if !known.contains(&origin) {
                        continue;
                    }
                    looked += 1;
                    effort.look_ups += 2;
                    if looked > MAX_LINKS {
                        return Ok(false);
                    }
                    let end = self.end.query_row([target], |row| row.get(0)).optional()?;
                    if let Some(end) = end {
                        open.push((target, end));
                        continue;
                    }
                    let is = self
                        .delivery
                        .query_row([target], |row| Ok(target > after && wanted.is(row)?))
                        .optional()?;
                    if is == Some(true) {
                        return Ok(true);
                    }
                    known.insert(target);
                    origins.push((target, target + 1));
                }
            }
        }
        Ok(false)
    }

    /// A message and those above it, as far as they are still in the journal.
    pub(super) fn ancestors(
        &mut self,
        message: i64,
        effort: &mut Effort,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut above = vec![message];
        let mut at = message;
        while above.len() < MAX_ANCESTORS {
            effort.look_ups += 2;
            let cause: Option<Option<i64>> =
                self.cause.query_row([at], |row| row.get(0)).optional()?;
            let Some(Some(cause)) = cause.filter(|cause| cause.is_some_and(|cause| cause < at))
            else {
                break;
            };
            // A cause is a message, or the delivery whose end it followed from.
            at = self
                .carries
                .query_row([cause], |row| row.get(0))
                .optional()?
                .unwrap_or(cause);
            above.push(at);
        }
        Ok(above)
    }
}
