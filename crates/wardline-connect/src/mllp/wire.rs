//! Connecting, and writing and reading single frames: what the sending side and the command
//! line's client share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wardline_hl7::mllp::{self, Decoder, Event};

use crate::ConnectError;
use crate::stream::Stream;
use crate::tls::ClientTls;

/// Read at most so much at once.
pub(super) const CHUNK: usize = 64 * 1024;
/// How long a peer that leaves out the last byte of a frame is waited for.
pub(super) const CR_GRACE: Duration = Duration::from_millis(200);
/// Frames up to this size are put together before writing; larger ones are not copied.
const COPY_UP_TO: usize = 16 * 1024;

/// Where to connect to and what to verify there.
pub(crate) struct Target {
    pub(super) address: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Why a connection could not be made.
pub(crate) enum NotConnected {
    Tcp(io::Error),
    Tls(io::Error),
    Timeout(Duration),
}

impl Target {
    pub(crate) fn new(
        name: &str,
        address: &str,
        tls: Option<&ClientTls>,
    ) -> Result<Self, ConnectError> {
        let bad = |detail: &str| ConnectError::BadSetting {
            name: name.into(),
            what: "the address",
            value: address.into(),
            detail: detail.into(),
        };
        let (host, port) = address
            .rsplit_once(':')
            .ok_or_else(|| bad("write host:port"))?;
        port.parse::<u16>()
            .map_err(|_| bad("the port must be a number up to 65535"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("write host:port"));
        }
        let tls = match tls {
            None => None,
            Some(tls) => Some((Arc::new(tls.build(name)?), tls.verified_name(name, host)?)),
        };
        Ok(Self {
            address: address.into(),
            tls,
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) async fn connect(&self, limit: Duration) -> Result<Stream, NotConnected> {
        let connecting = async {
            let stream = TcpStream::connect(&self.address)
                .await
                .map_err(NotConnected::Tcp)?;
            stream.set_nodelay(true).map_err(NotConnected::Tcp)?;
            let Some((config, name)) = &self.tls else {
                return Ok(Stream::Plain(stream));
            };
            let connector = TlsConnector::from(Arc::clone(config));
            let stream = connector
                .connect(name.clone(), stream)
                .await
                .map_err(NotConnected::Tls)?;
            Ok(Stream::Tls(Box::new(stream.into())))
        };
        timeout(limit, connecting)
            .await
            .unwrap_or(Err(NotConnected::Timeout(limit)))
    }
}

/// Writes one frame and flushes it.
pub(super) async fn write_frame(stream: &mut Stream, payload: &Bytes) -> io::Result<()> {
    if payload.len() <= COPY_UP_TO {
        stream.write_all(&mllp::frame(payload)).await?;
    } else {
        stream.write_all(&[mllp::START]).await?;
        stream.write_all(payload).await?;
        stream.write_all(&mllp::TRAILER).await?;
    }
    stream.flush().await
}

/// Reads until one frame is whole. `None` at the end of the stream. Safe to cancel: what was
/// read stays in `buffer` and `decoder`.
pub(super) async fn read_event(
    stream: &mut Stream,
    decoder: &mut Decoder,
    buffer: &mut BytesMut,
) -> io::Result<Option<Event>> {
    loop {
        if let Some(event) = decoder.decode(buffer) {
            return Ok(Some(event));
        }
        let lacks_cr = decoder.awaits_only_cr(buffer);
        decoder.make_room(buffer);
        let mut chunk = (&mut *buffer).limit(CHUNK);
        let reading = stream.read_buf(&mut chunk);
        let read = if lacks_cr {
            timeout(CR_GRACE, reading).await
        } else {
            Ok(reading.await)
        };
        match read {
            // The end of the stream, or of the patience with a peer that leaves out the CR.
            Ok(Ok(0)) | Err(_) => return Ok(decoder.flush(buffer)),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
}

/// Whether bytes would end a frame early or begin another, so that they cannot be sent as one.
pub(super) fn breaks_framing(payload: &[u8]) -> bool {
    memchr::memchr2_iter(mllp::START, mllp::END, payload)
        .next()
        .is_some()
}
