//! What is wrong with a resource, as data: a resource and the problems that it has to have.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use wardline_fhir::{check, read};

fn problems(resource: &Value) -> Vec<String> {
    check(resource)
        .issues
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn each_problem_has_its_place_and_no_value() {
    let cases = [
        (json!({"resourceType":"Patient"}), ""),
        (
            json!({"resourceType":"Pateint"}),
            ": the type of this resource is none of R4",
        ),
        (json!({"id":"1"}), ": `resourceType` is missing"),
        (
            json!({"resourceType":"Patient","nam":[]}),
            "Patient.nam: Patient has no such element",
        ),
        (
            json!({"resourceType":"Patient","DOE JANE":1}),
            "Patient: Patient has an element whose name is none of FHIR",
        ),
        (
            json!({"resourceType":"Patient","name":{"family":"SECRET"}}),
            "Patient.name: is not an array, but may be there more than once",
        ),
        (
            json!({"resourceType":"Patient","gender":["male"]}),
            "Patient.gender: may be there once only, and is an array",
        ),
        (
            json!({"resourceType":"Patient","name":[{}]}),
            "Patient.name[0]: is empty: an element has a value or children (ele-1)",
        ),
        (
            json!({"resourceType":"Patient","birthDate":null}),
            "Patient.birthDate: is null: leave it away",
        ),
        (
            json!({"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}),
            "Patient.deceasedDateTime: `deceased[x]` is there with more than one type",
        ),
        (
            json!({"resourceType":"Patient","contact":[{"gender":"male"}]}),
            "Patient.contact[0]: a contact has a name, telecom, address or organization (pat-1)",
        ),
        (
            json!({"resourceType":"Observation","code":{"text":"x"}}),
            "Observation: `status` is missing",
        ),
        (
            json!({"resourceType":"Observation","status":"done","code":{"text":"x"}}),
            "Observation.status: is none of the codes of observation-status",
        ),
        (
            json!({"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Practitioner/1"}}),
            "Observation.subject: a reference to this type may not stand here",
        ),
        (
            json!({"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}),
            "Observation.subject: leads to nothing that is contained (ref-1)",
        ),
        (
            json!({"resourceType":"Patient","name":[{"given":["A",null]}]}),
            "Patient.name[0].given[1]: is null, and nothing stands beside it",
        ),
        (
            json!({"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"x"}]}]}),
            "",
        ),
        (
            json!({"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://x","valueCode":"unknown"}]}}),
            "",
        ),
        (
            json!({"resourceType":"Patient","extension":[{"url":"http://x"}]}),
            "Patient.extension[0]: an extension has either a value or extensions (ext-1)",
        ),
        (
            json!({"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"}}),
            "Patient.contained[0]: an organization has an identifier or a name (org-1)",
        ),
        (
            json!({"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","active":1}}]}),
            "Bundle.entry[0].resource.active: is not true or false",
        ),
        (
            json!({"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"period":{"start":"2024-05-02","end":"2024-05-01"}}),
            "Encounter.period: ends before it starts (per-1)",
        ),
    ];
    for (resource, wanted) in cases {
        let told = problems(&resource);
        if wanted.is_empty() {
            assert_eq!(told, Vec::<String>::new(), "{resource}");
        } else {
            assert!(
                told.iter().any(|one| one == wanted),
                "{resource}\n{told:#?}"
            );
        }
        assert!(
            !told
                .iter()
                .any(|one| one.contains("SECRET") || one.contains("DOE"))
        );
    }
}

#[test]
fn problems_are_bounded_and_told_as_an_outcome() {
    let many: Vec<Value> = (0..5000).map(|_| json!({"family": 1})).collect();
    let outcome = check(&json!({"resourceType":"Patient","name":many}));
    assert_eq!((outcome.issues.len(), outcome.more), (100, 4900));
    let told = outcome.to_json();
    assert_eq!(told["issue"][0]["expression"][0], "Patient.name[0].family");
    assert!(check(&told).ok(), "{:?}", check(&told).issues);
    assert!(check(&check(&json!({"resourceType":"Patient"})).to_json()).ok());
}

#[test]
fn nothing_is_too_deep() {
    let mut deep = json!({"url":"x","valueCode":"a"});
    for _ in 0..300 {
        deep = json!({"url":"x","extension":[deep]});
    }
    let patient = json!({"resourceType":"Patient","extension":[deep]});
    assert!(
        problems(&patient)
            .iter()
            .any(|one| one.ends_with("is nested too deep"))
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(resource) = read(&bytes, 1 << 20) {
            check(&resource);
        }
    }

    #[test]
    fn no_mutation_panics(at in 0_usize..400, byte in any::<u8>()) {
        let mut text = br#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1"}]},"valueQuantity":{"value":1.50,"unit":"mg"},"effectivePeriod":{"start":"2020-01-01T10:00:00Z","end":"2020"},"note":[{"text":"a"}]}}]}"#.to_vec();
        let place = at % text.len();
        text[place] = byte;
        if let Ok(resource) = read(&text, 1 << 20) {
            for issue in check(&resource).issues {
                prop_assert!(issue.text.len() < 200);
            }
        }
    }
}
