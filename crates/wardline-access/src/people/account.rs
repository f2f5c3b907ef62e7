//! Accounts of people, kept beside the data in a private file: name, roles, the hash of a
//! password, and the secret of the one-time codes wrapped by the master key. For houses
//! without an identity provider, and for the day when it is down.

use super::password::{self, Hashed, WeakPassword};
use super::totp;
use crate::AccessError;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Timestamp;
use wardline_vault::{KeyProvider, PrivateFile, WrappedKey};
use zeroize::Zeroizing;

const VERSION: u32 = 1;
/// More people than a hospital has who mend integrations.
const MOST: usize = 2_000;
/// How long an invitation is good.
const INVITED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Random bytes of an invitation: 160 bits in 32 letters.
const INVITATION: usize = 20;

/// What can keep an account from being changed as somebody wishes.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    /// File or master key.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A name that is none.
    #[error(
        "`{0}` cannot be the name of a person: write letters, digits and `.-_@`, at most 64, such as `anna.diaz`"
    )]
    Name(String),
    /// Nobody of that name.
    #[error("there is no account `{0}`: `wardline people list` shows all")]
    Unknown(String),
    /// Somebody of that name.
    #[error(
        "there is an account `{0}` already: `wardline people reset {0}` invites that person anew"
    )]
    Taken(String),
    /// A role that nothing is known of.
    #[error("there is no role `{role}`: roles are {known}")]
    Role {
        /// What was asked for.
        role: String,
        /// What there is.
        known: String,
    },
    /// Somebody without a role could do nothing.
    #[error("somebody without a role may do nothing: give `--roles`, of which there are {0}")]
    NoRole(String),
    /// A password that is too easy.
    #[error("{0}: choose another")]
    Password(#[from] WeakPassword),
    /// Too many.
    #[error("there are {MOST} accounts, which is the most")]
    Full,
}

impl From<wardline_vault::VaultError> for AccountError {
    fn from(error: wardline_vault::VaultError) -> Self {
        Self::Access(error.into())
    }
}

/// An account as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// The name that is typed to sign in.
    pub name: String,
    /// The person's name in full.
    pub title: Option<String>,
    /// Roles.
    pub roles: BTreeSet<String>,
    /// `active`, `invited`, `invitation expired` or `disabled`.
    pub state: String,
    /// When it was made.
    pub made: Timestamp,
    /// When its person was here last.
    pub signed_in: Option<Timestamp>,
}

/// A change to the accounts. Deliberately without `Debug`: it may hold a password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum AccountChange {
    /// Makes an account, and invites its person unless a password is given.
    Add {
        /// Its name.
        name: String,
        /// The person's name in full.
        title: Option<String>,
        /// Roles.
        roles: BTreeSet<String>,
        /// A first password.
        password: Option<String>,
    },
    /// Forgets password and one-time codes, and invites anew unless a password is given.
    Reset {
        /// Whose.
        name: String,
        /// A new password.
        password: Option<String>,
    },
    /// Gives other roles.
    Roles {
        /// To whom.
        name: String,
        /// All roles from now on.
        roles: BTreeSet<String>,
    },
    /// Refuses somebody from now on.
    Disable {
        /// Whom.
        name: String,
    },
    /// Lets somebody in again.
    Enable {
        /// Whom.
        name: String,
    },
}

impl AccountChange {
    /// Whom it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Add { name, .. }
            | Self::Reset { name, .. }
            | Self::Roles { name, .. }
            | Self::Disable { name }
            | Self::Enable { name } => name,
        }
    }

    /// What it is in the audit log.
    pub const fn act(&self) -> &'static str {
        match self {
            Self::Add { .. } => "person.add",
            Self::Reset { .. } => "person.reset",
            Self::Roles { .. } => "person.roles",
            Self::Disable { .. } => "person.disable",
            Self::Enable { .. } => "person.enable",
        }
    }
}

/// What a change brought. Deliberately without `Debug`: it may hold an invitation or a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccountChanged {
    /// The account now.
    pub account: AccountView,
    /// The invitation, to be handed to the person; shown this once.
    pub invitation: Option<String>,
    /// The secret of one-time codes as an `otpauth:` link; shown this once.
    pub otpauth: Option<String>,
}

/// What somebody enrols with.
pub struct Enrolment {
    /// The secret as an `otpauth:` link, for a QR code.
    pub otpauth: Zeroizing<String>,
    /// The secret as people type it.
    pub secret: Zeroizing<String>,
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment(…)")
    }
}

