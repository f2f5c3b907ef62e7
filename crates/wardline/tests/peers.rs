//! The wire against software that others wrote: PyPI `hl7` and `hl7apy`, npm
//! `node-hl7-client` and `node-hl7-server`, Python's own TLS. Each talks to the real binary.
//!
//! `cargo xtask peers` installs them. Without them the tests say so and skip; where `CI` is
//! set they fail.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/authority.rs"]
mod authority;
#[path = "peers/house.rs"]
mod house;

use authority::Authority;
use house::{House, Running, wardline};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the peers are.
struct Peers {
    root: PathBuf,
}

impl Peers {
    /// `None` where they are absent and that is allowed.
    fn find() -> Option<Self> {
        let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
            PathBuf::from,
        );
        let needed = [
            "py/bin/python",
            "py/bin/mllp_send",
            "node/node_modules/node-hl7-client",
            "node/node_modules/node-hl7-server",
        ];
        let absent: Vec<&str> = needed
            .into_iter()
            .filter(|path| !root.join(path).exists())
            .collect();
        if absent.is_empty() {
            return Some(Self {
                root: root.canonicalize().unwrap(),
            });
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "peers are missing ({absent:?}): `cargo xtask peers` installs them"
        );
        println!("skipped: peers are missing ({absent:?}); `cargo xtask peers` installs them");
        None
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.root.join("py/bin/python"));
        command.arg(script_path(script));
        command
    }

    fn node(&self, script: &str) -> Command {
        let mut command = Command::new("node");
        command
            .arg(script_path(script))
            .arg(self.root.join("node/node_modules"));
        command
    }

    fn mllp_send(&self, port: &str, file: &Path, loose: bool) -> Command {
        // Its launcher names the interpreter by the path it was installed under.
        let mut command = Command::new(self.root.join("py/bin/python"));
        command
            .args(["-m", "hl7.client", "--port", port, "--file"])
            .arg(file);
        if loose {
            command.arg("--loose");
        }
        command.arg("127.0.0.1");
        command
    }
}

fn script_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

/// Runs a peer to its end, which has to be good; what it printed.
#[track_caller]
fn finish(mut command: Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{:?} ended with {}: {error}",
        command.get_args(),
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Messages of three patients in turn, each with its own content; one holds escapes, a
/// repetition, an HL7 null and a Z segment.
fn messages(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            format!(
                "MSH|^~\\&|EHR|NORTH|WARDLINE|TEST|20261124104203||ADT^A01^ADT_A01|CTL-{n}|P|2.5.1||||||UNICODE UTF-8\r\
                 EVN|A01|20261124104203\r\
                 PID|1||MRN-{}^^^STB^MR~ALT-{n}^^^STB^AN||Müller \\T\\ Søn^Zoë||19670312|F|||\"\"\r\
                 PV1|1|I|4W^112^A\r\
                 ZBD|{n}|not in any table\r",
                n % 3
            )
        })
        .collect()
}

fn framed(messages: &[String]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| [b"\x0b", message.as_bytes(), b"\x1c\r"].concat())
        .collect()
}

const ESTATE: &str = "\
estate: peers
store: sqlite
keys: { provider: file, path: ./keys }
listeners: { console: { zone: admin, bind: \"127.0.0.1:0\" } }
";

/// An estate that passes what it receives on to the archive, per patient in order.
fn pass_through(listen: &str, archive: &str) -> House {
    let systems = format!(
        "system: ehr\nconnections:\n  adt:\n    mllp: {{ listen: \"127.0.0.1:0\"{listen} }}\n    keys: {{ mrn: PID-3.1 }}\n---\n\
         system: archive\nconnections:\n  feed: {archive}\n"
    );
    House::new(&[
        ("wardline.yaml", ESTATE),
        ("systems/both.yaml", &systems),
        (
            "flows/pass.yaml",
            "flow: pass\nowner: tests\nfrom: ehr.adt\nkey: hl7(\"PID-3.1\")\nto: [{ send: archive.feed }]\n",
        ),
    ])
}

fn delivered(count: u64) -> impl Fn(&Value) -> bool {
    move |status| {
        status["sums"]["delivered"] == count
            && status["sums"]["accepted"] == count
            && status["sums"]["open"] == 0
    }
}

/// Control ids that were acknowledged with a code, in order.
fn acknowledged(text: &str, code: &str) -> Vec<String> {
    let start = format!("MSA|{code}|");
    text.split(['\r', '\n'])
        .filter_map(|segment| segment.strip_prefix(&start))
        .map(|rest| rest.split('|').next().unwrap().to_owned())
        .collect()
}

fn control_ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("CTL-{n}")).collect()
}

