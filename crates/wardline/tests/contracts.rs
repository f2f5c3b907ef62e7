//! Promises through the real binary: contracts that somebody gives, versions side by side, changes
//! that break callers, systems compared in the shadow, and XML that is passed on.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/web.rs"]
mod web;

use house::{House, free_address};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use web::{System, ask};

const SCHEMA: &str = r#"{ "type": "object", "required": ["id", "name"], "additionalProperties": false,
  "properties": { "id": { "type": "string" }, "name": { "type": "string", "maxLength": 40 },
    "status": { "enum": ["open", "closed"] }, "at": { "type": "string" }, "secret": { "type": "string" },
    "lines": { "type": "array", "items": { "type": "object", "properties": { "n": { "type": "integer" } } } } } }"#;

const API: &str = r#"api: orders
title: Orders
owner: supply-chain
layer: system
version: 1.2.0
state: published
operations:
  get: { get: "/orders/{id}", returns: order, public: true }
  create: { post: "/orders", accepts: order, returns: order, public: true, validate: { response: strict } }
bindings: [{ system: old }]
"#;

const CONTRACT: &str = r##"openapi: 3.0.3
info: { title: Orders as agreed, version: 1.0.0 }
paths:
  /orders/{id}:
    get:
      operationId: fetchOrder
      parameters:
        - { name: id, in: path, required: true, schema: { type: string, pattern: "^[0-9]+$" } }
      responses: { "200": { $ref: "#/components/responses/Order" } }
  /orders:
    post:
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              additionalProperties: false
              required: [id, name]
              properties:
                id: { type: string }
                name: { type: string, maxLength: 10 }
      responses: { "200": { $ref: "#/components/responses/Order" } }
components:
  responses:
    Order:
      description: The order.
      content:
        application/json:
          schema:
            type: object
            required: [id]
            properties:
              id: { type: string }
              name: { type: string, nullable: true }
"##;

fn system_file(name: &str, address: &str) -> String {
    format!(
        "system: {name}\nowner: finance\nconnections:\n  api:\n    http: {{ url: \"http://{address}\" }}\noperations:\n  get: {{ http: {{ connection: api, get: \"/{name}/{{id}}\" }}, returns: order }}\n  create: {{ http: {{ connection: api, post: \"/{name}\" }}, accepts: order, returns: order }}\n"
    )
}

struct Town {
    house: House,
    door: String,
}

