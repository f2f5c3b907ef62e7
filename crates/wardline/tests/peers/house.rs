//! A house for one test: an estate in a temporary directory, the real binary that serves it,
//! and the same binary as the command line beside it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, each uses its part, and a helper fails like the test it serves"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before its test gives up; a slow machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An estate, its data and its logs.
pub(crate) struct House {
    folder: TempDir,
}

/// Where Wardline listens.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) console: String,
    pub(crate) internal: String,
    pub(crate) partner: String,
    pub(crate) mllp: String,
    pub(crate) orders: String,
    pub(crate) results: String,
    pub(crate) documents: String,
    pub(crate) modalities: String,
}

impl Listeners {
    pub(crate) fn free() -> Self {
        Self {
            console: free_address(),
            internal: free_address(),
            partner: free_address(),
            mllp: free_address(),
            orders: free_address(),
            results: free_address(),
            documents: free_address(),
            modalities: free_address(),
        }
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Fails unless standard output holds every one of these.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.out.contains(word),
                "`{word}` is missing in:\n{}\nerr:\n{}",
                self.out,
                self.err
            );
        }
        self
    }

    /// Fails unless one of the two outputs holds this.
    #[track_caller]
    pub(crate) fn explains_or_says(self, word: &str) -> Self {
        assert!(
            self.err.contains(word) || self.out.contains(word),
            "`{word}` is missing in:\n{}\n{}",
            self.err,
            self.out
        );
        self
    }

    /// Fails unless standard error holds every one of these.
    #[track_caller]
    pub(crate) fn explains(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.err.contains(word),
                "`{word}` is missing in:\n{}\nout:\n{}",
                self.err,
                self.out
            );
        }
        self
    }
}

impl House {
    /// A house with these files in its estate.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let house = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(house.estate()).unwrap();
        for (path, text) in files {
            house.write(path, text.as_bytes());
        }
        house
    }

    /// A house with the example estate, its addresses replaced. Fails where one of them is
    /// nowhere in the example.
    pub(crate) fn example(addresses: &[(String, String)]) -> Self {
        let house = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/estates/ward");
        let mut seen = vec![false; addresses.len()];
        copy(&example, &house.estate(), addresses, &mut seen);
        for ((address, _), seen) in addresses.iter().zip(seen) {
            assert!(seen, "{address} is nowhere in the example estate");
        }
        house
    }

    /// A house with the estate of all systems: they listen from `first` on, and Wardline at these addresses.
    pub(crate) fn st_brigid(first: u16, own: &Listeners) -> Self {
        let house = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid");
        let mut addresses: Vec<(String, String)> = (0..=59)
            .map(|place| (18_080 + place, first + place))
            .map(|(theirs, ours)| (format!("127.0.0.1:{theirs}"), format!("127.0.0.1:{ours}")))
            .collect();
        for (theirs, ours) in [
            (8420, &own.console),
            (8421, &own.internal),
            (8422, &own.partner),
            (2575, &own.mllp),
            (2576, &own.orders),
            (2577, &own.results),
            (2578, &own.documents),
            (11_104, &own.modalities),
        ] {
            addresses.push((format!("127.0.0.1:{theirs}"), ours.clone()));
        }
        let mut seen = vec![false; addresses.len()];
        copy(&example, &house.estate(), &addresses, &mut seen);
        house
    }

    pub(crate) fn estate(&self) -> PathBuf {
        self.folder.path().join("estate")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A path beside the estate, for what a test writes for itself.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the estate.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.estate().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary, told by its environment where this house is.
    pub(crate) fn command(&self) -> Command {
        let mut command = wardline();
        command
            .env("WARDLINE_ESTATE", self.estate())
            .env("WARDLINE_DATA", self.data());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        let mut command = self.command();
        command.args(words);
        Outcome::of(command)
    }

    /// Starts the server and waits until it is ready. All of its log is kept.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&["-vv", "serve"])
    }

    /// As [`House::serve`], with words of its own.
    pub(crate) fn serve_with(&self, words: &[&str]) -> Server {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let mut command = self.command();
        command.args(words).stderr(log);
        self.start(command)
    }

    /// As [`House::serve`], by another person.
    pub(crate) fn serve_as(&self, user: &str) -> Server {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let mut command = self.command();
        command.arg("serve").env("USER", user).stderr(log);
        self.start(command)
    }

    fn start(&self, command: Command) -> Server {
        let mut running = Running::start(command);
        let mut places = BTreeMap::new();
        loop {
            let Some(line) = running.line() else {
                panic!("it did not start; its log:\n{}", self.log());
            };
            if line.starts_with("wardline ready") {
                return Server { running, places };
            }
            if let Some((name, place)) = line.split_once(char::is_whitespace) {
                places.insert(name.to_owned(), place.trim().to_owned());
            }
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    /// Waits until `status --json` says something.
    #[track_caller]
    pub(crate) fn until_status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let outcome = self.run(&["status", "--json"]);
            let status = outcome.json();
            if holds(&status) {
                return status;
            }
            assert!(
                Instant::now() < end,
                "never: {what}; {status:#}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The binary without an estate, the same on every machine.
pub(crate) fn wardline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
    for name in [
        "WARDLINE_ESTATE",
        "WARDLINE_DATA",
        "WARDLINE_STORE",
        "WARDLINE_LOG",
        "SUDO_USER",
    ] {
        command.env_remove(name);
    }
    command
        .env("NO_COLOR", "1")
        .env("USER", "tester")
        .stdin(Stdio::null());
    command
}

/// Runs the binary without an estate.
pub(crate) fn run(words: &[&str]) -> Outcome {
    let mut command = wardline();
    command.args(words);
    Outcome::of(command)
}

/// A process whose standard output is read line by line; it is killed where a test fails.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = follow(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line; `None` at the end. Fails where neither comes.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it says nothing more, and does not end"),
        }
    }

    pub(crate) fn terminate(&self) {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success());
    }

    /// Reads to the end; what was said, and the exit code.
    pub(crate) fn end(mut self) -> (Vec<String>, i32) {
        let mut said = Vec::new();
        while let Some(line) = self.line() {
            said.push(line);
        }
        let status = self.child.wait().unwrap();
        (said, status.code().unwrap_or(-1))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill, and that is well.
        if self.child.kill().is_ok()
            && let Err(error) = self.child.wait()
        {
            eprintln!("a process of this test may be left over: {error}");
        }
    }
}

