//! Objects sent to a peer (C-STORE), each over an association of its own, as they lie in their files.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;
use wardline_dicom::net::{Client, NetError, Proposal, Status, Terms};
use wardline_dicom::{Head, head_of};

use super::config::OutboundConfig;
use crate::files::Directory;
use crate::mllp::wire::{NotConnected, Target};
use crate::{ConnectError, Failure, FailureKind, Reply, Request, codes};

/// An object is read in pieces of this size, while those before are being sent.
const PIECE: usize = 256 << 10;

/// Sends objects that payloads name.
pub struct Outbound {
    config: OutboundConfig,
    target: Target,
}

/// A file that is being read.
pub(super) type Reading = BufReader<Box<dyn Read + Send>>;

impl Outbound {
    /// Checks the address and builds TLS; connects with the first object.
    ///
    /// # Errors
    /// [`ConnectError`] where the address or TLS cannot be used.
    pub fn new(config: OutboundConfig) -> Result<Self, ConnectError> {
        let target = Target::new(&config.name, &config.address, config.tls.as_ref())?;
        Ok(Self { config, target })
    }

    fn fail(
        &self,
        kind: FailureKind,
        code: wardline_core::Code,
        what: impl std::fmt::Display,
    ) -> Failure {
        let text = format!("{} ({}): {what}", self.config.name, self.config.address);
        Failure::new(kind, code, text)
    }

    /// What the object says of itself, and its file, open where its data set begins.
    async fn open(&self, body: &Bytes) -> Result<(Head, Reading), Failure> {
        let bad = |what: String| self.fail(FailureKind::Permanent, codes::DICOM_OBJECT, what);
        let name = named(body).map_err(|what| bad(what.to_owned()))?;
        let directory = Arc::clone(&self.config.objects);
        opened(directory, name).await.map_err(|error| {
            let place = self.config.objects.describe();
            bad(format!("the object cannot be read in {place}: {error}"))
        })
    }

    fn ended(&self, error: &NetError) -> Failure {
        let (kind, code) = match error {
            NetError::Rejected(_) => (FailureKind::Transient, codes::DICOM_REJECTED),
            NetError::NotAccepted => (FailureKind::Permanent, codes::DICOM_NOT_ACCEPTED),
            NetError::Object(_) => (FailureKind::Permanent, codes::DICOM_OBJECT),
            NetError::Silent(_) | NetError::Stalled(_) => {
                (FailureKind::Timeout, codes::DICOM_BROKEN)
            }
            _ => (FailureKind::Transient, codes::DICOM_BROKEN),
        };
        self.fail(kind, code, error)
    }

    fn judged(&self, status: &Status) -> Result<Reply, Failure> {
        let reply = Reply {
            status: format!("{:04X}", status.code),
            content_type: "text/plain".into(),
            body: status.comment.clone().into(),
            truncated: false,
        };
        if status.is_good() {
            return Ok(reply);
        }
        let (kind, code) = if status.may_pass() {
            (FailureKind::Transient, codes::DICOM_FAILED)
        } else {
            (FailureKind::Permanent, codes::DICOM_REFUSED)
        };
        let failure = self.fail(kind, code, format!("the peer answered {:04X}", status.code));
        Err(failure.with_reply(reply))
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let (head, mut reader) = self.open(&request.body).await?;
        let connected = self.target.connect(self.config.connect_timeout).await;
        let stream = connected.map_err(|reason| {
            let what = match reason {
                NotConnected::Tcp(error) => format!("cannot connect: {error}"),
                NotConnected::Tls(error) => format!("the TLS handshake failed: {error}"),
                NotConnected::Timeout(limit) => format!("no connection within {limit:?}"),
            };
            self.fail(FailureKind::Unreachable, codes::DICOM_UNREACHABLE, what)
        })?;
        let proposal = Proposal {
            called: &self.config.called,
            calling: &self.config.calling,
            classes: vec![(&head.class, vec![&head.transfer_syntax])],
        };
        let terms = Terms {
            idle: self.config.timeout,
            stall: self.config.timeout,
            ..Terms::default()
        };
        let opened = Client::open(stream, &proposal, terms).await;
        let mut client = opened.map_err(|error| self.ended(&error))?;
        let (give, pieces) = mpsc::channel(2);
        let reading = tokio::task::spawn_blocking(move || give_all(&mut reader, &give));
        let stored = client.store(&head, pieces).await;
        // It ends with what it reads for.
        drop(reading);
        let status = stored.map_err(|error| self.ended(&error))?;
        if let Err(error) = client.release().await {
            tracing::debug!(connection = %self.config.name, %error, "a peer did not take its leave");
        }
        self.judged(&status)
    }

    fn describe(&self) -> String {
        let secured = if self.target.is_secure() {
            " (tls)"
        } else {
            ""
        };
        format!(
            "dicom {} {}{secured}",
            self.config.called, self.config.address
        )
    }
}

/// Which object a payload names.
pub(super) fn named(body: &[u8]) -> Result<String, &'static str> {
    let payload: Value = serde_json::from_slice(body).map_err(|_| "the payload is no JSON")?;
    let object = payload.get("object");
    let name = object.and_then(|object| object.get("file").or(Some(object)));
    let name = name.and_then(Value::as_str).map(str::to_owned);
    name.ok_or("the payload names no object: `object.file` is missing")
}

/// What an object says of itself, and its file, open where its data set begins.
pub(super) async fn opened(
    directory: Arc<dyn Directory>,
    name: String,
) -> io::Result<(Head, Reading)> {
    let opening = tokio::task::spawn_blocking(move || {
        let mut reader: Reading = BufReader::with_capacity(PIECE, directory.open(&name)?);
        let head = head_of(&mut reader).map_err(io::Error::other)?;
        Ok((head, reader))
    });
    opening.await.map_err(io::Error::other)?
}

/// Reads to the end and hands on what was read, piece by piece; whether all of it was taken.
pub(super) fn give_all(reader: &mut impl Read, give: &mpsc::Sender<io::Result<Bytes>>) -> bool {
    loop {
        let mut piece = vec![0; PIECE];
        let read = fill(reader, &mut piece).map(|bytes| {
            piece.truncate(bytes);
            Bytes::from(piece)
        });
        match read {
            Ok(piece) if piece.is_empty() => return true,
            Ok(piece) => {
                if give.blocking_send(Ok(piece)).is_err() {
                    return false;
                }
            }
            Err(error) => {
                // Whoever receives gives up.
                drop(give.blocking_send(Err(error)));
                return false;
            }
        }
    }
}

/// Reads until the piece is full or the end has come.
fn fill(reader: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
