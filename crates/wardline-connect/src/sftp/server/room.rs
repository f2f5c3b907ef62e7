//! A partner's drop box: two directories, `in` where the partner puts files and `out` where it
//! fetches them, and nothing else, whatever a path says. Every step is taken from an open directory
//! and follows no link.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};

use crate::files::is_name;
use crate::sftp::wire::{Attributes, DIRECTORY, PLAIN};

/// How the name of what is under way begins and ends; what has a dot in front is taken by nobody.
const PART: (&str, &str) = (".wardline-", ".part");
/// What is under way for so long is what a crash left.
const LEFT: i64 = 24 * 3600;
/// Names of one directory that are looked at.
const NAMES: usize = 100_000;
/// Names of a listing: it is kept while it is told.
const LISTED: usize = 20_000;

/// One of the two directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    /// What the partner puts there is taken by us.
    In,
    /// What we put there is fetched by the partner.
    Out,
}

impl Folder {
    pub(super) const BOTH: [Self; 2] = [Self::In, Self::Out];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// What a path means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Folder(Folder),
    File(Folder, String),
}

impl Place {
    /// Reads a path as a person means it; `None` where nothing of ours is.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part if parts.len() < 8 => parts.push(part),
                _ => return None,
            }
        }
        let folder = |name: &str| Folder::BOTH.into_iter().find(|one| one.name() == name);
        match parts[..] {
            [] => Some(Self::Root),
            [one] => folder(one).map(Self::Folder),
            [one, name] if is_name(name) && !is_part(name) => {
                Some(Self::File(folder(one)?, name.to_owned()))
            }
            _ => None,
        }
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::Root => "/".into(),
            Self::Folder(folder) => format!("/{}", folder.name()),
            Self::File(folder, name) => format!("/{}/{name}", folder.name()),
        }
    }
}

fn is_part(name: &str) -> bool {
    name.starts_with(PART.0) && name.ends_with(PART.1)
}

