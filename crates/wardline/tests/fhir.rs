//! `wardline fhir` as a person and as a script meet it.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]
#![allow(dead_code, reason = "the house has rooms that this test does not use")]

#[path = "peers/house.rs"]
mod house;

use house::{House, free_address, run};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

const ADT: &str = "MSH|^~\\&|EHR|H1|||20260101120000||ADT^A01|1|P|2.5\rPID|1||77^^^H1^MR||DOE^JANE||19700101|F\rPV1|1|I|4W^1^2|||||||||||||||||V1^^^H1|||||||||||||||||||||||||20260101113000\r";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn fhir_files_are_checked_and_made_of_hl7() {
    let house = House::new(&[]);
    let file = |name: &str, content: &str| {
        let path = house.path(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let good = file(
        "good.json",
        r#"{"resourceType":"Patient","gender":"female"}"#,
    );
    let wrong = file(
        "wrong.json",
        r#"{"resourceType":"Patient","gender":"SECRET"}"#,
    );
    let lines = file(
        "bulk.ndjson",
        "{\"resourceType\":\"Patient\"}\n\n{\"resourceType\":\"Group\"}\n",
    );
    let markup = file("p.xml", "<Patient/>");
    let missing = house.path("missing.json");
    let said = run(&[
        "fhir",
        "check",
        "--json",
        text(&good),
        text(&wrong),
        text(&lines),
        text(&markup),
        text(&missing),
    ])
    .ends(1);
    let all: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(all.len(), 5, "one line a file");
    assert_eq!(
        (
            &all[0]["ok"],
            &all[0]["type"],
            &all[0]["outcome"]["resourceType"]
        ),
        (&json!(true), &json!("Patient"), &json!("OperationOutcome"))
    );
    assert_eq!(
        all[1]["outcome"]["issue"][0]["expression"],
        json!(["Patient.gender"])
    );
    assert!(!said.out.contains("SECRET"));
    assert_eq!(all[2]["resources"], 2);
    assert!(
        all[2]["outcome"]["issue"][0]["diagnostics"]
            .as_str()
            .unwrap()
            .starts_with("line 3: ")
    );
    assert!(
        all[3]["outcome"]["issue"][0]["diagnostics"]
            .as_str()
            .unwrap()
            .contains("XML")
    );
    assert_eq!(
        (&all[4]["ok"], &all[4]["resources"]),
        (&json!(false), &json!(0))
    );
    run(&["fhir", "check", text(&good)])
        .ends(0)
        .says(&["1 resource"]);

    let message = file("adt.hl7", ADT);
    let made = run(&[
        "fhir",
        "from-hl7",
        text(&message),
        "--zone",
        "America/Chicago",
        "--system",
        "H1=urn:oid:1.2.3",
    ])
    .ends(0);
    let bundle: Value = serde_json::from_str(made.out.trim()).unwrap();
    assert_eq!(
        (
            &bundle["type"],
            &bundle["entry"][0]["resource"]["identifier"][0]["system"]
        ),
        (&json!("transaction"), &json!("urn:oid:1.2.3"))
    );
    let bundle = file("bundle.json", &made.out);
    run(&["fhir", "check", text(&bundle)]).ends(0);
    let made = run(&["fhir", "from-hl7", text(&message), "--message"]).ends(0);
    let bundle: Value = serde_json::from_str(made.out.trim()).unwrap();
    assert_eq!(
        bundle["entry"][0]["resource"]["resourceType"],
        "MessageHeader"
    );
    let other = file("rde.hl7", &ADT.replace("ADT^A01", "RDE^O11"));
    run(&["fhir", "from-hl7", text(&other)]).ends(1);
}

/// A store that refuses patients of the name UNKNOWN and takes all else.
fn store(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut bytes = Vec::new();
            let text = loop {
                let mut some = [0; 4096];
                match stream.read(&mut some) {
                    Ok(0) | Err(_) => break None,
                    Ok(read) => bytes.extend_from_slice(&some[..read]),
                }
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                    let length = head
                        .to_ascii_lowercase()
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    body.len() >= length.unwrap_or(0)
                });
                if whole {
                    break Some(text);
                }
            };
            let Some(text) = text else { continue };
            let transaction =
                text.starts_with("POST /r4 ") && text.contains("\"type\":\"transaction\"");
            let (line, body) = if !transaction {
                (
                    "400 Bad Request",
                    json!({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"structure"}]}),
                )
            } else if text.contains("UNKNOWN") {
                (
                    "422 Unprocessable Entity",
                    json!({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"business-rule","expression":["Bundle.entry[0].resource"]}]}),
                )
            } else {
                (
                    "200 OK",
                    json!({"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201"}}]}),
                )
            };
            let body = body.to_string();
            write!(stream, "HTTP/1.1 {line}\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
        }
    });
}

#[test]
fn admissions_reach_a_fhir_server_as_transactions() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    store(listener);
    let here = free_address();
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: ward\nlisteners:\n  console: { zone: admin, bind: \"127.0.0.1:0\" }\n",
        ),
        (
            "systems/ehr.yaml",
            &format!(
                "system: ehr\nowner: it\nconnections:\n  adt: {{ mllp: {{ listen: \"{here}\" }} }}\n"
            ),
        ),
        (
            "systems/store.yaml",
            &format!(
                "system: store\nowner: it\nconnections:\n  r4:\n    fhir: {{ url: \"http://{there}/r4\", zone: America/Chicago, systems: {{ H1: \"urn:oid:1.2.3\" }} }}\n"
            ),
        ),
        (
            "flows/adt.yaml",
            "flow: adt\nowner: it\nfrom: ehr.adt\nkey: hl7(\"PID-3.1\")\nto:\n  - send: store.r4\n    retry: { first: 100ms, attempts: 3 }\n    on_exhausted: park\n",
        ),
    ]);
    let estate = house.estate();
    house.run(&["keys", "init"]);
    house.run(&["check", estate.to_str().unwrap()]).ends(0);
    let server = house.serve();
    for (n, name) in ["DOE", "UNKNOWN", "ROE"].iter().enumerate() {
        let message = ADT
            .replace("DOE", name)
            .replace("|1|P|", &format!("|{n}|P|"))
            .replace("77", &n.to_string());
        let file = house.path("adt.hl7");
        std::fs::write(&file, message).unwrap();
        run(&["send", text(&file), "--mllp", &here]).ends(0);
    }
    house.until_status("two are delivered and one is dead", |status| {
        status["sums"]["delivered"] == 2 && status["sums"]["dead"] == 1
    });
    house.run(&["dead"]).ends(0).says(&["W4342"]);
    server.stop();
}
