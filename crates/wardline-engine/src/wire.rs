//! From declared connections to live ones: secrets resolved, certificates read, listeners
//! bound, senders made.

mod brokers;
mod fhir_in;
mod fhir_out;
mod imaging;
mod partners;
mod remote;
mod renewing;
mod scim_in;
mod smtp;
mod soap_in;
mod sql;

pub(crate) use fhir_in::keeper;
pub(crate) use soap_in::{opened as soap_opened, said as soap_said};

use crate::plan::SoapAnswers;
use crate::renew::{Inputs, Renewals};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_connect::{
    ConnectError, ContentType, Failure, FailureKind, Outbound, Reply, Request, Secret, as2, dicom,
    fhir, files, http, mllp, null, scim, soap, tls,
};
use wardline_estate::model::{
    self, AckMode, Auth, ClientTls, Connection, ConnectionKind, Estate, FileRef, HeaderValue,
    Limits, SecretRef, ServerTls,
};
use wardline_soap::source::Directory;
use wardline_soap::wsdl::{Definitions, WsdlError};
use wardline_vault::{Secrets, VaultError};

/// Why the estate cannot be connected.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A listener or sender could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A secret is missing or unreadable.
    #[error(transparent)]
    Secret(#[from] VaultError),
    /// A header of a connection is not one.
    #[error(
        "connection {connection}: header `{header}` is not a valid HTTP header: check its name and value"
    )]
    Header {
        /// `system.connection`.
        connection: String,
        /// The header's name.
        header: String,
    },
    /// A connection is not there any more.
    #[error("connection {connection} is not there any more")]
    Gone {
        /// `system.connection`.
        connection: String,
    },
    /// The description of a service cannot be used any more.
    #[error("connection {connection}: {file} cannot be used: {error}")]
    Description {
        /// `system.connection`.
        connection: String,
        /// The file.
        file: String,
        /// Why.
        error: WsdlError,
    },
}

impl WireError {
    /// Whether the cause is a secret that may not be used any more.
    pub const fn is_withheld(&self) -> bool {
        matches!(self, Self::Secret(VaultError::SecretStale { .. }))
    }
}

/// From what an estate declares to what can be connected, secrets resolved and files read. It
/// remembers which, so that what was made can be made again when they change.
pub struct Wiring<'a> {
    /// The estate.
    pub estate: &'a Estate,
    /// What `secret:…` stands for.
    pub secrets: &'a Secrets,
    noted: Mutex<Inputs>,
}

/// Makes a sender to a url.
pub(crate) type MakeSender =
    Box<dyn Fn(&str) -> Result<Arc<dyn Outbound>, ConnectError> + Send + Sync>;

/// A bound listener of any protocol.
pub(crate) enum Listening {
    Mllp(mllp::Listener),
    Http(http::Ingress),
    Dicom(Box<dicom::Listener>),
    As2(Box<as2::Listener>),
}

impl<'a> Wiring<'a> {
    /// Of an estate and its secrets.
    pub fn new(estate: &'a Estate, secrets: &'a Secrets) -> Self {
        Self {
            estate,
            secrets,
            noted: Mutex::default(),
        }
    }
}

