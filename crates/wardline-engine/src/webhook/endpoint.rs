//! One endpoint while it is sent to: what each answer says about it, and what stops it.

use super::standing::Turn;
use super::{Disabled, Standing, body};
use crate::codes;
use crate::dispatch::gate::Gate;
use crate::wire::MakeSender;
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use tokio::sync::mpsc;
use wardline_connect::codes::{HTTP_GONE, HTTP_NOT_PUBLIC, HTTP_REDIRECT, HTTP_REJECTED};
use wardline_connect::{ConnectError, Failure, FailureKind, Outbound, Reply, Request};
use wardline_core::{Clock, Timestamp};
use wardline_estate::model::DisableRule;

/// An endpoint whose standing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) endpoint: Arc<str>,
    pub(crate) standing: Standing,
    /// It was disabled just now.
    pub(crate) disabled: bool,
}

/// What an endpoint is made of.
pub(crate) struct EndpointParts {
    /// The endpoint's name: `ghx`.
    pub(crate) name: Arc<str>,
    /// When it is given up.
    pub(crate) rule: DisableRule,
    /// From when on its client is refused.
    pub(crate) expires: Option<Timestamp>,
    /// Where a thin event is fetched, without its id.
    pub(crate) events: String,
    /// Makes what sends and signs, for an address.
    pub(crate) make: MakeSender,
    /// Its address, where the file says it.
    pub(crate) url: Option<String>,
    /// What its asymmetric signatures are verified with.
    pub(crate) public_keys: Vec<String>,
    /// Its limits, shared with the channel that sends.
    pub(crate) gate: Arc<Gate>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// As the journal has it; shared with the endpoint that this one takes the place of, so that
    /// what the last answers to that one say is not lost.
    pub(crate) standing: Arc<Mutex<Standing>>,
    /// Who writes changes down.
    pub(crate) tell: mpsc::Sender<News>,
}

/// A client's endpoint.
pub(crate) struct Endpoint {
    parts: EndpointParts,
    /// `None` until its client has registered an address.
    sender: RwLock<Option<Arc<dyn Outbound>>>,
    /// One registration at a time: each makes us call somebody.
    pub(crate) registering: tokio::sync::Mutex<()>,
}

impl Endpoint {
    /// Errors where the address that the file says cannot be sent to.
    pub(crate) fn new(parts: EndpointParts) -> Result<Self, ConnectError> {
        let sender = match &parts.url {
            Some(url) => Some((parts.make)(url)?),
            None => None,
        };
        Ok(Self {
            sender: RwLock::new(sender),
            registering: tokio::sync::Mutex::new(()),
            parts,
        })
    }

    /// Takes up how it stands now; before it is sent to.
    pub(crate) fn begin(&self) {
        let standing = self.standing();
        if self.parts.url.is_none() {
            // It was good when it was registered: where that changed its client has to do it again.
            *self.sender.write() = standing.url.and_then(|url| {
                (self.parts.make)(&url)
                    .inspect_err(|error| tracing::error!(endpoint = %self.parts.name, %error, "the registered address cannot be used"))
                    .ok()
            });
        }
        if standing.disabled.is_some() || self.sender.read().is_none() {
            self.parts.gate.pause();
        } else {
            self.parts.gate.resume();
        }
    }

    /// How it stands, for the endpoint that takes its place.
    pub(crate) fn shared_standing(&self) -> Arc<Mutex<Standing>> {
        Arc::clone(&self.parts.standing)
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.parts.name
    }

    /// Where it is, where that is known.
    pub(crate) fn url(&self) -> Option<String> {
        self.parts
            .url
            .clone()
            .or_else(|| self.parts.standing.lock().url.clone())
    }

    /// A sender to an address that is not its own yet.
    pub(crate) fn sender_to(&self, url: &str) -> Result<Arc<dyn Outbound>, ConnectError> {
        (self.parts.make)(url)
    }

    /// From now on it is there, or nowhere. The channel that sends has to be woken.
    pub(crate) fn moved(&self, to: Option<(String, Arc<dyn Outbound>)>) {
        let (url, sender) = to.unzip();
        *self.sender.write() = sender;
        let known = url.is_some();
        *self.parts.standing.lock() = Standing {
            url,
            ..Standing::default()
        };
        if known {
            self.parts.gate.resume();
        } else {
            self.parts.gate.pause();
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.parts.standing.lock().clone()
    }

    pub(crate) fn public_keys(&self) -> &[String] {
        &self.parts.public_keys
    }

    /// Stops sending.
    pub(crate) fn disable(&self, disabled: Disabled) {
        self.parts.standing.lock().disabled = Some(disabled);
        self.parts.gate.pause();
    }

    /// Forgets what was wrong. The channel that sends has to be woken.
    pub(crate) fn enable(&self) {
        let mut standing = self.parts.standing.lock();
        *standing = std::mem::take(&mut *standing).well();
        drop(standing);
        if self.sender.read().is_some() {
            self.parts.gate.resume();
        }
    }

    /// One request whatever its standing, which it does not change.
    pub(crate) async fn try_once(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let sender = self.sender.read().clone();
        let Some(sender) = sender else {
            let text = format!("no address is registered for {}", self.parts.name);
            return Err(Failure::new(
                FailureKind::Unreachable,
                codes::WEBHOOK_DISABLED,
                text,
            ));
        };
        sender.send(request).await
    }

    fn turn(&self, outcome: &Result<Reply, Failure>) -> Option<News> {
        let mut standing = self.parts.standing.lock();
        let turn = match outcome {
            Ok(_) => standing.succeeded(),
            Err(failure) => standing.failed(
                self.parts.rule,
                failure.code == HTTP_GONE,
                &failure.to_string(),
                self.parts.clock.now(),
            ),
        }?;
        let disabled = turn == Turn::Disabled;
        if disabled {
            self.parts.gate.pause();
        }
        Some(News {
            endpoint: Arc::clone(&self.parts.name),
            standing: standing.clone(),
            disabled,
        })
    }
}

#[async_trait]
impl Outbound for Endpoint {
    async fn send(&self, mut request: Request<'_>) -> Result<Reply, Failure> {
        if self
            .parts
            .expires
            .is_some_and(|expires| self.parts.clock.now() >= expires)
        {
            let text = format!(
                "nothing is sent to {}: its client has expired",
                self.parts.name
            );
            return Err(Failure::new(
                FailureKind::Permanent,
                codes::WEBHOOK_DISABLED,
                text,
            ));
        }
        request.body = body::completed(&request.body, request.idempotency_key, &self.parts.events);
        let outcome = self.try_once(request).await;
        if let Some(news) = self.turn(&outcome)
            && self.parts.tell.send(news).await.is_err()
        {
            // The process ends; the next one learns it from the next answer.
            tracing::debug!(endpoint = %self.parts.name, "a change of standing is not written down");
        }
        outcome.map_err(worth_another_try)
    }

    fn describe(&self) -> String {
        let url = self.url();
        format!("webhook {}", url.as_deref().unwrap_or("without an address"))
    }
}

/// Whoever refuses a request of ours may have refused it for a fault of its own: by Standard
/// Webhooks everything but a success is tried again, apart from 410.
fn worth_another_try(mut failure: Failure) -> Failure {
    let final_for_others = [HTTP_REJECTED, HTTP_REDIRECT, HTTP_NOT_PUBLIC];
    if failure.kind == FailureKind::Permanent && final_for_others.contains(&failure.code) {
        failure.kind = FailureKind::Transient;
    }
    failure
}
