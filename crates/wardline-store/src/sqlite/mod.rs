//! The journal in one SQLite file: one thread writes, a few connections read.
//!
//! [`SqliteStore::open`] takes the lock, brings the schema up to date, starts the writer and
//! returns; nothing is scanned, so a large store opens as fast as a small one. The parts:
//! `queue` is the bounded way in, `writer` gathers what is queued into transactions,
//! `apply` looks at a call as a whole, `accept`, `settle`, `operate`, `advance`, `mail`, `tasks`
//! and `prune` are what it does in them, `read`, `search`, `trace`, `counts`, `instances` and
//! `waits` are the queries.

mod accept;
mod advance;
mod api;
mod apply;
mod beside;
mod counts;
#[cfg(test)]
mod faults;
mod filter;
mod health;
mod ids;
mod inbox;
mod instances;
mod keyed;
mod mail;
mod names;
mod operate;
mod prune;
mod queue;
mod read;
mod resource;
mod rows;
mod runs;
mod schema;
mod search;
mod settle;
mod statements;
mod tally;
mod tasks;
mod terms;
mod trace;
mod trouble;
mod waits;
mod writer;

pub use schema::Durability;
pub use trouble::Fatal;

use crate::CommitListener;
use crate::change::Lease;
use crate::error::StoreError;
use health::Health;
use ids::IdSource;
use inbox::Inbox;
use keyed::Keyed;
use mail::Post;
use names::Names;
use parking_lot::{Mutex, RwLock};
use queue::Queue;
use read::Readers;
use runs::RunSource;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tally::Tally;
use wardline_core::{Clock, Id, RealClock};
use writer::{Start, Writer};

/// How often a journal that another process has is looked at again.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// How a store is opened. The defaults are right for production.
///
/// ```
/// let options = wardline_store::sqlite::Options { node: 3, ..Default::default() };
/// assert_eq!(options.durability, wardline_store::sqlite::Durability::Full);
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of this node in ids, 0 to 63.
    pub node: u8,
    /// How hard a commit tries to survive a power cut; anything but the default is for tests
    /// that must fail.
    pub durability: Durability,
    /// Room on the way to the writer, in calls of up to 16 KB; a larger call takes more.
    /// Beyond it callers wait.
    pub queue: usize,
    /// Callers that may wait before the next is refused with [`StoreError::Busy`].
    pub waiters: usize,
    /// Reading connections, which is also how many reads run at once.
    pub readers: usize,
    /// Bytes of database pages that the writer keeps in memory.
    pub writer_cache_bytes: u64,
    /// Bytes of database pages that each reading connection keeps in memory.
    pub reader_cache_bytes: u64,
    /// Bytes that the write-ahead log may grow to. Reads that follow each other without a gap
    /// keep it from beginning anew; past this, they are held back for a moment.
    pub log_bytes: u64,
    /// Deliveries that stand together in the index over keys. Fewer make settling touch fewer
    /// pages, and reading what one key is owed probe more runs.
    pub run: u32,
    /// How long to wait for another process that has the journal: a command that looks at it
    /// has it for a moment, and so has a server that is about to end.
    pub patience: Duration,
    /// Where ids and counts have their time from.
    pub clock: Arc<dyn Clock>,
    /// Name of a registered SQLite VFS to use in place of the default, for fault injection.
    pub vfs: Option<String>,
    /// What to do when it is unknown what is on the disk.
    pub fatal: Fatal,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node: 0,
            durability: Durability::Full,
            queue: 8_192,
            waiters: 65_536,
            readers: 4,
            writer_cache_bytes: 64 << 20,
            reader_cache_bytes: 8 << 20,
            log_bytes: 256 << 20,
            run: runs::RUN,
            patience: Duration::ZERO,
            clock: Arc::new(RealClock),
            vfs: None,
            fatal: Fatal::default(),
        }
    }
}

/// The journal in one SQLite file. See the [module](self).
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    queue: Queue,
    readers: Arc<Readers>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and the callers both see.
pub(crate) struct Shared {
    path: PathBuf,
    lease: Lease,
    clock: Arc<dyn Clock>,
    names: RwLock<Names>,
    listener: RwLock<Option<Arc<dyn CommitListener>>>,
    health: Health,
    /// Held by each read while it runs, and by the writer to begin the log anew.
    turn: RwLock<()>,
    /// See [`Options::log_bytes`].
    log_bytes: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("path", &self.path)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in the file `path`, making it if it is not there, and starts its
    /// writer. Blocks for the time of a few commits, after [`Options::patience`] at most.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it, [`StoreError::TooNew`] when a newer
    /// version wrote it, [`StoreError::Unsafe`] when the linked SQLite cannot be trusted, or
    /// what the file system said.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>, StoreError> {
        schema::assert_library()?;
        let lock = lock(path, options.patience)?;
        let conn = connect(path, options.vfs.as_deref())?;
        let opened = prepare(conn, path, &options)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            lease: opened.lease,
            clock: Arc::clone(&options.clock),
            names: RwLock::new(opened.names),
            listener: RwLock::new(None),
            health: Health::default(),
            turn: RwLock::new(()),
            log_bytes: options.log_bytes,
        });
        let (queue, requests) = Queue::new(options.queue, options.waiters);
        let (started, start) = mpsc::channel();
        let thread = {
            let shared = Arc::clone(&shared);
            let Opened {
                conn,
                start,
                wal_pages,
                ..
            } = opened;
            let fatal = options.fatal.clone();
            std::thread::Builder::new()
                .name("journal-writer".into())
                .spawn(move || {
                    // Given up only when the connection is closed.
                    let _lock = lock;
                    let _watch = Watch(Arc::clone(&shared));
                    match Writer::new(&conn, shared, start, wal_pages, fatal) {
                        Ok(mut writer) => {
                            drop(started.send(Ok(())));
                            writer.serve(&requests);
                        }
                        Err(error) => drop(started.send(Err(error))),
                    }
                })
        };
        let refuse = |reason: String| StoreError::Database {
            doing: "starting the journal's writer",
            reason,
        };
        let thread = thread.map_err(|error| refuse(error.to_string()))?;
        match start.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(trouble::refused(
                    path,
                    "preparing the journal's statements",
                    &error,
                ));
            }
            Err(error) => return Err(refuse(error.to_string())),
        }
        let readers = Readers::new(
            Arc::clone(&shared),
            options.vfs,
            options.readers,
            options.reader_cache_bytes,
        );
        Ok(Arc::new(Self {
            shared,
            queue,
            readers: Arc::new(readers),
            thread: Mutex::new(Some(thread)),
        }))
    }
}

