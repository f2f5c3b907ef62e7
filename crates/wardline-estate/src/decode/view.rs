//! A mapping and the table that says which keys it has, so that defaults are read from the table
//! and a key that the table does not know cannot be asked for.

use crate::shape::{Need, Object};
use crate::source::{Span, Spanned};
use crate::yaml::{Node, Plain};

#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    node: Option<&'a Node>,
    object: &'static Object,
}

impl<'a> View<'a> {
    /// A mapping that may be absent.
    pub(crate) fn new(node: Option<&'a Node>, object: &'static Object) -> Self {
        Self { node, object }
    }

    /// The value of a key of the table.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(
            self.field(key).is_some(),
            "{} has no key {key}",
            self.object.name
        );
        self.node?.get(key)
    }

    /// A mapping below a key.
    pub(crate) fn below(&self, key: &str, object: &'static Object) -> View<'a> {
        View::new(self.get(key), object)
    }

    /// The text of a key, without its default.
    pub(crate) fn text(&self, key: &str) -> Option<Spanned<String>> {
        self.get(key)?.text()
    }

    /// The text of a key, or nothing at the place where it should be.
    pub(crate) fn text_or_stand_in(&self, key: &str, at: Span) -> Spanned<String> {
        self.text(key)
            .unwrap_or_else(|| Spanned::new(String::new(), at))
    }

    /// The text of a key, or of its default.
    pub(crate) fn string(&self, key: &str) -> Option<String> {
        let written = self.text(key).map(|text| text.value);
        written.or_else(|| self.default(key).map(str::to_owned))
    }

    /// The texts of a key that takes one or many.
    pub(crate) fn texts(&self, key: &str) -> Vec<Spanned<String>> {
        self.get(key)
            .map_or(&[][..], Node::one_or_many)
            .iter()
            .filter_map(Node::text)
            .collect()
    }

    /// The value of a key, or of its default, as `read` understands it.
    pub(crate) fn parsed<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let written = self
            .get(key)
            .and_then(Node::scalar)
            .and_then(|scalar| read(&scalar.text).ok());
        written.or_else(|| read(self.default(key)?).ok())
    }

    /// A whole number, or its default, or 0.
    pub(crate) fn integer(&self, key: &str) -> u32 {
        let read = |text: &str| {
            text.parse()
                .map_err(|error: std::num::ParseIntError| error.to_string())
        };
        self.parsed(key, read).unwrap_or_default()
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        let Some(node) = self.get(key) else {
            return self.default(key) == Some("true");
        };
        node.scalar()
            .is_some_and(|scalar| scalar.resolve() == Plain::Bool(true))
    }

    /// What the table says a key means when it is absent.
    pub(crate) fn default(&self, key: &str) -> Option<&'static str> {
        match self.field(key)?.need {
            Need::Default(text) => Some(text),
            Need::Required | Need::Optional | Need::Later => None,
        }
    }

    fn field(&self, key: &str) -> Option<&'static crate::shape::Field> {
        self.object.fields.iter().find(|field| field.key == key)
    }
}
