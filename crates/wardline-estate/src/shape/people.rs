//! `people:` of `wardline.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, List, Map, Object as Obj, OneOrMany, Text};
use super::{Form, Object, field};

pub(crate) static PEOPLE: Object = Object {
    name: "`people`",
    doc: "How people sign in to the console. What they may do there is said by policies, about their roles.",
    fields: &[
        field(
            "url",
            Text(Form::Url),
            Optional,
            "Where browsers reach the console, such as `https://wardline.example`: for the way back from the identity provider, and as a host name that the console answers to. The address of its listener where absent.",
        ),
        field(
            "local",
            Bool,
            Default("true"),
            "Whether accounts that `wardline people` keeps beside the data may sign in, with password and one-time code.",
        ),
        field(
            "oidc",
            Obj(&OIDC),
            Optional,
            "The organisation's own sign-in.",
        ),
        field(
            "roles",
            List(&Text(Form::Name)),
            Optional,
            "Roles beyond the built-in ones (`integration-engineer`, `support`, `process-owner`, `data-steward`, `security-auditor`, `administrator`), for policies to speak of.",
        ),
        field(
            "session",
            Obj(&SESSION),
            Optional,
            "How long one stays signed in.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SESSION: Object = Object {
    name: "`session`",
    doc: "How long one stays signed in. Live updates of an open page do not count as work.",
    fields: &[
        field(
            "idle",
            Text(Form::Duration),
            Default("15m"),
            "Signed out after so long without a click; at most an hour.",
        ),
        field(
            "longest",
            Text(Form::Duration),
            Default("10h"),
            "Signed out after so long whatever happens; at most a day.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static OIDC: Object = Object {
    name: "`oidc`",
    doc: "An identity provider that people sign in at: OpenID Connect, authorization code with PKCE. It sends people back to `URL/login/return`.",
    fields: &[
        field(
            "title",
            Text(Form::Prose),
            Default("your organisation"),
            "What the button says: `Sign in with …`.",
        ),
        field(
            "issuer",
            Text(Form::Url),
            Required,
            "Its issuer, exactly as it stands in its tokens; its metadata is discovered there.",
        ),
        field(
            "client_id",
            Text(Form::Prose),
            Required,
            "As what Wardline is registered there.",
        ),
        field(
            "client_secret",
            Text(Form::Secret),
            Optional,
            "The secret that it was given there. Without one Wardline is a public client, held by PKCE alone.",
        ),
        field(
            "scopes",
            List(&Text(Form::Scope)),
            Optional,
            "Scopes that are asked for beside `openid`; `[profile, email]` where absent.",
        ),
        field(
            "name",
            Text(Form::Prose),
            Default("preferred_username"),
            "The claim that names a person, also in the audit log; `sub` where the provider does not send it.",
        ),
        field(
            "groups",
            Text(Form::Prose),
            Default("groups"),
            "The claim that lists the groups of a person: in the ID token, else in what its userinfo endpoint says.",
        ),
        field(
            "roles",
            Map(Form::Prose, &OneOrMany(&Text(Form::Name))),
            Required,
            "Which roles a group brings. A group that is not here brings none, and who has no role does not come in.",
        ),
        field(
            "acr",
            List(&Text(Form::Prose)),
            Optional,
            "Classes of sign-in that are good enough: the token's `acr` must be one of them.",
        ),
        field(
            "amr",
            List(&Text(Form::Prose)),
            Optional,
            "Methods that must have been used, such as `mfa`: each must be in the token's `amr`.",
        ),
        field(
            "ca",
            Text(Form::File),
            Optional,
            "The CA (PEM) that its certificate is checked against, where it is none of the system's.",
        ),
    ],
    exactly_one: &[],
};
