//! The examples that stand in the schemas of the example estate are what their schemas say.

use std::fs;
use std::path::PathBuf;

use wardline_mapping::{Schema, from_json_bytes};

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
