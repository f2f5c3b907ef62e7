//! The SOAP sender, against answers in raw bytes and against a server that others wrote.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use wardline_connect::http::OutboundConfig as HttpConfig;
use wardline_connect::soap::{Outbound, OutboundConfig, UserToken};
use wardline_connect::{Failure, FailureKind, Outbound as _, Reply, Request, Secret, codes};
use wardline_soap::source::Directory;
use wardline_soap::wsdl::Definitions;

use crate::http_outbound::{server, status};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wardline-soap/tests/fixtures")
}

fn config(url: &str) -> OutboundConfig {
    let definitions = Definitions::read(&Directory::new(fixtures()), "orders.wsdl").unwrap();
    OutboundConfig {
        http: HttpConfig::new("erp.ws", url),
        definitions: Arc::new(definitions),
        service: None,
        port: None,
        user: None,
        sign: None,
        good_for: None,
        mtom: false,
    }
}

async fn send(outbound: &Outbound, operation: &str, body: &Value) -> Result<Reply, Failure> {
    outbound
        .send(Request {
            idempotency_key: "01J0000000001",
            attempt: 1,
            body: Bytes::from(body.to_string()),
            content_type: "application/json",
            method: None,
            path: Some(operation),
            correlation: "corr-1",
        })
        .await
}

fn order(number: &str) -> Value {
    json!({"number": number, "line": [{"item": "A-1", "quantity": "2.50"}]})
}

