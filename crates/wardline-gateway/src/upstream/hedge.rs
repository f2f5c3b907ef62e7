//! A second try of a read that is slow, so that one stuck answer of a system does not decide how
//! long a caller waits.
//!
//! Off unless an estate says so, only for safe methods (RFC 9110, 9.2.1), one extra call at most,
//! and never for more than one call in twenty: a system that is slow because it is full must not
//! get twice as much to do.

use http::Response;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::{Answering, Miss, Outgoing, Remote};
use crate::body::OutBody;

/// Tokens: a call that may be hedged earns one, a hedge costs twenty; at most ten hedges are saved.
const COST: i64 = 20;
const MOST: i64 = 200;

/// How many more hedges there may be.
#[derive(Debug, Default)]
pub(super) struct Hedges(AtomicI64);

impl Hedges {
    fn earn(&self) {
        if self.0.load(Ordering::Relaxed) < MOST {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn afford(&self) -> bool {
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                (left >= COST).then(|| left - COST)
            });
        taken.is_ok()
    }
}

type Answer = Result<Response<Answering>, Miss>;

/// Whether an answer ends the race: one that says that the system is unwell does not.
fn settles(answer: &Answer) -> bool {
    answer
        .as_ref()
        .is_ok_and(|answer| !answer.status().is_server_error())
}

impl Remote {
    /// How long this call may take before it is sent a second time.
    pub(super) fn hedges(&self, call: &Outgoing) -> Option<Duration> {
        let in_memory = matches!(call.body, OutBody::Full(_));
        self.settings
            .hedge
            .filter(|_| call.method.is_safe() && in_memory)
    }

    pub(super) async fn hedged(
        &self,
        mut call: Outgoing,
        after: Duration,
        deadline: Instant,
    ) -> Answer {
        self.hedges.earn();
        let mut again = call.copy();
        // One extra call is one, however it ends.
        again.repeatable = false;
        let from = self.first_well(0);
        let mut first = pin!(self.attempts(&mut call, from, deadline));
        if let Ok(answer) = tokio::time::timeout(after, &mut first).await {
            return answer;
        }
        if !self.hedges.afford() {
            return first.await;
        }
        let next = self.first_well((from + 1) % self.addresses.len());
        let mut second = pin!(self.attempts(&mut again, next, deadline));
        // Whichever is not waited for is dropped, and its connection with it.
        tokio::select! {
            answer = &mut first => if settles(&answer) { answer } else { better(answer, second.await) },
            answer = &mut second => if settles(&answer) { answer } else { better(first.await, answer) },
        }
    }
}

/// The answer of the first call, unless only the second has one.
fn better(first: Answer, second: Answer) -> Answer {
    if settles(&second) || first.is_err() && second.is_ok() {
        second
    } else {
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_call_in_twenty_is_sent_twice() {
        let hedges = Hedges::default();
        let mut sent = 0;
        for calls in 1..=10_000 {
            hedges.earn();
            sent += i64::from(hedges.afford());
            assert!(sent * COST <= calls, "{sent} of {calls}");
        }
        assert_eq!(sent, 500);
        for _ in 0..10_000 {
            hedges.earn();
        }
        assert_eq!((0..100).filter(|_| hedges.afford()).count(), 10);
    }
}
