//! What callers were promised, written down, so that a promise is not broken by accident.
//!
//! `wardline api record` writes the contract of every served version of an Api to
//! `contracts/NAME-vMAJOR.lock.json`, and the schemas of all entities to
//! `contracts/entities.lock.json`. They belong under version control beside what they are made of:
//! `check` compares the estate with them and refuses what breaks callers of the same major version,
//! and a change that is meant to break somebody is a change of these files that a reviewer sees.

use super::documents::document;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use wardline_contract::{
    Change, Contract, Severity, codes, diff_schemas, needs_major, unannounced,
};
use wardline_estate::Diagnostic;
use wardline_estate::model::{Api, Entity, Estate, Lifecycle};

/// The directory of lock files, below the estate.
const DIRECTORY: &str = "contracts";
const ENTITIES: &str = "entities.lock.json";
const ENDING: &str = ".lock.json";
/// No lock file is larger.
const LARGEST: u64 = 16 << 20;
/// So many changes are told of one Api or entity.
const TOLD: usize = 8;

/// An entity as it was recorded.
#[derive(Debug, Serialize, Deserialize)]
struct Recorded {
    version: String,
    schema: Value,
}

/// A file that is to be written, relative to the estate.
#[derive(Debug)]
pub struct Lock {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What breaks callers of what is recorded there now.
    pub breaking: Vec<Change>,
    /// Whether it differs from what is there.
    pub differs: bool,
}

fn name(api: &Api) -> String {
    format!("{}-v{}{ENDING}", api.name, api.version.major)
}

fn read(path: &Path) -> io::Result<Option<Value>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "larger than 16 MiB",
        ));
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// A document as a contract whose operations are told apart by method and path.
fn contract(document: &Value) -> Result<Contract, String> {
    let (contract, findings) = Contract::read(document);
    let wrong = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error);
    match (contract, wrong) {
        (Some(contract), None) => Ok(contract),
        (_, Some(wrong)) => Err(wrong.to_string()),
        (None, None) => Err("it is not an OpenAPI document".to_owned()),
    }
}

fn entity_changes(entity: &Entity, before: &Recorded) -> Vec<Change> {
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    if major(&entity.version) != major(&before.version) {
        return Vec::new();
    }
    let mut changes = diff_schemas(&entity.name, &before.schema, &entity.schema);
    changes.retain(|change| change.breaking);
    changes
}

/// What the estate breaks of what was recorded, and lock files that cannot be read.
pub fn broken(estate: &Estate) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let home = estate.root.join(DIRECTORY);
    let served = |api: &&Api| api.state.is_served();
    for api in estate.apis.values().filter(served) {
        let path = Path::new(DIRECTORY).join(name(api));
        let changes = match read(&estate.root.join(&path)) {
            Ok(None) => continue,
            Ok(Some(before)) => contract(&before).and_then(|before| {
                let now = document(estate, api).map_err(|error| error.to_string())?;
                Ok(unannounced(&before, &contract(&now)?))
            }),
            Err(error) => Err(error.to_string()),
        };
        match changes {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                let next = api.version.major + 1;
                let problem = Diagnostic::error(
                    codes::BREAKING,
                    format!("`{}` breaks what was promised to its callers", api.id),
                );
                found.push(
                    told(problem, &changes)
                        .at(api.at)
                        .label(format!("recorded in `{}`", path.display()))
                        .help(format!(
                            "declare version {next}.0.0 beside it, or take the change back; where nobody relies on it, `wardline api record --replace` writes the new promise down"
                        )),
                );
            }
            Err(error) => found.push(unreadable(&path, &error).at(api.at)),
        }
    }
    entities(estate, &mut found);
    gone(estate, &home, &mut found);
    found
}

fn entities(estate: &Estate, found: &mut Vec<Diagnostic>) {
    let path = Path::new(DIRECTORY).join(ENTITIES);
    let recorded: BTreeMap<String, Recorded> = match read(&estate.root.join(&path)) {
        Ok(None) => return,
        Ok(Some(value)) => match serde_json::from_value(value) {
            Ok(recorded) => recorded,
            Err(error) => return found.push(unreadable(&path, &error.to_string())),
        },
        Err(error) => return found.push(unreadable(&path, &error.to_string())),
    };
    for (name, before) in &recorded {
        let Some(entity) = estate.entities.get(name) else {
            found.push(
                Diagnostic::error(
                    codes::BREAKING,
                    format!("the entity `{name}` was promised and is gone"),
                )
                .with_note(format!("it is recorded in `{}`", path.display()))
                .help("bring it back; where nobody relies on it, `wardline api record --replace` forgets it"),
            );
            continue;
        };
        let changes = entity_changes(entity, before);
        if !changes.is_empty() {
            let problem = Diagnostic::error(
                codes::BREAKING,
                format!("the entity `{name}` breaks those who send or get it"),
            );
            found.push(
                told(problem, &changes)
                    .at(entity.at)
                    .label(format!("version {} is recorded in `{}`", before.version, path.display()))
                    .help("raise the entity's major version and record it, or add only what may be absent; where nobody relies on it, `wardline api record --replace`"),
            );
        }
    }
}

