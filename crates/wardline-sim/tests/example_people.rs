//! The example estate's maps between the simulated people and money systems: what HR, payroll, payers and the clinical record
//! tell must be what the entities say.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "rehearsals/listener.rs"]
mod listener;

use bytes::BytesMut;
use listener::{Heard, Stage};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wardline_hl7::{Message, mllp};
use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, Otherwise, Output, Program, Runtime, Schema,
    Subject, Zone, from_json_bytes, to_json_bytes,
};
use wardline_sim::{Group, Scenario};

const LIMIT: usize = 1 << 20;

fn estate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(estate().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn codes() -> Arc<CodeTables> {
    let mut tables = CodeTables::new();
    for entry in std::fs::read_dir(estate().join("codes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "csv") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let table = CodeTable::from_csv(&std::fs::read_to_string(&path).unwrap()).unwrap();
            // What a table says of unknown codes is the estate's business; here none is unknown.
            let table = table.otherwise(Otherwise::Value("unknown".into()));
            tables.insert(name, table);
        }
    }
    Arc::new(tables)
}

fn run(map: &str, input: Input, subject: &Subject) -> Value {
    let environment = Environment {
        codes: codes(),
        zone: Some(Zone::named("America/Chicago").unwrap()),
        ..Environment::for_input(input)
    };
    let program = Program::compile(&read(&format!("maps/{map}.vrl")), &environment)
        .unwrap_or_else(|problems| panic!("{map}: {problems:#?}"));
    match program.run(subject, &mut Runtime::default()).unwrap() {
        Output::Json(value) => {
            serde_json::from_slice(&to_json_bytes(&value, LIMIT).unwrap()).unwrap()
        }
        Output::Many(all) => all
            .iter()
            .map(|one| -> Value {
                serde_json::from_slice(&to_json_bytes(one, LIMIT).unwrap()).unwrap()
            })
            .collect(),
        other => panic!("one JSON result expected, got {other:?}"),
    }
}

/// What a map makes of a document.
fn mapped(map: &str, document: &Value) -> Value {
    let subject = Subject::json(from_json_bytes(document.to_string().as_bytes()).unwrap());
    run(map, Input::Json, &subject)
}

fn assert_valid(entity: &str, document: &Value) {
    let schema = Schema::parse(&read(&format!("entities/{entity}.schema.json"))).unwrap();
    let value = from_json_bytes(document.to_string().as_bytes()).unwrap();
    let wrong = schema.validate(&value);
    assert!(wrong.is_empty(), "{entity}: {wrong:#?} {document}");
}

fn assert_told(heard: &Heard) {
    let (entity, map) = match heard.path.as_str() {
        "/in/hr/events" => ("employee", Some("hr-to-employee")),
        "/in/payroll/runs" => ("payroll-run", Some("to-payroll-run")),
        "/in/billing/claims" => ("claim-status", None),
        "/in/clearinghouse/acknowledgements" => ("claim-status", Some("answer-to-claim-status")),
        "/in/clearinghouse/remittances" => ("remittance", Some("835-to-remittance")),
        "/in/bank/credits" => ("bank-credit", Some("to-bank-credit")),
        "/in/billing/reconciliations" => {
            let days = mapped("to-charge-days", &heard.body);
            return assert_valid("reconciliation", &days[0]);
        }
        other => panic!("{other} is nobody's"),
    };
    match map {
        None => assert_valid(entity, &heard.body),
        Some(map) => assert_valid(entity, &mapped(map, &heard.body)),
    }
}

#[tokio::test]
async fn what_hr_payroll_and_payers_tell_is_what_the_entities_say() {
    let stage = Stage::set(None).await;
    let groups = [Group::People, Group::Payroll, Group::Charges, Group::Claims];
    for one in groups.into_iter().flat_map(Scenario::of) {
        let about = stage.begin(&one.to_string());
        let told = stage.told(&about).await;
        assert!(!told.is_empty(), "{one}");
        told.iter().for_each(assert_told);
        if one.group == Group::Claims {
            let claim = mapped("claim-to-837", &told[0].body);
            stage
                .done("clearinghouse", "POST /claims", &about, &claim)
                .await;
            stage.told(&about).await.iter().for_each(assert_told);
        }
    }
}

/// The comparison of a day finds what its scenario made, and nothing else.
#[tokio::test]
async fn the_comparison_of_a_day_finds_the_one_difference() {
    let stage = Stage::set(None).await;
    for one in Scenario::of(Group::Charges) {
        let about = stage.begin(&one.to_string());
        let told = stage.told(&about).await.remove(0);
        let day = told.body["day"].as_str().unwrap();
        let source = stage
            .done(
                "charge-capture",
                &format!("GET /days/north/{day}"),
                "",
                &Value::Null,
            )
            .await;
        let billed = stage
            .done(
                "billing",
                &format!("GET /days/north/{day}/postings"),
                "",
                &Value::Null,
            )
            .await;
        let compared = mapped(
            "charge-reconciliation",
            &json!({
                "facility": "north", "day": day, "legal_entity": "SBH-N", "scope": about, "zone": "America/Chicago",
                "now": jiff::Timestamp::now().to_string(), "source": source, "billed": billed,
                "rules": { "missing_after_days": "3", "post_after_days": "1", "late_after_days": "4", "distinct_modifiers": "76 77" },
            }),
        );
        let breaks = compared["breaks"].as_array().unwrap();
        assert_eq!(
            breaks.len(),
            usize::from(one.name != "ties"),
            "{one}: {breaks:#?}"
        );
        for found in breaks {
            let fact = mapped("break-to-fact", found);
            stage.done("analytics", "POST /facts", &about, &fact).await;
        }
        assert_eq!(stage.ended(&about), wardline_sim::Ended::AsSaid, "{one}");
    }
}

/// The control of a run stops what its scenario made wrong.
#[tokio::test]
async fn the_control_of_a_run_finds_what_is_off() {
    let stage = Stage::set(None).await;
    for one in Scenario::of(Group::Payroll).filter(|one| one.name != "cutoff-missed") {
        let run = stage.begin(&one.to_string());
        let sheet = stage
            .done("payroll", &format!("GET /runs/{run}"), "", &Value::Null)
            .await;
        let group = sheet["pay_group"].as_str().unwrap();
        let workers = stage
            .done(
                "hr",
                &format!("GET /pay-groups/{group}/workers"),
                "",
                &Value::Null,
            )
            .await;
        let control = mapped(
            "payroll-control",
            &json!({
                "run": sheet, "workers": workers["workers"], "now": jiff::Timestamp::now().to_string(),
                "rules": { "variance_percent": "10", "new_bank_days": "7", "hours_over_percent": "20" },
            }),
        );
        let codes: Vec<&str> = control["breaks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| found["code"].as_str().unwrap())
            .collect();
        let expected: &[&str] = match one.name {
            "ties" => &[],
            "hash-off" => &["HASH"],
            "variance" => &["VARIANCE"],
            "terminated-paid" => &["PAID_AFTER_END"],
            "ach-off" => &["ACH"],
            _ => &["JOURNAL"],
        };
        assert_eq!(codes, expected, "{one}");
    }
}

async fn ward() -> (String, Arc<Mutex<Vec<Message>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut decoder = mllp::Decoder::new(1 << 20);
            let mut input = BytesMut::new();
            while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                while let Some(mllp::Event::Frame(bytes)) = decoder.decode(&mut input) {
                    let message = Message::parse(bytes).unwrap();
                    let id = message.control_id().unwrap().to_string();
                    let ack = format!("MSH|^~\\&|W|W|E|E|20261124||ACK|1|P|2.5.1\rMSA|AA|{id}\r");
                    kept.lock().push(message);
                    stream
                        .write_all(&mllp::frame(ack.as_bytes()))
                        .await
                        .unwrap();
                }
            }
        }
    });
    (address, told)
}

#[tokio::test]
async fn what_the_clinical_record_tells_is_what_the_entities_say() {
    let (address, told) = ward().await;
    let stage = Stage::set(Some(address)).await;
    for one in Scenario::of(Group::Stay) {
        let about = stage.begin(&one.to_string());
        stage.told(&about).await;
        for message in std::mem::take(&mut *told.lock()) {
            let event = message.trigger_event().unwrap().to_string();
            let (entity, map) = match event.as_str() {
                "P03" => ("charge", "dft-to-charges"),
                "A40" => ("patient-merge", "adt-to-merge"),
                _ => ("encounter", "adt-to-encounter"),
            };
            let made = run(map, Input::Hl7, &Subject::hl7(Arc::new(message)));
            match &made {
                Value::Array(all) => all.iter().for_each(|one| assert_valid(entity, one)),
                one => assert_valid(entity, one),
            }
            assert_eq!(
                made.get("late_minutes").is_some(),
                one.name == "late" && event == "A03",
                "{one} {made}"
            );
        }
    }
}
