//! What real senders, networks and attackers do wrong.

use std::time::Duration;

use wardline_connect::ConnectError;
use wardline_connect::mllp::Listener;
use wardline_hl7::mllp::frame;

use crate::stage::{Engine, Peer, listen, message, mllp, until};

#[tokio::test]
async fn a_frame_without_an_end_is_not_taken() {
    let engine = Engine::accepting();
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    let cut = [b"\x0b".as_slice(), &message("1")].concat();
    peer.raw(&[cut.as_slice(), &frame(&message("2"))].concat())
        .await;
    assert_eq!(peer.briefs(2).await, ["AE 1 W3104", "AA 2"]);
    assert_eq!(engine.accepted_ids(), ["2"]);
    assert_eq!(running.counters.snapshot().cut, 1);
    running.stop().await;
}

#[tokio::test]
async fn half_a_frame_and_a_hang_up_is_not_taken() {
    let engine = Engine::accepting();
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.raw(b"\x0bMSH|^~\\&|EHR").await;
    drop(peer);
    until(|| running.counters.snapshot().cut == 1).await;
    assert_eq!(engine.begun(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_and_passed_over() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.max_size = 10_000;
    let running = listen(config, &engine).await;
    let mut peer = Peer::to(running.addr).await;
    let large = [
        message("1").as_ref(),
        b"NTE|1||",
        &vec![b'x'; 3_000_000],
        b"\r",
    ]
    .concat();
    peer.send(&large).await;
    peer.send(&message("2")).await;
    assert_eq!(
        peer.briefs(2).await,
        ["AR 1 W3102", "AA 2"],
        "the answer names the message, the connection goes on"
    );
    assert_eq!(engine.accepted_ids(), ["2"]);
    assert_eq!(running.counters.snapshot().too_large, 1);
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_hl7_is_refused_with_a_reason() {
    let engine = Engine::accepting();
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    for junk in [
        b"".as_slice(),
        b"{\"json\":true}",
        b"PID|1||2\r",
        b"\xff\xfe\x00",
        b"MSH",
    ] {
        peer.send(junk).await;
        let answer = peer.brief().await;
        assert!(
            answer.starts_with("AR ") && answer.ends_with("W3101"),
            "{answer}"
        );
    }
    peer.send(&message("1")).await;
    assert_eq!(peer.brief().await, "AA 1");
    assert_eq!(running.counters.snapshot().refused, 5);
    running.stop().await;
}

#[tokio::test]
async fn garbage_without_end_needs_no_memory_and_stops_nobody() {
    let engine = Engine::accepting();
    let running = listen(mllp(), &engine).await;
    let mut garbage = Peer::to(running.addr).await;
    let mut peer = Peer::to(running.addr).await;
    for _ in 0..64 {
        garbage.raw(&vec![0xa5; 64 * 1024]).await;
    }
    until(|| running.counters.snapshot().stray_bytes == 64 * 64 * 1024).await;
    peer.send(&message("1")).await;
    assert_eq!(peer.brief().await, "AA 1");
    garbage.send(&message("2")).await;
    assert_eq!(garbage.brief().await, "AA 2");
    running.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.idle_timeout = Duration::from_millis(50);
    let running = listen(config, &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.send(&message("1")).await;
    assert_eq!(peer.brief().await, "AA 1");
    assert_eq!(peer.next().await, None);
    assert_eq!(running.counters.snapshot().idle_closed, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_message_that_stops_half_way_is_given_up() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.frame_timeout = Duration::from_millis(50);
    let running = listen(config, &engine).await;
    let mut peer = Peer::to(running.addr).await;
    let whole = frame(&message("1"));
    peer.raw(&whole[..whole.len() - 9]).await;
    assert_eq!(peer.brief().await, "AE 1 W3104");
    assert_eq!(peer.next().await, None);
    assert_eq!(engine.begun(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_hoards_memory_is_closed_and_others_go_on() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.max_size = 100 * 1024;
    config.in_flight_bytes = 164 * 1024;
    config.busy_limit = Duration::from_millis(100);
    let running = listen(config, &engine).await;
    // Two halves of large frames fill the memory; neither can ever finish.
    let mut hoarders = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::to(running.addr).await;
        peer.raw(&[b"\x0bMSH|^~\\&|".as_slice(), &vec![b'x'; 95 * 1024]].concat())
            .await;
        hoarders.push(peer);
    }
    until(|| running.counters.snapshot().busy >= 1).await;
    let mut peer = Peer::to(running.addr).await;
    peer.send(&message("1")).await;
    assert_eq!(peer.brief().await, "AA 1");
    drop(hoarders);
    running.stop().await;
}

#[tokio::test]
async fn connections_are_limited_and_come_free_again() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.max_connections = 1;
    let running = listen(config, &engine).await;
    let mut first = Peer::to(running.addr).await;
    first.send(&message("1")).await;
    assert_eq!(first.brief().await, "AA 1");
    let mut second = Peer::to(running.addr).await;
    assert_eq!(second.next().await, None, "closed, not left waiting");
    assert_eq!(running.counters.snapshot().turned_away, 1);
    drop(first);
    until(|| running.counters.snapshot().open == 0).await;
    let mut third = Peer::to(running.addr).await;
    third.send(&message("3")).await;
    assert_eq!(third.brief().await, "AA 3");
    running.stop().await;
}

#[tokio::test]
async fn only_listed_networks_may_connect() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.allow = vec!["10.0.0.0/8".parse().unwrap()];
    let running = listen(config, &engine).await;
    let mut peer = Peer::to(running.addr).await;
    assert_eq!(peer.next().await, None);
    assert_eq!(running.counters.snapshot().not_allowed, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_reads_no_answers_is_cut_off_and_loses_nothing() {
    let engine = Engine::accepting();
    let mut config = mllp();
    config.write_timeout = Duration::from_millis(100);
    let running = listen(config, &engine).await;
    let peer = Peer::to(running.addr).await;
    // Written from a task of its own: both directions fill up, and then the listener gives up.
    let sending = tokio::spawn(async move {
        let mut stream = peer.stream;
        let burst: Vec<u8> = (0..1000)
            .flat_map(|n| frame(&message(&n.to_string())))
            .collect();
        while tokio::io::AsyncWriteExt::write_all(&mut stream, &burst)
            .await
            .is_ok()
        {}
    });
    until(|| running.counters.snapshot().open == 0 && running.counters.snapshot().connections == 1)
        .await;
    crate::stage::soon(sending).await.unwrap();
    assert_eq!(
        engine.begun(),
        engine.finished(),
        "every message that was offered was also finished"
    );
    running.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let mut config = mllp();
    config.in_flight_bytes = config.max_size;
    assert!(matches!(
        Listener::bind(config).await,
        Err(ConnectError::BadSetting { .. })
    ));
    let taken = Listener::bind(mllp()).await.unwrap();
    let mut config = mllp();
    config.bind = taken.local_addr().to_string();
    let error = Listener::bind(config).await.err().unwrap();
    assert!(
        matches!(error, ConnectError::Bind { .. }) && error.to_string().contains("ehr.adt"),
        "{error}"
    );
}
