//! Deciding: replay, release, cancel, park, edit and resubmit. Nothing here changes what was
//! recorded; repeats are new deliveries that name what they repeat.

use super::{Desk, DeskError};
use crate::accept::{Root, note_of, with_runtime};
use crate::codes;
use crate::route::{self, Arrival, PlainKey, Start};
use crate::view::{ReplayCount, ReplayReport, ReplayRequest, Selection};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, Id, Lane, MessageId};
use wardline_mapping::{Metadata, Subject};
use wardline_store::{
    Acceptance, Cause, Change, DeliveryRow, MessageFilter, MessageRef, MessageRow, NewDelivery,
    Note, Operation, Outcome,
};
use wardline_vault::{AuditEntry, Kind};

/// Deliveries that one act may touch. More than that is a decision to be taken in parts.
const MOST: usize = 100_000;
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
        let Some(index) = acceptor
            .plan
            .flows
            .iter()
            .position(|plan| *plan.name == *flow)
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
        let acceptance = self.routed_again(&row, Start::Flow(index), &body, sealed)?;
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
        row: &MessageRow,
        start: Start<'_>,
        body: &Bytes,
        payload: wardline_core::Sealed,
    ) -> Result<Acceptance, DeskError> {
        let acceptor = &self.acceptor;
        let content_type = self.name(row.content_type);
        let charset = acceptor.plan.charset(&self.name(row.source));
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
        let mut derived =
            with_runtime(|runtime| route::route(&acceptor.plan, start, arrival, runtime));
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
        Ok(acceptor.seal(derived, Some(root), None)?)
    }

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

    /// The deliveries that a selection names, oldest first.
    pub(super) async fn selected(&self, select: &Selection) -> Result<Vec<DeliveryRow>, DeskError> {
        let named = !select.deliveries.is_empty() || !select.messages.is_empty();
        let filtered = select.destination.is_some()
            || select.flow.is_some()
            || !select.states.is_empty()
            || select.fingerprint.is_some()
            || select.key.is_some()
            || select.from.is_some()
            || select.to.is_some();
        if !named && !filtered {
            return Err(DeskError::Invalid(
                "select something: ids, a destination, a flow, a state, a fingerprint, a key or a time".to_owned(),
            ));
        }
        let store = &self.acceptor.store;
        let mut rows: BTreeMap<Id, DeliveryRow> = BTreeMap::new();
        for id in &select.deliveries {
            let row = store.delivery(*id).await?;
            let row = row.ok_or_else(|| DeskError::NotFound {
                what: "delivery",
                id: id.to_string(),
            })?;
            rows.insert(row.id.0, row);
        }
        for id in &select.messages {
            let trace = store.trace(id.0, MOST).await?;
            let trace = trace.ok_or_else(|| DeskError::NotFound {
                what: "message",
                id: id.to_string(),
            })?;
            rows.extend(trace.deliveries.into_iter().map(|row| (row.id.0, row)));
        }
        let Some(mut filter) = self.filter_of(select)? else {
            return Ok(Vec::new());
        };
        if let Some(index) = filter.key.filter(|_| !named) {
            // A person types the key they know (an MRN); deliveries may be ordered by another
            // (a visit). What the message is found by selects all that followed from it.
            self.deliveries_of_key(index, &mut rows).await?;
        }
        if !rows.is_empty() {
            rows.retain(|_, row| {
                filter.destination.is_none_or(|d| d == row.destination)
                    && filter.flow.is_none_or(|f| f == row.flow)
                    && (filter.states.is_empty() || filter.states.contains(&row.state))
                    && filter
                        .fingerprint
                        .is_none_or(|f| row.note.as_ref().is_some_and(|note| note.fingerprint == f))
                    && filter
                        .range
                        .from
                        .is_none_or(|from| row.id.0.unix_ms() >= from.unix_ms())
                    && filter
                        .range
                        .to
                        .is_none_or(|to| row.id.0.unix_ms() < to.unix_ms())
            });
        }
        if !named {
            filter.limit = 1_000;
            loop {
                let page = store.deliveries(&filter).await?;
                rows.extend(page.rows.into_iter().map(|row| (row.id.0, row)));
                match page.next {
                    Some(next) if rows.len() <= MOST => filter.before = Some(next),
                    _ => break,
                }
            }
        }
        if rows.len() > MOST {
            return Err(DeskError::Invalid(format!(
                "more than {MOST} deliveries are selected: narrow it by time, state or destination"
            )));
        }
        Ok(rows.into_values().collect())
    }

    /// Everything that followed from the messages that are found by a key.
    async fn deliveries_of_key(
        &self,
        index: BlindIndex,
        rows: &mut BTreeMap<Id, DeliveryRow>,
    ) -> Result<(), DeskError> {
        let store = &self.acceptor.store;
        let mut filter = MessageFilter {
            term: Some(index),
            limit: 1_000,
            ..MessageFilter::default()
        };
        loop {
            let page = store.messages(&filter).await?;
            for message in &page.rows {
                if let Some(trace) = store.trace(message.id.0, MOST).await? {
                    rows.extend(trace.deliveries.into_iter().map(|row| (row.id.0, row)));
                }
            }
            match page.next {
                Some(next) if rows.len() <= MOST => filter.before = Some(next),
                _ => return Ok(()),
            }
        }
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

fn demand_reason(reason: &str) -> Result<(), DeskError> {
    if reason.trim().is_empty() {
        return Err(DeskError::Invalid(
            "a reason is needed: it goes into the audit log".to_owned(),
        ));
    }
    Ok(())
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

/// A selection in words, without key values.
fn describe(select: &Selection) -> String {
    let mut parts = Vec::new();
    match select.deliveries.as_slice() {
        [] => {}
        [one] => parts.push(one.to_string()),
        many => parts.push(format!("{} deliveries", many.len())),
    }
    match select.messages.as_slice() {
        [] => {}
        [one] => parts.push(format!("message {one}")),
        many => parts.push(format!("{} messages", many.len())),
    }
    parts.extend(select.destination.iter().map(|name| format!("to {name}")));
    parts.extend(select.flow.iter().map(|name| format!("of flow {name}")));
    if !select.states.is_empty() {
        parts.push(
            select
                .states
                .iter()
                .map(|state| state.as_str())
                .collect::<Vec<_>>()
                .join(" or "),
        );
    }
    parts.extend(select.fingerprint.iter().cloned());
    if select.key.is_some() {
        parts.push("of one key".to_owned());
    }
    parts.extend(select.from.map(|t| format!("from {t}")));
    parts.extend(select.to.map(|t| format!("to {t}")));
    parts.join(", ")
}
