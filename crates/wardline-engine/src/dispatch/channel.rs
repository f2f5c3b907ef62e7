//! One outbound connection with everything that goes through it: takes from the window,
//! sends, settles in batches. One task owns it; commits reach it through [`Channel::offer`].
//!
//! The window spans all destinations of the connection, because order must: closing an
//! account and reopening it are two operations of one system, and the same key.

use super::backoff::Backoff;
use super::gate::{Closed, Gate, Outage, Pass, Transition};
use super::queue::{Group, Queue, Reload, Standing};
use super::reading::{Rows, merged};
use super::verdict::decide;
use crate::metrics::Latency;
use ahash::AHashMap;
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::{Failure, FailureKind, Outbound, Reply, Request};
use wardline_core::{Clock, DeliveryState, Id, Lane, Sym, Timestamp};
use wardline_store::{
    Acceptance, Change, Outcome, Ready, Settlement, SettlementResult, Store, StoreError,
};
use wardline_vault::{Kind, Vault};

/// Deliveries of one connection kept in memory, and their bytes.
const WINDOW: usize = 8_192;
const WINDOW_BYTES: usize = 32 << 20;
/// Rows read from the journal at a time.
const READ: usize = 1_024;
/// Settlements in one commit, and commits under way.
const SETTLE_BATCH: usize = 256;
const SETTLE_COMMITS: usize = 2;

/// What a flow declared about its deliveries here.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) backoff: Backoff,
    pub(crate) park: bool,
    pub(crate) follow: Option<Follow>,
}

/// A message made from the answer.
pub(crate) type FollowFn = dyn Fn(&Ready, &Reply) -> Option<Acceptance> + Send + Sync;

/// See [`FollowFn`].
#[derive(Clone)]
pub(crate) struct Follow(pub(crate) Arc<FollowFn>);

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Follow")
    }
}

/// How a body becomes a call of the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallShape {
    pub(crate) method: Option<http::Method>,
    /// `/accounts/{account}/close`
    pub(crate) path: Option<String>,
}

/// Parts that every destination shares.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One destination: an operation of the connection, or the connection itself.
pub(crate) struct Destination {
    pub(crate) name: Arc<str>,
    pub(crate) sym: Sym,
    pub(crate) latency: Latency,
    pub(crate) last_error: Mutex<Option<String>>,
    pub(crate) sent: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    terms: ArcSwap<Terms>,
}

/// What the plan in force says of a destination. An attempt ends by the terms it began with.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) shape: CallShape,
    /// By the flow that owes the delivery.
    pub(crate) policies: HashMap<Sym, Arc<Policy>>,
}

impl Destination {
    pub(crate) fn new(name: Arc<str>, sym: Sym, terms: Terms) -> Self {
        Self {
            name,
            sym,
            latency: Latency::default(),
            last_error: Mutex::default(),
            sent: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            terms: ArcSwap::from_pointee(terms),
        }
    }

    /// Attempts from now on go by these terms.
    pub(crate) fn learn(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
    }
}

/// One outbound connection.
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) gate: Arc<Gate>,
    /// Why the journal does not answer, if so.
    pub(crate) stuck: Mutex<Option<String>>,
    pub(crate) destinations: AHashMap<Sym, Arc<Destination>>,
    outbound: Arc<dyn Outbound>,
    default_policy: Arc<Policy>,
    shared: Arc<Shared>,
    queue: Mutex<Queue>,
    offered: AtomicBool,
    wake: Notify,
}

/// How an attempt ended, before it is durable.
struct Finished {
    ready: Ready,
    settlement: Settlement,
    /// The other side said when it wants to be asked again.
    asked: bool,
}

enum Background {
    Settled(Vec<Finished>, Result<Vec<Outcome>, StoreError>),
    Refill(Lane, Result<Rows, StoreError>),
    Reload(Reload, Result<Rows, StoreError>),
}

