//! What an instance gives to the figures that the owner of its process is judged by: computed when
//! it advances, kept with what people see of it, and folded when somebody asks.

use crate::plan::MapPlan;
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Timestamp;
use wardline_estate::model::{FigureOf, Measure};
use wardline_mapping::{Content, Expression, Output, Runtime, Subject, Value};
use wardline_store::Phase;

/// Under which name they stand in an instance's summary.
pub(crate) const SUMMARY: &str = "figures";
/// Times that are kept of one instance. How many there are is kept always.
const MOST_LAGS: usize = 1_000;

/// A figure, compiled.
pub(crate) struct FigurePlan {
    pub(crate) name: Arc<str>,
    pub(crate) of: FigureOf,
    pub(crate) measure: Measure,
    pub(super) maps: Vec<MapPlan>,
    pub(super) value: Expression,
}

/// An instance as figures look at it.
pub(super) struct Looked<'a> {
    /// Its variables.
    pub(super) subject: &'a Subject,
    pub(super) phase: Phase,
    pub(super) began: Timestamp,
    pub(super) now: Timestamp,
}

impl FigurePlan {
    /// The values of an instance: truth values, amounts, seconds. What cannot be computed yet, or
    /// is none of these, does not count.
    pub(super) fn values(&self, looked: &Looked<'_>, runtime: &mut Runtime) -> Vec<Json> {
        let phase = looked.phase;
        let counts = match self.of {
            FigureOf::Completed => phase == Phase::Completed,
            FigureOf::Open => phase.is_open(),
            FigureOf::Any => phase.is_open() || phase == Phase::Completed,
        };
        let found = if counts {
            self.found(looked.subject, runtime)
        } else {
            None
        };
        let all = match found {
            None => Vec::new(),
            Some(Json::Array(all)) => all,
            Some(one) => vec![one],
        };
        let read = |value: &Json| match self.measure {
            Measure::Share => value.is_boolean().then(|| value.clone()),
            Measure::Sum => amount(value),
            Measure::Lag => seconds(value, looked).map(Json::from),
        };
        all.iter().filter_map(read).collect()
    }

    fn found(&self, subject: &Subject, runtime: &mut Runtime) -> Option<Json> {
        let mut made = None;
        for map in &self.maps {
            let output = map.program.run(made.as_ref().unwrap_or(subject), runtime);
            let value = match output.ok()? {
                Output::Json(value) => value,
                Output::Many(values) => Value::Array(values),
                Output::Filtered { .. } | Output::Hl7(_) | Output::X12(_) | Output::Xml(_) => {
                    return None;
                }
            };
            made = Some(Subject {
                content: Content::Json(value),
                metadata: subject.metadata.clone(),
            });
        }
        let subject = made.as_ref().unwrap_or(subject);
        let value = self.value.value(subject, runtime).ok()?;
        serde_json::to_value(&value)
            .ok()
            .filter(|value| !value.is_null())
    }
}

/// What an instance gives to all figures, as its summary keeps it; `None` where that is nothing.
pub(super) fn given(
    figures: &[FigurePlan],
    looked: &Looked<'_>,
    runtime: &mut Runtime,
) -> Option<Json> {
    let mut all = Map::new();
    for figure in figures {
        let values = figure.values(looked, runtime);
        if !values.is_empty() {
            all.insert(figure.name.to_string(), kept(figure.measure, &values));
        }
    }
    (!all.is_empty()).then_some(Json::Object(all))
}

fn kept(measure: Measure, values: &[Json]) -> Json {
    let n = values.len();
    match measure {
        Measure::Share => {
            let yes = values.iter().filter(|value| **value == json!(true)).count();
            json!({ "n": n, "yes": yes })
        }
        Measure::Sum => {
            let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
            for value in values {
                let (amount, currency) = parts(value);
                let sum = sums.entry(currency).or_default();
                *sum = sum.checked_add(amount.unwrap_or_default()).unwrap_or(*sum);
            }
            let sums: BTreeMap<&str, String> = sums
                .into_iter()
                .map(|(currency, sum)| (currency, sum.to_string()))
                .collect();
            json!({ "n": n, "sums": sums })
        }
        Measure::Lag => json!({ "n": n, "s": spread(values) }),
    }
}

