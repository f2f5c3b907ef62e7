//! Many requests under way on one channel, each answer to whoever asked.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect};
use tokio::sync::{Mutex as Turn, oneshot};
use tokio::time::{sleep, timeout};

use super::ClientConfig;
use super::login::{Connection, log_in};
use super::wire::{
    self, Attributes, BLOCK, Cutter, Fields, LARGEST, Malformed, Packet, kind, status,
};
use crate::codes;
use crate::files::Trouble;

/// A channel that nobody needed for so long is closed: many servers allow few.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes of a read or write beside its data.
const AROUND: u64 = 1 << 10;

/// An answer, after its number.
pub(super) struct Answer {
    kind: u8,
    fields: Fields,
}

/// Who waits for which answer; `None` once there will be no more.
type Waiting = Arc<Mutex<Option<HashMap<u32, oneshot::Sender<Answer>>>>>;

/// An open SFTP channel.
pub(super) struct Session {
    /// One packet after the other: a packet may need several messages of SSH.
    out: Turn<ChannelWriteHalf<Msg>>,
    waiting: Waiting,
    next: AtomicU32,
    timeout: Duration,
    pub(super) address: String,
    /// Bytes of one read.
    pub(super) read_block: usize,
    /// Bytes of one write.
    pub(super) write_block: usize,
    pub(super) replaces: bool,
    pub(super) syncs: bool,
}

/// A request that was sent.
pub(super) struct Pending(oneshot::Receiver<Answer>);

impl Session {
    /// Logs in and opens a channel.
    pub(super) async fn open(config: &ClientConfig) -> io::Result<Arc<Self>> {
        let address = config.address();
        let connection = log_in(config).await?;
        let refused = |error: &dyn std::fmt::Display| {
            let text = format!("{address} gives no SFTP: {error}");
            Trouble::error(io::ErrorKind::NotConnected, codes::SFTP_NOT_SPOKEN, text)
        };
        let begun = timeout(config.timeout, async {
            let channel = connection
                .channel_open_session()
                .await
                .map_err(|error| refused(&error))?;
            let (mut input, out) = channel.split();
            out.request_subsystem(true, "sftp")
                .await
                .map_err(|error| refused(&error))?;
            let hello = Packet::new(kind::INIT).u32(wire::VERSION).finish();
            out.data_bytes(hello)
                .await
                .map_err(|error| refused(&error))?;
            let mut cutter = Cutter::default();
            let hello = loop {
                match input.wait().await {
                    Some(ChannelMsg::Data { data }) => cutter.push(&data),
                    Some(ChannelMsg::Failure) => {
                        return Err(refused(&"it knows no subsystem `sftp`"));
                    }
                    Some(ChannelMsg::Eof | ChannelMsg::Close) | None => {
                        return Err(refused(&"it closed the channel"));
                    }
                    Some(_) => {}
                }
                if let Some(hello) = cutter
                    .next()
                    .map_err(|_| refused(&"its greeting is none"))?
                {
                    break hello;
                }
            };
            let extensions = greeting(hello).map_err(|_| refused(&"its greeting is none"))?;
            Ok((input, out, cutter, extensions))
        });
        let (input, out, cutter, extensions) = begun
            .await
            .map_err(|_| refused(&"it did not begin in time"))??;
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let mut session = Self {
            out: Turn::new(out),
            waiting: Arc::clone(&waiting),
            next: AtomicU32::new(0),
            timeout: config.timeout,
            address,
            read_block: BLOCK,
            write_block: BLOCK,
            replaces: extensions.contains_key("posix-rename@openssh.com"),
            syncs: extensions.contains_key("fsync@openssh.com"),
        };
        tokio::spawn(pump(connection, input, cutter, waiting));
        if extensions.contains_key("limits@openssh.com") {
            session.learn_limits().await?;
        }
        Ok(Arc::new(session))
    }

