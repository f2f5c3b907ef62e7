//! Where descriptions come from: files of one directory, and nowhere else; or files in memory.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Largest file that is read.
const LARGEST: u64 = 8 << 20;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// By what it is known: relative to the directory, `/` between the parts.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Gives files by their location, as a description names them.
pub trait Source {
    /// Reads what `location` is in the file `from` (empty for the first one).
    ///
    /// # Errors
    /// Why not, for people.
    fn read(&self, from: &str, location: &str) -> Result<Loaded, String>;
}

/// Files below one directory. Locations with a scheme are never fetched, and none leads out, not
/// by `..` and not by a symbolic link.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Source for Directory {
    fn read(&self, from: &str, location: &str) -> Result<Loaded, String> {
        let name = resolve(from, location)?;
        let shown: String = location.chars().take(200).collect();
        let failed = |what: &str| format!("{shown} {what}");
        let root = self
            .root
            .canonicalize()
            .map_err(|error| failed(&format!("cannot be read: {error}")))?;
        let path = root
            .join(&name)
            .canonicalize()
            .map_err(|_| failed("is not there"))?;
        if !path.starts_with(&root) {
            return Err(failed("leads out of its directory"));
        }
        let size = std::fs::metadata(&path).map_err(|_| failed("is not there"))?;
        if !size.is_file() || size.len() > LARGEST {
            return Err(failed("is no file, or larger than 8 MiB"));
        }
        let bytes =
            std::fs::read(&path).map_err(|error| failed(&format!("cannot be read: {error}")))?;
        Ok(Loaded { name, bytes })
    }
}

/// Files that were read before, by their names. Nothing else is ever looked at.
#[derive(Clone, Debug, Default)]
pub struct Held {
    files: BTreeMap<String, Arc<str>>,
}

impl Held {
    /// These files, each by its path, `/` between the parts.
    pub fn new(files: impl IntoIterator<Item = (String, Arc<str>)>) -> Self {
        Self {
            files: files.into_iter().collect(),
        }
    }
}

impl Source for Held {
    fn read(&self, from: &str, location: &str) -> Result<Loaded, String> {
        let name = resolve(from, location)?;
        let Some(text) = self.files.get(&name) else {
            let shown: String = name.chars().take(200).collect();
            return Err(format!("{shown} is not there"));
        };
        Ok(Loaded {
            bytes: text.as_bytes().to_vec(),
            name,
        })
    }
}

/// What a location in a file names, relative to the directory of all of them.
fn resolve(from: &str, location: &str) -> Result<String, String> {
    let shown: String = location.chars().take(200).collect();
    if location.contains("://") || location.starts_with("urn:") {
        return Err(format!(
            "{shown} is not fetched: put the file beside the description and name it there"
        ));
    }
    let mut parts: Vec<&str> = Path::new(from)
        .parent()
        .map(|parent| {
            parent
                .components()
                .filter_map(|part| part.as_os_str().to_str())
                .collect()
        })
        .unwrap_or_default();
    for part in Path::new(location).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            Component::ParentDir => {
                if parts.pop().is_none() {
                    return Err(format!("{shown} leads out of its directory"));
                }
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err(format!("{shown} is not a path relative to its file"));
            }
        }
    }
    Ok(parts.join("/"))
}
