//! Webhooks of clients through the real binary: who is told what, masked as it may see it, in order
//! and under one id whatever happens in between; and endpoints that are given up and taken back.
//! The other side is Python's own https server with PyPI and npm `standardwebhooks`, which
//! `cargo xtask peers` installs; without them the tests say so and skip, and fail where `CI` is set.

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
#[path = "peers/ward.rs"]
mod ward;

use authority::Authority;
use house::{House, PATIENCE, Server};
use receiver::{Receiver, Request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

const WARDLINE: &str = "estate: shop\nfacilities: [north, south]\nkeys: { provider: file, path: ./keys }\nlisteners:\n  \
     console: { zone: admin, bind: \"127.0.0.1:0\" }\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n";

/// A stock keeper of the north, and one that serves both sites and says so in its data.
const SYSTEM: &str = r#"
system: stock
owner: it
connections:
  north:
    http: { listen: internal, post: "/north", auth: none }
    facility: north
    sensitivity: internal
  both:
    http: { listen: internal, post: "/both", auth: none }
    sensitivity: internal
"#;

const ENTITY: &str = r"
entity: stock-item
owner: it
version: 1.0.0
schema: stock-item.schema.json
sensitivity: { account: financial, buyer: pii, note: secret }
";

const SCHEMA: &str = r#"{ "type": "object", "required": ["item"], "properties": {
    "item": { "type": "string" }, "level": { "type": "integer" }, "account": { "type": "string" },
    "buyer": { "type": "string" }, "note": { "type": "string" }, "facility": { "type": "string" } } }"#;

const FLOWS: &str = r"
flow: north
owner: it
from: stock.north
key: .item
emit: stock_item.changed
---
flow: both
owner: it
from: stock.both
key: .item
emit: stock_item.changed
";

/// A client with one webhook; `more` are further lines of its file.
fn client(name: &str, port: u16, webhook: &str, more: &str) -> (String, String) {
    let file = format!(
        "client: {name}\nowner: it\nkind: partner\nzone: partner\n\
         auth: {{ oauth2: {{ method: client_secret_basic, secret: secret:{name}/login }} }}\n{more}\n\
         webhook:\n  url: \"https://localhost:{port}/hooks/{name}\"\n  reach: anywhere\n  tls: {{ ca: ca.pem }}\n  \
         secret: secret:{name}/new\n  previous: secret:{name}/old\n  events: [stock_item.changed]\n{webhook}"
    );
    (format!("clients/{name}.yaml"), file)
}

/// Tried again at once, so that a test need not wait as a client does.
const SOON: &str = "  retry: { first: 20ms, factor: 1, max: 20ms, attempts: 0, jitter: none }\n";

struct Shop {
    house: House,
    python: PathBuf,
    /// Where the receiver's own files are.
    files: tempfile::TempDir,
}

impl Shop {
    fn new(clients: &[(String, String)], authority: &Authority, python: PathBuf) -> Self {
        let house = House::new(&[
            ("wardline.yaml", WARDLINE),
            ("systems/stock.yaml", SYSTEM),
            ("entities/stock-item.yaml", ENTITY),
            ("entities/stock-item.schema.json", SCHEMA),
            ("flows/stock.yaml", FLOWS),
            ("ca.pem", &authority.pem),
        ]);
        for (path, text) in clients {
            house.write(path, text.as_bytes());
            let name = Path::new(path)
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            secret(
                &house,
                &format!("{name}/login"),
                "a long enough secret of a client",
            );
            secret(&house, &format!("{name}/new"), NEW);
            secret(&house, &format!("{name}/old"), OLD);
        }
        Self {
            house,
            python,
            files: tempfile::tempdir().unwrap(),
        }
    }

    /// One client called `acme` that may be told, with these lines in its webhook. `None` where
    /// the peers are absent.
    fn acme(webhook: &str) -> Option<(Self, Receiver)> {
        let python = house::python("standardwebhooks")?;
        let authority = Authority::new();
        let files = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(&python, files.path(), &authority.issue());
        let scope = "scopes: [stock-item.receive]";
        let acme = client("acme", receiver.port, webhook, scope);
        let mut shop = Self::new(&[acme], &authority, python);
        shop.files = files;
        Some((shop, receiver))
    }

    fn check(&self, words: &[&str]) -> house::Outcome {
        let estate = self.house.estate();
        self.house
            .run(&[&["check", estate.to_str().unwrap()], words].concat())
    }