/// What a receiver was told must be every message as it was sent, per patient in order.
fn prove(received: &[Value], sent: &[String]) {
    let mut orders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in received {
        let id = one["id"].as_str().unwrap();
        let n: usize = id.strip_prefix("CTL-").unwrap().parse().unwrap();
        assert_eq!(
            one["raw"].as_str().unwrap().trim_end_matches('\r'),
            sent[n].trim_end_matches('\r'),
            "{id}"
        );
        orders
            .entry(one["mrn"].as_str().unwrap())
            .or_default()
            .push(id);
    }
    let ids = control_ids(sent.len());
    for (patient, order) in &orders {
        let first: usize = patient.strip_prefix("MRN-").unwrap().parse().unwrap();
        let expected: Vec<&str> = ids
            .iter()
            .skip(first)
            .step_by(3)
            .map(String::as_str)
            .collect();
        assert_eq!(order, &expected, "the order of {patient}");
    }
    assert_eq!(
        orders.len(),
        sent.len().min(3),
        "every patient was heard of"
    );
}

/// Starts a receiver of a peer; its port is its first line.
fn receiver(command: Command) -> (Running, String) {
    let mut running = Running::start(command);
    let port = running.line().expect("it prints its port");
    (running, port)
}

fn next(running: &mut Running, count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| {
            let line = running
                .line()
                .unwrap_or_else(|| panic!("the receiver ended after {n} messages"));
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
        .collect()
}

#[test]
fn mllp_send_of_hl7_is_answered_and_hl7apy_reads_the_answers() {
    let Some(peers) = Peers::find() else { return };
    let house = pass_through(", max_size: 16KiB", "{ null: {} }");
    let server = house.serve();
    let port = server.port("ehr.adt");

    let file = house.path("framed.hl7");
    std::fs::write(&file, framed(&messages(9))).unwrap();
    let answers = finish(peers.mllp_send(&port, &file, false), b"");
    assert_eq!(acknowledged(&answers, "AA"), control_ids(9));
    // The same as a text file with a segment a line; they are repeats only to a connection
    // that says by what.
    let file = house.path("loose.hl7");
    std::fs::write(&file, messages(9).concat().replace('\r', "\r\n")).unwrap();
    let loose = finish(peers.mllp_send(&port, &file, true), b"");
    assert_eq!(acknowledged(&loose, "AA"), control_ids(9));
    house.until_status("all is delivered", delivered(18));

    let read = json_lines(&finish(peers.python("hl7apy_acks.py"), answers.as_bytes()));
    assert_eq!(read.len(), 9);
    for (n, ack) in read.iter().enumerate() {
        assert_eq!(
            (&ack["code"], &ack["id"]),
            (&"AA".into(), &format!("CTL-{n}").into())
        );
        assert!(
            ack["type"].as_str().unwrap().starts_with("ACK^A01"),
            "{ack}"
        );
    }

    // A message that cannot be taken is refused in a form that a strict reader understands.
    let file = house.path("refused.hl7");
    let much = format!("{}NTE|1||{}\r", messages(1)[0], "x".repeat(20_000));
    std::fs::write(&file, framed(&[much])).unwrap();
    let refused = finish(peers.mllp_send(&port, &file, false), b"");
    assert!(acknowledged(&refused, "AA").is_empty(), "{refused}");
    let read = json_lines(&finish(peers.python("hl7apy_acks.py"), refused.as_bytes()));
    assert_eq!(read.len(), 1, "{refused}");
    assert!(
        ["AE", "AR"].contains(&read[0]["code"].as_str().unwrap()),
        "{refused}"
    );
    assert_eq!(read[0]["id"], "CTL-0");
    assert!(
        read[0]["segments"]
            .as_array()
            .unwrap()
            .contains(&"ERR".into()),
        "{read:?}"
    );
    server.stop();
}

#[test]
fn node_hl7_client_builds_sends_and_is_answered() {
    let Some(peers) = Peers::find() else { return };
    let house = pass_through("", "{ null: {} }");
    let server = house.serve();
    let mut client = peers.node("hl7_client.js");
    client.args([&server.port("ehr.adt"), "12"]);
    let answers = json_lines(&finish(client, b""));
    assert_eq!(answers.len(), 12);
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(
            *answer,
            serde_json::json!({ "code": "AA", "id": format!("NODE-{n}"), "type": "ACK" })
        );
    }
    house.until_status("all is delivered", delivered(12));
    let found = house
        .run(&["messages", "--key", "MRN-1", "--json"])
        .ends(0)
        .json();
    assert_eq!(
        found["rows"].as_array().unwrap().len(),
        4,
        "every third message is of MRN-1"
    );
    server.stop();
}

