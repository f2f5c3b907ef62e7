//! Connections whose files lie on other machines: how those are reached, and what is done there.

use super::Need::{Default, Optional, Required};
use super::Shape::{Integer, OneOrMany, Text, Word};
use super::{Field, Form, Object, field};

const HOST: Field = field("host", Text(Form::Host), Required, "The machine.");
const USER: Field = field(
    "user",
    Text(Form::Value),
    Required,
    "Who Wardline is there.",
);
const DIRECTORY: Field = field(
    "directory",
    Text(Form::Prose),
    Optional,
    "The directory, as seen after logging in; that itself where absent. `archive/` and `refused/` are made in it.",
);
const CONNECT_TIMEOUT: Field = field(
    "connect_timeout",
    Text(Form::Duration),
    Default("10s"),
    "Limit for connecting, and again for logging in.",
);
const TIMEOUT: Field = field(
    "timeout",
    Text(Form::Duration),
    Default("30s"),
    "How long the server may be silent when it is asked something.",
);
const PASSWORD: Field = field(
    "password",
    Text(Form::Secret),
    Optional,
    "A password; tried last.",
);
const SSH_PORT: Field = field("port", Integer(1, 65_535), Default("22"), "Its port.");
const HOST_KEY: Field = field(
    "host_key",
    OneOrMany(&Text(Form::HostKey)),
    Required,
    "The key by which the server is known: its fingerprint, `SHA256:…`, or the key itself, `ssh-ed25519 AAAA…`. Several while it is changed. Another is never trusted.",
);
const KEY: Field = field(
    "key",
    Text(Form::Secret),
    Optional,
    "A private key, as OpenSSH or PEM writes it.",
);
const PASSPHRASE: Field = field(
    "passphrase",
    Text(Form::Secret),
    Optional,
    "What opens the key, where it is locked.",
);
const CERTIFICATE: Field = field(
    "certificate",
    Text(Form::File),
    Optional,
    "The certificate of the key, as `ssh-keygen -s` writes it.",
);

const POLL: Field = field(
    "poll",
    Text(Form::FilePattern),
    Required,
    "Which files are taken, such as `out/receipts-*.csv`: at most one directory, and a name in which `*` stands for any characters and `?` for one.",
);
const EVERY: Field = field(
    "every",
    Text(Form::Duration),
    Default("1m"),
    "How often it is looked at.",
);
const STABLE: Field = field(
    "stable",
    Text(Form::Duration),
    Default("30s"),
    "How long size and time of a file must stay the same before it is taken.",
);
const MARKER: Field = field(
    "marker",
    Text(Form::Ending),
    Optional,
    "A file is taken only when one with this ending lies beside it, such as `.done`; it is deleted with it.",
);
const THEN: Field = field(
    "then",
    Word(&["archive", "delete"]),
    Default("archive"),
    "What becomes of a file that was taken.",
);
const LAYOUT: Field = field(
    "layout",
    Text(Form::File),
    Optional,
    "How its records lie: a file that `wardline schema layout` describes.",
);
const SPLIT: Field = field(
    "split",
    Word(&["records", "whole"]),
    Default("whole"),
    "`records` makes a message of each record, `whole` one of the file.",
);
const CONTENT: Field = field(
    "content",
    Word(&["text", "json", "xml", "hl7", "x12", "binary"]),
    Default("text"),
    "What a whole file is. `x12`: an interchange; flows run once for each set.",
);
const TAKEN_SIZE: Field = field(
    "max_size",
    Text(Form::Size),
    Default("16MiB"),
    "The largest file that becomes one message; larger ones are refused.",
);
const REMEMBER: Field = field(
    "remember",
    Text(Form::Duration),
    Default("90d"),
    "How long it is remembered which records were taken: a file of the same name and content that comes again within this time is not taken twice.",
);
const WRITE: Field = field(
    "write",
    Text(Form::FileName),
    Required,
    "The name, such as `in/bill-{id}.json`: at most one directory, and `{id}` for the delivery's id.",
);
const WRITTEN_SIZE: Field = field(
    "max_size",
    Text(Form::Size),
    Default("64MiB"),
    "The largest payload; larger ones are not written.",
);

pub(crate) static SFTP_IN: Object = Object {
    name: "`sftp` (taking)",
    doc: "Files of another machine, over SFTP. Each is checked to its end before anything of it is taken, and every record is taken once.",
    fields: &[
        HOST,
        SSH_PORT,
        HOST_KEY,
        USER,
        KEY,
        PASSPHRASE,
        CERTIFICATE,
        PASSWORD,
        DIRECTORY,
        POLL,
        EVERY,
        STABLE,
        MARKER,
        THEN,
        LAYOUT,
        SPLIT,
        CONTENT,
        TAKEN_SIZE,
        REMEMBER,
        CONNECT_TIMEOUT,
        TIMEOUT,
    ],
    exactly_one: &[],
};

pub(crate) static SFTP_OUT: Object = Object {
    name: "`sftp` (writing)",
    doc: "A directory of another machine into which each delivery is written as a file, over SFTP: whole or not at all, and under the same name however often it is tried.",
    fields: &[
        HOST,
        SSH_PORT,
        HOST_KEY,
        USER,
        KEY,
        PASSPHRASE,
        CERTIFICATE,
        PASSWORD,
        DIRECTORY,
        WRITE,
        WRITTEN_SIZE,
        CONNECT_TIMEOUT,
        TIMEOUT,
    ],
    exactly_one: &[],
};
