//! Signing in, as it is from outside: by account with everything that can be wrong, and by an
//! identity provider that lies.

use super::account::{AccountChange, Accounts};
use super::oidc::{Ask, NotVouched, Pending, Provider, Settings};
use super::{People, Proof, Refused, totp};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, SimulatedClock, Timestamp};
use wardline_vault::FileProvider;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse battery";

struct House {
    folder: tempfile::TempDir,
    people: People,
    clock: Arc<SimulatedClock>,
}

fn house(provider: Option<Provider>) -> House {
    let dir = tempfile::tempdir().unwrap();
    FileProvider::init(&dir.path().join("keys")).unwrap();
    let keys = Arc::new(FileProvider::open(&dir.path().join("keys")).unwrap());
    let roles = ["support", "administrator"].map(str::to_owned);
    let accounts = Accounts::open(dir.path(), "st-brigid", keys, roles).unwrap();
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(
        1_800_000_000_000_000,
    )));
    House {
        people: People::new(
            Some(accounts),
            provider,
            Arc::clone(&clock) as Arc<dyn Clock>,
        ),
        clock,
        folder: dir,
    }
}

impl House {
    fn add(&self, name: &str, password: Option<&str>) -> super::AccountChanged {
        self.people
            .accounts()
            .unwrap()
            .change(
                AccountChange::Add {
                    name: name.into(),
                    title: Some("Anna Diaz".into()),
                    roles: ["support".to_owned()].into(),
                    password: password.map(Into::into),
                },
                self.people.now(),
            )
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn code(&self, otpauth: &str) -> String {
        totp::at(&secret_of(otpauth), self.people.now().0 / 1_000_000)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The secret in an `otpauth:` link, read as an authenticator does.
fn secret_of(otpauth: &str) -> Vec<u8> {
    let text = otpauth.split("secret=").nth(1).unwrap();
    let text = text.split('&').next().unwrap();
    let (mut held, mut bits, mut out) = (0_u32, 0_u32, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter - b'2' + 26,
        };
        held = held << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    out
}

#[test]
fn name_password_and_code_let_in_once_and_each_try_is_an_entry() {
    let house = house(None);
    let otpauth = house.add("anna", Some(PASSWORD)).otpauth.unwrap();
    let code = house.code(&otpauth);
    let came = house.people.sign_in(" Anna ", PASSWORD, &code, HOME);
    let person = came.outcome.unwrap();
    assert_eq!((&*person.name, person.proof), ("anna", Proof::Account));
    assert!(person.roles.contains("support"));
    assert_eq!(came.entries[0].act, "signin.accept");
    assert_eq!(came.entries[0].actor, "user:anna");

    let again = house.people.sign_in("anna", PASSWORD, &code, HOME);
    assert_eq!(again.outcome, Err(Refused::Wrong));
    assert!(again.entries[0].reason.contains("used again"));
    house.pass(30);
    let next = house.code(&otpauth);
    assert!(
        house
            .people
            .sign_in("anna", PASSWORD, &next, HOME)
            .outcome
            .is_ok()
    );
}

#[test]
fn whatever_is_wrong_the_answer_is_the_same_and_the_log_knows() {
    let house = house(None);
    let otpauth = house.add("anna", Some(PASSWORD)).otpauth.unwrap();
    house.add("bert", None);
    let mut reasons = Vec::new();
    for (name, password, code) in [
        ("anna", "wrong horse battery", house.code(&otpauth)),
        ("anna", PASSWORD, "000000".into()),
        ("anna", PASSWORD, String::new()),
        ("bert", PASSWORD, house.code(&otpauth)),
        ("hunter2hunter2", PASSWORD, house.code(&otpauth)),
    ] {
        let tried = house.people.sign_in(name, password, &code, HOME);
        assert_eq!(
            tried.outcome,
            Err(Refused::Wrong),
            "{name} {password} {code}"
        );
        let entry = &tried.entries[0];
        assert_eq!(entry.act, "signin.refuse");
        reasons.push(entry.reason.clone());
        let written = format!("{entry:?}");
        assert!(
            !written.contains("hunter2") && !written.contains("horse"),
            "what somebody typed is in the log: {written}"
        );
    }
    assert_eq!(
        reasons,
        [
            "wrong password",
            "wrong one-time code",
            "wrong one-time code",
            "the person has not enrolled yet",
            "there is no such account",
        ]
    );
    let accounts = house.people.accounts().unwrap();
    let disable = AccountChange::Disable {
        name: "anna".into(),
    };
    accounts
        .change(disable, house.people.now())
        .unwrap_or_else(|error| panic!("{error}"));
    let code = house.code(&otpauth);
    let tried = house
        .people
        .sign_in("anna", PASSWORD, &code, "10.0.0.1".parse().unwrap());
    assert_eq!(tried.outcome, Err(Refused::Wrong));
    assert_eq!(tried.entries[0].reason, "the account is disabled");
}

#[test]
fn guessing_is_made_to_wait_even_with_the_right_password() {
    let house = house(None);
    let otpauth = house.add("anna", Some(PASSWORD)).otpauth.unwrap();
    for n in 1..=5 {
        let tried = house
            .people
            .sign_in("anna", "wrong horse battery", "000000", HOME);
        assert_eq!(tried.entries.len(), if n == 5 { 2 } else { 1 });
    }
    let code = house.code(&otpauth);
    let waiting = house.people.sign_in("anna", PASSWORD, &code, HOME);
    assert_eq!(waiting.outcome, Err(Refused::Wait(Duration::from_secs(15))));
    assert!(waiting.entries.is_empty(), "a flood does not fill the log");
    house.pass(15);
    let code = house.code(&otpauth);
    let came = house.people.sign_in("anna", PASSWORD, &code, HOME);
    assert!(came.outcome.is_ok());
    assert!(format!("{:?}", came.entries[0]).contains("ignored_before"));
}

#[test]
fn an_invitation_is_for_one_person_one_day_and_once() {
    let house = house(None);
    let invitation = house.add("anna", None).invitation.unwrap();
    house.add("bert", None);
    let people = &house.people;
    for (name, invitation) in [
        ("bert", &*invitation),
        ("anna", "AAAA"),
        ("carl", &*invitation),
    ] {
        assert!(
            people.enrolment(name, invitation, HOME).0.is_err(),
            "{name}"
        );
    }
    let spelt = invitation.to_lowercase();
    let (enrolment, _) = people.enrolment("anna", &spelt, HOME);
    let otpauth = enrolment.unwrap().otpauth.to_string();
    let code = house.code(&otpauth);
    assert!(
        people
            .enrol("anna", &invitation, "short", &code, HOME)
            .is_err()
    );
    let wrong = people
        .enrol("anna", &invitation, PASSWORD, "000000", HOME)
        .unwrap();
    assert_eq!(wrong.outcome, Err(Refused::Wrong));
    let came = people
        .enrol("anna", &invitation, PASSWORD, &code, HOME)
        .unwrap();
    assert!(came.outcome.is_ok());
    assert_eq!(came.entries[0].act, "person.enrol");
    let twice = people.enrol("anna", &invitation, "another horse battery", &code, HOME);
    assert_eq!(twice.unwrap().outcome, Err(Refused::Wrong));
    let code_again = people.sign_in("anna", PASSWORD, &code, HOME);
    assert_eq!(
        code_again.outcome,
        Err(Refused::Wrong),
        "the first code was used"
    );

    let late = house.add("dora", None).invitation.unwrap();
    house.pass(24 * 3600);
    assert!(people.enrolment("dora", &late, HOME).0.is_err());
    let states: Vec<_> = people
        .accounts()
        .unwrap()
        .list(people.now())
        .unwrap()
        .into_iter()
        .map(|account| (account.name, account.state))
        .collect();
    assert!(states.contains(&("dora".into(), "invitation expired".into())));
    assert!(states.contains(&("anna".into(), "active".into())));
}

#[test]
fn a_reset_takes_password_and_codes_at_once_and_secrets_rest_sealed() {
    let house = house(None);
    let otpauth = house.add("anna", Some(PASSWORD)).otpauth.unwrap();
    let file = std::fs::read_to_string(house.folder.path().join("people.json")).unwrap();
    let secret = otpauth
        .split("secret=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    assert!(!file.contains(secret) && !file.contains(PASSWORD), "{file}");
    let accounts = house.people.accounts().unwrap();
    let reset = AccountChange::Reset {
        name: "anna".into(),
        password: None,
    };
    accounts
        .change(reset, house.people.now())
        .unwrap_or_else(|error| panic!("{error}"));
    let code = house.code(&otpauth);
    let tried = house.people.sign_in("anna", PASSWORD, &code, HOME);
    assert_eq!(tried.outcome, Err(Refused::Wrong));
}

#[test]
fn accounts_are_checked_before_they_are_made() {
    let house = house(None);
    let accounts = house.people.accounts().unwrap();
    let add = |name: &str, role: &str| AccountChange::Add {
        name: name.into(),
        title: None,
        roles: [role.to_owned()].into(),
        password: None,
    };
    let now = house.people.now();
    for (change, says) in [
        (add("Anna Diaz", "support"), "cannot be the name"),
        (add("anna", "suport"), "there is no role `suport`"),
        (
            AccountChange::Disable {
                name: "nobody".into(),
            },
            "there is no account `nobody`",
        ),
    ] {
        let error = accounts.change(change, now).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
    house.add("anna", None);
    let twice = accounts.change(add("anna", "support"), now).err().unwrap();
    assert!(twice.to_string().contains("already"), "{twice}");
}

// --- an identity provider

const ISSUER: &str = "https://idp.example";

/// Signs whatever it is told to, and answers as an identity provider does.
struct Idp {
    pair: EcdsaKeyPair,
    claims: Mutex<Value>,
    header: Mutex<Value>,
    userinfo: Mutex<Value>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Idp {
    fn new() -> Arc<Self> {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        Arc::new(Self {
            pair,
            claims: Mutex::new(json!({})),
            header: Mutex::new(json!({ "alg": "ES256", "kid": "one" })),
            userinfo: Mutex::new(json!({ "sub": "s-1" })),
            asked: Mutex::default(),
        })
    }

    fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().to_owned();
        self.asked.lock().push((
            path.clone(),
            String::from_utf8(request.body().to_vec()).unwrap(),
        ));
        let body = match path.as_str() {
            "/.well-known/openid-configuration" => json!({
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/authorize"),
                "token_endpoint": format!("{ISSUER}/token"),
                "userinfo_endpoint": format!("{ISSUER}/me"),
                "jwks_uri": format!("{ISSUER}/jwks"),
            }),
            "/jwks" => {
                let point = self.pair.public_key().as_ref();
                let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "one", "use": "sig",
                    "x": encode(&point[1..33]), "y": encode(&point[33..65]) }] })
            }
            "/token" => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let signed = format!(
                    "{}.{}",
                    part(&self.header.lock()),
                    part(&self.claims.lock())
                );
                let signature = self
                    .pair
                    .sign(&SystemRandom::new(), signed.as_bytes())
                    .unwrap();
                let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
                json!({ "access_token": "opaque", "token_type": "Bearer", "id_token": token })
            }
            "/me" => {
                let bearer = &request.headers()[header::AUTHORIZATION];
                assert_eq!(bearer, "Bearer opaque");
                self.userinfo.lock().clone()
            }
            other => panic!("nobody asks for {other}"),
        };
        Response::new(Bytes::from(body.to_string()))
    }
}

