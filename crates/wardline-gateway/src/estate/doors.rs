//! Listeners, and what else stands behind them: the token endpoint, and connections that take
//! messages in.

use super::FrontError;
use crate::plan::{Api, Limits, Listener, ListenerLimits, Operation, Serve, Validate};
use crate::seam::{Handler, Peer};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wardline_access::identity::{self, Identity, PeerCertificate};
use wardline_access::oauth;
use wardline_connect::http::Inlet;
use wardline_core::{Lane, Zone};
use wardline_engine::{Recorder, Wiring};
use wardline_estate::model::Estate;

/// The listeners that show Apis.
pub(super) fn listeners(estate: &Estate, wiring: &Wiring<'_>) -> Result<Vec<Listener>, FrontError> {
    let mut all = Vec::new();
    for listener in estate.listeners.values() {
        if !estate.has_apis_at(listener) {
            continue;
        }
        let tls = match &listener.tls {
            None => None,
            Some(declared) => Some(
                wiring
                    .server_tls(declared)?
                    .build(&listener.name, super::renewing::ALPN)?,
            ),
        };
        all.push(Listener {
            name: listener.name.as_str().into(),
            bind: listener.bind.value.to_string(),
            zone: listener.zone,
            tls,
            allow: Vec::new(),
            limits: ListenerLimits {
                connections: listener.limits.connections as usize,
                head_bytes: usize::try_from(listener.limits.head).unwrap_or(usize::MAX),
                head_time: listener.limits.slow,
                idle: listener.limits.idle,
                ..ListenerLimits::default()
            },
        });
    }
    Ok(all)
}

/// Zones whose listeners show Apis.
fn zones(estate: &Estate) -> BTreeSet<Zone> {
    let shown = estate.listeners.values();
    shown
        .filter(|listener| estate.has_apis_at(listener))
        .map(|listener| listener.zone)
        .collect()
}

/// Whoever comes, as identity sees it.
pub(super) fn seen(peer: &Peer) -> identity::Peer {
    let seen = identity::Peer::new(peer.address.ip(), peer.zone);
    let certificate = peer.certificate.as_deref();
    match certificate.and_then(|der| PeerCertificate::from_der(der).ok()) {
        Some(certificate) => seen.with_certificate(Arc::new(certificate)),
        None => seen,
    }
}

pub(super) fn operation(name: &str, method: Method, path: &str, serve: Serve) -> Operation {
    Operation {
        name: name.into(),
        method,
        path: path.to_owned(),
        scope: None,
        public: true,
        lane: Lane::Realtime,
        limits: Limits::default(),
        content_types: Vec::new(),
        validate: Validate::default(),
        idempotent: None,
        serve,
    }
}

pub(super) fn beside(name: &str, zones: Vec<Zone>, operations: Vec<Operation>) -> Api {
    Api {
        name: name.into(),
        version: "1".into(),
        base: String::new(),
        by_header: None,
        zones,
        headers: Vec::new(),
        facility: Vec::new(),
        contract: None,
        operations,
    }
}

/// The OAuth endpoints. No token leaves that the audit log does not know of.
struct OAuth {
    identity: Arc<Identity>,
    recorder: Arc<Recorder>,
}

#[async_trait]
impl Handler for OAuth {
    async fn handle(&self, request: Request<Bytes>, peer: &Peer) -> Response<Bytes> {
        let peer = seen(peer);
        if request.method() != Method::POST {
            return self.identity.serve(&request, &peer);
        }
        let Ok(place) = self.recorder.place().await else {
            return unrecorded();
        };
        self.identity.await_published_keys(&request).await;
        let identity = Arc::clone(&self.identity);
        // A revocation is on disk before it is answered, and signing takes its time.
        let answering = tokio::task::spawn_blocking(move || identity.serve(&request, &peer));
        let answer = match answering.await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending, and with it whoever could record it.
                Err(_) => return unrecorded(),
            },
        };
        let recorded = self.recorder.settled().await;
        drop(place);
        match recorded {
            Ok(()) => answer,
            Err(_) => unrecorded(),
        }
    }
}

/// In the words of RFC 6749, 4.1.2.1.
fn unrecorded() -> Response<Bytes> {
    tracing::warn!("a call of the OAuth endpoints is refused: the audit log takes no entries");
    let mut response = Response::new(Bytes::from_static(
        br#"{"error":"temporarily_unavailable"}"#,
    ));
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    for (name, value) in [
        (http::header::CONTENT_TYPE, "application/json"),
        (http::header::CACHE_CONTROL, "no-store"),
        (http::header::RETRY_AFTER, "2"),
    ] {
        let value = http::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// The OAuth endpoints, in every zone that shows Apis.
pub(super) fn oauth(
    estate: &Estate,
    identity: &Arc<Identity>,
    recorder: &Arc<Recorder>,
) -> Option<Api> {
    let zones: Vec<Zone> = zones(estate).into_iter().collect();
    if zones.is_empty() {
        return None;
    }
    let handler: Arc<dyn Handler> = Arc::new(OAuth {
        identity: Arc::clone(identity),
        recorder: Arc::clone(recorder),
    });
    let post = |name, path| {
        let mut operation = operation(
            name,
            Method::POST,
            path,
            Serve::Handler(Arc::clone(&handler)),
        );
        operation.content_types = vec!["application/x-www-form-urlencoded".into()];
        operation.limits.body = oauth::MAX_BODY;
        operation
    };
    let get = |name, path| {
        operation(
            name,
            Method::GET,
            path,
            Serve::Handler(Arc::clone(&handler)),
        )
    };
    Some(beside(
        "oauth",
        zones,
        vec![
            post("token", oauth::TOKEN),
            post("introspect", oauth::INTROSPECT),
            post("revoke", oauth::REVOKE),
            get("jwks", oauth::JWKS),
            get("metadata", oauth::METADATA),
            get("smart", oauth::SMART),
        ],
    ))
}

struct Intake {
    listener: Arc<str>,
    inlet: Arc<Inlet>,
}

#[async_trait]
impl Handler for Intake {
    async fn handle(&self, request: Request<Bytes>, peer: &Peer) -> Response<Bytes> {
        if *peer.listener != *self.listener {
            let mut elsewhere = Response::new(Bytes::new());
            *elsewhere.status_mut() = http::StatusCode::NOT_FOUND;
            return elsewhere;
        }
        self.inlet.answer(request, peer.address).await
    }
}

/// Routes of inbound connections, each at its listener. They prove their senders by themselves.
pub(super) fn inlets<'a>(
    estate: &'a Estate,
    inlets: &'a BTreeMap<String, Arc<Inlet>>,
) -> impl Iterator<Item = Api> + 'a {
    inlets.iter().filter_map(|(name, inlet)| {
        let listener = estate.listeners.get(name)?;
        let operations = inlet.routes().map(|route| {
            let handler = Arc::new(Intake {
                listener: name.as_str().into(),
                inlet: Arc::clone(inlet),
            });
            let (method, path) = (route.method.clone(), route.path.as_str());
            let mut operation = operation(&route.name(), method, path, Serve::Handler(handler));
            operation.content_types = vec![crate::plan::ANY_TYPE.into()];
            operation.lane = Lane::Normal;
            operation.limits.body = route.max_body;
            operation
        });
        Some(beside(
            &format!("connections at {name}"),
            vec![listener.zone],
            operations.collect(),
        ))
    })
}
