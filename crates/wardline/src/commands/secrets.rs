//! `wardline secrets`: what the estate needs, who gives it, and how it is written. A value is
//! read from standard input and never from an argument, which other users could see.

use crate::cli::{SecretsCommand, Where};
use crate::place::Place;
use crate::{exit, paint, sources, table};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;
use std::time::SystemTime;
use wardline_estate::model::Estate;
use wardline_estate::{LoadOptions, load};
use wardline_vault::{AgeIdentity, AgeRecipient, Secret, SecretFacts, SecretRef, VaultError};
use zeroize::Zeroizing;

/// Larger than any key with its chain.
const MOST: u64 = 256 << 10;

pub(crate) fn run(command: SecretsCommand) -> anyhow::Result<ExitCode> {
    match command {
        SecretsCommand::List { place } => list(&place, false),
        SecretsCommand::Check { place } => list(&place, true),
        SecretsCommand::Set { name, plain, place } => set(&name, plain, &place),
        SecretsCommand::Identity { out } => identity(&out),
    }
}

/// The estate, well or not: who sets secrets is often about to make it so.
fn open(args: &Where) -> anyhow::Result<(Estate, Place)> {
    let loaded = load(&args.estate, &LoadOptions::default());
    let Some(estate) = loaded.estate.or(loaded.partial) else {
        bail!(
            "the estate in {} cannot be read: run `wardline check`",
            args.estate.display()
        );
    };
    let place = Place::new(&args.estate, args.data.as_deref());
    sources::configure(&place.secrets(), &estate)?;
    Ok((estate, place))
}

/// One secret of a listing.
struct Row {
    name: String,
    uses: Vec<String>,
    facts: Result<SecretFacts, VaultError>,
}

fn list(args: &Where, needed_only: bool) -> anyhow::Result<ExitCode> {
    let (estate, place) = open(args)?;
    let secrets = place.secrets();
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for used in &estate.secrets.used {
        let at = estate.sources.place(used.at);
        uses.entry(used.name().to_owned()).or_default().push(at);
    }
    if !needed_only {
        for stored in secrets.stored()? {
            uses.entry(stored.name().to_owned()).or_default();
        }
    }
    let rows: Vec<Row> = uses
        .into_iter()
        .map(|(name, uses)| Row {
            facts: SecretRef::named(&name).and_then(|reference| secrets.facts(&reference)),
            name,
            uses,
        })
        .collect();
    let missing = rows
        .iter()
        .filter(|row| row.facts.is_err() && !row.uses.is_empty())
        .count();
    if args.json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        super::print_json(
            &json!({ "schema": "wardline.secrets/1", "ok": missing == 0, "secrets": rows }),
        )?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(as_cells).collect();
        let head = ["secret", "from", "age", "used"];
        anstream::print!("{}", table::render(&head, &cells, &[]));
        for row in &rows {
            if let (Err(error), false) = (&row.facts, row.uses.is_empty()) {
                anstream::println!("{} {error} [{}]", paint::bad("✕"), error.code());
            }
        }
        let summary = format!(
            "{}, {missing} that cannot be used",
            table::counted(rows.len(), "secret", "secrets")
        );
        anstream::println!(
            "{}",
            if missing == 0 {
                paint::good(&summary)
            } else {
                paint::bad(&summary)
            }
        );
    }
    Ok(if missing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}

fn as_json(row: &Row) -> serde_json::Value {
    let modified = row.facts.as_ref().ok().and_then(|facts| facts.modified);
    let modified = modified.and_then(|at| jiff::Timestamp::try_from(at).ok());
    json!({
        "name": row.name,
        "from": row.facts.as_ref().ok().map(|facts| facts.origin),
        "modified": modified.map(|at| at.to_string()),
        "used": row.uses,
        "problem": row.facts.as_ref().err().map(|error| json!({ "code": error.code().0, "text": error.to_string() })),
    })
}

fn as_cells(row: &Row) -> Vec<String> {
    let (from, age) = match &row.facts {
        Ok(facts) => (facts.origin.to_string(), facts.modified.map(age)),
        Err(VaultError::SecretMissing { .. }) => (paint::bad("missing"), None),
        Err(_) => (paint::bad("unusable"), None),
    };
    let used = match row.uses.as_slice() {
        [] => paint::faint("nowhere"),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    vec![
        row.name.clone(),
        from,
        age.unwrap_or_else(|| "?".to_owned()),
        used,
    ]
}

fn age(modified: SystemTime) -> String {
    let age = modified.elapsed().unwrap_or_default().as_secs();
    match age {
        0..3_600 => format!("{} min", age / 60),
        3_600..172_800 => format!("{} h", age / 3_600),
        _ => format!("{} d", age / 86_400),
    }
}

fn set(name: &str, plain: bool, args: &Where) -> anyhow::Result<ExitCode> {
    let (estate, place) = open(args)?;
    let secrets = place.secrets();
    let name = name.strip_prefix("secret:").unwrap_or(name);
    let reference = SecretRef::named(name)?;
    let mut recipients: Vec<AgeRecipient> = Vec::new();
    if !plain {
        for written in &estate.secrets.recipients {
            recipients.push(written.value.parse()?);
        }
        recipients.extend(secrets.own_recipients()?);
        recipients.sort();
        recipients.dedup();
    }
    let value = value()?;
    if value.expose().is_empty() {
        bail!("nothing was read: give the value on standard input");
    }
    let path = secrets.store(&reference, &value, &recipients)?;
    match recipients.len() {
        0 => println!("wrote {} in the plain, for its owner only", path.display()),
        _ => println!(
            "wrote {}, encrypted to {}",
            path.display(),
            table::counted(recipients.len(), "recipient", "recipients")
        ),
    }
    match secrets.facts(&reference) {
        Ok(facts) if facts.origin == wardline_vault::Origin::Environment => {
            anstream::println!(
                "{}",
                paint::wait(&format!(
                    "{} is set and wins: this value is not used where it is",
                    reference.variable()
                ))
            );
        }
        Ok(_) => {}
        Err(error) => anstream::println!(
            "{}",
            paint::wait(&format!("this machine cannot read it back: {error}"))
        ),
    }
    if !estate
        .secrets
        .used
        .iter()
        .any(|used| used.name() == reference.name())
    {
        anstream::println!("{}", paint::faint("nothing in the estate refers to it yet"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The value from standard input; on a terminal, one line that is not shown.
fn value() -> anyhow::Result<Secret> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    if std::io::stdin().is_terminal() {
        let line = rpassword::prompt_password("value (not shown): ")
            .context("cannot read from the terminal")?;
        let line = Zeroizing::new(line);
        bytes.extend_from_slice(line.as_bytes());
    } else {
        std::io::stdin()
            .take(MOST + 1)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
        if bytes.len() as u64 > MOST {
            bail!("the value is larger than {MOST} bytes");
        }
        if bytes.ends_with(b"\n") {
            bytes.pop();
        }
    }
    Ok(Secret::new(bytes.to_vec()))
}

fn identity(out: &std::path::Path) -> anyhow::Result<ExitCode> {
    let identity = AgeIdentity::generate()?;
    // Never written over: an identity that is lost takes what was encrypted to it along.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .with_context(|| format!("cannot make {}", out.display()))?;
    file.write_all(identity.to_text().as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", out.display()))?;
    println!("{}", identity.recipient());
    anstream::eprintln!("made {}; back it up apart from the estate", out.display());
    Ok(ExitCode::SUCCESS)
}
