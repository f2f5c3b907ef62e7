//! Differences added up: by day, operation and attribute, bounded, and kept as one small text.
//!
//! Days are those of UTC. Nothing of an answer is in it but what [`Place`](super::Place) holds:
//! names, kinds and shapes. Of each attribute a few correlation ids are kept, newest first, with
//! which somebody who may look can find the requests in the journal and the logs.

use super::{Difference, How, Outcome};
use ahash::AHashMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use wardline_core::Timestamp;

/// Days that are kept.
const DAYS: i64 = 90;
/// Operations of all days together.
const ENTRIES: usize = 2_000;
/// Attributes of one operation and day.
const FIELDS: usize = 100;
/// Shapes of one attribute, and correlation ids.
const SHAPES: usize = 5;
const SAMPLES: usize = 5;
const DAY: i64 = 86_400_000_000;

/// What came of comparing one operation with its shadow on one day, or over several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Answers that were compared.
    pub compared: u64,
    /// Of those, answers that said the same.
    pub same: u64,
    /// Of those, answers that did not.
    pub differ: u64,
    /// Of those, answers with another status.
    pub other_status: u64,
    /// Requests to which the shadow gave no usable answer.
    pub failed: u64,
    /// Requests that the shadow was not asked, since too many were being asked.
    pub skipped: u64,
    /// Time that the serving system took for what was compared, in microseconds.
    pub serving_micros: u64,
    /// Time that the shadow took for the same.
    pub shadow_micros: u64,
    /// The most that the shadow took longer for one request, in microseconds.
    pub slowest_micros: u64,
    /// The last comparison, in microseconds since 1970.
    pub last: i64,
    /// Attributes that differ, most frequent first.
    pub fields: Vec<FieldTotal>,
    /// Differences of attributes beyond those that are kept.
    pub more: u64,
}

/// An attribute that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldTotal {
    /// Dotted names; empty where whole answers differ.
    pub field: String,
    /// `missing`, `extra`, `type`, `value` or `length`.
    pub how: String,
    /// How often.
    pub count: u64,
    /// When last, in microseconds since 1970.
    pub last: i64,
    /// What both sides looked like, each with how often, without values.
    pub shapes: Vec<(String, u64)>,
    /// Correlation ids of some requests, newest first.
    pub samples: Vec<String>,
}

/// What is compared with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// The Api.
    pub api: String,
    /// Its operation.
    pub operation: String,
    /// The system that serves.
    pub serving: String,
    /// The system in the shadow.
    pub shadow: String,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What is compared with what.
    #[serde(flatten)]
    pub pair: Pair,
    /// What came of it.
    #[serde(flatten)]
    pub totals: Totals,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    day: i64,
    #[serde(flatten)]
    pair: Pair,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    schema: String,
    entries: Vec<Entry>,
}

const SCHEMA: &str = "wardline.shadows/1";

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<(i64, Pair), Totals>,
    changed: bool,
}

/// Adds up what shadows say. Cheap enough to be told of every comparison.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Inner>);

