//! The real binary between two streams of a real NATS server, both killed in the midst, again and
//! again: what the first stream holds is in the second, each message once and in an envelope. The
//! same between two topics of a Kafka cluster, in `brokers/kafka.rs`.
//!
//! Says nothing where `nats-server` is not installed (`cargo xtask peers` installs it).

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

#[path = "../../wardline-connect/tests/brokers/cluster.rs"]
mod cluster;
#[path = "brokers/kafka.rs"]
mod kafka;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MESSAGES: usize = 1_000;
/// How long nothing may move; how long all of it takes is the disk's affair.
const PATIENCE: Duration = Duration::from_mins(2);

fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

fn log(folder: &Path, name: &str) -> std::fs::File {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join(name));
    log.unwrap()
}

fn nats(folder: &Path, port: u16) -> Child {
    let child = Command::new("nats-server")
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
        .arg(folder.join("nats"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log(folder, "nats.log"))
        .spawn()
        .unwrap();
    let began = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "nats-server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// A client that knows nothing of the code that is tested.
struct Plain {
    /// Where answers come.
    answer: String,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Plain {
    fn connect(port: u16) -> Self {
        let writer = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut reader = BufReader::new(writer.try_clone().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        // Two connections must not hear each other's answers.
        let answer = format!("answer.{}", writer.local_addr().unwrap().port());
        let mut made = Self {
            answer,
            reader,
            writer,
        };
        write!(
            made.writer,
            "CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\n",
            made.answer
        )
        .unwrap();
        made
    }

    fn ask(&mut self, subject: &str, body: &str) -> Value {
        write!(
            self.writer,
            "PUB {subject} {} {}\r\n{body}\r\n",
            self.answer,
            body.len()
        )
        .unwrap();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            if let Some(size) = line.strip_prefix(&format!("MSG {} 1 ", self.answer)) {
                let mut answer = vec![0; size.trim().parse::<usize>().unwrap() + 2];
                self.reader.read_exact(&mut answer).unwrap();
                return serde_json::from_slice(&answer).unwrap();
            }
        }
    }
}

fn held(port: u16, stream: &str) -> u64 {
    let info = Plain::connect(port).ask(&format!("$JS.API.STREAM.INFO.{stream}"), "");
    info["state"]["messages"].as_u64().unwrap_or_default()
}

fn estate(folder: &Path, hub: &str) {
    let console = free_port();
    let write = |path: &str, text: &str| {
        let path = folder.join("estate").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "wardline.yaml",
        &format!(
            "estate: brokers\nzone: UTC\nstore: sqlite\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:{console}\" }}\n"
        ),
    );
    write(
        "systems/hub.yaml",
        &format!("system: hub\nowner: integration\nconnections:\n{hub}"),
    );
    write("maps/kind.vrl", ".kind = \"a.b\"\n");
    write(
        "flows/through.yaml",
        "flow: through\nowner: integration\nfrom: hub.in\nkey: .n\nmap: maps/kind.vrl\nto: [{ send: hub.out, retry: { first: 100ms, max: 1s, attempts: 1000 } }]\n",
    );
}

fn wardline(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wardline"))
        .arg("serve")
        .arg(folder.join("estate"))
        .arg("--data")
        .arg(folder.join("data"))
        .env_remove("WARDLINE_ESTATE")
        .env_remove("WARDLINE_DATA")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log(folder, "wardline.log"))
        .spawn()
        .unwrap()
}

#[test]
fn both_killed_in_the_midst_lose_and_repeat_nothing() {
    if Command::new("nats-server")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: nats-server is missing; `cargo xtask peers` installs it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let port = free_port();
    let hub = format!(
        "  in:\n    nats: {{ servers: \"127.0.0.1:{port}\", stream: IN, consumer: wardline, take: \"in.>\", ack_wait: 2s }}\n    sensitivity: internal\n  out:\n    nats: {{ servers: \"127.0.0.1:{port}\", publish: \"out.{{kind}}\", cloudevents: {{ mode: structured, source: /hub, type: \"hub.{{kind}}\" }} }}\n"
    );
    estate(folder, &hub);
    let mut broker = nats(folder, port);
    let mut plain = Plain::connect(port);
    for (stream, subjects) in [("IN", "in.>"), ("OUT", "out.>")] {
        let made = plain.ask(
            &format!("$JS.API.STREAM.CREATE.{stream}"),
            &format!("{{\"name\":\"{stream}\",\"subjects\":[\"{subjects}\"],\"storage\":\"file\",\"duplicate_window\":600000000000}}"),
        );
        assert!(made["config"].is_object(), "{made}");
    }
    for n in 0..MESSAGES {
        let stored = plain.ask("in.orders", &format!("{{\"n\":{n}}}"));
        assert!(stored["seq"].is_u64(), "{stored}");
    }
    let mut server = wardline(folder);
    let mut kills = 0;
    let mut moved = (Instant::now(), 0);
    loop {
        let out = held(port, "OUT");
        if out >= MESSAGES as u64 {
            break;
        }
        if out > moved.1 {
            moved = (Instant::now(), out);
        }
        assert!(
            moved.0.elapsed() < PATIENCE,
            "{out} came; {}",
            std::fs::read_to_string(folder.join("wardline.log")).unwrap_or_default()
        );
        // Whenever another quarter of them is through: one of the two, in turn. What a kill left
        // unacknowledged comes again only after the broker's half minute.
        if out > (kills + 1) * MESSAGES as u64 / 4 {
            kills += 1;
            if kills % 2 == 0 {
                broker.kill().unwrap();
                broker.wait().unwrap();
                broker = nats(folder, port);
            } else {
                server.kill().unwrap();
                server.wait().unwrap();
                server = wardline(folder);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{kills} kills");
    // Whatever would come twice has come by then: nothing is unsettled at the consumer any more.
    let mut plain = Plain::connect(port);
    let began = Instant::now();
    loop {
        let consumer = plain.ask("$JS.API.CONSUMER.INFO.IN.wardline", "");
        if consumer["num_ack_pending"] == 0 && consumer["num_pending"] == 0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{consumer}");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(500));
    server.kill().unwrap();
    server.wait().unwrap();
    let mut seen = vec![0; MESSAGES];
    let out = held(port, "OUT");
    for sequence in 1..=out {
        let got = plain.ask(
            "$JS.API.STREAM.MSG.GET.OUT",
            &format!("{{\"seq\":{sequence}}}"),
        );
        let message = &got["message"];
        assert_eq!(message["subject"], "out.a%2Eb", "{got}");
        let data = decode(message["data"].as_str().unwrap());
        let event: Value = serde_json::from_slice(&data).unwrap();
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "hub.a.b");
        seen[event["data"]["n"].as_u64().unwrap() as usize] += 1;
    }
    broker.kill().unwrap();
    broker.wait().unwrap();
    assert!(kills >= 3, "the kills came too late to prove anything");
    assert!(
        seen.iter().all(|times| *times == 1),
        "each of them came once: {out} came"
    );
}

/// Base64, as JetStream's API gives bodies.
fn decode(text: &str) -> Vec<u8> {
    let (mut bits, mut held, mut out) = (0u32, 0, Vec::new());
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}
