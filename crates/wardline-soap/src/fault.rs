//! Faults of both versions as one thing.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::security::WSSE;
use crate::typed;
use crate::wsdl::{Operation, Version};
use crate::xml::{Element, Name, XML};
use crate::xsd::Schemas;

/// Codes of WS-Security that a fault of ours may name.
const SECURITY: [&str; 2] = ["FailedAuthentication", "InvalidSecurity"];

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// Of the message (`Client` in SOAP 1.1): the same message will be refused again.
    Sender,
    /// Of the receiver (`Server` in SOAP 1.1): it may go well later.
    Receiver,
    /// A header block that must be understood was not.
    MustUnderstand,
    /// The message is of another version of SOAP.
    VersionMismatch,
    /// An encoding is not known (SOAP 1.2).
    DataEncodingUnknown,
    /// A code that no version of SOAP knows.
    Other,
}

impl FaultCode {
    /// Its name in a version of SOAP.
    pub const fn local(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Sender | Self::Other, Version::V12) => "Sender",
            (Self::Sender | Self::Other | Self::DataEncodingUnknown, Version::V11) => "Client",
            (Self::Receiver, Version::V12) => "Receiver",
            (Self::Receiver, Version::V11) => "Server",
            (Self::MustUnderstand, _) => "MustUnderstand",
            (Self::VersionMismatch, _) => "VersionMismatch",
            (Self::DataEncodingUnknown, Version::V12) => "DataEncodingUnknown",
        }
    }

    /// Whether the same message may be taken later.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Receiver)
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
            Self::MustUnderstand => "must-understand",
            Self::VersionMismatch => "version-mismatch",
            Self::DataEncodingUnknown => "data-encoding-unknown",
            Self::Other => "other",
        })
    }
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Whose fault it is.
    pub code: FaultCode,
    /// What the service calls it more exactly, outermost first. In SOAP 1.1 what stands after a dot
    /// or in a namespace of its own.
    pub subcodes: Vec<String>,
    /// Why, in words of the service.
    pub reason: String,
    /// What it says more.
    pub detail: Vec<Element>,
}

