//! What must hold while things change or somebody misbehaves.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use wardline_connect::Secret;
use wardline_connect::tls::{Identity, Pem, ServerTls};
use wardline_core::Lane;
use wardline_gateway::plan::{Capacity, ListenerLimits};
use wardline_gateway::seam::{Ended, Facts, Observer, Pass, Peer};
use wardline_gateway::{Gatekeeper, Kind, Plan, Problem};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_replaced_plans_drop_nothing() {
    let (old, new) = (System::echo("old").await, System::echo("new").await);
    let plan_of = |name: &str| {
        plan(
            vec![suppliers(&bound(name))],
            vec![old.upstream("old"), new.upstream("new")],
        )
    };
    let site = Arc::new(Site::start(plan_of("old")).await);
    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::<AtomicUsize>::default(),
    );
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (site, stop, served) = (Arc::clone(&site), Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let reply = site
                        .send("POST", "/suppliers/v1/suppliers", &[], "{}")
                        .await;
                    assert_eq!(reply.status, 200, "{:?}", reply.body);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..1_000 {
        let name = if round % 2 == 0 { "new" } else { "old" };
        site.gateway
            .replace(plan_of(name))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(
        served.load(Ordering::Relaxed),
        old.count() + new.count(),
        "each call arrived once"
    );
    assert!(old.count() > 0 && new.count() > 0);
}

#[tokio::test]
async fn a_listener_that_stops_answers_what_is_in_hand() {
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (told, waits) = (Arc::clone(&arrived), Arc::clone(&go));
    let system = System::start(move |_| {
        let (told, waits) = (Arc::clone(&told), Arc::clone(&waits));
        async move {
            told.add_permits(1);
            waits.acquire().await.unwrap().forget();
            answer(StatusCode::OK, "{}")
        }
    })
    .await;
    let site = Site::start(plan(
        vec![suppliers(&bound("erp"))],
        vec![system.upstream("erp")],
    ))
    .await;
    let Site {
        gateway,
        address,
        client,
    } = site;
    let uri = format!("http://{address}/suppliers/v1/suppliers");
    let request = http::Request::get(uri)
        .header("x-caller", "a")
        .body(http_body_util::Full::default())
        .unwrap();
    let asked = tokio::spawn(async move { client.request(request).await });
    arrived.acquire().await.unwrap().forget();
    let stopping = tokio::spawn(gateway.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.add_permits(1);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    stopping.await.unwrap();
}

#[tokio::test]
async fn slow_and_idle_connections_are_closed() {
    let system = System::echo("erp").await;
    let mut plan = plan(vec![suppliers(&bound("erp"))], vec![system.upstream("erp")]);
    let second = Duration::from_secs(1);
    plan.listeners[0].limits = ListenerLimits {
        head_time: second,
        idle: second,
        ..ListenerLimits::default()
    };
    let site = Site::start(plan).await;
    let head = "GET /suppliers/v1/suppliers HTTP/1.1\r\nHost: x\r\nx-caller: a\r\n";
    // Each of these waits until the other side closes; none does so by itself.
    let whole = format!("{head}\r\n");
    let (silent, slow, idle) = tokio::join!(
        site.raw(b""),
        site.raw(head.as_bytes()),
        site.raw(whole.as_bytes()),
    );
    assert_eq!((silent.as_str(), slow.as_str()), ("", ""));
    assert!(idle.starts_with("HTTP/1.1 200 "), "{idle}");
}

#[tokio::test]
async fn bodies_are_counted_as_they_unpack() {
    let system = System::echo("erp").await;
    let mut api = suppliers(&bound("erp"));
    for operation in &mut api.operations {
        operation.limits.compressed = true;
        operation.limits.body = 100_000;
    }
    let site = Site::start(plan(vec![api], vec![system.upstream("erp")])).await;
    let pack = |bytes: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        bytes::Bytes::from(packed.finish().unwrap())
    };
    let headers = [("content-encoding", "gzip")];
    let path = "/suppliers/v1/suppliers";
    let reply = site
        .send_bytes("POST", path, &headers, pack(b"{\"a\":1}"))
        .await;
    assert_eq!(
        (reply.status, &reply.json()["body"]),
        (200, &"{\"a\":1}".into())
    );
    assert!(
        !reply.json()["headers"]
            .as_object()
            .unwrap()
            .contains_key("content-encoding")
    );
    let bomb = pack(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < 100_000, "it is small while packed");
    let reply = site.send_bytes("POST", path, &headers, bomb).await;
    assert_eq!(reply.problem(), "body-too-large");
    assert_eq!(reply.headers["connection"], "close");
    assert_eq!(
        site.send("POST", path, &headers, "not gzip")
            .await
            .problem(),
        "body-broken"
    );
    assert_eq!(system.count(), 1);
}

#[tokio::test]
async fn full_bulk_leaves_realtime_alone() {
    let go = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go);
    let system = System::start(move |saw| {
        let waits = Arc::clone(&waits);
        async move {
            if saw.method == Method::POST {
                waits.acquire().await.unwrap().forget();
            }
            answer(StatusCode::OK, "{}")
        }
    })
    .await;
    let mut api = suppliers(&bound("erp"));
    api.operations[2].lane = Lane::Bulk;
    let mut plan = plan(vec![api], vec![system.upstream("erp")]);
    plan.capacity = Capacity {
        total: 8,
        normal: 6,
        bulk: 2,
        wait: Duration::from_millis(20),
    };
    let site = Arc::new(Site::start(plan).await);
    let bulk: Vec<_> = (0..10)
        .map(|_| {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                site.send("POST", "/suppliers/v1/suppliers", &[], "{}")
                    .await
                    .status
            })
        })
        .collect();
    while system.count() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
    }
    // Those that found no place in time were told so; only then may the others go on.
    let mut told = Vec::new();
    let mut bulk = futures::stream::FuturesUnordered::from_iter(bulk);
    while told.len() < 8 {
        told.push(futures::StreamExt::next(&mut bulk).await.unwrap().unwrap());
    }
    assert_eq!(told, [503; 8]);
    go.add_permits(2);
    while let Some(status) = futures::StreamExt::next(&mut bulk).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(system.count(), 22);
}

