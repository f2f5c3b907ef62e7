//! What is read of a body, and what is written of a result: media types, entities, fields.

use super::{Failure, HL7, JSON, MAX_BODY, TEXT, X12, XML, sets};
use crate::codes;
use crate::fingerprint;
use crate::plan::{FieldPath, HeldGuides};
use bytes::Bytes;
use std::sync::Arc;
use wardline_hl7::{CharsetPolicy, ParseOptions};
use wardline_mapping::{Content, Schema, Subject, from_json_bytes, to_json_bytes};
use wardline_store::Note;

/// Reads a body as what its media type says.
pub(crate) fn read(content_type: &str, body: &Bytes) -> Result<Content, Note> {
    read_as(content_type, body, CharsetPolicy::default())
}

/// The same with a character set for HL7 text.
pub(crate) fn read_as(
    content_type: &str,
    body: &Bytes,
    charset: CharsetPolicy,
) -> Result<Content, Note> {
    read_by(content_type, body, charset, None)
}

/// The same with guides for X12.
pub(crate) fn read_by(
    content_type: &str,
    body: &Bytes,
    charset: CharsetPolicy,
    guides: Option<&HeldGuides>,
) -> Result<Content, Note> {
    let fail = |text: String| Note {
        code: codes::UNREADABLE_BODY.to_string(),
        fingerprint: fingerprint::of(codes::UNREADABLE_BODY.0, "read", &text),
        text,
    };
    match content_type {
        HL7 => wardline_hl7::Message::parse_with(
            body.clone(),
            &ParseOptions {
                charset,
                ..ParseOptions::default()
            },
        )
        .map(|message| Content::Hl7(Arc::new(message)))
        .map_err(|error| fail(format!("the message is not HL7 v2: {error}"))),
        X12 => sets::read(body, guides)
            .map(|all| Content::Interchange(Arc::new(all)))
            .map_err(|reason| {
                fail(format!(
                    "the message is not X12 that can be taken: {reason}"
                ))
            }),
        JSON => from_json_bytes(body)
            .map(Content::Json)
            .map_err(|error| fail(format!("the body is not JSON: {error}"))),
        _ => Ok(Content::Text(body.clone())),
    }
}

/// The bytes of a result and their media type.
pub(super) fn written(content: &Content, place: &str) -> Result<(Bytes, &'static str), Failure> {
    match content {
        Content::Json(value) => match to_json_bytes(value, MAX_BODY) {
            Ok(bytes) => Ok((Bytes::from(bytes), JSON)),
            Err(error) => Err(Failure {
                code: codes::MAP_FAILED,
                text: format!("the result for {place} cannot be written: {error}"),
            }),
        },
        Content::Hl7(message) => Ok((message.bytes().clone(), HL7)),
        Content::X12(set) => Ok((sets::alone(set), X12)),
        Content::Interchange(all) => Ok((all.bytes().clone(), X12)),
        Content::Text(bytes) => Ok((bytes.clone(), kind_of_text(bytes))),
    }
}

/// What a text is sent as: a document of XML, as maps write them, begins with its declaration.
pub(crate) fn kind_of_text(text: &[u8]) -> &'static str {
    if text.starts_with(b"<?xml ") {
        XML
    } else {
        TEXT
    }
}

/// Checks a result against its entity.
pub(super) fn valid(
    schema: Option<&Schema>,
    content: Content,
    place: &str,
) -> Result<Content, Failure> {
    let (Some(schema), Content::Json(value)) = (schema, &content) else {
        return Ok(content);
    };
    let violations = schema.validate(value);
    if violations.is_empty() {
        return Ok(content);
    }
    let shown: Vec<String> = violations.iter().take(3).map(ToString::to_string).collect();
    let more = violations.len().saturating_sub(3);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Err(Failure {
        code: codes::INVALID_ENTITY,
        text: format!("the result of {place}: {}{rest}", shown.join("; ")),
    })
}

/// The text of a field, for keys and duplicates; `None` where it is absent or empty.
pub(crate) fn field_text(
    path: &FieldPath,
    subject: &Subject,
    headers: &[(String, String)],
) -> Option<String> {
    match path {
        FieldPath::Hl7(path) => match &subject.content {
            Content::Hl7(message) => message
                .value(path)
                .map(std::borrow::Cow::into_owned)
                .filter(|v| !v.is_empty()),
            _ => None,
        },
        FieldPath::X12(path) => {
            let text =
                |set: &wardline_edi::x12::Set| set.value(path).map(std::borrow::Cow::into_owned);
            match &subject.content {
                Content::X12(set) => text(set),
                Content::Interchange(all) => all.set(0).as_ref().and_then(text),
                _ => None,
            }
        }
        FieldPath::Header(name) => headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .filter(|v| !v.is_empty()),
        FieldPath::Json(path) => json_text(subject, path),
    }
}

pub(super) fn json_text(subject: &Subject, path: &str) -> Option<String> {
    let Content::Json(value) = &subject.content else {
        return None;
    };
    let mut at = value;
    for part in path.split('.') {
        at = at.as_object()?.get(part)?;
    }
    if at.is_null() {
        return None;
    }
    let text = at
        .to_str_lossy()
        .map_or_else(|| at.to_string(), std::borrow::Cow::into_owned);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_sent_as_one() {
        let sent = |text: &'static str| {
            let content = Content::Text(Bytes::from_static(text.as_bytes()));
            let (bytes, kind) = written(&content, "here").expect("text is written");
            assert_eq!(bytes, text);
            kind
        };
        assert_eq!(sent("<?xml version=\"1.0\"?><a/>"), "application/xml");
        assert_eq!(sent("a <b/>"), "text/plain");
    }
}
