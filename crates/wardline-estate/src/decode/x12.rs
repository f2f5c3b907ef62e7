//! What partners who exchange X12 owe each other.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TEXT_LIMIT;
use crate::model::{FileRef, GuideRef, X12Answer, X12Duties};
use crate::shape::x12::X12;
use crate::source::Spanned;
use crate::value;
use crate::yaml::Node;
use std::sync::Arc;
use wardline_edi::x12::Guide;

impl Decoder<'_> {
    pub(super) fn x12_duties(&mut self, node: Option<&Node>) -> Option<X12Duties> {
        let node = node?;
        let view = View::new(Some(node), &X12);
        let guides = view.texts("guides");
        let guides = guides.into_iter().filter_map(|file| self.guide(file));
        Some(X12Duties {
            guides: guides.collect(),
            counted: (view.string("numbers").as_deref() == Some("counted"))
                .then(|| u64::from(view.integer("first"))),
            acknowledge: match view.string("acknowledge").as_deref() {
                Some("997") => Some(X12Answer::F997),
                Some("999") => Some(X12Answer::F999),
                _ => None,
            },
            by: view.text("by"),
            answers: view.text("answers"),
            answered_within: view.parsed("answered_within", value::duration),
            at: node.at,
        })
    }

    /// Reads a guide; what is wrong with it is told where it is named.
    fn guide(&mut self, written: Spanned<String>) -> Option<GuideRef> {
        let path = self.files.refer("", &written)?;
        let file = self.files.text(&path, TEXT_LIMIT)?;
        match Guide::parse(self.files.sources.text(file)) {
            Ok(guide) => Some(GuideRef {
                file: FileRef {
                    path,
                    at: written.at,
                },
                guide: Arc::new(guide),
            }),
            Err(error) => {
                self.files.problems.push(
                    Diagnostic::error(codes::BAD_GUIDE, "this X12 guide makes no sense")
                        .at(written.at)
                        .label(error.to_string())
                        .help("`wardline x12 check --guide FILE` says the same without an estate"),
                );
                None
            }
        }
    }
}
