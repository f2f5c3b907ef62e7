//! What can be wrong with a policy file.

use std::ops::Range;
use std::sync::Arc;
use wardline_core::Code;
use wardline_estate::{Diagnostic, FileId, Severity, Span};

use super::world::PolicyText;

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The text is not Cedar.
    Syntax,
    /// It speaks of an attribute, type or action that there is not, or compares what cannot be
    /// compared.
    Type,
    /// It names an Api, operation, client, role … that does not exist.
    Unknown,
    /// It can never decide anything, or looks like something it is not.
    Never,
    /// It is a template.
    Template,
    /// Two policies have one name.
    Twice,
}

impl ProblemKind {
    /// The stable code.
    pub const fn code(self) -> Code {
        Code(match self {
            Self::Syntax => "W6201",
            Self::Type => "W6202",
            Self::Unknown => "W6203",
            Self::Never => "W6204",
            Self::Template => "W6205",
            Self::Twice => "W6206",
        })
    }

    /// Whether it keeps the estate from running.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Never => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// The codes of problems with policies: code, title, what to do.
pub const CODES: [(&str, &str, &str); 6] = [
    (
        "W6201",
        "policy file that is not Cedar",
        "The text could not be read at the marked place. A policy is \
         `permit(principal, action, resource) when { … };` or `forbid(…)`, with a semicolon at its end.",
    ),
    (
        "W6202",
        "policy that does not fit what there is",
        "The policy uses an attribute, an entity type or an action that does not exist, or compares \
         values of different types. An attribute with a question mark in the schema has to be asked \
         for first: `context has facility && context.facility == \"north\"`.",
    ),
    (
        "W6203",
        "policy that names nothing",
        "The policy names an Api, operation, client, entity, flow or role that the estate does not \
         have, so that part of it can never hold. Correct the name, or remove the policy.",
    ),
    (
        "W6204",
        "policy that never applies",
        "The condition is false for every request, or a name in it contains characters that look \
         like others. The policy is kept; nothing that it was meant to decide is decided by it.",
    ),
    (
        "W6205",
        "policy template",
        "Templates are not linked to anything here. Grants are data (the client's file); write a \
         condition over `principal` instead.",
    ),
    (
        "W6206",
        "two policies of one name",
        "`@id` has to be unique, since decisions are explained and audited by it, and names that \
         begin with `base.` belong to the built-in policies.",
    ),
];

/// One mistake in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of mistake.
    pub kind: ProblemKind,
    /// The file, as in [`PolicyText::path`].
    pub file: Arc<str>,
    /// Where in it, in bytes.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to say under the marked text.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(
        kind: ProblemKind,
        file: &PolicyText,
        span: Range<usize>,
        message: String,
    ) -> Self {
        Self {
            kind,
            file: Arc::clone(&file.path),
            span,
            message,
            label: None,
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same as a diagnostic of the estate, where `file` is the id of [`Self::file`] among
    /// the estate's sources.
    pub fn diagnostic(&self, file: FileId) -> Diagnostic {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let mut diagnostic = Diagnostic::new(self.kind.severity(), self.kind.code(), &self.message)
            .at(Span::new(
                file,
                offset(self.span.start),
                offset(self.span.end),
            ))
            .help_if(self.help.clone());
        diagnostic.label.clone_from(&self.label);
        diagnostic
    }
}
