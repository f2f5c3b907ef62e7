//! Small documents that are fetched, such as the keys of an issuer: one `GET`, bounded in bytes
//! and in time, that follows no redirect.
//!
//! Whom keys come from is all that they are worth. So a redirect is an answer like any other and
//! not a way to somewhere else, and a document that is too large is refused unread.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::ConnectError;
use crate::tls::{ClientTls, Pem};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: shorter than the usual time between two documents, so
/// that none is held open for nothing.
const IDLE: Duration = Duration::from_secs(15);

/// Fetches small documents.
#[derive(Clone)]
pub struct Getter {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    most: usize,
    patience: Duration,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The HTTP status, whichever it is.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why a document was not had. Holds nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// What was given is no URL that can be fetched.
    #[error("it is not an http or https URL")]
    Url,
    /// No connection, or it ended early.
    #[error("{0}")]
    Exchange(String),
    /// The answer is larger than what is read.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// No whole answer in time.
    #[error("no answer within {} seconds", .0.as_secs())]
    TooLate(Duration),
}

impl Getter {
    /// Fetches documents of at most `most` bytes that are whole within `patience`. `ca` is what
    /// certificates are verified by, in place of the system's authorities; `name` is for errors.
    ///
    /// # Errors
    /// [`ConnectError`] where the authorities cannot be read.
    pub fn new(
        name: &str,
        ca: Option<Pem>,
        most: usize,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let tls = ClientTls {
            ca,
            ..ClientTls::default()
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.build(name)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self {
            client,
            most,
            patience,
        })
    }

    /// Fetches one document.
    ///
    /// # Errors
    /// [`GetError`]. A status that says "no" is an answer, not an error.
    pub async fn get(&self, url: &str) -> Result<Document, GetError> {
        let uri: Uri = url.parse().map_err(|_| GetError::Url)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(GetError::Url);
        }
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("wardline"));
        timeout(self.patience, self.exchange(request))
            .await
            .unwrap_or(Err(GetError::TooLate(self.patience)))
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Document, GetError> {
        let lost = |error: &dyn std::error::Error| GetError::Exchange(chain(error));
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| lost(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), self.most)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    GetError::TooLarge(self.most)
                } else {
                    lost(error.as_ref())
                }
            })?
            .to_bytes();
        Ok(Document { status, body })
    }
}

impl fmt::Debug for Getter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Getter")
            .field("most", &self.most)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// An error with its causes; hyper's texts hold no content.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
