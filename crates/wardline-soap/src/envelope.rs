//! The envelope: header blocks and body, in either version.

use crate::wsdl::Version;
use crate::xml::{Element, Limits, Name, XmlError, parse, write};

/// Why a message cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It is not XML that is taken.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is another XML document.
    #[error("it is not an envelope of SOAP 1.1 or 1.2")]
    NotSoap,
    /// It has no body, two, or something else beside it.
    #[error("its envelope does not hold one body, with at most one header before it")]
    Shape,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The version of SOAP.
    pub version: Version,
    /// The whole.
    pub root: Element,
}

impl Envelope {
    /// Opens a message.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn parse(document: &[u8], limits: Limits) -> Result<Self, EnvelopeError> {
        Self::open(parse(document, limits)?)
    }

    /// Opens a message that was read.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(root: Element) -> Result<Self, EnvelopeError> {
        if &*root.name.local != "Envelope" {
            return Err(EnvelopeError::NotSoap);
        }
        let version = [Version::V11, Version::V12]
            .into_iter()
            .find(|version| *version.namespace() == *root.name.namespace)
            .ok_or(EnvelopeError::NotSoap)?;
        let ns = version.namespace();
        let parts: Vec<&Element> = root.elements().collect();
        let shaped = match parts.as_slice() {
            [body] => body.name.is(ns, "Body"),
            [header, body] => header.name.is(ns, "Header") && body.name.is(ns, "Body"),
            _ => false,
        };
        if !shaped || root.has_text() {
            return Err(EnvelopeError::Shape);
        }
        Ok(Self { version, root })
    }

    /// A message of these header blocks and this body.
    pub fn new(version: Version, headers: Vec<Element>, body: Option<Element>) -> Self {
        let ns = version.namespace();
        let mut root = Element::of(ns, "Envelope");
        if !headers.is_empty() {
            let header = headers
                .into_iter()
                .fold(Element::of(ns, "Header"), Element::with);
            root = root.with(header);
        }
        let mut holder = Element::of(ns, "Body");
        if let Some(body) = body {
            holder = holder.with(body);
        }
        Self {
            version,
            root: root.with(holder),
        }
    }

    /// The bytes of the message.
    ///
    /// # Errors
    /// Where a value holds a character that XML cannot.
    pub fn write(&self) -> Result<Vec<u8>, XmlError> {
        write(&self.root)
    }

    /// What holds the header blocks.
    pub fn header(&self) -> Option<&Element> {
        self.root.child(self.version.namespace(), "Header")
    }

    /// What holds the body.
    pub fn body(&self) -> Option<&Element> {
        self.root.child(self.version.namespace(), "Body")
    }

    /// The elements of the body.
    pub fn content(&self) -> Vec<&Element> {
        self.body()
            .map(|body| body.elements().collect())
            .unwrap_or_default()
    }

    /// Header blocks that must be understood by whoever reads this, and are none of `understood`.
    pub fn not_understood(&self, understood: &[(&str, &str)]) -> Vec<Name> {
        let ns = self.version.namespace();
        let Some(header) = self.header() else {
            return Vec::new();
        };
        header
            .elements()
            .filter(|block| {
                let must = matches!(
                    block.attribute_of(ns, "mustUnderstand").map(str::trim),
                    Some("1" | "true")
                );
                let role = block
                    .attribute_of(ns, "actor")
                    .or_else(|| block.attribute_of(ns, "role"))
                    .unwrap_or_default();
                let ours = role.is_empty()
                    || role.ends_with("/next")
                    || role.ends_with("/ultimateReceiver");
                must && ours
            })
            .filter(|block| {
                !understood
                    .iter()
                    .any(|(namespace, local)| block.name.is(namespace, local))
            })
            .map(|block| block.name.clone())
            .collect()
    }
}
