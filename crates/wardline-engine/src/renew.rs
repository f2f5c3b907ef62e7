//! What was made of secrets and certificate files is made again when they change, while
//! everything runs: a listener's certificate, a sender's credential, what a caller must show.
//!
//! Each such thing sits behind an [`ArcSwap`] and says here what it was made of and how to make
//! it. Where making it fails (the new certificate is there and its key is not yet), the old
//! one stays and it is tried again at every look. Things that are gone are forgotten.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use wardline_vault::{SecretEvent, SecretRef, Secrets};

use crate::WireError;

/// When a file was written, and which file it is.
type Stamp = Option<(SystemTime, u64, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

/// What something was made of: secrets by name, and files as they were before they were read.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    secrets: BTreeSet<String>,
    files: BTreeMap<PathBuf, Stamp>,
}

impl Inputs {
    /// Adds a secret.
    pub fn note_secret(&mut self, reference: &SecretRef) {
        self.secrets.insert(reference.name().to_owned());
    }

    /// Adds a file; call it before the file is read, so that no change falls between.
    pub fn note_file(&mut self, path: &Path) {
        self.files
            .entry(path.to_owned())
            .or_insert_with(|| stamp(path));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.files.is_empty()
    }
}

/// What one look found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// A secret changed, or could not be read again.
    Secret(SecretEvent),
    /// A file changed and has come to rest.
    File(PathBuf),
    /// Something was made again and is in use.
    Made {
        /// What: `listener partner`, `connection erp.ws`.
        what: String,
    },
    /// Something could not be made again; what was there stays.
    Kept {
        /// What.
        what: String,
        /// Why, without any value.
        why: String,
    },
}

/// Makes a thing again: `None` where it is gone.
type Make = Arc<dyn Fn() -> Result<Option<Inputs>, String> + Send + Sync>;

struct Renewal {
    what: String,
    /// The address of what is made again, where it has one of its own.
    of: Option<usize>,
    inputs: Inputs,
    make: Make,
    /// Whether anybody still has what is made again.
    wanted: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Why it could not be made the last time; tried again until it can.
    trouble: Option<String>,
}

/// A file that something was made of: as it was then, and at the last look.
struct Seen {
    used: Stamp,
    last: Stamp,
}

#[derive(Default)]
struct State {
    all: Vec<Renewal>,
    files: BTreeMap<PathBuf, Seen>,
}

/// Everything that is made again.
pub struct Renewals {
    secrets: Secrets,
    state: Mutex<State>,
    /// One look at a time.
    looking: Mutex<()>,
}

impl std::fmt::Debug for Renewals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewals")
            .field("things", &self.state.lock().all.len())
            .finish_non_exhaustive()
    }
}

impl Renewals {
    /// Of these secrets.
    pub fn new(secrets: Secrets) -> Arc<Self> {
        Arc::new(Self {
            secrets,
            state: Mutex::default(),
            looking: Mutex::default(),
        })
    }

    /// The secrets themselves.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Makes what `target` holds again whenever one of its inputs changes, for as long as
    /// somebody else holds `target`; what was said of the same target before is forgotten.
    /// `withheld` takes its place when a secret may not be used
    /// any more.
    pub fn keep<T: Send + Sync + 'static>(
        &self,
        what: impl Into<String>,
        target: &Arc<ArcSwap<T>>,
        inputs: Inputs,
        withheld: Option<Arc<T>>,
        make: impl Fn() -> Result<(T, Inputs), WireError> + Send + Sync + 'static,
    ) {
        let of = Arc::as_ptr(target) as usize;
        let target = Arc::downgrade(target);
        let held = target.clone();
        let wanted = Arc::new(move || held.strong_count() > 0);
        let make: Make = Arc::new(move || {
            let Some(target) = target.upgrade() else {
                return Ok(None);
            };
            match make() {
                Ok((made, inputs)) => {
                    target.store(Arc::new(made));
                    Ok(Some(inputs))
                }
                Err(error) => {
                    if let (true, Some(withheld)) = (error.is_withheld(), &withheld) {
                        target.store(Arc::clone(withheld));
                    }
                    Err(error.to_string())
                }
            }
        });
        self.insert(Renewal {
            what: what.into(),
            of: Some(of),
            inputs,
            make,
            wanted,
            trouble: None,
        });
    }

    /// Calls `make` whenever one of the inputs changes, until it answers `None`. Takes the place
    /// of what was said of `what` in this way before.
    pub fn add(
        &self,
        what: impl Into<String>,
        inputs: Inputs,
        make: impl Fn() -> Result<Option<Inputs>, String> + Send + Sync + 'static,
    ) {
        self.insert(Renewal {
            what: what.into(),
            of: None,
            inputs,
            make: Arc::new(make),
            wanted: Arc::new(|| true),
            trouble: None,
        });
    }

    fn insert(&self, new: Renewal) {
        let mut state = self.state.lock();
        let same = |one: &Renewal| match (one.of, new.of) {
            (Some(one), Some(new)) => one == new,
            (None, None) => one.what == new.what,
            _ => false,
        };
        // An address is another's as soon as nobody wants what was there.
        state.all.retain(|one| (one.wanted)() && !same(one));
        if new.inputs.is_empty() {
            return;
        }
        state.see(&new.inputs);
        state.all.push(new);
    }

    /// Looks at every secret and file, and makes again what they are in. May wait for the disk
    /// and the network: call it off the runtime's threads, every few seconds. A file counts as
    /// changed once two looks found it the same.
    pub fn look(&self) -> Vec<Renewed> {
        let _one = self.looking.lock();
        let events = self.secrets.refresh();
        let secrets: BTreeSet<&str> = events
            .iter()
            .filter(|event| event.changes())
            .map(SecretEvent::name)
            .collect();
        let files = {
            let mut state = self.state.lock();
            state.all.retain(|one| (one.wanted)());
            state.settled()
        };
        let due: Vec<(String, Make)> = {
            let state = self.state.lock();
            let due = state.all.iter().filter(|one| {
                one.trouble.is_some()
                    || one
                        .inputs
                        .secrets
                        .iter()
                        .any(|name| secrets.contains(&**name))
                    || one.inputs.files.keys().any(|path| files.contains(path))
            });
            due.map(|one| (one.what.clone(), Arc::clone(&one.make)))
                .collect()
        };
        let mut out: Vec<Renewed> = Vec::new();
        out.extend(files.into_iter().map(Renewed::File));
        for (what, make) in due {
            let made = make();
            let mut state = self.state.lock();
            let Some(at) = state
                .all
                .iter()
                .position(|one| Arc::ptr_eq(&one.make, &make))
            else {
                continue;
            };
            match made {
                Ok(None) => drop(state.all.swap_remove(at)),
                Ok(Some(inputs)) => {
                    state.see(&inputs);
                    state.all[at].inputs = inputs;
                    state.all[at].trouble = None;
                    out.push(Renewed::Made { what });
                }
                Err(why) => {
                    let trouble = &mut state.all[at].trouble;
                    if trouble.as_ref() != Some(&why) {
                        *trouble = Some(why.clone());
                        out.push(Renewed::Kept { what, why });
                    }
                }
            }
        }
        out.extend(events.into_iter().map(Renewed::Secret));
        out
    }
}

