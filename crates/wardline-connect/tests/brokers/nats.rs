use super::stage::{
    Ledger, Process, Taking, body, free_port, installed, publish, publish_until_confirmed,
    survives_kills,
};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use wardline_connect::broker::{
    ConsumerConfig, Content, Envelope, Outbound, Place, Publish, PublisherConfig, Take, Template,
};
use wardline_connect::{ContentType, FailureKind, Secret, codes};

fn server(folder: &Path, port: u16) -> Process {
    let config = folder.join("nats.conf");
    std::fs::write(
        &config,
        format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\nauthorization {{ user: wardline, password: s3cret }}\n",
            folder.join("store").display()
        ),
    )
    .unwrap();
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(config);
    Process::start(&mut command, &folder.join("log"), port)
}

/// Asks JetStream something, without any of the code that is tested.
fn ask(port: u16, subject: &str, body: &str) -> String {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let hello = "CONNECT {\"verbose\":false,\"user\":\"wardline\",\"pass\":\"s3cret\"}";
    write!(
        stream,
        "{hello}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n",
        body.len()
    )
    .unwrap();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some(size) = line.strip_prefix("MSG answer 1 ") {
            let mut answer = vec![0; size.trim().parse().unwrap()];
            reader.read_exact(&mut answer).unwrap();
            return String::from_utf8(answer).unwrap();
        }
    }
}

