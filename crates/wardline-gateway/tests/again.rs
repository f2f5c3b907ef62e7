//! Answers of systems that are given again, and what is told before they leave.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use wardline_access::Caller;
use wardline_access::mask::Classes;
use wardline_core::Sensitivity;
use wardline_gateway::plan::{
    Api, Compose, Keep, Operation, Part, Serve, Systems, Transform, When,
};
use wardline_gateway::seam::{Ended, Facts, Gatekeeper, Observer, Pass, Peer};
use wardline_gateway::{Kind, Plan, Problem};

const HOUR: Duration = Duration::from_secs(3_600);

/// Masks the name for everybody but `boss`, to whom it is revealed.
struct Masking;

fn masked(caller: Option<&Caller>) -> (Option<Transform>, Classes) {
    if caller.is_some_and(|caller| &*caller.name == "boss") {
        return (None, [Sensitivity::Pii].into());
    }
    let mask: Transform = Arc::new(|mut value| {
        value["name"] = "•••".into();
        Ok(value)
    });
    (Some(mask), Classes::NONE)
}

#[async_trait]
impl Gatekeeper for Masking {
    async fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        Open.identify(peer, headers).await
    }

    async fn admit(&self, _: &Api, _: &Operation, facts: &Facts<'_>) -> Result<Pass, Problem> {
        let (mask, reveals) = masked(facts.caller);
        Ok(Pass {
            mask,
            reveals,
            ..Pass::default()
        })
    }

    fn part(
        &self,
        _: &Api,
        _: &Operation,
        caller: Option<&Caller>,
    ) -> Result<Option<Transform>, Problem> {
        Ok(masked(caller).0)
    }

    fn part_reveals(&self, _: &Api, _: &Operation, caller: Option<&Caller>) -> Classes {
        masked(caller).1
    }
}

fn kept(keep: Keep) -> Serve {
    let mut binding = binding("erp", When::default());
    binding.call.keep = Some(keep);
    Serve::Systems(Systems {
        bindings: vec![binding],
        shadow: None,
    })
}

fn site_plan(keep: Keep, system: &System) -> Plan {
    let card = Part {
        name: "supplier".into(),
        api: "suppliers".into(),
        version: None,
        operation: "get".into(),
        when: None,
        with: None,
        optional: false,
    };
    let compose = Compose {
        calls: vec![card],
        map: Some(Arc::new(|input| Ok(input["answers"]["supplier"].clone()))),
        cache: None,
    };
    let portal = api(
        "portal",
        vec![operation(
            "card",
            Method::GET,
            "/cards/{id}",
            Serve::Compose(compose),
        )],
    );
    Plan {
        gatekeeper: Arc::new(Masking),
        ..plan(
            vec![suppliers(&kept(keep)), portal],
            vec![system.upstream("erp")],
        )
    }
}

#[tokio::test]
async fn one_answer_serves_all_and_each_sees_what_it_may() {
    let system = System::start(|saw| async move {
        let mut answer = answer(
            StatusCode::OK,
            &json!({ "name": "Acme", "target": saw.target }).to_string(),
        );
        if saw.target.contains("private") {
            let never = "no-store".parse().unwrap();
            answer.headers_mut().insert("cache-control", never);
        }
        answer
    })
    .await;
    let keep = Keep {
        fresh: HOUR,
        stale_if_error: Duration::ZERO,
    };
    let site = Site::start(site_plan(keep, &system)).await;
    let get = async |caller: &str, path: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("x-caller", caller)];
        headers.extend_from_slice(more);
        site.send("GET", path, &headers, "").await
    };
    let path = "/suppliers/v1/suppliers/7";
    let first = get("boss", path, &[]).await;
    assert_eq!(
        (first.json()["name"].clone(), first.header("age")),
        (json!("Acme"), "")
    );
    // The other is masked although what is kept was asked for by one who sees all, and the other
    // way round.
    let second = get("clerk", path, &[]).await;
    assert_eq!(
        (second.json()["name"].clone(), second.header("age")),
        (json!("•••"), "0")
    );
    assert_eq!(get("boss", path, &[]).await.json()["name"], "Acme");
    let card = get("clerk", "/portal/v1/cards/7", &[]).await;
    assert_eq!(card.json()["name"], "•••");
    let card = get("boss", "/portal/v1/cards/7", &[]).await;
    assert_eq!(card.json()["name"], "Acme");
    assert_eq!(
        system.count(),
        1,
        "parts of compositions ask the same question"
    );
    // Another question is another answer; so is one about another facility, and a new one on demand.
    get("boss", "/suppliers/v1/suppliers/8", &[]).await;
    get("boss", path, &[("x-facility", "south")]).await;
    get("boss", "/suppliers/v1/suppliers/7?deep=1", &[]).await;
    get("boss", path, &[("cache-control", "no-cache")]).await;
    assert_eq!(system.count(), 5);
    for _ in 0..2 {
        get("boss", "/suppliers/v1/suppliers/private", &[]).await;
    }
    assert_eq!(system.count(), 7, "the system said no");
    for _ in 0..2 {
        let headers = [("x-caller", "boss")];
        let put = site.send("PUT", path, &headers, "{}").await;
        assert_eq!(put.status, 200);
    }
    assert_eq!(system.count(), 9, "writes go through");
    // A replaced plan forgets.
    site.gateway
        .replace(site_plan(keep, &system))
        .await
        .unwrap();
    get("boss", path, &[]).await;
    assert_eq!(system.count(), 10);
}

