//! Time-based one-time codes (RFC 6238): six digits, thirty seconds, HMAC-SHA-1, which is what
//! every authenticator understands. SHA-1 is sound inside HMAC; what it is broken for is not
//! done here.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// Bytes of a secret: as many as SHA-1 gives (RFC 4226 §4, R6).
pub(crate) const SECRET: usize = 20;
/// Seconds that a code is for.
const STEP: i64 = 30;
/// Steps before and after the present one that are taken too, for clocks that differ.
const DRIFT: i64 = 1;
const DIGITS: usize = 6;

/// The code of a step.
fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // Dynamic truncation (RFC 4226 §5.3).
    let at = usize::from(tag[tag.len() - 1] & 0xf);
    let cut = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    cut % 10_u32.pow(DIGITS as u32)
}

/// The step whose code was given, if it is the present one or a neighbour and later than
/// `last`, the step of the last code that was taken: a code is good once.
///
/// Takes the same time whether and where the code fits.
pub(crate) fn check(secret: &[u8], given: &str, now: i64, last: i64) -> Option<i64> {
    let given: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    let number = (given.len() == DIGITS && given.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| given.parse::<u32>().ok())
        .flatten();
    let present = now.div_euclid(STEP);
    let mut found = None;
    for step in present - DRIFT..=present + DRIFT {
        let fits = number == Some(code(secret, step));
        if fits && step > last {
            found = Some(step);
        }
    }
    found
}

/// The code of a moment: for tests and for who enrols without an authenticator.
#[cfg(test)]
pub(crate) fn at(secret: &[u8], now: i64) -> String {
    format!("{:0DIGITS$}", code(secret, now.div_euclid(STEP)))
}

/// The secret as people type it: base32 (RFC 4648 §6) without padding.
pub(crate) fn base32(secret: &[u8]) -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(secret.len() * 8 / 5 + 1));
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in secret {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(LETTERS[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(LETTERS[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// The link that authenticators read from a QR code.
pub(crate) fn uri(estate: &str, name: &str, secret: &[u8]) -> Zeroizing<String> {
    // Names of estates and people are letters, digits and `.-_@`: only `@` needs escaping.
    let name = name.replace('@', "%40");
    Zeroizing::new(format!(
        "otpauth://totp/Wardline%20{estate}:{name}?secret={}&issuer=Wardline%20{estate}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        base32(secret).as_str()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(at(secret, time), expected, "{time}");
        }
    }

    #[test]
    fn a_code_is_good_for_a_minute_and_a_half_and_once() {
        let secret = b"12345678901234567890";
        let now = 1_234_567_890;
        let given = at(secret, now);
        let step = check(secret, &given, now, 0).unwrap();
        assert_eq!(check(secret, &given, now + 30, 0), Some(step));
        assert_eq!(check(secret, &given, now - 30, 0), Some(step));
        assert_eq!(check(secret, &given, now + 60, 0), None, "too late");
        assert_eq!(check(secret, &given, now - 60, 0), None, "too early");
        assert_eq!(check(secret, &given, now, step), None, "twice");
        assert_eq!(
            check(secret, &at(secret, now - 30), now, step),
            None,
            "an older one"
        );
        let spaced = format!("{} {}", &given[..3], &given[3..]);
        assert_eq!(check(secret, &spaced, now, 0), Some(step));
        for wrong in ["", "12345", "1234567", "abcdef", "-12345", "+12345"] {
            assert_eq!(check(secret, wrong, now, 0), None, "{wrong}");
        }
    }

    /// RFC 4648 §10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (plain, written) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()).as_str(), written);
        }
    }
}
