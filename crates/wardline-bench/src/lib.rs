//! Repeatable measurements: what Wardline reaches, beside its limit and a peer, in one run.
//!
//! Each bench makes what it needs (an estate, a store on a real disk, senders and receivers on
//! loopback), runs the real engine on it, and removes it again. What it promises:
//!
//! - **A figure never stands alone.** Where there is a limit (bare commits of the same rows, one
//!   `memchr` pass, what the load generator itself can do), it is measured in the same run, because
//!   absolute figures move with the machine and the hour.
//! - **A broken promise is no figure.** A delivery out of order, a refused message or a sum that
//!   does not come out ends the bench with an error.
//! - **No cheating by the disk.** A store in memory (tmpfs) is refused.
//!
//! Start from [`run`], [`Bench`] and [`Report`]. What each row means: `docs/benchmarks.md`.
//!
//! ```no_run
//! # async fn example() -> Result<(), wardline_bench::BenchError> {
//! use wardline_bench::{Bench, Options, run};
//! let report = run(Bench::Intake, Options { seconds: Some(5), ..Options::default() }).await?;
//! println!("{}", report.to_text());
//! # Ok(())
//! # }
//! ```

mod bare;
mod bulk;
mod deliver;
mod error;
mod gateway;
mod hl7;
mod in_out;
mod intake;
mod load;
mod machine;
mod order;
mod process;
mod protocols;
mod receiver;
mod report;
mod sample;
mod site;

pub use error::BenchError;
pub use machine::Machine;
pub use report::{Report, Row};

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bench {
    /// Reading HL7 v2: twelve fields, a full walk, a document of 100 MB.
    Hl7,
    /// MLLP in, mapped, three deliveries, acknowledged when durable.
    Intake,
    /// A backlog drained to an HTTP receiver at which some keys fail, and to nowhere.
    Deliver,
    /// MLLP in, HTTP and MLLP out at the same time, in balance.
    InOut,
    /// Discharges beside a bulk job, and each alone.
    Bulk,
    /// JSON through the front door, beside nginx.
    Gateway,
    /// Instances of a process of ten steps, and a million that wait.
    Process,
    /// Formats beside HL7: X12, read and examined as a stream.
    Protocols,
}

impl Bench {
    /// Every bench, cheapest first.
    pub const ALL: [Self; 8] = [
        Self::Hl7,
        Self::Protocols,
        Self::Intake,
        Self::Gateway,
        Self::Process,
        Self::Bulk,
        Self::Deliver,
        Self::InOut,
    ];

    /// Its name on the command line.
    ///
    /// ```
    /// assert_eq!(wardline_bench::Bench::InOut.name(), "in-out");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hl7 => "hl7",
            Self::Intake => "intake",
            Self::Deliver => "deliver",
            Self::InOut => "in-out",
            Self::Bulk => "bulk",
            Self::Gateway => "gateway",
            Self::Process => "process",
            Self::Protocols => "protocols",
        }
    }
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Bench {
    type Err = BenchError;

    fn from_str(text: &str) -> Result<Self, BenchError> {
        Self::ALL
            .into_iter()
            .find(|bench| bench.name() == text)
            .ok_or_else(|| BenchError::UnknownBench {
                name: text.chars().take(40).collect(),
            })
    }
}

/// Hears, in words, what the bench is doing now.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// How a bench is run. The defaults are those that `docs/benchmarks.md` speaks of.
#[derive(Clone, Default)]
pub struct Options {
    /// Measured seconds: per row (`hl7`, 1; `gateway`, 8), per number of connections (`intake`,
    /// 10), in all (`in-out`, 30; `bulk`, 15 for each of five runs). `deliver` runs until its backlog is drained.
    pub seconds: Option<u64>,
    /// Deliveries queued by `deliver` (1,000,000); 10,000 is measured beside it. Instances that
    /// wait in `process` (1,000,000).
    pub backlog: Option<u64>,
    /// Numbers of connections that `intake` measures (1, 8, 32, 256) and, its first one, `in-out`
    /// (64) and `gateway` (32), and of instances under way in `process` (1, 100, 10,000). At most
    /// 100,000 each.
    pub connections: Vec<usize>,
    /// Messages under way per connection before the first acknowledgement is in; 1 where absent,
    /// as most senders do. At most 64, which is what a listener reads ahead.
    pub window: Option<usize>,
    /// The program `wardline`, which `gateway` measures as a process of its own.
    pub program: Option<PathBuf>,
    /// Where stores are made, in a folder of their own that is removed; `/var/tmp` where absent.
    pub directory: Option<PathBuf>,
    /// Told of each step.
    pub progress: Option<Progress>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("seconds", &self.seconds)
            .field("backlog", &self.backlog)
            .field("connections", &self.connections)
            .field("window", &self.window)
            .field("program", &self.program)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Options {
    fn say(&self, text: &str) {
        if let Some(progress) = &self.progress {
            progress(text);
        }
    }

    fn check(&self) -> Result<(), BenchError> {
        let what = if self.seconds == Some(0) {
            "seconds must be above 0"
        } else if self
            .backlog
            .is_some_and(|backlog| !(1..=100_000_000).contains(&backlog))
        {
            "backlog must be 1 to 100,000,000"
        } else if self
            .connections
            .iter()
            .any(|count| !(1..=100_000).contains(count))
        {
            "connections must be 1 to 100,000"
        } else if self
            .window
            .is_some_and(|window| !(1..=64).contains(&window))
        {
            "window must be 1 to 64"
        } else {
            return Ok(());
        };
        Err(BenchError::Options { what })
    }
}

/// Runs one bench to its end. Needs a runtime of several threads, as the engine does.
///
/// # Errors
/// [`BenchError`]: what could not be made or run, or which promise did not hold.
pub async fn run(bench: Bench, options: Options) -> Result<Report, BenchError> {
    options.check()?;
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    if flavor == tokio::runtime::RuntimeFlavor::CurrentThread {
        return Err(BenchError::OneThread);
    }
    let rows = match bench {
        Bench::Hl7 => hl7::run(&options).await?,
        Bench::Intake => intake::run(&options).await?,
        Bench::Deliver => Box::pin(deliver::run(&options)).await?,
        Bench::InOut => in_out::run(&options).await?,
        Bench::Bulk => Box::pin(bulk::run(&options)).await?,
        Bench::Gateway => Box::pin(gateway::run(&options)).await?,
        Bench::Process => Box::pin(process::run(&options)).await?,
        Bench::Protocols => protocols::run(&options).await?,
    };
    Ok(Report {
        bench,
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::read(),
        rows,
    })
}
