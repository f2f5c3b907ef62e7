//! What the service says of itself (RFC 7644, 4).

use crate::schema::{Attribute, Mutability, ResourceType, Schema, Type};
use serde_json::{Value, json};

/// How senders prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By a token.
    Bearer,
    /// By a name and a password.
    Basic,
    /// Not at all.
    None,
}

/// What the service can do; `most` resources stand on one page.
pub fn config(base: &str, proof: Proof, most: u64) -> Value {
    let schemes = match proof {
        Proof::Bearer => json!([{
            "type": "oauthbearertoken", "name": "Bearer token", "description": "A token in the header Authorization",
            "specUri": "https://www.rfc-editor.org/info/rfc6750", "primary": true,
        }]),
        Proof::Basic => json!([{
            "type": "httpbasic", "name": "HTTP Basic", "description": "A name and a password in the header Authorization",
            "specUri": "https://www.rfc-editor.org/info/rfc7617", "primary": true,
        }]),
        Proof::None => json!([]),
    };
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": most },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": schemes,
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

/// The types of resources.
pub fn types(base: &str) -> Vec<Value> {
    ResourceType::ALL
        .iter()
        .map(|one| of_type(base, one))
        .collect()
}

fn of_type(base: &str, of: &ResourceType) -> Value {
    let extensions = of.extensions.iter();
    let extensions = extensions.map(|one| json!({ "schema": one.id, "required": false }));
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": of.name,
        "name": of.name,
        "endpoint": of.endpoint,
        "description": of.schema.doc,
        "schema": of.schema.id,
        "schemaExtensions": extensions.collect::<Value>(),
        "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", of.name) },
    })
}

/// The schemas.
pub fn schemas(base: &str) -> Vec<Value> {
    let all = ResourceType::ALL.iter().flat_map(|one| one.schemas());
    all.map(|schema| of_schema(base, schema)).collect()
}

fn of_schema(base: &str, schema: &Schema) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.id,
        "name": schema.name,
        "description": schema.doc,
        "attributes": schema.attributes.iter().map(of_attribute).collect::<Value>(),
        "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id) },
    })
}

fn of_attribute(attribute: &Attribute) -> Value {
    let mut made = json!({
        "name": attribute.name,
        "type": match attribute.kind {
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::DateTime => "dateTime",
            Type::Binary => "binary",
            Type::Reference => "reference",
            Type::Complex => "complex",
        },
        "multiValued": attribute.multi,
        "description": attribute.doc,
        "required": attribute.required,
        "mutability": match attribute.mutability {
            Mutability::ReadWrite => "readWrite",
            Mutability::ReadOnly => "readOnly",
            Mutability::Immutable => "immutable",
        },
        "returned": if attribute.always { "always" } else { "default" },
        "uniqueness": if attribute.unique { "server" } else { "none" },
        "caseExact": attribute.case_exact,
    });
    if !attribute.canonical.is_empty() {
        made["canonicalValues"] = json!(attribute.canonical);
    }
    if !attribute.leads_to.is_empty() {
        made["referenceTypes"] = json!(attribute.leads_to);
    }
    if !attribute.sub.is_empty() {
        made["subAttributes"] = attribute.sub.iter().map(of_attribute).collect();
    }
    made
}