/// The accounts of one estate. Reads its file each time, so that what another process changed
/// holds at once; calls block for the time of a small file, and of a hash where passwords are.
pub struct Accounts {
    file: PrivateFile,
    estate: String,
    provider: Arc<dyn KeyProvider>,
    roles: BTreeSet<String>,
    /// Stands in for the password of who does not exist, so that asking takes as long.
    nobody: Hashed,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("file", &self.file.path())
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    version: u32,
    estate: String,
    accounts: BTreeMap<String, Account>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    title: Option<String>,
    roles: BTreeSet<String>,
    made: Timestamp,
    disabled: bool,
    password: Option<Hashed>,
    /// 32 random bytes, of which the first twenty are the secret: the master key wraps keys.
    codes: Option<WrappedKey>,
    /// The step of the last code that was taken.
    step: i64,
    invitation: Option<Invitation>,
    signed_in: Option<Timestamp>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitation {
    /// SHA-256 of it, in hexadecimal: 160 random bits need no slow hash.
    hash: String,
    until: Timestamp,
}

/// Why somebody did not come in. For the audit log: whoever tried is told no more than that
/// name, password or code is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLetIn {
    /// Nobody of that name.
    #[error("there is no such account")]
    Unknown,
    /// The account is switched off.
    #[error("the account is disabled")]
    Disabled,
    /// The person was invited and has not enrolled.
    #[error("the person has not enrolled yet")]
    NotEnrolled,
    /// Another password.
    #[error("wrong password")]
    Password,
    /// Another code, or one for another time.
    #[error("wrong one-time code")]
    Code,
    /// The right code, which was used.
    #[error("a one-time code was used again")]
    UsedCode,
    /// No invitation, another one, or one too old.
    #[error("no such invitation, or it has expired")]
    Invitation,
}

impl Accounts {
    /// Accounts of a data directory. `roles` are those that may be given.
    ///
    /// # Errors
    /// Where the file is there and cannot be used.
    pub fn open(
        data: &Path,
        estate: &str,
        provider: Arc<dyn KeyProvider>,
        roles: impl IntoIterator<Item = String>,
    ) -> Result<Self, AccessError> {
        let opened = Self {
            file: PrivateFile::new(data.join("people.json"), 4 << 20),
            estate: estate.to_owned(),
            provider,
            roles: roles.into_iter().collect(),
            nobody: Hashed::new("nobody has this password")?,
        };
        opened.read()?;
        Ok(opened)
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn list(&self, now: Timestamp) -> Result<Vec<AccountView>, AccessError> {
        let book = self.read()?;
        let views = book.accounts.iter();
        Ok(views
            .map(|(name, account)| view(name, account, now))
            .collect())
    }

    /// Whether there is an account of that name.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn knows(&self, name: &str) -> Result<bool, AccessError> {
        Ok(self.read()?.accounts.contains_key(&name.to_lowercase()))
    }

