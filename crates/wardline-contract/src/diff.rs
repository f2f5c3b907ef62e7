//! What changed between two contracts, and whether it breaks those who rely on the first.
//!
//! A change breaks where a request that the old contract took may be refused, or where an answer may
//! be one that the old contract did not have. New optional fields in an answer do not: callers are
//! expected to ignore what they do not know. What cannot be compared (`not`, `if`, …) and differs
//! counts as breaking.

mod flat;
mod narrow;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::description::{Place, shape};
use crate::read::{Contract, Promise, PromisedParameter, Status};
use narrow::{Narrowed, Way, narrowings};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whether callers of the old contract can fail with the new.
    pub breaking: bool,
    /// What kind, in words that do not change: `operation-removed`, `request-enum`.
    pub kind: String,
    /// Where: `POST /suppliers request /tax_id`.
    #[serde(rename = "where")]
    pub place: String,
    /// What was and what is.
    pub text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = if self.breaking {
            "breaking"
        } else {
            "harmless"
        };
        write!(f, "{sort}: {} ({}): {}", self.place, self.kind, self.text)
    }
}

/// Everything that changed from one contract to the next, breaking changes first.
///
/// ```
/// use wardline_contract::{Contract, diff, needs_major};
/// let document = |method: &str| serde_json::json!({
///     "openapi": "3.1.0",
///     "info": { "title": "Beds", "version": "1.0.0" },
///     "paths": { "/beds": { method: { "responses": { "204": { "description": "Done." } } } } }
/// });
/// let read = |method| Contract::read(&document(method)).0.expect("it is usable");
/// let changes = diff(&read("put"), &read("post"));
/// assert!(needs_major(&changes));
/// assert_eq!(changes[0].kind, "operation-removed");
/// ```
pub fn diff(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    let same_major = major(&old.version) == major(&new.version);
    if old.base != new.base {
        let text = format!("`{}` → `{}`", old.base, new.base);
        changes.add(same_major, "base", "all paths", text);
    }
    let mut met = BTreeSet::new();
    for before in &old.promises {
        let after = new.promises.iter().enumerate().find(|(_, after)| {
            after.method == before.method && shape(&after.path) == shape(&before.path)
        });
        if let Some((index, after)) = after {
            met.insert(index);
            changes.operation(old, before, new, after);
            continue;
        }
        let moved = before.name.is_some().then(|| {
            let mut all = new.promises.iter().enumerate();
            all.find(|(_, after)| after.name == before.name)
        });
        if let Some((index, after)) = moved.flatten() {
            met.insert(index);
            let text = format!("`{}` → `{}`", before.line(), after.line());
            changes.add(true, "operation-moved", before.line(), text);
            changes.operation(old, before, new, after);
        } else {
            changes.add(true, "operation-removed", before.line(), "is gone");
        }
    }
    for (index, after) in new.promises.iter().enumerate() {
        if !met.contains(&index) {
            changes.add(false, "operation-added", after.line(), "is new");
        }
    }
    let mut changes = changes.0;
    changes.sort_by_key(|change| !change.breaking);
    changes.dedup();
    changes
}

/// Everything that changed from one schema of an entity to the next. Some send the entity and some
/// get it (events, webhooks, answers), so a change breaks where it breaks either of them: only what
/// may be absent can be added.
///
/// ```
/// use serde_json::json;
/// use wardline_contract::{diff_schemas, needs_major};
/// let old = json!({ "type": "object", "properties": { "status": { "enum": ["open"] } } });
/// let new = json!({ "type": "object", "properties": { "status": { "enum": ["open", "held"] } } });
/// assert!(needs_major(&diff_schemas("order", &old, &new)));
/// ```
pub fn diff_schemas(entity: &str, old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    for way in [Way::Request, Way::Answer] {
        changes.schemas(way, entity, ((old, old), (new, new)));
    }
    let mut changes = changes.0;
    for change in &mut changes {
        // Which way it goes says nothing of an entity.
        let rule = change.kind.split_once('-').map(|(_, rule)| rule.to_owned());
        change.kind = rule.unwrap_or_default();
    }
    // The worse judgement of the two ways counts.
    let worse: Vec<Change> = changes.iter().filter(|it| it.breaking).cloned().collect();
    let same =
        |a: &Change, b: &Change| (&a.kind, &a.place, &a.text) == (&b.kind, &b.place, &b.text);
    changes.retain(|change| change.breaking || !worse.iter().any(|other| same(other, change)));
    changes.sort_by_key(|change| !change.breaking);
    let mut unique: Vec<Change> = Vec::new();
    for change in changes {
        if !unique.contains(&change) {
            unique.push(change);
        }
    }
    unique
}