/// Knows callers by the certificate that they proved to own.
struct ByCertificate;

#[async_trait::async_trait]
impl Gatekeeper for ByCertificate {
    async fn identify(
        &self,
        peer: &Peer,
        _: &http::HeaderMap,
    ) -> Result<Arc<wardline_access::Caller>, Problem> {
        let certificate = peer.certificate.as_ref().ok_or(Kind::Unauthenticated)?;
        Ok(Arc::new(caller(&format!("der-{}", certificate.len()))))
    }

    async fn admit(
        &self,
        _: &wardline_gateway::plan::Api,
        _: &wardline_gateway::plan::Operation,
        facts: &Facts<'_>,
    ) -> Result<Pass, Problem> {
        assert!(
            facts
                .caller
                .is_some_and(|caller| caller.name.starts_with("der-"))
        );
        let mask: wardline_gateway::plan::Transform = Arc::new(|mut value| {
            value.as_object_mut().map(|object| object.remove("headers"));
            Ok(value)
        });
        Ok(Pass {
            mask: Some(mask),
            ..Pass::default()
        })
    }
}

#[tokio::test]
async fn mutual_tls_shows_the_certificate_and_masks_apply() {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        (cert, key)
    };
    let (cert, key) = issue("localhost");
    let pem = |text: String| Pem::Text(Secret::new(text.into_bytes()));
    let identity = Identity {
        cert: pem(cert.pem()),
        key: pem(key.serialize_pem()),
    };
    let tls = ServerTls {
        identity,
        client_ca: Some(pem(ca.pem())),
        crl: None,
    };
    let system = System::echo("erp").await;
    let mut plan = plan(vec![suppliers(&bound("erp"))], vec![system.upstream("erp")]);
    plan.listeners[0].tls = Some(tls.build("internal", &[b"http/1.1"]).unwrap());
    plan.gatekeeper = Arc::new(ByCertificate);
    let site = Site::start(plan).await;
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let (cert, key) = issue("client");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = builder.with_root_certificates(roots);
    let with = builder
        .clone()
        .with_client_auth_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let said = async |config: ClientConfig| {
        let tcp = TcpStream::connect(site.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await?;
        stream
            .write_all(
                b"GET /suppliers/v1/suppliers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            )
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    let text = said(with).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200 ")
            && text.contains("\"system\":\"erp\"")
            && !text.contains("headers\":"),
        "{text}"
    );
    let without = said(builder.with_no_client_auth()).await;
    assert!(without.is_err(), "{without:?}");
}

struct Book {
    seen: parking_lot::Mutex<Vec<(u16, Option<Kind>)>>,
    full: AtomicBool,
}

#[async_trait::async_trait]
impl Observer for Book {
    fn waits(&self, _: &Ended<'_>) -> bool {
        true
    }

    async fn before_answer(&self, _: &Ended<'_>) -> Result<(), Problem> {
        if self.full.load(Ordering::Relaxed) {
            Err(Kind::NotDurable.into())
        } else {
            Ok(())
        }
    }

    fn ended(&self, ended: &Ended<'_>) {
        self.seen
            .lock()
            .push((ended.status.as_u16(), ended.problem));
    }
}

#[tokio::test]
async fn an_answer_without_its_record_does_not_leave() {
    let book = Arc::new(Book {
        seen: parking_lot::Mutex::default(),
        full: AtomicBool::new(false),
    });
    let system = System::echo("erp").await;
    let plan = Plan {
        observer: book.clone(),
        ..plan(vec![suppliers(&bound("erp"))], vec![system.upstream("erp")])
    };
    let site = Site::start(plan).await;
    assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
    book.full.store(true, Ordering::Relaxed);
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "not-durable"
    );
    assert_eq!(
        *book.seen.lock(),
        [(200, None), (503, Some(Kind::NotDurable))]
    );
}
