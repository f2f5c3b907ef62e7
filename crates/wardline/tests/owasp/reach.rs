//! Who reaches what: objects (API1) and functions (API5).

use crate::town::{SUPPLIERS, Town, ask, token_request};
use crate::{CARD, JSON, V100, get};
use serde_json::json;

// API1:2023 Broken Object Level Authorization

#[test]
fn api1_a_client_of_one_facility_reaches_no_object_of_another() {
    let mut town = Town::new();
    town.client(
        "north-desk",
        "kind: service\nzone: internal\nfacilities: [north]\nscopes: [supplier.read]",
    );
    // Copies for comparison would be counted as asking.
    town.edit(
        "apis/supplier-master.yaml",
        "shadow: { system: erp-cloud, sample: 10%, compare: [name, status, payment_terms] }\n",
        "",
    );
    let _server = town.serve();
    let token = town.token(&town.internal, "north-desk");
    let bearer = ("Authorization", token.as_str());
    let at = &town.internal;

    // Its own, named or not: it has only one.
    for headers in [&[bearer, ("X-Facility", "north")][..], &[bearer]] {
        get(at, V100, headers).is(200);
    }
    let before = town.asked();
    let named = [
        &[("X-Facility", "south")][..],
        &[("X-Facility", "NORTH")],
        &[("X-Facility", "north,south")],
        &[("X-Facility", "*")],
        // One to be judged by and another to be served by.
        &[("X-Facility", "north"), ("X-Facility", "south")],
        &[("X-Facility", "south"), ("X-Facility", "north")],
    ];
    for more in named {
        let headers = [&[bearer][..], more].concat();
        let refused = get(at, V100, &headers).is(403);
        assert!(!refused.text().contains("Acme"), "{}", refused.text());
    }
    for query in [
        "?facility=south",
        "?facility=north&facility=south",
        "?facility=%73outh",
    ] {
        let path = format!("{V100}{query}");
        get(at, &path, &[bearer]).is(403);
        get(at, &path, &[bearer, ("X-Facility", "north")]).is(403);
    }
    assert_eq!(town.asked(), before, "no ERP was asked");
}

#[test]
fn api1_a_partner_sees_its_own_object_whatever_it_names() {
    let mut town = Town::new();
    for partner in ["v-100", "v-200"] {
        town.client(
            partner,
            "kind: partner\nzone: partner\nscopes: [own-card.read]",
        );
    }
    // The object is named by who calls, not by what the call says.
    town.house.write(
        "apis/own-card.yaml",
        br#"api: own-card
owner: supply-chain
layer: experience
version: 1.0.0
state: published
zones: [partner]
operations:
  get-card:
    get: "/card"
    returns: supplier-card
    scope: own-card.read
    calls:
      supplier: { call: supplier-master.get-supplier, with: { supplier_id: 'upcase!(.client.name)' } }
    map: maps/supplier-to-card.vrl
"#,
    );
    let _server = town.serve();
    let at = &town.partner;
    for (partner, name) in [("v-100", "Acme Medical"), ("v-200", "Borealis Surgical")] {
        let token = town.token(at, partner);
        let bearer = ("Authorization", token.as_str());
        let card = get(at, "/own-card/v1/card", &[bearer]).is(200);
        assert_eq!(card.json()["name"], name);
        // Naming another changes nothing, and where the contract has no such name it is said.
        let other = [
            bearer,
            ("X-Client", "v-200"),
            ("X-Supplier-Id", "V-200"),
            ("X-Forwarded-User", "v-200"),
        ];
        let card = get(at, "/own-card/v1/card", &other).is(200);
        assert_eq!(card.json()["name"], name);
        let asked = get(
            at,
            "/own-card/v1/card?supplier_id=V-200&client=v-200",
            &[bearer],
        );
        assert_eq!(
            (asked.status, asked.problem()),
            (422, "contract".to_owned())
        );
        // The Api by which all suppliers can be named is not theirs.
        get(at, CARD, &[bearer]).is(403);
    }
}

