//! A partner brings a file into its drop box with OpenSSH's `sftp`; Wardline takes it, writes an
//! answer into the box, fetches that over SFTP as if it were another house's, and writes it over SFTP again.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A step that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);

struct Place {
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let ended = server.kill().and_then(|()| server.wait());
            assert!(ended.is_ok(), "the server was gone before");
        }
    }
}

fn free() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
}

fn keygen(at: &Path) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(at)
        .status();
    assert!(made.unwrap().success());
    std::fs::read_to_string(at.with_extension("pub")).unwrap()
}

impl Place {
    fn make(folder: &Path) -> Self {
        let (port, console) = (free(), free());
        let write = |path: &str, text: &str| {
            let path = folder.join("estate").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let host = keygen(&folder.join("host"));
        let (own, bank) = (keygen(&folder.join("own")), keygen(&folder.join("bank")));
        let secret = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        write("secrets/host", &secret("host"));
        write("secrets/bank", &secret("bank"));
        for name in ["host", "bank"] {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.join("estate/secrets").join(name);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        write("clients/ghx.keys", &own);
        write("clients/bank.keys", &bank);
        write(
            "clients/all.yaml",
            "client: ghx\nowner: it\nkind: partner\nzone: partner\nauth: { ssh: clients/ghx.keys }\n---\n\
             client: bank\nowner: it\nkind: partner\nzone: partner\nauth: { ssh: clients/bank.keys }\n",
        );
        write(
            "wardline.yaml",
            &format!(
                "estate: boxes\nzone: UTC\nstore: sqlite\nkeys: {{ provider: file, path: ./keys }}\nlisteners:\n  console: {{ zone: admin, bind: \"127.0.0.1:{console}\" }}\n\
                 dropboxes:\n  bind: \"127.0.0.1:{port}\"\n  host_key: secret:host\n  boxes:\n    ghx: {{ directory: drop/ghx }}\n    bank: {{ directory: drop/bank }}\n"
            ),
        );
        let reach = format!(
            "host: 127.0.0.1, port: {port}, host_key: \"{}\", user: bank, key: secret:bank",
            host.trim()
        );
        write(
            "systems/ghx.yaml",
            &format!(
                "system: ghx\nowner: supply\nconnections:\n  \
                 invoices: {{ files: {{ directory: drop/ghx, poll: \"in/*.csv\", every: 100ms, stable: 0s }} }}\n  \
                 answers: {{ files: {{ directory: drop/bank, write: \"out/answer-{{id}}.csv\" }} }}\n  \
                 fetched: {{ sftp: {{ {reach}, poll: \"out/*.csv\", every: 200ms, stable: 0s, then: delete }} }}\n  \
                 brought: {{ sftp: {{ {reach}, write: \"in/paid-{{id}}.csv\" }} }}\n"
            ),
        );
        write(
            "flows/all.yaml",
            "flow: invoices\nowner: supply\nfrom: ghx.invoices\nto: [{ send: ghx.answers }]\n---\n\
             flow: payments\nowner: supply\nfrom: ghx.fetched\nto: [{ send: ghx.brought }]\n",
        );
        Self {
            folder: folder.to_owned(),
            port,
            server: None,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
        command
            .args(words)
            .arg("--data")
            .arg(self.folder.join("data"))
            .env_remove("WARDLINE_ESTATE")
            .env_remove("WARDLINE_DATA")
            .env("WARDLINE_ESTATE", self.folder.join("estate"))
            .stdin(Stdio::null());
        command
    }

    fn serve(&mut self) {
        let log = std::fs::File::create(self.folder.join("log")).unwrap();
        let mut command = self.command(&["serve"]);
        command.arg(self.folder.join("estate"));
        self.server = Some(
            command
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
        self.until(|place| place.log().contains("wardline ready"));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn until(&self, reached: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !reached(self) {
            assert!(began.elapsed() < PATIENCE, "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn sftp(&self, batch: &str) -> Output {
        std::fs::write(self.folder.join("batch"), batch).unwrap();
        Command::new("sftp")
            .current_dir(&self.folder)
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=known",
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "BatchMode=yes",
            ])
            .args([
                "-i",
                "own",
                "-P",
                &self.port.to_string(),
                "-b",
                "batch",
                "ghx@127.0.0.1",
            ])
            .output()
            .unwrap()
    }

    fn files(&self, below: &str) -> Vec<PathBuf> {
        let Ok(all) = std::fs::read_dir(self.folder.join("estate").join(below)) else {
            return Vec::new();
        };
        all.map(|one| one.unwrap().path())
            .filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'))
            .collect()
    }
}

#[test]
fn a_file_goes_through_two_drop_boxes_and_the_audit_log_tells() {
    if Command::new("sftp").arg("-h").output().is_err() {
        eprintln!("skipped: `cargo xtask peers` installs OpenSSH");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::make(folder.path());
    place.serve();
    assert!(
        place.log().contains("sftp://ghx@127.0.0.1:"),
        "{}",
        place.log()
    );
    std::fs::write(folder.path().join("a.csv"), "invoice;1;12.50\n").unwrap();
    let output = place.sftp("put a.csv in/a.csv\nls in\n");
    assert!(output.status.success(), "{output:?} {}", place.log());
    place.until(|place| !place.files("drop/bank/in").is_empty());
    let paid = place.files("drop/bank/in");
    assert_eq!(paid.len(), 1);
    assert_eq!(
        std::fs::read_to_string(&paid[0]).unwrap(),
        "invoice;1;12.50\n"
    );
    place.until(|place| place.files("drop/bank/out").is_empty());
    assert_eq!(place.files("drop/ghx/archive").len(), 1);

    // Who came and what for is in the log, within its chain.
    let entries = || {
        let told = place
            .command(&["audit", "list", "--json"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr)
    };
    let acts = [
        "dropbox.login",
        "dropbox.store",
        "dropbox.fetch",
        "dropbox.remove",
    ];
    place.until(|_| {
        let entries = entries();
        acts.iter().all(|act| entries.contains(act))
    });
    let entries = entries();
    assert!(
        entries.contains("client:ghx") && entries.contains("/in/a.csv"),
        "{entries}"
    );
    assert!(!entries.contains("12.50"), "{entries}");

    // A key that is taken out of its file opens nothing any more.
    let other = std::fs::read(folder.path().join("estate/clients/bank.keys")).unwrap();
    std::fs::write(folder.path().join("estate/clients/ghx.keys"), other).unwrap();
    let reloaded = place
        .command(&["reload", "--reason", "a key was lost"])
        .output()
        .unwrap();
    assert!(reloaded.status.success(), "{reloaded:?}");
    assert!(!place.sftp("ls\n").status.success());
}
