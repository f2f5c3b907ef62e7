//! Rows that become messages: each once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wardline_connect::sql::{Follow, Marks, Overlap, Poll, PollConfig};
use wardline_connect::{Intake, Received, Verdict};
use wardline_core::{Code, Id, MessageId};
use wardline_sql::Dialect;

use crate::Database;

/// A journal that knows what it took and where reading came to.
#[derive(Default)]
struct Journal {
    taken: Mutex<Vec<Value>>,
    names: Mutex<HashSet<String>>,
    again: AtomicUsize,
    marks: Mutex<HashMap<String, String>>,
    busy: AtomicUsize,
    forgetful: AtomicBool,
}

#[async_trait]
impl Intake for Journal {
    async fn accept(&self, received: Received) -> Verdict {
        if self.busy.load(Ordering::SeqCst) > 0 {
            self.busy.fetch_sub(1, Ordering::SeqCst);
            return Verdict::Busy {
                code: Code("W2102"),
                text: "no room".into(),
                retry_after: Duration::from_millis(5),
            };
        }
        let id = MessageId(Id::from_parts(1_764_000_000_000, 0, 1));
        if self.names.lock().insert(received.once.clone().unwrap()) {
            self.taken
                .lock()
                .push(serde_json::from_slice(&received.body).unwrap());
            Verdict::Accepted { id }
        } else {
            self.again.fetch_add(1, Ordering::SeqCst);
            Verdict::Duplicate {
                original: id,
                answer: Bytes::new(),
            }
        }
    }
}

#[async_trait]
impl Marks for Journal {
    async fn read(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.marks.lock().get(name).cloned())
    }

    async fn keep(&self, name: &str, mark: &str) -> Result<(), String> {
        if !self.forgetful.load(Ordering::SeqCst) {
            self.marks.lock().insert(name.to_owned(), mark.to_owned());
        }
        Ok(())
    }
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn start(database: &Database, journal: &Arc<Journal>, config: PollConfig) -> Running {
    let poll = Poll::new(Arc::new(ArcSwap::from_pointee(database.access())), config);
    let stop = CancellationToken::new();
    let (intake, marks): (Arc<dyn Intake>, Arc<dyn Marks>) = (journal.clone(), journal.clone());
    let task = tokio::spawn(poll.run(intake, marks, stop.clone()));
    Running { stop, task }
}

async fn until(condition: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it does not come");
}

fn by_mark(database: &Database, poll: &str, overlap: Option<Overlap>, most: usize) -> PollConfig {
    PollConfig {
        query: database.read(poll),
        key: vec!["id".into()],
        follow: Follow::Mark {
            column: "seq".into(),
            begin: "0".into(),
            overlap,
        },
        every: Duration::from_millis(20),
        most,
    }
}

async fn fill(database: &Database, from: usize, to: usize, seq: impl Fn(usize) -> usize) {
    let values: Vec<String> = (from..to)
        .map(|n| format!("({n}, {}, 'row {n}')", seq(n)))
        .collect();
    database
        .does(&format!(
            "insert into events (id, seq, what) values {}",
            values.join(", ")
        ))
        .await;
}

