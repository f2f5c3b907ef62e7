//! What stands out, with its evidence.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use wardline_core::Timestamp;

/// One thing that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "sign")]
pub enum Sign {
    /// It never called at this hour, nor an hour before or after it.
    UnusualHour {
        /// The hour, 0–23.
        hour: u8,
        /// Hours at which it calls.
        usual: Vec<u8>,
        /// Days that are known.
        days: u16,
    },
    /// More calls in an hour than ever.
    HourlyVolume {
        /// Calls so far in this hour.
        calls: u64,
        /// The most of an hour before, at this time of day.
        most: u64,
        /// The middle one of the days known, at this time of day.
        median: u64,
    },
    /// More calls on a day than ever: slow copying stays below any hour's limit.
    DailyVolume {
        /// Calls so far today.
        calls: u64,
        /// The most of a day before.
        most: u64,
        /// The middle one of the days known.
        median: u64,
    },
    /// An operation that it never called.
    NewOperation {
        /// Which.
        operation: String,
        /// How many it called before.
        known: u16,
    },
    /// A network that it never called from.
    NewAddress {
        /// The network: /24, or /48 of IPv6.
        network: String,
        /// How many it called from before.
        known: u16,
    },
    /// Refused more often than usual.
    ManyDenials {
        /// Calls refused in this hour.
        denied: u64,
        /// Of so many.
        calls: u64,
        /// Refused of a thousand calls before.
        usual_per_mille: u64,
    },
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnusualHour { hour, usual, days } => {
                let usual: Vec<String> = usual.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "called at {hour} o'clock; in {days} days it called at {} only",
                    usual.join(", ")
                )
            }
            Self::HourlyVolume {
                calls,
                most,
                median,
            } => write!(
                f,
                "{calls} calls in this hour; at this time of day at most {most} before, usually {median}"
            ),
            Self::DailyVolume {
                calls,
                most,
                median,
            } => write!(
                f,
                "{calls} calls today; at most {most} a day before, usually {median}"
            ),
            Self::NewOperation { operation, known } => write!(
                f,
                "called {operation}, which is not one of the {known} operations that it called before"
            ),
            Self::NewAddress { network, known } => write!(
                f,
                "called from {network}, which is not one of the {known} networks that it called from before"
            ),
            Self::ManyDenials {
                denied,
                calls,
                usual_per_mille,
            } => write!(
                f,
                "{denied} of {calls} calls refused in this hour; usually {usual_per_mille} of a thousand"
            ),
        }
    }
}

/// A call that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Whose.
    pub client: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// Why; at least one.
    pub signs: Vec<Sign>,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.client)?;
        for (at, sign) in self.signs.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{sign}")?;
        }
        Ok(())
    }
}
