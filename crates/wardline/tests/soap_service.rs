//! SOAP services of ours behind the real binary, spoken to by `zeep`: with a user token, with a signature, and
//! with HL7 v2 as text. What comes reaches flows as JSON or HL7; what is refused is a fault.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/fhir_service.rs"]
mod fhir_service;
#[path = "peers/house.rs"]
mod house;
#[path = "peers/post.rs"]
mod post;
#[path = "peers/scim_service.rs"]
mod scim_service;

use house::{House, free_address, python};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const ADT: &str = "MSH|^~\\&|CLINIC|C1|REG|R1|20260101||VXU^V04^VXU_V04|M-1|P|2.5.1\rPID|1||77^^^C1^MR||Doe^Jane\r";

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wardline-soap/tests/fixtures");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The description of the national immunization service, where the test data is there.
fn national() -> Option<PathBuf> {
    [
        "../../../shared/testdata/soap",
        "../../../../shared/testdata/soap",
    ]
    .iter()
    .map(|root| Path::new(env!("CARGO_MANIFEST_DIR")).join(root))
    .map(|root| root.join("cdc-iis/cdc-iis-2011.wsdl"))
    .find(|file| file.exists())
}

struct Zeep {
    child: Child,
    into: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Zeep {
    fn start(python: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/soap_client.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let into = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, into, from }
    }

