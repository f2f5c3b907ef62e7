//! `wardline test`: runs an estate's own tests. Routing is the same pure function that the
//! running engine calls; there is no network, no store, and the clock stands still.

mod mapped;
mod scripted;

pub(crate) use mapped::xml_lines;

use crate::codes;
use crate::plan::Plan;
use crate::route::{self, Arrival, Derived, PlainKey, Start};
use bytes::Bytes;
use serde_json::Value;
use wardline_core::{Lane, Timestamp};
use wardline_estate::Span;
use wardline_estate::model::{Expect, ExpectedDelivery, Given, TestCase, TestKind};
use wardline_mapping::{Metadata, Runtime, Subject};
use wardline_store::RouteOutcome;

/// How one test went.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The test's name.
    pub name: String,
    /// Where it is declared.
    pub at: Span,
    /// What was not as expected; empty when it passed.
    pub failures: Vec<Failure>,
}

/// One expectation that was not met.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where it is declared.
    pub at: Span,
    /// What is wrong, in a line.
    pub message: String,
    /// What was expected, pretty JSON or text.
    pub expected: Option<String>,
    /// What there was.
    pub actual: Option<String>,
}

/// Nothing has the name that was asked for, so nothing was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: no test's name contains `{asked}`: {}", self.code(), self.instead())]
pub struct NoSuchTest {
    /// What was asked for.
    pub asked: String,
    /// What there is, the likest first; at most [`SHOWN`](Self::SHOWN).
    pub closest: Vec<String>,
    /// How many tests there are.
    pub tests: usize,
}

impl NoSuchTest {
    /// How many names are shown.
    pub const SHOWN: usize = 5;

    /// Its stable code, `W2501`.
    pub const fn code(&self) -> wardline_core::Code {
        codes::NO_SUCH_TEST
    }

    fn instead(&self) -> String {
        if self.tests == 0 {
            return "this estate has no tests; write some in tests/*.yaml".to_owned();
        }
        let names = self.closest.iter().map(|name| format!("`{name}`"));
        let names = names.collect::<Vec<_>>().join(", ");
        match self.tests - self.closest.len() {
            0 => format!("there are {names}"),
            more => format!("the closest are {names}, and there are {more} more"),
        }
    }
}

/// Runs every test whose name contains `filter`; all where there is none.
pub fn run(plan: &Plan, filter: Option<&str>) -> Result<Vec<Trial>, NoSuchTest> {
    let mut compiled = mapped::Compiled::default();
    let trials: Vec<Trial> = plan
        .estate
        .tests
        .iter()
        .filter(|test| filter.is_none_or(|text| test.name.contains(text)))
        .map(|test| Trial {
            name: test.name.clone(),
            at: test.at,
            failures: run_one(plan, test, &mut compiled),
        })
        .collect();
    match filter {
        Some(asked) if trials.is_empty() => {
            let names = plan.estate.tests.iter().map(|test| test.name.as_str());
            let closest = wardline_estate::by_likeness(asked, names);
            Err(NoSuchTest {
                asked: asked.to_owned(),
                tests: closest.len(),
                closest: closest
                    .into_iter()
                    .take(NoSuchTest::SHOWN)
                    .map(str::to_owned)
                    .collect(),
            })
        }
        _ => Ok(trials),
    }
}

