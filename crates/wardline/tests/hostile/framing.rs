//! Heads and bodies that two readers cut differently, alone and with nginx in between.

use crate::house::{PATIENCE, free_address};
use crate::town::{Answer, SUPPLIERS, Town, ask, raw};
use crate::{V100, realtime};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
        let address = free_address();
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
