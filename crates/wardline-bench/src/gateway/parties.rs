//! The programs that are measured: Wardline on an estate of the bench, and nginx.

use super::web::Target;
use crate::site::{scratch, write};
use crate::{BenchError, Options, machine};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../estate/gateway/", $path)))),*]
    };
}

/// The estate.
const ESTATE: [(&str, &str); 7] = files![
    "wardline.yaml",
    "systems/back.yaml",
    "apis/items.yaml",
    "clients/buyer.yaml",
    "entities/item.yaml",
    "entities/item.schema.json",
    "policies/base.cedar",
];
/// Where Debian keeps programs of the administrator, who may have no path to them.
const NGINX: [&str; 2] = ["nginx", "/usr/sbin/nginx"];
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A program that can be asked how much processor time it took.
pub(super) trait Party {
    fn processor_time(&self) -> Duration;
}

fn failed(what: &'static str, reason: impl ToString) -> BenchError {
    BenchError::Thread {
        what,
        reason: reason.to_string(),
    }
}

/// An address that is free now. Between this and its use somebody else may take it, which then
/// ends the bench with the program's own words.
fn free() -> Result<SocketAddr, BenchError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| failed("search for a free port", error))
}

/// Wardline, as `wardline serve` runs it.
pub(super) struct House {
    process: Process,
    internal: SocketAddr,
    token: String,
    _directory: TempDir,
}

impl House {
    pub(super) fn start(options: &Options, system: SocketAddr) -> Result<Self, BenchError> {
        let Some(program) = &options.program else {
            return Err(BenchError::Options {
                what: "the gateway is measured as a program of its own: say which one",
            });
        };
        let directory = scratch(options.directory.as_deref())?;
        let (console, internal) = (free()?, free()?);
        let root = directory.path().join("estate");
        for (path, text) in ESTATE {
            let text = text
                .replace("{console}", &console.to_string())
                .replace("{internal}", &internal.to_string())
                .replace("{system}", &system.to_string());
            write(&root.join(path), &text)?;
        }
        let secret = format!(
            "{:032x}",
            u128::from(std::process::id()) << 64 | 0x5bd1_e995
        );
        write(&root.join("secrets/buyer"), &secret)?;
        private(&root.join("secrets/buyer"))?;
        let child = Command::new(program)
            .args(["serve"])
            .arg(&root)
            .arg("--data")
            .arg(directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("start of wardline serve", error))?;
        let mut process = Process(child);
        tokio::task::block_in_place(|| process.ready("wardline ready"))?;
        let token = tokio::task::block_in_place(|| token(internal, &secret))?;
        Ok(Self {
            process,
            internal,
            token,
            _directory: directory,
        })
    }

    pub(super) fn plain(&self) -> Target {
        Target::new(self.internal, "/plain/v1/items/I-1", None)
    }

    pub(super) fn full(&self) -> Target {
        Target::new(self.internal, "/full/v1/items/I-1", Some(&self.token))
    }

    /// Resident memory in bytes.
    pub(super) fn resident(&self) -> u64 {
        machine::resident_of(self.process.0.id())
    }

    pub(super) fn stop(mut self) -> Result<(), BenchError> {
        self.process.end()
    }
}

impl Party for House {
    fn processor_time(&self) -> Duration {
        machine::processor_time_of(self.process.0.id())
    }
}

/// A child that does not outlive the bench.
struct Process(Child);

impl Process {
    /// Waits for the line that begins with `sign`; what the program said instead is the error.
    fn ready(&mut self, sign: &str) -> Result<(), BenchError> {
        let Some(out) = self.0.stdout.take() else {
            return Err(failed("start of wardline serve", "it has no output"));
        };
        let mut lines = BufReader::new(out).lines();
        for line in lines.by_ref() {
            let line = line.map_err(|error| failed("start of wardline serve", error))?;
            if line.starts_with(sign) {
                // What it says later is of no interest, but it must not wait for a reader.
                std::thread::spawn(move || lines.for_each(drop));
                if let Some(mut errors) = self.0.stderr.take() {
                    std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
                }
                return Ok(());
            }
        }
        let mut said = String::new();
        if let Some(mut errors) = self.0.stderr.take() {
            errors
                .read_to_string(&mut said)
                .map_err(|error| failed("start of wardline serve", error))?;
        }
        Err(failed("start of wardline serve", said))
    }

