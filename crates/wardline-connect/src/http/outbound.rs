//! Messages out by HTTP: one request, and what its answer means.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use wardline_core::{Code, Timestamp};

use super::config::OutboundConfig;
use super::reach::{NotPublic, Reach, Resolver, why_not_public};
use super::retry_after;
use crate::error::in_words;
use crate::tls::ClientTls;
use crate::{ConnectError, Failure, FailureKind, Reply, Request, codes};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How long an idle connection is kept for reuse.
const IDLE: Duration = Duration::from_secs(55);
/// Bytes kept of an answer from an url that others supplied.
const PUBLIC_ANSWER: usize = 64 << 10;

/// Sends to one base URL over a pool of kept-alive connections.
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    base: Uri,
    /// Path of the base URL without its last `/`.
    prefix: String,
    credential: Option<(HeaderName, HeaderValue)>,
    config: OutboundConfig,
}

impl Outbound {
    /// Builds TLS and the pool; connects to nothing yet.
    pub fn new(config: OutboundConfig) -> Result<Self, ConnectError> {
        let bad = |what, detail: String| ConnectError::BadSetting {
            name: config.name.to_string(),
            what,
            value: config.url.clone(),
            detail,
        };
        let base: Uri = config
            .url
            .parse()
            .map_err(|error| bad("the URL", format!("{error}")))?;
        let secure = match (base.scheme_str(), base.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(_)) => false,
            _ => {
                return Err(bad(
                    "the URL",
                    "it must begin with http:// or https:// and name a host".into(),
                ));
            }
        };
        if base.query().is_some()
            || base
                .authority()
                .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(bad(
                "the URL",
                "it may hold neither a query nor a password".into(),
            ));
        }
        let tls = if secure {
            config.tls.build(&config.name)?
        } else {
            ClientTls::for_plain_connections()
        };
        if config.reach == Reach::Public
            && let Some(why) = why_not_public(&config.url)
        {
            return Err(bad("the URL", why.to_owned()));
        }
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(config.reach));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        let mut connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        if config.tls.server_name.is_some() {
            let name = config
                .tls
                .verified_name(&config.name, base.host().unwrap_or_default())?;
            connector = connector.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.idle_connections)
            .build(connector.enable_http1().enable_http2().wrap_connector(tcp));
        let credential = config.auth.header().map_err(|_| {
            bad(
                "the credential",
                "it holds bytes that no header may hold".into(),
            )
        })?;
        let prefix = base.path().trim_end_matches('/').to_owned();
        Ok(Self {
            client,
            base,
            prefix,
            credential,
            config,
        })
    }

    fn build(&self, request: &Request<'_>) -> Result<http::Request<Full<Bytes>>, Failure> {
        let fail = |what: &str| {
            let text = format!("cannot send to {}: {what}", self.config.name);
            Failure::new(FailureKind::Permanent, codes::HTTP_UNSENDABLE, text)
        };
        let value = |text: &str, what: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| fail(&format!("{what} holds characters that no header may hold")))
        };
        let path = request.path.unwrap_or("");
        if !path.is_empty() && !path.starts_with(['/', '?']) {
            return Err(fail("the rendered path does not begin with `/`"));
        }
        if has_dot_segment(path) {
            return Err(fail(
                "the rendered path holds a `.` or `..` segment, which would leave the operation's place",
            ));
        }
        let whole = match (self.prefix.as_str(), path) {
            ("", "") => "/".to_owned(),
            (prefix, path) => format!("{prefix}{path}"),
        };
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(
            whole
                .parse()
                .map_err(|_| fail("the rendered path is not a URL path"))?,
        );
        let uri =
            Uri::from_parts(parts).map_err(|_| fail("the rendered path is not a URL path"))?;

        let method = request
            .method
            .clone()
            .unwrap_or_else(|| self.config.method.clone());
        let without_body = request.body.is_empty()
            && matches!(method, Method::GET | Method::HEAD | Method::DELETE);
        let mut built = http::Request::new(Full::new(request.body.clone()));
        *built.method_mut() = method;
        *built.uri_mut() = uri;
        let headers = built.headers_mut();
        headers.clone_from(&self.config.headers);
        if !without_body {
            headers.insert(
                CONTENT_TYPE,
                value(request.content_type, "the content type")?,
            );
        }
        headers.insert(
            IDEMPOTENCY_KEY,
            value(request.idempotency_key, "the idempotency key")?,
        );
        if !request.correlation.is_empty() {
            headers.insert(
                CORRELATION,
                value(request.correlation, "the correlation id")?,
            );
            headers.insert(TRACEPARENT, value(&traceparent(request), "the trace")?);
        }
        if let Some(signer) = &self.config.webhook {
            // The id is that of the delivery, so every attempt has the same, and its own time.
            let now = Timestamp::now();
            if !signer.sign(headers, request.idempotency_key, &request.body, now) {
                return Err(fail("the delivery's id fits no header"));
            }
        }
        if let Some((name, credential)) = &self.credential {
            headers.insert(name, credential.clone());
        }
        Ok(built)
    }

    /// Sends with further headers of this one request.
    ///
    /// # Errors
    /// As [`crate::Outbound::send`].
    pub(crate) async fn send_with(
        &self,
        request: Request<'_>,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Reply, Failure> {
        let (_, reply) = self.ask(request, headers, 0).await?;
        Ok(reply)
    }

    /// The same, with the head of the answer. So many bytes of a whole answer (200, not 206) are
    /// passed over without being kept.
    ///
    /// # Errors
    /// As [`crate::Outbound::send`].
    pub(crate) async fn ask(
        &self,
        request: Request<'_>,
        headers: &[(HeaderName, HeaderValue)],
        skip: u64,
    ) -> Result<(HeaderMap, Reply), Failure> {
        let mut built = self.build(&request)?;
        for (name, value) in headers {
            built.headers_mut().insert(name, value.clone());
        }
        let Ok(exchanged) = timeout(self.config.timeout, self.exchange(built, skip)).await else {
            let text = format!(
                "{} did not answer within {:?}",
                self.describe_target(),
                self.config.timeout
            );
            return Err(Failure::new(
                FailureKind::Timeout,
                codes::HTTP_TIMEOUT,
                text,
            ));
        };
        let (head, reply) = exchanged?;
        let later = later(&head);
        let status = reply.status.parse().unwrap_or(StatusCode::BAD_GATEWAY);
        if status == StatusCode::GONE && self.config.webhook.is_some() {
            let text = format!(
                "{} answered {status}: nobody wants these webhooks any more",
                self.describe_target()
            );
            let gone = Failure::new(FailureKind::Permanent, codes::HTTP_GONE, text);
            return Err(gone.with_reply(reply));
        }
        match classify(status, later) {
            None => Ok((head, reply)),
            Some((kind, code, meaning)) => {
                let text = format!("{} answered {status}: {meaning}", self.describe_target());
                Err(Failure::new(kind, code, text).with_reply(reply))
            }
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Full<Bytes>>,
        skip: u64,
    ) -> Result<(HeaderMap, Reply), Failure> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| self.not_sent(&error))?;
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let status = head.status.as_str().to_owned();
        let skip = if head.status == StatusCode::OK {
            skip
        } else {
            0
        };
        let (body, truncated) = read(body, skip, self.answer_limit())
            .await
            .map_err(|error| {
                let text = format!(
                    "the connection to {} ended before the answer was whole: {error}",
                    self.describe_target()
                );
                Failure::new(FailureKind::Transient, codes::HTTP_LOST, text)
            })?;
        let reply = Reply {
            status,
            content_type,
            body,
            truncated,
        };
        Ok((head.headers, reply))
    }

    fn not_sent(&self, error: &ClientError) -> Failure {
        let reason = in_words(error);
        let target = self.describe_target();
        if is_not_public(error) {
            let text = format!("will not connect to {target}: {NotPublic}");
            Failure::new(FailureKind::Permanent, codes::HTTP_NOT_PUBLIC, text)
        } else if error.is_connect() {
            let text = format!("cannot connect to {target}: {reason}");
            Failure::new(FailureKind::Unreachable, codes::HTTP_UNREACHABLE, text)
        } else {
            let text = format!("the connection to {target} ended before the answer: {reason}");
            Failure::new(FailureKind::Transient, codes::HTTP_LOST, text)
        }
    }

    /// An answer from outside is kept for people to read, and needs no more than this.
    fn answer_limit(&self) -> usize {
        match self.config.reach {
            Reach::Anywhere => self.config.max_response,
            Reach::Public => self.config.max_response.min(PUBLIC_ANSWER),
        }
    }

    /// An address as what stands behind our base: a path, a query or both. `None` where it is of
    /// another server, or not below the base.
    pub(crate) fn below(&self, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok()?;
        let same = uri.scheme() == self.base.scheme() && uri.authority() == self.base.authority();
        // What names no server is of the one that said it.
        if !same && (uri.scheme().is_some() || uri.authority().is_some()) {
            return None;
        }
        let rest = uri.path_and_query()?.as_str().strip_prefix(&self.prefix)?;
        let fits = rest.is_empty() || rest.starts_with(['/', '?']);
        (fits && !has_dot_segment(rest)).then(|| rest.to_owned())
    }

    fn describe_target(&self) -> String {
        let authority = self
            .base
            .authority()
            .map_or("", http::uri::Authority::as_str);
        format!("{} ({authority})", self.config.name)
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        self.send_with(request, &[]).await
    }

    fn describe(&self) -> String {
        format!("http {}", self.config.url)
    }
}

