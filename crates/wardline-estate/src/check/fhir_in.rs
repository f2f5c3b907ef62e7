//! FHIR services that Wardline offers: what they offer is of R4 and fits together. What is asked of
//! those of others is of R4 too.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{ConnectionKind, FhirAsked, FhirIn, FhirResource, OperationKind};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use wardline_fhir::search::{parameter, parameters};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for (_, connection) in whole.estate.connections() {
        match &connection.kind {
            ConnectionKind::FhirIn(fhir) => {
                let kept = fhir
                    .of
                    .as_ref()
                    .map(|of| (of, service(whole, of, problems)));
                for resource in &fhir.resources {
                    offered(resource, problems);
                    if let Some((_, kept)) = kept {
                        door(resource, kept, problems);
                    }
                }
            }
            ConnectionKind::FhirKept(kept) => {
                service(whole, &kept.keep, problems);
            }
            _ => {}
        }
    }
    for system in whole.estate.systems.values() {
        for operation in system.operations.values() {
            if let OperationKind::Fhir { asked, of } = &operation.kind {
                call(*asked, of, problems);
            }
        }
    }
}

/// What an operation asks of a FHIR server.
fn call(asked: FhirAsked, of: &Spanned<String>, problems: &mut Vec<Diagnostic>) {
    let name = of.value.as_str();
    let (good, help) = match asked {
        FhirAsked::Export => {
            let group = name.strip_prefix("Group/").is_some_and(|id| {
                !id.is_empty()
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-.{}_".contains(&b))
            });
            let help = "write `all`, `Patient` or `Group/ID`".to_owned();
            (name.is_empty() || name == "Patient" || group, Some(help))
        }
        FhirAsked::Read | FhirAsked::Search => (
            wardline_fhir::is_resource(name),
            did_you_mean(name, wardline_fhir::resource_types()),
        ),
    };
    if !good {
        problems.push(
            Diagnostic::error(
                codes::BAD_RESOURCES,
                format!(
                    "`{}` is nothing that a FHIR R4 server is asked for",
                    clip(name)
                ),
            )
            .at(of.at)
            .help_if(help),
        );
    }
}

fn bad(problems: &mut Vec<Diagnostic>, at: Span, what: String) {
    problems.push(Diagnostic::error(codes::BAD_RESOURCES, what).at(at));
}

/// The service of that name, which keeps resources of its own.
fn service<'a>(
    whole: &'a Whole<'_>,
    name: &Spanned<String>,
    problems: &mut Vec<Diagnostic>,
) -> Option<&'a FhirIn> {
    match whole
        .estate
        .connection(&name.value)
        .map(|(_, found)| &found.kind)
    {
        Some(ConnectionKind::FhirIn(fhir)) if fhir.of.is_none() => return Some(fhir),
        Some(_) => {
            let what = "this connection is no FHIR service that keeps resources of its own";
            bad(problems, name.at, what.to_owned());
        }
        None if whole.complete("system") => problems.push(
            Diagnostic::error(
                codes::UNKNOWN_CONNECTION,
                format!("there is no connection `{}`", clip(&name.value)),
            )
            .at(name.at),
        ),
        None => {}
    }
    None
}

fn offered(resource: &FhirResource, problems: &mut Vec<Diagnostic>) {
    let kind = &resource.kind;
    let Some((kind, _)) = wardline_fhir::resource_type(&kind.value) else {
        problems.push(
            Diagnostic::error(
                codes::BAD_RESOURCES,
                format!("`{}` is no resource of FHIR R4", clip(&kind.value)),
            )
            .at(kind.at)
            .help_if(did_you_mean(&kind.value, wardline_fhir::resource_types())),
        );
        return;
    };
    for name in &resource.search {
        let Some(found) = parameter(kind, &name.value) else {
            let all = parameters(kind).iter().map(|one| one.name);
            problems.push(
                Diagnostic::error(
                    codes::BAD_RESOURCES,
                    format!("{kind} cannot be searched by `{}`", clip(&name.value)),
                )
                .at(name.at)
                .help_if(did_you_mean(&name.value, all)),
            );
            continue;
        };
        // Whoever may ask learns what is hidden from the answers.
        if let Some(hidden) = resource
            .hide
            .iter()
            .find(|hidden| found.elements().any(|one| one == hidden.value))
        {
            let what = format!(
                "`{}` looks at `{}`, which is hidden",
                found.name, hidden.value
            );
            problems.push(
                Diagnostic::error(codes::BAD_RESOURCES, what)
                    .at(name.at)
                    .related(hidden.at, "here"),
            );
        }
    }
    for hidden in &resource.hide {
        let needed = matches!(hidden.value.as_str(), "resourceType" | "id" | "meta");
        if needed || !wardline_fhir::has_element(kind, &hidden.value) {
            let what = format!(
                "{kind} has no element `{}` that can be hidden",
                clip(&hidden.value)
            );
            bad(problems, hidden.at, what);
        }
    }
    // What was read without an element would be written back without it.
    if let (Some(act), false) = (
        resource.acts.iter().find(|act| act.value == "update"),
        resource.hide.is_empty(),
    ) {
        let what = "who does not see the whole resource would write it back without the rest";
        bad(problems, act.at, what.to_owned());
    }
    if let Some(unique) = &resource.unique
        && (unique.value.is_empty() || !wardline_fhir::has_element(kind, "identifier"))
    {
        bad(
            problems,
            unique.at,
            format!("{kind} has no identifier of this system"),
        );
    }
}

/// A second door shows what is kept, and no more.
fn door(resource: &FhirResource, kept: Option<&FhirIn>, problems: &mut Vec<Diagnostic>) {
    for act in &resource.acts {
        if !matches!(act.value.as_str(), "read" | "search") {
            let what =
                "resources of another connection are read and searched here, and not changed";
            bad(problems, act.at, what.to_owned());
        }
    }
    if let Some(unique) = &resource.unique {
        let what = "what no two share is said where the resources are kept";
        bad(problems, unique.at, what.to_owned());
    }
    let there = kept.is_none_or(|kept| {
        let mut all = kept.resources.iter();
        all.any(|one| one.kind.value == resource.kind.value)
    });
    if !there {
        let what = "the other connection keeps no resources of this type";
        bad(problems, resource.kind.at, what.to_owned());
    }
}
