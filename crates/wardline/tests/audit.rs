//! The audit log as an auditor meets it: proofs that others' programs check, witnesses, exports,
//! and every way of changing it found. PyPI `pymerkle` and `fhir.resources` are the others;
//! `cargo xtask peers` installs them. Without them that test says so and skips, and fails where
//! `CI` is set.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use house::{House, run};
use serde_json::json;
use std::path::Path;
use std::process::Command;

const ENTRIES: usize = 11;

/// A house whose audit log has eleven entries: looks at one message, each with its reason.
fn looked_at() -> House {
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: audited\nkeys: { provider: file, path: ./keys }\nlisteners:\n  \
             console: { zone: admin, bind: \"127.0.0.1:0\" }\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n",
        ),
        (
            "systems/hr.yaml",
            "system: hr\nowner: it\nconnections:\n  events:\n    \
             http: { listen: internal, post: \"/hr\", auth: { bearer: secret:hr/token } }\n    sensitivity: internal\n",
        ),
        (
            "systems/sink.yaml",
            "system: sink\nowner: it\nconnections:\n  all:\n    null: {}\n    sensitivity: internal\n",
        ),
        (
            "flows/all.yaml",
            "flow: all\nowner: it\nfrom: hr.events\nto:\n  - { send: sink.all }\n",
        ),
    ]);
    secret(&house, "hr/token", "a-token-for-tests");
    let server = house.serve();
    let sent = post(&server.address("hr.events"), "{\"a\":1}");
    assert!(sent.starts_with("HTTP/1.1 202"), "{sent}");
    let messages = house.run(&["messages", "--json"]).ends(0).json();
    let id = messages["rows"][0]["id"].as_str().unwrap().to_owned();
    // The first entry is the estate that was put in force.
    for n in 1..ENTRIES {
        let reason = format!("ticket {n}");
        house
            .run(&["trace", &id, "--payloads", "--reveal", &reason])
            .ends(0);
    }
    // Asked of the running server, and later of the journal itself: the same answers.
    house.run(&["audit", "verify"]).ends(0).says(&["no gap"]);
    server.stop();
    house
}