/// Whether the changes need a new major version.
pub fn needs_major(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.breaking)
}

/// The breaking changes that the versions of the two contracts do not announce; empty where the
/// major version was raised.
pub fn unannounced(old: &Contract, new: &Contract) -> Vec<Change> {
    if major(&old.version) != major(&new.version) {
        return Vec::new();
    }
    let mut changes = diff(old, new);
    changes.retain(|change| change.breaking);
    changes
}

/// The first number of a version.
pub(crate) fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

struct Changes(Vec<Change>);

impl Changes {
    fn add(
        &mut self,
        breaking: bool,
        kind: &str,
        place: impl Into<String>,
        text: impl Into<String>,
    ) {
        self.0.push(Change {
            breaking,
            kind: kind.to_owned(),
            place: place.into(),
            text: text.into(),
        });
    }

    fn operation(&mut self, old: &Contract, before: &Promise, new: &Contract, after: &Promise) {
        let line = before.line();
        self.parameters(old, before, new, after);
        self.body(old, before, new, after);
        self.answers(old, before, new, after);
        for scope in after.scopes.difference(&before.scopes) {
            let text = format!("the scope `{scope}` is needed now");
            self.add(true, "scope-added", &line, text);
        }
        for scope in before.scopes.difference(&after.scopes) {
            let text = format!("the scope `{scope}` is no longer named");
            self.add(false, "scope-removed", &line, text);
        }
        if before.secured != after.secured {
            let text = if after.secured {
                "callers must prove who they are now"
            } else {
                "anybody may call now"
            };
            self.add(after.secured, "security", &line, text);
        }
        if after.deprecated && !before.deprecated {
            self.add(false, "deprecated", &line, "is deprecated now");
        }
    }

    fn parameters(&mut self, old: &Contract, before: &Promise, new: &Contract, after: &Promise) {
        // Nobody sees what a parameter of the path is called: it is known by where it stands.
        let names = |promise: &Promise| -> Vec<String> {
            crate::template_names(&promise.path)
                .map(str::to_owned)
                .collect()
        };
        let (old_names, new_names) = (names(before), names(after));
        let same = |was: &PromisedParameter, is: &PromisedParameter| {
            was.place == is.place
                && match was.place {
                    Place::Path => {
                        let at = old_names.iter().position(|name| *name == was.name);
                        at.is_some() && at == new_names.iter().position(|name| *name == is.name)
                    }
                    Place::Query => was.name == is.name,
                    Place::Header => was.name.eq_ignore_ascii_case(&is.name),
                }
        };
        let place = |parameter: &PromisedParameter| {
            let key = parameter.place.key();
            format!("{} {key}:{}", before.line(), parameter.name)
        };
        for was in &before.parameters {
            let Some(is) = after.parameters.iter().find(|is| same(was, is)) else {
                if was.place != Place::Path {
                    let breaking = was.place == Place::Query;
                    self.add(breaking, "parameter-removed", place(was), "is gone");
                }
                continue;
            };
            if was.required != is.required {
                let text = format!("required: {} → {}", yes(was.required), yes(is.required));
                self.add(is.required, "parameter-required", place(was), text);
            }
            if was.style != is.style {
                let text = "is written in another style";
                self.add(true, "parameter-style", place(was), text);
            }
            let sides = ((&was.schema, &old.root), (&is.schema, &new.root));
            self.schemas(Way::Request, &place(was), sides);
        }
        for is in &after.parameters {
            if is.place != Place::Path && !before.parameters.iter().any(|was| same(was, is)) {
                let text = if is.required {
                    "is new and required"
                } else {
                    "is new"
                };
                self.add(is.required, "parameter-added", place(is), text);
            }
        }
    }

