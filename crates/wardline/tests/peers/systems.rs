//! Systems behind Apis, and a caller in front of them, for tests that need no more of either.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, each uses its part, and a helper fails like the test it serves"
)]

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

/// An answer of a gateway.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// Asks a plain listener.
pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    exchange(
        TcpStream::connect(address).unwrap(),
        method,
        path,
        headers,
        body,
    )
}

/// As [`ask`], from an address of this machine: all of 127.0.0.0/8 is.
pub(crate) fn ask_from(
    from: &str,
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let from: IpAddr = from.parse().unwrap();
    let to: SocketAddr = address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    exchange(stream, method, path, headers, "")
}

fn exchange(
    mut stream: TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let lines = lines.concat();
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}{length}Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        text: body.to_owned(),
    }
}

/// A system that answers every `GET` with the same document.
pub(crate) fn system(document: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut some = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut some) {
                    bytes.extend_from_slice(&some[..read]);
                    if !bytes.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{document}",
                        document.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                    bytes.clear();
                }
            });
        }
    });
    address
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What the old ERP of the example says of a supplier, and the new one.
pub(crate) const VENDOR: &str =
    r#"{"VENDOR_NO":"V-100","NAME1":"Acme Medical","STATUS":"A","ZTERM":"N30"}"#;
pub(crate) const SUPPLIER: &str =
    r#"{"supplier_id":"V-100","name":"Acme Cloud","status":"active","payment_terms":"N30"}"#;

/// What every test here asks.
pub(crate) const SUPPLIER_PATH: &str = "/supplier-master/v1/suppliers/V-100";

/// The example estate with systems that answer: its house, and where its internal and partner
/// listeners will be.
pub(crate) fn example() -> (super::house::House, String, String) {
    let (legacy, cloud) = (system(VENDOR), system(SUPPLIER));
    let (internal, partner) = (super::house::free_address(), super::house::free_address());
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let house = super::house::House::example(&[
        pair("127.0.0.1:8420", "127.0.0.1:0"),
        pair("127.0.0.1:8421", &internal),
        pair("127.0.0.1:8422", &partner),
        pair("127.0.0.1:18091", &legacy),
        pair("127.0.0.1:18092", &cloud),
        pair("127.0.0.1:2575", "127.0.0.1:0"),
    ]);
    (house, internal, partner)
}

/// Adds lines below a key of the estate's `wardline.yaml`.
pub(crate) fn add_below(house: &super::house::House, key: &str, lines: &str) {
    let path = house.estate().join("wardline.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let below = format!("\n{key}:\n");
    assert!(text.contains(&below), "{key} is not in {text}");
    let text = text.replacen(&below, &format!("{below}{lines}"), 1);
    house.write("wardline.yaml", text.as_bytes());
}
