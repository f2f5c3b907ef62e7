//! Commands about bulk jobs.

use super::Where;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs with how far their newest runs came, how fast, and until when.
    List(Where),
    /// Show one job with its runs and files.
    Show {
        /// The job.
        name: String,
        #[command(flatten)]
        place: Where,
    },
    /// Begin a run and wait for its end, with progress on a terminal.
    Run(JobAct),
    /// Stop the run where it is.
    Pause(JobAct),
    /// Let a run go on that was paused or failed, and wait for its end.
    Resume(JobAct),
    /// End the run; what it wrote stays.
    Cancel(JobAct),
}

#[derive(Debug, Args)]
pub(crate) struct JobAct {
    /// The job.
    pub(crate) name: String,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}
