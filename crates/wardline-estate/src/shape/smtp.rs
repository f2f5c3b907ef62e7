//! Connections to mail servers.

use super::Need::{Default, Optional, Required};
use super::Shape::{Object as Obj, OneOrMany, Text, Word};
use super::connection::CLIENT_TLS;
use super::{Form, Object, field};

pub(crate) static SMTP_OUT: Object = Object {
    name: "`smtp`",
    doc: "Mail out. The payload is JSON: `subject`, `text`, and `to`, `cc`, `reply_to`, `html`, `attachments` where wanted. `sensitivity` of the connection must be said.",
    fields: &[
        field(
            "server",
            Text(Form::HostPort),
            Required,
            "Host and port of the mail server.",
        ),
        field(
            "security",
            Word(&["starttls", "implicit", "none"]),
            Default("starttls"),
            "`starttls` (mostly port 587), and nothing is sent where the server does not offer it; `implicit` (465).",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the server and prove who we are.",
        ),
        field(
            "login",
            Text(Form::Secret),
            Optional,
            "The secret holds `user:password`. It goes only over TLS.",
        ),
        field(
            "from",
            Text(Form::Mailbox),
            Required,
            "Who mail is from, such as `Integrations <wardline@st-brigid.example>`.",
        ),
        field(
            "to",
            OneOrMany(&Text(Form::Mailbox)),
            Optional,
            "Who gets mail where the payload does not say.",
        ),
        field(
            "recipients",
            OneOrMany(&Text(Form::Recipients)),
            Required,
            "Who may get mail: addresses, and domains (not those below them).",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("10s"),
            "How long to wait for a session.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("60s"),
            "Limit for one whole mail.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("10MiB"),
            "The largest mail.",
        ),
    ],
    exactly_one: &[],
};
