//! Systems behind the gateway: which address is asked, when one is left alone, and when a call
//! may be made a second time.
//!
//! A call is repeated only where that cannot do anything twice: it never left, or the method is
//! idempotent (RFC 9110, 9.2.2) or carries an idempotency key; and only while the budget lasts,
//! so that repeats never become a storm.

mod answer;
mod head;
mod health;
mod hedge;
mod sending;
mod wire;

pub(crate) use answer::Answering;
use health::{Breaking, Health};
use hedge::Hedges;
use wire::{Connection, Failed};

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::body::{OutBody, Stopped};
use crate::error::GatewayError;
use crate::plan::{Breaker, Upstream};
use wardline_engine::CallPass;

/// Tokens of the budget: a call earns one, a retry costs five; ten retries to begin with.
const RETRY_COST: i64 = 5;
const BUDGET: i64 = 50;

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// It never left.
    Unreachable,
    /// Nothing is sent now: too many failures, or too many calls.
    Closed(Duration),
    /// It may have arrived, and the answer did not come in time.
    TooLate,
    /// It may have arrived, and the connection broke.
    Broken,
    /// The caller's body stopped.
    Body(crate::problem::Kind),
}

impl Miss {
    /// Whether the call may have arrived.
    pub(crate) fn arrived(self) -> bool {
        !matches!(self, Self::Unreachable | Self::Closed(_))
    }

    /// In words, for who looks why nothing is sent.
    fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "it cannot be reached",
            Self::Closed(_) => "all its connections are in use",
            Self::TooLate => "it does not answer in time",
            Self::Broken => "it breaks off",
            Self::Body(_) => "the caller's body stopped",
        }
    }
}

/// The right to call, and whom to tell what became of it.
#[derive(Debug)]
enum Entered {
    /// Of a gate; held until the answer is gone.
    Shared(CallPass),
    /// Of the system's own breaker.
    Own(Breaking, Breaker),
}

impl Entered {
    fn note(&mut self, outcome: Result<(), &str>) {
        match (self, outcome) {
            (Self::Shared(pass), Ok(())) => pass.answered(),
            (Self::Shared(pass), Err(reason)) => pass.failed(reason),
            (Self::Own(breaking, breaker), outcome) => breaking.note(outcome.is_ok(), *breaker),
        }
    }

    fn undecided(self) {
        match self {
            Self::Shared(pass) => drop(pass),
            Self::Own(breaking, _) => breaking.release(),
        }
    }
}

/// Connections without a call; boxed, because they go in and out with each call and are large.
type Pool = Mutex<Vec<Box<Connection>>>;

/// One address of a system.
#[derive(Debug)]
pub(crate) struct Address {
    host: String,
    port: u16,
    secure: bool,
    authority: HeaderValue,
    prefix: String,
    health: Health,
    /// Connections without a call, by the thread that opened them: each is driven by that
    /// thread's event queue, so elsewhere it would wake two threads for every step.
    idle: Box<[Pool]>,
    /// Calls that may be under way.
    open: Arc<Semaphore>,
    /// Connections that are open, idle ones included.
    there: Arc<AtomicUsize>,
    most: usize,
}

/// A system with its pools.
pub(crate) struct Remote {
    pub(crate) settings: Upstream,
    addresses: Vec<Arc<Address>>,
    breaking: Breaking,
    budget: AtomicI64,
    hedges: Hedges,
}

/// A call on its way out.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query, below the address's prefix.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: OutBody,
    pub(crate) stopped: Option<Stopped>,
    /// Whether it may be sent again although it may have arrived.
    pub(crate) repeatable: bool,
    pub(crate) time: Duration,
}

