//! Commands that look at flat files without an estate.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum EdiCommand {
    /// Look at delimited files (CSV and its kin).
    Csv {
        #[command(subcommand)]
        command: FlatCommand,
    },
    /// Look at files of fixed-width records.
    Fixed {
        #[command(subcommand)]
        command: FlatCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlatCommand {
    /// Print each record as one line of JSON.
    Show {
        /// A file.
        file: PathBuf,
        #[command(flatten)]
        layout: LayoutArg,
    },
    /// Say for each file whether it is whole and every record good; exit 1 where one is not.
    Check {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        layout: LayoutArg,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Read, write by the same layout, read again: the same records, or the first difference.
    Roundtrip {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        layout: LayoutArg,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LayoutArg {
    /// The layout (YAML or JSON); `wardline schema layout` says what is in one. Without: commas,
    /// and a first line that names the columns.
    #[arg(long, value_name = "FILE")]
    pub(crate) layout: Option<PathBuf>,
}
