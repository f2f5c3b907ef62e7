//! Diagnostics as text for a terminal and as JSON for tools.
//!
//! The text has the frame that compilers have taught everyone to read: message, `file:line:column`,
//! the lines concerned with the culprit underlined, notes, help. Files are under a user's control,
//! so control characters in them are made visible before they can reach a terminal.

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::{SourceMap, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// Wide enough for most declarations; longer lines are trimmed around the mark.
const WIDTH: usize = 140;

impl Diagnostic {
    /// The problem with a frame of its source, ending in a newline; ANSI colours if wanted.
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        }
        .term_width(WIDTH);
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let message = annotate_snippets::normalize_untrusted_str(&self.message);
        let mut group = Group::with_title(level.primary_title(message).id(self.code.0));
        group = group.elements(self.frames(sources));
        group = group.elements(
            self.notes
                .iter()
                .map(|note| Level::NOTE.message(visible(note))),
        );
        group = group.elements(
            self.help
                .iter()
                .map(|help| Level::HELP.message(visible(help))),
        );
        let mut text = renderer.render(&[group]);
        text.push('\n');
        text
    }

    /// One snippet for each file: the primary mark first, related marks of the same file with it.
    fn frames<'a>(
        &'a self,
        sources: &'a SourceMap,
    ) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let Some(span) = self.span else {
            return Vec::new();
        };
        let mut own = snippet(sources, span).annotation(
            AnnotationKind::Primary
                .span(marked(sources, span))
                .label(self.label.as_deref().map(visible)),
        );
        let mut others = Vec::new();
        for related in &self.related {
            let mark = AnnotationKind::Context
                .span(marked(sources, related.span))
                .label(visible(&related.label));
            if related.span.file == span.file {
                own = own.annotation(mark);
            } else {
                others.push(snippet(sources, related.span).annotation(mark));
            }
        }
        others.insert(0, own);
        others
    }

    /// The problem as a JSON object: `code`, `severity`, `message`, and where they exist `file`,
    /// `line`, `column`, `end_line`, `end_column`, `label`, `related`, `notes`, `help`.
    pub fn to_json(&self, sources: &SourceMap) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        object.insert("code".into(), self.code.0.into());
        object.insert("severity".into(), severity_word(self.severity).into());
        object.insert("message".into(), self.message.as_str().into());
        if let Some(span) = self.span {
            place_json(&mut object, sources, span);
        }
        if let Some(label) = &self.label {
            object.insert("label".into(), label.as_str().into());
        }
        if !self.related.is_empty() {
            let related = self.related.iter().map(|related| {
                let mut object = serde_json::Map::new();
                place_json(&mut object, sources, related.span);
                object.insert("label".into(), related.label.as_str().into());
                serde_json::Value::Object(object)
            });
            object.insert("related".into(), related.collect());
        }
        if !self.notes.is_empty() {
            object.insert("notes".into(), self.notes.clone().into());
        }
        if let Some(help) = &self.help {
            object.insert("help".into(), help.as_str().into());
        }
        serde_json::Value::Object(object)
    }
}

impl Diagnostics {
    /// All problems with their frames and a closing line that counts them; empty where there are
    /// none.
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let mut text = String::new();
        for diagnostic in self {
            text.push_str(&diagnostic.render(sources, colour));
            text.push('\n');
        }
        if !self.is_empty() {
            text.push_str(&self.summary());
            text.push('\n');
        }
        text
    }

    /// How many there are, in words: `2 errors, 1 warning`.
    pub fn summary(&self) -> String {
        let counted = [
            (Severity::Error, "error"),
            (Severity::Warning, "warning"),
            (Severity::Note, "note"),
        ]
        .map(|(severity, word)| (self.count(severity), word));
        let words: Vec<String> = counted
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        if words.is_empty() {
            "no problems".to_owned()
        } else {
            words.join(", ")
        }
    }

    /// All problems as a JSON array.
    pub fn to_json(&self, sources: &SourceMap) -> serde_json::Value {
        self.iter()
            .map(|diagnostic| diagnostic.to_json(sources))
            .collect()
    }
}

fn visible(text: &str) -> String {
    annotate_snippets::normalize_untrusted_str(text)
}

fn snippet(sources: &SourceMap, span: Span) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    Snippet::source(sources.text(span.file))
        .path(visible(&sources.path(span.file).to_string_lossy()))
}

/// The marked range, within the text and on character boundaries whatever the span says.
fn marked(sources: &SourceMap, span: Span) -> Range<usize> {
    let text = sources.text(span.file);
    let start = text.floor_char_boundary((span.start as usize).min(text.len()));
    let end = text.ceil_char_boundary((span.end as usize).clamp(start, text.len()));
    start..end
}

fn place_json(
    object: &mut serde_json::Map<String, serde_json::Value>,
    sources: &SourceMap,
    span: Span,
) {
    let (line, column) = sources.line_column(span);
    let (end_line, end_column) = sources.line_column(Span {
        start: span.end,
        ..span
    });
    object.insert(
        "file".into(),
        sources.path(span.file).to_string_lossy().into(),
    );
    object.insert("line".into(), line.into());
    object.insert("column".into(), column.into());
    object.insert("end_line".into(), end_line.into());
    object.insert("end_column".into(), end_column.into());
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
