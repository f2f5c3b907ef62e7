//! `fhir:` of connections.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, List, Map, Object as Obj, Text, Word};
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

pub(crate) static FHIR_IN: Object = Object {
    name: "`fhir` (receiving)",
    doc: "A path on one of the estate's listeners below which resources are read, searched and changed by FHIR R4. Each change is a message: what happened, what changed, and the whole resource. What is read is what was taken.",
    fields: &[
        field(
            "listen",
            Text(Form::Name),
            Required,
            "The listener it hangs on.",
        ),
        field(
            "path",
            Text(Form::Path),
            Required,
            "The path before `/Patient`; all below it is the service's.",
        ),
        field(
            "auth",
            AUTH,
            Required,
            "How senders prove who they are: `bearer`, `basic` or `none`; `none` must be said.",
        ),
        field(
            "resources",
            Map(Form::Prose, &Obj(&FHIR_RESOURCE)),
            Required,
            "What is offered, by the types of R4.",
        ),
        field(
            "of",
            Text(Form::Reference),
            Optional,
            "Another `fhir` connection whose resources are shown here: a second door, which only reads.",
        ),
        field(
            "address",
            Text(Form::Url),
            Optional,
            "The service's address in answers; where absent, the one by which it was asked.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("1MiB"),
            "The largest request; larger ones are refused.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FHIR_RESOURCE: Object = Object {
    name: "`resources` (one type)",
    doc: "What is done with resources of one type.",
    fields: &[
        field(
            "do",
            List(&Word(&["read", "search", "create", "update", "delete"])),
            Required,
            "The interactions that are offered; nothing else is.",
        ),
        field(
            "search",
            List(&Text(Form::Prose)),
            Optional,
            "The official parameters of R4 that they are searched by, beside `_id` and `_lastUpdated`: strings, tokens, dates, references, addresses.",
        ),
        field(
            "hide",
            List(&Text(Form::Prose)),
            Optional,
            "Elements that are never given out. What was left away is marked (`SUBSETTED`).",
        ),
        field(
            "unique",
            Text(Form::Prose),
            Optional,
            "The system of an identifier that each has one of and no two share. It is found at once.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FHIR_KEEP: Object = Object {
    name: "`fhir` (keeping)",
    doc: "Resources of flows are kept where a `fhir` connection that listens has its own: made or changed, as if they had come by `PUT`.",
    fields: &[field(
        "keep",
        Text(Form::Reference),
        Required,
        "The connection that listens.",
    )],
    exactly_one: &[],
};

pub(crate) static FHIR_CALL: Object = Object {
    name: "`fhir` (an operation)",
    doc: "What is asked of a FHIR server. The payload has the parameters; the answer to a search or an export is `{ resources, next }`, and `next` in the payload asks for the page that follows.",
    fields: &[
        field(
            "connection",
            Text(Form::Name),
            Required,
            "A connection of the same system.",
        ),
        field(
            "read",
            Text(Form::Prose),
            Optional,
            "The type of the resource whose `id` the payload has.",
        ),
        field(
            "search",
            Text(Form::Prose),
            Optional,
            "The type that is searched. Members of the payload are parameters (`\"family\": \"Bell\"`), lists are several of the same; `size` asks for so many a page.",
        ),
        field(
            "export",
            Text(Form::Prose),
            Optional,
            "Bulk data (`$export`): `all`, `Patient` or `Group/ID`. Members of the payload are its parameters (`_type`, `_since`); `size` says how many resources a piece has.",
        ),
    ],
    exactly_one: &["read", "search", "export"],
};
