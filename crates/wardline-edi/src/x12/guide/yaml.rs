//! The little of YAML that guides are written in: maps, lists and words.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A value of a guide's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// A word, a number, a text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in their order.
    Map(Vec<(String, Node)>),
}

/// Nesting of a guide: loops in loops in loops.
const DEEPEST: usize = 64;

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(pairs) => pairs
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads one document; the error names the line.
pub(super) fn read(source: &str) -> Result<Node, String> {
    let mut open: Vec<(Node, Option<String>)> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(source) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let line = span.start.line();
        let done = match event {
            Event::Scalar(text, style, _, _) => {
                let empty = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                Some(Node::Text(if empty {
                    String::new()
                } else {
                    text.into_owned()
                }))
            }
            Event::SequenceStart(..) => {
                open.push((Node::List(Vec::new()), None));
                None
            }
            Event::MappingStart(..) => {
                open.push((Node::Map(Vec::new()), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|(node, _)| node),
            Event::Alias(_) => return Err(format!("line {line}: guides have no aliases")),
            _ => None,
        };
        if open.len() > DEEPEST {
            return Err(format!("line {line}: nested deeper than {DEEPEST}"));
        }
        let Some(node) = done else { continue };
        match open.last_mut() {
            None if root.is_none() => root = Some(node),
            None => return Err(format!("line {line}: a second document; a guide is one")),
            Some((Node::List(items), _)) => items.push(node),
            Some((Node::Map(pairs), key)) => match key.take() {
                Some(name) => {
                    if pairs.iter().any(|(known, _)| *known == name) {
                        return Err(format!("line {line}: `{name}` twice"));
                    }
                    pairs.push((name, node));
                }
                None => match node {
                    Node::Text(name) => *key = Some(name),
                    _ => return Err(format!("line {line}: a key is a word")),
                },
            },
            Some((Node::Text(_), _)) => return Err(format!("line {line}: not a guide")),
        }
    }
    root.ok_or_else(|| "the file is empty".to_owned())
}
