//! Where a call of a process goes, and what its answer says.

use super::plan::{Processes, WayPlan};
use crate::accept::Acceptor;
use crate::codes;
use crate::fingerprint;
use crate::plan::MapPlan;
use crate::route;
use bytes::Bytes;
use std::sync::Arc;
use wardline_core::{BlindIndex, Timestamp};
use wardline_mapping::{
    Content, KeyString, Metadata, ObjectMap, Output, Runtime, Subject, Value, to_json_bytes,
};
use wardline_store::Note;

/// Bytes of one body.
const MAX_BODY: usize = 64 << 20;

/// What a call looks at to find its way.
pub(super) struct Asked<'a> {
    pub(super) reference: &'a str,
    pub(super) body: &'a Value,
    pub(super) facility: Option<&'a str>,
    /// Of the instance's key: equal keys go the same way.
    pub(super) key: BlindIndex,
    pub(super) now: Timestamp,
}

/// Finds the system that serves a call; the same as for calls from outside, by the bindings.
pub(super) fn choose<'a>(
    processes: &'a Processes,
    asked: &Asked<'_>,
    runtime: &mut Runtime,
) -> Result<&'a WayPlan, Note> {
    let ways = processes
        .ways
        .get(asked.reference)
        .map_or(&[][..], Vec::as_slice);
    for way in ways {
        if way.from.is_some_and(|from| asked.now < from)
            || way.until.is_some_and(|until| asked.now >= until)
        {
            continue;
        }
        if let Some(share) = way.share
            && asked.key.0.rem_euclid(10_000) >= i64::from(share)
        {
            continue;
        }
        let holds = match &way.when {
            None => Ok(true),
            Some(when) => when.test(&seen(asked), runtime),
        };
        match holds {
            Ok(true) => return Ok(way),
            Ok(false) => {}
            Err(error) => {
                return Err(note(
                    codes::NO_WAY,
                    asked.reference,
                    format!(
                        "the binding of {} to {}: {error}",
                        asked.reference, way.destination
                    ),
                ));
            }
        }
    }
    Err(note(
        codes::NO_WAY,
        asked.reference,
        format!(
            "no binding of {} serves this call, or no such operation is in the estate any more",
            asked.reference
        ),
    ))
}

/// What a binding's predicate sees: as from outside, without a caller.
fn seen(asked: &Asked<'_>) -> Subject {
    let facility = asked.facility.map_or(Value::Null, Value::from);
    let members: ObjectMap = [
        (KeyString::from("facility"), facility),
        (KeyString::from("headers"), Value::Object(ObjectMap::new())),
        (KeyString::from("params"), asked.body.clone()),
        (KeyString::from("body"), asked.body.clone()),
        (KeyString::from("client"), Value::Null),
    ]
    .into_iter()
    .collect();
    Subject::json(Value::Object(members))
}

/// The request's body, as the system wants it.
pub(super) fn request(
    way: &WayPlan,
    body: Value,
    metadata: &Metadata,
    runtime: &mut Runtime,
) -> Result<(Bytes, &'static str), Note> {
    let content = through(&way.request, Content::Json(body), metadata, runtime)
        .map_err(|text| note(codes::MAP_FAILED, &way.destination, text))?;
    match content {
        Content::Json(value) => to_json_bytes(&value, MAX_BODY)
            .map(|bytes| (Bytes::from(bytes), route::JSON))
            .map_err(|error| {
                note(
                    codes::MAP_FAILED,
                    &way.destination,
                    format!(
                        "the request to {} cannot be written: {error}",
                        way.destination
                    ),
                )
            }),
        Content::Hl7(message) => Ok((message.bytes().clone(), route::HL7)),
        Content::X12(set) => Ok((set.shared().clone(), route::X12)),
        Content::Interchange(all) => Ok((all.bytes().clone(), route::X12)),
        Content::Text(bytes) => {
            let kind = route::kind_of_text(&bytes);
            Ok((bytes, kind))
        }
    }
}

/// What an answer says, in the words of the Api.
pub(super) fn answer(
    maps: &[MapPlan],
    body: &Bytes,
    metadata: &Metadata,
    runtime: &mut Runtime,
) -> Result<Value, Note> {
    let content = if body.is_empty() {
        Content::Json(Value::Null)
    } else if body.starts_with(b"MSH") {
        route::read(route::HL7, body)?
    } else {
        route::read(route::JSON, body).unwrap_or_else(|_| Content::Text(body.clone()))
    };
    // Nothing to translate in an empty answer.
    if matches!(content, Content::Json(Value::Null)) {
        return Ok(Value::Null);
    }
    let content = match (content, maps.is_empty()) {
        (Content::Text(text), true) => {
            return Ok(Value::from(String::from_utf8_lossy(&text).into_owned()));
        }
        (Content::Hl7(message), true) => {
            return Ok(Value::from(
                String::from_utf8_lossy(message.bytes()).into_owned(),
            ));
        }
        (content, _) => content,
    };
    match through(maps, content, metadata, runtime) {
        Ok(Content::Json(value)) => Ok(value),
        Ok(_) => Err(note(
            codes::MAP_FAILED,
            "answer",
            "the map of the answer writes HL7, which is no variable".to_owned(),
        )),
        Err(text) => Err(note(codes::MAP_FAILED, "answer", text)),
    }
}

fn through(
    maps: &[MapPlan],
    content: Content,
    metadata: &Metadata,
    runtime: &mut Runtime,
) -> Result<Content, String> {
    let mut content = content;
    for map in maps {
        let subject = Subject {
            content,
            metadata: metadata.clone(),
        };
        content = match map
            .program
            .run(&subject, runtime)
            .map_err(|error| format!("{}: {error}", map.name))?
        {
            Output::Json(value) => Content::Json(value),
            Output::Many(values) => Content::Json(Value::Array(values)),
            Output::Filtered { .. } => Content::Json(Value::Null),
            Output::Hl7(bytes) => {
                let message = wardline_hl7::Message::parse(bytes)
                    .map_err(|error| format!("{} wrote what is not HL7: {error}", map.name))?;
                Content::Hl7(Arc::new(message))
            }
            Output::Xml(bytes) => Content::Text(bytes),
            Output::X12(bytes) => {
                let built = wardline_edi::x12::Interchange::parse(bytes)
                    .map_err(|error| format!("{} wrote what is not X12: {error}", map.name))?;
                Content::Interchange(Arc::new(built))
            }
        };
    }
    Ok(content)
}

pub(super) fn note(code: wardline_core::Code, place: &str, text: String) -> Note {
    Note {
        code: code.to_string(),
        fingerprint: fingerprint::of(code.0, place, &text),
        text,
    }
}

impl Acceptor {
    /// The index by which a business key, or what events are correlated by, is found.
    pub(crate) fn business_key(&self, text: &str) -> BlindIndex {
        self.vault.blind(crate::accept::KEY_DOMAIN, text)
    }
}
