//! Connections: how a system is reached, and how hard it may be pushed.

use super::{
    As2In, As2Out, BrokerIn, BrokerOut, DicomEntries, DicomIn, DicomOut, DicomWeb, FhirIn,
    FhirKept, FileRef, Reach, ScimIn, SecretRef, SmtpOut, SoapIn, SqlIn, SqlOut, X12Duties,
};
use crate::source::{Span, Spanned};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Sensitivity;

/// One way in or out of a system.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name within the system.
    pub name: String,
    /// `system.connection`.
    pub reference: String,
    /// Where its name stands.
    pub at: Span,
    /// The protocol and its settings.
    pub kind: ConnectionKind,
    /// How hard the other side may be pushed; shared by all flows that use the connection.
    pub limits: Limits,
    /// When to stop trying for a while.
    pub breaker: Breaker,
    /// Addresses or URLs to try when the first cannot be reached, in this order.
    pub failover: Vec<Spanned<String>>,
    /// How it is found out whether the other side is well; HTTP services only.
    pub health: Option<Health>,
    /// When a slow read is asked a second time; HTTP services only.
    pub hedge: Option<Hedge>,
    /// How duplicates of inbound messages are recognised.
    pub duplicate: Option<Duplicate>,
    /// What partners who exchange X12 owe each other.
    pub x12: Option<X12Duties>,
    /// Fields by which people search for inbound messages.
    pub keys: Vec<KeyField>,
    /// The class of what passes through.
    pub sensitivity: Sensitivity,
    /// The site it belongs to.
    pub facility: Option<String>,
}

/// Which way messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards Wardline.
    In,
    /// Away from Wardline.
    Out,
}

/// The protocol of a connection.
#[derive(Clone, Debug)]
pub enum ConnectionKind {
    /// HL7 v2 over MLLP, Wardline listens.
    MllpListen(MllpListen),
    /// HL7 v2 over MLLP, Wardline connects.
    MllpConnect(MllpConnect),
    /// A path on one of the estate's listeners.
    HttpIn(HttpIn),
    /// Requests to an HTTP service.
    HttpOut(HttpOut),
    /// A path that is a SOAP service.
    SoapIn(Box<SoapIn>),
    /// Operations of a SOAP service.
    SoapOut(Box<SoapOut>),
    /// Resources to a FHIR server.
    FhirOut(Box<FhirOut>),
    /// A path below which others read, search and change resources of FHIR.
    FhirIn(Box<FhirIn>),
    /// Resources are kept for a FHIR service of ours.
    FhirKept(FhirKept),
    /// Files of a directory are taken, of this machine or of another.
    FilesIn(FilesIn),
    /// Files are written into a directory, of this machine or of another.
    FilesOut(FilesOut),
    /// Messages of an AS2 partner, Wardline listens.
    As2In(Box<As2In>),
    /// Payloads sent to an AS2 partner.
    As2Out(Box<As2Out>),
    /// Objects, queries and steps of DICOM peers, Wardline listens.
    DicomIn(Box<DicomIn>),
    /// Objects sent to a DICOM peer.
    DicomOut(Box<DicomOut>),
    /// Objects sent to a DICOMweb server.
    DicomWeb(Box<DicomWeb>),
    /// Entries of a modality worklist.
    DicomEntries(DicomEntries),
    /// Messages of a broker are taken.
    BrokerIn(Box<BrokerIn>),
    /// Messages are published to a broker.
    BrokerOut(Box<BrokerOut>),
    /// Rows of a database are taken.
    SqlIn(Box<SqlIn>),
    /// Statements are run on a database.
    SqlOut(Box<SqlOut>),
    /// A path below which others keep people and groups.
    ScimIn(Box<ScimIn>),
    /// People and groups are kept at a SCIM service.
    ScimOut(Box<HttpOut>),
    /// Mail is sent.
    SmtpOut(Box<SmtpOut>),
    /// Accepts everything and keeps nothing; for benches and tests.
    Null,
}

