//! Whatever anybody may send: it is refused, and nothing falls over.

use crate::support::World;
use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request};
use proptest::prelude::*;
use std::sync::LazyLock;
use wardline_access::identity::{CertificateMatch, PeerCertificate};
use wardline_access::oauth;
use wardline_access::token::KeySet;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fn refused(headers: &HeaderMap) -> bool {
    let world = &*WORLD;
    let peer = world.inside();
    let call = world.identity.recognise(headers, &peer);
    // Nothing external is declared, so this never waits.
    call.now_or_never().expect("it does not wait").is_err()
}

/// Parts of a token, encoded, so that more than the outermost reader is reached.
fn parts() -> impl Strategy<Value = String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let json = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "\\{(\"(alg|typ|kid|crit|iss|aud|exp|cnf)\":(\"(ES256|none|at\\+jwt|x)\"|[0-9]{1,20}|null|\\[\\]|\\{\\}),?){0,6}\\}"
            .prop_map(String::into_bytes),
    ];
    proptest::collection::vec(json, 0..5).prop_map(|parts| {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .collect();
        format!("Bearer {}", parts.join("."))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_header_is_refused_without_panic(
        value in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            parts().prop_map(String::into_bytes),
        ],
        name in prop_oneof![Just("authorization"), Just("x-api-key")],
    ) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let mut headers = HeaderMap::new();
            headers.insert(name, value);
            prop_assert!(refused(&headers));
        }
    }

    #[test]
    fn any_change_of_one_byte_makes_a_token_worthless(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9._-]") {
        static TOKEN: LazyLock<String> = LazyLock::new(|| WORLD.token());
        let at = at.index(TOKEN.len());
        let changed = format!("{}{to}{}", &TOKEN[..at], &TOKEN[at + 1..]);
        if changed != *TOKEN {
            prop_assert!(refused(&crate::support::bearer(&changed)));
        }
    }

    #[test]
    fn any_request_gets_an_answer(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        auth in proptest::collection::vec(any::<u8>(), 0..100),
        path in prop_oneof![Just(oauth::TOKEN), Just(oauth::INTROSPECT), Just(oauth::REVOKE)],
        as_assertion in any::<bool>(),
    ) {
        let world = &*WORLD;
        let mut request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded");
        if let Ok(auth) = HeaderValue::from_bytes(&auth) {
            request = request.header("authorization", auth);
        }
        let mut sent = Vec::new();
        if as_assertion {
            sent.extend_from_slice(b"grant_type=client_credentials&client_assertion=");
        }
        sent.extend_from_slice(&body);
        let answer = world.identity.serve(&request.body(Bytes::from(sent)).unwrap(), &world.inside());
        prop_assert!([400, 401].contains(&answer.status().as_u16()));
    }

    #[test]
    fn any_bytes_are_read_as_keys_certificates_and_names(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        KeySet::parse(&bytes);
        prop_assert!(PeerCertificate::from_der(&bytes).is_err());
        if let Ok(text) = std::str::from_utf8(&bytes) {
            CertificateMatch::subject(text);
            CertificateMatch::name(text);
            CertificateMatch::thumbprint(text);
        }
    }
}