/// All times, or as many as are kept, evenly spaced over all of them from the shortest to the
/// longest.
fn spread(values: &[Json]) -> Vec<f64> {
    let mut times: Vec<f64> = values.iter().filter_map(Json::as_f64).collect();
    if times.len() > MOST_LAGS {
        times.sort_by(f64::total_cmp);
        let last = times.len() - 1;
        let at = |one: usize| times[one * last / (MOST_LAGS - 1)];
        times = (0..MOST_LAGS).map(at).collect();
    }
    times
}

/// An amount with its currency, which is empty where it has none.
fn parts(value: &Json) -> (Option<Decimal>, &str) {
    let text = value.as_str().or_else(|| value["amount"].as_str());
    let currency = value["currency"].as_str().unwrap_or_default();
    (text.and_then(|text| text.parse().ok()), currency)
}

fn amount(value: &Json) -> Option<Json> {
    match value {
        Json::Number(number) => {
            let number: Decimal = number.to_string().parse().ok()?;
            Some(Json::from(number.to_string()))
        }
        value => parts(value).0.map(|_| value.clone()),
    }
}

/// Seconds; what ends before it began took no time. Where no beginning is said it is that of the
/// instance, where no end is said it is now.
fn seconds(value: &Json, looked: &Looked<'_>) -> Option<f64> {
    let took = match value {
        Json::Number(number) => number.as_f64()?,
        Json::Object(ends) => {
            let time = |name: &str, unsaid: Timestamp| match ends.get(name) {
                None => Some(unsaid.0),
                Some(said) => {
                    let said: jiff::Timestamp = said.as_str()?.parse().ok()?;
                    Some(said.as_microsecond())
                }
            };
            let (from, to) = (time("from", looked.began)?, time("to", looked.now)?);
            Duration::from_micros(to.saturating_sub(from).max(0).unsigned_abs()).as_secs_f64()
        }
        _ => return None,
    };
    Some((took.max(0.0) * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_strictly_and_kept_small() {
        let cents = json!({ "amount": "12.30", "currency": "USD" });
        assert_eq!(amount(&cents), Some(cents.clone()));
        assert_eq!(amount(&json!(3)), Some(json!("3")));
        assert_eq!(amount(&json!("many")), None);
        let sums = kept(Measure::Sum, &[cents.clone(), cents, json!("2")]);
        assert_eq!(sums, json!({ "n": 3, "sums": { "": "2", "USD": "24.60" } }));
        let subject = Subject::json(Value::Null);
        let looked = Looked {
            subject: &subject,
            phase: Phase::Completed,
            began: Timestamp(5_000_000),
            now: Timestamp(7_250_000),
        };
        let seconds = |value: Json| seconds(&value, &looked);
        let pair = json!({ "from": "2026-11-24T10:00:00Z", "to": "2026-11-24T05:01:30.5-05:00" });
        assert_eq!(seconds(pair), Some(90.5));
        assert_eq!(seconds(json!({})), Some(2.25));
        assert_eq!(
            seconds(json!({ "from": "1970-01-01T00:00:07Z" })),
            Some(0.25)
        );
        assert_eq!(seconds(json!(-4)), Some(0.0));
        assert_eq!(seconds(json!({ "from": "then" })), None);
        assert_eq!(seconds(json!("soon")), None);
        let share = kept(Measure::Share, &[json!(true), json!(false), json!(true)]);
        assert_eq!(share, json!({ "n": 3, "yes": 2 }));
        let many: Vec<Json> = (0..5_000).rev().map(|n| json!(f64::from(n))).collect();
        assert_eq!(kept(Measure::Lag, &many)["n"], 5_000);
        let kept = spread(&many);
        assert_eq!(kept.len(), MOST_LAGS);
        assert_eq!((kept[0], kept[MOST_LAGS - 1]), (0.0, 4_999.0));
        assert!((kept[MOST_LAGS / 2] - 2_500.0).abs() < 10.0);
    }
}
