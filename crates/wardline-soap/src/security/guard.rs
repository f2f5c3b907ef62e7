//! What is asked of messages that come.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;

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
    policy: Arc<ArcSwap<Policy>>,
    replay: Mutex<Replay>,
}

impl Guard {
    /// A guard for one place where messages come in.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            replay: Mutex::default(),
        }
    }

    /// A guard whose policy may be changed while messages come. What came lately is still known then.
    pub fn over(policy: &Arc<ArcSwap<Policy>>) -> Self {
        Self {
            policy: Arc::clone(policy),
            replay: Mutex::default(),
        }
    }

    /// Whether user and password are those of the policy, for messages that carry them in their
    /// body because their description says so.
    pub fn knows(&self, user: &str, password: &str) -> bool {
        let policy = self.policy.load_full();
        let mut known = false;
        for one in &policy.users {
            for right in &one.passwords {
                let holds = verify_slices_are_equal(right, password.as_bytes()).is_ok();
                known |= holds && one.user == user;
            }
        }
        known
    }

    /// Who sent a message.
    ///
    /// # Errors
    /// Why it is not believed; for the log, not for the sender.
    pub fn check(&self, envelope: &Envelope, now: Timestamp) -> Result<Verified, SecurityError> {
        let policy = self.policy.load_full();
        self.check_by(&policy, envelope, now)
    }

    fn check_by(
        &self,
        policy: &Policy,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Result<Verified, SecurityError> {
        if !policy.asks() {
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
            policy.fresh(stamp, now)?;
        }
        let mut verified = Verified::default();
        let mut marks: Vec<Vec<u8>> = Vec::new();
        let mut token = None;
        if !policy.users.is_empty() {
            let element = only(security, WSSE, "UsernameToken")?;
            verified.user = Some(policy.user(element, now, &mut marks)?);
            token = Some(element);
        }
        if !policy.certificates.is_empty() {
            let element = only(security, DSIG, "Signature")?;
            let signed = signature::read(element, security, &ids, &policy.certificates)?;
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
        let keep = 2 * policy.skew() + 1;
        for mark in &marks {
            let user = verified.user.as_deref().unwrap_or_default();
            replay.first(&[user.as_bytes(), mark], now.as_second(), keep)?;
        }
        Ok(verified)
    }
}

impl Policy {
    /// Whether anything is asked of messages.
    pub fn asks(&self) -> bool {
        !self.users.is_empty() || !self.certificates.is_empty()
    }

    fn skew(&self) -> i64 {
        i64::try_from(self.skew.as_secs())
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
        } else if !self.plain {
            return Err(SecurityError::PlainPassword);
        }
        // All are tried, so that the time does not tell which user exists.
        let mut right = false;
        for known in &self.users {
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
