//! Which acknowledgements are given, by mode, MSH-15, MSH-16 and verdict.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use wardline_connect::Verdict;
use wardline_connect::mllp::AckMode;

use crate::stage::{Engine, Peer, accepted, id, listen, message, message_with, mllp, refused};

/// Mode, MSH-15, MSH-16, and what is said on acceptance, permanent refusal, passing refusal.
type Row = (
    AckMode,
    &'static str,
    &'static str,
    [&'static [&'static str]; 3],
);

const TABLE: &[Row] = &[
    (AckMode::Auto, "", "", [&["AA"], &["AR"], &["AE"]]),
    (AckMode::Auto, "AL", "NE", [&["CA"], &["CR"], &["CE"]]),
    (AckMode::Auto, "AL", "AL", [&["CA", "AA"], &["CR"], &["CE"]]),
    (AckMode::Auto, "NE", "AL", [&["AA"], &["AR"], &["AE"]]),
    (AckMode::Auto, "ER", "NE", [&[], &["CR"], &["CE"]]),
    (AckMode::Auto, "SU", "NE", [&["CA"], &[], &[]]),
    (AckMode::Auto, "NE", "NE", [&[], &[], &[]]),
    (AckMode::Auto, "AL", "ER", [&["CA"], &["CR"], &["CE"]]),
    (AckMode::Original, "AL", "AL", [&["AA"], &["AR"], &["AE"]]),
    (AckMode::Original, "NE", "NE", [&["AA"], &["AR"], &["AE"]]),
    (AckMode::Enhanced, "", "", [&["CA"], &["CR"], &["CE"]]),
    (AckMode::Enhanced, "NE", "AL", [&["AA"], &["AR"], &["AE"]]),
];

#[tokio::test]
async fn every_mode_and_verdict() {
    for (mode, accept, application, expected) in TABLE {
        for (outcome, expected) in expected.iter().enumerate() {
            let engine = Engine::new(move |n, received| match outcome {
                _ if crate::stage::control_id(&received.body) == "END" => accepted(n),
                0 => accepted(n),
                1 => refused(true),
                _ => refused(false),
            });
            let mut config = mllp();
            config.ack_mode = *mode;
            let running = listen(config, &engine).await;
            let mut peer = Peer::to(running.addr).await;
            peer.send(&message_with("7", accept, application)).await;
            // A second message marks the end of what is said about the first.
            peer.send(&message_with("END", "AL", "NE")).await;
            let mut said = Vec::new();
            loop {
                let brief = peer.brief().await;
                if brief.contains("END") {
                    break;
                }
                said.push(brief);
            }
            let suffix = if outcome == 0 { " 7" } else { " 7 W2999" };
            let expected: Vec<String> = expected
                .iter()
                .map(|code| format!("{code}{suffix}"))
                .collect();
            assert_eq!(
                said, expected,
                "{mode:?} {accept:?} {application:?} outcome {outcome}"
            );
            drop(peer);
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_duplicate_gets_the_first_answer_again() {
    let first: Arc<Mutex<Option<Bytes>>> = Arc::default();
    let kept = Arc::clone(&first);
    let engine = Engine::new(move |n, received| {
        let mut kept = kept.lock();
        if let Some(answer) = kept.as_ref() {
            return Verdict::Duplicate {
                original: id(0),
                answer: answer.clone(),
            };
        }
        *kept = Some(received.answer.clone());
        accepted(n)
    });
    let running = listen(mllp(), &engine).await;
    let mut peer = Peer::to(running.addr).await;
    peer.send(&message("1")).await;
    let original = peer.next().await.unwrap();
    peer.send(&message("1")).await;
    let again = peer.next().await.unwrap();
    assert_eq!(
        original, again,
        "the same bytes, control id and time of the answer included"
    );
    assert_eq!(running.counters.snapshot().duplicates, 1);
    running.stop().await;
}

#[tokio::test]
async fn the_receiver_hands_over_and_acknowledges() {
    use wardline_connect::mllp::{Receiver, send_once};
    let (receiver, mut messages) = Receiver::bind(mllp(), 4).await.unwrap();
    let addr = receiver.local_addr().to_string();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn(receiver.run(shutdown.clone()));
    let limit = std::time::Duration::from_secs(20);
    let answer = send_once(&addr, None, message("1"), limit).await.unwrap();
    assert_eq!(crate::stage::brief(&answer), "AA 1");
    assert_eq!(messages.recv().await.unwrap().body, message("1"));
    // Nobody takes messages any more: the sender is told, and may come again.
    drop(messages);
    let answer = send_once(&addr, None, message("2"), limit).await.unwrap();
    assert!(crate::stage::brief(&answer).starts_with("AE 2"));
    shutdown.cancel();
    crate::stage::soon(task).await.unwrap();
    let error = send_once(&addr, None, message("3"), limit)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[test]
fn debug_output_shows_no_payload() {
    let received = wardline_connect::Received {
        source: "ehr.adt".into(),
        content_type: wardline_connect::ContentType::Hl7,
        body: message("SECRET-MRN"),
        received: wardline_core::Timestamp::default(),
        peer: None,
        headers: vec![("idempotency-key".into(), "SECRET-KEY".into())],
        answer: message("SECRET-ANSWER"),
        once: Some("SECRET-NAME".into()),
        fault: None,
    };
    let text = format!("{received:?}");
    assert!(
        !text.contains("SECRET") && text.contains("ehr.adt"),
        "{text}"
    );
    let verdict = Verdict::Duplicate {
        original: id(1),
        answer: received.answer,
    };
    assert!(!format!("{verdict:?}").contains("SECRET"));
}
