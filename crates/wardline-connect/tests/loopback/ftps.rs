//! Files of another machine over FTP with TLS, with vsftpd, pyftpdlib and lftp on the other side.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wardline_connect::ftps::{ClientConfig, Mode, Place, Remote};
use wardline_connect::tls::{ClientTls, Pem};
use wardline_connect::{Outbound as _, Secret, files};

use crate::remote::{
    self, Remote as There, answering, bytes, code, cutting, free_port, names, on, put, read,
};
use crate::stage::{Authority, soon};

/// A server that nobody else uses.
struct Server {
    folder: TempDir,
    child: Child,
    port: u16,
    authority: Authority,
    user: &'static str,
    mode: Mode,
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok(), "the server was gone before");
    }
}

const PASSWORD: &str = "open sesame";

fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A folder with a certificate, its key, and a home.
fn prepared(authority: &Authority) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.issue_pem("localhost");
    std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), key).unwrap();
    std::fs::create_dir_all(folder.path().join("home/out")).unwrap();
    folder
}

fn missing(what: &str) {
    let text = format!("{what} is missing: `cargo xtask peers` installs what the tests need");
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
}

impl Server {
    /// vsftpd, which lists for people only and wants that transfers take up the session of TLS.
    async fn vsftpd() -> Option<Self> {
        if !Path::new("/usr/sbin/vsftpd").exists() {
            missing("vsftpd");
            return None;
        }
        let authority = Authority::new();
        let (folder, port) = (prepared(&authority), free_port());
        std::fs::write(folder.path().join("passwords"), format!("{PASSWORD}\n")).unwrap();
        let config = format!(
            "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nrun_as_launching_user=YES\n\
             anonymous_enable=YES\nlocal_enable=NO\nwrite_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\n\
             anon_other_write_enable=YES\nanon_world_readable_only=NO\nanon_umask=022\nanon_root={}\nallow_writeable_chroot=YES\n\
             secure_email_list_enable=YES\nemail_password_file={}\nmdtm_write=NO\nseccomp_sandbox=NO\n\
             ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\nrequire_ssl_reuse=YES\n\
             ssl_ciphers=HIGH\nrsa_cert_file={}\nrsa_private_key_file={}\nxferlog_enable=YES\nvsftpd_log_file={}\nlog_ftp_protocol=YES\n",
            file(&folder, "home"),
            file(&folder, "passwords"),
            file(&folder, "cert.pem"),
            file(&folder, "key.pem"),
            file(&folder, "log"),
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let mut command = Command::new("/usr/sbin/vsftpd");
        command.arg(folder.path().join("config"));
        Some(
            Self::start(
                command,
                folder,
                port,
                authority,
                "anonymous",
                Mode::Explicit,
            )
            .await,
        )
    }

    /// pyftpdlib, which lists for machines.
    async fn pyftpdlib(mode: Mode) -> Option<Self> {
        let python = remote::python("pyftpdlib")?;
        let authority = Authority::new();
        let (folder, port) = (prepared(&authority), free_port());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/ftps_server.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(port.to_string())
            .args(["home", "cert.pem", "key.pem"].map(|name| file(&folder, name)))
            .arg(if mode == Mode::Implicit {
                "implicit"
            } else {
                "explicit"
            });
        Some(Self::start(command, folder, port, authority, "wardline", mode).await)
    }

    async fn start(
        mut command: Command,
        folder: TempDir,
        port: u16,
        authority: Authority,
        user: &'static str,
        mode: Mode,
    ) -> Self {
        let log = std::fs::File::create(folder.path().join("out.log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            child,
            port,
            authority,
            user,
            mode,
        };
        answering(port, &server.folder.path().join("out.log")).await;
        server
    }

    fn config(&self) -> ClientConfig {
        ClientConfig {
            name: "erp.drop".into(),
            host: "127.0.0.1".into(),
            port: self.port,
            mode: self.mode,
            user: self.user.into(),
            password: Secret::from(PASSWORD),
            directory: String::new(),
            tls: ClientTls {
                ca: Some(self.authority.pem()),
                identity: None,
                server_name: Some("localhost".into()),
            },
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }

    fn remote(&self) -> There {
        there(self.config())
    }

    fn home(&self, path: &str) -> PathBuf {
        self.folder.path().join("home").join(path)
    }
}

fn there(config: ClientConfig) -> There {
    Arc::new(Remote::of(Place::new(config).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn vsftpd_files_are_taken_and_written() {
    let Some(server) = Server::vsftpd().await else {
        return;
    };
    let remote = server.remote();
    remote::writes(&remote, 3_000_001).await;
    remote::takes(&remote).await;
    // Links and directories are no files.
    std::os::unix::fs::symlink("/etc/passwd", server.home("out/link.csv")).unwrap();
    std::fs::create_dir(server.home("out/folder.csv")).unwrap();
    assert_eq!(names(&remote, "out").await, ["a b.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pyftpdlib_files_are_taken_and_written() {
    for mode in [Mode::Explicit, Mode::Implicit] {
        let Some(server) = Server::pyftpdlib(mode).await else {
            return;
        };
        let remote = server.remote();
        remote::writes(&remote, 3_000_001).await;
        remote::takes(&remote).await;
        let mut below = server.config();
        below.directory = "out".into();
        assert_eq!(names(&there(below), "").await, ["a b.csv"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lftp_and_we_read_what_the_other_wrote() {
    let Some(server) = Server::vsftpd().await else {
        return;
    };
    if Command::new("lftp").arg("--version").output().is_err() {
        missing("lftp");
        return;
    }
    let remote = server.remote();
    put(&remote, "out/ours.csv", bytes(200_000)).await;
    std::fs::write(server.folder.path().join("theirs.csv"), bytes(123_456)).unwrap();
    let authority = server.folder.path().join("ca.pem");
    let Pem::Text(text) = server.authority.pem() else {
        panic!("the authority is a text")
    };
    std::fs::write(&authority, text.expose()).unwrap();
    let script = format!(
        "set ssl:ca-file {}; set ssl:check-hostname no; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set net:max-retries 2; \
         open -u anonymous,'{PASSWORD}' -p {} 127.0.0.1; put -O out {}; get out/ours.csv -o {}; bye",
        authority.display(),
        server.port,
        file(&server.folder, "theirs.csv"),
        file(&server.folder, "ours.csv"),
    );
    let done = Command::new("lftp")
        .args(["--norc", "-c", &script])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let got = std::fs::read(server.folder.path().join("ours.csv")).unwrap();
    assert!(got == bytes(200_000));
    let theirs = on(&remote, |remote| read(remote, "out/theirs.csv")).await;
    assert!(theirs.unwrap() == bytes(123_456));
}

#[tokio::test(flavor = "multi_thread")]
async fn pyftpdlib_another_certificate_or_password_is_refused() {
    let Some(server) = Server::pyftpdlib(Mode::Explicit).await else {
        return;
    };
    let mut config = server.config();
    config.tls.ca = Some(Authority::new().pem());
    let error = on(&there(config), |remote| remote.list("", 10)).await;
    assert_eq!(code(&error.unwrap_err()), "W4327");
    let mut config = server.config();
    config.tls.server_name = Some("elsewhere.example".into());
    let error = on(&there(config), |remote| remote.list("", 10)).await;
    assert_eq!(code(&error.unwrap_err()), "W4327");
    let mut config = server.config();
    config.password = Secret::from("wrong");
    let error = on(&there(config), |remote| remote.list("", 10)).await;
    let error = error.unwrap_err();
    assert_eq!(code(&error), "W4328");
    assert!(!error.to_string().contains("wrong"), "{error}");
    let mut config = server.config();
    config.port = 1;
    let error = on(&there(config), |remote| remote.list("", 10)).await;
    assert_eq!(code(&error.unwrap_err()), "W4326");
    let withheld = Place::new(server.config()).unwrap().without_credentials();
    let withheld: There = Arc::new(Remote::of(withheld));
    let error = on(&withheld, |remote| remote.list("", 10)).await;
    assert_eq!(code(&error.unwrap_err()), "W4328");
}

/// A server that answers what it is told to.
async fn told(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut some = [0; 1024];
            for answer in answers {
                if near.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
                if !matches!(near.read(&mut some).await, Ok(1..)) {
                    break;
                }
            }
        }
    });
    port
}

/// A server of which nothing is known but its port.
fn stranger(port: u16, authority: &Authority) -> ClientConfig {
    ClientConfig {
        name: "erp.drop".into(),
        host: "127.0.0.1".into(),
        port,
        mode: Mode::Explicit,
        user: "u".into(),
        password: Secret::from("p"),
        directory: String::new(),
        tls: ClientTls {
            ca: Some(authority.pem()),
            ..ClientTls::default()
        },
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_nothing_is_said() {
    let authority = Authority::new();
    let endless: &'static str = Box::leak("2".repeat(100_000).into_boxed_str());
    for (answers, wanted) in [
        (&["220 hello\r\n", "502 no TLS here\r\n"][..], "W4331"),
        (&["SSH-2.0-OpenSSH\r\n"][..], "W4331"),
        (
            &["220 hello\r\n", "234 go on\r\n230 logged in\r\n"][..],
            "W4327",
        ),
        (&[""][..], "W4329"),
        (Box::leak(vec![endless].into_boxed_slice()), "W4331"),
    ] {
        let config = stranger(told(answers).await, &authority);
        let error = on(&there(config), |remote| remote.list("", 10)).await;
        assert_eq!(code(&error.unwrap_err()), wanted, "{answers:?}");
    }
    let lines = ClientConfig {
        user: "u\r\nDELE x".into(),
        ..stranger(1, &authority)
    };
    assert!(Place::new(lines).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn vsftpd_sessions_that_are_over_are_made_anew() {
    let Some(server) = Server::vsftpd().await else {
        return;
    };
    put(&server.remote(), "out/a.csv", bytes(100_000)).await;
    // The session that lists is cut soon after it is open: what it was asked for is asked of a new one.
    let mut config = server.config();
    config.port = cutting(server.port, 6_000, 1).await.0;
    let remote = there(config);
    for _ in 0..60 {
        let listed = on(&remote, |remote| remote.list("out", 10)).await;
        if listed.is_ok_and(|listed| listed.len() == 1) {
            continue;
        }
        let again = on(&remote, |remote| remote.list("out", 10)).await;
        assert_eq!(again.unwrap().len(), 1);
    }
    // A reader that goes away in the midst disturbs nobody.
    let half = on(&remote, |remote| {
        let mut some = [0; 10];
        remote.open("out/a.csv").unwrap().read_exact(&mut some)
    });
    half.await.unwrap();
    let whole = on(&remote, |remote| read(remote, "out/a.csv")).await;
    assert!(whole.unwrap() == bytes(100_000));
    let remote = server.remote();
    drop(server);
    let config = files::OutboundConfig {
        below: "in".into(),
        name: "{id}".into(),
        max_size: 10,
    };
    let out = files::Outbound::new(remote, config);
    let failure = soon(out.send(remote::request(1, "x".into())))
        .await
        .unwrap_err();
    assert_eq!(failure.code.0, "W4326");
    assert!(failure.kind.may_pass());
}
