//! One listener, one Api, systems behind: what goes through, what does not, and what is said.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use http::Method;
use std::sync::Arc;
use std::time::Duration;
use support::*;
use wardline_core::Zone;
use wardline_gateway::plan::{Plan, Serve};
use wardline_gateway::seam::DenyAll;

async fn site() -> (System, Site) {
    let system = System::echo("erp").await;
    let plan = plan(vec![suppliers(&bound("erp"))], vec![system.upstream("erp")]);
    let site = Site::start(plan).await;
    (system, site)
}

#[tokio::test]
async fn a_request_goes_through_without_what_is_not_meant_for_the_system() {
    let (_system, site) = site().await;
    let headers = [
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-kept", "yes"),
        ("x-correlation-id", "order-7"),
    ];
    let reply = site
        .send(
            "PUT",
            "/suppliers/v1/suppliers/a%20b?full=1",
            &headers,
            r#"{"name":"x"}"#,
        )
        .await;
    assert_eq!(
        (reply.status, reply.header("x-correlation-id")),
        (200, "order-7")
    );
    let saw = reply.json();
    assert_eq!(saw["target"], "/suppliers/a%20b?full=1");
    assert_eq!(
        (saw["method"].as_str(), saw["body"].as_str()),
        (Some("PUT"), Some(r#"{"name":"x"}"#))
    );
    let got = saw["headers"].as_object().unwrap();
    for gone in [
        "authorization",
        "cookie",
        "x-forwarded-for",
        "x-hop",
        "connection",
    ] {
        assert!(!got.contains_key(gone), "{gone}");
    }
    assert_eq!(
        (&got["x-kept"], &got["x-correlation-id"]),
        (&"yes".into(), &"order-7".into())
    );
}

#[tokio::test]
async fn connections_to_a_system_are_used_again() {
    let (system, site) = site().await;
    for _ in 0..50 {
        assert_eq!(site.get("/suppliers/v1/suppliers").await.status, 200);
    }
    assert_eq!(
        system
            .connections
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test]
async fn wrong_ways_are_problems() {
    let (system, site) = site().await;
    let post = |headers: &'static [(&'static str, &'static str)], body: &'static str| {
        site.send("POST", "/suppliers/v1/suppliers", headers, body)
    };
    assert_eq!(site.get("/elsewhere").await.problem(), "not-found");
    assert_eq!(
        site.get("/suppliers/v1/suppliers/..%2fx").await.problem(),
        "bad-path"
    );
    let reply = site
        .send("DELETE", "/suppliers/v1/suppliers/7", &[], "")
        .await;
    assert_eq!(
        (reply.status, reply.header("allow")),
        (405, "GET, PUT, HEAD")
    );
    assert_eq!(reply.problem(), "method-not-allowed");
    assert_eq!(
        post(&[("content-type", "text/xml")], "<a/>")
            .await
            .problem(),
        "media-type"
    );
    assert_eq!(
        post(&[("content-encoding", "gzip")], "x").await.problem(),
        "media-type"
    );
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(
        site.send("POST", "/suppliers/v1/suppliers", &[], &large)
            .await
            .problem(),
        "body-too-large"
    );
    assert_eq!(system.count(), 0);
}

#[tokio::test]
async fn nobody_passes_by_default_and_apis_exist_in_their_zones_only() {
    let system = System::echo("erp").await;
    let plan = Plan {
        gatekeeper: Arc::new(DenyAll),
        ..plan(vec![suppliers(&bound("erp"))], vec![system.upstream("erp")])
    };
    let mut public = plan.clone();
    public.apis[0].operations[0].public = true;
    let site = Site::start(plan).await;
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "unauthenticated"
    );
    site.gateway.replace(public).await.unwrap();
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "forbidden"
    );
    let partner = Plan {
        listeners: vec![listener(Zone::Partner)],
        ..support::plan(vec![suppliers(&bound("erp"))], vec![system.upstream("erp")])
    };
    let site = Site::start(partner).await;
    assert_eq!(
        site.get("/suppliers/v1/suppliers").await.problem(),
        "not-found"
    );
    assert_eq!(system.count(), 0);
}

#[tokio::test]
async fn a_partner_is_heard_in_its_zone_only() {
    let (_system, site) = site().await;
    let reply = site
        .send(
            "GET",
            "/suppliers/v1/suppliers",
            &[("x-caller", "partner-ghx")],
            "",
        )
        .await;
    assert_eq!(reply.problem(), "unauthenticated");
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_answered_and_closed() {
    let (system, site) = site().await;
    let head = "POST /suppliers/v1/suppliers HTTP/1.1\r\nHost: x\r\nx-caller: a\r\nContent-Type: application/json\r\n";
    let good = format!("{head}Content-Length: 2\r\n\r\n{{}}");
    for bad in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "X: a\r\n folded\r\n\r\n",
        "X: a\nContent-Length: 2\r\n\r\n{}",
    ] {
        let said = site.raw(format!("{head}{bad}").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{bad:?}: {said}");
        assert!(
            said.contains("urn:wardline:problem:framing") && said.contains("connection: close"),
            "{said}"
        );
        let after_good = site.raw(format!("{good}{head}{bad}").as_bytes()).await;
        assert_eq!(after_good.matches("HTTP/1.1 ").count(), 2, "{after_good}");
        assert!(after_good.starts_with("HTTP/1.1 200 "), "{after_good}");
    }
    let large = format!("{head}X: {}\r\n\r\n", "a".repeat(20_000));
    assert!(
        site.raw(large.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    // What comes after a refused head is never read as a request.
    assert_eq!(system.count(), 6);
    let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n2\n{{}}\r\n0\r\n\r\n");
    let said = site.raw(chunks.as_bytes()).await;
    assert!(!said.contains(" 200 "), "{said}");
}

#[tokio::test]
async fn a_streamed_body_is_counted_as_it_arrives() {
    let (_system, site) = site().await;
    let mut bytes = b"POST /suppliers/v1/suppliers HTTP/1.1\r\nHost: x\r\nx-caller: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..17 {
        bytes.extend_from_slice(b"10000\r\n");
        bytes.resize(bytes.len() + 0x1_0000, b' ');
        bytes.extend_from_slice(b"\r\n");
    }
    let said = tokio::time::timeout(Duration::from_secs(20), site.raw(&bytes))
        .await
        .unwrap();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

#[tokio::test]
async fn http2_is_served_and_a_head_has_no_body() {
    let (_system, site) = site().await;
    let h2 = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let site = Site { client: h2, ..site };
    let reply = site
        .send("POST", "/suppliers/v1/suppliers", &[], "{}")
        .await;
    assert_eq!((reply.status, &reply.json()["body"]), (200, &"{}".into()));
    let reply = site.send("HEAD", "/suppliers/v1/suppliers", &[], "").await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[tokio::test]
async fn documents_are_served_as_they_are() {
    let document = Serve::Document {
        content_type: "application/json".parse().unwrap(),
        body: "{}".into(),
    };
    let plan = plan(
        vec![api(
            "a",
            vec![operation("openapi", Method::GET, "/openapi.json", document)],
        )],
        vec![],
    );
    let site = Site::start(plan).await;
    let reply = site.get("/a/v1/openapi.json").await;
    assert_eq!((reply.status, &reply.body[..]), (200, &b"{}"[..]));
    site.gateway.stop().await;
}