fn make_stream(port: u16) {
    // JetStream is up a moment after the port.
    for _ in 0..100 {
        let made = ask(
            port,
            "$JS.API.STREAM.CREATE.ORDERS",
            "{\"name\":\"ORDERS\",\"subjects\":[\"orders.>\"],\"storage\":\"file\"}",
        );
        if made.contains("\"config\"") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no stream was made");
}

fn place(port: u16) -> Place {
    let mut place = Place::new("erp.events", vec![format!("127.0.0.1:{port}")]);
    place.login = Some(Secret::from("wardline:s3cret"));
    place
}

fn publisher(port: u16) -> PublisherConfig {
    PublisherConfig {
        place: place(port),
        publish: Publish::Nats {
            subject: Template::new("orders.{facility}").unwrap(),
        },
        envelope: None,
        timeout: Duration::from_secs(5),
        sessions: 2,
        max_size: 100_000,
    }
}

fn consumer(port: u16) -> ConsumerConfig {
    ConsumerConfig {
        place: place(port),
        take: Take::Nats {
            stream: "ORDERS".into(),
            consumer: "wardline".into(),
            subject: "orders.>".into(),
            ack_wait: Duration::from_secs(2),
        },
        content: Content::As(ContentType::Json),
        ahead: 16,
        max_size: 10_000,
    }
}

#[tokio::test]
async fn nats_killed_in_the_midst_loses_and_repeats_nothing() {
    if !installed("nats-server", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let broker = server(folder.path(), port);
    make_stream(port);
    let again = || server(folder.path(), port);
    let ledger = survives_kills(publisher(port), consumer(port), broker, again, 3, 400).await;
    let mut came = ledger.bodies();
    assert_eq!(came.len(), 400, "each was taken once");
    came.sort();
    came.dedup();
    assert_eq!(came.len(), 400);
}

#[tokio::test]
async fn nats_keeps_order_confirms_once_and_says_what_is_wrong() {
    if !installed("nats-server", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _broker = server(folder.path(), port);
    make_stream(port);

    let to = Outbound::new(publisher(port)).unwrap();
    let first = publish(&to, "d-1", &body(0)).await.unwrap();
    assert_eq!(first.status, "stored");
    let second = publish(&to, "d-1", &body(0)).await.unwrap();
    assert_eq!(second.status, "stored before", "the same attempt again");
    for n in 1..200 {
        publish_until_confirmed(&to, &format!("e-{n}"), &body(n)).await;
    }
    // A value cannot lead to another subject.
    let odd = "{\"facility\":\"a.b > *\"}";
    publish(&to, "odd", odd).await.unwrap();
    // One that nobody may take.
    let large = format!("{{\"facility\":\"x\",\"text\":\"{}\"}}", "y".repeat(20_000));
    publish(&to, "large", &large).await.unwrap();
    publish(&to, "last", "{\"facility\":\"last\"}")
        .await
        .unwrap();

    let ledger = Ledger::busy_at_first(3);
    let taking = Taking::begin(consumer(port), &ledger);
    ledger.until(203).await;
    taking.end().await;
    let came = ledger.bodies();
    let in_order: Vec<_> = (0..200).map(body).collect();
    assert_eq!(came[..200], in_order[..]);
    assert_eq!(came[200], odd);
    assert!(came[201].starts_with(b"it has"), "the large one is named");
    assert_eq!(ledger.faults()[0].0, codes::BROKER_TOO_LARGE);
    let state = ask(port, "$JS.API.CONSUMER.INFO.ORDERS.wardline", "");
    assert!(state.contains("\"num_ack_pending\":0"), "{state}");

    // What is wrong is told as what it is.
    let missing = publish(&to, "x", "{}").await.unwrap_err();
    assert_eq!(missing.code, codes::BROKER_UNSENDABLE);
    let mut nobody = publisher(port);
    nobody.publish = Publish::Nats {
        subject: Template::new("nobody.{facility}").unwrap(),
    };
    let nobody = Outbound::new(nobody).unwrap();
    let refused = publish(&nobody, "x", &body(1)).await.unwrap_err();
    assert_eq!(refused.code, codes::BROKER_REFUSED, "{refused}");
    let mut wrong = publisher(port);
    wrong.place.login = Some(Secret::from("wardline:wrong"));
    let wrong = Outbound::new(wrong).unwrap();
    let refused = publish(&wrong, "x", &body(1)).await.unwrap_err();
    assert_eq!(refused.code, codes::BROKER_CREDENTIALS, "{refused}");
    assert!(!refused.text.contains("wrong"), "{refused}");
    let mut away = publisher(port);
    away.place.servers = vec![format!("127.0.0.1:{}", free_port())];
    let away = Outbound::new(away).unwrap();
    let failed = publish(&away, "x", &body(1)).await.unwrap_err();
    assert_eq!(failed.kind, FailureKind::Unreachable);
}

#[tokio::test]
async fn events_come_as_they_went_in_both_modes() {
    if !installed("nats-server", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _broker = server(folder.path(), port);
    make_stream(port);
    for binary in [false, true] {
        let mut config = publisher(port);
        config.envelope = Some(Envelope {
            binary,
            source: "/st-brigid".into(),
            kind: Template::new("org.brigid.{type}").unwrap(),
            subject: Some(Template::new("{data.account}").unwrap()),
            time: None,
            data: Some("data".into()),
        });
        let to = Outbound::new(config).unwrap();
        let payload = "{\"facility\":\"north\",\"type\":\"discharged\",\"data\":{\"account\":\"Ä 7\",\"amount\":10.10}}";
        publish(&to, &format!("d-{binary}"), payload).await.unwrap();
    }
    let plain = Outbound::new(publisher(port)).unwrap();
    publish(&plain, "plain", &body(1)).await.unwrap();
    let mut config = consumer(port);
    config.content = Content::CloudEvents;
    let ledger = Ledger::busy_at_first(0);
    let taking = Taking::begin(config, &ledger);
    ledger.until(3).await;
    taking.end().await;
    for (came, id) in ledger.bodies().iter().zip(["d-false", "d-true"]) {
        let event: serde_json::Value = serde_json::from_slice(came).unwrap();
        assert_eq!(event["id"], id);
        assert_eq!(event["type"], "org.brigid.discharged");
        assert_eq!(event["subject"], "Ä 7");
        assert_eq!(event["data"]["account"], "Ä 7");
        assert!(std::str::from_utf8(came).unwrap().contains("10.10"));
    }
    assert_eq!(ledger.faults()[0].0, codes::NOT_AN_EVENT);
}