impl Fault {
    /// A fault of ours.
    pub fn new(code: FaultCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            subcodes: Vec::new(),
            reason: reason.into(),
            detail: Vec::new(),
        }
    }

    /// Reads the element of a body, where that is a fault.
    pub fn read(version: Version, element: &Element) -> Option<Self> {
        let ns = version.namespace();
        if !element.name.is(ns, "Fault") {
            return None;
        }
        let mut subcodes = Vec::new();
        let (code, reason, detail) = match version {
            Version::V11 => {
                // Some write these with the namespace of the envelope.
                let part = |local: &str| element.elements().find(|one| &*one.name.local == local);
                let written = part("faultcode").map(Element::text).unwrap_or_default();
                let written = written.trim();
                let name = part("faultcode").and_then(|code| code.resolve(written));
                // Some name a code by a prefix that they do not declare.
                let bare = written.rsplit(':').next().unwrap_or_default();
                let local = name.as_ref().map_or(bare, |name| &name.local);
                let (first, rest) = local.split_once('.').unwrap_or((local, ""));
                let code = code(first);
                if code == FaultCode::Other {
                    subcodes.push(local.to_owned());
                } else if !rest.is_empty() {
                    subcodes.push(rest.to_owned());
                }
                let reason = part("faultstring").map(Element::text);
                (code, reason, part("detail"))
            }
            Version::V12 => {
                let mut at = element.child(ns, "Code");
                let mut all = Vec::new();
                while let Some(code) = at {
                    let value = code.child(ns, "Value").map(Element::text);
                    let value = value.unwrap_or_default();
                    let value = value.trim();
                    let local = value.rsplit(':').next().unwrap_or_default();
                    all.push(local.to_owned());
                    at = code.child(ns, "Subcode");
                }
                let first = all.first().map_or(FaultCode::Other, |local| code(local));
                subcodes.extend(all.into_iter().skip(1));
                let reason = element.child(ns, "Reason").and_then(|reason| {
                    let english = reason
                        .elements()
                        .find(|text| text.attribute_of(XML, "lang") == Some("en"));
                    english
                        .or_else(|| reason.elements().next())
                        .map(Element::text)
                });
                (first, reason, element.child(ns, "Detail"))
            }
        };
        Some(Self {
            code,
            subcodes,
            reason: reason.unwrap_or_default().trim().to_owned(),
            detail: detail
                .map(|detail| detail.elements().cloned().collect())
                .unwrap_or_default(),
        })
    }

    /// As an element of a body.
    pub fn write(&self, version: Version) -> Element {
        let ns = version.namespace();
        let local = self.code.local(version);
        match version {
            Version::V11 => {
                // Codes of security have a namespace of their own and say all there is to say.
                let (code_ns, local) = match self.subcodes.as_slice() {
                    [one] if SECURITY.contains(&one.as_str()) => (WSSE, one.as_str()),
                    _ => (ns, local),
                };
                let mut fault = Element::of(ns, "Fault")
                    .with(qualified(Element::of("", "faultcode"), code_ns, local))
                    .with(Element::of("", "faultstring").with_text(self.reason.as_str()));
                if !self.detail.is_empty() {
                    let detail = self.detail.iter().cloned();
                    fault = fault.with(detail.fold(Element::of("", "detail"), Element::with));
                }
                fault
            }
            Version::V12 => {
                let value = qualified(Element::of(ns, "Value"), ns, local);
                let text = Element::of(ns, "Text")
                    .with_attribute(Name::new(XML, "lang"), "en")
                    .with_text(self.reason.as_str());
                let mut code = Element::of(ns, "Code").with(value);
                if let [one] = self.subcodes.as_slice()
                    && SECURITY.contains(&one.as_str())
                {
                    let value = qualified(Element::of(ns, "Value"), WSSE, one);
                    code = code.with(Element::of(ns, "Subcode").with(value));
                }
                let mut fault = Element::of(ns, "Fault")
                    .with(code)
                    .with(Element::of(ns, "Reason").with(text));
                if !self.detail.is_empty() {
                    let detail = self.detail.iter().cloned();
                    fault = fault.with(detail.fold(Element::of(ns, "Detail"), Element::with));
                }
                fault
            }
        }
    }

    /// As JSON: `{"code": "sender", "subcodes": […], "reason": …, "fault": name, "detail": …}`, the
    /// detail by the type that the operation declares for it.
    pub fn to_json(&self, schemas: &Schemas, operation: Option<&Operation>) -> Value {
        let mut object = Map::new();
        object.insert("code".into(), json!(self.code.to_string()));
        if !self.subcodes.is_empty() {
            object.insert("subcodes".into(), json!(self.subcodes));
        }
        object.insert("reason".into(), json!(self.reason));
        for element in &self.detail {
            let declared = operation
                .into_iter()
                .flat_map(|operation| &operation.faults)
                .find(|fault| schemas.declaration(fault.element).name == element.name);
            let value = declared.and_then(|fault| {
                let value = typed::decode(schemas, fault.element, element).ok()?;
                object.insert("fault".into(), json!(fault.name));
                Some(value)
            });
            let value = value.unwrap_or_else(|| typed::loose(element));
            object.entry("detail").or_insert_with(|| json!({}))[&*element.name.local] = value;
        }
        Value::Object(object)
    }
}

/// A name as the value of an element, its prefix declared there.
fn qualified(mut element: Element, namespace: &str, local: &str) -> Element {
    let text = typed::declare(&mut element, &Name::new(namespace, local));
    element.with_text(text)
}

fn code(local: &str) -> FaultCode {
    match local {
        "Client" | "Sender" => FaultCode::Sender,
        "Server" | "Receiver" => FaultCode::Receiver,
        "MustUnderstand" => FaultCode::MustUnderstand,
        "VersionMismatch" => FaultCode::VersionMismatch,
        "DataEncodingUnknown" => FaultCode::DataEncodingUnknown,
        _ => FaultCode::Other,
    }
}
