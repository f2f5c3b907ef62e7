//! HashiCorp Vault and OpenBao, which speak the same HTTP API: logging in, keeping the token
//! alive, and asking. Key-value secrets are read by [`VaultKv`]; master keys are kept by
//! [`TransitProvider`](crate::TransitProvider).
//!
//! The client is a blocking one on purpose: keys and secrets are needed before a runtime runs,
//! once a day while it does, and else by a thread of its own. Every call has a limit of time.

mod http;
mod kv;

pub use kv::VaultKv;

use crate::{Secret, SecretRef, Secrets, VaultError};
use http::{CallError, Endpoint, Reply};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long one call may take, login not included.
const CALL: Duration = Duration::from_secs(5);
/// After a failed call the next ones fail at once for so long, so that nobody who needs a
/// value waits for a server that is away, again and again.
const PAUSE: Duration = Duration::from_secs(5);

/// How to reach a server, and as whom.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// `https://vault.example:8200`; plain `http` only towards this machine.
    pub address: String,
    /// Vault Enterprise or OpenBao namespace.
    pub namespace: Option<String>,
    /// Authorities to trust instead of the system's, PEM.
    pub ca: Option<PathBuf>,
    /// Who asks.
    pub login: VaultLogin,
}

/// As whom to ask. What proves it is a secret of the environment or of a file.
#[derive(Clone, Debug)]
pub enum VaultLogin {
    /// A token that somebody else keeps fresh, such as an agent that writes it to a file.
    Token(SecretRef),
    /// AppRole.
    AppRole {
        /// Where the method is mounted: `approle`.
        mount: String,
        /// The role.
        role: String,
        /// Its secret id.
        secret: SecretRef,
    },
}

/// One server and the token we have of it.
pub struct VaultClient {
    endpoint: Endpoint,
    settings: VaultSettings,
    /// Where the login's own secret is: never in the server it opens.
    local: Secrets,
    token: Mutex<Option<Token>>,
    away_until: Mutex<Option<Instant>>,
}

struct Token {
    value: Secret,
    /// When to ask for more time, and when it is over; `None` for one that does not end.
    life: Option<(Instant, Instant)>,
    renewable: bool,
}

/// What a login and a renewal answer.
#[derive(Deserialize)]
struct Granted {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: Zeroizing<String>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultClient({})", self.settings.address)
    }
}

impl VaultClient {
    /// Prepares to ask; connects with the first call. `local` resolves the login's secret.
    ///
    /// # Errors
    /// [`VaultError::Remote`] where the address or the authorities cannot be used.
    pub fn new(settings: VaultSettings, local: &Secrets) -> Result<Self, VaultError> {
        let endpoint = Endpoint::new(&settings.address, settings.ca.as_deref())
            .map_err(|reason| remote("using", &settings.address, reason))?;
        Ok(Self {
            endpoint,
            settings,
            local: local.clone(),
            token: Mutex::default(),
            away_until: Mutex::default(),
        })
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.settings.address
    }

    /// Asks; `None` for 404. A token that is not taken any more is replaced once.
    pub(crate) fn call(
        &self,
        doing: &'static str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Reply>, VaultError> {
        for again in [true, false] {
            let token = self.token()?;
            let reply = self.send(doing, method, path, body, Some(&token))?;
            match reply.status {
                200..=299 => return Ok(Some(reply)),
                404 => return Ok(None),
                401 | 403 if again => *self.token.lock() = None,
                status => return Err(self.refused(doing, status, &reply)),
            }
        }
        Err(remote(
            doing,
            &self.settings.address,
            "it does not take our token".to_owned(),
        ))
    }

    /// One exchange, and nothing at all while the server is known to be away.
    fn send(
        &self,
        doing: &'static str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        token: Option<&Secret>,
    ) -> Result<Reply, VaultError> {
        if let Some(until) = *self.away_until.lock()
            && until > Instant::now()
        {
            let reason = "it did not answer a moment ago".to_owned();
            return Err(remote(doing, &self.settings.address, reason));
        }
        let mut headers = vec![("X-Vault-Request", &b"true"[..])];
        if let Some(namespace) = &self.settings.namespace {
            headers.push(("X-Vault-Namespace", namespace.as_bytes()));
        }
        if let Some(token) = token {
            headers.push(("X-Vault-Token", token.expose()));
        }
        // Bodies hold secret ids and keys.
        let body = body.map(|body| Zeroizing::new(body.to_string()));
        let body = body.as_ref().map(|body| body.as_bytes());
        let sent = self.endpoint.call(method, path, &headers, body, CALL);
        *self.away_until.lock() = match &sent {
            Ok(reply) if reply.status < 500 => None,
            Ok(_) | Err(CallError::Away(_)) => Some(Instant::now() + PAUSE),
            Err(CallError::Unusable(_)) => None,
        };
        sent.map_err(|error| {
            let (CallError::Away(reason) | CallError::Unusable(reason)) = error;
            remote(doing, &self.settings.address, reason)
        })
    }

