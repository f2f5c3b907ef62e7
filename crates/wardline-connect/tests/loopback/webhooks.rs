//! Webhooks out: signed, guarded against urls that lead inside, and told when to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use wardline_connect::http::{Outbound, OutboundConfig, Reach, WebhookSigner};
use wardline_connect::{FailureKind, Outbound as _};

use crate::http_outbound::{config, request, send, server, status};
use crate::stage::soon;

fn signer() -> Arc<WebhookSigner> {
    let secrets = [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
        "the key before this one".into(),
    ];
    Arc::new(WebhookSigner::new("t", &secrets).unwrap())
}

#[tokio::test]
async fn deliveries_are_signed_with_both_keys_under_their_own_id() {
    let server = server(status("204 No Content", "", "")).await;
    let mut config = config(server.addr);
    config.webhook = Some(signer());
    send(config, request(None)).await.unwrap();
    let seen = server.seen.lock().join("");
    assert!(seen.contains("webhook-id: 01J0000000001\r\n"), "{seen}");
    assert!(seen.contains("webhook-timestamp: "), "{seen}");
    assert_eq!(seen.matches("v1,").count(), 2, "{seen}");
}

#[tokio::test]
async fn gone_means_never_again_for_webhooks_only() {
    let server = server(status("410 Gone", "", "")).await;
    let mut config = config(server.addr);
    let plain = send(config.clone(), request(None)).await.unwrap_err();
    assert_eq!(plain.code.0, "W4205");
    config.webhook = Some(signer());
    let failure = send(config, request(None)).await.unwrap_err();
    assert_eq!(
        (failure.code.0, failure.kind),
        ("W4211", FailureKind::Permanent)
    );
}

/// How 127.0.0.1 and what is near it can be written, and names that lead there.
const INSIDE: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.1.1.1",
    "0",
    "0.0.0.0",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7F000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "0177.1",
    "017700000001",
    "2130706433",
    "127.0x0.0.1",
    "127.000.000.001",
    "00000177.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ip6-localhost",
    "127.0.0.1.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "100.64.0.1",
    "user@127.0.0.1",
    "1.1.1.1@127.0.0.1",
];

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let knocks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&knocks);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut guarded = 0;
    for host in INSIDE {
        let mut config = OutboundConfig::new("hook", format!("https://{host}:{port}/"));
        config.reach = Reach::Public;
        match Outbound::new(config) {
            Err(_) => guarded += 1,
            Ok(outbound) => {
                let failure = soon(outbound.send(request(None))).await.unwrap_err();
                // A name that this system does not resolve leads nowhere either.
                assert!(
                    matches!(failure.code.0, "W4210" | "W4201"),
                    "{host}: {failure}"
                );
                guarded += usize::from(failure.code.0 == "W4210");
                assert!(
                    *host != "localhost" || failure.code.0 == "W4210",
                    "{failure}"
                );
            }
        }
    }
    assert_eq!(knocks.load(Ordering::SeqCst), 0);
    assert!(guarded >= 40, "the guard itself refused only {guarded}");
    // The listener does count: without the guard one of these arrives.
    let open = OutboundConfig::new("hook", format!("https://localhost:{port}/"));
    soon(Outbound::new(open).unwrap().send(request(None)))
        .await
        .unwrap_err();
    assert!(knocks.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn urls_of_others_are_https() {
    let mut config = OutboundConfig::new("hook", "http://1.1.1.1/");
    config.reach = Reach::Public;
    let error = Outbound::new(config).err().unwrap().to_string();
    assert!(error.contains("https://"), "{error}");
}
