//! Commands that look at X12 files without an estate.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum X12Command {
    /// Print interchanges, sets, loops, segments and elements.
    Show {
        /// A file with one or more interchanges.
        file: PathBuf,
        #[command(flatten)]
        guides: GuideArgs,
    },
    /// Say for each file whether it is good X12: delimiters, envelopes, counts, control numbers, and what the
    /// guides say; exit 1 where one is refused.
    Check {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        guides: GuideArgs,
    },
    /// Parse and write back; byte-identical, or the first difference.
    Roundtrip {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write the acknowledgement of a file's first interchange: TA1 where it is asked for, 997 or 999.
    Ack {
        /// A file with an interchange.
        file: PathBuf,
        /// Which set answers.
        #[arg(long, value_enum, default_value = "999")]
        form: AckForm,
        /// A TA1, asked for or not.
        #[arg(long)]
        ta1: bool,
        #[command(flatten)]
        guides: GuideArgs,
    },
    /// Write one interchange for each set, named by its kind and number, into a directory.
    Split {
        /// A file with interchanges.
        file: PathBuf,
        /// Where to.
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GuideArgs {
    /// A guide of your own (YAML) beside the shipped ones; may be given more than once.
    #[arg(long = "guide", value_name = "FILE")]
    pub(crate) own: Vec<PathBuf>,
    /// Look at envelopes alone.
    #[arg(long, conflicts_with = "own")]
    pub(crate) no_guides: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AckForm {
    /// Functional acknowledgement.
    #[value(name = "997")]
    F997,
    /// Implementation acknowledgement.
    #[value(name = "999")]
    F999,
}
