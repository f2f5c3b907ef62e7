//! Messages in by HTTP: find the route, prove the sender, count the body, ask the engine,
//! answer.

mod fhir;
mod scim;
mod soap;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wardline_core::{MessageId, Timestamp};

use super::config::{IngressConfig, Route};
use super::problem::{come_later, problem};
use super::webhook;
use crate::admission::{Budget, worth_a_line};
use crate::door::{Admission, Door, Socket, SwappableTls};
use crate::stream::Stream;
use crate::{ConnectError, ContentType, Counters, Intake, Received, Verdict, codes};

type Answer = Response<Full<Bytes>>;

/// Headers that go with a message into the journal, and the longest value taken.
const SELECTED: [&str; 4] = [
    "idempotency-key",
    "traceparent",
    "x-correlation-id",
    webhook::ID,
];
const LONGEST_HEADER: usize = 255;
/// Buffer for the head of a request; larger heads are answered 431.
const HEAD_BYTES: usize = 32 * 1024;
/// Requests of one HTTP/2 connection in hand at the same time.
const STREAMS: u32 = 64;
/// When to come again after a refusal that may pass or a full listener.
const LATER: Duration = Duration::from_secs(2);

/// Application protocols of a listener's TLS, most wanted first.
pub const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A bound HTTP listener with its routes.
pub struct Ingress {
    door: Door,
    config: IngressConfig,
    routes: HashMap<String, Vec<Route>>,
}

impl Ingress {
    /// Binds the address and builds TLS; serves nothing yet.
    pub async fn bind(config: IngressConfig) -> Result<Self, ConnectError> {
        let routes = index(&config.routes)?;
        let door = Door::bind(admission(&config)?).await?;
        Ok(Self {
            door,
            config,
            routes,
        })
    }

    /// As [`Ingress::bind`], on the address of a listener that is being replaced.
    ///
    /// # Errors
    /// As [`Ingress::bind`].
    pub fn over(socket: Socket, config: IngressConfig) -> Result<Self, ConnectError> {
        let routes = index(&config.routes)?;
        let door = Door::over(socket, admission(&config)?)?;
        Ok(Self {
            door,
            config,
            routes,
        })
    }

    /// Its address, for the listener that will take its place.
    pub fn socket(&self) -> Socket {
        self.door.socket()
    }

    /// The bound address; tells the port where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.address()
    }

    /// Its TLS, to be changed while it runs; `None` where it is plain. What is put in speaks
    /// [`ALPN`].
    pub fn tls(&self) -> Option<SwappableTls> {
        self.door.tls()
    }

    /// What happened so far; stays valid while the listener runs.
    pub fn counters(&self) -> Arc<Counters> {
        self.door.counters()
    }

    /// Serves until `shutdown`, then finishes the requests in hand.
    pub async fn run(self, intake: Arc<dyn Intake>, shutdown: CancellationToken) {
        let tracker = TaskTracker::new();
        let drain = self.config.drain;
        let shared = Arc::new(Shared {
            services: services(&self.routes),
            routes: self.routes,
            budget: Budget::of_bytes(self.config.in_flight_bytes),
            counters: self.door.counters(),
            header_timeout: self.config.header_timeout,
            body_timeout: self.config.body_timeout,
            intake,
            tracker: tracker.clone(),
        });
        let stop = shutdown.clone();
        self.door
            .run(shutdown, move |stream, peer| {
                Arc::clone(&shared).connection(stream, peer, stop.clone())
            })
            .await;
        finish(&tracker, drain).await;
    }
}

/// Who may come in, with TLS built.
fn admission(config: &IngressConfig) -> Result<Admission, ConnectError> {
    let tls = config
        .tls
        .as_ref()
        .map(|tls| tls.build(&config.name, ALPN))
        .transpose()?;
    Ok(Admission {
        name: Arc::clone(&config.name),
        bind: config.bind.clone(),
        tls: tls.map(|tls| Arc::new(tls.into())),
        allow: config.allow.clone(),
        max_connections: config.max_connections,
        drain: config.drain,
        threads: None,
    })
}

/// The routes of a listener that somebody else has bound: requests are handed in whole.
///
/// A gateway that serves Apis on the same address answers what comes for a connection this way,
/// so that both stand behind one door.
pub struct Inlet {
    shared: Arc<Shared>,
    drain: Duration,
}

