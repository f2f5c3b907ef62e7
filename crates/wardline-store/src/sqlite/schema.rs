//! The tables, their versions, and the settings without which they would not be durable.
//!
//! What shapes them:
//! - Rows are plain and few indexes stand beside them. The indexes of `delivery` are
//!   partial: only what is still owed, or failed, is in them, so their size follows the
//!   backlog and not the age of the store.
//! - Payloads live in `content`, apart from the rows that describe them, so that a search
//!   reads a hundred rows a page. Messages and deliveries share one space of ids and
//!   therefore one content table.
//! - The lanes that are stopped are exactly the deliveries that are retrying or held. The
//!   partial index `delivery_stopped` *is* the table of lane heads: it costs nothing while
//!   all goes well and cannot disagree with the deliveries.
//! - Random keys would touch a cold page each. `term` is clustered by bucket (see
//!   [`terms`](super::terms)), what keys are owed by run (see [`runs`](super::runs)), and the
//!   inbox is written in sorted runs (see
//!   [`inbox`](super::inbox)), so that inserts stay within a few hot pages however large the
//!   store is.
//! - What is kept of processes follows how many instances there are, not how many messages
//!   came: an instance is one row and one state, what it waits for stands where whoever looks
//!   for it looks (waits by what comes, timers by their time), and mail is taken out of the
//!   indexes over what is new and what is kept as soon as it is neither.

use crate::error::StoreError;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// Version of the schema this binary writes, kept in `PRAGMA user_version`.
pub(super) const VERSION: u32 = 5;
/// Oldest SQLite without the WAL-reset corruption of 3.7.0–3.51.2 (sqlite.org/wal.html).
const MIN_SQLITE: i32 = 3_051_003;
/// Bytes a database page holds.
pub(super) const PAGE_BYTES: u64 = 8_192;

/// How hard a commit tries to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `synchronous=FULL`: every commit is synced before it returns. The only setting that
    /// keeps the promise "acknowledged is durable".
    #[default]
    Full,
    /// `synchronous=NORMAL`: the log is synced at checkpoints only, so a power cut loses
    /// acknowledged messages. It exists so that the power-cut suite can prove that it
    /// notices; no configuration reaches it.
    Normal,
}

