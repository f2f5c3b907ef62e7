//! The files of suites that were made to break readers of JSON and XML.

use crate::town::{Stub, Town, ask, http};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An Api that takes any JSON, and the system that it is taken to.
fn any_json(system: &Stub) -> Town {
    let town = Town::new();
    town.house.write(
        "systems/bin.yaml",
        format!(
            "system: bin\nowner: tests\nconnections:\n  api:\n    http: {{ url: \"http://{}\" }}\n\
             operations:\n  put-anything:\n    http: {{ connection: api, post: \"/x\" }}\n    accepts: anything\n    returns: anything\n",
            system.address
        )
        .as_bytes(),
    );
    town.house.write(
        "entities/anything.schema.json",
        br#"{ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Anything" }"#,
    );
    town.house.write("entities/anything.yaml", b"entity: anything\nversion: 1.0.0\nowner: tests\nschema: anything.schema.json\nrecord: { master: bin }\n");
    town.house.write(
        "apis/bin.yaml",
        b"api: anything-bin\nowner: tests\nlayer: system\nversion: 1.0.0\nstate: published\noperations:\n  \
          put-anything: { post: \"/x\", accepts: anything, returns: anything, scope: supplier.write }\n\
          bindings: [{ system: bin }]\nlimits: { body: 1MiB }\n",
    );
    town.edit(
        "clients/purchasing.yaml",
        "limits: { rate: 100/s, concurrent: 32 }",
        "",
    );
    town
}

fn testdata(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../../../shared/testdata", "../../../../shared/testdata"];
    let found = places
        .iter()
        .map(|place| here.join(place).join(name))
        .find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: no ../shared/testdata/{name} beside the workspace");
    }
    found
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn what_is_json_is_taken_and_what_is_not_is_refused() {
    let Some(suite) = testdata("fuzz/json-test-parsing") else {
        return;
    };
    let system = Stub::start(|_| http("200 OK", "content-type: application/json\r\n", "{}"));
    let town = any_json(&system);
    let server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let mut slowest = (Duration::ZERO, String::new());
    let mut send = |name: &str, kind: &str, body: &[u8]| {
        let headers = [
            ("Authorization", token.as_str()),
            ("X-Purpose-Of-Use", "operations"),
            ("Content-Type", kind),
        ];
        let began = Instant::now();
        let answer = ask(&town.internal, "POST", "/anything-bin/v1/x", &headers, body);
        if began.elapsed() > slowest.0 {
            slowest = (began.elapsed(), name.to_owned());
        }
        assert!(
            answer.status < 500,
            "{name}: {} {}",
            answer.head,
            answer.text()
        );
        answer
    };
    let json = "application/json";
    let (mut seen, mut taken) = ([0, 0], 0);
    for (name, body) in files(&suite) {
        let answer = send(&name, json, &body);
        // RFC 8259 leaves it open what becomes of a key that comes twice. Two readers that differ
        // there see two documents, so it is refused.
        let twice = name.starts_with("y_object_duplicated_key");
        match name.get(..2) {
            Some("y_") if !twice => {
                seen[0] += 1;
                assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            }
            Some("n_" | "y_") => {
                seen[1] += 1;
                assert_eq!(
                    (answer.status, answer.problem().as_str()),
                    (400, "not-json"),
                    "{name}"
                );
            }
            _ => assert!(
                [200, 400, 422].contains(&answer.status),
                "{name}: {}",
                answer.head
            ),
        }
        taken += usize::from(answer.status == 200);
    }
    assert!(
        seen[0] >= 50 && seen[1] >= 120,
        "is this the suite? {seen:?}"
    );
    // What other fuzzers found, JSON and XML alike: taken or refused, never a failure. Numbers that
    // no reader can hold are JSON and break every contract (422).
    for folder in [
        "json-test-transform",
        "go-fuzz-corpus",
        "small-files",
        "xml-attacks",
        "lxml-tests",
        "xxe-payloads",
    ] {
        let Some(folder) = testdata(&format!("fuzz/{folder}")) else {
            continue;
        };
        for (name, body) in files(&folder) {
            let answer = send(&name, json, &body);
            assert!(
                [200, 400, 413, 422].contains(&answer.status),
                "{name}: {}",
                answer.head
            );
            taken += usize::from(answer.status == 200);
            if !body.is_empty() {
                assert_eq!(send(&name, "application/xml", &body).status, 415, "{name}");
            }
        }
    }
    if let Some(folder) = testdata("fuzz/naughty-strings") {
        let text = std::fs::read(folder.join("blns.json")).unwrap();
        let strings: Vec<String> = serde_json::from_slice(&text).unwrap();
        assert!(strings.len() > 400);
        for text in strings {
            let body = serde_json::json!({ "text": text }).to_string();
            assert_eq!(
                send("a naughty string", json, body.as_bytes()).status,
                200,
                "{body}"
            );
            taken += 1;
        }
    }
    assert_eq!(
        system.asked(),
        taken,
        "what was taken arrived, and nothing else"
    );
    println!(
        "{taken} documents taken; the slowest answer, {:?}, to {}",
        slowest.0, slowest.1
    );

    // Bombs: packed ones are not unpacked where no file says so, here and where messages come in.
    let packed = [
        ("Content-Type", json),
        ("Content-Encoding", "gzip"),
        ("Authorization", token.as_str()),
        ("X-Purpose-Of-Use", "operations"),
    ];
    for path in ["/anything-bin/v1/x", "/in/housekeeping/clean-completed"] {
        assert_eq!(
            ask(&town.internal, "POST", path, &packed, b"\x1f\x8b\x08\x00").status,
            415,
            "{path}"
        );
    }
    server.stop();
    let log = town.house.log();
    assert!(!log.contains("panicked"), "a panic is in the log");
}