const fn word(how: How) -> &'static str {
    match how {
        How::Missing => "missing",
        How::Extra => "extra",
        How::Type => "type",
        How::Value => "value",
        How::Length => "length",
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Ledger {
    /// What was kept, as [`Ledger::kept`] gave it.
    ///
    /// # Errors
    /// Where it is no text of this kind.
    pub fn restore(kept: &[u8]) -> Result<Self, serde_json::Error> {
        let kept: Kept = serde_json::from_slice(kept)?;
        let entries = kept.entries.into_iter().take(ENTRIES);
        Ok(Self(Mutex::new(Inner {
            entries: entries
                .map(|entry| ((entry.day, entry.pair), entry.totals))
                .collect(),
            changed: false,
        })))
    }

    /// All of it, where something changed since it was asked for last.
    ///
    /// # Errors
    /// None in practice: there is nothing in it that JSON cannot hold.
    pub fn kept(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let entries = {
            let mut inner = self.0.lock();
            if !std::mem::take(&mut inner.changed) {
                return Ok(None);
            }
            let all = inner.entries.iter().map(|((day, pair), totals)| Entry {
                day: *day,
                pair: pair.clone(),
                totals: totals.clone(),
            });
            all.collect()
        };
        let schema = SCHEMA.to_owned();
        serde_json::to_vec(&Kept { schema, entries }).map(Some)
    }

    /// Adds one comparison.
    pub fn note(&self, difference: &Difference, now: Timestamp) {
        let day = now.0.div_euclid(DAY);
        let pair = Pair {
            api: difference.api.to_string(),
            operation: difference.operation.to_string(),
            serving: difference.serving.to_string(),
            shadow: difference.shadow.to_string(),
        };
        let mut inner = self.0.lock();
        inner.changed = true;
        while let Some(((oldest, _), _)) = inner.entries.first_key_value()
            && *oldest <= day - DAYS
        {
            inner.entries.pop_first();
        }
        let full = inner.entries.len() >= ENTRIES;
        let key = (day, pair);
        if full && !inner.entries.contains_key(&key) {
            inner.entries.pop_first();
        }
        inner.entries.entry(key).or_default().add(difference, now);
    }

    /// What was found, of one Api or all, on this day (UTC) and those after it or on all.
    pub fn report(&self, api: Option<&str>, since: Option<Timestamp>) -> Vec<Report> {
        let from = since.map_or(i64::MIN, |since| since.0.div_euclid(DAY));
        let inner = self.0.lock();
        let mut sums: BTreeMap<&Pair, Totals> = BTreeMap::new();
        for ((day, pair), totals) in &inner.entries {
            if *day >= from && api.is_none_or(|api| api == pair.api) {
                sums.entry(pair).or_default().merge(totals);
            }
        }
        sums.into_iter()
            .map(|(pair, mut totals)| {
                totals
                    .fields
                    .sort_by_key(|field| std::cmp::Reverse(field.count));
                Report {
                    pair: pair.clone(),
                    totals,
                }
            })
            .collect()
    }
}

impl Totals {
    fn add(&mut self, difference: &Difference, now: Timestamp) {
        self.last = self.last.max(now.0);
        match difference.outcome {
            Outcome::Skipped => return self.skipped += 1,
            Outcome::Failed => return self.failed += 1,
            Outcome::Same => self.same += 1,
            Outcome::Differs => self.differ += 1,
        }
        self.compared += 1;
        self.other_status += u64::from(difference.status.0 != difference.status.1);
        if let (serving, Some(shadow)) = difference.took {
            self.serving_micros += micros(serving);
            self.shadow_micros += micros(shadow);
            let longer = micros(shadow.saturating_sub(serving));
            self.slowest_micros = self.slowest_micros.max(longer);
        }
        // Many items of a list that differ in one way are one difference of this request.
        let mut seen: AHashMap<(&str, How), ()> = AHashMap::new();
        for place in &difference.places {
            if seen.insert((&place.field, place.how), ()).is_some() {
                continue;
            }
            let field = FieldTotal {
                field: place.field.clone(),
                how: word(place.how).to_owned(),
                count: 1,
                last: now.0,
                shapes: vec![(place.shapes.clone(), 1)],
                samples: vec![difference.correlation.clone()],
            };
            self.field(&field);
        }
    }

    fn field(&mut self, more: &FieldTotal) {
        let known = self
            .fields
            .iter_mut()
            .find(|known| known.field == more.field && known.how == more.how);
        let Some(known) = known else {
            if self.fields.len() < FIELDS {
                self.fields.push(more.clone());
            } else {
                self.more += more.count;
            }
            return;
        };
        known.count += more.count;
        for (shape, count) in &more.shapes {
            let same = known.shapes.iter().position(|(have, _)| have == shape);
            if let Some((_, times)) = same.and_then(|at| known.shapes.get_mut(at)) {
                *times += count;
            } else if known.shapes.len() < SHAPES {
                known.shapes.push((shape.clone(), *count));
            }
        }
        let newer = more.last >= known.last;
        known.last = known.last.max(more.last);
        for sample in more.samples.iter().rev() {
            if known.samples.contains(sample) {
                continue;
            }
            if newer {
                known.samples.insert(0, sample.clone());
            } else {
                known.samples.push(sample.clone());
            }
            known.samples.truncate(SAMPLES);
        }
    }

    fn merge(&mut self, more: &Self) {
        self.compared += more.compared;
        self.same += more.same;
        self.differ += more.differ;
        self.other_status += more.other_status;
        self.failed += more.failed;
        self.skipped += more.skipped;
        self.serving_micros += more.serving_micros;
        self.shadow_micros += more.shadow_micros;
        self.slowest_micros = self.slowest_micros.max(more.slowest_micros);
        self.last = self.last.max(more.last);
        self.more += more.more;
        for field in &more.fields {
            self.field(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;

    fn difference(operation: &str, outcome: Outcome, fields: &[&str], id: usize) -> Difference {
        let place = |field: &&str| Place {
            pointer: format!("/0/{field}"),
            field: (*field).to_owned(),
            how: How::Value,
            shapes: "aa ≠ AA".to_owned(),
        };
        Difference {
            api: "suppliers".into(),
            operation: operation.into(),
            serving: "old".into(),
            shadow: "new".into(),
            correlation: format!("id-{id}"),
            outcome,
            status: (200, 200),
            took: (
                Duration::from_millis(10),
                Some(Duration::from_millis(10 + id as u64)),
            ),
            places: fields.iter().map(place).collect(),
            more: false,
        }
    }

    fn at(day: i64) -> Timestamp {
        Timestamp(day * DAY + 5)
    }

    #[test]
    fn days_are_added_up_and_survive() {
        let ledger = Ledger::default();
        assert!(ledger.kept().unwrap().is_none());
        ledger.note(&difference("get", Outcome::Same, &[], 1), at(20_000));
        // One request counts once, however many items of a list differ.
        let twice = difference("get", Outcome::Differs, &["name", "name", "terms"], 2);
        ledger.note(&twice, at(20_000));
        ledger.note(
            &difference("get", Outcome::Differs, &["name"], 3),
            at(20_001),
        );
        ledger.note(&difference("get", Outcome::Failed, &[], 4), at(20_001));
        ledger.note(&difference("list", Outcome::Skipped, &[], 5), at(20_001));
        let kept = ledger.kept().unwrap().unwrap();
        assert!(ledger.kept().unwrap().is_none(), "nothing changed");
        let ledger = Ledger::restore(&kept).unwrap();
        let all = ledger.report(None, None);
        assert_eq!(all.len(), 2);
        let get = &all[0].totals;
        assert_eq!(
            (get.compared, get.same, get.differ, get.failed, get.skipped),
            (3, 1, 2, 1, 0)
        );
        assert_eq!((get.serving_micros, get.shadow_micros), (30_000, 36_000));
        assert_eq!(get.slowest_micros, 3_000);
        let fields: Vec<_> = get
            .fields
            .iter()
            .map(|it| (it.field.as_str(), it.count, it.samples.join(" ")))
            .collect();
        assert_eq!(
            fields,
            [
                ("name", 2, "id-3 id-2".to_owned()),
                ("terms", 1, "id-2".to_owned())
            ]
        );
        assert_eq!(get.fields[0].shapes, [("aa ≠ AA".to_owned(), 2)]);
        let later = ledger.report(Some("suppliers"), Some(at(20_001)));
        assert_eq!(later[0].totals.compared, 1);
        assert_eq!(ledger.report(Some("other"), None), []);
        assert!(Ledger::restore(b"{}").is_err());
    }

    #[test]
    fn it_is_bounded() {
        let ledger = Ledger::default();
        for id in 0..300 {
            let field = format!("f{id}");
            let one = difference("get", Outcome::Differs, &[field.as_str(), "same"], id);
            ledger.note(&one, at(20_000));
        }
        let totals = ledger.report(None, None).remove(0).totals;
        assert_eq!((totals.fields.len(), totals.more), (FIELDS, 201));
        let same = totals.fields.iter().find(|it| it.field == "same").unwrap();
        assert_eq!((same.count, same.samples.len()), (300, SAMPLES));
        assert_eq!(same.samples[0], "id-299");
        for id in 0..ENTRIES + 50 {
            let one = difference(&format!("op-{id}"), Outcome::Same, &[], id);
            ledger.note(&one, at(20_001));
        }
        assert_eq!(ledger.report(None, None).len(), ENTRIES);
        // What is too old goes.
        ledger.note(&difference("new", Outcome::Same, &[], 1), at(20_001 + DAYS));
        assert_eq!(ledger.report(None, None).len(), 1);
    }
}