/// Recorded versions that are neither served nor said to be over.
fn gone(estate: &Estate, home: &Path, found: &mut Vec<Diagnostic>) {
    let Ok(entries) = fs::read_dir(home) else {
        return;
    };
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| file.ends_with(ENDING) && file != ENTITIES)
        .collect();
    files.sort();
    let kept = |api: &&Api| api.state.is_served() || api.state == Lifecycle::Retired;
    let known: Vec<String> = estate.apis.values().filter(kept).map(name).collect();
    for file in files.iter().filter(|file| !known.contains(file)) {
        let id = file.strip_suffix(ENDING).unwrap_or(file);
        let (api, version) = id.rsplit_once('-').unwrap_or((id, "v?"));
        let declared = estate.apis.get(&format!("{api}/{version}"));
        let problem = Diagnostic::error(
            codes::BREAKING,
            format!("`{api}/{version}` was promised and is no longer served"),
        )
        .with_note(format!("it is recorded in `{DIRECTORY}/{file}`"))
        .help("serve it until its sunset and then say `state: retired`; where nobody relies on it, remove the file");
        found.push(match declared {
            Some(api) => problem.at(api.at),
            None => problem,
        });
    }
}

fn unreadable(path: &Path, error: &str) -> Diagnostic {
    Diagnostic::error(
        codes::NOT_A_CONTRACT,
        format!("`{}` cannot be read: {error}", path.display()),
    )
    .help("it is written by `wardline api record`; bring it back from version control")
}

fn told(mut problem: Diagnostic, changes: &[Change]) -> Diagnostic {
    for change in changes.iter().take(TOLD) {
        problem = problem.with_note(format!("{}: {}", change.place, change.text));
    }
    match changes.len().checked_sub(TOLD) {
        None | Some(0) => problem,
        Some(more) => problem.with_note(format!(
            "{more} more: `wardline api diff {DIRECTORY}/… ESTATE` lists them"
        )),
    }
}

/// What is to be recorded: of all that is served, or of one Api (`name` or `name/vMAJOR`).
///
/// # Errors
/// What cannot be read or made.
pub fn locks(estate: &Estate, only: Option<&str>) -> Result<Vec<Lock>, String> {
    let mut locks = Vec::new();
    let wanted = |api: &&Api| {
        api.state.is_served() && only.is_none_or(|only| only == api.name || only == api.id)
    };
    for api in estate.apis.values().filter(wanted) {
        let path = Path::new(DIRECTORY).join(name(api));
        let now = document(estate, api).map_err(|error| error.to_string())?;
        let before = read(&estate.root.join(&path)).unwrap_or_default();
        let breaking = match before.as_ref().map(contract) {
            Some(Ok(before)) => unannounced(&before, &contract(&now)?),
            _ => Vec::new(),
        };
        locks.push(lock(path, &now, before.as_ref(), breaking)?);
    }
    if only.is_none() && !estate.entities.is_empty() {
        let path = Path::new(DIRECTORY).join(ENTITIES);
        let before = read(&estate.root.join(&path)).unwrap_or_default();
        let recorded: BTreeMap<String, Recorded> = before
            .clone()
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default();
        let mut breaking = Vec::new();
        for (name, old) in &recorded {
            match estate.entities.get(name) {
                Some(entity) => breaking.extend(entity_changes(entity, old)),
                None => breaking.push(Change {
                    breaking: true,
                    kind: "entity-removed".to_owned(),
                    place: name.clone(),
                    text: "the entity is no longer there".to_owned(),
                }),
            }
        }
        let all: BTreeMap<&str, Recorded> = estate
            .entities
            .values()
            .map(|entity| {
                let recorded = Recorded {
                    version: entity.version.clone(),
                    schema: (*entity.schema).clone(),
                };
                (entity.name.as_str(), recorded)
            })
            .collect();
        let now = serde_json::to_value(&all).map_err(|error| error.to_string())?;
        locks.push(lock(path, &now, before.as_ref(), breaking)?);
    }
    debug_assert!(
        locks
            .iter()
            .all(|lock| !needs_major(&lock.breaking) || lock.differs)
    );
    Ok(locks)
}

fn lock(
    path: PathBuf,
    now: &Value,
    before: Option<&Value>,
    breaking: Vec<Change>,
) -> Result<Lock, String> {
    let text = serde_json::to_string_pretty(now).map_err(|error| error.to_string())? + "\n";
    Ok(Lock {
        path,
        text,
        breaking,
        differs: before != Some(now),
    })
}

/// What changed between the entities of two estates.
pub fn entity_diff(old: &Estate, new: &Estate) -> Vec<(String, Change)> {
    let mut all = Vec::new();
    for entity in old.entities.values() {
        let name = entity.name.clone();
        match new.entities.get(&name) {
            Some(after) => {
                let changes = diff_schemas(&name, &entity.schema, &after.schema);
                all.extend(changes.into_iter().map(|change| (name.clone(), change)));
            }
            None => all.push((
                name.clone(),
                Change {
                    breaking: true,
                    kind: "entity-removed".to_owned(),
                    place: name,
                    text: "the entity is no longer there".to_owned(),
                },
            )),
        }
    }
    all
}
