//! The same of bulk jobs: one writes a table into files, another makes each row a message. Killed again
//! and again, the files are byte for byte what they would have been, and each message is there once.

use super::{PATIENCE, Stage};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROWS: usize = 1_200;
const KILLS: usize = 6;

fn declare(stage: &Stage) {
    let write = |path: &str, text: &str| {
        let path = stage.folder.join("estate").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let lake = stage.folder.join("lake");
    std::fs::create_dir_all(&lake).unwrap();
    write(
        "systems/wh.yaml",
        &format!(
            r#"system: wh
owner: supply-chain
connections:
  db:
    sql:
      database: "sqlite:{}"
      statements:
        page: "select id, what, price from items where id > :after order by id limit :size"
        put: "insert into landed (delivery, source, id) values (:delivery_id, 'items', :id) on conflict (delivery) do nothing"
  lake:
    files: {{ directory: "{}", write: "other-{{id}}.json" }}
operations:
  page: {{ sql: {{ connection: db, statement: page }} }}
  put: {{ sql: {{ connection: db, statement: put }} }}
"#,
            stage.folder.join("work.db").display(),
            lake.display()
        ),
    );
    write(
        "jobs/items.yaml",
        r#"job: extract
owner: analytics
read: { call: wh.page, page: { size: 40, after: id, begin: "0" } }
when: .id != 7
write:
  file: { connection: wh.lake, name: "items-{part}.csv", format: csv, split: 500, columns: { id: integer, what: text, price: "decimal(8,2)" } }
rate: 600/s
---
job: load
owner: analytics
read: { call: wh.page, page: { size: 40, after: id, begin: "0" } }
write: messages
rate: 600/s
open: 500
"#,
    );
    write(
        "flows/rows.yaml",
        "flow: items\nowner: supply-chain\nfrom: { job: load }\nto: [{ call: wh.put }]\n",
    );
}

fn jobs(stage: &Stage, words: &[&str]) -> Option<Value> {
    let output = Stage::command(&["jobs"])
        .args(words)
        .args(["--json", "--estate"])
        .arg(stage.folder.join("estate"))
        .arg("--data")
        .arg(stage.folder.join("data"))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

fn begun(stage: &Stage, name: &str) {
    let until = Instant::now() + PATIENCE;
    while jobs(stage, &["run", name, "--detach", "--reason", "a test"]).is_none() {
        assert!(Instant::now() < until, "{name}: {}", stage.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn kills_in_the_midst_of_bulk_jobs_lose_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::make(folder.path(), None);
    declare(&stage);
    stage.sql("create table items (id integer primary key, what varchar(20), price varchar(12))");
    stage.sql(
        "create table landed (delivery varchar(40) primary key, source varchar(20), id integer)",
    );
    // One price is none.
    let price = |n: usize| {
        if n == 11 {
            "free".to_owned()
        } else {
            format!("{n}.5")
        }
    };
    let values: Vec<String> = (1..=ROWS)
        .map(|n| format!("({n}, 'row, {n}', '{}')", price(n)))
        .collect();
    for part in values.chunks(400) {
        stage.sql(&format!(
            "insert into items (id, what, price) values {}",
            part.join(", ")
        ));
    }
    let mut running = stage.spawn();
    for name in ["extract", "load"] {
        begun(&stage, name);
    }
    let mut in_the_midst = 0;
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(250 + (kill as u64 * 173) % 400));
        let before = stage.count("select count(*) as n from landed");
        running.kill().unwrap();
        running.wait().unwrap();
        in_the_midst += usize::from(before < ROWS as u64);
        running = stage.spawn();
    }
    let until = Instant::now() + PATIENCE;
    let all = loop {
        let all = jobs(&stage, &["list"]).unwrap_or_default();
        let done = all
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|job| job["state"] == "done"));
        let status = stage.status();
        if done && status["sums"]["open"] == 0 {
            assert_eq!(status["sums"]["accepted"], ROWS + 1, "{status:#}");
            break all;
        }
        assert!(Instant::now() < until, "{all:#} {}", stage.log());
        std::thread::sleep(Duration::from_millis(200));
    };
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(
        in_the_midst >= 3,
        "the kills came too late to prove anything: {in_the_midst}"
    );
    let run = &all[0]["runs"][0];
    let told = [
        &run["read"],
        &run["written"],
        &run["left_out"],
        &run["refused"],
        &run["files"],
    ];
    assert_eq!(json!(told), json!([ROWS, ROWS - 2, 1, 1, 3]), "{run:#}");
    // Files hold whole pages: 12 of 40, without the row that is left out and the one that is refused.
    let mut rows = (1..=ROWS).filter(|n| ![7, 11].contains(n)).peekable();
    for (part, last) in [(1, 480), (2, 960), (3, ROWS)] {
        let mut expected = "id,what,price\r\n".to_owned();
        while let Some(n) = rows.next_if(|n| *n <= last) {
            expected.push_str(&format!("{n},\"row, {n}\",{n}.50\r\n"));
        }
        let name = format!("items-{part:04}.csv");
        let written = std::fs::read_to_string(folder.path().join("lake").join(&name)).unwrap();
        assert!(written == expected, "{name} is other than it should be");
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("lake"))
            .unwrap()
            .count(),
        3
    );
    let left = std::fs::read_dir(folder.path().join("data/jobs"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "rows stay");
    let landed = stage.sql("select count(*) as n, count(distinct id) as once from landed");
    assert_eq!(landed, json!([{ "n": ROWS, "once": ROWS }]));
}
