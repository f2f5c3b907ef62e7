//! Secrets out of a key-value engine, version 2.

use super::{VaultClient, remote};
use crate::secrets::{Found, Origin};
use crate::{Secret, SecretRef, VaultError};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The field that is meant where a reference names none and there are several.
const FIELD: &str = "value";

/// Secrets below one path of a key-value engine: `secret:erp/ws` is the field `value` (or the
/// only one) of `MOUNT/PATH/erp/ws`, `secret:erp/ws#password` its field `password`.
pub struct VaultKv {
    client: Arc<VaultClient>,
    mount: String,
    path: String,
    every: Duration,
    stale: Duration,
}

impl fmt::Debug for VaultKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKv({:?} {}/{})", self.client, self.mount, self.path)
    }
}

impl VaultKv {
    /// Secrets at a mount and a path below it, which may be empty.
    pub fn new(client: Arc<VaultClient>, mount: &str, path: &str) -> Self {
        Self {
            client,
            mount: mount.trim_matches('/').to_owned(),
            path: path.trim_matches('/').to_owned(),
            every: Duration::from_mins(1),
            stale: Duration::from_hours(24),
        }
    }

    /// Reads values again so often; and uses the last one for so long while the server is away.
    #[must_use]
    pub fn with_times(mut self, every: Duration, stale: Duration) -> Self {
        self.every = every;
        self.stale = stale;
        self
    }

    pub(crate) const fn every(&self) -> Duration {
        self.every
    }

    pub(crate) const fn stale(&self) -> Duration {
        self.stale
    }

    /// Reads one; `None` where there is no such secret, or its newest version was deleted.
    pub(crate) fn read(&self, reference: &SecretRef) -> Result<Option<Found>, VaultError> {
        const DOING: &str = "reading a secret from";
        let between = if self.path.is_empty() { "" } else { "/" };
        // Names have no character that a path would need escaped.
        let path = format!(
            "/v1/{}/data/{}{between}{}",
            self.mount,
            self.path,
            reference.place()
        );
        let Some(reply) = self.client.call(DOING, "GET", &path, None)? else {
            return Ok(None);
        };
        let odd = |reason: String| remote(DOING, self.client.address(), reason);
        let answer = reply.json().map_err(odd)?;
        let Some(fields) = answer.pointer("/data/data").and_then(Value::as_object) else {
            return Ok(None);
        };
        let value = match reference.field() {
            Some(field) => fields.get(field),
            None if fields.len() == 1 => fields.values().next(),
            None => fields.get(FIELD),
        };
        let text = match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => {
                let name = reference.name();
                return Err(odd(format!("what it has as {name} is no text")));
            }
            None => return Ok(None),
        };
        let made = answer.pointer("/data/metadata/created_time");
        let made = made.and_then(|at| at.as_str()?.parse::<jiff::Timestamp>().ok());
        Ok(Some(Found {
            value: Secret::new(text.into_bytes()),
            origin: Origin::Vault,
            modified: made.and_then(|at| SystemTime::try_from(at).ok()),
        }))
    }
}
