//! Telling Wardline something over HTTP, the way its senders do: with an idempotency key, again and again until it
//! is taken or refused for good.

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tokio::time::timeout;

const CALL_TIME: Duration = Duration::from_secs(10);
/// The pause before the second attempt; each further one doubles it.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No pause is longer.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 2xx.
    Accepted,
    /// Other 4xx than 408, 425 and 429: it will never be taken.
    Refused,
    /// Nothing was heard, or a later attempt may help.
    NotNow,
}

/// A client that posts JSON. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Poster {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Poster {
    pub(crate) fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
        }
    }

    /// One attempt.
    pub(crate) async fn post(
        &self,
        url: &str,
        key: &str,
        token: Option<&str>,
        signature: &[(&'static str, String)],
        body: Bytes,
    ) -> Answer {
        let mut builder = http::Request::post(url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        if let Some(token) = token {
            builder = builder.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in signature {
            builder = builder.header(*name, value);
        }
        let request = match builder.body(Full::new(body)) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(%error, url, "this cannot be sent: check the URL, the key and the token");
                return Answer::Refused;
            }
        };
        match timeout(CALL_TIME, self.client.request(request)).await {
            Ok(Ok(response)) => match response.status().as_u16() {
                200..=299 => Answer::Accepted,
                408 | 425 | 429 => Answer::NotNow,
                400..=499 => Answer::Refused,
                _ => Answer::NotNow,
            },
            Ok(Err(_)) | Err(_) => Answer::NotNow,
        }
    }
}
