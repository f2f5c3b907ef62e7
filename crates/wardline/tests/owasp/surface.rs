//! What is there at all: where requests may lead (API7), what is open (API8), what is served (API9).

use crate::town::{Answer, SUPPLIERS, Stub, Town, ask, http, raw, token_request};
use crate::{JSON, V100, get};

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
        // By another name than its own it does not answer at all.
        get(&console, "/api/overview", headers).is(421);
        let lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!(
            "GET /api/overview HTTP/1.1\r\nHost: {console}\r\n{}Connection: close\r\n\r\n",
            lines.concat()
        );
        let refused = Answer::of(&raw(&console, request.as_bytes())).unwrap();
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
    open.house
        .run(&["check", estate.to_str().unwrap()])
        .says(&["W1405"]);
    open.house.run(&["serve"]).ends(3).explains(&["not https"]);
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
