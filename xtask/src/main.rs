//! Chores of the workspace: `cargo xtask test`, `ci`, `crash`, `fuzz`, `peers`.
//!
//! In Rust and not in shell, so that they read the same everywhere and can be tested. Each
//! chore prints the commands it runs, so that a failing one can be repeated by hand.

mod fuzz;
mod peers;
mod run;
mod suite;

use anyhow::{Context as _, Result, bail};
use run::Workspace;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test [FILTER...]      install what the tests need (only what is missing) and run all tests;
                        with FILTERs only tests whose names contain one of them
  ci                    format, lints, licences where cargo-deny is installed, all tests, and
                        `wardline check` and `wardline test` of every example
  crash [messages|processes] [--minutes N]
                        kill the process at random under load for N minutes (default 10) and
                        prove that nothing acknowledged is lost or out of order, then the same
                        with instances of a process: each does everything once
  fuzz [TARGET...] [--seconds N]
                        run the fuzz targets (all, or those named) for N seconds each (default 60)
  peers                 only install what the tests need
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Chore {
    Test { filters: Vec<String> },
    Ci,
    Crash { of: Option<Crashed>, minutes: u32 },
    Fuzz { targets: Vec<String>, seconds: u32 },
    Peers,
    Help,
}

/// What is under way when it crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crashed {
    Messages,
    Processes,
}

impl Crashed {
    const ALL: [Self; 2] = [Self::Messages, Self::Processes];

    /// The test program.
    const fn target(self) -> &'static str {
        match self {
            Self::Messages => "crash",
            Self::Processes => "process_crash",
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Chore> {
    let mut arguments = arguments.into_iter();
    let Some(command) = arguments.next() else {
        return Ok(Chore::Help);
    };
    let rest: Vec<String> = arguments.collect();
    match (command.as_str(), rest.as_slice()) {
        ("test", filters) if filters.iter().all(|filter| !filter.starts_with('-')) => {
            Ok(Chore::Test { filters: rest })
        }
        ("ci", []) => Ok(Chore::Ci),
        ("crash", rest) => {
            let (of, rest) = match rest.first().map(String::as_str) {
                Some("messages") => (Some(Crashed::Messages), &rest[1..]),
                Some("processes") => (Some(Crashed::Processes), &rest[1..]),
                _ => (None, rest),
            };
            let minutes = match rest {
                [] => 10,
                [flag, minutes] if flag == "--minutes" => minutes
                    .parse()
                    .with_context(|| format!("--minutes takes a whole number, not `{minutes}`"))?,
                _ => bail!("unknown: `crash {}`\n\n{USAGE}", rest.join(" ")),
            };
            Ok(Chore::Crash { of, minutes })
        }
        ("fuzz", rest) => {
            let (targets, seconds) = match rest.iter().position(|word| word == "--seconds") {
                None => (rest, 60),
                Some(at) => match &rest[at + 1..] {
                    [seconds] => (
                        &rest[..at],
                        seconds.parse().with_context(|| {
                            format!("--seconds takes a whole number, not `{seconds}`")
                        })?,
                    ),
                    _ => bail!("unknown: `fuzz {}`\n\n{USAGE}", rest.join(" ")),
                },
            };
            if let Some(other) = targets.iter().find(|name| !fuzz::is_target(name)) {
                bail!("no target is called `{other}`; there are {}", fuzz::names());
            }
            Ok(Chore::Fuzz {
                targets: targets.to_vec(),
                seconds,
            })
        }
        ("peers", []) => Ok(Chore::Peers),
        ("help" | "-h" | "--help", _) => Ok(Chore::Help),
        _ => bail!("unknown: `{command} {}`\n\n{USAGE}", rest.join(" ")),
    }
}

fn perform(chore: &Chore) -> Result<()> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Help => print!("{USAGE}"),
        Chore::Peers => peers::install(&workspace)?,
        Chore::Test { filters } => suite::test(&workspace, filters)?,
        Chore::Ci => suite::ci(&workspace)?,
        Chore::Fuzz { targets, seconds } => fuzz::fuzz(&workspace, targets, *seconds)?,
        Chore::Crash { of, minutes } => {
            for crashed in Crashed::ALL {
                if of.is_none_or(|of| of == crashed) {
                    suite::crash(&workspace, crashed.target(), *minutes)?;
                }
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let chore = match parse(std::env::args().skip(1)) {
        Ok(chore) => chore,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(2);
        }
    };
    match perform(&chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Chore> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_chore_has_its_words() {
        assert_eq!(parsed("").unwrap(), Chore::Help);
        assert_eq!(parsed("test").unwrap(), Chore::Test { filters: vec![] });
        assert_eq!(
            parsed("test mllp vault").unwrap(),
            Chore::Test {
                filters: vec!["mllp".into(), "vault".into()]
            }
        );
        for (words, of, minutes) in [
            ("crash", None, 10),
            ("crash --minutes 90", None, 90),
            ("crash messages", Some(Crashed::Messages), 10),
            ("crash processes --minutes 3", Some(Crashed::Processes), 3),
        ] {
            assert_eq!(parsed(words).unwrap(), Chore::Crash { of, minutes });
        }
    }

    #[test]
    fn fuzzing_takes_targets_and_a_time() {
        for (words, targets, seconds) in [
            ("fuzz", vec![], 60),
            ("fuzz hl7 x12", vec!["hl7", "x12"], 60),
            ("fuzz soap --seconds 5", vec!["soap"], 5),
        ] {
            let targets = targets.into_iter().map(str::to_owned).collect();
            assert_eq!(parsed(words).unwrap(), Chore::Fuzz { targets, seconds });
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (words, said) in [
            ("tests", "`tests `"),
            ("test --all", "`test --all`"),
            ("ci now", "`ci now`"),
            ("crash --minutes", "`crash --minutes`"),
            ("crash flows", "`crash flows`"),
            ("fuzz hl8", "`hl8`"),
            ("fuzz --seconds", "`fuzz --seconds`"),
            ("fuzz --seconds soon", "not `soon`"),
            ("crash --minutes soon", "not `soon`"),
        ] {
            let error = format!("{:#}", parsed(words).unwrap_err());
            assert!(error.contains(said), "{words}: {error}");
        }
    }
}
