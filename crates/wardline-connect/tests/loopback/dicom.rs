//! DICOM: objects in and out, worklists and steps, with dcmtk and pynetdicom on the other side.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::dicom::{
    Entries, InboundConfig, Listener, Outbound, OutboundConfig, WebConfig, WebOutbound,
};
use wardline_connect::files::Local;
use wardline_connect::http::OutboundAuth;
use wardline_connect::tls::{ClientTls, Identity, Pem, ServerTls};
use wardline_connect::{FailureKind, Outbound as _, Request, Secret, Verdict};
use wardline_core::Code;
use wardline_dicom::net::{Client, NetError, Proposal, Terms};
use wardline_dicom::{Encoding, Head, data, file_head, from_json, uid};

use crate::stage::{Engine, id, soon, until};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// An engine that knows what it took, as the journal does.
fn remembering() -> Arc<Engine> {
    let known: Mutex<HashSet<String>> = Mutex::default();
    Engine::new(move |_, received| {
        let once = received.once.clone().expect("DICOM names what it hands in");
        if known.lock().insert(once) {
            Verdict::Accepted { id: id(1) }
        } else {
            Verdict::Duplicate {
                original: id(1),
                answer: Bytes::new(),
            }
        }
    })
}

struct Running {
    folder: TempDir,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(engine: &Arc<Engine>) -> Self {
        Self::start_with(engine, None).await
    }

    async fn start_with(engine: &Arc<Engine>, tls: Option<ServerTls>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for below in ["worklist", "steps"] {
            std::fs::create_dir(folder.path().join(below)).unwrap();
        }
        let mut config = InboundConfig::new("imaging.modalities", "127.0.0.1:0");
        config.callers = vec!["MODALITY".into()];
        config.tls = tls;
        config.objects = Some(folder.path().join("objects"));
        config.worklist = Some(Arc::new(Local::new(folder.path().join("worklist"))));
        config.steps = Some(Arc::new(Local::new(folder.path().join("steps"))));
        config.stall_timeout = Duration::from_secs(1);
        config.busy_limit = Duration::from_millis(200);
        let listener = Listener::bind(config).await.unwrap();
        let address = listener.local_addr();
        let stop = CancellationToken::new();
        let task = tokio::spawn(listener.run(Arc::clone(engine) as _, stop.clone()));
        Self {
            folder,
            address,
            stop,
            task,
        }
    }

    async fn end(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap();
    }

    /// Objects in their places, and what never came whole.
    fn objects(&self) -> (Vec<String>, usize) {
        let root = self.folder.path().join("objects");
        let mut whole = Vec::new();
        let mut parts = 0;
        for folder in std::fs::read_dir(&root).unwrap() {
            let folder = folder.unwrap();
            let below = folder.file_name().into_string().unwrap();
            for file in std::fs::read_dir(folder.path()).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                if below == ".incoming" {
                    parts += 1;
                } else {
                    whole.push(format!("{below}/{name}"));
                }
            }
        }
        whole.sort();
        (whole, parts)
    }

    async fn client(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let plain = vec![uid::EXPLICIT_LITTLE];
        let proposal = Proposal {
            called: "WARDLINE",
            calling: "MODALITY",
            classes: vec![(CT, plain.clone()), (uid::PERFORMED_STEP, plain)],
        };
        Client::open(stream, &proposal, Terms::default())
            .await
            .unwrap()
    }
}

/// The data set of an object, with so many bytes of pixels.
fn object(instance: &str, pixels: usize) -> (Head, Vec<u8>) {
    let set = json!({
        "SOPClassUID": CT, "SOPInstanceUID": instance, "StudyInstanceUID": "1.2.77",
        "PatientName": "Roe^Jane", "PatientID": "4711", "AccessionNumber": "A1", "Modality": "CT",
    });
    let mut bytes = Vec::new();
    data::write(
        &from_json(set.as_object().unwrap()).unwrap(),
        Encoding::ExplicitLittle,
        &mut bytes,
    );
    bytes.extend_from_slice(&[0xe0, 0x7f, 0x10, 0x00, b'O', b'W', 0, 0]);
    bytes.extend_from_slice(&(pixels as u32).to_le_bytes());
    bytes.resize(bytes.len() + pixels, 7);
    let head = Head {
        class: CT.into(),
        instance: instance.into(),
        transfer_syntax: uid::EXPLICIT_LITTLE.into(),
    };
    (head, bytes)
}

