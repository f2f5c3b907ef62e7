//! The command line's shape. `wardline help COMMAND` prints what the comments here say. Here is
//! the list of commands; what each takes is in the file of its family.

mod callers;
mod dicom;
mod estate;
mod fhir;
mod flat;
mod jobs;
mod journal;
mod process;
mod time;
mod trust;
mod wire;
mod x12;

pub(crate) use callers::{
    Alerts, ApiCommand, Clients, PolicyCommand, ShadowCommand, ShadowReport, WebhookAct,
    WebhooksCommand,
};
pub(crate) use dicom::{DicomCommand, Peer as DicomPeer};
pub(crate) use estate::{
    AsyncApi, Bench, BenchName, Check, Demo, Explain, MapCommand, MapRun, Reload, Schema, Serve,
    Test,
};
pub(crate) use fhir::FhirCommand;
pub(crate) use flat::{EdiCommand, FlatCommand, LayoutArg};
pub(crate) use jobs::{JobAct, JobsCommand};
pub(crate) use journal::{Act, Dead, Messages, Replay, Resubmit, Select, Trace};
pub(crate) use process::{
    Figures, InstanceAct, InstanceList, InstanceShow, ProcessCommand, ProcessFilter, Reconcile,
    TaskAnswer, TaskCommand, TaskFilter, TaskReassign, Tasks, Transactions,
};
pub(crate) use trust::{
    AuditCommand, AuditCosign, AuditFormat, AuditVerify, KeysCommand, PeopleCommand, PersonRef,
    SecretsCommand,
};
pub(crate) use wire::{Hl7Command, Listen, Send, SoapCommand, TlsArgs};
pub(crate) use x12::{AckForm, GuideArgs, X12Command};

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The governed digital backbone between a hospital's applications.
#[derive(Debug, Parser)]
#[command(
    name = "wardline",
    version,
    max_term_width = 100,
    disable_help_subcommand = false
)]
pub(crate) struct Cli {
    /// No colours.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// More in the log on stderr: -v for progress, -vv for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the example hospital with simulated systems around it.
    Demo(Demo),
    /// Run an estate.
    Serve(Serve),
    /// Let the running server read its estate again. Where something in it is wrong, what runs goes
    /// on as it was.
    Reload(Reload),
    /// Read an estate and explain everything that is wrong with it.
    Check(Check),
    /// Run an estate's own tests, without network or clock.
    Test(Test),
    /// Say which declaration an effective setting comes from, or what an error code means.
    Explain(Explain),
    /// Print the JSON Schema of a kind of estate file, for editors.
    Schema(Schema),
    /// Print what an estate takes from brokers, publishes to them, and tells, as AsyncAPI 3.
    Asyncapi(AsyncApi),
    /// Run a mapping program on a file.
    Map {
        #[command(subcommand)]
        command: MapCommand,
    },
    /// Look at HL7 v2 files.
    Hl7 {
        #[command(subcommand)]
        command: Hl7Command,
    },
    /// Look at descriptions of SOAP services.
    Soap {
        #[command(subcommand)]
        command: SoapCommand,
    },
    /// Look at files of electronic data interchange.
    Edi {
        #[command(subcommand)]
        command: EdiCommand,
    },
    /// Look at FHIR files, and make them of HL7 v2.
    Fhir {
        #[command(subcommand)]
        command: FhirCommand,
    },
    /// Look at X12 files.
    X12 {
        #[command(subcommand)]
        command: X12Command,
    },
    /// Look at DICOM files and peers.
    Dicom {
        #[command(subcommand)]
        command: DicomCommand,
    },
    /// Send HL7 messages of a file over MLLP and print the acknowledgements.
    Send(Send),
    /// Receive over MLLP, print and acknowledge.
    Listen(Listen),
    /// Find messages.
    Messages(Messages),
    /// Show everything that followed from a message, as a tree.
    Trace(Trace),
    /// List dead and held deliveries, grouped by error.
    Dead(Dead),
    /// Repeat deliveries (held and retrying ones are tried now). Without --reason: preview.
    Replay(Replay),
    /// Try held or retrying deliveries now.
    Release(Act),
    /// Withdraw open deliveries.
    Cancel(Act),
    /// Give up open deliveries so that the followers of their keys pass.
    Park(Act),
    /// Send an edited copy of a delivery.
    Resubmit(Resubmit),
    /// Look at processes that run over days, and mend those that are stuck.
    Process {
        #[command(subcommand)]
        command: ProcessCommand,
    },
    /// List what processes ask of people, and answer.
    Tasks(Tasks),
    /// List business transactions: where each stands, since when, and who must do something.
    Transactions(Transactions),
    /// Show the figures that owners are judged by, beside their goals.
    Figures(Figures),
    /// Compare both sides of something now, or show what was compared: totals, breaks, who signed off.
    Reconcile(Reconcile),
    /// Show how every destination, flow and source stands, and whether counts in = counts out.
    Status(Where),
    /// Show who calls: how often, which versions, with what success, and what expires.
    Clients(Clients),
    /// Show what stood out about callers, or say that you looked at it.
    Alerts(Alerts),
    /// Print the console's login link.
    Console(Where),
    /// Look at what is offered to other applications.
    Api {
        #[command(subcommand)]
        command: ApiCommand,
    },
    /// Look at what systems in the shadow would have answered.
    Shadow {
        #[command(subcommand)]
        command: ShadowCommand,
    },
    /// Look at who may do what.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Look at bulk jobs, begin runs, and stop them or let them go on.
    Jobs {
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Look at clients' webhooks, try them, and decide whether they are sent to.
    Webhooks {
        #[command(subcommand)]
        command: WebhooksCommand,
    },
    /// Let people into the console: accounts kept beside the data.
    People {
        #[command(subcommand)]
        command: PeopleCommand,
    },
    /// Read or verify the audit log.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Look at secrets of other systems, and write them.
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
    /// List every certificate of the estate and how long it is good; exit 1 where one needs
    /// somebody.
    Certs(Where),
    /// Make, rotate, list or destroy keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Measure, against limits and peers.
    Bench(Bench),
    /// Print a shell's completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which estate, and where its data is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Where {
    /// The estate's directory.
    #[arg(long, env = "WARDLINE_ESTATE", default_value = ".", value_name = "DIR")]
    pub(crate) estate: PathBuf,
    /// Where the journal is kept [default: ESTATE/data].
    #[arg(long, env = "WARDLINE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
