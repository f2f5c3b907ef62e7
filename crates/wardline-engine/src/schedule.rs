//! Flows that begin with the clock: at each due time one message is accepted, made of the
//! declared body or of what an operation answers.
//!
//! The last time that ran is kept in the journal's meta values. After a stop, missed times
//! run once, not once each: a nightly job that missed three nights has one list to fetch.

use crate::accept::Acceptor;
use bytes::Bytes;
use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wardline_connect::{Outbound, Request};
use wardline_core::Timestamp;
use wardline_estate::model::Schedule;
use wardline_store::Change;

/// One scheduled flow.
pub(crate) struct Job {
    pub(crate) flow: Arc<str>,
    pub(crate) schedule: Schedule,
    /// From when on times come due.
    pub(crate) count: Count,
    /// Who is called for the message; its body is the declared one where nobody is.
    pub(crate) call: Option<Call>,
}

/// From when on the times of a schedule come due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// From the last run on, so that one is made up for what was missed; where none is recorded,
    /// from this time on.
    SinceLastRun {
        /// When the engine started, or the schedule was declared.
        or: Timestamp,
    },
    /// From this time on, whatever ran before: the schedule is another since then.
    From(Timestamp),
}

/// The operation whose answer is a scheduled message.
pub(crate) struct Call {
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) method: Option<http::Method>,
    pub(crate) path: Option<String>,
}

impl Job {
    pub(crate) async fn run(self, acceptor: Arc<Acceptor>, shutdown: CancellationToken) {
        let (Ok(cron), Ok(zone)) = (
            Cron::from_str(&self.schedule.cron.value),
            self.schedule.time_zone.value.parse::<Tz>(),
        ) else {
            // `check` refuses such an estate; a plan cannot hold one.
            tracing::error!(flow = %self.flow, "the schedule cannot be read; the flow does not run");
            return;
        };
        let meta = format!("schedule/{}", self.flow);
        let known = match acceptor.store.meta(&meta).await {
            Ok(Some(bytes)) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| Timestamp::try_from(text.to_owned()).ok()),
            _ => None,
        };
        let mut last = match (self.count, known) {
            (Count::SinceLastRun { or: first } | Count::From(first), None) => first,
            (Count::SinceLastRun { .. }, Some(known)) => known,
            (Count::From(first), Some(known)) => first.max(known),
        };
        if known != Some(last) {
            // Counted from now on, so that a time missed before the first run is made up for too.
            self.mark(&acceptor, &meta, last).await;
        }
        loop {
            let Some(due) = next(&cron, zone, last) else {
                tracing::warn!(flow = %self.flow, "the schedule never comes due again");
                return;
            };
            while acceptor.clock.now() < due {
                let wait = due.since(acceptor.clock.now()).min(Duration::from_secs(30));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = shutdown.cancelled() => {
                        // What came due in this very moment is still ours: a successor with
                        // another schedule would not know of it.
                        if acceptor.clock.now() < due {
                            return;
                        }
                    }
                }
            }
            last = acceptor.clock.now();
            if let Err(error) = self.fire(&acceptor).await {
                tracing::error!(flow = %self.flow, %error, "the scheduled message was not accepted; next try at the next due time");
            }
            self.mark(&acceptor, &meta, last).await;
        }
    }

    async fn mark(&self, acceptor: &Acceptor, meta: &str, last: Timestamp) {
        let mark = Change::SetMeta {
            name: meta.to_owned(),
            value: last.to_string().into_bytes(),
        };
        if let Err(error) = acceptor.store.commit(vec![mark]).await {
            tracing::error!(flow = %self.flow, %error, "the time of the last run was not recorded; it may run again");
        }
    }

    async fn fire(&self, acceptor: &Acceptor) -> Result<(), String> {
        let body = match &self.call {
            None => {
                serde_json::to_vec(&self.schedule.body.clone().unwrap_or(serde_json::json!({})))
                    .map(Bytes::from)
                    .map_err(|error| error.to_string())?
            }
            Some(call) => {
                let key = format!("{}-{}", self.flow, acceptor.clock.now().unix_ms());
                let request = Request {
                    idempotency_key: &key,
                    attempt: 1,
                    body: Bytes::new(),
                    content_type: crate::route::JSON,
                    method: call.method.clone(),
                    path: call.path.as_deref(),
                    correlation: &key,
                };
                call.outbound
                    .send(request)
                    .await
                    .map_err(|failure| failure.to_string())?
                    .body
            }
        };
        let source = crate::plan::schedule_source(&self.flow);
        acceptor
            .take(&source, body)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// The first due time of a schedule after `last`; `None` where it cannot be read, which `check`
/// refuses, or never comes again.
pub(crate) fn next_due(cron: &str, zone: &str, last: Timestamp) -> Option<Timestamp> {
    next(&Cron::from_str(cron).ok()?, zone.parse().ok()?, last)
}

/// The first due time after `last`.
fn next(cron: &Cron, zone: Tz, last: Timestamp) -> Option<Timestamp> {
    let from = DateTime::from_timestamp_micros(last.0)?.with_timezone(&zone);
    let due = cron.find_next_occurrence(&from, false).ok()?;
    Some(Timestamp(due.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_follow_the_zone_over_the_change_of_clocks() {
        let cron = Cron::from_str("0 2 * * *").unwrap();
        let zone = Tz::America__Chicago;
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        // 02:00 CST is 08:00 UTC; after the change to CDT it is 07:00 UTC.
        assert_eq!(
            next(&cron, zone, at("2026-03-06T12:00:00Z")),
            Some(at("2026-03-07T08:00:00Z"))
        );
        assert_eq!(
            next(&cron, zone, at("2026-03-08T12:00:00Z")),
            Some(at("2026-03-09T07:00:00Z"))
        );
    }
}
