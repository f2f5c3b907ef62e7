//! A directory on this machine. Every step is taken from an open directory and follows no link,
//! so that whoever may put files here cannot lead us anywhere else, not even in between.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};

use super::directory::{Directory, Entry, is_name, split};

/// A directory on this machine.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// The directory; whoever runs this decides where it is, so links on the way to it are
    /// followed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn root(&self) -> io::Result<OwnedFd> {
        Ok(fs::open(&self.root, directory(), Mode::empty())?)
    }

    fn below(&self, below: Option<&str>) -> io::Result<OwnedFd> {
        let root = self.root()?;
        match below {
            None => Ok(root),
            Some(name) => Ok(fs::openat(
                root,
                name,
                directory() | OFlags::NOFOLLOW,
                Mode::empty(),
            )?),
        }
    }

    /// The same, made where it is not there.
    fn made(&self, below: Option<&str>) -> io::Result<OwnedFd> {
        if let Some(name) = below {
            match fs::mkdirat(self.root()?, name, Mode::from_raw_mode(0o750)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.below(below)
    }
}

const fn directory() -> OFlags {
    OFlags::RDONLY
        .union(OFlags::DIRECTORY)
        .union(OFlags::CLOEXEC)
}

/// A plain file that has no other name: a second one could be somebody else's file.
fn is_plain(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1
}

fn modified(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

impl Directory for Local {
    fn list(&self, below: &str, most: usize) -> io::Result<Vec<Entry>> {
        let below = (!below.is_empty()).then_some(below);
        let folder = match self.below(below) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound && below.is_some() => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mut all = Vec::new();
        for entry in fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().filter(|name| is_name(name)) else {
                continue;
            };
            let Ok(stat) = fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if is_plain(&stat) {
                all.push(Entry {
                    name: name.to_owned(),
                    size: u64::try_from(stat.st_size).unwrap_or_default(),
                    modified: modified(&stat),
                });
            }
            if all.len() >= most {
                break;
            }
        }
        Ok(all)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let (below, name) = split(path)?;
        // A pipe would block an open that waits for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(self.below(below)?, name, flags, Mode::empty())?;
        if !is_plain(&fs::fstat(&file)?) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no plain file",
            ));
        }
        Ok(Box::new(File::from(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_below, from), (to_below, to)) = (split(from)?, split(to)?);
        let (source, target) = (self.below(from_below)?, self.made(to_below)?);
        fs::renameat_with(&source, from, &target, to, RenameFlags::NOREPLACE)?;
        fs::fsync(&target)?;
        Ok(fs::fsync(&source)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (below, name) = split(path)?;
        let folder = self.below(below)?;
        match fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) => Ok(fs::fsync(&folder)?),
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, path: &str, from: &mut dyn Read) -> io::Result<()> {
        let (below, name) = split(path)?;
        let folder = self.made(below)?;
        let temporary = format!(".{name}.part");
        // What an attempt before left is in the way, and may be a link.
        match fs::unlinkat(&folder, &temporary, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&folder, &temporary, flags, Mode::from_raw_mode(0o640))?;
        let mut file = File::from(file);
        let written = io::copy(from, &mut file).and_then(|_| file.sync_all());
        if let Err(error) = written {
            // It would only take up room; the error that counts is the first.
            if let Err(second) = fs::unlinkat(&folder, &temporary, AtFlags::empty()) {
                tracing::debug!(error = %second, "a part of a file stays");
            }
            return Err(error);
        }
        fs::renameat(&folder, &temporary, &folder, name)?;
        Ok(fs::fsync(&folder)?)
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}
