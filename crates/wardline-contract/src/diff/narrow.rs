//! What one schema takes and another refuses.
//!
//! Whether one schema contains another cannot be decided in general; this errs on the side of
//! saying that it does not. It compares keyword by keyword, alternatives one by one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::flat::{flat, list, merge};

/// Schemas are compared no deeper.
const DEEPEST: usize = 32;
/// So many pairs of schemas are compared at most, since alternatives multiply.
const PAIRS: usize = 20_000;

/// Where a schema stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Request,
    Answer,
}

impl Way {
    /// The kind of a change: `request-enum`.
    pub(super) fn kind(self, rule: &str) -> &'static str {
        // Few and fixed, so that they can be told apart by programs.
        macro_rules! kinds {
            ($($rule:literal)+) => {
                match (self, rule) {
                    $((Self::Request, $rule) => concat!("request-", $rule),)+
                    $((Self::Answer, $rule) => concat!("answer-", $rule),)+
                    (Self::Request, _) => "request-schema",
                    (Self::Answer, _) => "answer-schema",
                }
            };
        }
        kinds!("type" "enum" "required" "removed" "field" "additionalProperties" "items"
            "minimum" "maximum" "minLength" "maxLength" "minItems" "maxItems" "minProperties"
            "maxProperties" "pattern" "format" "multipleOf" "uniqueItems" "alternatives"
            "content-type")
    }
}

/// One rule by which the second schema refuses what the first takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Narrowed {
    pub(super) rule: &'static str,
    /// JSON Pointer into the value; `*` for any item or field.
    pub(super) at: String,
    pub(super) from: String,
    pub(super) to: String,
    /// Callers are expected to bear it.
    pub(super) tolerated: bool,
}

/// Rules by which `to` refuses what `from` takes; each side is a schema and the document that its
/// references lead into. `reverse`: `from` is the newer of the two.
pub(super) fn narrowings(
    from: (&Value, &Value),
    to: (&Value, &Value),
    way: Way,
    reverse: bool,
) -> Vec<Narrowed> {
    let mut comparison = Comparison {
        from_root: from.1,
        to_root: to.1,
        way,
        reverse,
        open: BTreeSet::new(),
        pairs: 0,
    };
    let mut found = Vec::new();
    comparison.compare(from.0, to.0, "", 0, &mut found);
    let mut unique: Vec<Narrowed> = Vec::new();
    for narrowed in found {
        if !unique.contains(&narrowed) {
            unique.push(narrowed);
        }
    }
    unique
}

struct Comparison<'a> {
    from_root: &'a Value,
    to_root: &'a Value,
    way: Way,
    reverse: bool,
    /// Pairs of references that are being compared, so that recursive schemas end.
    open: BTreeSet<(String, String)>,
    pairs: usize,
}

