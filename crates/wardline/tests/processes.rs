//! A process as people meet it on the command line: what is asked is answered, what is stuck is
//! mended, what the business sees is listed; at the running server and at the journal it left.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/post.rs"]
mod post;

use house::{House, Outcome, PATIENCE};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const WARDLINE: &str = "estate: shop\nfacilities: [north, south]\nkeys: { provider: file, path: ./keys }\n\
     people: { roles: [buyer] }\nlisteners:\n  console: { zone: admin, bind: \"127.0.0.1:0\" }\n  \
     internal: { zone: internal, bind: \"127.0.0.1:0\" }\n";

const SYSTEM: &str = r#"
system: erp
owner: it
connections:
  orders:
    http: { listen: internal, post: "/orders", auth: none }
    sensitivity: internal
"#;

const ENTITY: &str = r"
entity: purchase-order
owner: supply-chain
version: 1.0.0
schema: purchase-order.schema.json
sensitivity: { note: secret }
";

const SCHEMA: &str = r#"{ "type": "object", "required": ["number"], "properties": {
    "number": { "type": "string" }, "total": { "type": "object" }, "facility": { "type": "string" }, "note": { "type": "string" } } }"#;

const FLOW: &str = r"
flow: orders
owner: it
from: erp.orders
key: .number
emit: purchase_order.approved
";

const PROCESS: &str = r#"
process: buy
title: Buying
owner: supply-chain
entity: purchase-order
on: purchase_order.approved
as: order
key: .order.number
facility: .order.facility
statuses: [asking, sent]
show: { value: .order.total, note: .order.note }
retry: { first: 5ms, factor: 1, max: 5ms, attempts: 1, jitter: none }
on_exhausted: park
runbook: runbooks/buy.md
steps:
  - ask:
      task:
        role: buyer
        ask: "Order {{ .order.number }}?"
        choices: [send, drop]
        form: { reason: Reason }
        show: { total: .order.total }
        due: 2d
      status: asking
      save: decision
  - send: { when: '.decision.choice == "send"', call: network.publish, with: { number: .order.number }, status: sent }
"#;

/// A supplier network that refuses whatever it is sent.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut some = [0; 4096];
            // One small request comes in one piece or two; either way the answer is no.
            let _read = stream.read(&mut some).unwrap();
            let no = "HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(no.as_bytes()).unwrap();
        }
    });
    address
}

/// A shop before that network.
fn shop(network: &str) -> House {
    let system = format!(
        "system: network\nowner: it\nconnections:\n  api:\n    http: {{ url: \"http://{network}\", timeout: 5s }}\n    \
         breaker: {{ open_after: 0 }}\noperations:\n  publish:\n    http: {{ connection: api, post: \"/publish\" }}\n"
    );
    House::new(&[
        ("wardline.yaml", WARDLINE),
        ("systems/erp.yaml", SYSTEM),
        ("systems/network.yaml", &system),
        ("entities/purchase-order.yaml", ENTITY),
        ("entities/purchase-order.schema.json", SCHEMA),
        ("flows/orders.yaml", FLOW),
        ("processes/buy.yaml", PROCESS),
        ("runbooks/buy.md", "# Buying\n"),
    ])
}