#[test]
fn node_hl7_server_receives_what_passed_through() {
    let Some(peers) = Peers::find() else { return };
    let (mut archive, port) = receiver(peers.node("hl7_server.js"));
    through(
        &mut archive,
        &format!("{{ mllp: {{ connect: \"127.0.0.1:{port}\" }}, limits: {{ concurrent: 1 }} }}"),
        "",
    );
}

#[test]
fn hl7apy_server_receives_what_passed_through() {
    let Some(peers) = Peers::find() else { return };
    let (mut archive, port) = receiver(peers.python("hl7apy_server.py"));
    let said = through(
        &mut archive,
        &format!("{{ mllp: {{ connect: \"127.0.0.1:{port}\" }} }}"),
        "",
    );
    // Their parser agrees where a component ends, and finds the escape as it was sent.
    assert!(
        said.iter().all(|one| one["family"] == "Müller \\T\\ Søn"),
        "{said:?}"
    );
}

/// Sends messages into a house and proves what came out; what the receiver said.
fn through(archive: &mut Running, destination: &str, listen: &str) -> Vec<Value> {
    let house = pass_through(listen, destination);
    let server = house.serve();
    let sent = messages(12);
    let file = house.path("sent.hl7");
    std::fs::write(&file, sent.concat()).unwrap();
    let said = house
        .run(&[
            "send",
            file.to_str().unwrap(),
            "--mllp",
            &server.address("ehr.adt"),
        ])
        .ends(0);
    assert_eq!(said.out.matches("✓ AA").count(), 12, "{}", said.out);
    let received = next(archive, 12);
    prove(&received, &sent);
    // Both close after each answer, sometimes just as the next message leaves: an attempt may
    // fail, and none is given up.
    let status = house.until_status("all is delivered", delivered(12));
    assert_eq!(status["sums"]["dead"], 0, "{status:#}");
    server.stop();
    received
}

#[test]
fn send_and_listen_speak_with_both() {
    let Some(peers) = Peers::find() else { return };
    let house = House::new(&[]);
    let sent = messages(5);
    let file = house.path("five.hl7");
    std::fs::write(&file, framed(&sent)).unwrap();

    let (mut archive, port) = receiver(peers.node("hl7_server.js"));
    let said = house
        .run(&[
            "send",
            file.to_str().unwrap(),
            "--mllp",
            &format!("127.0.0.1:{port}"),
        ])
        .ends(0);
    for (n, line) in said.out.lines().enumerate() {
        assert!(line.starts_with(&format!("✓ AA  CTL-{n}  ")), "{line}");
    }
    prove(&next(&mut archive, 5), &sent);

    let mut command = wardline();
    command
        .args(["listen", "--mllp", "127.0.0.1:0", "--count", "5"])
        .stderr(Stdio::piped());
    let (listener, port) = listening(command);
    let answers = finish(peers.mllp_send(&port, &file, false), b"");
    assert_eq!(acknowledged(&answers, "AA"), control_ids(5));
    let (shown, code) = listener.end();
    assert_eq!(code, 0);
    let shown = shown.join("\n");
    for n in 0..5 {
        assert!(shown.contains(&format!("CTL-{n}")), "{shown}");
    }
    assert!(
        shown.contains("Müller") && shown.contains("Patient Name"),
        "{shown}"
    );
}

