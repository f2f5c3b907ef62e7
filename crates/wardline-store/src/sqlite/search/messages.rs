//! Messages: by a value, by what failed, or row by row.
//!
//! A state or an error asks about the message *and what followed from it*: the events made
//! from it, their deliveries, and what was repeated or followed later (see
//! [`followed`](super::followed)).

use super::super::rows::{self, MESSAGE_COLUMNS, decode_routes};
use super::followed::{Followed, Wanted};
use super::{Effort, Span, contains, rows_wanted};
use crate::change::RouteOutcome;
use crate::query::{MessageFilter, MessageRow, Page};
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{BlindIndex, DeliveryState, Id};

/// The most rows of a page.
const MAX_MESSAGES: usize = 1_000;

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
        scanned: search.effort.rows,
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
    wanted: Wanted,
    limit: usize,
    found: Vec<i64>,
    effort: Effort,
    candidate: rusqlite::CachedStatement<'a>,
    followed: Followed<'a>,
}

impl<'a> MessageSearch<'a> {
    fn new(conn: &'a Connection, filter: &'a MessageFilter) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            filter,
            wanted: Wanted {
                state: filter.state,
                error: filter.error.as_ref().map(|text| text.to_lowercase()),
            },
            limit: rows_wanted(filter.limit, MAX_MESSAGES),
            found: Vec::new(),
            effort: Effort::default(),
            candidate: conn
                .prepare_cached(&format!("SELECT {CANDIDATE} FROM message WHERE id = ?1"))?,
            followed: Followed::new(conn)?,
        })
    }

    fn full(&self) -> bool {
        self.found.len() >= self.limit || self.effort.is_enough()
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
            self.effort.rows += 1;
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
            self.effort.rows += 1;
            let mut rows = probe.query((name, value, span.high, span.low))?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                self.effort.rows += 1;
                self.effort.look_ups += 1;
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

    /// Walks failed or stopped deliveries, newest first, and names the messages each followed
    /// from. A message of which several are so is told at the newest of them, so pages neither
    /// miss nor repeat one; the messages of one delivery are never torn apart by a page's end.
    fn by_failure(&mut self, state: DeliveryState, span: Span) -> rusqlite::Result<Option<i64>> {
        let index = if state == DeliveryState::Retrying {
            "delivery_stopped WHERE state IN (1, 2)"
        } else {
            "delivery_failed WHERE state IN (2, 4)"
        };
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT id, message, note_text FROM delivery INDEXED BY {index} AND state = ?1 AND id < ?2 AND id >= ?3
             ORDER BY id DESC"
        ))?;
        // What failed may have followed long after the message was received.
        let below = self.filter.before.unwrap_or(Id::MAX).as_i64();
        let mut rows = statement.query((state.as_u8(), below, span.low))?;
        let mut last = None;
        loop {
            if self.full() {
                return Ok(last);
            }
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let (delivery, message): (i64, i64) = (row.get(0)?, row.get(1)?);
            self.effort.rows += 1;
            self.effort.look_ups += 1;
            if let Some(text) = &self.wanted.error
                && !contains(row.get_ref(2)?.as_str_or_null()?, text)
            {
                last = Some(delivery);
                continue;
            }
            let mut told = Vec::new();
            for id in self.followed.ancestors(message, &mut self.effort)? {
                if id >= span.to || id < span.low || self.found.contains(&id) {
                    continue;
                }
                self.effort.look_ups += 1;
                let candidate = self.candidate.query_row([id], Candidate::read).optional()?;
                if let Some(candidate) = candidate
                    && self.is_itself(&candidate)?
                    && !self.followed.any(
                        (candidate.id, candidate.end),
                        &self.wanted,
                        delivery,
                        &mut self.effort,
                    )?
                {
                    told.push(id);
                }
            }
            if !self.found.is_empty() && self.found.len() + told.len() > self.limit {
                return Ok(last);
            }
            self.found.append(&mut told);
            last = Some(delivery);
        }
    }

    fn matches(&mut self, candidate: &Candidate) -> rusqlite::Result<bool> {
        if !self.is_itself(candidate)? {
            return Ok(false);
        }
        if self.wanted.is_anything() {
            return Ok(true);
        }
        self.followed.any(
            (candidate.id, candidate.end),
            &self.wanted,
            candidate.id,
            &mut self.effort,
        )
    }

    /// Whether the message itself, whatever followed from it, is as asked for.
    fn is_itself(&self, candidate: &Candidate) -> rusqlite::Result<bool> {
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
        Ok(true)
    }
}
