//! Mail: a password goes over TLS, and it is said what mails may hold.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Connection, ConnectionKind, SmtpOut, SmtpSecurity};
use wardline_core::Sensitivity;
use wardline_core::mail::Recipients;

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for (_, connection) in whole.estate.connections() {
        if let ConnectionKind::SmtpOut(smtp) = &connection.kind {
            one(connection, smtp, problems);
        }
    }
}

fn one(connection: &Connection, smtp: &SmtpOut, problems: &mut Vec<Diagnostic>) {
    let plain = smtp.security == SmtpSecurity::None;
    if !smtp.classified {
        problems.push(
            Diagnostic::error(
                codes::MAIL_UNCLASSIFIED,
                format!("it is not said what mails of `{}` may hold", connection.reference),
            )
            .at(connection.at)
            .help("mail lies in boxes that nobody here guards: add `sensitivity: internal`, or a higher class where it must be"),
        );
    } else if plain && connection.sensitivity > Sensitivity::Internal {
        problems.push(
            Diagnostic::error(
                codes::MAIL_IN_THE_OPEN,
                format!(
                    "mails of class `{}` would go where everybody can read them",
                    word(connection.sensitivity)
                ),
            )
            .at(smtp.server.at)
            .help("remove `security: none`, or lower `sensitivity`"),
        );
    }
    if let Some(login) = smtp.login.as_ref().filter(|_| plain) {
        problems.push(
            Diagnostic::error(
                codes::MAIL_IN_THE_OPEN,
                "a password does not go without TLS",
            )
            .at(login.at)
            .help("remove `security: none`"),
        );
    }
    let recipients = Recipients::new(smtp.recipients.iter().cloned());
    for (address, at) in &smtp.to {
        if !recipients.hold(address) {
            problems.push(
                Diagnostic::error(
                    codes::MAIL_TO_OTHERS,
                    "this address is not among those that may get mail",
                )
                .at(*at)
                .help("add it, or its domain, to `recipients`"),
            );
        }
    }
}

const fn word(class: Sensitivity) -> &'static str {
    match class {
        Sensitivity::Public => "public",
        Sensitivity::Internal => "internal",
        Sensitivity::Financial => "financial",
        Sensitivity::Pii => "pii",
        Sensitivity::Phi => "phi",
        Sensitivity::Secret => "secret",
    }
}
