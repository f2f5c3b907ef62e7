//! Figures that owners are judged by: what instances gave to them, folded.

use super::{Desk, DeskError};
use crate::process::FIGURES;
use crate::process::plan::ProcessPlan;
use crate::view::{FigureQuery, FigureView, Figures, Measured};
use ahash::AHashMap;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_core::{Sym, Timestamp};
use wardline_estate::model::{Figure, FigureOf, Goal, Limit, Measure};
use wardline_store::{InstanceFilter, InstanceRow, Phase};
use wardline_vault::Kind;

/// Instances that are looked at for one question.
const SEARCHED: usize = 200_000;
/// Rows that are read at a time.
const PAGE: usize = 2_000;
/// Times that are held for one question.
const MOST_TIMES: usize = 2_000_000;
/// What has ended before does not count where nothing is said.
const SINCE: i64 = 30 * 86_400 * 1_000_000;

impl Desk {
    /// Figures that match, in the order of the estate.
    ///
    /// # Errors
    /// Where the process or board is none, or the journal does not answer.
    pub async fn figures(&self, query: &FigureQuery) -> Result<Figures, DeskError> {
        let since = query
            .since
            .unwrap_or_else(|| Timestamp(self.acceptor.clock.now().0.saturating_sub(SINCE)));
        let mut found = Figures {
            since,
            ..Figures::default()
        };
        for process in self.judged(query)? {
            let (folds, partial) = self.folded(&process, query, since).await?;
            found.partial |= partial;
            for (at, figure) in process.definition.process.figures.iter().enumerate() {
                let all = folds.get(&(at, None));
                found.rows.push(figure_view(&process, figure, None, all));
                let mut places: Vec<(String, &Fold)> = folds
                    .iter()
                    .filter(|((of, place), _)| *of == at && place.is_some())
                    .filter_map(|((_, place), fold)| Some((self.name((*place)?), fold)))
                    .collect();
                places.sort_by(|a, b| a.0.cmp(&b.0));
                for (place, fold) in places {
                    found
                        .rows
                        .push(figure_view(&process, figure, Some(place), Some(fold)));
                }
            }
        }
        Ok(found)
    }

