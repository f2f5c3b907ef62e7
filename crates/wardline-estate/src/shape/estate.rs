//! `wardline.yaml` and `defaults.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{Integer, List, Map, Number, Object as Obj, OneOrMany, Text, Word};
use super::{Field, Form, Need, Object, Shape, field};

pub(crate) static ESTATE: Object = Object {
    name: "the estate",
    doc: "One organisation's integrations: their name, where the journal is kept, and the doors through which others come in.",
    fields: &[
        field(
            "estate",
            Text(Form::Name),
            Required,
            "The name of the estate.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "facilities",
            List(&Text(Form::Name)),
            Optional,
            "The sites that share the estate.",
        ),
        field(
            "store",
            Text(Form::Store),
            Default("sqlite"),
            "Where the journal is kept; `sqlite` is the one store of this release. The environment variable `WARDLINE_STORE` overrides it.",
        ),
        field(
            "keys",
            Obj(&KEYS),
            Optional,
            "Where master keys come from; `{ provider: file, path: ./keys }` where absent.",
        ),
        field(
            "secrets",
            Obj(&super::secrets::SECRETS),
            Optional,
            "Where secrets come from beside the environment and the directory `secrets`.",
        ),
        field(
            "zone",
            Text(Form::TimeZone),
            Default("UTC"),
            "The time zone of messages and schedules that name none.",
        ),
        field(
            "listeners",
            Map(Form::Name, &Obj(&LISTENER)),
            Optional,
            "Doors for HTTP, by name.",
        ),
        field(
            "dropboxes",
            Obj(&super::dropbox::DROPBOXES),
            Optional,
            "Where clients bring and fetch files over SFTP.",
        ),
        field(
            "retention",
            Obj(&RETENTION),
            Optional,
            "How long recorded things are kept.",
        ),
        field(
            "identity",
            Obj(&IDENTITY),
            Optional,
            "By whom tokens are issued, and whose tokens are believed.",
        ),
        field(
            "people",
            Obj(&super::people::PEOPLE),
            Optional,
            "How people sign in to the console.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static IDENTITY: Object = Object {
    name: "`identity`",
    doc: "By whom tokens are issued, and whose tokens are believed.",
    fields: &[
        field(
            "issuer",
            Text(Form::Url),
            Optional,
            "The URL under which callers reach this Wardline; it stands in tokens as `iss`. That of the first internal listener where absent.",
        ),
        field(
            "token",
            Obj(&TOKEN),
            Optional,
            "Tokens that Wardline issues.",
        ),
        field(
            "issuers",
            Map(Form::Name, &Obj(&ISSUER)),
            Optional,
            "Others whose tokens are believed, by name.",
        ),
        field(
            "watch",
            Obj(&WATCH),
            Optional,
            "When calls of a client stand out, and what happens then.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WATCH: Object = Object {
    name: "`watch`",
    doc: "When calls of a client stand out against what is usual for it, and what happens then. What is usual is learned from its calls over four weeks.",
    fields: &[
        field(
            "action",
            WATCH_ACTION,
            Default("alert"),
            "`alert`: people are told. `quarantine`: besides, the client is refused until one of them lets it in again. `off`: nothing is watched.",
        ),
        field(
            "learning_days",
            Integer(0, 28),
            Default("7"),
            "Days of a client's life in which only denials past the ceiling stand out.",
        ),
        field(
            "active_days",
            Integer(0, 28),
            Default("3"),
            "Days on which it must have called besides: who calls once a week takes longer to know.",
        ),
        field(
            "quiet_calls",
            Integer(1, 1_000_000),
            Default("60"),
            "Calls an hour below which no volume is unusual.",
        ),
        field(
            "times_most",
            Integer(2, 1_000),
            Default("3"),
            "How many times the most of an hour (and half as often of a day) that was seen before is too much.",
        ),
        field(
            "few_denials",
            Integer(1, 1_000_000),
            Default("10"),
            "Denials an hour below which they are mistakes.",
        ),
        field(
            "denials_ceiling",
            Integer(1, 1_000_000),
            Default("100"),
            "Denials an hour that stand out also while learning.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static TOKEN: Object = Object {
    name: "`token`",
    doc: "Tokens that Wardline issues (RFC 9068).",
    fields: &[
        field(
            "life",
            Text(Form::Duration),
            Default("5m"),
            "How long a token is good; at most an hour.",
        ),
        field(
            "algorithm",
            Word(&["ES256", "EdDSA"]),
            Default("ES256"),
            "How it is signed.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static ISSUER: Object = Object {
    name: "an issuer",
    doc: "Somebody else whose tokens are believed. Its keys are fetched in the background and kept while it is down.",
    fields: &[
        field(
            "url",
            Text(Form::Url),
            Required,
            "Its URL: what `iss` must equal, and where its metadata is (OpenID Connect Discovery).",
        ),
        field(
            "jwks",
            Text(Form::Prose),
            Optional,
            "Its keys where they are not discovered, or discovered at another origin than its own: a URL, or a file of the estate that holds a JWK Set.",
        ),
        field(
            "audience",
            Text(Form::Prose),
            Required,
            "What `aud` must contain.",
        ),
        field(
            "algorithms",
            List(&Word(&[
                "ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            ])),
            Optional,
            "Algorithms that its tokens may have; `[ES256, RS256]` where absent. Never `none`, never shared secrets.",
        ),
        field(
            "scopes",
            Word(&["token", "granted"]),
            Default("token"),
            "`token`: those in `scope` or `scp` that the client was granted. `granted`: all that it was granted, for issuers that know nothing of our scopes.",
        ),
        field(
            "ca",
            Text(Form::File),
            Optional,
            "Authorities that its certificate is verified by, PEM; the system's where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static KEYS: Object = Object {
    name: "`keys`",
    doc: "Where master keys come from. They wrap the keys that seal payloads and are never part of the estate.",
    fields: &[
        field(
            "provider",
            Word(&["file", "env", "vault"]),
            Required,
            "`file`: a directory of key files. `env`: the variable `WARDLINE_MASTER_KEY`. `vault`: a key of the Transit engine of the server under `secrets.vault`, which it never leaves.",
        ),
        field(
            "path",
            Text(Form::Prose),
            Default("./keys"),
            "The directory of `provider: file`; relative paths are below the estate.",
        ),
        field(
            "key",
            Text(Form::Prose),
            Default("wardline"),
            "The name of the key of `provider: vault`.",
        ),
        field(
            "mount",
            Text(Form::Prose),
            Default("transit"),
            "Where the Transit engine of `provider: vault` is mounted.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static LISTENER: Object = Object {
    name: "a listener",
    doc: "A door for HTTP.",
    fields: &[
        field(
            "zone",
            Word(&["internal", "partner", "admin"]),
            Required,
            "Who may reach it. Partner traffic sees nothing internal.",
        ),
        field("bind", Text(Form::Bind), Required, "The local address."),
        field(
            "tls",
            Obj(&SERVER_TLS),
            Optional,
            "TLS, if the door speaks it.",
        ),
        field(
            "limits",
            Obj(&LISTENER_LIMITS),
            Optional,
            "How much the door bears, whoever knocks.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static LISTENER_LIMITS: Object = Object {
    name: "`limits` (of a listener)",
    doc: "How much a door bears, whoever knocks.",
    fields: &[
        field(
            "connections",
            Integer(1, 1_000_000),
            Default("10000"),
            "Most connections at a time.",
        ),
        field(
            "head",
            Text(Form::Size),
            Default("32KiB"),
            "The largest head of a request: request line and headers.",
        ),
        field(
            "body",
            Text(Form::Size),
            Default("16MiB"),
            "The largest body, whatever an Api allows.",
        ),
        field(
            "slow",
            Text(Form::Duration),
            Default("10s"),
            "How long a head, or the next piece of a body, may be on its way.",
        ),
        field(
            "idle",
            Text(Form::Duration),
            Default("60s"),
            "A connection without a request is closed after so long.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SERVER_TLS: Object = Object {
    name: "`tls`",
    doc: "TLS of a port that Wardline listens on.",
    fields: &[
        field(
            "cert",
            Text(Form::File),
            Required,
            "The certificate chain, PEM.",
        ),
        field("key", Text(Form::Secret), Required, "The private key, PEM."),
        field(
            "client_ca",
            Text(Form::File),
            Optional,
            "Authorities whose client certificates are required, PEM.",
        ),
        field(
            "crl",
            Text(Form::File),
            Optional,
            "What those authorities have revoked: one list (CRL) of each that issued a client's certificate, PEM. With it, a certificate of which no list speaks is refused.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static RETENTION: Object = Object {
    name: "`retention`",
    doc: "How long recorded things are kept.",
    fields: &[
        field(
            "payloads",
            Text(Form::Duration),
            Default("90d"),
            "Payloads; after this the keys that could open them are destroyed.",
        ),
        field(
            "records",
            Text(Form::Duration),
            Default("7y"),
            "Messages and deliveries without their payloads.",
        ),
        field(
            "audit",
            Text(Form::Duration),
            Default("7y"),
            "The audit log.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static LIMITS: Object = Object {
    name: "`limits`",
    doc: "How hard the other side may be pushed, by all flows together.",
    fields: &[
        field(
            "rate",
            Text(Form::Rate),
            Optional,
            "Sends per unit of time. No limit where absent.",
        ),
        field(
            "burst",
            Integer(1, 1_000_000),
            Optional,
            "How many sends may be saved up while idle; one second's worth where absent.",
        ),
        field(
            "concurrent",
            Integer(1, 10_000),
            Optional,
            "Sends in flight at a time; 1 for MLLP and 8 for HTTP where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static BREAKER: Object = Object {
    name: "`breaker`",
    doc: "When to stop trying for a while. Waiting deliveries use up no attempts meanwhile.",
    fields: &[
        field(
            "open_after",
            Integer(0, 10_000),
            Default("5"),
            "Failures in a row that open it; 0 never opens.",
        ),
        field(
            "within",
            Text(Form::Duration),
            Default("30s"),
            "They must happen within this time.",
        ),
        field(
            "probe_every",
            Text(Form::Duration),
            Default("10s"),
            "While open, one send is tried this often.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static RETRY: Object = Object {
    name: "`retry`",
    doc: "How failed sends are tried again. Answers that say \"never\" (a refusal, an invalid request) are not.",
    fields: &[
        field(
            "first",
            Text(Form::Duration),
            Default("1s"),
            "The wait after the first failure.",
        ),
        field(
            "factor",
            Number(1.0, 100.0),
            Default("2"),
            "How much longer each wait is than the one before.",
        ),
        field(
            "max",
            Text(Form::Duration),
            Default("5m"),
            "The longest wait.",
        ),
        field(
            "attempts",
            Integer(0, 1_000_000),
            Default("0"),
            "Sends in all; 0 means no limit.",
        ),
        field(
            "max_age",
            Text(Form::Duration),
            Default("3d"),
            "Give up when the delivery is this old.",
        ),
        field(
            "jitter",
            Word(&["full", "none"]),
            Default("full"),
            "`full` waits anything between nothing and the computed wait, so that deliveries do not come back in step.",
        ),
    ],
    exactly_one: &[],
};

pub(super) const WATCH_ACTION: Shape = Word(&["off", "alert", "quarantine"]);
pub(super) const EXHAUSTED: Shape = Word(&["hold", "park"]);
pub(super) const LANE: Shape = Word(&["realtime", "normal", "bulk"]);
pub(super) const MAPS: Shape = OneOrMany(&Text(Form::Map));

const fn settings() -> [Field; 6] {
    [
        field(
            "retry",
            Obj(&RETRY),
            Optional,
            "How failed sends are tried again.",
        ),
        field(
            "on_exhausted",
            EXHAUSTED,
            Optional,
            "What becomes of a delivery that exhausted its retries.",
        ),
        field(
            "limits",
            Obj(&LIMITS),
            Optional,
            "How hard the other side may be pushed.",
        ),
        field(
            "breaker",
            Obj(&BREAKER),
            Optional,
            "When to stop trying for a while.",
        ),
        field("lane", LANE, Optional, "How urgent deliveries are."),
        field(
            "charset",
            Text(Form::Charset),
            Optional,
            "The charset of HL7 messages that come in.",
        ),
    ]
}

pub(crate) static SETTINGS_FIELDS: [Field; 6] = settings();

pub(crate) static SETTINGS: Object = Object {
    name: "defaults of a system or facility",
    doc: "Settings for one system or facility.",
    fields: &SETTINGS_FIELDS,
    exactly_one: &[],
};

pub(crate) static DEFAULTS_FIELDS: [Field; 8] = {
    let [retry, on_exhausted, limits, breaker, lane, charset] = settings();
    [
        retry,
        on_exhausted,
        limits,
        breaker,
        lane,
        charset,
        field(
            "facilities",
            Map(Form::Name, &Obj(&SETTINGS)),
            Need::Optional,
            "The same settings for systems and connections of one facility.",
        ),
        field(
            "systems",
            Map(Form::Name, &Obj(&SETTINGS)),
            Need::Optional,
            "The same settings for one system.",
        ),
    ]
};

pub(crate) static DEFAULTS: Object = Object {
    name: "the defaults",
    doc: "Settings for everything that says nothing else. The nearest declaration wins, key by key: target, flow, connection, then `systems`, `facilities` and the top of this file. `wardline explain PATH` says which one did.",
    fields: &DEFAULTS_FIELDS,
    exactly_one: &[],
};
