//! Contracts that somebody gives: compared with what the estate serves, shown, and held.
//!
//! A given document is a promise in somebody else's words. It is taken where the operations and
//! entities of the Api keep it; every difference is told at its place in the document. What is
//! shown to callers is the document itself, with what only this side knows: where the Api is
//! served, and what a caller needs to prove.

use super::documents::description;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use wardline_contract::{self as contract, Contract, Finding, Severity, check, codes};
use wardline_estate::model::{Api, Estate, Lifecycle};
use wardline_estate::{Diagnostic, Document};

/// The one security scheme of generated documents, and of given ones that name none.
const SCHEME: &str = "oauth2";

/// A given contract that can be used.
pub(super) struct Given {
    /// As calls are held against it: its operations bear the Api's names.
    pub(super) contract: Contract,
    /// As callers read it.
    pub(super) document: Value,
}

/// What is wrong with the given contracts of an estate, each at its place.
pub(super) fn problems(estate: &Estate) -> Vec<Diagnostic> {
    let apis = estate
        .apis
        .values()
        .filter(|api| api.state != Lifecycle::Retired);
    let mut found: Vec<Diagnostic> = apis.flat_map(|api| read(estate, api).1).collect();
    found.dedup();
    found
}

/// The given contract of an Api, where it gives one that can be used.
pub(super) fn of(estate: &Estate, api: &Api) -> Option<Given> {
    read(estate, api).0
}

fn read(estate: &Estate, api: &Api) -> (Option<Given>, Vec<Diagnostic>) {
    let Some(reference) = &api.contract else {
        return (None, Vec::new());
    };
    let document = match Document::read(estate, reference) {
        Ok(document) => document,
        Err(problems) => return (None, problems),
    };
    let (promised, mut findings) = Contract::read(document.value());
    let description = description(estate, api);
    let mut problems = Vec::new();
    if let Some(promised) = &promised {
        match check(promised, &description) {
            Ok(more) => findings.extend(more.into_iter().filter(|one| !filled(promised, one))),
            Err(error) => {
                problems.push(Diagnostic::error(error.code(), error.to_string()).at(reference.at));
            }
        }
        let compiled = contract::Compiled::new(promised, contract::Options::default());
        findings.extend(compiled.err().into_iter().flatten());
    }
    problems.extend(findings.into_iter().map(|finding| {
        let mut problem = match finding.severity {
            // Whoever writes a draft is told, and not stopped.
            Severity::Error if api.state != Lifecycle::Draft => {
                Diagnostic::error(finding.code, finding.text)
            }
            _ => Diagnostic::warning(finding.code, finding.text),
        };
        problem = problem
            .at(document.place(&finding.pointer))
            .related(reference.at, format!("the contract of `{}`", api.id));
        problem.help_if(finding.help)
    }));
    let given = promised.map(|promised| joined(promised, document.value().clone(), api));
    (given, problems)
}

/// A scope that the document does not name is not wrong where it names none at all: those are
/// filled in.
fn filled(contract: &Contract, finding: &Finding) -> bool {
    finding.code == codes::SECURITY
        && finding.severity == Severity::Warning
        && contract
            .promises
            .iter()
            .any(|promise| promise.pointer == finding.pointer && promise.scopes.is_empty())
}

/// The contract with the Api's names, and the document with what only this side knows.
fn joined(mut promised: Contract, mut document: Value, api: &Api) -> Given {
    let mut scopes: BTreeSet<&str> = BTreeSet::new();
    for promise in &mut promised.promises {
        let operation = api.operations.values().find(|operation| {
            let method = operation.method.as_str().parse().ok();
            method == Some(promise.method) && shape(&operation.path.value) == shape(&promise.path)
        });
        let Some(operation) = operation else {
            promise.name = None;
            continue;
        };
        promise.name = Some(operation.name.clone());
        let Some(Value::Object(written)) = document.pointer_mut(&promise.pointer) else {
            continue;
        };
        if let Some(scope) = &operation.scope
            && promise.scopes.is_empty()
        {
            scopes.insert(&scope.value);
            written.insert("security".to_owned(), json!([{ SCHEME: [scope.value] }]));
        }
        if api.state == Lifecycle::Deprecated {
            written.insert("deprecated".to_owned(), json!(true));
        }
    }
    let base = match api.base.value.as_str() {
        "" => "/",
        base => base,
    };
    document["servers"] = json!([{ "url": base }]);
    if !scopes.is_empty() {
        let names: Map<String, Value> = scopes
            .into_iter()
            .map(|scope| (scope.to_owned(), json!("")))
            .collect();
        let schemes =
            below(&mut document, "components").and_then(|it| below(it, "securitySchemes"));
        if let Some(Value::Object(schemes)) = schemes {
            schemes.entry(SCHEME).or_insert_with(|| {
                json!({
                    "type": "oauth2",
                    "description": "OAuth 2.0 client credentials.",
                    "flows": { "clientCredentials": {
                        "tokenUrl": wardline_access::oauth::TOKEN, "scopes": names,
                    } },
                })
            });
        }
    }
    Given {
        contract: promised,
        document,
    }
}

/// What an object has under a key, made where it is absent; `None` where there is no object.
fn below<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let found = value
        .as_object_mut()?
        .entry(key)
        .or_insert_with(|| json!({}));
    found.is_object().then_some(found)
}

/// A path without the names of its parameters.
fn shape(path: &str) -> String {
    let parts = path
        .trim_end_matches('/')
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
