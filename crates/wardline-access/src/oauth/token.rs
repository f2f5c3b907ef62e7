//! `POST /oauth/token`: client credentials in, an access token out (RFC 6749 §4.4, RFC 9068).

use super::answer::{OAuthError, private_json};
use super::authenticate::{Authenticated, Unproven};
use super::form::Form;
use crate::identity::{Authority, Identity, Peer};
use crate::token::{Reason, b64};
use crate::{AccessError, AccessEvent, Strength};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;
use wardline_core::Timestamp;

/// Bytes of a `scope` parameter.
const MAX_SCOPE: usize = 8 << 10;

pub(super) fn issue(
    identity: &Identity,
    authority: &Authority,
    request: &Request<Bytes>,
    peer: &Peer,
) -> Response<Bytes> {
    let refuse = |unproven: Unproven| {
        identity.sink.tell(unproven.event("token", peer));
        OAuthError::of(unproven.reason).response()
    };
    let form = match Form::of(request) {
        Ok(form) => form,
        Err(reason) => return refuse(reason.into()),
    };
    let proven = match identity.authenticate(authority, request.headers(), &form, peer) {
        Ok(proven) => proven,
        Err(unproven) => return refuse(unproven),
    };
    let refuse = |reason| {
        refuse(Unproven {
            claimed: Some(proven.client.name.to_string()),
            reason,
        })
    };
    match form.get("grant_type") {
        Some("client_credentials") => {}
        None => return refuse(Reason::Request),
        Some(_) => {
            refuse(Reason::Request);
            return OAuthError::UnsupportedGrantType.response();
        }
    }
    // RFC 8707: there is one resource, and it need not be named.
    if form
        .get("resource")
        .is_some_and(|resource| resource.trim_end_matches('/') != &*authority.audience)
    {
        return refuse(Reason::Target);
    }
    let scopes = match scopes(&proven, form.get("scope")) {
        Ok(scopes) => scopes,
        Err(reason) => return refuse(reason),
    };
    match identity.sign_access_token(authority, &proven, &scopes, peer) {
        Ok(token) => private_json(
            StatusCode::OK,
            &json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": identity.settings.life,
                "scope": scopes.join(" "),
            }),
        ),
        Err(error) => {
            tracing::error!(code = %error.code(), %error, "a token cannot be issued");
            refuse(Reason::Internal)
        }
    }
}

/// What was asked for and is granted; all that is granted where nothing was asked for.
fn scopes(proven: &Authenticated, asked: Option<&str>) -> Result<Vec<String>, Reason> {
    let granted = &proven.client.scopes;
    let Some(asked) = asked else {
        return Ok(granted.iter().map(ToString::to_string).collect());
    };
    // RFC 6749 §3.3: printable ASCII without `"` and `\`, one space between.
    let well_formed = |scope: &str| {
        !scope.is_empty()
            && scope
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    if asked.len() > MAX_SCOPE || !asked.split(' ').all(well_formed) {
        return Err(Reason::Scope);
    }
    let mut scopes: Vec<String> = Vec::new();
    for scope in asked.split(' ') {
        if granted.contains(scope) && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    if scopes.is_empty() {
        return Err(Reason::Scope);
    }
    Ok(scopes)
}

impl Identity {
    fn sign_access_token(
        &self,
        authority: &Authority,
        proven: &Authenticated,
        scopes: &[String],
        peer: &Peer,
    ) -> Result<String, AccessError> {
        let name = &proven.client.name;
        // Never before what was stopped within this very second.
        let issued = self.now().max(self.revocations.epoch(name));
        let until = issued + self.settings.life;
        let mut random = [0; 16];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| AccessError::NoKey)?;
        let jti = b64::encode(random);
        let mut claims = json!({
            "iss": authority.issuer,
            "sub": name,
            "client_id": name,
            "aud": authority.audience,
            "jti": jti,
            "iat": issued,
            "nbf": issued,
            "exp": until,
            "scope": scopes.join(" "),
            "acr": acr(proven.strength),
        });
        // Whoever shows a certificate gets a token that is worth nothing without it,
        // whatever else it proved itself by.
        if let Some(shown) = &peer.certificate {
            claims["cnf"] = json!({ "x5t#S256": shown.thumbprint_text() });
        }
        let token = self.signing.snapshot().signer.sign("at+jwt", &claims)?;
        self.sink.tell(AccessEvent::TokenIssued {
            client: name.clone(),
            jti,
            scopes: scopes.to_vec(),
            method: proven.method,
            bound: peer.certificate.is_some(),
            until: Timestamp::from_unix_ms(until * 1_000),
            address: peer.address,
        });
        Ok(token)
    }
}

const fn acr(strength: Strength) -> &'static str {
    match strength {
        Strength::Certificate => "certificate",
        Strength::PrivateKey => "private-key",
        Strength::Secret | Strength::ApiKey => "secret",
    }
}
