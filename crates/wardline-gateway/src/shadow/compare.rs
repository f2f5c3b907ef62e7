//! Two answers, place by place.

use super::{How, Place};
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;

/// At most so many places are kept of one comparison.
const PLACES: usize = 32;
/// Longer arrays are compared up to here; without regard to their order, up to the other.
const LONGEST: usize = 1_000;
const LONGEST_UNORDERED: usize = 200;
/// Values nest no deeper than is compared.
const DEEPEST: usize = 64;
/// Shapes are cut here.
const SHAPE: usize = 32;

/// What of two answers is compared, by attribute: dotted names, items of arrays have none of their
/// own (`lines.amount`).
#[derive(Debug, Clone, Default)]
pub struct Rules {
    compare: Vec<Path>,
    ignore: Vec<Path>,
    unordered: Vec<Path>,
    sensitive: Vec<Path>,
    /// What only the shadow has is no difference.
    tolerant: bool,
}

type Path = Vec<Arc<str>>;

fn path(attribute: &str) -> Path {
    attribute.split('.').map(Arc::from).collect()
}

impl Rules {
    /// Compares everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Compares these attributes and what is below them; everything where there are none.
    #[must_use]
    pub fn only<'a>(mut self, attributes: impl IntoIterator<Item = &'a str>) -> Self {
        self.compare = attributes.into_iter().map(path).collect();
        self
    }

    /// Leaves these attributes out.
    #[must_use]
    pub fn ignoring<'a>(mut self, attributes: impl IntoIterator<Item = &'a str>) -> Self {
        self.ignore = attributes.into_iter().map(path).collect();
        self
    }

    /// In these arrays the order of items does not count.
    #[must_use]
    pub fn unordered<'a>(mut self, attributes: impl IntoIterator<Item = &'a str>) -> Self {
        self.unordered = attributes.into_iter().map(path).collect();
        self
    }

    /// Of these attributes not even the shape of values is told.
    #[must_use]
    pub fn sensitive<'a>(mut self, attributes: impl IntoIterator<Item = &'a str>) -> Self {
        self.sensitive = attributes.into_iter().map(path).collect();
        self
    }

    /// What only the shadow has is no difference.
    #[must_use]
    pub fn tolerant(mut self, tolerant: bool) -> Self {
        self.tolerant = tolerant;
        self
    }

    /// Whether a place is to be compared, itself or what holds it.
    fn wants(&self, names: &[&str]) -> bool {
        (self.compare.is_empty() || self.compare.iter().any(|path| begins(names, path)))
            && !self.ignore.iter().any(|path| begins(names, path))
    }

    /// Whether something below a place may be wanted.
    fn leads(&self, names: &[&str]) -> bool {
        let below = |path: &Path| {
            path.len() >= names.len() && path.iter().zip(names).all(|(a, b)| **a == **b)
        };
        (self.wants(names) || self.compare.iter().any(below))
            && !self.ignore.iter().any(|path| begins(names, path))
    }

    fn is(list: &[Path], names: &[&str]) -> bool {
        list.iter()
            .any(|path| path.len() == names.len() && begins(names, path))
    }
}

/// Whether a place is an attribute or below it.
fn begins(names: &[&str], path: &Path) -> bool {
    names.len() >= path.len() && path.iter().zip(names).all(|(a, b)| **a == **b)
}

/// Compares two answers by the rules; gives the first places that differ, and whether there are more.
pub fn compare(serving: &Value, shadow: &Value, rules: &Rules) -> (Vec<Place>, bool) {
    let mut found = Found {
        rules,
        names: Vec::new(),
        pointer: String::new(),
        places: Vec::new(),
        more: false,
    };
    found.walk(serving, shadow);
    (found.places, found.more)
}

struct Found<'a> {
    rules: &'a Rules,
    names: Vec<&'a str>,
    pointer: String,
    places: Vec<Place>,
    more: bool,
}

impl<'a> Found<'a> {
    fn add(&mut self, how: How, serving: Option<&Value>, shadow: Option<&Value>) {
        if !self.rules.wants(&self.names) {
            return;
        }
        if self.places.len() == PLACES {
            self.more = true;
            return;
        }
        let sensitive = &self.rules.sensitive;
        let open = !sensitive.iter().any(|path| begins(&self.names, path));
        self.places.push(Place {
            pointer: self.pointer.clone(),
            field: self.names.join("."),
            how,
            shapes: shapes(how, serving, shadow, open),
        });
    }

