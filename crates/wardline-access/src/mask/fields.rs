//! The sensitive fields of an entity, and hiding them.

use serde_json::Value;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use wardline_core::Sensitivity::{self, Financial, Internal, Phi, Pii, Public, Secret};
use wardline_vault::mask::MASK;

use super::Pseudonyms;

/// A set of sensitivity classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

impl Classes {
    /// None of them.
    pub const NONE: Self = Self(0);

    const fn bit(class: Sensitivity) -> u8 {
        1 << class as u8
    }

    /// Adds a class.
    pub fn insert(&mut self, class: Sensitivity) {
        self.0 |= Self::bit(class);
    }

    /// Whether a class is among them.
    pub const fn contains(self, class: Sensitivity) -> bool {
        self.0 & Self::bit(class) != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The classes, least harmful first.
    pub fn iter(self) -> impl Iterator<Item = Sensitivity> {
        [Public, Internal, Financial, Pii, Phi, Secret]
            .into_iter()
            .filter(move |class| self.contains(*class))
    }
}

impl FromIterator<Sensitivity> for Classes {
    fn from_iter<I: IntoIterator<Item = Sensitivity>>(classes: I) -> Self {
        let mut all = Self::NONE;
        for class in classes {
            all.insert(class);
        }
        all
    }
}

impl<const N: usize> From<[Sensitivity; N]> for Classes {
    fn from(classes: [Sensitivity; N]) -> Self {
        classes.into_iter().collect()
    }
}

/// What a hidden field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// The field is not there.
    Removed,
    /// `••••` and the last four characters, of texts that have at least eight.
    LastFour,
    /// A pseudonym.
    Hash,
}

impl Style {
    /// How a class is hidden unless a path says otherwise.
    pub const fn of(class: Sensitivity) -> Self {
        match class {
            Financial => Self::LastFour,
            Pii => Self::Hash,
            _ => Self::Removed,
        }
    }
}

/// A level of the paths.
#[derive(Clone, Debug, Default)]
struct Level {
    rule: Option<(Sensitivity, Style)>,
    below: BTreeMap<Box<str>, Level>,
}

/// The sensitive fields of an entity.
///
/// Paths are those of `sensitivity:`: `tax_id`, `bank.account`. They go through lists as if these
/// were not there, with or without brackets (`lines[].price` is `lines.price`); `*` is any
/// attribute of its level; parts may be quoted (`"account.number"`), a leading dot is allowed. What lies
/// below a sensitive path is as sensitive. A path in full beats one with a star; of several with
/// stars the more harmful class holds.
///
/// ```
/// use serde_json::json;
/// use wardline_access::mask::{Classes, Fields, Pseudonyms};
/// use wardline_core::Sensitivity::{Financial, Phi, Pii};
/// let fields = Fields::new([("bank.iban", Financial), ("contacts[].name", Pii), ("notes", Phi)]);
/// let pseudonyms = Pseudonyms::new(&[7; 32], "ghx");
/// let mut value = json!({"bank": {"iban": "DE02120300000000202051"}, "contacts": [{"name": "Ann"}], "notes": "x"});
/// fields.apply(&mut value, [Pii].into(), &pseudonyms);
/// assert_eq!(value, json!({"bank": {"iban": "••••2051"}, "contacts": [{"name": "Ann"}]}));
/// assert!(!fields.hides(Classes::from([Financial, Phi, Pii])));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fields {
    root: Level,
    /// Classes of all paths.
    classes: Classes,
}

impl Fields {
    /// From paths and their classes, each hidden in the style of its class.
    pub fn new<P: AsRef<str>>(paths: impl IntoIterator<Item = (P, Sensitivity)>) -> Self {
        let mut fields = Self::default();
        for (path, class) in paths {
            fields.declare(path.as_ref(), class, Style::of(class));
        }
        fields
    }

    /// Adds a path with a style of its own. Values of class secret are removed whatever is said
    /// here. A path without parts is ignored.
    pub fn declare(&mut self, path: &str, class: Sensitivity, style: Style) {
        let parts = parts(path);
        if parts.is_empty() {
            return;
        }
        let mut level = &mut self.root;
        for part in parts {
            level = level.below.entry(part.into_boxed_str()).or_default();
        }
        // Two spellings of one path: the more harmful class holds.
        if level.rule.is_none_or(|(known, _)| known <= class) {
            level.rule = Some((class, style));
        }
        self.classes.insert(class);
    }

    /// The classes of its paths.
    pub const fn classes(&self) -> Classes {
        self.classes
    }

    /// Whether anything is hidden from a caller who has these classes revealed.
    pub const fn hides(&self, revealed: Classes) -> bool {
        let shown =
            (revealed.0 | Classes::bit(Public) | Classes::bit(Internal)) & !Classes::bit(Secret);
        self.classes.0 & !shown != 0
    }

