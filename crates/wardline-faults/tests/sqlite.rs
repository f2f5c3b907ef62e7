//! The layer tried on bare SQLite: what SQLite promises holds through every cut, what it does
//! not promise breaks, and each fault is the one it says it is.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use rusqlite::{Connection, OpenFlags, ffi};
use std::path::Path;
use wardline_faults::{Failure, FaultError, FaultVfs, Operation, Part, Rule};

const CUTS: u64 = 120;

fn open(path: &Path, vfs: &FaultVfs) -> Connection {
    Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs.name()).unwrap()
}

fn code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}

/// Commits rows until the power fails and says how many were acknowledged and how many are left.
fn round(setup: &str, seed: u64, cut_after: u64, lie: bool) -> (i64, i64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let vfs = FaultVfs::register(&format!("{setup}{seed}{lie}"), seed).unwrap();
    let mut acknowledged = 0;
    let mut made = false;
    {
        let db = open(&path, &vfs);
        vfs.cut_after(cut_after);
        if lie {
            vfs.inject(Rule::new(Operation::Sync, Failure::Lie));
        }
        if db.execute_batch(setup).is_ok()
            && db
                .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body)")
                .is_ok()
        {
            made = true;
            while db
                .execute("INSERT INTO t (body) VALUES (randomblob(3000))", [])
                .is_ok()
            {
                acknowledged += 1;
                if acknowledged % 7 == 0 && db.execute_batch("PRAGMA wal_checkpoint").is_err() {
                    break;
                }
            }
        }
        assert!(
            vfs.is_cut(),
            "seed {seed}: ended for another reason than the cut"
        );
    }
    vfs.power_cut().unwrap();
    let db = Connection::open(&path).unwrap();
    let sound: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap_or_else(|e| e.to_string());
    if !lie {
        assert_eq!(sound, "ok", "seed {seed}, cut during operation {cut_after}");
    }
    let left = db
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap_or(0);
    if made && !lie {
        assert!(
            left <= acknowledged + 1,
            "seed {seed}: {left} rows of {acknowledged} acknowledged"
        );
    }
    (acknowledged, left)
}

fn lost(setup: &str, lie: bool) -> i64 {
    let lost = |seed: u64| {
        let (acknowledged, left) = round(setup, seed, 1 + seed * 3, lie);
        (acknowledged - left).max(0)
    };
    (0..CUTS).map(lost).sum()
}

#[test]
fn full_loses_nothing_with_either_journal() {
    assert_eq!(
        lost(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
            false
        ),
        0
    );
    assert_eq!(
        lost(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA",
            false
        ),
        0
    );
}

#[test]
fn normal_with_a_log_loses_commits_but_stays_sound() {
    assert!(
        lost(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
            false
        ) > 50
    );
}

#[test]
fn a_disk_that_lies_about_syncs_loses_commits() {
    assert!(lost("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", true) > 50);
}

#[test]
fn each_fault_is_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let vfs = FaultVfs::register("each", 1).unwrap();
    assert!(matches!(
        FaultVfs::register("each", 2),
        Err(FaultError::NameTaken(_))
    ));
    assert!(matches!(
        FaultVfs::register("a\0b", 2),
        Err(FaultError::BadName(_))
    ));
    let db = open(&path, &vfs);
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = 1; CREATE TABLE t (body)")
        .unwrap();
    let insert = || db.execute("INSERT INTO t VALUES (randomblob(30000))", []);
    let cases = [
        (
            Rule::new(Operation::Write, Failure::Io).on(Part::Log),
            ffi::SQLITE_IOERR_WRITE,
        ),
        (
            Rule::new(Operation::Write, Failure::Partial)
                .on(Part::Log)
                .after(2),
            ffi::SQLITE_IOERR_WRITE,
        ),
        (
            Rule::new(Operation::Write, Failure::Full)
                .on(Part::Log)
                .after(1),
            ffi::SQLITE_FULL,
        ),
        (
            Rule::new(Operation::Sync, Failure::Io).on(Part::Log),
            ffi::SQLITE_IOERR_FSYNC,
        ),
    ];
    let mut rows = 0;
    for (rule, expected) in cases {
        vfs.inject(rule);
        assert_eq!(code(&insert().unwrap_err()), expected, "{rule:?}");
        vfs.heal();
        insert().unwrap();
        rows += 1;
    }
    vfs.set_space(Some(10_000));
    assert_eq!(code(&insert().unwrap_err()), ffi::SQLITE_FULL);
    vfs.heal();
    vfs.set_read_only(true);
    assert_eq!(code(&insert().unwrap_err()), ffi::SQLITE_IOERR_WRITE);
    vfs.heal();
    vfs.inject(Rule::new(Operation::Read, Failure::Io).on(Part::Log));
    let read = db.query_row("SELECT sum(length(body)) FROM t", [], |row| {
        row.get::<_, i64>(0)
    });
    assert_eq!(code(&read.unwrap_err()), ffi::SQLITE_IOERR_READ);
    vfs.heal();
    let read = db.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(
        read.unwrap(),
        rows,
        "what failed is not there, what succeeded is"
    );
    vfs.inject(Rule::new(Operation::Sync, Failure::Io).on(Part::Database));
    let checkpoint = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    assert_eq!(code(&checkpoint.unwrap_err()), ffi::SQLITE_IOERR_FSYNC);
    vfs.heal();
    vfs.inject(Rule::new(Operation::Open, Failure::Io));
    let opened = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), vfs.name());
    assert_eq!(code(&opened.unwrap_err()) & 0xff, ffi::SQLITE_CANTOPEN);
}
