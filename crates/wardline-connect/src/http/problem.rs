//! Negative answers as problem details (RFC 9457), with the stable code. Boxed, since they
//! travel as errors.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use std::time::Duration;
use wardline_core::Code;

/// A problem answer. `detail` must hold nothing of the request.
pub(super) fn problem(status: StatusCode, code: Code, detail: &str) -> Box<Response<Full<Bytes>>> {
    let body = json!({
        "type": format!("urn:wardline:{code}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": code.0,
        "detail": detail,
    });
    let mut response = Box::new(Response::new(Full::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

/// 503 with `Retry-After` in whole seconds, at least one.
pub(super) fn come_later(code: Code, detail: &str, after: Duration) -> Box<Response<Full<Bytes>>> {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, code, detail);
    let seconds = after.as_millis().div_ceil(1000).max(1);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
