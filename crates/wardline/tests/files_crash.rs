//! `kill -9` in the midst of files, again and again: every record of every file is taken once.
//!
//! The estate takes receipts from a directory, a message of each record, and writes each into a
//! file of another directory. At the end the files there are compared with what was put in, and
//! the journal's own counts with both.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long nothing may move; how long all of it takes is the disk's affair.
const PATIENCE: Duration = Duration::from_mins(2);
const MOST_KILLS: usize = 25;
const FILES: usize = 6;
const RECORDS: usize = 600;

struct Place {
    folder: PathBuf,
}

impl Place {
    fn make(folder: &Path) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.join("estate").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let shown = folder.display();
        write(
            "wardline.yaml",
            &format!(
                "estate: files\nzone: UTC\nstore: sqlite\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  console: {{ zone: admin, bind: \"{port}\" }}\n"
            ),
        );
        write(
            "systems/erp.yaml",
            &format!(
                "system: erp\nowner: finance\nconnections:\n  receipts:\n    files: {{ directory: \"{shown}/drop\", poll: \"in/*.csv\", every: 100ms, stable: 50ms, layout: layouts/receipts.yaml, split: records }}\n    sensitivity: internal\n  out:\n    files: {{ directory: \"{shown}/drop\", write: \"out/{{id}}.json\" }}\n"
            ),
        );
        write(
            "layouts/receipts.yaml",
            "layout: receipts\ndelimited: { delimiter: \";\" }\nrecords:\n  - record: receipt\n    when: { column: 1, is: R }\n    fields: [{ name: kind }, { name: order, required: true }, { name: amount, type: decimal }]\n  - record: end\n    role: trailer\n    when: { column: 1, is: T }\n    fields: [{ name: kind }, { name: count, type: integer }, { name: amount, type: decimal }]\ntotals:\n  - { in: end, field: count, counts: receipt }\n  - { in: end, field: amount, sums: amount }\n",
        );
        write(
            "flows/receipts.yaml",
            "flow: receipts\nowner: finance\nfrom: erp.receipts\nto: [{ send: erp.out }]\n",
        );
        std::fs::create_dir_all(folder.join("drop/in")).unwrap();
        Self {
            folder: folder.to_owned(),
        }
    }

    fn command(words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
        command
            .args(words)
            .env_remove("WARDLINE_ESTATE")
            .env_remove("WARDLINE_DATA")
            .stdin(Stdio::null());
        command
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .unwrap();
        Self::command(&["serve"])
            .arg(self.folder.join("estate"))
            .arg("--data")
            .arg(self.folder.join("data"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn status(&self) -> Value {
        let output = Self::command(&["status", "--json", "--estate"])
            .arg(self.folder.join("estate"))
            .arg("--data")
            .arg(self.folder.join("data"))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn count(&self, below: &str, ending: &str) -> usize {
        let Ok(all) = std::fs::read_dir(self.folder.join("drop").join(below)) else {
            return 0;
        };
        all.filter(|one| {
            one.as_ref()
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .ends_with(ending)
        })
        .count()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

#[test]
fn kills_in_the_midst_of_files_lose_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::make(folder.path());
    for file in 0..FILES {
        let mut text: String = (0..RECORDS)
            .map(|n| format!("R;{file}-{n};0.01\n"))
            .collect();
        text += &format!("T;{RECORDS};{}.{:02}\n", RECORDS / 100, RECORDS % 100);
        std::fs::write(folder.path().join(format!("drop/in/{file}.csv")), text).unwrap();
    }
    // One that does not tie is refused whole, whatever dies meanwhile.
    std::fs::write(
        folder.path().join("drop/in/wrong.csv"),
        "R;wrong-0;0.01\nT;2;0.01\n",
    )
    .unwrap();
    let began = Instant::now();
    let (mut kills, mut in_the_midst) = (0, 0);
    let mut pause = 300;
    let mut moved = (Instant::now(), 0);
    let mut server = place.spawn();
    while place.count("archive", ".csv") < FILES {
        let archived = place.count("archive", ".csv");
        if archived > moved.1 || kills < MOST_KILLS {
            moved = (Instant::now(), archived);
        }
        assert!(
            moved.0.elapsed() < PATIENCE,
            "{archived} archived; {}",
            place.log()
        );
        std::thread::sleep(Duration::from_millis(pause));
        // Not the same moment every time, and later after a kill that came too early.
        pause = 250 + (pause * 7 + 13) % 700;
        if kills < MOST_KILLS {
            let before = place.count("archive", ".csv");
            server.kill().unwrap();
            server.wait().unwrap();
            kills += 1;
            in_the_midst += usize::from(before < FILES);
            server = place.spawn();
        }
    }
    println!(
        "{kills} kills, {in_the_midst} before the last file was done, {:.1?}",
        began.elapsed()
    );
    let total = FILES * RECORDS;
    let mut moved = (Instant::now(), Value::Null);
    let status = loop {
        let status = place.status();
        if status["sums"]["open"] == 0 && place.count("refused", ".reason") == 1 {
            break status;
        }
        if status["sums"]["open"] != moved.1 {
            moved = (Instant::now(), status["sums"]["open"].clone());
        }
        assert!(moved.0.elapsed() < PATIENCE, "{status:#} {}", place.log());
        std::thread::sleep(Duration::from_millis(300));
    };
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(
        in_the_midst >= 3,
        "the kills came too late to prove anything: {in_the_midst}"
    );
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for one in std::fs::read_dir(folder.path().join("drop/out")).unwrap() {
        let path = one.unwrap().path();
        // What a kill left half written has a name that no reader takes.
        if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            continue;
        }
        let body: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        *seen
            .entry(body["fields"]["order"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    assert_eq!(seen.len(), total, "every record came");
    assert!(
        seen.values().all(|times| *times == 1),
        "no record came twice"
    );
    assert!(!seen.keys().any(|order| order.starts_with("wrong")));
    let sums = &status["sums"];
    assert_eq!(
        sums["accepted"],
        total + 1,
        "the refused file is recorded, once: {sums}"
    );
    assert_eq!(sums["delivered"], total, "{sums}");
    assert_eq!(sums["dead"], 1, "{sums}");
}
