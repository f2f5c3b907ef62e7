//! Watching machines that call: what one does that it never did.
//!
//! A stolen credential is used by somebody else: at another hour, from another network, for
//! other operations, for more, or against walls that its owner knows. [`Watch`] keeps a
//! [`Baseline`] for each client, learned from its calls over four weeks, and answers each call
//! that stands out with an [`Alert`] that says what was seen and what is usual. It decides nothing: a
//! person, or a rule that one wrote, does.
//!
//! No statistics beyond medians are needed, and none are used: what is told can be checked by
//! counting. Baselines are plain data of bounded size (some 10 KB as JSON, 100 KB at most) that the store keeps
//! by way of `serde`. Nothing in them comes from a payload.

mod alerts;
mod baseline;
mod signs;

pub use alerts::{Acknowledged, Alerts, Raised};
pub use baseline::Baseline;
pub use signs::{Alert, Sign};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use wardline_core::Timestamp;

/// A call, as far as watching needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Who called, authenticated.
    pub client: &'a Arc<str>,
    /// What was called: `supplier-master.get-supplier`.
    pub operation: &'a str,
    /// From where.
    pub address: IpAddr,
    /// Whether it was refused for lack of rights.
    pub denied: bool,
}

/// When something counts as unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Days of a client's life in which only ceilings alert.
    pub learning_days: u16,
    /// Days on which it called at all, needed besides: one that calls weekly takes longer to know.
    pub learning_active_days: u16,
    /// Calls an hour below which no volume is unusual.
    pub quiet_calls: u32,
    /// How many times the most of an hour (and of a day) that was seen before is too much.
    pub times_most: u32,
    /// Denials an hour below which they are mistakes.
    pub few_denials: u32,
    /// Denials an hour that alert also while learning.
    pub denials_ceiling: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_days: 7,
            learning_active_days: 3,
            quiet_calls: 60,
            times_most: 3,
            few_denials: 10,
            denials_ceiling: 100,
        }
    }
}

/// An hour where the hospital is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Hour {
    /// Days since 1 January 1970, by the calendar on the wall.
    pub(crate) day: i32,
    /// 0–23.
    pub(crate) hour: u8,
}

impl Hour {
    fn of(at: Timestamp, zone: &TimeZone) -> Self {
        let zoned = at.to_jiff().to_zoned_datetime(zone.clone());
        // The wall's clock read as if it were UTC.
        let seconds = at.to_jiff().as_second() + i64::from(zoned.offset().seconds());
        Self {
            day: i32::try_from(seconds.div_euclid(86_400)).unwrap_or(i32::MAX),
            hour: u8::try_from(seconds.rem_euclid(86_400) / 3_600).unwrap_or(0),
        }
    }
}

/// Baselines of all clients.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Watch {
    settings: Settings,
    clients: BTreeMap<Arc<str>, Baseline>,
}

/// Clients beyond this many are not watched; an estate has hundreds.
const MOST_CLIENTS: usize = 10_000;

impl Watch {
    /// Nobody known yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            clients: BTreeMap::new(),
        }
    }

    /// From now on this stands out; what is known of clients stays.
    pub const fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes a call into account and says what stands out about it. `zone` is the hospital's.
    ///
    /// ```
    /// use wardline_access::watch::{Event, Settings, Watch};
    /// use wardline_core::Timestamp;
    /// let mut watch = Watch::new(Settings::default());
    /// let call = Event {
    ///     client: &"ghx".into(),
    ///     operation: "supplier-master.get-supplier",
    ///     address: [192, 0, 2, 1].into(),
    ///     denied: false,
    /// };
    /// // Who is new has nothing unusual about it.
    /// assert!(watch.observe(&call, Timestamp(0), &jiff::tz::TimeZone::UTC).is_none());
    /// ```
    pub fn observe(&mut self, event: &Event<'_>, now: Timestamp, zone: &TimeZone) -> Option<Alert> {
        let hour = Hour::of(now, zone);
        if !self.clients.contains_key(event.client) {
            if self.clients.len() >= MOST_CLIENTS {
                return None;
            }
            self.clients
                .insert(Arc::clone(event.client), Baseline::new(hour));
        }
        let signs = self
            .clients
            .get_mut(event.client)?
            .observe(event, hour, &self.settings);
        (!signs.is_empty()).then(|| Alert {
            client: Arc::clone(event.client),
            at: now,
            signs,
        })
    }

    /// What is known of a client.
    pub fn baseline(&self, client: &str) -> Option<&Baseline> {
        self.clients.get(client)
    }

    /// Puts back what the store kept.
    pub fn restore(&mut self, client: Arc<str>, baseline: Baseline) {
        if self.clients.len() < MOST_CLIENTS {
            self.clients.insert(client, baseline);
        }
    }

    /// Forgets clients that are not in the estate any more.
    pub fn retain(&mut self, known: impl Fn(&str) -> bool) {
        self.clients.retain(|client, _| known(client));
    }
}
