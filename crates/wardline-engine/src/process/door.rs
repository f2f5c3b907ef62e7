//! The way in for calls of Apis to processes: a call starts an instance, tells one something, or
//! asks how far it is.
//!
//! A call that starts a process tells the event that it begins with, and one that signals tells an
//! event that steps wait for, so that what holds for events (durable first, once, in order) holds
//! for calls. Whoever started an instance knows it by the id of that message; nobody else may ask
//! by it.

use super::Book;
use crate::accept::{Acceptor, with_runtime};
use crate::later::{Deferral, LaterCall, NotTaken, Taken, source_of};
use crate::route::{self, PlainKey};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::MessageId;
use wardline_mapping::{Content, KeyString, ObjectMap, Subject, Value};
use wardline_store::{InstanceRow, MessageFilter, Phase, StoreError};

/// How long a call that starts something waits for the first steps.
const FIRST_STEPS: Duration = Duration::from_millis(500);
/// Calls that told an instance something among which one that comes again is looked for.
const TOLD: usize = 64;
/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// How far an instance is, for whoever started it.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// By which to ask again.
    pub id: MessageId,
    /// Its declared status, else a word for where it stands.
    pub state: String,
    /// Whether it is over.
    pub done: bool,
    /// What the process shows of it, by name, where everybody may see it.
    pub show: serde_json::Map<String, serde_json::Value>,
    /// Whether the call's idempotency key was known: nothing was done this time.
    pub known: bool,
}

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It was not made durable.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// Its body names no key, or is not what the process begins with.
    #[error("{0}")]
    Unfit(String),
    /// Its idempotency key came with another body before.
    #[error("the idempotency key came with another body before")]
    Reused,
    /// It is about another instance than its address.
    #[error("the body is about another instance than the address")]
    Another,
    /// The journal did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way in for calls of Apis to processes.
#[derive(Clone)]
pub struct ProcessDoor {
    acceptor: Arc<Acceptor>,
    book: Arc<Book>,
}

impl ProcessDoor {
    pub(crate) const fn new(acceptor: Arc<Acceptor>, book: Arc<Book>) -> Self {
        Self { acceptor, book }
    }

