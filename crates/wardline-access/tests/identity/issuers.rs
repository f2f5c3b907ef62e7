//! Tokens of other issuers, whose keys are somewhere else and sometimes not to be had.

use crate::support::{INTERNAL, World, clients, jwk, key_pair, sign};
use aws_lc_rs::signature::EcdsaKeyPair;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wardline_access::AccessEvent;
use wardline_access::identity::{
    ClientDirectory, ExternalIssuer, Fetch, Fetched, IssuerKeys, IssuerMatch, ScopeSource,
};
use wardline_access::token::Algorithm;

const LOGIN: &str = "https://login.example/tenant";

/// An identity provider that can be broken.
struct Idp {
    answers: Arc<Mutex<Value>>,
    fetches: Arc<AtomicUsize>,
    slow: Arc<tokio::sync::Semaphore>,
    key: EcdsaKeyPair,
}

impl Idp {
    fn serving(world: &World, scopes: ScopeSource) -> Self {
        let key = key_pair();
        let idp = Self {
            answers: Arc::new(Mutex::new(json!({
                format!("{LOGIN}/.well-known/openid-configuration"):
                    { "issuer": LOGIN, "jwks_uri": "https://login.example/keys" },
                "https://login.example/keys": { "keys": [jwk(&key, "k1")] },
            }))),
            fetches: Arc::default(),
            slow: Arc::new(tokio::sync::Semaphore::new(1000)),
            key,
        };
        let mut all = clients(&world.ghx, &world.api_key);
        all[0].issuers = vec![IssuerMatch {
            issuer: "login".into(),
            claim: "azp".to_owned(),
            equals: "erp-app".to_owned(),
        }];
        world
            .identity
            .replace_clients(ClientDirectory::new(all).unwrap());
        world
            .identity
            .replace_issuers(vec![issuer(scopes)], idp.fetch());
        idp
    }

    fn fetch(&self) -> Fetch {
        let (answers, fetches) = (Arc::clone(&self.answers), Arc::clone(&self.fetches));
        let slow = Arc::clone(&self.slow);
        Fetch::new(move |url| {
            fetches.fetch_add(1, Ordering::SeqCst);
            let (answers, slow) = (Arc::clone(&answers), Arc::clone(&slow));
            Box::pin(async move {
                slow.acquire().await.map_err(|_| "closed")?.forget();
                let answers = answers.lock();
                let body = answers.get(&url).ok_or("connection refused")?;
                Ok(Fetched {
                    status: 200,
                    body: Bytes::from(body.to_string()),
                })
            })
        })
    }

    fn rotate(&mut self, kid: &str) {
        self.key = key_pair();
        self.answers.lock()["https://login.example/keys"] =
            json!({ "keys": [jwk(&self.key, kid)] });
    }

    fn fetches(&self) -> usize {
        self.fetches.swap(0, Ordering::SeqCst)
    }

