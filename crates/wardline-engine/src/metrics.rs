//! Latency since start, per destination and source: cheap to record, read by the read model.

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use std::time::Duration;

/// A histogram of durations from 1 µs to one day, two significant digits.
#[derive(Debug)]
pub(crate) struct Latency(Mutex<Option<Histogram<u64>>>);

impl Default for Latency {
    fn default() -> Self {
        Self(Mutex::new(
            Histogram::new_with_bounds(1, 86_400_000_000, 2).ok(),
        ))
    }
}

impl Latency {
    pub(crate) fn record(&self, took: Duration) {
        if let Some(histogram) = self.0.lock().as_mut() {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    /// Microseconds at a quantile (0–1); `None` before the first record.
    pub(crate) fn quantile(&self, q: f64) -> Option<u64> {
        let guard = self.0.lock();
        let histogram = guard.as_ref()?;
        (!histogram.is_empty()).then(|| histogram.value_at_quantile(q))
    }
}
