//! From bytes to elements, within limits.

use std::sync::Arc;

use ahash::AHashSet;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{
    Attribute, Element, Limits, Name, Node, Scope, XML, XMLNS, XmlError, is_blank, is_character,
    is_name,
};

/// Elements that may be open whatever the limits say: what holds them is visited by recursion.
const DEEPEST: usize = 256;

/// Reads a document and gives its outermost element.
///
/// ```
/// use wardline_soap::xml::{Limits, XmlError, parse};
/// let order = parse(b"<order xmlns='urn:po'><number>7</number></order>", Limits::MESSAGE)?;
/// assert_eq!(order.child("urn:po", "number").map(|number| number.text()).as_deref(), Some("7"));
/// assert_eq!(parse(b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", Limits::MESSAGE).unwrap_err(),
///     XmlError::DocumentType);
/// # Ok::<(), XmlError>(())
/// ```
///
/// # Errors
/// Why it is refused.
pub fn parse(document: &[u8], limits: Limits) -> Result<Element, XmlError> {
    if document.len() > limits.bytes {
        return Err(XmlError::Bytes(limits.bytes));
    }
    let text = std::str::from_utf8(document).map_err(|_| XmlError::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut build = Build {
        limits: Limits {
            depth: limits.depth.min(DEEPEST),
            ..limits
        },
        open: Vec::new(),
        root: None,
        nodes: 0,
        outside: Arc::default(),
        uris: AHashSet::new(),
    };
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|error| match error {
            quick_xml::Error::Syntax(
                quick_xml::errors::SyntaxError::UnclosedTag
                | quick_xml::errors::SyntaxError::UnclosedComment
                | quick_xml::errors::SyntaxError::UnclosedCData
                | quick_xml::errors::SyntaxError::UnclosedPI,
            ) => XmlError::Cut,
            _ => XmlError::Malformed(reader.error_position()),
        })?;
        let at = reader.buffer_position();
        match event {
            Event::Eof => break,
            Event::DocType(text)
                if limits.document_type
                    && build.open.is_empty()
                    && build.root.is_none()
                    && (limits.declarations || !text.contains('[')) => {}
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Decl(declaration) => {
                if !first {
                    return Err(XmlError::Malformed(at));
                }
                match declaration.encoding() {
                    None => {}
                    Some(Ok(encoding))
                        if encoding.eq_ignore_ascii_case("utf-8")
                            || encoding.eq_ignore_ascii_case("us-ascii") => {}
                    Some(_) => return Err(XmlError::Encoding),
                }
            }
            Event::PI(_) if limits.instructions => {}
            Event::PI(_) => return Err(XmlError::Instruction),
            Event::Comment(_) => {}
            Event::Start(start) => build.start(&start, at)?,
            Event::Empty(start) => {
                build.start(&start, at)?;
                build.end(at)?;
            }
            Event::End(_) => build.end(at)?,
            Event::Text(text) => build.text(&text.xml10_content(), at)?,
            Event::CData(text) => {
                if build.open.is_empty() {
                    return Err(XmlError::Malformed(at));
                }
                build.text(&text.xml10_content(), at)?;
            }
            Event::GeneralRef(reference) => {
                if build.open.is_empty() {
                    return Err(XmlError::Malformed(at));
                }
                let character = match &*reference {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "apos" => '\'',
                    "quot" => '"',
                    _ => match reference.resolve_char_ref() {
                        Ok(Some(character)) => character,
                        Ok(None) => return Err(XmlError::Entity),
                        Err(_) => return Err(XmlError::Malformed(at)),
                    },
                };
                build.text(character.encode_utf8(&mut [0; 4]), at)?;
            }
        }
        first = false;
    }
    if !build.open.is_empty() {
        return Err(XmlError::Cut);
    }
    build.root.ok_or(XmlError::Cut)
}

struct Build {
    limits: Limits,
    open: Vec<Element>,
    root: Option<Element>,
    nodes: usize,
    outside: Arc<Scope>,
    /// Names and namespaces that came before, so that equal ones share their bytes.
    uris: AHashSet<Arc<str>>,
}

