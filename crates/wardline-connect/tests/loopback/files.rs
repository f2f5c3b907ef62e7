//! Files in and out of a directory: what is taken, what is refused, and what never is.

use std::collections::HashSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::files::{
    Directory, Local, Outbound, OutboundConfig, Split, Then, Watch, WatchConfig,
};
use wardline_connect::{
    ContentType, FailureKind, Intake, Outbound as _, Received, Request, Verdict,
};
use wardline_core::Code;
use wardline_edi::flat::Plan;

use crate::stage::{Engine, id, soon, until};

fn layout() -> Arc<Plan> {
    let layout = json!({
        "delimited": {},
        "records": [
            { "record": "receipt", "when": { "column": 1, "is": "R" },
              "fields": [{ "name": "kind" }, { "name": "order", "required": true }, { "name": "amount", "type": "decimal" }] },
            { "record": "end", "role": "trailer", "when": { "column": 1, "is": "T" },
              "fields": [{ "name": "kind" }, { "name": "amount", "type": "decimal" }, { "name": "count", "type": "integer" }] },
        ],
        "totals": [{ "in": "end", "field": "count", "counts": "details" }, { "in": "end", "field": "amount", "sums": "amount" }],
    });
    Arc::new(Plan::from_json(&layout).unwrap())
}

fn config(split: Split) -> WatchConfig {
    WatchConfig {
        source: "erp.receipts".into(),
        below: "in".into(),
        pattern: "*.csv".into(),
        every: Duration::from_millis(20),
        stable: Duration::from_millis(40),
        marker: None,
        then: Then::Archive,
        split,
    }
}

/// A file of so many receipts.
fn file(count: usize) -> String {
    let records: String = (1..=count).map(|n| format!("R,{n},1.10\n")).collect();
    let cents = count * 110;
    format!("{records}T,{}.{:02},{count}\n", cents / 100, cents % 100)
}

/// An engine that knows what it took, as the journal does.
fn remembering() -> Arc<Engine> {
    let known: Mutex<HashSet<String>> = Mutex::default();
    Engine::new(move |_, received| {
        let once = received.once.clone().expect("files name what they hand in");
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
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(folder: TempDir, config: WatchConfig, engine: &Arc<Engine>) -> Self {
        let watch = Watch::new(Arc::new(Local::new(folder.path())), config);
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch.run(Arc::clone(engine) as Arc<dyn Intake>, stop.clone()));
        Self { folder, stop, task }
    }

    async fn end(self) -> TempDir {
        self.stop.cancel();
        soon(self.task).await.unwrap();
        self.folder
    }

    fn has(&self, path: &str) -> bool {
        self.folder.path().join(path).exists()
    }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    folder
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join("in").join(name), content).unwrap();
}

fn bodies(engine: &Engine) -> Vec<Value> {
    let begun = engine.begun.lock();
    let good = begun.iter().filter(|one| one.fault.is_none());
    good.map(|one| serde_json::from_slice(&one.body).unwrap())
        .collect()
}

fn faults(engine: &Engine) -> Vec<(Code, String)> {
    engine
        .begun
        .lock()
        .iter()
        .filter_map(|one| one.fault.clone())
        .collect()
}

#[tokio::test]
async fn each_record_is_a_message_with_what_the_file_says() {
    let engine = remembering();
    let folder = folder();
    put(folder.path(), "a.csv", file(200));
    let running = Running::start(folder, config(Split::Records(layout())), &engine);
    until(|| running.has("archive/a.csv")).await;
    assert!(!running.has("in/a.csv"));
    let all = bodies(&engine);
    assert_eq!(all.len(), 200);
    assert_eq!(
        all[6],
        json!({
            "file": { "name": "a.csv", "size": file(200).len(), "records": 200, "totals": { "end.count": 200, "end.amount": "220.00" },
                      "trailer": { "kind": "T", "amount": "220.00", "count": 200 } },
            "record": "receipt", "number": 7, "line": 7, "fields": { "kind": "R", "order": "7", "amount": "1.10" },
        })
    );
    let orders: Vec<_> = all
        .iter()
        .map(|one| one["number"].as_u64().unwrap())
        .collect();
    assert!(orders.is_sorted());
    // The same again under the same name is known; under another it is another.
    put(running.folder.path(), "a.csv", file(200));
    until(|| running.has("archive/a.csv.1")).await;
    assert_eq!(engine.accepted.lock().len(), 200);
    put(running.folder.path(), "b.csv", file(2));
    until(|| running.has("archive/b.csv")).await;
    assert_eq!(engine.accepted.lock().len(), 202);
    running.end().await;
}