#[test]
fn api1_an_idempotency_key_is_nothing_to_another_client() {
    let mut town = Town::new();
    for desk in ["desk-a", "desk-b"] {
        town.client(
            desk,
            "kind: service\nzone: internal\nscopes: [supplier.read, supplier.write]\nreveal: [financial, pii]",
        );
    }
    let _server = town.serve();
    let at = &town.internal;
    let create = |client: &str, number: &str| {
        let token = town.token(at, client);
        let supplier = json!({ "supplier_id": number, "name": client, "status": "active" });
        let headers = [
            ("Authorization", token.as_str()),
            JSON,
            ("Idempotency-Key", "the-same"),
        ];
        ask(
            at,
            "POST",
            SUPPLIERS,
            &headers,
            supplier.to_string().as_bytes(),
        )
    };
    // Neither the gateway nor the system behind gives one the other's answer.
    for (client, number) in [
        ("desk-a", "V-501"),
        ("desk-b", "V-502"),
        ("desk-a", "V-501"),
    ] {
        let made = create(client, number).is(201);
        assert_eq!(made.json()["supplier_id"], number);
        assert_eq!(made.json()["name"], client);
    }
    assert_eq!(town.hospital.erp_legacy().report().applied, 2);
}

// API5:2023 Broken Function Level Authorization

#[test]
fn api5_functions_open_by_scope_and_nothing_else() {
    let mut town = Town::new();
    town.client(
        "reader",
        "kind: service\nzone: internal\nscopes: [supplier.read]\nroles: [administrator]",
    );
    let _server = town.serve();
    let at = &town.internal;
    let reader = town.token(at, "reader");
    let body = br#"{"supplier_id":"V-701","name":"New","status":"active"}"#;
    get(at, V100, &[("Authorization", &reader)]).is(200);
    let before = town.asked();
    ask(
        at,
        "POST",
        SUPPLIERS,
        &[("Authorization", &reader), JSON],
        body,
    )
    .is(403);
    // To change is a function of its own, at the very path that may be read.
    ask(at, "PUT", V100, &[("Authorization", &reader), JSON], body).is(403);

    // Less was asked for than is granted: then less is what the token opens.
    let narrow = town.token_for(at, "purchasing", "&scope=supplier.read");
    let purpose = ("X-Purpose-Of-Use", "operations");
    ask(
        at,
        "POST",
        SUPPLIERS,
        &[("Authorization", &narrow), JSON, purpose],
        body,
    )
    .is(403);
    // More was asked for: the token is refused or has no more than was granted.
    let more = token_request(
        at,
        &town.form(at, "reader", "&scope=supplier.read+supplier.write+admin"),
    );
    if more.status == 200 {
        assert_eq!(more.json()["scope"], "supplier.read");
    }

    // A method that is not declared is not there, however it is asked for.
    for method in [
        "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "get", "put",
    ] {
        let refused = ask(at, method, V100, &[("Authorization", &reader)], b"");
        assert!(
            [400, 405].contains(&refused.status),
            "{method} {}",
            refused.head
        );
        if refused.status == 405 {
            assert!(
                refused.header("allow").unwrap().contains("GET"),
                "{}",
                refused.head
            );
        }
    }
    for name in [
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-HTTP-Method",
    ] {
        let asked = get(at, V100, &[("Authorization", &reader), (name, "DELETE")]).is(200);
        assert_eq!(asked.json()["supplier_id"], "V-100");
    }
    assert_eq!(
        town.asked()[0],
        before[0] + 3,
        "only what was permitted arrived"
    );

    // Other spellings of a path are other paths or none.
    let partner = town.token(&town.partner, "ghx");
    for path in [
        "/supplier-portal/v1/../../supplier-master/v1/suppliers/V-100",
        "/supplier-portal/v1/%2e%2e/%2e%2e/supplier-master/v1/suppliers/V-100",
        "/supplier-portal/v1/..;/supplier-master/v1/suppliers/V-100",
        "//supplier-master/v1/suppliers/V-100",
        "/SUPPLIER-MASTER/v1/suppliers/V-100",
        "/supplier-master/v1/suppliers/V-100",
        "/supplier-master%2fv1/suppliers/V-100",
        "/supplier-master/v1/suppliers/V-100/",
        "/supplier-master/v1/suppliers/V-100%00",
    ] {
        let refused = get(&town.partner, path, &[("Authorization", &partner)]);
        assert!(
            [400, 404].contains(&refused.status),
            "{path} {}",
            refused.head
        );
    }
    assert_eq!(town.asked()[0], before[0] + 3);
}
