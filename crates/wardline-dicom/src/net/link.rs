//! PDUs over a stream, with a time limit on everything.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::pdu::{self, Pdu};

/// Why an association ended before its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the stream in the middle.
    #[error("the peer closed the connection within an association")]
    Closed,
    /// Nothing came for too long.
    #[error("the peer was silent for {0:?}")]
    Silent(Duration),
    /// What had begun did not go on.
    #[error("the peer stalled: nothing whole came, or was taken, within {0:?}")]
    Stalled(Duration),
    /// A PDU is longer than what was agreed on.
    #[error("a PDU of {length} bytes is longer than the {most} that were agreed on")]
    TooLong {
        /// Its length.
        length: u32,
        /// What is allowed.
        most: u32,
    },
    /// The peer says what the protocol does not allow.
    #[error("the peer breaks the protocol: {0}")]
    Protocol(&'static str),
    /// The peer gave the association up.
    #[error("the peer aborted the association")]
    Aborted,
    /// The peer refused the association.
    #[error("the peer refused the association: {0}")]
    Rejected(&'static str),
    /// This side refused the association.
    #[error("the association was refused: {0:?}")]
    Refused(super::Rejection),
    /// The peer does not take what was to be sent.
    #[error("the peer does not take objects of this class and transfer syntax")]
    NotAccepted,
    /// What was to be sent could not be read.
    #[error("what was to be sent cannot be read: {0}")]
    Object(io::Error),
    /// This side stops.
    #[error("this side is stopping")]
    Stopping,
}

/// PDUs of association requests are short.
const ASSOCIATE: u32 = 128 << 10;

pub(super) struct Link<S> {
    stream: S,
    buffer: BytesMut,
    max_pdu: u32,
    stall: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(super) fn new(stream: S, max_pdu: u32, stall: Duration) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            max_pdu,
            stall,
        }
    }

    /// The next PDU. Its first byte may take `idle`, what follows the time for what has begun.
    /// Dropped between PDUs it has lost nothing.
    pub(super) async fn read(&mut self, idle: Duration) -> Result<Pdu, NetError> {
        if self.buffer.is_empty() {
            self.buffer.reserve(self.max_pdu as usize + pdu::HEADER);
            let read = timeout(idle, self.stream.read_buf(&mut self.buffer)).await;
            if read.map_err(|_| NetError::Silent(idle))?? == 0 {
                return Err(NetError::Closed);
            }
        }
        let until = Instant::now() + self.stall;
        self.have(pdu::HEADER, until).await?;
        let kind = self.buffer[0];
        let length = (&self.buffer[2..6]).get_u32();
        let most = if matches!(kind, 1 | 2) {
            ASSOCIATE
        } else {
            self.max_pdu
        };
        if length > most {
            return Err(NetError::TooLong { length, most });
        }
        self.have(pdu::HEADER + length as usize, until).await?;
        self.buffer.advance(pdu::HEADER);
        let body = self.buffer.split_to(length as usize).freeze();
        pdu::decode(kind, body)
    }

    async fn have(&mut self, bytes: usize, until: Instant) -> Result<(), NetError> {
        while self.buffer.len() < bytes {
            self.buffer.reserve(bytes - self.buffer.len());
            let read = timeout_at(until, self.stream.read_buf(&mut self.buffer)).await;
            if read.map_err(|_| NetError::Stalled(self.stall))?? == 0 {
                return Err(NetError::Closed);
            }
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let stall = self.stall;
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(stall, write)
            .await
            .map_err(|_| NetError::Stalled(stall))??;
        Ok(())
    }

    /// Says goodbye, as far as the peer listens.
    pub(super) async fn close(&mut self) {
        let wait = self.stall.min(Duration::from_secs(2));
        let ended = timeout(wait, async {
            self.stream.shutdown().await?;
            // What the peer still sends must not turn our last word into a reset.
            let mut sink = [0; 512];
            while self.stream.read(&mut sink).await? > 0 {}
            io::Result::Ok(())
        });
        // Whether it heard is nobody's business any more.
        drop(ended.await);
    }
}
