//! The command line's shape. `wardline help COMMAND` prints what the comments here say.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use wardline_core::{DeliveryId, DeliveryState};

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
pub(crate) struct Schema {
    /// estate, system, flow, entity, codes, defaults or test; all are written with --out.
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

#[derive(Debug, Args)]
pub(crate) struct Messages {
    /// A business key (account number, MRN, control id): exact.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// A correlation id: found like a key.
    #[arg(long, conflicts_with = "key")]
    pub(crate) correlation: Option<String>,
    /// Message or event type, such as `ADT^A03`.
    #[arg(long = "type")]
    pub(crate) kind: Option<String>,
    /// Connection it came through.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Flow that took it.
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// Itself filtered or unrouted; or pending, retrying, held, delivered, dead or cancelled:
    /// in this state is a delivery that followed from it.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Text in the error of a delivery that followed from it.
    #[arg(long)]
    pub(crate) error: Option<String>,
    /// Received at or after: RFC 3339, or an age such as `4h`.
    #[arg(long, value_parser = moment)]
    pub(crate) since: Option<wardline_core::Timestamp>,
    /// Received before.
    #[arg(long, value_parser = moment)]
    pub(crate) until: Option<wardline_core::Timestamp>,
    /// Also list the events made from messages.
    #[arg(long)]
    pub(crate) events: bool,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// Id of a message or delivery, or a business key.
    pub(crate) what: String,
    /// Show payloads too (masked).
    #[arg(long)]
    pub(crate) payloads: bool,
    /// Show payloads unmasked; the reason goes into the audit log.
    #[arg(long, value_name = "REASON", requires = "payloads")]
    pub(crate) reveal: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(flatten)]
    pub(crate) place: Where,
}

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

/// Which deliveries.
#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Ids of deliveries or messages.
    pub(crate) ids: Vec<wardline_core::Id>,
    /// To this destination.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Of this flow.
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// In this state (may be repeated).
    #[arg(long)]
    pub(crate) state: Vec<DeliveryState>,
    /// With this fingerprint, as `wardline dead` prints it.
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
    /// With this business key.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Accepted at or after: RFC 3339, or an age such as `4h`.
    #[arg(long, value_parser = moment)]
    pub(crate) since: Option<wardline_core::Timestamp>,
    /// Accepted before.
    #[arg(long, value_parser = moment)]
    pub(crate) until: Option<wardline_core::Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Run today's flows on the received messages instead of sending the bodies as they were.
    #[arg(long)]
    pub(crate) from_raw: bool,
    /// At most this many a second.
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u32,
    /// Why; without it nothing is done but counted.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Resubmit {
    /// The delivery.
    pub(crate) delivery: DeliveryId,
    /// Open the body in $EDITOR and send what you save.
    #[arg(long, conflicts_with = "body")]
    pub(crate) edit: bool,
    /// Send this file's content.
    #[arg(long, value_name = "FILE", required_unless_present = "edit")]
    pub(crate) body: Option<PathBuf>,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List entries, newest first.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        place: Where,
    },
    /// Check every hash and the signed checkpoint; exit 1 at the first break.
    Verify(AuditVerify),
    /// Prove that an entry is in the log, as JSON that other programs can check (RFC 9162, 2.1.3).
    Proof {
        /// The entry's number, as `audit list` prints it.
        sequence: u64,
        /// In the log of so many entries [default: those under the last signed checkpoint].
        #[arg(long)]
        size: Option<u64>,
        #[command(flatten)]
        place: Where,
    },
    /// Prove that the log begins with an earlier one, as JSON (RFC 9162, 2.1.4).
    Consistency {
        /// Entries of the earlier log.
        old: u64,
        /// Entries of the later log [default: those under the last signed checkpoint].
        new: Option<u64>,
        #[command(flatten)]
        place: Where,
    },
    /// Sign how the log stands and print the checkpoint, a C2SP signed note to keep elsewhere.
    Checkpoint {
        #[command(flatten)]
        place: Where,
    },
    /// Make a witness's key: its private half into a file, its public half printed.
    Witness {
        /// What the witness is known by, such as `witness.st-olaf.example`.
        name: String,
        /// The file to make, readable by its owner only.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// As a witness, sign another house's checkpoint; prints it with the signature added.
    Cosign(AuditCosign),
    /// Print the log for other systems.
    Export {
        /// As lines of JSON, or as FHIR R4 AuditEvents, one a line.
        #[arg(long, default_value = "ndjson")]
        format: AuditFormat,
        /// From this entry on.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Before this entry [default: to the end].
        #[arg(long)]
        until: Option<u64>,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// Also against this checkpoint, kept elsewhere (may be repeated).
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// Each `--checkpoint` must be cosigned by this witness: its public key or a file with it.
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    pub(crate) witness: Option<String>,
    /// The log's public key as you noted it, or a file with it, instead of the vault's own.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct AuditCosign {
    /// The checkpoint.
    pub(crate) file: PathBuf,
    /// The witness's private key, made by `audit witness`.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The log's public key, or a file with it.
    #[arg(long, value_name = "KEY")]
    pub(crate) log: String,
    /// The last checkpoint this witness signed; the new one must continue it.
    #[arg(long, value_name = "FILE", required_unless_present = "first")]
    pub(crate) previous: Option<PathBuf>,
    /// What `audit consistency` printed for the two sizes.
    #[arg(long, value_name = "FILE", requires = "previous")]
    pub(crate) proof: Option<PathBuf>,
    /// There is no earlier one.
    #[arg(long, conflicts_with_all = ["previous", "proof"])]
    pub(crate) first: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AuditFormat {
    /// One JSON object a line.
    Ndjson,
    /// One FHIR R4 AuditEvent a line.
    Fhir,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the estate's first master key.
    Init {
        #[command(flatten)]
        place: Where,
    },
    /// Add a master key and wrap every data key with it.
    Rotate {
        #[command(flatten)]
        place: Where,
    },
    /// List the keys that seal payloads and audit entries, and what wraps them.
    List {
        #[command(flatten)]
        place: Where,
    },
    /// Destroy the keys of days before one: what was sealed then cannot be opened again by
    /// anybody. Without --reason: preview.
    Destroy {
        /// Keys of days before this one, such as 2026-11-24.
        #[arg(long, value_name = "DATE")]
        before: String,
        /// The keys of audit entries, by month, instead of those of payloads.
        #[arg(long)]
        audit: bool,
        /// Why; it goes into the audit log. Without it nothing is done but counted.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// List secrets by name: who gives each, how old it is, where it is used. Never a value.
    List {
        #[command(flatten)]
        place: Where,
    },
    /// Say of every secret that the estate needs whether it can be read; exit 1 where one
    /// cannot.
    Check {
        #[command(flatten)]
        place: Where,
    },
    /// Write a secret, read from standard input: encrypted with age where the estate names
    /// identities or recipients, else in a private file.
    Set {
        /// Its name, such as erp/ws.
        name: String,
        /// Do not encrypt it.
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Make an age identity, which opens what is encrypted to the recipient that is printed.
    Identity {
        /// The file to write it to; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
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
    /// JSON through the front door, beside nginx.
    Gateway,
    /// Instances of a process of ten steps, and a million that wait.
    Process,
}

/// `90s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let n: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is not a duration: write 30s, 5m, 2h or 7d"))?;
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit of time: write 30s, 5m, 2h or 7d"
            ));
        }
    };
    Ok(std::time::Duration::from_secs(n.saturating_mul(seconds)))
}