    /// Larger blocks cost less; a server that takes them says so.
    async fn learn_limits(&mut self) -> io::Result<()> {
        let asked = self
            .send(|id| {
                Packet::new(kind::EXTENDED)
                    .u32(id)
                    .text("limits@openssh.com")
            })
            .await?;
        let mut answer = self.wait(asked).await?;
        let mut read = || {
            let fields = &mut answer.fields;
            Ok::<_, Malformed>((fields.u64()?, fields.u64()?, fields.u64()?))
        };
        if let Ok((_, reads, writes)) = read() {
            let fits = |most: u64| most.clamp(BLOCK as u64, LARGEST as u64 - AROUND) as usize;
            (self.read_block, self.write_block) = (fits(reads), fits(writes));
        }
        Ok(())
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// The connection is gone, whoever noticed first; nothing more is asked on it.
    fn lost(&self) -> io::Error {
        *self.waiting.lock() = None;
        let text = format!("{} ended the connection", self.address);
        Trouble::error(io::ErrorKind::NotConnected, codes::SFTP_LOST, text)
    }

    /// What was said makes no sense; nothing more is asked on this channel.
    pub(super) fn nonsense(&self) -> io::Error {
        *self.waiting.lock() = None;
        let text = format!("{} answered with something that is no SFTP", self.address);
        Trouble::error(io::ErrorKind::InvalidData, codes::SFTP_NOT_SPOKEN, text)
    }

    fn slow(&self) -> io::Error {
        // An answer that comes later must not be taken for another's.
        *self.waiting.lock() = None;
        let text = format!("{} did not answer within {:?}", self.address, self.timeout);
        Trouble::error(io::ErrorKind::TimedOut, codes::SFTP_LOST, text)
    }

    /// Sends a request; the answer is waited for apart.
    pub(super) async fn send(&self, make: impl FnOnce(u32) -> Packet) -> io::Result<Pending> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let asked = self.waiting.lock().as_mut().map(|waiting| {
            waiting.insert(id, sender);
        });
        if asked.is_none() {
            return Err(self.lost());
        }
        let packet = make(id).finish();
        let sent = timeout(self.timeout, async {
            self.out.lock().await.data_bytes(packet).await
        });
        match sent.await {
            Ok(Ok(())) => Ok(Pending(receiver)),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(self.slow()),
        }
    }

    pub(super) async fn wait(&self, pending: Pending) -> io::Result<Answer> {
        match timeout(self.timeout, pending.0).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(self.slow()),
        }
    }

    async fn ask(&self, make: impl FnOnce(u32) -> Packet) -> io::Result<Answer> {
        let pending = self.send(make).await?;
        self.wait(pending).await
    }

    /// Asks for something that is answered by how it ended.
    pub(super) async fn order(&self, make: impl FnOnce(u32) -> Packet) -> io::Result<()> {
        let answer = self.ask(make).await?;
        self.done(answer)
    }

    pub(super) fn done(&self, mut answer: Answer) -> io::Result<()> {
        match answer.kind {
            kind::STATUS => self.status(&mut answer.fields),
            _ => Err(self.nonsense()),
        }
    }

    /// How an operation ended, as an error where it did not end well.
    fn status(&self, fields: &mut Fields) -> io::Result<()> {
        let code = fields.u32().map_err(|_| self.nonsense())?;
        let kind = match code {
            status::OK => return Ok(()),
            status::EOF => io::ErrorKind::UnexpectedEof,
            status::NO_SUCH_FILE => io::ErrorKind::NotFound,
            status::PERMISSION_DENIED => io::ErrorKind::PermissionDenied,
            status::UNSUPPORTED => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        // What the server says is shown to people, so it must be fit to be shown.
        let said = fields.text().unwrap_or_default();
        let said: String = said
            .chars()
            .filter(|one| !one.is_control())
            .take(120)
            .collect();
        let text = format!("{} says: {said} ({code})", self.address);
        Err(Trouble::error(kind, codes::SFTP_REFUSED, text))
    }

    pub(super) async fn attributes(&self, what: u8, of: &[u8]) -> io::Result<Attributes> {
        let mut answer = self.ask(|id| Packet::new(what).u32(id).text(of)).await?;
        match answer.kind {
            kind::ATTRS => answer.fields.attributes().map_err(|_| self.nonsense()),
            kind::STATUS => Err(self.no_success(&mut answer.fields)),
            _ => Err(self.nonsense()),
        }
    }

    pub(super) async fn handle(&self, make: impl FnOnce(u32) -> Packet) -> io::Result<Bytes> {
        let mut answer = self.ask(make).await?;
        match answer.kind {
            kind::HANDLE => answer.fields.bytes().map_err(|_| self.nonsense()),
            kind::STATUS => Err(self.no_success(&mut answer.fields)),
            _ => Err(self.nonsense()),
        }
    }

    /// Some names of a directory that is being read; `None` at its end.
    pub(super) async fn names(
        &self,
        handle: &[u8],
    ) -> io::Result<Option<Vec<(Bytes, Attributes)>>> {
        let mut answer = self
            .ask(|id| Packet::new(kind::READDIR).u32(id).text(handle))
            .await?;
        match answer.kind {
            kind::NAME => {
                let mut read = || {
                    let fields = &mut answer.fields;
                    let mut all = Vec::new();
                    // The number is the server's word; the packet's end is not.
                    for _ in 0..fields.u32()? {
                        let name = fields.bytes()?;
                        fields.bytes()?;
                        all.push((name, fields.attributes()?));
                    }
                    Ok::<_, Malformed>(all)
                };
                read().map(Some).map_err(|_| self.nonsense())
            }
            kind::STATUS => match self.no_success(&mut answer.fields) {
                end if end.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                other => Err(other),
            },
            _ => Err(self.nonsense()),
        }
    }

    /// Data of a read; `None` at the end of the file.
    pub(super) fn data(&self, mut answer: Answer, most: usize) -> io::Result<Option<Bytes>> {
        match answer.kind {
            kind::DATA => match answer.fields.bytes() {
                Ok(data) if !data.is_empty() && data.len() <= most => Ok(Some(data)),
                _ => Err(self.nonsense()),
            },
            kind::STATUS => match self.no_success(&mut answer.fields) {
                end if end.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                other => Err(other),
            },
            _ => Err(self.nonsense()),
        }
    }

    /// A status where something else was to come.
    fn no_success(&self, fields: &mut Fields) -> io::Error {
        match self.status(fields) {
            Err(error) => error,
            Ok(()) => self.nonsense(),
        }
    }
}

