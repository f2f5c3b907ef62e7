//! A hospital with a few clients, and the means to sign as it would.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wardline_access::identity::{
    AccessSink, ApiKey, CertificateMatch, ClientCredentials, ClientDirectory, HashedSecret,
    Identity, IdentitySource, Peer, PeerCertificate, Recognised, Refusal, Settings,
};
use wardline_access::token::{KeySet, Rotation, SigningAlgorithm};
use wardline_access::{AccessEvent, CallerKind};
use wardline_core::{Clock as _, SimulatedClock, Timestamp, Zone};
use wardline_vault::{FileProvider, KeyProvider, WrappedKey};

pub(crate) const INTERNAL: &str = "https://api.st-brigid.example";
pub(crate) const PARTNERS: &str = "https://partners.st-brigid.example";
pub(crate) const SECRET: &str = "correct-horse/battery+staple 100%";
/// 2026-11-24T10:00:00Z
pub(crate) const START: i64 = 1_795_514_400;

pub(crate) struct World {
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) events: Arc<Mutex<Vec<AccessEvent>>>,
    /// The key pair whose public half is registered for `ghx`.
    pub(crate) ghx: EcdsaKeyPair,
    pub(crate) api_key: String,
    pub(crate) certificate: Arc<PeerCertificate>,
    pub(crate) other_certificate: Arc<PeerCertificate>,
    pub(crate) provider: Arc<dyn KeyProvider>,
    pub(crate) dir: Arc<tempfile::TempDir>,
}

pub(crate) fn address() -> IpAddr {
    "10.1.2.3".parse().unwrap()
}

fn certificate(name: &str) -> Arc<PeerCertificate> {
    let mut params = rcgen::CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let signed = params
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    Arc::new(PeerCertificate::from_der(signed.der()).unwrap())
}

pub(crate) fn key_pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

