//! The two ERPs by themselves: each in its own words, each number once, faults included.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wardline_sim::{Fault, Hospital, Service, SimConfig};

/// Asks on a connection of its own; status and document, or `None` where the connection broke.
async fn ask(at: SocketAddr, line: &str, key: Option<&str>, body: &Value) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let key = key.map_or_else(String::new, |key| format!("idempotency-key: {key}\r\n"));
    let request = format!(
        "{line} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-type: application/json\r\n{key}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

async fn made(erp: &Service, path: &str, key: Option<&str>, body: &Value) -> u16 {
    let answer = ask(erp.address(), &format!("POST {path}"), key, body).await;
    answer.unwrap().0
}

#[tokio::test]
async fn each_speaks_its_own_words_and_keeps_what_it_is_told() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let cases = [
        (
            hospital.erp_legacy(),
            "/vendors",
            json!({ "VENDOR_NO": "V-7", "NAME1": "Seven", "STATUS": "A" }),
            json!({ "VENDOR_NO": "V-8", "NAME1": "", "STATUS": "Z" }),
        ),
        (
            hospital.erp_cloud(),
            "/v2/suppliers",
            json!({ "supplier_id": "V-7", "name": "Seven", "status": "active", "bank": { "account_number": "1" } }),
            json!({ "supplier_id": "V-8", "name": "Eight", "status": "active", "bank": { "iban": "1" } }),
        ),
    ];
    for (erp, path, good, bad) in &cases {
        let at = erp.address();
        let read = |number: &str| format!("GET {path}/{number}");
        assert_eq!(
            ask(at, &read("V-100"), None, &Value::Null).await.unwrap().0,
            200
        );
        assert_eq!(
            ask(at, &read("V-7"), None, &Value::Null).await.unwrap().0,
            404
        );
        assert_eq!(made(erp, path, Some("a"), good).await, 201);
        // The same request again is the same answer; the number is taken for all others.
        assert_eq!(made(erp, path, Some("a"), good).await, 201);
        assert_eq!(made(erp, path, Some("b"), good).await, 409);
        assert_eq!(made(erp, path, None, good).await, 409);
        assert_eq!(made(erp, path, None, bad).await, 422);
        let kept = ask(at, &read("V-7"), None, &Value::Null).await.unwrap();
        assert_eq!(&kept, &(200, good.clone()));
        let report = erp.report();
        assert_eq!((report.applied, report.repeated, report.refused), (1, 1, 4));
    }
    let [legacy, cloud] = hospital.erps();
    let (_, old) = ask(legacy.address(), "GET /vendors/V-100", None, &Value::Null)
        .await
        .unwrap();
    let (_, new) = ask(
        cloud.address(),
        "GET /v2/suppliers/V-100",
        None,
        &Value::Null,
    )
    .await
    .unwrap();
    assert_eq!(
        (&old["STATUS"], &new["status"]),
        (&json!("A"), &json!("active"))
    );
    assert_eq!(old["NAME1"], new["name"]);
}

#[tokio::test]
async fn they_fail_on_demand_and_their_health_says_so() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let erp = hospital.erp_cloud();
    let read = || ask(erp.address(), "GET /v2/suppliers/V-100", None, &Value::Null);
    let health = || ask(erp.address(), "GET /health", None, &Value::Null);
    let status = |answer: Option<(u16, Value)>| answer.map(|(status, _)| status);
    erp.set_fault(Fault::unavailable()).unwrap();
    assert_eq!(
        (status(read().await), status(health().await)),
        (Some(503), Some(503))
    );
    erp.set_fault(Fault::errors(1.0)).unwrap();
    assert_eq!(status(read().await), Some(500));
    erp.set_fault(Fault::busy(Duration::from_secs(1))).unwrap();
    assert_eq!(status(read().await), Some(429));
    erp.set_fault(Fault::down()).unwrap();
    assert_eq!(status(read().await), None);
    // The answer is lost, the effect is not: the key tells.
    erp.set_fault(Fault::lost_replies(1.0)).unwrap();
    let new = json!({ "supplier_id": "V-9", "name": "Nine", "status": "active" });
    assert_eq!(
        ask(erp.address(), "POST /v2/suppliers", Some("k"), &new).await,
        None
    );
    erp.heal();
    assert_eq!(made(erp, "/v2/suppliers", Some("k"), &new).await, 201);
    let report = erp.report();
    assert_eq!(
        (report.applied, report.repeated, report.lost_replies),
        (1, 1, 1)
    );
    // What Apis ask is no effect of a message.
    assert_eq!(hospital.stop().await.applied(), 0);
}
