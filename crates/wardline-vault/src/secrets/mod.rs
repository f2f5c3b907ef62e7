//! Secrets of others: passwords, private keys and tokens that the estate refers to.
//!
//! Files of the estate hold references (`secret:erp/ws`), never values. The first of these
//! that has one gives its value:
//!
//! 1. the environment (`WARDLINE_SECRET_ERP_WS`): platforms that inject secrets do so on purpose
//! 2. a file of the secrets directory, plain (`secrets/erp/ws`, mode 0600)
//! 3. the same, encrypted with age (`secrets/erp/ws.age`)
//! 4. one file for many, encrypted with age (`secrets.age`)
//! 5. Vault or OpenBao, where the estate names one
//!
//! A running server reads them again every few seconds ([`Secrets::refresh`]). What is used
//! then changes by itself, and the value before is accepted of callers for a while, so that
//! both sides of a credential need not change in the same second.

pub(crate) mod age;
mod bundle;
mod live;
mod reference;

pub use live::SecretEvent;
pub use reference::{Secret, SecretRef};

use crate::VaultError;
use crate::durable::{self, Refusal};
use crate::remote::VaultKv;
use age::{AgeIdentity, AgeRecipient};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Certificate chains with their keys fit; anything larger is not a secret.
const MAX_SECRET: u64 = 256 << 10;
/// All of an estate's secrets in one file.
const MAX_BUNDLE: u64 = 4 << 20;
/// How long the value before is accepted of callers, where the estate says nothing.
const OVERLAP: Duration = Duration::from_hours(1);

type Lookup = dyn Fn(&str) -> Option<Zeroizing<Vec<u8>>> + Send + Sync;

/// Where secrets come from, and what those in use are now. Cheap to clone; all clones see the
/// same values.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    environment: Arc<Lookup>,
    /// What the estate says beside them.
    places: ArcSwap<Places>,
    live: live::Live,
}

/// What an estate says about where secrets come from, beside the environment and the directory.
#[derive(Default)]
pub struct SecretPlaces {
    /// What opens `NAME.age` of the directory, and one file for many.
    pub age: Option<(Identities, PathBuf)>,
    /// Vault or OpenBao.
    pub vault: Option<VaultKv>,
    /// How long the value before a change is accepted of callers; an hour where absent.
    pub overlap: Option<Duration>,
}

struct Places {
    age: Option<Age>,
    vault: Option<VaultKv>,
    overlap: Duration,
}

impl From<SecretPlaces> for Places {
    fn from(declared: SecretPlaces) -> Self {
        Self {
            age: declared.age.map(|(identities, bundle)| Age {
                identities,
                bundle,
                opened: Mutex::default(),
            }),
            vault: declared.vault,
            overlap: declared.overlap.unwrap_or(OVERLAP),
        }
    }
}

/// The places as they are now, in the order in which they are asked.
struct Sources<'a> {
    inner: &'a Inner,
    places: Arc<Places>,
}

/// What opens files that are encrypted with age.
struct Age {
    identities: Identities,
    /// One file for many secrets, where it exists.
    bundle: PathBuf,
    /// The bundle as it was last opened, and when it was written: decrypting takes longer
    /// than looking whether it changed.
    opened: Mutex<Option<(Stamp, bundle::Bundle)>>,
}

/// Where age identities are.
#[derive(Clone)]
pub enum Identities {
    /// A file as `age-keygen` writes it, mode 0600.
    File(PathBuf),
    /// The text itself, out of the environment.
    Text(Secret),
}

/// Which of the places gave a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A variable of the environment.
    Environment,
    /// A plain file of the secrets directory.
    File,
    /// A file encrypted with age.
    Age,
    /// The one file for many, encrypted with age.
    Bundle,
    /// Vault or OpenBao.
    Vault,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Environment => "environment",
            Self::File => "file",
            Self::Age => "age file",
            Self::Bundle => "age bundle",
            Self::Vault => "vault",
        })
    }
}

/// A value that was found.
pub(crate) struct Found {
    pub(crate) value: Secret,
    pub(crate) origin: Origin,
    /// When its file was written, or this version of it made.
    pub(crate) modified: Option<SystemTime>,
}

/// What is known of a secret without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretFacts {
    /// Who gives it.
    pub origin: Origin,
    /// When it was written, where that is known.
    pub modified: Option<SystemTime>,
}

/// When a file was written, and which file it is: whether it changed since.
pub(crate) type Stamp = Option<(SystemTime, u64, u64)>;

