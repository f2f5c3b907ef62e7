//! Apis whose answers come later, keys under which a write happens once, and answers that leave a
//! mark: through the real binary, killed in the middle and started again.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use aws_lc_rs::digest;
use house::{House, PATIENCE, free_address};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a system does with what it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    Down,
    Refuses,
    /// Takes the request and says nothing.
    Silent,
}

/// One request as a system got it.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    key: String,
    body: Value,
}

/// A system that remembers what it was asked.
struct System {
    at: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    mood: Arc<Mutex<Mood>>,
}

impl System {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let system = Self {
            at: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Well)),
        };
        let (asked, mood) = (Arc::clone(&system.asked), Arc::clone(&system.mood));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (asked, mood) = (Arc::clone(&asked), Arc::clone(&mood));
                std::thread::spawn(move || talk(stream, &asked, &mood));
            }
        });
        system
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What it was asked and answered well.
    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        let name = |asked: &Asked| asked.body["name"].as_str().unwrap_or_default().to_owned();
        self.asked().iter().map(name).collect()
    }

    fn until(&self, what: &str, holds: impl Fn(&[Asked]) -> bool) {
        until(what, || holds(&self.asked()));
    }
}

fn talk(mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, mood: &Mutex<Mood>) {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut some) {
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let header = |wanted: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_owned())
        };
        let length = header("content-length").map_or(0, |value| value.parse().unwrap());
        if body.len() < length {
            continue;
        }
        let one = Asked {
            line: head.lines().next().unwrap_or_default().to_owned(),
            key: header("idempotency-key").unwrap_or_default(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        };
        let mood = *mood.lock().unwrap();
        let (status, answer) = match mood {
            Mood::Well | Mood::Silent => {
                let number = {
                    let mut asked = asked.lock().unwrap();
                    asked.push(one);
                    asked.len()
                };
                let answer = json!({ "id": "7", "name": "Acme", "iban": "DE02120300000000202051", "number": number });
                (200, answer.to_string())
            }
            Mood::Down => (503, "{}".to_owned()),
            Mood::Refuses => (422, "{}".to_owned()),
        };
        if mood == Mood::Silent {
            std::thread::sleep(PATIENCE);
            return;
        }
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        bytes.clear();
    }
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    /// The last part of its problem's type.
    fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.rsplit(':').next().unwrap()
    }
}

fn ask(at: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(at).unwrap();
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        )
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}{length}Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())),
    }
}

fn client(name: &str, more: &str) -> String {
    let hash = digest::digest(&digest::SHA256, key_of(name).as_bytes());
    let hex: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "client: {name}\nowner: it\nkind: service\nzone: internal\nauth: {{ api_key: {{ sha256: \"{hex}\", expires: 2099-01-01 }} }}\n\
         scopes: [item.read, item.write, note.write]\n{more}"
    )
}

fn key_of(client: &str) -> String {
    format!("a-long-random-key-of-{client}-0123456789abcdef")
}

const APIS: &str = r#"
api: items
owner: it
layer: system
version: 1.0.0
state: published
operations:
  get-item: { get: "/items/{id}", returns: item, scope: item.read }
  make-item: { post: "/items", accepts: item, returns: item, scope: item.write, idempotent: { keep: 1h } }
  put-item:
    put: "/items/{id}"
    accepts: item
    scope: item.write
    idempotent: { keep: 1h }
    async: { on_exhausted: park, retry: { first: 50ms, factor: 1, max: 50ms, jitter: none } }
bindings:
  - { system: new, when: '.facility == "south"' }
  - { system: old }
---
api: notes
owner: it
layer: process
version: 1.0.0
state: published
operations:
  tell: { post: "/notes", accepts: note, scope: note.write, event: note.told, idempotent: key }
"#;