fn secret(house: &House, name: &str, value: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = house.write(&format!("secrets/{name}"), value.as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn post(address: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /hr HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-token-for-tests\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn others_recompute_proofs_and_parse_events() {
    let Some(python) = house::python("pymerkle, fhir.resources") else {
        return;
    };
    let house = looked_at();
    let folder = house.path("audit");
    std::fs::create_dir(&folder).unwrap();
    let keep = |name: &str, words: &[&str]| {
        let said = house.run(words).ends(0).out;
        std::fs::write(folder.join(name), said).unwrap();
    };
    keep("log.ndjson", &["audit", "export"]);
    keep("log.fhir.ndjson", &["audit", "export", "--format", "fhir"]);
    let sizes: Vec<String> = (1..=ENTRIES).map(|size| size.to_string()).collect();
    for size in [1, 2, 7, 8, 11] {
        for index in [0, size / 2, size - 1] {
            let (index, size) = (index.to_string(), size.to_string());
            keep(
                &format!("proof-{index}-{size}.json"),
                &["audit", "proof", &index, "--size", &size],
            );
        }
        for old in sizes.iter().take(size) {
            let size = size.to_string();
            keep(
                &format!("consistency-{old}-{size}.json"),
                &["audit", "consistency", old, &size],
            );
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/audit_check.py");
    let output = Command::new(python)
        .arg(script)
        .arg(&folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        said,
        json!({ "entries": ENTRIES, "inclusion": 12, "consistency": 29, "events": ENTRIES })
    );
    let said = std::fs::read_to_string(folder.join("log.fhir.ndjson")).unwrap();
    assert!(!said.contains("\\\"a\\\":1"), "no payload is in an event");
}

#[test]
fn every_change_of_the_stored_log_is_found() {
    let house = looked_at();
    let journal = || rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    let clean = house.path("clean.db");
    journal()
        .execute("VACUUM INTO ?1", [clean.to_str().unwrap()])
        .unwrap();
    let attacks: &[(&str, &str)] = &[
        (
            "changed",
            "UPDATE audit SET body = X'7B7D' WHERE sequence = 4",
        ),
        (
            "another time",
            "UPDATE audit SET at = at + 1 WHERE sequence = 4",
        ),
        (
            "another hash",
            "UPDATE audit SET hash = zeroblob(32) WHERE sequence = 4",
        ),
        ("removed", "DELETE FROM audit WHERE sequence = 4"),
        (
            "removed and renumbered",
            "DELETE FROM audit WHERE sequence = 4; \
             UPDATE audit SET sequence = sequence - 1 WHERE sequence > 4",
        ),
        (
            "reordered",
            "UPDATE audit SET sequence = 99 WHERE sequence = 4; \
             UPDATE audit SET sequence = 4 WHERE sequence = 5; \
             UPDATE audit SET sequence = 5 WHERE sequence = 99",
        ),
        ("cut short", "DELETE FROM audit WHERE sequence > 4"),
        ("emptied", "DELETE FROM audit"),
    ];
    for (what, sql) in attacks {
        let journal = journal();
        journal.execute_batch(sql).unwrap();
        drop(journal);
        let said = house.run(&["audit", "verify"]);
        assert_eq!(said.code, 1, "{what}: {}{}", said.out, said.err);
        assert!(said.out.contains('✕'), "{what}: {}", said.out);
        for ending in ["", "-wal", "-shm"] {
            std::fs::remove_file(house.data().join(format!("journal.db{ending}"))).ok();
        }
        std::fs::copy(&clean, house.data().join("journal.db")).unwrap();
        house.run(&["audit", "verify"]).ends(0);
    }
}

#[test]
fn a_witness_vouches_for_one_history() {
    let house = looked_at();
    let file = |name: &str| house.path(name).to_str().unwrap().to_owned();
    let (key, first, later) = (file("witness.key"), file("first"), file("later"));
    let public = run(&["audit", "witness", "w.st-olaf.example", "--out", &key])
        .ends(0)
        .out;
    run(&["audit", "witness", "w.st-olaf.example", "--out", &key])
        .ends(3)
        .explains(&["witness.key"]);
    let checkpoint = house.run(&["audit", "checkpoint", "--json"]).ends(0).json();
    let log = checkpoint["key"].as_str().unwrap().to_owned();
    assert_eq!(checkpoint["size"], ENTRIES);
    std::fs::write(&first, checkpoint["note"].as_str().unwrap()).unwrap();

    let cosign = |words: &[&str]| run(&[&["audit", "cosign"], words].concat());
    let signed = cosign(&[&first, "--key", &key, "--log", &log, "--first"]).ends(0);
    std::fs::write(&first, &signed.out).unwrap();
    house
        .run(&[
            "audit",
            "verify",
            "--checkpoint",
            &first,
            "--witness",
            public.trim(),
        ])
        .ends(0)
        .says(&["cosigned by w.st-olaf.example"]);

    // The log grows; the witness wants to see that it is the same one.
    let messages = house.run(&["messages", "--json"]).ends(0).json();
    let id = messages["rows"][0]["id"].as_str().unwrap().to_owned();
    house
        .run(&["trace", &id, "--payloads", "--reveal", "one more"])
        .ends(0);
    let note = house.run(&["audit", "checkpoint"]).ends(0).out;
    std::fs::write(&later, &note).unwrap();
    house
        .run(&[
            "audit",
            "verify",
            "--checkpoint",
            &later,
            "--witness",
            public.trim(),
        ])
        .ends(1)
        .says(&["not cosigned"]);
    let continued = [&later, "--key", &key, "--log", &log, "--previous", &first];
    cosign(&continued).ends(1).says(&["history was rewritten"]);
    let proof = file("proof");
    let (old, new) = (ENTRIES.to_string(), (ENTRIES + 1).to_string());
    let said = house.run(&["audit", "consistency", &old, &new]).ends(0).out;
    std::fs::write(&proof, said).unwrap();
    let signed = cosign(&[&continued[..], &["--proof", &proof]].concat()).ends(0);
    std::fs::write(&later, &signed.out).unwrap();
    house
        .run(&[
            "audit",
            "verify",
            "--checkpoint",
            &later,
            "--witness",
            public.trim(),
        ])
        .ends(0);
    // A note whose size was changed is no longer the log's.
    let forged = note.replace(&format!("\n{new}\n"), &format!("\n{old}\n"));
    std::fs::write(&later, forged).unwrap();
    assert_ne!(cosign(&continued).code, 0);
}
