//! Private files that are whole or not there: how keys and the key ring reach the disk.

use crate::VaultError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Whether a file may already be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It must not: an existing key is never written over.
    New,
    /// It is replaced in one step.
    Replace,
}

/// Writes a file with mode 0600 so that after a power cut either the whole of it is there
/// or what was there before: temporary file, fsync, rename, fsync of the directory.
pub(crate) fn write(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let parent = parent(path);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = parent.join(name);
    let written = (|| {
        // A crashed predecessor with our process id may have left one.
        remove_if_present(&temporary)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        match mode {
            Mode::Replace => std::fs::rename(&temporary, path),
            // Unlike a rename, a link fails where the name is taken.
            Mode::New => {
                std::fs::hard_link(&temporary, path).and_then(|()| std::fs::remove_file(&temporary))
            }
        }?;
        File::open(&parent)?.sync_all()
    })();
    if written.is_err() {
        // The first error is the one to report; a leftover is removed by the next write.
        remove_if_present(&temporary).ok();
    }
    written
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The directory a file lies in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a directory and its parents with mode 0700; fine where it exists.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Waits until no other process changes the file; the lock, `FILE.lock` beside it, is
/// released when what is returned is dropped or the process ends.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    create_private_dir(&parent(path))?;
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Why a private file was not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The system said no.
    Io(io::Error),
    /// Others may read it.
    Exposed(u32),
    /// It is larger than anything it could be.
    TooLarge(u64),
}

impl Refusal {
    pub(crate) fn into_error(self, path: &Path, doing: &'static str) -> VaultError {
        let reason = match self {
            Self::Exposed(mode) => {
                return VaultError::Exposed {
                    path: path.to_owned(),
                    mode,
                };
            }
            Self::Io(error) => error.to_string(),
            Self::TooLarge(limit) => format!("it is larger than {limit} bytes"),
        };
        VaultError::MasterKeyFile {
            doing,
            path: path.to_owned(),
            reason,
        }
    }
}

/// Reads a file that only its owner may read. The mode is checked on the open file, so that
/// it cannot be exchanged between the check and the reading.
pub(crate) fn read_private(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let file = File::open(path).map_err(Refusal::Io)?;
    let metadata = file.metadata().map_err(Refusal::Io)?;
    if !metadata.is_file() {
        return Err(Refusal::Io(io::Error::other("it is not a regular file")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Refusal::Exposed(mode));
    }
    if metadata.len() > limit {
        return Err(Refusal::TooLarge(limit));
    }
    // Full capacity at once: growing would leave unwiped copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(limit as usize + 1));
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(Refusal::Io)?;
    if content.len() as u64 > limit {
        return Err(Refusal::TooLarge(limit));
    }
    Ok(content)
}
