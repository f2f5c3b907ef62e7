//! Objects sent to a DICOMweb server (STOW-RS, PS3.18): each a request of its own, streamed from its
//! file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::outbound::{give_all, named, opened};
use crate::files::Directory;
use crate::http::OutboundAuth;
use crate::tls::ClientTls;
use crate::{ConnectError, Failure, FailureKind, Reply, Request, codes};

/// Bytes of an answer that are kept.
const ANSWER: usize = 64 << 10;
/// How long an idle connection is kept for reuse.
const IDLE: Duration = Duration::from_secs(55);

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A DICOMweb server that objects are sent to.
#[derive(Clone)]
pub struct WebConfig {
    /// The connection's name, for errors.
    pub name: Arc<str>,
    /// The service's URL, to which `/studies` is appended.
    pub url: String,
    /// How we prove who we are.
    pub auth: OutboundAuth,
    /// TLS.
    pub tls: ClientTls,
    /// Where the objects lie that payloads name.
    pub objects: Arc<dyn Directory>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one object may take.
    pub timeout: Duration,
}

/// Sends objects that payloads name.
pub struct WebOutbound {
    config: WebConfig,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    target: Uri,
    credential: Option<(HeaderName, HeaderValue)>,
}

impl WebOutbound {
    /// Checks the URL and builds TLS; connects with the first object.
    ///
    /// # Errors
    /// [`ConnectError`] where the URL, TLS or the credential cannot be used.
    pub fn new(config: WebConfig) -> Result<Self, ConnectError> {
        let bad = |what, detail: &str| ConnectError::BadSetting {
            name: config.name.to_string(),
            what,
            value: config.url.clone(),
            detail: detail.to_owned(),
        };
        let target = format!("{}/studies", config.url.trim_end_matches('/'));
        let target: Uri = target.parse().map_err(|_| bad("the URL", "it is no URL"))?;
        if !matches!(target.scheme_str(), Some("http" | "https")) {
            return Err(bad("the URL", "it must begin with http:// or https://"));
        }
        let host = target.host().unwrap_or_default();
        let tls = if target.scheme_str() == Some("https") {
            config.tls.build(&config.name)?
        } else {
            ClientTls::for_plain_connections()
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let mut connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        if config.tls.server_name.is_some() {
            let name = config.tls.verified_name(&config.name, host)?;
            connector = connector.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector.enable_http1().enable_http2().wrap_connector(tcp));
        let credential = config
            .auth
            .header()
            .map_err(|_| bad("the credential", "it holds bytes that no header may hold"))?;
        Ok(Self {
            config,
            client,
            target,
            credential,
        })
    }

    fn fail(
        &self,
        kind: FailureKind,
        code: wardline_core::Code,
        what: impl std::fmt::Display,
    ) -> Failure {
        let text = format!("{} ({}): {what}", self.config.name, self.config.url);
        Failure::new(kind, code, text)
    }

    fn request(&self, key: &str, body: Body) -> Result<http::Request<Body>, Failure> {
        let kind = format!(
            "multipart/related; type=\"application/dicom\"; boundary={}",
            boundary(key)
        );
        let kind = HeaderValue::from_str(&kind).map_err(|_| {
            self.fail(
                FailureKind::Permanent,
                codes::HTTP_UNSENDABLE,
                "the delivery's id fits no header",
            )
        })?;
        let mut request = http::Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(ACCEPT, HeaderValue::from_static("application/dicom+json"));
        if let Some((name, credential)) = &self.credential {
            headers.insert(name, credential.clone());
        }
        Ok(request)
    }

    /// What an answer means. Of one object there is no half: a warning is success, a failure is one.
    fn judged(&self, status: StatusCode, reply: Reply) -> Result<Reply, Failure> {
        let failed = reply.body.windows(8).any(|window| window == b"00081198");
        let (kind, code, meaning) = match status.as_u16() {
            200 | 202 if !failed => return Ok(reply),
            401 | 403 | 407 => (
                FailureKind::Transient,
                codes::HTTP_CREDENTIALS,
                "it refuses our credentials",
            ),
            408 | 429 | 500..=599 => (
                FailureKind::Transient,
                codes::DICOM_FAILED,
                "it cannot take the object now",
            ),
            406 | 415 => (
                FailureKind::Permanent,
                codes::DICOM_NOT_ACCEPTED,
                "it does not take such objects",
            ),
            _ => (
                FailureKind::Permanent,
                codes::DICOM_REFUSED,
                "it refused the object",
            ),
        };
        let failure = self.fail(kind, code, format!("answered {status}: {meaning}"));
        Err(failure.with_reply(reply))
    }
}

/// Parts are bounded by what is in no file: the delivery's id is random.
fn boundary(key: &str) -> String {
    format!("wardline-{key}")
}

#[async_trait]
impl crate::Outbound for WebOutbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let bad = |what: String| self.fail(FailureKind::Permanent, codes::DICOM_OBJECT, what);
        let name = named(&request.body).map_err(|what| bad(what.to_owned()))?;
        let directory = Arc::clone(&self.config.objects);
        let place = directory.describe();
        let (head, _) = opened(Arc::clone(&directory), name.clone())
            .await
            .map_err(|error| bad(format!("the object cannot be read in {place}: {error}")))?;
        let boundary = boundary(request.idempotency_key);
        let before = format!(
            "--{boundary}\r\nContent-Type: application/dicom; transfer-syntax={}\r\n\r\n",
            head.transfer_syntax
        );
        let after = format!("\r\n--{boundary}--\r\n");
        let (pieces, receive) = mpsc::channel(2);
        let reading = tokio::task::spawn_blocking(move || {
            // All of the file this time, its mark and head included.
            let mut file = match directory.open(&name) {
                Ok(file) => file,
                Err(error) => return drop(pieces.blocking_send(Err(error))),
            };
            if pieces.blocking_send(Ok(before.into())).is_ok() && give_all(&mut file, &pieces) {
                // Where this fails nobody waits any more.
                drop(pieces.blocking_send(Ok(after.into())));
            }
        });
        // It ends with who receives.
        drop(reading);
        let frames = stream::unfold(
            receive,
            |mut receive: mpsc::Receiver<io::Result<Bytes>>| async {
                let piece = receive.recv().await?;
                Some((piece.map(Frame::data), receive))
            },
        );
        let built = self.request(
            request.idempotency_key,
            StreamBody::new(frames).boxed_unsync(),
        )?;
        let exchanged = timeout(self.config.timeout, async {
            let answer = self.client.request(built).await.map_err(|error| {
                let (kind, code) = if error.is_connect() {
                    (FailureKind::Unreachable, codes::DICOM_UNREACHABLE)
                } else {
                    (FailureKind::Transient, codes::DICOM_BROKEN)
                };
                self.fail(kind, code, error)
            })?;
            let (head, body) = answer.into_parts();
            let content_type = head.headers.get(CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok());
            let read = Limited::new(body, ANSWER).collect().await;
            Ok::<_, Failure>((
                head.status,
                Reply {
                    status: head.status.as_str().to_owned(),
                    content_type: content_type.unwrap_or_default().to_owned(),
                    truncated: read.is_err(),
                    body: read
                        .map(http_body_util::Collected::to_bytes)
                        .unwrap_or_default(),
                },
            ))
        });
        let Ok(exchanged) = exchanged.await else {
            let what = format!("no answer within {:?}", self.config.timeout);
            return Err(self.fail(FailureKind::Timeout, codes::DICOM_BROKEN, what));
        };
        let (status, reply) = exchanged?;
        self.judged(status, reply)
    }

    fn describe(&self) -> String {
        format!("dicomweb {}", self.config.url)
    }
}
