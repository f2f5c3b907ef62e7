//! Certificates of partners and our own keys.

use std::fmt;

use aws_lc_rs::rsa::{KeyPair, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why keys cannot be used. Never holds any of them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// No certificate in the text.
    #[error("there is no certificate in PEM")]
    NoCertificate,
    /// No key in the text, or one that is no RSA key.
    #[error("there is no RSA key in PEM (PKCS#8)")]
    NoKey,
    /// AS2 is spoken with RSA keys.
    #[error("the certificate holds no RSA key of 2048 to 8192 bits, which AS2 needs")]
    NotRsa,
}

/// A certificate, and what of it messages name.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) key_info: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) key_id: Option<Vec<u8>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes)", self.der.len())
    }
}

impl Certificate {
    /// All certificates of a PEM text: several while one takes the place of another.
    ///
    /// # Errors
    /// [`KeyError`] where there is none, or one without an RSA key.
    pub fn all(pem: &[u8]) -> Result<Vec<Self>, KeyError> {
        let all: Vec<Self> = CertificateDer::pem_slice_iter(pem)
            .map(|one| Self::new(&one.map_err(|_| KeyError::NoCertificate)?))
            .collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(KeyError::NoCertificate);
        }
        Ok(all)
    }

    fn new(der: &[u8]) -> Result<Self, KeyError> {
        let (_, read) = X509Certificate::from_der(der).map_err(|_| KeyError::NoCertificate)?;
        let key = read.public_key();
        if key.algorithm.algorithm.to_id_string() != "1.2.840.113549.1.1.1" {
            return Err(KeyError::NotRsa);
        }
        let mut key_id = None;
        for extension in read.extensions() {
            if let x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) =
                extension.parsed_extension()
            {
                key_id = Some(id.0.to_vec());
            }
        }
        Ok(Self {
            der: der.to_vec(),
            issuer: read.issuer().as_raw().to_vec(),
            serial: read.raw_serial().to_vec(),
            key_info: key.raw.to_vec(),
            key: key.subject_public_key.data.to_vec(),
            key_id,
        })
    }
}

/// A certificate of ours with its key.
pub struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) signing: KeyPair,
    pub(crate) decrypting: Pkcs1PrivateDecryptingKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// Of PEM texts: the certificate, and its key in PKCS#8.
    ///
    /// # Errors
    /// [`KeyError`] where either cannot be used.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Self, KeyError> {
        let mut certificates = Certificate::all(certificate)?;
        let certificate = certificates.swap_remove(0);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| KeyError::NoKey)?;
        let PrivateKeyDer::Pkcs8(key) = key else {
            return Err(KeyError::NoKey);
        };
        let der = key.secret_pkcs8_der();
        let signing = KeyPair::from_pkcs8(der).map_err(|_| KeyError::NoKey)?;
        let decrypting = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| KeyError::NoKey)?;
        let decrypting = Pkcs1PrivateDecryptingKey::new(decrypting).map_err(|_| KeyError::NoKey)?;
        Ok(Self {
            certificate,
            signing,
            decrypting,
        })
    }
}