impl Town {
    fn new(systems: &[(&str, &System)], files: &[(&str, &str)]) -> Self {
        let door = free_address();
        let estate = format!(
            "estate: demo\nfacilities: [north]\nstore: sqlite\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:0\" }}\n  internal: {{ zone: internal, bind: \"{door}\" }}\n"
        );
        let house = House::new(&[
            ("wardline.yaml", &estate),
            ("entities/order.schema.json", SCHEMA),
            (
                "entities/order.yaml",
                "entity: order\nversion: 1.0.0\nowner: finance\nschema: order.schema.json\n",
            ),
            ("apis/orders.yaml", API),
        ]);
        for (name, system) in systems {
            let text = system_file(name, &system.address);
            house.write(&format!("systems/{name}.yaml"), text.as_bytes());
        }
        for (path, text) in files {
            house.write(path, text.as_bytes());
        }
        Self { house, door }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> web::Answer {
        ask(&self.door, "GET", path, headers, b"")
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> web::Answer {
        ask(&self.door, "POST", path, &[("Content-Type", kind)], body)
    }

    fn check(&self) -> house::Outcome {
        self.house
            .run(&["check", self.house.estate().to_str().unwrap()])
    }
}

fn order(name: &'static str) -> System {
    System::start(move |_| {
        (
            "application/json",
            json!({ "id": "7", "name": name }).to_string(),
        )
    })
}

#[test]
fn a_given_contract_is_compared_shown_and_held() {
    let old = order("Acme");
    let given = format!("{API}contract: contracts/orders.yaml\n");
    let files = [
        ("apis/orders.yaml", given.as_str()),
        ("contracts/orders.yaml", CONTRACT),
    ];
    let town = Town::new(&[("old", &old)], &files);
    town.check().ends(0);
    let server = town.house.serve();
    let shown = town.get("/orders/v1/openapi.json", &[]);
    assert_eq!(shown.status, 200);
    assert_eq!(
        (&shown.body["info"]["title"], &shown.body["servers"]),
        (
            &json!("Orders as agreed"),
            &json!([{ "url": "/orders/v1" }])
        )
    );
    assert_eq!(
        shown.header("content-type"),
        Some("application/vnd.oai.openapi+json;version=3.0")
    );
    // It is held: what it asks of parameters and bodies, although the entity allows more.
    assert_eq!(town.get("/orders/v1/orders/7", &[]).status, 200);
    let wrong = town.get("/orders/v1/orders/x7", &[]);
    assert_eq!((wrong.status, wrong.problem()), (422, "contract"));
    assert_eq!(wrong.body["errors"][0]["pointer"], "path:id");
    let json = "application/json";
    let good = town.post("/orders/v1/orders", json, br#"{"id":"1","name":"short"}"#);
    assert_eq!(good.status, 200, "{}", good.body);
    let long = town.post(
        "/orders/v1/orders",
        json,
        br#"{"id":"1","name":"longer than ten"}"#,
    );
    assert_eq!(
        (long.status, &long.body["errors"][0]["rule"]),
        (422, &json!("maxLength"))
    );
    server.stop();

    // Every difference is told at its place in the document.
    for (from, to, code, line) in [
        ("    get:\n", "    put:\n", "W1504", ":5:5"),
        ("required: [id, name]", "required: [id]", "W1507", ":16:13"),
        ("maxLength: 10", "maxLength: 50", "W1507", ":16:13"),
        (
            "required: [id]\n",
            "required: [id, name, status]\n",
            "W1508",
            ":30:11",
        ),
        (
            "name: id, in: path",
            "name: order, in: path",
            "W1502",
            ":8:",
        ),
        ("openapi: 3.0.3", "openapi: 2.0", "W1501", ":1:"),
        (
            "    post:\n",
            "    delete: { responses: {} }\n    post:\n",
            "W1505",
            ":11:5",
        ),
        ("pattern: \"^[0-9]+$\"", "pattern: \"(?=x)\"", "W1513", ""),
    ] {
        assert!(CONTRACT.contains(from), "{from}");
        town.house.write(
            "contracts/orders.yaml",
            CONTRACT.replacen(from, to, 1).as_bytes(),
        );
        let told = town.check().ends(1).out;
        assert!(told.contains(&format!("[{code}]")), "{to}:\n{told}");
        assert!(
            told.contains(&format!("contracts/orders.yaml{line}")),
            "{to}: {line}\n{told}"
        );
        assert!(told.contains("the contract of `orders/v1`"), "{told}");
    }
    // A document of JSON is one as well.
    let given = given.replace("orders.yaml", "orders.json");
    town.house.write("apis/orders.yaml", given.as_bytes());
    town.house
        .write("contracts/orders.json", shown.body.to_string().as_bytes());
    town.check().ends(0);
    town.house
        .write("contracts/orders.json", b"{ \"openapi\": ");
    town.check()
        .ends(1)
        .says(&["W1011", "contracts/orders.json"]);
}

#[test]
fn versions_live_side_by_side_and_promises_are_kept() {
    let (old, new) = (order("Acme"), order("Acme"));
    let town = Town::new(&[("old", &old), ("new", &new)], &[]);
    let house = &town.house;
    let estate = house.estate();
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(&estate).args(words);
        for name in [
            "GIT_AUTHOR_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_COMMITTER_NAME",
            "GIT_COMMITTER_EMAIL",
        ] {
            git.env(name, "tester");
        }
        house::Outcome::of(git).ends(0);
    };
    git(&["init", "-q", "-b", "main"]);
    house.run(&["api", "record"]).ends(0).says(&[
        "contracts/orders-v1.lock.json",
        "contracts/entities.lock.json",
        "new",
    ]);
    house.run(&["api", "record"]).ends(0).says(&["unchanged"]);
    town.check().ends(0);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "first"]);

