//! What people decide, and that it is written down.

use crate::http_receiver::{Call, Receiver};
use crate::sender::adt;
use crate::stage::{Stage, system, until};
use wardline_core::{DeliveryId, DeliveryState};
use wardline_engine::view::{Part, ReplayRequest, Selection};
use wardline_engine::{DeskError, codes};

fn these(deliveries: &[DeliveryId]) -> Selection {
    Selection {
        deliveries: deliveries.to_vec(),
        ..Selection::default()
    }
}

const FLOW: &str = "flow: admit\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n\
                    to: [{ call: billing.open, on_exhausted: hold }]\n";

/// A stage with one key held by its first delivery, three that wait behind it, and one other.
async fn held() -> (Stage, Receiver, Vec<DeliveryId>) {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.id() == "M0" {
            (422, None, "no such account")
        } else {
            (200, None, "")
        }
    });
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let stage = Stage::start(&[(&*path, text), ("flows/1.yaml", FLOW.to_owned())]).await;
    let mut sender = stage.sender().await;
    for n in 0..4 {
        sender.tell(&adt("A01", &format!("M{n}"), "V1")).await;
    }
    sender.tell(&adt("A01", "M9", "V9")).await;
    until("the key is held and the other flows", async || {
        let rows = stage.to("billing.open").await;
        rows[0].state == DeliveryState::Held && rows[4].state == DeliveryState::Delivered
    })
    .await;
    let ids = stage
        .to("billing.open")
        .await
        .iter()
        .map(|row| row.id)
        .collect();
    (stage, billing, ids)
}

async fn acts(stage: &Stage) -> Vec<String> {
    let verified = stage.desk().verify_audit().await.unwrap();
    assert!(verified.is_ok(), "{verified:?}");
    let mut lines: Vec<String> = stage
        .desk()
        .audit(None, 100)
        .await
        .unwrap()
        .iter()
        .map(|line| format!("{} {}: {}", line.actor, line.act, line.reason))
        .collect();
    lines.reverse();
    lines
}

