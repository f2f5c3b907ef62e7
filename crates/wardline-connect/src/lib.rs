//! One module a protocol, each with an inbound and an outbound half, all alike: `config`
//! says what can be set, `inbound` turns what a peer sends into [`Received`] and hands it to
//! the [`Intake`], `outbound` turns a [`Request`] into a [`Reply`] or a [`Failure`].
//!
//! What the crate promises:
//! - A positive answer leaves only after [`Intake::accept`] returned [`Verdict::Accepted`] or
//!   [`Verdict::Duplicate`]; answers leave in the order in which messages came.
//! - Memory is bounded: every listener has a limit on connections, on the size of one message
//!   and on the bytes of all messages in hand. Past it peers feel back-pressure.
//! - Nothing here retries or routes. A failure is classified ([`FailureKind`]); what follows
//!   from it is the engine's business.
//! - No payload, header value or secret appears in a log line, an error or a `Debug` output.
//!
//! Start with [`Intake`] (what a listener calls), [`Outbound`] (what the engine calls) and
//! [`Failure`] (what can go wrong on the way out).

mod admission;
pub mod as2;
pub mod broker;
pub mod certificate;
pub mod codes;
mod content;
pub mod dicom;
pub mod door;
mod error;
pub mod fhir;
pub mod files;
pub mod ftps;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod intake;
pub mod mllp;
pub mod null;
mod outbound;
mod resources;
pub mod s3;
pub mod scim;
mod secret;
pub mod sftp;
pub mod smtp;
pub mod soap;
pub mod sql;
pub mod stream;
pub mod threads;
pub mod tls;

pub use admission::{Counters, CountersSnapshot, Network, ParseNetworkError};
pub use content::ContentType;
pub use error::ConnectError;
pub use intake::{Intake, OPERATION, Received, Verdict};
pub use outbound::{Failure, FailureKind, Outbound, Reply, Request};
pub use resources::{Kept, Resource, ResourceBy, ResourceChange, ResourceState, Resources};
pub use secret::Secret;
