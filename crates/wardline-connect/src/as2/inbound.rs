//! A port on which one partner's messages are received. The receipt is the answer, or follows it to an
//! address that the estate knows; either leaves when the message is on stable storage.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wardline_as2::{
    Certificate, Disposition, Identity, Receipt, RefusedBecause, Wants, receive, wants,
};
use wardline_core::Timestamp;

use crate::admission::{Budget, worth_a_line};
use crate::door::{Admission, Door, Socket, SwappableTls};
use crate::http::Asker;
use crate::stream::Stream;
use crate::tls::{ClientTls, Pem, ServerTls};
use crate::{ConnectError, ContentType, Counters, Intake, Network, Received, Verdict};

/// How long the head of a request may take, and its body.
const HEAD: Duration = Duration::from_secs(15);
const BODY: Duration = Duration::from_mins(2);
/// Bytes of all messages in hand, in messages of the largest size.
const IN_HAND: usize = 4;
/// How often a receipt that follows is tried to be sent. When none arrives the partner sends the
/// message again, and gets its receipt again.
const TRIES: u32 = 4;
/// Application protocols of the listener's TLS.
pub const ALPN: &[&[u8]] = &[b"http/1.1"];

/// A listener.
#[derive(Clone)]
pub struct InboundConfig {
    /// The connection it belongs to.
    pub source: Arc<str>,
    /// Address and port.
    pub bind: String,
    /// TLS; plain where absent.
    pub tls: Option<ServerTls>,
    /// Networks that may connect; everyone where empty.
    pub allow: Vec<Network>,
    /// The path that the partner posts to.
    pub path: String,
    /// Our AS2 name.
    pub to: String,
    /// The partner's.
    pub from: String,
    /// Our certificates and keys: all may decrypt, the first signs receipts.
    pub identities: Vec<(Pem, Pem)>,
    /// The partner's certificates.
    pub partner: Option<Pem>,
    /// Whether messages must be signed.
    pub must_sign: bool,
    /// Whether messages must be encrypted.
    pub must_encrypt: bool,
    /// Where receipts may be sent that a message wants afterwards: to this url, or below it.
    pub receipts: Option<String>,
    /// What payloads are.
    pub content_type: ContentType,
    /// The largest message.
    pub max_size: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// How long connections may take to end at shutdown.
    pub drain: Duration,
}

/// A bound listener.
pub struct Listener {
    door: Door,
    rules: Rules,
}

struct Rules {
    config: InboundConfig,
    identities: Vec<Identity>,
    partner: Vec<Certificate>,
    budget: Budget,
    /// Sends receipts that follow, where any may.
    asker: Option<Asker>,
}

impl Listener {
    /// Binds the address, reads keys and certificates; takes nobody yet.
    ///
    /// # Errors
    /// [`ConnectError`] where one of these cannot be.
    pub async fn bind(config: InboundConfig) -> Result<Self, ConnectError> {
        let rules = Rules::new(config)?;
        let door = Door::bind(rules.admission()?).await?;
        Ok(Self { door, rules })
    }

    /// As [`Listener::bind`], on the address of a listener that is being replaced.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn over(socket: Socket, config: InboundConfig) -> Result<Self, ConnectError> {
        let rules = Rules::new(config)?;
        let door = Door::over(socket, rules.admission()?)?;
        Ok(Self { door, rules })
    }

    /// Its address, for the listener that will take its place.
    pub fn socket(&self) -> Socket {
        self.door.socket()
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.address()
    }

    /// Its TLS, to be changed while it runs; `None` where it is plain.
    pub fn tls(&self) -> Option<SwappableTls> {
        self.door.tls()
    }

    /// Serves until `shutdown`; then finishes what is in hand.
    pub async fn run(self, intake: Arc<dyn Intake>, shutdown: CancellationToken) {
        let counters = self.door.counters();
        let service = Arc::new(Service {
            rules: self.rules,
            intake,
            counters,
        });
        let stop = shutdown.clone();
        self.door
            .run(shutdown, move |stream, peer| {
                serve(Arc::clone(&service), stream, peer, stop.clone())
            })
            .await;
    }
}