    // What breaks nobody passes; what does is refused, at the Api and at the entity.
    let schema = SCHEMA.replace("\"at\":", "\"note\": { \"type\": \"string\" }, \"at\":");
    house.write("entities/order.schema.json", schema.as_bytes());
    town.check().ends(0);
    let dir = estate.to_str().unwrap();
    house
        .run(&["api", "diff", "main", dir])
        .ends(0)
        .says(&["harmless", "/note"]);
    let narrow = SCHEMA.replace("\"maxLength\": 40", "\"maxLength\": 20");
    house.write("entities/order.schema.json", narrow.as_bytes());
    town.check().ends(1).says(&[
        "W1511",
        "`orders/v1` breaks",
        "the entity `order`",
        "maxLength: 40 → 20",
        "apis/orders.yaml:1:6",
        "entities/order.yaml:1:9",
    ]);
    house.run(&["serve"]).ends(3).explains(&["W1511"]);
    let told = house
        .run(&["api", "diff", "HEAD", dir, "--json"])
        .ends(1)
        .json();
    assert_eq!(
        (&told["breaking"], &told["announced"]),
        (&json!(true), &json!(false))
    );
    let rows = told["changes"].as_array().unwrap();
    let of = |what: &str| rows.iter().filter(|row| row[what].is_string()).count();
    assert!(of("api") > 0 && of("entity") > 0, "{told}");
    // The lock itself may be compared as well, and `main:` names the estate in the repository.
    let lock = estate.join("contracts/orders-v1.lock.json");
    house
        .run(&["api", "diff", lock.to_str().unwrap(), dir])
        .ends(1)
        .says(&["request-maxLength"]);
    house
        .run(&["api", "diff", "nowhere", dir])
        .ends(3)
        .explains(&["neither a directory nor a file"]);
    house
        .run(&["api", "record"])
        .ends(1)
        .says(&["not written", "--replace"]);
    house.write("entities/order.schema.json", SCHEMA.as_bytes());
    town.check().ends(0);

    // A new major version beside the old one, by a header.
    let header = "versions: { header: X-Api-Version, default: true }\nbase: /orders\ndeprecated: 2026-01-01\nsunset: 2099-01-01\n";
    let moved = API.to_owned() + header;
    house.write("apis/orders.yaml", moved.as_bytes());
    town.check()
        .ends(1)
        .says(&["W1511", "`/orders/v1` → `/orders`"]);
    house
        .run(&["api", "record", "--replace"])
        .ends(0)
        .says(&["changed"]);
    let second = API
        .replace(
            "version: 1.2.0",
            "version: 2.0.1\nversions: { header: X-Api-Version }",
        )
        .replace("system: old", "system: new")
        .replace(
            "  create:",
            "  find: { get: \"/orders/search\", returns: order, public: true }\n  create:",
        )
        .replace(
            "[{ system: new }]",
            "[{ system: new, operations: { find: get-any } }]",
        );
    house.write("apis/orders-2.yaml", second.as_bytes());
    let with_find = system_file("new", &new.address)
        + "  get-any: { http: { connection: api, get: \"/new-any\" }, returns: order }\n";
    house.write("systems/new.yaml", with_find.as_bytes());
    town.check().ends(0);
    let told = house.run(&["api", "diff", "main", dir]).ends(1);
    told.says(&["base", "api-added"]);

