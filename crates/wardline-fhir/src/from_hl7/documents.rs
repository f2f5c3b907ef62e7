//! MDM: TXA with its text (OBX) to DocumentReference.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bundle::Making;
use super::codes::{self, find};
use super::values::{self, concept_of, part};
use super::{MapError, person, visit};
use crate::node::{Node, Object};

/// MDM.
pub(super) fn document(making: &mut Making<'_>) -> Result<(), MapError> {
    let txa = making.needed("TXA")?;
    let patient = person::patient(making)?;
    let encounter = visit::encounter(making, patient);
    let mut body = Object::new();
    body.put(
        "masterIdentifier",
        txa.entity(12, "FILL").map(|mut one| {
            one.0.retain(|(name, _)| *name != "type");
            one
        }),
    );
    let mut identifiers = Vec::new();
    identifiers.extend(txa.entity(12, "FILL"));
    identifiers.extend(txa.entity(14, "PLAC"));
    body.put("identifier", identifiers);
    let gone = matches!(making.event.as_str(), "T11") || txa.text(19).as_deref() == Some("CA");
    body.put("status", if gone { "entered-in-error" } else { "current" });
    body.put(
        "docStatus",
        txa.text(17).and_then(|code| find(codes::DOCUMENT, &code)),
    );
    body.put("type", txa.concept(2, "0270"))
        .put("subject", making.reference(patient));
    body.put(
        "date",
        txa.text(6)
            .or_else(|| txa.text(7))
            .and_then(|when| values::instant(&when, making.options)),
    );
    for field in [9, 5] {
        for who in making.practitioners(txa, field) {
            let reference = making.reference(who);
            body.push("author", reference);
        }
    }
    if let Some(who) = making.practitioners(txa, 22).first() {
        body.put("authenticator", making.reference(*who));
    }
    if let Some(parent) = txa.part(13, 1) {
        let mut identifier = Object::new();
        identifier.put("value", parent);
        let mut target = Object::new();
        target
            .put("type", "DocumentReference")
            .put("identifier", identifier);
        let mut related = Object::new();
        let code = if matches!(making.event.as_str(), "T09" | "T10") {
            "replaces"
        } else {
            "appends"
        };
        related.put("code", code).put("target", target);
        body.push("relatesTo", related);
    }
    if let Some(level) = txa.text(18) {
        let known = matches!(level.as_str(), "U" | "R" | "V");
        let system = if known {
            "http://terminology.hl7.org/CodeSystem/v3-Confidentiality".to_owned()
        } else {
            format!("{}0272", codes::V2)
        };
        let code = if level == "U" { "N".to_owned() } else { level };
        body.push("securityLabel", concept_of(system, code, None));
    }
    body.put("content", contents(making, txa.text(16), txa.text(3)));
    let mut context = Object::new();
    if let Some(encounter) = encounter {
        context.push("encounter", making.reference(encounter));
    }
    context.put("period", values::period(txa.moment(4), None));
    body.put("context", context.some());
    let otherwise = making.control.clone();
    making.add_known("DocumentReference", &otherwise, body);
    Ok(())
}

/// Lines of text are one attachment; each encapsulated document (ED) is one.
fn contents(making: &Making<'_>, title: Option<String>, presentation: Option<String>) -> Vec<Node> {
    let mut lines: Vec<String> = Vec::new();
    let mut all = Vec::new();
    for obx in making.readers("OBX") {
        let kind = obx.text(2).unwrap_or_default();
        for raw in obx.each(5) {
            if kind != "ED" {
                lines.push(raw.decode().into_owned());
                continue;
            }
            let subtype = part(raw, 3).unwrap_or_default().to_ascii_lowercase();
            let media = match (
                part(raw, 2)
                    .unwrap_or_default()
                    .to_ascii_lowercase()
                    .as_str(),
                subtype.as_str(),
            ) {
                ("text", "") => "text/plain".to_owned(),
                ("application" | "ap", "") | (_, "octet-stream") => {
                    "application/octet-stream".to_owned()
                }
                (_, "pdf") => "application/pdf".to_owned(),
                (first, subtype) if first.contains('/') && subtype.is_empty() => first.to_owned(),
                ("image", subtype) => format!("image/{subtype}"),
                ("text", subtype) => format!("text/{subtype}"),
                _ => "application/octet-stream".to_owned(),
            };
            let Some(data) = part(raw, 5) else { continue };
            let data = match part(raw, 4)
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "base64" => data.split_whitespace().collect(),
                _ => STANDARD.encode(data),
            };
            let mut attachment = Object::new();
            attachment
                .put("contentType", media)
                .put("data", data)
                .put("title", title.clone());
            all.push(content(attachment));
        }
    }
    if !lines.is_empty() {
        let media = match presentation.as_deref() {
            Some("text/html" | "HTML") => "text/html",
            _ => "text/plain",
        };
        let mut attachment = Object::new();
        attachment
            .put("contentType", media)
            .put("data", STANDARD.encode(lines.join("\n")))
            .put("title", title.clone());
        all.insert(0, content(attachment));
    }
    if all.is_empty() {
        let mut attachment = Object::new();
        attachment.put(
            "title",
            title.or_else(|| Some("no content came with the message".into())),
        );
        all.push(content(attachment));
    }
    all
}

fn content(attachment: Object) -> Node {
    let mut one = Object::new();
    one.put("attachment", attachment);
    Node::Object(one)
}
