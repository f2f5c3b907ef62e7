//! Repeating: the same bodies again, or the flows on the recorded messages again. Repeats are
//! new deliveries that name what they repeat.

use super::act::demand_reason;
use super::select::describe;
use super::{Desk, DeskError};
use crate::accept::{Root, note_of, with_runtime};
use crate::codes;
use crate::plan::Plan;
use crate::route::{self, Arrival, PlainKey, Start};
use crate::view::{ReplayCount, ReplayReport, ReplayRequest};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use wardline_core::{DeliveryState, Lane, MessageId};
use wardline_mapping::{Metadata, Subject};
use wardline_store::{
    Acceptance, Cause, Change, DeliveryRow, MessageRef, MessageRow, NewDelivery, Operation,
};
use wardline_vault::{AuditEntry, Kind};

/// Repeats committed together.
const BATCH: usize = 200;

/// Repeats a second where nothing is said.
const RATE: u32 = 50;

impl Desk {
    /// Repeats deliveries, or says what repeating would do. Open ones (retrying, held) are not
    /// repeated but tried now: repeating them would send twice. Repeats travel in the bulk lane.
    pub async fn replay(
        &self,
        request: &ReplayRequest,
        actor: &str,
    ) -> Result<ReplayReport, DeskError> {
        if !request.preview {
            demand_reason(&request.reason)?;
        }
        let rows = self.selected(&request.select).await?;
        let (open, ended): (Vec<&DeliveryRow>, Vec<&DeliveryRow>) =
            rows.iter().partition(|row| row.state.is_open());
        let to_release: Vec<&DeliveryRow> = open
            .into_iter()
            .filter(|row| row.state != DeliveryState::Pending)
            .collect();
        let mut report = ReplayReport {
            selected: rows.len() as u64,
            destinations: counts(&ended, &to_release, self),
            released: to_release.len() as u64,
            preview: request.preview,
            ..ReplayReport::default()
        };
        let rate = if request.rate == 0 {
            RATE
        } else {
            request.rate
        };
        report.seconds = (ended.len() as u64).div_ceil(u64::from(rate));
        if request.preview {
            return Ok(report);
        }
        let entry = AuditEntry::new(actor, "delivery.replay", describe(&request.select))
            .because(request.reason.as_str())
            .with("selected", report.selected)
            .with("released", report.released)
            .with("from_raw", request.from_raw);
        let release = Operation::Release {
            deliveries: to_release.iter().map(|row| row.id).collect(),
        };
        self.commit_audited(&entry, vec![Change::Operate(release)])
            .await?;
        self.dispatcher.revisit(to_release.iter().copied());
        report.created = if request.from_raw {
            self.rerun(&ended, rate, actor, &request.reason).await?
        } else {
            self.resend(&ended, rate, actor, &request.reason).await?
        };
        Ok(report)
    }

    /// New deliveries with the bodies as they were.
    async fn resend(
        &self,
        rows: &[&DeliveryRow],
        rate: u32,
        actor: &str,
        reason: &str,
    ) -> Result<u64, DeskError> {
        // What died in its flow has no destination yet: only its flow can say what to send.
        let (failed, mut rows): (Vec<&DeliveryRow>, Vec<&DeliveryRow>) = rows
            .iter()
            .partition(|row| self.name(row.destination).starts_with("flow/"));
        // Oldest first, so that repeats of one key keep the order of the originals.
        rows.sort_by_key(|row| row.id);
        let mut created = 0u64;
        for batch in rows.chunks(BATCH) {
            let mut changes = Vec::with_capacity(batch.len());
            for row in batch {
                changes.extend(resolve(row, actor, reason));
                changes.push(Change::Accept(Box::new(Acceptance {
                    deliveries: vec![NewDelivery {
                        message: MessageRef::Existing(row.message),
                        flow: row.flow,
                        destination: row.destination,
                        lane: Lane::Bulk,
                        key: row.key.clone(),
                        state: DeliveryState::Pending,
                        note: None,
                        body: Some(self.fresh_body(row).await?),
                        size: row.size,
                        content_type: row.content_type,
                        replay_of: Some(row.id),
                        call: None,
                    }],
                    ..Acceptance::default()
                })));
            }
            self.acceptor.store.commit(changes).await?;
            created += batch.len() as u64;
            pace(batch.len(), rate).await;
        }
        if !failed.is_empty() {
            created += self.rerun(&failed, rate, actor, reason).await?;
        }
        Ok(created)
    }

    /// What a delivery sends, sealed with today's key: a repeat must outlive the key of the
    /// original's day, and the original's message.
    async fn fresh_body(&self, row: &DeliveryRow) -> Result<wardline_core::Sealed, DeskError> {
        let Some(sealed) = self.acceptor.store.delivery_body(row.id).await? else {
            return Err(DeskError::Gone(format!(
                "delivery {} has no body any more",
                row.id
            )));
        };
        let plain = self.acceptor.vault.open_sealed(Kind::Message, &sealed)?;
        Ok(self.acceptor.vault.seal(Kind::Message, &plain)?)
    }

