//! The body of a system's answer, which drives its connection while it is read and gives it back
//! to the pool at its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::wire::Connection;
use super::{Address, Entered, Miss};

/// A body that is still arriving.
pub(crate) struct Answering {
    body: Incoming,
    connection: Option<(Connection, OwnedSemaphorePermit)>,
    address: Arc<Address>,
    pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Held until the answer is at its end.
    entered: Option<Entered>,
}

impl Answering {
    pub(super) fn new(
        body: Incoming,
        connection: Connection,
        address: Arc<Address>,
        permit: OwnedSemaphorePermit,
        pause: Duration,
    ) -> Self {
        let mut this = Self {
            body,
            connection: Some((connection, permit)),
            address,
            pause,
            timer: None,
            entered: None,
        };
        if this.body.is_end_stream() {
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

    /// Its length, where the system said so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Reads it to its end, at most `most` bytes.
    pub(crate) async fn whole(mut self, most: usize) -> Result<Bytes, Miss> {
        if self.body.is_end_stream() {
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
        let body = &mut this.body;
        let polled = match &mut this.connection {
            Some((connection, _)) => {
                connection.drive_for(cx, |cx| Pin::new(&mut *body).poll_frame(cx))
            }
            None => Pin::new(body).poll_frame(cx),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.timer = None;
                if this.body.is_end_stream() {
                    this.release();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => {
                this.release();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let pause = this.pause;
                let timer = this
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                match timer.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