    fn body(&mut self, old: &Contract, before: &Promise, new: &Contract, after: &Promise) {
        let place = format!("{} request", before.line());
        match (&before.body, &after.body) {
            (None, None) => {}
            (None, Some(is)) => {
                let text = if is.required {
                    "a body is required now"
                } else {
                    "a body may be sent now"
                };
                self.add(is.required, "request-body", place, text);
            }
            (Some(_), None) => self.add(true, "request-body", place, "no body is taken now"),
            (Some(was), Some(is)) => {
                if was.required != is.required {
                    let text = format!("required: {} → {}", yes(was.required), yes(is.required));
                    self.add(is.required, "request-body", &place, text);
                }
                let sides = ((&was.content, &old.root), (&is.content, &new.root));
                self.content(Way::Request, &place, sides);
            }
        }
    }

    fn answers(&mut self, old: &Contract, before: &Promise, new: &Contract, after: &Promise) {
        let success = |status: Status| match status {
            Status::Exactly(status) => (200..400).contains(&status),
            Status::Class(class) => (2..4).contains(&class),
            Status::Default => false,
        };
        for was in &before.answers {
            let place = format!("{} {}", before.line(), was.status);
            let Some(is) = after.answers.iter().find(|is| is.status == was.status) else {
                let text = "this answer is gone";
                self.add(success(was.status), "answer-removed", place, text);
                continue;
            };
            for header in &was.required_headers {
                if !is.required_headers.contains(header) {
                    let text = format!("the header `{header}` may be absent now");
                    self.add(true, "answer-header", &place, text);
                }
            }
            let sides = ((&was.content, &old.root), (&is.content, &new.root));
            self.content(Way::Answer, &place, sides);
        }
        for is in &after.answers {
            if !before.answers.iter().any(|was| was.status == is.status) {
                let place = format!("{} {}", before.line(), is.status);
                self.add(false, "answer-added", place, "this answer is new");
            }
        }
    }

    fn content(
        &mut self,
        way: Way,
        place: &str,
        ((was, old), (is, new)): ((&Media, &Value), (&Media, &Value)),
    ) {
        for (media, schema) in was {
            let Some((_, after)) = is.iter().find(|(other, _)| other == media) else {
                let text = format!("the content type `{media}` is gone");
                self.add(true, way.kind("content-type"), place, text);
                continue;
            };
            let anything = Value::Bool(true);
            let before = schema.as_ref().unwrap_or(&anything);
            let after = after.as_ref().unwrap_or(&anything);
            self.schemas(way, place, ((before, old), (after, new)));
        }
        for (media, _) in is {
            if !was.iter().any(|(other, _)| other == media) {
                let text = format!("the content type `{media}` is new");
                self.add(false, way.kind("content-type"), place, text);
            }
        }
    }

    /// Both directions: what is refused that was not, and what is taken that was not.
    fn schemas(&mut self, way: Way, place: &str, (was, is): ((&Value, &Value), (&Value, &Value))) {
        let narrower = narrowings(was, is, way, false);
        let wider = narrowings(is, was, way, true);
        let mut tell = |narrowed: Narrowed, breaking: bool, reverse: bool| {
            let (before, after) = if reverse {
                (narrowed.to, narrowed.from)
            } else {
                (narrowed.from, narrowed.to)
            };
            let place = format!("{place} {}", narrowed.at);
            let breaking = breaking && !narrowed.tolerated;
            let text = format!("{}: {before} → {after}", narrowed.rule);
            let kind = way.kind(narrowed.rule);
            // One change that is both (a pattern for another) is told once, as the worse of the two.
            let place = place.trim_end().to_owned();
            let known = self
                .0
                .iter_mut()
                .find(|known| known.place == place && known.kind == kind && known.text == text);
            match known {
                Some(known) => known.breaking |= breaking,
                None => self.add(breaking, kind, place, text),
            }
        };
        let breaks_by_narrowing = way == Way::Request;
        for narrowed in narrower {
            tell(narrowed, breaks_by_narrowing, false);
        }
        for narrowed in wider {
            tell(narrowed, !breaks_by_narrowing, true);
        }
    }
}

type Media = Vec<(String, Option<Value>)>;

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

/// Where and how `to` refuses what `from` takes, for [`check`](crate::check()).
pub(crate) fn misfits(from: (&Value, &Value), to: (&Value, &Value)) -> Vec<(String, String)> {
    narrowings(from, to, Way::Request, false)
        .into_iter()
        // That an entity may grow is no reason for a contract to be open.
        .filter(|narrowed| narrowed.rule != "additionalProperties")
        .map(|narrowed| {
            let text = format!("{}: {} / {}", narrowed.rule, narrowed.from, narrowed.to);
            (narrowed.at, text)
        })
        .collect()
}
