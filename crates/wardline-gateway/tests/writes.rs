//! Writes that happen once, writes that are accepted, and what is composed.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use tokio::sync::Semaphore;
use wardline_access::Caller;
use wardline_gateway::plan::{Compose, Part, Serve};
use wardline_gateway::seam::{Accepted, Acceptor, Receipt, Status};
use wardline_gateway::{GatewayError, Kind, Plan, Problem};

const HOUR: Duration = Duration::from_secs(3_600);

fn keyed(upstreams: Vec<wardline_gateway::plan::Upstream>) -> Plan {
    let mut api = suppliers(&bound("erp"));
    for operation in &mut api.operations {
        operation.idempotent = (operation.method != Method::GET).then_some(HOUR);
    }
    plan(vec![api], upstreams)
}

#[tokio::test]
async fn a_write_with_a_key_happens_once() {
    let made = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&made);
    let system = System::start(move |_| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            answer(
                StatusCode::CREATED,
                &json!({ "number": number }).to_string(),
            )
        }
    })
    .await;
    let site = Site::start(keyed(vec![system.upstream("erp")])).await;
    let post = async |key: &str, caller: &str, body: &str| {
        let headers = [("idempotency-key", key), ("x-caller", caller)];
        site.send("POST", "/suppliers/v1/suppliers", &headers, body)
            .await
    };
    let first = post("k-1", "a", "{}").await;
    let again = post("k-1", "a", "{}").await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(
        (first.json(), again.json()),
        (json!({"number": 0}), json!({"number": 0}))
    );
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        ("", "true")
    );
    assert_eq!(again.header("content-type"), "application/json");
    let other = post("k-1", "a", r#"{"x":1}"#).await;
    assert_eq!(
        (other.status, other.problem().as_str()),
        (422, "idempotency-key-reused")
    );
    assert_eq!(
        post("k-1", "b", "{}").await.json(),
        json!({"number": 1}),
        "another client's key is another key"
    );
    assert_eq!(
        post("two words", "a", "{}").await.problem(),
        "bad-idempotency-key"
    );
    // A replaced plan forgets no key.
    site.gateway
        .replace(keyed(vec![system.upstream("erp")]))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(post("k-1", "a", "{}").await.json(), json!({"number": 0}));
}

#[tokio::test]
async fn a_key_in_flight_conflicts_and_survives_a_caller_that_went_away() {
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (told, waits) = (Arc::clone(&arrived), Arc::clone(&go));
    let system = System::start(move |_| {
        let (told, waits) = (Arc::clone(&told), Arc::clone(&waits));
        async move {
            told.add_permits(1);
            waits.acquire().await.unwrap().forget();
            answer(StatusCode::OK, r#"{"done":true}"#)
        }
    })
    .await;
    let site = Arc::new(Site::start(keyed(vec![system.upstream("erp")])).await);
    let headers = [("idempotency-key", "k")];
    let first = {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            site.send(
                "POST",
                "/suppliers/v1/suppliers",
                &[("idempotency-key", "k")],
                "{}",
            )
            .await
        })
    };
    arrived.acquire().await.unwrap().forget();
    let second = site
        .send("POST", "/suppliers/v1/suppliers", &headers, "{}")
        .await;
    assert_eq!(
        (second.status, second.problem().as_str()),
        (409, "idempotency-key-in-flight")
    );
    first.abort();
    let _ = first.await;
    go.add_permits(1);
    // Sooner or later the answer is there, although nobody waited for it.
    let reply = loop {
        let reply = site
            .send("POST", "/suppliers/v1/suppliers", &headers, "{}")
            .await;
        if reply.status != 409 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (reply.status, reply.header("idempotency-replayed")),
        (200, "true")
    );
    assert_eq!(system.count(), 1);
}

#[tokio::test]
async fn a_key_whose_write_never_left_may_be_used_again() {
    let system = System::echo("erp").await;
    let gone = system.upstream("erp");
    let address = system.address;
    drop(system);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let site = Site::start(keyed(vec![gone])).await;
    let headers = [("idempotency-key", "k")];
    let reply = site
        .send("POST", "/suppliers/v1/suppliers", &headers, "{}")
        .await;
    assert_eq!(reply.problem(), "unreachable");
    let system = System::echo("erp").await;
    site.gateway
        .replace(keyed(vec![system.upstream("erp")]))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        site.send("POST", "/suppliers/v1/suppliers", &headers, r#"{"x":1}"#)
            .await
            .status,
        200
    );
}

struct Desk;

#[async_trait]
impl Acceptor for Desk {
    async fn accept(&self, request: Accepted<'_>) -> Result<Receipt, Problem> {
        match &request.body[..] {
            br#"{"full":true}"# => Err(Kind::NotDurable.into()),
            _ => Ok(Receipt {
                id: "01J/x".into(),
                binding: None,
                again: request.once.is_some(),
            }),
        }
    }

    async fn status(&self, id: &str, caller: Option<&Caller>) -> Result<Option<Status>, Problem> {
        let own = id == "01J/x" && caller.is_some_and(|caller| &*caller.name == "portal");
        let status = Status {
            state: "delivered".into(),
            done: true,
            again: None,
        };
        Ok(own.then_some(status))
    }
}

