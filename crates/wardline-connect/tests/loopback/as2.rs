//! AS2 with itself and with pyas2lib: messages, receipts as the answer and afterwards, keys that take
//! each other's place.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::as2::{InboundConfig, Listener, Outbound, OutboundConfig};
use wardline_connect::http::OutboundAuth;
use wardline_connect::tls::{ClientTls, Pem};
use wardline_connect::{ContentType, FailureKind, Outbound as _, Request, Secret, Verdict};
use wardline_core::Code;

use crate::stage::{Engine, busy, id, refused, soon};

struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let params = CertificateParams::new(vec!["as2.example".to_owned()]).unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn identity(&self) -> (Pem, Pem) {
        (pem(&self.certificate), pem(&self.key))
    }
}

fn pem(text: &str) -> Pem {
    Pem::Text(Secret::new(text.to_owned()))
}

fn remembering() -> Arc<Engine> {
    let known: Mutex<HashSet<String>> = Mutex::default();
    Engine::new(move |_, received| {
        if known.lock().insert(received.once.clone().unwrap()) {
            Verdict::Accepted { id: id(1) }
        } else {
            Verdict::Duplicate {
                original: id(1),
                answer: Bytes::new(),
            }
        }
    })
}

fn inbound(ours: &[&Pair], theirs: &[&Pair]) -> InboundConfig {
    let partner: String = theirs.iter().map(|one| one.certificate.as_str()).collect();
    InboundConfig {
        source: "ghx.in".into(),
        bind: "127.0.0.1:0".into(),
        tls: None,
        allow: Vec::new(),
        path: "/as2".into(),
        to: "St Brigid".into(),
        from: "GHX".into(),
        identities: ours.iter().map(|one| one.identity()).collect(),
        partner: Some(pem(&partner)),
        must_sign: true,
        must_encrypt: true,
        receipts: None,
        content_type: ContentType::Other("application/edi-x12".into()),
        max_size: 1 << 20,
        max_connections: 8,
        drain: Duration::from_secs(5),
    }
}