#[tokio::test]
async fn an_old_answer_is_better_than_none_where_declared() {
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    let system = System::start(move |_| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                0 => answer(StatusCode::OK, r#"{"name":"Acme"}"#),
                _ => answer(StatusCode::SERVICE_UNAVAILABLE, "{}"),
            }
        }
    })
    .await;
    for (stale_if_error, expected) in [(HOUR, 200), (Duration::ZERO, 503)] {
        asked.store(0, Ordering::Relaxed);
        let keep = Keep {
            fresh: Duration::ZERO,
            stale_if_error,
        };
        // Fresh for no time at all would not be kept; a nanosecond is over at once.
        let keep = Keep {
            fresh: Duration::from_nanos(1),
            ..keep
        };
        let site = Site::start(site_plan(keep, &system)).await;
        let headers = [("x-caller", "boss")];
        let path = "/suppliers/v1/suppliers/7";
        let first = site.send("GET", path, &headers, "").await;
        let second = site.send("GET", path, &headers, "").await;
        assert_eq!((first.status, second.status), (200, expected));
        assert!(asked.load(Ordering::Relaxed) >= 2, "the system was asked");
    }
}

/// Takes no entry.
struct Stalled(AtomicUsize);

#[async_trait]
impl Observer for Stalled {
    fn waits(&self, ended: &Ended<'_>) -> bool {
        ended.status.is_success() && !ended.reveals.is_empty()
    }

    async fn before_answer(&self, _: &Ended<'_>) -> Result<(), Problem> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Kind::NotRecorded.into())
    }

    fn ended(&self, ended: &Ended<'_>) {
        let shown = ended.status.is_success() && !ended.reveals.is_empty();
        assert!(!shown, "an answer left without its record");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_shown_however_it_was_made() {
    let system = System::start(|_| async { answer(StatusCode::OK, r#"{"name":"ZQX"}"#) }).await;
    let keep = Keep {
        fresh: HOUR,
        stale_if_error: HOUR,
    };
    let stalled = Arc::new(Stalled(AtomicUsize::new(0)));
    let mut plan = site_plan(keep, &system);
    plan.observer = stalled.clone();
    for operation in &mut plan.apis[0].operations {
        operation.idempotent = (operation.method != Method::GET).then_some(HOUR);
    }
    let site = Site::start(plan).await;
    let boss = [("x-caller", "boss"), ("idempotency-key", "k")];
    for round in 0..2 {
        for (method, path, body) in [
            ("GET", "/suppliers/v1/suppliers/7", ""),
            ("GET", "/portal/v1/cards/7", ""),
            ("PUT", "/suppliers/v1/suppliers/7", "{}"),
        ] {
            let reply = site.send(method, path, &boss, body).await;
            assert_eq!(reply.problem(), "not-recorded", "{round} {method} {path}");
            assert!(!String::from_utf8_lossy(&reply.body).contains("ZQX"));
            let clerk = [("x-caller", "clerk")];
            let reply = site.send(method, path, &clerk, body).await;
            assert_eq!(
                (reply.status, reply.json()["name"].clone()),
                (200, json!("•••"))
            );
        }
    }
    assert_eq!(stalled.0.load(Ordering::Relaxed), 6);
}
