//! Sign-in at the organisation's identity provider: OpenID Connect Core 1.0, authorization
//! code flow with PKCE (RFC 7636), `state`, `nonce`, and the issuer in the answer (RFC 9207).
//!
//! A relying party by hand on the token reader of [`crate::token`], which is stricter than the
//! libraries, and on whatever [`Ask`] opens sockets with: a library would bring a second TLS,
//! HTTP and cryptography along.

use super::{Person, Proof};
use crate::AccessError;
use crate::token::{Claims, Jws, KeySet, Reason, b64, strict_object};
use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use url::form_urlencoded;
use wardline_core::Timestamp;
use zeroize::Zeroizing;

/// The largest answer that is read from an identity provider: 256 KiB.
pub const MAX_ANSWER: usize = 256 << 10;
/// Bytes of an ID token: one with a few hundred groups.
const MAX_ID_TOKEN: usize = 64 << 10;
/// How old metadata and keys may be before they are fetched again, in seconds.
const FRESH: i64 = 600;
/// And how old where they cannot be.
const STALE: i64 = 24 * 3600;
/// How often a key that is not known makes us fetch, in seconds.
const ASK_EVERY: i64 = 60;
/// Letters of a name.
const LONGEST_NAME: usize = 128;

/// What a request becomes; the error is a short text for the log.
pub type AskFuture = Pin<Box<dyn Future<Output = Result<Response<Bytes>, String>> + Send>>;

/// Sends a request. Given by whoever may open sockets: it bounds time, follows no redirect and
/// reads no more than [`MAX_ANSWER`].
#[derive(Clone)]
pub struct Ask(Arc<dyn Fn(Request<Bytes>) -> AskFuture + Send + Sync>);

impl Ask {
    /// Asks by this function.
    pub fn new(ask: impl Fn(Request<Bytes>) -> AskFuture + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}

/// Reads the client's secret at the moment it is needed, so that a new one holds at once.
#[derive(Clone)]
pub struct ClientSecret(Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>);

impl ClientSecret {
    /// Reads it by this function; the error is a short text for the log, without the secret.
    pub fn new(
        read: impl Fn() -> Result<Zeroizing<String>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// An identity provider and what its word is worth here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people call it.
    pub title: String,
    /// Its issuer, exactly.
    pub issuer: String,
    /// As what we are registered there.
    pub client_id: String,
    /// The secret that we were given; none for a public client.
    pub client_secret: Option<ClientSecret>,
    /// Where it sends people back to.
    pub redirect: String,
    /// Scopes, `openid` among them.
    pub scopes: Vec<String>,
    /// The claim with the person's name.
    pub name: String,
    /// The claim with the person's groups; dots lead into objects (`realm_access.roles`).
    pub groups: String,
    /// Roles of each group.
    pub roles: BTreeMap<String, BTreeSet<Arc<str>>>,
    /// One of these must be the `acr`, where there are any.
    pub acr: Vec<String>,
    /// All of these must be in `amr`.
    pub amr: Vec<String>,
}

/// A sign-in that has begun. Kept on the server, for the browser that began it.
#[derive(Clone)]
pub struct Pending {
    /// What the provider must send back.
    pub state: String,
    nonce: String,
    verifier: Zeroizing<String>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(…)")
    }
}

/// Why the provider's word was not taken. For the audit log and the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotVouched {
    /// It cannot be asked.
    #[error("the identity provider cannot be asked: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("the identity provider refused: {0}")]
    Declined(String),
    /// Its token is not one to believe.
    #[error("the ID token is refused: {0}")]
    Token(Reason),
    /// Its token is one of another sign-in.
    #[error("the ID token is one of another sign-in: its nonce differs")]
    Nonce,
    /// Somebody else's answer (RFC 9207).
    #[error("the answer comes from another issuer")]
    MixUp,
    /// The person proved too little.
    #[error("the person did not sign in strongly enough: {0}")]
    TooWeak(&'static str),
    /// The person has no name that could stand in a log.
    #[error("the name of the person is missing or is none")]
    NoName,
    /// No group of the person brings a role.
    #[error("no group of the person brings a role")]
    NoRole {
        /// Who it is.
        name: String,
    },
}

impl From<Reason> for NotVouched {
    fn from(reason: Reason) -> Self {
        Self::Token(reason)
    }
}

/// The identity provider.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    ask: Ask,
    known: ArcSwapOption<Known>,
    /// One fetch at a time.
    flight: tokio::sync::Mutex<()>,
}

