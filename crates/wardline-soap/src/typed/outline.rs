//! The shape of a type's JSON, for people who write a map: keys, with a type's name for each value.

use serde_json::{Map, Value, json};

use crate::xsd::{Content, ElementId, Schemas, Type, TypeId, Variety};

/// Types within types that are shown; beyond it stands `"…"`.
const DEEPEST: usize = 6;
/// Values that are shown of one message.
const MOST: usize = 2_000;

/// The shape of an element.
pub fn outline(schemas: &Schemas, id: ElementId) -> Value {
    let mut left = MOST;
    shape(schemas, schemas.declaration(id).of, 0, &mut left)
}

/// The shape of a type.
pub(crate) fn outline_of(schemas: &Schemas, of: TypeId) -> Value {
    let mut left = MOST;
    shape(schemas, of, 0, &mut left)
}

fn shape(schemas: &Schemas, of: TypeId, depth: usize, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    if depth > DEEPEST || *left == 0 {
        return json!("…");
    }
    let complex = match schemas.type_of(of) {
        Type::Simple(_) => return word(schemas, of),
        Type::Complex(complex) => complex,
    };
    if matches!(complex.content, Content::Anything) {
        return json!("anything");
    }
    let mut object = Map::new();
    for attribute in &complex.attributes {
        object.insert(
            format!("@{}", attribute.name.local),
            word(schemas, attribute.of),
        );
    }
    match &complex.content {
        Content::Simple(inner) => {
            object.insert("$".into(), word(schemas, *inner));
        }
        Content::Elements(_) => {
            let mut fields: Vec<_> = complex.fields.values().collect();
            fields.sort_unstable_by_key(|field| field.element.0);
            for field in fields {
                let declaration = schemas.declaration(field.element);
                let inner = shape(schemas, declaration.of, depth + 1, left);
                let inner = if field.repeated {
                    json!([inner])
                } else {
                    inner
                };
                object.insert(declaration.name.local.to_string(), inner);
            }
        }
        Content::Empty | Content::Anything => {}
    }
    Value::Object(object)
}

/// The name of the type that XML Schema itself knows, or the values that may be used.
fn word(schemas: &Schemas, mut of: TypeId) -> Value {
    loop {
        let Type::Simple(simple) = schemas.type_of(of) else {
            return json!("text");
        };
        let listed = &simple.facets.enumeration;
        if !listed.is_empty() && listed.len() <= 8 {
            return json!(listed.join(" | "));
        }
        match &simple.variety {
            Variety::Kind(_) => {
                let name = simple.name.as_ref().map_or("text", |name| &name.local);
                return json!(name);
            }
            Variety::Of(base) => of = *base,
            Variety::List(item) => return json!([word(schemas, *item)]),
            Variety::Union(_) => return json!("text"),
        }
    }
}
