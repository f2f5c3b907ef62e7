//! One bounded question to one trusted party, such as an identity provider: no redirect is
//! followed, and neither time nor memory is the other side's to spend.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::ConnectError;
use crate::tls::ClientTls;

/// How long a question may take in all.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for reuse.
const IDLE: Duration = Duration::from_secs(30);

/// Asks over HTTP; connects to nothing before it is asked.
#[derive(Clone)]
pub struct Asker {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    most: usize,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl Asker {
    /// Trusts what `tls` says and reads answers of at most `most` bytes. `name` is for errors.
    ///
    /// # Errors
    /// Where the certificates of `tls` cannot be used.
    pub fn new(name: &str, tls: &ClientTls, most: usize) -> Result<Self, ConnectError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.build(name)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self { client, most })
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
                .map_err(|error| words(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, self.most)
                .collect()
                .await
                .map_err(|error| format!("its answer broke off or is too long: {error}"))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        match timeout(PATIENCE, answered).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// An error with what it comes from, which is where the reason is.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
