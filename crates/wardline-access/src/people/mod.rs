//! People: who signs in to the console, proven by the organisation's identity provider
//! ([`oidc`]) or by an account kept here ([`Accounts`]).
//!
//! Start with [`People`]. What a [`Person`] may do is asked of
//! [`policy`](crate::policy) with [`Person::caller`]; how long one stays signed in is the
//! console's business.

mod account;
mod lockout;
pub mod oidc;
mod password;
#[cfg(test)]
mod tests;
mod totp;

pub use account::{
    AccountChange, AccountChanged, AccountError, AccountView, Accounts, Enrolment, NotLetIn,
};
pub use password::{LEAST_PASSWORD, WeakPassword};

use crate::policy::Facts;
use crate::{AccessError, Caller, CallerKind, Strength};
use lockout::{Gate, Lockout};
use oidc::{Pending, Provider};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, Timestamp, Zone};
use wardline_vault::AuditEntry;

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Name, password and one-time code of an account kept here.
    Account,
    /// The organisation's identity provider.
    Provider,
}

impl Proof {
    /// Its name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Provider => "oidc",
        }
    }
}

/// Somebody who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name in policies and in the audit log.
    pub name: Arc<str>,
    /// The name in full, for the screen.
    pub title: Option<Arc<str>>,
    /// Roles.
    pub roles: BTreeSet<Arc<str>>,
    /// How that was proven.
    pub proof: Proof,
    /// What the identity provider calls the person, never given to another one.
    pub subject: Option<Arc<str>>,
}

impl Person {
    /// The person as policies see one; `purpose` is what a payload is looked at for.
    pub fn caller(&self, purpose: Option<&str>) -> Caller {
        Caller {
            name: Arc::clone(&self.name),
            kind: CallerKind::Person,
            zone: Zone::Admin,
            scopes: BTreeSet::new(),
            roles: self.roles.clone(),
            facilities: BTreeSet::new(),
            strength: Strength::Secret,
            purpose: purpose.map(Arc::from),
            until: None,
        }
    }

    /// Who it is in the audit log.
    pub fn actor(&self) -> String {
        format!("user:{}", self.name)
    }
}

/// What is known at a moment, for policies: the admin zone, the hour where the hospital is.
pub fn facts(now: Timestamp, zone: &jiff::tz::TimeZone) -> Facts {
    let local = now.to_jiff().to_zoned_datetime(zone.clone());
    Facts {
        hour: u8::try_from(local.hour()).unwrap_or(0),
        weekday: u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(1),
        ..Facts::at(Zone::Admin)
    }
}

/// What became of a try to sign in, with the entries for the audit log. Nobody is in before
/// these are durable.
#[derive(Debug)]
pub struct Tried {
    /// Who came in, or what to tell who did not.
    pub outcome: Result<Person, Refused>,
    /// What the audit log must hold.
    pub entries: Vec<AuditEntry>,
}

/// What somebody who did not come in is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Name, password or code is wrong; which of them, nobody is told.
    Wrong,
    /// Nothing was looked at: too many tries failed before.
    Wait(Duration),
    /// The organisation knows the person, and nothing here is for them.
    NoRole,
    /// The identity provider did not vouch for the person as it must.
    Provider,
    /// It cannot be asked.
    Unreachable,
    /// Accounts kept here do not sign in.
    NotHere,
    /// A file or key of ours cannot be used.
    Internal,
}

/// Everybody who may sign in.
#[derive(Debug)]
pub struct People {
    accounts: Option<Accounts>,
    provider: Option<Provider>,
    lockout: Lockout,
    clock: Arc<dyn Clock>,
}