pub(crate) fn jwk(pair: &EcdsaKeyPair, kid: &str) -> Value {
    let point = pair.public_key().as_ref();
    json!({
        "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    })
}

pub(crate) fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

pub(crate) fn names(names: &[&str]) -> std::collections::BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

pub(crate) fn clients(ghx: &EcdsaKeyPair, api_key: &str) -> Vec<ClientCredentials> {
    let mut erp = ClientCredentials::new("erp", CallerKind::Service, Zone::Internal);
    erp.scopes = names(&["orders.read", "orders.write", "suppliers.read"]);
    erp.facilities = names(&["north"]);
    erp.secrets = vec![HashedSecret::new(SECRET.as_bytes()).unwrap()];
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, api_key.as_bytes()).as_ref(),
    );
    erp.api_keys = vec![ApiKey {
        sha256,
        expires: Timestamp::from_unix_ms((START + 86_400) * 1_000),
        apis: names(&["supplier-master"]),
    }];
    let mut robot = ClientCredentials::new("robot", CallerKind::Service, Zone::Internal);
    robot.scopes = names(&["orders.read"]);
    robot.certificate = CertificateMatch::subject("CN=erp");
    robot.token_by_certificate = true;
    let mut device = ClientCredentials::new("device", CallerKind::Service, Zone::Internal);
    device.scopes = names(&["orders.read"]);
    device.certificate = CertificateMatch::name("mallory.example");
    device.call_by_certificate = true;
    let mut other = ClientCredentials::new("other", CallerKind::Service, Zone::Internal);
    other.scopes = names(&["orders.read"]);
    other.secrets = vec![HashedSecret::new(b"another").unwrap()];
    other.addresses = vec!["10.0.0.0/8".parse().unwrap()];
    let mut partner = ClientCredentials::new("ghx", CallerKind::Partner, Zone::Partner);
    partner.scopes = names(&["orders.read", "catalog.read"]);
    partner.keys = Some(key_set(&[jwk(ghx, "ghx-1")]));
    partner.unbound = true;
    let mut forgot = ClientCredentials::new("forgot", CallerKind::Partner, Zone::Partner);
    forgot.secrets = vec![HashedSecret::new(b"forgot-secret").unwrap()];
    let mut bound = ClientCredentials::new("acme", CallerKind::Partner, Zone::Partner);
    bound.scopes = names(&["catalog.read"]);
    bound.secrets = vec![HashedSecret::new(b"acme-secret").unwrap()];
    bound.certificate = CertificateMatch::name("erp.example");
    vec![erp, other, partner, bound, forgot, robot, device]
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(SigningAlgorithm::Es256)
    }

    pub(crate) fn with(algorithm: SigningAlgorithm) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        FileProvider::init(&dir.path().join("keys")).unwrap();
        let clock = Arc::new(SimulatedClock::starting_at(Timestamp::from_unix_ms(
            START * 1_000,
        )));
        Self::in_directory(dir, clock, algorithm)
    }

    /// The same hospital after a restart.
    pub(crate) fn restarted(self) -> Self {
        let algorithm = SigningAlgorithm::Es256;
        let mut world = Self::in_directory(self.dir, self.clock, algorithm);
        world.api_key = self.api_key;
        world.ghx = self.ghx;
        world
            .identity
            .replace_clients(ClientDirectory::new(clients(&world.ghx, &world.api_key)).unwrap());
        world
    }

    pub(crate) fn reopened(dir: Arc<tempfile::TempDir>, algorithm: SigningAlgorithm) -> Self {
        let start = Timestamp::from_unix_ms(START * 1_000);
        Self::in_directory(dir, Arc::new(SimulatedClock::starting_at(start)), algorithm)
    }

    fn in_directory(
        dir: Arc<tempfile::TempDir>,
        clock: Arc<SimulatedClock>,
        algorithm: SigningAlgorithm,
    ) -> Self {
        let provider: Arc<dyn KeyProvider> =
            Arc::new(FileProvider::open(&dir.path().join("keys")).unwrap());
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let mut settings = Settings::new()
            .with_zone(Zone::Internal, INTERNAL)
            .unwrap()
            .with_zone(Zone::Partner, PARTNERS)
            .unwrap();
        settings.algorithm = algorithm;
        let identity = Identity::open(
            IdentitySource {
                estate: "st-brigid",
                data: &dir.path().join("data"),
                provider: Arc::clone(&provider),
                rotation: Rotation::default(),
            },
            settings,
            Arc::clone(&clock) as _,
            AccessSink::new(move |event| heard.lock().push(event)),
        )
        .unwrap();
        let ghx = key_pair();
        let (api_key, _) = ApiKey::generate().unwrap();
        identity.replace_clients(ClientDirectory::new(clients(&ghx, &api_key)).unwrap());
        Self {
            identity: Arc::new(identity),
            clock,
            events,
            ghx,
            api_key,
            certificate: certificate("erp"),
            other_certificate: certificate("mallory"),
            provider,
            dir,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().0 / 1_000_000
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn inside(&self) -> Peer {
        Peer::new(address(), Zone::Internal)
    }

    pub(crate) fn outside(&self) -> Peer {
        Peer::new(address(), Zone::Partner)
    }

    pub(crate) fn post(&self, path: &str, auth: Option<&str>, body: &str, peer: &Peer) -> Answer {
        let mut request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(auth) = auth {
            request = request.header("authorization", auth);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        Answer(self.identity.serve(&request, peer))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Bytes::new()).unwrap();
        Answer(self.identity.serve(&request, &self.inside()))
    }

    /// A token for `erp`, by its secret.
    pub(crate) fn token(&self) -> String {
        let answer = self.post(
            "/oauth/token",
            Some(&basic("erp", SECRET)),
            "grant_type=client_credentials",
            &self.inside(),
        );
        assert_eq!(answer.0.status(), 200, "{answer:?}");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn call(&self, token: &str, peer: &Peer) -> Result<Arc<Recognised>, Refusal> {
        self.identity.recognise(&bearer(token), peer).await
    }

    /// The pair that signs tokens now: out of its file, as an attacker with both the data and
    /// the master key could.
    pub(crate) fn signing_pair(&self) -> (EcdsaKeyPair, String) {
        let text = std::fs::read(self.dir.path().join("data/signing-keys.json")).unwrap();
        let ring: Value = serde_json::from_slice(&text).unwrap();
        let key = &ring["keys"][0];
        let kid = key["kid"].as_str().unwrap();
        let wrapped: WrappedKey = serde_json::from_value(key["key"].clone()).unwrap();
        let private = self
            .provider
            .unwrap(&format!("st-brigid token signing {kid}"), &wrapped)
            .unwrap();
        let public = URL_SAFE_NO_PAD
            .decode(key["public"].as_str().unwrap())
            .unwrap();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &*private,
            &public,
        );
        (pair.unwrap(), kid.to_owned())
    }
}

/// An answer of an endpoint.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Response<Bytes>);

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.0.body()).unwrap()
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.0
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Credentials as RFC 6749 §2.3.1 wants them: form-encoded before they are joined.
pub(crate) fn basic(name: &str, secret: &str) -> String {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encode(name), encode(secret));
    format!("Basic {}", STANDARD.encode(joined))
}

pub(crate) fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes());
    headers.insert("authorization", value.unwrap());
    headers
}

/// Signs any header and claims whatsoever.
pub(crate) fn sign(pair: &EcdsaKeyPair, header: &str, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
