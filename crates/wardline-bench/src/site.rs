//! What a bench runs on: an estate written into a scratch directory, and the real engine on a
//! store beside it. Everything is removed when the site is dropped.

use crate::{BenchError, machine};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wardline_core::{Clock, RealClock};
use wardline_engine::{Engine, Parts, Plan};
use wardline_estate::LoadOptions;
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{Store, StoreError};
use wardline_vault::{Secrets, Vault};

/// A file of an estate: where it goes, and its text.
pub(crate) type File = (&'static str, &'static str);

macro_rules! files {
    ($($path:literal),* $(,)?) => { [$(($path, include_str!(concat!("../estate/", $path)))),*] };
}

/// What every estate of a bench has: the clinical record and the event that its discharges become.
const CORE: [File; 10] = files![
    "wardline.yaml",
    "systems/ehr.yaml",
    "flows/discharge.yaml",
    "maps/adt-to-encounter.vrl",
    "entities/encounter.yaml",
    "entities/encounter.schema.json",
    "codes/disposition.csv",
    "codes/disposition.yaml",
    "codes/sex.csv",
    "codes/sex.yaml",
];

/// Three deliveries to nowhere.
pub(crate) const SINKS: [File; 2] = files!["systems/sinks.yaml", "flows/to-sinks.yaml"];
/// Three deliveries to `{billing}`, `{beds}` (HTTP) and `{archive}` (MLLP).
pub(crate) const RECEIVERS: [File; 2] = files!["systems/receivers.yaml", "flows/to-receivers.yaml"];
/// Two jobs over records without an end: into files, and as messages to nowhere.
pub(crate) const JOBS: [File; 3] =
    files!["systems/items.yaml", "jobs/items.yaml", "flows/items.yaml"];
/// Deliveries that are in the journal already, to `{service}` (HTTP) and to nowhere.
pub(crate) const BACKLOG: [File; 2] = files!["systems/backlog.yaml", "flows/backlog.yaml"];

/// The source that messages of the benches come through.
const SOURCE: &str = "ehr.adt";
/// How long the engine may take to finish what it is sending.
const STOP: Duration = Duration::from_mins(1);

/// A directory on a disk that is removed when dropped.
pub(crate) fn scratch(directory: Option<&Path>) -> Result<TempDir, BenchError> {
    let place = machine::place(directory)?;
    tempfile::Builder::new()
        .prefix("wardline-bench-")
        .tempdir_in(&place)
        .map_err(|source| BenchError::File {
            doing: "make a directory in",
            path: place,
            source,
        })
}

/// An estate with its store, ready to be started.
pub(crate) struct Site {
    directory: TempDir,
    plan: Arc<Plan>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
}

impl Site {
    /// Writes the estate, with `ports` filled in for `{name}` and its own directory for `{root}`,
    /// and compiles it.
    pub(crate) fn build(
        directory: Option<&Path>,
        files: &[File],
        ports: &[(&str, SocketAddr)],
    ) -> Result<Self, BenchError> {
        let directory = scratch(directory)?;
        let root = directory.path().join("estate");
        for (path, text) in CORE.iter().chain(files) {
            let mut text = text.replace("{root}", &directory.path().display().to_string());
            for (name, address) in ports {
                text = text.replace(&format!("{{{name}}}"), &address.to_string());
            }
            write(&root.join(path), &text)?;
        }
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let plan = compile(&root)?;
        let vault = Vault::ephemeral(&plan.estate.name, Arc::clone(&clock))?;
        Ok(Self {
            directory,
            plan,
            vault,
            clock,
        })
    }

    /// Makes what the jobs of [`JOBS`] read and where they write.
    pub(crate) fn prepare(&self) -> Result<(), BenchError> {
        write(&self.directory.path().join("items.db"), "")?;
        write(&self.directory.path().join("lake/.keep"), "")
    }

