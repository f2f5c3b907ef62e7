//! `wardline api` and `wardline policy`: what is offered, what changed, and who may.

use super::compare;
use crate::cli::{ApiCommand, PolicyCommand};
use crate::place::read_served;
use crate::{exit, paint};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use wardline_access::policy::Action;

pub(crate) fn run(command: ApiCommand) -> anyhow::Result<ExitCode> {
    match command {
        ApiCommand::List { estate, json } => list(&estate, json),
        ApiCommand::Openapi { api, estate } => openapi(&api, &estate),
        ApiCommand::Diff { old, new, json } => compare::compare(&old, &new, json),
        ApiCommand::Record {
            api,
            replace,
            estate,
            json,
        } => compare::record(api.as_deref(), &estate, replace, json),
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

pub(crate) fn asyncapi(estate: &Path) -> anyhow::Result<ExitCode> {
    let (plan, _) = read_served(estate, None)?;
    super::print_json(&wardline_contract::asyncapi(&plan.estate))?;
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
    super::print_json(&wardline_gateway::estate::document(estate, api)?)?;
    Ok(ExitCode::SUCCESS)
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
