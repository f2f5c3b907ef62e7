//! Filters (RFC 7644, 3.4.2.2): read once against the schemas, then held against resources.

use crate::path::Path;
use crate::schema::{Attribute, ResourceType, Type};
use crate::{Error, Why};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// The longest filter that is read.
const LONGEST: usize = 4096;
/// How deep parentheses may stand.
const DEEPEST: u32 = 32;

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The same.
    Eq,
    /// Not the same.
    Ne,
    /// Holds.
    Co,
    /// Begins with.
    Sw,
    /// Ends with.
    Ew,
    /// After.
    Gt,
    /// Not before.
    Ge,
    /// Before.
    Lt,
    /// Not after.
    Le,
}

/// What a filter asks for.
#[derive(Debug, Clone)]
pub enum Filter {
    /// All of them hold.
    And(Vec<Self>),
    /// One of them holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A value compares.
    Compare(Path, Op, Value),
    /// There is a value.
    Present(Path),
    /// One element of a list has all that is asked for.
    Within(Path, Box<Self>),
}

impl Filter {
    /// Reads a filter of resources.
    ///
    /// # Errors
    /// Where it is none, or asks what cannot be asked of an attribute.
    pub fn read(of: &'static ResourceType, text: &str) -> Result<Self, Error> {
        Reader::new(text, Names::Resource(of))?.whole()
    }

    /// Reads a filter of the elements of a list.
    pub(crate) fn of_elements(list: &'static Attribute, text: &str) -> Result<Self, Error> {
        Reader::new(text, Names::Elements(list))?.whole()
    }

    /// Whether a resource (or an element) is asked for.
    pub fn admits(&self, resource: &Map<String, Value>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.admits(resource)),
            Self::Or(all) => all.iter().any(|one| one.admits(resource)),
            Self::Not(one) => !one.admits(resource),
            Self::Present(path) => {
                let mut values = path.values(resource).into_iter();
                // Of a complex attribute without `value`, any of its own counts.
                values.any(|value| !empty(value))
                    || (path.leaf().is_none()
                        && path.whole(resource).is_some_and(|value| !empty(value)))
            }
            Self::Within(path, inner) => match path.whole(resource) {
                Some(Value::Array(all)) => all
                    .iter()
                    .any(|one| one.as_object().is_some_and(|one| inner.admits(one))),
                Some(Value::Object(one)) => inner.admits(one),
                _ => false,
            },
            Self::Compare(path, op, wanted) => {
                let Some(leaf) = path.leaf() else {
                    return false;
                };
                let values = path.values(resource);
                match (op, wanted) {
                    (Op::Eq, Value::Null) => values.iter().all(|value| empty(value)),
                    (Op::Ne, Value::Null) => values.iter().any(|value| !empty(value)),
                    (Op::Ne, _) => !values
                        .iter()
                        .any(|value| holds(leaf, value, Op::Eq, wanted)),
                    _ => values.iter().any(|value| holds(leaf, value, *op, wanted)),
                }
            }
        }
    }

    /// The value that one attribute must have for anything to be admitted, where the filter says
    /// so: then it is looked up instead of searched for.
    pub fn pinned(&self, attribute: &str) -> Option<&str> {
        match self {
            Self::Compare(path, Op::Eq, Value::String(text))
                if path.extension.is_none()
                    && path.sub.is_none()
                    && path.attribute.name == attribute =>
            {
                Some(text)
            }
            Self::And(all) => all.iter().find_map(|one| one.pinned(attribute)),
            _ => None,
        }
    }

    /// What an element must hold to be admitted, where that is all the filter says: an element
    /// that is not there can be made of it.
    pub(crate) fn element(&self, into: &mut Map<String, Value>) -> bool {
        match self {
            Self::Compare(path, Op::Eq, value) if path.sub.is_none() => {
                into.insert(path.attribute.name.to_owned(), value.clone());
                true
            }
            Self::And(all) => all.iter().all(|one| one.element(into)),
            _ => false,
        }
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}

/// Whether one value compares.
fn holds(leaf: &Attribute, value: &Value, op: Op, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Bool(value), Value::Bool(wanted)) => op == Op::Eq && value == wanted,
        (Value::String(value), Value::String(wanted)) => {
            if leaf.kind == Type::DateTime
                && let (Ok(value), Ok(wanted)) = (
                    value.parse::<jiff::Timestamp>(),
                    wanted.parse::<jiff::Timestamp>(),
                )
            {
                return ordered(value.cmp(&wanted), op);
            }
            if leaf.case_exact {
                text(value, op, wanted)
            } else {
                text(&fold(value), op, &fold(wanted))
            }
        }
        _ => false,
    }
}

/// A text in which upper and lower case are the same.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn text(value: &str, op: Op, wanted: &str) -> bool {
    match op {
        Op::Co => value.contains(wanted),
        Op::Sw => value.starts_with(wanted),
        Op::Ew => value.ends_with(wanted),
        _ => ordered(value.cmp(wanted), op),
    }
}

