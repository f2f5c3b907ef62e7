//! What a simulated system received, per ordering key, and whether it came once and in order.
//!
//! Memory is bounded in every mode: how much is remembered is chosen by [`Record`], and what no longer
//! fits is counted, never silently dropped.

use crate::Sequence;
use ahash::{AHashMap, RandomState};
use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};

/// How much a receiver remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Per key the last `per_key` entries with idempotency key and message id. For tests.
    Full {
        /// Entries kept per ordering key.
        per_key: usize,
    },
    /// Per key counters and the last sequence (about 150 bytes a key). For the demo and long runs.
    Counts,
    /// Totals only; neither order nor repeats are checked. For measuring speed.
    Totals,
}

/// Keys followed at a time; requests for further keys are counted as `untracked`.
const KEYS: usize = 1_000_000;
/// Idempotency keys remembered, oldest forgotten first (about 60 bytes each).
const REMEMBERED: usize = 500_000;
/// Violations named in a report; all are counted.
const NAMED_VIOLATIONS: usize = 100;

/// One effect, as kept by [`Record::Full`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What was asked for (`close-account`).
    pub operation: &'static str,
    /// The caller's idempotency key.
    pub idempotency_key: Option<String>,
    /// The control id of the message that led to it, as found in the body.
    pub message_id: Option<String>,
}

/// What is wrong with the order of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The ordering key.
    pub key: String,
    /// What was asked for.
    pub operation: &'static str,
    /// The message that came too late.
    #[serde(serialize_with = "as_text")]
    pub came: Sequence,
    /// The later message that had come before it.
    #[serde(serialize_with = "as_text")]
    pub after: Sequence,
}

fn as_text<S: Serializer>(sequence: &Sequence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(sequence)
}

/// What one simulated system counted. All numbers are requests unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServiceReport {
    /// The system's name in the example estate (`patient-accounting`).
    pub system: &'static str,
    /// Everything that arrived, whatever became of it.
    pub requests: u64,
    /// Took effect, each idempotency key once.
    pub applied: u64,
    /// Effects by operation.
    pub operations: BTreeMap<&'static str, u64>,
    /// Came again with a known idempotency key: answered as before, without effect.
    pub repeated: u64,
    /// Came without an idempotency key (each takes effect).
    pub without_key: u64,
    /// Refused for good: nonsense, or a key that a fault refuses.
    pub refused: u64,
    /// Failed by a fault (429, 500, 503, AE), without effect.
    pub failed: u64,
    /// Took effect, but the answer was lost on purpose.
    pub lost_replies: u64,
    /// Connections reset by a fault.
    pub reset_connections: u64,
    /// Distinct ordering keys.
    pub keys: u64,
    /// Effects whose message came before one that had already taken effect for the same key.
    pub out_of_order: u64,
    /// Effects of one message, operation and key under a second idempotency key.
    pub doubled: u64,
    /// Effects for keys beyond those that can be followed, or idempotency keys already forgotten.
    pub untracked: u64,
    /// The first violations by name.
    pub violations: Vec<Violation>,
}

impl ServiceReport {
    /// Whether everything came once and in order, as far as it could be followed.
    pub fn is_orderly(&self) -> bool {
        self.out_of_order == 0 && self.doubled == 0
    }

    /// Effects of `operation`.
    pub fn operation(&self, operation: &str) -> u64 {
        self.operations.get(operation).copied().unwrap_or(0)
    }
}

/// A request that passed every check and is about to take effect.
pub(crate) struct Effect<'a> {
    pub(crate) operation: &'static str,
    pub(crate) key: &'a str,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) message_id: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It took effect; effects are numbered from 1.
    Applied(u64),
    /// It had taken effect before, as this number.
    Repeated(u64),
    /// Its idempotency key was used before for another operation or ordering key.
    Conflict,
}

