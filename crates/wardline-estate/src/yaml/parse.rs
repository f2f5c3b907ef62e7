//! From the parser's events to the tree.

use super::{Data, Entry, Node, Scalar};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{FileId, Layout, Span};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// More levels than any declaration needs (each step of a process within another takes three), few
/// enough for recursion over the tree to be safe.
const MAX_DEPTH: usize = 128;

/// Parses a file into its documents. `None` where it is not well-formed, after reporting why.
pub(crate) fn parse(text: &str, file: FileId, problems: &mut Diagnostics) -> Option<Vec<Node>> {
    let mut builder = Builder {
        text,
        file,
        offsets: Offsets::of(text),
        open: Vec::new(),
        documents: Vec::new(),
        sound: true,
    };
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => builder.take(event, span, problems),
            Err(error) => {
                let at = builder.point(*error.marker());
                ControlFlow::Break(
                    Diagnostic::error(codes::YAML_SYNTAX, "this is not well-formed YAML")
                        .at(at)
                        .label(error.info().to_owned()),
                )
            }
        };
        if let ControlFlow::Break(problem) = outcome {
            problems.push(problem);
            return None;
        }
    }
    builder.sound.then_some(builder.documents)
}

/// Byte offsets by character index; the parser counts characters.
enum Offsets {
    Ascii,
    Table(Vec<u32>),
}

impl Offsets {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Ascii;
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        Self::Table(
            starts
                .map(|at| u32::try_from(at).unwrap_or(u32::MAX))
                .collect(),
        )
    }
}

/// A collection whose end has not been seen.
enum Open {
    List {
        at: Span,
        items: Vec<Node>,
    },
    Mapping {
        at: Span,
        entries: Vec<Entry>,
        key: Option<Key>,
        seen: HashMap<String, Span>,
    },
}

/// A key whose value has not been seen.
struct Key {
    /// `None` for one that was refused.
    name: Option<String>,
    at: Span,
}

struct Builder<'a> {
    text: &'a str,
    file: FileId,
    offsets: Offsets,
    open: Vec<Open>,
    documents: Vec<Node>,
    /// No key was lost.
    sound: bool,
}

