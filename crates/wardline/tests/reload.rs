//! Another estate takes the place of the one that runs, under load: nothing is refused, dropped,
//! lost or reordered, and memory stays where it was.
//!
//! The example estate is served by the real binary between two stand-ins for its ERPs, the
//! simulated hospital and a simulated clinical record. North moves from the old ERP to the new
//! one by one changed line, and back, again and again.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use house::{House, PATIENCE, Server, free_address};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wardline_sim::{Ehr, EhrPlan, Hospital, Record, SimConfig};

const VENDOR: &str = r#"{"VENDOR_NO":"V-100","NAME1":"Acme Medical","STATUS":"A","ZTERM":"N30"}"#;
const SUPPLIER: &str =
    r#"{"supplier_id":"V-100","name":"Acme Cloud","status":"active","payment_terms":"N30"}"#;
const PATH: &str = "/supplier-master/v1/suppliers/V-100";
const SECRET: &str = "a-secret-of-the-tester-that-is-long-enough-to-be-one";

/// The one line that changes, and the file that it is in.
const API: &str = "apis/supplier-master.yaml";
const SOUTH: &str = r#"when: '.facility == "south"'"#;
const BOTH: &str = r#"when: '.facility == "south" || .facility == "north"'"#;

/// Threads that call an Api, each over one connection that it keeps.
const CALLERS: usize = 4;

/// A client of the estate that may read suppliers, and whatever else a test adds.
const TESTER: &str = "client: tester\nowner: quality\nkind: service\nzone: internal\n\
    auth: { oauth2: { method: client_secret_basic, secret: secret:tester } }\n\
    scopes: [supplier.read]\npurpose: [operations]\nlimits: { rate: 100000/s, burst: 100000, concurrent: 64 }\n";

/// An ERP: answers every request with one document.
fn erp(document: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || {
                let mut from = BufReader::new(stream.try_clone().unwrap());
                let mut to = stream;
                let length = document.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{document}"
                );
                while read_head(&mut from).is_some() {
                    if to.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The lines of a head without a body; `None` where the other side closed.
fn read_head(from: &mut impl std::io::BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match from.read_line(&mut line) {
            Ok(1..) if line == "\r\n" => return Some(lines),
            Ok(1..) => lines.push(line.trim_end().to_owned()),
            Ok(0) | Err(_) => return None,
        }
    }
}

/// A connection over which one request follows the other.
struct Line {
    from: BufReader<TcpStream>,
    to: TcpStream,
}

impl Line {
    fn to(address: &str) -> Self {
        let to = TcpStream::connect(address).unwrap();
        to.set_nodelay(true).unwrap();
        to.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            from: BufReader::new(to.try_clone().unwrap()),
            to,
        }
    }

    /// Asks and reads the answer; `None` where the connection ended instead.
    fn ask(
        &mut self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<(u16, Value)> {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = body.len();
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let request = if verb == "GET" {
            request.replace("Content-Length: 0\r\n", "")
        } else {
            request
        };
        self.to.write_all(request.as_bytes()).ok()?;
        let head = read_head(&mut self.from)?;
        let status = head.first()?.split(' ').nth(1)?.parse().ok()?;
        let header = |wanted: &str| {
            let mut lines = head.iter().filter_map(|line| line.split_once(": "));
            lines
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_owned())
        };
        let body = if header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let mut body = vec![0; header("content-length")?.parse().ok()?];
            self.from.read_exact(&mut body).ok()?;
            body
        };
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let mut line = String::new();
            self.from.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; length + 2];
            self.from.read_exact(&mut chunk).ok()?;
            if length == 0 {
                return Some(whole);
            }
            whole.extend_from_slice(&chunk[..length]);
        }
    }
}

/// The example estate with a tester among its clients, between two ERPs.
struct Town {
    house: House,
    internal: String,
}

