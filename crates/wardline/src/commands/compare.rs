//! `wardline api diff` and `wardline api record`: what was promised, and what is.
//!
//! A side of a comparison is an estate's directory, a commit of the repository it lies in, or one
//! OpenAPI document.

use crate::place::{Place, read_unlocked};
use crate::{exit, paint};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use wardline_contract::{Change, Contract, Severity, diff, unannounced};
use wardline_estate::Document;
use wardline_estate::model::Estate;

/// An estate of more files is not taken out of a repository.
const FILES: usize = 20_000;

/// One side of a comparison.
enum Side {
    Estate(Arc<Estate>),
    Document(Box<Contract>),
}

/// What a word on the command line names.
fn side(word: &str, other: &str) -> anyhow::Result<Side> {
    let path = Path::new(word);
    if path.is_dir() {
        return estate(path).map(Side::Estate);
    }
    if path.is_file() {
        return document(path).map(|contract| Side::Document(Box::new(contract)));
    }
    let near = Some(Path::new(other)).filter(|other| other.is_dir());
    let (folder, inside) = checkout(word, near.unwrap_or(Path::new(".")))?;
    let estate = estate(&folder.path().join(inside))
        .with_context(|| format!("`{word}` of the repository"))?;
    Ok(Side::Estate(estate))
}

fn estate(place: &Path) -> anyhow::Result<Arc<Estate>> {
    let read = read_unlocked(place, None);
    let Some(plan) = read.plan else {
        anstream::eprint!("{}", read.diagnostics.render(&read.sources, paint::on()));
        bail!("the estate in {} cannot run", place.display());
    };
    Ok(Arc::clone(&plan.estate))
}

fn document(path: &Path) -> anyhow::Result<Contract> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let document = Document::parse(path, &text)
        .map_err(|problems| anyhow::anyhow!("{} cannot be read:\n{problems}", path.display()))?;
    readable(document.value(), path)
}

fn readable(document: &Value, path: &Path) -> anyhow::Result<Contract> {
    let (contract, findings) = Contract::read(document);
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    match contract {
        Some(contract) => Ok(contract),
        None => bail!("{} is no contract: {}", path.display(), errors.join("; ")),
    }
}

fn git(directory: &Path, words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .context("git cannot be run")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Writes the files of a commit (`main`, `v1.2`, `HEAD~3`, or `main:path/of/estate`) into a folder
/// of their own; gives the folder and where the estate is in it.
fn checkout(word: &str, near: &Path) -> anyhow::Result<(TempDir, PathBuf)> {
    let (commit, inside) = match word.split_once(':') {
        Some((commit, inside)) => (commit, Some(inside)),
        None => (word, None),
    };
    let wanted = format!("{commit}^{{commit}}");
    let verify = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &wanted,
    ];
    let found = git(near, &verify).ok().filter(|_| !commit.is_empty());
    let Some(found) = found else {
        bail!(
            "`{word}` is neither a directory nor a file, and no commit of the repository of {}",
            near.display()
        );
    };
    let commit = String::from_utf8(found)?.trim().to_owned();
    let inside = if let Some(inside) = inside {
        inside.trim_matches('/').to_owned()
    } else {
        let prefix = git(near, &["rev-parse", "--show-prefix"])?;
        String::from_utf8(prefix)?
            .trim()
            .trim_end_matches('/')
            .to_owned()
    };
    let mut list = vec!["ls-tree", "-r", "-z", "--full-tree", commit.as_str()];
    if !inside.is_empty() {
        list.extend(["--", inside.as_str()]);
    }
    let listed = git(near, &list)?;
    let folder = tempfile::tempdir().context("no place for the files of a commit")?;
    let entries = listed.split(|byte| *byte == 0).filter(|it| !it.is_empty());
    for (count, entry) in entries.enumerate() {
        if count >= FILES {
            bail!(
                "`{word}` has more than {FILES} files: name the estate, as in `main:estates/one`"
            );
        }
        let entry = std::str::from_utf8(entry).context("a path that is not UTF-8")?;
        let Some((about, path)) = entry.split_once('\t') else {
            continue;
        };
        // Regular files only: links could lead anywhere, and modules are other repositories.
        let mut about = about.split(' ');
        let (Some("100644" | "100755"), Some("blob"), Some(object)) =
            (about.next(), about.next(), about.next())
        else {
            continue;
        };
        let path = Path::new(path);
        if !path
            .components()
            .all(|it| matches!(it, Component::Normal(_)))
        {
            continue;
        }
        let to = folder.path().join(path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&to, git(near, &["cat-file", "blob", object])?)?;
    }
    Ok((folder, PathBuf::from(inside)))
}

