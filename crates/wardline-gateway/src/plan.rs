//! What the gateway serves, as plain data: made from an estate by whoever starts it.
//!
//! A [`Plan`] is immutable. [`crate::Gateway::replace`] puts another in its place while requests
//! are served; one that began under the old plan ends under it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use rustls::{ClientConfig, ServerConfig};
use serde_json::Value;
use wardline_connect::Network;
use wardline_core::{Lane, Timestamp, Zone};

use crate::idempotency::Answers;
use crate::seam::{
    Acceptor, Contract, DenyAll, Facts, Gatekeeper, Handler, Nobody, Observer, Processes,
};
use crate::shadow::{Difference, Rules};
use crate::speech::Speech;

/// A content type that stands for all of them, a missing one included.
pub const ANY_TYPE: &str = "*/*";

/// Everything that is served.
#[derive(Clone)]
pub struct Plan {
    /// Addresses that listen.
    pub listeners: Vec<Listener>,
    /// What is served at them.
    pub apis: Vec<Api>,
    /// The systems behind, named by bindings.
    pub upstreams: Vec<Upstream>,
    /// How much may be in hand at once.
    pub capacity: Capacity,
    /// Who may; nobody unless set.
    pub gatekeeper: Arc<dyn Gatekeeper>,
    /// Who is told of what was served.
    pub observer: Arc<dyn Observer>,
    /// Where answers to idempotency keys are kept; in the gateway's memory where absent.
    pub answers: Option<Arc<dyn Answers>>,
    /// Headers of callers that never reach a system, beside those that concern one connection.
    pub withheld: Vec<HeaderName>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            apis: Vec::new(),
            upstreams: Vec::new(),
            capacity: Capacity::default(),
            gatekeeper: Arc::new(DenyAll),
            observer: Arc::new(Nobody),
            answers: None,
            withheld: vec![
                header::AUTHORIZATION,
                header::PROXY_AUTHORIZATION,
                header::COOKIE,
                HeaderName::from_static("x-api-key"),
                HeaderName::from_static("forwarded"),
                HeaderName::from_static("x-forwarded-for"),
                HeaderName::from_static("x-forwarded-host"),
                HeaderName::from_static("x-forwarded-proto"),
            ],
        }
    }
}

/// One address of one zone.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name; [`crate::Gateway::replace`] recognises it by name and `bind`.
    pub name: Arc<str>,
    /// Address and port.
    pub bind: String,
    /// Only Apis that are visible in this zone exist here.
    pub zone: Zone,
    /// TLS; its client CAs are part of it. Plain where absent.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who may connect; everybody where empty.
    pub allow: Vec<Network>,
    /// Limits of its connections.
    pub limits: ListenerLimits,
}

/// Limits of a listener's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections open at the same time.
    pub connections: usize,
    /// Bytes of a request's head, request line included.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// How long a head may take from its first byte (or a connection to its first).
    pub head_time: Duration,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// After this age a connection takes no more requests; clients come again and are spread anew.
    pub age: Duration,
    /// Requests of one HTTP/2 connection in hand.
    pub streams: u32,
    /// How long requests may take to finish when the listener stops.
    pub drain: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_bytes: 16 * 1024,
            headers: 64,
            head_time: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            age: Duration::from_secs(3_600),
            streams: 64,
            drain: Duration::from_secs(20),
        }
    }
}

/// How many calls may be in hand at once: realtime may use all of it, the others their share,
/// so that however many bulk calls come, what is left is realtime's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Calls of all lanes together.
    pub total: usize,
    /// Of those, calls of the normal lane and of bulk together.
    pub normal: usize,
    /// Of those, bulk calls.
    pub bulk: usize,
    /// How long a call may wait for its turn before it is answered 503.
    pub wait: Duration,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            total: 4_096,
            normal: 1_024,
            bulk: 16,
            wait: Duration::from_secs(2),
        }
    }
}

