//! The HTTP listener, spoken to in raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use wardline_connect::http::{InboundAuth, Ingress, IngressConfig, Method, Route, WebhookKeys};
use wardline_connect::{ConnectError, ContentType, Intake, Verdict};

use crate::stage::{Engine, Running, accepted, busy, id, refused, soon, until};

fn open(max_body: usize) -> Vec<Route> {
    let mut route = Route::post("hr.events", "/in/hr/events", InboundAuth::None);
    route.max_body = max_body;
    vec![route]
}

fn config(routes: Vec<Route>) -> IngressConfig {
    IngressConfig::new("partner", "127.0.0.1:0", routes)
}

async fn serve(config: IngressConfig, engine: &Arc<Engine>) -> Running {
    let ingress = Ingress::bind(config).await.expect("binds");
    let (addr, counters) = (ingress.local_addr(), ingress.counters());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(ingress.run(Arc::clone(engine) as Arc<dyn Intake>, shutdown.clone()));
    Running {
        addr,
        counters,
        shutdown,
        task,
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0);
        Self {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Writes the bytes and reads to the end of the stream.
async fn raw(addr: SocketAddr, bytes: &[u8]) -> Answer {
    soon(async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // A listener that answers early closes early; what was not written does not matter then.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        Answer::parse(&answer)
    })
    .await
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn post(addr: SocketAddr, headers: &str, body: &str) -> Answer {
    raw(addr, &request("POST", "/in/hr/events", headers, body)).await
}

#[tokio::test]
async fn acceptance_names_the_message() {
    let engine = Engine::accepting();
    let running = serve(config(open(1000)), &engine).await;
    let headers = "content-type: application/json; charset=utf-8\r\nidempotency-key: k1\r\nx-correlation-id: c1\r\nx-other: no\r\n";
    let answer = post(running.addr, headers, r#"{"employee":"E1"}"#).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json(),
        serde_json::json!({"id": id(0), "correlation": "c1"})
    );
    let received = engine.begun.lock()[0].clone();
    assert_eq!(&*received.source, "hr.events");
    assert_eq!(received.content_type, ContentType::Json);
    assert_eq!(received.body, r#"{"employee":"E1"}"#);
    assert_eq!(
        (
            received.header("idempotency-key"),
            received.header("x-other")
        ),
        (Some("k1"), None)
    );
    // Without a correlation id of its own, the message is its own trace.
    let answer = post(running.addr, "", "x").await;
    assert_eq!(answer.json()["correlation"], serde_json::json!(id(1)));
    running.stop().await;
}

#[tokio::test]
async fn a_duplicate_gets_the_first_answer_again() {
    let first = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&first);
    let engine = Engine::new(move |n, received| {
        match kept.lock().get_or_insert((n, received.answer.clone())) {
            (first, _) if *first == n => accepted(n),
            (first, answer) => Verdict::Duplicate {
                original: id(*first),
                answer: answer.clone(),
            },
        }
    });
    let running = serve(config(open(1000)), &engine).await;
    let original = post(
        running.addr,
        "idempotency-key: k\r\nx-correlation-id: first\r\n",
        "x",
    )
    .await;
    let again = post(
        running.addr,
        "idempotency-key: k\r\nx-correlation-id: second\r\n",
        "x",
    )
    .await;
    assert_eq!(
        (original.status, &original.body),
        (again.status, &again.body)
    );
    assert!(
        !original.head.contains("wardline-duplicate")
            && again.head.contains("wardline-duplicate: true")
    );
    running.stop().await;
}

#[tokio::test]
async fn verdicts_become_statuses() {
    let verdicts = [
        refused(true),
        refused(false),
        busy(Duration::from_millis(2500)),
    ];
    let engine = Engine::new(move |n, _| verdicts[n].clone());
    let running = serve(config(open(1000)), &engine).await;
    let permanent = post(running.addr, "", "x").await;
    assert_eq!(permanent.status, 422);
    assert!(
        permanent
            .head
            .contains("content-type: application/problem+json")
    );
    assert_eq!(permanent.json()["code"], "W2999");
    assert_eq!(permanent.json()["detail"], "the map does not take it");
    let passing = post(running.addr, "", "x").await;
    assert!(passing.status == 503 && passing.head.contains("retry-after: "));
    let full = post(running.addr, "", "x").await;
    assert!(
        full.status == 503 && full.head.contains("retry-after: 3"),
        "{}",
        full.head
    );
    assert_eq!(full.json()["code"], "W5999");
    running.stop().await;
}

#[tokio::test]
async fn only_routes_are_served() {
    let engine = Engine::accepting();
    let mut routes = open(1000);
    routes.push(Route {
        method: Method::PUT,
        ..routes[0].clone()
    });
    let running = serve(config(routes), &engine).await;
    for path in [
        "/",
        "/in/hr/events/",
        "/in/hr/event",
        "/in/hr/../hr/events",
        "//in/hr/events",
    ] {
        assert_eq!(
            raw(running.addr, &request("POST", path, "", "x"))
                .await
                .status,
            404,
            "{path}"
        );
    }
    let answer = raw(running.addr, &request("DELETE", "/in/hr/events", "", "")).await;
    assert!(
        answer.status == 405 && answer.head.contains("allow: post, put"),
        "{}",
        answer.head
    );
    assert_eq!(
        raw(running.addr, &request("PUT", "/in/hr/events?x=1", "", "x"))
            .await
            .status,
        202
    );
    assert_eq!(engine.begun(), 1);
    running.stop().await;

    let clash = config([open(1), open(2)].concat());
    assert!(matches!(
        Ingress::bind(clash).await,
        Err(ConnectError::RouteClash { .. })
    ));
}

#[tokio::test]
async fn credentials_come_first() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let engine = Engine::accepting();
    let routes = vec![
        Route::post("a.basic", "/basic", InboundAuth::Basic("erp:s3cret".into())),
        Route::post("a.bearer", "/bearer", InboundAuth::Bearer("t0ken".into())),
    ];
    let running = serve(config(routes), &engine).await;
    let right = format!("authorization: Basic {}\r\n", encode("erp:s3cret"));
    let wrong = format!("authorization: Basic {}\r\n", encode("erp:secret"));
    for (path, headers, status) in [
        ("/basic", right.as_str(), 202),
        ("/basic", &wrong, 401),
        ("/basic", "", 401),
        ("/bearer", "authorization: Bearer t0ken\r\n", 202),
        ("/bearer", "authorization: Bearer t0ken2\r\n", 401),
        ("/bearer", &right, 401),
    ] {
        let answer = raw(running.addr, &request("POST", path, headers, "x")).await;
        assert_eq!(answer.status, status, "{path} {headers}");
        if status == 401 {
            assert!(
                answer.head.contains("www-authenticate: b"),
                "{}",
                answer.head
            );
            assert_eq!(answer.json()["code"], "W3201");
        }
    }
    assert_eq!(
        (engine.begun(), running.counters.snapshot().unauthenticated),
        (2, 4)
    );
    running.stop().await;
}

#[tokio::test]
async fn webhooks_are_verified_before_anything_is_taken() {
    use base64::Engine as _;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let key = base64::engine::general_purpose::STANDARD
        .decode(&secret[6..])
        .unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let now = wardline_core::Timestamp::now().unix_ms() / 1000;
    let signed = |time: i64, body: &str| {
        let tag = aws_lc_rs::hmac::sign(&key, format!("evt_1.{time}.{body}").as_bytes());
        let tag = base64::engine::general_purpose::STANDARD.encode(tag);
        format!("webhook-id: evt_1\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{tag}\r\n")
    };
    let engine = Engine::accepting();
    let keys = WebhookKeys::new("hr.events", &[secret.into()]).unwrap();
    let routes = vec![Route::post(
        "hr.events",
        "/in/hr/events",
        InboundAuth::Webhook(keys),
    )];
    let running = serve(config(routes), &engine).await;
    for (headers, body, status) in [
        (signed(now, "hired"), "hired", 202),
        (signed(now, "hired"), "fired", 401),
        (signed(now - 600, "hired"), "hired", 401),
        (signed(now + 600, "hired"), "hired", 401),
        (String::new(), "hired", 401),
    ] {
        assert_eq!(
            post(running.addr, &headers, body).await.status,
            status,
            "{headers} {body}"
        );
    }
    assert_eq!(engine.begun(), 1);
    assert_eq!(engine.begun.lock()[0].header("webhook-id"), Some("evt_1"));
    running.stop().await;
}

#[tokio::test]
async fn bodies_are_counted_as_they_come() {
    let engine = Engine::accepting();
    let running = serve(config(open(10)), &engine).await;
    assert_eq!(post(running.addr, "", "0123456789").await.status, 202);
    assert_eq!(post(running.addr, "", "0123456789x").await.status, 413);
    // No Content-Length to believe in: chunks.
    let chunked = "POST /in/hr/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = raw(
        running.addr,
        format!("{chunked}5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n").as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 413);
    let answer = raw(
        running.addr,
        format!("{chunked}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n").as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 202);
    assert_eq!(engine.begun.lock()[1].body, "0123456789");
    assert_eq!(running.counters.snapshot().too_large, 2);
    running.stop().await;
}

