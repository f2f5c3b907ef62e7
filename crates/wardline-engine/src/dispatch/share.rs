//! A connection's limits as others than flows use them: calls through an Api go to the same system
//! as deliveries, and together they must not be more than it allows.
//!
//! Somebody waits for a call and nobody for a delivery. So while a call waits for room, deliveries
//! begin nothing new on that connection, but for one a second.

use super::gate::{Closed, Gate, Pass, Transition};
use ahash::AHashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use wardline_core::Clock;

/// The gates of all outbound connections, by `system.connection`.
#[derive(Clone)]
pub struct CallGates {
    gates: Arc<AHashMap<String, Arc<Gate>>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CallGates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallGates({})", self.gates.len())
    }
}

impl CallGates {
    pub(crate) fn new(
        gates: impl IntoIterator<Item = (String, Arc<Gate>)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            gates: Arc::new(gates.into_iter().collect()),
            clock,
        }
    }

    /// The gate of a connection, where it sends.
    pub fn of(&self, connection: &str) -> Option<CallGate> {
        let gate = self.gates.get(connection)?;
        Some(CallGate {
            name: connection.into(),
            gate: Arc::clone(gate),
            clock: Arc::clone(&self.clock),
        })
    }
}

/// What one connection allows, to calls and deliveries together: so many at once, so many a
/// second, and nothing while it is known to be down.
#[derive(Clone)]
pub struct CallGate {
    name: Arc<str>,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CallGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallGate").field(&self.name).finish()
    }
}

/// The right to call once. Say what became of the call; dropped unsaid, it says nothing about the
/// system.
#[derive(Debug)]
pub struct CallPass {
    name: Arc<str>,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    pass: Option<Pass>,
    said: bool,
}

/// Nothing may be sent now; come again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shut(pub Duration);

impl CallGate {
    /// The right to call, as soon as there is room.
    ///
    /// # Errors
    /// [`Shut`] where the connection is down, or there is no room within `patience`.
    pub async fn pass(&self, patience: Duration) -> Result<CallPass, Shut> {
        self.taken(patience, true).await
    }

    /// The same for whom nobody waits: it goes behind calls, and beside deliveries.
    ///
    /// # Errors
    /// As [`CallGate::pass`].
    pub(crate) async fn pass_last(&self, patience: Duration) -> Result<CallPass, Shut> {
        self.taken(patience, false).await
    }

    async fn taken(&self, patience: Duration, first: bool) -> Result<CallPass, Shut> {
        let until = Instant::now() + patience;
        let mut waiting = None;
        loop {
            let freed = self.gate.freed();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let now = self.clock.now();
            let taken = if first {
                self.gate.pass_first(now)
            } else {
                self.gate.pass(now)
            };
            match taken {
                Ok(pass) => {
                    return Ok(CallPass {
                        name: Arc::clone(&self.name),
                        gate: Arc::clone(&self.gate),
                        clock: Arc::clone(&self.clock),
                        pass: Some(pass),
                        said: false,
                    });
                }
                Err(Closed::Down(at)) => return Err(Shut(at.since(now))),
                // Only a client's webhook is paused, and nothing calls through one.
                Err(Closed::Concurrency | Closed::Paused) => {
                    if first {
                        waiting.get_or_insert_with(|| self.gate.wait_first());
                    }
                    if timeout_at(until, freed).await.is_err() {
                        return Err(Shut(Duration::from_secs(1)));
                    }
                }
                Err(Closed::Rate(at)) => {
                    if first {
                        waiting.get_or_insert_with(|| self.gate.wait_first());
                    }
                    let wait = at.since(now).max(Duration::from_millis(1));
                    if Instant::now() + wait > until {
                        return Err(Shut(wait));
                    }
                    sleep(wait).await;
                }
            }
        }
    }
}

impl CallPass {
    /// The system answered, well or not: it is there.
    pub fn answered(&mut self) {
        self.said = true;
        if let Some(Transition::Recovered(since)) = self.gate.answered() {
            let down_s = self.clock.now().since(since).as_secs();
            tracing::info!(connection = %self.name, down_s, "works again, as a call found");
        }
    }

