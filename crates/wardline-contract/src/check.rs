//! A given contract against the operations of the Api that serves it.

use serde_json::Value;

use crate::codes;
use crate::description::{ApiDescription, Operation, Place, shape, template_names};
use crate::diff::{major, misfits};
use crate::generate::{GenerateError, reference};
use crate::read::{Contract, Finding, Promise, Status};

/// What a contract and an Api do not agree on.
///
/// # Errors
/// Where the description of the Api contradicts itself.
///
/// ```
/// use wardline_contract::{ApiDescription, Contract, Operation, check};
/// let document = serde_json::json!({
///     "openapi": "3.1.0", "info": { "title": "Beds", "version": "1.0.0" }, "paths": {}
/// });
/// let contract = Contract::read(&document).0.expect("it is usable");
/// let api = ApiDescription {
///     version: "1.2.0".into(),
///     operations: vec![Operation { name: "list".into(), path: "/beds".into(), ..Operation::default() }],
///     ..ApiDescription::default()
/// };
/// assert_eq!(check(&contract, &api)?[0].code.0, "W1504");
/// # Ok::<(), wardline_contract::GenerateError>(())
/// ```
pub fn check(contract: &Contract, api: &ApiDescription) -> Result<Vec<Finding>, GenerateError> {
    // What we would promise ourselves; its components are the entities.
    let own = Contract::of(api)?;
    let mut findings = Vec::new();
    if !contract.version.is_empty() && major(&contract.version) != major(&api.version) {
        let text = format!(
            "the contract is of version {}, the Api of {}",
            contract.version, api.version
        );
        findings.push(Finding::warning(codes::VERSION, "/info/version", text));
    }
    for operation in &api.operations {
        match find(contract, operation) {
            Some(promise) => {
                operation_against(contract, promise, &own, operation, &mut findings);
            }
            None => findings.push(missing(contract, operation)),
        }
    }
    for promise in &contract.promises {
        let served = api.operations.iter().any(|operation| {
            operation.method() == promise.method && shape(&operation.path) == shape(&promise.path)
        });
        if !served {
            let text = format!("`{}` has no operation in the Api", promise.line());
            findings.push(
                Finding::error(codes::NOT_SERVED, &promise.pointer, text)
                    .help("add the operation to the Api, or remove it from the contract"),
            );
        }
    }
    Ok(findings)
}

fn find<'c>(contract: &'c Contract, operation: &Operation) -> Option<&'c Promise> {
    contract.promises.iter().find(|promise| {
        promise.method == operation.method() && shape(&promise.path) == shape(&operation.path)
    })
}

fn missing(contract: &Contract, operation: &Operation) -> Finding {
    let line = format!("{} {}", operation.method(), operation.path);
    let other = contract
        .promises
        .iter()
        .find(|promise| shape(&promise.path) == shape(&operation.path))
        .or_else(|| contract.promise(&operation.name));
    let text = format!(
        "operation `{}` (`{line}`) is not in the contract",
        operation.name
    );
    let at = other.map_or("/paths", |promise| promise.pointer.as_str());
    let finding = Finding::error(codes::NOT_PROMISED, at, text);
    match other {
        Some(promise) => finding.help(format!("the contract has `{}`", promise.line())),
        None => finding.help("add it under `paths`, or remove it from the Api"),
    }
}

fn operation_against(
    contract: &Contract,
    promise: &Promise,
    own: &Contract,
    operation: &Operation,
    findings: &mut Vec<Finding>,
) {
    parameters(promise, operation, findings);
    body(contract, promise, own, operation, findings);
    answers(contract, promise, own, operation, findings);
    match &operation.scope {
        Some(scope) if !promise.scopes.contains(scope) => {
            let text = format!("the operation needs the scope `{scope}`, which is not named");
            findings.push(
                Finding::warning(codes::SECURITY, &promise.pointer, text)
                    .help("name it in an `oauth2` security requirement"),
            );
        }
        None if promise.secured => {
            let text = "the operation is public, but the contract wants proof of who calls";
            findings.push(
                Finding::error(codes::SECURITY, &promise.pointer, text)
                    .help("give the operation a `scope`"),
            );
        }
        _ => {}
    }
}

fn parameters(promise: &Promise, operation: &Operation, findings: &mut Vec<Finding>) {
    let promised: Vec<_> = template_names(&promise.path).collect();
    let own: Vec<_> = template_names(&operation.path).collect();
    for (promised, own) in promised.iter().zip(&own) {
        if promised != own {
            let text = format!("the path has `{{{promised}}}`, the operation `{{{own}}}`");
            findings.push(
                Finding::error(codes::PARAMETER, &promise.pointer, text)
                    .help("use one name: bindings and maps know the value by the operation's"),
            );
        }
    }
    for parameter in operation
        .parameters
        .iter()
        .filter(|p| p.place != Place::Path)
    {
        let known = promise.parameters.iter().find(|promised| {
            promised.place == parameter.place && promised.name.eq_ignore_ascii_case(&parameter.name)
        });
        let place = format!("{} parameter `{}`", parameter.place.key(), parameter.name);
        match known {
            None => {
                let text = format!("the {place} of the operation is not in the contract");
                findings.push(Finding::error(codes::PARAMETER, &promise.pointer, text));
            }
            Some(promised) if parameter.required && !promised.required => {
                let text = format!("the {place} is required by the operation");
                findings.push(
                    Finding::error(codes::PARAMETER, &promised.pointer, text)
                        .help("say `required: true`"),
                );
            }
            Some(_) => {}
        }
    }
}

