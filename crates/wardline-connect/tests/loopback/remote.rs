//! What holds of every directory of another machine, tried with each kind of them.

use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wardline_connect::files::{
    Directory, Outbound, OutboundConfig, Split, Then, Trouble, Watch, WatchConfig,
};
use wardline_connect::{ContentType, Intake, Outbound as _, Request, Verdict};

use crate::stage::{Engine, id, soon, until};

pub(crate) type Remote = Arc<dyn Directory>;

/// Calls of a directory block.
pub(crate) async fn on<T: Send + 'static>(
    remote: &Remote,
    work: impl FnOnce(&dyn Directory) -> T + Send + 'static,
) -> T {
    let remote = Arc::clone(remote);
    soon(tokio::task::spawn_blocking(move || work(&*remote)))
        .await
        .unwrap()
}

pub(crate) fn read(remote: &dyn Directory, path: &str) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    remote.open(path)?.read_to_end(&mut all)?;
    Ok(all)
}

/// The names right below, in order.
pub(crate) async fn names(remote: &Remote, below: &'static str) -> Vec<String> {
    let listed = on(remote, move |remote| remote.list(below, 100)).await;
    let mut names: Vec<_> = listed.unwrap().into_iter().map(|one| one.name).collect();
    names.sort();
    names
}

pub(crate) fn code(error: &std::io::Error) -> String {
    Trouble::of(error).map_or_else(|| format!("none: {error}"), |one| one.code.0.to_owned())
}

pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

pub(crate) async fn put(remote: &Remote, path: &'static str, content: Vec<u8>) {
    on(remote, move |remote| remote.write(path, &mut &content[..]))
        .await
        .unwrap();
}

pub(crate) fn watching() -> WatchConfig {
    WatchConfig {
        source: "erp.receipts".into(),
        below: "out".into(),
        pattern: "*.csv".into(),
        every: Duration::from_millis(20),
        stable: Duration::from_millis(100),
        marker: None,
        then: Then::Archive,
        split: Split::Whole {
            layout: None,
            content_type: ContentType::Text,
            max_size: 64 << 20,
        },
    }
}

/// Files are taken once, put away, and take nobody's place.
pub(crate) async fn takes(remote: &Remote) {
    let engine = Engine::new(|_, _| Verdict::Accepted { id: id(1) });
    put(remote, "out/a b.csv", bytes(300_000)).await;
    put(remote, "out/b.txt", b"not asked for".to_vec()).await;
    for round in [vec!["a b.csv"], vec!["a b.csv", "a b.csv.1"]] {
        let watch = Watch::new(Arc::clone(remote), watching());
        let stop = CancellationToken::new();
        let running = tokio::spawn(watch.run(Arc::clone(&engine) as Arc<dyn Intake>, stop.clone()));
        let before = std::time::Instant::now();
        while names(remote, "archive").await != round {
            assert!(before.elapsed() < Duration::from_secs(30), "not put away");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.cancel();
        soon(running).await.unwrap();
        // The same name again, with other content, goes beside it.
        put(remote, "out/a b.csv", b"more".to_vec()).await;
    }
    let all = engine.begun.lock().clone();
    assert_eq!(all.len(), 2);
    assert!(all[0].body == bytes(300_000) && &all[1].body[..] == b"more");
    assert_eq!(names(remote, "out").await, ["a b.csv", "b.txt"]);
    let taken = on(remote, |remote| {
        remote.rename("out/b.txt", "archive/a b.csv")
    });
    assert_eq!(taken.await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let kept = on(remote, |remote| read(remote, "archive/a b.csv")).await;
    assert!(kept.unwrap() == bytes(300_000));
    on(remote, |remote| remote.remove("out/b.txt"))
        .await
        .unwrap();
    // One that is gone is no error.
    on(remote, |remote| remote.remove("out/b.txt"))
        .await
        .unwrap();
    let gone = on(remote, |remote| read(remote, "out/b.txt")).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(names(remote, "nowhere").await.is_empty());
    for path in ["../a", "out/../a", "a/b/c", "a/\r\nDELE b", ".."] {
        let refused = on(remote, move |remote| read(remote, path)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// So many bytes, and then an error.
pub(crate) struct Broken(pub(crate) usize);

impl std::io::Read for Broken {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::Error::other("broken"));
        }
        let length = into.len().min(self.0);
        self.0 -= length;
        Ok(length)
    }
}

/// Deliveries become files: whole, and under one name however often they are tried.
pub(crate) async fn writes(remote: &Remote, size: usize) {
    let config = OutboundConfig {
        below: "in".into(),
        name: "bill-{id}.json".into(),
        max_size: 64 << 20,
    };
    let out = Outbound::new(Arc::clone(remote), config);
    let body = bytes(size);
    for attempt in 1..=2 {
        let reply = soon(out.send(request(attempt, body.clone().into())))
            .await
            .unwrap();
        assert_eq!(&reply.body[..], b"in/bill-7.json");
    }
    let there = on(remote, |remote| read(remote, "in/bill-7.json")).await;
    assert!(there.unwrap() == body);
    assert_eq!(names(remote, "in").await, ["bill-7.json"]);
    // What cannot be read to its end is not written.
    let broken = on(remote, move |remote| {
        remote.write("in/half.json", &mut Broken(size))
    });
    broken.await.unwrap_err();
    assert_eq!(names(remote, "in").await, ["bill-7.json"]);
}

pub(crate) fn request(attempt: u32, body: bytes::Bytes) -> Request<'static> {
    Request {
        idempotency_key: "7",
        attempt,
        body,
        content_type: "application/json",
        method: None,
        path: None,
        correlation: "c",
    }
}

/// Hands a connection on, and cuts each of the first `cuts` after so many bytes.
pub(crate) async fn cutting(to: u16, after: usize, cuts: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let cut = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                if count.load(Ordering::SeqCst) >= cuts {
                    tokio::io::copy_bidirectional(&mut near, &mut far)
                        .await
                        .ok();
                    return;
                }
                let (mut near_read, mut near_write) = near.split();
                let (mut far_read, mut far_write) = far.split();
                let back = async {
                    let mut left = after;
                    let mut buffer = vec![0; 16 << 10];
                    while left > 0 {
                        let most = left.min(buffer.len());
                        let Ok(got @ 1..) = far_read.read(&mut buffer[..most]).await else {
                            return;
                        };
                        left -= got;
                        if near_write.write_all(&buffer[..got]).await.is_err() {
                            return;
                        }
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                };
                tokio::select! {
                    () = back => {}
                    _ = tokio::io::copy(&mut near_read, &mut far_write) => {}
                }
            });
        }
    });
    (port, cut)
}

/// Waits until somebody listens.
pub(crate) async fn answering(port: u16, log: &Path) {
    let before = std::time::Instant::now();
    until(|| {
        assert!(
            before.elapsed() < Duration::from_secs(20),
            "{}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .unwrap()
        .port()
}

/// The peers' Python; `None` where a package is absent and that is allowed.
pub(crate) fn python(package: &str) -> Option<std::path::PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        std::path::PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let proof = std::process::Command::new(&python)
        .args([
            "-c",
            &format!("from importlib.metadata import version; version('{package}')"),
        ])
        .output();
    if proof.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let text = format!("{package} is missing: `cargo xtask peers` installs what the tests need");
    assert!(std::env::var_os("CI").is_none(), "{text}");
    println!("skipped: {text}");
    None
}
