//! What happens when everybody is well.

use crate::http_receiver::Receiver;
use crate::logs;
use crate::sender::{adt, code};
use crate::stage::{SOON, Stage, system, until};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wardline_core::{DeliveryState, SimulatedClock, Timestamp};
use wardline_engine::view::TraceItem;

const EVENTS: &str = "\
flow: admit
owner: access
from: ehr.adt
when: hl7(\"MSH-9.2\") == \"A01\"
key: hl7(\"PV1-19.1\")
map: maps/visit.vrl
emit: visit.admitted
---
flow: to-billing
owner: access
from: { event: visit.admitted }
key: .account
to: [{ call: billing.open }]
---
flow: to-beds
owner: access
from: { event: visit.admitted }
lane: realtime
to: [{ call: beds.take }]
";

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_reaches_everyone_after_it_is_durable() {
    let (billing, beds) = (Receiver::start().await, Receiver::start().await);
    let (a, b) = (
        system("billing", &billing.url(), "", &["open"]),
        system("beds", &beds.url(), "", &["take"]),
    );
    let files = [
        (&*a.0, a.1),
        (&*b.0, b.1),
        ("flows/1.yaml", EVENTS.to_owned()),
    ];
    let stage = Stage::start(&files).await;
    let mut sender = stage.sender().await;
    for n in 0..20 {
        sender
            .tell(&adt("A01", &format!("M{n}"), &format!("V{n}")))
            .await;
        // The acknowledgement is here, so the message and all that follows from it must be.
        let messages = stage.messages().await;
        assert_eq!(messages.len(), n + 1);
        assert_eq!(stage.to("billing.open").await.len(), n + 1);
        assert_eq!(stage.to("beds.take").await.len(), n + 1);
    }
    stage.settled().await;
    assert_eq!((billing.done().len(), beds.done().len()), (20, 20));
    let call = &billing.done()[0];
    assert_eq!(
        (call.path.as_str(), call.body["account"].as_str()),
        ("/open", Some("A-V0"))
    );

    let balance = stage.desk().balance().await.unwrap();
    assert_eq!(
        (
            balance.accepted,
            balance.events,
            balance.owed,
            balance.delivered
        ),
        (20, 20, 40, 40)
    );
    let delivery = &stage.to("billing.open").await[0];
    assert_eq!(call.idempotency_key, delivery.id.to_string());
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert!(
        !delivery.key.as_deref().unwrap().contains("A-V0"),
        "a financial key is not shown"
    );

    let first = &stage.messages().await[0];
    let trace = stage.desk().trace(first.id.0).await.unwrap().unwrap();
    assert_eq!(trace.headline, "completed");
    let depths: Vec<u32> = trace.nodes.iter().map(|node| node.depth).collect();
    assert_eq!(depths, [0, 1, 2, 2]);
    assert!(
        matches!(&trace.nodes[1].item, TraceItem::Message(event) if event.kind == "visit.admitted")
    );

    let overview = stage.desk().overview().await.unwrap();
    assert!(overview.well, "{}", overview.headline);
    assert_eq!(overview.accepted, 20);
    assert_eq!(
        logs::with(&["Quillfeather"]),
        Vec::<String>::new(),
        "names of patients are not logged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_gets_the_first_answer_and_nothing_follows() {
    let billing = Receiver::start().await;
    let a = system("billing", &billing.url(), "", &["open"]);
    let flow =
        "flow: all\nowner: x\nfrom: ehr.adt\nmap: maps/visit.vrl\nto: [{ call: billing.open }]\n";
    let stage = Stage::start(&[(&*a.0, a.1), ("flows/1.yaml", flow.to_owned())]).await;
    let mut sender = stage.sender().await;
    let first = sender.send(&adt("A01", "M1", "V1")).await;
    assert_eq!(code(&first), "AA");
    for _ in 0..3 {
        assert_eq!(sender.send(&adt("A01", "M1", "V1")).await, first);
    }
    // Another connection, as after a broken one.
    assert_eq!(
        stage.sender().await.send(&adt("A01", "M1", "V1")).await,
        first
    );
    sender.tell(&adt("A01", "M2", "V1")).await;
    stage.settled().await;
    assert_eq!(billing.calls().len(), 2);
    let balance = stage.desk().balance().await.unwrap();
    assert_eq!(
        (balance.accepted, balance.duplicates, balance.owed),
        (2, 4, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wants_is_recorded_with_the_predicate_that_said_so() {
    let billing = Receiver::start().await;
    let a = system("billing", &billing.url(), "", &["open"]);
    let flow = "flow: admits\nowner: x\nfrom: ehr.adt\nwhen: hl7(\"MSH-9.2\") == \"A01\"\nmap: maps/visit.vrl\n\
                to: [{ call: billing.open, when: '.ward == \"ICU\"' }]\n";
    let stage = Stage::start(&[(&*a.0, a.1), ("flows/1.yaml", flow.to_owned())]).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A08", "M1", "V1")).await;
    sender.tell(&adt("A01", "M2", "V1")).await;
    let messages = stage.messages().await;
    assert_eq!(messages[0].outcome, "filtered");
    assert_eq!(
        messages[0].routes[0].predicate.as_deref(),
        Some("hl7(\"MSH-9.2\") == \"A01\"")
    );
    // The flow took the second one, but its only destination did not.
    let route = messages[1]
        .routes
        .iter()
        .find(|route| route.destination.is_some())
        .unwrap();
    assert_eq!(route.destination.as_deref(), Some("billing.open"));
    assert_eq!(
        (route.outcome.as_str(), route.predicate.as_deref()),
        ("filtered", Some(".ward == \"ICU\""))
    );
    let balance = stage.desk().balance().await.unwrap();
    assert_eq!((balance.filtered, balance.owed), (1, 0));
    assert!(billing.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_says_becomes_an_event() {
    let (billing, beds) = (Receiver::start().await, Receiver::start().await);
    billing.answers(|_| (200, None, r#"{"reference":"R-77"}"#));
    let (a, b) = (
        system("billing", &billing.url(), "", &["open"]),
        system("beds", &beds.url(), "", &["note"]),
    );
    let flows = "\
flow: admit
owner: x
from: ehr.adt
key: hl7(\"PV1-19.1\")
map: maps/visit.vrl
to:
  - call: billing.open
    then: { map: maps/answer.vrl, emit: visit.billed, validate: none }
---
flow: billed
owner: x
from: { event: visit.billed }
to: [{ call: beds.note }]
";
    let files = [
        (&*a.0, a.1),
        (&*b.0, b.1),
        ("flows/1.yaml", flows.to_owned()),
        ("maps/answer.vrl", ". = { \"id\": .reference }\n".to_owned()),
    ];
    let stage = Stage::start(&files).await;
    stage.sender().await.tell(&adt("A01", "M1", "V1")).await;
    until("the answer was passed on", async || beds.done().len() == 1).await;
    assert_eq!(beds.done()[0].id(), "R-77");
    stage.settled().await;
    let root = stage.messages().await[0].id;
    let trace = stage.desk().trace(root.0).await.unwrap().unwrap();
    // Message, delivery, the event that its answer became, and the delivery of that.
    let depths: Vec<u32> = trace.nodes.iter().map(|node| node.depth).collect();
    assert_eq!(depths, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_comes_in_over_http() {
    let billing = Receiver::start().await;
    let a = system("billing", &billing.url(), "", &["open"]);
    let hooks = "system: hooks\nowner: x\nconnections:\n  in:\n    http: { listen: internal, post: \"/in/visits\", auth: none }\n    \
                 sensitivity: internal\n    duplicate: { by: [\"header:idempotency-key\"], within: 1d }\n";
    let flow = "flow: hook\nowner: x\nfrom: hooks.in\nkey: .visit\nto: [{ call: billing.open }]\n";
    let files = [
        (&*a.0, a.1),
        ("systems/hooks.yaml", hooks.to_owned()),
        ("flows/1.yaml", flow.to_owned()),
    ];
    let stage = Stage::start(&files).await;
    let place = stage.place("hooks.in").to_owned();
    let address = place.split(' ').nth(1).unwrap();
    let body = r#"{"id":"J1","visit":"V9"}"#;
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /in/visits HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: k1\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    stage.settled().await;
    assert_eq!(billing.done().len(), 1, "the second one was a duplicate");
    assert_eq!(billing.done()[0].body["visit"], "V9");
    let delivery = &stage.to("billing.open").await[0];
    assert_eq!(
        delivery.key.as_deref(),
        Some("V9"),
        "an internal key is shown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_once_when_it_is_due_and_once_after_a_long_stop() {
    let billing = Receiver::start().await;
    let a = system("billing", &billing.url(), "", &["close-day"]);
    let flow = "flow: nightly\nowner: x\nfrom: { every: \"0 2 * * *\", zone: UTC, body: { id: nightly } }\n\
                to: [{ call: billing.close-day }]\n";
    // 2026-11-24T01:59:59.9Z
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(
        1_795_485_599_900_000,
    )));
    let files = [(&*a.0, a.1), ("flows/1.yaml", flow.to_owned())];
    let mut stage =
        Stage::start_at(&files, Arc::clone(&clock) as Arc<dyn wardline_core::Clock>).await;
    assert!(stage.messages().await.is_empty());
    clock.advance(Duration::from_millis(200));
    until("the schedule fired", async || billing.done().len() == 1).await;
    assert_eq!(billing.done()[0].id(), "nightly");
    stage.settled().await;
    stage.stop(Duration::from_secs(10)).await;
    // Three nights pass.
    clock.advance(Duration::from_hours(72));
    stage.go_on().await;
    until("the missed nights were made up for", async || {
        billing.done().len() == 2
    })
    .await;
    stage.settled().await;
    assert_eq!(billing.done().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_one_connection_keep_the_order_of_a_key() {
    let billing = Receiver::start().await;
    // Every call fails the first time, so that a later one could overtake.
    let mut seen = std::collections::HashSet::new();
    billing.answers(move |call| {
        if seen.insert(call.idempotency_key.clone()) {
            (503, None, "")
        } else {
            (200, None, "")
        }
    });
    let (path, text) = system(
        "billing",
        &billing.url(),
        "breaker: { open_after: 0 }",
        &["open", "close"],
    );
    let flows = format!(
        "flow: open\nowner: x\nfrom: ehr.adt\nwhen: hl7(\"MSH-9.2\") == \"A01\"\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n\
         {SOON}\nto: [{{ call: billing.open }}]\n---\n\
         flow: close\nowner: x\nfrom: ehr.adt\nwhen: hl7(\"MSH-9.2\") == \"A03\"\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n\
         {SOON}\nto: [{{ call: billing.close }}]\n"
    );
    let stage = Stage::start(&[(&*path, text), ("flows/1.yaml", flows)]).await;
    let mut sender = stage.sender().await;
    for n in 0..60 {
        let trigger = if n % 6 < 3 { "A01" } else { "A03" };
        sender
            .tell(&adt(trigger, &format!("M{n:02}"), &format!("V{}", n % 3)))
            .await;
    }
    stage.settled().await;
    let done = billing.done();
    assert_eq!(done.len(), 60);
    for visit in ["V0", "V1", "V2"] {
        let ids: Vec<&str> = done
            .iter()
            .filter(|call| call.body["visit"] == visit)
            .map(super::http_receiver::Call::id)
            .collect();
        assert!(ids.is_sorted(), "{visit}: {ids:?}");
        assert_eq!(ids.len(), 20);
    }
}
