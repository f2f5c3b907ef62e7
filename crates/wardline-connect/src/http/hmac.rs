//! Webhook signatures as vendors made them before there was a standard: an HMAC in a header,
//! each with its own name, digest, spelling and idea of what is signed. All of it is declared;
//! nothing is guessed from the request.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use wardline_core::Timestamp;

use crate::{ConnectError, Secret};

/// Longest signature header that is looked at: SHA-512 in hexadecimal, twice over.
const LONGEST: usize = 512;

/// The digest of the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HmacAlgorithm {
    /// HMAC-SHA-256.
    #[default]
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
    /// HMAC-SHA-1: still sound as an HMAC, for vendors that have nothing else.
    Sha1,
}

impl HmacAlgorithm {
    const fn get(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

/// How the header spells the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HmacEncoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
}

/// When the sender says it signed, where its signature covers that.
#[derive(Debug, Clone)]
pub struct HmacTime {
    /// The header with the time, in seconds or milliseconds since 1970.
    pub header: HeaderName,
    /// How far it may lie from now, either way.
    pub tolerance: Duration,
}

/// One vendor's way of signing.
#[derive(Clone)]
pub struct VendorHmac {
    /// The header that holds the signature.
    pub header: HeaderName,
    /// Which digest.
    pub algorithm: HmacAlgorithm,
    /// How it is spelt.
    pub encoding: HmacEncoding,
    /// What stands before it in the header, such as `sha256=`; empty for nothing.
    pub prefix: String,
    /// Where set, `TIME.BODY` is signed and the time must be near; else the body alone, which
    /// leaves repeats to the connection's duplicate key.
    pub time: Option<HmacTime>,
    keys: Vec<hmac::Key>,
}

impl fmt::Debug for VendorHmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendorHmac")
            .field("header", &self.header)
            .field("algorithm", &self.algorithm)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl VendorHmac {
    /// HMAC over the body, hexadecimal, without prefix. The secrets are the keys as they are;
    /// two of them while a key is changed. `name` is the connection's, for errors.
    pub fn new(
        name: &str,
        header: HeaderName,
        algorithm: HmacAlgorithm,
        secrets: &[Secret],
    ) -> Result<Self, ConnectError> {
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose().len() < 16) {
            return Err(ConnectError::BadSetting {
                name: name.into(),
                what: "the webhook secret",
                value: "…".into(),
                detail: "at least one is needed, and a key has at least 16 bytes".into(),
            });
        }
        let keys = secrets
            .iter()
            .map(|secret| hmac::Key::new(algorithm.get(), secret.expose()))
            .collect();
        Ok(Self {
            header,
            algorithm,
            encoding: HmacEncoding::Hex,
            prefix: String::new(),
            time: None,
            keys,
        })
    }

    pub(super) fn has_headers(&self, headers: &HeaderMap) -> bool {
        single(headers, &self.header).is_some()
            && self
                .time
                .as_ref()
                .is_none_or(|time| single(headers, &time.header).is_some())
    }

    /// Whether the body was signed with one of the keys, and lately where a time is declared.
    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
        let Some(tag) = single(headers, &self.header)
            .and_then(|text| text.strip_prefix(self.prefix.as_str()))
            .and_then(|text| self.decode(text.trim()))
        else {
            return false;
        };
        let mut signed = Vec::new();
        if let Some(time) = &self.time {
            let Some(text) = single(headers, &time.header) else {
                return false;
            };
            if !near(text, now, time.tolerance) {
                return false;
            }
            signed.extend_from_slice(text.as_bytes());
            signed.push(b'.');
        }
        self.keys.iter().any(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(&signed);
            context.update(body);
            // Both sides are hashed once more under the same key, so that comparing tells nothing.
            let expected = context.sign();
            hmac::verify(key, &tag, hmac::sign(key, expected.as_ref()).as_ref()).is_ok()
        })
    }

    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        match self.encoding {
            HmacEncoding::Base64 => STANDARD.decode(text).ok(),
            HmacEncoding::Hex => {
                if !text.len().is_multiple_of(2) {
                    return None;
                }
                let digit = |byte: u8| char::from(byte).to_digit(16);
                text.as_bytes()
                    .chunks_exact(2)
                    .map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8))
                    .collect()
            }
        }
    }
}

