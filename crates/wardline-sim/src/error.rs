//! What can go wrong in the simulators themselves (their faults on demand are not errors).

use std::io;
use std::net::SocketAddr;
use thiserror::Error;

/// Why a simulator could not start or a run could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimError {
    /// A port could not be opened.
    #[error(
        "cannot start the simulated {system} on {address}: {source}; end the program that holds the port or choose another with --first-port"
    )]
    Bind {
        /// Which simulated system.
        system: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The EHR's target is not `host:port` or does not resolve.
    #[error(
        "cannot send ADT to `{target}`: {source}; give the address of a running MLLP listener as host:port"
    )]
    Target {
        /// The target as given.
        target: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The plan has no limit and no rate, or a number that makes no sense.
    #[error("cannot run the EHR: {what}; change the plan")]
    Plan {
        /// Which rule the plan breaks.
        what: &'static str,
    },
    /// A fault that is not one.
    #[error("cannot set the fault: {what}")]
    Fault {
        /// Which rule it breaks.
        what: &'static str,
    },
    /// A rehearsal that cannot be.
    #[error("cannot rehearse: {what}")]
    Rehearsal {
        /// Which rule it breaks.
        what: &'static str,
    },
    /// Simulators that run elsewhere did not answer, or said no.
    #[error(
        "cannot rehearse with the simulators at {url}: {said}; start them with `wardline-sim serve`, or name their admin listener"
    )]
    Remote {
        /// Their admin listener.
        url: String,
        /// What was said, or why nothing was.
        said: String,
    },
    /// No key could be made for a client of the Apis.
    #[error("cannot make a key for a client of the Apis: the system gives no randomness")]
    Keys,
    /// A task of the simulator panicked.
    #[error(
        "the simulated {system} ended unexpectedly; this is a bug of wardline-sim, please report it"
    )]
    Ended {
        /// Which simulated system.
        system: &'static str,
    },
}