/// `wardline listen`, once it says where it listens.
fn listening(mut command: Command) -> (Running, String) {
    let (mut end, write) = std::io::pipe().unwrap();
    command.stderr(write);
    let running = Running::start(command);
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\n") {
        std::io::Read::read_exact(&mut end, &mut byte).unwrap();
        said.push(byte[0]);
    }
    let said = String::from_utf8(said).unwrap();
    let address = said
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split(';').next())
        .expect("it says where");
    (running, address.rsplit(':').next().unwrap().to_owned())
}

fn write_private(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn tls_with_node_and_mutual_tls_with_python() {
    let Some(peers) = Peers::find() else { return };
    let authority = Authority::new();
    let (cert, key) = authority.issue();
    let equip = |house: &House| {
        house.write("certs/ca.pem", authority.pem.as_bytes());
        house.write("certs/node.pem", cert.as_bytes());
        write_private(&house.estate().join("secrets/node/key"), &key);
    };

    // Out over TLS as well: the archive is theirs, and we check its certificate.
    let house = pass_through(
        ", tls: { cert: certs/node.pem, key: secret:node/key }",
        "{ null: {} }",
    );
    equip(&house);
    let ca = house.estate().join("certs/ca.pem");
    let server = house.serve();
    let mut client = peers.node("hl7_client.js");
    client.args([&server.port("ehr.adt"), "3"]).arg(&ca);
    let answers = json_lines(&finish(client, b""));
    assert_eq!(
        answers
            .iter()
            .map(|one| one["code"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["AA", "AA", "AA"]
    );
    house.until_status("all is delivered", delivered(3));
    server.stop();

    let (their_cert, their_key) = authority.issue();
    let cert_path = house.path("theirs.pem");
    let key_path = house.path("theirs.key");
    std::fs::write(&cert_path, &their_cert).unwrap();
    write_private(&key_path, &their_key);
    let mut archive = peers.node("hl7_server.js");
    archive.arg(&key_path).arg(&cert_path);
    let (mut archive, port) = receiver(archive);
    let mutual = pass_through(
        ", tls: { cert: certs/node.pem, key: secret:node/key, client_ca: certs/ca.pem }",
        &format!(
            "{{ mllp: {{ connect: \"localhost:{port}\", tls: {{ ca: certs/ca.pem }} }}, limits: {{ concurrent: 1 }} }}"
        ),
    );
    equip(&mutual);
    let server = mutual.serve();
    let sent = messages(6);
    let mut python = peers.python("tls_send.py");
    python
        .arg(server.port("ehr.adt"))
        .args([&ca, &cert_path, &key_path]);
    let answers = finish(python, &framed(&sent));
    assert_eq!(acknowledged(&answers, "AA"), control_ids(6));
    prove(&next(&mut archive, 6), &sent);
    mutual.until_status("all is delivered", delivered(6));

    // Without a certificate nobody gets in, and nothing is taken.
    let mut stranger = peers.python("tls_send.py");
    stranger
        .arg(server.port("ehr.adt"))
        .arg(&ca)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut stranger = stranger.spawn().unwrap();
    stranger
        .stdin
        .take()
        .unwrap()
        .write_all(&framed(&messages(1)))
        .unwrap();
    let output = stranger.wait_with_output().unwrap();
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    assert!(
        delivered(6)(&mutual.run(&["status", "--json"]).json()),
        "nothing of the stranger was taken"
    );
    server.stop();
}
