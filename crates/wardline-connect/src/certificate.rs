//! What certificates and revocation lists say of themselves: whose they are and until when.
//! For people who must renew them in time; whether a peer's certificate is good is rustls's to
//! say.

use std::fmt::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::{Deserialize, Serialize};
use wardline_core::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

/// Certificates looked at in one file; a bundle of the system's authorities has some 150.
const MOST: usize = 1_000;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Whom it is for, as a distinguished name.
    pub subject: String,
    /// The names and addresses it is good for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// The issuer's number for it, hexadecimal.
    pub serial: String,
    /// From when on it is good.
    pub not_before: Timestamp,
    /// The last moment at which it is.
    pub not_after: Timestamp,
    /// Whether it may issue others.
    pub authority: bool,
    /// SHA-256 of the whole, hexadecimal.
    pub sha256: String,
}

/// One revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationFacts {
    /// Whose list it is.
    pub issuer: String,
    /// When the next one is due, where it says so.
    pub next_update: Option<Timestamp>,
    /// How many certificates it revokes.
    pub revoked: usize,
}

/// The certificates of a PEM file, in its order.
///
/// # Errors
/// What is wrong with the file, in words that repeat none of it.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateFacts>, String> {
    let all: Vec<CertificateFacts> = CertificateDer::pem_slice_iter(pem)
        .take(MOST)
        .map(|der| certificate(&der.map_err(|error| error.to_string())?))
        .collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err("there is no CERTIFICATE in it".to_owned());
    }
    Ok(all)
}

fn certificate(der: &[u8]) -> Result<CertificateFacts, String> {
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|_| "a CERTIFICATE in it is none".to_owned())?;
    let names = match parsed.subject_alternative_name() {
        Ok(Some(extension)) => extension
            .value
            .general_names
            .iter()
            .filter_map(name)
            .collect(),
        _ => Vec::new(),
    };
    Ok(CertificateFacts {
        subject: parsed.subject().to_string(),
        names,
        issuer: parsed.issuer().to_string(),
        serial: hex(parsed.raw_serial()),
        not_before: moment(parsed.validity().not_before),
        not_after: moment(parsed.validity().not_after),
        authority: parsed.is_ca(),
        sha256: hex(digest(&SHA256, der).as_ref()),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from),
            _ => None,
        }
        .map(|address| address.to_string()),
        _ => None,
    }
}

/// The revocation lists of a PEM file, in its order.
///
/// # Errors
/// What is wrong with the file.
pub fn revocation_lists(pem: &[u8]) -> Result<Vec<RevocationFacts>, String> {
    let all: Vec<RevocationFacts> = CertificateRevocationListDer::pem_slice_iter(pem)
        .take(MOST)
        .map(|der| {
            let der = der.map_err(|error| error.to_string())?;
            let (_, parsed) = CertificateRevocationList::from_der(&der)
                .map_err(|_| "an X509 CRL in it is none".to_owned())?;
            Ok(RevocationFacts {
                issuer: parsed.issuer().to_string(),
                next_update: parsed.next_update().map(moment),
                revoked: parsed.iter_revoked_certificates().count(),
            })
        })
        .collect::<Result<_, String>>()?;
    if all.is_empty() {
        return Err("there is no X509 CRL in it".to_owned());
    }
    Ok(all)
}

fn moment(time: ASN1Time) -> Timestamp {
    // Years up to 9999 fit many times over.
    Timestamp::from_unix_ms(time.timestamp().saturating_mul(1000))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_whose_it_is_and_until_when() {
        let mut params =
            rcgen::CertificateParams::new(vec!["node.example".to_owned(), "10.1.2.3".to_owned()])
                .unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 12, 31);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "node");
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let all = certificates(format!("{pem}{pem}").as_bytes()).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].subject, "CN=node");
        assert_eq!(all[0].names, ["node.example", "10.1.2.3"]);
        assert_eq!(all[0].not_after.to_string(), "2026-12-31T00:00:00.000Z");
        assert!(!all[0].authority && all[0].sha256.len() == 64);
    }

    #[test]
    fn what_is_no_certificate_is_said_without_repeating_it() {
        for bad in [
            "",
            "hunter2",
            "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n",
        ] {
            let error = certificates(bad.as_bytes()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(revocation_lists(bad.as_bytes()).is_err());
        }
    }
}
