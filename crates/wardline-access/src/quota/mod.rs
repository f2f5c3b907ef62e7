//! How much a caller may do: rates, calls at once, and calls an hour, a day or a week.
//!
//! [`Limiter::admit`] asks all limits that hold for a request, the client's as a whole and those
//! of the Api and operation. Either all of them grant it and are charged, or none is: a refused
//! call costs the caller nothing, so one that keeps knocking recovers as fast as one that waits.
//!
//! * [`Rates`]: GCRA (a token bucket without a timer) by `governor`. In memory; a restart forgives
//!   at most one burst.
//! * [`Permits`]: calls at once, given back when the [`Permit`] is dropped.
//! * [`Quotas`]: calls a [`Period`], which begins and ends where the hospital is. Counted in memory and
//!   kept in a [`QuotaStore`]; how much a crash can forgive is bounded, see there.
//!
//! What a caller is told is in [`Standing`]: `RateLimit-Policy` and `RateLimit` (draft of the IETF's
//! httpapi group, structured fields) and `Retry-After`.

mod admit;
mod headers;
mod periods;
mod permits;
mod rate;

pub use admit::{Admission, Ask, Limiter, Limits, Refusal};
pub use headers::{Standing, rate_limit, rate_limit_policy};
pub use periods::{Period, Quota, QuotaStore, Quotas, Saved, StoreFailed};
pub use permits::{Permit, Permits};
pub use rate::{Rate, RateError, Rates};

use std::fmt;
use std::sync::Arc;

/// What a limit is kept for: a client, and maybe one Api or one of its operations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Who calls.
    pub client: Arc<str>,
    /// Which Api; none for all of them.
    pub api: Option<Arc<str>>,
    /// Which of its operations; none for all of them.
    pub operation: Option<Arc<str>>,
}

impl Bucket {
    /// All calls of a client.
    pub fn of_client(client: Arc<str>) -> Self {
        Self {
            client,
            api: None,
            operation: None,
        }
    }
}

impl fmt::Display for Bucket {
    /// `ghx`, `ghx/supplier-master`, `ghx/supplier-master/get-supplier`: also the name that a
    /// quota is stored by. Names of the estate have no slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client)?;
        for part in [&self.api, &self.operation].into_iter().flatten() {
            write!(f, "/{part}")?;
        }
        Ok(())
    }
}
