//! X12 interchanges: one message, whose flows run once for each set.
//!
//! A flow takes an interchange as a whole or not at all: where it fails for one set, what it made of the others is
//! withdrawn and one dead delivery says which set and why. So nothing is half-taken, and a replay makes nothing twice.

use super::content::field_text;
use super::router::Router;
use super::{DerivedMessage, MAX_DERIVED};
use crate::codes;
use crate::fingerprint;
use crate::plan::{FieldPath, HeldGuides};
use bytes::Bytes;
use std::sync::Arc;
use wardline_edi::x12::{Exam, Guides, Interchange, Reader, Set};
use wardline_mapping::{Content, Subject};
use wardline_store::{Note, RouteOutcome};

/// Values of one path kept for searching, of an interchange with many sets.
const MAX_TERMS: usize = 1_000;

/// Reads an interchange, and refuses one whose envelopes, counts or control numbers are wrong, or which the
/// guides of its connection refuse.
pub(super) fn read(body: &Bytes, guides: Option<&HeldGuides>) -> Result<Interchange, String> {
    let mut exam = Exam::new(guides.map(|guides| Arc::clone(&guides.own)));
    let mut reader = Reader::new(body.as_ref());
    while let Some(segment) = reader.next_segment().map_err(|error| error.to_string())? {
        exam.feed(&segment);
    }
    let (_, problems) = exam.finish();
    let wrong: Vec<String> = problems
        .iter()
        .filter(|p| p.refuses)
        .map(ToString::to_string)
        .collect();
    if let Some(first) = wrong.first() {
        let more = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        return Err(format!("{first}{more}"));
    }
    let interchange = Interchange::parse(body.clone()).map_err(|error| error.to_string())?;
    if interchange.len() > MAX_DERIVED {
        return Err(format!(
            "it has {} sets, and {MAX_DERIVED} is the most that one message may have; split it",
            interchange.len()
        ));
    }
    let all = guides.map_or_else(Guides::shipped, |guides| Arc::clone(&guides.all));
    Ok(interchange.with_guides(all))
}

/// What the message is called: its set, or `x12` where it has several kinds or none.
pub(crate) fn kind(interchange: &Interchange) -> String {
    let mut sets = interchange.sets();
    let first = sets.next().map(|set| set.id().into_owned());
    match first {
        Some(first) if sets.all(|set| *set.id() == first) => first,
        _ => "x12".to_owned(),
    }
}

/// A set as an interchange of its own.
pub(super) fn alone(set: &Set) -> Bytes {
    Interchange::parse(set.shared().clone())
        .ok()
        .and_then(|all| {
            let n = (0..all.len()).find(|n| {
                all.set(*n)
                    .is_some_and(|other| other.offset() == set.offset())
            })?;
            all.split(n)
        })
        .unwrap_or_else(|| set.bytes())
}

/// The values at a path: of an interchange, those of all its sets, each once.
pub(super) fn field_texts(path: &FieldPath, subject: &Subject) -> Vec<String> {
    let (FieldPath::X12(path), Content::Interchange(all)) = (path, &subject.content) else {
        return field_text(path, subject, &[]).into_iter().collect();
    };
    let mut found: Vec<String> = Vec::new();
    for value in all
        .sets()
        .filter_map(|set| set.value(path).map(std::borrow::Cow::into_owned))
    {
        if found.len() < MAX_TERMS && found.last() != Some(&value) {
            found.push(value);
        }
    }
    found
}

impl Router<'_> {
    /// Runs a flow on each set of an interchange.
    pub(super) fn sets(
        &mut self,
        flow: usize,
        message: usize,
        subject: &Subject,
        all: &Interchange,
        depth: usize,
    ) {
        let before = self.out.mark(message);
        for (n, set) in all.sets().enumerate() {
            let (id, control) = (set.id().into_owned(), set.control().into_owned());
            let mut one = Subject::x12(Arc::new(set)).with(subject.metadata.clone());
            one.metadata.message_type = Some(id.as_str().into());
            let already = self.out.messages[message].routes.len();
            self.flow(flow, message, &one, depth);
            let failed = self.out.messages[message].routes[already..].iter().any(
                |(own, target, outcome)| {
                    *own == flow && target.is_none() && *outcome == RouteOutcome::Failed
                },
            );
            if failed || self.out.deliveries.len() + self.out.messages.len() > MAX_DERIVED {
                let why = self.out.deliveries.iter().rev().find_map(|delivery| {
                    (delivery.flow == flow && delivery.target.is_none())
                        .then(|| delivery.failed.clone())
                        .flatten()
                });
                let place = &self.plan.flows[flow].failed;
                let note = why.filter(|_| failed).unwrap_or_else(|| Note {
                    code: codes::TOO_DEEP.to_string(),
                    fingerprint: fingerprint::of(codes::TOO_DEEP.0, place, "sets"),
                    text: format!("more than {MAX_DERIVED} messages and deliveries follow from the interchange; split it"),
                });
                // The control number is the sender's own; anything else there is not repeated.
                let control: String = control
                    .chars()
                    .filter(char::is_ascii_alphanumeric)
                    .take(9)
                    .collect();
                let text = format!(
                    "set {} of {} ({id} {control}): {}",
                    n + 1,
                    all.len(),
                    note.text
                );
                self.out.back_to(message, &before);
                self.fail(flow, message, Note { text, ..note });
                return;
            }
        }
        dedup(&mut self.out.messages[message], before.routes);
        if all.is_empty() {
            self.out.messages[message]
                .routes
                .push((flow, None, RouteOutcome::Filtered));
        }
    }
}

/// What several sets said of a flow is said once: taken where one was.
fn dedup(message: &mut DerivedMessage, from: usize) {
    let said = message.routes.split_off(from);
    for one in &said {
        let better = said.iter().any(|other| {
            (other.0, other.1) == (one.0, one.1)
                && one.2 == RouteOutcome::Filtered
                && other.2 != RouteOutcome::Filtered
        });
        if !better && !message.routes[from..].contains(one) {
            message.routes.push(*one);
        }
    }
}

/// How much was derived before a flow began.
pub(super) struct Mark {
    messages: usize,
    deliveries: usize,
    mail: usize,
    routes: usize,
}

impl super::Derived {
    fn mark(&self, message: usize) -> Mark {
        Mark {
            messages: self.messages.len(),
            deliveries: self.deliveries.len(),
            mail: self.mail.len(),
            routes: self.messages[message].routes.len(),
        }
    }

    fn back_to(&mut self, message: usize, mark: &Mark) {
        self.messages.truncate(mark.messages);
        self.deliveries.truncate(mark.deliveries);
        self.mail.truncate(mark.mail);
        self.messages[message].routes.truncate(mark.routes);
    }
}