/// The contracts of an estate, by `name/vMAJOR`, with their names.
fn contracts(estate: &Estate) -> anyhow::Result<BTreeMap<String, (String, Contract)>> {
    let apis = estate.apis.values();
    apis.map(|api| {
        let document = wardline_gateway::estate::document(estate, api)?;
        let contract = readable(&document, Path::new(&api.id))?;
        Ok((api.id.clone(), (api.name.clone(), contract)))
    })
    .collect()
}

/// Pairs of what is compared, by what they are called; what is only on one side is alone.
type Pairs = BTreeMap<String, (Option<Contract>, Option<Contract>)>;

fn pairs(old: &Side, new: &Side) -> anyhow::Result<Pairs> {
    let mut pairs = Pairs::new();
    match (old, new) {
        (Side::Document(old), Side::Document(new)) => {
            let both = (Some((**old).clone()), Some((**new).clone()));
            pairs.insert(new.title.clone(), both);
        }
        (Side::Document(document), Side::Estate(estate)) => {
            let (id, other) = described(document, estate)?;
            pairs.insert(id, (Some((**document).clone()), Some(other)));
        }
        (Side::Estate(estate), Side::Document(document)) => {
            let (id, other) = described(document, estate)?;
            pairs.insert(id, (Some(other), Some((**document).clone())));
        }
        (Side::Estate(old), Side::Estate(new)) => {
            let (mut old, mut new) = (contracts(old)?, contracts(new)?);
            let ids: Vec<String> = old.keys().cloned().collect();
            for id in ids {
                let Some((name, before)) = old.remove(&id) else {
                    continue;
                };
                let mut after = new.remove(&id);
                if after.is_none() {
                    // A version that took the place of the only other one is compared with it.
                    let others: Vec<String> = new
                        .iter()
                        .filter(|(_, (other, _))| *other == name)
                        .map(|(id, _)| id.clone())
                        .collect();
                    if let [only] = others.as_slice() {
                        after = new.remove(only);
                    }
                }
                pairs.insert(id, (Some(before), after.map(|(_, contract)| contract)));
            }
            for (id, (_, contract)) in new {
                pairs.insert(id, (None, Some(contract)));
            }
        }
    }
    Ok(pairs)
}

/// The Api that a document describes: that at its path, of its major version.
fn described(document: &Contract, estate: &Estate) -> anyhow::Result<(String, Contract)> {
    let major = document.version.split('.').next().unwrap_or_default();
    let api = estate
        .apis
        .values()
        .find(|api| api.base.value == document.base && api.version.major.to_string() == major);
    let api = api.or_else(|| {
        let mut titled = estate
            .apis
            .values()
            .filter(|api| api.title.as_deref().unwrap_or(&api.name) == document.title);
        titled.next().filter(|_| titled.next().is_none())
    });
    let Some(api) = api else {
        bail!(
            "no Api of the estate is at `{}` or called `{}`: compare with `wardline api openapi NAME`",
            document.base,
            document.title
        );
    };
    let written = wardline_gateway::estate::document(estate, api)?;
    Ok((api.id.clone(), readable(&written, Path::new(&api.id))?))
}

fn row(what: &str, name: &str, change: &Change, announced: bool) -> Value {
    json!({
        what: name, "breaking": change.breaking, "announced": change.breaking && announced,
        "kind": change.kind, "where": change.place, "text": change.text,
    })
}

