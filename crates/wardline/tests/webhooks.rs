//! Webhooks both ways against PyPI `standardwebhooks`, through the real binary: it signs what
//! comes in and verifies what goes out; asymmetric ones against PyPI `cryptography`, and those of
//! vendors against Python's own HMAC. `cargo xtask peers` installs what they need; without it the
//! tests say so and skip, and fail where `CI` is set.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use house::{House, PATIENCE};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Runs the peer; what it printed, where it ended well.
fn peer(python: &Path, words: &[&str], input: &str) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/webhook_sign.py");
    let mut child = Command::new(python)
        .arg(script)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout).unwrap())
}

fn secret(house: &House, name: &str, value: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = house.write(&format!("secrets/{name}"), value.as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn post(address: &str, headers: &Value, body: &str) -> String {
    post_to(address, "/hr", headers, body)
}

fn post_to(address: &str, path: &str, headers: &Value, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let lines: Vec<String> = headers
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
        .collect();
    let headers = lines.concat();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The one request that arrives, and an answer to it.
fn one_request(listener: &TcpListener) -> (Value, String) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "the request ended early");
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let headers: serde_json::Map<String, Value> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), json!(value)))
            .collect();
        let length: usize = headers["content-length"].as_str().unwrap().parse().unwrap();
        if body.len() == length {
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            return (Value::Object(headers), body.to_owned());
        }
    }
}

#[test]
fn python_signs_for_us_and_verifies_ours() {
    let Some(python) = house::python("standardwebhooks") else {
        return;
    };
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: hooks\nkeys: { provider: file, path: ./keys }\nlisteners:\n  \
             console: { zone: admin, bind: \"127.0.0.1:0\" }\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n",
        ),
        (
            "systems/hr.yaml",
            "system: hr\nowner: it\nconnections:\n  events:\n    \
             http: { listen: internal, post: \"/hr\", auth: { webhook: [secret:in/new, secret:in/old] } }\n    \
             sensitivity: internal\n",
        ),
        (
            "systems/hook.yaml",
            &format!(
                "system: hook\nowner: it\nconnections:\n  out:\n    \
                 http: {{ url: \"http://{}/\", webhook: {{ secret: secret:out/new, previous: secret:out/old }} }}\n    \
                 sensitivity: internal\n",
                receiver.local_addr().unwrap()
            ),
        ),
        (
            "flows/all.yaml",
            "flow: all\nowner: it\nfrom: hr.events\nto:\n  - { send: hook.out }\n",
        ),
    ]);
    for (name, value) in [
        ("in/new", NEW),
        ("in/old", OLD),
        ("out/new", NEW),
        ("out/old", OLD),
    ] {
        secret(&house, name, value);
    }
    let server = house.serve();
    let address = server.address("hr.events");
    let body = "{\"a\":1}";
    let strange = peer(
        &python,
        &["sign", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        body,
    );
    assert!(post(&address, &strange.unwrap(), body).starts_with("HTTP/1.1 401"));
    let signed = peer(&python, &["sign", OLD], body).unwrap();
    assert!(post(&address, &signed, "{\"a\":2}").starts_with("HTTP/1.1 401"));
    let taken = post(&address, &signed, body);
    assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");

    let (headers, body) = one_request(&receiver);
    for secret in [NEW, OLD] {
        let given = json!({ "headers": headers, "body": body });
        let read = peer(&python, &["verify", secret], &given.to_string());
        assert_eq!(read, Some(json!({ "a": 1 })), "{headers}");
        let changed = json!({ "headers": headers, "body": "{\"a\":9}" });
        assert_eq!(
            peer(&python, &["verify", secret], &changed.to_string()),
            None
        );
    }
    server.stop();
}

const SEED: &str = "whsk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// Its public half, computed by PyPI `cryptography`.
const PUBLIC: &str = "whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";

