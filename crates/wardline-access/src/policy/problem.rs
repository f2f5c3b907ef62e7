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