fn pieces(bytes: &[u8]) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (send, receive) = mpsc::channel(1024);
    for piece in bytes.chunks(1 << 16) {
        send.try_send(Ok(Bytes::copy_from_slice(piece))).unwrap();
    }
    receive
}

#[tokio::test]
async fn an_object_is_a_file_and_a_message_and_the_same_again_is_neither() {
    let engine = remembering();
    let running = Running::start(&engine).await;
    let mut client = running.client().await;
    let (head, bytes) = object("1.2.3", 3_000_000);
    for _ in 0..2 {
        let status = client.store(&head, pieces(&bytes)).await.unwrap();
        assert!(status.is_good(), "{status:?}");
    }
    // Other content under the same name is another object.
    let (_, other) = object("1.2.3", 10);
    assert!(client.store(&head, pieces(&other)).await.unwrap().is_good());
    let (whole, parts) = running.objects();
    assert_eq!((whole.len(), parts), (2, 0), "{whole:?}");
    assert_eq!(engine.begun(), 3);
    let first = engine.begun.lock()[0].clone();
    let message: Value = serde_json::from_slice(&first.body).unwrap();
    let name = message["object"]["file"].as_str().unwrap().to_owned();
    assert!(
        whole.contains(&name) && name.starts_with("1.2.77/1.2.3."),
        "{name}"
    );
    assert_eq!(message["data"]["PatientName"], "Roe^Jane");
    assert_eq!(message["data"].get("PixelData"), None);
    assert_eq!(
        message["dicom"],
        json!({ "event": "stored", "calling": "MODALITY", "called": "WARDLINE" })
    );
    let file = std::fs::read(running.folder.path().join("objects").join(name)).unwrap();
    assert!(file.starts_with(&file_head(&head, Some("MODALITY"))) && file.ends_with(&bytes));
    client.release().await.unwrap();
    running.end().await;
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let code = Code("W2001");
    let engine = Engine::new(move |n, _| match n {
        0 => Verdict::Refused {
            code,
            text: "no".into(),
            permanent: true,
        },
        _ => Verdict::Busy {
            code,
            text: "later".into(),
            retry_after: Duration::from_secs(5),
        },
    });
    let running = Running::start(&engine).await;
    let mut client = running.client().await;
    let (head, bytes) = object("1.2.3", 100);
    assert_eq!(
        client.store(&head, pieces(&bytes)).await.unwrap().code,
        0xc000
    );
    assert_eq!(
        client.store(&head, pieces(&bytes)).await.unwrap().code,
        0xa700
    );
    // Cut, of another name, and no data set at all: none reaches the engine.
    assert_eq!(
        client
            .store(&head, pieces(&bytes[..bytes.len() - 1]))
            .await
            .unwrap()
            .code,
        0xc000
    );
    let (_, other) = object("1.2.4", 100);
    assert_eq!(
        client.store(&head, pieces(&other)).await.unwrap().code,
        0xa900
    );
    assert_eq!(
        client.store(&head, pieces(b"nonsense")).await.unwrap().code,
        0xc000
    );
    assert_eq!(engine.begun(), 2);
    assert_eq!(running.objects(), (vec![], 0));
    client.release().await.unwrap();
    running.end().await;
}

#[tokio::test]
async fn a_peer_that_stalls_or_dies_leaves_nothing() {
    let engine = remembering();
    let running = Running::start(&engine).await;
    let (head, bytes) = object("1.2.3", 2_000_000);
    let mut client = running.client().await;
    let (send, receive) = mpsc::channel(2);
    for piece in [&bytes[..1_000_000], &bytes[1_000_000..1_500_000]] {
        send.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
    }
    let stalled = tokio::spawn(async move {
        let ended = client.store(&head, receive).await;
        (client, ended)
    });
    until(|| running.objects().1 == 1).await;
    until(|| running.objects().1 == 0).await;
    drop(send);
    assert!(!matches!(soon(stalled).await.unwrap().1, Ok(status) if status.is_good()));
    // The same without a word: the connection is cut.
    let mut client = running.client().await;
    let (head, _) = object("1.2.4", 0);
    let (send, receive) = mpsc::channel(2);
    send.send(Ok(Bytes::copy_from_slice(&bytes[..1_200_000])))
        .await
        .unwrap();
    send.send(Ok(Bytes::copy_from_slice(&bytes[..1_200_000])))
        .await
        .unwrap();
    let dying = tokio::spawn(async move { client.store(&head, receive).await });
    until(|| running.objects().1 == 1).await;
    dying.abort();
    until(|| running.objects().1 == 0).await;
    assert_eq!(running.objects(), (vec![], 0));
    assert_eq!(engine.begun(), 0);
    drop(send);
    running.end().await;
}