/// What it says about itself.
#[derive(Debug, Clone)]
struct Known {
    authorize: String,
    token: String,
    userinfo: Option<String>,
    /// Takes the secret in the body only.
    secret_in_body: bool,
    names_issuer: bool,
    keys: KeySet,
    fetched: i64,
}

impl Provider {
    /// Nothing is fetched until somebody signs in.
    pub fn new(settings: Settings, ask: Ask) -> Self {
        Self {
            settings,
            ask,
            known: ArcSwapOption::empty(),
            flight: tokio::sync::Mutex::new(()),
        }
    }

    /// What people call it.
    pub fn title(&self) -> &str {
        &self.settings.title
    }

    /// Begins a sign-in: what to remember, and where to send the browser.
    ///
    /// # Errors
    /// [`NotVouched::Unreachable`].
    pub async fn begin(&self, now: Timestamp) -> Result<(Pending, String), NotVouched> {
        let known = self.known(now, FRESH).await?;
        let internal = |_| NotVouched::Unreachable("there are no random numbers".to_owned());
        let pending = Pending {
            state: random().map_err(internal)?,
            nonce: random().map_err(internal)?,
            verifier: Zeroizing::new(random().map_err(internal)?),
        };
        let challenge = b64::encode(digest(&SHA256, pending.verifier.as_bytes()));
        let settings = &self.settings;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &settings.redirect)
            .append_pair("scope", &settings.scopes.join(" "))
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !settings.acr.is_empty() {
            query.append_pair("acr_values", &settings.acr.join(" "));
        }
        let joint = if known.authorize.contains('?') {
            '&'
        } else {
            '?'
        };
        let url = format!("{}{joint}{}", known.authorize, query.finish());
        Ok((pending, url))
    }

    /// Trades the code for the provider's word on who it is.
    ///
    /// # Errors
    /// Why that word is not taken.
    pub async fn finish(
        &self,
        pending: Pending,
        code: &str,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Person, NotVouched> {
        let known = self.known(now, STALE).await?;
        // RFC 9207: an answer of another provider must not be traded at this one.
        if issuer.is_some_and(|issuer| issuer != self.settings.issuer)
            || (issuer.is_none() && known.names_issuer)
        {
            return Err(NotVouched::MixUp);
        }
        let answer = self.trade(&known, &pending, code).await?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let id_token = text("id_token").ok_or(NotVouched::Token(Reason::NoCredential))?;
        let claims = self.verified(id_token, &known, now).await?;
        self.check(&claims, &pending, now)?;
        let subject = claims.text("sub")?.to_owned();
        let mut all = claims.0;
        let settings = &self.settings;
        let lacks = |all: &Map<String, Value>, claim: &str| find(all, claim).is_none();
        if (lacks(&all, &settings.groups) || lacks(&all, &settings.name))
            && let (Some(userinfo), Some(token)) = (&known.userinfo, text("access_token"))
        {
            let more = self.userinfo(userinfo, token, &subject).await?;
            for (name, value) in more {
                // What is signed counts more than what is not.
                all.entry(name).or_insert(value);
            }
        }
        self.person(&all, &subject)
    }

    fn person(&self, claims: &Map<String, Value>, subject: &str) -> Result<Person, NotVouched> {
        let settings = &self.settings;
        let name = match find(claims, &settings.name) {
            None => subject,
            Some(name) => name.as_str().ok_or(NotVouched::NoName)?,
        };
        if !is_fit_for_a_log(name) || !is_fit_for_a_log(subject) {
            return Err(NotVouched::NoName);
        }
        let groups: Vec<&str> = match find(claims, &settings.groups) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let roles: BTreeSet<Arc<str>> = groups
            .iter()
            .filter_map(|group| settings.roles.get(*group))
            .flatten()
            .cloned()
            .collect();
        if roles.is_empty() {
            return Err(NotVouched::NoRole {
                name: name.to_owned(),
            });
        }
        let title = claims.get("name").and_then(Value::as_str);
        Ok(Person {
            name: name.into(),
            title: title.filter(|title| is_fit_for_a_log(title)).map(Arc::from),
            roles,
            proof: Proof::Provider,
            subject: Some(subject.into()),
        })
    }

    /// The token endpoint (RFC 6749 §4.1.3).
    async fn trade(
        &self,
        known: &Known,
        pending: &Pending,
        code: &str,
    ) -> Result<Map<String, Value>, NotVouched> {
        let request = self.trading(known, pending, code)?;
        let answer = self.send(request).await?;
        if answer.status() != StatusCode::OK {
            // RFC 6749 §5.2: one of a few words. Nothing else of the answer goes to a log.
            let why = strict_object(answer.body())
                .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()))
                .filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
                .unwrap_or_default();
            return Err(NotVouched::Declined(format!(
                "its token endpoint answered {} {why}",
                answer.status().as_u16()
            )));
        }
        strict_object(answer.body()).ok_or(NotVouched::Token(Reason::Malformed))
    }

    /// What is asked at the token endpoint.
    fn trading(
        &self,
        known: &Known,
        pending: &Pending,
        code: &str,
    ) -> Result<Request<Bytes>, NotVouched> {
        let settings = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &settings.redirect)
            .append_pair("code_verifier", &pending.verifier);
        let mut basic = None;
        match &settings.client_secret {
            None => {
                form.append_pair("client_id", &settings.client_id);
            }
            Some(secret) => {
                let secret = (secret.0)().map_err(NotVouched::Unreachable)?;
                if known.secret_in_body {
                    form.append_pair("client_id", &settings.client_id)
                        .append_pair("client_secret", &secret);
                } else {
                    basic = Some(basic_header(&settings.client_id, &secret)?);
                }
            }
        }
        let mut request = Request::new(Bytes::from(form.finish()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri(&known.token)?;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if let Some(basic) = basic {
            headers.insert(header::AUTHORIZATION, basic);
        }
        Ok(request)
    }

    async fn verified(
        &self,
        token: &str,
        known: &Known,
        now: Timestamp,
    ) -> Result<Claims, NotVouched> {
        let jws = Jws::parse_within(token, MAX_ID_TOKEN)?;
        // An access token or a logout token is signed by the same keys, for something else.
        if jws.typ.as_deref().is_some_and(|typ| typ != "jwt") {
            return Err(Reason::Type.into());
        }
        match jws.verify(&known.keys) {
            Err(Reason::UnknownKey) => {
                // The provider has a new key.
                let newer = self.known(now, ASK_EVERY).await?;
                Ok(jws.verify(&newer.keys)?)
            }
            other => Ok(other?),
        }
    }

    /// OpenID Connect Core 1.0 §3.1.3.7.
    fn check(&self, claims: &Claims, pending: &Pending, now: Timestamp) -> Result<(), NotVouched> {
        let settings = &self.settings;
        if claims.text("iss")? != settings.issuer {
            return Err(Reason::Issuer.into());
        }
        let us = |value: &Value| value.as_str() == Some(&settings.client_id);
        let (ours, several) = match claims.0.get("aud") {
            Some(Value::Array(all)) => (all.iter().any(us), all.len() > 1),
            Some(one) => (us(one), false),
            None => return Err(Reason::Claim.into()),
        };
        let party = claims.optional_text("azp")?;
        if !ours || party.is_some_and(|party| party != settings.client_id) {
            return Err(Reason::Audience.into());
        }
        if several && party.is_none() {
            return Err(Reason::Audience.into());
        }
        claims.times(now.0.div_euclid(1_000_000))?;
        claims.date("iat")?;
        if claims.optional_text("nonce")? != Some(&pending.nonce) {
            return Err(NotVouched::Nonce);
        }
        if !settings.acr.is_empty() {
            let acr = claims.optional_text("acr")?.unwrap_or_default();
            if !settings.acr.iter().any(|enough| enough == acr) {
                return Err(NotVouched::TooWeak("its acr is none that is asked for"));
            }
        }
        let used: Vec<&str> = match claims.0.get("amr") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !settings
            .amr
            .iter()
            .all(|method| used.contains(&method.as_str()))
        {
            return Err(NotVouched::TooWeak("its amr lacks what is asked for"));
        }
        Ok(())
    }

    /// OpenID Connect Core 1.0 §5.3.
    async fn userinfo(
        &self,
        url: &str,
        token: &str,
        subject: &str,
    ) -> Result<Map<String, Value>, NotVouched> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri(url)?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| NotVouched::Token(Reason::Malformed))?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let answer = self.send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(NotVouched::Declined(format!(
                "its userinfo endpoint answered {}",
                answer.status().as_u16()
            )));
        }
        let claims = strict_object(answer.body()).ok_or(NotVouched::Token(Reason::Malformed))?;
        // §5.3.2: else it is about somebody else.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(NotVouched::Token(Reason::Claim));
        }
        Ok(claims)
    }

    /// What it says about itself, at most so old; older where it does not answer.
    async fn known(&self, now: Timestamp, oldest: i64) -> Result<Arc<Known>, NotVouched> {
        let seconds = now.0.div_euclid(1_000_000);
        let young = |known: &Arc<Known>, most: i64| seconds - known.fetched < most;
        if let Some(known) = self.known.load_full().filter(|known| young(known, oldest)) {
            return Ok(known);
        }
        let _one = self.flight.lock().await;
        if let Some(known) = self.known.load_full().filter(|known| young(known, oldest)) {
            return Ok(known);
        }
        match self.fetch(seconds).await {
            Ok(known) => {
                let known = Arc::new(known);
                self.known.store(Some(Arc::clone(&known)));
                Ok(known)
            }
            Err(why) => {
                let stale = self.known.load_full().filter(|known| young(known, STALE));
                if stale.is_some() {
                    tracing::warn!(
                        why,
                        "the identity provider cannot be asked; what it said last holds for a day"
                    );
                }
                stale.ok_or(NotVouched::Unreachable(why))
            }
        }
    }

    async fn fetch(&self, now: i64) -> Result<Known, String> {
        let issuer = &self.settings.issuer;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let document = self.get(&url).await?;
        let document = strict_object(&document).ok_or("its discovery document is not JSON")?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err("its discovery document is that of another issuer".to_owned());
        }
        // Whoever changes where a password goes has the password.
        let plain = issuer.starts_with("http://");
        let endpoint = |name: &str| match text(name) {
            Some(url) if url.starts_with("https://") || plain && url.starts_with("http://") => {
                Ok(url.to_owned())
            }
            Some(_) => Err(format!("its {name} is not behind https")),
            None => Err(format!("its discovery document names no {name}")),
        };
        let keys = self.get(&endpoint("jwks_uri")?).await?;
        let keys = KeySet::parse(&keys)
            .filter(|keys| !keys.is_empty())
            .ok_or("its key set holds no key that can be used")?;
        let methods: Option<Vec<&str>> = document
            .get("token_endpoint_auth_methods_supported")
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(Value::as_str).collect());
        Ok(Known {
            authorize: endpoint("authorization_endpoint")?,
            token: endpoint("token_endpoint")?,
            userinfo: endpoint("userinfo_endpoint").ok(),
            // Basic is what holds where nothing is said (Discovery 1.0 §3).
            secret_in_body: methods.is_some_and(|methods| {
                !methods.contains(&"client_secret_basic") && methods.contains(&"client_secret_post")
            }),
            names_issuer: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            keys,
            fetched: now,
        })
    }

    async fn get(&self, url: &str) -> Result<Bytes, String> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.parse().map_err(|_| "it names no URL".to_owned())?;
        let answer = self
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered with status {}", answer.status()));
        }
        Ok(answer.into_body())
    }

    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, NotVouched> {
        request
            .headers_mut()
            .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        (self.ask.0)(request).await.map_err(NotVouched::Unreachable)
    }
}

fn uri(url: &str) -> Result<http::Uri, NotVouched> {
    url.parse()
        .map_err(|_| NotVouched::Unreachable("it names no URL".to_owned()))
}

/// RFC 6749 §2.3.1: both parts form-encoded first.
fn basic_header(client: &str, secret: &str) -> Result<HeaderValue, NotVouched> {
    use base64::Engine as _;
    let part = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = Zeroizing::new(format!("{}:{}", part(client), part(secret)));
    let text = base64::engine::general_purpose::STANDARD.encode(both.as_bytes());
    let mut value = HeaderValue::from_str(&format!("Basic {text}"))
        .map_err(|_| NotVouched::Unreachable("the client secret fits no header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A claim by its name, or else by the path that the name is.
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

fn is_fit_for_a_log(name: &str) -> bool {
    !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control)
}

fn random() -> Result<String, AccessError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| AccessError::NoKey)?;
    Ok(b64::encode(*bytes))
}
