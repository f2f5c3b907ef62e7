//! Words that classify: sensitivity, zones, and interned names.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much harm the sight of a value does. Ordered from least to most.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// May be published.
    Public,
    /// For people who work here.
    #[default]
    Internal,
    /// Tax ids, bank details, amounts.
    Financial,
    /// Identifies a person.
    Pii,
    /// Says something about a patient.
    Phi,
    /// Opens doors: passwords, keys, tokens.
    Secret,
}

impl Sensitivity {
    /// Whether values of this class may stand in indexes, logs and listings as they are.
    pub const fn may_be_shown(self) -> bool {
        matches!(self, Self::Public | Self::Internal)
    }
}

/// Who may reach a listener.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// Systems of this organisation.
    Internal,
    /// Suppliers and other outside parties; sees nothing internal.
    Partner,
    /// Operators.
    Admin,
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Internal => "internal",
            Self::Partner => "partner",
            Self::Admin => "admin",
        })
    }
}

/// A name (flow, destination, source, event type) interned by the store: equal names have
/// equal numbers for the life of the store, across restarts and estate versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sym(pub u32);
