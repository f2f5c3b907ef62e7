//! Rehearsing with simulators that run elsewhere: their admin listener, asked over HTTP.

use super::{Group, Rehearse, Scenario};
use crate::SimError;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const CALL_TIME: Duration = Duration::from_secs(10);
/// A report of every case of a long rehearsal.
const ANSWER: usize = 64 << 20;

/// The admin listener of running simulators.
#[derive(Debug, Clone)]
pub struct Remote {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Remote {
    /// The simulators whose admin listener is at `url` (`http://127.0.0.1:18080`).
    pub fn at(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
        }
    }

    /// Begins a scenario; the answer has its subjects in `about`.
    ///
    /// # Errors
    /// [`SimError::Remote`] where nobody answers, or says no.
    pub async fn begin(&self, what: &Rehearse) -> Result<Value, SimError> {
        let body = json!({ "scenario": what.scenario.to_string(), "count": what.count, "facility": what.facility, "shuffled": what.shuffled });
        self.ask(Method::POST, "/_rehearsal/run", Some(body)).await
    }

    /// Picks a scenario for a subject, or for all where `about` is absent.
    ///
    /// # Errors
    /// As [`Remote::begin`].
    pub async fn pick(
        &self,
        scenario: &Scenario,
        about: Option<&str>,
        shuffled: bool,
    ) -> Result<Value, SimError> {
        let body = json!({ "scenario": scenario.to_string(), "for": about, "shuffled": shuffled });
        self.ask(Method::POST, "/_rehearsal/pick", Some(body)).await
    }

    /// Lets the seed draw a scenario for each subject of the group.
    ///
    /// # Errors
    /// As [`Remote::begin`].
    pub async fn mix(&self, group: Group) -> Result<Value, SimError> {
        let body = json!({ "mixed": group });
        self.ask(Method::POST, "/_rehearsal/pick", Some(body)).await
    }

    /// How everything stands: a [`Rehearsal`](super::Rehearsal) as JSON.
    ///
    /// # Errors
    /// As [`Remote::begin`].
    pub async fn report(&self) -> Result<Value, SimError> {
        self.ask(Method::GET, "/_rehearsal", None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, SimError> {
        let failed = |said: String| SimError::Remote {
            url: self.url.clone(),
            said,
        };
        let body = body.map_or_else(String::new, |body| body.to_string());
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(error.to_string()))?;
        let answer = timeout(CALL_TIME, self.client.request(request))
            .await
            .map_err(|_| failed("no answer in ten seconds".into()))?
            .map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), ANSWER)
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?
            .to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(answer),
            _ => Err(failed(
                answer["title"]
                    .as_str()
                    .unwrap_or("the answer makes no sense")
                    .to_owned(),
            )),
        }
    }
}
