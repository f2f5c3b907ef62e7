//! What happens when the database cannot or must not go on: driven by hand, batch by batch,
//! with the faults that SQLite can be told to have. Power cuts need a file system that lies
//! and are tested from outside.

use super::queue::{Answer, Request, Work};
use super::writer::{Writer, gather};
use super::{Fatal, Opened, Options, Shared, connect, prepare};
use crate::change::{Acceptance, AuditRecord, Change, Lease, MessageRef, NewDelivery, NewMessage};
use crate::process::{Advance, Mail, NewMail, NewTimer, NewWait, Phase, Which};
use crate::query::{Ready, StoreStatus};
use crate::{CommitListener, StoreError};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;
use wardline_core::{BlindIndex, DeliveryState, Lane, OrderingKey, Sealed, Sym, Timestamp};

type Reply = oneshot::Receiver<Result<Answer, StoreError>>;

/// Opens the store at `path` and gives the test its writer and its connection.
fn with_writer(
    path: &Path,
    fatal: Fatal,
    test: impl FnOnce(&mut Writer<'_>, &Connection, &Shared),
) {
    let options = Options::default();
    let conn = connect(path, None).unwrap();
    let Opened {
        conn,
        names,
        lease,
        start,
        wal_pages,
    } = prepare(conn, path, &options).unwrap();
    let shared = Arc::new(Shared {
        path: path.to_owned(),
        lease,
        clock: options.clock,
        names: RwLock::new(names),
        listener: RwLock::new(None),
        health: super::Health::default(),
        turn: RwLock::default(),
        log_bytes: options.log_bytes,
    });
    let mut writer = Writer::new(&conn, Arc::clone(&shared), start, wal_pages, fatal).unwrap();
    test(&mut writer, &conn, &shared);
}

fn never() -> Fatal {
    Fatal::instead(|reason| panic!("ended without need: {reason}"))
}

fn request(changes: Vec<Change>) -> (Request, Reply) {
    let (reply, answer) = oneshot::channel();
    (
        Request {
            work: Work::Commit(changes),
            reply,
            bytes: 0,
            patient: false,
            room: None,
        },
        answer,
    )
}

fn accept(payload_bytes: usize) -> Change {
    Change::Accept(Box::new(Acceptance {
        messages: vec![NewMessage {
            source: Sym(1),
            kind: Sym(2),
            content_type: Sym(3),
            cause: None,
            key: None,
            lane: Lane::Normal,
            received: Timestamp::now(),
            size: payload_bytes as u32,
            payload: Sealed::from_sealed_bytes(Bytes::from(vec![7; payload_bytes])),
            routes: Vec::new(),
            flagged: false,
        }],
        deliveries: vec![NewDelivery {
            message: MessageRef::Ordinal(0),
            flow: Sym(4),
            destination: Sym(5),
            lane: Lane::Normal,
            key: None,
            state: DeliveryState::Pending,
            note: None,
            body: None,
            size: 0,
            content_type: Sym(3),
            replay_of: None,
            call: None,
        }],
        ..Acceptance::default()
    }))
}

fn audit(sequence: u64) -> Change {
    Change::Audit(AuditRecord {
        sequence,
        at: Timestamp::now(),
        body: b"{}".to_vec(),
        hash: [0; 32],
    })
}

/// Runs calls as one batch and returns their answers; the flag says whether the writer lives.
fn run(
    writer: &mut Writer<'_>,
    calls: Vec<Vec<Change>>,
) -> (Vec<Result<Answer, StoreError>>, bool) {
    let (mut batch, replies): (Vec<_>, Vec<_>) = calls.into_iter().map(request).unzip();
    let lives = writer.run(&mut batch).is_ok();
    (
        replies
            .into_iter()
            .map(|mut reply| reply.try_recv().unwrap())
            .collect(),
        lives,
    )
}

fn count(conn: &Connection, what: &str) -> i64 {
    conn.query_row(
        &format!("SELECT coalesce(sum({what}), 0) FROM gauge"),
        [],
        |row| row.get(0),
    )
    .unwrap()
}

fn status(shared: &Shared) -> StoreStatus {
    shared.health.status(&shared.path, 0)
}

/// A call that nobody waits for.
fn patient() -> (Request, Reply) {
    let (request, reply) = request(vec![Change::SetMeta {
        name: "patient".into(),
        value: vec![1],
    }]);
    let patient = Request {
        patient: true,
        ..request
    };
    (patient, reply)
}

#[test]
fn what_nobody_waits_for_rides_with_what_somebody_does() {
    let folder = tempfile::tempdir().unwrap();
    with_writer(
        &folder.path().join("journal.db"),
        never(),
        |writer, _, _| {
            let (calls, queue) = std::sync::mpsc::channel();
            let (mut batch, mut replies) = (Vec::new(), Vec::new());
            let mut send = |(request, reply)| {
                calls.send(request).unwrap();
                replies.push(reply);
            };
            // With the next call, in the order in which they came.
            send(patient());
            send(patient());
            send(request(vec![accept(10)]));
            send(patient());
            let first = writer.next(&queue, &mut batch).unwrap();
            assert!(first.as_ref().is_some_and(|call| !call.patient));
            assert!(gather(first, &queue, &mut batch), "the queue is empty");
            let order: Vec<bool> = batch.drain(..).map(|call| call.patient).collect();
            assert_eq!(order, [true, true, false, true]);
            // Alone after a while.
            send(patient());
            assert!(writer.next(&queue, &mut batch).unwrap().is_none());
            assert_eq!(batch.drain(..).count(), 1);
            // At once where many wait.
            for _ in 0..200 {
                send(patient());
            }
            assert!(writer.next(&queue, &mut batch).unwrap().is_none());
            assert!(batch.len() < 200 && batch.len() > 1, "{}", batch.len());
            assert!(gather(None, &queue, &mut batch));
            assert_eq!(batch.drain(..).count(), 200);
            // And before the end.
            send(patient());
            drop(calls);
            assert!(writer.next(&queue, &mut batch).unwrap().is_none());
            assert_eq!(batch.drain(..).count(), 1);
            assert!(writer.next(&queue, &mut batch).is_err());
        },
    );
}

#[test]
fn a_full_disk_refuses_all_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    with_writer(
        &folder.path().join("journal.db"),
        never(),
        |writer, conn, shared| {
            assert!(run(writer, vec![vec![accept(100), audit(0)]]).0[0].is_ok());
            conn.execute_batch("PRAGMA max_page_count = 60").unwrap();
            for _ in 0..2 {
                let (answers, lives) = run(
                    writer,
                    vec![
                        vec![accept(100), audit(1)],
                        vec![accept(3_000_000), audit(2)],
                    ],
                );
                assert!(lives);
                for answer in answers {
                    assert!(
                        matches!(answer, Err(StoreError::DiskFull { .. })),
                        "{answer:?}"
                    );
                }
                assert!(status(shared).trouble.unwrap().contains("full"));
            }
            assert_eq!(count(conn, "n"), 1, "what is refused is not counted");
            conn.execute_batch("PRAGMA max_page_count = 1000000")
                .unwrap();
            assert!(writer.probe().is_ok());
            assert!(
                status(shared).trouble.is_none(),
                "noticed without any traffic"
            );
            let (answers, _) = run(writer, vec![vec![accept(3_000_000), audit(1)]]);
            assert!(
                answers[0].is_ok(),
                "the audit log continues where it stood: {answers:?}"
            );
            assert_eq!(count(conn, "n"), 2);
        },
    );
}

