//! Documents written, read and checked against the Api that serves them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wardline_contract::{
    ApiDescription, Contract, Entity, GenerateError, Method, Operation, Parameter, Place, check,
    diff, generate,
};

fn supplier() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "supplier",
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": {
            "id": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "parent": { "$ref": "#" },
            "$ref": { "enum": [{ "$ref": "#/data" }] },
        },
        "$defs": { "address": { "type": "object", "properties": { "city": { "type": "string" } } } },
    })
}

fn api() -> ApiDescription {
    let operation = |name: &str, method, path: &str| Operation {
        name: name.into(),
        title: format!("{name} suppliers"),
        method: Some(method),
        path: path.into(),
        scope: Some("supplier:read".into()),
        returns: Some("supplier".into()),
        ..Operation::default()
    };
    ApiDescription {
        name: "supplier-master".into(),
        title: "Supplier master".into(),
        version: "1.2.0".into(),
        base: "/supplier-master/v1".into(),
        operations: vec![
            Operation {
                list: true,
                parameters: vec![Parameter {
                    name: "limit".into(),
                    place: Place::Query,
                    required: false,
                    description: Some("How many at most.".into()),
                    schema: json!({ "type": "integer", "minimum": 1 }),
                }],
                ..operation("list", Method::Get, "/suppliers")
            },
            operation("read", Method::Get, "/suppliers/{id}"),
            Operation {
                accepts: Some("supplier".into()),
                scope: Some("supplier:write".into()),
                idempotency_key: true,
                ..operation("create", Method::Post, "/suppliers")
            },
            Operation {
                accepts: Some("supplier".into()),
                returns: None,
                asynchronous: true,
                deprecated: true,
                ..operation("load", Method::Post, "/loads")
            },
            Operation {
                scope: None,
                returns: None,
                ..operation("health", Method::Get, "/health")
            },
        ],
        entities: vec![
            Entity {
                name: "supplier".into(),
                schema: supplier(),
            },
            Entity {
                name: "unused".into(),
                schema: json!({}),
            },
        ],
        ..ApiDescription::default()
    }
}

#[test]
fn the_written_document_is_the_golden_one() {
    let found = serde_json::to_string_pretty(&generate(&api()).unwrap()).unwrap() + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generate/supplier-master.json");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        fs::write(&golden, &found).unwrap();
    }
    assert_eq!(fs::read_to_string(golden).unwrap(), found);
}

#[test]
fn what_is_written_can_be_read_and_fits_its_api() {
    let document = generate(&api()).unwrap();
    let (contract, findings) = Contract::read(&document);
    assert_eq!(findings, []);
    let contract = contract.unwrap();
    assert_eq!(contract.base, "/supplier-master/v1");
    assert_eq!(contract.promises.len(), 5);
    assert_eq!(check(&contract, &api()).unwrap(), []);
    assert_eq!(diff(&contract, &contract), []);
    let schemas = &document["components"]["schemas"];
    assert!(schemas.get("unused").is_none());
    let supplier = &schemas["supplier"]["properties"];
    assert_eq!(
        supplier["address"]["$ref"],
        "#/components/schemas/supplier/$defs/address"
    );
    assert_eq!(supplier["parent"]["$ref"], "#/components/schemas/supplier");
    // A property that is called so, and data, stay what they are.
    assert_eq!(supplier["$ref"]["enum"][0]["$ref"], "#/data");
}

#[test]
fn descriptions_that_contradict_themselves_are_refused() {
    let change = |change: &dyn Fn(&mut ApiDescription)| {
        let mut api = api();
        change(&mut api);
        generate(&api).unwrap_err()
    };
    let error = change(&|api| api.entities.clear());
    assert!(
        matches!(error, GenerateError::UnknownEntity { .. }),
        "{error}"
    );
    let error = change(&|api| api.operations[1].path = "/suppliers".into());
    assert!(matches!(error, GenerateError::Twice { .. }), "{error}");
    for reference in ["other.json", "#anchor", "https://example.org/x"] {
        let error =
            change(&|api| api.entities[0].schema = json!({ "items": { "$ref": reference } }));
        assert!(matches!(error, GenerateError::Reference { .. }), "{error}");
    }
}

