//! User name tokens and timestamps.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::{DIGEST, SecurityError, TEXT, WSSE, WSU};
use crate::xml::Element;

/// `Base64(SHA-1(nonce + created + password))`, as the profile prescribes.
pub(super) fn password_digest(nonce: &[u8], created: &str, password: &[u8]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(nonce);
    context.update(created.as_bytes());
    context.update(password);
    STANDARD.encode(context.finish())
}

/// A user name token as it came.
pub(super) struct Token {
    pub(super) user: String,
    password: String,
    nonce: Option<Vec<u8>>,
    created: Option<String>,
    digest: bool,
}

/// The one child of this name.
pub(super) fn only<'a>(
    parent: &'a Element,
    namespace: &str,
    local: &'static str,
) -> Result<&'a Element, SecurityError> {
    let mut all = parent
        .elements()
        .filter(|child| child.name.is(namespace, local));
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(SecurityError::Part(local)),
    }
}

impl Token {
    pub(super) fn read(element: &Element) -> Result<Self, SecurityError> {
        let optional = |namespace: &str, local: &'static str| match element.child(namespace, local)
        {
            Some(_) => only(element, namespace, local).map(Some),
            None => Ok(None),
        };
        let password = only(element, WSSE, "Password")?;
        let digest = match password.attribute("Type") {
            Some(DIGEST) => true,
            None | Some(TEXT) => false,
            Some(_) => return Err(SecurityError::Algorithm),
        };
        let nonce = optional(WSSE, "Nonce")?
            .map(|nonce| STANDARD.decode(nonce.text().trim()))
            .transpose()
            .map_err(|_| SecurityError::Malformed)?;
        Ok(Self {
            user: only(element, WSSE, "Username")?.text(),
            password: password.text(),
            nonce,
            created: optional(WSU, "Created")?.map(|one| one.text().trim().to_owned()),
            digest,
        })
    }

    pub(super) const fn is_digest(&self) -> bool {
        self.digest
    }

    /// Nonce and time, which a digest must have.
    pub(super) fn fresh(&self) -> Result<(&[u8], Timestamp), SecurityError> {
        let (Some(nonce), Some(created)) = (&self.nonce, &self.created) else {
            return Err(SecurityError::PlainPassword);
        };
        if nonce.len() < 8 || nonce.len() > 256 {
            return Err(SecurityError::Malformed);
        }
        Ok((nonce, time(created)?))
    }

    pub(super) fn is_right(&self, password: &[u8]) -> bool {
        if self.digest {
            let (Some(nonce), Some(created)) = (&self.nonce, &self.created) else {
                return false;
            };
            let expected = password_digest(nonce, created, password);
            verify_slices_are_equal(expected.as_bytes(), self.password.trim().as_bytes()).is_ok()
        } else {
            verify_slices_are_equal(password, self.password.as_bytes()).is_ok()
        }
    }
}

pub(super) fn time(text: &str) -> Result<Timestamp, SecurityError> {
    text.trim().parse().map_err(|_| SecurityError::Malformed)
}

/// When a timestamp says the message was made and until when it is good.
pub(super) fn timestamp(
    element: &Element,
) -> Result<(Timestamp, Option<Timestamp>), SecurityError> {
    let created = time(&only(element, WSU, "Created")?.text())?;
    let expires = match element.child(WSU, "Expires") {
        Some(_) => Some(time(&only(element, WSU, "Expires")?.text())?),
        None => None,
    };
    Ok((created, expires))
}
