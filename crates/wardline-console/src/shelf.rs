//! Things kept in memory behind an unguessable name: sessions, searches that hold a key,
//! acts that wait for a confirmation. Bounded in number and in time, so that nobody fills
//! the memory by asking, and lost on restart on purpose: none of it is a record.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::ConsoleError;

/// `bytes` random bytes from the operating system as lower-case hexadecimal.
pub(crate) fn random_name(bytes: usize) -> Result<String, ConsoleError> {
    let mut raw = vec![0u8; bytes];
    SystemRandom::new()
        .fill(&mut raw)
        .map_err(|_| ConsoleError::NoRandomness)?;
    Ok(hex(&raw))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a `String` cannot fail.
            write!(out, "{byte:02x}").expect("a String takes what is written to it");
            out
        })
}

/// A bounded map from names to things that expire.
pub(crate) struct Shelf<T> {
    slots: Mutex<HashMap<String, Slot<T>>>,
    capacity: usize,
    keep: Duration,
}

struct Slot<T> {
    thing: T,
    until: Instant,
}

impl<T: Clone> Shelf<T> {
    /// A shelf for at most `capacity` things, each kept for `keep`.
    pub(crate) fn new(capacity: usize, keep: Duration) -> Self {
        Self {
            slots: Mutex::new(HashMap::new()),
            capacity: capacity.max(1),
            keep,
        }
    }

    /// Puts a thing under a name. Where the shelf is full, what would expire first goes.
    pub(crate) fn put(&self, name: String, thing: T) {
        self.put_at(Instant::now(), name, thing);
    }

    /// The thing of that name, where it has not expired.
    pub(crate) fn get(&self, name: &str) -> Option<T> {
        self.get_at(Instant::now(), name)
    }

    /// Changes the thing of that name in place and returns what the change returned.
    pub(crate) fn change<R>(&self, name: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut slots = self.slots.lock();
        let slot = slots
            .get_mut(name)
            .filter(|slot| slot.until > Instant::now())?;
        Some(change(&mut slot.thing))
    }

    /// Takes the thing of that name away: what is good once.
    pub(crate) fn take(&self, name: &str) -> Option<T> {
        let slot = self.slots.lock().remove(name)?;
        (slot.until > Instant::now()).then_some(slot.thing)
    }

    fn put_at(&self, now: Instant, name: String, thing: T) {
        let mut slots = self.slots.lock();
        slots.retain(|_, slot| slot.until > now);
        while slots.len() >= self.capacity && !slots.contains_key(&name) {
            let Some(first) = slots
                .iter()
                .min_by_key(|(_, slot)| slot.until)
                .map(|(name, _)| name.clone())
            else {
                break;
            };
            slots.remove(&first);
        }
        slots.insert(
            name,
            Slot {
                thing,
                until: now + self.keep,
            },
        );
    }

    fn get_at(&self, now: Instant, name: &str) -> Option<T> {
        self.slots
            .lock()
            .get(name)
            .filter(|slot| slot.until > now)
            .map(|slot| slot.thing.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_expire_and_the_oldest_makes_room() {
        let shelf = Shelf::new(2, Duration::from_mins(1));
        let start = Instant::now();
        shelf.put_at(start, "a".into(), 1);
        shelf.put_at(start + Duration::from_secs(10), "b".into(), 2);
        assert_eq!(shelf.get_at(start + Duration::from_secs(59), "a"), Some(1));
        assert_eq!(
            shelf.get_at(start + Duration::from_mins(1), "a"),
            None,
            "expired to the second"
        );

        shelf.put_at(start + Duration::from_secs(20), "c".into(), 3);
        assert_eq!(
            shelf.get_at(start + Duration::from_secs(21), "a"),
            None,
            "the oldest made room"
        );
        assert_eq!(shelf.get_at(start + Duration::from_secs(21), "b"), Some(2));
        assert_eq!(shelf.get_at(start + Duration::from_secs(21), "c"), Some(3));
    }

    #[test]
    fn names_are_long_and_differ() {
        let one = random_name(16).unwrap();
        let two = random_name(16).unwrap();
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