/// Tells operators when the writer ends by a panic, of a listener for example: from then on
/// every call is refused.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "it ended by a panic; nothing can be recorded until the next start".into();
            self.0.health.trouble(&StoreError::Database {
                doing: "writing the journal",
                reason,
            });
        }
    }
}

fn lock(path: &Path, patience: Duration) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let denied = |error: std::io::Error| StoreError::ReadOnly {
        path: PathBuf::from(&name).display().to_string(),
        reason: error.to_string(),
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(denied)?;
    let until = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(LOCK_LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.display().to_string(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(denied(error)),
        }
    }
}

fn connect(path: &Path, vfs: Option<&str>) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
    .map_err(|error| trouble::refused(path, "opening the journal", &error))
}

struct Opened {
    conn: Connection,
    names: Names,
    lease: Lease,
    start: Start,
    wal_pages: Arc<AtomicU64>,
}

/// Sets the connection up, migrates, and reads what the writer continues from.
fn prepare(mut conn: Connection, path: &Path, options: &Options) -> Result<Opened, StoreError> {
    let refused = |doing| move |error: rusqlite::Error| trouble::refused(path, doing, &error);
    // Before anything is written: a store of a newer version is left as it is.
    let found = schema::version(&conn, path)?.map_err(refused("reading the schema's version"))?;
    schema::prepare_writer(&conn, options.durability, options.writer_cache_bytes).map_err(
        |error| match error {
            schema::SetupError::Sqlite(error) => {
                trouble::refused(path, "setting up the journal", &error)
            }
            schema::SetupError::Unsafe(what) => StoreError::Unsafe(what),
        },
    )?;
    schema::migrate(&conn, found).map_err(refused("migrating the journal"))?;
    let wal_pages = Arc::new(AtomicU64::new(0));
    {
        let wal_pages = Arc::clone(&wal_pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            wal_pages.store(
                u64::try_from(pages).unwrap_or(0),
                std::sync::atomic::Ordering::Relaxed,
            );
            Ok(())
        }))
        .map_err(refused("watching the log"))?;
    }
    let opened = (|| {
        let epoch = schema::internal(&conn, "epoch")?.unwrap_or(0) + 1;
        schema::set_internal(&conn, "epoch", epoch)?;
        let last: i64 = conn.query_row(
            "SELECT max(coalesce((SELECT max(id) FROM message), 0), coalesce((SELECT max(id) FROM delivery), 0),
                 coalesce((SELECT max(id) FROM instance), 0), coalesce((SELECT max(id) FROM task), 0),
                 coalesce((SELECT value FROM internal WHERE name = 'high_id'), 0))",
            [],
            |row| row.get(0),
        )?;
        let audit_next: i64 = conn.query_row(
            "SELECT coalesce(max(sequence) + 1, 0) FROM audit",
            [],
            |row| row.get(0),
        )?;
        let start = Start {
            ids: IdSource::after(options.node, Id::from_i64(last)),
            tally: Tally::load(&conn)?,
            inbox: Inbox::load(&conn)?,
            keyed: Keyed::load(&conn)?,
            post: Post::load(&conn)?,
            runs: RunSource::new(options.run),
            audit_next: audit_next as u64,
        };
        Ok((
            Names::load(&conn)?,
            Lease {
                epoch: epoch as u64,
            },
            start,
        ))
    })();
    let (names, lease, start) = opened.map_err(refused("opening the journal"))?;
    Ok(Opened {
        conn,
        names,
        lease,
        start,
        wal_pages,
    })
}

impl Drop for SqliteStore {
    /// Waits for the writer to finish what is queued, so that the file can be opened again at
    /// once.
    fn drop(&mut self) {
        drop(self.queue.close());
        self.readers.close();
        if let Some(thread) = self.thread.lock().take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the journal's writer ended by a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.
    use super::{Duration, Options, SqliteStore, StoreError};
    use crate::Store as _;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_journal_that_another_has_is_waited_for_as_long_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let first = SqliteStore::open(&path, Options::default()).unwrap();
        let second = SqliteStore::open(&path, Options::default());
        assert!(matches!(second, Err(StoreError::InUse { .. })));
        let patient = Options {
            patience: Duration::from_mins(1),
            ..Options::default()
        };
        let opening = tokio::task::spawn_blocking(move || SqliteStore::open(&path, patient));
        first.close().await.unwrap();
        drop(first);
        opening.await.unwrap().unwrap().close().await.unwrap();
    }
}