    let server = house.serve();
    let version = |value: &'static str| [("X-Api-Version", value)];
    let first = town.get("/orders/orders/7", &[]);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.header("x-api-version"), Some("1.2.0"));
    assert_eq!(first.header("deprecation"), Some("@1767225600"));
    assert!(first.header("sunset").is_some_and(|it| it.contains("2099")));
    let link = first.header("link").unwrap();
    assert!(
        link.contains("</orders/openapi.json>; rel=\"successor-version\""),
        "{link}"
    );
    let second = town.get("/orders/orders/7", &version("2"));
    assert_eq!(
        (second.status, second.header("x-api-version")),
        (200, Some("2.0.1"))
    );
    assert_eq!(
        (second.header("deprecation"), second.header("vary")),
        (None, Some("x-api-version"))
    );
    // `search` is an operation of the second and an id of the first.
    town.get("/orders/orders/search", &version("2"));
    town.get("/orders/orders/search", &version("v1"));
    let lines = |system: &System| system.asked().concat();
    assert!(lines(&new).contains("GET /new-any ") && lines(&new).contains("GET /new/7 "));
    assert!(lines(&old).contains("GET /old/search ") && lines(&old).contains("GET /old/7 "));
    let unknown = town.get("/orders/orders/7", &version("3"));
    assert_eq!(
        (unknown.status, unknown.problem()),
        (400, "unknown-version")
    );
    assert!(
        unknown.body["detail"]
            .as_str()
            .unwrap()
            .contains("1.2.0, 2.0.1"),
        "{}",
        unknown.body
    );
    for (asked, documented) in [("1", "1.2.0"), ("2", "2.0.1")] {
        let shown = town.get("/orders/openapi.json", &version(asked));
        assert_eq!(shown.body["info"]["version"], documented);
    }
    server.stop();

    // A version that was promised does not simply go.
    house
        .run(&["api", "record"])
        .ends(0)
        .says(&["contracts/orders-v2.lock.json"]);
    std::fs::remove_file(estate.join("apis/orders.yaml")).unwrap();
    town.check()
        .ends(1)
        .says(&["W1511", "`orders/v1` was promised"]);
}

#[test]
fn the_shadow_is_reported_attribute_by_attribute() {
    let old = System::start(|line| {
        let body = json!({ "id": "7", "name": "Acme Medical", "status": "open", "at": "x", "secret": "S-1",
            "lines": [{ "n": 1 }, { "n": 2 }] });
        (
            "application/json",
            if line.contains("GET") {
                body
            } else {
                json!({})
            }
            .to_string(),
        )
    });
    let new = System::start(|_| {
        let body = json!({ "id": 7, "name": "ACME MEDICAL", "at": "y", "secret": "S 2", "extra": true,
            "lines": [{ "n": 2 }, { "n": 1 }] });
        ("application/json", body.to_string())
    });
    let api = format!(
        "{API}shadow: {{ system: new, sample: 100%, ignore: [at], unordered: [lines], extra: ignore }}\n"
    );
    let entity = "entity: order\nversion: 1.0.0\nowner: finance\nschema: order.schema.json\nsensitivity: { secret: financial }\n";
    let api = api.replace("public: true", "scope: order.use");
    let key = "client: portal\nowner: finance\nkind: service\nzone: internal\nauth: { api_key: { sha256: dd75c7c65ae3833edcffa6e32c7c755f4e9c235989d7245fbeb138eab875fa5c, expires: 2099-01-01 } }\nscopes: [order.use]\n";
    let files = [
        ("apis/orders.yaml", api.as_str()),
        ("entities/order.yaml", entity),
        ("clients/portal.yaml", key),
    ];
    let town = Town::new(&[("old", &old), ("new", &new)], &files);
    let report = |words: &[&str]| {
        let all: Vec<&str> = ["shadow", "report"].iter().chain(words).copied().collect();
        town.house.run(&all).ends(0)
    };
    report(&[]).says(&["nothing was compared yet"]);
    let until = |compared: u64| -> Value {
        let end = Instant::now() + house::PATIENCE;
        loop {
            let told = report(&["--json"]).json();
            let found = told["operations"][0].clone();
            if found["compared"] == compared {
                return found;
            }
            assert!(Instant::now() < end, "{told:#}\n{}", town.house.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let headers = [
        (
            "X-Api-Key",
            "wlk_5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
        ),
        ("X-Correlation-Id", "cid-1"),
    ];
    let server = town.house.serve();
    let reply = town.get("/orders/v1/orders/7", &headers);
    assert_eq!(
        (reply.status, &reply.body["name"]),
        (200, &json!("Acme Medical")),
        "{}\n{}",
        reply.body,
        town.house.log()
    );
    until(1);
    server.stop();
    // It survives a restart, and goes on.
    let server = town.house.serve();
    for _ in 0..2 {
        assert_eq!(town.get("/orders/v1/orders/7", &headers).status, 200);
    }
    let found = until(3);
    server.stop();
    assert_eq!(
        (
            &found["api"],
            &found["serving"],
            &found["shadow"],
            &found["same"],
            &found["differ"]
        ),
        (
            &json!("orders"),
            &json!("old"),
            &json!("new"),
            &json!(0),
            &json!(3)
        )
    );
    let fields: Vec<(&str, &str, u64, &str)> = found["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            let word = |name: &str| field[name].as_str().unwrap();
            let shape = field["shapes"][0][0].as_str().unwrap();
            (
                word("field"),
                word("how"),
                field["count"].as_u64().unwrap(),
                shape,
            )
        })
        .collect();
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            ("id", "type", 3, "string ≠ number"),
            ("name", "value", 3, "Aaaa Aaaaaaa ≠ AAAA AAAAAAA"),
            // Of what is sensitive not even the shape.
            ("secret", "value", 3, "string"),
            ("status", "missing", 3, "string ≠ absent"),
        ]
    );
    assert_eq!(found["fields"][0]["samples"][0], "cid-1");
    let text = report(&["--api", "orders", "--since", "1h"]).out;
    assert!(
        text.contains("orders.get") && text.contains("3 differ"),
        "{text}"
    );
    report(&["--api", "other"]).says(&["nothing was compared"]);
    // No value anywhere of what is kept.
    let kept = std::fs::read_to_string(town.house.data().join("shadows.json")).unwrap();
    for value in ["Acme", "ACME", "S-1", "S 2", "open"] {
        assert!(
            !kept.contains(value) && !text.contains(value),
            "{value}: {kept}"
        );
    }
}

