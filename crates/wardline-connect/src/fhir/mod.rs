//! FHIR R4 in and out. In: a service of ours whose resources others read, search and change ([`Endpoint`]).
//! Out: resources and bundles as they are, HL7 v2 as the transaction that it makes
//! (`wardline-fhir`). What a server refuses is told by its `OperationOutcome`, without its values.

mod calls;
mod outbound;
mod outcome;
mod service;
mod token;

pub use outbound::{Outbound, OutboundConfig};
pub(crate) use service::{Answered, Asked, Became, outcome as service_outcome};
pub use service::{Endpoint, Keeper, Kind};
pub use token::Smart;
pub use wardline_fhir::Offered;

/// A text as a part of an address.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
