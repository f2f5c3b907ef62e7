//! SCIM and FHIR services that Wardline offers: all below their path is theirs, and senders prove
//! themselves by what they send with every request.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Auth, ConnectionKind};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for (_, connection) in whole.estate.connections() {
        let (own, word) = match &connection.kind {
            ConnectionKind::ScimIn(scim) => (&scim.http, "SCIM"),
            ConnectionKind::FhirIn(fhir) => (&fhir.http, "FHIR"),
            _ => continue,
        };
        if matches!(
            own.auth,
            Auth::Webhook(_) | Auth::Hmac(_) | Auth::Header { .. }
        ) {
            problems.push(
                Diagnostic::error(
                    codes::BAD_SECURITY,
                    format!("senders of {word} do not sign what they send"),
                )
                .at(own.path.at)
                .help("write `auth: { bearer: secret:NAME }`, `{ basic: … }` or `none`"),
            );
        }
        if own.path.value.is_empty() {
            continue;
        }
        let below = format!("{}/", own.path.value.trim_end_matches('/'));
        for (_, other) in whole.estate.connections() {
            let Some(http) = other.kind.receives_at() else {
                continue;
            };
            let inside = format!("{}/", http.path.value).starts_with(&below);
            if other.reference != connection.reference
                && http.listener.value == own.listener.value
                && inside
            {
                problems.push(
                    Diagnostic::error(
                        codes::PATH_CLASH,
                        format!("`{}` receives below a {word} service", other.reference),
                    )
                    .at(http.path.at)
                    .related(own.path.at, "all below this path is the service's"),
                );
            }
        }
    }
}
