//! People come in, see what their roles let them, and go.

use crate::fake::{Hospital, PATIENT};
use crate::site::{Answer, HOST, Site, json};
use aws_lc_rs::hmac;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wardline_access::people::{AccountChange, Accounts, People};
use wardline_access::policy::{Entity, Flow, PolicyText, World, compile};
use wardline_console::{AdminToken, Auth, Console, Entrance};
use wardline_core::{DeliveryState, RealClock, Sensitivity, Timestamp};
use wardline_vault::FileProvider;

const PASSWORD: &str = "correct horse battery";
const ROLES: [&str; 7] = [
    "integration-engineer",
    "support",
    "process-owner",
    "data-steward",
    "security-auditor",
    "administrator",
    "night-desk",
];

/// A console with an account for every role, called as its role is.
pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) stranger: Site,
    secrets: Vec<(String, Vec<u8>)>,
}

pub(crate) fn house() -> House {
    house_with(|auth| auth)
}

fn house_with(tls: impl FnOnce(Auth) -> Auth) -> House {
    let folder = tempfile::tempdir().unwrap();
    let token = AdminToken::load_or_create(&folder.path().join("admin.token")).unwrap();
    FileProvider::init(&folder.path().join("keys")).unwrap();
    let keys = Arc::new(FileProvider::open(&folder.path().join("keys")).unwrap());
    let roles = ROLES.map(str::to_owned);
    let accounts = Accounts::open(folder.path(), "st-brigid", keys, roles).unwrap();
    let mut secrets = Vec::new();
    for role in ROLES {
        let change = AccountChange::Add {
            name: role.into(),
            title: None,
            roles: [role.to_owned()].into(),
            password: Some(PASSWORD.into()),
        };
        let made = accounts.change(change, Timestamp::now());
        let otpauth = made.unwrap_or_else(|error| panic!("{error}")).otpauth;
        secrets.push((role.to_owned(), secret_of(&otpauth.unwrap())));
    }
    let people = People::new(Some(accounts), None, Arc::new(RealClock));
    let (policies, problems) = compile(&World {
        entities: vec![Entity {
            name: "encounter".into(),
            owner: "patient-access".into(),
            sensitivity: [("patient.name".into(), Sensitivity::Pii)].into(),
        }],
        flows: vec![Flow {
            name: "discharge-to-housekeeping".into(),
            owner: "facilities".into(),
        }],
        roles: [Arc::from("night-desk")].into(),
        policies: vec![PolicyText {
            path: "policies/night.cedar".into(),
            text: r#"@id("night") permit(principal in Role::"night-desk", action in [Action::"view", Action::"replay"], resource == Flow::"discharge-to-housekeeping");"#.into(),
        }],
        ..World::default()
    });
    let policies = Arc::new(policies.unwrap_or_else(|| panic!("{problems:?}")));
    let entrance = Entrance::new(
        Arc::new(people),
        move || Arc::clone(&policies),
        jiff::tz::TimeZone::UTC,
    );
    let hospital = Arc::new(Hospital::new());
    let auth = Auth::new(&token, HOST.parse().unwrap()).unwrap();
    let console = Console::with_people(hospital.clone(), None, tls(auth), entrance);
    House {
        stranger: Site::stranger(console, hospital, token.reveal()),
        folder,
        secrets,
    }
}

