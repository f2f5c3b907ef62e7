//! `wardline fhir`: looking at FHIR files, and making them of HL7 v2.

use crate::cli::FhirCommand;
use crate::commands::hl7::read;
use crate::{exit, paint};
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use wardline_fhir::{Form, Issue, Options, Outcome, Severity};
use wardline_hl7::Batch;

/// The largest resource that is read, in bytes.
const LARGEST: usize = 64 << 20;

pub(crate) fn run(command: FhirCommand) -> anyhow::Result<ExitCode> {
    let well = match command {
        FhirCommand::Check { files, json } => {
            let mut well = true;
            for file in &files {
                well &= check(file, json)?;
            }
            well
        }
        FhirCommand::FromHl7 {
            file,
            message,
            zone,
            systems,
        } => from_hl7(&file, &options(message, zone.as_deref(), &systems)?)?,
    };
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}

fn options(message: bool, zone: Option<&str>, systems: &[String]) -> anyhow::Result<Options> {
    let zone = zone
        .map(|name| {
            jiff::tz::TimeZone::get(name).with_context(|| format!("`{name}` is no time zone"))
        })
        .transpose()?;
    let mut named = BTreeMap::new();
    for one in systems {
        let (name, uri) = one
            .split_once('=')
            .with_context(|| format!("`{one}` is not NAME=URI"))?;
        named.insert(name.to_owned(), uri.to_owned());
    }
    Ok(Options {
        form: if message {
            Form::Message
        } else {
            Form::Transaction
        },
        zone,
        systems: named,
    })
}

/// A file that could not be read as FHIR at all.
fn unreadable(text: String) -> Outcome {
    let issue = Issue {
        severity: Severity::Error,
        code: "structure",
        text,
        path: String::new(),
    };
    Outcome {
        resource: None,
        issues: vec![issue],
        more: 0,
    }
}

fn of_bytes(bytes: &[u8]) -> Outcome {
    if bytes.trim_ascii_start().starts_with(b"<") {
        return unreadable("it is XML; FHIR is read as JSON only".to_owned());
    }
    match wardline_fhir::read(bytes, LARGEST) {
        Ok(resource) => wardline_fhir::check(&resource),
        Err(error) => unreadable(error.to_string()),
    }
}

/// What all resources of a file come to, and how many there are.
fn of_file(file: &Path) -> (Outcome, usize) {
    let cannot =
        |error: std::io::Error| unreadable(format!("cannot read {}: {error}", file.display()));
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) => return (cannot(error), 0),
    };
    let lines = file
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("ndjson"));
    let mut reader = BufReader::new(open);
    let mut bytes = Vec::new();
    if !lines {
        return match reader.take(LARGEST as u64 + 1).read_to_end(&mut bytes) {
            Ok(_) => (of_bytes(&bytes), 1),
            Err(error) => (cannot(error), 0),
        };
    }
    let mut all = Outcome::default();
    let (mut line, mut resources) = (0, 0);
    loop {
        bytes.clear();
        line += 1;
        match reader
            .by_ref()
            .take(LARGEST as u64 + 1)
            .read_until(b'\n', &mut bytes)
        {
            Ok(0) => return (all, resources),
            Ok(_) if bytes.trim_ascii().is_empty() => continue,
            Ok(_) => {}
            Err(error) => return (cannot(error), resources),
        }
        resources += 1;
        let one = of_bytes(&bytes);
        all.more += one.more;
        all.resource = all.resource.or(one.resource);
        for mut issue in one.issues {
            issue.text = format!("line {line}: {}", issue.text);
            if all.issues.len() < wardline_fhir::MOST_ISSUES {
                all.issues.push(issue);
            } else {
                all.more += 1;
            }
        }
    }
}

fn check(file: &Path, as_json: bool) -> anyhow::Result<bool> {
    let (outcome, resources) = of_file(file);
    if as_json {
        let line = json!({ "file": file, "ok": outcome.ok(), "resources": resources, "type": outcome.resource, "outcome": outcome.to_json() });
        writeln!(std::io::stdout().lock(), "{line}")?;
        return Ok(outcome.ok());
    }
    let sign = if outcome.ok() {
        paint::good("✓")
    } else {
        paint::bad("✕")
    };
    let count = match resources {
        0 => "no resource in this file".to_owned(),
        1 => "1 resource".to_owned(),
        many => format!("{many} resources"),
    };
    anstream::println!(
        "{sign} {}  {count}  {}",
        file.display(),
        outcome.resource.as_deref().unwrap_or_default()
    );
    for issue in &outcome.issues {
        anstream::println!(
            "    {} {} {}",
            paint::faint(&issue.path),
            issue.text,
            paint::faint(issue.code)
        );
    }
    if outcome.more > 0 {
        anstream::println!("    and {} more", outcome.more);
    }
    Ok(outcome.ok())
}

fn from_hl7(file: &Path, options: &Options) -> anyhow::Result<bool> {
    let refused = |reason: &dyn std::fmt::Display| {
        anstream::eprintln!("{} {}: {reason}", paint::bad("refused"), file.display());
    };
    let batch = match Batch::parse(read(file)?) {
        Ok(batch) => batch,
        Err(error) => {
            refused(&error);
            return Ok(false);
        }
    };
    let mut well = true;
    let mut out = std::io::stdout().lock();
    for (n, entry) in batch.messages().enumerate() {
        let made = match entry.parse() {
            Ok(message) => {
                wardline_fhir::from_hl7(&message, options).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match made {
            Ok(bundle) => writeln!(out, "{}", bundle.to_json())?,
            Err(reason) => {
                refused(&format!("message {}: {reason}", n + 1));
                well = false;
            }
        }
    }
    Ok(well)
}
