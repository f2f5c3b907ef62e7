//! What a system offers, as data: its operations, the fields of their bodies and the check of a body.

use serde_json::Value;

/// A system and its operations.
#[derive(Debug)]
pub(crate) struct Department {
    pub(crate) system: &'static str,
    /// Prefix of the references it hands out (`PA-000017`).
    pub(crate) reference: &'static str,
    pub(crate) operations: &'static [Operation],
}

/// One operation: always a POST with a JSON object.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Path with at most one `{parameter}`, which is then also the field [`Operation::key`].
    pub(crate) path: &'static str,
    /// The body's field that names the thing whose order matters.
    pub(crate) key: &'static str,
    pub(crate) fields: &'static [Field],
}

/// One field of a body.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// What a field may hold.
#[derive(Debug)]
pub(crate) enum Shape {
    /// 1 to 200 characters.
    Text,
    /// At most so many characters.
    Note(usize),
    /// An object of these fields and no others.
    Fields(&'static [Field]),
    /// RFC 3339 with an offset.
    Instant,
    /// An integer in this range.
    Whole(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Shape {
    fn admits(&self, value: &Value) -> bool {
        match self {
            Self::Text => value
                .as_str()
                .is_some_and(|text| (1..=200).contains(&text.chars().count())),
            Self::Note(most) => value
                .as_str()
                .is_some_and(|text| text.chars().count() <= *most),
            Self::Fields(fields) => {
                let known = |name: &String| fields.iter().any(|field| field.name == name);
                value.as_object().is_some_and(|map| map.keys().all(known))
                    && problems(fields, value).is_empty()
            }
            Self::Instant => value
                .as_str()
                .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            Self::Whole(low, high) => value
                .as_i64()
                .is_some_and(|number| (*low..=*high).contains(&number)),
            Self::Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Text => "a text of 1 to 200 characters".into(),
            Self::Note(most) => format!("a text of at most {most} characters"),
            Self::Fields(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("an object of {}", names.join(", "))
            }
            Self::Instant => "a time as in 2026-11-24T10:42:03-06:00".into(),
            Self::Whole(low, high) => format!("a whole number from {low} to {high}"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
        }
    }
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
    }
}

pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
    }
}

/// Every rule of `fields` that `body` breaks, in words that name fields but never their values.
pub(crate) fn problems(fields: &[Field], body: &Value) -> Vec<String> {
    let Some(object) = body.as_object() else {
        return vec!["the body must be a JSON object".into()];
    };
    let mut problems = Vec::new();
    for field in fields {
        match object.get(field.name) {
            None | Some(Value::Null) if field.required => {
                problems.push(format!("`{}` is missing", field.name));
            }
            None | Some(Value::Null) => {}
            Some(value) if !field.shape.admits(value) => {
                problems.push(format!(
                    "`{}` must be {}",
                    field.name,
                    field.shape.describe()
                ));
            }
            Some(_) => {}
        }
    }
    problems
}

impl Operation {
    /// Every rule that `body` breaks, in words that name fields but never their values.
    pub(crate) fn problems(&self, body: &Value, path_key: Option<&str>) -> Vec<String> {
        let mut problems = problems(self.fields, body);
        if let (Some(in_path), Some(in_body)) =
            (path_key, body.get(self.key).and_then(Value::as_str))
            && in_path != in_body
        {
            problems.push(format!("`{}` differs between path and body", self.key));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Shape, optional, required};
    use serde_json::json;

    const OPERATION: Operation = Operation {
        name: "close",
        path: "/accounts/{account}/close",
        key: "account",
        fields: &[
            required("account", Shape::Text),
            required("at", Shape::Instant),
            optional("change", Shape::Whole(-1, 1)),
            optional("kind", Shape::Word(&["a", "b"])),
        ],
    };

    #[test]
    fn a_sound_body_passes() {
        let body = json!({"account": "A1", "at": "2026-11-24T10:42:03-06:00", "change": -1, "kind": "b", "more": {}});
        assert_eq!(OPERATION.problems(&body, Some("A1")), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_named_and_no_value_is() {
        let body = json!({"at": "yesterday", "change": 2, "kind": "SECRET", "account": 7});
        let problems = OPERATION.problems(&body, None);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(
            problems
                .iter()
                .all(|problem| !problem.contains("SECRET") && !problem.contains("yesterday"))
        );
    }

    #[test]
    fn path_and_body_must_agree() {
        let body = json!({"account": "A1", "at": "2026-11-24T10:42:03-06:00"});
        assert_eq!(
            OPERATION.problems(&body, Some("A2")),
            ["`account` differs between path and body"]
        );
        assert_eq!(OPERATION.problems(&json!([]), None).len(), 1);
        assert_eq!(
            OPERATION
                .problems(&json!({"account": "", "at": 5}), None)
                .len(),
            2
        );
    }
}
