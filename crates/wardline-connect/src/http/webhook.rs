//! Webhook signatures by the Standard Webhooks specification 1.0: HMAC-SHA-256 over
//! `id.timestamp.body`, base64, in `webhook-signature: v1,…`, several separated by blanks.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use wardline_core::Timestamp;

use super::webhook_key::{WebhookKey, bad, read_all};
use crate::{ConnectError, Secret};

/// `webhook-id`: the same for every attempt of one message, so it also tells duplicates.
pub(super) const ID: &str = "webhook-id";
pub(super) const TIME: &str = "webhook-timestamp";
pub(super) const SIGNATURE: &str = "webhook-signature";
/// How far the sender's clock may be off, either way.
const TOLERANCE: Duration = Duration::from_mins(5);
/// Signatures looked at in one request; a sender that rotates keys sends two.
const MOST_SIGNATURES: usize = 8;

/// The keys that a webhook may be signed with: one, or two while they are being changed.
#[derive(Clone)]
pub struct WebhookKeys(Vec<Key>);

/// One key to verify with.
#[derive(Clone)]
enum Key {
    /// `v1`: HMAC-SHA-256 under a shared key.
    Shared(Box<hmac::Key>),
    /// `v1a`: Ed25519 of the sender's own key.
    Theirs([u8; 32]),
}

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKeys({})", self.0.len())
    }
}

impl WebhookKeys {
    /// Reads secrets as the specification writes them, `whsec_` and base64. Text without the
    /// prefix is taken as the key itself, and `whpk_` as a sender's Ed25519 key. `name` is the
    /// connection's, for errors.
    pub fn new(name: &str, secrets: &[Secret]) -> Result<Self, ConnectError> {
        let key = |key| match key {
            WebhookKey::Shared(key) => Ok(Key::Shared(key)),
            WebhookKey::Theirs(public) => Ok(Key::Theirs(public)),
            WebhookKey::Own(_) => Err(bad(
                name,
                "`whsk_` is a private key and signs: to verify, name its public half, `whpk_…`",
            )),
        };
        read_all(name, secrets, key).map(Self)
    }

    pub(super) fn has_headers(headers: &HeaderMap) -> bool {
        [ID, TIME, SIGNATURE]
            .iter()
            .all(|name| headers.contains_key(*name))
    }

    /// Whether the request was signed with one of the keys, lately.
    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(time), Some(signatures)) = (text(ID), text(TIME), text(SIGNATURE))
        else {
            return false;
        };
        let Ok(seconds) = time.parse::<i64>() else {
            return false;
        };
        let signed =
            Timestamp::from_unix_ms(seconds.saturating_mul(1000).clamp(0, i64::MAX / 1000));
        if now.since(signed).max(signed.since(now)) > TOLERANCE {
            return false;
        }
        let given = signatures.split_ascii_whitespace().take(MOST_SIGNATURES);
        given
            .filter_map(|entry| entry.split_once(','))
            .any(|(scheme, tag)| {
                let Ok(tag) = STANDARD.decode(tag) else {
                    return false;
                };
                self.0.iter().any(|key| match key {
                    Key::Shared(key) => scheme == "v1" && verifies(key, id, time, body, &tag),
                    Key::Theirs(public) => {
                        let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
                        scheme == "v1a"
                            && UnparsedPublicKey::new(&ED25519, public)
                                .verify(&signed, &tag)
                                .is_ok()
                    }
                })
            })
    }
}

fn verifies(key: &hmac::Key, id: &str, time: &str, body: &[u8], tag: &[u8]) -> bool {
    let mut context = hmac::Context::with_key(key);
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        context.update(part);
    }
    // Both sides are hashed once more under the same key, so that comparing them tells nothing.
    let expected = context.sign();
    hmac::verify(key, tag, hmac::sign(key, expected.as_ref()).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED_AT: i64 = 1_614_265_330;

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ID, "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert(TIME, SIGNED_AT.to_string().parse().unwrap());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    #[test]
    fn the_published_example_verifies() {
        let keys = WebhookKeys::new("t", &[SECRET.into()]).unwrap();
        let right = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(keys.verify(&right, BODY, at(SIGNED_AT)));
        assert!(keys.verify(&right, BODY, at(SIGNED_AT + 300)));
        assert!(keys.verify(&right, BODY, at(SIGNED_AT - 300)));
        assert!(!keys.verify(&right, BODY, at(SIGNED_AT + 301)));
        assert!(!keys.verify(&right, BODY, at(SIGNED_AT - 301)));
        assert!(!keys.verify(&right, br#"{"test": 2432232315}"#, at(SIGNED_AT)));
        assert!(keys.verify(
            &headers("v1a,xyz v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            BODY,
            at(SIGNED_AT)
        ));
        for wrong in [
            "",
            "v1,",
            "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "v1,AAAA",
        ] {
            assert!(
                !keys.verify(&headers(wrong), BODY, at(SIGNED_AT)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn either_of_two_keys_will_do() {
        let keys =
            WebhookKeys::new("t", &["another-key-of-enough-length".into(), SECRET.into()]).unwrap();
        assert!(keys.verify(
            &headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            BODY,
            at(SIGNED_AT)
        ));
        let other = WebhookKeys::new("t", &["another-key-of-enough-length".into()]).unwrap();
        assert!(!other.verify(
            &headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            BODY,
            at(SIGNED_AT)
        ));
    }

    #[test]
    fn weak_secrets_are_refused() {
        for secrets in [vec![], vec!["short".into()], vec!["whsec_???".into()]] {
            assert!(WebhookKeys::new("t", &secrets).is_err());
        }
    }
}
