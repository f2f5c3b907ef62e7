use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};

use super::*;
use crate::envelope::Envelope;
use crate::wsdl::Version;
use crate::xml::{Element, Limits};

fn identity(algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::new(vec!["sender.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (key.serialize_pem(), certificate.pem())
}

fn message() -> Envelope {
    let body = Element::of("urn:po", "order").with(Element::of("urn:po", "amount").with_text("10"));
    Envelope::new(Version::V11, Vec::new(), Some(body))
}

fn now() -> Timestamp {
    "2026-11-28T10:00:00Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + seconds).unwrap()
}

fn username(password: &str, plain: bool) -> Username {
    Username {
        user: "supplier".into(),
        password: password.as_bytes().to_vec(),
        plain,
    }
}

fn policy(users: bool, certificates: &str) -> Policy {
    let credential = Credential {
        user: "supplier".into(),
        passwords: vec![b"sesame".to_vec(), b"old".to_vec()],
    };
    Policy {
        users: if users { vec![credential] } else { Vec::new() },
        plain: false,
        certificates: Policy::certificates_of(certificates.as_bytes()),
        skew: Duration::from_secs(300),
    }
}

fn check(guard: &Guard, bytes: &[u8], at: Timestamp) -> Result<Verified, SecurityError> {
    let envelope = Envelope::parse(bytes, Limits::MESSAGE).unwrap();
    guard.check(&envelope, at)
}

/// The value of the profile's own formula, computed by another implementation (Python's hashlib).
#[test]
fn a_digest_is_as_the_profile_says() {
    assert_eq!(
        token::password_digest(b"0123456789abcdef", "2026-11-28T10:00:00Z", b"sesame"),
        "PAGNSgE0eKwmxOHSxmUzrNJWsZo="
    );
}

#[test]
fn a_user_is_known_by_a_fresh_digest_once() {
    let guard = Guard::new(policy(true, ""));
    let sender = |password: &str, plain| Protection {
        username: Some(username(password, plain)),
        ..Protection::default()
    };
    let sent = sender("sesame", false).write(&message(), now()).unwrap();
    let who = check(&guard, &sent, later(20)).unwrap();
    assert_eq!(who.user.as_deref(), Some("supplier"));
    assert_eq!(
        check(&guard, &sent, later(30)).unwrap_err(),
        SecurityError::Replayed
    );
    assert_eq!(
        check(&guard, &sent, later(400)).unwrap_err(),
        SecurityError::Stale
    );
    let sent = sender("old", false).write(&message(), now()).unwrap();
    assert!(check(&guard, &sent, now()).is_ok(), "the password before");
    let sent = sender("guess", false).write(&message(), now()).unwrap();
    assert_eq!(
        check(&guard, &sent, now()).unwrap_err(),
        SecurityError::Credential
    );
    let sent = sender("sesame", true).write(&message(), now()).unwrap();
    assert_eq!(
        check(&guard, &sent, now()).unwrap_err(),
        SecurityError::PlainPassword
    );
    let mut open = policy(true, "");
    open.plain = true;
    assert!(check(&Guard::new(open), &sent, now()).is_ok());
    let bare = message().write().unwrap();
    assert_eq!(
        check(&guard, &bare, now()).unwrap_err(),
        SecurityError::Header
    );
    assert!(check(&Guard::new(policy(false, "")), &bare, now()).is_ok());
}

#[test]
fn a_signature_holds_for_what_it_covers_and_nothing_else() {
    for algorithm in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256] {
        let (key, certificate) = identity(algorithm);
        let protection = Protection {
            username: Some(username("sesame", false)),
            signer: Some(Signer::from_pem(key.as_bytes(), certificate.as_bytes()).unwrap()),
            good_for: None,
        };
        let sent = protection.write(&message(), now()).unwrap();
        let fresh = || Guard::new(policy(true, &certificate));
        let who = check(&fresh(), &sent, now()).unwrap();
        assert!(who.subject.is_some() && who.user.is_some());
        let guard = fresh();
        assert!(check(&guard, &sent, now()).is_ok());
        assert_eq!(
            check(&guard, &sent, now()).unwrap_err(),
            SecurityError::Replayed
        );

        let text = String::from_utf8(sent).unwrap();
        let changed = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} in {text}");
            let bytes = text.replacen(from, to, 1).into_bytes();
            check(&fresh(), &bytes, now()).unwrap_err()
        };
        assert_eq!(changed(">10<", ">99<"), SecurityError::Signature);
        assert_eq!(changed("10:05:00", "10:06:00"), SecurityError::Signature);
        assert_eq!(
            changed(
                "exc-c14n#\"/></ds:Transforms>",
                "exc-c14n#WithComments\"/></ds:Transforms>"
            ),
            SecurityError::Signature
        );
        let (_, other) = identity(algorithm);
        let stranger = Guard::new(policy(true, &other));
        assert_eq!(
            check(&stranger, text.as_bytes(), now()).unwrap_err(),
            SecurityError::Certificate
        );
        // After the certificate's end.
        let far: Timestamp = "4100-01-01T00:00:00Z".parse().unwrap();
        assert!(check(&fresh(), text.as_bytes(), far).is_err());
    }
}