fn ids(journal: &Journal) -> Vec<u64> {
    journal
        .taken
        .lock()
        .iter()
        .map(|row| row["id"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn rows_are_taken_in_order_and_once() {
    for database in Database::all() {
        database
            .does("create table events (id int primary key, seq int, what varchar(20))")
            .await;
        fill(&database, 1, 1001, |n| n).await;
        let journal = Arc::new(Journal::default());
        // Fewer than are offered at a time: those behind must not pass.
        journal.busy.store(3, Ordering::SeqCst);
        let text = "select id, seq, what from events where seq > :mark order by seq";
        let config = by_mark(&database, text, None, 100);
        let running = start(&database, &journal, config.clone());
        until(|| journal.taken.lock().len() == 1000).await;
        running.end().await;
        assert_eq!(
            journal.taken.lock()[0],
            serde_json::json!({ "id": 1, "seq": 1, "what": "row 1" })
        );
        assert_eq!(
            ids(&journal),
            (1..=1000).collect::<Vec<_>>(),
            "in order, each once"
        );
        // What was kept of the mark is where it goes on: nothing is read twice but the last.
        let before = journal.again.load(Ordering::SeqCst);
        fill(&database, 1001, 1011, |n| n).await;
        let running = start(&database, &journal, config.clone());
        until(|| journal.taken.lock().len() == 1010).await;
        running.end().await;
        assert_eq!(journal.again.load(Ordering::SeqCst), before);
        // A mark that was lost costs time and nothing else.
        journal.marks.lock().clear();
        fill(&database, 1011, 1012, |n| n).await;
        let running = start(&database, &journal, config);
        until(|| journal.taken.lock().len() == 1011).await;
        running.end().await;
        assert!(journal.again.load(Ordering::SeqCst) >= before + 1010);
        assert_eq!(ids(&journal).len(), 1011);
    }
}

#[tokio::test]
async fn rows_of_one_mark_and_rows_that_come_late_are_not_passed_over() {
    for database in Database::all() {
        database
            .does("create table events (id int primary key, seq int, what varchar(20))")
            .await;
        // Fifty rows bear each mark, and twenty are read at a time.
        fill(&database, 1, 301, |n| 10 + n / 50).await;
        let journal = Arc::new(Journal::default());
        let text =
            "select id, seq, what from events where seq > :mark order by seq, id limit :most";
        let text = if database.dialect() == Dialect::Mysql {
            text.replace("limit :most", "")
        } else {
            text.to_owned()
        };
        let running = start(
            &database,
            &journal,
            by_mark(&database, &text, Some(Overlap::Number(3)), 20),
        );
        until(|| journal.taken.lock().len() == 300).await;
        // Committed late, behind the mark.
        fill(&database, 301, 305, |_| 14).await;
        until(|| journal.taken.lock().len() == 304).await;
        let looked = journal.again.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(
            journal.again.load(Ordering::SeqCst),
            looked,
            "what was taken a moment ago is not offered again"
        );
        running.end().await;
        let all: HashSet<u64> = ids(&journal).into_iter().collect();
        assert_eq!(all.len(), 304);
    }
}

#[tokio::test]
async fn rows_out_of_order_are_not_taken() {
    let database = Database::sqlite();
    database
        .does("create table events (id int primary key, seq int, what varchar(20))")
        .await;
    fill(&database, 1, 20, |n| 100 - n).await;
    let journal = Arc::new(Journal::default());
    let text = "select id, seq, what from events where seq > :mark order by id";
    let running = start(&database, &journal, by_mark(&database, text, None, 100));
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.end().await;
    assert!(journal.taken.lock().is_empty() && journal.marks.lock().is_empty());
}

#[tokio::test]
async fn an_outbox_is_emptied_when_its_rows_are_taken() {
    for database in Database::all() {
        database
            .does("create table events (id int primary key, seq int, what varchar(20))")
            .await;
        fill(&database, 1, 501, |n| n).await;
        let journal = Arc::new(Journal::default());
        let config = PollConfig {
            query: database.read("select id, what from events order by id"),
            key: vec!["id".into()],
            follow: Follow::Done(database.read("delete from events where id = :id")),
            every: Duration::from_millis(20),
            most: 64,
        };
        let running = start(&database, &journal, config.clone());
        until(|| journal.taken.lock().len() == 500).await;
        running.end().await;
        assert_eq!(ids(&journal), (1..=500).collect::<Vec<_>>());
        assert_eq!(
            database.rows("select count(*) as n from events").await[0]["n"],
            0
        );
        // Taken, but the end of the transaction that deletes was never seen: it comes again.
        fill(&database, 500, 502, |n| n).await;
        let running = start(&database, &journal, config);
        until(|| journal.taken.lock().len() == 501).await;
        running.end().await;
        assert_eq!(journal.again.load(Ordering::SeqCst), 1);
        assert_eq!(
            database.rows("select count(*) as n from events").await[0]["n"],
            0
        );
    }
}

#[tokio::test]
async fn times_are_marks_too() {
    for database in Database::all() {
        let kind = match database.dialect() {
            Dialect::Postgres => "timestamptz",
            Dialect::Mysql => "timestamp(6)",
            Dialect::Sqlite => "text",
        };
        database
            .does(&format!(
                "create table events (id int primary key, seq {kind}, what varchar(20))"
            ))
            .await;
        for n in 0..5 {
            let at = match database.dialect() {
                Dialect::Sqlite => format!("2026-11-28T01:02:0{n}.5Z"),
                _ => format!("2026-11-28 01:02:0{n}.5"),
            };
            database
                .does(&format!(
                    "insert into events (id, seq, what) values ({n}, '{at}', 'x')"
                ))
                .await;
        }
        let journal = Arc::new(Journal::default());
        let text = "select id, seq from events where seq >= :mark order by seq";
        let config = PollConfig {
            follow: Follow::Mark {
                column: "seq".into(),
                begin: "2026-11-28T01:02:01".into(),
                overlap: Some(Overlap::Time(Duration::from_secs(1))),
            },
            ..by_mark(&database, text, None, 2)
        };
        let running = start(&database, &journal, config);
        until(|| journal.taken.lock().len() >= 4).await;
        until(|| {
            journal
                .marks
                .lock()
                .get("sql/wh.db/seq")
                .is_some_and(|mark| mark == "2026-11-28T01:02:04.5Z")
        })
        .await;
        running.end().await;
        assert_eq!(ids(&journal), [1, 2, 3, 4]);
    }
}
