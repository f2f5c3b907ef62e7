//! A system behind, a caller in front, and a gateway between.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_docs)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wardline_access::{Caller, CallerKind, Strength};
use wardline_core::{Lane, Zone};
use wardline_gateway::plan::{
    Api, Binding, Call, FacilityFrom, Limits, Listener, ListenerLimits, Operation, Plan, Serve,
    Systems, Upstream, Validate, When,
};
use wardline_gateway::seam::{Facts, Pass, Peer};
use wardline_gateway::{Gatekeeper, Gateway, Kind, Problem};

/// What a test's system saw of a request.
#[derive(Debug, Clone)]
pub struct Saw {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A system that answers as a test says, and counts.
pub struct System {
    pub address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
    pub connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl System {
    pub async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Saw) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (answer, counted, opened) = (Arc::new(answer), requests.clone(), connections.clone());
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::Relaxed);
                let (answer, counted) = (Arc::clone(&answer), Arc::clone(&counted));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, counted) = (Arc::clone(&answer), Arc::clone(&counted));
                    async move {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let (parts, body) = request.into_parts();
                        let body = body
                            .collect()
                            .await
                            .map(http_body_util::Collected::to_bytes)
                            .unwrap_or_default();
                        let target = parts.uri.to_string();
                        let saw = Saw {
                            method: parts.method,
                            target,
                            headers: parts.headers,
                            body,
                        };
                        Ok::<_, Infallible>(answer(saw).await)
                    }
                });
                open.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            requests,
            connections,
            task,
        }
    }

    /// Tells what it saw, as JSON, under its name.
    pub async fn echo(name: &'static str) -> Self {
        Self::start(move |saw| async move {
            let body = serde_json::json!({
                "system": name, "method": saw.method.as_str(), "target": saw.target,
                "body": String::from_utf8_lossy(&saw.body),
                "headers": saw.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect::<serde_json::Map<String, Value>>(),
            });
            answer(StatusCode::OK, &body.to_string())
        })
        .await
    }

    pub fn count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn upstream(&self, name: &str) -> Upstream {
        Upstream::at(name, vec![url(self.address)])
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn url(address: SocketAddr) -> http::Uri {
    format!("http://{address}").parse().unwrap()
}

pub fn answer(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response.body(Full::from(body.to_owned())).unwrap()
}

/// Believes the header `x-caller`, and lets everybody do everything.
pub struct Open;

#[async_trait::async_trait]
impl Gatekeeper for Open {
    async fn identify(&self, _: &Peer, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        let name = headers.get("x-caller").ok_or(Kind::Unauthenticated)?;
        Ok(Arc::new(caller(name.to_str().unwrap())))
    }

    async fn admit(&self, _: &Api, _: &Operation, _: &Facts<'_>) -> Result<Pass, Problem> {
        Ok(Pass::default())
    }

    fn part(
        &self,
        _: &Api,
        _: &Operation,
        _: Option<&Caller>,
    ) -> Result<Option<wardline_gateway::plan::Transform>, Problem> {
        Ok(None)
    }
}

pub fn caller(name: &str) -> Caller {
    Caller {
        name: name.into(),
        kind: if name.starts_with("partner") {
            CallerKind::Partner
        } else {
            CallerKind::Service
        },
        zone: if name.starts_with("partner") {
            Zone::Partner
        } else {
            Zone::Internal
        },
        scopes: BTreeSet::new(),
        roles: BTreeSet::new(),
        facilities: BTreeSet::new(),
        strength: Strength::PrivateKey,
        purpose: None,
        until: None,
    }
}

pub fn listener(zone: Zone) -> Listener {
    Listener {
        name: zone.to_string().into(),
        bind: "127.0.0.1:0".into(),
        zone,
        tls: None,
        allow: Vec::new(),
        limits: ListenerLimits::default(),
    }
}

pub fn operation(name: &str, method: Method, path: &str, serve: Serve) -> Operation {
    Operation {
        name: name.into(),
        method,
        path: path.into(),
        scope: None,
        public: false,
        lane: Lane::Realtime,
        limits: Limits::default(),
        content_types: Vec::new(),
        validate: Validate::default(),
        idempotent: None,
        serve,
    }
}

pub fn api(name: &str, operations: Vec<Operation>) -> Api {
    Api {
        name: name.into(),
        version: "1.0.0".into(),
        base: format!("/{name}/v1"),
        by_header: None,
        zones: vec![Zone::Internal],
        headers: Vec::new(),
        facility: vec![FacilityFrom::Header("x-facility".parse().unwrap())],
        contract: None,
        operations,
    }
}

pub fn binding(system: &str, when: When) -> Binding {
    Binding {
        name: system.into(),
        when,
        call: Call::plain(system),
    }
}

pub fn bound(system: &str) -> Serve {
    Serve::Systems(Systems {
        bindings: vec![binding(system, When::default())],
        shadow: None,
    })
}

/// Everything the tests' one Api usually has.
pub fn suppliers(serve: &Serve) -> Api {
    api(
        "suppliers",
        vec![
            operation("list", Method::GET, "/suppliers", serve.clone()),
            operation("get", Method::GET, "/suppliers/{id}", serve.clone()),
            operation("create", Method::POST, "/suppliers", serve.clone()),
            operation("replace", Method::PUT, "/suppliers/{id}", serve.clone()),
        ],
    )
}

pub fn plan(apis: Vec<Api>, upstreams: Vec<Upstream>) -> Plan {
    Plan {
        listeners: vec![listener(Zone::Internal)],
        apis,
        upstreams,
        gatekeeper: Arc::new(Open),
        ..Plan::default()
    }
}

/// A gateway and a caller of it.
pub struct Site {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// The last part of the problem's type.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        let value = self.json();
        assert_eq!(value["status"], self.status);
        assert_eq!(
            value["correlation_id"],
            self.headers["x-correlation-id"].to_str().unwrap()
        );
        value["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:wardline:problem:")
            .unwrap()
            .to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    pub async fn start(plan: Plan) -> Self {
        let zone = plan.listeners[0].name.clone();
        let gateway = Gateway::start(plan).await.unwrap();
        let address = gateway.address(&zone).await.unwrap();
        Self {
            gateway,
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.send_bytes(method, path, headers, Bytes::from(body.to_owned()))
            .await
    }

    pub async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Reply {
        let mut tries = 0;
        let response = loop {
            let mut request = Request::builder()
                .method(method)
                .uri(format!("http://{}{path}", self.address));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if !headers.iter().any(|(name, _)| *name == "x-caller") {
                request = request.header("x-caller", "portal");
            }
            if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
                request = request.header("content-type", "application/json");
            }
            let request = request.body(Full::new(body.clone())).unwrap();
            match self.client.request(request).await {
                Ok(response) => break response,
                // This client gives up when its body is cut short, without a look at the answer
                // that says why (RFC 9112, 9.6).
                Err(error) if tries < 3 && is_cut_short(&error) => tries += 1,
                Err(error) => panic!("{error:?}"),
            }
        };
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    /// Sends bytes as they are; gives everything until the other side closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Whether the other side stopped reading a body.
fn is_cut_short(error: &hyper_util::client::legacy::Error) -> bool {
    // hyper has no question of its own for this kind.
    format!("{error:?}").contains("BodyWrite")
}