#[tokio::test]
async fn an_accepted_request_has_a_status() {
    let order = operation(
        "order",
        Method::POST,
        "/orders",
        Serve::Accept(Arc::new(Desk)),
    );
    let site = Site::start(plan(vec![api("orders", vec![order])], vec![])).await;
    let reply = site.send("POST", "/orders/v1/orders", &[], "{}").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (202, "/orders/v1/-/requests/order/01J%2Fx")
    );
    assert_eq!(reply.json()["id"], "01J/x");
    let full = site
        .send("POST", "/orders/v1/orders", &[], r#"{"full":true}"#)
        .await;
    assert_eq!((full.status, full.problem().as_str()), (503, "not-durable"));
    let unknown = site.get("/orders/v1/-/requests/order/other").await;
    assert_eq!(unknown.problem(), "not-found");
}

fn part(name: &str, api: &str, operation: &str) -> Part {
    Part {
        name: name.into(),
        api: api.into(),
        version: None,
        operation: operation.into(),
        when: None,
        with: None,
        optional: false,
    }
}

#[tokio::test]
async fn answers_are_gathered_in_order_and_made_one() {
    let erp = System::start(|saw| async move {
        match saw.target.as_str() {
            "/suppliers/7%2F8" => {
                answer(StatusCode::OK, r#"{"name":"Acme","site":"s 1","iban":"x"}"#)
            }
            "/suppliers/s%201?deep=yes" => answer(StatusCode::OK, r#"{"city":"Ulm"}"#),
            other => answer(
                StatusCode::NOT_FOUND,
                &json!({ "asked": other }).to_string(),
            ),
        }
    })
    .await;
    let site_part = Part {
        with: Some(Arc::new(|input| {
            Ok(
                json!({ "params": { "id": input["answers"]["supplier"]["site"] }, "query": { "deep": "yes" } }),
            )
        })),
        ..part("site", "suppliers", "get")
    };
    let rating = Part {
        optional: true,
        with: Some(Arc::new(|_| Ok(json!({ "params": { "id": "none" } })))),
        ..part("rating", "suppliers", "get")
    };
    let compose = Compose {
        calls: vec![part("supplier", "suppliers", "get"), site_part, rating],
        map: Some(Arc::new(|input| {
            let answers = &input["answers"];
            Ok(
                json!({ "name": answers["supplier"]["name"], "city": answers["site"]["city"], "rating": answers["rating"] }),
            )
        })),
        cache: Some(HOUR),
    };
    let portal = api(
        "portal",
        vec![operation(
            "show",
            Method::GET,
            "/show/{id}",
            Serve::Compose(compose.clone()),
        )],
    );
    let plan = plan(
        vec![portal, suppliers(&bound("erp"))],
        vec![erp.upstream("erp")],
    );
    let site = Site::start(plan.clone()).await;
    // An encoded slash is refused at the door, so ids with one come by other ways; here by a map.
    let mut by_query = plan.clone();
    let with: wardline_gateway::plan::Transform =
        Arc::new(|input| Ok(json!({ "params": { "id": input["query"]["id"] } })));
    if let Serve::Compose(compose) = &mut by_query.apis[0].operations[0].serve {
        compose.calls[0].with = Some(with);
    }
    assert_eq!(site.get("/portal/v1/show/x").await.status, 404);
    site.gateway
        .replace(by_query)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let reply = site.get("/portal/v1/show/x?id=7%2F8").await;
    assert_eq!(
        (reply.status, reply.json()),
        (
            200,
            json!({ "name": "Acme", "city": "Ulm", "rating": null })
        )
    );
    let asked = erp.count();
    assert_eq!(
        site.get("/portal/v1/show/x?id=7%2F8").await.json(),
        reply.json()
    );
    assert_eq!(erp.count(), asked, "kept for the same caller");
    let other = site
        .send(
            "GET",
            "/portal/v1/show/x?id=7%2F8",
            &[("x-caller", "other")],
            "",
        )
        .await;
    assert_eq!((other.status, erp.count()), (200, asked + 3));
}

#[tokio::test]
async fn plans_that_cannot_be_served_are_refused_and_the_old_one_stays() {
    let erp = System::echo("erp").await;
    let good = || plan(vec![suppliers(&bound("erp"))], vec![erp.upstream("erp")]);
    let site = Site::start(good()).await;
    let change = async |edit: &dyn Fn(&mut Plan)| {
        let mut plan = good();
        edit(&mut plan);
        site.gateway.replace(plan).await.unwrap_err()
    };
    let clash = change(&|plan| plan.apis.push(suppliers(&bound("erp")))).await;
    assert!(matches!(clash, GatewayError::RouteClash { .. }), "{clash}");
    let missing = change(&|plan| plan.upstreams.clear()).await;
    assert!(
        matches!(missing, GatewayError::NoSuchUpstream { .. }),
        "{missing}"
    );
    let template = change(&|plan| plan.apis[0].operations[0].path = "no-slash".into()).await;
    assert!(
        matches!(template, GatewayError::BadTemplate { .. }),
        "{template}"
    );
    let url = change(&|plan| plan.upstreams[0].urls = vec!["https://x".parse().unwrap()]).await;
    assert!(matches!(url, GatewayError::BadUrl { .. }), "{url}");
    let part = change(&|plan| {
        let compose = Compose {
            calls: vec![part("x", "suppliers", "nothing")],
            map: None,
            cache: None,
        };
        plan.apis[0].operations[0].serve = Serve::Compose(compose);
    })
    .await;
    assert!(matches!(part, GatewayError::NoSuchPart { .. }), "{part}");
    assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
}
