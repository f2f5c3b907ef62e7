//! What the made-up hospital answers.

use super::{Hospital, KEY, SECOND};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use wardline_console::{ConsoleDesk, DeskError, DeskErrorKind};
use wardline_core::{Code, DeliveryId, DeliveryState, Id, Timestamp};
use wardline_engine::Found;
use wardline_engine::view::{
    AppliedView, AuditRecordView, AuditStateView, AuditView, DeliveryView, DestinationView,
    DestroyKeys, DestroyedKeys, ErrorGroupView, FlowView, Hl7SegmentView, MessageQuery,
    MessageView, Overview, PageView, Part, PayloadView, ReloadOutcome, ReloadView, ReplayCount,
    ReplayReport, ReplayRequest, Selection, SourceView, StoreView, TraceItem, TraceView,
};

fn wave(phase: f64, base: f64) -> Vec<u64> {
    (0..60)
        .map(|at| {
            (base
                + base * 0.5 * ((f64::from(at) + phase) / 7.0).sin()
                + f64::from(at % 5) * base * 0.05) as u64
        })
        .collect()
}

#[async_trait]
impl ConsoleDesk for Hospital {
    async fn overview(&self) -> Result<Overview, DeskError> {
        self.up()?;
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        let every = self.every();
        let count = |name: &str, state| {
            every
                .iter()
                .filter(|d| d.destination == name && d.state == state)
                .count() as u64
        };
        let destination =
            |name: &str, state: &str, reason: &str, p99: Option<u64>, error: Option<&str>| {
                DestinationView {
                    name: name.into(),
                    state: state.into(),
                    reason: reason.into(),
                    since: (state != "flowing").then(|| Timestamp(self.began.0 - 451 * SECOND)),
                    waiting: if state == "flowing" { looks % 3 } else { 41 },
                    retrying: count(name, DeliveryState::Retrying),
                    held: count(name, DeliveryState::Held),
                    dead: count(name, DeliveryState::Dead),
                    delivered: 31_204 + looks,
                    owed: 0,
                    failed_attempts: if state == "flowing" { 0 } else { 48 },
                    cancelled: count(name, DeliveryState::Cancelled),
                    in_flight: looks % 2,
                    p50_us: p99.map(|us| us / 3),
                    p99_us: p99,
                    last_error: error.map(Into::into),
                    stopped_keys: count(name, DeliveryState::Held),
                    runbook: name
                        .starts_with("patient")
                        .then(|| "runbooks/billing-down.md".into()),
                }
            };
        let groups = self.dead().await?.len() as u64;
        Ok(Overview {
            estate: "st-brigid".into(),
            headline: if groups == 0 {
                "All flows running; nothing needs a person.".into()
            } else {
                "patient-accounting is down: 1 key held, 41 waiting. Everyone else flows.".into()
            },
            well: groups == 0,
            at: Timestamp::now(),
            accepted: 48_211 + looks * 3,
            accepted_per_minute: [wave(0.0, 900.0), vec![1_204 + looks]].concat(),
            delivered_per_minute: [wave(3.0, 2_400.0), vec![3_480 + looks]].concat(),
            oldest_waiting_ms: Some(451_000 + looks * 1_000),
            error_groups: groups,
            destinations: vec![
                destination(
                    "patient-accounting.close-account",
                    "down",
                    "breaker open after 5 failures; next probe in 8 s",
                    None,
                    Some("W4107 503 Service Unavailable"),
                ),
                destination(
                    "staffing.census",
                    "blocked",
                    "1 key retrying",
                    Some(88_000),
                    Some("W4101 connection refused"),
                ),
                destination(
                    "housekeeping.request-clean",
                    "flowing",
                    "",
                    Some(22_400),
                    Some("W4102 404 unknown room"),
                ),
                destination("bed-board.release-bed", "flowing", "", Some(18_100), None),
            ],
            flows: [
                ("ehr-discharge", "ehr.adt", "patient-access", 0),
                (
                    "discharge-to-billing",
                    "event encounter.discharged",
                    "patient-accounting",
                    0,
                ),
                (
                    "discharge-to-housekeeping",
                    "event encounter.discharged",
                    "facilities",
                    60,
                ),
            ]
            .into_iter()
            .map(|(name, from, owner, dead)| FlowView {
                name: name.into(),
                owner: owner.into(),
                from: from.into(),
                delivered: 31_000,
                owed: 41,
                dead,
                emitted: if from == "ehr.adt" { 48_000 } else { 0 },
            })
            .collect(),
            sources: vec![SourceView {
                name: "ehr.adt".into(),
                accepted: 48_211 + looks * 3,
                duplicates: 12,
                filtered: 3_102,
                unrouted: 4,
                listening: Some("mllp 127.0.0.1:2575".into()),
                ack_p99_us: Some(3_120),
            }],
            store: StoreView {
                trouble: None,
                bytes: 412_000_000,
                disk_free_bytes: Some(88_000_000_000),
                queued: 0,
                commits: 18_402 + looks,
            },
            certificates: Vec::new(),
            applied: None,
        })
    }