#[test]
fn a_read_only_disk_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    with_writer(
        &folder.path().join("journal.db"),
        never(),
        |writer, conn, shared| {
            conn.execute_batch("PRAGMA query_only = ON").unwrap();
            let (answers, lives) = run(writer, vec![vec![accept(10)]]);
            assert!(
                lives && matches!(answers[0], Err(StoreError::ReadOnly { .. })),
                "{answers:?}"
            );
            assert!(writer.probe().is_ok());
            assert!(status(shared).trouble.is_some(), "still not writable");
            conn.execute_batch("PRAGMA query_only = OFF").unwrap();
            assert!(run(writer, vec![vec![accept(10)]]).0[0].is_ok());
            assert!(status(shared).trouble.is_none());
        },
    );
}

#[test]
fn a_call_that_the_database_refuses_harms_no_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    with_writer(
        &folder.path().join("journal.db"),
        never(),
        |writer, conn, shared| {
            conn.execute_batch(
                "CREATE TRIGGER poison BEFORE INSERT ON meta WHEN new.name = 'poison'
             BEGIN SELECT raise(ABORT, 'poisoned'); END",
            )
            .unwrap();
            let poison = Change::SetMeta {
                name: "poison".into(),
                value: vec![1],
            };
            let calls = vec![
                vec![accept(10), audit(0)],
                vec![audit(1), accept(10), poison],
                vec![accept(10), audit(1)],
            ];
            let (answers, lives) = run(writer, calls);
            assert!(lives);
            let fine: Vec<bool> = answers.iter().map(Result::is_ok).collect();
            // The third call's sequence was wrong only as long as the second was thought to pass.
            assert_eq!(fine, [true, false, true], "{answers:?}");
            assert_eq!(count(conn, "n"), 2);
            assert!(
                status(shared).trouble.is_none(),
                "a refusal is no trouble of the disk"
            );
        },
    );
}