impl Build {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.uris.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        // Distinct names are bounded, so that the table cannot outgrow the document.
        if self.uris.len() < 4096 {
            self.uris.insert(Arc::clone(&new));
        }
        new
    }

    fn node(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(XmlError::Nodes(self.limits.nodes));
        }
        Ok(())
    }

    fn start(&mut self, start: &BytesStart<'_>, at: u64) -> Result<(), XmlError> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(XmlError::Malformed(at));
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::Depth(self.limits.depth));
        }
        self.node()?;
        let around = Arc::clone(self.open.last().map_or(&self.outside, |open| &open.scope));
        let mut declared: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        let mut plain: Vec<(String, String)> = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| XmlError::Malformed(at))?;
            if declared.len() + plain.len() >= self.limits.attributes {
                return Err(XmlError::Attributes(self.limits.attributes));
            }
            self.node()?;
            if attribute.value.contains('<') {
                return Err(XmlError::Malformed(at));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| XmlError::Entity)?;
            if !value.chars().all(is_character) {
                return Err(XmlError::Character);
            }
            let key: &str = attribute.key.as_ref();
            let prefix = match key.strip_prefix("xmlns") {
                Some("") => Some(""),
                Some(rest) => rest.strip_prefix(':'),
                None => None,
            };
            match prefix {
                Some(prefix) => {
                    let allowed = value != XMLNS
                        && prefix != "xmlns"
                        && (prefix == "xml") == (value == XML)
                        && (prefix.is_empty() || (is_name(prefix) && !value.is_empty()));
                    if !allowed {
                        return Err(XmlError::Namespace(at));
                    }
                    if prefix != "xml" {
                        let pair = (self.share(prefix), self.share(&value));
                        declared.push(pair);
                    }
                }
                None => plain.push((key.to_owned(), value.into_owned())),
            }
        }
        let scope = if declared.is_empty() {
            around
        } else {
            let count = around.count + declared.len();
            if count > self.limits.attributes {
                return Err(XmlError::Attributes(self.limits.attributes));
            }
            Arc::new(Scope {
                declared,
                parent: Some(around),
                count,
            })
        };
        let written = start.name();
        let (prefix, name) = self.name(written.as_ref(), &scope, true, at)?;
        let mut attributes: Vec<Attribute> = Vec::with_capacity(plain.len());
        let mut seen = AHashSet::with_capacity(plain.len());
        for (key, value) in plain {
            let (prefix, name) = self.name(&key, &scope, false, at)?;
            if !seen.insert(name.clone()) {
                return Err(XmlError::Malformed(at));
            }
            attributes.push(Attribute {
                name,
                prefix,
                value,
            });
        }
        self.open.push(Element {
            name,
            prefix,
            attributes,
            children: Vec::new(),
            scope,
            is_base64: false,
        });
        Ok(())
    }

    fn name(
        &mut self,
        written: &str,
        scope: &Scope,
        element: bool,
        at: u64,
    ) -> Result<(Arc<str>, Name), XmlError> {
        let (prefix, local) = match written.split_once(':') {
            Some((prefix, local)) => (prefix, local),
            None => ("", written),
        };
        if !is_name(local) || (written.contains(':') && !is_name(prefix)) {
            return Err(XmlError::Malformed(at));
        }
        let namespace = match prefix {
            "" if !element => Arc::from(""),
            "xml" => self.share(XML),
            _ => match scope.look_up(prefix) {
                Some(uri) => Arc::clone(uri),
                None if prefix.is_empty() => self.share(""),
                None => return Err(XmlError::Namespace(at)),
            },
        };
        let prefix = self.share(prefix);
        let local = self.share(local);
        Ok((prefix, Name { namespace, local }))
    }

    fn end(&mut self, at: u64) -> Result<(), XmlError> {
        let done = self.open.pop().ok_or(XmlError::Malformed(at))?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(done)),
            None => self.root = Some(done),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, at: u64) -> Result<(), XmlError> {
        if !text.chars().all(is_character) {
            return Err(XmlError::Character);
        }
        let Some(open) = self.open.last_mut() else {
            return if is_blank(text) {
                Ok(())
            } else {
                Err(XmlError::Malformed(at))
            };
        };
        // What a comment stands between is one text: a reader must not see another value than
        // the one that was signed.
        if let Some(Node::Text(before)) = open.children.last_mut() {
            before.push_str(text);
        } else if !text.is_empty() {
            open.children.push(Node::Text(text.to_owned()));
        }
        Ok(())
    }
}
