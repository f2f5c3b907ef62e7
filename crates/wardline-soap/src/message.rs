//! The body of a message as JSON, and back.

use serde_json::{Map, Value};

use crate::typed::{TypeError, decode, encode, encode_as, outline, outline_of};
use crate::wsdl::Message;
use crate::xml::Element;
use crate::xsd::Schemas;

impl Message {
    /// The shape of its JSON: keys, with the name of a type for each value.
    pub fn outline(&self, schemas: &Schemas) -> Value {
        match self {
            Self::Empty => Value::Object(Map::new()),
            Self::Element(id) => outline(schemas, *id),
            Self::Rpc { parts, .. } => parts
                .iter()
                .map(|part| (part.name.clone(), outline_of(schemas, part.of)))
                .collect(),
        }
    }

    /// The value of a body: what its element holds, or the parts by their names. `{}` where the
    /// message is empty.
    ///
    /// # Errors
    /// Where the body does not fit, and why.
    pub fn decode(&self, schemas: &Schemas, body: &[&Element]) -> Result<Value, TypeError> {
        let error = |path: &str, reason: &str| TypeError {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        match (self, body) {
            (Self::Empty, []) => Ok(Value::Object(Map::new())),
            (Self::Empty, _) => Err(error("the body", "is not empty as it should be")),
            (Self::Element(id), [element]) => decode(schemas, *id, element),
            (Self::Rpc { wrapper, parts }, [element]) => {
                if element.name != *wrapper {
                    return Err(error(&wrapper.local, "is expected, and is not there"));
                }
                let mut object = Map::new();
                for child in element.elements() {
                    let local = &child.name.local;
                    let Some(part) = parts.iter().find(|part| *part.name == **local) else {
                        return Err(error(&wrapper.local, "has a part that is not declared"));
                    };
                    let value = crate::typed::decode_as(schemas, part.of, child)?;
                    if object.insert(local.to_string(), value).is_some() {
                        return Err(error(&part.name, "occurs twice"));
                    }
                }
                match parts.iter().find(|part| !object.contains_key(&part.name)) {
                    Some(part) => Err(error(&part.name, "is not there")),
                    None => Ok(Value::Object(object)),
                }
            }
            (_, []) => Err(error("the body", "is empty")),
            (_, _) => Err(error("the body", "holds more than one element")),
        }
    }

    /// The body with a value.
    ///
    /// # Errors
    /// Where the value does not fit, and why.
    pub fn encode(&self, schemas: &Schemas, value: &Value) -> Result<Option<Element>, TypeError> {
        match self {
            Self::Empty => Ok(None),
            Self::Element(id) => encode(schemas, *id, value).map(Some),
            Self::Rpc { wrapper, parts } => {
                let mut element = Element::new(wrapper.clone());
                for part in parts {
                    let value = value.get(&part.name).ok_or_else(|| TypeError {
                        path: format!("{}/{}", wrapper.local, part.name),
                        reason: "is not there".into(),
                    })?;
                    let name = crate::xml::Name::new("", part.name.as_str());
                    element = element.with(encode_as(schemas, name, part.of, value)?);
                }
                let known = |key: &String| parts.iter().any(|part| part.name == *key);
                if let Some(object) = value.as_object()
                    && object.keys().any(|key| !known(key))
                {
                    return Err(TypeError {
                        path: wrapper.local.to_string(),
                        reason: "has a part that is not declared".into(),
                    });
                }
                Ok(Some(element))
            }
        }
    }
}
