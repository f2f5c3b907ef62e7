//! A listener with TLS and certificates of clients, seen by three programs.

use crate::house;
use crate::town::Town;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Two authorities, of which the listener knows one, and certificates for every case.
struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    fn make(town: &Town) -> Self {
        let folder = town.house.path("certificates");
        std::fs::create_dir(&folder).unwrap();
        let made = Self { folder };
        let ours = made.authority("ca");
        let others = made.authority("other-ca");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let days = |n: i64| {
            let seconds = now.as_secs().checked_add_signed(n * 86_400).unwrap();
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        let both = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let server = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let cases = [
            ("node", "wardline", &ours, &both, -1, 90),
            ("ghx", "ghx", &ours, &client, -1, 90),
            ("second", "ghx", &ours, &client, -2, 90),
            ("acme", "acme", &ours, &client, -1, 90),
            ("wrong-ca", "ghx", &others, &client, -1, 90),
            ("expired", "ghx", &ours, &client, -90, -2),
            ("not-yet", "ghx", &ours, &client, 2, 90),
            ("wrong-use", "ghx", &ours, &server, -1, 90),
        ];
        for (file, name, issuer, uses, from, until) in cases {
            let key = KeyPair::generate().unwrap();
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(names).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages.clone_from(uses);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            (params.not_before, params.not_after) = (days(from), days(until));
            let pem = params.signed_by(&key, issuer).unwrap().pem();
            made.write(&format!("{file}.pem"), &pem);
            made.write(&format!("{file}.key"), &key.serialize_pem());
        }
        made
    }

    fn authority(&self, name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        self.write(&format!("{name}.pem"), &issuer.pem());
        issuer
    }

    fn write(&self, name: &str, text: &str) {
        private(&self.folder.join(name), text);
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }
}

fn private(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// A town whose partner listener speaks TLS and wants certificates, and ghx proves itself by one.
fn with_tls() -> (Town, Certificates) {
    let town = Town::new();
    let certificates = Certificates::make(&town);
    town.house
        .write("certs/node.pem", certificates.read("node.pem").as_bytes());
    town.house
        .write("certs/ca.pem", certificates.read("ca.pem").as_bytes());
    private(
        &town.house.estate().join("secrets/node/key"),
        &certificates.read("node.key"),
    );
    town.edit(
        "wardline.yaml",
        &format!("bind: \"{}\" }}", town.partner),
        &format!(
            "bind: \"{}\", tls: {{ cert: certs/node.pem, key: secret:node/key, client_ca: certs/ca.pem }} }}",
            town.partner
        ),
    );
    town.edit(
        "clients/ghx.yaml",
        "auth: { oauth2: { method: private_key_jwt, jwks: clients/ghx.jwks.json } }",
        "auth: { oauth2: { method: tls_client_auth }, mtls: { subject: \"CN=ghx\" } }",
    );
    (town, certificates)
}

/// A request by curl; status and body. `None` where the connection was refused.
fn curl(
    certificates: &Certificates,
    identity: Option<&str>,
    words: &[&str],
) -> Option<(u16, Value)> {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--max-time",
            "60",
            "--write-out",
            "\n%{http_code}",
        ])
        .args(["--cacert", &certificates.path("ca.pem")]);
    if let Some(identity) = identity {
        command.args(["--cert", &certificates.path(&format!("{identity}.pem"))]);
        command.args(["--key", &certificates.path(&format!("{identity}.key"))]);
    }
    let output = command.args(words).output().unwrap();
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    Some((
        status.parse().unwrap(),
        serde_json::from_str(body).unwrap_or_default(),
    ))
}

fn installed(program: &str, word: &str) -> bool {
    let proof = Command::new(program).arg(word).output();
    if proof.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let text = format!("{program} missing: `cargo xtask peers` installs what the tests need");
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    false
}

#[test]
fn curl_with_a_certificate_gets_a_token_that_is_bound_to_it() {
    if !installed("curl", "--version") {
        return;
    }
    let (town, certificates) = with_tls();
    let _server = town.serve();
    let base = format!("https://{}", town.partner);
    let token_url = format!("{base}/oauth/token");
    let ask_token = |identity: Option<&str>, client: &str| {
        let name = format!("client_id={client}");
        let words = [
            "-d",
            "grant_type=client_credentials",
            "-d",
            &name,
            &token_url,
        ];
        curl(&certificates, identity, &words)
    };
    let (status, answer) = ask_token(Some("ghx"), "ghx").unwrap();
    assert_eq!(status, 200, "{answer}\n{}", town.house.log());
    let bearer = format!(
        "Authorization: Bearer {}",
        answer["access_token"].as_str().unwrap()
    );
    let card = format!("{base}/supplier-portal/v1/suppliers/V-100/card");
    let read = |identity| curl(&certificates, identity, &["-H", &bearer, &card]);
    let (status, seen) = read(Some("ghx")).unwrap();
    assert_eq!(
        (status, &seen["name"]),
        (200, &"Acme Medical".into()),
        "{seen}"
    );
    // Worth nothing with another certificate, of the same name too.
    for other in ["second", "acme"] {
        assert_eq!(read(Some(other)).unwrap().0, 401, "{other}");
    }
    assert_eq!(ask_token(Some("acme"), "ghx").unwrap().0, 401);
    // Without one, or with one that is none, there is no connection.
    for identity in [
        None,
        Some("wrong-ca"),
        Some("expired"),
        Some("not-yet"),
        Some("wrong-use"),
    ] {
        assert_eq!(ask_token(identity, "ghx"), None, "{identity:?}");
    }
    // Not over plain text, and not with what is out of date.
    let plain = format!("http://{}/supplier-portal/v1/openapi.json", town.partner);
    assert_eq!(curl(&certificates, Some("ghx"), &[&plain]), None);
    for old in ["1.0", "1.1"] {
        let words = ["--tls-max", old, "--ciphers", "DEFAULT@SECLEVEL=0", &card];
        assert_eq!(curl(&certificates, Some("ghx"), &words), None, "TLS {old}");
    }
    for new in ["--tlsv1.2", "--tlsv1.3"] {
        assert_eq!(
            curl(&certificates, Some("ghx"), &[new, "-H", &bearer, &card])
                .unwrap()
                .0,
            200
        );
    }
}

