//! What callers see beside the usual: versions told apart by a header, reads sent twice, what a
//! composition knows of its caller, and processes.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use http::{HeaderName, Method, StatusCode};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use wardline_gateway::Problem;
use wardline_gateway::plan::{
    Api, ByHeader, Compose, Part, Process, ProcessAct, Serve, Systems, Upstream, When,
};
use wardline_gateway::seam::{Instance, ProcessCall, Processes};

fn version(number: &str, system: &str, default: bool) -> Api {
    let header = HeaderName::from_static("x-api-version");
    Api {
        version: number.into(),
        base: "/suppliers".into(),
        headers: vec![
            (header.clone(), number.parse().unwrap()),
            (http::header::VARY, header.clone().into()),
            (
                http::header::LINK,
                "</next>; rel=\"successor-version\"".parse().unwrap(),
            ),
        ],
        by_header: Some(ByHeader { header, default }),
        ..api(
            "suppliers",
            vec![operation("get", Method::GET, "/{id}", bound(system))],
        )
    }
}

#[tokio::test]
async fn a_header_chooses_the_version() {
    let (one, two) = (System::echo("one").await, System::echo("two").await);
    let mut newer = version("2.0.0", "two", false);
    newer
        .operations
        .push(operation("find", Method::GET, "/search", bound("two")));
    // Versions by path live beside them.
    let by_path = api(
        "suppliers",
        vec![operation("get", Method::GET, "/{id}", bound("one"))],
    );
    let apis = vec![version("1.3.0", "one", true), newer.clone(), by_path];
    let site = Site::start(plan(apis, vec![one.upstream("one"), two.upstream("two")])).await;
    for (path, asked, system, answered) in [
        ("/suppliers/7", None, "one", "1.3.0"),
        ("/suppliers/7", Some("1"), "one", "1.3.0"),
        ("/suppliers/7", Some("v2"), "two", "2.0.0"),
        ("/suppliers/7", Some("2.0.0"), "two", "2.0.0"),
        ("/suppliers/search", Some("2"), "two", "2.0.0"),
        // The older has no `search`: there it is an id.
        ("/suppliers/search", None, "one", "1.3.0"),
        ("/suppliers/v1/7", Some("9"), "one", ""),
    ] {
        let headers: Vec<_> = asked.map(|it| ("x-api-version", it)).into_iter().collect();
        let reply = site.send("GET", path, &headers, "").await;
        assert_eq!(reply.status, 200, "{path} {asked:?} {reply:?}");
        assert_eq!(reply.json()["system"], system, "{path} {asked:?}");
        assert_eq!(reply.header("x-api-version"), answered);
        if !answered.is_empty() {
            assert_eq!(reply.header("vary"), "x-api-version");
            assert!(reply.header("link").contains("successor-version"));
        }
    }
    let unknown = site
        .send("GET", "/suppliers/7", &[("x-api-version", "3")], "")
        .await;
    assert_eq!(
        (unknown.status, unknown.problem().as_str()),
        (400, "unknown-version")
    );
    let detail = unknown.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("1.3.0, 2.0.0") && detail.contains("x-api-version"),
        "{detail}"
    );
    let two_values = [("x-api-version", "1"), ("x-api-version", "2")];
    let either = site.send("GET", "/suppliers/7", &two_values, "").await;
    assert_eq!(either.problem(), "unknown-version");
    let wrong = site.send("POST", "/suppliers/7", &[], "{}").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
    assert_eq!(site.get("/suppliers/7/x").await.status, 404);

    // Without a default a request has to say which.
    let plain = plan(
        vec![version("1.3.0", "one", false), newer],
        vec![one.upstream("one"), two.upstream("two")],
    );
    site.gateway.replace(plain).await.unwrap();
    assert_eq!(site.get("/suppliers/7").await.problem(), "unknown-version");
}

/// Answers at once, except for every request whose count `slow` says; those hang.
async fn sometimes(slow: fn(usize) -> bool) -> (System, Arc<AtomicUsize>) {
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    let system = System::start(move |_| {
        let at = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if slow(at) {
                std::future::pending::<()>().await;
            }
            answer(StatusCode::OK, &json!({ "at": at }).to_string())
        }
    })
    .await;
    (system, count)
}

fn hedged(system: &System) -> Upstream {
    Upstream {
        hedge: Some(Duration::from_millis(20)),
        time: Duration::from_secs(20),
        ..system.upstream("erp")
    }
}

