//! Clients as this crate needs them: plain data, made from `clients/*.yaml` by whoever holds
//! the estate.

use super::{CertificateMatch, PeerCertificate, Recognised};
use crate::token::{KeySet, b64};
use crate::{AccessError, Caller, CallerKind, Strength};
use ahash::AHashMap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use wardline_core::{Timestamp, Zone};

/// A client and what it may show to prove who it is.
///
/// ```
/// use wardline_access::identity::{ClientCredentials, ClientDirectory, HashedSecret};
/// use wardline_access::CallerKind;
/// use wardline_core::Zone;
///
/// let mut ghx = ClientCredentials::new("ghx", CallerKind::Partner, Zone::Partner);
/// ghx.scopes.insert("orders.read".into());
/// ghx.secrets.push(HashedSecret::new(b"a random text of 256 bits")?);
/// let directory = ClientDirectory::new(vec![ghx])?;
/// assert!(directory.client("ghx").is_some());
/// # Ok::<(), wardline_access::AccessError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Its name: `client_id`, and `sub` of its tokens.
    pub name: Arc<str>,
    /// What kind of principal it is.
    pub kind: CallerKind,
    /// The zone on whose listeners it is heard, and nowhere else.
    pub zone: Zone,
    /// Sites whose data it may see; empty means that no site restricts it.
    pub facilities: BTreeSet<Arc<str>>,
    /// Roles that it was given.
    pub roles: BTreeSet<Arc<str>>,
    /// Scopes that it was granted.
    pub scopes: BTreeSet<Arc<str>>,
    /// What it uses data for, where it always is the same.
    pub purpose: Option<Arc<str>>,
    /// `client_secret_basic`: the secret, and while it is exchanged the one before.
    pub secrets: Vec<HashedSecret>,
    /// `private_key_jwt`: its registered public keys.
    pub keys: Option<KeySet>,
    /// Or the URL at which it publishes them (a JWK Set), fetched in the background.
    pub keys_at: Option<String>,
    /// Its registered certificate. Where there is one it must be shown whenever the client
    /// gets or uses a token, whatever else it proves itself by.
    pub certificate: Option<CertificateMatch>,
    /// `tls_client_auth`: whether the certificate alone gets a token.
    pub token_by_certificate: bool,
    /// Whether the certificate alone is good for calls, without a token.
    pub call_by_certificate: bool,
    /// API keys, where its file says so.
    pub api_keys: Vec<ApiKey>,
    /// Tokens of external issuers that stand for it.
    pub issuers: Vec<IssuerMatch>,
    /// Whether a partner that registered no certificate is heard all the same. Without this
    /// it must call with tokens that are bound to one (RFC 8705).
    pub unbound: bool,
    /// Networks that it may come from; empty means any.
    pub addresses: Vec<IpNet>,
    /// When its time is over.
    pub expires: Option<Timestamp>,
    /// Whether it is switched off.
    pub disabled: bool,
}

impl ClientCredentials {
    /// A client that is granted nothing and has no way to prove who it is.
    pub fn new(name: &str, kind: CallerKind, zone: Zone) -> Self {
        Self {
            name: name.into(),
            kind,
            zone,
            facilities: BTreeSet::new(),
            roles: BTreeSet::new(),
            scopes: BTreeSet::new(),
            purpose: None,
            secrets: Vec::new(),
            keys: None,
            keys_at: None,
            certificate: None,
            token_by_certificate: false,
            call_by_certificate: false,
            api_keys: Vec::new(),
            issuers: Vec::new(),
            unbound: false,
            addresses: Vec::new(),
            expires: None,
            disabled: false,
        }
    }

    /// Whether it may come from this address.
    pub fn may_come_from(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.addresses.is_empty() || self.addresses.iter().any(|net| net.contains(&address))
    }

    /// It as a caller that holds these scopes.
    pub(crate) fn caller(
        &self,
        scopes: BTreeSet<Arc<str>>,
        strength: Strength,
        until: Option<Timestamp>,
    ) -> Caller {
        Caller {
            name: Arc::clone(&self.name),
            kind: self.kind,
            zone: self.zone,
            scopes,
            roles: self.roles.clone(),
            facilities: self.facilities.clone(),
            strength,
            purpose: self.purpose.clone(),
            until,
        }
    }
}

/// A shared secret, kept as a keyed hash under a key of its own that lives in memory only.
/// Secrets are random and long (256 bits), so that no slow hash is needed, which would let
/// anybody keep the processor busy by guessing.
#[derive(Clone)]
pub struct HashedSecret {
    key: hmac::Key,
    tag: [u8; 32],
}

impl HashedSecret {
    /// Hashes a secret; the caller wipes it.
    ///
    /// # Errors
    /// [`AccessError::NoKey`] when the system gives no random bytes.
    pub fn new(secret: &[u8]) -> Result<Self, AccessError> {
        let mut key = [0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| AccessError::NoKey)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&key, secret).as_ref());
        Ok(Self { key, tag })
    }

    /// Whether this is the secret, in time that does not tell how much of it is right.
    pub fn matches(&self, presented: &[u8]) -> bool {
        hmac::verify(&self.key, presented, &self.tag).is_ok()
    }
}

impl fmt::Debug for HashedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedSecret")
    }
}