impl Builder<'_> {
    fn take(
        &mut self,
        event: Event<'_>,
        span: saphyr_parser::Span,
        problems: &mut Diagnostics,
    ) -> ControlFlow<Diagnostic> {
        let at = self.span(span);
        match event {
            Event::Alias(_) => return ControlFlow::Break(feature(at, "an alias")),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return ControlFlow::Break(feature(at, "an anchor"));
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return ControlFlow::Break(feature(at, "a tag"));
            }
            Event::Scalar(value, style, _, _) => {
                let node = self.scalar(value.into_owned(), style, at);
                self.place(node, problems);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.open.len() >= MAX_DEPTH => {
                return ControlFlow::Break(
                    Diagnostic::error(codes::TOO_DEEP, format!("more than {MAX_DEPTH} levels"))
                        .at(at),
                );
            }
            Event::SequenceStart(..) => self.open.push(Open::List {
                at,
                items: Vec::new(),
            }),
            Event::MappingStart(..) => self.open.push(Open::Mapping {
                at,
                entries: Vec::new(),
                key: None,
                seen: HashMap::new(),
            }),
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List { at: start, items }) => {
                        let end = items
                            .last()
                            .map_or(at.end, |item| item.at.end.max(at.end.min(start.end)));
                        Node {
                            at: Span {
                                end: end.max(start.start),
                                ..start
                            },
                            data: Data::List(items),
                        }
                    }
                    Some(Open::Mapping {
                        at: start, entries, ..
                    }) => {
                        let end = entries.last().map_or(at.end, |entry| entry.value.at.end);
                        Node {
                            at: Span {
                                end: end.max(start.start),
                                ..start
                            },
                            data: Data::Mapping(entries),
                        }
                    }
                    None => return ControlFlow::Continue(()),
                };
                self.place(node, problems);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        ControlFlow::Continue(())
    }

    /// Puts a finished node where it belongs: into the open collection, or among the documents.
    fn place(&mut self, node: Node, problems: &mut Diagnostics) {
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping {
                entries, key, seen, ..
            }) => match key.take() {
                None => {
                    *key = Some(Key {
                        at: node.at,
                        name: as_key(node, self.text, problems),
                    });
                }
                Some(Key { name: None, .. }) => {}
                Some(Key {
                    name: Some(name),
                    at: key_at,
                }) => {
                    if let Some(first) = seen.get(&name) {
                        problems.push(
                            Diagnostic::error(
                                codes::DUPLICATE_KEY,
                                format!("the key `{name}` occurs twice"),
                            )
                            .at(key_at)
                            .label("again here")
                            .related(*first, "first here"),
                        );
                    } else {
                        seen.insert(name.clone(), key_at);
                    }
                    entries.push(Entry {
                        key: name,
                        key_at,
                        value: node,
                    });
                }
            },
        }
    }

    fn scalar(&self, text: String, style: ScalarStyle, at: Span) -> Node {
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
            return Node {
                at,
                data: Data::Null,
            };
        }
        let (at, layout) = self.layout(&text, style, at);
        Node {
            at,
            data: Data::Scalar(Scalar {
                text,
                layout,
                plain,
            }),
        }
    }

    /// How the scalar lies in the file, and its place without blanks that the parser counts in.
    fn layout(&self, value: &str, style: ScalarStyle, at: Span) -> (Span, Layout) {
        let (start, end) = (at.start as usize, at.end as usize);
        let trimmed = self.text.get(start..end).unwrap_or("").trim_end();
        let at = Span {
            end: at.start + u32::try_from(trimmed.len()).unwrap_or(0),
            ..at
        };
        let quotes = usize::from(matches!(
            style,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
        ));
        match style {
            ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let inner = trimmed.get(quotes..trimmed.len().saturating_sub(quotes));
                if inner == Some(value) {
                    (at, Layout::Verbatim(at.start + u32::from(quotes == 1)))
                } else {
                    (at, Layout::Opaque)
                }
            }
            ScalarStyle::Literal => (at, self.block_layout(value, start).unwrap_or_default()),
            ScalarStyle::Folded => (at, Layout::Opaque),
        }
    }

    /// The layout of a literal block, whose span starts at its first character that is not blank.
    fn block_layout(&self, value: &str, start: usize) -> Option<Layout> {
        let before = self.text.get(..start)?;
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let indent = start - line;
        // Blank lines at the top belong to the value but come before the span.
        let mut first = line;
        for _ in 0..value.bytes().take_while(|&b| b == b'\n').count() {
            first = before
                .get(..first.checked_sub(1)?)?
                .rfind('\n')
                .map_or(0, |newline| newline + 1);
        }
        let written = self.text.get(start..)?.lines().next()?;
        let said = value.trim_start_matches('\n').lines().next()?;
        (written == said && before.get(line..)?.bytes().all(|b| b == b' ')).then_some(())?;
        Some(Layout::Block {
            start: u32::try_from(first).ok()?,
            indent: u32::try_from(indent).ok()?,
        })
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.offset(span.start);
        Span::new(self.file, start, self.offset(span.end).max(start))
    }

    /// The character at a marker, or the last one of the file.
    fn point(&self, marker: Marker) -> Span {
        let start = self
            .offset(marker)
            .min(u32::try_from(self.text.trim_end().len()).unwrap_or(u32::MAX));
        Span::new(self.file, start, start)
    }

    fn offset(&self, marker: Marker) -> u32 {
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        match &self.offsets {
            Offsets::Ascii => u32::try_from(marker.index()).unwrap_or(u32::MAX).min(end),
            Offsets::Table(table) => table.get(marker.index()).copied().unwrap_or(end),
        }
    }
}