#[test]
fn asymmetric_signatures_stand_beside_shared_ones() {
    let Some(python) = house::python("standardwebhooks, cryptography") else {
        return;
    };
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let house = House::new(&[
        ("wardline.yaml", WARDLINE),
        (
            "systems/hr.yaml",
            "system: hr\nowner: it\nconnections:\n  events:\n    \
             http: { listen: internal, post: \"/hr\", auth: { webhook: [secret:in/theirs, secret:in/shared] } }\n    \
             sensitivity: internal\n",
        ),
        (
            "systems/hook.yaml",
            &format!(
                "system: hook\nowner: it\nconnections:\n  out:\n    \
                 http: {{ url: \"http://{}/\", webhook: {{ secret: secret:out/own, previous: secret:out/shared }} }}\n    \
                 sensitivity: internal\n",
                receiver.local_addr().unwrap()
            ),
        ),
        (
            "flows/all.yaml",
            "flow: all\nowner: it\nfrom: hr.events\nto:\n  - { send: hook.out }\n",
        ),
    ]);
    for (name, value) in [
        ("in/theirs", PUBLIC),
        ("in/shared", OLD),
        ("out/own", SEED),
        ("out/shared", NEW),
    ] {
        secret(&house, name, value);
    }
    let server = house.serve();
    let address = server.address("hr.events");
    let body = "{\"a\":1}";
    let other = "whsk_CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    let strange = peer(&python, &["sign-own", other], body).unwrap();
    assert!(post(&address, &strange, body).starts_with("HTTP/1.1 401"));
    let signed = peer(&python, &["sign-own", SEED], body).unwrap();
    assert!(post(&address, &signed, "{\"a\":2}").starts_with("HTTP/1.1 401"));
    assert!(post(&address, &signed, body).starts_with("HTTP/1.1 202"));
    let shared = peer(&python, &["sign", OLD], body).unwrap();
    assert!(post(&address, &shared, body).starts_with("HTTP/1.1 202"));

    // Receivers of either kind verify the same request.
    let (headers, body) = one_request(&receiver);
    let given = json!({ "headers": headers, "body": body }).to_string();
    let changed = json!({ "headers": headers, "body": "{\"a\":9}" }).to_string();
    for (how, key) in [("verify-own", PUBLIC), ("verify", NEW)] {
        assert_eq!(
            peer(&python, &[how, key], &given),
            Some(json!({ "a": 1 })),
            "{how} {headers}"
        );
        assert_eq!(peer(&python, &[how, key], &changed), None, "{how}");
    }
    drop(one_request(&receiver));
    server.stop();
}

const WARDLINE: &str = "estate: hooks\nkeys: { provider: file, path: ./keys }\nlisteners:\n  \
     console: { zone: admin, bind: \"127.0.0.1:0\" }\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n";

/// How vendors sign, as their documentation says it and an estate declares it.
const VENDORS: &[(&str, bool, &str)] = &[
    (
        "github",
        false,
        "header: X-Hub-Signature-256, prefix: \"sha256=\"",
    ),
    (
        "shopify",
        false,
        "header: X-Shopify-Hmac-Sha256, encoding: base64",
    ),
    (
        "slack",
        true,
        "header: X-Slack-Signature, prefix: \"v0=\", timestamp: X-Slack-Request-Timestamp, signs: \"v0:{timestamp}:{body}\"",
    ),
    (
        "stripe",
        true,
        "header: Stripe-Signature, fields: { signature: v1, timestamp: t }",
    ),
];

#[test]
fn vendors_are_believed_as_they_sign_and_nobody_else() {
    let Some(python) = house::python("json") else {
        return;
    };
    let connections: String = VENDORS
        .iter()
        .map(|(name, _, declared)| {
            format!(
                "  {name}:\n    http: {{ listen: internal, post: \"/{name}\", auth: {{ hmac: {{ secret: secret:vendor, {declared} }} }} }}\n    sensitivity: internal\n"
            )
        })
        .collect();
    let flows: Vec<String> = VENDORS
        .iter()
        .map(|(name, ..)| {
            format!("flow: {name}\nowner: it\nfrom: vendor.{name}\nto:\n  - {{ send: vendor.nowhere }}\n")
        })
        .collect();
    let house = House::new(&[
        ("wardline.yaml", WARDLINE),
        (
            "systems/vendor.yaml",
            &format!(
                "system: vendor\nowner: it\nconnections:\n{connections}  nowhere: {{ null: {{}} }}\n"
            ),
        ),
        ("flows/all.yaml", &flows.join("---\n")),
    ]);
    let key = "a key that a vendor showed once";
    secret(&house, "vendor", key);
    let server = house.serve();
    let body = r#"{"action":"opened","umlaut":"ü"}"#;
    for (name, timed, _) in VENDORS {
        let (address, path) = (
            server.address(&format!("vendor.{name}")),
            format!("/{name}"),
        );
        let signed = |key: &str, more: &[&str]| {
            let words = [&[*name, key], more].concat();
            peer(&python, &words, body).unwrap()
        };
        let status = |headers: &Value, body: &str| {
            let answer = post_to(&address, &path, headers, body);
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        let right = signed(key, &[]);
        assert_eq!(status(&right, body), "202", "{name} {right}");
        assert_eq!(
            status(&right, &body.replace("opened", "closed")),
            "401",
            "{name}"
        );
        assert_eq!(
            status(&signed("another key of enough length", &[]), body),
            "401",
            "{name}"
        );
        assert_eq!(status(&json!({}), body), "401", "{name}");
        if *timed {
            // Signed by the vendor, and seen once before.
            assert_eq!(status(&signed(key, &["1700000000"]), body), "401", "{name}");
        }
    }
    server.stop();
}