fn run_one(plan: &Plan, test: &TestCase, compiled: &mut mapped::Compiled) -> Vec<Failure> {
    let mut runtime = Runtime::default();
    let now = test
        .now
        .as_ref()
        .map_or("2026-01-01T00:00:00Z", |now| now.value.as_str());
    if !runtime.stop_clock_at(now) {
        let at = test.now.as_ref().map_or(test.at, |now| now.at);
        return vec![Failure {
            at,
            message: format!("`{now}` is not a time"),
            expected: None,
            actual: None,
        }];
    }
    let (given, expect) = match &test.kind {
        TestKind::Arrival { given, expect } => (given, expect),
        TestKind::Map(map) => return mapped::run(plan, map, now, &mut runtime, compiled),
        TestKind::Process(process) => {
            // That it is a time was seen when the clock was stopped.
            let now = Timestamp::try_from(now.to_owned()).unwrap_or_default();
            return scripted::run(plan, process, now);
        }
    };
    let (derived, given) = match given {
        Given::Message { path, into, .. } => {
            let body = match std::fs::read(plan.estate.root.join(path)) {
                Ok(body) => Bytes::from(message_bytes(body)),
                Err(error) => {
                    let message = format!("cannot read {}: {error}", path.display());
                    return vec![Failure {
                        at: test.at,
                        message,
                        expected: None,
                        actual: None,
                    }];
                }
            };
            let source = plan.sources.get(into.value.as_str());
            let opened = crate::wire::soap_opened(&plan.estate, &into.value, &body);
            let (body, operation) = match opened {
                None => (body, None),
                Some(Ok((body, operation))) => (body, Some(operation)),
                Some(Err(why)) => {
                    return vec![Failure {
                        at: test.at,
                        message: format!("{} is not taken: {why}", path.display()),
                        expected: None,
                        actual: None,
                    }];
                }
            };
            let content_type = match source.map(|source| source.input) {
                Some(wardline_mapping::Input::Hl7) => route::HL7,
                Some(wardline_mapping::Input::X12) => route::X12,
                // Files, XML: a map reads `.text`.
                Some(wardline_mapping::Input::Text) => route::TEXT,
                _ => route::JSON,
            };
            let charset = plan.charset(&into.value);
            let guides = source.and_then(|source| source.guides.as_ref());
            let subject = route::read_by(content_type, &body, charset, guides).map(|content| {
                let kind = match &content {
                    wardline_mapping::Content::Hl7(message) => crate::accept::hl7_kind(message),
                    wardline_mapping::Content::Interchange(all) => route::x12_kind(all),
                    _ => operation.unwrap_or_else(|| content_type.to_owned()),
                };
                Subject::new(content).with(Metadata {
                    source: Some(into.value.as_str().into()),
                    message_type: Some(kind.into()),
                    received: Some(now.into()),
                    id: Some("0000000000001".into()),
                    facility: source.and_then(|source| source.facility.clone()),
                    ..Metadata::default()
                })
            });
            let arrival = Arrival {
                subject,
                key: None,
                lane: Lane::Normal,
            };
            let start = Start::Source(&into.value);
            (route::route(plan, start, arrival, &mut runtime), body)
        }
        Given::Event { event, data } => {
            let bytes = Bytes::from(data.to_string());
            let subject = route::read(route::JSON, &bytes).map(|content| {
                Subject::new(content).with(Metadata {
                    message_type: Some(event.value.as_str().into()),
                    received: Some(now.into()),
                    id: Some("0000000000001".into()),
                    ..Metadata::default()
                })
            });
            let arrival = Arrival {
                subject,
                key: None,
                lane: Lane::Normal,
            };
            let start = Start::Event(&event.value);
            (route::route(plan, start, arrival, &mut runtime), bytes)
        }
    };
    compare(plan, test, expect, &derived, &given)
}

/// Fixtures are kept one segment a line; HL7 ends segments with CR.
fn message_bytes(body: Vec<u8>) -> Vec<u8> {
    if body.starts_with(b"MSH") && !body.contains(&b'\r') {
        let text: Vec<u8> = body
            .into_iter()
            .map(|b| if b == b'\n' { b'\r' } else { b })
            .collect();
        return text;
    }
    body
}

