//! A client's name that leads outside when its webhook is declared or registered and inside a
//! moment later: DNS rebinding, against a real name server (PyPI `dnslib`) in a network of the
//! test's own.
//!
//! Each test runs itself again in new namespaces (`unshare`), where it may change what names mean and
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
use house::{House, Server, follow, free_address};
use receiver::Receiver;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Set within the namespaces.
const INSIDE: &str = "WARDLINE_TEST_NAMESPACES";
const NAME: &str = "hooks.acme.example";

/// Runs `inner` in a network of its own.
fn in_a_network_of_its_own(test: &str, inner: impl FnOnce(Street)) {
    let Some(python) = house::python("dnslib, standardwebhooks") else {
        return;
    };
    if std::env::var_os(INSIDE).is_some() {
        inner(Street::open(&python));
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
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn run(words: &[&str]) {
    let status = Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(status.success(), "{words:?}");
}

/// A network with one public address, a name server, and a receiver at every address.
struct Street {
    directory: tempfile::TempDir,
    names: Child,
    receiver: Receiver,
    ca: String,
}

impl Street {
    fn open(python: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        run(&["ip", "link", "set", "lo", "up"]);
        // Public by every list, and here it is ours.
        run(&["ip", "address", "add", "8.8.8.8/32", "dev", "lo"]);
        let resolver = "nameserver 127.0.0.1\noptions attempts:1 timeout:2\n";
        std::fs::write(path("resolv.conf"), resolver).unwrap();
        run(&["mount", "--bind", &path("resolv.conf"), "/etc/resolv.conf"]);
        std::fs::write(path("addresses"), "8.8.8.8").unwrap();
        let mut names = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/rebinding_dns.py"))
            .arg(path("addresses"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = follow(names.stdout.take().unwrap());
        assert_eq!(said.recv_timeout(house::PATIENCE).unwrap(), "listening");
        // It listens at every address, so that only the guard keeps us from the inner one.
        let authority = Authority::new();
        let identity = authority.issue_for(NAME);
        let files: PathBuf = directory.path().join("receiver");
        let receiver = Receiver::start_at(python, &files, &identity, "0.0.0.0", 443);
        Self {
            directory,
            names,
            receiver,
            ca: authority.pem,
        }
    }

    /// What the name means from now on.
    fn leads_to(&self, addresses: &str) {
        std::fs::write(self.directory.path().join("addresses"), addresses).unwrap();
    }

    fn close(mut self) {
        self.names.kill().unwrap();
        self.names.wait().unwrap();
    }

    /// An estate in which beds are freed, and a client with this webhook is told of it.
    fn house(&self, webhook: &str, internal: &str) -> House {
        let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, KEY.as_bytes());
        let digest: String = key
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let house = House::new(&[
            (
                "wardline.yaml",
                &format!(
                    "estate: dns\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  \
                     console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  internal: {{ zone: internal, bind: \"{internal}\" }}\n"
                ),
            ),
            ("ca.pem", &self.ca),
            (
                "entities/bed.yaml",
                "entity: bed\nowner: it\nversion: 1.0.0\nschema: bed.schema.json\n",
            ),
            (
                "entities/bed.schema.json",
                "{ \"type\": \"object\", \"properties\": { \"n\": { \"type\": \"integer\" } } }",
            ),
            (
                "systems/beds.yaml",
                "system: beds\nowner: it\nconnections:\n  in:\n    http: { listen: internal, post: \"/beds\", auth: none }\n    \
                 sensitivity: internal\n  board:\n    http: { url: \"http://127.0.0.1:1\" }\n    sensitivity: internal\n\
                 operations:\n  get-bed: { http: { connection: board, get: \"/beds/{bed}\" }, returns: bed }\n",
            ),
            // An Api, so that there is a gateway.
            (
                "apis/bed-board.yaml",
                "api: bed-board\nlayer: system\nversion: 1.0.0\nowner: it\nstate: published\noperations:\n  \
                 get-bed: { get: \"/beds/{bed}\", returns: bed, scope: bed.read }\nbindings: [{ system: beds }]\n",
            ),
            (
                "flows/beds.yaml",
                "flow: beds\nowner: it\nfrom: beds.in\nemit: bed.freed\n",
            ),
            (
                "clients/acme.yaml",
                &format!(
                    "client: acme\nowner: it\nkind: service\nzone: internal\n\
                     auth: {{ api_key: {{ sha256: {digest}, expires: 2035-01-01 }} }}\nscopes: [bed.receive]\n\
                     webhook:\n  {webhook}\n  tls: {{ ca: ca.pem }}\n  secret: secret:hook\n  events: [bed.freed]\n  \
                     retry: {{ first: 20ms, factor: 1, max: 20ms, attempts: 3, jitter: none }}\n"
                ),
            ),
        ]);
        let file = house.write("secrets/hook", b"a secret that is long enough");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        house
    }
}

/// What the client proves itself with.
const KEY: &str = "key-of-acme-and-nobody-else";

fn ask(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        )
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}{length}Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// A bed is freed; the event is durable once this returns.
#[track_caller]
fn freed(internal: &str, n: u64) {
    let (status, _) = ask(
        internal,
        "POST",
        "/beds",
        "",
        &json!({ "n": n }).to_string(),
    );
    assert_eq!(status, 202);
}

fn webhook(status: &Value) -> &Value {
    let all = status["overview"]["destinations"].as_array().unwrap();
    all.iter()
        .find(|one| one["name"] == "webhook/acme")
        .unwrap()
}

#[test]
fn a_name_that_changes_its_mind_leads_nowhere() {
    in_a_network_of_its_own("a_name_that_changes_its_mind_leads_nowhere", |street| {
        let internal = free_address();
        let house = street.house(&format!("url: \"https://{NAME}/hooks\""), &internal);
        let server = house.serve();
        freed(&internal, 1);
        let first = street.receiver.next();
        assert_eq!(
            (first.at.as_str(), &first.json()["data"]["n"]),
            ("8.8.8.8", &json!(1))
        );

        // Inside, and outside with inside behind it: which one a client would take is chance.
        for (n, now) in [
            (2, "127.0.0.1"),
            (3, "8.8.8.8 127.0.0.1"),
            (4, "169.254.169.254"),
        ] {
            street.leads_to(now);
            freed(&internal, n);
            let status = house.until_status("given up", |status| webhook(status)["dead"] == n - 1);
            let error = webhook(&status)["last_error"].as_str().unwrap();
            assert!(error.contains("W4210"), "{now}: {error}");
            assert!(
                !error.contains("127.0.0.1") && !error.contains("169.254"),
                "it tells what is inside: {error}"
            );
        }
        assert!(street.receiver.rest().is_empty(), "nobody was let inside");
        street.leads_to("8.8.8.8");
        freed(&internal, 5);
        assert_eq!(street.receiver.next().json()["data"]["n"], 5);
        server.stop();
        street.close();
    });
}

#[test]
fn a_client_registers_where_it_is_told() {
    in_a_network_of_its_own("a_client_registers_where_it_is_told", |street| {
        let internal = free_address();
        let house = street.house("register: true", &internal);
        let server: Server = house.serve();
        let key = format!("X-API-Key: {KEY}\r\n");
        let put = |url: &str| {
            let body = json!({ "url": url }).to_string();
            ask(&internal, "PUT", "/webhooks/acme", &key, &body)
        };
        // Until then it waits.
        freed(&internal, 1);
        let (status, own) = ask(&internal, "GET", "/webhooks", &key, "");
        assert_eq!(
            (status, &own[0]["state"]),
            (200, &json!("unregistered")),
            "{own}"
        );

        // Nothing that leads inside, by its text or by its name, and nobody is called for it.
        for url in [
            "http://hooks.acme.example/",
            "https://127.0.0.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://0177.0.0.1/",
            "https://u:p@hooks.acme.example/",
            "no url",
        ] {
            let (status, problem) = put(url);
            assert_eq!(
                (status, &problem["errors"][0]["pointer"]),
                (422, &json!("/url")),
                "{url} {problem}"
            );
        }
        street.leads_to("127.0.0.1");
        let there = format!("https://{NAME}/hooks");
        let (status, problem) = put(&there);
        assert_eq!(status, 422, "{problem}");
        assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
        assert!(street.receiver.rest().is_empty(), "nobody was let inside");
        // Only who knows the client's key, only its own, only what it was asked for.
        assert_eq!(
            ask(&internal, "PUT", "/webhooks/acme", "", "{\"url\":\"x\"}").0,
            401
        );
        assert_eq!(
            ask(&internal, "PUT", "/webhooks/other", &key, "{\"url\":\"x\"}").0,
            404
        );
        assert_eq!(
            ask(&internal, "PUT", "/webhooks/acme", &key, "{\"uri\":\"x\"}").0,
            400
        );

        // It has to take a signed request; then what waited comes.
        street.leads_to("8.8.8.8");
        street.receiver.answers("404 204");
        assert_eq!(put(&there).0, 422);
        assert_eq!(street.receiver.next().json()["type"], "webhook.test");
        let (status, registered) = put(&there);
        assert_eq!(
            (status, &registered["state"]),
            (200, &json!("enabled")),
            "{registered}"
        );
        assert_eq!(street.receiver.next().json()["type"], "webhook.test");
        let told = street.receiver.next();
        assert_eq!(
            (told.at.as_str(), &told.json()["data"]["n"]),
            ("8.8.8.8", &json!(1))
        );

        // It is remembered, guarded at every connection, and forgotten when the client says so.
        server.stop();
        let server = house.serve();
        freed(&internal, 2);
        assert_eq!(street.receiver.next().json()["data"]["n"], 2);
        street.leads_to("127.0.0.1");
        freed(&internal, 3);
        house.until_status("given up", |status| webhook(status)["dead"] == 1);
        street.leads_to("8.8.8.8");
        assert_eq!(ask(&internal, "DELETE", "/webhooks/acme", &key, "").0, 200);
        freed(&internal, 4);
        house.until_status("it waits", |status| webhook(status)["waiting"] == 1);
        assert!(street.receiver.rest().is_empty());
        server.stop();
        let audit = house.run(&["audit", "list", "--json"]).ends(0).out;
        for said in [
            "webhook.register",
            "webhook.refuse",
            "webhook.unregister",
            "client:acme",
        ] {
            assert!(audit.contains(said), "{said} is missing in {audit}");
        }
        street.close();
    });
}
