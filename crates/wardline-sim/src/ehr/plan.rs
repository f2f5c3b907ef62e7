//! What an EHR run is to do, and what it did.

use super::message::Trigger;
use super::ward::Mix;
use crate::{Record, Run, Sequence, SimError};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A plan for one run of the simulated EHR. Every limit is optional; without any, the run goes on until it is stopped.
#[derive(Debug, Clone)]
pub struct EhrPlan {
    /// `host:port` of the MLLP listener under load.
    pub target: String,
    /// Connections, each a session of its own (1–4096).
    pub connections: usize,
    /// Messages per second over all connections; `None` is as fast as acknowledgements come.
    pub rate: Option<f64>,
    /// Stop after so many patients were told to the end.
    pub patients: Option<u64>,
    /// Stop after so many messages (resends not counted).
    pub messages: Option<u64>,
    /// Stop after so long.
    pub duration: Option<Duration>,
    /// Messages under way per connection before the first acknowledgement is in. 1 is what most EHRs do. Two
    /// messages of one patient are never under way at once.
    pub window: usize,
    /// Patients in the house at a time, over all connections.
    pub census: usize,
    /// How often what happens.
    pub mix: Mix,
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// The run's name; `None` takes a new one. Two runs of one name send the same control ids.
    pub run: Option<Run>,
    /// Ask for enhanced-mode (commit) acknowledgements.
    pub enhanced: bool,
    /// How long an acknowledgement may take before the connection is given up and the message sent again.
    pub ack_timeout: Duration,
    /// What the report remembers: [`Record::Full`] keeps every acknowledged control id by visit.
    pub record: Record,
}

impl EhrPlan {
    /// One patient after another to `target`: 4 connections, 20 messages a second, no end.
    pub fn to(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            connections: 4,
            rate: Some(20.0),
            patients: None,
            messages: None,
            duration: None,
            window: 1,
            census: 80,
            mix: Mix::default(),
            seed: 1,
            run: None,
            enhanced: false,
            ack_timeout: Duration::from_secs(30),
            record: Record::Counts,
        }
    }

    /// As fast as the receiver acknowledges, over `connections`, `window` messages under way on each.
    #[must_use]
    pub fn at_full_speed(mut self, connections: usize, window: usize) -> Self {
        self.connections = connections;
        self.window = window;
        self.rate = None;
        self.census = (connections * window * 3).max(self.census);
        self
    }

    pub(crate) fn check(&self) -> Result<(), SimError> {
        let what = if !(1..=4096).contains(&self.connections) {
            "connections must be 1 to 4096"
        } else if !(1..=10_000).contains(&self.window) {
            "window must be 1 to 10000"
        } else if self
            .rate
            .is_some_and(|rate| !rate.is_finite() || rate <= 0.0)
        {
            "rate must be above 0"
        } else if !(1..=1_000_000).contains(&self.census) {
            "census must be 1 to 1000000"
        } else if !self.mix.is_sound() {
            "the shares of the mix must be 0.0 to 1.0"
        } else if self.ack_timeout.is_zero() {
            "ack_timeout must be above 0"
        } else {
            return Ok(());
        };
        Err(SimError::Plan { what })
    }
}

/// One acknowledged message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its control id.
    pub sequence: Sequence,
    /// What it told.
    pub trigger: Trigger,
}

/// What a run did, seen from the sender's side.
#[derive(Debug, Clone)]
pub struct EhrReport {
    /// The run's name: the first eight characters of its control ids.
    pub run: Run,
    /// Frames written, resends and duplicates included.
    pub frames: u64,
    /// Messages acknowledged with AA or CA, each once, by trigger.
    pub acknowledged: BTreeMap<Trigger, u64>,
    /// Second acknowledgements: of duplicates sent on purpose.
    pub duplicates: u64,
    /// Messages sent again because their connection or acknowledgement was lost.
    pub resent: u64,
    /// Negative acknowledgements after which the message was sent again (AE, CE).
    pub errors: u64,
    /// Messages refused for good (AR, CR).
    pub rejected: u64,
    /// Messages whose fate is unknown: sent, but the run ended before an acknowledgement.
    pub unanswered: u64,
    /// Messages that had only been answered AE or CE when the run ended.
    pub given_up: u64,
    /// Connections made after the first of each session was lost.
    pub reconnects: u64,
    /// Acknowledgements for nothing that was under way, and frames that were no acknowledgement.
    pub stray: u64,
    /// Patients whose stay was told to the end.
    pub patients: u64,
    /// How long the run took.
    pub elapsed: Duration,
    /// Time from writing a message to its acknowledgement.
    pub ack: Latency,
    /// Acknowledged messages by visit number, in the order they were acknowledged; empty unless [`Record::Full`].
    pub ledger: BTreeMap<String, Vec<Acknowledged>>,
}

impl EhrReport {
    /// Messages acknowledged, each once.
    pub fn accepted(&self) -> u64 {
        self.acknowledged.values().sum()
    }

    /// Messages acknowledged that told `trigger`.
    pub fn count(&self, trigger: Trigger) -> u64 {
        self.acknowledged.get(&trigger).copied().unwrap_or(0)
    }

    /// Acknowledged messages per second.
    pub fn rate(&self) -> f64 {
        self.accepted() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// Percentiles of a time; all zero where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half are faster.
    pub p50: Duration,
    /// 99 % are faster.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Latency {
    pub(crate) fn of(histogram: &hdrhistogram::Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_micros(histogram.max()),
        }
    }
}

impl fmt::Display for EhrReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged in {:.1?} ({:.0}/s;",
            self.accepted(),
            self.elapsed,
            self.rate()
        )?;
        for (trigger, count) in &self.acknowledged {
            write!(f, " {trigger} {count}")?;
        }
        write!(
            f,
            "), p50 {:.1?}, p99 {:.1?}, {} duplicates, {} resent, {} AE, {} AR, {} unanswered, {} reconnects",
            self.ack.p50,
            self.ack.p99,
            self.duplicates,
            self.resent,
            self.errors,
            self.rejected,
            self.unanswered + self.given_up,
            self.reconnects
        )
    }
}
