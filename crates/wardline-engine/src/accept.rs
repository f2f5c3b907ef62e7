//! Taking messages in: read, route, seal, commit, answer.
//!
//! Everything that can be decided is decided before the commit, and one commit makes the
//! message and all that follows from it durable. A map that fails still commits the message,
//! with a dead delivery that says why: the sender never pays for our bug.

use crate::codes;
use crate::metrics::Latency;
use crate::plan::{Plan, SourcePlan};
use crate::route::{self, Arrival, Derived, PlainKey, Start};
use ahash::{AHashMap, AHashSet};
use async_trait::async_trait;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use wardline_connect::{ContentType, Intake, Received, Verdict};
use wardline_core::{Clock, DeliveryState, Lane, MessageId, OrderingKey, Sealed, Sym, Timestamp};
use wardline_mapping::{Content, Metadata, Runtime, Subject};
use wardline_store::{
    Acceptance, Cause, Change, Dedup, MessageRef, NewDelivery, NewMessage, Note, Outcome, Route,
    Store, StoreError, Term,
};
use wardline_vault::{Kind, Vault, VaultError};

/// Kinds of messages that senders may introduce; further ones are recorded as `other`.
const MAX_KINDS: usize = 4_096;

/// Domain of blind indexes: one for all keys, so that a value is found wherever it stands.
pub(crate) const KEY_DOMAIN: &str = "key";

/// What acceptance needs; shared by listeners, schedules, replays and follow-ups.
pub(crate) struct Acceptor {
    pub(crate) plan: Arc<Plan>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) latency: AHashMap<Arc<str>, Latency>,
    pub(crate) stopping: AtomicBool,
    kinds: AtomicUsize,
}

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

/// Why something could not be accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum AcceptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Vault(String, wardline_core::Code),
}

impl From<VaultError> for AcceptError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error.to_string(), error.code())
    }
}

thread_local! {
    /// One runtime a thread: its buffers are reused from message to message.
    static RUNTIME: RefCell<Runtime> = RefCell::new(Runtime::default());
}

/// Runs `work` with this thread's mapping runtime.
pub(crate) fn with_runtime<T>(work: impl FnOnce(&mut Runtime) -> T) -> T {
    RUNTIME.with_borrow_mut(work)
}

impl Acceptor {
    pub(crate) fn new(
        plan: Arc<Plan>,
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let latency = plan
            .sources
            .keys()
            .map(|source| (Arc::clone(source), Latency::default()))
            .collect();
        Self {
            plan,
            store,
            vault,
            clock,
            latency,
            stopping: AtomicBool::new(false),
            kinds: AtomicUsize::new(0),
        }
    }

    /// The number of a name; new names wait for the disk once.
    pub(crate) async fn sym(&self, name: &str) -> Result<Sym, StoreError> {
        match self.store.lookup(name) {
            Some(sym) => Ok(sym),
            None => self.store.intern(name).await,
        }
    }

    /// The number of a message kind that a sender chose. Waits on this thread rather than
    /// yielding: a message must not be overtaken by the next one of its connection only
    /// because its type is new.
    fn kind(&self, name: &str) -> Result<Sym, StoreError> {
        let name = if is_plain(name) { name } else { "other" };
        if let Some(sym) = self.store.lookup(name) {
            return Ok(sym);
        }
        let known = self.kinds.fetch_add(1, Ordering::Relaxed);
        let name = if known < MAX_KINDS {
            name.to_owned()
        } else {
            "other".to_owned()
        };
        let handle = tokio::runtime::Handle::current();
        let store = Arc::clone(&self.store);
        if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread {
            tokio::task::block_in_place(|| {
                handle.block_on(async move { store.intern(&name).await })
            })
        } else {
            // One thread: block another one, this one only waits for it.
            std::thread::scope(|scope| {
                let worker =
                    scope.spawn(move || handle.block_on(async move { store.intern(&name).await }));
                worker.join().unwrap_or(Err(StoreError::Closed))
            })
        }
    }

    /// Names that must exist before the first message.
    pub(crate) async fn intern_all(&self) -> Result<(), StoreError> {
        let plan = &self.plan;
        let mut names: AHashSet<&str> = AHashSet::new();
        names.extend([
            "other",
            "unreadable",
            route::JSON,
            route::HL7,
            "text/plain",
            "application/octet-stream",
            "application/xml",
        ]);
        names.extend(plan.sources.keys().map(|name| &**name));
        names.extend(plan.destinations.keys().map(|name| &**name));
        for flow in &plan.flows {
            names.extend([&*flow.name, &*flow.failed]);
            names.extend(flow.emit.iter().map(|event| &*event.name));
            names.extend(
                flow.targets
                    .iter()
                    .filter_map(|t| t.then.as_ref())
                    .map(|then| &*then.emit.name),
            );
        }
        for name in names {
            self.sym(name).await?;
        }
        Ok(())
    }

