//! A SOAP service behind the real binary: what comes in as JSON leaves as an envelope, its answer
//! tells an event, a fault of the sender is a dead letter, one of the receiver is tried again.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/post.rs"]
mod post;

use house::{House, free_address};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

const NS: &str = "http://schemas.xmlsoap.org/soap/envelope/";

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wardline-soap/tests/fixtures");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// A service that refuses the order `unknown`, fails at the first try of `busy`, and takes all else.
fn service(listener: TcpListener) {
    std::thread::spawn(move || {
        let mut busy = true;
        for stream in listener.incoming() {
            answer(stream.unwrap(), &mut busy);
        }
    });
}

fn answer(mut stream: TcpStream, busy: &mut bool) {
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
        let fault = |code: &str| {
            format!(
                "<s:Fault><faultcode>s:{code}</faultcode><faultstring>no</faultstring></s:Fault>"
            )
        };
        let fails = body.contains(">busy<") && std::mem::take(busy);
        let (line, content) = if body.contains(">unknown<") {
            ("500 Internal Server Error", fault("Client"))
        } else if fails {
            ("500 Internal Server Error", fault("Server"))
        } else if body.contains("UsernameToken") && body.contains(":quantity>2.50<") {
            let content = "<CreateOrderResponse xmlns='urn:orders'><reference>R-1</reference><accepted>1</accepted></CreateOrderResponse>";
            ("200 OK", content.to_owned())
        } else {
            ("500 Internal Server Error", fault("Client"))
        };
        let content = format!("<s:Envelope xmlns:s='{NS}'><s:Body>{content}</s:Body></s:Envelope>");
        write!(
            stream,
            "HTTP/1.1 {line}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
            content.len()
        )
        .unwrap();
        return;
    }
}

#[test]
fn orders_reach_a_soap_service_and_its_faults_have_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    service(listener);
    let here = free_address();
    let house = House::new(&[
        (
            "wardline.yaml",
            &format!(
                "estate: shop\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  internal: {{ zone: internal, bind: \"{here}\" }}\n"
            ),
        ),
        ("contracts/orders.wsdl", &fixture("orders.wsdl")),
        ("contracts/orders.xsd", &fixture("orders.xsd")),
        (
            "systems/shop.yaml",
            "system: shop\nowner: it\nconnections:\n  orders: { http: { listen: internal, post: \"/orders\", auth: none }, sensitivity: internal }\n",
        ),
        (
            "systems/erp.yaml",
            &format!(
                "system: erp\nowner: it\nconnections:\n  ws:\n    soap: {{ wsdl: contracts/orders.wsdl, url: \"http://{there}/ws\", security: {{ username: secret:erp/ws }} }}\n    sensitivity: internal\noperations:\n  create-order: {{ soap: {{ connection: ws, operation: CreateOrder }} }}\n"
            ),
        ),
        (
            "maps/order.vrl",
            ". = { \"number\": .order, \"line\": [{ \"item\": \"A-1\", \"quantity\": \"2.50\" }] }\n",
        ),
        (
            "flows/orders.yaml",
            "flow: orders\nowner: it\nfrom: shop.orders\nkey: .order\nmap: maps/order.vrl\nto:\n  - call: erp.create-order\n    retry: { first: 100ms, attempts: 3 }\n    on_exhausted: park\n",
        ),
    ]);
    let secret = house.write("secrets/erp/ws", b"wardline:sesame");
    std::fs::set_permissions(secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let estate = house.estate();
    // A map that makes what the message does not have is found before anything is sent.
    let good =
        ". = { \"number\": .order, \"line\": [{ \"item\": \"A-1\", \"quantity\": \"2.50\" }] }\n";
    house.write(
        "maps/order.vrl",
        good.replace("quantity", "amount").as_bytes(),
    );
    house
        .run(&["check", estate.to_str().unwrap()])
        .ends(1)
        .explains_or_says("W2405")
        .explains_or_says("`line.amount`");
    house.write("maps/order.vrl", good.as_bytes());
    house.run(&["keys", "init"]);
    house.run(&["check", estate.to_str().unwrap()]).ends(0);
    let server = house.serve();
    for order in ["1", "busy", "unknown"] {
        let (status, answer) = post::request(
            &here,
            "POST",
            "/orders",
            "",
            &format!("{{\"order\":\"{order}\"}}"),
        );
        assert_eq!(status, 202, "{answer}");
    }
    house.until_status("two are delivered and one is dead", |status| {
        status["sums"]["delivered"] == 2 && status["sums"]["dead"] == 1
    });
    house.run(&["dead"]).ends(0).says(&["W4302"]);
    server.stop();
}

#[test]
fn descriptions_are_shown_and_refused_with_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wardline-soap/tests/fixtures");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    house::run(&["soap", "show", &file("orders.wsdl")])
        .ends(0)
        .says(&[
            "Orders.Orders11",
            "CreateOrder",
            "\"quantity\":\"decimal\"",
            "UnknownSupplier",
        ]);
    let shown = house::run(&["soap", "show", "--json", &file("stock-rpc.wsdl")])
        .ends(0)
        .json();
    assert_eq!(
        shown["services"][0]["ports"][0]["operations"][0]["takes"]["site"],
        "int"
    );
    house::run(&[
        "soap",
        "check",
        &file("orders.wsdl"),
        &file("entity.wsdl"),
        &file("stock-encoded.wsdl"),
    ])
    .ends(1)
    .says(&["4 operations"])
    .says(&["document types are not taken", "encoded"]);
}