impl Inlet {
    /// Serves the routes of a configuration; its address, TLS and limits on connections are the
    /// business of whoever listens.
    ///
    /// # Errors
    /// Where two routes are one, or a path is none.
    pub fn new(config: &IngressConfig, intake: Arc<dyn Intake>) -> Result<Self, ConnectError> {
        let routes = index(&config.routes)?;
        Ok(Self {
            shared: Arc::new(Shared {
                services: services(&routes),
                routes,
                budget: Budget::of_bytes(config.in_flight_bytes),
                counters: Arc::default(),
                header_timeout: config.header_timeout,
                body_timeout: config.body_timeout,
                intake,
                tracker: TaskTracker::new(),
            }),
            drain: config.drain,
        })
    }

    /// What is served. A segment `{…}` of a path is any one.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.shared.routes.values().flatten()
    }

    /// Answers one request: proves who sends, hands it to the engine, turns the verdict into a
    /// status.
    pub async fn answer(&self, request: Request<Bytes>, peer: SocketAddr) -> Response<Bytes> {
        let answer = Arc::clone(&self.shared).handle(request.map(Full::new), peer);
        let (head, body) = answer.await.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        Response::from_parts(head, body)
    }

    /// Waits for what is on its way into the journal, for as long as the configuration allows.
    pub async fn drain(&self) {
        finish(&self.shared.tracker, self.drain).await;
    }
}

/// A request whose client went away may still be on its way into the journal.
async fn finish(tracker: &TaskTracker, drain: Duration) {
    tracker.close();
    if timeout(drain, tracker.wait()).await.is_err() {
        tracing::warn!(
            left = tracker.len(),
            "drain limit reached; messages in hand stay unanswered"
        );
    }
}

/// Routes by path; refuses two for the same method.
fn index(all: &[Route]) -> Result<HashMap<String, Vec<Route>>, ConnectError> {
    let mut routes: HashMap<String, Vec<Route>> = HashMap::new();
    for route in all {
        if !route.path.starts_with('/') {
            return Err(ConnectError::BadSetting {
                name: route.source.to_string(),
                what: "the path",
                value: route.path.clone(),
                detail: "it must begin with `/`".into(),
            });
        }
        let there = routes.entry(route.path.clone()).or_default();
        if let Some(first) = there.iter().find(|other| other.method == route.method) {
            return Err(ConnectError::RouteClash {
                method: route.method.to_string(),
                path: route.path.clone(),
                first: first.source.to_string(),
                second: route.source.to_string(),
            });
        }
        there.push(route.clone());
    }
    Ok(routes)
}

/// Paths below which FHIR is spoken.
fn services(routes: &HashMap<String, Vec<Route>>) -> Vec<String> {
    let all = routes.values().flatten();
    let all = all.filter_map(|route| Some(route.fhir.as_ref()?.path.clone()));
    let all: std::collections::BTreeSet<String> = all.collect();
    all.into_iter().collect()
}

struct Shared {
    routes: HashMap<String, Vec<Route>>,
    /// Paths of services that speak FHIR.
    services: Vec<String>,
    budget: Budget,
    counters: Arc<Counters>,
    header_timeout: Duration,
    body_timeout: Duration,
    intake: Arc<dyn Intake>,
    tracker: TaskTracker,
}

