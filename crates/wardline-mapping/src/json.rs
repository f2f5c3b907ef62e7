//! Values to JSON bytes and back, once and with limits.

use std::io;

use thiserror::Error;
use vrl::value::Value;

/// Why bytes could not be read as JSON or a value could not be written. Holds no content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The bytes are not JSON, or nest deeper than 128 levels.
    #[error(
        "cannot read JSON: {reason} at line {line}, column {column}; check that the sender declares the right content type"
    )]
    Read {
        /// What is wrong, in words.
        reason: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// The value would be larger than allowed.
    #[error(
        "cannot write JSON: the result is larger than {limit} bytes; let the map produce less, or raise the limit"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The value cannot be written.
    #[error(
        "cannot write JSON: the value has a part that JSON cannot express; convert it to a string in the map"
    )]
    Write,
}

/// Reads JSON into a value. Integers beyond 64 bits become floats, as in JavaScript.
///
/// # Errors
/// [`JsonError::Read`] where the bytes are not one JSON text (RFC 8259) of at most 128 levels.
pub fn from_json_bytes(bytes: &[u8]) -> Result<Value, JsonError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let reason = match error.classify() {
            serde_json::error::Category::Eof => "the text ends early",
            serde_json::error::Category::Io => "the text cannot be read",
            serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
                "the text is malformed or too deep"
            }
        };
        JsonError::Read {
            reason,
            line: error.line(),
            column: error.column(),
        }
    })
}

/// Writes a value as compact JSON of at most `limit` bytes; object keys are in byte order, so equal
/// values give equal bytes.
///
/// # Errors
/// [`JsonError::TooLarge`] past the limit; memory never grows past it.
pub fn to_json_bytes(value: &Value, limit: usize) -> Result<Vec<u8>, JsonError> {
    let mut writer = Limited {
        bytes: Vec::with_capacity(512.min(limit)),
        limit,
        full: false,
    };
    match serde_json::to_writer(&mut writer, value) {
        Ok(()) => Ok(writer.bytes),
        Err(_) if writer.full => Err(JsonError::TooLarge { limit }),
        Err(_) => Err(JsonError::Write),
    }
}

struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl io::Write for Limited {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if chunk.len() > self.limit - self.bytes.len() {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Roughly the bytes a value takes as JSON, counted until `limit` is passed: cheaper than writing
/// it, and enough to bound what a run may return.
pub(crate) fn exceeds(value: &Value, limit: usize) -> bool {
    fn spend(value: &Value, left: &mut usize) -> bool {
        let own = match value {
            Value::Bytes(bytes) => bytes.len() + 3,
            Value::String(text) => text.len() + 3,
            Value::Object(map) => {
                for (key, value) in map {
                    let Some(rest) = left.checked_sub(key.len() + 4) else {
                        return false;
                    };
                    *left = rest;
                    if !spend(value, left) {
                        return false;
                    }
                }
                2
            }
            Value::Array(items) => {
                for item in items {
                    if !spend(item, left) {
                        return false;
                    }
                }
                2
            }
            _ => 4,
        };
        match left.checked_sub(own) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
    let mut left = limit;
    !spend(value, &mut left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_same() {
        let text = br#"{"a":[1,2.5,null,true],"b":{"c":"x\ny"}}"#;
        let value = from_json_bytes(text).unwrap();
        assert_eq!(to_json_bytes(&value, text.len()).unwrap(), text);
        assert_eq!(
            to_json_bytes(&value, text.len() - 1),
            Err(JsonError::TooLarge {
                limit: text.len() - 1
            })
        );
    }

    #[test]
    fn errors_hold_no_content() {
        let error = from_json_bytes(b"{\"ssn\": 123-45-6789}").unwrap_err();
        assert!(!error.to_string().contains("6789"), "{error}");
        assert!(from_json_bytes("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn estimates_size() {
        let value = from_json_bytes(br#"{"a":"0123456789"}"#).unwrap();
        assert!(exceeds(&value, 10));
        assert!(!exceeds(&value, 100));
    }
}
