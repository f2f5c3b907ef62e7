//! Rates: GCRA, one bucket a client, Api and operation.

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Bucket, Standing};

/// A rate that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate needs at least one call a period, a period of at most 31 days, and at most 1,000,000,000 calls a second"
)]
pub struct RateError;

/// So many calls a period on average, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Time in which one call is earned.
    every: Duration,
    /// Calls that can be saved up.
    burst: NonZeroU32,
}

impl Rate {
    /// `calls` a `period` and at most `burst` at once; without a burst as many as a second earns,
    /// at least one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardline_access::quota::Rate;
    /// let rate = Rate::new(600, Duration::from_secs(60), None)?;
    /// assert_eq!(rate.burst(), 10);
    /// assert_eq!(rate.every(), Duration::from_millis(100));
    /// # Ok::<(), wardline_access::quota::RateError>(())
    /// ```
    pub fn new(calls: u32, period: Duration, burst: Option<u32>) -> Result<Self, RateError> {
        const MOST: Duration = Duration::from_secs(31 * 86_400);
        if calls == 0 || period > MOST {
            return Err(RateError);
        }
        let every = period / calls;
        if every.is_zero() {
            return Err(RateError);
        }
        let earned = Duration::from_secs(1).as_nanos() / every.as_nanos();
        let burst = burst.unwrap_or_else(|| u32::try_from(earned).unwrap_or(u32::MAX));
        Ok(Self {
            every,
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
        })
    }

    /// So many calls a second, as estates say it; a fraction is a call in several seconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardline_access::quota::Rate;
    /// assert_eq!(Rate::per_second(0.5, None)?.every(), Duration::from_secs(2));
    /// assert!(Rate::per_second(0.0, None).is_err());
    /// # Ok::<(), wardline_access::quota::RateError>(())
    /// ```
    pub fn per_second(calls: f64, burst: Option<u32>) -> Result<Self, RateError> {
        let every = Duration::try_from_secs_f64(calls.recip()).map_err(|_| RateError)?;
        let whole = burst.unwrap_or(if calls >= 1.0 { calls as u32 } else { 1 });
        Self::new(1, every, Some(whole))
    }

    /// Time in which one call is earned.
    pub const fn every(self) -> Duration {
        self.every
    }

    /// Calls that can be saved up.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    fn standing(self, left: u32) -> Standing {
        let spent = self.burst.get().saturating_sub(left);
        Standing {
            name: "rate",
            most: self.burst.get().into(),
            window: self.every.saturating_mul(self.burst.get()),
            left: left.into(),
            resets: self.every.saturating_mul(spent),
        }
    }
}

/// The buckets of one rate. Shared with the limiter, so that a charge can be taken back.
#[derive(Debug, Clone, Default)]
struct Buckets(Arc<DashMapStateStore<Bucket>>);

impl StateStore for Buckets {
    type Key = Bucket;
    fn measure_and_replace<T, F, E>(&self, key: &Bucket, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<Bucket> for Buckets {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }
    fn len(&self) -> usize {
        ShrinkableKeyedStateStore::len(&*self.0)
    }
    fn is_empty(&self) -> bool {
        ShrinkableKeyedStateStore::is_empty(&*self.0)
    }
}

type Gcra<C> = RateLimiter<Bucket, Buckets, C, StateInformationMiddleware>;

#[derive(Debug)]
struct OfRate<C: Clock> {
    limiter: Gcra<C>,
    buckets: Buckets,
}

/// Rates of all clients.
///
/// A refusal charges nothing. The number of buckets is bounded: when there are too many, those
/// that are full again are forgotten (a new one is no different), and where all of them have
/// debts, newcomers share one bucket, so that debts cannot be shed by making buckets.
#[derive(Debug)]
pub struct Rates<C: Clock = DefaultClock> {
    clock: C,
    most: usize,
    by_rate: RwLock<ahash::AHashMap<Rate, Arc<OfRate<C>>>>,
}

/// A charge that can be taken back.
#[derive(Debug)]
pub(super) struct Charge<C: Clock> {
    of: Arc<OfRate<C>>,
    bucket: Bucket,
    amount: Duration,
}

impl<C: Clock> Charge<C> {
    /// As if the call had not been. In GCRA a call moves the time at which the bucket is full
    /// again by one interval; moving it back is exact, whatever came in between.
    pub(super) fn take_back(self) {
        let amount = Nanos::from(self.amount);
        let done: Result<(), ()> = self
            .of
            .buckets
            .measure_and_replace(&self.bucket, |full_at| {
                full_at.map_or(Err(()), |full_at| Ok(((), full_at.saturating_sub(amount))))
            });
        // Nothing there: it was full again and forgotten, so nothing is owed either.
        let _ = done;
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(DefaultClock::default(), 65_536)
    }
}

impl<C: Clock + Clone> Rates<C> {
    /// Rates by a clock, with at most `most` buckets a rate.
    pub fn new(clock: C, most: usize) -> Self {
        Self {
            clock,
            most: most.max(1),
            by_rate: RwLock::default(),
        }
    }

    /// Charges one call. `Err` is how long to wait and what is left (nothing was charged).
    pub fn check(&self, bucket: &Bucket, rate: Rate) -> Result<Standing, (Duration, Standing)> {
        self.charge(bucket, rate).map(|(standing, _)| standing)
    }

    pub(super) fn charge(
        &self,
        bucket: &Bucket,
        rate: Rate,
    ) -> Result<(Standing, Charge<C>), (Duration, Standing)> {
        let of = self.of(rate);
        let bucket = self.room(&of, bucket);
        match of.limiter.check_key(&bucket) {
            Ok(state) => Ok((
                rate.standing(state.remaining_burst_capacity()),
                Charge {
                    of,
                    bucket,
                    amount: rate.every,
                },
            )),
            Err(not_yet) => Err((not_yet.wait_time_from(self.clock.now()), rate.standing(0))),
        }
    }

    fn of(&self, rate: Rate) -> Arc<OfRate<C>> {
        /// Rates are declared in the estate; those of earlier estates are forgotten some time.
        const MOST_RATES: usize = 1_024;
        if let Some(of) = self.by_rate.read().get(&rate) {
            return Arc::clone(of);
        }
        let quota = Quota::with_period(rate.every)
            .expect("a rate has an interval above zero")
            .allow_burst(rate.burst);
        let buckets = Buckets::default();
        let new = Arc::new(OfRate {
            limiter: Gcra::new(quota, buckets.clone(), self.clock.clone()),
            buckets,
        });
        let mut by_rate = self.by_rate.write();
        if by_rate.len() >= MOST_RATES {
            by_rate.retain(|_, of| {
                of.limiter.retain_recent();
                !of.limiter.is_empty()
            });
        }
        Arc::clone(by_rate.entry(rate).or_insert(new))
    }

    /// The bucket itself, or the one that newcomers share where there is no room.
    fn room(&self, of: &OfRate<C>, bucket: &Bucket) -> Bucket {
        if !of.buckets.0.contains_key(bucket) && of.limiter.len() >= self.most {
            of.limiter.retain_recent();
            if of.limiter.len() >= self.most {
                return Bucket::of_client(Arc::from(""));
            }
        }
        bucket.clone()
    }

    /// How many buckets there are, over all rates.
    pub fn len(&self) -> usize {
        self.by_rate
            .read()
            .values()
            .map(|of| of.limiter.len())
            .sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
