//! Directories of other machines, and what takes files out of them while credentials change.

use super::{WireError, Wiring, place};
use crate::renew::Renewals;
use arc_swap::ArcSwap;
use std::sync::Arc;
use wardline_connect::{ConnectError, Secret, files, ftps, s3, sftp, tls};
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

    /// How a machine is reached over FTP with TLS.
    fn ftps(
        &self,
        connection: &Connection,
        declared: &model::FtpsReach,
        directory: &str,
    ) -> Result<ftps::Place, WireError> {
        Ok(ftps::Place::new(ftps::ClientConfig {
            name: connection.reference.clone(),
            host: declared.host.value.clone(),
            port: declared.port,
            mode: if declared.implicit {
                ftps::Mode::Implicit
            } else {
                ftps::Mode::Explicit
            },
            user: declared.user.value.clone(),
            password: self.needed(declared.password.as_ref())?,
            directory: directory.to_owned(),
            tls: self.towards(declared.tls.as_ref())?,
            connect_timeout: declared.connect_timeout,
            timeout: declared.timeout,
        })?)
    }

    /// How a bucket is reached.
    fn s3(
        &self,
        connection: &Connection,
        declared: &model::S3Reach,
        directory: &str,
    ) -> Result<s3::Place, WireError> {
        Ok(s3::Place::new(&s3::ClientConfig {
            name: connection.reference.clone(),
            url: declared.url.value.clone(),
            bucket: declared.bucket.value.clone(),
            region: declared.region.clone(),
            style: if declared.in_path {
                s3::Style::Path
            } else {
                s3::Style::Host
            },
            key_id: self.needed(declared.key_id.as_ref())?,
            key: self.needed(declared.key.as_ref())?,
            directory: directory.to_owned(),
            tls: self.towards(declared.tls.as_ref())?,
            connect_timeout: declared.connect_timeout,
            timeout: declared.timeout,
        })?)
    }

    /// A secret that every estate which is sound has.
    fn needed(&self, reference: Option<&model::SecretRef>) -> Result<Secret, WireError> {
        reference.map_or_else(|| Ok(Secret::from("")), |one| self.secret(one))
    }

    fn towards(&self, declared: Option<&model::ClientTls>) -> Result<tls::ClientTls, WireError> {
        declared.map_or_else(|| Ok(tls::ClientTls::default()), |tls| self.client_tls(tls))
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
                Arc::new(sftp::Remote::of(self.sftp(connection, reach, declared)?))
            }
            Some(Reach::Ftps(reach)) => {
                Arc::new(ftps::Remote::of(self.ftps(connection, reach, declared)?))
            }
            Some(Reach::S3(reach)) => {
                Arc::new(s3::Remote::of(self.s3(connection, reach, declared)?))
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
        let directory = declared.directory.value.clone();
        let place: Arc<dyn files::Directory> = match declared.reach.as_deref() {
            None => Wiring::new(estate, self.secrets()).local(&directory),
            Some(Reach::Sftp(reach)) => {
                let (connection, reach) = (connection.clone(), reach.clone());
                let kept = self.kept(
                    estate,
                    &connection.reference.clone(),
                    move |wiring| wiring.sftp(&connection, &reach, &directory),
                    sftp::ClientConfig::without_credentials,
                )?;
                Arc::new(sftp::Remote::new(kept))
            }
            Some(Reach::Ftps(reach)) => {
                let (connection, reach) = (connection.clone(), reach.clone());
                let kept = self.kept(
                    estate,
                    &connection.reference.clone(),
                    move |wiring| wiring.ftps(&connection, &reach, &directory),
                    ftps::Place::without_credentials,
                )?;
                Arc::new(ftps::Remote::new(kept))
            }
            Some(Reach::S3(reach)) => {
                let (connection, reach) = (connection.clone(), reach.clone());
                let kept = self.kept(
                    estate,
                    &connection.reference.clone(),
                    move |wiring| wiring.s3(&connection, &reach, &directory),
                    s3::Place::without_credentials,
                )?;
                Arc::new(s3::Remote::new(kept))
            }
        };
        Ok(Wiring::watch(connection, declared, place))
    }

    /// What is made now, and again whenever a secret or file that it is made of changes. Where a secret
    /// may not be used any more, `withheld` takes its place.
    fn kept<T: Send + Sync + 'static>(
        &self,
        estate: &Arc<Estate>,
        connection: &str,
        make: impl Fn(&Wiring<'_>) -> Result<T, WireError> + Send + Sync + 'static,
        withheld: impl Fn(&T) -> T,
    ) -> Result<Arc<ArcSwap<T>>, WireError> {
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let wiring = Wiring::new(estate, self.secrets());
        let made = make(&wiring)?;
        let withheld = Arc::new(withheld(&made));
        let target = Arc::new(ArcSwap::from_pointee(made));
        let what = format!("connection {connection}");
        self.keep(what, &target, wiring.inputs(), Some(withheld), move || {
            let wiring = Wiring::new(&owned, &secrets);
            Ok((make(&wiring)?, wiring.inputs()))
        });
        Ok(target)
    }
}