#[derive(Debug, Default)]
struct Line {
    last: Option<(Sequence, &'static str)>,
    /// Further operations that the last message had on this key.
    also: Vec<&'static str>,
    entries: VecDeque<Entry>,
}

#[derive(Debug, Default)]
struct Book {
    report: ServiceReport,
    lines: AHashMap<Box<str>, Line>,
    /// Hash of the idempotency key → number of the effect and hash of what it was for.
    applied: AHashMap<u128, (u64, u64)>,
    in_turn: VecDeque<u128>,
}

/// The book of one simulated system.
#[derive(Debug)]
pub(crate) struct Ledger {
    record: Record,
    hashers: [RandomState; 2],
    book: Mutex<Book>,
}

impl Ledger {
    pub(crate) fn new(system: &'static str, record: Record) -> Self {
        let report = ServiceReport {
            system,
            ..ServiceReport::default()
        };
        Self {
            record,
            hashers: [RandomState::new(), RandomState::new()],
            book: Mutex::new(Book {
                report,
                ..Book::default()
            }),
        }
    }

    /// Adds to one of the plain counters.
    pub(crate) fn count(&self, which: impl FnOnce(&mut ServiceReport) -> &mut u64) {
        *which(&mut self.book.lock().report) += 1;
    }

    /// Applies an effect, once per idempotency key.
    pub(crate) fn apply(&self, effect: &Effect<'_>) -> Outcome {
        let purpose = self.hashers[0].hash_one((effect.operation, effect.key));
        let remembered = match (self.record, effect.idempotency_key) {
            (Record::Totals, _) | (_, None) => None,
            (_, Some(key)) => {
                let [low, high] = self
                    .hashers
                    .each_ref()
                    .map(|hasher| u128::from(hasher.hash_one(key)));
                Some(low | high << 64)
            }
        };
        let book = &mut *self.book.lock();
        if let Some(&(number, before)) = remembered.and_then(|hash| book.applied.get(&hash)) {
            if before != purpose {
                book.report.refused += 1;
                return Outcome::Conflict;
            }
            book.report.repeated += 1;
            return Outcome::Repeated(number);
        }
        book.report.applied += 1;
        book.report.without_key += u64::from(effect.idempotency_key.is_none());
        *book.report.operations.entry(effect.operation).or_default() += 1;
        let number = book.report.applied;
        if let Some(hash) = remembered {
            book.applied.insert(hash, (number, purpose));
            book.in_turn.push_back(hash);
            if book.in_turn.len() > REMEMBERED
                && let Some(oldest) = book.in_turn.pop_front()
            {
                book.applied.remove(&oldest);
            }
        }
        if self.record != Record::Totals {
            book.follow(effect, self.record);
        }
        Outcome::Applied(number)
    }

    pub(crate) fn report(&self) -> ServiceReport {
        let book = self.book.lock();
        ServiceReport {
            keys: book.lines.len() as u64,
            ..book.report.clone()
        }
    }

