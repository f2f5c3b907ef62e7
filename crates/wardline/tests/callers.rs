//! What is known of callers, and what stands out about them, through the real binary: who calls
//! which version, alerts with their evidence, a client in quarantine and let in again.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/systems.rs"]
mod systems;

use aws_lc_rs::digest::{SHA256, digest};
use house::{House, PATIENCE};
use serde_json::Value;
use std::time::{Duration, Instant};
use systems::{SUPPLIER_PATH, add_below, ask, ask_from, example, hex};

/// The example with two clients that show a key, and a watch that has learned all there is to
/// learn: days cannot be waited for here (what days teach is tried with a clock of its own in
/// `wardline-gateway/tests/lookout.rs`).
fn estate() -> (House, String) {
    let (house, internal, _) = example();
    add_below(
        &house,
        "identity",
        "  watch: { learning_days: 0, active_days: 0, few_denials: 3, denials_ceiling: 5 }\n",
    );
    for (name, more) in [("robot", ""), ("strict", "watch: quarantine\n")] {
        let digest = hex(digest(&SHA256, key(name).as_bytes()).as_ref());
        let text = format!(
            "client: {name}\ntitle: A {name} machine\nowner: supply-chain\nkind: service\nzone: internal\nauth: {{ api_key: {{ sha256: {digest}, expires: \"2040-06-30\" }} }}\nscopes: [supplier.read]\npurpose: [operations]\nlimits: {{ quota: 1000/day }}\n{more}"
        );
        house.write(&format!("clients/{name}.yaml"), text.as_bytes());
    }
    (house, internal)
}

fn key(client: &str) -> String {
    format!("wlk_{client}-0123456789abcdef0123456789abcdef")
}

fn call(at: &str, client: &str, path: &str) -> u16 {
    ask(at, "GET", path, &[("x-api-key", &key(client))], "").status
}

/// Forbidden to both: they may not write.
fn write(at: &str, client: &str) -> u16 {
    let headers = [
        ("x-api-key", &*key(client)),
        ("Content-Type", "application/json"),
    ];
    let body = r#"{"supplier_id":"V-100","name":"Acme","status":"active"}"#;
    ask(at, "POST", "/supplier-master/v1/suppliers", &headers, body).status
}

/// Waits until the command line says something.
#[track_caller]
fn until(house: &House, words: &[&str], what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let told = house.run(words).json();
        if holds(&told) {
            return told;
        }
        assert!(
            Instant::now() < end,
            "never: {what}\n{told:#}\n{}",
            house.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn of<'a>(all: &'a Value, client: &str) -> &'a Value {
    all.as_array()
        .unwrap()
        .iter()
        .find(|one| one["client"] == client)
        .unwrap_or_else(|| panic!("{client} is not in {all:#}"))
}