/// Each step brings a store from the version of its place to the next; a step is never
/// edited once released.
const MIGRATIONS: &[&str] = &["
CREATE TABLE internal (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    ordinal INTEGER NOT NULL,
    block INTEGER NOT NULL,
    source INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    content_type INTEGER NOT NULL,
    cause INTEGER,
    key_index INTEGER,
    key_text TEXT,
    lane INTEGER NOT NULL,
    received INTEGER NOT NULL,
    size INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    flagged INTEGER NOT NULL,
    routes BLOB
);
CREATE TABLE content (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE response (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    flow INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    key_index INTEGER,
    key_text TEXT,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next INTEGER,
    since INTEGER,
    first_attempt INTEGER,
    settled INTEGER NOT NULL,
    took_us INTEGER,
    status TEXT,
    note_code TEXT,
    note_text TEXT,
    fingerprint INTEGER,
    own_body INTEGER NOT NULL,
    size INTEGER NOT NULL,
    content_type INTEGER NOT NULL,
    replay_of INTEGER
);
CREATE INDEX delivery_open ON delivery (destination, lane) WHERE state <= 2;
CREATE INDEX delivery_key ON delivery (destination, lane, key_index) WHERE state <= 2;
CREATE INDEX delivery_stopped ON delivery (destination) WHERE state IN (1, 2);
CREATE INDEX delivery_failed ON delivery (state) WHERE state IN (2, 4);
CREATE INDEX delivery_alike ON delivery (destination, fingerprint) WHERE state IN (2, 4);

CREATE TABLE attempt (
    delivery INTEGER NOT NULL,
    started INTEGER NOT NULL,
    number INTEGER NOT NULL,
    took_us INTEGER NOT NULL,
    status TEXT NOT NULL,
    note_code TEXT NOT NULL,
    note_text TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    PRIMARY KEY (delivery, started, number)
) WITHOUT ROWID;

CREATE TABLE link (
    origin INTEGER NOT NULL,
    target INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (origin, target)
) WITHOUT ROWID;

CREATE TABLE inbox_recent (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    hash BLOB NOT NULL,
    digest INTEGER NOT NULL
);
CREATE TABLE inbox_run (
    run INTEGER NOT NULL,
    hash BLOB NOT NULL,
    source INTEGER NOT NULL,
    message INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY (run, hash, source)
) WITHOUT ROWID;
CREATE TABLE inbox_filter (run INTEGER PRIMARY KEY, newest INTEGER NOT NULL, filter BLOB NOT NULL);
CREATE TABLE answer (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

CREATE TABLE term (
    bucket INTEGER NOT NULL,
    value INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (bucket, value, message)
) WITHOUT ROWID;

CREATE TABLE counter (
    minute INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name INTEGER NOT NULL,
    flow INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (minute, kind, name, flow)
) WITHOUT ROWID;
CREATE TABLE total (
    kind INTEGER NOT NULL,
    name INTEGER NOT NULL,
    flow INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (kind, name, flow)
) WITHOUT ROWID;
CREATE TABLE gauge (
    destination INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    state INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (destination, lane, state)
) WITHOUT ROWID;
CREATE TABLE failure (
    destination INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    state INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (destination, fingerprint, state)
) WITHOUT ROWID;

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE kept (block INTEGER NOT NULL, what INTEGER NOT NULL, PRIMARY KEY (what, block)) WITHOUT ROWID;
", "
ALTER TABLE delivery ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
DROP INDEX delivery_key;
CREATE INDEX delivery_key ON delivery (destination, lane, run, key_index) WHERE state <= 2;
", "
CREATE TABLE keyed (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    begun INTEGER NOT NULL,
    until INTEGER NOT NULL,
    answer BLOB
);
CREATE INDEX keyed_until ON keyed (until);
", "
CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    process INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    key_text TEXT,
    phase INTEGER NOT NULL,
    status INTEGER NOT NULL,
    step INTEGER,
    note_code TEXT,
    note_text TEXT,
    fingerprint INTEGER,
    owner INTEGER,
    facility INTEGER,
    due INTEGER,
    began INTEGER NOT NULL,
    advanced INTEGER NOT NULL,
    since INTEGER NOT NULL,
    ended INTEGER,
    summary BLOB
);
CREATE INDEX instance_key ON instance (key_index, process);
CREATE UNIQUE INDEX instance_open ON instance (key_index, process) WHERE phase <= 2;
CREATE INDEX instance_stands ON instance (process, status, phase);
CREATE INDEX instance_due ON instance (due) WHERE phase <= 2 AND due IS NOT NULL;
CREATE INDEX instance_owner ON instance (owner) WHERE phase <= 2 AND owner IS NOT NULL;
CREATE INDEX instance_ended ON instance (ended) WHERE ended IS NOT NULL;
CREATE TABLE instance_state (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE instance_gauge (
    process INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    status INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (process, definition, phase, status)
) WITHOUT ROWID;

CREATE TABLE history (
    instance INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    lines TEXT NOT NULL,
    PRIMARY KEY (instance, revision)
) WITHOUT ROWID;

CREATE TABLE wait (
    correlator INTEGER NOT NULL,
    key INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (correlator, key, instance, number)
) WITHOUT ROWID;
CREATE INDEX wait_instance ON wait (instance, number);

CREATE TABLE timer (
    due INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (due, instance, number)
) WITHOUT ROWID;
CREATE INDEX timer_instance ON timer (instance, number);

CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    number INTEGER NOT NULL,
    process INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    key_text TEXT,
    step INTEGER NOT NULL,
    role INTEGER NOT NULL,
    facility INTEGER,
    claimed TEXT,
    asked INTEGER NOT NULL,
    due INTEGER,
    ended INTEGER,
    ended_by TEXT,
    choice TEXT,
    body BLOB NOT NULL
);
CREATE INDEX task_instance ON task (instance, number);
CREATE INDEX task_role ON task (role) WHERE ended IS NULL;
CREATE INDEX task_claimed ON task (claimed) WHERE ended IS NULL AND claimed IS NOT NULL;
CREATE INDEX task_open ON task (id) WHERE ended IS NULL;

CREATE TABLE mail (
    id INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    message INTEGER NOT NULL,
    correlator INTEGER,
    key INTEGER,
    digest INTEGER,
    instance INTEGER,
    call INTEGER,
    delivery INTEGER,
    until INTEGER
);
CREATE INDEX mail_new ON mail (id) WHERE state = 0;
CREATE INDEX mail_waits ON mail (correlator, key) WHERE state <= 1 AND correlator IS NOT NULL;
CREATE INDEX mail_known ON mail (digest, correlator, key) WHERE correlator IS NOT NULL;
CREATE INDEX mail_instance ON mail (instance) WHERE state <= 1 AND instance IS NOT NULL;
CREATE INDEX mail_until ON mail (until) WHERE state >= 1 AND until IS NOT NULL;

ALTER TABLE delivery ADD COLUMN instance INTEGER;
ALTER TABLE delivery ADD COLUMN call INTEGER;
CREATE INDEX delivery_call ON delivery (instance, call) WHERE instance IS NOT NULL;
", "
CREATE TABLE resource (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    source INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    uniq BLOB,
    known BLOB,
    changed INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX resource_order ON resource (source, kind, place);
CREATE UNIQUE INDEX resource_unique ON resource (source, kind, uniq) WHERE uniq IS NOT NULL;
CREATE INDEX resource_known ON resource (source, kind, known) WHERE known IS NOT NULL;
CREATE INDEX resource_changed ON resource (changed);
CREATE TABLE resource_count (
    source INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (source, kind)
) WITHOUT ROWID;
"];

/// Refuses a library that can corrupt what it promises to keep.
pub(super) fn assert_library() -> Result<(), StoreError> {
    let found = rusqlite::version_number();
    if found < MIN_SQLITE {
        return Err(StoreError::Unsafe(format!(
            "the linked SQLite is {}, older than 3.51.3, and can corrupt a store when its log is reset: \
             build with the bundled library",
            rusqlite::version()
        )));
    }
    Ok(())
}

/// Sets what the writing connection needs and reads back what durability rests on.
pub(super) fn prepare_writer(
    conn: &Connection,
    durability: Durability,
    cache_bytes: u64,
) -> Result<(), SetupError> {
    conn.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    // Takes effect only on a file without tables; later it is what the file says.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(SetupError::Unsafe(format!(
            "the journal mode is `{mode}` instead of WAL on this file system"
        )));
    }
    let (word, number) = match durability {
        Durability::Full => ("FULL", 2),
        Durability::Normal => ("NORMAL", 1),
    };
    conn.pragma_update(None, "synchronous", word)?;
    let set: i64 = conn.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    if set != number {
        return Err(SetupError::Unsafe(format!(
            "synchronous is {set} after it was set to {word}"
        )));
    }
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(
        None,
        "cache_size",
        -i64::try_from(cache_bytes / 1_024).unwrap_or(65_536),
    )?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Sets what a reading connection needs.
