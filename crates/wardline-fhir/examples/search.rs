//! Makes `definitions/search.txt` of the official search parameters of R4 4.0.1 (the Bundle
//! `search-parameters.json`, CC0-1.0) and of `definitions/r4.txt`:
//! `cargo run -p wardline-fhir --example search -- search-parameters.json > definitions/search.txt`.
//!
//! A line without indent names a resource; each indented line is one of its parameters: name, type, the end of its
//! definition's address, and the paths that it looks at. `[x]` marks an element of several types, `{a=b}` a condition.
//! Parameters of numbers and quantities, composites, and those whose expression is no path are left away.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use serde_json::Value;

const ADDRESS: &str = "http://hl7.org/fhir/SearchParameter/";

/// Elements of each type, with the types of their values.
type Types = BTreeMap<String, BTreeMap<String, String>>;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("name the file")?;
    let bundle: Value = serde_json::from_slice(&fs::read(file)?)?;
    let types = types(include_str!("../definitions/r4.txt"));
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for entry in bundle["entry"].as_array().ok_or("no bundle")? {
        let of = &entry["resource"];
        let text = |key: &str| of[key].as_str().unwrap_or_default();
        let kind = text("type");
        if !["string", "token", "date", "reference", "uri"].contains(&kind) {
            continue;
        }
        let Some(end) = text("url").strip_prefix(ADDRESS) else {
            continue;
        };
        // Its element is none of R4's.
        if end == "DeviceDefinition-classification" {
            continue;
        }
        for base in of["base"].as_array().map_or(&[][..], Vec::as_slice) {
            let base = base.as_str().unwrap_or_default();
            let parts = text("expression").split(" | ");
            let own = parts.filter_map(|part| {
                let part = part.trim();
                let part = part.strip_prefix('(').unwrap_or(part);
                part.trim_end_matches(')')
                    .starts_with(&format!("{base}."))
                    .then_some(part)
            });
            let paths: Option<Vec<String>> = own.map(|part| path(base, part, &types)).collect();
            if let Some(paths) = paths.filter(|paths| !paths.is_empty()) {
                let line = format!("{} {kind} {end} {}", text("code"), paths.join("|"));
                let of = all.entry(base.to_owned()).or_default();
                of.insert(text("code").to_owned(), line);
            }
        }
    }
    println!(
        "# Search parameters of FHIR R4 (4.0.1), made by examples/search.rs of the search-parameters.json of HL7 International,"
    );
    println!("# which is in the public domain (CC0-1.0).");
    for (resource, parameters) in all {
        println!("{resource}");
        for line in parameters.values() {
            println!(" {line}");
        }
    }
    Ok(())
}

fn types(text: &str) -> Types {
    let mut all = Types::new();
    let mut open = String::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', '='])) {
        let mut words = line.trim_start().split(' ');
        let first = words.next().unwrap_or_default().to_owned();
        if line.starts_with("  ") {
            continue;
        }
        if line.starts_with(' ') {
            let types = words.nth(1).unwrap_or_default().to_owned();
            all.entry(open.clone()).or_default().insert(first, types);
        } else {
            open = first;
        }
    }
    all
}

/// An expression as a path below the resource; nothing where it is none.
fn path(base: &str, part: &str, types: &Types) -> Option<String> {
    let part = part.split(".where(resolve()").next()?;
    let (part, chosen) = match part.split_once(" as ") {
        Some((part, kind)) => (part, Some(kind.trim_end_matches(')'))),
        None => match part.split_once(".as(") {
            Some((part, kind)) => (part, Some(kind.trim_end_matches(')'))),
            None => (part, None),
        },
    };
    let mut at = base.to_owned();
    let mut steps: Vec<String> = Vec::new();
    let mut rest = part.strip_prefix(base)?.strip_prefix('.')?;
    loop {
        let name: &str = rest.split(['.', '(']).next()?;
        let after = &rest[name.len()..];
        if name == "where" {
            let inner = after.strip_prefix('(')?;
            let (inner, after) = inner.split_once(')')?;
            let (key, value) = inner.split_once('=')?;
            let last = steps.last_mut()?;
            last.push_str(&format!("{{{key}={}}}", value.trim_matches('\'')));
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            if after.starts_with('(') || name.contains('[') {
                return None;
            }
            let known = types.get(&at);
            let known = |name: &str| known.and_then(|of| of.get(name)).cloned();
            let choice = known(&format!("{name}[x]"));
            if let Some(of) = choice {
                match chosen.filter(|_| after.is_empty()) {
                    Some(kind) => {
                        let (first, others) = kind.split_at(1);
                        steps.push(format!("{name}{}{others}", first.to_uppercase()));
                    }
                    None => steps.push(format!("{name}[x]")),
                }
                at = of;
            } else {
                steps.push(name.to_owned());
                let of = known(name).unwrap_or_default();
                let of = of.trim_start_matches('@');
                of.split(['(', '|'])
                    .next()
                    .unwrap_or_default()
                    .clone_into(&mut at);
            }
            rest = after.strip_prefix('.').unwrap_or(after);
        }
        if rest.is_empty() {
            // What follows a choice in brackets stands behind its type.
            return Some(steps.join(".").replace(')', ""));
        }
    }
}
