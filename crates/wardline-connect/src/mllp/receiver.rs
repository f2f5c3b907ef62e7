//! A receiver that acknowledges and hands over what came, for `wardline listen` and tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wardline_core::{Id, MessageId, Timestamp};

use super::config::InboundConfig;
use super::inbound::Listener;
use crate::{ConnectError, Counters, Intake, Received, Verdict, codes};

/// A [`Listener`] whose messages come out of a channel. A message is acknowledged as soon as it
/// is in the channel; a full channel stops the sender.
pub struct Receiver {
    listener: Listener,
    intake: Arc<Hand>,
}

impl Receiver {
    /// Binds, with room for `room` messages that nobody has taken yet.
    pub async fn bind(
        config: InboundConfig,
        room: usize,
    ) -> Result<(Self, mpsc::Receiver<Received>), ConnectError> {
        let (messages, taken) = mpsc::channel(room.max(1));
        let intake = Arc::new(Hand {
            messages,
            sequence: AtomicU16::new(0),
        });
        Ok((
            Self {
                listener: Listener::bind(config).await?,
                intake,
            },
            taken,
        ))
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What happened so far.
    pub fn counters(&self) -> Arc<Counters> {
        self.listener.counters()
    }

    /// Serves until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        self.listener.run(self.intake, shutdown).await;
    }
}

struct Hand {
    messages: mpsc::Sender<Received>,
    sequence: AtomicU16,
}

#[async_trait]
impl Intake for Hand {
    async fn accept(&self, received: Received) -> Verdict {
        if self.messages.send(received).await.is_err() {
            let text = "nobody takes messages here any more".into();
            return Verdict::Refused {
                code: codes::BUSY_TOO_LONG,
                text,
                permanent: false,
            };
        }
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        Verdict::Accepted {
            id: MessageId(Id::from_parts(Timestamp::now().unix_ms(), 0, sequence)),
        }
    }
}
