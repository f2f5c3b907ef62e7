//! Messages of an association: commands and what follows them, in parts over PDUs.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Terms;
use super::command::Command;
use super::link::{Link, NetError};
use super::pdu::{self, Part, Pdu};
use crate::data::{self, DataSet, Limits, Stream};
use crate::{Encoding, uid};

/// A command set is short.
const COMMAND: usize = 16 << 10;
/// PDUs are not made longer than this, whatever the peer takes.
const OURS: usize = 256 << 10;

/// A presentation context that both sides agreed on.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub(super) id: u8,
    pub(super) class: String,
    pub(super) transfer: String,
}

impl Agreed {
    pub(super) fn encoding(&self) -> Encoding {
        uid::encoding(&self.transfer)
    }
}

/// Messages both ways.
pub(super) struct Messages<S> {
    pub(super) link: Link<S>,
    pub(super) agreed: Vec<Agreed>,
    pub(super) terms: Terms,
    /// Bytes of a message that fit a PDU to the peer.
    room: usize,
    rest: Bytes,
}

/// What comes next.
pub(super) enum Next {
    Part(Part),
    Release,
}

/// A message's beginning.
pub(super) enum Begun {
    Command(Agreed, Command),
    Release,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    pub(super) fn new(link: Link<S>, agreed: Vec<Agreed>, terms: Terms, peer_max: u32) -> Self {
        let most = if peer_max == 0 {
            OURS
        } else {
            (peer_max as usize).min(OURS)
        };
        Self {
            link,
            agreed,
            terms,
            // An odd number would leave a value's halves in two PDUs.
            room: (most.max(128) - 6) & !1,
            rest: Bytes::new(),
        }
    }

    async fn next(&mut self, wait: Duration) -> Result<Next, NetError> {
        loop {
            if let Some(part) = pdu::part(&mut self.rest)? {
                return Ok(Next::Part(part));
            }
            match self.link.read(wait).await? {
                Pdu::Data(body) => self.rest = body,
                Pdu::ReleaseRequest => return Ok(Next::Release),
                Pdu::Abort => return Err(NetError::Aborted),
                _ => {
                    return Err(NetError::Protocol(
                        "this PDU has no place in an association",
                    ));
                }
            }
        }
    }

    /// The next command; `wait` is how long it may take to begin.
    pub(super) async fn command(&mut self, wait: Duration) -> Result<Begun, NetError> {
        let mut bytes = BytesMut::new();
        let mut context = None;
        let mut wait = wait;
        loop {
            let part = match self.next(wait).await? {
                Next::Part(part) => part,
                Next::Release if context.is_none() => return Ok(Begun::Release),
                Next::Release => return Err(NetError::Protocol("a release within a message")),
            };
            wait = self.terms.stall;
            if !part.command || context.is_some_and(|context| context != part.context) {
                return Err(NetError::Protocol("a command was expected"));
            }
            context = Some(part.context);
            if bytes.len() + part.data.len() > COMMAND {
                return Err(NetError::Protocol("a command is too long"));
            }
            bytes.extend_from_slice(&part.data);
            if part.last {
                let agreed = self.agreed.iter().find(|one| one.id == part.context);
                let agreed = agreed.ok_or(NetError::Protocol(
                    "this presentation context was not agreed on",
                ))?;
                return Ok(Begun::Command(agreed.clone(), Command::read(&bytes)?));
            }
        }
    }

    /// The next fragment of a data set, and whether it is the last.
    pub(super) async fn fragment(&mut self, context: u8) -> Result<(Bytes, bool), NetError> {
        match self.next(self.terms.stall).await? {
            Next::Part(part) if !part.command && part.context == context => {
                Ok((part.data, part.last))
            }
            _ => Err(NetError::Protocol("a fragment of a data set was expected")),
        }
    }

    /// Reads a data set to its end; `None` where it is too long or malformed.
    pub(super) async fn data_set(&mut self, agreed: &Agreed) -> Result<Option<DataSet>, NetError> {
        let mut bytes = BytesMut::new();
        let mut fits = true;
        loop {
            let (data, last) = self.fragment(agreed.id).await?;
            fits &= bytes.len() + data.len() <= self.terms.max_data_set;
            if fits {
                bytes.extend_from_slice(&data);
            }
            if last {
                break;
            }
        }
        let limits = Limits {
            value: 64 << 10,
            total: self.terms.max_data_set * 4,
            ..Limits::default()
        };
        let read = data::read(&mut Stream(&bytes[..]), agreed.encoding(), limits).ok();
        Ok(read.filter(|set| fits && !set.cut))
    }

    /// Sends a command, and what follows it.
    pub(super) async fn send(
        &mut self,
        agreed: &Agreed,
        command: &Command,
        data: Option<&DataSet>,
    ) -> Result<(), NetError> {
        let mut out = BytesMut::new();
        self.put(&mut out, agreed.id, true, true, &command.bytes());
        if let Some(data) = data {
            let mut bytes = Vec::new();
            data::write(data, agreed.encoding(), &mut bytes);
            self.put(&mut out, agreed.id, false, true, &bytes);
        }
        self.link.write(&out).await
    }

    /// Sends a part of an object's data set.
    pub(super) async fn send_fragment(
        &mut self,
        context: u8,
        data: &[u8],
        last: bool,
    ) -> Result<(), NetError> {
        let mut out = BytesMut::with_capacity(data.len() + 64);
        self.put(&mut out, context, false, last, data);
        self.link.write(&out).await
    }

    fn put(&self, out: &mut BytesMut, context: u8, command: bool, last: bool, bytes: &[u8]) {
        let mut chunks = bytes.chunks(self.room).peekable();
        if bytes.is_empty() && last {
            pdu::put_part(out, context, command, true, &[]);
        }
        while let Some(chunk) = chunks.next() {
            let last = last && chunks.peek().is_none();
            pdu::put_part(out, context, command, last, chunk);
        }
    }
}
