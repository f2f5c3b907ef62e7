//! Sums that must agree, whatever happened.

use super::{Desk, DeskError};
use std::sync::atomic::Ordering;
use wardline_store::CounterKind;

/// Counts in and counts out.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Balance {
    /// Messages accepted from outside.
    pub accepted: u64,
    /// Duplicates answered again.
    pub duplicates: u64,
    /// Events and follow-ups.
    pub events: u64,
    /// Messages that every flow filtered.
    pub filtered: u64,
    /// Messages that no flow listens to.
    pub unrouted: u64,
    /// Deliveries recorded.
    pub owed: u64,
    /// Deliveries delivered.
    pub delivered: u64,
    /// Deliveries dead.
    pub dead: u64,
    /// Deliveries cancelled.
    pub cancelled: u64,
    /// Deliveries open.
    pub open: u64,
    /// Failed attempts.
    pub failed_attempts: u64,
    /// Deliveries delivered since this process started.
    pub sent_since_start: u64,
    /// Worst destination's median of acceptance-to-delivery, microseconds.
    pub p50_us: Option<u64>,
    /// Worst destination's 99th percentile, microseconds.
    pub p99_us: Option<u64>,
}

impl Balance {
    /// Whether every delivery that was ever owed is accounted for.
    pub const fn holds(&self) -> bool {
        self.owed == self.delivered + self.dead + self.cancelled + self.open
    }
}

impl Desk {
    /// Sums that must agree: accepted = routed + filtered + unrouted, and owed = delivered +
    /// dead + cancelled + open (+ removed by retention). Returns what does not.
    pub async fn balance(&self) -> Result<Balance, DeskError> {
        let totals = self.acceptor.store.totals().await?;
        let gauges = self.acceptor.store.gauges().await?;
        let sum = |kind: CounterKind| {
            totals
                .iter()
                .filter(|c| c.kind == kind)
                .map(|c| c.count)
                .sum::<u64>()
        };
        let (dispatched, latency) = self.live_sums();
        Ok(Balance {
            accepted: sum(CounterKind::Accepted),
            duplicates: sum(CounterKind::Duplicate),
            events: sum(CounterKind::Derived),
            filtered: sum(CounterKind::Filtered),
            unrouted: sum(CounterKind::Unrouted),
            owed: sum(CounterKind::Owed),
            delivered: sum(CounterKind::Delivered),
            dead: sum(CounterKind::Dead).saturating_sub(sum(CounterKind::Resolved)),
            cancelled: sum(CounterKind::Cancelled),
            open: gauges
                .iter()
                .map(|gauge| u64::try_from(gauge.count).unwrap_or(0))
                .sum(),
            failed_attempts: sum(CounterKind::Failed),
            sent_since_start: dispatched,
            p50_us: latency.0,
            p99_us: latency.1,
        })
    }

    fn live_sums(&self) -> (u64, (Option<u64>, Option<u64>)) {
        let live = self.dispatcher.destinations();
        let sent = live.iter().map(|d| d.sent.load(Ordering::Relaxed)).sum();
        let worst = |q: f64| live.iter().filter_map(|d| d.latency.quantile(q)).max();
        (sent, (worst(0.5), worst(0.99)))
    }
}
