//! Messages and the FHIR that has to come of them; then what others made of theirs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use wardline_fhir::{Form, MapError, Options, check, from_hl7};
use wardline_hl7::Message;

const PID: &str = "PID|1||77^^^H1^MR~999^^^^SS||DOE^JANE^Q^III^MS||19700101|F|||1 MAIN ST^APT 2^ANN ARBOR^MI^48104^USA^H||(734) 555-0100^PRN^PH|||M||ACC77^^^H1";

fn options() -> Options {
    Options {
        zone: Some(jiff::tz::TimeZone::get("America/Chicago").unwrap()),
        ..Options::default()
    }
}

fn message(kind: &str, segments: &[&str]) -> Message {
    let mut text = format!("MSH|^~\\&|EHR|H1|LAB|H2|20260102030405||{kind}|M1|P|2.5.1\r");
    for segment in segments {
        text.push_str(segment);
        text.push('\r');
    }
    Message::parse(text).unwrap()
}

fn made(kind: &str, segments: &[&str]) -> Value {
    let bundle = from_hl7(&message(kind, segments), &options()).unwrap();
    let value = bundle.to_value();
    assert_eq!(
        serde_json::from_str::<Value>(&bundle.to_json()).unwrap(),
        value
    );
    let outcome = check(&value);
    assert!(outcome.ok(), "{:#?}\n{value:#}", outcome.issues);
    value
}

fn all<'a>(bundle: &'a Value, kind: &str) -> Vec<&'a Value> {
    let entries = bundle["entry"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| &entry["resource"])
        .filter(|one| one["resourceType"] == kind)
        .collect()
}

#[test]
fn an_admission_is_patient_and_encounter() {
    let pv1 = "PV1|1|I|4W^12^B^H1|||||8001^HOUSE^GREGORY^^^DR^^^NPI|||||||||||V1^^^H1|||||||||||||||||01||||||||20260102020000|";
    let bundle = made(
        "ADT^A01",
        &[
            PID,
            "NK1|1|DOE^JOHN|SPO|||(734) 555-0101",
            pv1,
            "DG1|1||J18.9^Pneumonia^I10C|||A",
            "AL1|1|DA|70618^Penicillin^RXNORM|SV|hives",
        ],
    );
    let patient = all(&bundle, "Patient")[0];
    assert_eq!(patient["identifier"][0]["system"], "urn:id:H1");
    assert_eq!(
        patient["name"][0],
        json!({"family":"DOE","given":["JANE","Q"],"prefix":["MS"],"suffix":["III"]})
    );
    assert_eq!(patient["address"][0]["line"], json!(["1 MAIN ST", "APT 2"]));
    assert_eq!(
        patient["telecom"][0],
        json!({"system":"phone","value":"(734) 555-0100","use":"home"})
    );
    assert_eq!(patient["maritalStatus"]["coding"][0]["code"], "M");
    assert_eq!(
        bundle["entry"][0]["request"],
        json!({"method":"PUT","url":"Patient?identifier=urn%3Aid%3AH1%7C77"})
    );
    let entries = bundle["entry"].as_array().unwrap();
    let doctor = entries
        .iter()
        .find(|entry| entry["resource"]["resourceType"] == "Practitioner")
        .unwrap();
    assert_eq!(
        doctor["request"],
        json!({"method":"POST","url":"Practitioner","ifNoneExist":"identifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C8001"}),
        "what a message refers to is not overwritten"
    );
    let encounter = all(&bundle, "Encounter")[0];
    assert_eq!(
        (&encounter["status"], &encounter["class"]["code"]),
        (&json!("in-progress"), &json!("IMP"))
    );
    assert_eq!(encounter["period"]["start"], "2026-01-02T02:00:00-06:00");
    assert_eq!(
        encounter["subject"]["reference"],
        bundle["entry"][0]["fullUrl"]
    );
    assert_eq!(all(&bundle, "Location").len(), 4);
    assert_eq!(
        all(&bundle, "RelatedPerson")[0]["relationship"][0]["coding"][0]["code"],
        "SPO"
    );
    assert_eq!(
        all(&bundle, "Condition")[0]["code"]["coding"][0]["system"],
        "http://hl7.org/fhir/sid/icd-10-cm"
    );
    assert_eq!(all(&bundle, "AllergyIntolerance")[0]["criticality"], "high");
    assert_eq!(
        all(&bundle, "Account")[0]["identifier"][0]["value"],
        "ACC77"
    );
    assert_eq!(
        bundle,
        made(
            "ADT^A01",
            &[
                PID,
                "NK1|1|DOE^JOHN|SPO|||(734) 555-0101",
                pv1,
                "DG1|1||J18.9^Pneumonia^I10C|||A",
                "AL1|1|DA|70618^Penicillin^RXNORM|SV|hives"
            ]
        ),
        "the same message, the same ids"
    );
}

