//! What is asked of messages that come.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::replay::Replay;
use super::signature::{self, Ids};
use super::token::{Token, only, timestamp};
use super::{DSIG, SecurityError, WSSE, WSU};
use crate::envelope::Envelope;
use crate::xml::Element;

/// A user and the passwords that it may use: the one in force and, while it is changed, the one
/// before.
#[derive(Clone)]
pub struct Credential {
    /// Its name.
    pub user: String,
    /// Its passwords.
    pub passwords: Vec<Vec<u8>>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Users that may send; no user token is asked for where there are none.
    pub users: Vec<Credential>,
    /// Whether a password may come as text instead of a digest; only where TLS hides it.
    pub plain: bool,
    /// Certificates (DER) of which one must have signed; no signature is asked for where there
    /// are none.
    pub certificates: Vec<Vec<u8>>,
    /// How far a time may be off.
    pub skew: Duration,
}

impl Policy {
    /// Certificates of a PEM file, for [`Policy::certificates`].
    pub fn certificates_of(pem: &[u8]) -> Vec<Vec<u8>> {
        signature::pem(pem, "CERTIFICATE")
    }
}

/// Who sent a message, as far as it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The user.
    pub user: Option<String>,
    /// The subject of the certificate that signed.
    pub subject: Option<String>,
}

/// Holds messages against a policy, and remembers which came lately.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
    replay: Mutex<Replay>,
}

impl Guard {
    /// A guard for one place where messages come in.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            replay: Mutex::default(),
        }
    }

    /// Whether anything is asked of messages.
    pub fn asks(&self) -> bool {
        !self.policy.users.is_empty() || !self.policy.certificates.is_empty()
    }

    /// Who sent a message.
    ///
    /// # Errors
    /// Why it is not believed; for the log, not for the sender.
    pub fn check(&self, envelope: &Envelope, now: Timestamp) -> Result<Verified, SecurityError> {
        if !self.asks() {
            return Ok(Verified::default());
        }
        let header = envelope.header().ok_or(SecurityError::Header)?;
        let security = only(header, WSSE, "Security").map_err(|_| SecurityError::Header)?;
        let ids = Ids::of(&envelope.root)?;
        let stamp = match security.child(WSU, "Timestamp") {
            Some(_) => Some(only(security, WSU, "Timestamp")?),
            None => None,
        };
        if let Some(stamp) = stamp {
            self.fresh(stamp, now)?;
        }
        let mut verified = Verified::default();
        let mut marks: Vec<Vec<u8>> = Vec::new();
        let mut token = None;
        if !self.policy.users.is_empty() {
            let element = only(security, WSSE, "UsernameToken")?;
            verified.user = Some(self.user(element, now, &mut marks)?);
            token = Some(element);
        }
        if !self.policy.certificates.is_empty() {
            let element = only(security, DSIG, "Signature")?;
            let signed = signature::read(element, security, &ids, &self.policy.certificates)?;
            let subject = signature::subject(&signed.certificate, now.as_second())?;
            let body = envelope.body().ok_or(SecurityError::Malformed)?;
            let stamp = stamp.ok_or(SecurityError::Part("Timestamp"))?;
            let asked = [
                (Some(body), "body"),
                (Some(stamp), "timestamp"),
                (token, "user token"),
            ];
            for (element, word) in asked {
                if element.is_some_and(|element| !signed.covers(element)) {
                    return Err(SecurityError::NotCovered(word));
                }
            }
            verified.subject = Some(subject);
            marks.push(signed.value);
        }
        // Only who is known may fill the memory.
        let mut replay = self.replay.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = 2 * self.skew() + 1;
        for mark in &marks {
            let user = verified.user.as_deref().unwrap_or_default();
            replay.first(&[user.as_bytes(), mark], now.as_second(), keep)?;
        }
        Ok(verified)
    }

    fn skew(&self) -> i64 {
        i64::try_from(self.policy.skew.as_secs())
            .unwrap_or(i64::MAX / 4)
            .min(86_400)
    }

    fn near(&self, time: Timestamp, now: Timestamp) -> Result<(), SecurityError> {
        if (time.as_second() - now.as_second()).abs() > self.skew() {
            return Err(SecurityError::Stale);
        }
        Ok(())
    }

    fn fresh(&self, stamp: &Element, now: Timestamp) -> Result<(), SecurityError> {
        let (created, expires) = timestamp(stamp)?;
        self.near(created, now)?;
        if expires.is_some_and(|expires| expires < now || expires < created) {
            return Err(SecurityError::Stale);
        }
        Ok(())
    }

    fn user(
        &self,
        element: &Element,
        now: Timestamp,
        marks: &mut Vec<Vec<u8>>,
    ) -> Result<String, SecurityError> {
        let token = Token::read(element)?;
        if token.is_digest() {
            let (nonce, created) = token.fresh()?;
            self.near(created, now)?;
            marks.push(nonce.to_vec());
        } else if !self.policy.plain {
            return Err(SecurityError::PlainPassword);
        }
        // All are tried, so that the time does not tell which user exists.
        let mut right = false;
        for known in &self.policy.users {
            for password in &known.passwords {
                let holds = token.is_right(password);
                right |= holds && known.user == token.user;
            }
        }
        if right {
            Ok(token.user)
        } else {
            Err(SecurityError::Credential)
        }
    }
}
