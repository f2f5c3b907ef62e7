//! Finding without knowing: keyed hashes that stand for values in the journal.
//!
//! An index cannot be turned back without the key, equal values have equal indexes (that is
//! its use, and what it gives away), and values of different domains never meet: account
//! `77` and bed `77` have nothing in common. All keys derive from the ring's index key,
//! which is never rotated, since the values to make the indexes anew are not kept.

use aws_lc_rs::hmac;
use wardline_core::BlindIndex;

/// Keys with their HMAC state precomputed.
#[derive(Debug)]
pub(crate) struct BlindKeys {
    index: hmac::Key,
    duplicate: hmac::Key,
    digest: hmac::Key,
}

impl BlindKeys {
    pub(crate) fn derive(root: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, root);
        let derive = |label: &str| {
            hmac::Key::new(
                hmac::HMAC_SHA256,
                hmac::sign(&root, label.as_bytes()).as_ref(),
            )
        };
        Self {
            index: derive("wardline blind index v1"),
            duplicate: derive("wardline duplicate v1"),
            digest: derive("wardline digest v1"),
        }
    }

    pub(crate) fn index(&self, domain: &str, value: &str) -> BlindIndex {
        let mut hash = hmac::Context::with_key(&self.index);
        part(&mut hash, domain.as_bytes());
        part(&mut hash, value.trim().as_bytes());
        BlindIndex(first_64(&hash.sign()))
    }

    pub(crate) fn duplicate<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
        let mut hash = hmac::Context::with_key(&self.duplicate);
        for bytes in parts {
            part(&mut hash, bytes);
        }
        let mut out = [0; 16];
        out.copy_from_slice(&hash.sign().as_ref()[..16]);
        out
    }

    pub(crate) fn digest(&self, bytes: &[u8]) -> i64 {
        first_64(&hmac::sign(&self.digest, bytes))
    }
}

/// Length first, so that `("ab", "c")` and `("a", "bc")` differ.
fn part(hash: &mut hmac::Context, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn first_64(tag: &hmac::Tag) -> i64 {
    let first = tag
        .as_ref()
        .first_chunk::<8>()
        .expect("a SHA-256 tag has 32 bytes");
    i64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_meet_and_others_do_not() {
        let keys = BlindKeys::derive(&[1; 32]);
        let index = keys.index("account", "ACC-77");
        assert_eq!(index, keys.index("account", "\tACC-77 \n"));
        assert_ne!(index, keys.index("account", "acc-77"), "case is kept");
        assert_ne!(index, keys.index("bed", "ACC-77"), "domains are apart");
        assert_ne!(
            keys.index("ab", "c"),
            keys.index("a", "bc"),
            "borders are kept"
        );
        assert_ne!(
            index,
            BlindKeys::derive(&[2; 32]).index("account", "ACC-77"),
            "estates are apart"
        );
    }

    #[test]
    fn duplicates_depend_on_every_part_and_border() {
        let keys = BlindKeys::derive(&[1; 32]);
        let hash = |parts: &[&str]| keys.duplicate(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(hash(&["EHR", "42"]), hash(&["EHR", "42"]));
        assert_ne!(hash(&["EHR", "42"]), hash(&["EHR4", "2"]));
        assert_ne!(hash(&["EHR", "42"]), hash(&["EHR", "42", ""]));
    }

    #[test]
    fn the_form_is_fixed_for_ever() {
        // Stored in journals: a change here orphans every index ever written. The values
        // were computed with another implementation (Python's hmac).
        let keys = BlindKeys::derive(&[0; 32]);
        assert_eq!(
            keys.index("mrn", "12345"),
            BlindIndex(-7_236_884_988_782_348_890)
        );
        assert_eq!(keys.digest(b"12345"), -5_955_778_696_101_739_499);
        let hash = keys.duplicate([&b"EHR"[..], b"42"]);
        assert_eq!(
            u128::from_be_bytes(hash),
            0x7be5_1b0c_824f_f235_1caa_ae00_c9e9_3bbd
        );
    }
}
