//! What is asked over one SFTP channel, answered one after the other on a thread that may block.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::room::{How, Place, Refusal, Room, Writing};
use super::{Event, What};
use crate::sftp::wire::{
    self, Attributes, BLOCK, Cutter, Fields, LARGEST, Malformed, PLAIN, Packet, kind, open, status,
};

/// Files and listings that are open at the same time.
const OPEN: usize = 64;
/// Of these, listings: they are kept in memory while they are told.
const LISTINGS: usize = 4;
/// Names of one answer.
const NAMES: usize = 100;
/// Bytes of one read or write.
const MOST: usize = LARGEST - (1 << 10);
/// Answers that are sent together.
const TOGETHER: usize = 2 * BLOCK;

/// Something that is open.
enum Opened {
    Reading { file: File, name: String, read: u64 },
    Writing(Writing),
    Listing(std::vec::IntoIter<(String, Attributes)>),
}

/// One channel.
pub(super) struct Desk {
    pub(super) room: Room,
    /// A number that no other channel has.
    pub(super) number: u64,
    pub(super) idle: Duration,
    pub(super) stop: CancellationToken,
    pub(super) tell: Arc<dyn Fn(What) -> Event + Send + Sync>,
    pub(super) sink: super::Sink,
}

impl Desk {
    /// Answers until the channel ends.
    pub(super) fn serve(self, channel: Channel<Msg>) {
        let runtime = Handle::current();
        let (mut input, out) = channel.split();
        let mut cutter = Cutter::default();
        let mut talk = Talk {
            desk: &self,
            opened: HashMap::new(),
            next: 0,
        };
        loop {
            let message = runtime.block_on(async {
                tokio::select! {
                    message = input.wait() => message,
                    () = tokio::time::sleep(self.idle) => None,
                    () = self.stop.cancelled() => None,
                }
            });
            let data = match message {
                Some(ChannelMsg::Data { data }) => data,
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => break,
                Some(_) => continue,
            };
            cutter.push(&data);
            let mut answers = BytesMut::new();
            let ended = loop {
                let answered = match cutter.next() {
                    Ok(Some(asked)) => talk.answer(asked),
                    Ok(None) => break false,
                    Err(Malformed) => break true,
                };
                let Ok(answer) = answered else { break true };
                answers.extend_from_slice(&answer);
                if answers.len() >= TOGETHER && !self.send(&runtime, &out, &mut answers) {
                    break true;
                }
            };
            if !self.send(&runtime, &out, &mut answers) || ended {
                break;
            }
        }
        // What is still being written is not whole, and goes.
        drop(talk);
        let goodbye = runtime.block_on(async {
            out.exit_status(0).await?;
            out.close().await
        });
        if let Err(error) = goodbye {
            tracing::debug!(%error, "an SFTP channel was gone already");
        }
    }

    fn send(
        &self,
        runtime: &Handle,
        out: &russh::ChannelWriteHalf<Msg>,
        answers: &mut BytesMut,
    ) -> bool {
        if answers.is_empty() {
            return true;
        }
        let answers = answers.split().freeze();
        runtime.block_on(async {
            tokio::select! {
                sent = out.data_bytes(answers) => sent.is_ok(),
                () = tokio::time::sleep(self.idle) => false,
                () = self.stop.cancelled() => false,
            }
        })
    }
}

struct Talk<'d> {
    desk: &'d Desk,
    opened: HashMap<u32, Opened>,
    next: u32,
}

fn ended(id: u32, code: u32, text: &str) -> Packet {
    Packet::new(kind::STATUS)
        .u32(id)
        .u32(code)
        .text(text)
        .text("en")
}

fn refused(id: u32, refusal: &Refusal) -> Packet {
    match refusal {
        Refusal::NotThere => ended(id, status::NO_SUCH_FILE, "nothing of this name is there"),
        Refusal::NotAllowed(why) => ended(id, status::PERMISSION_DENIED, why),
        Refusal::Failed(why) => ended(id, status::FAILURE, why),
        Refusal::Io(error) => {
            // What the system says is ours to know.
            tracing::warn!(%error, "a file of a drop box could not be served");
            ended(id, status::FAILURE, "it could not be done here")
        }
    }
}

