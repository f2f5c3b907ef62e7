//! SOAP: what is sent, taken and answered is JSON, by the types of the service's description
//! (`wardline-soap`).

mod inbound;
mod outbound;

pub use inbound::{Carried, Echo, Endpoint, Respond, carried_text};
pub(crate) use inbound::{NotTaken, refusal};
pub use outbound::{Asking, Identity, Outbound, OutboundConfig, UserToken};
