//! Makes `definitions/r4.txt` of the official package `hl7.fhir.r4.core` 4.0.1, unpacked:
//! `cargo run -p wardline-fhir --example definitions -- DIRECTORY > definitions/r4.txt`.
//!
//! A line without indent begins a type and names what it is derived from; each indented line is
//! an element: name, cardinality, types, and the value set that it must be of. Lines with `=` are
//! those value sets, each followed by its code systems with their codes.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// A value set of more codes than this (languages, currencies) is left open.
const MOST_CODES: usize = 1500;

type Named = BTreeMap<String, Value>;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("name the directory")?;
    let directory = Path::new(&directory);
    let structures = read(directory, "StructureDefinition-")?;
    let sets = read(directory, "ValueSet-")?;
    let systems = read(directory, "CodeSystem-")?;
    println!(
        "# The structure of FHIR R4 (4.0.1) and the value sets that it requires, made by examples/definitions.rs of the"
    );
    println!(
        "# package hl7.fhir.r4.core 4.0.1 of HL7 International, which is in the public domain (CC0-1.0)."
    );
    let mut wanted = BTreeSet::new();
    for structure in structures.values() {
        let kind = text(structure, "kind");
        let derived = text(structure, "derivation");
        if derived == "constraint" || !["resource", "complex-type"].contains(&kind) {
            continue;
        }
        print_type(structure, &mut wanted);
    }
    for name in wanted {
        let url = format!("http://hl7.org/fhir/ValueSet/{name}");
        let mut codes = BTreeMap::new();
        if expand(&url, &sets, &systems, &mut codes, 0) && !codes.is_empty() {
            let count: usize = codes.values().map(Vec::len).sum();
            if count <= MOST_CODES {
                println!("={name}");
                for (system, codes) in codes {
                    println!("  {system} {}", codes.join(" "));
                }
            }
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn read(directory: &Path, prefix: &str) -> Result<Named, Box<dyn Error>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let value: Value = serde_json::from_slice(&fs::read(entry.path())?)?;
            all.insert(text(&value, "url").to_owned(), value);
        }
    }
    Ok(all)
}

fn print_type(structure: &Value, wanted: &mut BTreeSet<String>) {
    let name = text(structure, "type");
    let base = text(structure, "baseDefinition")
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let mark = if structure.get("abstract") == Some(&Value::Bool(true)) {
        " abstract"
    } else {
        ""
    };
    println!("{name} {base} {}{mark}", text(structure, "kind"));
    let elements = list(&structure["snapshot"], "element");
    let mut open = name.to_owned();
    // Parents first, so that each type's elements stand together.
    let mut by_parent: Vec<(String, Vec<&Value>)> = Vec::new();
    for element in elements {
        let path = text(element, "path");
        let Some((parent, _)) = path.rsplit_once('.') else {
            continue;
        };
        match by_parent.iter_mut().find(|(known, _)| known == parent) {
            Some((_, all)) => all.push(element),
            None => by_parent.push((parent.to_owned(), vec![element])),
        }
    }
    for (parent, elements) in &by_parent {
        if *parent != open {
            let own = elements_of(&by_parent, parent);
            println!("{parent} {own} part");
            open.clone_from(parent);
        }
        for element in elements {
            print_element(element, &by_parent, wanted);
        }
    }
}

/// What a nested type is derived from, by the type of the element that it belongs to.
fn elements_of(by_parent: &[(String, Vec<&Value>)], path: &str) -> String {
    by_parent
        .iter()
        .flat_map(|(_, all)| all)
        .find(|element| text(element, "path") == path)
        .and_then(|element| list(element, "type").first())
        .map(|one| text(one, "code").to_owned())
        .unwrap_or_default()
}

fn print_element(
    element: &Value,
    by_parent: &[(String, Vec<&Value>)],
    wanted: &mut BTreeSet<String>,
) {
    let path = text(element, "path");
    let base = element["base"]["path"].as_str().unwrap_or_default();
    let inherits = [
        "Element.",
        "BackboneElement.",
        "Resource.",
        "DomainResource.",
    ];
    if base != path
        && inherits.iter().any(|one| base.starts_with(one))
        && !base.contains("Extension")
    {
        return;
    }
    let name = path.rsplit('.').next().unwrap_or_default();
    let most = if text(element, "max") == "*" {
        "*"
    } else {
        text(element, "max")
    };
    let types = match element.get("contentReference").and_then(Value::as_str) {
        Some(reference) => format!("@{}", reference.trim_start_matches('#')),
        None if by_parent.iter().any(|(parent, _)| parent == path) => format!("@{path}"),
        None => list(element, "type")
            .iter()
            .map(type_name)
            .collect::<Vec<_>>()
            .join("|"),
    };
    let mut line = format!(" {name} {}{most} {types}", element["min"]);
    let binding = &element["binding"];
    if text(binding, "strength") == "required" {
        let set = text(binding, "valueSet")
            .split('|')
            .next()
            .unwrap_or_default();
        if let Some(set) = set.strip_prefix("http://hl7.org/fhir/ValueSet/") {
            line.push_str(" =");
            line.push_str(set);
            wanted.insert(set.to_owned());
        }
    }
    println!("{line}");
}

fn type_name(one: &Value) -> String {
    let code = text(one, "code");
    if code.starts_with("http://hl7.org/fhirpath/") {
        let real = list(one, "extension")
            .first()
            .map(|extension| text(extension, "valueUrl"));
        return real.unwrap_or("string").to_owned();
    }
    let targets: Vec<&str> = list(one, "targetProfile")
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|url| url.rsplit('/').next())
        .collect();
    if code == "Reference" && !targets.is_empty() && !targets.contains(&"Resource") {
        return format!("Reference({})", targets.join(","));
    }
    code.to_owned()
}

/// Gathers the codes of a set by system; false where they cannot all be known.
fn expand(
    url: &str,
    sets: &Named,
    systems: &Named,
    codes: &mut BTreeMap<String, Vec<String>>,
    depth: usize,
) -> bool {
    let url = url.split('|').next().unwrap_or_default();
    let Some(set) = sets.get(url).filter(|_| depth < 8) else {
        return false;
    };
    if !list(&set["compose"], "exclude").is_empty() {
        return false;
    }
    for include in list(&set["compose"], "include") {
        for nested in list(include, "valueSet").iter().filter_map(Value::as_str) {
            if !expand(nested, sets, systems, codes, depth + 1) {
                return false;
            }
        }
        let system = text(include, "system");
        if system.is_empty() {
            continue;
        }
        if !list(include, "filter").is_empty() {
            return false;
        }
        let into = codes.entry(system.to_owned()).or_default();
        let named = list(include, "concept");
        if named.is_empty() {
            let Some(all) = systems.get(system) else {
                return false;
            };
            if text(all, "content") != "complete" {
                return false;
            }
            gather(list(all, "concept"), into);
        } else {
            gather(named, into);
        }
    }
    true
}

fn gather(concepts: &[Value], into: &mut Vec<String>) {
    for concept in concepts {
        let code = text(concept, "code").to_owned();
        if !into.contains(&code) && !code.contains(' ') {
            into.push(code);
        }
        gather(list(concept, "concept"), into);
    }
}