    /// Opens the store; made where it is not there yet. Blocks for the time of a few commits.
    pub(crate) fn store(&self) -> Result<Arc<SqliteStore>, StoreError> {
        SqliteStore::open(
            &self.journal(),
            Options {
                clock: Arc::clone(&self.clock),
                ..Options::default()
            },
        )
    }

    /// Starts the engine on a store of this site.
    pub(crate) async fn start(&self, store: Arc<SqliteStore>) -> Result<Running, BenchError> {
        let parts = Parts {
            plan: Arc::clone(&self.plan),
            store: Arc::clone(&store) as Arc<dyn Store>,
            vault: Arc::clone(&self.vault),
            secrets: Secrets::in_directory(self.directory.path().join("secrets")),
            clock: Arc::clone(&self.clock),
            room: Some(self.directory.path().to_owned()),
        };
        let changes_before = store.status().changes;
        Ok(Running {
            engine: Engine::start(parts).await?,
            store,
            changes_before,
        })
    }

    /// What seals payloads here.
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    fn journal(&self) -> PathBuf {
        self.directory.path().join("journal.db")
    }
}

/// A running engine and its store.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<SqliteStore>,
    changes_before: u64,
}

impl Running {
    /// Where the clinical record sends to.
    pub(crate) fn intake(&self) -> Result<SocketAddr, BenchError> {
        let place = self.engine.places().get(SOURCE);
        place
            .and_then(|words| words.split(' ').find_map(|word| word.parse().ok()))
            .ok_or_else(|| BenchError::Socket {
                doing: "find the listener among",
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                source: std::io::ErrorKind::NotFound.into(),
            })
    }

    /// Stops the engine and closes the store.
    pub(crate) async fn stop(self) {
        self.engine.stop(STOP).await;
    }

    /// Waits until `done` deliveries have been delivered since the start. Fails where nothing is
    /// delivered for half a minute.
    pub(crate) async fn delivered(&self, done: u64) -> Result<(), BenchError> {
        const QUIET: Duration = Duration::from_secs(30);
        let desk = self.engine.desk();
        let mut last = (0, Instant::now());
        loop {
            // Asking for sums costs queries. Every delivery is at least one change, so until there
            // are as many changes it cannot be over, and that costs nothing to know.
            let changes = self.store.status().changes - self.changes_before;
            let mut progress = changes.min(done);
            if changes >= done {
                let sent = desk.balance().await?.sent_since_start;
                if sent >= done {
                    return Ok(());
                }
                progress += sent;
            }
            if progress > last.0 {
                last = (progress, Instant::now());
            } else if last.1.elapsed() > QUIET {
                let sent = desk.balance().await?.sent_since_start;
                return Err(BenchError::Stuck {
                    done: sent,
                    of: done,
                    quiet_s: QUIET.as_secs(),
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    let wrong = |source| BenchError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(wrong)?;
    }
    fs::write(path, text).map_err(wrong)
}

fn compile(root: &Path) -> Result<Arc<Plan>, BenchError> {
    let loaded = wardline_estate::load(root, &LoadOptions::default());
    let mut diagnostics = loaded.diagnostics;
    let plan = loaded
        .estate
        .and_then(|estate| Plan::compile(Arc::new(estate), &mut diagnostics));
    match plan {
        Some(plan) if diagnostics.is_empty() => Ok(Arc::new(plan)),
        _ => Err(BenchError::Estate {
            diagnostics: diagnostics.render(&loaded.sources, false),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{BACKLOG, JOBS, RECEIVERS, SINKS, Site};
    use std::net::SocketAddr;

    #[test]
    fn the_estates_are_well() {
        let any = SocketAddr::from(([127, 0, 0, 1], 9));
        let ports = [
            ("billing", any),
            ("beds", any),
            ("archive", any),
            ("service", any),
        ];
        let with_jobs: Vec<_> = RECEIVERS.into_iter().chain(JOBS).collect();
        for files in [&SINKS[..], &RECEIVERS, &BACKLOG, &with_jobs] {
            if let Err(error) = Site::build(None, files, &ports) {
                panic!("{error}");
            }
        }
    }
}
