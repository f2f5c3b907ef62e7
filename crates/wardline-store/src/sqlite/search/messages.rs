//! Messages: by a value, by what failed, or row by row.

use super::super::rows::{self, MESSAGE_COLUMNS, decode_routes};
use super::{MAX_SCANNED, Span, contains, rows_wanted};
use crate::change::RouteOutcome;
use crate::query::{MessageFilter, MessageRow, Page};
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{BlindIndex, DeliveryState, Id};

/// The most rows of a page.
const MAX_MESSAGES: usize = 1_000;
/// Replays of replays followed when a message's deliveries are looked through.
const MAX_REPLAYS: usize = 1_000;

/// Messages that match, newest first.
pub(in crate::sqlite) fn messages(
    conn: &Connection,
    filter: &MessageFilter,
) -> rusqlite::Result<Page<MessageRow>> {
    let tx = conn.unchecked_transaction()?;
    let span = Span::of(filter.range, filter.before);
    let mut search = MessageSearch::new(&tx, filter)?;
    let next = match (filter.term, filter.state) {
        (Some(term), _) => search.by_term(term, span)?,
        (
            None,
            Some(state @ (DeliveryState::Held | DeliveryState::Dead | DeliveryState::Retrying)),
        ) => search.by_failure(state, span)?,
        (None, _) => search.by_row(span)?,
    };
    let mut load = tx.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM message AS m WHERE m.id = ?1"
    ))?;
    let found = search
        .found
        .iter()
        .map(|id| load.query_row([id], rows::message));
    Ok(Page {
        rows: found.collect::<rusqlite::Result<_>>()?,
        scanned: search.scanned,
        next: next.map(Id::from_i64),
    })
}

/// What a message is judged by.
struct Candidate {
    id: i64,
    /// End of its block.
    end: i64,
    source: u32,
    kind: u32,
    root: bool,
    outcome: u8,
    routes: Option<Vec<u8>>,
}

const CANDIDATE: &str = "id, id - ordinal + block, source, kind, cause IS NULL, outcome, routes";

impl Candidate {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            end: row.get(1)?,
            source: row.get(2)?,
            kind: row.get(3)?,
            root: row.get(4)?,
            outcome: row.get(5)?,
            routes: row.get(6)?,
        })
    }
}

struct MessageSearch<'a> {
    conn: &'a Connection,
    filter: &'a MessageFilter,
    error: Option<String>,
    limit: usize,
    found: Vec<i64>,
    scanned: u64,
    candidate: rusqlite::CachedStatement<'a>,
    block: rusqlite::CachedStatement<'a>,
    replays: rusqlite::CachedStatement<'a>,
    one: rusqlite::CachedStatement<'a>,
}