/// An API key at rest: its hash, never itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// SHA-256 of the whole key as it is shown.
    pub sha256: [u8; 32],
    /// When it expires. There is no key for ever.
    pub expires: Timestamp,
    /// The Apis that it opens; empty means all that the client's scopes open.
    pub apis: BTreeSet<Arc<str>>,
}

impl ApiKey {
    /// Makes a key: `wlk_` and 256 random bits, to be shown once, and its hash in
    /// hexadecimal for the client's file.
    ///
    /// # Errors
    /// [`AccessError::NoKey`] when the system gives no random bytes.
    pub fn generate() -> Result<(String, String), AccessError> {
        let mut bytes = [0; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| AccessError::NoKey)?;
        // A prefix lets scanners for leaked secrets find one.
        let key = format!("wlk_{}", b64::encode(bytes));
        let hash = hex(&hash(&key));
        Ok((key, hash))
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

fn hash(key: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    out
}

/// Which tokens of an external issuer stand for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMatch {
    /// The issuer's name in `wardline.yaml`.
    pub issuer: Arc<str>,
    /// The claim that says whose token it is: `sub`, `azp`, `client_id`.
    pub claim: String,
    /// What stands there, alone or in a list.
    pub equals: String,
}

/// All clients of an estate, found by what they show.
#[derive(Debug, Default)]
pub struct ClientDirectory {
    clients: AHashMap<Arc<str>, Arc<ClientCredentials>>,
    keys: AHashMap<[u8; 32], Arc<Recognised>>,
    certificates: Vec<(CertificateMatch, Arc<Recognised>)>,
    issuers: AHashMap<Arc<str>, Vec<(IssuerMatch, Arc<ClientCredentials>)>>,
}

impl ClientDirectory {
    /// Builds the directory.
    ///
    /// # Errors
    /// [`AccessError::Client`] when two clients have the same name, API key, external claim
    /// or, where it is enough for calls, certificate.
    pub fn new(clients: Vec<ClientCredentials>) -> Result<Self, AccessError> {
        let mut directory = Self::default();
        for client in clients {
            let client = Arc::new(client);
            let refused = |reason: &str| AccessError::Client {
                client: client.name.to_string(),
                reason: reason.to_owned(),
            };
            for key in &client.api_keys {
                let until = client
                    .expires
                    .map_or(key.expires, |end| end.min(key.expires));
                let caller = client.caller(client.scopes.clone(), Strength::ApiKey, Some(until));
                let recognised = Recognised {
                    caller: Arc::new(caller),
                    client: Arc::clone(&client),
                    apis: (!key.apis.is_empty()).then(|| key.apis.clone()),
                    bound: None,
                };
                if directory
                    .keys
                    .insert(key.sha256, Arc::new(recognised))
                    .is_some()
                {
                    return Err(refused("its API key is another client's too"));
                }
            }
            if client.call_by_certificate
                && let Some(registered) = &client.certificate
            {
                let taken = directory.certificates.iter().any(|(other, recognised)| {
                    other == registered && recognised.client.zone == client.zone
                });
                if taken {
                    return Err(refused("its certificate is another client's too"));
                }
                let caller =
                    client.caller(client.scopes.clone(), Strength::Certificate, client.expires);
                let recognised = Recognised {
                    caller: Arc::new(caller),
                    client: Arc::clone(&client),
                    apis: None,
                    bound: None,
                };
                let entry = (registered.clone(), Arc::new(recognised));
                directory.certificates.push(entry);
            }
            for wanted in &client.issuers {
                let same = directory
                    .issuers
                    .entry(Arc::clone(&wanted.issuer))
                    .or_default();
                if same.iter().any(|(other, _)| other == wanted) {
                    return Err(refused(
                        "tokens that stand for it stand for another client too",
                    ));
                }
                same.push((wanted.clone(), Arc::clone(&client)));
            }
            if directory
                .clients
                .insert(Arc::clone(&client.name), Arc::clone(&client))
                .is_some()
            {
                return Err(refused("another client has this name"));
            }
        }
        Ok(directory)
    }

    /// The client of this name.
    pub fn client(&self, name: &str) -> Option<&Arc<ClientCredentials>> {
        self.clients.get(name)
    }

    /// Clients that publish their keys, and where.
    pub(crate) fn publishing(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        let clients = self.clients.iter();
        clients.filter_map(|(name, client)| Some((name, client.keys_at.as_deref()?)))
    }

    /// Whom an API key belongs to. Found by its hash, so that how long it takes tells
    /// nothing about keys.
    pub(crate) fn by_key(&self, presented: &str) -> Option<&Arc<Recognised>> {
        let presented = hash(presented);
        let (known, recognised) = self.keys.get_key_value(&presented)?;
        verify_slices_are_equal(known, &presented).ok()?;
        Some(recognised)
    }

    /// Whose calls a certificate alone is good for, in this zone; nobody's where it is that
    /// of several.
    pub(crate) fn by_certificate(
        &self,
        shown: &PeerCertificate,
        zone: Zone,
    ) -> Option<&Arc<Recognised>> {
        let mut matching = self.certificates.iter().filter(|(registered, recognised)| {
            recognised.client.zone == zone && registered.matches(shown)
        });
        let (_, found) = matching.next()?;
        matching.next().is_none().then_some(found)
    }

    /// Clients that tokens of an external issuer may stand for.
    pub(crate) fn of_issuer(&self, issuer: &str) -> &[(IssuerMatch, Arc<ClientCredentials>)] {
        self.issuers.get(issuer).map_or(&[], Vec::as_slice)
    }
}