    fn webhooks(&self) -> Value {
        self.house
            .run(&["webhooks", "list", "--json"])
            .ends(0)
            .json()
    }

    /// Waits until the only endpoint stands so.
    #[track_caller]
    fn until_state(&self, state: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let all = self.webhooks();
            if all[0]["state"] == state {
                return all[0].clone();
            }
            assert!(
                Instant::now() < end,
                "never {state}: {all}\n{}",
                self.house.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn audit(&self) -> String {
        self.house.run(&["audit", "list", "--json"]).ends(0).out
    }
}

fn secret(house: &House, name: &str, value: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = house.write(&format!("secrets/{name}"), value.as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn ask(address: &str, head: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    write!(
        stream,
        "{head}Host: x\r\n{length}Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Something changes in a stock; it is durable once this returns.
#[track_caller]
fn tell(server: &Server, from: &str, data: &Value) {
    let address = server.address(&format!("stock.{from}"));
    let head = format!("POST /{from} HTTP/1.1\r\nContent-Type: application/json\r\n");
    let (status, _) = ask(&address, &head, &data.to_string());
    assert_eq!(status, 202);
}

/// Whether somebody else's program verifies a request.
fn verifies(program: &Path, script: &str, words: &[&str], request: &Request, body: &str) -> bool {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let mut command = Command::new(program);
    if let Some(modules) = node_modules() {
        command.env("NODE_PATH", modules);
    }
    let mut child = command
        .arg(peers.join(script))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let given = json!({ "headers": request.headers, "body": body });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(given.to_string().as_bytes()).unwrap();
    drop(stdin);
    child.wait().unwrap().success()
}

fn node_modules() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let modules = root.join("node/node_modules");
    modules.join("standardwebhooks").is_dir().then_some(modules)
}

#[test]
fn each_client_is_told_what_it_may_see_and_no_more() {
    let Some(python) = house::python("standardwebhooks") else {
        return;
    };
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let start =
        |name: &str| Receiver::start(&python, &directory.path().join(name), &authority.issue());
    let receivers: BTreeMap<&str, Receiver> = ["acme", "bank", "other", "south"]
        .map(|name| (name, start(name)))
        .into();
    let port = |name: &str| receivers[name].port;
    let scope = "scopes: [stock-item.receive]";
    let shop = Shop::new(
        &[
            client(
                "acme",
                port("acme"),
                "  when: (.level < 10) ?? false\n",
                scope,
            ),
            client(
                "bank",
                port("bank"),
                "",
                &format!("{scope}\nreveal: [financial, pii]"),
            ),
            // Nothing says that it may.
            client("other", port("other"), "", ""),
            client(
                "south",
                port("south"),
                "",
                &format!("{scope}\nfacilities: [south]"),
            ),
        ],
        &authority,
        python.clone(),
    );
    shop.check(&[]).ends(0).says(&[
        "W1317",
        "no policy lets `other` receive `stock_item.changed`",
    ]);
    let server = shop.house.serve();
    let data = json!({ "item": "gauze", "level": 3, "account": "DE0012344711", "buyer": "Wlxqvutsky", "note": "ZQX" });
    tell(&server, "north", &data);

    let acme = receivers["acme"].next();
    let sent = acme.json();
    assert_eq!(sent["type"], "stock_item.changed");
    assert!(sent["timestamp"].as_str().unwrap().ends_with('Z'), "{sent}");
    assert_eq!(sent["data"]["item"], "gauze");
    assert_eq!(sent["data"]["account"], "••••4711");
    assert!(
        sent["data"]["buyer"].as_str().unwrap().starts_with('~'),
        "{sent}"
    );
    assert!(
        !acme.body.contains("ZQX") && !acme.body.contains("Wlxqvutsky"),
        "{sent}"
    );
    let bank = receivers["bank"].next().json();
    assert_eq!(bank["data"]["account"], "DE0012344711");
    assert_eq!(bank["data"]["buyer"], "Wlxqvutsky");
    assert!(bank["data"].get("note").is_none(), "{bank}");

    // Either secret verifies, with both programs that others wrote, and nothing else does.
    let mut programs = vec![(python.as_path(), "webhook_sign.py", vec!["verify"])];
    if node_modules().is_some() {
        programs.push((Path::new("node"), "webhook_verify.js", vec![]));
    } else {
        assert!(
            std::env::var_os("CI").is_none(),
            "npm standardwebhooks is missing"
        );
    }
    for (program, script, words) in &programs {
        for key in [NEW, OLD] {
            let words = [words.as_slice(), &[key]].concat();
            assert!(
                verifies(program, script, &words, &acme, &acme.body),
                "{script}"
            );
            let changed = acme.body.replace("gauze", "gloves");
            assert!(
                !verifies(program, script, &words, &acme, &changed),
                "{script}"
            );
        }
        let words = [
            words.as_slice(),
            &["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        ]
        .concat();
        assert!(
            !verifies(program, script, &words, &acme, &acme.body),
            "{script}"
        );
    }

    // It is a delivery as any other: traced under the id that was sent.
    let trace = shop.house.run(&["trace", acme.id()]).ends(0);
    trace.says(&[
        "webhook/acme",
        "webhook/bank",
        "policies let `other` receive it",
    ]);

    // Its own predicate, and its sites: what the data says counts.
    tell(&server, "north", &json!({ "item": "gauze", "level": 30 }));
    tell(
        &server,
        "both",
        &json!({ "item": "swabs", "level": 4, "facility": "south" }),
    );
    tell(&server, "both", &json!({ "item": "tape", "level": 5 }));
    let levels = |name: &str, count: usize| -> Vec<i64> {
        let all = receivers[name].until("all levels", |all| all.len() == count);
        let mut levels: Vec<i64> = all
            .iter()
            .map(|request| request.json()["data"]["level"].as_i64().unwrap())
            .collect();
        levels.sort_unstable();
        levels
    };
    assert_eq!(levels("bank", 3), [4, 5, 30]);
    assert_eq!(levels("acme", 2), [4, 5], "30 is not below 10");
    assert_eq!(
        levels("south", 1),
        [4],
        "not the north's, and not of a site that nobody knows"
    );
    shop.house.until_status("all delivered", |status| {
        let open =
            |one: &Value| one["waiting"].as_u64().unwrap() + one["retrying"].as_u64().unwrap();
        status["overview"]["destinations"]
            .as_array()
            .unwrap()
            .iter()
            .map(open)
            .sum::<u64>()
            == 0
    });
    assert!(receivers["other"].rest().is_empty());
    assert!(receivers["south"].rest().is_empty());
    server.stop();
    let log = shop.house.log();
    assert!(
        !log.contains("Wlxqvutsky") && !log.contains("DE0012344711"),
        "{log}"
    );
}

#[test]
fn failures_keep_order_and_id() {
    let Some((shop, receiver)) = Shop::acme(SOON) else {
        return;
    };
    // Whatever is no success is tried again, redirects too, which nobody follows.
    receiver.answers("503 404 302 0 429 204");
    let server = shop.house.serve();
    for level in 1..=3 {
        tell(
            &server,
            "north",
            &json!({ "item": "gauze", "level": level }),
        );
    }
    let all = receiver.until("three successes", |all| {
        all.iter().filter(|request| request.answered == 204).count() == 3
    });
    let levels: Vec<i64> = all
        .iter()
        .map(|one| one.json()["data"]["level"].as_i64().unwrap())
        .collect();
    assert_eq!(levels, [1, 1, 1, 1, 1, 1, 2, 3]);
    let ids: BTreeSet<&str> = all.iter().map(Request::id).collect();
    assert_eq!(ids.len(), 3, "each event has one id");
    assert!(all[..6].iter().all(|one| one.id() == all[0].id()));
    let bodies: BTreeSet<&str> = all[..6].iter().map(|one| one.body.as_str()).collect();
    assert_eq!(bodies.len(), 1, "and is the same each time");
    shop.until_state("enabled");
    server.stop();
}

#[test]
fn gone_disables_at_once_and_a_person_enables() {
    let Some((shop, receiver)) = Shop::acme(SOON) else {
        return;
    };
    receiver.answers("410 204");
    let server = shop.house.serve();
    tell(&server, "north", &json!({ "item": "gauze", "level": 1 }));
    assert_eq!(receiver.next().answered, 410);
    let standing = shop.until_state("disabled");
    assert!(
        standing["reason"].as_str().unwrap().contains("W4211"),
        "{standing}"
    );
    assert_eq!(standing["by"], "system:webhooks");

    // The alert: the first line of the dashboard, the destination, the audit log, the server's log.
    for item in ["swabs", "gauze", "swabs"] {
        tell(&server, "north", &json!({ "item": item, "level": 2 }));
    }
    let status = shop.house.until_status("three wait", |status| {
        let all = status["overview"]["destinations"].as_array().unwrap();
        let acme = all
            .iter()
            .find(|one| one["name"] == "webhook/acme")
            .unwrap();
        acme["state"] == "down" && acme["waiting"] == 3
    });
    let headline = status["overview"]["headline"].as_str().unwrap();
    assert!(
        headline.starts_with("webhook/acme down since"),
        "{headline}"
    );
    assert!(shop.audit().contains("webhook.disable"));
    assert!(shop.house.log().contains("a client's endpoint is disabled"));
    assert!(receiver.rest().is_empty(), "nothing is sent to it");

    // It is tried without being enabled, and stays disabled over a restart.
    shop.house
        .run(&["webhooks", "test", "acme"])
        .ends(0)
        .says(&["acme took", "204"]);
    let trial = receiver.next();
    assert_eq!(trial.json()["type"], "webhook.test");
    assert!(verifies(
        &shop.python,
        "webhook_sign.py",
        &["verify", NEW],
        &trial,
        &trial.body
    ));
    receiver.answers("500");
    shop.house
        .run(&["webhooks", "test", "acme"])
        .ends(1)
        .says(&["not taken", "W4204"]);
    receiver.next();
    receiver.answers("204");
    server.stop();
    let server = shop.house.serve();
    shop.until_state("disabled");
    assert!(receiver.rest().is_empty());

    shop.house
        .run(&["webhooks", "enable", "acme"])
        .ends(2)
        .explains(&["--reason"]);
    shop.house
        .run(&["webhooks", "enable", "acme", "--reason", "they have moved"])
        .ends(0)
        .says(&["acme is enabled"]);
    let waited = receiver.until("what waited", |all| all.len() == 3);
    assert!(waited.iter().all(|one| one.json()["data"]["level"] == 2));
    shop.until_state("enabled");

    // A person stops it, also while no server runs.
    shop.house
        .run(&["webhooks", "disable", "acme", "--reason", "contract ended"])
        .ends(0);
    tell(&server, "north", &json!({ "item": "tape", "level": 3 }));
    server.stop();
    shop.house
        .run(&["webhooks", "enable", "acme", "--reason", "contract renewed"])
        .ends(0);
    let server = shop.house.serve();
    assert_eq!(receiver.next().json()["data"]["level"], 3);
    server.stop();
    let audit = shop.audit();
    for said in [
        "webhook.enable",
        "webhook.test",
        "they have moved",
        "contract ended",
        "contract renewed",
        "user:tester",
    ] {
        assert!(audit.contains(said), "{said} is missing in {audit}");
    }
    shop.house.run(&["audit", "verify"]).ends(0);
    shop.house
        .run(&["webhooks", "enable", "acne", "--reason", "x"])
        .ends(3)
        .explains(&["there is no webhook `acne`; there are acme"]);
}

#[test]
fn a_reload_keeps_how_an_endpoint_stands_and_follows_its_file() {
    let Some((shop, receiver)) = Shop::acme(SOON) else {
        return;
    };
    let file = shop.house.estate().join("clients/acme.yaml");
    let change = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    receiver.answers("410 204");
    let server = shop.house.serve();
    tell(&server, "north", &json!({ "item": "gauze", "level": 1 }));
    assert_eq!(receiver.next().answered, 410);
    shop.until_state("disabled");

    // Its sender is made anew, and it stays disabled.
    change(
        "secret: secret:acme/new\n  previous: secret:acme/old",
        "secret: secret:acme/old",
    );
    shop.house
        .run(&["reload"])
        .ends(0)
        .says(&["client acme changed", "webhook/acme changed"]);
    shop.until_state("disabled");
    tell(&server, "north", &json!({ "item": "gauze", "level": 2 }));
    assert!(receiver.rest().is_empty());
    shop.house
        .run(&["webhooks", "enable", "acme", "--reason", "they have moved"])
        .ends(0);
    let sent = receiver.next();
    assert_eq!(sent.json()["data"]["level"], 2);
    let signed = |key: &str| {
        let words = ["verify", key];
        verifies(&shop.python, "webhook_sign.py", &words, &sent, &sent.body)
    };
    assert!(signed(OLD) && !signed(NEW), "signed as the file says now");

    // Another estate that says the same of it leaves it alone; what it learns is written down.
    shop.house.write(
        "flows/more.yaml",
        b"flow: more\nowner: it\nfrom: stock.both\nkey: .item\nemit: stock_item.changed\n",
    );
    let view = shop.house.run(&["reload", "--json"]).ends(0).json();
    assert_eq!(view["changes"], json!(["flow more added"]), "{view}");
    receiver.answers("410 204");
    tell(&server, "north", &json!({ "item": "gauze", "level": 3 }));
    assert_eq!(receiver.next().answered, 410);
    shop.until_state("disabled");

    // A client that is refused is told nothing, and is told again once it is not.
    shop.house
        .run(&["webhooks", "enable", "acme", "--reason", "repaired"])
        .ends(0);
    change("kind: partner", "kind: partner\ndisabled: true");
    shop.house
        .run(&["reload"])
        .ends(0)
        .says(&["destination webhook/acme removed"]);
    tell(&server, "north", &json!({ "item": "gauze", "level": 4 }));
    change("kind: partner\ndisabled: true", "kind: partner");
    shop.house.run(&["reload"]).ends(0);
    tell(&server, "north", &json!({ "item": "gauze", "level": 5 }));
    assert_eq!(receiver.next().json()["data"]["level"], 5);
    server.stop();
    assert!(receiver.rest().is_empty());
}

#[test]
fn failures_in_a_row_disable_and_nothing_is_lost() {
    let Some((shop, receiver)) = Shop::acme(&format!("{SOON}  disable: {{ failures: 4 }}\n"))
    else {
        return;
    };
    receiver.answers("500 500 500 204 503");
    let server = shop.house.serve();
    tell(&server, "north", &json!({ "item": "gauze", "level": 1 }));
    // Three failures and a success begin the count anew.
    receiver.until("a success", |all| {
        all.last().is_some_and(|one| one.answered == 204)
    });
    tell(&server, "north", &json!({ "item": "gauze", "level": 2 }));
    tell(&server, "north", &json!({ "item": "gauze", "level": 3 }));
    let failed = receiver.until("four failures", |all| all.len() == 4);
    assert!(failed.iter().all(|one| one.answered == 503));
    let standing = shop.until_state("disabled");
    assert!(
        standing["reason"].as_str().unwrap().contains("4 times"),
        "{standing}"
    );
    receiver.answers("204");
    shop.house
        .run(&["webhooks", "enable", "acme", "--reason", "repaired"])
        .ends(0);
    let all = receiver.until("both", |all| all.len() == 2);
    assert_eq!(all[0].json()["data"]["level"], 2);
    assert_eq!(all[0].id(), failed[0].id(), "the same delivery still");
    assert_eq!(all[1].json()["data"]["level"], 3);
    server.stop();
}

#[test]
fn a_kill_loses_nothing_and_changes_no_id() {
    let Some((shop, receiver)) = Shop::acme(SOON) else {
        return;
    };
    // Half of the answers are lost on the way.
    let statuses: Vec<&str> = [["0", "204"]; 60].concat();
    receiver.answers(&statuses.join(" "));
    let mut told = 0;
    let mut ids: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    let mut note = |all: &[Request]| {
        for one in all {
            let level = one.json()["data"]["level"].as_i64().unwrap();
            ids.entry(level).or_default().insert(one.id().to_owned());
        }
    };
    for _ in 0..3 {
        let server = shop.house.serve();
        for _ in 0..20 {
            told += 1;
            let item = format!("item-{}", told % 5);
            tell(&server, "north", &json!({ "item": item, "level": told }));
        }
        note(&receiver.until("some", |all| all.len() >= 5));
        // SIGKILL in the middle of it.
        drop(server);
        note(&receiver.rest());
    }
    let server = shop.house.serve();
    shop.house.until_status("all delivered", |status| {
        let all = status["overview"]["destinations"].as_array().unwrap();
        let acme = all
            .iter()
            .find(|one| one["name"] == "webhook/acme")
            .unwrap();
        acme["delivered"] == 60
    });
    server.stop();
    note(&receiver.rest());
    assert_eq!(ids.len(), 60, "every event arrived");
    for (level, ids) in &ids {
        assert_eq!(ids.len(), 1, "{level} came under {ids:?}");
    }
}

#[test]
fn endpoints_inside_are_refused_unless_the_file_says_so() {
    let authority = Authority::new();
    let urls = [
        ("https://127.0.0.1/x", "not public"),
        ("https://[::1]:8443/", "not public"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://0x7f000001/", "neither a name nor an address"),
    ];
    for (url, why) in urls {
        let (path, text) = client("acme", 1, "", "scopes: [stock-item.receive]");
        let text = text
            .replace("https://localhost:1/hooks/acme", url)
            .replace("  reach: anywhere\n", "");
        let shop = Shop::new(&[(path, text)], &authority, PathBuf::new());
        let checked = shop.check(&["--offline"]).ends(1);
        assert!(
            checked.out.contains("no webhook is sent there") && checked.out.contains(why),
            "{url}: {}",
            checked.out
        );
    }
}

/// A person's data goes nowhere by itself: the client gets an id, and fetches with its own key what
/// it may see when it looks.
#[tokio::test(flavor = "multi_thread")]
async fn of_patients_only_an_id_is_sent() {
    let Some(python) = house::python("standardwebhooks") else {
        return;
    };
    let ward = ward::Ward::open().await;
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&python, directory.path(), &authority.issue());
    let house = &ward.house;
    house.write("clients/ca.pem", authority.pem.as_bytes());
    secret(house, "census/hook", NEW);
    let client = |name: &str, key: &str, more: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
        let digest: String = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let text = format!(
            "client: {name}\nowner: patient-access\nkind: service\nzone: internal\n\
             auth: {{ api_key: {{ sha256: {digest}, expires: 2035-01-01 }} }}\n{more}"
        );
        house.write(&format!("clients/{name}.yaml"), text.as_bytes());
    };
    let webhook = format!(
        "scopes: [encounter.receive]\nreveal: [phi]\nwebhook: {{ url: \"https://localhost:{}/\", reach: anywhere, \
         tls: {{ ca: clients/ca.pem }}, secret: secret:census/hook, events: [encounter.admitted], \
         fetch: \"https://api.st-brigid.example\" }}\n",
        receiver.port
    );
    client("census", "key-of-the-census", &webhook);
    client("stranger", "key-of-a-stranger", "scopes: [supplier.read]\n");
    let server = house.serve();
    let admission = ward.admission(1);
    let to = server.address("ehr.adt");
    house
        .run(&["send", ward::text(&admission), "--mllp", &to])
        .ends(0);

    let told = receiver.next();
    ward::discreet("a thin event", &format!("{} {}", told.headers, told.body));
    assert_eq!(told.json()["type"], "encounter.admitted");
    assert_eq!(told.json()["data"]["id"], told.id());
    let url = format!(
        "https://api.st-brigid.example/webhooks/events/{}",
        told.id()
    );
    assert_eq!(told.json()["data"]["url"], json!(url));
    assert!(verifies(
        &python,
        "webhook_sign.py",
        &["verify", NEW],
        &told,
        &told.body
    ));

    // What it gave away is fetched through the door that the client may come through.
    let text = std::fs::read_to_string(house.estate().join("wardline.yaml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.trim().starts_with("internal:"))
        .unwrap();
    let door = line.split('"').nth(1).unwrap();
    let get = |id: &str, key: &str| {
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("X-API-Key: {key}\r\n")
        };
        let head = format!("GET /webhooks/events/{id} HTTP/1.1\r\n{key}");
        ask(door, &head, "")
    };
    let (status, event) = get(told.id(), "key-of-the-census");
    assert_eq!(status, 200, "{event}");
    assert_eq!(event["type"], "encounter.admitted");
    assert!(
        event["data"]["mrn"]
            .as_str()
            .unwrap()
            .starts_with(ward::MRN),
        "{event}"
    );
    for (id, key, status) in [
        (told.id(), "key-of-a-stranger", 404),
        (told.id(), "", 401),
        (told.id(), "no-key-at-all", 401),
        ("0", "key-of-the-census", 404),
    ] {
        assert_eq!(get(id, key).0, status, "{id} {key}");
    }
    server.stop();
    let audit = house.run(&["audit", "list", "--json"]).ends(0).out;
    assert!(
        audit.contains("event.fetch") && audit.contains("client:census"),
        "{audit}"
    );
    ward::discreet("the audit log", &audit);
    ward::discreet("the log", &house.log());
}
