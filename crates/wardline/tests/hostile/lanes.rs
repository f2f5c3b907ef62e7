//! Bulk that wants all there is, and realtime beside it.

use crate::house::PATIENCE;
use crate::town::{Stub, Town, ask, http};
use crate::{V100, realtime};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// An estate with two Apis at one listener: one is read in realtime, one in bulk, whose system is slow.
fn bulk_and_realtime(town: &Town, slow: &Stub) {
    town.house.write(
        "systems/warehouse.yaml",
        format!(
            "system: warehouse\nowner: tests\nconnections:\n  api:\n    http: {{ url: \"http://{}\", timeout: 30s }}\n    limits: {{ concurrent: 256 }}\n\
             operations:\n  get-supplier:\n    http: {{ connection: api, get: \"/x/{{supplier_id}}\" }}\n    returns: supplier\n",
            slow.address
        )
        .as_bytes(),
    );
    town.house.write(
        "apis/warehouse.yaml",
        b"api: warehouse-suppliers\nowner: tests\nlayer: system\nversion: 1.0.0\nstate: published\noperations:\n  \
          get-supplier: { get: \"/suppliers/{supplier_id}\", returns: supplier, scope: supplier.read, lane: bulk, timeout: 30s }\n\
          bindings: [{ system: warehouse }]\n",
    );
    town.edit(
        "apis/supplier-master.yaml",
        "    timeout: 5s\n",
        "    timeout: 5s\n    lane: realtime\n",
    );
    town.edit(
        "clients/purchasing.yaml",
        "limits: { rate: 100/s, concurrent: 32 }",
        "limits: { concurrent: 1000 }",
    );
    town.edit(
        "apis/supplier-master.yaml",
        "limits: { per_client: 50/s, quota: 100000/day, body: 64KiB, depth: 16 }",
        "limits: { body: 64KiB, depth: 16 }",
    );
    town.edit(
        "systems/erp-legacy.yaml",
        "limits: { rate: 200/s, burst: 400, concurrent: 8 }",
        "limits: { concurrent: 64 }",
    );
}

const SLOW_ANSWER: &str = r#"{"supplier_id":"V-1","name":"Slow","status":"active"}"#;

#[test]
fn bulk_at_full_load_is_told_to_wait_and_realtime_is_not() {
    let gate = std::sync::Arc::new(AtomicBool::new(false));
    let opened = std::sync::Arc::clone(&gate);
    let slow = Stub::start(move |_| {
        while !opened.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        http("200 OK", "content-type: application/json\r\n", SLOW_ANSWER)
    });
    let town = Town::new();
    bulk_and_realtime(&town, &slow);
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let headers = [
        ("Authorization", token.as_str()),
        ("X-Purpose-Of-Use", "payment"),
    ];
    let (told, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..48 {
            scope.spawn(|| {
                let answer = ask(
                    &town.internal,
                    "GET",
                    "/warehouse-suppliers/v1/suppliers/V-1",
                    &headers,
                    b"",
                );
                match answer.status {
                    200 => done.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert_eq!(answer.problem(), "busy");
                        assert!(answer.header("retry-after").is_some(), "{}", answer.head);
                        told.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{other} {}", answer.text()),
                };
            });
        }
        let end = Instant::now() + PATIENCE;
        while slow.asked() < 16 {
            assert!(Instant::now() < end, "bulk never filled its places");
            std::thread::sleep(Duration::from_millis(10));
        }
        // All of bulk's places are taken, and more wait for them.
        while told.load(Ordering::Relaxed) < 32 {
            assert!(Instant::now() < end, "nobody was told");
            realtime(&town, &token, 5);
        }
        gate.store(true, Ordering::Relaxed);
    });
    assert_eq!(
        (told.into_inner(), done.into_inner(), slow.asked()),
        (32, 16, 16)
    );
}

/// Not a test of a limit: prints how much bulk at full load adds to realtime. Run by
/// `cargo nextest run -p wardline --test hostile --run-ignored only --no-capture`.
#[test]
#[ignore = "prints how bulk at full load changes realtime, and asserts nothing of time: a release build on an idle machine"]
fn measure_realtime_beside_bulk() {
    let slow = Stub::start(|_| {
        std::thread::sleep(Duration::from_millis(20));
        http("200 OK", "content-type: application/json\r\n", SLOW_ANSWER)
    });
    let town = Town::new();
    bulk_and_realtime(&town, &slow);
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let keep = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Purpose-Of-Use: payment\r\n\r\n"
        )
    };
    let (wanted, bulk) = (keep(V100), keep("/warehouse-suppliers/v1/suppliers/V-1"));
    let once = |stream: &mut TcpStream, request: &str| -> Option<u16> {
        stream.write_all(request.as_bytes()).ok()?;
        let mut all = Vec::new();
        let mut some = [0; 4096];
        loop {
            let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
            all.extend_from_slice(&some[..read]);
            let text = String::from_utf8_lossy(&all);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            if body.len() >= length.map_or(0, |(_, value)| value.parse().unwrap()) {
                return head.split(' ').nth(1)?.parse().ok();
            }
        }
    };
    let measure = |label: &str, callers: usize| {
        let stop = AtomicBool::new(false);
        let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..callers {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(&town.internal).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        match once(&mut stream, &bulk) {
                            Some(200) => served.fetch_add(1, Ordering::Relaxed),
                            Some(_) => refused.fetch_add(1, Ordering::Relaxed),
                            None => return,
                        };
                    }
                });
            }
            let mut stream = TcpStream::connect(&town.internal).unwrap();
            let mut times: Vec<Duration> = Vec::new();
            for n in 0..2_000 {
                let began = Instant::now();
                assert_eq!(once(&mut stream, &wanted), Some(200));
                if n >= 500 {
                    times.push(began.elapsed());
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            stop.store(true, Ordering::Relaxed);
            times.sort();
            let at = |share: usize| times[times.len() * share / 1000];
            println!(
                "{label}: realtime p50 {:?} p99 {:?} p99.9 {:?}; bulk {} answered, {} told to wait",
                at(500),
                at(990),
                at(999),
                served.load(Ordering::Relaxed),
                refused.load(Ordering::Relaxed)
            );
        });
    };
    measure("realtime alone", 0);
    measure("beside 64 bulk callers", 64);
    measure("realtime alone", 0);
}
