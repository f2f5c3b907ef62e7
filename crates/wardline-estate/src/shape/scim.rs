//! Connections to services that keep accounts, and their operations.

use super::Need::{Default, Optional, Required};
use super::Shape::{Map, Object as Obj, Text, Word};
use super::connection::{AUTH, CLIENT_TLS};
use super::{Form, Object, field};

pub(crate) static SCIM_IN: Object = Object {
    name: "`scim` (receiving)",
    doc: "A path on one of the estate's listeners below which others keep people and groups by SCIM 2.0. Each change is a message: what happened, what changed, and the whole resource. What is read is what was taken.",
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
            "The path before `/Users`; all below it is the service's.",
        ),
        field(
            "auth",
            AUTH,
            Required,
            "How senders prove who they are: `bearer`, `basic` or `none`; `none` must be said.",
        ),
        field(
            "address",
            Text(Form::Url),
            Optional,
            "The service's address in answers (`meta.location`); where absent, the one by which it was asked.",
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

pub(crate) static SCIM_OUT: Object = Object {
    name: "`scim` (calling)",
    doc: "A service that keeps people and groups by SCIM 2.0. They are found by `externalId`, and changed only as they were read where the service says versions.",
    fields: &[
        field(
            "url",
            Text(Form::Url),
            Required,
            "The base URL; it ends before `/Users`.",
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
            Default("30s"),
            "Limit for one whole exchange; a delivery has a few.",
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
            "HTTP headers sent with every request; a value may be `secret:NAME`.",
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

pub(crate) static SCIM_CALL: Object = Object {
    name: "`scim` (an operation)",
    doc: "What is done with a person or a group. The payload has its `externalId`.",
    fields: &[
        field(
            "connection",
            Text(Form::Name),
            Required,
            "A connection of the same system.",
        ),
        field(
            "do",
            Word(&[
                "put-user",
                "patch-user",
                "deactivate-user",
                "delete-user",
                "put-group",
                "patch-group",
                "delete-group",
            ]),
            Required,
            "`put-…` makes or replaces; `patch-…` changes attributes (`null` removes one) and, of groups, `add_members` and `remove_members` by their `externalId`; `deactivate-user` takes access away and keeps the account.",
        ),
    ],
    exactly_one: &[],
};
