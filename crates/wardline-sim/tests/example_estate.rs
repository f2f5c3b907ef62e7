//! The example estate's maps between the simulated EHR and the simulated systems: what the one tells, the others must take.
//!
//! This stands in for the engine with the least that could work: it runs the map of a row and posts the result.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_hl7::Message;
use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, Otherwise, Output, Program, Runtime, Schema,
    Subject, Value, Zone, to_json_bytes,
};
use wardline_sim::{Bed, Dice, Event, Hospital, Patient, Run, Sequence, SimConfig, Trigger};

const LIMIT: usize = 1 << 20;

fn estate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(estate().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn codes() -> Arc<CodeTables> {
    let mut tables = CodeTables::new();
    for name in [
        "disposition",
        "sex",
        "encounter-class",
        "legal-entity",
        "people-rules",
    ] {
        let table = CodeTable::from_csv(&read(&format!("codes/{name}.csv"))).unwrap();
        // As their files say: a rule that is missing is no rule.
        let otherwise = match name {
            "people-rules" => Otherwise::Error,
            _ => Otherwise::Value("unknown".into()),
        };
        tables.insert(name, table.otherwise(otherwise));
    }
    Arc::new(tables)
}

fn compile(map: &str, input: Input) -> Program {
    let environment = Environment {
        codes: codes(),
        zone: Some(Zone::named("America/Chicago").unwrap()),
        ..Environment::for_input(input)
    };
    let program = Program::compile(&read(map), &environment)
        .unwrap_or_else(|problems| panic!("{map}: {problems:#?}"));
    assert!(
        program.warnings().is_empty(),
        "{map}: {:#?}",
        program.warnings()
    );
    program
}

fn schema(name: &str) -> Schema {
    Schema::parse(&read(&format!("entities/{name}.schema.json"))).unwrap()
}

fn tell(trigger: Trigger, number: u64) -> Message {
    let mut dice = Dice::new(5).fork(number / 10);
    let patient = Patient::invent(&mut dice, "R", number / 10);
    let mut text = Vec::new();
    Event {
        trigger,
        sequence: Sequence {
            run: Run::from_number(1),
            number,
        },
        patient: &patient,
        bed: Bed::numbered(7),
        prior_bed: (trigger == Trigger::A02).then_some(Bed::numbered(8)),
        now: jiff::Timestamp::from_second(1_795_538_523).unwrap(),
        disposition: "06",
        enhanced: false,
    }
    .write(&mut text);
    Message::parse(text).unwrap()
}

fn json(program: &Program, subject: &Subject) -> Value {
    match program.run(subject, &mut Runtime::default()).unwrap() {
        Output::Json(value) => value,
        other => panic!("one JSON result expected, got {other:?}"),
    }
}

/// Trigger, map, system, path (with the account where it takes one).
const DELIVERIES: &[(Trigger, &str, &str, &str)] = &[
    (
        Trigger::A01,
        "encounter-to-open-account",
        "patient-accounting",
        "/accounts/{account}/open",
    ),
    (
        Trigger::A01,
        "encounter-to-bed",
        "bed-board",
        "/beds/occupy",
    ),
    (
        Trigger::A01,
        "admit-to-census",
        "staffing",
        "/census-changes",
    ),
    (
        Trigger::A02,
        "encounter-to-bed",
        "bed-board",
        "/beds/occupy",
    ),
    (
        Trigger::A02,
        "encounter-to-prior-bed",
        "bed-board",
        "/beds/release",
    ),
    (
        Trigger::A02,
        "transfer-to-clean-request",
        "housekeeping",
        "/clean-requests",
    ),
    (
        Trigger::A02,
        "transfer-to-census",
        "staffing",
        "/census-moves",
    ),
    (
        Trigger::A03,
        "encounter-to-close-account",
        "patient-accounting",
        "/accounts/{account}/close",
    ),
    (
        Trigger::A03,
        "encounter-to-bed",
        "bed-board",
        "/beds/release",
    ),
    (
        Trigger::A03,
        "encounter-to-clean-request",
        "housekeeping",
        "/clean-requests",
    ),
    (
        Trigger::A03,
        "discharge-to-census",
        "staffing",
        "/census-changes",
    ),
    (
        Trigger::A13,
        "encounter-to-reopen-account",
        "patient-accounting",
        "/accounts/{account}/reopen",
    ),
    (
        Trigger::A13,
        "encounter-to-bed",
        "bed-board",
        "/beds/occupy",
    ),
    (
        Trigger::A13,
        "encounter-to-clean-cancellation",
        "housekeeping",
        "/clean-requests/cancel",
    ),
    (
        Trigger::A13,
        "cancel-discharge-to-census",
        "staffing",
        "/census-changes",
    ),
];

#[tokio::test]
async fn what_the_ehr_tells_is_taken_by_every_system() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let encounter = schema("encounter");
    let to_encounter = compile("maps/adt-to-encounter.vrl", Input::Hl7);
    let mut programs: BTreeMap<&str, Program> = BTreeMap::new();
    for patient in 0..20 {
        for (place, trigger) in [Trigger::A01, Trigger::A02, Trigger::A03, Trigger::A13]
            .into_iter()
            .enumerate()
        {
            let message = tell(trigger, patient * 10 + place as u64 + 1);
            let event = json(&to_encounter, &Subject::hl7(Arc::new(message)));
            let violations = encounter.validate(&event);
            assert!(violations.is_empty(), "{trigger}: {violations:?}");
            for &(_, map, system, path) in DELIVERIES.iter().filter(|row| row.0 == trigger) {
                let program = programs
                    .entry(map)
                    .or_insert_with(|| compile(&format!("maps/{map}.vrl"), Input::Json));
                let body = String::from_utf8(
                    to_json_bytes(&json(program, &Subject::json(event.clone())), LIMIT).unwrap(),
                )
                .unwrap();
                let account = body
                    .split(r#""account":""#)
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .unwrap_or_default();
                let path = path.replace("{account}", account);
                let status = post(hospital.service(system).unwrap().address(), &path, &body).await;
                assert_eq!(status, 200, "{trigger} {map}: {path} {body}");
            }
        }
    }
    let report = hospital.stop().await;
    assert_eq!(report.applied(), 20 * DELIVERIES.len() as u64);
    assert!(report.is_orderly());
}

/// All files of a folder of the estate, one after the other.
fn texts(folder: &str) -> String {
    let mut files: Vec<PathBuf> = std::fs::read_dir(estate().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn every_map_is_tried() {
    let here: Vec<String> = DELIVERIES
        .iter()
        .map(|row| format!("{}.vrl", row.1))
        .chain(
            [
                "adt-to-encounter.vrl",
                "deidentify-adt.vrl",
                "clean-to-bed.vrl",
                // Those of Apis are tried through the gateway, in `wardline/tests/doors.rs`.
                "erp-to-supplier.vrl",
                "supplier-to-erp.vrl",
                "supplier-to-card.vrl",
            ]
            .map(String::from),
        )
        .collect();
    // The estate's own tests try the rest: by itself, in a flow, or in a process that lives through
    // a script with the operations of systems that it calls.
    let tests = texts("tests");
    let processes = texts("processes");
    let systems = texts("systems");
    let flows = texts("flows");
    for entry in std::fs::read_dir(estate().join("maps")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let named = [&tests, &processes, &systems, &flows]
            .iter()
            .any(|text| text.contains(&format!("maps/{name}")));
        assert!(here.contains(&name) || named, "{name} is tried by no test");
    }
}

#[test]
fn a_finished_clean_becomes_a_bed_event() {
    let program = compile("maps/clean-to-bed.vrl", Input::Json);
    let posted = wardline_mapping::from_json_bytes(
        br#"{"clean_request":"HK-000001","bed":"SOUTH-ICU-112-B","completed_at":"2026-11-24T16:42:03Z"}"#,
    )
    .unwrap();
    let event = json(&program, &Subject::json(posted));
    assert_eq!(schema("bed").validate(&event).len(), 0);
}

#[test]
fn nobody_is_left_in_the_research_feed() {
    let program = compile("maps/deidentify-adt.vrl", Input::Hl7);
    for trigger in [
        Trigger::A01,
        Trigger::A02,
        Trigger::A03,
        Trigger::A08,
        Trigger::A13,
    ] {
        for number in [11, 21, 31, 41] {
            let message = tell(trigger, number);
            let patient = Patient::invent(&mut Dice::new(5).fork(number / 10), "R", number / 10);
            let Output::Hl7(bytes) = program
                .run(&Subject::hl7(Arc::new(message)), &mut Runtime::default())
                .unwrap()
            else {
                panic!("an HL7 message expected");
            };
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let identifying = [
                &patient.mrn,
                &patient.account,
                &patient.visit,
                patient.family,
                patient.given,
                "555",
            ]
            .map(|value| text.contains(value));
            assert_eq!(identifying, [false; 6], "{text}");
            let left = Message::parse(bytes).unwrap();
            assert_eq!(left.trigger_event().as_deref(), Some(trigger.as_str()));
            assert!(
                left.control_id()
                    .is_some_and(|id| Sequence::read(&id).is_some())
            );
            let year = wardline_hl7::Path::new("PID-7");
            assert_eq!(left.value(&year).unwrap(), patient.born.year().to_string());
        }
    }
}

async fn post(address: std::net::SocketAddr, path: &str, body: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

#[test]
fn the_loader_has_nothing_to_say() {
    let loaded = wardline_estate::load(&estate(), &wardline_estate::LoadOptions::default());
    let said = loaded.diagnostics.render(&loaded.sources, false);
    let loaded = loaded.estate.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(said, "");
    // The systems' addresses are those that the simulators take.
    let mut found = 0;
    for (name, place) in Hospital::places() {
        let Some((_, connection)) = loaded.connection(&format!("{name}.api")) else {
            continue;
        };
        let wardline_estate::ConnectionKind::HttpOut(http) = &connection.kind else {
            panic!("{name} is called by HTTP")
        };
        let port = wardline_sim::FIRST_PORT + place;
        assert_eq!(
            http.url.value.trim_end_matches('/'),
            format!("http://127.0.0.1:{port}"),
            "{name}"
        );
        found += 1;
    }
    assert!(found >= 14, "{found}");
}