#[test]
fn events_say_how_a_visit_stands() {
    let cases = [
        ("ADT^A01", "", "in-progress"),
        ("ADT^A03", "20260103", "finished"),
        ("ADT^A05", "", "planned"),
        ("ADT^A08", "", "in-progress"),
        ("ADT^A08", "20260103", "finished"),
        ("ADT^A11", "", "cancelled"),
        ("ADT^A13", "20260103", "in-progress"),
        ("ADT^A06", "", "in-progress"),
    ];
    for (event, ended, status) in cases {
        let pv1 =
            format!("PV1|1|I|||||||||||||||||V1^^^H1|||||||||||||||||||||||||20260102|{ended}");
        let bundle = made(event, &[PID, &pv1]);
        let encounter = all(&bundle, "Encounter")[0];
        assert_eq!(encounter["status"], status, "{event}");
        assert_eq!(
            encounter["period"].get("end").is_some(),
            status == "finished",
            "{event}"
        );
    }
    let of_person = made("ADT^A31", &[PID, "PV1|1|N"]);
    assert!(all(&of_person, "Encounter").is_empty());
}

#[test]
fn a_merge_links_both_patients() {
    let bundle = made("ADT^A40", &[PID, "MRG|55^^^H1^MR"]);
    let patients = all(&bundle, "Patient");
    assert_eq!(patients.len(), 2);
    assert_eq!(patients[0]["link"][0]["type"], "replaces");
    assert_eq!(
        (&patients[1]["active"], &patients[1]["link"][0]["type"]),
        (&json!(false), &json!("replaced-by"))
    );
}

