//! The Apis of the example estate through the real binary: a token got with a private key, calls
//! that the right ERP answers, and everything that must not pass.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use house::{House, free_address};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const VENDOR: &str = r#"{"VENDOR_NO":"V-100","NAME1":"Acme Medical","STATUS":"A","ZTERM":"N30","STCD1":"12-3456789","BANKN":"DE00123456784711"}"#;
const SUPPLIER: &str = r#"{"supplier_id":"V-100","name":"Acme Cloud","status":"active","payment_terms":"N30","tax_id":"12-3456789"}"#;

/// A key pair of a client, and its public half as the estate has it.
struct Keys {
    pair: EcdsaKeyPair,
    jwks: String,
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwks = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "kid": "mine", "alg": "ES256", "use": "sig",
            "x": encode(&point[1..33]), "y": encode(&point[33..65]),
        }] });
        Self {
            pair,
            jwks: jwks.to_string(),
        }
    }

    /// An assertion (RFC 7523) that this client is itself.
    fn assertion(&self, client: &str, audience: &str) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let header = json!({ "alg": "ES256", "kid": "mine", "typ": "JWT" });
        let claims = json!({
            "iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60,
            "jti": format!("{now}-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let lines = lines.concat();
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}{length}Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunked(body)
    } else {
        body.to_owned()
    };
    Answer {
        status,
        head: head.to_owned(),
        body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
    }
}

fn unchunked(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = text.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        text = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

/// A system that answers every request with the same document and remembers what was asked.
fn system(document: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut some = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut some) {
                    bytes.extend_from_slice(&some[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head
                        .lines()
                        .filter_map(|line| line.split_once(": "))
                        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                        .map_or(0, |(_, value)| value.parse().unwrap());
                    if body.len() < length {
                        continue;
                    }
                    let line = head.lines().next().unwrap_or_default();
                    if !line.contains("/health") {
                        seen.lock().unwrap().push(format!("{line} {body}"));
                    }
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{document}",
                        document.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                    bytes.clear();
                }
            });
        }
    });
    (address, asked)
}

struct Town {
    house: House,
    internal: String,
    partner: String,
    ghx: Keys,
    purchasing: Keys,
    legacy: Arc<Mutex<Vec<String>>>,
    cloud: Arc<Mutex<Vec<String>>>,
}

impl Town {
    fn new() -> Self {
        let ((legacy_at, legacy), (cloud_at, cloud)) = (system(VENDOR), system(SUPPLIER));
        let (internal, partner) = (free_address(), free_address());
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let house = House::example(&[
            pair("127.0.0.1:8420", "127.0.0.1:0"),
            pair("127.0.0.1:8421", &internal),
            pair("127.0.0.1:8422", &partner),
            pair("127.0.0.1:18091", &legacy_at),
            pair("127.0.0.1:18092", &cloud_at),
            pair("127.0.0.1:2575", "127.0.0.1:0"),
        ]);
        let (ghx, purchasing) = (Keys::new(), Keys::new());
        house.write("clients/ghx.jwks.json", ghx.jwks.as_bytes());
        house.write("clients/purchasing.jwks.json", purchasing.jwks.as_bytes());
        Self {
            house,
            internal,
            partner,
            ghx,
            purchasing,
            legacy,
            cloud,
        }
    }

    fn token_answer(at: &str, keys: &Keys, client: &str) -> Answer {
        let assertion = keys.assertion(client, &format!("http://{at}/oauth/token"));
        let form = format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
        );
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        ask(at, "POST", "/oauth/token", &[kind], &form)
    }

    fn token(at: &str, keys: &Keys, client: &str) -> String {
        let answer = Self::token_answer(at, keys, client);
        assert_eq!(answer.status, 200, "{} {}", answer.head, answer.body);
        format!("Bearer {}", answer.body["access_token"].as_str().unwrap())
    }
}

const SUPPLIER_PATH: &str = "/supplier-master/v1/suppliers/V-100";

