//! Sending, against receivers that behave, lie, stall and vanish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use wardline_connect::mllp::{Correlation, OnError, Outbound, OutboundConfig};
use wardline_connect::{Failure, FailureKind, Outbound as _, Reply, Request};

use crate::stage::{
    Engine, Peer, accepted, control_id, listen, message, message_with, mllp, soon, until,
};

/// What the receiver does about one message.
enum Act {
    /// Answers with this code to this control id.
    Ack(&'static str, String),
    /// Sends these bytes as a frame.
    Frame(Bytes),
    /// Sends these bytes as they are.
    Raw(Bytes),
    /// Closes the connection.
    Close,
}

type Script = dyn Fn(usize, &Bytes) -> Vec<Act> + Send + Sync;

struct Receiver {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Bytes>>>,
}

fn ack(code: &str, control_id: &str) -> Bytes {
    Bytes::from(format!(
        "MSH|^~\\&|WL|N|EHR|N|20260101||ACK|A{control_id}|P|2.5.1\rMSA|{code}|{control_id}\r"
    ))
}

/// A receiver that follows a script; runs until the test's runtime ends.
async fn receiver(script: impl Fn(usize, &Bytes) -> Vec<Act> + Send + Sync + 'static) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let script: Arc<Script> = Arc::new(script);
    let (count, record) = (Arc::clone(&connections), Arc::clone(&seen));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let (script, record) = (Arc::clone(&script), Arc::clone(&record));
            tokio::spawn(async move {
                let mut peer = Peer::over(stream);
                while let Some(payload) = peer.next().await {
                    let n = {
                        let mut record = record.lock();
                        record.push(payload.clone());
                        record.len() - 1
                    };
                    for act in script(n, &payload) {
                        match act {
                            Act::Ack(code, id) => peer.send(&ack(code, &id)).await,
                            Act::Frame(bytes) => peer.send(&bytes).await,
                            Act::Raw(bytes) => peer.raw(&bytes).await,
                            Act::Close => return,
                        }
                    }
                }
            });
        }
    });
    Receiver {
        addr,
        connections,
        seen,
    }
}

fn config(addr: SocketAddr) -> OutboundConfig {
    OutboundConfig::new("lab.results", addr.to_string())
}

async fn send(outbound: &Outbound, body: Bytes) -> Result<Reply, Failure> {
    let request = Request {
        idempotency_key: "0000000000001",
        attempt: 1,
        body,
        content_type: "application/hl7-v2",
        method: None,
        path: None,
        correlation: "c",
    };
    soon(outbound.send(request)).await
}

fn answers(code: &'static str) -> impl Fn(usize, &Bytes) -> Vec<Act> + Send + Sync {
    move |_, payload| vec![Act::Ack(code, control_id(payload))]
}