pub(crate) fn compare(old: &str, new: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let (before, after) = (side(old, new)?, side(new, old)?);
    let whole = |kind: &str, breaking, name: &str, text: &str| Change {
        breaking,
        kind: kind.to_owned(),
        place: name.to_owned(),
        text: text.to_owned(),
    };
    let mut rows = Vec::new();
    for (name, pair) in pairs(&before, &after)? {
        match pair {
            (Some(before), Some(after)) => {
                let announced = unannounced(&before, &after).is_empty();
                let changes = diff(&before, &after);
                rows.extend(changes.iter().map(|it| row("api", &name, it, announced)));
            }
            (Some(_), None) => {
                let gone = whole("api-removed", true, &name, "the Api is no longer there");
                rows.push(row("api", &name, &gone, false));
            }
            (None, _) => {
                let fresh = whole("api-added", false, &name, "the Api is new");
                rows.push(row("api", &name, &fresh, false));
            }
        }
    }
    if let (Side::Estate(before), Side::Estate(after)) = (&before, &after) {
        for (name, change) in wardline_gateway::estate::entity_diff(before, after) {
            let major = |estate: &Estate| {
                let entity = estate.entities.get(&name)?;
                entity.version.split('.').next().map(str::to_owned)
            };
            let announced = major(after).is_some() && major(before) != major(after);
            rows.push(row("entity", &name, &change, announced));
        }
    }
    rows.sort_by_key(|row| row["breaking"] != true);
    let breaking = rows.iter().any(|row| row["breaking"] == true);
    let announced = rows
        .iter()
        .all(|row| row["breaking"] != true || row["announced"] == true);
    if as_json {
        super::print_json(&json!({
            "schema": "wardline.api-diff/1", "breaking": breaking, "announced": announced,
            "changes": rows,
        }))?;
    } else {
        show(&rows, breaking, announced);
    }
    Ok(if breaking {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

fn show(rows: &[Value], breaking: bool, announced: bool) {
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let sort = if row["breaking"] == true {
            paint::bad("breaking")
        } else {
            paint::good("harmless")
        };
        let (place, kind, text) = (text("where"), text("kind"), text("text"));
        anstream::println!("{sort}  {place}  {kind}: {text}");
    }
    anstream::println!(
        "{}",
        match (rows.is_empty(), breaking, announced) {
            (true, ..) => "no changes".to_owned(),
            (_, true, true) =>
                paint::bad("callers of the old contract can fail, as its major version says"),
            (_, true, false) =>
                paint::bad("callers of the old contract can fail: a major version is due"),
            (_, false, _) => paint::good("callers of the old contract are served as before"),
        }
    );
}

/// Writes down what is promised.
pub(crate) fn record(
    only: Option<&str>,
    directory: &Path,
    replace: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let place = Place::new(directory, None);
    let estate = estate(&place.estate)?;
    let locks = wardline_gateway::estate::locks(&estate, only).map_err(anyhow::Error::msg)?;
    if let (Some(only), true) = (only, locks.is_empty()) {
        let known: Vec<&str> = estate.apis.keys().map(String::as_str).collect();
        anstream::eprintln!(
            "{} no Api `{only}` is served; there is {}",
            paint::bad("error:"),
            known.join(", ")
        );
        return Ok(ExitCode::from(exit::USAGE));
    }
    let breaking: Vec<&Change> = locks.iter().flat_map(|lock| &lock.breaking).collect();
    let refused = !breaking.is_empty() && !replace;
    let mut rows = Vec::new();
    for lock in &locks {
        let path = estate.root.join(&lock.path);
        let what = match (refused, lock.differs, path.exists()) {
            (true, ..) => "not written",
            (_, false, _) => "unchanged",
            (_, _, true) => "changed",
            (_, _, false) => "new",
        };
        if !refused && lock.differs {
            write(&path, &lock.text)?;
        }
        rows.push(json!({ "file": lock.path, "what": what, "breaking": lock.breaking }));
    }
    if as_json {
        super::print_json(
            &json!({ "schema": "wardline.api-record/1", "ok": !refused, "files": rows }),
        )?;
    } else {
        for row in &rows {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            anstream::println!("{:<12} {}", text("what"), text("file"));
        }
        for change in breaking.iter().filter(|_| refused) {
            anstream::println!(
                "{}  {}: {}",
                paint::bad("breaking"),
                change.place,
                change.text
            );
        }
        if refused {
            anstream::println!(
                "{}",
                paint::bad(
                    "nothing was written: callers of what is recorded can fail. Raise the major version, or say --replace where nobody relies on it"
                )
            );
        }
    }
    Ok(if refused {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let doing = || format!("cannot write {}", path.display());
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).with_context(doing)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).with_context(doing)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(doing)?;
    // A temporary file is its owner's alone; this one belongs into a repository.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).with_context(doing)?;
    file.persist(path).with_context(doing)?;
    Ok(())
}
