//! Files of another machine, with OpenSSH's `sshd` as that machine.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wardline_connect::files::{Outbound, OutboundConfig, Watch, WatchConfig};
use wardline_connect::sftp::{ClientConfig, Credentials, Remote, Written};
use wardline_connect::{Intake, Outbound as _, Request, Secret, Verdict};

use crate::remote::{Remote as There, bytes, code, cutting, on, read, watching};
use crate::stage::{Engine, id, soon, until};

const SSHD: &str = "/usr/sbin/sshd";

/// `sshd` as one that nobody else uses, and what it needs.
pub(crate) struct Sshd {
    folder: TempDir,
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok(), "sshd was gone before");
    }
}

pub(crate) fn keygen(words: &[&str]) {
    let made = Command::new("ssh-keygen").arg("-q").args(words).status();
    assert!(made.unwrap().success(), "ssh-keygen {words:?}");
}

fn new_key(at: &Path, kind: &str) {
    keygen(&["-t", kind, "-N", "", "-f", at.to_str().unwrap()]);
}

fn whoami() -> String {
    let told = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

impl Sshd {
    /// Starts it; `None` where this machine has none.
    fn start() -> Option<Self> {
        if !Path::new(SSHD).exists() {
            eprintln!("skipped: `cargo xtask peers` installs OpenSSH's server");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        new_key(&at.join("host"), "ed25519");
        new_key(&at.join("host-rsa"), "rsa");
        new_key(&at.join("own"), "ed25519");
        new_key(&at.join("certified"), "ecdsa");
        new_key(&at.join("ca"), "ed25519");
        let (ca, certified) = (at.join("ca"), at.join("certified.pub"));
        keygen(&[
            "-s",
            ca.to_str().unwrap(),
            "-I",
            "wardline",
            "-n",
            &whoami(),
            certified.to_str().unwrap(),
        ]);
        std::fs::copy(at.join("own.pub"), at.join("authorized")).unwrap();
        let home = at.join("home");
        std::fs::create_dir_all(home.join("out")).unwrap();
        // It wants an empty directory of this name when it is root.
        if whoami() == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .unwrap()
            .port();
        let mut sshd = Self {
            child: spawn(at, port, "host"),
            folder,
            port,
        };
        sshd.wait();
        Some(sshd)
    }

    fn wait(&mut self) {
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        panic!("sshd does not answer: {log:?}");
    }

    /// The same place with other keys.
    fn change_host_key(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        new_key(&self.folder.path().join("host-new"), "ed25519");
        self.child = spawn(self.folder.path(), self.port, "host-new");
        self.wait();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn config(&self) -> ClientConfig {
        let key = Secret::from(self.text("own").as_str());
        let written = Written {
            key: Some(&key),
            ..Written::default()
        };
        ClientConfig {
            host: "127.0.0.1".into(),
            port: self.port,
            user: whoami(),
            host_keys: vec![self.text("host.pub").parse().unwrap()],
            credentials: Credentials::read(&written).unwrap(),
            directory: String::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }

    fn home(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("home").join(path)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.home("out").join(name), content).unwrap();
    }
}

fn spawn(at: &Path, port: u16, host: &str) -> Child {
    let file = |name: &str| at.join(name).display().to_string();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nHostKey {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {}\nTrustedUserCAKeys {}\nPermitRootLogin yes\nPasswordAuthentication no\n\
         LogLevel VERBOSE\nMaxStartups 100\nSubsystem sftp internal-sftp -d {}\n",
        file(host),
        file("host-rsa"),
        file("authorized"),
        file("ca.pub"),
        file("home"),
    );
    std::fs::write(at.join("config"), config).unwrap();
    Command::new(SSHD)
        .args(["-D", "-f", &file("config"), "-E", &file("log")])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn remote(config: ClientConfig) -> There {
    Arc::new(Remote::of(config))
}

async fn taking(remote: &There, config: WatchConfig, until_there: &Path) -> Arc<Engine> {
    let engine = Engine::new(|_, _| Verdict::Accepted { id: id(1) });
    let watch = Watch::new(Arc::clone(remote), config);
    let stop = CancellationToken::new();
    let running = tokio::spawn(watch.run(Arc::clone(&engine) as Arc<dyn Intake>, stop.clone()));
    until(|| until_there.exists()).await;
    stop.cancel();
    soon(running).await.unwrap();
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_machine_are_taken_once_and_put_away() {
    let Some(sshd) = Sshd::start() else { return };
    let remote = remote(sshd.config());
    sshd.put("a.csv", bytes(300_000));
    sshd.put("b.txt", "not asked for");
    sshd.put(".c.csv", "hidden");
    std::fs::write(sshd.home("secret.csv"), "elsewhere").unwrap();
    symlink(sshd.home("secret.csv"), sshd.home("out/link.csv")).unwrap();
    std::fs::create_dir(sshd.home("out/folder.csv")).unwrap();
    let engine = taking(&remote, watching(), &sshd.home("archive/a.csv")).await;
    let all = engine.begun.lock().clone();
    assert_eq!(all.len(), 1, "one file is taken, no link and no directory");
    assert!(all[0].body == bytes(300_000));
    assert!(!sshd.home("out/a.csv").exists());
    assert!(sshd.home("out/link.csv").exists() && sshd.home("out/.c.csv").exists());

    // The same name again goes beside it; with a marker both go.
    sshd.put("a.csv", "more");
    sshd.put("a.csv.done", "");
    let marked = WatchConfig {
        marker: Some(".done".into()),
        ..watching()
    };
    taking(&remote, marked, &sshd.home("archive/a.csv.1")).await;
    assert!(!sshd.home("out/a.csv.done").exists());

    // Nothing leads elsewhere.
    let errors = on(&remote, |remote| {
        [
            "../own",
            "out/../own",
            "out/link.csv",
            "out/folder.csv",
            "a/b/c",
        ]
        .map(|path| read(remote, path).unwrap_err().kind())
    });
    assert_eq!(errors.await, [std::io::ErrorKind::InvalidInput; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_become_files_whole_and_under_one_name() {
    let Some(sshd) = Sshd::start() else { return };
    let remote = remote(sshd.config());
    let config = OutboundConfig {
        below: "in".into(),
        name: "bill-{id}.json".into(),
        max_size: 64 << 20,
    };
    let out = Outbound::new(Arc::clone(&remote), config);
    let body = bytes(9_000_001);
    for attempt in 1..=2 {
        let sent = out.send(Request {
            idempotency_key: "7",
            attempt,
            body: body.clone().into(),
            content_type: "application/json",
            method: None,
            path: None,
            correlation: "c",
        });
        let reply = soon(sent).await.unwrap();
        assert_eq!(&reply.body[..], b"in/bill-7.json");
    }
    assert!(std::fs::read(sshd.home("in/bill-7.json")).unwrap() == body);
    let left = std::fs::read_dir(sshd.home("in")).unwrap().count();
    assert_eq!(left, 1, "nothing is left of what was under way");

    // A rename takes nobody's place.
    sshd.put("a", "a");
    sshd.put("b", "b");
    let taken = on(&remote, |remote| remote.rename("out/a", "out/b")).await;
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(sshd.home("out/b")).unwrap(), b"b");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_key_is_refused_before_anything_is_sent() {
    let Some(mut sshd) = Sshd::start() else {
        return;
    };
    sshd.put("a.csv", "kept");
    let pinned = sshd.config();
    sshd.change_host_key();
    let before = sshd.text("log").len();
    let there = remote(pinned.clone());
    let error = on(&there, |remote| remote.list("out", 10))
        .await
        .unwrap_err();
    assert_eq!(code(&error), "W4321");
    let text = error.to_string();
    assert!(
        text.contains("shows SHA256:") && text.contains("`host_key` says SHA256:"),
        "{text}"
    );
    let log = sshd.text("log")[before..].to_owned();
    assert!(!log.contains(&format!("user {}", whoami())), "{log}");
    assert_eq!(std::fs::read(sshd.home("out/a.csv")).unwrap(), b"kept");
    let config = OutboundConfig {
        below: "in".into(),
        name: "{id}".into(),
        max_size: 10,
    };
    let out = Outbound::new(there, config);
    let failure = soon(out.send(Request {
        idempotency_key: "7",
        attempt: 1,
        body: "x".into(),
        content_type: "text/plain",
        method: None,
        path: None,
        correlation: "c",
    }))
    .await
    .unwrap_err();
    assert_eq!(failure.code.0, "W4321");
    assert!(failure.kind.may_pass());

    // While it is changed both are named. A fingerprint finds its key among several.
    let mut both = pinned.clone();
    both.host_keys
        .push(sshd.text("host-new.pub").parse().unwrap());
    let mut by_print = pinned;
    let print = Command::new("ssh-keygen")
        .args([
            "-lf",
            sshd.folder.path().join("host-rsa.pub").to_str().unwrap(),
        ])
        .output()
        .unwrap();
    let print = String::from_utf8(print.stdout).unwrap();
    by_print.host_keys = vec![print.split(' ').nth(1).unwrap().parse().unwrap()];
    for config in [both, by_print] {
        let listed = on(&remote(config), |remote| remote.list("out", 10)).await;
        assert_eq!(listed.unwrap()[0].name, "a.csv");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_we_are_is_proven_by_certificate_or_not_at_all() {
    let Some(sshd) = Sshd::start() else { return };
    let key = Secret::from(sshd.text("certified").as_str());
    let certificate = sshd.text("certified-cert.pub");
    let mut config = sshd.config();
    let written = |certificate| Written {
        key: Some(&key),
        certificate,
        ..Written::default()
    };
    config.credentials = Credentials::read(&written(Some(&certificate))).unwrap();
    let listed = on(&remote(config.clone()), |remote| remote.list("", 10)).await;
    assert!(listed.unwrap().is_empty());
    config.credentials = Credentials::read(&written(None)).unwrap();
    let error = on(&remote(config.clone()), |remote| remote.list("", 10))
        .await
        .unwrap_err();
    assert_eq!(code(&error), "W4322");
    // A certificate of another key is none of ours.
    let other = Secret::from(sshd.text("own").as_str());
    let wrong = Written {
        key: Some(&other),
        certificate: Some(&certificate),
        ..Written::default()
    };
    assert!(Credentials::read(&wrong).is_err());
    config.port = 1;
    let error = on(&remote(config), |remote| remote.list("", 10))
        .await
        .unwrap_err();
    assert_eq!(code(&error), "W4320");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_connection_breaks_is_taken_up_where_it_was() {
    let Some(sshd) = Sshd::start() else { return };
    let whole = bytes(20_000_003);
    sshd.put("large.csv", &whole);
    let (port, cut) = cutting(sshd.port, 6_000_000, 2).await;
    let mut config = sshd.config();
    config.port = port;
    let read_all = on(&remote(config.clone()), |remote| {
        read(remote, "out/large.csv")
    })
    .await;
    assert!(read_all.unwrap() == whole);
    assert_eq!(cut.load(Ordering::SeqCst), 2);

    // One that always breaks: the file stays, and nothing of it is handed in.
    let (port, cut) = cutting(sshd.port, 60_000, usize::MAX).await;
    config.port = port;
    let engine = Engine::new(|_, _| Verdict::Accepted { id: id(1) });
    let watch = Watch::new(remote(config), watching());
    let stop = CancellationToken::new();
    let running = tokio::spawn(watch.run(Arc::clone(&engine) as Arc<dyn Intake>, stop.clone()));
    until(|| cut.load(Ordering::SeqCst) > 5).await;
    stop.cancel();
    soon(running).await.unwrap();
    assert!(engine.begun.lock().is_empty());
    assert!(std::fs::read(sshd.home("out/large.csv")).unwrap() == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_speaks_no_sftp_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .ok();
        }
    });
    let config = ClientConfig {
        host: "127.0.0.1".into(),
        port,
        user: "wardline".into(),
        host_keys: vec![
            "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                .parse()
                .unwrap(),
        ],
        credentials: Credentials::default(),
        directory: String::new(),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
    };
    let error = on(&remote(config), |remote| remote.list("", 10))
        .await
        .unwrap_err();
    assert_eq!(code(&error), "W4325", "{error}");
}
