//! SOAP 1.1 and 1.2 without a network: descriptions are read, messages are opened, held against
//! their types, turned into JSON and back, signed and verified. It depends on nothing of the
//! platform and does no I/O but reading descriptions from one directory.
//!
//! What the crate promises:
//! - No document type, entity, external reference or redirection is ever followed; size, depth and
//!   count of everything that is read are bounded ([`xml::Limits`]).
//! - What a description cannot mean here is refused while it is read, with a reason
//!   ([`wsdl::WsdlError`]), not when the first message comes.
//! - What was signed is what is used: a verified signature covers the very body that is opened
//!   ([`security`]).
//! - No error holds a value of a message.
//!
//! Start with [`wsdl::Definitions`] (what a service offers), [`envelope::Envelope`] (one message) and
//! [`typed`] (XML ⇄ JSON).

pub mod envelope;
pub mod fault;
pub mod message;
pub mod mtom;
pub mod security;
pub mod service;
pub mod source;
pub mod typed;
pub mod wsdl;
pub mod xml;
pub mod xsd;
