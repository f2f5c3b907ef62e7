//! Master keys in a directory, one file each: the default, and enough for one machine.

use super::{KeyProvider, MasterKey, WrappedKey, fresh_key, unwrap_with};
use crate::VaultError;
use crate::durable::{self, Mode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const PREFIX: &str = "master-";
const SUFFIX: &str = ".key";
/// A key file is 45 bytes; anything much larger is not one.
const MAX_FILE: u64 = 1024;

/// Master keys in `DIR/master-0001.key`, `master-0002.key`, … (mode 0600, base64). The
/// highest number wraps; all of them unwrap. Keep a copy of the directory apart from the
/// backups of the data: whoever has both can read everything.
#[derive(Debug)]
pub struct FileProvider {
    /// Oldest first; never empty.
    keys: Vec<MasterKey>,
}

/// What [`FileProvider::init`] and [`FileProvider::rotate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The file of the newest master key.
    pub file: PathBuf,
    /// Its id, as `keyring.json` names it.
    pub id: String,
    /// Whether it was made just now.
    pub created: bool,
}

impl FileProvider {
    /// Reads the master keys of a directory.
    ///
    /// # Errors
    /// [`VaultError::NoMasterKey`] when there is none, [`VaultError::Exposed`] when a file
    /// can be read by others, [`VaultError::MasterKeyMalformed`] or
    /// [`VaultError::MasterKeyFile`] when one is unreadable.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        let files = key_files(dir)?;
        let keys = files
            .iter()
            .map(|(_, path)| read_key(path))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(VaultError::NoMasterKey {
                place: dir.display().to_string(),
            });
        }
        Ok(Self { keys })
    }

    /// Makes the directory (mode 0700) and its first master key, unless there is one.
    ///
    /// # Errors
    /// As [`FileProvider::open`]; [`VaultError::MasterKeyFile`] when it cannot be written.
    pub fn init(dir: &Path) -> Result<Initialised, VaultError> {
        match key_files(dir)?.pop() {
            Some((_, file)) => {
                let id = read_key(&file)?.id().to_owned();
                Ok(Initialised {
                    file,
                    id,
                    created: false,
                })
            }
            None => create(dir, 1),
        }
    }

    /// Adds a master key, which wraps from the next start on. `Vault::rewrap` then moves
    /// the ring to it, after which the older files may be removed.
    ///
    /// # Errors
    /// [`VaultError::NoMasterKey`] when there is nothing to rotate, and as [`FileProvider::init`].
    pub fn rotate(dir: &Path) -> Result<Initialised, VaultError> {
        match key_files(dir)?.pop() {
            Some((number, _)) => create(dir, number + 1),
            None => Err(VaultError::NoMasterKey {
                place: dir.display().to_string(),
            }),
        }
    }

    fn newest_key(&self) -> &MasterKey {
        self.keys.last().expect("open() refuses an empty directory")
    }
}

impl KeyProvider for FileProvider {
    fn name(&self) -> &'static str {
        "file"
    }

    fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<WrappedKey, VaultError> {
        self.newest_key().wrap(purpose, key)
    }

    fn unwrap(
        &self,
        purpose: &str,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        unwrap_with(self.keys.iter().rev(), self.name(), purpose, wrapped)
    }

    fn newest(&self) -> &str {
        self.newest_key().id()
    }
}

/// The key files of a directory with their numbers, lowest first. A directory that does not
/// exist has none.
fn key_files(dir: &Path) -> Result<Vec<(u32, PathBuf)>, VaultError> {
    let failed = |reason: std::io::Error| VaultError::MasterKeyFile {
        doing: "listing the master keys in",
        path: dir.to_owned(),
        reason: reason.to_string(),
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
            .and_then(|digits| digits.parse::<u32>().ok());
        if let Some(number) = number {
            files.push((number, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

fn read_key(path: &Path) -> Result<MasterKey, VaultError> {
    let text = durable::read_private(path, MAX_FILE)
        .map_err(|refusal| refusal.into_error(path, "reading the master key"))?;
    std::str::from_utf8(&text)
        .ok()
        .and_then(MasterKey::from_base64)
        .ok_or_else(|| VaultError::MasterKeyMalformed {
            place: path.display().to_string(),
        })
}

fn create(dir: &Path, number: u32) -> Result<Initialised, VaultError> {
    let file = dir.join(format!("{PREFIX}{number:04}{SUFFIX}"));
    let key = MasterKey::new(fresh_key()?);
    let mut text = Zeroizing::new(STANDARD.encode(key.bytes.as_slice()));
    text.push('\n');
    durable::create_private_dir(dir)
        .and_then(|()| durable::write(&file, text.as_bytes(), Mode::New))
        .map_err(|error| VaultError::MasterKeyFile {
            doing: "writing the master key",
            path: file.clone(),
            reason: error.to_string(),
        })?;
    Ok(Initialised {
        file,
        id: key.id().to_owned(),
        created: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn init_creates_once_and_rotate_adds() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("keys");
        assert!(matches!(
            FileProvider::open(&dir),
            Err(VaultError::NoMasterKey { .. })
        ));
        let first = FileProvider::init(&dir).unwrap();
        assert!(first.created);
        assert_eq!(
            FileProvider::init(&dir).unwrap(),
            Initialised {
                created: false,
                ..first.clone()
            }
        );

        let wrapped = FileProvider::open(&dir)
            .unwrap()
            .wrap("p", &[7; 32])
            .unwrap();
        let second = FileProvider::rotate(&dir).unwrap();
        let provider = FileProvider::open(&dir).unwrap();
        assert_eq!(provider.newest(), second.id);
        assert_ne!(first.id, second.id);
        assert_eq!(*provider.unwrap("p", &wrapped).unwrap(), [7; 32]);

        std::fs::remove_file(first.file).unwrap();
        let error = FileProvider::open(&dir)
            .unwrap()
            .unwrap("p", &wrapped)
            .unwrap_err();
        assert!(
            matches!(error, VaultError::UnknownMasterKey { .. }),
            "{error}"
        );
    }

    #[test]
    fn files_are_private_and_exposed_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let made = FileProvider::init(&keys).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&made.file)), (0o700, 0o600));
        std::fs::set_permissions(&made.file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            FileProvider::open(&keys),
            Err(VaultError::Exposed { mode: 0o640, .. })
        ));
    }

    #[test]
    fn a_damaged_file_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = FileProvider::init(dir.path()).unwrap();
        std::fs::write(&made.file, "correct horse battery staple").unwrap();
        let error = FileProvider::open(dir.path()).unwrap_err();
        assert!(matches!(error, VaultError::MasterKeyMalformed { .. }));
        assert!(!error.to_string().contains("horse"));
    }
}
