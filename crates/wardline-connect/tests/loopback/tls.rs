//! TLS and mutual TLS, with certificates made for each test.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use wardline_connect::http::{InboundAuth, Ingress, IngressConfig, Route};
use wardline_connect::mllp::{Outbound, OutboundConfig, send_once};
use wardline_connect::tls::{ClientTls, Pem, ServerTls};
use wardline_connect::{ConnectError, Counters, FailureKind, Intake, Outbound as _, Request, http};

use crate::stage::{Authority, Engine, Running, brief, listen, message, mllp, soon, until};

const LIMIT: Duration = Duration::from_secs(20);

async fn mllps(server: ServerTls, engine: &Arc<Engine>) -> Running {
    let mut config = mllp();
    config.tls = Some(server);
    listen(config, engine).await
}

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls {
        ca: Some(authority.pem()),
        identity: None,
        server_name: None,
    }
}

#[tokio::test]
async fn mllp_over_tls() {
    let authority = Authority::new();
    let engine = Engine::accepting();
    let running = mllps(
        ServerTls {
            identity: authority.issue("127.0.0.1"),
            client_ca: None,
            crl: None,
        },
        &engine,
    )
    .await;
    let addr = running.addr.to_string();
    let answer = send_once(&addr, Some(&trusting(&authority)), message("1"), LIMIT)
        .await
        .unwrap();
    assert_eq!(brief(&answer), "AA 1");
    // A large message crosses many TLS records.
    let large = Bytes::from(
        [
            message("2").as_ref(),
            b"NTE|1||",
            &vec![b'x'; 2_000_000],
            b"\r",
        ]
        .concat(),
    );
    let answer = send_once(&addr, Some(&trusting(&authority)), large.clone(), LIMIT)
        .await
        .unwrap();
    assert_eq!(brief(&answer), "AA 2");
    assert_eq!(engine.begun.lock()[1].body, large);
    // Plain bytes on a TLS port are no handshake.
    send_once(&addr, None, message("3"), LIMIT)
        .await
        .unwrap_err();
    until(|| running.counters.snapshot().handshakes_failed == 1).await;
    assert_eq!(engine.begun(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let engine = Engine::accepting();
    let running = mllps(
        ServerTls {
            identity: authority.issue("127.0.0.1"),
            client_ca: None,
            crl: None,
        },
        &engine,
    )
    .await;
    let wrong_name = ClientTls {
        server_name: Some("lab.example".into()),
        ..trusting(&authority)
    };
    for tls in [trusting(&other), wrong_name] {
        let mut config = OutboundConfig::new("lab.results", running.addr.to_string());
        config.tls = Some(tls);
        let failure = soon(Outbound::new(config).unwrap().send(request(message("1"))))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Unreachable, "W4108"),
            "{failure}"
        );
    }
    assert_eq!(engine.begun(), 0);
    running.stop().await;
}

#[tokio::test]
async fn mutual_tls_wants_a_certificate_of_its_own_authority() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let engine = Engine::accepting();
    let server = ServerTls {
        identity: servers.issue("127.0.0.1"),
        client_ca: Some(clients.pem()),
        crl: None,
    };
    let running = mllps(server, &engine).await;
    let addr = running.addr.to_string();
    let with = |identity| ClientTls {
        identity,
        ..trusting(&servers)
    };
    for refused in [with(None), with(Some(strangers.issue("ehr")))] {
        send_once(&addr, Some(&refused), message("1"), LIMIT)
            .await
            .unwrap_err();
    }
    until(|| running.counters.snapshot().handshakes_failed == 2).await;
    assert_eq!(engine.begun(), 0);
    let answer = send_once(
        &addr,
        Some(&with(Some(clients.issue("ehr")))),
        message("1"),
        LIMIT,
    )
    .await
    .unwrap();
    assert_eq!(brief(&answer), "AA 1");
    running.stop().await;
}

#[tokio::test]
async fn http_over_tls_both_ways() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let engine = Engine::accepting();
    let mut config = IngressConfig::new(
        "partner",
        "127.0.0.1:0",
        vec![Route::post(
            "hr.events",
            "/in",
            InboundAuth::Bearer("t".into()),
        )],
    );
    config.tls = Some(ServerTls {
        identity: servers.issue("127.0.0.1"),
        client_ca: Some(clients.pem()),
        crl: None,
    });
    let ingress = Ingress::bind(config).await.unwrap();
    let (addr, counters) = (ingress.local_addr(), ingress.counters());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(ingress.run(Arc::clone(&engine) as Arc<dyn Intake>, shutdown.clone()));
    let running = Running {
        addr,
        counters,
        shutdown,
        task,
    };

    let sender = |tls| {
        let mut config = http::OutboundConfig::new("hr", format!("https://{addr}/in"));
        config.auth = http::OutboundAuth::Bearer("t".into());
        config.tls = tls;
        http::Outbound::new(config).unwrap()
    };
    let known = sender(ClientTls {
        identity: Some(clients.issue("hr")),
        ..trusting(&servers)
    });
    let reply = soon(known.send(request(Bytes::from_static(b"hired"))))
        .await
        .unwrap();
    assert_eq!(reply.status, "202");
    let stranger = sender(trusting(&servers));
    let failure = soon(stranger.send(request(Bytes::from_static(b"hired"))))
        .await
        .unwrap_err();
    assert!(failure.kind.may_pass(), "{failure}");
    let failure = soon(sender(trusting(&clients)).send(request(Bytes::from_static(b"hired"))))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Unreachable, "W4201")
    );
    assert!(
        failure.text.contains("certificate"),
        "the reason is named: {failure}"
    );
    assert_eq!(engine.begun(), 1);
    let refused: &Counters = &running.counters;
    assert!(refused.snapshot().handshakes_failed >= 1);
    drop((known, stranger));
    running.stop().await;
}

#[tokio::test]
async fn pem_files_are_read_and_faults_in_them_named() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = authority.issue_pem("127.0.0.1");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("node.pem"), &cert).unwrap();
    std::fs::write(path("node.key"), &key).unwrap();
    std::fs::write(path("empty.pem"), "nothing here").unwrap();
    let (_, other_key) = authority.issue_pem("127.0.0.1");
    std::fs::write(path("other.key"), other_key).unwrap();
    let tls = |cert: &str, key: &str| ServerTls {
        identity: wardline_connect::tls::Identity {
            cert: Pem::File(path(cert)),
            key: Pem::File(path(key)),
        },
        client_ca: None,
        crl: None,
    };
    assert!(tls("node.pem", "node.key").build("ehr.adt", &[]).is_ok());
    let fails = |cert, key| tls(cert, key).build("ehr.adt", &[]).unwrap_err();
    assert!(matches!(
        fails("missing.pem", "node.key"),
        ConnectError::ReadPem { .. }
    ));
    assert!(matches!(
        fails("empty.pem", "node.key"),
        ConnectError::BadPem { .. }
    ));
    assert!(matches!(
        fails("node.pem", "node.pem"),
        ConnectError::BadPem { .. }
    ));
    let mismatch = fails("node.pem", "other.key");
    assert!(matches!(mismatch, ConnectError::Tls { .. }), "{mismatch}");
    assert!(!format!("{mismatch:?}").contains("PRIVATE"));
}

fn request(body: Bytes) -> Request<'static> {
    Request {
        idempotency_key: "01J0000000001",
        attempt: 1,
        body,
        content_type: "text/plain",
        method: None,
        path: None,
        correlation: "c",
    }
}