/// What each change to the document makes `check` say.
#[test]
fn what_contract_and_api_do_not_agree_on_is_told() {
    let found = |change: &dyn Fn(&mut Value)| {
        let mut document = generate(&api()).unwrap();
        change(&mut document);
        let (contract, findings) = Contract::read(&document);
        let mut findings = findings;
        findings.extend(check(&contract.unwrap(), &api()).unwrap());
        findings
            .iter()
            .map(|finding| format!("{} {}", finding.code, finding.pointer))
            .collect::<Vec<_>>()
    };
    let suppliers = "/paths/~1suppliers";
    assert_eq!(
        found(&|d| d["info"]["version"] = json!("2.0.0")),
        ["W1512 /info/version"]
    );
    assert_eq!(
        found(&|d| drop(d["paths"].as_object_mut().unwrap().shift_remove("/health"))),
        ["W1504 /paths"]
    );
    assert_eq!(
        found(&|d| {
            let item = d["paths"]["/health"].as_object_mut().unwrap();
            let operation = item.shift_remove("get").unwrap();
            item.insert("head".into(), operation);
        }),
        ["W1504 /paths/~1health/head", "W1505 /paths/~1health/head"]
    );
    assert_eq!(
        found(&|d| d["paths"]["/more"] = json!({ "get": { "responses": {} } })),
        ["W1505 /paths/~1more/get"]
    );
    assert_eq!(
        found(&|d| d["paths"]["/suppliers"]["get"]["parameters"] = json!([])),
        [format!("W1506 {suppliers}/get")]
    );
    assert_eq!(
        found(&|d| d["paths"]["/suppliers"]["post"]["requestBody"]["required"] = json!(false)),
        [format!("W1507 {suppliers}/post/requestBody")]
    );
    let schema = format!("{suppliers}/post/requestBody/content/application~1json/schema");
    assert_eq!(
        found(&|d| *d.pointer_mut(&schema).unwrap() = json!({
            "type": "object", "additionalProperties": false, "properties": { "id": { "type": "string" } }
        })),
        [format!("W1507 {schema}")],
        "`id` is required by the entity"
    );
    let answer = format!("{suppliers}~1{{id}}/get/responses/200/content/application~1json/schema");
    assert_eq!(
        found(&|d| *d.pointer_mut(&answer).unwrap() = json!({
            "type": "object", "required": ["id"],
            "properties": { "id": { "type": "string", "maxLength": 5 } }
        })),
        [format!("W1508 {answer}")],
        "an entity's `id` may be longer"
    );
    assert_eq!(
        found(&|d| d["paths"]["/suppliers"]["get"]["security"] = json!([])),
        [format!("W1509 {suppliers}/get")]
    );
    assert_eq!(
        found(&|d| {
            let responses = d["paths"]["/loads"]["post"]["responses"].as_object_mut();
            responses.unwrap().shift_remove("202");
        }),
        ["W1508 /paths/~1loads/post"]
    );
}

#[test]
fn documents_that_cannot_be_used_are_refused() {
    let codes = |document: Value| {
        let (contract, findings) = Contract::read(&document);
        let codes: Vec<_> = findings.iter().map(|f| f.code.0).collect();
        (contract.is_some(), codes)
    };
    let with = |operation: Value| json!({ "openapi": "3.1.0", "info": {}, "paths": { "/a/{b}": { "get": operation } } });
    let b = json!({ "name": "b", "in": "path", "required": true, "schema": { "type": "string" } });
    assert_eq!(codes(json!([])), (false, vec!["W1501"]));
    assert_eq!(codes(json!({ "swagger": "2.0" })), (false, vec!["W1501"]));
    assert_eq!(
        codes(json!({ "openapi": "4.0.0", "paths": {} })),
        (false, vec!["W1501"])
    );
    assert_eq!(codes(json!({ "openapi": "3.1.0" })), (false, vec!["W1501"]));
    assert_eq!(
        codes(with(json!({ "parameters": [b], "responses": {} }))),
        (true, vec![])
    );
    assert_eq!(
        codes(with(json!({ "responses": {} }))),
        (true, vec!["W1502"])
    );
    assert_eq!(
        codes(with(json!({ "parameters": [b] }))),
        (true, vec!["W1502"])
    );
    for (reference, code) in [
        ("#/components/parameters/none", "W1502"),
        ("other.yaml#/b", "W1503"),
    ] {
        let operation = json!({ "parameters": [b, { "$ref": reference }], "responses": {} });
        assert_eq!(codes(with(operation)), (true, vec![code]));
    }
    let body = |schema: Value| {
        with(json!({
            "parameters": [b], "responses": {},
            "requestBody": { "content": { "application/json": { "schema": schema } } },
        }))
    };
    for (reference, code) in [("#/components/schemas/none", "W1502"), ("x.json", "W1503")] {
        assert_eq!(
            codes(body(json!({ "$ref": reference }))),
            (true, vec![code])
        );
    }
}

