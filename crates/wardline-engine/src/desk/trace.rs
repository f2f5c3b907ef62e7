//! The tree around one message or delivery, as it is read from top to bottom.

use super::words::attempt_view;
use super::{Desk, DeskError};
use crate::view::{TakenView, TraceItem, TraceNode, TraceView};
use std::collections::HashMap;
use wardline_core::{DeliveryId, DeliveryState, Id, MessageId, Timestamp};
use wardline_store::{DeliveryRow, MessageOutcome, MessageRow, Trace};

/// Nodes of a trace that are shown.
const TRACE_LIMIT: usize = 2_000;
/// Transactions that are named in one.
const TAKEN_LIMIT: usize = 200;

/// What is shown next of a trace, and how deep.
enum Step<'a> {
    Message(&'a MessageRow, u32),
    Delivery(&'a DeliveryRow, u32),
}

impl Desk {
    /// The tree around a message or delivery.
    pub async fn trace(&self, id: Id) -> Result<Option<TraceView>, DeskError> {
        let Some(trace) = self.acceptor.store.trace(id, TRACE_LIMIT).await? else {
            return Ok(None);
        };
        let mut taken: HashMap<Id, Vec<TakenView>> = HashMap::new();
        for one in trace.taken.iter().take(TAKEN_LIMIT) {
            // Retention may have removed it.
            if let Some(row) = self.acceptor.store.instance(one.instance).await? {
                taken.entry(one.event).or_default().push(TakenView {
                    id: row.id,
                    process: self.name(row.process),
                    key: row.key.shown.as_deref().map(str::to_owned),
                    stands: row
                        .status
                        .map_or_else(|| row.phase.as_str().to_owned(), |status| self.name(status)),
                });
            }
        }
        Ok(self.tree(&trace, taken))
    }

    fn tree(&self, trace: &Trace, mut taken: HashMap<Id, Vec<TakenView>>) -> Option<TraceView> {
        let root = trace.messages.first()?;
        let start = root.received;
        let mut messages: HashMap<Id, Vec<&MessageRow>> = HashMap::new();
        let mut deliveries: HashMap<MessageId, Vec<&DeliveryRow>> = HashMap::new();
        let mut replays: HashMap<DeliveryId, Vec<&DeliveryRow>> = HashMap::new();
        for message in &trace.messages {
            if let Some(cause) = message.cause.filter(|_| message.id != root.id) {
                messages.entry(cause).or_default().push(message);
            }
        }
        for delivery in &trace.deliveries {
            match delivery.replay_of {
                Some(original) if trace.deliveries.iter().any(|d| d.id == original) => {
                    replays.entry(original).or_default().push(delivery);
                }
                _ => deliveries
                    .entry(delivery.message)
                    .or_default()
                    .push(delivery),
            }
        }
        let mut nodes = Vec::new();
        let mut stack = vec![Step::Message(root, 0)];
        let mut last = start;
        while let Some(step) = stack.pop() {
            match step {
                Step::Message(message, depth) => {
                    let at = message.received.since(start).as_micros() as u64;
                    nodes.push(TraceNode {
                        depth,
                        item: TraceItem::Message(Box::new(self.message_view(message))),
                        attempts: Vec::new(),
                        taken: taken.remove(&message.id.0).unwrap_or_default(),
                        from_us: at,
                        to_us: at,
                    });
                    for next in messages.get(&message.id.0).into_iter().flatten().rev() {
                        stack.push(Step::Message(next, depth + 1));
                    }
                    for next in deliveries.get(&message.id).into_iter().flatten().rev() {
                        stack.push(Step::Delivery(next, depth + 1));
                    }
                }
                Step::Delivery(delivery, depth) => {
                    let end = delivery
                        .settled
                        .unwrap_or_else(|| self.acceptor.clock.now());
                    let accepted = Timestamp::from_unix_ms(delivery.id.0.unix_ms());
                    last = last.max(delivery.settled.unwrap_or(last));
                    nodes.push(TraceNode {
                        depth,
                        item: TraceItem::Delivery(Box::new(self.delivery_view(delivery))),
                        attempts: trace
                            .attempts
                            .iter()
                            .filter(|attempt| attempt.delivery == delivery.id)
                            .map(attempt_view)
                            .collect(),
                        taken: Vec::new(),
                        from_us: accepted.since(start).as_micros() as u64,
                        to_us: end.since(start).as_micros() as u64,
                    });
                    for next in messages.get(&delivery.id.0).into_iter().flatten().rev() {
                        stack.push(Step::Message(next, depth + 1));
                    }
                    for next in replays.get(&delivery.id).into_iter().flatten().rev() {
                        stack.push(Step::Delivery(next, depth + 1));
                    }
                }
            }
        }
        Some(TraceView {
            root: root.id,
            headline: trace_headline(root, &trace.deliveries),
            took_us: last.since(start).as_micros() as u64,
            nodes,
            truncated: trace.truncated,
        })
    }
}

fn trace_headline(root: &MessageRow, deliveries: &[DeliveryRow]) -> String {
    let open = deliveries.iter().filter(|d| d.state.is_open()).count();
    let dead = deliveries
        .iter()
        .filter(|d| d.state == DeliveryState::Dead)
        .count();
    let retries: u32 = deliveries
        .iter()
        .map(|d| d.attempts.saturating_sub(1))
        .sum();
    let all = deliveries.len();
    match (all, open, dead) {
        (0, ..) if root.outcome == MessageOutcome::Filtered => {
            "filtered: no flow wanted it".to_owned()
        }
        (0, ..) if root.outcome == MessageOutcome::Unrouted => {
            "no flow listens to its source".to_owned()
        }
        (0, ..) => "nobody had to hear of it".to_owned(),
        (_, 0, 0) if retries == 0 => "completed".to_owned(),
        (_, 0, 0) => format!(
            "completed with {}",
            if retries == 1 {
                "1 retry".to_owned()
            } else {
                format!("{retries} retries")
            }
        ),
        (_, 0, dead) => format!("{dead} of {all} deliveries dead"),
        (_, open, 0) => format!("{open} of {all} deliveries waiting"),
        (_, open, dead) => format!("{open} of {all} deliveries waiting, {dead} dead"),
    }
}
