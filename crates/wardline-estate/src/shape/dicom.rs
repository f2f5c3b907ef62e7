//! DICOM connections.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Either, Integer, Object as Obj, OneOrMany, Text};
use super::connection::{AUTH, CLIENT_TLS};
use super::estate::SERVER_TLS;
use super::{Form, Object, field};

pub(crate) static DICOM_IN: Object = Object {
    name: "`dicom` (listening)",
    doc: "A DICOM port that Wardline listens on. C-ECHO is always answered; what else is done is what a directory is named for.",
    fields: &[
        field("listen", Text(Form::Bind), Required, "The local address."),
        field(
            "title",
            Text(Form::Prose),
            Default("WARDLINE"),
            "Our AE title: who calls another is refused.",
        ),
        field(
            "callers",
            OneOrMany(&Text(Form::Prose)),
            Required,
            "AE titles that may call.",
        ),
        field(
            "objects",
            Text(Form::Prose),
            Optional,
            "A directory into which objects are put that come by C-STORE; relative to the estate. Each becomes a message with its attributes. Without it none are taken.",
        ),
        field(
            "worklist",
            Text(Form::Prose),
            Optional,
            "The directory in which entries of the worklist lie, for queries by C-FIND: that of a connection with `entries`.",
        ),
        field(
            "steps",
            Text(Form::Prose),
            Optional,
            "A directory in which the state of performed steps is kept. With it modalities may tell of them by MPPS; each becomes a message.",
        ),
        field(
            "max_object",
            Text(Form::Size),
            Default("4GiB"),
            "The largest object; larger ones are refused.",
        ),
        field(
            "idle_timeout",
            Text(Form::Duration),
            Default("60s"),
            "An association on which nothing is asked for so long is ended.",
        ),
        field(
            "stall_timeout",
            Text(Form::Duration),
            Default("30s"),
            "How long anything that has begun may take to go on; a peer that stalls is sent away, and nothing of its object is kept.",
        ),
        field(
            "max_connections",
            Integer(1, 10_000),
            Default("32"),
            "Most associations at a time.",
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
            Default("90d"),
            "How long it is remembered which objects and steps came: the very same again within this time is no second message.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static DICOM_OUT: Object = Object {
    name: "`dicom` (connecting)",
    doc: "A DICOM peer to which objects are sent by C-STORE, as they lie. A payload names its object in `object.file`.",
    fields: &[
        field("connect", Text(Form::HostPort), Required, "Host and port."),
        field(
            "called",
            Text(Form::Prose),
            Required,
            "The peer's AE title.",
        ),
        field(
            "calling",
            Text(Form::Prose),
            Default("WARDLINE"),
            "Our AE title.",
        ),
        field(
            "objects",
            Text(Form::Prose),
            Required,
            "The directory in which the objects lie; relative to the estate.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("30s"),
            "How long the peer may take for anything: to answer, or to take the next part of an object.",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("10s"),
            "How long to wait for the connection.",
        ),
        field(
            "tls",
            Either(&[Bool, Obj(&CLIENT_TLS)]),
            Optional,
            "`true`, or how to verify the peer and prove who we are.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static DICOM_WEB: Object = Object {
    name: "`dicom` (DICOMweb)",
    doc: "A DICOMweb server to which objects are sent by STOW-RS, each streamed from its file. A payload names its object in `object.file`.",
    fields: &[
        field(
            "stow",
            Text(Form::Url),
            Required,
            "The service's URL; `/studies` is appended.",
        ),
        field(
            "objects",
            Text(Form::Prose),
            Required,
            "The directory in which the objects lie; relative to the estate.",
        ),
        field(
            "auth",
            AUTH,
            Default("none"),
            "How Wardline proves who it is.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("5m"),
            "How long one object may take.",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("10s"),
            "How long to wait for the connection.",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the server and prove who we are, where the system's roots do not do.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static DICOM_ENTRIES: Object = Object {
    name: "`dicom` (a worklist's entries)",
    doc: "Entries of a modality worklist. A payload `{ key, entry }` keeps one, `{ key }` removes it; `entry` holds the standard's keywords.",
    fields: &[field(
        "entries",
        Text(Form::Prose),
        Required,
        "The directory in which they lie; relative to the estate. A listening connection answers from it.",
    )],
    exactly_one: &[],
};
