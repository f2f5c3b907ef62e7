//! Commands that look at FHIR files and make them, without an estate.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum FhirCommand {
    /// Say for each file whether its resources are FHIR R4: names, cardinality, types, required codes,
    /// references and rules; exit 1 where one is not.
    Check {
        /// Files with one resource each (JSON), or with one a line (`.ndjson`).
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object a line, with the problems as an `OperationOutcome`.
        #[arg(long)]
        json: bool,
    },
    /// Make FHIR of HL7 v2: one bundle a line for each message of the file (ADT, ORU, DFT, SIU, MDM).
    FromHl7 {
        /// A file with one or more messages.
        file: PathBuf,
        /// A `message` bundle that begins with a `MessageHeader`, instead of a `transaction`.
        #[arg(long)]
        message: bool,
        /// The zone of times that name none, such as `America/Chicago`; without it only their day is kept.
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
        /// The system of an authority's identifiers; may be given more than once.
        #[arg(long = "system", value_name = "NAME=URI")]
        systems: Vec<String>,
    },
}
