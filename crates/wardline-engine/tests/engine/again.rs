//! What is left after a stop, and after years.

use crate::http_receiver::{Call, Receiver};
use crate::sender::adt;
use crate::stage::{SOON, Stage, system, until};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{DeliveryState, SimulatedClock, Timestamp};
use wardline_engine::view::Part;

#[tokio::test(flavor = "multi_thread")]
async fn everything_open_is_sent_after_a_restart_in_order_under_the_same_keys() {
    let billing = Receiver::start().await;
    // Some fail, so that the journal has retrying heads when the engine stops.
    let mut n = 0;
    billing.answers(move |_| {
        n += 1;
        if n % 3 == 0 {
            (200, None, "")
        } else {
            (503, None, "")
        }
    });
    billing.takes(Duration::from_millis(2));
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
    let mut stage = Stage::start(&[(&*path, text), ("flows/1.yaml", flows)]).await;
    let mut sent = 0;
    for round in 0..4 {
        let mut sender = stage.sender().await;
        for _ in 0..50 {
            let trigger = if sent % 2 == 0 { "A01" } else { "A03" };
            sender
                .tell(&adt(
                    trigger,
                    &format!("M{sent:03}"),
                    &format!("V{}", sent % 7),
                ))
                .await;
            sent += 1;
        }
        drop(sender);
        let goal = round * 10;
        until("some were sent", async || billing.done().len() >= goal).await;
        stage.stop(Duration::from_secs(20)).await;
        stage.go_on().await;
    }
    billing.answers(|_| (200, None, ""));
    stage.settled().await;
    let done = billing.done();
    for visit in 0..7 {
        let visit = format!("V{visit}");
        let ids: Vec<&str> = done
            .iter()
            .filter(|call| call.body["visit"] == *visit)
            .map(Call::id)
            .collect();
        assert!(ids.is_sorted(), "{visit}: {ids:?}");
    }
    // Every attempt of one message came under one key, and every key is of one message.
    let mut keys: HashMap<String, String> = HashMap::new();
    for call in billing.calls() {
        let known = keys
            .entry(call.id().to_owned())
            .or_insert_with(|| call.idempotency_key.clone());
        assert_eq!(*known, call.idempotency_key, "{}", call.id());
    }
    assert_eq!(keys.len(), 200);
    assert_eq!(stage.desk().balance().await.unwrap().delivered, 200);
    assert_eq!(done.len(), 200, "a stop in order repeats nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_forgets_what_is_done_and_keeps_what_is_owed() {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.id() == "M1" {
            (422, None, "")
        } else {
            (200, None, "")
        }
    });
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let flow = "flow: admit\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\nto: [{ call: billing.open }]\n";
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(
        1_795_485_600_000_000,
    )));
    let files = [(&*path, text), ("flows/1.yaml", flow.to_owned())];
    let mut stage =
        Stage::start_at(&files, Arc::clone(&clock) as Arc<dyn wardline_core::Clock>).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M0", "V0")).await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    drop(sender);
    let states = async || {
        stage
            .to("billing.open")
            .await
            .iter()
            .map(|row| row.state)
            .collect::<Vec<_>>()
    };
    until("one is done and one is held", async || {
        states().await == [DeliveryState::Delivered, DeliveryState::Held]
    })
    .await;
    let messages = stage.messages().await;
    assert!(messages.iter().all(|message| message.has_payload));
    stage.stop(Duration::from_secs(10)).await;

    // Payloads live for two days, records for ten.
    clock.advance(Duration::from_hours(96));
    stage.go_on().await;
    until("the payload of what is done is gone", async || {
        !stage.messages().await[0].has_payload
    })
    .await;
    assert!(
        stage.messages().await[1].has_payload,
        "what is owed keeps its payload"
    );
    let gone = stage
        .desk()
        .payload(Part::Payload, messages[0].id.0, Some("why"), "dana")
        .await
        .unwrap_err();
    assert_eq!(gone.code(), wardline_engine::codes::PAYLOAD_GONE);
    let held = stage.to("billing.open").await[1].id;
    billing.answers(|_| (200, None, ""));
    let select = wardline_engine::view::Selection {
        deliveries: vec![held],
        ..Default::default()
    };
    stage
        .desk()
        .release(&select, "after all", "dana")
        .await
        .unwrap();
    stage.settled().await;
    assert_eq!(
        billing.done().last().unwrap().id(),
        "M1",
        "it can still be sent"
    );
    stage.stop(Duration::from_secs(10)).await;

    clock.advance(Duration::from_hours(480));
    stage.go_on().await;
    until("the records are gone too", async || {
        stage.messages().await.is_empty()
    })
    .await;
    let balance = stage.desk().balance().await.unwrap();
    assert!(
        balance.holds(),
        "what was counted stays counted: {balance:?}"
    );
}
