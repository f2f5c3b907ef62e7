//! XML signatures, as few of them as are needed.

use std::fmt;

use ahash::AHashMap;
use aws_lc_rs::digest::{SHA256 as SHA256_DIGEST, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::token::only;
use super::{DSIG, ECDSA_SHA256, EXCLUSIVE, RSA_SHA256, SHA256, SecurityError, WSSE, WSU, X509};
use crate::xml::{Element, canonical, is_space};

/// Elements that one signature may cover.
const MOST_REFERENCES: usize = 16;

/// Our key and its certificate.
pub struct Signer {
    key: Key,
    certificate: Vec<u8>,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// From a private key (PKCS#8) and its certificate, both PEM.
    ///
    /// # Errors
    /// [`SecurityError::Key`] where one cannot be used, or they do not belong together.
    pub fn from_pem(key: &[u8], certificate: &[u8]) -> Result<Self, SecurityError> {
        let key = pem(key, "PRIVATE KEY").into_iter().next();
        let certificate = pem(certificate, "CERTIFICATE").into_iter().next();
        let (Some(key), Some(certificate)) = (key, certificate) else {
            return Err(SecurityError::Key);
        };
        let key = if let Ok(pair) = RsaKeyPair::from_pkcs8(&key) {
            Key::Rsa(Box::new(pair))
        } else {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key)
                .map(|pair| Key::Ecdsa(Box::new(pair)))
                .map_err(|_| SecurityError::Key)?
        };
        let made = Self { key, certificate };
        let probe = made.sign(b"probe")?;
        verify(made.algorithm(), &made.certificate, b"probe", &probe)
            .map_err(|_| SecurityError::Key)?;
        Ok(made)
    }

    pub(super) const fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => RSA_SHA256,
            Key::Ecdsa(_) => ECDSA_SHA256,
        }
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SecurityError> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut out)
                    .map_err(|_| SecurityError::Key)?;
                Ok(out)
            }
            Key::Ecdsa(pair) => pair
                .sign(&random, bytes)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SecurityError::Key),
        }
    }
}

/// Blocks of this kind in a PEM file, decoded.
pub(super) fn pem(text: &[u8], label: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut rest = &*text;
    let mut all = Vec::new();
    while let Some((_, after)) = rest.split_once(&begin) {
        let Some((body, after)) = after.split_once(&end) else {
            break;
        };
        let body: String = body.split_ascii_whitespace().collect();
        all.extend(STANDARD.decode(body));
        rest = after;
    }
    all
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256_DIGEST, bytes))
}

fn verify(
    algorithm: &str,
    certificate: &[u8],
    bytes: &[u8],
    signature: &[u8],
) -> Result<(), SecurityError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| SecurityError::Certificate)?;
    let verifier: &'static dyn VerificationAlgorithm = match algorithm {
        RSA_SHA256 => &RSA_PKCS1_2048_8192_SHA256,
        ECDSA_SHA256 => &ECDSA_P256_SHA256_FIXED,
        _ => return Err(SecurityError::Algorithm),
    };
    let key = parsed.public_key().subject_public_key.data.as_ref();
    UnparsedPublicKey::new(verifier, key)
        .verify(bytes, signature)
        .map_err(|_| SecurityError::Signature)
}

/// The ids of a document, each of one element.
pub(super) struct Ids<'a>(AHashMap<&'a str, &'a Element>);

impl<'a> Ids<'a> {
    pub(super) fn of(root: &'a Element) -> Result<Self, SecurityError> {
        let mut ids = Self(AHashMap::new());
        ids.gather(root)?;
        Ok(ids)
    }

    fn gather(&mut self, element: &'a Element) -> Result<(), SecurityError> {
        for attribute in &element.attributes {
            let is_id = attribute.name.is(WSU, "Id")
                || attribute.name.is(crate::xml::XML, "id")
                // Of signatures, and of whatever else may be taken for one.
                || (&*element.name.namespace == DSIG && attribute.name.is("", "Id"));
            if is_id && self.0.insert(attribute.value.as_str(), element).is_some() {
                return Err(SecurityError::TwiceId);
            }
        }
        element.elements().try_for_each(|child| self.gather(child))
    }

    fn get(&self, reference: &str) -> Option<&'a Element> {
        self.0.get(reference.strip_prefix('#')?).copied()
    }
}

/// What a signature covers, and by whose certificate.
pub(super) struct Signed<'a> {
    covered: Vec<&'a Element>,
    pub(super) certificate: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Signed<'_> {
    /// Whether it covers this very element.
    pub(super) fn covers(&self, element: &Element) -> bool {
        self.covered.iter().any(|one| std::ptr::eq(*one, element))
    }
}

