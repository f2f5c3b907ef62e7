//! Objects of a bucket as files, with moto as the object store and botocore to check signatures.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wardline_connect::Secret;
use wardline_connect::s3::{ClientConfig, Place, Remote, Style};
use wardline_connect::tls::ClientTls;

use crate::remote::{
    self, Broken, Remote as There, bytes, code, cutting, free_port, names, on, put, read,
};

/// An object store that nobody else uses.
struct Store {
    child: Child,
    port: u16,
}

const KEY_ID: &str = "AKIAWARDLINETEST";
const KEY: &str = "+open/sesame=";

impl Drop for Store {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok(), "the store was gone before");
    }
}

impl Store {
    fn start() -> Option<Self> {
        let python = remote::python("moto")?;
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/s3_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([&port.to_string(), KEY_ID, KEY, "lake"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find(|line| line.as_ref().is_ok_and(|line| line == "ready"));
        assert!(ready.is_some(), "the store is not ready");
        Some(Self { child, port })
    }

    fn config(&self) -> ClientConfig {
        ClientConfig {
            name: "lake.drop".into(),
            url: format!("http://127.0.0.1:{}", self.port),
            bucket: "lake".into(),
            region: "eu-central-1".into(),
            style: Style::Path,
            key_id: Secret::from(KEY_ID),
            key: Secret::from(KEY),
            directory: "st brigid/+é".into(),
            tls: ClientTls::default(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }
}

fn there(config: &ClientConfig) -> There {
    Arc::new(Remote::of(Place::new(config).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_objects_are_taken_and_written() {
    let Some(store) = Store::start() else { return };
    let remote = there(&store.config());
    // One request, and three parts.
    remote::writes(&remote, 100_000).await;
    remote::takes(&remote).await;
    let large = bytes(40 << 20);
    put(&remote, "in/large", large.clone()).await;
    let read_back = on(&remote, |remote| read(remote, "in/large")).await;
    assert!(read_back.unwrap() == large);
    let broken = on(&remote, |remote| {
        remote.write("in/half", &mut Broken(20 << 20))
    });
    broken.await.unwrap_err();
    assert_eq!(names(&remote, "in").await, ["bill-7.json", "large"]);

    // More names than one answer holds. Others' prefixes are not seen.
    on(&remote, |remote| {
        for number in 0..1_050 {
            remote
                .write(&format!("many/{number}"), &mut &b"x"[..])
                .unwrap();
        }
        assert_eq!(remote.list("many", 5_000).unwrap().len(), 1_050);
        assert_eq!(remote.list("many", 7).unwrap().len(), 7);
        assert!(remote.list("man", 10).unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_refuses_other_keys_and_buckets() {
    let Some(store) = Store::start() else { return };
    let mut config = store.config();
    config.key = Secret::from("wrong");
    let error = on(&there(&config), |remote| remote.list("", 10)).await;
    let error = error.unwrap_err();
    assert_eq!(code(&error), "W4333", "{error}");
    let text = error.to_string();
    assert!(
        !text.contains("wrong") && !text.contains("Signature="),
        "{text}"
    );
    let mut config = store.config();
    config.bucket = "nowhere".into();
    let error = on(&there(&config), |remote| remote.list("", 10)).await;
    let error = error.unwrap_err();
    assert_eq!(code(&error), "W4334", "{error}");
    let mut config = store.config();
    config.url = "http://127.0.0.1:1".into();
    let error = on(&there(&config), |remote| remote.list("", 10)).await;
    assert_eq!(code(&error.unwrap_err()), "W4332");
    let place = Place::new(&store.config()).unwrap();
    assert!(!format!("{place:?}").contains(KEY_ID));
    let withheld: There = Arc::new(Remote::of(place.without_credentials()));
    let error = on(&withheld, |remote| remote.list("", 10)).await;
    assert_eq!(code(&error.unwrap_err()), "W4333");
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_objects_that_break_off_are_taken_up_where_they_were() {
    let Some(store) = Store::start() else { return };
    put(&there(&store.config()), "out/a", bytes(3_000_000)).await;
    let (port, cut) = cutting(store.port, 1_000_000, 2).await;
    let mut config = store.config();
    config.url = format!("http://127.0.0.1:{port}");
    let remote = there(&config);
    let whole = on(&remote, |remote| read(remote, "out/a")).await;
    assert!(whole.unwrap() == bytes(3_000_000));
    assert_eq!(cut.load(Ordering::SeqCst), 2);

    // One that became another meanwhile is not put together of both.
    let (port, _) = cutting(store.port, 1_000_000, 1).await;
    config.url = format!("http://127.0.0.1:{port}");
    let direct = there(&store.config());
    let cut = there(&config);
    let error = on(&cut, move |remote| {
        let mut open = remote.open("out/a").unwrap();
        let mut some = vec![0; 100_000];
        open.read_exact(&mut some).unwrap();
        direct.write("out/a", &mut &bytes(2_500_000)[..]).unwrap();
        open.read_to_end(&mut some).unwrap_err()
    });
    assert_eq!(code(&error.await), "W4335");
}
