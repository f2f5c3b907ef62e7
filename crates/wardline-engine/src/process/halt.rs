//! What an instance comes to that wants more than may be recorded at once: it is stuck where it
//! was, with the reason, until a person decides. Trying again by itself would be refused again.

use super::book::{Book, Loaded};
use super::machine::{Machine, withdraw};
use super::plan::ProcessPlan;
use super::state::Here;
use crate::accept::AcceptError;
use crate::codes;
use crate::plan::Plan;
use wardline_core::OrderingKey;
use wardline_store::{MailId, StoreError, Which};

/// Whether an advance will be refused as often as it is tried.
pub(super) fn is_refused(error: &AcceptError) -> bool {
    matches!(
        error,
        AcceptError::Store(StoreError::Invalid(_)) | AcceptError::Vault(_, codes::STEP_FAILED)
    )
}

impl Machine<'_> {
    /// Sticks where something came that cannot be followed up, or where it stands. Whether that
    /// was the end of a call, which does not come again.
    fn halt(&mut self, given: &[u32], why: &AcceptError) -> bool {
        let mut effects = std::mem::take(&mut self.effects);
        let text = why.to_string();
        let (mut ended, mut path, mut any) = (false, None, false);
        for only_given in [true, false] {
            self.each_leaf(&mut |step, here| {
                let call = match here {
                    Here::Call { n } => Some(*n),
                    _ => None,
                };
                let hit = match here {
                    Here::Call { n } | Here::Sleep { timer: n } => given.contains(n),
                    Here::Wait { open, timer, .. } => {
                        let mut own = open.iter().map(|(_, n)| n).chain(timer.iter());
                        own.any(|n| given.contains(n))
                    }
                    Here::Task { n, escalate } => {
                        given.contains(n) || escalate.is_some_and(|n| given.contains(&n))
                    }
                    _ => false,
                };
                // A step that stands still for another reason says so already.
                let stuck = matches!(here, Here::Stuck { .. });
                if any || stuck || (only_given && !hit) {
                    return;
                }
                any = true;
                if call.is_none() {
                    withdraw(&mut effects, here);
                }
                ended = call.is_some() && hit;
                *here = Here::Stuck {
                    n: call,
                    code: codes::STEP_FAILED.to_string(),
                    text: text.clone(),
                    round: None,
                };
                path = Some(step.path.to_string());
            });
        }
        if let Some(n) = self.state.deadline.filter(|n| given.contains(n)) {
            effects.end_timer(n);
            self.state.deadline = None;
        }
        self.effects = effects;
        let path = path.unwrap_or_default();
        self.effects
            .tell(&path, "failed", codes::STEP_FAILED.to_string());
        ended
    }
}

/// What became of a wish to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// It did.
    On,
    /// Somebody else was first; nothing was done.
    Late,
    /// It is stuck, and did not take the event that was for it: that is there for whoever waits.
    Stuck,
}

impl Book {
    /// Makes an instance stuck that was to go on and cannot.
    pub(super) async fn halt(
        &self,
        plan: &Plan,
        loaded: &Loaded,
        given: &[u32],
        mail: Vec<MailId>,
        why: &AcceptError,
    ) -> Result<Went, AcceptError> {
        tracing::error!(instance = %loaded.id, error = %why, "an instance is stuck: more would have to be recorded at once than is possible");
        let mut machine = loaded.machine(self.acceptor.clock.now());
        let ended = machine.halt(given, why);
        let which = Which::Existing {
            id: loaded.id,
            revision: loaded.revision,
            reopen: loaded.reopen,
        };
        let take = if ended { mail } else { Vec::new() };
        let (process, key) = (&loaded.process, &loaded.key);
        let stands = self.stand(plan, process, which, key, machine, take).await?;
        Ok(match (stands, ended) {
            (false, _) => Went::Late,
            (true, true) => Went::On,
            (true, false) => Went::Stuck,
        })
    }

    /// Begins an instance that cannot do its first steps: stuck at the first of them.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that the change is made of"
    )]
    pub(super) async fn begin_halted(
        &self,
        plan: &Plan,
        process: &ProcessPlan,
        which: Which,
        key: &OrderingKey,
        mut machine: Machine<'_>,
        mail: MailId,
        why: &AcceptError,
    ) -> Result<bool, AcceptError> {
        tracing::error!(process = %process.name, error = %why, "an instance begins stuck: more would have to be recorded at once than is possible");
        machine.halt(&[], why);
        self.stand(plan, process, which, key, machine, vec![mail])
            .await
    }

    /// Commits an instance as it stands.
    async fn stand(
        &self,
        plan: &Plan,
        process: &ProcessPlan,
        which: Which,
        key: &OrderingKey,
        mut machine: Machine<'_>,
        take: Vec<MailId>,
    ) -> Result<bool, AcceptError> {
        let standing = machine.standing();
        let ready = self
            .acceptor
            .advance(plan, process, which, key, machine, standing, take)
            .await?;
        self.put(plan, process, key, ready).await
    }
}
