//! JSON that came from others: bounded, and each name once.
//!
//! `serde_json` takes the last of two members of one name. What one reader takes for the patient
//! another may not, so a name that stands twice is refused here.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error as ThisError;

/// Why bytes are no resource. The bytes are not quoted.
#[derive(Debug, ThisError, PartialEq, Eq)]
pub enum ReadError {
    /// More bytes than allowed.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// Not JSON, nested too deep, or a name that stands twice.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("it is not a JSON object")]
    NotAnObject,
}

/// Reads one resource of at most `most` bytes. A byte order mark is skipped.
///
/// # Errors
/// Where it is too large or not the JSON of an object.
pub fn read(bytes: &[u8], most: usize) -> Result<Value, ReadError> {
    if bytes.len() > most {
        return Err(ReadError::TooLarge(most));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Once.deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    match value {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ReadError::NotAnObject),
        Err(error) => Err(ReadError::NotJson(words(&error))),
    }
}

/// What went wrong, without a text of the input: `serde_json` quotes none but names of members.
fn words(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => {
            format!("a name stands twice in one object at {place}")
        }
        serde_json::error::Category::Eof => format!("it ends too early, at {place}"),
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => {
            format!("a syntax error, or nested too deep, at {place}")
        }
    }
}

/// A value whose objects have each name once.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = seq.next_element_seed(Once)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Once)?;
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_once_and_nothing_behind() {
        assert!(read(br#"{"a":1,"b":[{"a":2}]}"#, 99).is_ok());
        assert!(
            matches!(read(br#"{"a":1,"a":2}"#, 99), Err(ReadError::NotJson(why)) if why.contains("twice"))
        );
        assert!(matches!(read(b"{} x", 99), Err(ReadError::NotJson(_))));
        assert_eq!(read(b"[]", 99), Err(ReadError::NotAnObject));
        assert_eq!(read(b"{}", 1), Err(ReadError::TooLarge(1)));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            read(format!("{{\"a\":{deep}").as_bytes(), 1 << 20),
            Err(ReadError::NotJson(_))
        ));
    }
}