#[tokio::test]
async fn steps_begin_once_and_end_once() {
    let engine = remembering();
    let running = Running::start(&engine).await;
    let mut client = running.client().await;
    let told = |state: &str| {
        from_json(
            json!({ "PerformedProcedureStepStatus": state })
                .as_object()
                .unwrap(),
        )
        .unwrap()
    };
    for (begins, instance, state, expected) in [
        (false, "1.9", "COMPLETED", 0x0112),
        (true, "1.9", "COMPLETED", 0x0110),
        (true, "1.9", "IN PROGRESS", 0),
        (true, "1.9", "IN PROGRESS", 0),
        (false, "1.9", "COMPLETED", 0),
        (false, "1.9", "COMPLETED", 0),
        (false, "1.9", "DISCONTINUED", 0x0110),
        (true, "1.9", "IN PROGRESS", 0x0111),
    ] {
        let status = client
            .perform(begins, instance, &told(state))
            .await
            .unwrap();
        assert_eq!(status.code, expected, "{begins} {state}");
    }
    let events: Vec<String> = engine
        .begun
        .lock()
        .iter()
        .map(|one| {
            serde_json::from_slice::<Value>(&one.body).unwrap()["dicom"]["event"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    // The repeated beginning is handed in and recognised.
    assert_eq!(events, ["step-begun", "step-begun", "step-changed"]);
    client.release().await.unwrap();
    running.end().await;
}

fn request<'a>(key: &'a str, body: &Value) -> Request<'a> {
    Request {
        idempotency_key: key,
        attempt: 1,
        body: body.to_string().into(),
        content_type: "application/json",
        method: None,
        path: None,
        correlation: "c",
    }
}

fn entry(key: &str, modality: &str) -> Value {
    json!({ "key": key, "entry": {
        "PatientName": "Müller^Änne", "PatientID": key, "AccessionNumber": key, "StudyInstanceUID": "1.2.77",
        "ScheduledProcedureStepSequence": [{ "Modality": modality, "ScheduledStationAETitle": "MODALITY",
            "ScheduledProcedureStepStartDate": "20261128", "ScheduledProcedureStepStartTime": "0900" }],
    } })
}

#[tokio::test]
async fn entries_are_kept_changed_and_removed_and_wrong_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let entries = Entries::new("imaging.worklist", Arc::new(Local::new(folder.path())));
    let count = || std::fs::read_dir(folder.path()).unwrap().count();
    for (body, status, left) in [
        (entry("A1", "CT"), "kept", 1),
        (entry("A1", "MR"), "kept", 1),
        (entry("A2", "MR"), "kept", 2),
        (json!({ "key": "A1" }), "removed", 1),
        (json!({ "key": "A1" }), "removed", 1),
    ] {
        assert_eq!(
            entries.send(request("1", &body)).await.unwrap().status,
            status
        );
        assert_eq!(count(), left);
    }
    for (body, expected) in [
        (json!([]), "no JSON object"),
        (json!({ "entry": {} }), "`key`"),
        (
            json!({ "key": "A", "entry": { "PatientId": "secret" } }),
            "`PatientId` is no attribute",
        ),
        (
            json!({ "key": "A", "entry": { "StudyDate": "secret" } }),
            "`StudyDate` (DA)",
        ),
    ] {
        let failure = entries.send(request("1", &body)).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (FailureKind::Permanent, Code("W4407"))
        );
        assert!(
            failure.text.contains(expected) && !failure.text.contains("secret"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn failures_of_a_peer_say_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("s")).unwrap();
    let (head, bytes) = object("1.2.3", 100);
    let file = [file_head(&head, None), bytes].concat();
    std::fs::write(folder.path().join("s/a.dcm"), file).unwrap();
    std::fs::write(folder.path().join("s/no.dcm"), b"nothing").unwrap();
    let named = |name: &str| json!({ "object": { "file": name } });
    let config = |address: String, called: &str| OutboundConfig {
        name: "archive.store".into(),
        address,
        tls: None,
        called: called.into(),
        calling: "MODALITY".into(),
        objects: Arc::new(Local::new(folder.path())),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
    };
    let engine = remembering();
    let running = Running::start(&engine).await;
    let good = Outbound::new(config(running.address.to_string(), "WARDLINE")).unwrap();
    assert_eq!(
        good.send(request("1", &named("s/a.dcm")))
            .await
            .unwrap()
            .status,
        "0000"
    );
    for (body, code) in [
        (named("s/b.dcm"), "W4406"),
        (named("s/no.dcm"), "W4406"),
        (named("../s/a.dcm"), "W4406"),
        (json!({}), "W4406"),
    ] {
        let failure = good.send(request("1", &body)).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (FailureKind::Permanent, Code(code)),
            "{body}"
        );
    }
    let unknown = Outbound::new(config(running.address.to_string(), "OTHER")).unwrap();
    let failure = unknown
        .send(request("1", &named("s/a.dcm")))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Transient, Code("W4401"))
    );
    running.end().await;
    let gone = Outbound::new(config("127.0.0.1:1".into(), "X")).unwrap();
    let failure = gone
        .send(request("1", &named("s/a.dcm")))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Unreachable, Code("W4400"))
    );
}