impl Talk<'_> {
    fn answer(&mut self, mut asked: Fields) -> Result<Bytes, Malformed> {
        let kind = asked.u8()?;
        if kind == kind::INIT {
            return Ok(Packet::new(kind::VERSION)
                .u32(wire::VERSION)
                .text("limits@openssh.com")
                .text("1")
                .text("fsync@openssh.com")
                .text("1")
                .finish());
        }
        let id = asked.u32()?;
        let packet = match self.act(kind, id, asked)? {
            Ok(packet) => packet,
            Err(refusal) => refused(id, &refusal),
        };
        Ok(packet.finish())
    }

    fn tell(&self, what: What) {
        (self.desk.sink)((self.desk.tell)(what));
    }

    fn act(
        &mut self,
        what: u8,
        id: u32,
        mut asked: Fields,
    ) -> Result<Result<Packet, Refusal>, Malformed> {
        let done = || ended(id, status::OK, "");
        let room = &self.desk.room;
        Ok(match what {
            kind::REALPATH => {
                let path = asked.text()?;
                let shown = Place::of(&path).map_or(path, |place| place.path());
                Ok(Packet::new(kind::NAME)
                    .u32(id)
                    .u32(1)
                    .text(&shown)
                    .text(&shown)
                    .attributes(&Attributes::default()))
            }
            kind::LSTAT | kind::STAT => place(&asked.text()?)
                .and_then(|place| room.look(&place))
                .map(|of| Packet::new(kind::ATTRS).u32(id).attributes(&of)),
            kind::FSTAT => {
                let handle = handle(&mut asked)?;
                match self.opened.get(&handle) {
                    Some(Opened::Writing(writing)) => writing.attributes(),
                    Some(Opened::Reading { file, .. }) => {
                        file.metadata().map_err(Refusal::from).map(|of| Attributes {
                            size: Some(of.len()),
                            mode: Some(PLAIN | 0o640),
                            modified: None,
                        })
                    }
                    _ => Err(Refusal::Failed(NO_HANDLE)),
                }
                .map(|of| Packet::new(kind::ATTRS).u32(id).attributes(&of))
            }
            // Times and permissions are ours; clients that set them go on.
            kind::SETSTAT => {
                let path = asked.text()?;
                let of = asked.attributes()?;
                place(&path).and_then(|place| {
                    room.look(&place)?;
                    match of.size {
                        Some(_) => Err(Refusal::NotAllowed("write the file anew")),
                        None => Ok(done()),
                    }
                })
            }
            kind::FSETSTAT => {
                let handle = handle(&mut asked)?;
                let of = asked.attributes()?;
                match (self.opened.get_mut(&handle), of.size) {
                    (Some(Opened::Writing(writing)), Some(size)) => {
                        writing.resize(size).map(|()| done())
                    }
                    (Some(_), None) => Ok(done()),
                    _ => Err(Refusal::Failed(NO_HANDLE)),
                }
            }
            kind::OPEN => {
                let path = asked.text()?;
                let flags = asked.u32()?;
                asked.attributes()?;
                self.open(&path, flags)
                    .and_then(|opened| self.keep(id, opened))
            }
            kind::OPENDIR => {
                let path = asked.text()?;
                place(&path)
                    .and_then(|place| room.list(&place))
                    .and_then(|all| self.keep(id, Opened::Listing(all.into_iter())))
            }
            kind::READDIR => {
                let handle = handle(&mut asked)?;
                match self.opened.get_mut(&handle) {
                    Some(Opened::Listing(rest)) => Ok(names(id, rest)),
                    _ => Err(Refusal::Failed(NO_HANDLE)),
                }
            }
            kind::READ => {
                let handle = handle(&mut asked)?;
                let (offset, length) = (asked.u64()?, asked.u32()?);
                self.read(id, handle, offset, length)
            }
            kind::WRITE => {
                let handle = handle(&mut asked)?;
                let offset = asked.u64()?;
                let bytes = asked.bytes()?;
                match self.opened.get_mut(&handle) {
                    Some(Opened::Writing(writing)) => {
                        writing.write(offset, &bytes).map(|()| done())
                    }
                    _ => Err(Refusal::Failed(NO_HANDLE)),
                }
            }
            kind::CLOSE => {
                let handle = handle(&mut asked)?;
                self.close(handle).map(|()| done())
            }
            kind::REMOVE => {
                let path = asked.text()?;
                place(&path).and_then(|place| {
                    room.remove(&place)?;
                    self.tell(What::Removed(place.path()));
                    Ok(done())
                })
            }
            kind::RENAME => {
                let (from, to) = (asked.text()?, asked.text()?);
                place(&from).and_then(|from| {
                    let to = place(&to)?;
                    room.rename(&from, &to)?;
                    self.tell(What::Renamed(from.path(), to.path()));
                    Ok(done())
                })
            }
            kind::MKDIR => Err(Refusal::NotAllowed("a box has `in` and `out`")),
            kind::EXTENDED => match asked.text()?.as_str() {
                "limits@openssh.com" => Ok(Packet::new(kind::EXTENDED + 1)
                    .u32(id)
                    .u64(LARGEST as u64)
                    .u64(MOST as u64)
                    .u64(MOST as u64)
                    .u64(OPEN as u64)),
                "fsync@openssh.com" => {
                    let handle = handle(&mut asked)?;
                    match self.opened.get_mut(&handle) {
                        Some(Opened::Writing(writing)) => writing.sync().map(|()| done()),
                        _ => Err(Refusal::Failed(NO_HANDLE)),
                    }
                }
                _ => Ok(ended(id, status::UNSUPPORTED, "that is not offered")),
            },
            _ => Ok(ended(id, status::UNSUPPORTED, "that is not offered")),
        })
    }

    fn open(&self, path: &str, flags: u32) -> Result<Opened, Refusal> {
        let place = place(path)?;
        let has = |flag: u32| flags & flag != 0;
        if has(open::WRITE) || has(open::APPEND) {
            let how = How {
                create: has(open::CREATE),
                exclusive: has(open::EXCLUSIVE),
                truncate: has(open::TRUNCATE),
                append: has(open::APPEND),
            };
            // Two that are open at the same time have names of their own.
            let label = format!("{:016x}-{:x}", self.desk.number, self.next);
            return self
                .desk
                .room
                .write(&place, how, &label)
                .map(Opened::Writing);
        }
        let file = self.desk.room.read(&place)?;
        Ok(Opened::Reading {
            file,
            name: place.path(),
            read: 0,
        })
    }

    fn keep(&mut self, id: u32, opened: Opened) -> Result<Packet, Refusal> {
        let listing = |one: &Opened| matches!(one, Opened::Listing(_));
        let listings = self.opened.values().filter(|one| listing(one)).count();
        if self.opened.len() >= OPEN || (listing(&opened) && listings >= LISTINGS) {
            return Err(Refusal::Failed("too many files are open"));
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.opened.insert(handle, opened);
        Ok(Packet::new(kind::HANDLE).u32(id).text(handle.to_be_bytes()))
    }

    fn read(&mut self, id: u32, handle: u32, offset: u64, length: u32) -> Result<Packet, Refusal> {
        let Some(Opened::Reading { file, read, .. }) = self.opened.get_mut(&handle) else {
            return Err(Refusal::Failed(NO_HANDLE));
        };
        let mut bytes = vec![0; (length as usize).min(MOST)];
        let got = file.read_at(&mut bytes, offset)?;
        if got == 0 {
            return Ok(ended(id, status::EOF, ""));
        }
        *read += got as u64;
        Ok(Packet::with_room(kind::DATA, got + 16)
            .u32(id)
            .text(&bytes[..got]))
    }

    fn close(&mut self, handle: u32) -> Result<(), Refusal> {
        match self.opened.remove(&handle) {
            Some(Opened::Writing(writing)) => {
                let name = format!("/in/{}", writing.name);
                let size = writing.close()?;
                self.tell(What::Stored(name, size));
                Ok(())
            }
            Some(Opened::Reading { name, read, .. }) => {
                self.tell(What::Fetched(name, read));
                Ok(())
            }
            Some(Opened::Listing(_)) => Ok(()),
            None => Err(Refusal::Failed(NO_HANDLE)),
        }
    }
}

