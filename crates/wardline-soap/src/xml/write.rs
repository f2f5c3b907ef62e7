//! From elements to bytes. Prefixes are given anew; nothing is ever in a default namespace, so a
//! name without a prefix has none.

use std::sync::Arc;

use super::{Element, Node, Scope, XML, XSI, XmlError, is_character};

/// Prefixes by which people know these.
const KNOWN: [(&str, &str); 9] = [
    ("http://schemas.xmlsoap.org/soap/envelope/", "soap"),
    ("http://www.w3.org/2003/05/soap-envelope", "soap"),
    (XSI, "xsi"),
    ("http://www.w3.org/2001/XMLSchema", "xs"),
    (crate::security::WSSE, "wsse"),
    (crate::security::WSU, "wsu"),
    (crate::security::DSIG, "ds"),
    (crate::security::EXCLUSIVE, "ec"),
    (crate::mtom::XOP, "xop"),
];

/// Writes a document, declaration included.
///
/// # Errors
/// [`XmlError::Character`] where a text holds what XML cannot.
pub fn write(element: &Element) -> Result<Vec<u8>, XmlError> {
    let mut writer = Writer {
        out: String::with_capacity(1024),
        scope: Vec::new(),
        given: 0,
    };
    writer
        .out
        .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    writer.element(element)?;
    Ok(writer.out.into_bytes())
}

/// The same, with all namespaces declared at the outermost element, by these prefixes where there
/// are any.
///
/// # Errors
/// [`XmlError::Character`] where a text holds what XML cannot.
pub fn write_document(
    element: &Element,
    prefixes: &[(Arc<str>, Arc<str>)],
) -> Result<Vec<u8>, XmlError> {
    let mut used = Vec::new();
    namespaces(element, &mut used);
    let mut scope: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    for uri in used {
        let own = prefixes.iter().find(|(known, prefix)| {
            *known == uri && !scope.iter().any(|(taken, _)| taken == prefix)
        });
        if let Some((_, prefix)) = own {
            scope.push((Arc::clone(prefix), uri));
        }
    }
    let mut element = element.clone();
    if let Some((prefix, _)) = scope.iter().find(|(_, uri)| *uri == element.name.namespace) {
        element.prefix = Arc::clone(prefix);
    }
    // What the element declares of its own, for values that are names, stays.
    scope.extend(element.scope.declared.iter().cloned());
    element.scope = Arc::new(Scope {
        count: scope.len(),
        declared: scope,
        parent: None,
    });
    write(&element)
}

/// Namespaces of elements and attributes, in the order in which they are met.
fn namespaces(element: &Element, used: &mut Vec<Arc<str>>) {
    let attributes = element.attributes.iter().map(|one| &one.name);
    for name in std::iter::once(&element.name).chain(attributes) {
        let plain = name.namespace.is_empty() || &*name.namespace == XML;
        if !plain && !used.contains(&name.namespace) {
            used.push(Arc::clone(&name.namespace));
        }
    }
    for child in element.elements() {
        namespaces(child, used);
    }
}

struct Writer {
    out: String,
    /// Namespace and prefix, innermost last.
    scope: Vec<(Arc<str>, String)>,
    given: usize,
}

impl Writer {
    fn prefix(&mut self, namespace: &Arc<str>, wanted: &str, new: &mut Vec<usize>) -> String {
        if namespace.is_empty() {
            return String::new();
        }
        if &**namespace == XML {
            return "xml:".into();
        }
        if let Some((_, prefix)) = self.scope.iter().rev().find(|(uri, _)| uri == namespace) {
            return format!("{prefix}:");
        }
        let taken = |scope: &[(Arc<str>, String)], prefix: &str| {
            scope.iter().any(|(_, known)| known == prefix)
        };
        let known = KNOWN
            .iter()
            .find(|(uri, _)| *uri == &**namespace)
            .map(|(_, prefix)| *prefix);
        let prefix = match known.or((!wanted.is_empty()).then_some(wanted)) {
            Some(prefix) if !taken(&self.scope, prefix) => prefix.to_owned(),
            _ => loop {
                let prefix = format!("n{}", self.given);
                self.given += 1;
                if !taken(&self.scope, &prefix) {
                    break prefix;
                }
            },
        };
        new.push(self.scope.len());
        self.scope.push((Arc::clone(namespace), prefix.clone()));
        format!("{prefix}:")
    }

    fn element(&mut self, element: &Element) -> Result<(), XmlError> {
        let before = self.scope.len();
        let mut new = Vec::new();
        let prefix = self.prefix(&element.name.namespace, &element.prefix, &mut new);
        let tag = format!("{prefix}{}", element.name.local);
        let attributes: Vec<String> = element
            .attributes
            .iter()
            .map(|attribute| {
                let prefix = self.prefix(&attribute.name.namespace, &attribute.prefix, &mut new);
                format!("{prefix}{}", attribute.name.local)
            })
            .collect();
        // Values that are names need the prefixes that their element declares.
        for (prefix, uri) in &element.scope.declared {
            let bound = self.scope.iter().any(|(_, known)| **known == **prefix);
            if !prefix.is_empty() && !bound {
                new.push(self.scope.len());
                self.scope.push((Arc::clone(uri), prefix.to_string()));
            }
        }
        self.out.push('<');
        self.out.push_str(&tag);
        for index in new {
            let (uri, prefix) = self.scope[index].clone();
            self.out.push_str(" xmlns:");
            self.out.push_str(&prefix);
            self.out.push_str("=\"");
            escape(&uri, true, &mut self.out)?;
            self.out.push('"');
        }
        for (name, attribute) in attributes.iter().zip(&element.attributes) {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(&attribute.value, true, &mut self.out)?;
            self.out.push('"');
        }
        if element.children.is_empty() {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            for child in &element.children {
                match child {
                    Node::Element(child) => self.element(child)?,
                    Node::Text(text) => escape(text, false, &mut self.out)?,
                }
            }
            self.out.push_str("</");
            self.out.push_str(&tag);
            self.out.push('>');
        }
        self.scope.truncate(before);
        Ok(())
    }
}

fn escape(text: &str, attribute: bool, out: &mut String) -> Result<(), XmlError> {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\n' if attribute => out.push_str("&#10;"),
            // A reader makes a line feed of a bare one; segments of HL7 end with them.
            '\r' => out.push_str("&#13;"),
            character if is_character(character) => out.push(character),
            _ => return Err(XmlError::Character),
        }
    }
    Ok(())
}
