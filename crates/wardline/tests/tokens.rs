//! Tokens got and used by programs that others wrote: PyPI Authlib and joserfc, npm openid-client
//! and oauth4webapi, curl. Every way of proving who a client is, and tokens that are nearly right.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "peers/house.rs"]
mod house;
#[path = "peers/systems.rs"]
mod systems;

use aws_lc_rs::digest::{SHA256, digest};
use house::{House, Outcome, Running, Server, free_address};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use systems::{SUPPLIER_PATH, add_below, ask, example, hex};

const SECRET: &str = "p%+/ a secret: of 256 bits? 7f6e5d4c";

/// The example with a client for every way, and keys that the peers made.
struct Bank {
    house: House,
    internal: String,
    partner: String,
    python: PathBuf,
    keys_at: String,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

fn certificate(name: &str) -> CertificateParams {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

impl Bank {
    fn new() -> Option<Self> {
        let python = house::python("authlib, joserfc, httpx")?;
        let (house, internal, partner) = example();
        let bank = Self {
            house,
            internal,
            partner,
            python,
            keys_at: free_address(),
        };
        std::fs::create_dir(bank.dir()).unwrap();
        bank.python(&["keys", bank.dir().to_str().unwrap()]).ends(0);
        bank.certificates();
        for (client, way) in [
            ("pay-es256", "ES256"),
            ("pay-es384", "ES384"),
            ("pay-rs384", "RS384"),
        ] {
            let file = format!("clients/{client}.jwks.json");
            let keys = std::fs::read(bank.dir().join(format!("{way}.jwks.json"))).unwrap();
            bank.house.write(&file, &keys);
            let auth = format!("oauth2: {{ method: private_key_jwt, jwks: {file} }}");
            bank.client(client, "internal", &auth);
        }
        bank.client(
            "pay-basic",
            "internal",
            "oauth2: { method: client_secret_basic, secret: \"secret:pay/basic\" }",
        );
        bank.secret("pay/basic", SECRET);
        std::fs::write(bank.dir().join("basic.secret"), SECRET).unwrap();
        let url = format!(
            "oauth2: {{ method: private_key_jwt, jwks: \"http://{}/keys\" }}",
            bank.keys_at
        );
        bank.client("pay-url", "internal", &url);
        bank.client(
            "sup-tls",
            "partner",
            "oauth2: { method: tls_client_auth }, mtls: { subject: \"CN=sup-tls\" }",
        );
        let pem = std::fs::read_to_string(bank.dir().join("self.cert.pem")).unwrap();
        let own = format!(
            "oauth2: {{ method: tls_client_auth }}, mtls: {{ thumbprint: \"{}\" }}",
            thumbprint(&pem)
        );
        bank.client("sup-self", "partner", &own);
        let keys = std::fs::read(bank.dir().join("login.jwks.json")).unwrap();
        bank.house.write("clients/login.jwks.json", &keys);
        add_below(
            &bank.house,
            "identity",
            "  issuers:\n    login: { url: \"https://login.example\", audience: wardline, jwks: clients/login.jwks.json, algorithms: [ES256] }\n",
        );
        bank.client(
            "erp",
            "internal",
            "issuer: { name: login, claim: azp, equals: erp-app }",
        );
        Some(bank)
    }

    fn dir(&self) -> PathBuf {
        self.house.path("peer")
    }

    fn secret(&self, name: &str, value: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self
            .house
            .write(&format!("secrets/{name}"), value.as_bytes());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn client(&self, name: &str, zone: &str, auth: &str) {
        let kind = if zone == "partner" {
            "partner"
        } else {
            "service"
        };
        let scope = if zone == "partner" {
            "supplier-card.read"
        } else {
            "supplier.read"
        };
        let text = format!(
            "client: {name}\ntitle: {name}\nowner: supply-chain\nkind: {kind}\nzone: {zone}\nauth: {{ {auth} }}\nscopes: [{scope}]\npurpose: [operations]\n"
        );
        self.house
            .write(&format!("clients/{name}.yaml"), text.as_bytes());
    }

    /// An authority, a listener's certificate, one that a client got of the authority and one
    /// that it made itself.
    fn certificates(&self) {
        let write = |name: &str, text: &str| {
            std::fs::write(self.dir().join(name), text).unwrap();
        };
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Authority of a test");
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let authority = Issuer::new(params, key);
        write("ca.pem", &ca);
        for name in ["listener", "tls"] {
            let key = KeyPair::generate().unwrap();
            let subject = if name == "tls" { "sup-tls" } else { name };
            let signed = certificate(subject).signed_by(&key, &authority).unwrap();
            write(&format!("{name}.cert.pem"), &signed.pem());
            write(&format!("{name}.key.pem"), &key.serialize_pem());
        }
        let key = KeyPair::generate().unwrap();
        let own = certificate("sup-self").self_signed(&key).unwrap().pem();
        write("self.cert.pem", &own);
        write("self.key.pem", &key.serialize_pem());

        let read = |name: &str| std::fs::read_to_string(self.dir().join(name)).unwrap();
        self.house
            .write("certs/listener.pem", read("listener.cert.pem").as_bytes());
        // A certificate that a client made itself is its own authority, and only its own.
        self.house
            .write("certs/clients.pem", format!("{ca}{own}").as_bytes());
        self.secret("listener/key", &read("listener.key.pem"));
        let path = self.house.estate().join("wardline.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let before = format!("bind: \"{}\" }}", self.partner);
        assert!(text.contains(&before), "{text}");
        let after = format!(
            "bind: \"{}\", tls: {{ cert: certs/listener.pem, key: \"secret:listener/key\", client_ca: certs/clients.pem }} }}",
            self.partner
        );
        self.house
            .write("wardline.yaml", text.replace(&before, &after).as_bytes());
    }

    fn python(&self, words: &[&str]) -> Outcome {
        let mut command = Command::new(&self.python);
        command.arg(script("tokens.py")).args(words);
        Outcome::of(command)
    }

    fn flow(&self, base: &str, client: &str, way: &str) {
        let dir = self.dir();
        let done = self.python(&["flow", dir.to_str().unwrap(), base, client, way]);
        assert!(
            done.code == 0 && done.out == "ok\n",
            "{client}: {}\n{}\n{}",
            done.out,
            done.err,
            self.house.log()
        );
    }

    fn serve(&self) -> Server {
        self.house.serve()
    }

    fn inside(&self) -> String {
        format!("http://{}", self.internal)
    }

    fn outside(&self) -> String {
        format!("https://{}", self.partner)
    }
}

fn thumbprint(pem: &str) -> String {
    use base64::Engine as _;
    let text: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap();
    hex(digest(&SHA256, &der).as_ref())
}

#[test]
fn authlib_gets_looks_into_uses_and_revokes_tokens_in_every_way() {
    let Some(bank) = Bank::new() else { return };
    let mut publish = Command::new(&bank.python);
    let port = bank.keys_at.rsplit(':').next().unwrap();
    publish
        .arg(script("tokens.py"))
        .args(["publish", bank.dir().to_str().unwrap(), port]);
    let mut publisher = Running::start(publish);
    assert_eq!(publisher.line().as_deref(), Some("ready"));
    let server = bank.serve();
    for (client, way) in [
        ("pay-basic", "basic"),
        ("pay-es256", "ES256"),
        ("pay-es384", "ES384"),
        ("pay-rs384", "RS384"),
        ("pay-url", "url"),
    ] {
        bank.flow(&bank.inside(), client, way);
    }
    for (client, way) in [("sup-tls", "tls"), ("sup-self", "self")] {
        bank.flow(&bank.outside(), client, way);
    }
    // Where its keys are published nobody answers any more: those at hand are good for a day.
    drop(publisher);
    bank.flow(&bank.inside(), "pay-url", "url");
    server.stop();
    let server = bank.serve();
    bank.flow(&bank.inside(), "pay-url", "url");
    server.stop();
    let audit = bank
        .house
        .run(&["audit", "list", "--json", "--limit", "500"])
        .ends(0)
        .out;
    for word in ["token.issue", "token.revoke"] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    assert!(!bank.house.log().contains(SECRET) && !audit.contains(SECRET));
}

#[test]
fn openid_client_does_too() {
    let Some(bank) = Bank::new() else { return };
    let Some(modules) = house::node_modules("openid-client") else {
        return;
    };
    let server = bank.serve();
    for (client, way, file) in [
        ("pay-basic", "basic", "basic.secret"),
        ("pay-es256", "ES256", "ES256.pem"),
        ("pay-es384", "ES384", "ES384.pem"),
        ("pay-rs384", "RS384", "RS384.pem"),
    ] {
        let mut command = Command::new("node");
        command
            .arg(script("tokens.mjs"))
            .arg(&modules)
            .args([&bank.inside(), client, way])
            .arg(bank.dir().join(file));
        let done = Outcome::of(command);
        assert!(
            done.code == 0 && done.out == "ok\n",
            "{client}: {}\n{}\n{}",
            done.out,
            done.err,
            bank.house.log()
        );
    }
    server.stop();
}

#[test]
fn curl_gets_a_token_that_is_worth_nothing_without_its_certificate() {
    let Some(bank) = Bank::new() else { return };
    let server = bank.serve();
    let dir = bank.dir();
    let curl = |pair: Option<&str>, words: &[&str]| {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--cacert"])
            .arg(dir.join("ca.pem"));
        if let Some(name) = pair {
            command
                .arg("--cert")
                .arg(dir.join(format!("{name}.cert.pem")));
            command
                .arg("--key")
                .arg(dir.join(format!("{name}.key.pem")));
        }
        command.args(words);
        Outcome::of(command)
    };
    let token_at = format!("{}/oauth/token", bank.outside());
    let form = ["-d", "grant_type=client_credentials", "-d"];
    let with = |pair, client: &str| {
        let id = format!("client_id={client}");
        curl(pair, &[form[0], form[1], form[2], &id, &token_at])
            .ends(0)
            .json()
    };
    let token = with(Some("tls"), "sup-tls")["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = with(Some("self"), "sup-self")["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    // Neither is the other.
    assert_eq!(with(Some("self"), "sup-tls")["error"], "invalid_client");
    assert_eq!(with(Some("tls"), "sup-self")["error"], "invalid_client");
    assert_eq!(with(Some("tls"), "nobody")["error"], "invalid_client");
    assert_ne!(
        curl(None, &[&token_at]).code,
        0,
        "the listener demands a certificate"
    );

    let card = format!("{}/supplier-portal/v1/suppliers/V-100/card", bank.outside());
    let call = |pair, token: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        let words = [
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            &bearer,
            &card,
        ];
        curl(Some(pair), &words).ends(0).out
    };
    assert_eq!(call("tls", &token), "200", "{}", bank.house.log());
    assert_eq!(call("self", &own), "200");
    assert_eq!(call("self", &token), "401", "bound to another certificate");
    assert_eq!(call("tls", &own), "401");
    server.stop();
}

#[test]
fn every_nearly_right_token_of_others_is_refused_alike() {
    let Some(bank) = Bank::new() else { return };
    let server = bank.serve();
    let dir = bank.dir();
    let made = bank
        .python(&["malformed", dir.to_str().unwrap(), &bank.inside()])
        .ends(0)
        .json();
    let send = |token: &str| {
        let bearer = format!("Bearer {token}");
        let header = ("Authorization", bearer.as_str());
        let answer = ask(&bank.internal, "GET", SUPPLIER_PATH, &[header], "");
        // What every answer bears and no two have alike.
        let said: Vec<String> = answer
            .head
            .lines()
            .filter(|line| !line.starts_with("x-correlation-id") && !line.starts_with("date"))
            .map(str::to_owned)
            .collect();
        let mut body: Value = answer.json();
        if let Some(body) = body.as_object_mut() {
            body.remove("correlation_id");
            body.remove("instance");
        }
        (answer.status, format!("{said:?} {body}"))
    };
    let good = made["good"].as_str().unwrap();
    assert_eq!(send(good).0, 200, "{}", bank.house.log());
    let cases = made["cases"].as_object().unwrap();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut answers = BTreeSet::new();
    for (name, token) in cases {
        let (status, said) = send(token.as_str().unwrap());
        assert_eq!(status, 401, "{name}");
        answers.insert(said);
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(send(good).0, 200, "it is as good as before");
    server.stop();
}
