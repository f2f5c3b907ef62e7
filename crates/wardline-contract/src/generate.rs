//! OpenAPI 3.1 documents made from an Api's description and its entities' schemas.
//!
//! The same description gives the same bytes, so that a document can be compared with the last
//! one. Components are the entities by their names, and only those that an operation leads to.

mod answers;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use thiserror::Error;
use wardline_core::Code;

use crate::description::{ApiDescription, Entity, Operation, Parameter, Place, template_names};
use crate::schema::{component, references, walk};

/// The version of OpenAPI that is written.
pub const OPENAPI: &str = "3.1.0";
/// The name of the one security scheme.
const SCHEME: &str = "oauth2";
/// What may stand in a segment of a path: nothing that a reader behind could take for a separator
/// or for another encoding.
const SEGMENT: &str = r"^[^\x00-\x1f\x7f%/\\]+$";

/// Why no document can be made of a description.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// An operation names an entity that is not described.
    #[error(
        "cannot write the contract of `{api}`: operation `{operation}` names the entity `{entity}`, which is not described; add it to the entities"
    )]
    UnknownEntity {
        /// The Api.
        api: String,
        /// The operation.
        operation: String,
        /// The entity.
        entity: String,
    },
    /// An entity's schema refers to what a contract cannot hold.
    #[error(
        "cannot write the contract of `{api}`: the schema of `{entity}` has `{what}`; refer within the schema by `#/…` only"
    )]
    Reference {
        /// The Api.
        api: String,
        /// The entity.
        entity: String,
        /// The keyword or reference.
        what: String,
    },
    /// A name that OpenAPI cannot have among its components, or that is one of ours.
    #[error(
        "cannot write the contract of `{api}`: an entity cannot be called `{entity}`; use letters, digits, `.`, `-` and `_`, and neither `Problem` nor `Accepted`"
    )]
    Name {
        /// The Api.
        api: String,
        /// The entity.
        entity: String,
    },
    /// Two operations have one method and path.
    #[error(
        "cannot write the contract of `{api}`: `{operation}` has the same method and path as another operation; change one of them"
    )]
    Twice {
        /// The Api.
        api: String,
        /// The second of them.
        operation: String,
    },
}

impl GenerateError {
    /// Stable code, `W1510`.
    pub fn code(&self) -> Code {
        Code("W1510")
    }
}

/// Writes the contract of an Api as an OpenAPI 3.1 document.
///
/// # Errors
/// Where the description contradicts itself; a checked estate gives none of them.
///
/// ```
/// use wardline_contract::{ApiDescription, Operation, generate};
/// let api = ApiDescription {
///     name: "beds".into(),
///     title: "Beds".into(),
///     version: "1.0.0".into(),
///     base: "/beds/v1".into(),
///     operations: vec![Operation { name: "list".into(), path: "/".into(), ..Operation::default() }],
///     ..ApiDescription::default()
/// };
/// let document = generate(&api)?;
/// assert_eq!(document["paths"]["/"]["get"]["operationId"], "list");
/// # Ok::<(), wardline_contract::GenerateError>(())
/// ```
pub fn generate(api: &ApiDescription) -> Result<Value, GenerateError> {
    let writer = Writer { api };
    let mut paths = Map::new();
    for operation in &api.operations {
        let item = paths
            .entry(operation.path.clone())
            .or_insert_with(|| json!({}));
        let Value::Object(item) = item else { continue };
        let written = writer.operation(operation)?;
        if item
            .insert(operation.method().key().to_owned(), written)
            .is_some()
        {
            return Err(GenerateError::Twice {
                api: api.name.clone(),
                operation: operation.name.clone(),
            });
        }
    }
    let mut info = json!({ "title": api.title, "version": api.version });
    if let Some(text) = &api.description {
        info["description"] = json!(text);
    }
    let mut document = json!({
        "openapi": OPENAPI,
        "info": info,
        "servers": writer.servers(),
        "paths": paths,
        "components": writer.components()?,
    });
    if api.deprecated {
        // OpenAPI can deprecate operations only; tools that know no more still read this.
        document["info"]["x-deprecated"] = json!(true);
    }
    Ok(document)
}

