//! `wardline certs`: every certificate of an estate, and how long it is good.

use crate::cli::Where;
use crate::{exit, paint, place, table};
use std::process::ExitCode;
use wardline_core::Timestamp;
use wardline_engine::certs::{CertificateRole, CertificateState, CertificateView, certificates};
use wardline_estate::{LoadOptions, load};

pub(crate) fn run(args: &Where) -> anyhow::Result<ExitCode> {
    // What else is wrong with the estate is for `check` to say.
    let loaded = load(&args.estate, &LoadOptions::default());
    let Some(estate) = loaded.estate.or(loaded.partial) else {
        return Err(place::read_well(&args.estate, None)
            .err()
            .unwrap_or_else(|| {
                anyhow::anyhow!("the estate in {} cannot be read", args.estate.display())
            }));
    };
    let all = certificates(&estate, Timestamp::now());
    let well = all.iter().all(|one| one.state == CertificateState::Good);
    if args.json {
        super::print_json(
            &serde_json::json!({ "schema": "wardline.certs/1", "ok": well, "certificates": all }),
        )?;
    } else {
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        anstream::print!(
            "{}",
            table::render(
                &[
                    "ends", "days", "what", "subject", "names", "file", "used by"
                ],
                &rows,
                &[1]
            )
        );
        for one in all.iter().filter(|one| one.state != CertificateState::Good) {
            anstream::println!("{}", paint::wait(&sentence(one)));
        }
        if all.is_empty() {
            anstream::println!("this estate names no certificates");
        }
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}

fn row(one: &CertificateView) -> Vec<String> {
    let end = one.not_after.map(|end| end.to_string());
    vec![
        end.map_or_else(|| "?".to_owned(), |end| end.chars().take(10).collect()),
        one.days_left
            .map(|left| left.to_string())
            .unwrap_or_default(),
        one.role.word().to_owned(),
        match one.role {
            CertificateRole::Revocations => format!("{}: {}", one.issuer, one.subject),
            _ => one.subject.clone(),
        },
        one.names.join(", "),
        one.file.clone(),
        one.used_by.join(", "),
    ]
}

/// What a certificate needs, for people.
pub(crate) fn sentence(one: &CertificateView) -> String {
    let what = match one.role {
        CertificateRole::Revocations => {
            format!("the revocation list of {} ({})", one.issuer, one.file)
        }
        role => format!("the {} {} ({})", role.word(), one.subject, one.file),
    };
    match (one.state, one.days_left) {
        (CertificateState::Unreadable, _) => format!(
            "{} cannot be used: {}",
            one.file,
            one.problem.as_deref().unwrap_or_default()
        ),
        (CertificateState::NotValid, Some(left)) if left < 0 => {
            format!("{what} has ended: renew it")
        }
        (CertificateState::NotValid, _) => format!("{what} is not good yet: look at the clock"),
        (CertificateState::EndsSoon, left) => {
            format!("{what} ends in {} days: renew it", left.unwrap_or_default())
        }
        (CertificateState::Good, _) => format!("{what} is good"),
    }
}
