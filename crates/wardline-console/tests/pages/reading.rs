//! What pages show, and what never stands in one.

use crate::fake::{KEY, PATIENT};
use crate::site::{Site, json};
use http::{Method, StatusCode, header};
use std::sync::atomic::Ordering;
use wardline_core::DeliveryState;

#[tokio::test]
async fn a_payload_is_absent_until_revealed_and_the_look_is_recorded() {
    let site = Site::new().await;
    let root = site.hospital.known();
    let trace = format!("/trace/{root}");
    let deliveries = site.hospital.every();
    let held = deliveries
        .iter()
        .find(|delivery| delivery.state == DeliveryState::Held)
        .unwrap();
    let hop = format!("{trace}?hop={}&part=body", held.id);
    for path in [
        trace.clone(),
        hop.clone(),
        hop.replace("part=body", "part=changes"),
        "/messages".into(),
        "/dead".into(),
    ] {
        let page = site.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for secret in [PATIENT, KEY, "MRN00417"] {
            assert!(!page.text.contains(secret), "{path} holds {secret}");
        }
    }
    assert!(
        !site.hospital.acts().iter().any(|(act, _)| act == "reveal"),
        "a masked look is no reveal"
    );
    let page = site.get(&trace).await;
    assert!(
        page.text.contains("taken by") && page.text.contains("/instances/"),
        "an event leads to the transaction that took it"
    );

    let without = site.post(&trace, "reason=+").await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!without.text.contains(PATIENT));

    let revealed = site.post(&trace, "reason=INC-2231").await;
    assert_eq!(revealed.status, StatusCode::OK);
    assert!(revealed.text.contains(PATIENT));
    assert!(revealed.text.contains("Revealed to"));
    assert!(!title(&revealed.text).contains(PATIENT));
    assert!(
        site.hospital
            .acts()
            .contains(&("reveal".into(), "INC-2231".into()))
    );
    assert!(
        !site.get(&trace).await.text.contains(PATIENT),
        "the next look is masked again"
    );
}

fn title(page: &str) -> &str {
    page.split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next())
        .unwrap()
}

#[tokio::test]
async fn a_key_never_stands_in_an_address_or_on_the_page_of_its_search() {
    let site = Site::new().await;
    let sent = site
        .post("/messages", &format!("q={KEY}+state%3Aheld"))
        .await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    let link = sent.header(header::LOCATION).to_owned();
    assert!(
        link.starts_with("/messages?s=") && !link.contains(KEY),
        "{link}"
    );
    let page = site.get(&link).await;
    assert!(
        page.text
            .contains(&format!("/trace/{}", site.hospital.known())),
        "the search finds its message"
    );
    assert!(page.text.contains("key:••••") && !page.text.contains(KEY));

    // Changing the masked search keeps the key.
    let name = link.trim_start_matches("/messages?s=");
    let changed = site
        .post(
            "/messages",
            &format!("s={name}&q=key%3A%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2"),
        )
        .await;
    let page = site.get(changed.header(header::LOCATION)).await;
    assert!(
        page.text
            .contains(&format!("/trace/{}", site.hospital.known()))
    );

    let crafted = site.get(&format!("/messages?q=key%3A{KEY}")).await;
    assert_eq!(crafted.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!crafted.text.contains(KEY));

    // The link is worth nothing to another session.
    let other = site.again().await;
    assert_eq!(other.get(&link).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn searches_without_a_key_are_links_and_ids_lead_to_their_trace() {
    let site = Site::new().await;
    let plain = site
        .post("/messages", "q=type%3AADT%5EA03+since%3A24h")
        .await;
    assert_eq!(
        plain.header(header::LOCATION),
        "/messages?q=type%3AADT%5EA03%20since%3A24h"
    );
    let root = site.hospital.known();
    let by_id = site
        .post(
            "/messages",
            &format!("q={}", root.to_string().to_lowercase()),
        )
        .await;
    assert_eq!(by_id.header(header::LOCATION), format!("/trace/{root}"));
    let nonsense = site.post("/messages", "q=status%3Aheld").await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nonsense.text.contains("did you mean"), "{}", nonsense.text);
    let page = site.get("/messages?q=state%3Aunrouted").await;
    assert!(page.text.contains("Nothing matches"));
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let site = Site::new().await;
    let first = site.get("/messages").await.text;
    let next = first
        .split("rel=\"next\"")
        .next()
        .unwrap()
        .rsplit("href=\"")
        .next()
        .unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&");
    let second = site.get(&next).await.text;
    assert!(!second.contains("rel=\"next\""));
    let rows = |page: &str| page.matches("<tr data-row").count();
    assert_eq!(
        (rows(&first), rows(&second)),
        (50, 22),
        "72 messages in all, none twice"
    );
}

#[tokio::test]
async fn hostile_text_is_escaped_and_hostile_addresses_answer() {
    let site = Site::new().await;
    let page = site
        .get("/messages?q=error%3A%22%3Cscript%3Ealert(1)%3C%2Fscript%3E%22")
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("<script>alert"), "{}", page.text);
    for path in [
        "/trace/x",
        "/trace/ZZZZZZZZZZZZZ",
        "/trace/0000000000000?hop=..",
        "/dead/nope",
        "/destinations/..%2F..",
        "/plans/x",
        "/messages?s=x",
        "/messages?before=x",
        "/assets/..%2Fapp.rs",
        "/resubmit/x",
        "/audit?before=x",
    ] {
        let answer = site.get(path).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert!(
            answer.text.contains("<h1>"),
            "{path} answers with a page: {}",
            answer.text
        );
    }
    let body = "q=".to_owned() + &"x".repeat(300 * 1024);
    assert_eq!(
        site.post("/messages", &body).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn trouble_of_the_engine_is_shown_as_what_it_is() {
    let site = Site::new().await;
    site.hospital.down.store(true, Ordering::SeqCst);
    let page = site.get("/dead").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text.contains("W5001") && page.text.contains("look at the disk"));
    let api = site.call(Method::GET, "/api/dead", "").await;
    assert_eq!(api.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(&api)["help"], "look at the disk");
}