    /// The system did not answer, or said that it cannot work.
    pub fn failed(&mut self, reason: &str) {
        self.said = true;
        if let Some(Transition::Opened) = self.gate.failed(self.clock.now(), reason) {
            tracing::warn!(connection = %self.name, reason, "down, as calls found: sending stops, one probe at a time");
        }
    }
}

impl Drop for CallPass {
    fn drop(&mut self) {
        if !self.said {
            self.gate.undecided();
        }
        drop(self.pass.take());
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::GateConfig;
    use super::*;
    use wardline_core::RealClock;

    fn gate(config: GateConfig) -> (CallGate, Arc<Gate>) {
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let gate = Arc::new(Gate::new(config, clock.now()));
        let all = CallGates::new([("erp.api".to_owned(), Arc::clone(&gate))], clock);
        assert!(all.of("erp.other").is_none());
        (all.of("erp.api").unwrap(), gate)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn calls_and_deliveries_share_sessions_and_calls_come_first() {
        let (calls, gate) = gate(GateConfig {
            concurrent: 1,
            ..GateConfig::default()
        });
        let delivery = gate.pass(RealClock.now()).unwrap();
        let short = calls.pass(Duration::from_millis(5)).await;
        assert_eq!(short.unwrap_err(), Shut(Duration::from_secs(1)));
        let waiting = tokio::spawn({
            let calls = calls.clone();
            async move { calls.pass(LONG).await }
        });
        while !gate.is_waited_for() {
            tokio::task::yield_now().await;
        }
        // The session becomes free, and a delivery does not get it: somebody waits.
        drop(delivery);
        assert_eq!(gate.pass(RealClock.now()).unwrap_err(), Closed::Concurrency);
        let call = waiting.await.unwrap().unwrap();
        assert_eq!(gate.pass(RealClock.now()).unwrap_err(), Closed::Concurrency);
        // Not for ever, though.
        let waiting = gate.wait_first();
        drop(call);
        let later = RealClock.now().after(Duration::from_secs(1));
        drop(gate.pass(later).unwrap());
        assert_eq!(gate.pass(later).unwrap_err(), Closed::Concurrency);
        drop(waiting);
        let call = calls.pass(LONG).await.unwrap();
        let freed = gate.freed();
        tokio::pin!(freed);
        freed.as_mut().enable();
        drop(call);
        freed.await;
        assert!(gate.pass(RealClock.now()).is_ok());
    }

    #[tokio::test]
    async fn a_call_that_goes_away_holds_nobody_up() {
        let (calls, gate) = gate(GateConfig {
            concurrent: 1,
            ..GateConfig::default()
        });
        let delivery = gate.pass(RealClock.now()).unwrap();
        let waiting = tokio::spawn({
            let calls = calls.clone();
            async move { calls.pass(LONG).await }
        });
        while !gate.is_waited_for() {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        drop(delivery);
        assert!(gate.pass(RealClock.now()).is_ok());
    }

    #[tokio::test]
    async fn what_calls_find_deliveries_know() {
        let (calls, gate) = gate(GateConfig {
            open_after: 2,
            probe_every: Duration::ZERO,
            ..GateConfig::default()
        });
        for _ in 0..2 {
            calls.pass(LONG).await.unwrap().failed("refused");
        }
        assert!(gate.outage().is_some());
        // A call that says nothing leaves the probe to others.
        drop(calls.pass(LONG).await.unwrap());
        let probe = calls.pass(LONG).await.unwrap();
        assert!(matches!(calls.pass(LONG).await, Err(Shut(_))));
        let recoveries = gate.recoveries();
        { probe }.answered();
        assert!(gate.outage().is_none() && gate.recoveries() == recoveries + 1);
        assert!(gate.pass(RealClock.now()).is_ok());
    }

    #[tokio::test]
    async fn the_rate_is_shared() {
        let (calls, gate) = gate(GateConfig {
            rate: Some(0.001),
            burst: 2,
            ..GateConfig::default()
        });
        assert!(gate.pass(RealClock.now()).is_ok());
        let mut call = calls.pass(LONG).await.unwrap();
        call.answered();
        assert!(matches!(calls.pass(LONG).await, Err(Shut(wait)) if wait > LONG));
        assert!(matches!(gate.pass(RealClock.now()), Err(Closed::Rate(_))));
    }
}
