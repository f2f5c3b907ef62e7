//! Small private files of the data directory that others keep state in: token signing keys,
//! revocations. Written as the key ring is: whole or not at all, mode 0600, one writer.

use crate::VaultError;
use crate::durable::{self, Mode, Refusal};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file with mode 0600, read whole and replaced in one step.
///
/// ```
/// use wardline_vault::{PrivateFile, VaultError};
///
/// let dir = tempfile::tempdir().expect("a directory");
/// let file = PrivateFile::new(dir.path().join("state.json"), 1024);
/// let was = file.update(|before| Ok::<_, VaultError>((Some(b"two".to_vec()), before.map(<[u8]>::len))))?;
/// assert_eq!((was, &file.read()?.expect("written")[..]), (None, &b"two"[..]));
/// # Ok::<(), VaultError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateFile {
    path: PathBuf,
    limit: u64,
}

impl PrivateFile {
    /// A file that may be `limit` bytes long; it and its directory need not exist yet.
    pub fn new(path: impl Into<PathBuf>, limit: u64) -> Self {
        Self {
            path: path.into(),
            limit,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content; `None` where there is no such file yet.
    ///
    /// # Errors
    /// [`VaultError::Exposed`] when others may read it, [`VaultError::PrivateFile`] when it
    /// is too large or cannot be read.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match durable::read_private(&self.path, self.limit) {
            Ok(content) => Ok(Some(content)),
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(Refusal::Io(error)) => Err(self.failed("reading", &error.to_string())),
            Err(Refusal::TooLarge(limit)) => {
                Err(self.failed("reading", &format!("it is larger than {limit} bytes")))
            }
            Err(Refusal::Exposed(mode)) => Err(VaultError::Exposed {
                path: self.path.clone(),
                mode,
            }),
        }
    }

    /// Reads, changes and writes it while no other process can. `change` is given what is
    /// there and returns what is to be there (`None` leaves it as it is) beside a result for
    /// the caller; where it fails nothing is written.
    ///
    /// # Errors
    /// As [`PrivateFile::read`], what `change` returns, and [`VaultError::PrivateFile`] when
    /// it cannot be locked or written, or would be larger than its limit.
    pub fn update<T, E: From<VaultError>>(
        &self,
        change: impl FnOnce(Option<&[u8]>) -> Result<(Option<Vec<u8>>, T), E>,
    ) -> Result<T, E> {
        let lock = durable::lock(&self.path)
            .map_err(|error| self.failed("locking", &error.to_string()))?;
        let before = self.read()?;
        let (after, result) = change(before.as_deref().map(Vec::as_slice))?;
        if let Some(after) = after {
            let after = Zeroizing::new(after);
            if after.len() as u64 > self.limit {
                let reason = format!("it would be larger than {} bytes", self.limit);
                return Err(self.failed("writing", &reason).into());
            }
            durable::write(&self.path, &after, Mode::Replace)
                .map_err(|error| self.failed("writing", &error.to_string()))?;
        }
        drop(lock);
        Ok(result)
    }

    fn failed(&self, doing: &'static str, reason: &str) -> VaultError {
        VaultError::PrivateFile {
            doing,
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn private_files_are_private_bounded_and_unchanged_by_failure() {
        let dir = tempfile::tempdir().unwrap();
        let file = PrivateFile::new(dir.path().join("deep/state.json"), 8);
        assert_eq!(file.read().unwrap(), None);
        file.update(|before| {
            assert_eq!(before, None);
            Ok::<_, VaultError>((Some(b"first".to_vec()), ()))
        })
        .unwrap();
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let refused = file.update(|_| Err::<(Option<Vec<u8>>, ()), _>(VaultError::Randomness));
        assert!(matches!(refused, Err(VaultError::Randomness)));
        let large = file.update(|_| Ok::<_, VaultError>((Some(vec![b'x'; 9]), ())));
        assert!(matches!(large, Err(VaultError::PrivateFile { .. })));
        assert_eq!(&file.read().unwrap().unwrap()[..], b"first");

        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(file.read(), Err(VaultError::Exposed { .. })));
    }
}
