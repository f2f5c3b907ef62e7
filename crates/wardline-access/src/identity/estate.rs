//! From what the estate declares to what identity works with.

use super::external::MAX_KEY_SET;
use super::{
    ApiKey, CertificateMatch, ClientCredentials, ExternalIssuer, HashedSecret, IssuerKeys,
    IssuerMatch, ScopeSource, Settings,
};
use crate::token::{Algorithm, KeySet, SigningAlgorithm};
use crate::{AccessError, CallerKind};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use wardline_core::Zone;
use wardline_estate::model::{self, Client, ClientKind, OAuth2, TokenAlgorithm};
use wardline_estate::{Estate, Spanned};
use wardline_vault::Secrets;

impl Settings {
    /// Settings of an estate. The internal zone's issuer is the estate's; `others` has the
    /// URLs under which the listeners of other zones are reached.
    ///
    /// # Errors
    /// As [`Settings::with_zone`] and [`Settings::with_life`].
    pub fn of_estate(
        identity: &model::Identity,
        others: &BTreeMap<Zone, String>,
    ) -> Result<Self, AccessError> {
        let mut settings = Self::new().with_life(identity.token.life)?;
        settings.algorithm = match identity.token.algorithm {
            TokenAlgorithm::Es256 => SigningAlgorithm::Es256,
            TokenAlgorithm::EdDsa => SigningAlgorithm::EdDsa,
        };
        let mut settings = settings.with_zone(Zone::Internal, &identity.issuer)?;
        for (zone, url) in others {
            settings = settings.with_zone(*zone, url)?;
        }
        Ok(settings)
    }
}

/// The clients of an estate. One whose credential cannot be used is among the errors and,
/// where other ways are left to it, among the clients without it: nobody is refused for
/// another's mistake. Call it again when the estate or a secret changes.
///
/// A partner without `mtls` may use tokens that are bound to no certificate; with it, its
/// tokens are bound.
pub fn clients_of_estate(
    estate: &Estate,
    secrets: &Secrets,
) -> (Vec<ClientCredentials>, Vec<AccessError>) {
    let mut errors = Vec::new();
    let clients = estate
        .clients
        .values()
        .map(|client| credentials(client, secrets, &mut errors))
        .collect();
    (clients, errors)
}

fn credentials(
    client: &Client,
    secrets: &Secrets,
    errors: &mut Vec<AccessError>,
) -> ClientCredentials {
    let kind = match client.kind {
        ClientKind::Partner => CallerKind::Partner,
        ClientKind::Service => CallerKind::Service,
        ClientKind::PersonGroup => CallerKind::Person,
    };
    let mut out = ClientCredentials::new(&client.name, kind, client.zone);
    out.facilities = names(&client.facilities);
    out.roles = names(&client.roles);
    out.scopes = names(&client.scopes);
    // With several, each call names its own.
    if let [only] = &client.purpose[..] {
        out.purpose = Some(only.value.as_str().into());
    }
    out.expires = client.expires.as_ref().map(|expires| expires.value);
    out.disabled = client.disabled;
    let mut unusable = |reason: String| {
        errors.push(AccessError::Client {
            client: client.name.clone(),
            reason,
        });
    };
    for network in &client.addresses {
        if let Ok(network) = IpNet::new(network.address, network.prefix) {
            out.addresses.push(network);
        } else {
            // No network left would mean any network.
            out.disabled = true;
            unusable("one of its addresses is not a network".to_owned());
        }
    }
    let auth = &client.auth;
    if let Some(written) = &auth.mtls {
        out.certificate = match &written.value {
            model::CertificateMatch::Subject(subject) => CertificateMatch::subject(subject),
            model::CertificateMatch::San(name) => CertificateMatch::name(name),
            model::CertificateMatch::Thumbprint(hash) => Some(CertificateMatch::Thumbprint(*hash)),
        };
        if out.certificate.is_none() {
            out.disabled = true;
            unusable("what `mtls` says of its certificate cannot be understood".to_owned());
        }
    }
    out.unbound = auth.mtls.is_none();
    out.call_by_certificate = auth.mtls.is_some() && auth.oauth2.is_none();
    match &auth.oauth2 {
        None => {}
        Some(OAuth2::TlsClientAuth) => out.token_by_certificate = true,
        Some(OAuth2::PrivateKeyJwt { jwks, .. }) => {
            let keys = KeySet::parse(jwks.to_string().as_bytes());
            out.keys = keys.filter(|keys| !keys.is_empty());
            if out.keys.is_none() {
                unusable("its key set holds no key that can be used".to_owned());
            }
        }
        Some(OAuth2::PublishedKeys { url }) => out.keys_at = Some(url.value.clone()),
        Some(OAuth2::ClientSecretBasic { secret }) => {
            let hashed: Result<Vec<_>, AccessError> = secret
                .text
                .parse()
                .and_then(|reference| secrets.accepted(&reference))
                .map_err(AccessError::from)
                .and_then(|all| {
                    all.iter()
                        .map(|one| HashedSecret::new(one.expose()))
                        .collect()
                });
            match hashed {
                Ok(hashed) => out.secrets.extend(hashed),
                Err(error) => unusable(error.to_string()),
            }
        }
    }
    if let Some(key) = &auth.api_key {
        out.api_keys.push(ApiKey {
            sha256: key.sha256,
            expires: key.expires.value,
            apis: names(&key.apis),
        });
    }
    if let Some(claim) = &auth.issuer {
        out.issuers.push(IssuerMatch {
            issuer: claim.name.value.as_str().into(),
            claim: claim.claim.clone(),
            equals: claim.equals.value.clone(),
        });
    }
    out
}

/// The external issuers of an estate, whose directory is `root`.
pub fn issuers_of_estate(estate: &Estate, root: &Path) -> (Vec<ExternalIssuer>, Vec<AccessError>) {
    let mut errors = Vec::new();
    let mut issuers = Vec::new();
    for issuer in estate.identity.issuers.values() {
        let keys = match &issuer.keys {
            model::IssuerKeys::Discovered => IssuerKeys::Discovered,
            model::IssuerKeys::Url(url) => IssuerKeys::At(url.value.clone()),
            model::IssuerKeys::File(file) => match key_file(&root.join(&file.path)) {
                Ok(keys) => IssuerKeys::Given(keys),
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            },
        };
        issuers.push(ExternalIssuer {
            name: issuer.name.as_str().into(),
            issuer: issuer.url.value.clone(),
            keys,
            audience: issuer.audience.value.clone(),
            algorithms: issuer
                .algorithms
                .iter()
                .filter_map(|name| Algorithm::from_name(name))
                .collect(),
            scopes: match issuer.scopes {
                model::IssuerScopes::Token => ScopeSource::Token,
                model::IssuerScopes::Granted => ScopeSource::Granted,
            },
        });
    }
    (issuers, errors)
}

fn key_file(path: &Path) -> Result<KeySet, AccessError> {
    let malformed = |reason: String| AccessError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY_SET as u64).read_to_end(&mut bytes))
        .map_err(|error| malformed(error.to_string()))?;
    KeySet::parse(&bytes)
        .filter(|keys| !keys.is_empty())
        .ok_or_else(|| malformed("it is not a set of public keys".to_owned()))
}

fn names(written: &[Spanned<String>]) -> BTreeSet<Arc<str>> {
    written
        .iter()
        .map(|name| Arc::from(name.value.as_str()))
        .collect()
}
