//! The tests and all that is checked beside them.
//!
//! Everything is built once, with one profile. Where all is checked, clippy is the compiler of our own
//! crates: what it builds is what the tests run, so that a lint costs no second look at every crate.

use crate::run::{Workspace, run, run_reading, works};
use crate::{met, peers};
use anyhow::{Context as _, Result, bail};
use std::process::Command;
use std::time::Instant;

/// How many tests did what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    /// Reads a line of `cargo test`:
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; …`
    fn read_cargo(&mut self, line: &str) {
        let Some(counts) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.read_counts(counts.1.split(';'));
    }

    /// Reads a line of `cargo nextest run`:
    /// `     Summary [   3.2s] 120 tests run: 118 passed (2 slow), 1 failed, 1 timed out, 4 skipped`
    fn read_nextest(&mut self, line: &str) {
        let Some((_, counts)) = line
            .trim_start()
            .strip_prefix("Summary [")
            .and_then(|rest| rest.split_once(" run: "))
        else {
            return;
        };
        self.read_counts(counts.split(','));
    }

    fn read_counts<'a>(&mut self, counts: impl Iterator<Item = &'a str>) {
        for count in counts {
            let Some((number, what)) = count.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            // `118 passed (2 slow)` says more than is counted here.
            match what.split(" (").next().unwrap_or(what) {
                "passed" => self.passed += number,
                "failed" | "timed out" | "exec failed" => self.failed += number,
                "ignored" | "skipped" => self.skipped += number,
                _ => {}
            }
        }
    }
}

/// The compiler of our own crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compiler {
    Plain,
    /// Clippy, which compiles as the other does and says more; warnings are errors.
    Linting,
}

impl Compiler {
    /// Makes a call of cargo use it.
    fn set(self, command: &mut Command) {
        if self == Self::Linting {
            command.env("RUSTC_WORKSPACE_WRAPPER", LINTER);
            // As `cargo clippy` hands `-D warnings` on.
            command.env("CLIPPY_ARGS", format!("-D{AND}warnings{AND}"));
            // What is built once is not built again.
            command.env("CARGO_INCREMENTAL", "0");
        }
    }
}

/// The program that `cargo clippy` calls.
const LINTER: &str = "clippy-driver";
/// What stands between its arguments.
const AND: &str = "__CLIPPY_HACKERY__";

/// Installs the peers and runs all tests, or those whose names contain a filter.
pub(crate) fn test(workspace: &Workspace, filters: &[String]) -> Result<()> {
    tests(workspace, filters, Compiler::Plain)
}

fn tests(workspace: &Workspace, filters: &[String], compiler: Compiler) -> Result<()> {
    peers::install(workspace)?;
    let start = Instant::now();
    let peers = workspace.peers();
    let prepared = |words: &[&str]| {
        let mut command = workspace.cargo(words);
        command.env("WARDLINE_PEERS", &peers);
        compiler.set(&mut command);
        command
    };
    let mut counts = Counts::default();
    let mut fine = true;
    if works("cargo", &["nextest", "--version"]) {
        let mut tests = prepared(&[
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--no-tests=pass",
        ]);
        tests.args([
            "--config-file",
            "xtask/nextest.toml",
            "--status-level=slow",
            "--final-status-level=fail",
        ]);
        fine &= run_reading(tests.args(filters), true, |line| counts.read_nextest(line))?;
        // Of a run of a part nothing follows for what else is said to be tried.
        if fine && filters.is_empty() {
            let report = workspace.target().join("nextest/default/junit.xml");
            let report = std::fs::read_to_string(&report)
                .with_context(|| format!("reading {}", report.display()))?;
            met::hold(workspace, &report)?;
        }
        // nextest does not run the examples in the documentation.
        let mut doctests = prepared(&["test", "--workspace", "--doc", "--no-fail-fast"]);
        if !filters.is_empty() {
            doctests.arg("--").args(filters);
        }
        fine &= run_reading(&mut doctests, false, |line| counts.read_cargo(line))?;
    } else {
        let mut tests = prepared(&["test", "--workspace", "--no-fail-fast"]);
        if !filters.is_empty() {
            tests.arg("--").args(filters);
        }
        fine &= run_reading(&mut tests, false, |line| counts.read_cargo(line))?;
    }
    let Counts {
        passed,
        failed,
        skipped,
    } = counts;
    println!(
        "tests: {passed} passed, {failed} failed, {skipped} skipped in {} s",
        start.elapsed().as_secs()
    );
    if !fine || failed > 0 {
        bail!("tests failed: see above");
    }
    // A suite that ran nothing has shown nothing.
    if passed == 0 {
        bail!(
            "no test ran{}",
            if filters.is_empty() {
                ""
            } else {
                ": no name contains the filter"
            }
        );
    }
    Ok(())
}

/// All that must hold before a change is merged.
pub(crate) fn ci(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
    if !works(LINTER, &["--version"]) {
        bail!("clippy is not installed: `rustup component add clippy`");
    }
    if works("cargo", &["deny", "--version"]) {
        // Advisories need the network's newest and would fail a change that is not at fault.
        run(&mut workspace.cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        eprintln!("cargo-deny is not installed: licences and bans are not checked");
    }
    tests(workspace, &[], Compiler::Linting)?;
    examples(workspace)
}

/// Has the built binary check and test each example.
fn examples(workspace: &Workspace) -> Result<()> {
    let binary = workspace.binary();
    if !binary.is_file() {
        run(&mut workspace.cargo(&["build", "--package", "wardline"]))?;
    }
    let estates = workspace.examples()?;
    if estates.is_empty() {
        bail!("examples/ has no estate");
    }
    for estate in &estates {
        // Whose secrets they would be is not this machine's business.
        for words in [&["check", "--offline"][..], &["test"]] {
            let name = estate.strip_prefix(&workspace.root).unwrap_or(estate);
            run(Command::new(&binary)
                .args(words)
                .arg(name)
                .current_dir(&workspace.root))?;
        }
    }
    println!("examples: {} checked and tested", estates.len());
    Ok(())
}

/// Runs a long crash test: the ignored test `long` of a target.
pub(crate) fn crash(workspace: &Workspace, target: &str, minutes: u32) -> Result<()> {
    let mut command = workspace.cargo(&[
        "test",
        "--release",
        "--package",
        "wardline",
        "--test",
        target,
    ]);
    command.args(["--", "--ignored", "--exact", "long", "--nocapture"]);
    command.env("WARDLINE_CRASH_MINUTES", minutes.to_string());
    let mut counts = Counts::default();
    let fine = run_reading(&mut command, false, |line| counts.read_cargo(line))?;
    if !fine || counts.failed > 0 {
        bail!("the crash test `{target}` failed: see above");
    }
    if counts.passed == 0 {
        bail!("the crash test did not run: `long` is missing from the target `{target}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_errors_where_all_is_checked() {
        let mut command = Command::new("cargo");
        Compiler::Plain.set(&mut command);
        assert_eq!(command.get_envs().count(), 0);
        Compiler::Linting.set(&mut command);
        let told = command.get_envs().find(|(name, _)| *name == "CLIPPY_ARGS");
        let told = told.and_then(|(_, value)| value?.to_str()).unwrap();
        let told: Vec<_> = told.split(AND).filter(|word| !word.is_empty()).collect();
        assert_eq!(told, ["-D", "warnings"]);
    }

    #[test]
    fn counts_of_cargo_test_add_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "test that prints 7 passed; 9 failed",
        ] {
            counts.read_cargo(line);
        }
        assert_eq!(
            counts,
            Counts {
                passed: 14,
                failed: 5,
                skipped: 1
            }
        );
    }

    #[test]
    fn counts_of_nextest_add_up() {
        let mut counts = Counts::default();
        for line in [
            "    Starting 120 tests across 14 binaries (4 tests skipped)",
            "     Summary [   3.241s] 120 tests run: 117 passed (2 slow, 1 flaky), 2 failed, 1 timed out, 4 skipped",
        ] {
            counts.read_nextest(line);
        }
        assert_eq!(
            counts,
            Counts {
                passed: 117,
                failed: 3,
                skipped: 4
            }
        );
        let mut one = Counts::default();
        one.read_nextest("     Summary [   0.012s] 1 test run: 1 passed, 0 skipped");
        assert_eq!(
            one,
            Counts {
                passed: 1,
                failed: 0,
                skipped: 0
            }
        );
    }
}