fn compare(
    plan: &Plan,
    test: &TestCase,
    expect: &Expect,
    derived: &Derived,
    given: &Bytes,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(expected) = &expect.events {
        let actual: Vec<(&str, Value)> = derived
            .messages
            .iter()
            .filter_map(|message| Some((message.event.as_deref()?, json(message.body.as_ref()?))))
            .collect();
        let mut left = actual.clone();
        for want in expected {
            let fits = |(event, data): &(&str, Value)| {
                *event == want.event.value
                    && want
                        .data
                        .as_ref()
                        .is_none_or(|data_wanted| contains(data, data_wanted))
            };
            if let Some(position) = left.iter().position(fits) {
                left.remove(position);
                continue;
            }
            let near = left.iter().find(|(event, _)| *event == want.event.value);
            failures.push(Failure {
                at: want.at,
                message: match near {
                    Some(_) => format!("event `{}` has other data", want.event.value),
                    None => format!(
                        "no event `{}`; there were: {}",
                        want.event.value,
                        names(actual.iter().map(|(e, _)| *e))
                    ),
                },
                expected: want.data.as_ref().map(pretty),
                actual: near.map(|(_, data)| pretty(data)),
            });
        }
        if failures.is_empty() && !left.is_empty() {
            failures.push(Failure {
                at: test.at,
                message: format!(
                    "events that nobody expected: {}",
                    names(left.iter().map(|(e, _)| *e))
                ),
                expected: None,
                actual: None,
            });
        }
    }
    if let Some(expected) = &expect.deliveries {
        deliveries(plan, test, derived, given, expected, &mut failures);
    }
    for flow in &expect.filtered {
        let filtered = derived
            .messages
            .iter()
            .flat_map(|message| &message.routes)
            .any(|(index, target, outcome)| {
                *outcome == RouteOutcome::Filtered
                    && target.is_none()
                    && *plan.flows[*index].name == flow.value
            });
        if !filtered {
            failures.push(Failure {
                at: flow.at,
                message: format!("flow `{}` did not filter the message", flow.value),
                expected: None,
                actual: None,
            });
        }
    }
    let errors: Vec<String> = derived
        .deliveries
        .iter()
        .filter_map(|delivery| delivery.failed.as_ref())
        .map(|note| format!("{}: {}", note.code, note.text))
        .collect();
    match &expect.error {
        Some(want) if !errors.iter().any(|error| error.contains(&want.value)) => {
            failures.push(Failure {
                at: want.at,
                message: format!("no error says `{}`", want.value),
                expected: Some(want.value.clone()),
                actual: Some(if errors.is_empty() {
                    "no error".to_owned()
                } else {
                    errors.join("\n")
                }),
            });
        }
        None if !errors.is_empty() => failures.push(Failure {
            at: test.at,
            message: "something failed that no `error:` expects".to_owned(),
            expected: None,
            actual: Some(errors.join("\n")),
        }),
        _ => {}
    }
    failures
}