impl Rules {
    fn new(config: InboundConfig) -> Result<Self, ConnectError> {
        let bad = |what, detail: String| ConnectError::BadSetting {
            name: config.source.to_string(),
            what,
            value: config.bind.clone(),
            detail,
        };
        let mut identities = Vec::new();
        for (certificate, key) in &config.identities {
            let certificate = certificate.read("our AS2 certificate")?;
            let key = key.read("our AS2 key")?;
            let identity = Identity::new(certificate.expose(), key.expose());
            identities.push(
                identity.map_err(|error| bad("our AS2 certificate and key", error.to_string()))?,
            );
        }
        let partner = match &config.partner {
            None => Vec::new(),
            Some(pem) => {
                let pem = pem.read("the partner's certificate")?;
                Certificate::all(pem.expose())
                    .map_err(|error| bad("the partner's certificate", error.to_string()))?
            }
        };
        let asker = config.receipts.as_ref().map(|_| {
            let tls = ClientTls::default();
            Asker::new(&config.source, &tls, 4096, Duration::from_secs(30))
        });
        Ok(Self {
            asker: asker.transpose()?,
            budget: Budget::of_bytes(config.max_size.saturating_mul(IN_HAND)),
            identities,
            partner,
            config,
        })
    }

    fn admission(&self) -> Result<Admission, ConnectError> {
        let config = &self.config;
        let tls = config.tls.as_ref();
        let tls = tls.map(|tls| tls.build(&config.source, ALPN)).transpose()?;
        Ok(Admission {
            name: Arc::clone(&config.source),
            bind: config.bind.clone(),
            tls: tls.map(|tls| Arc::new(tls.into())),
            allow: config.allow.clone(),
            max_connections: config.max_connections,
            drain: config.drain,
            threads: None,
        })
    }

    /// Whether a receipt may be sent there.
    fn may_send_to(&self, url: &str) -> bool {
        let Some(known) = &self.config.receipts else {
            return false;
        };
        let below = url.strip_prefix(known.trim_end_matches('/'));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            && !url.contains("..")
    }
}

struct Service {
    rules: Rules,
    intake: Arc<dyn Intake>,
    counters: Arc<Counters>,
}

type Answer = Response<Full<Bytes>>;