    pub(crate) fn ordering_key(&self, key: &PlainKey) -> OrderingKey {
        match key {
            PlainKey::Recorded(key) => key.clone(),
            PlainKey::Value(text, sensitivity) => OrderingKey {
                index: self.vault.blind(KEY_DOMAIN, text),
                shown: sensitivity.may_be_shown().then(|| Arc::clone(text)),
            },
        }
    }

    fn known(&self, name: &str) -> Result<Sym, StoreError> {
        self.store.lookup(name).ok_or(StoreError::Database {
            doing: "looking up a name of the estate",
            reason: format!("`{name}` was not recorded at start"),
        })
    }

    /// Seals what was derived and gives it numbers. `root` is the first message where the
    /// first derived message has no body of its own.
    pub(crate) fn seal(
        &self,
        derived: Derived,
        root: Option<Root>,
        first_cause: Option<Cause>,
    ) -> Result<Acceptance, AcceptError> {
        let plan = &self.plan;
        let mut acceptance = Acceptance::default();
        let mut terms = AHashSet::new();
        let mut root = root;
        let now = self.clock.now();
        for (ordinal, message) in derived.messages.into_iter().enumerate() {
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
                        let json = body.first() == Some(&b'{')
                            || body.first() == Some(&b'[')
                            || !body.starts_with(b"MSH");
                        (
                            self.known(flow)?,
                            self.known(kind)?,
                            self.known(if json { route::JSON } else { route::HL7 })?,
                            message
                                .cause
                                .map(|c| Cause::Ordinal(c as u32))
                                .or(if ordinal == 0 { first_cause } else { None }),
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
            });
        }
        // All found by the first message of the block: the trace shows the rest.
        acceptance.terms = terms
            .into_iter()
            .map(|index| Term { ordinal: 0, index })
            .collect();
        Ok(acceptance)
    }

    /// Reads, routes and seals one received message.
    fn prepare(&self, received: &Received, source: &SourcePlan) -> Result<Acceptance, AcceptError> {
        let content_type = media_type(&received.content_type);
        let read = route::read_as(content_type, &received.body, source.charset);
        let kind_name = match &read {
            Ok(Content::Hl7(message)) => hl7_kind(message),
            Ok(_) => content_type.to_owned(),
            Err(_) => "unreadable".to_owned(),
        };
        let kind = self.kind(&kind_name)?;
        let mut correlation: Vec<String> = Vec::new();
        correlation.extend(received.header("x-correlation-id").map(str::to_owned));
        correlation.extend(
            received
                .header("traceparent")
                .and_then(|text| text.split('-').nth(1))
                .map(str::to_owned),
        );
        let subject = read.map(|content| {
            Subject::new(content).with(Metadata {
                source: Some(Arc::clone(&received.source)),
                message_type: Some(kind_name.as_str().into()),
                received: Some(received.received.to_string().into()),
                facility: source.facility.clone(),
                id: Some(unique_id(received.received).into()),
                correlation_id: correlation.first().map(|id| id.as_str().into()),
                ..Metadata::default()
            })
        });
        let dedup = match &subject {
            Ok(subject) if !source.duplicate.is_empty() => self.dedup(received, source, subject),
            _ => None,
        };
        let control_id = match &subject {
            Ok(Subject {
                content: Content::Hl7(message),
                ..
            }) => message.control_id().map(std::borrow::Cow::into_owned),
            _ => None,
        };
        let arrival = Arrival {
            subject,
            key: None,
            lane: Lane::Normal,
        };
        let mut derived = with_runtime(|runtime| {
            route::route(
                &self.plan,
                Start::Source(&received.source),
                arrival,
                runtime,
            )
        });
        if let Some(first) = derived.messages.first_mut() {
            first.terms.extend(correlation);
            first.terms.extend(control_id);
        }
        let root = Root {
            source: self.known(&received.source)?,
            kind,
            content_type: self.kind_of_content(content_type)?,
            cause: None,
            received: received.received,
            size: received.body.len() as u32,
            payload: self.vault.seal(Kind::Message, &received.body)?,
        };
        let mut acceptance = self.seal(derived, Some(root), None)?;
        acceptance.dedup = dedup;
        Ok(acceptance)
    }

    fn kind_of_content(&self, content_type: &str) -> Result<Sym, StoreError> {
        match self.store.lookup(content_type) {
            Some(sym) => Ok(sym),
            None => self.kind(content_type),
        }
    }

    fn dedup(&self, received: &Received, source: &SourcePlan, subject: &Subject) -> Option<Dedup> {
        let parts: Vec<String> = source
            .duplicate
            .iter()
            .map(|path| route::field_text(path, subject, &received.headers).unwrap_or_default())
            .collect();
        // A message without any of the declared fields cannot be recognised; taking it as a
        // duplicate of the last one without would lose it.
        if parts.iter().all(String::is_empty) {
            return None;
        }
        Some(Dedup {
            source: self.store.lookup(&received.source)?,
            hash: self.vault.dedup_hash(parts.iter().map(String::as_bytes)),
            digest: self.vault.digest(&received.body),
            answer: received.answer.clone(),
        })
    }

    /// Takes a message that Wardline made itself (a schedule).
    pub(crate) async fn take(&self, source: &str, body: Bytes) -> Result<MessageId, AcceptError> {
        let Some(plan) = self.plan.sources.get(source) else {
            return Err(StoreError::Database {
                doing: "accepting",
                reason: format!("no source `{source}`"),
            }
            .into());
        };
        let received = Received {
            source: source.into(),
            content_type: ContentType::Json,
            body,
            received: self.clock.now(),
            peer: None,
            headers: Vec::new(),
            answer: Bytes::new(),
        };
        let acceptance = self.prepare(&received, plan)?;
        let outcomes = self
            .store
            .commit(vec![Change::Accept(Box::new(acceptance))])
            .await?;
        match outcomes.first() {
            Some(Outcome::Accepted(accepted)) => Ok(MessageId(accepted.first)),
            _ => Err(StoreError::Closed.into()),
        }
    }
}

