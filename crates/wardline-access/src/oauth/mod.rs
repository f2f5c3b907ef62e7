//! The OAuth 2.0 endpoints, as plain functions of a request and its peer: whoever serves them
//! has the sockets, limits and logs.

mod answer;
mod authenticate;
mod form;
mod manage;
mod metadata;
mod token;

use crate::identity::{Authority, Identity, Peer};
use answer::{bare, not_allowed};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};

/// Where tokens are issued.
pub const TOKEN: &str = "/oauth/token";
/// Where tokens are looked into.
pub const INTROSPECT: &str = "/oauth/introspect";
/// Where tokens are revoked.
pub const REVOKE: &str = "/oauth/revoke";
/// Where the public keys are.
pub const JWKS: &str = "/oauth/jwks";
/// Where all this is described (RFC 8414).
pub const METADATA: &str = "/.well-known/oauth-authorization-server";
/// And once more for SMART App Launch.
pub const SMART: &str = "/.well-known/smart-configuration";

/// The largest body that any of the endpoints reads; read no more than one byte beyond.
pub const MAX_BODY: usize = 32 << 10;

/// One of the endpoints.
type Endpoint = fn(&Identity, &Authority, &Request<Bytes>, &Peer) -> Response<Bytes>;

impl Identity {
    /// Whether a path is one of the OAuth endpoints.
    pub fn serves(path: &str) -> bool {
        endpoint(path).is_some()
    }

    /// Answers one of the OAuth endpoints; 404 for any other path, and on listeners of a zone
    /// that has no issuer. A revocation is written to disk before this returns.
    pub fn serve(&self, request: &Request<Bytes>, peer: &Peer) -> Response<Bytes> {
        let Some((post, answer)) = endpoint(request.uri().path()) else {
            return bare(StatusCode::NOT_FOUND);
        };
        let Some(authority) = self.settings.authorities.get(&peer.zone) else {
            return bare(StatusCode::NOT_FOUND);
        };
        match (post, request.method()) {
            (true, &Method::POST) | (false, &Method::GET | &Method::HEAD) => {}
            (true, _) => return not_allowed("POST"),
            (false, _) => return not_allowed("GET, HEAD"),
        }
        let mut response = answer(self, authority, request, peer);
        if request.method() == Method::HEAD {
            response.body_mut().clear();
        }
        response
    }
}

/// Whether it takes `POST`, and what answers it.
fn endpoint(path: &str) -> Option<(bool, Endpoint)> {
    Some(match path {
        TOKEN => (true, token::issue),
        INTROSPECT => (true, manage::introspect),
        REVOKE => (true, manage::revoke),
        JWKS => (false, metadata::jwks),
        METADATA => (false, metadata::server),
        SMART => (false, metadata::smart),
        _ => return None,
    })
}