impl<'a> MessageSearch<'a> {
    fn new(conn: &'a Connection, filter: &'a MessageFilter) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            filter,
            error: filter.error.as_ref().map(|text| text.to_lowercase()),
            limit: rows_wanted(filter.limit, MAX_MESSAGES),
            found: Vec::new(),
            scanned: 0,
            candidate: conn.prepare_cached(&format!("SELECT {CANDIDATE} FROM message WHERE id = ?1"))?,
            block: conn.prepare_cached(
                "SELECT id, message, state, note_text FROM delivery WHERE id > ?1 AND id < ?2 ORDER BY id",
            )?,
            replays: conn.prepare_cached(
                "SELECT target FROM link WHERE kind = 1 AND origin >= ?1 AND origin < ?2",
            )?,
            one: conn.prepare_cached("SELECT id, message, state, note_text FROM delivery WHERE id = ?1")?,
        })
    }

    fn full(&self) -> bool {
        self.found.len() >= self.limit || self.scanned >= MAX_SCANNED
    }

    /// Walks the messages themselves.
    fn by_row(&mut self, span: Span) -> rusqlite::Result<Option<i64>> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {CANDIDATE} FROM message WHERE id < ?1 AND id >= ?2 ORDER BY id DESC"
        ))?;
        let mut rows = statement.query((span.high, span.low))?;
        let mut last = None;
        loop {
            if self.full() {
                return Ok(last);
            }
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            self.scanned += 1;
            let candidate = Candidate::read(row)?;
            last = Some(candidate.id);
            if self.matches(&candidate)? {
                self.found.push(candidate.id);
            }
        }
    }

    /// Probes the buckets of terms, from the newest down.
    fn by_term(
        &mut self,
        BlindIndex(value): BlindIndex,
        span: Span,
    ) -> rusqlite::Result<Option<i64>> {
        let mut below = self
            .conn
            .prepare_cached("SELECT max(bucket) FROM term WHERE bucket < ?1")?;
        let mut probe = self.conn.prepare_cached(
            "SELECT message FROM term WHERE bucket = ?1 AND value = ?2 AND message < ?3 AND message >= ?4
             ORDER BY message DESC",
        )?;
        let mut bucket: Option<i64> = below.query_row([span.high], |row| row.get(0))?;
        while let Some(name) = bucket {
            self.scanned += 1;
            let mut rows = probe.query((name, value, span.high, span.low))?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                self.scanned += 1;
                let candidate = self.candidate.query_row([id], Candidate::read).optional()?;
                if let Some(candidate) = candidate
                    && self.matches(&candidate)?
                {
                    self.found.push(id);
                }
                if self.full() {
                    return Ok(Some(id));
                }
            }
            if name <= span.low {
                return Ok(None);
            }
            if self.full() {
                return Ok(Some(name));
            }
            bucket = below.query_row([name], |row| row.get(0))?;
        }
        Ok(None)
    }

    /// Walks failed or stopped deliveries, newest failure first.
    fn by_failure(&mut self, state: DeliveryState, span: Span) -> rusqlite::Result<Option<i64>> {
        let index = if state == DeliveryState::Retrying {
            "delivery_stopped WHERE state IN (1, 2)"
        } else {
            "delivery_failed WHERE state IN (2, 4)"
        };
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT id, message FROM delivery INDEXED BY {index} AND state = ?1 AND id < ?2 AND id >= ?3
             ORDER BY id DESC"
        ))?;
        let mut rows = statement.query((state.as_u8(), span.high, span.low))?;
        let mut last = None;
        loop {
            if self.full() {
                return Ok(last);
            }
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let (delivery, message): (i64, i64) = (row.get(0)?, row.get(1)?);
            self.scanned += 1;
            last = Some(delivery);
            if self.found.contains(&message) {
                continue;
            }
            let Some(candidate) = self
                .candidate
                .query_row([message], Candidate::read)
                .optional()?
            else {
                continue;
            };
            // Of several failures in one block the newest tells of the message.
            if self.later_in_block(&candidate, delivery, state)? {
                continue;
            }
            if self.matches(&candidate)? {
                self.found.push(message);
            }
        }
    }

    fn later_in_block(
        &mut self,
        candidate: &Candidate,
        delivery: i64,
        state: DeliveryState,
    ) -> rusqlite::Result<bool> {
        if delivery >= candidate.end {
            return Ok(false);
        }
        let mut rows = self.block.query((delivery, candidate.end))?;
        while let Some(row) = rows.next()? {
            self.scanned += 1;
            if row.get::<_, i64>(1)? == candidate.id && row.get::<_, u8>(2)? == state.as_u8() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches(&mut self, candidate: &Candidate) -> rusqlite::Result<bool> {
        let filter = self.filter;
        if filter.kind.is_some_and(|kind| kind.0 != candidate.kind)
            || filter
                .source
                .is_some_and(|source| source.0 != candidate.source)
            || filter
                .outcome
                .is_some_and(|outcome| outcome as u8 != candidate.outcome)
            || (filter.roots_only && !candidate.root)
        {
            return Ok(false);
        }
        if let Some(flow) = filter.flow {
            let routes = decode_routes(candidate.routes.as_deref().unwrap_or_default())?;
            if !routes
                .iter()
                .any(|route| route.flow == flow && route.outcome == RouteOutcome::Taken)
            {
                return Ok(false);
            }
        }
        if filter.state.is_some() || self.error.is_some() {
            return self.some_delivery_matches(candidate);
        }
        Ok(true)
    }

    /// Whether one of the message's deliveries, replays included, is as asked for.
    fn some_delivery_matches(&mut self, candidate: &Candidate) -> rusqlite::Result<bool> {
        let (state, error) = (self.filter.state, self.error.as_deref());
        let as_asked = |row: &rusqlite::Row<'_>| -> rusqlite::Result<bool> {
            Ok(row.get::<_, i64>(1)? == candidate.id
                && state.is_none_or(|state| row.get(2).is_ok_and(|raw: u8| raw == state.as_u8()))
                && match error {
                    Some(text) => contains(row.get_ref(3)?.as_str_or_null()?, text),
                    None => true,
                })
        };
        {
            let mut rows = self.block.query((candidate.id, candidate.end))?;
            while let Some(row) = rows.next()? {
                self.scanned += 1;
                if as_asked(row)? {
                    return Ok(true);
                }
            }
        }
        let mut origins = vec![(candidate.id, candidate.end)];
        let mut looked = 0;
        while let Some(range) = origins.pop() {
            let mut rows = self.replays.query(range)?;
            while let Some(row) = rows.next()? {
                self.scanned += 1;
                looked += 1;
                let target: i64 = row.get(0)?;
                if self
                    .one
                    .query_row([target], |row| as_asked(row))
                    .optional()?
                    == Some(true)
                {
                    return Ok(true);
                }
                if looked < MAX_REPLAYS {
                    origins.push((target, target + 1));
                }
            }
        }
        Ok(false)
    }
}
