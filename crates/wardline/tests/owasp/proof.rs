//! Who it is: proofs that are none, or no longer (API2).

use crate::town::{Town, token_request};
use crate::{CARD, V100, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

// API2:2023 Broken Authentication

#[test]
fn api2_nothing_but_a_whole_and_present_proof_is_one() {
    let town = Town::new();
    let _server = town.serve();
    let at = &town.internal;
    let good = town.token(at, "purchasing");
    let theirs = town.token(&town.partner, "ghx");
    let purpose = ("X-Purpose-Of-Use", "payment");
    get(at, V100, &[("Authorization", &good), purpose]).is(200);
    let before = town.asked();

    let bare = good.trim_start_matches("Bearer ");
    let parts: Vec<&str> = bare.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["scope"] = json!("supplier.read supplier.write everything");
    claims["exp"] = json!(4_000_000_000_u64);
    let altered = URL_SAFE_NO_PAD.encode(claims.to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let shared = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"at+jwt"}"#);
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        bare.to_owned(),
        format!("Basic {bare}"),
        format!("Bearer {}.{altered}.{}", parts[0], parts[2]),
        format!("Bearer {none}.{altered}."),
        format!("Bearer {none}.{}.", parts[1]),
        format!("Bearer {shared}.{altered}.{}", parts[2]),
        format!("Bearer {}.{}.", parts[0], parts[1]),
        format!("Bearer {}.{}.{}", parts[0], parts[1], &parts[2][1..]),
        format!("{good}, {good}"),
        theirs,
    ];
    let expected = get(at, V100, &[purpose]).is(401);
    for authorization in &wrong {
        let refused = get(at, V100, &[("Authorization", authorization), purpose]).is(401);
        assert_eq!(refused.anonymous(), expected.anonymous(), "{authorization}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    // Two, of which one is good; and one in a place where it would be logged.
    let twice = [
        ("Authorization", good.as_str()),
        ("Authorization", "Bearer x"),
        purpose,
    ];
    get(at, V100, &twice).is(401);
    let path = format!("{V100}?access_token={bare}");
    get(at, &path, &[purpose]).is(401);
    get(at, V100, &[("Cookie", &format!("token={bare}")), purpose]).is(401);
    assert_eq!(town.asked(), before);

    // The token endpoint does not tell who exists, and takes each proof once.
    let unknown = town.form_as(at, "purchasing", "nobody");
    let forms = [
        unknown,
        town.form(&town.partner, "purchasing", ""),
        "grant_type=client_credentials&client_id=purchasing&client_secret=purchasing".to_owned(),
        "grant_type=client_credentials&client_id=nobody&client_secret=nobody".to_owned(),
    ];
    let said: Vec<Value> = forms
        .iter()
        .map(|form| token_request(at, form).is(401).json())
        .collect();
    assert!(said.windows(2).all(|two| two[0] == two[1]), "{said:?}");
    let once = town.form(at, "purchasing", "");
    token_request(at, &once).is(200);
    token_request(at, &once).is(401);
    for grant in [
        "password",
        "authorization_code",
        "refresh_token",
        "implicit",
    ] {
        let form = town.form(at, "purchasing", "");
        let form = form.replace("client_credentials", grant);
        assert_eq!(token_request(at, &form).status, 400, "{grant}");
    }
}

#[test]
fn api2_an_api_key_opens_what_its_file_says_until_it_ends() {
    let town = Town::new();
    let digest = |key: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let key = format!("wlk_{}", "a1".repeat(32));
    let old = format!("wlk_{}", "b2".repeat(32));
    for (name, key, expires) in [("acme", &key, "2099-01-01"), ("former", &old, "2020-01-01")] {
        town.house.write(
            &format!("clients/{name}.yaml"),
            format!(
                "client: {name}\nowner: tests\nkind: partner\nzone: partner\nscopes: [supplier-card.read]\n\
                 auth: {{ api_key: {{ sha256: \"{}\", expires: \"{expires}\", apis: [supplier-portal] }} }}\n",
                digest(key)
            )
            .as_bytes(),
        );
    }
    let _server = town.serve();
    get(&town.partner, CARD, &[("x-api-key", &key)]).is(200);
    // Expired, unknown, the digest in place of the key, twice, in the query, at another zone's door.
    get(&town.partner, CARD, &[("x-api-key", &old)]).is(401);
    get(&town.partner, CARD, &[("x-api-key", "wlk_")]).is(401);
    get(&town.partner, CARD, &[("x-api-key", &digest(&key))]).is(401);
    get(
        &town.partner,
        CARD,
        &[("x-api-key", &key), ("x-api-key", &old)],
    )
    .is(401);
    get(&town.partner, &format!("{CARD}?x-api-key={key}"), &[]).is(401);
    get(&town.internal, CARD, &[("x-api-key", &key)]).is(401);
}
