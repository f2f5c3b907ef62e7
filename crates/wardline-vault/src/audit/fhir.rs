//! Entries as FHIR R4 `AuditEvent`, for the archives and analysers that hospitals already have.
//!
//! <https://hl7.org/fhir/R4/auditevent.html>. An event holds what the entry holds and nothing
//! else: who, what, on what, why, when. No payload is in either.

use super::{AuditEntry, Detail};
use serde_json::{Map, Value, json};
use wardline_core::Timestamp;

/// Where the events come from.
#[derive(Debug, Clone, Copy)]
pub struct FhirSource<'a> {
    /// Name of the estate: the site.
    pub estate: &'a str,
}

/// One entry as an `AuditEvent`. `entry` is `None` where its keys were destroyed: that it was
/// there is all that can be said then.
///
/// ```
/// use wardline_core::Timestamp;
/// use wardline_vault::AuditEntry;
/// use wardline_vault::audit::{FhirSource, to_fhir};
///
/// let entry = AuditEntry::new("user:anna", "payload.reveal", "0000-1").because("ticket 7");
/// let event = to_fhir(3, Timestamp(0), Some(&entry), FhirSource { estate: "st-brigid" });
/// assert_eq!(event["action"], "R");
/// assert_eq!(event["agent"][0]["who"]["identifier"]["value"], "user:anna");
/// ```
#[must_use]
pub fn to_fhir(
    sequence: u64,
    at: Timestamp,
    entry: Option<&AuditEntry>,
    source: FhirSource<'_>,
) -> Value {
    let recorded = format!("{:.6}", at.to_jiff());
    let mut event = Map::new();
    let mut set = |name: &str, value: Value| {
        event.insert(name.to_owned(), value);
    };
    set("resourceType", json!("AuditEvent"));
    set("id", json!(format!("audit-{sequence}")));
    let act = entry.map_or("", |entry| entry.act.as_str());
    let (code, display) = kind(act);
    set(
        "type",
        json!({
            "system": "http://dicom.nema.org/resources/ontology/DCM",
            "code": code,
            "display": display,
        }),
    );
    if is_code(act) {
        set(
            "subtype",
            json!([{ "system": "urn:wardline:audit-act", "code": act }]),
        );
    }
    set("action", json!(action(act)));
    set("recorded", json!(recorded));
    set("outcome", json!(outcome(act)));
    let actor = entry.map_or("", |entry| entry.actor.as_str());
    match entry {
        None => set(
            "outcomeDesc",
            json!("the keys of this entry were destroyed; its place in the log is still proven"),
        ),
        Some(entry) if !entry.reason.trim().is_empty() => {
            set("purposeOfEvent", json!([{ "text": entry.reason }]));
        }
        Some(_) => {}
    }
    set(
        "agent",
        json!([{
            "type": { "coding": [agent_kind(actor)] },
            "who": if actor.trim().is_empty() {
                json!({ "display": "not known" })
            } else {
                json!({ "identifier": { "system": "urn:wardline:actor", "value": actor } })
            },
            "requestor": true,
        }]),
    );
    set(
        "source",
        json!({
            "site": source.estate,
            "observer": { "display": format!("Wardline of {}", source.estate) },
            "type": [{
                "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                "code": "4",
                "display": "Application Server",
            }],
        }),
    );
    if let Some(entry) = entry {
        let details: Vec<Value> = entry.detail.iter().filter_map(detail).collect();
        let mut entity = Map::new();
        if !entry.target.trim().is_empty() {
            entity.insert(
                "what".to_owned(),
                json!({ "identifier": { "system": "urn:wardline:target", "value": entry.target } }),
            );
        }
        if !details.is_empty() {
            entity.insert("detail".to_owned(), Value::Array(details));
        }
        if !entity.is_empty() {
            set("entity", json!([entity]));
        }
    }
    Value::Object(event)
}

/// FHIR's `code`: no white space but single blanks inside, which acts do not have at all.
fn is_code(act: &str) -> bool {
    !act.is_empty() && !act.contains(char::is_whitespace)
}

/// FHIR's strings are never empty.
fn detail((name, value): (&String, &Detail)) -> Option<Value> {
    let text = match value {
        Detail::Flag(flag) => flag.to_string(),
        Detail::Number(number) => number.to_string(),
        Detail::Text(text) => text.clone(),
        Detail::List(list) => list.join(", "),
    };
    (!name.trim().is_empty() && !text.trim().is_empty())
        .then(|| json!({ "type": name, "valueString": text }))
}

/// DICOM PS3.16, context group 400: what sort of event.
fn kind(act: &str) -> (&'static str, &'static str) {
    let (noun, verb) = act.split_once('.').unwrap_or((act, ""));
    match (noun, verb) {
        ("payload" | "audit", "export") => ("110106", "Export"),
        ("payload" | "message", _) => ("110110", "Patient Record"),
        ("token" | "session" | "account", _) => ("110114", "User Authentication"),
        (_, "denied" | "refused") | ("keys" | "key" | "estate" | "alert" | "anomaly", _) => {
            ("110113", "Security Alert")
        }
        (_, "search" | "list" | "view") => ("110112", "Query"),
        _ => ("110100", "Application Activity"),
    }
}

/// AuditEventAction.
fn action(act: &str) -> &'static str {
    match act.rsplit('.').next().unwrap_or_default() {
        "reveal" | "view" | "search" | "list" | "export" => "R",
        "create" | "add" | "issued" | "init" => "C",
        "edit" | "change" | "changed" | "rotate" | "resubmit" | "cancel" | "park" => "U",
        "destroy" | "remove" | "revoke" | "revoked" => "D",
        _ => "E",
    }
}

/// AuditEventOutcome: 0 success, 4 minor failure.
fn outcome(act: &str) -> &'static str {
    match act.rsplit('.').next().unwrap_or_default() {
        "denied" | "refused" | "failed" => "4",
        _ => "0",
    }
}

/// Who acted: a person, or a machine.
fn agent_kind(actor: &str) -> Value {
    if actor.starts_with("user:") {
        json!({
            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
            "code": "IRCP",
            "display": "information recipient",
        })
    } else {
        json!({
            "system": "http://dicom.nema.org/resources/ontology/DCM",
            "code": "110150",
            "display": "Application",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_the_entry_says() {
        let entry = AuditEntry::new("client:ghx", "authorization.denied", "item-master.get")
            .with("policies", vec!["default-deny".to_owned()])
            .with("empty", "");
        let source = FhirSource {
            estate: "st-brigid",
        };
        let event = to_fhir(7, Timestamp(1_700_000_000_000_001), Some(&entry), source);
        assert_eq!(event["recorded"], "2023-11-14T22:13:20.000001Z");
        assert_eq!(event["outcome"], "4");
        assert_eq!(event["type"]["code"], "110113");
        assert_eq!(event["agent"][0]["type"]["coding"][0]["code"], "110150");
        assert_eq!(
            event["entity"][0]["detail"],
            json!([{ "type": "policies", "valueString": "default-deny" }])
        );
        assert_eq!(event.get("purposeOfEvent"), None);
    }

    #[test]
    fn an_entry_without_keys_is_still_an_event() {
        let event = to_fhir(7, Timestamp(0), None, FhirSource { estate: "x" });
        assert_eq!(event["agent"][0]["who"]["display"], "not known");
        assert_eq!(event.get("entity"), None);
        assert_eq!(event.get("subtype"), None);
    }
}
