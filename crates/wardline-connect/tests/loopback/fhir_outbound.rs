//! The FHIR sender, against answers in raw bytes and against a server that others wrote: the
//! routing, storage and transactions of Medplum, with a token endpoint of ours before it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::{Value, json};
use wardline_connect::fhir::{Outbound, OutboundConfig, Smart};
use wardline_connect::http::{Method, Outbound as Plain, OutboundConfig as HttpConfig};
use wardline_connect::tls::ClientTls;
use wardline_connect::{Failure, FailureKind, Outbound as _, Reply, Request, Secret};

use crate::http_outbound::{server, status};

const ADT: &str = "MSH|^~\\&|EHR|H1|||20260101120000||ADT^A01|1|P|2.5\rPID|1||77^^^H1^MR||DOE^JANE||19700101|F\rPV1|1|I|4W^1^2||||||||||||||||V1^^^H1|||||||||||||||||||||||||20260101113000\r";

fn config(url: &str) -> OutboundConfig {
    OutboundConfig {
        http: HttpConfig::new("store.fhir", url),
        smart: None,
        check: true,
        zone: Some("America/Chicago".to_owned()),
        systems: [("H1".to_owned(), "urn:oid:1.2.3".to_owned())].into(),
    }
}

async fn send(
    outbound: &Outbound,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Result<Reply, Failure> {
    let request = Request {
        idempotency_key: "01J0000000001",
        attempt: 1,
        body: body.into(),
        content_type,
        method: None,
        path: None,
        correlation: "corr-1",
    };
    outbound.send(request).await
}

#[tokio::test]
async fn refusals_are_told_by_code_and_place() {
    let outcome = |code: &str| {
        json!({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":code,"diagnostics":"JANE DOE","expression":["Patient.name[0]"]}]})
            .to_string()
    };
    let half = json!({"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"201"}},{"response":{"status":"422"}}]}).to_string();
    let permanent = FailureKind::Permanent;
    let cases = [
        ("422 Unprocessable", outcome("invalid"), "W4342", permanent),
        (
            "400 Bad Request",
            outcome("multiple-matches"),
            "W4343",
            permanent,
        ),
        ("412 Precondition Failed", String::new(), "W4343", permanent),
        (
            "500 Oops",
            outcome("lock-error"),
            "W4345",
            FailureKind::Transient,
        ),
        ("404 Not Found", "gone".to_owned(), "W4205", permanent),
        (
            "401 Unauthorized",
            outcome("login"),
            "W4207",
            FailureKind::Transient,
        ),
        ("200 OK", half, "W4344", permanent),
    ];
    for (line, body, code, kind) in cases {
        let server = server(status(
            line,
            "content-type: application/fhir+json\r\n",
            &body,
        ))
        .await;
        let outbound = Outbound::new(config(&format!("http://{}/fhir", server.addr))).unwrap();
        let patient = json!({"resourceType":"Patient","name":[{"family":"DOE"}]}).to_string();
        let failure = send(&outbound, "application/json", patient)
            .await
            .unwrap_err();
        assert_eq!(
            (failure.code.0, failure.kind),
            (code, kind),
            "{line}: {failure}"
        );
        assert!(!failure.text.contains("DOE"), "{failure}");
        assert!(failure.reply.is_some());
        let seen = server.seen.lock()[0].to_ascii_lowercase();
        assert!(seen.starts_with("post /fhir/patient http/1.1"), "{seen}");
        assert!(
            seen.contains("content-type: application/fhir+json"),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn what_is_no_fhir_does_not_leave() {
    let server = server(status("200 OK", "", "")).await;
    let url = format!("http://{}/fhir", server.addr);
    let outbound = Outbound::new(config(&url)).unwrap();
    let cases = [
        (
            "application/json",
            r#"{"resourceType":"Patient","gender":"DOE"}"#,
            "W4341",
        ),
        ("application/json", "DOE", "W4340"),
        (
            "application/json",
            r#"{"resourceType":"Patient","id":"1","id":"2"}"#,
            "W4340",
        ),
        (
            "application/hl7-v2",
            "MSH|^~\\&|A|B|||20260101||RDE^O11|1|P|2.5\r",
            "W4340",
        ),
    ];
    for (kind, body, code) in cases {
        let failure = send(&outbound, kind, body).await.unwrap_err();
        assert_eq!(
            (failure.code.0, failure.kind),
            (code, FailureKind::Permanent),
            "{failure}"
        );
        assert!(!failure.text.contains("DOE"), "{failure}");
    }
    assert!(server.seen.lock().is_empty());
    let lenient = Outbound::new(OutboundConfig {
        check: false,
        ..config(&url)
    })
    .unwrap();
    send(&lenient, "application/json", cases[0].1)
        .await
        .unwrap();
}

struct Peer {
    child: Child,
    port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Peer {
    /// Medplum's server; `None` where it is absent and that is allowed.
    fn start(public_key: Option<&Path>) -> Option<Self> {
        let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
            PathBuf::from,
        );
        let modules = root.join("node/node_modules");
        if !modules.join("@medplum/fhir-router").exists() {
            let text =
                "@medplum/fhir-router is missing: `cargo xtask peers` installs what the tests need";
            assert!(std::env::var_os("CI").is_none(), "{text}");
            println!("skipped: {text}");
            return None;
        }
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/fhir_server.js"))
            .arg(modules)
            .args(public_key)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap();
        Some(Self { child, port })
    }

    async fn get(&self, path: &str) -> Value {
        let mut config = HttpConfig::new("look", format!("http://127.0.0.1:{}", self.port));
        config.method = Method::GET;
        config.max_response = 1 << 20;
        let request = Request {
            idempotency_key: "look",
            attempt: 1,
            body: Bytes::new(),
            content_type: "application/json",
            method: None,
            path: Some(path),
            correlation: "",
        };
        let reply = Plain::new(config).unwrap().send(request).await.unwrap();
        serde_json::from_slice(&reply.body).unwrap()
    }
}

#[tokio::test]
async fn an_admission_is_stored_once_by_a_server_that_others_wrote() {
    let Some(peer) = Peer::start(None) else {
        return;
    };
    let outbound = Outbound::new(config(&format!("http://127.0.0.1:{}/fhir", peer.port))).unwrap();
    for _ in 0..2 {
        send(&outbound, "application/hl7-v2", ADT).await.unwrap();
    }
    let patients = peer
        .get("/fhir/Patient?identifier=urn:oid:1.2.3%7C77")
        .await;
    assert_eq!(patients["total"], 1, "{patients}");
    let patient = &patients["entry"][0]["resource"];
    assert_eq!(patient["name"][0]["family"], "DOE");
    let visits = peer
        .get("/fhir/Encounter?identifier=urn:oid:1.2.3%7CV1")
        .await;
    assert_eq!(visits["total"], 1, "{visits}");
    let visit = &visits["entry"][0]["resource"];
    let id = patient["id"].as_str().unwrap();
    assert_eq!(visit["subject"]["reference"], format!("Patient/{id}"));
    assert_eq!(visit["period"]["start"], "2026-01-01T11:30:00-06:00");

    let changed = json!({"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"77"}],"gender":"female","name":[{"family":"ROE"}]});
    send(&outbound, "application/json", changed.to_string())
        .await
        .unwrap();
    let patients = peer
        .get("/fhir/Patient?identifier=urn:oid:1.2.3%7C77")
        .await;
    assert_eq!(
        (
            &patients["total"],
            &patients["entry"][0]["resource"]["name"][0]["family"]
        ),
        (&json!(1), &json!("ROE"))
    );
}

/// What an operation asks for, and what comes.
async fn ask(outbound: &Outbound, path: &str, body: &Value) -> Result<Value, Failure> {
    let request = Request {
        idempotency_key: "01J0000000002",
        attempt: 1,
        body: body.to_string().into(),
        content_type: "application/json",
        method: None,
        path: Some(path),
        correlation: "corr-2",
    };
    let reply = outbound.send(request).await?;
    Ok(serde_json::from_slice(&reply.body).unwrap())
}

fn patients(answer: &Value) -> Vec<String> {
    let all = answer["resources"].as_array().unwrap().iter();
    let family = |one: &Value| {
        one["name"][0]["family"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    all.map(family).collect()
}

#[tokio::test]
async fn searches_and_exports_of_others_are_read_page_by_page() {
    let Some(peer) = Peer::start(None) else {
        return;
    };
    let outbound = Outbound::new(config(&format!("http://127.0.0.1:{}/fhir", peer.port))).unwrap();
    let mut wanted = Vec::new();
    for n in 0..25 {
        let family = format!("Bell{n:02}");
        let identifier = json!([{ "system": "urn:oid:1.2.3", "value": n.to_string() }]);
        let patient = json!({ "resourceType": "Patient", "identifier": identifier, "active": true, "name": [{ "family": family }] });
        send(&outbound, "application/json", patient.to_string())
            .await
            .unwrap();
        wanted.push(family);
    }
    let visit =
        json!({ "resourceType": "Observation", "status": "final", "code": { "text": "weight" } });
    send(&outbound, "application/json", visit.to_string())
        .await
        .unwrap();

    // Searched, page by page.
    let mut asked = json!({ "active": true, "size": 10 });
    let (mut came, mut pages) = (Vec::new(), 0);
    loop {
        let page = ask(&outbound, "/search/Patient", &asked).await.unwrap();
        came.extend(patients(&page));
        pages += 1;
        let Some(next) = page["next"].as_str() else {
            break;
        };
        assert!(next.starts_with(['/', '?']), "{next}");
        asked = json!({ "next": next, "size": 10 });
    }
    came.sort();
    assert_eq!((came, pages), (wanted.clone(), 3));
    let one = ask(
        &outbound,
        "/search/Patient",
        &json!({ "identifier": "urn:oid:1.2.3|7" }),
    )
    .await
    .unwrap();
    assert_eq!(patients(&one), ["Bell07"]);
    let id = one["resources"][0]["id"].as_str().unwrap();
    let read = ask(&outbound, "/read/Patient", &json!({ "id": id }))
        .await
        .unwrap();
    assert_eq!(read["name"][0]["family"], "Bell07");

    // Exported: made first, then read piece by piece, with ranges and without.
    let mut asked = json!({ "_type": "Patient,Observation", "size": 4 });
    let (mut came, mut waits, mut sizes) = (Vec::new(), 0, Vec::new());
    loop {
        let piece = match ask(&outbound, "/export/", &asked).await {
            Ok(piece) => piece,
            Err(failure) if failure.code.0 == "W4349" => {
                assert!(failure.text.contains("50 %"), "{failure}");
                let second = Some(std::time::Duration::from_secs(1));
                assert_eq!(
                    failure.kind,
                    FailureKind::Busy {
                        retry_after: second
                    }
                );
                waits += 1;
                continue;
            }
            Err(failure) => panic!("{failure}"),
        };
        sizes.push(piece["resources"].as_array().unwrap().len());
        came.extend(
            patients(&piece)
                .into_iter()
                .filter(|family| !family.is_empty()),
        );
        let Some(next) = piece["next"].as_str() else {
            break;
        };
        asked = json!({ "next": next, "size": 4 });
    }
    came.sort();
    assert_eq!((came, waits), (wanted, 1));
    assert_eq!(sizes, [0, 4, 4, 4, 4, 4, 4, 1, 1]);

    // A file that lies elsewhere is not fetched, and a place that is none is not asked for.
    let begun = ask(&outbound, "/export/", &json!({ "_type": "Group" }))
        .await
        .unwrap();
    let asked = json!({ "next": begun["next"] });
    ask(&outbound, "/export/", &asked).await.unwrap_err();
    for (path, body, code) in [
        ("/export/", asked, "W4348"),
        ("/export/", json!({}), "W4205"),
        (
            "/search/Patient",
            json!({ "next": "http://elsewhere.example/" }),
            "W4340",
        ),
        ("/search/Patient", json!({ "a b": 1 }), "W4340"),
        ("/search/Patient", json!({ "family": { "x": 1 } }), "W4340"),
        ("/read/Patient", json!({}), "W4340"),
        ("/read/Patient", json!({ "id": "nobody" }), "W4342"),
    ] {
        let failure = ask(&outbound, path, &body).await.unwrap_err();
        assert_eq!(
            (failure.code.0, failure.kind),
            (code, FailureKind::Permanent),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_page_that_lies_elsewhere_is_not_followed() {
    for (next, whole) in [
        ("http://elsewhere.example/fhir?page=2", false),
        ("http://127.0.0.1:1/fhir?page=2", false),
        ("/fhirs?page=2", false),
        ("/fhir/../admin", false),
        ("/fhir?page=2", true),
    ] {
        let bundle = json!({"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":next}],"entry":[
            {"resource":{"resourceType":"Patient","multipleBirthInteger":1}},
            {"search":{"mode":"include"},"resource":{"resourceType":"Group"}},
            {"search":{"mode":"outcome"},"resource":{"resourceType":"OperationOutcome"}}]});
        // Digits stay as they came.
        let bundle = bundle
            .to_string()
            .replace("\"multipleBirthInteger\":1", "\"weight\":5.40");
        let server = server(status(
            "200 OK",
            "content-type: application/fhir+json\r\n",
            &bundle,
        ))
        .await;
        let outbound = Outbound::new(config(&format!("http://{}/fhir", server.addr))).unwrap();
        let request = Request {
            idempotency_key: "1",
            attempt: 1,
            body: Bytes::new(),
            content_type: "application/json",
            method: None,
            path: Some("/search/Patient"),
            correlation: "",
        };
        match outbound.send(request).await {
            Ok(reply) => {
                let text = String::from_utf8(reply.body.to_vec()).unwrap();
                assert!(whole, "{next}");
                assert_eq!(
                    text,
                    "{\"resources\":[{\"resourceType\":\"Patient\",\"weight\":5.40}],\"included\":[{\"resourceType\":\"Group\"}],\"next\":\"?page=2\"}"
                );
            }
            Err(failure) => assert_eq!((failure.code.0, whole), ("W4348", false), "{failure}"),
        }
    }
}

#[tokio::test]
async fn tokens_are_got_by_a_signed_assertion_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let public = directory.path().join("public.pem");
    std::fs::write(&public, pair.public_key_pem()).unwrap();
    let Some(peer) = Peer::start(Some(&public)) else {
        return;
    };
    let by = |pair: &KeyPair| {
        let mut config = config(&format!("http://127.0.0.1:{}/fhir", peer.port));
        config.smart = Some(Smart {
            token_url: format!("http://127.0.0.1:{}/token", peer.port),
            client: "wardline".to_owned(),
            key: Secret::new(pair.serialize_pem()),
            key_id: "k1".to_owned(),
            scope: "system/*.*".to_owned(),
            tls: ClientTls::default(),
        });
        Outbound::new(config).unwrap()
    };
    let outbound = by(&pair);
    for _ in 0..3 {
        send(&outbound, "application/hl7-v2", ADT).await.unwrap();
    }
    let seen = peer.get("/seen").await;
    assert_eq!(
        (&seen["TOKEN"], &seen["POST"]),
        (&json!(1), &json!(3)),
        "{seen}"
    );

    // Another client's token takes the place of ours: the next attempt is refused, the one after it has a new one.
    send(&by(&pair), "application/hl7-v2", ADT).await.unwrap();
    let failure = send(&outbound, "application/hl7-v2", ADT)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code.0, failure.kind),
        ("W4207", FailureKind::Transient)
    );
    send(&outbound, "application/hl7-v2", ADT).await.unwrap();

    let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let failure = send(&by(&other), "application/hl7-v2", ADT)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code.0, failure.kind),
        ("W4346", FailureKind::Transient)
    );
    let no_key = Outbound::new(OutboundConfig {
        smart: Some(Smart {
            token_url: "http://127.0.0.1:1/token".to_owned(),
            client: "wardline".to_owned(),
            key: Secret::new("no key"),
            key_id: "k1".to_owned(),
            scope: String::new(),
            tls: ClientTls::default(),
        }),
        ..config("http://127.0.0.1:1/fhir")
    });
    assert!(no_key.is_err());
}