fn erp(name: &str, at: &str, map: &str) -> String {
    format!(
        "system: {name}\nowner: it\nconnections:\n  api:\n    http: {{ url: \"http://{at}\", timeout: 30s }}\n    \
         limits: {{ rate: 1000/s, burst: 1000, concurrent: 8 }}\n    breaker: {{ open_after: 1000, within: 30s, probe_every: 100ms }}\n    \
         sensitivity: internal\noperations:\n  get-item: {{ http: {{ connection: api, get: \"/items/{{id}}\" }}, returns: item }}\n  \
         make-item: {{ http: {{ connection: api, post: \"/items\" }}, accepts: item, returns: item }}\n  \
         put-item:\n    http: {{ connection: api, put: \"/{name}/{{id}}\" }}\n    accepts: item\n{map}\
         \x20\x20note: {{ http: {{ connection: api, post: \"/notes\" }}, accepts: note }}\n"
    )
}

struct Town {
    house: House,
    at: String,
    old: System,
    new: System,
}

impl Town {
    fn new() -> Self {
        let (old, new, at) = (System::start(), System::start(), free_address());
        let files = [
            (
                "wardline.yaml",
                format!(
                    "estate: later\nfacilities: [north, south]\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  \
                     console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  internal: {{ zone: internal, bind: \"{at}\" }}\n"
                ),
            ),
            ("systems/old.yaml", erp("old", &old.at, "    request: maps/old.vrl\n")),
            ("systems/new.yaml", erp("new", &new.at, "")),
            ("maps/old.vrl", ".spoken = \"old\"\n".to_owned()),
            ("apis/all.yaml", APIS.trim_start().to_owned()),
            ("clients/buyer.yaml", client("buyer", "reveal: [financial]\n")),
            ("clients/other.yaml", client("other", "")),
            (
                "entities/all.yaml",
                "entity: item\nversion: 1.0.0\nowner: it\nschema: item.schema.json\nsensitivity: { iban: financial }\nkeys: { item: id }\n---\n\
                 entity: note\nversion: 1.0.0\nowner: it\nschema: note.schema.json\n"
                    .to_owned(),
            ),
            (
                "entities/item.schema.json",
                r#"{ "type": "object", "properties": { "id": { "type": "string" }, "name": { "type": "string" }, "iban": { "type": "string" }, "number": { "type": "integer" } }, "required": ["name"] }"#
                    .to_owned(),
            ),
            (
                "entities/note.schema.json",
                r#"{ "type": "object", "properties": { "id": { "type": "string" }, "text": { "type": "string" } }, "required": ["id"] }"#
                    .to_owned(),
            ),
            (
                "flows/notes.yaml",
                "flow: notes\nowner: it\nfrom: { event: note.told }\nkey: .id\nto: [{ call: old.note }]\n".to_owned(),
            ),
            (
                "policies/base.cedar",
                "@id(\"calls-by-scope\")\npermit (principal, action == Action::\"call\", resource)\nwhen { context.has_scope };\n"
                    .to_owned(),
            ),
        ];
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let house = House::new(&files);
        Self {
            house,
            at,
            old,
            new,
        }
    }

    fn ask(
        &self,
        client: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let key = key_of(client);
        let mut headers = vec![("x-api-key", key.as_str())];
        headers.extend_from_slice(more);
        ask(&self.at, method, path, &headers, body)
    }

