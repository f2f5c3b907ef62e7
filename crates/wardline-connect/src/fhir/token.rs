//! SMART Backend Services: an access token for a signed assertion (RFC 7523, ES384 or RS384).

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::encode;
use crate::http::Asker;
use crate::tls::ClientTls;
use crate::{ConnectError, Secret};

/// How long an assertion is good; the specification allows five minutes.
const ASSERTION: i64 = 240;
/// A token is renewed so long before its end.
const EARLY: i64 = 30;

/// How a client proves itself to the server's authorisation server.
#[derive(Clone, Debug)]
pub struct Smart {
    /// Where tokens are given.
    pub token_url: String,
    /// Our client id there.
    pub client: String,
    /// Our private key: PEM, PKCS#8, of P-384 or RSA.
    pub key: Secret,
    /// The name of its public half in the key set that we gave.
    pub key_id: String,
    /// What is asked for, such as `system/*.rs`.
    pub scope: String,
    /// Whom to trust.
    pub tls: ClientTls,
}

enum Key {
    Es384(Box<EcdsaKeyPair>),
    Rs384(Box<RsaKeyPair>),
}

/// The token in hand, and how another is got.
pub(super) struct Tokens {
    config: Smart,
    key: Key,
    asker: Asker,
    /// Where assertions are sent.
    uri: Uri,
    held: Mutex<Option<Held>>,
}

struct Held {
    header: HeaderValue,
    until: Timestamp,
}

impl Tokens {
    pub(super) fn new(name: &Arc<str>, config: Smart) -> Result<Self, ConnectError> {
        let bad = |what, value: &str, detail: &str| ConnectError::BadSetting {
            name: name.to_string(),
            what,
            value: value.to_owned(),
            detail: detail.to_owned(),
        };
        let key = read_key(config.key.expose()).ok_or_else(|| {
            bad(
                "the key of `smart`",
                "",
                "it is not PEM (PKCS#8) of a key of P-384 or RSA from 2048 bits on",
            )
        })?;
        let uri: Uri = config
            .token_url
            .parse()
            .map_err(|_| bad("the token URL", &config.token_url, "it is not a URL"))?;
        let asker = Asker::new(name, &config.tls, 64 << 10, Duration::from_secs(20))?;
        Ok(Self {
            config,
            key,
            asker,
            uri,
            held: Mutex::new(None),
        })
    }

    /// The `Authorization` header. One caller asks, others wait for what it got.
    pub(super) async fn header(&self) -> Result<HeaderValue, String> {
        let mut held = self.held.lock().await;
        let now = Timestamp::now();
        if let Some(one) = held.as_ref().filter(|one| one.until > now) {
            return Ok(one.header.clone());
        }
        let fresh = self.ask(now).await?;
        let header = fresh.header.clone();
        *held = Some(fresh);
        Ok(header)
    }

    /// A token that the server no longer takes is not kept.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn ask(&self, now: Timestamp) -> Result<Held, String> {
        let assertion = self
            .assertion(now)
            .ok_or("our assertion could not be signed")?;
        let form = format!(
            "grant_type=client_credentials&scope={}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}",
            encode(&self.config.scope)
        );
        let mut request = Request::new(Bytes::from(form));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.asker.ask(request).await?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status().as_u16()));
        }
        let body: Value =
            serde_json::from_slice(answer.body()).map_err(|_| "its answer is not JSON")?;
        let token = body
            .get("access_token")
            .and_then(Value::as_str)
            .ok_or("its answer has no token")?;
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "its token fits no header")?;
        header.set_sensitive(true);
        let good_for = body
            .get("expires_in")
            .and_then(Value::as_i64)
            .unwrap_or(300)
            .clamp(0, 86_400);
        let until = now + Duration::from_secs((good_for - EARLY).max(0).unsigned_abs());
        Ok(Held { header, until })
    }

    fn assertion(&self, now: Timestamp) -> Option<String> {
        let algorithm = match &self.key {
            Key::Es384(_) => "ES384",
            Key::Rs384(_) => "RS384",
        };
        let head = json!({ "alg": algorithm, "typ": "JWT", "kid": self.config.key_id });
        let seconds = now.as_second();
        let claims = json!({
            "iss": self.config.client, "sub": self.config.client, "aud": self.config.token_url, "iat": seconds, "exp": seconds + ASSERTION,
            "jti": format!("{:032x}", rand::random::<u128>()),
        });
        let mut text = URL_SAFE_NO_PAD.encode(head.to_string());
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Es384(pair) => pair.sign(&random, text.as_bytes()).ok()?.as_ref().to_vec(),
            Key::Rs384(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA384, &random, text.as_bytes(), &mut signature)
                    .ok()?;
                signature
            }
        };
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Some(text)
    }
}

fn read_key(pem: &[u8]) -> Option<Key> {
    let text = std::str::from_utf8(pem).ok()?;
    let inner = text
        .split("-----BEGIN PRIVATE KEY-----")
        .nth(1)?
        .split("-----END")
        .next()?;
    let packed: String = inner.split_whitespace().collect();
    let der = zeroize::Zeroizing::new(STANDARD.decode(packed).ok()?);
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &der) {
        return Some(Key::Es384(Box::new(pair)));
    }
    let pair = RsaKeyPair::from_pkcs8(&der).ok()?;
    (pair.public_modulus_len() >= 256).then(|| Key::Rs384(Box::new(pair)))
}
