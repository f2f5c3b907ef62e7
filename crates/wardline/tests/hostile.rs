//! The gateway against connections that do not behave, through the real binary: slow ones, idle
//! ones, heads that two readers cut differently, by themselves and with nginx in between, and bulk
//! that wants all there is. Whatever they do, the realtime path answers and memory is bounded.
//!
//! `nginx` comes with Debian's `nginx-light`; without it its test says so and skips, and fails
//! where `CI` is set.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/town.rs"]
mod town;

use house::PATIENCE;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use town::{Answer, SUPPLIERS, Stub, Town, ask, http, raw};

const V100: &str = "/supplier-master/v1/suppliers/V-100";

/// Memory of the server now, in MiB.
fn resident(town: &Town) -> usize {
    let text = std::fs::read(town.house.data().join("serve.json")).unwrap();
    let server: Value = serde_json::from_slice(&text).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server["pid"])).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// The realtime path answers, on a connection of its own, so many times.
#[track_caller]
fn realtime(town: &Town, token: &str, times: usize) {
    let headers = [("Authorization", token), ("X-Purpose-Of-Use", "payment")];
    for _ in 0..times {
        ask(&town.internal, "GET", V100, &headers, b"").is(200);
    }
}

/// Lets this process have as many connections as the system allows; how many that is.
fn descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
    maximum.unwrap_or(u64::MAX)
}

