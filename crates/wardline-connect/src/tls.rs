//! TLS for both sides of every protocol: rustls on aws-lc-rs, TLS 1.2 and 1.3.
//!
//! Verification of servers cannot be switched off. A listener that names a client CA refuses
//! peers without a certificate from it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};

use crate::{ConnectError, Secret};

/// Where PEM text comes from.
#[derive(Clone)]
pub enum Pem {
    /// A file.
    File(PathBuf),
    /// The text itself, such as a key from the secret store.
    Text(Secret),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}

impl Pem {
    /// What it holds; `what` names it in errors.
    ///
    /// # Errors
    /// [`ConnectError::ReadPem`] where its file cannot be read.
    pub fn read(&self, what: &'static str) -> Result<Secret, ConnectError> {
        match self {
            Self::File(path) => {
                std::fs::read(path)
                    .map(Secret::new)
                    .map_err(|source| ConnectError::ReadPem {
                        what,
                        path: path.clone(),
                        source,
                    })
            }
            Self::Text(text) => Ok(text.clone()),
        }
    }

    fn origin(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text(_) => "the secret".into(),
        }
    }

    fn bad(&self, what: &'static str, detail: impl fmt::Display) -> ConnectError {
        ConnectError::BadPem {
            what,
            origin: self.origin(),
            detail: detail.to_string(),
        }
    }

    fn certificates(
        &self,
        what: &'static str,
    ) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
        let text = self.read(what)?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(text.expose())
            .collect::<Result<_, _>>()
            .map_err(|error| self.bad(what, error))?;
        if found.is_empty() {
            Err(self.bad(what, "no CERTIFICATE entry"))
        } else {
            Ok(found)
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, ConnectError> {
        const WHAT: &str = "a private key";
        let text = self.read(WHAT)?;
        PrivateKeyDer::from_pem_slice(text.expose()).map_err(|error| self.bad(WHAT, error))
    }

    fn revocations(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, ConnectError> {
        const WHAT: &str = "a revocation list";
        let text = self.read(WHAT)?;
        let found: Vec<_> = CertificateRevocationListDer::pem_slice_iter(text.expose())
            .collect::<Result<_, _>>()
            .map_err(|error| self.bad(WHAT, error))?;
        if found.is_empty() {
            Err(self.bad(WHAT, "no X509 CRL entry"))
        } else {
            Ok(found)
        }
    }

    fn roots(&self) -> Result<RootCertStore, ConnectError> {
        const WHAT: &str = "a CA certificate";
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(WHAT)? {
            roots
                .add(certificate)
                .map_err(|error| self.bad(WHAT, error))?;
        }
        Ok(roots)
    }
}

/// Certificate chain and key that one side presents.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The chain, leaf first.
    pub cert: Pem,
    /// The leaf's private key (PKCS#8, PKCS#1 or SEC1).
    pub key: Pem,
}

/// TLS of a listener.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// What the listener presents.
    pub identity: Identity,
    /// Mutual TLS: peers must present a certificate issued by one of these.
    pub client_ca: Option<Pem>,
    /// What those have revoked (CRLs). With it, a certificate on which none of the lists of its
    /// issuer speaks is refused. A list that is out of date still counts: what it revokes stays
    /// revoked, and nobody is locked out because somebody forgot to fetch the next.
    pub crl: Option<Pem>,
}

impl ServerTls {
    /// Builds the rustls configuration. `name` is the listener's, for errors; `alpn` lists the
    /// application protocols, most wanted first.
    pub fn build(&self, name: &str, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, ConnectError> {
        let failed = |detail: String| ConnectError::Tls {
            name: name.into(),
            detail,
        };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(ca.roots()?);
                let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                if let Some(crl) = &self.crl {
                    verifier = verifier
                        .with_crls(crl.revocations()?)
                        .only_check_end_entity_revocation();
                }
                let verifier = verifier
                    .build()
                    .map_err(|error| failed(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = self.identity.cert.certificates("a certificate")?;
        let mut config = builder
            .with_single_cert(chain, self.identity.key.key()?)
            .map_err(|error| failed(error.to_string()))?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// TLS of a sender.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// Trust only certificates issued by these; the system's roots where absent.
    pub ca: Option<Pem>,
    /// Mutual TLS: what to present.
    pub identity: Option<Identity>,
    /// The name that the server's certificate must bear, where it is not the address's host.
    pub server_name: Option<String>,
}

impl ClientTls {
    /// Builds the rustls configuration. `name` is the connection's, for errors.
    pub fn build(&self, name: &str) -> Result<ClientConfig, ConnectError> {
        let failed = |detail: String| ConnectError::Tls {
            name: name.into(),
            detail,
        };
        let provider = Arc::new(default_provider());
        let roots = match &self.ca {
            Some(ca) => ca.roots()?,
            None => system_roots(name)?,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots);
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(identity) => builder
                .with_client_auth_cert(
                    identity.cert.certificates("a client certificate")?,
                    identity.key.key()?,
                )
                .map_err(|error| failed(error.to_string())),
        }
    }

    /// The certificates that are trusted, in DER, for a driver that makes its own configuration.
    pub(crate) fn trusted(&self, name: &str) -> Result<Vec<Vec<u8>>, ConnectError> {
        let all = match &self.ca {
            Some(ca) => ca.certificates("a CA certificate")?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        if all.is_empty() {
            return Err(ConnectError::NoRoots { name: name.into() });
        }
        Ok(all.into_iter().map(|one| one.to_vec()).collect())
    }

    /// The chain and the key that are presented, PEM, for such a driver.
    pub(crate) fn presented(&self) -> Result<Option<(Secret, Secret)>, ConnectError> {
        let Some(identity) = &self.identity else {
            return Ok(None);
        };
        let chain = identity.cert.read("a client certificate")?;
        Ok(Some((chain, identity.key.read("a private key")?)))
    }

    /// A configuration that trusts nobody, for a connector that is asked for `http` only.
    pub(crate) fn for_plain_connections() -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    }

    /// The name to verify for a peer at `host`.
    pub(crate) fn verified_name(
        &self,
        name: &str,
        host: &str,
    ) -> Result<ServerName<'static>, ConnectError> {
        let wanted = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(wanted.to_owned()).map_err(|error| ConnectError::BadSetting {
            name: name.into(),
            what: "the TLS server name",
            value: wanted.into(),
            detail: error.to_string(),
        })
    }
}

fn system_roots(name: &str) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for problem in &found.errors {
        tracing::warn!(connection = name, %problem, "a system root certificate cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        Err(ConnectError::NoRoots { name: name.into() })
    } else {
        Ok(roots)
    }
}
