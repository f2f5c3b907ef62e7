//! FHIR services that are offered, and what flows keep there.

use std::sync::{Arc, Weak};
use wardline_connect::fhir::{Endpoint, Keeper, Kind, Offered};
use wardline_connect::{Outbound, Resources};
use wardline_estate::model::{Auth, ConnectionKind, Estate, FhirIn, FhirKept, FhirResource};

/// A service at its path.
pub(super) fn endpoint(estate: &Estate, own: &str, declared: &FhirIn, secured: bool) -> Endpoint {
    let proof = match declared.http.auth {
        Auth::Bearer(_) => "A bearer token.",
        Auth::Basic(_) => "A name and a password (HTTP Basic).",
        _ => "None.",
    };
    let kept = declared.of.as_ref().map_or(own, |of| of.value.as_str());
    let mut kinds = kinds(declared);
    // What no two share is said where the resources are kept.
    if let Some(keeper) = declared
        .of
        .as_ref()
        .and_then(|of| service(estate, &of.value))
    {
        for kind in &mut kinds {
            let mut all = keeper.resources.iter();
            let there = all.find(|one| one.kind.value == kind.offered.kind);
            kind.unique = there.and_then(unique);
        }
    }
    let path = &declared.http.path.value;
    Endpoint::new(
        path,
        declared.address.clone(),
        secured,
        kept.into(),
        kinds,
        proof,
    )
}

/// What keeps resources for a service.
pub(crate) fn keeper(
    estate: &Estate,
    name: &str,
    declared: &FhirKept,
    resources: Weak<dyn Resources>,
) -> Arc<dyn Outbound> {
    let kept = declared.keep.value.as_str();
    let kinds = service(estate, kept).map(kinds).unwrap_or_default();
    Arc::new(Keeper::new(name, kept.into(), kinds, resources))
}

fn service<'a>(estate: &'a Estate, name: &str) -> Option<&'a FhirIn> {
    match &estate.connection(name)?.1.kind {
        ConnectionKind::FhirIn(fhir) => Some(fhir),
        _ => None,
    }
}

fn unique(declared: &FhirResource) -> Option<String> {
    let unique = declared.unique.as_ref()?;
    Some(unique.value.clone())
}

fn kinds(declared: &FhirIn) -> Vec<Kind> {
    let all = declared.resources.iter().filter_map(|one| {
        let (kind, number) = wardline_fhir::resource_type(&one.kind.value)?;
        let named = |name: &wardline_estate::Spanned<String>| {
            wardline_fhir::search::parameter(kind, &name.value)
        };
        Some(Kind {
            offered: Offered {
                kind,
                read: one.does("read"),
                search: one.does("search"),
                create: one.does("create"),
                update: one.does("update"),
                delete: one.does("delete"),
                parameters: one.search.iter().filter_map(named).collect(),
            },
            number,
            hidden: one.hide.iter().map(|name| name.value.clone()).collect(),
            unique: unique(one),
        })
    });
    all.collect()
}