impl Wiring<'_> {
    /// What was asked for so far.
    pub fn inputs(&self) -> Inputs {
        self.noted.lock().clone()
    }

    /// What a reference stands for now.
    ///
    /// # Errors
    /// [`WireError::Secret`] where it is missing or unreadable.
    pub fn secret(&self, reference: &SecretRef) -> Result<Secret, WireError> {
        let reference: wardline_vault::SecretRef = reference.text.parse()?;
        self.noted.lock().note_secret(&reference);
        Ok(Secret::new(self.secrets.present(&reference)?.expose()))
    }

    /// What a caller may show for a reference: what it stands for now, and for a while what it
    /// did before.
    fn accepted(&self, reference: &SecretRef) -> Result<Vec<Secret>, WireError> {
        let reference: wardline_vault::SecretRef = reference.text.parse()?;
        self.noted.lock().note_secret(&reference);
        let all = self.secrets.accepted(&reference)?;
        Ok(all.iter().map(|one| Secret::new(one.expose())).collect())
    }

    fn all_accepted(&self, references: &[SecretRef]) -> Result<Vec<Secret>, WireError> {
        let mut all = Vec::new();
        for reference in references {
            all.extend(self.accepted(reference)?);
        }
        Ok(all)
    }

    fn pem(&self, file: &FileRef) -> tls::Pem {
        let path = self.estate.root.join(&file.path);
        self.noted.lock().note_file(&path);
        tls::Pem::File(path)
    }

    fn secrets(&self, references: &[SecretRef]) -> Result<Vec<Secret>, WireError> {
        references
            .iter()
            .map(|reference| self.secret(reference))
            .collect()
    }

    fn hmac(
        &self,
        connection: &Connection,
        declared: &model::VendorHmac,
    ) -> Result<http::VendorHmac, WireError> {
        let header = |text: &str| {
            text.parse().map_err(|_| WireError::Header {
                connection: connection.reference.clone(),
                header: text.to_owned(),
            })
        };
        let algorithm = match declared.algorithm.as_str() {
            "sha512" => http::HmacAlgorithm::Sha512,
            "sha1" => http::HmacAlgorithm::Sha1,
            _ => http::HmacAlgorithm::Sha256,
        };
        let keys = self.all_accepted(&declared.secrets)?;
        let name = header(&declared.header)?;
        let mut made = http::VendorHmac::new(&connection.reference, name, algorithm, &keys)?;
        if declared.encoding == "base64" {
            made.encoding = http::HmacEncoding::Base64;
        }
        made.prefix.clone_from(&declared.prefix);
        let fields = declared.fields.as_ref();
        made.member = fields.map(|fields| fields.signature.clone());
        let member = fields.and_then(|fields| fields.timestamp.clone());
        let place = match (&declared.timestamp, member) {
            (Some(name), _) => Some(http::HmacPlace::Header(header(name)?)),
            (None, Some(name)) => Some(http::HmacPlace::Member(name)),
            (None, None) => None,
        };
        made.time = place.map(|place| http::HmacTime {
            place,
            tolerance: declared.tolerance,
        });
        // The loader has checked the template.
        made.signs = declared.signs.as_deref().and_then(http::Signs::template);
        Ok(made)
    }

    /// TLS of a listener.
    ///
    /// # Errors
    /// As [`Wiring::secret`].
    pub fn server_tls(&self, declared: &ServerTls) -> Result<tls::ServerTls, WireError> {
        Ok(tls::ServerTls {
            identity: tls::Identity {
                cert: self.pem(&declared.cert),
                key: tls::Pem::Text(self.secret(&declared.key)?),
            },
            client_ca: declared.client_ca.as_ref().map(|file| self.pem(file)),
            crl: declared.crl.as_ref().map(|file| self.pem(file)),
        })
    }

    /// TLS of a connection to a system.
    ///
    /// # Errors
    /// As [`Wiring::secret`].
    pub fn client_tls(&self, declared: &ClientTls) -> Result<tls::ClientTls, WireError> {
        let identity = match (&declared.cert, &declared.key) {
            (Some(cert), Some(key)) => Some(tls::Identity {
                cert: self.pem(cert),
                key: tls::Pem::Text(self.secret(key)?),
            }),
            _ => None,
        };
        Ok(tls::ClientTls {
            ca: declared.ca.as_ref().map(|file| self.pem(file)),
            identity,
            server_name: declared.server_name.clone(),
        })
    }

    /// What an MLLP listener is bound with.
    pub(crate) fn mllp(
        &self,
        connection: &Connection,
        declared: &model::MllpListen,
    ) -> Result<mllp::InboundConfig, WireError> {
        let mut config = mllp::InboundConfig::new(
            connection.reference.as_str(),
            declared.bind.value.to_string(),
        );
        config.tls = declared
            .tls
            .as_ref()
            .map(|tls| self.server_tls(tls))
            .transpose()?;
        config.ack_mode = match declared.ack.mode {
            AckMode::Auto => mllp::AckMode::Auto,
            AckMode::Original => mllp::AckMode::Original,
            AckMode::Enhanced => mllp::AckMode::Enhanced,
        };
        config.max_size = usize::try_from(declared.max_size).unwrap_or(usize::MAX);
        config.in_flight_bytes = config.in_flight_bytes.max(config.max_size);
        config.max_connections = declared.max_connections as usize;
        config.idle_timeout = declared.idle_timeout;
        config.allow = declared.allow.iter().filter_map(network).collect();
        Ok(config)
    }

    /// What an HTTP listener with these routes is bound with. What its routes' senders must show
    /// is kept in step with its secrets from now on.
    pub(crate) fn ingress(
        &self,
        estate: &Arc<Estate>,
        renewals: &Renewals,
        listener: &model::Listener,
        receivers: &[(&Connection, &model::HttpIn)],
        answers: &SoapAnswers,
    ) -> Result<http::IngressConfig, WireError> {
        let mut routes = Vec::new();
        for (connection, declared) in receivers {
            let own = Wiring::new(self.estate, self.secrets);
            let mut route = own.route(connection, declared)?;
            renewals.inbound_auth(estate, connection, &route.auth, own.inputs());
            if let ConnectionKind::SoapIn(soap) = &connection.kind {
                let none = BTreeMap::new();
                let answers = answers.get(&*connection.reference).unwrap_or(&none);
                let secured = listener.tls.is_some();
                let endpoint =
                    self.endpoint(estate, renewals, connection, soap, answers, secured)?;
                route.soap = Some(Arc::new(endpoint));
                let mut description = route.clone();
                description.method = http::Method::GET;
                routes.push(description);
            }
            if let ConnectionKind::ScimIn(scim) = &connection.kind {
                let secured = listener.tls.is_some();
                routes.extend(route.scim(&Arc::new(scim_in::endpoint(scim, secured))));
                continue;
            }
            if let ConnectionKind::FhirIn(fhir) = &connection.kind {
                let secured = listener.tls.is_some();
                let own = &connection.reference;
                let endpoint = fhir_in::endpoint(estate, own, fhir, secured);
                routes.extend(route.fhir(&Arc::new(endpoint)));
                continue;
            }
            routes.push(route);
        }
        let bind = listener.bind.value.to_string();
        let mut config = http::IngressConfig::new(listener.name.as_str(), bind, routes);
        config.tls = listener
            .tls
            .as_ref()
            .map(|tls| self.server_tls(tls))
            .transpose()?;
        Ok(config)
    }

    /// How senders of an inbound connection prove who they are.
    fn inbound_auth(
        &self,
        connection: &Connection,
        declared: &model::HttpIn,
    ) -> Result<http::InboundAuth, WireError> {
        Ok(match &declared.auth {
            Auth::None => http::InboundAuth::None,
            Auth::Basic(secret) => http::InboundAuth::Basic(self.accepted(secret)?.into()),
            Auth::Bearer(secret) => http::InboundAuth::Bearer(self.accepted(secret)?.into()),
            Auth::Webhook(secrets) => {
                let keys = self.all_accepted(secrets)?;
                http::InboundAuth::Webhook(http::WebhookKeys::new(&connection.reference, &keys)?)
            }
            Auth::SignedBy(public) => {
                let keys: Vec<Secret> = public
                    .iter()
                    .map(|key| Secret::from(key.value.as_str()))
                    .collect();
                http::InboundAuth::Webhook(http::WebhookKeys::new(&connection.reference, &keys)?)
            }
            Auth::Hmac(declared) => http::InboundAuth::Hmac(self.hmac(connection, declared)?),
            Auth::Header { name, .. } => {
                return Err(WireError::Header {
                    connection: connection.reference.clone(),
                    header: name.clone(),
                });
            }
        })
    }

    fn route(
        &self,
        connection: &Connection,
        declared: &model::HttpIn,
    ) -> Result<http::Route, WireError> {
        let auth = self.inbound_auth(connection, declared)?;
        let mut route = http::Route::post(
            connection.reference.as_str(),
            declared.path.value.as_str(),
            auth,
        );
        route.method = method(declared.method);
        route.status =
            http::StatusCode::from_u16(declared.ack.status).unwrap_or(http::StatusCode::ACCEPTED);
        route.max_body = usize::try_from(declared.max_size).unwrap_or(usize::MAX);
        Ok(route)
    }

    /// What takes files of an inbound connection; it looks at nothing yet.
    fn watch(
        connection: &Connection,
        declared: &model::FilesIn,
        directory: Arc<dyn files::Directory>,
    ) -> files::Watch {
        let (below, pattern) = place(&declared.poll.value);
        let layout = declared
            .layout
            .as_ref()
            .map(|layout| Arc::clone(&layout.plan));
        let split = match (declared.records, layout) {
            (true, Some(layout)) => files::Split::Records(layout),
            (_, layout) => files::Split::Whole {
                layout,
                content_type: match declared.content {
                    model::FileContent::Text => ContentType::Text,
                    model::FileContent::Json => ContentType::Json,
                    model::FileContent::Xml => ContentType::Xml,
                    model::FileContent::Hl7 => ContentType::Hl7,
                    model::FileContent::X12 => ContentType::Other("application/edi-x12".into()),
                    model::FileContent::Binary => ContentType::Binary,
                },
                max_size: declared.max_size,
            },
        };
        let config = files::WatchConfig {
            source: connection.reference.as_str().into(),
            below: below.to_owned(),
            pattern: pattern.to_owned(),
            every: declared.every,
            stable: declared.stable,
            marker: declared.marker.clone(),
            then: match declared.then {
                model::AfterTaking::Archive => files::Then::Archive,
                model::AfterTaking::Delete => files::Then::Delete,
            },
            split,
        };
        files::Watch::new(directory, config)
    }

    /// Makes the sender of an outbound connection.
    fn outbound(&self, connection: &Connection) -> Result<Option<Arc<dyn Outbound>>, WireError> {
        let mut all: Vec<Arc<dyn Outbound>> = Vec::new();
        match &connection.kind {
            ConnectionKind::Null => all.push(Arc::new(null::Outbound::new())),
            ConnectionKind::MllpConnect(declared) => {
                for address in std::iter::once(&declared.address).chain(&connection.failover) {
                    let mut config = mllp::OutboundConfig::new(
                        connection.reference.as_str(),
                        address.value.as_str(),
                    );
                    config.ack_timeout = declared.ack_timeout;
                    config.connect_timeout = declared.connect_timeout;
                    config.sessions = sessions(connection.limits);
                    config.reuse = declared.reuse;
                    config.tls = declared
                        .tls
                        .as_ref()
                        .map(|tls| self.client_tls(tls))
                        .transpose()?;
                    all.push(Arc::new(mllp::Outbound::new(config)?));
                }
            }
            ConnectionKind::HttpOut(declared) => {
                for url in std::iter::once(&declared.url).chain(&connection.failover) {
                    let config = self.http_config(connection, declared, &url.value)?;
                    all.push(Arc::new(http::Outbound::new(config)?));
                }
            }
            ConnectionKind::SoapOut(declared) => {
                let definitions = Arc::new(self.definitions(connection, &declared.wsdl)?);
                for url in std::iter::once(&declared.http.url).chain(&connection.failover) {
                    let config =
                        self.soap_config(connection, declared, &definitions, &url.value)?;
                    all.push(Arc::new(soap::Outbound::new(config)?));
                }
            }
            ConnectionKind::FhirOut(declared) => {
                for url in std::iter::once(&declared.http.url).chain(&connection.failover) {
                    let config = self.fhir_config(connection, declared, &url.value)?;
                    all.push(Arc::new(fhir::Outbound::new(config)?));
                }
            }
            ConnectionKind::FilesOut(declared) => {
                all.push(Arc::new(self.files_out(connection, declared)?));
            }
            ConnectionKind::As2Out(declared) => {
                self.as2_senders(connection, declared, &mut all)?;
            }
            ConnectionKind::DicomOut(declared) => {
                self.dicom_senders(connection, declared, &mut all)?;
            }
            ConnectionKind::DicomWeb(declared) => {
                self.dicom_web(connection, declared, &mut all)?;
            }
            ConnectionKind::DicomEntries(declared) => {
                all.push(self.dicom_entries(connection, declared));
            }
            ConnectionKind::BrokerOut(declared) => {
                all.push(self.publisher(connection, declared)?);
            }
            ConnectionKind::ScimOut(declared) => {
                for url in std::iter::once(&declared.url).chain(&connection.failover) {
                    let http = self.http_config(connection, declared, &url.value)?;
                    all.push(Arc::new(scim::Outbound::new(scim::OutboundConfig {
                        http,
                    })?));
                }
            }
            ConnectionKind::SmtpOut(declared) => all.push(self.smtp_out(connection, declared)?),
            ConnectionKind::SqlOut(declared) => all.push(self.sql_out(connection, declared)?),
            ConnectionKind::MllpListen(_)
            | ConnectionKind::HttpIn(_)
            | ConnectionKind::SoapIn(_)
            | ConnectionKind::ScimIn(_)
            | ConnectionKind::FhirIn(_)
            // Made where what it keeps is known.
            | ConnectionKind::FhirKept(_)
            | ConnectionKind::FilesIn(_)
            | ConnectionKind::DicomIn(_)
            | ConnectionKind::As2In(_)
            | ConnectionKind::BrokerIn(_)
            | ConnectionKind::SqlIn(_) => return Ok(None),
        }
        Ok(if all.len() == 1 {
            all.pop()
        } else {
            Some(Arc::new(Failover(all)))
        })
    }

    fn http_config(
        &self,
        connection: &Connection,
        declared: &model::HttpOut,
        url: &str,
    ) -> Result<http::OutboundConfig, WireError> {
        let mut config = http::OutboundConfig::new(connection.reference.as_str(), url);
        config.timeout = declared.timeout;
        config.connect_timeout = declared.connect_timeout;
        config.auth = self.outbound_auth(connection, &declared.auth)?;
        config.headers = self.headers(connection, &declared.headers)?;
        if let Some(tls) = &declared.tls {
            config.tls = self.client_tls(tls)?;
        }
        if let Some(webhook) = &declared.webhook {
            // Receivers that know only the value before verify by its signature.
            let mut keys = self.accepted(&webhook.secret)?;
            keys.extend(self.secrets(&webhook.previous)?);
            let signer = http::WebhookSigner::new(&connection.reference, &keys)?;
            config.webhook = Some(Arc::new(signer));
        }
        if declared.public_only {
            config.reach = http::Reach::Public;
        }
        Ok(config)
    }

    /// What speaks to a SOAP service, for whoever sends by connections of its own.
    ///
    /// # Errors
    /// As [`Wiring::secret`], or where the description cannot be used.
    pub fn soap(
        &self,
        connection: &Connection,
        declared: &model::SoapOut,
    ) -> Result<soap::Outbound, WireError> {
        let definitions = Arc::new(self.definitions(connection, &declared.wsdl)?);
        let url = &declared.http.url.value;
        let config = self.soap_config(connection, declared, &definitions, url)?;
        Ok(soap::Outbound::new(config)?)
    }

    /// The description of a service, with all that it imports.
    fn definitions(
        &self,
        connection: &Connection,
        wsdl: &FileRef,
    ) -> Result<Definitions, WireError> {
        let source = Directory::new(&self.estate.root);
        let read = Definitions::read(&source, &wsdl.path.to_string_lossy()).map_err(|error| {
            WireError::Description {
                connection: connection.reference.clone(),
                file: wsdl.path.display().to_string(),
                error,
            }
        })?;
        let mut noted = self.noted.lock();
        for file in &read.files {
            noted.note_file(&self.estate.root.join(file));
        }
        drop(noted);
        Ok(read)
    }

    fn soap_config(
        &self,
        connection: &Connection,
        declared: &model::SoapOut,
        definitions: &Arc<Definitions>,
        url: &str,
    ) -> Result<soap::OutboundConfig, WireError> {
        let security = declared.security.as_ref();
        let user = security.and_then(|security| {
            let secret = security.username.as_ref()?;
            Some((secret, security.plain))
        });
        let user = user
            .map(|(secret, plain)| {
                let credential = self.secret(secret)?;
                Ok::<_, WireError>(soap::UserToken { credential, plain })
            })
            .transpose()?;
        let signs = security.and_then(|security| security.cert.as_ref().zip(security.key.as_ref()));
        let sign = signs
            .map(|(cert, key)| {
                Ok::<_, WireError>(soap::Identity {
                    certificate: self.pem(cert),
                    key: self.secret(key)?,
                })
            })
            .transpose()?;
        Ok(soap::OutboundConfig {
            http: self.http_config(connection, &declared.http, url)?,
            definitions: Arc::clone(definitions),
            service: declared.service.as_ref().map(|name| name.value.clone()),
            port: declared.port.as_ref().map(|name| name.value.clone()),
            user,
            sign,
            good_for: security.and_then(|security| security.good_for),
            mtom: declared.mtom,
        })
    }

    /// Makes what makes the sender to a client's endpoint, wherever that is, and says by which
    /// public keys its signatures are verified. `name` is the destination's.
    pub(crate) fn client_webhook(
        &self,
        name: &str,
        declared: &model::ClientWebhook,
    ) -> Result<(MakeSender, Vec<String>), WireError> {
        let mut config = http::OutboundConfig::new(name, "");
        config.timeout = declared.timeout;
        config.idle_connections = declared.concurrent as usize;
        // An answer is for people to look at, whoever sends it.
        config.max_response = 64 << 10;
        if let Some(tls) = &declared.tls {
            config.tls = self.client_tls(tls)?;
        }
        let mut keys = vec![self.secret(&declared.secret)?];
        keys.extend(self.secrets(&declared.previous)?);
        let signer = http::WebhookSigner::new(name, &keys)?;
        let public = signer.public_keys();
        config.webhook = Some(Arc::new(signer));
        if declared.public_only {
            config.reach = http::Reach::Public;
        }
        let make = move |url: &str| {
            let mut config = config.clone();
            url.clone_into(&mut config.url);
            Ok(Arc::new(http::Outbound::new(config)?) as Arc<dyn Outbound>)
        };
        Ok((Box::new(make), public))
    }

    fn outbound_auth(
        &self,
        connection: &Connection,
        auth: &Auth,
    ) -> Result<http::OutboundAuth, WireError> {
        Ok(match auth {
            Auth::None | Auth::Webhook(_) | Auth::SignedBy(_) | Auth::Hmac(_) => {
                http::OutboundAuth::None
            }
            Auth::Basic(secret) => http::OutboundAuth::Basic(self.secret(secret)?),
            Auth::Bearer(secret) => http::OutboundAuth::Bearer(self.secret(secret)?),
            Auth::Header { name, value } => {
                let parsed = name.parse().map_err(|_| WireError::Header {
                    connection: connection.reference.clone(),
                    header: name.clone(),
                })?;
                http::OutboundAuth::Header(parsed, self.secret(value)?)
            }
        })
    }

    /// All headers that an HTTP connection sends with each request, credentials included.
    ///
    /// # Errors
    /// [`WireError::Header`] where one is no header, or as [`Wiring::secret`].
    pub fn request_headers(
        &self,
        connection: &Connection,
        declared: &model::HttpOut,
    ) -> Result<::http::HeaderMap, WireError> {
        let mut headers = self.headers(connection, &declared.headers)?;
        let auth = self.outbound_auth(connection, &declared.auth)?;
        let credentials = auth.header().map_err(|_| WireError::Header {
            connection: connection.reference.clone(),
            header: "authorization".into(),
        })?;
        if let Some((name, value)) = credentials {
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn headers(
        &self,
        connection: &Connection,
        declared: &[(String, HeaderValue)],
    ) -> Result<::http::HeaderMap, WireError> {
        let mut headers = ::http::HeaderMap::new();
        for (name, value) in declared {
            let bad = || WireError::Header {
                connection: connection.reference.clone(),
                header: name.clone(),
            };
            let parsed: ::http::HeaderName = name.parse().map_err(|_| bad())?;
            let value = match value {
                HeaderValue::Plain(text) => {
                    ::http::HeaderValue::from_str(text).map_err(|_| bad())?
                }
                HeaderValue::Secret(secret) => {
                    let mut value = ::http::HeaderValue::from_bytes(self.secret(secret)?.expose())
                        .map_err(|_| bad())?;
                    value.set_sensitive(true);
                    value
                }
            };
            headers.append(parsed, value);
        }
        Ok(headers)
    }
}

/// MLLP sessions: as many as may be used at once, one where nothing is declared, because
/// most receivers allow one.
fn sessions(limits: Limits) -> usize {
    limits.concurrent.clamp(1, 64) as usize
}

pub(crate) fn method(declared: model::Method) -> http::Method {
    match declared {
        model::Method::Get => http::Method::GET,
        model::Method::Post => http::Method::POST,
        model::Method::Put => http::Method::PUT,
        model::Method::Patch => http::Method::PATCH,
        model::Method::Delete => http::Method::DELETE,
    }
}

fn network(declared: &model::Network) -> Option<wardline_connect::Network> {
    format!("{}/{}", declared.address, declared.prefix)
        .parse()
        .ok()
}

/// Several addresses of one system: the next is tried when the payload never left for the
/// one before. Anything else could send it twice.
struct Failover(Vec<Arc<dyn Outbound>>);

#[async_trait]
impl Outbound for Failover {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let mut last = None;
        for one in &self.0 {
            match one.send(request.clone()).await {
                Err(failure) if failure.kind == FailureKind::Unreachable => last = Some(failure),
                ended => return ended,
            }
        }
        Err(last.unwrap_or_else(|| {
            Failure::new(
                FailureKind::Unreachable,
                crate::codes::NOT_FOUND,
                "the connection has no address",
            )
        }))
    }

    fn describe(&self) -> String {
        self.0
            .iter()
            .map(|one| one.describe())
            .collect::<Vec<_>>()
            .join(", else ")
    }
}

/// A directory and a name in it.
fn place(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or(("", path))
}
