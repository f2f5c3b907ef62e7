//! Every connector against a peer on the loopback interface, faults included.
// clippy's exemption for tests covers only functions marked #[test], not what they call.
#![allow(clippy::unwrap_used)]

mod as2;
mod dicom;
mod fhir_outbound;
mod files;
mod ftps;
mod http_inbound;
mod http_outbound;
mod mllp_acks;
mod mllp_faults;
mod mllp_flow;
mod mllp_outbound;
mod remote;
mod s3;
mod sftp;
mod sftp_boxes;
mod soap_outbound;
mod stage;
mod tls;
mod webhooks;
