//! Drop boxes: whose they are, and that nobody finds the files of another in his.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::DropBox;
use crate::suggest::did_you_mean;
use std::path::{Component, Path, PathBuf};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    let Some(declared) = &estate.dropboxes else {
        return;
    };
    let mut places: Vec<(PathBuf, &DropBox)> = Vec::new();
    for (name, dropbox) in &declared.boxes {
        match estate.clients.get(name) {
            None if whole.complete("client") => problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_CLIENT,
                    format!("no client is called `{name}`"),
                )
                .at(dropbox.at)
                .help(
                    did_you_mean(name, estate.clients.keys().map(String::as_str)).unwrap_or_else(
                        || "a box is that of a client: declare it under `clients/`".to_owned(),
                    ),
                ),
            ),
            Some(client) if client.auth.ssh.is_none() => {
                problems.push(
                    Diagnostic::error(
                        codes::NO_CREDENTIAL,
                        format!("nothing opens the box of `{name}`"),
                    )
                    .at(dropbox.at)
                    .related(client.at, "the client")
                    .help("add `ssh: clients/NAME.keys` to its `auth`, its public keys"),
                );
            }
            _ => {}
        }
        let place = plain(&estate.root.join(&dropbox.directory.value));
        let other = places
            .iter()
            .find(|(other, _)| other.starts_with(&place) || place.starts_with(other));
        if let Some((_, other)) = other {
            problems.push(
                Diagnostic::error(
                    codes::BAD_FILE_NAME,
                    "two clients would find each other's files",
                )
                .at(dropbox.directory.at)
                .label("this directory is that of another box, or lies in it")
                .related(other.directory.at, "the other"),
            );
        }
        places.push((place, dropbox));
    }
}

/// Without detours, so that two names of one directory are the same.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}