#[tokio::test]
async fn acceptance_is_a_reply_and_the_connection_stays() {
    let receiver = receiver(answers("AA")).await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    for id in ["1", "2", "3"] {
        let reply = send(&outbound, message(id)).await.unwrap();
        assert_eq!((reply.status.as_str(), reply.body), ("AA", ack("AA", id)));
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
    assert_eq!(receiver.seen.lock()[2], message("3"), "byte for byte");
    assert_eq!(outbound.describe(), format!("mllp {}", receiver.addr));
}

#[tokio::test]
async fn a_receiver_that_closes_after_every_acknowledgement_gets_a_connection_a_message() {
    let closing =
        receiver(|_, payload| vec![Act::Ack("AA", control_id(payload)), Act::Close]).await;
    let mut once = config(closing.addr);
    once.reuse = false;
    let outbound = Outbound::new(once).unwrap();
    for id in 0..20 {
        let reply = send(&outbound, message(&id.to_string())).await.unwrap();
        assert_eq!(reply.status, "AA");
    }
    assert_eq!(closing.connections.load(Ordering::SeqCst), 20);
}

/// The close may cross the next message. Here it always does: the connection looks open until
/// a second message comes.
#[tokio::test]
async fn only_a_connection_that_is_reused_can_cross_the_close_of_its_receiver() {
    let late = || {
        receiver(|n, payload| match n {
            1 => vec![Act::Close],
            _ => vec![Act::Ack("AA", control_id(payload))],
        })
    };
    let kept = Outbound::new(config(late().await.addr)).unwrap();
    send(&kept, message("1")).await.unwrap();
    let failure = send(&kept, message("2")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);

    let ended = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut once = config(listener.local_addr().unwrap());
    once.reuse = false;
    let count = Arc::clone(&ended);
    tokio::spawn(async move {
        loop {
            let mut peer = Peer::over(listener.accept().await.unwrap().0);
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let first = peer.next().await.unwrap();
                peer.send(&ack("AA", &control_id(&first))).await;
                // Without a second message, and without waiting for us to close.
                if peer.next().await.is_none() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let outbound = Outbound::new(once).unwrap();
    for id in ["1", "2", "3"] {
        send(&outbound, message(id)).await.unwrap();
    }
    until(|| ended.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn large_messages_go_out_whole() {
    let engine = Engine::new(|n, _| accepted(n));
    let running = listen(mllp(), &engine).await;
    let outbound = Outbound::new(config(running.addr)).unwrap();
    let large = Bytes::from(
        [
            message("1").as_ref(),
            b"OBX|1|ED|||",
            &vec![b'x'; 5_000_000],
            b"\r",
        ]
        .concat(),
    );
    assert_eq!(send(&outbound, large.clone()).await.unwrap().status, "AA");
    assert_eq!(engine.begun.lock()[0].body, large);
    drop(outbound);
    running.stop().await;
}

#[tokio::test]
async fn errors_may_pass_and_rejections_may_not() {
    let table = [
        ("AE", OnError::Transient, FailureKind::Transient, "W4103"),
        ("CE", OnError::Transient, FailureKind::Transient, "W4103"),
        ("AE", OnError::Permanent, FailureKind::Permanent, "W4103"),
        ("AR", OnError::Transient, FailureKind::Permanent, "W4104"),
        ("CR", OnError::Transient, FailureKind::Permanent, "W4104"),
    ];
    for (word, on_error, kind, code) in table {
        let receiver = receiver(answers(word)).await;
        let mut config = config(receiver.addr);
        config.on_error = on_error;
        let outbound = Outbound::new(config).unwrap();
        for id in ["1", "2"] {
            let failure = send(&outbound, message(id)).await.unwrap_err();
            assert_eq!((failure.kind, failure.code.0), (kind, code), "{word}");
            assert_eq!(failure.reply.unwrap().body, ack(word, id));
        }
        assert_eq!(
            receiver.connections.load(Ordering::SeqCst),
            1,
            "an answer leaves no doubt"
        );
    }
}

#[tokio::test]
async fn error_texts_of_the_receiver_are_not_quoted() {
    let receiver = receiver(|_, payload| {
        let id = control_id(payload);
        let text = format!(
            "MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AE|{id}|JANE DOE unknown\rERR|||204^Unknown|E||||JANE DOE unknown\r"
        );
        vec![Act::Frame(text.into())]
    })
    .await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    let failure = send(&outbound, message("1")).await.unwrap_err();
    assert!(failure.text.contains("error code 204"), "{failure}");
    assert!(
        !format!("{failure} {failure:?}").contains("JANE"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn repeated_answers_to_earlier_messages_are_passed_over() {
    // Every message is answered twice; the second answer arrives while the next one waits.
    let receiver = receiver(|n, payload| {
        let again = if n == 0 {
            Vec::new()
        } else {
            vec![Act::Ack("AE", "0".into())]
        };
        let own = vec![
            Act::Ack("AA", control_id(payload)),
            Act::Ack("AA", control_id(payload)),
        ];
        again.into_iter().chain(own).collect()
    })
    .await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    for id in ["0", "1", "2", "3"] {
        assert_eq!(
            send(&outbound, message(id)).await.unwrap().body,
            ack("AA", id)
        );
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_to_another_message_is_never_taken() {
    let receiver = receiver(|n, payload| {
        vec![Act::Ack(
            "AA",
            if n == 0 {
                "OTHER".into()
            } else {
                control_id(payload)
            },
        )]
    })
    .await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    let failure = send(&outbound, message("1")).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Transient, "W4106")
    );
    assert_eq!(send(&outbound, message("1")).await.unwrap().status, "AA");
    assert_eq!(
        receiver.connections.load(Ordering::SeqCst),
        2,
        "the doubtful connection was dropped"
    );
}

#[tokio::test]
async fn an_empty_msa_2_is_taken_only_where_allowed() {
    for (correlation, taken) in [
        (Correlation::Strict, false),
        (Correlation::AllowEmpty, true),
    ] {
        let receiver = receiver(|_, _| vec![Act::Ack("AA", String::new())]).await;
        let mut config = config(receiver.addr);
        config.correlation = correlation;
        let outbound = Outbound::new(config).unwrap();
        assert_eq!(send(&outbound, message("1")).await.is_ok(), taken);
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_late_answer_cannot_be_mistaken() {
    // The first message is answered only when the second arrives, with the first one's answer:
    // on the same connection that would look like an answer.
    let receiver = receiver(|n, payload| {
        if n == 0 {
            Vec::new()
        } else {
            vec![Act::Ack("AA", control_id(payload))]
        }
    })
    .await;
    let mut config = config(receiver.addr);
    config.ack_timeout = Duration::from_millis(80);
    let outbound = Outbound::new(config).unwrap();
    let failure = send(&outbound, message("1")).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Timeout, "W4102")
    );
    assert_eq!(send(&outbound, message("1")).await.unwrap().status, "AA");
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn answers_that_are_none() {
    let table: [(&str, Bytes); 5] = [
        ("not HL7", "\u{b}hello\u{1c}\r".into()),
        (
            "no MSA",
            [b"\x0b".as_slice(), &message("1"), b"\x1c\r"]
                .concat()
                .into(),
        ),
        (
            "bad code",
            "\u{b}MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|XX|1\r\u{1c}\r".into(),
        ),
        (
            "no end",
            "\u{b}MSH|^~\\&|||||||ACK\r\u{b}MSH|^~\\&|||||||ACK\r\u{1c}\r".into(),
        ),
        (
            "too large",
            [b"\x0bMSH|".as_slice(), &vec![b'x'; 5000]].concat().into(),
        ),
    ];
    for (what, bytes) in table {
        let receiver = receiver(move |_, _| vec![Act::Raw(bytes.clone())]).await;
        let mut config = config(receiver.addr);
        config.max_reply = 2000;
        let outbound = Outbound::new(config).unwrap();
        let failure = send(&outbound, message("1")).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Transient, "W4109"),
            "{what}: {failure}"
        );
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_up_leaves_doubt() {
    let receiver = receiver(|n, payload| {
        if n == 0 {
            vec![Act::Close]
        } else {
            vec![Act::Ack("AA", control_id(payload))]
        }
    })
    .await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    let failure = send(&outbound, message("1")).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.0),
        (FailureKind::Transient, "W4105")
    );
    assert_eq!(send(&outbound, message("1")).await.unwrap().status, "AA");
}

#[tokio::test]
async fn a_connection_closed_between_messages_costs_no_attempt() {
    let receiver =
        receiver(|_, payload| vec![Act::Ack("AA", control_id(payload)), Act::Close]).await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    for n in 0..5 {
        send(&outbound, message(&n.to_string())).await.unwrap();
        // Give the end of the stream time to arrive; without it this would be the case above.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_receiver_that_is_down_is_not_hammered() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let mut config = config(addr);
    config.first_backoff = Duration::from_hours(1);
    config.max_backoff = Duration::from_hours(1);
    let outbound = Outbound::new(config).unwrap();
    let first = send(&outbound, message("1")).await.unwrap_err();
    assert_eq!(
        (first.kind, first.code.0),
        (FailureKind::Unreachable, "W4101")
    );
    assert!(first.text.contains("cannot connect"), "{first}");
    let second = send(&outbound, message("1")).await.unwrap_err();
    assert!(
        second.kind == FailureKind::Unreachable && second.text.contains("not tried"),
        "{second}"
    );
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_found() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let mut out = config(addr);
    out.first_backoff = Duration::from_millis(1);
    out.max_backoff = Duration::from_millis(5);
    let outbound = Outbound::new(out).unwrap();
    for _ in 0..5 {
        assert_eq!(
            send(&outbound, message("1")).await.unwrap_err().kind,
            FailureKind::Unreachable
        );
        tokio::time::sleep(Duration::from_millis(6)).await;
    }
    let engine = Engine::accepting();
    let mut config = mllp();
    config.bind = addr.to_string();
    let running = listen(config, &engine).await;
    assert_eq!(send(&outbound, message("1")).await.unwrap().status, "AA");
    drop(outbound);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_framed_is_not_sent() {
    let receiver = receiver(answers("AA")).await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    let bad: [&[u8]; 4] = [
        b"{}",
        b"MSH|^~\\&|||||||ADT^A01||P|2.5\r",
        b"MSH|^~\\&|||||||ADT^A01|1|P|2.5\rNTE|\x1c\r",
        b"MSH|^~\\&|||||||ADT^A01|1|P|2.5\rNTE|\x0bMSH|\r",
    ];
    for body in bad {
        let failure = send(&outbound, Bytes::from_static(body)).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Permanent, "W4107")
        );
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn enhanced_mode_waits_for_what_was_asked() {
    /// MSH-15, MSH-16, what the receiver says, and what becomes of it.
    type Row = (
        &'static str,
        &'static str,
        &'static [&'static str],
        Result<&'static str, &'static str>,
    );
    let table: [Row; 11] = [
        ("AL", "NE", &["CA"], Ok("CA")),
        ("AL", "AL", &["CA", "AA"], Ok("AA")),
        ("AL", "AL", &["CA", "AE"], Err("W4103")),
        ("AL", "AL", &["CE"], Err("W4103")),
        ("AL", "AL", &["CR"], Err("W4104")),
        ("AL", "AL", &["AA"], Ok("AA")),
        ("NE", "AL", &["AA"], Ok("AA")),
        ("NE", "NE", &[], Ok("sent")),
        ("ER", "NE", &[], Ok("sent")),
        ("ER", "NE", &["CR"], Err("W4104")),
        ("SU", "NE", &["CA"], Ok("CA")),
    ];
    for (accept, application, says, expected) in table {
        let receiver = receiver(move |_, payload| {
            says.iter()
                .map(|code| Act::Ack(code, control_id(payload)))
                .collect()
        })
        .await;
        let mut config = config(receiver.addr);
        config.error_window = if says.is_empty() {
            Duration::from_millis(30)
        } else {
            Duration::from_secs(20)
        };
        let outbound = Outbound::new(config).unwrap();
        let got = send(&outbound, message_with("1", accept, application)).await;
        let got = got
            .map(|reply| reply.status)
            .map_err(|failure| failure.code.0);
        assert_eq!(
            got.as_deref().map_err(|code| *code),
            expected,
            "{accept} {application} {says:?}"
        );
    }
}

#[tokio::test]
async fn the_application_answer_can_be_left_unawaited() {
    let receiver = receiver(|_, payload| vec![Act::Ack("CA", control_id(payload))]).await;
    let mut config = config(receiver.addr);
    config.wait_for_application = false;
    let outbound = Outbound::new(config).unwrap();
    assert_eq!(
        send(&outbound, message_with("1", "AL", "AL"))
            .await
            .unwrap()
            .status,
        "CA"
    );
}

#[tokio::test]
async fn an_application_answer_that_wants_to_be_acknowledged_is() {
    let receiver = receiver(|n, payload| {
        if n > 0 {
            return Vec::new();
        }
        let id = control_id(payload);
        let answer = format!("MSH|^~\\&|||||||ACK^A01|R1|P|2.5.1|||AL|NE\rMSA|AA|{id}\r");
        vec![Act::Ack("CA", id), Act::Frame(answer.into())]
    })
    .await;
    let outbound = Outbound::new(config(receiver.addr)).unwrap();
    assert_eq!(
        send(&outbound, message_with("1", "AL", "AL"))
            .await
            .unwrap()
            .status,
        "AA"
    );
    let seen = Arc::clone(&receiver.seen);
    until(|| seen.lock().len() == 2).await;
    assert_eq!(crate::stage::brief(&receiver.seen.lock()[1]), "CA R1");
}

#[tokio::test]
async fn one_session_is_one_session() {
    let engine = Engine::gated(|n, _| accepted(n));
    let running = listen(mllp(), &engine).await;
    let outbound = Arc::new(Outbound::new(config(running.addr)).unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let outbound = Arc::clone(&outbound);
            tokio::spawn(async move {
                send(&outbound, message(&n.to_string()))
                    .await
                    .unwrap()
                    .status
            })
        })
        .collect();
    engine.release(8);
    for task in tasks {
        assert_eq!(task.await.unwrap(), "AA");
    }
    assert_eq!(engine.most_calls.load(Ordering::SeqCst), 1);
    assert_eq!(running.counters.snapshot().connections, 1);
    drop(outbound);
    running.stop().await;
}

#[test]
fn addresses_are_checked() {
    for bad in ["", "host", "host:", "host:http", ":2575", "host:70000"] {
        assert!(
            Outbound::new(OutboundConfig::new("x", bad)).is_err(),
            "{bad}"
        );
    }
    for good in ["host:2575", "10.0.0.1:1", "[::1]:2575"] {
        assert!(
            Outbound::new(OutboundConfig::new("x", good)).is_ok(),
            "{good}"
        );
    }
}