    fn call(&mut self, call: &Value) -> Value {
        writeln!(self.into, "{call}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Zeep {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn secret(house: &House, name: &str, value: &str) {
    let file = house.write(&format!("secrets/{name}"), value.as_bytes());
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn house(here: &str, certificate: &str, registry: &str) -> House {
    let house = House::new(&[
        (
            "wardline.yaml",
            &format!(
                "estate: shop\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  partner: {{ zone: partner, bind: \"{here}\" }}\n"
            ),
        ),
        ("contracts/orders.wsdl", &fixture("orders.wsdl")),
        ("contracts/orders.xsd", &fixture("orders.xsd")),
        ("contracts/registry.wsdl", registry),
        ("certs/supplier.pem", certificate),
        (
            "maps/received.vrl",
            "if .number == \"none\" { . = { \"reference\": \"\" } } else { . = { \"reference\": \"R-\" + to_string!(.number), \"accepted\": true } }\n",
        ),
        (
            "systems/shop.yaml",
            "system: shop\nowner: it\nconnections:\n  orders:\n    soap: { listen: partner, path: /ws/orders, wsdl: contracts/orders.wsdl, auth: none, security: { users: secret:shop/supplier }, answers: { CreateOrder: maps/received.vrl } }\n    keys: { order: .number }\n    sensitivity: internal\n  signed:\n    soap: { listen: partner, path: /ws/signed, wsdl: contracts/orders.wsdl, port: Orders12, auth: none, security: { certs: certs/supplier.pem }, answers: { CreateOrder: maps/received.vrl } }\n    sensitivity: internal\n  registry:\n    soap:\n      listen: partner\n      path: /ws/registry\n      wsdl: contracts/registry.wsdl\n      auth: none\n      security: { users: secret:shop/clinic }\n      hl7: { operation: submitSingleMessage, message: hl7Message, answer: return, username: username, password: password }\n      echo: { operation: connectivityTest, from: echoBack, to: return }\n    duplicate: { by: [MSH-10], within: 7d }\n  sink: { 'null': {} }\n",
        ),
        (
            "flows/orders.yaml",
            "flow: orders\nowner: it\nfrom: shop.orders\nwhen: '%type == \"CreateOrder\"'\nkey: .number\nto: [{ send: shop.sink }]\n---\nflow: signed\nowner: it\nfrom: shop.signed\nto: [{ send: shop.sink }]\n---\nflow: vaccinations\nowner: it\nfrom: shop.registry\nwhen: 'hl7(\"MSH-9.1\") == \"VXU\"'\nkey: hl7(\"PID-3.1\")\nto: [{ send: shop.sink }]\n",
        ),
    ]);
    secret(&house, "shop/supplier", "supplier:sesame");
    secret(&house, "shop/clinic", "clinic:syringe");
    house.run(&["keys", "init"]);
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(0);
    house
}

#[test]
fn zeep_orders_with_a_token_with_a_signature_and_hands_in_hl7() {
    let Some(python) = python("zeep, xmlsec") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::new(vec!["supplier.example".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap()
        .pem();
    let (key, cert) = (folder.path().join("key"), folder.path().join("cert"));
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    std::fs::write(&cert, &certificate).unwrap();
    let registry = national().map_or_else(
        || fixture("registry.wsdl"),
        |file| std::fs::read_to_string(file).unwrap(),
    );
    let here = free_address();
    let house = house(&here, &certificate, &registry);
    let server = house.serve();
    let mut zeep = Zeep::start(&python);
    let wsdl = |path: &str| format!("http://{here}/ws/{path}?wsdl");
    let line = json!([{"item": "A-1", "quantity": "2.50"}]);

    // By a user token, in both versions of SOAP.
    let order = |number: &str, password: &str, port: &str| {
        json!({"wsdl": wsdl("orders"), "port": port, "operation": "CreateOrder", "user": "supplier",
            "password": password, "with": {"number": number, "line": line}})
    };
    for (number, port) in [("1", "Orders11"), ("2", "Orders12")] {
        let said = zeep.call(&order(number, "sesame", port));
        assert_eq!(said["answer"]["reference"], format!("R-{number}"), "{said}");
    }
    let said = zeep.call(&order("3", "open", "Orders12"));
    assert!(
        said["subcodes"][0]
            .as_str()
            .unwrap()
            .contains("FailedAuthentication"),
        "{said}"
    );
    let said = zeep.call(&order("3", "open", "Orders11"));
    assert!(
        said["code"]
            .as_str()
            .unwrap()
            .contains("FailedAuthentication"),
        "{said}"
    );
    // An answer that does not fit is no order: nothing was taken.
    let said = zeep.call(&order("none", "sesame", "Orders11"));
    assert!(
        said["fault"].as_str().unwrap().contains("does not fit"),
        "{said}"
    );
    // An operation with an empty answer needs no map.
    let ping = json!({"wsdl": wsdl("orders"), "port": "Orders11", "operation": "Ping", "user": "supplier", "password": "sesame", "with": {}});
    assert!(zeep.call(&ping).get("fault").is_none());

    // By a signature.
    let signed = json!({"wsdl": wsdl("signed"), "port": "Orders12", "operation": "CreateOrder", "key": key, "cert": cert, "with": {"number": "4", "line": line}});
    let said = zeep.call(&signed);
    assert_eq!(said["answer"]["reference"], "R-4", "{said}");
    let unsigned = json!({"wsdl": wsdl("signed"), "port": "Orders12", "operation": "CreateOrder", "with": {"number": "5", "line": line}});
    assert!(zeep.call(&unsigned).get("fault").is_some());

    // HL7 v2 as text, its user in the body.
    let submit = |message: &str, password: &str| {
        json!({"wsdl": wsdl("registry"), "operation": "submitSingleMessage",
            "with": {"username": "clinic", "password": password, "facilityID": "C1", "hl7Message": message}})
    };
    let said = zeep.call(&submit(ADT, "syringe"));
    let ack = said["answer"].as_str().unwrap_or_default().to_owned();
    assert!(ack.contains("MSA|AA|M-1"), "{said}");
    // Line feeds alone, and the same message again: the same answer.
    let said = zeep.call(&submit(&ADT.replace('\r', "\n"), "syringe"));
    assert!(
        said["answer"].as_str().unwrap().contains("MSA|AA|M-1"),
        "{said}"
    );
    let said = zeep.call(&submit("no HL7", "syringe"));
    assert!(
        said["answer"].as_str().unwrap().contains("MSA|AR"),
        "{said}"
    );
    assert!(zeep.call(&submit(ADT, "wrong")).get("fault").is_some());
    let said = zeep.call(&json!({"wsdl": wsdl("registry"), "operation": "connectivityTest", "with": {"echoBack": "are you there?"}}));
    assert_eq!(said["answer"], "are you there?");

    // Two orders, one signed, one vaccination; the ping is a message that no flow wants.
    house.until_status("four are delivered", |status| {
        status["sums"]["delivered"] == 4 && status["sums"]["dead"] == 0
    });
    let (status, told) = post::request(&here, "POST", "/ws/orders", "", "<!DOCTYPE a []><a/>");
    assert_eq!(status, 500);
    assert!(
        told.contains("W4307") && told.contains("document type"),
        "{told}"
    );
    let (status, _) = post::request(&here, "GET", "/ws/orders", "", "");
    assert_eq!(status, 404);
    server.stop();
}

/// An Api whose system speaks SOAP: that system is a service of ours behind the same door.
#[test]
fn an_api_asks_a_soap_service_and_answers_at_once() {
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
            "maps/received.vrl",
            ". = { \"reference\": \"R-\" + to_string!(.number), \"accepted\": true }\n",
        ),
        (
            "maps/to-erp.vrl",
            ". = { \"number\": .order, \"line\": [{ \"item\": \"A-1\", \"quantity\": .quantity }] }\n",
        ),
        (
            "maps/from-erp.vrl",
            ". = { \"reference\": .reference, \"taken\": .accepted }\n",
        ),
        (
            "systems/shop.yaml",
            "system: shop\nowner: it\nconnections:\n  orders:\n    soap: { listen: internal, path: /ws/orders, wsdl: contracts/orders.wsdl, auth: none, security: { users: secret:shop/supplier }, answers: { CreateOrder: maps/received.vrl } }\n    sensitivity: internal\n  sink: { 'null': {} }\n",
        ),
        (
            "systems/erp.yaml",
            &format!(
                "system: erp\nowner: it\nconnections:\n  ws:\n    soap: {{ wsdl: contracts/orders.wsdl, port: Orders11, url: \"http://{here}/ws/orders\", security: {{ username: secret:shop/supplier }} }}\n    sensitivity: internal\noperations:\n  create: {{ soap: {{ connection: ws, operation: CreateOrder }}, accepts: order, returns: receipt, request: maps/to-erp.vrl, response: maps/from-erp.vrl }}\n  find: {{ soap: {{ connection: ws, operation: CreateOrder }}, returns: receipt, request: maps/to-erp.vrl, response: maps/from-erp.vrl }}\n"
            ),
        ),
        (
            "apis/orders.yaml",
            "api: orders\nlayer: system\nversion: 1.0.0\nowner: it\nstate: published\nbase: /orders\noperations:\n  create: { post: \"/new\", accepts: order, returns: receipt, public: true, validate: { response: strict } }\n  find: { get: \"/{order}/of/{quantity}\", returns: receipt, public: true }\nbindings: [{ system: erp }]\n",
        ),
        (
            "entities/order.yaml",
            "entity: order\nowner: it\nversion: 1.0.0\nschema: order.schema.json\n",
        ),
        (
            "entities/order.schema.json",
            "{ \"type\": \"object\", \"properties\": { \"order\": { \"type\": \"string\" }, \"quantity\": { \"type\": \"string\" } } }",
        ),
        (
            "entities/receipt.yaml",
            "entity: receipt\nowner: it\nversion: 1.0.0\nschema: receipt.schema.json\n",
        ),
        (
            "entities/receipt.schema.json",
            "{ \"type\": \"object\", \"required\": [\"reference\", \"taken\"], \"properties\": { \"reference\": { \"type\": \"string\" }, \"taken\": { \"type\": \"boolean\" } } }",
        ),
        (
            "flows/orders.yaml",
            "flow: orders\nowner: it\nfrom: shop.orders\nto: [{ send: shop.sink }]\n",
        ),
    ]);
    secret(&house, "shop/supplier", "supplier:sesame");
    house.run(&["keys", "init"]);
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(0);
    let server = house.serve();
    let ask = |method: &str, path: &str, body: &str| post::request(&here, method, path, "", body);
    let (status, said) = ask(
        "POST",
        "/orders/new",
        "{\"order\":\"7\",\"quantity\":\"2.50\"}",
    );
    assert_eq!(status, 200, "{said}");
    assert!(
        said.contains("\"reference\":\"R-7\"") && said.contains("\"taken\":true"),
        "{said}"
    );
    let (status, said) = ask("GET", "/orders/8/of/3", "");
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("R-8"), "{said}");
    // What does not fit the types of the service never leaves.
    let (status, said) = ask(
        "POST",
        "/orders/new",
        "{\"order\":\"9\",\"quantity\":\"many\"}",
    );
    assert_eq!(status, 422, "{said}");
    assert!(!said.contains("many"), "{said}");
    let (status, said) = ask("GET", "/ws/orders?wsdl", "");
    assert_eq!(status, 200, "{said}");
    assert!(
        said.contains("/ws/orders?wsdl=1")
            && !said.contains("soap12:address location=\"https://erp"),
        "{said}"
    );
    house.until_status("two are delivered", |status| {
        status["sums"]["delivered"] == 2
    });
    server.stop();
}

#[test]
fn a_service_that_cannot_answer_or_gives_itself_away_is_refused() {
    let house = House::new(&[
        (
            "wardline.yaml",
            "estate: shop\nlisteners:\n  console: { zone: admin, bind: \"127.0.0.1:0\" }\n  partner: { zone: partner, bind: \"0.0.0.0:9443\" }\n",
        ),
        ("contracts/orders.wsdl", &fixture("orders.wsdl")),
        ("contracts/orders.xsd", &fixture("orders.xsd")),
        (
            "systems/shop.yaml",
            "system: shop\nowner: it\nconnections:\n  orders:\n    soap: { listen: partner, path: /ws, wsdl: contracts/orders.wsdl, port: Order11, auth: none }\n  more:\n    soap: { listen: partner, path: /more, wsdl: contracts/orders.wsdl, auth: none, security: { users: secret:shop, password: text } }\n",
        ),
    ]);
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(1)
        .explains_or_says("W1332");
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .explains_or_says("W1334");
}
