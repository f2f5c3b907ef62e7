//! The parts of one operation: parameters, body, answers, security.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Finding, Promise, PromisedAnswer, PromisedBody, PromisedParameter, Reader, Status, Style,
};
use crate::codes;
use crate::description::{Method, Place, template_names};
use crate::schema::escape;

/// Media types or ranges, each with its schema if it has one.
type Content = Vec<(String, Option<Value>)>;

impl<'a> Reader<'a> {
    pub(super) fn promise(
        &mut self,
        path: &str,
        method: Method,
        item: &'a Value,
        operation: &'a Value,
        at: String,
    ) -> Option<Promise> {
        if !operation.is_object() {
            self.malformed(&at, "expected an object");
            return None;
        }
        let parameters = self.parameters(path, item, operation, &at);
        let body = operation
            .get("requestBody")
            .and_then(|body| self.body(body, format!("{at}/requestBody")));
        let answers = self.answers(operation, &at);
        let (scopes, secured) = self.security(operation);
        let text = operation.get("operationId").and_then(Value::as_str);
        Some(Promise {
            name: text.map(str::to_owned),
            method,
            path: path.to_owned(),
            parameters,
            body,
            answers,
            scopes,
            secured,
            deprecated: operation.get("deprecated") == Some(&Value::Bool(true)),
            pointer: at,
        })
    }

    fn parameters(
        &mut self,
        path: &str,
        item: &'a Value,
        operation: &'a Value,
        at: &str,
    ) -> Vec<PromisedParameter> {
        let parent = at.rsplit_once('/').map_or(at, |(parent, _)| parent);
        let mut parameters: Vec<PromisedParameter> = Vec::new();
        for (owner, owner_at) in [(item, parent), (operation, at)] {
            let list = owner.get("parameters").and_then(Value::as_array);
            for (index, parameter) in list.into_iter().flatten().enumerate() {
                let at = format!("{owner_at}/parameters/{index}");
                let Some(parameter) = self.parameter(parameter, at) else {
                    continue;
                };
                let same = |other: &&mut PromisedParameter| {
                    other.name == parameter.name && other.place == parameter.place
                };
                // What the operation says stands over what its path says.
                match parameters.iter_mut().find(same) {
                    Some(other) => *other = parameter,
                    None => parameters.push(parameter),
                }
            }
        }
        let names: Vec<_> = template_names(path).collect();
        for name in &names {
            let known = |p: &PromisedParameter| p.place == Place::Path && p.name == *name;
            if !parameters.iter().any(known) {
                self.malformed(
                    at,
                    format!("the path has `{{{name}}}`, for which there is no parameter"),
                );
            }
        }
        for parameter in &parameters {
            if parameter.place == Place::Path && !names.contains(&parameter.name.as_str()) {
                let text = format!("the path has no `{{{}}}`", parameter.name);
                self.malformed(&parameter.pointer, text);
            }
        }
        parameters
    }

    fn parameter(&mut self, parameter: &'a Value, at: String) -> Option<PromisedParameter> {
        let (parameter, at) = self.resolve(parameter, at)?;
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let flag = |key: &str| parameter.get(key).and_then(Value::as_bool);
        let Some(name) = text("name").filter(|name| !name.is_empty()) else {
            self.malformed(&at, "a parameter needs a `name`");
            return None;
        };
        let place = match text("in") {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => {
                self.findings.push(Finding::warning(
                    codes::UNSUPPORTED,
                    &at,
                    "cookies are not held against the contract",
                ));
                return None;
            }
            _ => {
                self.malformed(&at, "`in` is one of path, query, header, cookie");
                return None;
            }
        };
        // OpenAPI, 4.8.12.2: these three are not parameters, whatever the document says.
        let reserved = ["accept", "content-type", "authorization"];
        if place == Place::Header && reserved.contains(&name.to_ascii_lowercase().as_str()) {
            return None;
        }
        let content = parameter.get("content").and_then(Value::as_object);
        let (schema, style) = if let Some((media, content)) = content.and_then(|c| c.iter().next())
        {
            let at = format!("{at}/content/{}/schema", escape(media));
            let schema = content.get("schema").unwrap_or(&Value::Bool(true));
            (self.schema(schema, &at), Style::Json)
        } else {
            let schema = parameter.get("schema").unwrap_or(&Value::Bool(true));
            let schema = self.schema(schema, &format!("{at}/schema"));
            let form = place == Place::Query;
            let style = text("style").unwrap_or(if form { "form" } else { "simple" });
            let style = match (style, flag("explode").unwrap_or(style == "form")) {
                ("form" | "spaceDelimited" | "pipeDelimited", true) => Style::Repeated,
                ("form" | "simple", _) => Style::Separated(','),
                ("spaceDelimited", false) => Style::Separated(' '),
                ("pipeDelimited", false) => Style::Separated('|'),
                ("deepObject", _) => Style::DeepObject,
                (other, _) => {
                    let text = format!("the style `{other}` is not supported");
                    self.findings
                        .push(Finding::error(codes::UNSUPPORTED, &at, text));
                    return None;
                }
            };
            (schema, style)
        };
        let required = flag("required").unwrap_or(false);
        if place == Place::Path && !required {
            self.malformed(&at, "a parameter of the path is `required: true`");
        }
        Some(PromisedParameter {
            name: name.to_owned(),
            place,
            required: required || place == Place::Path,
            may_be_empty: flag("allowEmptyValue").unwrap_or(false),
            schema,
            style,
            pointer: at,
        })
    }