fn outbound(url: String, ours: &Pair, theirs: &[&Pair]) -> OutboundConfig {
    let partner: String = theirs.iter().map(|one| one.certificate.as_str()).collect();
    OutboundConfig {
        name: "ghx.out".into(),
        url,
        from: "GHX".into(),
        to: "St Brigid".into(),
        identity: Some(ours.identity()),
        partner: Some(pem(&partner)),
        encrypt: true,
        receipt: Some(true),
        subject: "Order".into(),
        content_type: Some("application/edi-x12".into()),
        auth: OutboundAuth::None,
        tls: ClientTls::default(),
        timeout: Duration::from_secs(20),
    }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(config: InboundConfig, engine: &Arc<Engine>) -> Self {
        let listener = Listener::bind(config).await.unwrap();
        let address = listener.local_addr();
        let stop = CancellationToken::new();
        let task = tokio::spawn(listener.run(Arc::clone(engine) as _, stop.clone()));
        Self {
            address,
            stop,
            task,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/as2", self.address)
    }

    async fn end(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap();
    }
}

fn request<'a>(key: &'a str, body: &'static [u8]) -> Request<'a> {
    Request {
        idempotency_key: key,
        attempt: 1,
        body: Bytes::from_static(body),
        content_type: "text/plain",
        method: None,
        path: None,
        correlation: "c",
    }
}

const PAYLOAD: &[u8] = b"ISA*00*~\r\nGS*PO~\n";

#[tokio::test]
async fn a_delivery_ends_with_its_receipt_and_a_repetition_is_none() {
    let (ours, theirs) = (Pair::new(), Pair::new());
    let engine = remembering();
    let running = Running::start(inbound(&[&ours], &[&theirs]), &engine).await;
    let sender = Outbound::new(outbound(running.url(), &theirs, &[&ours])).unwrap();
    for _ in 0..2 {
        let reply = soon(sender.send(request("d1", PAYLOAD))).await.unwrap();
        assert_eq!(reply.status, "processed");
    }
    assert_eq!(engine.begun(), 2);
    let first = engine.begun.lock()[0].clone();
    assert_eq!(&first.body[..], PAYLOAD);
    assert_eq!(first.once.as_deref(), Some("as2\0d1@GHX"));
    running.end().await;
}

#[tokio::test]
async fn failures_say_what_follows() {
    let (ours, theirs, other) = (Pair::new(), Pair::new(), Pair::new());
    let engine = Engine::new(|n, _| match n {
        0 => refused(true),
        1 => busy(Duration::from_secs(1)),
        _ => Verdict::Accepted { id: id(1) },
    });
    let running = Running::start(inbound(&[&ours], &[&theirs]), &engine).await;
    let to = |config: OutboundConfig| async move {
        let failure = soon(Outbound::new(config).unwrap().send(request("d", PAYLOAD)))
            .await
            .unwrap_err();
        (failure.kind, failure.code)
    };
    let good = || outbound(running.url(), &theirs, &[&ours]);
    assert_eq!(to(good()).await, (FailureKind::Permanent, Code("W4412")));
    assert_eq!(to(good()).await, (FailureKind::Transient, Code("W4410")));
    // Keys that the partner does not know: tried again.
    let unknown = outbound(running.url(), &other, &[&ours]);
    assert_eq!(to(unknown).await, (FailureKind::Transient, Code("W4412")));
    let astray = outbound(running.url(), &theirs, &[&other]);
    assert_eq!(to(astray).await, (FailureKind::Transient, Code("W4412")));
    let plain = OutboundConfig {
        encrypt: false,
        ..good()
    };
    assert_eq!(to(plain).await, (FailureKind::Transient, Code("W4412")));
    // Two certificates of the partner: either will do.
    let changing = OutboundConfig {
        partner: Some(pem(&format!("{}{}", ours.certificate, other.certificate))),
        ..good()
    };
    assert!(
        Outbound::new(changing)
            .unwrap()
            .send(request("d", PAYLOAD))
            .await
            .is_ok()
    );
    let stranger = OutboundConfig {
        from: "OTHER".into(),
        ..good()
    };
    assert_eq!(to(stranger).await, (FailureKind::Transient, Code("W4207")));
    let nobody = OutboundConfig {
        url: "http://127.0.0.1:1/as2".into(),
        ..good()
    };
    assert_eq!(to(nobody).await, (FailureKind::Transient, Code("W4410")));
    running.end().await;
}

#[tokio::test]
async fn keys_take_each_others_place() {
    let (old, new, theirs, theirs_new) = (Pair::new(), Pair::new(), Pair::new(), Pair::new());
    let engine = remembering();
    let running = Running::start(inbound(&[&new, &old], &[&theirs, &theirs_new]), &engine).await;
    for (n, (mine, yours)) in [
        // Before the partner has heard of anything, while it changes, and after.
        (&theirs, vec![&old, &new]),
        (&theirs, vec![&new]),
        (&theirs_new, vec![&new]),
    ]
    .into_iter()
    .enumerate()
    {
        let sender = Outbound::new(outbound(running.url(), mine, &yours)).unwrap();
        let key = format!("d{n}");
        let reply = soon(sender.send(request(&key, PAYLOAD))).await.unwrap();
        assert_eq!(reply.status, "processed", "{n}");
    }
    running.end().await;
}

/// The peers' Python; `None` where pyas2lib is absent and that is allowed.
fn python() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let proof = Command::new(&python)
        .args([
            "-c",
            "from importlib.metadata import version; version('pyas2lib')",
        ])
        .output();
    if proof.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let text = "pyas2lib is missing: `cargo xtask peers` installs what the tests need";
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}

