//! Requests and answers held against contracts: what others' gateways got wrong first.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use wardline_contract::{
    Compiled, Contract, Method, Options, Payload, Severity, UnknownQuery, Violation,
};

fn contract(version: &str, paths: &Value, schemas: &Value) -> Contract {
    let document = json!({
        "openapi": version, "info": { "title": "T", "version": "1.0.0" },
        "paths": paths, "components": { "schemas": schemas },
    });
    let (contract, findings) = Contract::read(&document);
    assert!(
        findings.iter().all(|f| f.severity != Severity::Error),
        "{findings:?}"
    );
    contract.unwrap()
}

fn compiled(version: &str, paths: &Value, schemas: &Value) -> Compiled {
    Compiled::new(&contract(version, paths, schemas), Options::default()).unwrap()
}

fn headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers
}

fn lines(violations: &[Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|violation| format!("{} {}", violation.pointer, violation.rule))
        .collect()
}

fn ok() -> Value {
    json!({ "200": { "description": "Done." } })
}

/// Tyk #3164: `/users/me` must not be taken for `/users/{id}`, whatever comes first.
#[test]
fn a_literal_path_wins() {
    let id =
        json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }]);
    let compiled = compiled(
        "3.1.0",
        &json!({
            "/users/{id}": { "get": { "operationId": "one", "parameters": id, "responses": ok() } },
            "/users/me": { "get": { "operationId": "me", "responses": ok() } },
            "/users/{id}/x": { "get": { "operationId": "x", "parameters": id, "responses": ok() } },
        }),
        &json!({}),
    );
    let find = |path| compiled.find(Method::Get, path);
    assert_eq!(
        find("/users/me").unwrap(),
        (compiled.operation("me").unwrap(), vec![])
    );
    let (one, params) = find("/users/7").unwrap();
    assert_eq!(
        (one, &params[..]),
        (compiled.operation("one").unwrap(), &[("id", "7")][..])
    );
    assert!(
        compiled
            .request(one, &params, None, &HeaderMap::new(), Payload::Bytes(b""))
            .is_empty()
    );
    let (one, params) = find("/users/you").unwrap();
    let found = compiled.request(one, &params, None, &HeaderMap::new(), Payload::Bytes(b""));
    assert_eq!(lines(&found), ["path:id type"]);
    assert!(find("/users/").is_none() && find("/users").is_none());
    assert!(compiled.find(Method::Post, "/users/me").is_none());
}

/// Tyk #3164: `nullable` of 3.0, also beside an enum and a reference.
#[test]
fn nullable_of_three_zero_is_null_of_three_one() {
    let schema = json!({
        "type": "object",
        "properties": {
            "text": { "type": "string", "nullable": true },
            "kind": { "type": "string", "enum": ["a"], "nullable": true },
            "other": { "nullable": true, "allOf": [{ "$ref": "#/components/schemas/other" }] },
            "never": { "type": "string" },
            "above": { "type": "integer", "minimum": 0, "exclusiveMinimum": true },
        },
    });
    let paths = json!({ "/x": { "post": {
        "operationId": "x", "responses": ok(),
        "requestBody": { "content": { "application/json": { "schema": schema } } },
    } } });
    let compiled = compiled("3.0.3", &paths, &json!({ "other": { "type": "object" } }));
    let x = compiled.operation("x").unwrap();
    let hold = |value: Value| {
        lines(&compiled.request(
            x,
            &[],
            None,
            &headers("application/json"),
            Payload::Json(&value),
        ))
    };
    assert_eq!(
        hold(json!({ "text": null, "kind": null, "other": null, "above": 1 })),
        [""; 0]
    );
    assert_eq!(hold(json!({ "never": null })), ["/never type"]);
    assert_eq!(hold(json!({ "kind": "b" })), ["/kind enum"]);
    assert_eq!(hold(json!({ "above": 0 })), ["/above exclusiveMinimum"]);
}

