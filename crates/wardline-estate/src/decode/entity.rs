//! `entities/*.yaml` and the JSON Schemas they name.

use super::connection::sensitivity;
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TEXT_LIMIT;
use crate::model::{Entity, RecordOwner};
use crate::shape::data::{ENTITY, RECORD};
use crate::source::{FileId, Span};
use crate::yaml::Node;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

impl Decoder<'_> {
    /// The entity; without a usable schema it gets one that accepts everything, so that references
    /// to the entity are not reported as well.
    pub(super) fn entity(&mut self, node: &Node) -> Option<Entity> {
        let view = View::new(Some(node), &ENTITY);
        let name = view.text("entity")?;
        let (schema, schema_file, schema_path) = self
            .schema(view)
            .unwrap_or_else(|| (Value::Bool(true), FileId(u32::MAX), PathBuf::new()));
        let record = view.get("record").and_then(|node| {
            let view = View::new(Some(node), &RECORD);
            let attributes = view.get("attributes").map_or(&[][..], Node::entries).iter();
            Some(RecordOwner {
                master: view.text("master")?,
                attributes: attributes
                    .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?)))
                    .collect(),
            })
        });
        let classes = view.get("sensitivity").map_or(&[][..], Node::entries);
        for entry in classes {
            self.attribute(&schema, &entry.key, entry.key_at);
        }
        let keys = view.get("keys").map_or(&[][..], Node::entries);
        for path in keys.iter().filter_map(|entry| entry.value.text()) {
            self.attribute(&schema, &path.value, path.at);
        }
        Some(Entity {
            name: name.value,
            at: name.at,
            version: view.string("version").unwrap_or_default(),
            title: view.string("title"),
            owner: view.string("owner"),
            schema: Arc::new(schema),
            schema_file,
            schema_path,
            sensitivity: classes
                .iter()
                .filter_map(|entry| {
                    Some((
                        entry.key.clone(),
                        sensitivity(&entry.value.scalar()?.text).ok()?,
                    ))
                })
                .collect(),
            keys: keys
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?)))
                .collect(),
            record,
        })
    }

    fn schema(&mut self, view: View<'_>) -> Option<(Value, FileId, PathBuf)> {
        let path = self.files.refer("entities", &view.text("schema")?)?;
        let file = self.files.text(&path, TEXT_LIMIT)?;
        let text = self.files.sources.text(file);
        let schema: Value = match serde_json::from_str(text) {
            Ok(schema) => schema,
            Err(error) => {
                let at = place(text, file, error.line(), error.column());
                let why = error.to_string();
                let why = why.split(" at line").next().unwrap_or(&why).to_owned();
                self.files.problems.push(
                    Diagnostic::error(codes::BAD_JSON, "this is not JSON")
                        .at(at)
                        .label(why),
                );
                return None;
            }
        };
        if let Err(error) = jsonschema::options().build(&schema) {
            let at = Span::new(file, 0, 0);
            let where_in_it = error.instance_path().to_string();
            let text = error.to_string();
            let label = if text.contains("retrieving it failed") {
                "it refers to another document, and nothing is fetched".to_owned()
            } else {
                crate::suggest::clip_line(&text)
            };
            let mut problem = Diagnostic::error(codes::BAD_SCHEMA, "this is not a JSON Schema")
                .at(at)
                .label(label);
            if !where_in_it.is_empty() {
                problem = problem.with_note(format!("in the schema at `{where_in_it}`"));
            }
            self.files.problems.push(problem);
            return None;
        }
        Some((schema, file, path))
    }

    /// Reports an attribute that the schema certainly does not describe.
    fn attribute(&mut self, schema: &Value, path: &str, at: Span) {
        if let Some(missing) = crate::attribute::missing(schema, path) {
            self.files.problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_ATTRIBUTE,
                    format!(
                        "the schema has no attribute `{}`",
                        crate::suggest::clip(path)
                    ),
                )
                .at(at)
                .help_if(missing.near),
            );
        }
    }
}

/// The place of a line and column, both counted from 1 in bytes, as `serde_json` counts.
fn place(text: &str, file: FileId, line: usize, column: usize) -> Span {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let at = u32::try_from((start + column.saturating_sub(1)).min(text.len())).unwrap_or(u32::MAX);
    Span::new(file, at, at)
}
