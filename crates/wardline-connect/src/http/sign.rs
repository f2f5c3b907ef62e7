//! Signing what is sent, by the Standard Webhooks specification 1.0: `webhook-id`,
//! `webhook-timestamp`, and in `webhook-signature` one signature for each key. Two keys while
//! one is being changed; a symmetric and an asymmetric one where receivers differ.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderName;
use wardline_core::Timestamp;

use super::webhook;
use super::webhook_key::{WebhookKey, bad, read_all};
use crate::{ConnectError, Secret};

enum Key {
    /// `v1`: HMAC-SHA-256.
    Shared(Box<hmac::Key>),
    /// `v1a`: Ed25519.
    Own(Box<Ed25519KeyPair>),
}

/// The keys that deliveries of one connection are signed with.
pub struct WebhookSigner(Vec<Key>);

impl fmt::Debug for WebhookSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSigner({})", self.0.len())
    }
}

impl WebhookSigner {
    /// Reads secrets as the specification writes them: `whsec_` and base64 of a shared key, or
    /// `whsk_` and base64 of an Ed25519 seed (32 bytes; a public half behind it is ignored). The
    /// newest first. `name` is the connection's, for errors.
    pub fn new(name: &str, secrets: &[Secret]) -> Result<Self, ConnectError> {
        let key = |key| match key {
            WebhookKey::Shared(key) => Ok(Key::Shared(key)),
            WebhookKey::Own(pair) => Ok(Key::Own(pair)),
            WebhookKey::Theirs(_) => Err(bad(
                name,
                "`whpk_` verifies and does not sign: name the private key, `whsk_…`",
            )),
        };
        read_all(name, secrets, key).map(Self)
    }

    /// The public halves of asymmetric keys, `whpk_…`, to be given to receivers.
    pub fn public_keys(&self) -> Vec<String> {
        let own = self.0.iter().filter_map(|key| match key {
            Key::Own(pair) => Some(pair.public_key()),
            Key::Shared(_) => None,
        });
        own.map(|key| format!("whpk_{}", STANDARD.encode(key)))
            .collect()
    }

    /// Puts the three headers of one delivery in place. `false` where the id fits no header.
    pub(super) fn sign(
        &self,
        headers: &mut HeaderMap,
        id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> bool {
        let seconds = now.0.div_euclid(1_000_000).to_string();
        let signed = [id.as_bytes(), b".", seconds.as_bytes(), b".", body].concat();
        let mut text = String::new();
        for key in &self.0 {
            if !text.is_empty() {
                text.push(' ');
            }
            match key {
                Key::Shared(key) => {
                    text.push_str("v1,");
                    STANDARD.encode_string(hmac::sign(key, &signed), &mut text);
                }
                Key::Own(pair) => {
                    text.push_str("v1a,");
                    STANDARD.encode_string(pair.sign(&signed), &mut text);
                }
            }
        }
        for (name, value) in [
            (webhook::ID, id),
            (webhook::TIME, seconds.as_str()),
            (webhook::SIGNATURE, text.as_str()),
        ] {
            let Ok(value) = value.parse() else {
                return false;
            };
            headers.insert(HeaderName::from_static(name), value);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::webhook::WebhookKeys;
    use super::*;

    fn public_only() -> String {
        format!("whpk_{}", STANDARD.encode([7; 32]))
    }

    #[test]
    fn what_is_signed_verifies_with_each_key_and_no_other() {
        let now = Timestamp::from_unix_ms(1_700_000_000_000);
        let shared = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let before = Secret::from("the key before this one");
        let own = Secret::from(format!("whsk_{}", STANDARD.encode([7; 32])).as_str());
        let signer = WebhookSigner::new("t", &[shared.clone(), before.clone(), own]).unwrap();
        let mut headers = HeaderMap::new();
        assert!(signer.sign(&mut headers, "0000-1", b"{}", now));
        let public = Secret::from(signer.public_keys()[0].as_str());
        for key in [shared, before, public] {
            let keys = WebhookKeys::new("t", &[key]).unwrap();
            assert!(keys.verify(&headers, b"{}", now));
            assert!(!keys.verify(&headers, b"{ }", now));
        }
        let stranger = WebhookKeys::new("t", &["another key of enough length".into()]).unwrap();
        assert!(!stranger.verify(&headers, b"{}", now));
        assert!(!signer.sign(&mut headers, "a\nb", b"{}", now));
        for bad in [
            "whsk_",
            "whsk_???",
            "whsk_AAAA",
            "whsec_?",
            "short",
            public_only().as_str(),
        ] {
            assert!(WebhookSigner::new("t", &[bad.into()]).is_err(), "{bad}");
        }
    }
}
