//! The OWASP API Security Top 10 of 2023, item by item, through the real binary: the example
//! estate, its ERPs, and callers who want more than they were given.
//!
//! Every refusal is looked at from both sides: what the caller is told, and that the system
//! behind was not asked.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/town.rs"]
mod town;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use town::{ACCOUNT, Answer, SUPPLIERS, Stub, Town, ask, http, raw, token_request};
use wardline_sim::Fault;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const V100: &str = "/supplier-master/v1/suppliers/V-100";
const CARD: &str = "/supplier-portal/v1/suppliers/V-100/card";

fn get(at: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(at, "GET", path, headers, b"")
}

// API1:2023 Broken Object Level Authorization

#[test]
fn api1_a_client_of_one_facility_reaches_no_object_of_another() {
    let mut town = Town::new();
    town.client(
        "north-desk",
        "kind: service\nzone: internal\nfacilities: [north]\nscopes: [supplier.read]",
    );
    let _server = town.serve();
    let token = town.token(&town.internal, "north-desk");
    let bearer = ("Authorization", token.as_str());
    let at = &town.internal;

    // Its own, named or not: it has only one.
    for headers in [&[bearer, ("X-Facility", "north")][..], &[bearer]] {
        get(at, V100, headers).is(200);
    }
    let before = town.asked();
    let named = [
        &[("X-Facility", "south")][..],
        &[("X-Facility", "NORTH")],
        &[("X-Facility", "north,south")],
        &[("X-Facility", "*")],
        // One to be judged by and another to be served by.
        &[("X-Facility", "north"), ("X-Facility", "south")],
        &[("X-Facility", "south"), ("X-Facility", "north")],
    ];
    for more in named {
        let headers = [&[bearer][..], more].concat();
        let refused = get(at, V100, &headers).is(403);
        assert!(!refused.text().contains("Acme"), "{}", refused.text());
    }
    for query in [
        "?facility=south",
        "?facility=north&facility=south",
        "?facility=%73outh",
    ] {
        let path = format!("{V100}{query}");
        get(at, &path, &[bearer]).is(403);
        get(at, &path, &[bearer, ("X-Facility", "north")]).is(403);
    }
    assert_eq!(town.asked(), before, "no ERP was asked");
}

#[test]
fn api1_a_partner_sees_its_own_object_whatever_it_names() {
    let mut town = Town::new();
    for partner in ["v-100", "v-200"] {
        town.client(
            partner,
            "kind: partner\nzone: partner\nscopes: [own-card.read]",
        );
    }
    // The object is named by who calls, not by what the call says.
    town.house.write(
        "apis/own-card.yaml",
        br#"api: own-card
owner: supply-chain
layer: experience
version: 1.0.0
state: published
zones: [partner]
operations:
  get-card:
    get: "/card"
    returns: supplier-card
    scope: own-card.read
    calls:
      supplier: { call: supplier-master.get-supplier, with: { supplier_id: 'upcase!(.client)' } }
    map: maps/supplier-to-card.vrl
"#,
    );
    let _server = town.serve();
    let at = &town.partner;
    for (partner, name) in [("v-100", "Acme Medical"), ("v-200", "Borealis Surgical")] {
        let token = town.token(at, partner);
        let bearer = ("Authorization", token.as_str());
        let card = get(at, "/own-card/v1/card", &[bearer]).is(200);
        assert_eq!(card.json()["name"], name);
        // Naming another changes nothing, and where the contract has no such name it is said.
        let other = [
            bearer,
            ("X-Client", "v-200"),
            ("X-Supplier-Id", "V-200"),
            ("X-Forwarded-User", "v-200"),
        ];
        let card = get(at, "/own-card/v1/card", &other).is(200);
        assert_eq!(card.json()["name"], name);
        let asked = get(
            at,
            "/own-card/v1/card?supplier_id=V-200&client=v-200",
            &[bearer],
        );
        assert_eq!(
            (asked.status, asked.problem()),
            (422, "contract".to_owned())
        );
        // The Api by which all suppliers can be named is not theirs.
        get(at, CARD, &[bearer]).is(403);
    }
}

