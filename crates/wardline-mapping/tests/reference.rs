//! The reference of our functions is true: it is what is in the repository, and its examples run.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, Output, Program, Runtime, Subject, Zone, functions,
    reference, to_json_bytes,
};

#[test]
fn the_reference_is_up_to_date() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/mapping-functions.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, reference()).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == reference(),
        "docs/reference/mapping-functions.md is old; write it with UPDATE=1 cargo test -p wardline-mapping --test reference"
    );
}

#[test]
fn every_function_is_described() {
    for function in functions() {
        assert!(
            function.usage().len() > 40,
            "{} is not described",
            function.identifier()
        );
        assert_ne!(function.summary(), "TODO", "{}", function.identifier());
        assert!(
            !function.examples().is_empty() || function.identifier() == "lookup",
            "{} has no example",
            function.identifier()
        );
    }
}

#[test]
fn every_example_gives_its_result() {
    let text = reference();
    let message = text
        .split("```\n")
        .nth(1)
        .expect("the message of the examples")
        .replace('\n', "\r");
    let message = Arc::new(wardline_hl7::Message::parse(message).unwrap());
    let set = text
        .split("```\n")
        .nth(3)
        .expect("the set of the examples")
        .to_owned();
    let set = wardline_edi::x12::Interchange::parse(set)
        .unwrap()
        .set(0)
        .unwrap();
    let set = Subject::x12(Arc::new(set));
    let schema = text.split("```\n").nth(5).expect("the schema");
    let schema = wardline_soap::source::Held::new([("schemas/order.xsd".into(), schema.into())]);
    let mut codes = CodeTables::new();
    codes.insert(
        "disposition",
        CodeTable::from_pairs([("03", "nursing-facility")]),
    );
    let environment = Environment {
        codes: Arc::new(codes),
        zone: Some(Zone::named("America/Chicago").unwrap()),
        xml: Some(Arc::new(wardline_soap::xsd::Library::new(schema))),
        ..Environment::for_input(Input::Hl7)
    };
    for function in functions() {
        for example in function.examples() {
            let name = function.identifier();
            let writes = function.return_kind() == vrl_null();
            let source = if writes {
                example.source.to_owned()
            } else {
                format!(".result = {}", example.source)
            };
            let x12 = name.starts_with("x12");
            let environment = Environment {
                input: if x12 { Input::X12 } else { Input::Hl7 },
                ..environment.clone()
            };
            let subject = if x12 {
                set.clone()
            } else {
                Subject::hl7(Arc::clone(&message))
            };
            let program = Program::compile(&source, &environment)
                .unwrap_or_else(|problems| panic!("{name}: {}: {problems:#?}", example.source));
            let output = program
                .run(&subject, &mut Runtime::default())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            match output {
                Output::Hl7(bytes) => assert_ne!(&bytes, message.bytes(), "{name} changes nothing"),
                Output::X12(bytes) => assert!(bytes.starts_with(b"ISA"), "{name} builds nothing"),
                Output::Json(value) if example.deterministic => {
                    let json: serde_json::Value =
                        serde_json::from_slice(&to_json_bytes(&value, 10_000).unwrap()).unwrap();
                    let expected = example.result.unwrap();
                    let expected = serde_json::from_str(expected)
                        .ok()
                        .filter(|value: &serde_json::Value| {
                            !value.is_number() || json["result"].is_number()
                        })
                        .unwrap_or_else(|| serde_json::Value::from(expected));
                    assert_eq!(json["result"], expected, "{name}: {}", example.source);
                }
                Output::Json(_) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

/// The kind of functions that are called for what they do.
fn vrl_null() -> u16 {
    functions()
        .iter()
        .find(|function| function.identifier() == "hl7_set")
        .expect("hl7_set exists")
        .return_kind()
}
