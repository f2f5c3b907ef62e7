//! The key ring: every data key, wrapped, in one small file beside the journal.
//!
//! It is rewritten as a whole, rarely (a start, a new day, retention), and atomically. A
//! lock file makes read-change-write safe between the service and a command run beside it:
//! a key that is lost takes a day's payloads with it.

use crate::durable::{self, Mode};
use crate::{Day, VaultError, WrappedKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The form written by this version.
const VERSION: u32 = 3;
/// Written before variables of processes had keys of their own (2) and before audit entries were
/// sealed (1); read as rings without keys for them.
const OLDER: [u32; 2] = [1, 2];
/// Seven years of restarts stay far below; a larger file is not ours.
const MAX_FILE: u64 = 64 << 20;

/// All keys of an estate, wrapped. Safe to back up; useless without a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRing {
    pub(crate) version: u32,
    /// Random; the journal remembers it, so that a ring of another journal is noticed.
    pub(crate) id: String,
    pub(crate) estate: String,
    /// Under which blind indexes are made; never rotated, since indexes cannot be remade.
    pub(crate) index_key: WrappedKey,
    /// Seed of the Ed25519 key that signs audit checkpoints.
    pub(crate) audit_key: WrappedKey,
    /// Keys of earlier days were destroyed on purpose.
    pub(crate) destroyed_before: Day,
    /// Ascending by day and part.
    pub(crate) data_keys: Vec<DataKeyRecord>,
    /// Audit entries of earlier months were made unreadable on purpose.
    #[serde(default)]
    pub(crate) audit_destroyed_before: Day,
    /// Keys of audit entries, one a month; ascending like `data_keys`.
    #[serde(default)]
    pub(crate) audit_keys: Vec<DataKeyRecord>,
    /// Variables of earlier months were made unreadable on purpose.
    #[serde(default)]
    pub(crate) variables_destroyed_before: Day,
    /// Keys of variables, one a month; ascending like `data_keys`.
    #[serde(default)]
    pub(crate) variable_keys: Vec<DataKeyRecord>,
}

/// Which keys: payloads, audit entries and variables of processes are kept for different times,
/// so what destroys the ones must not touch the others. An instance may sleep longer than any
/// payload is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Series {
    /// A key a day.
    Payloads,
    /// A key a month, named by its first day.
    Audit,
    /// A key a month, named by its first day.
    Variables,
}

impl Series {
    pub(crate) const ALL: [Self; 3] = [Self::Payloads, Self::Audit, Self::Variables];

    /// The day that names the key of a moment of this day.
    pub(crate) fn period(self, day: Day) -> Day {
        match self {
            Self::Payloads => day,
            Self::Audit | Self::Variables => day.month(),
        }
    }
}

/// One data key of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataKeyRecord {
    pub(crate) day: Day,
    pub(crate) part: u16,
    /// How many payloads may have been sealed with it; claimed in blocks before use.
    pub(crate) claimed: u64,
    pub(crate) key: WrappedKey,
}

impl KeyRing {
    pub(crate) fn new(
        id: String,
        estate: String,
        index_key: WrappedKey,
        audit_key: WrappedKey,
    ) -> Self {
        Self {
            version: VERSION,
            id,
            estate,
            index_key,
            audit_key,
            destroyed_before: Day(0),
            data_keys: Vec::new(),
            audit_destroyed_before: Day(0),
            audit_keys: Vec::new(),
            variables_destroyed_before: Day(0),
            variable_keys: Vec::new(),
        }
    }

    pub(crate) const fn keys(&self, series: Series) -> &Vec<DataKeyRecord> {
        match series {
            Series::Payloads => &self.data_keys,
            Series::Audit => &self.audit_keys,
            Series::Variables => &self.variable_keys,
        }
    }

    pub(crate) const fn keys_mut(&mut self, series: Series) -> &mut Vec<DataKeyRecord> {
        match series {
            Series::Payloads => &mut self.data_keys,
            Series::Audit => &mut self.audit_keys,
            Series::Variables => &mut self.variable_keys,
        }
    }

    pub(crate) const fn destroyed_before(&self, series: Series) -> Day {
        match series {
            Series::Payloads => self.destroyed_before,
            Series::Audit => self.audit_destroyed_before,
            Series::Variables => self.variables_destroyed_before,
        }
    }

    /// Removes the keys of periods before the one of `day`; says from which period on they are
    /// left, and of how many they are gone.
    pub(crate) fn destroy_before(&mut self, series: Series, day: Day) -> (Day, usize) {
        let before = self.destroyed_before(series).max(series.period(day));
        match series {
            Series::Payloads => self.destroyed_before = before,
            Series::Audit => self.audit_destroyed_before = before,
            Series::Variables => self.variables_destroyed_before = before,
        }
        let keys = self.keys_mut(series);
        let mut gone: Vec<Day> = keys
            .iter()
            .map(|record| record.day)
            .filter(|day| *day < before)
            .collect();
        gone.dedup();
        keys.retain(|record| record.day >= before);
        (before, gone.len())
    }

    pub(crate) fn find(&self, series: Series, day: Day, part: u16) -> Option<&DataKeyRecord> {
        let keys = self.keys(series);
        let at = keys
            .binary_search_by_key(&(day, part), |record| (record.day, record.part))
            .ok()?;
        keys.get(at)
    }