    /// The processes that a query is about.
    fn judged(&self, query: &FigureQuery) -> Result<Vec<Arc<ProcessPlan>>, DeskError> {
        let plan = self.acceptor.plan();
        let current = &plan.processes.current;
        if let Some(wanted) = &query.process
            && !current.contains_key(wanted.as_str())
        {
            let names: Vec<&str> = current.keys().map(|name| &**name).collect();
            return Err(DeskError::Invalid(format!(
                "there is no process `{wanted}`: there are {}",
                names.join(", ")
            )));
        }
        if let Some(board) = &query.board {
            self.board_processes(board)?;
        }
        let mut all: Vec<_> = current
            .values()
            .filter(|process| {
                let declared = &process.definition.process;
                query
                    .process
                    .as_ref()
                    .is_none_or(|name| **name == *process.name)
                    && query.board.as_ref().is_none_or(|board| {
                        declared.boards.iter().any(|named| named.value == *board)
                    })
            })
            .cloned()
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// What the instances of a process gave to each figure, in all and by facility where that is
    /// asked; whether there may be more.
    async fn folded(
        &self,
        process: &ProcessPlan,
        query: &FigureQuery,
        since: Timestamp,
    ) -> Result<(AHashMap<(usize, Option<Sym>), Fold>, bool), DeskError> {
        let mut folds = AHashMap::new();
        let figures = &process.definition.process.figures;
        let facility = query
            .facility
            .as_ref()
            .map(|name| self.acceptor.store.lookup(name));
        let (Some(sym), false) = (
            self.acceptor.store.lookup(&process.name),
            figures.is_empty() || facility == Some(None),
        ) else {
            return Ok((folds, false));
        };
        let mut filter = InstanceFilter {
            process: Some(sym),
            facility: facility.flatten(),
            limit: PAGE,
            ..InstanceFilter::default()
        };
        if figures.iter().all(|figure| figure.of == FigureOf::Open) {
            filter.phases = Phase::ALL
                .into_iter()
                .filter(|phase| phase.is_open())
                .collect();
        }
        let (mut looked, mut times) = (0, 0);
        loop {
            let page = self.acceptor.store.instances(&filter).await?;
            for row in &page.rows {
                if row.ended.is_some_and(|ended| ended < since) {
                    continue;
                }
                let given = self.given(row);
                for (at, figure) in figures.iter().enumerate() {
                    let Some(given) = given.get(figure.name.as_str()) else {
                        continue;
                    };
                    // What goes on for years is new once.
                    if figure.of == FigureOf::Any && row.ended.is_none() && row.began < since {
                        continue;
                    }
                    let place = row.facility.filter(|_| query.by_facility);
                    let places = [None, place]
                        .into_iter()
                        .take(1 + usize::from(place.is_some()));
                    for place in places {
                        let fold: &mut Fold = folds.entry((at, place)).or_default();
                        times += fold.take(given);
                    }
                }
            }
            looked += page.rows.len();
            match page.next {
                None => return Ok((folds, false)),
                Some(_) if looked >= SEARCHED || times >= MOST_TIMES => return Ok((folds, true)),
                next => filter.before = next,
            }
        }
    }

    /// What an instance gives to figures.
    fn given(&self, row: &InstanceRow) -> Value {
        let summary = row.summary.as_ref().and_then(|sealed| {
            let bytes = self
                .acceptor
                .vault
                .open_sealed(Kind::Variables, sealed)
                .ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        summary.map_or(Value::Null, |mut summary| summary[FIGURES].take())
    }
}

/// What several instances gave to a figure.
#[derive(Debug, Default)]
struct Fold {
    n: u64,
    yes: u64,
    sums: BTreeMap<String, Decimal>,
    times: Vec<f64>,
}

impl Fold {
    /// Adds what one instance gave; how many times that is.
    fn take(&mut self, given: &Value) -> usize {
        self.n += given["n"].as_u64().unwrap_or_default();
        self.yes += given["yes"].as_u64().unwrap_or_default();
        for (currency, sum) in given["sums"].as_object().into_iter().flatten() {
            let all = self.sums.entry(currency.clone()).or_default();
            let more = sum.as_str().and_then(|sum| sum.parse().ok());
            *all = all.checked_add(more.unwrap_or_default()).unwrap_or(*all);
        }
        let before = self.times.len();
        let times = given["s"].as_array().into_iter().flatten();
        self.times.extend(times.filter_map(Value::as_f64));
        self.times.len() - before
    }

    fn measured(&self, measure: Measure) -> Measured {
        match measure {
            Measure::Share => Measured::Share {
                percent: (self.n > 0).then(|| 100.0 * self.yes as f64 / self.n as f64),
            },
            Measure::Sum => Measured::Sum {
                sums: Some(
                    self.sums
                        .iter()
                        .map(|(currency, sum)| (currency.clone(), sum.to_string()))
                        .collect(),
                ),
            },
            Measure::Lag => {
                let mut times = self.times.clone();
                times.sort_by(f64::total_cmp);
                let at = |percentile| longest(&times, percentile);
                Measured::Lag {
                    p50: at(50),
                    p90: at(90),
                    p99: at(99),
                    max: at(100),
                }
            }
        }
    }

    /// Whether it is as it should be; nothing is said where there is no value.
    fn meets(&self, goal: &Goal) -> Option<bool> {
        let holds = |is: f64, limit: f64| {
            if goal.at_most {
                is <= limit
            } else {
                is >= limit
            }
        };
        match &goal.limit {
            Limit::Share(hundredths) => {
                let share = (self.n > 0).then(|| self.yes as f64 / self.n as f64)?;
                Some(holds(share * 10_000.0, f64::from(*hundredths)))
            }
            Limit::Lag(time) => {
                let mut times = self.times.clone();
                times.sort_by(f64::total_cmp);
                let is = longest(&times, goal.percentile.unwrap_or(99))?;
                Some(holds(is, time.as_secs_f64()))
            }
            Limit::Sum(amount, currency) => {
                let limit: Decimal = amount.parse().ok()?;
                let is = self.sums.get(currency.as_deref().unwrap_or_default());
                let is = is.copied().unwrap_or_default();
                Some(if goal.at_most {
                    is <= limit
                } else {
                    is >= limit
                })
            }
        }
    }
}

/// The time that so many in a hundred do not exceed: the nearest rank.
fn longest(sorted: &[f64], percentile: u8) -> Option<f64> {
    let rank = (sorted.len() * usize::from(percentile)).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn figure_view(
    process: &ProcessPlan,
    figure: &Figure,
    facility: Option<String>,
    fold: Option<&Fold>,
) -> FigureView {
    let nothing = Fold::default();
    let fold = fold.unwrap_or(&nothing);
    FigureView {
        name: figure.name.value.clone(),
        title: figure
            .title
            .clone()
            .unwrap_or_else(|| figure.name.value.replace('-', " ")),
        process: process.name.to_string(),
        owner: process.owner.as_deref().map(str::to_owned),
        facility,
        of: figure.of.as_str().to_owned(),
        restricted: figure.measure == Measure::Sum && !process.definition.shows(figure),
        n: fold.n,
        measured: fold.measured(figure.measure),
        goal: figure.goal.as_ref().map(ToString::to_string),
        met: figure.goal.as_ref().and_then(|goal| fold.meets(goal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn goal(percentile: Option<u8>, at_most: bool, limit: Limit) -> Goal {
        Goal {
            percentile,
            at_most,
            limit,
        }
    }

    #[test]
    fn what_instances_gave_is_folded() {
        let mut fold = Fold::default();
        fold.take(&json!({ "n": 3, "yes": 2 }));
        fold.take(&json!({ "n": 1, "yes": 1 }));
        assert_eq!(
            fold.measured(Measure::Share),
            Measured::Share {
                percent: Some(75.0)
            }
        );
        assert_eq!(
            fold.meets(&goal(None, false, Limit::Share(7_500))),
            Some(true)
        );
        assert_eq!(
            fold.meets(&goal(None, false, Limit::Share(7_501))),
            Some(false)
        );

        let mut fold = Fold::default();
        fold.take(&json!({ "n": 1, "sums": { "USD": "10.10" } }));
        fold.take(&json!({ "n": 2, "sums": { "USD": "0.20", "EUR": "-1" } }));
        let usd = |limit: &str| {
            goal(
                None,
                true,
                Limit::Sum(limit.to_owned(), Some("USD".to_owned())),
            )
        };
        assert_eq!(fold.meets(&usd("10.30")), Some(true));
        assert_eq!(fold.meets(&usd("10.29")), Some(false));
        let Measured::Sum { sums: Some(sums) } = fold.measured(Measure::Sum) else {
            panic!("a sum");
        };
        assert_eq!(
            (sums["USD"].as_str(), sums["EUR"].as_str()),
            ("10.30", "-1")
        );
    }

    #[test]
    fn times_are_ranked() {
        let mut fold = Fold::default();
        assert_eq!(fold.take(&json!({ "n": 3, "s": [3.0, 1.0, 2.0] })), 3);
        assert_eq!(fold.take(&json!({ "n": 1, "s": [100] })), 1);
        assert_eq!(
            fold.measured(Measure::Lag),
            Measured::Lag {
                p50: Some(2.0),
                p90: Some(100.0),
                p99: Some(100.0),
                max: Some(100.0)
            }
        );
        let within = |percentile, seconds| {
            goal(
                Some(percentile),
                true,
                Limit::Lag(Duration::from_secs(seconds)),
            )
        };
        assert_eq!(fold.meets(&within(50, 2)), Some(true));
        assert_eq!(fold.meets(&within(99, 99)), Some(false));
        assert_eq!(
            fold.meets(&goal(None, true, Limit::Lag(Duration::from_secs(100)))),
            Some(true)
        );
        assert_eq!(Fold::default().meets(&within(99, 1)), None);
    }
}
