//! What a connection allows: so many at once, so many a second, and nothing while it is
//! known to be down. One gate per connection, shared by every flow that uses it, so that a
//! partner who allows one session gets one.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use wardline_core::Timestamp;

/// How long calls may hold deliveries up.
const SHARE: Duration = Duration::from_secs(1);

/// Limits of a connection as declared (or their defaults).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GateConfig {
    /// Sends per second; `None` for no limit.
    pub(crate) rate: Option<f64>,
    /// Sends that may follow at once after a pause.
    pub(crate) burst: u32,
    /// Sends at the same time.
    pub(crate) concurrent: usize,
    /// Failures within `within` that open the breaker; 0 for never.
    pub(crate) open_after: u32,
    /// See `open_after`.
    pub(crate) within: Duration,
    /// While open, one send is tried this often.
    pub(crate) probe_every: Duration,
}

impl Default for GateConfig {
    /// Sixteen at once keeps a slow partner busy without flooding it; five failures in half a
    /// minute is an outage, not bad luck; ten seconds is soon enough to notice recovery.
    fn default() -> Self {
        Self {
            rate: None,
            burst: 1,
            concurrent: 16,
            open_after: 5,
            within: Duration::from_secs(30),
            probe_every: Duration::from_secs(10),
        }
    }
}

/// Why a send may not begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    /// All sessions are in use.
    Concurrency,
    /// The rate is used up until then.
    Rate(Timestamp),
    /// The breaker is open until the next probe.
    Down(Timestamp),
    /// Until somebody opens it again.
    Paused,
}

/// What a report changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transition {
    /// The connection is down from now on.
    Opened,
    /// The connection works again; it was down since then.
    Recovered(Timestamp),
}

/// How the breaker stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) since: Timestamp,
    pub(crate) reason: String,
    pub(crate) next_probe: Timestamp,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

#[derive(Debug)]
enum Breaker {
    Closed { failures: VecDeque<Timestamp> },
    Open { outage: Outage, probing: bool },
}

/// The shared limits of one connection.
#[derive(Debug)]
pub(crate) struct Gate {
    config: GateConfig,
    sessions: Arc<Semaphore>,
    bucket: Mutex<Bucket>,
    breaker: Mutex<Breaker>,
    paused: AtomicBool,
    freed: Arc<Notify>,
    /// How many wait to be let through before deliveries.
    first: AtomicUsize,
    /// When a delivery was let through last, in microseconds.
    last: AtomicI64,
    /// How often it came back, whoever found out.
    recoveries: AtomicU64,
}

/// Waits to be let through before deliveries, until it is dropped.
#[derive(Debug)]
pub(crate) struct First<'a>(&'a Gate);

impl Drop for First<'_> {
    fn drop(&mut self) {
        if self.0.first.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Deliveries that were held up for it go on.
            self.0.freed.notify_waiters();
        }
    }
}

/// The right to send once. Dropping it frees the session and wakes who waits for it.
#[derive(Debug)]
pub(crate) struct Pass {
    permit: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        // An unused pass has given its session back already, and wakes nobody: who found
        // nothing to send would find nothing again, for ever.
        if let Some(permit) = self.permit.take() {
            drop(permit);
            self.freed.notify_waiters();
        }
    }
}

impl Gate {
    pub(crate) fn new(config: GateConfig, now: Timestamp) -> Self {
        Self {
            config,
            sessions: Arc::new(Semaphore::new(config.concurrent.max(1))),
            bucket: Mutex::new(Bucket {
                tokens: f64::from(config.burst.max(1)),
                filled: now,
            }),
            breaker: Mutex::new(Breaker::Closed {
                failures: VecDeque::new(),
            }),
            paused: AtomicBool::new(false),
            freed: Arc::new(Notify::new()),
            first: AtomicUsize::new(0),
            last: AtomicI64::new(now.0),
            recoveries: AtomicU64::new(0),
        }
    }

