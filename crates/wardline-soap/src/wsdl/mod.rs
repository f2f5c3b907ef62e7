//! WSDL 1.1: which services there are, where, and what may be asked of them.
//!
//! Taken are SOAP 1.1 and 1.2 over HTTP, document/literal (wrapped or bare) and rpc/literal. Ports of
//! other bindings are passed over and named in [`Definitions::notes`]; a description without any
//! port that can be used is refused.

mod publish;
mod read;

use std::fmt;

use crate::source::Source;
use crate::xml::Name;
use crate::xsd::{ElementId, SchemaError, Schemas, TypeId};

pub use publish::Published;

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WsdlError {
    /// A file cannot be read.
    #[error("{0}")]
    File(String),
    /// It is not WSDL 1.1.
    #[error("{0} is not a WSDL 1.1 description")]
    NotWsdl(String),
    /// Something is named that is nowhere declared.
    #[error("{what} {name} is nowhere declared")]
    Unknown {
        /// `message`, `binding` …
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It says nothing sensible.
    #[error("{0}")]
    Wrong(String),
    /// No port can be used.
    #[error("it has no port that can be used: {}", if .0.is_empty() { "it declares no service".to_owned() } else { .0.join("; ") })]
    NoPort(Vec<String>),
    /// Its types cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A version of SOAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// SOAP 1.1.
    V11,
    /// SOAP 1.2.
    V12,
}

impl Version {
    /// The namespace of its envelope.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The media type of its messages.
    pub const fn media(self) -> &'static str {
        match self {
            Self::V11 => "text/xml",
            Self::V12 => "application/soap+xml",
        }
    }

    /// The content type of a request with this action.
    pub fn content_type(self, action: &str) -> String {
        let plain: String = action
            .chars()
            .filter(|one| !one.is_control() && *one != '"' && *one != '\\')
            .collect();
        match self {
            Self::V12 if !plain.is_empty() => {
                format!("application/soap+xml; charset=utf-8; action=\"{plain}\"")
            }
            _ => format!("{}; charset=utf-8", self.media()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V11 => "1.1",
            Self::V12 => "1.2",
        })
    }
}

/// A description that was read whole.
#[derive(Debug)]
pub struct Definitions {
    /// Services with at least one port that can be used.
    pub services: Vec<Service>,
    /// The types of their messages.
    pub schemas: Schemas,
    /// What was passed over, and why.
    pub notes: Vec<String>,
    /// The files that it was read from, as its source names them.
    pub files: Vec<String>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where it is, and how it is spoken to.
    pub ports: Vec<Port>,
}

/// One way to speak to a service.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The version of SOAP.
    pub version: Version,
    /// The address in the description.
    pub address: String,
    /// What may be asked.
    pub operations: Vec<Operation>,
}

/// Something that may be asked.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// What says it beside the message (`SOAPAction`); may be empty.
    pub action: String,
    /// What is sent.
    pub input: Message,
    /// What is answered; nothing where absent.
    pub output: Option<Message>,
    /// Faults that it declares.
    pub faults: Vec<DeclaredFault>,
    /// Header blocks that it declares, by their elements.
    pub headers: Vec<ElementId>,
}

/// A fault that an operation declares.
#[derive(Clone, Debug)]
pub struct DeclaredFault {
    /// Its name.
    pub name: String,
    /// The element in its detail.
    pub element: ElementId,
}

/// What the body of a message holds.
#[derive(Clone, Debug)]
pub enum Message {
    /// Nothing.
    Empty,
    /// One element (document/literal).
    Element(ElementId),
    /// The operation with its parts (rpc/literal).
    Rpc {
        /// The element that holds the parts.
        wrapper: Name,
        /// Its parts, in order.
        parts: Vec<Part>,
    },
}

/// A part of an rpc message.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: TypeId,
}

impl Definitions {
    /// Reads a description and all that it imports.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(source: &dyn Source, location: &str) -> Result<Self, WsdlError> {
        read::read(source, location)
    }

    /// A port by the names of its service and itself; the first one where a name is not given.
    pub fn port(&self, service: Option<&str>, port: Option<&str>) -> Option<&Port> {
        self.services
            .iter()
            .filter(|known| service.is_none_or(|name| known.name == name))
            .flat_map(|service| &service.ports)
            .find(|known| port.is_none_or(|name| known.name == name))
    }
}

impl Port {
    /// An operation by its name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|known| known.name == name)
    }

    /// The operation whose request has this body, or, where none or several have, this action.
    pub fn find(
        &self,
        schemas: &Schemas,
        body: Option<&Name>,
        action: Option<&str>,
    ) -> Option<&Operation> {
        let mut by_body = self.operations.iter().filter(|known| match &known.input {
            Message::Empty => body.is_none(),
            Message::Element(id) => body == Some(&schemas.declaration(*id).name),
            Message::Rpc { wrapper, .. } => body == Some(wrapper),
        });
        let first = by_body.next()?;
        if by_body.next().is_none() {
            return Some(first);
        }
        let action = action?;
        let matching = |known: &&Operation| match &known.input {
            Message::Empty => body.is_none(),
            Message::Element(id) => body == Some(&schemas.declaration(*id).name),
            Message::Rpc { wrapper, .. } => body == Some(wrapper),
        };
        self.operations
            .iter()
            .filter(matching)
            .find(|known| known.action == action)
    }
}
