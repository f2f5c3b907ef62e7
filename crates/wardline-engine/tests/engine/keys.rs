//! Keys that somebody destroys before their time.

use crate::http_receiver::Receiver;
use crate::sender::adt;
use crate::stage::{Stage, system};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, SimulatedClock, Timestamp};
use wardline_engine::DeskError;
use wardline_engine::view::{DestroyKeys, Part};

#[tokio::test(flavor = "multi_thread")]
async fn what_they_sealed_is_gone_and_the_audit_log_still_verifies() {
    let start = Timestamp::try_from("2026-11-24T10:00:00Z".to_owned()).unwrap();
    let clock = Arc::new(SimulatedClock::starting_at(start));
    let billing = Receiver::start().await;
    billing.answers(|_| (200, None, ""));
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let flow =
        "flow: admit\nowner: x\nfrom: ehr.adt\nmap: maps/visit.vrl\nto: [{ call: billing.open }]\n";
    let files = [(&*path, text), ("flows/1.yaml", flow.to_owned())];
    let stage = Stage::start_at(&files, Arc::clone(&clock) as Arc<dyn Clock>).await;
    let desk = stage.desk();
    stage.sender().await.tell(&adt("A01", "M1", "V1")).await;
    stage.settled().await;
    let id = stage.messages().await[0].id.0;
    let look = async || {
        desk.payload(Part::Payload, id, Some("to see it"), "user:anna")
            .await
    };
    let shown = look().await.unwrap().unwrap();
    assert!(shown.text.contains("Quillfeather"));

    clock.advance(Duration::from_hours(24));
    stage.sender().await.tell(&adt("A01", "M2", "V2")).await;
    stage.settled().await;
    let request = |preview, before: &str, reason: &str| DestroyKeys {
        before: before.to_owned(),
        audit: false,
        preview,
        reason: reason.to_owned(),
    };
    let ask = async |request: DestroyKeys| desk.destroy_keys(&request, "user:anna").await;
    // Looked at first; refused without a reason, and for what is in use.
    let preview = ask(request(true, "2026-11-25", "")).await.unwrap();
    assert_eq!((preview.keys, preview.left, preview.preview), (1, 1, true));
    assert!(look().await.is_ok());
    for (before, reason) in [("2026-11-25", " "), ("2026-11-26", "x"), ("soon", "x")] {
        let refused = ask(request(false, before, reason)).await;
        assert!(matches!(refused, Err(DeskError::Invalid(_))), "{before}");
    }

    let done = ask(request(false, "2026-11-25", "the contract ended"))
        .await
        .unwrap();
    assert_eq!((done.keys, done.first.as_deref()), (1, Some("2026-11-24")));
    assert!(matches!(look().await, Err(DeskError::Gone(_))));
    // Today's are as they were, and so is everything that is not a payload.
    let rows = stage.messages().await;
    assert_eq!(rows.len(), 2);
    let today = rows.iter().find(|row| row.id.0 != id).unwrap().id.0;
    let shown = desk
        .payload(Part::Payload, today, Some("to see it"), "user:anna")
        .await;
    assert!(shown.unwrap().unwrap().text.contains("Quillfeather"));
    assert!(desk.verify_audit().await.unwrap().is_ok());
    let entries = desk.audit(None, 10).await.unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry.act == "keys.destroy")
        .unwrap();
    assert_eq!(
        (entry.target.as_str(), entry.reason.as_str()),
        ("2026-11-25", "the contract ended")
    );
}