    /// Makes a change durable.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn change(
        &self,
        change: AccountChange,
        now: Timestamp,
    ) -> Result<AccountChanged, AccountError> {
        // Hashing takes long; the file is not locked meanwhile.
        let hashed = match &change {
            AccountChange::Add { name, password, .. } | AccountChange::Reset { name, password } => {
                match password {
                    Some(password) => {
                        password::may_be_chosen(name, password)?;
                        Some(Hashed::new(password)?)
                    }
                    None => None,
                }
            }
            _ => None,
        };
        self.update(|book| {
            let unknown = |name: &str| AccountError::Unknown(name.to_owned());
            let name = change.name().to_owned();
            let (mut invitation, mut otpauth) = (None, None);
            match change {
                AccountChange::Add { title, roles, .. } => {
                    if !is_name(&name) {
                        return Err(AccountError::Name(name));
                    }
                    if book.accounts.contains_key(&name) {
                        return Err(AccountError::Taken(name));
                    }
                    if book.accounts.len() >= MOST {
                        return Err(AccountError::Full);
                    }
                    self.check_roles(&roles)?;
                    let mut account = Account {
                        title,
                        roles,
                        made: now,
                        disabled: false,
                        password: None,
                        codes: None,
                        step: 0,
                        invitation: None,
                        signed_in: None,
                    };
                    (invitation, otpauth) = self.begin(&name, &mut account, hashed, now)?;
                    book.accounts.insert(name.clone(), account);
                }
                AccountChange::Reset { .. } => {
                    let account = book.accounts.get_mut(&name).ok_or_else(|| unknown(&name))?;
                    (invitation, otpauth) = self.begin(&name, account, hashed, now)?;
                }
                AccountChange::Roles { roles, .. } => {
                    self.check_roles(&roles)?;
                    book.accounts
                        .get_mut(&name)
                        .ok_or_else(|| unknown(&name))?
                        .roles = roles;
                }
                AccountChange::Disable { .. } => {
                    book.accounts
                        .get_mut(&name)
                        .ok_or_else(|| unknown(&name))?
                        .disabled = true;
                }
                AccountChange::Enable { .. } => {
                    book.accounts
                        .get_mut(&name)
                        .ok_or_else(|| unknown(&name))?
                        .disabled = false;
                }
            }
            let account = book.accounts.get(&name).ok_or_else(|| unknown(&name))?;
            Ok(AccountChanged {
                account: view(&name, account, now),
                invitation,
                otpauth,
            })
        })
    }

    /// New credentials: with a password at once, without one by an invitation.
    fn begin(
        &self,
        name: &str,
        account: &mut Account,
        hashed: Option<Hashed>,
        now: Timestamp,
    ) -> Result<(Option<String>, Option<String>), AccountError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        fill(&mut *bytes)?;
        account.codes = Some(self.provider.wrap(&self.purpose(name), &bytes)?);
        account.step = 0;
        account.password = hashed;
        account.invitation = None;
        if account.password.is_some() {
            let uri = totp::uri(&self.estate, name, &bytes[..totp::SECRET]);
            return Ok((None, Some(uri.to_string())));
        }
        let mut random = Zeroizing::new([0_u8; INVITATION]);
        fill(&mut *random)?;
        let invitation = totp::base32(&*random).to_string();
        account.invitation = Some(Invitation {
            hash: hash(&invitation),
            until: now.after(INVITED_FOR),
        });
        Ok((Some(invitation), None))
    }

    /// What an invited person needs to enrol.
    ///
    /// # Errors
    /// `Err` outside where the file or the master key cannot be used; inside, why not.
    pub fn enrolment(
        &self,
        name: &str,
        invitation: &str,
        now: Timestamp,
    ) -> Result<Result<Enrolment, NotLetIn>, AccessError> {
        let name = name.to_lowercase();
        let book = self.read()?;
        let Some(account) = book
            .accounts
            .get(&name)
            .filter(|a| a.invites(invitation, now))
        else {
            return Ok(Err(NotLetIn::Invitation));
        };
        let Some(secret) = self.secret(&name, account)? else {
            return Ok(Err(NotLetIn::Invitation));
        };
        Ok(Ok(Enrolment {
            otpauth: totp::uri(&self.estate, &name, &secret[..totp::SECRET]),
            secret: totp::base32(&secret[..totp::SECRET]),
        }))
    }

    /// Enrols an invited person, who has chosen a password and shown a first code.
    ///
    /// # Errors
    /// Outside, what speaks against the password or keeps the file from being used; inside,
    /// why not.
    pub fn enrol(
        &self,
        name: &str,
        invitation: &str,
        password: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<Result<AccountView, NotLetIn>, AccountError> {
        let name = name.to_lowercase();
        let book = self.read()?;
        let account = book
            .accounts
            .get(&name)
            .filter(|a| a.invites(invitation, now));
        let Some(account) = account else {
            return Ok(Err(NotLetIn::Invitation));
        };
        password::may_be_chosen(&name, password)?;
        let Some(secret) = self.secret(&name, account)? else {
            return Ok(Err(NotLetIn::Invitation));
        };
        let Some(step) = totp::check(&secret[..totp::SECRET], code, seconds(now), 0) else {
            return Ok(Err(NotLetIn::Code));
        };
        let hashed = Hashed::new(password)?;
        self.update(|book| {
            let account = book.accounts.get_mut(&name);
            // Meanwhile somebody else may have used it.
            let Some(account) = account.filter(|account| account.invites(invitation, now)) else {
                return Ok(Err(NotLetIn::Invitation));
            };
            account.password = Some(hashed);
            account.step = step;
            account.invitation = None;
            Ok(Ok(view(&name, account, now)))
        })
    }

    /// Lets somebody in by name, password and code. Takes as long whatever is wrong.
    ///
    /// # Errors
    /// Outside where the file or the master key cannot be used; inside, why not.
    pub(crate) fn sign_in(
        &self,
        name: &str,
        password: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<Result<AccountView, NotLetIn>, AccessError> {
        let name = name.to_lowercase();
        let book = self.read()?;
        let account = book.accounts.get(&name);
        let kept = account.and_then(|account| account.password.as_ref());
        let right = kept.unwrap_or(&self.nobody).fits(password);
        let secret = match account {
            Some(account) => self.secret(&name, account)?,
            None => None,
        };
        let none = Zeroizing::new([0_u8; 32]);
        let secret_or_none = secret.as_ref().unwrap_or(&none);
        let last = account.map_or(0, |account| account.step);
        let seconds = seconds(now);
        let fresh = totp::check(&secret_or_none[..totp::SECRET], code, seconds, last);
        let used = totp::check(&secret_or_none[..totp::SECRET], code, seconds, 0);
        let Some(account) = account else {
            return Ok(Err(NotLetIn::Unknown));
        };
        let refused = if account.disabled {
            Some(NotLetIn::Disabled)
        } else if kept.is_none() || secret.is_none() {
            Some(NotLetIn::NotEnrolled)
        } else if !right {
            Some(NotLetIn::Password)
        } else if fresh.is_none() && used.is_some() {
            Some(NotLetIn::UsedCode)
        } else if fresh.is_none() {
            Some(NotLetIn::Code)
        } else {
            None
        };
        let (None, Some(step)) = (refused, fresh) else {
            return Ok(Err(refused.unwrap_or(NotLetIn::Code)));
        };
        let kept = kept.cloned();
        self.update(|book| {
            // Read again under the lock: of two who show one code at once, one comes in.
            let account = book.accounts.get_mut(&name);
            let Some(account) = account.filter(|a| !a.disabled && a.password == kept) else {
                return Ok(Err(NotLetIn::Disabled));
            };
            if step <= account.step {
                return Ok(Err(NotLetIn::UsedCode));
            }
            account.step = step;
            account.signed_in = Some(now);
            Ok(Ok(view(&name, account, now)))
        })
    }

    fn secret(
        &self,
        name: &str,
        account: &Account,
    ) -> Result<Option<Zeroizing<[u8; 32]>>, AccessError> {
        match &account.codes {
            Some(wrapped) => Ok(Some(self.provider.unwrap(&self.purpose(name), wrapped)?)),
            None => Ok(None),
        }
    }

    fn purpose(&self, name: &str) -> String {
        format!("one-time codes {} {name}", self.estate)
    }

    fn check_roles(&self, roles: &BTreeSet<String>) -> Result<(), AccountError> {
        let known = || self.roles.iter().cloned().collect::<Vec<_>>().join(", ");
        if roles.is_empty() {
            return Err(AccountError::NoRole(known()));
        }
        match roles.iter().find(|role| !self.roles.contains(*role)) {
            Some(role) => Err(AccountError::Role {
                role: role.clone(),
                known: known(),
            }),
            None => Ok(()),
        }
    }

    fn read(&self) -> Result<Book, AccessError> {
        match self.file.read()? {
            Some(bytes) => self.parse(&bytes),
            None => Ok(self.empty()),
        }
    }

    fn empty(&self) -> Book {
        Book {
            version: VERSION,
            estate: self.estate.clone(),
            accounts: BTreeMap::new(),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Book, AccessError> {
        let malformed = |reason: String| AccessError::Accounts {
            path: self.file.path().to_owned(),
            reason,
        };
        let book: Book = serde_json::from_slice(bytes).map_err(|error| {
            // Not the error's own text, which may quote what stands there.
            malformed(format!("it is not one of accounts, line {}", error.line()))
        })?;
        if book.version != VERSION {
            return Err(malformed(format!("its version is {}", book.version)));
        }
        if book.estate != self.estate {
            return Err(malformed("it is of another estate".to_owned()));
        }
        Ok(book)
    }

    fn update<T, E: From<AccessError> + From<wardline_vault::VaultError>>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, E>,
    ) -> Result<T, E> {
        self.file.update(|before| {
            let mut book = match before {
                Some(bytes) => self.parse(bytes)?,
                None => self.empty(),
            };
            let result = change(&mut book)?;
            let mut text = serde_json::to_vec_pretty(&book).map_err(|error| {
                E::from(AccessError::Accounts {
                    path: self.file.path().to_owned(),
                    reason: error.to_string(),
                })
            })?;
            text.push(b'\n');
            Ok((Some(text), result))
        })
    }
}

impl Account {
    fn invites(&self, invitation: &str, now: Timestamp) -> bool {
        let written: String = invitation.chars().filter(|c| c.is_alphanumeric()).collect();
        let given = hash(&written.to_uppercase());
        !self.disabled
            && self.invitation.as_ref().is_some_and(|kept| {
                now < kept.until
                    && verify_slices_are_equal(given.as_bytes(), kept.hash.as_bytes()).is_ok()
            })
    }
}

fn view(name: &str, account: &Account, now: Timestamp) -> AccountView {
    let state = match &account.invitation {
        _ if account.disabled => "disabled",
        Some(invitation) if now < invitation.until => "invited",
        Some(_) => "invitation expired",
        None => "active",
    };
    AccountView {
        name: name.to_owned(),
        title: account.title.clone(),
        roles: account.roles.clone(),
        state: state.to_owned(),
        made: account.made,
        signed_in: account.signed_in,
    }
}

/// What a person may be called: also what stands in the audit log.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_@".contains(&byte)
        })
}

fn seconds(now: Timestamp) -> i64 {
    now.0.div_euclid(1_000_000)
}

fn hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        write!(out, "{byte:02x}").unwrap_or_default();
        out
    })
}

fn fill(bytes: &mut [u8]) -> Result<(), AccessError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| AccessError::NoKey)
}