#[test]
fn who_calls_what_is_known_and_outlives_the_server() {
    let (house, internal) = estate();
    let server = house.serve();
    for _ in 0..7 {
        assert_eq!(
            call(&internal, "robot", SUPPLIER_PATH),
            200,
            "{}",
            house.log()
        );
    }
    for _ in 0..2 {
        assert_eq!(write(&internal, "robot"), 403);
    }
    let check = |all: &Value| {
        let robot = of(all, "robot");
        assert_eq!(robot["today"]["calls"], 9, "{robot:#}");
        assert_eq!(robot["today"]["denied"], 2, "{robot:#}");
        assert_eq!(robot["quota"]["used"], 7, "what is refused is not charged");
        assert_eq!(robot["quota"]["calls"], 1_000);
        assert_eq!(robot["address"], "127.0.0.1");
        assert_eq!(robot["credentials"][0]["kind"], "api_key");
        assert!(
            robot["credentials"][0]["expires"]
                .as_str()
                .unwrap()
                .starts_with("2040-06-30")
        );
        let operations = robot["operations"].as_array().unwrap();
        let get = operations
            .iter()
            .find(|one| one["operation"] == "get-supplier")
            .unwrap();
        assert_eq!(
            (&get["api"], &get["version"], &get["state"]),
            (
                &"supplier-master".into(),
                &"1.0.0".into(),
                &"published".into()
            )
        );
        assert_eq!(get["today"]["calls"], 7);
        assert!(get["p99_ms"].as_f64().unwrap() > 0.0);
        assert!(of(all, "ghx")["last"].is_null(), "it never called");
    };
    check(&house.run(&["clients", "--json"]).ends(0).json());
    house.run(&["clients", "robot"]).ends(0).says(&[
        "supplier-master/1.0.0.get-supplier",
        "7 of 1,000 a day",
        "2040-06-30",
    ]);
    house.run(&["clients", "nobody"]).ends(2);
    server.stop();
    house
        .run(&["clients"])
        .ends(3)
        .explains(&["no server runs here"]);

    // The estate moves on, and who still calls what was taken away is seen.
    let path = house.estate().join("apis/supplier-master.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let server = house.serve();
    check(&house.run(&["clients", "--json"]).ends(0).json());
    server.stop();
    std::fs::write(&path, text.replace("version: 1.0.0", "version: 1.1.0")).unwrap();
    let server = house.serve();
    let all = house.run(&["clients", "--json"]).ends(0).json();
    assert_eq!(
        of(&all, "robot")["operations"][0]["state"],
        "gone",
        "{all:#}"
    );
    server.stop();
}

#[test]
fn a_reload_brings_new_callers_and_forgets_none() {
    let (house, internal) = estate();
    let server = house.serve();
    assert_eq!(call(&internal, "robot", SUPPLIER_PATH), 200);
    let robot = std::fs::read_to_string(house.estate().join("clients/robot.yaml")).unwrap();
    let digest = |client: &str| hex(digest(&SHA256, key(client).as_bytes()).as_ref());
    let fresh = robot
        .replace("client: robot", "client: fresh")
        .replace(&digest("robot"), &digest("fresh"));
    assert_eq!(call(&internal, "fresh", SUPPLIER_PATH), 401);
    house.write("clients/fresh.yaml", fresh.as_bytes());
    house.run(&["reload"]).ends(0).says(&["client fresh added"]);
    assert_eq!(call(&internal, "fresh", SUPPLIER_PATH), 200);
    assert_eq!(call(&internal, "robot", SUPPLIER_PATH), 200);
    let all = house.run(&["clients", "--json"]).ends(0).json();
    assert_eq!(of(&all, "fresh")["today"]["calls"], 1, "{all:#}");
    assert_eq!(of(&all, "robot")["today"]["calls"], 2, "{all:#}");

    // It can be watched and refused as every other, and what it calls may go.
    house
        .run(&["clients", "fresh", "--quarantine", "--reason", "test"])
        .ends(0);
    let path = house.estate().join("apis/supplier-master.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("version: 1.0.0", "version: 1.1.0")).unwrap();
    house.run(&["reload"]).ends(0);
    assert_eq!(call(&internal, "fresh", SUPPLIER_PATH), 401);
    let all = house.run(&["clients", "--json"]).ends(0).json();
    assert_eq!(of(&all, "robot")["operations"][0]["state"], "gone");
    server.stop();
}

#[test]
fn what_stands_out_is_told_with_its_evidence_and_somebody_answers_for_it() {
    let (house, internal) = estate();
    let server = house.serve();
    for _ in 0..20 {
        assert_eq!(call(&internal, "robot", SUPPLIER_PATH), 200);
    }
    let quiet = house.run(&["alerts", "--json"]).ends(0).json();
    assert_eq!(
        quiet.as_array().unwrap().len(),
        0,
        "nothing stands out: {quiet:#}"
    );

    // Another network of this machine, another operation, and walls.
    let header = [("x-api-key", &*key("robot"))];
    assert_eq!(
        ask_from("127.0.9.9", &internal, "GET", SUPPLIER_PATH, &header).status,
        200
    );
    let card = "/supplier-portal/v1/suppliers/V-100/card";
    assert_eq!(call(&internal, "robot", card), 403);
    for _ in 0..6 {
        assert_eq!(write(&internal, "robot"), 403);
    }
    let alerts = until(&house, &["alerts", "--json"], "two alerts", |alerts| {
        alerts.as_array().unwrap().len() == 2
    });
    let [denials, address] = &alerts.as_array().unwrap()[..] else {
        panic!("{alerts:#}")
    };
    assert_eq!(address["evidence"][0]["sign"], "new-address");
    assert_eq!(address["evidence"][0]["network"], "127.0.9.0/24");
    assert_eq!(address["evidence"][0]["known"], 1);
    assert_eq!(denials["evidence"][0]["sign"], "many-denials");
    assert_eq!(denials["quarantined"], false);
    house.run(&["alerts"]).ends(1).says(&[
        "robot",
        "called from 127.0.9.0/24",
        "refused in this hour",
    ]);
    // Nobody was refused for it.
    assert_eq!(call(&internal, "robot", SUPPLIER_PATH), 200);

    let number = address["id"].to_string();
    house.run(&["alerts", "--acknowledge", &number]).ends(2);
    house
        .run(&[
            "alerts",
            "--acknowledge",
            &number,
            "--reason",
            "their new data centre",
        ])
        .ends(0);
    house
        .run(&["alerts", "--acknowledge", "999", "--reason", "x"])
        .ends(2);
    let open = house.run(&["alerts", "--json"]).ends(1).json();
    assert_eq!(open.as_array().unwrap().len(), 1);
    server.stop();

    // It outlives the server, with who looked at it and what they said.
    let server = house.serve();
    let all = house.run(&["alerts", "--all", "--json"]).ends(1).json();
    let seen = all
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == address["id"])
        .unwrap();
    assert_eq!(seen["acknowledged"]["by"], "user:tester");
    assert_eq!(seen["acknowledged"]["reason"], "their new data centre");
    // And is known from then on: the network teaches once.
    assert_eq!(
        ask_from("127.0.9.10", &internal, "GET", SUPPLIER_PATH, &header).status,
        200
    );
    server.stop();
    let audit = house
        .run(&["audit", "list", "--json", "--limit", "500"])
        .ends(0)
        .out;
    for word in [
        "alert.raise",
        "alert.acknowledge",
        "their new data centre",
        "127.0.9.0/24",
    ] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    assert!(house.log().contains("calls of a client stand out"));
}

#[test]
fn a_client_in_quarantine_is_refused_until_somebody_lets_it_in_again() {
    let (house, internal) = estate();
    let server = house.serve();
    assert_eq!(call(&internal, "strict", SUPPLIER_PATH), 200);
    for _ in 0..6 {
        // Refused either way, for lack of rights or in quarantine.
        assert!(matches!(write(&internal, "strict"), 401 | 403));
    }
    until(&house, &["clients", "--json"], "quarantine", |all| {
        !of(all, "strict")["quarantined"].is_null()
    });
    assert_eq!(call(&internal, "strict", SUPPLIER_PATH), 401);
    assert_eq!(call(&internal, "robot", SUPPLIER_PATH), 200, "nobody else");
    let alerts = house.run(&["alerts", "--json"]).ends(1).json();
    assert_eq!(alerts[0]["quarantined"], true, "{alerts:#}");
    server.stop();

    let server = house.serve();
    assert_eq!(
        call(&internal, "strict", SUPPLIER_PATH),
        401,
        "a restart frees nobody"
    );
    house.run(&["clients", "strict", "--release"]).ends(2);
    house
        .run(&[
            "clients",
            "strict",
            "--release",
            "--reason",
            "their test, not an attack",
        ])
        .ends(0)
        .says(&["is let in again"]);
    assert_eq!(call(&internal, "strict", SUPPLIER_PATH), 200);

    // By hand as well.
    house
        .run(&[
            "clients",
            "robot",
            "--quarantine",
            "--reason",
            "its key was seen on a wiki",
        ])
        .ends(0)
        .says(&["is refused from now on"]);
    assert_eq!(call(&internal, "robot", SUPPLIER_PATH), 401);
    server.stop();
    let audit = house
        .run(&["audit", "list", "--json", "--limit", "500"])
        .ends(0)
        .out;
    for word in [
        "client.quarantine",
        "client.release",
        "user:tester",
        "seen on a wiki",
    ] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
}
