//! `wardline check` and `wardline test`.

use crate::cli::{Check, Test};
use crate::place::{Place, read, read_well};
use crate::{exit, paint, table};
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) fn check(args: &Check) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let place = Place::new(&args.estate, None);
    let secrets = (!args.offline).then(|| place.secrets());
    let read = read(&args.estate, secrets.as_ref());
    let failed = read.diagnostics.has_errors()
        || read.plan.is_none()
        || (args.deny_warnings && read.diagnostics.count(wardline_estate::Severity::Warning) > 0);
    if args.json {
        let diagnostics = read.diagnostics.to_json(&read.sources);
        super::print_json(
            &json!({ "schema": "wardline.check/1", "ok": !failed, "diagnostics": diagnostics }),
        )?;
    } else {
        anstream::print!("{}", read.diagnostics.render(&read.sources, paint::on()));
        let files = read.sources.files().count();
        let counts = read
            .plan
            .as_ref()
            .map(|plan| {
                let estate = &plan.estate;
                format!(
                    ", {}, {}, {}",
                    table::counted(estate.systems.len(), "system", "systems"),
                    table::counted(estate.flows.len(), "flow", "flows"),
                    table::counted(estate.entities.len(), "entity", "entities")
                )
            })
            .unwrap_or_default();
        anstream::println!(
            "checked {}{counts} in {:.1} s: {}",
            table::counted(files, "file", "files"),
            began.elapsed().as_secs_f64(),
            if failed {
                paint::bad(&read.diagnostics.summary())
            } else {
                paint::good(&read.diagnostics.summary())
            }
        );
    }
    Ok(if failed {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

pub(crate) fn test(args: &Test) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let plan = read_well(&args.estate, None)?;
    let trials = match wardline_engine::trial::run(&plan, args.filter.as_deref()) {
        Ok(trials) => trials,
        Err(none) => {
            anstream::eprintln!("{} {none}", paint::bad("error:"));
            return Ok(ExitCode::from(exit::USAGE));
        }
    };
    let failed = trials
        .iter()
        .filter(|trial| !trial.failures.is_empty())
        .count();
    if args.json {
        let rows: Vec<_> = trials
            .iter()
            .map(|trial| {
                json!({
                    "test": trial.name,
                    "at": plan.estate.sources.place(trial.at),
                    "ok": trial.failures.is_empty(),
                    "failures": trial.failures.iter().map(|failure| json!({
                        "at": plan.estate.sources.place(failure.at),
                        "message": failure.message,
                        "expected": failure.expected,
                        "actual": failure.actual,
                    })).collect::<Vec<_>>(),
                })
            })
            .collect();
        super::print_json(
            &json!({ "schema": "wardline.test/1", "ok": failed == 0, "tests": rows }),
        )?;
    } else {
        for trial in &trials {
            if trial.failures.is_empty() {
                anstream::println!("{} {}", paint::good("✓"), trial.name);
                continue;
            }
            anstream::println!(
                "{} {}  {}",
                paint::bad("✕"),
                paint::strong(&trial.name),
                paint::faint(&plan.estate.sources.place(trial.at))
            );
            for failure in &trial.failures {
                anstream::println!(
                    "    {}  {}",
                    failure.message,
                    paint::faint(&plan.estate.sources.place(failure.at))
                );
                difference(failure.expected.as_deref(), failure.actual.as_deref());
            }
        }
        let summary = format!("{} passed, {failed} failed", trials.len() - failed);
        anstream::println!(
            "{} in {:.2} s",
            if failed > 0 {
                paint::bad(&summary)
            } else {
                paint::good(&summary)
            },
            began.elapsed().as_secs_f64()
        );
        if trials.is_empty() {
            anstream::println!("this estate has no tests: write some in tests/*.yaml");
        }
    }
    Ok(if failed > 0 {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

fn difference(expected: Option<&str>, actual: Option<&str>) {
    for (sign, text) in [("-", expected), ("+", actual)] {
        for line in text.into_iter().flat_map(str::lines) {
            let line = format!("{sign} {line}");
            anstream::println!(
                "      {}",
                if sign == "-" {
                    paint::bad(&line)
                } else {
                    paint::good(&line)
                }
            );
        }
    }
}
