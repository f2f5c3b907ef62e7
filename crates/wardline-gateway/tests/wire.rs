//! What systems answer on the wire, read strictly: the end of an answer is known in one way, and a
//! connection with anything left over is not used again.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use http::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Site, api, bound, operation, plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wardline_gateway::plan::Upstream;

/// A system that answers each request with these bytes, cut at `|`, and counts its connections.
/// It says `closes` where it ends the connection after an answer.
async fn system(answer: &'static str, closes: bool) -> (http::Uri, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counting.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut asked).await {
                    if !asked.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    asked.clear();
                    for part in answer.split('|') {
                        if stream.write_all(part.as_bytes()).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    if closes {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{address}").parse().unwrap(), count)
}

async fn site(url: http::Uri) -> Site {
    let one = operation("one", Method::GET, "/one", bound("system"));
    let upstream = Upstream::at("system", vec![url]);
    Site::start(plan(vec![api("wire", vec![one])], vec![upstream])).await
}

macro_rules! ok {
    ($rest:literal) => {
        concat!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n",
            $rest
        )
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_every_form_are_understood() {
    // The answer, whether the system closes, its body, and connections for three calls.
    for (answer, closes, body, connections) in [
        (ok!("content-length: 2\r\n\r\n{}"), false, "{}", 1),
        (ok!("content-|length: 2\r|\n\r\n{|}"), false, "{}", 1),
        (ok!("content-length: 0\r\n\r\n"), false, "", 1),
        ("HTTP/1.1 204 No\r\n\r\n", false, "", 1),
        (
            "HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
            false,
            "[]",
            1,
        ),
        (
            ok!("transfer-encoding: chunked\r\n\r\n1;x=y\r\n{\r\n|1\r|\n}\r\n0|\r\nt: v\r\n\r\n"),
            false,
            "{}",
            1,
        ),
        (
            ok!("transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            false,
            "",
            1,
        ),
        (
            ok!("connection: close\r\ncontent-length: 2\r\n\r\n{}"),
            true,
            "{}",
            3,
        ),
        (ok!("\r\n{|}"), true, "{}", 3),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            true,
            "{}",
            3,
        ),
        // What nobody asked for is nobody's answer.
        (ok!("content-length: 2\r\n\r\n{}[]"), false, "{}", 3),
        (
            ok!("content-length: 2\r\n\r\n{}|HTTP/1.1 200 OK\r\n\r\n"),
            false,
            "{}",
            3,
        ),
    ] {
        let (url, count) = system(answer, closes).await;
        let site = site(url).await;
        for _ in 0..3 {
            let reply = site.get("/wire/v1/one").await;
            assert!(
                (200..300).contains(&reply.status),
                "{answer:?}: {}",
                reply.status
            );
            assert_eq!(reply.body, body, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert_eq!(count.load(Ordering::SeqCst), connections, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_a_bad_gateway() {
    for answer in [
        ok!("content-length: 2\r\ncontent-length: 2\r\n\r\n{}"),
        ok!("content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        ok!("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        "HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
        "220 ready\r\n\r\n",
    ] {
        let (url, _) = system(answer, true).await;
        let reply = site(url).await.get("/wire/v1/one").await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{answer:?}");
    }
}