impl Remote {
    /// Keeps the pools and the health of `before` for addresses that stay.
    pub(crate) fn new(settings: Upstream, before: Option<&Self>) -> Result<Self, GatewayError> {
        let mut addresses = Vec::with_capacity(settings.urls.len());
        let same = |a: &Upstream, b: &Upstream| {
            let tls = match (&a.tls, &b.tls) {
                (None, None) => true,
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            tls && a.public == b.public && a.connections == b.connections && a.health == b.health
        };
        let before = before.filter(|before| same(&before.settings, &settings));
        for url in &settings.urls {
            let fresh = Address::new(&settings, url)?;
            let kept =
                before.and_then(|before| before.addresses.iter().find(|have| have.same(&fresh)));
            addresses.push(kept.map_or_else(|| Arc::new(fresh), Arc::clone));
        }
        if addresses.is_empty() {
            return Err(bad(&settings, "it has none"));
        }
        let breaking = before.map_or_else(Breaking::default, |before| before.breaking.clone());
        Ok(Self {
            settings,
            addresses,
            breaking,
            budget: AtomicI64::new(BUDGET),
            hedges: Hedges::default(),
        })
    }

    pub(crate) fn addresses(&self) -> &[Arc<Address>] {
        &self.addresses
    }

    /// Makes the call: well addresses first, in the order that was declared.
    pub(crate) async fn call(&self, mut call: Outgoing) -> Result<Response<Answering>, Miss> {
        if self.budget.load(Ordering::Relaxed) < BUDGET {
            self.budget.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(credentials) = &self.settings.credentials {
            for (name, value) in &credentials() {
                call.headers.insert(name.clone(), value.clone());
            }
        }
        let deadline = Instant::now() + call.time.min(self.settings.time);
        if let Some(after) = self.hedges(&call) {
            return Box::pin(self.hedged(call, after, deadline)).await;
        }
        let from = self.first_well(0);
        self.attempts(&mut call, from, deadline).await
    }

    /// Tries the addresses from this one on, as often as that is safe and the budget lasts.
    async fn attempts(
        &self,
        call: &mut Outgoing,
        from: usize,
        deadline: Instant,
    ) -> Result<Response<Answering>, Miss> {
        let mut pass = self.enter(call).await?;
        let mut tries = 0;
        let mut last = Miss::Unreachable;
        let mut at = from;
        // Two rounds at most: one address that closed an idle connection is asked again.
        let most = usize::from(self.settings.retries) + self.addresses.len();
        loop {
            let address = &self.addresses[at];
            match address.attempt(&self.settings, call, deadline).await {
                Ok(answer) => {
                    address.health.well(&self.settings.health);
                    let ill = matches!(
                        answer.status(),
                        StatusCode::BAD_GATEWAY
                            | StatusCode::SERVICE_UNAVAILABLE
                            | StatusCode::GATEWAY_TIMEOUT
                    );
                    pass.note(if ill {
                        Err("it says that it cannot work")
                    } else {
                        Ok(())
                    });
                    return Ok(answer.map(|body| body.holding(pass)));
                }
                Err((miss, intact)) => {
                    if let Miss::Body(_) = miss {
                        pass.undecided();
                        return Err(miss);
                    }
                    if !matches!(miss, Miss::Closed(_)) {
                        address.health.ill(&self.settings.health);
                    }
                    last = match (last.arrived(), miss.arrived()) {
                        // What may have arrived once stays so, whatever came after.
                        (true, false) => last,
                        _ => miss,
                    };
                    // What may have arrived goes again only where that does nothing twice.
                    let whole = matches!(call.body, OutBody::Full(_));
                    let may = intact || whole && (call.repeatable || !miss.arrived());
                    if !(may && tries < most && Instant::now() < deadline && self.afford(tries)) {
                        pass.note(Err(last.words()));
                        return Err(last);
                    }
                    let failed = at;
                    at = self.first_well((at + 1) % self.addresses.len());
                    if at == failed {
                        // What the budget paid for is spent, also while it waits.
                        let pause =
                            back_off(tries).min(deadline.saturating_duration_since(Instant::now()));
                        tokio::time::sleep(pause).await;
                    }
                    tries += 1;
                }
            }
        }
    }

    /// The right to call: of the gate that it shares with deliveries, or of its own breaker.
    async fn enter(&self, call: &Outgoing) -> Result<Entered, Miss> {
        if let Some(gate) = &self.settings.gate {
            let patience = call.time.min(self.settings.connect_time);
            let pass = gate.pass(patience).await;
            return pass
                .map(Entered::Shared)
                .map_err(|shut| Miss::Closed(shut.0));
        }
        let breaker = self.settings.breaker;
        match self.breaking.closed_for(breaker) {
            Some(wait) => Err(Miss::Closed(wait)),
            None => Ok(Entered::Own(self.breaking.clone(), breaker)),
        }
    }

    /// The first address that is well, from `from` on; `from` itself where none is.
    fn first_well(&self, from: usize) -> usize {
        let count = self.addresses.len();
        (0..count)
            .map(|step| (from + step) % count)
            .find(|at| self.addresses[*at].health.asked(&self.settings.health))
            .unwrap_or(from)
    }

    fn afford(&self, tries: usize) -> bool {
        // A first failover to another address is what addresses are for; it is free.
        if tries == 0 && self.addresses.len() > 1 {
            return true;
        }
        let left = self.budget.fetch_sub(RETRY_COST, Ordering::Relaxed) - RETRY_COST;
        if left < 0 {
            self.budget.fetch_add(RETRY_COST, Ordering::Relaxed);
        }
        left >= 0
    }

    /// Asks every address for its health once.
    pub(crate) async fn probe(&self) {
        let Some(path) = &self.settings.health.get else {
            return;
        };
        for address in &self.addresses {
            let mut call = Outgoing {
                method: Method::GET,
                target: path.clone(),
                headers: HeaderMap::new(),
                body: OutBody::Full(None),
                stopped: None,
                repeatable: false,
                time: self.settings.time,
            };
            let deadline = Instant::now() + self.settings.time;
            let said = address.attempt(&self.settings, &mut call, deadline).await;
            let well = said.is_ok_and(|answer| answer.status().is_success());
            address.health.probed(well, &self.settings.health);
        }
    }
}

/// How long to wait before an address is asked again that has just failed: some milliseconds,
/// twice as long each time, and not the same for all who wait.
fn back_off(tries: usize) -> Duration {
    let most = 10_u64 << tries.min(5);
    Duration::from_millis(rand::random_range(most / 2..=most))
}

impl Outgoing {
    /// The same call again; only for bodies in memory.
    fn copy(&self) -> Self {
        let body = match &self.body {
            OutBody::Full(bytes) => OutBody::Full(bytes.clone()),
            OutBody::Streamed(_) => OutBody::Full(None),
        };
        Self {
            method: self.method.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body,
            stopped: None,
            repeatable: self.repeatable,
            time: self.time,
        }
    }
}

fn bad(settings: &Upstream, detail: &'static str) -> GatewayError {
    GatewayError::BadUrl {
        upstream: settings.name.to_string(),
        detail,
    }
}

impl Address {
    fn new(settings: &Upstream, url: &http::Uri) -> Result<Self, GatewayError> {
        let secure = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(bad(settings, "it begins neither with http:// nor https://")),
        };
        if secure && settings.tls.is_none() {
            return Err(bad(settings, "it is https, but there are no TLS settings"));
        }
        let authority = url
            .authority()
            .ok_or_else(|| bad(settings, "it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad(settings, "it holds a user or a password"));
        }
        if url.query().is_some() {
            return Err(bad(settings, "it has a query"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Self {
            host: host.to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
            secure,
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| bad(settings, "its host is no text"))?,
            prefix: url.path().trim_end_matches('/').to_owned(),
            health: Health::default(),
            idle: (0..=std::thread::available_parallelism().map_or(1, usize::from))
                .map(|_| Mutex::default())
                .collect(),
            open: Arc::new(Semaphore::new(settings.connections.max(1))),
            there: Arc::default(),
            most: settings.connections.max(1),
        })
    }

    fn same(&self, other: &Self) -> bool {
        self.secure == other.secure
            && self.authority == other.authority
            && self.prefix == other.prefix
    }

    /// One attempt. With a failure comes whether the call certainly did not leave and is as it was.
    async fn attempt(
        self: &Arc<Self>,
        settings: &Upstream,
        call: &mut Outgoing,
        deadline: Instant,
    ) -> Result<Response<Answering>, (Miss, bool)> {
        let permit = if let Ok(permit) = Arc::clone(&self.open).try_acquire_owned() {
            permit
        } else {
            let waiting = timeout(
                settings.connect_time,
                Arc::clone(&self.open).acquire_owned(),
            );
            match Box::pin(waiting).await {
                Ok(Ok(permit)) => permit,
                _ => return Err((Miss::Closed(Duration::from_secs(1)), true)),
            }
        };
        loop {
            let (mut connection, kept) = if let Some(connection) = self.kept(settings.idle) {
                (connection, true)
            } else {
                let opening = timeout(settings.connect_time, Connection::open(self, settings));
                match Box::pin(opening).await {
                    Ok(Ok(connection)) => (connection, false),
                    Ok(Err(error)) => {
                        tracing::debug!(upstream = %settings.name, %error, "cannot connect");
                        return Err((Miss::Unreachable, true));
                    }
                    Err(_) => return Err((Miss::Unreachable, true)),
                }
            };
            let miss = match connection.exchange(self, call, deadline).await {
                Ok(head) => {
                    let body = Answering::new(connection, Arc::clone(self), permit, settings.time);
                    let mut response = Response::new(body);
                    *response.status_mut() = head.status;
                    *response.headers_mut() = head.headers;
                    return Ok(response);
                }
                // The system closed a connection that was idle: another one, at once.
                Err(Failed::Unsent) if kept => continue,
                Err(Failed::Unsent) => return Err((Miss::Unreachable, true)),
                Err(Failed::Broken) => Miss::Broken,
                Err(Failed::Late) => Miss::TooLate,
            };
            let why = call.stopped.as_ref().and_then(Stopped::why);
            return Err((why.map_or(miss, Miss::Body), false));
        }
    }

    /// An open connection of this thread; of another where there may be no more.
    fn kept(&self, idle: Duration) -> Option<Box<Connection>> {
        let own = self.seat(wardline_connect::threads::seat());
        if let Some(connection) = take(own, idle) {
            return Some(connection);
        }
        if self.there.load(Ordering::Relaxed) < self.most {
            return None;
        }
        self.idle.iter().find_map(|pool| take(pool, idle))
    }

    fn seat(&self, seat: usize) -> &Pool {
        self.idle.get(seat).unwrap_or(&self.idle[0])
    }

    /// Takes a connection back whose answer was read to its end.
    fn keep(&self, connection: Box<Connection>) {
        if connection.reusable() {
            self.seat(connection.seat()).lock().push(connection);
        }
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn sweep(&self, idle: Duration) {
        for pool in &self.idle {
            let old: Vec<Box<Connection>> = {
                let mut kept = pool.lock();
                let (old, young) = std::mem::take(&mut *kept)
                    .into_iter()
                    .partition(|one| one.older(idle));
                *kept = young;
                old
            };
            drop(old);
        }
    }
}

/// The connection that was used last and still can be; the others grow old and are closed.
fn take(pool: &Pool, idle: Duration) -> Option<Box<Connection>> {
    loop {
        let mut connection = pool.lock().pop()?;
        if connection.usable(idle) {
            return Some(connection);
        }
    }
}
