//! Apis: what other applications may ask of this organisation, in its own words.
//!
//! An Api promises operations over canonical entities. Who fulfils the promise is decided apart
//! from it: a *system* Api is bound to systems, a *process* Api starts what takes time, an
//! *experience* Api is made of answers of other Apis. A caller cannot tell the difference.

use super::{Exhausted, FileRef, MapRef, Method, Retry};
use crate::source::{Span, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use wardline_core::{Lane, Timestamp, Zone};

/// One major version of an Api.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its name.
    pub name: String,
    /// `name/vMAJOR`: what tells apart the versions that are served side by side.
    pub id: String,
    /// Where its name stands.
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What fulfils it.
    pub layer: Layer,
    /// Its version.
    pub version: Version,
    /// Where it is in its life.
    pub state: Lifecycle,
    /// The zones whose listeners show it; never empty.
    pub zones: Vec<Zone>,
    /// The path in front of its operations' paths: `/supplier-master/v1`. No slash at its end.
    pub base: Spanned<String>,
    /// How this version is asked for where a header tells versions apart; by its path where absent.
    pub by_header: Option<ByHeader>,
    /// An OpenAPI document that describes it, where one is given.
    pub contract: Option<FileRef>,
    /// Since when callers should move on (`Deprecation`, RFC 9745).
    pub deprecated: Option<Spanned<Timestamp>>,
    /// When it ends (`Sunset`, RFC 8594); never before `deprecated`.
    pub sunset: Option<Spanned<Timestamp>>,
    /// The Api that takes its place.
    pub successor: Option<Spanned<String>>,
    /// What may be asked, by name.
    pub operations: BTreeMap<String, ApiOperation>,
    /// Who serves a system Api; the first that matches does.
    pub bindings: Vec<Binding>,
    /// Who gets a copy of some requests, without anybody noticing.
    pub shadow: Option<Shadow>,
    /// How much callers may do.
    pub limits: ApiLimits,
}

impl Api {
    /// The whole path of an operation: base and template.
    ///
    /// `/supplier-master/v1` and `/suppliers/{supplier_id}` make
    /// `/supplier-master/v1/suppliers/{supplier_id}`; `/` alone adds nothing.
    pub fn path(&self, operation: &ApiOperation) -> String {
        match operation.path.as_str() {
            "/" if !self.base.is_empty() => self.base.value.clone(),
            path => format!("{}{path}", self.base.value),
        }
    }

    /// Whether a listener of this zone shows it. Administrators' listeners show no Apis unless
    /// the file names their zone.
    pub fn visible_in(&self, zone: Zone) -> bool {
        self.zones.contains(&zone)
    }

    /// Whether every operation is served by one operation of one system, whatever is asked: the
    /// only binding, without a condition. Then calling through the Api is calling the system.
    pub fn only_binding(&self) -> Option<&Binding> {
        match self.bindings.as_slice() {
            [only] if !only.is_conditional() => Some(only),
            _ => None,
        }
    }
}

/// A header that tells the versions of an Api apart which share one path.
#[derive(Clone, Debug)]
pub struct ByHeader {
    /// The header's name.
    pub header: Spanned<String>,
    /// Whether requests without the header mean this version.
    pub default: bool,
}

/// What the bodies of an operation are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BodyContent {
    /// JSON, held against the contract.
    #[default]
    Json,
    /// XML without document types and entities, passed on as it is.
    Xml,
}

/// `major.minor.patch` (Semantic Versioning without pre-releases). Ordered as versions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// Changes that break callers.
    pub major: u32,
    /// Additions.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
}

impl Version {
    /// Reads three numbers parted by dots.
    ///
    /// ```
    /// use wardline_estate::Version;
    /// assert_eq!(Version::parse("1.2.0"), Some(Version { major: 1, minor: 2, patch: 0 }));
    /// assert_eq!(Version::parse("1.2"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        crate::value::version(text).ok()?;
        let mut numbers = text.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What fulfils an Api.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Systems, by its bindings.
    System,
    /// Something that takes time: an event that is told, a process that starts.
    Process,
    /// Other Apis, whose answers are gathered.
    Experience,
}

impl Layer {
    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Process => "process",
            Self::Experience => "experience",
        }
    }
}

/// Where an Api is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    /// Being written.
    Draft,
    /// Being looked at.
    InReview,
    /// In use.
    Published,
    /// In use, but callers should move on.
    Deprecated,
    /// No longer in use.
    Retired,
}

