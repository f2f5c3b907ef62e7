//! What the back office knows: documents by system, kind and number, the answers it gave, and how often it did what.

use crate::amount::Amount;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Documents of one kind in one system; more are not kept, and counted.
const DOCUMENTS: usize = 50_000;
/// Answers remembered by idempotency key over all systems, oldest forgotten first.
const ANSWERS: usize = 50_000;
/// Subjects and duties that are counted apart.
const EFFECTS: usize = 500_000;

/// Reading a JSON document without ceremony: what is missing is empty, and who asks decides what that means.
pub(crate) trait Doc {
    /// The text at this place, or nothing.
    fn text(&self, pointer: &str) -> &str;
    /// The decimal at this place, written as text.
    fn amount(&self, pointer: &str) -> Option<Amount>;
    /// The list at this place, or an empty one.
    fn list(&self, pointer: &str) -> &[Value];
}

impl Doc for Value {
    fn text(&self, pointer: &str) -> &str {
        self.pointer(pointer)
            .and_then(Self::as_str)
            .unwrap_or_default()
    }

    fn amount(&self, pointer: &str) -> Option<Amount> {
        Amount::read(self.text(pointer))
    }

    fn list(&self, pointer: &str) -> &[Value] {
        let list = self.pointer(pointer).and_then(Self::as_array);
        list.map_or(&[], Vec::as_slice)
    }
}

/// An answer that was given, for the same question again.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Duty and subject: the same key for another purpose is a conflict.
    pub(crate) purpose: String,
    pub(crate) made: bool,
    pub(crate) body: Value,
}

type Shelf = BTreeMap<String, Value>;

/// Everything the back office knows.
#[derive(Debug, Default)]
pub(crate) struct Books {
    shelves: BTreeMap<(&'static str, String), Shelf>,
    answers: BTreeMap<(&'static str, String), Given>,
    in_turn: VecDeque<(&'static str, String)>,
    effects: BTreeMap<(String, &'static str, &'static str), u64>,
    /// Documents and counts that no longer fitted.
    pub(crate) overflowed: u64,
}

impl Books {
    /// Keeps a document, in place of the one before.
    pub(crate) fn keep(&mut self, system: &'static str, kind: &str, id: &str, doc: Value) {
        let shelf = self.shelves.entry((system, kind.to_owned())).or_default();
        if shelf.len() >= DOCUMENTS && !shelf.contains_key(id) {
            self.overflowed += 1;
            return;
        }
        shelf.insert(id.to_owned(), doc);
    }

    /// The document with this number.
    pub(crate) fn find(&self, system: &'static str, kind: &str, id: &str) -> Option<&Value> {
        self.shelves.get(&(system, kind.to_owned()))?.get(id)
    }

    /// The same, to be changed.
    pub(crate) fn change(
        &mut self,
        system: &'static str,
        kind: &str,
        id: &str,
    ) -> Option<&mut Value> {
        let shelf = self.shelves.get_mut(&(system, kind.to_owned()))?;
        shelf.get_mut(id)
    }

    /// All documents of one kind, by number.
    pub(crate) fn all(
        &self,
        system: &'static str,
        kind: &str,
    ) -> impl Iterator<Item = (&str, &Value)> {
        let shelf = self.shelves.get(&(system, kind.to_owned()));
        let lines = shelf.into_iter().flatten();
        lines.map(|(id, doc)| (id.as_str(), doc))
    }

    /// How many documents there are of one kind.
    pub(crate) fn count(&self, system: &'static str, kind: &str) -> usize {
        let shelf = self.shelves.get(&(system, kind.to_owned()));
        shelf.map_or(0, BTreeMap::len)
    }

    /// What was answered to this idempotency key.
    pub(crate) fn given(&self, system: &'static str, key: &str) -> Option<&Given> {
        self.answers.get(&(system, key.to_owned()))
    }

    /// Remembers an answer.
    pub(crate) fn give(&mut self, system: &'static str, key: &str, given: Given) {
        if self.in_turn.len() >= ANSWERS
            && let Some(oldest) = self.in_turn.pop_front()
        {
            self.answers.remove(&oldest);
        }
        let place = (system, key.to_owned());
        self.in_turn.push_back(place.clone());
        self.answers.insert(place, given);
    }

    /// Counts an effect.
    pub(crate) fn count_effect(&mut self, system: &'static str, duty: &'static str, subject: &str) {
        if self.effects.len() >= EFFECTS {
            self.overflowed += 1;
            return;
        }
        let place = (subject.to_owned(), system, duty);
        *self.effects.entry(place).or_default() += 1;
    }

    /// How often a duty took effect for a subject.
    pub(crate) fn effects(&self, system: &'static str, duty: &'static str, subject: &str) -> u64 {
        let place = (subject.to_owned(), system, duty);
        self.effects.get(&place).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Books, Doc};
    use crate::amount::Amount;
    use serde_json::json;

    #[test]
    fn documents_are_found_and_changed() {
        let mut books = Books::default();
        books.keep("hr", "workers", "E1", json!({"name": "Ann"}));
        books.change("hr", "workers", "E1").unwrap()["name"] = json!("Anna");
        assert_eq!(
            books.find("hr", "workers", "E1").unwrap().text("/name"),
            "Anna"
        );
        assert_eq!(books.count("hr", "workers"), 1);
        assert!(books.find("payroll", "workers", "E1").is_none());
    }

    #[test]
    fn what_is_missing_is_empty() {
        let doc = json!({"total": {"amount": "12.50"}, "lines": [1]});
        assert_eq!(doc.amount("/total/amount"), Amount::read("12.5"));
        assert_eq!(doc.amount("/tax"), None);
        assert_eq!(doc.text("/a/b"), "");
        assert_eq!(doc.list("/lines").len(), 1);
        assert!(doc.list("/total").is_empty());
    }

    #[test]
    fn effects_are_counted_by_subject() {
        let mut books = Books::default();
        books.count_effect("badge", "put-badge", "E1");
        books.count_effect("badge", "put-badge", "E1");
        assert_eq!(books.effects("badge", "put-badge", "E1"), 2);
        assert_eq!(books.effects("badge", "put-badge", "E2"), 0);
    }
}
