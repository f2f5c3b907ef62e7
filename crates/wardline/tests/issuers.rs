//! Tokens of an identity provider that others wrote (npm `oauth2-mock-server`), which is slow,
//! changes its keys, and dies: none of that refuses a valid token.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/systems.rs"]
mod systems;

use house::{House, PATIENCE, follow, free_address};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use systems::{Answer, SUPPLIER_PATH, add_below, ask, example};

/// The provider, in a process of its own.
struct Issuer {
    child: Child,
    lines: Receiver<String>,
    url: String,
}

impl Issuer {
    /// At a port; `None` where the peers are not installed and that is allowed.
    fn at(port: &str) -> Option<Self> {
        let modules = house::node_modules("oauth2-mock-server")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/issuer.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(modules)
            .arg(port)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = follow(child.stdout.take().unwrap());
        let url = lines.recv_timeout(PATIENCE).unwrap();
        Some(Self { child, lines, url })
    }

    fn do_(&mut self, command: &Value) -> String {
        let pipe = self.child.stdin.as_mut().unwrap();
        writeln!(pipe, "{command}").unwrap();
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    fn token(&mut self, claims: &Value) -> String {
        let mut all = json!({ "aud": "wardline", "azp": "erp-app", "scope": "supplier.read" });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let token = self.do_(&json!({ "verb": "token", "claims": all }));
        format!("Bearer {token}")
    }

    fn fetches(&mut self) -> u32 {
        self.do_(&json!({ "verb": "fetches" })).parse().unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

const CLIENT: &str = "client: analytics
title: Analytics
owner: supply-chain
kind: service
zone: internal
auth: { issuer: { name: login, claim: azp, equals: erp-app } }
scopes: [supplier.read]
purpose: [operations]
";

/// The example with a provider at this port of this machine.
fn estate(port: &str) -> (House, String) {
    let (house, internal, _) = example();
    let issuer = format!(
        "  issuers:\n    login: {{ url: \"http://localhost:{port}\", audience: wardline, algorithms: [ES256] }}\n"
    );
    add_below(&house, "identity", &issuer);
    house.write("clients/analytics.yaml", CLIENT.as_bytes());
    (house, internal)
}

/// One call; where it is one more than agreed in this second, again a moment later.
fn call(at: &str, token: &str) -> Answer {
    loop {
        let answer = ask(at, "GET", SUPPLIER_PATH, &[("Authorization", token)], "");
        if answer.status != 429 {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn passes(at: &str, token: &str, house: &House, what: &str) {
    let answer = call(at, token);
    assert_eq!(
        answer.status,
        200,
        "{what}: {}\n{}\n{}",
        answer.head,
        answer.text,
        house.log()
    );
}

fn free_port() -> String {
    free_address().rsplit(':').next().unwrap().to_owned()
}

#[test]
fn a_provider_that_is_slow_rotates_or_dies_refuses_no_valid_token() {
    let port = free_port();
    let Some(mut issuer) = Issuer::at(&port) else {
        return;
    };
    assert_eq!(issuer.url, format!("http://localhost:{port}"));
    let (house, internal) = estate(&port);
    let server = house.serve();
    let first = issuer.token(&json!({}));
    passes(&internal, &first, &house, "its keys are discovered");

    // Whose token, and for whom, is looked at as always.
    for claims in [
        json!({ "azp": "other" }),
        json!({ "aud": "elsewhere" }),
        json!({ "exp": 1 }),
        json!({ "iss": "http://localhost:1" }),
    ] {
        let token = issuer.token(&claims);
        assert_eq!(call(&internal, &token).status, 401, "{claims}");
    }
    let few = issuer.token(&json!({ "scope": "openid" }));
    assert_eq!(call(&internal, &few).status, 403, "it brings no scope");

    // It changes its key without notice: the first token that names the new one makes us ask.
    issuer.fetches();
    issuer.do_(&json!({ "verb": "rotate", "kid": "k2" }));
    let second = issuer.token(&json!({}));
    passes(&internal, &second, &house, "a new key is asked for");
    // And made-up ones do not make us ask again within the minute.
    for n in 0..100 {
        issuer.do_(&json!({ "verb": "rotate", "kid": format!("storm-{n}") }));
        let token = issuer.token(&json!({}));
        assert_eq!(call(&internal, &token).status, 401);
    }
    let fetches = issuer.fetches();
    assert!(fetches <= 1, "{fetches} fetches within a minute");

    // Slow as a glacier, then dead; then we start again while it is dead.
    issuer.do_(&json!({ "verb": "slow", "ms": 30_000 }));
    for n in 0..50 {
        passes(&internal, &second, &house, &format!("slow, call {n}"));
    }
    drop(issuer);
    for n in 0..50 {
        passes(&internal, &second, &house, &format!("dead, call {n}"));
    }
    server.stop();
    let server = house.serve();
    for n in 0..50 {
        passes(&internal, &second, &house, &format!("restarted, call {n}"));
    }
    server.stop();
    let audit = house
        .run(&["audit", "list", "--json", "--limit", "500"])
        .ends(0)
        .out;
    assert!(audit.contains("issuer-keys.fetch"), "{audit}");
}

#[test]
fn before_its_keys_were_ever_had_a_token_is_put_off_and_not_refused() {
    let port = free_port();
    let Some(mut issuer) = Issuer::at(&port) else {
        return;
    };
    let token = issuer.token(&json!({}));
    let (house, internal) = estate(&port);
    drop(issuer);
    let server = house.serve();
    let answer = call(&internal, &token);
    assert_eq!(answer.status, 503, "{} {}", answer.head, answer.text);
    assert!(answer.header("retry-after").is_some(), "{}", answer.head);
    assert_eq!(answer.json()["type"], "urn:wardline:problem:keys-away");
    // No credential at all is refused as ever.
    assert_eq!(ask(&internal, "GET", SUPPLIER_PATH, &[], "").status, 401);

    // It comes, with another key of the same house; nobody has to do anything.
    let Some(mut issuer) = Issuer::at(&port) else {
        return;
    };
    let token = issuer.token(&json!({}));
    let end = Instant::now() + PATIENCE;
    while call(&internal, &token).status != 200 {
        assert!(Instant::now() < end, "{}", house.log());
        std::thread::sleep(Duration::from_millis(500));
    }
    server.stop();
}

#[test]
fn keys_that_are_not_behind_https_are_refused_by_check() {
    let (house, _, _) = example();
    let issuer = "  issuers:\n    login: { url: \"http://login.example\", audience: wardline }\n";
    add_below(&house, "identity", issuer);
    house
        .run(&["check", house.estate().to_str().unwrap(), "--offline"])
        .ends(1)
        .explains_or_says("keys are fetched over `https` only");
}
