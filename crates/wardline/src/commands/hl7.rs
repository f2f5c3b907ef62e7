//! `wardline hl7`: looking at HL7 v2 files.

use crate::cli::Hl7Command;
use crate::{exit, paint};
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use wardline_hl7::show::Line;
use wardline_hl7::{Batch, RoundtripError};

pub(crate) fn run(command: Hl7Command) -> anyhow::Result<ExitCode> {
    match command {
        Hl7Command::Show { file } => show(&file),
        Hl7Command::Check { files, json } => {
            let mut bad = false;
            for file in &files {
                bad |= !check(file, json)?;
            }
            Ok(if bad {
                ExitCode::from(exit::FINDINGS)
            } else {
                ExitCode::SUCCESS
            })
        }
        Hl7Command::Roundtrip { files } => {
            let mut bad = false;
            for file in &files {
                bad |= !roundtrip(file)?;
            }
            Ok(if bad {
                ExitCode::from(exit::FINDINGS)
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}

pub(crate) fn read(file: &Path) -> anyhow::Result<Bytes> {
    std::fs::read(file)
        .map(Bytes::from)
        .with_context(|| format!("cannot read {}", file.display()))
}

fn show(file: &Path) -> anyhow::Result<ExitCode> {
    let batch = match Batch::parse(read(file)?) {
        Ok(batch) => batch,
        Err(error) => {
            anstream::eprintln!("{} {}: {error}", paint::bad("refused"), file.display());
            return Ok(ExitCode::from(exit::FINDINGS));
        }
    };
    let mut bad = false;
    for (n, entry) in batch.messages().enumerate() {
        if n > 0 {
            println!();
        }
        match entry.parse() {
            Ok(message) => {
                for line in wardline_hl7::show::lines(&message) {
                    print_line(&line);
                }
            }
            Err(error) => {
                bad = true;
                anstream::println!(
                    "{} message {} at byte {}: {error}",
                    paint::bad("refused"),
                    n + 1,
                    entry.offset
                );
            }
        }
    }
    Ok(if bad {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

fn print_line(line: &Line) {
    match line {
        Line::Segment {
            id,
            name,
            occurrence,
        } => {
            let nth = if *occurrence > 1 {
                format!("[{occurrence}]")
            } else {
                String::new()
            };
            anstream::println!(
                "{}{nth}  {}",
                paint::strong(id),
                paint::faint(name.unwrap_or_default())
            );
        }
        Line::Value {
            path,
            name,
            text,
            depth,
            ..
        } => {
            let indent = "  ".repeat(depth + 1);
            let label = name
                .map(|name| format!("  {}", paint::faint(name)))
                .unwrap_or_default();
            let left = format!("{indent}{path}");
            anstream::println!("{left:<16} {}{label}", paint::good(text));
        }
    }
}

fn check(file: &Path, as_json: bool) -> anyhow::Result<bool> {
    let report = match read(file) {
        Ok(bytes) => wardline_hl7::inspect(bytes),
        Err(error) => {
            if as_json {
                let line = json!({ "file": file, "ok": false, "messages": 0, "type": null, "version": null, "charset": null,
                    "problems": [{ "code": "file.unreadable", "text": format!("{error:#}"), "offset": 0, "segment": null }] });
                writeln!(std::io::stdout().lock(), "{line}")?;
            } else {
                anstream::println!("{} {}: {error:#}", paint::bad("✕"), file.display());
            }
            return Ok(false);
        }
    };
    if as_json {
        let problems: Vec<_> = report
            .problems
            .iter()
            .map(|problem| json!({ "code": problem.code, "text": problem.text, "offset": problem.offset, "segment": problem.segment }))
            .collect();
        let line = json!({
            "file": file, "ok": report.ok, "messages": report.messages, "type": report.message_type,
            "version": report.version, "charset": report.charset, "problems": problems,
        });
        writeln!(std::io::stdout().lock(), "{line}")?;
    } else {
        let sign = if report.ok {
            paint::good("✓")
        } else {
            paint::bad("✕")
        };
        anstream::println!(
            "{sign} {}  {}  {}",
            file.display(),
            match report.messages {
                0 => "no HL7 message in this file".to_owned(),
                1 => "1 message".to_owned(),
                many => format!("{many} messages"),
            },
            [
                report.message_type.as_deref(),
                report.version.as_deref(),
                report.charset.as_deref()
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("  ")
        );
        for problem in &report.problems {
            anstream::println!(
                "    {} {} {}",
                paint::faint(&format!("byte {}", problem.offset)),
                problem.text,
                paint::faint(problem.code)
            );
        }
    }
    Ok(report.ok)
}

fn roundtrip(file: &Path) -> anyhow::Result<bool> {
    match wardline_hl7::roundtrip(read(file)?) {
        Ok(()) => {
            anstream::println!("{} {}  byte for byte", paint::good("✓"), file.display());
            Ok(true)
        }
        Err(RoundtripError::Refused(error)) => {
            anstream::println!("{} {}  refused: {error}", paint::bad("✕"), file.display());
            Ok(false)
        }
        Err(error) => {
            anstream::println!("{} {}  {error}", paint::bad("✕"), file.display());
            Ok(false)
        }
    }
}