#[test]
fn api1_an_idempotency_key_is_nothing_to_another_client() {
    let mut town = Town::new();
    for desk in ["desk-a", "desk-b"] {
        town.client(
            desk,
            "kind: service\nzone: internal\nscopes: [supplier.read, supplier.write]\nreveal: [financial, pii]",
        );
    }
    let _server = town.serve();
    let at = &town.internal;
    let create = |client: &str, number: &str| {
        let token = town.token(at, client);
        let supplier = json!({ "supplier_id": number, "name": client, "status": "active" });
        let headers = [
            ("Authorization", token.as_str()),
            JSON,
            ("Idempotency-Key", "the-same"),
        ];
        ask(
            at,
            "POST",
            SUPPLIERS,
            &headers,
            supplier.to_string().as_bytes(),
        )
    };
    // Neither the gateway nor the system behind gives one the other's answer.
    for (client, number) in [
        ("desk-a", "V-501"),
        ("desk-b", "V-502"),
        ("desk-a", "V-501"),
    ] {
        let made = create(client, number).is(201);
        assert_eq!(made.json()["supplier_id"], number);
        assert_eq!(made.json()["name"], client);
    }
    assert_eq!(town.hospital.erp_legacy().report().applied, 2);
}

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

// API3:2023 Broken Object Property Level Authorization

#[test]
fn api3_each_sees_the_properties_that_its_file_reveals() {
    let mut town = Town::new();
    town.client(
        "viewer",
        "kind: service\nzone: internal\nscopes: [supplier.read]",
    );
    let _server = town.serve();
    let at = &town.internal;
    for facility in ["north", "south"] {
        let token = town.token(at, "viewer");
        let headers = [("Authorization", token.as_str()), ("X-Facility", facility)];
        let seen = get(at, V100, &headers).is(200).text();
        for hidden in [ACCOUNT, "021000021", "orders@acme", "555-0100", "3456789"] {
            assert!(!seen.contains(hidden), "{hidden}: {seen}");
        }
        let token = town.token(at, "purchasing");
        let headers = [
            ("Authorization", token.as_str()),
            ("X-Facility", facility),
            ("X-Purpose-Of-Use", "payment"),
        ];
        let seen = get(at, V100, &headers).is(200);
        assert_eq!(seen.json()["bank"]["account_number"], ACCOUNT);
    }
    // A made answer is masked by what its parts are, not by what it calls them.
    let token = town.token(&town.partner, "ghx");
    let card = get(&town.partner, CARD, &[("Authorization", &token)]).is(200);
    assert_eq!(card.json()["name"], "Acme Medical");
    assert!(!card.text().contains(ACCOUNT), "{}", card.text());
}

