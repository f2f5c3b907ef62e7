//! A client of the Apis, as a partner has one: a key of its own, tokens by `private_key_jwt`
//! (RFC 7523), and a call now and then.

use crate::SimError;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

const CALL_TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read; a longer one counts as failed.
const ANSWER: usize = 1 << 20;
/// A token is used for so long; issuers give five minutes at most.
const TOKEN_TIME: Duration = Duration::from_secs(120);

/// The key pair (ECDSA P-256) of a client.
pub struct ClientKeys {
    pair: EcdsaKeyPair,
    count: AtomicU64,
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKeys").finish_non_exhaustive()
    }
}

impl ClientKeys {
    /// A new key.
    ///
    /// # Errors
    /// [`SimError::Keys`] where the system gives no randomness.
    pub fn generate() -> Result<Self, SimError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self {
            pair: pair.map_err(|_| SimError::Keys)?,
            count: AtomicU64::new(0),
        })
    }

    /// Its public half as a JWK set, for the file that a client's `jwks` names.
    pub fn jwks(&self) -> String {
        // An uncompressed point: a byte 4, then x and y.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "kid": "sim", "alg": "ES256", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }] })
        .to_string()
    }

    /// A proof, for one use within a minute, that `client` is itself (RFC 7523, 3). `audience` is
    /// the token endpoint's URL.
    ///
    /// # Errors
    /// [`SimError::Keys`] where the system gives no randomness.
    pub fn assertion(&self, client: &str, audience: &str) -> Result<String, SimError> {
        let now = jiff::Timestamp::now();
        let serial = self.count.fetch_add(1, Ordering::Relaxed);
        let claims = json!({
            "iss": client, "sub": client, "aud": audience,
            "iat": now.as_second(), "exp": now.as_second() + 60,
            "jti": format!("{}-{serial}", now.as_nanosecond()),
        });
        let header = json!({ "alg": "ES256", "kid": "sim", "typ": "JWT" });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| SimError::Keys)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The body of a request for a token: `client_credentials` with an [assertion](Self::assertion).
    ///
    /// # Errors
    /// As [`ClientKeys::assertion`].
    pub fn token_request(&self, client: &str, audience: &str) -> Result<String, SimError> {
        let assertion = self.assertion(client, audience)?;
        Ok(format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
        ))
    }
}

/// One call that a client makes again and again.
#[derive(Debug, Clone)]
pub struct ApiAsk {
    /// `GET` or another.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers beside `Authorization`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, where the call has a body.
    pub body: Option<Value>,
}

impl ApiAsk {
    /// Reads something.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Sends something; with an `Idempotency-Key` it is carried out once however often it is sent.
    pub fn post(path: impl Into<String>, body: Value, idempotency_key: &str) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            headers: vec![("idempotency-key", idempotency_key.to_owned())],
            body: Some(body),
        }
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// Who calls what, and how often.
#[derive(Debug)]
pub struct ApiPlan {
    /// `http://127.0.0.1:8422`.
    pub base: String,
    /// The client's name in the estate.
    pub client: String,
    /// Its key.
    pub keys: ClientKeys,
    /// The calls, made in turn.
    pub asks: Vec<ApiAsk>,
    /// From one call to the next.
    pub every: Duration,
}

/// What came of it. All numbers are calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ApiReport {
    /// Answered 2xx.
    pub answered: u64,
    /// Answered 4xx, the token included.
    pub refused: u64,
    /// Answered 5xx or not at all.
    pub failed: u64,
}

impl std::ops::AddAssign for ApiReport {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

/// A client that runs until it is stopped.
#[derive(Debug)]
pub struct ApiClient {
    task: JoinHandle<ApiReport>,
    stop: CancellationToken,
}

impl ApiClient {
    /// Begins to call.
    pub fn start(plan: ApiPlan) -> Self {
        let stop = CancellationToken::new();
        let caller = Caller {
            plan,
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            token: None,
            report: ApiReport::default(),
        };
        Self {
            task: tokio::spawn(caller.run(stop.clone())),
            stop,
        }
    }

    /// Ends with the call in hand, and tells what came of all.
    ///
    /// # Errors
    /// [`SimError::Ended`] where its task panicked.
    pub async fn stop(self) -> Result<ApiReport, SimError> {
        self.stop.cancel();
        self.task.await.map_err(|_| SimError::Ended {
            system: "client of the Apis",
        })
    }
}

struct Caller {
    plan: ApiPlan,
    client: Client<HttpConnector, Full<Bytes>>,
    token: Option<(String, Instant)>,
    report: ApiReport,
}

impl Caller {
    async fn run(mut self, stop: CancellationToken) -> ApiReport {
        let mut tick = interval(self.plan.every.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let Some(ask) = self.plan.asks.get(turn % self.plan.asks.len().max(1)) else {
                break;
            };
            let ask = ask.clone();
            turn += 1;
            let status = match self.token().await {
                Ok(token) => self.ask(&ask, &token).await.map(|(status, _)| status),
                Err(status) => status,
            };
            match status {
                Some(status) if status.is_success() => self.report.answered += 1,
                Some(status) if status.is_client_error() => {
                    if status == StatusCode::UNAUTHORIZED {
                        self.token = None;
                    }
                    tracing::debug!(client = self.plan.client, %status, path = ask.path, "an Api refused a call");
                    self.report.refused += 1;
                }
                _ => self.report.failed += 1,
            }
        }
        self.report
    }

    /// A token that is good for a while; the answer's status where there is none.
    async fn token(&mut self) -> Result<String, Option<StatusCode>> {
        if let Some((token, until)) = &self.token
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let url = format!("{}/oauth/token", self.plan.base);
        let form = self.plan.keys.token_request(&self.plan.client, &url);
        let request = Request::post(&url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form.map_err(|_| None)?));
        let (status, body) = self.send(request).await.ok_or(None)?;
        let token = body.get("access_token").and_then(Value::as_str);
        let token = token.ok_or(Some(status))?.to_owned();
        self.token = Some((token.clone(), Instant::now() + TOKEN_TIME));
        Ok(token)
    }

    async fn ask(&self, ask: &ApiAsk, token: &str) -> Option<(StatusCode, Value)> {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("{}{}", self.plan.base, ask.path))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let body = match &ask.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Full::from(body.to_string())
            }
            None => Full::default(),
        };
        self.send(request.body(body)).await
    }

    async fn send(
        &self,
        request: Result<Request<Full<Bytes>>, http::Error>,
    ) -> Option<(StatusCode, Value)> {
        let exchange = async {
            let response = self.client.request(request.ok()?).await.ok()?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER).collect().await;
            let bytes = body.ok()?.to_bytes();
            Some((
                status,
                serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            ))
        };
        timeout(CALL_TIME, exchange).await.ok().flatten()
    }
}
