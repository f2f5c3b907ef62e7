//! What is on the disk, as opposed to what a reader sees: the heart of the simulation.
//!
//! Reads go to the real files, which stand for the kernel's page cache. Beside them this
//! module keeps, for every file, the content that a power cut is certain to leave and the
//! writes that it may or may not leave; and for every name in a folder, the file that it is
//! certain to mean and the one that it means now.

use crate::chance::Chance;
use crate::error::FaultError;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What the power cut did to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLeft {
    /// Which file.
    pub path: PathBuf,
    /// Writes and truncations since its last sync that survived whole.
    pub kept: usize,
    /// Those of which some sectors survived.
    pub torn: usize,
    /// Those that are gone.
    pub lost: usize,
    /// The file was made, and the cut undid that.
    pub unmade: bool,
    /// The file was removed, and the cut undid that.
    pub returned: bool,
}

/// What a power cut left, file by file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutReport {
    /// The files of which anything was not synced.
    pub files: Vec<FileLeft>,
}

/// Number of a file's content, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inode(u64);

/// Something done to a file and not synced yet.
#[derive(Debug)]
enum Effect {
    Write { offset: u64, bytes: Box<[u8]> },
    Truncate(u64),
}

#[derive(Debug, Default)]
struct Content {
    /// What is certain to survive.
    certain: Vec<u8>,
    /// What may survive, in the order it was done.
    unsynced: Vec<Effect>,
    /// How long the file is for a reader.
    len: u64,
    /// The first sync of a new journal or log syncs its folder too, as SQLite's Unix layer does.
    syncs_folder: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Name {
    certain: Option<Inode>,
    now: Option<Inode>,
}

/// How much of what was not synced a cut leaves.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Nothing,
    Everything,
    /// Everything up to some point, as a disk without a reordering cache leaves it.
    Beginning {
        whole: usize,
    },
    /// Any write, whole or torn.
    AnyWrite,
    /// Any sector of any write.
    AnySector,
}

/// Every file that went through the layer.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    names: BTreeMap<PathBuf, Name>,
    contents: BTreeMap<Inode, Content>,
    made: u64,
}

impl Disk {
    /// The file that `path` means now; one that is on the disk and was not seen before is
    /// taken as synced.
    pub(crate) fn find(&mut self, path: &Path) -> io::Result<Option<Inode>> {
        if let Some(name) = self.names.get(path) {
            return Ok(name.now);
        }
        let certain = match fs::read(path) {
            Ok(certain) => certain,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = certain.len() as u64;
        let inode = self.add(Content {
            certain,
            len,
            ..Content::default()
        });
        self.names.insert(
            path.to_owned(),
            Name {
                certain: Some(inode),
                now: Some(inode),
            },
        );
        Ok(Some(inode))
    }

    /// A new, empty file at `path`; its name is not synced yet.
    pub(crate) fn make(&mut self, path: &Path, syncs_folder: bool) -> Inode {
        let inode = self.add(Content {
            syncs_folder,
            ..Content::default()
        });
        self.names.entry(path.to_owned()).or_default().now = Some(inode);
        inode
    }

    fn add(&mut self, content: Content) -> Inode {
        let inode = Inode(self.made);
        self.made += 1;
        self.contents.insert(inode, content);
        inode
    }

    /// Length of a file for a reader, in bytes.
    pub(crate) fn len(&self, inode: Inode) -> u64 {
        self.contents.get(&inode).map_or(0, |content| content.len)
    }

    /// Bytes were written.
    pub(crate) fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) {
        if let Some(content) = self.contents.get_mut(&inode) {
            content.len = content.len.max(offset + bytes.len() as u64);
            content.unsynced.push(Effect::Write {
                offset,
                bytes: bytes.into(),
            });
        }
    }

    /// The file was cut to a length.
    pub(crate) fn truncate(&mut self, inode: Inode, len: u64) {
        if let Some(content) = self.contents.get_mut(&inode) {
            content.len = len;
            content.unsynced.push(Effect::Truncate(len));
        }
    }

    /// The file was synced: everything done to it is certain now.
    pub(crate) fn sync(&mut self, inode: Inode) {
        let Some(content) = self.contents.get_mut(&inode) else {
            return;
        };
        for effect in content.unsynced.drain(..) {
            apply(&mut content.certain, &effect);
        }
        if !std::mem::take(&mut content.syncs_folder) {
            return;
        }
        let folders: Vec<PathBuf> = self
            .names
            .iter()
            .filter(|(_, name)| name.now == Some(inode))
            .filter_map(|(path, _)| path.parent().map(Path::to_owned))
            .collect();
        for folder in folders {
            self.sync_folder(&folder);
        }
    }

    /// The sync failed: some of it is certain, the rest will never be, whoever syncs again.
    pub(crate) fn fail_sync(&mut self, inode: Inode, chance: &mut Chance) {
        if let Some(content) = self.contents.get_mut(&inode) {
            let unsynced = std::mem::take(&mut content.unsynced);
            survive(&mut content.certain, &unsynced, chance);
        }
    }

