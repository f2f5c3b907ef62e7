//! How a client proves who it is at the endpoints (RFC 6749 §2.3, RFC 7523, RFC 8705).

use super::form::{self, Form};
use super::{INTROSPECT, REVOKE, TOKEN};
use crate::identity::{Authority, ClientCredentials, Identity, Peer, claimed_name};
use crate::token::{Algorithm, Jws, KeySet, LEEWAY, Reason};
use crate::{AccessEvent, Strength};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use serde_json::Value;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The one type of assertion (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion may be valid, in seconds (SMART: five minutes).
const MAX_ASSERTION: i64 = 300;
/// Bytes of the Authorization header.
const MAX_BASIC: usize = 2048;

/// A client that proved who it is.
pub(super) struct Authenticated {
    pub(super) client: Arc<ClientCredentials>,
    /// As metadata names it.
    pub(super) method: &'static str,
    pub(super) strength: Strength,
}

/// A refusal, and who it was that said to be whom.
pub(super) struct Unproven {
    pub(super) claimed: Option<String>,
    pub(super) reason: Reason,
}

impl From<Reason> for Unproven {
    fn from(reason: Reason) -> Self {
        Self {
            claimed: None,
            reason,
        }
    }
}

impl Unproven {
    /// The event that tells of it.
    pub(super) fn event(&self, endpoint: &'static str, peer: &Peer) -> AccessEvent {
        AccessEvent::ClientRefused {
            claimed: self.claimed.clone(),
            reason: self.reason,
            endpoint,
            zone: peer.zone,
            address: peer.address,
        }
    }
}

impl Identity {
    /// Who sends this request.
    pub(super) fn authenticate(
        &self,
        authority: &Authority,
        headers: &HeaderMap,
        form: &Form,
        peer: &Peer,
    ) -> Result<Authenticated, Unproven> {
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let basic = authorization.next();
        let assertion = form.get("client_assertion");
        if form.get("client_secret").is_some() {
            // Secrets in bodies end in logs; the header is as easy.
            return Err(Unproven {
                claimed: form.get("client_id").and_then(claimed_name),
                reason: Reason::Method,
            });
        }
        let proven = match (basic, assertion) {
            (Some(_), Some(_)) => return Err(Reason::Request.into()),
            (Some(_), None) if authorization.next().is_some() => {
                return Err(Reason::Request.into());
            }
            (Some(basic), None) => self.by_secret(basic.to_str().ok(), form)?,
            (None, Some(assertion)) => self.by_assertion(authority, assertion, form)?,
            (None, None) => self.by_certificate(form, peer)?,
        };
        self.admits(&proven.client, peer)
            .map_err(|reason| Unproven {
                claimed: Some(proven.client.name.to_string()),
                reason,
            })?;
        let shown = peer.certificate.as_deref();
        if let Some(registered) = &proven.client.certificate
            && !shown.is_some_and(|shown| registered.matches(shown))
        {
            return Err(Unproven {
                claimed: Some(proven.client.name.to_string()),
                reason: Reason::Binding,
            });
        }
        Ok(proven)
    }

    /// Waits for the keys of a client that publishes them, where its assertion names one that was
    /// not seen yet; at most once a minute anything is fetched for that.
    pub async fn await_published_keys(&self, request: &Request<Bytes>) {
        let Ok(form) = Form::of(request) else { return };
        let Some(assertion) = form.get("client_assertion") else {
            return;
        };
        let Ok(jws) = Jws::parse(assertion) else {
            return;
        };
        let Ok(claims) = jws.claims_unverified() else {
            return;
        };
        let Some(published) = claims
            .text("sub")
            .ok()
            .and_then(|name| self.published_keys(name))
        else {
            return;
        };
        let known = |keys: &KeySet| keys.find(jws.kid.as_deref()).is_some();
        if published.with_keys(self.now(), known) != Some(true) {
            published.ask(&self.clock, &self.sink).await;
        }
    }

    /// `client_secret_basic`.
    fn by_secret(&self, header: Option<&str>, form: &Form) -> Result<Authenticated, Unproven> {
        let encoded = header
            .filter(|text| text.len() <= MAX_BASIC)
            .and_then(|text| text.split_at_checked(6))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic "))
            .ok_or(Reason::Method)?
            .1;
        let decoded = STANDARD
            .decode(encoded.trim())
            .map_err(|_| Reason::Request)?;
        let decoded = Zeroizing::new(decoded);
        let text = std::str::from_utf8(&decoded).map_err(|_| Reason::Request)?;
        let (name, secret) = text.split_once(':').ok_or(Reason::Request)?;
        // RFC 6749 §2.3.1 wants both form-encoded; curl, Authlib and many others send them as they
        // are. A name reads the same either way, and a secret is held against both readings.
        let raw = Zeroizing::new(secret.as_bytes().to_vec());
        let name = form::decode(name)
            .and_then(|name| String::from_utf8(name).ok())
            .ok_or(Reason::Request)?;
        let secret = Zeroizing::new(form::decode(secret).unwrap_or_else(|| raw.to_vec()));
        if form.get("client_id").is_some_and(|other| other != name) {
            return Err(Reason::Request.into());
        }
        let refused = |reason| Unproven {
            claimed: claimed_name(&name),
            reason,
        };
        let directory = self.directory();
        let client = directory.client(&name);
        // One that does not exist, or has no secret, costs as many comparisons.
        let mut matches = false;
        match client.map(|client| &client.secrets[..]) {
            Some(secrets) if !secrets.is_empty() => {
                for known in secrets {
                    matches |= known.matches(&secret);
                    matches |= known.matches(&raw);
                }
            }
            _ => {
                self.nobody.matches(&secret);
                self.nobody.matches(&raw);
            }
        }
        let client = client.ok_or_else(|| refused(Reason::UnknownClient))?;
        if client.secrets.is_empty() {
            return Err(refused(Reason::Method));
        }
        if !matches {
            return Err(refused(Reason::Credential));
        }
        Ok(Authenticated {
            client: Arc::clone(client),
            method: "client_secret_basic",
            strength: Strength::Secret,
        })
    }

    /// `private_key_jwt`.
    fn by_assertion(
        &self,
        authority: &Authority,
        assertion: &str,
        form: &Form,
    ) -> Result<Authenticated, Unproven> {
        if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(Reason::Request.into());
        }
        let jws = Jws::parse(assertion)?;
        let unverified = jws.claims_unverified()?;
        let name = unverified.text("sub")?;
        let refused = |reason| Unproven {
            claimed: claimed_name(name),
            reason,
        };
        if unverified.text("iss").map_err(refused)? != name
            || form.get("client_id").is_some_and(|other| other != name)
        {
            return Err(refused(Reason::Issuer));
        }
        // An access token, also signed by a client's key, is no assertion.
        if !matches!(
            jws.typ.as_deref(),
            None | Some("jwt" | "client-authentication+jwt")
        ) {
            return Err(refused(Reason::Type));
        }
        if !Algorithm::FOR_ASSERTIONS.contains(&jws.algorithm) {
            return Err(refused(Reason::Algorithm));
        }
        let directory = self.directory();
        let client = directory
            .client(name)
            .ok_or_else(|| refused(Reason::UnknownClient))?;
        let now = self.now();
        let claims = match (&client.keys, self.published_keys(name)) {
            (Some(keys), _) => jws.verify(keys),
            (None, Some(published)) => published
                .with_keys(now, |keys| jws.verify(keys))
                .unwrap_or(Err(Reason::NoKeys)),
            (None, None) => Err(Reason::Method),
        };
        let claims = claims.map_err(refused)?;
        let ours = |audience: &Value| {
            audience.as_str().is_some_and(|audience| {
                audience == &*authority.issuer
                    || [TOKEN, INTROSPECT, REVOKE]
                        .iter()
                        .any(|path| audience == authority.url(path))
            })
        };
        let for_us = match claims.0.get("aud") {
            Some(Value::Array(only)) => only.len() == 1 && ours(&only[0]),
            Some(one) => ours(one),
            None => false,
        };
        if !for_us {
            return Err(refused(Reason::Audience));
        }
        let exp = claims.times(now).map_err(refused)?;
        if exp > now + MAX_ASSERTION + LEEWAY {
            return Err(refused(Reason::TooLong));
        }
        let jti = claims.text("jti").map_err(refused)?;
        self.replays
            .take(&client.name, jti, exp + LEEWAY, now)
            .map_err(refused)?;
        Ok(Authenticated {
            client: Arc::clone(client),
            method: "private_key_jwt",
            strength: Strength::PrivateKey,
        })
    }

    /// `tls_client_auth`.
    fn by_certificate(&self, form: &Form, peer: &Peer) -> Result<Authenticated, Unproven> {
        let name = form.get("client_id").ok_or(Reason::NoCredential)?;
        let refused = |reason| Unproven {
            claimed: claimed_name(name),
            reason,
        };
        let shown = peer
            .certificate
            .as_ref()
            .ok_or_else(|| refused(Reason::NoCredential))?;
        let directory = self.directory();
        let client = directory
            .client(name)
            .ok_or_else(|| refused(Reason::UnknownClient))?;
        let registered = client
            .certificate
            .as_ref()
            .filter(|_| client.token_by_certificate)
            .ok_or_else(|| refused(Reason::Method))?;
        if !registered.matches(shown) {
            return Err(refused(Reason::Credential));
        }
        Ok(Authenticated {
            client: Arc::clone(client),
            method: "tls_client_auth",
            strength: Strength::Certificate,
        })
    }
}
