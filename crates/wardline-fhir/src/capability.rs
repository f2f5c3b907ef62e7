//! What a server says of itself: the `CapabilityStatement`.

use serde_json::{Value, json};

use crate::search::Parameter;

/// A type of resources that a server has.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// The type.
    pub kind: &'static str,
    /// Whether one can be read.
    pub read: bool,
    /// Whether they can be searched.
    pub search: bool,
    /// Whether they can be made.
    pub create: bool,
    /// Whether they can be changed.
    pub update: bool,
    /// Whether they can be taken away.
    pub delete: bool,
    /// What they can be searched by, beside `_id` and `_lastUpdated`.
    pub parameters: Vec<&'static Parameter>,
}

/// The statement of a server at `base`; `date` says since when it is so.
pub fn capability(base: &str, version: &str, date: &str, security: &str, all: &[Offered]) -> Value {
    let resources: Vec<Value> = all.iter().map(resource).collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": { "name": "Wardline", "version": version },
        "implementation": { "description": "Resources that are kept by Wardline", "url": base },
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [{
            "mode": "server",
            "security": { "description": security },
            "resource": resources
        }]
    })
}

fn resource(of: &Offered) -> Value {
    let interactions = [
        ("read", of.read),
        ("vread", of.read),
        ("search-type", of.search),
        ("create", of.create),
        ("update", of.update),
        ("delete", of.delete),
    ];
    let interactions = interactions.iter().filter(|(_, there)| *there);
    let interactions: Vec<Value> = interactions
        .map(|(code, _)| json!({ "code": code }))
        .collect();
    let own = ["_id", "_lastUpdated"].iter().zip(["token", "date"]);
    let own = own.map(|(name, kind)| {
        json!({ "name": name, "type": kind,
                "definition": format!("http://hl7.org/fhir/SearchParameter/Resource-{}", name.trim_start_matches('_')) })
    });
    let declared = of.parameters.iter().map(|one| {
        json!({ "name": one.name, "type": one.kind.as_str(), "definition": one.definition() })
    });
    let mut said = json!({
        "type": of.kind,
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": false,
        "updateCreate": of.update && of.create,
        "conditionalCreate": of.create,
        "conditionalRead": "not-supported",
        "conditionalUpdate": of.update,
        "conditionalDelete": "not-supported"
    });
    if of.search {
        said["searchParam"] = own.chain(declared).collect();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::parameters;

    #[test]
    fn the_statement_is_one_of_r4() {
        let offered = Offered {
            kind: "Practitioner",
            read: true,
            search: true,
            create: true,
            parameters: parameters("Practitioner").iter().collect(),
            ..Offered::default()
        };
        let said = capability(
            "https://x.example/fhir",
            "1.0",
            "2026-11-28",
            "a token",
            &[offered],
        );
        let outcome = crate::check(&said);
        assert!(outcome.ok(), "{:?}", outcome.issues);
    }
}
