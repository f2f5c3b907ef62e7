//! The command line as a person and as a script meet it: exit codes, words, JSON, the running
//! server and the journal it leaves behind, and nothing of a patient where it has no business.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use house::{House, Outcome, free_address, run, wardline};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use wardline_sim::{Fault, Hospital, Record, SimConfig};

/// What must be in no log and in no error: they stand for a patient.
const MRN: &str = "MRNZQX7711";
const FAMILY: &str = "Wlxqvutsky";
const GIVEN: &str = "Qwzelda";
const ACCOUNT: &str = "ACCZQX88";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/st-brigid/tests/fixtures")
        .join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The example estate without a server; its tests may be changed.
fn example() -> House {
    House::example(&[])
}

/// Replaces a text in a file of the estate.
#[track_caller]
fn edit(house: &House, path: &str, from: &str, to: &str) {
    let before = std::fs::read_to_string(house.estate().join(path)).unwrap();
    assert!(before.contains(from), "`{from}` is not in {path}");
    house.write(path, before.replace(from, to).as_bytes());
}

#[test]
fn check_frames_every_problem_in_one_run() {
    let house = example();
    let estate = house.estate();
    run(&["check", "--offline", text(&estate)])
        .ends(0)
        .says(&["no problems"]);
    edit(
        &house,
        "flows/6-research.yaml",
        "from: ehr.adt",
        "from: ehr.adtx",
    );
    edit(&house, "flows/2-billing.yaml", "retry:", "retyr:");
    edit(
        &house,
        "systems/research.yaml",
        "ack_timeout: 10s",
        "ack_timeout: soon",
    );
    let said = run(&["check", "--offline", text(&estate)]).ends(1).says(&[
        "error[W1202]: there is no connection `ehr.adtx`",
        "--> flows/6-research.yaml:5:7",
        "5 | from: ehr.adtx",
        "did you mean `ehr.adt`?",
        "did you mean `retry`?",
        "--> flows/2-billing.yaml:",
        "--> systems/research.yaml:",
        "3 errors",
    ]);
    assert_eq!(said.err, "");
    let report = run(&["check", "--offline", "--json", text(&estate)])
        .ends(1)
        .json();
    assert_eq!(
        (&report["schema"], &report["ok"]),
        (&json!("wardline.check/1"), &json!(false))
    );
    let diagnostics = report["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 3);
    for one in diagnostics {
        assert_eq!(one["severity"], "error");
        assert!(
            one["line"].as_u64().unwrap() > 0 && one["column"].as_u64().unwrap() > 0,
            "{one}"
        );
    }
    let reference = diagnostics
        .iter()
        .find(|one| one["code"] == "W1202")
        .unwrap();
    assert_eq!(
        (&reference["file"], &reference["line"], &reference["column"]),
        (&json!("flows/6-research.yaml"), &json!(5), &json!(7))
    );
    // What cannot run does not start, and says the same.
    house
        .run(&["serve", text(&estate)])
        .ends(3)
        .explains(&["error[W1202]", "cannot run"]);
}

#[test]
fn a_map_that_does_not_compile_is_found_beside_a_dangling_reference() {
    let house = example();
    edit(
        &house,
        "flows/6-research.yaml",
        "from: ehr.adt",
        "from: ehr.adtx",
    );
    edit(&house, "maps/encounter-to-bed.vrl", ". = {", ". = {{");
    run(&["check", "--offline", text(&house.estate())])
        .ends(1)
        .says(&[
            "there is no connection `ehr.adtx`",
            "--> maps/encounter-to-bed.vrl:",
        ]);
}

#[test]
fn missing_secrets_are_found_where_the_machine_is_looked_at() {
    let house = example();
    edit(
        &house,
        "systems/patient-accounting.yaml",
        "timeout: 10s }",
        "timeout: 10s, auth: { basic: secret:billing/ws } }",
    );
    let estate = house.estate();
    run(&["check", "--offline", text(&estate)]).ends(0);
    run(&["check", text(&estate)])
        .ends(1)
        .says(&["secret:billing/ws", "--> systems/patient-accounting.yaml:"]);
}

#[test]
fn tests_of_an_estate_pass_and_fail_with_a_difference() {
    let house = example();
    let estate = house.estate();
    run(&["test", text(&estate)])
        .ends(0)
        .says(&["8 passed, 0 failed"]);
    run(&["test", text(&estate), "transfer"])
        .ends(0)
        .says(&["1 passed, 0 failed"]);
    edit(
        &house,
        "tests/encounters.yaml",
        "body: { account: \"ACC-77\", visit: \"V-1001\"",
        "body: { account: \"ACC-78\", visit: \"V-1001\"",
    );
    run(&["test", text(&estate)]).ends(1).says(&[
        "✕ an admission",
        "- ",
        "\"ACC-78\"",
        "+ ",
        "\"ACC-77\"",
        "7 passed, 1 failed",
    ]);
    let report = run(&["test", "--json", text(&estate), "admission opens"])
        .ends(1)
        .json();
    assert_eq!(
        (&report["schema"], &report["ok"]),
        (&json!("wardline.test/1"), &json!(false))
    );
    let only = &report["tests"].as_array().unwrap()[..];
    assert_eq!(only.len(), 1);
    assert!(
        only[0]["at"]
            .as_str()
            .unwrap()
            .starts_with("tests/encounters.yaml:")
    );
    assert!(
        only[0]["failures"][0]["expected"]
            .as_str()
            .unwrap()
            .contains("ACC-78")
    );
    assert!(
        only[0]["failures"][0]["actual"]
            .as_str()
            .unwrap()
            .contains("ACC-77")
    );
}

#[test]
fn a_map_is_run_or_explained() {
    let house = example();
    let map = house.estate().join("maps/adt-to-encounter.vrl");
    let made = run(&[
        "map",
        "run",
        text(&map),
        "--input",
        text(&fixture("adt-a01.hl7")),
    ])
    .ends(0)
    .json();
    assert_eq!(
        (&made["account_number"], &made["patient"]["sex"]),
        (&json!("ACC-77"), &json!("female"))
    );

    let broken = house.write(
        "maps/broken.vrl",
        b"x = hl7(\"PID-5.1\")\n.name = upcase(x\n",
    );
    let said = run(&[
        "map",
        "run",
        text(&broken),
        "--input",
        text(&fixture("adt-a01.hl7")),
    ])
    .ends(1);
    assert_eq!(said.out, "");
    said.explains(&["error[W2001]", "broken.vrl:2:", "2 | .name = upcase(x"]);

    // It compiles and fails on this message: where, but not on what.
    let failing = house.write("maps/failing.vrl", b".number = to_int!(hl7(\"PID-5.1\"))\n");
    let said = run(&[
        "map",
        "run",
        text(&failing),
        "--input",
        text(&fixture("adt-a01.hl7")),
    ])
    .ends(1);
    assert!(!said.err.contains("O'Brien"), "{}", said.err);
    said.explains(&["error[W2201]", "failing.vrl:1:", "to_int"]);
    run(&["map", "run", "nowhere.vrl", "--input", "x"])
        .ends(3)
        .explains(&["cannot read nowhere.vrl"]);
}

#[test]
fn hl7_files_are_checked_shown_and_written_back() {
    let house = House::new(&[]);
    let good = fixture("adt-a01.hl7");
    let two = house.path("two.hl7");
    std::fs::write(
        &two,
        [
            std::fs::read(&good).unwrap(),
            std::fs::read(fixture("oru-r01.hl7")).unwrap(),
        ]
        .concat(),
    )
    .unwrap();
    let note = house.path("note.txt");
    std::fs::write(&note, format!("a note about {FAMILY}\n")).unwrap();
    let missing = house.path("missing.hl7");

    let said = run(&[
        "hl7",
        "check",
        "--json",
        text(&good),
        text(&two),
        text(&note),
        text(&missing),
    ])
    .ends(1);
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "one line a file");
    for line in &lines {
        let keys: Vec<&str> = line
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "file", "ok", "messages", "type", "version", "charset", "problems"
            ]
        );
        for problem in line["problems"].as_array().unwrap() {
            let keys: Vec<&str> = problem
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(keys, ["code", "text", "offset", "segment"]);
        }
    }
    assert_eq!(
        lines[0],
        json!({ "file": good, "ok": true, "messages": 1, "type": "ADT^A01", "version": "2.5.1", "charset": "UNICODE UTF-8", "problems": [] })
    );
    assert_eq!(
        (&lines[1]["ok"], &lines[1]["messages"]),
        (&json!(true), &json!(2))
    );
    for refused in &lines[2..] {
        assert_eq!(
            (&refused["ok"], &refused["type"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(refused["problems"].as_array().unwrap().len(), 1);
    }
    assert!(
        !said.out.contains(FAMILY) && !said.err.contains(FAMILY),
        "a refusal quotes nothing"
    );
    run(&["hl7", "check", text(&good), text(&two)])
        .ends(0)
        .says(&["✓", "2 messages"]);
    run(&["hl7", "check"]).ends(2);

    run(&["hl7", "show", text(&good)]).ends(0).says(&[
        "PID  Patient Identification",
        "PID-5.1      O'Brien  Patient Name",
        "MSH-9.2      A01",
    ]);
    run(&["hl7", "show", text(&note)])
        .ends(1)
        .explains(&["refused"]);
    run(&["hl7", "show", text(&missing)])
        .ends(3)
        .explains(&["cannot read"]);
    run(&["hl7", "roundtrip", text(&good), text(&two)])
        .ends(0)
        .says(&["byte for byte"]);
    run(&["hl7", "roundtrip", text(&note)])
        .ends(1)
        .says(&["refused"]);
}

#[test]
fn what_the_product_says_about_itself() {
    for kind in [
        "estate", "system", "flow", "entity", "codes", "defaults", "test",
    ] {
        let schema = run(&["schema", kind]).ends(0).json();
        assert_eq!(
            schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
            "{kind}"
        );
        assert!(
            schema["properties"].is_object()
                || schema["oneOf"].is_array()
                || schema["anyOf"].is_array(),
            "{kind}: {schema}"
        );
    }
    run(&["schema", "sistem"])
        .ends(2)
        .explains(&["estate, system"]);
    let house = example();
    let out = house.path("schemas");
    run(&["schema", "--out", text(&out)])
        .ends(0)
        .says(&["flow.json"]);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 7);

    run(&["explain", "W1203"])
        .ends(0)
        .says(&["W1203: no such operation"]);
    run(&["explain", "w1203"])
        .ends(0)
        .says(&["W1203: no such operation"]);
    run(&["explain", "W9999"]).ends(1);
    house
        .run(&["explain", "flows.discharge-to-billing.to[0].retry"])
        .ends(0)
        .says(&[
            "retry.first = 1s  (flows/2-billing.yaml:",
            "retry.max_age = 7d",
        ]);
    // A default is told with where it was declared.
    house
        .run(&["explain", "flows.admit-to-billing.to[0].retry"])
        .ends(0)
        .says(&["retry.first = 500ms  (defaults.yaml:"]);
    house
        .run(&["explain", "flows.no-such"])
        .ends(1)
        .explains(&["no setting"]);

    run(&["frobnicate"])
        .ends(2)
        .explains(&["unrecognized subcommand 'frobnicate'"]);
    run(&[]).ends(2);
    run(&["serve", "--drain", "soon"])
        .ends(2)
        .explains(&["not a duration"]);
    run(&["--version"])
        .ends(0)
        .says(&[env!("CARGO_PKG_VERSION")]);
    house
        .run(&["status"])
        .ends(3)
        .explains(&["there is no journal", "wardline serve"]);
    let nobody = free_address();
    run(&["send", text(&fixture("adt-a01.hl7")), "--mllp", &nobody])
        .ends(3)
        .explains(&[&nobody]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut command = wardline();
    let (end, write) = std::io::pipe().unwrap();
    drop(end);
    let output = command
        .args(["schema", "flow"])
        .stdout(write)
        .output()
        .unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap().as_str()
        ),
        (Some(0), "")
    );
}