/// Reads lines in the background, so that a process never waits for its reader.
pub(crate) fn follow(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { return };
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A server that is ready.
pub(crate) struct Server {
    running: Running,
    places: BTreeMap<String, String>,
}

impl Server {
    /// Where a connection listens: `127.0.0.1:40123`.
    #[track_caller]
    pub(crate) fn address(&self, connection: &str) -> String {
        let place = self
            .places
            .get(connection)
            .unwrap_or_else(|| panic!("{connection} is not in {:?}", self.places));
        // `mllp 127.0.0.1:40123 (tls)`
        place
            .split(' ')
            .find(|word| word.contains(':'))
            .unwrap()
            .to_owned()
    }

    pub(crate) fn port(&self, connection: &str) -> String {
        self.address(connection)
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned()
    }

    /// SIGTERM; it has to end by itself and well.
    pub(crate) fn stop(self) {
        self.running.terminate();
        let (said, code) = self.running.end();
        assert_eq!(
            (said.last().map(String::as_str), code),
            (Some("wardline stopped"), 0)
        );
    }
}

/// An address that nobody listens on now.
pub(crate) fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Above those that the examples name, which are replaced by address.
        let port = 20_000 + (std::process::id().wrapping_mul(97).wrapping_add(step)) % 10_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}

/// Copies what an estate is made of, with other addresses.
fn copy(from: &Path, to: &Path, addresses: &[(String, String)], seen: &mut [bool]) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        // What a run in the source tree may have left there.
        if ["data", "keys", "secrets"].iter().any(|own| name == *own) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name), addresses, seen);
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        // Fixtures in other character sets name no address.
        let Ok(mut text) = String::from_utf8(bytes) else {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
            continue;
        };
        for ((address, own), seen) in addresses.iter().zip(seen.iter_mut()) {
            if text.contains(address.as_str()) {
                text = text.replace(address.as_str(), own);
                *seen = true;
            }
        }
        std::fs::write(to.join(name), text).unwrap();
    }
}

/// Where the peers' npm modules are, where this one is among them; `None` where it is absent and
/// that is allowed.
pub(crate) fn node_modules(module: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let modules = root.join("node/node_modules");
    if modules.join(module).exists() {
        return Some(modules);
    }
    let text = format!("{module} missing: `cargo xtask peers` installs what the tests need");
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}

/// The peers' Python where it has these modules; `None` where they are absent and that is allowed.
pub(crate) fn python(modules: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let proof = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    if proof.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let text = format!("{modules} missing: `cargo xtask peers` installs what the tests need");
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}
