//! An estate written to a temporary directory, and the engine that runs it.

use crate::sender::Sender;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wardline_core::{Clock, RealClock};
use wardline_engine::view::{DeliveryView, MessageQuery, MessageView, Selection};
use wardline_engine::{Desk, Engine, Parts, Plan};
use wardline_estate::{LoadOptions, load};
use wardline_store::Store;
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_vault::{Secrets, Vault};

/// Longer than anything here takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Files that most tests share: one inbound HL7 connection, and the map of its messages.
const BASE: &[(&str, &str)] = &[
    (
        "wardline.yaml",
        "estate: trial\nkeys: { provider: env }\nretention: { payloads: 2d, records: 10d, audit: 30d }\n\
         listeners: { internal: { zone: internal, bind: \"127.0.0.1:0\" } }\n",
    ),
    (
        "systems/ehr.yaml",
        "system: ehr\nowner: clinical\nconnections:\n  adt:\n    mllp: { listen: \"127.0.0.1:0\" }\n    \
         duplicate: { by: [MSH-10], within: 7d }\n    keys: { mrn: PID-3.1 }\n",
    ),
    (
        "maps/visit.vrl",
        ".id = hl7(\"MSH-10\")\n.event = hl7(\"MSH-9.2\")\n.visit = hl7(\"PV1-19.1\")\n\
         .account = hl7(\"PID-18.1\")\n.ward = hl7(\"PV1-3.1\")\n",
    ),
    (
        "entities/visit.yaml",
        "entity: visit\nversion: 1.0.0\nowner: clinical\nschema: visit.schema.json\nsensitivity: { account: financial }\n",
    ),
    (
        "entities/visit.schema.json",
        r#"{ "type": "object", "required": ["id", "visit"] }"#,
    ),
];

pub(crate) struct Stage {
    directory: TempDir,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    engine: Option<Engine>,
    store: Option<Arc<dyn Store>>,
    /// The file layer that the journal is on, where it is not the system's.
    vfs: Option<String>,
}

impl Stage {
    /// Writes the estate and starts it.
    pub(crate) async fn start(files: &[(&str, String)]) -> Self {
        Self::start_at(files, Arc::new(RealClock)).await
    }

    pub(crate) async fn start_at(files: &[(&str, String)], clock: Arc<dyn Clock>) -> Self {
        Self::start_on(files, clock, None).await
    }

    /// With its journal on a file layer of that name.
    pub(crate) async fn start_on(
        files: &[(&str, String)],
        clock: Arc<dyn Clock>,
        vfs: Option<String>,
    ) -> Self {
        crate::logs::keep();
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("estate");
        for (path, text) in BASE {
            write(&root.join(path), text);
        }
        for (path, text) in files {
            write(&root.join(path), text);
        }
        let vault = Vault::ephemeral("trial", Arc::clone(&clock)).unwrap();
        let mut stage = Self {
            directory,
            vault,
            clock,
            engine: None,
            store: None,
            vfs,
        };
        stage.go_on().await;
        stage
    }

    /// Starts a new engine on the journal that is there.
    pub(crate) async fn go_on(&mut self) {
        let options = Options {
            clock: Arc::clone(&self.clock),
            vfs: self.vfs.clone(),
            ..Options::default()
        };
        let store = SqliteStore::open(&self.directory.path().join("journal.db"), options).unwrap();
        self.store = Some(store as Arc<dyn Store>);
        let engine = Engine::start(self.parts());
        self.engine = Some(engine.await.unwrap());
    }

    fn parts(&self) -> Parts {
        Parts {
            plan: self.plan(),
            store: self.store(),
            vault: Arc::clone(&self.vault),
            secrets: Secrets::in_directory(self.directory.path().join("secrets")),
            clock: Arc::clone(&self.clock),
            room: Some(self.directory.path().to_owned()),
        }
    }

