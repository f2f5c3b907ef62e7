//! XML as SOAP needs it: read whole and bounded, written, and made canonical for signatures.
//!
//! What parsers of XML have been broken with is not taken at all: document types and with them every
//! entity but the five that XML itself defines, processing instructions in messages, encodings
//! other than UTF-8. [`parse`] holds a document against [`Limits`] before it believes it.

mod canonical;
mod read;
mod write;

use std::fmt;
use std::sync::Arc;

pub use canonical::canonical;
pub use read::parse;
pub use write::{write, write_document};

/// The namespace of `xml:lang` and its like.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of declarations of namespaces.
pub(crate) const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// The namespace of `xsi:nil` and `xsi:type`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// How much XML is taken. Every limit is the largest count that is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes: usize,
    /// Elements open at the same time; at most 256 whatever is said.
    pub depth: usize,
    /// Elements and attributes of the whole document.
    pub nodes: usize,
    /// Attributes of one element, and namespaces in force at one place.
    pub attributes: usize,
    /// Whether processing instructions are passed over (in files of one's own) instead of refused.
    pub instructions: bool,
    /// Whether a document type is passed over that only names what lies elsewhere (which is never
    /// fetched), as documents have that were written before there were schemas. One that declares
    /// something is refused all the same.
    pub document_type: bool,
    /// Whether one that declares something is passed over, too (in files of one's own). An entity
    /// that it declares is refused where it is used.
    pub declarations: bool,
}

impl Limits {
    /// For messages of others.
    pub const MESSAGE: Self = Self {
        bytes: 8 << 20,
        depth: 64,
        nodes: 200_000,
        attributes: 128,
        instructions: false,
        document_type: false,
        declarations: false,
    };
    /// For business documents, such as UBL and cXML.
    pub const DOCUMENT: Self = Self {
        instructions: true,
        document_type: true,
        ..Self::MESSAGE
    };
    /// For descriptions.
    pub const DESCRIPTION: Self = Self {
        bytes: 8 << 20,
        depth: 128,
        nodes: 500_000,
        attributes: 128,
        instructions: true,
        document_type: false,
        declarations: false,
    };
    /// For files of schemas. That of XML signatures has a document type that declares things.
    pub const SCHEMA: Self = Self {
        document_type: true,
        declarations: true,
        ..Self::DESCRIPTION
    };

    /// The same with another limit on bytes.
    #[must_use]
    pub const fn of_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Why XML is refused. Holds nothing of what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// It is larger than it may be.
    #[error("it is larger than {0} bytes")]
    Bytes(usize),
    /// Elements within elements.
    #[error("more than {0} elements are open at a time")]
    Depth(usize),
    /// Elements and attributes.
    #[error("it has more than {0} elements and attributes")]
    Nodes(usize),
    /// Attributes of one element.
    #[error("an element has more than {0} attributes, or as many namespaces are in force")]
    Attributes(usize),
    /// `<!DOCTYPE`.
    #[error("document types are not taken")]
    DocumentType,
    /// `&name;` beyond the five of XML.
    #[error("entities are not taken, except &amp; &lt; &gt; &apos; &quot; and numbers")]
    Entity,
    /// `<?name?>` in a message.
    #[error("processing instructions are not taken")]
    Instruction,
    /// Other bytes than UTF-8, or another encoding declared.
    #[error("only UTF-8 is taken")]
    Encoding,
    /// A prefix that stands for nothing, or one that may not be declared so.
    #[error("a namespace prefix is not declared, or declared as it may not be (at byte {0})")]
    Namespace(u64),
    /// A character that XML cannot hold.
    #[error("it holds a character that XML does not allow")]
    Character,
    /// It is not well formed.
    #[error("it is not well-formed XML (at byte {0})")]
    Malformed(u64),
    /// It ends in the middle.
    #[error("it ends before its last element does")]
    Cut,
}

/// A name with its namespace.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The namespace; empty where there is none.
    pub namespace: Arc<str>,
    /// The name within it.
    pub local: Arc<str>,
}

impl Name {
    /// A name of a namespace.
    pub fn new(namespace: impl Into<Arc<str>>, local: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            local: local.into(),
        }
    }

    /// Whether it is this one.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        &*self.local == local && &*self.namespace == namespace
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local: String = self.local.chars().take(80).collect();
        if self.namespace.is_empty() {
            return f.write_str(&local);
        }
        let namespace: String = self.namespace.chars().take(160).collect();
        write!(f, "{{{namespace}}}{local}")
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prefixes that are in force at an element.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) declared: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) parent: Option<Arc<Scope>>,
    /// Of this one and all around it.
    pub(crate) count: usize,
}