/// Why something is not done.
#[derive(Debug)]
pub(super) enum Refusal {
    NotThere,
    NotAllowed(&'static str),
    Failed(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotThere,
            _ => Self::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// How much is in a box, counted by all who use it at the same time.
#[derive(Debug, Default)]
pub(super) struct Usage(Mutex<u64>);

/// A drop box.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) root: PathBuf,
    /// Bytes that may lie in `in`.
    pub(super) quota: u64,
    /// Files that may lie in `in`.
    pub(super) files: usize,
    pub(super) usage: Arc<Usage>,
}

/// A file that is being written. It gets its name when it is closed and whole.
#[derive(Debug)]
pub(super) struct Writing {
    file: File,
    folder: OwnedFd,
    /// Its name until then; `None` where it has its own already.
    temporary: Option<String>,
    pub(super) name: String,
    replaces: bool,
    appends: bool,
    size: u64,
    /// Something of it could not be written: it is not whole, whatever its writer says.
    broken: bool,
    room: Room,
}

fn is_plain(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1
}

fn told(stat: &Stat, mode: u32) -> Attributes {
    Attributes {
        size: u64::try_from(stat.st_size).ok(),
        mode: Some(mode),
        modified: u32::try_from(stat.st_mtime).ok(),
    }
}

const NONE: &str = "files lie in `in` and `out`";
const FULL: &str = "the box is full: what lies in `in` has to be taken first";

impl Room {
    /// Makes what is missing.
    pub(super) fn prepare(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.root)?;
        let root = self.open_root()?;
        for folder in Folder::BOTH {
            match fs::mkdirat(&root, folder.name(), Mode::from_raw_mode(0o750)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn open_root(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fs::open(&self.root, flags, Mode::empty())?)
    }

    fn folder(&self, folder: Folder) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(fs::openat(
            self.open_root()?,
            folder.name(),
            flags,
            Mode::empty(),
        )?)
    }

    pub(super) fn look(&self, place: &Place) -> Result<Attributes, Refusal> {
        match place {
            Place::Root => Ok(told(&fs::fstat(self.open_root()?)?, DIRECTORY | 0o550)),
            Place::Folder(folder) => {
                Ok(told(&fs::fstat(self.folder(*folder)?)?, DIRECTORY | 0o750))
            }
            Place::File(folder, name) => {
                let stat = fs::statat(
                    self.folder(*folder)?,
                    name.as_str(),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?;
                if is_plain(&stat) {
                    Ok(told(&stat, PLAIN | 0o640))
                } else {
                    Err(Refusal::NotThere)
                }
            }
        }
    }

    /// What lies at a place. Links and whatever is no plain file do not.
    pub(super) fn list(&self, place: &Place) -> Result<Vec<(String, Attributes)>, Refusal> {
        match place {
            Place::File(..) => Err(Refusal::NotThere),
            Place::Root => Folder::BOTH
                .into_iter()
                .map(|one| Ok((one.name().to_owned(), self.look(&Place::Folder(one))?)))
                .collect(),
            Place::Folder(folder) => {
                let mut all = Vec::new();
                Self::each(&self.folder(*folder)?, |name, stat| {
                    if !is_part(name) && all.len() < LISTED {
                        all.push((name.to_owned(), told(stat, PLAIN | 0o640)));
                    }
                })?;
                Ok(all)
            }
        }
    }

    fn each(folder: &OwnedFd, mut see: impl FnMut(&str, &Stat)) -> io::Result<()> {
        for entry in fs::Dir::read_from(folder)?.take(NAMES) {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().filter(|name| is_name(name)) else {
                continue;
            };
            if let Ok(stat) = fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                && is_plain(&stat)
            {
                see(name, &stat);
            }
        }
        Ok(())
    }

    /// Opens a file of `out` to be read.
    pub(super) fn read(&self, place: &Place) -> Result<File, Refusal> {
        let Place::File(folder, name) = place else {
            return Err(Refusal::NotAllowed(NONE));
        };
        if *folder == Folder::In {
            return Err(Refusal::NotAllowed("what lies in `in` is not given back"));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(self.folder(*folder)?, name.as_str(), flags, Mode::empty())
            .map_err(links_are_nothing)?;
        if !is_plain(&fs::fstat(&file)?) {
            return Err(Refusal::NotThere);
        }
        Ok(File::from(file))
    }

    /// Begins to write a file of `in`.
    pub(super) fn write(&self, place: &Place, how: How, label: &str) -> Result<Writing, Refusal> {
        let Place::File(Folder::In, name) = place else {
            return Err(Refusal::NotAllowed("files are put into `in`"));
        };
        let folder = self.folder(Folder::In)?;
        let (mut used, mut count, mut left) = (0, 0, Vec::new());
        let now = jiff::Timestamp::now().as_second();
        Self::each(&folder, |name, stat| {
            if is_part(name) && now - stat.st_mtime > LEFT {
                left.push(name.to_owned());
                return;
            }
            used += u64::try_from(stat.st_size).unwrap_or_default();
            count += 1;
        })?;
        for name in left {
            fs::unlinkat(&folder, name.as_str(), AtFlags::empty())?;
        }
        *self.usage.0.lock() = used;
        let there = match fs::statat(&folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_plain(&stat) => true,
            Ok(_) => return Err(Refusal::NotAllowed("something of this name is there")),
            Err(rustix::io::Errno::NOENT) => false,
            Err(error) => return Err(error.into()),
        };
        if there && how.exclusive {
            return Err(Refusal::Failed("a file of this name is there"));
        }
        if !there && !how.create {
            return Err(Refusal::NotThere);
        }
        if count >= self.files || used >= self.quota {
            return Err(Refusal::Failed(FULL));
        }
        // One that is added to is written where it is; any other is there when it is whole.
        let in_place = there && !how.truncate;
        let temporary = (!in_place).then(|| format!("{}{label}{}", PART.0, PART.1));
        let mut flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if temporary.is_some() {
            flags |= OFlags::CREATE | OFlags::EXCL;
        }
        let opened = temporary.as_deref().unwrap_or(name);
        let file = fs::openat(&folder, opened, flags, Mode::from_raw_mode(0o640))
            .map_err(links_are_nothing)?;
        let stat = fs::fstat(&file)?;
        if !is_plain(&stat) {
            return Err(Refusal::NotThere);
        }
        Ok(Writing {
            file: File::from(file),
            folder,
            temporary,
            name: name.clone(),
            replaces: !how.exclusive,
            appends: how.append,
            broken: false,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            room: self.clone(),
        })
    }

    pub(super) fn remove(&self, place: &Place) -> Result<(), Refusal> {
        let Place::File(folder, name) = place else {
            return Err(Refusal::NotAllowed(NONE));
        };
        self.look(place)?;
        let folder = self.folder(*folder)?;
        fs::unlinkat(&folder, name.as_str(), AtFlags::empty())?;
        Ok(fs::fsync(&folder)?)
    }

    /// Gives a file of `in` another name that nobody has.
    pub(super) fn rename(&self, from: &Place, to: &Place) -> Result<(), Refusal> {
        let (Place::File(Folder::In, old), Place::File(Folder::In, new)) = (from, to) else {
            return Err(Refusal::NotAllowed("files are renamed within `in`"));
        };
        self.look(from)?;
        let folder = self.folder(Folder::In)?;
        let renamed = fs::renameat_with(
            &folder,
            old.as_str(),
            &folder,
            new.as_str(),
            RenameFlags::NOREPLACE,
        );
        match renamed {
            Ok(()) => Ok(fs::fsync(&folder)?),
            Err(rustix::io::Errno::EXIST) => Err(Refusal::Failed("a file of this name is there")),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is opened through a link is not there.
fn links_are_nothing(error: rustix::io::Errno) -> Refusal {
    match error {
        rustix::io::Errno::LOOP => Refusal::NotThere,
        other => other.into(),
    }
}

/// How a file is to be written.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "as the protocol says it")]
pub(super) struct How {
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    pub(super) append: bool,
}

impl Writing {
    /// Takes room for what a file grows by.
    fn grow(&mut self, size: u64) -> Result<(), Refusal> {
        let more = size.saturating_sub(self.size);
        let mut used = self.room.usage.0.lock();
        if used.saturating_add(more) > self.room.quota {
            return Err(Refusal::Failed(FULL));
        }
        *used += more;
        self.size = self.size.max(size);
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let written = self.put(offset, bytes);
        self.broken |= written.is_err();
        written
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let offset = if self.appends { self.size } else { offset };
        let end = offset.checked_add(bytes.len() as u64);
        self.grow(end.ok_or(Refusal::Failed(FULL))?)?;
        Ok(self.file.write_all_at(bytes, offset)?)
    }

    pub(super) fn resize(&mut self, size: u64) -> Result<(), Refusal> {
        self.grow(size)?;
        self.file.set_len(size)?;
        self.size = size;
        Ok(())
    }

    pub(super) fn attributes(&self) -> Result<Attributes, Refusal> {
        Ok(told(&fs::fstat(&self.file)?, PLAIN | 0o640))
    }

    pub(super) fn sync(&mut self) -> Result<(), Refusal> {
        self.file.flush()?;
        Ok(self.file.sync_all()?)
    }

    /// Makes it durable and gives it its name. Gives its size.
    pub(super) fn close(mut self) -> Result<u64, Refusal> {
        if self.broken {
            return Err(Refusal::Failed("it is not whole"));
        }
        self.sync()?;
        if let Some(temporary) = self.temporary.take() {
            let named = if self.replaces {
                fs::renameat(
                    &self.folder,
                    temporary.as_str(),
                    &self.folder,
                    self.name.as_str(),
                )
            } else {
                fs::renameat_with(
                    &self.folder,
                    temporary.as_str(),
                    &self.folder,
                    self.name.as_str(),
                    RenameFlags::NOREPLACE,
                )
            };
            if let Err(error) = named {
                self.temporary = Some(temporary);
                return Err(error.into());
            }
        }
        fs::fsync(&self.folder)?;
        Ok(self.size)
    }
}

impl Drop for Writing {
    /// What was not closed is not whole: nothing of it stays.
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = fs::unlinkat(&self.folder, temporary.as_str(), AtFlags::empty())
        {
            tracing::debug!(%error, "a part of a file stays in a drop box");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_elsewhere() {
        let file = |name: &str| Some(Place::File(Folder::In, name.to_owned()));
        for (path, expected) in [
            ("", Some(Place::Root)),
            (".", Some(Place::Root)),
            ("/", Some(Place::Root)),
            ("../../..", Some(Place::Root)),
            ("in", Some(Place::Folder(Folder::In))),
            ("/out/", Some(Place::Folder(Folder::Out))),
            ("in/a.csv", file("a.csv")),
            ("/out/../in/./a.csv", file("a.csv")),
            ("../../in/a.csv", file("a.csv")),
            ("/etc/passwd", None),
            ("/in/../../etc/passwd", None),
            ("archive", None),
            ("in/a/b", None),
            ("in/a\\b", None),
            ("in/a\0b", None),
            ("in/a\nb", None),
            ("in/.wardline-1.part", None),
            ("in/.a.part", file(".a.part")),
            (&"a/".repeat(5000), None),
        ] {
            assert_eq!(Place::of(path), expected, "{path:?}");
        }
    }
}