impl Town {
    fn new(others: &[(String, String)]) -> Self {
        let internal = free_address();
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let mut addresses = vec![
            pair("127.0.0.1:8420", &free_address()),
            pair("127.0.0.1:8421", &internal),
            pair("127.0.0.1:8422", &free_address()),
            pair("127.0.0.1:18091", &erp(VENDOR)),
            pair("127.0.0.1:18092", &erp(SUPPLIER)),
            // What protects a real ERP would only slow this one down.
            pair("rate: 200/s, burst: 400, concurrent: 8", "concurrent: 64"),
            pair("rate: 500/s, burst: 1000, concurrent: 32", "concurrent: 64"),
            pair(
                "per_client: 50/s, quota: 100000/day",
                "per_client: 100000/s",
            ),
        ];
        addresses.extend_from_slice(others);
        let house = House::example(&addresses);
        house.write("clients/tester.yaml", TESTER.as_bytes());
        let path = house.write("secrets/tester", SECRET.as_bytes());
        private(&path);
        Self { house, internal }
    }

    fn quiet() -> Self {
        Self::new(&[("127.0.0.1:2575".to_owned(), "127.0.0.1:0".to_owned())])
    }

    fn token(&self) -> String {
        let (status, body) = self.asks("tester", SECRET);
        assert_eq!(status, 200, "{body}\n{}", self.house.log());
        format!("Bearer {}", body["access_token"].as_str().unwrap())
    }

