//! Every certificate that an estate names: whose it is, until when, and who needs it. One that
//! ends unnoticed stops a hospital's interfaces in the night, so it is told a month before.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use wardline_connect::certificate::{self, CertificateFacts};
use wardline_core::Timestamp;
use wardline_estate::model::{ClientTls, ConnectionKind, Estate, FileRef, ServerTls};
use wardline_estate::{Diagnostic, Span, codes};

/// Days before the end of a certificate at which it is told, each time more urgently.
pub const ALARMS: [i64; 3] = [30, 14, 3];
/// A bundle of the system's authorities has 200 KB.
const MOST_FILE: u64 = 4 << 20;
const DAY_MS: i64 = 86_400_000;

/// What a file is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateRole {
    /// We show it.
    Own,
    /// Others must show one that it issued.
    Authority,
    /// It says which of those are revoked.
    Revocations,
}

impl CertificateRole {
    /// In a word, for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Own => "certificate",
            Self::Authority => "authority",
            Self::Revocations => "revocations",
        }
    }
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateState {
    /// For a month at least.
    Good,
    /// Within a month it is not.
    EndsSoon,
    /// It is not any more, or not yet.
    NotValid,
    /// The file cannot be read, or holds none.
    Unreadable,
}

/// One certificate of the estate, or one revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    /// Its file, below the estate.
    pub file: String,
    /// What it is there for.
    pub role: CertificateRole,
    /// Who needs it: `listener partner`, `connection lab.feed`.
    pub used_by: Vec<String>,
    /// Whom it is for; of a list, whose list it is.
    pub subject: String,
    /// Names and addresses it is good for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// The issuer's number for it.
    pub serial: String,
    /// SHA-256 of the whole.
    pub sha256: String,
    /// From when on it is good.
    pub not_before: Option<Timestamp>,
    /// Until when; of a list, when the next is due.
    pub not_after: Option<Timestamp>,
    /// Whole days left; negative once it has ended.
    pub days_left: Option<i64>,
    /// How it stands.
    pub state: CertificateState,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

impl CertificateView {
    /// The last alarm that it has passed: 30, 14, 3, or 0 once it is not valid.
    pub fn alarm(&self) -> Option<i64> {
        if self.state == CertificateState::NotValid {
            return Some(0);
        }
        let left = self.days_left?;
        ALARMS.into_iter().rev().find(|alarm| left < *alarm)
    }
}

/// A file, what it is there for, who needs it, and where the estate names it first.
struct Named {
    used_by: Vec<String>,
    at: Span,
}

fn named(estate: &Estate) -> BTreeMap<(PathBuf, CertificateRole), Named> {
    let mut all: BTreeMap<(PathBuf, CertificateRole), Named> = BTreeMap::new();
    let mut name = |file: &Option<FileRef>, role, by: &str| {
        if let Some(file) = file {
            let entry = all.entry((file.path.clone(), role)).or_insert(Named {
                used_by: Vec::new(),
                at: file.at,
            });
            if !entry.used_by.iter().any(|have| have == by) {
                entry.used_by.push(by.to_owned());
            }
        }
    };
    let mut server = |tls: &ServerTls, by: &str| {
        name(&Some(tls.cert.clone()), CertificateRole::Own, by);
        name(&tls.client_ca, CertificateRole::Authority, by);
        name(&tls.crl, CertificateRole::Revocations, by);
    };
    for listener in estate.listeners.values() {
        if let Some(tls) = &listener.tls {
            server(tls, &format!("listener {}", listener.name));
        }
    }
    for (_, connection) in estate.connections() {
        let tls = match &connection.kind {
            ConnectionKind::MllpListen(declared) => &declared.tls,
            ConnectionKind::DicomIn(declared) => &declared.tls,
            ConnectionKind::As2In(declared) => &declared.tls,
            _ => continue,
        };
        if let Some(tls) = tls {
            server(tls, &format!("connection {}", connection.reference));
        }
    }
    let mut client = |tls: &ClientTls, by: &str| {
        name(&tls.cert, CertificateRole::Own, by);
        name(&tls.ca, CertificateRole::Authority, by);
    };
    for (_, connection) in estate.connections() {
        let tls = match &connection.kind {
            ConnectionKind::MllpConnect(declared) => &declared.tls,
            ConnectionKind::As2Out(declared) => &declared.tls,
            ConnectionKind::DicomOut(declared) => &declared.tls,
            ConnectionKind::DicomWeb(declared) => &declared.tls,
            ConnectionKind::HttpOut(declared) => &declared.tls,
            ConnectionKind::SoapOut(declared) => &declared.http.tls,
            ConnectionKind::ScimOut(declared) => &declared.tls,
            ConnectionKind::SmtpOut(declared) => {
                client(
                    &declared.tls,
                    &format!("connection {}", connection.reference),
                );
                continue;
            }
            ConnectionKind::SqlIn(declared) => &declared.access.tls,
            ConnectionKind::SqlOut(declared) => &declared.access.tls,
            ConnectionKind::FhirOut(declared) => &declared.http.tls,
            _ => continue,
        };
        if let Some(tls) = tls {
            client(tls, &format!("connection {}", connection.reference));
        }
    }
    if let Some(vault) = &estate.secrets.vault {
        name(&vault.ca, CertificateRole::Authority, "vault");
    }
    all
}

