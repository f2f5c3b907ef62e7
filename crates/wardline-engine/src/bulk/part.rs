//! Rows that wait for their file to be whole: sealed, page after page, in a file beside the
//! journal. How long it is says the journal; what lies behind that was not committed and is cut off.

use super::Trouble;
use crate::codes;
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_core::Sealed;
use wardline_tabular::{Column, Encoder, Format};
use wardline_vault::{Kind, Vault};

/// Bytes of one sealed page at most: more is no page of ours.
const MOST: u32 = 256 << 20;

/// Where the rows of one job wait.
#[derive(Clone)]
pub(super) struct Part {
    path: PathBuf,
    vault: Arc<Vault>,
}

fn unwritten(path: &Path, error: &io::Error) -> Trouble {
    Trouble::passing(
        codes::JOB_ROOM,
        format!("rows cannot be kept in {}: {error}", path.display()),
    )
}

impl Part {
    /// Of a job, below a directory of the server's own.
    pub(super) fn of(room: &Path, job: &str, vault: Arc<Vault>) -> Self {
        Self {
            path: room.join("jobs").join(format!("{job}.part")),
            vault,
        }
    }

    /// Adds rows behind so many bytes, cutting off what lies there; gives the new length, which is
    /// on stable storage. Blocks.
    pub(super) fn add(&self, length: u64, rows: &[u8]) -> Result<u64, Trouble> {
        let sealed = self
            .vault
            .seal(Kind::Record, rows)
            .map_err(|error| Trouble::passing(error.code(), error.to_string()))?;
        let bytes = sealed.as_sealed_bytes();
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if size > MOST {
            return Err(Trouble::lasting(
                codes::JOB_PAGE,
                "a page has too many bytes: ask for fewer records (`size`)",
            ));
        }
        let mut file = self.opened(length)?;
        let written = (|| {
            file.seek(SeekFrom::Start(length))?;
            file.write_all(&size.to_le_bytes())?;
            file.write_all(bytes)?;
            file.sync_data()
        })();
        written.map_err(|error| unwritten(&self.path, &error))?;
        Ok(length + 4 + u64::from(size))
    }

    /// The file with so many bytes, no more.
    fn opened(&self, length: u64) -> Result<File, Trouble> {
        let fail = |error: io::Error| unwritten(&self.path, &error);
        if let Some(folder) = self.path.parent() {
            let mut making = std::fs::DirBuilder::new();
            making.recursive(true).mode(0o700);
            making.create(folder).map_err(fail)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .map_err(fail)?;
        let there = file.metadata().map_err(fail)?.len();
        if there < length {
            return Err(Trouble::lasting(
                codes::JOB_ROOM,
                format!(
                    "{} has lost rows that the journal knows of: begin a new run",
                    self.path.display()
                ),
            ));
        }
        file.set_len(length).map_err(fail)?;
        Ok(file)
    }

    /// The file that so many bytes of rows make, to be read from its beginning.
    pub(super) fn whole(
        &self,
        length: u64,
        format: Format,
        columns: Arc<[Column]>,
    ) -> Result<Whole, Trouble> {
        let encoder = Encoder::new(format, columns)
            .map_err(|error| Trouble::lasting(codes::JOB_STUCK, error.to_string()))?;
        let pages: Box<dyn Read + Send> = if length == 0 {
            Box::new(io::empty())
        } else {
            let mut file = self.opened(length)?;
            file.seek(SeekFrom::Start(0))
                .map_err(|error| unwritten(&self.path, &error))?;
            Box::new(BufReader::new(file.take(length)))
        };
        Ok(Whole {
            pages,
            left: length,
            vault: Arc::clone(&self.vault),
            encoder: Some(encoder),
            ready: Vec::new(),
            at: 0,
            read: 0,
        })
    }

    /// Forgets all rows.
    pub(super) fn forget(&self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "rows of a job that ended stay");
            }
        }
    }
}

/// A file as it will be: made while it is read, so that it is never whole in memory.
pub(super) struct Whole {
    pages: Box<dyn Read + Send>,
    left: u64,
    vault: Arc<Vault>,
    encoder: Option<Encoder>,
    ready: Vec<u8>,
    at: usize,
    read: u64,
}

impl Whole {
    /// Bytes that were given.
    pub(super) const fn given(&self) -> u64 {
        self.read
    }

    /// Encodes the rows of the next page.
    fn page(&mut self) -> io::Result<()> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(());
        };
        if self.left == 0 {
            if let Some(encoder) = self.encoder.take() {
                encoder.finish(&mut self.ready);
            }
            return Ok(());
        }
        let mut size = [0; 4];
        self.pages.read_exact(&mut size)?;
        let size = u32::from_le_bytes(size);
        if size > MOST {
            return Err(io::Error::other("rows that were kept are damaged"));
        }
        let mut sealed = vec![0; size as usize];
        self.pages.read_exact(&mut sealed)?;
        self.left = self.left.saturating_sub(4 + u64::from(size));
        let sealed = Sealed::from_sealed_bytes(Bytes::from(sealed));
        let rows = self
            .vault
            .open_sealed(Kind::Record, &sealed)
            .map_err(io::Error::other)?;
        for line in rows.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)
                .map_err(|_| io::Error::other("rows that were kept are damaged"))?;
            encoder
                .row(&row, &mut self.ready)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Read for Whole {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            if self.encoder.is_none() {
                return Ok(0);
            }
            self.ready.clear();
            self.at = 0;
            self.page()?;
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        self.read += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_core::RealClock;

    #[test]
    fn what_was_not_committed_is_cut_off_and_nothing_is_in_the_clear() {
        let room = tempfile::tempdir().unwrap();
        let vault = Vault::ephemeral("here", Arc::new(RealClock)).unwrap();
        let part = Part::of(room.path(), "items", vault);
        let first = part.add(0, b"{\"a\":\"SECRET\"}\n").unwrap();
        part.add(first, b"{\"a\":\"twice\"}\n").unwrap();
        // Killed before the second was committed: it is read again.
        let second = part.add(first, b"{\"a\":\"b\"}\n{\"a\":\"c\"}\n").unwrap();
        let read = |length| {
            let columns: Arc<[Column]> = Arc::from([]);
            let mut whole = part.whole(length, Format::Ndjson, columns).unwrap();
            let mut text = String::new();
            whole.read_to_string(&mut text).unwrap();
            assert_eq!(whole.given(), text.len() as u64);
            text
        };
        assert_eq!(
            read(second),
            "{\"a\":\"SECRET\"}\n{\"a\":\"b\"}\n{\"a\":\"c\"}\n"
        );
        assert_eq!(read(0), "");
        let kept = std::fs::read(room.path().join("jobs/items.part")).unwrap();
        assert!(!kept.windows(6).any(|six| six == b"SECRET"));
        let lost = part.add(second + 1, b"{}\n").unwrap_err();
        assert!(lost.again.is_none(), "{lost:?}");
    }
}
