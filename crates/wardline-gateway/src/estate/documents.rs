//! The contract of an Api as callers read it: OpenAPI 3.1 at `/openapi.json` below its base.

use super::{FrontError, given};
use crate::plan::{Limits, Operation, Serve, Validate};
use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wardline_contract as contract;
use wardline_core::Lane;
use wardline_estate::model::{Api, BodyContent, Estate, Idempotency, Lifecycle, QueryType};

/// An Api of the estate as contracts are made of it.
pub fn description(estate: &Estate, api: &Api) -> contract::ApiDescription {
    let mut entities: BTreeSet<&str> = BTreeSet::new();
    let operations = api
        .operations
        .values()
        .map(|operation| {
            for entity in operation.accepts.iter().chain(&operation.returns) {
                entities.insert(&entity.value);
            }
            contract::Operation {
                name: operation.name.clone(),
                title: operation.title.clone().unwrap_or_default(),
                method: operation.method.as_str().parse().ok(),
                path: operation.path.value.clone(),
                parameters: operation
                    .query
                    .iter()
                    .map(|(name, kind)| contract::Parameter {
                        name: name.clone(),
                        place: contract::Place::Query,
                        required: false,
                        description: None,
                        schema: match kind {
                            QueryType::String => json!({ "type": "string" }),
                            QueryType::Integer => json!({ "type": "integer" }),
                            QueryType::Number => json!({ "type": "number" }),
                            QueryType::Boolean => json!({ "type": "boolean" }),
                            QueryType::Date => json!({ "type": "string", "format": "date" }),
                            QueryType::DateTime => {
                                json!({ "type": "string", "format": "date-time" })
                            }
                        },
                    })
                    .collect(),
                accepts: operation.accepts.as_ref().map(|name| name.value.clone()),
                returns: operation.returns.as_ref().map(|name| name.value.clone()),
                list: operation.list,
                xml: operation.content == BodyContent::Xml,
                scope: operation.scope.as_ref().map(|scope| scope.value.clone()),
                asynchronous: super::work::is_later(operation),
                idempotency_key: matches!(operation.idempotent, Idempotency::Key { .. }),
                deprecated: api.state == Lifecycle::Deprecated,
                statuses: Vec::new(),
            }
        })
        .collect();
    contract::ApiDescription {
        name: api.name.clone(),
        title: api.title.clone().unwrap_or_else(|| api.name.clone()),
        description: None,
        version: api.version.to_string(),
        base: api.base.value.clone(),
        servers: Vec::new(),
        token_url: Some(wardline_access::oauth::TOKEN.to_owned()),
        deprecated: api.state == Lifecycle::Deprecated,
        operations,
        entities: entities
            .into_iter()
            .filter_map(|name| estate.entities.get(name))
            .map(|entity| contract::Entity {
                name: entity.name.clone(),
                schema: (*entity.schema).clone(),
            })
            .collect(),
    }
}

/// The document that callers of an Api read: the given one, else one made of the Api.
///
/// # Errors
/// Where the Api's description contradicts itself.
pub fn document(estate: &Estate, api: &Api) -> Result<Value, contract::GenerateError> {
    match given::of(estate, api) {
        Some(given) => Ok(given.document),
        None => contract::generate(&description(estate, api)),
    }
}

/// The contract that calls of an Api are held against. Its operations bear the Api's names.
///
/// # Errors
/// Where the Api's description contradicts itself.
pub fn contract(estate: &Estate, api: &Api) -> Result<contract::Contract, contract::GenerateError> {
    match given::of(estate, api) {
        Some(given) => Ok(given.contract),
        None => contract::Contract::of(&description(estate, api)),
    }
}

/// The operation that serves an Api's document.
pub(super) fn operation(estate: &Estate, api: &Api) -> Result<Operation, FrontError> {
    let document = document(estate, api)?;
    // A given one may still be 3.0.
    let three_zero = document["openapi"]
        .as_str()
        .is_some_and(|version| version.starts_with("3.0"));
    let content_type = if three_zero {
        "application/vnd.oai.openapi+json;version=3.0"
    } else {
        "application/vnd.oai.openapi+json;version=3.1"
    };
    Ok(Operation {
        name: "openapi".into(),
        method: Method::GET,
        path: "/openapi.json".to_owned(),
        scope: None,
        public: true,
        lane: Lane::Normal,
        limits: Limits::default(),
        content_types: Vec::new(),
        validate: Validate::default(),
        idempotent: None,
        serve: Serve::Document {
            content_type: HeaderValue::from_static(content_type),
            body: Bytes::from(document.to_string()),
        },
    })
}
