//! Values that open doors, kept out of sight.

use std::fmt;

use zeroize::Zeroizing;

/// A password, token or key. It cannot be printed, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the value over.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value. Keep the borrow short and copy it nowhere.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

/// Whether two values are equal, in a time that does not depend on where they differ: both are
/// compared as HMACs under a key that nobody knows.
pub(crate) fn same(expected: &[u8], given: &[u8]) -> bool {
    let key: [u8; 32] = rand::random();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let tag = aws_lc_rs::hmac::sign(&key, expected);
    aws_lc_rs::hmac::verify(&key, given, tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_and_hides() {
        assert!(same(b"open sesame", b"open sesame"));
        assert!(!same(b"open sesame", b"open sesam"));
        assert!(!same(b"open sesame", b""));
        assert_eq!(format!("{:?}", Secret::from("open sesame")), "Secret(…)");
    }
}
