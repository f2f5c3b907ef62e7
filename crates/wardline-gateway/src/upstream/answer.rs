//! The body of a system's answer, which drives its connection while it is read and gives it back
//! to the pool at its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::wire::Connection;
use super::{Address, Entered, Miss};

/// A body that is still arriving.
pub(crate) struct Answering {
    connection: Option<(Box<Connection>, OwnedSemaphorePermit)>,
    address: Arc<Address>,
    pause: Duration,
    /// When the next piece must have come; `None` where it is not waited for.
    due: Option<Instant>,
    /// Held until the answer is at its end.
    entered: Option<Entered>,
}

impl Answering {
    pub(super) fn new(
        connection: Box<Connection>,
        address: Arc<Address>,
        permit: OwnedSemaphorePermit,
        pause: Duration,
    ) -> Self {
        let mut this = Self {
            connection: Some((connection, permit)),
            address,
            pause,
            due: None,
            entered: None,
        };
        if this.length() == Some(0) {
            this.release();
        }
        this
    }

    /// Holds the right to this call until the answer is at its end.
    pub(super) fn holding(mut self, entered: Entered) -> Self {
        self.entered = self.connection.is_some().then_some(entered);
        self
    }

    /// Gives the connection back: the answer is at its end.
    fn release(&mut self) {
        self.entered = None;
        if let Some((mut connection, permit)) = self.connection.take() {
            connection.rest();
            self.address.keep(connection);
            drop(permit);
        }
    }

    /// Ends it before its end, and the connection with it.
    fn broken(&mut self) {
        self.entered = None;
        self.connection = None;
    }

    /// How much of it is still to come, where the system said so.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.connection {
            Some((connection, _)) => connection.left(),
            None => Some(0),
        }
    }

    /// Reads it to its end, at most `most` bytes.
    pub(crate) async fn whole(mut self, most: usize) -> Result<Bytes, Miss> {
        if self.is_end_stream() {
            return Ok(Bytes::new());
        }
        if self.length().is_some_and(|length| length > most as u64) {
            return Err(Miss::Broken);
        }
        let mut first = Bytes::new();
        let mut all: Vec<u8> = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await;
            let data = match next {
                None => break,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
                Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Miss::TooLate);
                }
                Some(Err(_)) => return Err(Miss::Broken),
            };
            if first.len() + all.len() + data.len() > most {
                return Err(Miss::Broken);
            }
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                if all.is_empty() {
                    all = std::mem::take(&mut first).to_vec();
                }
                all.extend_from_slice(&data);
            }
            if self.is_end_stream() {
                break;
            }
        }
        Ok(if all.is_empty() { first } else { all.into() })
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let Some((connection, _)) = &mut this.connection else {
            return Poll::Ready(None);
        };
        match connection.poll_piece(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                this.due = None;
                if connection.left() == Some(0) {
                    this.release();
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Poll::Ready(Some(Err(error))) => {
                this.broken();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                this.release();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let pause = this.pause;
                let due = *this.due.get_or_insert_with(|| Instant::now() + pause);
                if connection.poll_due(due, cx) {
                    this.broken();
                    return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
