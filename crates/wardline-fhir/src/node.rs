//! JSON while it is written: names are the specification's, what is empty is left away, and
//! decimals stay as they were written (`5.40` is not `5.4` in a laboratory).

use serde_json::Value;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Object(Object),
    Array(Vec<Node>),
    Text(String),
    Word(&'static str),
    /// Digits as JSON writes them.
    Number(String),
    Bool(bool),
}

/// An object, in the order of its names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(pub(crate) Vec<(&'static str, Node)>);

impl Object {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(8))
    }

    /// Puts a value, where there is one.
    pub(crate) fn put(&mut self, name: &'static str, value: impl Field) -> &mut Self {
        if let Some(node) = value.node().filter(|node| !node.is_empty()) {
            self.0.push((name, node));
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, node)| node)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.0
            .iter_mut()
            .find(|(known, _)| *known == name)
            .map(|(_, node)| node)
    }

    /// Appends to an array, which is made where it is not there.
    pub(crate) fn push(&mut self, name: &'static str, value: impl Into<Node>) {
        let value = value.into();
        if value.is_empty() {
            return;
        }
        match self.get_mut(name) {
            Some(Node::Array(all)) => all.push(value),
            _ => self.0.push((name, Node::Array(vec![value]))),
        }
    }

    /// The object, where it holds anything.
    pub(crate) fn some(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        match self {
            Self::Object(object) => object.is_empty(),
            Self::Array(all) => all.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Word(word) => word.is_empty(),
            Self::Number(_) | Self::Bool(_) => false,
        }
    }

    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Object(object) => object.write(out),
            Self::Array(all) => {
                out.push('[');
                for (n, one) in all.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    one.write(out);
                }
                out.push(']');
            }
            Self::Text(text) => quote(text, out),
            Self::Word(word) => quote(word, out),
            Self::Number(digits) => out.push_str(digits),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Object(object) => object.to_value(),
            Self::Array(all) => Value::Array(all.iter().map(Self::to_value).collect()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Word(word) => Value::String((*word).to_owned()),
            Self::Number(digits) => serde_json::from_str(digits).unwrap_or(Value::Null),
            Self::Bool(value) => Value::Bool(*value),
        }
    }
}

impl Object {
    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        for (n, (name, node)) in self.0.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            node.write(out);
        }
        out.push('}');
    }

    pub(crate) fn to_value(&self) -> Value {
        let all = self
            .0
            .iter()
            .map(|(name, node)| ((*name).to_owned(), node.to_value()));
        Value::Object(all.collect())
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (n, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..n]);
        if short.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(short);
        }
        from = n + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// What can be put into an object: a value, or perhaps one.
pub(crate) trait Field {
    fn node(self) -> Option<Node>;
}

impl<T: Into<Node>> Field for Option<T> {
    fn node(self) -> Option<Node> {
        self.map(Into::into)
    }
}

impl Field for Node {
    fn node(self) -> Option<Node> {
        Some(self)
    }
}

macro_rules! from {
    ($($kind:ty => $make:expr),* $(,)?) => {
        $(impl From<$kind> for Node {
            fn from(value: $kind) -> Self {
                $make(value)
            }
        }
        impl Field for $kind {
            fn node(self) -> Option<Node> {
                Some(Node::from(self))
            }
        })*
    };
}
from! {
    Object => Node::Object,
    Vec<Node> => Node::Array,
    String => Node::Text,
    &'static str => Node::Word,
    bool => Node::Bool,
    Vec<Object> => |all: Vec<Object>| Node::Array(all.into_iter().map(Node::Object).collect()),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_away_and_digits_stay() {
        let mut object = Object::new();
        object
            .put("a", String::new())
            .put("b", None::<String>)
            .put("c", "x\"\u{1}\n".to_owned())
            .put("d", Node::Number("5.40".into()));
        object.push("e", true);
        let mut text = String::new();
        object.write(&mut text);
        assert_eq!(text, "{\"c\":\"x\\\"\\u0001\\n\",\"d\":5.40,\"e\":[true]}");
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            object.to_value()
        );
    }
}
