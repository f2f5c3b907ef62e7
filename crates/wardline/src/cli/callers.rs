//! Commands about other applications: what is offered to them, who calls, who is told.

use super::Where;
use super::time::moment;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Clients {
    /// Only this client, with the operations that it calls.
    pub(crate) client: Option<String>,
    /// Refuse the client whatever it shows, and all its tokens.
    #[arg(long, requires_all = ["client", "reason"], conflicts_with = "release")]
    pub(crate) quarantine: bool,
    /// Let the client in again.
    #[arg(long, requires_all = ["client", "reason"])]
    pub(crate) release: bool,
    /// Why; it goes into the audit log.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Alerts {
    /// Also those that somebody looked at.
    #[arg(long)]
    pub(crate) all: bool,
    /// Say that you looked at the alert with this number.
    #[arg(long, value_name = "NUMBER", requires = "reason")]
    pub(crate) acknowledge: Option<u64>,
    /// What you found; it goes into the audit log.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiCommand {
    /// List every operation of every Api.
    List {
        /// The estate's directory.
        #[arg(long, env = "WARDLINE_ESTATE", default_value = ".", value_name = "DIR")]
        estate: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print an Api's contract (OpenAPI 3.1), as it is served at BASE/openapi.json.
    Openapi {
        /// The Api: `supplier-master`, or `supplier-master/v1` for a certain version.
        api: String,
        /// The estate's directory.
        #[arg(long, env = "WARDLINE_ESTATE", default_value = ".", value_name = "DIR")]
        estate: PathBuf,
    },
    /// Compare two contracts, or all of two estates and their entities, and say what breaks callers;
    /// exit 1 where something does.
    Diff {
        /// The old one: an estate's directory, an OpenAPI document (JSON or YAML), or a commit of
        /// the estate's repository (`main`, `HEAD~1`, `main:path/of/estate`).
        old: String,
        /// The new one.
        new: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write down what is promised to callers (`contracts/*.lock.json`), so that `check` refuses what
    /// breaks them; exit 1, with nothing written, where something would.
    Record {
        /// Only this Api: `supplier-master`, or `supplier-master/v1`. All, and the entities, where
        /// absent.
        api: Option<String>,
        /// Write it down although it breaks what was promised before.
        #[arg(long)]
        replace: bool,
        /// The estate's directory.
        #[arg(long, env = "WARDLINE_ESTATE", default_value = ".", value_name = "DIR")]
        estate: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShadowCommand {
    /// Say how the answers of systems in the shadow differ from those that were served, attribute by
    /// attribute. No values are shown: letters are `a` or `A`, digits `9`.
    Report(ShadowReport),
}

#[derive(Debug, Args)]
pub(crate) struct ShadowReport {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Only this Api.
    #[arg(long)]
    pub(crate) api: Option<String>,
    /// Only from the day (UTC) of this moment on: RFC 3339, or an age such as `7d`.
    #[arg(long, value_parser = moment)]
    pub(crate) since: Option<wardline_core::Timestamp>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether a client may call an operation, or people in a role may do something in the
    /// console, and which policy decides; exit 1 where they may not.
    Explain {
        /// The client: `ghx`; or a role: `role:support`.
        client: String,
        /// The operation: `supplier-master.get-supplier`; or for a role what it does: view, search,
        /// reveal, replay, edit, cancel, audit, administer.
        operation: String,
        /// The estate's directory.
        #[arg(long, env = "WARDLINE_ESTATE", default_value = ".", value_name = "DIR")]
        estate: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List every endpoint and how it stands.
    List {
        #[command(flatten)]
        place: Where,
    },
    /// Send one signed request without data, also to an endpoint that is disabled; exit 1 where
    /// it is not taken.
    Test {
        /// The endpoint, as `webhooks list` prints it.
        name: String,
        #[command(flatten)]
        place: Where,
    },
    /// Send to an endpoint again: what waits goes out in order.
    Enable(WebhookAct),
    /// Send nothing more to an endpoint: its events wait.
    Disable(WebhookAct),
}

#[derive(Debug, Args)]
pub(crate) struct WebhookAct {
    /// The endpoint, as `webhooks list` prints it.
    pub(crate) name: String,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}
