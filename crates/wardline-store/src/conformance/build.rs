//! Short words for what cases are made of.

use super::{HandClock, Home};
use crate::change::{
    Acceptance, Accepted, Cause, Change, Dedup, MessageRef, NewDelivery, NewMessage, Note, Outcome,
    Route, RouteOutcome, Settlement, SettlementResult, Term,
};
use crate::process::{Mail, MailId};
use crate::query::Ready;
use crate::{CommitListener, Store, StoreError};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{
    BlindIndex, Clock, DeliveryId, DeliveryState, Id, Lane, OrderingKey, Sealed, Sym, Timestamp,
};

/// An open store and the names that cases use.
pub(super) struct World {
    home: Box<dyn Home>,
    /// Empty only while the store is opened again.
    store: Option<Arc<dyn Store>>,
    pub(super) clock: Arc<HandClock>,
    pub(super) source: Sym,
    pub(super) kind: Sym,
    pub(super) flow: Sym,
    pub(super) billing: Sym,
    pub(super) beds: Sym,
    pub(super) json: Sym,
}

impl World {
    pub(super) async fn open(home: Box<dyn Home>) -> Self {
        let clock = home.clock();
        let store = home.open().expect("an empty home opens");
        let mut names = Vec::new();
        for name in [
            "ehr.adt",
            "ADT^A03",
            "discharge",
            "billing.close",
            "beds.release",
            "application/json",
        ] {
            names.push(store.intern(name).await.expect("names are taken"));
        }
        let [source, kind, flow, billing, beds, json] = names[..] else {
            unreachable!("six names were interned")
        };
        Self {
            home,
            store: Some(store),
            clock,
            source,
            kind,
            flow,
            billing,
            beds,
            json,
        }
    }

    /// Drops the handle, as a crash between two commits would, and opens the store again.
    pub(super) fn reopen(&mut self) {
        // The old handle must be gone before the lock can be taken again.
        self.store = None;
        self.store = Some(self.home.open().expect("the store opens again"));
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("the store is open")
    }