#[test]
fn the_right_erp_answers_whoever_may_ask() {
    let town = Town::new();
    let server = town.house.serve();
    let token = Town::token(&town.internal, &town.purchasing, "purchasing");
    let bearer = ("Authorization", token.as_str());
    // Its file names two purposes, so each call says which one it is for.
    let purpose = ("X-Purpose-Of-Use", "payment");
    let unsaid = ask(&town.internal, "GET", SUPPLIER_PATH, &[bearer], "");
    assert_eq!(unsaid.status, 403, "{}", unsaid.body);

    // North is still with the old ERP, whose words become ours; purchasing sees bank details.
    let north = ask(
        &town.internal,
        "GET",
        SUPPLIER_PATH,
        &[bearer, purpose, ("x-facility", "north")],
        "",
    );
    assert_eq!(
        north.status,
        200,
        "{} {}\n{}",
        north.head,
        north.body,
        town.house.log()
    );
    assert_eq!(north.body["name"], "Acme Medical");
    assert_eq!(north.body["bank"]["account_number"], "DE00123456784711");
    assert!(north.header("ratelimit").is_some(), "{}", north.head);
    assert!(town.legacy.lock().unwrap()[0].starts_with("GET /vendors/V-100 "));

    // South is with the new one: one line in the Api's file.
    let south = ask(
        &town.internal,
        "GET",
        SUPPLIER_PATH,
        &[bearer, purpose, ("x-facility", "south")],
        "",
    );
    assert_eq!(south.status, 200, "{} {}", south.head, south.body);
    assert_eq!(south.body["name"], "Acme Cloud");
    assert!(
        town.cloud
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.starts_with("GET /v2/suppliers/V-100 "))
    );

    // A write with a key is carried out once, and its answer given again.
    let supplier = r#"{"supplier_id":"V-100","name":"Acme","status":"active"}"#;
    let json = ("Content-Type", "application/json");
    let key = ("Idempotency-Key", "order-1");
    let path = "/supplier-master/v1/suppliers";
    let before = town.legacy.lock().unwrap().len();
    for _ in 0..2 {
        let made = ask(
            &town.internal,
            "POST",
            path,
            &[bearer, purpose, json, key],
            supplier,
        );
        assert_eq!(made.status, 200, "{} {}", made.head, made.body);
    }
    assert_eq!(town.legacy.lock().unwrap().len(), before + 1, "sent once");
    let other = ask(
        &town.internal,
        "POST",
        path,
        &[bearer, purpose, json, key],
        &supplier.replace("Acme", "Other"),
    );
    assert_eq!(
        (other.status, &other.body["type"]),
        (422, &json!("urn:wardline:problem:idempotency-key-reused"))
    );

    // What breaks the contract goes no further, and the problem holds no value.
    let wrong = ask(
        &town.internal,
        "POST",
        path,
        &[bearer, purpose, json],
        r#"{"supplier_id":"ZQX-SECRET!","name":"","status":"gone"}"#,
    );
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    assert!(!wrong.body.to_string().contains("ZQX"), "{}", wrong.body);
    for body in ["[1,2", r#"{"a":1,"a":2}"#, "\u{feff}{}"] {
        let refused = ask(&town.internal, "POST", path, &[bearer, purpose, json], body);
        assert_eq!(refused.status, 400, "{body} {}", refused.body);
    }
    assert_eq!(
        ask(
            &town.internal,
            "POST",
            path,
            &[bearer, purpose, ("Content-Type", "text/xml")],
            "<a/>"
        )
        .status,
        415
    );

    // Every Api tells what it promises.
    let document = ask(
        &town.internal,
        "GET",
        "/supplier-master/v1/openapi.json",
        &[],
        "",
    );
    assert_eq!(
        (document.status, &document.body["openapi"]),
        (200, &json!("3.1.0"))
    );

    server.stop();
    let audit = town.house.run(&["audit", "list", "--json"]).ends(0).out;
    assert!(
        audit.contains("token.issue")
            && audit.contains("call.forbid")
            && audit.contains("base.purpose")
            && audit.contains("client:purchasing"),
        "{audit}"
    );
    town.house.run(&["audit", "verify"]).ends(0);
}

