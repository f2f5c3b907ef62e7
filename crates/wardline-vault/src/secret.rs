//! Secrets of others: passwords, private keys and tokens that the estate refers to.
//!
//! Files of the estate hold references (`secret:erp/ws`), never values. A value comes from a
//! file of the secrets directory (`secrets/erp/ws`, mode 0600) or from the environment
//! (`WARDLINE_SECRET_ERP_WS`), which wins, since platforms that inject secrets do so on
//! purpose. Each use reads anew, so that a rotated secret is used without a restart.

use crate::VaultError;
use crate::durable::{self, Refusal};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::Zeroizing;

const SCHEME: &str = "secret:";
const MAX_NAME: usize = 128;
/// Certificate chains with their keys fit; anything larger is not a secret.
const MAX_SECRET: u64 = 256 << 10;

/// A reference to a secret: `secret:erp/ws`. Safe to print; it names, it does not hold.
///
/// ```
/// use wardline_vault::SecretRef;
/// let reference: SecretRef = "secret:erp/ws".parse()?;
/// assert_eq!((reference.name(), reference.variable().as_str()), ("erp/ws", "WARDLINE_SECRET_ERP_WS"));
/// assert!("secret:../etc/passwd".parse::<SecretRef>().is_err());
/// # Ok::<(), wardline_vault::VaultError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef(String);

impl SecretRef {
    /// The name without the scheme: `erp/ws`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The environment variable that may hold it. Names that differ only in `/`, `-`, `_`
    /// and `.` share one.
    pub fn variable(&self) -> String {
        let name: String = self
            .0
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        format!("WARDLINE_SECRET_{name}")
    }
}

impl FromStr for SecretRef {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let bad = |reason| VaultError::SecretReference { reason };
        let name = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| bad("it does not begin with secret:"))?;
        if name.len() > MAX_NAME {
            return Err(bad("it is longer than 128 characters"));
        }
        for part in name.split('/') {
            if part.is_empty() {
                return Err(bad("a part of its name is empty"));
            }
            if part.starts_with('.') {
                return Err(bad("a part of its name begins with a dot"));
            }
            if !part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
            {
                return Err(bad("its name has a character that is not allowed"));
            }
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The value of a secret: wiped when dropped, never printed, not serialisable.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes a value into custody.
    pub fn new(value: Vec<u8>) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. Named so that each use can be found.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; `None` where it is not UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether a value that somebody presented is this one, in time that does not tell how
    /// much of it is right.
    pub fn matches(&self, presented: &[u8]) -> bool {
        use aws_lc_rs::digest::{SHA256, digest};
        let (ours, theirs) = (digest(&SHA256, &self.0), digest(&SHA256, presented));
        ours.as_ref()
            .iter()
            .zip(theirs.as_ref())
            .fold(0, |differs, (a, b)| differs | (a ^ b))
            == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", crate::mask::MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::mask::MASK)
    }
}

type Lookup = dyn Fn(&str) -> Option<Zeroizing<Vec<u8>>> + Send + Sync;

/// Where secrets come from.
pub struct Secrets {
    dir: PathBuf,
    environment: Box<Lookup>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("dir", &self.dir)
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
        Self {
            dir: dir.into(),
            environment: Box::new(environment),
        }
    }

    /// The file that holds a secret, whether it exists or not.
    pub fn path_of(&self, reference: &SecretRef) -> PathBuf {
        self.dir.join(reference.name())
    }

    /// Reads a secret. One line end at the end of a file is not part of it.
    ///
    /// # Errors
    /// [`VaultError::SecretMissing`], [`VaultError::Exposed`] when others may read the file,
    /// [`VaultError::SecretUnreadable`].
    pub fn resolve(&self, reference: &SecretRef) -> Result<Secret, VaultError> {
        if let Some(value) = (self.environment)(&reference.variable()) {
            return Ok(Secret(value));
        }
        let path = self.path_of(reference);
        let mut value = durable::read_private(&path, MAX_SECRET)
            .map_err(|refusal| refused(refusal, reference, &path))?;
        if value.ends_with(b"\n") {
            value.pop();
            if value.ends_with(b"\r") {
                value.pop();
            }
        }
        Ok(Secret(value))
    }

    /// Whether a secret could be resolved now, for `wardline check`. The value is read and
    /// wiped at once.
    ///
    /// # Errors
    /// As [`Secrets::resolve`].
    pub fn exists(&self, reference: &SecretRef) -> Result<(), VaultError> {
        self.resolve(reference).map(drop)
    }
}

