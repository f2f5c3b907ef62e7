//! `dropboxes` of `wardline.yaml`: where partners bring and fetch files.

use super::Need::{Default, Optional, Required};
use super::Shape::{Integer, Map, Object as Obj, OneOrMany, Text};
use super::{Form, Object, field};

pub(crate) static DROPBOXES: Object = Object {
    name: "`dropboxes`",
    doc: "A server of SFTP at which clients find a directory each, with `in` for what they bring and `out` for what they fetch, and nothing else.",
    fields: &[
        field("bind", Text(Form::Bind), Required, "The local address."),
        field(
            "host_key",
            OneOrMany(&Text(Form::Secret)),
            Required,
            "The private key by which clients know the server; several of different kinds, such as Ed25519 and RSA, for clients that know only one.",
        ),
        field(
            "allow",
            OneOrMany(&Text(Form::Network)),
            Optional,
            "Networks that may connect; all where absent.",
        ),
        field(
            "max_connections",
            Integer(1, 10_000),
            Default("64"),
            "Most connections at a time.",
        ),
        field(
            "idle_timeout",
            Text(Form::Duration),
            Default("10m"),
            "A connection that is silent for so long is closed.",
        ),
        field(
            "boxes",
            Map(Form::Name, &Obj(&DROPBOX)),
            Required,
            "The box of each client, by the client's name, which is also the user's. It opens by the keys under `auth.ssh` of the client.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static DROPBOX: Object = Object {
    name: "a drop box",
    doc: "The directory of one client.",
    fields: &[
        field(
            "directory",
            Text(Form::Prose),
            Required,
            "Where it is; relative to the estate. `in` and `out` are made in it.",
        ),
        field(
            "quota",
            Text(Form::Size),
            Default("1GiB"),
            "Bytes that may lie in `in` until they are taken.",
        ),
        field(
            "files",
            Integer(1, 50_000),
            Default("10000"),
            "Files that may lie in `in` until they are taken.",
        ),
        field(
            "sessions",
            Integer(1, 1_000),
            Default("4"),
            "Most connections of the client at a time.",
        ),
    ],
    exactly_one: &[],
};