impl Channel {
    pub(crate) fn new(
        name: Arc<str>,
        gate: Arc<Gate>,
        outbound: Arc<dyn Outbound>,
        destinations: Vec<Arc<Destination>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            name,
            gate,
            stuck: Mutex::default(),
            destinations: destinations.into_iter().map(|one| (one.sym, one)).collect(),
            outbound,
            default_policy: Arc::new(Policy {
                backoff: Backoff::default(),
                park: false,
                follow: None,
            }),
            shared,
            queue: Mutex::new(Queue::new(WINDOW, WINDOW_BYTES)),
            offered: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Hears of committed deliveries; called on the writer's thread in id order.
    pub(crate) fn offer(&self, ready: &[&Ready]) {
        {
            let mut queue = self.queue.lock();
            for one in ready {
                queue.offer(one);
            }
        }
        self.offered.store(true, Ordering::Release);
    }

    /// Senders have their acknowledgements: what was offered may have the processor now.
    pub(crate) fn begin(&self) {
        if self.offered.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// A person changed deliveries of this key.
    pub(crate) fn revisit(&self, lane: Lane, group: Group, from: Id) {
        self.queue.lock().revisit(lane, group, from);
        self.wake.notify_one();
    }

    pub(crate) fn standing(&self) -> Standing {
        self.queue.lock().standing()
    }

    /// Its gate was opened again: what backed off is tried now.
    pub(crate) fn resumed(&self) {
        self.queue.lock().hasten(usize::MAX);
        self.wake.notify_one();
    }

    pub(crate) fn outage(&self) -> Option<Outage> {
        self.gate.outage()
    }

    /// Sends until told to stop; then finishes what is being sent, settles it and returns.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut sends: JoinSet<Finished> = JoinSet::new();
        let mut background: FuturesUnordered<BoxFuture<'static, Background>> =
            FuturesUnordered::new();
        let mut finished: Vec<Finished> = Vec::new();
        // One of them is waited for.
        let mut urgent = false;
        let mut commits = 0usize;
        let mut store_pause: Option<Timestamp> = None;
        let mut recoveries = self.gate.recoveries();
        loop {
            let stopping = shutdown.is_cancelled();
            let now = self.shared.clock.now();
            if store_pause.is_some_and(|until| now >= until) {
                store_pause = None;
            }

            // Settle what has ended, in as few commits as keep the writer busy. What nobody waits
            // for rides with other commits, so that accepting messages has the disk to itself;
            // what somebody waits for does not stand behind it.
            urgent |= stopping || self.queue.lock().take_awaited();
            while commits < SETTLE_COMMITS + usize::from(urgent)
                && store_pause.is_none()
                && !finished.is_empty()
            {
                let batch: Vec<Finished> =
                    finished.drain(..finished.len().min(SETTLE_BATCH)).collect();
                commits += 1;
                background.push(Arc::clone(&self).settle(batch, !urgent).boxed());
                urgent &= !finished.is_empty();
            }

            let freed = self.gate.freed();
            tokio::pin!(freed);
            freed.as_mut().enable();

            let mut again: Option<Timestamp> = store_pause;
            if !stopping && store_pause.is_none() {
                let mut queue = self.queue.lock();
                // Whoever found out that the other side is back: what waited for that goes.
                if recoveries != self.gate.recoveries() {
                    recoveries = self.gate.recoveries();
                    queue.hasten(usize::MAX);
                }
                queue.wake(now);
                while let Some((lane, after)) = queue.wants() {
                    background.push(Arc::clone(&self).read_lane(lane, after).boxed());
                }
                while let Some(reload) = queue.next_reload() {
                    background.push(Arc::clone(&self).read_key(reload).boxed());
                }
                if sends.is_empty()
                    && background.is_empty()
                    && !queue.has_ready()
                    && let Some(outage) = self.gate.outage()
                {
                    // All that could tell that it works again backs off: one of them asks.
                    if outage.next_probe > now {
                        again = earlier(again, Some(outage.next_probe));
                    } else {
                        queue.hasten(1);
                        while let Some(reload) = queue.next_reload() {
                            background.push(Arc::clone(&self).read_key(reload).boxed());
                        }
                    }
                }
                again = earlier(again, queue.next_due());
                drop(queue);
                // Unsettled ends keep their keys busy; past two batches sending would only
                // fill memory while the disk catches up.
                while finished.len() < 2 * SETTLE_BATCH && self.queue.lock().has_ready() {
                    match self.gate.pass(now) {
                        Ok(pass) => {
                            let next = self.queue.lock().take();
                            let Some(ready) = next else {
                                self.gate.unused(pass);
                                break;
                            };
                            sends.spawn(Arc::clone(&self).attempt(ready, pass));
                        }
                        Err(Closed::Concurrency | Closed::Paused) => break,
                        Err(Closed::Rate(until) | Closed::Down(until)) => {
                            again = earlier(again, Some(until));
                            break;
                        }
                    }
                }
            }
            if stopping && sends.is_empty() && finished.is_empty() && commits == 0 {
                return;
            }

            let pause = again.map(|t| t.since(now).max(Duration::from_millis(1)));
            tokio::select! {
                biased;
                Some(done) = background.next(), if !background.is_empty() => match done {
                    Background::Settled(batch, outcomes) => {
                        commits -= 1;
                        if let Some(kept) = self.settled(batch, outcomes) {
                            finished.extend(kept);
                            urgent = true;
                            store_pause = Some(now.after(Duration::from_millis(500)));
                        }
                    }
                    Background::Refill(lane, Ok(read)) => {
                        self.queue.lock().refill(lane, read.rows, read.complete);
                    }
                    Background::Refill(lane, Err(error)) => {
                        self.stuck(&error);
                        self.queue.lock().refill_failed(lane);
                        store_pause = Some(now.after(Duration::from_millis(500)));
                    }
                    Background::Reload(reload, Ok(read)) => {
                        self.queue.lock().reloaded(reload, read.rows, read.complete);
                    }
                    Background::Reload(reload, Err(error)) => {
                        self.stuck(&error);
                        self.queue.lock().reload_failed(reload);
                        store_pause = Some(now.after(Duration::from_millis(500)));
                    }
                },
                Some(joined) = sends.join_next(), if !sends.is_empty() => {
                    urgent |= self.collect(joined, &mut finished);
                    while let Some(joined) = sends.try_join_next() {
                        urgent |= self.collect(joined, &mut finished);
                    }
                }
                () = self.wake.notified() => {}
                () = &mut freed, if !stopping => {}
                () = shutdown.cancelled(), if !stopping => {}
                () = async { tokio::time::sleep(pause.unwrap_or(Duration::MAX)).await }, if pause.is_some() => {}
            }
        }
    }

    /// Takes the end of an attempt; true when somebody waits for it to be written down.
    fn collect(
        &self,
        joined: Result<Finished, tokio::task::JoinError>,
        finished: &mut Vec<Finished>,
    ) -> bool {
        match joined {
            Ok(one) => {
                let urgent = !matches!(one.settlement.result, SettlementResult::Delivered)
                    || one.settlement.follow.is_some()
                    || self
                        .queue
                        .lock()
                        .has_followers(one.ready.lane, Group::of(&one.ready));
                finished.push(one);
                urgent
            }
            // The delivery is still open in the journal; its key stays busy in memory until a
            // restart, which is the safe side of a bug.
            Err(error) => {
                tracing::error!(connection = %self.name, %error, "a send ended abnormally");
                false
            }
        }
    }

    fn stuck(&self, error: &StoreError) {
        let mut stuck = self.stuck.lock();
        if stuck.is_none() {
            tracing::warn!(connection = %self.name, code = %error.code(), %error, "the journal does not answer; waiting");
        }
        *stuck = Some(error.to_string());
    }

    /// Reads the next deliveries of one lane, of all destinations in id order.
    async fn read_lane(self: Arc<Self>, lane: Lane, after: Id) -> Background {
        let read = merged(self.destinations.keys(), READ, |sym| {
            self.shared.store.window(sym, lane, after, READ)
        })
        .await;
        Background::Refill(lane, read)
    }

    async fn read_key(self: Arc<Self>, reload: Reload) -> Background {
        let Reload {
            lane,
            group,
            from,
            limit,
            ..
        } = reload;
        let store = &self.shared.store;
        let read = match group {
            Group::Key(index) => {
                let read = |sym| store.key_window(sym, lane, Some(index), from, limit);
                merged(self.destinations.keys(), limit, read).await
            }
            Group::Single(id) => {
                let before = Id::from_i64(id.0.as_i64() - 1);
                let read = merged(self.destinations.keys(), 1, |sym| {
                    store.window(sym, lane, before, 1)
                })
                .await;
                read.map(|mut rows| {
                    rows.rows.retain(|row| row.id == id);
                    // Nothing else belongs to it, so nothing is left to read.
                    Rows {
                        complete: true,
                        ..rows
                    }
                })
            }
        };
        Background::Reload(reload, read)
    }

    async fn settle(self: Arc<Self>, batch: Vec<Finished>, patient: bool) -> Background {
        let settled = |one: &Finished| {
            Change::Settle(Box::new(Settlement {
                patient,
                ..one.settlement.clone()
            }))
        };
        let changes = batch.iter().map(settled).collect();
        let outcomes = self.shared.store.commit(changes).await;
        Background::Settled(batch, outcomes)
    }

    /// Lets keys go on after their settlement is durable. Returns the batch when it could not
    /// be written, to be tried again: the destination has answered, so sending again instead
    /// would be a duplicate.
    fn settled(
        &self,
        batch: Vec<Finished>,
        outcomes: Result<Vec<Outcome>, StoreError>,
    ) -> Option<Vec<Finished>> {
        match outcomes {
            Err(StoreError::Closed) => None,
            Err(error) => {
                self.stuck(&error);
                Some(batch)
            }
            Ok(outcomes) => {
                self.stuck.lock().take();
                let mut queue = self.queue.lock();
                for (one, outcome) in batch.into_iter().zip(outcomes) {
                    let (lane, group) = (one.ready.lane, Group::of(&one.ready));
                    if !matches!(outcome, Outcome::Settled(true)) {
                        // A person released, cancelled or parked it while it was being sent.
                        queue.disputed(&one.ready);
                        continue;
                    }
                    let mut ready = one.ready;
                    ready.attempts = one.settlement.attempt;
                    ready.first_attempt = ready.first_attempt.or(Some(one.settlement.started));
                    match one.settlement.result {
                        SettlementResult::Delivered => {
                            if let Some(destination) = self.destinations.get(&ready.destination) {
                                destination
                                    .latency
                                    .record(one.settlement.ended.since(ready.accepted));
                                destination.sent.fetch_add(1, Ordering::Relaxed);
                            }
                            queue.finished(lane, group);
                        }
                        SettlementResult::Dead(_) => queue.finished(lane, group),
                        SettlementResult::Retry { next, .. } => {
                            ready.state = DeliveryState::Retrying;
                            ready.next = Some(next);
                            queue.put_back(ready, !one.asked);
                        }
                        SettlementResult::Hold(_) => {
                            ready.state = DeliveryState::Held;
                            queue.put_back(ready, false);
                        }
                    }
                }
                None
            }
        }
    }

    /// Whether it sends by this very sender, not by another one with the same settings.
    pub(crate) fn sends_by(&self, outbound: &Arc<dyn Outbound>) -> bool {
        Arc::ptr_eq(&self.outbound, outbound)
    }

    /// One attempt: open, send, decide. The pass is given back as soon as the other side has
    /// answered; writing the outcome down is no longer its business.
    async fn attempt(self: Arc<Self>, ready: Ready, pass: Pass) -> Finished {
        let started = self.shared.clock.now();
        let attempt = ready.attempts.saturating_add(1);
        let destination = self.destinations.get(&ready.destination).cloned();
        let terms = destination
            .as_ref()
            .map(|one| one.terms.load_full())
            .unwrap_or_default();
        if let Some(destination) = &destination {
            destination.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        let result = match self.shared.vault.open_sealed(Kind::Message, &ready.body) {
            Ok(body) => self.call(&terms.shape, &ready, attempt, body).await,
            Err(error) => Err(Failure::new(
                FailureKind::Permanent,
                error.code(),
                error.to_string(),
            )),
        };
        let ended = self.shared.clock.now();
        if let Some(destination) = &destination {
            destination.in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Err(failure) = &result {
                *destination.last_error.lock() = Some(failure.to_string());
            }
        }
        self.report(&result, ended);
        drop(pass);

        let asked = matches!(
            &result,
            Err(Failure {
                kind: FailureKind::Busy {
                    retry_after: Some(_)
                },
                ..
            })
        );
        // A flow that left the estate has the default.
        let policy = terms
            .policies
            .get(&ready.flow)
            .unwrap_or(&self.default_policy);
        let place: Arc<str> =
            destination.map_or_else(|| Arc::clone(&self.name), |one| Arc::clone(&one.name));
        let (status, answer, decision, follow) = match result {
            Ok(reply) => {
                let follow = policy
                    .follow
                    .as_ref()
                    .and_then(|follow| (follow.0)(&ready, &reply))
                    .map(Box::new);
                (
                    reply.status.clone(),
                    Some(reply.body),
                    SettlementResult::Delivered,
                    follow,
                )
            }
            Err(failure) => {
                let decision = decide(policy, &place, &ready, attempt, &failure, ended);
                let (status, body) = failure.reply.map_or_else(
                    || (String::new(), None),
                    |reply| (reply.status, Some(reply.body)),
                );
                (status, body, decision, None)
            }
        };
        let response = answer.filter(|body| !body.is_empty()).and_then(|body| {
            self.shared
                .vault
                .seal(Kind::Response, &body)
                .inspect_err(|error| tracing::error!(%error, "an answer could not be sealed and is not kept"))
                .ok()
        });
        let settlement = Settlement {
            lease: self.shared.store.lease(),
            delivery: ready.id,
            was: ready.state,
            attempt,
            started,
            ended,
            status,
            response,
            result: decision,
            follow,
            patient: false,
        };
        Finished {
            ready,
            settlement,
            asked,
        }
    }

    async fn call(
        &self,
        shape: &CallShape,
        ready: &Ready,
        attempt: u32,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let key = ready.id.to_string();
        let correlation = ready.message.to_string();
        let path = match &shape.path {
            Some(template) if template.contains('{') => Some(super::path::render(template, &body).map_err(|missing| {
                Failure::new(
                    FailureKind::Permanent,
                    crate::codes::PATH_VALUE_MISSING,
                    format!("the path {template} needs `{missing}`, which the body does not have: let the map set it"),
                )
            })?),
            other => other.clone(),
        };
        let content_type = self.shared.store.name(ready.content_type);
        // What is only asked for is named by the path; many systems refuse a body with it.
        let body = if shape.method == Some(http::Method::GET) {
            Bytes::new()
        } else {
            body
        };
        self.outbound
            .send(Request {
                idempotency_key: &key,
                attempt,
                body,
                content_type: content_type
                    .as_deref()
                    .unwrap_or("application/octet-stream"),
                method: shape.method.clone(),
                path: path.as_deref(),
                correlation: &correlation,
            })
            .await
    }

    /// Tells the breaker; one log line when something changed, none per attempt.
    fn report(&self, result: &Result<Reply, Failure>, now: Timestamp) {
        let transition = match result {
            Ok(_) => self.gate.answered(),
            Err(failure) => {
                if failure.kind.may_pass() {
                    self.gate.failed(now, &failure.to_string())
                } else {
                    self.gate.answered()
                }
            }
        };
        match transition {
            Some(Transition::Opened) => {
                let reason = self
                    .outage()
                    .map(|outage| outage.reason)
                    .unwrap_or_default();
                tracing::warn!(connection = %self.name, reason, "down: sending stops, one probe at a time");
            }
            Some(Transition::Recovered(since)) => {
                let down_s = now.since(since).as_secs();
                tracing::info!(connection = %self.name, down_s, "works again");
                // They waited for the other side, and it is back.
                self.queue.lock().hasten(usize::MAX);
                self.wake.notify_one();
            }
            None => {}
        }
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