#[test]
fn results_keep_their_digits() {
    let segments = [
        PID,
        "ORC|RE|P1|F1",
        "OBR|1|P1^EHR|F1^LAB|24323-8^CMP^LN|||202601020300|||||||||8001^HOUSE^GREGORY||||||20260102040000|||F",
        "OBX|1|NM|2345-7^Glucose^LN||5.40|mmol/L^^UCUM|3.9-5.5|N|||F",
        "NTE|1||first",
        "NTE|2||second",
        "OBX|2|SN|1-1^x^LN||<^10",
        "OBX|3|CWE|883-9^ABO^LN||A^Group A^L",
        "OBX|4|ST|2-2^y^LN||line 1~line 2||||||C",
        "OBX|5|NM|3-3^z^LN||see note||||||F",
        "OBX|6|ST|4-4^w^LN||||||||X",
        "SPM|1|S1^||BLD|||||||||||||202601020250",
    ];
    let bundle = from_hl7(&message("ORU^R01", &segments), &options()).unwrap();
    assert!(bundle.to_json().contains(r#""value":5.40"#));
    let bundle = made("ORU^R01", &segments);
    let seen = all(&bundle, "Observation");
    assert_eq!(seen.len(), 6);
    assert_eq!(
        seen[0]["valueQuantity"],
        json!({"value":5.4,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"})
    );
    assert_eq!(seen[0]["referenceRange"][0]["high"]["value"], 5.5);
    assert_eq!(seen[0]["note"], json!([{"text":"first\nsecond"}]));
    assert_eq!(seen[1]["valueQuantity"]["comparator"], "<");
    assert_eq!(seen[2]["valueCodeableConcept"]["text"], "Group A");
    assert_eq!(
        (&seen[3]["valueString"], &seen[3]["status"]),
        (&json!("line 1\nline 2"), &json!("corrected"))
    );
    assert_eq!(seen[4]["valueString"], "see note");
    assert_eq!(
        (
            &seen[5]["status"],
            seen[5].get("dataAbsentReason").is_some()
        ),
        (&json!("cancelled"), true)
    );
    let report = all(&bundle, "DiagnosticReport")[0];
    assert_eq!(report["result"].as_array().unwrap().len(), 6);
    assert_eq!(
        (&report["status"], &report["issued"]),
        (&json!("final"), &json!("2026-01-02T04:00:00-06:00"))
    );
    assert_eq!(all(&bundle, "ServiceRequest")[0]["status"], "completed");
}

#[test]
fn charges_are_charge_items_and_payments_are_not() {
    let segments = [
        PID,
        "PV1|1|O|||||||||||||||||V1^^^H1",
        "FT1|1|T100||20260102|20260103|CG|99213^Visit^C4|||2|150.00&USD||4711^Clinic",
        "FT1|2|T101||20260102||CD|99213^Visit^C4|||1",
        "FT1|3|T102||20260102||PY|CASH",
        "GT1|1|G1|DOE^JANE",
        "IN1|1|PPO|AETNA^^^X|Aetna||||GRP9|||||||||SEL|||||||||||||||||||MEM1",
    ];
    let bundle = made("DFT^P03", &segments);
    let items = all(&bundle, "ChargeItem");
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[0]["status"], &items[1]["status"]),
        (&json!("billable"), &json!("aborted"))
    );
    assert_eq!(
        items[0]["priceOverride"],
        json!({"value":150.0,"currency":"USD"})
    );
    assert_eq!(
        items[0]["code"]["coding"][0]["system"],
        "http://www.ama-assn.org/go/cpt"
    );
    let coverage = all(&bundle, "Coverage")[0];
    assert_eq!(
        (&coverage["subscriberId"], &coverage["class"][0]["value"]),
        (&json!("MEM1"), &json!("GRP9"))
    );
    let account = all(&bundle, "Account")[0];
    assert!(account["guarantor"][0]["party"]["reference"].is_string());
}

#[test]
fn schedules_are_appointments() {
    let cases = [
        ("SIU^S12", "booked"),
        ("SIU^S13", "booked"),
        ("SIU^S14", "booked"),
        ("SIU^S15", "cancelled"),
    ];
    for (event, status) in cases {
        let bundle = made(
            event,
            &[
                "SCH|P1^EHR|F1^SCHED||||ROUTINE|CHECKUP|FOLLOWUP|30|min|^^30^20260110100000^20260110103000",
                PID,
                "AIL|1||CLINIC^R1",
                "AIP|1||8001^HOUSE^GREGORY",
            ],
        );
        let one = all(&bundle, "Appointment")[0];
        assert_eq!(one["status"], status);
        assert_eq!(
            (&one["start"], &one["minutesDuration"]),
            (&json!("2026-01-10T10:00:00-06:00"), &json!(30))
        );
        assert_eq!(one["participant"].as_array().unwrap().len(), 3);
    }
    let bundle = made(
        "SIU^S12",
        &[
            "SCH|P1|F1|||||||45|min",
            PID,
            "AIS|1||X^Xray|20260110100000",
        ],
    );
    assert_eq!(
        all(&bundle, "Appointment")[0]["end"],
        "2026-01-10T10:45:00-06:00"
    );
}

#[test]
fn documents_carry_their_text() {
    let bundle = made(
        "MDM^T02",
        &[
            PID,
            "PV1|1|I|||||||||||||||||V1^^^H1",
            "TXA|1|DS|TX|20260102||20260102100000|||8001^HOUSE^GREGORY|||D1^EHR||||report|AU",
            "OBX|1|TX|||Discharged~home",
            "OBX|2|ED|||EHR^application^pdf^Base64^JVBERi0=",
        ],
    );
    let document = all(&bundle, "DocumentReference")[0];
    assert_eq!(
        (
            &document["docStatus"],
            &document["masterIdentifier"]["value"]
        ),
        (&json!("final"), &json!("D1"))
    );
    assert_eq!(
        document["content"][0]["attachment"]["data"],
        "RGlzY2hhcmdlZApob21l"
    );
    assert_eq!(
        document["content"][1]["attachment"]["contentType"],
        "application/pdf"
    );
}

#[test]
fn a_message_bundle_begins_with_its_header_and_no_zone_is_guessed() {
    let options = Options {
        form: Form::Message,
        ..Options::default()
    };
    let bundle = from_hl7(
        &message(
            "ADT^A01",
            &[
                PID,
                "PV1|1|E|||||||||||||||||V1|||||||||||||||||||||||||20260102101500",
            ],
        ),
        &options,
    )
    .unwrap()
    .to_value();
    assert!(check(&bundle).ok(), "{:#?}", check(&bundle).issues);
    assert_eq!(bundle["entry"][0]["resource"]["eventCoding"]["code"], "A01");
    assert_eq!(
        all(&bundle, "Encounter")[0]["period"]["start"],
        "2026-01-02"
    );
}

#[test]
fn what_has_no_map_is_refused() {
    assert_eq!(
        from_hl7(&message("RDE^O11", &[PID]), &options()).unwrap_err(),
        MapError::NotMapped
    );
    assert_eq!(
        from_hl7(&message("ADT^A01", &[]), &options()).unwrap_err(),
        MapError::Missing("PID")
    );
}

/// The folder of test data beside the workspace, where there is one.
fn testdata(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
    for up in ["../../..", "../../../.."] {
        let folder = beside.join(up).join("shared/testdata").join(name);
        if folder.is_dir() {
            return Some(folder);
        }
    }
    println!("skipped: no ../shared/testdata/{name} beside the workspace");
    None
}

/// Fields that are compared with what others made: a type, and the way to a value.
const FIELDS: &[(&str, &[&str])] = &[
    ("Patient", &["identifier", "value"]),
    ("Patient", &["name", "family"]),
    ("Patient", &["name", "given"]),
    ("Patient", &["birthDate"]),
    ("Patient", &["gender"]),
    ("Patient", &["address", "line"]),
    ("Patient", &["address", "city"]),
    ("Patient", &["address", "state"]),
    ("Patient", &["address", "postalCode"]),
    ("Encounter", &["identifier", "value"]),
    ("Encounter", &["class", "code"]),
    ("Encounter", &["period", "start"]),
    ("Encounter", &["status"]),
    ("Observation", &["code", "coding", "code"]),
    ("Observation", &["status"]),
    ("Observation", &["valueQuantity", "value"]),
    ("Observation", &["valueString"]),
    ("Observation", &["valueCodeableConcept", "coding", "code"]),
    ("DiagnosticReport", &["status"]),
    ("DiagnosticReport", &["code", "coding", "code"]),
    ("ServiceRequest", &["identifier", "value"]),
    ("ChargeItem", &["code", "coding", "code"]),
    ("Appointment", &["status"]),
    ("Appointment", &["identifier", "value"]),
    ("DocumentReference", &["type", "coding", "code"]),
    ("AllergyIntolerance", &["code", "coding", "code"]),
    ("Condition", &["code", "coding", "code"]),
    ("Coverage", &["subscriberId"]),
    ("RelatedPerson", &["name", "family"]),
    ("Specimen", &["type", "coding", "code"]),
];

fn gather(value: &Value, way: &[&str], into: &mut Vec<String>) {
    match (value, way) {
        (Value::Array(all), _) => {
            for one in all {
                gather(one, way, into);
            }
        }
        (value, [first, rest @ ..]) => {
            if let Some(inner) = value.get(first) {
                gather(inner, rest, into);
            }
        }
        (Value::String(text), []) => into.push(text.trim().to_owned()),
        (Value::Number(number), []) => into.push(number.as_f64().unwrap_or_default().to_string()),
        (_, []) => {}
    }
}

fn values(bundle: &Value, kind: &str, way: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in bundle["entry"].as_array().into_iter().flatten() {
        if entry["resource"]["resourceType"] == kind {
            gather(&entry["resource"], way, &mut found);
        }
    }
    found.sort();
    found.dedup();
    // Others keep the time as it stands: the day is what can be compared.
    if way.last() == Some(&"start") {
        for text in &mut found {
            text.truncate(10);
        }
    }
    found
}

/// The share of the others' values that are ours, too, by field. What is looked at is in FIELDS.
#[test]
fn what_others_made_of_their_messages() {
    for (set, least) in [
        ("pairs/ms-fhir-converter", 75),
        ("pairs/reportstream-inventory", 80),
    ] {
        let Some(folder) = testdata(set) else { return };
        let mut score: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let (mut mapped, mut cases, mut valid) = (0, 0, 0);
        let mut folders: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        folders.sort();
        for case in folders {
            let (Ok(input), Ok(expected)) = (
                fs::read(case.join("input.hl7")),
                fs::read(case.join("expected.fhir.json")),
            ) else {
                continue;
            };
            let Ok(theirs) = serde_json::from_slice::<Value>(&expected) else {
                continue;
            };
            let Ok(message) = Message::parse(input) else {
                continue;
            };
            cases += 1;
            let options = Options {
                form: Form::Message,
                ..options()
            };
            let Ok(bundle) = from_hl7(&message, &options) else {
                continue;
            };
            mapped += 1;
            let ours = bundle.to_value();
            let outcome = check(&ours);
            valid += usize::from(outcome.ok());
            if !outcome.ok() {
                println!("{}: {}", case.display(), outcome.issues[0]);
            }
            for (kind, way) in FIELDS {
                let wanted = values(&theirs, kind, way);
                let have = values(&ours, kind, way);
                let entry = score
                    .entry(format!("{kind}.{}", way.join(".")))
                    .or_default();
                entry.0 += wanted.iter().filter(|one| have.contains(one)).count();
                entry.1 += wanted.len();
            }
        }
        println!("{set}: {mapped} of {cases} messages have a map; {valid} bundles are valid");
        let (mut same, mut total) = (0, 0);
        for (field, (hit, of)) in score.iter().filter(|(_, (_, of))| *of > 0) {
            println!("    {field}: {hit} of {of}");
            same += hit;
            total += of;
        }
        let percent = 100 * same / total.max(1);
        println!("    together {same} of {total}: {percent} %");
        assert_eq!(valid, mapped);
        assert!(percent >= least, "{percent} %");
    }
}

/// Every message there is: mapped or refused, never a panic, and what is made is valid.
#[test]
fn messages_of_many_senders_make_valid_fhir() {
    let Some(folder) = testdata("hl7v2") else {
        return;
    };
    let mut folders = vec![folder];
    let (mut made, mut invalid) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(batch) = wardline_hl7::Batch::parse(fs::read(&path).unwrap()) else {
                continue;
            };
            for message in batch.messages().filter_map(|entry| entry.parse().ok()) {
                if let Ok(bundle) = from_hl7(&message, &options()) {
                    made += 1;
                    let outcome = check(&bundle.to_value());
                    if !outcome.ok() {
                        invalid.push(format!("{}: {}", path.display(), outcome.issues[0]));
                    }
                }
            }
        }
    }
    println!("{made} bundles, {} invalid", invalid.len());
    for one in invalid.iter().take(40) {
        println!("    {one}");
    }
    assert!(invalid.len() * 200 <= made, "more than one in 200");
}

