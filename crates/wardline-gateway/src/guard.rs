//! A connection's stream with [`Framing`] read along: what hyper sees was found unambiguous.
//!
//! A head that is refused is replaced by a request for [`REFUSED_PATH`], so that the caller gets
//! a problem that says so before the connection is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wardline_connect::stream::Stream;

use crate::framing::{Framing, Refused, Step};
use crate::plan::ListenerLimits;

/// The path of the request that stands for a refused one; with [`Watch::refused`] set.
pub(crate) const REFUSED_PATH: &str = "/.refused";
const STAND_IN: &[u8] = b"GET /.refused HTTP/1.1\r\nhost: refused\r\n\r\n";
/// After a refusal so many bytes are read and dropped, so that the answer is not lost in a reset.
const DISCARD: usize = 256 * 1024;
/// How long a connection that we end may still send what nobody reads: a peer that is cut off
/// while it sends loses the answer that says why.
const LINGERS: Duration = Duration::from_secs(2);
/// How long a peer may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(60);
/// How long a connection may be without a request where the listener has nearly no room left.
const IDLE_WHEN_PRESSED: Duration = Duration::from_secs(2);

/// What is known about a connection from outside of it, in milliseconds since it began.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Instant,
    in_hand: AtomicU32,
    requests: AtomicU64,
    refused: AtomicU8,
    /// When the head that is arriving began; zero where none is.
    head: AtomicU64,
    /// Since when the next piece of a body is waited for; zero where none is.
    body: AtomicU64,
    /// Since when nothing has been in hand.
    idle: AtomicU64,
    /// Since when writing has been stuck; zero where it is not.
    stuck: AtomicU64,
    framed: AtomicBool,
    /// Since when we have nothing more to say; zero before.
    closing: AtomicU64,
}

/// What should happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    /// Takes no more requests.
    Retires,
    /// Is cut.
    Ends,
}

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            in_hand: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            refused: AtomicU8::new(0),
            head: AtomicU64::new(0),
            body: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
            framed: AtomicBool::new(true),
            closing: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        (self.begun.elapsed().as_millis() as u64).max(1)
    }

    pub(crate) fn refused(&self) -> Option<Refused> {
        match self.refused.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Refused::Framing),
            _ => Some(Refused::TooLarge),
        }
    }

    /// A request is in hand until what this returns is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InHand {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        InHand(Arc::clone(self))
    }

    /// Looked at once a second. `pressed`: the listener has nearly no room left, so whoever asks
    /// for nothing makes room for those who do.
    pub(crate) fn fate(&self, limits: &ListenerLimits, pressed: bool) -> Fate {
        let now = self.now();
        let longer =
            |since: u64, limit: Duration| now.saturating_sub(since) > limit.as_millis() as u64;
        let closing = self.closing.load(Ordering::Relaxed);
        if closing > 0 && longer(closing, LINGERS) {
            return Fate::Ends;
        }
        let stuck = self.stuck.load(Ordering::Relaxed);
        if stuck > 0 && longer(stuck, UNREAD) {
            return Fate::Ends;
        }
        let head = self.head.load(Ordering::Relaxed);
        if head > 0 && longer(head, limits.head_time) && self.framed.load(Ordering::Relaxed) {
            return Fate::Ends;
        }
        let body = self.body.load(Ordering::Relaxed);
        if body > 0 && longer(body, limits.head_time) {
            return Fate::Ends;
        }
        let free = self.in_hand.load(Ordering::Relaxed) == 0;
        let (first, idle) = if pressed {
            (
                limits.head_time.min(IDLE_WHEN_PRESSED),
                limits.idle.min(IDLE_WHEN_PRESSED),
            )
        } else {
            (limits.head_time, limits.idle)
        };
        if free && self.requests.load(Ordering::Relaxed) == 0 && longer(0, first) {
            return Fate::Ends;
        }
        if free && longer(self.idle.load(Ordering::Relaxed), idle) || longer(0, limits.age) {
            return Fate::Retires;
        }
        Fate::Stays
    }
}

