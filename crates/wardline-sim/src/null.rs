//! Receivers that cost next to nothing, for measuring the sender.
//!
//! [`NullHttp`] answers every request 200 after draining its body and keeps one counter. Its MLLP sibling is
//! [`MllpReceiver`] with [`Record::Totals`](crate::Record::Totals), which has to read MSH-10 to acknowledge.

use crate::receiver;
use crate::{Record, Service, SimError};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A bare HTTP/1.1 receiver: 200 and no body, for every method and path.
#[derive(Debug)]
pub struct NullHttp {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl NullHttp {
    /// Listens on `address` (port 0 takes a free one).
    ///
    /// # Errors
    /// [`SimError::Bind`] where the port cannot be opened.
    pub async fn start(address: SocketAddr) -> Result<Self, SimError> {
        let failed = |source| SimError::Bind {
            system: "null receiver",
            address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let requests = Arc::new(AtomicU64::new(0));
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        tasks.spawn(accept(
            listener,
            requests.clone(),
            tasks.clone(),
            stop.clone(),
        ));
        Ok(Self {
            address,
            requests,
            tasks,
            stop,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests answered so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Cuts all connections and returns the number of requests answered.
    pub async fn stop(self) -> u64 {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.requests()
    }
}

impl Drop for NullHttp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(
    listener: TcpListener,
    requests: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the null receiver could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let (requests, stop) = (requests.clone(), stop.clone());
        tasks.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| drain(request, &requests));
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
                tracing::debug!(%error, "a connection of the null receiver ended badly");
            }
        });
    }
}

async fn drain(
    request: Request<Incoming>,
    requests: &AtomicU64,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    requests.fetch_add(1, Ordering::Relaxed);
    Ok(Response::new(Full::new(Bytes::new())))
}

/// An MLLP receiver on its own, outside a [`Hospital`](crate::Hospital).
#[derive(Debug)]
pub struct MllpReceiver {
    service: Service,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl MllpReceiver {
    /// Listens on `address` (port 0 takes a free one).
    ///
    /// # Errors
    /// [`SimError::Bind`] where the port cannot be opened.
    pub async fn start(address: SocketAddr, record: Record) -> Result<Self, SimError> {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let service = receiver::start("mllp-receiver", address, record, 1, &tasks, &stop).await?;
        Ok(Self {
            service,
            tasks,
            stop,
        })
    }

    /// Its address, faults and book.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Cuts all connections.
    pub async fn stop(self) -> Service {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.service.clone()
    }
}

impl Drop for MllpReceiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
