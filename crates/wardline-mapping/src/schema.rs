//! Entities: whether an event's data is what its JSON Schema says it is.

use std::fmt;

use jsonschema::Draft;
use serde_json::Value as Json;
use thiserror::Error;
use vrl::value::Value;
use wardline_core::Code;

use crate::json::from_json_bytes;
use crate::shape::Shape;

/// How many violations are reported of one value.
const VIOLATIONS: usize = 100;

/// A compiled JSON Schema (draft 2020-12), formats checked, references only within itself.
pub struct Schema {
    validator: jsonschema::Validator,
    shape: Shape,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// Why a schema could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not JSON.
    #[error(
        "cannot read the schema: {reason} at line {line}, column {column}; it must be one JSON object"
    )]
    Json {
        /// What is wrong.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It is JSON, but not a schema.
    #[error("cannot compile the schema: {reason} (at {path}); see JSON Schema draft 2020-12")]
    Invalid {
        /// What is wrong.
        reason: String,
        /// JSON Pointer (RFC 6901) to the place in the schema.
        path: String,
    },
}

impl SchemaError {
    /// Stable code, `W2301`.
    pub fn code(&self) -> Code {
        Code("W2301")
    }
}

/// One way in which a value is not what its schema says. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) to the place in the value; empty for the whole.
    pub path: String,
    /// What the schema asks for there.
    pub message: String,
    /// The schema keyword that is not met: `required`, `type`, `format` …
    pub keyword: String,
    /// Stable code, `W2302`.
    pub code: Code,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() {
            "the whole"
        } else {
            &self.path
        };
        write!(f, "{place}: {}", self.message)
    }
}

impl Schema {
    /// Compiles the text of a schema.
    ///
    /// # Errors
    /// Where the text is not JSON, not a schema, or refers outside of itself.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let json: Json = serde_json::from_str(text).map_err(|error| SchemaError::Json {
            // Schemas are the estate's own text, not a message: their errors may quote it.
            reason: error
                .to_string()
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        Self::compile(&json)
    }

    /// Compiles a schema.
    ///
    /// # Errors
    /// Where it is not a schema or refers outside of itself.
    ///
    /// ```
    /// use wardline_mapping::{Schema, from_json_bytes};
    /// let schema = Schema::parse(r#"{"type": "object", "required": ["id"]}"#)?;
    /// let violations = schema.validate(&from_json_bytes(b"{}")?);
    /// assert_eq!(violations[0].to_string(), "the whole: \"id\" is a required property");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compile(schema: &Json) -> Result<Self, SchemaError> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            // Linear-time patterns: schemas may be written by partners, values by anyone.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .offline()
            .build(schema)
            .map_err(|error| SchemaError::Invalid {
                reason: error.to_string(),
                path: error.instance_path().to_string(),
            })?;
        Ok(Self {
            validator,
            shape: Shape::of_schema(schema),
        })
    }

    /// What the schema says about types, for compiling maps that read such data.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What is wrong with a value; empty where it is valid. At most 100 violations.
    pub fn validate(&self, value: &Value) -> Vec<Violation> {
        match serde_json::to_value(value) {
            Ok(json) => self.validate_json(&json),
            Err(_) => vec![unreadable()],
        }
    }

    /// What is wrong with a JSON text; empty where it is valid.
    pub fn validate_bytes(&self, bytes: &[u8]) -> Vec<Violation> {
        from_json_bytes(bytes).map_or_else(|_| vec![unreadable()], |value| self.validate(&value))
    }

    /// What is wrong with a JSON value; empty where it is valid.
    pub fn validate_json(&self, json: &Json) -> Vec<Violation> {
        if self.validator.is_valid(json) {
            return Vec::new();
        }
        self.validator
            .iter_errors(json)
            .take(VIOLATIONS)
            .map(|error| Violation {
                path: error.instance_path().to_string(),
                message: error.masked_with("the value").to_string(),
                keyword: error.kind().keyword().to_owned(),
                code: Code("W2302"),
            })
            .collect()
    }
}

fn unreadable() -> Violation {
    Violation {
        path: String::new(),
        message: "the value is not JSON".to_owned(),
        keyword: "type".to_owned(),
        code: Code("W2302"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn violations(schema: &Json, value: &Json) -> Vec<(String, String)> {
        let schema = Schema::compile(schema).unwrap();
        schema
            .validate_json(value)
            .into_iter()
            .map(|violation| (violation.path, violation.keyword))
            .collect()
    }

    #[test]
    fn finds_every_violation_and_its_place() {
        let schema = json!({
            "type": "object", "required": ["id"], "additionalProperties": false,
            "properties": {"id": {"type": "string"}, "at": {"format": "date-time"}, "lines": {"items": {"minimum": 1}}}
        });
        let found = violations(&schema, &json!({"at": "yesterday", "lines": [1, 0]}));
        for expected in [("", "required"), ("/at", "format"), ("/lines/1", "minimum")] {
            assert!(
                found.contains(&(expected.0.to_owned(), expected.1.to_owned())),
                "{found:?}"
            );
        }
        assert!(violations(&schema, &json!({"id": "1", "at": "2026-11-24T10:00:00Z"})).is_empty());
    }

    #[test]
    fn messages_hold_no_value() {
        let schema = Schema::compile(&json!({
            "properties": {"ssn": {"maxLength": 3}, "sex": {"enum": ["F", "M"]}, "born": {"format": "date"}, "n": {"pattern": "^x$"}},
            "additionalProperties": {"const": 1}
        }))
        .unwrap();
        let value = json!({"ssn": "123-45-6789", "sex": "SECRET", "born": "SECRET", "n": "SECRET", "more": "SECRET"});
        let found = schema.validate_json(&value);
        assert_eq!(found.len(), 5);
        for violation in found {
            assert!(
                !violation.to_string().contains("SECRET")
                    && !violation.to_string().contains("6789"),
                "{violation}"
            );
        }
    }

    #[test]
    fn refuses_what_reaches_outside() {
        let error = Schema::compile(&json!({"$ref": "https://example.org/x.json"})).unwrap_err();
        assert!(matches!(error, SchemaError::Invalid { .. }), "{error}");
        assert!(matches!(
            Schema::parse("{").unwrap_err(),
            SchemaError::Json { .. }
        ));
        assert!(Schema::compile(&json!({"type": "strin"})).is_err());
    }
}
