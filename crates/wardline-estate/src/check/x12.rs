//! Duties of X12: each at a connection that can do it, and each with what it needs.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    As2Content, Connection, ConnectionKind, Direction, FileContent, HttpContent, X12Duties,
};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for (_, connection) in whole.estate.connections() {
        let Some(duties) = &connection.x12 else {
            continue;
        };
        if whole.learned.unclear.contains(&connection.reference) {
            continue;
        }
        let mut check = Check { whole, problems };
        match connection.kind.direction() {
            Direction::In => check.receives(connection, duties),
            Direction::Out => check.sends(duties),
        }
    }
}

/// Whether what comes there is X12.
fn brings_x12(kind: &ConnectionKind) -> bool {
    match kind {
        ConnectionKind::HttpIn(http) => http.content == HttpContent::X12,
        ConnectionKind::FilesIn(files) => !files.records && files.content == FileContent::X12,
        ConnectionKind::As2In(as2) => as2.content == As2Content::X12,
        _ => false,
    }
}

struct Check<'a, 'b> {
    whole: &'a Whole<'a>,
    problems: &'b mut Vec<Diagnostic>,
}

impl Check<'_, '_> {
    fn refuse(&mut self, at: Span, text: &str, help: &str) {
        self.problems.push(
            Diagnostic::error(codes::BAD_DUTY, text.to_owned())
                .at(at)
                .help(help.to_owned()),
        );
    }

    fn receives(&mut self, connection: &Connection, duties: &X12Duties) {
        if duties.counted.is_some() || duties.answered_within.is_some() {
            self.refuse(
                duties.at,
                "what comes has its numbers already",
                "`numbers` and `answered_within` belong to a connection that goes out",
            );
        }
        if !brings_x12(&connection.kind) {
            self.refuse(
                duties.at,
                "what comes here is not X12",
                "add `content: x12` to the protocol's settings",
            );
        }
        match (&duties.acknowledge, &duties.by) {
            (Some(_), None) => self.refuse(
                duties.at,
                "nothing says which connection sends the acknowledgements",
                "add `by: SYSTEM.CONNECTION`",
            ),
            (None, Some(by)) => self.refuse(
                by.at,
                "nothing is acknowledged, so there is nothing to send",
                "add `acknowledge: 999`, or `997`",
            ),
            (Some(_), Some(by)) => {
                self.outbound(by);
            }
            (None, None) => {}
        }
        if let Some(answers) = &duties.answers
            && let Some(there) = self.outbound(answers)
            && there
                .x12
                .as_ref()
                .is_none_or(|there| there.counted.is_none())
        {
            self.refuse(
                answers.at,
                "no book is kept of what that connection sends",
                "add `x12: { numbers: counted }` to it",
            );
        }
    }

    fn sends(&mut self, duties: &X12Duties) {
        if duties.acknowledge.is_some()
            || duties.by.is_some()
            || duties.answers.is_some()
            || !duties.guides.is_empty()
        {
            self.refuse(
                duties.at,
                "nothing comes in by a connection that goes out",
                "`acknowledge`, `by`, `answers` and `guides` belong to the one that receives",
            );
        }
        if duties.answered_within.is_some() && duties.counted.is_none() {
            self.refuse(
                duties.at,
                "no book is kept of what is sent, so nobody knows what was not acknowledged",
                "add `numbers: counted`",
            );
        }
    }

    fn outbound(&mut self, name: &Spanned<String>) -> Option<&Connection> {
        let estate = self.whole.estate;
        match estate.connection(&name.value) {
            Some((_, there)) if there.kind.direction() == Direction::Out => Some(there),
            Some(_) => {
                self.refuse(
                    name.at,
                    &format!("`{}` receives, so nothing can be sent by it", clip(name)),
                    "name a connection that goes out",
                );
                None
            }
            None => {
                let known = estate.connections().map(|(_, one)| one.reference.as_str());
                self.problems.push(
                    Diagnostic::error(
                        codes::UNKNOWN_CONNECTION,
                        format!("there is no connection `{}`", clip(name)),
                    )
                    .at(name.at)
                    .help_if(did_you_mean(name, known)),
                );
                None
            }
        }
    }
}