/// A receipt that is to follow.
struct Follows {
    to: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// One connection, one message: AS2 gains nothing by keeping it.
async fn serve(service: Arc<Service>, stream: Stream, peer: SocketAddr, stop: CancellationToken) {
    let follows: Arc<Mutex<Option<Follows>>> = Arc::default();
    let answering = {
        let (service, follows) = (Arc::clone(&service), Arc::clone(&follows));
        service_fn(move |request| {
            let (service, follows) = (Arc::clone(&service), Arc::clone(&follows));
            async move {
                let (answer, later) = service.answer(request, peer).await;
                *follows.lock() = later;
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(source = %service.rules.config.source, %peer, %error, "a connection ended early");
    }
    let later = follows.lock().take();
    if let Some(later) = later {
        service.follow(later).await;
    }
}

impl Service {
    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> (Answer, Option<Follows>) {
        let config = &self.rules.config;
        let (head, body) = request.into_parts();
        if head.uri.path() != config.path {
            return (plain(StatusCode::NOT_FOUND), None);
        }
        if head.method != Method::POST {
            return (plain(StatusCode::METHOD_NOT_ALLOWED), None);
        }
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map_or("", |(_, value)| value.trim().trim_matches('"'))
        };
        if header("as2-from") != config.from || header("as2-to") != config.to {
            let times = self.counters.unauthenticated(1);
            if worth_a_line(times) {
                tracing::warn!(source = %config.source, %peer, times, "a message is not between the partners of this connection");
            }
            return (plain(StatusCode::FORBIDDEN), None);
        }
        let id = header("message-id").trim_matches(['<', '>']).to_owned();
        if id.is_empty() || id.len() > 500 {
            return (plain(StatusCode::BAD_REQUEST), None);
        }
        let Some(_room) = self.rules.budget.try_take(config.max_size) else {
            self.counters.busy(1);
            return (busy(Duration::from_secs(5)), None);
        };
        let read = Limited::new(body, config.max_size).collect();
        let body = match timeout(BODY, read).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => {
                self.counters.too_large(1);
                return (plain(StatusCode::PAYLOAD_TOO_LARGE), None);
            }
            Err(_) => return (plain(StatusCode::REQUEST_TIMEOUT), None),
        };
        let wanted = wants(&headers);
        let later = wanted.as_ref().and_then(|wants| wants.to.clone());
        if let Some(to) = &later
            && !self.rules.may_send_to(to)
        {
            let times = self.counters.refused(1);
            if worth_a_line(times) {
                tracing::warn!(source = %config.source, %peer, times, "a message wants its receipt sent where none may go (`receipts`)");
            }
            return (plain(StatusCode::FORBIDDEN), None);
        }
        // Keys take their time; others are not to wait for it.
        let service = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || {
            let rules = &service.rules;
            let (sign, encrypt) = (rules.config.must_sign, rules.config.must_encrypt);
            receive(
                &headers,
                &body,
                &rules.identities,
                &rules.partner,
                sign,
                encrypt,
            )
        });
        let Ok(opened) = opened.await else {
            return (busy(Duration::from_secs(5)), None);
        };
        let receipt = match opened {
            Err(refusal) => {
                let times = self.counters.refused(1);
                if worth_a_line(times) {
                    tracing::warn!(source = %config.source, %peer, times, reason = refusal.because.as_str(), "a message was refused");
                }
                Receipt::refused(&id, refusal.told)
            }
            Ok(opened) => {
                let received = Received {
                    source: Arc::clone(&config.source),
                    content_type: config.content_type.clone(),
                    body: opened.payload.into(),
                    received: Timestamp::now(),
                    peer: Some(peer),
                    headers: Vec::new(),
                    answer: Bytes::new(),
                    once: Some(format!("as2\0{id}")),
                    fault: None,
                };
                match self.intake.accept(received).await {
                    Verdict::Accepted { .. } => {
                        self.counters.accepted(1);
                    }
                    Verdict::Duplicate { .. } => {
                        self.counters.duplicates(1);
                    }
                    Verdict::Busy { retry_after, .. } => {
                        self.counters.busy(1);
                        return (busy(retry_after), None);
                    }
                    Verdict::Refused {
                        permanent: false, ..
                    } => return (busy(Duration::from_secs(30)), None),
                    Verdict::Refused { .. } => {
                        self.counters.refused(1);
                        return self.told(
                            &Receipt::refused(&id, RefusedBecause::Unexpected),
                            wanted.as_ref(),
                        );
                    }
                }
                Receipt {
                    original: id,
                    disposition: Disposition::Processed,
                    mic: Some((opened.mic, opened.digest)),
                    signed: false,
                }
            }
        };
        self.told(&receipt, wanted.as_ref())
    }

    /// The answer that tells what became of a message, and the receipt that follows it.
    fn told(&self, receipt: &Receipt, wanted: Option<&Wants>) -> (Answer, Option<Follows>) {
        let config = &self.rules.config;
        let failed = matches!(receipt.disposition, Disposition::Failed(_));
        let Some(wanted) = wanted else {
            let status = if failed {
                StatusCode::UNPROCESSABLE_ENTITY
            } else {
                StatusCode::OK
            };
            return (plain(status), None);
        };
        let now = jiff::Timestamp::now();
        let id = format!(
            "receipt-{:016x}@{}",
            rand::random::<u64>(),
            now.as_microsecond()
        );
        let made = receipt.make(
            &config.to,
            &config.from,
            &id,
            wanted,
            self.rules.identities.first(),
            now,
        );
        let Some((headers, body)) = made else {
            return (busy(Duration::from_secs(5)), None);
        };
        let body = Bytes::from(body);
        if let Some(to) = wanted.to.clone() {
            return (plain(StatusCode::OK), Some(Follows { to, headers, body }));
        }
        let mut answer = Response::new(Full::new(body));
        put(answer.headers_mut(), &headers);
        (answer, None)
    }

    /// Sends a receipt that follows, a few times.
    async fn follow(&self, later: Follows) {
        let source = &self.rules.config.source;
        let (Ok(uri), Some(asker)) = (later.to.parse::<Uri>(), &self.rules.asker) else {
            return;
        };
        for attempt in 0..TRIES {
            let mut request = Request::new(later.body.clone());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri.clone();
            put(request.headers_mut(), &later.headers);
            let error = match asker.ask(request).await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => format!("it answered {}", answer.status()),
                Err(error) => error,
            };
            tracing::warn!(%source, error, attempt, "a receipt was not taken");
            tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
        }
    }
}

fn put(into: &mut http::HeaderMap, headers: &[(String, String)]) {
    for (name, value) in headers {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            into.insert(name, value);
        }
    }
}

fn plain(status: StatusCode) -> Answer {
    let text = status.canonical_reason().unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn busy(after: Duration) -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE);
    let seconds = after.as_secs().max(1);
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer
}