    /// Hides, in place, what the caller has not revealed. A list is a list of entities.
    pub fn apply(&self, value: &mut Value, revealed: Classes, pseudonyms: &Pseudonyms) {
        if self.hides(revealed) {
            let at = At {
                exact: Some(&self.root),
                stars: SmallVec::new(),
                inherited: None,
            };
            Hiding {
                revealed,
                pseudonyms,
            }
            .level(value, &at);
        }
    }
}

/// Where in the paths a value is.
struct At<'a> {
    /// The level reached by names alone.
    exact: Option<&'a Level>,
    /// Those reached through at least one star.
    stars: SmallVec<[&'a Level; 2]>,
    /// What holds for everything below unless a path says more.
    inherited: Option<(Sensitivity, Style)>,
}

impl<'a> At<'a> {
    fn below(&self, name: &str) -> Self {
        let exact = self.exact.and_then(|level| level.below.get(name));
        // A field that is really called `*` is one of those that a star means.
        let exact = exact.filter(|_| name != "*");
        let stars: SmallVec<[&'a Level; 2]> = self
            .stars
            .iter()
            .filter_map(|level| level.below.get(name))
            .chain(
                self.exact
                    .iter()
                    .chain(&self.stars)
                    .filter_map(|level| level.below.get("*")),
            )
            .collect();
        let inherited = exact.and_then(|level| level.rule).or_else(|| {
            stars
                .iter()
                .filter_map(|level| level.rule)
                .chain(self.inherited)
                .max_by_key(|(class, _)| *class)
        });
        Self {
            exact,
            stars,
            inherited,
        }
    }

    /// Whether paths go on from here.
    fn goes_on(&self) -> bool {
        self.exact
            .iter()
            .chain(&self.stars)
            .any(|level| !level.below.is_empty())
    }
}

struct Hiding<'a> {
    revealed: Classes,
    pseudonyms: &'a Pseudonyms,
}

impl Hiding<'_> {
    /// Goes through the fields of an object, or of the objects of a list.
    fn level(&self, value: &mut Value, at: &At<'_>) {
        match value {
            Value::Array(items) => {
                for item in items {
                    self.level(item, at);
                }
            }
            Value::Object(fields) => fields.retain(|name, value| self.keep(name, value, at)),
            _ => {}
        }
    }

    /// Whether a field stays, changed or not.
    fn keep(&self, name: &str, value: &mut Value, at: &At<'_>) -> bool {
        let at = at.below(name);
        let hidden = at.inherited.filter(|(class, _)| {
            *class == Secret || !(class.may_be_shown() || self.revealed.contains(*class))
        });
        if at.goes_on() && is_structure(value) {
            // Something below may be more or less sensitive than what is around it. Values that
            // stand in a list beside objects have no path of their own.
            if hidden.is_some() {
                drop_loose_values(value);
            }
            self.level(value, &at);
            return hidden.is_none() || !is_hollow(value);
        }
        match hidden {
            None => true,
            Some((class, style)) => self.hide(name, value, class, style),
        }
    }

    fn hide(&self, field: &str, value: &mut Value, class: Sensitivity, style: Style) -> bool {
        if value.is_null() || value.as_str() == Some("") {
            return true;
        }
        let shown = match (style, &*value) {
            _ if class == Secret => None,
            (Style::LastFour, Value::String(text)) => Some(last_four(text)),
            (Style::Hash, Value::String(text)) => Some(self.pseudonyms.of(class, field, text)),
            (Style::Hash, Value::Number(number)) => {
                Some(self.pseudonyms.of(class, field, &number.to_string()))
            }
            _ => None,
        };
        match shown {
            None => false,
            Some(text) => {
                *value = Value::String(text);
                true
            }
        }
    }
}

/// Takes what is neither object nor list out of lists, at any depth.
fn drop_loose_values(value: &mut Value) {
    if let Value::Array(items) = value {
        items.retain(is_structure);
        items.iter_mut().for_each(drop_loose_values);
    }
}

fn is_structure(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// Whether nothing is left: `{}`, `[]`, `[{}]`.
fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.iter().all(is_hollow),
        _ => false,
    }
}

/// The mask and the last four characters where these are half of the text or less.
fn last_four(text: &str) -> String {
    let mut shown = MASK.to_owned();
    if text.chars().count() >= 8
        && let Some((at, _)) = text.char_indices().rev().nth(3)
    {
        shown.push_str(&text[at..]);
    }
    shown
}

/// Splits `a[]."b.c".d`; empty parts and brackets are dropped.
fn parts(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in path.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            '[' | ']' if !quoted => {}
            _ => parts.last_mut().expect("never empty").push(c),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
