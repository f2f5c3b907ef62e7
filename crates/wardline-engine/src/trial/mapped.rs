//! Tests of maps by themselves.

use super::{Failure, contains, message_bytes, pretty};
use crate::plan::Plan;
use crate::plan::environment;
use crate::route;
use bytes::Bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use wardline_estate::FileId;
use wardline_estate::model::{MapInput, MapTest};
use wardline_mapping::{
    Content, Environment, Input, Metadata, Output, Program, Runtime, Subject, from_json_bytes,
};

/// Programs that were compiled for a test before, by their text's place and what they read.
pub(super) type Compiled = HashMap<(FileId, u8), Result<Arc<Program>, String>>;

pub(super) fn run(
    plan: &Plan,
    test: &MapTest,
    now: &str,
    runtime: &mut Runtime,
    compiled: &mut Compiled,
) -> Vec<Failure> {
    let expect = &test.expect;
    let failure = |message: String| Failure {
        at: expect.at,
        message,
        expected: None,
        actual: None,
    };
    let content = match &test.input {
        MapInput::Json(value) => match from_json_bytes(value.to_string().as_bytes()) {
            Ok(value) => Content::Json(value),
            Err(error) => return vec![failure(error.to_string())],
        },
        MapInput::Fixture { content, .. } => {
            let bytes = Bytes::from(message_bytes(content.0.to_vec()));
            let kind = if bytes.starts_with(b"MSH") {
                route::HL7
            } else if bytes.starts_with(b"ISA") {
                route::X12
            } else {
                "text/plain"
            };
            match route::read(kind, &bytes) {
                Ok(content) => content,
                Err(note) => return vec![failure(format!("{}: {}", note.code, note.text))],
            }
        }
    };
    let input = match &content {
        Content::Hl7(_) => Input::Hl7,
        Content::X12(_) | Content::Interchange(_) => Input::X12,
        Content::Json(_) => Input::Json,
        Content::Text(_) => Input::Text,
    };
    let program = compiled
        .entry((test.map.file, input as u8))
        .or_insert_with(|| {
            let environment = Environment {
                input,
                ..environment(&plan.estate)
            };
            let source = plan.estate.sources.text(test.map.file);
            Program::compile(source, &environment)
                .map(Arc::new)
                .map_err(|problems| {
                    let first = problems.into_iter().next();
                    first.map(|problem| problem.message).unwrap_or_default()
                })
        });
    let program = match program {
        Ok(program) => Arc::clone(program),
        Err(first) => {
            return vec![failure(format!(
                "{} does not compile for this input: {first}",
                test.map.path.display(),
            ))];
        }
    };
    let subject = Subject::new(content).with(Metadata {
        received: Some(now.into()),
        id: Some("0000000000001".into()),
        ..Metadata::default()
    });
    let (results, filtered) = match program.run(&subject, runtime) {
        Err(error) => {
            let said = format!("{}: {error}", error.code());
            return match &expect.error {
                Some(want) if said.contains(&want.value) => Vec::new(),
                Some(want) => vec![Failure {
                    at: want.at,
                    message: "another error stopped it".to_owned(),
                    expected: Some(want.value.clone()),
                    actual: Some(said),
                }],
                None => vec![failure(format!("it failed: {said}"))],
            };
        }
        Ok(Output::Json(value)) => (vec![json(&value)], false),
        Ok(Output::Many(values)) => (values.iter().map(json).collect(), false),
        Ok(Output::Hl7(bytes)) => {
            let text = String::from_utf8_lossy(&bytes).replace('\r', "\n");
            (vec![Value::String(text)], false)
        }
        Ok(Output::X12(bytes)) => (vec![Value::String(x12_lines(&bytes))], false),
        Ok(Output::Xml(bytes)) => (vec![Value::String(xml_lines(&bytes))], false),
        Ok(Output::Filtered { .. }) => (Vec::new(), true),
    };
    if let Some(want) = &expect.error {
        return vec![Failure {
            at: want.at,
            message: format!("no error says `{}`", want.value),
            expected: Some(want.value.clone()),
            actual: Some(pretty(&Value::Array(results))),
        }];
    }
    let mut failures = Vec::new();
    if let Some(want) = expect.filtered
        && want != filtered
    {
        let message = if filtered {
            "it filtered its input"
        } else {
            "it did not filter its input"
        };
        failures.push(failure(message.to_owned()));
    }
    if let Some(want) = &expect.result {
        let whole = match results.as_slice() {
            [one] => one.clone(),
            _ => Value::Array(results.clone()),
        };
        if !fits(&whole, want) {
            failures.push(Failure {
                at: expect.at,
                message: "the result is another".to_owned(),
                expected: Some(pretty(want)),
                actual: Some(pretty(&whole)),
            });
        }
    }
    if let Some(want) = &expect.results
        && (want.len() != results.len()
            || !want
                .iter()
                .zip(&results)
                .all(|(want, result)| fits(result, want)))
    {
        failures.push(Failure {
            at: expect.at,
            message: "the results are others".to_owned(),
            expected: Some(pretty(&Value::Array(want.clone()))),
            actual: Some(pretty(&Value::Array(results))),
        });
    }
    failures
}

fn json(value: &wardline_mapping::Value) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn fits(actual: &Value, want: &Value) -> bool {
    match (actual, want) {
        (Value::String(actual), Value::String(want)) => actual.trim_end() == want.trim_end(),
        _ => contains(actual, want),
    }
}

/// A document with one tag a line, as people compare it. Text holds no `>` that is not written
/// otherwise.
pub(crate) fn xml_lines(bytes: &Bytes) -> String {
    let mut text = String::from_utf8_lossy(bytes).replace("><", ">\n<");
    text.push('\n');
    text
}

/// X12 with one segment a line, as people write it in tests.
fn x12_lines(bytes: &Bytes) -> String {
    let mut text = String::new();
    let mut reader = wardline_edi::x12::Reader::new(bytes.as_ref());
    while let Ok(Some(segment)) = reader.next_segment() {
        text.push_str(&String::from_utf8_lossy(segment.bytes()));
        text.push('\n');
    }
    text
}