/// What a status means for the delivery; `None` for success.
fn classify(
    status: StatusCode,
    later: Option<Duration>,
) -> Option<(FailureKind, Code, &'static str)> {
    let busy = FailureKind::Busy { retry_after: later };
    Some(match status.as_u16() {
        200..=299 => return None,
        // The fault lies in a credential, not in the payload: what waits goes out once it is mended.
        401 | 403 | 407 => (
            FailureKind::Transient,
            codes::HTTP_CREDENTIALS,
            "it refuses our credentials",
        ),
        429 | 503 => (busy, codes::HTTP_BUSY, "it has too much to do"),
        408 | 425 | 500..=599 if later.is_some() => {
            (busy, codes::HTTP_BUSY, "it asks to come later")
        }
        408 | 425 | 500..=599 => (
            FailureKind::Transient,
            codes::HTTP_SERVER_ERROR,
            "it failed",
        ),
        300..=399 => (
            FailureKind::Permanent,
            codes::HTTP_REDIRECT,
            "redirects are not followed",
        ),
        _ => (
            FailureKind::Permanent,
            codes::HTTP_REJECTED,
            "it refuses this request",
        ),
    })
}

/// When a server asks to come again.
pub(crate) fn later(head: &HeaderMap) -> Option<Duration> {
    let value = head.get(RETRY_AFTER)?.to_str().ok()?;
    retry_after::parse(value, Timestamp::now())
}

