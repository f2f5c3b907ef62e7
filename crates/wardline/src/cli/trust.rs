//! Commands about what is trusted: people, keys, secrets, and the audit log.

use super::Where;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

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