#[test]
fn whoever_may_not_learns_nothing() {
    let town = Town::new();
    let server = town.house.serve();
    let partner = Town::token(&town.partner, &town.ghx, "ghx");
    let bearer = ("Authorization", partner.as_str());

    // A partner sees its own Api, masked, through its own door.
    let card = "/supplier-portal/v1/suppliers/V-100/card";
    let seen = ask(&town.partner, "GET", card, &[bearer], "");
    assert_eq!(
        seen.status,
        200,
        "{} {}\n{}",
        seen.head,
        seen.body,
        town.house.log()
    );
    assert_eq!(seen.body["name"], "Acme Medical");
    assert!(
        !seen.body.to_string().contains("DE0012345678"),
        "{}",
        seen.body
    );

    // Nothing else is there for it, with a valid token or without.
    for headers in [&[bearer][..], &[]] {
        assert_eq!(
            ask(&town.partner, "GET", SUPPLIER_PATH, headers, "").status,
            404
        );
        let console = ask(&town.partner, "GET", "/api/overview", headers, "");
        assert_eq!(console.status, 404);
    }
    // Its token is nothing at the internal door; nobody learns why.
    let elsewhere = ask(&town.internal, "GET", SUPPLIER_PATH, &[bearer], "");
    let nobody = ask(&town.internal, "GET", SUPPLIER_PATH, &[], "");
    assert_eq!((elsewhere.status, nobody.status), (401, 401));
    assert_eq!(elsewhere.body["type"], nobody.body["type"]);
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));

    // Credentials of one are none of another, and an assertion is used once.
    assert_eq!(
        Town::token_answer(&town.partner, &town.purchasing, "ghx").status,
        401
    );
    assert_eq!(
        Town::token_answer(&town.partner, &town.purchasing, "purchasing").status,
        401
    );
    let assertion = town
        .ghx
        .assertion("ghx", &format!("http://{}/oauth/token", town.partner));
    let form = format!(
        "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(
        ask(&town.partner, "POST", "/oauth/token", &[kind], &form).status,
        200
    );
    assert_eq!(
        ask(&town.partner, "POST", "/oauth/token", &[kind], &form).status,
        401
    );

    // A revoked token is nothing from then on.
    let bare = partner.trim_start_matches("Bearer ");
    let assertion = town
        .ghx
        .assertion("ghx", &format!("http://{}/oauth/token", town.partner));
    let form = format!(
        "token={bare}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    assert_eq!(
        ask(&town.partner, "POST", "/oauth/revoke", &[kind], &form).status,
        200
    );
    assert_eq!(ask(&town.partner, "GET", card, &[bearer], "").status, 401);

    server.stop();
    let log = town.house.log();
    assert!(!log.contains(bare), "a token is in the log");
    assert!(
        !log.contains("DE0012345678"),
        "an account number is in the log"
    );
    let refused = town.house.run(&["audit", "list", "--json"]).ends(0).out;
    assert!(
        refused.contains("token.refuse") && refused.contains("call.refuse"),
        "{refused}"
    );
}

#[test]
fn contracts_and_policies_are_told_on_the_command_line() {
    let town = Town::new();
    town.house
        .run(&["api", "list"])
        .ends(0)
        .says(&["supplier-master/v1.get-supplier", "scope supplier.read"]);
    town.house
        .run(&["policy", "explain", "ghx", "supplier-master.get-supplier"])
        .ends(1)
        .says(&["may not call", "base.zone"]);
    town.house
        .run(&["policy", "explain", "ghx", "supplier-portal.get-card"])
        .ends(0)
        .says(&["may call"]);
    town.house
        .run(&["policy", "explain", "nobody", "x.y"])
        .ends(2);
    let old = town
        .house
        .run(&["api", "openapi", "supplier-master"])
        .ends(0);
    let old_path = town.house.path("old.json");
    std::fs::write(&old_path, &old.out).unwrap();
    let mut new: Value = old.json();
    new["paths"]
        .as_object_mut()
        .unwrap()
        .retain(|path, _| !path.contains("{supplier_id}"));
    let new_path = town.house.path("new.json");
    std::fs::write(&new_path, new.to_string()).unwrap();
    let (old, new) = (old_path.to_str().unwrap(), new_path.to_str().unwrap());
    town.house
        .run(&["api", "diff", old, old])
        .ends(0)
        .says(&["no changes"]);
    town.house
        .run(&["api", "diff", old, new])
        .ends(1)
        .says(&["breaking", "operation-removed"]);
    town.house
        .run(&["api", "diff", new, old])
        .ends(0)
        .says(&["harmless"]);
}
