//! Which system serves, what happens when it does not, and what the shadow says.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wardline_core::Timestamp;
use wardline_gateway::plan::{Breaker, Call, Serve, Shadow, Share, Systems, Upstream, When};
use wardline_gateway::shadow::{How, Outcome, Rules};

fn systems(bindings: Vec<wardline_gateway::plan::Binding>) -> Serve {
    Serve::Systems(Systems {
        bindings,
        shadow: None,
    })
}

/// An address where nobody listens.
async fn nobody() -> http::Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url(listener.local_addr().unwrap())
}

/// Reads a request and breaks off, so that nobody knows whether it arrived.
async fn breaker_off() -> (http::Uri, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut space = [0; 4_096];
            let _ = stream.read(&mut space).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url(address), seen)
}

#[tokio::test]
async fn the_first_binding_that_fits_serves() {
    let (old, new, beta) = (
        System::echo("old").await,
        System::echo("new").await,
        System::echo("beta").await,
    );
    let now = Timestamp::now();
    let serve = systems(vec![
        binding(
            "beta",
            When {
                headers: vec![("x-beta".parse().unwrap(), "1".parse().unwrap())],
                ..When::default()
            },
        ),
        binding(
            "new",
            When {
                facilities: vec!["south".into()],
                ..When::default()
            },
        ),
        binding(
            "new",
            When {
                facilities: vec!["east".into()],
                until: Some(now),
                ..When::default()
            },
        ),
        binding(
            "new",
            When {
                predicate: Some(Arc::new(|facts| {
                    Ok(facts.body.and_then(|body| body["urgent"].as_bool()) == Some(true))
                })),
                reads_body: true,
                ..When::default()
            },
        ),
        binding(
            "beta",
            When {
                predicate: Some(Arc::new(|_| Err("broken".into()))),
                ..When::default()
            },
        ),
        binding("old", When::default()),
    ]);
    let upstreams = vec![
        old.upstream("old"),
        new.upstream("new"),
        beta.upstream("beta"),
    ];
    let site = Site::start(plan(vec![suppliers(&serve)], upstreams)).await;
    for (headers, body, system) in [
        (vec![], "", "old"),
        (vec![("x-facility", "north")], "", "old"),
        (vec![("x-facility", "south")], "", "new"),
        (vec![("x-facility", "east")], "", "old"),
        (vec![("x-facility", "south"), ("x-beta", "1")], "", "beta"),
        (vec![], r#"{"urgent":true}"#, "new"),
        (vec![], r#"{"urgent":false}"#, "old"),
    ] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let reply = site
            .send(method, "/suppliers/v1/suppliers", &headers, body)
            .await;
        assert_eq!(reply.json()["system"], system, "{headers:?} {body}");
    }
    let reply = site.send("POST", "/suppliers/v1/suppliers", &[], "{").await;
    assert_eq!((reply.status, reply.problem().as_str()), (400, "not-json"));
}

#[tokio::test]
async fn a_share_sticks_to_its_key() {
    let (old, new) = (System::echo("old").await, System::echo("new").await);
    let share = Share {
        per_myriad: 5_000,
        key: Some(Arc::new(|facts| {
            facts.params.get("id").map(std::borrow::Cow::into_owned)
        })),
    };
    let serve = systems(vec![
        binding(
            "new",
            When {
                share: Some(share),
                ..When::default()
            },
        ),
        binding("old", When::default()),
    ]);
    let site = Site::start(plan(
        vec![suppliers(&serve)],
        vec![old.upstream("old"), new.upstream("new")],
    ))
    .await;
    let mut sides = std::collections::HashMap::<String, usize>::new();
    for id in 0..40 {
        let path = format!("/suppliers/v1/suppliers/{id}");
        let first = site.get(&path).await.json()["system"].clone();
        assert_eq!(site.get(&path).await.json()["system"], first);
        *sides.entry(first.to_string()).or_default() += 1;
    }
    assert_eq!(sides.len(), 2, "{sides:?}");
}

#[tokio::test]
async fn another_address_serves_when_the_first_is_gone() {
    let system = System::echo("second").await;
    let upstream = Upstream::at("erp", vec![nobody().await, url(system.address)]);
    let site = Site::start(plan(vec![suppliers(&bound("erp"))], vec![upstream])).await;
    for _ in 0..5 {
        let reply = site
            .send("POST", "/suppliers/v1/suppliers", &[], "{}")
            .await;
        assert_eq!((reply.status, &reply.json()["body"]), (200, &"{}".into()));
    }
    assert_eq!(system.count(), 5);
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    let (broken, seen) = breaker_off().await;
    let second = System::echo("second").await;
    let upstream = Upstream::at("erp", vec![broken, url(second.address)]);
    let site = Site::start(plan(vec![suppliers(&bound("erp"))], vec![upstream])).await;
    let reply = site
        .send("POST", "/suppliers/v1/suppliers", &[], "{}")
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (502, "bad-answer")
    );
    assert_eq!((seen.load(Ordering::Relaxed), second.count()), (1, 0));
    // What is idempotent may go to the other address.
    let reply = site.get("/suppliers/v1/suppliers").await;
    assert_eq!((reply.status, second.count()), (200, 1));
}

