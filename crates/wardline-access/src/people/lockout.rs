//! Tries that failed, by whom and from where. After a few, each further one costs a wait that
//! doubles, so that guessing takes years and a person who mistyped takes a breath.
//!
//! In memory and bounded: what is forgotten first is what is longest past. Names are counted
//! whether or not there is such an account, so that a wait says nothing about who exists.

use ahash::AHashMap;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use wardline_core::Timestamp;

/// Failures in a row that cost nothing.
const FREE: u32 = 5;
/// From one address, behind which there may be a whole ward.
const FREE_FROM_ADDRESS: u32 = 20;
/// The first wait.
const FIRST: Duration = Duration::from_secs(15);
/// The longest.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Without a failure for so long, what was before is forgotten.
const FORGET: Duration = Duration::from_secs(24 * 3600);
/// Names and addresses that are remembered.
const REMEMBERED: usize = 8_192;

/// Whose tries are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Name(String),
    /// IPv6 by its network: who has one address of a /64 has all of them.
    Address(IpAddr),
}

impl Who {
    fn address(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V6(v6) => {
                if let Some(v4) = v6.to_ipv4_mapped() {
                    v4.into()
                } else {
                    let [a, b, c, d, ..] = v6.segments();
                    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
                }
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    const fn free(&self) -> u32 {
        match self {
            Self::Name(_) => FREE,
            Self::Address(_) => FREE_FROM_ADDRESS,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    failed: u32,
    last: i64,
    until: i64,
    /// Tries during the wait: told in the next entry of the audit log, which would be flooded
    /// by an entry each.
    ignored: u64,
}

/// Whether a password is looked at at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is. So many tries were ignored since the last one that was.
    Open {
        /// Tries that were not looked at.
        ignored: u64,
    },
    /// Not before this time has passed.
    Closed(Duration),
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Lockout(Mutex<AHashMap<Who, Tries>>);

impl Lockout {
    /// Asks before a try.
    pub(crate) fn ask(&self, name: &str, address: IpAddr, now: Timestamp) -> Gate {
        let mut all = self.0.lock();
        let mut wait = 0;
        let both = [Who::Name(name.to_owned()), Who::address(address)];
        for who in &both {
            if let Some(tries) = all.get(who) {
                wait = wait.max(tries.until - now.0);
            }
        }
        let mut ignored = 0;
        for who in &both {
            if let Some(tries) = all.get_mut(who) {
                if wait > 0 {
                    tries.ignored = tries.ignored.saturating_add(1);
                } else {
                    ignored = ignored.max(std::mem::take(&mut tries.ignored));
                }
            }
        }
        match u64::try_from(wait) {
            Ok(wait @ 1..) => Gate::Closed(Duration::from_micros(wait)),
            _ => Gate::Open { ignored },
        }
    }

    /// A try failed; the wait that follows from it, where one does.
    pub(crate) fn failed(&self, name: &str, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let mut all = self.0.lock();
        let mut longest = None;
        for who in [Who::Name(name.to_owned()), Who::address(address)] {
            let free = who.free();
            let tries = all.entry(who).or_default();
            if now.0.saturating_sub(tries.last) > FORGET.as_micros() as i64 {
                *tries = Tries::default();
            }
            tries.failed = tries.failed.saturating_add(1);
            tries.last = now.0;
            if tries.failed >= free {
                let doubled = FIRST.saturating_mul(1 << (tries.failed - free).min(10));
                let wait = doubled.min(LONGEST);
                tries.until = now.after(wait).0;
                longest = longest.max(Some(wait));
            }
        }
        while all.len() > REMEMBERED {
            let oldest = all.iter().min_by_key(|(_, tries)| tries.last);
            let Some(oldest) = oldest.map(|(who, _)| who.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        longest
    }

    /// Somebody came in: their own failures are over. Those of their address are not, or who
    /// has one account could guess at others for ever.
    pub(crate) fn came_in(&self, name: &str) {
        self.0.lock().remove(&Who::Name(name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn waits_double_and_are_bounded_and_end() {
        let lockout = Lockout::default();
        let mut now = 1_000;
        for _ in 0..4 {
            assert_eq!(lockout.failed("anna", HOME, at(now)), None);
        }
        let mut waits = Vec::new();
        for _ in 0..9 {
            let wait = lockout.failed("anna", HOME, at(now)).unwrap();
            assert_eq!(lockout.ask("anna", HOME, at(now)), Gate::Closed(wait));
            now += wait.as_secs() as i64;
            assert_eq!(
                lockout.ask("anna", HOME, at(now)),
                Gate::Open { ignored: 1 }
            );
            waits.push(wait.as_secs());
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        lockout.came_in("anna");
        assert_eq!(
            lockout.failed("anna", "10.0.0.1".parse().unwrap(), at(now)),
            None
        );
    }

    #[test]
    fn one_name_does_not_close_the_door_for_another_but_an_address_does() {
        let lockout = Lockout::default();
        for _ in 0..5 {
            lockout.failed("anna", HOME, at(0));
        }
        assert_eq!(lockout.ask("bert", HOME, at(0)), Gate::Open { ignored: 0 });
        for n in 0..15 {
            lockout.failed(&format!("guess-{n}"), HOME, at(0));
        }
        assert!(matches!(lockout.ask("bert", HOME, at(0)), Gate::Closed(_)));
        let elsewhere = "10.0.0.9".parse().unwrap();
        assert_eq!(
            lockout.ask("bert", elsewhere, at(0)),
            Gate::Open { ignored: 0 }
        );
        let neighbours = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        assert_eq!(Who::address(neighbours[0]), Who::address(neighbours[1]));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let lockout = Lockout::default();
        for n in 0..REMEMBERED + 50 {
            lockout.failed(&format!("guess-{n}"), HOME, at(n as i64));
        }
        assert!(lockout.0.lock().len() <= REMEMBERED);
        assert!(lockout.0.lock().contains_key(&Who::address(HOME)));
    }
}