/// All certificates and revocation lists that the estate's files hold, as they stand at a
/// moment, by file.
pub fn certificates(estate: &Estate, now: Timestamp) -> Vec<CertificateView> {
    let mut all = Vec::new();
    for ((path, role), Named { used_by, .. }) in named(estate) {
        let blank = CertificateView {
            file: path.display().to_string(),
            role,
            used_by,
            subject: String::new(),
            names: Vec::new(),
            issuer: String::new(),
            serial: String::new(),
            sha256: String::new(),
            not_before: None,
            not_after: None,
            days_left: None,
            state: CertificateState::Unreadable,
            problem: None,
        };
        match read(&estate.root.join(&path), role) {
            Ok(found) => all.extend(found.into_iter().map(|one| judged(&blank, one, now))),
            Err(problem) => all.push(CertificateView {
                problem: Some(problem),
                ..blank
            }),
        }
    }
    all
}

enum Found {
    Certificate(CertificateFacts),
    List(certificate::RevocationFacts),
}

fn read(path: &Path, role: CertificateRole) -> Result<Vec<Found>, String> {
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_FILE).read_to_end(&mut pem))
        .map_err(|error| error.to_string())?;
    Ok(match role {
        CertificateRole::Revocations => certificate::revocation_lists(&pem)?
            .into_iter()
            .map(Found::List)
            .collect(),
        _ => certificate::certificates(&pem)?
            .into_iter()
            .map(Found::Certificate)
            .collect(),
    })
}

fn judged(blank: &CertificateView, found: Found, now: Timestamp) -> CertificateView {
    let mut view = match found {
        Found::Certificate(facts) => CertificateView {
            subject: facts.subject,
            names: facts.names,
            issuer: facts.issuer,
            serial: facts.serial,
            sha256: facts.sha256,
            not_before: Some(facts.not_before),
            not_after: Some(facts.not_after),
            ..blank.clone()
        },
        Found::List(facts) => CertificateView {
            subject: format!("{} revoked", facts.revoked),
            issuer: facts.issuer,
            not_after: facts.next_update,
            ..blank.clone()
        },
    };
    let left = |end: Timestamp| (end.0 - now.0).div_euclid(DAY_MS * 1000);
    view.days_left = view.not_after.map(left);
    let begun = view.not_before.is_none_or(|begin| begin <= now);
    // Lists are made anew every few days; only one that is overdue is worth a word.
    let soon = if view.role == CertificateRole::Revocations {
        0
    } else {
        ALARMS[0]
    };
    view.state = match view.days_left {
        Some(left) if left < 0 => CertificateState::NotValid,
        _ if !begun => CertificateState::NotValid,
        Some(left) if left < soon => CertificateState::EndsSoon,
        _ => CertificateState::Good,
    };
    view
}

/// What `check` says of them: certificates that have ended or soon do, and files that hold
/// none.
pub fn check(estate: &Estate, now: Timestamp) -> Vec<Diagnostic> {
    let places = named(estate);
    let mut problems = Vec::new();
    for view in certificates(estate, now) {
        let Some(place) = places.get(&(PathBuf::from(&view.file), view.role)) else {
            continue;
        };
        let until = view
            .not_after
            .map(|end| end.to_jiff().strftime("%Y-%m-%d").to_string());
        let until = until.unwrap_or_default();
        let what = match view.role {
            CertificateRole::Revocations => format!("the revocation list of {}", view.issuer),
            role => format!("the {} {}", role.word(), view.subject),
        };
        let problem = match view.state {
            CertificateState::Good => continue,
            CertificateState::EndsSoon => {
                Diagnostic::warning(codes::ENDS_SOON, format!("{what} ends on {until}"))
                    .help("renew it; a running server takes the new files up by itself")
            }
            CertificateState::NotValid if view.days_left.is_some_and(|left| left < 0) => {
                Diagnostic::warning(codes::EXPIRED, format!("{what} ended on {until}"))
                    .help("renew it; a running server takes the new files up by itself")
            }
            CertificateState::NotValid => {
                Diagnostic::warning(codes::EXPIRED, format!("{what} is not good yet"))
                    .help("look at this machine's clock, and at when it begins")
            }
            CertificateState::Unreadable => Diagnostic::error(
                codes::NO_CERTIFICATE,
                format!(
                    "`{}` cannot be used: {}",
                    view.file,
                    view.problem.unwrap_or_default()
                ),
            ),
        };
        problems.push(problem.at(place.at));
    }
    problems
}
