//! Acts happen after a preview, once, with a reason.

use crate::fake::PATIENT;
use crate::site::Site;
use http::{StatusCode, header};
use wardline_core::DeliveryState;

#[tokio::test]
async fn a_replay_is_previewed_typed_reasoned_and_done_once() {
    let site = Site::new().await;
    let form =
        "act=replay&fingerprint=v1%3A03bd55f0&destination=housekeeping.request-clean&state=dead";
    let made = site.post("/plans", form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let plan = made.header(header::LOCATION).to_owned();
    let preview = site.get(&plan).await.text;
    assert!(preview.contains("Replay 60 deliveries"), "{preview}");
    let replays = || {
        site.hospital
            .acts()
            .iter()
            .filter(|(act, _)| act == "replay")
            .count()
    };
    assert_eq!(replays(), 0, "a preview changes nothing");

    for incomplete in [
        "reason=billing+is+back",
        "reason=billing+is+back&count=59",
        "count=60",
        "count=60&reason=",
    ] {
        assert_eq!(
            site.post(&plan, incomplete).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{incomplete}"
        );
    }
    assert_eq!(replays(), 0);

    let done = site.post(&plan, "reason=billing+is+back&count=60").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert!(site.get(&plan).await.text.contains("60 new deliveries"));
    site.post(&plan, "reason=again&count=60").await;
    assert_eq!(replays(), 1, "a second click is not a second replay");
    assert!(
        site.hospital
            .acts()
            .contains(&("replay".into(), "billing is back".into()))
    );
}

#[tokio::test]
async fn what_was_delivered_before_is_said_before_it_is_sent_again() {
    let site = Site::new().await;
    let form = format!("act=replay&message={}", site.hospital.known());
    let plan = site.post("/plans", &form).await;
    let preview = site.get(plan.header(header::LOCATION)).await.text;
    assert!(preview.contains("would arrive twice"), "{preview}");
}

#[tokio::test]
async fn plans_belong_to_who_made_them_and_need_a_choice() {
    let site = Site::new().await;
    let plan = site
        .post("/plans", "act=replay&destination=bed-board.release-bed")
        .await
        .header(header::LOCATION)
        .to_owned();
    let other = site.again().await;
    assert_eq!(other.get(&plan).await.status, StatusCode::GONE);
    assert_eq!(
        other.post(&plan, "reason=mine+now&count=72").await.status,
        StatusCode::GONE
    );
    for empty in [
        "act=replay&only=chosen",
        "act=replay",
        "act=replay&state=dead",
        "destination=bed-board.release-bed",
    ] {
        assert_eq!(
            site.post("/plans", empty).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{empty}"
        );
    }
}

#[tokio::test]
async fn a_cancellation_counts_only_what_is_open() {
    let site = Site::new().await;
    let dead = site
        .post("/plans", "act=cancel&fingerprint=v1%3A03bd55f0&state=dead")
        .await;
    assert!(
        site.get(dead.header(header::LOCATION))
            .await
            .text
            .contains("Nothing to do")
    );
    let held = site
        .post(
            "/plans",
            "act=cancel&fingerprint=v1%3A9f2ac418&state=dead&state=held",
        )
        .await;
    let plan = held.header(header::LOCATION).to_owned();
    assert!(site.get(&plan).await.text.contains("Cancel 1 delivery"));
    site.post(&plan, "reason=account+was+closed+by+hand").await;
    assert!(
        site.get(&plan)
            .await
            .text
            .contains("1 delivery</strong> changed")
    );
    assert!(
        site.hospital
            .every()
            .iter()
            .all(|delivery| delivery.state != DeliveryState::Held)
    );
}

#[tokio::test]
async fn deliveries_named_one_by_one_are_the_ones_shown() {
    let site = Site::new().await;
    let dead: Vec<_> = site
        .hospital
        .every()
        .into_iter()
        .filter(|d| d.state == DeliveryState::Dead)
        .take(2)
        .collect();
    let form = format!(
        "act=replay&only=chosen&delivery={}&delivery={}",
        dead[0].id, dead[1].id
    );
    let preview = site
        .get(site.post("/plans", &form).await.header(header::LOCATION))
        .await
        .text;
    assert!(preview.contains("Replay 2 deliveries"));
    for delivery in &dead {
        assert!(preview.contains(&format!("/trace/{}", delivery.id)));
    }
    assert_eq!(preview.matches("<tr data-row").count(), 2);
}

#[tokio::test]
async fn an_edited_copy_is_sent_after_a_recorded_look() {
    let site = Site::new().await;
    let held = site
        .hospital
        .every()
        .into_iter()
        .find(|delivery| delivery.state == DeliveryState::Held)
        .unwrap();
    let address = format!("/resubmit/{}", held.id);
    assert!(!site.get(&address).await.text.contains(PATIENT));
    let opened = site.post(&address, "reason=wrong+ward").await;
    assert!(opened.text.contains(PATIENT));
    assert!(
        site.hospital
            .acts()
            .contains(&("reveal".into(), "wrong ward".into()))
    );
    let refused = site
        .post(&address, "reason=wrong+ward&body=refuse+me")
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("W4203"));
    let sent = site.post(&address, "reason=wrong+ward&body=%7B%7D").await;
    assert_eq!(
        sent.header(header::LOCATION),
        format!("/trace/{0}?hop={0}&part=body", held.id)
    );
    assert!(
        site.hospital
            .acts()
            .contains(&("resubmit".into(), "wrong ward".into()))
    );
}
