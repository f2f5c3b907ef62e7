//! Bodies in both directions: what a caller sends, counted while it streams, and what it gets.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::problem::{Kind, Problem};
use crate::upstream::Answering;

/// Why a streamed body was stopped.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer, with what must be held until it is gone.
pub(crate) struct Body {
    source: Source,
    held: Option<Box<dyn Send>>,
}

enum Source {
    Full(Option<Bytes>),
    Streamed(Box<Answering>),
}

impl Body {
    pub(crate) fn full(bytes: Bytes) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self {
            source: Source::Full(bytes),
            held: None,
        }
    }

    pub(crate) fn streamed(answer: Answering) -> Self {
        Self {
            source: Source::Streamed(Box::new(answer)),
            held: None,
        }
    }

    pub(crate) fn holding(mut self, held: Box<dyn Send>) -> Self {
        self.held = Some(held);
        self
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.source {
            Source::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Streamed(answer) => Pin::new(&mut **answer)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Full(bytes) => bytes.is_none(),
            Source::Streamed(answer) => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Source::Streamed(answer) => answer.size_hint(),
        }
    }
}

/// The body of a call to a system.
pub(crate) enum OutBody {
    /// What is in memory can be sent again.
    Full(Option<Bytes>),
    /// What streams through is sent once.
    Streamed(Counted),
}

impl OutBody {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl HttpBody for OutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Streamed(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Streamed(body) => body.body.size_hint(),
        }
    }
}

/// Why a [`Counted`] body stopped, for whoever sees only that sending failed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stopped(Arc<AtomicU8>);

impl Stopped {
    fn set(&self, why: Kind) {
        let code = match why {
            Kind::BodyTooLarge => 1,
            Kind::BodyTooSlow => 2,
            _ => 3,
        };
        self.0.store(code, Ordering::Relaxed);
    }

    pub(crate) fn why(&self) -> Option<Kind> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Kind::BodyTooLarge),
            2 => Some(Kind::BodyTooSlow),
            _ => Some(Kind::BodyBroken),
        }
    }
}

/// A caller's body on its way through: counted and timed. Trailers are dropped.
pub(crate) struct Counted {
    body: Incoming,
    left: usize,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    stopped: Stopped,
}

impl Counted {
    pub(crate) fn new(body: Incoming, most: usize, limit: Duration) -> (Self, Stopped) {
        let stopped = Stopped::default();
        let counted = Self {
            body,
            left: most,
            limit,
            timer: None,
            stopped: stopped.clone(),
        };
        (counted, stopped)
    }

    fn stop(&self, why: Kind) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.stopped.set(why);
        Poll::Ready(Some(Err(why.title().into())))
    }

    pub(crate) fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let Some(left) = this.left.checked_sub(data.len()) else {
                        return this.stop(Kind::BodyTooLarge);
                    };
                    this.left = left;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(Some(Err(_))) => return this.stop(Kind::BodyBroken),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            let limit = this.limit;
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            return match timer.as_mut().poll(cx) {
                Poll::Ready(()) => this.stop(Kind::BodyTooSlow),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

/// Reads a whole body, at most `most` bytes; `watch` sees every piece as it arrives.
pub(crate) async fn collect(
    body: Incoming,
    most: usize,
    limit: Duration,
    mut watch: impl FnMut(&Bytes) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let (counted, stopped) = Counted::new(body, most, limit);
    let mut counted = std::pin::pin!(counted);
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    let failed = |_: BoxError| Problem::from(stopped.why().unwrap_or(Kind::BodyBroken));
    while let Some(frame) = std::future::poll_fn(|cx| counted.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(failed)?.into_data() else {
            continue;
        };
        watch(&data)?;
        // Most bodies come in one piece, which is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all = std::mem::take(&mut first).to_vec();
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}