fn settings() -> Settings {
    Settings {
        title: "St. Brigid".into(),
        issuer: ISSUER.into(),
        client_id: "wardline".into(),
        client_secret: None,
        redirect: "https://wardline.example/login/return".into(),
        scopes: vec!["openid".into()],
        name: "preferred_username".into(),
        groups: "groups".into(),
        roles: BTreeMap::from([("desk".into(), ["support".into()].into())]),
        acr: Vec::new(),
        amr: vec!["mfa".into()],
    }
}

fn provider(idp: &Arc<Idp>, settings: Settings) -> Provider {
    let idp = Arc::clone(idp);
    let ask = Ask::new(move |request| {
        let answer = idp.answer(request);
        Box::pin(async move { Ok(answer) })
    });
    Provider::new(settings, ask)
}

fn query(url: &str, name: &str) -> String {
    url::Url::parse(url)
        .unwrap()
        .query_pairs()
        .find(|(found, _)| found == name)
        .unwrap_or_else(|| panic!("{url} has no {name}"))
        .1
        .into_owned()
}

fn now() -> Timestamp {
    Timestamp(1_800_000_000_000_000)
}

fn good(nonce: &str) -> Value {
    let seconds = now().0 / 1_000_000;
    json!({
        "iss": ISSUER, "sub": "s-1", "aud": "wardline", "iat": seconds, "exp": seconds + 60,
        "nonce": nonce, "amr": ["pwd", "mfa"], "preferred_username": "anna", "groups": ["desk", "x"],
    })
}