#[tokio::test]
async fn a_wrong_file_is_refused_whole_and_kept() {
    let cases = [
        (
            "cut.csv",
            file(3).trim_end_matches("T,3.30,3\n").as_bytes().to_vec(),
        ),
        ("amount.csv", file(3).replace("3.30", "3.31").into_bytes()),
        ("count.csv", file(3).replace(",3\n", ",4\n").into_bytes()),
        ("charset.csv", b"R,caf\xe9,1.10\nT,1.10,1\n".to_vec()),
        ("gzip.csv", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        ("zip.csv", b"PK\x03\x04\0\0\0\0".to_vec()),
        ("quote.csv", b"R,\"1,1.10\nT,1.10,1\n".to_vec()),
        (
            "late.csv",
            file(500).replace("R,499,1.10", "R,499,x").into_bytes(),
        ),
        ("empty.csv", Vec::new()),
    ];
    let engine = remembering();
    let folder = folder();
    for (name, content) in &cases {
        put(folder.path(), name, content);
    }
    let running = Running::start(folder, config(Split::Records(layout())), &engine);
    for (name, content) in &cases {
        let refused = format!("refused/{name}");
        until(|| running.has(&refused)).await;
        assert!(running.has(&format!("{refused}.reason")));
        assert_eq!(
            std::fs::read(running.folder.path().join(&refused)).unwrap(),
            *content
        );
        assert!(!running.has(&format!("in/{name}")));
    }
    assert_eq!(bodies(&engine), Vec::<Value>::new(), "nothing half-taken");
    let faults = faults(&engine);
    assert_eq!(faults.len(), cases.len());
    assert!(
        faults
            .iter()
            .all(|(code, text)| code.0 == "W3401" && !text.contains("caf")),
        "{faults:?}"
    );
    running.end().await;
}

#[tokio::test]
async fn what_is_no_plain_file_stays_where_it_is() {
    let engine = remembering();
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("secret.csv"), file(1)).unwrap();
    symlink(at.join("secret.csv"), at.join("in/link.csv")).unwrap();
    std::fs::hard_link(at.join("secret.csv"), at.join("in/hard.csv")).unwrap();
    std::fs::create_dir(at.join("in/folder.csv")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(at.join("in/pipe.csv"))
            .status()
            .unwrap()
            .success()
    );
    put(at, ".hidden.csv", file(1));
    put(at, "a.csv.part", file(1));
    let running = Running::start(folder, config(Split::Records(layout())), &engine);
    put(running.folder.path(), "z.csv", file(1));
    until(|| running.has("archive/z.csv")).await;
    assert_eq!(engine.accepted.lock().len(), 1);
    assert!(faults(&engine).is_empty());
    let folder = running.end().await;
    // A directory that is a link is not entered, neither to read nor to write.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("a.csv"), "x").unwrap();
    symlink(other.path(), folder.path().join("away")).unwrap();
    let local = Local::new(folder.path());
    assert!(local.list("away", 10).is_err());
    assert!(local.open("away/a.csv").is_err());
    assert!(local.write("away/b.csv", &mut &b"x"[..]).is_err());
    assert!(local.rename("archive/z.csv", "away/z.csv").is_err());
    for path in [
        "../a",
        "in/../../a",
        "/etc/passwd",
        "in/b/c",
        "",
        ".",
        "..",
        "in/",
        "a\0b",
        "in\\a",
    ] {
        assert!(
            local.open(path).is_err()
                && local.write(path, &mut &b"x"[..]).is_err()
                && local.remove(path).is_err(),
            "{path:?}"
        );
    }
    // What takes the place of the temporary name is not followed.
    symlink(
        other.path().join("a.csv"),
        folder.path().join("in/.b.csv.part"),
    )
    .unwrap();
    local.write("in/b.csv", &mut &b"mine"[..]).unwrap();
    assert_eq!(std::fs::read(other.path().join("a.csv")).unwrap(), b"x");
    assert_eq!(
        std::fs::read(folder.path().join("in/b.csv")).unwrap(),
        b"mine"
    );
}

