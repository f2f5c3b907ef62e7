//! A signed token taken apart (RFC 7515 compact form), by rules of our own: what a library
//! leaves to its caller (`typ`, `crit`, duplicate members, dates that are strings) is where
//! tokens are forged.

use super::{Algorithm, KeySet, b64, strict};
use serde_json::{Map, Value};

/// Bytes of a token; one with every claim of ours has about 700.
pub(crate) const MAX_TOKEN: usize = 8 << 10;
/// Bytes of a key id.
pub(crate) const MAX_KID: usize = 128;
/// How far apart clocks may be, in seconds.
pub(crate) const LEEWAY: i64 = 30;
/// Dates beyond are not dates; also keeps sums of seconds from overflowing.
const MAX_DATE: i64 = 1 << 40;

/// Why a token, assertion or credential was refused. For the audit log; a caller is told
/// nothing but that it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is no credential at all.
    #[error("no credential was shown")]
    NoCredential,
    /// More than one credential, or one twice.
    #[error("more than one credential was shown")]
    SeveralCredentials,
    /// Not a token in compact form, or too large.
    #[error("it is not a token in compact form")]
    NotAToken,
    /// Header or claims are not JSON objects with each name once.
    #[error("its JSON is malformed or names something twice")]
    Malformed,
    /// The algorithm is none that its issuer may use.
    #[error("its algorithm is not allowed")]
    Algorithm,
    /// The header's `typ` is not that of this kind of token.
    #[error("its type is wrong")]
    Type,
    /// The header demands what is not understood, or brings a key along.
    #[error("its header has parameters that are refused (crit, jku, x5u, jwk, x5c)")]
    Header,
    /// No key of the issuer has this id.
    #[error("its key is not known")]
    UnknownKey,
    /// The keys of its issuer cannot be had, and those at hand are too old.
    #[error("the keys of its issuer cannot be had")]
    NoKeys,
    /// The signature is not right.
    #[error("its signature is wrong")]
    Signature,
    /// A claim that must be there is not, or has the wrong type.
    #[error("a claim is missing or of the wrong type")]
    Claim,
    /// Issued by someone else.
    #[error("its issuer is not known here")]
    Issuer,
    /// Made for someone else.
    #[error("it is made for another audience")]
    Audience,
    /// Too old.
    #[error("it has expired")]
    Expired,
    /// Not valid yet.
    #[error("it is not valid yet")]
    NotYet,
    /// Valid for longer than such a thing may be.
    #[error("it is valid for too long")]
    TooLong,
    /// Bound to a certificate that was not shown, or not bound where it must be.
    #[error("it is not bound to the certificate that was shown")]
    Binding,
    /// Revoked.
    #[error("it was revoked")]
    Revoked,
    /// Used before.
    #[error("it was used before")]
    Replay,
    /// Too many unexpired assertions of this client are remembered.
    #[error("too many assertions of this client are still unexpired")]
    TooMany,
    /// No such client.
    #[error("there is no such client")]
    UnknownClient,
    /// The client is switched off.
    #[error("the client is disabled")]
    Disabled,
    /// The client is in quarantine.
    #[error("the client is in quarantine until somebody lets it in again")]
    Held,
    /// The client's time is over.
    #[error("the client or its key has expired")]
    ClientExpired,
    /// The client belongs to another zone.
    #[error("the client belongs to another zone")]
    Zone,
    /// The client may not come from this address.
    #[error("the client may not come from this address")]
    Address,
    /// The client has not declared this way of proving who it is.
    #[error("the client has not declared this method")]
    Method,
    /// Secret, key or certificate is not the client's.
    #[error("the credential is wrong")]
    Credential,
    /// Nothing of what was asked for is granted.
    #[error("nothing of the scope that was asked for is granted")]
    Scope,
    /// The resource that was asked for is not here (RFC 8707).
    #[error("the resource that was asked for is not here")]
    Target,
    /// The request is not one of this protocol.
    #[error("the request is malformed")]
    Request,
    /// Wardline could not do its part.
    #[error("keys or state could not be read or written")]
    Internal,
}

