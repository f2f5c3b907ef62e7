//! Simple values.

use serde_json::{Number, Value};

use super::{Path, TypeError};
use crate::xml::{Element, is_space};
use crate::xsd::{Kind, Schemas, Type, TypeId, Variety};

/// What a simple type comes down to.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    One(Kind),
    List(TypeId),
    Union,
}

pub(super) fn shape(schemas: &Schemas, mut id: TypeId) -> Shape {
    loop {
        match schemas.type_of(id) {
            Type::Simple(simple) => match &simple.variety {
                Variety::Kind(kind) => return Shape::One(*kind),
                Variety::Of(base) => id = *base,
                Variety::List(item) => return Shape::List(*item),
                Variety::Union(_) => return Shape::Union,
            },
            Type::Complex(_) => return Shape::One(Kind::Text),
        }
    }
}

/// What is wrong with a text as a value of a type.
pub(crate) fn check(schemas: &Schemas, id: TypeId, text: &str) -> Result<(), &'static str> {
    let Type::Simple(simple) = schemas.type_of(id) else {
        return Ok(());
    };
    match &simple.variety {
        Variety::Kind(kind) => kind.check(kind.trim(text))?,
        Variety::Of(base) => check(schemas, *base, text)?,
        Variety::List(item) => {
            for one in text.split(is_space).filter(|one| !one.is_empty()) {
                check(schemas, *item, one)?;
            }
        }
        Variety::Union(members) => {
            if !members
                .iter()
                .any(|member| check(schemas, *member, text).is_ok())
            {
                return Err("is a value of none of the types it may have");
            }
        }
    }
    let shape = shape(schemas, id);
    let (trimmed, length) = match shape {
        Shape::One(kind) => {
            let trimmed = kind.trim(text);
            let length = match kind {
                Kind::Hex => trimmed.len() / 2,
                Kind::Base64 => {
                    let digits = trimmed
                        .bytes()
                        .filter(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte));
                    digits.count() * 3 / 4
                }
                _ => trimmed.chars().count(),
            };
            (trimmed, length)
        }
        Shape::List(_) => (
            text.trim_matches(is_space),
            text.split(is_space).filter(|one| !one.is_empty()).count(),
        ),
        Shape::Union => (text.trim_matches(is_space), text.chars().count()),
    };
    simple.facets.check(trimmed, length as u64)
}

/// From the text of an element or attribute.
pub(crate) fn decode(
    schemas: &Schemas,
    id: TypeId,
    text: &str,
    at: &Element,
    path: &Path<'_>,
) -> Result<Value, TypeError> {
    check(schemas, id, text).map_err(|reason| path.error(reason))?;
    Ok(plain(schemas, id, text, at))
}

fn plain(schemas: &Schemas, id: TypeId, text: &str, at: &Element) -> Value {
    let kind = match shape(schemas, id) {
        Shape::One(kind) => kind,
        Shape::List(item) => {
            return text
                .split(is_space)
                .filter(|one| !one.is_empty())
                .map(|one| plain(schemas, item, one, at))
                .collect();
        }
        Shape::Union => return Value::String(text.to_owned()),
    };
    let text = kind.trim(text);
    match kind {
        Kind::Boolean => Value::Bool(matches!(text, "true" | "1")),
        Kind::Integer(..) => {
            let digits = text.strip_prefix('+').unwrap_or(text);
            digits
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| digits.parse::<u64>().map(Value::from))
                .unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        Kind::Float => text
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Value::String(text.to_owned()), Value::Number),
        Kind::QName => match at.resolve(text) {
            Some(name) => Value::String(name.to_string()),
            None => Value::String(text.to_owned()),
        },
        Kind::Base64 => Value::String(text.chars().filter(|one| !is_space(*one)).collect()),
        _ => Value::String(text.to_owned()),
    }
}

/// To the text of an element or attribute.
pub(crate) fn encode(
    schemas: &Schemas,
    id: TypeId,
    value: &Value,
    path: &Path<'_>,
) -> Result<String, TypeError> {
    let text = match (shape(schemas, id), value) {
        (Shape::List(item), Value::Array(items)) => {
            let mut texts = Vec::with_capacity(items.len());
            for (index, one) in items.iter().enumerate() {
                let text = encode(schemas, item, one, &path.down("", Some(index)))?;
                if text.is_empty() || text.contains(is_space) {
                    return Err(path.error("has an item that is empty or holds blanks"));
                }
                texts.push(text);
            }
            texts.join(" ")
        }
        (_, Value::String(text)) => text.clone(),
        (_, Value::Bool(value)) => value.to_string(),
        (_, Value::Number(number)) => number.to_string(),
        (_, Value::Null) => return Err(path.error("is null, which its type does not allow")),
        (_, Value::Array(_)) => return Err(path.error("is a list where one value is expected")),
        (_, Value::Object(_)) => return Err(path.error("is an object where a value is expected")),
    };
    check(schemas, id, &text).map_err(|reason| path.error(reason))?;
    Ok(text)
}

/// Whether values of the type are names with a namespace, which need a prefix to be written.
pub(crate) fn is_name(schemas: &Schemas, id: TypeId) -> bool {
    matches!(shape(schemas, id), Shape::One(Kind::QName))
}

/// Whether values of the type are bytes in base64.
pub(crate) fn is_base64(schemas: &Schemas, id: TypeId) -> bool {
    matches!(shape(schemas, id), Shape::One(Kind::Base64))
}
