//! A call on its way out: its head and its body, written together where that goes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::Body;
use tokio::io::AsyncWrite;
use wardline_connect::stream::Stream;

use super::head::{self, Length, Lines};
use crate::body::{Counted, OutBody};
use http::Method;

/// What is to be written, in this order.
#[derive(Default)]
struct Outbox {
    lead: Vec<u8>,
    /// How much of it is written.
    led: usize,
    piece: Bytes,
    trail: &'static [u8],
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.led == self.lead.len() && self.piece.is_empty() && self.trail.is_empty()
    }

    fn clear(&mut self) {
        self.lead.clear();
        self.led = 0;
        self.piece = Bytes::new();
        self.trail = &[];
    }

    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while !self.is_empty() {
            let parts = [
                IoSlice::new(&self.lead[self.led..]),
                IoSlice::new(&self.piece),
                IoSlice::new(self.trail),
            ];
            let mut written = if stream.is_write_vectored() {
                ready!(stream.as_mut().poll_write_vectored(cx, &parts))?
            } else {
                let first = parts.iter().find(|part| !part.is_empty());
                ready!(
                    stream
                        .as_mut()
                        .poll_write(cx, first.map_or(&[], |part| part))
                )?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_lead = written.min(self.lead.len() - self.led);
            self.led += of_lead;
            written -= of_lead;
            let of_piece = written.min(self.piece.len());
            self.piece.advance(of_piece);
            self.trail = &self.trail[(written - of_piece).min(self.trail.len())..];
        }
        stream.poll_flush(cx)
    }
}

/// What may follow what is being written.
enum Rest {
    Nothing,
    /// A body of this length.
    Exact(Counted, u64),
    Chunked(Counted),
}

pub(super) struct Sending {
    outbox: Outbox,
    rest: Rest,
    /// Whether anything may have left, or was taken out of the caller's body.
    begun: bool,
    /// Whether it came to its end, well or not.
    done: bool,
    stopped: bool,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            outbox: Outbox::default(),
            rest: Rest::Nothing,
            begun: false,
            done: true,
            stopped: false,
        }
    }
}

impl Sending {
    /// Makes a call ready; a body that streams is taken. `None` where it must not leave.
    pub(super) fn begin(&mut self, mut lines: Lines<'_>, body: &mut OutBody) -> Option<()> {
        self.outbox.clear();
        self.rest = Rest::Nothing;
        let mut piece = Bytes::new();
        match body {
            OutBody::Full(Some(bytes)) => {
                lines.length = Some(Length::Exact(bytes.len() as u64));
                piece = bytes.clone();
            }
            OutBody::Full(None) => {
                // Who may send content says that there is none (RFC 9110, 8.6).
                let may = matches!(*lines.method, Method::POST | Method::PUT | Method::PATCH);
                lines.length = may.then_some(Length::Exact(0));
            }
            OutBody::Streamed(_) => {
                let exact = body.size_hint().exact();
                lines.length = Some(exact.map_or(Length::Chunked, Length::Exact));
            }
        }
        head::write(&mut self.outbox.lead, &lines)?;
        self.outbox.piece = piece;
        if matches!(body, OutBody::Streamed(_))
            && let OutBody::Streamed(counted) = std::mem::replace(body, OutBody::Full(None))
        {
            self.rest = match lines.length {
                Some(Length::Exact(length)) => Rest::Exact(counted, length),
                _ => Rest::Chunked(counted),
            };
        }
        (self.begun, self.done, self.stopped) = (false, false, false);
        Some(())
    }

    /// Gives a body back that was taken and not touched.
    pub(super) fn undo(&mut self, body: &mut OutBody) {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => {}
            Rest::Exact(counted, _) | Rest::Chunked(counted) => {
                *body = OutBody::Streamed(counted);
            }
        }
    }

    pub(super) fn is_unsent(&self) -> bool {
        !self.begun
    }

    /// Whether all of it left.
    pub(super) fn is_done(&self) -> bool {
        self.done && !self.stopped
    }

    /// Whether the caller's body stopped before its end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Writes on. An error is told once; after it nothing more is written.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        let polled = self.poll_all(stream, cx);
        if polled.is_ready() {
            self.done = true;
            self.outbox.clear();
        }
        polled
    }

    fn poll_all(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // A piece that is there already leaves together with the head.
            let next = if self.outbox.piece.is_empty() && self.outbox.trail.is_empty() {
                self.poll_next(cx)?
            } else {
                Poll::Pending
            };
            let before = self.outbox.led;
            let written = self.outbox.poll(stream, cx);
            self.begun |= self.outbox.led > before || matches!(written, Poll::Ready(Ok(())));
            ready!(written)?;
            if matches!(self.rest, Rest::Nothing) {
                return Poll::Ready(Ok(()));
            }
            if next.is_pending() && self.poll_next(cx)?.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes the next piece out of the body.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let counted = match &mut self.rest {
            Rest::Nothing => return Poll::Pending,
            Rest::Exact(counted, _) | Rest::Chunked(counted) => counted,
        };
        let piece = match ready!(Pin::new(counted).poll_frame(cx)) {
            None => None,
            Some(Ok(frame)) => Some(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => return Poll::Ready(Err(self.stop())),
        };
        self.begun = true;
        let outbox = &mut self.outbox;
        if outbox.led == outbox.lead.len() {
            outbox.lead.clear();
            outbox.led = 0;
        }
        match (&mut self.rest, piece) {
            (Rest::Exact(_, left), piece) => {
                // Neither more than was said, nor less.
                let rest = match &piece {
                    Some(piece) => left.checked_sub(piece.len() as u64),
                    None => (*left == 0).then_some(0),
                };
                let Some(rest) = rest else {
                    return Poll::Ready(Err(self.stop()));
                };
                *left = rest;
                outbox.piece = piece.unwrap_or_default();
                if rest == 0 {
                    self.rest = Rest::Nothing;
                }
            }
            (Rest::Chunked(_), Some(piece)) => {
                // One of no length would say that it is the last.
                if !piece.is_empty() {
                    let size = format!("{:x}\r\n", piece.len());
                    outbox.lead.extend_from_slice(size.as_bytes());
                    outbox.piece = piece;
                    outbox.trail = b"\r\n";
                }
            }
            (Rest::Chunked(_), None) => {
                outbox.lead.extend_from_slice(b"0\r\n\r\n");
                self.rest = Rest::Nothing;
            }
            (Rest::Nothing, _) => {}
        }
        Poll::Ready(Ok(()))
    }

    fn stop(&mut self) -> io::Error {
        self.begun = true;
        self.stopped = true;
        self.rest = Rest::Nothing;
        io::ErrorKind::Interrupted.into()
    }
}
