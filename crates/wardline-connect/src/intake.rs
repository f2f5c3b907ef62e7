//! The seam between a listener and the engine: what arrived, and what became of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use wardline_core::{Code, MessageId, Timestamp};

use crate::{ContentType, Resources};

/// Takes messages in. Implemented by the engine; called by every listener.
///
/// Calls for one MLLP connection are *started* in the order of arrival: each future is polled
/// once before the next is made. Up to the connection's read-ahead of them may then be pending
/// at the same time, so that a sender that pipelines shares group commits. An implementation
/// that takes its place in line before it first suspends therefore keeps the sender's order.
///
/// A future must be allowed to finish: a listener never drops one that has been polled, except
/// when its own drain limit ends at shutdown.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Makes the message durable, or says why not. The listener answers its peer only when
    /// this returns.
    async fn accept(&self, received: Received) -> Verdict;

    /// Who keeps resources that senders read back (SCIM); nobody, where messages are only taken.
    fn resources(&self) -> Option<&dyn Resources> {
        None
    }
}

/// The header by which a listener that speaks of operations (SOAP) tells the engine which one was
/// asked for; no sender can set it.
pub const OPERATION: &str = "wardline-operation";

/// One message as it came in, before anything was done to it.
#[derive(Clone)]
pub struct Received {
    /// The connection it came through, `system.connection`, such as `ehr.adt`.
    pub source: Arc<str>,
    /// What the sender (or the protocol) says it is.
    pub content_type: ContentType,
    /// The message without framing, byte for byte.
    pub body: Bytes,
    /// When its last byte was read.
    pub received: Timestamp,
    /// The other end, where there is one.
    pub peer: Option<SocketAddr>,
    /// Selected headers, names in lower case: `idempotency-key`, `traceparent`,
    /// `x-correlation-id`, `webhook-id`. Empty for MLLP.
    pub headers: Vec<(String, String)>,
    /// The positive answer that will be given, to be kept and handed back in
    /// [`Verdict::Duplicate`] when the same message comes again. Opaque to the engine: for MLLP
    /// the framed acknowledgements (none, one or two), for HTTP a JSON object to which the
    /// listener adds the message id.
    pub answer: Bytes,
    /// A name that the protocol itself vouches for: what comes again under it is the same message,
    /// whatever its body says, and is not taken twice. Files have one for each record.
    pub once: Option<String>,
    /// Where the listener has found the message wrong and it is recorded for people to see, as a
    /// dead delivery with this reason. The reason holds no payload.
    pub fault: Option<(Code, String)>,
}

impl Received {
    /// The value of a selected header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Received {
    /// Sizes and names only: the body, the answer and header values may be sensitive.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("source", &self.source)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .field("received", &self.received)
            .field("peer", &self.peer)
            .field(
                "headers",
                &self
                    .headers
                    .iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .field("answer_bytes", &self.answer.len())
            .field("fault", &self.fault.as_ref().map(|(code, _)| code))
            .finish_non_exhaustive()
    }
}

/// What became of a message.
#[derive(Clone)]
pub enum Verdict {
    /// It and everything that follows from it are on stable storage.
    Accepted {
        /// The id under which it was recorded.
        id: MessageId,
    },
    /// It came before; the first answer is given again.
    Duplicate {
        /// The id of the first.
        original: MessageId,
        /// [`Received::answer`] of the first.
        answer: Bytes,
    },
    /// It was not taken. `text` is sent to the peer, so it must not quote the message.
    Refused {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        text: String,
        /// Whether sending the same bytes again is pointless (MLLP `AR`/`CR`, HTTP 422) or
        /// may help (MLLP `AE`/`CE`, HTTP 503).
        permanent: bool,
    },
    /// There is no room now. MLLP stops reading and offers it again; HTTP answers 503.
    Busy {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        text: String,
        /// When to come again.
        retry_after: Duration,
    },
}

impl Verdict {
    /// Whether it was not taken, so that it has to come again.
    pub(crate) const fn is_away(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Refused { .. })
    }
}

impl fmt::Debug for Verdict {
    /// Without the kept answer, which may quote fields of the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { id } => f.debug_struct("Accepted").field("id", id).finish(),
            Self::Duplicate { original, answer } => f
                .debug_struct("Duplicate")
                .field("original", original)
                .field("answer_bytes", &answer.len())
                .finish(),
            Self::Refused {
                code,
                text,
                permanent,
            } => f
                .debug_struct("Refused")
                .field("code", code)
                .field("text", text)
                .field("permanent", permanent)
                .finish(),
            Self::Busy {
                code,
                text,
                retry_after,
            } => f
                .debug_struct("Busy")
                .field("code", code)
                .field("text", text)
                .field("retry_after", retry_after)
                .finish(),
        }
    }
}

/// Begins an offer, so far that whether there is room for it is known; `away` says of a verdict
/// that there was none. Whoever offers several at a time begins none behind one that was turned
/// away: what follows would be taken before it.
pub(crate) async fn begin<'a, T: Send + 'a>(
    mut offer: BoxFuture<'a, T>,
    away: impl Fn(&T) -> bool,
) -> (BoxFuture<'a, T>, bool) {
    match futures::poll!(&mut offer) {
        Poll::Pending => (offer, false),
        Poll::Ready(done) => {
            let away = away(&done);
            (std::future::ready(done).boxed(), away)
        }
    }
}
