//! Boards: what a group of people answers for, in one look. A board is what processes name it.

use super::{Desk, DeskError};
use crate::view::{AgeBucket, BoardView, FigureQuery, TransactionQuery, TransactionView};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use wardline_core::Timestamp;

/// Transactions under way, and failed ones, that a board looks at.
const SEARCHED: usize = 5_000;
/// Rows that it shows.
const ROWS: usize = 100;
/// Rows that are read at a time.
const PAGE: usize = 1_000;
const DAY: i64 = 86_400 * 1_000_000;
/// Ages in days, from … to.
const AGES: [(&str, i64); 5] = [
    ("under a day", 1),
    ("1–3 d", 3),
    ("3–7 d", 7),
    ("7–30 d", 30),
    ("over 30 d", i64::MAX),
];

impl Desk {
    /// The names of all boards.
    pub fn boards(&self) -> Vec<String> {
        let plan = self.acceptor.plan();
        let named: BTreeSet<String> = plan
            .processes
            .current
            .values()
            .flat_map(|process| &process.definition.process.boards)
            .map(|name| name.value.clone())
            .collect();
        named.into_iter().collect()
    }

    /// The processes on a board.
    pub(super) fn board_processes(&self, board: &str) -> Result<Vec<String>, DeskError> {
        let plan = self.acceptor.plan();
        let mut all: Vec<String> = plan
            .processes
            .current
            .values()
            .filter(|process| {
                let boards = &process.definition.process.boards;
                boards.iter().any(|named| named.value == board)
            })
            .map(|process| process.name.to_string())
            .collect();
        all.sort();
        if all.is_empty() {
            let names = self.boards();
            return Err(DeskError::Invalid(if names.is_empty() {
                format!("there is no board `{board}`: no process of the estate names one")
            } else {
                format!(
                    "there is no board `{board}`: there are {}",
                    names.join(", ")
                )
            }));
        }
        Ok(all)
    }

    /// One board.
    ///
    /// # Errors
    /// Where there is none of that name, or the journal does not answer.
    pub async fn board(&self, name: &str, facility: Option<&str>) -> Result<BoardView, DeskError> {
        let processes = self.board_processes(name)?;
        let figures = self
            .figures(&FigureQuery {
                board: Some(name.to_owned()),
                facility: facility.map(str::to_owned),
                ..FigureQuery::default()
            })
            .await?;
        let (mut rows, mut partial) = (Vec::new(), false);
        for process in &processes {
            for state in ["pending", "retrying", "failed"] {
                let mut query = TransactionQuery {
                    kind: Some(process.clone()),
                    state: Some(state.to_owned()),
                    facility: facility.map(str::to_owned),
                    limit: PAGE,
                    ..TransactionQuery::default()
                };
                let mut looked = 0;
                loop {
                    let page = self.transactions(&query).await?;
                    looked += page.rows.len();
                    // A process may share its kind with others of the board.
                    rows.extend(page.rows.into_iter().filter(|row| row.process == *process));
                    match page.next {
                        None => break,
                        Some(_) if looked >= SEARCHED => {
                            partial = true;
                            break;
                        }
                        next => query.before = next,
                    }
                }
            }
        }
        let now = self.acceptor.clock.now();
        rows.sort_by_key(|row| (urgency(row), row.began));
        let mut states: BTreeMap<String, u64> = ["pending", "retrying", "failed", "late", "asked"]
            .map(|name| (name.to_owned(), 0))
            .into();
        for row in &rows {
            let mut count = |name: &str| *states.entry(name.to_owned()).or_default() += 1;
            count(&row.state);
            if row.overdue {
                count("late");
            }
            if row.asked {
                count("asked");
            }
        }
        let ageing = ageing(&rows, now);
        let at_risk = worth(rows.iter().filter(|row| urgency(row) < 3));
        rows.truncate(ROWS);
        Ok(BoardView {
            name: name.to_owned(),
            processes,
            figures,
            states,
            ageing,
            at_risk,
            rows,
            partial,
        })
    }
}

/// What needs somebody comes first.
const fn urgency(row: &TransactionView) -> u8 {
    match (row.state.as_bytes(), row.overdue, row.asked) {
        (b"failed", ..) => 0,
        (_, true, _) => 1,
        (b"retrying", ..) => 2,
        (_, _, true) => 3,
        _ => 4,
    }
}

fn ageing(rows: &[TransactionView], now: Timestamp) -> Vec<AgeBucket> {
    let mut buckets: Vec<AgeBucket> = AGES
        .iter()
        .map(|(title, _)| AgeBucket {
            title: (*title).to_owned(),
            count: 0,
            late: 0,
        })
        .collect();
    for row in rows.iter().filter(|row| row.state != "failed") {
        let days = now.0.saturating_sub(row.began.0) / DAY;
        let at = AGES.iter().position(|(_, below)| days < *below);
        let bucket = &mut buckets[at.unwrap_or(AGES.len() - 1)];
        bucket.count += 1;
        bucket.late += u64::from(row.overdue);
    }
    buckets
}

/// What transactions are worth, by currency.
fn worth<'a>(rows: impl Iterator<Item = &'a TransactionView>) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for value in rows.filter_map(|row| row.value.as_ref()) {
        let text = value.as_str().or_else(|| value["amount"].as_str());
        let Some(amount) = text.and_then(|text| text.parse::<Decimal>().ok()) else {
            continue;
        };
        let currency = value
            .get("currency")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let sum = sums.entry(currency.to_owned()).or_default();
        *sum = sum.checked_add(amount).unwrap_or(*sum);
    }
    sums.into_iter()
        .map(|(currency, sum)| (currency, sum.to_string()))
        .collect()
}
