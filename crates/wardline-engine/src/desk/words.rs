//! Rows of the journal in words: names resolved, keys masked, reasons said.

use super::Desk;
use crate::dispatch::queue::Standing;
use crate::fingerprint;
use crate::view::{AttemptView, DeliveryView, MessageView, RouteView};
use wardline_core::{DeliveryState, OrderingKey};
use wardline_store::{Attempt, DeliveryRow, MessageOutcome, MessageRow, RouteOutcome};

/// What stands in place of a key that may not be shown: enough to see that two are the same.
fn key_text(key: &OrderingKey) -> String {
    match &key.shown {
        Some(text) => text.to_string(),
        None => format!("•••{:04x}", key.index.0 as u16),
    }
}

impl Desk {
    pub(super) fn message_view(&self, row: &MessageRow) -> MessageView {
        let plan = self.acceptor.plan();
        MessageView {
            id: row.id,
            received: row.received,
            kind: self.name(row.kind),
            source: self.name(row.source),
            content_type: self.name(row.content_type),
            key: row.key.as_ref().map(key_text),
            lane: row.lane,
            size: row.size,
            outcome: match row.outcome {
                MessageOutcome::Routed => "routed",
                MessageOutcome::Filtered => "filtered",
                MessageOutcome::Unrouted => "unrouted",
            }
            .to_owned(),
            cause: row.cause,
            routes: row
                .routes
                .iter()
                .map(|route| {
                    let flow = self.name(route.flow);
                    let destination = route.destination.map(|sym| self.name(sym));
                    let predicate = plan.flow_named(&flow).and_then(|plan| match &destination {
                        None => plan.when_text.as_ref(),
                        Some(name) => plan
                            .targets
                            .iter()
                            .find(|target| *target.destination == **name)
                            .and_then(|target| target.when_text.as_ref()),
                    });
                    RouteView {
                        outcome: match route.outcome {
                            RouteOutcome::Taken => "taken",
                            RouteOutcome::Filtered => "filtered",
                            RouteOutcome::Failed => "failed",
                        }
                        .to_owned(),
                        predicate: match route.outcome {
                            RouteOutcome::Filtered => predicate.map(ToString::to_string),
                            _ => None,
                        },
                        flow,
                        destination,
                    }
                })
                .collect(),
            flagged: row.flagged,
            has_payload: row.has_payload,
        }
    }

    pub(super) fn delivery_view(&self, row: &DeliveryRow) -> DeliveryView {
        let destination = self.name(row.destination);
        let flow = self.name(row.flow);
        DeliveryView {
            id: row.id,
            message: row.message,
            reason: self.reason(row, &destination),
            runbook: self.runbook(&flow, &destination),
            flow,
            destination,
            lane: row.lane,
            key: row.key.as_ref().map(key_text),
            state: row.state,
            attempts: row.attempts,
            next: row.next,
            accepted: wardline_core::Timestamp::from_unix_ms(row.id.0.unix_ms()),
            settled: row.settled,
            took_us: row.took_us,
            status: row.status.clone(),
            error_code: row.note.as_ref().map(|note| note.code.clone()),
            error: row.note.as_ref().map(|note| note.text.clone()),
            fingerprint: row
                .note
                .as_ref()
                .map(|note| fingerprint::text(note.fingerprint)),
            size: row.size,
            has_response: row.has_response,
            own_body: row.own_body,
            replay_of: row.replay_of,
        }
    }

    pub(super) fn runbook(&self, flow: &str, destination: &str) -> Option<String> {
        let plan = self.acceptor.plan();
        let flow = plan.flow_named(flow)?;
        flow.targets
            .iter()
            .find(|target| *target.destination == *destination)?
            .runbook
            .clone()
    }

    /// Why an open delivery waits.
    fn reason(&self, row: &DeliveryRow, destination: &str) -> String {
        match row.state {
            DeliveryState::Delivered | DeliveryState::Dead | DeliveryState::Cancelled => {
                return String::new();
            }
            DeliveryState::Held => return "held: needs a person; its key waits".to_owned(),
            DeliveryState::Retrying => {
                let when = row
                    .next
                    .map(|next| format!(" at {next}"))
                    .unwrap_or_default();
                let times = if row.attempts == 1 {
                    "once".to_owned()
                } else {
                    format!("{} times", row.attempts)
                };
                return format!("failed {times}; next attempt{when}");
            }
            DeliveryState::Pending => {}
        }
        let Some(channel) = self.dispatcher.channel(row.destination) else {
            return if self.acceptor.plan().destinations.contains_key(destination) {
                "waits for `wardline serve`".to_owned()
            } else {
                "its destination is not in this estate any more: cancel it, or declare the destination again".to_owned()
            };
        };
        if let Some(disabled) = self.disabled(destination) {
            return format!(
                "{destination} is disabled since {}: `wardline webhooks list` says why",
                disabled.since
            );
        }
        if let Some(outage) = channel.outage() {
            return format!(
                "{} is down since {}; next probe at {}",
                channel.name, outage.since, outage.next_probe
            );
        }
        if let Some(trouble) = channel.stuck.lock().clone() {
            return format!("the journal does not answer: {trouble}");
        }
        let Standing {
            backing_off, held, ..
        } = channel.standing();
        if backing_off + held > 0 && row.key.is_some() {
            "waits its turn, or for an earlier delivery of its key".to_owned()
        } else {
            "waits its turn".to_owned()
        }
    }
}

pub(super) fn attempt_view(attempt: &Attempt) -> AttemptView {
    AttemptView {
        number: attempt.number,
        started: attempt.started,
        took_us: attempt.took_us,
        status: attempt.status.clone(),
        error: format!("{} {}", attempt.note.code, attempt.note.text),
    }
}
