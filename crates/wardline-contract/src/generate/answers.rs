//! What every operation may answer: success, and problems (RFC 9457).

use serde_json::{Map, Value, json};

use super::{content, reference};
use crate::description::Operation;

/// Statuses of refusal, the name of the component and when it comes.
const REFUSALS: [(u16, &str, &str); 14] = [
    (
        400,
        "BadRequest",
        "The request cannot be read: its path, query, headers or JSON are malformed.",
    ),
    (
        401,
        "Unauthenticated",
        "No valid proof of who calls; `WWW-Authenticate` says which is expected.",
    ),
    (403, "Forbidden", "This caller may not do this."),
    (
        404,
        "NotFound",
        "There is nothing at this path, or nothing that this caller may know of.",
    ),
    (408, "RequestTimeout", "The body did not arrive in time."),
    (
        409,
        "Conflict",
        "The request is at odds with the present state, or the first request with this `Idempotency-Key` is still in hand.",
    ),
    (
        413,
        "ContentTooLarge",
        "The body is larger than the operation takes, as sent or once unpacked.",
    ),
    (
        415,
        "UnsupportedMediaType",
        "The body has a content type that the operation does not take.",
    ),
    (
        422,
        "Unprocessable",
        "The request breaks this contract, `errors` says where; or its `Idempotency-Key` came with another request before.",
    ),
    (
        429,
        "TooManyRequests",
        "More requests than agreed. Refused calls are not counted.",
    ),
    (500, "InternalError", "Something went wrong here."),
    (
        502,
        "BadGateway",
        "The system behind gave no usable answer. The request may have arrived.",
    ),
    (
        503,
        "Unavailable",
        "No capacity, or the system behind cannot be reached. The request did not arrive.",
    ),
    (
        504,
        "GatewayTimeout",
        "The system behind did not answer in time. The request may have arrived.",
    ),
];

/// Whether an operation can be refused in this way.
fn applies(status: u16, operation: &Operation) -> bool {
    let body = operation.accepts.is_some();
    match status {
        401 => operation.scope.is_some(),
        409 => operation.method().writes(),
        408 | 413 | 415 => body,
        _ => true,
    }
}

/// All answers of an operation.
pub(super) fn responses(operation: &Operation, deprecated: bool) -> Value {
    let mut responses = Map::new();
    for status in operation.success() {
        responses.insert(status.to_string(), success(operation, status, deprecated));
    }
    for (status, name, _) in REFUSALS {
        if applies(status, operation) {
            let target = format!("#/components/responses/{name}");
            responses.insert(status.to_string(), json!({ "$ref": target }));
        }
    }
    responses.sort_keys();
    Value::Object(responses)
}

fn success(operation: &Operation, status: u16, deprecated: bool) -> Value {
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let mut headers = Map::new();
    headers.insert("X-Correlation-Id".to_owned(), header("CorrelationId"));
    if deprecated {
        headers.insert("Deprecation".to_owned(), header("Deprecation"));
        headers.insert("Sunset".to_owned(), header("Sunset"));
    }
    if status == 202 && operation.asynchronous {
        headers.insert("Location".to_owned(), header("StatusUrl"));
        return json!({
            "description": "Accepted and durable; how it went on is told at `Location`.",
            "headers": headers,
            "content": { "application/json": { "schema": reference("Accepted") } },
        });
    }
    let description = match status {
        200 => "Done.",
        201 => "Created.",
        202 => "Accepted.",
        204 => "Done; there is nothing to say.",
        _ => "Success.",
    };
    let mut written = json!({ "description": description, "headers": headers });
    if let Some(entity) = operation.returns.as_deref().filter(|_| status != 204) {
        let one = reference(entity);
        let schema = if operation.list {
            json!({ "type": "array", "items": one })
        } else {
            one
        };
        written["content"] = content(operation, &schema);
    }
    written
}

/// The refusals as components.
pub(super) fn refusals() -> Value {
    let mut written = Map::new();
    for (status, name, text) in REFUSALS {
        let mut headers = Map::new();
        let mut add = |header: &str, component: &str| {
            let target = format!("#/components/headers/{component}");
            headers.insert(header.to_owned(), json!({ "$ref": target }));
        };
        add("X-Correlation-Id", "CorrelationId");
        match status {
            401 => add("WWW-Authenticate", "Authenticate"),
            409 | 429 | 503 => add("Retry-After", "RetryAfter"),
            _ => {}
        }
        written.insert(
            name.to_owned(),
            json!({
                "description": text,
                "headers": headers,
                "content": { "application/problem+json": { "schema": reference("Problem") } },
            }),
        );
    }
    Value::Object(written)
}

/// The headers as components.
pub(super) fn headers() -> Value {
    json!({
        "CorrelationId": {
            "description": "Names this request in logs, traces and the audit log. Quote it when you ask for help.",
            "schema": { "type": "string" },
        },
        "RetryAfter": {
            "description": "Seconds to wait before the next try (RFC 9110, 10.2.3).",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "Authenticate": {
            "description": "The kind of proof that is expected (RFC 6750, 3).",
            "schema": { "type": "string" },
        },
        "StatusUrl": {
            "description": "Where the state of what was accepted can be read.",
            "schema": { "type": "string", "format": "uri-reference" },
        },
        "Deprecation": {
            "description": "Since when this is deprecated, as `@` and seconds since 1970 (RFC 9745).",
            "schema": { "type": "string", "pattern": "^@-?[0-9]+$" },
        },
        "Sunset": {
            "description": "When this will no longer answer, as an HTTP date (RFC 8594).",
            "schema": { "type": "string" },
        },
    })
}

/// The parameter by which a write may be repeated without being done twice.
pub(super) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A value of your choice for this one request. The same key with the same request gives the first answer again; with another request 422; while the first is in hand 409.",
        "required": false,
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
    })
}

/// A problem.
pub(super) fn problem() -> Value {
    json!({
        "title": "Problem",
        "description": "What went wrong (RFC 9457). Holds no value of the request.",
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "What kind of problem; never changes." },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string" },
            "instance": { "type": "string", "format": "uri-reference" },
            "correlation_id": { "type": "string" },
            "errors": {
                "description": "Each broken rule of the contract.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "rule", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "JSON Pointer into the body, or `path:NAME`, `query:NAME`, `header:NAME`." },
                        "rule": { "type": "string" },
                        "detail": { "type": "string" },
                    },
                },
            },
        },
    })
}

/// What stands in a 202.
pub(super) fn accepted() -> Value {
    json!({
        "title": "Accepted",
        "description": "The request is durable and will be worked on.",
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": { "type": "string", "description": "Names what was accepted." },
            "status": { "type": "string", "description": "How far it is, or where to read that." },
        },
    })
}