/// A token taken apart, nothing of it verified.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// `typ` without `application/`, in lower case.
    pub(crate) typ: Option<String>,
    message: &'a [u8],
    signature: Vec<u8>,
    claims: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Reason> {
        Self::parse_within(token, MAX_TOKEN)
    }

    /// As [`Jws::parse`], of at most so many bytes.
    pub(crate) fn parse_within(token: &'a str, limit: usize) -> Result<Self, Reason> {
        if token.len() > limit || !token.is_ascii() {
            return Err(Reason::NotAToken);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::NotAToken);
        };
        let message = &token.as_bytes()[..header.len() + 1 + claims.len()];
        let part = |text| b64::decode(text).ok_or(Reason::NotAToken);
        let (header, claims, signature) = (part(header)?, part(claims)?, part(signature)?);
        let header = strict::object(&header).ok_or(Reason::Malformed)?;
        let refused = ["crit", "jku", "x5u", "jwk", "x5c", "zip", "b64"];
        if refused.iter().any(|name| header.contains_key(*name)) {
            return Err(Reason::Header);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Reason::Malformed),
        };
        let algorithm = text("alg")?
            .and_then(|name| Algorithm::from_name(&name))
            .ok_or(Reason::Algorithm)?;
        let typ = text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/")
                .map_or(typ.clone(), str::to_owned)
        });
        let kid = text("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Reason::UnknownKey);
        }
        Ok(Self {
            algorithm,
            kid,
            typ,
            message,
            signature,
            claims,
        })
    }

    /// The claims, once a key of the set verified them.
    pub(crate) fn verify(&self, keys: &KeySet) -> Result<Claims, Reason> {
        let key = keys.find(self.kid.as_deref()).ok_or(Reason::UnknownKey)?;
        self.verify_with(key)
    }

    pub(crate) fn verify_with(&self, key: &super::VerifyingKey) -> Result<Claims, Reason> {
        if !key.allows(self.algorithm) {
            return Err(Reason::Algorithm);
        }
        if !key.verify(self.algorithm, self.message, &self.signature) {
            return Err(Reason::Signature);
        }
        self.claims_unverified()
    }

    /// The claims as somebody wrote them: good for nothing but choosing whose key to use.
    pub(crate) fn claims_unverified(&self) -> Result<Claims, Reason> {
        strict::object(&self.claims)
            .map(Claims)
            .ok_or(Reason::Malformed)
    }
}

/// Claims of a token (RFC 7519 §4), read with their types.
#[derive(Debug)]
pub(crate) struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// A claim that must be a text.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Reason> {
        self.optional_text(name)?.ok_or(Reason::Claim)
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, Reason> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(Reason::Claim),
        }
    }

    /// A NumericDate in whole seconds: a JSON number, and never a text that looks like one.
    pub(crate) fn optional_date(&self, name: &str) -> Result<Option<i64>, Reason> {
        let number = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(_) => return Err(Reason::Claim),
        };
        let seconds = match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole,
            (None, Some(fraction)) if (0.0..1e12).contains(&fraction) => fraction as i64,
            _ => return Err(Reason::Claim),
        };
        if (0..=MAX_DATE).contains(&seconds) {
            Ok(Some(seconds))
        } else {
            Err(Reason::Claim)
        }
    }

    pub(crate) fn date(&self, name: &str) -> Result<i64, Reason> {
        self.optional_date(name)?.ok_or(Reason::Claim)
    }

    /// `exp`, after it, `nbf` and `iat` were held against the clock.
    pub(crate) fn times(&self, now: i64) -> Result<i64, Reason> {
        let exp = self.date("exp")?;
        if now >= exp + LEEWAY {
            return Err(Reason::Expired);
        }
        for name in ["nbf", "iat"] {
            if self
                .optional_date(name)?
                .is_some_and(|at| at > now + LEEWAY)
            {
                return Err(Reason::NotYet);
            }
        }
        Ok(exp)
    }

    /// The thumbprint of the certificate that the token is bound to (RFC 8705 §3.1). A
    /// binding of another kind is one that cannot be held against anything.
    pub(crate) fn bound_to(&self) -> Result<Option<[u8; 32]>, Reason> {
        let cnf = match self.0.get("cnf") {
            None => return Ok(None),
            Some(Value::Object(cnf)) => cnf,
            Some(_) => return Err(Reason::Claim),
        };
        let thumbprint = cnf
            .get("x5t#S256")
            .and_then(Value::as_str)
            .and_then(b64::decode)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        match thumbprint {
            Some(thumbprint) if cnf.len() == 1 => Ok(Some(thumbprint)),
            _ => Err(Reason::Binding),
        }
    }
}