async fn begun(provider: &Provider) -> (Pending, String) {
    provider.begin(now()).await.unwrap()
}

#[tokio::test]
async fn a_word_of_the_provider_names_a_person_with_roles() {
    let idp = Idp::new();
    let provider = provider(&idp, settings());
    let (pending, url) = begun(&provider).await;
    assert_eq!(query(&url, "state"), pending.state);
    assert_eq!(query(&url, "code_challenge_method"), "S256");
    *idp.claims.lock() = good(&query(&url, "nonce"));
    let person = provider.finish(pending, "c0de", None, now()).await.unwrap();
    assert_eq!(
        (&*person.name, person.subject.as_deref()),
        ("anna", Some("s-1"))
    );
    assert_eq!(person.roles, ["support".into()].into());
    let (_, form) = idp.asked.lock().last().cloned().unwrap();
    // RFC 7636, 4.6: the challenge is of the verifier alone, not of what follows it in the form.
    let (_, verifier) = url::form_urlencoded::parse(form.as_bytes())
        .find(|(name, _)| name == "code_verifier")
        .unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    assert_eq!(query(&url, "code_challenge"), URL_SAFE_NO_PAD.encode(hash));
}

#[tokio::test]
async fn nearly_right_tokens_are_refused() {
    let idp = Idp::new();
    let provider = provider(&idp, settings());
    let seconds = now().0 / 1_000_000;
    let cases: [(&str, Value); 12] = [
        ("iss", json!("https://idp.example/")),
        ("aud", json!("other")),
        ("aud", json!(["wardline", "other"])),
        ("azp", json!("other")),
        ("exp", json!(seconds - 60)),
        ("exp", json!((seconds + 60).to_string())),
        ("iat", json!(seconds + 600)),
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("amr", json!(["pwd"])),
        ("sub", json!("")),
        ("preferred_username", json!("an\nna")),
    ];
    for (claim, value) in cases {
        let (pending, url) = begun(&provider).await;
        let mut claims = good(&query(&url, "nonce"));
        claims[claim] = value.clone();
        *idp.claims.lock() = claims;
        let refused = provider.finish(pending, "c0de", None, now()).await;
        assert!(refused.is_err(), "{claim}: {value}");
    }
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256", "kid": "one" }),
        json!({ "alg": "ES256", "kid": "two" }),
        json!({ "alg": "ES256", "kid": "one", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "kid": "one", "crit": ["exp"] }),
    ] {
        let (pending, url) = begun(&provider).await;
        *idp.claims.lock() = good(&query(&url, "nonce"));
        *idp.header.lock() = header.clone();
        let refused = provider.finish(pending, "c0de", None, now()).await;
        assert!(matches!(refused, Err(NotVouched::Token(_))), "{header}");
    }
    *idp.header.lock() = json!({ "alg": "ES256", "kid": "one" });
    let (pending, url) = begun(&provider).await;
    *idp.claims.lock() = good(&query(&url, "nonce"));
    let mixed = provider
        .finish(pending, "c0de", Some("https://evil.example"), now())
        .await;
    assert_eq!(mixed, Err(NotVouched::MixUp));
}