impl Scope {
    fn look_up(&self, prefix: &str) -> Option<&Arc<str>> {
        let mut scope = Some(self);
        while let Some(this) = scope {
            if let Some((_, uri)) = this.declared.iter().find(|(known, _)| &**known == prefix) {
                return Some(uri);
            }
            scope = this.parent.as_deref();
        }
        None
    }
}

/// An attribute.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Its name; without a prefix it belongs to no namespace.
    pub name: Name,
    pub(crate) prefix: Arc<str>,
    /// Its value.
    pub value: String,
}

/// What an element holds.
#[derive(Clone, Debug)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, entities resolved, neighbours joined.
    Text(String),
}

/// An element with all that it holds.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its name.
    pub name: Name,
    pub(crate) prefix: Arc<str>,
    /// Its attributes, declarations of namespaces apart.
    pub attributes: Vec<Attribute>,
    /// What it holds, in order.
    pub children: Vec<Node>,
    pub(crate) scope: Arc<Scope>,
    /// Whether its text is bytes in base64, which may travel beside the message.
    pub(crate) is_base64: bool,
}

impl Element {
    /// An empty element.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            prefix: Arc::from(""),
            attributes: Vec::new(),
            children: Vec::new(),
            scope: Arc::default(),
            is_base64: false,
        }
    }

    /// An empty element of a namespace.
    pub fn of(namespace: &str, local: &str) -> Self {
        Self::new(Name::new(namespace, local))
    }

    /// The same with an element behind what it holds.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// The same with text behind what it holds.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.children.push(Node::Text(text));
        }
        self
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: Name, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// Adds an attribute.
    pub fn set(&mut self, name: Name, value: impl Into<String>) {
        self.attributes.push(Attribute {
            name,
            prefix: Arc::from(""),
            value: value.into(),
        });
    }

    /// The elements that it holds.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first element of this name.
    pub fn child(&self, namespace: &str, local: &str) -> Option<&Self> {
        self.elements()
            .find(|child| child.name.is(namespace, local))
    }

    /// Its own text, joined.
    pub fn text(&self) -> String {
        self.children
            .iter()
            .filter_map(|child| match child {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// Whether it holds text beyond blanks.
    pub fn has_text(&self) -> bool {
        self.children.iter().any(|child| match child {
            Node::Text(text) => !is_blank(text),
            Node::Element(_) => false,
        })
    }

    /// The value of an attribute of no namespace.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        self.attribute_of("", local)
    }

    /// The value of an attribute.
    pub fn attribute_of(&self, namespace: &str, local: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name.is(namespace, local))
            .map(|attribute| attribute.value.as_str())
    }

    /// What a prefix stands for here.
    pub fn namespace(&self, prefix: &str) -> Option<Arc<str>> {
        if prefix == "xml" {
            return Some(Arc::from(XML));
        }
        self.scope.look_up(prefix).cloned()
    }

    /// A name as it is written in a value: `tns:order`. Without a prefix it belongs to the default
    /// namespace. `None` where the prefix stands for nothing.
    pub fn resolve(&self, written: &str) -> Option<Name> {
        let written = written.trim_matches(is_space);
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        if !is_name(local) {
            return None;
        }
        let namespace = match self.namespace(prefix) {
            Some(namespace) => namespace,
            None if prefix.is_empty() => Arc::from(""),
            None => return None,
        };
        Some(Name::new(namespace, local))
    }

    /// Whether `xsi:nil` says that it has no value.
    pub fn is_nil(&self) -> bool {
        self.attribute_of(XSI, "nil")
            .is_some_and(|value| matches!(value.trim_matches(is_space), "true" | "1"))
    }
}

/// A blank of XML.
pub(crate) const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Whether a text holds nothing but blanks.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// Whether XML 1.0 can hold a character.
pub(crate) const fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether it is a name without a colon (NCName).
pub fn is_name(text: &str) -> bool {
    const fn begins(character: char) -> bool {
        matches!(character, 'A'..='Z' | 'a'..='z' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}'
            | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
            | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
            | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
    }
    const fn goes_on(character: char) -> bool {
        begins(character)
            || matches!(character, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    }
    let mut characters = text.chars();
    characters.next().is_some_and(begins) && characters.all(goes_on)
}

#[cfg(test)]
mod tests;