    /// The newest key of a day.
    pub(crate) fn newest_mut(&mut self, series: Series, day: Day) -> Option<&mut DataKeyRecord> {
        self.keys_mut(series)
            .iter_mut()
            .rev()
            .find(|record| record.day == day)
    }

    pub(crate) fn insert(&mut self, series: Series, record: DataKeyRecord) {
        let keys = self.keys_mut(series);
        let at = keys.partition_point(|other| (other.day, other.part) < (record.day, record.part));
        keys.insert(at, record);
    }

    /// What a wrapped key of this ring is bound to.
    pub(crate) fn purpose_of_data_key(estate: &str, series: Series, day: Day, part: u16) -> String {
        let what = match series {
            Series::Payloads => "data",
            Series::Audit => "audit-data",
            Series::Variables => "variable-data",
        };
        format!("{estate} {what} {day} {part}")
    }

    pub(crate) fn purpose_of_index_key(estate: &str) -> String {
        format!("{estate} index")
    }

    pub(crate) fn purpose_of_audit_key(estate: &str) -> String {
        format!("{estate} audit")
    }
}

/// Where the key ring is kept.
#[derive(Debug)]
pub struct KeyStore(Place);

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Memory(Mutex<Option<KeyRing>>),
}

impl KeyStore {
    /// `keyring.json` in a data directory, which is made when the ring is first written.
    pub fn in_directory(data: &Path) -> Self {
        Self(Place::File(data.join("keyring.json")))
    }

    /// In memory: for a run that keeps nothing, such as `wardline test` and benchmarks.
    pub fn in_memory() -> Self {
        Self(Place::Memory(Mutex::new(None)))
    }

    /// Whether a ring was ever written.
    pub fn exists(&self) -> bool {
        match &self.0 {
            Place::File(path) => path.exists(),
            Place::Memory(ring) => ring.lock().is_some(),
        }
    }

    /// The error for a ring that is not the one that was opened.
    pub(crate) fn replaced(&self, reason: &str) -> VaultError {
        let path = match &self.0 {
            Place::File(path) => path.clone(),
            Place::Memory(_) => PathBuf::from("memory"),
        };
        VaultError::KeyringMalformed {
            path,
            reason: reason.to_owned(),
        }
    }

    /// The ring as it is now; `None` before the first.
    pub(crate) fn load(&self) -> Result<Option<KeyRing>, VaultError> {
        match &self.0 {
            Place::Memory(ring) => Ok(ring.lock().clone()),
            Place::File(path) => read(path),
        }
    }

    /// Reads, changes and writes the ring while no other process can. When `change` fails
    /// or leaves the ring as it was, nothing is written.
    pub(crate) fn update<T>(
        &self,
        change: impl FnOnce(&mut Option<KeyRing>) -> Result<T, VaultError>,
    ) -> Result<(KeyRing, T), VaultError> {
        match &self.0 {
            Place::Memory(place) => {
                let mut place = place.lock();
                let mut ring = place.clone();
                let result = change(&mut ring)?;
                let ring = ring.expect("a change makes a ring or finds one");
                *place = Some(ring.clone());
                Ok((ring, result))
            }
            Place::File(path) => {
                let lock = lock(path)?;
                let before = read(path)?;
                let mut ring = before.clone();
                let result = change(&mut ring)?;
                let ring = ring.expect("a change makes a ring or finds one");
                if before.as_ref() != Some(&ring) {
                    let failed =
                        |error: &dyn std::fmt::Display| keyring_error("writing", path, error);
                    let mut text =
                        serde_json::to_vec_pretty(&ring).map_err(|error| failed(&error))?;
                    text.push(b'\n');
                    durable::write(path, &text, Mode::Replace).map_err(|error| failed(&error))?;
                }
                drop(lock);
                Ok((ring, result))
            }
        }
    }
}

fn keyring_error(doing: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> VaultError {
    VaultError::Keyring {
        doing,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Waits for the lock; it is released when the file is dropped or the process ends.
fn lock(path: &Path) -> Result<File, VaultError> {
    durable::lock(path).map_err(|error| keyring_error("locking", path, &error))
}

fn read(path: &Path) -> Result<Option<KeyRing>, VaultError> {
    let failed = |error: io::Error| keyring_error("reading", path, &error);
    let malformed = |reason: String| VaultError::KeyringMalformed {
        path: path.to_owned(),
        reason,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(malformed(format!("larger than {MAX_FILE} bytes")));
    }
    let version: Version =
        serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    if version.version != VERSION && !OLDER.contains(&version.version) {
        return Err(malformed(format!(
            "version {} is not {VERSION}: use a newer wardline",
            version.version
        )));
    }
    let mut ring: KeyRing =
        serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    // In memory all rings are of this version; the file becomes one with its next change.
    ring.version = VERSION;
    let in_order =
        |keys: &[DataKeyRecord]| keys.is_sorted_by_key(|record| (record.day, record.part));
    if Series::ALL
        .iter()
        .any(|series| !in_order(ring.keys(*series)))
    {
        return Err(malformed("its keys are out of order".to_owned()));
    }
    Ok(Some(ring))
}

/// Read first, so that a newer form is named as such and not as a missing field.
#[derive(Deserialize)]
struct Version {
    version: u32,
}
