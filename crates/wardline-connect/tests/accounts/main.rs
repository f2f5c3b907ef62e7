//! SCIM to a server that others wrote (`scim2-server`), and to ones that misbehave.
#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

mod service;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wardline_connect::http::{Outbound as Web, OutboundAuth, OutboundConfig as WebConfig};
use wardline_connect::scim::{Outbound, OutboundConfig, Verb};
use wardline_connect::{Failure, FailureKind, Outbound as _, Reply, Request, Secret};

struct Server {
    port: u16,
    child: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
            PathBuf::from,
        );
        let program = root.join("py/bin/scim2-server");
        if !program.is_file() {
            println!("skipped: scim2-server is not installed (cargo xtask peers)");
            return None;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bearer-token", "open-sesame"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { port, child };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "it does not listen"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    fn web(&self, token: &str) -> WebConfig {
        let mut config = WebConfig::new(
            "iam.api",
            format!("http://127.0.0.1:{}/v2", self.port).as_str(),
        );
        config.auth = OutboundAuth::Bearer(Secret::from(token));
        config
    }

    fn out(&self, token: &str) -> Outbound {
        Outbound::new(OutboundConfig {
            http: self.web(token),
        })
        .unwrap()
    }

    /// What it keeps, asked past the connector.
    async fn all(&self, path: &str) -> Vec<Value> {
        let web = Web::new(self.web("open-sesame")).unwrap();
        let mut request = request("/", &json!({}));
        request.method = Some(Method::GET);
        request.body = Bytes::new();
        request.path = Some(path);
        let reply = web.send(request).await.unwrap();
        let list: Value = serde_json::from_slice(&reply.body).unwrap();
        list["Resources"].as_array().cloned().unwrap_or_default()
    }

    /// Changes something past the connector.
    async fn meddle(&self, method: Method, path: &str, body: &Value) {
        let web = Web::new(self.web("open-sesame")).unwrap();
        let mut request = request("/", body);
        request.method = Some(method);
        request.path = Some(path);
        request.content_type = "application/scim+json";
        web.send(request).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn request<'a>(path: &'a str, payload: &Value) -> Request<'a> {
    Request {
        idempotency_key: "d-17",
        attempt: 1,
        body: payload.to_string().into(),
        content_type: "application/json",
        method: None,
        path: Some(path),
        correlation: "c-1",
    }
}

async fn ask(out: &Outbound, verb: &str, payload: Value) -> Result<Reply, Failure> {
    assert!(Verb::of(verb).is_some(), "{verb}");
    out.send(request(&format!("/{verb}"), &payload)).await
}

fn user(number: &str, name: &str) -> Value {
    json!({ "externalId": number, "userName": name, "active": true, "title": "Nurse",
            "name": { "givenName": "A", "familyName": "B" } })
}

#[tokio::test]
async fn people_come_change_and_go() {
    let Some(server) = Server::start() else {
        return;
    };
    let out = server.out("open-sesame");
    let made = ask(&out, "put-user", user("E1", "ab")).await.unwrap();
    assert_eq!(made.status, "201");
    // The same again, as after an answer that was lost: one account.
    let again = ask(&out, "put-user", user("E1", "ab")).await.unwrap();
    assert_eq!(again.status, "200");
    ask(&out, "put-user", user("E2", "cd")).await.unwrap();
    let all = server.all("/Users").await;
    assert_eq!(all.len(), 2);
    let one = || async {
        let all = server.all("/Users").await;
        let mut all = all.into_iter();
        all.find(|user| user["externalId"] == "E1").unwrap()
    };
    let id = one().await["id"].as_str().unwrap().to_owned();

    let changed = json!({ "externalId": "E1", "title": null, "name": { "familyName": "C" }, "nickName": "x" });
    ask(&out, "patch-user", changed).await.unwrap();
    let changed = one().await;
    let one_now = &changed;
    assert_eq!(
        (
            one_now["id"].as_str(),
            &one_now["nickName"],
            &one_now["title"]
        ),
        (Some(id.as_str()), &json!("x"), &Value::Null)
    );
    assert_eq!(one_now["name"]["familyName"], "C");

    for status in ["200", "unchanged"] {
        let reply = ask(&out, "deactivate-user", json!({ "externalId": "E1" }))
            .await
            .unwrap();
        assert!(
            reply.status == status || (status == "200" && reply.status == "204"),
            "{}",
            reply.status
        );
    }
    assert_eq!(one().await["active"], false);
    for status in ["204", "absent"] {
        let reply = ask(&out, "delete-user", json!({ "externalId": "E1" }))
            .await
            .unwrap();
        assert_eq!(reply.status, status);
    }
    let absent = ask(&out, "deactivate-user", json!({ "externalId": "E1" }))
        .await
        .unwrap();
    assert_eq!(absent.status, "absent");
    assert_eq!(server.all("/Users").await.len(), 1);

    let failure = ask(
        &out,
        "patch-user",
        json!({ "externalId": "E9", "title": "x" }),
    )
    .await
    .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Permanent, "W4396")
    );
    // Another person has the name.
    let failure = ask(&out, "put-user", user("E3-secret", "cd"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Permanent, "W4397"),
        "{failure}"
    );
    assert!(!failure.to_string().contains("E3-secret"));
    let failure = ask(&server.out("close-sesame"), "put-user", user("E1", "ab"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Transient, "W4207"),
        "{failure}"
    );
    let failure = ask(&out, "put-user", json!({ "userName": "x" }))
        .await
        .unwrap_err();
    assert_eq!(failure.code.0, "W4395");
}

