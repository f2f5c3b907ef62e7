//! Where an estate, its data, keys and secrets are, and how they are opened.

use crate::cli::Where;
use crate::paint;
use anyhow::{Context as _, bail};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, RealClock, Timestamp};
use wardline_engine::{Parts, Plan};
use wardline_estate::model::{Estate, KeySource as KeyPlace, StoreUrl};
use wardline_estate::{Diagnostics, LoadOptions, SourceMap};
use wardline_gateway::estate::Front;
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{Store, StoreError};
use wardline_vault::{
    FileProvider, KeyProvider, KeySource, KeyStore, SecretRef, Secrets, TransitProvider, Vault,
    VaultError,
};

/// An estate that was read, with everything that was found.
pub(crate) struct Read {
    pub(crate) plan: Option<Arc<Plan>>,
    /// Its Apis; there whenever the plan is.
    pub(crate) front: Option<Front>,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) sources: SourceMap,
}

/// Reads, checks and compiles an estate. `secrets`: whether missing secrets are found too.
pub(crate) fn read(dir: &Path, secrets: Option<&Secrets>) -> Read {
    let mut read = read_unlocked(dir, secrets);
    let Some(plan) = &read.plan else {
        return read;
    };
    let broken = wardline_gateway::estate::broken(&plan.estate);
    if !broken.is_empty() {
        read.diagnostics.extend(broken);
        read.diagnostics.sort(&read.sources);
        (read.plan, read.front) = (None, None);
    }
    read
}

/// As [`read`], without a look at what was promised before: for what compares or writes that down.
pub(crate) fn read_unlocked(dir: &Path, secrets: Option<&Secrets>) -> Read {
    let configured = OnceCell::new();
    let exists = |estate: &Estate, reference: &str| {
        secrets.is_none_or(|secrets| {
            // What is wrong with where they come from is told when one is needed.
            configured.get_or_init(|| crate::sources::configure(secrets, estate).ok());
            let Ok(reference) = reference.parse::<SecretRef>() else {
                return false;
            };
            // One that is there but cannot be used is reported, with the reason, at start.
            !matches!(
                secrets.exists(&reference),
                Err(VaultError::SecretMissing { .. })
            )
        })
    };
    let store = store_of_environment();
    let options = LoadOptions {
        store: store.as_deref(),
        secret_exists: secrets
            .is_some()
            .then_some(&exists as &wardline_estate::SecretExists<'_>),
    };
    let loaded = wardline_estate::load(dir, &options);
    let mut diagnostics = loaded.diagnostics;
    let mut compile = |estate: Estate| {
        let estate = Arc::new(estate);
        for problem in wardline_engine::certs::check(&estate, Timestamp::now()) {
            diagnostics.push(problem);
        }
        let plan = Plan::compile(Arc::clone(&estate), &mut diagnostics);
        let front = Front::compile(&estate, &mut diagnostics);
        let plan = plan.map(|plan| match &front {
            Some(front) => Arc::new(plan.with_audience(front.audience())),
            None => Arc::new(plan),
        });
        (plan, front)
    };
    let (plan, front) = match (loaded.estate, loaded.partial) {
        (Some(estate), _) => compile(estate),
        // What is wrong in the maps is told in the same run, as far as it can be seen.
        (None, Some(partial)) => {
            drop(compile(partial));
            (None, None)
        }
        (None, None) => (None, None),
    };
    diagnostics.sort(&loaded.sources);
    Read {
        plan: plan.filter(|_| front.is_some()),
        front,
        diagnostics,
        sources: loaded.sources,
    }
}

/// `WARDLINE_STORE`; set to nothing is not set. What is not text is no store either.
fn store_of_environment() -> Option<String> {
    std::env::var_os("WARDLINE_STORE")
        .filter(|value| !value.is_empty())
        .map(|value| value.to_string_lossy().into_owned())
}

/// Reads an estate that must be well; prints what is not.
pub(crate) fn read_well(dir: &Path, secrets: Option<&Secrets>) -> anyhow::Result<Arc<Plan>> {
    read_served(dir, secrets).map(|(plan, _)| plan)
}

/// As [`read_well`], with its Apis.
pub(crate) fn read_served(
    dir: &Path,
    secrets: Option<&Secrets>,
) -> anyhow::Result<(Arc<Plan>, Front)> {
    let read = read(dir, secrets);
    let (Some(plan), Some(front)) = (read.plan, read.front) else {
        anstream::eprint!("{}", read.diagnostics.render(&read.sources, paint::on()));
        bail!(
            "the estate in {} cannot run: {}",
            dir.display(),
            read.diagnostics.summary()
        );
    };
    Ok((plan, front))
}

/// Directories of one running or runnable estate.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) estate: PathBuf,
    pub(crate) data: PathBuf,
    /// Keys and secrets beside the data instead of in the estate (the demo's).
    pub(crate) own_keys: bool,
    /// One for all who ask, so that all see the same values.
    secrets: Secrets,
}

