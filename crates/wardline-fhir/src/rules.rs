//! Rules of the specification that a table of elements cannot say. They are a choice: those that
//! senders break in practice, and that a receiver would be harmed by. The names in brackets are
//! the specification's. FHIRPath itself is not evaluated.

use serde_json::{Map, Value};

use crate::check::Walk;
use crate::definitions::Definitions;

type Object = Map<String, Value>;

fn text<'a>(map: &'a Object, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

fn has(map: &Object, key: &str) -> bool {
    map.contains_key(key)
}

fn entries(map: &Object) -> &[Value] {
    map.get("entry")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The rules of a type.
pub(crate) fn apply(walk: &mut Walk<'_>, kind: &str, map: &Object) {
    let any = |keys: &[&str]| keys.iter().any(|key| has(map, key));
    let (broken, rule) = match kind {
        "Quantity" | "Age" | "Count" | "Distance" | "Duration" => (
            has(map, "code") && !has(map, "system"),
            "a code of a unit needs its system (qty-3)",
        ),
        "Attachment" => (
            has(map, "data") && !has(map, "contentType"),
            "data needs a contentType (att-1)",
        ),
        "ContactPoint" => (
            has(map, "value") && !has(map, "system"),
            "a value needs a system (cpt-2)",
        ),
        "Patient.contact" => (
            !any(&["name", "telecom", "address", "organization"]),
            "a contact has a name, telecom, address or organization (pat-1)",
        ),
        "Organization" => (
            !any(&["identifier", "name"]),
            "an organization has an identifier or a name (org-1)",
        ),
        "Observation" => (
            has(map, "dataAbsentReason") && map.keys().any(|key| key.starts_with("value")),
            "a value and a reason for its absence exclude each other (obs-6)",
        ),
        "Observation.referenceRange" => (
            !any(&["low", "high", "text"]),
            "a range has a low, a high or a text (obs-3)",
        ),
        "Appointment.participant" => (
            !any(&["type", "actor"]),
            "a participant has a type or an actor (app-1)",
        ),
        _ => (false, ""),
    };
    if broken {
        walk.error("invariant", rule);
    }
    match kind {
        "Extension" => extension(walk, map),
        "Period" => period(walk, map),
        "Appointment" => appointment(walk, map),
        "Bundle" => bundle(walk, map),
        "Bundle.entry" => entry(walk, map),
        _ => {}
    }
}

fn appointment(walk: &mut Walk<'_>, map: &Object) {
    const OPEN: [&str; 3] = ["proposed", "cancelled", "waitlist"];
    if has(map, "start") != has(map, "end") {
        walk.error(
            "invariant",
            "start and end are both there, or neither (app-2)",
        );
    }
    let open = text(map, "status").is_some_and(|status| OPEN.contains(&status));
    if !has(map, "start") && !open {
        walk.error(
            "invariant",
            "only a proposed, cancelled or waiting appointment has no time (app-3)",
        );
    }
}

fn entry(walk: &mut Walk<'_>, map: &Object) {
    if !["resource", "request", "response"]
        .iter()
        .any(|key| has(map, key))
    {
        walk.error(
            "invariant",
            "an entry has a resource, a request or a response (bdl-5)",
        );
    }
    if text(map, "fullUrl").is_some_and(|url| url.contains("/_history/")) {
        walk.error("invariant", "a fullUrl names no version (bdl-8)");
    }
}

fn extension(walk: &mut Walk<'_>, map: &Object) {
    let valued = map
        .keys()
        .any(|key| key.trim_start_matches('_').starts_with("value"));
    if valued == has(map, "extension") {
        walk.error(
            "invariant",
            "an extension has either a value or extensions (ext-1)",
        );
    }
}

fn period(walk: &mut Walk<'_>, map: &Object) {
    let (Some(start), Some(end)) = (text(map, "start"), text(map, "end")) else {
        return;
    };
    // Two zones may turn the day; only what is certain is said.
    let zone = |text: &str| {
        text.get(19..).map(|rest| {
            rest.trim_start_matches(|one: char| one == '.' || one.is_ascii_digit())
                .to_owned()
        })
    };
    let same = start.len() > 10 && end.len() > 10 && zone(start) == zone(end);
    let length = if same {
        19
    } else {
        start.len().min(end.len()).min(10)
    };
    let backwards = match (start.get(..length), end.get(..length)) {
        (Some(a), Some(b))
            if same
                || length < 10
                || start.len() == end.len() && length == 10 && start.len() == 10 =>
        {
            a > b
        }
        (Some(a), Some(b)) => a.get(..7) > b.get(..7),
        _ => false,
    };
    if backwards {
        walk.error("invariant", "ends before it starts (per-1)");
    }
}

fn bundle(walk: &mut Walk<'_>, map: &Object) {
    let kind = text(map, "type").unwrap_or_default();
    let all = entries(map);
    let first = || {
        let resource = all.first()?.get("resource")?;
        resource.get("resourceType")?.as_str()
    };
    let asks = matches!(kind, "batch" | "transaction" | "history");
    let answers = matches!(kind, "batch-response" | "transaction-response" | "history");
    let with = |key: &str| all.iter().filter(|entry| entry.get(key).is_some()).count();
    if asks && with("request") < all.len() {
        walk.error(
            "invariant",
            "each entry of a batch, transaction or history has a request (bdl-3)",
        );
    }
    if !asks && with("request") > 0 {
        walk.error(
            "invariant",
            "only entries of a batch, transaction or history have a request (bdl-3)",
        );
    }
    if answers && with("response") < all.len() {
        walk.error(
            "invariant",
            "each entry of a response or history has a response (bdl-4)",
        );
    }
    if !answers && with("response") > 0 {
        walk.error(
            "invariant",
            "only entries of a response or history have a response (bdl-4)",
        );
    }
    if kind != "searchset" && with("search") > 0 {
        walk.error(
            "invariant",
            "only entries of a search have a `search` (bdl-2)",
        );
    }
    if has(map, "total") && !matches!(kind, "searchset" | "history") {
        walk.error(
            "invariant",
            "only a search or a history has a total (bdl-1)",
        );
    }
    match kind {
        "document" => {
            if !map
                .get("identifier")
                .is_some_and(|id| id.get("system").is_some() && id.get("value").is_some())
            {
                walk.error(
                    "invariant",
                    "a document has an identifier with system and value (bdl-9)",
                );
            }
            if !has(map, "timestamp") {
                walk.error("invariant", "a document has a timestamp (bdl-10)");
            }
            if first() != Some("Composition") {
                walk.error("invariant", "a document begins with a Composition (bdl-11)");
            }
        }
        "message" if first() != Some("MessageHeader") => {
            walk.error(
                "invariant",
                "a message begins with a MessageHeader (bdl-12)",
            );
        }
        _ => {}
    }
    if !matches!(
        kind,
        "history" | "searchset" | "batch-response" | "transaction-response"
    ) {
        let mut urls: Vec<(&str, Option<&str>)> = all
            .iter()
            .filter_map(|entry| {
                let version = entry
                    .get("resource")
                    .and_then(|one| one.get("meta")?.get("versionId")?.as_str());
                Some((entry.get("fullUrl")?.as_str()?, version))
            })
            .collect();
        urls.sort_unstable();
        if urls.windows(2).any(|pair| pair[0] == pair[1]) {
            walk.error("invariant", "two entries have the same fullUrl (bdl-7)");
        }
    }
}

/// Where a reference leads: to something contained, or to a type that may stand here.
pub(crate) fn reference(walk: &mut Walk<'_>, map: &Object, targets: &str) {
    let Some(to) = text(map, "reference") else {
        if let Some(kind) = text(map, "type")
            && !allowed(targets, kind)
        {
            walk.error("structure", "a reference of this type may not stand here");
        }
        return;
    };
    if let Some(id) = to.strip_prefix('#') {
        let contained = walk
            .container
            .and_then(|map| map.get("contained")?.as_array());
        let known = contained.is_some_and(|all| {
            all.iter()
                .any(|one| one.get("id").and_then(Value::as_str) == Some(id))
        });
        if !id.is_empty() && !known {
            walk.error("invariant", "leads to nothing that is contained (ref-1)");
        }
        return;
    }
    let mut parts = to
        .split("/_history/")
        .next()
        .unwrap_or_default()
        .rsplit('/');
    let (Some(_), Some(kind)) = (parts.next(), parts.next()) else {
        return;
    };
    if Definitions::r4().resource(kind).is_some() && !allowed(targets, kind) {
        walk.error("structure", "a reference to this type may not stand here");
    }
}

fn allowed(targets: &str, kind: &str) -> bool {
    targets.is_empty() || targets.split(',').any(|one| one == kind)
}
