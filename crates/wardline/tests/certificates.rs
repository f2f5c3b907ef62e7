//! Certificates through the real binary: exchanged while callers shake hands, told before they
//! end, and revoked while everything runs.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/authority.rs"]
mod authority;
#[path = "peers/house.rs"]
mod house;

use authority::Authority;
use house::{House, Outcome, PATIENCE, free_address};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wardline_connect::Secret;
use wardline_connect::tls::{ClientTls, Identity, Pem};

fn key(house: &House, name: &str, pem: &str) {
    let path = house.write(&format!("secrets/{name}"), pem.as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// `check` of this house's estate.
fn check(house: &House, words: &[&str]) -> Outcome {
    let estate = house.estate();
    house.run(&[&["check", estate.to_str().unwrap()], words].concat())
}

fn client(authorities: &[&Authority], own: Option<&(String, String)>) -> Arc<ClientConfig> {
    let pem: String = authorities.iter().map(|one| one.pem.as_str()).collect();
    let text = |pem: &str| Pem::Text(Secret::from(pem));
    let tls = ClientTls {
        ca: Some(text(&pem)),
        identity: own.map(|(cert, key)| Identity {
            cert: text(cert),
            key: text(key),
        }),
        server_name: None,
    };
    Arc::new(tls.build("test").unwrap())
}

/// Shakes hands, asks for something, and reads what comes: the certificate that was shown, and
/// the answer.
fn meet(
    address: &str,
    config: &Arc<ClientConfig>,
    say: &str,
) -> Result<(Vec<u8>, String), std::io::Error> {
    let tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").unwrap();
    let connection =
        ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let shown = stream.conn.peer_certificates().unwrap()[0].to_vec();
    if say.is_empty() {
        return Ok((shown, String::new()));
    }
    stream.write_all(say.as_bytes())?;
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    loop {
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&some[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok((shown, String::from_utf8_lossy(&answer).into_owned()))
}

const POST: &str = "POST /hr HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

/// A house with a certificate at every kind of door: MLLP, messages by HTTP, and Apis.
fn town(extra: &str) -> (House, Doors) {
    let doors = Doors {
        mllp: free_address(),
        http: free_address(),
        apis: free_address(),
    };
    let tls = format!("tls: {{ cert: certs/node.pem, key: secret:node/key{extra} }}");
    let house = House::new(&[
        (
            "wardline.yaml",
            &format!(
                "estate: town\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  internal: {{ zone: internal, bind: \"{}\", {tls} }}\n  partner: {{ zone: partner, bind: \"{}\", {tls} }}\n",
                doors.http, doors.apis
            ),
        ),
        (
            "systems/hr.yaml",
            &format!(
                "system: hr\nowner: it\nconnections:\n  events: {{ http: {{ listen: internal, post: \"/hr\", auth: none }}, sensitivity: internal }}\n  adt: {{ mllp: {{ listen: \"{}\", {tls} }}, sensitivity: internal }}\n  sink: {{ http: {{ url: \"http://127.0.0.1:9\" }}, sensitivity: internal }}\noperations:\n  get-thing: {{ http: {{ connection: sink, get: \"/things/{{id}}\" }}, returns: thing }}\n",
                doors.mllp
            ),
        ),
        (
            "entities/thing.yaml",
            "entity: thing\nversion: 1.0.0\nowner: it\nschema: thing.schema.json\n",
        ),
        (
            "entities/thing.schema.json",
            "{ \"type\": \"object\", \"properties\": { \"id\": { \"type\": \"string\" } } }",
        ),
        (
            "apis/things.yaml",
            "api: things\nlayer: system\nversion: 1.0.0\nowner: it\nstate: published\nzones: [partner]\noperations:\n  get-thing: { get: \"/things/{id}\", returns: thing, public: true }\nbindings:\n  - { system: hr }\n",
        ),
        (
            "flows/all.yaml",
            "flow: all\nowner: it\nfrom: hr.events\nto: [{ send: hr.sink }]\n---\nflow: adt\nowner: it\nfrom: hr.adt\nto: [{ send: hr.sink }]\n",
        ),
    ]);
    (house, doors)
}

struct Doors {
    mllp: String,
    http: String,
    apis: String,
}

#[test]
fn certificates_are_exchanged_under_load_and_halves_change_nothing() {
    let (old, new) = (Authority::new(), Authority::new());
    let (house, doors) = town("");
    let first = old.issue();
    house.write("certs/node.pem", first.0.as_bytes());
    key(&house, "node/key", &first.1);
    let server = house.serve();

    let stop = Arc::new(AtomicBool::new(false));
    let met = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for (door, say) in [(&doors.mllp, ""), (&doors.http, POST), (&doors.apis, "")] {
        for _ in 0..2 {
            let (stop, met, door) = (Arc::clone(&stop), Arc::clone(&met), door.clone());
            let config = client(&[&old, &new], None);
            callers.push(std::thread::spawn(move || {
                let mut last = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let (shown, answer) = meet(&door, &config, say).unwrap();
                    assert!(
                        say.is_empty() || answer.starts_with("HTTP/1.1 202"),
                        "{answer}"
                    );
                    last = shown;
                    met.fetch_add(1, Ordering::SeqCst);
                }
                last
            }));
        }
    }
    let shown = |door: &str| meet(door, &client(&[&old, &new], None), "").unwrap().0;
    let before = shown(&doors.apis);

    // The certificate is there and its key is not: everybody goes on with the old pair.
    let second = new.issue();
    house.write("certs/node.pem", second.0.as_bytes());
    let end = Instant::now() + PATIENCE;
    while house.log().matches("it cannot be made anew yet").count() < 3 {
        assert!(
            Instant::now() < end,
            "never: three doors keep the old pair\n{}",
            house.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    for door in [&doors.mllp, &doors.http, &doors.apis] {
        assert_eq!(shown(door), before, "{door}");
    }
    // The key comes: the new pair is shown, and nobody was turned away meanwhile.
    key(&house, "node/key", &second.1);
    for door in [&doors.mllp, &doors.http, &doors.apis] {
        while shown(door) == before {
            assert!(
                Instant::now() < end,
                "never: {door} shows the new one\n{}",
                house.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        assert_ne!(caller.join().unwrap(), before);
    }
    assert!(met.load(Ordering::SeqCst) > 60, "{met:?}");
    let log = house.log();
    assert!(!log.contains("PRIVATE KEY"), "{log}");
    let entries = house.run(&["audit", "list", "--json"]).json();
    let acts: Vec<&str> = entries
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["act"].as_str())
        .collect();
    assert!(
        acts.contains(&"certificate.change") && acts.contains(&"secret.rotate"),
        "{acts:?}"
    );
    server.stop();
}

#[test]
fn a_revoked_client_is_turned_away_without_a_restart() {
    let authority = Authority::new();
    let (house, doors) = town(", client_ca: certs/ca.pem, crl: certs/ca.crl");
    let own = authority.issue();
    house.write("certs/node.pem", own.0.as_bytes());
    house.write("certs/ca.pem", authority.pem.as_bytes());
    house.write("certs/ca.crl", authority.revoking(&[7]).as_bytes());
    key(&house, "node/key", &own.1);
    let server = house.serve();
    let (good, bad) = (
        authority.issue_numbered(5, 90),
        authority.issue_numbered(7, 90),
    );
    let post = |own: &(String, String)| {
        let met = meet(&doors.http, &client(&[&authority], Some(own)), POST);
        met.is_ok_and(|(_, answer)| answer.starts_with("HTTP/1.1 202"))
    };
    assert!(post(&good) && !post(&bad));
    let nobody = meet(&doors.http, &client(&[&authority], None), POST);
    assert!(!nobody.is_ok_and(|(_, answer)| answer.contains("202")));

    house.write("certs/ca.crl", authority.revoking(&[5, 7]).as_bytes());
    let end = Instant::now() + PATIENCE;
    while post(&good) {
        assert!(
            Instant::now() < end,
            "never: it is revoked\n{}",
            house.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(post(&authority.issue_numbered(6, 90)));
    let listed = house.run(&["certs", "--json"]).ends(0).json();
    let lists: Vec<_> = listed["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["role"] == "revocations")
        .collect();
    assert_eq!(
        (lists.len(), &lists[0]["subject"]),
        (1, &"2 revoked".into())
    );
    server.stop();
}

#[test]
fn certificates_that_end_are_told_before() {
    let authority = Authority::new();
    let (house, _) = town("");
    let set = |days: i64| {
        let (cert, pem) = authority.issue_numbered(9, days);
        house.write("certs/node.pem", cert.as_bytes());
        key(&house, "node/key", &pem);
    };
    set(90);
    house.run(&["certs"]).ends(0).says(&[
        "CN=number 9",
        "localhost",
        "listener partner",
        "connection hr.adt",
    ]);
    check(&house, &["--deny-warnings"]).ends(0);
    set(20);
    house.run(&["certs"]).ends(1).says(&["ends in"]);
    check(&house, &[]).ends(0).says(&["W1441", "ends on"]);
    check(&house, &["--deny-warnings"]).ends(1);

    let server = house.serve();
    let status = house.until_status("the end is told", |status| {
        status["overview"]["certificates"][0]["state"] == "ends-soon"
    });
    assert_eq!(
        status["overview"]["certificates"].as_array().unwrap().len(),
        1
    );
    house
        .run(&["status"])
        .ends(0)
        .says(&["CN=number 9", "renew it"]);
    assert!(house.log().contains("renew it"), "{}", house.log());
    // Renewed: nothing is left to tell, and nobody restarted anything.
    set(90);
    house.until_status("it is renewed", |status| {
        status["overview"]["certificates"]
            .as_array()
            .unwrap()
            .is_empty()
    });
    server.stop();

    set(-2);
    house.run(&["certs"]).ends(1).says(&["has ended"]);
    check(&house, &[]).ends(0).says(&["W1407", "ended on"]);
    house.write("certs/node.pem", b"not a certificate");
    check(&house, &[]).ends(1).says(&["W1442"]);
}
