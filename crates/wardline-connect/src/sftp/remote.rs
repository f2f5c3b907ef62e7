//! A directory of another machine, over SFTP.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Mutex as Turn;

use super::ClientConfig;
use super::session::{Pending, Session};
use super::wire::{Attributes, Packet, kind, open};
use crate::files::{Directory, Entry, is_name, read_block, split};

/// Bytes that are asked for ahead of whoever reads. Enough to fill a line of 1 Gbit/s over 30 ms.
const AHEAD: usize = 4 << 20;
/// Names that are looked at in one directory, whatever they are.
const NAMES: usize = 100_000;
/// How often a file that is being read is taken up again at the same place after its connection was lost.
const RESUMED: u32 = 3;

/// A directory of another machine.
pub struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<ArcSwap<ClientConfig>>,
    current: Turn<Option<(Arc<ClientConfig>, Arc<Session>)>>,
}

impl Remote {
    /// With settings that stay.
    pub fn of(config: ClientConfig) -> Self {
        Self::new(Arc::new(ArcSwap::from_pointee(config)))
    }

    /// Nothing is connected before it is needed. What is set may change while it is in use.
    pub fn new(config: Arc<ArcSwap<ClientConfig>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                current: Turn::default(),
            }),
        }
    }
}

impl Shared {
    /// The open session, or a new one.
    async fn session(&self) -> io::Result<Arc<Session>> {
        let config = self.config.load_full();
        let mut current = self.current.lock().await;
        if let Some((of, session)) = &*current
            && !session.is_over()
            && Arc::ptr_eq(of, &config)
        {
            return Ok(Arc::clone(session));
        }
        *current = None;
        let session = Session::open(&config).await?;
        *current = Some((config, Arc::clone(&session)));
        Ok(session)
    }

    fn path(&self, below: Option<&str>, name: &str) -> String {
        let root = &self.config.load().directory;
        let root = root.trim_end_matches('/');
        let mut path = match root {
            "" if self.config.load().directory.starts_with('/') => "/".to_owned(),
            "" => String::new(),
            root => format!("{root}/"),
        };
        for part in below.into_iter().chain(Some(name)) {
            if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(part);
        }
        path
    }