fn algorithm<'a>(parent: &'a Element, local: &'static str) -> Result<&'a str, SecurityError> {
    only(parent, DSIG, local)?
        .attribute("Algorithm")
        .ok_or(SecurityError::Malformed)
}

fn inclusive(method: &Element) -> Vec<&str> {
    method
        .child(EXCLUSIVE, "InclusiveNamespaces")
        .and_then(|list| list.attribute("PrefixList"))
        .map(|list| list.split_ascii_whitespace().collect())
        .unwrap_or_default()
}

fn decode(element: &Element) -> Result<Vec<u8>, SecurityError> {
    let text: String = element
        .text()
        .chars()
        .filter(|one| !is_space(*one))
        .collect();
    STANDARD.decode(text).map_err(|_| SecurityError::Malformed)
}

/// Verifies a signature of a security header: first who, by a certificate that `trusted` holds,
/// then every digest, then the signature itself.
pub(super) fn read<'a>(
    signature: &Element,
    security: &Element,
    ids: &Ids<'a>,
    trusted: &[Vec<u8>],
) -> Result<Signed<'a>, SecurityError> {
    let info = only(signature, DSIG, "SignedInfo")?;
    let method = only(info, DSIG, "CanonicalizationMethod")?;
    if method.attribute("Algorithm") != Some(EXCLUSIVE) {
        return Err(SecurityError::Algorithm);
    }
    let certificate = certificate(signature, security, ids)?;
    if !trusted.contains(&certificate) {
        return Err(SecurityError::Certificate);
    }
    let value = decode(only(signature, DSIG, "SignatureValue")?)?;
    verify(
        algorithm(info, "SignatureMethod")?,
        &certificate,
        &canonical(info, &inclusive(method)),
        &value,
    )?;
    let mut covered = Vec::new();
    for reference in info
        .elements()
        .filter(|child| child.name.is(DSIG, "Reference"))
    {
        if covered.len() >= MOST_REFERENCES {
            return Err(SecurityError::Malformed);
        }
        if algorithm(reference, "DigestMethod")? != SHA256 {
            return Err(SecurityError::Algorithm);
        }
        let transforms = only(reference, DSIG, "Transforms")?;
        let transform = only(transforms, DSIG, "Transform")?;
        if transform.attribute("Algorithm") != Some(EXCLUSIVE) || transforms.elements().count() != 1
        {
            return Err(SecurityError::Algorithm);
        }
        let element = reference
            .attribute("URI")
            .and_then(|uri| ids.get(uri))
            .ok_or(SecurityError::Malformed)?;
        let expected = decode(only(reference, DSIG, "DigestValue")?)?;
        let bytes = canonical(element, &inclusive(transform));
        if digest(&SHA256_DIGEST, &bytes).as_ref() != expected.as_slice() {
            return Err(SecurityError::Signature);
        }
        covered.push(element);
    }
    Ok(Signed {
        covered,
        certificate,
        value,
    })
}

/// The certificate that a signature names: a token of the same header, or within.
fn certificate(
    signature: &Element,
    security: &Element,
    ids: &Ids<'_>,
) -> Result<Vec<u8>, SecurityError> {
    let info = only(signature, DSIG, "KeyInfo")?;
    let holder = match info.child(WSSE, "SecurityTokenReference") {
        Some(holder) => holder,
        None => info,
    };
    if let Some(reference) = holder.child(WSSE, "Reference") {
        let token = reference
            .attribute("URI")
            .and_then(|uri| ids.get(uri))
            .ok_or(SecurityError::Malformed)?;
        let ours = security.elements().any(|child| std::ptr::eq(child, token));
        if !ours || !token.name.is(WSSE, "BinarySecurityToken") {
            return Err(SecurityError::Malformed);
        }
        if token
            .attribute("ValueType")
            .is_some_and(|kind| kind != X509)
        {
            return Err(SecurityError::Algorithm);
        }
        return decode(token);
    }
    let data = only(holder, DSIG, "X509Data")?;
    decode(only(data, DSIG, "X509Certificate")?)
}

/// Whether a certificate is good at a time (seconds), and whose it is.
pub(super) fn subject(certificate: &[u8], now: i64) -> Result<String, SecurityError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| SecurityError::Certificate)?;
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() || now > validity.not_after.timestamp() {
        return Err(SecurityError::Certificate);
    }
    Ok(parsed.subject().to_string())
}
