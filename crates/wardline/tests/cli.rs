//! The command line as a person and as a script meet it: exit codes, words, JSON, the running
//! server and the journal it leaves behind, and nothing of a patient where it has no business.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/journal.rs"]
mod journal;
#[path = "peers/ward.rs"]
mod ward;

use house::{House, Outcome, free_address, run, wardline};
use serde_json::{Value, json};
use ward::{FAMILY, fixture, text};

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
fn the_environment_says_which_store_instead_of_the_estate() {
    let house = example();
    let check = |store: &str| {
        let mut command = wardline();
        command
            .args(["check", "--offline", text(&house.estate())])
            .env("WARDLINE_STORE", store);
        Outcome::of(command)
    };
    check("sqlite").ends(0);
    check("").ends(0);
    let said = check("postgres://wardline:hunter2@db.example/w")
        .ends(1)
        .says(&[
            "W1901",
            "`WARDLINE_STORE` names PostgreSQL",
            "WARDLINE_STORE=sqlite",
        ]);
    assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"));
    edit(
        &house,
        "wardline.yaml",
        "store: sqlite",
        "store: postgres://db.example/w",
    );
    check("sqlite").ends(0);
    check("").ends(1).says(&["W1901", "wardline.yaml:"]);
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
    for json in [&[][..], &["--json"]] {
        let words = [&["test", text(&estate), "a tranfer moves"], json].concat();
        let said =
            run(&words)
                .ends(2)
                .explains(&["W2501", "`a tranfer moves`", "and there are 3 more"]);
        assert!(said.out.is_empty(), "{}", said.out);
        let (_, closest) = said.err.split_once("the closest are ").unwrap();
        assert!(closest.starts_with("`a transfer"), "{closest}");
    }
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

    // What of the estate does not load is said, and what does is used: this map needs a table.
    house.write("flows/broken.yaml", b"flow: broken\nform: ehr.adt\n");
    let made = run(&[
        "map",
        "run",
        text(&map),
        "--input",
        text(&fixture("adt-a01.hl7")),
    ])
    .ends(0)
    .explains(&["does not load", "code tables may be missing"]);
    assert_eq!(made.json()["patient"]["sex"], "female");
}

/// Everything that `serve` would refuse is found where it stands.
#[test]
fn check_finds_paths_that_could_not_be_served() {
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: shop\nkeys: { provider: file, path: ./keys }\nlisteners:\n  internal: { zone: internal, bind: \"127.0.0.1:0\" }\n",
        ),
        (
            "systems/erp.yaml",
            "system: erp\nowner: it\nconnections:\n  api:\n    http: { url: \"http://127.0.0.1:9\" }\noperations:\n  \
             change:\n    http: { connection: api, put: \"/vendors/{vendor}/terms\" }\n    accepts: terms\n",
        ),
        (
            "entities/terms.yaml",
            "entity: terms\nversion: 1.0.0\nowner: it\nschema: terms.schema.json\n",
        ),
        ("entities/terms.schema.json", "{ \"type\": \"object\" }"),
        (
            "apis/suppliers.yaml",
            "api: suppliers\nowner: it\nlayer: system\nversion: 1.0.0\nstate: published\noperations:\n  \
             change: { put: \"/suppliers/{supplier}\", accepts: terms, scope: terms.write }\nbindings: [{ system: erp }]\n",
        ),
        (
            "policies/base.cedar",
            "@id(\"calls-by-scope\")\npermit (principal, action == Action::\"call\", resource)\nwhen { context.has_scope };\n",
        ),
    ]);
    let estate = house.estate();
    run(&["check", "--offline", text(&estate)])
        .ends(1)
        .says(&[
            "error[W5601]: the path `/vendors/{vendor}/terms` cannot be used: it uses a parameter that the Api's path lacks",
            "--> apis/suppliers.yaml:8:22",
            "1 error",
        ]);
    // What is sent later takes it from the body.
    edit(
        &house,
        "apis/suppliers.yaml",
        "scope: terms.write",
        "scope: terms.write, async: true",
    );
    run(&["check", "--offline", text(&estate)]).ends(0);
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
    run(&["hl7", "check", text(&note)])
        .ends(1)
        .says(&["✕", "no HL7 message in this file"]);
    let hollow = house.path("hollow.hl7");
    std::fs::write(&hollow, "FHS|^~\\&|A\rBHS|^~\\&|A\rBTS|0\rFTS|1\r").unwrap();
    let said = run(&["hl7", "check", text(&hollow)])
        .ends(1)
        .says(&["✕", "no HL7 message in this file"]);
    assert!(!said.out.contains("0 messages"), "{}", said.out);
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
        "estate", "system", "flow", "process", "entity", "api", "client", "codes", "defaults",
        "test", "layout", "job",
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
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 12);

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
