//! `wardline fhir` as a person and as a script meet it.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]
#![allow(dead_code, reason = "the house has rooms that this test does not use")]

#[path = "peers/house.rs"]
mod house;

use house::{House, run};
use serde_json::{Value, json};
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
