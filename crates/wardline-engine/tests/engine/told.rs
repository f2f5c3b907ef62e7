//! Events that instances tell, and which of those that are there an instance takes.

use crate::http_receiver::Receiver;
use crate::processes::{all, stage, until_phase};
use crate::sender::adt;
use crate::stage::until;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_only_a_process_tells_is_told() {
    let billing = Receiver::start().await;
    let steps = "  - tell: { emit: visit.told, with: .visit }\n  \
                 - close: { call: billing.close, with: { id: .visit.id } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until_phase(&stage, "completed").await;
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_any_takes_one_and_leaves_the_other_for_the_next() {
    let billing = Receiver::start().await;
    let steps = "  - before: { sleep: 1s }\n  \
                 - first: { wait: { any: [visit.changed, visit.closed], where: .visit == instance.key }, save: first }\n  \
                 - second: { wait: { event: visit.closed, where: .visit == instance.key }, save: second }\n  \
                 - close: { call: billing.close, with: { id: .second.id, first: .first.event } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until("it waits", async || all(&stage).await.len() == 1).await;
    // Both are there before the first of them is waited for.
    sender.tell(&adt("A03", "M2", "V1")).await;
    sender.tell(&adt("A08", "M3", "V1")).await;
    until("it is closed", async || !billing.calls().is_empty()).await;
    let call = billing.calls().remove(0);
    assert_eq!(
        (call.id(), &call.body["first"]),
        ("M2", &"visit.changed".into())
    );
    stage.stop(Duration::from_secs(10)).await;
}
