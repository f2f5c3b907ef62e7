//! Taking messages in: read, route, seal, commit, answer.
//!
//! Everything that can be decided is decided before the commit, and one commit makes the
//! message and all that follows from it durable. A map that fails still commits the message,
//! with a dead delivery that says why: the sender never pays for our bug.

mod names;
mod resources;
mod seal;

pub(crate) use seal::Root;

use crate::codes;
use crate::desk::Desk;
use crate::metrics::Latency;
use crate::plan::{Plan, SourcePlan};
use crate::route::{self, Arrival, Start};
use crate::x12;
use ahash::AHashMap;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use wardline_connect::{ContentType, Intake, Received, Resources, Verdict};
use wardline_core::{Clock, Lane, MessageId, Timestamp};
use wardline_mapping::{Content, Metadata, Runtime, Subject};
use wardline_store::{Acceptance, Change, Dedup, Note, Outcome, Store, StoreError};
use wardline_vault::{Kind, Vault, VaultError};

/// Domain of blind indexes: one for all keys, so that a value is found wherever it stands.
pub(crate) const KEY_DOMAIN: &str = "key";

/// What acceptance needs; shared by listeners, schedules, replays and follow-ups.
pub(crate) struct Acceptor {
    plan: ArcSwap<Plan>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    latency: ArcSwap<AHashMap<Arc<str>, Arc<Latency>>>,
    pub(crate) stopping: AtomicBool,
    kinds: AtomicUsize,
    /// What was sent to partners who exchange X12, by connection.
    pub(crate) ledgers: x12::Ledgers,
    /// Who writes down what leaves.
    pub(crate) desk: OnceLock<Weak<Desk>>,
}

