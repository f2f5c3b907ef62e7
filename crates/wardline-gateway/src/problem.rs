//! Negative answers: problem details (RFC 9457) whose `type` never changes.
//!
//! A `type` is `urn:wardline:problem:<slug>`. It is a URN and not an address, since a hospital's
//! network reaches nobody else's pages; [`explanations`] and the reference say what each means.
//! No problem holds a value of the request: what is wrong is told by pointer and rule.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, Response, StatusCode};
use serde::Serialize;
use smallvec::SmallVec;
use std::time::Duration;

use crate::body::Body;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:ident, $title:literal, $help:literal;)*) => {
        /// What is wrong; each has one stable `type` and one status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, for the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The last part of its `type`.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }
            /// Its status.
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status,)* } }
            /// What it says in few words, the same for every occurrence.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
            /// What the caller can do about it.
            pub const fn help(self) -> &'static str { match self { $(Self::$name => $help,)* } }
        }
    };
}

kinds! {
    /// Bytes that two readers could cut into requests differently.
    Framing = "framing", BAD_REQUEST, "the request is not framed unambiguously", "Send one Content-Length or one `Transfer-Encoding: chunked`, lines that end with CRLF, and no folded headers. A proxy in between may have changed the request.";
    /// The head is larger than the listener takes.
    HeadTooLarge = "head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too large", "Send fewer or shorter headers.";
    /// The path cannot be read.
    BadPath = "bad-path", BAD_REQUEST, "the path is not acceptable", "Remove dot segments, empty segments, encoded slashes and control characters from the path.";
    /// Nothing is served at this path on this listener.
    NotFound = "not-found", NOT_FOUND, "nothing is served at this path", "Compare the path with the Api's /openapi.json. An Api that is not visible in a zone does not exist there.";
    /// Versions of the Api are served at this path, and none of them is meant.
    UnknownVersion = "unknown-version", BAD_REQUEST, "there is no such version", "Name one of the versions that there are in the header that tells them apart: its major number, or the whole version.";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "this path takes other methods", "Use one of the methods in `Allow`.";
    /// Nobody proved who they are.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "no valid proof of who calls", "Get a token from /oauth/token and send it as `Authorization: Bearer`. The reason is in the audit log of whom you call.";
    /// The keys of the token's issuer were never had, or not for a day.
    KeysAway = "keys-away", SERVICE_UNAVAILABLE, "the keys of the token's issuer cannot be had now", "Keep the token and send it again after `Retry-After`. Operators find in the log why the keys cannot be fetched.";
    /// Known, but not permitted.
    Forbidden = "forbidden", FORBIDDEN, "this caller may not do this", "Ask the Api's owner for the scope. `wardline policy explain` says which policy decided.";
    /// More than agreed.
    TooMany = "too-many-requests", TOO_MANY_REQUESTS, "more requests than agreed", "Wait as long as `Retry-After` says; refused calls are not counted.";
    /// The body is larger than the operation takes.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "the body is too large", "Send less at once. What arrives is counted, and so is what it unpacks to.";
    /// The body did not arrive in time.
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT, "the body did not arrive in time", "Send the body without pauses.";
    /// The body ended before it was whole, or cannot be unpacked.
    BodyBroken = "body-broken", BAD_REQUEST, "the body is not whole or not readable", "Send the whole body; where it is compressed, as gzip or deflate.";
    /// The content type is not one that the operation takes.
    MediaType = "media-type", UNSUPPORTED_MEDIA_TYPE, "this content type is not taken here", "Use the content type of the Api's contract, and no content coding but those allowed.";
    /// The request is not JSON.
    NotJson = "not-json", BAD_REQUEST, "the body is not valid JSON", "Send JSON as in RFC 8259, in UTF-8, without duplicate keys.";
    /// The request is not XML that is taken.
    NotXml = "not-xml", BAD_REQUEST, "the body is not XML that is taken", "Send one well-formed document in UTF-8, without a document type, entities of its own or XInclude, and within the limits of the Api.";
    /// The request breaks the contract.
    Contract = "contract", UNPROCESSABLE_ENTITY, "the request breaks the contract", "`errors` names each place by JSON pointer and the rule that it breaks.";
    /// The idempotency key is not usable.
    BadKey = "bad-idempotency-key", BAD_REQUEST, "the idempotency key is not usable", "Send one Idempotency-Key of 1 to 255 visible ASCII characters.";
    /// The same key came with another body.
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "this idempotency key came with another request before", "Use a new key for a new request.";
    /// The first request with the key is not answered yet.
    KeyInFlight = "idempotency-key-in-flight", CONFLICT, "the first request with this idempotency key is still in hand", "Ask again after `Retry-After`.";
    /// The first request with the key may have arrived, and its answer was lost.
    OutcomeUnknown = "idempotency-outcome-unknown", CONFLICT, "whether the first request with this idempotency key arrived is not known", "It may have been carried out: this server was stopped before an answer was kept. Look before you write again, then use a new key. This one stays used for the time that the Api declares.";
    /// No capacity is free.
    Busy = "busy", SERVICE_UNAVAILABLE, "all capacity for such calls is in use", "Come again after `Retry-After`.";
    /// No binding serves this request.
    NoBinding = "no-binding", SERVICE_UNAVAILABLE, "no system serves this request now", "Tell the Api's owner: no binding of the Api fits this request.";
    /// The system behind cannot be reached; the request did not arrive there.
    Unreachable = "unreachable", SERVICE_UNAVAILABLE, "the system behind cannot be reached", "The request did not arrive; send it again later.";
    /// The system behind broke off or gave an answer that cannot be used.
    BadAnswer = "bad-answer", BAD_GATEWAY, "the system behind gave no usable answer", "The request may have arrived. Look before you send a write again, or use an Idempotency-Key.";
    /// The system behind did not answer in time.
    TooLate = "too-late", GATEWAY_TIMEOUT, "the system behind did not answer in time", "The request may have arrived. Look before you send a write again, or use an Idempotency-Key.";
    /// The system behind refused; its own words are not passed on where answers are mapped or masked.
    RefusedBySystem = "refused-by-system", UNPROCESSABLE_ENTITY, "the system behind refused the request", "The status is the system's own. Its words are not passed on; its owner finds them by the correlation id.";
    /// The message could not be made durable.
    NotDurable = "not-durable", SERVICE_UNAVAILABLE, "the request could not be made durable", "Nothing was accepted; send it again later.";
    /// The audit log does not take the entry without which the answer may not leave.
    NotRecorded = "not-recorded", SERVICE_UNAVAILABLE, "the answer could not be recorded in the audit log", "What is sensitive is not given without a record. Where you asked for a change, it may have been made. Come again after `Retry-After`.";
    /// Something of ours went wrong.
    Internal = "internal", INTERNAL_SERVER_ERROR, "something went wrong here", "Tell the operators the correlation id; their log says more.";
}