#[test]
fn queries_are_read_as_their_schema_says() {
    let query = |name: &str, required: bool, schema: Value| json!({ "name": name, "in": "query", "required": required, "schema": schema });
    let mut flag = query("flag", false, json!({ "type": "boolean" }));
    flag["allowEmptyValue"] = json!(true);
    let mut pipes = query(
        "pipes",
        false,
        json!({ "type": "array", "items": { "type": "integer" } }),
    );
    pipes["style"] = json!("pipeDelimited");
    pipes["explode"] = json!(false);
    let mut filter = query(
        "filter",
        false,
        json!({ "type": "object", "additionalProperties": false, "properties": { "age": { "type": "integer" } } }),
    );
    filter["style"] = json!("deepObject");
    let parameters = json!([
        query("limit", true, json!({ "type": "integer", "minimum": 1 })),
        query(
            "tag",
            false,
            json!({ "type": "array", "items": { "type": "string", "maxLength": 3 } })
        ),
        query(
            "either",
            false,
            json!({ "anyOf": [{ "type": "integer", "minimum": 5 }, { "type": "string" }] })
        ),
        query("text", false, json!({ "type": "string" })),
        flag,
        pipes,
        filter,
    ]);
    let paths = json!({ "/x": { "get": { "operationId": "x", "parameters": parameters, "responses": ok() } } });
    let contract = contract("3.1.0", &paths, &json!({}));
    let compiled = Compiled::new(&contract, Options::default()).unwrap();
    let x = compiled.operation("x").unwrap();
    let hold = |query: &str| {
        lines(&compiled.request(x, &[], Some(query), &HeaderMap::new(), Payload::Bytes(b"")))
    };
    for good in [
        "limit=1",
        "limit=1&tag=a&tag=b",
        "limit=1&either=3",
        "limit=1&either=x",
        "limit=1&text=12",
        "limit=1&text=",
        "limit=1&text=a+b%20%C3%A9",
        "limit=1&flag",
        "limit=1&flag=true",
        "limit=1&pipes=1|2",
        "limit=1&pipes=1%7C2",
        "limit=1&filter%5Bage%5D=3",
        "&limit=1&",
    ] {
        assert_eq!(hold(good), [""; 0], "{good}");
    }
    for (bad, expected) in [
        ("", "query:limit required"),
        ("limit=", "query:limit type"),
        ("limit=0", "query:limit minimum"),
        ("limit=1.5", "query:limit type"),
        ("limit=0x1", "query:limit type"),
        ("limit=1&limit=2", "query:limit once"),
        ("limit=1&LIMIT=2", "query:* unknown"),
        ("limit=1&tag=abcd", "query:tag/0 maxLength"),
        ("limit=1&flag=yes", "query:flag type"),
        ("limit=1&pipes=1|b", "query:pipes/1 type"),
        ("limit=1&filter[age]=old", "query:filter/age type"),
        (
            "limit=1&filter[name]=x",
            "query:filter additionalProperties",
        ),
        ("limit=1&text=%ff", "query:* encoding"),
        ("limit=1&text=%4", "query:* encoding"),
    ] {
        assert_eq!(hold(bad), [expected], "{bad}");
    }
    let options = Options {
        unknown_query: UnknownQuery::Ignore,
    };
    let lenient = Compiled::new(&contract, options).unwrap();
    let query = Some("limit=1&more=2");
    assert!(
        lenient
            .request(x, &[], query, &HeaderMap::new(), Payload::Bytes(b""))
            .is_empty()
    );
}

fn supplier() -> Compiled {
    let schemas = json!({ "supplier": {
        "type": "object", "required": ["id", "name", "pin"], "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "readOnly": true },
            "pin": { "type": "string", "writeOnly": true },
            "name": { "type": "string", "maxLength": 5, "pattern": "^[A-Z]+$" },
            "ids": { "type": "object", "additionalProperties": { "type": "integer" } },
        },
    } });
    let reference = json!({ "$ref": "#/components/schemas/supplier" });
    let paths = json!({ "/s": { "post": {
        "operationId": "s",
        "parameters": [{ "name": "Idempotency-Key", "in": "header", "required": true, "schema": { "type": "string", "maxLength": 4 } }],
        "requestBody": { "required": true, "content": {
            "application/json": { "schema": reference }, "text/*": {},
        } },
        "responses": {
            "201": { "description": "Created.", "headers": { "Location": { "required": true, "schema": {} } },
                "content": { "application/json": { "schema": reference } } },
            "4XX": { "description": "Refused.", "content": { "application/problem+json": { "schema": { "required": ["type"] } } } },
            "204": { "description": "Nothing." },
        },
    } } });
    compiled("3.1.0", &paths, &schemas)
}