#[test]
fn an_adt_takes_microseconds() {
    let one = message(
        "ADT^A01",
        &[
            PID,
            "NK1|1|DOE^JOHN|SPO",
            "PV1|1|I|4W^12^B^H1||||8001^HOUSE^GREGORY|||||||||||V1^^^H1|||||||||||||||||||||||||20260102020000",
            "DG1|1||J18.9^Pneumonia^I10C|||A",
        ],
    );
    let options = options();
    let mut best = std::time::Duration::MAX;
    let mut bytes = 0;
    for _ in 0..2000 {
        let begun = std::time::Instant::now();
        bytes = from_hl7(&one, &options).unwrap().to_json().len();
        best = best.min(begun.elapsed());
    }
    println!("{bytes} bytes of FHIR of an ADT in {best:?} at best (this build)");
}

proptest! {
    #[test]
    fn no_message_panics(tail in "[A-Za-z0-9^~&\\\\|\" .:<>/-]{0,200}", kind in "ADT\\^A0[1-8]|ADT\\^A40|ORU\\^R01|DFT\\^P03|SIU\\^S1[2-5]|MDM\\^T02", names in proptest::collection::vec("PID|PV1|PV2|OBX|OBR|FT1|GT1|IN1|SCH|AIS|AIP|AIL|TXA|NK1|DG1|MRG|SPM|NTE|AL1|PR1", 1..6)) {
        let mut text = format!("MSH|^~\\&|A|B|||20260101||{kind}|1|P|2.5\r");
        for name in &names {
            text.push_str(name);
            text.push('|');
            text.push_str(&tail);
            text.push('\r');
        }
        if let Ok(message) = Message::parse(text) && let Ok(bundle) = from_hl7(&message, &options()) {
            let made = bundle.to_json();
            prop_assert!(serde_json::from_str::<Value>(&made).is_ok());
        }
    }
}
