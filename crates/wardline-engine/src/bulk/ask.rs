//! Asking for a page, and reading what comes.

use super::Trouble;
use super::ledger::Place;
use crate::accept::with_runtime;
use crate::codes;
use crate::dispatch::path;
use crate::dispatch::share::{CallGate, CallPass};
use crate::plan::{JobPlan, MapPlan};
use crate::route;
use crate::wire;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use wardline_connect::{Failure, FailureKind, Outbound, Reply, Request};
use wardline_estate::model::{JobPaging, Method};
use wardline_mapping::{Content, Subject, from_json_bytes, to_json_bytes};

/// How long a call waits for room at its connection before it is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a page as JSON.
const MOST: usize = 64 << 20;

/// A page of records.
pub(super) struct Page {
    pub(super) records: Vec<Value>,
    /// Where the next begins; `None` where there is none.
    pub(super) next: Option<Value>,
    pub(super) total: Option<u64>,
    /// Digest of all of it.
    pub(super) digest: String,
}

/// Asks for the page at a place.
pub(super) async fn page(
    job: &Arc<JobPlan>,
    outbound: &dyn Outbound,
    gate: &CallGate,
    place: &Place,
    size: u32,
    key: &str,
) -> Result<Page, Trouble> {
    let (path, body) = asked(job, place, size)?;
    let mut pass = gate.pass_last(PATIENCE).await.map_err(|shut| Trouble {
        again: Some(shut.0),
        ..Trouble::passing(
            codes::JOB_WAITS,
            format!("{} takes nothing now", job.connection),
        )
    })?;
    let request = Request {
        idempotency_key: key,
        attempt: 1,
        body,
        content_type: route::JSON,
        method: job.method.map(wire::method),
        path: path.as_deref(),
        correlation: key,
    };
    let sent = outbound.send(request).await;
    told(&mut pass, &sent);
    drop(pass);
    let reply = sent.map_err(|failure| Trouble {
        code: failure.code,
        text: failure.text,
        again: match failure.kind {
            FailureKind::Permanent => None,
            FailureKind::Busy { retry_after } => Some(retry_after.unwrap_or_default()),
            _ => Some(Duration::ZERO),
        },
    })?;
    if reply.truncated {
        return Err(Trouble::lasting(
            codes::JOB_PAGE,
            "the page is larger than an answer of its connection may be: ask for fewer records (`size`)",
        ));
    }
    // Reading megabytes of JSON is no work for threads that others wait for.
    let (job, at) = (Arc::clone(job), place.clone());
    let reading = tokio::task::spawn_blocking(move || read(&job, &at, &reply.body));
    reading
        .await
        .unwrap_or_else(|error| Err(Trouble::passing(codes::JOB_STUCK, error.to_string())))
}

fn told(pass: &mut CallPass, sent: &Result<Reply, Failure>) {
    match sent {
        Err(failure)
            if matches!(
                failure.kind,
                FailureKind::Unreachable | FailureKind::Timeout | FailureKind::Transient
            ) =>
        {
            pass.failed(failure.code.0);
        }
        _ => pass.answered(),
    }
}

/// What is asked for: path with query, and body.
fn asked(job: &JobPlan, place: &Place, size: u32) -> Result<(Option<String>, Bytes), Trouble> {
    let read = &job.declared.read;
    let mut members = read.with.clone();
    if read.page.by != JobPaging::Once {
        members.insert(read.page.size_as.clone(), size.into());
        let begin = || match (&read.page.begin, &read.page.by) {
            (Some(begin), JobPaging::Offset) => begin.parse::<u64>().ok().map(Value::from),
            (Some(begin), _) => Some(begin.as_str().into()),
            (None, JobPaging::Offset) => Some(0.into()),
            (None, _) => None,
        };
        if let Some(at) = place.at.clone().or_else(begin) {
            members.insert(read.page.place_as.clone(), at);
        }
    }
    let body = Value::Object(members).to_string();
    let body = if job.request.is_empty() {
        Bytes::from(body)
    } else {
        mapped(&job.request, body.as_bytes(), route::JSON)?
    };
    let Some(template) = &job.path else {
        return Ok((None, body));
    };
    let missing = |name: String| {
        Trouble::lasting(
            codes::JOB_PAGE,
            format!("the path {template} needs `{name}`: say it under `with`"),
        )
    };
    let rendered = path::render(template, &body).map_err(missing)?;
    if job.method != Some(Method::Get) {
        return Ok((Some(rendered), body));
    }
    let members: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let query: Vec<String> = members
        .iter()
        .filter(|(name, _)| !template.contains(&format!("{{{name}}}")))
        .filter_map(|(name, value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            Some(format!("{}={}", path::encoded(name), path::encoded(&text)))
        })
        .collect();
    let rendered = if query.is_empty() {
        rendered
    } else {
        format!("{rendered}?{}", query.join("&"))
    };
    // What is only asked for has no body.
    Ok((Some(rendered), Bytes::new()))
}

