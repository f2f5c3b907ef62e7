//! Documents that an estate refers to but that are no declarations of its own: OpenAPI contracts.
//!
//! Their words are somebody else's, so their shape is not checked here. What is kept is the value
//! and the place of each of its parts, so that whoever understands the document can complain at
//! the line that caused it.

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Estate, FileRef};
use crate::source::{FileId, SourceMap, Span};
use crate::yaml::{self, Data, Node};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// A JSON or YAML document and the places of its parts.
#[derive(Clone, Debug)]
pub struct Document {
    value: Value,
    /// Absent for JSON that a YAML reader does not take; then every part is at the file's start.
    places: Option<Node>,
    file: FileId,
}

impl Document {
    /// Reads the file of a reference: JSON where its name ends in `.json`, otherwise YAML.
    ///
    /// # Errors
    /// What keeps it from being read, at its place. Nothing where the file itself could not be
    /// read, which the loader has told.
    pub fn read(estate: &Estate, reference: &FileRef) -> Result<Self, Vec<Diagnostic>> {
        match estate.sources.find(&reference.path) {
            Some(file) => Self::of(&estate.sources, file),
            None => Err(Vec::new()),
        }
    }

    /// Reads a document that lies outside of any estate.
    ///
    /// # Errors
    /// What keeps it from being read, as it is shown to people.
    pub fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let mut sources = SourceMap::new();
        let file = sources.add(path, text.strip_prefix('\u{feff}').unwrap_or(text));
        Self::of(&sources, file).map_err(|problems| {
            let mut all = Diagnostics::new();
            all.extend(problems);
            all.render(&sources, false)
        })
    }

    pub(crate) fn of(sources: &SourceMap, file: FileId) -> Result<Self, Vec<Diagnostic>> {
        let text: Arc<str> = sources.text(file).into();
        let mut problems = Diagnostics::new();
        let nodes = yaml::parse(&text, file, &mut problems);
        let json = sources
            .path(file)
            .extension()
            .is_some_and(|it| it == "json");
        if json {
            let value = serde_json::from_str(&text).map_err(|error| {
                let at = line_start(&text, file, error.line());
                vec![
                    Diagnostic::error(codes::BAD_JSON, "this is not JSON")
                        .at(at)
                        .label(error.to_string()),
                ]
            })?;
            return Ok(Self {
                value,
                places: nodes.and_then(|nodes| nodes.into_iter().next()),
                file,
            });
        }
        let first = nodes.and_then(|nodes| nodes.into_iter().next());
        match first {
            Some(node) if problems.is_empty() => Ok(Self {
                value: node.to_json(),
                places: Some(node),
                file,
            }),
            None if problems.is_empty() => Ok(Self {
                value: Value::Null,
                places: None,
                file,
            }),
            _ => Err(problems.into_iter().collect()),
        }
    }

    /// What it says.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The place of a part by its JSON Pointer (RFC 6901): that of its key, or of the nearest part
    /// above it that is there.
    pub fn place(&self, pointer: &str) -> Span {
        let start = Span::new(self.file, 0, 0);
        let Some(root) = &self.places else {
            return start;
        };
        let first = root.entries().first();
        let mut at = first.map_or(start, |entry| entry.key_at);
        let mut node = root;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.data {
                Data::Mapping(entries) => entries
                    .iter()
                    .find(|entry| entry.key == part)
                    .map(|entry| (&entry.value, entry.key_at)),
                Data::List(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (item, first_of(item))),
                Data::Null | Data::Scalar(_) => None,
            };
            let Some((below, place)) = next else {
                break;
            };
            at = match below.data {
                Data::Scalar(_) => below.at,
                _ => place,
            };
            node = below;
        }
        at
    }
}

/// What to mark of an item: its first key, since an item may be many lines long.
fn first_of(node: &Node) -> Span {
    node.entries().first().map_or(node.at, |entry| entry.key_at)
}

fn line_start(text: &str, file: FileId, line: usize) -> Span {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    let start = u32::try_from(lines.map(str::len).sum::<usize>()).unwrap_or(u32::MAX);
    Span::new(file, start, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> (SourceMap, Result<Document, Vec<Diagnostic>>) {
        let mut sources = SourceMap::new();
        let file = sources.add(path, text);
        let document = Document::of(&sources, file);
        (sources, document)
    }

    #[test]
    fn parts_have_places_in_yaml_and_json() {
        let yaml = "openapi: 3.1.0\npaths:\n  /a/{b}:\n    get:\n      parameters:\n        - name: b\n          in: path\n      responses: { 200: { description: ok } }\n";
        let json = "{\n\t\"openapi\": \"3.1.0\",\n  \"paths\": { \"/a/{b}\": { \"get\": {\n \"parameters\": [ {\n\"name\": \"b\" } ],\n \"responses\": { \"200\": {} } } } }\n}\n";
        for (path, text, lines) in [
            ("c.yaml", yaml, [(1, 10), (4, 5), (6, 17), (8, 20), (2, 1)]),
            ("c.json", json, [(2, 13), (3, 26), (5, 9), (6, 17), (3, 3)]),
        ] {
            let (sources, document) = read(path, text);
            let document = document.unwrap();
            let pointers = [
                "/openapi",
                "/paths/~1a~1{b}/get",
                "/paths/~1a~1{b}/get/parameters/0/name",
                "/paths/~1a~1{b}/get/responses/200",
                "/paths/~1none/get",
            ];
            for (pointer, line) in pointers.into_iter().zip(lines) {
                let found = sources.line_column(document.place(pointer));
                assert_eq!(found, line, "{path} {pointer}");
            }
            assert_eq!(document.value()["openapi"], "3.1.0");
            assert!(document.value().pointer(pointers[3]).is_some());
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_at_its_place() {
        for (path, text, code) in [
            ("c.json", "{\n\"a\": nope }", codes::BAD_JSON),
            ("c.yaml", "a: &x 1\nb: *x\n", codes::YAML_FEATURE),
            ("c.yaml", "a: [1,\n", codes::YAML_SYNTAX),
            ("c.yaml", "a: 1\na: 2\n", codes::DUPLICATE_KEY),
        ] {
            let (_, document) = read(path, text);
            let problems = document.unwrap_err();
            assert_eq!(problems[0].code, code, "{text}");
        }
        assert_eq!(read("c.yaml", "").1.unwrap().value(), &Value::Null);
    }
}
