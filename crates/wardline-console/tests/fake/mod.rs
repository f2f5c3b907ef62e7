//! A made-up hospital behind the console: enough of one that every page has something to
//! show, and that acts leave marks which tests can look for. All people in it are invented.

#![allow(dead_code, reason = "each test file uses its own part of it")]

mod desk;
pub(crate) mod processes;

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wardline_console::{DeskError, DeskErrorKind};
use wardline_core::{Code, DeliveryId, DeliveryState, Id, InstanceId, Lane, MessageId, Timestamp};
use wardline_engine::view::{
    AttemptView, AuditView, DeliveryView, MessageView, RouteView, Selection, TakenView, TraceItem,
    TraceNode, TraceView,
};

/// What must never be on a page before it is revealed.
pub(crate) const PATIENT: &str = "QUILLFEATHER";
/// A key that finds one message.
pub(crate) const KEY: &str = "ACC-7713";
const SECOND: i64 = 1_000_000;

/// How deliveries fail here.
#[derive(Clone, Copy)]
struct Failure {
    code: &'static str,
    error: &'static str,
    fingerprint: &'static str,
}

const UNAVAILABLE: Failure = Failure {
    code: "W4107",
    error: "503 Service Unavailable",
    fingerprint: "v1:9f2ac418",
};
const REFUSED: Failure = Failure {
    code: "W4101",
    error: "connection refused",
    fingerprint: "v1:77b0e1aa",
};
const UNKNOWN_ROOM: Failure = Failure {
    code: "W4102",
    error: "404 unknown room",
    fingerprint: "v1:03bd55f0",
};

/// One received message and what followed from it.
struct Story {
    key: &'static str,
    trace: TraceView,
}

/// The hospital.
pub(crate) struct Hospital {
    stories: Mutex<Vec<Story>>,
    audit: Mutex<Vec<AuditView>>,
    pub(crate) orders: Mutex<processes::Orders>,
    looks: AtomicU64,
    /// While set, the desk says that it is not available.
    pub(crate) down: AtomicBool,
    sequence: AtomicU64,
    began: Timestamp,
}

impl Hospital {
    /// A hospital on an ordinary bad morning.
    pub(crate) fn new() -> Self {
        let hospital = Self {
            stories: Mutex::new(Vec::new()),
            audit: Mutex::new(Vec::new()),
            orders: Mutex::default(),
            looks: AtomicU64::new(0),
            down: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
            began: Timestamp::now(),
        };
        for index in 0..70 {
            hospital.crowd(index);
        }
        hospital.held_account();
        hospital.recovered();
        hospital.purchase();
        hospital.note("admin", "apply", "estate st-brigid r12", "first release");
        hospital
    }

    /// The trace of the message with [`KEY`].
    pub(crate) fn known(&self) -> Id {
        self.stories
            .lock()
            .iter()
            .find(|story| story.key == KEY)
            .expect("the story of the key is told")
            .trace
            .root
            .0
    }

    /// The audit log, oldest first: act and reason.
    pub(crate) fn acts(&self) -> Vec<(String, String)> {
        self.audit
            .lock()
            .iter()
            .map(|entry| (entry.act.clone(), entry.reason.clone()))
            .collect()
    }

    /// All deliveries.
    pub(crate) fn every(&self) -> Vec<DeliveryView> {
        let mut all: Vec<DeliveryView> = self
            .stories
            .lock()
            .iter()
            .flat_map(|story| story.trace.nodes.iter())
            .filter_map(|node| match &node.item {
                TraceItem::Delivery(delivery) => Some((**delivery).clone()),
                TraceItem::Message(_) => None,
            })
            .collect();
        all.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
        all
    }

    fn id(&self, seconds_ago: i64) -> Id {
        let sequence = self.sequence.fetch_add(1, Ordering::SeqCst);
        Id::from_parts(
            self.began.unix_ms() - seconds_ago * 1_000,
            0,
            sequence as u16,
        )
    }

    fn note(&self, actor: &str, act: &str, target: &str, reason: &str) {
        let mut audit = self.audit.lock();
        let sequence = audit.len() as u64;
        audit.push(AuditView {
            sequence,
            at: Timestamp::now(),
            actor: actor.into(),
            act: act.into(),
            target: target.into(),
            reason: reason.into(),
        });
    }

