//! What clients find out by themselves: RFC 8414, SMART App Launch 2.2.0, and the keys.

use super::{INTROSPECT, JWKS, REVOKE, TOKEN};
use crate::identity::{Authority, Identity, Peer};
use crate::token::Algorithm;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

const METHODS: [&str; 3] = ["private_key_jwt", "client_secret_basic", "tls_client_auth"];

pub(super) fn server(
    identity: &Identity,
    authority: &Authority,
    request: &Request<Bytes>,
    _peer: &Peer,
) -> Response<Bytes> {
    let mut document = common(identity, authority);
    let algorithms = document["token_endpoint_auth_signing_alg_values_supported"].clone();
    let more = json!({
        "response_types_supported": [],
        "introspection_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "tls_client_certificate_bound_access_tokens": true,
    });
    if let Value::Object(more) = more {
        document.extend(more);
    }
    public(
        request,
        Bytes::from(Value::Object(document).to_string()),
        None,
    )
}

pub(super) fn smart(
    identity: &Identity,
    authority: &Authority,
    request: &Request<Bytes>,
    _peer: &Peer,
) -> Response<Bytes> {
    let mut document = common(identity, authority);
    document.insert(
        "capabilities".to_owned(),
        json!(["client-confidential-asymmetric"]),
    );
    // Required of every server, though only people's authorization would use it.
    document.insert(
        "code_challenge_methods_supported".to_owned(),
        json!(["S256"]),
    );
    public(
        request,
        Bytes::from(Value::Object(document).to_string()),
        None,
    )
}

pub(super) fn jwks(
    identity: &Identity,
    _authority: &Authority,
    request: &Request<Bytes>,
    _peer: &Peer,
) -> Response<Bytes> {
    let (keys, etag) = identity.signing.jwks();
    public(request, keys, Some(etag))
}

fn common(identity: &Identity, authority: &Authority) -> Map<String, Value> {
    let algorithms = Algorithm::FOR_ASSERTIONS.map(Algorithm::name);
    let mut document = json!({
        "issuer": authority.issuer,
        "token_endpoint": authority.url(TOKEN),
        "jwks_uri": authority.url(JWKS),
        "introspection_endpoint": authority.url(INTROSPECT),
        "revocation_endpoint": authority.url(REVOKE),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    if !identity.settings.scopes_supported.is_empty() {
        document["scopes_supported"] = json!(identity.settings.scopes_supported);
    }
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

/// JSON that may be kept for five minutes, which is less than half of how long a key is
/// published before it signs.
fn public(request: &Request<Bytes>, body: Bytes, etag: Option<String>) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) else {
        return response;
    };
    let known = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/"))
        .any(|value| value == "*" || value.as_bytes() == etag.as_bytes());
    headers.insert(ETAG, etag);
    if known {
        headers.remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.body_mut().clear();
    }
    response
}
