//! Webhooks both ways against PyPI `standardwebhooks`, through the real binary: it signs what
//! comes in and verifies what goes out. `cargo xtask peers` installs it; without it the test says so
//! and skips, and fails where `CI` is set.

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
fn peer(python: &Path, words: [&str; 2], input: &str) -> Option<Value> {
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
    let mut stream = TcpStream::connect(address).unwrap();
    let lines: Vec<String> = headers
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
        .collect();
    let headers = lines.concat();
    let request = format!(
        "POST /hr HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\
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
        ["sign", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        body,
    );
    assert!(post(&address, &strange.unwrap(), body).starts_with("HTTP/1.1 401"));
    let signed = peer(&python, ["sign", OLD], body).unwrap();
    assert!(post(&address, &signed, "{\"a\":2}").starts_with("HTTP/1.1 401"));
    let taken = post(&address, &signed, body);
    assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");

    let (headers, body) = one_request(&receiver);
    for secret in [NEW, OLD] {
        let given = json!({ "headers": headers, "body": body });
        let read = peer(&python, ["verify", secret], &given.to_string());
        assert_eq!(read, Some(json!({ "a": 1 })), "{headers}");
        let changed = json!({ "headers": headers, "body": "{\"a\":9}" });
        assert_eq!(
            peer(&python, ["verify", secret], &changed.to_string()),
            None
        );
    }
    server.stop();
}
