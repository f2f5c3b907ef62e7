//! A SQLite file layer (VFS) that loses power, fills up and fails on demand.
//!
//! `kill -9` leaves the kernel's page cache intact, so it cannot show whether a commit was
//! really on the disk. This layer can: it stands between SQLite and the ordinary Unix layer,
//! lets every call through, and remembers per file what has *not* been synced yet. A
//! [`FaultVfs::power_cut`] then leaves what a real one could leave: what was synced, a
//! random part of what was not, torn at sectors of 512 bytes, and names of files that come
//! back or are missing because their folder was not synced.
//!
//! What the simulation takes for granted, because SQLite's Unix layer does too:
//! - a write never changes bytes outside its range (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`);
//! - 512 bytes at a multiple of 512 are written whole or not at all;
//! - a sync that returned success keeps everything written to that file before it. A sync
//!   that fails keeps a random part, and what it lost is never written again although reads
//!   still see it, as Linux does.
//!
//! Memory: a copy of every file as it is on the disk, and every write since its last sync.
//! It is made for the databases of tests, tens of megabytes large.
//!
//! ```
//! use wardline_faults::FaultVfs;
//! use rusqlite::{Connection, OpenFlags};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("orders.db");
//! let vfs = FaultVfs::register("example", 7)?;
//! let open = |name| Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), name);
//!
//! let db = open("example")?;
//! db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE placed (id); INSERT INTO placed VALUES (1)")?;
//! vfs.cut_after(3);
//! assert!(db.execute_batch("INSERT INTO placed VALUES (2)").is_err());
//! drop(db);
//! vfs.power_cut()?;
//!
//! let left: i64 = Connection::open(&path)?.query_row("SELECT count(*) FROM placed", [], |row| row.get(0))?;
//! assert!(left >= 1, "what was committed is there");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Start with [`FaultVfs`], then [`Rule`] for failures short of a power cut.

mod chance;
mod disk;
mod error;
mod gate;
mod handle;
mod rule;
#[allow(unsafe_code)] // The C table of SQLite's file layer; see the module.
mod vfs;

pub use disk::{CutReport, FileLeft};
pub use error::FaultError;
pub use handle::FaultVfs;
pub use rule::{Failure, Operation, Part, Rule};
