//! The live feed: what it sends, to whom, and how it ends.

use crate::site::Site;
use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;
use http::{Method, StatusCode};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Only ever waited for in full when something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

async fn follow(site: &Site, path: &str) -> BodyDataStream {
    let request = site.request(Method::GET, path).body(Body::empty()).unwrap();
    let response = site.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().into_data_stream()
}

/// The events up to and with the next of that name; `None` where the stream ends before.
async fn up_to(stream: &mut BodyDataStream, name: &str) -> Option<String> {
    let mut text = String::new();
    while !text.contains(&format!("event: {name}")) {
        let chunk = tokio::time::timeout(PATIENCE, stream.next())
            .await
            .expect("the stream says something or ends");
        text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
    }
    Some(text)
}

#[tokio::test]
async fn everything_comes_first_and_then_only_what_changed() {
    let site = Site::new().await;
    let stop = CancellationToken::new();
    let watch = tokio::spawn({
        let (console, stop) = (site.console.clone(), stop.clone());
        async move { console.watch(stop).await }
    });
    let mut stream = follow(&site, "/live").await;
    let first = up_to(&mut stream, "taken").await.unwrap();
    for region in ["headline", "tiles", "destinations", "sources", "flows"] {
        assert!(first.contains(&format!("[\"{region}\"")), "{region}");
    }
    let second = up_to(&mut stream, "taken").await.unwrap();
    assert!(second.contains("[\"tiles\""), "the counts moved");
    assert!(!second.contains("[\"headline\""), "the headline did not");

    // A second browser gets everything, too, and shares the work.
    let mut other = follow(&site, "/live").await;
    assert!(
        up_to(&mut other, "taken")
            .await
            .unwrap()
            .contains("[\"headline\"")
    );
    let mut json = follow(&site, "/api/live").await;
    let overview = up_to(&mut json, "taken").await.unwrap();
    assert!(overview.contains("event: overview") && overview.contains("\"estate\":\"st-brigid\""));

    stop.cancel();
    watch.await.unwrap();
    for stream in [&mut stream, &mut other, &mut json] {
        assert!(
            up_to(stream, "never").await.is_none(),
            "streams end when the console stops"
        );
    }
}

#[tokio::test]
async fn trouble_is_told_and_who_signs_out_hears_no_more() {
    let site = Site::new().await;
    let stop = CancellationToken::new();
    let watch = tokio::spawn({
        let (console, stop) = (site.console.clone(), stop.clone());
        async move { console.watch(stop).await }
    });
    let mut stream = follow(&site, "/live").await;
    up_to(&mut stream, "taken").await.unwrap();
    site.hospital
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let trouble = up_to(&mut stream, "trouble").await.unwrap();
    assert!(trouble.contains("W5001"), "{trouble}");
    site.hospital
        .down
        .store(false, std::sync::atomic::Ordering::SeqCst);
    up_to(&mut stream, "taken").await.unwrap();

    site.post("/logout", "").await;
    assert!(up_to(&mut stream, "never").await.is_none());
    stop.cancel();
    watch.await.unwrap();
}

#[tokio::test]
async fn seats_are_counted_and_given_back() {
    let site = Site::new().await;
    let mut seated = Vec::new();
    for _ in 0..64 {
        seated.push(follow(&site, "/live").await);
    }
    assert_eq!(
        site.get("/live").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        site.get("/").await.status,
        StatusCode::OK,
        "pages still work"
    );
    seated.pop();
    seated.push(follow(&site, "/live").await);
}