    async fn messages(&self, query: MessageQuery) -> Result<PageView<MessageView>, DeskError> {
        self.up()?;
        let stories = self.stories.lock();
        let state = query.state.as_deref();
        let mut rows: Vec<MessageView> = stories
            .iter()
            .filter(|story| query.key.as_deref().is_none_or(|key| story.key == key))
            .filter(|story| {
                state.is_none_or(|state| {
                    story.trace.nodes.iter().any(|node| matches!(&node.item, TraceItem::Delivery(d) if d.state.as_str() == state))
                })
            })
            .filter_map(|story| match &story.trace.nodes[0].item {
                TraceItem::Message(message) => Some((**message).clone()),
                TraceItem::Delivery(_) => None,
            })
            .filter(|row| query.kind.as_ref().is_none_or(|kind| row.kind == *kind))
            .filter(|row| query.before.is_none_or(|before| row.id.0 < before))
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let next = rows.last().filter(|_| more).map(|row| row.id.0);
        Ok(PageView {
            rows,
            scanned: stories.len() as u64,
            next,
        })
    }

    async fn deliveries(
        &self,
        select: Selection,
        before: Option<Id>,
        limit: usize,
    ) -> Result<PageView<DeliveryView>, DeskError> {
        self.up()?;
        let mut rows = self.chosen(&select);
        rows.retain(|row| before.is_none_or(|before| row.id.0 < before));
        let more = rows.len() > limit;
        let scanned = rows.len() as u64;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.id.0);
        Ok(PageView {
            rows,
            scanned,
            next,
        })
    }

    async fn trace(&self, id: Id) -> Result<Option<TraceView>, DeskError> {
        self.up()?;
        let stories = self.stories.lock();
        Ok(stories
            .iter()
            .find(|story| {
                story.trace.nodes.iter().any(|node| match &node.item {
                    TraceItem::Message(message) => message.id.0 == id,
                    TraceItem::Delivery(delivery) => delivery.id.0 == id,
                })
            })
            .map(|story| story.trace.clone()))
    }

    async fn find(&self, text: &str) -> Result<Found, DeskError> {
        if let Ok(id) = text.parse::<Id>()
            && self.trace(id).await?.is_some()
        {
            return Ok(Found::Trace(id));
        }
        self.messages(MessageQuery {
            key: Some(text.into()),
            limit: 50,
            ..MessageQuery::default()
        })
        .await
        .map(Found::Messages)
    }

    async fn payload(
        &self,
        part: Part,
        id: Id,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<Option<PayloadView>, DeskError> {
        let Some(trace) = self.trace(id).await? else {
            return Ok(None);
        };
        let masked = reveal.is_none();
        if let Some(reason) = reveal {
            self.note(actor, "reveal", &id.to_string(), &reason);
        }
        let value = |plain: &str| {
            if masked {
                "••••".to_owned()
            } else {
                plain.to_owned()
            }
        };
        if trace.root.0 == id {
            let field = |position: &str, name: &str, text: String| {
                (position.to_owned(), name.to_owned(), text)
            };
            let name = value("QUILLFEATHER^JUNO");
            let hl7 = vec![
                Hl7SegmentView {
                    name: "MSH".into(),
                    title: "Message header".into(),
                    fields: vec![
                        field("MSH-3", "Sending application", "EHR".into()),
                        field("MSH-9", "Message type", "ADT^A03".into()),
                        field("MSH-10", "Message control id", "00042".into()),
                    ],
                },
                Hl7SegmentView {
                    name: "PID".into(),
                    title: "Patient identification".into(),
                    fields: vec![
                        field("PID-3", "Patient identifier list", value("MRN00417")),
                        field("PID-5", "Patient name", name.clone()),
                        field("PID-7", "Date of birth", value("19620314")),
                    ],
                },
                Hl7SegmentView {
                    name: "PV1".into(),
                    title: "Patient visit".into(),
                    fields: vec![
                        field("PV1-3", "Assigned patient location", "5WEST^512^A".into()),
                        field("PV1-19", "Visit number", value(KEY)),
                    ],
                },
            ];
            let text = format!(
                "MSH|^~\\&|EHR||||||ADT^A03|00042\rPID|||{}||{name}\rPV1||I|5WEST^512^A\r",
                value("MRN00417")
            );
            return Ok(Some(PayloadView {
                content_type: "x-application/hl7-v2+er7".into(),
                text,
                masked,
                size: 1_142,
                hl7: Some(hl7),
            }));
        }
        let is_event = trace
            .nodes
            .iter()
            .any(|node| matches!(&node.item, TraceItem::Message(message) if message.id.0 == id));
        let text = match (part, is_event) {
            (Part::Response, _) => r#"{"status":"closed","balance":0,"open":false}"#.to_owned(),
            (_, true) => format!(
                r#"{{"account_number":"{}","patient":{{"name":"{}","mrn":"{}"}},"ward":"5WEST","discharged_at":"2026-11-24T09:58:00Z"}}"#,
                value(KEY),
                value("QUILLFEATHER, JUNO"),
                value("MRN00417")
            ),
            (_, false) => format!(
                r#"{{"account":"{}","name":"{}","ward":"5WEST","final":true,"discharged_at":"2026-11-24T09:58:00Z"}}"#,
                value(KEY),
                value("QUILLFEATHER, JUNO")
            ),
        };
        Ok(Some(PayloadView {
            content_type: "application/json".into(),
            size: text.len() as u64,
            text,
            masked,
            hl7: None,
        }))
    }

    async fn dead(&self) -> Result<Vec<ErrorGroupView>, DeskError> {
        self.up()?;
        let mut groups: BTreeMap<(String, String), Vec<DeliveryView>> = BTreeMap::new();
        for delivery in self.every() {
            if let (DeliveryState::Dead | DeliveryState::Held, Some(fingerprint)) =
                (delivery.state, &delivery.fingerprint)
            {
                groups
                    .entry((fingerprint.clone(), delivery.destination.clone()))
                    .or_default()
                    .push(delivery);
            }
        }
        let count = |all: &[DeliveryView], state| {
            all.iter()
                .filter(|delivery| delivery.state == state)
                .count() as u64
        };
        Ok(groups
            .into_iter()
            .map(|((fingerprint, destination), all)| ErrorGroupView {
                fingerprint,
                owner: if destination.starts_with("patient") {
                    "patient-accounting"
                } else {
                    "facilities"
                }
                .into(),
                destination,
                code: all[0].error_code.clone().unwrap_or_default(),
                text: all[0].error.clone().unwrap_or_default(),
                dead: count(&all, DeliveryState::Dead),
                held: count(&all, DeliveryState::Held),
                first: all[all.len() - 1].accepted,
                last: all[0].accepted,
                sample: all[0].id,
                runbook: all[0].runbook.clone(),
            })
            .collect())
    }

    async fn replay(&self, request: ReplayRequest, actor: &str) -> Result<ReplayReport, DeskError> {
        self.up()?;
        let chosen = self.chosen(&request.select);
        let mut destinations: BTreeMap<String, ReplayCount> = BTreeMap::new();
        for delivery in &chosen {
            let count = destinations
                .entry(delivery.destination.clone())
                .or_insert_with(|| ReplayCount {
                    destination: delivery.destination.clone(),
                    ..ReplayCount::default()
                });
            count.count += 1;
            count.delivered_before += u64::from(delivery.state == DeliveryState::Delivered);
        }
        let selected = chosen.len() as u64;
        let rate = u64::from(if request.rate == 0 { 50 } else { request.rate });
        if !request.preview {
            self.note(
                actor,
                "replay",
                &format!("{selected} deliveries"),
                &request.reason,
            );
            self.change(&chosen, DeliveryState::Delivered, "");
        }
        Ok(ReplayReport {
            selected,
            destinations: destinations.into_values().collect(),
            released: 0,
            created: if request.preview { 0 } else { selected },
            seconds: selected.div_ceil(rate),
            preview: request.preview,
        })
    }

    async fn release(
        &self,
        select: Selection,
        reason: String,
        actor: &str,
    ) -> Result<u64, DeskError> {
        let chosen = self.chosen(&select);
        self.note(
            actor,
            "release",
            &format!("{} deliveries", chosen.len()),
            &reason,
        );
        self.change(&chosen, DeliveryState::Pending, "released");
        Ok(chosen.len() as u64)
    }

    async fn cancel(
        &self,
        select: Selection,
        reason: String,
        actor: &str,
    ) -> Result<u64, DeskError> {
        let mut chosen = self.chosen(&select);
        chosen.retain(|delivery| delivery.state.is_open());
        self.note(
            actor,
            "cancel",
            &format!("{} deliveries", chosen.len()),
            &reason,
        );
        self.change(&chosen, DeliveryState::Cancelled, &reason);
        Ok(chosen.len() as u64)
    }

    async fn park(&self, select: Selection, reason: String, actor: &str) -> Result<u64, DeskError> {
        let mut chosen = self.chosen(&select);
        chosen.retain(|delivery| delivery.state.is_open());
        self.note(
            actor,
            "park",
            &format!("{} deliveries", chosen.len()),
            &reason,
        );
        self.change(&chosen, DeliveryState::Dead, &reason);
        Ok(chosen.len() as u64)
    }

    async fn resubmit(
        &self,
        delivery: DeliveryId,
        body: String,
        reason: String,
        actor: &str,
    ) -> Result<DeliveryId, DeskError> {
        if body.contains("refuse me") {
            return Err(DeskError {
                kind: DeskErrorKind::Invalid,
                code: Code("W4203"),
                text: "the body is not a valid final bill".into(),
                help: None,
            });
        }
        self.note(
            actor,
            "resubmit",
            &format!("{delivery}, {} bytes", body.len()),
            &reason,
        );
        Ok(delivery)
    }

    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditView>, DeskError> {
        self.up()?;
        let audit = self.audit.lock();
        Ok(audit
            .iter()
            .rev()
            .filter(|entry| before.is_none_or(|before| entry.sequence < before))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn audit_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<AuditRecordView>, DeskError> {
        self.up()?;
        let audit = self.audit.lock();
        let after = audit.iter().filter(|entry| entry.sequence >= from);
        Ok(after
            .take(limit)
            .map(|entry| AuditRecordView {
                sequence: entry.sequence,
                at: entry.at,
                at_us: entry.at.0,
                body: "AA==".to_owned(),
                hash: "00".repeat(32),
                entry: None,
                unreadable: Some("made up".to_owned()),
            })
            .collect())
    }

    async fn record(&self, entry: &wardline_vault::AuditEntry) -> Result<(), DeskError> {
        self.up()?;
        self.note(&entry.actor, &entry.act, &entry.target, &entry.reason);
        Ok(())
    }

    async fn applied(&self) -> Result<Option<AppliedView>, DeskError> {
        self.up()?;
        Ok(None)
    }

    async fn reload(&self, reason: String, actor: &str) -> Result<ReloadView, DeskError> {
        self.up()?;
        // A reason of one word stands for a mistake in the files.
        let refused = reason == "mistake";
        Ok(ReloadView {
            outcome: if refused {
                ReloadOutcome::Refused
            } else {
                ReloadOutcome::Applied
            },
            summary: format!("asked by {actor}: {reason}"),
            applied: None,
            changes: Vec::new(),
            diagnostics: String::new(),
            found: serde_json::Value::Null,
            took_ms: 1,
        })
    }

    async fn audit_state(&self, sign: bool) -> Result<AuditStateView, DeskError> {
        self.up()?;
        Ok(AuditStateView {
            estate: "st-brigid".to_owned(),
            size: self.audit.lock().len() as u64,
            key: "wardline/st-brigid+0+AA==".to_owned(),
            checkpoint: sign.then(|| "a checkpoint".to_owned()),
        })
    }

    async fn destroy_keys(
        &self,
        request: DestroyKeys,
        _actor: &str,
    ) -> Result<DestroyedKeys, DeskError> {
        self.up()?;
        Ok(DestroyedKeys {
            preview: request.preview,
            before: request.before,
            audit: request.audit,
            keys: 0,
            left: 1,
            first: None,
            last: None,
            at: Timestamp::now(),
        })
    }
}