/// A moment: RFC 3339, or an age.
fn moment(text: &str) -> Result<wardline_core::Timestamp, String> {
    if let Ok(at) = wardline_core::Timestamp::try_from(text.to_owned()) {
        return Ok(at);
    }
    let age = duration(text).map_err(|_| {
        format!("`{text}` is neither a time (2026-11-24T10:00:00Z) nor an age (4h)")
    })?;
    let now = wardline_core::Timestamp::now();
    Ok(wardline_core::Timestamp(now.0.saturating_sub(
        i64::try_from(age.as_micros()).unwrap_or(i64::MAX),
    )))
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
pub(crate) enum PeopleCommand {
    /// List the accounts.
    List {
        #[command(flatten)]
        place: Where,
    },
    /// Make an account and print an invitation, by which its person chooses a password and
    /// pairs an authenticator.
    Add {
        /// The name to sign in with: `anna.diaz`.
        name: String,
        /// Roles, parted by commas: `support,security-auditor`.
        #[arg(long, required = true, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<String>,
        /// The person's name in full.
        #[arg(long)]
        title: Option<String>,
        /// Read a password from standard input instead of inviting, and print the secret of
        /// one-time codes.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Forget somebody's password and one-time codes, and print a new invitation.
    Reset {
        /// Whose.
        name: String,
        /// As for `add`.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Give somebody other roles.
    Roles {
        /// Whom.
        name: String,
        /// All roles from now on, parted by commas.
        #[arg(required = true, value_delimiter = ',')]
        roles: Vec<String>,
        #[command(flatten)]
        place: Where,
    },
    /// Sign somebody out and refuse them from now on.
    Disable(PersonRef),
    /// Let somebody in again.
    Enable(PersonRef),
}

#[derive(Debug, Args)]
pub(crate) struct PersonRef {
    /// Whom.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) place: Where,
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
