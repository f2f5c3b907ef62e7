//! What a second system would have answered, compared field by field.
//!
//! A difference names places and kinds, never values, so that it can be kept and shown.

use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;

/// At most so many places are kept of one comparison.
const PLACES: usize = 32;
/// Longer arrays are compared up to here.
const LONGEST: usize = 1_000;

/// How a place differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Only the serving system has it.
    Missing,
    /// Only the shadow has it.
    Extra,
    /// Both have it, of different types.
    Type,
    /// Both have it, with different values.
    Value,
    /// Arrays of different lengths.
    Length,
}

/// One place that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// JSON pointer (RFC 6901) into the canonical answer.
    pub pointer: String,
    /// How.
    pub how: How,
}

/// What came of asking the shadow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It said the same.
    Same,
    /// It said something else.
    Differs,
    /// It gave no usable answer.
    Failed,
    /// It was not asked: too many were being asked.
    Skipped,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The Api.
    pub api: Arc<str>,
    /// Its operation.
    pub operation: Arc<str>,
    /// The system that served.
    pub serving: Arc<str>,
    /// The system in the shadow.
    pub shadow: Arc<str>,
    /// The request's correlation id.
    pub correlation: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The status that was served, and the shadow's (0 where it failed).
    pub status: (u16, u16),
    /// The first places that differ.
    pub places: Vec<Place>,
    /// Whether there were more.
    pub more: bool,
}

/// Compares two answers at the wanted pointers, or everywhere.
pub fn compare(serving: &Value, shadow: &Value, wanted: &[Arc<str>]) -> (Vec<Place>, bool) {
    let mut found = Found {
        places: Vec::new(),
        more: false,
    };
    let mut pointer = String::new();
    if wanted.is_empty() {
        found.walk(&mut pointer, serving, shadow);
    }
    for place in wanted {
        pointer.clear();
        pointer.push_str(place);
        match (serving.pointer(place), shadow.pointer(place)) {
            (None, None) => {}
            (Some(a), Some(b)) => found.walk(&mut pointer, a, b),
            (Some(_), None) => found.add(&pointer, How::Missing),
            (None, Some(_)) => found.add(&pointer, How::Extra),
        }
    }
    (found.places, found.more)
}

struct Found {
    places: Vec<Place>,
    more: bool,
}

impl Found {
    fn add(&mut self, pointer: &str, how: How) {
        if self.places.len() == PLACES {
            self.more = true;
        } else {
            self.places.push(Place {
                pointer: pointer.to_owned(),
                how,
            });
        }
    }

    fn walk(&mut self, pointer: &mut String, a: &Value, b: &Value) {
        if self.more {
            return;
        }
        let base = pointer.len();
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                for (name, value) in a {
                    step(pointer, name);
                    match b.get(name) {
                        Some(other) => self.walk(pointer, value, other),
                        None => self.add(pointer, How::Missing),
                    }
                    pointer.truncate(base);
                }
                for name in b.keys().filter(|name| !a.contains_key(*name)) {
                    step(pointer, name);
                    self.add(pointer, How::Extra);
                    pointer.truncate(base);
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                if a.len() != b.len() {
                    self.add(pointer, How::Length);
                }
                for (at, (a, b)) in a.iter().zip(b).take(LONGEST).enumerate() {
                    let _ = write!(pointer, "/{at}");
                    self.walk(pointer, a, b);
                    pointer.truncate(base);
                }
            }
            _ if a == b => {}
            _ if std::mem::discriminant(a) == std::mem::discriminant(b) => {
                self.add(pointer, How::Value);
            }
            _ => self.add(pointer, How::Type),
        }
    }
}

fn step(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_named_without_values() {
        let a = json!({"id": "7", "n": 1, "gone": true, "lines": [{"x": 1}, {"x": 2}], "a/b": {"~": 1}});
        let b = json!({"id": 7, "n": 2, "new": true, "lines": [{"x": 1}], "a/b": {"~": 2}});
        let (places, more) = compare(&a, &b, &[]);
        let told: Vec<_> = places
            .iter()
            .map(|place| (place.pointer.as_str(), place.how))
            .collect();
        let wanted = [
            ("/id", How::Type),
            ("/n", How::Value),
            ("/gone", How::Missing),
            ("/lines", How::Length),
            ("/a~1b/~0", How::Value),
            ("/new", How::Extra),
        ];
        assert_eq!((told.as_slice(), more), (&wanted[..], false));
        let (places, _) = compare(&a, &b, &["/lines/0".into(), "/id".into(), "/none".into()]);
        assert_eq!(
            places,
            [Place {
                pointer: "/id".into(),
                how: How::Type
            }]
        );
    }

    #[test]
    fn records_are_bounded() {
        let many = |value: i32| Value::from(vec![value; 5_000]);
        let (places, more) = compare(&many(1), &many(2), &[]);
        assert_eq!((places.len(), more), (PLACES, true));
    }
}
