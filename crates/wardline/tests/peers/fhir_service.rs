//! A FHIR service of ours behind the real binary. What comes reaches flows, what flows keep is read, what was
//! taken outlives a killed process; npm `fhir-kit-client` and PyPI `fhirpy` are served.

use super::house::{House, free_address, node_modules, python};
use super::{post, secret};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const MRN: &str = "https://fhir.st-brigid.example/mrn";

fn house(here: &str, inlet: &str) -> House {
    let files = [
        (
            "wardline.yaml",
            format!(
                "estate: staff\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  partner: {{ zone: partner, bind: \"{here}\" }}\n  internal: {{ zone: internal, bind: \"{inlet}\" }}\n"
            ),
        ),
        (
            "systems/directory.yaml",
            format!("system: directory\nowner: it\nconnections:\n  r4:\n    fhir:\n      listen: partner\n      path: /fhir\n      auth: {{ bearer: secret:directory/token }}\n      resources:\n        Patient:\n          do: [read, search, create, update, delete]\n          search: [identifier, family, active, birthdate]\n          unique: {MRN}\n        Observation: {{ do: [read, search, create], search: [subject, code] }}\n    sensitivity: pii\n  public:\n    fhir:\n      listen: partner\n      path: /public\n      auth: {{ bearer: secret:directory/token }}\n      of: directory.r4\n      resources:\n        Patient: {{ do: [read, search], search: [family], hide: [birthDate] }}\n    sensitivity: pii\n  keep:\n    fhir: {{ keep: directory.r4 }}\n    sensitivity: pii\n  sink: {{ 'null': {{}} }}\n"),
        ),
        (
            "systems/hr.yaml",
            "system: hr\nowner: it\nconnections:\n  in:\n    http: { listen: internal, post: /hr, auth: { bearer: secret:directory/token } }\n    sensitivity: pii\n".to_owned(),
        ),
        (
            "flows/staff.yaml",
            "flow: staff\nowner: it\nfrom: hr.in\nkey: .mrn\nmap: maps/patient.vrl\nto: [{ send: directory.keep }]\n---\nflow: changes\nowner: it\nfrom: directory.r4\nwhen: '%type == \"Patient.changed\"'\nkey: .id\nto: [{ send: directory.sink }]\n".to_owned(),
        ),
        (
            "maps/patient.vrl",
            format!(". = {{ \"resourceType\": \"Patient\", \"identifier\": [{{ \"system\": \"{MRN}\", \"value\": .mrn }}], \"name\": [{{ \"family\": .family }}] }}\n"),
        ),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let house = House::new(&files);
    secret(&house, "directory/token", "open-sesame");
    house.run(&["keys", "init"]);
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(0);
    house
}

/// One request: its status, its head and what came back, as text.
fn raw(here: &str, method: &str, path: &str, more: &str, body: &str) -> (u16, String, String) {
    let headers = format!("Authorization: Bearer open-sesame\r\n{more}");
    let (status, whole) = post::request(here, method, path, &headers, body);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap_or((&whole, ""));
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn ask(here: &str, method: &str, path: &str, more: &str, body: &Value) -> (u16, String, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let (status, head, body) = raw(here, method, &format!("/fhir{path}"), more, &body);
    let body = serde_json::from_str(&body).unwrap_or_default();
    (status, head, body)
}

fn patient(mrn: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient", "active": true, "birthDate": "1970-01-02",
        "identifier": [{ "system": MRN, "value": mrn }], "name": [{ "family": family }]
    })
}

