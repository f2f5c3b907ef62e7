//! `xml_read`: a document as an object, by local names.

use vrl::compiler::Parameter;
use vrl::compiler::value::kind;
use vrl::example;
use vrl::value::{KeyString, ObjectMap, Value};
use wardline_soap::xml::{Element, Limits, XSI, parse};

use super::pure::{Pure, Refusal};
use crate::session::Complaint;

const LISTS: &str = "lists";

pub(super) const XML: [Pure; 1] = [Pure {
    name: "xml_read",
    category: "XML",
    summary: "A document as an object",
    usage: "The document (XML 1.0 with namespaces, UTF-8, at most 8 MiB) under the name of its outermost element. Names are local names: prefixes and namespaces do not show. An element without attributes and elements is its text; any other is an object with its attributes as `@name`, its elements by name, and its text as `\"$\"`. Elements of one name become an array where there are several; name those in `lists` that may come once or more often, so that they are an array always. Every value is text. A document type that only names what lies elsewhere, as cXML has, is passed over; entities and declarations are refused, and nothing is ever fetched.",
    parameters: &[
        Parameter::required("text", kind::BYTES, "The document."),
        Parameter::optional(
            LISTS,
            kind::ARRAY,
            "Names of elements that are an array even where there is one.",
        ),
    ],
    gives: kind::OBJECT,
    failures: &["The text is no XML, or has more of something than is taken (W2222)."],
    examples: &[
        example! { title: "An order", source: r#"xml_read!("<o:order xmlns:o='urn:po' id='7'><o:line>gloves</o:line></o:order>", lists: ["line"])"#, result: Ok(r#"{"order": {"@id": "7", "line": ["gloves"]}}"#) },
    ],
    object,
    compute: |arguments| {
        let text = arguments.first().and_then(Value::as_bytes);
        let lists = arguments.get(1).and_then(Value::as_array).unwrap_or(&[]);
        let root = parse(text.map_or(&[][..], |text| text), Limits::DOCUMENT).map_err(|error| {
            Refusal {
                code: "W2222",
                text: because(&error),
            }
        })?;
        let mut object = ObjectMap::new();
        let name: KeyString = root.name.local.as_ref().into();
        object.insert(name, read(&root, lists));
        Ok(Value::Object(object))
    },
}];

/// What can be said against an argument before the program runs.
fn object(keyword: &str, constant: &Value) -> Option<Complaint> {
    let names = constant.as_array().filter(|_| keyword == LISTS)?;
    let odd = names.iter().any(|name| {
        name.as_bytes()
            .is_none_or(|name| name.is_empty() || name.contains(&b':') || name.contains(&b'/'))
    });
    odd.then(|| {
        Complaint::new("W2124", "`lists` takes local names of elements")
            .label("no prefixes and no paths")
            .help("write [\"line\", \"comment\"]")
    })
}

pub(super) fn because(error: &wardline_soap::xml::XmlError) -> &'static str {
    use wardline_soap::xml::XmlError::{
        Attributes, Bytes, Cut, Depth, DocumentType, Encoding, Entity, Nodes,
    };
    match error {
        Bytes(_) | Depth(_) | Nodes(_) | Attributes(_) => {
            "the document is larger or deeper than what is taken"
        }
        DocumentType => {
            "the document declares things of its own (`<!DOCTYPE … [`), which is refused"
        }
        Entity => "the document uses entities beyond the five of XML, which is refused",
        Encoding => "the document is not in UTF-8",
        Cut => "the document ends before its last element does",
        _ => "the text is not well-formed XML",
    }
}

/// An element's value. Elements are no deeper than the reader takes them.
fn read(element: &Element, lists: &[Value]) -> Value {
    if element.is_nil() {
        return Value::Null;
    }
    let mut object = ObjectMap::new();
    for attribute in &element.attributes {
        if &*attribute.name.namespace != XSI {
            let name = format!("@{}", attribute.name.local);
            object.insert(name.into(), attribute.value.as_str().into());
        }
    }
    if object.is_empty() && element.elements().next().is_none() {
        return element.text().into();
    }
    for child in element.elements() {
        let name = child.name.local.as_ref();
        let value = read(child, lists);
        match object.get_mut(name) {
            None => {
                let always = lists
                    .iter()
                    .any(|one| one.as_bytes().is_some_and(|one| one == name.as_bytes()));
                let value = if always {
                    Value::Array(vec![value])
                } else {
                    value
                };
                object.insert(name.into(), value);
            }
            Some(Value::Array(all)) => all.push(value),
            Some(one) => {
                let first = std::mem::replace(one, Value::Null);
                *one = Value::Array(vec![first, value]);
            }
        }
    }
    if element.has_text() {
        object.insert("$".into(), element.text().into());
    }
    Value::Object(object)
}