    /// Starts an instance, or finds the one that the same key began; returns once that is durable.
    ///
    /// # Errors
    /// [`Refused`]; nothing was recorded then.
    pub async fn start(&self, process: &str, call: LaterCall<'_>) -> Result<Begun, Refused> {
        let plan = self.acceptor.plan();
        let declared = plan
            .processes
            .current
            .get(process)
            .ok_or_else(|| NotTaken::Unknown(process.to_owned()))?;
        let Ok(Content::Json(data)) = route::read(route::JSON, &call.body) else {
            return Err(Refused::Unfit("the body is not JSON".to_owned()));
        };
        let vars: ObjectMap = [(KeyString::from(&*declared.start_as), data)]
            .into_iter()
            .collect();
        let subject = Subject::json(Value::Object(vars));
        let key = with_runtime(|runtime| declared.key.key(&subject, runtime))
            .ok()
            .flatten()
            .ok_or_else(|| Refused::Unfit(format!("the body has no key of process {process}")))?;
        let plain = PlainKey::Value(key.as_str().into(), declared.key_class);
        let deferral = Deferral::new(Arc::clone(&self.acceptor));
        let (id, known) = match deferral.accept_under(call, Some(plain)).await? {
            Taken::Accepted(id) => (id, false),
            Taken::Again(id) => (id, true),
            Taken::Different => return Err(Refused::Reused),
        };
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(row) = self.newest(process, &key).await? {
                return Ok(Begun {
                    known,
                    ..self.begun(id, &row)
                });
            }
            if begun.elapsed() >= FIRST_STEPS {
                return Ok(Begun {
                    id,
                    state: "accepted".to_owned(),
                    done: false,
                    show: serde_json::Map::new(),
                    known,
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn newest(&self, process: &str, key: &str) -> Result<Option<InstanceRow>, StoreError> {
        let Some(sym) = self.acceptor.store.lookup(process) else {
            return Ok(None);
        };
        let key = self.acceptor.business_key(key);
        let rows = self.acceptor.store.instances_of(sym, key, 1).await?;
        Ok(rows.into_iter().next())
    }

    /// How far the instance is that a call of this client started; `None` where there is none, or
    /// **another client's**.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn status(
        &self,
        process: &str,
        client: &str,
        id: &str,
    ) -> Result<Option<Begun>, StoreError> {
        let Some((id, row)) = self.own(process, client, id).await? else {
            return Ok(None);
        };
        Ok(Some(match row {
            Some(row) => self.begun(id, &row),
            None => Begun {
                id,
                state: "accepted".to_owned(),
                done: false,
                show: serde_json::Map::new(),
                known: false,
            },
        }))
    }

    /// Tells the instance something that a call of this client started; `None` as for
    /// [`Self::status`].
    ///
    /// # Errors
    /// [`Refused`]; nothing was recorded then.
    pub async fn signal(
        &self,
        process: &str,
        id: &str,
        call: LaterCall<'_>,
    ) -> Result<Option<Begun>, Refused> {
        let Some((id, Some(row))) = self.own(process, call.client, id).await? else {
            return Ok(None);
        };
        let Ok(Content::Json(data)) = route::read(route::JSON, &call.body) else {
            return Err(Refused::Unfit("the body is not JSON".to_owned()));
        };
        if !self.is_about(&row, call.operation, &data).await? {
            // What it waited for may have come by this very call.
            if self.was_told(&row, &call, &data).await? {
                return Ok(Some(Begun {
                    known: true,
                    ..self.begun(id, &row)
                }));
            }
            return Err(Refused::Another);
        }
        let key = PlainKey::Recorded(row.key.clone());
        let deferral = Deferral::new(Arc::clone(&self.acceptor));
        let known = match deferral.accept_under(call, Some(key)).await? {
            Taken::Accepted(_) => false,
            Taken::Again(_) => true,
            Taken::Different => return Err(Refused::Reused),
        };
        Ok(Some(Begun {
            known,
            ..self.begun(id, &row)
        }))
    }

    /// Whether an event would find this very instance: by its key, or by what it waits for.
    async fn is_about(
        &self,
        row: &InstanceRow,
        operation: &str,
        data: &Value,
    ) -> Result<bool, StoreError> {
        let plan = self.acceptor.plan();
        let event = plan
            .later
            .get(operation)
            .and_then(|later| later.ways.first())
            .and_then(|(_, flow)| plan.flows[*flow].emit.as_ref())
            .map(|event| Arc::clone(&event.name));
        let Some(event) = event else {
            return Ok(false);
        };
        let subject = Subject::json(data.clone());
        for correlator in plan.processes.correlators(&event) {
            let Ok(Some(value)) =
                with_runtime(|runtime| correlator.expression.key(&subject, runtime))
            else {
                continue;
            };
            let index = self.acceptor.business_key(&value);
            if index == row.key.index {
                return Ok(true);
            }
            let Some(sym) = self.acceptor.store.lookup(&correlator.name) else {
                continue;
            };
            let waiting = self.acceptor.store.waiting(sym, index, 64).await?;
            if waiting.iter().any(|wait| wait.instance == row.id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this client told the instance the same before. Only what was about it was recorded
    /// under its key.
    async fn was_told(
        &self,
        row: &InstanceRow,
        call: &LaterCall<'_>,
        data: &Value,
    ) -> Result<bool, Refused> {
        let store = &self.acceptor.store;
        let (Some(source), Some(kind)) = (
            store.lookup(&source_of(call.client)),
            store.lookup(call.operation),
        ) else {
            return Ok(false);
        };
        let filter = MessageFilter {
            term: Some(row.key.index),
            source: Some(source),
            kind: Some(kind),
            roots_only: true,
            limit: TOLD,
            ..MessageFilter::default()
        };
        for message in store.messages(&filter).await?.rows {
            let own = message.key.as_ref().map(|key| key.index) == Some(row.key.index);
            let later = message.id.0 > row.id.0;
            let told = self.book.event(message.id).await.map_err(NotTaken::from)?;
            if own && later && told.as_ref() == Some(data) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The instance that a call of this client started, if it is there by now.
    async fn own(
        &self,
        process: &str,
        client: &str,
        id: &str,
    ) -> Result<Option<(MessageId, Option<InstanceRow>)>, StoreError> {
        let store = &self.acceptor.store;
        let Ok(id) = id.parse::<MessageId>() else {
            return Ok(None);
        };
        let source = store.lookup(&source_of(client));
        let Some(message) = store
            .message(id)
            .await?
            .filter(|message| message.cause.is_none() && Some(message.source) == source)
        else {
            return Ok(None);
        };
        let kind = store.name(message.kind);
        let plan = self.acceptor.plan();
        let starts = kind
            .as_deref()
            .and_then(|kind| plan.later.get(kind))
            .and_then(|later| later.starts.as_deref());
        if starts != Some(process) {
            return Ok(None);
        }
        let (Some(sym), Some(key)) = (store.lookup(process), message.key) else {
            return Ok(None);
        };
        let rows = store.instances_of(sym, key.index, 1).await?;
        Ok(Some((id, rows.into_iter().next())))
    }

    fn begun(&self, id: MessageId, row: &InstanceRow) -> Begun {
        let name = |sym| {
            self.acceptor
                .store
                .name(sym)
                .map_or_else(String::new, |name| name.to_string())
        };
        // What a person must do about it is not the caller's business.
        let word = match row.phase {
            Phase::Running | Phase::Asking | Phase::Stuck => "running",
            ended => ended.as_str(),
        };
        Begun {
            id,
            state: row.status.map_or_else(|| word.to_owned(), name),
            done: !row.phase.is_open(),
            show: self.book.shown(row),
            known: false,
        }
    }
}