// What others wrote.

/// Whether a program of dcmtk is there; where it must be, its absence is a failure.
fn dcmtk() -> bool {
    let proof = Command::new("echoscu").arg("--version").output();
    if proof.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let text = "dcmtk is missing: `cargo xtask peers` installs what the tests need";
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    false
}

async fn call(program: &str, words: Vec<String>) -> Output {
    let mut command = tokio::process::Command::new(program);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    soon(command.output()).await.unwrap()
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

#[tokio::test]
async fn dcmtk_echoes_stores_and_queries() {
    if !dcmtk() {
        return;
    }
    let engine = remembering();
    let running = Running::start(&engine).await;
    let port = running.address.port().to_string();
    let known = ["-aet", "MODALITY", "-aec", "WARDLINE", "127.0.0.1", &port];
    let output = call("echoscu", words(&known)).await;
    assert!(output.status.success(), "{output:?}");
    let output = call(
        "echoscu",
        words(&["-aet", "STRANGER", "-aec", "WARDLINE", "127.0.0.1", &port]),
    )
    .await;
    assert!(!output.status.success(), "a stranger came in");
    let files = tempfile::tempdir().unwrap();
    let mut send = words(&known);
    for n in 0..5 {
        let (head, bytes) = object(&format!("1.2.3.{n}"), 500_000);
        let path = files.path().join(format!("{n}.dcm"));
        std::fs::write(&path, [file_head(&head, None), bytes].concat()).unwrap();
        send.push(path.display().to_string());
    }
    let output = call("storescu", send).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(running.objects().0.len(), 5);
    assert_eq!(engine.begun(), 5);
    let entries = Entries::new(
        "imaging.worklist",
        Arc::new(Local::new(running.folder.path().join("worklist"))),
    );
    for (key, modality) in [("A1", "CT"), ("A2", "MR"), ("A3", "CT")] {
        entries
            .send(request("1", &entry(key, modality)))
            .await
            .unwrap();
    }
    let mut find = words(&[
        "-W",
        "-k",
        "PatientName",
        "-k",
        "AccessionNumber",
        "-k",
        "ScheduledProcedureStepSequence[0].Modality=CT",
    ]);
    find.extend(words(&known));
    let output = call("findscu", find).await;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        text.contains("[A1") && text.contains("[A3") && !text.contains("[A2"),
        "{text}"
    );
    assert!(text.contains("ISO_IR 100"), "{text}");
    running.end().await;
}