impl ConnectionKind {
    /// Which way messages travel.
    pub const fn direction(&self) -> Direction {
        match self {
            Self::MllpListen(_)
            | Self::HttpIn(_)
            | Self::As2In(_)
            | Self::SoapIn(_)
            | Self::ScimIn(_)
            | Self::FhirIn(_)
            | Self::FilesIn(_)
            | Self::DicomIn(_)
            | Self::BrokerIn(_)
            | Self::SqlIn(_) => Direction::In,
            Self::MllpConnect(_)
            | Self::HttpOut(_)
            | Self::SoapOut(_)
            | Self::FhirOut(_)
            | Self::FhirKept(_)
            | Self::FilesOut(_)
            | Self::DicomOut(_)
            | Self::As2Out(_)
            | Self::DicomWeb(_)
            | Self::DicomEntries(_)
            | Self::BrokerOut(_)
            | Self::SqlOut(_)
            | Self::SmtpOut(_)
            | Self::ScimOut(_)
            | Self::Null => Direction::Out,
        }
    }

    /// The path on a listener that it receives at, where it does.
    pub fn receives_at(&self) -> Option<&HttpIn> {
        match self {
            Self::HttpIn(http) => Some(http),
            Self::SoapIn(soap) => Some(&soap.http),
            Self::ScimIn(scim) => Some(&scim.http),
            Self::FhirIn(fhir) => Some(&fhir.http),
            _ => None,
        }
    }

    /// The key that declares it: `mllp`, `http`, `soap`, `files`, `sql`, `nats` …
    pub fn word(&self) -> &'static str {
        match self {
            Self::MllpListen(_) | Self::MllpConnect(_) => "mllp",
            Self::HttpIn(_) | Self::HttpOut(_) => "http",
            Self::SoapIn(_) | Self::SoapOut(_) => "soap",
            Self::FilesIn(FilesIn { reach, .. }) | Self::FilesOut(FilesOut { reach, .. }) => {
                reach.as_ref().map_or("files", |reach| reach.word())
            }
            Self::DicomIn(_) | Self::DicomOut(_) | Self::DicomWeb(_) | Self::DicomEntries(_) => {
                "dicom"
            }
            Self::BrokerIn(taken) => taken.word(),
            Self::BrokerOut(published) => published.word(),
            Self::SqlIn(_) | Self::SqlOut(_) => "sql",
            Self::SmtpOut(_) => "smtp",
            Self::ScimIn(_) | Self::ScimOut(_) => "scim",
            Self::FhirIn(_) | Self::FhirKept(_) | Self::FhirOut(_) => "fhir",
            Self::As2In(_) | Self::As2Out(_) => "as2",
            Self::Null => "null",
        }
    }
}

/// An MLLP port that Wardline listens on.
#[derive(Clone, Debug)]
pub struct MllpListen {
    /// The local address.
    pub bind: Spanned<SocketAddr>,
    /// The charset of messages.
    pub charset: Charset,
    /// How messages are acknowledged.
    pub ack: AckPolicy,
    /// TLS, if the port speaks it.
    pub tls: Option<ServerTls>,
    /// Largest message taken, in bytes.
    pub max_size: u64,
    /// A connection that is silent for so long is closed.
    pub idle_timeout: Duration,
    /// Networks that may connect; empty means all.
    pub allow: Vec<Network>,
    /// Most connections at a time.
    pub max_connections: u32,
}

/// An MLLP port that Wardline connects to.
#[derive(Clone, Debug)]
pub struct MllpConnect {
    /// `host:port`.
    pub address: Spanned<String>,
    /// How long to wait for an acknowledgement.
    pub ack_timeout: Duration,
    /// How long to wait for the connection.
    pub connect_timeout: Duration,
    /// Whether a connection carries message after message; else one each.
    pub reuse: bool,
    /// TLS, if the other side wants it.
    pub tls: Option<ClientTls>,
}

