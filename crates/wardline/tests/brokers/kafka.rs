//! The real binary between two topics of a Kafka cluster of others (librdkafka's mock, which has no
//! disk and is therefore not killed itself), killed in the midst, while brokers drop away and leaders
//! move. What the first topic holds is in the second: all of it, in the order of its key. What was
//! written again, since nobody knew whether it had been, bears the id it bore before.

use super::cluster::{Other, python};
use super::{PATIENCE, estate, wardline};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// Written before each kill.
const WAVE: usize = 1_000;
const KILLS: usize = 4;
/// Of each topic.
const PARTITIONS: usize = 3;

#[test]
fn killed_in_the_midst_of_kafka_nothing_is_lost_and_repeats_are_known() {
    let Some(python) = python("confluent_kafka") else {
        return;
    };
    let mut other = Other::start(&python, &["3"]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let servers = serde_json::to_string(&other.servers).unwrap();
    estate(
        folder,
        &format!(
            "  in:\n    kafka: {{ servers: {servers}, take: orders, group: wardline, begin: earliest, session: 6s, record: true, ahead: 32 }}\n    sensitivity: internal\n  out:\n    kafka: {{ servers: {servers}, publish: out, key: \"{{key}}\" }}\n    limits: {{ concurrent: 4 }}\n"
        ),
    );
    // The order is that of the record's key.
    let flow = folder.join("estate/flows/through.yaml");
    let text = std::fs::read_to_string(&flow).unwrap();
    std::fs::write(&flow, text.replace("key: .n", "key: .key")).unwrap();

    other.told(&format!("topic orders {PARTITIONS}"));
    other.told(&format!("topic out {PARTITIONS}"));
    let mut server = wardline(folder);
    let (mut midst, mut written) = (0, 0);
    for kill in 0..KILLS {
        // Some of the wave before are through: it is up, and takes.
        until_came(&mut other, folder, written);
        other.told(&format!("produce orders {written} {WAVE} zstd 20"));
        written += WAVE;
        std::thread::sleep(Duration::from_millis(250 + 150 * kill as u64));
        server.kill().unwrap();
        server.wait().unwrap();
        let through = came(&other.records("out", PARTITIONS));
        println!("{through} of {written} were through at a kill");
        midst += usize::from(through < written);
        // What its sessions held goes elsewhere before the next one asks.
        let broker = kill % 3 + 1;
        other.told(&format!("down {broker}"));
        for topic in ["orders", "out"] {
            let next = broker % 3 + 1;
            other.told(&format!("leader {topic} {} {next}", kill % PARTITIONS));
        }
        server = wardline(folder);
        std::thread::sleep(Duration::from_secs(1));
        other.told(&format!("up {broker}"));
    }
    until_came(&mut other, folder, written);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(midst >= 2, "the kills came too late to prove anything");

    let came = other.records("out", PARTITIONS);
    let mut ids: BTreeMap<u64, &str> = BTreeMap::new();
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut again = 0;
    for record in &came {
        let (n, key) = (number(record), record["key"].as_str().unwrap());
        let id = record["headers"]["message-id"].as_str().unwrap();
        assert_eq!(key, format!("k-{}", n % 7), "{record}");
        if let Some(before) = ids.insert(n, id) {
            assert_eq!(before, id, "{n} was taken twice");
            again += 1;
        } else if let Some(before) = newest.insert(key, n) {
            // Repeats may stand anywhere behind their first.
            assert!(before < n, "{key}: {n} came behind {before}");
        }
    }
    println!("{midst} kills in the midst, {again} written again");
    // No more than was under way when it was killed.
    assert!(again <= KILLS * 4, "{again} written again");
}

/// How many different ones.
fn came(records: &[Value]) -> usize {
    records.iter().map(number).collect::<BTreeSet<_>>().len()
}

fn until_came(other: &mut Other, folder: &Path, wanted: usize) {
    let mut moved = (Instant::now(), 0);
    loop {
        let came = came(&other.records("out", PARTITIONS));
        if came >= wanted {
            return;
        }
        if came > moved.1 {
            moved = (Instant::now(), came);
        }
        assert!(
            moved.0.elapsed() < PATIENCE,
            "{came} of {wanted} came; {}",
            std::fs::read_to_string(folder.join("wardline.log")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn number(record: &Value) -> u64 {
    let value: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
    value["value"]["n"].as_u64().unwrap()
}