/// The secret in an `otpauth:` link, read as an authenticator does.
fn secret_of(otpauth: &str) -> Vec<u8> {
    let text = otpauth.split("secret=").nth(1).unwrap();
    let (mut held, mut bits, mut out) = (0_u32, 0_u32, Vec::new());
    for letter in text.split('&').next().unwrap().bytes() {
        let value = if letter.is_ascii_digit() {
            letter - b'2' + 26
        } else {
            letter - b'A'
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

/// The code of now (RFC 6238), `steps` later.
fn code(secret: &[u8], steps: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &(now.as_secs() / 30 + steps).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let cut = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap());
    format!("{:06}", (cut & 0x7fff_ffff) % 1_000_000)
}

impl House {
    /// A browser before the door.
    async fn browser(&self) -> Site {
        let door = self.stranger.get("/login").await;
        assert_eq!(door.status, StatusCode::OK);
        let mut site = Site::stranger(
            self.stranger.console.clone(),
            self.stranger.hospital.clone(),
            &self.stranger.token,
        );
        site.router = self.stranger.router.clone();
        site.cookie = door.cookie("wardline_door").unwrap();
        site.csrf = door.csrf();
        site
    }

    fn secret(&self, name: &str) -> &[u8] {
        let found = self.secrets.iter().find(|(known, _)| known == name);
        &found.unwrap().1
    }

    async fn knock(&self, browser: &Site, name: &str, password: &str, code: &str) -> Answer {
        let password = password.replace(' ', "+");
        let form = format!("name={name}&password={password}&code={code}");
        browser.post("/login", &form).await
    }

    /// Somebody of that role, signed in.
    pub(crate) async fn person(&self, role: &str) -> Site {
        let browser = self.browser().await;
        let came = self
            .knock(&browser, role, PASSWORD, &code(self.secret(role), 0))
            .await;
        assert_eq!(came.status, StatusCode::SEE_OTHER, "{role}: {}", came.text);
        // The night desk may not look at what runs: it is here for what it is asked.
        let first = if role == "night-desk" { "/tasks" } else { "/" };
        assert_eq!(came.header(header::LOCATION), first);
        let cookie = came.cookie("wardline_8420").unwrap();
        browser.with_cookie(&cookie).await
    }

    pub(crate) fn acts(&self, act: &str) -> Vec<String> {
        let acts = self.stranger.hospital.acts().into_iter();
        acts.filter(|(found, _)| found == act)
            .map(|(_, reason)| reason)
            .collect()
    }
}

/// What each role may open: engineer, support, owner, steward, auditor, administrator, and a
/// role that only an estate's own policy knows.
#[tokio::test]
async fn pages_and_acts_are_for_those_roles_that_policy_lets() {
    const ALL: &str = "esodam";
    const OPERATORS: &str = "esom";
    const LETTERS: &str = "esodamn";
    let house = house();
    let hospital = &house.stranger.hospital;
    let root = hospital.known();
    let held = hospital
        .every()
        .into_iter()
        .find(|delivery| delivery.state == DeliveryState::Held)
        .unwrap();
    let payload = format!(r#"{{"part":"payload","id":"{root}"}}"#);
    let seen =
        format!(r#"{{"part":"payload","id":"{root}","reveal":"INC-1","purpose":"HOPERAT"}}"#);
    let select = r#""select":{"destination":"bed-board.release-bed"}"#;
    let order = hospital.orders.lock().instances[1].instance.id;
    let task = hospital.orders.lock().tasks[0].id;
    let act = |act: &str| format!("{{{act},\"reason\":\"x y\"}}");
    let why = r#"{"reason":"INC-1","purpose":"HOPERAT"}"#;
    let of_flow = r#"{"select":{"flow":"discharge-to-housekeeping"},"preview":true}"#;
    let rows: Vec<(&str, String, String, &str)> = vec![
        ("GET", "/".into(), String::new(), ALL),
        ("GET", "/live".into(), String::new(), ALL),
        ("GET", "/messages".into(), String::new(), ALL),
        ("POST", "/messages".into(), "q=state%3Aheld".into(), ALL),
        ("GET", format!("/trace/{root}"), String::new(), ALL),
        ("GET", "/dead".into(), String::new(), ALL),
        ("GET", "/dead/v1%3A9f2ac418".into(), String::new(), ALL),
        (
            "GET",
            "/destinations/bed-board.release-bed".into(),
            String::new(),
            ALL,
        ),
        ("GET", "/jobs".into(), String::new(), ALL),
        ("GET", "/audit".into(), String::new(), "am"),
        ("GET", format!("/resubmit/{}", held.id), String::new(), "e"),
        (
            "POST",
            format!("/resubmit/{}", held.id),
            "reason=wrong+ward&purpose=HOPERAT".into(),
            "e",
        ),
        (
            "POST",
            "/plans".into(),
            "act=replay&destination=bed-board.release-bed".into(),
            OPERATORS,
        ),
        (
            "POST",
            "/plans".into(),
            "act=release&destination=bed-board.release-bed".into(),
            OPERATORS,
        ),
        (
            "POST",
            "/plans".into(),
            "act=cancel&destination=bed-board.release-bed".into(),
            OPERATORS,
        ),
        (
            "POST",
            "/plans".into(),
            "act=park&destination=bed-board.release-bed".into(),
            OPERATORS,
        ),
        (
            "POST",
            format!("/trace/{root}"),
            "reason=INC-2231&purpose=HOPERAT".into(),
            "e",
        ),
        ("GET", "/api/session".into(), String::new(), LETTERS),
        ("GET", "/api/overview".into(), String::new(), ALL),
        ("GET", "/api/jobs".into(), String::new(), ALL),
        ("POST", "/api/messages".into(), "{}".into(), ALL),
        (
            "POST",
            "/api/deliveries".into(),
            format!("{{{select}}}"),
            ALL,
        ),
        ("GET", format!("/api/trace/{root}"), String::new(), ALL),
        ("POST", "/api/find".into(), r#"{"text":"x"}"#.into(), ALL),
        ("POST", "/api/payload".into(), payload, ALL),
        ("POST", "/api/payload".into(), seen, "e"),
        ("GET", "/api/dead".into(), String::new(), ALL),
        (
            "POST",
            "/api/replay".into(),
            format!("{{{select},\"preview\":true}}"),
            OPERATORS,
        ),
        ("POST", "/api/replay".into(), of_flow.into(), "esomn"),
        (
            "POST",
            "/api/release".into(),
            format!("{{{select},\"reason\":\"x y\"}}"),
            OPERATORS,
        ),
        (
            "POST",
            "/api/cancel".into(),
            format!("{{{select},\"reason\":\"x y\"}}"),
            OPERATORS,
        ),
        (
            "POST",
            "/api/park".into(),
            format!("{{{select},\"reason\":\"x y\"}}"),
            OPERATORS,
        ),
        ("GET", "/api/audit".into(), String::new(), "am"),
        (
            "GET",
            "/api/audit/records?from=0".into(),
            String::new(),
            "am",
        ),
        ("GET", "/api/audit/state".into(), String::new(), "am"),
        ("POST", "/api/audit/state".into(), String::new(), "am"),
        ("GET", "/api/people".into(), String::new(), "m"),
        ("GET", "/processes".into(), String::new(), ALL),
        (
            "GET",
            "/processes/procure-to-pay".into(),
            String::new(),
            ALL,
        ),
        (
            "POST",
            "/processes/procure-to-pay".into(),
            "key=1".into(),
            ALL,
        ),
        ("GET", format!("/instances/{order}"), String::new(), ALL),
        (
            "POST",
            format!("/instances/{order}"),
            "reason=INC-2231&purpose=HOPERAT".into(),
            "esod",
        ),
        (
            "POST",
            "/intents".into(),
            format!("act=retry&instance={order}"),
            OPERATORS,
        ),
        (
            "POST",
            "/intents".into(),
            format!("act=cancel&instance={order}"),
            OPERATORS,
        ),
        (
            "POST",
            "/intents".into(),
            format!("act=set&name=x&value=1&instance={order}"),
            "e",
        ),
        ("GET", "/tasks".into(), String::new(), LETTERS),
        ("GET", format!("/tasks/{task}"), String::new(), ALL),
        ("POST", format!("/tasks/{task}/claim"), String::new(), "o"),
        (
            "POST",
            format!("/tasks/{task}/release"),
            String::new(),
            OPERATORS,
        ),
        ("GET", "/transactions".into(), String::new(), ALL),
        ("POST", "/transactions".into(), "key=1".into(), ALL),
        ("GET", "/api/processes".into(), String::new(), ALL),
        ("POST", "/api/instances".into(), "{}".into(), ALL),
        ("GET", format!("/api/instances/{order}"), String::new(), ALL),
        (
            "POST",
            format!("/api/instances/{order}/reveal"),
            why.into(),
            "esod",
        ),
        (
            "POST",
            format!("/api/instances/{order}/act"),
            act(r#""act":"retry""#),
            OPERATORS,
        ),
        (
            "POST",
            format!("/api/instances/{order}/act"),
            act(r#""act":"skip""#),
            OPERATORS,
        ),
        (
            "POST",
            format!("/api/instances/{order}/act"),
            act(r#""act":"set","vars":{}"#),
            "e",
        ),
        ("POST", "/api/tasks".into(), "{}".into(), LETTERS),
        ("GET", format!("/api/tasks/{task}"), String::new(), ALL),
        (
            "POST",
            format!("/api/tasks/{task}/claim"),
            String::new(),
            "o",
        ),
        (
            "POST",
            format!("/api/tasks/{task}/release"),
            String::new(),
            OPERATORS,
        ),
        (
            "POST",
            format!("/api/tasks/{task}/reassign"),
            act(r#""due":null"#),
            OPERATORS,
        ),
        (
            "POST",
            format!("/api/tasks/{task}/answer"),
            r#"{"choice":"maybe"}"#.into(),
            "o",
        ),
        ("POST", "/api/transactions".into(), "{}".into(), ALL),
        ("GET", "/nowhere".into(), String::new(), LETTERS),
    ];
    let mut wrong = Vec::new();
    for (role, letter) in ROLES.iter().zip(LETTERS.chars()) {
        let site = house.person(role).await;
        for (method, path, body, may) in &rows {
            let method: Method = method.parse().unwrap();
            let is_api = path.starts_with("/api/");
            let kind = if is_api {
                "application/json"
            } else {
                "application/x-www-form-urlencoded"
            };
            let body = match (is_api, &method) {
                (false, &Method::POST) => format!("{body}&csrf={}", site.csrf),
                _ => body.clone(),
            };
            let request = site
                .request(method.clone(), path)
                .header("sec-fetch-site", "same-origin")
                .header("wardline-csrf", &site.csrf)
                .header(header::CONTENT_TYPE, kind)
                .body(Body::from(body))
                .unwrap();
            // A live page never ends: only its head is asked for.
            let status = if path == "/live" {
                use tower::ServiceExt as _;
                site.router.clone().oneshot(request).await.unwrap().status()
            } else {
                site.send(request).await.status
            };
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role} {path}");
            assert!(!status.is_server_error(), "{role} {path}: {status}");
            if (status != StatusCode::FORBIDDEN) != may.contains(letter) {
                wrong.push(format!("{role} {method} {path}: {status}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        house
            .acts("act.forbid")
            .iter()
            .any(|why| why == "no policy permits it"),
        "refusals are on record"
    );
}

#[tokio::test]
async fn a_policy_of_the_estate_gives_a_role_one_flow() {
    let house = house();
    let site = house.person("night-desk").await;
    let replay = |select: &str| {
        site.request(Method::POST, "/api/replay")
            .header("sec-fetch-site", "same-origin")
            .header("wardline-csrf", &site.csrf)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(format!(
                r#"{{"select":{{{select}}},"preview":true}}"#
            )))
            .unwrap()
    };
    let one = site
        .send(replay(r#""flow":"discharge-to-housekeeping""#))
        .await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.text);
    for more in [
        r#""flow":"ehr-discharge""#,
        r#""destination":"bed-board.release-bed""#,
    ] {
        let refused = site.send(replay(more)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{more}");
        assert_eq!(json(&refused)["code"], "W6106");
    }
    let page = site.get("/").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("night-desk") && page.text.contains("no policy permits it"));
}

#[tokio::test]
async fn pages_offer_no_more_than_policy_lets() {
    let house = house();
    let auditor = house.person("security-auditor").await.get("/").await.text;
    assert!(auditor.contains("href=\"/audit\""));
    assert!(
        auditor.contains("data-cannot=\"replay edit cancel reveal\""),
        "{auditor}"
    );
    assert!(auditor.contains("Signed in as security-auditor (security-auditor)"));
    let engineer = house
        .person("integration-engineer")
        .await
        .get("/")
        .await
        .text;
    assert!(!engineer.contains("href=\"/audit\""));
    assert!(engineer.contains("data-cannot=\"audit\""));
    assert!(engineer.contains("data-idle=\"902\""));
}

#[tokio::test]
async fn revealing_is_by_class_and_purpose() {
    let house = house();
    let root = house.stranger.hospital.known();
    let trace = house
        .stranger
        .call(Method::GET, &format!("/api/trace/{root}"), "")
        .await;
    let nodes = json(&trace)["nodes"].as_array().unwrap().clone();
    let event = nodes
        .iter()
        .filter_map(|node| node["item"].get("message").or(Some(&node["item"])))
        .find(|item| item["kind"] == "encounter.discharged")
        .unwrap_or_else(|| panic!("{nodes:#?}"))["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The received message counts as PHI; the event's entity has PII only.
    let root = root.to_string();
    for (role, sees_message, sees_event) in [
        ("integration-engineer", true, true),
        ("support", false, true),
        ("process-owner", false, true),
        ("administrator", false, false),
        ("security-auditor", false, false),
    ] {
        let site = house.person(role).await;
        for (hop, sees) in [(&root, sees_message), (&event, sees_event)] {
            let path = format!("/trace/{root}?hop={hop}");
            let page = site.post(&path, "reason=INC-2231&purpose=HPAYMT").await;
            assert_eq!(
                page.status == StatusCode::OK,
                sees,
                "{role} {hop}: {}",
                page.text
            );
            assert_eq!(page.text.contains("watermark"), sees, "{role}");
            assert!(sees || !page.text.contains(PATIENT));
            let without = site.post(&path, "reason=INC-2231").await;
            assert_eq!(
                without.status,
                StatusCode::FORBIDDEN,
                "{role} states no purpose"
            );
        }
    }
    let reveals = house.acts("reveal");
    assert_eq!(reveals.len(), 4);
    assert!(reveals.iter().all(|reason| reason == "HPAYMT: INC-2231"));
}

#[tokio::test]
async fn each_way_out_and_in_is_on_record() {
    let house = house();
    let site = house.person("support").await;
    assert_eq!(house.acts("signin.accept").len(), 1);
    let left = site.post("/logout", "").await;
    assert_eq!(left.header(header::LOCATION), "/login");
    assert_eq!(site.get("/").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.acts("signin.end"), ["signed out"]);

    let browser = house.browser().await;
    let wrong = house
        .knock(&browser, "support", "wrong horse battery", "000000")
        .await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(
        wrong.text.contains("W6107") && wrong.text.contains("role=\"alert\""),
        "{}",
        wrong.text
    );
    assert!(!wrong.text.contains("horse"));
    assert_eq!(house.acts("signin.refuse"), ["wrong password"]);
    let token = browser.post("/login", "token=wrong").await;
    assert_eq!(token.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.acts("signin.refuse").len(), 2);

    // Nobody is in whose coming cannot be written down.
    house
        .stranger
        .hospital
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let secret = house.secret("data-steward");
    let came = house
        .knock(&browser, "data-steward", PASSWORD, &code(secret, 0))
        .await;
    assert_eq!(came.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(came.cookie("wardline_8420").is_none());
}

#[tokio::test]
async fn guessing_is_made_to_wait() {
    let house = house();
    let browser = house.browser().await;
    for _ in 0..5 {
        let wrong = house
            .knock(&browser, "support", "wrong horse battery", "000000")
            .await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    }
    let right = code(house.secret("support"), 0);
    let waiting = house.knock(&browser, "support", PASSWORD, &right).await;
    assert_eq!(waiting.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = waiting.header(header::RETRY_AFTER).parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    assert_eq!(house.acts("signin.lock").len(), 1);
    // Another person at the same address is not kept out by it.
    house.person("data-steward").await;
}

#[tokio::test]
async fn a_code_is_good_once() {
    let house = house();
    let browser = house.browser().await;
    let right = code(house.secret("support"), 0);
    let first = house.knock(&browser, "support", PASSWORD, &right).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    let again = house.knock(&browser, "support", PASSWORD, &right).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        house.acts("signin.refuse"),
        ["a one-time code was used again"]
    );
}

#[tokio::test]
async fn a_session_that_somebody_else_chose_becomes_nobodys() {
    let house = house();
    let mut browser = house.browser().await;
    let planted = "wardline_8420=0123456789abcdef";
    browser.cookie = format!("{planted}; {}", browser.cookie);
    let secret = house.secret("support");
    let came = house
        .knock(&browser, "support", PASSWORD, &code(secret, 0))
        .await;
    let session = came.cookie("wardline_8420").unwrap();
    assert_ne!(session, planted);
    assert_eq!(session.len(), "wardline_8420=".len() + 64);
    browser.cookie = planted.into();
    assert_eq!(browser.get("/").await.status, StatusCode::UNAUTHORIZED);
    // Signing in again is another session; the token of forms is another too.
    let one = browser.with_cookie(&session).await;
    let came = house
        .knock(&one, "support", PASSWORD, &code(secret, 1))
        .await;
    let two = one
        .with_cookie(&came.cookie("wardline_8420").unwrap())
        .await;
    assert_ne!(one.cookie, two.cookie);
    assert_ne!(one.csrf, two.csrf);
}

#[tokio::test]
async fn forms_without_the_token_of_their_browser_are_refused() {
    let house = house();
    let support = house.person("support").await;
    let other = house.person("administrator").await;
    let act = "act=cancel&destination=bed-board.release-bed";
    let post = |form: String, path: &str| {
        support
            .request(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap()
    };
    for token in ["", "&csrf=", "&csrf=0", &format!("&csrf={}", other.csrf)] {
        for path in ["/plans", "/logout", "/theme"] {
            let refused = support.send(post(format!("{act}{token}"), path)).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path} {token}");
            assert!(
                refused.text.contains("W6105"),
                "{path} {token}: {}",
                refused.text
            );
        }
    }
    let with = support
        .send(post(format!("{act}&csrf={}", support.csrf), "/plans"))
        .await;
    assert_eq!(with.status, StatusCode::SEE_OTHER);
    // Nor does a page of another site sign somebody in.
    let mut browser = house.browser().await;
    browser.csrf = "0".into();
    let secret = house.secret("data-steward");
    let planted = house
        .knock(&browser, "data-steward", PASSWORD, &code(secret, 0))
        .await;
    assert_eq!(planted.status, StatusCode::FORBIDDEN);
    // The API takes it as a header.
    for (token, status) in [
        ("0", StatusCode::FORBIDDEN),
        (&*support.csrf, StatusCode::OK),
    ] {
        let request = support
            .request(Method::POST, "/api/find")
            .header("sec-fetch-site", "same-origin")
            .header("wardline-csrf", token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(r#"{"text":"x"}"#))
            .unwrap();
        assert_eq!(support.send(request).await.status, status);
    }
}

#[tokio::test]
async fn over_tls_cookies_are_for_this_host_alone() {
    let house = house_with(Auth::with_tls);
    let door = house.stranger.get("/login").await;
    let cookie = door.header(header::SET_COOKIE);
    assert!(cookie.starts_with("__Host-wardline_door_8420="), "{cookie}");
    for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
    assert_eq!(
        door.header(header::STRICT_TRANSPORT_SECURITY),
        "max-age=31536000"
    );
    let mut browser = house.browser().await;
    browser.cookie = door.cookie("wardline_door").unwrap();
    browser.csrf = door.csrf();
    let secret = house.secret("support");
    let came = house
        .knock(&browser, "support", PASSWORD, &code(secret, 0))
        .await;
    let cookie = came.header(header::SET_COOKIE);
    assert!(
        cookie.starts_with("__Host-wardline_8420=") && cookie.contains("; Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn one_goes_where_one_wanted_and_nowhere_else() {
    let house = house();
    let closed = house.stranger.get("/messages?q=state%3Aheld").await;
    assert_eq!(closed.status, StatusCode::UNAUTHORIZED);
    assert!(
        closed
            .text
            .contains("name=\"then\" value=\"/messages?q=state%3Aheld\""),
        "{}",
        closed.text
    );
    for (role, then, to) in [
        (
            "support",
            "%2Fmessages%3Fq%3Dstate%253Aheld",
            "/messages?q=state%3Aheld",
        ),
        ("data-steward", "%2F%2Fevil.example", "/"),
        ("administrator", "https%3A%2F%2Fevil.example", "/"),
    ] {
        let browser = house.browser().await;
        let code = code(house.secret(role), 0);
        let came = house
            .knock(&browser, role, PASSWORD, &format!("{code}&then={then}"))
            .await;
        assert_eq!(came.header(header::LOCATION), to);
    }
}

#[tokio::test]
async fn who_is_disabled_or_has_other_roles_is_out_at_once() {
    let house = house();
    let support = house.person("support").await;
    let change = |body: &str| {
        Request::builder()
            .method(Method::POST)
            .uri("/api/people")
            .header(header::HOST, HOST)
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", house.stranger.token),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    assert_eq!(support.get("/").await.status, StatusCode::OK);
    let roles = r#"{"do":"roles","name":"support","roles":["security-auditor"]}"#;
    let changed = house.stranger.send(change(roles)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(support.get("/").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.acts("person.roles").len(), 1);
    let nobody = house
        .stranger
        .send(change(r#"{"do":"disable","name":"nobody"}"#))
        .await;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json(&nobody)["code"], "W6115");
    let list = house.stranger.call(Method::GET, "/api/people", "").await;
    assert!(
        list.text.contains("\"security-auditor\"") && !list.text.contains("hash"),
        "{}",
        list.text
    );
}

#[tokio::test]
async fn an_invited_person_enrols_alone() {
    let house = house();
    let add = r#"{"do":"add","name":"anna.diaz","title":"Anna Diaz","roles":["support"]}"#;
    let made = house.stranger.call(Method::POST, "/api/people", add).await;
    let invitation = json(&made)["invitation"].as_str().unwrap().to_owned();
    let browser = house.browser().await;
    let wrong = browser.get("/enrol?name=anna.diaz&invitation=WRONG").await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
    let page = browser
        .get(&format!("/enrol?name=anna.diaz&invitation={invitation}"))
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("<svg class=\"qr\"") && !page.text.contains("style="));
    let secret: String = page
        .text
        .split("<p class=\"mono\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .replace(' ', "");
    let secret = secret_of(&format!("otpauth://x?secret={secret}&x"));
    let form = |password: &str, again: &str, code: &str| {
        format!(
            "name=anna.diaz&invitation={invitation}&password={password}&again={again}&code={code}"
        )
    };
    for (password, again, code, status) in [
        (
            "correct+horse",
            "another+horse",
            "000000",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "password1234",
            "password1234",
            "000000",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "correct+horse",
            "correct+horse",
            "000000",
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let refused = browser.post("/enrol", &form(password, again, code)).await;
        assert_eq!(
            refused.status, status,
            "{password} {again}: {}",
            refused.text
        );
    }
    let code_now = code(&secret, 0);
    let came = browser
        .post("/enrol", &form("correct+horse", "correct+horse", &code_now))
        .await;
    assert_eq!(came.status, StatusCode::SEE_OTHER, "{}", came.text);
    let anna = browser
        .with_cookie(&came.cookie("wardline_8420").unwrap())
        .await;
    assert!(
        anna.get("/")
            .await
            .text
            .contains("Signed in as Anna Diaz (support)")
    );
    let again = browser
        .get(&format!("/enrol?name=anna.diaz&invitation={invitation}"))
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "good once");
    assert_eq!(house.acts("person.enrol").len(), 1);
    let kept = std::fs::read_to_string(house.folder.path().join("people.json")).unwrap();
    assert!(!kept.contains("horse") && !kept.contains(&invitation));
}
