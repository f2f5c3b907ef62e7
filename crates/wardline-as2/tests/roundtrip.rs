//! Both sides with each other, what is changed on the way, and keys that take each other's place.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use std::sync::LazyLock;
use wardline_as2::{
    Certificate, Digest, Disposition, Identity, Message, Receipt, ReceiptError, RefusedBecause,
    Wants, receive, wants,
};

fn pair() -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["partner.example".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

static PAIRS: LazyLock<[(String, String); 3]> = LazyLock::new(|| [pair(), pair(), pair()]);

fn identity(n: usize) -> Identity {
    let (certificate, key) = &PAIRS[n];
    Identity::new(certificate.as_bytes(), key.as_bytes()).unwrap()
}

fn certificates(all: &[usize]) -> Vec<Certificate> {
    let pem: String = all.iter().map(|n| PAIRS[*n].0.as_str()).collect();
    Certificate::all(pem.as_bytes()).unwrap()
}

fn message(payload: &[u8]) -> Message<'_> {
    Message {
        payload,
        content_type: "application/edi-x12",
        file_name: Some("order.x12"),
        from: "St Brigid",
        to: "GHX",
        id: "1@st-brigid",
        subject: "Order",
        wants: Some(Wants {
            signed: true,
            digest: None,
            to: None,
        }),
    }
}

fn lower(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}

const PAYLOAD: &[u8] = b"ISA*00*~\nGS*PO~\r\n\r\n--x\n\x00\xff end";

#[test]
fn what_is_sent_comes_and_is_acknowledged() {
    let now = jiff::Timestamp::now();
    for (sign, encrypt) in [(true, true), (true, false), (false, true), (false, false)] {
        let ours = identity(0);
        let theirs = certificates(&[1]);
        let sent = message(PAYLOAD)
            .make(sign.then_some(&ours), encrypt.then_some(&theirs[0]), now)
            .unwrap();
        let headers = lower(&sent.headers);
        let received = receive(
            &headers,
            &sent.body,
            &[identity(1)],
            &certificates(&[0]),
            sign,
            encrypt,
        )
        .unwrap();
        assert_eq!(received.payload, PAYLOAD);
        assert_eq!((received.signed, received.encrypted), (sign, encrypt));
        assert_eq!(received.content_type, "application/edi-x12");
        assert_eq!(received.mic, sent.mic);
        let wants = wants(&headers).unwrap();
        assert_eq!(
            wants,
            Wants {
                signed: true,
                digest: Some(Digest::Sha256),
                to: None
            }
        );
        let receipt = Receipt {
            original: "1@st-brigid".into(),
            disposition: Disposition::Processed,
            mic: Some((received.mic, received.digest)),
            signed: true,
        };
        let (headers, body) = receipt
            .make("GHX", "St Brigid", "2@ghx", &wants, Some(&identity(1)), now)
            .unwrap();
        let (_, content_type) = headers
            .iter()
            .find(|(name, _)| name == "Content-Type")
            .unwrap();
        let read = Receipt::read(content_type, &body, &theirs, true).unwrap();
        assert_eq!(read, receipt);
        assert_eq!(read.mic.unwrap().0, sent.mic);
        assert_eq!(
            Receipt::read(content_type, &body, &certificates(&[2]), true),
            Err(ReceiptError::Unsigned)
        );
    }
}

#[test]
fn who_is_not_the_partner_is_refused() {
    let now = jiff::Timestamp::now();
    let ours = identity(0);
    let sent = message(PAYLOAD)
        .make(Some(&ours), Some(&certificates(&[1])[0]), now)
        .unwrap();
    let headers = lower(&sent.headers);
    let to = |ours: &[Identity], theirs: &[usize]| {
        receive(
            &headers,
            &sent.body,
            ours,
            &certificates(theirs),
            true,
            true,
        )
        .map(|one| one.payload)
        .map_err(|refusal| (refusal.because, refusal.told))
    };
    assert_eq!(
        to(&[identity(1)], &[2]),
        Err((RefusedBecause::Authentication, RefusedBecause::Decryption)),
        "the sender of what was encrypted is told nothing of what came out"
    );
    assert_eq!(
        to(&[identity(2)], &[0]),
        Err((RefusedBecause::Decryption, RefusedBecause::Decryption))
    );
    // While keys take each other's place, both do.
    assert_eq!(
        to(&[identity(2), identity(1)], &[2, 0]).as_deref(),
        Ok(PAYLOAD)
    );
    let bare = message(PAYLOAD).make(None, None, now).unwrap();
    let headers = lower(&bare.headers);
    for (sign, encrypt, because) in [
        (true, false, RefusedBecause::Authentication),
        (false, true, RefusedBecause::Insufficient),
    ] {
        let refused = receive(&headers, &bare.body, &[], &[], sign, encrypt).unwrap_err();
        assert_eq!((refused.because, refused.told), (because, because));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_changed_is_taken(at in 0usize..4000, bit in 0u8..8, encrypt in any::<bool>()) {
        let now = jiff::Timestamp::now();
        let theirs = certificates(&[1]);
        let sent = message(PAYLOAD).make(Some(&identity(0)), encrypt.then_some(&theirs[0]), now).unwrap();
        let mut body = sent.body.clone();
        let at = at % body.len();
        body[at] ^= 1 << bit;
        let headers = lower(&sent.headers);
        if let Ok(received) = receive(&headers, &body, &[identity(1)], &certificates(&[0]), true, encrypt) {
            prop_assert_eq!(received.payload, PAYLOAD);
            prop_assert_eq!(received.mic, sent.mic);
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300), kind in 0usize..4) {
        let kind = ["application/pkcs7-mime", "multipart/signed; boundary=b", "multipart/report; boundary=b", "x"][kind];
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let _ = receive(&headers, &body, &[identity(1)], &certificates(&[0]), false, false);
        let _ = Receipt::read(kind, &body, &certificates(&[0]), true);
        let multipart = [b"--b\r\n", &body[..], b"\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\n", &body, b"\r\n--b--\r\n"].concat();
        let headers = vec![("content-type".to_owned(), "multipart/signed; boundary=b".to_owned())];
        prop_assert!(receive(&headers, &multipart, &[], &certificates(&[0]), false, false).is_err());
    }
}
