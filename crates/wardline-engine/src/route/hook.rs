//! An event on its way to a client's endpoint: may the client receive it, and what does it see.

use super::content::{json_text, written};
use super::router::Router;
use super::{Failure, JSON};
use crate::codes;
use crate::plan::FlowPlan;
use crate::webhook::{self, HookPlan, Told};
use bytes::Bytes;
use serde_json::Value;
use wardline_mapping::Subject;
use wardline_store::RouteOutcome;

/// What becomes of an event at an endpoint.
enum Answer {
    /// Policies do not let the client receive it.
    NotForIt,
    /// The endpoint's own predicate is false.
    NotWanted,
    /// This is sent.
    Sent(Bytes),
}

impl Router<'_> {
    /// Runs the flow that stands for an endpoint.
    pub(super) fn hook(
        &mut self,
        index: usize,
        hook: &HookPlan,
        message: usize,
        subject: &Subject,
    ) {
        let plan = self.plan;
        let flow = &plan.flows[index];
        let (target, outcome, body) = match self.answer(flow, hook, subject) {
            Err(failure) => {
                self.fail(index, message, failure.note(&flow.failed));
                return;
            }
            Ok(Answer::NotForIt) => (None, RouteOutcome::Filtered, None),
            Ok(Answer::NotWanted) => (Some(0), RouteOutcome::Filtered, None),
            Ok(Answer::Sent(body)) => (None, RouteOutcome::Taken, Some(body)),
        };
        self.out.messages[message]
            .routes
            .push((index, target, outcome));
        if let Some(body) = body {
            let key = self.out.messages[message].key.clone();
            self.deliver(index, Some(0), message, key, Some((body, JSON)), None);
        }
    }

    fn answer(
        &mut self,
        flow: &FlowPlan,
        hook: &HookPlan,
        subject: &Subject,
    ) -> Result<Answer, Failure> {
        let metadata = &subject.metadata;
        let event = metadata.message_type.as_deref().unwrap_or_default();
        let (bytes, _) = written(&subject.content, &flow.name)?;
        // What is not JSON has no fields that a file could call sensitive, so nobody gets it.
        let (Some((entity, thin)), Ok(data)) = (
            hook.events.get(event),
            serde_json::from_slice::<Value>(&bytes),
        ) else {
            return Ok(Answer::NotForIt);
        };
        // What the event says of itself is more than what is known of where it came from.
        let said = json_text(subject, "facility");
        let told = Told {
            event,
            entity,
            purpose: hook.purpose.as_deref(),
            facility: said.as_deref().or(metadata.facility.as_deref()),
            received: metadata.received.as_deref(),
            data: &data,
        };
        let Some(seen) = self.plan.audience.seen(&hook.client, &told) else {
            return Ok(Answer::NotForIt);
        };
        if let Some(when) = flow.targets.first().and_then(|target| target.when.as_ref()) {
            let wanted = when.test(subject, self.runtime).map_err(|error| Failure {
                code: codes::PREDICATE_FAILED,
                text: format!("the predicate of {}: {error}", flow.name),
            })?;
            if !wanted {
                return Ok(Answer::NotWanted);
            }
        }
        let received = metadata.received.as_deref();
        Ok(Answer::Sent(if *thin {
            webhook::thin(event, received)
        } else {
            webhook::full(event, received, seen)
        }))
    }
}