pub(crate) fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("dir", &self.0.dir)
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// Secrets of this directory and of the process's environment.
    pub fn in_directory(dir: impl Into<PathBuf>) -> Self {
        use std::os::unix::ffi::OsStringExt as _;
        Self::with_environment(dir, |name| {
            std::env::var_os(name).map(|value| Zeroizing::new(value.into_vec()))
        })
    }

    /// Secrets of this directory and of an environment given as a function.
    pub fn with_environment(
        dir: impl Into<PathBuf>,
        environment: impl Fn(&str) -> Option<Zeroizing<Vec<u8>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            dir: dir.into(),
            environment: Arc::new(environment),
            places: ArcSwap::from_pointee(SecretPlaces::default().into()),
            live: live::Live::default(),
        }))
    }

    /// The same without Vault: for what opens Vault.
    #[must_use]
    pub fn local(&self) -> Self {
        let places = self.0.places.load();
        let age = places.age.as_ref();
        let local = SecretPlaces {
            age: age.map(|age| (age.identities.clone(), age.bundle.clone())),
            vault: None,
            overlap: Some(places.overlap),
        };
        Self(Arc::new(Inner {
            dir: self.0.dir.clone(),
            environment: Arc::clone(&self.0.environment),
            places: ArcSwap::from_pointee(local.into()),
            live: live::Live::default(),
        }))
    }

    /// Takes over what the estate says. What is in use stays in use; the next look asks the
    /// new places.
    pub fn configure(&self, declared: SecretPlaces) {
        self.0.places.store(Arc::new(declared.into()));
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            inner: &self.0,
            places: self.0.places.load_full(),
        }
    }

    /// The file that holds a secret in the plain, whether it exists or not.
    pub fn path_of(&self, reference: &SecretRef) -> PathBuf {
        self.sources().path_of(reference)
    }

    /// The file that holds a secret encrypted, whether it exists or not.
    pub fn encrypted_path_of(&self, reference: &SecretRef) -> PathBuf {
        self.sources().encrypted_path_of(reference)
    }

    /// Reads a secret now. One line end at the end of a file is not part of it.
    ///
    /// # Errors
    /// [`VaultError::SecretMissing`], [`VaultError::Exposed`] when others may read the file,
    /// [`VaultError::SecretUnreadable`], [`VaultError::Remote`].
    pub fn resolve(&self, reference: &SecretRef) -> Result<Secret, VaultError> {
        Ok(self.sources().read(reference)?.value)
    }

    /// Whether a secret could be resolved now, for `wardline check`. The value is read and
    /// wiped at once.
    ///
    /// # Errors
    /// As [`Secrets::resolve`].
    pub fn exists(&self, reference: &SecretRef) -> Result<(), VaultError> {
        self.resolve(reference).map(drop)
    }

    /// Who gives a secret, and how old it is. The value is read and wiped at once.
    ///
    /// # Errors
    /// As [`Secrets::resolve`].
    pub fn facts(&self, reference: &SecretRef) -> Result<SecretFacts, VaultError> {
        let found = self.sources().read(reference)?;
        Ok(SecretFacts {
            origin: found.origin,
            modified: found.modified,
        })
    }

    /// The value in use. Read at first; then whatever [`Secrets::refresh`] last found whole.
    ///
    /// # Errors
    /// As [`Secrets::resolve`], at first; [`VaultError::SecretStale`] when its keeper has been
    /// away for longer than the estate allows.
    pub fn present(&self, reference: &SecretRef) -> Result<Secret, VaultError> {
        self.0.live.present(&self.sources(), reference)
    }

    /// The values that a caller may show: the one in use and, for a while after a change, the
    /// one before.
    ///
    /// # Errors
    /// As [`Secrets::present`].
    pub fn accepted(&self, reference: &SecretRef) -> Result<Vec<Secret>, VaultError> {
        self.0.live.accepted(&self.sources(), reference)
    }

    /// Reads everything in use again and tells what changed. May wait for the network; call
    /// it off the runtime's threads, every few seconds.
    pub fn refresh(&self) -> Vec<SecretEvent> {
        self.0.live.refresh(&self.sources())
    }

    /// Names found in the secrets directory and the bundle, sorted.
    ///
    /// # Errors
    /// [`VaultError::SecretUnreadable`] where the bundle cannot be opened.
    pub fn stored(&self) -> Result<Vec<SecretRef>, VaultError> {
        let sources = self.sources();
        let mut names = Vec::new();
        walk(&self.0.dir, "", 0, &mut names);
        if let Some(age) = &sources.places.age {
            names.extend(age.names()?);
        }
        let mut all: Vec<SecretRef> = names
            .iter()
            .map(|name| name.strip_suffix(".age").unwrap_or(name))
            .filter_map(|name| SecretRef::named(name).ok())
            .collect();
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// Who can read what [`Secrets::store`] encrypts: the recipients of our own identities.
    ///
    /// # Errors
    /// [`VaultError::Age`], or what keeps the identities from being read.
    pub fn own_recipients(&self) -> Result<Vec<AgeRecipient>, VaultError> {
        let sources = self.sources();
        let Some(age) = &sources.places.age else {
            return Ok(Vec::new());
        };
        let identities = age.identities.read()?;
        Ok(identities.iter().map(AgeIdentity::recipient).collect())
    }

    /// Writes a secret into the directory: encrypted where there are recipients, else plain,
    /// mode 0600, in one step. The other form of the same secret is removed, so that there is
    /// one answer to what it is.
    ///
    /// # Errors
    /// [`VaultError::PrivateFile`], [`VaultError::Age`].
    pub fn store(
        &self,
        reference: &SecretRef,
        value: &Secret,
        recipients: &[AgeRecipient],
    ) -> Result<PathBuf, VaultError> {
        let (plain, sealed) = (self.path_of(reference), self.encrypted_path_of(reference));
        let (path, other, content) = if recipients.is_empty() {
            (plain, sealed, value.expose().to_vec())
        } else {
            (sealed, plain, age::encrypt(value.expose(), recipients)?)
        };
        let content = Zeroizing::new(content);
        let failed = |path: &Path, error: std::io::Error| VaultError::PrivateFile {
            doing: "writing the secret",
            path: path.to_owned(),
            reason: error.to_string(),
        };
        durable::create_private_dir(&durable::parent(&path))
            .and_then(|()| durable::write(&path, &content, durable::Mode::Replace))
            .map_err(|error| failed(&path, error))?;
        match std::fs::remove_file(&other) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(failed(&other, error))
            }
            _ => Ok(path),
        }
    }
}

