//! Client certificates: what is read of one, and what a client registers of it (RFC 8705 §2.1).

use crate::AccessError;
use crate::token::b64;
use aws_lc_rs::digest::{SHA256, digest};
use std::net::IpAddr;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Name};

/// What is read of a certificate that the listener's TLS has verified against the client
/// authorities of its zone. Read once for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    thumbprint: [u8; 32],
    subject: Vec<(String, String)>,
    names: Vec<String>,
}

impl PeerCertificate {
    /// Reads a leaf certificate in DER form.
    ///
    /// # Errors
    /// [`AccessError::Certificate`].
    pub fn from_der(der: &[u8]) -> Result<Self, AccessError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| AccessError::Certificate)?;
        if !rest.is_empty() {
            return Err(AccessError::Certificate);
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| AccessError::Certificate)?
            .map(|extension| {
                let names = extension.value.general_names.iter();
                names.filter_map(alternative_name).collect()
            })
            .unwrap_or_default();
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, der).as_ref());
        Ok(Self {
            thumbprint,
            subject: attributes(certificate.subject()).ok_or(AccessError::Certificate)?,
            names,
        })
    }

    /// SHA-256 of the whole certificate: `x5t#S256` of RFC 8705 §3.1.
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    pub(crate) fn thumbprint_text(&self) -> String {
        b64::encode(self.thumbprint)
    }
}

/// Attributes of a name in the order they are encoded; `None` where one is no text.
fn attributes(name: &X509Name<'_>) -> Option<Vec<(String, String)>> {
    name.iter_attributes()
        .map(|attribute| {
            let oid = attribute.attr_type().to_id_string();
            let short = SHORT
                .iter()
                .find(|(_, known)| *known == oid)
                .map_or(oid.clone(), |(short, _)| (*short).to_owned());
            Some((short, attribute.as_str().ok()?.to_owned()))
        })
        .collect()
}

/// Short names of RFC 4514 §3 and those that `openssl x509 -subject` prints.
const SHORT: [(&str, &str); 12] = [
    ("CN", "2.5.4.3"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
];

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(dns) => Some(format!("dns:{}", dns.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(format!("uri:{uri}")),
        GeneralName::RFC822Name(mail) => Some(format!("email:{mail}")),
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                16 => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
                _ => return None,
            };
            Some(format!("ip:{address}"))
        }
        _ => None,
    }
}

/// What a client registered of its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateMatch {
    /// The whole subject, each attribute in order.
    Subject(Vec<(String, String)>),
    /// One alternative name, as `dns:…`, `uri:…`, `email:…` or `ip:…`.
    Name(String),
    /// This very certificate.
    Thumbprint([u8; 32]),
}

impl CertificateMatch {
    /// A subject as RFC 4514 writes it (`CN=ghx,O=GHX,C=US`) or as `openssl` prints it
    /// (`C = US, O = GHX, CN = ghx`): in either order, but all of it, since part of a name
    /// belongs to many. `None` where it is neither.
    ///
    /// ```
    /// use wardline_access::identity::CertificateMatch;
    /// assert!(CertificateMatch::subject("CN=ghx.example, O=Acme\\, Inc.").is_some());
    /// assert!(CertificateMatch::subject("ghx.example").is_none());
    /// ```
    pub fn subject(text: &str) -> Option<Self> {
        let mut attributes = Vec::new();
        for part in split_escaped(text)? {
            let (name, value) = part.split_once('=')?;
            let name = name.trim().to_ascii_uppercase();
            let value = unescape(value.trim())?;
            let known = SHORT.iter().any(|(short, _)| *short == name)
                || (name.contains('.') && name.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
            if !known || value.is_empty() {
                return None;
            }
            attributes.push((name, value));
        }
        (!attributes.is_empty()).then_some(Self::Subject(attributes))
    }

    /// An alternative name; a bare one is that of a host.
    pub fn name(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.split_once(':') {
            Some(("dns" | "DNS", host)) if !host.is_empty() => {
                Some(Self::Name(format!("dns:{}", host.to_ascii_lowercase())))
            }
            Some(("ip" | "IP", address)) => {
                let address: IpAddr = address.parse().ok()?;
                Some(Self::Name(format!("ip:{address}")))
            }
            Some((kind @ ("uri" | "email"), rest)) if !rest.is_empty() => {
                Some(Self::Name(format!("{kind}:{rest}")))
            }
            None if !text.is_empty() => {
                Some(Self::Name(format!("dns:{}", text.to_ascii_lowercase())))
            }
            // spiffe://… and https://… need no prefix.
            Some((_, rest)) if rest.starts_with("//") => Some(Self::Name(format!("uri:{text}"))),
            _ => None,
        }
    }

    /// SHA-256 of the certificate in hexadecimal, with or without colons.
    pub fn thumbprint(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|byte| *byte != b':' && *byte != b' ')
            .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()?;
        if digits.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Self::Thumbprint(out))
    }

    /// Whether a certificate is the registered one.
    pub fn matches(&self, certificate: &PeerCertificate) -> bool {
        match self {
            Self::Subject(registered) => {
                let shown = &certificate.subject;
                registered == shown
                    || (registered.len() == shown.len()
                        && registered.iter().rev().zip(shown).all(|(a, b)| a == b))
            }
            Self::Name(name) => certificate.names.contains(name),
            Self::Thumbprint(thumbprint) => *thumbprint == certificate.thumbprint,
        }
    }
}