#[async_trait]
impl Intake for Acceptor {
    async fn accept(&self, received: Received) -> Verdict {
        if self.stopping.load(Ordering::Relaxed) {
            return Verdict::Busy {
                code: codes::STOPPING,
                text: "wardline is stopping; send again".to_owned(),
                retry_after: Duration::from_secs(5),
            };
        }
        let Some(source) = self.plan.sources.get(&received.source) else {
            return Verdict::Refused {
                code: codes::NOT_FOUND,
                text: format!("`{}` is not a source of this estate", received.source),
                permanent: true,
            };
        };
        let commit = match self.prepare(&received, source) {
            Ok(acceptance) => self
                .store
                .commit(vec![Change::Accept(Box::new(acceptance))]),
            Err(error) => return refusal(&error),
        };
        let verdict = match commit.await {
            Ok(outcomes) => match outcomes.into_iter().next() {
                Some(Outcome::Accepted(accepted)) => match accepted.duplicate {
                    None => Verdict::Accepted {
                        id: MessageId(accepted.first),
                    },
                    Some(duplicate) => Verdict::Duplicate {
                        original: duplicate.original,
                        answer: duplicate.answer,
                    },
                },
                _ => refusal(&StoreError::Closed.into()),
            },
            Err(error) => refusal(&error.into()),
        };
        if let Some(latency) = self.latency.get(&received.source) {
            latency.record(self.clock.now().since(received.received));
        }
        verdict
    }
}

fn refusal(error: &AcceptError) -> Verdict {
    match error {
        AcceptError::Store(error @ StoreError::Closed) => Verdict::Busy {
            code: error.code(),
            text: error.to_string(),
            retry_after: Duration::from_secs(5),
        },
        AcceptError::Store(error) if error.is_transient() => {
            // The file's path is our business, not the sender's.
            let text = format!("the journal cannot take messages now ({})", error.code());
            Verdict::Busy {
                code: codes::JOURNAL_UNAVAILABLE,
                text,
                retry_after: Duration::from_secs(2),
            }
        }
        AcceptError::Store(error) => {
            tracing::error!(code = %error.code(), %error, "a message could not be recorded");
            let text = format!("the message could not be recorded ({})", error.code());
            Verdict::Refused {
                code: error.code(),
                text,
                permanent: false,
            }
        }
        AcceptError::Vault(text, code) => {
            tracing::error!(%code, error = %text, "a message could not be sealed");
            Verdict::Refused {
                code: *code,
                text: format!("the message could not be sealed ({code})"),
                permanent: false,
            }
        }
    }
}

fn media_type(content_type: &ContentType) -> &str {
    content_type.as_str()
}

/// `ADT^A03`.
pub(crate) fn hl7_kind(message: &wardline_hl7::Message) -> String {
    let kind = message.message_type().unwrap_or_default();
    let event = message.trigger_event().unwrap_or_default();
    match (kind.is_empty(), event.is_empty()) {
        (true, _) => "other".to_owned(),
        (false, true) => kind.into_owned(),
        (false, false) => format!("{kind}^{event}"),
    }
}

/// An id for what maps write (MSH-10 of a built message): the journal's own id is known only
/// once it is committed.
pub(crate) fn unique_id(at: Timestamp) -> String {
    wardline_core::Id::from_parts(at.unix_ms(), rand::random(), rand::random()).to_string()
}

/// Whether a name that a sender chose may become a name of ours.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'^' | b'_' | b'-' | b'.' | b'/' | b'+')
        })
}

/// A note that says what a person did.
pub(crate) fn note_of(code: wardline_core::Code, text: String) -> Note {
    Note {
        code: code.to_string(),
        fingerprint: crate::fingerprint::of(code.0, "", &text),
        text,
    }
}
