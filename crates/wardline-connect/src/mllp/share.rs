//! One connection's share of the listener's memory.
//!
//! Bytes are paid for right after they were read, and nothing more is read or taken until they
//! are. A whole message takes the price of its bytes with it, and gives it back when its
//! verdict is known.

use std::future::poll_fn;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::PollSemaphore;

use crate::admission::Budget;

pub(super) struct Share {
    budget: Budget,
    /// Keeps its place in the line for memory across calls.
    line: PollSemaphore,
    /// Pays for the bytes in the connection's buffer.
    held: Option<OwnedSemaphorePermit>,
    /// Bytes in the buffer that are not paid for yet.
    owed: u32,
}

impl Share {
    pub(super) fn of(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            line: PollSemaphore::new(budget.semaphore()),
            held: None,
            owed: 0,
        }
    }

    pub(super) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Notes that `bytes` were read, and pays where there is room now.
    pub(super) fn read(&mut self, bytes: usize) {
        match self.budget.try_take(bytes) {
            Some(permit) => self.hold(permit),
            // One read is at most a chunk, so this always fits.
            None => self.owed = u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }

    /// Waits for room and pays what is owed. Safe to cancel.
    pub(super) async fn pay(&mut self) {
        let (line, owed) = (&mut self.line, self.owed);
        // The semaphore is never closed, so there is always a permit.
        if let Some(permit) = poll_fn(|cx| line.poll_acquire_many(cx, owed)).await {
            self.hold(permit);
        }
        self.owed = 0;
    }

    /// Takes out the price of a message of `bytes`, and gives back what neither it nor the
    /// `left` bytes in the buffer need any more.
    pub(super) fn split(&mut self, bytes: usize, left: usize) -> Option<OwnedSemaphorePermit> {
        let held = self.held.as_mut()?;
        let message = held.split(bytes.min(held.num_permits()));
        drop(held.split(held.num_permits().saturating_sub(left)));
        message
    }

    fn hold(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::of_bytes(100);
        let mut share = Share::of(&budget);
        share.read(70);
        assert!(!share.owes());
        // A message of 50 bytes in a frame of 53; 17 bytes of the next are in the buffer.
        let message = share.split(50, 17).unwrap();
        assert_eq!(budget.semaphore().available_permits(), 33);
        share.read(40);
        assert!(share.owes() && share.pay().now_or_never().is_none());
        drop(message);
        assert!(share.pay().now_or_never().is_some() && !share.owes());
        assert_eq!(budget.semaphore().available_permits(), 43);
        drop(share);
        assert_eq!(budget.semaphore().available_permits(), 100);
    }
}
