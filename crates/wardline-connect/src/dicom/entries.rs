//! Entries of a worklist: kept by flows, read by queries. Each is a file of its own, written whole, so
//! whoever reads sees the one before or the one after, and a restart changes nothing.

use std::io::{self, Read as _};
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use wardline_dicom::net::Status;
use wardline_dicom::{DataSet, from_json, worklist};

use crate::files::Directory;
use crate::{Failure, FailureKind, Reply, Request, codes};

/// Entries that a worklist may have.
const MOST: usize = 10_000;
/// The largest entry, in bytes.
const LARGEST: usize = 64 << 10;
/// Entries that answer one query, and their bytes.
const ANSWERS: usize = 1_000;
const ANSWERED: usize = 8 << 20;

/// Keeps entries as flows say: `{ key, entry }` keeps one, without `entry` it goes.
pub struct Entries {
    name: Arc<str>,
    directory: Arc<dyn Directory>,
}

impl Entries {
    /// Of a directory; `name` is the connection's.
    pub fn new(name: impl Into<Arc<str>>, directory: Arc<dyn Directory>) -> Self {
        Self {
            name: name.into(),
            directory,
        }
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Failure {
        let text = format!("{}: {what}", self.name);
        Failure::new(FailureKind::Permanent, codes::DICOM_ENTRY, text)
    }

    /// What is to be done: the file's name, and the entry where it is kept.
    fn read(&self, body: &[u8]) -> Result<(String, Option<Vec<u8>>), Failure> {
        let payload: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| self.wrong("the payload is no JSON object"))?;
        let Some(Value::String(key)) = payload.get("key").filter(|key| *key != "") else {
            return Err(self.wrong("`key`, which names the entry, is missing or no text"));
        };
        let name = digest(&SHA256, key.as_bytes());
        let name: String = name.as_ref()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("{name}.json");
        match payload.get("entry") {
            None | Some(Value::Null) => Ok((name, None)),
            Some(Value::Object(entry)) => {
                from_json(entry).map_err(|error| self.wrong(error))?;
                let bytes = json!({ "key": key, "entry": entry })
                    .to_string()
                    .into_bytes();
                if bytes.len() > LARGEST {
                    return Err(self.wrong(format!("an entry may have {LARGEST} bytes")));
                }
                Ok((name, Some(bytes)))
            }
            Some(_) => Err(self.wrong("`entry` is no object")),
        }
    }
}

#[async_trait]
impl crate::Outbound for Entries {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let (name, entry) = self.read(&request.body)?;
        let status = if entry.is_some() { "kept" } else { "removed" };
        let directory = Arc::clone(&self.directory);
        let done = tokio::task::spawn_blocking(move || match entry {
            Some(entry) => {
                let full = directory.list("", MOST + 1)?.len() > MOST;
                // One that changes needs no room.
                if full && directory.open(&name).is_err() {
                    return Err(io::Error::other(format!(
                        "it has {MOST} entries, and no more fit"
                    )));
                }
                directory.write(&name, &mut &entry[..])
            }
            None => directory.remove(&name),
        });
        let done = done.await.map_err(io::Error::other);
        match done.and_then(|done| done) {
            Ok(()) => Ok(Reply {
                status: status.into(),
                ..Reply::default()
            }),
            Err(error) => {
                let place = self.directory.describe();
                let text = format!(
                    "{}: cannot change the worklist in {place}: {error}",
                    self.name
                );
                Err(Failure::new(
                    FailureKind::Transient,
                    codes::DICOM_NOT_KEPT,
                    text,
                ))
            }
        }
    }

    fn describe(&self) -> String {
        format!("dicom worklist {}", self.directory.describe())
    }
}

/// The entries that answer a query. Blocks.
pub(super) fn answers(directory: &dyn Directory, query: &DataSet) -> Result<Vec<DataSet>, Status> {
    let failed = |error: &io::Error| {
        tracing::warn!(%error, "cannot read the worklist in {}", directory.describe());
        Status::processing_failure("the worklist cannot be read now")
    };
    let mut all = directory.list("", MOST).map_err(|error| failed(&error))?;
    all.retain(|one| {
        one.name
            .strip_suffix(".json")
            .is_some_and(|name| !name.starts_with('.'))
    });
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut found, mut size) = (Vec::new(), 0);
    for one in all {
        let mut bytes = Vec::new();
        let read = directory
            .open(&one.name)
            .and_then(|file| file.take(2 * LARGEST as u64).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            // It went in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&error)),
        }
        let entry = match serde_json::from_slice(&bytes) {
            Ok(Value::Object(mut kept)) => match kept.remove("entry") {
                Some(Value::Object(entry)) => from_json(&entry).ok(),
                _ => None,
            },
            _ => None,
        };
        let Some(entry) = entry else {
            tracing::warn!(
                file = one.name,
                "an entry of the worklist in {} cannot be read",
                directory.describe()
            );
            continue;
        };
        if let Some(answer) = worklist::answer(query, &entry) {
            size += bytes.len();
            if found.len() == ANSWERS || size > ANSWERED {
                return Err(Status::out_of_resources(
                    "too many entries fit: ask for fewer",
                ));
            }
            found.push(answer);
        }
    }
    Ok(found)
}
