//! Against librdkafka's mock cluster, with librdkafka as the other client. No broker of Apache's was to be had.

use super::cluster::{Other, python};
use super::stage::{Ledger, Taking, body, free_port, publish, publish_until_confirmed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use wardline_connect::broker::{
    Compression, ConsumerConfig, Content, Envelope, Outbound, Place, Publish, PublisherConfig,
    Take, Template,
};
use wardline_connect::{ContentType, FailureKind, codes};

impl Other {
    /// What a group knows, once it knows of so many records.
    async fn until_committed(&mut self, group: &str, topic: &str, partitions: usize, wanted: i64) {
        let began = Instant::now();
        loop {
            let known = self.told(&format!("committed {group} {topic} {partitions}"));
            let offset = |line: &String| line.split_once(' ').unwrap().1.parse::<i64>().unwrap();
            let sum: i64 = known.iter().map(|line| offset(line).max(0)).sum();
            if sum >= wanted {
                assert_eq!(sum, wanted, "no more was committed than there is");
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{known:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn publisher(servers: &[String], topic: &str) -> PublisherConfig {
    PublisherConfig {
        place: Place::new("erp.events", servers.to_vec()),
        publish: Publish::Kafka {
            topic: Template::new(topic).unwrap(),
            key: Some(Template::new("k-{n}").unwrap()),
            compression: Compression::None,
            idempotent: true,
        },
        envelope: None,
        timeout: Duration::from_secs(10),
        sessions: 2,
        max_size: 100_000,
    }
}

fn consumer(servers: &[String], topic: &str) -> ConsumerConfig {
    ConsumerConfig {
        place: Place::new("erp.events", servers.to_vec()),
        take: Take::Kafka {
            topics: vec![topic.to_owned()],
            group: "wardline".to_owned(),
            latest: false,
            session: Duration::from_secs(6),
            whole: false,
        },
        content: Content::As(ContentType::Json),
        ahead: 16,
        max_size: 10_000,
    }
}

fn once(ledger: &Ledger, wanted: usize) {
    let mut came = ledger.bodies();
    assert_eq!(came.len(), wanted, "each was taken once");
    came.sort();
    came.dedup();
    assert_eq!(came.len(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_stands_where_others_put_it() {
    let Some(python) = python("confluent_kafka") else {
        return;
    };
    let mut other = Other::start(&python, &["2"]);
    other.told("topic orders.north 5");
    let to = Outbound::new(publisher(&other.servers, "orders.{facility}")).unwrap();
    for n in 0..30 {
        let reply = publish(&to, &format!("d-{n}"), &body(n)).await.unwrap();
        assert!(reply.status.starts_with("partition "), "{}", reply.status);
    }
    let records = other.records("orders.north", 5);
    assert_eq!(records.len(), 30);
    let keys: Vec<String> = (0..30).map(|n| format!("k-{n}")).collect();
    let theirs = other.told(&format!("partition orders.north {}", keys.join(" ")));
    for record in &records {
        let line = format!(
            "{} {}",
            record["key"].as_str().unwrap(),
            record["partition"]
        );
        assert!(theirs.contains(&line), "{line}: {theirs:?}");
        assert_eq!(record["headers"]["x-correlation-id"], "c-1");
        assert_eq!(record["headers"]["content-type"], "application/json");
        assert!(
            record["headers"]["message-id"]
                .as_str()
                .unwrap()
                .starts_with("d-")
        );
    }

    // Packed, and in both forms of CloudEvents.
    for (compression, binary) in [(Compression::Gzip, true), (Compression::Zstd, false)] {
        let topic = if binary { "binary" } else { "structured" };
        other.told(&format!("topic {topic} 1"));
        let mut config = publisher(&other.servers, topic);
        config.publish = Publish::Kafka {
            topic: Template::new(topic).unwrap(),
            key: None,
            compression,
            idempotent: false,
        };
        config.envelope = Some(Envelope {
            binary,
            source: "/hub".into(),
            kind: Template::new("hub.{facility}").unwrap(),
            subject: None,
            time: None,
            data: None,
        });
        publish(&Outbound::new(config).unwrap(), "d-1", &body(1))
            .await
            .unwrap();
        let record = &other.records(topic, 1)[0];
        assert!(record["key"].is_null());
        let value: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        if binary {
            assert_eq!(record["headers"]["ce_type"], "hub.north");
            assert_eq!(record["headers"]["ce_id"], "d-1");
            assert_eq!(value["n"], 1);
        } else {
            let media_type = record["headers"]["content-type"].as_str().unwrap();
            assert_eq!(media_type, "application/cloudevents+json");
            assert_eq!(value["data"]["n"], 1);
        }
    }

    // What goes wrong.
    let missing = publish(&to, "x", "{\"facility\":\"north\"}")
        .await
        .unwrap_err();
    assert_eq!(missing.code, codes::BROKER_UNSENDABLE, "{missing}");
    let nowhere = publish(&to, "x", "{\"n\":1,\"facility\":\"a/b\"}")
        .await
        .unwrap_err();
    assert_eq!(nowhere.kind, FailureKind::Permanent, "{nowhere}");
    // Not enough replicas: it is tried again within the attempt, and is there once.
    other.told("errors 0 6 20");
    let before = other.records("orders.north", 5).len();
    publish(&to, "again", &body(1)).await.unwrap();
    assert_eq!(other.records("orders.north", 5).len(), before + 1);
    other.told("errors 0 29");
    let denied = publish(&to, "x", &body(1)).await.unwrap_err();
    assert_eq!(denied.code, codes::BROKER_CREDENTIALS, "{denied}");
    let gone = publisher(&[format!("127.0.0.1:{}", free_port())], "orders.north");
    let gone = publish(&Outbound::new(gone).unwrap(), "x", &body(1))
        .await
        .unwrap_err();
    assert_eq!(gone.kind, FailureKind::Unreachable, "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_publish_is_taken_once_and_then_committed() {
    let Some(python) = python("confluent_kafka") else {
        return;
    };
    let mut other = Other::start(&python, &["3"]);
    other.told("topic orders 4");
    for (place, compression) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().enumerate() {
        other.told(&format!(
            "produce orders {} 40 {compression} 10",
            place * 40
        ));
    }
    let ledger = Ledger::busy_at_first(2);
    let taking = Taking::begin(consumer(&other.servers, "orders"), &ledger);
    ledger.until(200).await;
    taking.end().await;
    once(&ledger, 200);
    other.until_committed("wardline", "orders", 4, 200).await;

    // Goes on where it stopped; records that are too large are kept as such, others are not held up.
    other.told("produce orders 200 1 none 20000");
    other.told("produce orders 201 9 none 10");
    let ledger = Ledger::busy_at_first(0);
    let taking = Taking::begin(consumer(&other.servers, "orders"), &ledger);
    ledger.until(10).await;
    taking.end().await;
    assert_eq!(ledger.faults().len(), 1, "{:?}", ledger.faults());
    assert_eq!(ledger.faults()[0].0, codes::BROKER_TOO_LARGE);
    other.until_committed("wardline", "orders", 4, 210).await;

    // Order is kept within each key: seven keys, each a partition's.
    let of_key = |key: usize| {
        let bodies = ledger.bodies();
        let numbers = bodies.iter().filter_map(|body| {
            let value: Value = serde_json::from_slice(body).ok()?;
            let n = value["n"].as_u64()? as usize;
            (n % 7 == key).then_some(n)
        });
        numbers.collect::<Vec<_>>()
    };
    for key in 0..7 {
        assert!(of_key(key).is_sorted(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_whole_records_are_read() {
    let Some(python) = python("confluent_kafka") else {
        return;
    };
    let mut other = Other::start(&python, &["1"]);
    other.told("topic results 2");
    other.told("event results");
    let mut config = consumer(&other.servers, "results");
    config.content = Content::CloudEvents;
    let ledger = Ledger::busy_at_first(0);
    let taking = Taking::begin(config, &ledger);
    ledger.until(3).await;
    taking.end().await;
    let mut ids = BTreeSet::new();
    for body in ledger.bodies() {
        if let Ok(event) = serde_json::from_slice::<Value>(&body)
            && let Some(id) = event["id"].as_str()
        {
            ids.insert(id.to_owned());
        }
    }
    assert_eq!(ids, BTreeSet::from(["e-1".to_owned(), "e-2".to_owned()]));
    assert_eq!(ledger.faults().len(), 1, "a tombstone is no event");
    assert_eq!(ledger.faults()[0].0, codes::NOT_AN_EVENT);

    let mut config = consumer(&other.servers, "results");
    config.take = Take::Kafka {
        topics: vec!["results".to_owned()],
        group: "others".to_owned(),
        latest: false,
        session: Duration::from_secs(6),
        whole: true,
    };
    let ledger = Ledger::busy_at_first(0);
    let taking = Taking::begin(config, &ledger);
    ledger.until(3).await;
    taking.end().await;
    let all: Vec<Value> = ledger
        .bodies()
        .iter()
        .map(|body| serde_json::from_slice(body).unwrap())
        .collect();
    let gone = all.iter().find(|record| record["key"] == "gone").unwrap();
    assert!(gone["value"].is_null() && gone["topic"] == "results");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_and_a_moving_cluster_loses_nothing() {
    let Some(python) = python("confluent_kafka") else {
        return;
    };
    let mut other = Other::start(&python, &["3"]);
    other.told("topic orders 6");
    other.told("produce orders 0 300 none 10");
    let (one, two) = (Ledger::busy_at_first(1), Ledger::busy_at_first(0));
    let first = Taking::begin(consumer(&other.servers, "orders"), &one);
    one.until(20).await;
    // Another comes: the partitions are shared out anew, in the midst.
    let second = Taking::begin(consumer(&other.servers, "orders"), &two);
    let to = Outbound::new(publisher(&other.servers, "orders")).unwrap();
    let mut wanted = 300;
    for round in 0..3 {
        other.told(&format!("produce orders {wanted} 100 none 10"));
        wanted += 100;
        // Leaders move and the coordinator does; a broker drops all connections and is back.
        for partition in 0..6 {
            other.told(&format!(
                "leader orders {partition} {}",
                1 + (partition + round) % 3
            ));
        }
        other.told(&format!("coordinator wardline {}", 1 + round % 3));
        other.told(&format!("down {}", 1 + round % 3));
        // The mock gives partitions of a broker that is down to nobody else.
        tokio::time::sleep(Duration::from_millis(500)).await;
        other.told(&format!("up {}", 1 + round % 3));
        publish_until_confirmed(&to, &format!("d-{round}"), &body(1_000 + round)).await;
        wanted += 1;
    }
    let began = Instant::now();
    loop {
        let all: BTreeSet<_> = one.bodies().into_iter().chain(two.bodies()).collect();
        // The publisher's numbers are counted in `wanted`, but are not those that librdkafka gives.
        if all.len() >= 603 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "{} of 603 came: {} and {}",
            all.len(),
            one.bodies().len(),
            two.bodies().len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    first.end().await;
    second.end().await;
    assert!(!two.bodies().is_empty(), "the second had its part");
    for ledger in [&one, &two] {
        let mut own = ledger.bodies();
        own.sort();
        assert!(
            own.windows(2).all(|pair| pair[0] != pair[1]),
            "none twice to one"
        );
    }
}
