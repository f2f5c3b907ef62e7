//! The way in for calls that are answered before they are carried out: durable first, then 202,
//! then sent like every other delivery.

use crate::accept::{AcceptError, Acceptor, Root, unique_id, with_runtime};
use crate::plan::FieldPath;
use crate::route::{self, Arrival, Start};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wardline_core::{DeliveryId, DeliveryState, Id, MessageId, Timestamp};
use wardline_mapping::{Metadata, Subject};
use wardline_store::{Change, Dedup, DeliveryRow, Outcome, StoreError};
use wardline_vault::Kind;

/// Messages and deliveries of one call that its status looks at.
const STATUS_LIMIT: usize = 2_000;

/// A call that is to be carried out later.
#[derive(Debug)]
pub struct LaterCall<'a> {
    /// `api/vMAJOR.operation`.
    pub operation: &'a str,
    /// The system that the bindings chose, for operations that are bound to systems.
    pub system: Option<&'a str>,
    /// Who calls; empty where nobody had to say.
    pub client: &'a str,
    /// The call's correlation id: the message can be found by it.
    pub correlation: &'a str,
    /// The facility that it is about.
    pub facility: Option<&'a str>,
    /// JSON, with what the path named.
    pub body: Bytes,
    /// The client's idempotency key.
    pub once: Option<Once<'a>>,
}

/// An idempotency key that came with a call.
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// The key.
    pub key: &'a str,
    /// What makes two calls the same.
    pub digest: [u8; 32],
    /// How long the key is remembered.
    pub keep: Duration,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is durable, under this id.
    Accepted(MessageId),
    /// It was so before, under this id; nothing was recorded.
    Again(MessageId),
    /// Its key came with another call before; nothing was recorded.
    Different,
}

/// Why a call was not taken. Nothing of it was recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotTaken {
    /// The running estate has no such operation, or no such system serves it.
    #[error("`{0}` is not served later by this estate")]
    Unknown(String),
    /// The engine is stopping.
    #[error("wardline is stopping")]
    Stopping,
    /// The journal did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be sealed.
    #[error("{0}")]
    Vault(String),
}

impl From<AcceptError> for NotTaken {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Store(error) => Self::Store(error),
            AcceptError::Vault(text, _) => Self::Vault(text),
        }
    }
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Durable; nothing was sent yet.
    Accepted,
    /// Sent at least once without success, or stopped until a person decides.
    Waiting,
    /// Everything that follows from it has arrived.
    Delivered,
    /// Given up. People may send it again.
    Failed,
    /// Withdrawn by a person.
    Cancelled,
}

impl Progress {
    /// The word for callers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it goes on by itself.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Accepted | Self::Waiting)
    }
}

/// Takes calls that are carried out later, and says how far they are.
#[derive(Clone)]
pub struct Deferral {
    acceptor: Arc<Acceptor>,
}

impl Deferral {
    pub(crate) const fn new(acceptor: Arc<Acceptor>) -> Self {
        Self { acceptor }
    }

    /// Makes a call durable together with everything that follows from it.
    ///
    /// # Errors
    /// [`NotTaken`]; nothing was recorded then.
    pub async fn accept(&self, call: LaterCall<'_>) -> Result<Taken, NotTaken> {
        self.accept_under(call, None).await
    }

    /// The same under a key that whoever calls has found.
    pub(crate) async fn accept_under(
        &self,
        call: LaterCall<'_>,
        key: Option<route::PlainKey>,
    ) -> Result<Taken, NotTaken> {
        let acceptor = &self.acceptor;
        if acceptor.stopping.load(Ordering::Relaxed) {
            return Err(NotTaken::Stopping);
        }
        let unknown = || NotTaken::Unknown(call.operation.to_owned());
        let plan = acceptor.plan();
        let later = plan.later.get(call.operation).ok_or_else(unknown)?;
        let way = later
            .ways
            .iter()
            .find(|(system, _)| system.as_deref() == call.system);
        let (_, flow) = way.ok_or_else(unknown)?;
        let source = acceptor.sym(&source_of(call.client)).await?;
        let kind = acceptor.sym(call.operation).await?;
        let content_type = acceptor.sym(route::JSON).await?;
        let received = acceptor.clock.now();
        let subject = route::read(route::JSON, &call.body).map(|content| {
            Subject::new(content).with(Metadata {
                source: Some(source_of(call.client).into()),
                message_type: Some(call.operation.into()),
                received: Some(received.to_string().into()),
                facility: call.facility.map(Arc::from),
                id: Some(unique_id(received).into()),
                correlation_id: Some(call.correlation.into()),
                ..Metadata::default()
            })
        });
        let mut terms = vec![call.correlation.to_owned()];
        if let Ok(subject) = &subject {
            terms.extend(later.keys.iter().filter_map(|path| text_at(subject, path)));
        }
        let arrival = Arrival {
            subject,
            key,
            lane: plan.flows[*flow].lane,
        };
        let mut derived =
            with_runtime(|runtime| route::route(&plan, Start::Flow(*flow), arrival, runtime));
        if let Some(first) = derived.messages.first_mut() {
            first.terms.extend(terms);
        }
        let root = Root {
            source,
            kind,
            content_type,
            cause: None,
            received,
            size: u32::try_from(call.body.len()).unwrap_or(u32::MAX),
            payload: acceptor
                .vault
                .seal(Kind::Message, &call.body)
                .map_err(AcceptError::from)?,
        };
        let mut acceptance = acceptor.seal(&plan, derived, Some(root), None)?;
        acceptance.dedup = call.once.as_ref().map(|once| {
            let parts: [&[u8]; 3] = [
                b"idempotency-key",
                call.operation.as_bytes(),
                once.key.as_bytes(),
            ];
            let keep = i64::try_from(once.keep.as_micros()).unwrap_or(i64::MAX);
            let since = Timestamp(received.0.saturating_sub(keep));
            Dedup {
                source,
                hash: acceptor.vault.dedup_hash(parts),
                digest: acceptor.vault.digest(&once.digest),
                answer: Bytes::new(),
                since: Some(Id::from_parts(since.unix_ms().max(0), 0, 0)),
            }
        });
        let change = Change::Accept(Box::new(acceptance));
        let outcomes = acceptor.store.commit(vec![change]).await?;
        match outcomes.into_iter().next() {
            Some(Outcome::Accepted(accepted)) => Ok(match accepted.duplicate {
                None => Taken::Accepted(MessageId(accepted.first)),
                Some(known) if known.differs => Taken::Different,
                Some(known) => Taken::Again(known.original),
            }),
            _ => Err(StoreError::Closed.into()),
        }
    }