#[tokio::test]
async fn an_open_breaker_asks_nobody() {
    let (broken, seen) = breaker_off().await;
    let mut upstream = Upstream::at("erp", vec![broken]);
    upstream.breaker = Breaker {
        failures: NonZeroU32::new(3).unwrap(),
        pause: Duration::from_secs(3_600),
    };
    upstream.health.ill_after = 1_000;
    let site = Site::start(plan(vec![suppliers(&bound("erp"))], vec![upstream])).await;
    for _ in 0..3 {
        assert_eq!(
            site.send("POST", "/suppliers/v1/suppliers", &[], "{}")
                .await
                .status,
            502
        );
    }
    for _ in 0..3 {
        let reply = site
            .send("POST", "/suppliers/v1/suppliers", &[], "{}")
            .await;
        assert_eq!(reply.problem(), "unreachable");
        assert!(!reply.header("retry-after").is_empty());
    }
    assert_eq!(seen.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_system_that_does_not_answer_is_too_late() {
    let system = System::start(|_| std::future::pending()).await;
    let mut upstream = system.upstream("erp");
    upstream.time = Duration::from_millis(50);
    let site = Site::start(plan(vec![suppliers(&bound("erp"))], vec![upstream])).await;
    let reply = site
        .send("POST", "/suppliers/v1/suppliers", &[], "{}")
        .await;
    assert_eq!((reply.status, reply.problem().as_str()), (504, "too-late"));
    assert_eq!(system.count(), 1);
}

#[tokio::test]
async fn canonical_in_and_out_with_maps() {
    let system = System::start(|saw| async move {
        let body: Value = serde_json::from_slice(&saw.body).unwrap();
        match body["VENDOR_NO"].as_str() {
            Some("0") => answer(StatusCode::CONFLICT, r#"{"secret":"internal words"}"#),
            Some("1") => answer(StatusCode::UNAUTHORIZED, "{}"),
            Some("2") => answer(StatusCode::OK, "<html>"),
            _ => answer(
                StatusCode::CREATED,
                &json!({ "VENDOR": body["VENDOR_NO"], "AT": saw.target }).to_string(),
            ),
        }
    })
    .await;
    let mut bound = binding("erp", When::default());
    bound.call = Call {
        method: Some(Method::PUT),
        path: Some("/vendors/new".into()),
        query: false,
        request: Some(Arc::new(|value| Ok(json!({ "VENDOR_NO": value["id"] })))),
        response: Some(Arc::new(|value| {
            Ok(json!({ "id": value["VENDOR"], "at": value["AT"] }))
        })),
        ..bound.call
    };
    let site = Site::start(plan(
        vec![suppliers(&systems(vec![bound]))],
        vec![system.upstream("erp")],
    ))
    .await;
    let post = |id: &str| {
        let body = json!({ "id": id }).to_string();
        let site = &site;
        async move {
            site.send("POST", "/suppliers/v1/suppliers?x=1", &[], &body)
                .await
        }
    };
    let reply = post("7").await;
    assert_eq!(
        (reply.status, reply.json()),
        (201, json!({ "id": "7", "at": "/vendors/new" }))
    );
    let reply = post("0").await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (409, "refused-by-system")
    );
    assert!(!String::from_utf8_lossy(&reply.body).contains("internal words"));
    assert_eq!(post("1").await.problem(), "bad-answer");
    assert_eq!(post("2").await.problem(), "bad-answer");
}

#[tokio::test]
async fn the_shadow_is_compared_and_never_seen() {
    let old =
        System::start(|_| async { answer(StatusCode::OK, r#"{"id":"7","name":"Acme","n":1}"#) })
            .await;
    let new = System::start(|saw| async move {
        match saw.target.as_str() {
            "/suppliers/same" => answer(StatusCode::OK, r#"{"id":"7","name":"Acme","n":2}"#),
            "/suppliers/broken" => answer(StatusCode::OK, "<html>"),
            "/suppliers/slow" => std::future::pending().await,
            _ => answer(StatusCode::OK, r#"{"id":7,"extra":"Acme"}"#),
        }
    })
    .await;
    let (sink, mut differences) = tokio::sync::mpsc::unbounded_channel();
    let shadow = Shadow {
        name: "new".into(),
        call: Call::plain("new"),
        per_myriad: 10_000,
        rules: Rules::everything().only(["id", "name"]),
        concurrent: 1,
        writes: false,
        sink: Arc::new(move |difference| sink.send(difference).unwrap()),
    };
    let serve = Serve::Systems(Systems {
        bindings: vec![binding("old", When::default())],
        shadow: Some(shadow),
    });
    let site = Site::start(plan(
        vec![suppliers(&serve)],
        vec![old.upstream("old"), new.upstream("new")],
    ))
    .await;
    let mut ask = async |id: &str| {
        let reply = site.get(&format!("/suppliers/v1/suppliers/{id}")).await;
        assert_eq!((reply.status, &reply.json()["n"]), (200, &1.into()));
        assert!(
            !reply.headers.contains_key("content-length")
                || reply.header("content-length") == reply.body.len().to_string()
        );
        differences.recv().await.unwrap()
    };
    assert_eq!(ask("same").await.outcome, Outcome::Same);
    let differs = ask("other").await;
    let places: Vec<_> = differs
        .places
        .iter()
        .map(|place| (place.pointer.as_str(), place.how))
        .collect();
    assert_eq!(
        (differs.outcome, places),
        (
            Outcome::Differs,
            vec![("/id", How::Type), ("/name", How::Missing)]
        )
    );
    assert_eq!(ask("broken").await.outcome, Outcome::Failed);
    // A write is not repeated in the shadow.
    let before = new.count();
    assert_eq!(
        site.send("POST", "/suppliers/v1/suppliers", &[], "{}")
            .await
            .status,
        200
    );
    // One that hangs takes the only place; callers do not notice, and those after it are skipped.
    assert_eq!(site.get("/suppliers/v1/suppliers/slow").await.status, 200);
    assert_eq!(ask("x").await.outcome, Outcome::Skipped);
    assert!(new.count() <= before + 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_hold_is_refused() {
    let large = Bytes::from(vec![b' '; 70_000]);
    let system = System::start(move |_| {
        let large = large.clone();
        async move { http::Response::new(http_body_util::Full::new(large)) }
    })
    .await;
    let mut mapped = binding("erp", When::default());
    mapped.call.response = Some(Arc::new(Ok));
    let mut api = suppliers(&systems(vec![mapped]));
    api.operations[0].limits.answer = 65_536;
    api.operations[1].serve = bound("erp");
    let site = Site::start(plan(vec![api], vec![system.upstream("erp")])).await;
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "bad-answer"
    );
    // What streams through needs no limit.
    assert_eq!(
        site.get("/suppliers/v1/suppliers/7").await.body.len(),
        70_000
    );
}
