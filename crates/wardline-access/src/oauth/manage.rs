//! Looking into tokens (RFC 7662) and revoking them (RFC 7009).

use super::answer::{OAuthError, bare, private_json};
use super::authenticate::{Authenticated, Unproven};
use super::form::Form;
use crate::AccessEvent;
use crate::identity::{Authority, ClientCredentials, Identity, Peer};
use crate::token::{Claims, Jws, LEEWAY, Reason};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The scope that lets a client look into tokens of others.
const INTROSPECT_ALL: &str = "wardline/introspect";

/// Everything that an endpoint of this kind begins with.
fn begin(
    identity: &Identity,
    authority: &Authority,
    request: &Request<Bytes>,
    peer: &Peer,
    endpoint: &'static str,
) -> Result<(Authenticated, String), Box<Response<Bytes>>> {
    let read = || -> Result<(Authenticated, String), Unproven> {
        let form = Form::of(request)?;
        let proven = identity.authenticate(authority, request.headers(), &form, peer)?;
        let token = form.get("token").ok_or_else(|| Unproven {
            claimed: Some(proven.client.name.to_string()),
            reason: Reason::Request,
        })?;
        Ok((proven, token.to_owned()))
    };
    read().map_err(|unproven| {
        identity.sink.tell(unproven.event(endpoint, peer));
        Box::new(OAuthError::of(unproven.reason).response())
    })
}

/// The claims of a token of ours that holds now, and whose it is.
fn holding(
    identity: &Identity,
    authority: &Authority,
    token: &str,
) -> Result<(Claims, Arc<ClientCredentials>), Reason> {
    identity.own_claims(&Jws::parse(token)?, authority, identity.now())
}

pub(super) fn introspect(
    identity: &Identity,
    authority: &Authority,
    request: &Request<Bytes>,
    peer: &Peer,
) -> Response<Bytes> {
    let (asker, token) = match begin(identity, authority, request, peer, "introspect") {
        Ok(begun) => begun,
        Err(response) => return *response,
    };
    let inactive = || private_json(StatusCode::OK, &json!({ "active": false }));
    // Whatever is wrong with a token, it is not active, and nothing else is told.
    let Ok((claims, owner)) = holding(identity, authority, &token) else {
        return inactive();
    };
    let may_know = owner.name == asker.client.name || asker.client.scopes.contains(INTROSPECT_ALL);
    let expired = owner.expires.is_some_and(|end| identity.clock.now() >= end);
    if !may_know || owner.disabled || expired || owner.zone != peer.zone {
        return inactive();
    }
    let told = [
        "scope",
        "client_id",
        "exp",
        "iat",
        "nbf",
        "sub",
        "aud",
        "iss",
        "jti",
        "cnf",
    ];
    let mut answer = Map::new();
    answer.insert("active".to_owned(), Value::Bool(true));
    answer.insert("token_type".to_owned(), "Bearer".into());
    for name in told {
        if let Some(value) = claims.0.get(name) {
            answer.insert(name.to_owned(), value.clone());
        }
    }
    private_json(StatusCode::OK, &Value::Object(answer))
}

pub(super) fn revoke(
    identity: &Identity,
    authority: &Authority,
    request: &Request<Bytes>,
    peer: &Peer,
) -> Response<Bytes> {
    let (asker, token) = match begin(identity, authority, request, peer, "revoke") {
        Ok(begun) => begun,
        Err(response) => return *response,
    };
    // RFC 7009 §2.2: a token that does not hold is as good as revoked, and so is the answer.
    let Ok((claims, owner)) = holding(identity, authority, &token) else {
        return done();
    };
    if owner.name != asker.client.name {
        let unproven = Unproven {
            claimed: Some(asker.client.name.to_string()),
            reason: Reason::Credential,
        };
        identity.sink.tell(unproven.event("revoke", peer));
        return done();
    }
    let (Ok(jti), Ok(exp)) = (claims.text("jti"), claims.date("exp")) else {
        return done();
    };
    if let Err(error) = identity
        .revocations
        .revoke(jti, exp + LEEWAY, identity.now())
    {
        tracing::error!(code = %error.code(), %error, "a token cannot be revoked");
        return OAuthError::ServerError.response();
    }
    identity.sink.tell(AccessEvent::TokenRevoked {
        client: Arc::clone(&owner.name),
        jti: jti.to_owned(),
        address: peer.address,
    });
    done()
}

fn done() -> Response<Bytes> {
    let mut response = bare(StatusCode::OK);
    response.headers_mut().insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    response
}
