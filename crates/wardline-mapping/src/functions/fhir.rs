//! `fhir_check`: whether a resource is FHIR R4.

use vrl::compiler::Parameter;
use vrl::compiler::value::kind;
use vrl::example;
use vrl::value::Value;

use super::pure::{Pure, Refusal};

pub(super) const FHIR: [Pure; 1] = [Pure {
    name: "fhir_check",
    category: "FHIR",
    summary: "Holds a resource against FHIR R4",
    usage: "An OperationOutcome (HL7 FHIR R4, 2.42) with what the official definitions, required codes and rules have against a resource: each issue has its place and no value. `ok` beside it says whether there is an error. Decide with it what becomes of a resource, or let the `fhir:` connection refuse it.",
    parameters: &[Parameter::required(
        "resource",
        kind::OBJECT,
        "The resource, with its `resourceType`.",
    )],
    gives: kind::OBJECT,
    failures: &["The value cannot be written as JSON (W2223)."],
    examples: &[
        example! { title: "Good", source: r#"fhir_check!({ "resourceType": "Patient", "gender": "female" }).ok"#, result: Ok("true") },
        example! { title: "A code that there is not", source: r#"fhir_check!({ "resourceType": "Patient", "gender": "f" }).ok"#, result: Ok("false") },
    ],
    object: |_, _| None,
    compute: |arguments| {
        let unfit = Refusal {
            code: "W2223",
            text: "the value cannot be written as JSON",
        };
        let Some(Ok(resource)) = arguments.first().map(serde_json::to_value) else {
            return Err(unfit);
        };
        let outcome = wardline_fhir::check(&resource);
        let mut told = outcome.to_json();
        if let Some(told) = told.as_object_mut() {
            told.insert("ok".into(), outcome.ok().into());
        }
        Ok(Value::from(told))
    },
}];
