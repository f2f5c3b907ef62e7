//! The API does what the pages do.

use crate::fake::{KEY, PATIENT};
use crate::site::{HOST, Site, json};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};

#[tokio::test]
async fn the_api_does_what_the_pages_do() {
    let site = Site::new().await;
    let overview = json(&site.call(Method::GET, "/api/overview", "").await);
    assert_eq!(overview["estate"], "st-brigid");
    let found = json(
        &site
            .call(
                Method::POST,
                "/api/messages",
                &format!(r#"{{"key":"{KEY}"}}"#),
            )
            .await,
    );
    let root = site.hospital.known();
    assert_eq!(found["rows"][0]["id"], root.to_string());
    let trace = json(
        &site
            .call(Method::GET, &format!("/api/trace/{root}"), "")
            .await,
    );
    assert_eq!(trace["root"], root.to_string());
    let by_key = json(
        &site
            .call(Method::POST, "/api/find", &format!(r#"{{"text":"{KEY}"}}"#))
            .await,
    );
    assert_eq!(by_key["messages"]["rows"][0]["id"], root.to_string());
    let by_id = json(
        &site
            .call(
                Method::POST,
                "/api/find",
                &format!(r#"{{"text":"{root}"}}"#),
            )
            .await,
    );
    assert_eq!(by_id["trace"], root.to_string());

    let body = |reveal: &str| format!(r#"{{"part":"payload","id":"{root}"{reveal}}}"#);
    let masked = site.call(Method::POST, "/api/payload", &body("")).await;
    assert!(!masked.text.contains(PATIENT) && json(&masked)["masked"] == true);
    assert_eq!(
        site.call(Method::POST, "/api/payload", &body(r#","reveal":" ""#))
            .await
            .status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert!(
        site.call(Method::POST, "/api/payload", &body(r#","reveal":"INC-1""#))
            .await
            .text
            .contains(PATIENT)
    );

    let select = r#""select":{"destination":"housekeeping.request-clean","states":["dead"]}"#;
    let listed = json(
        &site
            .call(
                Method::POST,
                "/api/deliveries",
                &format!("{{{select},\"limit\":3}}"),
            )
            .await,
    );
    assert_eq!(listed["rows"].as_array().unwrap().len(), 3);
    let preview = json(
        &site
            .call(
                Method::POST,
                "/api/replay",
                &format!("{{{select},\"preview\":true}}"),
            )
            .await,
    );
    assert_eq!(preview["selected"], 60);
    for act in ["replay", "release", "cancel", "park"] {
        let refused = site
            .call(
                Method::POST,
                &format!("/api/{act}"),
                &format!("{{{select}}}"),
            )
            .await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{act} needs a reason"
        );
        assert_eq!(
            refused.header(header::CONTENT_TYPE),
            "application/problem+json"
        );
    }
    let held = r#"{"select":{"fingerprint":"v1:9f2ac418"},"reason":"closed account"}"#;
    let cancelled = json(&site.call(Method::POST, "/api/cancel", held).await);
    assert_eq!(cancelled["count"], 1);
    let dead = json(&site.call(Method::GET, "/api/dead", "").await);
    assert_eq!(dead.as_array().unwrap().len(), 1);
    let audit = json(&site.call(Method::GET, "/api/audit?limit=2", "").await);
    assert_eq!(audit[0]["act"], "cancel");
    assert_eq!(audit[1]["act"], "reveal");
    let unknown = site
        .call(Method::POST, "/api/messages", r#"{"keys":"x"}"#)
        .await;
    assert_eq!(json(&unknown)["code"], "W7206");
}

#[tokio::test]
async fn programs_may_say_for_whom_they_act() {
    let site = Site::new().await;
    let select = r#"{"select":{"destination":"bed-board.release-bed"},"reason":"test"}"#;
    for (name, actor) in [
        ("ana.diaz", "admin for ana.diaz"),
        ("<b>", "admin"),
        ("", "admin"),
    ] {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/release")
            .header(header::HOST, HOST)
            .header(header::AUTHORIZATION, format!("Bearer {}", site.token))
            .header("wardline-actor", name)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(select))
            .unwrap();
        assert_eq!(site.send(request).await.status, StatusCode::OK);
        let audit = json(&site.call(Method::GET, "/api/audit?limit=1", "").await);
        assert_eq!(audit[0]["actor"], actor);
    }
}

#[tokio::test]
async fn a_reload_says_what_came_of_it_and_needs_a_reason() {
    let site = Site::new().await;
    let ask = async |body: &str| site.call(Method::POST, "/api/reload", body).await;
    let done = ask(r#"{"reason":"CHG-1"}"#).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(json(&done)["outcome"], "applied");
    assert!(
        json(&done)["summary"].as_str().unwrap().ends_with("CHG-1"),
        "{}",
        done.text
    );
    let refused = ask(r#"{"reason":"mistake"}"#).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json(&refused)["outcome"], "refused");
    for body in ["{}", r#"{"reason":" "}"#, r#"{"why":"x"}"#] {
        let status = ask(body).await.status;
        assert!(status.is_client_error(), "{body}: {status}");
    }
    // Nothing was applied here yet.
    let none = site.call(Method::GET, "/api/estate", "").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}
