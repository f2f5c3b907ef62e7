//! The listener of the console: one connection a task, TLS where it is declared, and where
//! each comes from told to the guard.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use wardline_connect::door::Door;
use wardline_connect::stream::Stream;

/// How long a head may be on its way.
const HEAD: Duration = Duration::from_secs(15);

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves a router until stopped, then lets open requests finish.
pub(crate) async fn serve(door: Door, router: Router, stop: CancellationToken) {
    let ending = stop.clone();
    door.run(stop, move |stream: Stream, peer: SocketAddr| {
        connection(stream, peer, router.clone(), ending.clone())
    })
    .await;
}

async fn connection(stream: Stream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        // A browser that went away, or one that speaks something else.
        tracing::debug!(%error, "a connection of the console ended early");
    }
}
