//! What partners who exchange X12 owe each other, by the real binary: control numbers without gaps however often
//! it is killed, an acknowledgement for everything that comes, and nothing of ours that is refused or forgotten
//! without being seen.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/post.rs"]
mod post;

use house::{House, PATIENCE, free_address};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A partner who writes down every body that comes, by path, and is away at every third.
#[derive(Clone, Default)]
struct Partner(Arc<Mutex<Vec<(String, String)>>>);

impl Partner {
    fn start(listener: TcpListener) -> Self {
        let partner = Self::default();
        let own = partner.clone();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                own.answer(stream.unwrap(), n % 3 == 2);
            }
        });
        partner
    }

    fn answer(&self, mut stream: TcpStream, away: bool) {
        let mut bytes = Vec::new();
        loop {
            let mut some = [0; 4096];
            match stream.read(&mut some) {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&some[..read]),
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() < length {
                continue;
            }
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            self.0.lock().unwrap().push((path, body.to_owned()));
            let line = if away { "503 Later" } else { "200 OK" };
            // Whoever was killed does not hear it.
            write!(
                stream,
                "HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .ok();
            return;
        }
    }

    fn at(&self, path: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let here = all.iter().filter(|(at, _)| at == path);
        here.map(|(_, body)| body.clone()).collect()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: {:?}",
                self.0.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn element(interchange: &str, segment: &str, n: usize) -> String {
    let found = interchange
        .split('~')
        .map(str::trim)
        .find(|one| one.split('*').next() == Some(segment));
    let found = found.and_then(|one| one.split('*').nth(n));
    found.unwrap_or_default().to_owned()
}

fn estate(here: &str, there: &str, within: &str) -> House {
    House::new(&[
        (
            "wardline.yaml",
            &format!(
                "estate: shop\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  internal: {{ zone: internal, bind: \"{here}\" }}\n"
            ),
        ),
        (
            "systems/shop.yaml",
            "system: shop\nowner: it\nconnections:\n  orders: { http: { listen: internal, post: \"/orders\", auth: none }, sensitivity: internal }\n",
        ),
        (
            "systems/supplier.yaml",
            &format!(
                "system: supplier\nowner: it\nconnections:\n  in:\n    http: {{ listen: internal, post: \"/x12\", auth: none, content: x12 }}\n    duplicate: {{ by: [ISA-06, ISA-08, ISA-13], within: 30d }}\n    x12: {{ acknowledge: \"999\", by: supplier.acks, answers: supplier.orders, guides: guides/855.yaml }}\n    sensitivity: internal\n  orders:\n    http: {{ url: \"http://{there}/orders\" }}\n    x12: {{ numbers: counted, first: 41{within} }}\n    breaker: {{ open_after: 0 }}\n    sensitivity: internal\n  acks:\n    http: {{ url: \"http://{there}/acks\" }}\n    x12: {{ numbers: counted }}\n    breaker: {{ open_after: 0 }}\n    sensitivity: internal\n  sink: {{ 'null': {{}} }}\n"
            ),
        ),
        (
            "guides/855.yaml",
            "guide: ours\nset: 855\nversions: ['005010']\nbody: [BAK r, PO1 o *, ACK o *, CTT]\n",
        ),
        (
            "maps/order.vrl",
            "x12_build(\"850\", [{ \"ISA-06\": \"SHOP\", \"ISA-08\": \"SUPPLIER\" }, { \"BEG-01\": \"00\", \"BEG-02\": \"SA\", \"BEG-03\": .order, \"BEG-05\": \"20260101\" }, { \"PO1-01\": \"1\", \"PO1-02\": \"2\", \"PO1-03\": \"EA\" }], control: 1)\n",
        ),
        (
            "flows/orders.yaml",
            "flow: orders\nowner: it\nfrom: shop.orders\nmap: maps/order.vrl\nto:\n  - send: supplier.orders\n    retry: { first: 50ms, factor: 1, attempts: 0 }\n---\nflow: answers\nowner: it\nfrom: supplier.in\nwhen: x12(\"ST-01\") == \"855\"\nto: [{ send: supplier.sink }]\n",
        ),
    ])
}

fn checked(house: &House) {
    house.run(&["keys", "init"]);
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(0);
}

fn order(here: &str, n: usize) {
    let body = format!("{{\"order\":\"P{n}\"}}");
    let (status, answer) = post::request(here, "POST", "/orders", "", &body);
    assert_eq!(status, 202, "{answer}");
}

#[test]
fn numbers_have_no_gaps_however_often_it_is_killed() {
    const ORDERS: usize = 24;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap().to_string();
    let partner = Partner::start(listener);
    let here = free_address();
    let house = estate(&here, &there, "");
    checked(&house);
    for round in 0..4 {
        let server = house.serve();
        for n in 0..ORDERS / 4 {
            order(&here, round * (ORDERS / 4) + n);
        }
        let seen = partner.at("/orders").len();
        if round < 3 {
            // In the midst of it: some are sent, some have a number, some have none.
            partner.until("something more came", |partner| {
                partner.at("/orders").len() > seen
            });
            drop(server);
        } else {
            house.until_status("all are delivered", |status| {
                status["sums"]["delivered"] == ORDERS
            });
            server.stop();
        }
    }
    // Each order came under one number, however often it came, and each number names one order.
    let mut numbers: BTreeMap<u64, String> = BTreeMap::new();
    let mut orders: BTreeMap<String, u64> = BTreeMap::new();
    for one in partner.at("/orders") {
        let number: u64 = element(&one, "ISA", 13).parse().unwrap();
        let order = element(&one, "BEG", 3);
        assert_eq!(*numbers.entry(number).or_insert(order.clone()), order);
        assert_eq!(*orders.entry(order).or_insert(number), number);
        assert_eq!(element(&one, "IEA", 2), format!("{number:09}"));
        assert_eq!(element(&one, "GS", 6), element(&one, "GE", 2));
    }
    let all: Vec<u64> = numbers.into_keys().collect();
    assert_eq!(all, (41..41 + ORDERS as u64).collect::<Vec<_>>());
}

fn interchange(number: u32, set: &str, body: &str) -> String {
    let segments = body.matches('~').count() + 2;
    format!(
        "ISA*00*          *00*          *ZZ*SUPPLIER       *ZZ*SHOP           *260101*1200*^*00501*{number:09}*0*P*:~GS*{}*SUPPLIER*SHOP*20260101*1200*{number}*X*005010~ST*{set}*0001~{body}SE*{segments}*0001~GE*1*{number}~IEA*1*{number:09}~",
        if set == "855" { "PR" } else { "FA" },
    )
}

#[test]
fn what_comes_is_acknowledged_and_what_a_partner_says_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap().to_string();
    let partner = Partner::start(listener);
    let here = free_address();
    let house = estate(&here, &there, ", answered_within: 1s");
    checked(&house);
    let server = house.serve();
    let send = |body: &str| {
        let (status, answer) = post::request(&here, "POST", "/x12", "", body);
        assert_eq!(status, 202, "{answer}");
    };
    // Good, what the guide refuses, and the good one again: two acknowledgements.
    let good = interchange(7, "855", "BAK*00*AC*P0*20260101~");
    send(&good);
    send(&interchange(8, "855", "CTT*1~"));
    send(&good);
    partner.until("both are acknowledged", |partner| {
        let acks = partner.at("/acks");
        acks.iter().any(|ack| element(ack, "AK9", 1) == "A")
            && acks.iter().any(|ack| element(ack, "AK9", 1) == "R")
    });
    let mut acks: BTreeMap<String, String> = BTreeMap::new();
    for ack in partner.at("/acks") {
        assert_eq!(element(&ack, "ISA", 6).trim(), "SHOP");
        acks.insert(element(&ack, "ISA", 13), element(&ack, "AK1", 2));
    }
    // Numbers have no gap; which of the two went first is nobody's promise.
    let numbers: Vec<&str> = acks.keys().map(String::as_str).collect();
    assert_eq!(numbers, ["000000001", "000000002"]);
    let mut of: Vec<&str> = acks.values().map(String::as_str).collect();
    of.sort_unstable();
    assert_eq!(of, ["7", "8"]);

    // Three orders: one is accepted, one refused, of one nothing is heard.
    for n in 0..3 {
        order(&here, n);
    }
    partner.until("three orders came", |partner| {
        let mut orders: Vec<String> = partner.at("/orders");
        orders.sort();
        orders.dedup();
        orders.len() >= 3
    });
    send(&interchange(
        9,
        "999",
        "AK1*PO*41*005010~AK2*850*0001~IK5*A~AK9*A*1*1*1~",
    ));
    send(&interchange(
        10,
        "999",
        "AK1*PO*42*005010~AK2*850*0001~IK5*R*5~AK9*R*1*1*0~",
    ));
    let dead = |house: &House| house.run(&["dead"]).out;
    let begun = Instant::now();
    loop {
        let said = dead(&house);
        if said.contains("W4421") && said.contains("W4422") {
            assert!(!said.contains("W4420"), "{said}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}\n{}", house.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    server.stop();
}

#[test]
fn duties_that_cannot_be_done_are_refused() {
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: shop\nlisteners:\n  internal: { zone: internal, bind: \"127.0.0.1:9001\" }\n",
        ),
        ("guides/bad.yaml", "guide: ours\nbody: [beg]\n"),
        (
            "systems/supplier.yaml",
            "system: supplier\nowner: it\nconnections:\n  in:\n    http: { listen: internal, post: \"/x12\", auth: none }\n    x12: { acknowledge: \"999\", guides: guides/bad.yaml, answers: supplier.out }\n  out:\n    http: { url: \"http://127.0.0.1:1/\" }\n    x12: { acknowledge: \"997\" }\n",
        ),
    ]);
    let said = house.run(&["check", house.estate().to_str().unwrap()]);
    for word in ["W1335", "W1336", "not X12", "no book is kept"] {
        assert!(
            said.err.contains(word) || said.out.contains(word),
            "{word}: {}{}",
            said.out,
            said.err
        );
    }
    assert_eq!(said.code, 1);
}