    fn discharge(
        &self,
        ago: i64,
        kind: &str,
        key: &'static str,
        rest: Vec<TraceNode>,
        headline: &str,
        took_us: u64,
    ) {
        let root = self.id(ago);
        let event = self.id(ago);
        let received = Timestamp(self.began.0 - ago * SECOND);
        let routes = |flow: &str| {
            vec![RouteView {
                flow: flow.into(),
                destination: None,
                outcome: "taken".into(),
                predicate: None,
            }]
        };
        let mut nodes = vec![
            message(
                0,
                MessageView {
                    id: MessageId(root),
                    received,
                    kind: kind.into(),
                    source: "ehr.adt".into(),
                    content_type: "x-application/hl7-v2+er7".into(),
                    key: Some("••••".into()),
                    lane: Lane::Normal,
                    size: 1_142,
                    outcome: "routed".into(),
                    cause: None,
                    routes: [
                        routes("ehr-discharge"),
                        vec![RouteView {
                            flow: "ehr-admit".into(),
                            destination: None,
                            outcome: "filtered".into(),
                            predicate: Some(r#"hl7("MSH-9.2") == "A01""#.into()),
                        }],
                    ]
                    .concat(),
                    flagged: false,
                    has_payload: true,
                },
            ),
            message(
                1,
                MessageView {
                    id: MessageId(event),
                    received,
                    kind: "encounter.discharged".into(),
                    source: "ehr-discharge".into(),
                    content_type: "application/json".into(),
                    key: Some("••••".into()),
                    lane: Lane::Normal,
                    size: 318,
                    outcome: "routed".into(),
                    cause: Some(root),
                    routes: routes("discharge-to-billing"),
                    flagged: false,
                    has_payload: true,
                },
            ),
        ];
        for mut node in rest {
            if let TraceItem::Delivery(delivery) = &mut node.item {
                delivery.message = MessageId(event);
                delivery.accepted = received;
                for attempt in &mut node.attempts {
                    attempt.started = Timestamp(received.0 + attempt.started.0);
                }
                if let Some(settled) = &mut delivery.settled {
                    settled.0 += received.0;
                }
            }
            nodes.push(node);
        }
        let trace = TraceView {
            root: MessageId(root),
            headline: headline.into(),
            took_us,
            nodes,
            truncated: false,
        };
        self.stories.lock().push(Story { key, trace });
    }

    /// A delivery that went well.
    fn fine(&self, ago: i64, destination: &str, at_us: u64, took_us: u64) -> TraceNode {
        let mut node = self.delivery(ago, destination, DeliveryState::Delivered, "", 1);
        node.from_us = at_us;
        node.to_us = at_us + took_us;
        if let TraceItem::Delivery(delivery) = &mut node.item {
            delivery.settled = Some(Timestamp((at_us + took_us) as i64));
            delivery.took_us = Some(took_us);
            delivery.status = Some("200".into());
        }
        node
    }

    fn delivery(
        &self,
        ago: i64,
        destination: &str,
        state: DeliveryState,
        reason: &str,
        attempts: u32,
    ) -> TraceNode {
        let flow = match destination {
            "patient-accounting.close-account" => "discharge-to-billing",
            "bed-board.release-bed" => "discharge-to-bed-board",
            "staffing.census" => "discharge-to-staffing",
            _ => "discharge-to-housekeeping",
        };
        let delivery = DeliveryView {
            id: DeliveryId(self.id(ago)),
            message: MessageId::default(),
            flow: flow.into(),
            destination: destination.into(),
            lane: if destination.starts_with("bed") {
                Lane::Realtime
            } else {
                Lane::Normal
            },
            key: Some("••••".into()),
            state,
            reason: reason.into(),
            attempts,
            next: None,
            accepted: Timestamp::default(),
            settled: None,
            took_us: None,
            status: None,
            error_code: None,
            error: None,
            fingerprint: None,
            size: 211,
            has_response: state == DeliveryState::Delivered,
            own_body: true,
            replay_of: None,
            runbook: destination
                .starts_with("patient")
                .then(|| "runbooks/billing-down.md".into()),
        };
        TraceNode {
            depth: 2,
            item: TraceItem::Delivery(Box::new(delivery)),
            attempts: Vec::new(),
            taken: Vec::new(),
            from_us: 1_900,
            to_us: 1_900,
        }
    }

    fn failing(
        &self,
        ago: i64,
        destination: &str,
        state: DeliveryState,
        failure: Failure,
        tries: u32,
    ) -> TraceNode {
        let reason = match state {
            DeliveryState::Held => "out of attempts; its key is held until somebody decides",
            DeliveryState::Dead => "refused for good; followers of its key pass",
            _ => "the connection failed",
        };
        let Failure {
            code,
            error,
            fingerprint,
        } = failure;
        let mut node = self.delivery(ago, destination, state, reason, tries);
        let status = error
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>();
        let mut at = 2_000;
        for number in 1..=tries {
            node.attempts.push(AttemptView {
                number,
                started: Timestamp(at),
                took_us: 310_000,
                status: status.clone(),
                error: format!("{code} {error}"),
            });
            at += SECOND << number.min(5);
        }
        node.to_us = (at as u64).max(node.from_us);
        if let TraceItem::Delivery(delivery) = &mut node.item {
            delivery.error_code = Some(code.into());
            delivery.error = Some(error.into());
            delivery.fingerprint = Some(fingerprint.into());
            delivery.status = Some(status).filter(|status| !status.is_empty());
            if state == DeliveryState::Retrying {
                delivery.next = Some(Timestamp(self.began.0 + 40 * SECOND));
            }
        }
        node
    }

    /// The message behind [`KEY`]: billing is down, everybody else got theirs.
    fn held_account(&self) {
        let ago = 451;
        let rest = vec![
            self.failing(
                ago,
                "patient-accounting.close-account",
                DeliveryState::Held,
                UNAVAILABLE,
                4,
            ),
            self.fine(ago, "bed-board.release-bed", 2_100, 14_200),
            self.fine(ago, "housekeeping.request-clean", 2_100, 19_800),
            self.failing(ago, "staffing.census", DeliveryState::Retrying, REFUSED, 2),
        ];
        self.discharge(
            ago,
            "ADT^A03",
            KEY,
            rest,
            "2 of 4 deliveries have not arrived",
            30_600_000,
        );
    }

    /// A trace that needed one more try.
    fn recovered(&self) {
        let ago = 95;
        let mut billing = self.failing(
            ago,
            "patient-accounting.close-account",
            DeliveryState::Delivered,
            UNAVAILABLE,
            2,
        );
        billing.attempts.truncate(1);
        billing.to_us = 4_210_000;
        if let TraceItem::Delivery(delivery) = &mut billing.item {
            delivery.settled = Some(Timestamp(4_210_000));
            delivery.took_us = Some(210_000);
            delivery.status = Some("200".into());
            delivery.reason.clear();
        }
        let rest = vec![
            billing,
            self.fine(ago, "bed-board.release-bed", 2_000, 14_000),
            self.fine(ago, "housekeeping.request-clean", 2_000, 19_000),
        ];
        self.discharge(
            ago,
            "ADT^A03",
            "ACC-7714",
            rest,
            "completed with 1 retry",
            4_210_000,
        );
    }

    /// One of many: most fine, some refused by housekeeping, a few by billing.
    fn crowd(&self, index: i64) {
        let ago = 4_000 - index * 50;
        let clean = if index % 7 == 3 {
            self.fine(ago, "housekeeping.request-clean", 2_000, 19_000)
        } else {
            self.failing(
                ago,
                "housekeeping.request-clean",
                DeliveryState::Dead,
                UNKNOWN_ROOM,
                1,
            )
        };
        let rest = vec![
            self.fine(
                ago,
                "bed-board.release-bed",
                2_000,
                12_000 + index as u64 * 90,
            ),
            clean,
        ];
        self.discharge(
            ago,
            "ADT^A03",
            "ACC-1",
            rest,
            "1 of 2 deliveries is dead",
            330_000,
        );
    }

    fn chosen(&self, select: &Selection) -> Vec<DeliveryView> {
        let roots: Vec<(Id, Vec<DeliveryId>)> = self
            .stories
            .lock()
            .iter()
            .map(|story| {
                let deliveries = story
                    .trace
                    .nodes
                    .iter()
                    .filter_map(|node| match &node.item {
                        TraceItem::Delivery(delivery) => Some(delivery.id),
                        TraceItem::Message(_) => None,
                    });
                (story.trace.root.0, deliveries.collect())
            })
            .collect();
        self.every()
            .into_iter()
            .filter(|delivery| {
                (select.deliveries.is_empty() || select.deliveries.contains(&delivery.id))
                    && (select.messages.is_empty()
                        || roots.iter().any(|(root, all)| {
                            select.messages.iter().any(|m| m.0 == *root)
                                && all.contains(&delivery.id)
                        }))
                    && select
                        .destination
                        .as_ref()
                        .is_none_or(|name| *name == delivery.destination)
                    && (select.states.is_empty() || select.states.contains(&delivery.state))
                    && (select.fingerprint.is_none()
                        || (select.fingerprint == delivery.fingerprint
                            && delivery.state != DeliveryState::Delivered))
            })
            .collect()
    }

    fn change(&self, chosen: &[DeliveryView], to: DeliveryState, reason: &str) {
        for story in self.stories.lock().iter_mut() {
            for node in &mut story.trace.nodes {
                if let TraceItem::Delivery(delivery) = &mut node.item
                    && chosen.iter().any(|chosen| chosen.id == delivery.id)
                {
                    delivery.state = to;
                    delivery.reason = reason.into();
                }
            }
        }
    }

    fn up(&self) -> Result<(), DeskError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(DeskError {
                kind: DeskErrorKind::Unavailable,
                code: Code("W5001"),
                text: "the store does not answer".into(),
                help: Some("look at the disk".into()),
            });
        }
        Ok(())
    }
}

fn message(depth: u32, message: MessageView) -> TraceNode {
    TraceNode {
        depth,
        item: TraceItem::Message(Box::new(message)),
        attempts: Vec::new(),
        // What follows from a message is an event, and a stay takes it.
        taken: (depth == 1)
            .then(|| TakenView {
                id: InstanceId(Id::from_i64(77)),
                process: "stay".into(),
                key: None,
                stands: "discharged".into(),
            })
            .into_iter()
            .collect(),
        from_us: u64::from(depth) * 900,
        to_us: u64::from(depth) * 900,
    }
}