/// Whether a request is answered by HTTP over `openssl s_client` with these words.
fn answered(town: &Town, words: &[&str]) -> bool {
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-connect",
            &town.partner,
            "-servername",
            "localhost",
        ])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = b"GET /supplier-portal/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    // Where the handshake failed there is nobody to write to.
    drop(child.stdin.as_mut().unwrap().write_all(request));
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("HTTP/1.1 200 ")
}

#[test]
fn openssl_connects_as_agreed_and_in_no_other_way() {
    if !installed("openssl", "version") {
        return;
    }
    let (town, certificates) = with_tls();
    let _server = town.serve();
    let with = |identity: &str, more: &[&str]| {
        let (cert, key) = (
            certificates.path(&format!("{identity}.pem")),
            certificates.path(&format!("{identity}.key")),
        );
        answered(&town, &[&["-cert", &cert, "-key", &key][..], more].concat())
    };
    for good in [
        &["-tls1_3"][..],
        &["-tls1_2"],
        &["-tls1_2", "-cipher", "ECDHE+AESGCM:ECDHE+CHACHA20"],
        &["-alpn", "http/1.1"],
    ] {
        assert!(with("ghx", good), "{good:?}");
    }
    assert!(!answered(&town, &["-tls1_3"]), "without a certificate");
    assert!(!answered(&town, &["-tls1_2"]), "without a certificate");
    for bad in ["wrong-ca", "expired", "not-yet", "wrong-use"] {
        for version in ["-tls1_2", "-tls1_3"] {
            assert!(!with(bad, &[version]), "{bad} {version}");
        }
    }
    let weak = [
        &["-tls1", "-cipher", "ALL@SECLEVEL=0"][..],
        &["-tls1_1", "-cipher", "ALL@SECLEVEL=0"],
        &[
            "-tls1_2",
            "-cipher",
            "AES128-SHA:AES256-SHA:AES128-GCM-SHA256@SECLEVEL=0",
        ],
        &[
            "-tls1_2",
            "-cipher",
            "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384@SECLEVEL=0",
        ],
        &["-tls1_2", "-cipher", "DHE@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "aNULL:eNULL@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "3DES:RC4@SECLEVEL=0"],
        &[
            "-tls1_2",
            "-sigalgs",
            "ECDSA+SHA1",
            "-cipher",
            "ALL@SECLEVEL=0",
        ],
    ];
    for words in weak {
        assert!(!with("ghx", words), "{words:?}");
    }
}

#[test]
fn sslyze_finds_nothing_weak() {
    let Some(python) = house::python("sslyze") else {
        return;
    };
    let (town, certificates) = with_tls();
    let server = town.serve();
    let report = town.house.path("sslyze.json");
    let output = Command::new(python)
        .args(["-m", "sslyze", "--mozilla_config", "intermediate"])
        .args([
            "--cert",
            &certificates.path("ghx.pem"),
            "--key",
            &certificates.path("ghx.key"),
        ])
        .args(["--certinfo_ca_file", &certificates.path("ca.pem")])
        .args(["--early_data", "--heartbleed", "--openssl_ccs", "--robot"])
        .args(["--compression", "--reneg", "--fallback", "--resum"])
        .arg("--json_out")
        .arg(&report)
        .arg(&town.partner)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // Its exit code is its verdict on Mozilla's recommendation.
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let scan = &report["server_scan_results"][0]["scan_result"];
    let result = |name: &str| {
        assert_eq!(scan[name]["status"], "COMPLETED", "{name}: {}", scan[name]);
        &scan[name]["result"]
    };
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        let accepted = &result(&format!("{old}_cipher_suites"))["accepted_cipher_suites"];
        assert_eq!(
            accepted.as_array().map(Vec::len),
            Some(0),
            "{old}: {accepted}"
        );
    }
    assert_eq!(result("heartbleed")["is_vulnerable_to_heartbleed"], false);
    assert_eq!(
        result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"],
        false
    );
    assert_eq!(result("tls_compression")["supports_compression"], false);
    assert_eq!(result("tls_1_3_early_data")["supports_early_data"], false);
    assert_eq!(
        result("session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"],
        false
    );
    assert!(
        result("robot")["robot_result"]
            .as_str()
            .unwrap()
            .starts_with("NOT_VULNERABLE")
    );
    server.stop();
}
