//! One HTTP/1.1 connection to a system, driven by the task that uses it.
//!
//! hyper's pooled client gives each connection a task of its own, so that every call crosses
//! tasks four times. Here who calls also drives; on loopback that saves a third of the work.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wardline_connect::http::is_public;
use wardline_connect::stream::Stream;

use super::Address;
use crate::body::OutBody;
use crate::plan::Upstream;

type Driver = http1::Connection<TokioIo<Stream>, OutBody>;

/// Why an exchange failed.
pub(super) enum Failed {
    /// The request never left; here it is.
    Unsent(Box<Request<OutBody>>),
    /// It may have left.
    Broken,
}

pub(super) struct Connection {
    sender: SendRequest<OutBody>,
    driver: Option<Box<Driver>>,
    since: Instant,
    /// The thread that opened it.
    seat: usize,
    _there: There,
}

/// Counts a connection as long as it is there.
struct There(Arc<AtomicUsize>);

impl There {
    fn count(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("open", &self.driver.is_some())
            .finish_non_exhaustive()
    }
}

/// Connects where every address of the name is global; to one that was looked at, so that no
/// second answer of DNS can lead elsewhere.
async fn public(place: (&str, u16)) -> Result<TcpStream, std::io::Error> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host(place).await?.collect();
    if found.is_empty() || !found.iter().all(|found| is_public(found.ip())) {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    TcpStream::connect(&found[..]).await
}

impl Connection {
    pub(super) async fn open(
        address: &Address,
        settings: &Upstream,
    ) -> Result<Self, std::io::Error> {
        let there = There::count(&address.there);
        let place = (address.host.as_str(), address.port);
        let tcp = if settings.public {
            public(place).await?
        } else {
            TcpStream::connect(place).await?
        };
        tcp.set_nodelay(true)?;
        let stream = match &settings.tls {
            Some(tls) if address.secure => {
                let name =
                    ServerName::try_from(address.host.clone()).map_err(std::io::Error::other)?;
                let stream = TlsConnector::from(tls.load_full())
                    .connect(name, tcp)
                    .await?;
                Stream::Tls(Box::new(stream.into()))
            }
            _ => Stream::Plain(tcp),
        };
        let (sender, driver) = http1::Builder::new()
            .max_headers(128)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(Box::new(driver)),
            since: Instant::now(),
            seat: wardline_connect::threads::seat(),
            _there: there,
        })
    }

    pub(super) fn seat(&self) -> usize {
        self.seat
    }

    /// Moves the connection on; forgets it once it ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(&mut **driver).poll(cx).is_ready()
        {
            self.driver = None;
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<OutBody>,
    ) -> Result<Response<Incoming>, Failed> {
        let sending = self.sender.try_send_request(request);
        let mut sending = std::pin::pin!(sending);
        let driver = &mut self.driver;
        let sent = poll_fn(|cx| {
            if let Some(running) = driver
                && Pin::new(&mut **running).poll(cx).is_ready()
            {
                *driver = None;
            }
            sending.as_mut().poll(cx)
        })
        .await;
        sent.map_err(|mut error| match error.take_message() {
            Some(request) => Failed::Unsent(Box::new(request)),
            None => Failed::Broken,
        })
    }

    /// Whether another request may be sent.
    pub(super) fn reusable(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Looks at a connection that was idle: whether it is young enough, open, and ready.
    pub(super) fn usable(&mut self, idle: Duration) -> bool {
        if self.older(idle) {
            return false;
        }
        // Nobody has driven it since; what came meanwhile, such as its end, is seen now. Whoever
        // sends next drives it on, so nobody need be woken.
        self.drive(&mut Context::from_waker(std::task::Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    pub(super) fn older(&self, idle: Duration) -> bool {
        self.since.elapsed() > idle
    }

    pub(super) fn rest(&mut self) {
        self.since = Instant::now();
    }

    /// Drives until `ready` has something.
    pub(super) fn drive_for<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Poll::Ready(done) = ready(cx) {
            return Poll::Ready(done);
        }
        self.drive(cx);
        ready(cx)
    }
}
