//! Webhooks of clients: events that a client's file asks for, sent to the endpoint it names.
//!
//! An event that a flow emits becomes a delivery to each endpoint whose client may receive it,
//! in the same commit as everything else that follows. From there on it is a delivery as any
//! other: in order per key, retried, traced, replayed. What is different:
//!
//! - **Who may receive it, and what of it**, says an [`Audience`]: nobody, unless policies permit.
//!   It is asked while the event is routed, so that the journal holds for a client only what the
//!   client may see.
//! - **The schedule** is that of Standard Webhooks ([`schedule`]), since the other side is
//!   somebody else's.
//! - **An endpoint can be disabled** ([`Endpoint`]): by 410, by failing as long or as often as its
//!   file says, or by a person. Then its deliveries wait, an audit entry says why, and a person
//!   enables it again.

mod body;
mod endpoint;
mod standing;

pub(crate) use body::{full, thin};
pub(crate) use endpoint::{Endpoint, EndpointParts, News};
pub(crate) use standing::{Disabled, Standing};

use crate::dispatch::backoff::Backoff;
use ahash::AHashMap;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Waits of the Standard Webhooks specification after the first nine failures; the first attempt
/// is at once, so there are ten in about 75 hours.
const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// The retries of Standard Webhooks.
pub(crate) fn schedule() -> Backoff {
    Backoff {
        attempts: SCHEDULE.len() as u32 + 1,
        steps: Some(&SCHEDULE),
        ..Backoff::default()
    }
}

/// Where a client fetches an event of which it was sent the id; the id follows.
pub const EVENTS_PATH: &str = "/webhooks/events";

/// Deliveries to an endpoint, its connection and its flow have this name: `webhook/ghx`.
pub(crate) fn destination(endpoint: &str) -> String {
    format!("webhook/{endpoint}")
}

/// Something that happened, as it is before anybody is told.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Its type: `encounter.discharged`.
    pub event: &'a str,
    /// The entity that its data is: `encounter`.
    pub entity: &'a str,
    /// What the endpoint's client needs it for, where its file says so.
    pub purpose: Option<&'a str>,
    /// The site that it is about, where that is known.
    pub facility: Option<&'a str>,
    /// When the message that it follows from was received (RFC 3339).
    pub received: Option<&'a str>,
    /// Its data.
    pub data: &'a Value,
}

/// Says which clients may receive what, and what of it they see. It is asked while messages are
/// routed, so it answers the same every time and waits for nothing.
pub trait Audience: Send + Sync {
    /// Takes the secret that pseudonyms are made with. Only the first counts.
    fn begin(&self, root: [u8; 32]);

    /// The event's data as the client sees it; `None` where it may not receive it.
    fn seen(&self, client: &str, told: &Told<'_>) -> Option<Value>;
}

/// Tells nobody anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Audience for Nobody {
    fn begin(&self, _: [u8; 32]) {}

    fn seen(&self, _: &str, _: &Told<'_>) -> Option<Value> {
        None
    }
}

/// What routing knows of an endpoint.
pub(crate) struct HookPlan {
    /// Who is told.
    pub(crate) client: Arc<str>,
    /// What it needs it for, where its file says so.
    pub(crate) purpose: Option<Arc<str>>,
    /// Each event: its entity, and whether only an id is sent.
    pub(crate) events: AHashMap<Arc<str>, (Arc<str>, bool)>,
}
