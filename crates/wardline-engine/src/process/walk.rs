//! Steps and what they are doing, walked side by side.

use super::plan::{KindPlan, StepPlan};
use super::state::{Here, Run};

/// Calls `f` for each leaf of a run: the steps that something is waited for at.
pub(crate) fn walk<'p>(
    steps: &'p [StepPlan],
    run: &mut Run,
    f: &mut dyn FnMut(&'p StepPlan, &mut Here),
) {
    let Some(step) = steps.get(run.at) else {
        return;
    };
    match (&step.kind, &mut run.here) {
        (KindPlan::Call(call), Here::Inner { run, .. }) => {
            walk(call.on_failure.as_deref().unwrap_or_default(), run, f);
        }
        (KindPlan::Wait(wait), Here::Inner { run, .. }) => {
            walk(wait.otherwise.as_deref().unwrap_or_default(), run, f);
        }
        (
            KindPlan::Choose {
                branches,
                otherwise,
            },
            Here::Inner { branch, run },
        ) => {
            let steps = branches
                .get(*branch)
                .map(|(_, steps)| steps.as_slice())
                .or(otherwise.as_deref())
                .unwrap_or_default();
            walk(steps, run, f);
        }
        (KindPlan::Group(steps), Here::Inner { run, .. })
        | (KindPlan::Repeat { steps, .. }, Here::Repeat { run, .. }) => walk(steps, run, f),
        (KindPlan::Parallel(branches), Here::Branches(runs)) => {
            for ((_, steps), run) in branches.iter().zip(runs) {
                if let Some(run) = run {
                    walk(steps, run, f);
                }
            }
        }
        (KindPlan::Each { steps, .. }, Here::Each { running, .. }) => {
            for round in running {
                walk(steps, &mut round.run, f);
            }
        }
        (_, here) => f(step, here),
    }
}