    /// Holds deliveries up for somebody who waits for an answer.
    pub(crate) fn wait_first(&self) -> First<'_> {
        self.first.fetch_add(1, Ordering::SeqCst);
        First(self)
    }

    #[cfg(test)]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.first.load(Ordering::SeqCst) > 0
    }

    /// How often it came back: who has retries that wait for that looks whether it rose.
    pub(crate) fn recoveries(&self) -> u64 {
        self.recoveries.load(Ordering::SeqCst)
    }

    /// A send ended that says nothing about the other side: where it was a probe, another may try.
    pub(crate) fn undecided(&self) {
        if let Breaker::Open { probing, .. } = &mut *self.breaker.lock() {
            *probing = false;
        }
    }

    /// Whether it allows just this.
    pub(crate) fn allows(&self, config: &GateConfig) -> bool {
        self.config == *config
    }

    /// Lets nothing pass until [`Gate::resume`].
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
    }

    /// Lets sends pass again, and wakes who waits.
    pub(crate) fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    /// Completes when a session was freed after this was called.
    pub(crate) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }

    /// The right to send now, or why not. While somebody waits for an answer, once a second at
    /// most: deliveries are slowed down by calls, never stopped.
    pub(crate) fn pass(&self, now: Timestamp) -> Result<Pass, Closed> {
        let last = Timestamp(self.last.load(Ordering::SeqCst));
        if self.first.load(Ordering::SeqCst) > 0 && now.since(last) < SHARE {
            return Err(Closed::Concurrency);
        }
        let pass = self.pass_first(now)?;
        self.last.store(now.0, Ordering::SeqCst);
        Ok(pass)
    }

    /// As [`Gate::pass`], for who goes first.
    pub(crate) fn pass_first(&self, now: Timestamp) -> Result<Pass, Closed> {
        if self.paused.load(Ordering::SeqCst) {
            return Err(Closed::Paused);
        }
        let mut breaker = self.breaker.lock();
        if let Breaker::Open { outage, probing } = &*breaker
            && (*probing || now < outage.next_probe)
        {
            return Err(Closed::Down(
                outage.next_probe.max(now.after(Duration::from_millis(50))),
            ));
        }
        let Ok(permit) = Arc::clone(&self.sessions).try_acquire_owned() else {
            return Err(Closed::Concurrency);
        };
        if let Some(rate) = self.config.rate {
            let mut bucket = self.bucket.lock();
            let earned = now.since(bucket.filled).as_secs_f64() * rate;
            bucket.tokens = (bucket.tokens + earned).min(f64::from(self.config.burst.max(1)));
            bucket.filled = now.max(bucket.filled);
            if bucket.tokens < 1.0 {
                let wait = Duration::from_secs_f64(((1.0 - bucket.tokens) / rate).min(3_600.0));
                return Err(Closed::Rate(now.after(wait)));
            }
            bucket.tokens -= 1.0;
        }
        if let Breaker::Open { probing, .. } = &mut *breaker {
            *probing = true;
        }
        Ok(Pass {
            permit: Some(permit),
            freed: Arc::clone(&self.freed),
        })
    }

    /// A pass was not used after all: the session, the probe and the share of the rate are
    /// free again.
    pub(crate) fn unused(&self, mut pass: Pass) {
        drop(pass.permit.take());
        if self.config.rate.is_some() {
            self.bucket.lock().tokens += 1.0;
        }
        if let Breaker::Open { probing, .. } = &mut *self.breaker.lock() {
            *probing = false;
        }
    }

    /// The other side answered, well or not: it is there.
    pub(crate) fn answered(&self) -> Option<Transition> {
        let mut breaker = self.breaker.lock();
        match &*breaker {
            Breaker::Open { outage, .. } => {
                let since = outage.since;
                *breaker = Breaker::Closed {
                    failures: VecDeque::new(),
                };
                drop(breaker);
                self.recoveries.fetch_add(1, Ordering::SeqCst);
                self.freed.notify_waiters();
                Some(Transition::Recovered(since))
            }
            Breaker::Closed { .. } => {
                *breaker = Breaker::Closed {
                    failures: VecDeque::new(),
                };
                None
            }
        }
    }

    /// The other side did not answer, or said that it cannot work.
    pub(crate) fn failed(&self, now: Timestamp, reason: &str) -> Option<Transition> {
        let mut breaker = self.breaker.lock();
        match &mut *breaker {
            Breaker::Open { outage, probing } => {
                // Late results of sends that began before the breaker opened change nothing.
                if *probing {
                    *probing = false;
                    outage.next_probe = now.after(self.config.probe_every);
                    reason.clone_into(&mut outage.reason);
                }
                None
            }
            // Declared as 0: it never opens, and there is nothing to count.
            Breaker::Closed { .. } if self.config.open_after == 0 => None,
            Breaker::Closed { failures } => {
                failures.push_back(now);
                while failures
                    .front()
                    .is_some_and(|t| now.since(*t) > self.config.within)
                {
                    failures.pop_front();
                }
                if failures.len() < self.config.open_after as usize {
                    return None;
                }
                *breaker = Breaker::Open {
                    outage: Outage {
                        since: now,
                        reason: reason.to_owned(),
                        next_probe: now.after(self.config.probe_every),
                    },
                    probing: false,
                };
                Some(Transition::Opened)
            }
        }
    }

    /// The outage, if the connection is down.
    pub(crate) fn outage(&self) -> Option<Outage> {
        match &*self.breaker.lock() {
            Breaker::Open { outage, .. } => Some(outage.clone()),
            Breaker::Closed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const T0: Timestamp = Timestamp(1_764_000_000_000_000);

    fn at(ms: u64) -> Timestamp {
        T0.after(Duration::from_millis(ms))
    }

    #[test]
    fn one_session_is_one_session() {
        let gate = Gate::new(
            GateConfig {
                concurrent: 1,
                ..GateConfig::default()
            },
            T0,
        );
        let pass = gate.pass(T0).unwrap();
        assert_eq!(gate.pass(T0).unwrap_err(), Closed::Concurrency);
        drop(pass);
        assert!(gate.pass(T0).is_ok());
    }

    #[test]
    fn a_paused_gate_lets_nothing_pass_until_it_is_resumed() {
        let gate = Gate::new(GateConfig::default(), T0);
        gate.pause();
        assert_eq!(gate.pass(T0).unwrap_err(), Closed::Paused);
        let mut freed = std::pin::pin!(gate.freed());
        freed.as_mut().enable();
        gate.resume();
        assert!(freed.now_or_never().is_some());
        assert!(gate.pass(T0).is_ok());
    }

    #[test]
    fn rate_allows_a_burst_and_then_its_pace() {
        let gate = Gate::new(
            GateConfig {
                rate: Some(20.0),
                burst: 2,
                ..GateConfig::default()
            },
            T0,
        );
        assert!(gate.pass(T0).is_ok());
        assert!(gate.pass(T0).is_ok());
        assert_eq!(gate.pass(T0).unwrap_err(), Closed::Rate(at(50)));
        assert!(gate.pass(at(50)).is_ok());
        assert!(gate.pass(at(51)).is_err());
    }

    #[test]
    fn an_unused_pass_costs_nothing() {
        let gate = Gate::new(
            GateConfig {
                rate: Some(1.0),
                concurrent: 1,
                ..GateConfig::default()
            },
            T0,
        );
        let mut freed = std::pin::pin!(gate.freed());
        freed.as_mut().enable();
        for _ in 0..3 {
            let pass = gate.pass(T0).unwrap();
            gate.unused(pass);
        }
        assert!(
            freed.as_mut().now_or_never().is_none(),
            "looking for work is no reason to look again"
        );
        drop(gate.pass(T0).unwrap());
        assert!(freed.now_or_never().is_some());
    }

    #[test]
    fn breaker_opens_once_probes_and_recovers() {
        let gate = Gate::new(
            GateConfig {
                open_after: 3,
                ..GateConfig::default()
            },
            T0,
        );
        assert_eq!(gate.failed(at(0), "refused"), None);
        assert_eq!(gate.failed(at(1), "refused"), None);
        assert_eq!(gate.failed(at(2), "refused"), Some(Transition::Opened));
        assert_eq!(gate.failed(at(3), "late result"), None);
        assert!(matches!(gate.pass(at(4)), Err(Closed::Down(_))));
        let probe = gate.pass(at(10_002)).unwrap();
        assert!(
            matches!(gate.pass(at(10_003)), Err(Closed::Down(_))),
            "one probe at a time"
        );
        assert_eq!(gate.failed(at(10_010), "refused"), None);
        drop(probe);
        assert!(gate.pass(at(15_000)).is_err());
        assert!(gate.pass(at(20_011)).is_ok());
        assert_eq!(gate.answered(), Some(Transition::Recovered(at(2))));
        assert!(gate.pass(at(20_012)).is_ok());
    }

    #[test]
    fn a_breaker_of_zero_never_opens() {
        let gate = Gate::new(
            GateConfig {
                open_after: 0,
                ..GateConfig::default()
            },
            T0,
        );
        for i in 0..100 {
            assert_eq!(gate.failed(at(i), "503"), None);
        }
        assert!(gate.pass(at(100)).is_ok());
    }

    #[test]
    fn failures_far_apart_do_not_open() {
        let gate = Gate::new(
            GateConfig {
                open_after: 2,
                ..GateConfig::default()
            },
            T0,
        );
        for i in 0..10 {
            assert_eq!(gate.failed(at(i * 31_000), "503"), None);
        }
    }
}
