//! SOAP services that Wardline offers.

use super::{FileRef, HttpIn, MapRef, SecretRef};
use crate::source::{Span, Spanned};
use std::time::Duration;

/// A path that is a SOAP service.
#[derive(Clone, Debug)]
pub struct SoapIn {
    /// Where it hangs, and how senders prove who they are by HTTP.
    pub http: HttpIn,
    /// What it offers (WSDL 1.1).
    pub wsdl: FileRef,
    /// The service of the description; its first where absent.
    pub service: Option<Spanned<String>>,
    /// The port of the description; all of the service's where absent.
    pub port: Option<Spanned<String>>,
    /// The address that the description gives to others.
    pub address: Option<String>,
    /// What messages must carry to be believed (WS-Security).
    pub security: Option<WsGuard>,
    /// The maps that make answers, by operation.
    pub answers: Vec<(Spanned<String>, MapRef)>,
    /// An operation that carries HL7 v2.
    pub hl7: Option<CarriedHl7>,
    /// An operation that gives back what it was given.
    pub echo: Option<SoapEcho>,
}

/// What messages must carry to be believed (WS-Security 1.1).
#[derive(Clone, Debug)]
pub struct WsGuard {
    /// Users that may send; each secret holds `user:password`.
    pub users: Vec<SecretRef>,
    /// Whether passwords may come as text.
    pub plain: bool,
    /// Certificates of which one must have signed.
    pub certs: Vec<FileRef>,
    /// How far a message's time may be off.
    pub skew: Duration,
    /// Where it stands.
    pub at: Span,
}

/// An operation that carries HL7 v2.
#[derive(Clone, Debug)]
pub struct CarriedHl7 {
    /// The operation.
    pub operation: Spanned<String>,
    /// The element that holds the message.
    pub message: Spanned<String>,
    /// The element of the answer that holds the acknowledgement.
    pub answer: Spanned<String>,
    /// The element that holds the user.
    pub username: Option<Spanned<String>>,
    /// The element that holds the password.
    pub password: Option<Spanned<String>>,
}

/// An operation that gives back what it was given.
#[derive(Clone, Debug)]
pub struct SoapEcho {
    /// The operation.
    pub operation: Spanned<String>,
    /// The element that is given back.
    pub from: Spanned<String>,
    /// The element of the answer.
    pub to: Spanned<String>,
}
