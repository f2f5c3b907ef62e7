//! What `wardline asyncapi` prints, by what it says and by the reference parser of the AsyncAPI
//! initiative, which `cargo xtask peers` installs.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn document(estate: &str) -> Value {
    let estate = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(estate);
    let output = Command::new(env!("CARGO_BIN_EXE_wardline"))
        .arg("asyncapi")
        .arg(estate)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The parser, where it is installed.
fn parser() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let modules = root.join("node/node_modules");
    if modules.join("@asyncapi/parser").exists() {
        return modules.canonicalize().ok();
    }
    println!("skipped in part: @asyncapi/parser is missing; `cargo xtask peers` installs it");
    None
}

#[test]
fn brokers_and_events_are_described() {
    let stream = document("event-stream");
    assert_eq!(stream["asyncapi"], "3.0.0");
    let out = &stream["channels"]["analytics-events"];
    assert_eq!(out["address"], "brigid.{facility}.{type}");
    assert_eq!(
        out["parameters"]["facility"]["location"],
        "$message.payload#/facility"
    );
    let events = &stream["components"]["messages"]["analytics-events.discharge-to-analytics"];
    assert_eq!(
        events["headers"]["properties"]["source"]["const"],
        "/st-brigid/wardline"
    );
    let taken = &stream["channels"]["supplier-network-acknowledgements"];
    assert_eq!(
        taken["bindings"]["amqp"]["queue"]["name"],
        "order-acknowledgements"
    );
    assert_eq!(
        stream["operations"]["receive-supplier-network-acknowledgements"]["action"],
        "receive"
    );

    let house = document("st-brigid");
    let discharged = &house["components"]["messages"]["encounter-discharged"];
    assert_eq!(
        discharged["payload"]["$ref"],
        "#/components/schemas/encounter"
    );
    assert!(house["components"]["schemas"]["encounter"]["properties"].is_object());

    let Some(modules) = parser() else { return };
    for (name, document) in [("event-stream", stream), ("st-brigid", house)] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/asyncapi_check.js");
        let mut child = Command::new("node")
            .arg(script)
            .arg(&modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(document.to_string().as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["errors"], serde_json::json!([]), "{name}");
        let channels = document["channels"].as_object().unwrap().len();
        assert_eq!(said["found"]["channels"], channels, "{name}");
    }
}
