//! Why the vault refused.

use crate::{Day, Kind};
use std::path::PathBuf;
use wardline_core::Code;

/// What was attempted, on what, and what the reader can do. No variant holds a payload, a
/// key or the value of a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no master key where the estate says it is.
    #[error(
        "no master key in {place}: run `wardline keys init`, or restore the key from its backup if this estate has run before"
    )]
    NoMasterKey {
        /// A directory or the name of an environment variable.
        place: String,
    },
    /// A master key file or its directory could not be read or written.
    #[error("while {doing} {}: {reason}: check that the service user owns it", path.display())]
    MasterKeyFile {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Somebody other than the owner may read a key or secret.
    #[error("{} has mode {mode:04o}, so others may read it: run `chmod 600` on it and consider it known", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A master key is not 32 bytes of base64.
    #[error(
        "the master key in {place} is not 32 bytes of base64: restore it from its backup, or make one with `wardline keys init`"
    )]
    MasterKeyMalformed {
        /// A file or the name of an environment variable.
        place: String,
    },
    /// A data key was wrapped by a master key that the provider does not hold.
    #[error(
        "key {what} is wrapped by master key {by}, which the {provider} provider does not hold: put that master key back"
    )]
    UnknownMasterKey {
        /// Which key was to be unwrapped.
        what: String,
        /// Id of the master key that is missing.
        by: String,
        /// Name of the provider asked.
        provider: &'static str,
    },
    /// A wrapped key does not authenticate: it was changed, or belongs to another estate or day.
    #[error(
        "key {what} does not unwrap: the key ring was changed or belongs to another estate; restore keyring.json from a backup"
    )]
    Unwrap {
        /// Which key was to be unwrapped.
        what: String,
    },
    /// A key of a witness of the audit log cannot be used.
    #[error("cannot use the witness key: {reason}; `wardline audit witness NAME` makes one")]
    AuditKey {
        /// What is wrong with it; never its content.
        reason: &'static str,
    },
    /// The key ring's file could not be read or written.
    #[error("while {doing} the key ring {}: {reason}", path.display())]
    Keyring {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The key ring's file is not one.
    #[error("{} is not a key ring ({reason}): restore it from a backup", path.display())]
    KeyringMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key ring belongs to another estate.
    #[error(
        "the key ring belongs to estate `{found}`, not to `{expected}`: check the data directory"
    )]
    KeyringForeign {
        /// The estate that was opened.
        expected: String,
        /// The estate the ring was made for.
        found: String,
    },
    /// The data key of this day was destroyed, as retention or an operator wanted.
    #[error("payloads of {day} cannot be opened: their key was destroyed by retention")]
    Destroyed {
        /// The day they were sealed.
        day: Day,
    },
    /// The ring has no such data key, though it was not destroyed.
    #[error(
        "the key ring has no key for {day} part {part}: keyring.json is older than the journal; restore the newer one"
    )]
    UnknownDataKey {
        /// The day the payload was sealed.
        day: Day,
        /// Which of that day's keys.
        part: u16,
    },
    /// All keys that one day may have are used up (2¹⁶ keys of 2³² uses).
    #[error("no more data keys for {day}: stop whatever restarts this process in a loop")]
    Exhausted {
        /// The day.
        day: Day,
    },
    /// Keys of today or later may not be destroyed: they are in use.
    #[error("cannot destroy keys before {before}: today is {today} and its key is in use")]
    DestroyInUse {
        /// What was asked.
        before: Day,
        /// Today, by the vault's clock.
        today: Day,
    },
    /// A payload is larger than can be sealed.
    #[error("a payload of {size} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The most that can be sealed.
        limit: u64,
    },
    /// Sealed bytes do not have the form the vault writes.
    #[error("sealed {kind} is damaged ({reason}): restore it from a backup")]
    Malformed {
        /// What was to be opened.
        kind: Kind,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Sealed bytes do not authenticate: changed, of another kind, or of another estate.
    #[error(
        "sealed {kind} of {day} does not authenticate: it was changed, or is not a {kind} of this estate"
    )]
    Tampered {
        /// What was to be opened.
        kind: Kind,
        /// The day its header claims.
        day: Day,
    },
    /// The compressor failed; nothing was sealed or opened.
    #[error("while {doing}: {reason}")]
    Compression {
        /// What was attempted.
        doing: &'static str,
        /// What zstd said.
        reason: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: nothing can be sealed")]
    Randomness,
    /// A reference to a secret is not well formed. The text is not repeated here, since a
    /// real secret may have been written in its place.
    #[error(
        "not a reference to a secret ({reason}): write secret:NAME/PART with lower-case letters, digits, `-`, `_` and `.`"
    )]
    SecretReference {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A secret is neither in the environment nor in a file.
    #[error("secret:{name} is missing: write it to {} (mode 0600) or set {variable}", path.display())]
    SecretMissing {
        /// Name of the secret.
        name: String,
        /// The file looked for.
        path: PathBuf,
        /// The environment variable looked for.
        variable: String,
    },
    /// A private file of the data directory (signing keys, revocations) could not be read
    /// or written.
    #[error("while {doing} {}: {reason}: check that the service user owns it and the disk has room", path.display())]
    PrivateFile {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file of age, an identity or a recipient cannot be used.
    #[error("{reason}")]
    Age {
        /// What is wrong with it; never its content.
        reason: &'static str,
    },
    /// Vault or OpenBao did not do what was asked.
    #[error("while {doing} {address}: {reason}")]
    Remote {
        /// What was attempted.
        doing: &'static str,
        /// Where.
        address: String,
        /// What it said, or why nothing was heard of it.
        reason: String,
    },
    /// A secret that had a value was found empty.
    #[error("secret:{name} is empty now, which is taken for a mistake: write the value anew")]
    SecretEmpty {
        /// Name of the secret.
        name: String,
    },
    /// The keeper of a secret has been away for longer than the estate allows.
    #[error(
        "secret:{name} was last heard of too long ago and is not used: bring its keeper back, or raise `stale` under `secrets.vault`"
    )]
    SecretStale {
        /// Name of the secret.
        name: String,
    },
    /// A secret's file could not be read.
    #[error("secret:{name} in {} cannot be read: {reason}", path.display())]
    SecretUnreadable {
        /// Name of the secret.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl VaultError {
    /// The stable code of this error.
    pub const fn code(&self) -> Code {
        Code(match self {
            Self::NoMasterKey { .. } => "W6001",
            Self::MasterKeyFile { .. } => "W6002",
            Self::Exposed { .. } => "W6003",
            Self::MasterKeyMalformed { .. } => "W6004",
            Self::UnknownMasterKey { .. } => "W6005",
            Self::Unwrap { .. } => "W6006",
            Self::Keyring { .. } => "W6007",
            Self::KeyringMalformed { .. } => "W6008",
            Self::KeyringForeign { .. } => "W6009",
            Self::Destroyed { .. } => "W6010",
            Self::UnknownDataKey { .. } => "W6011",
            Self::Exhausted { .. } => "W6012",
            Self::DestroyInUse { .. } => "W6013",
            Self::TooLarge { .. } => "W6014",
            Self::Malformed { .. } => "W6015",
            Self::Tampered { .. } => "W6016",
            Self::Compression { .. } => "W6017",
            Self::Randomness => "W6018",
            Self::SecretReference { .. } => "W6019",
            Self::SecretMissing { .. } => "W6020",
            Self::SecretUnreadable { .. } => "W6021",
            Self::PrivateFile { .. } => "W6022",
            Self::AuditKey { .. } => "W6023",
            Self::Age { .. } => "W6024",
            Self::Remote { .. } => "W6025",
            Self::SecretEmpty { .. } => "W6026",
            Self::SecretStale { .. } => "W6027",
        })
    }

    /// Whether the same call may succeed later without anyone's help: the disk that holds
    /// the key ring was full or read-only when a new day's key had to be written.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Keyring { .. }
                | Self::PrivateFile { .. }
                | Self::Remote { .. }
                | Self::Randomness
        )
    }
}
