//! Secrets, certificates and keys through the real binary: changed while traffic flows, read from
//! age and from Vault, listed without a value, destroyed for a reason.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/post.rs"]
mod post;
#[path = "peers/vault.rs"]
mod vault;

use house::{House, Outcome, PATIENCE, Server};
use post::{Receiver, Sender, ask};
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What stands in every value of these tests, so that one search finds any that got out.
const CANARY: &str = "ZQXCANARY";

const TOP: &str = "estate: town\nlisteners:\n  console: { zone: admin, bind: \"127.0.0.1:0\" }\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n";
const IN: &str = "system: hr\nowner: it\nconnections:\n  events:\n    http: { listen: internal, post: \"/hr\", auth: { bearer: secret:in/token } }\n    sensitivity: internal\n";
const FLOW: &str = "flow: all\nowner: it\nfrom: hr.events\nto:\n  - { send: board.out }\n";

fn out(receiver: &Receiver) -> String {
    format!(
        "system: board\nowner: it\nconnections:\n  out:\n    http: {{ url: \"http://{}/\", auth: {{ bearer: secret:out/token }} }}\n    sensitivity: internal\n",
        receiver.address
    )
}

/// A house that takes messages by HTTP and sends them on by HTTP.
fn town(top: &str, receiver: &Receiver) -> House {
    House::new(&[
        ("wardline.yaml", top),
        ("systems/hr.yaml", IN),
        ("systems/board.yaml", &out(receiver)),
        ("flows/all.yaml", FLOW),
    ])
}

fn private(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn secret(house: &House, name: &str, value: &str) {
    private(&house.estate().join("secrets").join(name), value.as_bytes());
}

/// A command of the house with something on its standard input.
fn tell(house: &House, words: &[&str], input: &[u8]) -> Outcome {
    let mut command = house.command();
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    told(command, input)
}

fn told(mut command: Command, input: &[u8]) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until something holds.
#[track_caller]
fn until(house: &House, what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}\n{}", house.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn acts(house: &House, act: &str) -> Vec<String> {
    let entries = house
        .run(&["audit", "list", "--limit", "1000", "--json"])
        .json();
    let entries = entries
        .as_array()
        .cloned()
        .unwrap_or_else(|| entries["entries"].as_array().cloned().unwrap_or_default());
    let of_act = entries.iter().filter(|entry| entry["act"] == act);
    of_act
        .map(|entry| entry["target"].as_str().unwrap().to_owned())
        .collect()
}

/// Fails where a value is in any file that a run wrote, its logs included.
#[track_caller]
fn nothing_got_out(house: &House) {
    let mut looked = 0;
    let mut places = vec![house.data(), house.path("serve.log")];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(
                std::fs::read_dir(&place)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let bytes = std::fs::read(&place).unwrap();
        looked += bytes.len();
        let found = bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes());
        assert!(!found, "a secret is in {}", place.display());
    }
    assert!(looked > 10_000, "the search looked at {looked} bytes only");
    for words in [
        &["status", "--json"][..],
        &["secrets", "list", "--json"],
        &["secrets", "check", "--json"],
        &["check", house.estate().to_str().unwrap(), "--json"],
        &["keys", "list", "--json"],
        &["audit", "list", "--json"],
        &["dead", "--json"],
        &["certs", "--json"],
    ] {
        let said = house.run(words);
        assert!(
            !said.out.contains(CANARY) && !said.err.contains(CANARY),
            "{words:?}"
        );
    }
}

fn hr(server: &Server) -> String {
    let place = server.address("hr.events");
    place.trim_start_matches("http://").to_owned()
}

