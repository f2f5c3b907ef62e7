//! What is in requests and answers: properties (API3), and what systems say (API10).

use crate::house::PATIENCE;
use crate::town::{ACCOUNT, SUPPLIERS, Stub, Town, ask, http};
use crate::{CARD, JSON, V100, get};
use std::time::{Duration, Instant};
use wardline_sim::Fault;

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
    let end = Instant::now() + PATIENCE;
    while ask("south").status != 200 {
        assert!(Instant::now() < end, "it never came back");
        std::thread::sleep(Duration::from_millis(100));
    }
}
