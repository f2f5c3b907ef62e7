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
/// Signatures of one name that are looked at; a sender that rotates keys sends two.
const MOST_SIGNATURES: usize = 4;

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

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HmacPlace {
    /// A header of its own.
    Header(HeaderName),
    /// A member of the signature's header, which is a list such as `t=1700000000,v1=…`.
    Member(String),
}

/// When the sender says it signed, where its signature covers that.
#[derive(Debug, Clone)]
pub struct HmacTime {
    /// Where the time stands, in seconds or milliseconds since 1970.
    pub place: HmacPlace,
    /// How far it may lie from now, either way.
    pub tolerance: Duration,
}

/// What is signed: text around the body, with the time in it or not.
///
/// ```
/// use wardline_connect::http::Signs;
/// assert!(Signs::template("v0:{timestamp}:{body}").is_some());
/// assert!(Signs::template("{timestamp}").is_none(), "without the body nothing is proven");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    before: Vec<Piece>,
    after: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Time,
}

impl Signs {
    /// Reads a template: `{body}` occurs once, `{timestamp}` at most once. `None` where it does
    /// not.
    pub fn template(text: &str) -> Option<Self> {
        let (before, after) = text.split_once("{body}")?;
        let pieces = |text: &str| {
            let mut pieces = Vec::new();
            for (at, part) in text.split("{timestamp}").enumerate() {
                if at > 0 {
                    pieces.push(Piece::Time);
                }
                if !part.is_empty() {
                    pieces.push(Piece::Text(part.to_owned()));
                }
            }
            pieces
        };
        let signs = Self {
            before: pieces(before),
            after: pieces(after),
        };
        let all = || signs.before.iter().chain(&signs.after);
        let times = all().filter(|piece| **piece == Piece::Time).count();
        (times <= 1 && !after.contains("{body}")).then_some(signs)
    }

    /// Whether the time is part of it.
    pub fn covers_time(&self) -> bool {
        let mut all = self.before.iter().chain(&self.after);
        all.any(|piece| *piece == Piece::Time)
    }

    fn feed(&self, context: &mut hmac::Context, time: &str, body: &[u8]) {
        let put = |context: &mut hmac::Context, pieces: &[Piece]| {
            for piece in pieces {
                context.update(match piece {
                    Piece::Text(text) => text.as_bytes(),
                    Piece::Time => time.as_bytes(),
                });
            }
        };
        put(context, &self.before);
        context.update(body);
        put(context, &self.after);
    }
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
    /// Where set, the header is a list, and this is the signature's name in it.
    pub member: Option<String>,
    /// Where set, the time must be near; a signature without one leaves repeats to the
    /// connection's duplicate key.
    pub time: Option<HmacTime>,
    /// What is signed; `TIME.BODY` where `None`, or the body alone without a time.
    pub signs: Option<Signs>,
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
            member: None,
            time: None,
            signs: None,
            keys,
        })
    }

    pub(super) fn has_headers(&self, headers: &HeaderMap) -> bool {
        single(headers, &self.header).is_some()
            && self.time.as_ref().is_none_or(|time| match &time.place {
                HmacPlace::Header(name) => single(headers, name).is_some(),
                HmacPlace::Member(_) => true,
            })
    }

    /// Whether the body was signed with one of the keys, and lately where a time is declared.
    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
        let Some(whole) = single(headers, &self.header) else {
            return false;
        };
        let mut time = "";
        if let Some(declared) = &self.time {
            let found = match &declared.place {
                HmacPlace::Header(name) => single(headers, name),
                // Two times would leave open which of them was signed.
                HmacPlace::Member(name) => only(members(whole, name)),
            };
            match found {
                Some(text) if near(text, now, declared.tolerance) => time = text,
                _ => return false,
            }
        }
        match &self.member {
            None => self.fits(whole, time, body),
            Some(name) => members(whole, name)
                .take(MOST_SIGNATURES)
                .any(|text| self.fits(text, time, body)),
        }
    }

    fn fits(&self, text: &str, time: &str, body: &[u8]) -> bool {
        let tag = text
            .strip_prefix(self.prefix.as_str())
            .and_then(|text| self.decode(text.trim()));
        let Some(tag) = tag else { return false };
        self.keys.iter().any(|key| {
            let mut context = hmac::Context::with_key(key);
            if let Some(signs) = &self.signs {
                signs.feed(&mut context, time, body);
            } else {
                if self.time.is_some() {
                    context.update(time.as_bytes());
                    context.update(b".");
                }
                context.update(body);
            }
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

/// The values of a name in a list such as `t=1700000000,v1=…,v1=…`.
fn members<'h>(list: &'h str, name: &'h str) -> impl Iterator<Item = &'h str> {
    list.split(',')
        .filter_map(|member| member.trim().split_once('='))
        .filter(move |(found, _)| *found == name)
        .map(|(_, value)| value)
}

fn only<'h>(mut all: impl Iterator<Item = &'h str>) -> Option<&'h str> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
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
                place: HmacPlace::Header(TIME),
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

    #[test]
    fn what_is_signed_is_said_by_a_template() {
        for bad in [
            "",
            "{timestamp}",
            "{body}{body}",
            "{timestamp}{timestamp}{body}",
        ] {
            assert_eq!(Signs::template(bad), None, "{bad}");
        }
        assert!(!Signs::template("a{body}b").unwrap().covers_time());
        let key = Secret::from("a key of enough length");
        let mut vendor =
            VendorHmac::new("t", NAME, HmacAlgorithm::Sha256, std::slice::from_ref(&key)).unwrap();
        vendor.time = Some(HmacTime {
            place: HmacPlace::Header(TIME),
            tolerance: Duration::from_secs(60),
        });
        vendor.signs = Signs::template("<{body}|{timestamp}>");
        let raw = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let tag = hex(hmac::sign(&raw, b"<body|1700000000>").as_ref());
        let given = headers(&[(NAME, &tag), (TIME, "1700000000")]);
        assert!(vendor.verify(&given, b"body", at(1_700_000_000)));
        assert!(!vendor.verify(&given, b"bodx", at(1_700_000_000)));
        assert!(!vendor.verify(&given, b"body", at(1_700_000_061)));
    }

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    #[test]
    fn a_list_may_hold_several_signatures_and_one_time() {
        let key = Secret::from("a key of enough length");
        let mut vendor =
            VendorHmac::new("t", NAME, HmacAlgorithm::Sha256, std::slice::from_ref(&key)).unwrap();
        vendor.member = Some("v1".to_owned());
        vendor.time = Some(HmacTime {
            place: HmacPlace::Member("t".to_owned()),
            tolerance: Duration::from_secs(60),
        });
        let raw = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let tag = hex(hmac::sign(&raw, b"1700000000.body").as_ref());
        let now = at(1_700_000_000);
        let verify = |text: &str| vendor.verify(&headers(&[(NAME, text)]), b"body", now);
        assert!(verify(&format!("t=1700000000,v1={tag}")));
        assert!(verify(&format!("v1=00, t=1700000000 ,v0=zz,v1={tag}")));
        for bad in [
            format!("t=1700000000,v0={tag}"),
            format!("v1={tag}"),
            format!("t=1700000000,t=1700000000,v1={tag}"),
            format!("t=1600000000,v1={tag}"),
            format!("t=1700000001,v1={tag}"),
            format!("t=1700000000,{}v1={tag}", "v1=00,".repeat(4)),
        ] {
            assert!(!verify(&bad), "{bad}");
        }
    }
}