#[tokio::test]
async fn requests_that_cannot_be_trusted_are_refused() {
    let engine = Engine::accepting();
    let running = serve(config(open(1000)), &engine).await;
    // Two lengths that differ (request smuggling) never reach the engine.
    let smuggled = b"POST /in/hr/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy";
    assert_eq!(raw(running.addr, smuggled).await.status, 400);
    let long = format!("idempotency-key: {}\r\n", "k".repeat(256));
    assert_eq!(post(running.addr, &long, "x").await.status, 400);
    assert_eq!(
        post(running.addr, "content-encoding: gzip\r\n", "x")
            .await
            .status,
        415
    );
    let head = format!("x-filler: {}\r\n", "k".repeat(64 * 1024));
    assert_eq!(post(running.addr, &head, "x").await.status, 431);
    assert_eq!(engine.begun(), 0);
    running.stop().await;
}

#[tokio::test]
async fn slow_peers_are_cut_off() {
    let engine = Engine::accepting();
    let mut config = config(open(1000));
    config.body_timeout = Duration::from_millis(60);
    config.header_timeout = Duration::from_millis(60);
    let running = serve(config, &engine).await;
    let half = b"POST /in/hr/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\nabc";
    let answer = raw(running.addr, half).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (408, Some("W3205"))
    );
    // Silence, half a head, and the beginning of the HTTP/2 preface: closed without ceremony.
    for start in [b"".as_slice(), b"POST /in", b"PRI * HT"] {
        raw(running.addr, start).await;
    }
    assert_eq!(engine.begun(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_full_listener_says_so() {
    let engine = Engine::gated(|n, _| accepted(n));
    let mut config = config(open(100));
    config.in_flight_bytes = 150;
    let running = serve(config, &engine).await;
    let body = "x".repeat(100);
    let addr = running.addr;
    let first = tokio::spawn({
        let body = body.clone();
        async move { post(addr, "", &body).await.status }
    });
    until(|| engine.begun() == 1).await;
    let second = post(addr, "", &body).await;
    assert_eq!(
        (second.status, second.json()["code"].as_str()),
        (503, Some("W3206"))
    );
    engine.release(2);
    assert_eq!(first.await.unwrap(), 202);
    assert_eq!(
        post(addr, "", &body).await.status,
        202,
        "room came free again"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_undo_its_message() {
    let engine = Engine::gated(|n, _| accepted(n));
    let running = serve(config(open(1000)), &engine).await;
    let mut stream = TcpStream::connect(running.addr).await.unwrap();
    stream
        .write_all(&request("POST", "/in/hr/events", "", "x"))
        .await
        .unwrap();
    until(|| engine.begun() == 1).await;
    drop(stream);
    until(|| running.counters.snapshot().open == 0).await;
    // Shutdown waits for it as well.
    running.shutdown.cancel();
    engine.release(1);
    running.stop().await;
    assert_eq!(engine.finished(), 1);
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_hand() {
    let engine = Engine::gated(|n, _| accepted(n));
    let running = serve(config(open(1000)), &engine).await;
    let addr = running.addr;
    let pending = tokio::spawn(async move { post(addr, "", "x").await.status });
    until(|| engine.begun() == 1).await;
    running.shutdown.cancel();
    until(|| std::net::TcpStream::connect(addr).is_err()).await;
    engine.release(1);
    assert_eq!(pending.await.unwrap(), 202);
    running.stop().await;
}