fn as_key(node: Node, text: &str, problems: &mut Diagnostics) -> Option<String> {
    match node.data {
        Data::Scalar(scalar) if scalar.text == "<<" && scalar.plain => {
            problems.push(feature(node.at, "a merge key"));
            None
        }
        Data::Scalar(scalar) => Some(scalar.text),
        // `null:` is how the null connection is declared, so the word is a key like any other.
        Data::Null => Some(
            text.get(node.at.start as usize..node.at.end as usize)
                .unwrap_or("")
                .to_owned(),
        ),
        Data::List(_) | Data::Mapping(_) => {
            problems.push(
                Diagnostic::error(codes::WRONG_TYPE, "a key must be a text")
                    .at(node.at)
                    .help("quote it if it starts with `{` or `[`"),
            );
            None
        }
    }
}

fn feature(at: Span, what: &str) -> Diagnostic {
    Diagnostic::error(
        codes::YAML_FEATURE,
        format!("{what}: estates do not use this"),
    )
    .at(at)
    .help("write the value where it is used, or quote the text if it is meant literally")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMap;

    fn read(text: &str) -> (SourceMap, Vec<Node>) {
        let mut sources = SourceMap::new();
        let file = sources.add("t.yaml", text);
        let mut problems = Diagnostics::new();
        let documents = parse(text, file, &mut problems);
        assert!(problems.is_empty(), "{}", problems.render(&sources, false));
        (sources, documents.unwrap())
    }

    /// The slice an inner mark would underline.
    fn marked(text: &str, key: &str, needle: &str) -> String {
        let (sources, documents) = read(text);
        let value = documents[0].get(key).unwrap().text().unwrap();
        let at = value.value.find(needle).unwrap();
        sources
            .slice(value.inner(at..at + needle.len(), &sources))
            .to_owned()
    }

    #[test]
    fn marks_inside_scalars_point_at_the_file() {
        assert_eq!(
            marked("a: ü\nwhen: .x == \"ä\" && .yz   # c\n", "when", ".yz"),
            ".yz"
        );
        assert_eq!(marked("when: '.x && .yz'\n", "when", ".yz"), ".yz");
        assert_eq!(marked("when: \".x && .yz\"\n", "when", ".yz"), ".yz");
        assert_eq!(marked("{when: .x && .yz, b: 1}\n", "when", ".yz"), ".yz");
        assert_eq!(
            marked("when: |\n  .x &&\n    .yz\nkey: 1\n", "when", ".yz"),
            ".yz"
        );
        assert_eq!(
            marked("when: |\n\n\n  .x &&\n\n    .yz\nkey: 1\n", "when", ".yz"),
            ".yz"
        );
        assert_eq!(
            marked(
                "a: [{when: ü && .yz }]\nwhen: |-\n  ü && .yz\n",
                "when",
                ".yz"
            ),
            ".yz"
        );
        assert_eq!(
            marked("a:\r\n  - 1\r\nwhen: .x && .yz\r\n", "when", ".yz"),
            ".yz"
        );
        assert_eq!(
            marked("when: '.x == ''a'' && .yz'\n", "when", ".yz"),
            "'.x == ''a'' && .yz'"
        );
        assert_eq!(
            marked("when: .x &&\n  .yz\n", "when", ".yz"),
            ".x &&\n  .yz"
        );
        assert_eq!(
            marked("when: >\n  .x &&\n  .yz\nb: c\n", "when", ".yz"),
            ".x &&\n  .yz"
        );
    }

    #[test]
    fn plain_scalars_are_typed_and_quoted_ones_are_not() {
        let (_, documents) =
            read("a: 1\nb: \"1\"\nc: 1.5\nd: true\ne: ~\nf: nan\ng: 1.2.3\nnull: {}\n");
        let json = documents[0].to_json();
        assert_eq!(
            json.to_string(),
            r#"{"a":1,"b":"1","c":1.5,"d":true,"e":null,"f":"nan","g":"1.2.3","null":{}}"#
        );
    }

    #[test]
    fn several_documents_and_places() {
        let (sources, documents) = read("a: {x: 1}\n---\nb:\n  - one\n  - two\n");
        assert_eq!(documents.len(), 2);
        assert_eq!(
            sources.place(documents[1].entry("b").unwrap().key_at),
            "t.yaml:3:1"
        );
        assert_eq!(
            sources.slice(documents[1].get("b").unwrap().one_or_many()[1].at),
            "two"
        );
    }
}
