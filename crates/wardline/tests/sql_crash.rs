//! `kill -9` in the midst of rows, again and again: every row is taken once, and put down once.
//!
//! The estate follows one table by a mark and empties another as an outbox, and every message becomes a
//! row of a third, under a key made of its delivery. The tables are of PostgreSQL where it is installed,
//! else of SQLite. At the end they are compared with each other and with the journal's own counts.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

#[allow(dead_code, reason = "the other connector's tests use the rest")]
#[path = "../../wardline-connect/tests/databases/servers.rs"]
mod servers;

#[path = "sql_crash/jobs.rs"]
mod jobs;

use serde_json::{Value, json};
use servers::Server;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_connect::sql::{Access, Expect, Outbound, OutboundConfig, Procedure};
use wardline_connect::{Outbound as _, Request, Secret};
use wardline_sql::{Place, Statement};

/// How long nothing may move; how long all of it takes is the disk's affair.
const PATIENCE: Duration = Duration::from_mins(2);
const MOST_KILLS: usize = 20;
const CHANGES: usize = 3_000;
const OUTBOX: usize = 1_500;

struct Stage {
    folder: PathBuf,
    place: Place,
    login: Option<Secret>,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn make(folder: &Path, server: Option<&Server>) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.join("estate").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let (database, place) = if let Some(server) = server {
            let text = format!("postgres://127.0.0.1:{}/postgres", server.port);
            let place = Place::parse(&text).unwrap();
            (
                format!("database: \"{text}\", login: secret:db, tls: none"),
                place,
            )
        } else {
            let file = folder.join("work.db");
            std::fs::write(&file, "").unwrap();
            let shown = file.display();
            (
                format!("database: \"sqlite:{shown}\""),
                Place::File(shown.to_string()),
            )
        };
        write(
            "wardline.yaml",
            &format!(
                "estate: rows\nzone: UTC\nstore: sqlite\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  console: {{ zone: admin, bind: \"{port}\" }}\n"
            ),
        );
        write(
            "systems/wh.yaml",
            &format!(
                r#"system: wh
owner: supply-chain
connections:
  changes:
    sql: {{ {database}, poll: "select id, what from changes where id > :mark order by id", mark: {{ column: id, begin: "0" }}, key: id, every: 50ms, most: 100 }}
  outbox:
    sql: {{ {database}, poll: "select id, what from outbox order by id", done: "delete from outbox where id = :id", key: id, every: 50ms, most: 100 }}
  db:
    sql:
      {}
      statements:
        change: "insert into landed (delivery, source, id) values (:delivery_id, 'changes', :id) on conflict (delivery) do nothing"
        row: "insert into landed (delivery, source, id) values (:delivery_id, 'outbox', :id) on conflict (delivery) do nothing"
operations:
  change: {{ sql: {{ connection: db, statement: change }} }}
  row: {{ sql: {{ connection: db, statement: row }} }}
"#,
                database.replace(", ", "\n      ")
            ),
        );
        write(
            "flows/rows.yaml",
            "flow: changes\nowner: supply-chain\nfrom: wh.changes\nto: [{ call: wh.change }]\n---\nflow: outbox\nowner: supply-chain\nfrom: wh.outbox\nto: [{ call: wh.row }]\n",
        );
        std::fs::create_dir_all(folder.join("secrets")).unwrap();
        Self {
            folder: folder.to_owned(),
            place,
            login: server.map(|server| Secret::from(server.login)),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn sql(&self, text: &str) -> Value {
        let statement = Arc::new(Statement::parse(text, self.place.dialect()).unwrap());
        let access = Access {
            name: "test".into(),
            place: self.place.clone(),
            login: self.login.clone(),
            tls: None,
            connect_timeout: Duration::from_secs(30),
            timeout: Duration::from_mins(1),
        };
        let procedure = Procedure {
            statements: vec![statement],
            expect: Expect::Any,
        };
        let request = Request {
            idempotency_key: "",
            attempt: 1,
            body: "{}".into(),
            content_type: "application/json",
            method: None,
            path: None,
            correlation: "",
        };
        self.runtime.block_on(async {
            let out = Outbound::new(OutboundConfig {
                access,
                sessions: 1,
                procedures: BTreeMap::from([("it".to_owned(), procedure)]),
            });
            let reply = out.send(request).await.unwrap();
            serde_json::from_slice::<Value>(&reply.body).unwrap()["rows"].clone()
        })
    }

    fn count(&self, text: &str) -> u64 {
        self.sql(text)[0]["n"].as_u64().unwrap()
    }

    fn command(words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
        command
            .args(words)
            .env_remove("WARDLINE_ESTATE")
            .env_remove("WARDLINE_DATA")
            .env("WARDLINE_SECRET_DB", "wardline:open sesame")
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

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

#[test]
fn kills_in_the_midst_of_rows_lose_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::postgres(None);
    let stage = Stage::make(folder.path(), server.as_ref());
    for table in ["changes", "outbox"] {
        stage.sql(&format!(
            "create table {table} (id integer primary key, what varchar(20))"
        ));
    }
    stage.sql(
        "create table landed (delivery varchar(40) primary key, source varchar(20), id integer)",
    );
    for (table, count) in [("changes", CHANGES), ("outbox", OUTBOX)] {
        let values: Vec<String> = (1..=count).map(|n| format!("({n}, 'row {n}')")).collect();
        for part in values.chunks(500) {
            stage.sql(&format!(
                "insert into {table} (id, what) values {}",
                part.join(", ")
            ));
        }
    }
    let total = (CHANGES + OUTBOX) as u64;
    let began = Instant::now();
    let (mut kills, mut in_the_midst) = (0, 0);
    let mut pause = 300;
    let mut moved = (Instant::now(), 0);
    let mut running = stage.spawn();
    loop {
        let landed = stage.count("select count(*) as n from landed");
        if landed >= total {
            break;
        }
        if landed > moved.1 || kills < MOST_KILLS {
            moved = (Instant::now(), landed);
        }
        assert!(
            moved.0.elapsed() < PATIENCE,
            "{landed} landed; {}",
            stage.log()
        );
        std::thread::sleep(Duration::from_millis(pause));
        // Not the same moment every time.
        pause = 250 + (pause * 7 + 13) % 700;
        if kills < MOST_KILLS {
            let before = stage.count("select count(*) as n from landed");
            running.kill().unwrap();
            running.wait().unwrap();
            kills += 1;
            in_the_midst += usize::from(before < total);
            running = stage.spawn();
        }
    }
    println!(
        "{kills} kills, {in_the_midst} before the last row, {:.1?}",
        began.elapsed()
    );
    let mut moved = (Instant::now(), Value::Null);
    let status = loop {
        let status = stage.status();
        if status["sums"]["open"] == 0 && stage.count("select count(*) as n from outbox") == 0 {
            break status;
        }
        if status["sums"]["open"] != moved.1 {
            moved = (Instant::now(), status["sums"]["open"].clone());
        }
        assert!(moved.0.elapsed() < PATIENCE, "{status:#} {}", stage.log());
        std::thread::sleep(Duration::from_millis(300));
    };
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(
        in_the_midst >= 3,
        "the kills came too late to prove anything: {in_the_midst}"
    );
    let each = stage.sql(
        "select source, count(*) as n, count(distinct id) as once from landed group by source order by source",
    );
    assert_eq!(
        each,
        json!([{ "source": "changes", "n": CHANGES, "once": CHANGES }, { "source": "outbox", "n": OUTBOX, "once": OUTBOX }])
    );
    let sums = &status["sums"];
    assert_eq!(sums["accepted"], total, "{sums}");
    assert_eq!(sums["delivered"], total, "{sums}");
    assert_eq!(sums["dead"], 0, "{sums}");
}
