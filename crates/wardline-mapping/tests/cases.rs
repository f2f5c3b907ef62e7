//! Every folder of `tests/cases` is one case: a map (`map.vrl`), predicate (`when.vrl`) or key
//! (`key.vrl`), an input (`input.hl7`, `input.json` or `input.txt`), what it may refer to
//! (`environment.json`, optional), and what comes out: `expected.json`, `expected.hl7`, or
//! `expected.txt` for diagnostics, errors and filtered messages.
//!
//! Segments stand on lines of their own in the files; the driver ends them with CR.
//! `UPDATE=1 cargo test -p wardline-mapping --test cases` writes what is expected anew: read the diff.

#![expect(
    clippy::unwrap_used,
    reason = "the driver of a test fails by panicking"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, KeyExpression, Metadata, Otherwise, Output,
    Predicate, Problem, Program, RunError, Runtime, Schema, Severity, Subject, Zone,
    from_json_bytes, to_json_bytes,
};

/// What a case gave: the extension of its file and the content.
type Outcome = (&'static str, String);

fn read(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

fn subject(folder: &Path) -> Subject {
    if let Some(text) = read(folder, "input.hl7") {
        let message =
            wardline_hl7::Message::parse(text.replace('\n', "\r")).expect("input.hl7 is a message");
        return Subject::hl7(Arc::new(message));
    }
    if let Some(text) = read(folder, "input.x12") {
        let interchange =
            wardline_edi::x12::Interchange::parse(text).expect("input.x12 is an interchange");
        let interchange = interchange.with_guides(wardline_edi::x12::Guides::shipped());
        return Subject::x12(Arc::new(interchange.set(0).expect("a set")));
    }
    if let Some(text) = read(folder, "input.json") {
        return Subject::json(from_json_bytes(text.as_bytes()).expect("input.json is JSON"));
    }
    Subject::text(read(folder, "input.txt").unwrap_or_default().into())
}

struct Setting {
    environment: Environment,
    metadata: Metadata,
    runtime: Runtime,
}

fn setting(folder: &Path, input: Input) -> Setting {
    let schemas = wardline_soap::source::Directory::new(folder);
    let mut made = Setting {
        environment: Environment {
            xml: Some(Arc::new(wardline_soap::xsd::Library::new(schemas))),
            ..Environment::for_input(input)
        },
        metadata: Metadata::default(),
        runtime: Runtime::default(),
    };
    let Some(text) = read(folder, "environment.json") else {
        return made;
    };
    let json: Json = serde_json::from_str(&text).expect("environment.json is JSON");
    let text_of = |value: &Json, name: &str| value.get(name).and_then(Json::as_str).map(Arc::from);
    made.environment.zone = json
        .get("zone")
        .and_then(Json::as_str)
        .map(|name| Zone::named(name).expect("a zone"));
    let mut codes = CodeTables::new();
    for (name, table) in json
        .get("codes")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let entries = table
            .get("entries")
            .and_then(Json::as_object)
            .expect("entries");
        let pairs = entries
            .iter()
            .map(|(from, to)| (from.as_str(), to.as_str().expect("text")));
        let otherwise = match table.get("otherwise").and_then(Json::as_str) {
            None => Otherwise::Error,
            Some("keep") => Otherwise::Keep,
            Some(value) => Otherwise::Value(value.into()),
        };
        codes.insert(name, CodeTable::from_pairs(pairs).otherwise(otherwise));
    }
    made.environment.codes = Arc::new(codes);
    if let Some(schema) = json.get("schema") {
        made.environment.data = Some(Schema::compile(schema).expect("a schema").shape().clone());
    }
    if let Some(now) = json.get("now").and_then(Json::as_str) {
        assert!(made.runtime.stop_clock_at(now), "an instant");
    }
    let metadata = json.get("metadata").cloned().unwrap_or_default();
    made.metadata = Metadata {
        source: text_of(&metadata, "source"),
        message_type: text_of(&metadata, "type"),
        received: text_of(&metadata, "received"),
        facility: text_of(&metadata, "facility"),
        key: text_of(&metadata, "key"),
        id: text_of(&metadata, "id"),
        correlation_id: text_of(&metadata, "correlation_id"),
    };
    made
}

/// `line:column` of a byte offset.
fn place(source: &str, offset: usize) -> String {
    let before = &source[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    format!("{line}:{column}")
}

fn diagnostics(source: &str, problems: &[Problem]) -> Outcome {
    let mut text = String::new();
    for problem in problems {
        let severity = if problem.severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let (start, end) = (place(source, problem.start), place(source, problem.end));
        writeln!(
            text,
            "{severity} {} {start}-{end}: {}",
            problem.code, problem.message
        )
        .unwrap();
        if !problem.label.is_empty() {
            writeln!(text, "  here: {}", problem.label).unwrap();
        }
        for note in &problem.notes {
            writeln!(text, "  note: {}", note.replace('\n', "\n        ")).unwrap();
        }
        if let Some(help) = &problem.help {
            writeln!(text, "  help: {help}").unwrap();
        }
    }
    ("txt", text)
}

fn failure(source: &str, error: &RunError) -> Outcome {
    let at = error
        .span()
        .map(|(start, end)| format!(" {}-{}", place(source, start), place(source, end)));
    (
        "txt",
        format!(
            "failed {}{}: {error}\n",
            error.code(),
            at.unwrap_or_default()
        ),
    )
}

fn json(bytes: &[u8]) -> Outcome {
    let value: Json = serde_json::from_slice(bytes).unwrap();
    (
        "json",
        format!("{}\n", serde_json::to_string_pretty(&value).unwrap()),
    )
}

fn run(folder: &Path) -> Outcome {
    let subject = subject(folder);
    let Setting {
        environment,
        metadata,
        mut runtime,
    } = setting(folder, subject.input());
    let subject = subject.with(metadata);
    if let Some(source) = read(folder, "when.vrl") {
        return match Predicate::compile(&source, &environment) {
            Err(problems) => diagnostics(&source, &problems),
            Ok(predicate) => (
                "txt",
                format!("{}\n", predicate.test(&subject, &mut runtime).unwrap()),
            ),
        };
    }
    if let Some(source) = read(folder, "key.vrl") {
        return match KeyExpression::compile(&source, &environment) {
            Err(problems) => diagnostics(&source, &problems),
            Ok(key) => match key.key(&subject, &mut runtime) {
                Err(error) => failure(&source, &error),
                Ok(key) => ("txt", format!("{key:?}\n")),
            },
        };
    }
    let source = read(folder, "map.vrl").expect("map.vrl, when.vrl or key.vrl");
    let program = match Program::compile(&source, &environment) {
        Err(problems) => return diagnostics(&source, &problems),
        Ok(program) => program,
    };
    if !program.warnings().is_empty() {
        return diagnostics(&source, program.warnings());
    }
    match program.run(&subject, &mut runtime) {
        Err(error) => failure(&source, &error),
        Ok(Output::Json(value)) => json(&to_json_bytes(&value, 1 << 20).unwrap()),
        Ok(Output::Many(values)) => {
            let all: Vec<_> = values
                .iter()
                .map(|value| to_json_bytes(value, 1 << 20).unwrap())
                .collect();
            json(
                format!(
                    "[{}]",
                    all.iter()
                        .map(|bytes| String::from_utf8_lossy(bytes))
                        .collect::<Vec<_>>()
                        .join(",")
                )
                .as_bytes(),
            )
        }
        Ok(Output::X12(bytes)) => ("x12", String::from_utf8_lossy(&bytes).replace('~', "~\n")),
        Ok(Output::Xml(bytes)) => ("xml", String::from_utf8_lossy(&bytes).replace("><", ">\n<")),
        Ok(Output::Hl7(bytes)) => ("hl7", String::from_utf8_lossy(&bytes).replace('\r', "\n")),
        Ok(Output::Filtered { reason, span }) => (
            "txt",
            format!(
                "filtered {}: {}\n",
                place(&source, span.0),
                reason.as_deref().unwrap_or("(no literal reason)")
            ),
        ),
    }
}

#[test]
fn every_case_gives_what_is_expected() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= 30, "{} cases", folders.len());
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for folder in folders {
        let (extension, actual) = run(&folder);
        let file = format!("expected.{extension}");
        if update {
            for old in ["json", "hl7", "x12", "txt"] {
                let path = folder.join(format!("expected.{old}"));
                if path.exists() {
                    fs::remove_file(path).unwrap();
                }
            }
            fs::write(folder.join(&file), &actual).unwrap();
        }
        let expected = read(&folder, &file);
        if expected.as_deref() != Some(&actual) {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            writeln!(
                wrong,
                "\n== {name}: gave {file}\n{actual}-- expected\n{}",
                expected.as_deref().unwrap_or("(no such file)\n")
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
