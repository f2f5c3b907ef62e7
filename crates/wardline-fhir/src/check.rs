//! Holding a resource against the definitions: names, cardinality, types, codes, and the rules of
//! `rules.rs`. One walk over the value; nothing is built but what is wrong.

use serde_json::{Map, Value};

use crate::definitions::{Definitions, Element, Kind, Slot, TypeId};
use crate::outcome::{Issue, Outcome, Severity};
use crate::primitive::Primitive;
use crate::rules;

/// Problems that are told; more are counted.
pub const MOST_ISSUES: usize = 100;
/// How deep elements may stand in one another.
const DEEPEST: usize = 100;

/// Checks one resource.
///
/// ```
/// let patient = serde_json::json!({ "resourceType": "Patient", "gender": "unsure" });
/// let outcome = wardline_fhir::check(&patient);
/// assert_eq!(outcome.issues[0].path, "Patient.gender");
/// assert!(!outcome.ok());
/// ```
pub fn check(resource: &Value) -> Outcome {
    let mut walk = Walk {
        r4: Definitions::r4(),
        path: Vec::with_capacity(16),
        outcome: Outcome::default(),
        container: None,
    };
    walk.resource(resource, true);
    walk.outcome
}

/// A step of the way to an element.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

/// A check under way.
pub(crate) struct Walk<'a> {
    r4: &'static Definitions,
    path: Vec<Step<'a>>,
    outcome: Outcome,
    /// The resource that holds `contained` for what is being checked.
    pub(crate) container: Option<&'a Map<String, Value>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn error(&mut self, code: &'static str, text: impl Into<String>) {
        if self.outcome.issues.len() >= MOST_ISSUES {
            self.outcome.more += 1;
            return;
        }
        let issue = Issue {
            severity: Severity::Error,
            code,
            text: text.into(),
            path: self.place(),
        };
        self.outcome.issues.push(issue);
    }

    fn error_at(&mut self, name: &'a str, code: &'static str, text: impl Into<String>) {
        self.path.push(Step::Name(name));
        self.error(code, text);
        self.path.pop();
    }

    /// Where the walk is, as a FHIRPath expression.
    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Index(n) => place.push_str(&format!("[{n}]")),
                Step::Name(name) => {
                    if !place.is_empty() {
                        place.push('.');
                    }
                    place.push_str(name);
                }
            }
        }
        place
    }

    /// A whole resource; `root` where its path begins with its type.
    fn resource(&mut self, value: &'a Value, root: bool) {
        let Value::Object(map) = value else {
            return self.error("structure", "is not an object");
        };
        let name = map.get("resourceType").and_then(Value::as_str);
        let Some(id) = name.and_then(|name| self.r4.resource(name)) else {
            let text = if name.is_some() {
                "the type of this resource is none of R4"
            } else {
                "`resourceType` is missing"
            };
            return self.error("structure", text);
        };
        let known = self.r4.of(id).name;
        if root {
            self.path.push(Step::Name(known));
            self.outcome.resource = Some(known.to_owned());
        }
        let before = self.container;
        let contained = matches!(
            self.path.as_slice(),
            [.., Step::Name("contained"), Step::Index(_)]
        );
        if !contained {
            self.container = Some(map);
        }
        self.object(id, map, "");
        if contained && map.contains_key("contained") {
            self.error(
                "invariant",
                "a contained resource must not contain others (dom-2)",
            );
        }
        self.container = before;
    }

    fn object(&mut self, id: TypeId, map: &'a Map<String, Value>, targets: &'static str) {
        if self.path.len() > 2 * DEEPEST {
            return self.error("too-costly", "is nested too deep");
        }
        let known = self.r4.of(id);
        let empty = map.is_empty() || (known.resource && map.len() == 1 && !map.contains_key("id"));
        if map.is_empty() || (empty && known.name != "Parameters") {
            let whole = known.resource && self.path.len() == 1;
            if !whole {
                self.error(
                    "invariant",
                    "is empty: an element has a value or children (ele-1)",
                );
            }
        }
        let mut seen = 0_u128;
        let mut chosen: Option<(u16, &str)> = None;
        for (name, value) in map {
            let Some(slot) = known.slots.get(name.as_str()).copied() else {
                if !(known.resource && name == "resourceType") {
                    self.unknown(name, known.name);
                }
                continue;
            };
            let element = &known.elements[usize::from(slot.element)];
            seen |= 1 << slot.element.min(127);
            if element.choice {
                let plain = name.trim_start_matches('_');
                match chosen {
                    Some((of, other)) if of == slot.element && other != plain => {
                        let text =
                            format!("`{}[x]` is there with more than one type", element.name);
                        self.error_at(name, "structure", text);
                    }
                    _ => chosen = Some((slot.element, plain)),
                }
            }
            self.path.push(Step::Name(name));
            self.element(slot, element, name, value, map);
            self.path.pop();
        }
        for (n, element) in known.elements.iter().enumerate() {
            if element.required && seen & (1 << n.min(127)) == 0 {
                let shown = if element.choice { "[x]" } else { "" };
                let text = format!("`{}{shown}` is missing", element.name);
                self.error("required", text);
            }
        }
        if known.name == "Reference" {
            rules::reference(self, map, targets);
        } else {
            rules::apply(self, known.name, map);
        }
    }

    /// A name that the type does not have. What looks like no name at all is not repeated.
    fn unknown(&mut self, name: &'a str, of: &str) {
        let plain = name.len() <= 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let text = format!("{of} has no such element");
        if plain {
            self.error_at(name, "structure", text);
        } else {
            self.error(
                "structure",
                format!("{of} has an element whose name is none of FHIR"),
            );
        }
    }

    fn element(
        &mut self,
        slot: Slot,
        element: &'static Element,
        name: &'a str,
        value: &'a Value,
        parent: &'a Map<String, Value>,
    ) {
        if !element.many {
            return match value {
                Value::Array(_) => {
                    self.error("structure", "may be there once only, and is an array");
                }
                _ => self.single(slot, element, value),
            };
        }
        let Value::Array(all) = value else {
            return self.error(
                "structure",
                "is not an array, but may be there more than once",
            );
        };
        if all.is_empty() {
            return self.error("structure", "is an empty array: leave it away");
        }
        for (n, value) in all.iter().enumerate() {
            self.path.push(Step::Index(n));
            if value.is_null() {
                self.gap(slot, name, n, parent);
            } else {
                self.single(slot, element, value);
            }
            self.path.pop();
        }
    }

    /// A `null` in an array of primitives must have something beside it, and the other way round.
    fn gap(&mut self, slot: Slot, name: &str, n: usize, parent: &Map<String, Value>) {
        let other = match slot.kind {
            Kind::Primitive(_) => parent.get(&format!("_{name}")),
            Kind::Beside => parent.get(name.trim_start_matches('_')),
            Kind::Object(_) | Kind::Resource => None,
        };
        let filled = other
            .and_then(Value::as_array)
            .and_then(|all| all.get(n))
            .is_some_and(|value| !value.is_null());
        if !filled {
            self.error("structure", "is null, and nothing stands beside it");
        }
    }

    fn single(&mut self, slot: Slot, element: &'static Element, value: &'a Value) {
        match (slot.kind, value) {
            (_, Value::Null) => self.error("structure", "is null: leave it away"),
            (Kind::Primitive(primitive), value) => {
                if let Some(complaint) = primitive.complaint(value) {
                    self.error("value", complaint);
                } else if let (
                    Some(set),
                    Primitive::Code | Primitive::Uri | Primitive::Text,
                    Value::String(code),
                ) = (element.set, primitive, value)
                    && !self.r4.set(set).holds(None, code)
                {
                    let text = format!("is none of the codes of {}", self.r4.set(set).name);
                    self.error("code-invalid", text);
                }
            }
            (Kind::Resource, value) => self.resource(value, false),
            (Kind::Object(id), Value::Object(map)) => {
                self.object(id, map, slot.targets);
                if let Some(set) = element.set {
                    self.coded(set, self.r4.of(id).name, map);
                }
            }
            (Kind::Beside, Value::Object(map)) => {
                if let Some(id) = self.r4.datatype("Element") {
                    self.object(id, map, "");
                }
            }
            (Kind::Object(_) | Kind::Beside, _) => self.error("structure", "is not an object"),
        }
    }

    /// A `Coding` or `CodeableConcept` whose code must be of a set.
    fn coded(&mut self, set: u32, kind: &str, map: &Map<String, Value>) {
        let set = self.r4.set(set);
        let known = |coding: &Value| {
            let text = |key| coding.get(key).and_then(Value::as_str);
            text("code").is_some_and(|code| set.holds(text("system"), code))
        };
        let well = match kind {
            "Coding" => {
                let system = map.get("system").and_then(Value::as_str);
                let code = map.get("code").and_then(Value::as_str);
                code.is_none_or(|code| set.holds(system, code))
            }
            "CodeableConcept" => match map.get("coding").and_then(Value::as_array) {
                Some(all) if !all.is_empty() => all.iter().any(known),
                _ => true,
            },
            _ => true,
        };
        if !well {
            self.error("code-invalid", format!("has no code of {}", set.name));
        }
    }
}