    /// Asks for a token.
    fn asks(&self, client: &str, secret: &str) -> (u16, Value) {
        let basic = STANDARD.encode(format!("{client}:{secret}"));
        let headers = [
            ("Authorization", &*format!("Basic {basic}")),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let mut line = Line::to(&self.internal);
        line.ask(
            "POST",
            "/oauth/token",
            &headers,
            "grant_type=client_credentials",
        )
        .unwrap()
    }

    fn rewrite(&self, path: &str, change: impl Fn(&str) -> String) {
        let file = self.house.estate().join(path);
        let before = std::fs::read_to_string(&file).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{path} does not change");
        std::fs::write(file, after).unwrap();
    }

    fn move_north(&self) {
        self.rewrite(API, |text| text.replace(SOUTH, BOTH));
    }
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Who answers for a facility, over a connection that is kept.
#[track_caller]
fn name_for(line: &mut Line, token: &str, facility: &str) -> String {
    let headers = [("Authorization", token), ("X-Facility", facility)];
    let (status, body) = line.ask("GET", PATH, &headers, "").expect("an answer");
    assert_eq!(status, 200, "{body}");
    body["name"].as_str().unwrap().to_owned()
}

#[test]
fn north_moves_by_one_line_and_a_mistake_changes_nothing() {
    let town = Town::quiet();
    let house = &town.house;
    let server = house.serve();
    let token = town.token();
    let mut line = Line::to(&town.internal);
    assert_eq!(name_for(&mut line, &token, "north"), "Acme Medical");
    assert_eq!(name_for(&mut line, &token, "south"), "Acme Cloud");

    // The cutover: over the same connection, with the same token, the next request goes there.
    town.move_north();
    house
        .run(&["reload", "--reason", "north goes to the cloud"])
        .ends(0)
        .says(&["api supplier-master/v1 changed", "version 2 is in force"]);
    for _ in 0..50 {
        assert_eq!(name_for(&mut line, &token, "north"), "Acme Cloud");
    }
    house
        .run(&["status"])
        .says(&["estate version 2", "north goes to the cloud"]);
    // The same files again are no new version.
    house
        .run(&["reload"])
        .ends(0)
        .says(&["version 2 is in force already"]);

    // Mistakes are shown where they are, and change nothing: in a file, in a map, and in what
    // holds only after a restart.
    town.rewrite(API, |text| {
        text.replace("system: erp-cloud, when", "system: erp-clod, when")
    });
    house
        .run(&["reload"])
        .ends(1)
        .says(&["what ran before goes on"])
        .explains(&["apis/supplier-master.yaml", "erp-clod"]);
    assert_eq!(name_for(&mut line, &token, "north"), "Acme Cloud");
    town.rewrite(API, |text| text.replace("erp-clod,", "erp-cloud,"));
    town.rewrite("maps/erp-to-supplier.vrl", |text| {
        format!("{text}\nnonsense(")
    });
    house
        .run(&["reload"])
        .ends(1)
        .explains(&["maps/erp-to-supplier.vrl"]);
    town.rewrite("maps/erp-to-supplier.vrl", |text| {
        text.replace("\nnonsense(", "")
    });
    town.rewrite("wardline.yaml", |text| {
        text.replace("America/Chicago", "America/Denver")
    });
    let refused = house.run(&["reload", "--json"]).ends(1).json();
    assert!(
        refused["summary"].as_str().unwrap().contains("time_zone"),
        "{refused}"
    );
    assert_eq!(
        (&refused["outcome"], &refused["applied"]["number"]),
        (&json!("refused"), &json!(2))
    );
    town.rewrite("wardline.yaml", |text| {
        text.replace("America/Denver", "America/Chicago")
    });

    // Back, told by a signal.
    town.rewrite(API, |text| text.replace(BOTH, SOUTH));
    hang_up(house);
    until("north is back", || {
        name_for(&mut line, &token, "north") == "Acme Medical"
    });

    // A client that is gone is nobody, at its next call.
    std::fs::remove_file(house.estate().join("clients/tester.yaml")).unwrap();
    house
        .run(&["reload"])
        .ends(0)
        .says(&["client tester removed: its tokens and keys are refused from now on"]);
    let headers = [("Authorization", token.as_str())];
    let (status, _) = line.ask("GET", PATH, &headers, "").unwrap();
    assert_eq!(status, 401);

    server.stop();
    let audit = house.run(&["audit", "list", "--json"]).ends(0).out;
    assert!(
        audit.contains("estate.apply") && audit.contains("north goes to the cloud"),
        "{audit}"
    );
    house.run(&["audit", "verify"]).ends(0);
    // The next start finds the version that was applied last.
    house.run(&["status"]).says(&["estate version 4"]);
}

#[test]
fn a_secret_that_changes_later_does_not_bring_the_estate_of_before_back() {
    let town = Town::quiet();
    let house = &town.house;
    let other = TESTER
        .replace("client: tester", "client: other")
        .replace("secret:tester", "secret:other");
    house.write("clients/other.yaml", other.as_bytes());
    let secret = |name: &str, value: &str| {
        private(&house.write(&format!("secrets/{name}"), value.as_bytes()));
    };
    let (second, third) = (format!("other-{SECRET}"), format!("new-{SECRET}"));
    secret("other", &second);
    let server = house.serve();
    let asks = |name: &str, secret: &str| town.asks(name, secret).0;
    assert_eq!((asks("tester", SECRET), asks("other", &second)), (200, 200));
    std::fs::remove_file(house.estate().join("clients/other.yaml")).unwrap();
    house.run(&["reload"]).ends(0);
    assert_eq!((asks("tester", SECRET), asks("other", &second)), (200, 401));
    secret("tester", &third);
    until("the new secret is taken", || asks("tester", &third) == 200);
    assert_eq!(asks("other", &second), 401);
    // Where secrets come from is another matter.
    town.rewrite("wardline.yaml", |text| {
        format!("{text}\nsecrets: {{ overlap: 1m }}\n")
    });
    house
        .run(&["reload"])
        .ends(1)
        .says(&["`secrets` (where they come from)", "restart"]);
    server.stop();
}

#[test]
fn a_watched_estate_follows_its_files() {
    let town = Town::quiet();
    let server = town.house.serve_with(&["-vv", "serve", "--watch"]);
    let token = town.token();
    let mut line = Line::to(&town.internal);
    assert_eq!(name_for(&mut line, &token, "north"), "Acme Medical");
    town.move_north();
    until("north has moved", || {
        name_for(&mut line, &token, "north") == "Acme Cloud"
    });
    server.stop();
}

fn hang_up(house: &House) {
    let asked = std::process::Command::new("kill")
        .args(["-HUP", &pid(house).to_string()])
        .status()
        .unwrap();
    assert!(asked.success());
}

fn told(house: &House) -> Value {
    serde_json::from_slice(&std::fs::read(house.data().join("serve.json")).unwrap()).unwrap()
}

fn pid(house: &House) -> u64 {
    told(house)["pid"].as_u64().unwrap()
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kilobytes of memory that a process holds.
fn resident(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What the callers of the Api saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answered: AtomicU64,
    legacy: AtomicU64,
    cloud: AtomicU64,
    wrong: AtomicU64,
    dropped: AtomicU64,
    slowest_us: AtomicU64,
}

fn call(address: &str, token: &str, seen: &Seen) {
    let mut line = Line::to(address);
    let mut turn = 0_u64;
    while !seen.stop.load(Ordering::Relaxed) {
        turn += 1;
        let facility = if turn.is_multiple_of(2) {
            "north"
        } else {
            "south"
        };
        let headers = [("Authorization", token), ("X-Facility", facility)];
        let began = Instant::now();
        let Some((status, body)) = line.ask("GET", PATH, &headers, "") else {
            seen.dropped.fetch_add(1, Ordering::Relaxed);
            line = Line::to(address);
            continue;
        };
        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
        seen.slowest_us.fetch_max(took, Ordering::Relaxed);
        seen.answered.fetch_add(1, Ordering::Relaxed);
        let count = match (status, facility, body["name"].as_str()) {
            (200, "north", Some("Acme Medical" | "ACME MEDICAL")) => &seen.legacy,
            (200, _, Some("Acme Cloud")) => &seen.cloud,
            _ => {
                eprintln!("{facility}: {status} {body}");
                &seen.wrong
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        // As many as four desks would ask, not as many as four loops can.
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_cost_nobody_anything() {
    alternate(40, Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo test -p wardline --test reload -- --ignored --nocapture"]
async fn a_thousand_reloads_under_load_cost_nobody_anything() {
    alternate(1_000, Duration::ZERO).await;
}

/// Reloads at least so often and for at least so long, under load from both sides, then proves
/// that nobody noticed.
async fn alternate(times: u64, least: Duration) {
    let hospital = Hospital::start(SimConfig {
        record: Record::Full { per_key: 1_000_000 },
        ..SimConfig::for_tests()
    })
    .await
    .unwrap();
    let mllp = free_address();
    let mut addresses = vec![("127.0.0.1:2575".to_owned(), mllp.clone())];
    for (port, service) in (18_081..).zip(hospital.services()) {
        addresses.push((format!("127.0.0.1:{port}"), service.address().to_string()));
    }
    let town = Arc::new(Town::new(&addresses));
    let server = town.house.serve_with(&["serve"]);
    let token = town.token();
    let ehr = Ehr::start(EhrPlan {
        connections: 4,
        rate: Some(100.0),
        record: Record::Full { per_key: 0 },
        ..EhrPlan::to(mllp)
    })
    .await
    .unwrap();
    let seen = Arc::new(Seen::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (town, token, seen) = (Arc::clone(&town), token.clone(), Arc::clone(&seen));
            std::thread::spawn(move || call(&town.internal, &token, &seen))
        })
        .collect();

    let reloading = Arc::clone(&town);
    let figures = tokio::task::spawn_blocking(move || reload_often(&reloading, times, least));
    let figures = figures.await.unwrap();
    seen.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().unwrap();
    }
    let sent = ehr.stop().await.unwrap();
    prove(&town, server, hospital, &sent, &seen, &figures).await;
}

/// What the reloads were.
struct Figures {
    took: Vec<Duration>,
    memory: Vec<u64>,
}

/// Lets the binary reload by its API, each time with another estate: north's ERP, a map, and how
/// many sends at a time patient accounting allows, so that a busy connection is replaced too.
fn reload_often(town: &Town, times: u64, least: Duration) -> Figures {
    let house = &town.house;
    let console = told(house)["console"].as_str().unwrap().to_owned();
    let admin = std::fs::read_to_string(house.data().join("admin.token")).unwrap();
    let admin = format!("Bearer {}", admin.trim());
    let mut line = Line::to(&console);
    let (began, mut took, mut memory) = (Instant::now(), Vec::new(), Vec::new());
    let mut done = 0;
    while done < times || began.elapsed() < least {
        done += 1;
        let there = done % 2 == 1;
        let turn = |text: &str, (one, other): (&str, &str)| {
            if there {
                text.replace(one, other)
            } else {
                text.replace(other, one)
            }
        };
        town.rewrite(API, |text| turn(text, (SOUTH, BOTH)));
        town.rewrite("maps/erp-to-supplier.vrl", |text| {
            turn(text, (r#""name": .NAME1"#, r#""name": upcase!(.NAME1)"#))
        });
        town.rewrite("systems/patient-accounting.yaml", |text| {
            turn(text, ("concurrent: 8", "concurrent: 7"))
        });
        let headers = [
            ("Authorization", admin.as_str()),
            ("Content-Type", "application/json"),
        ];
        let asked = Instant::now();
        let (status, view) = line
            .ask("POST", "/api/reload", &headers, r#"{"reason":"again"}"#)
            .expect("the console answers");
        assert_eq!(
            (status, &view["outcome"]),
            (200, &json!("applied")),
            "{view}"
        );
        assert_eq!(view["applied"]["number"], json!(done + 1), "{view}");
        assert_eq!(view["changes"].as_array().unwrap().len(), 3, "{view}");
        took.push(asked.elapsed());
        memory.push(resident(pid(house)));
        std::thread::sleep(Duration::from_millis(20));
    }
    Figures { took, memory }
}

async fn prove(
    town: &Town,
    server: Server,
    hospital: Hospital,
    sent: &wardline_sim::EhrReport,
    seen: &Seen,
    figures: &Figures,
) {
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let mut took = figures.took.clone();
    took.sort_unstable();
    // When everything has been used a few times; what comes after must not add to it.
    let settled = (figures.memory.len() / 4).min(100);
    let early = figures.memory[settled];
    let last = figures.memory[figures.memory.len() - 1];
    println!(
        "{} reloads, p50 {:.0?} p99 {:.0?} max {:.0?}; {} calls ({} old ERP, {} new), slowest {:.0?}, {} wrong, {} connections dropped; {sent}; memory {} KiB after {} and {} KiB at the end",
        took.len(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        took[took.len() - 1],
        count(&seen.answered),
        count(&seen.legacy),
        count(&seen.cloud),
        Duration::from_micros(count(&seen.slowest_us)),
        count(&seen.wrong),
        count(&seen.dropped),
        early,
        settled,
        last,
    );
    assert_eq!(
        (count(&seen.wrong), count(&seen.dropped)),
        (0, 0),
        "calls that went wrong, and connections that ended;\n{}",
        town.house.log()
    );
    assert!(count(&seen.legacy) > 0 && count(&seen.cloud) > 0);

    assert_eq!(
        sent.reconnects, 0,
        "the clinical record kept its connections"
    );
    assert_eq!(
        (sent.unanswered, sent.given_up, sent.rejected, sent.errors),
        (0, 0, 0, 0)
    );
    let status = town
        .house
        .until_status("everything is delivered", |status| {
            status["sums"]["open"] == json!(0) && status["sums"]["balanced"] == json!(true)
        });
    server.stop();
    let received = hospital.stop().await;
    assert_eq!(received.differences(sent), [], "the receivers' own books");
    assert!(received.is_orderly(), "{received}");
    let sums = |name: &str| status["sums"][name].as_u64();
    assert_eq!(sums("accepted"), Some(sent.accepted()));
    assert_eq!(sums("delivered"), Some(received.applied()));
    assert_eq!((sums("dead"), sums("cancelled")), (Some(0), Some(0)));
    // What a reload leaves behind would add up.
    assert!(
        last <= early + early / 2,
        "memory grew from {early} KiB to {last} KiB: {:?}",
        figures.memory
    );
}
