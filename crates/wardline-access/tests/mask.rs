//! Masking as callers meet it, and against values nobody thought of.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wardline_access::mask::{Classes, Fields, Pseudonyms, Style};
use wardline_core::Sensitivity::{self, Financial, Internal, Phi, Pii, Secret};

fn masked(paths: &[(&str, Sensitivity)], revealed: &[Sensitivity], mut value: Value) -> Value {
    let fields = Fields::new(paths.iter().copied());
    let revealed = revealed.iter().copied().collect();
    fields.apply(&mut value, revealed, &Pseudonyms::new(&[7; 32], "ghx"));
    value
}

/// Paths, revealed classes, value, what is left of it. `~` stands for any pseudonym.
type Case = (
    &'static [(&'static str, Sensitivity)],
    &'static [Sensitivity],
    Value,
    Value,
);

#[test]
fn fields_are_hidden_by_class_and_path() {
    let cases: Vec<Case> = vec![
        (
            &[("iban", Financial)],
            &[],
            json!({"iban": "DE02120300000000202051", "name": "Acme"}),
            json!({"iban": "••••2051", "name": "Acme"}),
        ),
        (
            &[("iban", Financial)],
            &[Financial],
            json!({"iban": "DE021203"}),
            json!({"iban": "DE021203"}),
        ),
        // Short texts, amounts and structures say too much when cut.
        (
            &[("pin", Financial)],
            &[],
            json!({"pin": "1234567"}),
            json!({"pin": "••••"}),
        ),
        (
            &[("total", Financial)],
            &[],
            json!({"total": 12.5, "n": 1}),
            json!({"n": 1}),
        ),
        (
            &[("bank", Financial)],
            &[],
            json!({"bank": {"iban": "DE0212030000"}}),
            json!({}),
        ),
        (
            &[("name", Pii)],
            &[],
            json!({"name": "Ann"}),
            json!({"name": "~"}),
        ),
        (
            &[("name", Pii)],
            &[],
            json!({"name": {"family": "Doe"}, "x": true}),
            json!({"x": true}),
        ),
        (
            &[("ssn", Pii)],
            &[],
            json!({"ssn": 123}),
            json!({"ssn": "~"}),
        ),
        (
            &[("consent", Pii)],
            &[],
            json!({"consent": true}),
            json!({}),
        ),
        (
            &[("note", Phi)],
            &[Financial, Pii],
            json!({"note": "x", "id": 1}),
            json!({"id": 1}),
        ),
        (
            &[("key", Secret)],
            &[Secret, Phi],
            json!({"key": "x", "id": 1}),
            json!({"id": 1}),
        ),
        // Filled or not is not hidden.
        (
            &[("a", Phi), ("b", Pii), ("c", Financial)],
            &[],
            json!({"a": null, "b": "", "c": null}),
            json!({"a": null, "b": "", "c": null}),
        ),
        // Through lists, in both spellings, and lists of entities.
        (
            &[("lines[].price", Financial)],
            &[],
            json!({"lines": [{"price": 1, "n": 1}, {"n": 2}]}),
            json!({"lines": [{"n": 1}, {"n": 2}]}),
        ),
        (
            &[("lines.price", Financial)],
            &[],
            json!([{"lines": [[{"price": 1}]]}, 7]),
            json!([{"lines": [[{}]]}, 7]),
        ),
        (
            &[("a.b", Phi)],
            &[],
            json!({"a": "scalar", "b": 1}),
            json!({"a": "scalar", "b": 1}),
        ),
        (
            &[("tags", Phi)],
            &[],
            json!({"tags": ["a", "b"]}),
            json!({}),
        ),
        (
            &[(".\"a.b\".c", Phi)],
            &[],
            json!({"a.b": {"c": 1, "d": 2}}),
            json!({"a.b": {"d": 2}}),
        ),
        // More and less sensitive parts of something sensitive.
        (
            &[("patient", Phi), ("patient.ward", Internal)],
            &[],
            json!({"patient": {"name": "Ann", "ward": "3"}}),
            json!({"patient": {"ward": "3"}}),
        ),
        (
            &[("patient", Phi), ("patient.ward", Internal)],
            &[],
            json!({"patient": {"name": "Ann"}}),
            json!({}),
        ),
        (
            &[("patient", Phi), ("patient.ward", Internal)],
            &[],
            json!({"patient": ["Ann", ["Bob", {"ward": 1, "x": 2}]]}),
            json!({"patient": [[{"ward": 1}]]}),
        ),
        (
            &[("patient", Phi), ("patient.ward", Internal)],
            &[],
            json!({"patient": "Ann"}),
            json!({}),
        ),
        (
            &[("bank", Financial), ("bank.pin", Secret)],
            &[Financial],
            json!({"bank": {"iban": "x", "pin": 1}}),
            json!({"bank": {"iban": "x"}}),
        ),
        // Closed entities.
        (
            &[("*", Phi), ("id", Internal)],
            &[],
            json!({"id": 1, "x": {"y": 2}, "*": 3}),
            json!({"id": 1}),
        ),
        (
            &[("*", Phi), ("bank.iban", Internal)],
            &[],
            json!({"bank": {"iban": "x", "owner": "y"}, "z": 1}),
            json!({"bank": {"iban": "x"}}),
        ),
        (
            &[("*.name", Pii), ("a.*", Phi)],
            &[],
            json!({"a": {"name": "x"}, "b": {"name": "x"}}),
            json!({"b": {"name": "~"}, "a": {}}),
        ),
        // Two spellings of one path.
        (
            &[("a.b", Phi), ("a[].b", Internal)],
            &[],
            json!({"a": {"b": 1}}),
            json!({"a": {}}),
        ),
    ];
    for (paths, revealed, value, expected) in cases {
        let mut got = masked(paths, revealed, value.clone());
        forget_pseudonyms(&mut got);
        assert_eq!(got, expected, "{paths:?} {revealed:?} {value}");
    }
}