const NO_HANDLE: &str = "nothing of this handle is open";

fn place(path: &str) -> Result<Place, Refusal> {
    Place::of(path).ok_or(Refusal::NotThere)
}

fn handle(asked: &mut Fields) -> Result<u32, Malformed> {
    // One that is none of ours is none that is open.
    let bytes = asked.bytes()?;
    Ok(<[u8; 4]>::try_from(&bytes[..]).map_or(u32::MAX, u32::from_be_bytes))
}

fn names(id: u32, rest: &mut std::vec::IntoIter<(String, Attributes)>) -> Packet {
    let some: Vec<_> = rest.take(NAMES).collect();
    if some.is_empty() {
        return ended(id, status::EOF, "");
    }
    let packet = Packet::with_room(kind::NAME, some.len() * 200)
        .u32(id)
        .u32(some.len() as u32);
    some.iter().fold(packet, |packet, (name, of)| {
        packet.text(name).text(long(name, of)).attributes(of)
    })
}

/// As `ls -l` shows it, for clients that show just that.
fn long(name: &str, of: &Attributes) -> String {
    let mode = if of.is_directory() {
        "drwxr-x---"
    } else {
        "-rw-r-----"
    };
    let time = jiff::Timestamp::from_second(of.modified.unwrap_or_default().into());
    let time = time.map_or_else(
        |_| String::new(),
        |time| time.strftime("%b %d %H:%M").to_string(),
    );
    let size = of.size.unwrap_or_default();
    format!("{mode}    1 box      box      {size:>12} {time:>12} {name}")
}