/// An instance that begins, waits, and is told of an event that comes with it.
fn begin(lease: Lease, key: i64) -> Vec<Change> {
    let Change::Accept(mut event) = accept(10) else {
        unreachable!("it accepts")
    };
    event.mail = vec![NewMail {
        correlator: Sym(7),
        key: BlindIndex(key),
        ordinal: 0,
        digest: key,
        until: Timestamp(i64::MAX),
    }];
    let advance = Advance {
        lease,
        which: Which::New {
            process: Sym(1),
            key: OrderingKey {
                index: BlindIndex(key),
                shown: None,
            },
            again: true,
        },
        definition: Sym(2),
        phase: Phase::Running,
        status: None,
        step: None,
        note: None,
        owner: None,
        facility: None,
        due: None,
        state: Sealed::from_sealed_bytes(Bytes::from_static(b"state")),
        summary: None,
        take: Vec::new(),
        fire: Vec::new(),
        unwait: Vec::new(),
        wait: vec![NewWait {
            number: 1,
            correlator: Sym(7),
            key: BlindIndex(key),
            seen: crate::MailId(0),
        }],
        unset: Vec::new(),
        set: vec![NewTimer {
            number: 1,
            due: Timestamp(key),
        }],
        answer: Vec::new(),
        ask: Vec::new(),
        withdraw: Vec::new(),
        follow: None,
        history: Vec::new(),
    };
    vec![Change::Accept(event), Change::Advance(Box::new(advance))]
}

#[derive(Default)]
struct Told {
    mail: Mutex<Vec<i64>>,
    timed: Mutex<Vec<i64>>,
}

impl CommitListener for Told {
    fn committed(&self, _: &[Ready]) {}

    fn mailed(&self, mail: &[Mail]) {
        self.mail.lock().extend(mail.iter().map(|mail| mail.id.0));
    }

    fn timed(&self, earliest: Timestamp) {
        self.timed.lock().push(earliest.0);
    }
}

#[test]
fn what_is_taken_back_of_a_process_never_was() {
    let folder = tempfile::tempdir().unwrap();
    with_writer(
        &folder.path().join("journal.db"),
        never(),
        |writer, conn, shared| {
            conn.execute_batch(
                "CREATE TRIGGER poison BEFORE INSERT ON instance WHEN new.key_index = 13
             BEGIN SELECT raise(ABORT, 'poisoned'); END",
            )
            .unwrap();
            let told = Arc::new(Told::default());
            *shared.listener.write() = Some(told.clone());
            let lease = shared.lease;
            // Together first, which fails, and then each alone: the mail of the one in the middle
            // was recorded before its instance was refused.
            let calls = vec![begin(lease, 12), begin(lease, 13), begin(lease, 14)];
            let (answers, lives) = run(writer, calls);
            assert!(lives);
            let fine: Vec<bool> = answers.iter().map(Result::is_ok).collect();
            assert_eq!(fine, [true, false, true], "{answers:?}");
            for (table, n) in [
                ("instance", 2),
                ("instance_state", 2),
                ("wait", 2),
                ("timer", 2),
                ("mail", 2),
                ("message", 2),
            ] {
                let sql = format!("SELECT count(*) FROM {table}");
                let rows: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
                assert_eq!(rows, n, "{table}");
            }
            let counted: i64 = conn
                .query_row("SELECT sum(n) FROM instance_gauge", [], |row| row.get(0))
                .unwrap();
            assert_eq!(counted, 2);
            assert_eq!(*told.mail.lock(), [1, 2], "ids go on where they stood");
            assert_eq!(*told.timed.lock(), [12, 14]);
            *shared.listener.write() = None;
        },
    );
}

#[test]
fn a_damaged_file_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut root = 0;
    with_writer(&path, never(), |writer, conn, _| {
        assert!(run(writer, vec![vec![accept(2_000)]]).1);
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'content'";
        root = conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
        writer.finish();
    });
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(root - 1) * 8_192..][..64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let struck = Arc::new(Mutex::new(Vec::new()));
    let fatal = {
        let struck = Arc::clone(&struck);
        Fatal::instead(move |reason| struck.lock().push(reason.to_owned()))
    };
    with_writer(&path, fatal, |writer, _, shared| {
        let (answers, lives) = run(writer, vec![vec![accept(10)], vec![accept(10)]]);
        assert!(!lives && answers.iter().all(Result::is_err), "{answers:?}");
        assert!(status(shared).trouble.is_some());
    });
    let struck = struck.lock();
    assert!(
        matches!(&struck[..], [reason] if reason.contains("damaged")),
        "{struck:?}"
    );
}