/// A directory of which files are taken.
#[derive(Clone, Debug)]
pub struct FilesIn {
    /// How its machine is reached; `None` for this one.
    pub reach: Option<Box<Reach>>,
    /// Where it is; relative to the estate, or to where one is on another machine.
    pub directory: Spanned<String>,
    /// Which files: at most one directory, and a name in which `*` and `?` stand for others.
    pub poll: Spanned<String>,
    /// How often it is looked at.
    pub every: Duration,
    /// How long a file must rest before it is taken.
    pub stable: Duration,
    /// The ending of the file that says that another is whole.
    pub marker: Option<String>,
    /// What becomes of a file that was taken.
    pub then: AfterTaking,
    /// How its records lie.
    pub layout: Option<LayoutRef>,
    /// Whether each record is a message, or the whole file.
    pub records: bool,
    /// What a whole file is.
    pub content: FileContent,
    /// The largest file that becomes one message, in bytes.
    pub max_size: u64,
    /// How long it is remembered which records were taken.
    pub remember: Duration,
}

/// What becomes of a file that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterTaking {
    /// It is moved into `archive/`.
    Archive,
    /// It is deleted.
    Delete,
}

/// What a whole file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// Any text.
    Text,
    /// JSON.
    Json,
    /// XML.
    Xml,
    /// One HL7 v2 message.
    Hl7,
    /// One X12 interchange.
    X12,
    /// Anything.
    Binary,
}

/// A layout of flat files.
#[derive(Clone, Debug)]
pub struct LayoutRef {
    /// The file, below the estate.
    pub file: FileRef,
    /// What it says.
    pub plan: Arc<wardline_edi::flat::Plan>,
}

/// A directory into which files are written.
#[derive(Clone, Debug)]
pub struct FilesOut {
    /// How its machine is reached; `None` for this one.
    pub reach: Option<Box<Reach>>,
    /// Where it is; relative to the estate, or to where one is on another machine.
    pub directory: Spanned<String>,
    /// At most one directory, and a name with `{id}` in it.
    pub write: Spanned<String>,
    /// The largest, in bytes.
    pub max_size: u64,
}

/// The charset of HL7 messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8 where valid, else what MSH-18 declares, else Windows-1252.
    Auto,
    /// Always this one, by its WHATWG label.
    Fixed(String),
}

/// How HL7 messages are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPolicy {
    /// At which point.
    pub when: AckWhen,
    /// In which mode.
    pub mode: AckMode,
}

/// When an acknowledgement leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckWhen {
    /// As soon as the message and what follows from it are on stable storage.
    Committed,
}

/// HL7 v2 acknowledgement mode (chapter 2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// As MSH-15 and MSH-16 of each message ask.
    Auto,
    /// AA, AE, AR whatever the message asks.
    Original,
    /// CA, CE, CR whatever the message asks.
    Enhanced,
}

/// A path that receives messages over HTTP.
#[derive(Clone, Debug)]
pub struct HttpIn {
    /// The listener it hangs on.
    pub listener: Spanned<String>,
    /// The method.
    pub method: Method,
    /// The path, starting with `/`, without a query.
    pub path: Spanned<String>,
    /// Who may call.
    pub auth: Auth,
    /// The answer to a message that was taken.
    pub ack: HttpAck,
    /// Largest body taken, in bytes.
    pub max_size: u64,
    /// What bodies are.
    pub content: HttpContent,
}

/// What the bodies of a receiving path are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpContent {
    /// What their media type says: JSON, or text.
    #[default]
    Json,
    /// X12 interchanges, whatever their media type says.
    X12,
}

/// The answer to a message that came over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAck {
    /// At which point.
    pub when: AckWhen,
    /// The status of a success.
    pub status: u16,
}

/// An HTTP service that Wardline calls.
#[derive(Clone, Debug)]
pub struct HttpOut {
    /// The base URL; operation paths are appended.
    pub url: Spanned<String>,
    /// How Wardline authenticates.
    pub auth: Auth,
    /// Limit for one whole exchange.
    pub timeout: Duration,
    /// Limit for establishing the connection.
    pub connect_timeout: Duration,
    /// Headers sent with every request.
    pub headers: Vec<(String, HeaderValue)>,
    /// TLS settings; the system's trust store is used without them.
    pub tls: Option<ClientTls>,
    /// Signs every request as a webhook.
    pub webhook: Option<WebhookSigning>,
    /// Whether only public addresses may be reached, over https: urls that others supplied.
    pub public_only: bool,
}

