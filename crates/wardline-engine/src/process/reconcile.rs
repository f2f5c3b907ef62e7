//! What an instance compares, where that is what it is for: control totals at each hop and what
//! does not tie, kept with what people see of the instance. Who owns a break, and what they say of
//! it, are the questions the instance asks.

use crate::accept::with_runtime;
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
use wardline_mapping::{Expression, Subject, Value};

/// Under which name it stands in an instance's summary.
pub(crate) const SUMMARY: &str = "reconciliation";
/// Hops, and breaks, that are kept of one comparison. How many there are is kept always.
const MOST_HOPS: usize = 100;
const MOST_BREAKS: usize = 1_000;

/// What the instances of a process compare, compiled.
pub(crate) struct ReconciliationPlan {
    pub(crate) name: Arc<str>,
    pub(super) date: Expression,
    pub(super) scope: Option<Expression>,
    pub(super) hops: Expression,
    pub(super) breaks: Expression,
    /// Over `.date`, `.scope` and `.id`: the data of the event that begins one.
    pub(crate) begin: Option<Expression>,
    pub(crate) sign_off: Option<Arc<str>>,
}

impl ReconciliationPlan {
    /// What an instance has compared so far, from its variables. What is not there yet is null.
    pub(super) fn compared(&self, subject: &Subject) -> Json {
        let read = |expression: &Expression| {
            with_runtime(|runtime| expression.value(subject, runtime))
                .ok()
                .filter(|value| *value != Value::Null)
                .and_then(|value| serde_json::to_value(&value).ok())
        };
        let word = |found: Option<Json>| found.filter(Json::is_string);
        let hops = read(&self.hops).map(|found| hops(&found));
        let breaks = read(&self.breaks);
        let breaks = breaks.as_ref().and_then(Json::as_array);
        let kept: Option<Vec<Json>> =
            breaks.map(|all| all.iter().take(MOST_BREAKS).map(one_break).collect());
        json!({
            "date": word(read(&self.date)),
            "scope": self.scope.as_ref().and_then(|scope| word(read(scope))),
            "hops": hops,
            "breaks": kept,
            "count": breaks.map_or(0, Vec::len),
        })
    }
}

/// Totals, several of one hop added up, in the order in which hops first come.
fn hops(found: &Json) -> Vec<Json> {
    let mut sums: Vec<(String, Option<u64>, Option<Decimal>)> = Vec::new();
    for line in found.as_array().into_iter().flatten() {
        let Some(hop) = line["hop"].as_str() else {
            continue;
        };
        let at = match sums.iter().position(|(name, ..)| name == hop) {
            Some(at) => at,
            None if sums.len() < MOST_HOPS => {
                sums.push((hop.to_owned(), None, None));
                sums.len() - 1
            }
            None => continue,
        };
        let (_, count, amount) = &mut sums[at];
        if let Some(more) = line["count"].as_u64() {
            *count = Some(count.unwrap_or_default().saturating_add(more));
        }
        if let Some(more) = decimal(&line["amount"]) {
            *amount = Some(match *amount {
                None => more,
                Some(sum) => sum.checked_add(more).unwrap_or(sum),
            });
        }
    }
    sums.into_iter()
        .map(|(hop, count, amount)| {
            json!({ "hop": hop, "count": count, "amount": amount.map(|sum| sum.to_string()) })
        })
        .collect()
}

/// An amount: a decimal string, alone or with its currency.
fn decimal(value: &Json) -> Option<Decimal> {
    let text = value.as_str().or_else(|| value["amount"].as_str())?;
    text.parse().ok()
}

/// What is kept of a break: what people decide by, not whatever else the map made.
fn one_break(found: &Json) -> Json {
    const KEPT: [&str; 8] = [
        "code",
        "subject",
        "owner",
        "department",
        "expected",
        "found",
        "difference",
        "reason",
    ];
    let kept: Map<String, Json> = KEPT
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), found.get(name)?.clone())))
        .collect();
    Json::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_one_hop_are_added_up_to_the_cent() {
        let found = json!([
            { "hop": "charged", "count": 2, "amount": "10.10" },
            { "hop": "posted", "count": 1, "amount": { "amount": "0.30", "currency": "USD" } },
            { "hop": "charged", "count": 1, "amount": "-0.20" },
            { "count": 9 },
            "nothing"
        ]);
        assert_eq!(
            json!(hops(&found)),
            json!([
                { "hop": "charged", "count": 3, "amount": "9.90" },
                { "hop": "posted", "count": 1, "amount": "0.30" }
            ])
        );
        assert!(hops(&json!(null)).is_empty());
    }

    #[test]
    fn a_break_keeps_what_people_decide_by() {
        let found =
            json!({ "code": "LATE", "subject": "C-1", "patient": "DOE", "owner": "finance" });
        assert_eq!(
            one_break(&found),
            json!({ "code": "LATE", "subject": "C-1", "owner": "finance" })
        );
    }
}