    /// A token that is good now. Whoever comes while one is being got waits for that one.
    fn token(&self) -> Result<Secret, VaultError> {
        let mut kept = self.token.lock();
        let now = Instant::now();
        if let Some(token) = &*kept {
            match token.life {
                None => return Ok(token.value.clone()),
                Some((renew, _)) if now < renew => return Ok(token.value.clone()),
                Some((_, end)) if now < end && token.renewable => {
                    match self.renew(&token.value) {
                        Ok(renewed) => {
                            let value = renewed.value.clone();
                            *kept = Some(renewed);
                            return Ok(value);
                        }
                        // It is good for a while yet; whether a new login helps shows then.
                        Err(_) if matches!(self.settings.login, VaultLogin::Token(_)) => {
                            return Ok(token.value.clone());
                        }
                        Err(_) => {}
                    }
                }
                Some(_) => {}
            }
        }
        let fresh = self.log_in()?;
        let value = fresh.value.clone();
        *kept = Some(fresh);
        Ok(value)
    }

    fn log_in(&self) -> Result<Token, VaultError> {
        const DOING: &str = "logging in to";
        match &self.settings.login {
            VaultLogin::Token(reference) => {
                let value = self.local.resolve(reference)?;
                // How long it is good for is for it to say; it may not be allowed to ask.
                let asked = self.send(
                    DOING,
                    "GET",
                    "/v1/auth/token/lookup-self",
                    None,
                    Some(&value),
                )?;
                let (life, renewable) = match asked.status {
                    200 => {
                        let data = asked.json().map_err(|reason| self.odd(DOING, reason))?;
                        let ttl = data.pointer("/data/ttl").and_then(Value::as_u64);
                        let renewable = data.pointer("/data/renewable").and_then(Value::as_bool);
                        (life(ttl.unwrap_or(0)), renewable == Some(true))
                    }
                    403 => (
                        Some((Instant::now() + CALL * 12, Instant::now() + CALL * 12)),
                        false,
                    ),
                    status => return Err(self.refused(DOING, status, &asked)),
                };
                Ok(Token {
                    value,
                    life,
                    renewable,
                })
            }
            VaultLogin::AppRole {
                mount,
                role,
                secret,
            } => {
                let secret = self.local.resolve(secret)?;
                let body = json!({ "role_id": role, "secret_id": secret.expose_text() });
                let path = format!("/v1/auth/{mount}/login");
                let reply = self.send(DOING, "POST", &path, Some(&body), None)?;
                self.granted(DOING, &reply)
            }
        }
    }

    fn renew(&self, token: &Secret) -> Result<Token, VaultError> {
        const DOING: &str = "renewing our token of";
        let reply = self.send(
            DOING,
            "POST",
            "/v1/auth/token/renew-self",
            Some(&json!({})),
            Some(token),
        )?;
        self.granted(DOING, &reply)
    }

    fn granted(&self, doing: &'static str, reply: &Reply) -> Result<Token, VaultError> {
        if reply.status != 200 {
            return Err(self.refused(doing, reply.status, reply));
        }
        let Granted { auth } = serde_json::from_slice(&reply.body)
            .map_err(|_| self.odd(doing, "its answer holds no token".to_owned()))?;
        Ok(Token {
            value: Secret::new(auth.client_token.as_bytes().to_vec()),
            life: life(auth.lease_duration),
            renewable: auth.renewable,
        })
    }

    fn odd(&self, doing: &'static str, reason: String) -> VaultError {
        remote(doing, &self.settings.address, reason)
    }

    fn refused(&self, doing: &'static str, status: u16, reply: &Reply) -> VaultError {
        let said = reply.json().ok();
        let said = said
            .as_ref()
            .and_then(|body| body.pointer("/errors/0")?.as_str());
        // Theirs, and short: what a server says about a request never repeats its values.
        let said: String = said
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(160)
            .collect();
        let hint = match status {
            400 => "the request, or the secret id, is not taken",
            401 | 403 => "our token may not do that",
            429 | 472 | 473 | 501 => "it serves nobody now (standby, or too many requests)",
            503 => "it is sealed or in maintenance",
            _ => "it failed",
        };
        let said = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        remote(
            doing,
            &self.settings.address,
            format!("{hint} ({status}{said})"),
        )
    }
}

/// Asks for more time after two thirds.
fn life(seconds: u64) -> Option<(Instant, Instant)> {
    // 0 is one that does not end, such as a root token.
    let seconds = Duration::from_secs(seconds.min(10 * 365 * 86_400));
    let now = Instant::now();
    (!seconds.is_zero()).then(|| (now + seconds * 2 / 3, now + seconds))
}

pub(crate) fn remote(doing: &'static str, address: &str, reason: String) -> VaultError {
    VaultError::Remote {
        doing,
        address: address.to_owned(),
        reason,
    }
}