#[test]
fn credentials_change_both_ways_while_messages_flow() {
    let receiver = Receiver::start();
    let house = town(TOP, &receiver);
    secret(&house, "in/token", "in-1-ZQXCANARY");
    secret(&house, "out/token", "out-1-ZQXCANARY\n");
    let server = house.serve();
    let old = Sender::start(&hr(&server), "in-1-ZQXCANARY");
    until(&house, "messages arrive", || {
        receiver.count("out-1-ZQXCANARY") > 20
    });

    // Outbound: from the first request with the new token on, the other side takes no other.
    receiver.only_the_newest();
    tell(
        &house,
        &["secrets", "set", "out/token"],
        b"out-2-ZQXCANARY\n",
    )
    .ends(0);
    until(&house, "the new token goes out", || {
        receiver.count("out-2-ZQXCANARY") > 50
    });
    assert_eq!(receiver.refused(), 0, "{}", house.log());

    // Inbound: both are taken while senders change theirs.
    tell(&house, &["secrets", "set", "in/token"], b"in-2-ZQXCANARY").ends(0);
    until(&house, "the new token is taken", || {
        ask(&hr(&server), "in-2-ZQXCANARY", "{}") == 202
    });
    let new = Sender::start(&hr(&server), "in-2-ZQXCANARY");
    until(&house, "both are taken", || {
        old.taken() > 20 && new.taken() > 20
    });
    let (old, new) = (old.stop(), new.stop());
    assert_eq!((old.refused, new.refused), (0, 0));
    assert_eq!(ask(&hr(&server), "in-3-ZQXCANARY", "{}"), 401);

    // Half written, emptied, gone: what is in use stays in use.
    secret(&house, "in/token", "");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(ask(&hr(&server), "in-2-ZQXCANARY", "{}"), 202);
    assert!(house.log().contains("is empty now"), "{}", house.log());
    secret(&house, "in/token", "in-2-ZQXCANARY");

    let mut rotated = acts(&house, "secret.rotate");
    rotated.sort();
    assert_eq!(rotated, ["in/token", "out/token"]);
    house.until_status("all is delivered", |status| {
        status["sums"]["open"] == 0 && status["sums"]["balanced"] == true
    });
    server.stop();
    nothing_got_out(&house);
}

#[test]
fn the_token_before_is_refused_after_the_overlap() {
    let receiver = Receiver::start();
    let house = town(&format!("{TOP}secrets: {{ overlap: 0s }}\n"), &receiver);
    secret(&house, "in/token", "in-1-ZQXCANARY");
    secret(&house, "out/token", "out-1-ZQXCANARY");
    let server = house.serve();
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    secret(&house, "in/token", "in-2-ZQXCANARY");
    until(&house, "the new token is taken", || {
        ask(&hr(&server), "in-2-ZQXCANARY", "{}") == 202
    });
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 401);
    server.stop();
}

/// Runs `age` or `age-keygen`; what it printed.
fn age(program: &str, words: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = match Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(error) => {
            let text =
                format!("{program}: {error}: `cargo xtask peers` installs what the tests need");
            assert!(std::env::var_os("CI").is_none(), "{text}");
            println!("skipped: {text}");
            return None;
        }
    };
    // It writes while it reads: more than a pipe holds has to be taken while it is given.
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {words:?}");
    Some(output.stdout)
}