#[tokio::test]
async fn groups_come_from_userinfo_where_the_token_has_none_and_must_be_known() {
    let idp = Idp::new();
    let provider = provider(&idp, settings());
    let (pending, url) = begun(&provider).await;
    let mut claims = good(&query(&url, "nonce"));
    claims.as_object_mut().unwrap().remove("groups");
    *idp.claims.lock() = claims.clone();
    *idp.userinfo.lock() =
        json!({ "sub": "s-1", "groups": "desk", "preferred_username": "mallory" });
    let person = provider.finish(pending, "c0de", None, now()).await.unwrap();
    assert_eq!(&*person.name, "anna", "what is signed counts");

    for (userinfo, none) in [
        (json!({ "sub": "s-2", "groups": "desk" }), false),
        (
            json!({ "sub": "s-1", "groups": ["Desk", "engineers"] }),
            true,
        ),
    ] {
        let (pending, url) = begun(&provider).await;
        claims["nonce"] = json!(query(&url, "nonce"));
        *idp.claims.lock() = claims.clone();
        *idp.userinfo.lock() = userinfo.clone();
        let refused = provider
            .finish(pending, "c0de", None, now())
            .await
            .unwrap_err();
        assert_eq!(
            matches!(refused, NotVouched::NoRole { .. }),
            none,
            "{userinfo}"
        );
    }
}

#[tokio::test]
async fn nobody_takes_the_name_of_an_account() {
    let idp = Idp::new();
    let house = house(Some(provider(&idp, settings())));
    house.add("anna", Some(PASSWORD));
    let (pending, url) = house.people.provider().unwrap().begin(now()).await.unwrap();
    *idp.claims.lock() = good(&query(&url, "nonce"));
    let tried = house
        .people
        .sign_in_by_provider(pending, "c0de", None, HOME)
        .await;
    assert_eq!(tried.outcome, Err(Refused::Provider));
    assert!(tried.entries[0].reason.contains("same name"));
}
