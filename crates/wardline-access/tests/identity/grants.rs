//! Every way to get a token, and what else the endpoints answer.

use crate::support::{INTERNAL, PARTNERS, SECRET, World, basic, jwk, key_pair, sign};
use aws_lc_rs::signature::EcdsaKeyPair;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{Value, json};
use std::sync::Arc;
use wardline_access::token::SigningAlgorithm;
use wardline_access::{AccessEvent, CallerKind, Strength};
use wardline_core::Zone;

const GRANT: &str = "grant_type=client_credentials";
const ASSERTION_TYPE: &str =
    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// The form of a request by assertion, with some claims changed.
fn assertion(world: &World, pair: &EcdsaKeyPair, header: &Value, changes: &Value) -> String {
    let mut claims = json!({
        "iss": "ghx", "sub": "ghx", "aud": format!("{PARTNERS}/oauth/token"),
        "jti": format!("{changes}{header}"), "exp": world.now() + 300,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    let token = sign(pair, &header.to_string(), &claims.to_string());
    format!("{GRANT}&{ASSERTION_TYPE}&client_assertion={token}")
}

fn right_header() -> Value {
    json!({ "alg": "ES256", "kid": "ghx-1", "typ": "JWT" })
}

#[tokio::test]
async fn a_secret_gets_a_token_that_another_library_understands() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let world = World::with(algorithm);
        let answer = world.post(
            "/oauth/token",
            Some(&basic("erp", SECRET)),
            "grant_type=client_credentials&scope=orders.read+invoices.read",
            &world.inside(),
        );
        assert_eq!(answer.0.status(), 200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 300);
        assert_eq!(body["scope"], "orders.read", "granted and asked for");
        let token = body["access_token"].as_str().unwrap();

        let set: jsonwebtoken::jwk::JwkSet =
            serde_json::from_value(world.get("/oauth/jwks").json()).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let key = set.find(&header.kid.unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(header.alg);
        rules.validate_exp = false;
        rules.set_audience(&[INTERNAL]);
        rules.set_issuer(&[INTERNAL]);
        let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
        let claims = jsonwebtoken::decode::<Value>(token, &key, &rules)
            .unwrap()
            .claims;
        assert_eq!(
            (&claims["sub"], &claims["client_id"]),
            (&json!("erp"), &json!("erp"))
        );
        assert_eq!(claims["iat"], json!(world.now()));
        assert_eq!(claims["exp"], json!(world.now() + 300));

        let found = world.call(token, &world.inside()).await.unwrap();
        assert_eq!(found.caller.kind, CallerKind::Service);
        assert_eq!(found.caller.strength, Strength::Secret);
        assert_eq!(found.caller.zone, Zone::Internal);
        assert_eq!(found.caller.scopes, crate::support::names(&["orders.read"]));
        assert_eq!(found.caller.facilities, crate::support::names(&["north"]));
        assert!(found.may_use("anything"));
        let events = world.events.lock();
        let issued = events.iter().any(|event| {
            matches!(event, AccessEvent::TokenIssued { client, method, .. }
                if &**client == "erp" && *method == "client_secret_basic")
        });
        assert!(issued && !format!("{events:?}").contains(SECRET));
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_not_told() {
    let world = World::new();
    let mut answers = std::collections::BTreeSet::new();
    for (auth, body, reason) in [
        (basic("erp", "wrong"), GRANT.to_owned(), "Credential"),
        (basic("erp", ""), GRANT.to_owned(), "Credential"),
        (basic("nobody", SECRET), GRANT.to_owned(), "UnknownClient"),
        (basic("ghx", SECRET), GRANT.to_owned(), "Method"),
        (basic("acme", "acme-secret"), GRANT.to_owned(), "Zone"),
        ("Bearer x".to_owned(), GRANT.to_owned(), "Method"),
        (
            basic("erp", SECRET),
            format!("{GRANT}&client_secret=x"),
            "Method",
        ),
    ] {
        world.events.lock().clear();
        let answer = world.post("/oauth/token", Some(&auth), &body, &world.inside());
        assert_eq!(answer.0.status(), 401, "{reason}");
        answers.insert(format!("{:?} {:?}", answer.0.headers(), answer.0.body()));
        let events = world.events.lock();
        let [AccessEvent::ClientRefused { reason: told, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(format!("{told:?}"), reason);
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers.first().unwrap().contains("invalid_client"));
}

#[test]
fn requests_that_are_none_are_refused() {
    let world = World::new();
    let erp = basic("erp", SECRET);
    for (body, status, error) in [
        ("", 400, "invalid_request"),
        ("grant_type=", 400, "invalid_request"),
        (
            "grant_type=password&username=a",
            400,
            "unsupported_grant_type",
        ),
        (
            "grant_type=authorization_code&code=a",
            400,
            "unsupported_grant_type",
        ),
        (
            "grant_type=client_credentials&grant_type=client_credentials",
            400,
            "invalid_request",
        ),
        (
            "grant_type=client_credentials&scope=admin",
            400,
            "invalid_scope",
        ),
        (
            "grant_type=client_credentials&scope=orders.read++x",
            400,
            "invalid_scope",
        ),
        (
            "grant_type=client_credentials&scope=%22",
            400,
            "invalid_scope",
        ),
        (
            "grant_type=client_credentials&client_id=other",
            400,
            "invalid_request",
        ),
        (
            "grant_type=client_credentials&resource=https%3A%2F%2Fevil.example",
            400,
            "invalid_target",
        ),
    ] {
        let answer = world.post("/oauth/token", Some(&erp), body, &world.inside());
        assert_eq!(answer.0.status(), status, "{body}");
        assert_eq!(answer.json(), json!({ "error": error }), "{body}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let named = format!("{GRANT}&resource={INTERNAL}");
    assert_eq!(
        world
            .post("/oauth/token", Some(&erp), &named, &world.inside())
            .0
            .status(),
        200
    );

    let send = |request: Request<Bytes>| world.identity.serve(&request, &world.inside()).status();
    let form = "application/x-www-form-urlencoded";
    let request = Request::post("/oauth/token").header("authorization", &erp);
    let no_form = request.body(Bytes::from_static(GRANT.as_bytes())).unwrap();
    assert_eq!(send(no_form), 400);
    let request = Request::post("/oauth/token?client_id=erp").header("content-type", form);
    assert_eq!(
        send(request.body(Bytes::from_static(GRANT.as_bytes())).unwrap()),
        400
    );
    let request = Request::post("/oauth/token").header("content-type", form);
    let huge = format!("{GRANT}&x={}", "y".repeat(40_000));
    assert_eq!(send(request.body(Bytes::from(huge)).unwrap()), 400);
    assert_eq!(
        send(Request::get("/oauth/token").body(Bytes::new()).unwrap()),
        405
    );
    assert_eq!(
        send(Request::post("/oauth/jwks").body(Bytes::new()).unwrap()),
        405
    );
    assert_eq!(
        send(Request::get("/oauth/authorize").body(Bytes::new()).unwrap()),
        404
    );
}

#[tokio::test]
async fn a_private_key_gets_a_token_once_for_each_assertion() {
    let world = World::new();
    let peer = world.outside();
    for audience in [PARTNERS.to_owned(), format!("{PARTNERS}/oauth/token")] {
        let form = assertion(
            &world,
            &world.ghx,
            &right_header(),
            &json!({ "aud": audience }),
        );
        let answer = world.post("/oauth/token", None, &form, &peer);
        assert_eq!(answer.0.status(), 200, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["scope"], "catalog.read orders.read");
        let found = world
            .call(body["access_token"].as_str().unwrap(), &peer)
            .await
            .unwrap();
        assert_eq!(found.caller.strength, Strength::PrivateKey);

        let again = world.post("/oauth/token", None, &form, &peer);
        assert_eq!(again.0.status(), 401, "used before");
    }
}

#[test]
fn assertions_that_are_nearly_right_are_refused_alike() {
    let world = World::new();
    let now = world.now();
    let other = key_pair();
    let mut answers = std::collections::BTreeSet::new();
    let header = |changes: Value| {
        let mut header = right_header();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let same = right_header();
    for (pair, header, changes, reason) in [
        (&other, same.clone(), json!({}), "Signature"),
        (
            &world.ghx,
            header(json!({ "kid": "ghx-2" })),
            json!({}),
            "UnknownKey",
        ),
        (
            &world.ghx,
            header(json!({ "alg": "HS256" })),
            json!({}),
            "Algorithm",
        ),
        (
            &world.ghx,
            header(json!({ "alg": "none" })),
            json!({}),
            "Algorithm",
        ),
        (
            &world.ghx,
            header(json!({ "alg": "RS256" })),
            json!({}),
            "Algorithm",
        ),
        (
            &world.ghx,
            header(json!({ "alg": "ES384" })),
            json!({}),
            "Algorithm",
        ),
        (
            &world.ghx,
            header(json!({ "typ": "at+jwt" })),
            json!({}),
            "Type",
        ),
        (
            &world.ghx,
            header(json!({ "jku": "https://evil.example/" })),
            json!({}),
            "Header",
        ),
        (&world.ghx, same.clone(), json!({ "iss": "acme" }), "Issuer"),
        (&world.ghx, same.clone(), json!({ "iss": null }), "Claim"),
        (
            &world.ghx,
            same.clone(),
            json!({ "sub": "erp", "iss": "erp" }),
            "Method",
        ),
        (
            &world.ghx,
            same.clone(),
            json!({ "sub": "no", "iss": "no" }),
            "UnknownClient",
        ),
        (
            &world.ghx,
            same.clone(),
            json!({ "aud": INTERNAL }),
            "Audience",
        ),
        (
            &world.ghx,
            same.clone(),
            json!({ "aud": [PARTNERS, INTERNAL] }),
            "Audience",
        ),
        (&world.ghx, same.clone(), json!({ "aud": null }), "Audience"),
        (
            &world.ghx,
            same.clone(),
            json!({ "exp": now + 331 }),
            "TooLong",
        ),
        (
            &world.ghx,
            same.clone(),
            json!({ "exp": now - 30 }),
            "Expired",
        ),
        (&world.ghx, same.clone(), json!({ "exp": null }), "Claim"),
        (
            &world.ghx,
            same.clone(),
            json!({ "exp": (now + 60).to_string() }),
            "Claim",
        ),
        (
            &world.ghx,
            same.clone(),
            json!({ "nbf": now + 60 }),
            "NotYet",
        ),
        (&world.ghx, same.clone(), json!({ "jti": null }), "Claim"),
        (&world.ghx, same.clone(), json!({ "jti": "" }), "Claim"),
    ] {
        world.events.lock().clear();
        let form = assertion(&world, pair, &header, &changes);
        let answer = world.post("/oauth/token", None, &form, &world.outside());
        assert_eq!(answer.0.status(), 401, "{reason} {changes}");
        answers.insert(format!("{:?} {:?}", answer.0.headers(), answer.0.body()));
        let events = world.events.lock();
        let [AccessEvent::ClientRefused { reason: told, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(format!("{told:?}"), reason, "{header} {changes}");
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[tokio::test]
async fn a_certificate_gets_a_token_bound_to_it() {
    let world = World::new();
    let form = format!("{GRANT}&client_id=robot");
    let shown = world
        .inside()
        .with_certificate(Arc::clone(&world.certificate));
    let other = world
        .inside()
        .with_certificate(Arc::clone(&world.other_certificate));
    let answer = world.post("/oauth/token", None, &form, &shown);
    assert_eq!(answer.0.status(), 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let found = world.call(&token, &shown).await.unwrap();
    assert_eq!(found.caller.strength, Strength::Certificate);

    for peer in [&other, &world.inside()] {
        assert_eq!(
            format!("{:?}", world.call(&token, peer).await.unwrap_err().reason()),
            "Binding"
        );
        assert_eq!(
            world.post("/oauth/token", None, &form, peer).0.status(),
            401
        );
    }
    let unregistered = format!("{GRANT}&client_id=other");
    assert_eq!(
        world
            .post("/oauth/token", None, &unregistered, &shown)
            .0
            .status(),
        401
    );
}

#[tokio::test]
async fn a_partner_calls_with_its_certificate_unless_its_file_says_otherwise() {
    let world = World::new();
    let acme = basic("acme", "acme-secret");
    let without = world.post("/oauth/token", Some(&acme), GRANT, &world.outside());
    assert_eq!(without.0.status(), 401, "it registered a certificate");
    let forgot = basic("forgot", "forgot-secret");
    let plain = world.post("/oauth/token", Some(&forgot), GRANT, &world.outside());
    let token = plain.json()["access_token"].as_str().unwrap().to_owned();
    let refused = world.call(&token, &world.outside()).await.unwrap_err();
    assert_eq!(format!("{:?}", refused.reason()), "Binding");

    let shown = world
        .outside()
        .with_certificate(Arc::clone(&world.certificate));
    let answer = world.post("/oauth/token", Some(&acme), GRANT, &shown);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let found = world.call(&token, &shown).await.unwrap();
    assert_eq!(found.caller.strength, Strength::Certificate);
    // And in another zone it is nothing, remembered or not.
    let refused = world.call(&token, &world.inside()).await.unwrap_err();
    assert_eq!(format!("{:?}", refused.reason()), "Zone");
    world.identity.stop_tokens(Some("other")).unwrap();
    let refused = world.call(&token, &world.inside()).await.unwrap_err();
    assert_eq!(format!("{:?}", refused.reason()), "Issuer");
}

#[tokio::test]
async fn a_certificate_alone_is_enough_where_the_file_says_so() {
    let world = World::new();
    let mut device = world
        .inside()
        .with_certificate(Arc::clone(&world.other_certificate));
    let call = async |peer: &wardline_access::identity::Peer| {
        let found = world.identity.recognise(&HeaderMap::new(), peer).await;
        found.map_err(|refusal| format!("{:?}", refusal.reason()))
    };
    let found = call(&device).await.unwrap();
    assert_eq!(
        (&*found.caller.name, found.caller.strength),
        ("device", Strength::Certificate)
    );
    let robot = world
        .inside()
        .with_certificate(Arc::clone(&world.certificate));
    assert_eq!(
        call(&robot).await.unwrap_err(),
        "NoCredential",
        "its file wants a token"
    );
    assert_eq!(call(&world.inside()).await.unwrap_err(), "NoCredential");
    let form = format!("{GRANT}&client_id=device");
    assert_eq!(
        world.post("/oauth/token", None, &form, &device).0.status(),
        401
    );
    device.zone = Zone::Partner;
    assert_eq!(call(&device).await.unwrap_err(), "NoCredential");
}

#[tokio::test]
async fn an_api_key_opens_its_apis_until_it_expires() {
    let world = World::new();
    let recognise = async |key: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_str(key).unwrap());
        world.identity.recognise(&headers, &world.inside()).await
    };
    let found = recognise(&world.api_key).await.unwrap();
    assert_eq!(found.caller.strength, Strength::ApiKey);
    assert!(found.may_use("supplier-master") && !found.may_use("orders"));
    for wrong in [
        "",
        "wlk_",
        "wlk_0000000000000000000000000000000000000000000",
    ] {
        let refused = recognise(wrong).await.unwrap_err();
        assert_eq!(format!("{:?}", refused.reason()), "Credential");
    }
    world.advance(86_400);
    let refused = recognise(&world.api_key).await.unwrap_err();
    assert_eq!(format!("{:?}", refused.reason()), "ClientExpired");
}

#[test]
fn metadata_names_what_is_served() {
    let world = World::new();
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/smart-configuration",
    ] {
        let document = world.get(path).json();
        assert_eq!(document["issuer"], INTERNAL);
        assert_eq!(
            document["grant_types_supported"],
            json!(["client_credentials"])
        );
        let algorithms = &document["token_endpoint_auth_signing_alg_values_supported"];
        assert!(algorithms.as_array().unwrap().contains(&json!("RS384")));
        for name in [
            "token_endpoint",
            "jwks_uri",
            "introspection_endpoint",
            "revocation_endpoint",
        ] {
            let url = document[name].as_str().unwrap();
            let path = url.strip_prefix(INTERNAL).unwrap();
            assert!(wardline_access::identity::Identity::serves(path), "{url}");
        }
    }
    let jwks = world.get("/oauth/jwks");
    assert_eq!(jwks.header("cache-control"), "public, max-age=300");
    assert_eq!(jwks.json()["keys"].as_array().unwrap().len(), 1);
    assert!(!format!("{:?}", jwks.0.body()).contains("\"d\""));
    let request = Request::get("/oauth/jwks").header("if-none-match", jwks.header("etag"));
    let again = world
        .identity
        .serve(&request.body(Bytes::new()).unwrap(), &world.inside());
    assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
}

#[test]
fn tokens_are_looked_into_by_those_who_may() {
    let world = World::new();
    let token = world.token();
    let ask = |auth: &str, token: &str| {
        let body = format!("token={token}");
        let answer = world.post("/oauth/introspect", Some(auth), &body, &world.inside());
        assert_eq!(answer.0.status(), 200);
        answer.json()
    };
    let erp = basic("erp", SECRET);
    let found = ask(&erp, &token);
    assert_eq!(found["active"], true);
    assert_eq!(
        (&found["sub"], &found["iss"]),
        (&json!("erp"), &json!(INTERNAL))
    );
    let inactive = json!({ "active": false });
    assert_eq!(
        ask(&basic("other", "another"), &token),
        inactive,
        "not its business"
    );
    assert_eq!(ask(&erp, &format!("{token}x")), inactive);
    assert_eq!(ask(&erp, "x"), inactive);
    world.advance(330);
    assert_eq!(ask(&erp, &token), inactive);
    let body = format!("token={token}");
    let anonymous = world.post("/oauth/introspect", None, &body, &world.inside());
    assert_eq!(anonymous.0.status(), 401);
    let none = world.post("/oauth/introspect", Some(&erp), "", &world.inside());
    assert_eq!(none.0.status(), 400);
}

#[test]
fn a_registered_set_of_keys_may_hold_keys_of_other_kinds() {
    let pair = key_pair();
    let set = crate::support::key_set(&[
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "a" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "b" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short" }),
        {
            let mut encryption = jwk(&pair, "enc");
            encryption["use"] = json!("enc");
            encryption
        },
        jwk(&pair, "sig"),
    ]);
    assert_eq!(set.len(), 1);
    assert_eq!(set.find(None).and_then(|key| key.kid()), Some("sig"));
}
