//! Every scenario of the simulated systems, side by side, against the example served by the real binary: what suppliers,
//! HR, payers and the clinical record do comes over HTTP and MLLP, stand-ins answer what people are asked, and in the end the
//! books of all systems and the transactions of Wardline stand as the catalogue says.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use house::{House, Listeners, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use wardline_sim::{
    CaseReport, CleanReports, Ended, Feeds, Hospital, Ports, Question, Record, Rehearse, Scenario,
    Sent, SentState, SimConfig,
};

/// How long all of it may take on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(300);
/// Ten times as fast as a person could watch.
const SPEED: f64 = 6.0;
/// So often everything is told, and has its effect once (R93): the books would show a second one.
const TIMES: u32 = 3;
/// Who decide second, and must be other people than who decided first.
const SECOND: [&str; 2] = ["payroll-lead", "treasury"];

/// Sixty ports in a row that nobody listens on, below those that systems give out by themselves.
fn free_ports() -> u16 {
    for step in 0..100 {
        let first = 10_000 + (std::process::id().wrapping_mul(61).wrapping_add(step * 64)) % 7_900;
        let first = u16::try_from(first).unwrap();
        if (0..60).all(|place| TcpListener::bind((Ipv4Addr::LOCALHOST, first + place)).is_ok()) {
            return first;
        }
    }
    panic!("no sixty free ports in a row");
}

/// The console's API.
struct Desk {
    address: String,
    token: String,
}

impl Desk {
    fn of(server: &Server, address: &str) -> Self {
        let url = server.address("console");
        let (_, token) = url.split_once("token=").unwrap();
        Self {
            address: address.to_owned(),
            token: token.to_owned(),
        }
    }

    fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn rows(&self, path: &str, query: &Value) -> Vec<Value> {
        let (status, found) = self.ask(path, query);
        assert_eq!(status, 200, "{path}: {found}");
        found["rows"].as_array().unwrap().clone()
    }

    /// What is asked of people now.
    fn questions(&self) -> Vec<(String, Question)> {
        let rows = self.rows("/api/tasks", &json!({ "open": true, "limit": 500 }));
        rows.into_iter()
            .map(|row| {
                (
                    row["id"].as_str().unwrap().to_owned(),
                    serde_json::from_value(row).unwrap(),
                )
            })
            .collect()
    }
}

/// One answer that a stand-in gave.
struct Given {
    role: String,
    ask: String,
}

/// Answers what the catalogue has an answer for, but for these roles.
fn stand_in(desk: &Desk, cases: &[CaseReport], not: &[&str], given: &mut Vec<Given>) {
    for (id, question) in desk.questions() {
        if not.contains(&question.role.as_str()) {
            continue;
        }
        let Some(choice) = question.answer(cases) else {
            continue;
        };
        let body = json!({ "choice": choice, "note": "rehearsed" });
        let (status, said) = desk.ask(&format!("/api/tasks/{id}/answer"), &body);
        // Another answer, or the end of its instance, may have been first; anything else is a fault.
        assert!([200, 404, 409].contains(&status), "{question:?}: {said}");
        given.push(Given {
            role: question.role,
            ask: question.ask,
        });
    }
}

/// What is not yet as the catalogue says.
fn missing(desk: &Desk, cases: &[CaseReport]) -> Vec<String> {
    let transactions = desk.rows("/api/transactions", &json!({ "limit": 500 }));
    let mut missing = Vec::new();
    for case in cases {
        // What may not be at the end may be for a moment: a bed is taken until its admission is taken back.
        if case.ended != Ended::AsSaid {
            missing.push(format!("{}: {}", case.scenario, case.why.join("; ")));
        }
        for (process, at) in case.scenario.stands {
            let mut seen = Vec::new();
            for one in &transactions {
                let key = one["key"].as_str().unwrap_or_default();
                if one["process"] == *process && case.is_named_in(key) {
                    let status = one["status"].as_str().unwrap_or_default();
                    let state = one["state"].as_str().unwrap();
                    seen.push(format!("{state} {status}").trim_end().to_owned());
                }
            }
            if !seen.iter().any(|seen| seen == at) {
                missing.push(format!(
                    "{} {}: {process} is not {at} but {seen:?}",
                    case.scenario, case.about
                ));
            }
        }
    }
    missing
}

