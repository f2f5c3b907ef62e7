//! `wardline api` and `wardline policy`: what is offered, what changed, and who may.

use crate::cli::{ApiCommand, PolicyCommand};
use crate::place::read_served;
use crate::{exit, paint};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use wardline_access::policy::Action;
use wardline_contract::{Contract, Severity, diff, needs_major};

pub(crate) fn run(command: ApiCommand) -> anyhow::Result<ExitCode> {
    match command {
        ApiCommand::List { estate, json } => list(&estate, json),
        ApiCommand::Openapi { api, estate } => openapi(&api, &estate),
        ApiCommand::Diff { old, new, json } => compare(&old, &new, json),
    }
}

fn list(estate: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let (plan, _) = read_served(estate, None)?;
    let estate = &plan.estate;
    let rows: Vec<Value> = estate
        .apis
        .values()
        .flat_map(|api| {
            api.operations.values().map(move |operation| {
                json!({
                    "api": api.id,
                    "operation": operation.name,
                    "layer": api.layer.as_str(),
                    "state": api.state.as_str(),
                    "method": operation.method.as_str(),
                    "path": api.path(operation),
                    "scope": operation.scope.as_ref().map(|scope| &scope.value),
                    "zones": api.zones.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "owner": api.owner,
                })
            })
        })
        .collect();
    if as_json {
        super::print_json(&json!({ "schema": "wardline.apis/1", "operations": rows }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in &rows {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        anstream::println!(
            "{:<32} {:<6} {}  {}",
            paint::strong(&format!("{}.{}", text("api"), text("operation"))),
            text("method"),
            text("path"),
            paint::faint(&format!(
                "{}, {}, scope {}",
                text("layer"),
                text("state"),
                text("scope")
            )),
        );
    }
    if rows.is_empty() {
        anstream::println!("this estate offers no Apis: declare some in apis/*.yaml");
    }
    Ok(ExitCode::SUCCESS)
}

fn openapi(name: &str, estate: &Path) -> anyhow::Result<ExitCode> {
    let (plan, _) = read_served(estate, None)?;
    let estate = &plan.estate;
    let found = estate.apis.get(name).or_else(|| estate.api(name));
    let Some(api) = found else {
        let known: Vec<&str> = estate.apis.keys().map(String::as_str).collect();
        anstream::eprintln!(
            "{} there is no Api `{name}`; there is {}",
            paint::bad("error:"),
            known.join(", ")
        );
        return Ok(ExitCode::from(exit::USAGE));
    };
    let description = wardline_gateway::estate::description(estate, api);
    super::print_json(&wardline_contract::generate(&description)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The contracts of a place, by name: one document, or every Api of an estate.
fn contracts(place: &Path) -> anyhow::Result<BTreeMap<String, Contract>> {
    if place.is_dir() {
        let (plan, _) = read_served(place, None)?;
        let estate = &plan.estate;
        return estate
            .apis
            .values()
            .map(|api| {
                let description = wardline_gateway::estate::description(estate, api);
                // Versions side by side are told apart; otherwise an Api is compared with itself.
                let name = if estate.versions(&api.name).len() > 1 {
                    api.id.clone()
                } else {
                    api.name.clone()
                };
                Ok((name, Contract::of(&description)?))
            })
            .collect();
    }
    let bytes = std::fs::read(place).with_context(|| format!("cannot read {}", place.display()))?;
    let document: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not JSON", place.display()))?;
    let (contract, findings) = Contract::read(&document);
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{}: {}", finding.pointer, finding.text))
        .collect();
    match contract {
        Some(contract) => Ok(BTreeMap::from([(String::new(), contract)])),
        None => bail!("{} is no contract: {}", place.display(), errors.join("; ")),
    }
}

fn compare(old: &Path, new: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let (old, new) = (contracts(old)?, contracts(new)?);
    let mut rows = Vec::new();
    let mut breaking = false;
    for (name, before) in &old {
        let Some(after) = new.get(name) else {
            breaking = true;
            rows.push(json!({
                "api": name, "breaking": true, "kind": "api-removed", "where": name,
                "text": "the Api is no longer there",
            }));
            continue;
        };
        let changes = diff(before, after);
        breaking |= needs_major(&changes);
        for change in &changes {
            rows.push(json!({
                "api": name, "breaking": change.breaking, "kind": change.kind, "where": change.place,
                "text": change.text,
            }));
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(*name)) {
        rows.push(json!({
            "api": name, "breaking": false, "kind": "api-added", "where": name, "text": "the Api is new",
        }));
    }
    if as_json {
        super::print_json(
            &json!({ "schema": "wardline.api-diff/1", "breaking": breaking, "changes": rows }),
        )?;
    } else {
        for row in &rows {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let sort = if row["breaking"] == true {
                paint::bad("breaking")
            } else {
                paint::good("harmless")
            };
            anstream::println!(
                "{sort}  {}  {}: {}",
                text("where"),
                text("kind"),
                text("text")
            );
        }
        anstream::println!(
            "{}",
            match (rows.is_empty(), breaking) {
                (true, _) => "no changes".to_owned(),
                (_, true) =>
                    paint::bad("callers of the old contract can fail: a major version is due"),
                (_, false) => paint::good("callers of the old contract are served as before"),
            }
        );
    }
    Ok(if breaking {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

pub(crate) fn policy(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    let PolicyCommand::Explain {
        client,
        operation,
        estate,
        json: as_json,
    } = command;
    let (plan, front) = read_served(&estate, None)?;
    let policies = front.policies();
    let explained = match client.strip_prefix("role:") {
        Some(role) => {
            let Some(action) = Action::from_name(&operation) else {
                let all = Action::ALL.map(Action::name).join(", ");
                anstream::eprintln!(
                    "{} `{operation}` is nothing that a person does: {all}",
                    paint::bad("error:")
                );
                return Ok(ExitCode::from(exit::USAGE));
            };
            policies.explain_role(role, action)
        }
        None => policies.explain(&client, &operation, None, None),
    };
    let Some(explained) = explained else {
        if let Some(role) = client.strip_prefix("role:") {
            let all: Vec<&str> = plan.estate.people.all_roles().collect();
            anstream::eprintln!(
                "{} there is no role `{role}`: roles are {}",
                paint::bad("error:"),
                all.join(", ")
            );
            return Ok(ExitCode::from(exit::USAGE));
        }
        let clients: Vec<&str> = plan.estate.clients.keys().map(String::as_str).collect();
        anstream::eprintln!(
            "{} there is no client `{client}` or no operation `{operation}`: clients are {}; `wardline api list` names operations",
            paint::bad("error:"),
            clients.join(", ")
        );
        return Ok(ExitCode::from(exit::USAGE));
    };
    if as_json {
        let reasons: Vec<Value> = explained
            .reasons
            .iter()
            .map(|reason| {
                json!({ "policy": reason.policy, "file": reason.file, "why": reason.why, "text": reason.text })
            })
            .collect();
        super::print_json(&json!({
            "schema": "wardline.policy/1", "client": client, "operation": operation,
            "allow": explained.allow, "words": explained.words, "reasons": reasons,
        }))?;
    } else {
        anstream::print!("{explained}");
    }
    Ok(if explained.allow {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}