/// The schema that is promised for JSON, and its place.
fn json<'a>(
    content: &'a [(String, Option<Value>)],
    at: &str,
) -> Option<(Option<&'a Value>, String)> {
    content
        .iter()
        .find(|(media, _)| media == "application/json" || media.ends_with("+json"))
        .map(|(media, schema)| {
            let media = crate::schema::escape(media);
            (schema.as_ref(), format!("{at}/content/{media}/schema"))
        })
}

/// Whether XML is among the content types.
fn xml(content: &[(String, Option<Value>)]) -> bool {
    content
        .iter()
        .any(|(media, _)| crate::xml::MEDIA.contains(&media.as_str()))
}

fn body(
    contract: &Contract,
    promise: &Promise,
    own: &Contract,
    operation: &Operation,
    findings: &mut Vec<Finding>,
) {
    let at = &promise.pointer;
    let (entity, body) = match (&operation.accepts, &promise.body) {
        (None, None) => return,
        (None, Some(body)) => {
            let text = "the contract takes a body, the operation accepts none";
            findings.push(
                Finding::error(codes::REQUEST, &body.pointer, text)
                    .help("name the entity in the operation's `accepts`"),
            );
            return;
        }
        (Some(entity), None) => {
            let text = format!("the operation accepts `{entity}`, the contract takes no body");
            findings.push(Finding::error(codes::REQUEST, at, text));
            return;
        }
        (Some(entity), Some(body)) => (entity, body),
    };
    if !body.required {
        let text = format!("the operation needs a `{entity}`, the contract says it may be absent");
        findings
            .push(Finding::error(codes::REQUEST, &body.pointer, text).help("say `required: true`"));
    }
    if operation.xml {
        if !xml(&body.content) {
            let text = format!("the operation accepts `{entity}` as XML, the contract takes none");
            findings.push(Finding::error(codes::REQUEST, &body.pointer, text));
        }
        return;
    }
    let Some((schema, at)) = json(&body.content, &body.pointer) else {
        let text = format!("the operation accepts `{entity}` as JSON, the contract takes none");
        findings.push(Finding::error(codes::REQUEST, &body.pointer, text));
        return;
    };
    let Some(schema) = schema else {
        let text = format!("the contract does not say that the body is a `{entity}`");
        findings.push(Finding::warning(codes::REQUEST, &at, text).help("give it a `schema`"));
        return;
    };
    let entity_schema = reference(entity);
    let from = (schema, &contract.root);
    for (place, text) in misfits(from, (&entity_schema, &own.root)) {
        let text = format!(
            "a request by the contract may not be a `{entity}`: at `{}`, {text} (contract / entity)",
            shown(&place)
        );
        findings.push(Finding::error(codes::REQUEST, &at, text));
    }
}

fn answers(
    contract: &Contract,
    promise: &Promise,
    own: &Contract,
    operation: &Operation,
    findings: &mut Vec<Finding>,
) {
    if operation.asynchronous {
        let known = |status: Status| matches!(status, Status::Exactly(202) | Status::Class(2));
        if !promise.answers.iter().any(|answer| known(answer.status)) {
            let text = "the operation is asynchronous and answers 202, which the contract lacks";
            findings.push(Finding::error(codes::ANSWER, &promise.pointer, text));
        }
        return;
    }
    let Some(entity) = &operation.returns else {
        return;
    };
    let mut schema = reference(entity);
    if operation.list {
        schema = serde_json::json!({ "type": "array", "items": schema });
    }
    let success = |status: Status| matches!(status, Status::Exactly(200..=203 | 206..=299) | Status::Class(2));
    if operation.xml {
        let mut successes = promise.answers.iter().filter(|a| success(a.status));
        if !successes.any(|answer| xml(&answer.content)) {
            let text = format!("the operation returns `{entity}`, the contract has no XML answer");
            findings.push(Finding::error(codes::ANSWER, &promise.pointer, text));
        }
        return;
    }
    let mut any = false;
    for answer in promise.answers.iter().filter(|a| success(a.status)) {
        let Some((promised, at)) = json(&answer.content, &answer.pointer) else {
            continue;
        };
        any = true;
        let Some(promised) = promised else {
            continue;
        };
        let to = (promised, &contract.root);
        for (place, text) in misfits((&schema, &own.root), to) {
            let text = format!(
                "a `{entity}` may not be an answer by the contract: at `{}`, {text} (entity / contract)",
                shown(&place)
            );
            findings.push(Finding::error(codes::ANSWER, &at, text));
        }
    }
    if !any {
        let text = format!("the operation returns `{entity}`, the contract has no JSON answer");
        findings.push(Finding::error(codes::ANSWER, &promise.pointer, text));
    }
}

fn shown(place: &str) -> &str {
    if place.is_empty() { "/" } else { place }
}
