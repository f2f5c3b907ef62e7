//! Systems: which application is this, how do I reach it, what may I ask of it.

use super::{Connection, MapRef, Method};
use crate::source::{Span, Spanned};
use std::collections::BTreeMap;
use std::time::Duration;

/// An application.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The site it belongs to, if it serves one only.
    pub facility: Option<String>,
    /// Ways in and out, by name.
    pub connections: BTreeMap<String, Connection>,
    /// What may be asked of it, by name.
    pub operations: BTreeMap<String, Operation>,
}

/// Something that may be asked of a system.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name within the system.
    pub name: String,
    /// `system.operation`.
    pub reference: String,
    /// Where its name stands.
    pub at: Span,
    /// The connection it uses, a name within the same system.
    pub connection: Spanned<String>,
    /// What is done there.
    pub kind: OperationKind,
    /// The entity it takes.
    pub accepts: Option<Spanned<String>>,
    /// The entity it answers with.
    pub returns: Option<Spanned<String>>,
    /// From the accepted entity to the request's body.
    pub request: Option<MapRef>,
    /// From the response's body to the returned entity.
    pub response: Option<MapRef>,
    /// How long an answer may be reused.
    pub cache: Option<Caching>,
}

/// How long an answer may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caching {
    /// Without asking the system again.
    pub keep: Duration,
    /// And for how long after that, where the system cannot be asked.
    pub stale_if_error: Duration,
}

/// What an operation does on its connection.
#[derive(Clone, Debug)]
pub enum OperationKind {
    /// One request.
    Http {
        /// The method.
        method: Method,
        /// A path with `{names}` that the data fills, appended to the connection's URL.
        path: Spanned<String>,
    },
    /// One operation of a SOAP service.
    Soap {
        /// Its name in the description.
        operation: Spanned<String>,
    },
    /// Statements that a connection has.
    Sql {
        /// Their name there.
        statement: Spanned<String>,
    },
    /// Something done with a person or a group.
    Scim {
        /// The word for it.
        verb: Spanned<String>,
    },
    /// Something asked of a FHIR server.
    Fhir {
        /// What is asked for.
        asked: FhirAsked,
        /// A type of resources; for an export also nothing (all), or `Group/{id}`.
        of: Spanned<String>,
    },
    /// One HL7 message and its acknowledgement.
    Mllp,
    /// Nothing.
    Null,
}

/// What an operation asks a FHIR server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FhirAsked {
    /// One resource.
    Read,
    /// What matches parameters, page by page.
    Search,
    /// All of it, made as files first.
    Export,
}

impl FhirAsked {
    /// Each with the key that asks for it.
    pub const ALL: [(&str, Self); 3] = [
        ("read", Self::Read),
        ("search", Self::Search),
        ("export", Self::Export),
    ];
}

impl OperationKind {
    /// The method and the path of a request: that of HTTP, or the name of a SOAP service's operation
    /// or of a database's statement behind a `/`, or what is asked of a FHIR server
    /// (`/search/Patient`).
    pub fn request(&self) -> (Option<Method>, Option<String>) {
        match self {
            Self::Http { method, path } => (Some(*method), Some(path.value.clone())),
            Self::Soap { operation } => (None, Some(format!("/{}", operation.value))),
            Self::Scim { verb } => (None, Some(format!("/{}", verb.value))),
            Self::Sql { statement } => (None, Some(format!("/{}", statement.value))),
            Self::Fhir { asked, of } => {
                let word = FhirAsked::ALL.iter().find(|(_, one)| one == asked);
                let word = word.map_or("", |(word, _)| word);
                (None, Some(format!("/{word}/{}", of.value)))
            }
            Self::Mllp | Self::Null => (None, None),
        }
    }

    /// The names in braces of an HTTP path, in order: `/accounts/{account}/close` has `account`.
    pub fn parameters(&self) -> Vec<&str> {
        let (Self::Http { path, .. } | Self::Fhir { of: path, .. }) = self else {
            return Vec::new();
        };
        crate::value::parameters(&path.value).collect()
    }
}
