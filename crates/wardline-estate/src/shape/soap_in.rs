//! The `soap` connection that listens.

use super::Need::{Default, Optional, Required};
use super::Shape::{Map, Object as Obj, OneOrMany, Text, Word};
use super::connection::AUTH;
use super::{Form, Object, field};

pub(crate) static SOAP_IN: Object = Object {
    name: "`soap` (receiving)",
    doc: "A path on one of the estate's listeners that is a SOAP service. What comes is JSON, by the types of its description; the operation is the message's type (`%type`). `?wsdl` gives the description.",
    fields: &[
        field(
            "listen",
            Text(Form::Name),
            Required,
            "The listener it hangs on.",
        ),
        field("path", Text(Form::Path), Required, "The path."),
        field(
            "wsdl",
            Text(Form::File),
            Required,
            "The description (WSDL 1.1). What it imports is read from the estate and from nowhere else.",
        ),
        field(
            "service",
            Text(Form::Prose),
            Optional,
            "The service of the description; its first where absent.",
        ),
        field(
            "port",
            Text(Form::Prose),
            Optional,
            "The port of the description, which says the version of SOAP; all of the service's where absent.",
        ),
        field(
            "address",
            Text(Form::Url),
            Optional,
            "The address that the description gives to others; where absent, the one by which it was asked for.",
        ),
        field(
            "auth",
            AUTH,
            Required,
            "How senders prove who they are by HTTP: `basic`, `bearer` or `none`; `none` must be said.",
        ),
        field(
            "security",
            Obj(&WS_GUARD),
            Optional,
            "What messages must carry to be believed (WS-Security).",
        ),
        field(
            "answers",
            Map(Form::Prose, &Text(Form::Map)),
            Optional,
            "By operation, the map that makes its answer of the request: `{ CreateOrder: maps/order-received.vrl }`. It runs before the message is taken; an operation whose answer may be empty needs none.",
        ),
        field(
            "hl7",
            Obj(&CARRIED),
            Optional,
            "An operation that carries an HL7 v2 message as text. The message goes to flows as if it had come by MLLP, and its acknowledgement is the answer. The connection takes no other messages.",
        ),
        field(
            "echo",
            Obj(&ECHO),
            Optional,
            "An operation by which a sender tries the connection: it is answered with what it was given and not recorded.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("1MiB"),
            "The largest message; larger ones are refused.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WS_GUARD: Object = Object {
    name: "`security`",
    doc: "What messages must carry to be believed: WS-Security 1.1. Where both are said, both are asked for.",
    fields: &[
        field(
            "users",
            OneOrMany(&Text(Form::Secret)),
            Optional,
            "Users that may send by a user token; each secret holds `user:password`.",
        ),
        field(
            "password",
            Word(&["digest", "text"]),
            Default("digest"),
            "`digest` takes digests with nonce and time alone; `text` takes passwords as text too, and needs a listener with TLS.",
        ),
        field(
            "certs",
            OneOrMany(&Text(Form::File)),
            Optional,
            "Certificates (PEM) of which one must have signed body, timestamp and user token.",
        ),
        field(
            "skew",
            Text(Form::Duration),
            Default("5m"),
            "How far a message's time may be off. For as long a nonce or signature is remembered and not taken again.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static CARRIED: Object = Object {
    name: "`hl7`",
    doc: "An operation that carries HL7 v2, such as `submitSingleMessage` of the CDC's description for immunization registries.",
    fields: &[
        field("operation", Text(Form::Prose), Required, "The operation."),
        field(
            "message",
            Text(Form::Prose),
            Required,
            "The element that holds the message.",
        ),
        field(
            "answer",
            Text(Form::Prose),
            Required,
            "The element of the answer that holds the acknowledgement.",
        ),
        field(
            "username",
            Text(Form::Prose),
            Optional,
            "The element that holds the user, where the description has it in the body; `security.users` says who that may be.",
        ),
        field(
            "password",
            Text(Form::Prose),
            Optional,
            "The element that holds the password.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static ECHO: Object = Object {
    name: "`echo`",
    doc: "An operation that gives back what it was given, such as `connectivityTest`.",
    fields: &[
        field("operation", Text(Form::Prose), Required, "The operation."),
        field(
            "from",
            Text(Form::Prose),
            Required,
            "The element that is given back.",
        ),
        field(
            "to",
            Text(Form::Prose),
            Required,
            "The element of the answer that holds it.",
        ),
    ],
    exactly_one: &[],
};
