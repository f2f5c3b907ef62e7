//! Database servers of their own for a test: real ones, in a directory that goes with them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub port: u16,
    /// `user:password` of one who may do anything.
    pub login: &'static str,
    folder: TempDir,
    command: Vec<String>,
    child: Option<Child>,
}

/// A user that a server may run as, where the test is run by root.
const UNPRIVILEGED: [&str; 3] = ["postgres", "mysql", "nobody"];

fn program(names: &[&str]) -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    places.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|one| one.path().join("bin")));
    }
    names.iter().find_map(|name| {
        places
            .iter()
            .map(|place| place.join(name))
            .find(|it| it.is_file())
    })
}

fn is_root() -> bool {
    let ids = Command::new("id").arg("-u").output();
    ids.is_ok_and(|ids| ids.stdout.trim_ascii() == b"0")
}

/// The first of the users that there is.
fn somebody() -> Option<&'static str> {
    UNPRIVILEGED.into_iter().find(|name| {
        Command::new("id")
            .args(["-u", name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// A call as somebody who is not root.
fn unprivileged(words: Vec<String>) -> Vec<String> {
    let Some(user) = is_root().then(somebody).flatten() else {
        return words;
    };
    let id = |flag: &str| {
        let said = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    let mut all = vec![
        "setpriv".to_owned(),
        format!("--reuid={}", id("-u")),
        format!("--regid={}", id("-g")),
        "--clear-groups".to_owned(),
    ];
    all.extend(words);
    all
}

fn call(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("db")
        .tempdir_in("/tmp")
        .unwrap();
    if is_root()
        && let Some(user) = somebody()
    {
        let owned = Command::new("chown").arg(user).arg(folder.path()).status();
        assert!(owned.unwrap().success());
    }
    folder
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

impl Server {
    /// PostgreSQL; `None` (with a line) where it is not installed.
    pub(crate) fn postgres(tls: Option<&Pair>) -> Option<Self> {
        let (Some(server), Some(init)) = (program(&["postgres"]), program(&["initdb"])) else {
            println!("skipped: PostgreSQL is not installed");
            return None;
        };
        let folder = folder();
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        std::fs::write(&password, "open sesame\n").unwrap();
        let words = [
            text(&init),
            "-D".into(),
            text(&data),
            "-U".into(),
            "wardline".into(),
            "--auth=scram-sha-256".into(),
            format!("--pwfile={}", text(&password)),
            "--encoding=UTF8".into(),
            "--no-sync".into(),
            "--locale=C".into(),
        ];
        let made = call(&unprivileged(words.into())).status().unwrap();
        assert!(made.success(), "initdb failed");
        let port = free_port();
        let mut words = vec![text(&server), "-D".into(), text(&data)];
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".into(),
            format!("unix_socket_directories={}", text(folder.path())),
            "fsync=off".into(),
            "shared_buffers=16MB".into(),
            "max_connections=20".into(),
        ] {
            words.extend(["-c".into(), setting]);
        }
        if let Some(pair) = tls {
            let (cert, key) = pair.write(folder.path());
            for setting in [
                "ssl=on".into(),
                format!("ssl_cert_file={cert}"),
                format!("ssl_key_file={key}"),
            ] {
                words.extend(["-c".into(), setting]);
            }
        }
        Some(Self::started(
            folder,
            port,
            "wardline:open sesame",
            unprivileged(words),
        ))
    }

    /// MariaDB; `None` (with a line) where it is not installed.
    pub(crate) fn mariadb(tls: Option<&Pair>) -> Option<Self> {
        let (Some(server), Some(init)) = (program(&["mariadbd"]), program(&["mariadb-install-db"]))
        else {
            println!("skipped: MariaDB is not installed");
            return None;
        };
        let folder = folder();
        let data = folder.path().join("data");
        let words = [
            text(&init),
            "--no-defaults".into(),
            format!("--datadir={}", text(&data)),
            "--auth-root-authentication-method=normal".into(),
            "--skip-test-db".into(),
            // Many at once would want more of the kernel than it has.
            "--innodb-use-native-aio=0".into(),
            "--skip-name-resolve".into(),
            // One that starts removes every temporary table it finds, of others too.
            format!("--tmpdir={}", text(folder.path())),
        ];
        let made = call(&unprivileged(words.into())).status().unwrap();
        assert!(made.success(), "mariadb-install-db failed");
        let first = folder.path().join("init.sql");
        std::fs::write(
            &first,
            "create database if not exists work;\ncreate user if not exists 'wardline'@'%' identified by 'open sesame';\ngrant all on *.* to 'wardline'@'%';\n",
        )
        .unwrap();
        let port = free_port();
        let mut words = vec![
            text(&server),
            "--no-defaults".into(),
            format!("--datadir={}", text(&data)),
            format!("--tmpdir={}", text(folder.path())),
            format!("--socket={}", text(&folder.path().join("socket"))),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".into(),
            "--skip-name-resolve".into(),
            format!("--init-file={}", text(&first)),
            "--innodb-flush-log-at-trx-commit=0".into(),
            "--innodb-buffer-pool-size=32M".into(),
            "--innodb-use-native-aio=0".into(),
            format!("--pid-file={}", text(&folder.path().join("pid"))),
        ];
        if let Some(pair) = tls {
            let (cert, key) = pair.write(folder.path());
            words.extend([format!("--ssl-cert={cert}"), format!("--ssl-key={key}")]);
        }
        Some(Self::started(
            folder,
            port,
            "wardline:open sesame",
            unprivileged(words),
        ))
    }

    fn started(folder: TempDir, port: u16, login: &'static str, command: Vec<String>) -> Self {
        let mut server = Self {
            port,
            login,
            folder,
            command,
            child: None,
        };
        server.start();
        server
    }

    /// Starts it (again), and waits until it listens.
    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let child = call(&self.command).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "it does not listen: {}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        // MariaDB runs its first statements after it began to listen.
        std::thread::sleep(Duration::from_millis(300));
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // With a signal that lets it end its own processes.
            Command::new("kill")
                .args(["-QUIT", &child.id().to_string()])
                .status()
                .ok();
            let began = Instant::now();
            while matches!(child.try_wait(), Ok(None)) {
                if began.elapsed() > Duration::from_secs(5) {
                    child.kill().ok();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub cert: String,
    pub key: String,
}

impl Pair {
    /// Writes both so that the server may read them.
    fn write(&self, folder: &Path) -> (String, String) {
        let mut paths = Vec::new();
        for (name, content) in [("cert.pem", &self.cert), ("key.pem", &self.key)] {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            Command::new("chmod")
                .arg("600")
                .arg(&path)
                .status()
                .unwrap();
            if is_root()
                && let Some(user) = somebody()
            {
                Command::new("chown").arg(user).arg(&path).status().unwrap();
            }
            paths.push(text(&path));
        }
        (paths[0].clone(), paths[1].clone())
    }
}