/// The signed body is moved into a header that is passed over, another takes its place.
#[test]
fn a_wrapped_signature_is_refused() {
    let (key, certificate) = identity(&PKCS_ECDSA_P256_SHA256);
    let protection = Protection {
        signer: Some(Signer::from_pem(key.as_bytes(), certificate.as_bytes()).unwrap()),
        ..Protection::default()
    };
    let text = String::from_utf8(protection.write(&message(), now()).unwrap()).unwrap();
    let begin = text.find("<soap:Body").unwrap();
    let end = text.find("</soap:Envelope>").unwrap();
    let body = &text[begin..end];
    let evil = body.replace(">10<", ">1000000<");
    let guard = || Guard::new(policy(false, &certificate));
    let wrap = |evil: &str| {
        let header = format!("<evil>{body}</evil></soap:Header>");
        let moved = text[..begin].replace("</soap:Header>", &header);
        format!("{moved}{evil}</soap:Envelope>")
    };
    assert!(check(&guard(), text.as_bytes(), now()).is_ok());
    assert_eq!(
        check(&guard(), wrap(&evil).as_bytes(), now()).unwrap_err(),
        SecurityError::TwiceId
    );
    let renamed = evil.replace("\"body\"", "\"other\"");
    assert_eq!(
        check(&guard(), wrap(&renamed).as_bytes(), now()).unwrap_err(),
        SecurityError::NotCovered("body")
    );
    let nameless = evil.replace(" wsu:Id=\"body\"", "");
    assert_eq!(
        check(&guard(), wrap(&nameless).as_bytes(), now()).unwrap_err(),
        SecurityError::NotCovered("body")
    );
    // The timestamp beside the one that was signed.
    let at = text.find("<wsu:Timestamp").unwrap();
    let stop = text.find("</wsu:Timestamp>").unwrap() + "</wsu:Timestamp>".len();
    let second = text[at..stop].replace("\"timestamp\"", "\"second\"");
    let two = format!("{}{second}{}", &text[..at], &text[at..]);
    assert_eq!(
        check(&guard(), two.as_bytes(), now()).unwrap_err(),
        SecurityError::Part("Timestamp")
    );
    // An unsigned reference list: the signature element doubled.
    let at = text
        .find("<ds:Signature ")
        .or_else(|| text.find("<ds:Signature>"))
        .unwrap();
    let stop = text.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let two = format!("{}{}{}", &text[..stop], &text[at..stop], &text[stop..]);
    assert_eq!(
        check(&guard(), two.as_bytes(), now()).unwrap_err(),
        SecurityError::Part("Signature")
    );
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let (key, _) = identity(&PKCS_ECDSA_P256_SHA256);
    let (_, certificate) = identity(&PKCS_ECDSA_P256_SHA256);
    assert_eq!(
        Signer::from_pem(key.as_bytes(), certificate.as_bytes()).unwrap_err(),
        SecurityError::Key
    );
    assert_eq!(Signer::from_pem(b"", b"").unwrap_err(), SecurityError::Key);
}