#[test]
fn xml_is_passed_on_without_what_breaks_parsers() {
    let old = System::start(|_| ("application/xml", "<done/>".to_owned()));
    let api = API.replace("public: true", "public: true, content: xml")
        + "limits: { body: 64KiB, depth: 8, string: 4KiB, keys: 100 }\n";
    let town = Town::new(&[("old", &old)], &[("apis/orders.yaml", &api)]);
    town.check().ends(0);
    let server = town.house.serve();
    let path = "/orders/v1/orders";
    let good = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<o:order xmlns:o=\"urn:o\"><n>é &amp; &#8364;</n></o:order>";
    for kind in [
        "application/xml",
        "text/xml; charset=utf-8",
        "application/soap+xml",
    ] {
        let taken = town.post(path, kind, good.as_bytes());
        assert_eq!(
            (taken.status, &taken.body),
            (200, &json!("<done/>")),
            "{kind} {}",
            taken.head
        );
    }
    assert!(
        old.asked()[0].ends_with(good),
        "as it came: {:?}",
        old.asked()
    );
    let before = old.asked().len();
    let utf16: Vec<u8> = "\u{feff}<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let deep = "<a>".repeat(9) + &"</a>".repeat(9);
    let cases: [(&str, &[u8], &str); 11] = [
        (
            "text/xml",
            b"<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><l>&b;</l>",
            "not-xml",
        ),
        (
            "text/xml",
            b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
            "not-xml",
        ),
        (
            "text/xml",
            b"<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/'> %p;]><a/>",
            "not-xml",
        ),
        ("text/xml", b"<a>&xxe;</a>", "not-xml"),
        ("text/xml", &utf16, "not-xml"),
        ("text/xml; charset=utf-16", good.as_bytes(), "not-xml"),
        (
            "text/xml",
            b"<?xml version='1.0' encoding='utf-7'?><a/>",
            "not-xml",
        ),
        ("text/xml", b"<a></b>", "not-xml"),
        ("text/xml", deep.as_bytes(), "not-xml"),
        ("text/xml", &vec![b' '; 70_000], "body-too-large"),
        ("application/json", b"{}", "media-type"),
    ];
    for (kind, body, problem) in cases {
        let refused = town.post(path, kind, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(
            refused.problem(),
            problem,
            "{kind} {shown}: {} {}",
            refused.head,
            refused.body
        );
        assert!(refused.status < 500);
    }
    assert_eq!(
        old.asked().len(),
        before,
        "nothing of it reached the system"
    );
    let shown = town.get("/orders/v1/openapi.json", &[]);
    let content = &shown.body["paths"]["/orders"]["post"]["requestBody"]["content"];
    assert!(content["application/xml"].is_object() && content["application/json"].is_null());
    server.stop();
}
