//! Tokens that are nearly right (`malformed.json`): each is refused, for its own reason in
//! the audit log, and with one and the same answer.

use crate::support::{INTERNAL, World, bearer, key_pair, sign};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use wardline_access::AccessEvent;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Members of the header that differ; null takes one away.
    #[serde(default)]
    header: Map<String, Value>,
    header_text: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    claims_text: Option<String>,
    #[serde(default)]
    sign: String,
    #[serde(default)]
    edit: String,
    reason: String,
}

fn changed(mut whole: Value, changes: &Map<String, Value>, now: i64) -> String {
    for (name, value) in changes {
        let value = match value.get("now") {
            Some(offset) => json!(now + offset.as_i64().unwrap()),
            None => value.clone(),
        };
        if value.is_null() {
            whole.as_object_mut().unwrap().remove(name);
        } else {
            whole[name] = value;
        }
    }
    whole.to_string()
}

fn build(case: &Case, world: &World) -> String {
    let (pair, kid) = world.signing_pair();
    let now = world.now();
    let header = case.header_text.clone().unwrap_or_else(|| {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid });
        changed(header, &case.header, now)
    });
    let right = json!({
        "iss": INTERNAL, "aud": INTERNAL, "sub": "erp", "client_id": "erp", "jti": "j1",
        "iat": now, "nbf": now, "exp": now + 300, "scope": "orders.read",
    });
    let claims = case
        .claims_text
        .clone()
        .unwrap_or_else(|| changed(right.clone(), &case.claims, now));
    let token = sign(&pair, &header, &claims);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let with = |signature: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let token = match case.sign.as_str() {
        "" => token.clone(),
        "nothing" => format!("{message}."),
        "other" => sign(&key_pair(), &header, &claims),
        "zeros" => with(&[0; 64]),
        "moved" => {
            let other = sign(&pair, &header, &right.to_string().replace("erp", "other"));
            format!("{}.{signature}", other.rsplit_once('.').unwrap().0)
        }
        "der" => {
            let pkcs8 = pair.to_pkcs8v1().unwrap();
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
            let signature = pair.sign(&SystemRandom::new(), message.as_bytes());
            with(signature.unwrap().as_ref())
        }
        "hmac" => {
            let key =
                aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pair.public_key().as_ref());
            with(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref())
        }
        other => panic!("no such way to sign: {other}"),
    };
    match case.edit.as_str() {
        "" => token,
        "more" => format!("{token}.{signature}"),
        "less" => message.to_owned(),
        "padding" => format!("{token}=="),
        "standard" => format!("{}+", &token[..token.len() - 1]),
        "space" => token.replacen('.', ". ", 1),
        "long" => format!("{token}{}", "A".repeat(9000)),
        "empty" => String::new(),
        other => panic!("no such edit: {other}"),
    }
}

#[tokio::test]
async fn every_malformed_token_is_refused_alike() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("malformed.json")).unwrap();
    assert!(cases.len() >= 40);
    let world = World::new();

    // The one that all differ from is good; otherwise nothing is proven.
    let right: Case = serde_json::from_value(json!({ "name": "", "reason": "" })).unwrap();
    let caller = world
        .call(&build(&right, &world), &world.inside())
        .await
        .unwrap();
    assert_eq!(&*caller.caller.name, "erp");

    let mut failures = Vec::new();
    let mut answers = std::collections::BTreeSet::new();
    for case in &cases {
        world.events.lock().clear();
        let token = build(case, &world);
        match world.call(&token, &world.inside()).await {
            Ok(_) => failures.push(format!("{}: accepted", case.name)),
            Err(refusal) => {
                let reason = format!("{:?}", refusal.reason());
                if reason != case.reason {
                    failures.push(format!("{}: {reason}, not {}", case.name, case.reason));
                }
                let answer = refusal.response();
                assert_eq!(answer.status(), 401, "{}", case.name);
                answers.insert(format!("{:?} {:?}", answer.headers(), answer.body()));
            }
        }
        let events = std::mem::take(&mut *world.events.lock());
        assert!(
            matches!(&events[..], [AccessEvent::CallRefused { .. }]),
            "{}: {events:?}",
            case.name
        );
        let written = format!("{:?}", events[0].to_audit());
        assert!(
            token.is_empty() || !written.contains(&token),
            "{}",
            case.name
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(answers.len(), 1, "one answer for all: {answers:#?}");
}

#[tokio::test]
async fn headers_that_show_no_token_or_too_much_are_refused() {
    let world = World::new();
    let token = world.token();
    let recognise = async |headers: HeaderMap| {
        let refused = world.identity.recognise(&headers, &world.inside()).await;
        format!("{:?}", refused.unwrap_err().reason())
    };
    assert_eq!(recognise(HeaderMap::new()).await, "NoCredential");
    let mut twice = bearer(&token);
    twice.append("authorization", bearer(&token)["authorization"].clone());
    assert_eq!(recognise(twice).await, "SeveralCredentials");
    let mut both = bearer(&token);
    both.insert("x-api-key", HeaderValue::from_str(&world.api_key).unwrap());
    assert_eq!(recognise(both).await, "SeveralCredentials");
    for (value, reason) in [
        ("Basic ZXJwOng=", "Method"),
        ("Bearer", "Method"),
        ("", "Method"),
        ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", "NotAToken"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        assert_eq!(recognise(headers).await, reason, "{value}");
    }
    // The scheme's case and spaces around the token do not matter.
    let mut headers = HeaderMap::new();
    let loose = format!("bEARER   {token} ");
    headers.insert("authorization", HeaderValue::from_str(&loose).unwrap());
    assert!(
        world
            .identity
            .recognise(&headers, &world.inside())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_is_within_the_leeway_is_accepted() {
    let world = World::new();
    for claims in [
        json!({ "exp": { "now": -29 } }),
        json!({ "nbf": { "now": 30 }, "iat": { "now": 30 } }),
        json!({ "exp": { "now": 100_000 } }),
    ] {
        let case = json!({ "name": "", "reason": "", "claims": claims });
        let case: Case = serde_json::from_value(case).unwrap();
        let found = world.call(&build(&case, &world), &world.inside()).await;
        assert!(found.is_ok(), "{:?}", found.err());
    }
}

#[tokio::test]
async fn a_bound_token_needs_its_certificate_every_time() {
    let world = World::new();
    let shown = world
        .inside()
        .with_certificate(Arc::clone(&world.certificate));
    let other = world
        .inside()
        .with_certificate(Arc::clone(&world.other_certificate));
    let answer = world.post(
        "/oauth/token",
        None,
        "grant_type=client_credentials&client_id=robot",
        &shown,
    );
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    // Cached after the first; the connection counts all the same.
    for _ in 0..2 {
        assert!(world.call(&token, &shown).await.is_ok());
        for peer in [&other, &world.inside()] {
            let refused = world.call(&token, peer).await.unwrap_err();
            assert_eq!(format!("{:?}", refused.reason()), "Binding");
        }
    }
}
