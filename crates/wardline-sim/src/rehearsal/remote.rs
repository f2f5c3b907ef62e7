//! Rehearsing with simulators that run elsewhere, and with the Wardline that they tell: both asked over HTTP.

use super::{CaseReport, Ended, Group, Question, Rehearse, Scenario};
use crate::SimError;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// Questions looked at in one go.
const QUESTIONS: u64 = 500;
const CALL_TIME: Duration = Duration::from_secs(10);
/// A report of every case of a long rehearsal.
const ANSWER: usize = 64 << 20;

/// The admin listener of running simulators, or the console of a running Wardline.
#[derive(Clone)]
pub struct Remote {
    url: String,
    /// Sent as a bearer token; never shown.
    token: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// Wardline's console (`http://127.0.0.1:8420`), with its admin token.
    pub fn console(url: &str, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..Self::at(url)
        }
    }

    /// The simulators whose admin listener is at `url` (`http://127.0.0.1:18080`).
    pub fn at(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            token: None,
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

    /// The cases of the simulators, as far as stand-ins need them.
    ///
    /// # Errors
    /// As [`Remote::begin`].
    pub async fn cases(&self) -> Result<Vec<CaseReport>, SimError> {
        let report = self.report().await?;
        let cases = report["cases"].as_array().into_iter().flatten();
        let case = |case: &Value| {
            Some(CaseReport {
                about: case["about"].as_str()?.to_owned(),
                scenario: Scenario::named(case["scenario"].as_str()?)?,
                ended: Ended::Open,
                why: Vec::new(),
            })
        };
        Ok(cases.filter_map(case).collect())
    }

    /// What Wardline asks of people now: the id of each question, and the question.
    ///
    /// # Errors
    /// [`SimError::Remote`] where nobody answers, or says no.
    pub async fn questions(&self) -> Result<Vec<(String, Question)>, SimError> {
        let query = json!({ "open": true, "limit": QUESTIONS });
        let mut found = self.ask(Method::POST, "/api/tasks", Some(query)).await?;
        let Value::Array(rows) = found["rows"].take() else {
            return Ok(Vec::new());
        };
        let question = |row: Value| {
            let id = row["id"].as_str()?.to_owned();
            Some((id, serde_json::from_value(row).ok()?))
        };
        Ok(rows.into_iter().filter_map(question).collect())
    }

    /// Answers one of them.
    ///
    /// # Errors
    /// [`SimError::Remote`] where nobody answers, or the answer is not accepted from this person.
    pub async fn answer(&self, id: &str, choice: &str) -> Result<(), SimError> {
        let body = json!({ "choice": choice, "note": "rehearsed" });
        let path = format!("/api/tasks/{id}/answer");
        self.ask(Method::POST, &path, Some(body)).await.map(|_| ())
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
        let mut request = Request::builder();
        if let Some(token) = &self.token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
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
