//! Commands that read an estate, run it, or say what it means.

use super::time::duration;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Stop by itself after this time (`60s`, `5m`), print a table, exit 0 only where counts in =
    /// counts out.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    pub(crate) duration: Option<std::time::Duration>,
    /// Messages per second that the simulated EHR sends.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) rate: f64,
    /// Keep the journal here instead of in a temporary directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The estate [default: the example st-brigid of this source tree, or the one built in].
    #[arg(long, value_name = "DIR")]
    pub(crate) estate: Option<PathBuf>,
    /// Seconds of patient accounting's outage; 0 for none.
    #[arg(long, default_value_t = 20)]
    pub(crate) outage: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The estate's directory.
    #[arg(env = "WARDLINE_ESTATE", default_value = ".")]
    pub(crate) estate: PathBuf,
    /// Where the journal is kept [default: ESTATE/data].
    #[arg(long, env = "WARDLINE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Longest time to finish what is being sent after SIGTERM.
    #[arg(long, default_value = "20s", value_parser = duration, value_name = "TIME")]
    pub(crate) drain: std::time::Duration,
    /// Log lines as JSON.
    #[arg(long)]
    pub(crate) log_json: bool,
    /// Read the estate again whenever its files change and then rest for a moment.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// The estate's directory.
    #[arg(env = "WARDLINE_ESTATE", default_value = ".")]
    pub(crate) estate: PathBuf,
    /// Where the journal is kept [default: ESTATE/data].
    #[arg(long, env = "WARDLINE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Why, for the audit log.
    #[arg(long, default_value = "wardline reload", value_name = "TEXT")]
    pub(crate) reason: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The estate's directory.
    #[arg(default_value = ".")]
    pub(crate) estate: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not look for secrets on this machine.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Warnings count as errors.
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The estate's directory.
    #[arg(default_value = ".")]
    pub(crate) estate: PathBuf,
    /// Only tests whose name contains this.
    pub(crate) filter: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A setting such as `flows.discharge-to-billing.to[0].retry`, or a code such as `W1203`.
    pub(crate) what: String,
    /// The estate's directory.
    #[arg(long, env = "WARDLINE_ESTATE", default_value = ".", value_name = "DIR")]
    pub(crate) estate: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AsyncApi {
    /// The estate's directory.
    #[arg(env = "WARDLINE_ESTATE", default_value = ".")]
    pub(crate) estate: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// estate, system, flow, entity, codes, defaults, test or layout; all are written with --out.
    pub(crate) kind: Option<String>,
    /// Write all schemas into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MapCommand {
    /// Print what a map makes of a message.
    Run(MapRun),
}

#[derive(Debug, Args)]
pub(crate) struct MapRun {
    /// The map (`maps/x.vrl`).
    pub(crate) map: PathBuf,
    /// The message: HL7, JSON or text.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The estate whose code tables and zone apply [default: the directory above the map's].
    #[arg(long, value_name = "DIR")]
    pub(crate) estate: Option<PathBuf>,
    /// Run again whenever the map or the message changes.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which measurement.
    pub(crate) name: BenchName,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds for each row.
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// Backlog for `deliver`.
    #[arg(long)]
    pub(crate) backlog: Option<u64>,
    /// Numbers of connections for `intake` and `in-out`.
    #[arg(long, value_delimiter = ',')]
    pub(crate) connections: Vec<usize>,
    /// Messages under way per connection before the first acknowledgement.
    #[arg(long)]
    pub(crate) window: Option<usize>,
    /// Where the stores are made.
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BenchName {
    /// Reading HL7 v2.
    Hl7,
    /// Accepting over MLLP, durably.
    Intake,
    /// Draining a backlog of deliveries.
    Deliver,
    /// In over MLLP and out over real HTTP and MLLP.
    InOut,
    /// Discharges beside a bulk job, and each alone.
    Bulk,
    /// JSON through the front door, beside nginx.
    Gateway,
    /// Instances of a process of ten steps, and a million that wait.
    Process,
    /// Reading X12 and FHIR, beside pyx12 and jsonschema; receiving DICOM objects, beside storescp.
    Protocols,
}