/// A SOAP service that Wardline calls.
#[derive(Clone, Debug)]
pub struct SoapOut {
    /// How it is reached.
    pub http: HttpOut,
    /// What it offers (WSDL 1.1).
    pub wsdl: FileRef,
    /// The service of the description; its first where absent.
    pub service: Option<Spanned<String>>,
    /// The port of the description; its first where absent.
    pub port: Option<Spanned<String>>,
    /// What messages carry to be believed (WS-Security).
    pub security: Option<WsSecurity>,
    /// Whether large values of bytes travel beside the message (MTOM).
    pub mtom: bool,
}

/// A FHIR server that resources are sent to.
#[derive(Clone, Debug)]
pub struct FhirOut {
    /// How it is reached; the URL is its base.
    pub http: HttpOut,
    /// How Wardline gets a token, where the server wants SMART Backend Services.
    pub smart: Option<SmartClient>,
    /// Whether payloads are held against R4 before they leave.
    pub check: bool,
    /// The zone of times of HL7 v2 that name none.
    pub zone: Option<Spanned<String>>,
    /// Systems of identifiers, by the name of who gave them in HL7 v2.
    pub systems: Vec<(String, String)>,
}

/// A client of SMART Backend Services.
#[derive(Clone, Debug)]
pub struct SmartClient {
    /// Where tokens are given.
    pub token: Spanned<String>,
    /// The client id.
    pub client: String,
    /// The private key, PEM.
    pub key: SecretRef,
    /// The name of its public half.
    pub key_id: String,
    /// What is asked for.
    pub scope: String,
}

/// What messages carry to be believed (WS-Security 1.1).
#[derive(Clone, Debug)]
pub struct WsSecurity {
    /// The secret holds `user:password`.
    pub username: Option<SecretRef>,
    /// Whether the password goes as text instead of its digest.
    pub plain: bool,
    /// The certificate of the signature, PEM.
    pub cert: Option<FileRef>,
    /// Its private key, PEM.
    pub key: Option<SecretRef>,
    /// How long a message is good.
    pub good_for: Option<Duration>,
    /// Where it stands.
    pub at: Span,
}

/// The value of a header that is sent with every request.
#[derive(Clone, Debug)]
pub enum HeaderValue {
    /// As written in the file.
    Plain(Spanned<String>),
    /// Read from a secret.
    Secret(SecretRef),
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// All methods a file can name, with the key that names them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("get", Self::Get),
        ("post", Self::Post),
        ("put", Self::Put),
        ("patch", Self::Patch),
        ("delete", Self::Delete),
    ];

    /// As it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How a caller proves who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// It does not.
    None,
    /// HTTP basic; the secret holds `user:password`.
    Basic(SecretRef),
    /// A bearer token.
    Bearer(SecretRef),
    /// A token in a header of this name.
    Header {
        /// The header.
        name: String,
        /// Its value.
        value: SecretRef,
    },
    /// An HMAC over id, time and body (Standard Webhooks). Any of these secrets will do: the new
    /// one and the old while they are changed.
    Webhook(Vec<SecretRef>),
    /// Ed25519 signatures by one of these public keys, `whpk_…` (Standard Webhooks).
    SignedBy(Vec<Spanned<String>>),
    /// An HMAC in a header, as a vendor does it.
    Hmac(Box<VendorHmac>),
}

/// How a vendor signs its webhooks.
#[derive(Clone, Debug)]
pub struct VendorHmac {
    /// Any of these secrets will do.
    pub secrets: Vec<SecretRef>,
    /// The header with the signature.
    pub header: String,
    /// `sha256`, `sha512` or `sha1`.
    pub algorithm: String,
    /// `hex` or `base64`.
    pub encoding: String,
    /// What stands before the signature, such as `sha256=`.
    pub prefix: String,
    /// The header with the time.
    pub timestamp: Option<String>,
    /// The names within the header, where that is a list.
    pub fields: Option<HmacFields>,
    /// What is signed; `{timestamp}.{body}` where absent, or `{body}` without a time.
    pub signs: Option<String>,
    /// How far that time may be off.
    pub tolerance: Duration,
}

