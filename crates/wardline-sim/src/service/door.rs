//! The network side that every HTTP system shares: accepting, refusing and cutting connections.

use super::Desk;
use crate::SimError;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Connections served at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// A client has so long for its headers.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// On shutdown, requests under way have so long.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// An open port of one simulated system.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    pub(crate) async fn open(system: &'static str, address: SocketAddr) -> Result<Self, SimError> {
        let failed = |source| SimError::Bind {
            system,
            address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. While a fault refuses connections they are reset and counted instead.
    ///
    /// The port itself stays bound: giving it up would let another program take it, and a client
    /// could not tell the difference from a reset that follows at once.
    pub(crate) async fn next(&self, desk: &Desk) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if desk.faults.refuses_connections() => {
                    desk.ledger.count(|report| &mut report.reset_connections);
                    reset(&stream);
                }
                Ok((stream, _)) => return stream,
                Err(error) => {
                    // Out of descriptors, most likely: wait for some to come back.
                    tracing::warn!(system = desk.system, %error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// Makes the kernel answer with RST when the stream is dropped.
pub(crate) fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "the connection closes instead of being reset");
    }
}

/// Lets a handler hang up on its caller.
#[derive(Debug, Clone)]
pub(crate) struct Connection(CancellationToken);

impl Connection {
    /// Cuts the connection; whoever awaits this never comes back.
    pub(crate) async fn hang_up(&self) -> ! {
        self.0.cancel();
        std::future::pending().await
    }
}

/// Serves `router` until `shutdown`, then lets requests under way finish.
pub(crate) async fn serve_connections(
    door: Door,
    desk: Arc<Desk>,
    router: Router,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    while let Some(Ok(place)) = shutdown
        .run_until_cancelled(places.clone().acquire_owned())
        .await
    {
        let Some(stream) = shutdown.run_until_cancelled(door.next(&desk)).await else {
            break;
        };
        let serving = serve_one(
            stream,
            desk.clone(),
            router.clone(),
            shutdown.clone(),
            cut.clone(),
        );
        connections.spawn(async move {
            serving.await;
            drop(place);
        });
    }
    connections.close();
    if tokio::time::timeout(SHUTDOWN_GRACE, connections.wait())
        .await
        .is_err()
    {
        cut.cancel();
        connections.wait().await;
    }
}

async fn serve_one(
    stream: TcpStream,
    desk: Arc<Desk>,
    router: Router,
    shutdown: CancellationToken,
    cut: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let hung_up = cut.child_token();
    let handle = Connection(hung_up.clone());
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(handle.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut finishing = false;
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(system = desk.system, %error, "a connection ended badly");
                }
                return;
            }
            () = shutdown.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = desk.faults.until_refusing() => {
                desk.ledger.count(|report| &mut report.reset_connections);
                return;
            }
            () = hung_up.cancelled() => return,
        }
    }
}
