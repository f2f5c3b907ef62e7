//! How long to wait before the next attempt.

use std::time::Duration;

/// A retry policy as declared (or its defaults).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    /// Longest first wait.
    pub(crate) first: Duration,
    /// Growth from one attempt to the next.
    pub(crate) factor: f64,
    /// Longest wait.
    pub(crate) max: Duration,
    /// Attempts that the destination may answer badly before the delivery is given up; 0 for
    /// no limit.
    pub(crate) attempts: u32,
    /// Age after which the delivery is given up whatever happened; `None` for never.
    pub(crate) max_age: Option<Duration>,
    /// Spread waits evenly between nothing and the full wait, so that many keys that failed
    /// together do not come back together.
    pub(crate) jitter: bool,
    /// The waits themselves instead of growing ones; the last of them goes on. Spread by a tenth.
    pub(crate) steps: Option<&'static [Duration]>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(5),
            attempts: 12,
            max_age: None,
            jitter: true,
            steps: None,
        }
    }
}

impl Backoff {
    /// The wait after the `attempt`-th failure (from 1). `chance` is uniform in 0..1.
    pub(crate) fn wait(&self, attempt: u32, chance: f64) -> Duration {
        if let Some(steps) = self.steps {
            let at = (attempt.saturating_sub(1) as usize).min(steps.len().saturating_sub(1));
            let step = steps.get(at).copied().unwrap_or_default();
            return step.mul_f64(1.0 + chance / 10.0);
        }
        let exponent = i32::try_from(attempt.saturating_sub(1))
            .unwrap_or(i32::MAX)
            .min(64);
        let full = (self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent))
            .min(self.max.as_secs_f64());
        Duration::from_secs_f64(if self.jitter { full * chance } else { full })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_limit_and_spreads() {
        let backoff = Backoff {
            jitter: false,
            ..Backoff::default()
        };
        let waits: Vec<u64> = (1..=10).map(|n| backoff.wait(n, 0.3).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(backoff.wait(u32::MAX, 0.0).as_secs(), 300);
        let spread = Backoff::default();
        assert_eq!(spread.wait(4, 0.5).as_secs(), 4);
        assert_eq!(spread.wait(4, 0.0), Duration::ZERO);
    }

    #[test]
    fn webhooks_are_tried_by_their_schedule() {
        let schedule = crate::webhook::schedule();
        let waits: Vec<u64> = (1..schedule.attempts)
            .map(|n| schedule.wait(n, 0.0).as_secs())
            .collect();
        assert_eq!(
            waits,
            [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
        );
        assert_eq!(waits.iter().sum::<u64>() / 3_600, 75, "about 75 hours");
        assert_eq!(schedule.wait(1, 0.5), Duration::from_millis(5_250));
        assert_eq!(schedule.wait(99, 0.0).as_secs(), 86_400);
    }
}