    /// The flows of the selected deliveries run again on their messages, with today's maps.
    async fn rerun(
        &self,
        rows: &[&DeliveryRow],
        rate: u32,
        actor: &str,
        reason: &str,
    ) -> Result<u64, DeskError> {
        let mut runs: BTreeMap<(MessageId, String), Vec<Change>> = BTreeMap::new();
        for row in rows {
            let run = runs.entry((row.message, self.name(row.flow))).or_default();
            run.extend(resolve(row, actor, reason));
        }
        let mut created = 0u64;
        for (n, ((message, flow), resolved)) in runs.into_iter().enumerate() {
            created += self.rerun_one(message, &flow, resolved).await?;
            if (n + 1) % BATCH == 0 {
                pace(BATCH, rate).await;
            }
        }
        Ok(created)
    }

    /// `resolved` says of the run's dead deliveries that they were dealt with; it is committed
    /// with the run.
    async fn rerun_one(
        &self,
        message: MessageId,
        flow: &str,
        resolved: Vec<Change>,
    ) -> Result<u64, DeskError> {
        let acceptor = &self.acceptor;
        let plan = acceptor.plan();
        let Some(index) = plan
            .flows
            .iter()
            .position(|declared| *declared.name == *flow)
        else {
            return Err(DeskError::NotFound {
                what: "flow",
                id: flow.to_owned(),
            });
        };
        let Some(row) = acceptor.store.message(message).await? else {
            return Err(DeskError::NotFound {
                what: "message",
                id: message.to_string(),
            });
        };
        let Some(sealed) = acceptor.store.payload(message).await? else {
            return Err(DeskError::Gone(format!(
                "message {message} has no payload any more"
            )));
        };
        let body = acceptor.vault.open_sealed(Kind::Message, &sealed)?;
        // With today's key: the copy must outlive the key of the original's day.
        let sealed = acceptor.vault.seal(Kind::Message, &body)?;
        let acceptance = self.routed_again(&plan, &row, Start::Flow(index), &body, sealed)?;
        let count = acceptance.deliveries.len() as u64;
        let mut changes = resolved;
        changes.push(Change::Accept(Box::new(acceptance)));
        acceptor.store.commit(changes).await?;
        Ok(count)
    }

    /// Routes a recorded message again. The new block begins with a copy of the message that
    /// names the original as its cause, so that the trace shows both runs.
    fn routed_again(
        &self,
        plan: &Plan,
        row: &MessageRow,
        start: Start<'_>,
        body: &Bytes,
        payload: wardline_core::Sealed,
    ) -> Result<Acceptance, DeskError> {
        let acceptor = &self.acceptor;
        let content_type = self.name(row.content_type);
        let charset = plan.charset(&self.name(row.source));
        let subject = route::read_as(&content_type, body, charset).map(|content| {
            Subject::new(content).with(Metadata {
                source: Some(self.name(row.source).into()),
                message_type: Some(self.name(row.kind).into()),
                received: Some(row.received.to_string().into()),
                id: Some(crate::accept::unique_id(acceptor.clock.now()).into()),
                key: row.key.as_ref().and_then(|key| key.shown.clone()),
                ..Metadata::default()
            })
        });
        let arrival = Arrival {
            subject,
            key: row.key.clone().map(PlainKey::Recorded),
            lane: Lane::Bulk,
        };
        let mut derived = with_runtime(|runtime| route::route(plan, start, arrival, runtime));
        for delivery in &mut derived.deliveries {
            delivery.lane = Lane::Bulk;
        }
        let root = Root {
            source: row.source,
            kind: row.kind,
            content_type: row.content_type,
            cause: Some(Cause::Existing(row.id.0)),
            received: acceptor.clock.now(),
            size: body.len() as u32,
            payload,
        };
        Ok(acceptor.seal(plan, derived, Some(root), None)?)
    }
}

/// Says of a dead delivery that it was dealt with by repeating it. Why it died stays readable.
fn resolve(row: &DeliveryRow, actor: &str, reason: &str) -> Option<Change> {
    if row.state != DeliveryState::Dead {
        return None;
    }
    let mut note = row
        .note
        .clone()
        .unwrap_or_else(|| note_of(codes::INVALID_REQUEST, String::new()));
    note.text = format!(
        "repeated by {actor}: {reason}; it had died of: {}",
        note.text
    );
    Some(Change::Operate(Operation::Cancel {
        deliveries: vec![row.id],
        note,
    }))
}

async fn pace(done: usize, rate: u32) {
    tokio::time::sleep(Duration::from_secs_f64(
        done as f64 / f64::from(rate.max(1)),
    ))
    .await;
}

fn counts(ended: &[&DeliveryRow], released: &[&DeliveryRow], desk: &Desk) -> Vec<ReplayCount> {
    let mut by_name: BTreeMap<String, ReplayCount> = BTreeMap::new();
    for row in ended.iter().chain(released) {
        let name = desk.name(row.destination);
        let count = by_name.entry(name.clone()).or_insert_with(|| ReplayCount {
            destination: name,
            ..ReplayCount::default()
        });
        count.count += 1;
        count.delivered_before += u64::from(row.state == DeliveryState::Delivered);
    }
    by_name.into_values().collect()
}
