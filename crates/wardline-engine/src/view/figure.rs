//! Figures that owners are judged by, and boards: what a group of people answers for, in one look.

use super::TransactionView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wardline_core::Timestamp;

/// Which figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FigureQuery {
    /// Of this process.
    pub process: Option<String>,
    /// Of the processes on this board.
    pub board: Option<String>,
    /// Of this facility.
    pub facility: Option<String>,
    /// Of what ended since then; 30 days where nothing is said. What is under way counts always.
    pub since: Option<Timestamp>,
    /// One row for each facility, besides the one for all.
    pub by_facility: bool,
}

/// Figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// In the order of the estate.
    pub rows: Vec<FigureView>,
    /// Since when what has ended counts.
    pub since: Timestamp,
    /// There is more than was looked at: figures are of the newest.
    pub partial: bool,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureView {
    /// Its name: `perfect-order`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The process.
    pub process: String,
    /// The role that answers for it.
    pub owner: Option<String>,
    /// Of this facility; of all where absent.
    pub facility: Option<String>,
    /// `completed`, `open` or `any` instances.
    pub of: String,
    /// Whether amounts of it are for its owner only.
    pub restricted: bool,
    /// How many values it is made of.
    pub n: u64,
    /// What it is.
    pub measured: Measured,
    /// What it should be: `≥ 95 %`.
    pub goal: Option<String>,
    /// Whether it is; nothing is said where there is no value yet.
    pub met: Option<bool>,
}

/// What a figure is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "measure")]
pub enum Measured {
    /// A share.
    Share {
        /// In percent; `None` where there is no value.
        percent: Option<f64>,
    },
    /// A sum.
    Sum {
        /// Decimals by currency, which is empty where they have none; `None` where whoever looks
        /// may not see amounts.
        sums: Option<BTreeMap<String, String>>,
    },
    /// How long something takes, in seconds.
    Lag {
        /// Half are no longer.
        p50: Option<f64>,
        /// Nine in ten are no longer.
        p90: Option<f64>,
        /// 99 in a hundred are no longer.
        p99: Option<f64>,
        /// The longest.
        max: Option<f64>,
    },
}

/// A board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardView {
    /// Its name: `accounts-payable`.
    pub name: String,
    /// The processes on it.
    pub processes: Vec<String>,
    /// Their figures.
    pub figures: Figures,
    /// How many transactions stand where: pending, retrying, failed, late, waiting for a person.
    pub states: BTreeMap<String, u64>,
    /// Those under way by age.
    pub ageing: Vec<AgeBucket>,
    /// What those that are late, failed or retrying are worth, by currency, as far as their
    /// values are shown.
    pub at_risk: BTreeMap<String, String>,
    /// What needs somebody: failed, late, retrying, asked; then the others under way, oldest
    /// first.
    pub rows: Vec<TransactionView>,
    /// There is more than was looked at.
    pub partial: bool,
}

/// Transactions of an age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeBucket {
    /// What people call it: `1–3 d`.
    pub title: String,
    /// How many.
    pub count: u64,
    /// Of them late.
    pub late: u64,
}