#[tokio::test]
async fn an_intake_that_fails_in_the_midst_gets_every_record_once() {
    let known: Mutex<HashSet<String>> = Mutex::default();
    let engine = Engine::new(move |nth, received| {
        if nth % 90 == 89 {
            return Verdict::Refused {
                code: Code("W5001"),
                text: "the disk is full".into(),
                permanent: false,
            };
        }
        if nth % 50 == 49 {
            return Verdict::Busy {
                code: Code("W5002"),
                text: "no room".into(),
                retry_after: Duration::from_millis(1),
            };
        }
        if known.lock().insert(received.once.clone().unwrap()) {
            Verdict::Accepted { id: id(1) }
        } else {
            Verdict::Duplicate {
                original: id(1),
                answer: Bytes::new(),
            }
        }
    });
    let folder = folder();
    put(folder.path(), "a.csv", file(60));
    put(folder.path(), "b.csv", file(70));
    let running = Running::start(folder, config(Split::Records(layout())), &engine);
    until(|| running.has("archive/a.csv") && running.has("archive/b.csv")).await;
    assert_eq!(engine.accepted.lock().len(), 130);
    running.end().await;
}

#[tokio::test]
async fn a_file_is_taken_when_it_has_come_to_rest_or_its_marker_is_there() {
    let engine = remembering();
    let folder = folder();
    let mut grows = config(Split::Records(layout()));
    grows.stable = Duration::from_millis(400);
    let whole = file(40);
    let (first, rest) = whole.split_at(100);
    put(folder.path(), "a.csv", first);
    let running = Running::start(folder, grows, &engine);
    tokio::time::sleep(Duration::from_millis(200)).await;
    put(running.folder.path(), "a.csv", [first, rest].concat());
    until(|| running.has("archive/a.csv")).await;
    assert!(faults(&engine).is_empty());
    let folder = running.end().await;

    let mut marked = config(Split::Records(layout()));
    marked.marker = Some(".done".into());
    marked.then = Then::Delete;
    put(folder.path(), "b.csv", file(1));
    let running = Running::start(folder, marked, &engine);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(running.has("in/b.csv"));
    put(running.folder.path(), "b.csv.done", "");
    until(|| !running.has("in/b.csv") && !running.has("in/b.csv.done")).await;
    assert_eq!(engine.accepted.lock().len(), 41);
    running.end().await;
}

#[tokio::test]
async fn a_whole_file_is_one_message_of_bounded_size() {
    let engine = remembering();
    let folder = folder();
    let mut whole = config(Split::Whole {
        layout: None,
        content_type: ContentType::Text,
        max_size: 20,
    });
    whole.pattern = "*".into();
    put(folder.path(), "fits.txt", "12345678901234567890");
    put(folder.path(), "large.txt", "123456789012345678901");
    let running = Running::start(folder, whole, &engine);
    until(|| running.has("archive/fits.txt") && running.has("refused/large.txt.reason")).await;
    assert_eq!(faults(&engine)[0].0.0, "W3402");
    let begun = engine.begun.lock().clone();
    let taken: Vec<&Received> = begun.iter().filter(|one| one.fault.is_none()).collect();
    assert_eq!(
        (taken.len(), &taken[0].body[..]),
        (1, &b"12345678901234567890"[..])
    );
    assert_eq!(taken[0].header("file-name"), Some("fits.txt"));
    running.end().await;
}

fn request(body: &'static [u8]) -> Request<'static> {
    Request {
        idempotency_key: "0198-42",
        attempt: 1,
        body: Bytes::from_static(body),
        content_type: "application/json",
        method: None,
        path: None,
        correlation: "c",
    }
}

#[tokio::test]
async fn a_delivery_is_one_file_however_often_it_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let config = OutboundConfig {
        below: "out".into(),
        name: "bill-{id}.json".into(),
        max_size: 10,
    };
    let outbound = Outbound::new(Arc::new(Local::new(folder.path())), config.clone());
    for _ in 0..3 {
        let reply = outbound.send(request(b"{}")).await.unwrap();
        assert_eq!(
            (reply.status.as_str(), &reply.body[..]),
            ("written", &b"out/bill-0198-42.json"[..])
        );
    }
    let names: Vec<_> = std::fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert_eq!(names, ["bill-0198-42.json"]);
    let failure = outbound.send(request(b"12345678901")).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Permanent, "W4312")
    );
    let nowhere = Outbound::new(Arc::new(Local::new(folder.path().join("gone"))), config);
    let failure = nowhere.send(request(b"{}")).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Unreachable, "W4311")
    );
}