/// Names within a header such as `t=1700000000,v1=…`.
#[derive(Clone, Debug)]
pub struct HmacFields {
    /// The name of the signature.
    pub signature: String,
    /// The name of the time.
    pub timestamp: Option<String>,
}

/// How outgoing webhooks are signed (Standard Webhooks).
#[derive(Clone, Debug)]
pub struct WebhookSigning {
    /// The key in use: `whsec_…` is shared, `whsk_…` is an Ed25519 key of our own.
    pub secret: SecretRef,
    /// Further keys that sign too: the old one while it is changed, or one of the other kind.
    pub previous: Vec<SecretRef>,
}

/// TLS of a port that Wardline listens on.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Certificate chain, PEM.
    pub cert: FileRef,
    /// Private key, PEM.
    pub key: SecretRef,
    /// Authorities whose client certificates are required, PEM.
    pub client_ca: Option<FileRef>,
    /// What those authorities have revoked: lists (CRLs), PEM.
    pub crl: Option<FileRef>,
}

/// TLS towards a server. An empty value means: verify with the system's trust store.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// Authorities to trust instead of the system's, PEM.
    pub ca: Option<FileRef>,
    /// Our certificate chain, PEM, for mutual TLS.
    pub cert: Option<FileRef>,
    /// Our private key.
    pub key: Option<SecretRef>,
    /// The name the certificate must carry, where it is not the host.
    pub server_name: Option<String>,
}

/// A range of addresses: `10.1.0.0/16`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in the range.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Network {
    /// Whether `peer` is in the range. IPv4 addresses mapped into IPv6 count as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let width = |shift: u32, bits: u32| u32::from(self.prefix) == 0 || shift >= bits;
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(peer)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                width(shift, 32) || net.to_bits() >> shift == peer.to_bits() >> shift
            }
            (IpAddr::V6(net), IpAddr::V6(peer)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                width(shift, 128) || net.to_bits() >> shift == peer.to_bits() >> shift
            }
            _ => false,
        }
    }
}

/// How hard the other side may be pushed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Sends per second; `None` is no limit.
    pub rate: Option<f64>,
    /// How many sends may be saved up while idle.
    pub burst: u32,
    /// Sends in flight at a time.
    pub concurrent: u32,
}

/// When to stop trying for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it; 0 never opens.
    pub open_after: u32,
    /// They must happen within this time.
    pub within: Duration,
    /// While open, one send is tried this often.
    pub probe_every: Duration,
}

/// How it is found out whether an HTTP service is well. Each address (URL and failover) is judged
/// for itself.
#[derive(Clone, Debug)]
pub struct Health {
    /// The path that is asked; an answer below 400 is a good one.
    pub get: Spanned<String>,
    /// How often.
    pub every: Duration,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// So many good answers in a row make it well again.
    pub healthy_after: u32,
    /// So many bad ones in a row make it unwell.
    pub unhealthy_after: u32,
}

/// When a slow read is asked a second time.
#[derive(Clone, Debug)]
pub struct Hedge {
    /// How long the first may take.
    pub after: Duration,
    /// Where it stands.
    pub at: Span,
}

/// How duplicates of inbound messages are recognised.
#[derive(Clone, Debug)]
pub struct Duplicate {
    /// Fields that together name a message: HL7 paths, `.json.paths` or `header:name`.
    pub by: Vec<Spanned<String>>,
    /// How long a name is remembered.
    pub within: Duration,
}

/// A field by which people search.
#[derive(Clone, Debug)]
pub struct KeyField {
    /// What the key is called: `mrn`, `account`.
    pub name: String,
    /// Where it stands: an HL7 path or a `.json.path`.
    pub path: Spanned<String>,
}
