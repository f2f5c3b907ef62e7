//! What is wrong with a request or an answer, without its values.

use std::borrow::Cow;
use std::fmt;

use ahash::AHashSet;
use http::StatusCode;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;
use serde::Serialize;

/// Which rule of HTTP a violation falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Wrong {
    /// The content type is not one that is taken: 415.
    MediaType,
    /// It cannot be read: 400.
    Unreadable,
    /// It breaks the contract: 422.
    Contract,
}

/// One rule that is broken. Holds no value of what broke it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where: a JSON Pointer into the body (empty for the whole), or `path:NAME`, `query:NAME`,
    /// `header:NAME`. Names that the contract does not know are `*`, since people put values there.
    pub pointer: String,
    /// The rule, such as `required`.
    pub rule: Cow<'static, str>,
    /// What is expected, in words.
    pub detail: Cow<'static, str>,
    /// Which rule of HTTP it falls under.
    #[serde(skip)]
    pub wrong: Wrong,
}

impl Violation {
    pub(crate) fn contract(
        pointer: impl Into<String>,
        rule: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            rule: Cow::Borrowed(rule),
            detail: detail.into(),
            wrong: Wrong::Contract,
        }
    }

    pub(crate) fn wrong(mut self, wrong: Wrong) -> Self {
        self.wrong = wrong;
        self
    }

    /// The status to refuse a request with that has these violations: 415 before 400 before 422.
    ///
    /// ```
    /// use wardline_contract::Violation;
    /// assert_eq!(Violation::status(&[]), None);
    /// ```
    pub fn status(violations: &[Self]) -> Option<StatusCode> {
        let worst = violations.iter().map(|violation| violation.wrong).min()?;
        Some(match worst {
            Wrong::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Wrong::Unreadable => StatusCode::BAD_REQUEST,
            Wrong::Contract => StatusCode::UNPROCESSABLE_ENTITY,
        })
    }

    /// What a validator found. Names in the path that the schema does not have become `*`.
    pub(super) fn of(
        error: &jsonschema::ValidationError<'_>,
        prefix: &str,
        names: &AHashSet<Box<str>>,
    ) -> Self {
        let mut pointer = prefix.to_owned();
        for segment in error.instance_path() {
            pointer.push('/');
            match segment {
                LocationSegment::Index(index) => pointer.push_str(&index.to_string()),
                LocationSegment::Property(name) => {
                    if names.contains(&*name) {
                        pointer.push_str(&crate::schema::escape(&name));
                    } else {
                        pointer.push('*');
                    }
                }
            }
        }
        Self {
            pointer,
            rule: Cow::Owned(error.kind().keyword().to_owned()),
            detail: detail(error.kind()),
            wrong: Wrong::Contract,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "the whole"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.detail)
    }
}

/// What the contract asks for; its own words and numbers, never those of the value.
fn detail(kind: &Kind) -> Cow<'static, str> {
    let text = match kind {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            match unexpected.len() {
                1 => "has a field that the contract does not know".to_owned(),
                count => format!("has {count} fields that the contract does not know"),
            }
        }
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => {
            "has more items than the contract knows".to_owned()
        }
        Kind::Required { property } => match property.as_str() {
            Some(name) => format!("`{name}` is required"),
            None => "a field is required".to_owned(),
        },
        Kind::Type { kind } => format!("must be {}", types(kind)),
        Kind::Enum { .. } | Kind::Constant { .. } => {
            "is none of the values that the contract allows".to_owned()
        }
        Kind::Format { format } => format!("must be a {format}"),
        Kind::Pattern { .. } => "does not match the pattern of the contract".to_owned(),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} fields"),
        Kind::MinProperties { limit } => format!("must have at least {limit} fields"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::UniqueItems => "has an item twice".to_owned(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            "is none of the alternatives of the contract".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => {
            "is more than one of the alternatives of the contract".to_owned()
        }
        Kind::FalseSchema => "the contract does not allow this".to_owned(),
        Kind::PropertyNames { .. } => "has a field whose name is not allowed".to_owned(),
        _ => "breaks a rule of the contract".to_owned(),
    };
    Cow::Owned(text)
}

fn types(kind: &jsonschema::error::TypeKind) -> String {
    use jsonschema::error::TypeKind;
    let named = |name: &str| match name {
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        "null" => "null",
        _ => "a text",
    };
    match kind {
        TypeKind::Single(kind) => named(&kind.to_string()).to_owned(),
        TypeKind::Multiple(kinds) => {
            let all: Vec<_> = kinds.iter().map(|kind| named(&kind.to_string())).collect();
            all.join(" or ")
        }
    }
}
