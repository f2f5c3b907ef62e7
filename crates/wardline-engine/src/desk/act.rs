//! Deciding: release, cancel, park, edit and resubmit. Nothing here changes what was
//! recorded; repeats are new deliveries that name what they repeat.

use super::select::describe;
use super::{Desk, DeskError};
use crate::accept::note_of;
use crate::codes;
use crate::route;
use crate::view::Selection;
use bytes::Bytes;
use wardline_core::{DeliveryId, DeliveryState};
use wardline_store::{
    Acceptance, Change, DeliveryRow, MessageRef, NewDelivery, Note, Operation, Outcome,
};
use wardline_vault::{AuditEntry, Kind};

impl Desk {
    /// Tries held or retrying deliveries now, counting attempts from zero.
    pub async fn release(
        &self,
        select: &Selection,
        reason: &str,
        actor: &str,
    ) -> Result<u64, DeskError> {
        self.operate(
            select,
            reason,
            actor,
            "delivery.release",
            |row| matches!(row.state, DeliveryState::Held | DeliveryState::Retrying),
            |deliveries, _| Operation::Release { deliveries },
        )
        .await
    }

    /// Withdraws open deliveries, and says of dead ones that they were dealt with.
    pub async fn cancel(
        &self,
        select: &Selection,
        reason: &str,
        actor: &str,
    ) -> Result<u64, DeskError> {
        self.operate(
            select,
            reason,
            actor,
            "delivery.cancel",
            |row| row.state.is_open() || row.state == DeliveryState::Dead,
            |deliveries, note| Operation::Cancel { deliveries, note },
        )
        .await
    }

    /// Gives up open deliveries so that their followers pass.
    pub async fn park(
        &self,
        select: &Selection,
        reason: &str,
        actor: &str,
    ) -> Result<u64, DeskError> {
        self.operate(
            select,
            reason,
            actor,
            "delivery.park",
            |row| row.state.is_open(),
            |deliveries, note| Operation::Park { deliveries, note },
        )
        .await
    }

    async fn operate(
        &self,
        select: &Selection,
        reason: &str,
        actor: &str,
        act: &str,
        applies: impl Fn(&DeliveryRow) -> bool,
        operation: impl FnOnce(Vec<DeliveryId>, Note) -> Operation,
    ) -> Result<u64, DeskError> {
        demand_reason(reason)?;
        let mut rows = self.selected(select).await?;
        rows.retain(applies);
        if rows.is_empty() {
            return Ok(0);
        }
        let word = act.trim_start_matches("delivery.");
        let note = note_of(
            codes::INVALID_REQUEST,
            format!("{word} by {actor}: {reason}"),
        );
        let entry = AuditEntry::new(actor, act, describe(select))
            .because(reason)
            .with("deliveries", rows.len());
        let change = Change::Operate(operation(rows.iter().map(|row| row.id).collect(), note));
        let outcomes = self.commit_audited(&entry, vec![change]).await?;
        self.dispatcher.revisit(&rows);
        Ok(match outcomes.first() {
            Some(Outcome::Operated(count)) => *count,
            _ => 0,
        })
    }

    /// Sends an edited copy of a delivery. An open original is cancelled in the same step, so
    /// that exactly one of the two is sent; an ended one stays as it is.
    pub async fn resubmit(
        &self,
        id: DeliveryId,
        edited: &str,
        reason: &str,
        actor: &str,
    ) -> Result<DeliveryId, DeskError> {
        demand_reason(reason)?;
        let store = &self.acceptor.store;
        let Some(row) = store.delivery(id).await? else {
            return Err(DeskError::NotFound {
                what: "delivery",
                id: id.to_string(),
            });
        };
        if self.name(row.destination).starts_with("flow/") {
            return Err(DeskError::Invalid(
                "it failed before it had a destination: mend the map, then `wardline replay` it"
                    .to_owned(),
            ));
        }
        let content_type = self.name(row.content_type);
        let body = match content_type.as_str() {
            // An HL7 editor shows one segment a line; HL7 itself ends segments with CR.
            route::HL7 => Bytes::from(edited.replace("\r\n", "\r").replace('\n', "\r")),
            _ => Bytes::copy_from_slice(edited.as_bytes()),
        };
        route::read(&content_type, &body)
            .map_err(|note| DeskError::Invalid(format!("{}: {}", note.code, note.text)))?;
        let sealed = self.acceptor.vault.seal(Kind::Message, &body)?;
        let entry = AuditEntry::new(actor, "delivery.resubmit", id.to_string()).because(reason);
        let mut changes = Vec::new();
        if row.state.is_open() {
            let note = note_of(
                codes::INVALID_REQUEST,
                format!("replaced by an edited copy by {actor}: {reason}"),
            );
            changes.push(Change::Operate(Operation::Cancel {
                deliveries: vec![id],
                note,
            }));
        }
        changes.push(Change::Accept(Box::new(Acceptance {
            deliveries: vec![NewDelivery {
                message: MessageRef::Existing(row.message),
                flow: row.flow,
                destination: row.destination,
                lane: row.lane,
                key: row.key.clone(),
                state: DeliveryState::Pending,
                note: None,
                size: body.len() as u32,
                body: Some(sealed),
                content_type: row.content_type,
                replay_of: Some(id),
                call: None,
            }],
            ..Acceptance::default()
        })));
        let outcomes = self.commit_audited(&entry, changes).await?;
        self.dispatcher.revisit([&row]);
        match outcomes.last() {
            Some(Outcome::Accepted(accepted)) => Ok(DeliveryId(accepted.first)),
            _ => Err(DeskError::Invalid(
                "the journal gave no id for the copy".to_owned(),
            )),
        }
    }
}

pub(super) fn demand_reason(reason: &str) -> Result<(), DeskError> {
    if reason.trim().is_empty() {
        return Err(DeskError::Invalid(
            "a reason is needed: it goes into the audit log".to_owned(),
        ));
    }
    Ok(())
}