#[tokio::test]
async fn groups_know_people_by_our_numbers() {
    let Some(server) = Server::start() else {
        return;
    };
    let out = server.out("open-sesame");
    let group = json!({ "externalId": "G1", "displayName": "Nurses", "members": ["E1", "E2"] });
    let failure = ask(&out, "put-group", group.clone()).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Transient, "W4396"),
        "whoever is not there yet is waited for"
    );
    for (number, name) in [("E1", "a"), ("E2", "b"), ("E3", "c")] {
        ask(&out, "put-user", user(number, name)).await.unwrap();
    }
    ask(&out, "put-group", group).await.unwrap();
    let members = || async {
        let users = server.all("/Users").await;
        let groups = server.all("/Groups").await;
        assert_eq!(groups.len(), 1);
        let ids = groups[0]["members"].as_array().cloned().unwrap_or_default();
        let mut numbers: Vec<String> = ids
            .iter()
            .map(|member| {
                let of = users
                    .iter()
                    .find(|user| user["id"] == member["value"])
                    .unwrap();
                of["externalId"].as_str().unwrap().to_owned()
            })
            .collect();
        numbers.sort();
        numbers
    };
    assert_eq!(members().await, ["E1", "E2"]);
    let change =
        json!({ "externalId": "G1", "add_members": ["E3"], "remove_members": ["E1", "E8"] });
    ask(&out, "patch-group", change).await.unwrap();
    assert_eq!(members().await, ["E2", "E3"]);
    ask(
        &out,
        "put-group",
        json!({ "externalId": "G1", "displayName": "Nurses", "members": ["E1"] }),
    )
    .await
    .unwrap();
    assert_eq!(members().await, ["E1"]);
    ask(&out, "delete-group", json!({ "externalId": "G1" }))
        .await
        .unwrap();
    assert!(server.all("/Groups").await.is_empty());
}

#[tokio::test]
async fn many_at_once_make_one_account() {
    let Some(server) = Server::start() else {
        return;
    };
    let out = server.out("open-sesame");
    ask(&out, "put-user", user("E1", "a")).await.unwrap();
    let id = server.all("/Users").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut wrong = Vec::new();
    for round in 0..20 {
        let path = format!("/Users/{id}");
        let other = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                            "Operations": [{ "op": "replace", "path": "displayName", "value": format!("n{round}") }] });
        let mut nick = user("E1", "a");
        nick["nickName"] = json!(format!("k{round}"));
        let (ended, ()) = tokio::join!(
            ask(
                &out,
                "patch-user",
                json!({ "externalId": "E1", "nickName": format!("k{round}") })
            ),
            server.meddle(Method::PATCH, &path, &other),
        );
        if let Err(failure) = ended {
            assert_eq!(
                (failure.kind, failure.code.0),
                (FailureKind::Transient, "W4399"),
                "{failure}"
            );
            wrong.push(round);
            ask(
                &out,
                "patch-user",
                json!({ "externalId": "E1", "nickName": format!("k{round}") }),
            )
            .await
            .unwrap();
        }
        let kept = &server.all("/Users").await[0];
        assert_eq!(kept["nickName"], format!("k{round}"));
        assert_eq!(kept["displayName"], format!("n{round}"));
    }
    println!("changed in between: {wrong:?}");
}

/// A service that answers every request with the same.
async fn answering(status: &'static str, body: &'static str) -> Outbound {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            if stream.read(&mut bytes).await.is_err() {
                continue;
            }
            let text = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/scim+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.ok();
        }
    });
    let http = WebConfig::new("iam.api", format!("http://127.0.0.1:{port}").as_str());
    Outbound::new(OutboundConfig { http }).unwrap()
}

#[tokio::test]
async fn a_service_that_does_not_filter_changes_nothing() {
    for (status, body, code) in [
        (
            "200 OK",
            r#"{"totalResults":2,"Resources":[{"id":"1","externalId":"E7"},{"id":"2"}]}"#,
            "W4398",
        ),
        (
            "200 OK",
            r#"{"totalResults":2,"Resources":[{"id":"1","externalId":"E1"},{"id":"2","externalId":"E1"}]}"#,
            "W4398",
        ),
        (
            "200 OK",
            r#"{"totalResults":1,"Resources":[{"id":"../../x","externalId":"E1"}]}"#,
            "W4398",
        ),
        ("200 OK", "<html>", "W4398"),
        ("404 Not Found", "", "W4398"),
    ] {
        let out = answering(status, body).await;
        for verb in ["put-user", "delete-user", "deactivate-user"] {
            let failure = ask(&out, verb, user("E1", "a")).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.code.0),
                (FailureKind::Permanent, code),
                "{verb} {body}: {failure}"
            );
        }
    }
}