impl Lifecycle {
    /// Whether a gateway serves an Api in this state.
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Published | Self::Deprecated)
    }

    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::InReview => "in-review",
            Self::Published => "published",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }
}

/// Something that may be asked of an Api.
#[derive(Clone, Debug)]
pub struct ApiOperation {
    /// Its name within the Api.
    pub name: String,
    /// `api.operation`.
    pub reference: String,
    /// Where its name stands.
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// The method.
    pub method: Method,
    /// The path below the Api's base, with `{names}`.
    pub path: Spanned<String>,
    /// Query parameters that may be given, with their types.
    pub query: BTreeMap<String, QueryType>,
    /// The entity of the request's body.
    pub accepts: Option<Spanned<String>>,
    /// The entity of the answer's body.
    pub returns: Option<Spanned<String>>,
    /// Whether the answer is an array of the entity.
    pub list: bool,
    /// What its bodies are written in.
    pub content: BodyContent,
    /// The scope that a caller needs. Only a [public](Self::public) operation has none.
    pub scope: Option<Spanned<String>>,
    /// Whether anybody who reaches the listener may ask.
    pub public: bool,
    /// How urgent.
    pub lane: Lane,
    /// Whether the caller gets 202 and a status URL once the request is durable.
    pub asynchronous: bool,
    /// How what was accepted is sent on, where it is asynchronous.
    pub later: Option<Later>,
    /// What is done when the same request comes twice.
    pub idempotent: Idempotency,
    /// How requests and answers are held against the contract.
    pub validate: Validation,
    /// Limit for one whole exchange, composed calls included.
    pub timeout: Duration,
    /// What fulfils it.
    pub work: Work,
}

impl ApiOperation {
    /// The names in braces of its path, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        crate::value::parameters(&self.path.value)
    }

    /// The type of the event with which it tells an instance something, where that is what it is
    /// for: `cancel`, which accepts `order-cancellation`, tells `order_cancellation.cancel`. Steps
    /// wait for it as for any other.
    pub fn signal(&self) -> Option<Spanned<String>> {
        let Work::Signal { process } = &self.work else {
            return None;
        };
        let accepts = self.accepts.as_ref()?;
        let event = format!("{}.{}", accepts.value, self.name).replace('-', "_");
        Some(Spanned::new(event, process.at))
    }

    /// Whether it changes something: everything but GET.
    pub const fn is_write(&self) -> bool {
        !matches!(self.method, Method::Get)
    }
}

/// How a request that was accepted is sent to the system that serves it.
#[derive(Clone, Debug, Default)]
pub struct Later {
    /// The ordering key, an expression in VRL over the body, to which the parameters of the path
    /// were added. `None`: the parameters of the path; without any, order does not matter.
    pub key: Option<Spanned<String>>,
    /// How each of the systems is sent to, by its name.
    pub sending: BTreeMap<String, Sending>,
    /// What a person should do when it fails for good.
    pub runbook: Option<PathBuf>,
}

/// How requests are sent to one system.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// How failed sends are tried again.
    pub retry: Retry,
    /// What becomes of what exhausted its retries.
    pub on_exhausted: Exhausted,
}

/// What a query parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryType {
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `2026-11-24`.
    Date,
    /// RFC 3339.
    DateTime,
}

impl QueryType {
    /// All types with the words used in files.
    pub const ALL: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
        ("date-time", Self::DateTime),
    ];
}

/// What is done when the same write comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// It is done twice.
    No,
    /// Requests carry an `Idempotency-Key`; a repeated one gets the first answer again.
    Key {
        /// How long answers are kept.
        keep: Duration,
    },
}

/// How requests and answers are held against the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Whether requests are checked; `false` only where the file says `none`.
    pub request: bool,
    /// Which answers are checked.
    pub response: ResponseValidation,
}

/// Which answers are held against the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseValidation {
    /// All; one that breaks it is not passed on.
    Strict,
    /// Some; one that breaks it is passed on and reported.
    Sample,
    /// None.
    None,
}

