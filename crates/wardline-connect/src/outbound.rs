//! The seam between the engine and a destination: one attempt, and how it ended.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use wardline_core::Code;

/// Sends to one connection. One call is one attempt; nothing is retried behind it.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Sends and waits for the answer, within the connection's own timeouts.
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure>;

    /// Where files go, where this is what writes them.
    fn place(&self) -> Option<crate::files::Place> {
        None
    }

    /// What this sends to, for people: `mllp ehr.example:2576 (tls)`. Holds no secret.
    fn describe(&self) -> String;
}

/// One attempt of one delivery.
#[derive(Clone)]
pub struct Request<'a> {
    /// The same for all attempts of a delivery: the delivery id.
    pub idempotency_key: &'a str,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The payload.
    pub body: Bytes,
    /// Its media type, such as `application/json`; MLLP ignores it.
    pub content_type: &'a str,
    /// HTTP only; the connection's own method (POST) where absent.
    pub method: Option<Method>,
    /// HTTP only: the rendered path (and query), put behind the connection's URL.
    pub path: Option<&'a str>,
    /// Correlation id of the trace.
    pub correlation: &'a str,
}

impl fmt::Debug for Request<'_> {
    /// Without the body and the path: a rendered path may hold a patient's number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("idempotency_key", &self.idempotency_key)
            .field("attempt", &self.attempt)
            .field("body_bytes", &self.body.len())
            .field("content_type", &self.content_type)
            .field("method", &self.method)
            .field("has_path", &self.path.is_some())
            .field("correlation", &self.correlation)
            .finish()
    }
}

/// What the destination answered.
#[derive(Clone, Default)]
pub struct Reply {
    /// The protocol's own word: `200` or `AA`.
    pub status: String,
    /// Media type of the body; empty where there is none.
    pub content_type: String,
    /// The answer, at most the connection's limit.
    pub body: Bytes,
    /// Whether the answer was longer than the limit and its rest was thrown away.
    pub truncated: bool,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .finish()
    }
}

/// What kind of failure an attempt met. The engine decides what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection could be made; the payload never left.
    Unreachable,
    /// No answer in time; the destination may or may not have taken the payload.
    Timeout,
    /// The destination says that it has too much to do.
    Busy {
        /// When it wants to be asked again, at most 24 hours.
        retry_after: Option<Duration>,
    },
    /// Anything else that may pass.
    Transient,
    /// Sending the same again is pointless.
    Permanent,
}

impl FailureKind {
    /// Whether another attempt with the same payload may succeed.
    pub const fn may_pass(self) -> bool {
        !matches!(self, Self::Permanent)
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// A stable code of [`crate::codes`].
    pub code: Code,
    /// What was attempted on what, and what to look at; never holds payload.
    pub text: String,
    /// What the destination answered, where it did.
    pub reply: Option<Box<Reply>>,
}

impl Failure {
    /// A failure without an answer.
    pub fn new(kind: FailureKind, code: Code, text: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            text: text.into(),
            reply: None,
        }
    }

    /// The same failure with what the destination answered.
    #[must_use]
    pub fn with_reply(mut self, reply: Reply) -> Self {
        self.reply = Some(Box::new(reply));
        self
    }
}
