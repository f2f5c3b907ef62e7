//! AS2 connections.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Integer, Object as Obj, OneOrMany, Text, Word};
use super::connection::{AUTH, CLIENT_TLS};
use super::estate::SERVER_TLS;
use super::{Field, Form, Object, field};

const CERT: Field = field(
    "cert",
    Text(Form::File),
    Optional,
    "Our certificate, PEM, with an RSA key. It is told to the partner; nothing need have issued it.",
);
const KEY: Field = field(
    "key",
    Text(Form::Secret),
    Optional,
    "Its private key, PEM (PKCS#8).",
);

pub(crate) static AS2_OUT: Object = Object {
    name: "`as2` (sending)",
    doc: "A partner to whom payloads are sent by AS2. A delivery has ended well only when the partner's receipt names what was sent.",
    fields: &[
        field(
            "url",
            Text(Form::Url),
            Required,
            "Where the partner receives.",
        ),
        field("from", Text(Form::Prose), Required, "Our AS2 name."),
        field("to", Text(Form::Prose), Required, "The partner's AS2 name."),
        CERT,
        KEY,
        field(
            "partner",
            Text(Form::File),
            Optional,
            "The partner's certificates, PEM. Receipts may be signed by any; payloads are encrypted for the first. Two stand in it while one takes the other's place.",
        ),
        field(
            "encrypt",
            Bool,
            Default("true"),
            "Whether payloads are encrypted (AES-256).",
        ),
        field(
            "receipt",
            Word(&["signed", "plain", "none"]),
            Default("signed"),
            "Which receipt is asked for, as the answer to the message.",
        ),
        field(
            "subject",
            Text(Form::Prose),
            Default("Message"),
            "What messages are about, for people.",
        ),
        field(
            "content",
            Text(Form::Prose),
            Optional,
            "The media type of payloads, such as `application/edi-x12`; that of the delivery where absent.",
        ),
        field(
            "auth",
            AUTH,
            Default("none"),
            "How Wardline proves who it is to the server, beside the signature.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("60s"),
            "How long the partner may take to answer.",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the server, where the system's roots do not do.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static AS2_IN: Object = Object {
    name: "`as2` (receiving)",
    doc: "A port on which a partner's messages are received by AS2. The receipt leaves when the message is on stable storage.",
    fields: &[
        field("listen", Text(Form::Bind), Required, "The local address."),
        field(
            "path",
            Text(Form::Path),
            Default("/as2"),
            "The path that the partner posts to.",
        ),
        field("to", Text(Form::Prose), Required, "Our AS2 name."),
        field(
            "from",
            Text(Form::Prose),
            Required,
            "The partner's AS2 name.",
        ),
        CERT,
        KEY,
        field(
            "previous",
            Obj(&AS2_PREVIOUS),
            Optional,
            "What we had before, with which messages may still be encrypted while partners change over.",
        ),
        field(
            "partner",
            Text(Form::File),
            Optional,
            "The partner's certificates, PEM. Messages may be signed by any; two stand in it while one takes the other's place.",
        ),
        field(
            "signed",
            Bool,
            Default("true"),
            "Whether messages must be signed.",
        ),
        field(
            "encrypted",
            Bool,
            Default("true"),
            "Whether messages must be encrypted.",
        ),
        field(
            "receipts",
            Text(Form::Url),
            Optional,
            "Where receipts may be sent that a message wants afterwards: its url must be this one, or below it. Refused where absent.",
        ),
        field(
            "content",
            Word(&["x12", "json", "text"]),
            Default("x12"),
            "What payloads are, whatever their media type says.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("16MiB"),
            "The largest message.",
        ),
        field(
            "max_connections",
            Integer(1, 10_000),
            Default("64"),
            "Most connections at a time.",
        ),
        field(
            "allow",
            OneOrMany(&Text(Form::Network)),
            Optional,
            "Networks that may connect; all where absent.",
        ),
        field(
            "tls",
            Obj(&SERVER_TLS),
            Optional,
            "TLS, if the port speaks it.",
        ),
        field(
            "remember",
            Text(Form::Duration),
            Default("30d"),
            "How long a message's name is remembered: the same again within this time gets its receipt again and is no second message.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static AS2_PREVIOUS: Object = Object {
    name: "`previous`",
    doc: "A certificate and key that are being replaced.",
    fields: &[
        field("cert", Text(Form::File), Required, "The certificate, PEM."),
        field("key", Text(Form::Secret), Required, "Its private key, PEM."),
    ],
    exactly_one: &[],
};
