//! Senders that keep a ledger of what was acknowledged, and the proof against it.
//!
//! Every sender makes acceptances with its own key, one after the other, whose content
//! follows from the sender's number and their place; so what the journal holds can be checked
//! row by row without the journal's help. [`proof`] does that. Beside them [`instances`] advance.

mod instances;
mod proof;

pub(crate) use proof::{Findings, prove};

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use wardline_core::{
    BlindIndex, DeliveryId, DeliveryState, Id, Lane, OrderingKey, Sealed, Sym, Timestamp,
};
use wardline_store::sqlite::SqliteStore;
use wardline_store::{
    Acceptance, AuditRecord, Cause, Change, Dedup, MessageRef, NewDelivery, NewMessage, Note,
    Outcome, Route, RouteOutcome, Settlement, SettlementResult, Store, StoreError, Term,
};

/// Senders at work at once.
pub(crate) const SENDERS: usize = 8;
/// Ids of one acceptance: a raw message, an event, three deliveries.
const BLOCK: u32 = 5;

/// What the senders know to be durable.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// For each sender, the first ids of its acceptances in order.
    pub(crate) accepted: [Vec<Id>; SENDERS],
    settled: HashMap<Id, DeliveryState>,
    audited: u64,
    advanced: [instances::Known; instances::INSTANCES],
    /// Answers that contradict what the journal said before.
    contradictions: Vec<String>,
}

impl Ledger {
    /// Acceptances in it.
    pub(crate) fn acceptances(&self) -> usize {
        self.accepted.iter().map(Vec::len).sum()
    }

    /// Advances of instances in it.
    pub(crate) fn advances(&self) -> u64 {
        let known = self.advanced.iter().flatten();
        known.map(|(_, revision)| revision).sum()
    }
}

#[derive(Debug, Clone, Copy)]
struct Names {
    source: Sym,
    kind: Sym,
    json: Sym,
    flow: Sym,
    correlator: Sym,
    destinations: [Sym; 3],
}

async fn names(store: &SqliteStore) -> Result<Names, StoreError> {
    let mut syms = [Sym(0); 8];
    let words = [
        "ehr.adt",
        "ADT^A03",
        "application/json",
        "discharge",
        "stay/encounter.left/.visit",
        "billing",
        "beds",
        "staff",
    ];
    for (sym, word) in syms.iter_mut().zip(words) {
        *sym = store.intern(word).await?;
    }
    let [source, kind, json, flow, correlator, billing, beds, staff] = syms;
    Ok(Names {
        source,
        kind,
        json,
        flow,
        correlator,
        destinations: [billing, beds, staff],
    })
}