/// One version of an Api.
#[derive(Clone)]
pub struct Api {
    /// Its name.
    pub name: Arc<str>,
    /// Its version, as declared.
    pub version: Arc<str>,
    /// Path prefix, such as `/supplier-master/v1`.
    pub base: String,
    /// How this version is told from others at the same path; by its path where absent.
    pub by_header: Option<ByHeader>,
    /// Where it is visible.
    pub zones: Vec<Zone>,
    /// What every answer bears, such as `Deprecation` and `Sunset`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Where a request's facility is found, first hit counts.
    pub facility: Vec<FacilityFrom>,
    /// The contract that requests and answers are held against.
    pub contract: Option<Arc<dyn Contract>>,
    /// Its operations.
    pub operations: Vec<Operation>,
}

/// A header tells versions apart that share one path. Its value is a major version (`2`, `v2`) or
/// the whole version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHeader {
    /// The header.
    pub header: HeaderName,
    /// Whether requests without it mean this version.
    pub default: bool,
}

/// Where a request says which facility it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FacilityFrom {
    /// A header.
    Header(HeaderName),
    /// A parameter of the path.
    Param(Arc<str>),
    /// A parameter of the query.
    Query(Arc<str>),
    /// A JSON pointer (RFC 6901) into the body.
    Body(Arc<str>),
    /// The caller's facility, where it has exactly one.
    Caller,
}

/// One operation.
#[derive(Clone)]
pub struct Operation {
    /// Its name within the Api.
    pub name: Arc<str>,
    /// Its method. HEAD is served by what serves GET.
    pub method: Method,
    /// Path template below the Api's base, such as `/suppliers/{id}`.
    pub path: String,
    /// The scope that a caller needs; for the gatekeeper.
    pub scope: Option<Arc<str>>,
    /// Whether callers need not say who they are. The gatekeeper still decides.
    pub public: bool,
    /// How urgent its calls are.
    pub lane: Lane,
    /// Limits of its requests.
    pub limits: Limits,
    /// Content types that it takes, without parameters; empty: those of JSON; [`ANY_TYPE`]: all.
    pub content_types: Vec<Arc<str>>,
    /// Whether requests and answers are held against the contract.
    pub validate: Validate,
    /// For how long an `Idempotency-Key` is remembered; `None` where keys mean nothing.
    pub idempotent: Option<Duration>,
    /// What serves it.
    pub serve: Serve,
}

/// What is held against the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validate {
    /// Requests.
    pub request: bool,
    /// Answers: of a thousand, so many. A broken answer is told to the observer, and refused
    /// where all are held (1000).
    pub response_permille: u16,
}

/// Limits of one operation's requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body, as it arrives and unpacked.
    pub body: usize,
    /// Whether a body may be compressed (gzip, deflate).
    pub compressed: bool,
    /// How long the body may take.
    pub body_time: Duration,
    /// Bytes of an answer that has to be held in memory (mapped, masked, validated or kept).
    pub answer: usize,
    /// How long the whole call may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            compressed: false,
            body_time: Duration::from_secs(30),
            answer: 4 << 20,
            time: Duration::from_secs(30),
        }
    }
}

/// What serves an operation.
#[derive(Clone)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "one of each operation, made once with the plan, and most are `Systems`"
)]
pub enum Serve {
    /// Systems: the first binding that fits.
    Systems(Systems),
    /// The journal: 202 once the message is durable.
    Accept(Arc<dyn Acceptor>),
    /// Other Apis, gathered.
    Compose(Compose),
    /// A process: what takes time and goes on after the answer.
    Process(Process),
    /// A document, such as a contract.
    Document {
        /// Its content type.
        content_type: HeaderValue,
        /// Its bytes.
        body: Bytes,
    },
    /// A function of its own, such as the token endpoint.
    Handler(Arc<dyn Handler>),
}

/// Bindings in order, and the system that is asked in the shadow.
#[derive(Clone, Default)]
pub struct Systems {
    /// The first that fits serves.
    pub bindings: Vec<Binding>,
    /// Compared with what serves.
    pub shadow: Option<Shadow>,
}

