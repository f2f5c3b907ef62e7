//! Faults on demand: what a simulated system does wrong, and when it stops doing so.

use crate::SimError;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a system is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Down {
    /// Every connection is reset as soon as it is made, and those that exist are cut.
    Refuse,
    /// It answers, but only that it cannot serve (HTTP 503, MLLP AE).
    Unavailable,
}

/// What is wrong with a system. The default is nothing. Several may be combined; the earlier field wins.
///
/// As JSON (the body of `POST /_fault`): `{"down":"refuse","for_ms":20000}`, `{"error_rate":0.1,"latency_ms":250}`,
/// `{"refuse_keys":["ACC-77"]}`; `{}` heals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Not there at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<Down>,
    /// Reads requests and never answers, until healed.
    pub hang: bool,
    /// Added to every answer, in milliseconds.
    pub latency_ms: u64,
    /// The share of requests (0.0–1.0) answered with HTTP 500 or MLLP AE, and without effect.
    pub error_rate: f64,
    /// The share of requests (0.0–1.0) that take effect but whose answer is lost with the connection:
    /// the case that only an idempotency key can settle.
    pub lost_reply_rate: f64,
    /// Answers HTTP 429 with `Retry-After` of so many seconds. MLLP has no such answer and says AE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Requests for these ordering keys are refused for good (HTTP 422, MLLP AR).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub refuse_keys: BTreeSet<String>,
    /// The fault heals by itself after so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

impl Fault {
    /// Connections are refused.
    pub fn down() -> Self {
        Self {
            down: Some(Down::Refuse),
            ..Self::default()
        }
    }

    /// Answers 503 or AE.
    pub fn unavailable() -> Self {
        Self {
            down: Some(Down::Unavailable),
            ..Self::default()
        }
    }

    /// Never answers.
    pub fn hanging() -> Self {
        Self {
            hang: true,
            ..Self::default()
        }
    }

    /// Fails the share `rate` (0.0–1.0) of requests.
    pub fn errors(rate: f64) -> Self {
        Self {
            error_rate: rate,
            ..Self::default()
        }
    }

    /// Loses the share `rate` (0.0–1.0) of answers after the effect.
    pub fn lost_replies(rate: f64) -> Self {
        Self {
            lost_reply_rate: rate,
            ..Self::default()
        }
    }

    /// Answers after `latency`.
    pub fn slow(latency: Duration) -> Self {
        Self {
            latency_ms: latency.as_millis() as u64,
            ..Self::default()
        }
    }

    /// Asks callers to come back after `wait` (whole seconds, rounded up).
    pub fn busy(wait: Duration) -> Self {
        Self {
            retry_after_s: Some(wait.as_millis().div_ceil(1_000) as u64),
            ..Self::default()
        }
    }

    /// Refuses everything for `keys`, for good.
    pub fn refusing<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self {
            refuse_keys: keys.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The same fault, healing by itself after `duration`.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.for_ms = Some(duration.as_millis() as u64);
        self
    }

    fn check(&self) -> Result<(), SimError> {
        let share = |rate: f64| (0.0..=1.0).contains(&rate);
        if !share(self.error_rate) || !share(self.lost_reply_rate) {
            return Err(SimError::Fault {
                what: "error_rate and lost_reply_rate are shares from 0.0 to 1.0",
            });
        }
        if self.refuse_keys.len() > 10_000 {
            return Err(SimError::Fault {
                what: "at most 10000 keys can be refused at once",
            });
        }
        Ok(())
    }
}

/// What a request has to suffer, decided once per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Serve,
    ServeButLoseReply,
    Unavailable,
    Busy { retry_after_s: u64 },
    Fail,
    RefuseKey,
}

/// The switch of one system: set by tests, the demo and the admin listener; read by its servers.
#[derive(Debug)]
pub(crate) struct FaultSwitch {
    current: watch::Sender<Set>,
    dice: Mutex<crate::Dice>,
}

#[derive(Debug, Clone, Default)]
struct Set {
    fault: Fault,
    heals_at: Option<Instant>,
}

impl Set {
    fn healed(&self) -> bool {
        self.heals_at.is_some_and(|at| Instant::now() >= at)
    }
}

