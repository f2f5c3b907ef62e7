//! Taking messages: one block of ids, rows, terms and counts for each acceptance.

use super::ids::MAX_BLOCK;
use super::inbox::{Entry, Inbox};
use super::mail::Call;
use super::tally::Place;
use super::writer::{Halt, Writer};
use crate::change::{
    Acceptance, Accepted, Cause, Dedup, Duplicate, MessageRef, NewDelivery, NewMessage, Note,
    RouteOutcome,
};
use crate::error::StoreError;
use crate::query::{CounterKind, LinkKind, MessageOutcome, Ready};
use bytes::Bytes;
use rusqlite::blob::ZeroBlob;
use rusqlite::types::ToSql;
use rusqlite::{MAIN_DB, OptionalExtension};
use std::io::Write as _;
use wardline_core::{DeliveryId, DeliveryState, Id, InstanceId, MessageId, Sealed, Timestamp};

/// The most bytes of one payload, a little below what SQLite takes in a row.
pub(super) const MAX_PAYLOAD_BYTES: usize = 999_000_000;
/// Payloads above this are written into their place instead of being copied to the database
/// library first.
const IN_PLACE_BYTES: usize = 1 << 20;
/// Characters of a note's text that are kept.
const NOTE_CHARS: usize = 500;

/// What the inbox says to a message.
enum Seen {
    New,
    Before(Duplicate),
    BeforeOtherwise,
}