/// Requests that two readers may cut differently, each with what could hide behind it.
fn ambiguous() -> Vec<(&'static str, String)> {
    let hidden = "GET /supplier-master/v1/suppliers/HIDDEN HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = format!("POST {SUPPLIERS} HTTP/1.1\r\nHost: x\r\n");
    let get = format!("GET {V100} HTTP/1.1\r\nHost: x\r\n");
    vec![
        (
            "CL.TE",
            format!(
                "{post}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
                hidden.len() + 5
            ),
        ),
        (
            "TE.CL",
            format!(
                "{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n{hidden}\r\n0\r\n\r\n"
            ),
        ),
        (
            "CL twice",
            format!(
                "{post}Content-Length: 0\r\nContent-Length: {}\r\n\r\n{hidden}",
                hidden.len()
            ),
        ),
        (
            "CL twice, the same",
            format!("{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}{hidden}"),
        ),
        (
            "CL list",
            format!("{post}Content-Length: 0, {}\r\n\r\n{hidden}", hidden.len()),
        ),
        (
            "CL with a sign",
            format!("{post}Content-Length: +0\r\n\r\n{hidden}"),
        ),
        (
            "CL in hex",
            format!("{post}Content-Length: 0x10\r\n\r\n{hidden}"),
        ),
        ("CL empty", format!("{post}Content-Length:\r\n\r\n{hidden}")),
        (
            "CL too large",
            format!("{post}Content-Length: 184467440737095516160\r\n\r\n{hidden}"),
        ),
        (
            "TE identity",
            format!(
                "{post}Transfer-Encoding: identity\r\nContent-Length: {}\r\n\r\n{hidden}",
                hidden.len()
            ),
        ),
        (
            "TE chunked, identity",
            format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "TE identity, chunked",
            format!("{post}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "TE gzip, chunked",
            format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "TE xchunked",
            format!("{post}Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n{hidden}"),
        ),
        (
            "TE with a tab",
            format!("{post}Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "TE twice",
            format!(
                "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "TE with a space before the colon",
            format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "TE in HTTP/1.0",
            format!(
                "POST {SUPPLIERS} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        ("folded header", format!("{get}X: a\r\n b\r\n\r\n{hidden}")),
        (
            "folded TE",
            format!("{post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "bare LF in the head",
            format!("{get}X: a\nTransfer-Encoding: chunked\r\n\r\n{hidden}"),
        ),
        (
            "bare CR in the head",
            format!("{get}X: a\rTransfer-Encoding: chunked\r\n\r\n{hidden}"),
        ),
        ("NUL in the head", format!("{get}X: a\0b\r\n\r\n{hidden}")),
        ("header without a name", format!("{get}: a\r\n\r\n{hidden}")),
        ("header without a colon", format!("{get}a\r\n\r\n{hidden}")),
        ("two Hosts", format!("{get}Host: y\r\n\r\n{hidden}")),
        ("no Host", format!("GET {V100} HTTP/1.1\r\n\r\n{hidden}")),
        (
            "two spaces",
            format!("GET  {V100} HTTP/1.1\r\nHost: x\r\n\r\n{hidden}"),
        ),
        (
            "no version",
            format!("GET {V100}\r\nHost: x\r\n\r\n{hidden}"),
        ),
        (
            "another version",
            format!("GET {V100} HTTP/1.2\r\nHost: x\r\n\r\n{hidden}"),
        ),
        (
            "CONNECT",
            format!("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n{hidden}"),
        ),
    ]
}

/// How many answers are in what a connection gave, and the status of the first.
fn answers(bytes: &[u8]) -> (usize, Option<u16>) {
    let text = String::from_utf8_lossy(bytes);
    let first = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        text.matches("HTTP/1.1 ").count() + text.matches("HTTP/1.0 ").count(),
        first,
    )
}

#[test]
fn what_can_be_cut_in_two_ways_is_refused_and_nothing_behind_it_is_read() {
    let town = Town::new();
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    for (name, bytes) in ambiguous() {
        let said = raw(&town.internal, bytes.as_bytes());
        assert_eq!(
            answers(&said),
            (1, Some(400)),
            "{name}: {}",
            String::from_utf8_lossy(&said)
        );
        assert_eq!(Answer::of(&said).unwrap().problem(), "framing", "{name}");
    }
    // A body that is not framed as it should be ends the connection; what follows is not a request.
    let chunked = format!(
        "POST {SUPPLIERS} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Purpose-Of-Use: operations\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for body in [
        "g\r\n",
        "3\nabc\r\n",
        "3\r\nabcd",
        "-1\r\n",
        "0x2\r\n{}\r\n",
        "2 \r\n{}\r\n",
        "2;\x01\r\n{}\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
    ] {
        let hidden = format!("{body}0\r\n\r\nGET {V100} HTTP/1.1\r\nHost: x\r\n\r\n");
        let said = raw(
            &town.internal,
            [&chunked, hidden.as_str()].concat().as_bytes(),
        );
        let (count, status) = answers(&said);
        assert!(
            count <= 1 && status.is_none_or(|status| status == 400),
            "{body:?}: {}",
            String::from_utf8_lossy(&said)
        );
    }
    // An extension of a chunk is legal and means nothing; a body that leaves a request behind it
    // where it ended makes two requests, each judged for itself.
    let new = r#"{"supplier_id":"V-950","name":"Chunk","status":"active"}"#;
    let legal = format!(
        "{chunked}{:x};a=\"b\"\r\n{new}\r\n0\r\nX-Trailer: 1\r\n\r\nGET {V100} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        new.len()
    );
    let said = raw(&town.internal, legal.as_bytes());
    let (count, status) = answers(&said);
    assert_eq!(
        (count, status),
        (2, Some(201)),
        "{}",
        String::from_utf8_lossy(&said)
    );
    assert!(
        String::from_utf8_lossy(&said).contains("HTTP/1.1 401 "),
        "{}",
        String::from_utf8_lossy(&said)
    );
    // An upgrade that nobody asked for is not one: the body is a body, and what follows a request.
    for upgrade in ["websocket", "h2c"] {
        let new = new.replace("V-950", &format!("V-951-{upgrade}"));
        let bytes = format!(
            "POST {SUPPLIERS} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Purpose-Of-Use: operations\r\nContent-Type: application/json\r\n\
             Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: {}\r\n\r\n{new}",
            new.len()
        );
        let said = raw(&town.internal, bytes.as_bytes());
        assert_eq!(
            answers(&said),
            (1, Some(201)),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
    // The three creates, and one read: nothing that was hidden arrived.
    realtime(&town, &token, 1);
    let report = town.hospital.erp_legacy().report();
    assert_eq!((report.applied, report.requests), (3, 4), "{report:?}");
}

#[test]
fn heads_are_bounded_before_they_are_whole() {
    let town = Town::new();
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let get = format!("GET {V100} HTTP/1.1\r\nHost: x\r\n");
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    for head in [
        format!("{get}X: {}\r\n\r\n", "y".repeat(40_000)),
        format!("{get}X: {}", "y".repeat(200_000)),
        format!("{get}{}: y\r\n\r\n", "X".repeat(40_000)),
        format!("{get}{many}\r\n"),
        format!("{get}Cookie: {}\r\n\r\n", "a=b; ".repeat(10_000)),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(40_000)),
    ] {
        let said = raw(&town.internal, head.as_bytes());
        let (count, status) = answers(&said);
        assert_eq!(count, 1, "{}", String::from_utf8_lossy(&said));
        assert!(
            [Some(431), Some(414), Some(400)].contains(&status),
            "{status:?} for {}",
            &head[..60]
        );
    }
    realtime(&town, &token, 3);
}

/// nginx in front of the internal listener; killed where the test ends.
struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    fn start(town: &Town) -> Option<Self> {
        let proof = Command::new("nginx")
            .arg("-v")
            .stderr(Stdio::null())
            .status();
        if !proof.is_ok_and(|status| status.success()) {
            let text = "nginx missing: `cargo xtask peers` installs what the tests need";
            assert!(std::env::var_os("CI").is_none(), "{text}");
            println!("skipped: {text}");
            return None;
        }
        let address = house::free_address();
        let folder = town.house.path("nginx");
        std::fs::create_dir(&folder).unwrap();
        let config = folder.join("nginx.conf");
        let at = folder.display();
        std::fs::write(
            &config,
            format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
                 upstream w {{ server {}; keepalive 1; }}\n\
                 server {{ listen {address}; location / {{ proxy_pass http://w; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
                town.internal
            ),
        )
        .unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, address };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(&nginx.address).is_err() {
            assert!(
                Instant::now() < end,
                "nginx did not start: {:?}",
                std::fs::read_to_string(folder.join("error.log"))
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.child.kill().is_ok()
            && let Err(error) = self.child.wait()
        {
            eprintln!("nginx may be left over: {error}");
        }
    }
}

#[test]
fn with_nginx_in_between_nobody_gets_the_answer_of_another() {
    let town = Town::new();
    let _server = town.serve();
    let Some(nginx) = Nginx::start(&town) else {
        return;
    };
    let token = town.token(&town.internal, "purchasing");
    let headers = [
        ("Authorization", token.as_str()),
        ("X-Purpose-Of-Use", "payment"),
    ];
    // One connection to the gateway is kept and shared: a request hidden in what a stranger sends
    // would answer the next one who comes through nginx.
    let mut passed = 0;
    for (name, bytes) in ambiguous() {
        let said = raw(
            &nginx.address,
            bytes
                .replace("\r\nHost: x", "\r\nHost: x\r\nConnection: close")
                .as_bytes(),
        );
        let (count, status) = answers(&said);
        // What nginx makes unambiguous by itself is a request of nobody, or of nothing.
        assert!(count <= 1, "{name}: {}", String::from_utf8_lossy(&said));
        passed += usize::from(status.is_some_and(|status| status == 401 || status == 415));
        let mine = ask(&nginx.address, "GET", V100, &headers, b"");
        assert_eq!(
            mine.status,
            200,
            "after {name}: {} {}",
            mine.head,
            mine.text()
        );
        assert_eq!(mine.json()["supplier_id"], "V-100", "after {name}");
    }
    assert!(passed > 0, "nginx passed nothing on: this proves nothing");
    assert_eq!(
        town.asked()[0] as usize,
        ambiguous().len(),
        "only what was permitted arrived"
    );
}

#[test]
fn slow_heads_and_bodies_hold_their_own_place_only() {
    let mut town = Town::new();
    town.client(
        "slowpoke",
        "kind: service\nzone: internal\nscopes: [supplier.write]",
    );
    town.edit("apis/supplier-master.yaml", "per_client: 50/s, ", "");
    town.edit(
        "wardline.yaml",
        &format!("bind: \"{}\" }}", town.internal),
        &format!(
            "bind: \"{}\", limits: {{ slow: 2s, idle: 10m }} }}",
            town.internal
        ),
    );
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let slowpoke = town.token(&town.internal, "slowpoke");
    let head = format!("GET {V100} HTTP/1.1\r\nHost: x\r\nX: ");
    let body = format!(
        "POST {SUPPLIERS} HTTP/1.1\r\nHost: x\r\nAuthorization: {slowpoke}\r\nX-Purpose-Of-Use: operations\r\n\
         Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{"
    );
    let chunked = body
        .replace("Content-Length: 60000", "Transfer-Encoding: chunked")
        .replace("\r\n\r\n{", "\r\n\r\n10\r\n");
    let before = resident(&town);
    // A byte now and then, for the heads; nothing more, for the bodies.
    let mut slow: Vec<TcpStream> = Vec::new();
    for n in 0..600 {
        let mut stream = TcpStream::connect(&town.internal).unwrap();
        let start = [&head, &body, &chunked][n % 3];
        stream.write_all(start.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        slow.push(stream);
    }
    let end = Instant::now() + PATIENCE;
    let mut some = [0; 4096];
    let mut open: Vec<TcpStream> = slow;
    while !open.is_empty() {
        assert!(Instant::now() < end, "{} are still open", open.len());
        realtime(&town, &token, 1);
        open.retain_mut(|stream| {
            // The heads go on, byte by byte; where that fails, the server has closed.
            let mut read = stream;
            match read.read(&mut some) {
                Ok(0) => false,
                Ok(_) => true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
                Err(_) => false,
            }
        });
        for stream in open.iter_mut().step_by(3) {
            // A closed one is found above.
            drop(stream.write(b"y"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    realtime(&town, &token, 3);
    let grown = resident(&town).saturating_sub(before);
    println!("600 slow connections: {grown} MiB more");
    assert!(grown < 100, "{grown} MiB more");
}

#[test]
fn ten_thousand_idle_connections_are_no_burden() {
    let wanted = 10_000;
    let most = descriptors();
    if most < wanted + 500 {
        println!("skipped: only {most} files may be open; see `ulimit -Hn`");
        return;
    }
    let town = Town::new();
    town.edit(
        "wardline.yaml",
        &format!("bind: \"{}\" }}", town.internal),
        &format!(
            "bind: \"{}\", limits: {{ connections: 12000, idle: 10m, slow: 5m }} }}",
            town.internal
        ),
    );
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    realtime(&town, &token, 20);
    let before = resident(&town);
    let mut idle = Vec::new();
    for n in 0..wanted {
        let mut stream = TcpStream::connect(&town.internal).unwrap();
        // Every second one has asked for something and stays.
        if n % 2 == 0 {
            stream
                .write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap();
        }
        idle.push(stream);
    }
    let mut some = [0; 4096];
    for stream in idle.iter_mut().step_by(2) {
        let read = stream.read(&mut some).unwrap();
        assert!(some[..read].starts_with(b"HTTP/1.1 404 "));
    }
    let grown = resident(&town).saturating_sub(before);
    println!(
        "10,000 idle connections: {before} MiB before, {grown} MiB more ({} bytes each)",
        (grown << 20) / 10_000
    );
    let began = Instant::now();
    realtime(&town, &token, 200);
    println!(
        "200 realtime calls beside them: {:.1} ms each",
        began.elapsed().as_secs_f64() * 5.0
    );
    assert!(grown < 400, "{grown} MiB for 10,000 connections");
    // They were left in peace: the first and the last can still ask.
    for stream in [0, 9_998].map(|n| &idle[n]) {
        let mut stream = stream;
        stream
            .write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        assert!(stream.read(&mut some).unwrap() > 0);
    }
}

#[test]
fn who_asks_for_nothing_makes_room_for_who_does() {
    let town = Town::new();
    town.edit(
        "wardline.yaml",
        &format!("bind: \"{}\" }}", town.internal),
        &format!(
            "bind: \"{}\", limits: {{ connections: 200, idle: 30m, slow: 30m }} }}",
            town.internal
        ),
    );
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let mut some = [0; 4096];
    let held: Vec<TcpStream> = (0..200)
        .map(|n| {
            let mut stream = TcpStream::connect(&town.internal).unwrap();
            if n % 2 == 0 {
                stream
                    .write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
                    .unwrap();
                // The last ones may be turned away.
                drop(stream.read(&mut some));
            }
            stream
        })
        .collect();
    // All places are taken by connections that may stay for half an hour by their limits.
    let request = format!(
        "GET {V100} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Purpose-Of-Use: payment\r\nConnection: close\r\n\r\n"
    );
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = Answer::of(&raw(&town.internal, request.as_bytes()));
        if answer.is_some_and(|answer| answer.status == 200) {
            break;
        }
        assert!(Instant::now() < end, "there was no room");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(held);
}

/// An HTTP/2 frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut all = length[1..].to_vec();
    all.extend([kind, flags]);
    all.extend(stream.to_be_bytes());
    all.extend(payload);
    all
}

#[test]
fn floods_of_http2_end_their_connection_and_nothing_else() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const CONTINUATION: u8 = 9;
    let town = Town::new();
    let _server = town.serve();
    let token = town.token(&town.internal, "purchasing");
    let before = resident(&town);
    let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    start.extend(frame(SETTINGS, 0, 0, &[]));
    // GET http / with `:authority: x`, by the static table (RFC 7541, appendix A).
    let fields = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];
    let odd = |n: u32| 2 * n + 1;
    let reset: Vec<u8> = (0..20_000)
        .flat_map(|n| {
            [
                frame(HEADERS, 0x5, odd(n), &fields),
                frame(RST_STREAM, 0, odd(n), &8_u32.to_be_bytes()),
            ]
            .concat()
        })
        .collect();
    // A window update of nothing is an error of the stream, which the server has to reset.
    let made: Vec<u8> = (0..20_000)
        .flat_map(|n| {
            [
                frame(HEADERS, 0x4, odd(n), &fields),
                frame(8, 0, odd(n), &[0; 4]),
            ]
            .concat()
        })
        .collect();
    let mut endless = frame(HEADERS, 0x1, 1, &fields);
    let field = [&b"\x00\x01x\x40"[..], &[b'y'; 64]].concat();
    for _ in 0..20_000 {
        endless.extend(frame(CONTINUATION, 0, 1, &field));
    }
    let pings: Vec<u8> = (0..200_000)
        .flat_map(|_| frame(PING, 0, 0, &[0; 8]))
        .collect();
    let settings: Vec<u8> = (0..200_000)
        .flat_map(|_| frame(SETTINGS, 0, 0, &[]))
        .collect();
    let floods = [
        ("reset", reset, true),
        ("made to reset", made, true),
        ("continuation", endless, true),
        ("ping", pings, false),
        ("settings", settings, false),
    ];
    for (name, flood, must_end) in floods {
        let mut stream = TcpStream::connect(&town.internal).unwrap();
        // Answers are not read: they must not pile up at the server either.
        stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent = stream.write_all(&[&start, &flood[..]].concat());
        if must_end {
            let mut all = Vec::new();
            let mut some = [0; 16 * 1024];
            loop {
                match stream.read(&mut some) {
                    Ok(read @ 1..) => all.extend_from_slice(&some[..read]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        panic!("{name}: the connection goes on")
                    }
                    Ok(_) | Err(_) => break,
                }
            }
            assert!(
                all.len() < 4 << 20,
                "{name}: {} bytes of answers",
                all.len()
            );
        } else {
            drop(sent);
        }
        realtime(&town, &token, 3);
        let grown = resident(&town).saturating_sub(before);
        println!("{name}: {grown} MiB more");
        assert!(grown < 100, "{name}: {grown} MiB more");
    }
}

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
#[ignore = "a measurement, for a machine that does nothing else"]
fn measure_realtime_beside_bulk() {
    let slow = Stub::start(|_| http("200 OK", "content-type: application/json\r\n", SLOW_ANSWER));
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
            for n in 0..3_000 {
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