/// One request in hand.
#[derive(Debug)]
pub(crate) struct InHand(Arc<Watch>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.idle.store(self.0.now(), Ordering::Relaxed);
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stream.
pub(crate) struct Guarded {
    stream: Stream,
    framing: Framing,
    watch: Arc<Watch>,
    /// Bytes of a head that is not whole, or that was and waits to be read.
    held: Vec<u8>,
    /// Of `held`, bytes that may go on.
    ready: usize,
    refusing: Option<usize>,
    /// After our side is closed: bytes that are read on and dropped.
    lingering: Option<usize>,
}

impl Guarded {
    pub(crate) fn new(stream: Stream, limits: &ListenerLimits, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            framing: Framing::new(limits.head_bytes, limits.headers),
            watch,
            held: Vec::new(),
            ready: 0,
            refusing: None,
            lingering: None,
        }
    }

    /// How many of the bytes may go on.
    fn judge(&mut self, bytes: &[u8]) -> io::Result<(usize, Option<Refused>)> {
        let mut passed = 0;
        while passed < bytes.len() {
            match self.framing.step(&bytes[passed..]) {
                Step::Pass(n) => passed += n,
                Step::Incomplete => {
                    if self.watch.head.load(Ordering::Relaxed) == 0 {
                        self.watch.head.store(self.watch.now(), Ordering::Relaxed);
                    }
                    return Ok((passed, None));
                }
                Step::RefusedHead(why) => return Ok((passed, Some(why))),
                Step::RefusedBody => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the body is not framed as it should be",
                    ));
                }
            }
        }
        if self.watch.head.load(Ordering::Relaxed) != 0 {
            self.watch.head.store(0, Ordering::Relaxed);
        }
        Ok((passed, None))
    }

    /// Reads from the peer, and notes since when a body has not moved.
    fn fresh(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let waits = &self.watch.body;
        if polled.is_pending() && self.framing.in_body() {
            if waits.load(Ordering::Relaxed) == 0 {
                waits.store(self.watch.now(), Ordering::Relaxed);
            }
        } else if waits.load(Ordering::Relaxed) != 0 {
            waits.store(0, Ordering::Relaxed);
        }
        polled
    }

    fn refuse(&mut self, why: Refused) {
        self.watch.refused.store(
            if why == Refused::Framing { 1 } else { 2 },
            Ordering::Relaxed,
        );
        self.watch.head.store(0, Ordering::Relaxed);
        self.held.truncate(self.ready);
        self.held.extend_from_slice(STAND_IN);
        self.ready = self.held.len();
        self.refusing = Some(DISCARD);
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.ready.min(buf.remaining());
        buf.put_slice(&self.held[..n]);
        self.held.drain(..n);
        self.ready -= n;
        if self.held.is_empty() && self.held.capacity() > 4_096 {
            self.held = Vec::new();
        }
    }

    /// Reads on without passing anything on.
    fn discard(&mut self, cx: &mut Context<'_>, mut left: usize) -> Poll<io::Result<()>> {
        let mut space = [0; 4_096];
        while left > 0 {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    left = left.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => left = 0,
                Poll::Pending => break,
            }
            self.refusing = Some(left);
        }
        // The answer ends the connection; until then there is nothing to read.
        Poll::Pending
    }

    fn written<T>(&self, polled: Poll<T>) -> Poll<T> {
        let stuck = &self.watch.stuck;
        if polled.is_pending() {
            if stuck.load(Ordering::Relaxed) == 0 {
                stuck.store(self.watch.now(), Ordering::Relaxed);
            }
        } else if stuck.load(Ordering::Relaxed) != 0 {
            stuck.store(0, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ready > 0 {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(left) = this.refusing {
                return this.discard(cx, left);
            }
            let before = buf.filled().len();
            if this.held.is_empty() {
                std::task::ready!(this.fresh(cx, buf))?;
                let fresh = &buf.filled()[before..];
                if fresh.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let total = fresh.len();
                let (passed, refused) = this.judge(fresh)?;
                if passed < total {
                    // Only a head that is not whole, or is refused, is copied.
                    this.held.extend_from_slice(&fresh[passed..]);
                    buf.set_filled(before + passed);
                }
                if let Some(why) = refused {
                    this.refuse(why);
                }
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                let mut space = [0; 4_096];
                let mut more = ReadBuf::new(&mut space);
                std::task::ready!(this.fresh(cx, &mut more))?;
                if more.filled().is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                this.held.extend_from_slice(more.filled());
                let held = std::mem::take(&mut this.held);
                let judged = this.judge(&held);
                this.held = held;
                let (passed, refused) = judged?;
                this.ready = passed;
                if let Some(why) = refused {
                    this.refuse(why);
                }
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.written(polled)
    }

    /// Closes our side, then reads on until the peer closes its own.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut left = if let Some(left) = this.lingering {
            left
        } else {
            std::task::ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            let now = this.watch.now();
            this.watch.closing.store(now, Ordering::Relaxed);
            DISCARD
        };
        let mut space = [0; 4_096];
        while left > 0 {
            this.lingering = Some(left);
            let mut buf = ReadBuf::new(&mut space);
            match std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    left = left.saturating_sub(buf.filled().len());
                }
                // It closed, or is gone.
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