impl People {
    /// Accounts kept here, where they may sign in, and the identity provider, where there is one.
    pub fn new(
        accounts: Option<Accounts>,
        provider: Option<Provider>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            accounts,
            provider,
            lockout: Lockout::default(),
            clock,
        }
    }

    /// The accounts kept here.
    pub const fn accounts(&self) -> Option<&Accounts> {
        self.accounts.as_ref()
    }

    /// The identity provider.
    pub const fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets somebody in by an account kept here. Blocks for the time of a hash: call it where
    /// blocking is allowed, and not for many at once.
    pub fn sign_in(&self, name: &str, password: &str, code: &str, address: IpAddr) -> Tried {
        let Some(accounts) = &self.accounts else {
            return Tried {
                outcome: Err(Refused::NotHere),
                entries: Vec::new(),
            };
        };
        let name = name.trim().to_lowercase();
        self.tried(&name, address, |now| {
            accounts.sign_in(&name, password, code, now)
        })
    }

    /// What an invited person needs to enrol. As [`People::sign_in`].
    pub fn enrolment(
        &self,
        name: &str,
        invitation: &str,
        address: IpAddr,
    ) -> (Result<Enrolment, Refused>, Vec<AuditEntry>) {
        let Some(accounts) = &self.accounts else {
            return (Err(Refused::NotHere), Vec::new());
        };
        let name = name.trim().to_lowercase();
        let now = self.now();
        if let Gate::Closed(wait) = self.lockout.ask(&name, address, now) {
            return (Err(Refused::Wait(wait)), Vec::new());
        }
        match accounts.enrolment(&name, invitation, now) {
            Ok(Ok(enrolment)) => (Ok(enrolment), Vec::new()),
            Ok(Err(why)) => {
                let (refused, entries) = self.not_let_in(&name, address, now, 0, why);
                (Err(refused), entries)
            }
            Err(error) => (Err(internal(&error)), Vec::new()),
        }
    }

    /// Enrols an invited person and lets them in. As [`People::sign_in`]; `Err` where the
    /// password cannot be taken.
    ///
    /// # Errors
    /// What is wrong with the password.
    pub fn enrol(
        &self,
        name: &str,
        invitation: &str,
        password: &str,
        code: &str,
        address: IpAddr,
    ) -> Result<Tried, WeakPassword> {
        let Some(accounts) = &self.accounts else {
            return Ok(Tried {
                outcome: Err(Refused::NotHere),
                entries: Vec::new(),
            });
        };
        let name = name.trim().to_lowercase();
        let mut weak = None;
        let mut tried = self.tried(&name, address, |now| {
            match accounts.enrol(&name, invitation, password, code, now) {
                Ok(answer) => Ok(answer),
                Err(AccountError::Access(error)) => Err(error),
                Err(AccountError::Password(why)) => {
                    weak = Some(why);
                    Ok(Err(NotLetIn::Invitation))
                }
                Err(_) => Ok(Err(NotLetIn::Invitation)),
            }
        });
        if let Some(weak) = weak {
            // The invitation was right; a weak password is no guess at anything.
            self.lockout.came_in(&name);
            return Err(weak);
        }
        if tried.outcome.is_ok() {
            tried.entries.insert(
                0,
                AuditEntry::new(format!("user:{name}"), "person.enrol", &*name)
                    .with("address", address.to_string()),
            );
        }
        Ok(tried)
    }

    fn tried(
        &self,
        name: &str,
        address: IpAddr,
        try_it: impl FnOnce(Timestamp) -> Result<Result<AccountView, NotLetIn>, AccessError>,
    ) -> Tried {
        let now = self.now();
        let ignored = match self.lockout.ask(name, address, now) {
            Gate::Open { ignored } => ignored,
            Gate::Closed(wait) => {
                return Tried {
                    outcome: Err(Refused::Wait(wait)),
                    entries: Vec::new(),
                };
            }
        };
        match try_it(now) {
            Ok(Ok(account)) => {
                self.lockout.came_in(name);
                let person = Person {
                    name: account.name.as_str().into(),
                    title: account.title.as_deref().map(Arc::from),
                    roles: account
                        .roles
                        .iter()
                        .map(|role| role.as_str().into())
                        .collect(),
                    proof: Proof::Account,
                    subject: None,
                };
                Tried {
                    entries: vec![accepted(&person, address, ignored)],
                    outcome: Ok(person),
                }
            }
            Ok(Err(why)) => {
                let (refused, entries) = self.not_let_in(name, address, now, ignored, why);
                Tried {
                    outcome: Err(refused),
                    entries,
                }
            }
            Err(error) => Tried {
                outcome: Err(internal(&error)),
                entries: Vec::new(),
            },
        }
    }

    fn not_let_in(
        &self,
        name: &str,
        address: IpAddr,
        now: Timestamp,
        ignored: u64,
        why: NotLetIn,
    ) -> (Refused, Vec<AuditEntry>) {
        let wait = self.lockout.failed(name, address, now);
        // A name is written down where there is somebody of that name: what stands there
        // otherwise may be a password in the wrong field.
        let known = self
            .accounts
            .as_ref()
            .is_some_and(|accounts| accounts.knows(name).unwrap_or(false));
        let claimed = if known { name } else { "" };
        let mut entries =
            vec![refused(claimed, address, &why.to_string()).with("ignored_before", ignored)];
        if let Some(wait) = wait {
            entries.push(
                AuditEntry::new(
                    "system:access",
                    "signin.lock",
                    if known { name } else { "console" },
                )
                .because(format!("tries are ignored for {} s", wait.as_secs()))
                .with("address", address.to_string()),
            );
        }
        (Refused::Wrong, entries)
    }

    /// Finishes what [`Provider::begin`] began, with what the identity provider sent back.
    pub async fn sign_in_by_provider(
        &self,
        pending: Pending,
        code: &str,
        issuer: Option<&str>,
        address: IpAddr,
    ) -> Tried {
        let Some(provider) = &self.provider else {
            return Tried {
                outcome: Err(Refused::NotHere),
                entries: Vec::new(),
            };
        };
        let not = |told: Refused, why: String| Tried {
            outcome: Err(told),
            entries: vec![refused("", address, &why)],
        };
        let person = match provider.finish(pending, code, issuer, self.now()).await {
            Ok(person) => person,
            Err(oidc::NotVouched::Unreachable(why)) => {
                tracing::warn!(why, "the identity provider cannot be asked");
                return not(Refused::Unreachable, why);
            }
            Err(why) => {
                let mut tried = not(
                    if matches!(why, oidc::NotVouched::NoRole { .. }) {
                        Refused::NoRole
                    } else {
                        Refused::Provider
                    },
                    why.to_string(),
                );
                if let oidc::NotVouched::NoRole { name } = &why {
                    tried.entries = vec![refused(
                        name,
                        address,
                        "no group of the person brings a role",
                    )];
                }
                return tried;
            }
        };
        // One name, one person: whoever the provider calls as an account here is called is
        // not that account.
        let taken = match &self.accounts {
            Some(accounts) => accounts.knows(&person.name),
            None => Ok(false),
        };
        match taken {
            Ok(false) => Tried {
                entries: vec![accepted(&person, address, 0)],
                outcome: Ok(person),
            },
            Ok(true) => not(
                Refused::Provider,
                "an account kept here has the same name".to_owned(),
            ),
            Err(error) => Tried {
                outcome: Err(internal(&error)),
                entries: Vec::new(),
            },
        }
    }
}

fn internal(error: &AccessError) -> Refused {
    tracing::error!(code = %error.code(), %error, "accounts cannot be used");
    Refused::Internal
}

fn accepted(person: &Person, address: IpAddr, ignored: u64) -> AuditEntry {
    let roles: Vec<String> = person
        .roles
        .iter()
        .map(std::string::ToString::to_string)
        .collect();
    let mut entry = AuditEntry::new(person.actor(), "signin.accept", "console")
        .with("by", person.proof.name())
        .with("roles", roles)
        .with("address", address.to_string());
    if ignored > 0 {
        entry = entry.with("ignored_before", ignored);
    }
    if let Some(subject) = &person.subject {
        entry = entry.with("subject", &**subject);
    }
    entry
}

fn refused(claimed: &str, address: IpAddr, why: &str) -> AuditEntry {
    AuditEntry::new(format!("address:{address}"), "signin.refuse", "console")
        .because(why)
        .with("claimed", claimed)
        .with("address", address.to_string())
}