fn ordered(order: Ordering, op: Op) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        // Parts of texts are compared as texts.
        Op::Co | Op::Sw | Op::Ew => false,
    }
}

/// The operators.
const OPS: [(&str, Op); 9] = [
    ("eq", Op::Eq),
    ("ne", Op::Ne),
    ("co", Op::Co),
    ("sw", Op::Sw),
    ("ew", Op::Ew),
    ("gt", Op::Gt),
    ("ge", Op::Ge),
    ("lt", Op::Lt),
    ("le", Op::Le),
];

/// Which names a filter may use.
#[derive(Clone, Copy)]
enum Names {
    Resource(&'static ResourceType),
    Elements(&'static Attribute),
}

struct Reader<'a> {
    rest: &'a str,
    names: Names,
    depth: u32,
}

fn wrong(detail: &str) -> Error {
    Error::bad(Why::InvalidFilter, detail)
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, names: Names) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(wrong("the filter is too long"));
        }
        Ok(Self {
            rest: text,
            names,
            depth: 0,
        })
    }

    fn whole(mut self) -> Result<Filter, Error> {
        let filter = self.any()?;
        self.space();
        if self.rest.is_empty() {
            Ok(filter)
        } else {
            Err(wrong("something stands behind the end of the filter"))
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a word where it stands next.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let Some(head) = self.rest.get(..word.len()) else {
            return false;
        };
        let behind = &self.rest[word.len()..];
        let ends = behind.is_empty()
            || behind.starts_with(|next: char| next.is_whitespace() || "()[]".contains(next));
        if head.eq_ignore_ascii_case(word) && ends {
            self.rest = behind;
            return true;
        }
        false
    }

    fn sign(&mut self, sign: char) -> bool {
        self.space();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Result<Filter, Error> {
        let mut all = vec![self.all()?];
        while self.word("or") {
            all.push(self.all()?);
        }
        Ok(one_or(all, Filter::Or))
    }

    fn all(&mut self) -> Result<Filter, Error> {
        let mut all = vec![self.one()?];
        while self.word("and") {
            all.push(self.one()?);
        }
        Ok(one_or(all, Filter::And))
    }

    fn one(&mut self) -> Result<Filter, Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(wrong("the filter is too deep"));
        }
        let found = if self.word("not") {
            if !self.sign('(') {
                return Err(wrong("`not` wants parentheses"));
            }
            Filter::Not(Box::new(self.closed()?))
        } else if self.sign('(') {
            self.closed()?
        } else {
            self.asked()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn closed(&mut self) -> Result<Filter, Error> {
        let inner = self.any()?;
        if self.sign(')') {
            Ok(inner)
        } else {
            Err(wrong("a parenthesis is not closed"))
        }
    }

    fn name(&mut self) -> Result<Path, Error> {
        self.space();
        let end = self
            .rest
            .find(|next: char| !(next.is_ascii_alphanumeric() || "$_-.:".contains(next)))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let path = match self.names {
            Names::Resource(of) => Path::read(of, name),
            Names::Elements(list) => list.sub(name).map(|attribute| Path {
                extension: None,
                attribute,
                sub: None,
            }),
        };
        path.ok_or_else(|| wrong("the filter names no attribute of the schemas"))
    }

    fn asked(&mut self) -> Result<Filter, Error> {
        let path = self.name()?;
        if self.rest.starts_with('[') {
            return self.within(path);
        }
        if self.word("pr") {
            return Ok(Filter::Present(path));
        }
        let op = OPS.iter().find(|(word, _)| self.word(word));
        let (_, op) = *op.ok_or_else(|| wrong("an operator is missing"))?;
        let value = self.value()?;
        let leaf = path
            .leaf()
            .ok_or_else(|| wrong("a complex attribute is compared by one of its own"))?;
        let fits = match (&value, leaf.kind) {
            (Value::Null, _) => matches!(op, Op::Eq | Op::Ne),
            (Value::Bool(_), Type::Boolean) => matches!(op, Op::Eq | Op::Ne),
            (Value::String(text), Type::DateTime) => {
                matches!(op, Op::Co | Op::Sw | Op::Ew) || text.parse::<jiff::Timestamp>().is_ok()
            }
            (Value::String(_), Type::Binary) => matches!(op, Op::Eq | Op::Ne),
            (Value::String(_), Type::String | Type::Reference) => true,
            _ => false,
        };
        if fits {
            Ok(Filter::Compare(path, op, value))
        } else {
            Err(wrong("the attribute cannot be compared in that way"))
        }
    }

    fn within(&mut self, path: Path) -> Result<Filter, Error> {
        if path.sub.is_some()
            || path.attribute.sub.is_empty()
            || matches!(self.names, Names::Elements(_))
        {
            return Err(wrong("only complex attributes have brackets"));
        }
        self.rest = &self.rest[1..];
        let outer = std::mem::replace(&mut self.names, Names::Elements(path.attribute));
        let inner = self.any()?;
        self.names = outer;
        if self.sign(']') {
            Ok(Filter::Within(path, Box::new(inner)))
        } else {
            Err(wrong("a bracket is not closed"))
        }
    }

    /// A value as JSON writes it.
    fn value(&mut self) -> Result<Value, Error> {
        self.space();
        let end = if let Some(text) = self.rest.strip_prefix('"') {
            let mut escaped = false;
            let close = text.char_indices().find(|(_, next)| {
                let ends = *next == '"' && !escaped;
                escaped = *next == '\\' && !escaped;
                ends
            });
            close.map(|(at, _)| at + 2)
        } else {
            let ends = |next: char| next.is_whitespace() || next == ')' || next == ']';
            Some(self.rest.find(ends).unwrap_or(self.rest.len()))
        };
        let (value, rest) = end
            .and_then(|end| self.rest.split_at_checked(end))
            .ok_or_else(|| wrong("a text is not closed"))?;
        self.rest = rest;
        let word = value.to_ascii_lowercase();
        let value = match word.as_str() {
            "true" | "false" | "null" => &word,
            _ => value,
        };
        serde_json::from_str(value).map_err(|_| wrong("a value is not written as JSON"))
    }
}

fn one_or(mut all: Vec<Filter>, made: fn(Vec<Filter>) -> Filter) -> Filter {
    if all.len() == 1 {
        all.remove(0)
    } else {
        made(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::USER;
    use serde_json::json;

    fn jane() -> Map<String, Value> {
        let jane = json!({
            "id": "1", "userName": "Jane@Brigid.example", "externalId": "E-1", "active": true,
            "name": { "familyName": "O'Doe", "givenName": "Jane" },
            "emails": [
                { "value": "jane@work.example", "type": "work", "primary": true },
                { "value": "j@home.example", "type": "home" }
            ],
            "meta": { "lastModified": "2026-03-04T05:06:07Z" },
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Ward 3", "manager": { "value": "9" } },
        });
        jane.as_object().unwrap().clone()
    }

    #[test]
    fn filters_of_the_standard_hold_or_do_not() {
        for (text, held) in [
            ("userName eq \"jane@brigid.EXAMPLE\"", true),
            ("username Eq \"other\"", false),
            ("externalId eq \"e-1\"", false),
            ("name.familyName co \"O'D\"", true),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"jane\"",
                true,
            ),
            ("title pr", false),
            ("emails pr and name pr", true),
            ("nickName eq null", true),
            ("title pr or active eq true", true),
            ("active eq false or active eq true and title pr", false),
            (
                "(active eq false or active eq true) and not (title pr)",
                true,
            ),
            ("emails co \"work.example\"", true),
            ("emails.type eq \"home\"", true),
            ("emails[type eq \"work\" and value co \"@work\"]", true),
            ("emails[type eq \"home\" and value co \"@work\"]", false),
            ("emails ne \"jane@work.example\"", false),
            ("meta.lastModified gt \"2026-03-04T06:06:06+01:00\"", true),
            ("meta.lastModified lt \"2026-03-04T05:06:07Z\"", false),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department ew \"3\"",
                true,
            ),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:manager.value eq \"9\"",
                true,
            ),
            ("userName gt \"a\" and userName le \"z\"", true),
            ("name.givenName eq \"Ja\\u006ee\"", true),
        ] {
            let filter =
                Filter::read(&USER, text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.admits(&jane()), held, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = "(".repeat(2000) + "title pr" + &")".repeat(2000);
        for text in [
            "",
            "userName",
            "userName eq",
            "userName eq jane",
            "userName eq \"jane",
            "userName is \"x\"",
            "secret eq \"x\"",
            "active gt true",
            "active eq \"true\"",
            "name eq \"x\"",
            "emails[type eq \"work\"",
            "title pr title pr",
            "not title pr",
            "(title pr",
            "emails[value[type pr]]",
            "meta.created gt \"soon\"",
            "userName eq \"a\\\"",
            "é",
            &deep,
        ] {
            let refused = Filter::read(&USER, text).expect_err(text);
            assert_eq!((refused.status, refused.why), (400, Why::InvalidFilter));
        }
    }

    #[test]
    fn what_a_filter_asks_by_one_name_is_looked_up() {
        let pinned = |text: &str| {
            Filter::read(&USER, text)
                .unwrap()
                .pinned("externalId")
                .map(str::to_owned)
        };
        assert_eq!(
            pinned("externalId eq \"7\" and active eq true").as_deref(),
            Some("7")
        );
        assert_eq!(pinned("externalId eq \"7\" or active eq true"), None);
        assert_eq!(pinned("not (externalId eq \"7\")"), None);
    }
}