fn refused(refusal: Refusal, reference: &SecretRef, path: &Path) -> VaultError {
    let name = reference.name().to_owned();
    let path = path.to_owned();
    match refusal {
        Refusal::Exposed(mode) => VaultError::Exposed { path, mode },
        Refusal::TooLarge(limit) => VaultError::SecretUnreadable {
            name,
            path,
            reason: format!("it is larger than {limit} bytes"),
        },
        Refusal::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            VaultError::SecretMissing {
                name,
                path,
                variable: reference.variable(),
            }
        }
        Refusal::Io(error) => VaultError::SecretUnreadable {
            name,
            path,
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn private_file(path: &Path, content: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(path, content, durable::Mode::Replace).unwrap();
    }

    fn no_environment(dir: &Path) -> Secrets {
        Secrets::with_environment(dir, |_| None)
    }

    #[test]
    fn references_stay_inside_the_directory() {
        for good in [
            "secret:a",
            "secret:erp/ws",
            "secret:node/key.pem",
            "secret:a_b-c.1/x",
        ] {
            assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
        }
        let long = format!("secret:{}", "a".repeat(129));
        for bad in [
            "",
            "erp/ws",
            "secret:",
            "secret:/a",
            "secret:a//b",
            "secret:a/",
            "secret:..",
            "secret:a/../b",
        ]
        .into_iter()
        .chain([
            "secret:.hidden",
            "secret:A",
            "secret:a b",
            "secret:a\0",
            "secret:hunter2!",
            &long,
        ]) {
            let error = bad.parse::<SecretRef>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_without_its_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = no_environment(dir.path());
        let reference: SecretRef = "secret:erp/ws".parse().unwrap();
        assert!(matches!(
            secrets.exists(&reference),
            Err(VaultError::SecretMissing { .. })
        ));
        for (content, value) in [
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("pw", "pw"),
            ("pw\n\n", "pw\n"),
            (" pw ", " pw "),
            ("", ""),
        ] {
            private_file(&secrets.path_of(&reference), content.as_bytes());
            assert_eq!(
                secrets.resolve(&reference).unwrap().expose_text(),
                Some(value)
            );
        }
    }

    #[test]
    fn the_environment_wins() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::with_environment(dir.path(), |name| {
            (name == "WARDLINE_SECRET_ERP_WS").then(|| Zeroizing::new(b"from outside".to_vec()))
        });
        let reference: SecretRef = "secret:erp/ws".parse().unwrap();
        private_file(&secrets.path_of(&reference), b"from the file");
        assert!(
            secrets
                .resolve(&reference)
                .unwrap()
                .matches(b"from outside")
        );
    }

    #[test]
    fn exposed_huge_and_odd_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = no_environment(dir.path());
        let reference: SecretRef = "secret:a/b".parse().unwrap();
        let path = secrets.path_of(&reference);
        private_file(&path, b"pw");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(
            secrets.resolve(&reference),
            Err(VaultError::Exposed { mode: 0o604, .. })
        ));
        private_file(&path, &vec![b'x'; MAX_SECRET as usize + 1]);
        assert!(matches!(
            secrets.resolve(&reference),
            Err(VaultError::SecretUnreadable { .. })
        ));
        let parent: SecretRef = "secret:a".parse().unwrap();
        assert!(matches!(
            secrets.resolve(&parent),
            Err(VaultError::SecretUnreadable { .. })
        ));
    }

    #[test]
    fn a_secret_never_prints_and_compares_whole() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(
            format!("{secret} {secret:?}"),
            "\u{2022}\u{2022}\u{2022}\u{2022} Secret(\u{2022}\u{2022}\u{2022}\u{2022})"
        );
        assert!(secret.matches(b"hunter2"));
        assert!(!secret.matches(b"hunter") && !secret.matches(b"hunter22") && !secret.matches(b""));
    }
}