impl Place {
    pub(crate) fn of(place: &Where) -> Self {
        Self::new(&place.estate, place.data.as_deref())
    }

    pub(crate) fn new(estate: &Path, data: Option<&Path>) -> Self {
        let data = data.map_or_else(|| estate.join("data"), Path::to_path_buf);
        // A demo leaves its keys with its data, so that later commands find them there.
        let own_keys = data.join("keys").is_dir();
        let base = if own_keys { data.as_path() } else { estate };
        let secrets = Secrets::in_directory(base.join("secrets"));
        Self {
            estate: estate.to_path_buf(),
            data,
            own_keys,
            secrets,
        }
    }

    /// What `secret:…` stands for, once the estate was read ([`read`], or [`Place::open`]).
    pub(crate) fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.data.join("admin.token")
    }

    /// Where a running server says how it is reached.
    pub(crate) fn server_file(&self) -> PathBuf {
        self.data.join("serve.json")
    }

    pub(crate) fn keys_dir(&self, estate: &Estate) -> Option<PathBuf> {
        match &estate.keys {
            _ if self.own_keys => Some(self.data.join("keys")),
            KeyPlace::File { path } => Some(estate.root.join(path)),
            KeyPlace::Env | KeyPlace::Vault { .. } => None,
        }
    }

    /// Where the master key and the key ring are.
    fn key_source(&self, estate: &Estate) -> anyhow::Result<KeySource> {
        Ok(match (self.keys_dir(estate), &estate.keys) {
            (Some(dir), _) => KeySource::file(&estate.name, &dir, &self.data)?,
            (None, KeyPlace::Vault { .. }) => KeySource {
                estate: estate.name.clone(),
                provider: Arc::new(self.transit(estate)?),
                store: KeyStore::in_directory(&self.data),
            },
            (None, _) => KeySource::env(&estate.name, &self.data)?,
        })
    }

    /// The key service that the estate names.
    pub(crate) fn transit(&self, estate: &Estate) -> anyhow::Result<TransitProvider> {
        let KeyPlace::Vault { mount, key } = &estate.keys else {
            bail!("this estate does not keep its master key in Vault");
        };
        let client = crate::sources::vault_client(&self.secrets, estate)?;
        Ok(TransitProvider::open(client, mount, key)?)
    }

    /// The vault of an estate, whether or not its journal is open elsewhere.
    pub(crate) fn vault(&self, estate: &Estate) -> anyhow::Result<Arc<Vault>> {
        Ok(Vault::open(self.key_source(estate)?, Arc::new(RealClock))?)
    }

    /// The keeper of the master key.
    pub(crate) fn key_provider(&self, estate: &Estate) -> anyhow::Result<Arc<dyn KeyProvider>> {
        Ok(self.key_source(estate)?.provider)
    }

    fn open_vault(
        &self,
        estate: &Estate,
        clock: &Arc<dyn Clock>,
        new: bool,
    ) -> anyhow::Result<Arc<Vault>> {
        // The first start of a new estate: nothing is sealed yet, so a new key loses nothing.
        // With data there, a missing key is a mistake and is reported.
        if new && let Some(dir) = self.keys_dir(estate) {
            let made = FileProvider::init(&dir).with_context(|| {
                format!("cannot make the first master key in {}", dir.display())
            })?;
            if made.created {
                tracing::info!(directory = %dir.display(), "made the first master key; back it up apart from the data");
            }
        }
        Ok(Vault::open(self.key_source(estate)?, Arc::clone(clock))?)
    }

    /// Opens journal and vault for a plan; waits so long for another process that has them.
    pub(crate) fn open(&self, plan: Arc<Plan>, patience: Duration) -> Result<Parts, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        if let StoreUrl::Postgres(_) = plan.estate.store {
            return Err(OpenError::Other(anyhow::anyhow!(
                "the estate asks for a PostgreSQL store, which this version does not have yet: use `store: sqlite`"
            )));
        }
        crate::sources::configure(&self.secrets, &plan.estate).map_err(OpenError::Other)?;
        make_private_dir(&self.data).map_err(OpenError::Other)?;
        let options = Options {
            patience,
            clock: Arc::clone(&clock),
            ..Options::default()
        };
        let journal = self.data.join("journal.db");
        let new = !journal.exists();
        // Keys first: a start that is cut short between the two leaves keys without a journal,
        // which is a new estate still, and not a journal without keys.
        let vault = self
            .open_vault(&plan.estate, &clock, new)
            .map_err(OpenError::Other)?;
        let store = SqliteStore::open(&journal, options)?;
        Ok(Parts {
            plan,
            store: store as Arc<dyn Store>,
            vault,
            secrets: self.secrets(),
            clock,
            room: Some(self.data.clone()),
        })
    }
}

/// Why journal and vault could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Other(anyhow::Error),
}

/// Makes a directory that only its owner can read.
pub(crate) fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))
}
