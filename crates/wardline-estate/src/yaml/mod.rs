//! YAML as a tree in which every node knows its place.
//!
//! Built on the events of `saphyr-parser` rather than on a ready-made tree, because a checker needs
//! what such trees drop: both places of a duplicate key, the style of a scalar (a quoted `"1"` is
//! text), and how a scalar's bytes lie in the file, so that errors inside an embedded expression
//! can point at the right column. Anchors, aliases and tags are refused, which also keeps the tree
//! no larger than the file.

mod parse;

pub(crate) use parse::parse;

use crate::source::{Layout, Span, Spanned};

/// A node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Span,
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// Nothing after a colon, `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) layout: Layout,
    /// Unquoted, so that it may be a number or a boolean.
    pub(crate) plain: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Span,
    pub(crate) value: Node,
}

/// What a plain scalar is by the core schema of YAML 1.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain {
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text,
}

impl Scalar {
    pub(crate) fn resolve(&self) -> Plain {
        if !self.plain {
            return Plain::Text;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" => return Plain::Bool(true),
            "false" | "False" | "FALSE" => return Plain::Bool(false),
            _ => {}
        }
        // Rust would also take `inf`, `nan` and `1_000`-free words; YAML numbers start otherwise.
        let starts_like_a_number = self
            .text
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        if !starts_like_a_number || !self.text.contains(|c: char| c.is_ascii_digit()) {
            return Plain::Text;
        }
        if let Ok(integer) = self.text.parse() {
            return Plain::Integer(integer);
        }
        self.text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map_or(Plain::Text, Plain::Number)
    }
}

impl Node {
    /// The entry of a mapping; the first where a key was given twice.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a mapping's key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A list's items; any other node is a list of itself, null is the empty list.
    pub(crate) fn one_or_many(&self) -> &[Self] {
        match &self.data {
            Data::List(items) => items,
            Data::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<Spanned<String>> {
        let scalar = self.scalar()?;
        Some(Spanned {
            value: scalar.text.clone(),
            at: self.at,
            layout: scalar.layout,
        })
    }

    /// What the node is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::List(_) => "a list",
            Data::Mapping(_) => "a mapping",
            Data::Scalar(scalar) => match scalar.resolve() {
                Plain::Bool(_) => "a boolean",
                Plain::Integer(_) | Plain::Number(_) => "a number",
                Plain::Text => "text",
            },
        }
    }

    /// The node as JSON. Plain scalars are typed by the core schema.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.data {
            Data::Null => Value::Null,
            Data::Scalar(scalar) => match scalar.resolve() {
                Plain::Bool(value) => value.into(),
                Plain::Integer(value) => value.into(),
                Plain::Number(value) => value.into(),
                Plain::Text => scalar.text.as_str().into(),
            },
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect(),
            ),
        }
    }
}