/// Every kind with title and help: `urn:wardline:problem:<slug>`, for the reference.
pub fn explanations() -> impl Iterator<Item = (String, Kind)> {
    let all = Kind::ALL.iter();
    all.map(|kind| (format!("urn:wardline:problem:{}", kind.slug()), *kind))
}

/// One broken rule of a contract, without the value that breaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where: a JSON pointer into the body, or `query:NAME`, `path:NAME`, `header:NAME`.
    pub pointer: String,
    /// The rule, such as `required`.
    pub rule: String,
    /// What is expected, in words.
    pub detail: String,
}

/// At most so many violations are told at once.
const VIOLATIONS: usize = 20;

/// A refusal on its way to the caller. Small, since it travels as an error.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    detail: Option<String>,
    errors: Vec<Violation>,
    headers: SmallVec<[(HeaderName, HeaderValue); 1]>,
    status: StatusCode,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind) -> Self {
        Self(Box::new(Parts {
            kind,
            detail: None,
            errors: Vec::new(),
            headers: SmallVec::new(),
            status: kind.status(),
        }))
    }

    /// Says more. It must hold nothing that came with the request.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names the broken rules; the first twenty are told.
    #[must_use]
    pub fn errors(mut self, mut errors: Vec<Violation>) -> Self {
        errors.truncate(VIOLATIONS);
        self.0.errors = errors;
        self
    }

    /// When to come again, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// With a challenge (RFC 9110, 11.6.1).
    #[must_use]
    pub fn challenge(self, challenge: HeaderValue) -> Self {
        self.header(WWW_AUTHENTICATE, challenge)
    }

    /// With a header of its own, such as `RateLimit`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// With another status than its kind has.
    #[must_use]
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    pub(crate) fn is_status(&self, status: StatusCode) -> bool {
        self.0.status == status
    }

    /// What is wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The answer.
    pub(crate) fn into_response(self, correlation: &str) -> Response<Body> {
        self.into_answer(correlation).map(Body::full)
    }

    /// The answer of a [`Handler`](crate::seam::Handler), whole.
    pub(crate) fn into_answer(self, correlation: &str) -> Response<Bytes> {
        #[derive(Serialize)]
        struct Details<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            correlation_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [Violation],
        }
        let Parts {
            kind,
            detail,
            errors,
            headers: own,
            status,
        } = *self.0;
        let details = Details {
            r#type: format!("urn:wardline:problem:{}", kind.slug()),
            title: kind.title(),
            status: status.as_u16(),
            detail: detail.as_deref().unwrap_or(kind.help()),
            correlation_id: correlation,
            errors: &errors,
        };
        let text = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, problem);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in own {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}