/// Files of a pair, as pyas2lib wants them.
fn written(folder: &Path, name: &str, pair: &Pair) -> (String, String) {
    let (certificate, both) = (
        folder.join(format!("{name}.crt")),
        folder.join(format!("{name}.pem")),
    );
    std::fs::write(&certificate, &pair.certificate).unwrap();
    std::fs::write(&both, format!("{}{}", pair.key, pair.certificate)).unwrap();
    (
        certificate.display().to_string(),
        both.display().to_string(),
    )
}

fn peer(python: &Path, words: &[&str]) -> tokio::process::Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/as2_peer.py");
    let mut command = tokio::process::Command::new(python);
    command
        .arg(script)
        .args(words)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn pyas2lib_sends_and_gets_its_receipts() {
    let Some(python) = python() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Pair::new(), Pair::new());
    let (certificate, _) = written(folder.path(), "ours", &ours);
    let (_, key) = written(folder.path(), "theirs", &theirs);
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port().to_string()
    };
    let engine = remembering();
    let mut config = inbound(&[&ours], &[&theirs]);
    config.receipts = Some(format!("http://127.0.0.1:{port}/receipts"));
    let running = Running::start(config, &engine).await;
    for (mode, receipts) in [("SYNC", 2), ("ASYNC", 1)] {
        let words = ["client", &running.url(), &certificate, &key, mode, &port];
        let output = soon(peer(&python, &words).output()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            text.matches("processed None").count(),
            receipts,
            "{mode}: {text} {errors}"
        );
    }
    // The message that came again is the same message.
    assert_eq!(engine.begun(), 3);
    assert!(engine.begun.lock()[0].body.starts_with(b"ISA*00*"));
    running.end().await;
}

#[tokio::test]
async fn pyas2lib_receives_and_its_receipt_counts() {
    let Some(python) = python() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Pair::new(), Pair::new());
    let (certificate, _) = written(folder.path(), "ours", &ours);
    let (_, key) = written(folder.path(), "theirs", &theirs);
    let mut server = peer(&python, &["server", &certificate, &key])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = soon(lines.next_line()).await.unwrap().unwrap();
    let mut config = outbound(format!("http://127.0.0.1:{port}/as2"), &ours, &[&theirs]);
    (config.from, config.to) = ("St Brigid".into(), "GHX".into());
    let sender = Outbound::new(config).unwrap();
    let reply = soon(sender.send(request("d1", PAYLOAD))).await.unwrap();
    assert_eq!(reply.status, "processed");
    let told = soon(lines.next_line()).await.unwrap().unwrap();
    assert!(told.starts_with("processed True True"), "{told}");
    server.kill().await.unwrap();
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let (ours, theirs) = (Pair::new(), Pair::new());
    let engine = remembering();
    let running = Running::start(inbound(&[&ours], &[&theirs]), &engine).await;
    let head = "AS2-From: GHX\r\nAS2-To: \"St Brigid\"\r\nMessage-ID: <1@x>\r\n";
    let asks = "Disposition-Notification-To: x\r\n";
    for (line, fields, body, expected) in [
        ("GET /as2", head.to_owned(), "", "405"),
        ("POST /other", head.to_owned(), "", "404"),
        ("POST /as2", String::new(), "", "403"),
        (
            "POST /as2",
            "AS2-From: GHX\r\nAS2-To: St Brigid\r\n".to_owned(),
            "",
            "400",
        ),
        ("POST /as2", head.to_owned(), "x", "422"),
        (
            "POST /as2",
            format!("{head}{asks}"),
            "x",
            "insufficient-message-security",
        ),
        (
            "POST /as2",
            format!("{head}{asks}Receipt-Delivery-Option: http://127.0.0.1:9/\r\n"),
            "x",
            "403",
        ),
        (
            "POST /as2",
            format!("{head}{asks}Content-Type: application/pkcs7-mime\r\n"),
            "x",
            "decryption-failed",
        ),
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let text = format!(
            "{line} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.contains(expected), "{line} {fields}: {answer}");
    }
    assert_eq!(engine.begun(), 0);
    running.end().await;
}