struct Writer<'a> {
    api: &'a ApiDescription,
}

impl Writer<'_> {
    fn servers(&self) -> Value {
        let base = if self.api.base.is_empty() {
            "/"
        } else {
            &self.api.base
        };
        if self.api.servers.is_empty() {
            return json!([{ "url": base }]);
        }
        let servers = self.api.servers.iter();
        servers
            .map(|server| json!({ "url": format!("{}{}", server.trim_end_matches('/'), self.api.base) }))
            .collect()
    }

    fn operation(&self, operation: &Operation) -> Result<Value, GenerateError> {
        for entity in operation.accepts.iter().chain(&operation.returns) {
            self.entity(entity)
                .ok_or_else(|| GenerateError::UnknownEntity {
                    api: self.api.name.clone(),
                    operation: operation.name.clone(),
                    entity: entity.clone(),
                })?;
        }
        let mut written = Map::new();
        written.insert("operationId".to_owned(), json!(operation.name));
        if !operation.title.is_empty() {
            written.insert("summary".to_owned(), json!(operation.title));
        }
        if operation.deprecated || self.api.deprecated {
            written.insert("deprecated".to_owned(), json!(true));
        }
        let parameters = parameters(operation);
        if !parameters.is_empty() {
            written.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(entity) = &operation.accepts {
            let mut body = json!({
                "required": true,
                "content": content(operation, &reference(entity)),
            });
            if let Some(text) = named_twice(operation) {
                body["description"] = json!(text);
            }
            written.insert("requestBody".to_owned(), body);
        }
        let security = match &operation.scope {
            Some(scope) => json!([{ SCHEME: [scope] }]),
            None => json!([]),
        };
        written.insert("security".to_owned(), security);
        let deprecated = operation.deprecated || self.api.deprecated;
        written.insert(
            "responses".to_owned(),
            answers::responses(operation, deprecated),
        );
        Ok(Value::Object(written))
    }

    fn entity(&self, name: &str) -> Option<&Entity> {
        self.api.entities.iter().find(|entity| entity.name == name)
    }

    fn components(&self) -> Result<Value, GenerateError> {
        let operations = &self.api.operations;
        let mut schemas = Map::new();
        let mut open: Vec<&str> = operations
            .iter()
            .flat_map(|operation| operation.accepts.iter().chain(&operation.returns))
            .map(String::as_str)
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some(entity) = self.entity(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            let schema = self.component(entity)?;
            let named: Vec<_> = references(&schema)
                .iter()
                .filter_map(|r| component(r))
                .collect();
            open.extend(
                self.api
                    .entities
                    .iter()
                    .map(|entity| entity.name.as_str())
                    .filter(|name| named.iter().any(|named| named == name)),
            );
            schemas.insert(entity.name.clone(), schema);
        }
        schemas.sort_keys();
        schemas.insert("Problem".to_owned(), answers::problem());
        if operations.iter().any(|operation| operation.asynchronous) {
            schemas.insert("Accepted".to_owned(), answers::accepted());
        }
        let mut components = json!({
            "schemas": schemas,
            "responses": answers::refusals(),
            "headers": answers::headers(),
        });
        if operations.iter().any(|operation| operation.idempotency_key) {
            components["parameters"] = json!({ "IdempotencyKey": answers::idempotency_key() });
        }
        let mut scopes = Map::new();
        for operation in operations {
            if let Some(scope) = &operation.scope {
                let text = scopes.entry(scope.clone()).or_insert_with(|| json!(""));
                if let Value::String(text) = text {
                    let separator = if text.is_empty() { "" } else { ", " };
                    text.extend([separator, &operation.name]);
                }
            }
        }
        scopes.sort_keys();
        if !scopes.is_empty() {
            let token_url = self.api.token_url.as_deref().unwrap_or("/oauth/token");
            components["securitySchemes"] = json!({
                SCHEME: {
                    "type": "oauth2",
                    "description": "OAuth 2.0 client credentials. A scope's text names the operations it opens.",
                    "flows": { "clientCredentials": { "tokenUrl": token_url, "scopes": scopes } },
                },
            });
        }
        Ok(components)
    }

    /// An entity's schema as a component: what was relative to the schema becomes relative to the
    /// document.
    fn component(&self, entity: &Entity) -> Result<Value, GenerateError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if entity.name.is_empty()
            || !entity.name.chars().all(allowed)
            || ["Problem", "Accepted"].contains(&entity.name.as_str())
        {
            return Err(GenerateError::Name {
                api: self.api.name.clone(),
                entity: entity.name.clone(),
            });
        }
        let home = format!("#/components/schemas/{}", entity.name);
        let mut schema = entity.schema.clone();
        if let Value::Object(map) = &mut schema {
            map.shift_remove("$schema");
            map.shift_remove("$id");
        }
        let mut wrong = None;
        walk(&mut schema, &mut |map| {
            for keyword in ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef"] {
                if map.contains_key(keyword) {
                    wrong.get_or_insert_with(|| keyword.to_owned());
                }
            }
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                if target.starts_with("#/components/schemas/") {
                    // Already at home in a contract.
                } else if let Some(rest) = target
                    .strip_prefix('#')
                    .filter(|r| r.is_empty() || r.starts_with('/'))
                {
                    *target = format!("{home}{rest}");
                } else {
                    wrong.get_or_insert_with(|| target.clone());
                }
            }
        });
        match wrong {
            None => Ok(schema),
            Some(what) => Err(GenerateError::Reference {
                api: self.api.name.clone(),
                entity: entity.name.clone(),
                what,
            }),
        }
    }
}