impl Shared {
    async fn connection(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
        shutdown: CancellationToken,
    ) {
        let begun = Arc::new(AtomicBool::new(false));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD_BYTES as u32);
        // hyper's own limit begins only once it knows the HTTP version; this one covers the
        // peer that connects and says nothing.
        let silent_limit = self.header_timeout;
        let first_request = Arc::clone(&begun);
        let service = service_fn(move |request| {
            first_request.store(true, Ordering::Relaxed);
            let shared = Arc::clone(&self);
            async move { Ok::<_, Infallible>(shared.handle(request, peer).await) }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut silence = pin!(sleep(silent_limit));
        let mut watching = true;
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, error = %error, "HTTP connection ended early");
                    }
                    return;
                }
                () = silence.as_mut(), if watching => {
                    watching = false;
                    if !begun.load(Ordering::Relaxed) {
                        return;
                    }
                }
                () = shutdown.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    async fn handle<B>(self: Arc<Self>, request: Request<B>, peer: SocketAddr) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let fhir = self.speaks_fhir(request.uri().path());
        match self.take(request, peer).await {
            Ok(answer) => answer,
            Err(answer) if fhir => fhir::told(*answer).await,
            Err(answer) => *answer,
        }
    }

    async fn take<B>(&self, request: Request<B>, peer: SocketAddr) -> Result<Answer, Box<Answer>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let route = self.route(&head)?;
        // As it is now, for the whole of the request.
        let auth = route.auth.load_full();
        if !auth.admits_head(&head.headers) {
            return Err(self.unauthenticated(route, peer));
        }
        if let (Some(endpoint), &Method::GET) = (&route.soap, &head.method) {
            return Self::describe(endpoint, route, &head);
        }
        if head
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity")
        {
            let detail = "compressed bodies are not taken; send it as it is";
            return Err(problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                codes::BODY_BROKEN,
                detail,
            ));
        }
        let headers = select(&head.headers)?;
        let read = timeout(self.body_timeout, self.read(route, &head.headers, body)).await;
        let (body, held) = read.map_err(|_| {
            let detail = "the body did not arrive in time";
            problem(StatusCode::REQUEST_TIMEOUT, codes::BODY_TOO_SLOW, detail)
        })??;
        let now = Timestamp::now();
        if !auth.admits_body(&head.headers, &body, now) {
            return Err(self.unauthenticated(route, peer));
        }
        let content_type = head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let correlation = headers
            .iter()
            .find(|(name, _)| name == "x-correlation-id")
            .map(|(_, v)| v.clone());
        let received = Received {
            source: Arc::clone(&route.source),
            content_type: ContentType::from_media_type(content_type),
            body,
            received: now,
            peer: Some(peer),
            headers,
            answer: Kept { correlation }.to_bytes(),
            once: None,
            fault: None,
        };
        if let Some(endpoint) = &route.scim {
            return Ok(self.scim(endpoint, &head, received, held).await);
        }
        if let Some(endpoint) = &route.fhir {
            return Ok(self.fhir(endpoint, &head, received, held).await);
        }
        if let Some(endpoint) = &route.soap {
            return Ok(self.soap(endpoint, &head, peer, received, held).await);
        }
        Ok(self.ask(route.status, received, held).await)
    }

    fn route(&self, head: &http::request::Parts) -> Result<&Route, Box<Answer>> {
        let path = head.uri.path();
        // One segment, the last, may be any.
        let open = || {
            let (before, _) = path.rsplit_once('/')?;
            let names = ["{id}", "{name}"].iter();
            names
                .map(|name| self.routes.get(&format!("{before}/{name}")))
                .find_map(|found| found)
        };
        let found = self.routes.get(path).or_else(open);
        let Some(routes) = found.or_else(|| self.fhir_routes(path)) else {
            return Err(problem(
                StatusCode::NOT_FOUND,
                codes::NO_SUCH_ROUTE,
                "nothing is served at this path",
            ));
        };
        routes
            .iter()
            .find(|route| route.method == head.method)
            .ok_or_else(|| {
                let detail = "this path takes other methods; see Allow";
                let mut answer = problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    codes::METHOD_NOT_ALLOWED,
                    detail,
                );
                let methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
                if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
                    answer.headers_mut().insert(ALLOW, allow);
                }
                answer
            })
    }

    /// Says nothing about the cause, so that it helps nobody who guesses.
    fn unauthenticated(&self, route: &Route, peer: SocketAddr) -> Box<Answer> {
        let times = self.counters.unauthenticated(1);
        if worth_a_line(times) {
            tracing::warn!(source = %route.source, %peer, times, code = %codes::NOT_AUTHENTICATED, "a request does not prove who sent it");
        }
        let detail = "no valid proof of who sends this";
        let mut answer = problem(StatusCode::UNAUTHORIZED, codes::NOT_AUTHENTICATED, detail);
        let challenge = HeaderValue::from_static(route.auth.load().challenge());
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        answer
    }

    /// Reads the body, counting what really arrives; the permit holds its share of the memory.
    async fn read<B>(
        &self,
        route: &Route,
        headers: &HeaderMap,
        mut body: B,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Box<Answer>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let too_large = || {
            self.counters.too_large(1);
            let detail = format!("at most {} bytes are taken here", route.max_body);
            problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                codes::BODY_TOO_LARGE,
                &detail,
            )
        };
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > route.max_body as u64) {
            return Err(too_large());
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut held: Option<OwnedSemaphorePermit> = None;
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let detail = "the body ended before it was whole";
                return Err(problem(StatusCode::BAD_REQUEST, codes::BODY_BROKEN, detail));
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            length += data.len();
            if length > route.max_body {
                return Err(too_large());
            }
            let Some(more) = self.budget.try_take(data.len()) else {
                self.counters.busy(1);
                return Err(come_later(
                    codes::LISTENER_FULL,
                    "too much is in hand; send it again later",
                    LATER,
                ));
            };
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            // Most bodies come in one piece and need no copy.
            if first.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok((
            if rest.is_empty() {
                first
            } else {
                rest.freeze()
            },
            held,
        ))
    }

    /// Asks the engine, in a task of its own: a client that hangs up makes hyper drop the
    /// request, which must not tear a commit in two. `None` where that task came to grief.
    async fn verdict(
        &self,
        received: Received,
        held: Option<OwnedSemaphorePermit>,
    ) -> Option<Verdict> {
        let intake = Arc::clone(&self.intake);
        let task = self.tracker.spawn(async move {
            let verdict = intake.accept(received).await;
            drop(held);
            verdict
        });
        let verdict = task.await.ok();
        if verdict.is_none() {
            tracing::error!("taking a message in panicked; it was not acknowledged");
        }
        verdict
    }

    async fn ask(
        &self,
        status: StatusCode,
        received: Received,
        held: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        let kept = received.answer.clone();
        let Some(verdict) = self.verdict(received, held).await else {
            return *come_later(
                codes::LISTENER_FULL,
                "the message was not taken; send it again",
                LATER,
            );
        };
        match verdict {
            Verdict::Accepted { id } => {
                self.counters.accepted(1);
                Kept::read(&kept).answer(status, id)
            }
            Verdict::Duplicate { original, answer } => {
                self.counters.duplicates(1);
                let mut answer = Kept::read(&answer).answer(status, original);
                answer
                    .headers_mut()
                    .insert("wardline-duplicate", HeaderValue::from_static("true"));
                answer
            }
            Verdict::Refused {
                code,
                text,
                permanent,
            } => {
                self.counters.refused(1);
                if permanent {
                    *problem(StatusCode::UNPROCESSABLE_ENTITY, code, &text)
                } else {
                    *come_later(code, &text, LATER)
                }
            }
            Verdict::Busy {
                code,
                text,
                retry_after,
            } => {
                self.counters.busy(1);
                *come_later(code, &text, retry_after)
            }
        }
    }
}

