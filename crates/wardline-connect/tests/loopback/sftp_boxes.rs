//! Drop boxes, used by OpenSSH's `sftp`, by paramiko, and by somebody who means no good.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{BufMut as _, BytesMut};
use parking_lot::Mutex;
use russh::client;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::Secret;
use wardline_connect::sftp::server::{
    BoxConfig, Boxes, DropBox, Event, HostSecret, Server, ServerConfig, Sink, What,
};
use wardline_core::Timestamp;

use crate::sftp::keygen;
use crate::stage::{soon, until};

struct House {
    folder: TempDir,
    port: u16,
    events: Arc<Mutex<Vec<Event>>>,
    boxes: Arc<ArcSwap<Boxes>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn key(folder: &Path, name: &str, kind: &str) -> String {
    let at = folder.join(name);
    keygen(&["-t", kind, "-N", "", "-f", at.to_str().unwrap()]);
    std::fs::read_to_string(at.with_extension("pub")).unwrap()
}

impl House {
    /// A server with a box for `ghx`, whose quota is 1 MiB and five files.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let host = key(at, "host", "ed25519");
        let own = key(at, "own", "ed25519") + &key(at, "own-rsa", "rsa");
        key(at, "other", "ed25519");
        let boxes = Arc::new(ArcSwap::from_pointee(Boxes::new()));
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let told = Arc::clone(&events);
        let sink: Sink = Arc::new(move |event| told.lock().push(event));
        let secret = Secret::new(std::fs::read(at.join("host")).unwrap());
        let config = ServerConfig {
            name: "dropboxes".into(),
            bind: "127.0.0.1:0".into(),
            host_keys: vec![HostSecret::read(&secret).unwrap()],
            allow: Vec::new(),
            max_connections: 16,
            idle: Duration::from_secs(20),
        };
        let server = Server::bind(config, Arc::clone(&boxes), sink)
            .await
            .unwrap();
        let port = server.address().port();
        std::fs::write(at.join("known_hosts"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone()));
        let house = Self {
            folder,
            port,
            events,
            boxes,
            stop,
            task,
        };
        house.admit(|_| {}, &own);
        house
    }

    /// Gives the box anew.
    fn admit(&self, change: impl FnOnce(&mut BoxConfig), keys: &str) {
        let mut config = BoxConfig {
            client: "ghx".into(),
            keys: format!("# keys of ghx\n{keys}"),
            addresses: Vec::new(),
            expires: None,
            directory: self.folder.path().join("drop"),
            quota: 1 << 20,
            files: 5,
            sessions: 4,
        };
        change(&mut config);
        let made = Arc::new(DropBox::new(config).unwrap());
        self.boxes
            .store(Arc::new(Boxes::from([("ghx".into(), made)])));
    }

    fn drop(&self, path: &str) -> PathBuf {
        self.folder.path().join("drop").join(path)
    }

