//! Operators' acts on deliveries that are still owed, and on dead ones that were dealt with.

use super::rows::{READY_COLUMNS, ready};
use super::settle::NewStanding;
use super::writer::Writer;
use crate::change::{Note, Operation};
use crate::query::CounterKind;
use wardline_core::{DeliveryId, DeliveryState};

impl Writer<'_> {
    /// Applies an operation; says how many deliveries it touched. Deliveries that are no
    /// longer in a state the operation is for are passed over.
    pub(super) fn operate(&mut self, operation: &Operation) -> rusqlite::Result<u64> {
        let mut touched = 0;
        match operation {
            Operation::Cancel { deliveries, note } => {
                for id in deliveries {
                    touched += u64::from(self.end(*id, DeliveryState::Cancelled, note, true)?);
                }
            }
            Operation::Park { deliveries, note } => {
                for id in deliveries {
                    touched += u64::from(self.end(*id, DeliveryState::Dead, note, true)?);
                }
            }
            Operation::Release { deliveries } => {
                for id in deliveries {
                    touched += u64::from(self.release(*id)?);
                }
            }
        }
        Ok(touched)
    }

    /// Ends a delivery; `tell` says whether an instance whose call it carries out hears of it.
    pub(super) fn end(
        &mut self,
        id: DeliveryId,
        state: DeliveryState,
        note: &Note,
        tell: bool,
    ) -> rusqlite::Result<bool> {
        let Some(standing) = self
            .standing(id)?
            .filter(|standing| standing.state.is_open() || may_resolve(standing.state, state))
        else {
            return Ok(false);
        };
        let (attempts, took_us, status): (u32, Option<i64>, Option<String>) = self
            .conn
            .prepare_cached("SELECT attempts, took_us, status FROM delivery WHERE id = ?1")?
            .query_row([id.0.as_i64()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        self.tally
            .leave(standing.place, standing.state, standing.fingerprint);
        self.tally
            .enter(standing.place, state, Some(note.fingerprint));
        let new = NewStanding {
            state,
            attempts,
            next: None,
            since: None,
            first_attempt: standing.first_attempt,
            settled: self.now,
            took_us,
            status: status.as_deref(),
            note,
        };
        self.stand(id, &new)?;
        let kind = if state == DeliveryState::Dead {
            CounterKind::Dead
        } else {
            CounterKind::Cancelled
        };
        self.tally
            .count_for(kind, standing.place.destination, standing.flow, 1);
        if standing.state == DeliveryState::Dead {
            self.tally.count_for(
                CounterKind::Resolved,
                standing.place.destination,
                standing.flow,
                1,
            );
        } else if let Some(call) = standing.call.filter(|_| tell) {
            // A dead one had ended before: its instance knows.
            self.post_end(call, id, standing.message)?;
        }
        Ok(true)
    }

    fn release(&mut self, id: DeliveryId) -> rusqlite::Result<bool> {
        let stopped = |state| matches!(state, DeliveryState::Retrying | DeliveryState::Held);
        let Some(standing) = self
            .standing(id)?
            .filter(|standing| stopped(standing.state))
        else {
            return Ok(false);
        };
        self.tally
            .leave(standing.place, standing.state, standing.fingerprint);
        self.tally
            .enter(standing.place, DeliveryState::Pending, None);
        self.conn
            .prepare_cached(
                "UPDATE delivery SET state = 0, attempts = 0, next = NULL, since = NULL, first_attempt = NULL,
                     settled = ?2
                 WHERE id = ?1",
            )?
            .execute((id.0.as_i64(), self.now.0))?;
        if self.heard {
            let row = self
                .conn
                .prepare_cached(&format!(
                    "SELECT {READY_COLUMNS} FROM delivery AS d LEFT JOIN content AS c
                         ON c.id = CASE d.own_body WHEN 1 THEN d.id ELSE d.message END
                     WHERE d.id = ?1"
                ))?
                .query_row([id.0.as_i64()], ready)?;
            self.ready.push(row);
        }
        Ok(true)
    }
}

/// A dead delivery may be cancelled: somebody has dealt with it.
fn may_resolve(was: DeliveryState, becomes: DeliveryState) -> bool {
    was == DeliveryState::Dead && becomes == DeliveryState::Cancelled
}
