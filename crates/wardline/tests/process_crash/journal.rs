//! What the binary's journal says of the instances: while it runs for those who wait, at rest for
//! the proof.

use crate::house::House;
use crate::orders::Order;
use crate::proof::Ended;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{InstanceFilter, Phase, Store as _};

fn open(house: &House) -> rusqlite::Connection {
    let path = house.data().join("journal.db");
    let journal =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
    journal.busy_timeout(Duration::from_secs(10)).unwrap();
    journal
}

fn count(journal: &rusqlite::Connection, sql: &str) -> u64 {
    journal
        .query_row(sql, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

pub(crate) fn open_instances(house: &House) -> u64 {
    count(
        &open(house),
        "SELECT count(*) FROM instance WHERE phase <= 2",
    )
}

/// How every instance ended, of the journal at rest.
pub(crate) async fn ended(house: &House) -> BTreeMap<Order, Vec<Ended>> {
    let path = house.data().join("journal.db");
    let store = SqliteStore::open(Path::new(&path), Options::default()).unwrap();
    let mut found: BTreeMap<Order, Vec<Ended>> = BTreeMap::new();
    let mut filter = InstanceFilter {
        limit: 1_000,
        ..InstanceFilter::default()
    };
    loop {
        let page = store.instances(&filter).await.unwrap();
        let Some(last) = page.rows.last() else { break };
        filter.before = Some(last.id.0);
        for row in page.rows {
            let order = row.key.shown.as_deref().and_then(Order::of).unwrap();
            let status = row.status.and_then(|status| store.name(status));
            let phase = match &row.note {
                Some(note) if row.phase == Phase::Stuck => format!("stuck: {}", note.text),
                _ => row.phase.as_str().to_owned(),
            };
            found.entry(order).or_default().push(Ended {
                phase,
                status: status.as_deref().unwrap_or_default().to_owned(),
            });
        }
    }
    store.close().await.unwrap();
    found
}

/// What people answered, order by order, of the journal at rest: who and which choice.
pub(crate) fn answers(house: &House) -> BTreeMap<Order, Vec<(String, String)>> {
    let journal = open(house);
    let mut statement = journal
        .prepare("SELECT key_text, coalesce(ended_by, ''), coalesce(choice, '') FROM task")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut found: BTreeMap<Order, Vec<(String, String)>> = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let key: String = row.get(0).unwrap();
        let answer = (row.get(1).unwrap(), row.get(2).unwrap());
        found
            .entry(Order::of(&key).unwrap())
            .or_default()
            .push(answer);
    }
    found
}

/// Nothing is left that waits or is owed, the counts agree, and the audit log is whole.
pub(crate) fn whole(house: &House, status: &serde_json::Value) {
    let journal = open(house);
    for (what, sql) in [
        ("waits", "SELECT count(*) FROM wait"),
        ("timers", "SELECT count(*) FROM timer"),
        ("tasks", "SELECT count(*) FROM task WHERE ended IS NULL"),
        (
            "mail that nobody looked at",
            "SELECT count(*) FROM mail WHERE state = 0",
        ),
        (
            "ends of calls that nobody took",
            "SELECT count(*) FROM mail WHERE state <= 1 AND instance IS NOT NULL",
        ),
    ] {
        assert_eq!(count(&journal, sql), 0, "{what} are left");
    }
    drop(journal);
    let sums = |name: &str| status["sums"][name].as_u64();
    assert_eq!(
        (sums("open"), sums("dead"), sums("cancelled")),
        (Some(0), Some(0), Some(0)),
        "{status:#}"
    );
    house.run(&["status"]).ends(0);
    house.run(&["audit", "verify"]).ends(0);
}

/// Where it is that does not go on, for a test that fails.
pub(crate) fn unfinished(house: &House) -> String {
    let journal = open(house);
    let mut text = String::new();
    for (what, sql) in [
        (
            "open instances by step and phase",
            "SELECT coalesce(n.name, '') || ' ' || i.phase, count(*), min(i.key_text) FROM instance i
             LEFT JOIN name n ON n.id = i.step WHERE i.phase <= 2 GROUP BY 1",
        ),
        (
            "open deliveries by destination and state",
            "SELECT n.name || ' ' || d.state, count(*), min(d.key_text) FROM delivery d
             JOIN name n ON n.id = d.destination WHERE d.state <= 2 GROUP BY 1",
        ),
        (
            "mail by correlator and state",
            "SELECT coalesce(n.name, 'ends') || ' ' || m.state, count(*), '' FROM mail m
             LEFT JOIN name n ON n.id = m.correlator GROUP BY 1",
        ),
        (
            "timers by minutes to go",
            "SELECT (due / 1000000 - unixepoch()) / 60, count(*), '' FROM timer GROUP BY 1",
        ),
    ] {
        let mut statement = journal.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        text.push_str(&format!("{what}:\n"));
        while let Some(row) = rows.next().unwrap() {
            let place: rusqlite::types::Value = row.get(0).unwrap();
            let (count, one): (i64, Option<String>) = (row.get(1).unwrap(), row.get(2).unwrap());
            text.push_str(&format!("  {place:?}: {count} ({})\n", one.unwrap_or_default()));
        }
    }
    text
}
