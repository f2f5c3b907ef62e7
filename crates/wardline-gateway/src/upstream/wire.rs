//! One HTTP/1.1 connection to a system, driven by the task that uses it.
//!
//! There is no task, channel or timer of its own: who calls writes the head with the body, reads
//! the answer, and gives the connection back. hyper's client is made for connections that are
//! shared; a third of a call's work in this process went into that.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::Method;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::TlsConnector;
use wardline_connect::http::is_public;
use wardline_connect::stream::Stream;

use super::head::{self, Head, Length, Lines};
use super::sending::Sending;
use super::{Address, Outgoing};
use crate::chunk::{Chunk, NEW_CHUNK, Next, next};
use crate::plan::Upstream;

/// Bytes that are read at a time, and of large bodies.
const READ: usize = 8 * 1024;
const READ_LARGE: usize = 64 * 1024;
/// Where less room than this is left, more is made before reading.
const SCANT: usize = 1024;

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The call never left, and is as it was.
    Unsent,
    /// It may have left.
    Broken,
    /// It may have left, and there is no answer yet.
    Late,
}

/// What of an answer's body is still to come.
#[derive(Debug, Clone, Copy)]
enum Left {
    Exact(u64),
    Chunked(Chunk),
    ToEnd,
}

pub(super) struct Connection {
    stream: Stream,
    sending: Sending,
    /// What came and was not used yet.
    came: BytesMut,
    left: Left,
    /// Whether another call may follow this one.
    keeps: bool,
    /// Made once and moved on with each call, which costs a fraction of a new one.
    timer: Option<Pin<Box<Sleep>>>,
    due: Option<Instant>,
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
            .field("keeps", &self.keeps)
            .finish_non_exhaustive()
    }
}

/// Connects where every address of the name is global; to one that was looked at, so that no
/// second answer of DNS can lead elsewhere.
async fn public(place: (&str, u16)) -> Result<TcpStream, io::Error> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host(place).await?.collect();
    if found.is_empty() || !found.iter().all(|found| is_public(found.ip())) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    TcpStream::connect(&found[..]).await
}

