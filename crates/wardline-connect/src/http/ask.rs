//! One bounded question to one trusted party, such as an identity provider or an issuer whose
//! keys are fetched: neither time nor memory is the other side's to spend.
//!
//! Whom an answer comes from is all that it is worth. So a redirect is an answer like any other
//! and not a way to somewhere else.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::ConnectError;
use crate::error::in_words;
use crate::tls::ClientTls;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: shorter than the usual time between two questions, so
/// that none is held open for nothing.
const IDLE: Duration = Duration::from_secs(15);

/// Asks over HTTP; connects to nothing before it is asked.
#[derive(Clone)]
pub struct Asker {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    most: usize,
    patience: Duration,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker")
            .field("most", &self.most)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Asker {
    /// Trusts what `tls` says and reads answers of at most `most` bytes that are whole within
    /// `patience`. `name` is for errors.
    ///
    /// # Errors
    /// Where the certificates of `tls` cannot be used.
    pub fn new(
        name: &str,
        tls: &ClientTls,
        most: usize,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
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
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self {
            client,
            most,
            patience,
        })
    }

    /// Asks once. Whatever the status, the answer is handed over.
    ///
    /// # Errors
    /// A short text for the log: what went wrong, without anything of the request.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let answered = async {
            let response = self
                .client
                .request(request.map(Full::new))
                .await
                .map_err(|error| in_words(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, self.most)
                .collect()
                .await
                .map_err(|error| format!("its answer broke off or is too long: {error}"))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        match timeout(self.patience, answered).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", self.patience.as_secs())),
        }
    }

    /// Fetches a document of JSON. A status that says "no" is an answer, not an error.
    ///
    /// # Errors
    /// As [`Asker::ask`], and where `url` is none that can be fetched.
    pub async fn get(&self, url: &str) -> Result<Response<Bytes>, String> {
        let uri = url.parse::<Uri>().ok().filter(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        });
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.ok_or("it is not an http or https URL")?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("wardline"));
        self.ask(request).await
    }
}
