//! What went wrong, as SCIM says it (RFC 7644, 3.12).

use serde_json::{Value, json};

/// The kind of an error, by which senders tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The filter is none, or cannot be used on that attribute.
    InvalidFilter,
    /// More would have to be looked through than is allowed.
    TooMany,
    /// What must be unique is taken.
    Uniqueness,
    /// The attribute cannot be changed in that way.
    Mutability,
    /// The request is not built as SCIM says.
    InvalidSyntax,
    /// The path names no attribute.
    InvalidPath,
    /// The path fits nothing that is there.
    NoTarget,
    /// A value is missing, or not what the attribute takes.
    InvalidValue,
    /// Nothing that SCIM has a word for.
    Other,
}

impl Why {
    const fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::Other => return None,
        })
    }
}

/// An answer that is not what was asked for. The detail quotes no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// The status of HTTP.
    pub status: u16,
    /// What kind it is.
    pub why: Why,
    /// One line for people.
    pub detail: String,
}

impl Error {
    /// A request that is wrong.
    pub fn bad(why: Why, detail: impl Into<String>) -> Self {
        Self::new(400, why, detail)
    }

    /// An answer with any status.
    pub fn new(status: u16, why: Why, detail: impl Into<String>) -> Self {
        Self {
            status,
            why,
            detail: detail.into(),
        }
    }

    /// The message of the protocol.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.to_string(),
            "detail": self.detail,
        });
        if let Some(word) = self.why.word() {
            body["scimType"] = word.into();
        }
        body
    }
}