/// The headers that are kept. One that is too long or not visible ASCII is refused rather than
/// dropped: without its idempotency key a repeated request would be taken twice.
fn select(headers: &HeaderMap) -> Result<Vec<(String, String)>, Box<Answer>> {
    let mut selected = Vec::new();
    for name in SELECTED {
        let Some(value) = headers.get(name) else {
            continue;
        };
        match value.to_str() {
            Ok(text) if text.len() <= LONGEST_HEADER => {
                selected.push((name.to_owned(), text.to_owned()));
            }
            _ => {
                let detail =
                    format!("{name} must be visible ASCII of at most {LONGEST_HEADER} characters");
                return Err(problem(
                    StatusCode::BAD_REQUEST,
                    codes::HEADER_UNUSABLE,
                    &detail,
                ));
            }
        }
    }
    Ok(selected)
}

/// What the journal keeps of a positive answer; the message id is added when it is given.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
}

impl Kept {
    fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .unwrap_or_default()
    }

    /// An answer kept under another protocol (the connection was changed) says nothing here.
    fn read(kept: &Bytes) -> Self {
        serde_json::from_slice(kept).unwrap_or_default()
    }

    fn answer(self, status: StatusCode, id: MessageId) -> Answer {
        let correlation = self.correlation.unwrap_or_else(|| id.to_string());
        let body = serde_json::json!({ "id": id, "correlation": correlation });
        let mut answer = Response::new(Full::from(body.to_string()));
        *answer.status_mut() = status;
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}