/// An operation of XML is promised without a schema, and a given contract has to take XML.
#[test]
fn xml_is_promised_as_xml() {
    let mut api = api();
    for operation in &mut api.operations {
        operation.xml = operation.name == "create";
    }
    let document = generate(&api).unwrap();
    let create = &document["paths"]["/suppliers"]["post"];
    assert_eq!(create["requestBody"]["content"]["text/xml"], json!({}));
    assert!(create["responses"]["200"]["content"]["application/xml"].is_object());
    assert!(create["requestBody"]["content"]["application/json"].is_null());
    let (contract, findings) = Contract::read(&document);
    assert_eq!(findings, []);
    assert_eq!(check(&contract.unwrap(), &api).unwrap(), []);
    let mut plain = api.clone();
    for operation in &mut plain.operations {
        operation.xml = false;
    }
    let (contract, _) = Contract::read(&generate(&plain).unwrap());
    let found = check(&contract.unwrap(), &api).unwrap();
    let codes: Vec<_> = found.iter().map(|finding| finding.code.0).collect();
    assert_eq!(codes, ["W1507", "W1508"], "{found:?}");
}

/// Some send an entity and some get it: what only one of them bears breaks it.
#[test]
fn entities_change_for_both_sides() {
    let old = json!({
        "type": "object", "required": ["id"],
        "properties": {
            "id": { "type": "string", "maxLength": 10 },
            "status": { "enum": ["open", "closed"] },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } },
        },
        "$defs": { "line": { "type": "object", "properties": { "n": { "type": "integer" } } } },
    });
    let breaks = |change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        let changes = wardline_contract::diff_schemas("order", &old, &new);
        let told = changes.iter();
        told.map(|change| format!("{} {} {}", change.breaking, change.place, change.kind))
            .collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(breaks(&|_| {}), nothing);
    // An open schema had the field all along; a closed one has it now, and it breaks nobody.
    let note = json!({ "type": "string" });
    assert_eq!(
        breaks(&|new| new["properties"]["note"] = note.clone()),
        nothing
    );
    let mut closed = old.clone();
    closed["additionalProperties"] = json!(false);
    let mut longer = closed.clone();
    longer["properties"]["note"] = note;
    let changes = wardline_contract::diff_schemas("order", &closed, &longer);
    let told: Vec<_> = changes
        .iter()
        .map(|change| format!("{} {} {}", change.breaking, change.place, change.kind))
        .collect();
    assert_eq!(told, ["false order /note field"]);
    for (change, told) in [
        (
            json!({ "maxLength": 5, "type": "string" }),
            "true order /id maxLength",
        ),
        (
            json!({ "maxLength": 20, "type": "string" }),
            "true order /id maxLength",
        ),
        (json!({ "type": "integer" }), "true order /id type"),
    ] {
        let found = breaks(&|new| new["properties"]["id"] = change.clone());
        assert!(found.contains(&told.to_owned()), "{found:?}");
    }
    assert_eq!(
        breaks(&|new| new["properties"]["status"]["enum"] = json!(["open", "closed", "held"])),
        ["true order /status enum"]
    );
    assert_eq!(
        breaks(&|new| new["required"] = json!([])),
        ["true order /id required"]
    );
    let deep = breaks(&|new| new["$defs"]["line"]["required"] = json!(["n"]));
    assert_eq!(deep, ["true order /lines/*/n required"]);
}
