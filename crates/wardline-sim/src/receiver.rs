//! A system that receives HL7 over MLLP and acknowledges it, with the same faults on demand as the others.
//!
//! Its idempotency key is MSH-10, its ordering key PV1-19.1 (else PID-3.1), its order is checked by MSH-10.

use crate::fault::Fate;
use crate::ledger::{Effect, Outcome};
use crate::service::{Desk, Door, Service};
use crate::{Record, SimError};
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wardline_hl7::{Message, Path, mllp};

/// Larger messages are answered AR.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;
const OPERATION: &str = "receive";

/// Starts an MLLP receiver on `address` that runs until `shutdown`.
pub(crate) async fn start(
    system: &'static str,
    address: SocketAddr,
    record: Record,
    seed: u64,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Service, SimError> {
    let desk = Arc::new(Desk::new(system, record, seed));
    let door = Door::open(system, address).await?;
    let service = Service::at(door.address(), desk.clone());
    let shutdown = shutdown.clone();
    let connections = tasks.clone();
    tasks.spawn(async move {
        while let Some(stream) = shutdown.run_until_cancelled(door.next(&desk)).await {
            let (desk, shutdown) = (desk.clone(), shutdown.clone());
            connections.spawn(async move {
                tokio::select! {
                    () = converse(stream, &desk) => {}
                    () = desk.faults.until_refusing() => desk.ledger.count(|report| &mut report.reset_connections),
                    () = shutdown.cancelled() => {}
                }
            });
        }
    });
    Ok(service)
}

async fn converse(mut stream: TcpStream, desk: &Desk) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let mut decoder = mllp::Decoder::new(MESSAGE_LIMIT);
    let mut input = BytesMut::with_capacity(16 * 1024);
    let mut output = BytesMut::with_capacity(4096);
    loop {
        while let Some(event) = decoder.decode(&mut input) {
            let ack = match event {
                mllp::Event::Frame(bytes) => answer(bytes, desk).await,
                mllp::Event::Unterminated(_) | mllp::Event::TooLarge { .. } => {
                    desk.ledger.count(|report| &mut report.refused);
                    Some(acknowledgement("AR", "", "message cut short or too large"))
                }
            };
            let Some(ack) = ack else { return };
            mllp::encode(ack.as_bytes(), &mut output);
        }
        if !output.is_empty() && stream.write_all_buf(&mut output).await.is_err() {
            return;
        }
        match stream.read_buf(&mut input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// The acknowledgement of one message; `None` where the connection is to be cut instead.
async fn answer(bytes: Bytes, desk: &Desk) -> Option<String> {
    const VISIT: Path = Path::new("PV1-19.1");
    const PATIENT: Path = Path::new("PID-3.1");
    desk.ledger.count(|report| &mut report.requests);
    let Ok(message) = Message::parse(bytes) else {
        desk.ledger.count(|report| &mut report.refused);
        return Some(acknowledgement("AR", "", "not an HL7 message"));
    };
    let control_id = message.control_id().unwrap_or_default().into_owned();
    let key = message
        .value(&VISIT)
        .or_else(|| message.value(&PATIENT))
        .unwrap_or_default();
    let lose_reply = match desk.faults.fate(&key).await {
        Fate::Serve => false,
        Fate::ServeButLoseReply => true,
        Fate::RefuseKey => {
            desk.ledger.count(|report| &mut report.refused);
            return Some(acknowledgement("AR", &control_id, "this record is refused"));
        }
        Fate::Unavailable | Fate::Busy { .. } | Fate::Fail => {
            desk.ledger.count(|report| &mut report.failed);
            return Some(acknowledgement("AE", &control_id, "not available now"));
        }
    };
    let effect = Effect {
        operation: OPERATION,
        key: &key,
        idempotency_key: (!control_id.is_empty()).then_some(control_id.as_str()),
        message_id: Some(&control_id),
    };
    if desk.ledger.apply(&effect) == Outcome::Conflict {
        return Some(acknowledgement(
            "AR",
            &control_id,
            "this control id was used for another patient",
        ));
    }
    if lose_reply {
        desk.ledger.count(|report| &mut report.lost_replies);
        return None;
    }
    Some(acknowledgement("AA", &control_id, ""))
}

/// An acknowledgement in the original mode (HL7 v2.5.1, chapter 2.9.2), written by hand so that
/// `wardline-hl7` reads something that it did not write.
fn acknowledgement(code: &str, control_id: &str, text: &str) -> String {
    let now = Timestamp::now();
    let stamp = now.as_second();
    let own_id = format!("R{:x}", now.as_nanosecond());
    let time = jiff::tz::Offset::UTC.to_datetime(Timestamp::from_second(stamp).unwrap_or(now));
    format!(
        "MSH|^~\\&|SIM|STB|WARDLINE|STB|{:04}{:02}{:02}{:02}{:02}{:02}+0000||ACK|{}|P|2.5.1\rMSA|{code}|{control_id}|{text}\r",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        &own_id[..own_id.len().min(20)],
    )
}
