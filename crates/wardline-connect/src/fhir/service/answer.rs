//! What a request is answered with; what goes wrong is an `OperationOutcome` without a value of the request.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::Verdict;

/// What is answered.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    /// JSON.
    pub(crate) body: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) became: Became,
}

/// What is counted of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// Nothing was to be taken.
    Nothing,
    /// A message was taken.
    Accepted,
    /// It was refused.
    Refused,
    /// It was not taken now.
    Busy,
}

impl Answered {
    pub(super) fn of(status: StatusCode, body: Option<String>) -> Self {
        Self {
            status,
            body,
            etag: None,
            location: None,
            retry_after: None,
            became: Became::Nothing,
        }
    }
}

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    outcome: Value,
    retry_after: Option<Duration>,
}

impl Problem {
    /// `code` is one of the value set `issue-type`; `text` holds nothing of the request.
    pub(crate) fn new(status: u16, code: &str, text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            outcome: outcome("error", code, &text.into()),
            retry_after: None,
        }
    }

    /// A resource that is not what R4 says.
    pub(super) fn invalid(found: &wardline_fhir::Outcome) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            outcome: found.to_json(),
            retry_after: None,
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "not-found", "there is no such resource")
    }

    /// What went wrong, in words.
    pub(super) fn text(&self) -> String {
        let issues = self.outcome["issue"].as_array();
        let texts = issues.into_iter().flatten().take(3).map(|issue| {
            let text = issue["diagnostics"].as_str().unwrap_or_default();
            match issue["expression"][0].as_str() {
                Some(place) => format!("{place}: {text}"),
                None => text.to_owned(),
            }
        });
        texts.collect::<Vec<_>>().join("; ")
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Verdict> for Problem {
    fn from(verdict: Verdict) -> Self {
        let later = |code: wardline_core::Code, text: &str, after| Self {
            retry_after: Some(after),
            ..Self::new(503, "transient", format!("{code}: {text}"))
        };
        match verdict {
            Verdict::Refused {
                code,
                text,
                permanent: true,
            } => Self::new(422, "processing", format!("{code}: {text}")),
            Verdict::Refused { code, text, .. } => later(code, &text, Duration::from_secs(2)),
            Verdict::Busy {
                code,
                text,
                retry_after,
            } => later(code, &text, retry_after),
            // Taken after all, and so no failure.
            Verdict::Accepted { .. } | Verdict::Duplicate { .. } => {
                Self::new(500, "exception", "no answer could be made")
            }
        }
    }
}

impl From<Problem> for Answered {
    fn from(problem: Problem) -> Self {
        let became = match problem.retry_after {
            Some(_) => Became::Busy,
            None => Became::Refused,
        };
        Self {
            retry_after: problem.retry_after,
            became,
            ..Self::of(problem.status, Some(problem.outcome.to_string()))
        }
    }
}

/// One issue as an `OperationOutcome`.
pub(crate) fn outcome(severity: &str, code: &str, text: &str) -> Value {
    json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": severity, "code": code, "diagnostics": text }]
    })
}