impl Comparison<'_> {
    fn compare(
        &mut self,
        from: &Value,
        to: &Value,
        at: &str,
        depth: usize,
        out: &mut Vec<Narrowed>,
    ) {
        self.pairs += 1;
        if depth > DEEPEST || self.pairs > PAIRS {
            return;
        }
        let name = |schema: &Value| {
            schema
                .get("$ref")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let pair = name(from).zip(name(to));
        if let Some(pair) = &pair
            && !self.open.insert(pair.clone())
        {
            return;
        }
        match (flat(from, self.from_root), flat(to, self.to_root)) {
            (None, _) => {}
            (Some(_), None) => out.push(narrowed("removed", at, "anything", "nothing")),
            (Some(from), Some(to)) => self.maps(&from, &to, at, depth, out),
        }
        if let Some(pair) = pair {
            self.open.remove(&pair);
        }
    }

    fn maps(
        &mut self,
        from: &Map<String, Value>,
        to: &Map<String, Value>,
        at: &str,
        depth: usize,
        out: &mut Vec<Narrowed>,
    ) {
        // Every alternative of the first must fit.
        if let Some((rest, alternatives)) = alternatives(from, self.from_root) {
            for alternative in alternatives {
                let mut whole = rest.clone();
                for (key, value) in &alternative {
                    merge(&mut whole, key, value);
                }
                self.pairs += 1;
                if self.pairs <= PAIRS && depth < DEEPEST {
                    self.maps(&whole, to, at, depth + 1, out);
                }
            }
            return;
        }
        // One alternative of the second must do; where none does, the closest is told.
        if let Some((rest, alternatives)) = alternatives(to, self.to_root) {
            let mut closest: Option<Vec<Narrowed>> = None;
            for alternative in alternatives {
                let mut whole = rest.clone();
                for (key, value) in &alternative {
                    merge(&mut whole, key, value);
                }
                let mut found = Vec::new();
                self.pairs += 1;
                if self.pairs <= PAIRS && depth < DEEPEST {
                    self.maps(from, &whole, at, depth + 1, &mut found);
                }
                if closest.as_ref().is_none_or(|c| found.len() < c.len()) {
                    closest = Some(found);
                }
            }
            out.extend(closest.unwrap_or_default());
            return;
        }
        if !common_type(from, to, at, out) {
            return;
        }
        values(from, to, at, out);
        bounds(from, to, at, out);
        self.objects(from, to, at, depth, out);
        self.items(from, to, at, depth, out);
        rest(from, to, at, out);
    }

    fn objects(
        &mut self,
        from: &Map<String, Value>,
        to: &Map<String, Value>,
        at: &str,
        depth: usize,
        out: &mut Vec<Narrowed>,
    ) {
        if !may_be(from, "object") {
            return;
        }
        let empty = Map::new();
        let fields = |side: &Map<String, Value>| {
            let fields = side.get("properties").and_then(Value::as_object);
            fields.unwrap_or(&empty).clone()
        };
        let (from_fields, to_fields) = (fields(from), fields(to));
        let anything = Value::Bool(true);
        let more = |side: &Map<String, Value>| {
            let more = side.get("additionalProperties").unwrap_or(&anything);
            more.clone()
        };
        let (from_more, to_more) = (more(from), more(to));
        let closed = |more: &Value| *more == Value::Bool(false);
        let required =
            |side: &Map<String, Value>| side.get("required").map(list).unwrap_or_default();
        let from_required = required(from);
        let place = |name: &str| format!("{at}/{}", crate::schema::escape(name));
        // The older contract has a field that the newer does not.
        let gone = |name: &String| {
            self.way == Way::Answer && self.reverse && !from_fields.contains_key(name)
        };
        for name in required(to) {
            if let Some(name) = name.as_str()
                && !from_required.iter().any(|known| known == name)
                && !gone(&name.to_owned())
            {
                out.push(narrowed("required", &place(name), "no", "yes"));
            }
        }
        for name in to_fields.keys().filter(|name| gone(name)) {
            out.push(narrowed("removed", &place(name), "no field", "a field"));
        }
        for (name, schema) in &from_fields {
            if let Some(other) = to_fields.get(name) {
                self.compare(schema, other, &place(name), depth + 1, out);
            } else if closed(&to_more) {
                if !closed(schema) {
                    let mut field = narrowed("field", &place(name), "a field", "no field");
                    field.tolerated = self.way == Way::Answer;
                    out.push(field);
                }
            } else {
                self.compare(schema, &to_more, &place(name), depth + 1, out);
            }
        }
        match (closed(&from_more), closed(&to_more)) {
            (true, _) => {}
            (false, true) => {
                let mut open = narrowed("additionalProperties", at, "any", "none");
                open.tolerated = self.way == Way::Answer;
                out.push(open);
            }
            (false, false) => {
                self.compare(&from_more, &to_more, &place("*"), depth + 1, out);
            }
        }
    }

    fn items(
        &mut self,
        from: &Map<String, Value>,
        to: &Map<String, Value>,
        at: &str,
        depth: usize,
        out: &mut Vec<Narrowed>,
    ) {
        if let Some(to_items) = to.get("items").filter(|_| may_be(from, "array")) {
            let anything = Value::Bool(true);
            let from_items = from.get("items").unwrap_or(&anything);
            self.compare(from_items, to_items, &format!("{at}/*"), depth + 1, out);
        }
    }
}

/// Whether any type is left that both have.
fn common_type(
    from: &Map<String, Value>,
    to: &Map<String, Value>,
    at: &str,
    out: &mut Vec<Narrowed>,
) -> bool {
    let (Some(to_types), from_types) = (types(to), types(from)) else {
        return true;
    };
    let Some(from_types) = from_types else {
        out.push(narrowed("type", at, "any", &to_types.join(", ")));
        return true;
    };
    let fits = |kind: &String| {
        to_types.contains(kind) || (kind == "integer" && to_types.iter().any(|k| k == "number"))
    };
    if !from_types.iter().all(fits) {
        out.push(narrowed(
            "type",
            at,
            &from_types.join(", "),
            &to_types.join(", "),
        ));
    }
    from_types.iter().any(fits)
}

/// What is left of a schema without its alternatives, and the alternatives.
type Alternatives = (Map<String, Value>, Vec<Map<String, Value>>);

fn alternatives(map: &Map<String, Value>, root: &Value) -> Option<Alternatives> {
    let key = ["anyOf", "oneOf"]
        .into_iter()
        .find(|key| map.get(*key).is_some_and(Value::is_array))?;
    let mut rest = map.clone();
    let all = rest.shift_remove(key)?;
    let all = all.as_array()?.iter();
    Some((rest, all.filter_map(|one| flat(one, root)).collect()))
}

