//! Flows: when this arrives, what does it mean and who must hear of it.

use crate::source::{FileId, Span, Spanned};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use wardline_core::Lane;

/// One flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where messages come from.
    pub source: Source,
    /// A predicate in VRL; messages for which it is false are filtered.
    pub when: Option<Spanned<String>>,
    /// The ordering key, an expression in VRL; `None` means that order does not matter.
    pub key: Option<Spanned<String>>,
    /// Maps, each fed by the one before.
    pub map: Vec<MapRef>,
    /// Against which entity the result is validated.
    pub validate: Validate,
    /// Maps that add to a validated result.
    pub enrich: Vec<MapRef>,
    /// The type of the event that is told to other flows: `encounter.discharged`.
    pub emit: Option<Spanned<String>>,
    /// How urgent what follows is.
    pub lane: Lane,
    /// Who must hear of it.
    pub to: Vec<Target>,
}

/// Where a flow's messages come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An inbound connection: `system.connection`.
    Connection(Spanned<String>),
    /// Canonical events of these types.
    Event(Vec<Spanned<String>>),
    /// The clock.
    Schedule(Schedule),
    /// What is wrong with systems that are sent to.
    Alert(AlertSource),
    /// The records of a bulk job.
    Job(Spanned<String>),
}

/// A source that tells when something begins to be wrong with a system, and when it is over.
#[derive(Clone, Debug)]
pub struct AlertSource {
    /// What is told.
    pub kinds: Vec<AlertKind>,
    /// How long it must have been so before it is told, and well before it is taken back.
    pub after: Duration,
}

/// What may be wrong with a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// It cannot be reached.
    Down,
    /// Deliveries to it need a person.
    Held,
    /// Deliveries to it were given up.
    Dead,
}

impl AlertKind {
    /// Its word in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }

    /// The kind that a word stands for.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Down, Self::Held, Self::Dead]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A source that fires by the clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Five cron fields: minute, hour, day, month, weekday.
    pub cron: Spanned<String>,
    /// In this time zone (IANA name).
    pub time_zone: Spanned<String>,
    /// An operation whose answer is the message: `system.operation`.
    pub call: Option<Spanned<String>>,
    /// The message, where nothing is called.
    pub body: Option<serde_json::Value>,
}

/// A mapping program of the estate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MapRef {
    /// Path relative to the estate directory.
    pub path: PathBuf,
    /// Its text, in the estate's sources.
    #[serde(skip, default = "nowhere_file")]
    pub file: FileId,
    /// Where the reference stands.
    #[serde(skip, default = "nowhere")]
    pub at: Span,
}

const fn nowhere() -> Span {
    Span::NOWHERE
}

const fn nowhere_file() -> FileId {
    Span::NOWHERE.file
}

/// Against what the result of a flow's maps is validated.
#[derive(Clone, Debug)]
pub enum Validate {
    /// The entity of this name.
    Entity(Spanned<String>),
    /// Nothing.
    Nothing,
}

/// One destination of a flow.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is asked, and of whom.
    pub kind: TargetKind,
    /// Where the reference stands.
    pub at: Span,
    /// Maps for this destination, each fed by the one before.
    pub map: Vec<MapRef>,
    /// A predicate in VRL; the destination is skipped where it is false.
    pub when: Option<Spanned<String>>,
    /// The ordering key at this destination; the flow's where absent.
    pub key: Option<Spanned<String>>,
    /// How urgent.
    pub lane: Lane,
    /// How failed sends are tried again.
    pub retry: Retry,
    /// What becomes of a delivery that exhausted its retries.
    pub on_exhausted: Exhausted,
    /// What a person should do then.
    pub runbook: Option<PathBuf>,
    /// What becomes of the response.
    pub then: Option<Then>,
}

/// What is asked of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// An operation of a system.
    Call {
        /// The system.
        system: String,
        /// The operation.
        operation: String,
        /// The connection that the operation uses, within the system.
        connection: String,
    },
    /// A message straight to a connection.
    Send {
        /// The system.
        system: String,
        /// The connection.
        connection: String,
    },
}

impl TargetKind {
    /// `system.operation` or `system.connection`: the name under which deliveries are counted.
    pub fn reference(&self) -> String {
        match self {
            Self::Call {
                system,
                operation: name,
                ..
            }
            | Self::Send {
                system,
                connection: name,
            } => {
                format!("{system}.{name}")
            }
        }
    }

    /// `system.connection`, whose limits and breaker apply.
    pub fn connection(&self) -> String {
        match self {
            Self::Call {
                system, connection, ..
            }
            | Self::Send { system, connection } => {
                format!("{system}.{connection}")
            }
        }
    }
}

/// How failed sends are tried again: after `first`, then each time `factor` longer, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// The wait after the first failure.
    pub first: Duration,
    /// How much longer each wait is than the one before.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// Sends in all; 0 means no limit.
    pub attempts: u32,
    /// Give up when the delivery is this old.
    pub max_age: Option<Duration>,
    /// Whether waits are spread at random.
    pub jitter: Jitter,
}

/// Whether waits are spread at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Jitter {
    /// Anything between nothing and the computed wait.
    Full,
    /// The computed wait.
    None,
}

/// What becomes of a delivery that exhausted its retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exhausted {
    /// Its key stays blocked until a person decides.
    Hold,
    /// It becomes a dead letter and its followers pass.
    Park,
}

/// What becomes of a response: mapped, validated and told as an event.
#[derive(Clone, Debug)]
pub struct Then {
    /// Maps of the response, each fed by the one before.
    pub map: Vec<MapRef>,
    /// The type of the event.
    pub emit: Spanned<String>,
    /// Against what the result is validated.
    pub validate: Validate,
}
