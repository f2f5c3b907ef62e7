//! People: how they sign in to the console, and what their groups make of them.

use super::{FileRef, SecretRef};
use crate::source::{Span, Spanned};
use std::time::Duration;

/// Roles that the built-in policies know. Those of an estate come on top.
pub const BUILT_IN_ROLES: [&str; 6] = [
    "integration-engineer",
    "support",
    "process-owner",
    "data-steward",
    "security-auditor",
    "administrator",
];

/// `people:` of `wardline.yaml`.
#[derive(Clone, Debug)]
pub struct People {
    /// Where browsers reach the console; its listener's address where absent.
    pub url: Option<Spanned<String>>,
    /// Whether accounts kept beside the data may sign in.
    pub local: bool,
    /// The organisation's own sign-in, by OpenID Connect.
    pub oidc: Option<Oidc>,
    /// Roles beyond the built-in ones.
    pub roles: Vec<Spanned<String>>,
    /// How long one stays signed in.
    pub session: SessionSettings,
}

impl People {
    /// Roles that somebody may be given.
    pub fn all_roles(&self) -> impl Iterator<Item = &str> {
        let own = self.roles.iter().map(|role| role.value.as_str());
        BUILT_IN_ROLES.into_iter().chain(own)
    }

    /// The URL without a `/` at its end, where the file gives one.
    pub fn base(&self) -> Option<&str> {
        self.url.as_ref().map(|url| url.value.trim_end_matches('/'))
    }
}

/// How long one stays signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Without a click for so long, and one is signed out.
    pub idle: Duration,
    /// However busy, one signs in again after so long.
    pub longest: Duration,
}

/// An identity provider that people sign in at (OpenID Connect Core 1.0, code flow).
#[derive(Clone, Debug)]
pub struct Oidc {
    /// What the button says: `Sign in with {title}`.
    pub title: String,
    /// Its issuer, exactly as it stands in its tokens.
    pub issuer: Spanned<String>,
    /// As what Wardline is registered there.
    pub client_id: String,
    /// The secret that it was given there; without one, PKCE alone.
    pub client_secret: Option<SecretRef>,
    /// Scopes that are asked for; `openid` is always among them.
    pub scopes: Vec<String>,
    /// The claim that names a person in the audit log.
    pub name: String,
    /// The claim that lists the groups of a person.
    pub groups: String,
    /// Which roles a group brings. A group that is not here brings none.
    pub roles: Vec<GroupRoles>,
    /// Of these one must be the `acr` of a sign-in, where there are any.
    pub acr: Vec<String>,
    /// All of these must be in its `amr`.
    pub amr: Vec<String>,
    /// The CA of the provider where it is none of the system's.
    pub ca: Option<FileRef>,
    /// Where it is declared.
    pub at: Span,
}

/// What a group of the identity provider brings.
#[derive(Clone, Debug)]
pub struct GroupRoles {
    /// The group, exactly as the claim has it.
    pub group: String,
    /// Roles.
    pub roles: Vec<Spanned<String>>,
}