fn narrowed(rule: &'static str, at: &str, from: &str, to: &str) -> Narrowed {
    Narrowed {
        rule,
        at: at.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        tolerated: false,
    }
}

/// The types that a schema names.
fn types(map: &Map<String, Value>) -> Option<Vec<String>> {
    let named = list(map.get("type")?).into_iter();
    Some(
        named
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    )
}

fn may_be(map: &Map<String, Value>, kind: &str) -> bool {
    types(map).is_none_or(|types| {
        types
            .iter()
            .any(|name| name == kind || (kind == "number" && name == "integer"))
    })
}

fn values(from: &Map<String, Value>, to: &Map<String, Value>, at: &str, out: &mut Vec<Narrowed>) {
    let Some(allowed) = to.get("enum").map(list) else {
        return;
    };
    let show = |values: &[Value]| {
        let shown: Vec<_> = values.iter().take(20).map(Value::to_string).collect();
        let more = if values.len() > 20 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    match from.get("enum").map(list) {
        None => out.push(narrowed("enum", at, "any", &show(&allowed))),
        Some(taken) if taken.iter().all(|value| allowed.contains(value)) => {}
        Some(taken) => out.push(narrowed("enum", at, &show(&taken), &show(&allowed))),
    }
}

fn bounds(from: &Map<String, Value>, to: &Map<String, Value>, at: &str, out: &mut Vec<Narrowed>) {
    let number = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_f64);
    for (rule, kind) in [
        ("minLength", "string"),
        ("maxLength", "string"),
        ("minItems", "array"),
        ("maxItems", "array"),
        ("minProperties", "object"),
        ("maxProperties", "object"),
    ] {
        let Some(bound) = number(to, rule).filter(|_| may_be(from, kind)) else {
            continue;
        };
        let lower = rule.starts_with("min");
        let known = number(from, rule).unwrap_or(if lower { 0.0 } else { f64::INFINITY });
        if (lower && bound > known) || (!lower && bound < known) {
            out.push(narrowed(rule, at, &shown(from, rule), &shown(to, rule)));
        }
    }
    if !may_be(from, "number") {
        return;
    }
    for (rule, exclusive, sign) in [
        ("minimum", "exclusiveMinimum", 1.0),
        ("maximum", "exclusiveMaximum", -1.0),
    ] {
        // The bound, larger for stricter, and whether the bound itself is refused.
        let bound = |map: &Map<String, Value>| {
            let closed = number(map, rule).map(|bound| (sign * bound, false));
            let open = number(map, exclusive).map(|bound| (sign * bound, true));
            closed
                .into_iter()
                .chain(open)
                .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        };
        let Some(limit) = bound(to) else { continue };
        let stricter = bound(from)
            .is_none_or(|known| limit.0 > known.0 || (limit.0 >= known.0 && limit.1 && !known.1));
        if stricter {
            let show = |map: &Map<String, Value>| match bound(map) {
                None => "none".to_owned(),
                Some((bound, open)) => {
                    format!("{}{}", sign * bound, if open { " exclusive" } else { "" })
                }
            };
            out.push(narrowed(rule, at, &show(from), &show(to)));
        }
    }
    if let Some(step) = number(to, "multipleOf") {
        let fits = number(from, "multipleOf").is_some_and(|known| known % step == 0.0);
        if !fits {
            let rule = "multipleOf";
            out.push(narrowed(rule, at, &shown(from, rule), &shown(to, rule)));
        }
    }
}

fn rest(from: &Map<String, Value>, to: &Map<String, Value>, at: &str, out: &mut Vec<Narrowed>) {
    for (rule, kind) in [("pattern", "string"), ("format", "string")] {
        if to.contains_key(rule) && may_be(from, kind) && from.get(rule) != to.get(rule) {
            out.push(narrowed(rule, at, &shown(from, rule), &shown(to, rule)));
        }
    }
    let unique = |map: &Map<String, Value>| map.get("uniqueItems") == Some(&Value::Bool(true));
    if unique(to) && !unique(from) && may_be(from, "array") {
        out.push(narrowed("uniqueItems", at, "no", "yes"));
    }
    for keyword in [
        "not",
        "if",
        "then",
        "else",
        "contains",
        "minContains",
        "maxContains",
        "prefixItems",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        "anyOf",
        "oneOf",
    ] {
        if to.contains_key(keyword) && from.get(keyword) != to.get(keyword) {
            out.push(narrowed(keyword, at, "as it was", "otherwise"));
        }
    }
}

fn shown(map: &Map<String, Value>, key: &str) -> String {
    match map.get(key) {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