/// Extensions that a server offers.
fn greeting(mut hello: Fields) -> Result<HashMap<String, Bytes>, Malformed> {
    if hello.u8()? != kind::VERSION || hello.u32()? < wire::VERSION {
        return Err(Malformed);
    }
    let mut all = HashMap::new();
    while !hello.is_empty() {
        let name = hello.bytes()?;
        let value = hello.bytes()?;
        if let Ok(name) = String::from_utf8(name.into()) {
            all.insert(name, value);
        }
    }
    Ok(all)
}

/// Hands answers out until the channel ends, nobody needs it any more, or it makes no sense.
async fn pump(
    connection: Connection,
    mut input: ChannelReadHalf,
    mut cutter: Cutter,
    waiting: Waiting,
) {
    let why = loop {
        tokio::select! {
            message = input.wait() => match message {
                Some(ChannelMsg::Data { data }) => {
                    if !hand_out(&mut cutter, &data, &waiting) {
                        break "the answers make no sense";
                    }
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => break "it ended",
                // What a server says aside is for people at a terminal.
                Some(_) => {}
            },
            () = sleep(IDLE) => {
                let mut waiting = waiting.lock();
                if waiting.as_ref().is_none_or(HashMap::is_empty) {
                    *waiting = None;
                    break "nobody needs it";
                }
            }
        }
    };
    *waiting.lock() = None;
    let goodbye = connection.disconnect(Disconnect::ByApplication, "", "en");
    if let Err(error) = goodbye.await {
        tracing::debug!(why, %error, "an SFTP connection was gone already");
    }
}

/// Whether everything was an answer to something that was asked.
fn hand_out(cutter: &mut Cutter, data: &[u8], waiting: &Waiting) -> bool {
    cutter.push(data);
    loop {
        let mut fields = match cutter.next() {
            Ok(Some(fields)) => fields,
            Ok(None) => return true,
            Err(Malformed) => return false,
        };
        let (Ok(kind), Ok(id)) = (fields.u8(), fields.u32()) else {
            return false;
        };
        let Some(asked) = waiting.lock().as_mut().and_then(|all| all.remove(&id)) else {
            return false;
        };
        // Whoever asked may have lost interest.
        if asked.send(Answer { kind, fields }).is_err() {
            tracing::trace!(id, "an answer that nobody waits for");
        }
    }
}
