//! `secrets:` of `wardline.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{List, Object as Obj, Text};
use super::{Form, Object, field};

pub(crate) static SECRETS: Object = Object {
    name: "`secrets`",
    doc: "Where secrets come from beside the environment and the directory `secrets`, which are asked first.",
    fields: &[
        field(
            "file",
            Text(Form::Prose),
            Optional,
            "One file for many secrets, encrypted with age: `NAME: VALUE` a line. Relative paths are below the estate.",
        ),
        field(
            "identities",
            Text(Form::Prose),
            Optional,
            "The file of age identities that open `file` and `secrets/NAME.age`. Keep it apart from the estate. `WARDLINE_AGE_IDENTITY_FILE` (a path) and `WARDLINE_AGE_IDENTITY` (the identity itself) override it.",
        ),
        field(
            "recipients",
            List(&Text(Form::Recipient)),
            Optional,
            "Whom `wardline secrets set` encrypts to, beside the identities' own recipients.",
        ),
        field(
            "overlap",
            Text(Form::Duration),
            Default("1h"),
            "How long callers may still show the value before a change.",
        ),
        field(
            "vault",
            Obj(&VAULT),
            Optional,
            "HashiCorp Vault or OpenBao, asked for what nobody else has.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static VAULT: Object = Object {
    name: "`vault`",
    doc: "HashiCorp Vault or OpenBao. `secret:erp/ws` is the field `value` (or the only one) of `MOUNT/PATH/erp/ws`, `secret:erp/ws#password` its field `password`.",
    fields: &[
        field(
            "address",
            Text(Form::Url),
            Required,
            "Where it is. Plain `http://` only within this machine.",
        ),
        field("namespace", Text(Form::Prose), Optional, "Its namespace."),
        field(
            "ca",
            Text(Form::File),
            Optional,
            "Authorities to trust instead of the system's, PEM.",
        ),
        field(
            "token",
            Text(Form::Secret),
            Optional,
            "A token, such as one that an agent writes to a file. It is not looked for in Vault.",
        ),
        field(
            "approle",
            Obj(&APP_ROLE),
            Optional,
            "A role to log in as. Tokens are renewed, and got anew, as needed.",
        ),
        field(
            "mount",
            Text(Form::Prose),
            Default("secret"),
            "Where its key-value engine (version 2) is mounted.",
        ),
        field(
            "path",
            Text(Form::Prose),
            Optional,
            "The path below it that holds the estate's secrets.",
        ),
        field(
            "every",
            Text(Form::Duration),
            Default("1m"),
            "How often values are read again.",
        ),
        field(
            "stale",
            Text(Form::Duration),
            Default("24h"),
            "How long the last value is used while it does not answer.",
        ),
    ],
    exactly_one: &["token", "approle"],
};

pub(crate) static APP_ROLE: Object = Object {
    name: "`approle`",
    doc: "A role of Vault's AppRole method.",
    fields: &[
        field("role_id", Text(Form::Prose), Required, "The role's id."),
        field(
            "secret_id",
            Text(Form::Secret),
            Required,
            "Its secret id. It is not looked for in Vault.",
        ),
        field(
            "mount",
            Text(Form::Prose),
            Default("approle"),
            "Where the method is mounted.",
        ),
    ],
    exactly_one: &[],
};
