//! The life of a delivery.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a delivery stands. `Pending`, `Retrying` and `Held` are open; the rest are ends.
/// That a delivery is being sent right now is known to the node that sends it and is
/// deliberately not stored: after a crash it is simply still open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waiting its turn.
    Pending = 0,
    /// Failed at least once; will be tried again at a known time; its key waits.
    Retrying = 1,
    /// Out of attempts (or permanently refused) and declared `on_exhausted: hold`: its key
    /// waits for a person.
    Held = 2,
    /// The destination said yes.
    Delivered = 3,
    /// Given up, with a reason; followers of its key pass.
    Dead = 4,
    /// Withdrawn by a person, with a reason.
    Cancelled = 5,
}

impl DeliveryState {
    /// Every state, in the order of a delivery's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Retrying,
        Self::Held,
        Self::Delivered,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Whether something is still owed.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Retrying | Self::Held)
    }

    /// The small integer that the store keeps.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The state of a stored integer; `None` for a number from a newer version.
    pub fn from_u8(raw: u8) -> Option<Self> {
        Self::ALL.get(usize::from(raw)).copied()
    }

    /// The word used in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| {
            format!(
                "`{}` is not a state: use pending, retrying, held, delivered, dead or cancelled",
                text.chars().take(40).collect::<String>()
            )
        })
    }
}
