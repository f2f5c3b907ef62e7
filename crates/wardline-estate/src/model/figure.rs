//! Figures that the owner of a process is judged by, folded from its instances.

use super::flow::MapRef;
use crate::source::Spanned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// Its name: `perfect-order`.
    pub name: Spanned<String>,
    /// What people call it.
    pub title: Option<String>,
    /// Whose values count.
    pub of: FigureOf,
    /// Maps over all variables; the expression is over what they make. Over the variables
    /// themselves where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<MapRef>,
    /// What is done with the values.
    pub measure: Measure,
    /// A value, or an array of them, or null where the instance has none: an expression in VRL.
    pub value: Spanned<String>,
    /// What it should be.
    pub goal: Option<Goal>,
}

/// Which instances a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FigureOf {
    /// Those that are done.
    Completed,
    /// Those that are under way: how it stands now.
    Open,
    /// All.
    Any,
}

impl FigureOf {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Open => "open",
            Self::Any => "any",
        }
    }
}

/// What is done with the values of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The share of those that are true.
    Share,
    /// Their sum: numbers, decimals as text, amounts with their currency.
    Sum,
    /// How they are spread: seconds, or objects with two times, `from` and `to`.
    Lag,
}

impl Measure {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Sum => "sum",
            Self::Lag => "lag",
        }
    }
}

/// What a figure should be: `>= 95 %`, `p99 <= 5m`, `<= 50000 USD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// Of a spread, which value is looked at: so many in a hundred are no longer. 100 is the
    /// longest.
    pub percentile: Option<u8>,
    /// Whether it should be no more than the limit; else it should be no less.
    pub at_most: bool,
    /// The limit.
    pub limit: Limit,
}

/// How much a figure should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Hundredths of a percent.
    Share(u16),
    /// A time.
    Lag(Duration),
    /// A sum: a decimal, and its currency where it has one.
    Sum(String, Option<String>),
}

impl Limit {
    /// Of which measure it is a limit.
    pub const fn measure(&self) -> Measure {
        match self {
            Self::Share(_) => Measure::Share,
            Self::Lag(_) => Measure::Lag,
            Self::Sum(..) => Measure::Sum,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percentile {
            Some(100) => f.write_str("max ")?,
            Some(percentile) => write!(f, "p{percentile} ")?,
            None => {}
        }
        f.write_str(if self.at_most { "≤ " } else { "≥ " })?;
        match &self.limit {
            Limit::Share(hundredths) => write!(f, "{} %", f64::from(*hundredths) / 100.0),
            Limit::Lag(time) => write!(f, "{}", crate::value::show_duration(*time)),
            Limit::Sum(amount, None) => f.write_str(amount),
            Limit::Sum(amount, Some(currency)) => write!(f, "{amount} {currency}"),
        }
    }
}