fn until(house: &House, words: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = house.run(words).ends(0).json();
        if holds(&found) {
            return found;
        }
        assert!(Instant::now() < end, "never: {found:#}\n{}", house.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn rows(found: &Value) -> usize {
    found["rows"].as_array().unwrap().len()
}

fn open(house: &House, words: &str) -> Outcome {
    house.run(&words.split(' ').collect::<Vec<_>>())
}

#[test]
fn what_is_asked_is_answered_and_what_is_stuck_is_mended() {
    let network = refusing();
    let house = shop(&network);
    let server = house.serve();
    for (number, facility) in [("4711", "north"), ("4712", "south")] {
        let body = format!(
            r#"{{"number":"{number}","facility":"{facility}","note":"quillfeather","total":{{"amount":"12.50","currency":"USD"}}}}"#
        );
        let (status, answer) =
            post::request(&server.address("erp.orders"), "POST", "/orders", "", &body);
        assert_eq!(status, 202, "{answer}");
    }
    until(&house, &["tasks", "--json"], |found| rows(found) == 2);
    let asked = open(&house, "tasks --role buyer").ends(0);
    let asked = asked.says(&["buyer", "in 47 h", "4711", "Order 4712?"]);
    assert!(!asked.out.contains("quillfeather"));
    open(&house, "tasks --role nobody")
        .ends(0)
        .says(&["nothing is asked"]);
    open(&house, "process list")
        .ends(0)
        .says(&["buy", "supply-chain"]);

    let task = |number: &str| {
        let found = open(&house, "tasks --json").ends(0).json();
        let all = found["rows"].as_array().unwrap().clone();
        let one = all.iter().find(|one| one["key"] == number).unwrap();
        (
            one["id"].as_str().unwrap().to_owned(),
            one["instance"].as_str().unwrap().to_owned(),
        )
    };
    let (question, instance) = task("4711");
    open(&house, &format!("tasks show {question}"))
        .ends(0)
        .says(&["12.50 USD", "send, drop", "reason: Reason"]);
    open(&house, &format!("tasks claim {question}"))
        .ends(0)
        .says(&["is taken on by user:tester"]);
    let mine = open(&house, "tasks --mine --json").ends(0).json();
    assert_eq!(rows(&mine), 1);
    open(&house, &format!("tasks release {question}")).ends(0);
    open(
        &house,
        &format!("tasks reassign {question} --to bert --reason his --due 3d"),
    )
    .ends(0)
    .says(&["is for user:bert now"]);
    // Codes and reasons of the server come through.
    open(&house, &format!("tasks answer {question} send"))
        .ends(3)
        .explains(&["W7002", "was taken on by user:bert"]);
    open(&house, &format!("tasks release {question}")).ends(0);
    open(&house, &format!("tasks answer {question} maybe"))
        .ends(3)
        .explains(&["not one of the choices: send, drop"]);
    open(
        &house,
        &format!("tasks answer {question} send --note agreed --field reason=short"),
    )
    .ends(0)
    .says(&["send by user:tester"]);
    open(&house, "tasks --ended")
        .ends(0)
        .says(&["send by user:tester"]);

    // The network says no: it is stuck, and says so everywhere.
    let stuck = ["process", "instances", "buy", "--phase", "stuck", "--json"];
    until(&house, &stuck, |found| rows(found) == 1);
    let shown = open(&house, &format!("process show {instance}")).ends(0);
    let shown = shown.says(&[
        "! stuck",
        "runbooks/buy.md",
        "network.publish",
        "note       ••••",
        "wardline process retry",
    ]);
    assert!(!shown.out.contains("quillfeather"));
    open(&house, "transactions purchase-order --state failed")
        .ends(0)
        .says(&["4711", "✕ failed", "12.50 USD"]);
    let south = open(&house, "transactions --facility south").ends(0);
    assert!(south.out.contains("4712") && !south.out.contains("4711"));
    open(&house, "transactions --state lost")
        .ends(3)
        .explains(&["pending, retrying"]);
    open(&house, "process instances --phase lost")
        .ends(3)
        .explains(&["is no phase"]);
    open(&house, "process show 0000000000000")
        .ends(3)
        .explains(&["W7001"]);

    open(&house, &format!("process retry {instance}")).ends(2);
    let said = [
        "process",
        "set",
        &instance,
        "order={\"number\":\"4713\"}",
        "--reason",
        "moved",
    ];
    house.run(&said).ends(0).says(&["! stuck"]);
    open(&house, &format!("process retry {instance} --reason INC-1")).ends(0);
    let seen = open(
        &house,
        &format!("process show {instance} --reveal INC-1 --json"),
    );
    let seen = seen.ends(0).json();
    assert_eq!(seen["vars"]["order"]["number"], "4713");
    assert_eq!(seen["vars"]["decision"]["by"], "user:tester");
    until(&house, &stuck, |found| rows(found) == 1);
    open(&house, &format!("process skip {instance} --reason INC-1")).ends(0);
    let (_, other) = task("4712");
    open(&house, &format!("process cancel {other} --reason wrong"))
        .ends(0)
        .says(&["⊘ cancelled"]);
    open(&house, &format!("process retry {other} --reason wrong"))
        .ends(3)
        .explains(&["has ended (cancelled)"]);
    server.stop();

    // The journal says the same without a server, and it is on record.
    open(&house, "process list").ends(0).says(&["buy"]);
    open(&house, "tasks").ends(0).says(&["nothing is asked"]);
    open(&house, "transactions --key 4711")
        .ends(0)
        .says(&["✓ completed", "purchase-order"]);
    let log = open(&house, "audit list --limit 50").ends(0);
    log.says(&[
        "process.reveal",
        "process.set",
        "process.retry",
        "process.skip",
        "process.cancel",
        "task.answer",
        "task.reassign",
        "user:tester",
    ]);
}

#[test]
fn an_estate_without_processes_says_so() {
    let house = House::new(&[("wardline.yaml", WARDLINE)]);
    let server = house.serve();
    for (words, says) in [
        ("process list", "has no process"),
        ("process instances", "no instance matches"),
        ("tasks", "nothing is asked"),
        ("transactions", "no transaction matches"),
    ] {
        open(&house, words).ends(0).says(&[says]);
    }
    server.stop();
}
