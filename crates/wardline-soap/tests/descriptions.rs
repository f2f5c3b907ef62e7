//! Descriptions of others load, or are refused with a reason; messages by them go to JSON and back.

use std::path::{Path, PathBuf};

use serde_json::json;
use wardline_soap::envelope::Envelope;
use wardline_soap::fault::{Fault, FaultCode};
use wardline_soap::source::{Directory, Loaded, Source};
use wardline_soap::wsdl::{Definitions, Message, Version, WsdlError};
use wardline_soap::xml::Limits;

fn fixtures() -> Directory {
    Directory::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
}

/// Where the shared test data is, when it is there.
fn testdata() -> Option<PathBuf> {
    for up in [
        "../../../shared/testdata/soap",
        "../../../../shared/testdata/soap",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(up);
        if folder.is_dir() {
            return Some(folder);
        }
    }
    println!("skipped: no ../shared/testdata/soap beside the workspace");
    None
}

#[test]
fn a_document_description_tells_all_that_may_be_asked() {
    let orders = Definitions::read(&fixtures(), "orders.wsdl").unwrap();
    let port = orders.port(None, Some("Orders12")).unwrap();
    assert_eq!(port.version, Version::V12);
    let names: Vec<&str> = port
        .operations
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["CreateOrder", "Ping"]);
    let create = port.operation("CreateOrder").unwrap();
    assert_eq!(create.action, "urn:orders:CreateOrder");
    assert_eq!(create.faults[0].name, "UnknownSupplier");
    let value = json!({"number": "4500012", "line": [{"item": "A", "quantity": "2.50"}]});
    let body = create
        .input
        .encode(&orders.schemas, &value)
        .unwrap()
        .unwrap();
    let name = body.name.clone();
    let written = Envelope::new(port.version, Vec::new(), Some(body))
        .write()
        .unwrap();
    let read = Envelope::parse(&written, Limits::MESSAGE).unwrap();
    assert_eq!(read.version, Version::V12);
    assert_eq!(
        create
            .input
            .decode(&orders.schemas, &read.content())
            .unwrap(),
        value
    );
    let found = port.find(&orders.schemas, Some(&name), None).unwrap();
    assert_eq!(found.name, "CreateOrder");
    assert!(
        orders
            .notes
            .iter()
            .any(|note| note.contains("its binding is not SOAP")),
        "{:?}",
        orders.notes
    );
}

#[test]
fn an_rpc_description_names_parts() {
    let stock = Definitions::read(&fixtures(), "stock-rpc.wsdl").unwrap();
    let port = stock.port(None, None).unwrap();
    assert_eq!(port.version, Version::V11);
    let operation = port.operation("Level").unwrap();
    assert!(matches!(&operation.input, Message::Rpc { parts, .. } if parts.len() == 2));
    let value = json!({"item": "A-1", "site": 4});
    let body = operation
        .input
        .encode(&stock.schemas, &value)
        .unwrap()
        .unwrap();
    assert!(body.name.is("urn:stock", "Level"));
    let envelope = Envelope::new(port.version, Vec::new(), Some(body));
    assert_eq!(
        operation
            .input
            .decode(&stock.schemas, &envelope.content())
            .unwrap(),
        value
    );
    let error = operation
        .input
        .encode(&stock.schemas, &json!({"item": "A"}))
        .unwrap_err();
    assert_eq!(error.to_string(), "Level/site is not there");
}