/// Names of the files below a directory; what begins with a dot is none.
fn walk(dir: &Path, before: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let name = format!("{before}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < 8 => {
                walk(&entry.path(), &format!("{name}/"), depth + 1, names);
            }
            Ok(kind) if kind.is_dir() => {}
            _ => names.push(name),
        }
    }
}

impl Sources<'_> {
    fn path_of(&self, reference: &SecretRef) -> PathBuf {
        self.inner.dir.join(reference.name())
    }

    fn encrypted_path_of(&self, reference: &SecretRef) -> PathBuf {
        self.inner.dir.join(format!("{}.age", reference.name()))
    }

    /// Whatever of a secret's places can change without the network.
    fn stamps(&self, reference: &SecretRef) -> [Stamp; 4] {
        let age = self.places.age.as_ref();
        let of = |path: Option<&Path>| path.and_then(stamp);
        let identities = age.and_then(|age| match &age.identities {
            Identities::File(path) => Some(path.as_path()),
            Identities::Text(_) => None,
        });
        [
            stamp(&self.path_of(reference)),
            age.and_then(|_| stamp(&self.encrypted_path_of(reference))),
            of(age.map(|age| age.bundle.as_path())),
            of(identities),
        ]
    }

    fn read(&self, reference: &SecretRef) -> Result<Found, VaultError> {
        if let Some(found) = self.local(reference)? {
            return Ok(found);
        }
        if let Some(vault) = self.vault()
            && let Some(found) = vault.read(reference)?
        {
            return Ok(found);
        }
        Err(VaultError::SecretMissing {
            name: reference.name().to_owned(),
            path: self.path_of(reference),
            variable: reference.variable(),
        })
    }

    /// From the environment and files; `None` where none of them has it.
    fn local(&self, reference: &SecretRef) -> Result<Option<Found>, VaultError> {
        if let Some(value) = (self.inner.environment)(&reference.variable()) {
            return Ok(Some(Found {
                value: Secret::new(value.to_vec()),
                origin: Origin::Environment,
                modified: None,
            }));
        }
        let found = |value: Zeroizing<Vec<u8>>, origin, path: &Path| Found {
            value: without_line_end(value),
            origin,
            modified: stamp(path).map(|(modified, ..)| modified),
        };
        let path = self.path_of(reference);
        if let Some(value) = private_file(&path, MAX_SECRET, reference)? {
            return Ok(Some(found(value, Origin::File, &path)));
        }
        let Some(age) = &self.places.age else {
            return Ok(None);
        };
        let path = self.encrypted_path_of(reference);
        if let Some(sealed) = sealed_file(&path, 2 * MAX_SECRET)? {
            let opened = age
                .identities
                .read()
                .and_then(|identities| age::decrypt(&sealed, &identities))
                .map_err(|error| unreadable(reference, &path, &error))?;
            return Ok(Some(found(opened, Origin::Age, &path)));
        }
        let path = &age.bundle;
        let value = age
            .open(|bundle| bundle.get(reference))
            .map_err(|error| unreadable(reference, path, &error))?
            .flatten();
        Ok(value.map(|value| found(value, Origin::Bundle, path)))
    }
}

