//! Clients' endpoints: how they stand, and what people decide about them.

use super::act::demand_reason;
use super::{Desk, DeskError};
use crate::codes;
use crate::view::{Selection, WebhookTrialView, WebhookView};
use crate::webhook::{self, Disabled, News, Standing, Told};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use wardline_connect::Request;
use wardline_core::{DeliveryId, DeliveryState, MessageId, Timestamp};
use wardline_estate::model::{Client, ClientWebhook, Estate};
use wardline_store::{Change, MessageRow, Operation};
use wardline_vault::{AuditEntry, Kind, VaultError};

/// The type of an event that only tries an endpoint.
const TEST: &str = "webhook.test";
/// Messages that an event may follow from, one after the other.
const MOST_CAUSES: usize = 64;

impl Desk {
    /// Every endpoint of every client, by name.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn webhooks(&self) -> Result<Vec<WebhookView>, DeskError> {
        let estate = self.in_force();
        let gauges = self.acceptor.store.gauges().await?;
        let mut all = Vec::new();
        for client in estate.clients.values() {
            for declared in &client.webhooks {
                let destination = webhook::destination(&declared.name);
                let sym = self.acceptor.store.lookup(&destination);
                let waiting: i64 = gauges
                    .iter()
                    .filter(|gauge| Some(gauge.destination) == sym && gauge.state.is_open())
                    .map(|gauge| gauge.count)
                    .sum();
                let standing = self.standing(&declared.name).await?;
                let endpoint = self.endpoint(&declared.name);
                all.push(WebhookView {
                    waiting: u64::try_from(waiting).unwrap_or(0),
                    public_keys: endpoint
                        .map(|endpoint| endpoint.public_keys().to_vec())
                        .unwrap_or_default(),
                    ..view(client, declared, &standing)
                });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Lets an endpoint be sent to again. What waits is sent in order, and what failed before is
    /// tried anew.
    ///
    /// # Errors
    /// Where there is no such endpoint, no reason is given, or the journal does not answer.
    pub async fn enable_webhook(
        &self,
        name: &str,
        reason: &str,
        actor: &str,
    ) -> Result<WebhookView, DeskError> {
        demand_reason(reason)?;
        let estate = self.in_force();
        let (client, declared) = declared(&estate, name)?;
        let standing = self.standing(name).await?.well();
        if declared.url.is_none() && standing.url.is_none() {
            return Err(DeskError::Invalid(format!(
                "no address is registered for `{name}`: its client does that by PUT /webhooks/{name}"
            )));
        }
        let destination = webhook::destination(name);
        let retrying = Selection {
            destination: Some(destination.clone()),
            states: vec![DeliveryState::Retrying],
            ..Selection::default()
        };
        let rows = self.selected(&retrying).await?;
        let entry = AuditEntry::new(actor, "webhook.enable", name)
            .because(reason)
            .with("client", client.name.as_str())
            .with("retrying", rows.len());
        let mut changes = vec![Change::SetMeta {
            name: destination.clone(),
            value: standing.to_bytes(),
        }];
        if !rows.is_empty() {
            changes.push(Change::Operate(Operation::Release {
                deliveries: rows.iter().map(|row| row.id).collect(),
            }));
        }
        self.commit_audited(&entry, changes).await?;
        if let Some(endpoint) = self.endpoint(name) {
            endpoint.enable();
        }
        self.dispatcher.revisit(&rows);
        let sym = self.acceptor.store.lookup(&destination);
        if let Some(channel) = sym.and_then(|sym| self.dispatcher.channel(sym)) {
            channel.resumed();
        }
        Ok(view(client, declared, &standing))
    }

    /// Stops sending to an endpoint; events for it wait.
    ///
    /// # Errors
    /// As [`Desk::enable_webhook`].
    pub async fn disable_webhook(
        &self,
        name: &str,
        reason: &str,
        actor: &str,
    ) -> Result<WebhookView, DeskError> {
        demand_reason(reason)?;
        let estate = self.in_force();
        let (client, declared) = declared(&estate, name)?;
        let mut standing = self.standing(name).await?;
        let disabled = Disabled {
            since: self.acceptor.clock.now(),
            why: reason.to_owned(),
            by: actor.to_owned(),
        };
        standing.disabled = Some(disabled.clone());
        let entry = AuditEntry::new(actor, "webhook.disable", name)
            .because(reason)
            .with("client", client.name.as_str());
        let kept = Change::SetMeta {
            name: webhook::destination(name),
            value: standing.to_bytes(),
        };
        self.commit_audited(&entry, vec![kept]).await?;
        if let Some(endpoint) = self.endpoint(name) {
            endpoint.disable(disabled);
        }
        Ok(view(client, declared, &standing))
    }

    /// Sends one signed request that holds no data, whether the endpoint is disabled or not, and
    /// says what was answered. The attempt is an audit entry; it changes nothing else.
    ///
    /// # Errors
    /// As [`Desk::enable_webhook`], and where no engine runs.
    pub async fn try_webhook(
        &self,
        name: &str,
        actor: &str,
    ) -> Result<WebhookTrialView, DeskError> {
        let estate = self.in_force();
        let (client, _) = declared(&estate, name)?;
        let Some(endpoint) = self.endpoint(name) else {
            return Err(DeskError::Invalid(format!(
                "`{name}` is tried by the server that sends to it: start `wardline serve`"
            )));
        };
        let now = self.acceptor.clock.now();
        let (id, body) = trial(now);
        let outcome = endpoint.try_once(trial_request(&id, body)).await;
        let took_us = self.acceptor.clock.now().since(now).as_micros();
        let (status, error) = match outcome {
            Ok(reply) => (reply.status, None),
            Err(failure) => {
                let status = failure.reply.as_ref().map(|reply| reply.status.clone());
                (status.unwrap_or_default(), Some(failure.to_string()))
            }
        };
        let mut entry = AuditEntry::new(actor, "webhook.test", name)
            .with("client", client.name.as_str())
            .with("id", id.as_str())
            .with("status", status.as_str());
        if let Some(error) = &error {
            entry = entry.with("error", error.as_str());
        }
        self.record(&entry).await?;
        Ok(WebhookTrialView {
            id,
            status,
            error,
            took_us: u64::try_from(took_us).unwrap_or(u64::MAX),
        })
    }

    /// An event of which a client was sent the id, as the client may see it now. `None` where it is
    /// not one of its own, where it is gone, or where policies do not let it receive it (any
    /// more). Each one that is given is an audit entry.
    ///
    /// # Errors
    /// Where the journal does not answer, or the entry cannot be made durable.
    pub async fn event_of(&self, client: &str, id: DeliveryId) -> Result<Option<Bytes>, DeskError> {
        let store = &self.acceptor.store;
        let Some(row) = store.delivery(id).await? else {
            return Ok(None);
        };
        let flow = self.name(row.flow);
        let plan = self.acceptor.plan();
        let hook = plan.flow_named(&flow).and_then(|flow| flow.hook.as_ref());
        let Some(hook) = hook.filter(|hook| *hook.client == *client) else {
            return Ok(None);
        };
        let Some(message) = store.message(row.message).await? else {
            return Ok(None);
        };
        let event = self.name(message.kind);
        let (Some((entity, _)), Some(sealed)) = (
            hook.events.get(event.as_str()),
            store.payload(row.message).await?,
        ) else {
            return Ok(None);
        };
        let body = match self.acceptor.vault.open_sealed(Kind::Message, &sealed) {
            Err(VaultError::Destroyed { .. }) => return Ok(None),
            opened => opened?,
        };
        let Ok(data) = serde_json::from_slice::<Value>(&body) else {
            return Ok(None);
        };
        let of_source = self.facility_of(&message).await?;
        let said = data.get("facility").and_then(Value::as_str);
        let received = message.received.to_string();
        let told = Told {
            event: &event,
            entity,
            purpose: hook.purpose.as_deref(),
            facility: said.or(of_source.as_deref()),
            received: Some(&received),
            data: &data,
        };
        let Some(seen) = plan.audience.seen(client, &told) else {
            return Ok(None);
        };
        let entry = AuditEntry::new(format!("client:{client}"), "event.fetch", id.to_string())
            .with("event", event.as_str());
        self.record(&entry).await?;
        Ok(Some(webhook::full(&event, Some(&received), seen)))
    }

    /// The site of the connection that a message, or what it follows from, came through.
    async fn facility_of(&self, message: &MessageRow) -> Result<Option<Arc<str>>, DeskError> {
        let (store, plan) = (&self.acceptor.store, self.acceptor.plan());
        let (mut source, mut cause) = (message.source, message.cause);
        for _ in 0..MOST_CAUSES {
            if let Some(known) = plan.sources.get(self.name(source).as_str()) {
                return Ok(known.facility.clone());
            }
            let Some(id) = cause else { break };
            let id = match store.delivery(DeliveryId(id)).await? {
                // An event made of an answer follows from a delivery.
                Some(delivery) => delivery.message,
                None => MessageId(id),
            };
            let Some(above) = store.message(id).await? else {
                break;
            };
            (source, cause) = (above.source, above.cause);
        }
        Ok(None)
    }

    /// Writes down what an answer changed about an endpoint. Where it was disabled, that is an
    /// audit entry, and the alert is in the log and at the head of the dashboard.
    pub(crate) async fn webhook_turned(&self, news: News) {
        let News {
            endpoint,
            standing,
            disabled,
        } = news;
        let kept = Change::SetMeta {
            name: webhook::destination(&endpoint),
            value: standing.to_bytes(),
        };
        let written = if let Some(why) = standing.disabled.as_ref().filter(|_| disabled) {
            tracing::error!(
                code = %codes::WEBHOOK_DISABLED, %endpoint, why = why.why,
                "a client's endpoint is disabled: its events wait until it is enabled"
            );
            let client =
                declared(&self.in_force(), &endpoint).map(|(client, _)| client.name.clone());
            let entry = AuditEntry::new(why.by.as_str(), "webhook.disable", &*endpoint)
                .because(why.why.as_str())
                .with("client", client.unwrap_or_default());
            self.commit_audited(&entry, vec![kept]).await.map(drop)
        } else {
            let store = &self.acceptor.store;
            store.commit(vec![kept]).await.map(drop).map_err(Into::into)
        };
        if let Err(error) = written {
            tracing::error!(%error, %endpoint, "how an endpoint stands could not be written down; after a restart it is found out anew");
        }
    }

    /// Why nothing is sent to a destination, where it is an endpoint that is disabled.
    pub(super) fn disabled(&self, destination: &str) -> Option<Disabled> {
        let name = destination.strip_prefix("webhook/")?;
        self.endpoint(name)?.standing().disabled
    }

    pub(super) async fn standing(&self, name: &str) -> Result<Standing, DeskError> {
        if let Some(endpoint) = self.endpoint(name) {
            return Ok(endpoint.standing());
        }
        let kept = self
            .acceptor
            .store
            .meta(&webhook::destination(name))
            .await?;
        let now = self.acceptor.clock.now();
        Ok(kept.map_or_else(Standing::default, |kept| Standing::from_bytes(&kept, now)))
    }
}

fn declared<'e>(
    estate: &'e Estate,
    name: &str,
) -> Result<(&'e Client, &'e ClientWebhook), DeskError> {
    let all = || {
        let clients = estate.clients.values();
        clients.flat_map(|client| client.webhooks.iter().map(move |webhook| (client, webhook)))
    };
    all()
        .find(|(_, webhook)| webhook.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = all().map(|(_, webhook)| webhook.name.as_str()).collect();
            DeskError::Invalid(if known.is_empty() {
                format!("there is no webhook `{name}`: no client of this estate has one")
            } else {
                format!(
                    "there is no webhook `{name}`; there are {}",
                    known.join(", ")
                )
            })
        })
}

