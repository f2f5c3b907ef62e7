//! What Apis, clients and policies of a loaded estate say, and what stands where they say nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::path::Path;
use std::time::Duration;
use wardline_core::{Lane, Sensitivity, Zone};
use wardline_estate::*;

fn case(name: &str) -> Estate {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let loaded = load(&cases.join(name).join("estate"), &LoadOptions::default());
    let shown = loaded.diagnostics.render(&loaded.sources, false);
    loaded.estate.unwrap_or_else(|| panic!("{shown}"))
}

#[test]
fn an_api_has_its_values_and_defaults() {
    let estate = case("api-and-client-good");
    let api = estate.api("supplier-master").unwrap();
    assert_eq!(api.id, "supplier-master/v1");
    assert_eq!(api.zones, [Zone::Internal, Zone::Partner]);
    assert!(!api.visible_in(Zone::Admin) && api.state.is_served());
    let sunset = api.sunset.as_ref().unwrap();
    assert_eq!(sunset.value.to_string(), "2099-12-31T00:00:00.000Z");

    let get = &api.operations["get-supplier"];
    assert_eq!(api.path(get), "/masters/suppliers/suppliers/{supplier_id}");
    assert_eq!(get.parameters().collect::<Vec<_>>(), ["supplier_id"]);
    assert_eq!((get.method, get.lane), (Method::Get, Lane::Realtime));
    assert!(!get.is_write() && get.validate.request);
    assert_eq!(get.validate.response, ResponseValidation::Sample);
    assert_eq!(get.timeout, Duration::from_secs(10));
    assert_eq!(get.idempotent, Idempotency::No);
    let keep = Duration::from_secs(24 * 3_600);
    let create = &api.operations["create-supplier"];
    assert_eq!(create.idempotent, Idempotency::Key { keep });

    let limits = api.limits;
    assert_eq!((limits.per_client, limits.burst), (Some(50.0), 50));
    let day = Duration::from_secs(86_400);
    assert_eq!(
        limits.quota,
        Some(Quota {
            count: 100_000,
            per: day
        })
    );
    assert_eq!(
        (limits.body, limits.depth, limits.keys),
        (256 << 10, 16, 10_000)
    );
    assert_eq!(limits.string, 64 << 10);
}

#[test]
fn bindings_keep_their_order_and_conditions() {
    let estate = case("api-and-client-good");
    let api = estate.api("supplier-master").unwrap();
    let [cloud, erp] = api.bindings.as_slice() else {
        panic!("{:?}", api.bindings)
    };
    assert_eq!(
        cloud.when.as_ref().unwrap().as_str(),
        ".facility == \"south\""
    );
    assert_eq!(cloud.share, Some(Share(1_250)));
    assert!(cloud.is_conditional() && !erp.is_conditional());
    assert_eq!(erp.reference("get-supplier"), "erp.get-supplier");
    assert!(api.only_binding().is_none());
    let shadow = api.shadow.as_ref().unwrap();
    assert_eq!((shadow.sample, shadow.writes), (Share(1_000), false));
}

#[test]
fn the_other_layers_say_what_fulfils_them() {
    let estate = case("api-and-client-good");
    let (_, card) = estate.api_operation("supplier-card.get-card").unwrap();
    let Work::Gather { calls, map: None } = &card.work else {
        panic!("{:?}", card.work)
    };
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["supplier", "again"]);
    assert!(calls[1].optional && calls[1].with.contains_key("supplier_id"));
    assert_eq!(card.query["since"], QueryType::Date);

    let (api, tell) = estate.api_operation("notices.tell").unwrap();
    assert!(matches!(&tell.work, Work::Tell { event } if event.value == "notice.told"));
    assert_eq!(api.path(tell), "/notices/v1");
    assert!(tell.asynchronous);
}

#[test]
fn a_client_has_its_values_and_no_more() {
    let estate = case("api-and-client-good");
    let client = &estate.clients["buyer"];
    assert_eq!(
        (client.kind, client.zone),
        (ClientKind::Service, Zone::Internal)
    );
    let Some(OAuth2::PrivateKeyJwt { jwks, .. }) = &client.auth.oauth2 else {
        panic!("{:?}", client.auth)
    };
    assert_eq!(jwks["keys"][0]["kid"], "a");
    let key = client.auth.api_key.as_ref().unwrap();
    assert_eq!((key.sha256[0], key.sha256[31]), (0x9f, 0x08));
    assert_eq!(client.auth.issuer.as_ref().unwrap().claim, "sub");
    assert!(client.reveal.contains(&Sensitivity::Financial) && client.reveal.len() == 1);
    assert!(client.addresses[0].contains("10.9.8.7".parse().unwrap()));
    let hour = Duration::from_secs(3_600);
    assert_eq!(
        client.limits.quota,
        Some(Quota {
            count: 1_000,
            per: hour
        })
    );
    assert!(client.expires.is_some() && !client.disabled);
}