    /// Asks until the status says so.
    #[track_caller]
    fn until_state(&self, client: &str, place: &str, state: &str) -> Answer {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(client, "GET", place, &[], "");
            if answer.body["state"] == state {
                return answer;
            }
            assert!(
                Instant::now() < end,
                "never {state}: {} {}\n{}",
                answer.head,
                answer.body,
                self.house.log()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn audit(&self) -> Vec<Value> {
        let listed = self
            .house
            .run(&["audit", "list", "--json", "--limit", "1000"]);
        let listed = listed.ends(0).json();
        let rows = listed.as_array().or_else(|| listed["rows"].as_array());
        rows.unwrap_or_else(|| panic!("{listed}")).clone()
    }
}

fn item(name: &str) -> String {
    json!({ "name": name }).to_string()
}

#[test]
fn what_was_accepted_arrives_in_order_though_the_server_is_killed() {
    let town = Town::new();
    let server = town.house.serve();
    town.old.is(Mood::Down);
    let mut places = Vec::new();
    for n in 0..5 {
        let answer = town.ask(
            "buyer",
            "PUT",
            "/items/v1/items/7",
            &[("x-correlation-id", &format!("order-{n}"))],
            &item(&format!("name {n}")),
        );
        assert_eq!(
            answer.status,
            202,
            "{} {}\n{}",
            answer.head,
            answer.body,
            town.house.log()
        );
        assert_eq!(answer.header("x-correlation-id"), format!("order-{n}"));
        let place = answer.header("location").to_owned();
        assert_eq!(answer.body["status_url"], place.as_str());
        assert_eq!(answer.body["state"], "accepted");
        places.push(place);
    }
    // The first was tried; the others of its key wait behind it.
    let first = town.until_state("buyer", &places[0], "waiting");
    assert_eq!(
        (first.body["done"].clone(), first.header("cache-control")),
        (json!(false), "no-store")
    );
    assert!(!first.header("retry-after").is_empty(), "{}", first.head);
    // Nobody else sees that there is something.
    let stranger = town.ask("other", "GET", &places[0], &[], "");
    assert_eq!((stranger.status, stranger.problem()), (404, "not-found"));
    for wrong in ["0", "no-id", "7fffffffffffffff"] {
        let place = format!("/items/v1/-/requests/put-item/{wrong}");
        assert_eq!(town.ask("buyer", "GET", &place, &[], "").status, 404);
    }
    let nobody = ask(&town.at, "GET", &places[0], &[], "");
    assert_eq!(nobody.status, 401);

    // Killed, not stopped.
    drop(server);
    town.old.is(Mood::Well);
    let server = town.house.serve();
    for place in &places {
        let done = town.until_state("buyer", place, "delivered");
        assert_eq!(done.body["done"], true);
    }
    let asked = town.old.asked();
    assert_eq!(
        town.old.names(),
        ["name 0", "name 1", "name 2", "name 3", "name 4"],
        "each once and in order: none had arrived before the kill"
    );
    for one in &asked {
        assert!(one.line.starts_with("PUT /old/7 "), "{}", one.line);
        assert_eq!(
            (one.body["spoken"].clone(), one.body["id"].clone()),
            (json!("old"), json!("7")),
            "the system's own words, with what the path named"
        );
        assert!(!one.key.is_empty());
    }
    // The trace names the caller, and is found by the correlation id and by the entity's key.
    let id = places[2].rsplit('/').next().unwrap();
    let trace = town
        .house
        .run(&["trace", id, "--json"])
        .ends(0)
        .json()
        .to_string();
    for word in [
        "client/buyer",
        "items/v1.put-item",
        "old.put-item",
        "delivered",
    ] {
        assert!(trace.contains(word), "{word} is not in {trace}");
    }
    let found = town
        .house
        .run(&["messages", "--correlation", "order-2", "--json"]);
    assert!(found.ends(0).out.contains(id));
    let found = town.house.run(&["messages", "--key", "7", "--json"]);
    assert_eq!(found.ends(0).json()["rows"].as_array().unwrap().len(), 5);
    server.stop();
}

#[test]
fn the_bindings_decide_at_acceptance_and_what_is_refused_fails() {
    let town = Town::new();
    let server = town.house.serve();
    let south = ("x-facility", "south");
    let answer = town.ask(
        "buyer",
        "PUT",
        "/items/v1/items/9",
        &[south],
        &item("moved"),
    );
    assert_eq!(answer.status, 202, "{}", answer.body);
    town.until_state("buyer", answer.header("location"), "delivered");
    assert_eq!(
        (town.new.names(), town.old.names()),
        (vec!["moved".to_owned()], vec![])
    );
    assert!(town.new.asked()[0].line.starts_with("PUT /new/9 "));

    // The path and the body must not say different things, and the contract holds.
    let other = json!({ "id": "8", "name": "x" }).to_string();
    let differs = town.ask("buyer", "PUT", "/items/v1/items/9", &[], &other);
    assert_eq!((differs.status, differs.problem()), (422, "contract"));
    assert!(!differs.body.to_string().contains("\"8\""));
    let broken = town.ask("buyer", "PUT", "/items/v1/items/9", &[], "{}");
    assert_eq!((broken.status, broken.problem()), (422, "contract"));
    let nobody = ask(&town.at, "PUT", "/items/v1/items/9", &[], &item("x"));
    assert_eq!(nobody.status, 401);
    assert_eq!(town.old.asked().len() + town.new.asked().len(), 1);

    town.old.is(Mood::Refuses);
    let refused = town.ask("buyer", "PUT", "/items/v1/items/9", &[], &item("refused"));
    let failed = town.until_state("buyer", refused.header("location"), "failed");
    assert_eq!(failed.body["done"], true);
    // A person sends it again, and the caller's status follows.
    town.old.is(Mood::Well);
    town.house
        .run(&["replay", "--state", "dead", "--reason", "mended"])
        .ends(0);
    town.until_state("buyer", refused.header("location"), "delivered");
    assert_eq!(town.old.names(), ["refused"]);
    server.stop();
}

#[test]
fn an_event_is_told_through_an_api_and_flows_take_it_up() {
    let town = Town::new();
    let server = town.house.serve();
    town.old.is(Mood::Down);
    let note = json!({ "id": "n-1", "text": "hello" }).to_string();
    let answer = town.ask("other", "POST", "/notes/v1/notes", &[], &note);
    assert_eq!(answer.status, 202, "{} {}", answer.head, answer.body);
    let place = answer.header("location").to_owned();
    drop(server);
    town.old.is(Mood::Well);
    let server = town.house.serve();
    town.until_state("other", &place, "delivered");
    town.old.until("the note arrives", |asked| {
        asked
            .iter()
            .any(|one| one.line.starts_with("POST /notes ") && one.body["text"] == "hello")
    });
    let id = place.rsplit('/').next().unwrap();
    let trace = town
        .house
        .run(&["trace", id, "--json"])
        .ends(0)
        .json()
        .to_string();
    for word in ["client/other", "note.told", "old.note"] {
        assert!(trace.contains(word), "{word} is not in {trace}");
    }
    server.stop();
}

#[test]
fn a_key_is_one_request_before_and_after_a_restart() {
    let town = Town::new();
    let mut server = town.house.serve();
    let key = ("idempotency-key", "k-1");
    let sent = |town: &Town, client: &str, name: &str| {
        let later = town.ask(client, "PUT", "/items/v1/items/7", &[key], &item(name));
        let now = town.ask(client, "POST", "/items/v1/items", &[key], &item(name));
        (later, now)
    };
    let (later, now) = sent(&town, "buyer", "first");
    assert_eq!(
        (later.status, now.status),
        (202, 200),
        "{} {}",
        later.body,
        now.body
    );
    town.until_state("buyer", later.header("location"), "delivered");
    assert_eq!(town.old.asked().len(), 2);
    for _ in 0..2 {
        let (again, same) = sent(&town, "buyer", "first");
        assert_eq!(
            (
                again.status,
                again.header("location"),
                again.header("idempotency-replayed")
            ),
            (202, later.header("location"), "true")
        );
        assert_eq!(
            (same.status, &same.body, same.header("idempotency-replayed")),
            (200, &now.body, "true")
        );
        let (other, different) = sent(&town, "buyer", "second");
        for answer in [other, different] {
            assert_eq!(
                (answer.status, answer.problem()),
                (422, "idempotency-key-reused")
            );
        }
        // Killed: what was answered is known all the same.
        drop(server);
        server = town.house.serve();
    }
    assert_eq!(town.old.asked().len(), 2, "sent once each");
    let (later, now) = sent(&town, "other", "first");
    assert_eq!((later.status, now.status), (202, 200));
    assert_eq!(
        later.header("idempotency-replayed"),
        "",
        "another client's key is another key"
    );
    server.stop();
    // Answers hold what is sensitive, so they rest sealed.
    let journal = std::fs::read(town.house.data().join("journal.db")).unwrap();
    let wal = std::fs::read(town.house.data().join("journal.db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(12).any(|bytes| bytes == b"DE0212030000");
    assert!(
        !holds(&journal) && !holds(&wal),
        "an account number is in the clear"
    );
}

#[test]
fn a_write_that_may_have_arrived_is_not_sent_again() {
    let town = Town::new();
    let server = town.house.serve();
    town.old.is(Mood::Silent);
    let (at, own) = (town.at.clone(), key_of("buyer"));
    let caller = std::thread::spawn(move || {
        let headers = [("x-api-key", own.as_str()), ("idempotency-key", "lost")];
        let mut stream = TcpStream::connect(&at).unwrap();
        let body = item("once");
        let lines: String = headers
            .iter()
            .map(|(n, v)| format!("{n}: {v}\r\n"))
            .collect();
        write!(
            stream,
            "POST /items/v1/items HTTP/1.1\r\nHost: x\r\n{lines}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = Vec::new();
        // The server goes away in the middle, however that shows.
        drop(stream.read_to_end(&mut text));
    });
    town.old
        .until("the write arrives", |asked| asked.len() == 1);
    let key = ("idempotency-key", "lost");
    let meanwhile = town.ask("buyer", "POST", "/items/v1/items", &[key], &item("once"));
    assert_eq!(
        (meanwhile.status, meanwhile.problem()),
        (409, "idempotency-key-in-flight")
    );
    drop(server);
    caller.join().unwrap();
    town.old.is(Mood::Well);
    let server = town.house.serve();
    for _ in 0..2 {
        let after = town.ask("buyer", "POST", "/items/v1/items", &[key], &item("once"));
        assert_eq!(
            (after.status, after.problem()),
            (409, "idempotency-outcome-unknown")
        );
    }
    assert_eq!(town.old.asked().len(), 1, "not behind the caller's back");
    let fresh = ("idempotency-key", "another");
    let again = town.ask("buyer", "POST", "/items/v1/items", &[fresh], &item("once"));
    assert_eq!((again.status, town.old.asked().len()), (200, 2));
    server.stop();
}

fn acts(entries: &[Value], act: &str, actor: &str) -> usize {
    entries
        .iter()
        .filter(|entry| entry["act"] == act && entry["actor"] == actor)
        .count()
}

#[test]
fn what_is_revealed_leaves_a_mark_before_it_leaves() {
    let town = Town::new();
    let server = town.house.serve();
    let path = "/items/v1/items/7";
    for _ in 0..3 {
        let shown = town.ask("buyer", "GET", path, &[], "");
        assert_eq!(
            (shown.status, &shown.body["iban"]),
            (200, &json!("DE02120300000000202051"))
        );
        let hidden = town.ask("other", "GET", path, &[], "");
        assert_eq!(
            (hidden.status, &hidden.body["iban"]),
            (200, &json!("••••2051"))
        );
    }
    let entries = town.audit();
    assert_eq!(
        acts(&entries, "call.reveal", "client:buyer"),
        3,
        "{entries:?}"
    );
    assert_eq!(
        acts(&entries, "call.reveal", "client:other"),
        0,
        "nothing was revealed"
    );

    // Somebody else holds the journal, so nothing can be written to it.
    let journal = rusqlite::Connection::open(town.house.data().join("journal.db")).unwrap();
    journal.execute_batch("BEGIN IMMEDIATE").unwrap();
    let withheld = town.ask("buyer", "GET", path, &[], "");
    assert_eq!((withheld.status, withheld.problem()), (503, "not-recorded"));
    assert!(!withheld.body.to_string().contains("DE02"));
    let hidden = town.ask("other", "GET", path, &[], "");
    assert_eq!(hidden.status, 200, "what reveals nothing waits for nobody");
    let later = town.ask("buyer", "PUT", path, &[], &item("x"));
    assert_eq!(
        (later.status, later.problem()),
        (503, "not-durable"),
        "{}",
        later.body
    );
    journal.execute_batch("ROLLBACK").unwrap();
    drop(journal);

    until("the journal takes entries again", || {
        town.ask("buyer", "GET", path, &[], "").status == 200
    });
    server.stop();
    let entries = town.audit();
    let told = acts(&entries, "call.reveal", "client:buyer");
    let withheld = acts(&entries, "call.reveal-withheld", "client:buyer");
    assert!(told >= 4 && told + withheld >= 5, "{told} {withheld}");
    town.house.run(&["audit", "verify"]).ends(0);
}
