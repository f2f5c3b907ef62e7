//! Another plan takes the place of the one that runs: what is untouched stays, what changed is
//! replaced, what is owed is sent by the new terms, and nothing is sent twice or out of order.

use crate::http_receiver::Receiver;
use crate::sender::adt;
use crate::stage::{Stage, system, until};
use serde_json::Value;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, SimulatedClock, Timestamp};

const FLOW: &str = "flow: all\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n\
    retry: { first: 5ms, factor: 1, max: 5ms, attempts: 0, jitter: none }\nto: [{ call: billing.open }]\n";

/// The same flow, when nobody is told.
const UNTOLD: &str = "flow: all\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\nemit: visit.seen\n";

fn ids(receiver: &Receiver) -> Vec<String> {
    let done = receiver.done();
    done.iter().map(|call| call.id().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_moves_ends_what_it_sends_and_goes_on_elsewhere_in_order() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    old.takes(Duration::from_millis(300));
    let (path, text) = system(
        "billing",
        &old.url(),
        "limits: { concurrent: 1 }",
        &["open"],
    );
    let files = [(&*path, text), ("flows/1.yaml", FLOW.to_owned())];
    let mut stage = Stage::start(&files).await;
    let mut sender = stage.sender().await;
    for n in 0..20 {
        sender.tell(&adt("A01", &format!("M{n}"), "V1")).await;
    }
    until("the first is on its way", async || old.busiest() > 0).await;

    let (path, text) = system(
        "billing",
        &new.url(),
        "limits: { concurrent: 1 }",
        &["open"],
    );
    stage.write(&path, &text);
    let changes = stage.change().await;
    assert_eq!(
        changes,
        [
            "connection billing.api changed: reopened: what is being sent ends first; what is owed goes the new way"
        ]
    );
    // The listener did not notice, nor did its sender.
    for n in 20..30 {
        sender.tell(&adt("A01", &format!("M{n}"), "V1")).await;
    }
    stage.settled().await;
    let mut all = ids(&old);
    assert!(!all.is_empty() && all.len() < 20, "{all:?}");
    all.extend(ids(&new));
    let expected: Vec<String> = (0..30).map(|n| format!("M{n}")).collect();
    assert_eq!(all, expected, "each once, in order, over both");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_moves_to_another_system_keeps_the_order_of_its_keys() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    old.takes(Duration::from_millis(100));
    let two = |connection: &str| {
        format!(
            "system: billing\nowner: somebody\nconnections:\n  one: {{ http: {{ url: \"{}\" }} }}\n  two: {{ http: {{ url: \"{}\" }} }}\noperations:\n  open: {{ http: {{ connection: {connection}, post: \"/open\" }} }}\n",
            old.url(),
            new.url()
        )
    };
    let files = [
        ("systems/billing.yaml", two("one")),
        ("flows/1.yaml", FLOW.to_owned()),
    ];
    let mut stage = Stage::start(&files).await;
    let mut sender = stage.sender().await;
    for n in 0..10 {
        sender.tell(&adt("A01", &format!("M{n}"), "V1")).await;
    }
    until("the first is on its way", async || old.busiest() > 0).await;
    stage.write("systems/billing.yaml", &two("two"));
    stage.change().await;
    for n in 10..20 {
        sender.tell(&adt("A01", &format!("M{n}"), "V1")).await;
    }
    stage.settled().await;
    let mut all = ids(&old);
    all.extend(ids(&new));
    let expected: Vec<String> = (0..20).map(|n| format!("M{n}")).collect();
    assert_eq!(all, expected);
    assert!(!new.done().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_maps_and_destinations_change_for_messages_that_come_later() {
    let (billing, beds) = (Receiver::start().await, Receiver::start().await);
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let files = [(&*path, text), ("flows/1.yaml", FLOW.to_owned())];
    let mut stage = Stage::start(&files).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    stage.settled().await;

    let (path, text) = system("beds", &beds.url(), "", &["take"]);
    stage.write(&path, &text);
    stage.write(
        "flows/2.yaml",
        &FLOW
            .replace("flow: all", "flow: more")
            .replace("billing.open", "beds.take"),
    );
    stage.write(
        "maps/visit.vrl",
        ".id = hl7(\"MSH-10\")\n.mapped = \"anew\"\n",
    );
    let changes = stage.change().await;
    assert!(
        changes.contains(&"flow more added".to_owned())
            && changes.contains(&"file maps/visit.vrl changed".to_owned())
            && changes.contains(&"connection beds.api added".to_owned()),
        "{changes:?}"
    );
    sender.tell(&adt("A01", "M2", "V1")).await;
    stage.settled().await;
    assert_eq!(ids(&billing), ["M1", "M2"]);
    assert_eq!(ids(&beds), ["M2"]);
    let mapped = |n: usize| billing.done()[n].body["mapped"].clone();
    assert_eq!((mapped(0), mapped(1)), (Value::Null, "anew".into()));
    assert_eq!(stage.change().await, Vec::<String>::new(), "the same again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_to_a_destination_that_went_waits_and_is_sent_when_it_is_back() {
    let billing = Receiver::start().await;
    billing.answers(|_| (503, None, ""));
    let (path, text) = system(
        "billing",
        &billing.url(),
        "breaker: { open_after: 0 }",
        &["open"],
    );
    let files = [(&*path, text), ("flows/1.yaml", FLOW.to_owned())];
    let mut stage = Stage::start(&files).await;
    let mut sender = stage.sender().await;
    for n in 0..3 {
        sender.tell(&adt("A01", &format!("M{n}"), "V1")).await;
    }
    stage.write("flows/1.yaml", UNTOLD);
    let changes = stage.change().await;
    assert!(
        changes.iter().any(|change| change.starts_with(
            "destination billing.open removed: 3 deliveries to it stay in the journal"
        )),
        "{changes:?}"
    );
    billing.answers(|_| (200, None, ""));
    sender.tell(&adt("A01", "M9", "V1")).await;
    until("what was being sent has ended", async || {
        stage.to("billing.open").await.len() == 3
    })
    .await;
    let done = billing.done().len();
    stage.write("flows/1.yaml", FLOW);
    stage.change().await;
    sender.tell(&adt("A01", "M3", "V1")).await;
    stage.settled().await;
    assert!(done <= 1, "only what was under way");
    assert_eq!(ids(&billing), ["M0", "M1", "M2", "M3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_changes_keeps_its_address_and_one_that_does_not_keeps_its_senders() {
    let billing = Receiver::start().await;
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let ehr = |settings: &str| {
        format!(
            "system: lab\nowner: clinical\nconnections:\n  oru:\n    mllp: {{ listen: \"{at}\"{settings} }}\n"
        )
    };
    let flow = FLOW
        .replace("flow: all", "flow: lab")
        .replace("ehr.adt", "lab.oru");
    let files = [
        (&*path, text),
        ("systems/lab.yaml", ehr("")),
        ("flows/1.yaml", FLOW.to_owned()),
        ("flows/2.yaml", flow),
    ];
    let mut stage = Stage::start(&files).await;
    let mut kept = stage.sender().await;
    let mut reopened = crate::sender::Sender::connect(stage.place("lab.oru")).await;
    kept.tell(&adt("A01", "K1", "V1")).await;
    reopened.tell(&adt("A01", "R1", "V2")).await;

    stage.write("systems/lab.yaml", &ehr(", max_connections: 7"));
    let changes = stage.change().await;
    assert_eq!(
        changes,
        [
            "connection lab.oru changed: reopened: its senders connect again; what was in hand is answered"
        ]
    );
    kept.tell(&adt("A01", "K2", "V1")).await;
    // Nobody is refused: the address was handed over.
    let mut again = crate::sender::Sender::connect(stage.place("lab.oru")).await;
    again.tell(&adt("A01", "R2", "V2")).await;

    // An address that is taken refuses the whole change, and nothing of it happened.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = taken.local_addr().unwrap().to_string();
    stage.write(
        "systems/lab.yaml",
        &ehr("").replace(&at.to_string(), &other),
    );
    stage.write("flows/1.yaml", UNTOLD);
    let why = stage.cannot_change().await;
    assert!(why.contains(&other), "{why}");
    kept.tell(&adt("A01", "K3", "V1")).await;
    again.tell(&adt("A01", "R3", "V2")).await;
    stage.settled().await;
    let mut all = ids(&billing);
    all.sort();
    assert_eq!(all, ["K1", "K2", "K3", "R1", "R2", "R3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_changes_counts_from_the_change() {
    let billing = Receiver::start().await;
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let flow = |cron: &str| {
        format!(
            "flow: nightly\nowner: x\nfrom: {{ every: \"{cron}\", zone: UTC, body: {{ id: nightly }} }}\nto: [{{ call: billing.open }}]\n"
        )
    };
    // 2026-11-24T01:59:59.9Z
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(
        1_795_485_599_900_000,
    )));
    let files = [(&*path, text), ("flows/1.yaml", flow("0 2 * * *"))];
    let mut stage = Stage::start_at(&files, Arc::clone(&clock) as Arc<dyn Clock>).await;
    clock.advance(Duration::from_millis(200));
    until("02:00 came", async || billing.done().len() == 1).await;
    stage.settled().await;

    // It is a moment before ten: a schedule at six did not exist when it was six.
    clock.advance(Duration::from_hours(8) - Duration::from_millis(400));
    stage.write("flows/1.yaml", &flow("0 6,10 * * *"));
    assert_eq!(
        stage.change().await,
        ["flow nightly changed: its schedule counts from now"]
    );
    // A flow that says the same is left alone, however often the estate is read.
    for _ in 0..3 {
        assert_eq!(stage.change().await, Vec::<String>::new());
    }
    clock.advance(Duration::from_millis(400));
    until("ten came", async || billing.done().len() == 2).await;
    stage.settled().await;
    assert_eq!(stage.messages().await.len(), 2, "02:00 and 10:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_deliveries_share_the_limits_that_are_in_force() {
    let billing = Receiver::start().await;
    let limits = |most: u32| {
        let limits = format!("limits: {{ concurrent: {most} }}");
        system("billing", &billing.url(), &limits, &["open"])
    };
    let (path, text) = limits(1);
    let files = [(&*path, text), ("flows/1.yaml", FLOW.to_owned())];
    let mut stage = Stage::start(&files).await;
    let soon = Duration::from_millis(1);
    let gate = |stage: &Stage| stage.gates().of("billing.api").unwrap();
    let held = gate(&stage).pass(soon).await.unwrap();

    // Something else changes: whoever calls has the only session still.
    stage.write("flows/2.yaml", &UNTOLD.replace("flow: all", "flow: other"));
    assert_eq!(stage.change().await, ["flow other added"]);
    assert!(gate(&stage).pass(soon).await.is_err());

    let (path, text) = limits(2);
    stage.write(&path, &text);
    stage.change().await;
    let now = gate(&stage);
    let two = [now.pass(soon).await.unwrap(), now.pass(soon).await.unwrap()];
    assert!(now.pass(soon).await.is_err());
    // Deliveries wait for those calls, not for the one of before.
    drop(two);
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    stage.settled().await;
    assert_eq!(ids(&billing), ["M1"]);
    drop(held);
}
