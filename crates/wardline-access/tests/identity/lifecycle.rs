//! What changes while calls are served: revocations, clients, keys, restarts.

use crate::support::{SECRET, World, basic, clients};
use wardline_access::AccessEvent;
use wardline_access::identity::{ClientDirectory, HashedSecret};
use wardline_access::token::{KeyState, SigningAlgorithm};

const DAY: u64 = 86_400;

async fn reason(world: &World, token: &str) -> Option<String> {
    let found = world.call(token, &world.inside()).await;
    found.err().map(|refusal| format!("{:?}", refusal.reason()))
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_after_a_restart() {
    let world = World::new();
    let (token, kept) = (world.token(), world.token());
    assert_eq!(reason(&world, &token).await, None, "now it is cached");
    let revoke = |auth: &str| {
        let body = format!("token={token}&token_type_hint=access_token");
        let answer = world.post("/oauth/revoke", Some(auth), &body, &world.inside());
        answer.0.status().as_u16()
    };
    assert_eq!(revoke(&basic("other", "another")), 200);
    assert_eq!(reason(&world, &token).await, None, "it is another's");
    assert_eq!(revoke(&basic("erp", "wrong")), 401);
    assert_eq!(revoke(&basic("erp", SECRET)), 200);
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Revoked"));
    assert_eq!(reason(&world, &kept).await, None);
    assert_eq!(
        revoke(&basic("erp", SECRET)),
        200,
        "twice is the same as once"
    );

    let world = world.restarted();
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Revoked"));
    assert_eq!(
        reason(&world, &kept).await,
        None,
        "the signing key is the same"
    );
}

#[tokio::test]
async fn all_tokens_of_a_client_stop_at_once_and_new_ones_work() {
    let world = World::new();
    let token = world.token();
    assert_eq!(reason(&world, &token).await, None);
    world.identity.stop_tokens(Some("other")).unwrap();
    assert_eq!(reason(&world, &token).await, None);
    world.identity.stop_tokens(Some("erp")).unwrap();
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Revoked"));
    // Within the same second.
    let next = world.token();
    assert_eq!(reason(&world, &next).await, None);
    world.identity.stop_tokens(None).unwrap();
    assert_eq!(reason(&world, &next).await.as_deref(), Some("Revoked"));
    let world = world.restarted();
    assert_eq!(reason(&world, &next).await.as_deref(), Some("Revoked"));
    assert_eq!(reason(&world, &world.token()).await, None);
}

#[tokio::test]
async fn another_process_revokes_too() {
    let world = World::new();
    let token = world.token();
    assert_eq!(reason(&world, &token).await, None);
    let data = world.dir.path().join("data");
    let beside = wardline_access::token::Revocations::open(
        wardline_access::token::Revocations::file_in(&data),
    )
    .unwrap();
    beside.stop(Some("erp"), world.now()).unwrap();
    world.identity.upkeep(false);
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Revoked"));
}

#[tokio::test]
async fn a_client_that_changes_is_another_at_the_next_call() {
    let world = World::new();
    let token = world.token();
    let found = world.call(&token, &world.inside()).await.unwrap();
    assert_eq!(found.caller.scopes.len(), 3);

    let change = |change: &dyn Fn(&mut wardline_access::identity::ClientCredentials)| {
        let mut all = clients(&world.ghx, &world.api_key);
        change(&mut all[0]);
        world
            .identity
            .replace_clients(ClientDirectory::new(all).unwrap());
    };
    change(&|erp| erp.scopes.retain(|scope| &**scope != "orders.write"));
    let found = world.call(&token, &world.inside()).await.unwrap();
    assert_eq!(found.caller.scopes.len(), 2, "what was taken away is gone");
    change(&|erp| erp.disabled = true);
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Disabled"));
    change(&|erp| erp.expires = Some(wardline_core::Timestamp::from_unix_ms(0)));
    assert_eq!(
        reason(&world, &token).await.as_deref(),
        Some("ClientExpired")
    );
    change(&|erp| erp.addresses = vec!["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Address"));
    world.identity.replace_clients(ClientDirectory::default());
    assert_eq!(
        reason(&world, &token).await.as_deref(),
        Some("UnknownClient")
    );
    change(&|_| {});
    assert_eq!(reason(&world, &token).await, None);

    // While a secret is exchanged, both are good.
    let old = |name: &str| HashedSecret::new(name.as_bytes()).unwrap();
    change(&|erp| erp.secrets = vec![old("new"), old(SECRET)]);
    world.token();
    change(&|erp| erp.secrets = vec![old("new")]);
    let body = "grant_type=client_credentials";
    let answer = world.post(
        "/oauth/token",
        Some(&basic("erp", SECRET)),
        body,
        &world.inside(),
    );
    assert_eq!(answer.0.status(), 401);
}

#[tokio::test]
async fn an_address_counts_for_every_call_and_in_either_notation() {
    let world = World::new();
    let body = "grant_type=client_credentials";
    let auth = basic("other", "another");
    let mut peer = world.inside();
    peer.address = "::ffff:10.9.9.9".parse().unwrap();
    let answer = world.post("/oauth/token", Some(&auth), body, &peer);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert!(world.call(&token, &peer).await.is_ok());
    peer.address = "11.0.0.1".parse().unwrap();
    let refused = world.call(&token, &peer).await.unwrap_err();
    assert_eq!(format!("{:?}", refused.reason()), "Address");
    assert_eq!(
        world
            .post("/oauth/token", Some(&auth), body, &peer)
            .0
            .status(),
        401
    );
}

#[tokio::test]
async fn a_token_expires_though_it_is_cached() {
    let world = World::new();
    let token = world.token();
    for _ in 0..11 {
        assert_eq!(reason(&world, &token).await, None);
        world.advance(29);
    }
    assert_eq!(reason(&world, &token).await, None, "within the leeway");
    world.advance(11);
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Expired"));
}

#[tokio::test]
async fn keys_rotate_under_use_and_refuse_no_token() {
    let world = World::new();
    let keys = || world.identity.signing_keys().list();
    let published = || {
        world.get("/oauth/jwks").json()["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    let first = keys()[0].kid.clone();
    assert_eq!((keys().len(), keys()[0].state), (1, KeyState::Active));

    // Eighty-nine days, minute by minute would be the same.
    world.advance(89 * DAY - 60);
    world.identity.upkeep(true);
    assert_eq!(keys().len(), 1);
    world.advance(60);
    world.identity.upkeep(true);
    assert_eq!(
        keys().iter().map(|key| key.state).collect::<Vec<_>>(),
        [KeyState::Active, KeyState::Published]
    );
    assert_eq!(published(), 2, "a day before it signs");

    world.advance(DAY - 1);
    world.identity.upkeep(true);
    let old = world.token();
    world.advance(1);
    // Before the keeper comes round, and after.
    let between = world.token();
    world.identity.upkeep(true);
    let new = world.token();
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_eq!(kid(&old), first);
    assert_ne!(kid(&new), first);
    for token in [&old, &between, &new] {
        assert_eq!(reason(&world, token).await, None);
    }
    assert_eq!(keys()[0].state, KeyState::Retired);
    let file = std::fs::read_to_string(world.dir.path().join("data/signing-keys.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert!(file["keys"][0]["key"].is_null(), "its private half is gone");

    world.advance(599);
    world.identity.upkeep(true);
    assert_eq!(published(), 2, "it verifies what it signed");
    world.advance(1);
    world.identity.upkeep(true);
    assert_eq!((published(), keys()[0].state), (1, KeyState::Destroyed));

    let told: Vec<_> = world
        .events
        .lock()
        .iter()
        .filter_map(|event| match event {
            AccessEvent::SigningKey { kid, state } if *kid == first => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["active", "retired", "destroyed"]);
}

#[tokio::test]
async fn a_key_that_leaked_is_replaced_with_all_it_signed() {
    let world = World::new();
    let token = world.token();
    assert_eq!(reason(&world, &token).await, None);
    world.identity.replace_keys().unwrap();
    assert_eq!(reason(&world, &token).await.as_deref(), Some("UnknownKey"));
    assert_eq!(reason(&world, &world.token()).await, None);
    assert_eq!(
        world.get("/oauth/jwks").json()["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn another_algorithm_comes_by_rotation() {
    let world = World::new();
    let token = world.token();
    let dir = std::sync::Arc::clone(&world.dir);
    drop(world);
    let world = World::reopened(dir, SigningAlgorithm::EdDsa);
    let header = |token: &str| jsonwebtoken::decode_header(token).unwrap().alg;
    assert_eq!(reason(&world, &token).await, None);
    assert_eq!(
        header(&world.token()),
        jsonwebtoken::Algorithm::ES256,
        "not before it was published"
    );
    world.advance(DAY);
    world.identity.upkeep(true);
    let token = world.token();
    assert_eq!(header(&token), jsonwebtoken::Algorithm::EdDSA);
    assert_eq!(reason(&world, &token).await, None);
}

#[test]
fn keys_of_another_estate_or_form_are_refused() {
    use wardline_access::token::{Rotation, SigningKeys};
    let world = World::new();
    let data = world.dir.path().join("data");
    let open = |estate: &str| {
        SigningKeys::open(
            SigningKeys::file_in(&data),
            estate,
            std::sync::Arc::clone(&world.provider),
            SigningAlgorithm::Es256,
            Rotation::default(),
            wardline_core::Timestamp::from_unix_ms(world.now() * 1_000),
        )
        .map(drop)
    };
    open("st-brigid").unwrap();
    assert!(
        open("st-elsewhere")
            .unwrap_err()
            .to_string()
            .contains("another estate")
    );
    let file = data.join("signing-keys.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let write = |text: String| {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&file)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    write(text.replacen("\"sealed\": \"", "\"sealed\": \"AAAA", 1));
    assert!(open("st-brigid").is_err(), "a key that was tampered with");
    write("{}".to_owned());
    assert!(
        open("st-brigid")
            .unwrap_err()
            .to_string()
            .contains("cannot be used")
    );
}
