//! Lanes: three classes of urgency that share a destination by weight.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How urgent a delivery is. Each destination serves its lanes 8 : 3 : 1, so bulk work can
/// neither starve the others nor be starved. Order is kept within a lane.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// A person is waiting: a bed, a clean, an API answer.
    Realtime,
    /// Everything else.
    #[default]
    Normal,
    /// Replays, back-fills and file loads.
    Bulk,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 3] = [Self::Realtime, Self::Normal, Self::Bulk];

    /// The small integer that the store keeps: 0, 1 or 2.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The lane of a stored integer; unknown numbers are [`Lane::Bulk`].
    pub const fn from_u8(raw: u8) -> Self {
        match raw {
            0 => Self::Realtime,
            1 => Self::Normal,
            _ => Self::Bulk,
        }
    }

    /// The lane's share of sends while all lanes have work.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Realtime => 8,
            Self::Normal => 3,
            Self::Bulk => 1,
        }
    }

    /// The word used in files and on screens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a lane: use realtime, normal or bulk")]
pub struct ParseLaneError(String);

impl FromStr for Lane {
    type Err = ParseLaneError;
    fn from_str(text: &str) -> Result<Self, ParseLaneError> {
        Self::ALL
            .into_iter()
            .find(|lane| lane.as_str() == text)
            .ok_or_else(|| ParseLaneError(text.chars().take(40).collect()))
    }
}
