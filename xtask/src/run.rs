//! Running other programs, aloud.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the workspace is and where cargo builds to.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the workspace by the place of this program's source.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .filter(|root| root.join("Cargo.lock").is_file())
            .context("run xtask inside its workspace, as `cargo xtask`")?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => root.join(target),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// What others wrote and the tests talk to: `py` (a virtual environment) and `node`.
    pub(crate) fn peers(&self) -> PathBuf {
        self.root.join("target").join("peers")
    }

    /// Where cargo builds to.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The binary that the tests built.
    pub(crate) fn binary(&self) -> PathBuf {
        self.target.join("debug").join("wardline")
    }

    /// A call of the cargo that runs us, at the root.
    pub(crate) fn cargo(&self, words: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(words).current_dir(&self.root);
        command
    }

    /// The directories of `examples` that are estates, by name.
    pub(crate) fn examples(&self) -> Result<Vec<PathBuf>> {
        let dir = self.root.join("examples");
        let mut estates = Vec::new();
        for entry in
            std::fs::read_dir(&dir).with_context(|| format!("listing {}", dir.display()))?
        {
            let path = entry
                .with_context(|| format!("listing {}", dir.display()))?
                .path();
            if path.join("wardline.yaml").is_file() {
                estates.push(path);
            }
        }
        estates.sort();
        Ok(estates)
    }
}

/// A program's call as a person would type it.
fn shown(command: &Command) -> String {
    let word = |word: &OsStr| {
        let text = word.to_string_lossy();
        if text.contains(' ') {
            format!("'{text}'")
        } else {
            text.into_owned()
        }
    };
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut words = vec![word(program)];
    words.extend(command.get_args().map(word));
    words.join(" ")
}

/// Says what is run, runs it, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = shown(command);
    eprintln!("$ {text}");
    let status = command
        .status()
        .with_context(|| format!("starting `{text}`"))?;
    if status.success() {
        Ok(())
    } else {
        bail!("`{text}` failed ({status})")
    }
}

/// Runs a program whose standard output (or, with `errors`, standard error) is shown line
/// by line and read by `line` as well. Gives whether it succeeded.
pub(crate) fn run_reading(
    command: &mut Command,
    errors: bool,
    mut line: impl FnMut(&str),
) -> Result<bool> {
    let text = shown(command);
    eprintln!("$ {text}");
    if errors {
        command.stderr(Stdio::piped());
    } else {
        command.stdout(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("starting `{text}`"))?;
    let stream: Box<dyn std::io::Read> = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), _) => Box::new(stdout),
        (None, Some(stderr)) => Box::new(stderr),
        (None, None) => bail!("`{text}` has no output to read"),
    };
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while reader
        .read_until(b'\n', &mut bytes)
        .with_context(|| format!("reading from `{text}`"))?
        > 0
    {
        // A test may print anything, UTF-8 or not.
        let read = String::from_utf8_lossy(&bytes);
        if errors {
            eprint!("{read}");
        } else {
            print!("{read}");
        }
        line(read.trim_end());
        bytes.clear();
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{text}`"))?;
    Ok(status.success())
}

/// Whether a program can be run at all, quietly.
pub(crate) fn works(program: impl AsRef<OsStr>, words: &[&str]) -> bool {
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "a b"]);
        assert_eq!(shown(&command), "cargo test 'a b'");
    }

    #[test]
    fn output_is_read_line_by_line_and_failure_is_told() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'one\\ntwo'; exit 3"]);
        let succeeded =
            run_reading(&mut command, false, |line| lines.push(line.to_owned())).unwrap();
        assert!(!succeeded);
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn what_does_not_exist_does_not_work() {
        assert!(works("sh", &["-c", "exit 0"]));
        assert!(!works("sh", &["-c", "exit 1"]));
        assert!(!works("no-such-program-anywhere", &[]));
    }
}
