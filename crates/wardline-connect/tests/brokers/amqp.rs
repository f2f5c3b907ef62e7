use super::stage::{Ledger, Process, Taking, body, free_port, publish, survives_kills};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use wardline_connect::broker::{
    ConsumerConfig, Content, Outbound, Place, Publish, PublisherConfig, Take, Template,
};
use wardline_connect::{ContentType, Secret, codes};

/// RabbitMQ without the wrapper that changes to another user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

fn server(folder: &Path, port: u16, distribution: u16) -> Process {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let definitions = write(
        "definitions.json",
        "{\"users\":[{\"name\":\"wardline\",\"password\":\"s3cret\",\"tags\":\"\"}],\"vhosts\":[{\"name\":\"/\"}],\
         \"permissions\":[{\"user\":\"wardline\",\"vhost\":\"/\",\"configure\":\"\",\"write\":\".*\",\"read\":\".*\"}],\
         \"queues\":[{\"name\":\"results.north\",\"vhost\":\"/\",\"durable\":true,\"auto_delete\":false,\"arguments\":{}}],\
         \"exchanges\":[],\"bindings\":[]}",
    );
    let config = write(
        "rabbitmq.conf",
        &format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {}\n",
            definitions.display()
        ),
    );
    let plugins = write("plugins", "[].");
    let mut command = Command::new(SERVER);
    command
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("wardline{port}@localhost"))
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_CONFIG_FILE", config)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1");
    Process::start(&mut command, &folder.join("out"), port)
}

fn place(port: u16) -> Place {
    let mut place = Place::new("lab.results", vec![format!("127.0.0.1:{port}")]);
    place.login = Some(Secret::from("wardline:s3cret"));
    place
}

fn publisher(port: u16) -> PublisherConfig {
    PublisherConfig {
        place: place(port),
        publish: Publish::Amqp {
            vhost: "/".into(),
            exchange: String::new(),
            key: Template::new("results.{facility}").unwrap(),
        },
        envelope: None,
        timeout: Duration::from_secs(5),
        sessions: 2,
        max_size: 1_000_000,
    }
}

fn consumer(port: u16) -> ConsumerConfig {
    ConsumerConfig {
        place: place(port),
        take: Take::Amqp {
            vhost: "/".into(),
            queue: "results.north".into(),
            by_message_id: true,
        },
        content: Content::As(ContentType::Json),
        ahead: 16,
        max_size: 300_000,
    }
}

#[tokio::test]
async fn amqp_killed_in_the_midst_loses_and_repeats_nothing() {
    // Asked anything, it starts.
    if !Path::new(SERVER).exists() {
        eprintln!("{SERVER} is not installed: this test says nothing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (port, distribution) = (free_port(), free_port());
    let broker = server(folder.path(), port, distribution);

    // First what goes wrong, then large ones, then the order.
    let to = Outbound::new(publisher(port)).unwrap();
    let nowhere = publish(&to, "x", "{\"facility\":\"south\"}")
        .await
        .unwrap_err();
    assert_eq!(nowhere.code, codes::BROKER_REFUSED, "{nowhere}");
    assert!(nowhere.text.contains("NO_ROUTE"), "{nowhere}");
    let mut missing = publisher(port);
    missing.publish = Publish::Amqp {
        vhost: "/".into(),
        exchange: "not-there".into(),
        key: Template::new("a").unwrap(),
    };
    let missing = Outbound::new(missing).unwrap();
    for _ in 0..2 {
        let refused = publish(&missing, "x", "{}").await.unwrap_err();
        assert_eq!(refused.code, codes::BROKER_REFUSED, "{refused}");
    }
    let mut wrong = publisher(port);
    wrong.place.login = Some(Secret::from("wardline:wrong"));
    let refused = publish(&Outbound::new(wrong).unwrap(), "x", &body(1)).await;
    assert_eq!(refused.unwrap_err().code, codes::BROKER_CREDENTIALS);
    let large = |size: usize| {
        format!(
            "{{\"facility\":\"north\",\"text\":\"{}\"}}",
            "y".repeat(size)
        )
    };
    publish(&to, "large", &large(290_000)).await.unwrap();
    publish(&to, "too-large", &large(310_000)).await.unwrap();
    let ledger = Ledger::busy_at_first(1);
    let taking = Taking::begin(consumer(port), &ledger);
    ledger.until(2).await;
    taking.end().await;
    assert_eq!(ledger.bodies()[0].len(), large(290_000).len());
    assert_eq!(ledger.faults()[0].0, codes::BROKER_TOO_LARGE);

    let again = || server(folder.path(), port, distribution);
    let ledger = survives_kills(publisher(port), consumer(port), broker, again, 1, 300).await;
    let mut came = ledger.bodies();
    assert_eq!(came.len(), 300, "each was taken once");
    came.sort();
    came.dedup();
    assert_eq!(came.len(), 300);
}