fn deliveries(
    plan: &Plan,
    test: &TestCase,
    derived: &Derived,
    given: &Bytes,
    expected: &[ExpectedDelivery],
    failures: &mut Vec<Failure>,
) {
    struct Seen<'a> {
        to: &'a str,
        body: Bytes,
        key: Option<String>,
    }
    let mut left: Vec<Seen<'_>> = derived
        .deliveries
        .iter()
        .filter(|delivery| delivery.failed.is_none())
        .filter_map(|delivery| {
            let target = &plan.flows[delivery.flow].targets[delivery.target?];
            let body = delivery
                .body
                .as_ref()
                .map(|(body, _)| body.clone())
                .or_else(|| derived.messages[delivery.message].body.clone())
                // What arrived is sent on as it is.
                .unwrap_or_else(|| given.clone());
            let key = delivery.key.as_ref().map(|key| match key {
                PlainKey::Value(text, _) => text.to_string(),
                PlainKey::Recorded(key) => key.shown.as_deref().unwrap_or_default().to_owned(),
            });
            Some(Seen {
                to: &target.destination,
                body,
                key,
            })
        })
        .collect();
    let all = names(left.iter().map(|seen| seen.to));
    let before = failures.len();
    for want in expected {
        let fits = |seen: &Seen<'_>| {
            seen.to == want.to.value
                && want
                    .body
                    .as_ref()
                    .is_none_or(|body| body_fits(&seen.body, body))
                && want
                    .key
                    .as_ref()
                    .is_none_or(|key| seen.key.as_ref() == Some(key))
                && want.fields.iter().all(|(path, value)| {
                    field(&seen.body, &path.value).as_deref() == Some(value.as_str())
                })
        };
        if let Some(position) = left.iter().position(fits) {
            left.remove(position);
            continue;
        }
        let near = left.iter().find(|seen| seen.to == want.to.value);
        let (message, expected, actual) = match near {
            None => (
                format!("no delivery to `{}`; there were: {all}", want.to.value),
                want.body.as_ref().map(pretty),
                None,
            ),
            Some(seen) => unlike(want, &seen.body, seen.key.as_deref()),
        };
        failures.push(Failure {
            at: want.at,
            message,
            expected,
            actual,
        });
    }
    if failures.len() == before && !left.is_empty() {
        failures.push(Failure {
            at: test.at,
            message: format!(
                "deliveries that nobody expected: {}",
                names(left.iter().map(|seen| seen.to))
            ),
            expected: None,
            actual: None,
        });
    }
}

/// In what a delivery to the right place is not the expected one: message, expected, actual.
fn unlike(
    want: &ExpectedDelivery,
    body: &Bytes,
    key: Option<&str>,
) -> (String, Option<String>, Option<String>) {
    let to = &want.to.value;
    if let Some(expected) = want
        .key
        .as_deref()
        .filter(|expected| key != Some(*expected))
    {
        let actual = key.unwrap_or("no key");
        return (
            format!("the delivery to `{to}` has another key"),
            Some(expected.to_owned()),
            Some(actual.to_owned()),
        );
    }
    if want
        .body
        .as_ref()
        .is_none_or(|expected| body_fits(body, expected))
    {
        for (path, expected) in &want.fields {
            let actual = field(body, &path.value);
            if actual.as_deref() != Some(expected.as_str()) {
                return (
                    format!("the delivery to `{to}` has another {}", path.value),
                    Some(expected.clone()),
                    Some(
                        actual
                            .filter(|text| !text.is_empty())
                            .unwrap_or_else(|| "nothing".to_owned()),
                    ),
                );
            }
        }
    }
    (
        format!("the delivery to `{to}` has another body"),
        want.body.as_ref().map(pretty),
        Some(pretty(&json(body))),
    )
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn json(body: &Bytes) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).replace('\r', "\n")))
}

fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn body_fits(body: &Bytes, want: &Value) -> bool {
    match want {
        Value::String(text) => {
            let got = String::from_utf8_lossy(body)
                .replace("\r\n", "\n")
                .replace('\r', "\n");
            got.trim_end() == text.trim_end()
        }
        other => contains(&json(body), other),
    }
}

fn field(body: &Bytes, path: &str) -> Option<String> {
    let message = wardline_hl7::Message::parse(body.clone()).ok()?;
    let path = wardline_hl7::Path::parse(path).ok()?;
    message.value(&path).map(std::borrow::Cow::into_owned)
}

/// Whether `actual` has everything that `want` has; it may have more members.
fn contains(actual: &Value, want: &Value) -> bool {
    match (actual, want) {
        (Value::Object(actual), Value::Object(want)) => want
            .iter()
            .all(|(name, value)| actual.get(name).is_some_and(|found| contains(found, value))),
        (Value::Array(actual), Value::Array(want)) => {
            actual.len() == want.len() && actual.iter().zip(want).all(|(a, w)| contains(a, w))
        }
        (Value::Number(a), Value::Number(w)) => a == w || a.as_f64() == w.as_f64(),
        (actual, want) => actual == want,
    }
}
