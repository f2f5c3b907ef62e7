//! Directories of other machines, and what takes files out of them while credentials change.

use super::{WireError, Wiring, place};
use crate::renew::{Inputs, Renewals};
use arc_swap::ArcSwap;
use std::sync::Arc;
use wardline_connect::{ConnectError, files, sftp};
use wardline_estate::model::{self, Connection, Estate, Reach};

impl Wiring<'_> {
    /// How a machine is reached over SFTP; secrets and certificate are read now.
    fn sftp(
        &self,
        connection: &Connection,
        declared: &model::SftpReach,
        directory: &str,
    ) -> Result<sftp::ClientConfig, WireError> {
        let secret = |reference: &Option<model::SecretRef>| {
            reference.as_ref().map(|one| self.secret(one)).transpose()
        };
        let certificate = match &declared.certificate {
            Some(file) => {
                let path = self.estate.root.join(&file.path);
                self.noted.lock().note_file(&path);
                let text =
                    std::fs::read_to_string(&path).map_err(|source| ConnectError::ReadPem {
                        what: "a certificate of SSH",
                        path,
                        source,
                    })?;
                Some(text)
            }
            None => None,
        };
        let (key, passphrase) = (secret(&declared.key)?, secret(&declared.passphrase)?);
        let password = secret(&declared.password)?;
        let host_keys = declared.host_keys.iter().map(|text| {
            text.value.parse().map_err(|error: sftp::NoHostKey| {
                WireError::from(ConnectError::BadSetting {
                    name: connection.reference.clone(),
                    what: "host_key",
                    value: text.value.clone(),
                    detail: error.to_string(),
                })
            })
        });
        Ok(sftp::ClientConfig {
            host: declared.host.value.clone(),
            port: declared.port,
            user: declared.user.value.clone(),
            host_keys: host_keys.collect::<Result<_, _>>()?,
            credentials: sftp::Credentials::read(&sftp::Written {
                key: key.as_ref(),
                passphrase: passphrase.as_ref(),
                certificate: certificate.as_deref(),
                password: password.as_ref(),
            })?,
            directory: directory.to_owned(),
            connect_timeout: declared.connect_timeout,
            timeout: declared.timeout,
        })
    }

    /// A directory of this machine that the estate names.
    pub(super) fn local(&self, declared: &str) -> Arc<dyn files::Directory> {
        Arc::new(files::Local::new(self.estate.root.join(declared)))
    }

    /// A directory that the estate names, on this machine or on another.
    pub(super) fn directory(
        &self,
        connection: &Connection,
        reach: Option<&Reach>,
        declared: &str,
    ) -> Result<Arc<dyn files::Directory>, WireError> {
        Ok(match reach {
            None => self.local(declared),
            Some(Reach::Sftp(reach)) => {
                let config = self.sftp(connection, reach, declared)?;
                Arc::new(sftp::Remote::of(config))
            }
        })
    }

    /// The sender of a connection that writes files.
    pub(super) fn files_out(
        &self,
        connection: &Connection,
        declared: &model::FilesOut,
    ) -> Result<files::Outbound, WireError> {
        let (below, name) = place(&declared.write.value);
        let config = files::OutboundConfig {
            below: below.to_owned(),
            name: name.to_owned(),
            max_size: usize::try_from(declared.max_size).unwrap_or(usize::MAX),
        };
        let reach = declared.reach.as_deref();
        let directory = self.directory(connection, reach, &declared.directory.value)?;
        Ok(files::Outbound::new(directory, config))
    }
}

impl Renewals {
    /// What takes files of an inbound connection; it looks at nothing yet. A key or password that
    /// changes later is used from the next look on.
    pub(crate) fn watch(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
        declared: &model::FilesIn,
    ) -> Result<files::Watch, WireError> {
        let wiring = Wiring::new(estate, self.secrets());
        let directory = &declared.directory.value;
        let place: Arc<dyn files::Directory> = match declared.reach.as_deref() {
            None => wiring.directory(connection, None, directory)?,
            Some(Reach::Sftp(reach)) => {
                let config = wiring.sftp(connection, reach, directory)?;
                let config = Arc::new(ArcSwap::from_pointee(config));
                self.keep_sftp(
                    estate,
                    connection,
                    declared,
                    reach,
                    &config,
                    wiring.inputs(),
                );
                Arc::new(sftp::Remote::new(config))
            }
        };
        Ok(Wiring::watch(connection, declared, place))
    }

    fn keep_sftp(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
        declared: &model::FilesIn,
        reach: &model::SftpReach,
        config: &Arc<ArcSwap<sftp::ClientConfig>>,
        inputs: Inputs,
    ) {
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let (connection, reach) = (connection.clone(), reach.clone());
        let directory = declared.directory.value.clone();
        let mut withheld = sftp::ClientConfig::clone(&config.load());
        withheld.credentials = sftp::Credentials::default();
        let what = format!("connection {}", connection.reference);
        self.keep(what, config, inputs, Some(Arc::new(withheld)), move || {
            let wiring = Wiring::new(&owned, &secrets);
            let made = wiring.sftp(&connection, &reach, &directory)?;
            Ok((made, wiring.inputs()))
        });
    }
}