/// Splits at commas and pluses that are not escaped.
fn split_escaped(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if !escaped && (c == ',' || c == '+') {
            parts.push(String::new());
            continue;
        }
        escaped = !escaped && c == '\\';
        parts.last_mut()?.push(c);
    }
    (!escaped).then_some(parts)
}

/// `\,` and `\2C` of RFC 4514 §2.4.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let next = bytes.next()?;
        match char::from(next).to_digit(16) {
            Some(high) => {
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push((high << 4 | low) as u8);
            }
            None => out.push(next),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    fn certificate(
        common: &str,
        organisation: Option<&str>,
        sans: Vec<SanType>,
    ) -> PeerCertificate {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        if let Some(organisation) = organisation {
            name.push(DnType::OrganizationName, organisation);
        }
        name.push(DnType::CommonName, common);
        params.distinguished_name = name;
        params.subject_alt_names = sans;
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        PeerCertificate::from_der(signed.der()).unwrap()
    }

    #[test]
    fn a_subject_matches_whole_or_not_at_all() {
        let shown = certificate("ghx", Some("Acme, Inc."), vec![]);
        let matches = |text: &str| CertificateMatch::subject(text).unwrap().matches(&shown);
        assert!(matches("CN=ghx,O=Acme\\, Inc."));
        assert!(matches("O = Acme\\2C Inc., CN = ghx"));
        assert!(!matches("CN=ghx"), "part of a subject is not the subject");
        assert!(!matches("CN=ghx,O=Acme"));
        assert!(!matches("CN=GHX,O=Acme\\, Inc."));
        // A value that looks like another attribute stays a value.
        let forged = certificate("ghx,O=Acme", None, vec![]);
        assert!(
            !CertificateMatch::subject("CN=ghx,O=Acme")
                .unwrap()
                .matches(&forged)
        );
        for bad in ["", "ghx", "CN=", "XX=1", "CN=a\\", "CN=a,,O=b"] {
            assert!(CertificateMatch::subject(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_and_thumbprints() {
        let shown = certificate(
            "x",
            None,
            vec![
                SanType::DnsName("api.ghx.example".try_into().unwrap()),
                SanType::URI("spiffe://ghx/orders".try_into().unwrap()),
                SanType::IpAddress("192.0.2.7".parse().unwrap()),
            ],
        );
        for good in [
            "api.ghx.example",
            "DNS:API.ghx.example",
            "spiffe://ghx/orders",
            "uri:spiffe://ghx/orders",
            "ip:192.0.2.7",
        ] {
            assert!(
                CertificateMatch::name(good).unwrap().matches(&shown),
                "{good}"
            );
        }
        for other in ["ghx.example", "x", "ip:192.0.2.8", "spiffe://ghx/order"] {
            assert!(
                !CertificateMatch::name(other).unwrap().matches(&shown),
                "{other}"
            );
        }
        let pairs: Vec<_> = shown
            .thumbprint()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let hex = pairs.join(":");
        let registered = CertificateMatch::thumbprint(&hex).unwrap();
        assert!(registered.matches(&shown));
        assert!(!registered.matches(&certificate("x", None, vec![])));
        assert!(CertificateMatch::thumbprint("abcd").is_none());
        assert!(PeerCertificate::from_der(b"\x30\x03\x02\x01\x01").is_err());
    }
}
