//! What routing derived, in the clear, becomes what the journal records: numbers for names,
//! sealed payloads, blind indexes for keys.

use super::{AcceptError, Acceptor, KEY_DOMAIN};
use crate::plan::Plan;
use crate::route::{self, Derived, PlainKey};
use ahash::AHashSet;
use std::sync::Arc;
use wardline_core::{DeliveryState, OrderingKey, Sealed, Sym, Timestamp};
use wardline_store::{
    Acceptance, Cause, MessageRef, NewDelivery, NewMail, NewMessage, Route, Term,
};
use wardline_vault::Kind;

/// The message that an acceptance begins with.
pub(crate) struct Root {
    pub(crate) source: Sym,
    pub(crate) kind: Sym,
    pub(crate) content_type: Sym,
    pub(crate) cause: Option<Cause>,
    pub(crate) received: Timestamp,
    pub(crate) size: u32,
    pub(crate) payload: Sealed,
}

impl Acceptor {
    pub(crate) fn ordering_key(&self, key: &PlainKey) -> OrderingKey {
        match key {
            PlainKey::Recorded(key) => key.clone(),
            PlainKey::Value(text, sensitivity) => OrderingKey {
                index: self.vault.blind(KEY_DOMAIN, text),
                shown: sensitivity.may_be_shown().then(|| Arc::clone(text)),
            },
        }
    }

    /// Seals what was derived by `plan` and gives it numbers. `root` is the first message where the
    /// first derived message has no body of its own.
    pub(crate) fn seal(
        &self,
        plan: &Plan,
        derived: Derived,
        root: Option<Root>,
        first_cause: Option<Cause>,
    ) -> Result<Acceptance, AcceptError> {
        let mut acceptance = Acceptance::default();
        let mut terms = AHashSet::new();
        let mut root = root;
        let now = self.clock.now();
        for message in derived.messages {
            let key = message.key.as_ref().map(|key| self.ordering_key(key));
            terms.extend(key.as_ref().map(|key| key.index));
            terms.extend(
                message
                    .terms
                    .iter()
                    .map(|text| self.vault.blind(KEY_DOMAIN, text)),
            );
            let mut routes = Vec::with_capacity(message.routes.len());
            for (flow, target, outcome) in message.routes {
                let flow = &plan.flows[flow];
                routes.push(Route {
                    flow: self.known(&flow.name)?,
                    destination: target
                        .map(|t| self.known(&flow.targets[t].destination))
                        .transpose()?,
                    outcome,
                });
            }
            let (source, kind, content_type, cause, received, size, payload) =
                match (message.body, root.take()) {
                    (Some(body), kept) => {
                        root = kept;
                        let flow = message.flow.map_or("other", |flow| &plan.flows[flow].name);
                        let kind = message.event.as_deref().unwrap_or("other");
                        let content = if body.starts_with(b"MSH") {
                            route::HL7
                        } else if body.starts_with(b"ISA") {
                            route::X12
                        } else {
                            route::JSON
                        };
                        (
                            self.known(flow)?,
                            self.known(kind)?,
                            self.known(content)?,
                            message
                                .cause
                                .map(|c| Cause::Ordinal(c as u32))
                                .or(first_cause),
                            now,
                            body.len() as u32,
                            self.vault.seal(Kind::Message, &body)?,
                        )
                    }
                    (None, Some(root)) => (
                        root.source,
                        root.kind,
                        root.content_type,
                        root.cause,
                        root.received,
                        root.size,
                        root.payload,
                    ),
                    (None, None) => continue,
                };
            acceptance.messages.push(NewMessage {
                source,
                kind,
                content_type,
                cause,
                key,
                lane: message.lane,
                received,
                size,
                payload,
                routes,
                flagged: false,
            });
        }
        for delivery in derived.deliveries {
            let flow = &plan.flows[delivery.flow];
            let destination = delivery
                .target
                .map_or(&flow.failed, |t| &flow.targets[t].destination);
            let key = delivery.key.as_ref().map(|key| self.ordering_key(key));
            terms.extend(key.as_ref().map(|key| key.index));
            let message = &acceptance.messages[delivery.message];
            let (body, size, content_type) = match delivery.body {
                Some((body, content_type)) => (
                    Some(self.vault.seal(Kind::Message, &body)?),
                    body.len() as u32,
                    self.known(content_type)?,
                ),
                None => (None, message.size, message.content_type),
            };
            acceptance.deliveries.push(NewDelivery {
                message: MessageRef::Ordinal(delivery.message as u32),
                flow: self.known(&flow.name)?,
                destination: self.known(destination)?,
                lane: delivery.lane,
                key,
                state: if delivery.failed.is_some() {
                    DeliveryState::Dead
                } else {
                    DeliveryState::Pending
                },
                note: delivery.failed,
                body,
                size,
                content_type,
                replay_of: None,
                call: None,
            });
        }
        for mail in derived.mail {
            acceptance.mail.push(NewMail {
                correlator: self.known(&mail.correlator)?,
                key: self.business_key(&mail.key),
                ordinal: mail.message as u32,
                digest: self.vault.digest(&mail.body),
                until: now.after(mail.keep),
            });
        }
        // All found by the first message of the block: the trace shows the rest.
        acceptance.terms = terms
            .into_iter()
            .map(|index| Term { ordinal: 0, index })
            .collect();
        Ok(acceptance)
    }
}