    fn walk(&mut self, a: &'a Value, b: &'a Value) {
        if self.more || !self.rules.leads(&self.names) || self.names.len() > DEEPEST {
            return;
        }
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                for (name, value) in a {
                    let other = b.get(name);
                    self.below(name, |found| match other {
                        Some(other) => found.walk(value, other),
                        None => found.one_sided(How::Missing, value),
                    });
                }
                if self.rules.tolerant {
                    return;
                }
                for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                    self.below(name, |found| found.one_sided(How::Extra, value));
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    self.add(How::Length, Some(a), Some(b));
                }
                if Rules::is(&self.rules.unordered, &self.names) {
                    return self.unordered(one, other);
                }
                for (at, (a, b)) in one.iter().zip(other).take(LONGEST).enumerate() {
                    self.item(at, a, b);
                }
            }
            _ if a == b || equal_numbers(a, b) => {}
            _ if std::mem::discriminant(a) == std::mem::discriminant(b) => {
                self.add(How::Value, Some(a), Some(b));
            }
            _ => self.add(How::Type, Some(a), Some(b)),
        }
    }

    /// Something that only one side has. Where only parts of it are compared, those are told.
    fn one_sided(&mut self, how: How, value: &'a Value) {
        if self.rules.wants(&self.names) {
            return match how {
                How::Extra => self.add(how, None, Some(value)),
                _ => self.add(how, Some(value), None),
            };
        }
        if let Value::Object(fields) = value
            && self.rules.leads(&self.names)
            && self.names.len() <= DEEPEST
        {
            for (name, value) in fields {
                self.below(name, |found| found.one_sided(how, value));
            }
        }
    }

    /// Items that the other side has anywhere are taken out; what is left is compared in order.
    fn unordered(&mut self, a: &'a [Value], b: &'a [Value]) {
        let mut rest: Vec<&Value> = b.iter().take(LONGEST_UNORDERED).collect();
        let mut alone = Vec::new();
        for (at, item) in a.iter().take(LONGEST_UNORDERED).enumerate() {
            let same = rest.iter().position(|other| {
                let rules = self.rules;
                let mut trial = Found {
                    rules,
                    names: self.names.clone(),
                    pointer: String::new(),
                    places: Vec::new(),
                    more: false,
                };
                trial.walk(item, other);
                trial.places.is_empty()
            });
            match same {
                Some(same) => drop(rest.swap_remove(same)),
                None => alone.push((at, item)),
            }
        }
        for ((at, a), b) in alone.into_iter().zip(rest) {
            self.item(at, a, b);
        }
    }

    fn item(&mut self, at: usize, a: &'a Value, b: &'a Value) {
        let base = self.pointer.len();
        let _ = write!(self.pointer, "/{at}");
        self.walk(a, b);
        self.pointer.truncate(base);
    }

    fn below(&mut self, name: &'a str, look: impl FnOnce(&mut Self)) {
        let base = self.pointer.len();
        self.pointer.push('/');
        for character in name.chars() {
            match character {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                other => self.pointer.push(other),
            }
        }
        self.names.push(name);
        look(self);
        self.names.pop();
        self.pointer.truncate(base);
    }
}

/// `1` and `1.0` are one number (RFC 8259 has one kind of them).
fn equal_numbers(a: &Value, b: &Value) -> bool {
    matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a.total_cmp(&b).is_eq())
}