    /// A directory; `.` is where one is after logging in.
    fn folder(&self, below: &str) -> String {
        match self.path(None, below) {
            empty if empty.is_empty() => ".".to_owned(),
            path => path,
        }
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Opens a plain file to be read. A server's own links are not followed.
async fn open_plain(session: &Session, path: &str) -> io::Result<(Bytes, Attributes)> {
    let before = session.attributes(kind::LSTAT, path.as_bytes()).await?;
    if before.is_plain() == Some(false) {
        return Err(invalid("it is no plain file"));
    }
    let handle = session
        .handle(|id| {
            Packet::new(kind::OPEN)
                .u32(id)
                .text(path)
                .u32(open::READ)
                .attributes(&Attributes::default())
        })
        .await?;
    let opened = session.attributes(kind::FSTAT, &handle).await?;
    if opened.is_plain() == Some(false) {
        close(session, handle).await?;
        return Err(invalid("it is no plain file"));
    }
    Ok((handle, opened))
}

async fn close(session: &Session, handle: Bytes) -> io::Result<()> {
    session
        .order(|id| Packet::new(kind::CLOSE).u32(id).text(&handle))
        .await
}

async fn remove(session: &Session, path: &str) -> io::Result<()> {
    let removed = session
        .order(|id| Packet::new(kind::REMOVE).u32(id).text(path))
        .await;
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

async fn exists(session: &Session, path: &str) -> io::Result<bool> {
    match session.attributes(kind::LSTAT, path.as_bytes()).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a directory where it is not there.
async fn make(session: &Session, path: &str) -> io::Result<()> {
    match session.attributes(kind::LSTAT, path.as_bytes()).await {
        Ok(there) if there.is_directory() => Ok(()),
        Ok(_) => Err(invalid("a directory is to be made where something else is")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let of = Attributes {
                mode: Some(0o750),
                ..Attributes::default()
            };
            session
                .order(|id| Packet::new(kind::MKDIR).u32(id).text(path).attributes(&of))
                .await
        }
        Err(error) => Err(error),
    }
}

async fn rename(session: &Session, from: &str, to: &str) -> io::Result<()> {
    session
        .order(|id| Packet::new(kind::RENAME).u32(id).text(from).text(to))
        .await
}

impl Directory for Remote {
    fn list(&self, below: &str, most: usize) -> io::Result<Vec<Entry>> {
        if !below.is_empty() && !is_name(below) {
            return Err(invalid("the name leads elsewhere"));
        }
        Handle::current().block_on(async {
            let session = self.shared.session().await?;
            let folder = self.shared.folder(below);
            if !below.is_empty() {
                match session.attributes(kind::LSTAT, folder.as_bytes()).await {
                    Ok(there) if there.is_directory() || there.mode.is_none() => {}
                    Ok(_) => return Err(invalid("it is no directory")),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                }
            }
            let handle = session
                .handle(|id| Packet::new(kind::OPENDIR).u32(id).text(&folder))
                .await?;
            let listed = entries(&session, &handle, &folder, most).await;
            if !session.is_over() {
                close(&session, handle).await?;
            }
            listed
        })
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let (below, name) = split(path)?;
        let path = self.shared.path(below, name);
        Handle::current().block_on(async {
            let session = self.shared.session().await?;
            let (handle, of) = open_plain(&session, &path).await?;
            let reading: Box<dyn Read + Send> = Box::new(Reading {
                shared: Arc::clone(&self.shared),
                session,
                handle: Some(handle),
                path,
                of,
                asked: 0,
                given: 0,
                at_end: false,
                under_way: VecDeque::new(),
                current: Bytes::new(),
                resumed: (0, 0),
            });
            Ok(reading)
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_below, from), (to_below, to)) = (split(from)?, split(to)?);
        let (from, to) = (
            self.shared.path(from_below, from),
            self.shared.path(to_below, to),
        );
        Handle::current().block_on(async {
            let session = self.shared.session().await?;
            if let Some(below) = to_below {
                make(&session, &self.shared.folder(below)).await?;
            }
            // By the protocol a rename replaces nothing; not every server keeps to it.
            let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
            if exists(&session, &to).await? {
                return Err(taken());
            }
            match rename(&session, &from, &to).await {
                Ok(()) => Ok(()),
                Err(_) if !session.is_over() && exists(&session, &to).await? => Err(taken()),
                Err(error) => Err(error),
            }
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (below, name) = split(path)?;
        let path = self.shared.path(below, name);
        Handle::current().block_on(async {
            let session = self.shared.session().await?;
            remove(&session, &path).await
        })
    }

    fn write(&self, path: &str, from: &mut dyn Read) -> io::Result<()> {
        let (below, name) = split(path)?;
        let temporary = self.shared.path(below, &format!(".{name}.part"));
        let path = self.shared.path(below, name);
        Handle::current().block_on(async {
            let session = self.shared.session().await?;
            if let Some(below) = below {
                make(&session, &self.shared.folder(below)).await?;
            }
            // What an attempt before left is in the way, and may be a link.
            remove(&session, &temporary).await?;
            let mut ended = fill(&session, &temporary, from).await;
            if ended.is_ok() {
                ended = replace(&session, &temporary, &path).await;
            }
            if ended.is_err() && !session.is_over() {
                // It would only take up room; the error that counts is the first.
                if let Err(second) = remove(&session, &temporary).await {
                    tracing::debug!(error = %second, "a part of a file stays");
                }
            }
            ended
        })
    }

    fn describe(&self) -> String {
        let config = self.shared.config.load();
        let directory = config.directory.trim_matches('/');
        if directory.is_empty() {
            format!("sftp://{}", config.address())
        } else {
            format!("sftp://{}/{directory}", config.address())
        }
    }
}

/// Plain files of a directory that is open.
async fn entries(
    session: &Session,
    handle: &[u8],
    folder: &str,
    most: usize,
) -> io::Result<Vec<Entry>> {
    let (mut all, mut seen) = (Vec::new(), 0);
    while let Some(names) = session.names(handle).await? {
        seen += names.len();
        if names.is_empty() || seen > NAMES {
            break;
        }
        for (name, mut of) in names {
            let name = String::from_utf8(name.into()).ok();
            let Some(name) = name.filter(|name| is_name(name)) else {
                continue;
            };
            if of.is_plain().is_none() || of.size.is_none() || of.modified.is_none() {
                let path = format!("{folder}/{name}");
                // One that is gone meanwhile is not there.
                let Ok(told) = session.attributes(kind::LSTAT, path.as_bytes()).await else {
                    continue;
                };
                of = told;
            }
            if of.is_plain() == Some(true) {
                all.push(Entry {
                    name,
                    size: of.size.unwrap_or_default(),
                    modified: of.time(),
                });
            }
            if all.len() >= most {
                return Ok(all);
            }
        }
    }
    Ok(all)
}

/// Writes a file that is not there yet, many blocks at a time.
async fn fill(session: &Session, path: &str, from: &mut dyn Read) -> io::Result<()> {
    let of = Attributes {
        mode: Some(0o640),
        ..Attributes::default()
    };
    let flags = open::WRITE | open::CREATE | open::EXCLUSIVE;
    let handle = session
        .handle(|id| {
            Packet::new(kind::OPEN)
                .u32(id)
                .text(path)
                .u32(flags)
                .attributes(&of)
        })
        .await?;
    let depth = (AHEAD / session.write_block).max(1);
    let mut under_way: VecDeque<Pending> = VecDeque::with_capacity(depth);
    let (mut block, mut offset) = (vec![0; session.write_block], 0_u64);
    loop {
        let length = read_block(from, &mut block)?;
        if length == 0 {
            break;
        }
        if under_way.len() >= depth
            && let Some(oldest) = under_way.pop_front()
        {
            session.done(session.wait(oldest).await?)?;
        }
        let block = &block[..length];
        let sent = session
            .send(|id| {
                Packet::with_room(kind::WRITE, block.len() + handle.len() + 32)
                    .u32(id)
                    .text(&handle)
                    .u64(offset)
                    .text(block)
            })
            .await?;
        under_way.push_back(sent);
        offset += length as u64;
    }
    for one in under_way {
        session.done(session.wait(one).await?)?;
    }
    if session.syncs {
        session
            .order(|id| {
                Packet::new(kind::EXTENDED)
                    .u32(id)
                    .text("fsync@openssh.com")
                    .text(&handle)
            })
            .await?;
    }
    close(session, handle).await
}

/// Gives a file its name, in place of another.
async fn replace(session: &Session, from: &str, to: &str) -> io::Result<()> {
    if session.replaces {
        return session
            .order(|id| {
                Packet::new(kind::EXTENDED)
                    .u32(id)
                    .text("posix-rename@openssh.com")
                    .text(from)
                    .text(to)
            })
            .await;
    }
    match rename(session, from, to).await {
        Ok(()) => Ok(()),
        Err(error) if session.is_over() => Err(error),
        Err(error) => {
            // An attempt before this one may have written it.
            if !exists(session, to).await? {
                return Err(error);
            }
            remove(session, to).await?;
            rename(session, from, to).await
        }
    }
}

/// A block that was asked for.
struct Block {
    offset: u64,
    length: usize,
    pending: Pending,
}

/// A file that is being read, with many blocks asked for ahead.
struct Reading {
    shared: Arc<Shared>,
    session: Arc<Session>,
    /// `None` where there is nothing to close.
    handle: Option<Bytes>,
    path: String,
    of: Attributes,
    /// Where the next block that is asked for begins.
    asked: u64,
    /// Bytes that were given.
    given: u64,
    at_end: bool,
    under_way: VecDeque<Block>,
    current: Bytes,
    /// How often it was taken up again without getting on, and where that was.
    resumed: (u32, u64),
}

impl Reading {
    async fn ask(&self, offset: u64, length: usize) -> io::Result<Block> {
        let handle = self.handle.clone().unwrap_or_default();
        let pending = self
            .session
            .send(|id| {
                Packet::new(kind::READ)
                    .u32(id)
                    .text(&handle)
                    .u64(offset)
                    .u32(length as u32)
            })
            .await?;
        Ok(Block {
            offset,
            length,
            pending,
        })
    }

    /// Gets the next bytes; none at the end.
    async fn next(&mut self) -> io::Result<()> {
        let block = self.session.read_block;
        let depth = (AHEAD / block).max(1);
        // Behind its known size only one block is asked for: whether that is its end.
        let size = self.of.size.unwrap_or(u64::MAX);
        while self.under_way.len() < depth && (self.asked <= size || self.under_way.is_empty()) {
            let asked = self.ask(self.asked, block).await?;
            self.asked += block as u64;
            self.under_way.push_back(asked);
        }
        let Some(first) = self.under_way.pop_front() else {
            return Ok(());
        };
        let answer = self.session.wait(first.pending).await?;
        let Some(data) = self.session.data(answer, first.length)? else {
            self.at_end = true;
            self.under_way.clear();
            return Ok(());
        };
        if data.len() < first.length {
            // The rest of it comes before what was asked for behind it.
            let offset = first.offset + data.len() as u64;
            let rest = self.ask(offset, first.length - data.len()).await?;
            self.under_way.push_front(rest);
        }
        self.given += data.len() as u64;
        self.current = data;
        Ok(())
    }

    /// Goes on where it was, on another connection, if the file is still the same.
    async fn resume(&mut self, lost: io::Error) -> io::Result<()> {
        let times = match self.resumed {
            (times, at) if at == self.given => times + 1,
            _ => 1,
        };
        self.resumed = (times, self.given);
        if times > RESUMED {
            return Err(lost);
        }
        self.under_way.clear();
        self.handle = None;
        self.session = self.shared.session().await?;
        let (handle, of) = open_plain(&self.session, &self.path).await?;
        self.handle = Some(handle);
        if (of.size, of.modified) != (self.of.size, self.of.modified) {
            return Err(io::Error::other("the file changed while it was being read"));
        }
        tracing::debug!(at = self.given, "a file is taken up again");
        self.asked = self.given;
        Ok(())
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let runtime = Handle::current();
        while self.current.is_empty() && !self.at_end {
            match runtime.block_on(self.next()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    // The connection that it goes on with may be lost as well.
                    let mut lost = error;
                    while let Err(error) = runtime.block_on(self.resume(lost)) {
                        if error.kind() != io::ErrorKind::NotConnected || self.resumed.0 > RESUMED {
                            return Err(error);
                        }
                        lost = error;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let length = into.len().min(self.current.len());
        into[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // A handle that stays open costs the server one of few; nobody waits for it here.
        let Some(handle) = self.handle.take() else {
            return;
        };
        let session = Arc::clone(&self.session);
        if let Ok(runtime) = Handle::try_current()
            && !session.is_over()
        {
            runtime.spawn(async move {
                if let Err(error) = close(&session, handle).await {
                    tracing::debug!(%error, "a file on another machine was not closed");
                }
            });
        }
    }
}