    fn token(&self, world: &World, kid: &str, changes: &Value) -> String {
        let mut claims = json!({
            "iss": LOGIN, "aud": ["account", "wardline"], "sub": "2f0c", "azp": "erp-app",
            "iat": world.now(), "exp": world.now() + 3600, "scope": "orders.read admin",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
        sign(&self.key, &header.to_string(), &claims.to_string())
    }
}

fn issuer(scopes: ScopeSource) -> ExternalIssuer {
    ExternalIssuer {
        name: "login".into(),
        issuer: LOGIN.to_owned(),
        keys: IssuerKeys::Discovered,
        audience: "wardline".to_owned(),
        algorithms: vec![Algorithm::Es256],
        scopes,
    }
}

async fn reason(world: &World, token: &str) -> Option<String> {
    let found = world.call(token, &world.inside()).await;
    found.err().map(|refusal| format!("{:?}", refusal.reason()))
}

#[tokio::test]
async fn a_token_of_another_issuer_stands_for_a_client() {
    let world = World::new();
    let idp = Idp::serving(&world, ScopeSource::Token);
    let token = idp.token(&world, "k1", &json!({}));
    // Nothing was fetched yet: the first call does.
    let found = world.call(&token, &world.inside()).await.unwrap();
    assert_eq!(&*found.caller.name, "erp");
    assert_eq!(found.caller.scopes, crate::support::names(&["orders.read"]));
    assert_eq!(idp.fetches(), 2, "discovery and keys");
    for (changes, expected) in [
        (json!({ "azp": "other-app" }), "UnknownClient"),
        (json!({ "aud": "account" }), "Audience"),
        (json!({ "aud": [] }), "Audience"),
        (json!({ "iss": "https://login.example/other" }), "Issuer"),
        (json!({ "exp": world.now() - 31 }), "Expired"),
        (json!({ "exp": "9999999999" }), "Claim"),
        (json!({ "nbf": world.now() + 31 }), "NotYet"),
        (json!({ "cnf": { "jkt": "AAAA" } }), "Binding"),
    ] {
        let token = idp.token(&world, "k1", &changes);
        assert_eq!(
            reason(&world, &token).await.as_deref(),
            Some(expected),
            "{changes}"
        );
    }
    // It cannot sign for us, nor we for it.
    let forged = json!({ "iss": INTERNAL, "aud": INTERNAL, "client_id": "erp", "sub": "erp" });
    let forged = idp.token(&world, "k1", &forged);
    assert_eq!(reason(&world, &forged).await.as_deref(), Some("Type"));
    world.identity.stop_tokens(Some("erp")).unwrap();
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Revoked"));
}

#[tokio::test]
async fn an_issuer_without_our_scopes_brings_all_that_were_granted() {
    let world = World::new();
    let idp = Idp::serving(&world, ScopeSource::Granted);
    let token = idp.token(&world, "k1", &json!({ "scope": "openid" }));
    let found = world.call(&token, &world.inside()).await.unwrap();
    assert_eq!(found.caller.scopes.len(), 3);
}

#[tokio::test]
async fn an_issuer_that_is_down_refuses_nobody_for_a_day() {
    let world = World::new();
    let idp = Idp::serving(&world, ScopeSource::Token);
    world.identity.refresh_issuers().await;
    *idp.answers.lock() = json!({});
    for _ in 0..24 {
        world.advance(3600 - 1);
        world.identity.refresh_issuers().await;
        let token = idp.token(&world, "k1", &json!({}));
        assert_eq!(reason(&world, &token).await, None);
    }
    world.advance(60);
    let token = idp.token(&world, "k1", &json!({}));
    assert_eq!(reason(&world, &token).await.as_deref(), Some("NoKeys"));
    let failures = world
        .events
        .lock()
        .iter()
        .filter(|event| {
            matches!(
                event,
                AccessEvent::IssuerKeys {
                    failure: Some(_),
                    ..
                }
            )
        })
        .count();
    assert!(failures >= 24);
}

#[tokio::test]
async fn an_issuer_that_rotates_is_asked_once_a_minute_at_most() {
    let world = World::new();
    let mut idp = Idp::serving(&world, ScopeSource::Token);
    world.identity.refresh_issuers().await;
    idp.fetches();
    world.advance(61);
    idp.rotate("k2");
    let token = idp.token(&world, "k2", &json!({}));
    assert_eq!(
        reason(&world, &token).await,
        None,
        "its keys are fetched for it"
    );
    assert_eq!(idp.fetches(), 2);
    for n in 0..50 {
        let token = idp.token(&world, &format!("made-up-{n}"), &json!({}));
        assert_eq!(reason(&world, &token).await.as_deref(), Some("UnknownKey"));
    }
    assert_eq!(idp.fetches(), 0, "within the minute nobody is asked");
    world.advance(60);
    let token = idp.token(&world, "made-up", &json!({}));
    assert_eq!(reason(&world, &token).await.as_deref(), Some("UnknownKey"));
    assert_eq!(idp.fetches(), 2);
}

#[tokio::test]
async fn many_calls_at_once_fetch_once() {
    let world = World::new();
    let idp = Idp::serving(&world, ScopeSource::Token);
    idp.slow.forget_permits(1000);
    let token = idp.token(&world, "k1", &json!({}));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (identity, token) = (Arc::clone(&world.identity), token.clone());
            let peer = world.inside();
            tokio::spawn(async move {
                let headers = crate::support::bearer(&token);
                identity.recognise(&headers, &peer).await.is_ok()
            })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    idp.slow.add_permits(1000);
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(idp.fetches(), 2);
}

#[tokio::test]
async fn answers_that_are_no_keys_change_nothing() {
    let world = World::new();
    let idp = Idp::serving(&world, ScopeSource::Token);
    world.identity.refresh_issuers().await;
    let discovery = format!("{LOGIN}/.well-known/openid-configuration");
    let good = idp.answers.lock().clone();
    for (url, answer) in [
        ("https://login.example/keys", json!({ "keys": [] })),
        ("https://login.example/keys", json!({ "keys": "k1" })),
        ("https://login.example/keys", json!([])),
        (
            "https://login.example/keys",
            json!({ "keys": [], "pad": "x".repeat(300_000) }),
        ),
        (
            &discovery,
            json!({ "issuer": "https://evil.example", "jwks_uri": "https://login.example/keys" }),
        ),
        (
            &discovery,
            json!({ "issuer": LOGIN, "jwks_uri": "http://login.example/keys" }),
        ),
        (
            &discovery,
            json!({ "issuer": LOGIN, "jwks_uri": "file:///etc/passwd" }),
        ),
        (&discovery, json!({ "issuer": LOGIN })),
    ] {
        world.events.lock().clear();
        *idp.answers.lock() = good.clone();
        idp.answers.lock()[url] = answer.clone();
        world.identity.refresh_issuers().await;
        let events = world.events.lock().clone();
        assert!(
            matches!(
                &events[..],
                [AccessEvent::IssuerKeys {
                    failure: Some(_),
                    ..
                }]
            ),
            "{events:?}"
        );
        let token = idp.token(&world, "k1", &json!({}));
        assert_eq!(reason(&world, &token).await, None);
    }
    // An estate that changes keeps the keys it has.
    *idp.answers.lock() = json!({});
    world
        .identity
        .replace_issuers(vec![issuer(ScopeSource::Granted)], idp.fetch());
    let token = idp.token(&world, "k1", &json!({}));
    assert_eq!(reason(&world, &token).await, None);
    world.identity.replace_issuers(vec![], Fetch::none());
    assert_eq!(reason(&world, &token).await.as_deref(), Some("Issuer"));
}
