//! `kill -9` in the midst of objects, again and again: what a modality heard success for is on disk,
//! whole, and is one message; what stood in the worklist stands there after every restart.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use wardline_dicom::net::{Client, Proposal, Terms};
use wardline_dicom::{DataSet, Encoding, Head, Limits, data, examine, from_json, to_json, uid};

/// How long nothing may move; how long all of it takes is the disk's affair.
const PATIENCE: Duration = Duration::from_mins(2);
const OBJECTS: usize = 80;
const KILLS: usize = 8;
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

struct Place {
    folder: PathBuf,
    address: SocketAddr,
}

fn free() -> SocketAddr {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    port.local_addr().unwrap()
}

impl Place {
    fn make(folder: &Path) -> Self {
        let (console, address) = (free(), free());
        let write = |path: &str, text: &str| {
            let path = folder.join("estate").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let shown = folder.display();
        write(
            "wardline.yaml",
            &format!(
                "estate: imaging\nzone: UTC\nstore: sqlite\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  console: {{ zone: admin, bind: \"{console}\" }}\n"
            ),
        );
        write(
            "systems/imaging.yaml",
            &format!(
                "system: imaging\nowner: imaging\nconnections:\n  modalities:\n    dicom: {{ listen: \"{address}\", callers: CT1, objects: \"{shown}/objects\", worklist: \"{shown}/worklist\" }}\n  worklist:\n    dicom: {{ entries: \"{shown}/worklist\" }}\n  orders:\n    files: {{ directory: \"{shown}/drop\", poll: \"in/*.json\", every: 100ms, stable: 20ms, content: json }}\n  out:\n    files: {{ directory: \"{shown}/drop\", write: \"out/{{id}}.json\" }}\n"
            ),
        );
        write(
            "flows/imaging.yaml",
            "flow: images\nowner: imaging\nfrom: imaging.modalities\nto: [{ send: imaging.out }]\n---\nflow: orders\nowner: imaging\nfrom: imaging.orders\nkey: .key\nto: [{ send: imaging.worklist }]\n",
        );
        std::fs::create_dir_all(folder.join("drop/in")).unwrap();
        Self {
            folder: folder.to_owned(),
            address,
        }
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .unwrap();
        Command::new(env!("CARGO_BIN_EXE_wardline"))
            .arg("serve")
            .arg(self.folder.join("estate"))
            .arg("--data")
            .arg(self.folder.join("data"))
            .env_remove("WARDLINE_ESTATE")
            .env_remove("WARDLINE_DATA")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    async fn open(&self) -> Option<Client<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let plain = vec![uid::EXPLICIT_LITTLE];
        let proposal = Proposal {
            called: "WARDLINE",
            calling: "CT1",
            classes: vec![(CT, plain.clone()), (uid::WORKLIST_FIND, plain)],
        };
        Client::open(stream, &proposal, Terms::default()).await.ok()
    }

    /// Whether it is answered with success; anything else may be tried again.
    async fn store(&self, n: usize) -> bool {
        let Some(mut client) = self.open().await else {
            return false;
        };
        let (head, bytes) = object(n);
        let (send, receive) = mpsc::channel(64);
        for piece in bytes.chunks(100_000) {
            send.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
        }
        drop(send);
        matches!(client.store(&head, receive).await, Ok(status) if status.code == 0)
    }

    async fn listed(&self) -> Option<Vec<String>> {
        let mut client = self.open().await?;
        let query = json!({ "AccessionNumber": null, "PatientName": null });
        let query = from_json(query.as_object().unwrap()).unwrap();
        let (found, _) = client.find(&query, 100).await.ok()?;
        let number = |entry: &DataSet| {
            to_json(entry)["AccessionNumber"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        Some(found.iter().map(number).collect())
    }
}

fn object(n: usize) -> (Head, Vec<u8>) {
    let instance = format!("1.2.3.{n}");
    let set = json!({ "SOPClassUID": CT, "SOPInstanceUID": instance, "StudyInstanceUID": "1.2.77", "PatientID": "4711" });
    let mut bytes = Vec::new();
    data::write(
        &from_json(set.as_object().unwrap()).unwrap(),
        Encoding::ExplicitLittle,
        &mut bytes,
    );
    let pixels = 1_500_000;
    bytes.extend_from_slice(&[0xe0, 0x7f, 0x10, 0x00, b'O', b'W', 0, 0]);
    bytes.extend_from_slice(&(pixels as u32).to_le_bytes());
    bytes.resize(bytes.len() + pixels, (n % 251) as u8);
    let head = Head {
        class: CT.into(),
        instance,
        transfer_syntax: uid::EXPLICIT_LITTLE.into(),
    };
    (head, bytes)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(all) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    all.map(|one| one.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_midst_of_objects_lose_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::make(folder.path());
    let mut server = place.spawn();
    let entry = |key: &str| json!({ "key": key, "entry": { "AccessionNumber": key, "PatientName": "Roe^Jane" } });
    for key in ["A1", "A2"] {
        std::fs::write(
            folder.path().join(format!("drop/in/{key}.json")),
            entry(key).to_string(),
        )
        .unwrap();
    }
    let expected: BTreeSet<String> = ["A1", "A2"].map(str::to_owned).into();
    let mut moved = Instant::now();
    let mut kills = 0;
    let mut next_kill: Option<Instant> = None;
    let mut answered = BTreeSet::new();
    let mut listed = false;
    while answered.len() < OBJECTS || !listed {
        assert!(
            moved.elapsed() < PATIENCE,
            "{} answered; {}",
            answered.len(),
            place.log()
        );
        let n = answered.len();
        let storing = async {
            if n < OBJECTS && place.store(n).await {
                Some(n)
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        };
        tokio::select! {
            stored = storing => if let Some(n) = stored {
                answered.insert(n);
                moved = Instant::now();
                // Within the next object or two, wherever it then is.
                if kills < KILLS && answered.len() >= (kills + 1) * 8 {
                    let soon = moved + Duration::from_millis(kills as u64 * 7);
                    next_kill.get_or_insert(soon);
                }
            },
            () = tokio::time::sleep_until(next_kill.unwrap_or(moved).into()), if next_kill.is_some() => {
                server.kill().unwrap();
                server.wait().unwrap();
                kills += 1;
                server = place.spawn();
                next_kill = None;
            }
        }
        if !listed && let Some(found) = place.listed().await {
            let found: BTreeSet<String> = found.into_iter().collect();
            listed = found == expected;
        }
    }
    // Once more, with everything done: the worklist stands.
    server.kill().unwrap();
    server.wait().unwrap();
    server = place.spawn();
    let found = loop {
        if let Some(found) = place.listed().await {
            break found;
        }
        assert!(moved.elapsed() < PATIENCE, "{}", place.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    // Every object answered is there, once and whole; nothing half is.
    let mut whole = BTreeMap::new();
    for path in files(&folder.path().join("objects/1.2.77")) {
        let read = examine(std::fs::File::open(&path).unwrap(), Limits::default()).unwrap();
        let (_, bytes) = object(
            read.head
                .instance
                .rsplit('.')
                .next()
                .unwrap()
                .parse()
                .unwrap(),
        );
        assert!(std::fs::read(&path).unwrap().ends_with(&bytes));
        *whole.entry(read.head.instance).or_insert(0) += 1;
    }
    assert_eq!(whole.len(), OBJECTS);
    assert!(whole.values().all(|count| *count == 1), "{whole:?}");
    assert_eq!(files(&folder.path().join("objects/.incoming")).len(), 0);
    // Each is one message, and each message was delivered.
    let out = folder.path().join("drop/out");
    while files(&out)
        .iter()
        .filter(|path| path.extension().is_some_and(|one| one == "json"))
        .count()
        < OBJECTS
    {
        assert!(moved.elapsed() < PATIENCE, "{}", place.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut told = BTreeMap::new();
    for path in files(&out) {
        // What a kill left half written has a name that no reader takes.
        if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            continue;
        }
        let message: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let name = message["object"]["file"].as_str().unwrap().to_owned();
        assert!(
            folder.path().join("objects").join(&name).is_file(),
            "{name}"
        );
        *told.entry(name).or_insert(0) += 1;
    }
    assert_eq!(told.len(), OBJECTS);
    assert!(told.values().all(|count| *count == 1), "{told:?}");
    assert_eq!(kills, KILLS, "each in the midst of objects");
    server.kill().unwrap();
    server.wait().unwrap();
}
