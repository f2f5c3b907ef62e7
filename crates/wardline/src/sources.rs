//! Where an estate's secrets come from, as it declares: age files and Vault.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_estate::model::{Estate, VaultLogin as Login};
use wardline_vault::{
    Identities, Secret, SecretPlaces, SecretRef, Secrets, VaultClient, VaultKv, VaultLogin,
    VaultSettings,
};

/// Holds an age identity itself; for containers whose platform injects secrets.
const IDENTITY: &str = "WARDLINE_AGE_IDENTITY";
/// Names a file of age identities.
const IDENTITY_FILE: &str = "WARDLINE_AGE_IDENTITY_FILE";
/// One file for many secrets, where the estate names none.
const BUNDLE: &str = "secrets.age";

/// Tells secrets where the estate says that they come from.
pub(crate) fn configure(secrets: &Secrets, estate: &Estate) -> anyhow::Result<()> {
    let declared = &estate.secrets;
    let places = SecretPlaces {
        age: age(estate),
        vault: None,
        overlap: Some(declared.overlap),
    };
    // What opens Vault is not in Vault.
    secrets.configure(places);
    if let Some(server) = &declared.vault {
        let kv = VaultKv::new(vault_client(secrets, estate)?, &server.mount, &server.path)
            .with_times(server.every, server.stale);
        secrets.configure(SecretPlaces {
            age: age(estate),
            vault: Some(kv),
            overlap: Some(declared.overlap),
        });
    }
    Ok(())
}

/// Who opens age files, and the one file for many.
fn age(estate: &Estate) -> Option<(Identities, PathBuf)> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let identities = match (set(IDENTITY), set(IDENTITY_FILE)) {
        (Some(text), _) => {
            use std::os::unix::ffi::OsStringExt as _;
            Identities::Text(Secret::new(text.into_vec()))
        }
        (None, Some(path)) => Identities::File(path.into()),
        (None, None) => Identities::File(identities_file(estate)?),
    };
    let bundle = estate.secrets.file.as_deref().unwrap_or(Path::new(BUNDLE));
    Some((identities, estate.root.join(bundle)))
}

/// The file of identities that the estate or the environment names.
pub(crate) fn identities_file(estate: &Estate) -> Option<PathBuf> {
    let set = std::env::var_os(IDENTITY_FILE).filter(|value| !value.is_empty());
    let declared = || Some(estate.root.join(estate.secrets.identities.as_ref()?));
    set.map(PathBuf::from).or_else(declared)
}

/// A client of the Vault that the estate names.
pub(crate) fn vault_client(secrets: &Secrets, estate: &Estate) -> anyhow::Result<Arc<VaultClient>> {
    let server = estate.secrets.vault.as_ref();
    let server = server.context("the estate names no Vault under `secrets`")?;
    let login = match server
        .login
        .as_ref()
        .context("`secrets.vault` has no login")?
    {
        Login::Token(secret) => VaultLogin::Token(reference(&secret.text)?),
        Login::AppRole {
            mount,
            role,
            secret,
        } => VaultLogin::AppRole {
            mount: mount.clone(),
            role: role.clone(),
            secret: reference(&secret.text)?,
        },
    };
    let settings = VaultSettings {
        address: server.address.value.clone(),
        namespace: server.namespace.clone(),
        ca: server.ca.as_ref().map(|file| estate.root.join(&file.path)),
        login,
    };
    Ok(Arc::new(VaultClient::new(settings, &secrets.local())?))
}

fn reference(text: &str) -> anyhow::Result<SecretRef> {
    Ok(text.parse()?)
}