fn ids(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(Call::id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_holds_its_key_until_it_is_released() {
    let (stage, billing, ids_of) = held().await;
    let rows = stage.to("billing.open").await;
    assert_eq!(rows[0].reason, "held: needs a person; its key waits");
    assert_eq!(
        (rows[0].status.as_deref(), rows[0].attempts),
        (Some("422"), 1)
    );
    assert_eq!(
        rows[1].reason,
        "waits its turn, or for an earlier delivery of its key"
    );
    let overview = stage.desk().overview().await.unwrap();
    assert_eq!(overview.destinations[0].state, "blocked");
    assert_eq!(overview.destinations[0].stopped_keys, 1);

    let refused = stage
        .desk()
        .release(&these(&ids_of[..1]), "  ", "dana")
        .await;
    assert!(
        matches!(refused, Err(DeskError::Invalid(_))),
        "without a reason nothing is done"
    );
    billing.answers(|_| (200, None, ""));
    assert_eq!(
        stage
            .desk()
            .release(&these(&ids_of[..1]), "account was made", "dana")
            .await
            .unwrap(),
        1
    );
    stage.settled().await;
    assert_eq!(ids(&billing.done()), ["M9", "M0", "M1", "M2", "M3"]);
    assert_eq!(
        acts(&stage).await,
        ["dana delivery.release: account was made"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parking_lets_followers_pass_and_a_replay_brings_it_back() {
    let (stage, billing, ids_of) = held().await;
    assert_eq!(
        stage
            .desk()
            .park(&these(&ids_of[..1]), "not ours", "dana")
            .await
            .unwrap(),
        1
    );
    stage.settled().await;
    assert_eq!(ids(&billing.done()), ["M9", "M1", "M2", "M3"]);
    assert_eq!(stage.to("billing.open").await[0].state, DeliveryState::Dead);

    let select = Selection {
        states: vec![DeliveryState::Dead, DeliveryState::Delivered],
        ..Selection::default()
    };
    let preview = ReplayRequest {
        select,
        preview: true,
        ..ReplayRequest::default()
    };
    let report = stage.desk().replay(&preview, "dana").await.unwrap();
    assert_eq!(
        (report.selected, report.created, report.preview),
        (5, 0, true)
    );
    assert_eq!(
        (
            report.destinations[0].count,
            report.destinations[0].delivered_before
        ),
        (5, 4)
    );
    assert_eq!(billing.calls().len(), 5, "a preview does nothing");

    billing.answers(|_| (200, None, ""));
    let again = ReplayRequest {
        select: these(&ids_of[..1]),
        reason: "it is ours".to_owned(),
        rate: 1_000,
        ..ReplayRequest::default()
    };
    let report = stage.desk().replay(&again, "dana").await.unwrap();
    assert_eq!(report.created, 1);
    stage.settled().await;
    let rows = stage.to("billing.open").await;
    let copy = rows.last().unwrap();
    assert_eq!(
        (copy.replay_of, copy.state),
        (Some(ids_of[0]), DeliveryState::Delivered)
    );
    let last = billing.done().pop().unwrap();
    assert_eq!(
        (last.id(), last.idempotency_key.as_str()),
        ("M0", copy.id.to_string().as_str())
    );
    assert_eq!(
        acts(&stage).await,
        [
            "dana delivery.park: not ours",
            "dana delivery.replay: it is ours"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_copy_replaces_what_was_held() {
    let (stage, billing, ids_of) = held().await;
    let bad = stage
        .desk()
        .resubmit(ids_of[0], "{ not json", "typo", "dana")
        .await
        .unwrap_err();
    assert!(bad.to_string().contains("not JSON"), "{bad}");
    let edited = r#"{"id":"M0-mended","visit":"V1"}"#;
    let copy = stage
        .desk()
        .resubmit(ids_of[0], edited, "typo in the account", "dana")
        .await
        .unwrap();
    stage.settled().await;
    let original = stage
        .desk()
        .deliveries(&these(&ids_of[..1]), None, 10)
        .await
        .unwrap();
    assert!(
        original
            .rows
            .iter()
            .any(|row| row.id == ids_of[0] && row.state == DeliveryState::Cancelled)
    );
    let done = billing.done();
    assert!(
        done.iter()
            .any(|call| call.id() == "M0-mended" && call.idempotency_key == copy.to_string())
    );
    assert_eq!(done.len(), 5);
    assert_eq!(
        acts(&stage).await,
        ["dana delivery.resubmit: typo in the account"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_not_sent() {
    let (stage, billing, ids_of) = held().await;
    // One that waits, then the head.
    assert_eq!(
        stage
            .desk()
            .cancel(&these(&ids_of[2..3]), "sent by fax", "dana")
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        stage
            .desk()
            .cancel(&these(&ids_of[..1]), "sent by fax", "dana")
            .await
            .unwrap(),
        1
    );
    stage.settled().await;
    assert_eq!(ids(&billing.done()), ["M9", "M1", "M3"]);
    let balance = stage.desk().balance().await.unwrap();
    assert_eq!((balance.cancelled, balance.delivered), (2, 3));
    assert_eq!(
        stage
            .desk()
            .cancel(&these(&ids_of[..1]), "again", "dana")
            .await
            .unwrap(),
        0,
        "it is at its end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_fails_costs_the_sender_nothing() {
    let billing = Receiver::start().await;
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let files = [
        (&*path, text),
        ("flows/1.yaml", FLOW.replace("visit.vrl", "strict.vrl")),
        (
            "maps/strict.vrl",
            ".id = hl7(\"MSH-10\")\n.bed = hl7_required!(\"PV1-7.1\")\n".to_owned(),
        ),
    ];
    let mut stage = Stage::start(&files).await;
    stage.sender().await.tell(&adt("A01", "M1", "V1")).await;
    let dead = stage.to("flow/admit").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].state, dead[0].error_code.as_deref()),
        (DeliveryState::Dead, Some(codes::MAP_FAILED.0))
    );
    let text = dead[0].error.as_deref().unwrap();
    assert!(
        text.contains("maps/strict.vrl") && text.contains("PV1-7.1"),
        "{text}"
    );
    let groups = stage.desk().dead().await.unwrap();
    assert_eq!(
        (groups.len(), groups[0].dead, groups[0].sample),
        (1, 1, dead[0].id)
    );

    // The map is as it was: another run, another dead letter, and the first one stays.
    let replay = ReplayRequest {
        select: Selection {
            fingerprint: Some(groups[0].fingerprint.clone()),
            ..Selection::default()
        },
        from_raw: true,
        reason: "to see".to_owned(),
        ..ReplayRequest::default()
    };
    assert_eq!(
        stage.desk().replay(&replay, "dana").await.unwrap().created,
        1
    );
    assert_eq!(stage.to("flow/admit").await.len(), 2);

    // The map is mended.
    stage.stop(std::time::Duration::from_secs(10)).await;
    stage.write(
        "maps/strict.vrl",
        ".id = hl7(\"MSH-10\")\n.bed = hl7(\"PV1-7.1\")\n",
    );
    stage.go_on().await;
    let replay = ReplayRequest {
        select: these(&[dead[0].id]),
        from_raw: true,
        reason: "mended".to_owned(),
        ..ReplayRequest::default()
    };
    assert_eq!(
        stage.desk().replay(&replay, "dana").await.unwrap().created,
        1
    );
    stage.settled().await;
    assert_eq!(ids(&billing.done()), ["M1"]);
    assert_eq!(
        acts(&stage).await,
        [
            "dana delivery.replay: to see",
            "dana delivery.replay: mended"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_is_masked_or_leaves_a_mark() {
    let (stage, _billing, ids_of) = held().await;
    let message = stage.messages().await[0].id;
    let masked = stage
        .desk()
        .payload(Part::Payload, message.0, None, "dana")
        .await
        .unwrap()
        .unwrap();
    assert!(
        masked.masked && !masked.text.contains("Quillfeather"),
        "{}",
        masked.text
    );
    assert!(acts(&stage).await.is_empty());
    let shown = stage
        .desk()
        .payload(Part::Payload, message.0, Some("wrong bed?"), "dana")
        .await
        .unwrap()
        .unwrap();
    assert!(!shown.masked && shown.text.contains("Quillfeather"));
    let answer = stage
        .desk()
        .payload(
            Part::Response,
            ids_of[0].0,
            Some("what did they say"),
            "dana",
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.text, "no such account");
    let body = stage
        .desk()
        .export(Part::Body, ids_of[0].0, "for the vendor", "dana")
        .await
        .unwrap()
        .unwrap();
    assert!(std::str::from_utf8(&body).unwrap().contains("\"M0\""));
    assert_eq!(
        acts(&stage).await,
        [
            "dana payload.reveal: wrong bed?",
            "dana payload.reveal: what did they say",
            "dana payload.export: for the vendor"
        ]
    );
}