#[test]
fn faults_are_one_thing_in_both_versions() {
    let orders = Definitions::read(&fixtures(), "orders.wsdl").unwrap();
    let create = orders
        .port(None, None)
        .and_then(|port| port.operation("CreateOrder"))
        .unwrap();
    let detail = wardline_soap::typed::encode(
        &orders.schemas,
        create.faults[0].element,
        &json!({"supplier": "S-9", "known": false}),
    )
    .unwrap();
    for version in [Version::V11, Version::V12] {
        for (code, passes) in [(FaultCode::Sender, false), (FaultCode::Receiver, true)] {
            let mut fault = Fault::new(code, "no such supplier");
            fault.detail.push(detail.clone());
            let written = Envelope::new(version, Vec::new(), Some(fault.write(version)))
                .write()
                .unwrap();
            let envelope = Envelope::parse(&written, Limits::MESSAGE).unwrap();
            let read = Fault::read(version, envelope.content()[0]).unwrap();
            assert_eq!((read.code, read.code.may_pass()), (code, passes));
            assert_eq!(
                read.to_json(&orders.schemas, Some(create)),
                json!({"code": code.to_string(), "reason": "no such supplier", "fault": "UnknownSupplier",
                    "detail": {"UnknownSupplier": {"supplier": "S-9", "known": false}}})
            );
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    let refused = |name: &str| Definitions::read(&fixtures(), name).unwrap_err();
    assert!(
        matches!(refused("stock-encoded.wsdl"), WsdlError::NoPort(why) if why[0].contains("encoded"))
    );
    assert!(
        refused("entity.wsdl")
            .to_string()
            .contains("document types are not taken")
    );
    assert!(
        refused("../descriptions.rs")
            .to_string()
            .contains("leads out")
    );
    assert!(
        refused("http://elsewhere.example/a.wsdl")
            .to_string()
            .contains("is not fetched")
    );
    assert!(refused("missing.wsdl").to_string().contains("is not there"));
}

/// Files whose names were made flat: `folder__name` stands for `name`.
struct Flat(PathBuf);

impl Source for Flat {
    fn read(&self, from: &str, location: &str) -> Result<Loaded, String> {
        let directory = Directory::new(&self.0);
        let names =
            ["", "wsdl_files__", "integration__"].map(|folder| format!("{folder}{location}"));
        names
            .iter()
            .find_map(|name| directory.read(from, name).ok())
            .map_or_else(|| directory.read(from, location), Ok)
    }
}

/// Every description of the shared test data loads or is refused with a reason.
#[test]
fn descriptions_of_others_load_or_say_why_not() {
    let Some(root) = testdata() else {
        return;
    };
    let no_port = "it has no port that can be used: ";
    let expected = [
        ("cdc-iis/cdc-iis-2011.wsdl", Ok(2)),
        ("zeep/benchmark__benchmark.wsdl", Ok(1)),
        ("zeep/integration__hello_world_recursive.wsdl", Ok(6)),
        ("zeep/integration__hello_world_recursive_import.wsdl", Ok(6)),
        (
            "zeep/integration__recursive_schema_main.wsdl",
            Err("portType {http://schemas.xmlsoap.org/wsdl/}portje is nowhere declared".to_owned()),
        ),
        (
            "zeep/wsdl_files__http.wsdl",
            Err(format!(
                "{no_port}port StockQuotePort: its binding is not SOAP"
            )),
        ),
        ("zeep/wsdl_files__soap.wsdl", Ok(2)),
        (
            "zeep/wsdl_files__soap_import_2.wsdl",
            Err(format!("{no_port}it declares no service")),
        ),
        ("zeep/wsdl_files__soap_import_main.wsdl", Ok(1)),
        (
            "zeep/wsdl_files__soap_transport_err.wsdl",
            Err("binding StockQuoteBinding is declared twice".to_owned()),
        ),
    ];
    for (path, expected) in &expected {
        let (folder, name) = path.split_once('/').unwrap();
        let said = Definitions::read(&Flat(root.join(folder)), name)
            .map(|read| {
                let ports = read.services.iter().flat_map(|service| &service.ports);
                ports.map(|port| port.operations.len()).sum::<usize>()
            })
            .map_err(|error| error.to_string());
        assert_eq!(said, *expected, "{path}");
    }
    for folder in ["cdc-iis", "zeep"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = format!("{folder}/{name}");
            let told = expected.iter().any(|(path, _)| *path == known);
            assert!(
                told || Path::new(&name).extension() != Some("wsdl".as_ref()),
                "{known} is not in the table"
            );
        }
    }
}

#[test]
fn the_immunization_service_is_understood() {
    let Some(root) = testdata().map(|root| root.join("cdc-iis")) else {
        return;
    };
    let iis = Definitions::read(&Directory::new(&root), "cdc-iis-2011.wsdl").unwrap();
    let port = iis.port(None, None).unwrap();
    let bytes = std::fs::read(root.join("submitSingleMessage.zeep-4.3.3.request.xml")).unwrap();
    let envelope = Envelope::parse(&bytes, Limits::MESSAGE).unwrap();
    let body = envelope.content();
    let operation = port.find(&iis.schemas, Some(&body[0].name), None).unwrap();
    assert_eq!(operation.name, "submitSingleMessage");
    let value = operation.input.decode(&iis.schemas, &body).unwrap();
    assert_eq!(value["facilityID"], "FL0001");
    let message = value["hl7Message"].as_str().unwrap();
    assert!(message.starts_with("MSH|^~\\&|") && message.ends_with('\r'));
}