    /// The effects on `key`, oldest first; empty unless [`Record::Full`].
    pub(crate) fn entries(&self, key: &str) -> Vec<Entry> {
        self.book
            .lock()
            .lines
            .get(key)
            .map(|line| line.entries.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// All keys seen, in no order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.book
            .lock()
            .lines
            .keys()
            .map(ToString::to_string)
            .collect()
    }
}

impl Book {
    fn follow(&mut self, effect: &Effect<'_>, record: Record) {
        if !self.lines.contains_key(effect.key) {
            if self.lines.len() >= KEYS {
                self.report.untracked += 1;
                return;
            }
            self.lines.insert(effect.key.into(), Line::default());
        }
        let Some(line) = self.lines.get_mut(effect.key) else {
            return;
        };
        if let Some(came) = effect.message_id.and_then(Sequence::read) {
            match line.last {
                Some((after, _)) if came < after => {
                    self.report.out_of_order += 1;
                    if self.report.violations.len() < NAMED_VIOLATIONS {
                        self.report.violations.push(Violation {
                            key: effect.key.into(),
                            operation: effect.operation,
                            came,
                            after,
                        });
                    }
                }
                // One message may have several effects on a key, but each only once.
                Some((after, first)) if came == after => {
                    if first == effect.operation || line.also.contains(&effect.operation) {
                        self.report.doubled += 1;
                    } else {
                        line.also.push(effect.operation);
                    }
                }
                _ => {
                    line.last = Some((came, effect.operation));
                    line.also.clear();
                }
            }
        }
        if let Record::Full { per_key } = record {
            if line.entries.len() >= per_key {
                line.entries.pop_front();
            }
            line.entries.push_back(Entry {
                operation: effect.operation,
                idempotency_key: effect.idempotency_key.map(Into::into),
                message_id: effect.message_id.map(Into::into),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, Ledger, Outcome, Record};
    use crate::{Run, Sequence};

    fn apply(
        ledger: &Ledger,
        operation: &'static str,
        key: &str,
        idempotency_key: &str,
        number: u64,
    ) -> Outcome {
        let message = Sequence {
            run: Run::from_number(5),
            number,
        }
        .to_string();
        ledger.apply(&Effect {
            operation,
            key,
            idempotency_key: Some(idempotency_key),
            message_id: Some(&message),
        })
    }

    #[test]
    fn a_repeated_key_has_no_second_effect_and_the_same_answer() {
        let ledger = Ledger::new("s", Record::Counts);
        assert_eq!(apply(&ledger, "close", "A", "i1", 1), Outcome::Applied(1));
        assert_eq!(apply(&ledger, "close", "B", "i2", 2), Outcome::Applied(2));
        assert_eq!(apply(&ledger, "close", "A", "i1", 1), Outcome::Repeated(1));
        let report = ledger.report();
        assert_eq!((report.applied, report.repeated, report.keys), (2, 1, 2));
        assert!(report.is_orderly());
    }

    #[test]
    fn a_key_used_for_something_else_is_a_conflict() {
        let ledger = Ledger::new("s", Record::Counts);
        apply(&ledger, "close", "A", "i1", 1);
        assert_eq!(apply(&ledger, "close", "B", "i1", 1), Outcome::Conflict);
        assert_eq!(apply(&ledger, "reopen", "A", "i1", 1), Outcome::Conflict);
        assert_eq!(ledger.report().refused, 2);
    }

    #[test]
    fn overtaking_is_seen_per_key_only() {
        let ledger = Ledger::new("s", Record::Counts);
        apply(&ledger, "close", "A", "i1", 5);
        apply(&ledger, "close", "B", "i2", 3);
        assert!(ledger.report().is_orderly());
        apply(&ledger, "close", "A", "i3", 4);
        let report = ledger.report();
        assert_eq!((report.out_of_order, report.violations.len()), (1, 1));
        assert_eq!(
            (
                report.violations[0].came.number,
                report.violations[0].after.number
            ),
            (4, 5)
        );
    }

    #[test]
    fn one_message_may_do_two_things_but_neither_twice() {
        let ledger = Ledger::new("s", Record::Counts);
        apply(&ledger, "release", "A", "i1", 5);
        apply(&ledger, "occupy", "A", "i2", 5);
        assert_eq!(ledger.report().doubled, 0);
        apply(&ledger, "occupy", "A", "i3", 5);
        assert_eq!(ledger.report().doubled, 1);
    }

    #[test]
    fn full_records_are_capped_per_key() {
        let ledger = Ledger::new("s", Record::Full { per_key: 2 });
        for number in 1..=3 {
            apply(&ledger, "close", "A", &format!("i{number}"), number);
        }
        let kept: Vec<_> = ledger
            .entries("A")
            .into_iter()
            .map(|entry| entry.idempotency_key.unwrap())
            .collect();
        assert_eq!(kept, ["i2", "i3"]);
        assert_eq!(ledger.keys(), ["A"]);
    }

    #[test]
    fn totals_remember_nothing_per_key() {
        let ledger = Ledger::new("s", Record::Totals);
        apply(&ledger, "close", "A", "i1", 5);
        apply(&ledger, "close", "A", "i1", 4);
        let report = ledger.report();
        assert_eq!(
            (report.applied, report.keys, report.out_of_order),
            (2, 0, 0)
        );
    }
}