fn forget_pseudonyms(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with('~') => {
            assert_eq!(text.len(), 23);
            *value = json!("~");
        }
        Value::Array(items) => items.iter_mut().for_each(forget_pseudonyms),
        Value::Object(fields) => fields.values_mut().for_each(forget_pseudonyms),
        _ => {}
    }
}

#[test]
fn pseudonyms_join_a_callers_own_data_and_nothing_else() {
    let one = |caller: &str, field: &str, value: Value| {
        let fields = Fields::new([(field, Pii)]);
        let mut value = json!({ field: value });
        fields.apply(
            &mut value,
            Classes::NONE,
            &Pseudonyms::new(&[7; 32], caller),
        );
        value[field].as_str().unwrap().to_owned()
    };
    let ann = one("ghx", "name", json!("Ann"));
    assert_eq!(ann, one("ghx", "name", json!("Ann")));
    assert_ne!(ann, one("ghx", "name", json!("Anna")));
    assert_ne!(ann, one("ghx", "contact", json!("Ann")));
    assert_ne!(ann, one("other", "name", json!("Ann")));
    assert_eq!(
        format!("{:?}", Pseudonyms::new(&[7; 32], "ghx")),
        "Pseudonyms"
    );
}

#[test]
fn a_path_may_have_a_style_of_its_own_but_a_secret_never_shows() {
    let mut fields = Fields::default();
    fields.declare("mrn", Phi, Style::Hash);
    fields.declare("phone", Pii, Style::LastFour);
    fields.declare("token", Secret, Style::LastFour);
    fields.declare("", Phi, Style::Removed);
    let mut value = json!({"mrn": "1234", "phone": "+49 30 1234567", "token": "abcdefghijkl"});
    fields.apply(&mut value, Classes::NONE, &Pseudonyms::new(&[7; 32], "ghx"));
    forget_pseudonyms(&mut value);
    assert_eq!(value, json!({"mrn": "~", "phone": "••••4567"}));
}

#[test]
fn what_hides_nothing_says_so() {
    let fields = Fields::new([("a", Financial), ("b", Internal)]);
    assert!(fields.hides(Classes::NONE));
    assert!(!fields.hides([Financial].into()));
    assert!(!Fields::new([("b", Internal)]).hides(Classes::NONE));
    assert!(Fields::new([("s", Secret)]).hides([Financial, Pii, Phi, Secret].into()));
    assert_eq!(
        fields.classes().iter().collect::<Vec<_>>(),
        [Internal, Financial]
    );
}

fn a_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,12}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec!["a", "b", "c", "*", "a.b", ""]);
    leaf.prop_recursive(4, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..4).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

/// The texts and numbers of a value that lie at or below the path, lists left out of it.
fn at_path(value: &Value, path: &[&str], found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| at_path(item, path, found)),
        Value::Object(fields) => {
            for (name, below) in fields {
                match path {
                    [] => at_path(below, path, found),
                    [first, rest @ ..] if name == first => at_path(below, rest, found),
                    _ => {}
                }
            }
        }
        Value::String(text) if path.is_empty() && !text.is_empty() => {
            found.insert(text.clone());
        }
        Value::Number(number) if path.is_empty() => {
            found.insert(number.to_string());
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn nothing_at_a_hidden_path_is_left(value in a_value(), path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..3), class in prop::sample::select(vec![Phi, Secret])) {
        let after = masked(&[(&path.join("."), class)], &[Financial, Pii], value.clone());
        let mut left = BTreeSet::new();
        at_path(&after, &path, &mut left);
        prop_assert!(left.is_empty(), "{:?} left of {} in {}", left, value, after);
    }

    #[test]
    fn what_is_revealed_or_not_classified_is_untouched(value in a_value(), path in prop::sample::select(vec!["a", "a.b", "*", "b.*.c"])) {
        prop_assert_eq!(&masked(&[(path, Phi)], &[Phi], value.clone()), &value);
        prop_assert_eq!(&masked(&[("nowhere", Phi)], &[], value.clone()), &value);
        prop_assert_eq!(&masked(&[(path, Internal), ("zzz", Phi)], &[], value.clone()), &value);
    }

    #[test]
    fn a_star_hides_every_field(value in a_value()) {
        let after = masked(&[("*", Phi)], &[], value);
        let mut left = BTreeSet::new();
        for name in ["a", "b", "c", "*", "a.b", ""] {
            at_path(&after, &[name], &mut left);
        }
        prop_assert!(left.is_empty(), "{:?} in {}", left, after);
    }
}
