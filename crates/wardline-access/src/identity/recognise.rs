//! From the headers of a call to a caller, or to a refusal that tells nothing.

use super::external::Known;
use super::{AccessEvent, Authority, ClientCredentials, Identity, Peer, ScopeSource};
use crate::token::{Claims, Jws, LEEWAY, MAX_TOKEN, Reason, cache};
use crate::{Caller, Strength};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wardline_core::{Timestamp, Zone};

/// Header of an API key.
const API_KEY: &str = "x-api-key";

/// A caller, and what else holds for its calls.
#[derive(Debug, Clone)]
pub struct Recognised {
    /// The caller.
    pub caller: Arc<Caller>,
    /// The client that it is.
    pub client: Arc<ClientCredentials>,
    pub(crate) apis: Option<BTreeSet<Arc<str>>>,
    /// Thumbprint of the certificate that its token is bound to.
    pub(crate) bound: Option<[u8; 32]>,
}

impl Recognised {
    /// Whether what it showed is good for this Api: an API key opens those that its file
    /// names, a token all that policies permit.
    pub fn may_use(&self, api: &str) -> bool {
        self.apis.as_ref().is_none_or(|apis| apis.contains(api))
    }
}

/// A call whose caller is not known. What it is answered never depends on why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller was not recognised: {0}")]
pub struct Refusal(Reason);

impl Refusal {
    /// Why, for the audit log and nobody else.
    pub const fn reason(self) -> Reason {
        self.0
    }