fn envelope(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn json_of(reply: &Reply) -> Value {
    assert_eq!(reply.content_type, "application/json");
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn json_goes_out_as_an_envelope_and_comes_back_as_json() {
    let answer = envelope(
        "<CreateOrderResponse xmlns='urn:orders'><reference>R-1</reference><accepted>1</accepted></CreateOrderResponse>",
    );
    let server = server(status("200 OK", "content-type: text/xml\r\n", &answer)).await;
    let outbound = Outbound::new(config(&format!("http://{}/ws", server.addr))).unwrap();
    let reply = send(&outbound, "/CreateOrder", &order("1")).await.unwrap();
    assert_eq!(
        json_of(&reply),
        json!({"reference": "R-1", "accepted": true})
    );
    let seen = server.seen.lock()[0].clone();
    assert!(seen.starts_with("POST /ws HTTP/1.1"), "{seen}");
    assert!(
        seen.contains("soapaction: \"urn:orders:CreateOrder\""),
        "{seen}"
    );
    assert!(
        seen.contains("content-type: text/xml; charset=utf-8"),
        "{seen}"
    );
    assert!(seen.contains(":quantity>2.50<"), "{seen}");
}

#[tokio::test]
async fn the_second_version_says_its_action_in_the_content_type() {
    let server = server(status("202 Accepted", "", "")).await;
    let mut config = config(&format!("http://{}/ws", server.addr));
    config.port = Some("Orders12".into());
    let outbound = Outbound::new(config).unwrap();
    let failure = send(&outbound, "/CreateOrder", &order("1"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Permanent, codes::SOAP_BAD_ANSWER)
    );
    let seen = server.seen.lock()[0].clone();
    let expected =
        "content-type: application/soap+xml; charset=utf-8; action=\"urn:orders:CreateOrder\"";
    assert!(seen.contains(expected), "{seen}");
    assert!(!seen.contains("soapaction"), "{seen}");
}

#[tokio::test]
async fn what_does_not_fit_never_leaves() {
    let server = server(status("200 OK", "", "")).await;
    let outbound = Outbound::new(config(&format!("http://{}/ws", server.addr))).unwrap();
    for (operation, body) in [
        ("/CreateOrder", json!({"number": "secret-7"})),
        (
            "/CreateOrder",
            json!({"number": "\u{0}", "line": [{"item": "A", "quantity": 1}]}),
        ),
        ("/Unknown", order("secret-7")),
    ] {
        let failure = send(&outbound, operation, &body).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (FailureKind::Permanent, codes::SOAP_UNSENDABLE)
        );
        assert!(!failure.text.contains("secret-7"), "{}", failure.text);
    }
    assert!(server.seen.lock().is_empty());
}

#[tokio::test]
async fn faults_and_answers_that_are_none_are_told_apart() {
    let fault = |code: &str| {
        let body = format!(
            "<s:Fault><faultcode>{code}</faultcode><faultstring>secret-7</faultstring><detail>\
             <UnknownSupplier xmlns='urn:orders'><supplier>S</supplier><known>0</known></UnknownSupplier></detail></s:Fault>"
        );
        envelope(&body)
    };
    let (sender, receiver) = (fault("s:Client"), fault("s:Server"));
    let credentials = fault("wsse:FailedAuthentication");
    let entity = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>";
    let html = "<html><body>Bad gateway</body></html>";
    let other = envelope("<Other xmlns='urn:orders'/>");
    for (line, body, kind, code) in [
        (
            "500 Internal Server Error",
            sender.as_str(),
            FailureKind::Permanent,
            codes::SOAP_SENDER,
        ),
        (
            "400 Bad Request",
            &sender,
            FailureKind::Permanent,
            codes::SOAP_SENDER,
        ),
        (
            "200 OK",
            &sender,
            FailureKind::Permanent,
            codes::SOAP_SENDER,
        ),
        (
            "500 Internal Server Error",
            &receiver,
            FailureKind::Transient,
            codes::SOAP_RECEIVER,
        ),
        (
            "500 Internal Server Error",
            &credentials,
            FailureKind::Transient,
            codes::SOAP_CREDENTIALS,
        ),
        (
            "502 Bad Gateway",
            html,
            FailureKind::Transient,
            codes::HTTP_SERVER_ERROR,
        ),
        (
            "401 Unauthorized",
            "",
            FailureKind::Transient,
            codes::HTTP_CREDENTIALS,
        ),
        (
            "200 OK",
            html,
            FailureKind::Permanent,
            codes::SOAP_BAD_ANSWER,
        ),
        (
            "200 OK",
            entity,
            FailureKind::Permanent,
            codes::SOAP_BAD_ANSWER,
        ),
        (
            "200 OK",
            &other,
            FailureKind::Permanent,
            codes::SOAP_BAD_ANSWER,
        ),
    ] {
        let server = server(status(line, "content-type: text/xml\r\n", body)).await;
        let outbound = Outbound::new(config(&format!("http://{}/ws", server.addr))).unwrap();
        let failure = send(&outbound, "/CreateOrder", &order("1"))
            .await
            .unwrap_err();
        assert_eq!((failure.kind, failure.code), (kind, code), "{line} {body}");
        assert!(!failure.text.contains("secret-7"), "{}", failure.text);
        if code == codes::SOAP_SENDER {
            assert!(
                failure.text.contains("`UnknownSupplier`"),
                "{}",
                failure.text
            );
            let said = json_of(failure.reply.as_ref().unwrap());
            assert_eq!(
                said["detail"]["UnknownSupplier"],
                json!({"supplier": "S", "known": false})
            );
        }
    }
}

struct Peer {
    child: Child,
    port: u16,
    lines: BufReader<std::process::ChildStdout>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// npm's `soap`; `None` where it is absent and that is allowed.
fn peer() -> Option<Peer> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let modules = root.join("node/node_modules");
    if !modules.join("soap").exists() {
        let text = "npm's soap is missing: `cargo xtask peers` installs what the tests need";
        assert!(std::env::var_os("CI").is_none(), "{text}");
        println!("skipped: {text}");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/soap_server.js");
    let mut child = Command::new("node")
        .arg(script)
        .arg(modules)
        .arg(fixtures().join("orders.wsdl"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let port = u16::try_from(said["port"].as_u64().unwrap()).unwrap();
    Some(Peer { child, port, lines })
}

#[tokio::test]
async fn a_server_that_others_wrote_understands_and_is_understood() {
    let Some(mut peer) = peer() else {
        return;
    };
    let url = format!("http://127.0.0.1:{}/ws/orders", peer.port);
    let token = |password: &str| {
        let mut config = config(&url);
        config.user = Some(UserToken {
            credential: Secret::new(format!("wardline:{password}")),
            plain: false,
        });
        Outbound::new(config).unwrap()
    };
    let outbound = token("sesame");
    let reply = send(&outbound, "/CreateOrder", &order("4500012"))
        .await
        .unwrap();
    assert_eq!(
        json_of(&reply),
        json!({"reference": "R-4500012", "accepted": true})
    );
    let mut line = String::new();
    peer.lines.read_line(&mut line).unwrap();
    let seen: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(seen["number"], "4500012");
    let failure = send(&outbound, "/CreateOrder", &order("unknown-supplier"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Permanent, codes::SOAP_SENDER)
    );
    let failure = send(&outbound, "/CreateOrder", &order("down"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Transient, codes::SOAP_RECEIVER)
    );
    let failure = send(&token("guess"), "/CreateOrder", &order("1"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Transient, codes::HTTP_CREDENTIALS)
    );
    let bare = Outbound::new(config(&url)).unwrap();
    assert!(send(&bare, "/CreateOrder", &order("1")).await.is_err());
}
