//! A directory of objects: each is written beside where it will lie, synchronised, checked, and put
//! in its place under a name that its content makes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{Context, SHA256};
use rand::RngExt as _;
use tokio::sync::{Mutex, OwnedMutexGuard};
use wardline_dicom::data::tags;
use wardline_dicom::{FileError, Head, Limits, Object, examine, file_head, uid};

/// What has not come whole lies here.
const INCOMING: &str = ".incoming";
/// Of the attributes of an object so much is kept for its message.
const LIMITS: Limits = Limits {
    value: 4 << 10,
    total: 128 << 10,
    depth: 16,
};
/// Names in hand at the same time wait for each other only where they fall into the same of these.
const STRIPES: usize = 64;

/// Parts of this process begin with it: what begins otherwise was left by one that is gone, since a
/// listener may take another's place while objects are on their way.
static OURS: LazyLock<String> = LazyLock::new(|| format!("{:016x}", rand::rng().random::<u64>()));

/// Where objects lie.
pub(super) struct Objects {
    root: PathBuf,
    stripes: Vec<Arc<Mutex<()>>>,
}

/// An object in its place, and the right to take it away again.
pub(super) struct Placed {
    /// `STUDY/OBJECT.DIGEST.dcm`.
    pub(super) name: String,
    pub(super) object: Object,
    path: PathBuf,
    /// Whether the very same was there before.
    before: bool,
    /// Nobody else decides about this name meanwhile.
    _turn: OwnedMutexGuard<()>,
}

impl Objects {
    /// Makes the directory where it is not there, and clears away what never came whole.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| {
                name.strip_suffix(".part")
                    .is_some_and(|name| !name.starts_with(&*OURS))
            }) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self {
            root: root.to_owned(),
            stripes: (0..STRIPES).map(|_| Arc::default()).collect(),
        })
    }

    /// Begins an object.
    pub(super) fn begin(&self, head: Head, calling: &str) -> io::Result<Arriving> {
        let name: u64 = rand::rng().random();
        let name = format!("{}-{name:016x}.part", *OURS);
        let path = self.root.join(INCOMING).join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let mut arriving = Arriving {
            file,
            path,
            head,
            digest: Context::new(&SHA256),
            kept: false,
        };
        let begin = file_head(&arriving.head, Some(calling));
        // Whoever sends it is not what it is: the same object of two callers is one.
        arriving.file.write_all(&begin)?;
        Ok(arriving)
    }

    /// Waits for the turn of a name.
    pub(super) async fn turn(&self, head: &Head) -> OwnedMutexGuard<()> {
        let sum = head.instance.bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        Arc::clone(&self.stripes[sum % STRIPES]).lock_owned().await
    }

    /// Puts an object that has come whole in its place.
    pub(super) fn place(
        &self,
        mut arriving: Arriving,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Placed, NotPlaced> {
        arriving.file.sync_all()?;
        let object = examine(&arriving.file, LIMITS)?;
        let said = [
            (tags::SOP_CLASS, &arriving.head.class),
            (tags::SOP_INSTANCE, &arriving.head.instance),
        ];
        if said
            .iter()
            .any(|(tag, said)| object.data.ascii(*tag) != Some(said.as_str()))
        {
            return Err(NotPlaced::Other);
        }
        let study = object.data.ascii(tags::STUDY_INSTANCE);
        let study = study.filter(|uid| uid::is_valid(uid)).unwrap_or("none");
        let digest = arriving.digest.clone().finish();
        let digest: String = digest.as_ref()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("{study}/{}.{digest}.dcm", arriving.head.instance);
        let folder = self.root.join(study);
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            File::open(&self.root)?.sync_all()?;
        }
        let path = self.root.join(&name);
        let before = path.exists();
        if !before {
            fs::rename(&arriving.path, &path)?;
            arriving.kept = true;
            File::open(&folder)?.sync_all()?;
        }
        Ok(Placed {
            name,
            object,
            path,
            before,
            _turn: turn,
        })
    }
}

impl Placed {
    /// Takes it away again, unless it was there before.
    pub(super) fn withdraw(self) -> io::Result<()> {
        if self.before {
            return Ok(());
        }
        fs::remove_file(&self.path)
    }
}

/// Why an object was not put in its place.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPlaced {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] FileError),
    #[error("the object is not the one that the command names")]
    Other,
}

/// An object that is being written. Dropped, it was never there.
pub(super) struct Arriving {
    file: File,
    path: PathBuf,
    pub(super) head: Head,
    digest: Context,
    kept: bool,
}

impl Arriving {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.file.write_all(bytes)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            // The next start clears it away.
            tracing::debug!(%error, "a part of an object stays");
        }
    }
}