#[test]
fn webhooks_have_what_they_say_and_the_standard_where_they_say_nothing() {
    let shop = &case("client-webhooks-good").clients["shop"];
    let [plain, orders] = shop.webhooks.as_slice() else {
        panic!("{:?}", shop.webhooks)
    };
    assert_eq!(
        (plain.name.as_str(), orders.name.as_str()),
        ("shop", "shop.orders")
    );
    assert!(plain.public_only && plain.retry.is_none() && plain.thin.is_none());
    assert_eq!(plain.on_exhausted, Exhausted::Park);
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    assert_eq!(
        (plain.disable.after, plain.disable.failures),
        (hours(120), None)
    );
    assert_eq!((plain.timeout.as_secs(), plain.concurrent), (20, 4));

    assert!(!orders.public_only && orders.thin == Some(true));
    assert_eq!(orders.previous.len(), 2);
    let retry = orders.retry.unwrap();
    assert_eq!((retry.attempts, retry.max_age), (5, Some(hours(1))));
    assert_eq!(
        (orders.disable.after, orders.disable.failures),
        (hours(2), Some(50))
    );
    assert_eq!(
        (orders.lane, orders.on_exhausted),
        (Lane::Realtime, Exhausted::Hold)
    );
    assert_eq!((orders.timeout.as_secs(), orders.concurrent), (5, 1));
    assert_eq!(orders.fetch.as_ref().unwrap().value, "https://api.example");
    let tls = orders.tls.as_ref().unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("orders.inside.example"));
}

#[test]
fn identity_is_what_the_file_says_or_the_first_internal_listener() {
    let said = case("api-and-client-good").identity;
    assert_eq!(said.issuer, "https://api.example");
    assert_eq!(said.token.algorithm, TokenAlgorithm::EdDsa);
    assert_eq!(said.issuers["staff"].algorithms, ["ES256"]);
    assert!(matches!(said.issuers["staff"].keys, IssuerKeys::Discovered));

    let derived = case("api-v2-beside-v1").identity;
    assert_eq!(derived.issuer, "http://127.0.0.1:8443");
    assert!(derived.issuer_at.is_none());
    assert_eq!(derived.token.life, Duration::from_secs(300));
}

#[test]
fn a_name_alone_means_the_newest_version_that_is_served() {
    let mut estate = case("api-v2-beside-v1");
    assert_eq!(estate.versions("supplier-master").len(), 2);
    assert_eq!(estate.api("supplier-master").unwrap().version.major, 2);
    let second = estate.apis.get_mut("supplier-master/v2").unwrap();
    second.state = Lifecycle::Draft;
    assert_eq!(estate.api("supplier-master").unwrap().version.major, 1);
    let operation = &estate.apis["supplier-master/v2"].operations["get-supplier"];
    let path = estate.apis["supplier-master/v2"].path(operation);
    assert_eq!(path, "/supplier-master/v2/suppliers/{supplier_id}");
}

#[test]
fn a_call_through_an_api_with_one_binding_goes_to_its_system() {
    let estate = case("flow-calls-an-api");
    let target = &estate.flows["nightly"].to[0];
    assert_eq!(target.kind.reference(), "erp.create-supplier");
    assert_eq!(target.kind.connection(), "erp.api");
}

#[test]
fn sensitivity_holds_for_what_is_below() {
    let estate = case("api-v2-beside-v1");
    let mut supplier = estate.entities["supplier"].clone();
    supplier
        .sensitivity
        .insert("bank".into(), Sensitivity::Financial);
    supplier
        .sensitivity
        .insert("bank.country".into(), Sensitivity::Public);
    assert_eq!(supplier.class_of("bank.iban"), Some(Sensitivity::Financial));
    assert_eq!(supplier.class_of("bank.country"), Some(Sensitivity::Public));
    assert_eq!(supplier.class_of("name"), None);
    assert_eq!(supplier.highest_class(), Some(Sensitivity::Financial));
}

#[test]
fn a_place_in_a_policy_is_within_its_text() {
    let estate = case("api-and-client-good");
    let policy = &estate.policies["base"];
    assert!(policy.text.starts_with("permit"));
    let at = policy.place(8..10_000);
    assert_eq!(at.file, policy.file);
    assert_eq!(at.end as usize, policy.text.len());
    assert_eq!(estate.sources.text(policy.file), &*policy.text);
}

/// A private key that got into the estate must not get into a terminal as well.
#[test]
fn a_private_key_is_never_shown() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let case = cases.join("client-private-key-in-its-file/estate");
    let loaded = load(&case, &LoadOptions::default());
    let shown = loaded.diagnostics.render(&loaded.sources, false);
    let json = loaded.diagnostics.to_json(&loaded.sources).to_string();
    assert!(shown.contains("W1130"));
    assert!(
        !shown.contains("nWGxne") && !json.contains("nWGxne"),
        "{shown}"
    );
}
