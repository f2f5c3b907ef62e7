//! One listener: connections in, requests to the gateway, and an orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use wardline_connect::door::{Admission, Door, Socket, SwappableTls};
use wardline_connect::stream::Stream;
use wardline_connect::{ConnectError, Counters};

use crate::gateway::Shared;
use crate::guard::{Fate, Guarded, Watch};
use crate::plan::{Listener, ListenerLimits};
use crate::seam::Peer;
use crate::seldom::Seldom;
use crate::serve;

/// How often a connection's limits of time are looked at: their grain.
const TICK: Duration = Duration::from_secs(1);
/// Streams that a peer reset, and that we refused, of one HTTP/2 connection, before it is closed
/// (Rapid Reset, MadeYouReset).
const RESETS: usize = 32;

/// A listener that runs.
pub(crate) struct Running {
    pub(crate) listener: Listener,
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    socket: Socket,
    tls: Option<SwappableTls>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A listener that is bound and takes nobody yet.
pub(crate) struct Opening {
    listener: Listener,
    door: Door,
    tls: Option<SwappableTls>,
}

impl Opening {
    /// Binds a listener's address, or takes it over from the one that it replaces.
    pub(crate) async fn bind(
        listener: Listener,
        before: Option<Socket>,
        shared: &Shared,
    ) -> Result<Self, ConnectError> {
        let tls: Option<SwappableTls> = listener.tls.clone().map(|tls| Arc::new(tls.into()));
        let admission = Admission {
            name: Arc::clone(&listener.name),
            bind: listener.bind.clone(),
            tls: tls.clone(),
            allow: listener.allow.clone(),
            max_connections: listener.limits.connections,
            drain: listener.limits.drain,
            threads: Some(Arc::clone(&shared.threads)),
        };
        let door = match before {
            Some(socket) => Door::over(socket, admission)?,
            None => Door::bind(admission).await?,
        };
        Ok(Self {
            listener,
            door,
            tls,
        })
    }

    /// Takes connections.
    pub(crate) fn run(self, shared: &Arc<Shared>) -> Running {
        let Self {
            listener,
            door,
            tls,
        } = self;
        let (address, counters, socket) = (door.address(), door.counters(), door.socket());
        let stop = CancellationToken::new();
        let (shared, served, stopping) =
            (Arc::clone(shared), Arc::new(listener.clone()), stop.clone());
        let counted = Arc::clone(&counters);
        let task = tokio::spawn(door.run(stop.clone(), move |stream, peer| {
            connection(
                Arc::clone(&shared),
                Arc::clone(&served),
                Arc::clone(&counted),
                stream,
                peer,
                stopping.clone(),
            )
        }));
        Running {
            listener,
            address,
            counters,
            socket,
            tls,
            stop,
            task,
        }
    }
}

impl Running {
    /// Its address, for the listener that takes its place.
    pub(crate) fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Whether `wanted` is this listener; its certificates may be newer.
    pub(crate) fn same(&self, wanted: &Listener) -> bool {
        let have = &self.listener;
        have.name == wanted.name
            && have.bind == wanted.bind
            && have.zone == wanted.zone
            && have.tls.is_some() == wanted.tls.is_some()
            && have.allow == wanted.allow
            && have.limits == wanted.limits
    }

    /// Its TLS, to be changed while it runs.
    pub(crate) fn tls(&self) -> Option<SwappableTls> {
        self.tls.clone()
    }

    /// Connections from now on see this certificate.
    pub(crate) fn renew(&self, tls: Option<&Arc<ServerConfig>>) {
        if let (Some(have), Some(new)) = (&self.tls, tls) {
            have.store(Arc::clone(new));
        }
    }

    /// Takes no more connections; returns once the requests in hand are answered, or the drain
    /// limit is reached.
    pub(crate) async fn stop(self) {
        let Self {
            listener,
            stop,
            task,
            socket,
            ..
        } = self;
        stop.cancel();
        // The address is free once its door is closed, whatever is still being answered.
        drop(socket);
        if let Err(error) = task.await {
            tracing::error!(listener = %listener.name, %error, "the listener ended badly");
        }
    }
}

/// Whether nine of ten connections that the listener takes are open.
fn pressed(counters: &Counters, limits: &ListenerLimits) -> bool {
    let most = u64::try_from(limits.connections).unwrap_or(u64::MAX);
    counters.snapshot().open >= most - most / 10
}

async fn connection(
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    counters: Arc<Counters>,
    stream: Stream,
    address: SocketAddr,
    stop: CancellationToken,
) {
    let limits = &listener.limits;
    let peer = Arc::new(Peer {
        listener: Arc::clone(&listener.name),
        zone: listener.zone,
        address,
        certificate: stream
            .peer_certificate()
            .map(|leaf| Arc::from(leaf.as_ref())),
        tls: matches!(stream, Stream::Tls(_)),
    });
    let watch = Watch::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_buf_size(limits.head_bytes.max(8_192))
        .max_headers(limits.headers);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_header_list_size(limits.head_bytes as u32);
    let io = TokioIo::new(Guarded::new(stream, limits, Arc::clone(&watch)));
    let seen = Arc::clone(&watch);
    let service = service_fn(move |request| {
        let (shared, peer, watch) = (Arc::clone(&shared), Arc::clone(&peer), Arc::clone(&seen));
        async move { Ok::<_, Infallible>(serve::handle(&shared, &peer, &watch, request).await) }
    });
    let mut serving = pin!(builder.serve_connection(io, service));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retiring = false;
    loop {
        let open = !retiring;
        let aside = pin!(async {
            tokio::select! {
                biased;
                () = stop.cancelled(), if open => Fate::Retires,
                _ = tick.tick() => watch.fate(limits, pressed(&counters, limits)),
            }
        });
        let mut aside = Seldom::new(aside);
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(listener = %listener.name, peer = %address, %error, "connection ended early");
                }
                return;
            }
            fate = &mut aside => match fate {
                Fate::Stays => {}
                Fate::Ends => return,
                Fate::Retires if retiring => {}
                Fate::Retires => {
                    retiring = true;
                    serving.as_mut().graceful_shutdown();
                }
            },
        }
    }
}