/// Passes over `skip` bytes of an answer, then reads up to `limit` bytes; says whether more followed. What follows is not read,
/// which costs the connection but never the memory.
async fn read(
    mut body: Incoming,
    mut skip: u64,
    limit: usize,
) -> Result<(Bytes, bool), hyper::Error> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame?.into_data() else {
            continue;
        };
        let passed = data.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
        data.advance(passed);
        skip -= passed as u64;
        let room = limit - kept.len();
        if data.len() > room {
            kept.extend_from_slice(&data[..room]);
            return Ok((kept.freeze(), true));
        }
        kept.extend_from_slice(&data);
    }
    Ok((kept.freeze(), false))
}

/// Whether a path has a segment `.` or `..`, plain or percent-encoded.
fn has_dot_segment(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|segment| {
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        dots == "." || dots == ".."
    })
}

/// A W3C trace context (Trace Context level 1) made from the correlation id, so that all hops
/// of one trace share its trace id and each attempt is a span of its own.
fn traceparent(request: &Request<'_>) -> String {
    let trace = digest(&SHA256, request.correlation.as_bytes());
    let span = digest(
        &SHA256,
        format!("{}/{}", request.idempotency_key, request.attempt).as_bytes(),
    );
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    for (bytes, end) in [(&trace.as_ref()[..16], "-"), (&span.as_ref()[..8], "-01")] {
        for byte in bytes {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        text.push_str(end);
    }
    text
}

/// Whether the guard of [`Reach::Public`] is among the causes.
fn is_not_public(error: &ClientError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_meaning() {
        let ten = Some(Duration::from_secs(10));
        let cases = [
            (200, None, None),
            (204, None, None),
            (302, None, Some("W4206")),
            (304, None, Some("W4206")),
            (400, None, Some("W4205")),
            (401, None, Some("W4207")),
            (403, None, Some("W4207")),
            (404, ten, Some("W4205")),
            (408, None, Some("W4204")),
            (408, ten, Some("W4203")),
            (409, None, Some("W4205")),
            (422, None, Some("W4205")),
            (425, None, Some("W4204")),
            (429, None, Some("W4203")),
            (500, None, Some("W4204")),
            (502, ten, Some("W4203")),
            (503, ten, Some("W4203")),
            (504, None, Some("W4204")),
        ];
        for (status, later, code) in cases {
            let meaning = classify(StatusCode::from_u16(status).unwrap(), later);
            assert_eq!(meaning.map(|(_, code, _)| code.0), code, "{status}");
            if let Some((FailureKind::Busy { retry_after }, ..)) = meaning {
                assert_eq!(retry_after, later);
            }
            let permanent = matches!(meaning, Some((FailureKind::Permanent, ..)));
            assert_eq!(
                permanent,
                matches!(code, Some("W4205" | "W4206")),
                "{status}"
            );
        }
    }

    #[test]
    fn dot_segments_are_seen_through_encoding() {
        for bad in ["/a/../b", "/..", "/a/%2e%2E/b", "/./a", "/a/.%2e"] {
            assert!(has_dot_segment(bad), "{bad}");
        }
        for good in ["", "/", "/a..b/c", "/a?x=../y", "/..."] {
            assert!(!has_dot_segment(good), "{good}");
        }
    }

    #[test]
    fn traces_are_stable_and_spans_are_not() {
        let mut request = Request {
            idempotency_key: "K",
            attempt: 1,
            body: Bytes::new(),
            content_type: "text/plain",
            method: None,
            path: None,
            correlation: "C",
        };
        let first = traceparent(&request);
        assert_eq!(first.len(), 55);
        assert_eq!(first, traceparent(&request));
        request.attempt = 2;
        let second = traceparent(&request);
        assert_eq!(first[..36], second[..36]);
        assert_ne!(first, second);
    }
}