    pub(super) fn home(&self) -> &dyn Home {
        &*self.home
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    pub(super) fn message(&self, payload: &str) -> NewMessage {
        NewMessage {
            source: self.source,
            kind: self.kind,
            content_type: self.json,
            cause: None,
            key: None,
            lane: Lane::Normal,
            received: self.now(),
            size: payload.len() as u32,
            payload: sealed(payload),
            routes: Vec::new(),
            flagged: false,
        }
    }

    pub(super) fn event(&self, payload: &str, cause: Cause) -> NewMessage {
        NewMessage {
            source: self.flow,
            cause: Some(cause),
            ..self.message(payload)
        }
    }

    pub(super) fn delivery(&self, ordinal: u32, destination: Sym) -> NewDelivery {
        NewDelivery {
            message: MessageRef::Ordinal(ordinal),
            flow: self.flow,
            destination,
            lane: Lane::Normal,
            key: None,
            state: DeliveryState::Pending,
            note: None,
            body: None,
            size: 0,
            content_type: self.json,
            replay_of: None,
            call: None,
        }
    }

    pub(super) fn keyed(&self, ordinal: u32, destination: Sym, value: i64) -> NewDelivery {
        NewDelivery {
            key: Some(key(value)),
            ..self.delivery(ordinal, destination)
        }
    }

    /// A message and an event made from it, with a delivery to billing and one to beds.
    pub(super) fn discharge(&self, value: i64) -> Acceptance {
        let mut message = self.message("raw");
        message.routes = vec![self.route(RouteOutcome::Taken)];
        Acceptance {
            dedup: None,
            messages: vec![message, self.event("event", Cause::Ordinal(0))],
            deliveries: vec![
                self.keyed(1, self.billing, value),
                self.keyed(1, self.beds, value),
            ],
            terms: vec![Term {
                ordinal: 0,
                index: BlindIndex(value),
            }],
            mail: Vec::new(),
            resource: None,
        }
    }

    pub(super) fn route(&self, outcome: RouteOutcome) -> Route {
        Route {
            flow: self.flow,
            destination: None,
            outcome,
        }
    }

    pub(super) fn dedup(&self, hash: u8, digest: i64, answer: &'static str) -> Dedup {
        Dedup {
            source: self.source,
            hash: [hash; 16],
            digest,
            answer: Bytes::from_static(answer.as_bytes()),
            since: None,
        }
    }

    pub(super) async fn accept(&self, acceptance: Acceptance) -> Accepted {
        match &self
            .commit(vec![Change::Accept(Box::new(acceptance))])
            .await[..]
        {
            [Outcome::Accepted(accepted)] => accepted.clone(),
            other => panic!("an acceptance became {other:?}"),
        }
    }

    pub(super) async fn commit(&self, changes: Vec<Change>) -> Vec<Outcome> {
        self.store()
            .commit(changes)
            .await
            .expect("the changes are sound")
    }

    pub(super) async fn refused(&self, changes: Vec<Change>) -> StoreError {
        self.store()
            .commit(changes)
            .await
            .expect_err("the changes are not sound")
    }

    pub(super) fn settlement(
        &self,
        id: Id,
        was: DeliveryState,
        attempt: u32,
        result: SettlementResult,
    ) -> Settlement {
        let ended = self.now();
        Settlement {
            lease: self.store().lease(),
            delivery: DeliveryId(id),
            was,
            attempt,
            started: Timestamp(ended.0 - 1_500),
            ended,
            status: if matches!(result, SettlementResult::Delivered) {
                "200"
            } else {
                "503"
            }
            .into(),
            response: None,
            result,
            follow: None,
            patient: false,
        }
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> bool {
        match &self
            .commit(vec![Change::Settle(Box::new(settlement))])
            .await[..]
        {
            [Outcome::Settled(settled)] => *settled,
            other => panic!("a settlement became {other:?}"),
        }
    }

    pub(super) async fn window_ids(&self, destination: Sym) -> Vec<Id> {
        let ready = self
            .store()
            .window(destination, Lane::Normal, Id::ZERO, 1_000)
            .await
            .expect("windows can be read");
        ready.iter().map(|ready| ready.id.0).collect()
    }

    pub(super) async fn state(&self, id: Id) -> DeliveryState {
        let row = self
            .store()
            .delivery(DeliveryId(id))
            .await
            .expect("deliveries can be read");
        row.expect("the delivery is there").state
    }

    pub(super) async fn row(&self, id: Id) -> Option<crate::MessageRow> {
        self.store()
            .message(wardline_core::MessageId(id))
            .await
            .expect("messages can be read")
    }

    pub(super) async fn gauge(&self, destination: Sym, state: DeliveryState) -> i64 {
        let gauges = self.store().gauges().await.expect("gauges can be read");
        gauges
            .iter()
            .filter(|g| g.destination == destination && g.state == state)
            .map(|g| g.count)
            .sum()
    }

    pub(super) async fn total(&self, kind: crate::CounterKind) -> u64 {
        let totals = self.store().totals().await.expect("totals can be read");
        totals
            .iter()
            .filter(|count| count.kind == kind)
            .map(|count| count.count)
            .sum()
    }
}

pub(super) fn sealed(text: &str) -> Sealed {
    Sealed::from_sealed_bytes(Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) fn key(value: i64) -> OrderingKey {
    OrderingKey {
        index: BlindIndex(value),
        shown: Some(format!("key {value}").into()),
    }
}

pub(super) fn note(text: &str) -> Note {
    let fingerprint = text.bytes().fold(7, |sum: i64, byte| {
        sum.wrapping_mul(31).wrapping_add(i64::from(byte))
    });
    Note {
        code: "W4102".into(),
        text: text.into(),
        fingerprint,
    }
}

/// A listener that remembers.
#[derive(Default)]
pub(super) struct Heard(pub(super) Mutex<Vec<Ready>>, Mutex<Vec<MailId>>);

impl CommitListener for Heard {
    fn committed(&self, ready: &[Ready]) {
        self.0.lock().extend_from_slice(ready);
    }

    fn mailed(&self, mail: &[Mail]) {
        self.1.lock().extend(mail.iter().map(|mail| mail.id));
    }
}

impl Heard {
    pub(super) fn ids(&self) -> Vec<Id> {
        self.0.lock().iter().map(|ready| ready.id.0).collect()
    }

    pub(super) fn mail(&self) -> Vec<MailId> {
        self.1.lock().clone()
    }
}

/// Runs all at once and collects in order.
pub(super) async fn all_at_once<T: Send + 'static>(
    calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = calls.map(tokio::spawn).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("no call panics"));
    }
    all
}
