//! The name of a secret, which may be printed, and its value, which may not.

use crate::VaultError;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const SCHEME: &str = "secret:";
const MAX_NAME: usize = 128;

/// A reference to a secret: `secret:erp/ws`, or `secret:erp/ws#password` for one of several
/// fields that a key-value store keeps under one name. Safe to print; it names, it does not
/// hold.
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
    /// The name without the scheme: `erp/ws`, `erp/ws#password`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name without its field: where a key-value store has it.
    pub(crate) fn place(&self) -> &str {
        self.0.split_once('#').map_or(&*self.0, |(place, _)| place)
    }

    /// The field that is meant, where one is named.
    pub(crate) fn field(&self) -> Option<&str> {
        Some(self.0.split_once('#')?.1)
    }

    /// The reference of this name: `erp/ws`.
    ///
    /// # Errors
    /// [`VaultError::SecretReference`] where it is no name.
    pub fn named(name: &str) -> Result<Self, VaultError> {
        format!("{SCHEME}{name}").parse()
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
        let (place, field) = match name.split_once('#') {
            Some((place, field)) => (place, Some(field)),
            None => (name, None),
        };
        if field.is_some_and(|field| field.contains('/')) {
            return Err(bad("its field has a `/`"));
        }
        for part in place.split('/').chain(field) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stay_inside_the_directory() {
        for good in [
            "secret:a",
            "secret:erp/ws",
            "secret:node/key.pem",
            "secret:a_b-c.1/x",
            "secret:erp/ws#password",
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
            "secret:a#",
            "secret:a#b/c",
            "secret:a#b#c",
            "secret:#a",
            &long,
        ]) {
            let error = bad.parse::<SecretRef>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
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
