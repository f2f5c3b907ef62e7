//! The JSON Schemas and the loader's checks, held against each other on every document of every
//! case and example: what the loader accepts the schema must accept, and what the schema refuses
//! the loader must refuse.

use super::{Kind, check, schema};
use crate::diagnostic::Diagnostics;
use crate::source::SourceMap;
use crate::yaml;
use std::fs;
use std::path::{Path, PathBuf};

/// What only the loader can tell: a duplicate key is gone once the file is data, and these values
/// need more than a regular expression.
const BEYOND_SCHEMA: [&str; 15] = [
    "W1104", "W1107", "W1108", "W1109", "W1110", "W1111", "W1112", "W1113", "W1115", "W1117",
    "W1118", "W1120", "W1124", "W1127", "W1006",
];

fn estates() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let children = |directory: PathBuf| -> Vec<PathBuf> {
        fs::read_dir(directory).map_or(Vec::new(), |entries| {
            entries.map(|entry| entry.unwrap().path()).collect()
        })
    };
    let cases = children(here.join("tests/cases"))
        .into_iter()
        .map(|case| case.join("estate"));
    cases.chain(children(here.join("../../examples"))).collect()
}

fn files(estate: &Path, kind: Kind) -> Vec<PathBuf> {
    let Some((directory, _)) = kind.files().split_once('/') else {
        return vec![estate.join(kind.files())];
    };
    let entries = fs::read_dir(estate.join(directory));
    let paths = entries.map_or(Vec::new(), |entries| {
        entries.map(|entry| entry.unwrap().path()).collect()
    });
    paths
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect()
}

#[test]
fn schemas_and_checks_agree_on_every_document() {
    let (mut accepted, mut refused) = (0, 0);
    for kind in Kind::ALL {
        let schema = jsonschema::options().build(&schema(kind)).unwrap();
        for path in estates().iter().flat_map(|estate| files(estate, kind)) {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let mut sources = SourceMap::new();
            let file = sources.add(&path, text.as_str());
            let Some(documents) = yaml::parse(&text, file, &mut Diagnostics::new()) else {
                continue;
            };
            for document in documents
                .iter()
                .filter(|document| !document.entries().is_empty())
            {
                let mut problems = Diagnostics::new();
                check(document, kind.object(), &mut problems);
                let errors: Vec<_> = schema
                    .iter_errors(&document.to_json())
                    .map(|error| error.to_string())
                    .collect();
                let shown = || {
                    format!(
                        "{}\nschema: {errors:#?}\n{}",
                        path.display(),
                        problems.render(&sources, false)
                    )
                };
                let schema_refuses = problems
                    .iter()
                    .any(|problem| !BEYOND_SCHEMA.contains(&problem.code.0));
                if problems.is_empty() {
                    assert!(
                        errors.is_empty(),
                        "the schema refuses what the loader accepts: {}",
                        shown()
                    );
                    accepted += 1;
                }
                if schema_refuses {
                    assert!(
                        !errors.is_empty(),
                        "the schema accepts what the loader refuses: {}",
                        shown()
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(
        accepted > 100 && refused > 20,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn every_schema_is_a_schema() {
    for kind in Kind::ALL {
        assert!(
            jsonschema::draft202012::meta::is_valid(&schema(kind)),
            "{}",
            kind.word()
        );
        assert_eq!(Kind::from_word(kind.word()), Some(kind));
    }
}

/// A default that could not be read would silently become zero.
#[test]
fn every_default_can_be_read() {
    use super::{Field, Need, Object, Shape};
    fn field(field: &Field, object: &Object) {
        if let Need::Default(text) = field.need {
            let good = match &field.shape {
                Shape::Text(form) => form.read(text).is_ok(),
                Shape::Word(words) => words.contains(&text),
                Shape::Bool => ["true", "false"].contains(&text),
                Shape::Integer(least, most) => text
                    .parse()
                    .is_ok_and(|number: i64| (*least..=*most).contains(&number)),
                Shape::Number(least, most) => text
                    .parse()
                    .is_ok_and(|number: f64| (*least..=*most).contains(&number)),
                Shape::Either(shapes) => shapes
                    .iter()
                    .any(|shape| matches!(shape, Shape::Word(words) if words.contains(&text))),
                other => panic!("a default for {other:?}"),
            };
            assert!(good, "{}.{}: {text}", object.name, field.key);
        }
    }
    fn shape(it: &'static Shape, seen: &mut Vec<&'static Object>) {
        match it {
            Shape::Object(inner) => object(inner, seen),
            Shape::Keyed(kinds) => kinds.iter().for_each(|(_, inner)| object(inner, seen)),
            Shape::Defined(definition) => shape(&definition.shape, seen),
            Shape::List(inner)
            | Shape::ListOrNone(inner)
            | Shape::OneOrMany(inner)
            | Shape::Map(_, inner)
            | Shape::Single(_, inner) => shape(inner, seen),
            Shape::Either(shapes) => shapes.iter().for_each(|inner| shape(inner, seen)),
            _ => {}
        }
    }
    fn object(it: &'static Object, seen: &mut Vec<&'static Object>) {
        if seen.iter().any(|known| std::ptr::eq(*known, it)) {
            return;
        }
        seen.push(it);
        for key in it.exactly_one {
            assert!(
                it.fields.iter().any(|field| field.key == *key),
                "{} has no key {key}",
                it.name
            );
        }
        for each in it.fields {
            field(each, it);
            shape(&each.shape, seen);
        }
    }
    let mut seen = Vec::new();
    for kind in Kind::ALL {
        object(kind.object(), &mut seen);
    }
}
