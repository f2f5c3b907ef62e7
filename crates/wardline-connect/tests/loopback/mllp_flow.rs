//! The straight way in: framing, order, pipelining, back-pressure, shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use wardline_hl7::mllp::frame;

use crate::stage::{Engine, Peer, accepted, busy, listen, message, mllp, soon, until};

#[tokio::test]
async fn frames_come_as_they_like() {
    let engine = Engine::accepting();
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;

    // Three in one write, with bytes between that belong to none.
    let together = [
        b"junk".as_slice(),
        &frame(&message("1")),
        b"\r\n..",
        &frame(&message("2")),
        &frame(&message("3")),
    ];
    peer.raw(&together.concat()).await;
    assert_eq!(peer.briefs(3).await, ["AA 1", "AA 2", "AA 3"]);

    // One in single bytes.
    for byte in frame(&message("4")) {
        peer.raw(&[byte]).await;
    }
    assert_eq!(peer.brief().await, "AA 4");

    // One whose last byte never comes: the sender waits for its answer.
    let without_cr = frame(&message("5"));
    peer.raw(&without_cr[..without_cr.len() - 1]).await;
    assert_eq!(peer.brief().await, "AA 5");
    peer.send(&message("6")).await;
    assert_eq!(peer.brief().await, "AA 6");

    assert_eq!(engine.accepted_ids(), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(engine.begun.lock()[0].body, message("1"), "byte for byte");
    let counters = running.counters.snapshot();
    assert_eq!((counters.accepted, counters.connections), (6, 1));
    assert!(counters.stray_bytes >= 6, "{counters:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_pipelining_sender_shares_commits_and_gets_answers_in_order() {
    let engine = Engine::gated(|n, _| accepted(n));
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    let ids: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    let burst: Vec<u8> = ids.iter().flat_map(|id| frame(&message(id))).collect();
    peer.raw(&burst).await;
    // All of them are with the engine before any of them is done.
    until(|| engine.begun() == 20).await;
    assert_eq!(engine.finished(), 0);
    engine.release(20);
    let expected: Vec<String> = ids.iter().map(|id| format!("AA {id}")).collect();
    assert_eq!(peer.briefs(20).await, expected);
    running.stop().await;
}

#[tokio::test]
async fn answers_keep_their_order_when_verdicts_do_not() {
    // Refusals are ready at once, acceptances are not: they must still come out as they went in.
    let engine = Engine::gated(|n, _| accepted(n));
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.raw(&[frame(&message("1")), frame(b"no HL7"), frame(&message("2"))].concat())
        .await;
    until(|| engine.begun() == 2).await;
    engine.release(2);
    assert_eq!(peer.briefs(3).await, ["AA 1", "AR  W3101", "AA 2"]);
    running.stop().await;
}

#[tokio::test]
async fn read_ahead_is_a_limit() {
    let engine = Engine::gated(|n, _| accepted(n));
    let mut config = mllp();
    config.read_ahead = 3;
    let running = listen(config, &engine).await;
    let mut peer = Peer::to(running.addr).await;
    let burst: Vec<u8> = (0..30)
        .flat_map(|n| frame(&message(&n.to_string())))
        .collect();
    peer.raw(&burst).await;
    engine.release(30);
    assert_eq!(peer.briefs(30).await.len(), 30);
    assert!(engine.most_calls.load(Ordering::SeqCst) <= 3);
    running.stop().await;
}

#[tokio::test]
async fn memory_in_hand_is_a_limit_for_all_connections_together() {
    let engine = Engine::gated(|n, _| accepted(n));
    let mut config = mllp();
    config.max_size = 64 * 1024;
    config.in_flight_bytes = 192 * 1024;
    let limit = config.in_flight_bytes;
    let running = listen(config, &engine).await;
    let mut senders = Vec::new();
    for connection in 0..4 {
        let mut peer = Peer::to(running.addr).await;
        senders.push(tokio::spawn(async move {
            for n in 0..10 {
                let body = [
                    message(&format!("{connection}-{n}")).as_ref(),
                    b"NTE|1||",
                    &vec![b'x'; 40_000],
                    b"\r",
                ]
                .concat();
                peer.send(&body).await;
                assert_eq!(peer.brief().await, format!("AA {connection}-{n}"));
            }
        }));
    }
    // The engine lets go slowly, so that the limit is met again and again.
    let releasing = async {
        for n in 1..=40 {
            until(|| engine.begun() >= n).await;
            engine.release(1);
        }
    };
    soon(releasing).await;
    for sender in senders {
        soon(sender).await.unwrap();
    }
    assert_eq!(engine.finished(), 40);
    assert!(engine.most_bytes.load(Ordering::SeqCst) <= limit);
    running.stop().await;
}

#[tokio::test]
async fn a_busy_engine_stops_the_reading_and_keeps_the_order() {
    let engine = Engine::new(|n, _| {
        if n < 3 {
            busy(Duration::from_millis(1))
        } else {
            accepted(n)
        }
    });
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.raw(&[frame(&message("1")), frame(&message("2"))].concat())
        .await;
    assert_eq!(peer.briefs(2).await, ["AA 1", "AA 2"]);
    let offered: Vec<_> = engine
        .begun
        .lock()
        .iter()
        .map(|r| crate::stage::control_id(&r.body))
        .collect();
    assert_eq!(
        offered,
        ["1", "1", "1", "1", "2"],
        "the second waits for the first"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_busy_engine_is_borne_only_so_long() {
    let engine = Engine::new(|n, r| {
        if crate::stage::control_id(&r.body) == "1" {
            busy(Duration::from_millis(1))
        } else {
            accepted(n)
        }
    });
    let mut config = mllp();
    config.busy_limit = Duration::from_millis(60);
    let running = listen(config, &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.raw(&[frame(&message("1")), frame(&message("2"))].concat())
        .await;
    assert_eq!(peer.briefs(2).await, ["AE 1 W3103", "AA 2"]);
    assert!(engine.begun() > 2, "it was offered more than once");
    assert_eq!(engine.accepted_ids(), ["2"]);
    running.stop().await;
}

#[tokio::test]
async fn busy_said_late_does_not_let_followers_overtake() {
    // Both are with the engine when it says busy to the first: waiting would reorder them, so
    // the sender is told at once.
    let engine = Engine::gated(|n, _| {
        if n == 0 {
            busy(Duration::from_millis(1))
        } else {
            accepted(n)
        }
    });
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.raw(&[frame(&message("1")), frame(&message("2"))].concat())
        .await;
    until(|| engine.begun() == 2).await;
    engine.release(2);
    assert_eq!(peer.briefs(2).await, ["AE 1 W5999", "AA 2"]);
    // Alone, it can wait.
    let engine = Engine::gated(|n, _| {
        if n == 0 {
            busy(Duration::from_millis(1))
        } else {
            accepted(n)
        }
    });
    let alone = listen(mllp(), &engine).await;
    let mut peer = Peer::to(alone.addr).await;
    peer.send(&message("1")).await;
    engine.release(2);
    assert_eq!(peer.brief().await, "AA 1");
    alone.stop().await;
    running.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_hand() {
    let engine = Engine::gated(|n, _| accepted(n));
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    let mut idle = Peer::to(running.addr).await;
    peer.send(&message("1")).await;
    until(|| engine.begun() == 1).await;
    running.shutdown.cancel();
    assert_eq!(
        idle.next().await,
        None,
        "an idle connection is closed at once"
    );
    until(|| std::net::TcpStream::connect(running.addr).is_err()).await;
    engine.release(1);
    assert_eq!(peer.brief().await, "AA 1");
    assert_eq!(peer.next().await, None);
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_hangs_up_does_not_undo_its_message() {
    let engine = Engine::gated(|n, _| accepted(n));
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.send(&message("1")).await;
    until(|| engine.begun() == 1).await;
    drop(peer);
    engine.release(1);
    until(|| engine.finished() == 1).await;
    until(|| running.counters.snapshot().open == 0).await;
    assert_eq!(running.counters.snapshot().accepted, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_sender_that_half_closes_gets_its_answer() {
    let engine = Engine::accepting();
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.raw(&[frame(&message("1")), frame(&message("2"))].concat())
        .await;
    shut_down_writing(&mut peer.stream).await;
    assert_eq!(peer.briefs(2).await, ["AA 1", "AA 2"]);
    assert_eq!(peer.next().await, None);
    running.stop().await;
}

async fn shut_down_writing(stream: &mut TcpStream) {
    tokio::io::AsyncWriteExt::shutdown(stream).await.unwrap();
}
