//! What is added to messages that are sent.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::signature::{Signer, sha256};
use super::token::password_digest;
use super::{BASE64, DIGEST, DSIG, EXCLUSIVE, SHA256, SecurityError, TEXT, WSSE, WSU, X509};
use crate::envelope::Envelope;
use crate::xml::{Element, Limits, Name, Node, canonical, parse, write};

/// A user and its password.
#[derive(Clone)]
pub struct Username {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Vec<u8>,
    /// Whether the password goes as text instead of a digest; only where TLS hides it.
    pub plain: bool,
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Username")
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

/// What a message carries to be believed.
#[derive(Debug, Default)]
pub struct Protection {
    /// A user token.
    pub username: Option<Username>,
    /// A signature over body, timestamp and user token.
    pub signer: Option<Signer>,
    /// How long the message is good; a timestamp is added always where it is signed.
    pub good_for: Option<Duration>,
}

const ID_BODY: &str = "body";
const ID_STAMP: &str = "timestamp";
const ID_USER: &str = "user";
const ID_TOKEN: &str = "certificate";

impl Protection {
    /// Whether it adds anything.
    pub const fn is_empty(&self) -> bool {
        self.username.is_none() && self.signer.is_none() && self.good_for.is_none()
    }

    /// The bytes of the message with all that.
    ///
    /// # Errors
    /// [`SecurityError::Unwritable`] where a value holds a character that XML cannot.
    pub fn write(&self, envelope: &Envelope, now: Timestamp) -> Result<Vec<u8>, SecurityError> {
        if self.is_empty() {
            return envelope.write().map_err(|_| SecurityError::Unwritable);
        }
        let ns = envelope.version.namespace();
        let mut security =
            Element::of(WSSE, "Security").with_attribute(Name::new(ns, "mustUnderstand"), "1");
        let mut covered = Vec::new();
        let good_for = match (self.good_for, &self.signer) {
            (Some(time), _) => Some(time),
            (None, Some(_)) => Some(Duration::from_secs(300)),
            (None, None) => None,
        };
        if let Some(good_for) = good_for {
            security = security.with(stamp(now, good_for));
            covered.push(ID_STAMP);
        }
        if let Some(username) = &self.username {
            security = security.with(user(username, now)?);
            covered.push(ID_USER);
        }
        covered.push(ID_BODY);
        let mut root = envelope.root.clone();
        if let Some(signer) = &self.signer {
            security = security
                .with(token(signer))
                .with(signature(signer, &covered));
            if let Some(body) = child_mut(&mut root, ns, "Body") {
                body.set(Name::new(WSU, "Id"), ID_BODY);
            }
        }
        if envelope.header().is_none() {
            root.children
                .insert(0, Node::Element(Element::of(ns, "Header")));
        }
        if let Some(header) = child_mut(&mut root, ns, "Header") {
            header.children.insert(0, Node::Element(security));
        }
        let Some(signer) = &self.signer else {
            return write(&root).map_err(|_| SecurityError::Unwritable);
        };
        // Prefixes depend on names only, so what is canonical stays so while texts are filled in.
        let written = again(&root)?;
        for id in &covered {
            let element = by_id(&written, id).ok_or(SecurityError::Unwritable)?;
            let digest = sha256(&canonical(element, &[]));
            set_text(
                &mut root,
                &|element: &Element| {
                    element.name.is(DSIG, "DigestValue") && element.text() == format!("#{id}")
                },
                &digest,
            );
        }
        let written = again(&root)?;
        let info = find(&written, &|element| element.name.is(DSIG, "SignedInfo"))
            .ok_or(SecurityError::Unwritable)?;
        let value = STANDARD.encode(signer.sign(&canonical(info, &[]))?);
        set_text(
            &mut root,
            &|element: &Element| element.name.is(DSIG, "SignatureValue") && element.text() == "#",
            &value,
        );
        write(&root).map_err(|_| SecurityError::Unwritable)
    }
}

fn again(root: &Element) -> Result<Element, SecurityError> {
    let bytes = write(root).map_err(|_| SecurityError::Unwritable)?;
    let limits = Limits {
        bytes: usize::MAX,
        depth: usize::MAX,
        nodes: usize::MAX,
        attributes: usize::MAX,
        instructions: false,
        document_type: false,
        declarations: false,
    };
    parse(&bytes, limits).map_err(|_| SecurityError::Unwritable)
}

fn with_id(element: Element, id: &str) -> Element {
    element.with_attribute(Name::new(WSU, "Id"), id)
}

fn stamp(now: Timestamp, good_for: Duration) -> Element {
    let until = SignedDuration::try_from(good_for)
        .ok()
        .and_then(|time| now.checked_add(time).ok())
        .unwrap_or(now);
    with_id(Element::of(WSU, "Timestamp"), ID_STAMP)
        .with(Element::of(WSU, "Created").with_text(text_of(now)))
        .with(Element::of(WSU, "Expires").with_text(text_of(until)))
}

fn text_of(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn user(username: &Username, now: Timestamp) -> Result<Element, SecurityError> {
    let mut nonce = [0; 16];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| SecurityError::Key)?;
    let created = text_of(now);
    let (kind, password) = if username.plain {
        let text = String::from_utf8(username.password.clone()).map_err(|_| SecurityError::Key)?;
        (TEXT, text)
    } else {
        (
            DIGEST,
            password_digest(&nonce, &created, &username.password),
        )
    };
    Ok(with_id(Element::of(WSSE, "UsernameToken"), ID_USER)
        .with(Element::of(WSSE, "Username").with_text(username.user.as_str()))
        .with(
            Element::of(WSSE, "Password")
                .with_attribute(Name::new("", "Type"), kind)
                .with_text(password),
        )
        .with(
            Element::of(WSSE, "Nonce")
                .with_attribute(Name::new("", "EncodingType"), BASE64)
                .with_text(STANDARD.encode(nonce)),
        )
        .with(Element::of(WSU, "Created").with_text(created)))
}

fn token(signer: &Signer) -> Element {
    with_id(Element::of(WSSE, "BinarySecurityToken"), ID_TOKEN)
        .with_attribute(Name::new("", "EncodingType"), BASE64)
        .with_attribute(Name::new("", "ValueType"), X509)
        .with_text(STANDARD.encode(signer.certificate()))
}

/// A signature whose values are still to be filled in: each digest holds the id it is of.
fn signature(signer: &Signer, covered: &[&str]) -> Element {
    let method = |local: &str, algorithm: &str| {
        Element::of(DSIG, local).with_attribute(Name::new("", "Algorithm"), algorithm)
    };
    let mut info = Element::of(DSIG, "SignedInfo")
        .with(method("CanonicalizationMethod", EXCLUSIVE))
        .with(method("SignatureMethod", signer.algorithm()));
    for id in covered {
        info = info.with(
            Element::of(DSIG, "Reference")
                .with_attribute(Name::new("", "URI"), format!("#{id}"))
                .with(Element::of(DSIG, "Transforms").with(method("Transform", EXCLUSIVE)))
                .with(method("DigestMethod", SHA256))
                .with(Element::of(DSIG, "DigestValue").with_text(format!("#{id}"))),
        );
    }
    let reference = Element::of(WSSE, "Reference")
        .with_attribute(Name::new("", "URI"), format!("#{ID_TOKEN}"))
        .with_attribute(Name::new("", "ValueType"), X509);
    Element::of(DSIG, "Signature")
        .with(info)
        .with(Element::of(DSIG, "SignatureValue").with_text("#"))
        .with(
            Element::of(DSIG, "KeyInfo")
                .with(Element::of(WSSE, "SecurityTokenReference").with(reference)),
        )
}

fn child_mut<'a>(parent: &'a mut Element, namespace: &str, local: &str) -> Option<&'a mut Element> {
    parent.children.iter_mut().find_map(|child| match child {
        Node::Element(element) if element.name.is(namespace, local) => Some(element),
        _ => None,
    })
}

fn find<'a>(element: &'a Element, wanted: &dyn Fn(&Element) -> bool) -> Option<&'a Element> {
    if wanted(element) {
        return Some(element);
    }
    element.elements().find_map(|child| find(child, wanted))
}

fn by_id<'a>(root: &'a Element, id: &str) -> Option<&'a Element> {
    find(root, &|element| element.attribute_of(WSU, "Id") == Some(id))
}

fn set_text(element: &mut Element, wanted: &dyn Fn(&Element) -> bool, text: &str) -> bool {
    if wanted(element) {
        element.children = vec![Node::Text(text.to_owned())];
        return true;
    }
    element.children.iter_mut().any(|child| match child {
        Node::Element(child) => set_text(child, wanted, text),
        Node::Text(_) => false,
    })
}
