//! How long one run of an ADT-to-encounter map of 17 fields takes, JSON included.
//!
//! `cargo run --release -p wardline-mapping --example map_speed` (two threads run the same program at
//! the end, to show that it is shared).

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use wardline_hl7::Message;
use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, KeyExpression, Output, Predicate, Program, Runtime,
    Subject, Zone, to_json_bytes,
};

const MAP: &str = r#"
.account_number = hl7_required!("PID-18.1")
.mrn = hl7_find("PID-3.1", where: "PID-3.5", equals: "MR")
.patient = {
    "family": hl7("PID-5.1"),
    "given": hl7("PID-5.2"),
    "born": hl7_time!("PID-7"),
    "sex": code("sex", hl7("PID-8"), otherwise: "unknown")
}
.address = { "city": hl7("PID-11.3"), "state": hl7("PID-11.4"), "postcode": hl7("PID-11.5") }
.class = hl7("PV1-2")
.ward = hl7("PV1-3.1")
.bed = hl7("PV1-3.3")
.attending = hl7("PV1-7.1")
.visit = hl7("PV1-19")
.disposition = code("disposition", hl7("PV1-36"), otherwise: "other")
.admitted_at = hl7_time!("PV1-44")
.discharged_at = hl7_time!("PV1-45")
"#;

const MESSAGE: &str = "MSH|^~\\&|EHR|H1|WARDLINE|H1|20261124104203-0600||ADT^A03^ADT_A03|MSG00001|P|2.5.1\rEVN|A03|20261124104203|||OPERATOR^SMITH^ANN\rPID|1||77^^^H1^MR~900-11-2222^^^^SS||Doe^Jane^Q^^Mrs||19560302|F||2106-3|1 Main St^^Springfield^IL^62701^USA||(217)555-0100|(217)555-0199||M|CHR|ACC-77\rNK1|1|Doe^John|SPO|1 Main St^^Springfield^IL^62701|(217)555-0101\rPV1|1|I|4W^401^1^H1||||1234^House^Greg^^^Dr|5678^Cuddy^Lisa||MED||||7|||1234^House^Greg|INP|V9|||||||||||||||||03||||||||20261120081500|20261124104203\rDG1|1||I10^Essential hypertension^I10||20261120|A\rAL1|1|DA|^Penicillin|SV|Rash\rIN1|1|PLAN1|PAYER1|Payer One|PO Box 1^^Springfield^IL^62702||||GRP1\r";

const RUNS: u32 = 200_000;

fn environment() -> Environment {
    let mut codes = CodeTables::new();
    codes.insert(
        "sex",
        CodeTable::from_pairs([("F", "female"), ("M", "male")]),
    );
    codes.insert(
        "disposition",
        CodeTable::from_pairs([("01", "home"), ("03", "nursing-facility")]),
    );
    Environment {
        codes: Arc::new(codes),
        zone: Some(Zone::named("America/Chicago").expect("a zone")),
        ..Environment::for_input(Input::Hl7)
    }
}

fn per_run(name: &str, mut run: impl FnMut()) {
    (0..RUNS / 10).for_each(|_| run());
    let start = Instant::now();
    (0..RUNS).for_each(|_| run());
    println!(
        "{name:<34} {:>8.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS)
    );
}

fn main() {
    let environment = environment();
    let start = Instant::now();
    let program = Program::compile(MAP, &environment).expect("the map compiles");
    println!(
        "{:<34} {:>8.2} ms",
        "compile",
        start.elapsed().as_secs_f64() * 1e3
    );
    let predicate = Predicate::compile(r#"hl7("MSH-9.2") == "A03""#, &environment)
        .expect("the predicate compiles");
    let key = KeyExpression::compile(r#"hl7("PV1-19.1")"#, &environment).expect("the key compiles");
    let edit =
        Program::compile(r#"hl7_set("PV1-3.1", "ICU")"#, &environment).expect("the edit compiles");
    let message = Message::parse(MESSAGE).expect("a message");
    println!("{:<34} {:>8} bytes", "message", message.bytes().len());
    let subject = Subject::hl7(Arc::new(message));
    let mut runtime = Runtime::default();
    let map = |runtime: &mut Runtime| match program.run(&subject, runtime).expect("the map runs") {
        Output::Json(value) => to_json_bytes(&value, 1 << 20).expect("it is JSON"),
        other => panic!("{other:?}"),
    };
    println!("{}", String::from_utf8_lossy(&map(&mut runtime)));
    per_run("predicate", || {
        drop(black_box(predicate.test(&subject, &mut runtime)));
    });
    per_run("key", || drop(black_box(key.key(&subject, &mut runtime))));
    per_run("map of 17 fields, no JSON", || {
        drop(black_box(program.run(&subject, &mut runtime)));
    });
    per_run("map of 17 fields, to JSON bytes", || {
        drop(black_box(map(&mut runtime)));
    });
    per_run("HL7 edit of one field", || {
        drop(black_box(edit.run(&subject, &mut runtime)));
    });
    per_run("parse the message", || {
        drop(black_box(Message::parse(MESSAGE)));
    });
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut runtime = Runtime::default();
                (0..RUNS).for_each(|_| drop(black_box(map(&mut runtime))));
            });
        }
    });
    println!(
        "{:<34} {:>8.0} maps/s",
        "two threads, one program",
        f64::from(RUNS * 2) / start.elapsed().as_secs_f64()
    );
}
