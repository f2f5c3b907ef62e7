//! How fast the MLLP listener is by itself: messages a second over loopback with an engine that
//! accepts at once. What `wardline bench intake` shows below this is the engine's and the disk's.
//!
//! `cargo run --release -p wardline-connect --example mllp_rate`

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use wardline_connect::mllp::{InboundConfig, Listener};
use wardline_connect::{Intake, Received, Verdict};
use wardline_core::{Id, MessageId};
use wardline_hl7::mllp::{Decoder, frame};

struct AcceptAtOnce;

#[async_trait]
impl Intake for AcceptAtOnce {
    async fn accept(&self, _: Received) -> Verdict {
        Verdict::Accepted {
            id: MessageId(Id::ZERO),
        }
    }
}

/// Sends `count` messages with up to `window` unanswered.
async fn send(addr: SocketAddr, count: usize, window: usize, framed: Bytes) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut decoder, mut buffer) = (Decoder::new(1 << 20), BytesMut::new());
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        let burst = (count - sent).min(window - (sent - answered));
        if burst > 0 {
            stream.write_all(&framed.repeat(burst)).await?;
            sent += burst;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        while decoder.decode(&mut buffer).is_some() {
            answered += 1;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let notes = "NTE|1||seven hundred bytes of a note\r".repeat(20);
    let message =
        format!("MSH|^~\\&|EHR|N|WL|N|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1||77\r{notes}");
    let framed = frame(message.as_bytes());
    for (connections, window) in [(1, 1), (1, 32), (32, 1), (32, 32)] {
        let listener = Listener::bind(InboundConfig::new("rate", "127.0.0.1:0")).await?;
        let addr = listener.local_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(listener.run(Arc::new(AcceptAtOnce), shutdown.clone()));
        let each = 40_000 / connections;
        let begun = Instant::now();
        let senders: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(send(addr, each, window, framed.clone())))
            .collect();
        for sender in senders {
            sender.await??;
        }
        let rate = (each * connections) as f64 / begun.elapsed().as_secs_f64();
        println!(
            "{connections:>3} connections, {window:>2} unanswered: {rate:>9.0} messages/s of {} bytes",
            message.len()
        );
        shutdown.cancel();
        task.await?;
    }
    Ok(())
}