impl Connection {
    pub(super) async fn open(
        address: &Address,
        settings: &Upstream,
    ) -> Result<Box<Self>, io::Error> {
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
                let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
                let stream = TlsConnector::from(tls.load_full())
                    .connect(name, tcp)
                    .await?;
                Stream::Tls(Box::new(stream.into()))
            }
            _ => Stream::Plain(tcp),
        };
        Ok(Box::new(Self {
            stream,
            sending: Sending::default(),
            came: BytesMut::with_capacity(READ),
            left: Left::Exact(0),
            keeps: true,
            timer: None,
            due: None,
            since: Instant::now(),
            seat: wardline_connect::threads::seat(),
            _there: there,
        }))
    }

    pub(super) fn seat(&self) -> usize {
        self.seat
    }

    /// Sends a call and waits for the head of its answer, until `deadline` at most.
    pub(super) async fn exchange(
        &mut self,
        address: &Address,
        call: &mut Outgoing,
        deadline: Instant,
    ) -> Result<Head, Failed> {
        let lines = Lines {
            method: &call.method,
            prefix: &address.prefix,
            target: &call.target,
            authority: &address.authority,
            headers: &call.headers,
            length: None,
        };
        if self.sending.begin(lines, &mut call.body).is_none() {
            return Err(Failed::Broken);
        }
        self.left = Left::ToEnd;
        let mut line = 0;
        let method = &call.method;
        let answered = poll_fn(|cx| {
            // A system that does not read on may have answered all the same.
            let sent = self.sending.poll(&mut self.stream, cx);
            self.keeps &= !matches!(sent, Poll::Ready(Err(_)));
            if let Poll::Ready(Err(_)) = sent
                && self.sending.is_unsent()
            {
                return Poll::Ready(Err(Failed::Unsent));
            }
            match self.poll_head(method, &mut line, cx) {
                Poll::Ready(Ok(head)) => Poll::Ready(Ok(head)),
                Poll::Ready(Err(_)) if self.sending.is_unsent() => Poll::Ready(Err(Failed::Unsent)),
                Poll::Ready(Err(_)) => Poll::Ready(Err(Failed::Broken)),
                // The caller's body stopped: nothing more is to be expected.
                Poll::Pending if self.sending.is_stopped() => Poll::Ready(Err(Failed::Broken)),
                Poll::Pending if self.poll_due(deadline, cx) => Poll::Ready(Err(Failed::Late)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if matches!(answered, Err(Failed::Unsent)) {
            self.sending.undo(&mut call.body);
        }
        answered
    }

    /// Reads the head of the answer; what a system says meanwhile is passed over.
    fn poll_head(
        &mut self,
        method: &Method,
        line: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Head>> {
        let no_answer = |_| io::Error::from(io::ErrorKind::InvalidData);
        loop {
            if let Some(end) = head::end(&self.came, line).map_err(no_answer)? {
                let bytes = self.came.split_to(end).freeze();
                *line = 0;
                let head = head::read(&bytes, method).map_err(no_answer)?;
                match head.status.as_u16() {
                    // Nobody asked for another protocol.
                    101 => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    100..200 => continue,
                    _ => {}
                }
                self.keeps &= head.keeps;
                self.left = match head.length {
                    Length::Exact(length) => Left::Exact(length),
                    Length::Chunked => Left::Chunked(NEW_CHUNK),
                    Length::ToEnd => Left::ToEnd,
                };
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_more(READ, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// The next piece of the answer's body; `None` at its end.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        // Some systems answer while they still read. Whether the rest of the call arrives is
        // theirs to say.
        if let Poll::Ready(Err(_)) = self.sending.poll(&mut self.stream, cx) {
            self.keeps = false;
        }
        let polled = self.poll_left(cx);
        if let Poll::Ready(Some(Err(_))) = polled {
            self.keeps = false;
        }
        polled
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let want = match self.left {
                Left::Exact(0) => return Poll::Ready(None),
                Left::Exact(left) | Left::Chunked(Chunk::Data(left)) if !self.came.is_empty() => {
                    let taken = left.min(self.came.len() as u64);
                    self.left = match self.left {
                        Left::Chunked(_) if taken == left => Left::Chunked(Chunk::DataCr),
                        Left::Chunked(_) => Left::Chunked(Chunk::Data(left - taken)),
                        _ => Left::Exact(left - taken),
                    };
                    return Poll::Ready(Some(Ok(self.came.split_to(taken as usize).freeze())));
                }
                Left::Exact(left) | Left::Chunked(Chunk::Data(left)) => {
                    left.clamp(READ as u64, READ_LARGE as u64) as usize
                }
                Left::Chunked(mut chunk) => {
                    let mut used = 0;
                    let mut ends = false;
                    while used < self.came.len() && !ends && !matches!(chunk, Chunk::Data(_)) {
                        match next(chunk, self.came[used]) {
                            Next::Goes(goes) => chunk = goes,
                            Next::Ends => ends = true,
                            Next::Refused => {
                                return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into())));
                            }
                        }
                        used += 1;
                    }
                    bytes::Buf::advance(&mut self.came, used);
                    self.left = if ends {
                        Left::Exact(0)
                    } else {
                        Left::Chunked(chunk)
                    };
                    if ends || !self.came.is_empty() {
                        continue;
                    }
                    READ_LARGE
                }
                Left::ToEnd if !self.came.is_empty() => {
                    return Poll::Ready(Some(Ok(self.came.split().freeze())));
                }
                Left::ToEnd => READ_LARGE,
            };
            let more = match ready!(self.poll_more(want, cx)) {
                Ok(more) => more,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            if more == 0 {
                return Poll::Ready(match self.left {
                    Left::ToEnd => {
                        self.left = Left::Exact(0);
                        None
                    }
                    _ => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                });
            }
        }
    }

    fn poll_more(&mut self, want: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.came.capacity() - self.came.len() < SCANT.min(want) {
            self.came.reserve(want);
        }
        let reading = self.stream.read_buf(&mut self.came);
        std::pin::pin!(reading).poll(cx)
    }

    /// Whether it is later than `due`; wakes the task then.
    pub(super) fn poll_due(&mut self, due: Instant, cx: &mut Context<'_>) -> bool {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        if self.due != Some(due) {
            self.due = Some(due);
            timer.as_mut().reset(due.into());
        }
        timer.as_mut().poll(cx).is_ready()
    }

    /// How much of the answer's body is to come, where the system said so.
    pub(super) fn left(&self) -> Option<u64> {
        match self.left {
            Left::Exact(left) => Some(left),
            Left::Chunked(_) | Left::ToEnd => None,
        }
    }

    /// Whether another call may be sent: this one is at its end on both sides, and nothing came
    /// that nobody asked for.
    pub(super) fn reusable(&self) -> bool {
        self.keeps
            && matches!(self.left, Left::Exact(0))
            && self.sending.is_done()
            && self.came.is_empty()
    }

    /// Looks at a connection that was idle: whether it is young enough, open, and silent.
    pub(super) fn usable(&mut self, idle: Duration) -> bool {
        if self.older(idle) {
            return false;
        }
        // Whoever sends next reads on, so nobody need be woken.
        let mut space = [0; 1];
        let mut came = ReadBuf::new(&mut space);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream)
            .poll_read(&mut cx, &mut came)
            .is_pending()
    }

    pub(super) fn older(&self, idle: Duration) -> bool {
        self.since.elapsed() > idle
    }

    /// Begins to be idle.
    pub(super) fn rest(&mut self) {
        self.since = Instant::now();
        if self.came.capacity() > 2 * READ {
            self.came = BytesMut::new();
        }
    }
}