/// Decides by what is known of a request; an error counts as *does not fit* and is logged.
pub type Predicate = Arc<dyn Fn(&Facts<'_>) -> Result<bool, String> + Send + Sync>;
/// Names what a share sticks to, such as the supplier's number.
pub type KeyOf = Arc<dyn Fn(&Facts<'_>) -> Option<String> + Send + Sync>;
/// Turns one document into another: a compiled map, a mask. The text of an error goes to the log.
pub type Transform = Arc<dyn Fn(Value) -> Result<Value, String> + Send + Sync>;
/// Decides by what is known before a call of a composition. The text of an error goes to the log.
pub type Condition = Arc<dyn Fn(&Value) -> Result<bool, String> + Send + Sync>;

/// One way to serve an operation.
#[derive(Clone)]
pub struct Binding {
    /// Its name in records: the system's.
    pub name: Arc<str>,
    /// When it fits.
    pub when: When,
    /// What is called.
    pub call: Call,
}

/// When a binding fits: everything that is set must hold.
#[derive(Clone, Default)]
pub struct When {
    /// One of these facilities; any where empty.
    pub facilities: Vec<Arc<str>>,
    /// A header has this value.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A share of the traffic.
    pub share: Option<Share>,
    /// From this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// A compiled expression.
    pub predicate: Option<Predicate>,
    /// Whether `predicate` or the share's key looks into the body.
    pub reads_body: bool,
}

/// A share of traffic: the same key is always on the same side.
#[derive(Clone)]
pub struct Share {
    /// Of ten thousand.
    pub per_myriad: u16,
    /// What it sticks to; the caller, then its address, where absent.
    pub key: Option<KeyOf>,
}

/// A call of one operation of a system.
#[derive(Clone)]
pub struct Call {
    /// Name of the [`Upstream`].
    pub upstream: Arc<str>,
    /// Its method; the caller's where absent.
    pub method: Option<Method>,
    /// Path template with the parameters of the Api's operation; the Api's path below its base where absent.
    pub path: Option<String>,
    /// Whether the query goes along.
    pub query: bool,
    /// Canonical JSON in, what the system speaks out.
    pub request: Option<Transform>,
    /// What the system speaks in, canonical JSON out. Only answers of the 2xx are mapped.
    pub response: Option<Transform>,
    /// For how long an answer to GET may be given again; `None`: never.
    pub keep: Option<Keep>,
    /// How the system is spoken to, where that is not JSON.
    pub speech: Option<Speech>,
}

/// For how long a system's answer may be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Without asking the system; what it says itself can make this shorter.
    pub fresh: Duration,
    /// And for how long after, where the system cannot be asked.
    pub stale_if_error: Duration,
}

impl Call {
    /// Passes the request on as it is.
    pub fn plain(upstream: impl Into<Arc<str>>) -> Self {
        Self {
            upstream: upstream.into(),
            method: None,
            path: None,
            query: true,
            request: None,
            response: None,
            keep: None,
            speech: None,
        }
    }
}

/// A second system that gets a sample of the requests; its answers are compared and dropped.
#[derive(Clone)]
pub struct Shadow {
    /// The name by which it is told apart, as a binding's is: the system's.
    pub name: Arc<str>,
    /// What is called.
    pub call: Call,
    /// Of ten thousand requests so many.
    pub per_myriad: u16,
    /// What of the answers is compared.
    pub rules: Rules,
    /// Requests in the shadow at the same time; more are skipped and counted.
    pub concurrent: usize,
    /// Also ask for requests that are not safe (RFC 9110, 9.2.1). Off unless the second system may be written to.
    pub writes: bool,
    /// Where differences go.
    pub sink: Arc<dyn Fn(Difference) + Send + Sync>,
}

/// What is done with a process.
#[derive(Clone)]
pub struct Process {
    /// Who runs processes.
    pub engine: Arc<dyn Processes>,
    /// The process.
    pub name: Arc<str>,
    /// What is done.
    pub act: ProcessAct,
    /// Path template below the Api's base, with `{id}`, at which the state of an instance is told.
    pub status: Option<String>,
}

/// What is done with a process. All but [`ProcessAct::Start`] concern the instance that the
/// parameter `id` of the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessAct {
    /// An instance starts with the body.
    Start,
    /// An instance is told the operation's name, with the body.
    Signal,
    /// It is told how far an instance is.
    Status,
}

