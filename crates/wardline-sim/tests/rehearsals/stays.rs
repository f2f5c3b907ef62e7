//! Stays told over MLLP.

use super::listener::Stage;
use bytes::BytesMut;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wardline_hl7::{Message, Path, mllp};
use wardline_sim::{Ended, SentState};

type Told = Arc<Mutex<Vec<Message>>>;

/// An MLLP listener that keeps what it is told; the first message is answered AE once.
async fn ward() -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let told = Told::default();
    let kept = Arc::clone(&told);
    tokio::spawn(async move {
        let mut busy = true;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut decoder = mllp::Decoder::new(1 << 20);
            let mut input = BytesMut::new();
            while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                while let Some(mllp::Event::Frame(bytes)) = decoder.decode(&mut input) {
                    let message = Message::parse(bytes).unwrap();
                    let code = if std::mem::take(&mut busy) {
                        "AE"
                    } else {
                        "AA"
                    };
                    let id = value(&message, "MSH-10");
                    let ack =
                        format!("MSH|^~\\&|W|W|E|E|20261124||ACK|1|P|2.5.1\rMSA|{code}|{id}\r");
                    if code == "AA" {
                        kept.lock().push(message);
                    }
                    stream
                        .write_all(&mllp::frame(ack.as_bytes()))
                        .await
                        .unwrap();
                }
            }
        }
    });
    (address, told)
}

fn value(message: &Message, path: &'static str) -> String {
    let path = Path::new(path);
    message
        .value(&path)
        .map(|value| value.to_string())
        .unwrap_or_default()
}

fn events(told: &Told) -> Vec<String> {
    let mut told = told.lock();
    told.drain(..)
        .map(|message| value(&message, "MSH-9.2"))
        .collect()
}

#[tokio::test]
async fn stays_are_told_as_the_scenario_says() {
    let (address, told) = ward().await;
    let stage = Stage::set(Some(address)).await;
    for (name, expected) in [
        ("plain", &["A01", "A03"][..]),
        ("duplicate", &["A01", "A03", "A03"]),
        ("cancel", &["A01", "A03", "A13"]),
        ("cancel-then-again", &["A01", "A03", "A13", "A03"]),
        ("late", &["A01", "A01", "A03"]),
        ("out-of-order", &["A03", "A01"]),
        ("merge", &["A01", "A03", "A40"]),
        ("correct", &["A01", "A03", "A08"]),
        ("cancel-admit", &["A01", "A11"]),
        ("charges", &["A01", "P03", "A03"]),
    ] {
        let about = stage.begin(&format!("stay/{name}"));
        stage.told(&about).await;
        let sent = stage.hospital.sent(&about);
        assert!(
            sent.iter().all(|line| line.state == SentState::Accepted),
            "{name}"
        );
        assert!(sent.iter().all(|line| line.key.len() <= 20), "{name}");
        assert_eq!(events(&told), expected, "{name}");
    }
}

#[tokio::test]
async fn a_duplicate_is_the_same_under_another_control_id() {
    let (address, told) = ward().await;
    let stage = Stage::set(Some(address)).await;
    let about = stage.begin("stay/duplicate");
    stage.told(&about).await;
    let told = told.lock();
    assert_ne!(value(&told[1], "MSH-10"), value(&told[2], "MSH-10"));
    for path in [
        "PV1-19.1", "PID-18.1", "PV1-3.3", "PV1-45", "EVN-6", "PV1-36",
    ] {
        assert_eq!(value(&told[1], path), value(&told[2], path), "{path}");
        assert!(!value(&told[1], path).is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_late_discharge_does_not_turn_out_the_next_patient() {
    let (address, told) = ward().await;
    let stage = Stage::set(Some(address)).await;
    let about = stage.begin("stay/late");
    stage.told(&about).await;
    let (bed, next, account) = {
        let told = told.lock();
        let [unit, room, place, facility] =
            ["PV1-3.1", "PV1-3.2", "PV1-3.3", "PV1-3.4"].map(|path| value(&told[0], path));
        let bed = format!("{facility}-{unit}-{room}-{place}");
        (
            bed,
            value(&told[1], "PV1-19.1"),
            value(&told[0], "PID-18.1"),
        )
    };
    let say = |visit: &str| json!({ "bed": bed, "visit": visit, "at": "2026-11-24T10:42:03-06:00", "message_id": "M" });
    stage
        .done("bed-board", "POST /beds/occupy", "a", &say(&about))
        .await;
    stage
        .done("bed-board", "POST /beds/occupy", "b", &say(&next))
        .await;
    let close = json!({ "account": account, "visit": about, "discharged_at": "2026-11-24T10:42:03-06:00", "disposition": "home", "message_id": "M" });
    stage
        .done(
            "patient-accounting",
            &format!("POST /accounts/{account}/close"),
            "c",
            &close,
        )
        .await;
    stage
        .done("bed-board", "POST /beds/release", "d", &say(&about))
        .await;
    let line = stage
        .done("bed-board", &format!("GET /beds/{bed}"), "", &Value::Null)
        .await;
    assert_eq!(
        (&line["state"], &line["visit"]),
        (&json!("occupied"), &json!(next))
    );
    assert_eq!(
        stage.ended(&about),
        Ended::AsSaid,
        "{:?}",
        stage.case(&about)
    );
    // Once they leave, the bed is dirty, and then clean.
    stage
        .done("bed-board", "POST /beds/release", "e", &say(&next))
        .await;
    let clean = json!({ "bed": bed, "at": "2026-11-24T10:42:03-06:00", "clean_request": "HK-1" });
    let state = async || {
        stage
            .done("bed-board", &format!("GET /beds/{bed}"), "", &Value::Null)
            .await["state"]
            .clone()
    };
    assert_eq!(state().await, "dirty");
    stage
        .done("bed-board", "POST /beds/cleaned", "f", &clean)
        .await;
    assert_eq!(state().await, "clean");
    assert_eq!(stage.ended(&about), Ended::Open);
}

#[tokio::test]
async fn a_clean_is_asked_for_once_however_often_it_is_told() {
    let (address, told) = ward().await;
    let stage = Stage::set(Some(address)).await;
    let about = stage.begin("stay/plain");
    stage.told(&about).await;
    let account = value(&told.lock()[0], "PID-18.1");
    let room = about.rsplit('-').next().unwrap();
    let clean = json!({ "bed": format!("NORTH-9R-{room}-A"), "reason": "discharge", "kind": "standard", "requested_at": "2026-11-24T10:42:03-06:00", "request_ref": "R-1" });
    stage
        .done("housekeeping", "POST /clean-requests", "a", &clean)
        .await;
    stage
        .done("housekeeping", "POST /clean-requests", "b", &clean)
        .await;
    let close = json!({ "account": account, "visit": about, "discharged_at": "2026-11-24T10:42:03-06:00", "disposition": "home", "message_id": "M" });
    stage
        .done(
            "patient-accounting",
            &format!("POST /accounts/{account}/close"),
            "c",
            &close,
        )
        .await;
    assert_eq!(
        stage.ended(&about),
        Ended::AsSaid,
        "{:?}",
        stage.case(&about)
    );
    let mut other = clean.clone();
    other["request_ref"] = json!("R-2");
    stage
        .done("housekeeping", "POST /clean-requests", "d", &other)
        .await;
    assert_eq!(stage.ended(&about), Ended::Wrong);
}
