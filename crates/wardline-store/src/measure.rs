//! The limit that everything above the store is measured against: bare group commits of the
//! rows a message leaves behind, without network, mapping or sealing.
//!
//! One unit of work is what one received message costs the journal in a usual estate: the
//! message (700 bytes sealed), the event made from it (500 bytes), three deliveries inserted,
//! and three settled. Each transaction takes `per_transaction` new messages and settles the
//! deliveries of the transaction before, so that everything is paid for once.

use crate::change::{
    Acceptance, Cause, Change, Dedup, MessageRef, NewDelivery, NewMessage, Outcome, Route,
    RouteOutcome, Settlement, SettlementResult, Term,
};
use crate::{Store, StoreError};
use bytes::Bytes;
use std::time::{Duration, Instant};
use wardline_core::{
    BlindIndex, DeliveryId, DeliveryState, Id, Lane, OrderingKey, Sealed, Sym, Timestamp,
};

/// Deliveries of one message.
pub const DELIVERIES: u32 = 3;
/// Rows written for one message: two messages and their deliveries, each of those twice.
pub const ROWS: u32 = 2 + 2 * DELIVERIES;

/// What is written for each message.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Messages in one transaction.
    pub per_transaction: usize,
    /// Values each message can be found by.
    pub terms: u32,
    /// Whether messages pass the inbox for recognising duplicates.
    pub dedup: bool,
    /// How many ordering keys the messages are spread over.
    pub keys: u64,
}

/// What was reached.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Messages a second, each with its event and its deliveries inserted and settled.
    pub messages_per_s: f64,
    /// Rows inserted or changed a second.
    pub rows_per_s: f64,
    /// Transactions in all.
    pub transactions: u64,
    /// Median time of a transaction.
    pub p50: Duration,
    /// 99th percentile of the time of a transaction.
    pub p99: Duration,
    /// The longest transaction.
    pub max: Duration,
}

/// Names and payloads of the load, interned once.
#[derive(Debug, Clone)]
pub struct Generator {
    source: Sym,
    kind: Sym,
    flow: Sym,
    destinations: [Sym; DELIVERIES as usize],
    content_type: Sym,
    raw: Sealed,
    event: Sealed,
    count: u64,
}

impl Generator {
    /// Interns what the load is named.
    pub async fn new(store: &dyn Store) -> Result<Self, StoreError> {
        let mut destinations = [Sym(0); DELIVERIES as usize];
        for (at, destination) in destinations.iter_mut().enumerate() {
            *destination = store.intern(&format!("measured-{at}.receive")).await?;
        }
        // Sealed bytes look random and do not compress; the store does not care.
        let bytes = |len: u64| (0..len).map(|n| mix(n) as u8).collect::<Vec<u8>>();
        Ok(Self {
            source: store.intern("measured.adt").await?,
            kind: store.intern("ADT^A03").await?,
            flow: store.intern("measured-flow").await?,
            destinations,
            content_type: store.intern("application/json").await?,
            raw: Sealed::from_sealed_bytes(Bytes::from(bytes(700))),
            event: Sealed::from_sealed_bytes(Bytes::from(bytes(500))),
            count: 0,
        })
    }

    /// The destinations that deliveries go to.
    pub const fn destinations(&self) -> &[Sym; DELIVERIES as usize] {
        &self.destinations
    }

    /// Leaves out `n` messages, so that several generators make different ones.
    pub const fn skip(&mut self, n: u64) {
        self.count += n;
    }

    /// The next message.
    pub fn acceptance(&mut self, load: &Load) -> Acceptance {
        self.count += 1;
        let random = mix(self.count);
        let key = OrderingKey {
            index: BlindIndex((random % load.keys.max(1)) as i64),
            shown: None,
        };
        let received = Timestamp::now();
        let route = Route {
            flow: self.flow,
            destination: None,
            outcome: RouteOutcome::Taken,
        };
        let message = |source, cause, payload: &Sealed| NewMessage {
            source,
            kind: self.kind,
            content_type: self.content_type,
            cause,
            key: Some(key.clone()),
            lane: Lane::Normal,
            received,
            size: payload.len() as u32,
            payload: payload.clone(),
            routes: vec![route],
            flagged: false,
        };
        let delivery = |destination: &Sym| NewDelivery {
            message: MessageRef::Ordinal(1),
            flow: self.flow,
            destination: *destination,
            lane: Lane::Normal,
            key: Some(key.clone()),
            state: DeliveryState::Pending,
            note: None,
            body: None,
            size: 500,
            content_type: self.content_type,
            replay_of: None,
            call: None,
        };
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&random.to_be_bytes());
        hash[8..].copy_from_slice(&mix(random).to_be_bytes());
        let answer = Bytes::from_static(&[b'A'; 90]);
        Acceptance {
            dedup: load.dedup.then_some(Dedup {
                source: self.source,
                hash,
                digest: random as i64,
                answer,
                since: None,
            }),
            messages: vec![
                message(self.source, None, &self.raw),
                message(self.flow, Some(Cause::Ordinal(0)), &self.event),
            ],
            deliveries: self.destinations.iter().map(delivery).collect(),
            terms: (0..load.terms)
                .map(|n| Term {
                    ordinal: 0,
                    index: BlindIndex(mix(random ^ u64::from(n)) as i64),
                })
                .collect(),
            mail: Vec::new(),
            resource: None,
        }
    }
}

/// The settlement that says "delivered at the first attempt".
pub fn delivered(store: &dyn Store, delivery: Id) -> Settlement {
    let ended = Timestamp::now();
    Settlement {
        lease: store.lease(),
        delivery: DeliveryId(delivery),
        was: DeliveryState::Pending,
        attempt: 1,
        started: Timestamp(ended.0 - 800),
        ended,
        status: "200".into(),
        response: None,
        result: SettlementResult::Delivered,
        follow: None,
        patient: false,
    }
}

/// Commits one transaction after the other for a time and says how fast it went. Settles
/// everything it accepted.
pub async fn bare_commits(
    store: &dyn Store,
    load: Load,
    time: Duration,
) -> Result<Rate, StoreError> {
    let mut generator = Generator::new(store).await?;
    let mut owed: Vec<Id> = Vec::new();
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < time || !owed.is_empty() {
        let last = began.elapsed() >= time;
        let mut changes = Vec::with_capacity(load.per_transaction + owed.len());
        changes.extend(
            owed.drain(..)
                .map(|id| Change::Settle(Box::new(delivered(store, id)))),
        );
        if !last {
            let new = (0..load.per_transaction)
                .map(|_| Change::Accept(Box::new(generator.acceptance(&load))));
            changes.extend(new);
        }
        let start = Instant::now();
        let outcomes = store.commit(changes).await?;
        if !last {
            times.push(start.elapsed());
        }
        for outcome in outcomes {
            if let Outcome::Accepted(accepted) = outcome {
                owed.extend((0..DELIVERIES).map(|n| accepted.first.offset(2 + n)));
            }
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times
            .get(place.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    let messages = times.len() as f64 * load.per_transaction as f64;
    Ok(Rate {
        messages_per_s: messages / elapsed,
        rows_per_s: messages * f64::from(ROWS) / elapsed,
        transactions: times.len() as u64,
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
    })
}

/// Spreads numbers (the finaliser of SplitMix64), so that keys and hashes fall like real
/// ones and every run is alike.
const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
