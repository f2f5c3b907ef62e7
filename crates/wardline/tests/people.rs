//! People come into the console of the real binary: by an account that they enrol in, and by an
//! identity provider that others wrote (npm `oidc-provider`); over TLS too.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;

use aws_lc_rs::hmac;
use house::{House, Running, free_address};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use url::Url;

/// A browser without a screen: it keeps cookies by host and port, and follows where it is told to.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<(String, String), String>,
}

struct Page {
    url: Url,
    status: u16,
    head: String,
    text: String,
}

impl Page {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of a field of its first form that has one.
    fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let after = self.text.split(&mark).nth(1);
        let after = after.unwrap_or_else(|| panic!("no {name} at {}: {}", self.url, self.text));
        after.split('"').next().unwrap().to_owned()
    }

    /// Where its first form goes.
    fn action(&self) -> Url {
        let after = self.text.split("action=\"").nth(1);
        let after = after.unwrap_or_else(|| panic!("no form at {}: {}", self.url, self.text));
        self.url.join(after.split('"').next().unwrap()).unwrap()
    }
}

impl Browser {
    fn once(&mut self, method: &str, url: &Url, form: &str) -> Page {
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(80));
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == host)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut stream = TcpStream::connect(&host).unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if !cookies.is_empty() {
            request += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if method == "POST" {
            request += &format!(
                "Origin: http://{host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
                form.len()
            );
        }
        write!(stream, "{request}\r\n{form}").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies
                    .insert((host.clone(), name.to_owned()), value.to_owned());
            }
        }
        Page {
            url: url.clone(),
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Asks and follows, as a browser does after a form: by GET.
    fn go(&mut self, method: &str, url: &Url, form: &str) -> Page {
        let mut page = self.once(method, url, form);
        for _ in 0..10 {
            let Some(to) = page.header("location").map(str::to_owned) else {
                return page;
            };
            let to = page.url.join(&to).unwrap();
            page = self.once("GET", &to, "");
        }
        panic!("led in circles at {}", page.url);
    }

    fn get(&mut self, url: &str) -> Page {
        self.go("GET", &url.parse().unwrap(), "")
    }
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The code of now (RFC 6238) for a secret in base32.
fn code(secret: &str, steps: u64) -> String {
    let (mut held, mut bits, mut bytes) = (0_u32, 0_u32, Vec::new());
    for letter in secret.bytes().filter(u8::is_ascii_alphanumeric) {
        let value = if letter.is_ascii_digit() {
            letter - b'2' + 26
        } else {
            letter - b'A'
        };
        held = held << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &(now.as_secs() / 30 + steps).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let cut = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap());
    format!("{:06}", (cut & 0x7fff_ffff) % 1_000_000)
}

fn estate(console: &str, more: &str) -> String {
    format!(
        "estate: st-brigid\nlisteners:\n  console: {{ zone: admin, bind: \"{console}\" }}\n{more}"
    )
}

/// What the audit log says, newest first: act, actor and reason.
fn audit(house: &House) -> Vec<(String, String, String)> {
    let log = house.run(&["audit", "list", "--json"]).ends(0).json();
    let entries = log["entries"].as_array().or(log.as_array()).unwrap();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    entries
        .iter()
        .filter(|entry| {
            let act = entry["act"].as_str().unwrap();
            ["person.", "signin.", "act."]
                .iter()
                .any(|of| act.starts_with(of))
        })
        .map(|entry| {
            (
                text(entry, "act"),
                text(entry, "actor"),
                text(entry, "reason"),
            )
        })
        .collect()
}

#[test]
fn an_invited_person_enrols_signs_in_and_is_shown_the_door() {
    let house = House::new(&[("wardline.yaml", &estate("127.0.0.1:0", ""))]);
    let server = house.serve();
    for (words, says) in [
        (
            vec!["people", "add", "Anna Diaz", "--roles", "support"],
            "cannot be the name",
        ),
        (
            vec!["people", "add", "anna", "--roles", "suport"],
            "there is no role `suport`",
        ),
        (
            vec!["people", "disable", "anna"],
            "there is no account `anna`",
        ),
    ] {
        house.run(&words).ends(3).explains(&[says]);
    }
    let add = [
        "people",
        "add",
        "anna.diaz",
        "--title",
        "Anna Diaz",
        "--roles",
        "support,data-steward",
        "--json",
    ];
    let made = house.run(&add).ends(0).json();
    let link = made["link"].as_str().unwrap().to_owned();
    house.run(&["people", "list"]).ends(0).says(&[
        "anna.diaz",
        "Anna Diaz",
        "invited",
        "data-steward, support",
        "never",
    ]);

    let mut browser = Browser::default();
    let page = browser.get(&link);
    assert_eq!(page.status, 200, "{}", page.text);
    let secret = page.text.split("<p class=\"mono\">").nth(1).unwrap();
    let secret = secret.split('<').next().unwrap().replace(' ', "");
    let form = format!(
        "csrf={}&name=anna.diaz&invitation={}&password=correct+horse+battery&again=correct+horse+battery&code={}",
        page.field("csrf"),
        page.field("invitation"),
        code(&secret, 0)
    );
    let home = browser.go("POST", &page.action(), &form);
    assert_eq!((home.status, home.url.path()), (200, "/"), "{}", home.text);
    assert!(
        home.text
            .contains("Signed in as Anna Diaz (data-steward, support)")
    );
    assert_eq!(browser.get(&link).status, 404, "good once");

    // Somebody signs in anew, with the next code: the first one was used.
    let base = Url::parse(&link).unwrap().join("/").unwrap();
    let mut elsewhere = Browser::default();
    let door = elsewhere.get(base.join("/messages").unwrap().as_str());
    assert_eq!(door.status, 401);
    let sign_in = |door: &Page, password: &str, code: &str| {
        format!(
            "csrf={}&then=%2Fmessages&name=anna.diaz&password={}&code={code}",
            door.field("csrf"),
            encode(password)
        )
    };
    let login = base.join("/login").unwrap();
    let wrong = sign_in(&door, "correct horse stable", &code(&secret, 1));
    let refused = elsewhere.go("POST", &login, &wrong);
    assert_eq!(refused.status, 401);
    assert!(refused.text.contains("W6107"), "{}", refused.text);
    let right = sign_in(&door, "correct horse battery", &code(&secret, 1));
    let messages = elsewhere.go("POST", &login, &right);
    assert_eq!(
        (messages.status, messages.url.path()),
        (200, "/messages"),
        "{}",
        messages.text
    );
    assert_eq!(
        elsewhere.get(base.join("/audit").unwrap().as_str()).status,
        403
    );

    // Policies that are put in force decide about the next click.
    let search = base.join("/messages").unwrap();
    let policy = house.write(
        "policies/today.cedar",
        b"@id(\"no-search\")\n@why(\"nobody searches today\")\nforbid (principal, action == Action::\"search\", resource);\n",
    );
    house
        .run(&["reload"])
        .ends(0)
        .says(&["policies today added"]);
    assert_eq!(elsewhere.get(search.as_str()).status, 403);
    std::fs::remove_file(policy).unwrap();
    house.run(&["reload"]).ends(0);
    assert_eq!(elsewhere.get(search.as_str()).status, 200);

    house
        .run(&["people", "disable", "anna.diaz"])
        .ends(0)
        .says(&["anna.diaz is disabled"]);
    assert_eq!(browser.get(base.as_str()).status, 401);
    assert_eq!(elsewhere.get(base.as_str()).status, 401);
    let said = audit(&house);
    let acts: Vec<&str> = said.iter().map(|(act, ..)| act.as_str()).rev().collect();
    assert_eq!(
        acts,
        [
            "person.add",
            "person.enrol",
            "signin.accept",
            "signin.refuse",
            "signin.refuse",
            "signin.accept",
            "act.forbid",
            "act.forbid",
            "person.disable"
        ]
    );
    assert!(
        said.iter()
            .any(|(act, actor, _)| act == "signin.accept" && actor == "user:anna.diaz")
    );
    server.stop();

    // Without a server the command line does it in the files, and writes it down too.
    house
        .run(&["people", "enable", "anna.diaz"])
        .ends(0)
        .says(&["anna.diaz is active"]);
    assert_eq!(audit(&house)[0].0, "person.enable");
    house.run(&["audit", "verify"]).ends(0);
    // Nothing of what was typed is anywhere.
    let log = house.log();
    for typed in ["correct horse", "stable", &secret] {
        assert!(!log.contains(typed), "{typed} is in the log");
    }
}

#[test]
fn a_password_for_scripts_comes_over_a_pipe() {
    let house = House::new(&[("wardline.yaml", &estate("127.0.0.1:0", ""))]);
    let _server = house.serve();
    let mut command = house.command();
    let words = [
        "people",
        "add",
        "robo",
        "--roles",
        "administrator",
        "--password-stdin",
        "--json",
    ];
    let mut child = command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    writeln!(pipe, "seven brown otters").unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let otpauth = made["otpauth"].as_str().unwrap();
    assert!(otpauth.starts_with("otpauth://totp/Wardline%20st-brigid:robo?secret="));
    assert!(made["invitation"].is_null());
    let secret = otpauth
        .split("secret=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let link = house.run(&["console"]).ends(0).out;
    let base = Url::parse(link.trim()).unwrap().join("/login").unwrap();
    let mut browser = Browser::default();
    let door = browser.get(base.as_str());
    let form = format!(
        "csrf={}&name=robo&password=seven+brown+otters&code={}",
        door.field("csrf"),
        code(secret, 0)
    );
    assert_eq!(browser.go("POST", &base, &form).status, 200);
    assert_eq!(
        browser.get(base.join("/audit").unwrap().as_str()).status,
        200
    );
}

/// The peers' Node modules where this one is there.
fn node_modules(module: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let modules = root.join("node/node_modules");
    if modules.join(module).is_dir() {
        return Some(modules.canonicalize().unwrap());
    }
    let text = format!("{module} missing: `cargo xtask peers` installs what the tests need");
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}

/// Signs in at the identity provider's own pages, and comes back.
fn at_provider(browser: &mut Browser, start: &Url, who: &str) -> Page {
    let mut page = browser.go("GET", start, "");
    assert!(page.url.path().starts_with("/interaction/"), "{}", page.url);
    let form = format!("prompt=login&login={who}&password=x");
    page = browser.go("POST", &page.action(), &form);
    if page.url.path().starts_with("/interaction/") {
        page = browser.go("POST", &page.action(), "prompt=consent");
    }
    page
}

#[test]
fn an_identity_provider_of_others_vouches_for_people() {
    let Some(modules) = node_modules("oidc-provider") else {
        return;
    };
    let (console, idp) = (free_address(), free_address());
    let (_, port) = idp.split_once(':').unwrap();
    let people = format!(
        "people:\n  oidc:\n    title: St. Brigid\n    issuer: http://{idp}\n    client_id: wardline\n    client_secret: secret:idp/wardline\n    scopes: [profile, groups]\n    roles: {{ WL-Desk: support, WL-Audit: security-auditor }}\n"
    );
    let house = House::new(&[("wardline.yaml", &estate(&console, &people))]);
    let secret = house.write("secrets/idp/wardline", b"s3cret-of-the-console");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = house.serve();
    let base: Url = format!("http://{console}/").parse().unwrap();
    let start = base.join("/login/start?then=%2Fdead").unwrap();

    // Nobody there yet: said plainly, and the other ways in stay.
    let mut browser = Browser::default();
    let away = browser.get(start.as_str());
    assert_eq!(away.status, 503);
    assert!(away.text.contains("W6111"), "{}", away.text);
    assert!(
        browser
            .get(base.as_str())
            .text
            .contains("Sign in with St. Brigid")
    );

    let redirect = format!("{base}login/return");
    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/oidc_idp.mjs"))
        .arg(&modules)
        .args([port, &redirect, "s3cret-of-the-console"])
        .stderr(Stdio::null());
    let mut provider = Running::start(node);
    assert_eq!(
        provider.line().as_deref(),
        Some(&*format!("listening on {port}"))
    );

    let page = at_provider(&mut browser, &start, "anna.diaz");
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/dead"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("Signed in as Anna Diaz (support)"),
        "{}",
        page.text
    );
    assert_eq!(
        browser.get(base.join("/audit").unwrap().as_str()).status,
        403
    );

    let mut auditor = Browser::default();
    let page = at_provider(&mut auditor, &start, "otto.tudor");
    assert_eq!(page.status, 200);
    assert_eq!(
        auditor.get(base.join("/audit").unwrap().as_str()).status,
        200
    );

    let mut stranger = Browser::default();
    let page = at_provider(&mut stranger, &start, "mallory");
    assert_eq!(page.status, 403, "{}", page.text);
    assert!(page.text.contains("W6109"), "{}", page.text);

    // An answer that another browser asked for signs nobody in, and none is good twice.
    let mut attacker = Browser::default();
    let mut page = attacker.once("GET", &start, "");
    for _ in 0..10 {
        let to = page.header("location").map(|to| page.url.join(to).unwrap());
        page = match to {
            Some(to) if to.path() == "/login/return" => break,
            Some(to) => attacker.once("GET", &to, ""),
            None if page.text.contains("value=\"login\"") => {
                let form = "prompt=login&login=anna.diaz&password=x";
                attacker.once("POST", &page.action(), form)
            }
            None => attacker.once("POST", &page.action(), "prompt=consent"),
        };
    }
    let answer = page.url.join(page.header("location").unwrap()).unwrap();
    assert_eq!(answer.path(), "/login/return");
    let mut victim = Browser::default();
    victim.get(base.join("/login").unwrap().as_str());
    assert_eq!(victim.get(answer.as_str()).status, 410);
    assert_eq!(victim.get(base.as_str()).status, 401);
    assert_eq!(
        attacker.get(answer.as_str()).status,
        410,
        "good once, for whoever comes first"
    );

    // The provider goes away: who is in stays in.
    drop(provider);
    assert_eq!(browser.get(base.as_str()).status, 200);
    let said = audit(&house);
    assert!(
        said.iter()
            .any(|(act, actor, _)| act == "signin.accept" && actor == "user:otto.tudor")
    );
    assert!(
        said.iter()
            .any(|(act, _, why)| act == "signin.refuse" && why.contains("no group"))
    );
    server.stop();
    assert!(!house.log().contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_people_come_in_and_the_command_line_too() {
    use wardline_connect::http::Asker;
    use wardline_connect::tls::{ClientTls, Pem};
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let console = free_address();
    let yaml = format!(
        "estate: st-brigid\nlisteners:\n  console: {{ zone: admin, bind: \"{console}\", tls: {{ cert: node.pem, key: secret:node/key }} }}\n"
    );
    let house = House::new(&[("wardline.yaml", &yaml)]);
    let cert = house.write("node.pem", made.cert.pem().as_bytes());
    let key = house.write(
        "secrets/node/key",
        made.signing_key.serialize_pem().as_bytes(),
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = house.serve();
    let tls = ClientTls {
        ca: Some(Pem::File(cert)),
        ..ClientTls::default()
    };
    let asker = Asker::new("test", &tls, 1 << 20, std::time::Duration::from_secs(10)).unwrap();
    let ask = |path: &str| {
        let request = http::Request::builder()
            .uri(format!("https://{console}{path}"))
            .body(bytes::Bytes::new())
            .unwrap();
        asker.ask(request)
    };
    let door = ask("/login").await.unwrap();
    assert_eq!(door.status(), 200);
    assert_eq!(
        door.headers()["strict-transport-security"],
        "max-age=31536000"
    );
    let cookie = door.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-wardline_door_") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    // The link is for browsers; the command line has a way of its own.
    let link = house.run(&["console"]).ends(0).out.trim().to_owned();
    assert!(
        link.starts_with(&format!("https://{console}/login?token=")),
        "{link}"
    );
    let (_, query) = link.split_once("/login").unwrap();
    let came = ask(&format!("/login{query}")).await.unwrap();
    assert_eq!(came.status(), 303);
    let cookie = came.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-wardline_") && cookie.contains("; Secure"),
        "{cookie}"
    );
    house.run(&["status", "--json"]).ends(0);
    house
        .run(&["people", "add", "anna", "--roles", "support"])
        .ends(0)
        .says(&[&format!("https://{console}/enrol?name=anna")]);
    server.stop();
}

#[test]
fn policy_explains_what_a_role_may() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/estates/ward");
    let estate = example.to_str().unwrap();
    let explain = |role: &str, action: &str| {
        house::run(&["policy", "explain", role, action, "--estate", estate])
    };
    explain("role:support", "replay")
        .ends(0)
        .says(&["may replay", "base.operate"]);
    explain("role:support", "edit")
        .ends(1)
        .says(&["may not edit", "No policy permits it"]);
    explain("role:security-auditor", "audit")
        .ends(0)
        .says(&["base.audit"]);
    explain("role:bed-desk", "view")
        .ends(0)
        .says(&["bed-desk-looks", "policies/base.cedar"]);
    explain("role:nobody", "view")
        .ends(2)
        .explains(&["there is no role `nobody`"]);
    explain("role:support", "dance")
        .ends(2)
        .explains(&["view, search"]);
}