/// What fulfils an operation.
#[derive(Clone, Debug)]
pub enum Work {
    /// The Api's bindings.
    Bound,
    /// The answers of other operations, gathered in this order, and a map that makes one of them.
    Gather {
        /// What is called.
        calls: Vec<ApiCall>,
        /// From `{ calls: { NAME: answer }, params, query, client }` to the answer. Without it the
        /// answer of a single call, or an object of all answers by name.
        map: Option<MapRef>,
    },
    /// A process starts with the body.
    Start {
        /// Its name.
        process: Spanned<String>,
    },
    /// A running instance of a process is told something: an event with the body, whose type is
    /// [`ApiOperation::signal`].
    Signal {
        /// The process's name.
        process: Spanned<String>,
    },
    /// How far an instance of a process is.
    Status {
        /// The process's name.
        process: Spanned<String>,
    },
    /// The body is told as an event.
    Tell {
        /// Its type.
        event: Spanned<String>,
    },
}

/// One of the calls whose answers are gathered.
#[derive(Clone, Debug)]
pub struct ApiCall {
    /// What its answer is called.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// `api.operation`.
    pub call: Spanned<String>,
    /// Path and query parameters, and `body`: expressions in VRL over `.params`, `.query`,
    /// `.body`, `.client` and `.calls.NAME`, the answers before it. A path parameter that is not
    /// here is taken from the caller's parameter of the same name.
    pub with: BTreeMap<String, Spanned<String>>,
    /// A predicate over the same; not called where it is false.
    pub when: Option<Spanned<String>>,
    /// Whether the answer is made without it when it fails.
    pub optional: bool,
}

/// A system that serves a system Api, and when.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The system.
    pub system: Spanned<String>,
    /// A predicate in VRL over `.facility`, `.headers`, `.params`, `.body` and `.client`.
    pub when: Option<Spanned<String>>,
    /// The share of requests that it takes of those that reach it.
    pub share: Option<Share>,
    /// An expression in VRL whose equal values always fall on the same side of `share`.
    pub sticky: Option<Spanned<String>>,
    /// Not before.
    pub from: Option<Spanned<Timestamp>>,
    /// Not from then on.
    pub until: Option<Spanned<Timestamp>>,
    /// The system's names of operations, where they differ, by the Api's.
    pub operations: BTreeMap<String, Spanned<String>>,
    /// Where it starts.
    pub at: Span,
}

impl Binding {
    /// Whether some requests pass it by.
    pub fn is_conditional(&self) -> bool {
        self.when.is_some()
            || self.from.is_some()
            || self.until.is_some()
            || self.share.is_some_and(|share| share < Share::ALL)
    }

    /// The system's name of an operation of the Api.
    pub fn operation<'a>(&'a self, name: &'a str) -> &'a str {
        self.operations
            .get(name)
            .map_or(name, |there| there.value.as_str())
    }

    /// `system.operation` for an operation of the Api.
    pub fn reference(&self, name: &str) -> String {
        format!("{}.{}", self.system.value, self.operation(name))
    }
}

/// A share of something, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(pub u16);

impl Share {
    /// Everything.
    pub const ALL: Self = Self(10_000);

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

/// A second system that gets a copy of some requests. Its answers are compared and never passed on.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// The system.
    pub system: Spanned<String>,
    /// How many requests.
    pub sample: Share,
    /// Dotted paths of the answer that are compared; empty means all.
    pub compare: Vec<Spanned<String>>,
    /// Dotted paths of the answer that are not compared.
    pub ignore: Vec<Spanned<String>>,
    /// Dotted paths of lists whose order does not count.
    pub unordered: Vec<Spanned<String>>,
    /// Whether what only the shadow has counts as a difference.
    pub extra: bool,
    /// The system's names of operations, where they differ, by the Api's.
    pub operations: BTreeMap<String, Spanned<String>>,
    /// Whether writes are copied as well: only where the file says so.
    pub writes: bool,
}

impl Shadow {
    /// The system's name of an operation of the Api.
    pub fn operation<'a>(&'a self, name: &'a str) -> &'a str {
        self.operations
            .get(name)
            .map_or(name, |there| there.value.as_str())
    }
}

/// How much callers of an Api may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApiLimits {
    /// Requests per second of one client; `None` is no limit.
    pub per_client: Option<f64>,
    /// How many requests a client may save up while idle.
    pub burst: u32,
    /// Requests of one client in a longer time.
    pub quota: Option<Quota>,
    /// Requests of all clients in flight at a time; `None` is no limit.
    pub concurrent: Option<u32>,
    /// Largest request body, in bytes, after decompression.
    pub body: u64,
    /// Deepest nesting of JSON.
    pub depth: u32,
    /// Most keys and items in a JSON body.
    pub keys: u32,
    /// Longest text in a JSON body, in bytes.
    pub string: u64,
}

/// So many requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u64,
    /// In which time.
    pub per: Duration,
}
