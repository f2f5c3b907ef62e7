//! Somebody else's Kafka cluster and client, driven line by line. Shared by the tests of the connector
//! and of the binary.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

fn peers() -> PathBuf {
    std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    )
}

/// Python with a package, where it is there.
pub(crate) fn python(package: &str) -> Option<PathBuf> {
    let python = peers().join("py/bin/python");
    let there = Command::new(&python)
        .args(["-c", &format!("import {package}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        eprintln!("{package} is not installed: this test says nothing");
    }
    there.then_some(python)
}

/// Somebody else's cluster and client.
pub(crate) struct Other {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    pub(crate) servers: Vec<String>,
}

impl Other {
    pub(crate) fn start(python: &Path, words: &[&str]) -> Self {
        // Seen from whichever crate's tests this is a part of.
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../wardline-connect/tests/brokers/kafka.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        let mut servers = String::new();
        from.read_line(&mut servers).unwrap();
        let servers = servers.trim().split(',').map(str::to_owned).collect();
        Self {
            child,
            to,
            from,
            servers,
        }
    }

    /// Has something done. Gives what it printed.
    pub(crate) fn told(&mut self, what: &str) -> Vec<String> {
        writeln!(self.to, "{what}").unwrap();
        let mut all = Vec::new();
        loop {
            let mut line = String::new();
            assert!(
                self.from.read_line(&mut line).unwrap() > 0,
                "{what}: it ended"
            );
            match line.trim() {
                "ok" => return all,
                failed if failed.starts_with("failed:") => panic!("{what}: {failed}"),
                other => all.push(other.to_owned()),
            }
        }
    }

    /// All records of a topic.
    pub(crate) fn records(&mut self, topic: &str, partitions: usize) -> Vec<Value> {
        let lines = self.told(&format!("read {topic} {partitions}"));
        let read = |line: &String| serde_json::from_str(line).unwrap();
        lines.iter().map(read).collect()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
