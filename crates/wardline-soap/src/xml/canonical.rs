//! Exclusive XML Canonicalization 1.0 without comments: the bytes of an element that a signature
//! is over, whoever wrote them and wherever the element has moved.

use std::sync::Arc;

use super::{Attribute, Element, Node, XML};

/// The canonical bytes of an element and all that it holds. `inclusive` are prefixes that are
/// treated as inclusive canonicalization would (`InclusiveNamespaces PrefixList`; `#default` is
/// the empty one).
pub fn canonical(element: &Element, inclusive: &[&str]) -> Vec<u8> {
    let mut out = String::with_capacity(1024);
    let mut rendered = Vec::new();
    render(element, inclusive, &mut rendered, &mut out);
    out.into_bytes()
}

fn render(
    element: &Element,
    inclusive: &[&str],
    rendered: &mut Vec<(Arc<str>, Arc<str>)>,
    out: &mut String,
) {
    let before = rendered.len();
    let mut used: Vec<Arc<str>> = vec![Arc::clone(&element.prefix)];
    used.extend(
        element
            .attributes
            .iter()
            .filter(|attribute| !attribute.prefix.is_empty())
            .map(|attribute| Arc::clone(&attribute.prefix)),
    );
    for prefix in inclusive {
        let prefix = if *prefix == "#default" { "" } else { prefix };
        if element.scope.look_up(prefix).is_some() {
            used.push(Arc::from(prefix));
        }
    }
    used.sort_unstable();
    used.dedup();
    let name = |prefix: &str, local: &str, out: &mut String| {
        if !prefix.is_empty() {
            out.push_str(prefix);
            out.push(':');
        }
        out.push_str(local);
    };
    out.push('<');
    name(&element.prefix, &element.name.local, out);
    for prefix in used {
        if &*prefix == "xml" {
            continue;
        }
        let uri = element
            .scope
            .look_up(&prefix)
            .cloned()
            .unwrap_or_else(|| Arc::from(""));
        let known = rendered
            .iter()
            .rev()
            .find(|(known, _)| *known == prefix)
            .map(|(_, uri)| uri);
        let same = known.map_or(prefix.is_empty() && uri.is_empty(), |known| *known == uri);
        if same {
            continue;
        }
        out.push_str(" xmlns");
        if !prefix.is_empty() {
            out.push(':');
            out.push_str(&prefix);
        }
        out.push_str("=\"");
        attribute_text(&uri, out);
        out.push('"');
        rendered.push((prefix, uri));
    }
    let mut attributes: Vec<&Attribute> = element.attributes.iter().collect();
    attributes.sort_unstable_by(|a, b| {
        (&a.name.namespace, &a.name.local).cmp(&(&b.name.namespace, &b.name.local))
    });
    for attribute in attributes {
        out.push(' ');
        let prefix = if &*attribute.name.namespace == XML {
            "xml"
        } else {
            &attribute.prefix
        };
        name(prefix, &attribute.name.local, out);
        out.push_str("=\"");
        attribute_text(&attribute.value, out);
        out.push('"');
    }
    out.push('>');
    for child in &element.children {
        match child {
            Node::Element(child) => render(child, inclusive, rendered, out),
            Node::Text(text) => plain_text(text, out),
        }
    }
    out.push_str("</");
    name(&element.prefix, &element.name.local, out);
    out.push('>');
    rendered.truncate(before);
}

fn plain_text(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

fn attribute_text(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}