#[test]
fn age_encrypts_for_us_and_reads_ours() {
    let receiver = Receiver::start();
    let house = town(
        &format!("{TOP}secrets: {{ identities: ../age.txt }}\n"),
        &receiver,
    );
    let identities = house.path("age.txt");
    let Some(made) = age("age-keygen", &[], b"") else {
        return;
    };
    private(&identities, &made);
    let made = String::from_utf8(made).unwrap();
    let recipient = made
        .split("public key: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();

    // Theirs, binary, armored and large; ours to read.
    house
        .run(&["secrets", "check"])
        .ends(1)
        .says(&["in/token", "missing"]);
    let sealed = age("age", &["-r", recipient], b"in-1-ZQXCANARY\n").unwrap();
    private(&house.estate().join("secrets/in/token.age"), &sealed);
    let mut bundle = String::from("out/token: out-1-ZQXCANARY\n");
    for n in 0..20_000 {
        bundle.push_str(&format!("more/{n}: a-value-of-no-use\n"));
    }
    let sealed = age("age", &["-a", "-r", recipient], bundle.as_bytes()).unwrap();
    private(&house.estate().join("secrets.age"), &sealed);
    let checked = house.run(&["secrets", "check", "--json"]).ends(0).json();
    let from: Vec<&Value> = checked["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["from"])
        .collect();
    assert_eq!(from, [&json!("age"), &json!("bundle")]);
    let server = house.serve();
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    until(&house, "it goes out", || {
        receiver.count("out-1-ZQXCANARY") == 1
    });

    // Ours, theirs to read; and taken up without a restart.
    tell(&house, &["secrets", "set", "in/token"], b"in-2-ZQXCANARY\n")
        .ends(0)
        .says(&["token.age", "1 recipient"]);
    let path = house.estate().join("secrets/in/token.age");
    let plain = age(
        "age",
        &[
            "-d",
            "-i",
            identities.to_str().unwrap(),
            path.to_str().unwrap(),
        ],
        b"",
    );
    assert_eq!(plain.unwrap(), b"in-2-ZQXCANARY");
    until(&house, "the new token is taken", || {
        ask(&hr(&server), "in-2-ZQXCANARY", "{}") == 202
    });
    server.stop();

    // An identity of ours is one of theirs.
    let own = house.path("own.txt");
    let made = house
        .run(&["secrets", "identity", "--out", own.to_str().unwrap()])
        .ends(0);
    house
        .run(&["secrets", "identity", "--out", own.to_str().unwrap()])
        .ends(3);
    let derived = age("age-keygen", &["-y", own.to_str().unwrap()], b"").unwrap();
    assert_eq!(String::from_utf8(derived).unwrap(), made.out);

    // Somebody else's identity opens nothing, and says so without a value.
    std::fs::copy(&own, &identities).unwrap();
    house
        .run(&["secrets", "check"])
        .ends(1)
        .says(&["encrypted to somebody else", "W6021"]);
    // Others may not read it.
    std::fs::set_permissions(&identities, std::fs::Permissions::from_mode(0o644)).unwrap();
    house.run(&["secrets", "check"]).ends(1).says(&["0644"]);
    nothing_got_out(&house);
}

fn vault_top(vault: &vault::Vault, namespace: &str) -> String {
    format!(
        "{TOP}keys: {{ provider: vault, key: wardline }}\nsecrets:\n  vault:\n    address: {}\n    namespace: {namespace}\n    approle: {{ role_id: {}, secret_id: secret:vault/secret-id }}\n    path: wardline\n    every: 1s\n",
        vault.url(),
        vault::ROLE
    )
}

#[test]
fn the_stand_in_speaks_vaults_protocol() {
    let Some(python) = house::python("hvac") else {
        return;
    };
    let vault = vault::Vault::start(Some("hospital"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/vault_client.py");
    let mut command = Command::new(python);
    command.arg(script).args([
        &vault.url(),
        vault::ROOT,
        vault::ROLE,
        vault::SECRET_ID,
        "hospital",
    ]);
    Outcome::of(command).ends(0).says(&["\"ok\": true"]);

    // And what Python wrote there, we read.
    let receiver = Receiver::start();
    let house = town(&vault_top(&vault, "hospital"), &receiver);
    house.write(
        "systems/board.yaml",
        out(&receiver)
            .replace("out/token", "from/python")
            .as_bytes(),
    );
    secret(&house, "vault/secret-id", vault::SECRET_ID);
    secret(&house, "in/token", "in-1-ZQXCANARY");
    let listed = house.run(&["secrets", "list", "--json"]).ends(0).json();
    let secrets = listed["secrets"].as_array().unwrap();
    let python = secrets
        .iter()
        .find(|one| one["name"] == "from/python")
        .unwrap();
    assert_eq!(
        (&python["from"], &python["modified"]),
        (&json!("vault"), &json!("2026-11-24T10:42:00.123456789Z"))
    );
}

#[test]
fn vault_gives_secrets_wraps_keys_and_may_be_away() {
    let vault = vault::Vault::start(Some("hospital"));
    let receiver = Receiver::start();
    let house = town(&vault_top(&vault, "hospital"), &receiver);
    house.write(
        "systems/board.yaml",
        out(&receiver).replace("out/token", "out#token").as_bytes(),
    );
    secret(&house, "vault/secret-id", vault::SECRET_ID);
    house
        .run(&["secrets", "check"])
        .ends(1)
        .says(&["in/token", "missing"]);
    vault.put("wardline/in/token", json!({ "value": "in-1-ZQXCANARY" }));
    vault.put(
        "wardline/out",
        json!({ "user": "board", "token": "out-1-ZQXCANARY" }),
    );
    house.run(&["secrets", "check"]).ends(0);

    // Without its key nothing starts, and the reason is said.
    let refused = house.run(&["serve"]).ends(3);
    assert!(refused.err.contains("permission denied"), "{}", refused.err);
    let made = ureq(&vault, "POST", "/v1/transit/keys/wardline", "{}");
    assert_eq!(made, 204);
    let server = house.serve();
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    until(&house, "it goes out", || {
        receiver.count("out-1-ZQXCANARY") == 1
    });

    // Changed there, used here.
    vault.put(
        "wardline/out",
        json!({ "user": "board", "token": "out-2-ZQXCANARY" }),
    );
    until(&house, "the new token goes out", || {
        ask(&hr(&server), "in-1-ZQXCANARY", "{}");
        receiver.count("out-2-ZQXCANARY") > 0
    });

    // It forgets our token: we log in again. It is away: the last values serve.
    let logins = vault.logins();
    vault.forget_tokens();
    until(&house, "a new login", || vault.logins() > logins);
    vault.away(true);
    until(&house, "it is said", || {
        house.log().contains("the value in use stays")
    });
    let before = receiver.count("out-2-ZQXCANARY");
    for _ in 0..10 {
        assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    }
    until(&house, "deliveries go on", || {
        receiver.count("out-2-ZQXCANARY") >= before + 10
    });
    vault.away(false);
    vault.put(
        "wardline/out",
        json!({ "user": "board", "token": "out-3-ZQXCANARY" }),
    );
    until(&house, "it is back", || {
        ask(&hr(&server), "in-1-ZQXCANARY", "{}");
        receiver.count("out-3-ZQXCANARY") > 0
    });
    assert_eq!(receiver.refused(), 0);
    server.stop();

    // A new version of the master key, and every data key is wrapped with it.
    house
        .run(&["keys", "rotate"])
        .ends(0)
        .says(&["transit/wardline:v2"]);
    let keys = house.run(&["keys", "list", "--json"]).ends(0).json();
    let payloads = keys["keys"]["payloads"].as_array().unwrap();
    assert!(!payloads.is_empty());
    assert!(
        payloads
            .iter()
            .all(|key| key["wrapped_by"] == "transit/wardline:v2"),
        "{keys}"
    );
    let server = house.serve();
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    server.stop();
    nothing_got_out(&house);
}

#[test]
fn what_vault_gave_is_withheld_when_it_is_away_for_too_long() {
    let vault = vault::Vault::start(None);
    let receiver = Receiver::start();
    let top = format!(
        "{TOP}secrets:\n  vault: {{ address: {}, token: secret:vault/token, every: 1s, stale: 3s }}\n",
        vault.url()
    );
    let house = town(&top, &receiver);
    secret(&house, "vault/token", vault::ROOT);
    secret(&house, "in/token", "in-1-ZQXCANARY");
    vault.put("out/token", json!({ "token": "out-1-ZQXCANARY" }));
    let server = house.serve();
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    until(&house, "it goes out", || {
        receiver.count("out-1-ZQXCANARY") == 1
    });
    vault.away(true);
    until(&house, "it is withheld", || {
        house.log().contains("it is used no more")
    });
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    house.until_status("it waits", |status| {
        status.to_string().contains("has been away for too long")
    });
    assert_eq!(receiver.count("out-1-ZQXCANARY"), 1);
    vault.away(false);
    until(&house, "it goes out after all", || {
        receiver.count("out-1-ZQXCANARY") == 2
    });
    assert_eq!(acts(&house, "secret.withhold"), ["out/token"]);
    server.stop();
}

/// One request to the stand-in as its administrator.
fn ureq(vault: &vault::Vault, method: &str, path: &str, body: &str) -> u16 {
    let headers = format!(
        "X-Vault-Token: {}\r\nX-Vault-Namespace: hospital\r\nX-Vault-Request: true\r\n",
        vault::ROOT
    );
    post::request(&vault.address, method, path, &headers, body).0
}

#[test]
fn keys_are_listed_and_destroyed_for_a_reason_only() {
    let receiver = Receiver::start();
    let house = town(TOP, &receiver);
    secret(&house, "in/token", "in-1-ZQXCANARY");
    secret(&house, "out/token", "out-1-ZQXCANARY");
    house
        .run(&["keys", "list"])
        .ends(3)
        .explains(&["no sealing keys"]);
    let server = house.serve();
    assert_eq!(ask(&hr(&server), "in-1-ZQXCANARY", "{}"), 202);
    until(&house, "it goes out", || {
        receiver.count("out-1-ZQXCANARY") == 1
    });
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    house
        .run(&["keys", "list"])
        .ends(0)
        .says(&["payloads", &today, "wrapped by"]);

    let preview = house.run(&["keys", "destroy", "--before", &today]).ends(0);
    preview.says(&["0 keys", "Nothing was done"]);
    assert!(acts(&house, "keys.destroy").is_empty());
    for (before, why) in [("2999-01-01", "are in use"), ("yesterday", "is not a day")] {
        house
            .run(&["keys", "destroy", "--before", before, "--reason", "x"])
            .ends(3)
            .explains(&[why]);
    }
    house
        .run(&[
            "keys",
            "destroy",
            "--before",
            &today,
            "--reason",
            "contract ended",
        ])
        .ends(0)
        .says(&["destroyed"]);
    assert_eq!(acts(&house, "keys.destroy"), [today]);
    house.run(&["audit", "verify"]).ends(0);
    server.stop();
}