#[tokio::test]
async fn a_slow_read_is_sent_once_more_while_the_budget_lasts() {
    // Twenty calls pay for one hedge; the twenty-first call and the one after hang.
    let (system, count) = sometimes(|at| at == 20 || at == 22).await;
    let mut api = suppliers(&bound("erp"));
    for operation in &mut api.operations {
        operation.limits.time = Duration::from_millis(700);
    }
    let site = Site::start(plan(vec![api], vec![hedged(&system)])).await;
    for _ in 0..20 {
        assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
    }
    let rescued = site.get("/suppliers/v1/suppliers").await;
    assert_eq!((rescued.status, &rescued.json()["at"]), (200, &json!(21)));
    assert_eq!(count.load(Ordering::Relaxed), 22);
    // The budget is spent: the next one that hangs is too late, and nobody is asked twice.
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "too-late"
    );
    let after = count.load(Ordering::Relaxed);
    // 23: a read may be repeated after it was lost, but not hedged.
    assert!((23..=24).contains(&after), "{after}");
}

#[tokio::test]
async fn nothing_but_reads_is_sent_twice_and_nothing_by_default() {
    let (system, count) = sometimes(|at| at >= 30).await;
    let mut api = suppliers(&bound("erp"));
    for operation in &mut api.operations {
        operation.limits.time = Duration::from_millis(300);
    }
    let site = Site::start(plan(vec![api.clone()], vec![hedged(&system)])).await;
    for _ in 0..30 {
        assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
    }
    let write = site
        .send("POST", "/suppliers/v1/suppliers", &[], "{}")
        .await;
    assert_eq!(write.problem(), "too-late");
    assert_eq!(count.load(Ordering::Relaxed), 31);
    site.gateway
        .replace(plan(
            vec![api],
            vec![Upstream {
                retries: 0,
                ..system.upstream("erp")
            }],
        ))
        .await
        .unwrap();
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "too-late"
    );
    assert!(count.load(Ordering::Relaxed) <= 33);
}

#[tokio::test]
async fn the_second_try_goes_to_the_other_address() {
    let (first, _) = sometimes(|at| at >= 20).await;
    let second = System::echo("second").await;
    let upstream = Upstream {
        urls: vec![url(first.address), url(second.address)],
        ..hedged(&first)
    };
    let site = Site::start(plan(vec![suppliers(&bound("erp"))], vec![upstream])).await;
    for _ in 0..20 {
        assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
    }
    let reply = site.get("/suppliers/v1/suppliers").await;
    assert_eq!(
        (reply.status, &reply.json()["system"]),
        (200, &json!("second"))
    );
}

