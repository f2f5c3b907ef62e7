//! A SCIM service of ours behind the real binary: held against `scim2-tester`, spoken to by
//! `scim2-client`. What comes reaches flows; what was taken outlives a killed process.

use super::house::{House, free_address, python};
use super::{post, secret};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn house(here: &str, apis: bool) -> House {
    let mut files = vec![
        (
            "wardline.yaml",
            format!(
                "estate: staff\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  partner: {{ zone: partner, bind: \"{here}\" }}\n"
            ),
        ),
        (
            "systems/hr.yaml",
            "system: hr\nowner: it\nconnections:\n  people:\n    scim: { listen: partner, path: /scim/v2, auth: { bearer: secret:hr/token } }\n    keys: { person: .resource.externalId }\n    sensitivity: pii\n  sink: { 'null': {} }\n".to_owned(),
        ),
        (
            "flows/people.yaml",
            "flow: people\nowner: it\nfrom: hr.people\nwhen: '%type == \"User.changed\" && includes(array!(.changed), \"active\")'\nkey: .id\nto: [{ send: hr.sink }]\n".to_owned(),
        ),
    ];
    if apis {
        for (name, text) in [
            (
                "systems/far.yaml",
                "system: far\nowner: it\nconnections:\n  web: { http: { url: \"http://127.0.0.1:9\" }, sensitivity: internal }\noperations:\n  get-thing: { http: { connection: web, get: \"/things/{id}\" }, returns: thing }\n",
            ),
            (
                "entities/thing.yaml",
                "entity: thing\nversion: 1.0.0\nowner: it\nschema: thing.schema.json\n",
            ),
            (
                "entities/thing.schema.json",
                "{ \"type\": \"object\", \"properties\": { \"id\": { \"type\": \"string\" } } }",
            ),
            (
                "apis/things.yaml",
                "api: things\nlayer: system\nversion: 1.0.0\nowner: it\nstate: published\nzones: [partner]\noperations:\n  get-thing: { get: \"/things/{id}\", returns: thing, public: true }\nbindings:\n  - { system: far }\n",
            ),
        ] {
            files.push((name, text.to_owned()));
        }
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let house = House::new(&files);
    secret(&house, "hr/token", "open-sesame");
    house.run(&["keys", "init"]);
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(0);
    house
}

/// One request: its status, its head and what came back.
fn ask(here: &str, method: &str, path: &str, more: &str, body: &Value) -> (u16, String, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers = format!("Authorization: Bearer open-sesame\r\n{more}");
    let (status, whole) = post::request(here, method, &format!("/scim/v2{path}"), &headers, &body);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap_or((&whole, ""));
    (
        status,
        head.to_ascii_lowercase(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[test]
fn people_are_kept_as_scim_says_and_outlive_a_killed_process() {
    let here = free_address();
    let house = house(&here, false);
    let server = house.serve();
    let (status, _) = post::request(&here, "GET", "/scim/v2/Users", "", "");
    assert_eq!(status, 401);
    let jane = json!({ "schemas": [URN], "userName": "Jane", "externalId": "E-1", "password": "hidden", "active": true });
    let (status, head, made) = ask(&here, "POST", "/Users", "", &jane);
    assert_eq!(status, 201, "{made}");
    assert!(
        head.contains("etag: w/\"1\"") && head.contains("application/scim+json"),
        "{head}"
    );
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(made.get("password").is_none());
    assert!(
        made["meta"]["location"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/scim/v2/Users/{id}"))
    );
    let (status, _, taken) = ask(
        &here,
        "POST",
        "/Users",
        "",
        &json!({ "schemas": [URN], "userName": "JANE" }),
    );
    assert_eq!((status, &taken["scimType"]), (409, &json!("uniqueness")));

    // As it was read, or not at all.
    let off = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{ "op": "replace", "path": "active", "value": false }] });
    let at = format!("/Users/{id}");
    assert_eq!(
        ask(&here, "PATCH", &at, "If-Match: W/\"7\"\r\n", &off).0,
        412
    );
    let (status, head, changed) = ask(&here, "PATCH", &at, "If-Match: W/\"1\"\r\n", &off);
    assert_eq!((status, &changed["active"]), (200, &json!(false)));
    assert!(head.contains("etag: w/\"2\""));
    // The same again changes nothing, and is no message.
    assert_eq!(
        ask(&here, "PATCH", &at, "", &off).2["meta"]["version"],
        "W/\"2\""
    );
    assert_eq!(
        ask(
            &here,
            "GET",
            &at,
            "If-None-Match: W/\"2\"\r\n",
            &Value::Null
        )
        .0,
        304
    );
    for name in ["Bea", "Cid", "Dee"] {
        let one =
            json!({ "schemas": [URN], "userName": name, "title": "nurse", "externalId": "E-2" });
        assert_eq!(ask(&here, "POST", "/Users", "", &one).0, 201);
    }
    drop(server);

    let server = house.serve();
    let names = |query: &str| {
        let (status, _, page) = ask(&here, "GET", &format!("/Users?{query}"), "", &Value::Null);
        assert_eq!(status, 200, "{page}");
        let all = page["Resources"].as_array().unwrap().iter();
        let all: Vec<String> = all
            .map(|one| one["userName"].as_str().unwrap_or("-").to_owned())
            .collect();
        (page["totalResults"].as_u64().unwrap(), all.join(" "))
    };
    let is = |total: u64, all: &str| (total, all.to_owned());
    assert_eq!(names(""), is(4, "Jane Bea Cid Dee"));
    assert_eq!(names("startIndex=3&count=1"), is(4, "Cid"));
    assert_eq!(names("filter=userName%20eq%20%22jANE%22"), is(1, "Jane"));
    assert_eq!(
        names("filter=externalId%20eq%20%22E-2%22&count=2"),
        is(3, "Bea Cid")
    );
    assert_eq!(
        names("filter=title%20pr&sortBy=userName&sortOrder=descending&startIndex=2"),
        is(3, "Cid Bea")
    );
    assert_eq!(names("attributes=title&count=1"), is(4, "-"));
    let (status, _, bad) = ask(
        &here,
        "GET",
        "/Users?filter=userName%20is%201",
        "",
        &Value::Null,
    );
    assert_eq!((status, &bad["scimType"]), (400, &json!("invalidFilter")));
    assert_eq!(ask(&here, "POST", "/Bulk", "", &json!({})).0, 501);
    let search = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "active eq false", "attributes": ["userName"] });
    assert_eq!(
        ask(&here, "POST", "/Users/.search", "", &search).2["totalResults"],
        1
    );
    assert_eq!(ask(&here, "DELETE", &at, "", &Value::Null).0, 204);
    assert_eq!(ask(&here, "GET", &at, "", &Value::Null).0, 404);

    // Four came, one changed, one went; the flow wanted the change alone.
    house.until_status("the change is delivered", |status| {
        status["sums"]["delivered"] == 1
    });
    let seen = house.run(&["audit", "list", "--json"]).out;
    assert!(seen.contains("resource.read"), "{seen}");
    for sensitive in ["Jane", "hidden", "E-1"] {
        assert!(!house.log().contains(sensitive), "{sensitive}");
    }
    drop(server);
}

#[test]
fn scim2_tester_finds_no_fault_and_scim2_client_is_served() {
    let Some(python) = python("scim2_tester, scim2_client, httpx2") else {
        return;
    };
    let here = free_address();
    // A gateway opens the door, since an Api is shown there too.
    let house = house(&here, true);
    let server = house.serve();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../wardline-connect/tests/accounts/scim_peer.py");
    let ended = Command::new(python)
        .arg(script)
        .args([&format!("http://{here}/scim/v2"), "open-sesame"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    let said: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{error}"));
    println!("{said:#}");
    assert_eq!(said["rest"], json!([]), "{said:#}");
    assert!(said["good"].as_u64() > Some(20), "{said:#}");
    assert_eq!(said["found"], 1);
    assert_eq!(said["twice"], json!([409, "uniqueness"]));
    assert_eq!(
        (&said["replaced"], &said["member"], &said["gone"]),
        (&json!("Barbara"), &json!(true), &json!(404))
    );
    drop(server);
}