impl FaultSwitch {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            current: watch::Sender::new(Set::default()),
            dice: Mutex::new(crate::Dice::new(seed)),
        }
    }

    pub(crate) fn set(&self, fault: Fault) -> Result<(), SimError> {
        fault.check()?;
        let heals_at = fault
            .for_ms
            .map(|ms| Instant::now() + Duration::from_millis(ms));
        self.current.send_replace(Set { fault, heals_at });
        Ok(())
    }

    pub(crate) fn get(&self) -> Fault {
        let set = self.current.borrow();
        if set.healed() {
            Fault::default()
        } else {
            set.fault.clone()
        }
    }

    pub(crate) fn refuses_connections(&self) -> bool {
        let set = self.current.borrow();
        set.fault.down == Some(Down::Refuse) && !set.healed()
    }

    /// Waits until connections are refused; pends for ever where that never happens.
    pub(crate) async fn until_refusing(&self) {
        let mut watch = self.current.subscribe();
        // The sender lives in `self`, so the channel cannot close while this borrows it.
        if watch
            .wait_for(|set| set.fault.down == Some(Down::Refuse) && !set.healed())
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Suffers latency and hanging, then says what becomes of a request for `key`.
    pub(crate) async fn fate(&self, key: &str) -> Fate {
        let latency = {
            let set = self.current.borrow();
            if set.healed() {
                0
            } else {
                set.fault.latency_ms
            }
        };
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        self.until_not_hanging().await;
        let set = self.current.borrow();
        if set.healed() {
            return Fate::Serve;
        }
        let fault = &set.fault;
        if fault.down.is_some() {
            return Fate::Unavailable;
        }
        if let Some(retry_after_s) = fault.retry_after_s {
            return Fate::Busy { retry_after_s };
        }
        if fault.error_rate > 0.0 && self.dice.lock().chance(fault.error_rate) {
            return Fate::Fail;
        }
        if fault.refuse_keys.contains(key) {
            return Fate::RefuseKey;
        }
        if fault.lost_reply_rate > 0.0 && self.dice.lock().chance(fault.lost_reply_rate) {
            return Fate::ServeButLoseReply;
        }
        Fate::Serve
    }

    async fn until_not_hanging(&self) {
        let mut watch = self.current.subscribe();
        loop {
            let heals_at = {
                let set = watch.borrow_and_update();
                if !set.fault.hang || set.healed() {
                    return;
                }
                set.heals_at
            };
            let healed = async {
                match heals_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = healed => return,
                changed = watch.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Fault, FaultSwitch};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_fault_with_an_end_heals_by_itself() {
        let switch = FaultSwitch::new(1);
        switch
            .set(Fault::unavailable().lasting(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(switch.fate("k").await, Fate::Unavailable);
        tokio::time::advance(Duration::from_secs(21)).await;
        assert_eq!(switch.fate("k").await, Fate::Serve);
        assert_eq!(switch.get(), Fault::default());
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_ends_when_healed() {
        let switch = std::sync::Arc::new(FaultSwitch::new(1));
        switch.set(Fault::hanging()).unwrap();
        let waiting = tokio::spawn({
            let switch = switch.clone();
            async move { switch.fate("k").await }
        });
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(!waiting.is_finished());
        switch.set(Fault::default()).unwrap();
        assert_eq!(waiting.await.unwrap(), Fate::Serve);
    }

    #[tokio::test]
    async fn only_the_named_key_is_refused() {
        let switch = FaultSwitch::new(1);
        switch.set(Fault::refusing(["A"])).unwrap();
        assert_eq!(switch.fate("A").await, Fate::RefuseKey);
        assert_eq!(switch.fate("B").await, Fate::Serve);
    }

    #[test]
    fn nonsense_is_refused_and_json_is_strict() {
        let switch = FaultSwitch::new(1);
        assert!(switch.set(Fault::errors(1.5)).is_err());
        assert!(switch.set(Fault::errors(f64::NAN)).is_err());
        assert_eq!(
            serde_json::from_str::<Fault>(r#"{"down":"refuse","for_ms":5}"#).unwrap(),
            Fault::down().lasting(Duration::from_millis(5))
        );
        assert!(serde_json::from_str::<Fault>(r#"{"dwon":"refuse"}"#).is_err());
    }
}