impl State {
    /// Takes the files of something that was just made as seen.
    fn see(&mut self, inputs: &Inputs) {
        for (path, stamp) in &inputs.files {
            self.files.entry(path.clone()).or_insert(Seen {
                used: *stamp,
                last: *stamp,
            });
        }
    }

    /// Files that are no longer what they were, and have been the same for one look. One that
    /// is not there now is on its way to be another.
    fn settled(&mut self) -> BTreeSet<PathBuf> {
        let used: BTreeSet<&PathBuf> = self
            .all
            .iter()
            .flat_map(|one| one.inputs.files.keys())
            .collect();
        self.files.retain(|path, _| used.contains(path));
        let mut changed = BTreeSet::new();
        for (path, seen) in &mut self.files {
            let now = stamp(path);
            if now.is_some() && now == seen.last && now != seen.used {
                seen.used = now;
                changed.insert(path.clone());
            }
            seen.last = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing made of two files that must fit each other, as a certificate and its key.
    fn pair(dir: &Path) -> Result<(String, Inputs), WireError> {
        let mut inputs = Inputs::default();
        let mut read = |name: &str| {
            let path = dir.join(name);
            inputs.note_file(&path);
            std::fs::read_to_string(path).unwrap_or_default()
        };
        let (a, b) = (read("a"), read("b"));
        if a == b {
            return Ok((a, inputs));
        }
        Err(WireError::Header {
            connection: "pair".into(),
            header: "does not fit".into(),
        })
    }

    #[test]
    fn a_half_written_pair_changes_nothing_until_it_fits() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write("a", "one");
        write("b", "one");
        let renewals = Renewals::new(Secrets::in_directory(root.join("secrets")));
        let (first, inputs) = pair(&root).unwrap();
        let target = Arc::new(ArcSwap::from_pointee(first));
        let place = root.clone();
        renewals.keep("pair", &target, inputs, None, move || pair(&place));
        assert!(renewals.look().is_empty());

        write("a", "second");
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(renewals.look());
        }
        assert!(
            matches!(&seen[..], [Renewed::File(_), Renewed::Kept { .. }]),
            "{seen:?}"
        );
        assert_eq!(**target.load(), "one");

        write("b", "second");
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(renewals.look());
        }
        assert!(
            seen.contains(&Renewed::Made {
                what: "pair".into()
            }),
            "{seen:?}"
        );
        assert_eq!(**target.load(), "second");

        // Nobody holds it any more: it is forgotten.
        drop(target);
        write("a", "third!");
        for _ in 0..3 {
            renewals.look();
        }
        assert!(renewals.state.lock().all.is_empty());
    }

    #[test]
    fn a_thousand_estates_leave_one_renewal_of_each_thing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        std::fs::write(root.join("a"), "one").unwrap();
        std::fs::write(root.join("b"), "one").unwrap();
        let renewals = Renewals::new(Secrets::in_directory(root.join("secrets")));
        let target = Arc::new(ArcSwap::from_pointee(String::new()));
        for _ in 0..1_000 {
            let (_, inputs) = pair(&root).unwrap();
            // One that stays, one that is replaced each time, and one that has no target.
            let fresh = Arc::new(ArcSwap::from_pointee(String::new()));
            let (one, other) = (root.clone(), root.clone());
            renewals.keep("stays", &target, inputs.clone(), None, move || pair(&one));
            renewals.keep("fresh", &fresh, inputs.clone(), None, move || pair(&other));
            renewals.add("clients", inputs, || Ok(None));
        }
        assert!(renewals.look().is_empty());
        let state = renewals.state.lock();
        let mut left: Vec<&str> = state.all.iter().map(|one| one.what.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["clients", "stays"]);
    }
}