/// The example estate, served, with its other systems in this process.
struct Ward {
    house: House,
    hospital: Hospital,
}

impl Ward {
    async fn open() -> Self {
        let hospital = Hospital::start(SimConfig {
            record: Record::Full { per_key: 100 },
            ..SimConfig::for_tests()
        })
        .await
        .unwrap();
        let mut addresses = vec![
            ("127.0.0.1:8420".to_owned(), "127.0.0.1:0".to_owned()),
            ("127.0.0.1:8421".to_owned(), free_address()),
            ("127.0.0.1:2575".to_owned(), "127.0.0.1:0".to_owned()),
        ];
        for (port, service) in (18_081..).zip(hospital.services()) {
            addresses.push((format!("127.0.0.1:{port}"), service.address().to_string()));
        }
        Self {
            house: House::example(&addresses),
            hospital,
        }
    }

    /// An admission of the `n`th patient.
    fn admission(&self, n: usize) -> PathBuf {
        let message = std::fs::read_to_string(fixture("adt-a01.hl7")).unwrap();
        let message = message
            .replace("20040077", &format!("{MRN}{n}"))
            .replace("O'Brien", FAMILY)
            .replace("Zoë", GIVEN)
            .replace("ACC-77", &format!("{ACCOUNT}{n}"))
            .replace("V-1001", &format!("VISITZQX{n}"))
            .replace("MSG-0001", &format!("CTL-{n}"))
            .replace("112^A", &format!("{n}^A"));
        let path = self.house.path(&format!("admission-{n}.hl7"));
        std::fs::write(&path, message).unwrap();
        path
    }
}