    fn body(&mut self, body: &'a Value, at: String) -> Option<PromisedBody> {
        let (body, at) = self.resolve(body, at)?;
        Some(PromisedBody {
            required: body.get("required") == Some(&Value::Bool(true)),
            content: self.content(body, &at),
            pointer: at,
        })
    }

    fn content(&mut self, owner: &Value, at: &str) -> Content {
        let content = owner.get("content").and_then(Value::as_object);
        content
            .into_iter()
            .flatten()
            .map(|(media, content)| {
                let schema_at = format!("{at}/content/{}/schema", escape(media));
                let schema = content.get("schema");
                let schema = schema.map(|schema| self.schema(schema, &schema_at));
                (essence(media), schema)
            })
            .collect()
    }

    fn answers(&mut self, operation: &'a Value, at: &str) -> Vec<PromisedAnswer> {
        let Some(responses) = operation.get("responses").and_then(Value::as_object) else {
            self.malformed(at, "the operation has no `responses`");
            return Vec::new();
        };
        let mut answers = Vec::new();
        for (status, answer) in responses {
            if status.starts_with("x-") {
                continue;
            }
            let at = format!("{at}/responses/{status}");
            let Some(status) = parse_status(status) else {
                self.malformed(&at, "a status is such as `200`, `2XX` or `default`");
                continue;
            };
            let Some((answer, at)) = self.resolve(answer, at) else {
                continue;
            };
            let content = self.content(answer, &at);
            let mut required_headers = Vec::new();
            let headers = answer.get("headers").and_then(Value::as_object);
            for (name, header) in headers.into_iter().flatten() {
                let at = format!("{at}/headers/{}", escape(name));
                if let Some((header, _)) = self.resolve(header, at)
                    && header.get("required") == Some(&Value::Bool(true))
                    && !name.eq_ignore_ascii_case("content-type")
                {
                    required_headers.push(name.to_ascii_lowercase());
                }
            }
            answers.push(PromisedAnswer {
                status,
                content,
                required_headers,
                pointer: at,
            });
        }
        answers
    }

    /// Scopes, and whether a caller must prove who they are.
    fn security(&self, operation: &Value) -> (BTreeSet<String>, bool) {
        let own = operation.get("security");
        let all = own.or_else(|| self.document.get("security"));
        let all = all.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut scopes = BTreeSet::new();
        for (scheme, needed) in all.iter().filter_map(Value::as_object).flatten() {
            let kind = self.document.pointer(&format!(
                "/components/securitySchemes/{}/type",
                escape(scheme)
            ));
            if matches!(
                kind.and_then(Value::as_str),
                Some("oauth2" | "openIdConnect")
            ) {
                let needed = needed.as_array().into_iter().flatten();
                scopes.extend(needed.filter_map(Value::as_str).map(str::to_owned));
            }
        }
        let optional = all
            .iter()
            .any(|one| one.as_object().is_none_or(serde_json::Map::is_empty));
        (scopes, !all.is_empty() && !optional)
    }
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(media: &str) -> String {
    let essence = media.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn parse_status(text: &str) -> Option<Status> {
    if text == "default" {
        return Some(Status::Default);
    }
    let bytes = text.as_bytes();
    match bytes {
        [class @ b'1'..=b'5', b'X' | b'x', b'X' | b'x'] => Some(Status::Class(class - b'0')),
        [b'1'..=b'5', _, _] => text.parse().ok().map(Status::Exactly),
        _ => None,
    }
}
