//! What a payload claims to be.

use std::sync::Arc;

/// The kind of a payload, as declared by its sender or its protocol; never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// HL7 v2 in its delimited encoding.
    Hl7,
    /// JSON, including `application/*+json`.
    Json,
    /// XML, including `application/*+xml`.
    Xml,
    /// Any other `text/*`.
    Text,
    /// `application/octet-stream`, or nothing was said.
    Binary,
    /// Another media type, without parameters, in lower case.
    Other(Arc<str>),
}

impl ContentType {
    /// The media type.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hl7 => "application/hl7-v2",
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::Text => "text/plain",
            Self::Binary => "application/octet-stream",
            Self::Other(name) => name,
        }
    }

    /// Reads a `Content-Type` header (RFC 9110 section 8.3); parameters are ignored.
    ///
    /// ```
    /// use wardline_connect::ContentType;
    /// assert_eq!(ContentType::from_media_type("Application/JSON; charset=utf-8"), ContentType::Json);
    /// assert_eq!(ContentType::from_media_type("application/fhir+json"), ContentType::Json);
    /// assert_eq!(ContentType::from_media_type("x-application/hl7-v2+er7"), ContentType::Hl7);
    /// ```
    pub fn from_media_type(header: &str) -> Self {
        let essence = header
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/octet-stream" => Self::Binary,
            "application/hl7-v2" | "application/hl7-v2+er7" | "x-application/hl7-v2+er7" => {
                Self::Hl7
            }
            "application/json" | "text/json" => Self::Json,
            "application/xml" | "text/xml" => Self::Xml,
            name if name.ends_with("+json") => Self::Json,
            name if name.ends_with("+xml") => Self::Xml,
            name if name.starts_with("text/") => Self::Text,
            name => Self::Other(name.into()),
        }
    }
}

impl std::fmt::Display for ContentType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
