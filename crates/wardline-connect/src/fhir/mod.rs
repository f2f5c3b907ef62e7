//! FHIR R4 out: resources and bundles as they are, HL7 v2 as the transaction that it makes
//! (`wardline-fhir`). What a server refuses is told by its `OperationOutcome`, without its values.

mod outbound;
mod outcome;
mod token;

pub use outbound::{Outbound, OutboundConfig};
pub use token::Smart;