#[tokio::test]
async fn an_address_that_is_asked_for_its_health_is_left_alone_until_it_is_well() {
    let well = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let says = Arc::clone(&well);
    let first = System::start(move |saw| {
        let well = says.load(Ordering::Relaxed);
        async move {
            match (saw.target.as_str(), well) {
                ("/health", false) => answer(StatusCode::SERVICE_UNAVAILABLE, "{}"),
                _ => answer(StatusCode::OK, r#"{"system":"first"}"#),
            }
        }
    })
    .await;
    let second = System::echo("second").await;
    let upstream = Upstream {
        urls: vec![url(first.address), url(second.address)],
        health: wardline_gateway::plan::Health {
            get: Some("/health".into()),
            every: Duration::from_millis(20),
            well_after: 2,
            ill_after: 2,
        },
        ..first.upstream("erp")
    };
    let site = Site::start(plan(vec![suppliers(&bound("erp"))], vec![upstream])).await;
    let until = async |system: &str| {
        for _ in 0..1_500 {
            let reply = site.get("/suppliers/v1/suppliers").await;
            assert_eq!(reply.status, 200);
            if reply.json()["system"] == system {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never served by {system}");
    };
    // Nobody was refused meanwhile, and no call had to fail for it to be found out.
    until("second").await;
    well.store(true, Ordering::Relaxed);
    until("first").await;
}

#[tokio::test]
async fn a_composition_knows_its_caller_and_leaves_calls_out() {
    let erp = System::echo("erp").await;
    let part = |name: &str, when: Option<bool>| Part {
        name: name.into(),
        api: "suppliers".into(),
        version: Some("1.0.0".into()),
        operation: "list".into(),
        when: when.map(|it| {
            let condition: wardline_gateway::plan::Condition =
                Arc::new(move |input| Ok(it == (input["client"]["name"] == "portal")));
            condition
        }),
        with: Some(Arc::new(|input| {
            Ok(json!({ "query": { "for": input["client"]["name"] } }))
        })),
        optional: false,
    };
    let compose = Compose {
        calls: vec![
            part("always", None),
            part("yes", Some(true)),
            part("no", Some(false)),
        ],
        map: None,
        cache: None,
    };
    let portal = api(
        "portal",
        vec![operation(
            "show",
            Method::GET,
            "/show",
            Serve::Compose(compose),
        )],
    );
    // An older version of the same name does not take the place of the one that is meant.
    let mut other = suppliers(&Serve::Systems(Systems {
        bindings: vec![binding("gone", When::default())],
        shadow: None,
    }));
    other.version = "9.0.0".into();
    other.base = "/suppliers/v9".into();
    let gone = Upstream::at("gone", vec!["http://127.0.0.1:9".parse().unwrap()]);
    let site = Site::start(plan(
        vec![portal, suppliers(&bound("erp")), other],
        vec![erp.upstream("erp"), gone],
    ))
    .await;
    let reply = site.get("/portal/v1/show").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let answers = reply.json();
    assert_eq!(answers["always"]["target"], "/suppliers?for=portal");
    assert_eq!(answers["yes"]["system"], "erp");
    assert_eq!(answers["no"], json!(null));
}

/// Remembers what it was asked; knows one instance, of one caller.
#[derive(Default)]
struct Orders(Mutex<Vec<String>>);

impl Orders {
    fn instance(&self, what: &str, id: &str, call: &ProcessCall<'_>) -> Option<Instance> {
        let caller = call.caller.map_or("", |caller| &caller.name);
        let body = String::from_utf8_lossy(&call.body);
        let line = format!(
            "{what} {} {} {id} {caller} {body}",
            call.process, call.operation
        );
        let line = line.trim().to_owned();
        // As the journal does: what comes again under a key is known.
        let known = call.once.is_some() && self.0.lock().contains(&line);
        if !known {
            self.0.lock().push(line.clone());
        }
        (id == "o-1" && caller == "portal").then(|| Instance {
            id: id.into(),
            state: "published".into(),
            done: what == "status",
            result: (what == "status").then(|| json!({ "number": 7 })),
            again: Some(Duration::from_secs(5)),
            known,
        })
    }
}

#[async_trait::async_trait]
impl Processes for Orders {
    async fn start(&self, call: ProcessCall<'_>) -> Result<Instance, Problem> {
        self.instance("start", "o-1", &call)
            .ok_or_else(|| wardline_gateway::Kind::Forbidden.into())
    }
    async fn signal(&self, id: &str, call: ProcessCall<'_>) -> Result<Option<Instance>, Problem> {
        Ok(self.instance("signal", id, &call))
    }
    async fn status(&self, id: &str, call: ProcessCall<'_>) -> Result<Option<Instance>, Problem> {
        Ok(self.instance("status", id, &call))
    }
}

#[tokio::test]
async fn a_process_is_started_told_and_asked() {
    let engine = Arc::new(Orders::default());
    let serve = |act| {
        Serve::Process(Process {
            engine: Arc::clone(&engine) as Arc<dyn Processes>,
            name: "procure-to-pay".into(),
            act,
            status: Some("/orders/{id}".to_owned()),
        })
    };
    let mut start = operation("start", Method::POST, "/orders", serve(ProcessAct::Start));
    start.idempotent = Some(Duration::from_secs(60));
    let orders = api(
        "orders",
        vec![
            start,
            operation(
                "cancel",
                Method::POST,
                "/orders/{id}/cancel",
                serve(ProcessAct::Signal),
            ),
            operation(
                "status",
                Method::GET,
                "/orders/{id}",
                serve(ProcessAct::Status),
            ),
        ],
    );
    let site = Site::start(plan(vec![orders], Vec::new())).await;
    let key = [("idempotency-key", "k1")];
    for replayed in ["", "true"] {
        let started = site
            .send("POST", "/orders/v1/orders", &key, r#"{"a":1}"#)
            .await;
        assert_eq!(started.status, 202, "{started:?}");
        assert_eq!(started.header("location"), "/orders/v1/orders/o-1");
        assert_eq!(started.header("retry-after"), "5");
        assert_eq!(started.header("idempotency-replayed"), replayed);
        let wanted = json!({ "id": "o-1", "state": "published", "done": false, "status_url": "/orders/v1/orders/o-1" });
        assert_eq!(started.json(), wanted);
    }
    let status = site.get("/orders/v1/orders/o-1").await;
    assert_eq!(
        (status.status, &status.json()["result"]),
        (200, &json!({ "number": 7 }))
    );
    assert_eq!(
        (status.header("retry-after"), status.header("cache-control")),
        ("", "no-store")
    );
    assert_eq!(
        site.get("/orders/v1/orders/other").await.problem(),
        "not-found"
    );
    let told = site
        .send("POST", "/orders/v1/orders/x/cancel", &[], "{}")
        .await;
    assert_eq!(told.problem(), "not-found");
    // Somebody else's is not there.
    let other = [("x-caller", "other")];
    let refused = site.send("GET", "/orders/v1/orders/o-1", &other, "").await;
    assert_eq!(refused.status, 404);
    assert_eq!(
        *engine.0.lock(),
        [
            "start procure-to-pay start o-1 portal {\"a\":1}",
            "status procure-to-pay status o-1 portal",
            "status procure-to-pay status other portal",
            "signal procure-to-pay cancel x portal {}",
            "status procure-to-pay status o-1 other",
        ],
        "a repeated start with the same key starts nothing"
    );
}
