//! How long calls took, in buckets.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Buckets within a doubling: what is told is at most a fifth too long.
const STEPS: f64 = 4.0;

/// A distribution of times: buckets four to a doubling, from a microsecond on, so that it is small
/// however many calls there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latency(BTreeMap<u8, u32>);

impl Latency {
    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        let micros = took.as_secs_f64() * 1e6;
        // A day is 2^36.3 µs: below 256 whatever is measured.
        let bucket = (micros.max(1.0).log2() * STEPS).clamp(0.0, 255.0) as u8;
        let count = self.0.entry(bucket).or_default();
        *count = count.saturating_add(1);
    }

    /// The time that so many of a hundred calls did not exceed; `None` where there were none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardline_access::usage::Latency;
    /// let mut latency = Latency::default();
    /// for ms in 1..=100 {
    ///     latency.add(Duration::from_millis(ms));
    /// }
    /// let p99 = latency.percentile(99).unwrap();
    /// assert!(p99 >= Duration::from_millis(99) && p99 <= Duration::from_millis(119));
    /// ```
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.0.values().copied().map(u64::from).sum();
        let wanted = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let (bucket, _) = self.0.iter().find(|(_, count)| {
            seen += u64::from(**count);
            seen >= wanted
        })?;
        let end = ((f64::from(*bucket) + 1.0) / STEPS).exp2();
        Some(Duration::from_secs_f64(end / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_has_a_bucket() {
        assert_eq!(Latency::default().percentile(99), None);
        for took in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let mut latency = Latency::default();
            latency.add(took);
            assert!(latency.percentile(99).is_some(), "{took:?}");
        }
        let mut latency = Latency::default();
        latency.add(Duration::from_secs(60));
        let told = latency.percentile(50).unwrap();
        assert!(told >= Duration::from_secs(60) && told < Duration::from_secs(72));
    }
}
