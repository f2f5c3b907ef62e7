//! `wardline map run`: one map on one message, without a flow around it.

use crate::plan;
use crate::route;
use bytes::Bytes;
use wardline_estate::{Diagnostics, Estate, FileId};
use wardline_mapping::{
    Content, Environment, Input, Metadata, Output, Program, Runtime, Subject, to_json_bytes,
};

/// Bytes of a result that are shown.
const SHOWN: usize = 16 << 20;

/// A bench to try maps on: the code tables and zone of an estate, or none.
pub struct MapBench {
    environment: Environment,
}

impl MapBench {
    /// A bench with an estate's code tables and zone.
    pub fn new(estate: Option<&Estate>) -> Self {
        Self {
            environment: estate.map(plan::environment).unwrap_or_default(),
        }
    }

    /// Compiles `source` for what `input` is (HL7, JSON, else text) and runs it. Returns each
    /// result as text: none where the map filtered it. `None` where something is wrong, which
    /// `diagnostics` then says.
    pub fn run(
        &self,
        file: FileId,
        source: &str,
        input: &Bytes,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<String>> {
        let content = if input.starts_with(b"MSH") {
            route::read(route::HL7, input)
        } else if input.starts_with(b"ISA") {
            route::read(route::X12, input)
        } else {
            route::read(route::JSON, input).or_else(|_| route::read("text/plain", input))
        };
        let content = match content {
            Ok(content) => content,
            Err(note) => {
                diagnostics.push(wardline_estate::Diagnostic::error(
                    crate::codes::UNREADABLE_BODY,
                    note.text,
                ));
                return None;
            }
        };
        let kind = match &content {
            Content::Hl7(message) => crate::accept::hl7_kind(message),
            Content::Interchange(all) => route::x12_kind(all),
            _ => "application/json".to_owned(),
        };
        let input = match &content {
            Content::Hl7(_) => Input::Hl7,
            Content::X12(_) | Content::Interchange(_) => Input::X12,
            Content::Json(_) => Input::Json,
            Content::Text(_) => Input::Text,
        };
        let environment = Environment {
            input,
            ..self.environment.clone()
        };
        let program = match Program::compile(source, &environment) {
            Ok(program) => program,
            Err(problems) => {
                for problem in problems {
                    diagnostics.push(plan::diagnostic_in(file, problem));
                }
                return None;
            }
        };
        for warning in program.warnings() {
            diagnostics.push(plan::diagnostic_in(file, warning.clone()));
        }
        // Of an interchange, each set is a run of its own.
        let contents = match content {
            Content::Interchange(all) => all
                .sets()
                .map(|set| Content::X12(std::sync::Arc::new(set)))
                .collect(),
            other => vec![other],
        };
        let mut shown = Vec::new();
        for content in contents {
            let subject = Subject::new(content).with(Metadata {
                message_type: Some(kind.as_str().into()),
                ..Metadata::default()
            });
            shown.extend(run(file, &program, &subject, diagnostics)?);
        }
        Some(shown)
    }
}

/// One run; `None` where it failed, which `diagnostics` then says.
fn run(
    file: FileId,
    program: &Program,
    subject: &Subject,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<String>> {
    match program.run(subject, &mut Runtime::default()) {
        Ok(Output::Json(value)) => Some(vec![pretty(&value)]),
        Ok(Output::Many(values)) => Some(values.iter().map(pretty).collect()),
        Ok(Output::Hl7(bytes)) => Some(vec![String::from_utf8_lossy(&bytes).replace('\r', "\n")]),
        Ok(Output::X12(bytes)) => Some(vec![String::from_utf8_lossy(&bytes).replace('~', "~\n")]),
        Ok(Output::Xml(bytes)) => Some(vec![crate::trial::xml_lines(&bytes)]),
        Ok(Output::Filtered { .. }) => Some(Vec::new()),
        Err(error) => {
            let mut diagnostic =
                wardline_estate::Diagnostic::error(error.code(), error.to_string());
            if let Some((start, end)) = error.span() {
                diagnostic = diagnostic
                    .at(plan::span_in(file, start, end))
                    .label("stopped here");
            }
            diagnostics.push(diagnostic);
            None
        }
    }
}

fn pretty(value: &wardline_mapping::Value) -> String {
    to_json_bytes(value, SHOWN)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| "the result is too large to be shown".to_owned())
}