/// Calls whose answers are gathered in order and made one.
#[derive(Clone)]
pub struct Compose {
    /// In order; each sees the answers of those before.
    pub calls: Vec<Part>,
    /// From `{params, query, body, client, answers: {name: …}}` to the answer; where absent, the answers as they are.
    pub map: Option<Transform>,
    /// Kept for this long for the same caller, path and query; `None`: not kept.
    pub cache: Option<Duration>,
}

/// One call of a composition.
#[derive(Clone)]
pub struct Part {
    /// Its name among the answers.
    pub name: Arc<str>,
    /// The Api that is called.
    pub api: Arc<str>,
    /// The version of the Api, as declared; whichever the plan names last where absent.
    pub version: Option<Arc<str>>,
    /// Its operation.
    pub operation: Arc<str>,
    /// Whether it is called at all, by `{params, query, body, client, answers}`; its answer is
    /// `null` where it is not.
    pub when: Option<Condition>,
    /// From `{params, query, body, client, answers}` to `{params, query, body}` of the call; where absent, the same parameters.
    pub with: Option<Transform>,
    /// Whether a missing answer (404, or a system that cannot be reached) is `null` instead of a problem.
    pub optional: bool,
}

/// Headers to send with every call, looked up for each one so that secrets can rotate.
pub type Credentials = Arc<dyn Fn() -> HeaderMap + Send + Sync>;

/// TLS towards a system, to be changed while calls are made: connections that are opened later
/// use the new one.
pub type SwappableClientTls = Arc<ArcSwap<ClientConfig>>;

/// A system behind the gateway.
#[derive(Clone)]
pub struct Upstream {
    /// Its name; pools and health survive a replaced plan where name and urls stay.
    pub name: Arc<str>,
    /// Where it is, most wanted first: `http` or `https`, with an optional path prefix.
    pub urls: Vec<Uri>,
    /// TLS for `https`.
    pub tls: Option<SwappableClientTls>,
    /// Whether only global addresses are connected to, looked at after DNS.
    pub public: bool,
    /// Headers that prove who we are.
    pub credentials: Option<Credentials>,
    /// How long connecting may take.
    pub connect_time: Duration,
    /// How long an answer's head may take, and each pause within its body.
    pub time: Duration,
    /// Connections to one address.
    pub connections: usize,
    /// How long an idle connection is kept; keep below what the system keeps.
    pub idle: Duration,
    /// When to stop asking for a while; of no effect where there is a `gate`.
    pub breaker: Breaker,
    /// What the system allows to calls and deliveries together.
    pub gate: Option<wardline_engine::CallGate>,
    /// Whether an address is asked at all.
    pub health: Health,
    /// Retries within one call; they also need the budget (a fifth of the calls, ten to begin with).
    pub retries: u8,
    /// A safe call that is not answered after so long is sent once more, to the next address where
    /// there is one; the first answer counts. Of a hundred calls at most five. Never where absent.
    pub hedge: Option<Duration>,
}

impl Upstream {
    /// A system at these addresses, with everything else as usual.
    pub fn at(name: impl Into<Arc<str>>, urls: Vec<Uri>) -> Self {
        Self {
            name: name.into(),
            urls,
            tls: None,
            public: false,
            credentials: None,
            connect_time: Duration::from_secs(3),
            time: Duration::from_secs(15),
            connections: 256,
            idle: Duration::from_secs(30),
            breaker: Breaker::default(),
            gate: None,
            health: Health::default(),
            retries: 1,
            hedge: None,
        }
    }
}

/// After so many failures in a row nothing is sent for a while, then one request tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: NonZeroU32,
    /// How long it stays open.
    pub pause: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
            pause: Duration::from_secs(5),
        }
    }
}

/// When an address counts as ill and when as well again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Path that is asked (GET, 2xx is well); only traffic tells where absent.
    pub get: Option<String>,
    /// How often; also how long an ill address is left alone where nothing is asked.
    pub every: Duration,
    /// Successes in a row until it is well again.
    pub well_after: u32,
    /// Failures in a row until it is ill.
    pub ill_after: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            get: None,
            every: Duration::from_secs(10),
            well_after: 2,
            ill_after: 3,
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("listeners", &self.listeners.len())
            .field("apis", &self.apis.len())
            .field("upstreams", &self.upstreams.len())
            .finish_non_exhaustive()
    }
}