/// A secret of the estate for this purpose: the same after every restart, and nothing without
/// the estate's keys.
pub(crate) fn secret_for(vault: &Vault, purpose: &str) -> [u8; 32] {
    let mut secret = [0; 32];
    for (part, bytes) in secret.chunks_exact_mut(8).enumerate() {
        let index = vault.blind(purpose, &part.to_string());
        bytes.copy_from_slice(&index.0.to_be_bytes());
    }
    secret
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
        plan.audience.begin(secret_for(&vault, "pseudonyms"));
        let ledgers = x12::Ledgers::new(Arc::clone(&store));
        let latency = plan
            .sources
            .keys()
            .map(|source| (Arc::clone(source), Arc::default()))
            .collect();
        Self {
            plan: ArcSwap::new(plan),
            store,
            vault,
            clock,
            latency: ArcSwap::from_pointee(latency),
            stopping: AtomicBool::new(false),
            kinds: AtomicUsize::new(0),
            ledgers,
            desk: OnceLock::new(),
        }
    }

    /// The plan in force. Whoever works by a plan takes it once: what it derives is numbered by
    /// that plan's flows.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// Puts another plan in force, for messages that come from now on.
    pub(crate) fn replace(&self, plan: Arc<Plan>) {
        let known = self.latency.load_full();
        let latency = plan.sources.keys().map(|source| {
            let latency = known.get(source).cloned().unwrap_or_default();
            (Arc::clone(source), latency)
        });
        self.latency.store(Arc::new(latency.collect()));
        plan.audience.begin(secret_for(&self.vault, "pseudonyms"));
        self.plan.store(plan);
    }

    /// How long a source waited for its acknowledgements.
    pub(crate) fn latency(&self, source: &str) -> Option<Arc<Latency>> {
        self.latency.load().get(source).cloned()
    }

    /// The plan that messages are taken by; none while it stops.
    fn open_for(&self) -> Result<Arc<Plan>, Verdict> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Verdict::Busy {
                code: codes::STOPPING,
                text: "wardline is stopping; send again".to_owned(),
                retry_after: Duration::from_secs(5),
            });
        }
        Ok(self.plan())
    }

    /// Reads, routes and seals one received message.
    fn prepare(
        &self,
        plan: &Plan,
        received: &Received,
        source: &SourcePlan,
    ) -> Result<(Acceptance, Vec<x12::Said>), AcceptError> {
        // What partners call X12 differs; the connection says what it is.
        let content_type = match source.input {
            wardline_mapping::Input::X12 => route::X12,
            _ => media_type(&received.content_type),
        };
        let read = match &received.fault {
            None => route::read_by(
                content_type,
                &received.body,
                source.charset,
                source.guides.as_ref(),
            ),
            Some((code, text)) => Err(note_of(*code, text.clone())),
        };
        let kind_name = match &read {
            Ok(Content::Hl7(message)) => hl7_kind(message),
            Ok(Content::Interchange(all)) => route::x12_kind(all),
            // The operation, where the protocol knows of such.
            Ok(_) => received
                .header(wardline_connect::OPERATION)
                .unwrap_or(content_type)
                .to_owned(),
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
            _ if received.once.is_some() => self.once(received),
            Ok(subject) if !source.duplicate.is_empty() => self.dedup(received, source, subject),
            _ => None,
        };
        let control_id = match &subject {
            Ok(Subject {
                content: Content::Hl7(message),
                ..
            }) => message.control_id().map(std::borrow::Cow::into_owned),
            Ok(Subject {
                content: Content::Interchange(all),
                ..
            }) => all
                .isa()
                .map(|isa| wardline_edi::x12::text(isa.raw(13)).into_owned()),
            _ => None,
        };
        let arrival = Arrival {
            subject,
            key: None,
            lane: Lane::Normal,
        };
        let interchange = match &arrival.subject {
            Ok(Subject {
                content: Content::Interchange(all),
                ..
            }) => Some(Arc::clone(all)),
            _ => None,
        };
        let unanswered =
            received.fault.as_ref().map(|(code, _)| *code) == Some(codes::NOT_ANSWERED);
        let start = match &source.told_of {
            Some(told) if unanswered => Start::Flow(told.flow),
            _ => Start::Source(&received.source),
        };
        let mut derived = with_runtime(|runtime| route::route(plan, start, arrival, runtime));
        if received.fault.is_none() {
            x12::acknowledge(source, &received.body, received.received, &mut derived);
        }
        let said = interchange
            .map(|all| x12::said_of_ours(source, &all, &mut derived))
            .unwrap_or_default();
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
        let mut acceptance = self.seal(plan, derived, Some(root), None)?;
        acceptance.dedup = dedup;
        Ok((acceptance, said))
    }

    /// What comes again under a name of the protocol is the same message, whatever it says: an
    /// estate that changed in between makes another body of the same record.
    fn once(&self, received: &Received) -> Option<Dedup> {
        let name = received.once.as_ref()?.as_bytes();
        Some(Dedup {
            source: self.store.lookup(&received.source)?,
            hash: self.vault.dedup_hash([b"once".as_slice(), name]),
            digest: self.vault.digest(name),
            answer: received.answer.clone(),
            since: None,
        })
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
            since: None,
        })
    }

    /// The changes that take records of a bulk job as messages.
    pub(crate) fn records(
        &self,
        plan: &Plan,
        job: &str,
        bodies: Vec<Bytes>,
    ) -> Result<Vec<Change>, AcceptError> {
        let source = crate::plan::job_source(job);
        let Some(known) = plan.sources.get(&source) else {
            return Err(no_source(&source).into());
        };
        let all = bodies.into_iter().map(|body| {
            let received = made_here(Arc::clone(&source), body, self.clock.now());
            let (acceptance, _) = self.prepare(plan, &received, known)?;
            Ok(Change::Accept(Box::new(acceptance)))
        });
        all.collect()
    }

    /// The change that keeps a record that a bulk job cannot use, with a dead delivery that says why.
    pub(crate) fn refused_record(
        &self,
        plan: &Plan,
        job: &str,
        body: Bytes,
        code: wardline_core::Code,
        text: String,
    ) -> Result<Change, AcceptError> {
        let source = crate::plan::job_source(job);
        let Some(known) = plan.jobs.get(job) else {
            return Err(no_source(&source).into());
        };
        let arrival = Arrival {
            subject: Err(note_of(code, text)),
            key: None,
            lane: Lane::Bulk,
        };
        let start = Start::Flow(known.flow);
        let derived = with_runtime(|runtime| route::route(plan, start, arrival, runtime));
        let root = Root {
            source: self.known(&source)?,
            kind: self.kind(route::JSON)?,
            content_type: self.kind_of_content(route::JSON)?,
            cause: None,
            received: self.clock.now(),
            size: body.len() as u32,
            payload: self.vault.seal(Kind::Message, &body)?,
        };
        let acceptance = self.seal(plan, derived, Some(root), None)?;
        Ok(Change::Accept(Box::new(acceptance)))
    }

    /// Takes a message that Wardline made itself (a schedule).
    pub(crate) async fn take(&self, source: &str, body: Bytes) -> Result<MessageId, AcceptError> {
        let plan = self.plan();
        let Some(known) = plan.sources.get(source) else {
            return Err(no_source(source).into());
        };
        let received = made_here(source.into(), body, self.clock.now());
        let (acceptance, _) = self.prepare(&plan, &received, known)?;
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
    fn resources(&self) -> Option<&dyn Resources> {
        Some(self)
    }

    async fn accept(&self, received: Received) -> Verdict {
        let plan = match self.open_for() {
            Ok(plan) => plan,
            Err(verdict) => return verdict,
        };
        let Some(source) = plan.sources.get(&received.source) else {
            // Its connection left the estate while this was on its way: the sender keeps it.
            return gone(&received.source);
        };
        let (commit, said) = match self.prepare(&plan, &received, source) {
            Ok((acceptance, said)) => (
                self.store
                    .commit(vec![Change::Accept(Box::new(acceptance))]),
                said,
            ),
            Err(error) => return refusal(&error),
        };
        // What is said twice stands in the book once, so it may be written first: where the message is
        // not taken after it, its sender says it again.
        if let (false, Some(told)) = (said.is_empty(), &source.told_of)
            && let Err(error) = self.ledgers.of(&told.connection).note(&said).await
        {
            return refusal(&error.into());
        }
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
        if let Some(latency) = self.latency(&received.source) {
            latency.record(self.clock.now().since(received.received));
        }
        verdict
    }
}

/// What Wardline made itself, as if it came.
fn made_here(source: Arc<str>, body: Bytes, received: Timestamp) -> Received {
    Received {
        source,
        content_type: ContentType::Json,
        body,
        received,
        peer: None,
        headers: Vec::new(),
        answer: Bytes::new(),
        once: None,
        fault: None,
    }
}

fn no_source(source: &str) -> StoreError {
    StoreError::Database {
        doing: "accepting",
        reason: format!("no source `{source}`"),
    }
}

/// Its connection left the estate.
fn gone(source: &str) -> Verdict {
    Verdict::Refused {
        code: codes::NOT_FOUND,
        text: format!("`{source}` is not a source of this estate"),
        permanent: false,
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

/// A note that says what a person did.
pub(crate) fn note_of(code: wardline_core::Code, text: String) -> Note {
    Note {
        code: code.to_string(),
        fingerprint: crate::fingerprint::of(code.0, "", &text),
        text,
    }
}
