//! `fhir:` of connections.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Map, Object as Obj, Text};
use super::connection::{AUTH, CLIENT_TLS};
use super::{Form, Object, field};

pub(crate) static FHIR_OUT: Object = Object {
    name: "`fhir` (calling)",
    doc: "A FHIR R4 server. What is sent says what is asked for: a transaction or batch, a resource to create or update, or an HL7 v2 message, of which the transaction is made.",
    fields: &[
        field("url", Text(Form::Url), Required, "The base of the server."),
        field(
            "auth",
            AUTH,
            Default("none"),
            "How Wardline proves who it is, where that is not `smart`.",
        ),
        field(
            "smart",
            Obj(&SMART),
            Optional,
            "SMART Backend Services: a token for an assertion that our key signs.",
        ),
        field(
            "check",
            Bool,
            Default("true"),
            "Whether payloads are held against R4 before they leave.",
        ),
        field(
            "zone",
            Text(Form::TimeZone),
            Optional,
            "The zone of times of HL7 v2 that name none; without it only their day is kept.",
        ),
        field(
            "systems",
            Map(Form::Prose, &Text(Form::Prose)),
            Optional,
            "The systems of identifiers, by the name of who gave them in HL7 v2 (HD.1): `H1: urn:oid:1.2.3`.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("30s"),
            "Limit for one whole exchange.",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("5s"),
            "Limit for establishing the connection.",
        ),
        field(
            "headers",
            Map(Form::Header, &Text(Form::SecretOrText)),
            Optional,
            "Headers sent with every request; a value may be `secret:NAME`.",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the server and prove who we are.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SMART: Object = Object {
    name: "`smart`",
    doc: "A client of SMART Backend Services (private_key_jwt).",
    fields: &[
        field(
            "token",
            Text(Form::Url),
            Required,
            "The token endpoint of the authorisation server.",
        ),
        field(
            "client",
            Text(Form::Prose),
            Required,
            "Our client id there.",
        ),
        field(
            "key",
            Text(Form::Secret),
            Required,
            "Our private key: PEM (PKCS#8) of P-384 (ES384) or RSA (RS384).",
        ),
        field(
            "key_id",
            Text(Form::Prose),
            Required,
            "The `kid` of its public half in the key set that we registered.",
        ),
        field(
            "scope",
            Text(Form::Prose),
            Default("system/*.*"),
            "What is asked for.",
        ),
    ],
    exactly_one: &[],
};
