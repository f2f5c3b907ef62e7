//! A client's endpoint: PyPI's side of the wire in a process of its own, which outlives the server.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, each uses its part, and a helper fails like the test it serves"
)]

use crate::house::{PATIENCE, follow};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Lines, RecvTimeoutError};
use std::time::{Duration, Instant};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: Value,
    pub(crate) body: String,
    pub(crate) answered: u64,
    /// The local address that was connected to.
    pub(crate) at: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].as_str().unwrap()
    }
}

/// The endpoint.
pub(crate) struct Receiver {
    child: Child,
    lines: Lines<String>,
    control: PathBuf,
    pub(crate) port: u16,
}

impl Receiver {
    /// Starts one with this certificate and key, in a directory that is the test's own.
    pub(crate) fn start(python: &Path, directory: &Path, identity: &(String, String)) -> Self {
        Self::start_at(python, directory, identity, "127.0.0.1", 0)
    }

    pub(crate) fn start_at(
        python: &Path,
        directory: &Path,
        (cert, key): &(String, String),
        address: &str,
        port: u16,
    ) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let control = write("control", "204");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/webhook_receiver.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([
                write("cert.pem", cert),
                write("key.pem", key),
                control.clone(),
            ])
            .args([address, &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = follow(child.stdout.take().unwrap());
        let first = lines.recv_timeout(PATIENCE).unwrap();
        let port = first.strip_prefix("listening ").unwrap().parse().unwrap();
        Self {
            child,
            lines,
            control,
            port,
        }
    }

    /// What is answered from now on: each status once, the last for ever. 0 is no answer.
    pub(crate) fn answers(&self, statuses: &str) {
        let new = self.control.with_extension("new");
        std::fs::write(&new, statuses).unwrap();
        std::fs::rename(new, &self.control).unwrap();
    }

    /// The next request; fails where none comes.
    #[track_caller]
    pub(crate) fn next(&self) -> Request {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => request(&line),
            Err(error) => panic!("no request came: {error}"),
        }
    }

    /// What has arrived and was not looked at yet.
    pub(crate) fn rest(&self) -> Vec<Request> {
        self.lines.try_iter().map(|line| request(&line)).collect()
    }

    /// Requests until one satisfies; fails where that never comes.
    #[track_caller]
    pub(crate) fn until(
        &self,
        what: &str,
        mut enough: impl FnMut(&[Request]) -> bool,
    ) -> Vec<Request> {
        let (mut all, end) = (Vec::new(), Instant::now() + PATIENCE);
        while !enough(&all) {
            match self.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => all.push(request(&line)),
                Err(RecvTimeoutError::Timeout) => {
                    assert!(Instant::now() < end, "never: {what}; {all:#?}");
                }
                Err(RecvTimeoutError::Disconnected) => panic!("the receiver ended"),
            }
        }
        all
    }
}

fn request(line: &str) -> Request {
    let value: Value = serde_json::from_str(line).unwrap();
    Request {
        headers: value["headers"].clone(),
        body: value["body"].as_str().unwrap().to_owned(),
        answered: value["answered"].as_u64().unwrap(),
        at: value["at"].as_str().unwrap().to_owned(),
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.child.kill().is_ok()
            && let Err(error) = self.child.wait()
        {
            eprintln!("a process of this test may be left over: {error}");
        }
    }
}