    /// The file at `path` was removed; the removal is certain only with a sync of the folder.
    pub(crate) fn remove(&mut self, path: &Path, sync_folder: bool) {
        if let Some(name) = self.names.get_mut(path) {
            name.now = None;
        }
        if sync_folder && let Some(folder) = path.parent() {
            let folder = folder.to_owned();
            self.sync_folder(&folder);
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        for (_, name) in self
            .names
            .iter_mut()
            .filter(|(path, _)| path.parent() == Some(folder))
        {
            name.certain = name.now;
        }
    }

    /// Rewrites the real files to what a power cut could leave. The files keep their names
    /// but are new to the system, so handles that are still open can do no harm.
    pub(crate) fn cut(&mut self, chance: &mut Chance) -> Result<CutReport, FaultError> {
        let mut report = CutReport::default();
        for (path, name) in &mut self.names {
            let chosen = if chance.one_in(2) {
                name.now
            } else {
                name.certain
            };
            let mut left = FileLeft {
                path: path.clone(),
                kept: 0,
                torn: 0,
                lost: 0,
                unmade: chosen.is_none() && name.now.is_some(),
                returned: chosen.is_some() && name.now.is_none(),
            };
            let failed = |source| FaultError::Leave {
                path: path.clone(),
                source,
            };
            match chosen.and_then(|inode| self.contents.get_mut(&inode)) {
                Some(content) => {
                    let unsynced = std::mem::take(&mut content.unsynced);
                    (left.kept, left.torn, left.lost) =
                        survive(&mut content.certain, &unsynced, chance);
                    content.len = content.certain.len() as u64;
                    let fresh = beside(path, ".after-cut");
                    fs::write(&fresh, &content.certain).map_err(failed)?;
                    fs::rename(&fresh, path).map_err(failed)?;
                }
                None => remove_if_there(path).map_err(failed)?,
            }
            // The index of the log is memory: it ends with the power.
            let index = beside(path, "-shm");
            remove_if_there(&index).map_err(|source| FaultError::Leave {
                path: index,
                source,
            })?;
            *name = Name {
                certain: chosen,
                now: chosen,
            };
            if left.kept + left.torn + left.lost > 0 || left.unmade || left.returned {
                report.files.push(left);
            }
        }
        Ok(report)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Applies what survives; returns how many effects were kept, torn and lost.
fn survive(
    certain: &mut Vec<u8>,
    unsynced: &[Effect],
    chance: &mut Chance,
) -> (usize, usize, usize) {
    let mood = match chance.below(5) {
        0 => Mood::Nothing,
        1 => Mood::Everything,
        2 => Mood::Beginning {
            whole: chance.below(unsynced.len() + 1),
        },
        3 => Mood::AnyWrite,
        _ => Mood::AnySector,
    };
    let (mut kept, mut torn, mut lost) = (0, 0, 0);
    for (place, effect) in unsynced.iter().enumerate() {
        // Of a write: whether each of its sectors survives.
        let fate = match mood {
            Mood::Everything => Fate::Kept,
            Mood::Beginning { whole } if place < whole => Fate::Kept,
            Mood::Beginning { whole } if place == whole => Fate::Torn,
            Mood::Nothing | Mood::Beginning { .. } => Fate::Lost,
            Mood::AnyWrite => match chance.below(5) {
                0 | 1 => Fate::Kept,
                2 => Fate::Torn,
                _ => Fate::Lost,
            },
            Mood::AnySector => Fate::Torn,
        };
        match (fate, effect) {
            (Fate::Kept, _) => {
                apply(certain, effect);
                kept += 1;
            }
            (Fate::Torn, Effect::Write { offset, bytes }) => {
                tear(certain, *offset, bytes, chance);
                torn += 1;
            }
            (_, Effect::Write { offset, bytes }) => {
                // The file may have grown although its new end was never written.
                if chance.one_in(4) {
                    grow(certain, offset + bytes.len() as u64);
                }
                lost += 1;
            }
            (_, Effect::Truncate(_)) => lost += 1,
        }
    }
    (kept, torn, lost)
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    Torn,
    Lost,
}

fn apply(certain: &mut Vec<u8>, effect: &Effect) {
    match effect {
        Effect::Write { offset, bytes } => put(certain, *offset, bytes),
        Effect::Truncate(len) => certain.resize(*len as usize, 0),
    }
}

fn put(certain: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    grow(certain, offset + bytes.len() as u64);
    let start = offset as usize;
    certain[start..start + bytes.len()].copy_from_slice(bytes);
}

fn grow(certain: &mut Vec<u8>, len: u64) {
    if certain.len() < len as usize {
        certain.resize(len as usize, 0);
    }
}

/// Writes some sectors of a write and not others.
fn tear(certain: &mut Vec<u8>, offset: u64, bytes: &[u8], chance: &mut Chance) {
    let mut at = 0;
    while at < bytes.len() {
        let place = offset as usize + at;
        let end = (at + SECTOR - place % SECTOR).min(bytes.len());
        if chance.one_in(2) {
            put(certain, place as u64, &bytes[at..end]);
        }
        at = end;
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