fn shapes(how: How, serving: Option<&Value>, shadow: Option<&Value>, open: bool) -> String {
    let kind = |value: Option<&Value>| value.map_or("absent", kind);
    match (how, serving, shadow) {
        (How::Value, Some(a), Some(b)) if open => match (shape(a), shape(b)) {
            // Letters and digits are hidden, so that different texts may look alike.
            (Some(a), Some(b)) if a == b => a,
            (Some(a), Some(b)) => format!("{a} ≠ {b}"),
            _ => kind(serving).to_owned(),
        },
        (How::Value, ..) => kind(serving).to_owned(),
        (How::Length, Some(Value::Array(a)), Some(Value::Array(b))) => {
            format!("{} ≠ {} items", a.len(), b.len())
        }
        _ => format!("{} ≠ {}", kind(serving), kind(shadow)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(text) if text.is_empty() => "empty string",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What a text or number looks like: `A` and `a` for letters, `9` for digits; what stands between
/// them is shown. `None` for what has no shape beside its value.
fn shape(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) if text.is_empty() => return Some("empty".to_owned()),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let mut shape: String = text
        .chars()
        .take(SHAPE)
        .map(|character| match character {
            c if c.is_ascii_digit() => '9',
            c if c.is_lowercase() => 'a',
            c if c.is_alphabetic() => 'A',
            c if c.is_ascii_punctuation() || c == ' ' => c,
            _ => '?',
        })
        .collect();
    if text.chars().count() > SHAPE {
        shape.push('…');
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(a: &Value, b: &Value, rules: &Rules) -> Vec<(String, How, String)> {
        let (places, _) = compare(a, b, rules);
        let told = places.into_iter();
        told.map(|place| (place.pointer, place.how, place.shapes))
            .collect()
    }

    fn pointers(a: &Value, b: &Value, rules: &Rules) -> Vec<String> {
        told(a, b, rules).into_iter().map(|(at, ..)| at).collect()
    }

    #[test]
    fn places_are_named_without_values() {
        let a = json!({"id": "7", "n": 1.50, "gone": true, "lines": [{"x": 1}, {"x": 2}], "a/b": {"~": "Ab-1"}, "on": true, "same": 1});
        let b = json!({"id": 7, "n": 20, "new": "", "lines": [{"x": 1}], "a/b": {"~": "AB 12"}, "on": false, "same": 1.0});
        let wanted = [
            ("/id", How::Type, "string ≠ number"),
            ("/n", How::Value, "9.9 ≠ 99"),
            ("/gone", How::Missing, "boolean ≠ absent"),
            ("/lines", How::Length, "2 ≠ 1 items"),
            ("/a~1b/~0", How::Value, "Aa-9 ≠ AA 99"),
            ("/on", How::Value, "boolean"),
            ("/new", How::Extra, "absent ≠ empty string"),
        ]
        .map(|(at, how, shapes)| (at.to_owned(), how, shapes.to_owned()));
        assert_eq!(told(&a, &b, &Rules::everything()), wanted);
    }

    #[test]
    fn only_what_is_declared_is_compared() {
        let a =
            json!([{"id": 1, "bank": {"iban": "DE1", "name": "x"}, "tags": [1, 2, 3], "at": 1}]);
        let b =
            json!([{"id": 2, "bank": {"iban": "DE2", "name": "y"}, "tags": [3, 1, 4], "at": 2}]);
        let rules = Rules::everything;
        // Items of a list have no name of their own, so one rule serves a list and its items.
        assert_eq!(pointers(&a, &b, &rules().only(["id"])), ["/0/id"]);
        assert_eq!(
            pointers(&a, &b, &rules().only(["bank.iban"])),
            ["/0/bank/iban"]
        );
        let ignoring = rules().ignoring(["at", "bank", "tags"]);
        assert_eq!(pointers(&a, &b, &ignoring), ["/0/id"]);
        let unordered = rules().only(["tags"]).unordered(["tags"]);
        assert_eq!(pointers(&a, &b, &unordered), ["/0/tags/1"]);
        let same = json!([{"tags": [2, 3, 1]}]);
        assert_eq!(pointers(&a, &same, &unordered), Vec::<String>::new());
        let masked = rules().only(["bank"]).sensitive(["bank.iban"]);
        let shapes: Vec<String> = told(&a, &b, &masked)
            .into_iter()
            .map(|(.., it)| it)
            .collect();
        assert_eq!(shapes, ["string", "a"]);
    }

    #[test]
    fn what_only_one_side_has() {
        let a = json!({"bank": {"iban": 1, "name": 2}});
        let b = json!({"more": 1});
        let rules = Rules::everything;
        assert_eq!(pointers(&a, &b, &rules().tolerant(true)), ["/bank"]);
        assert_eq!(
            pointers(&a, &b, &rules().only(["bank.iban", "more"])),
            ["/bank/iban", "/more"]
        );
    }

    #[test]
    fn records_are_bounded() {
        let many = |value: i32| Value::from(vec![value; 5_000]);
        let (one, two) = (many(1), many(2));
        let (places, more) = compare(&one, &two, &Rules::everything());
        assert_eq!((places.len(), more), (PLACES, true));
        let long = json!({ "a": "x".repeat(1_000) });
        let other = json!({ "a": "1" });
        let (places, _) = compare(&long, &other, &Rules::everything());
        assert!(places[0].shapes.len() < 200, "{}", places[0].shapes);
        let mut deep = (json!(1), json!(2));
        for _ in 0..100 {
            deep = (json!({ "x": deep.0 }), json!({ "x": deep.1 }));
        }
        assert_eq!(compare(&deep.0, &deep.1, &Rules::everything()).0, []);
    }
}
