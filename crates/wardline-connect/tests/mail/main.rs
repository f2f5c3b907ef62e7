//! Mail to a server that others wrote (aiosmtpd), and to ones that misbehave.
#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wardline_connect::smtp::{Address, Outbound, OutboundConfig, Recipients, Security};
use wardline_connect::tls::{ClientTls, Pem};
use wardline_connect::{Failure, FailureKind, Outbound as _, Reply, Request, Secret};

struct Sink {
    port: u16,
    child: Child,
    said: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Sink {
    fn start(how: &str, mechanism: &str) -> Option<Self> {
        let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
            PathBuf::from,
        );
        let python = root.join("py/bin/python");
        let there = Command::new(&python)
            .args(["-c", "import aiosmtpd"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !there {
            println!("skipped: aiosmtpd is not installed (cargo xtask peers)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let (cert_at, key_at) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        std::fs::write(&cert_at, cert.pem()).unwrap();
        std::fs::write(&key_at, key.serialize_pem()).unwrap();
        let mut child = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail/sink.py"))
            .arg(how)
            .args([&cert_at, &key_at])
            .arg(mechanism)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        Some(Self {
            port: line.trim().parse().expect("the sink did not start"),
            child,
            said,
            folder,
        })
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ca(&self) -> ClientTls {
        ClientTls {
            ca: Some(Pem::File(self.folder.path().join("cert.pem"))),
            ..ClientTls::default()
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn config(port: u16, security: Security) -> OutboundConfig {
    OutboundConfig {
        name: "mail.out".into(),
        host: "127.0.0.1".into(),
        port,
        security,
        tls: ClientTls::default(),
        login: None,
        from: Address::parse("Wardline <wardline@st-brigid.example>").unwrap(),
        to: vec![Address::parse("desk@st-brigid.example").unwrap()],
        recipients: Recipients::new(["st-brigid.example".into(), "orders@ghx.example".into()]),
        greeting: "st-brigid.example".into(),
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        max_size: 100_000,
    }
}

async fn send(config: &OutboundConfig, payload: Value) -> Result<Reply, Failure> {
    let out = Outbound::new(config.clone());
    let request = Request {
        idempotency_key: "d-17",
        attempt: 1,
        body: payload.to_string().into(),
        content_type: "application/json",
        method: None,
        path: None,
        correlation: "c-1",
    };
    out.send(request).await
}

fn plain() -> Value {
    json!({ "subject": "Order 4500012 is late", "text": "Nobody answered.\n.\nQUIT\n" })
}

#[tokio::test]
async fn mail_arrives_over_both_kinds_of_tls_and_with_both_logins() {
    for (how, security) in [
        ("starttls", Security::StartTls),
        ("implicit", Security::Implicit),
    ] {
        for mechanism in ["plain", "login", "none"] {
            let Some(mut sink) = Sink::start(how, mechanism) else {
                return;
            };
            let mut config = config(sink.port, security);
            config.tls = sink.ca();
            if mechanism != "none" {
                config.login = Some(Secret::from("wardline:open sesame\n"));
            }
            let sent = send(&config, plain()).await;
            assert!(sent.is_ok(), "{how} {mechanism}: {sent:?}");
            let mail = sink.next();
            assert_eq!(mail["from"], "wardline@st-brigid.example");
            assert_eq!(mail["to"], json!(["desk@st-brigid.example"]));
            assert_eq!(mail["tls"], true);
            let expected = if mechanism == "none" {
                Value::Null
            } else {
                json!("wardline")
            };
            assert_eq!(mail["user"], expected);
            let text = mail["text"].as_str().unwrap();
            assert!(
                text.contains("Message-ID: <d-17@st-brigid.example>\r\n"),
                "{text}"
            );
            let body = text.split("\r\n\r\n").nth(1).unwrap().replace("\r\n", "");
            assert_eq!(
                STANDARD.decode(body).unwrap(),
                b"Nobody answered.\n.\nQUIT\n"
            );
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_apart_and_names_nobody() {
    let Some(sink) = Sink::start("starttls", "plain") else {
        return;
    };
    let mut good = config(sink.port, Security::StartTls);
    good.tls = sink.ca();
    good.login = Some(Secret::from("wardline:open sesame"));
    let mut wrong = good.clone();
    wrong.login = Some(Secret::from("wardline:close sesame"));
    let mut strange = good.clone();
    strange.tls = ClientTls::default();
    let mut nobody = good.clone();
    nobody.login = None;
    let to = |address: &str| {
        let mut payload = plain();
        payload["to"] = json!(address);
        payload
    };
    for (config, payload, kind, code) in [
        (
            &good,
            to("unknown@st-brigid.example"),
            FailureKind::Permanent,
            "W4393",
        ),
        (
            &good,
            to("later@st-brigid.example"),
            FailureKind::Busy { retry_after: None },
            "W4391",
        ),
        (
            &good,
            to("somebody@elsewhere.example"),
            FailureKind::Permanent,
            "W4394",
        ),
        (
            &good,
            to("desk@st-brigid.example\r\nRCPT TO:<x@y.example>"),
            FailureKind::Permanent,
            "W4394",
        ),
        (
            &good,
            json!({ "subject": "a\r\nBcc: x@y.example", "text": "t" }),
            FailureKind::Permanent,
            "W4394",
        ),
        (
            &good,
            json!(["no", "mail"]),
            FailureKind::Permanent,
            "W4394",
        ),
        (
            &good,
            json!({ "subject": "s", "text": "x".repeat(100_000) }),
            FailureKind::Permanent,
            "W4394",
        ),
        (&wrong, plain(), FailureKind::Transient, "W4392"),
        (&nobody, plain(), FailureKind::Transient, "W4392"),
        (&strange, plain(), FailureKind::Unreachable, "W4390"),
    ] {
        let failure = send(config, payload.clone()).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (kind, code),
            "{failure} {payload}"
        );
        let text = failure.to_string();
        for secret in ["unknown@", "elsewhere", "sesame", "late", "Bcc"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    // After all that it still takes mail.
    send(&good, plain()).await.unwrap();
}

/// A server that says what it is told to, line by line.
async fn scripted(lines: &'static [&'static str]) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        for line in lines {
            stream.write_all(line.as_bytes()).await.unwrap();
            let mut bytes = vec![0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut bytes)).await;
            heard.push_str(&String::from_utf8_lossy(
                &bytes[..read.unwrap_or(Ok(0)).unwrap_or(0)],
            ));
        }
        heard
    });
    (port, task)
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_offers_no_tls_or_speaks_before_it() {
    for lines in [
        &["220 hello\r\n", "250-sink\r\n250 AUTH PLAIN\r\n", ""][..],
        &[
            "220 hello\r\n",
            "250-sink\r\n250 STARTTLS\r\n",
            "220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n",
            "",
        ],
        &["220 hello\r\n", "250 STARTTLS\r\n", "454 not now\r\n", ""],
    ] {
        let (port, task) = scripted(lines).await;
        let mut config = config(port, Security::StartTls);
        config.login = Some(Secret::from("wardline:open sesame"));
        let failure = send(&config, plain()).await.unwrap_err();
        assert!(failure.kind.may_pass(), "{failure}");
        let heard = task.await.unwrap();
        assert!(
            !heard.contains("AUTH") && !heard.contains("MAIL"),
            "{heard}"
        );
    }
}

#[tokio::test]
async fn odd_servers_end_in_a_failure() {
    for lines in [
        &[""][..],
        &["hello\r\n"],
        &["220-x\r\n".repeat(200).leak() as &str, ""],
        &["x".repeat(5000).leak() as &str, ""],
        &["554 go away\r\n", ""],
        &["220 hello\r\n", "999 what\r\n", ""],
    ] {
        let lines: &'static [&'static str] = Vec::from(lines).leak();
        let (port, task) = scripted(lines).await;
        let failure = send(&config(port, Security::None), plain())
            .await
            .unwrap_err();
        assert!(
            ["W4390", "W4391", "W4393"].contains(&failure.code.0),
            "{failure}"
        );
        task.abort();
    }
}