impl Writer<'_> {
    /// Refuses what could not be recorded as a whole, before any of it is. `advances` says that
    /// it follows from an instance's advance.
    pub(super) fn check_acceptance(
        &self,
        acceptance: &Acceptance,
        advances: bool,
    ) -> Result<(), Halt> {
        let refuse = |what: String| Err(Halt::Refused(StoreError::Invalid(what)));
        let messages = acceptance.messages.len();
        let len = messages + acceptance.deliveries.len();
        if len == 0 || len > MAX_BLOCK {
            return refuse(format!(
                "an acceptance of {len} messages and deliveries; 1 to {MAX_BLOCK} are taken together"
            ));
        }
        for (ordinal, message) in acceptance.messages.iter().enumerate() {
            if message.payload.len() > MAX_PAYLOAD_BYTES {
                return refuse(format!(
                    "a payload of {} bytes; at most {MAX_PAYLOAD_BYTES} are kept",
                    message.payload.len()
                ));
            }
            match message.cause {
                Some(Cause::Ordinal(cause)) if cause as usize >= ordinal => {
                    return refuse(format!(
                        "message {ordinal} follows from message {cause}, which does not precede it"
                    ));
                }
                Some(Cause::Existing(id)) if id > self.last_id() => {
                    return refuse(format!(
                        "message {ordinal} follows from {id}, which was never given"
                    ));
                }
                _ => {}
            }
        }
        for delivery in &acceptance.deliveries {
            if delivery
                .body
                .as_ref()
                .is_some_and(|body| body.len() > MAX_PAYLOAD_BYTES)
            {
                return refuse(format!("a body of more than {MAX_PAYLOAD_BYTES} bytes"));
            }
            match (delivery.state, &delivery.note) {
                (DeliveryState::Pending, _) | (DeliveryState::Dead, Some(_)) => {}
                (DeliveryState::Dead, None) => {
                    return refuse("a delivery that starts dead needs a note".into());
                }
                (state, _) => return refuse(format!("a delivery cannot start {state}")),
            }
            if !advances
                && delivery.replay_of.is_none()
                && delivery.call.is_some_and(|call| call.instance.is_none())
            {
                return refuse("a call of no instance: only an advance has one of its own".into());
            }
            match delivery.message {
                MessageRef::Ordinal(n) if n as usize >= messages => {
                    return refuse(format!(
                        "a delivery of message {n} in an acceptance of {messages}"
                    ));
                }
                MessageRef::Ordinal(_) => {}
                MessageRef::Existing(MessageId(id)) => {
                    let known = self
                        .conn
                        .prepare_cached(
                            "SELECT EXISTS (SELECT 1 FROM content WHERE id = ?1) FROM message WHERE id = ?1",
                        )?
                        .query_row([id.as_i64()], |row| row.get::<_, bool>(0))
                        .optional()?;
                    match known {
                        None => {
                            return refuse(format!(
                                "message {id} is not (or no longer) in the journal"
                            ));
                        }
                        Some(false) if delivery.body.is_none() => {
                            return refuse(format!(
                                "the payload of message {id} is no longer kept"
                            ));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let terms = acceptance.terms.iter().map(|term| ("a term", term.ordinal));
        let mail = acceptance.mail.iter().map(|mail| ("mail", mail.ordinal));
        match terms
            .chain(mail)
            .find(|(_, ordinal)| *ordinal as usize >= messages)
        {
            Some((what, ordinal)) => refuse(format!(
                "{what} of message {ordinal} in an acceptance of {messages}"
            )),
            None => Ok(()),
        }
    }

    /// Records an acceptance that [`Self::check_acceptance`] let pass; `advancing` is the
    /// instance that it follows from.
    pub(super) fn accept(
        &mut self,
        acceptance: &Acceptance,
        advancing: Option<InstanceId>,
    ) -> rusqlite::Result<Accepted> {
        let len = acceptance.messages.len() + acceptance.deliveries.len();
        let mut flagged = false;
        if let Some(dedup) = &acceptance.dedup {
            // The ids may go unused: they have to increase, not to be dense.
            let first = self.ids.take(len, self.now);
            match self.recognise(dedup, first)? {
                Seen::New => {}
                Seen::BeforeOtherwise => flagged = true,
                Seen::Before(duplicate) => {
                    if !duplicate.differs {
                        self.tally.count(CounterKind::Duplicate, dedup.source, 1);
                    }
                    return Ok(Accepted {
                        first: duplicate.original.0,
                        duplicate: Some(duplicate),
                    });
                }
            }
            self.record(acceptance, first, flagged, advancing)?;
            return Ok(Accepted {
                first,
                duplicate: None,
            });
        }
        let first = self.ids.take(len, self.now);
        self.record(acceptance, first, flagged, advancing)?;
        Ok(Accepted {
            first,
            duplicate: None,
        })
    }

    fn record(
        &mut self,
        acceptance: &Acceptance,
        first: Id,
        flagged: bool,
        advancing: Option<InstanceId>,
    ) -> rusqlite::Result<()> {
        let messages = acceptance.messages.len() as u32;
        let block = messages + acceptance.deliveries.len() as u32;
        let mut followed = std::mem::take(&mut self.followed);
        mark_followed(acceptance, &mut followed);
        for (ordinal, message) in (0..).zip(&acceptance.messages) {
            let outcome = outcome(message, followed[ordinal as usize]);
            self.insert_message(
                message,
                first,
                ordinal,
                block,
                outcome,
                message.flagged || (flagged && ordinal == 0),
            )?;
        }
        self.followed = followed;
        for (at, delivery) in (messages..).zip(&acceptance.deliveries) {
            self.insert_delivery(acceptance, delivery, first, at, advancing)?;
        }
        for term in &acceptance.terms {
            self.terms.add(term.index, first.offset(term.ordinal));
        }
        for mail in &acceptance.mail {
            self.post_event(mail, first)?;
        }
        Ok(())
    }

    /// Looks a message up in the inbox and enters it there.
    fn recognise(&mut self, dedup: &Dedup, first: Id) -> rusqlite::Result<Seen> {
        let seen = self.inbox.find(self.conn, dedup)?;
        let seen = seen.filter(|entry| {
            dedup
                .since
                .is_none_or(|since| entry.message >= since.as_i64())
        });
        let known = |entry: &Entry| entry.digest == dedup.digest || dedup.since.is_some();
        if let Some(entry) = seen.filter(known) {
            let answer = Inbox::answer(self.conn, entry)?;
            return Ok(Seen::Before(Duplicate {
                original: MessageId(Id::from_i64(entry.message)),
                answer,
                differs: entry.digest != dedup.digest,
            }));
        }
        self.inbox.enter(self.conn, dedup, first)?;
        Ok(if seen.is_some() {
            Seen::BeforeOtherwise
        } else {
            Seen::New
        })
    }

    fn insert_message(
        &mut self,
        message: &NewMessage,
        first: Id,
        ordinal: u32,
        block: u32,
        outcome: MessageOutcome,
        flagged: bool,
    ) -> rusqlite::Result<()> {
        let id = first.offset(ordinal);
        let cause = message.cause.map(|cause| match cause {
            Cause::Ordinal(n) => first.offset(n),
            Cause::Existing(id) => id,
        });
        let routes = super::rows::encode_routes(&message.routes);
        let key = message.key.as_ref();
        let statement = &mut self.sql.message;
        statement.raw_bind_parameter(1, id.as_i64())?;
        statement.raw_bind_parameter(2, ordinal)?;
        statement.raw_bind_parameter(3, block)?;
        statement.raw_bind_parameter(4, message.source.0)?;
        statement.raw_bind_parameter(5, message.kind.0)?;
        statement.raw_bind_parameter(6, message.content_type.0)?;
        statement.raw_bind_parameter(7, cause.map(Id::as_i64))?;
        statement.raw_bind_parameter(8, key.map(|key| key.index.0))?;
        statement.raw_bind_parameter(9, key.and_then(|key| key.shown.as_deref()))?;
        statement.raw_bind_parameter(10, message.lane.as_u8())?;
        statement.raw_bind_parameter(11, message.received.0)?;
        statement.raw_bind_parameter(12, message.size)?;
        statement.raw_bind_parameter(13, outcome as u8)?;
        statement.raw_bind_parameter(14, flagged)?;
        statement.raw_bind_parameter(15, (!routes.is_empty()).then_some(&routes[..]))?;
        statement.raw_execute()?;
        self.insert_content(id, &message.payload)?;
        if let Some(Cause::Existing(origin)) = message.cause {
            self.sql
                .link
                .execute((origin.as_i64(), id.as_i64(), LinkKind::Follow as u8))?;
        }
        if message.cause.is_none() {
            self.tally.count(CounterKind::Accepted, message.source, 1);
            self.tally
                .count(CounterKind::Bytes, message.source, u64::from(message.size));
        } else {
            self.tally.count(CounterKind::Derived, message.source, 1);
        }
        match outcome {
            MessageOutcome::Routed => {}
            MessageOutcome::Filtered => self.tally.count(CounterKind::Filtered, message.source, 1),
            MessageOutcome::Unrouted => self.tally.count(CounterKind::Unrouted, message.source, 1),
        }
        Ok(())
    }

    fn insert_delivery(
        &mut self,
        acceptance: &Acceptance,
        delivery: &NewDelivery,
        first: Id,
        at: u32,
        advancing: Option<InstanceId>,
    ) -> rusqlite::Result<()> {
        let id = first.offset(at);
        let message = match delivery.message {
            MessageRef::Ordinal(n) => first.offset(n),
            MessageRef::Existing(MessageId(id)) => id,
        };
        let key = delivery.key.as_ref();
        let note = delivery.note.as_ref();
        let run = self.runs.take(id);
        let call = self.call_of(delivery, advancing)?;
        let statement = &mut self.sql.delivery;
        statement.raw_bind_parameter(1, id.as_i64())?;
        statement.raw_bind_parameter(2, message.as_i64())?;
        statement.raw_bind_parameter(3, delivery.flow.0)?;
        statement.raw_bind_parameter(4, delivery.destination.0)?;
        statement.raw_bind_parameter(5, delivery.lane.as_u8())?;
        statement.raw_bind_parameter(6, key.map(|key| key.index.0))?;
        statement.raw_bind_parameter(7, key.and_then(|key| key.shown.as_deref()))?;
        statement.raw_bind_parameter(8, delivery.state.as_u8())?;
        statement.raw_bind_parameter(9, self.now.0)?;
        statement.raw_bind_parameter(10, note.map(|note| note.code.as_str()))?;
        statement.raw_bind_parameter(11, note.map(note_text))?;
        statement.raw_bind_parameter(12, note.map(|note| note.fingerprint))?;
        statement.raw_bind_parameter(13, delivery.body.is_some())?;
        statement.raw_bind_parameter(14, delivery.size)?;
        statement.raw_bind_parameter(15, delivery.content_type.0)?;
        statement.raw_bind_parameter(16, delivery.replay_of.map(|id| id.0.as_i64()))?;
        statement.raw_bind_parameter(17, run.as_i64())?;
        statement.raw_bind_parameter(18, call.map(|call| call.instance.0.as_i64()))?;
        statement.raw_bind_parameter(19, call.map(|call| call.number))?;
        statement.raw_execute()?;
        if let Some(body) = &delivery.body {
            self.insert_content(id, body)?;
        }
        let origin = match (delivery.replay_of, delivery.message) {
            (Some(DeliveryId(origin)), _) | (None, MessageRef::Existing(MessageId(origin))) => {
                Some(origin)
            }
            (None, MessageRef::Ordinal(_)) => None,
        };
        if let Some(origin) = origin {
            self.sql
                .link
                .execute((origin.as_i64(), id.as_i64(), LinkKind::Replay as u8))?;
        }
        let place = Place {
            destination: delivery.destination,
            lane: delivery.lane,
        };
        self.tally
            .count_for(CounterKind::Owed, delivery.destination, delivery.flow, 1);
        self.tally
            .enter(place, delivery.state, note.map(|note| note.fingerprint));
        if delivery.state == DeliveryState::Dead {
            self.tally
                .count_for(CounterKind::Dead, delivery.destination, delivery.flow, 1);
            if let Some(call) = call {
                self.post_end(call, DeliveryId(id), MessageId(message))?;
            }
        } else if self.heard {
            let body = match (&delivery.body, delivery.message) {
                (Some(body), _) => body.clone(),
                (None, MessageRef::Ordinal(n)) => acceptance.messages[n as usize].payload.clone(),
                (None, MessageRef::Existing(_)) => self.content(message)?,
            };
            self.ready.push(Ready {
                id: DeliveryId(id),
                message: MessageId(message),
                flow: delivery.flow,
                destination: delivery.destination,
                lane: delivery.lane,
                key: delivery.key.clone(),
                state: delivery.state,
                attempts: 0,
                next: None,
                accepted: Timestamp::from_unix_ms(id.unix_ms()),
                first_attempt: None,
                content_type: delivery.content_type,
                body,
            });
        }
        Ok(())
    }

    /// The call that a delivery carries out; a repetition carries out what it repeats.
    fn call_of(
        &self,
        delivery: &NewDelivery,
        advancing: Option<InstanceId>,
    ) -> rusqlite::Result<Option<Call>> {
        let own = delivery.call.and_then(|call| {
            Some(Call {
                instance: call.instance.or(advancing)?,
                number: call.number,
            })
        });
        let Some(DeliveryId(of)) = delivery.replay_of else {
            return Ok(own);
        };
        let repeated = self
            .conn
            .prepare_cached("SELECT instance, call FROM delivery WHERE id = ?1")?
            .query_row([of.as_i64()], |row| super::rows::call(row, 0))
            .optional()?;
        Ok(repeated.flatten().or(own))
    }

    fn insert_content(&mut self, id: Id, sealed: &Sealed) -> rusqlite::Result<()> {
        let bytes = sealed.as_sealed_bytes();
        let statement = &mut self.sql.content;
        statement.raw_bind_parameter(1, id.as_i64())?;
        if bytes.len() <= IN_PLACE_BYTES {
            statement.raw_bind_parameter(2, &bytes[..])?;
            statement.raw_execute()?;
            return Ok(());
        }
        statement.raw_bind_parameter(2, ZeroBlob(bytes.len() as u64).to_sql()?)?;
        statement.raw_execute()?;
        let mut place = self
            .conn
            .blob_open(MAIN_DB, "content", "sealed", id.as_i64(), false)?;
        place
            .write_all(bytes)
            .map_err(|error| from_blob_error(&error))?;
        place.close()
    }

    /// What is kept for a message or delivery.
    pub(super) fn content(&self, id: Id) -> rusqlite::Result<Sealed> {
        let found: Option<Vec<u8>> = self
            .conn
            .prepare_cached("SELECT sealed FROM content WHERE id = ?1")?
            .query_row([id.as_i64()], |row| row.get(0))
            .optional()?;
        Ok(Sealed::from_sealed_bytes(Bytes::from(
            found.unwrap_or_default(),
        )))
    }
}

/// Writing into a blob reports through `io::Error`; the code of SQLite inside is what counts.
fn from_blob_error(error: &std::io::Error) -> rusqlite::Error {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rusqlite::Error>())
    {
        Some(rusqlite::Error::SqliteFailure(failure, text)) => {
            rusqlite::Error::SqliteFailure(*failure, text.clone())
        }
        _ => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE),
            Some(error.to_string()),
        ),
    }
}

/// Marks the messages of an acceptance that others of it, or deliveries, follow from.
fn mark_followed(acceptance: &Acceptance, followed: &mut Vec<bool>) {
    followed.clear();
    followed.resize(acceptance.messages.len(), false);
    for message in &acceptance.messages {
        if let Some(Cause::Ordinal(n)) = message.cause {
            followed[n as usize] = true;
        }
    }
    for delivery in &acceptance.deliveries {
        if let MessageRef::Ordinal(n) = delivery.message {
            followed[n as usize] = true;
        }
    }
}

/// What became of a message as a whole.
fn outcome(message: &NewMessage, followed: bool) -> MessageOutcome {
    if followed
        || message
            .routes
            .iter()
            .any(|route| route.outcome != RouteOutcome::Filtered)
    {
        MessageOutcome::Routed
    } else if message.routes.is_empty() {
        MessageOutcome::Unrouted
    } else {
        MessageOutcome::Filtered
    }
}

/// The part of a note's text that is kept.
pub(super) fn note_text(note: &Note) -> &str {
    kept_text(&note.text)
}

/// The part of a text for people that is kept.
pub(super) fn kept_text(text: &str) -> &str {
    match text.char_indices().nth(NOTE_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