pub(crate) fn reference(entity: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{entity}") })
}

/// What no schema can say: what is sent later has no path, so the body says it too, and the same.
fn named_twice(operation: &Operation) -> Option<String> {
    let names: Vec<_> = template_names(&operation.path)
        .map(|name| format!("`{name}`"))
        .collect();
    (operation.asynchronous && !names.is_empty()).then(|| {
        format!(
            "Where the body has {}, it must be the same value as in the path.",
            names.join(" or ")
        )
    })
}

/// What a body is written in. XML is promised without a schema: it is not held against one.
fn content(operation: &Operation, schema: &Value) -> Value {
    if operation.xml {
        let media = crate::xml::MEDIA.iter();
        return media
            .map(|media| ((*media).to_owned(), json!({})))
            .collect();
    }
    json!({ "application/json": { "schema": schema } })
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let declared = &operation.parameters;
    let mut written = Vec::new();
    for name in template_names(&operation.path) {
        let known = |parameter: &&Parameter| parameter.place == Place::Path;
        match declared
            .iter()
            .filter(known)
            .find(|parameter| parameter.name == name)
        {
            Some(parameter) => written.push(parameter_object(parameter)),
            None => written.push(parameter_object(&Parameter {
                name: name.to_owned(),
                place: Place::Path,
                required: true,
                description: None,
                schema: json!({ "type": "string", "minLength": 1, "pattern": SEGMENT }),
            })),
        }
    }
    let others = declared
        .iter()
        .filter(|parameter| parameter.place != Place::Path);
    written.extend(others.map(parameter_object));
    if operation.idempotency_key {
        written.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    written
}

fn parameter_object(parameter: &Parameter) -> Value {
    let mut written = json!({ "name": parameter.name, "in": parameter.place.key() });
    if let Some(text) = &parameter.description {
        written["description"] = json!(text);
    }
    written["required"] = json!(parameter.required || parameter.place == Place::Path);
    written["schema"] = parameter.schema.clone();
    written
}