/// Sends until an answer says that the journal is done for, or `go_on` says no. An answer
/// that promises recovery is followed by another try of the same thing.
pub(crate) async fn run(
    store: &Arc<SqliteStore>,
    ledger: &Arc<Mutex<Ledger>>,
    go_on: impl Fn() -> bool + Send + Sync + 'static,
) {
    let Ok(names) = names(store).await else {
        return;
    };
    let go_on = Arc::new(go_on);
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (store, ledger, go_on) = (Arc::clone(store), Arc::clone(ledger), Arc::clone(&go_on));
        tasks.spawn(async move {
            while go_on() {
                match send(&*store, names, &ledger, sender).await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => tokio::task::yield_now().await,
                    Err(_) => return,
                }
            }
        });
    }
    for instance in 0..instances::INSTANCES {
        let (store, ledger, go_on) = (Arc::clone(store), Arc::clone(ledger), Arc::clone(&go_on));
        tasks.spawn(async move {
            while go_on() {
                match instances::advance(&*store, names, &ledger, instance).await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => tokio::task::yield_now().await,
                    Err(_) => return,
                }
            }
        });
    }
    {
        let (store, ledger, go_on) = (Arc::clone(store), Arc::clone(ledger), Arc::clone(&go_on));
        tasks.spawn(async move {
            while go_on() {
                match audit(&*store, &ledger).await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => tokio::task::yield_now().await,
                    Err(_) => return,
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("senders end without a panic");
    }
}

/// One acceptance, and how its first deliveries ended.
async fn send(
    store: &dyn Store,
    names: Names,
    ledger: &Mutex<Ledger>,
    sender: usize,
) -> Result<(), StoreError> {
    let place = ledger.lock().accepted[sender].len();
    let outcomes = store.commit(vec![acceptance(names, sender, place)]).await?;
    let Some(Outcome::Accepted(accepted)) = outcomes.first() else {
        panic!("an acceptance became {outcomes:?}");
    };
    {
        let mut ledger = ledger.lock();
        if accepted.duplicate.is_some() {
            let what = format!("sender {sender}: acceptance {place} was refused, yet it is known");
            ledger.contradictions.push(what);
        }
        ledger.accepted[sender].push(accepted.first);
    }
    let deliveries = [accepted.first.offset(2), accepted.first.offset(3)];
    let ends = ends(place);
    let changes = deliveries.into_iter().zip(&ends).map(|(id, end)| {
        let follow = (place % 4 == 3).then(|| Box::new(follow(names, id)));
        settle(store, id, end.clone(), follow)
    });
    let outcomes = store.commit(changes.collect()).await?;
    let mut ledger = ledger.lock();
    for ((id, end), outcome) in deliveries.into_iter().zip(ends).zip(outcomes) {
        if !matches!(outcome, Outcome::Settled(true)) {
            ledger
                .contradictions
                .push(format!("the settlement of {id} became {outcome:?}"));
        }
        ledger.settled.insert(id, state_after(&end));
    }
    Ok(())
}

/// One audit record together with a value that must change with it.
async fn audit(store: &dyn Store, ledger: &Mutex<Ledger>) -> Result<(), StoreError> {
    let sequence = ledger.lock().audited;
    let body = format!("{{\"entry\":{sequence}}}").into_bytes();
    let record = AuditRecord {
        sequence,
        at: Timestamp::now(),
        body,
        hash: [sequence as u8; 32],
    };
    let value = (sequence + 1).to_string().into_bytes();
    let set = Change::SetMeta {
        name: "audited".into(),
        value,
    };
    store.commit(vec![Change::Audit(record), set]).await?;
    ledger.lock().audited += 1;
    Ok(())
}

fn ends(place: usize) -> [SettlementResult; 2] {
    let note = || Note {
        code: "W4102".into(),
        text: "no answer".into(),
        fingerprint: 41,
    };
    let next = Timestamp::now();
    match place % 4 {
        0 => [
            SettlementResult::Delivered,
            SettlementResult::Retry { note: note(), next },
        ],
        1 => [SettlementResult::Dead(note()), SettlementResult::Delivered],
        2 => [
            SettlementResult::Hold(note()),
            SettlementResult::Dead(note()),
        ],
        _ => [SettlementResult::Delivered, SettlementResult::Delivered],
    }
}

const fn state_after(end: &SettlementResult) -> DeliveryState {
    match end {
        SettlementResult::Delivered => DeliveryState::Delivered,
        SettlementResult::Retry { .. } => DeliveryState::Retrying,
        SettlementResult::Hold(_) => DeliveryState::Held,
        SettlementResult::Dead(_) => DeliveryState::Dead,
    }
}

fn settle(
    store: &dyn Store,
    delivery: Id,
    result: SettlementResult,
    follow: Option<Box<Acceptance>>,
) -> Change {
    let now = Timestamp::now();
    Change::Settle(Box::new(Settlement {
        lease: store.lease(),
        delivery: DeliveryId(delivery),
        was: DeliveryState::Pending,
        attempt: 1,
        started: now,
        ended: now,
        status: "200".into(),
        response: Some(Sealed::from_sealed_bytes(Bytes::from_static(b"answer"))),
        result,
        patient: follow.is_none(),
        follow,
    }))
}

/// The content of a sender's message, different in every place and of very different sizes.
fn payload(sender: usize, place: usize) -> Vec<u8> {
    let len =
        100 + (sender * 977 + place * 1_613) % 5_000 + if place % 50 == 49 { 60_000 } else { 0 };
    let mut payload = format!("{sender}:{place}:").into_bytes();
    payload.extend((0..len).map(|at| (at * 31 + sender * 7 + place) as u8));
    payload
}

fn message(names: Names, sealed: Vec<u8>) -> NewMessage {
    NewMessage {
        source: names.source,
        kind: names.kind,
        content_type: names.json,
        cause: None,
        key: None,
        lane: Lane::Normal,
        received: Timestamp::now(),
        size: sealed.len() as u32,
        payload: Sealed::from_sealed_bytes(sealed.into()),
        routes: vec![Route {
            flow: names.flow,
            destination: None,
            outcome: RouteOutcome::Taken,
        }],
        flagged: false,
    }
}

fn key(sender: usize) -> OrderingKey {
    OrderingKey {
        index: BlindIndex(sender as i64 + 1),
        shown: None,
    }
}

fn term(sender: usize, place: usize) -> BlindIndex {
    BlindIndex((sender * 1_000_000 + place) as i64)
}

fn acceptance(names: Names, sender: usize, place: usize) -> Change {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&(sender as u64).to_le_bytes());
    hash[8..].copy_from_slice(&(place as u64).to_le_bytes());
    let raw = NewMessage {
        key: Some(key(sender)),
        ..message(names, payload(sender, place))
    };
    let event = NewMessage {
        cause: Some(Cause::Ordinal(0)),
        ..message(names, b"{}".to_vec())
    };
    let deliveries = names.destinations.map(|destination| NewDelivery {
        message: MessageRef::Ordinal(1),
        flow: names.flow,
        destination,
        lane: Lane::Normal,
        key: Some(key(sender)),
        state: DeliveryState::Pending,
        note: None,
        body: None,
        size: 2,
        content_type: names.json,
        replay_of: None,
        call: None,
    });
    Change::Accept(Box::new(Acceptance {
        dedup: Some(Dedup {
            source: names.source,
            hash,
            digest: 1,
            answer: Bytes::from_static(b"AA"),
            since: None,
        }),
        messages: vec![raw, event],
        deliveries: deliveries.into(),
        terms: vec![Term {
            ordinal: 0,
            index: term(sender, place),
        }],
        mail: Vec::new(),
        resource: None,
    }))
}

/// A message that follows from an answer, alone in its block.
fn follow(names: Names, delivery: Id) -> Acceptance {
    let answer = NewMessage {
        cause: Some(Cause::Existing(delivery)),
        ..message(names, b"{}".to_vec())
    };
    Acceptance {
        messages: vec![answer],
        ..Acceptance::default()
    }
}