#[test]
fn resources_are_kept_as_fhir_says_and_outlive_a_killed_process() {
    let (here, inlet) = (free_address(), free_address());
    let house = house(&here, &inlet);
    let server = house.serve();
    let none = Value::Null;
    let (status, whole) = post::request(&here, "GET", "/fhir/Patient/1", "", "");
    assert_eq!(status, 401);
    assert!(whole.contains("OperationOutcome"), "{whole}");
    let (status, _, said) = ask(&here, "GET", "/metadata", "", &none);
    assert_eq!((status, &said["fhirVersion"]), (200, &json!("4.0.1")));
    assert!(wardline_fhir::check(&said).ok(), "{said:#}");

    // Made, once.
    let ann = patient("1", "Ångström");
    let (status, head, made) = ask(&here, "POST", "/Patient", "", &ann);
    assert_eq!(status, 201, "{made}");
    assert!(
        head.contains("etag: w/\"1\"") && head.contains("application/fhir+json"),
        "{head}"
    );
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(
        head.contains(&format!("/fhir/patient/{id}/_history/1")),
        "{head}"
    );
    assert_eq!(ask(&here, "POST", "/Patient", "", &ann).0, 409);
    let once = format!("If-None-Exist: identifier={MRN}|1\r\n");
    let (status, _, again) = ask(&here, "POST", "/Patient", &once, &ann);
    assert_eq!((status, &again["id"]), (200, &json!(id)));

    // What is not R4, not JSON, not offered.
    let mut wrong = ann.clone();
    wrong["gender"] = json!("SECRET");
    let (status, _, outcome) = ask(&here, "POST", "/Patient", "", &wrong);
    assert_eq!(status, 422);
    assert_eq!(outcome["issue"][0]["expression"][0], "Patient.gender");
    assert!(!outcome.to_string().contains("SECRET"));
    for (method, path, more, wanted) in [
        ("GET", "/Patient", "Accept: application/fhir+xml\r\n", 406),
        ("GET", "/Patient?_format=xml", "", 406),
        ("GET", "/Organization/1", "", 404),
        ("GET", "/Patient/nobody", "", 404),
        ("GET", "/Patient?shoe=9", "Prefer: handling=strict\r\n", 400),
        ("GET", "/Patient?birthdate=soon", "", 400),
        ("GET", "/Patient?_cursor=AAAA", "", 400),
        ("DELETE", "/Observation/1", "", 405),
        ("PATCH", "/Patient/1", "", 405),
    ] {
        let (status, _, outcome) = ask(&here, method, path, more, &none);
        assert_eq!(status, wanted, "{method} {path} {outcome}");
        assert_eq!(
            outcome["resourceType"], "OperationOutcome",
            "{method} {path}"
        );
        assert!(wardline_fhir::check(&outcome).ok(), "{outcome:#}");
    }

    // As it was read, or not at all; the same again is no message.
    let at = format!("/Patient/{id}");
    let mut off = made.clone();
    off["active"] = json!(false);
    assert_eq!(ask(&here, "PUT", &at, "If-Match: W/\"7\"\r\n", &off).0, 412);
    let (status, head, _) = ask(&here, "PUT", &at, "If-Match: W/\"1\"\r\n", &off);
    assert_eq!(status, 200);
    assert!(head.contains("etag: w/\"2\""), "{head}");
    let (_, _, same) = ask(&here, "PUT", &at, "", &off);
    assert_eq!(same["meta"]["versionId"], "2");
    assert_eq!(
        ask(&here, "GET", &at, "If-None-Match: W/\"2\"\r\n", &none).0,
        304
    );
    assert_eq!(
        ask(&here, "GET", &format!("{at}/_history/2"), "", &none).0,
        200
    );
    assert_eq!(
        ask(&here, "GET", &format!("{at}/_history/1"), "", &none).0,
        404
    );
    for (mrn, family) in [("2", "Bea"), ("3", "Bell"), ("4", "Cid")] {
        let at = format!("/Patient/p{mrn}");
        let mut one = patient(mrn, family);
        one["id"] = json!(format!("p{mrn}"));
        assert_eq!(ask(&here, "PUT", &at, "", &one).0, 201);
    }
    // Digits stay.
    let weight = r#"{ "resourceType": "Observation", "status": "final", "code": { "text": "weight" }, "subject": { "reference": "Patient/7" }, "valueQuantity": { "value": 5.40 } }"#;
    let (status, _, text) = raw(&here, "POST", "/fhir/Observation", "", weight);
    assert_eq!(status, 201);
    assert!(text.contains("\"value\":5.40}"), "{text}");
    drop(server);

    let server = house.serve();
    let found = |query: &str| {
        let (status, _, page) = ask(&here, "GET", &format!("/Patient?{query}"), "", &none);
        assert_eq!(status, 200, "{page}");
        assert!(wardline_fhir::check(&page).ok(), "{page:#}");
        page
    };
    let families = |page: &Value| {
        let all = page["entry"].as_array().into_iter().flatten();
        let all = all.filter_map(|one| one["resource"]["name"][0]["family"].as_str());
        all.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(families(&found("family=be")), "Bea Bell");
    assert_eq!(families(&found("family=be&identifier=3")), "Bell");
    assert_eq!(families(&found(&format!("identifier={MRN}%7C4"))), "Cid");
    assert_eq!(families(&found("active=false")), "Ångström");
    assert_eq!(families(&found("birthdate=ge1970&family:exact=Cid")), "Cid");
    assert_eq!(families(&found("_id=p2,p4,none")), "Bea Cid");
    assert_eq!(found("_summary=count")["total"], 4);
    // What is not known is said.
    let odd = found("shoe=9&family=cid");
    assert_eq!(odd["entry"][1]["search"]["mode"], "outcome");
    // Page after page, by links that nobody else can make.
    let (mut path, mut all, mut pages) =
        ("/Patient?active=true&_count=2".to_owned(), Vec::new(), 0);
    loop {
        let (status, _, page) = ask(&here, "GET", &path, "", &none);
        assert_eq!(status, 200, "{page}");
        all.push(families(&page));
        pages += 1;
        let links = page["link"].as_array().unwrap();
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else {
            break;
        };
        let next = next["url"].as_str().unwrap();
        assert!(!next.contains("active"), "{next}");
        path = next.split_once("/fhir").unwrap().1.to_owned();
        if pages == 1 {
            let other = path.replace("/Patient?", "/Observation?");
            assert_eq!(ask(&here, "GET", &other, "", &none).0, 400);
        }
    }
    assert_eq!((all.join(" "), pages), ("Bea Bell Cid".to_owned(), 2));

    // Another door, which hides a part and only reads.
    let (_, _, text) = raw(&here, "GET", "/public/Patient?family=cid", "", "");
    assert!(
        text.contains("Cid") && text.contains("SUBSETTED") && !text.contains("birthDate"),
        "{text}"
    );
    assert_eq!(raw(&here, "DELETE", "/public/Patient/p4", "", "").0, 405);

    // What flows keep is read, and kept once.
    for _ in 0..2 {
        let (status, _, _) = raw(&inlet, "POST", "/hr", "", r#"{"mrn":"9","family":"Nine"}"#);
        assert_eq!(status, 202);
    }
    house.until_status("what flows keep is kept", |status| {
        status["sums"]["delivered"] == 3
    });
    let nine = found(&format!("identifier={MRN}%7C9"));
    assert_eq!(families(&nine), "Nine");
    assert_eq!(nine["entry"][0]["resource"]["meta"]["versionId"], "1");

    assert_eq!(ask(&here, "DELETE", &at, "", &none).0, 204);
    assert_eq!(ask(&here, "GET", &at, "", &none).0, 404);
    let seen = house.run(&["audit", "list", "--json"]).out;
    assert!(
        seen.contains("resource.read") && seen.contains("Patient by FHIR"),
        "{seen}"
    );
    for sensitive in ["Bell", "1970", "SECRET"] {
        assert!(!house.log().contains(sensitive), "{sensitive}");
    }
    drop(server);
}

#[test]
fn fhir_kit_client_and_fhirpy_are_served() {
    let (Some(python), Some(modules)) = (python("fhirpy"), node_modules("fhir-kit-client")) else {
        return;
    };
    let (here, inlet) = (free_address(), free_address());
    let house = house(&here, &inlet);
    let server = house.serve();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let base = format!("http://{here}/fhir");
    let told = |command: &mut Command| {
        let ended = command.args([&base, "open-sesame"]).output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        let said: Value =
            serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{error}"));
        println!("{said:#}");
        said
    };
    let mut node = Command::new("node");
    let said = told(node.arg(scripts.join("fhir_client.mjs")).arg(&modules));
    assert_eq!(
        said,
        json!({ "version": "4.0.1", "made": "1", "stale": 412, "changed": "2", "found": 3, "pages": 2, "gone": 404, "wrong": "Patient.gender" })
    );
    let said = told(Command::new(python).arg(scripts.join("fhir_client.py")));
    assert_eq!(
        said,
        json!({ "made": true, "all": 5, "first": "Fifth", "counted": 5, "changed": false, "gone": "not-found" })
    );
    drop(server);
}

/// What others hold is read by search, page by page, and becomes a file: here the service itself is the other.
#[test]
fn a_job_copies_what_a_search_finds() {
    let (here, inlet) = (free_address(), free_address());
    let house = house(&here, &inlet);
    let files = house.path("files");
    std::fs::create_dir(&files).unwrap();
    house.write(
        "systems/registry.yaml",
        format!(
            "system: registry\nowner: it\nconnections:\n  r4:\n    fhir: {{ url: \"http://{here}/fhir\", auth: {{ bearer: secret:directory/token }} }}\n  drop: {{ files: {{ directory: \"{}\", write: \"{{id}}.json\" }} }}\noperations:\n  patients: {{ fhir: {{ connection: r4, search: Patient }} }}\n",
            files.display()
        )
        .as_bytes(),
    );
    house.write(
        "jobs/patients.yaml",
        b"job: patients\nowner: it\nread: { call: registry.patients, with: { active: true }, page: { size: 3, next: next } }\nwrite:\n  file: { connection: registry.drop, name: \"patients.csv\", format: csv, columns: { id: text, active: boolean } }\n",
    );
    house
        .run(&["check", house.estate().to_str().unwrap()])
        .ends(0);
    let server = house.serve();
    for n in 0..8 {
        let at = format!("/Patient/p{n}");
        let mut one = patient(&n.to_string(), "Bell");
        one["id"] = json!(format!("p{n}"));
        one["active"] = json!(n != 4);
        assert_eq!(ask(&here, "PUT", &at, "", &one).0, 201);
    }
    let run = ["jobs", "run", "patients", "--reason", "a test", "--json"];
    let ran = house.run(&run).ends(0);
    let ran: Value = serde_json::from_str(&ran.out).unwrap();
    let text = std::fs::read_to_string(files.join("patients.csv")).unwrap();
    let mut rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.remove(0), "id,active");
    rows.sort_unstable();
    let wanted: Vec<String> = (0..8)
        .filter(|n| *n != 4)
        .map(|n| format!("p{n},true"))
        .collect();
    assert_eq!(rows, wanted, "{ran:#}");
    drop(server);
}
