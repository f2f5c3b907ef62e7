//! The part of a listener that is the same for every protocol: bind, admit, shake hands,
//! hand the stream over, and at the end wait for what is still in hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::admission::{Network, OpenConnection, worth_a_line};
use crate::stream::Stream;
use crate::threads::Threads;
use crate::{ConnectError, Counters};

/// How long a peer may take for the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Pause after the system refuses to hand out a connection (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// TLS of a listener that can be changed while it runs: connections that come later see the
/// new certificate, those that are open keep what they agreed on.
pub type SwappableTls = Arc<ArcSwap<ServerConfig>>;

/// Who may come in, and for how long the last ones may stay.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The listener's name, for log lines and errors.
    pub name: Arc<str>,
    /// Address and port, such as `127.0.0.1:8443`.
    pub bind: String,
    /// TLS; plain where absent.
    pub tls: Option<SwappableTls>,
    /// Who may connect; everybody where empty.
    pub allow: Vec<Network>,
    /// Connections open at the same time; others are closed at once.
    pub max_connections: usize,
    /// How long open connections may take to finish after a shutdown began.
    pub drain: Duration,
    /// Where connections are served; on the runtime of whoever runs the door where absent.
    pub threads: Option<Arc<Threads>>,
}

/// The bound address of a listener, to be handed to the one that takes its place: whoever
/// connects meanwhile waits in the system's queue instead of being refused.
#[derive(Debug, Clone)]
pub struct Socket(Arc<TcpListener>);

/// A bound listener of any protocol.
pub struct Door {
    listener: Socket,
    address: SocketAddr,
    admission: Admission,
    counters: Arc<Counters>,
    /// Whether the limit on connections is known to be reached, so that it is logged once.
    full: AtomicBool,
}

impl Door {
    /// Binds the address; serves nothing yet.
    pub async fn bind(admission: Admission) -> Result<Self, ConnectError> {
        let failed = |source| ConnectError::Bind {
            name: admission.name.to_string(),
            address: admission.bind.clone(),
            source,
        };
        let listener = TcpListener::bind(&admission.bind).await.map_err(failed)?;
        Self::over(Socket(Arc::new(listener)), admission)
    }

    /// Takes over the address of a listener that is being replaced. Until that one is told to
    /// stop, each connection goes to either.
    ///
    /// # Errors
    /// [`ConnectError::Bind`] where the system does not know the address any more.
    pub fn over(socket: Socket, admission: Admission) -> Result<Self, ConnectError> {
        let address = socket.0.local_addr().map_err(|source| ConnectError::Bind {
            name: admission.name.to_string(),
            address: admission.bind.clone(),
            source,
        })?;
        Ok(Self {
            listener: socket,
            address,
            admission,
            counters: Arc::default(),
            full: AtomicBool::new(false),
        })
    }

    /// Its address, for the listener that will take its place.
    pub fn socket(&self) -> Socket {
        self.listener.clone()
    }

    /// The bound address; tells the port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its TLS, to be changed while it runs; `None` where it is plain.
    pub fn tls(&self) -> Option<SwappableTls> {
        self.admission.tls.clone()
    }

    /// What happened so far; stays valid while the listener runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Serves every admitted connection with `serve` until `shutdown`, then waits for the open
    /// ones, at most the drain limit. `serve` itself must watch `shutdown`.
    pub async fn run<F, S>(self, shutdown: CancellationToken, serve: F)
    where
        F: Fn(Stream, SocketAddr) -> S + Clone + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = open.join_next(), if !open.is_empty() => self.note(ended),
                taken = self.listener.0.accept() => match taken {
                    Ok((stream, peer)) => {
                        if self.admits(peer, open.len()) {
                            self.open(&mut open, stream, peer, serve.clone(), shutdown.clone());
                        }
                    }
                    Err(error) => {
                        tracing::warn!(listener = %self.admission.name, %error, "cannot take connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        let Self {
            listener,
            admission,
            ..
        } = self;
        drop(listener);
        let drained = timeout(admission.drain, async {
            while open.join_next().await.is_some() {}
        })
        .await;
        if drained.is_err() {
            tracing::warn!(listener = %admission.name, left = open.len(), "drain limit reached; closing what is left");
            open.shutdown().await;
        }
    }

    fn note(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(listener = %self.admission.name, "a connection's task panicked; the connection was closed");
        }
    }

