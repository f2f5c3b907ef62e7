//! How much, and how often: resources (API4) and business flows (API6).

use crate::town::{Answer, SUPPLIERS, Town, ask, raw};
use crate::{JSON, V100, get};
use serde_json::json;

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
