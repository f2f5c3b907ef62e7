//! Receivers on loopback that cost next to nothing and know whether what they got came in order.
//!
//! They run on a thread of their own with a runtime of their own, so that they neither wait for
//! the engine's tasks nor delay them, and so that what they take of the processors can be told.

mod http;
mod mllp;

use crate::order::Order;
use crate::{BenchError, machine};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What a receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1: 200 without a body.
    Http,
    /// MLLP: AA.
    Mllp,
}

/// What the connections of a receiver share.
#[derive(Debug)]
struct Shared {
    order: Arc<Order>,
    faults: Faults,
}

/// Keys that fail until they are healed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Every n-th key fails (after spreading, so not in a row); 0 is none.
    one_in: u32,
    healed: AtomicBool,
}

impl Faults {
    /// One key in `one_in` fails.
    pub(crate) fn one_in(one_in: u32) -> Self {
        Self {
            one_in,
            healed: AtomicBool::new(false),
        }
    }

    /// Whether `key` is one of those, healed or not.
    pub(crate) fn concern(&self, key: u32) -> bool {
        // A multiplicative hash (Knuth, TAOCP 6.4), so that failing keys do not stand in a row.
        self.one_in > 0 && (key.wrapping_mul(2_654_435_761) >> 16).is_multiple_of(self.one_in)
    }

    fn now(&self, key: u32) -> bool {
        self.concern(key) && !self.healed.load(Ordering::Relaxed)
    }
}

/// A running receiver. Dropping it stops it without waiting.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<io::Result<Duration>>>,
}

impl Receiver {
    /// Listens on a free port of loopback for keys below `keys`.
    pub(crate) fn start(protocol: Protocol, keys: u32, faults: Faults) -> Result<Self, BenchError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = || {
            let listener = std::net::TcpListener::bind(any)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|source| BenchError::Socket {
            doing: "listen on",
            address: any,
            source,
        })?;
        let shared = Arc::new(Shared {
            order: Arc::new(Order::new(keys)),
            faults,
        });
        let stop = CancellationToken::new();
        let thread = {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            std::thread::Builder::new()
                .name("bench-receiver".into())
                .spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()?;
                    runtime
                        .block_on(stop.run_until_cancelled(accept(listener, protocol, shared)))
                        .transpose()?;
                    Ok(machine::thread_time())
                })
        };
        let thread = thread.map_err(|error| BenchError::Thread {
            what: "receiver",
            reason: error.to_string(),
        })?;
        Ok(Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has received.
    pub(crate) fn order(&self) -> Arc<Order> {
        Arc::clone(&self.shared.order)
    }

    /// Which keys fail.
    pub(crate) fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// From now on no key fails (or, with `false`, those fail again).
    pub(crate) fn heal(&self, healed: bool) {
        self.shared.faults.healed.store(healed, Ordering::Relaxed);
    }

    /// Cuts all connections; gives the processor time that it took.
    pub(crate) fn stop(mut self) -> Result<Duration, BenchError> {
        self.stop.cancel();
        let failed = |reason: String| BenchError::Thread {
            what: "receiver",
            reason,
        };
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(Duration::ZERO),
            Some(Ok(ended)) => ended.map_err(|error| failed(error.to_string())),
            Some(Err(_)) => Err(failed("it panicked".into())),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(
    listener: std::net::TcpListener,
    protocol: Protocol,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(stream, protocol, Arc::clone(&shared)));
    }
}

/// A connection that ends badly is its sender's to notice: it gets no answer and sends again.
async fn converse(stream: TcpStream, protocol: Protocol, shared: Arc<Shared>) -> io::Result<()> {
    match protocol {
        Protocol::Http => http::converse(stream, &shared).await,
        Protocol::Mllp => mllp::converse(stream, &shared).await,
    }
}

#[cfg(test)]
mod tests {
    use super::Faults;

    #[test]
    fn about_one_key_in_twenty_fails_and_not_in_a_row() {
        let faults = Faults::one_in(20);
        let failing: Vec<u32> = (0..10_000).filter(|&key| faults.concern(key)).collect();
        assert!((400..=600).contains(&failing.len()), "{}", failing.len());
        assert!(
            failing.windows(3).all(|keys| keys[2] - keys[0] > 2),
            "{failing:?}"
        );
        assert!((0..10_000).all(|key| !Faults::default().concern(key)));
    }
}
