//! How an attempt ended: state, counts, the failed attempt, and what follows, together.

use super::accept::note_text;
use super::mail::Call;
use super::tally::Place;
use super::writer::Writer;
use crate::change::{Note, Settlement, SettlementResult};
use crate::query::CounterKind;
use rusqlite::OptionalExtension;
use wardline_core::{DeliveryId, DeliveryState, Id, Lane, MessageId, Sym, Timestamp};

/// Failed attempts kept from the beginning of a delivery …
const FIRST_ATTEMPTS: u32 = 8;
/// … and from its end. A partner that is down for a month must not fill the disk.
const LAST_ATTEMPTS: u32 = 64;

/// What the journal knows of a delivery that is about to change.
pub(super) struct Standing {
    pub(super) place: Place,
    pub(super) flow: Sym,
    pub(super) state: DeliveryState,
    pub(super) fingerprint: Option<i64>,
    pub(super) first_attempt: Option<i64>,
    pub(super) since: Option<i64>,
    pub(super) message: MessageId,
    pub(super) call: Option<Call>,
}

/// The columns that a failure or an operator's act sets.
pub(super) struct NewStanding<'a> {
    pub(super) state: DeliveryState,
    pub(super) attempts: u32,
    pub(super) next: Option<Timestamp>,
    pub(super) since: Option<i64>,
    pub(super) first_attempt: Option<i64>,
    pub(super) settled: Timestamp,
    pub(super) took_us: Option<i64>,
    pub(super) status: Option<&'a str>,
    pub(super) note: &'a Note,
}

impl Writer<'_> {
    /// Where a delivery stands now.
    pub(super) fn standing(&mut self, id: DeliveryId) -> rusqlite::Result<Option<Standing>> {
        self.sql
            .open
            .query_row([id.0.as_i64()], |row| {
                Ok(Standing {
                    place: Place {
                        destination: Sym(row.get(0)?),
                        lane: Lane::from_u8(row.get(1)?),
                    },
                    flow: Sym(row.get(2)?),
                    state: super::rows::state(row.get(3)?)?,
                    fingerprint: row.get(4)?,
                    first_attempt: row.get(5)?,
                    since: row.get(6)?,
                    message: MessageId(Id::from_i64(row.get(7)?)),
                    call: super::rows::call(row, 8)?,
                })
            })
            .optional()
    }

    /// Applies a settlement; false when the lease or the expected state no longer holds.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> rusqlite::Result<bool> {
        if settlement.lease != self.shared.lease || !settlement.was.is_open() {
            return Ok(false);
        }
        let id = settlement.delivery;
        let Some(standing) = self
            .standing(id)?
            .filter(|standing| standing.state == settlement.was)
        else {
            return Ok(false);
        };
        self.tally
            .leave(standing.place, standing.state, standing.fingerprint);
        let took_us = i64::try_from(settlement.ended.since(settlement.started).as_micros())
            .unwrap_or(i64::MAX);
        let status = (!settlement.status.is_empty()).then_some(settlement.status.as_str());
        match &settlement.result {
            SettlementResult::Delivered => {
                // A first attempt that succeeded began `took_us` before it ended: not stored.
                let first = standing
                    .first_attempt
                    .or((settlement.attempt > 1).then_some(settlement.started.0));
                let statement = &mut self.sql.deliver;
                statement.raw_bind_parameter(1, id.0.as_i64())?;
                statement.raw_bind_parameter(2, settlement.attempt)?;
                statement.raw_bind_parameter(3, first)?;
                statement.raw_bind_parameter(4, settlement.ended.0)?;
                statement.raw_bind_parameter(5, took_us)?;
                statement.raw_bind_parameter(6, status)?;
                statement.raw_execute()?;
                let place = standing.place;
                self.tally
                    .count_for(CounterKind::Delivered, place.destination, standing.flow, 1);
            }
            SettlementResult::Retry { note, .. }
            | SettlementResult::Hold(note)
            | SettlementResult::Dead(note) => {
                let (state, next) = match &settlement.result {
                    SettlementResult::Retry { next, .. } => (DeliveryState::Retrying, Some(*next)),
                    SettlementResult::Hold(_) => (DeliveryState::Held, None),
                    _ => (DeliveryState::Dead, None),
                };
                let since = state
                    .is_open()
                    .then(|| standing.since.unwrap_or(settlement.ended.0));
                let new = NewStanding {
                    state,
                    attempts: settlement.attempt,
                    next,
                    since,
                    first_attempt: standing.first_attempt.or(Some(settlement.started.0)),
                    settled: settlement.ended,
                    took_us: Some(took_us),
                    status,
                    note,
                };
                self.stand(id, &new)?;
                self.tally
                    .enter(standing.place, state, Some(note.fingerprint));
                self.tally.count_for(
                    CounterKind::Failed,
                    standing.place.destination,
                    standing.flow,
                    1,
                );
                if state == DeliveryState::Dead {
                    self.tally.count_for(
                        CounterKind::Dead,
                        standing.place.destination,
                        standing.flow,
                        1,
                    );
                }
                self.keep_attempt(settlement, took_us, note)?;
            }
        }
        let ended = matches!(
            settlement.result,
            SettlementResult::Delivered | SettlementResult::Dead(_)
        );
        if let Some(call) = standing.call.filter(|_| ended) {
            self.post_end(call, id, standing.message)?;
        }
        if let Some(response) = &settlement.response {
            self.sql
                .response
                .execute((id.0.as_i64(), &response.as_sealed_bytes()[..]))?;
        }
        if let Some(follow) = &settlement.follow {
            self.accept(follow, None)?;
        }
        Ok(true)
    }

    /// Writes where a delivery stands from now on, where there is a reason to tell.
    pub(super) fn stand(&mut self, id: DeliveryId, new: &NewStanding<'_>) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE delivery SET state = ?2, attempts = ?3, next = ?4, since = ?5, first_attempt = ?6,
                     settled = ?7, took_us = ?8, status = ?9, note_code = ?10, note_text = ?11, fingerprint = ?12
                 WHERE id = ?1",
            )?
            .execute((
                id.0.as_i64(),
                new.state.as_u8(),
                new.attempts,
                new.next.map(|next| next.0),
                new.since,
                new.first_attempt,
                new.settled.0,
                new.took_us,
                new.status,
                &new.note.code,
                note_text(new.note),
                new.note.fingerprint,
            ))?;
        Ok(())
    }

    fn keep_attempt(
        &mut self,
        settlement: &Settlement,
        took_us: i64,
        note: &Note,
    ) -> rusqlite::Result<()> {
        let delivery = settlement.delivery.0.as_i64();
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO attempt
                     (delivery, started, number, took_us, status, note_code, note_text, fingerprint)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute((
                delivery,
                settlement.started.0,
                settlement.attempt,
                took_us,
                &settlement.status,
                &note.code,
                note_text(note),
                note.fingerprint,
            ))?;
        if let Some(old) = settlement
            .attempt
            .checked_sub(LAST_ATTEMPTS)
            .filter(|old| *old > FIRST_ATTEMPTS)
        {
            self.conn
                .prepare_cached("DELETE FROM attempt WHERE delivery = ?1 AND number = ?2")?
                .execute((delivery, old))?;
        }
        Ok(())
    }
}
