//! Webhook keys as the Standard Webhooks specification writes them: one reader for who signs and
//! for who verifies, so that a key which one side takes is never another to the other.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{ConnectError, Secret};

/// What a secret is.
pub(super) enum WebhookKey {
    /// `whsec_…`, or text without a prefix: a key that both sides know (`v1`, HMAC-SHA-256).
    Shared(Box<hmac::Key>),
    /// `whsk_…`: an Ed25519 key of our own (`v1a`).
    Own(Box<Ed25519KeyPair>),
    /// `whpk_…`: the public half of somebody else's (`v1a`).
    Theirs([u8; 32]),
}

/// A secret that is no key, or none that can be used here. `name` is the connection's.
pub(super) fn bad(name: &str, detail: &str) -> ConnectError {
    ConnectError::BadSetting {
        name: name.into(),
        what: "the webhook secret",
        value: "…".into(),
        detail: detail.into(),
    }
}

/// Reads secrets, of which there has to be one, and makes of each what `take` makes of it.
pub(super) fn read_all<T>(
    name: &str,
    secrets: &[Secret],
    take: impl Fn(WebhookKey) -> Result<T, ConnectError>,
) -> Result<Vec<T>, ConnectError> {
    if secrets.is_empty() {
        return Err(bad(name, "at least one is needed"));
    }
    secrets
        .iter()
        .map(|secret| take(read(name, secret)?))
        .collect()
}

fn read(name: &str, secret: &Secret) -> Result<WebhookKey, ConnectError> {
    let bad = |detail: &str| bad(name, detail);
    let decoded = |text: &[u8], prefix: &str| {
        STANDARD
            .decode(text)
            .map(Secret::new)
            .map_err(|_| bad(&format!("base64 must follow `{prefix}`")))
    };
    let text = secret.expose();
    if let Some(text) = text.strip_prefix(b"whsk_") {
        let key = decoded(text, "whsk_")?;
        let seed = match key.expose().len() {
            32 | 64 => &key.expose()[..32],
            _ => {
                return Err(bad(
                    "an Ed25519 key has 32 bytes, or 64 with its public half",
                ));
            }
        };
        return Ed25519KeyPair::from_seed_unchecked(seed)
            .map(|pair| WebhookKey::Own(Box::new(pair)))
            .map_err(|_| bad("it is no Ed25519 key"));
    }
    if let Some(text) = text.strip_prefix(b"whpk_") {
        return decoded(text, "whpk_")?
            .expose()
            .try_into()
            .map(WebhookKey::Theirs)
            .map_err(|_| bad("base64 of 32 bytes must follow `whpk_`"));
    }
    let key = match text.strip_prefix(b"whsec_") {
        Some(text) => decoded(text, "whsec_")?,
        None => secret.clone(),
    };
    if key.expose().len() < 16 {
        return Err(bad(
            "a key has at least 16 bytes; the specification wants 24 to 64",
        ));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    Ok(WebhookKey::Shared(Box::new(key)))
}
