//! One problem, told so that its reader can mend it.

use crate::codes;
use crate::source::{SourceMap, Span};
use wardline_core::Code;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The estate cannot run.
    Error,
    /// It can, but somebody will be surprised.
    Warning,
    /// Worth knowing.
    Note,
}

/// A further place that belongs to a problem, such as the first of two equal names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The place.
    pub span: Span,
    /// What it has to do with it.
    pub label: String,
}

/// One problem.
///
/// ```
/// use wardline_estate::{Diagnostic, SourceMap, Span, codes};
///
/// let mut sources = SourceMap::new();
/// let file = sources.add("flows/a.yaml", "flow: a\nfrom: ehr.adt\n");
/// let problem = Diagnostic::error(codes::UNKNOWN_CONNECTION, "there is no connection `ehr.adt`")
///     .at(Span::new(file, 14, 21))
///     .label("not found")
///     .help("did you mean `ehr.adt-in`?");
/// assert!(problem.render(&sources, false).contains("flows/a.yaml:2:7"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What to say under the marked text.
    pub label: Option<String>,
    /// Further places.
    pub related: Vec<Related>,
    /// What else is good to know.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem of the given severity.
    pub fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            span: None,
            label: None,
            related: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A problem that keeps the estate from running.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A problem that does not.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Something worth knowing.
    pub fn note(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    /// Where it is.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// What to say under the marked text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// A further place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push(Related {
            span,
            label: label.into(),
        });
        self
    }

    /// What else is good to know.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What to do, where something is known.
    #[must_use]
    pub fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// All problems of one run, in the order of files and lines.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Brings them into the order of file paths and places; those without a place come last.
    /// The same problem at the same place is kept once.
    pub fn sort(&mut self, sources: &SourceMap) {
        self.items.sort_by_cached_key(|item| {
            let place = item
                .span
                .map(|span| (sources.path(span.file).to_owned(), span.start, span.end));
            (
                place.is_none(),
                place,
                item.severity,
                item.code,
                item.message.clone(),
            )
        });
        self.items.dedup();
    }

    /// Keeps the first `most` only, errors before all else, and says how many were left out.
    pub(crate) fn bound(&mut self, most: usize) {
        let Some(more) = self.items.len().checked_sub(most).filter(|&more| more > 0) else {
            return;
        };
        self.items.sort_by_key(|item| item.severity);
        self.items.truncate(most);
        self.push(
            Diagnostic::note(codes::MORE, format!("{more} more problems are not shown"))
                .help("mend these and check again"),
        );
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many of one severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.items
            .iter()
            .filter(|item| item.severity == severity)
            .count()
    }

    /// Whether any keeps the estate from running.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, items: I) {
        self.items.extend(items);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}