/// Simulated systems around an estate.
fn hospital(runtime: &Runtime, first: u16, own: &Listeners) -> Hospital {
    let wardline = format!("http://{}", own.internal);
    let config = SimConfig {
        ports: Ports::From(first),
        record: Record::Counts,
        clean_reports: Some(CleanReports {
            url: format!("{wardline}/in/housekeeping/clean-completed"),
            after: Duration::from_millis(500),
            token: None,
        }),
        wardline: Some(wardline),
        mllp: Some(own.mllp.clone()),
        feeds: Feeds {
            orders: Some(own.orders.clone()),
            results: Some(own.results.clone()),
            documents: Some(own.documents.clone()),
            modalities: Some(own.modalities.clone()),
        },
        speed: SPEED,
        times: TIMES,
        ..SimConfig::default()
    };
    runtime.block_on(Hospital::start(config)).unwrap()
}

#[test]
fn every_scenario_ends_as_it_says() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (first, own) = (free_ports(), Listeners::free());
    let house = House::st_brigid(first, &own);
    let server = house.serve_as("first");
    let mut desk = Desk::of(&server, &own.console);
    let hospital = hospital(&runtime, first, &own);
    {
        let _runtime = runtime.enter();
        for scenario in Scenario::ALL {
            hospital.rehearse(&Rehearse::one(scenario)).unwrap();
        }
    }
    let began = Instant::now();
    let mut given = Vec::new();
    let mut until = |desk: &Desk, not: &[&str], well: &dyn Fn(&[String]) -> bool| loop {
        let rehearsal = hospital.rehearsal();
        stand_in(desk, &rehearsal.cases, not, &mut given);
        let missing = missing(desk, &rehearsal.cases);
        if well(&missing) && rehearsal.sent.waiting == 0 {
            assert_eq!(rehearsal.sent.refused, 0);
            return rehearsal;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{missing:#?}\nasked: {:#?}\n{:?}",
            desk.questions(),
            rehearsal.sent
        );
        std::thread::sleep(Duration::from_millis(300));
    };

    // One person answers everything but what takes a second one.
    let second = |line: &String| {
        let mut all = Scenario::ALL.iter();
        let of = |one: &&Scenario| line.starts_with(&format!("{one}"));
        all.any(|one| {
            of(&one)
                && one
                    .answers
                    .iter()
                    .any(|answer| SECOND.contains(&answer.role))
        })
    };
    until(&desk, &SECOND, &|missing| missing.iter().all(second));
    for role in SECOND {
        assert!(
            desk.questions().iter().any(|(_, one)| one.role == role),
            "{role} is not asked for a second approval"
        );
    }
    // The server goes and comes again, and all that is open goes on; now another person is there.
    server.stop();
    let server = house.serve_as("second");
    desk = Desk::of(&server, &own.console);
    let rehearsal = until(&desk, &[], &<[String]>::is_empty);

    let sent = hospital.sent("");
    let told =
        |one: &&Sent| !["mllp", "dicom"].contains(&one.path) && one.state == SentState::Accepted;
    assert!(sent.iter().any(|one| told(&one)));
    for one in sent.iter().filter(told) {
        assert!(one.attempts >= TIMES, "{one:?}");
    }
    let begun: BTreeSet<String> = rehearsal
        .cases
        .iter()
        .map(|case| case.scenario.to_string())
        .collect();
    assert_eq!(begun.len(), Scenario::ALL.len());
    nobody_but_the_approver_was_asked(&rehearsal.cases, &given);
    only_what_nobody_answers_is_open(&desk);
    println!("all of it in {:?}", began.elapsed());
    server.stop();
    runtime.block_on(hospital.stop());
}

/// An order in two parts, and one that just goes well, need no person once they are approved.
fn nobody_but_the_approver_was_asked(cases: &[CaseReport], given: &[Given]) {
    for case in cases {
        let quiet = [
            "supply/accept",
            "supply/partial",
            "supply/duplicate-invoice",
            "supply/invoice-first",
            "supply/credit",
            "claims/take-back",
        ];
        if !quiet.contains(&case.scenario.to_string().as_str()) {
            continue;
        }
        for one in given.iter().filter(|one| case.is_named_in(&one.ask)) {
            assert!(
                ["director", "department-manager"].contains(&one.role.as_str()),
                "{}: {} was asked: {}",
                case.scenario,
                one.role,
                one.ask
            );
        }
    }
}

/// A rehire waits for its steward; the crew is told by a person that a patient stays after all.
fn only_what_nobody_answers_is_open(desk: &Desk) {
    let open: BTreeSet<(String, String)> = desk
        .questions()
        .into_iter()
        .map(|(_, one)| (one.process, one.role))
        .collect();
    let steward = ("worker".to_owned(), "data-steward".to_owned());
    assert!(open.contains(&steward), "{open:?}");
    let crew = ("stay".to_owned(), "environmental-services".to_owned());
    let others: Vec<_> = open
        .iter()
        .filter(|one| **one != steward && **one != crew)
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
