//! A client's name that leads outside when its webhook is declared and inside a moment later: DNS
//! rebinding, against a real name server (PyPI `dnslib`) in a network of the test's own.
//!
//! The test runs itself again in new namespaces (`unshare`), where it may change what names mean and
//! may have 8.8.8.8 for itself. Where that is not permitted it says so and skips; where `CI` is set
//! it fails.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/authority.rs"]
mod authority;
#[path = "peers/house.rs"]
mod house;
#[path = "peers/receiver.rs"]
mod receiver;

use authority::Authority;
use house::{House, follow};
use receiver::Receiver;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set within the namespaces.
const INSIDE: &str = "WARDLINE_TEST_NAMESPACES";
const NAME: &str = "hooks.acme.example";

#[test]
fn a_name_that_changes_its_mind_leads_nowhere() {
    let Some(python) = house::python("dnslib, standardwebhooks") else {
        return;
    };
    if std::env::var_os(INSIDE).is_some() {
        within(&python);
        return;
    }
    let possible = Command::new("unshare")
        .args(["-r", "-m", "-n", "ip", "link", "set", "lo", "up"])
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        let text =
            "no namespaces here: `unshare` (util-linux), `ip` (iproute2) and the right to use them";
        assert!(std::env::var_os("CI").is_none(), "{text}");
        println!("skipped: {text}");
        return;
    }
    let output = Command::new("unshare")
        .args(["-r", "-m", "-n"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_name_that_changes_its_mind_leads_nowhere",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn run(words: &[&str]) {
    let status = Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(status.success(), "{words:?}");
}

fn within(python: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    run(&["ip", "link", "set", "lo", "up"]);
    // Public by every list, and here it is ours.
    run(&["ip", "address", "add", "8.8.8.8/32", "dev", "lo"]);
    std::fs::write(
        path("resolv.conf"),
        "nameserver 127.0.0.1\noptions attempts:1 timeout:2\n",
    )
    .unwrap();
    run(&["mount", "--bind", &path("resolv.conf"), "/etc/resolv.conf"]);
    let addresses = |text: &str| std::fs::write(path("addresses"), text).unwrap();
    addresses("8.8.8.8");
    let mut names = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/rebinding_dns.py"))
        .arg(path("addresses"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = follow(names.stdout.take().unwrap());
    assert_eq!(said.recv_timeout(house::PATIENCE).unwrap(), "listening");

    // One that listens at every address, so that only the guard keeps us from the inner one.
    let authority = Authority::new();
    let identity = authority.issue_for(NAME);
    let receiver = Receiver::start_at(
        python,
        &directory.path().join("r"),
        &identity,
        "0.0.0.0",
        443,
    );
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: dns\nkeys: { provider: file, path: ./keys }\nlisteners:\n  \
             console: { zone: admin, bind: \"127.0.0.1:0\" }\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n",
        ),
        ("ca.pem", &authority.pem),
        (
            "entities/bed.yaml",
            "entity: bed\nowner: it\nversion: 1.0.0\nschema: bed.schema.json\n",
        ),
        ("entities/bed.schema.json", "{ \"type\": \"object\" }"),
        (
            "systems/beds.yaml",
            "system: beds\nowner: it\nconnections:\n  in:\n    http: { listen: internal, post: \"/beds\" }\n    sensitivity: internal\n",
        ),
        (
            "flows/beds.yaml",
            "flow: beds\nowner: it\nfrom: beds.in\nemit: bed.freed\n",
        ),
        (
            "clients/acme.yaml",
            &format!(
                "client: acme\nowner: it\nkind: partner\nzone: partner\n\
                 auth: {{ oauth2: {{ method: client_secret_basic, secret: secret:login }} }}\nscopes: [bed.receive]\n\
                 webhook:\n  url: \"https://{NAME}/hooks\"\n  tls: {{ ca: ca.pem }}\n  secret: secret:hook\n  events: [bed.freed]\n  \
                 retry: {{ first: 20ms, factor: 1, max: 20ms, attempts: 3, jitter: none }}\n"
            ),
        ),
    ]);
    for name in ["login", "hook"] {
        use std::os::unix::fs::PermissionsExt as _;
        let file = house.write(&format!("secrets/{name}"), b"a secret that is long enough");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let server = house.serve();
    let tell = |n: u8| {
        let mut stream = TcpStream::connect(server.address("beds.in")).unwrap();
        write!(stream, "POST /beds HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{{\"n\":{n}}}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    };
    tell(1);
    let first = receiver.next();
    assert_eq!(
        (first.at.as_str(), &first.json()["data"]["n"]),
        ("8.8.8.8", &Value::from(1))
    );

    // Inside, and outside with inside behind it: which one a client would take is chance.
    for (n, now) in [
        (2, "127.0.0.1"),
        (3, "8.8.8.8 127.0.0.1"),
        (4, "169.254.169.254"),
    ] {
        addresses(now);
        tell(n);
        let dead = u64::from(n) - 1;
        let status = house.until_status("given up", |status| {
            let all = status["destinations"].as_array().unwrap();
            all.iter()
                .any(|one| one["name"] == "webhook/acme" && one["dead"] == dead)
        });
        let error = status["destinations"][0]["last_error"].as_str().unwrap();
        assert!(error.contains("W4210"), "{now}: {error}");
        assert!(
            !error.contains("127.0.0.1") && !error.contains("169.254"),
            "it tells what is inside: {error}"
        );
    }
    assert!(receiver.rest().is_empty(), "nobody was let inside");
    addresses("8.8.8.8");
    tell(5);
    assert_eq!(receiver.next().json()["data"]["n"], 5);
    server.stop();
    names.kill().unwrap();
    names.wait().unwrap();
}