pub(super) fn prepare_reader(conn: &Connection, cache_bytes: u64) -> rusqlite::Result<()> {
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(
        None,
        "cache_size",
        -i64::try_from(cache_bytes / 1_024).unwrap_or(8_192),
    )?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Why a connection could not be made ready.
pub(super) enum SetupError {
    /// The database said no.
    Sqlite(rusqlite::Error),
    /// It said yes but does not do it.
    Unsafe(String),
}

impl From<rusqlite::Error> for SetupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The version of the schema in the file, refused when it is newer than this binary.
pub(super) fn version(conn: &Connection, path: &Path) -> Result<rusqlite::Result<u32>, StoreError> {
    let found: u32 = match conn.query_row("PRAGMA user_version", [], |row| row.get(0)) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    if found > VERSION {
        return Err(StoreError::TooNew {
            path: path.display().to_string(),
            found,
            known: VERSION,
        });
    }
    Ok(Ok(found))
}

/// Brings the file to [`VERSION`], each step in its own transaction.
pub(super) fn migrate(conn: &Connection, found: u32) -> rusqlite::Result<()> {
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let tx = conn.unchecked_transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", step as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}

/// Reads a number that the store keeps for itself.
pub(super) fn internal(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT value FROM internal WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Keeps a number of the store's own.
pub(super) fn set_internal(conn: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO internal (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute((name, value))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_version_owed_is_found_by_its_key() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(MIGRATIONS[0]).unwrap();
        conn.execute_batch(
            "INSERT INTO delivery (id, message, flow, destination, lane, key_index, state, attempts, settled,
                 own_body, size, content_type)
             VALUES (7, 6, 1, 2, 1, 99, 0, 0, 0, 0, 0, 3)",
        )
        .unwrap();
        migrate(&conn, 1).unwrap();
        let version: u32 = conn
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, VERSION);
        let found = super::super::read::key_window(
            &conn,
            wardline_core::Sym(2),
            wardline_core::Lane::from_u8(1),
            Some(wardline_core::BlindIndex(99)),
            wardline_core::Id::ZERO,
            10,
        );
        // Its payload is missing here, so it comes with an empty one.
        assert_eq!(found.unwrap().len(), 1);
    }
}
