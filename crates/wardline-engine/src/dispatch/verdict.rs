//! What follows from a failed attempt.

use super::channel::Policy;
use crate::fingerprint;
use wardline_connect::{Failure, FailureKind};
use wardline_core::Timestamp;
use wardline_store::{Note, Ready, SettlementResult};

/// What follows from a failure: another attempt, a person, or the end.
pub(super) fn decide(
    policy: &Policy,
    place: &str,
    ready: &Ready,
    attempt: u32,
    failure: &Failure,
    now: Timestamp,
) -> SettlementResult {
    let note = Note {
        code: failure.code.to_string(),
        text: failure.text.clone(),
        fingerprint: fingerprint::of(failure.code.0, place, &failure.text),
    };
    let end = |note| {
        if policy.park {
            SettlementResult::Dead(note)
        } else {
            SettlementResult::Hold(note)
        }
    };
    let first = ready.first_attempt.unwrap_or(now);
    let too_old = policy
        .backoff
        .max_age
        .is_some_and(|age| now.since(first) >= age);
    // While nobody answers, attempts say nothing about the message: only its age counts. A
    // schedule is one of times already.
    let exhausted = policy.backoff.attempts > 0
        && attempt >= policy.backoff.attempts
        && (failure.kind != FailureKind::Unreachable || policy.backoff.steps.is_some());
    if !failure.kind.may_pass() || too_old || exhausted {
        return end(note);
    }
    let mut wait = policy.backoff.wait(attempt, rand::random::<f64>());
    if let FailureKind::Busy {
        retry_after: Some(asked),
    } = failure.kind
    {
        wait = wait.max(asked);
    }
    SettlementResult::Retry {
        next: now.after(wait),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::super::backoff::Backoff;
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;
    use wardline_core::{Code, DeliveryId, DeliveryState, Id, Lane, MessageId, Sealed, Sym};

    const NOW: Timestamp = Timestamp(1_764_000_000_000_000);

    fn policy(attempts: u32, park: bool) -> Policy {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(1),
            attempts,
            max_age: Some(Duration::from_hours(1)),
            jitter: false,
            steps: None,
        };
        Policy {
            backoff,
            park,
            follow: None,
        }
    }

    fn verdict(
        policy: &Policy,
        kind: FailureKind,
        attempt: u32,
        age: Duration,
    ) -> SettlementResult {
        let ready = Ready {
            id: DeliveryId(Id::from_i64(1)),
            message: MessageId(Id::from_i64(1)),
            flow: Sym(1),
            destination: Sym(1),
            lane: Lane::Normal,
            key: None,
            state: DeliveryState::Pending,
            attempts: attempt - 1,
            next: None,
            accepted: NOW,
            first_attempt: (attempt > 1).then_some(NOW),
            content_type: Sym(1),
            body: Sealed::from_sealed_bytes(Bytes::new()),
        };
        let failure = Failure::new(kind, Code("W4204"), "503 from billing");
        decide(
            policy,
            "billing.open",
            &ready,
            attempt,
            &failure,
            NOW.after(age),
        )
    }

    fn wait(result: &SettlementResult, age: Duration) -> Duration {
        match result {
            SettlementResult::Retry { next, .. } => next.since(NOW.after(age)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn waits_grow_and_the_other_side_may_ask_for_more() {
        let (policy, soon) = (policy(0, false), Duration::from_secs(5));
        let after = |kind, attempt| wait(&verdict(&policy, kind, attempt, soon), soon).as_secs();
        assert_eq!(after(FailureKind::Transient, 1), 1);
        assert_eq!(after(FailureKind::Timeout, 4), 8);
        assert_eq!(after(FailureKind::Unreachable, 1_000), 60);
        let asked = |seconds| FailureKind::Busy {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(after(asked(300), 1), 300);
        assert_eq!(
            after(asked(1), 4),
            8,
            "sooner than we would is not asked for"
        );
        assert_eq!(after(FailureKind::Busy { retry_after: None }, 2), 2);
    }

    #[test]
    fn a_refusal_attempts_and_age_end_it() {
        let soon = Duration::from_secs(5);
        let held = |result| matches!(result, SettlementResult::Hold(note) if note.code == "W4204");
        let dead = |result| matches!(result, SettlementResult::Dead(_));
        let (hold, park) = (policy(3, false), policy(3, true));
        assert!(held(verdict(&hold, FailureKind::Permanent, 1, soon)));
        assert!(dead(verdict(&park, FailureKind::Permanent, 1, soon)));
        wait(&verdict(&hold, FailureKind::Transient, 2, soon), soon);
        assert!(held(verdict(&hold, FailureKind::Transient, 3, soon)));
        assert!(dead(verdict(&park, FailureKind::Timeout, 3, soon)));
        let old = Duration::from_hours(1);
        assert!(held(verdict(&hold, FailureKind::Unreachable, 2, old)));
        // Nobody was there: that is no fault of the message.
        wait(&verdict(&hold, FailureKind::Unreachable, 100, soon), soon);
    }
}