#[test]
fn api3_what_the_contract_does_not_name_is_not_written() {
    let town = Town::new();
    let _server = town.serve();
    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let write = |body: &str| {
        let headers = [
            ("Authorization", token.as_str()),
            ("X-Purpose-Of-Use", "operations"),
            JSON,
        ];
        ask(at, "POST", SUPPLIERS, &headers, body.as_bytes())
    };
    let start = r#"{"supplier_id":"V-601","name":"Mass","status":"active""#;
    let more = [
        r#","approved":true"#,
        r#","_id":"V-100""#,
        r#","__proto__":{"status":"active"}"#,
        r#","bank":{"account_number":"1","limit":1000000}"#,
        r#","contact":[{"email":"a@b"}]"#,
    ];
    for more in more {
        let refused = write(&format!("{start}{more}}}"));
        assert_eq!(
            (refused.status, refused.problem()),
            (422, "contract".to_owned()),
            "{more}"
        );
    }
    // The same property twice: two readers would take two values for it.
    write(&format!(r#"{start},"status":"blocked"}}"#)).is(400);
    write(&format!(r#"{start},"st\u0061tus":"blocked"}}"#)).is(400);
    assert_eq!(town.asked(), [0, 0]);
    write(&format!("{start}}}")).is(201);
}

// API4:2023 Unrestricted Resource Consumption

#[test]
fn api4_size_depth_number_and_pace_have_limits() {
    let mut town = Town::new();
    town.client(
        "eager",
        "kind: service\nzone: internal\nscopes: [supplier.read, supplier.write]\nlimits: { rate: 2/s, burst: 5 }",
    );
    let _server = town.serve();
    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let headers = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![
            ("Authorization", token.as_str()),
            ("X-Purpose-Of-Use", "operations"),
        ];
        all.extend_from_slice(more);
        all
    };
    let send = |body: &[u8]| ask(at, "POST", SUPPLIERS, &headers(&[JSON]), body);

    // The example says 64 KiB and a depth of 16.
    assert_eq!(
        send(&vec![b' '; 70_000]).is(413).problem(),
        "body-too-large"
    );
    let head = format!(
        "POST {SUPPLIERS} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Purpose-Of-Use: operations\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let chunk = format!("2000\r\n{}\r\n", " ".repeat(0x2000));
    let endless = [head.as_str(), &chunk.repeat(12)].concat();
    let counted = Answer::of(&raw(at, endless.as_bytes())).unwrap().is(413);
    assert_eq!(counted.problem(), "body-too-large");
    for body in [
        "[".repeat(17),
        "{\"a\":".repeat(17),
        "[".repeat(60_000),
        format!("[{}1]", "1,".repeat(10_001)),
        format!("{{\"name\":{}1}}", "9".repeat(5_000)),
        format!("{{\"name\":1e{}}}", "9".repeat(400)),
    ] {
        let refused = send(body.as_bytes());
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "not-json".to_owned()),
            "{}",
            &body[..20]
        );
    }
    // Packed bodies are not taken where nobody said so: no bomb needs to be unpacked.
    let packed = ask(
        at,
        "POST",
        SUPPLIERS,
        &headers(&[JSON, ("Content-Encoding", "gzip")]),
        b"\x1f\x8b\x08",
    );
    assert_eq!(packed.is(415).problem(), "media-type");
    assert_eq!(town.asked(), [0, 0]);

    // More than agreed: told when to come again, and not counted against it.
    let eager = town.token(at, "eager");
    let mut seen = Vec::new();
    for _ in 0..12 {
        let answer = get(at, V100, &[("Authorization", &eager)]);
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!(wait >= 1, "{}", answer.head);
            assert!(answer.header("ratelimit").is_some(), "{}", answer.head);
        }
        seen.push(answer.status);
    }
    assert_eq!(seen[..5], [200; 5], "{seen:?}");
    assert!(seen.contains(&429), "{seen:?}");
    // Another client does not feel it.
    get(at, V100, &headers(&[])).is(200);
}

// API5:2023 Broken Function Level Authorization

#[test]
fn api5_functions_open_by_scope_and_nothing_else() {
    let mut town = Town::new();
    town.client(
        "reader",
        "kind: service\nzone: internal\nscopes: [supplier.read]\nroles: [administrator]",
    );
    let _server = town.serve();
    let at = &town.internal;
    let reader = town.token(at, "reader");
    let body = br#"{"supplier_id":"V-701","name":"New","status":"active"}"#;
    get(at, V100, &[("Authorization", &reader)]).is(200);
    let before = town.asked();
    ask(
        at,
        "POST",
        SUPPLIERS,
        &[("Authorization", &reader), JSON],
        body,
    )
    .is(403);

    // Less was asked for than is granted: then less is what the token opens.
    let narrow = town.token_for(at, "purchasing", "&scope=supplier.read");
    let purpose = ("X-Purpose-Of-Use", "operations");
    ask(
        at,
        "POST",
        SUPPLIERS,
        &[("Authorization", &narrow), JSON, purpose],
        body,
    )
    .is(403);
    // More was asked for: the token is refused or has no more than was granted.
    let more = token_request(
        at,
        &town.form(at, "reader", "&scope=supplier.read+supplier.write+admin"),
    );
    if more.status == 200 {
        assert_eq!(more.json()["scope"], "supplier.read");
    }

    // A method that is not declared is not there, however it is asked for.
    for method in [
        "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "get",
    ] {
        let refused = ask(at, method, V100, &[("Authorization", &reader)], b"");
        assert!(
            [400, 405].contains(&refused.status),
            "{method} {}",
            refused.head
        );
        if refused.status == 405 {
            assert!(
                refused.header("allow").unwrap().contains("GET"),
                "{}",
                refused.head
            );
        }
    }
    for name in [
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-HTTP-Method",
    ] {
        let asked = get(at, V100, &[("Authorization", &reader), (name, "DELETE")]).is(200);
        assert_eq!(asked.json()["supplier_id"], "V-100");
    }
    assert_eq!(
        town.asked()[0],
        before[0] + 3,
        "only what was permitted arrived"
    );

    // Other spellings of a path are other paths or none.
    let partner = town.token(&town.partner, "ghx");
    for path in [
        "/supplier-portal/v1/../../supplier-master/v1/suppliers/V-100",
        "/supplier-portal/v1/%2e%2e/%2e%2e/supplier-master/v1/suppliers/V-100",
        "/supplier-portal/v1/..;/supplier-master/v1/suppliers/V-100",
        "//supplier-master/v1/suppliers/V-100",
        "/SUPPLIER-MASTER/v1/suppliers/V-100",
        "/supplier-master/v1/suppliers/V-100",
        "/supplier-master%2fv1/suppliers/V-100",
        "/supplier-master/v1/suppliers/V-100/",
        "/supplier-master/v1/suppliers/V-100%00",
    ] {
        let refused = get(&town.partner, path, &[("Authorization", &partner)]);
        assert!(
            [400, 404].contains(&refused.status),
            "{path} {}",
            refused.head
        );
    }
    assert_eq!(town.asked()[0], before[0] + 3);
}

// API6:2023 Unrestricted Access to Sensitive Business Flows

#[test]
fn api6_a_quota_holds_over_a_restart_and_is_not_spent_by_refusals() {
    let mut town = Town::new();
    town.client(
        "buyer",
        "kind: service\nzone: internal\nscopes: [supplier.read, supplier.write]\nlimits: { quota: 3/day }",
    );
    let create = |town: &Town, number: &str| {
        let token = town.token(&town.internal, "buyer");
        let body = json!({ "supplier_id": number, "name": "Bot", "status": "active" }).to_string();
        let headers = [("Authorization", token.as_str()), JSON];
        ask(&town.internal, "POST", SUPPLIERS, &headers, body.as_bytes())
    };
    let server = town.serve();
    create(&town, "V-801").is(201);
    create(&town, "V-802").is(201);
    // Two seconds, so that the counts are kept whatever happens; a stop keeps them as well.
    server.stop();
    let server = town.serve();
    create(&town, "V-803").is(201);
    let refused = create(&town, "V-804").is(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 0 && wait <= 86_400, "{}", refused.head);
    // Nobody else pays for it.
    let other = town.token(&town.internal, "purchasing");
    let headers = [
        ("Authorization", other.as_str()),
        ("X-Purpose-Of-Use", "payment"),
    ];
    get(&town.internal, V100, &headers).is(200);
    assert_eq!(town.hospital.erp_legacy().report().applied, 3);
    server.stop();
}

// API7:2023 Server Side Request Forgery

#[test]
fn api7_no_value_of_a_request_leads_elsewhere() {
    let secret = Stub::start(|_| http("200 OK", "content-type: application/json\r\n", "{}"));
    let town = Town::new();
    // A system whose address others supply may lie outside only.
    let inner = secret.address.replace("127.0.0.1", "localhost");
    town.house.write(
        "systems/outside.yaml",
        format!(
            "system: outside\nowner: tests\nconnections:\n  api:\n    http: {{ url: \"https://{inner}\", reach: public }}\n\
             operations:\n  get-supplier:\n    http: {{ connection: api, get: \"/x/{{supplier_id}}\" }}\n    returns: supplier\n"
        )
        .as_bytes(),
    );
    town.house.write(
        "apis/outside.yaml",
        b"api: outside-suppliers\nowner: tests\nlayer: system\nversion: 1.0.0\nstate: published\noperations:\n  \
          get-supplier: { get: \"/suppliers/{supplier_id}\", returns: supplier, scope: supplier.read }\n\
          bindings: [{ system: outside }]\n",
    );
    let _server = town.serve();
    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let headers = [
        ("Authorization", token.as_str()),
        ("X-Purpose-Of-Use", "operations"),
    ];
    let refused = get(at, "/outside-suppliers/v1/suppliers/V-1", &headers).is(503);
    assert_eq!(refused.problem(), "unreachable");
    assert_eq!(secret.asked(), 0, "an inner address was asked");

    // What stands in the path stays in the path.
    let aims = [
        "@ADDRESS",
        "http:%2f%2fADDRESS",
        "%2f%2fADDRESS%2f",
        "..%2f_fault",
        "V-100%23",
        "V-100%3fx=1",
        "%0d%0aHost:%20ADDRESS",
        "V-100%20HTTP%2f1.1%0d%0aX:%20y",
        "%5c%5cADDRESS",
        "V-100;ADDRESS",
    ];
    for aim in aims {
        let path = format!("{SUPPLIERS}/{}", aim.replace("ADDRESS", &secret.address));
        let answer = get(at, &path, &headers);
        assert!(
            [400, 404, 422].contains(&answer.status),
            "{path} {}",
            answer.head
        );
    }
    // Nor does a request that names a host, in its head or in its line.
    let host = format!(
        "GET {V100} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-Host: {0}\r\nForwarded: host={0}\r\n\
                        Authorization: {token}\r\nX-Purpose-Of-Use: operations\r\nConnection: close\r\n\r\n",
        secret.address
    );
    Answer::of(&raw(at, host.as_bytes())).unwrap().is(200);
    let line = format!(
        "GET http://{}/ HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n",
        secret.address
    );
    Answer::of(&raw(at, line.as_bytes())).unwrap().is(404);
    assert_eq!(secret.asked(), 0);
}

// API8:2023 Security Misconfiguration

#[test]
fn api8_nothing_is_open_that_no_file_opens() {
    let town = Town::new();
    let server = town.serve();
    // No default credential, and nothing of the console at the doors of data.
    let console = server.address("console").replace("http://", "");
    let console = console.split('/').next().unwrap().to_owned();
    for path in [
        "/",
        "/api/overview",
        "/api/audit",
        "/_fault",
        "/metrics",
        "/debug",
        "/admin",
        "/actuator",
        "/.env",
    ] {
        for at in [&town.internal, &town.partner] {
            get(at, path, &[]).is(404);
        }
    }
    for headers in [
        &[][..],
        &[("Authorization", "Bearer admin")],
        &[("Authorization", "Basic YWRtaW46YWRtaW4=")],
    ] {
        let refused = get(&console, "/api/overview", headers);
        assert!([401, 403].contains(&refused.status), "{}", refused.head);
    }

    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let bearer = ("Authorization", token.as_str());
    let purpose = ("X-Purpose-Of-Use", "payment");
    let answers = [
        get(
            at,
            V100,
            &[bearer, purpose, ("Origin", "https://evil.example")],
        )
        .is(200),
        get(at, V100, &[("Origin", "null")]).is(401),
        get(at, "/nothing", &[("Origin", "https://evil.example")]).is(404),
        ask(
            at,
            "OPTIONS",
            V100,
            &[
                ("Origin", "https://evil.example"),
                ("Access-Control-Request-Method", "GET"),
            ],
            b"",
        )
        .is(405),
        ask(at, "TRACE", "/", &[bearer], b"").is(404),
    ];
    for answer in &answers {
        // No page of another origin may read it, nothing says what runs here, nothing is echoed.
        for name in [
            "access-control-allow-origin",
            "server",
            "x-powered-by",
            "via",
        ] {
            assert_eq!(answer.header(name), None, "{}", answer.head);
        }
        assert!(
            answer.header("x-correlation-id").is_some(),
            "{}",
            answer.head
        );
        for word in [
            "panicked",
            "src/",
            "rust",
            "hyper",
            "127.0.0.1",
            "erp-legacy",
            "evil.example",
        ] {
            assert!(!answer.text().contains(word), "{word}: {}", answer.text());
        }
    }
    for answer in &answers[1..] {
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{}",
            answer.head
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
    let issued = token_request(at, &town.form(at, "purchasing", "")).is(200);
    assert_eq!(issued.header("cache-control"), Some("no-store"));

    // Entities are JSON: nothing of XML is read, so no entity of XML is either.
    let xxe =
        br#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>"#;
    for kind in [
        "text/xml",
        "application/xml",
        "application/soap+xml",
        "text/html",
        "multipart/form-data",
    ] {
        let refused = ask(
            at,
            "POST",
            SUPPLIERS,
            &[bearer, purpose, ("Content-Type", kind)],
            xxe,
        );
        assert_eq!(refused.is(415).problem(), "media-type");
    }
    let lied = ask(at, "POST", SUPPLIERS, &[bearer, purpose, JSON], xxe).is(400);
    assert!(!lied.text().contains("root:"), "{}", lied.text());
    server.stop();

    // A door that others can reach and that has no TLS does not open.
    let open = Town::new();
    open.edit("wardline.yaml", &open.partner, "0.0.0.0:0");
    let estate = open.house.estate();
    open.house.run(&["check", estate.to_str().unwrap()]).ends(1);
}

// API9:2023 Improper Inventory Management

#[test]
fn api9_only_what_is_declared_and_published_answers() {
    let town = Town::new();
    let operations = "operations:\n  get-supplier: { get: \"/suppliers/{supplier_id}\", returns: supplier, scope: supplier.read }\n";
    let end = "deprecated: 2026-01-01\nsunset: 2099-01-01\nsuccessor: supplier-master\n";
    for (name, state, more) in [
        ("draft-suppliers", "draft", ""),
        ("reviewed-suppliers", "in-review", ""),
        ("old-suppliers", "deprecated", end),
        ("gone-suppliers", "retired", ""),
    ] {
        town.house.write(
            &format!("apis/{name}.yaml"),
            format!(
                "api: {name}\nowner: tests\nlayer: system\nversion: 1.0.0\nstate: {state}\n{more}{operations}bindings: [{{ system: erp-legacy }}]\n"
            )
            .as_bytes(),
        );
    }
    let _server = town.serve();
    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let headers = [
        ("Authorization", token.as_str()),
        ("X-Purpose-Of-Use", "payment"),
    ];
    for name in [
        "draft-suppliers",
        "reviewed-suppliers",
        "gone-suppliers",
        "supplier-master-test",
        "supplier-master/v2",
        "supplier-master/v0",
    ] {
        let path = format!("/{name}/v1/suppliers/V-100");
        get(at, &path, &headers).is(404);
        get(at, &format!("/{name}/v1/openapi.json"), &headers).is(404);
    }
    for path in [
        "/supplier-master/suppliers/V-100",
        "/supplier-master/v1",
        "/supplier-master/v1/",
        "/supplier-master/v1/suppliers/V-100/bank",
        "/swagger.json",
        "/v1/suppliers/V-100",
    ] {
        get(at, path, &headers).is(404);
    }
    // What ends says so with every answer, refusals included.
    for answer in [
        get(at, "/old-suppliers/v1/suppliers/V-100", &headers).is(200),
        get(at, "/old-suppliers/v1/suppliers/V-100", &[]).is(401),
    ] {
        assert!(
            answer
                .header("deprecation")
                .is_some_and(|at| at.starts_with('@')),
            "{}",
            answer.head
        );
        assert!(
            answer
                .header("sunset")
                .is_some_and(|at| at.ends_with("GMT")),
            "{}",
            answer.head
        );
        assert!(
            answer
                .header("link")
                .is_some_and(|to| to.contains("supplier-master/v1")),
            "{}",
            answer.head
        );
    }
    // The inventory and the documents say the same as the doors.
    let listed = town.house.run(&["api", "list"]).ends(0).out;
    for line in [
        "old-suppliers/v1.get-supplier",
        "deprecated",
        "draft-suppliers/v1.get-supplier",
    ] {
        assert!(listed.contains(line), "{line}\n{listed}");
    }
    let document = get(at, "/supplier-master/v1/openapi.json", &[])
        .is(200)
        .json();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        ["/suppliers", "/suppliers/{supplier_id}"]
            .iter()
            .collect::<Vec<_>>()
    );
}

// API10:2023 Unsafe Consumption of APIs

#[test]
fn api10_what_a_system_says_is_not_taken_on_trust() {
    let elsewhere = Stub::start(|_| http("200 OK", "content-type: application/json\r\n", "{}"));
    let target = elsewhere.address.clone();
    let json = "content-type: application/json\r\n";
    let good = r#"{"supplier_id":"V-1","name":"Good","status":"active"}"#;
    let stub = Stub::start(move |line| {
        let number = line
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        match number {
            "good" | "health" => http("200 OK", json, good),
            "other" => http("200 OK", json, r#"{"supplier_id":"V-1","name":"Other","status":"active","internal_note":"margin 40%"}"#),
            "lacking" => http("200 OK", json, r#"{"supplier_id":"V-1"}"#),
            "half" => http("200 OK", json, r#"{"supplier_id":"V-1","name":"#),
            "html" => http("200 OK", "content-type: text/html\r\n", "<h1>maintenance</h1>"),
            "empty" => http("200 OK", json, ""),
            "huge" => http("200 OK", json, &format!(r#"{{"supplier_id":"V-1","name":"{}","status":"active"}}"#, "x".repeat(5 << 20))),
            "moved" => http("302 Found", &format!("location: http://{target}/inner\r\n"), ""),
            "kept" => http("307 Temporary Redirect", &format!("location: http://{target}/inner\r\n"), ""),
            "trace" => http("500 Internal Server Error", "content-type: text/plain\r\n", "java.lang.NullPointerException at com.erp.Vendor"),
            "teapot" => http("418 I'm a teapot", "content-type: text/plain\r\n", "short and stout"),
            "missing" => http("404 Not Found", "content-type: text/html\r\n", "no vendor in table LFA1"),
            "proof" => http("401 Unauthorized", "www-authenticate: Basic realm=\"erp\"\r\n", ""),
            "cookie" => http("200 OK", &format!("{json}x-debug: LFA1\r\n"), good),
            "framed" => b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            "junk" => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            _ => Vec::new(),
        }
    });
    let town = Town::new();
    town.edit(
        "systems/erp-cloud.yaml",
        &town.hospital.erp_cloud().address().to_string(),
        &stub.address,
    );
    town.edit(
        "apis/supplier-master.yaml",
        "    timeout: 5s\n",
        "    timeout: 1s\n    validate: { response: strict }\n",
    );
    town.edit(
        "apis/supplier-master.yaml",
        "shadow: { system: erp-cloud, sample: 10%, compare: [name, status, payment_terms] }\n",
        "",
    );
    // Failures of one number must not close the way for the others of this table.
    town.edit(
        "systems/erp-cloud.yaml",
        "open_after: 5",
        "open_after: 1000",
    );
    let _server = town.serve();
    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let headers = [
        ("Authorization", token.as_str()),
        ("X-Purpose-Of-Use", "payment"),
        ("X-Facility", "south"),
    ];
    let read = |number: &str| get(at, &format!("{SUPPLIERS}/{number}"), &headers);
    assert_eq!(read("good").is(200).json()["name"], "Good");
    assert_eq!(read("cookie").is(200).json()["name"], "Good");
    let cases = [
        ("other", 502),
        ("lacking", 502),
        ("half", 502),
        ("html", 502),
        ("empty", 502),
        ("huge", 502),
        ("moved", 502),
        ("kept", 502),
        ("trace", 502),
        ("teapot", 422),
        ("missing", 404),
        ("proof", 502),
        ("framed", 502),
        ("junk", 502),
        ("silent", 504),
    ];
    for (number, status) in cases {
        let answer = read(number);
        assert_eq!(
            answer.status,
            status,
            "{number} {} {}",
            answer.head,
            answer.text()
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{number}"
        );
        for name in ["location", "www-authenticate", "set-cookie"] {
            assert_eq!(answer.header(name), None, "{number} {}", answer.head);
        }
        for word in [
            "margin",
            "maintenance",
            "java",
            "stout",
            "LFA1",
            "erp",
            "xxxx",
            stub.address.as_str(),
        ] {
            assert!(
                !answer.text().contains(word),
                "{number}: {word} in {}",
                answer.text()
            );
        }
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect was followed");
}

#[test]
fn api10_a_system_that_fails_stays_its_own_trouble() {
    let town = Town::new();
    let _server = town.serve();
    let at = &town.internal;
    let token = town.token(at, "purchasing");
    let ask = |facility: &str| {
        let headers = [
            ("Authorization", token.as_str()),
            ("X-Purpose-Of-Use", "payment"),
            ("X-Facility", facility),
        ];
        get(at, V100, &headers)
    };
    town.hospital
        .erp_cloud()
        .set_fault(Fault::unavailable())
        .unwrap();
    for _ in 0..8 {
        let refused = ask("south");
        assert!([502, 503].contains(&refused.status), "{}", refused.head);
    }
    // The other one is not affected, and the first is back by itself once it is well.
    ask("north").is(200);
    town.hospital.erp_cloud().heal();
    let end = Instant::now() + house::PATIENCE;
    while ask("south").status != 200 {
        assert!(Instant::now() < end, "it never came back");
        std::thread::sleep(Duration::from_millis(100));
    }
}