    fn end(&mut self) -> Result<(), BenchError> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status();
        let gone = |error| failed("end of wardline serve", error);
        if !asked.is_ok_and(|status| status.success()) {
            self.0.kill().map_err(gone)?;
        }
        self.0.wait().map_err(gone)?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) && self.0.kill().is_ok() {
            // It was killed; its end is waited for so that none is left behind.
            drop(self.0.wait());
        }
    }
}

/// A token, by client credentials (RFC 6749, 4.4).
fn token(address: SocketAddr, secret: &str) -> Result<String, BenchError> {
    let error = |reason: String| failed("request for a token", reason);
    let credentials = base64(format!("buyer:{secret}").as_bytes());
    let body = "grant_type=client_credentials&scope=item.read";
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: {address}\r\nauthorization: Basic {credentials}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).map_err(|e| error(e.to_string()))?;
    stream
        .write_all(request.as_bytes())
        .map_err(|e| error(e.to_string()))?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .map_err(|e| error(e.to_string()))?;
    let found = answer
        .split_once("\"access_token\":\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    match found {
        Some((token, _)) => Ok(token.to_owned()),
        None => Err(error(
            answer.lines().next().unwrap_or("no answer").to_owned(),
        )),
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn private(path: &Path) -> Result<(), BenchError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|source| {
        BenchError::File {
            doing: "make private",
            path: path.to_owned(),
            source,
        }
    })
}

/// nginx as a plain reverse proxy with one worker.
pub(super) struct Nginx {
    master: Process,
    worker: u32,
    address: SocketAddr,
    _directory: TempDir,
}

impl Nginx {
    /// `None` where it is not installed.
    pub(super) fn start(options: &Options, system: SocketAddr) -> Result<Option<Self>, BenchError> {
        let there = |program: &&str| {
            Command::new(program)
                .arg("-v")
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        let Some(program) = NGINX.iter().copied().find(there) else {
            return Ok(None);
        };
        let directory = scratch(options.directory.as_deref())?;
        let address = free()?;
        let root = directory.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {root}/{kind};\n"))
            .concat();
        let settings = format!(
            "daemon off;\nmaster_process on;\nworker_processes 1;\npid {root}/nginx.pid;\n\
             error_log stderr crit;\nevents {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n{temporary}  keepalive_requests 100000000;\n\
             \x20 upstream back {{ server {system}; keepalive 256; keepalive_requests 100000000; }}\n\
             \x20 server {{ listen {address}; location / {{ proxy_pass http://back; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; }} }}\n}}\n"
        );
        let file = directory.path().join("nginx.conf");
        write(&file, &settings)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed("start of nginx", error))?;
        let master = Process(child);
        let began = Instant::now();
        let worker = loop {
            let open = TcpStream::connect(address).is_ok();
            if let Some(worker) = machine::child_of(master.0.id()).filter(|_| open) {
                break worker;
            }
            if began.elapsed() > STARTS_WITHIN {
                return Err(failed("start of nginx", "it does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Ok(Some(Self {
            master,
            worker,
            address,
            _directory: directory,
        }))
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.address, "/items/I-1", None)
    }

    pub(super) fn stop(mut self) {
        // Its worker ends with it; killing the master alone would leave the worker behind.
        if let Err(error) = self.master.end() {
            drop(error);
        }
    }
}

impl Party for Nginx {
    fn processor_time(&self) -> Duration {
        machine::processor_time_of(self.worker)
    }
}