    /// How far a call is; `None` where the id is unknown, forgotten, of another operation or
    /// **another client's**.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn progress(
        &self,
        operation: &str,
        client: &str,
        id: &str,
    ) -> Result<Option<Progress>, StoreError> {
        let store = &self.acceptor.store;
        let Ok(id) = id.parse::<MessageId>() else {
            return Ok(None);
        };
        let (source, kind) = (store.lookup(&source_of(client)), store.lookup(operation));
        let own = store.message(id).await?.is_some_and(|message| {
            message.cause.is_none() && Some(message.source) == source && Some(message.kind) == kind
        });
        if !own {
            return Ok(None);
        }
        let Some(trace) = store.trace(id.0, STATUS_LIMIT).await? else {
            return Ok(None);
        };
        if trace.truncated {
            return Ok(Some(Progress::Waiting));
        }
        Ok(Some(folded(&trace.deliveries)))
    }
}

/// The source of messages that a client hands in.
pub(crate) fn source_of(client: &str) -> String {
    if client.is_empty() {
        "client".to_owned()
    } else {
        format!("client/{client}")
    }
}

/// One word for all deliveries. What was repeated counts as what its repeat became.
fn folded(deliveries: &[DeliveryRow]) -> Progress {
    let repeated: Vec<DeliveryId> = deliveries.iter().filter_map(|row| row.replay_of).collect();
    let counts = |row: &&DeliveryRow| !repeated.contains(&row.id);
    let mut progress = None;
    for row in deliveries.iter().filter(counts) {
        let next = match row.state {
            DeliveryState::Pending if row.attempts == 0 => Progress::Accepted,
            DeliveryState::Pending | DeliveryState::Retrying | DeliveryState::Held => {
                Progress::Waiting
            }
            DeliveryState::Dead => Progress::Failed,
            DeliveryState::Delivered => Progress::Delivered,
            DeliveryState::Cancelled => Progress::Cancelled,
        };
        let weight = |progress: Progress| match progress {
            Progress::Waiting => 4,
            Progress::Accepted => 3,
            Progress::Failed => 2,
            Progress::Delivered => 1,
            Progress::Cancelled => 0,
        };
        let worse = progress.is_none_or(|known| weight(next) > weight(known));
        progress = if worse { Some(next) } else { progress };
    }
    // An event that nobody had to hear of has arrived everywhere.
    progress.unwrap_or(Progress::Delivered)
}

fn text_at(subject: &Subject, path: &str) -> Option<String> {
    route::field_text(&FieldPath::Json(path.to_owned()), subject, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_core::{Lane, Sym};

    fn row(id: i64, state: DeliveryState, attempts: u32, replay_of: Option<i64>) -> DeliveryRow {
        DeliveryRow {
            id: DeliveryId(Id::from_i64(id)),
            message: MessageId(Id::from_i64(1)),
            flow: Sym(1),
            destination: Sym(2),
            lane: Lane::Normal,
            key: None,
            state,
            attempts,
            next: None,
            first_attempt: None,
            settled: None,
            took_us: None,
            status: None,
            note: None,
            size: 0,
            content_type: Sym(3),
            own_body: false,
            has_response: false,
            replay_of: replay_of.map(|id| DeliveryId(Id::from_i64(id))),
        }
    }

    #[test]
    fn the_least_that_is_done_is_told() {
        use DeliveryState::{Cancelled, Dead, Delivered, Held, Pending, Retrying};
        let cases: [(&[DeliveryRow], Progress); 9] = [
            (&[], Progress::Delivered),
            (&[row(2, Pending, 0, None)], Progress::Accepted),
            (&[row(2, Retrying, 1, None)], Progress::Waiting),
            (&[row(2, Held, 9, None)], Progress::Waiting),
            (&[row(2, Cancelled, 0, None)], Progress::Cancelled),
            (
                &[row(2, Delivered, 1, None), row(3, Dead, 3, None)],
                Progress::Failed,
            ),
            (
                &[row(2, Dead, 1, None), row(3, Pending, 0, None)],
                Progress::Accepted,
            ),
            (
                &[row(2, Dead, 3, None), row(3, Delivered, 1, Some(2))],
                Progress::Delivered,
            ),
            (
                &[row(2, Cancelled, 3, None), row(3, Delivered, 1, None)],
                Progress::Delivered,
            ),
        ];
        for (rows, expected) in cases {
            assert_eq!(folded(rows), expected, "{rows:?}");
        }
    }
}
