//! Connections that are slow, idle, too many, or flood: each holds its own place only.

use crate::house::PATIENCE;
use crate::town::{Answer, SUPPLIERS, Town, raw};
use crate::{V100, realtime, resident};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

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
            let read = stream;
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
    // How often one client may ask is not what is tried here.
    town.edit("apis/supplier-master.yaml", "per_client: 50/s, ", "");
    town.edit("clients/purchasing.yaml", "rate: 100/s, ", "");
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
    // It is spoken here: an ordinary request is answered with headers on its stream.
    let mut stream = TcpStream::connect(&town.internal).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = [&start[..], &frame(HEADERS, 0x5, 1, &fields)].concat();
    stream.write_all(&asked).unwrap();
    let mut head = [0; 9];
    loop {
        stream.read_exact(&mut head).unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).unwrap();
        if (head[3], head[8]) == (HEADERS, 1) {
            // `:status: 404` of the static table.
            assert_eq!(payload[0], 0x80 | 0x0d);
            break;
        }
    }
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
