//! Why a run failed, without a value of the message.
//!
//! VRL's own texts may quote the value that was wrong (`Invalid integer "…"`), and a map's error
//! ends up in logs and in front of people who may not see patients' data. So a text is passed on
//! only where one of our functions made it, where every word of it is of VRL's vocabulary, or where it
//! stands in the map itself, as what an assertion says.

use thiserror::Error;
use vrl::compiler::ExpressionError;
use wardline_core::Code;

use crate::environment::Input;
use crate::scope::Failure;

/// Why a program that compiled could not run to its end. Offsets are bytes of the program's source.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// One of Wardline's functions failed, and nothing in the program handled it.
    #[error("{text}")]
    Function {
        /// Code of the failure, `W2211` …
        code: Code,
        /// What failed, on what (a path, a table), and what to do.
        text: String,
        /// The call in the source.
        span: Option<(usize, usize)>,
    },
    /// A function of the standard library or an operator failed.
    #[error("the map failed{}{}: handle the error there, with `??` or `, err =`, or correct the sender's data", at(function.as_deref()), because(reason.as_deref()))]
    Vrl {
        /// Name of the function, where it was one.
        function: Option<String>,
        /// VRL's reason, where it can be told without quoting the message.
        reason: Option<String>,
        /// The call in the source, where it was one.
        span: Option<(usize, usize)>,
    },
    /// The program went on for too long.
    #[error(
        "the map was stopped after {steps} steps; it does too much work for this message, so split the message or simplify the map"
    )]
    TooManySteps {
        /// The limit.
        steps: u64,
    },
    /// The result is too large.
    #[error(
        "the map's result is larger than {limit} bytes; let it produce less, or raise the limit"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The program was compiled for another input.
    #[error(
        "the program was compiled for {expected:?} input but given {found:?}; compile it for what the flow's source delivers"
    )]
    WrongInput {
        /// What it was compiled for.
        expected: Input,
        /// What it was given.
        found: Input,
    },
    /// A key expression gave something that is no key.
    #[error(
        "the key is {found}, but must be a string, an integer or null; convert it with `to_string(…)`"
    )]
    NotAKey {
        /// The type that was found.
        found: &'static str,
    },
    /// A program that writes HL7 without reading it never called `hl7_build`.
    #[error(
        "the map wrote no HL7 message for this input; call hl7_build on every way through it, or abort"
    )]
    NothingBuilt,
    /// A defect: a function panicked. The message is kept, so it can be replayed once mended.
    #[error(
        "the map failed by a defect in one of its functions; report it with the map and the kind of message"
    )]
    Defect,
}

fn at(function: Option<&str>) -> String {
    function
        .map(|name| format!(" in `{name}`"))
        .unwrap_or_default()
}

fn because(reason: Option<&str>) -> String {
    reason.map(|text| format!(" ({text})")).unwrap_or_default()
}

impl RunError {
    /// Stable code, `W2201` to `W2299`.
    pub fn code(&self) -> Code {
        match self {
            Self::Function { code, .. } => *code,
            Self::Vrl { .. } => Code("W2201"),
            Self::TooManySteps { .. } => Code("W2203"),
            Self::TooLarge { .. } => Code("W2204"),
            Self::WrongInput { .. } => Code("W2205"),
            Self::NotAKey { .. } => Code("W2206"),
            Self::NothingBuilt => Code("W2207"),
            Self::Defect => Code("W2209"),
        }
    }

    /// Where in the source it failed, in bytes, where that is known.
    pub fn span(&self) -> Option<(usize, usize)> {
        match self {
            Self::Function { span, .. } | Self::Vrl { span, .. } => *span,
            _ => None,
        }
    }

    /// Why an expression failed.
    pub(crate) fn from_vrl(error: ExpressionError, failure: Option<Failure>, source: &str) -> Self {
        let ExpressionError::Error {
            message, labels, ..
        } = error
        else {
            return Self::Vrl {
                function: None,
                reason: None,
                span: None,
            };
        };
        let span = labels
            .first()
            .map(|label| (label.span.start(), label.span.end()));
        if let Some(failure) = failure.filter(|failure| message.ends_with(&failure.text)) {
            return Self::Function {
                code: failure.code,
                text: failure.text,
                span,
            };
        }
        // The name is taken from the source: the error's text may hold anything.
        let call = span.and_then(|(start, end)| source.get(start..end));
        let function = call
            .map(|call| {
                call.chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect::<String>()
            })
            .filter(|name| !name.is_empty());
        let reason = message.rsplit("): ").next();
        let reason = reason
            .and_then(|text| told(text).or_else(|| own_words(text, function.as_deref()?, call?)));
        Self::Vrl {
            function,
            reason,
            span,
        }
    }
}

/// What the map itself says where an assertion fails, where it is a text of its source and not one
/// that was made while it ran.
fn own_words(text: &str, function: &str, call: &str) -> Option<String> {
    let asserts = matches!(function, "assert" | "assert_eq");
    let written = !text.is_empty() && call.contains(&format!("\"{text}\""));
    (asserts && written).then(|| text.to_owned())
}

/// VRL's reason, where it can be told. The type of an object or array that was found is written
/// with its fields, whose names are the message's; so only what it is remains.
fn told(text: &str) -> Option<String> {
    let (start, found) = text.split_once(", got ").unwrap_or((text, ""));
    let text = match found.as_bytes().first() {
        Some(b'{') => format!("{start}, got object"),
        Some(b'[') => format!("{start}, got array"),
        _ => text.to_owned(),
    };
    is_vocabulary(&text).then_some(text)
}

/// Whether every word of a text is one that VRL's type errors are made of.
fn is_vocabulary(text: &str) -> bool {
    const WORDS: [&str; 46] = [
        "a",
        "add",
        "an",
        "and",
        "any",
        "array",
        "boolean",
        "by",
        "bytes",
        "can't",
        "cannot",
        "coerce",
        "compare",
        "could",
        "divide",
        "empty",
        "expected",
        "float",
        "for",
        "from",
        "got",
        "in",
        "index",
        "integer",
        "into",
        "invalid",
        "multiply",
        "not",
        "null",
        "object",
        "of",
        "or",
        "out",
        "parse",
        "range",
        "regex",
        "remainder",
        "string",
        "subtract",
        "the",
        "timestamp",
        "to",
        "type",
        "unable",
        "value",
        "zero",
    ];
    !text.is_empty()
        && text
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '.' | ':'))
            .filter(|word| !word.is_empty())
            .all(|word| WORDS.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_on_only_vocabulary() {
        assert!(is_vocabulary("expected string, got null"));
        assert!(is_vocabulary("can't divide by zero"));
        assert!(!is_vocabulary("Invalid integer \"DOE\": invalid digit"));
        assert!(!is_vocabulary(""));
        assert_eq!(
            told("expected string, got { SECRET: integer }").as_deref(),
            Some("expected string, got object")
        );
        assert_eq!(told("expected SECRET, got { }"), None);
    }
}