    fn ssh(&self, program: &str, key: &str) -> Command {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        for option in [
            format!("UserKnownHostsFile={}", at("known_hosts")),
            "StrictHostKeyChecking=yes".into(),
            "IdentitiesOnly=yes".into(),
            "BatchMode=yes".into(),
            format!("Port={}", self.port),
            format!("IdentityFile={}", at(key)),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// Runs OpenSSH's `sftp` with these commands; one that begins with `-` may fail.
    async fn sftp(&self, user: &str, key: &str, commands: &str) -> Output {
        std::fs::write(self.folder.path().join("batch"), commands).unwrap();
        let mut sftp = self.ssh("sftp", key);
        sftp.args(["-b", "batch", &format!("{user}@127.0.0.1")]);
        soon(tokio::task::spawn_blocking(move || sftp.output().unwrap()))
            .await
            .unwrap()
    }

    fn what(&self) -> Vec<What> {
        self.events
            .lock()
            .iter()
            .map(|one| one.what.clone())
            .collect()
    }

    async fn close(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_brings_and_fetches_files_and_nothing_else() {
    let house = House::open().await;
    let at = house.folder.path();
    let large: Vec<u8> = (0..900_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(at.join("large.bin"), &large).unwrap();
    std::fs::write(at.join("small.csv"), "a,b\n").unwrap();
    std::fs::write(at.join("secret"), "not for partners").unwrap();
    std::fs::write(house.drop("out/answer.xml"), "<ok/>").unwrap();
    symlink(at.join("secret"), house.drop("out/link.xml")).unwrap();
    symlink(at.join("secret"), house.drop("in/trap.csv")).unwrap();
    let output = house
        .sftp(
            "ghx",
            "own",
            "pwd\nls -la\nput -p large.bin in/large.bin\ncd in\nput small.csv first.csv\nrename first.csv second.csv\nls -l\n\
             cd /\nget out/answer.xml\nls out\nrm out/answer.xml\n\
             -get out/link.xml\n-put small.csv in/trap.csv\n-put small.csv top.csv\n-put small.csv out/x\n-mkdir in/more\n\
             -get ../../secret\n-get /etc/passwd\n-ln -s /etc/passwd in/passwd\n-ln in/second.csv in/third.csv\n-get in/second.csv back\n\
             -rename in/second.csv out/second.csv\n-rename in/second.csv ../second.csv\n-rmdir in\n-chmod 777 in/second.csv\n",
        )
        .await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Remote working directory: /\n"), "{text}");
    assert!(std::fs::read(house.drop("in/large.bin")).unwrap() == large);
    assert_eq!(
        std::fs::read(house.drop("in/second.csv")).unwrap(),
        b"a,b\n"
    );
    assert_eq!(std::fs::read(at.join("answer.xml")).unwrap(), b"<ok/>");
    assert!(
        !text.contains("link.xml\n") || text.contains("\"/out/link.xml\" not found"),
        "{text}"
    );
    for gone in [
        "in/first.csv",
        "out/answer.xml",
        "top.csv",
        "out/x",
        "in/more",
        "in/passwd",
        "in/third.csv",
        "out/second.csv",
        "second.csv",
    ] {
        assert!(!house.drop(gone).exists(), "{gone}: {text}");
    }
    for never in ["passwd", "back", "link.xml"] {
        assert!(!at.join(never).exists(), "{never}: {text}");
    }
    assert_eq!(
        std::fs::read(at.join("secret")).unwrap(),
        b"not for partners"
    );
    let parts = std::fs::read_dir(house.drop("in")).unwrap().count();
    assert_eq!(parts, 3, "nothing is left of what was under way");
    let what = house.what();
    assert!(
        matches!(&what[0], What::LoggedIn(key) if key.starts_with("SHA256:")),
        "{what:?}"
    );
    for event in [
        What::Stored("/in/large.bin".into(), 900_000),
        What::Stored("/in/first.csv".into(), 4),
        What::Renamed("/in/first.csv".into(), "/in/second.csv".into()),
        What::Fetched("/out/answer.xml".into(), 5),
        What::Removed("/out/answer.xml".into()),
    ] {
        assert!(what.contains(&event), "{event:?} in {what:?}");
    }
    assert_eq!(what.len(), 6, "{what:?}");

    // The quota holds, and what was refused leaves nothing.
    let output = house
        .sftp("ghx", "own-rsa", "-put large.bin in/second-large.bin\n")
        .await;
    assert!(said(&output).contains("Failure"), "{}", said(&output));
    assert!(!house.drop("in/second-large.bin").exists());
    let more = "put small.csv in/3\nput small.csv in/4\nput small.csv in/5\n-put small.csv in/6\n";
    let output = house.sftp("ghx", "own", more).await;
    assert!(said(&output).contains("Failure"), "{}", said(&output));
    assert!(house.drop("in/5").exists() && !house.drop("in/6").exists());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_in_and_nobody_gets_more() {
    let house = House::open().await;
    let own = std::fs::read_to_string(house.folder.path().join("own.pub")).unwrap();
    for (user, key) in [
        ("ghx", "other"),
        ("root", "own"),
        ("nobody", "other"),
        ("GHX", "own"),
    ] {
        let output = house.sftp(user, key, "ls\n").await;
        assert!(!output.status.success(), "{user} {key}");
        assert!(
            said(&output).contains("Permission denied"),
            "{}",
            said(&output)
        );
    }
    until(|| house.events.lock().len() == 4).await;
    assert_eq!(
        house.what()[0],
        What::Refused("no key of the client, not from where it comes from, or no longer")
    );
    assert_eq!(house.what()[1], What::Refused("no such client"));
    assert!(house.events.lock().iter().all(|one| one.client.is_none()));
    // One whose time is over, and one from elsewhere.
    house.admit(|config| config.expires = Some(Timestamp::now()), &own);
    assert!(!house.sftp("ghx", "own", "ls\n").await.status.success());
    house.admit(
        |config| config.addresses = vec!["10.0.0.0/8".parse().unwrap()],
        &own,
    );
    assert!(!house.sftp("ghx", "own", "ls\n").await.status.success());
    house.admit(|config| config.sessions = 0, &own);
    assert!(!house.sftp("ghx", "own", "ls\n").await.status.success());
    house.admit(|_| {}, &own);
    assert!(house.sftp("ghx", "own", "ls\n").await.status.success());
    // No shell, no command, no port.
    for words in [
        &["ghx@127.0.0.1", "id"][..],
        &["-s", "ghx@127.0.0.1", "shell"],
    ] {
        let mut ssh = house.ssh("ssh", "own");
        ssh.args(words).stdin(Stdio::null());
        let output = soon(tokio::task::spawn_blocking(move || ssh.output().unwrap()))
            .await
            .unwrap();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{}",
            said(&output)
        );
    }
    let mut ssh = house.ssh("ssh", "own");
    ssh.args(["-W", "127.0.0.1:22", "ghx@127.0.0.1"])
        .stdin(Stdio::null());
    let output = soon(tokio::task::spawn_blocking(move || ssh.output().unwrap()))
        .await
        .unwrap();
    assert!(!output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("prohibited") || said(&output).contains("failed"),
        "{}",
        said(&output)
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let house = House::open().await;
    std::fs::write(house.folder.path().join("large.bin"), vec![7; 1_000_000]).unwrap();
    std::fs::write(
        house.folder.path().join("batch"),
        "put large.bin in/large.bin\n",
    )
    .unwrap();
    let mut sftp = house.ssh("sftp", "own");
    // 100 kbit/s: it takes more than a minute.
    sftp.args(["-l", "100", "-b", "batch", "ghx@127.0.0.1"]);
    let mut child = sftp.stdout(Stdio::null()).spawn().unwrap();
    let inside = || std::fs::read_dir(house.drop("in")).unwrap().count();
    until(|| inside() == 1).await;
    assert!(!house.drop("in/large.bin").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| inside() == 0).await;
    assert!(
        !house
            .what()
            .iter()
            .any(|what| matches!(what, What::Stored(..)))
    );
    house.close().await;
}

const PARAMIKO: &str = r#"
import io, sys, paramiko
port, key = int(sys.argv[1]), paramiko.Ed25519Key.from_private_key_file(sys.argv[2])
client = paramiko.SSHClient()
client.load_host_keys(sys.argv[3])
client.connect("127.0.0.1", port, "ghx", pkey=key, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
body = bytes(range(256)) * 2000
assert sftp.listdir("/") == ["in", "out"], sftp.listdir("/")
assert sftp.putfo(io.BytesIO(body), "/in/p.bin", confirm=True).st_size == len(body)
with sftp.open("in/q.txt", "wx") as file:
    file.write("one\n")
    assert sftp.listdir("in") == ["p.bin"], "it is there when it is closed"
with sftp.open("in/q.txt", "a") as file:
    file.write("two\n")
assert sftp.stat("in/q.txt").st_size == 8
got = io.BytesIO(); sftp.getfo("out/large.bin", got)
assert got.getvalue() == b"x" * 3000000
def refused(act, *words):
    try: act(*words)
    except IOError: return
    raise SystemExit(f"{act} {words} was done")
refused(sftp.open, "in/q.txt", "wx")
refused(sftp.open, "in/p.bin", "r")
refused(sftp.open, "out/new", "w")
refused(sftp.posix_rename, "in/q.txt", "in/p.bin")
refused(sftp.rename, "in/q.txt", "in/p.bin")
refused(sftp.symlink, "/etc/passwd", "in/link")
refused(sftp.readlink, "in/q.txt")
refused(sftp.mkdir, "in/d")
refused(sftp.truncate, "in/q.txt", 1)
for path in ["../../etc/passwd", "/etc/passwd", "in/../../etc/passwd", "in/a/b", "in/a\0b", "x" * 5000, "in/" + "y" * 300]:
    refused(sftp.stat, path)
    refused(sftp.open, path, "w")
assert sftp.normalize("in/../out/./") == "/out"
sftp.remove("in/q.txt")
client.close()
print("done")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn paramiko_brings_and_fetches_files() {
    let python =
        std::env::var_os("WARDLINE_PEERS").map(|at| PathBuf::from(at).join("py/bin/python"));
    let able = |python: &PathBuf| {
        let tried = Command::new(python)
            .args(["-c", "import paramiko"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(python) = python.filter(able) else {
        eprintln!("skipped: `cargo xtask peers` installs paramiko");
        return;
    };
    let house = House::open().await;
    std::fs::write(house.drop("out/large.bin"), vec![b'x'; 3_000_000]).unwrap();
    let at = |name: &str| house.folder.path().join(name);
    let mut run = Command::new(python);
    run.args(["-c", PARAMIKO, &house.port.to_string()]);
    run.args([at("own"), at("known_hosts")]);
    let output = soon(tokio::task::spawn_blocking(move || run.output().unwrap()))
        .await
        .unwrap();
    assert!(said(&output).contains("done"), "{}", said(&output));
    assert_eq!(
        std::fs::metadata(house.drop("in/p.bin")).unwrap().len(),
        512_000
    );
    house.close().await;
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A packet of these parts after its length.
fn packet(kind: u8, id: u32, rest: &[&[u8]]) -> Vec<u8> {
    let rest: Vec<u8> = rest.concat();
    let mut bytes = BytesMut::new();
    bytes.put_u32(rest.len() as u32 + 5);
    bytes.put_u8(kind);
    bytes.put_u32(id);
    bytes.put_slice(&rest);
    bytes.to_vec()
}

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

async fn channel(house: &House) -> (client::Handle<Trusting>, Channel<client::Msg>) {
    let config = Arc::new(client::Config::default());
    let mut session = client::connect(config, ("127.0.0.1", house.port), Trusting)
        .await
        .unwrap();
    let own = std::fs::read_to_string(house.folder.path().join("own")).unwrap();
    let key = Arc::new(russh::keys::decode_secret_key(&own, None).unwrap());
    let key = PrivateKeyWithHashAlg::new(key, None);
    assert!(
        session
            .authenticate_publickey("ghx", key)
            .await
            .unwrap()
            .success()
    );
    let channel = session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    channel.data_bytes(packet(1, 3, &[])).await.unwrap();
    (session, channel)
}

/// The next bytes; `None` at the end.
async fn next(channel: &mut Channel<client::Msg>) -> Option<Vec<u8>> {
    loop {
        match soon(channel.wait()).await? {
            ChannelMsg::Data { data } => return Some(data.to_vec()),
            ChannelMsg::Close | ChannelMsg::Eof => return None,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_means_no_good_comes_to_nothing() {
    let house = House::open().await;
    // Lengths that lie end the channel.
    for hostile in [
        vec![0xff; 64],
        vec![0, 0, 0, 0],
        packet(3, 9, &[&[0xff, 0xff, 0xff, 0xff]]),
        packet(
            6,
            9,
            &[&text(&[0, 0, 0, 0]), &[0xff; 8], &[0x7f, 0xff, 0xff, 0xff]],
        ),
        packet(
            9,
            9,
            &[&text(b"in"), &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
        ),
    ] {
        let (session, mut channel) = channel(&house).await;
        next(&mut channel).await.unwrap();
        channel.data_bytes(hostile).await.unwrap();
        assert!(next(&mut channel).await.is_none());
        drop(session);
    }
    let (_session, mut channel) = channel(&house).await;
    next(&mut channel).await.unwrap();
    // A file of 16 EiB is not begun; one byte at the end of what is allowed is too much as well.
    let flags = 2_u32 | 8 | 16;
    let open = packet(3, 1, &[&text(b"in/sparse"), &flags.to_be_bytes(), &[0; 4]]);
    channel.data_bytes(open).await.unwrap();
    let handle = next(&mut channel).await.unwrap();
    assert_eq!(handle[4], 102);
    let handle = handle[9..].to_vec();
    for offset in [u64::MAX, u64::MAX / 2, 1 << 20] {
        let write = packet(6, 2, &[&handle, &offset.to_be_bytes(), &text(b"x")]);
        channel.data_bytes(write).await.unwrap();
        let answer = next(&mut channel).await.unwrap();
        assert_eq!((answer[4], answer[12]), (101, 4), "{answer:?}");
    }
    // Handles run out, and those that are none are nothing.
    let mut refused = 0;
    for _ in 0..80 {
        channel
            .data_bytes(packet(11, 3, &[&text(b"in")]))
            .await
            .unwrap();
        refused += u32::from(next(&mut channel).await.unwrap()[4] == 101);
    }
    assert_eq!(refused, 76);
    for odd in [
        &b""[..],
        b"\xff\xff\xff\xff",
        b"a long handle that nobody gave",
    ] {
        channel
            .data_bytes(packet(4, 4, &[&text(odd)]))
            .await
            .unwrap();
        assert_eq!(next(&mut channel).await.unwrap()[4], 101);
    }
    house.close().await;
}