    /// Whether the peer may come in. One who may not is closed at once: the stream is dropped
    /// before a byte is read, which peers see as an orderly end.
    fn admits(&self, peer: SocketAddr, open: usize) -> bool {
        let allow = &self.admission.allow;
        if !allow.is_empty() && !allow.iter().any(|network| network.contains(peer.ip())) {
            let times = self.counters.not_allowed(1);
            if worth_a_line(times) {
                tracing::warn!(listener = %self.admission.name, %peer, times, "this address may not connect");
            }
            return false;
        }
        let full = open >= self.admission.max_connections;
        if full {
            self.counters.turned_away(1);
        }
        if self.full.swap(full, Ordering::Relaxed) != full {
            let limit = self.admission.max_connections;
            if full {
                tracing::warn!(listener = %self.admission.name, limit, "connection limit reached; turning others away");
            } else {
                tracing::info!(listener = %self.admission.name, limit, "below the connection limit again");
            }
        }
        !full
    }

    /// Begins to serve, here or on the thread that has the least to do.
    fn open<F, S>(
        &self,
        open: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        serve: F,
        shutdown: CancellationToken,
    ) where
        F: Fn(Stream, SocketAddr) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let threads = self.admission.threads.as_ref();
        let Some(place) = threads.and_then(|threads| threads.place()) else {
            open.spawn(self.beginning().serve(stream, peer, serve, shutdown));
            return;
        };
        // A stream belongs to the event queue that it was registered with.
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                let listener = &self.admission.name;
                tracing::debug!(%listener, %peer, %error, "the connection ended before it began");
                return;
            }
        };
        let handle = place.handle.clone();
        let begin = self.beginning();
        let moved = async move {
            let _place = place;
            match TcpStream::from_std(stream) {
                Ok(stream) => begin.serve(stream, peer, serve, shutdown).await,
                Err(error) => tracing::warn!(%peer, %error, "a connection could not be taken over"),
            }
        };
        open.spawn_on(moved, &handle);
    }

    fn beginning(&self) -> Beginning {
        let tls = &self.admission.tls;
        Beginning {
            name: Arc::clone(&self.admission.name),
            tls: tls.as_ref().map(|tls| TlsAcceptor::from(tls.load_full())),
            counters: Arc::clone(&self.counters),
        }
    }
}

/// What a connection needs of the door until it is served.
struct Beginning {
    name: Arc<str>,
    tls: Option<TlsAcceptor>,
    counters: Arc<Counters>,
}

impl Beginning {
    async fn serve<F, S>(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        serve: F,
        shutdown: CancellationToken,
    ) where
        F: Fn(Stream, SocketAddr) -> S,
        S: Future<Output = ()>,
    {
        let Self {
            name,
            tls,
            counters,
        } = self;
        let _open = OpenConnection::count(&counters);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(listener = %name, %peer, %error, "the connection ended before it began");
            return;
        }
        let Some(acceptor) = tls else {
            return serve(Stream::Plain(stream), peer).await;
        };
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)) => shaken,
            () = shutdown.cancelled() => return,
        };
        let reason = match shaken {
            Ok(Ok(stream)) => return serve(Stream::Tls(Box::new(stream.into())), peer).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not done within {HANDSHAKE_LIMIT:?}"),
        };
        let times = counters.handshakes_failed(1);
        if worth_a_line(times) {
            tracing::warn!(listener = %name, %peer, reason, times, "TLS handshake failed");
        }
    }
}
