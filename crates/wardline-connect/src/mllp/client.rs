//! One message to one receiver, for `wardline send`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use wardline_hl7::mllp::{Decoder, Event};

use super::wire::{NotConnected, Target, read_event, write_frame};
use crate::ConnectError;
use crate::tls::ClientTls;

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 1 << 20;

/// Connects, sends `payload` as one frame whatever it holds, waits for one frame, and closes.
/// Returns that frame's payload unjudged: a person is looking.
pub async fn send_once(
    address: &str,
    tls: Option<&ClientTls>,
    payload: Bytes,
    limit: Duration,
) -> Result<Bytes, ConnectError> {
    let fail = |detail: String| ConnectError::Exchange {
        peer: address.into(),
        detail,
    };
    let target = Target::new("send", address, tls)?;
    let mut stream = target.connect(limit).await.map_err(|reason| {
        fail(match reason {
            NotConnected::Tcp(error) => format!("cannot connect: {error}"),
            NotConnected::Tls(error) => format!("the TLS handshake failed: {error}"),
            NotConnected::Timeout(limit) => format!("no connection within {limit:?}"),
        })
    })?;
    let exchange = async {
        write_frame(&mut stream, &payload).await?;
        let answer = read_event(
            &mut stream,
            &mut Decoder::new(LARGEST_ANSWER),
            &mut BytesMut::new(),
        )
        .await?;
        stream.shutdown().await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(limit, exchange).await {
        Err(_) => Err(fail(format!("no answer within {limit:?}"))),
        Ok(Err(error)) => Err(fail(format!("the connection broke: {error}"))),
        Ok(Ok(None)) => Err(fail(
            "the receiver closed the connection without an answer".into(),
        )),
        Ok(Ok(Some(Event::Frame(answer) | Event::Unterminated(answer)))) => Ok(answer),
        Ok(Ok(Some(Event::TooLarge { limit, .. }))) => {
            Err(fail(format!("the answer is larger than {limit} bytes")))
        }
    }
}