/// A header that stands there once, is text, and is not long.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() || value.len() > LONGEST {
        return None;
    }
    value.to_str().ok()
}

fn near(text: &str, now: Timestamp, tolerance: Duration) -> bool {
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let Ok(number) = text.parse::<i64>() else {
        return false;
    };
    // Seconds stay below 10¹¹ until the year 5138; milliseconds are above it since 1973.
    let ms = if number < 100_000_000_000 {
        number * 1000
    } else {
        number.min(i64::MAX / 1000)
    };
    let signed = Timestamp::from_unix_ms(ms);
    now.since(signed).max(signed.since(now)) <= tolerance
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: HeaderName = HeaderName::from_static("x-hub-signature-256");
    const TIME: HeaderName = HeaderName::from_static("x-time");

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    /// The example of GitHub's documentation: "Validating webhook deliveries".
    #[test]
    fn the_example_of_a_vendor_verifies() {
        let secret = Secret::from("It's a Secret to Everybody");
        let mut hmac = VendorHmac::new(
            "t",
            NAME,
            HmacAlgorithm::Sha256,
            std::slice::from_ref(&secret),
        )
        .unwrap();
        hmac.prefix = "sha256=".to_owned();
        let tag = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let body = b"Hello, World!";
        assert!(hmac.verify(&headers(&[(NAME, tag)]), body, at(0)));
        assert!(hmac.verify(
            &headers(&[(NAME, &format!("sha256={}", tag[7..].to_uppercase()))]),
            body,
            at(0)
        ));
        let both = [Secret::from("a new key of enough length"), secret];
        let mut rotated = VendorHmac::new("t", NAME, HmacAlgorithm::Sha256, &both).unwrap();
        rotated.prefix = "sha256=".to_owned();
        assert!(rotated.verify(&headers(&[(NAME, tag)]), body, at(0)));
        for wrong in [
            "",
            &tag[7..],
            "sha256=",
            "sha256=7",
            "sha256=zz",
            "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            &tag[..70],
        ] {
            assert!(
                !hmac.verify(&headers(&[(NAME, wrong)]), body, at(0)),
                "{wrong}"
            );
        }
        assert!(!hmac.verify(&headers(&[(NAME, tag)]), b"Hello, World?", at(0)));
        assert!(!hmac.verify(&headers(&[(NAME, tag), (NAME, tag)]), body, at(0)));
        assert!(!hmac.has_headers(&headers(&[])));
    }

    #[test]
    fn every_digest_spelling_and_time() {
        let key = Secret::from("a key of enough length");
        for algorithm in [
            HmacAlgorithm::Sha1,
            HmacAlgorithm::Sha256,
            HmacAlgorithm::Sha512,
        ] {
            let mut vendor =
                VendorHmac::new("t", NAME, algorithm, std::slice::from_ref(&key)).unwrap();
            vendor.encoding = HmacEncoding::Base64;
            vendor.time = Some(HmacTime {
                header: TIME,
                tolerance: Duration::from_secs(60),
            });
            let raw = hmac::Key::new(algorithm.get(), key.expose());
            for time in ["1700000000", "1700000000000"] {
                let signed = [time.as_bytes(), b".", b"body"].concat();
                let tag = STANDARD.encode(hmac::sign(&raw, &signed));
                let given = headers(&[(NAME, &tag), (TIME, time)]);
                assert!(vendor.verify(&given, b"body", at(1_700_000_060)));
                assert!(!vendor.verify(&given, b"body", at(1_700_000_061)));
                assert!(!vendor.verify(&given, b"body", at(1_699_999_939)));
                assert!(!vendor.verify(&headers(&[(NAME, &tag)]), b"body", at(1_700_000_000)));
                let moved = headers(&[(NAME, &tag), (TIME, "1700000001")]);
                assert!(!vendor.verify(&moved, b"body", at(1_700_000_000)));
            }
            for odd in ["", "-1", "1e9", "99999999999999999999", " 1700000000"] {
                assert!(
                    !near(odd, at(1_700_000_000), Duration::from_secs(60)),
                    "{odd}"
                );
            }
        }
        assert!(VendorHmac::new("t", NAME, HmacAlgorithm::Sha256, &["short".into()]).is_err());
    }
}