    /// The journal.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    /// Where calls of Apis to processes are handed in.
    pub(crate) fn door(&self) -> wardline_engine::ProcessDoor {
        self.engine.as_ref().unwrap().process_door()
    }

    /// The estate as its files are now.
    fn plan(&self) -> Arc<Plan> {
        let root = self.directory.path().join("estate");
        let mut loaded = load(&root, &LoadOptions::default());
        let plan = loaded
            .estate
            .take()
            .and_then(|estate| Plan::compile(Arc::new(estate), &mut loaded.diagnostics));
        Arc::new(
            plan.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(&loaded.sources, false))),
        )
    }

    /// Puts the estate in force as its files are now; says what that changed.
    pub(crate) async fn change(&mut self) -> Vec<String> {
        let plan = self.plan();
        let engine = self.engine.as_mut().unwrap();
        let prepared = engine.prepare(plan).await.unwrap();
        let changes = prepared.changes().iter().map(ToString::to_string).collect();
        engine.apply(prepared);
        changes
    }

    /// As [`Stage::change`], where it cannot be done.
    pub(crate) async fn cannot_change(&mut self) -> String {
        let plan = self.plan();
        let prepared = self.engine.as_mut().unwrap().prepare(plan).await;
        prepared.err().expect("a reason why not").to_string()
    }

    pub(crate) async fn stop(&mut self, limit: Duration) {
        self.store = None;
        self.engine.take().unwrap().stop(limit).await;
    }

    /// Replaces a file of the estate; the next start reads it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.directory.path().join("estate").join(path), text);
    }

    /// Removes a file of the estate.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.directory.path().join("estate").join(path)).unwrap();
    }

    pub(crate) fn gates(&self) -> wardline_engine::CallGates {
        self.engine.as_ref().unwrap().gates().clone()
    }

    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.engine.as_ref().unwrap().desk()
    }

    /// Where a source listens.
    pub(crate) fn place(&self, source: &str) -> &str {
        &self.engine.as_ref().unwrap().places()[source]
    }

    pub(crate) async fn sender(&self) -> Sender {
        Sender::connect(self.place("ehr.adt")).await
    }

    /// All deliveries to a destination, oldest first.
    pub(crate) async fn to(&self, destination: &str) -> Vec<DeliveryView> {
        let select = Selection {
            destination: Some(destination.to_owned()),
            ..Selection::default()
        };
        let mut rows = self
            .desk()
            .deliveries(&select, None, 1_000)
            .await
            .unwrap()
            .rows;
        rows.reverse();
        rows
    }

    /// All messages from outside, oldest first.
    pub(crate) async fn messages(&self) -> Vec<MessageView> {
        let query = MessageQuery {
            limit: 1_000,
            ..MessageQuery::default()
        };
        let mut rows = self.desk().messages(&query).await.unwrap().rows;
        rows.reverse();
        rows
    }

    /// Waits until nothing is open, and demands that the sums agree.
    pub(crate) async fn settled(&self) {
        until("everything came to its end", async || {
            self.desk().balance().await.unwrap().open == 0
        })
        .await;
        let balance = self.desk().balance().await.unwrap();
        assert!(balance.holds(), "{balance:?}");
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A system that is called over HTTP, with the connection settings given, and one operation a
/// word: `POST /WORD`.
pub(crate) fn system(
    name: &str,
    url: &str,
    settings: &str,
    operations: &[&str],
) -> (String, String) {
    let mut text = format!(
        "system: {name}\nowner: somebody\nconnections:\n  api:\n    http: {{ url: \"{url}\", timeout: 5s }}\n"
    );
    for line in settings.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    text.push_str("operations:\n");
    for word in operations {
        write!(
            text,
            "  {word}:\n    http: {{ connection: api, post: \"/{word}\" }}\n"
        )
        .unwrap();
    }
    (format!("systems/{name}.yaml"), text)
}

/// Retries that tests can wait for.
pub(crate) const SOON: &str =
    "retry: { first: 5ms, factor: 1, max: 5ms, attempts: 0, jitter: none }";