#[tokio::test]
async fn dcmtk_takes_objects() {
    if !dcmtk() {
        return;
    }
    let theirs = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut server = tokio::process::Command::new("storescp")
        .args(["-aet", "ARCHIVE", "-od"])
        .arg(theirs.path())
        .arg(port.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ours = tempfile::tempdir().unwrap();
    std::fs::create_dir(ours.path().join("s")).unwrap();
    let (head, bytes) = object("1.2.3", 700_000);
    std::fs::write(
        ours.path().join("s/a.dcm"),
        [file_head(&head, None), bytes.clone()].concat(),
    )
    .unwrap();
    let outbound = Outbound::new(OutboundConfig {
        name: "archive.store".into(),
        address: format!("127.0.0.1:{port}"),
        tls: None,
        called: "ARCHIVE".into(),
        calling: "WARDLINE".into(),
        objects: Arc::new(Local::new(ours.path())),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
    })
    .unwrap();
    let body = json!({ "object": { "file": "s/a.dcm" } });
    let reply = soon(async {
        loop {
            match outbound.send(request("1", &body)).await {
                Err(failure) if failure.kind == FailureKind::Unreachable => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => break other,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(reply.status, "0000");
    let stored = std::fs::read_dir(theirs.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(std::fs::read(stored).unwrap().ends_with(&bytes));
    server.kill().await.unwrap();
}

/// A certificate with a subject of its own, by which OpenSSL finds who issued it.
fn named(
    name: &str,
    by: Option<&(String, String, CertificateParams)>,
) -> (String, String, CertificateParams) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = match by {
        None => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&key).unwrap()
        }
        Some((_, issuer_key, issuer)) => {
            let issuer_key = KeyPair::from_pem(issuer_key).unwrap();
            let issuer = Issuer::new(issuer.clone(), issuer_key);
            params.signed_by(&key, &issuer).unwrap()
        }
    };
    (certificate.pem(), key.serialize_pem(), params)
}

#[tokio::test]
async fn dcmtk_proves_itself_by_certificate() {
    if !dcmtk() {
        return;
    }
    let authority = named("Tests", None);
    let engine = remembering();
    let (certificate, key, _) = named("127.0.0.1", Some(&authority));
    let tls = ServerTls {
        identity: Identity {
            cert: Pem::Text(Secret::new(certificate)),
            key: Pem::Text(Secret::new(key)),
        },
        client_ca: Some(Pem::Text(Secret::new(authority.0.clone()))),
        crl: None,
    };
    let running = Running::start_with(&engine, Some(tls)).await;
    let files = tempfile::tempdir().unwrap();
    let place = |name: &str| files.path().join(name).display().to_string();
    let (certificate, key, _) = named("modality", Some(&authority));
    std::fs::write(place("cert.pem"), certificate).unwrap();
    std::fs::write(place("key.pem"), key).unwrap();
    std::fs::write(place("ca.pem"), &authority.0).unwrap();
    let (head, bytes) = object("1.2.3", 300_000);
    std::fs::write(place("a.dcm"), [file_head(&head, None), bytes].concat()).unwrap();
    let port = running.address.port().to_string();
    let to = [
        "-aet",
        "MODALITY",
        "-aec",
        "WARDLINE",
        "127.0.0.1",
        &port,
        &place("a.dcm"),
    ];
    let with = |own: &[&str]| {
        let mut all = words(own);
        all.extend(words(&["+cf", &place("ca.pem")]));
        all.extend(words(&to));
        all
    };
    let output = call("storescu", with(&["+tla"])).await;
    assert!(
        !output.status.success(),
        "nobody comes in without a certificate"
    );
    let output = call(
        "storescu",
        with(&["+tls", &place("key.pem"), &place("cert.pem")]),
    )
    .await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(engine.begun(), 1);
    running.end().await;
}

/// The peers' Python; `None` where pynetdicom is absent and that is allowed.
fn python() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let proof = Command::new(&python)
        .args(["-c", "import pynetdicom"])
        .output();
    if proof.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let text = "pynetdicom is missing: `cargo xtask peers` installs what the tests need";
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}

#[tokio::test]
async fn pynetdicom_performs_a_step_and_reads_the_worklist() {
    let Some(python) = python() else {
        return;
    };
    let engine = remembering();
    let running = Running::start(&engine).await;
    let entries = Entries::new(
        "imaging.worklist",
        Arc::new(Local::new(running.folder.path().join("worklist"))),
    );
    entries
        .send(request("1", &entry("A1", "CT")))
        .await
        .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/dicom_peer.py");
    let port = running.address.port().to_string();
    let output = call(
        python.to_str().unwrap(),
        vec![script.display().to_string(), port],
    )
    .await;
    std::io::stderr().write_all(&output.stderr).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(engine.begun(), 2);
    let last: Value = serde_json::from_slice(&engine.begun.lock()[1].body).unwrap();
    assert_eq!(last["data"]["PerformedProcedureStepStatus"], "COMPLETED");
    running.end().await;
}

#[tokio::test]
async fn more_than_is_agreed_is_not_taken() {
    let engine = remembering();
    let running = Running::start(&engine).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let proposal = Proposal {
        called: "WARDLINE",
        calling: "MODALITY",
        classes: vec![(uid::VERIFICATION, vec![uid::IMPLICIT_LITTLE])],
    };
    let mut client = Client::open(stream, &proposal, Terms::default())
        .await
        .unwrap();
    let (head, bytes) = object("1.2.3", 10);
    assert!(matches!(
        client.store(&head, pieces(&bytes)).await,
        Err(NetError::NotAccepted)
    ));
    assert!(client.echo().await.unwrap().is_good());
    client.release().await.unwrap();
    running.end().await;
}

/// Answers each request with what is next, and hands on the bodies, without the frames of HTTP.
async fn web_server(answers: Vec<&'static str>) -> (SocketAddr, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (send, receive) = mpsc::channel(8);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"0\r\n\r\n") {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            }
            let end = bytes
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap()
                + 4;
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let (mut rest, mut body) = (&bytes[end..], Vec::new());
            loop {
                let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
                let size =
                    usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&rest[line + 2..line + 2 + size]);
                rest = &rest[line + 4 + size..];
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            send.send((head, body)).await.unwrap();
        }
    });
    (address, receive)
}

