//! All limits of one call, together.

use governor::clock::{Clock as RateClock, DefaultClock};
use smallvec::SmallVec;
use std::time::Duration;

use super::periods::{NotTaken, Period, Quota};
use super::rate::Charge;
use super::{Bucket, Permit, Permits, Quotas, Rate, Rates, Standing};

/// What is limited, and how; what is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls on average and at once.
    pub rate: Option<Rate>,
    /// Calls an hour, a day or a week.
    pub quota: Option<Quota>,
    /// Calls that are being served at a time.
    pub concurrent: Option<u32>,
}

/// A bucket and its limits.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What they are kept for.
    pub bucket: Bucket,
    /// The limits.
    pub limits: Limits,
}

/// A call that may be made.
#[derive(Debug)]
#[must_use = "what is dropped is given back"]
pub struct Admission {
    permits: SmallVec<[Permit; 2]>,
    /// Where the caller stands now, for the headers.
    pub standings: SmallVec<[Standing; 4]>,
}

impl Admission {
    /// The permits, to be kept until the answer has left.
    pub fn into_permits(self) -> SmallVec<[Permit; 2]> {
        self.permits
    }
}

/// A call that may not be made now. Nothing was charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Faster than agreed: 429.
    #[error("the rate of calls agreed for this client is exceeded")]
    Rate {
        /// How long to wait.
        wait: Duration,
        /// For the headers.
        standing: Standing,
    },
    /// More than agreed for an hour, a day or a week: 429.
    #[error("the calls agreed for this client are used up for now")]
    Quota {
        /// How long it is until the next period begins.
        wait: Duration,
        /// For the headers.
        standing: Standing,
    },
    /// Too many at once: 429.
    #[error("too many calls of this client are being served")]
    Concurrency,
    /// The quota could not be counted durably: 503.
    #[error("the quota of this client cannot be counted now")]
    Store,
}

impl Refusal {
    /// The value of `Retry-After`, in seconds.
    pub fn retry_after(&self) -> u64 {
        match self {
            Self::Rate { wait, .. } | Self::Quota { wait, .. } => Standing::retry_after(*wait),
            Self::Concurrency | Self::Store => 1,
        }
    }

    /// Where the caller stands, for the headers.
    pub fn standings(&self) -> &[Standing] {
        match self {
            Self::Rate { standing, .. } | Self::Quota { standing, .. } => {
                std::slice::from_ref(standing)
            }
            Self::Concurrency | Self::Store => &[],
        }
    }
}

/// All limits of all clients.
#[derive(Debug)]
pub struct Limiter<C: RateClock = DefaultClock> {
    rates: Rates<C>,
    permits: Permits,
    quotas: Quotas,
}

/// What was charged so far; given back unless all goes well, also where the caller goes away
/// while the store is asked.
struct Charged<'a, C: RateClock> {
    rates: SmallVec<[Charge<C>; 2]>,
    quotas: SmallVec<[(&'a Bucket, Period); 2]>,
    of: &'a Quotas,
}

impl<C: RateClock> Drop for Charged<'_, C> {
    fn drop(&mut self) {
        for charge in self.rates.drain(..) {
            charge.take_back();
        }
        for (bucket, per) in self.quotas.drain(..) {
            self.of.take_back(bucket, per);
        }
    }
}

impl<C: RateClock + Clone> Limiter<C> {
    /// From its parts.
    pub fn new(rates: Rates<C>, quotas: Quotas) -> Self {
        Self {
            rates,
            permits: Permits::default(),
            quotas,
        }
    }

    /// The quotas, to be flushed.
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Charges all limits of a call, or none. Waits for nothing but, rarely, the quota store.
    pub async fn admit(&self, asks: &[Ask]) -> Result<Admission, Refusal> {
        let mut permits = SmallVec::new();
        let mut standings = SmallVec::new();
        for ask in asks {
            if let Some(most) = ask.limits.concurrent {
                let permit = self.permits.take(&ask.bucket, most);
                permits.push(permit.ok_or(Refusal::Concurrency)?);
            }
        }
        let mut charged = Charged {
            rates: SmallVec::new(),
            quotas: SmallVec::new(),
            of: &self.quotas,
        };
        for ask in asks {
            if let Some(rate) = ask.limits.rate {
                let (standing, charge) = self
                    .rates
                    .charge(&ask.bucket, rate)
                    .map_err(|(wait, standing)| Refusal::Rate { wait, standing })?;
                charged.rates.push(charge);
                standings.push(standing);
            }
        }
        for ask in asks {
            if let Some(quota) = ask.limits.quota {
                let standing =
                    self.quotas
                        .take(&ask.bucket, quota)
                        .await
                        .map_err(|not| match not {
                            NotTaken::Spent { wait, standing } => Refusal::Quota { wait, standing },
                            NotTaken::Store => Refusal::Store,
                        })?;
                charged.quotas.push((&ask.bucket, quota.per));
                standings.push(standing);
            }
        }
        charged.rates.clear();
        charged.quotas.clear();
        Ok(Admission { permits, standings })
    }
}
