//! SOAP: what is sent and answered is JSON, by the types of the service's description
//! (`wardline-soap`).

mod outbound;

pub use outbound::{Identity, Outbound, OutboundConfig, UserToken};
