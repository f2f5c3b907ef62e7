//! JSON Schemas of the files, for editors.

use super::{Definition, Field, Form, Kind, Need, Object, Shape};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The JSON Schema (draft 2020-12) of one document of a kind of file, as `wardline schema KIND`
/// prints it.
///
/// It says everything about one document that JSON Schema can say; what needs the whole estate,
/// such as whether a reference leads anywhere, only [`crate::load`] can tell.
///
/// ```
/// use wardline_estate::shape::{Kind, schema};
/// assert_eq!(schema(Kind::Flow)["required"][0], "flow");
/// ```
pub fn schema(kind: Kind) -> Value {
    let mut definitions = Definitions::default();
    let mut schema = definitions.object(kind.object());
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert("title".into(), format!("Wardline: {}", kind.files()).into());
    // Readers expect these first.
    let mut ordered = Map::new();
    for key in ["$schema", "title"] {
        if let Some(value) = schema.shift_remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    ordered.extend(schema);
    if !definitions.0.is_empty() {
        let all: Map<_, _> = definitions
            .0
            .into_iter()
            .map(|(key, schema)| (key.to_owned(), Value::Object(schema)))
            .collect();
        ordered.insert("$defs".into(), all.into());
    }
    Value::Object(ordered)
}

/// What is defined once and referred to, because it may contain itself.
#[derive(Default)]
struct Definitions(BTreeMap<&'static str, Map<String, Value>>);

impl Definitions {
    fn object(&mut self, object: &Object) -> Map<String, Value> {
        let properties: Map<_, _> = object
            .fields
            .iter()
            .map(|field| (field.key.to_owned(), self.property(field)))
            .collect();
        let required: Vec<_> = object
            .fields
            .iter()
            .filter(|field| field.need == Need::Required)
            .map(|field| field.key)
            .collect();
        let mut schema = Map::new();
        schema.insert("description".into(), object.doc.into());
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        schema.insert("additionalProperties".into(), false.into());
        if !object.exactly_one.is_empty() {
            let choices = object
                .exactly_one
                .iter()
                .map(|key| json!({ "required": [key] }));
            schema.insert("oneOf".into(), choices.collect());
        }
        schema
    }

    fn property(&mut self, field: &Field) -> Value {
        if field.need == Need::Later {
            // `not: {}` refuses every value, as the loader does, yet leaves the explanation in reach.
            return json!({ "description": format!("{} Not supported yet.", field.doc), "not": {} });
        }
        let mut schema = self.value(&field.shape);
        schema.insert("description".into(), field.doc.into());
        if let Need::Default(default) = field.need {
            schema.insert("default".into(), default_value(&field.shape, default));
        }
        Value::Object(schema)
    }

    fn value(&mut self, shape: &Shape) -> Map<String, Value> {
        let schema = match shape {
            Shape::Any => json!({}),
            Shape::Text(form) => text(*form),
            Shape::Bool => json!({ "type": "boolean" }),
            Shape::Integer(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Shape::Number(least, most) => {
                json!({ "type": "number", "minimum": least, "maximum": most })
            }
            Shape::Word(words) => json!({ "enum": words }),
            Shape::ListOrNone(item) => json!({ "type": "array", "items": self.value(item) }),
            Shape::List(item) => {
                json!({ "type": "array", "items": self.value(item), "minItems": 1 })
            }
            Shape::OneOrMany(item) => {
                json!({ "anyOf": [self.value(item), { "type": "array", "items": self.value(item), "minItems": 1 }] })
            }
            Shape::Map(form, item) => {
                json!({ "type": "object", "propertyNames": text(*form), "additionalProperties": self.value(item) })
            }
            Shape::Single(form, item) => {
                json!({ "type": "object", "propertyNames": text(*form), "additionalProperties": self.value(item), "minProperties": 1, "maxProperties": 1 })
            }
            Shape::Defined(definition) => self.defined(definition),
            Shape::Object(inner) => Value::Object(self.object(inner)),
            Shape::Keyed(kinds) => {
                json!({ "oneOf": kinds.iter().map(|(_, inner)| self.object(inner)).collect::<Vec<_>>() })
            }
            Shape::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(|shape| self.value(shape)).collect::<Vec<_>>() })
            }
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }

    fn defined(&mut self, definition: &'static Definition) -> Value {
        if !self.0.contains_key(definition.key) {
            // It stands there, empty, while what is in it is looked at: that may be itself.
            self.0.insert(definition.key, Map::new());
            let schema = self.value(&definition.shape);
            self.0.insert(definition.key, schema);
        }
        json!({ "$ref": format!("#/$defs/{}", definition.key) })
    }
}

fn default_value(shape: &Shape, text: &str) -> Value {
    match shape {
        Shape::Integer(..) | Shape::Number(..) | Shape::Bool => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}

/// Patterns repeat the readers of `value.rs` as far as a regular expression can.
fn text(form: Form) -> Value {
    let pattern = match form {
        Form::Name => "^[a-z]([a-z0-9-]{0,62}[a-z0-9])?$",
        Form::Identifier => "^[A-Za-z0-9_]{1,64}$",
        Form::Attribute => r"^[A-Za-z0-9_]{1,64}(\.[A-Za-z0-9_]{1,64})*$",
        Form::Duration => "^([0-9]+(ms|s|m|h|d|w|y))+$",
        Form::Size => "^[0-9]+(B|KiB|MiB|GiB|KB|MB|GB)$",
        Form::Rate => r"^[0-9]+(\.[0-9]+)? ?/ ?(s|m|h|d|day)$",
        Form::Quota => "^[0-9]+ ?/ ?(h|hour|d|day|w|week)$",
        Form::Share => r"^[0-9]+(\.[0-9]+)? ?%$",
        Form::Goal => r"^((p50|p90|p95|p99|max) )?(<=|>=|≤|≥) ?-?[0-9].*$",
        Form::Scope => "^[A-Za-z0-9._:/*-]{1,128}$",
        Form::Digest => "^([0-9A-Fa-f]:?){64}$",
        Form::Bind => "^[0-9A-Fa-f.:\\[\\]]+:[0-9]{1,5}$",
        Form::Host => "^[A-Za-z0-9_.:-]+$",
        Form::HostKey => {
            "^(SHA256:[A-Za-z0-9+/]{43}=?|(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)) +AAAA[A-Za-z0-9+/=]{60,}.*)$"
        }
        Form::HostPort => "^[^/ ]+:[0-9]{1,5}$",
        Form::Network => "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
        Form::Url => "^https?://[^@?# ]+$",
        Form::Path => "^/[^?#{} ]*$",
        Form::PathTemplate => r"^/([^?#{} ]|\{[A-Za-z0-9_.]+\})*$",
        Form::Header => "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        Form::Cron => r"^\s*\S+(\s+\S+){4}\s*$",
        Form::Event => r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$",
        Form::Secret => "^secret:[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*(#[A-Za-z0-9._-]+)?$",
        Form::Recipient => "^age1[02-9ac-hj-np-z]{58}$",
        Form::WebhookKey => "^whpk_[A-Za-z0-9+/]{43}=$",
        Form::FilePattern => r"^([^./{}*?][^/{}*?]*/)?[^./{}][^/{}]*$",
        Form::FileName => r"^([^./{}*?][^/{}*?]*/)?[^./*?][^/*?]*$",
        Form::Ending => r"^\.[^/{}*?]+$",
        Form::Map => r"\.vrl$",
        Form::Reference => r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$",
        Form::Destination => {
            r"^([a-z][a-z0-9-]*\.[a-z][a-z0-9-]*|webhook/[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?)$"
        }
        Form::Version => r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$",
        Form::Store => "^(sqlite|postgres(ql)?://.+)$",
        Form::Mailbox => r"^[^@]*[^@ ]@[A-Za-z0-9.-]+>?$",
        Form::Recipients => r"^([^@<> ]+@)?[A-Za-z0-9.-]+$",
        Form::Database => "^((postgres(ql)?|mysql|mariadb)://[^@?# ]+/[^@?# ]+|sqlite:[^?]+)$",
        Form::Column => "^[^.]{1,128}$",
        Form::ColumnKind => {
            r"^(text|integer|boolean|date|time|json|decimal\([0-9]{1,2}(,[0-9]{1,2})?\))$"
        }
        Form::Hour => "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        Form::Value => return json!({ "type": "string" }),
        Form::Prose
        | Form::TimeZone
        | Form::Charset
        | Form::Field
        | Form::SecretOrText
        | Form::File
        | Form::Expression
        | Form::Moment
        | Form::Date => return json!({ "type": "string", "minLength": 1 }),
    };
    json!({ "type": "string", "pattern": pattern })
}
