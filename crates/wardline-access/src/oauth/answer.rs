//! Answers of the endpoints. What is refused is told by one of a few fixed texts (RFC 6749
//! §5.2); why stands in the audit log.

use crate::token::Reason;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

/// An answer without a body.
pub(super) fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

pub(super) fn not_allowed(methods: &'static str) -> Response<Bytes> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// JSON that nobody may keep.
pub(super) fn private_json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// What a client may know of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OAuthError {
    InvalidRequest,
    InvalidClient,
    InvalidScope,
    InvalidTarget,
    UnsupportedGrantType,
    ServerError,
}

impl OAuthError {
    /// Whatever is wrong with a client's credential is one and the same to it.
    pub(super) const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Request => Self::InvalidRequest,
            Reason::Scope => Self::InvalidScope,
            Reason::Target => Self::InvalidTarget,
            Reason::Internal | Reason::NoKeys => Self::ServerError,
            _ => Self::InvalidClient,
        }
    }

    pub(super) fn response(self) -> Response<Bytes> {
        let (status, body) = match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_request"}"#),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_scope"}"#),
            Self::InvalidTarget => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_target"}"#),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                r#"{"error":"unsupported_grant_type"}"#,
            ),
            Self::ServerError => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"temporarily_unavailable"}"#,
            ),
        };
        let mut response = private_json(status, &Value::Null);
        *response.body_mut() = Bytes::from_static(body.as_bytes());
        if self == Self::InvalidClient {
            // RFC 6749 §5.2 and RFC 9110 §15.5.2: a 401 names a scheme.
            let challenge = HeaderValue::from_static(r#"Basic realm="oauth""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