impl Age {
    /// Looks into the bundle; `None` where there is none.
    fn open<T>(&self, look: impl FnOnce(&bundle::Bundle) -> T) -> Result<Option<T>, VaultError> {
        let path = self.bundle.as_path();
        let now = stamp(path);
        if now.is_none() {
            return Ok(None);
        }
        let mut opened = self.opened.lock();
        if let Some((then, bundle)) = &*opened
            && *then == now
        {
            return Ok(Some(look(bundle)));
        }
        let Some(sealed) = sealed_file(path, MAX_BUNDLE)? else {
            return Ok(None);
        };
        let identities = self.identities.read()?;
        let text = age::decrypt(&sealed, &identities)?;
        let bundle = bundle::Bundle::parse(&text).map_err(|reason| VaultError::PrivateFile {
            doing: "reading the secrets in",
            path: path.to_owned(),
            reason,
        })?;
        let answer = look(&bundle);
        *opened = Some((now, bundle));
        Ok(Some(answer))
    }

    fn names(&self) -> Result<Vec<String>, VaultError> {
        let names = self.open(|bundle| bundle.names().map(str::to_owned).collect())?;
        Ok(names.unwrap_or_default())
    }
}

impl Identities {
    fn read(&self) -> Result<Vec<AgeIdentity>, VaultError> {
        let text = match self {
            Self::Text(text) => Zeroizing::new(text.expose().to_vec()),
            Self::File(path) => durable::read_private(path, MAX_SECRET)
                .map_err(|refusal| refusal.into_error(path, "reading the age identities in"))?,
        };
        let text = std::str::from_utf8(&text).map_err(|_| VaultError::Age {
            reason: "the identities are not text",
        })?;
        AgeIdentity::parse_all(text)
    }
}

fn without_line_end(mut value: Zeroizing<Vec<u8>>) -> Secret {
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
    Secret::new(std::mem::take(&mut *value))
}

/// A private file; `None` where there is none.
fn private_file(
    path: &Path,
    limit: u64,
    reference: &SecretRef,
) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    match durable::read_private(path, limit) {
        Ok(content) => Ok(Some(content)),
        Err(Refusal::Io(error))
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(Refusal::Exposed(mode)) => Err(VaultError::Exposed {
            path: path.to_owned(),
            mode,
        }),
        Err(Refusal::TooLarge(limit)) => Err(VaultError::SecretUnreadable {
            name: reference.name().to_owned(),
            path: path.to_owned(),
            reason: format!("it is larger than {limit} bytes"),
        }),
        Err(Refusal::Io(error)) => Err(VaultError::SecretUnreadable {
            name: reference.name().to_owned(),
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// An encrypted file, which others may read; `None` where there is none.
fn sealed_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, VaultError> {
    let failed = |reason: String| VaultError::PrivateFile {
        doing: "reading the encrypted",
        path: path.to_owned(),
        reason,
    };
    let mut content = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut content));
    match read {
        Ok(_) if content.len() as u64 > limit => {
            Err(failed(format!("it is larger than {limit} bytes")))
        }
        Ok(_) => Ok(Some(content)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn unreadable(reference: &SecretRef, path: &Path, error: &VaultError) -> VaultError {
    match error {
        VaultError::Exposed { .. } => error.clone(),
        other => VaultError::SecretUnreadable {
            name: reference.name().to_owned(),
            path: path.to_owned(),
            reason: other.to_string(),
        },
    }
}

impl Sources<'_> {
    fn vault(&self) -> Option<&VaultKv> {
        self.places.vault.as_ref()
    }

    fn overlap(&self) -> Duration {
        self.places.overlap
    }
}

#[cfg(test)]
mod tests;
