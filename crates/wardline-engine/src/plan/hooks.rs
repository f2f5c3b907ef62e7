//! Webhooks of clients, compiled: each endpoint is a flow of its own that hears events and has one
//! destination, so that routing, order, retries and views know nothing new.

use super::compile::{Compiler, backoff};
use super::{DestinationPlan, FlowPlan, KeyPlan, TargetPlan};
use crate::webhook::{self, HookPlan};
use std::sync::Arc;
use wardline_core::Sensitivity;
use wardline_estate::model::{Client, ClientWebhook, Exhausted, Method};
use wardline_estate::{Diagnostic, codes};
use wardline_mapping::Input;

/// Where a webhook's deliveries go.
pub(super) fn destination(hook: &FlowPlan) -> Option<(Arc<str>, DestinationPlan)> {
    let target = hook.targets.first()?;
    let plan = DestinationPlan {
        connection: Arc::clone(&target.destination),
        method: Some(Method::Post),
        path: None,
        runbook: None,
    };
    Some((Arc::clone(&target.destination), plan))
}

impl Compiler<'_> {
    /// One endpoint; `None` where its client is refused, or where something does not compile.
    pub(super) fn hook(&mut self, client: &Client, declared: &ClientWebhook) -> Option<FlowPlan> {
        if declared.public_only
            && let Some(url) = &declared.url
            // That it is not `https` was reported already.
            && !url.value.starts_with("http://")
            && let Some(why) = wardline_connect::http::why_not_public(&url.value)
        {
            self.found.push(
                Diagnostic::error(codes::BAD_URL, "no webhook is sent there")
                    .at(url.at)
                    .label(why)
                    .help("`reach: anywhere` is for clients inside this organisation"),
            );
            return None;
        }
        let when = declared.when.as_ref();
        let predicate = match when {
            None => None,
            Some(text) => Some(self.predicate(text, Input::Json)?),
        };
        if client.disabled {
            return None;
        }
        let events = declared.events.iter().map(|event| {
            let entity = event.value.split('.').next().unwrap_or_default();
            let entity = entity.replace('_', "-");
            let holds_phi = self.estate().entities.get(&entity).is_none_or(|entity| {
                entity
                    .sensitivity
                    .values()
                    .any(|class| *class == Sensitivity::Phi)
            });
            let thin = declared.thin.unwrap_or(holds_phi);
            (event.value.as_str().into(), (entity.as_str().into(), thin))
        });
        let events = events.collect();
        let name: Arc<str> = webhook::destination(&declared.name).into();
        let heard: Vec<&str> = declared.events.iter().map(|e| e.value.as_str()).collect();
        let target = TargetPlan {
            destination: Arc::clone(&name),
            when: predicate,
            when_text: when.map(|text| text.value.as_str().into()),
            key: KeyPlan::Inherit,
            maps: Vec::new(),
            lane: declared.lane,
            backoff: declared
                .retry
                .as_ref()
                .map_or_else(webhook::schedule, backoff),
            park: declared.on_exhausted == Exhausted::Park,
            runbook: None,
            then: None,
        };
        Some(FlowPlan {
            owner: client.owner.clone().unwrap_or_default(),
            from: format!("event {}", heard.join(", ")),
            when: None,
            when_text: Some(format!("policies let `{}` receive it", client.name).into()),
            key: KeyPlan::Inherit,
            maps: Vec::new(),
            schema: None,
            enrich: Vec::new(),
            emit: None,
            lane: declared.lane,
            targets: vec![target],
            failed: format!("flow/{name}").into(),
            process: None,
            hook: Some(HookPlan {
                client: client.name.as_str().into(),
                purpose: declared
                    .purpose
                    .as_ref()
                    .map(|text| text.value.as_str().into()),
                events,
            }),
            name,
        })
    }
}
