//! Chores of the workspace: `cargo xtask test`, `ci`, `crash`, `peers`.
//!
//! In Rust and not in shell, so that they read the same everywhere and can be tested. Each
//! chore prints the commands it runs, so that a failing one can be repeated by hand.

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
  crash [--minutes N]   kill the process at random under load for N minutes (default 10) and
                        prove that nothing acknowledged is lost or out of order
  peers                 only install what the tests need
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Chore {
    Test { filters: Vec<String> },
    Ci,
    Crash { minutes: u32 },
    Peers,
    Help,
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
        ("crash", []) => Ok(Chore::Crash { minutes: 10 }),
        ("crash", [flag, minutes]) if flag == "--minutes" => {
            let minutes = minutes
                .parse()
                .with_context(|| format!("--minutes takes a whole number, not `{minutes}`"))?;
            Ok(Chore::Crash { minutes })
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
        Chore::Crash { minutes } => suite::crash(&workspace, *minutes)?,
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
        assert_eq!(parsed("crash").unwrap(), Chore::Crash { minutes: 10 });
        assert_eq!(
            parsed("crash --minutes 90").unwrap(),
            Chore::Crash { minutes: 90 }
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (words, said) in [
            ("tests", "`tests `"),
            ("test --all", "`test --all`"),
            ("ci now", "`ci now`"),
            ("crash --minutes", "`crash --minutes`"),
            ("crash --minutes soon", "not `soon`"),
        ] {
            let error = format!("{:#}", parsed(words).unwrap_err());
            assert!(error.contains(said), "{words}: {error}");
        }
    }
}
