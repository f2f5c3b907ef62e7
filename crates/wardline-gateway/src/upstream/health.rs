//! Whether an address is asked, and whether a system is. Both with hysteresis: one failure makes
//! nothing ill, one success nothing well.
//!
//! Where an address is asked for its health, that is what makes it well: calls that are answered
//! say nothing against probes that fail. Calls that fail count by themselves.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::plan::{self, Breaker};

/// Health of one address: of the address, not of the name that led to it.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Calls that failed in a row.
    failures: AtomicU32,
    /// Probes that failed in a row.
    missed: AtomicU32,
    successes: AtomicU32,
    ill: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Health {
    /// Whether it should be asked: it is well, or nobody else looks after it and it was left
    /// alone for long enough.
    pub(super) fn asked(&self, settings: &plan::Health) -> bool {
        if !self.ill.load(Ordering::Relaxed) {
            return true;
        }
        if settings.get.is_some() {
            return false;
        }
        let mut since = self.since.lock();
        let rested = since.is_none_or(|since| since.elapsed() >= settings.every);
        if rested {
            // One call tries; the others wait for what it finds.
            *since = Some(Instant::now());
        }
        rested
    }

    /// A call was answered.
    pub(super) fn well(&self, settings: &plan::Health) {
        // The usual case writes nothing that other cores read.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if settings.get.is_none() {
            self.succeeded(settings);
        }
    }

    /// A call failed.
    pub(super) fn ill(&self, settings: &plan::Health) {
        self.failed(&self.failures, settings);
    }

    /// The address was asked for its health, and said this.
    pub(super) fn probed(&self, well: bool, settings: &plan::Health) {
        if well {
            self.missed.store(0, Ordering::Relaxed);
            self.succeeded(settings);
        } else {
            self.failed(&self.missed, settings);
        }
    }

    fn succeeded(&self, settings: &plan::Health) {
        if self.ill.load(Ordering::Relaxed)
            && self.successes.fetch_add(1, Ordering::Relaxed) + 1 >= settings.well_after
        {
            // What failed before it was well does not count any more.
            for count in [&self.failures, &self.missed, &self.successes] {
                count.store(0, Ordering::Relaxed);
            }
            self.ill.store(false, Ordering::Relaxed);
        }
    }

    fn failed(&self, in_a_row: &AtomicU32, settings: &plan::Health) {
        self.successes.store(0, Ordering::Relaxed);
        let failures = in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= settings.ill_after && !self.ill.swap(true, Ordering::Relaxed) {
            *self.since.lock() = Some(Instant::now());
        }
    }
}

#[derive(Debug, Default)]
struct State {
    failures: AtomicU32,
    open: AtomicBool,
    until: Mutex<Option<Instant>>,
}

/// The breaker of one system.
#[derive(Debug, Default, Clone)]
pub(super) struct Breaking(Arc<State>);

impl Breaking {
    /// For how long nothing is sent; `None` where this call may go. While it is open one call
    /// after each pause may go.
    pub(super) fn closed_for(&self, settings: Breaker) -> Option<Duration> {
        if !self.0.open.load(Ordering::Relaxed) {
            return None;
        }
        let now = Instant::now();
        let mut until = self.0.until.lock();
        match *until {
            Some(end) if end > now => Some(end - now),
            _ => {
                *until = Some(now + settings.pause);
                None
            }
        }
    }

    pub(super) fn note(&self, fine: bool, settings: Breaker) {
        let state = &self.0;
        if fine {
            if state.failures.load(Ordering::Relaxed) != 0 {
                state.failures.store(0, Ordering::Relaxed);
            }
            if state.open.load(Ordering::Relaxed) {
                state.open.store(false, Ordering::Relaxed);
            }
            return;
        }
        let failures = state
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if failures >= settings.failures.get() {
            *state.until.lock() = Some(Instant::now() + settings.pause);
            state.open.store(true, Ordering::Relaxed);
        }
    }

    /// A call that tried ended for a reason that says nothing about the system.
    pub(super) fn release(&self) {
        if self.0.open.load(Ordering::Relaxed) {
            *self.0.until.lock() = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn an_address_becomes_ill_and_well_with_hysteresis() {
        let settings = plan::Health {
            get: Some("/up".into()),
            well_after: 2,
            ill_after: 3,
            ..plan::Health::default()
        };
        let health = Health::default();
        for _ in 0..2 {
            health.probed(false, &settings);
        }
        health.probed(true, &settings);
        health.probed(false, &settings);
        assert!(health.asked(&settings), "failures that are not in a row");
        health.probed(false, &settings);
        health.probed(false, &settings);
        assert!(!health.asked(&settings));
        health.probed(true, &settings);
        assert!(!health.asked(&settings), "one success is not enough");
        health.probed(true, &settings);
        assert!(health.asked(&settings));
    }

    #[test]
    fn answered_calls_say_nothing_against_probes() {
        let settings = plan::Health {
            get: Some("/up".into()),
            well_after: 2,
            ill_after: 2,
            ..plan::Health::default()
        };
        let health = Health::default();
        for _ in 0..2 {
            health.probed(false, &settings);
            health.well(&settings);
        }
        assert!(!health.asked(&settings));
        health.well(&settings);
        health.well(&settings);
        assert!(!health.asked(&settings), "it is well when it says so");
        health.probed(true, &settings);
        health.probed(true, &settings);
        assert!(health.asked(&settings));
        // Calls that fail in a row make it ill also where probes are answered.
        health.ill(&settings);
        health.probed(true, &settings);
        health.ill(&settings);
        assert!(!health.asked(&settings));
    }

    #[test]
    fn without_a_probe_one_call_tries_after_the_rest() {
        let settings = plan::Health {
            every: Duration::ZERO,
            ill_after: 1,
            ..plan::Health::default()
        };
        let health = Health::default();
        health.ill(&settings);
        assert!(health.asked(&settings));
        let patient = plan::Health {
            every: Duration::from_secs(3_600),
            ..settings
        };
        assert!(!health.asked(&patient));
    }

    #[test]
    fn an_open_breaker_lets_one_try() {
        let settings = Breaker {
            failures: NonZeroU32::new(2).unwrap(),
            pause: Duration::from_secs(3_600),
        };
        let breaking = Breaking::default();
        breaking.note(false, settings);
        assert_eq!(breaking.closed_for(settings), None);
        breaking.note(false, settings);
        assert!(breaking.closed_for(settings).is_some());
        breaking.release();
        assert_eq!(breaking.closed_for(settings), None, "one may try");
        assert!(breaking.closed_for(settings).is_some(), "only one");
        breaking.note(true, settings);
        assert_eq!(breaking.closed_for(settings), None);
    }
}
