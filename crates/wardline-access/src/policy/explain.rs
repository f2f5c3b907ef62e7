//! Decisions in words, for the people who write policies.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use wardline_core::Zone;

use super::decide::{Decision, Policies, holds, shown};
use super::world::{Action, Facts, Resource, zone_name};
use crate::{Caller, CallerKind, Strength};

/// A policy that decided.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reason {
    /// Its name.
    pub policy: Arc<str>,
    /// The file that it stands in, or `built-in`.
    pub file: Arc<str>,
    /// Its own words for why, where it has an annotation `@why`.
    pub why: Option<Arc<str>>,
    /// What it says.
    pub text: Arc<str>,
}

/// Whether a client may call an operation, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// Whether it may.
    pub allow: bool,
    /// The answer in sentences, first the verdict.
    pub words: Vec<String>,
    /// The policies that decided.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in &self.words {
            writeln!(f, "{sentence}")?;
        }
        for reason in &self.reasons {
            writeln!(f, "\n{} ({})", reason.policy, reason.file)?;
            for line in reason.text.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl Policies {
    /// Whether somebody in a role may do something to the estate, on Monday at noon; for
    /// [`Action::Reveal`] a payload of class PHI, for the purpose of operations. Answers none
    /// where the role is not known.
    pub fn explain_role(&self, role: &str, action: Action) -> Option<Explanation> {
        let uid = self.names.role(role);
        self.entities.get(&uid)?;
        let reveal = action == Action::Reveal;
        let caller = Caller {
            name: "somebody".into(),
            kind: CallerKind::Person,
            zone: Zone::Admin,
            scopes: BTreeSet::new(),
            roles: [role.into()].into(),
            facilities: BTreeSet::new(),
            strength: Strength::Secret,
            purpose: reveal.then(|| "HOPERAT".into()),
            until: None,
        };
        let facts = Facts {
            class: reveal.then_some(wardline_core::Sensitivity::Phi),
            ..Facts::at(Zone::Admin)
        };
        let decision = self.decide(&caller, action, &Resource::Estate, &facts);
        let verdict = if decision.allow { "may" } else { "may not" };
        let what = if reveal {
            " values of class phi, for the purpose HOPERAT"
        } else {
            ""
        };
        let mut words = vec![format!(
            "Somebody with the role {role} {verdict} {}{what} on the estate.",
            action.name()
        )];
        let reasons = self.reasons(&decision, &mut words);
        words.push("Assumed: Monday at noon, no other role.".to_owned());
        Some(Explanation {
            allow: decision.allow,
            words,
            reasons,
        })
    }

    /// The policies that decided, with a sentence for each.
    fn reasons(&self, decision: &Decision, words: &mut Vec<String>) -> Vec<Reason> {
        let reasons: Vec<Reason> = decision
            .policies
            .iter()
            .filter_map(|name| self.rule(name))
            .map(|rule| Reason {
                policy: Arc::clone(&rule.name),
                file: Arc::clone(&rule.file),
                why: rule.why.clone(),
                text: Arc::clone(&rule.text),
            })
            .collect();
        let verb = if decision.allow {
            "Permitted"
        } else {
            "Forbidden"
        };
        for reason in &reasons {
            let why = reason.why.as_deref().unwrap_or("see its text");
            words.push(format!("{verb} by policy {}: {why}.", reason.policy));
        }
        for error in &decision.errors {
            words.push(format!("Refused because {error}."));
        }
        if !decision.allow && decision.policies.is_empty() && decision.errors.is_empty() {
            words.push("No policy permits it, and what is not permitted is refused.".to_owned());
        }
        reasons
    }

    /// Whether a client may call an operation when it shows all that its file grants, on a
    /// listener of `zone` (its own where none is given), on Monday at noon, for no particular
    /// site. Answers none where there is no such client or operation.
    ///
    /// `operation` is a name as policies have it, `supplier-master.get-supplier`; of several
    /// versions the highest is taken unless `major` says otherwise.
    pub fn explain(
        &self,
        client: &str,
        operation: &str,
        major: Option<u32>,
        zone: Option<Zone>,
    ) -> Option<Explanation> {
        let principal = self.principals.get(client)?;
        let (resource, place) = self
            .places
            .iter()
            .filter(|(_, place)| {
                place
                    .call
                    .as_ref()
                    .is_some_and(|call| major.is_none_or(|major| call.version == major))
                    && place.uid.id().unescaped() == operation
            })
            .max_by_key(|(_, place)| place.call.as_ref().map(|call| call.version))?;
        let call = place.call.as_ref()?;
        let granted = &principal.client;
        let caller = Caller {
            name: Arc::clone(&granted.name),
            kind: granted.kind,
            zone: granted.zone,
            scopes: granted.scopes.clone(),
            roles: granted.roles.clone(),
            facilities: granted.facilities.clone(),
            strength: Strength::PrivateKey,
            purpose: granted.purposes.first().cloned(),
            until: None,
        };
        let facts = Facts::at(zone.unwrap_or(granted.zone));
        let decision = self.decide(&caller, Action::Call, resource, &facts);
        let mut words = Vec::new();
        let verdict = if decision.allow { "may" } else { "may not" };
        words.push(format!(
            "{client} {verdict} call {operation} (version {}) on a listener of zone {}.",
            call.version,
            zone_name(facts.zone)
        ));
        let reasons = self.reasons(&decision, &mut words);
        match &call.scope {
            None => words.push("The operation is public: it needs no scope.".to_owned()),
            Some(scope) if holds(&caller, Some(granted), scope) => {
                words.push(format!("Its file grants the scope {scope}."));
            }
            Some(scope) => words.push(format!(
                "It needs the scope {scope}, which its file does not grant."
            )),
        }
        if !shown(&caller, call, &facts) {
            let zones: BTreeSet<&str> = call.zones.iter().copied().map(zone_name).collect();
            let zones: Vec<&str> = zones.into_iter().collect();
            words.push(format!(
                "The Api is shown in: {}; the client belongs to zone {}.",
                zones.join(", "),
                zone_name(granted.zone)
            ));
        }
        if !granted.facilities.is_empty() {
            let sites: Vec<&str> = granted.facilities.iter().map(AsRef::as_ref).collect();
            words.push(format!(
                "It is restricted to the sites {}; asking for another is forbidden.",
                sites.join(", ")
            ));
        }
        words.push(
            "Assumed: Monday at noon, a private key, no client certificate, no particular site."
                .to_owned(),
        );
        Some(Explanation {
            allow: decision.allow,
            words,
            reasons,
        })
    }
}
