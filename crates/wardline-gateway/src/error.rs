//! Why a plan cannot be served.

use thiserror::Error;
use wardline_connect::ConnectError;
use wardline_core::Code;

/// A plan's path cannot be used.
pub const BAD_TEMPLATE: Code = Code("W5601");
/// Two operations claim the same requests.
pub const ROUTE_CLASH: Code = Code("W5602");
/// A binding names a system that the plan lacks.
pub const NO_SUCH_UPSTREAM: Code = Code("W5603");
/// A composition names an operation that it cannot call.
pub const NO_SUCH_PART: Code = Code("W5604");
/// A system's address cannot be used.
pub const BAD_URL: Code = Code("W5605");
/// The system gives no threads to serve connections on.
pub const NO_THREADS: Code = Code("W5606");

/// An operation that is checked but not served yet.
pub const NOT_SERVED: Code = Code("W5610");

/// Every code of the gateway with a title and what to do.
pub const EXPLANATIONS: &[(Code, &str, &str)] = &[
    (
        BAD_TEMPLATE,
        "a path template cannot be used",
        "Write it as `/segments/{parameter}`: it begins with `/`, no segment is empty, a parameter is a whole segment \
         and appears once, and a system's path uses only parameters of the Api's path.",
    ),
    (
        ROUTE_CLASH,
        "two operations claim the same requests",
        "Two operations that are visible in one zone have the same method and the same shape of path. Change one \
         path, or the `base` of one Api.",
    ),
    (
        NO_SUCH_UPSTREAM,
        "a binding names a system that is not there",
        "Declare the system with an HTTP connection, or correct the binding's name.",
    ),
    (
        NO_SUCH_PART,
        "a composition calls an operation that it cannot call",
        "A call of an experience Api names `api.operation` of an Api that is bound to systems.",
    ),
    (
        BAD_URL,
        "a system's address cannot be used",
        "An address is `http://host:port/prefix` or `https://…`, without query, user or password; `https` needs TLS \
         settings.",
    ),
    (
        NO_THREADS,
        "there are no threads to serve connections on",
        "The system allows this process no more threads or open files. Look at `ulimit -u`, `ulimit -n` and the \
         limits of the service (`TasksMax`, `LimitNOFILE` under systemd).",
    ),
    (
        NOT_SERVED,
        "an operation that this release does not serve",
        "It is checked and left out: callers get 404. The message says why. Let a flow take the message in meanwhile, \
         bind the operation to one over HTTP, or make it `async`.",
    ),
];

/// Why a plan cannot be served. The plan before it stays in force.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// A path template cannot be used.
    #[error("{BAD_TEMPLATE}: {what}: the path `{path}` cannot be used: {detail}")]
    BadTemplate {
        /// Api and operation.
        what: String,
        /// The template.
        path: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// Two operations claim the same requests.
    #[error(
        "{ROUTE_CLASH}: {first} and {second} claim the same requests in zone {zone}: {method} {path}"
    )]
    RouteClash {
        /// The one that was there.
        first: String,
        /// The other.
        second: String,
        /// Where both are visible.
        zone: String,
        /// Their method.
        method: String,
        /// The path of the other.
        path: String,
    },
    /// A binding names a system that the plan lacks.
    #[error("{NO_SUCH_UPSTREAM}: {what} is bound to `{upstream}`, which is not there")]
    NoSuchUpstream {
        /// Api and operation.
        what: String,
        /// The name.
        upstream: String,
    },
    /// A composition names an operation that it cannot call.
    #[error(
        "{NO_SUCH_PART}: {what} calls `{part}`, which is no operation that is bound to systems"
    )]
    NoSuchPart {
        /// Api and operation.
        what: String,
        /// What it calls.
        part: String,
    },
    /// A system's address cannot be used.
    #[error("{BAD_URL}: the address of `{upstream}` cannot be used: {detail}")]
    BadUrl {
        /// The system.
        upstream: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The system gives no threads.
    #[error("{NO_THREADS}: cannot start threads to serve connections on: {source}")]
    Threads {
        /// What the system said.
        source: std::io::Error,
    },
    /// A listener cannot be opened.
    #[error(transparent)]
    Listener(#[from] ConnectError),
}
