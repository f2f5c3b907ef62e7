//! HL7 v2 to FHIR R4, with the names of the public v2-to-FHIR guide, and beyond it where the guide
//! is silent (A11, A13, A40, FT1, GT1).
//!
//! A message becomes resources that refer to one another by `urn:uuid:`. Ids are made of business
//! identifiers (uuid, version 5), so the same patient of two messages is one resource, and a
//! message that is sent twice changes nothing the second time. What a message does not say is left
//! away; where FHIR demands a value the word for "unknown" stands.

mod bundle;
mod codes;
mod documents;
mod money;
mod person;
mod results;
mod schedule;
mod values;
mod visit;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::Value;
use thiserror::Error;
use wardline_hl7::Message;

use crate::node::Object;
use bundle::Making;

/// What a message becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A `transaction` that a server carries out as a whole: what has a business identifier is
    /// updated by it, everything else by its own id.
    #[default]
    Transaction,
    /// A `message` that begins with a `MessageHeader`.
    Message,
}

/// What the message itself cannot say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What it becomes.
    pub form: Form,
    /// The zone of times that name none; without it only their day is kept.
    pub zone: Option<TimeZone>,
    /// The systems of identifiers, by the name of who gave them (HD.1); `urn:id:NAME` for others.
    pub systems: BTreeMap<String, String>,
}

/// Why a message has no FHIR. Values are not repeated.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MapError {
    /// A type that no map is for.
    #[error(
        "no map to FHIR is for messages of this type; there is one for ADT, ORU, DFT, SIU and MDM"
    )]
    NotMapped,
    /// Nothing in it that a map reads.
    #[error("the message has no {0} segment, so there is nothing to say in FHIR")]
    Missing(&'static str),
}

/// A message as FHIR.
#[derive(Clone, Debug)]
pub struct Mapped(Object);

impl Mapped {
    /// The bundle as text. Decimals stand as the message has them.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(4096);
        self.0.write(&mut out);
        out
    }

    /// The bundle as a value.
    pub fn to_value(&self) -> Value {
        self.0.to_value()
    }
}

/// Makes FHIR of a message: ADT, ORU, DFT, SIU or MDM.
///
/// ```
/// use wardline_fhir::{Options, from_hl7};
/// let message = wardline_hl7::Message::parse("MSH|^~\\&|EHR|H1|||20260101||ADT^A01|1|P|2.5\rPID|1||77^^^H1^MR||DOE^JANE||19700101|F\rPV1|1|I\r")?;
/// let bundle = from_hl7(&message, &Options::default())?.to_value();
/// assert_eq!(bundle["entry"][0]["resource"]["birthDate"], "1970-01-01");
/// assert!(wardline_fhir::check(&bundle).ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where no map is for the type, or the message lacks what the map needs.
pub fn from_hl7(message: &Message, options: &Options) -> Result<Mapped, MapError> {
    let kind = message.message_type().unwrap_or_default();
    let mut making = Making::new(message, options);
    match kind.as_ref() {
        "ADT" => visit::admission(&mut making)?,
        "ORU" => results::results(&mut making)?,
        "DFT" => money::charges(&mut making)?,
        "SIU" => schedule::appointment(&mut making)?,
        "MDM" => documents::document(&mut making)?,
        _ => return Err(MapError::NotMapped),
    }
    Ok(Mapped(making.finish()))
}