    /// The answer: 401, the same for every reason (RFC 6750 §3, RFC 9457).
    pub fn response(self) -> Response<Bytes> {
        const BODY: &str = r#"{"type":"urn:wardline:problem:unauthorized","title":"Unauthorized","status":401,"detail":"The call needs a valid credential."}"#;
        let challenge = match self.0 {
            Reason::NoCredential => "Bearer",
            _ => r#"Bearer error="invalid_token""#,
        };
        let mut response = Response::new(Bytes::from_static(BODY.as_bytes()));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// Why there is no caller (yet).
enum Not {
    Known(Option<Arc<str>>, Reason),
    /// The keys at hand do not have this one; newer ones may.
    Yet(Arc<Known>, Reason),
}

impl From<Reason> for Not {
    fn from(reason: Reason) -> Self {
        Self::Known(None, reason)
    }
}

impl Identity {
    /// Who makes a call with these headers on this connection. Waits only where a token of an
    /// external issuer names a key that was not seen yet, and then at most once a minute.
    ///
    /// # Errors
    /// [`Refusal`]; the audit log was told.
    pub async fn recognise(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Arc<Recognised>, Refusal> {
        let first = self.attempt(headers, peer);
        let second = match first {
            Err(Not::Yet(issuer, _)) => {
                issuer.ask(&self.clock, &self.sink).await;
                self.attempt(headers, peer)
            }
            other => other,
        };
        second.map_err(|not| {
            let (client, reason) = match not {
                Not::Known(client, reason) => (client, reason),
                Not::Yet(_, reason) => (None, reason),
            };
            self.sink.tell(AccessEvent::CallRefused {
                client,
                reason,
                zone: peer.zone,
                address: peer.address,
            });
            Refusal(reason)
        })
    }

    fn attempt(&self, headers: &HeaderMap, peer: &Peer) -> Result<Arc<Recognised>, Not> {
        let mut tokens = headers.get_all(AUTHORIZATION).iter();
        let mut keys = headers.get_all(API_KEY).iter();
        let shown = (tokens.next(), keys.next());
        if tokens.next().is_some() || keys.next().is_some() {
            return Err(Reason::SeveralCredentials.into());
        }
        match shown {
            (None, None) => self.by_certificate_alone(peer),
            (Some(_), Some(_)) => Err(Reason::SeveralCredentials.into()),
            (Some(token), None) => self.by_token(token, peer),
            (None, Some(key)) => self.by_key(key, peer),
        }
    }

    fn by_key(&self, key: &HeaderValue, peer: &Peer) -> Result<Arc<Recognised>, Not> {
        let key = key
            .to_str()
            .ok()
            .filter(|key| (16..=256).contains(&key.len()))
            .ok_or(Reason::Credential)?;
        let directory = self.directory();
        let found = directory.by_key(key).ok_or(Reason::Credential)?;
        let name = || Some(Arc::clone(&found.caller.name));
        if found
            .caller
            .until
            .is_some_and(|until| self.clock.now() >= until)
        {
            return Err(Not::Known(name(), Reason::ClientExpired));
        }
        self.admits(&found.client, peer)
            .map_err(|reason| Not::Known(name(), reason))?;
        Ok(Arc::clone(found))
    }

    fn by_certificate_alone(&self, peer: &Peer) -> Result<Arc<Recognised>, Not> {
        let shown = peer.certificate.as_ref().ok_or(Reason::NoCredential)?;
        let directory = self.directory();
        let found = directory
            .by_certificate(shown, peer.zone)
            .ok_or(Reason::NoCredential)?;
        self.admits(&found.client, peer)
            .map_err(|reason| Not::Known(Some(Arc::clone(&found.caller.name)), reason))?;
        Ok(Arc::clone(found))
    }

    fn by_token(&self, header: &HeaderValue, peer: &Peer) -> Result<Arc<Recognised>, Not> {
        let token = header
            .to_str()
            .ok()
            .filter(|text| text.len() <= MAX_TOKEN + 7)
            .ok_or(Reason::NotAToken)?;
        let token = match token.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") => token.trim(),
            _ => return Err(Reason::Method.into()),
        };
        let now = self.now();
        let generation = self.generation();
        let hash = cache::key(token);
        if let Some(hit) = self.cache.get(&hash, generation, now) {
            // What belongs to the connection and not to the token is looked at every time.
            self.admits(&hit.client, peer)
                .and_then(|()| binding(hit.bound, &hit.client, peer))
                .map_err(|reason| Not::Known(Some(Arc::clone(&hit.caller.name)), reason))?;
            return Ok(hit);
        }
        let (recognised, exp) = self.verify(token, peer, now)?;
        let recognised = Arc::new(recognised);
        self.cache
            .put(hash, Arc::clone(&recognised), generation, exp, now);
        Ok(recognised)
    }

    fn verify(&self, token: &str, peer: &Peer, now: i64) -> Result<(Recognised, i64), Not> {
        let jws = Jws::parse(token)?;
        // Whose it says it is only chooses whose keys must have signed it.
        let unverified = jws.claims_unverified()?;
        let issuer = unverified.text("iss")?;
        match self.settings.authorities.get(&peer.zone) {
            Some(own) if *own.issuer == *issuer => self.verify_own(&jws, own, peer, now),
            _ => {
                let known = self.external.find(issuer).ok_or(Reason::Issuer)?;
                self.verify_external(&jws, &known, peer, now)
            }
        }
    }

    fn verify_own(
        &self,
        jws: &Jws<'_>,
        own: &Authority,
        peer: &Peer,
        now: i64,
    ) -> Result<(Recognised, i64), Not> {
        let (claims, client) = self.own_claims(jws, own, now)?;
        let refuse = |reason| Not::Known(Some(Arc::clone(&client.name)), reason);
        let bound = claims.bound_to().map_err(refuse)?;
        binding(bound, &client, peer).map_err(refuse)?;
        self.admits(&client, peer).map_err(refuse)?;
        let scopes = granted(&client, claims.optional_text("scope").map_err(refuse)?);
        let strength = match claims.optional_text("acr") {
            _ if bound.is_some() => Strength::Certificate,
            Ok(Some("private-key")) => Strength::PrivateKey,
            _ => Strength::Secret,
        };
        let exp = claims.date("exp").map_err(refuse)?;
        Ok((recognised(&client, scopes, strength, bound, exp), exp))
    }

    /// The claims of a token that we issued for this zone and that holds now, and whose it
    /// is. Looks at nothing of a connection.
    pub(crate) fn own_claims(
        &self,
        jws: &Jws<'_>,
        own: &Authority,
        now: i64,
    ) -> Result<(Claims, Arc<ClientCredentials>), Reason> {
        if jws.typ.as_deref() != Some("at+jwt") {
            return Err(Reason::Type);
        }
        let claims = jws.verify(&self.signing.snapshot().keys)?;
        if claims.text("iss")? != &*own.issuer {
            return Err(Reason::Issuer);
        }
        if claims.text("aud")? != &*own.audience {
            return Err(Reason::Audience);
        }
        claims.times(now)?;
        let (issued, _) = (claims.date("iat")?, claims.date("nbf")?);
        let subject = claims.text("sub")?;
        if claims.text("client_id")? != subject {
            return Err(Reason::Claim);
        }
        let jti = claims.text("jti")?;
        if self.revocations.is_revoked(jti) || issued < self.revocations.epoch(subject) {
            return Err(Reason::Revoked);
        }
        let client = self
            .directory()
            .client(subject)
            .cloned()
            .ok_or(Reason::UnknownClient)?;
        Ok((claims, client))
    }

    fn verify_external(
        &self,
        jws: &Jws<'_>,
        known: &Arc<Known>,
        peer: &Peer,
        now: i64,
    ) -> Result<(Recognised, i64), Not> {
        let issuer = &known.settings;
        if !issuer.algorithms.contains(&jws.algorithm) {
            return Err(Reason::Algorithm.into());
        }
        // Many issuers predate RFC 9068; what they must not send is another kind of token.
        if !matches!(jws.typ.as_deref(), None | Some("at+jwt" | "jwt")) {
            return Err(Reason::Type.into());
        }
        let claims = match known.with_keys(now, |keys| jws.verify(keys)) {
            None => return Err(Not::Yet(Arc::clone(known), Reason::NoKeys)),
            Some(Err(Reason::UnknownKey)) => {
                return Err(Not::Yet(Arc::clone(known), Reason::UnknownKey));
            }
            Some(claims) => claims?,
        };
        if claims.text("iss")? != issuer.issuer {
            return Err(Reason::Issuer.into());
        }
        let ours = |audience: &Value| audience.as_str() == Some(&issuer.audience);
        let for_us = match claims.0.get("aud") {
            Some(Value::Array(several)) => several.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        };
        if !for_us {
            return Err(Reason::Audience.into());
        }
        let exp = claims.times(now)?;
        let directory = self.directory();
        let mut candidates = directory.of_issuer(&issuer.name).iter();
        let (_, client) = candidates
            .find(|(wanted, _)| {
                claims
                    .0
                    .get(&wanted.claim)
                    .is_some_and(|claim| match claim {
                        Value::Array(several) => several.iter().any(|one| one == &wanted.equals),
                        one => one == &wanted.equals,
                    })
            })
            .ok_or(Reason::UnknownClient)?;
        let refuse = |reason| Not::Known(Some(Arc::clone(&client.name)), reason);
        let bound = claims.bound_to().map_err(refuse)?;
        binding(bound, client, peer).map_err(refuse)?;
        let epoch = self.revocations.epoch(&client.name);
        let issued = claims.optional_date("iat").map_err(refuse)?;
        if epoch > 0 && issued.is_none_or(|issued| issued < epoch) {
            return Err(refuse(Reason::Revoked));
        }
        self.admits(client, peer).map_err(refuse)?;
        let scopes = match issuer.scopes {
            ScopeSource::Granted => client.scopes.clone(),
            ScopeSource::Token => match claims.0.get("scope").or_else(|| claims.0.get("scp")) {
                Some(Value::String(text)) => granted(client, Some(text)),
                Some(Value::Array(list)) => {
                    let names = list.iter().filter_map(Value::as_str);
                    names
                        .filter_map(|name| client.scopes.get(name))
                        .cloned()
                        .collect()
                }
                _ => BTreeSet::new(),
            },
        };
        let strength = match bound {
            Some(_) => Strength::Certificate,
            None => Strength::Secret,
        };
        Ok((recognised(client, scopes, strength, bound, exp), exp))
    }

    /// Whether a client that is known is heard on this connection now.
    pub(crate) fn admits(&self, client: &ClientCredentials, peer: &Peer) -> Result<(), Reason> {
        if client.disabled {
            Err(Reason::Disabled)
        } else if self.is_held(&client.name) {
            Err(Reason::Held)
        } else if client.expires.is_some_and(|end| self.clock.now() >= end) {
            Err(Reason::ClientExpired)
        } else if client.zone != peer.zone {
            Err(Reason::Zone)
        } else if !client.may_come_from(peer.address) {
            Err(Reason::Address)
        } else {
            Ok(())
        }
    }

    /// Changes whenever something that was decided may be decided otherwise.
    fn generation(&self) -> (u64, u64) {
        (
            self.revocations.generation(),
            self.directory_generation.load(Ordering::SeqCst),
        )
    }
}

/// A bound token needs its certificate; a client that registered one, and any partner unless
/// its file says otherwise, needs bound tokens.
fn binding(bound: Option<[u8; 32]>, client: &ClientCredentials, peer: &Peer) -> Result<(), Reason> {
    let must_be_bound =
        client.certificate.is_some() || (client.zone == Zone::Partner && !client.unbound);
    match (bound, &peer.certificate) {
        (Some(bound), Some(shown)) if *shown.thumbprint() == bound => Ok(()),
        (None, _) if !must_be_bound => Ok(()),
        _ => Err(Reason::Binding),
    }
}

/// Those of the client's scopes that a token names.
fn granted(client: &ClientCredentials, scope: Option<&str>) -> BTreeSet<Arc<str>> {
    let names = scope.unwrap_or("").split(' ');
    names
        .filter_map(|name| client.scopes.get(name))
        .cloned()
        .collect()
}

fn recognised(
    client: &Arc<ClientCredentials>,
    scopes: BTreeSet<Arc<str>>,
    strength: Strength,
    bound: Option<[u8; 32]>,
    exp: i64,
) -> Recognised {
    let until = Timestamp::from_unix_ms((exp + LEEWAY) * 1_000);
    Recognised {
        caller: Arc::new(client.caller(scopes, strength, Some(until))),
        client: Arc::clone(client),
        apis: None,
        bound,
    }
}
