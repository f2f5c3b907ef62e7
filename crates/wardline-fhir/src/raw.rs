//! A resource whose elements stay as they were written: `5.40` is not `5.4` in a laboratory, and a number read as
//! a float loses what it cannot hold. Only what stands between the elements goes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::read::{ReadError, read};

/// A resource by its elements, each as it was written but for white space.
#[derive(Clone, Debug, Default)]
pub struct Raw(Vec<(String, Box<RawValue>)>);

impl Raw {
    /// Reads one resource of at most `most` bytes, and gives its values beside it.
    ///
    /// ```
    /// use wardline_fhir::Raw;
    /// let (mut raw, value) = Raw::read(br#"{ "resourceType": "Basic", "x": [5.40] }"#, 1 << 20)?;
    /// raw.set("id", &"7".into());
    /// assert_eq!(raw.to_string(), r#"{"resourceType":"Basic","x":[5.40],"id":"7"}"#);
    /// assert_eq!(value["x"][0], 5.4);
    /// # Ok::<(), wardline_fhir::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](fn@crate::read).
    pub fn read(bytes: &[u8], most: usize) -> Result<(Self, Value), ReadError> {
        let value = read(bytes, most)?;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let broken = || ReadError::NotJson("its parts cannot be read".to_owned());
        let compact = String::from_utf8(compact(bytes)).map_err(|_| broken())?;
        let raw = serde_json::from_str(&compact).map_err(|_| broken())?;
        Ok((raw, value))
    }

    /// An element as it is written.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.get())
    }

    /// Puts an element, in its place where it is there.
    pub fn set(&mut self, name: &str, value: &Value) {
        let Ok(value) = serde_json::value::to_raw_value(value) else {
            return;
        };
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, there)) => *there = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes an element away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Names of the elements.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Names of elements that stand otherwise in the other.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let changed = self
            .names()
            .filter(|name| other.get(name) != self.get(name));
        let gone = other.names().filter(|name| self.get(name).is_none());
        changed.chain(gone).map(str::to_owned).collect()
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (n, (name, value)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{}:{}", Value::from(name.as_str()), value.get())?;
        }
        f.write_str("}")
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = map.next_entry()? {
                    all.push(one);
                }
                Ok(Raw(all))
            }
        }
        from.deserialize_map(Elements)
    }
}

/// JSON without white space between its signs.
fn compact(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut text, mut escaped) = (false, false);
    for &byte in bytes {
        if text {
            text = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            text = byte == b'"';
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_as_they_were_written() {
        let text = b"\xEF\xBB\xBF{ \"a\" : [ 1.50 , \"x \\\" y\\\\\" ], \"b\": 12345678901234567890.1 ,\n\"c\":{}}";
        let (raw, _) = Raw::read(text, 999).unwrap();
        assert_eq!(
            raw.to_string(),
            r#"{"a":[1.50,"x \" y\\"],"b":12345678901234567890.1,"c":{}}"#
        );
        let (other, _) = Raw::read(
            br#"{"a":[1.5,"x \" y\\"],"b":12345678901234567890.1,"d":1}"#,
            999,
        )
        .unwrap();
        assert_eq!(raw.differences(&other), ["a", "c", "d"]);
        assert!(Raw::read(b"{\"a\":1,\"a\":2}", 999).is_err());
    }
}
