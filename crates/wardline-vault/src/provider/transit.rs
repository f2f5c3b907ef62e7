//! Master keys that never leave Vault or OpenBao: its Transit engine wraps and unwraps the
//! data keys. Asked at start, once a day and at a rotation; payloads are sealed here.

use super::{KeyProvider, WrappedKey};
use crate::VaultError;
use crate::remote::{VaultClient, remote};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key of a Transit engine. What it wraps is the data key and the digest of its purpose, so
/// that a wrapped key opens for its purpose only, whatever kind of key wraps.
#[derive(Debug)]
pub struct TransitProvider {
    client: Arc<VaultClient>,
    mount: String,
    key: String,
    newest: String,
}

impl TransitProvider {
    /// Asks which version of the key wraps now; the policy needs `update` on
    /// `MOUNT/encrypt/KEY` and `MOUNT/decrypt/KEY`, no more.
    ///
    /// # Errors
    /// [`VaultError::Remote`].
    pub fn open(client: Arc<VaultClient>, mount: &str, key: &str) -> Result<Self, VaultError> {
        let mut opened = Self {
            client,
            mount: mount.trim_matches('/').to_owned(),
            key: key.to_owned(),
            newest: String::new(),
        };
        opened.newest = opened.wrap("which version", &[0; 32])?.by;
        Ok(opened)
    }

    /// Makes the key's next version, which wraps from now on. `Vault::rewrap` moves the ring to
    /// it. The policy needs `update` on `MOUNT/keys/KEY/rotate`.
    ///
    /// # Errors
    /// [`VaultError::Remote`].
    pub fn rotate(&self) -> Result<Self, VaultError> {
        self.ask(
            "rotating the master key in",
            &format!("keys/{}/rotate", self.key),
            &json!({}),
        )?;
        Self::open(Arc::clone(&self.client), &self.mount, &self.key)
    }

    fn ask(&self, doing: &'static str, path: &str, body: &Value) -> Result<Value, VaultError> {
        let path = format!("/v1/{}/{path}", self.mount);
        let address = self.client.address();
        if let Some(reply) = self.client.call(doing, "POST", &path, Some(body))? {
            // A rotation answers without content.
            Ok(reply.json().unwrap_or_default())
        } else {
            let reason = format!("there is no `{}` at `{}`", self.key, self.mount);
            Err(remote(doing, address, reason))
        }
    }
}

impl KeyProvider for TransitProvider {
    fn name(&self) -> &'static str {
        "vault"
    }

    fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<WrappedKey, VaultError> {
        const DOING: &str = "wrapping a key with";
        let bound =
            Zeroizing::new([key.as_slice(), digest(&SHA256, purpose.as_bytes()).as_ref()].concat());
        let plain = Zeroizing::new(STANDARD.encode(&*bound));
        let body = json!({ "plaintext": plain.as_str() });
        let answer = self.ask(DOING, &format!("encrypt/{}", self.key), &body)?;
        let sealed = answer.pointer("/data/ciphertext").and_then(Value::as_str);
        // `vault:v3:…`
        let version = sealed.and_then(|text| text.split(':').nth(1));
        let (Some(sealed), Some(version)) = (sealed, version) else {
            let reason = "its answer holds no ciphertext".to_owned();
            return Err(remote(DOING, self.client.address(), reason));
        };
        Ok(WrappedKey {
            by: format!("{}/{}:{version}", self.mount, self.key),
            sealed: sealed.to_owned(),
        })
    }

    fn unwrap(
        &self,
        purpose: &str,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        const DOING: &str = "unwrapping a key with";
        let refused = || VaultError::Unwrap {
            what: purpose.to_owned(),
        };
        let ours = format!("{}/{}:", self.mount, self.key);
        if !wrapped.by.starts_with(&ours) {
            return Err(VaultError::UnknownMasterKey {
                what: purpose.to_owned(),
                by: wrapped.by.chars().take(64).collect(),
                provider: self.name(),
            });
        }
        let body = json!({ "ciphertext": wrapped.sealed });
        let answer = self.ask(DOING, &format!("decrypt/{}", self.key), &body)?;
        let plain = answer.pointer("/data/plaintext").and_then(Value::as_str);
        let bound = plain.and_then(|text| STANDARD.decode(text).ok());
        let bound = Zeroizing::new(bound.ok_or_else(refused)?);
        let (bytes, purposed) = bound.split_first_chunk::<32>().ok_or_else(refused)?;
        let expected = digest(&SHA256, purpose.as_bytes());
        if verify_slices_are_equal(purposed, expected.as_ref()).is_err() {
            return Err(refused());
        }
        Ok(Zeroizing::new(*bytes))
    }

    fn newest(&self) -> &str {
        &self.newest
    }
}