/// Nothing of a patient.
#[track_caller]
fn discreet(what: &str, text: &str) {
    for word in [MRN, FAMILY, GIVEN, ACCOUNT, "VISITZQX"] {
        assert!(
            !text.contains(word),
            "`{word}` is in {what}:\n{}",
            text.lines()
                .filter(|line| line.contains(word))
                .take(3)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

/// Runs a listing both ways; neither names a patient. What its JSON says.
#[track_caller]
fn both(house: &House, words: &[&str], code: i32, says: &[&str]) -> Value {
    let said: Outcome = house.run(words).ends(code).says(says);
    discreet(&format!("{words:?}"), &said.out);
    discreet(&format!("{words:?}"), &said.err);
    let said = house.run(&[words, &["--json"]].concat()).ends(code);
    discreet(&format!("{words:?} --json"), &said.out);
    discreet(&format!("{words:?} --json"), &said.err);
    said.json()
}

/// Deliveries of a trace's JSON.
fn deliveries(traces: &Value) -> Vec<&Value> {
    traces
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|trace| trace["nodes"].as_array().unwrap())
        .filter_map(|node| node["item"].get("delivery"))
        .collect()
}

/// The state of what one admission owes patient accounting.
fn state_at_billing(house: &House, key: &str) -> (String, String) {
    let traces = house.run(&["trace", key, "--json"]).ends(0).json();
    let found = deliveries(&traces);
    let one = found
        .iter()
        .rfind(|one| one["destination"] == "patient-accounting.open-account")
        .unwrap();
    (
        one["id"].as_str().unwrap().to_owned(),
        one["state"].as_str().unwrap().to_owned(),
    )
}

/// Reads everything there is to read, the same from a server and from a journal at rest.
#[track_caller]
fn read_all(house: &House, well: i32) -> Vec<Value> {
    let messages = both(house, &["messages"], 0, &["ADT^A01", "ehr.adt", "2 shown"]);
    assert_eq!(messages["rows"].as_array().unwrap().len(), 2);
    let key = format!("{ACCOUNT}1");
    let by_key = both(house, &["messages", "--key", &key], 0, &["1 shown"]);
    both(
        house,
        &["messages", "--type", "ORU^R01"],
        0,
        &["no message matches"],
    );
    let id = by_key["rows"][0]["id"].as_str().unwrap().to_owned();
    let traced = both(
        house,
        &["trace", &id],
        0,
        &[
            "Trace ",
            "encounter.admitted",
            "patient-accounting.open-account",
            "research.feed",
        ],
    );
    both(house, &["trace", &key], 0, &["Trace "]);
    both(house, &["trace", &id, "--payloads"], 0, &["PID|", "••••"]);
    house
        .run(&["trace", "no-such-key"])
        .ends(1)
        .explains(&["nothing in the journal"]);
    both(
        house,
        &["status"],
        well,
        &["St. Brigid Health", "accepted 2"],
    );
    let audit = both(house, &["audit", "list"], 0, &["WHO", "WHAT"]);
    vec![messages, by_key, traced, audit]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_delivery_is_found_mended_and_proved() {
    let ward = Ward::open().await;
    let house = &ward.house;
    let billing = ward.hospital.patient_accounting();
    let refused = format!("{ACCOUNT}1");
    billing
        .set_fault(Fault::refusing([refused.clone()]))
        .unwrap();
    let server = house.serve();
    for n in 1..=2 {
        house
            .run(&[
                "send",
                text(&ward.admission(n)),
                "--mllp",
                &server.address("ehr.adt"),
            ])
            .ends(0)
            .says(&[&format!("✓ AA  CTL-{n}")]);
    }
    let status = house.until_status("one is refused, the others are delivered", |status| {
        status["sums"]["delivered"] == 7
            && status["sums"]["open"].as_u64().unwrap() + status["sums"]["dead"].as_u64().unwrap()
                == 1
    });
    assert_eq!(status["schema"], "wardline.status/1");
    assert!(billing.entries(&refused).is_empty());

    let groups = both(
        house,
        &["dead"],
        0,
        &[
            "patient-accounting.open-account",
            "422",
            "next: wardline replay --fingerprint v1:",
        ],
    );
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(groups.as_array().unwrap().len(), 1);
    read_all(house, 1);

    // A preview does nothing; it says so.
    let select = ["replay", "--fingerprint", &fingerprint];
    let preview = both(
        house,
        &select,
        0,
        &["1 selected", "Nothing was done; add --reason"],
    );
    assert_eq!(
        (
            &preview["selected"],
            &preview["preview"],
            &preview["created"]
        ),
        (&json!(1), &json!(true), &json!(0))
    );
    let unmoved = house.run(&["dead", "--json"]).json();
    assert_eq!(unmoved[0]["fingerprint"], fingerprint.as_str());

    // The same at rest, asked of the journal itself.
    let live = read_all(house, 1);
    server.stop();
    assert!(
        house.log().contains("DEBUG"),
        "this was the log at its most talkative"
    );
    discreet("the log", &house.log());
    let rest = read_all(house, 1);
    assert_eq!(
        live[..3],
        rest[..3],
        "a journal at rest tells what its server told"
    );
    assert_eq!(both(house, &["dead"], 0, &["422"]), groups);
    let preview_at_rest = both(house, &select, 0, &["Nothing was done"]);
    assert_eq!(preview_at_rest, preview);

    // Mended at rest; done when the server is back and billing takes it.
    billing.heal();
    both(
        house,
        &[&select[..], &["--reason", "account was opened by hand"]].concat(),
        0,
        &[],
    );
    let server = house.serve();
    house.until_status("the refused one is delivered", |status| {
        status["sums"]["open"] == 0 && !billing.entries(&refused).is_empty()
    });
    assert_eq!(billing.entries(&refused).len(), 1);
    assert_eq!(state_at_billing(house, &refused).1, "delivered");
    server.stop();

    let acts = both(
        house,
        &["audit", "list"],
        0,
        &["replay", "account was opened by hand", "user:tester"],
    );
    assert!(
        acts.as_array()
            .unwrap()
            .iter()
            .any(|line| line["reason"] == "account was opened by hand"),
        "{acts}"
    );
    verify_and_tamper(house);
    discreet("the log", &house.log());
    ward.hospital.stop().await;
}

/// The audit log is whole; and it is noticed when it no longer is.
fn verify_and_tamper(house: &House) {
    house
        .run(&["audit", "verify"])
        .ends(0)
        .says(&["✓", "no gap"]);
    let journal = rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    let (sequence, body): (i64, Vec<u8>) = journal
        .query_row(
            "SELECT sequence, body FROM audit ORDER BY sequence LIMIT 1 OFFSET 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let mut edited = body.clone();
    let last = edited.len() - 2;
    edited[last] ^= 1;
    journal
        .execute(
            "UPDATE audit SET body = ?1 WHERE sequence = ?2",
            (&edited, sequence),
        )
        .unwrap();
    drop(journal);
    house.run(&["audit", "verify"]).ends(1).says(&["✕"]);

    let journal = rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    journal
        .execute(
            "UPDATE audit SET body = ?1 WHERE sequence = ?2",
            (&body, sequence),
        )
        .unwrap();
    drop(journal);
    house.run(&["audit", "verify"]).ends(0);

    let journal = rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    journal
        .execute("DELETE FROM audit WHERE sequence = ?1", [sequence])
        .unwrap();
    drop(journal);
    house.run(&["audit", "verify"]).ends(1).says(&["✕"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_deliveries_are_cancelled_parked_and_resubmitted() {
    let ward = Ward::open().await;
    let house = &ward.house;
    let billing = ward.hospital.patient_accounting();
    let staffing = ward.hospital.staffing();
    staffing.set_fault(Fault::unavailable()).unwrap();
    let server = house.serve();
    let send = |n| {
        house
            .run(&[
                "send",
                text(&ward.admission(n)),
                "--mllp",
                &server.address("ehr.adt"),
            ])
            .ends(0)
    };
    send(1);
    send(2);
    house.until_status("two wait for staffing", |status| {
        status["sums"]["open"] == 2 && status["sums"]["delivered"] == 6
    });
    both(
        house,
        &["messages", "--state", "retrying", "--events"],
        0,
        &["encounter.admitted", "2 shown"],
    );

    // Without a reason nothing is decided, and with nothing selected neither.
    house
        .run(&["cancel", "--to", "staffing.change-census"])
        .ends(2)
        .explains(&["--reason"]);
    house.run(&["cancel", "--reason", "all of it"]).ends(3);
    let key = "VISITZQX1".to_owned();
    house
        .run(&[
            "cancel",
            "--to",
            "staffing.change-census",
            "--key",
            &key,
            "--reason",
            "counted by hand",
        ])
        .ends(0)
        .says(&["1 delivery cancelled"]);
    house.until_status("one is cancelled", |status| {
        status["sums"]["cancelled"] == 1 && status["sums"]["open"] == 1
    });
    let parked = house
        .run(&[
            "park",
            "--to",
            "staffing.change-census",
            "--reason",
            "later",
            "--json",
        ])
        .ends(0)
        .json();
    assert_eq!(parked, json!({ "count": 1 }));
    house.until_status("one is given up", |status| {
        status["sums"]["dead"] == 1 && status["sums"]["open"] == 0
    });
    house
        .run(&[
            "replay",
            "--to",
            "staffing.change-census",
            "--state",
            "dead",
            "--json",
        ])
        .ends(0)
        .says(&["\"selected\": 1"]);

    // What was sent is corrected by a person: another account, an edited copy.
    let (id, state) = state_at_billing(house, &format!("{ACCOUNT}2"));
    assert_eq!(state, "delivered");
    let body = house.path("edited.json");
    std::fs::write(&body, json!({ "account": format!("{ACCOUNT}9"), "visit": "VISITZQX9", "admitted_at": "2026-11-20T22:15:00-06:00", "message_id": "CTL-2" }).to_string()).unwrap();
    house.run(&["resubmit", &id, "--reason", "no body"]).ends(2);
    house
        .run(&[
            "resubmit",
            &id,
            "--body",
            text(&body),
            "--reason",
            "wrong account",
        ])
        .ends(0)
        .says(&["sent as ", "follow: wardline trace "]);
    house.until_status("the copy is delivered", |_| {
        billing.entries(&format!("{ACCOUNT}9")).len() == 1
    });
    let made = house
        .run(&[
            "resubmit",
            &id,
            "--body",
            text(&body),
            "--reason",
            "once more",
            "--json",
        ])
        .ends(0)
        .json();
    house.until_status("and the second", |_| {
        billing.entries(&format!("{ACCOUNT}9")).len() == 2
    });
    let traces = house
        .run(&["trace", made["delivery"].as_str().unwrap(), "--json"])
        .ends(0)
        .json();
    assert!(
        deliveries(&traces)
            .iter()
            .any(|one| one["id"] == made["delivery"] && one["replay_of"] == id.as_str()),
        "{traces:#}"
    );

    // A look at the body leaves its mark; masked it leaves none to look at.
    let seen = house
        .run(&["trace", &id, "--payloads", "--reveal", "INC-2231"])
        .ends(0);
    assert!(
        seen.out.contains(&format!("{MRN}2")) && seen.out.contains(FAMILY),
        "{}",
        seen.out
    );
    both(
        house,
        &["audit", "list"],
        0,
        &[
            "cancel",
            "counted by hand",
            "park",
            "later",
            "resubmit",
            "wrong account",
            "INC-2231",
            "user:tester",
        ],
    );
    let link = house.run(&["console"]).ends(0).out;
    assert!(
        link.contains(&format!("http://{}", server_console(house)))
            && link.contains("/login?token="),
        "{link}"
    );
    // The same decisions at rest: they hold when the server is back.
    send(3);
    house.until_status("the third waits for staffing", |status| {
        status["sums"]["open"] == 1
    });
    server.stop();
    let (id, _) = state_at_billing(house, &format!("{ACCOUNT}3"));
    let cancel = [
        "cancel",
        "--flow",
        "admit-to-staffing",
        "--state",
        "retrying",
        "--reason",
        "at rest",
        "--json",
    ];
    assert_eq!(house.run(&cancel).ends(0).json(), json!({ "count": 1 }));
    assert_eq!(
        house.run(&cancel).ends(0).json(),
        json!({ "count": 0 }),
        "once only"
    );
    house
        .run(&[
            "resubmit",
            &id,
            "--body",
            text(&body),
            "--reason",
            "at rest too",
            "--json",
        ])
        .ends(0)
        .says(&["delivery"]);
    assert_eq!(
        billing.entries(&format!("{ACCOUNT}9")).len(),
        2,
        "nothing leaves without a server"
    );
    both(house, &["audit", "list"], 0, &["at rest", "at rest too"]);
    staffing.heal();
    let server = house.serve();
    house.until_status("the copy left", |status| {
        status["sums"]["open"] == 0 && billing.entries(&format!("{ACCOUNT}9")).len() == 3
    });
    house.until_status("what was cancelled stays so", |status| {
        status["sums"]["cancelled"] == 2
    });
    server.stop();
    house.run(&["audit", "verify"]).ends(0);
    discreet("the log", &house.log());
    ward.hospital.stop().await;
}

/// Where the server says that its console is.
fn server_console(house: &House) -> String {
    let said: Value =
        serde_json::from_slice(&std::fs::read(house.data().join("serve.json")).unwrap()).unwrap();
    said["console"].as_str().unwrap().to_owned()
}
