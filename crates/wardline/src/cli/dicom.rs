//! Commands that look at DICOM files, and at peers, without an estate.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum DicomCommand {
    /// Print what a file says of itself and its attributes. It shows what is in it: patients' names, too.
    Show {
        /// A DICOM file.
        file: PathBuf,
        /// As the JSON that a flow gets.
        #[arg(long)]
        json: bool,
    },
    /// Say for each file whether it is whole, and whether its attributes are what the standard says;
    /// exit 1 where one is not.
    Check {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Ask a peer whether it is there (C-ECHO).
    Echo {
        #[command(flatten)]
        peer: Peer,
    },
    /// Send files to a peer (C-STORE), as they lie.
    Send {
        #[command(flatten)]
        peer: Peer,
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Ask a peer for its worklist (C-FIND). It shows what is in it: patients' names, too.
    Worklist {
        #[command(flatten)]
        peer: Peer,
        /// Only for this modality, such as `CT`.
        #[arg(long, default_value = "")]
        modality: String,
        /// Only from this day on, or from one to another: `20261128`, `20261128-20261130`.
        #[arg(long, default_value = "")]
        date: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Peer {
    /// Host and port.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) address: String,
    /// Its AE title.
    #[arg(long, default_value = "ANY-SCP")]
    pub(crate) called: String,
    /// Ours.
    #[arg(long, default_value = "WARDLINE")]
    pub(crate) calling: String,
}