#[tokio::test]
async fn dicomweb_gets_the_file_as_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("s")).unwrap();
    let (head, bytes) = object("1.2.3", 600_000);
    let file = [file_head(&head, None), bytes].concat();
    std::fs::write(folder.path().join("s/a.dcm"), &file).unwrap();
    let answer = |status: &str, body: &str| -> &'static str {
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/dicom+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        Box::leak(text.into_boxed_str())
    };
    let (address, mut bodies) = web_server(vec![
        answer("200 OK", "{}"),
        answer("202 Accepted", "{\"00081198\":{}}"),
        answer("503 Busy", ""),
        answer("415 No", ""),
    ])
    .await;
    let outbound = WebOutbound::new(WebConfig {
        name: "archive.web".into(),
        url: format!("http://{address}/dicom-web/"),
        auth: OutboundAuth::Bearer("sesame".into()),
        tls: ClientTls::default(),
        objects: Arc::new(Local::new(folder.path())),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
    })
    .unwrap();
    let body = json!({ "object": { "file": "s/a.dcm" } });
    assert_eq!(
        outbound.send(request("d1", &body)).await.unwrap().status,
        "200"
    );
    let (asked, sent) = bodies.recv().await.unwrap();
    assert!(
        asked.starts_with("POST /dicom-web/studies HTTP/1.1"),
        "{asked}"
    );
    assert!(asked.contains("authorization: Bearer sesame"), "{asked}");
    let before = format!(
        "--wardline-d1\r\nContent-Type: application/dicom; transfer-syntax={}\r\n\r\n",
        uid::EXPLICIT_LITTLE
    );
    assert_eq!(
        sent,
        [before.as_bytes(), &file, b"\r\n--wardline-d1--\r\n"].concat()
    );
    for (kind, code) in [
        (FailureKind::Permanent, "W4404"),
        (FailureKind::Transient, "W4403"),
        (FailureKind::Permanent, "W4405"),
    ] {
        let failure = outbound.send(request("d2", &body)).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (kind, Code(code)),
            "{failure}"
        );
    }
    let failure = outbound
        .send(request("d3", &json!({ "object": "s/none.dcm" })))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Permanent, Code("W4406"))
    );
}
