//! What can be set on either side of HTTP.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, Method, StatusCode};

use super::auth::{InboundAuth, OutboundAuth};
use super::reach::Reach;
use super::sign::WebhookSigner;
use crate::Network;
use crate::soap::Endpoint;
use crate::tls::{ClientTls, ServerTls};
use crate::{fhir, scim};

/// One listener with its routes.
#[derive(Debug, Clone)]
pub struct IngressConfig {
    /// The listener's name in the estate, for logs and errors.
    pub name: Arc<str>,
    /// Address and port, such as `0.0.0.0:8443`; port 0 picks a free one.
    pub bind: String,
    /// TLS; plain HTTP where absent.
    pub tls: Option<ServerTls>,
    /// Networks that may connect; everyone where empty.
    pub allow: Vec<Network>,
    /// What is served. Everything else is answered 404.
    pub routes: Vec<Route>,
    /// Connections open at the same time; further ones are closed at once.
    pub max_connections: usize,
    /// Bytes that all bodies in hand may have together; past it the answer is 503.
    pub in_flight_bytes: usize,
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long requests in hand may take at shutdown.
    pub drain: Duration,
}

impl IngressConfig {
    /// A plain listener with the usual limits: 512 connections, 64 MiB in hand, 10 s for
    /// headers, 30 s for a body, 20 s to drain.
    pub fn new(name: impl Into<Arc<str>>, bind: impl Into<String>, routes: Vec<Route>) -> Self {
        Self {
            name: name.into(),
            bind: bind.into(),
            tls: None,
            allow: Vec::new(),
            routes,
            max_connections: 512,
            in_flight_bytes: 64 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// How senders prove who they are, to be changed while a listener runs: a request is judged by
/// what stands there when it begins.
pub type SwappableAuth = Arc<ArcSwap<InboundAuth>>;

/// One method and path, and the connection that what arrives there belongs to.
#[derive(Debug, Clone)]
pub struct Route {
    /// The connection, such as `hr.events`.
    pub source: Arc<str>,
    /// The method, usually POST.
    pub method: Method,
    /// The path, compared exactly.
    pub path: String,
    /// How a sender proves who it is.
    pub auth: SwappableAuth,
    /// Status of a positive answer, usually 202.
    pub status: StatusCode,
    /// Largest body in bytes.
    pub max_body: usize,
    /// The service that is spoken to there by SOAP. A GET route of one gives its description.
    pub soap: Option<Arc<Endpoint>>,
    /// The service that is spoken to there by SCIM. A segment `{…}` of the path is any one.
    pub scim: Option<Arc<scim::Endpoint>>,
    /// The service that is spoken to there by FHIR. Segments `{…}` of the path are any.
    pub fhir: Option<Arc<fhir::Endpoint>>,
}

impl Route {
    /// What the route is called among those of a listener.
    pub fn name(&self) -> String {
        match (&self.soap, &self.method) {
            // What is asked by GET is the description.
            (Some(_), &Method::GET) => format!("{}?wsdl", self.path),
            (_, &Method::POST) => self.path.clone(),
            (_, method) => format!("{method} {}", self.path),
        }
    }

    /// The routes of a service that speaks SCIM below this one's path.
    pub fn scim(&self, endpoint: &Arc<scim::Endpoint>) -> Vec<Self> {
        let below = endpoint.routes().into_iter();
        let below = below.map(|(method, path)| Self {
            method,
            path,
            scim: Some(Arc::clone(endpoint)),
            ..self.clone()
        });
        below.collect()
    }

    /// The routes of a service that speaks FHIR below this one's path.
    pub fn fhir(&self, endpoint: &Arc<fhir::Endpoint>) -> Vec<Self> {
        let below = endpoint.routes().into_iter();
        let below = below.map(|(method, path)| Self {
            method,
            path,
            fhir: Some(Arc::clone(endpoint)),
            ..self.clone()
        });
        below.collect()
    }

    /// A POST route that answers 202 and takes up to 1 MiB.
    pub fn post(source: impl Into<Arc<str>>, path: impl Into<String>, auth: InboundAuth) -> Self {
        Self {
            source: source.into(),
            method: Method::POST,
            path: path.into(),
            auth: Arc::new(ArcSwap::from_pointee(auth)),
            status: StatusCode::ACCEPTED,
            max_body: 1 << 20,
            soap: None,
            scim: None,
            fhir: None,
        }
    }
}

/// One HTTP server that is sent to.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// The connection's name in the estate, for logs and errors.
    pub name: Arc<str>,
    /// Base URL, `http` or `https`, without query; a request's path is put behind its path.
    pub url: String,
    /// Method where a request names none.
    pub method: Method,
    /// Credentials.
    pub auth: OutboundAuth,
    /// Further headers of every request; not for secrets.
    pub headers: HeaderMap,
    /// TLS for `https`: own CA, client certificate.
    pub tls: ClientTls,
    /// How long connecting (with the TLS handshake) may take.
    pub connect_timeout: Duration,
    /// How long the whole exchange may take, connecting included.
    pub timeout: Duration,
    /// Bytes of an answer that are kept; its rest is thrown away.
    pub max_response: usize,
    /// Idle connections kept for reuse.
    pub idle_connections: usize,
    /// Signs each request as a webhook; an answer of 410 then means that nobody wants more.
    pub webhook: Option<Arc<WebhookSigner>>,
    /// Where it may lead; [`Reach::Public`] for urls that others supplied.
    pub reach: Reach,
}

impl OutboundConfig {
    /// POST without credentials; 5 s to connect, 30 s in all, 1 MiB of answer, 16 idle
    /// connections.
    pub fn new(name: impl Into<Arc<str>>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            method: Method::POST,
            auth: OutboundAuth::None,
            headers: HeaderMap::new(),
            tls: ClientTls::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_response: 1 << 20,
            idle_connections: 16,
            webhook: None,
            reach: Reach::Anywhere,
        }
    }
}
