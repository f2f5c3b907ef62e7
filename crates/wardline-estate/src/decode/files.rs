//! Connections whose other side are files.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::files::TEXT_LIMIT;
use crate::model::{AfterTaking, FileContent, FileRef, FilesIn, FilesOut, LayoutRef, Reach};
use crate::shape::connection::{FILES_IN, FILES_OUT};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;
use std::sync::Arc;
use wardline_edi::flat::Plan;

impl Decoder<'_> {
    pub(super) fn files_in(&mut self, node: &Node, at: Span) -> FilesIn {
        self.taking(View::new(Some(node), &FILES_IN), at, None)
    }

    /// What every way of taking files has in common.
    pub(super) fn taking(
        &mut self,
        view: View<'_>,
        at: Span,
        reach: Option<Box<Reach>>,
    ) -> FilesIn {
        let records = view.string("split").as_deref() == Some("records");
        let said = view.text("layout");
        if records && said.is_none() {
            self.files.problems.push(
                Diagnostic::error(codes::MISSING_KEY, "`split: records` needs a `layout`")
                    .at(view.text("split").map_or(at, |split| split.at))
                    .label("how records lie in the file is not said")
                    .help("add `layout: layouts/NAME.yaml`; `wardline schema layout` says what is in one"),
            );
        }
        let content = match view.string("content").as_deref() {
            Some("json") => FileContent::Json,
            Some("xml") => FileContent::Xml,
            Some("hl7") => FileContent::Hl7,
            Some("x12") => FileContent::X12,
            Some("binary") => FileContent::Binary,
            _ => FileContent::Text,
        };
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        FilesIn {
            reach,
            directory: view.text_or_stand_in("directory", at),
            poll: view.text_or_stand_in("poll", at),
            every: duration("every"),
            stable: duration("stable"),
            marker: view.string("marker"),
            then: if view.string("then").as_deref() == Some("delete") {
                AfterTaking::Delete
            } else {
                AfterTaking::Archive
            },
            layout: said.and_then(|said| self.layout(said)),
            records,
            content,
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
            remember: duration("remember"),
        }
    }

    /// Reads a layout; what is wrong with it is told at its line.
    fn layout(&mut self, written: Spanned<String>) -> Option<LayoutRef> {
        let path = self.files.refer("", &written)?;
        let file = self.files.text(&path, TEXT_LIMIT)?;
        let document = match Document::of(&self.files.sources, file) {
            Ok(document) => document,
            Err(problems) => {
                self.files.problems.extend(problems);
                return None;
            }
        };
        match Plan::from_json(document.value()) {
            Ok(plan) => Some(LayoutRef {
                file: FileRef {
                    path,
                    at: written.at,
                },
                plan: Arc::new(plan),
            }),
            Err(error) => {
                self.files.problems.push(
                    Diagnostic::error(codes::BAD_LAYOUT, "this layout makes no sense")
                        .at(document.place(&error.pointer))
                        .label(error.text)
                        .related(written.at, "used here"),
                );
                None
            }
        }
    }
}

pub(super) fn files_out(node: &Node, at: Span) -> FilesOut {
    writing(View::new(Some(node), &FILES_OUT), at, None)
}

/// What every way of writing files has in common.
pub(super) fn writing(view: View<'_>, at: Span, reach: Option<Box<Reach>>) -> FilesOut {
    FilesOut {
        reach,
        directory: view.text_or_stand_in("directory", at),
        write: view.text_or_stand_in("write", at),
        max_size: view.parsed("max_size", value::size).unwrap_or_default(),
    }
}
