//! Commands that speak HL7 and MLLP without an estate.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Hl7Command {
    /// Print segments and fields with their names.
    Show {
        /// A file with one or more messages.
        file: PathBuf,
    },
    /// Say for each file whether it is good HL7; exit 1 where one is refused.
    Check {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Parse and write back; byte-identical, or the first difference.
    Roundtrip {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SoapCommand {
    /// Print services, ports and operations, and the shape of what they take and answer as JSON.
    Show {
        /// A WSDL file. What it imports is read from below DIR and from nowhere else.
        file: PathBuf,
        /// The directory that holds it and what it imports [default: the file's own].
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say for each WSDL file whether it can be used; exit 1 where one is refused.
    Check {
        /// WSDL files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Use TLS.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Trust this CA (PEM) instead of the system's.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate chain (PEM), for mutual TLS and for listening.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) cert: Option<PathBuf>,
    /// Our private key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// A file with one or more messages.
    pub(crate) file: PathBuf,
    /// Where to.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) mllp: String,
    /// Send the whole file this many times.
    #[arg(long, default_value_t = 1)]
    pub(crate) count: u32,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Port, or ADDRESS:PORT (a bare port listens on 127.0.0.1).
    #[arg(long, value_name = "PORT")]
    pub(crate) mllp: String,
    /// Stop after this many messages.
    #[arg(long)]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}
