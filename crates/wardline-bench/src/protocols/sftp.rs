//! SFTP on the loopback interface: one large file read to its end, connecting included.
//!
//! The other side is OpenSSH's `sshd`, started here as a process of its own, and the peer its `sftp`, which
//! fetches the same file into nowhere. Where either is not installed there are no rows.

use crate::intake::mb;
use crate::report::Row;
use crate::{BenchError, Options, machine};
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wardline_connect::Secret;
use wardline_connect::files::Directory as _;
use wardline_connect::sftp::{ClientConfig, Credentials, Remote, Written};

const SSHD: &str = "/usr/sbin/sshd";
/// Bytes of the file.
const SIZE: u64 = 512 << 20;
/// The best of so many counts, on both sides.
const ROUNDS: usize = 3;
const PEER: &str = "OpenSSH sftp";

pub(super) fn measure(options: &Options) -> Result<Vec<Row>, BenchError> {
    if !Path::new(SSHD).exists() || Command::new("sftp").arg("-V").output().is_err() {
        options.say("sftp: OpenSSH is not installed (`cargo xtask peers`); not measured");
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir().map_err(|error| wrong(&error))?;
    let sshd = Sshd::start(folder.path()).map_err(|error| wrong(&error))?;
    let file = std::fs::File::create(folder.path().join("large")).map_err(|error| wrong(&error))?;
    file.set_len(SIZE).map_err(|error| wrong(&error))?;
    let config = sshd.config(folder.path())?;
    options.say("sftp: a file of 512 MiB");
    machine::forget_peak();
    let before = machine::resident();
    let ours = best(|| pull(&config))?;
    let grown = machine::peak_resident().saturating_sub(before);
    options.say("sftp: the same by the peer");
    let theirs = best(|| sshd.theirs(folder.path()))?;
    let rate = |seconds: f64| SIZE as f64 / seconds / 1e6;
    Ok(vec![
        Row::new("sftp_pull_mb_per_s", rate(ours), "MB/s").peer(PEER, rate(theirs)),
        Row::new("sftp_pull_memory_mb", mb(grown), "MB"),
    ])
}

fn wrong(what: &dyn std::fmt::Display) -> BenchError {
    BenchError::Sums {
        what: format!("sftp: {what}"),
    }
}

fn best(mut once: impl FnMut() -> Result<(), BenchError>) -> Result<f64, BenchError> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        once()?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Reads the file to its end, on a connection of its own.
fn pull(config: &ClientConfig) -> Result<(), BenchError> {
    let mut input = Remote::of(config.clone())
        .open("large")
        .map_err(|error| wrong(&error))?;
    let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
    loop {
        match input.read(&mut buffer).map_err(|error| wrong(&error))? {
            0 => break,
            count => all += count as u64,
        }
    }
    if all == SIZE {
        Ok(())
    } else {
        Err(wrong(&format!("{all} bytes read of {SIZE}")))
    }
}

struct Sshd {
    child: Child,
    port: u16,
    user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // One that ended by itself was found while measuring.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

impl Sshd {
    fn start(folder: &Path) -> std::io::Result<Self> {
        for name in ["host", "own"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(name))
                .status()?;
            if !made.success() {
                return Err(std::io::Error::other("ssh-keygen makes no keys"));
            }
        }
        let user = Command::new("id").arg("-un").output()?.stdout;
        let user = String::from_utf8_lossy(&user).trim().to_owned();
        // It wants an empty directory of this name when it is root.
        if user == "root" {
            std::fs::create_dir_all("/run/sshd")?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let shown = folder.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {shown}/host\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {shown}/own.pub\nPasswordAuthentication no\nLogLevel ERROR\nSubsystem sftp internal-sftp -d {shown}\n"
        );
        std::fs::write(folder.join("config"), config)?;
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let sshd = Self { child, port, user };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(sshd);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(std::io::Error::other("sshd does not answer"))
    }

    fn config(&self, folder: &Path) -> Result<ClientConfig, BenchError> {
        let read =
            |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|error| wrong(&error));
        let key = Secret::from(read("own")?.as_str());
        let written = Written {
            key: Some(&key),
            ..Written::default()
        };
        Ok(ClientConfig {
            host: "127.0.0.1".into(),
            port: self.port,
            user: self.user.clone(),
            host_keys: vec![read("host.pub")?.parse().map_err(|error| wrong(&error))?],
            credentials: Credentials::read(&written).map_err(|error| wrong(&error))?,
            directory: String::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
        })
    }

    /// The same file by OpenSSH's own client, as it comes.
    fn theirs(&self, folder: &Path) -> Result<(), BenchError> {
        std::fs::write(folder.join("batch"), "get large /dev/null\n")
            .map_err(|error| wrong(&error))?;
        let ended = Command::new("sftp")
            .current_dir(folder)
            .args(["-q", "-b", "batch", "-i", "own"])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args(["-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"])
            .args(["-P", &self.port.to_string()])
            .arg(format!("{}@127.0.0.1", self.user))
            .stdout(Stdio::null())
            .status()
            .map_err(|error| wrong(&error))?;
        if ended.success() {
            Ok(())
        } else {
            Err(wrong(&"OpenSSH's sftp fetched nothing"))
        }
    }
}
