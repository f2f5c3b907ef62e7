//! The HTTP sender, against a server that answers in raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wardline_connect::http::{Method, Outbound, OutboundAuth, OutboundConfig};
use wardline_connect::{Failure, FailureKind, Outbound as _, Reply, Request};

use crate::stage::soon;

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// Every request: head and body as text.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

/// A server that gives each request the same bytes; `None` never answers.
pub(crate) async fn server(answer: impl Into<Option<Vec<u8>>>) -> Server {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (answer, record) = (answer.clone(), Arc::clone(&record));
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let head = head.to_ascii_lowercase();
                    let length = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    if body.len() < length.unwrap_or(0) {
                        continue;
                    }
                    record.lock().push(text.clone());
                    bytes.clear();
                    match &answer {
                        None => std::future::pending::<()>().await,
                        Some(answer) if answer.is_empty() => return,
                        Some(answer) => stream.write_all(answer).await.unwrap(),
                    }
                }
            });
        }
    });
    Server { addr, seen }
}

pub(crate) fn status(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

pub(crate) fn config(addr: SocketAddr) -> OutboundConfig {
    OutboundConfig::new("erp.ws", format!("http://{addr}/ws/"))
}

pub(crate) fn request(path: Option<&str>) -> Request<'_> {
    Request {
        idempotency_key: "01J0000000001",
        attempt: 1,
        body: Bytes::from_static(b"{\"account\":\"A\"}"),
        content_type: "application/json",
        method: None,
        path,
        correlation: "corr-1",
    }
}

pub(crate) async fn send(config: OutboundConfig, request: Request<'_>) -> Result<Reply, Failure> {
    soon(Outbound::new(config).unwrap().send(request)).await
}

#[tokio::test]
async fn requests_carry_what_they_should() {
    let server = server(status(
        "200 OK",
        "content-type: application/json\r\n",
        "{\"ok\":1}",
    ))
    .await;
    let mut config = config(server.addr);
    config.auth = OutboundAuth::Basic("erp:s3cret".into());
    config
        .headers
        .insert("x-facility", "north".parse().unwrap());
    let outbound = Outbound::new(config).unwrap();
    let reply = soon(outbound.send(request(Some("/accounts/7/close?now=1"))))
        .await
        .unwrap();
    assert_eq!(
        (reply.status.as_str(), reply.content_type.as_str()),
        ("200", "application/json")
    );
    assert_eq!(
        (reply.body, reply.truncated),
        (Bytes::from_static(b"{\"ok\":1}"), false)
    );
    let mut patch = request(None);
    patch.method = Some(Method::PATCH);
    patch.attempt = 2;
    soon(outbound.send(patch)).await.unwrap();

    let seen = server.seen.lock();
    assert!(
        seen[0].starts_with("POST /ws/accounts/7/close?now=1 HTTP/1.1\r\n"),
        "{}",
        seen[0]
    );
    assert!(seen[0].ends_with("\r\n\r\n{\"account\":\"A\"}"));
    for header in [
        "idempotency-key: 01J0000000001",
        "x-correlation-id: corr-1",
        "content-type: application/json",
        "x-facility: north",
        "authorization: Basic ZXJwOnMzY3JldA==",
    ] {
        assert!(
            seen[0].lines().any(|line| line == header),
            "{header} in {}",
            seen[0]
        );
    }
    assert!(seen[1].starts_with("PATCH /ws HTTP/1.1\r\n"), "{}", seen[1]);
    let trace = |text: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix("traceparent: "))
            .unwrap()
            .to_owned()
    };
    let (first, second) = (trace(&seen[0]), trace(&seen[1]));
    assert!(
        first[..36] == second[..36] && first != second,
        "one trace, two spans: {first} {second}"
    );
    assert_eq!(
        outbound.describe(),
        format!("http http://{}/ws/", server.addr)
    );
}

#[tokio::test]
async fn answers_are_classified() {
    let table = [
        ("204 No Content", "", None),
        (
            "503 Busy",
            "retry-after: 7\r\n",
            Some((
                FailureKind::Busy {
                    retry_after: Some(Duration::from_secs(7)),
                },
                "W4203",
            )),
        ),
        (
            "429 Slow",
            "",
            Some((FailureKind::Busy { retry_after: None }, "W4203")),
        ),
        ("500 Oops", "", Some((FailureKind::Transient, "W4204"))),
        ("401 Who", "", Some((FailureKind::Transient, "W4207"))),
        ("409 Conflict", "", Some((FailureKind::Permanent, "W4205"))),
        (
            "302 Found",
            "location: http://127.0.0.1:1/\r\n",
            Some((FailureKind::Permanent, "W4206")),
        ),
    ];
    for (line, headers, expected) in table {
        let server = server(status(line, headers, "JANE DOE")).await;
        let result = send(config(server.addr), request(None)).await;
        match (result, expected) {
            (Ok(reply), None) => assert!(line.starts_with(&reply.status)),
            (Err(failure), Some((kind, code))) => {
                assert_eq!((failure.kind, failure.code.0), (kind, code), "{line}");
                assert_eq!(failure.reply.as_ref().unwrap().body, "JANE DOE");
                assert!(
                    !format!("{failure} {failure:?}").contains("JANE"),
                    "{failure:?}"
                );
            }
            (result, _) => panic!("{line}: {result:?}"),
        }
        assert_eq!(
            server.seen.lock().len(),
            1,
            "{line}: one call is one request"
        );
    }
}

#[tokio::test]
async fn long_answers_are_cut() {
    let server = server(status("200 OK", "", &"x".repeat(100_000))).await;
    let mut config = config(server.addr);
    config.max_response = 1000;
    let reply = send(config, request(None)).await.unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (1000, true));
}

#[tokio::test]
async fn silence_is_a_timeout() {
    for answer in [
        None,
        Some(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
    ] {
        let server = server(answer).await;
        let mut config = config(server.addr);
        config.timeout = Duration::from_millis(80);
        let failure = send(config, request(None)).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Timeout, "W4202")
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_leaves_doubt() {
    let server = server(Vec::new()).await;
    let failure = send(config(server.addr), request(None)).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Transient, "W4208")
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let failure = send(config(addr), request(None)).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Unreachable, "W4201")
    );
}

#[tokio::test]
async fn paths_cannot_leave_their_place() {
    let server = server(status("200 OK", "", "")).await;
    for path in ["accounts", "/a/../b", "/a/%2e%2e/b", "/a b", "/a\r\nx: y"] {
        let failure = send(config(server.addr), request(Some(path)))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Permanent, "W4209"),
            "{path:?}"
        );
        assert!(
            !failure.text.contains("accounts"),
            "paths may hold identifiers: {failure}"
        );
    }
    let mut bad = request(None);
    bad.correlation = "a\nb";
    assert_eq!(
        send(config(server.addr), bad).await.unwrap_err().code.0,
        "W4209"
    );
    assert!(server.seen.lock().is_empty());
}

#[test]
fn urls_are_checked() {
    for bad in [
        "",
        "erp.example",
        "ftp://erp.example/",
        "http://u:p@erp.example/",
        "http://erp.example/?a=1",
        "http:///x",
    ] {
        assert!(
            Outbound::new(OutboundConfig::new("x", bad)).is_err(),
            "{bad}"
        );
    }
}