#[test]
fn bodies_are_held_by_type_and_schema() {
    let compiled = supplier();
    let s = compiled.operation("s").unwrap();
    let hold = |content_type: &'static str, body: &str| {
        let mut headers = headers(content_type);
        headers.insert("idempotency-key", HeaderValue::from_static("k"));
        let found = compiled.request(s, &[], None, &headers, Payload::Bytes(body.as_bytes()));
        (
            lines(&found),
            Violation::status(&found).map(|status| status.as_u16()),
        )
    };
    let good = r#"{"name":"AB","pin":"1"}"#;
    let none = (Vec::new(), None);
    assert_eq!(hold("application/json", good), none);
    assert_eq!(hold("Application/JSON; charset=\"UTF-8\"", good), none);
    assert_eq!(hold("text/csv", "a,b"), none);
    let cases: &[(&'static str, &str, &str, u16)] = &[
        ("", good, "header:content-type content-type", 415),
        (
            "application/xml",
            "<a/>",
            "header:content-type content-type",
            415,
        ),
        (
            "application/json; charset=latin1",
            good,
            "header:content-type content-type",
            415,
        ),
        (
            "application/jsonx",
            good,
            "header:content-type content-type",
            415,
        ),
        ("application/json", "", " required", 422),
        ("application/json", "{", " json", 400),
        ("application/json", "[]", " type", 422),
        ("application/json", r#"{"pin":"1"}"#, " required", 422),
        (
            "application/json",
            r#"{"name":"ABCDEF","pin":"1"}"#,
            "/name maxLength",
            422,
        ),
        (
            "application/json",
            r#"{"name":"ab","pin":"1"}"#,
            "/name pattern",
            422,
        ),
        (
            "application/json",
            r#"{"name":"A","pin":"1","x":1}"#,
            " additionalProperties",
            422,
        ),
    ];
    for (content_type, body, expected, status) in cases {
        let expected = (vec![(*expected).to_owned()], Some(*status));
        assert_eq!(hold(content_type, body), expected, "{content_type} {body}");
    }
    // Without its header, and with one that is too long.
    let value = json!({ "name": "A", "pin": "1" });
    let found = compiled.request(
        s,
        &[],
        None,
        &headers("application/json"),
        Payload::Json(&value),
    );
    assert_eq!(lines(&found), ["header:idempotency-key required"]);
}

#[test]
fn violations_hold_no_value_of_the_request() {
    let compiled = supplier();
    let s = compiled.operation("s").unwrap();
    let mut headers = headers("application/json");
    headers.insert("idempotency-key", HeaderValue::from_static("SECRET"));
    let value = json!({ "name": "SECRET-1", "SECRET-2": "SECRET-3", "pin": 5, "ids": { "SECRET-4": "SECRET-5" } });
    let query = Some("SECRET-6=SECRET-7");
    let found = compiled.request(s, &[], query, &headers, Payload::Json(&value));
    let text = format!("{found:?} {}", serde_json::to_string(&found).unwrap());
    assert!(found.len() >= 6, "{found:?}");
    assert!(!text.contains("SECRET"), "{text}");
    assert!(
        lines(&found).contains(&"/ids/* type".to_owned()),
        "{found:?}"
    );
}

#[test]
fn answers_are_held_too() {
    let compiled = supplier();
    let s = compiled.operation("s").unwrap();
    let hold = |status: u16, content_type: &'static str, body: &str| {
        let mut headers = headers(content_type);
        headers.insert("location", HeaderValue::from_static("/s/1"));
        let status = StatusCode::from_u16(status).unwrap();
        lines(&compiled.response(s, status, &headers, Payload::Bytes(body.as_bytes())))
    };
    // `pin` is writeOnly and need not be there, `id` is readOnly and must.
    assert_eq!(
        hold(201, "application/json", r#"{"id":"1","name":"A"}"#),
        [""; 0]
    );
    assert_eq!(
        hold(201, "application/json", r#"{"name":"A"}"#),
        [" required"]
    );
    assert_eq!(hold(201, "application/json", ""), [" required"]);
    assert_eq!(hold(204, "", ""), [""; 0]);
    assert_eq!(hold(204, "application/json", "{}"), [" body"]);
    assert_eq!(
        hold(404, "application/problem+json", r#"{"type":"x"}"#),
        [""; 0]
    );
    assert_eq!(hold(409, "application/problem+json", "{}"), [" required"]);
    assert_eq!(hold(500, "text/plain", "oops"), [" status"]);
    let found = compiled.response(
        s,
        StatusCode::CREATED,
        &headers("application/json"),
        Payload::Json(&json!({ "id": "1", "name": "A" })),
    );
    assert_eq!(lines(&found), ["header:location required"]);
}

#[test]
fn schemas_that_cannot_be_compiled_are_told() {
    for schema in [json!({ "type": "strin" }), json!({ "pattern": "(?=x)y" })] {
        let paths = json!({ "/x": { "post": {
            "responses": ok(), "requestBody": { "content": { "application/json": { "schema": schema } } },
        } } });
        let findings =
            Compiled::new(&contract("3.1.0", &paths, &json!({})), Options::default()).unwrap_err();
        assert_eq!(findings[0].code.0, "W1513", "{schema}");
    }
}
