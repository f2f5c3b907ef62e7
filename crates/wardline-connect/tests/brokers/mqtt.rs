use super::stage::{Ledger, Process, Taking, body, free_port, installed, publish};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use wardline_connect::broker::{
    ConsumerConfig, Content, Outbound, Place, Publish, PublisherConfig, Take, Template,
};
use wardline_connect::{ContentType, codes};

fn server(folder: &Path, port: u16) -> Process {
    let config = folder.join("mosquitto.conf");
    std::fs::write(
        &config,
        format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nautosave_on_changes true\nautosave_interval 1\nuser root\n",
            folder.display()
        ),
    )
    .unwrap();
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(config);
    Process::start(&mut command, &folder.join("log"), port)
}

fn publisher(port: u16) -> PublisherConfig {
    PublisherConfig {
        place: Place::new("wards.beds", vec![format!("127.0.0.1:{port}")]),
        publish: Publish::Mqtt {
            topic: Template::new("wards/{facility}/beds").unwrap(),
        },
        envelope: None,
        timeout: Duration::from_secs(5),
        sessions: 2,
        max_size: 100_000,
    }
}

fn consumer(port: u16) -> ConsumerConfig {
    ConsumerConfig {
        place: Place::new("wards.vitals", vec![format!("127.0.0.1:{port}")]),
        take: Take::Mqtt {
            client: "wardline-test".into(),
            filter: "wards/+/beds".into(),
            keep: Duration::from_secs(3600),
        },
        content: Content::As(ContentType::Json),
        ahead: 16,
        max_size: 10_000,
    }
}

#[tokio::test]
async fn mqtt_killed_in_the_midst_loses_nothing() {
    if !installed("mosquitto", "-h") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut broker = server(folder.path(), port);
    // The session begins before anything is published, and is kept while nobody is there.
    let ledger = Ledger::busy_at_first(2);
    let taking = Taking::begin(consumer(port), &ledger);
    let to = Outbound::new(publisher(port)).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    publish(&to, "d-0", &body(0)).await.unwrap();
    ledger.until(1).await;
    taking.end().await;
    for n in 1..50 {
        publish(&to, &format!("d-{n}"), &body(n)).await.unwrap();
    }
    let taking = Taking::begin(consumer(port), &ledger);
    ledger.until(50).await;
    taking.end().await;
    let in_order: Vec<_> = (0..50).map(body).collect();
    assert_eq!(ledger.bodies(), in_order);

    // A value cannot lead to another topic, and nobody listening is told.
    let odd = publish(&to, "odd", "{\"facility\":\"a/#\"}").await.unwrap();
    assert!(odd.status.starts_with("acknowledged"), "{}", odd.status);
    let missing = publish(&to, "x", "{}").await.unwrap_err();
    assert_eq!(missing.code, codes::BROKER_UNSENDABLE);

    // Killed while messages are in hand: what was not acknowledged comes again, so all of it comes,
    // some of it twice, since MQTT gives messages no names.
    for n in 100..400 {
        publish(&to, &format!("d-{n}"), &body(n)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ledger = Ledger::busy_at_first(0);
    let taking = Taking::begin(consumer(port), &ledger);
    ledger.until(60).await;
    broker.kill();
    let broker = server(folder.path(), port);
    ledger.until(301).await;
    taking.end().await;
    drop(broker);
    let came: BTreeSet<_> = ledger.bodies().into_iter().collect();
    assert!((100..400).all(|n| came.contains(body(n).as_bytes())));
}
