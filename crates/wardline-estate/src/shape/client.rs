//! `clients/*.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Integer, List, Map, Object as Obj, OneOrMany, Text, Word};
use super::api::ZONE;
use super::connection::CLIENT_TLS;
use super::estate::{EXHAUSTED, LANE, RETRY, WATCH_ACTION};
use super::{Form, Object, field};

pub(crate) static CLIENT: Object = Object {
    name: "a client",
    doc: "Who calls Apis: how it proves who it is, what it may do, and how much.",
    fields: &[
        field(
            "client",
            Text(Form::Name),
            Required,
            "The name of the client, which is its `client_id`.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "owner",
            Text(Form::Prose),
            Optional,
            "Who answers for it; a warning where absent.",
        ),
        field(
            "kind",
            Word(&["partner", "service", "person-group"]),
            Required,
            "An application of somebody else, one of this organisation, or people by their group.",
        ),
        field(
            "zone",
            ZONE,
            Required,
            "The only zone through whose listeners it may come.",
        ),
        field(
            "facilities",
            List(&Text(Form::Name)),
            Optional,
            "The sites whose data it may see; all where absent.",
        ),
        field(
            "roles",
            List(&Text(Form::Name)),
            Optional,
            "Its roles, for policies.",
        ),
        field(
            "auth",
            Obj(&CLIENT_AUTH),
            Required,
            "How it proves who it is.",
        ),
        field(
            "scopes",
            List(&Text(Form::Scope)),
            Optional,
            "What it may be granted.",
        ),
        field(
            "purpose",
            List(&Text(Form::Scope)),
            Optional,
            "Purposes of use that it may name, for policies.",
        ),
        field(
            "reveal",
            List(&Word(&["financial", "pii", "phi"])),
            Optional,
            "Classes of values that it sees. Values of other classes are masked, except public and internal ones.",
        ),
        field(
            "addresses",
            OneOrMany(&Text(Form::Network)),
            Optional,
            "Networks that it may come from; all where absent.",
        ),
        field(
            "limits",
            Obj(&CLIENT_LIMITS),
            Optional,
            "How much it may do, over all Apis.",
        ),
        field(
            "webhook",
            Obj(&CLIENT_WEBHOOK),
            Optional,
            "Where it is told of events.",
        ),
        field(
            "webhooks",
            Map(Form::Name, &Obj(&CLIENT_WEBHOOK)),
            Optional,
            "Further places where it is told of events, by name.",
        ),
        field(
            "expires",
            Text(Form::Date),
            Optional,
            "It is refused from then on.",
        ),
        field("disabled", Bool, Optional, "`true`: it is refused."),
        field(
            "watch",
            WATCH_ACTION,
            Optional,
            "What happens when its calls stand out; `action` of `identity.watch` where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static CLIENT_AUTH: Object = Object {
    name: "`auth` (of a client)",
    doc: "How a client proves who it is; at least one key. `mtls` beside `oauth2` is required as well, and binds tokens to the certificate.",
    fields: &[
        field(
            "oauth2",
            Obj(&OAUTH2),
            Optional,
            "It gets tokens from `/oauth/token` by client credentials.",
        ),
        field(
            "mtls",
            Obj(&MTLS),
            Optional,
            "It shows a certificate that the listener's `client_ca` verifies.",
        ),
        field(
            "api_key",
            Obj(&API_KEY),
            Optional,
            "A key in the header `x-api-key`, for callers that can do no better.",
        ),
        field(
            "ssh",
            Text(Form::File),
            Optional,
            "A file of public keys of SSH, a line each, that open its drop box.",
        ),
        field(
            "issuer",
            Obj(&ISSUER_CLAIM),
            Optional,
            "It brings tokens of an issuer that `wardline.yaml` names.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static OAUTH2: Object = Object {
    name: "`oauth2`",
    doc: "How a client authenticates at `/oauth/token`.",
    fields: &[
        field(
            "method",
            Word(&["private_key_jwt", "client_secret_basic", "tls_client_auth"]),
            Required,
            "`private_key_jwt`: it signs an assertion (RFC 7523). `client_secret_basic`: it knows a secret. `tls_client_auth`: it shows the certificate of `mtls` (RFC 8705).",
        ),
        field(
            "jwks",
            Text(Form::Prose),
            Optional,
            "For `private_key_jwt`: its public keys, a JWK Set (RFC 7517): a file of the estate, or the `https` URL at which it publishes them.",
        ),
        field(
            "secret",
            Text(Form::Secret),
            Optional,
            "For `client_secret_basic`: its secret.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static MTLS: Object = Object {
    name: "`mtls`",
    doc: "What the certificate says. Exactly one key.",
    fields: &[
        field(
            "subject",
            Text(Form::Prose),
            Optional,
            "Its subject, as RFC 4514 writes it: `CN=ghx`.",
        ),
        field(
            "san",
            Text(Form::Prose),
            Optional,
            "One of its subject alternative names: a DNS name or a URI.",
        ),
        field(
            "thumbprint",
            Text(Form::Digest),
            Optional,
            "The SHA-256 digest of the certificate.",
        ),
    ],
    exactly_one: &["subject", "san", "thumbprint"],
};

pub(crate) static API_KEY: Object = Object {
    name: "`api_key`",
    doc: "A key in a header. Only its digest is kept.",
    fields: &[
        field(
            "sha256",
            Text(Form::Digest),
            Required,
            "The SHA-256 digest of the key.",
        ),
        field(
            "expires",
            Text(Form::Date),
            Required,
            "It is refused from then on.",
        ),
        field(
            "apis",
            List(&Text(Form::Name)),
            Optional,
            "The Apis that it opens; all that the scopes open where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static ISSUER_CLAIM: Object = Object {
    name: "`issuer`",
    doc: "A token of somebody else that stands for the client.",
    fields: &[
        field(
            "name",
            Text(Form::Name),
            Required,
            "The issuer: a name in `identity.issuers` of `wardline.yaml`.",
        ),
        field(
            "claim",
            Text(Form::Prose),
            Default("sub"),
            "The claim that tells.",
        ),
        field(
            "equals",
            Text(Form::Prose),
            Required,
            "What it must equal, or contain where it is a list.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static CLIENT_LIMITS: Object = Object {
    name: "`limits` (of a client)",
    doc: "How much a client may do, over all Apis.",
    fields: &[
        field(
            "rate",
            Text(Form::Rate),
            Optional,
            "Requests per unit of time. No limit where absent.",
        ),
        field(
            "burst",
            Integer(1, 1_000_000),
            Optional,
            "How many requests may be saved up while idle; one second's worth where absent.",
        ),
        field(
            "quota",
            Text(Form::Quota),
            Optional,
            "Requests in a longer time; survives restarts.",
        ),
        field(
            "concurrent",
            Integer(1, 100_000),
            Optional,
            "Requests in flight at a time. No limit where absent.",
        ),
        field(
            "body",
            Text(Form::Size),
            Optional,
            "The largest body of a request, where that is less than the Api allows.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static CLIENT_WEBHOOK: Object = Object {
    name: "`webhook` (of a client)",
    doc: "Where a client is told of events, signed by the Standard Webhooks specification. It is told what policies let it receive, masked as an answer to it would be.",
    fields: &[
        field(
            "url",
            Text(Form::Url),
            Optional,
            "Where they are sent: `https`, and no address inside this organisation unless `reach` says so.",
        ),
        field(
            "register",
            Bool,
            Optional,
            "The client itself says where, by `PUT /webhooks/NAME` at the gateway: `https`, a public address, and it has to take a signed test.",
        ),
        field(
            "secret",
            Text(Form::Secret),
            Required,
            "What signs them: `whsec_…`, shared with the client, or `whsk_…`, an Ed25519 key of our own.",
        ),
        field(
            "previous",
            OneOrMany(&Text(Form::Secret)),
            Optional,
            "Keys that sign too: the old one while it is changed, or one of the other kind.",
        ),
        field("events", List(&Text(Form::Event)), Required, "Their types."),
        field(
            "when",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL over the event's data; the client is told only where it is true.",
        ),
        field(
            "purpose",
            Text(Form::Scope),
            Optional,
            "What the client needs them for, where its file names several purposes.",
        ),
        field(
            "thin",
            Bool,
            Optional,
            "Send only an id and where to fetch the rest. Where absent, for events of entities that hold `phi`.",
        ),
        field(
            "fetch",
            Text(Form::Url),
            Optional,
            "The address of this gateway as the client knows it: where it fetches, with its own token, what thin events leave out. A path alone is sent where this is absent.",
        ),
        field("lane", LANE, Default("normal"), "How urgent they are."),
        field(
            "retry",
            Obj(&RETRY),
            Optional,
            "How failed sends are tried again; where absent at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h.",
        ),
        field(
            "on_exhausted",
            EXHAUSTED,
            Default("park"),
            "`park`: the event becomes a dead letter and its followers pass. `hold`: its key stays blocked until a person decides.",
        ),
        field(
            "disable",
            Obj(&DISABLE),
            Optional,
            "When nothing is sent any more until a person says so. An answer of 410 disables at once.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("20s"),
            "Limit for one whole exchange.",
        ),
        field(
            "concurrent",
            Integer(1, 256),
            Default("4"),
            "Sends at the same time.",
        ),
        field(
            "reach",
            Word(&["public", "anywhere"]),
            Default("public"),
            "`anywhere` for clients inside this organisation.",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the receiver and prove who we are.",
        ),
    ],
    exactly_one: &["url", "register"],
};

pub(crate) static DISABLE: Object = Object {
    name: "`disable`",
    doc: "When an endpoint is given up until a person enables it again.",
    fields: &[
        field(
            "after",
            Text(Form::Duration),
            Default("5d"),
            "It has failed for so long without a success.",
        ),
        field(
            "failures",
            Integer(1, 1_000_000),
            Optional,
            "It has failed so often without a success.",
        ),
    ],
    exactly_one: &[],
};
