//! Who may connect, how much may be in hand, and how often each thing happened: what every
//! listener needs, whatever it speaks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// An address, or a network in CIDR form, that may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `ip` belongs to the network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(&net.octets(), &ip.octets(), self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                same_prefix(&net.octets(), &ip.octets(), self.prefix)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: &[u8], b: &[u8], bits: u8) -> bool {
    let whole = usize::from(bits / 8);
    let rest = bits % 8;
    let mask = if rest == 0 { 0 } else { 0xffu8 << (8 - rest) };
    a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) & mask == 0)
}

/// The text names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address or network: write 10.1.2.3, 10.1.0.0/16 or fd00::/8")]
pub struct ParseNetworkError(String);

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let bad = || ParseNetworkError(text.chars().take(64).collect());
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(widest), str::parse).map_err(|_| bad())?;
        if prefix > widest {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The bytes that all messages in hand of one listener may hold together.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn of_bytes(limit: usize) -> Self {
        Self(Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))))
    }

    pub(crate) fn semaphore(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0)
    }

    /// Takes `bytes` if they are free now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// What a listener did since it was bound. Shared with whoever shows it.
        #[derive(Debug, Default)]
        pub struct Counters {
            open: AtomicU64,
            $($name: AtomicU64,)*
        }

        /// The values of [`Counters`] at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct CountersSnapshot {
            /// Connections open now.
            pub open: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// The values now. Each is exact; together they may be a moment apart.
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot {
                    open: self.open.load(Ordering::Relaxed),
                    $($name: self.$name.load(Ordering::Relaxed),)*
                }
            }
            $(
                /// Counts `by` more and returns the new value.
                pub(crate) fn $name(&self, by: u64) -> u64 {
                    self.$name.fetch_add(by, Ordering::Relaxed) + by
                }
            )*
        }
    };
}

counters! {
    /// Connections taken.
    connections
    /// Connections closed at once because the listener's limit was reached.
    turned_away
    /// Connections closed at once because the address is not on the list.
    not_allowed
    /// TLS handshakes that failed, a missing client certificate among them.
    handshakes_failed
    /// Messages accepted.
    accepted
    /// Messages recognised as duplicates and answered with the first answer.
    duplicates
    /// Messages refused, by the engine or because they could not be read.
    refused
    /// Messages that waited for room, or were told to come later.
    busy
    /// Messages over the size limit.
    too_large
    /// Requests without a valid credential.
    unauthenticated
    /// Frames without an end.
    cut
    /// Bytes between frames, thrown away.
    stray_bytes
    /// Connections closed because nothing came for too long.
    idle_closed
}

/// Whether the `nth` event of a kind is worth a log line: the first, and then ever fewer, so
/// that a peer cannot fill a disk by doing the same wrong thing a million times.
pub(crate) const fn worth_a_line(nth: u64) -> bool {
    nth.is_power_of_two()
}

/// One open connection: counted while it lives.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Counters>);

impl OpenConnection {
    pub(crate) fn count(counters: &Arc<Counters>) -> Self {
        counters.connections(1);
        counters.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_they_say() {
        let cases = [
            ("10.0.0.0/8", "10.200.1.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.168.4.0/22", "192.168.7.255", true),
            ("192.168.4.0/22", "192.168.8.0", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("fd00::/8", "10.0.0.1", false),
        ];
        for (network, ip, expected) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(ip.parse().unwrap()),
                expected,
                "{network} {ip}"
            );
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "host.example",
            "10.0.0.0/-1",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn budget_is_returned() {
        let budget = Budget::of_bytes(10);
        let held = budget.try_take(7).unwrap();
        assert!(budget.try_take(4).is_none());
        drop(held);
        assert!(budget.try_take(10).is_some());
    }
}