fn mapped(maps: &[MapPlan], body: &[u8], content_type: &str) -> Result<Bytes, Trouble> {
    let failed = |text: String| Trouble::lasting(codes::MAP_FAILED, text);
    let content = route::read(content_type, &Bytes::copy_from_slice(body))
        .map_err(|note| failed(note.text))?;
    let results =
        with_runtime(|runtime| route::mapped(maps, &Subject::new(content), "the job", runtime))
            .map_err(|(code, text)| Trouble::lasting(code, text))?;
    match results.into_iter().next() {
        Some(Content::Json(value)) => to_json_bytes(&value, MOST)
            .map(Bytes::from)
            .map_err(|error| failed(error.to_string())),
        _ => Err(failed("the map of the operation gives no JSON".to_owned())),
    }
}

fn read(job: &JobPlan, place: &Place, body: &Bytes) -> Result<Page, Trouble> {
    let bad = |text: String| Trouble::lasting(codes::JOB_PAGE, text);
    let digest = digest(body);
    let body = if job.response.is_empty() {
        body.clone()
    } else {
        let kind = if body.starts_with(b"MSH") {
            route::HL7
        } else {
            route::JSON
        };
        mapped(&job.response, body, kind)?
    };
    let mut answer: Value = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("the answer is not JSON: {error}")))?;
    let page = &job.declared.read.page;
    let total = page.total.as_deref().and_then(|path| {
        let found = at(&answer, path)?;
        found
            .as_u64()
            .or_else(|| found.as_str().and_then(|text| text.parse().ok()))
    });
    let told = match &page.by {
        JobPaging::Next(path) => at(&answer, path).cloned(),
        _ => None,
    };
    let where_to = page.records.as_deref().or(job.records_at);
    let list = match where_to {
        None => Some(&mut answer),
        Some(path) => path
            .split('.')
            .try_fold(&mut answer, |value, part| value.get_mut(part)),
    };
    let Some(Value::Array(records)) = list.map(Value::take) else {
        let place = where_to.map_or_else(|| "the answer".to_owned(), |path| format!("`{path}`"));
        return Err(bad(format!(
            "{place} is no list of records: say where they are (`page.records`)"
        )));
    };
    let next = match &page.by {
        JobPaging::Once => None,
        _ if records.is_empty() && !job.sparse => None,
        JobPaging::Next(_) => told.filter(is_place),
        JobPaging::After(column) => {
            let last = records.last().and_then(|last| last.get(column));
            let place = last.filter(|place| is_place(place)).cloned();
            Some(place.ok_or_else(|| {
                bad(format!(
                    "the last record of a page has no `{column}` to go on after"
                ))
            })?)
        }
        JobPaging::Offset => {
            let begin = page.begin.as_deref().and_then(|text| text.parse().ok());
            let before = place.at.as_ref().and_then(Value::as_u64).or(begin);
            Some((before.unwrap_or(0) + records.len() as u64).into())
        }
    };
    Ok(Page {
        records,
        next,
        total,
        digest,
    })
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, part| value.get(part))
}

/// Whether a value says where a page begins.
fn is_place(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Number(_) => true,
        _ => false,
    }
}

/// A short name of bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let all = digest(&SHA256, bytes);
    all.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A record as the mapping language has it.
pub(super) fn subject(record: &Value) -> Result<Subject, String> {
    from_json_bytes(record.to_string().as_bytes())
        .map(Subject::json)
        .map_err(|error| error.to_string())
}