/// Id and body of a request that only tries an endpoint.
pub(super) fn trial(now: Timestamp) -> (String, Bytes) {
    let id = crate::accept::unique_id(now);
    let received = now.to_string();
    (
        id,
        webhook::full(TEST, Some(&received), serde_json::json!({})),
    )
}

pub(super) fn trial_request(id: &str, body: Bytes) -> Request<'_> {
    Request {
        idempotency_key: id,
        attempt: 1,
        body,
        content_type: crate::route::JSON,
        method: Some(http::Method::POST),
        path: None,
        correlation: "",
    }
}

pub(super) fn view(client: &Client, declared: &ClientWebhook, standing: &Standing) -> WebhookView {
    let (state, since, reason, by) = match (&standing.disabled, standing.failing_since) {
        _ if client.disabled => ("refused", None, "the client is disabled".to_owned(), None),
        _ if declared.url.is_none() && standing.url.is_none() => (
            "unregistered",
            None,
            "its client has not said where it is".to_owned(),
            None,
        ),
        (Some(disabled), _) => (
            "disabled",
            Some(disabled.since),
            disabled.why.clone(),
            Some(disabled.by.clone()),
        ),
        (None, Some(since)) => ("failing", Some(since), String::new(), None),
        (None, None) => ("enabled", None, String::new(), None),
    };
    let url = declared.url.as_ref().map(|url| url.value.clone());
    let url = url.or_else(|| standing.url.clone());
    WebhookView {
        name: declared.name.clone(),
        client: client.name.clone(),
        url: url.unwrap_or_default(),
        events: declared
            .events
            .iter()
            .map(|event| event.value.clone())
            .collect(),
        state: state.to_owned(),
        since,
        reason,
        by,
        waiting: 0,
        public_keys: Vec::new(),
    }
}
